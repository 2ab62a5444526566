//! `-m multiport`: up to fifteen ports, a range counting twice.

use std::fmt::Write;
use std::sync::Arc;

use super::header::{Miss, header};
use super::ports::port;
use crate::base::{Family, PortRange, protocol};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::ext::wording::{Port, Ports};
use crate::ext::{MatchSpec, NeedsOne};
use crate::rule::{Condition, Context, Effect, Ends, Field, Lowered, Match, Matched};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "multiport",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[SOURCE.spec, DESTINATION.spec, EITHER.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: "multiport expection an option",
    }),
    exclusive: &[&[SOURCE.name(), DESTINATION.name(), EITHER.name()]],
    build,
    unlist,
    directory: None,
    about: "up to fifteen ports, a range counting twice",
    samples: SAMPLES,
};

const SOURCE: Opt<Vec<PortRange>> = ports("sports", "the source port is one of these").in_errors(&["source-ports"]);
const DESTINATION: Opt<Vec<PortRange>> =
    ports("dports", "the destination port is one of these").in_errors(&["destination-ports"]);
const EITHER: Opt<Vec<PortRange>> = ports("ports", "the source or the destination port is one of these");

const fn ports(name: &'static str, help: &'static str) -> Opt<Vec<PortRange>> {
    Opt::own(name, "PORT[:PORT][,...]", &Read(list), help).invertible()
}

const MAX: usize = 15;

fn list(text: &str, given: &Given<'_>) -> Result<Vec<PortRange>, UsageError> {
    let fits = has_ports(given.protocol);
    if given.protocol_inverted || (given.protocol != 0 && !fits) {
        return Err(UsageError::parameter(
            "multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP",
        ));
    }
    if given.protocol == 0 {
        return Err(UsageError::parameter(
            "multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'",
        ));
    }
    let too_many = || UsageError::parameter("too many ports specified");
    let mut slots = 0;
    let mut ranges = Vec::new();
    for item in text.split(',') {
        slots += 1;
        if slots > MAX {
            return Err(too_many());
        }
        let Some((low, high)) = item.split_once(':') else {
            ranges.push(PortRange::single(port(item, given.protocol)?));
            continue;
        };
        let low = port(low, given.protocol)?;
        slots += 1;
        if slots > MAX {
            return Err(too_many());
        }
        let high = port(high, given.protocol)?;
        if low >= high {
            return Err(UsageError::parameter("invalid portrange specified"));
        }
        ranges.push(PortRange { low, high });
    }
    Ok(ranges)
}

