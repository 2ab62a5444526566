//! `-m pkttype`: whom the link layer says the packet is for.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, fails, passes, refused, taken};
use crate::packet::Packet;
use crate::rule::{Context, Effect, Match, Matched};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "pkttype",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[TYPE.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "whom the link layer says the packet is for",
    samples: SAMPLES,
};

const TYPE: Opt<&'static str> = Opt::own(
    "pkt-type",
    "unicast|broadcast|multicast|otherhost|host|bcast|mcast",
    &Read(|text, _| kind(text)),
    "it is for this host, for all on the link, for a group, or for another host",
)
.invertible()
.required();

const UNICAST: &str = "unicast";
const BROADCAST: &str = "broadcast";
const MULTICAST: &str = "multicast";

/// What may be typed, and what the tool makes of it.
const NAMES: [(&str, &str); 7] = [
    (UNICAST, UNICAST),
    (BROADCAST, BROADCAST),
    (MULTICAST, MULTICAST),
    ("otherhost", "otherhost"),
    ("host", UNICAST),
    ("bcast", BROADCAST),
    ("mcast", MULTICAST),
];

fn kind(text: &str) -> Result<&'static str, UsageError> {
    let known = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let known = known.map(|(_, kind)| *kind);
    known.ok_or_else(|| UsageError::parameter(format!("Bad packet type '{text}'")))
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let asked = given.get(TYPE).unwrap_or(Asked {
        value: UNICAST,
        inverted: false,
    });
    Ok(Arc::new(PacketType { asked }))
}

#[derive(Debug, PartialEq, Eq)]
struct PacketType {
    asked: Asked<&'static str>,
}

/// Seen: what a device without a link layer hands over, what comes by `lo` and what the host sends is for this host, whatever its address is. What the
/// host sends to many and hears itself the kernel calls by its address, as that is by now: what is no group is all on the link.
fn has(packet: &Packet) -> &'static str {
    match packet.heard_itself {
        false => UNICAST,
        true if packet.destination().is_multicast() => MULTICAST,
        true => BROADCAST,
    }
}

impl Match for PacketType {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.asked.fits(has(cx.packet) == self.asked.value).into()
    }

    fn effect(&self) -> Effect {
        Effect::PURE
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let Asked { value, inverted } = self.asked;
        format!("{} {value}: packet is {}", TYPE.spelled(inverted), has(cx.packet))
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", TYPE.spelled(self.asked.inverted), self.asked.value);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let sign = if self.asked.inverted { "!=" } else { "=" };
        let _ = write!(out, " PKTTYPE {sign} {}", self.asked.value);
    }
}

/// ` PKTTYPE != unicast`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("PKTTYPE")?;
        let inverted = match it.take()? {
            "=" => false,
            "!=" => true,
            _ => return None,
        };
        let mut options = Options::default();
        options.push(inverted, TYPE.name(), it.take()?);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--pkt-type unicast", "--pkt-type unicast", "PKTTYPE = unicast"),
        taken("", "! --pkt-type unicast", "! --pkt-type unicast", "PKTTYPE != unicast"),
        taken("", "--pkt-type HOST", "--pkt-type unicast", "PKTTYPE = unicast"),
        taken(
            "",
            "--pkt-type broadcast",
            "--pkt-type broadcast",
            "PKTTYPE = broadcast",
        ),
        taken("", "--pkt-type bcast", "--pkt-type broadcast", "PKTTYPE = broadcast"),
        taken(
            "",
            "! --pkt-type Multicast",
            "! --pkt-type multicast",
            "PKTTYPE != multicast",
        ),
        taken("", "--pkt-type mcast", "--pkt-type multicast", "PKTTYPE = multicast"),
        taken(
            "",
            "--pkt-type otherhost",
            "--pkt-type otherhost",
            "PKTTYPE = otherhost",
        ),
    ],
    refused: &[
        refused("", "", "pkttype: option \"--pkt-type\" must be specified\n"),
        refused("", "--pkt-type uni", "Bad packet type 'uni'"),
        refused("", "--pkt-type unicastx", "Bad packet type 'unicastx'"),
        refused("", "--pkt-type outgoing", "Bad packet type 'outgoing'"),
        refused("", "--pkt-type 1", "Bad packet type '1'"),
        refused("", "--pkt-type \"\"", "Bad packet type ''"),
        refused(
            "",
            "--pkt-type unicast --pkt-type multicast",
            "pkttype: option \"--pkt-type\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--pkt-type unicast", DATAGRAM),
        passes("", "! --pkt-type otherhost", DATAGRAM),
        fails(
            "",
            "--pkt-type broadcast",
            DATAGRAM,
            "--pkt-type broadcast: packet is unicast",
        ),
        fails(
            "",
            "! --pkt-type unicast",
            DATAGRAM,
            "! --pkt-type unicast: packet is unicast",
        ),
    ],
    spellings: &[
        "-m pkttype --pkt-type unicast",
        "-m pkttype --pkt-type host",
        "-m pkttype --pkt-type bcast",
        "-m pkttype --pkt-type BROADCAST",
        "-m pkttype ! --pkt-type host",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        let kinds = [
            "unicast",
            "broadcast",
            "multicast",
            "otherhost",
            "host",
            "bcast",
            "mcast",
        ];
        draw.give_one(&TYPE.spec, &kinds);
    },
)
.in_one_scenario_of(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::host;
    use crate::ext::testing::{ANY, Bench, match_packets, udp};
    use crate::packet::End;
    use crate::packet::testing;

    #[test]
    fn what_the_host_hears_itself_is_called_by_its_address() {
        let mut own = udp(1, 2, &[]);
        own.heard_itself = true;
        let mut group = own.clone();
        group.set_address(End::Destination, [224, 0, 0, 1].into());
        let mut group6 = testing::udp((host(Family::V6, 2), 1), ("ff02::1".parse().unwrap(), 2), b"");
        let came = group6.clone();
        group6.heard_itself = true;
        match_packets(
            &SPEC,
            ANY,
            &Bench::new(),
            &[
                ("--pkt-type broadcast", &own, ""),
                ("! --pkt-type unicast", &own, ""),
                ("--pkt-type multicast", &group, ""),
                ("--pkt-type multicast", &group6, ""),
                ("--pkt-type unicast", &came, ""),
                ("--pkt-type unicast", &group, "--pkt-type unicast: packet is multicast"),
            ],
        );
    }
}
