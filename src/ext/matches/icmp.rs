//! `-m icmp`: type and code of ICMP.

use super::icmp_type::{self, Kind, Name, Words};
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::{Opt, OwnWords, Read};
use crate::ext::samples::{Samples, fails, passes, refused, taken};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "icmp",
    aliases: &[],
    families: &[Family::V4],
    like: Some("icmp6"),
    protocol: Some(protocol::ICMP),
    options: &[TYPE.spec],
    needs_one: None,
    exclusive: &[],
    build: icmp_type::build,
    unlist: |listed| icmp_type::unlist(Family::V4, listed),
    directory: None,
    about: "type and code of ICMP",
    samples: SAMPLES,
};

pub(super) const WORDS: Words = Words {
    name: SPEC.name,
    title: "ICMP",
    listed: "icmp",
    protocol: protocol::ICMP,
    any: Some(255),
    option: TYPE,
    names: NAMES,
};

const TYPE: Opt<Kind> = Opt::own(
    "icmp-type",
    "TYPE[/CODE[:CODE]]|NAME",
    &Read(|text, _| icmp_type::kind(Family::V4, text)),
    "the message has this type, by number or name, and this code; any of them has `any`",
)
.invertible()
.required()
.in_own_words(OwnWords::Kinds { has_no_like: |_| false })
.knowing(|| icmp_type::help(Family::V4));