const fn has_ports(number: u8) -> bool {
    matches!(
        number,
        protocol::TCP | protocol::UDP | protocol::UDPLITE | protocol::SCTP | protocol::DCCP
    )
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let asked = |which: Which| Some((which, given.get(which.option())?));
    let asked = [Which::Source, Which::Destination, Which::Either]
        .into_iter()
        .find_map(asked);
    let (which, asked) = asked.unwrap_or((Which::Either, Asked::default()));
    Ok(Arc::new(Multiport {
        which,
        asked,
        protocol: given.protocol,
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Multiport {
    which: Which,
    asked: Asked<Vec<PortRange>>,
    /// For names only.
    protocol: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Source,
    Destination,
    Either,
}

impl Which {
    fn option(self) -> Opt<Vec<PortRange>> {
        match self {
            Self::Source => SOURCE,
            Self::Destination => DESTINATION,
            Self::Either => EITHER,
        }
    }
}

impl Multiport {
    /// A packet that misses has these ports.
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<(u16, u16)>> {
        let &[s1, s0, d1, d0] = header(cx.packet, |bytes| bytes.first_chunk())?;
        let (source, destination) = (u16::from_be_bytes([s1, s0]), u16::from_be_bytes([d1, d0]));
        let found = self.asked.value.iter().any(|range| match self.which {
            Which::Source => range.contains(source),
            Which::Destination => range.contains(destination),
            Which::Either => range.contains(source) || range.contains(destination),
        });
        if !self.asked.fits(found) {
            return Err(Miss::Has((source, destination)));
        }
        Ok(())
    }
}

impl Match for Multiport {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn lower(&self) -> Lowered {
        let ranges = self.asked.value.as_slice().into();
        let field = match self.which {
            Which::Source => Field::SourcePort(ranges),
            Which::Destination => Field::DestinationPort(ranges),
            Which::Either => Field::EitherPort(ranges),
        };
        Lowered::exactly(vec![Condition::Header(4), Condition::new(field, self.asked.inverted)])
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "multiport: matches".to_owned(),
            Err(Miss::LaterFragment) => "multiport: packet is a later fragment without ports".to_owned(),
            Err(Miss::CutShort) => "multiport: packet is too short for ports".to_owned(),
            Err(Miss::Has((source, destination))) => {
                let mut out = String::new();
                self.save(&mut out);
                let _ = match self.which {
                    Which::Source => write!(out, ": packet has {source}"),
                    Which::Destination => write!(out, ": packet has {destination}"),
                    Which::Either => write!(out, ": packet has {source} and {destination}"),
                };
                out.split_off(1)
            }
        }
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} ", self.which.option().spelled(self.asked.inverted));
        for (index, &range) in self.asked.value.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _ = write!(out, "{comma}{}", Ports(range));
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        // Two spaces before the mark of inversion, one without it: so the tool has it.
        let bang = if self.asked.inverted { " !" } else { "" };
        let _ = write!(out, " multiport {} {bang}", self.which.option().name());
        for (index, range) in self.asked.value.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let port = |port| Port {
                port,
                protocol: self.protocol,
                numeric,
            };
            let _ = write!(out, "{comma}{}", port(range.low));
            if range.low != range.high {
                let _ = write!(out, ":{}", port(range.high));
            }
        }
    }
}

/// ` multiport dports  !80,443`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("multiport")?;
        let which = it.take()?;
        let option = SPEC.options.iter().find(|option| option.name == which)?;
        let mut options = Options::default();
        options.push_unless(it.take()?, option.name);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken(
            "-p tcp",
            "--dports http,https,1000:2000",
            "--dports 80,443,1000:2000",
            "multiport dports 80,443,1000:2000",
        )
        .named("multiport dports http,https,1000:cisco-sccp"),
        taken("-p tcp", "! --sports 1,2", "! --sports 1,2", "multiport sports  !1,2")
            .named("multiport sports  !tcpmux,2"),
        taken("-p tcp", "--source-ports 1,2", "--sports 1,2", "multiport sports 1,2")
            .named("multiport sports tcpmux,2"),
        taken("-p tcp", "--ports 1,2", "--ports 1,2", "multiport ports 1,2").named("multiport ports tcpmux,2"),
        taken(
            "-p tcp",
            "--dports 1:2,3:4,5:6,7:8,9:10,11:12,13:14,15",
            "--dports 1:2,3:4,5:6,7:8,9:10,11:12,13:14,15",
            "multiport dports 1:2,3:4,5:6,7:8,9:10,11:12,13:14,15",
        )
        .named("multiport dports tcpmux:2,3:4,5:6,echo:8,discard:10,systat:12,daytime:14,netstat"),
        taken("-p udp", "--dports domain", "--dports 53", "multiport dports 53").named("multiport dports domain"),
    ],
    refused: &[
        refused("-p tcp", "", "multiport expection an option"),
        refused(
            "-p tcp",
            "--dports 1,2 ! --sports 3,4",
            "multiport: option \"--source-ports\" cannot be used together with \"--destination-ports\".\n",
        ),
        refused(
            "-p tcp",
            "--dports 1,2 --dports 3",
            "multiport: option \"--destination-ports\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "--dports 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
            "too many ports specified",
        ),
        refused(
            "-p tcp",
            "--dports 1:2,3:4,5:6,7:8,9:10,11:12,13:14,15:16",
            "too many ports specified",
        ),
        refused("-p tcp", "--dports 2:1", "invalid portrange specified"),
        refused("-p tcp", "--dports 2:2", "invalid portrange specified"),
        refused("-p tcp", "--dports 1,,2", "invalid port/service `' specified"),
        refused("-p tcp", "--dports :5", "invalid port/service `' specified"),
        refused("-p tcp", "--dports 5:", "invalid port/service `' specified"),
        refused("-p tcp", "--dports 1:2:3", "invalid port/service `2:3' specified"),
        refused("-p tcp", "--dports 65536", "invalid port/service `65536' specified"),
        refused("-p udp", "--dports http", "invalid port/service `http' specified"),
        refused(
            "",
            "--dports 1",
            "multiport needs `-p tcp', `-p udp', `-p udplite', `-p sctp' or `-p dccp'",
        ),
        refused(
            "-p icmp",
            "--dports 1",
            "multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP",
        ),
        refused(
            "! -p tcp",
            "--dports 1",
            "multiport only works with TCP, UDP, UDPLITE, SCTP and DCCP",
        ),
        refused(
            "-p udplite",
            "--dports domain",
            "invalid port/service `domain' specified",
        ),
    ],
    packets: &[
        passes("-p tcp", "--dports 22,80", "tcp 10.0.0.2:1000 > 192.0.2.9:80 S"),
        passes("-p tcp", "--ports 1000", "tcp 10.0.0.2:1000 > 192.0.2.9:80 S"),
        fails(
            "-p tcp",
            "--dports 22,443:500",
            "tcp 10.0.0.2:1000 > 192.0.2.9:80 S",
            "--dports 22,443:500: packet has 80",
        ),
        fails(
            "-p tcp",
            "--sports 80",
            "tcp 10.0.0.2:1000 > 192.0.2.9:80 S",
            "--sports 80: packet has 1000",
        ),
        fails(
            "-p tcp",
            "! --ports 80",
            "tcp 10.0.0.2:1000 > 192.0.2.9:80 S",
            "! --ports 80: packet has 1000 and 80",
        ),
        fails(
            "-p tcp",
            "--ports 81",
            "hex 4500001c000100014006aecf0a000002c00002090000000000000000",
            "multiport: packet is a later fragment without ports",
        ),
    ],
    spellings: &[
        "-p tcp -m multiport --dports 80,443",
        "-p tcp -m multiport --dports 443,80",
        "-p tcp -m multiport --ports 80,443",
        "-p tcp -m multiport --destination-ports http,https",
        "-p tcp -m multiport ! --dports 80,443",
        "-p tcp -m multiport --dports 80:443",
        "-p tcp -m multiport --dports 80,443,443",
        "-p tcp -m multiport --dports 80",
        "-p tcp -m multiport --dports 80:80",
        "-p udp -m multiport --dports 80,443",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.protocol {
        Some(number) if has_ports(number) => 25,
        _ => 0,
    },
    |draw| {
        let which = draw.pick(&[DESTINATION, DESTINATION, SOURCE, EITHER]);
        let lists = [
            "22,53,80,1000:50000",
            "80",
            "21,22,25,80,443",
            "1:1023",
            "1:20,22:52,54:79,81:442,444:8079,8081:19999",
            "20000:20999,30000:31999",
            "1,2,3,4,5,6,7,8,9,10,11,12,13,14,80",
            "0,53",
        ];
        draw.give_one(&which.spec, &lists);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{Bench, TCP, ip, match_packets, tcp};

    #[test]
    fn packets() {
        let bench = Bench::new();
        let packet = tcp(1000, 80, 2, &[]);
        let cut = ip(protocol::TCP, 0, &[0, 80, 0]);
        let later = ip(protocol::TCP, 1, &[0; 8]);
        match_packets(
            &SPEC,
            TCP,
            &bench,
            &[
                ("--dports 22,80", &packet, ""),
                ("--ports 1000", &packet, ""),
                ("--dports 22,443:500", &packet, "--dports 22,443:500: packet has 80"),
                ("--sports 80", &packet, "--sports 80: packet has 1000"),
                ("! --ports 80", &packet, "! --ports 80: packet has 1000 and 80"),
                (
                    "--ports 81",
                    &later,
                    "multiport: packet is a later fragment without ports",
                ),
                ("--ports 81", &cut, "multiport: packet is too short for ports"),
            ],
        );
    }
}
