//! `-j ECN`: writes what an IPv4 packet says of congestion: two bits of its header, two flags of TCP.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::{Family, protocol};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::place::{invalid, only_table};
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::ext::service;
use crate::ext::{NeedsOne, TargetSpec};
use crate::packet::Packet;
use crate::rule::{Changes, Effect, Ends, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};
use crate::wire::tcp::flags;

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "ECN",
    listed_as: "ECN",
    families: &[Family::V4],
    like: None,
    options: &[REMOVE.spec, CWR.spec, ECE.spec, ECT.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[],
        message: NEEDS_ONE,
    }),
    exclusive: &[&[REMOVE.name(), CWR.name()], &[REMOVE.name(), ECE.name()]],
    build,
    unlist,
    about: "writes what the packet says of congestion",
    samples: SAMPLES,
};

const REMOVE: Opt<()> = Opt::flag("ecn-tcp-remove", "clear both flags of TCP; behind -p tcp");
const CWR: Opt<u64> = Opt::integer("ecn-tcp-cwr", 0, 1, "the flag CWR becomes this; behind -p tcp");
const ECE: Opt<u64> = Opt::integer("ecn-tcp-ece", 0, 1, "the flag ECE becomes this; behind -p tcp");
const ECT: Opt<u64> = Opt::integer("ecn-ip-ect", 0, 3, "the two bits of the network header become these");

const NEEDS_ONE: &str = "ECN target: An operation is required";

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let removed = given.get(REMOVE).map(|_| false);
    let flag = |option| given.value(option).map(|value| value == 1).or(removed);
    Ok(Arc::new(Ecn {
        ece: flag(ECE),
        cwr: flag(CWR),
        ect: given.value(ECT).map(|value| value as u8),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Ecn {
    ece: Option<bool>,
    cwr: Option<bool>,
    ect: Option<u8>,
}

impl Ecn {
    /// The flags that are written, and what they become.
    fn flags(&self) -> (u8, u8) {
        let bits = |flag, written: Option<bool>| match written {
            Some(is_set) => (flag, if is_set { flag } else { 0 }),
            None => (0, 0),
        };
        let (ece, cwr) = (bits(flags::ECE, self.ece), bits(flags::CWR, self.cwr));
        (ece.0 | cwr.0, ece.1 | cwr.1)
    }

    /// The tool has a word for both flags cleared and nothing else.
    fn removes(&self) -> bool {
        *self
            == Self {
                ece: Some(false),
                cwr: Some(false),
                ect: None,
            }
    }
}

impl Target for Ecn {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        let packet = &mut *cx.packet;
        if let Some(ect) = self.ect {
            packet.set_tos(packet.tos() & !service::ECN | ect);
        }
        let (which, to) = self.flags();
        if which != 0 && packet.protocol() == protocol::TCP && !packet.set_tcp_flags(which, to) {
            return TargetVerdict::Drop;
        }
        TargetVerdict::Continue
    }

    fn explain(&self, before: &Packet, after: &Packet) -> Option<String> {
        let mut told = Vec::new();
        if self.ect.is_some() {
            let [before, after] = [before, after].map(|packet| packet.tos() & service::ECN);
            told.push(match before == after {
                true => format!("ECT {before} stays"),
                false => format!("ECT {before} becomes {after}"),
            });
        }
        for (name, flag, written) in [("ECE", flags::ECE, self.ece), ("CWR", flags::CWR, self.cwr)] {
            let has = |packet: &Packet| packet.transport().get(13).map(|has| u8::from(has & flag != 0));
            if let (Some(_), Some(before), Some(after)) = (written, has(before), has(after)) {
                told.push(match before == after {
                    true => format!("{name} {before} stays"),
                    false => format!("{name} {before} becomes {after}"),
                });
            }
        }
        Some(told.join(", "))
    }

    fn effect(&self) -> Effect {
        let network = match self.ect {
            Some(_) => Changes::NETWORK_HEADER,
            None => Changes::NONE,
        };
        match self.flags() {
            (0, _) => Effect::PURE.changing(network),
            _ => Effect::PURE
                .changing(network.and(Changes::TRANSPORT))
                .ending(Ends::Perhaps),
        }
    }

    fn save(&self, out: &mut String) {
        if self.removes() {
            let _ = write!(out, " {}", REMOVE.spelled(false));
            return;
        }
        for (option, written) in [(ECE, self.ece), (CWR, self.cwr)] {
            if let Some(is_set) = written {
                let _ = write!(out, " {} {}", option.spelled(false), u8::from(is_set));
            }
        }
        if let Some(ect) = self.ect {
            let _ = write!(out, " {} {ect}", ECT.spelled(false));
        }
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" ECN");
        if self.removes() {
            out.push_str(" TCP remove");
            return;
        }
        for (name, written) in [("ECE", self.ece), ("CWR", self.cwr)] {
            if let Some(is_set) = written {
                let _ = write!(out, " {name}={}", u8::from(is_set));
            }
        }
        if let Some(ect) = self.ect {
            let _ = write!(out, " ECT codepoint={ect}");
        }
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "ECN target", Table::Mangle)?;
        let selector = scope.selector;
        let is_tcp = selector.protocol == protocol::TCP && !selector.protocol_inverted;
        match self.flags().0 != 0 && !is_tcp {
            true => Err(invalid("ipt_ECN: cannot use operation on non-tcp rule".to_owned())),
            false => Ok(()),
        }
    }
}

