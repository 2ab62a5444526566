//! `-j REJECT`: drops the packet and tells its sender.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::{Family, protocol};
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, OwnWords, Read, UsageError, WordPair};
use crate::ext::place::{invalid, only_table};
use crate::ext::samples::{Samples, Taken, refused, taken};
use crate::net::Unreachable;
use crate::rule::{Effect, Ends, Refusal, Rejection, Scope, Table, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "REJECT",
    listed_as: "REJECT",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[WITH.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    about: "drops the packet and tells its sender",
    samples: SAMPLES,
};

const WITH: Opt<Rejection> = Opt::own(
    "reject-with",
    "KIND",
    &Read(|text, given| kind(text, given.family)),
    "what the sender is told; if nothing is said, that the port is unreachable",
)
.in_own_words(OwnWords::Pairs(WORDS));

const WORDS: &[WordPair] = &[
    WordPair(Some("icmp-net-unreachable"), Some("icmp6-no-route")),
    WordPair(Some("icmp-host-unreachable"), Some("icmp6-addr-unreachable")),
    WordPair(Some("icmp-port-unreachable"), Some("icmp6-port-unreachable")),
    WordPair(Some("icmp-proto-unreachable"), Some("icmp6-port-unreachable")),
    WordPair(Some("icmp-admin-prohibited"), Some("icmp6-adm-prohibited")),
    WordPair(Some("icmp-net-prohibited"), Some("icmp6-adm-prohibited")),
    WordPair(Some("icmp-host-prohibited"), Some("icmp6-adm-prohibited")),
    WordPair(Some("tcp-reset"), Some("tcp-reset")),
    WordPair(None, Some("icmp6-policy-fail")),
    WordPair(None, Some("icmp6-reject-route")),
];

/// A family's kinds, in the order its tool looks for what was typed, which may be cut short. Other name, what is sent.
fn kinds(family: Family) -> &'static [Kind] {
    match family {
        Family::V4 => &KINDS,
        Family::V6 => &KINDS6,
    }
}

type Kind = (&'static str, Rejection);

const fn unreachable(other: &'static str, why: Unreachable) -> Kind {
    (other, Rejection::Unreachable(why))
}

const KINDS: [Kind; 8] = [
    unreachable("net-unreach", Unreachable::Network),
    unreachable("host-unreach", Unreachable::Host),
    unreachable("proto-unreach", Unreachable::Protocol),
    unreachable("port-unreach", Unreachable::Port),
    unreachable("net-prohib", Unreachable::NetworkProhibited),
    unreachable("host-prohib", Unreachable::HostProhibited),
    ("tcp-rst", Rejection::TcpReset),
    unreachable("admin-prohib", Unreachable::AdminProhibited),
];
const KINDS6: [Kind; 7] = [
    unreachable("no-route", Unreachable::Network),
    unreachable("adm-prohibited", Unreachable::AdminProhibited),
    unreachable("addr-unreach", Unreachable::Host),
    unreachable("port-unreach", Unreachable::Port),
    ("tcp-reset", Rejection::TcpReset),
    unreachable("policy-fail", Unreachable::PolicyFailed),
    unreachable("reject-route", Unreachable::RouteRejected),
];
const PORT_UNREACHABLE: Rejection = Rejection::Unreachable(Unreachable::Port);

fn kind(text: &str, family: Family) -> Result<Rejection, UsageError> {
    let starts = |name: &str| {
        name.get(..text.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(text))
    };
    let mut known = kinds(family).iter();
    if let Some(&(_, with)) = known.find(|(other, with)| starts(with.word(family)) || starts(other)) {
        return Ok(with);
    }
    let mut error = UsageError::parameter(format!("unknown reject type \"{text}\""));
    if family == Family::V4 && (starts("echo-reply") || starts("echoreply")) {
        error.before = Some("--reject-with echo-reply no longer supported".to_owned());
    }
    Err(error)
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let with = given.value(WITH).unwrap_or(PORT_UNREACHABLE);
    let family = given.family;
    Ok(Arc::new(Reject { with, family }))
}

#[derive(Debug, PartialEq, Eq)]
struct Reject {
    with: Rejection,
    family: Family,
}

impl Reject {
    fn word(&self) -> &'static str {
        self.with.word(self.family)
    }
}

impl Target for Reject {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, _cx: &mut TargetContext<'_>) -> TargetVerdict {
        TargetVerdict::Reject(self.with)
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Always)
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", WITH.spelled(false), self.word());
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " {} {}", WITH.name(), self.word());
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "REJECT target", Table::Filter)?;
        let tcp = scope.selector.protocol == protocol::TCP && !scope.selector.protocol_inverted;
        if self.with == Rejection::TcpReset && !tcp {
            let words = match self.family {
                Family::V4 => "ipt_REJECT: TCP_RESET invalid for non-tcp",
                Family::V6 => "ip6t_REJECT: TCP_RESET illegal for non-tcp",
            };
            return Err(invalid(words.to_owned()));
        }
        Ok(())
    }
}

