//! `-m udp`: ports of UDP.

use std::sync::Arc;

use super::header::{Miss, header};
use super::ports::{EndOptions, EndPorts, PortMiss};
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{CLIENT_PORTS, Drawn, SERVER_PORTS, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::place::only_protocol;
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::rule::{Condition, Context, Effect, Ends, Lowered, Match, Matched, Refusal, Scope};
use crate::wire;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "udp",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: Some(protocol::UDP),
    options: &[PORTS.source.spec, PORTS.destination.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "ports of UDP",
    samples: SAMPLES,
};

const PORTS: EndOptions = EndOptions {
    source: Opt::ports("sport", "the source port lies in the range")
        .invertible()
        .in_errors(&["source-port"]),
    destination: Opt::ports("dport", "the destination port lies in the range")
        .invertible()
        .in_errors(&["destination-port"]),
    protocol: protocol::UDP,
    saves_all: false,
};

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let ports = PORTS.given(given);
    Ok(Arc::new(Udp { ports }))
}

#[derive(Debug, PartialEq, Eq)]
struct Udp {
    ports: EndPorts,
}

impl Udp {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<PortMiss>> {
        let header = header(cx.packet, |bytes| wire::udp::Udp::new(bytes).ok())?;
        self.ports
            .check(header.source_port(), header.destination_port())
            .map_err(Miss::Has)
    }
}

impl Match for Udp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn lower(&self) -> Lowered {
        let mut conditions = vec![Condition::Header(wire::udp::HEADER as u8)];
        conditions.extend(self.ports.conditions());
        Lowered::exactly(conditions)
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "udp: matches".to_owned(),
            Err(Miss::LaterFragment) => "udp: packet is a later fragment without a UDP header".to_owned(),
            Err(Miss::CutShort) => "udp: packet's UDP header is cut short".to_owned(),
            Err(Miss::Has(miss)) => PORTS.sentence(&self.ports, miss),
        }
    }

    fn save(&self, out: &mut String) {
        PORTS.save(out, &self.ports);
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(" udp");
        PORTS.list(out, &self.ports, numeric);
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_protocol(scope, "udp match", protocol::UDP)
    }
}

/// ` udp spt:53 dpts:!1:2`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("udp")?;
        let mut options = Options::default();
        PORTS.unlist(it, &mut options);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p udp", "", "", "udp"),
        taken("-p udp", "--dport 53", "--dport 53", "udp dpt:53").named("udp dpt:domain"),
        taken(
            "-p udp",
            "--sport 53:54 ! --dport domain",
            "--sport 53:54 ! --dport 53",
            "udp spts:53:54 dpt:!53",
        )
        .named("udp spts:domain:54 dpt:!domain"),
        taken("-p udp", "--dport http", "--dport 80", "udp dpt:80"),
        taken("-p udp", "--dport domain:http", "--dport 53:80", "udp dpts:53:80").named("udp dpts:domain:80"),
        taken("-p udp", "--dport 80:70", "--dport 80:70", "udp dpts:80:70"),
        taken("-p udp", "--dport 65536", "--dport 0", "udp dpt:0"),
        taken("-p udp", "--dport \"\"", "--dport 0", "udp dpt:0"),
        taken("-p udp", "--dport :", "", "udp"),
        taken("-p udp", "--dport 010", "--dport 10", "udp dpt:10"),
        taken("-p udp", "--dport \" +1\"", "--dport 1", "udp dpt:1"),
        taken("-p udp", "--dport 5:5", "--dport 5", "udp dpt:5"),
    ],
    refused: &[
        refused(
            "-p udp",
            "--dport nosuch",
            "Port \"nosuch\" does not resolve to anything.\n",
        ),
        refused("-p udp", "--dport 5:x", "Port \"x\" does not resolve to anything.\n"),
        refused(
            "-p udp",
            "--dport 0x10",
            "Port \"0x10\" does not resolve to anything.\n",
        ),
        refused("-p udp", "--dport -1", "Port \"-1\" does not resolve to anything.\n"),
        refused(
            "-p udp",
            "--dport 1:2:3",
            "udp: Too many components for option \"--destination-port\" (max: 2)\n",
        ),
        refused(
            "-p udp",
            "--dport 1 --dport 2",
            "udp: option \"--destination-port\" can only be used once.\n",
        ),
        refused(
            "-p udp",
            "--sport 1 --source-port 2",
            "udp: option \"--source-port\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("-p udp", "--dport 53", "udp 10.0.0.2:1000 > 192.0.2.9:53"),
        fails(
            "-p udp",
            "--dport 54:60",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "--dport 54:60: packet has 53",
        ),
        fails(
            "-p udp",
            "! --sport 1000",
            "udp 10.0.0.2:1000 > 192.0.2.9:53",
            "! --sport 1000: packet has 1000",
        ),
        fails(
            "-p udp",
            "--dport 80",
            "hex 4500001c000100014011aec40a000002c00002090000000000000000",
            "udp: packet is a later fragment without a UDP header",
        ),
    ],
    spellings: &["-p udp --dport 80"],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 50,
    |draw| {
        draw.maybe(2, &PORTS.source.spec, CLIENT_PORTS);
        draw.maybe(2, &PORTS.destination.spec, SERVER_PORTS);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{Bench, TCP, UDP, ip, match_packets, match_places, read_match, udp};
    use crate::rule::{Hook, Table};

    #[test]
    fn needs_its_protocol() {
        let other = "x_tables: ip_tables: udp match: only valid for protocol 17";
        for (p, said) in [(UDP, ""), (TCP, other)] {
            match_places(&SPEC, p, "--dport 80", &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    #[test]
    fn packets() {
        let bench = Bench::new();
        let packet = udp(1000, 53, &[]);
        let cut = ip(protocol::UDP, 0, &[0; 7]);
        let later = ip(protocol::UDP, 1, &[0; 8]);
        match_packets(
            &SPEC,
            UDP,
            &bench,
            &[
                ("--dport 53", &packet, ""),
                ("--dport 54:60", &packet, "--dport 54:60: packet has 53"),
                ("! --sport 1000", &packet, "! --sport 1000: packet has 1000"),
                ("", &later, "udp: packet is a later fragment without a UDP header"),
                ("", &cut, "udp: packet's UDP header is cut short"),
            ],
        );
        let any = read_match(&SPEC, UDP, "").unwrap();
        assert_eq!(bench.ask(any.as_ref(), &cut).0, Matched::Malformed);
        assert_eq!(bench.ask(any.as_ref(), &later).0, Matched::No);
    }
}
