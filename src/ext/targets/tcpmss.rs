//! `-j TCPMSS`: holds down the largest segment size that a TCP SYN asks for, to a number or to what fits the path.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::{Family, protocol};
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::matches::tcp::wants_syn;
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::place::{invalid, only_protocol};
use crate::ext::samples::{Samples, passes, refused, taken};
use crate::ext::{NeedsOne, TargetSpec};
use crate::net::{Flow, OutputKey};
use crate::packet::{MssEdit, Packet};
use crate::rule::{
    Changes, Effect, Ends, Hook, HookSet, LogRecord, Refusal, Scope, StateUse, Target, TargetContext, TargetVerdict,
};
use crate::wire::{be16, tcp};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "TCPMSS",
    listed_as: "TCPMSS",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[SET.spec, CLAMP.spec],
    needs_one: Some(NeedsOne::Of {
        of: &[SET.name(), CLAMP.name()],
        message: "TCPMSS target: At least one parameter is required",
    }),
    exclusive: &[],
    build,
    unlist,
    about: "holds down the largest segment size (MSS) that a TCP SYN asks for",
    samples: SAMPLES,
};

const SET: Opt<u64> = Opt::integer("set-mss", 0, 65515, "to this number; it is never raised").at_most_in_ipv6(65495);
const CLAMP: Opt<()> = Opt::flag(
    "clamp-mss-to-pmtu",
    "to what fits the route of the packet, and the route back to its sender, less 40 bytes of headers, of IPv6 60",
);

/// Seen: both are taken together, and the last one counts.
fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let last = given.options.last().map(|option| option.spec.name);
    let most = match given.value(SET) {
        Some(mss) if last == Some(SET.name()) => Most::Is(mss as u16),
        _ => Most::FitsThePath,
    };
    Ok(Arc::new(Tcpmss { most }))
}

#[derive(Debug, PartialEq, Eq)]
struct Tcpmss {
    most: Most,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Most {
    Is(u16),
    FitsThePath,
}

/// Of the IP and the TCP header, both without options.
fn headers(family: Family) -> u32 {
    match family {
        Family::V4 => 40,
        Family::V6 => 60,
    }
}

/// A path that leaves no room for a segment: its MTU.
struct NoRoom(u32);

impl Most {
    fn for_packet(self, cx: &TargetContext<'_>) -> Result<u16, NoRoom> {
        let Self::Is(mss) = self else {
            let mtu = path_mtu(cx);
            return match mtu.checked_sub(headers(cx.packet.family())) {
                None | Some(0) => Err(NoRoom(mtu)),
                Some(mss) => Ok(mss as u16),
            };
        };
        Ok(mss)
    }
}

/// The smaller one of both ways, of which something may have been heard. The way back is looked up by the address alone: no mark, no interface.
fn path_mtu(cx: &TargetContext<'_>) -> u32 {
    let back = OutputKey {
        destination: cx.packet.source(),
        source: None,
        mark: 0,
        interface: None,
        tos: 0,
        flow: Flow::default(),
    };
    let back = cx.services.own_path_mtu(cx.net, back);
    let heard = cx.services.heard_of_path(cx.net, cx.packet);
    let all = [cx.way.map(|it| it.mtu), back, heard, Some(LARGEST_MTU)];
    all.into_iter().flatten().min().unwrap_or(LARGEST_MTU)
}

/// More the kernel takes of no device (`lo` has 65536).
const LARGEST_MTU: u32 = 65535;

impl Target for Tcpmss {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        // Whoever has no whole header is not measured, so the path is asked only then.
        if cx.packet.fragment_offset() != 0 {
            return TargetVerdict::Continue;
        }
        if cx.packet.tcp().is_none() {
            return TargetVerdict::Drop;
        }
        let most = match self.most.for_packet(cx) {
            Ok(most) => most,
            Err(NoRoom(mtu)) => {
                cx.services.log(LogRecord {
                    level: ERROR,
                    text: format!("xt_TCPMSS: unknown or invalid path-MTU ({mtu})"),
                });
                return TargetVerdict::Drop;
            }
        };
        match cx.packet.lower_mss(most) {
            MssEdit::Malformed => TargetVerdict::Drop,
            MssEdit::Stays | MssEdit::Lowered | MssEdit::Added => TargetVerdict::Continue,
        }
    }