/// ` ECN TCP remove`, ` ECN ECE=1 CWR=0 ECT codepoint=2`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("ECN")?;
        let mut options = Options::default();
        if it.word("TCP").is_some() {
            it.word("remove")?;
            options.push(false, REMOVE.name(), "");
            return Some(options);
        }
        if let Some(value) = it.after("ECE=") {
            options.push(false, ECE.name(), value);
        }
        if let Some(value) = it.after("CWR=") {
            options.push(false, CWR.name(), value);
        }
        if it.word("ECT").is_some() {
            options.push(false, ECT.name(), it.after("codepoint=")?);
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken("-p tcp", "--ecn-tcp-remove", "--ecn-tcp-remove", "ECN TCP remove"),
        taken(
            "-p tcp",
            "--ecn-tcp-cwr 0 --ecn-tcp-ece 0",
            "--ecn-tcp-remove",
            "ECN TCP remove",
        ),
        taken("-p tcp", "--ecn-tcp-cwr 1", "--ecn-tcp-cwr 1", "ECN CWR=1"),
        taken("-p tcp", "--ecn-tcp-cwr 0", "--ecn-tcp-cwr 0", "ECN CWR=0"),
        taken("-p tcp", "--ecn-tcp-ece 0x1", "--ecn-tcp-ece 1", "ECN ECE=1"),
        taken(
            "-p tcp",
            "--ecn-tcp-cwr 1 --ecn-tcp-ece 0",
            "--ecn-tcp-ece 0 --ecn-tcp-cwr 1",
            "ECN ECE=0 CWR=1",
        ),
        taken("", "--ecn-ip-ect 0", "--ecn-ip-ect 0", "ECN ECT codepoint=0"),
        taken("-p udp", "--ecn-ip-ect 3", "--ecn-ip-ect 3", "ECN ECT codepoint=3"),
        taken(
            "-p tcp",
            "--ecn-ip-ect 1 --ecn-tcp-cwr 0",
            "--ecn-tcp-cwr 0 --ecn-ip-ect 1",
            "ECN CWR=0 ECT codepoint=1",
        ),
        taken(
            "-p tcp",
            "--ecn-tcp-remove --ecn-ip-ect 1",
            "--ecn-tcp-ece 0 --ecn-tcp-cwr 0 --ecn-ip-ect 1",
            "ECN ECE=0 CWR=0 ECT codepoint=1",
        ),
    ],
    refused: &[
        refused("", "", NEEDS_ONE),
        refused(
            "-p tcp",
            "--ecn-tcp-cwr 2",
            "ECN: bad value for option \"--ecn-tcp-cwr\", or out of range (0-1).\n",
        ),
        refused(
            "-p tcp",
            "--ecn-tcp-ece x",
            "ECN: bad value for option \"--ecn-tcp-ece\", or out of range (0-1).\n",
        ),
        refused(
            "",
            "--ecn-ip-ect 4",
            "ECN: bad value for option \"--ecn-ip-ect\", or out of range (0-3).\n",
        ),
        refused(
            "",
            "--ecn-ip-ect 1 --ecn-ip-ect 2",
            "ECN: option \"--ecn-ip-ect\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "--ecn-tcp-remove --ecn-tcp-remove",
            "ECN: option \"--ecn-tcp-remove\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "--ecn-tcp-cwr 1 --ecn-tcp-remove",
            "ECN: option \"--ecn-tcp-remove\" cannot be used together with \"--ecn-tcp-cwr\".\n",
        ),
        refused(
            "-p tcp",
            "--ecn-tcp-remove --ecn-tcp-ece 0",
            "ECN: option \"--ecn-tcp-remove\" cannot be used together with \"--ecn-tcp-ece\".\n",
        ),
        refused(
            "-p tcp",
            "! --ecn-tcp-remove",
            "ECN: option \"--ecn-tcp-remove\" cannot be inverted.\n",
        ),
    ],
    packets: &[
        passes("", "--ecn-ip-ect 2", DATAGRAM),
        passes("", "--ecn-ip-ect 0", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 0xff"),
        passes("", "--ecn-ip-ect 1", "udp 10.0.0.2:1 > 192.0.2.9:2 tos 1"),
        passes("-p tcp", "--ecn-tcp-remove", "tcp 10.0.0.2:1 > 192.0.2.9:2 SEW"),
        passes(
            "-p tcp",
            "--ecn-tcp-cwr 1",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 S data 0x010203",
        ),
        passes(
            "-p tcp",
            "--ecn-tcp-ece 1 --ecn-ip-ect 3",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SE",
        ),
        passes(
            "-p tcp",
            "--ecn-tcp-ece 0 --ecn-tcp-cwr 1",
            "tcp 10.0.0.2:1 > 192.0.2.9:2 SE",
        ),
    ],
    spellings: &[
        "-p tcp -j ECN --ecn-tcp-remove",
        "-p tcp -j ECN --ecn-tcp-ece 0 --ecn-tcp-cwr 0",
        "-p tcp -j ECN --ecn-tcp-cwr 0",
        "-p tcp -j ECN --ecn-tcp-cwr 1",
        "-p tcp -j ECN --ecn-tcp-cwr 0 --ecn-ip-ect 0",
        "-p tcp -j ECN --ecn-ip-ect 0",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.table {
        Table::Mangle => 25,
        _ => 0,
    },
    |draw| {
        let is_tcp = draw.place.protocol == Some(protocol::TCP);
        match draw.below(4) {
            0 if is_tcp => draw.give(&REMOVE.spec, ""),
            1 if is_tcp => draw.give_one(&CWR.spec, &["0", "1"]),
            2 if is_tcp => {
                draw.give_one(&ECE.spec, &["0", "1"]);
                draw.maybe(2, &CWR.spec, &["0", "1"]);
                draw.maybe(2, &ECT.spec, &["0", "3"]);
            }
            _ => draw.give_one(&ECT.spec, &["0", "1", "2", "3"]),
        }
    },
)
.in_one_scenario_of(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, P, TCP, ip, read_target, target_places, tcp, udp};
    use crate::rule::Hook;
    use crate::wire::checksum;

    #[test]
    fn places() {
        const SAID: &str = "ipt_ECN: cannot use operation on non-tcp rule";
        let elsewhere = "x_tables: ip_tables: ECN target: only valid in mangle table, not filter";
        for (p, typed, table, said) in [
            (TCP, "--ecn-tcp-remove", Table::Mangle, ""),
            (ANY, "--ecn-ip-ect 1", Table::Mangle, ""),
            (ANY, "--ecn-tcp-remove", Table::Mangle, SAID),
            (P(protocol::TCP, true), "--ecn-tcp-ece 1", Table::Mangle, SAID),
            (ANY, "--ecn-tcp-cwr 1", Table::Filter, elsewhere),
        ] {
            target_places(&SPEC, p, typed, &[(table, &[Hook::Output], said)]);
        }
    }

    #[test]
    fn what_is_written_and_what_is_said() {
        for (typed, tos, before, after, said) in [
            (
                "--ecn-tcp-remove",
                0xff,
                0xc2,
                (0xff, 0x02),
                "ECE 1 becomes 0, CWR 1 becomes 0",
            ),
            ("--ecn-tcp-cwr 1", 0, 0x42, (0, 0xc2), "CWR 0 becomes 1"),
            (
                "--ecn-tcp-ece 1 --ecn-ip-ect 2",
                0xb9,
                0x42,
                (0xba, 0x42),
                "ECT 1 becomes 2, ECE 1 stays",
            ),
            ("--ecn-ip-ect 0", 0xb8, 0xc2, (0xb8, 0xc2), "ECT 0 stays"),
        ] {
            let made = read_target(&SPEC, TCP, typed).unwrap();
            let mut packet = tcp(1, 2, before, &[]);
            packet.set_tos(tos);
            let came = packet.clone();
            assert_eq!(Bench::new().apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
            assert_eq!((packet.tos(), packet.transport()[13]), after, "{typed}");
            assert_eq!(made.explain(&came, &packet).as_deref(), Some(said), "{typed}");
            let sum = checksum::transport(packet.source(), packet.destination(), protocol::TCP, packet.transport());
            assert!(sum == 0 && packet.ipv4().unwrap().checksum_is_right(), "{typed}");
        }
    }

    #[test]
    fn headers_cut_short_are_dropped_and_others_than_tcp_stay() {
        let made = read_target(&SPEC, TCP, "--ecn-tcp-remove").unwrap();
        let mut bench = Bench::new();
        assert_eq!(
            bench.apply(made.as_ref(), &mut ip(protocol::TCP, 0, &[0xff; 19])),
            TargetVerdict::Drop
        );
        let mut other = udp(1, 2, &[0xff; 20]);
        let came = other.clone();
        assert_eq!(bench.apply(made.as_ref(), &mut other), TargetVerdict::Continue);
        assert_eq!(other.bytes(), came.bytes());
    }
}