#[rustfmt::skip]
const NAMES: &[Name] = &[
    ("any", 255, 0, 255),
    ("echo-reply", 0, 0, 255),
    ("pong", 0, 0, 255),
    ("destination-unreachable", 3, 0, 255),
    ("network-unreachable", 3, 0, 0),
    ("host-unreachable", 3, 1, 1),
    ("protocol-unreachable", 3, 2, 2),
    ("port-unreachable", 3, 3, 3),
    ("fragmentation-needed", 3, 4, 4),
    ("source-route-failed", 3, 5, 5),
    ("network-unknown", 3, 6, 6),
    ("host-unknown", 3, 7, 7),
    ("network-prohibited", 3, 9, 9),
    ("host-prohibited", 3, 10, 10),
    ("TOS-network-unreachable", 3, 11, 11),
    ("TOS-host-unreachable", 3, 12, 12),
    ("communication-prohibited", 3, 13, 13),
    ("host-precedence-violation", 3, 14, 14),
    ("precedence-cutoff", 3, 15, 15),
    ("source-quench", 4, 0, 255),
    ("redirect", 5, 0, 255),
    ("network-redirect", 5, 0, 0),
    ("host-redirect", 5, 1, 1),
    ("TOS-network-redirect", 5, 2, 2),
    ("TOS-host-redirect", 5, 3, 3),
    ("echo-request", 8, 0, 255),
    ("ping", 8, 0, 255),
    ("router-advertisement", 9, 0, 255),
    ("router-solicitation", 10, 0, 255),
    ("time-exceeded", 11, 0, 255),
    ("ttl-exceeded", 11, 0, 255),
    ("ttl-zero-during-transit", 11, 0, 0),
    ("ttl-zero-during-reassembly", 11, 1, 1),
    ("parameter-problem", 12, 0, 255),
    ("ip-header-bad", 12, 0, 0),
    ("required-option-missing", 12, 1, 1),
    ("timestamp-request", 13, 0, 255),
    ("timestamp-reply", 14, 0, 255),
    ("address-mask-request", 17, 0, 255),
    ("address-mask-reply", 18, 0, 255),
];

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p icmp", "--icmp-type 8", "--icmp-type 8", "icmptype 8").named("icmp echo-request"),
        taken("-p icmp", "--icmp-type 3/4", "--icmp-type 3/4", "icmptype 3 code 4").named("icmp fragmentation-needed"),
        taken("-p icmp", "--icmp-type ping", "--icmp-type 8", "icmptype 8").named("icmp echo-request"),
        taken("-p icmp", "--icmp-type any", "--icmp-type any", "icmptype 255").named("icmp any"),
        taken("-p icmp", "! --icmp-type any", "! --icmp-type any", "icmp !type 255").named("icmp !any"),
        taken("-p icmp", "! --icmp-type 8", "! --icmp-type 8", "icmp !type 8").named("icmp !echo-request"),
        taken("-p icmp", "--icmp-type 255", "--icmp-type any", "icmptype 255").named("icmp any"),
        taken("-p icmp", "--icmp-type 0x8", "--icmp-type 8", "icmptype 8").named("icmp echo-request"),
        taken("-p icmp", "--icmp-type 8/0", "--icmp-type 8/0", "icmptype 8 code 0"),
        taken(
            "-p icmp",
            "! --icmp-type 3/77",
            "! --icmp-type 3/77",
            "icmp !type 3 code 77",
        ),
        taken("-p icmp", "--icmp-type i", "--icmp-type 12/0", "icmptype 12 code 0").named("icmp ip-header-bad"),
        taken("-p icmp", "--icmp-type 13", "--icmp-type 13", "icmptype 13").named("icmp timestamp-request"),
        taken(
            "-p icmp",
            "! --icmp-type 3/4:5",
            "! --icmp-type 3/4",
            "icmp !type 3 codes 4-5",
        )
        .lossy(),
        // A code beside 255 is lost on the way.
        taken("-p icmp", "--icmp-type 255/3", "--icmp-type any", "icmptype 255 code 3").lossy(),
    ],
    refused: &[
        refused("-p icmp", "", "icmp: option \"--icmp-type\" must be specified\n"),
        refused("-p icmp", "--icmp-type 256", "Unknown ICMP type `256'"),
        refused("-p icmp", "--icmp-type 3/256", "Unknown ICMP code `3/256'"),
        refused("-p icmp", "--icmp-type 3/", "Unknown ICMP code `3/'"),
        refused("-p icmp", "--icmp-type x/4-5", "Unknown ICMP type `x/4-5'"),
        refused("-p icmp", "--icmp-type /4", "Unknown ICMP type `/4'"),
        refused("-p icmp", "--icmp-type 3/0-4", "unknown character -"),
        refused("-p icmp", "--icmp-type 3/4/5", "unknown character /"),
        refused("-p icmp", "--icmp-type 3x", "unknown character x"),
        refused("-p icmp", "--icmp-type 1:x", "Unknown ICMP type `1:x'"),
        refused("-p icmp", "--icmp-type 1:2", "ICMP type range not supported"),
        refused("-p icmp", "--icmp-type 3/4:", "Unknown ICMP code `3/4:'"),
        refused("-p icmp", "--icmp-type 3/4:5:6", "unknown character :"),
        refused(
            "-p icmp",
            "--icmp-type \"\"",
            "Ambiguous ICMP type `': `any' or `echo-reply'?",
        ),
        refused(
            "-p icmp",
            "--icmp-type echo",
            "Ambiguous ICMP type `echo': `echo-reply' or `echo-request'?",
        ),
        refused(
            "-p icmp",
            "--icmp-type po",
            "Ambiguous ICMP type `po': `pong' or `port-unreachable'?",
        ),
        refused(
            "-p icmp",
            "--icmp-type 8 --icmp-type 0",
            "icmp: option \"--icmp-type\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes(
            "-p icmp",
            "--icmp-type 8",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
        ),
        passes(
            "-p icmp",
            "--icmp-type any",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
        ),
        passes(
            "-p icmp",
            "--icmp-type 255/3",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
        ),
        fails(
            "-p icmp",
            "--icmp-type 0",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
            "--icmp-type 0: packet has 8/0",
        ),
        fails(
            "-p icmp",
            "! --icmp-type 8",
            "icmp 10.0.0.2 > 192.0.2.9 echo-request id 1 seq 1",
            "! --icmp-type 8: packet has 8/0",
        ),
        fails(
            "-p icmp",
            "--icmp-type 8",
            "hex 4500001c000100014001aed40a000002c00002090808080808080808",
            "icmp: packet is a later fragment without an ICMP header",
        ),
    ],
    spellings: &[
        "-p icmp --icmp-type 8",
        "-p icmp --icmp-type echo-request",
        "-p icmp --icmp-type ping",
        "-p icmp --icmp-type 8/0",
        "-p icmp --icmp-type any",
        "-p icmp",
        "-p icmp -m icmp --icmp-type 255",
        "-p icmp -m icmp",
        "-p icmp --icmp-type 3/3",
        "-p icmp --icmp-type port-unreachable",
        "-p icmp ! --icmp-type 8",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 50,
    |draw| {
        let named = draw.pick(NAMES).0;
        let number = draw.pick(&["8", "8/0", "8/0:1", "0", "255", "3", "3/3", "3/0:3", "3/4", "0x0b/0"]);
        // Those that hosts send most.
        let common = draw.pick(&["echo-request", "ping", "echo-reply", "any", "destination-unreachable"]);
        let asked = draw.pick(&[named, named, named, number, number, common]);
        draw.give(&TYPE.spec, asked);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{Bench, ICMP, UDP, ip, match_packets, match_places};
    use crate::rule::{Hook, Table};
    use crate::wire::icmpv4;

    #[test]
    fn needs_its_protocol() {
        let other = "x_tables: ip_tables: icmp match: only valid for protocol 1";
        for (p, said) in [(ICMP, ""), (UDP, other)] {
            match_places(&SPEC, p, "--icmp-type 8", &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    #[test]
    fn packets() {
        let bench = Bench::new();
        let echo = ip(protocol::ICMP, 0, &icmpv4::emit(8, 0, 0, &[]));
        let needed = ip(protocol::ICMP, 0, &icmpv4::emit(3, 4, 1400, &[0; 28]));
        let cut = ip(protocol::ICMP, 0, &[8, 0, 0, 0, 0, 0, 0]);
        let later = ip(protocol::ICMP, 1, &[8; 8]);
        match_packets(
            &SPEC,
            ICMP,
            &bench,
            &[
                ("--icmp-type 8", &echo, ""),
                ("--icmp-type any", &echo, ""),
                ("--icmp-type 255/3", &echo, ""),
                ("--icmp-type 0", &echo, "--icmp-type 0: packet has 8/0"),
                ("! --icmp-type 8", &echo, "! --icmp-type 8: packet has 8/0"),
                ("--icmp-type 3", &needed, ""),
                ("--icmp-type 3/3", &needed, "--icmp-type 3/3: packet has 3/4"),
                (
                    "--icmp-type 8",
                    &later,
                    "icmp: packet is a later fragment without an ICMP header",
                ),
                ("--icmp-type 8", &cut, "icmp: packet's ICMP header is cut short"),
            ],
        );
    }
}