    fn explain(&self, before: &Packet, after: &Packet) -> Option<String> {
        Some(match (mss(before), mss(after)) {
            (Some(before), Some(after)) if before != after => format!("MSS {before} becomes {after}"),
            (Some(stays), _) => format!("MSS {stays} is small enough and stays"),
            (None, Some(added)) => format!("it has no MSS and gets one of {added}"),
            (None, None) => "it has no MSS, and no room for one".to_owned(),
        })
    }

    /// A path without room is logged, and the router's addresses and routes stay while a packet is under way.
    fn effect(&self) -> Effect {
        let state = match self.most {
            Most::Is(_) => StateUse::None,
            Most::FitsThePath => StateUse::Writes,
        };
        Effect::PURE
            .with_state(state)
            .of_its_flow()
            .changing(Changes::NETWORK_HEADER.and(Changes::TRANSPORT))
            .ending(Ends::Perhaps)
    }

    fn save(&self, out: &mut String) {
        let _ = match self.most {
            Most::Is(mss) => write!(out, " {} {mss}", SET.spelled(false)),
            Most::FitsThePath => write!(out, " {}", CLAMP.spelled(false)),
        };
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = match self.most {
            Most::Is(mss) => write!(out, " {SETS} {mss}"),
            Most::FitsThePath => write!(out, " {CLAMPS}"),
        };
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_protocol(scope, "TCPMSS target", protocol::TCP)?;
        let routed = HookSet::of(&[Hook::Forward, Hook::Output, Hook::Postrouting]);
        if self.most == Most::FitsThePath && !scope.hooks.within(routed) {
            return Err(invalid(
                "xt_TCPMSS: path-MTU clamping only supported in FORWARD, OUTPUT and POSTROUTING hooks".to_owned(),
            ));
        }
        match scope.matches.iter().any(|test| wants_syn(test.as_ref())) {
            true => Ok(()),
            false => Err(invalid("xt_TCPMSS: Only works on TCP SYN packets".to_owned())),
        }
    }
}

fn mss(packet: &Packet) -> Option<u16> {
    let length = packet.tcp()?.header_length();
    let at = tcp::mss_at(&packet.transport()[..length])?;
    Some(be16(packet.transport(), at))
}

/// syslog's, as the kernel says it.
const ERROR: u8 = 3;
const SETS: &str = "TCPMSS set";
const CLAMPS: &str = "TCPMSS clamp to PMTU";

/// ` TCPMSS set 1400` or ` TCPMSS clamp to PMTU`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let mut options = Options::default();
        it.word(SPEC.name)?;
        if it.word("set").is_some() {
            options.push(false, SET.name(), it.take()?);
        } else {
            it.word("clamp")?;
            it.word("to")?;
            it.word("PMTU")?;
            options.push(false, CLAMP.name(), "");
        }
        Some(options)
    })
}

