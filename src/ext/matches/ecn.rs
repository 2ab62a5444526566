//! `-m ecn`: what a packet says of congestion (RFC 3168): two bits of the network header, two flags of TCP.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::{Family, protocol};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Spelled, UsageError};
use crate::ext::place::invalid;
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::ext::service;
use crate::ext::{MatchSpec, NeedsOne};
use crate::packet::Packet;
use crate::rule::{Context, Effect, HangsOn, Match, Matched, Refusal, Scope};
use crate::wire::tcp::{MIN_HEADER, flags};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "ecn",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[ECE.spec, CWR.spec, ECT.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "what the packet says of congestion",
    samples: SAMPLES,
};

const ECE: Opt<()> = Opt::flag(
    "ecn-tcp-ece",
    "the segment has ECE set: its sender heard of congestion; behind -p tcp",
)
.invertible();
const CWR: Opt<()> = Opt::flag(
    "ecn-tcp-cwr",
    "the segment has CWR set: its sender sends less now; behind -p tcp",
)
.invertible();
const ECT: Opt<u64> = Opt::integer(
    "ecn-ip-ect",
    0,
    3,
    "the two bits of the network header are these: 0 takes no part, 1 and 2 do, 3 met congestion",
)
.invertible();

const NEEDS_ONE: &str = "ECN match: some option required";

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let ect = given.get(ECT).map(|asked| Asked {
        value: asked.value as u8,
        inverted: asked.inverted,
    });
    let is_set = |option| given.get(option).map(|asked| !asked.inverted);
    Ok(Arc::new(Ecn {
        ece: is_set(ECE),
        cwr: is_set(CWR),
        ect,
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Ecn {
    /// Whether the flag is to be set.
    ece: Option<bool>,
    cwr: Option<bool>,
    ect: Option<Asked<u8>>,
}

/// The first part that a packet failed.
enum Miss {
    Ect(Asked<u8>, u8),
    /// There are not as many bytes as a header without options has.
    CutShort,
    /// As it was asked for, and whether it was to be set.
    Flag(Spelled, bool),
}

impl Ecn {
    /// The flags that are asked for, each as it is typed, in the order that the tool prints.
    fn flags(&self) -> impl Iterator<Item = (u8, Spelled, bool)> {
        let ece = self.ece.map(|is_set| (flags::ECE, ECE.spelled(!is_set), is_set));
        let cwr = self.cwr.map(|is_set| (flags::CWR, CWR.spelled(!is_set), is_set));
        ece.into_iter().chain(cwr)
    }

    fn check(&self, packet: &Packet) -> Result<(), Miss> {
        let has = packet.tos() & service::ECN;
        if let Some(ect) = self.ect.filter(|ect| !ect.fits(has == ect.value)) {
            return Err(Miss::Ect(ect, has));
        }
        for (flag, typed, is_set) in self.flags() {
            let has = header(packet).ok_or(Miss::CutShort)?[13];
            if (has & flag != 0) != is_set {
                return Err(Miss::Flag(typed, is_set));
            }
        }
        Ok(())
    }

    fn asks_for_flags(&self) -> bool {
        self.flags().next().is_some()
    }
}

/// Seen: what a later fragment begins with is taken for a TCP header; of one of IPv6 the packet's own front is, since nobody has found where its transport
/// begins.
fn header(packet: &Packet) -> Option<&[u8; MIN_HEADER]> {
    let is_lost = packet.family() == Family::V6 && packet.fragment_offset() != 0;
    let front = if is_lost { packet.bytes() } else { packet.transport() };
    front.first_chunk()
}

impl Match for Ecn {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx.packet).is_ok().into()
    }

    fn effect(&self) -> Effect {
        match self.asks_for_flags() {
            true => Effect::PURE,
            false => Effect::PURE.hanging_on(HangsOn::Plain),
        }
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx.packet) {
            Ok(()) => "ecn: matches".to_owned(),
            Err(Miss::Ect(ect, has)) => {
                format!("{} {}: packet has {has}", ECT.spelled(ect.inverted), ect.value)
            }
            Err(Miss::CutShort) => "ecn: packet's TCP header is cut short".to_owned(),
            Err(Miss::Flag(typed, is_set)) => {
                let has = if is_set { "packet has it not" } else { "packet has it" };
                format!("{typed}: {has}")
            }
        }
    }

    fn save(&self, out: &mut String) {
        for (_, typed, _) in self.flags() {
            let _ = write!(out, " {typed}");
        }
        if let Some(ect) = self.ect {
            let _ = write!(out, " {} {}", ECT.spelled(ect.inverted), ect.value);
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let not = |inverted| if inverted { "!" } else { "" };
        out.push_str(" ECN match");
        for (flag, _, is_set) in self.flags() {
            let name = if flag == flags::ECE { "ECE" } else { "CWR" };
            let _ = write!(out, " {}{name}", not(!is_set));
        }
        if let Some(ect) = self.ect {
            let _ = write!(out, " {}ECT={}", not(ect.inverted), ect.value);
        }
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        let selector = scope.selector;
        let is_tcp = selector.protocol == protocol::TCP && !selector.protocol_inverted;
        match self.asks_for_flags() && !is_tcp {
            true => Err(invalid("xt_ecn: cannot match TCP bits for non-tcp packets".to_owned())),
            false => Ok(()),
        }
    }
}

/// ` ECN match !ECE CWR ECT=1`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("ECN")?;
        it.word("match")?;
        let mut options = Options::default();
        while let Some(word) = it.peek() {
            let (inverted, word) = match word.strip_prefix('!') {
                Some(word) => (true, word),
                None => (false, word),
            };
            match word {
                "ECE" => options.push(inverted, ECE.name(), ""),
                "CWR" => options.push(inverted, CWR.name(), ""),
                _ => match word.strip_prefix("ECT=") {
                    Some(value) => options.push(inverted, ECT.name(), value),
                    None => break,
                },
            }
            it.take();
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p tcp", "--ecn-tcp-ece", "--ecn-tcp-ece", "ECN match ECE"),
        taken("-p tcp", "! --ecn-tcp-ece", "! --ecn-tcp-ece", "ECN match !ECE"),
        taken("-p tcp", "--ecn-tcp-cwr", "--ecn-tcp-cwr", "ECN match CWR"),
        taken("-p tcp", "! --ecn-tcp-cwr", "! --ecn-tcp-cwr", "ECN match !CWR"),
        taken("", "--ecn-ip-ect 0x3", "--ecn-ip-ect 3", "ECN match ECT=3"),
        taken("-p udp", "! --ecn-ip-ect 0", "! --ecn-ip-ect 0", "ECN match !ECT=0"),
        taken(
            "-p tcp",
            "--ecn-ip-ect 1 --ecn-tcp-cwr --ecn-tcp-ece",
            "--ecn-tcp-ece --ecn-tcp-cwr --ecn-ip-ect 1",
            "ECN match ECE CWR ECT=1",
        ),
        taken(
            "-p tcp",
            "! --ecn-tcp-cwr --ecn-tcp-ece ! --ecn-ip-ect 2",
            "--ecn-tcp-ece ! --ecn-tcp-cwr ! --ecn-ip-ect 2",
            "ECN match ECE !CWR !ECT=2",
        ),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused(
            "",
            "--ecn-ip-ect 4",
            "ecn: bad value for option \"--ecn-ip-ect\", or out of range (0-3).\n",
        ),
        refused(
            "",
            "--ecn-ip-ect -1",
            "ecn: bad value for option \"--ecn-ip-ect\", or out of range (0-3).\n",
        ),
        refused(
            "",
            "--ecn-ip-ect 1 --ecn-ip-ect 2",
            "ecn: option \"--ecn-ip-ect\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "--ecn-tcp-ece ! --ecn-tcp-ece",
            "ecn: option \"--ecn-tcp-ece\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "--ecn-tcp-cwr --ecn-tcp-cwr",
            "ecn: option \"--ecn-tcp-cwr\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--ecn-ip-ect 0", DATAGRAM),
        passes("", "--ecn-ip-ect 3", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xff"),
        passes("", "! --ecn-ip-ect 2", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 1"),
        passes("-p tcp", "--ecn-tcp-ece", "tcp 10.0.0.2:1 > 192.0.2.9:2 SEW"),
        passes(
            "-p tcp",
            "--ecn-tcp-cwr ! --ecn-tcp-ece",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SW",
        ),
        passes("-p tcp", "! --ecn-tcp-cwr", "tcp 10.0.0.2:1 > 192.0.2.9:2 SE"),
        passes(
            "-p tcp",
            "--ecn-tcp-ece --ecn-ip-ect 2",
            "tcp [2001:db8::2]:1 > [2001:db8:1::9]:2 SE tclass 2",
        ),
        fails(
            "",
            "--ecn-ip-ect 2",
            "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xfd",
            "--ecn-ip-ect 2: packet has 1",
        ),
        fails("", "! --ecn-ip-ect 0", DATAGRAM, "! --ecn-ip-ect 0: packet has 0"),
        fails(
            "-p tcp",
            "--ecn-tcp-ece",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SW",
            "--ecn-tcp-ece: packet has it not",
        ),
        fails(
            "-p tcp",
            "! --ecn-tcp-ece --ecn-tcp-cwr",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SEW",
            "! --ecn-tcp-ece: packet has it",
        ),
        fails(
            "-p tcp",
            "--ecn-tcp-ece --ecn-tcp-cwr --ecn-ip-ect 0",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SE",
            "--ecn-tcp-cwr: packet has it not",
        ),
        fails(
            "-p tcp",
            "! --ecn-tcp-cwr",
            "tcp [2001:db8::2]:1 > [2001:db8:1::9]:2 SW",
            "! --ecn-tcp-cwr: packet has it",
        ),
    ],
    spellings: &[
        "-p tcp -m ecn --ecn-tcp-ece",
        "-p tcp -m ecn ! --ecn-tcp-ece",
        "-p tcp -m ecn --ecn-tcp-ece --ecn-ip-ect 0",
        "-m ecn --ecn-ip-ect 0",
        "-m ecn --ecn-ip-ect 0x0",
        "-m ecn ! --ecn-ip-ect 0",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        if draw.place.protocol == Some(protocol::TCP) {
            draw.maybe_flag(2, &ECE.spec);
            draw.maybe_flag(2, &CWR.spec);
        }
        draw.give_one(&ECT.spec, &["0", "0", "1", "2", "3"]);
    },
)
.in_one_scenario_of(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, P, TCP, ip, match_packets, match_places};
    use crate::rule::{Hook, Table};

    #[test]
    fn places() {
        const SAID: &str = "xt_ecn: cannot match TCP bits for non-tcp packets";
        for (p, typed, said) in [
            (ANY, "--ecn-ip-ect 1", ""),
            (TCP, "--ecn-tcp-ece", ""),
            (ANY, "--ecn-tcp-ece", SAID),
            (P(protocol::TCP, true), "! --ecn-tcp-cwr", SAID),
            (P(protocol::UDP, false), "--ecn-tcp-cwr --ecn-ip-ect 1", SAID),
        ] {
            match_places(&SPEC, p, typed, &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    #[test]
    fn headers_cut_short() {
        let (short, whole) = ([0xff; 19], [0xff; 20]);
        let [short, whole] = [&short[..], &whole].map(|segment| ip(protocol::TCP, 0, segment));
        const SAID: &str = "ecn: packet's TCP header is cut short";
        match_packets(
            &SPEC,
            TCP,
            &Bench::new(),
            &[
                ("--ecn-tcp-ece", &whole, ""),
                ("--ecn-tcp-ece", &short, SAID),
                ("! --ecn-tcp-cwr", &short, SAID),
                ("--ecn-ip-ect 0", &short, ""),
            ],
        );
    }
}