/// ` reject-with icmp-port-unreachable`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(WITH.name())?;
        let mut options = Options::default();
        options.push(false, WITH.name(), it.take()?);
        Some(options)
    })
}

const fn four(typed: &'static str, saved: &'static str, listed: &'static str) -> Taken {
    taken("-p tcp", typed, saved, listed).only(Family::V4)
}

const fn six(typed: &'static str, saved: &'static str, listed: &'static str) -> Taken {
    taken("-p tcp", typed, saved, listed).only(Family::V6)
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        four(
            "",
            "--reject-with icmp-port-unreachable",
            "reject-with icmp-port-unreachable",
        ),
        four(
            "--reject-with icmp-net-unreachable",
            "--reject-with icmp-net-unreachable",
            "reject-with icmp-net-unreachable",
        ),
        four(
            "--reject-with net-unreach",
            "--reject-with icmp-net-unreachable",
            "reject-with icmp-net-unreachable",
        ),
        four(
            "--reject-with host-unreach",
            "--reject-with icmp-host-unreachable",
            "reject-with icmp-host-unreachable",
        ),
        four(
            "--reject-with proto-unreach",
            "--reject-with icmp-proto-unreachable",
            "reject-with icmp-proto-unreachable",
        ),
        four(
            "--reject-with port-unreach",
            "--reject-with icmp-port-unreachable",
            "reject-with icmp-port-unreachable",
        ),
        four(
            "--reject-with net-prohib",
            "--reject-with icmp-net-prohibited",
            "reject-with icmp-net-prohibited",
        ),
        four(
            "--reject-with host-prohib",
            "--reject-with icmp-host-prohibited",
            "reject-with icmp-host-prohibited",
        ),
        four(
            "--reject-with admin-prohib",
            "--reject-with icmp-admin-prohibited",
            "reject-with icmp-admin-prohibited",
        ),
        taken(
            "-p tcp",
            "--reject-with tcp-rst",
            "--reject-with tcp-reset",
            "reject-with tcp-reset",
        )
        .only(Family::V4),
        taken(
            "-p tcp",
            "--reject-with tcp-res",
            "--reject-with tcp-reset",
            "reject-with tcp-reset",
        ),
        four(
            "--reject-with icmp-p",
            "--reject-with icmp-proto-unreachable",
            "reject-with icmp-proto-unreachable",
        ),
        four(
            "--reject-with icmp-por",
            "--reject-with icmp-port-unreachable",
            "reject-with icmp-port-unreachable",
        ),
        four(
            "--reject-with ICMP-PORT-UNREACHABLE",
            "--reject-with icmp-port-unreachable",
            "reject-with icmp-port-unreachable",
        ),
        four(
            "--reject-with icmp",
            "--reject-with icmp-net-unreachable",
            "reject-with icmp-net-unreachable",
        ),
        four(
            "--reject-with \"\"",
            "--reject-with icmp-net-unreachable",
            "reject-with icmp-net-unreachable",
        ),
        six(
            "",
            "--reject-with icmp6-port-unreachable",
            "reject-with icmp6-port-unreachable",
        ),
        six(
            "--reject-with icmp6-no-route",
            "--reject-with icmp6-no-route",
            "reject-with icmp6-no-route",
        ),
        six(
            "--reject-with no-route",
            "--reject-with icmp6-no-route",
            "reject-with icmp6-no-route",
        ),
        six(
            "--reject-with adm-prohibited",
            "--reject-with icmp6-adm-prohibited",
            "reject-with icmp6-adm-prohibited",
        ),
        six(
            "--reject-with addr-unreach",
            "--reject-with icmp6-addr-unreachable",
            "reject-with icmp6-addr-unreachable",
        ),
        six(
            "--reject-with port-unreach",
            "--reject-with icmp6-port-unreachable",
            "reject-with icmp6-port-unreachable",
        ),
        six(
            "--reject-with policy-fail",
            "--reject-with icmp6-policy-fail",
            "reject-with icmp6-policy-fail",
        ),
        six(
            "--reject-with reject-route",
            "--reject-with icmp6-reject-route",
            "reject-with icmp6-reject-route",
        ),
        six(
            "--reject-with \"\"",
            "--reject-with icmp6-no-route",
            "reject-with icmp6-no-route",
        ),
        six(
            "--reject-with ICMP6-A",
            "--reject-with icmp6-adm-prohibited",
            "reject-with icmp6-adm-prohibited",
        ),
        six(
            "--reject-with r",
            "--reject-with icmp6-reject-route",
            "reject-with icmp6-reject-route",
        ),
        six(
            "--reject-with p",
            "--reject-with icmp6-port-unreachable",
            "reject-with icmp6-port-unreachable",
        ),
    ],
    refused: &[
        refused("", "--reject-with foo", "unknown reject type \"foo\""),
        refused("", "--reject-with echo-rep", "unknown reject type \"echo-rep\""),
        refused(
            "",
            "--reject-with icmp6-no-route",
            "unknown reject type \"icmp6-no-route\"",
        )
        .only(Family::V4),
        refused(
            "",
            "--reject-with icmp-port-unreachable",
            "unknown reject type \"icmp-port-unreachable\"",
        )
        .only(Family::V6),
        refused("", "--reject-with tcp-rst", "unknown reject type \"tcp-rst\"").only(Family::V6),
        refused(
            "",
            "--reject-with tcp-reset --reject-with icmp",
            "REJECT: option \"--reject-with\" can only be used once.\n",
        ),
        refused(
            "",
            "! --reject-with tcp-reset",
            "REJECT: option \"--reject-with\" cannot be inverted.\n",
        ),
    ],
    packets: &[],
    spellings: &[
        "-j REJECT",
        "-j REJECT --reject-with icmp-port-unreachable",
        "-j REJECT --reject-with port-unreach",
        "-j REJECT --reject-with icmp-proto-unreachable",
        "-p tcp -j REJECT --reject-with tcp-reset",
        "-p tcp -j REJECT",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| if place.table == Table::Filter { 12 } else { 0 },
    |draw| match draw.below(13) {
        0 => {}
        1..5 if draw.place.protocol == Some(protocol::TCP) => {
            draw.give_one(&WITH.spec, &["tcp-reset", "tcp-reset", "tcp-reset", "tcp-rst"]);
        }
        1..5 => {}
        _ => draw.give_one(&WITH.spec, ASKED),
    },
)
.blunt();