const SYN: &str = "-p tcp --syn";

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken(SYN, "--set-mss 1400", "--set-mss 1400", "TCPMSS set 1400"),
        taken(SYN, "--set-mss 0", "--set-mss 0", "TCPMSS set 0"),
        taken(SYN, "--set-mss 0x10", "--set-mss 16", "TCPMSS set 16"),
        taken(SYN, "--set-mss 010", "--set-mss 8", "TCPMSS set 8"),
        taken(SYN, "--set-mss \" 7\"", "--set-mss 7", "TCPMSS set 7"),
        taken(SYN, "--set-mss 65515", "--set-mss 65515", "TCPMSS set 65515").only(Family::V4),
        taken(SYN, "--set-mss 65495", "--set-mss 65495", "TCPMSS set 65495"),
        taken(
            SYN,
            "--clamp-mss-to-pmtu",
            "--clamp-mss-to-pmtu",
            "TCPMSS clamp to PMTU",
        ),
        taken(
            SYN,
            "--set-mss 5 --clamp-mss-to-pmtu",
            "--clamp-mss-to-pmtu",
            "TCPMSS clamp to PMTU",
        ),
        taken(SYN, "--clamp-mss-to-pmtu --set-mss 5", "--set-mss 5", "TCPMSS set 5"),
        taken(
            "-p tcp --tcp-flags SYN,RST SYN",
            "--set-mss 1000",
            "--set-mss 1000",
            "TCPMSS set 1000",
        ),
    ],
    refused: &[
        refused("", "", "TCPMSS target: At least one parameter is required"),
        refused(
            SYN,
            "--set-mss 65516",
            "TCPMSS: bad value for option \"--set-mss\", or out of range (0-65515).\n",
        )
        .only(Family::V4),
        refused(
            SYN,
            "--set-mss 65496",
            "TCPMSS: bad value for option \"--set-mss\", or out of range (0-65495).\n",
        )
        .only(Family::V6),
        refused(
            SYN,
            "--set-mss 1400x",
            "TCPMSS: bad value for option \"--set-mss\", or out of range (0-65515).\n",
        )
        .only(Family::V4),
        refused(
            SYN,
            "--set-mss 1 --set-mss 2",
            "TCPMSS: option \"--set-mss\" can only be used once.\n",
        ),
        refused(
            SYN,
            "! --set-mss 1",
            "TCPMSS: option \"--set-mss\" cannot be inverted.\n",
        ),
        refused(
            SYN,
            "--clamp-mss-to-pmtu --clamp-mss-to-pmtu",
            "TCPMSS: option \"--clamp-mss-to-pmtu\" can only be used once.\n",
        ),
        refused(
            SYN,
            "! --clamp-mss-to-pmtu",
            "TCPMSS: option \"--clamp-mss-to-pmtu\" cannot be inverted.\n",
        ),
    ],
    packets: &[
        passes(SYN, "--set-mss 1000", "tcp 10.0.0.2:1 > 192.0.2.9:2 S mss 1460"),
        passes(SYN, "--set-mss 1000", "tcp 10.0.0.2:1 > 192.0.2.9:2 S"),
        passes(SYN, "--clamp-mss-to-pmtu", "tcp 10.0.0.2:1 > 192.0.2.9:2 S mss 9000"),
    ],
    spellings: &[
        "-p tcp --syn -j TCPMSS --set-mss 1460",
        "-p tcp --syn -j TCPMSS --set-mss 0x5b4",
        "-p tcp --syn -j TCPMSS --clamp-mss-to-pmtu --set-mss 1460",
        "-p tcp --syn -j TCPMSS --clamp-mss-to-pmtu",
        "-p tcp --syn -j TCPMSS --set-mss 1 --clamp-mss-to-pmtu",
        "-p tcp --syn -j TCPMSS --set-mss 65515",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.protocol {
        Some(protocol::TCP) => 12,
        _ => 0,
    },
    |draw| {
        let clamps = draw.place.is_within(&[Hook::Forward, Hook::Output, Hook::Postrouting]) && draw.one_in(2);
        if clamps {
            draw.give(&CLAMP.spec, "");
        } else {
            draw.give_one(
                &SET.spec,
                &[
                    "0", "1", "300", "535", "536", "537", "1000", "1400", "1459", "1460", "65495",
                ],
            );
        }
    },
)
.behind(" -m tcp --tcp-flags SYN SYN")
.in_one_scenario_of(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::matches;
    use crate::ext::testing::{ANY, Bench, P, TCP, UDP, ip, placed_behind, read_match, read_target, tcp, udp};
    use crate::rule::{Table, WayOut};

    #[test]
    fn places() {
        let (set, clamp) = ("--set-mss 1400", "--clamp-mss-to-pmtu");
        let syn = "xt_TCPMSS: Only works on TCP SYN packets";
        let hooks = "xt_TCPMSS: path-MTU clamping only supported in FORWARD, OUTPUT and POSTROUTING hooks";
        let protocol = "x_tables: ip_tables: TCPMSS target: only valid for protocol 6";
        for (typed, p, asked, hook, said) in [
            (set, TCP, "--syn", Hook::Prerouting, None),
            (set, TCP, "--tcp-flags ALL SYN,ACK", Hook::Input, None),
            (set, TCP, "--tcp-flags NONE SYN", Hook::Input, None),
            (clamp, TCP, "--syn", Hook::Forward, None),
            (clamp, TCP, "--syn", Hook::Input, Some(hooks)),
            (clamp, TCP, "--syn", Hook::Prerouting, Some(hooks)),
            (set, TCP, "! --syn", Hook::Forward, Some(syn)),
            (set, TCP, "--tcp-flags ACK,SYN ACK", Hook::Forward, Some(syn)),
            (set, TCP, "", Hook::Forward, Some(syn)),
            (set, UDP, "--syn", Hook::Forward, Some(protocol)),
            (set, ANY, "--syn", Hook::Forward, Some(protocol)),
            (set, P(protocol::TCP, true), "--syn", Hook::Forward, Some(protocol)),
        ] {
            let made = read_target(&SPEC, p, typed).unwrap();
            let behind = [read_match(&matches::tcp::SPEC, TCP, asked).unwrap()];
            let checked = placed_behind(&behind, p, Table::Mangle, &[hook], |scope| made.check(scope));
            assert_eq!(checked.err().as_deref(), said, "{typed} behind {asked} at {hook:?}");
        }
        let made = read_target(&SPEC, TCP, set).unwrap();
        let checked = placed_behind(&[], TCP, Table::Mangle, &[Hook::Forward], |scope| made.check(scope));
        assert_eq!(checked.err().as_deref(), Some(syn));
    }

    /// The bench's router knows no way back but to 10.0.0.0/24.
    #[test]
    fn what_is_asked_for_and_what_is_said() {
        for (typed, path, options, after, said) in [
            (
                "--set-mss 1400",
                None,
                &[2, 4, 5, 180][..],
                Some(1400),
                "MSS 1460 becomes 1400",
            ),
            (
                "--set-mss 1460",
                None,
                &[2, 4, 5, 180],
                Some(1460),
                "MSS 1460 is small enough and stays",
            ),
            (
                "--set-mss 1400",
                None,
                &[],
                Some(536),
                "it has no MSS and gets one of 536",
            ),
            (
                "--set-mss 9",
                None,
                &[1; 40],
                None,
                "it has no MSS, and no room for one",
            ),
            (
                "--clamp-mss-to-pmtu",
                Some(1000),
                &[2, 4, 5, 180],
                Some(960),
                "MSS 1460 becomes 960",
            ),
            // The way back.
            (
                "--clamp-mss-to-pmtu",
                Some(9000),
                &[2, 4, 9, 9],
                Some(1460),
                "MSS 2313 becomes 1460",
            ),
        ] {
            let (mut bench, ..) = Bench::with_addresses();
            bench.way = path.map(|mtu| WayOut { gateway: None, mtu });
            let made = read_target(&SPEC, TCP, typed).unwrap();
            let mut packet = tcp(1000, 80, 2, options);
            let before = packet.clone();
            assert_eq!(
                bench.apply(made.as_ref(), &mut packet),
                TargetVerdict::Continue,
                "{typed}"
            );
            assert_eq!(mss(&packet), after, "{typed}");
            assert_eq!(made.explain(&before, &packet).as_deref(), Some(said));
        }
    }

    #[test]
    fn a_path_without_room_drops_and_is_logged() {
        let (mut bench, ..) = Bench::with_addresses();
        let made = read_target(&SPEC, TCP, "--clamp-mss-to-pmtu").unwrap();
        for (mtu, verdict) in [(40, TargetVerdict::Drop), (41, TargetVerdict::Continue)] {
            bench.way = Some(WayOut { gateway: None, mtu });
            assert_eq!(bench.apply(made.as_ref(), &mut tcp(1, 2, 2, &[])), verdict);
        }
        assert_eq!(
            bench.logged,
            [LogRecord {
                level: 3,
                text: "xt_TCPMSS: unknown or invalid path-MTU (40)".to_owned()
            }]
        );
    }

    #[test]
    fn what_has_no_header() {
        let made = read_target(&SPEC, TCP, "--set-mss 9").unwrap();
        for (mut packet, verdict) in [
            (ip(protocol::TCP, 3, &[0; 24]), TargetVerdict::Continue),
            (ip(protocol::TCP, 0, &[0; 19]), TargetVerdict::Drop),
            (ip(protocol::TCP, 0, &[0; 24]), TargetVerdict::Drop),
            (udp(1, 2, &[]), TargetVerdict::Drop),
        ] {
            assert_eq!(Bench::new().apply(made.as_ref(), &mut packet), verdict);
        }
    }
}