const ASKED: &[&str] = &[
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-port-unreachable",
    "icmp-proto-unreachable",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "icmp-admin-prohibited",
    "port-unreach",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ext::testing::{ANY, Bench, P, TCP, UDP, read_target, target_places, udp};
    use crate::rule::Hook;

    #[test]
    fn places() {
        let (table, protocol) = (
            "x_tables: ip_tables: REJECT target: only valid in filter table, not mangle",
            "ipt_REJECT: TCP_RESET invalid for non-tcp",
        );
        for (p, typed, at, said) in [
            (ANY, "", Table::Filter, ""),
            (ANY, "", Table::Mangle, table),
            (TCP, "--reject-with tcp-reset", Table::Filter, ""),
            (ANY, "--reject-with tcp-reset", Table::Filter, protocol),
            (UDP, "--reject-with tcp-reset", Table::Filter, protocol),
            (
                P(protocol::TCP, true),
                "--reject-with tcp-reset",
                Table::Filter,
                protocol,
            ),
        ] {
            target_places(&SPEC, p, typed, &[(at, &[Hook::Input], said)]);
        }
    }

    #[test]
    fn verdicts() {
        for (typed, with) in [
            ("", Rejection::Unreachable(Unreachable::Port)),
            (
                "--reject-with icmp-admin-prohibited",
                Rejection::Unreachable(Unreachable::AdminProhibited),
            ),
            ("--reject-with tcp-reset", Rejection::TcpReset),
        ] {
            let made = read_target(&SPEC, TCP, typed).unwrap();
            let verdict = Bench::new().apply(made.as_ref(), &mut udp(1, 2, &[]));
            assert_eq!(verdict, TargetVerdict::Reject(with), "{typed}");
        }
    }

    /// What the help shows, and what the other family's words are told to be, are words that are taken.
    #[test]
    fn each_word_is_taken() {
        for family in Family::ALL {
            let own = WORDS.iter().filter_map(|pair| pair.as_seen_by(family)[0]);
            let words: BTreeSet<&str> = own.collect();
            let taken = kinds(family).iter().map(|(_, with)| with.word(family));
            assert_eq!(words, taken.collect(), "{family}");
        }
    }

    #[test]
    fn what_is_no_longer_supported_is_said_first() {
        let why = read_target(&SPEC, ANY, "--reject-with echoreply").unwrap_err();
        let before = "--reject-with echo-reply no longer supported";
        assert_eq!(why.before.as_deref(), Some(before));
    }
}
