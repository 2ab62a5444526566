//! `-m icmp6`: type and code of ICMPv6.

use super::icmp_type::{self, Kind, Name, Words};
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::{Opt, OwnWords, Read};
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::wire::icmpv6::kind;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "icmp6",
    aliases: &["icmpv6", "ipv6-icmp"],
    families: &[Family::V6],
    like: Some("icmp"),
    protocol: Some(protocol::ICMPV6),
    options: &[TYPE.spec],
    needs_one: None,
    exclusive: &[],
    build: icmp_type::build,
    unlist: |listed| icmp_type::unlist(Family::V6, listed),
    directory: None,
    about: "type and code of ICMPv6",
    samples: SAMPLES,
};

pub(super) const WORDS: Words = Words {
    name: SPEC.name,
    title: "ICMPv6",
    listed: "ipv6-icmp",
    protocol: protocol::ICMPV6,
    any: None,
    option: TYPE,
    names: NAMES,
};

const TYPE: Opt<Kind> = Opt::own(
    "icmpv6-type",
    "TYPE[/CODE[:CODE]]|NAME",
    &Read(|text, _| icmp_type::kind(Family::V6, text)),
    "the message has this type, by number or name, and this code",
)
.invertible()
.required()
.in_own_words(OwnWords::Kinds {
    has_no_like: is_of_ipv6_alone,
})
.knowing(|| icmp_type::help(Family::V6));

/// Messages of neighbours, of groups and what else ICMPv6 has beyond errors and echo.
fn is_of_ipv6_alone(saved: &str) -> bool {
    let number = saved.split('/').next().unwrap_or_default();
    number.parse::<u8>().is_ok_and(|kind| kind > kind::ECHO_REPLY)
}

#[rustfmt::skip]
const NAMES: &[Name] = &[
    ("destination-unreachable", 1, 0, 255),
    ("no-route", 1, 0, 0),
    ("communication-prohibited", 1, 1, 1),
    ("beyond-scope", 1, 2, 2),
    ("address-unreachable", 1, 3, 3),
    ("port-unreachable", 1, 4, 4),
    ("failed-policy", 1, 5, 5),
    ("reject-route", 1, 6, 6),
    ("packet-too-big", 2, 0, 255),
    ("time-exceeded", 3, 0, 255),
    ("ttl-exceeded", 3, 0, 255),
    ("ttl-zero-during-transit", 3, 0, 0),
    ("ttl-zero-during-reassembly", 3, 1, 1),
    ("parameter-problem", 4, 0, 255),
    ("bad-header", 4, 0, 0),
    ("unknown-header-type", 4, 1, 1),
    ("unknown-option", 4, 2, 2),
    ("echo-request", 128, 0, 255),
    ("ping", 128, 0, 255),
    ("echo-reply", 129, 0, 255),
    ("pong", 129, 0, 255),
    ("router-solicitation", 133, 0, 255),
    ("router-advertisement", 134, 0, 255),
    ("neighbour-solicitation", 135, 0, 255),
    ("neighbor-solicitation", 135, 0, 255),
    ("neighbour-advertisement", 136, 0, 255),
    ("neighbor-advertisement", 136, 0, 255),
    ("redirect", 137, 0, 255),
];

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken(
            "-p icmpv6",
            "--icmpv6-type 128",
            "--icmpv6-type 128",
            "ipv6-icmptype 128",
        )
        .named("ipv6-icmp echo-request"),
        taken(
            "-p icmpv6",
            "--icmpv6-type 1/4",
            "--icmpv6-type 1/4",
            "ipv6-icmptype 1 code 4",
        )
        .named("ipv6-icmp port-unreachable"),
        taken(
            "-p icmpv6",
            "--icmpv6-type ping",
            "--icmpv6-type 128",
            "ipv6-icmptype 128",
        )
        .named("ipv6-icmp echo-request"),
        taken(
            "-p icmpv6",
            "! --icmpv6-type 128",
            "! --icmpv6-type 128",
            "ipv6-icmp !type 128",
        )
        .named("ipv6-icmp !echo-request"),
        taken(
            "-p icmpv6",
            "--icmpv6-type 255",
            "--icmpv6-type 255",
            "ipv6-icmptype 255",
        ),
        taken(
            "-p icmpv6",
            "--icmpv6-type 255/3",
            "--icmpv6-type 255/3",
            "ipv6-icmptype 255 code 3",
        ),
        taken(
            "-p icmpv6",
            "--icmpv6-type 0x80",
            "--icmpv6-type 128",
            "ipv6-icmptype 128",
        )
        .named("ipv6-icmp echo-request"),
        taken(
            "-p icmpv6",
            "--icmpv6-type 128/0",
            "--icmpv6-type 128/0",
            "ipv6-icmptype 128 code 0",
        ),
        taken(
            "-p icmpv6",
            "! --icmpv6-type 1/77",
            "! --icmpv6-type 1/77",
            "ipv6-icmp !type 1 code 77",
        ),
        taken("-p icmpv6", "--icmpv6-type de", "--icmpv6-type 1", "ipv6-icmptype 1")
            .named("ipv6-icmp destination-unreachable"),
        taken("-p icmpv6", "--icmpv6-type d", "--icmpv6-type 1", "ipv6-icmptype 1")
            .named("ipv6-icmp destination-unreachable"),
        taken(
            "-p icmpv6",
            "--icmpv6-type neighbor-solicitation",
            "--icmpv6-type 135",
            "ipv6-icmptype 135",
        )
        .named("ipv6-icmp neighbour-solicitation"),
        taken(
            "-p icmpv6",
            "--icmpv6-type 1/0",
            "--icmpv6-type 1/0",
            "ipv6-icmptype 1 code 0",
        )
        .named("ipv6-icmp no-route"),
        taken(
            "-p icmpv6",
            "--icmpv6-type 1/5:6",
            "--icmpv6-type 1/5",
            "ipv6-icmptype 1 codes 5-6",
        )
        .lossy(),
        taken(
            "-p icmpv6",
            "! --icmpv6-type 1/3:4",
            "! --icmpv6-type 1/3",
            "ipv6-icmp !type 1 codes 3-4",
        )
        .lossy(),
        taken(
            "-p icmpv6",
            "--icmpv6-type no-route",
            "--icmpv6-type 1/0",
            "ipv6-icmptype 1 code 0",
        )
        .named("ipv6-icmp no-route"),
        taken(
            "-p icmpv6",
            "--icmpv6-type communication-prohibited",
            "--icmpv6-type 1/1",
            "ipv6-icmptype 1 code 1",
        )
        .named("ipv6-icmp communication-prohibited"),
        taken(
            "-p icmpv6",
            "--icmpv6-type beyond-scope",
            "--icmpv6-type 1/2",
            "ipv6-icmptype 1 code 2",
        )
        .named("ipv6-icmp beyond-scope"),
        taken(
            "-p icmpv6",
            "--icmpv6-type address-unreachable",
            "--icmpv6-type 1/3",
            "ipv6-icmptype 1 code 3",
        )
        .named("ipv6-icmp address-unreachable"),
        taken(
            "-p icmpv6",
            "--icmpv6-type port-unreachable",
            "--icmpv6-type 1/4",
            "ipv6-icmptype 1 code 4",
        )
        .named("ipv6-icmp port-unreachable"),
        taken(
            "-p icmpv6",
            "--icmpv6-type failed-policy",
            "--icmpv6-type 1/5",
            "ipv6-icmptype 1 code 5",
        )
        .named("ipv6-icmp failed-policy"),
        taken(
            "-p icmpv6",
            "--icmpv6-type reject-route",
            "--icmpv6-type 1/6",
            "ipv6-icmptype 1 code 6",
        )
        .named("ipv6-icmp reject-route"),
        taken(
            "-p icmpv6",
            "--icmpv6-type packet-too-big",
            "--icmpv6-type 2",
            "ipv6-icmptype 2",
        )
        .named("ipv6-icmp packet-too-big"),
        taken(
            "-p icmpv6",
            "--icmpv6-type time-exceeded",
            "--icmpv6-type 3",
            "ipv6-icmptype 3",
        )
        .named("ipv6-icmp time-exceeded"),
        taken(
            "-p icmpv6",
            "--icmpv6-type ttl-exceeded",
            "--icmpv6-type 3",
            "ipv6-icmptype 3",
        )
        .named("ipv6-icmp time-exceeded"),
        taken(
            "-p icmpv6",
            "--icmpv6-type ttl-zero-during-transit",
            "--icmpv6-type 3/0",
            "ipv6-icmptype 3 code 0",
        )
        .named("ipv6-icmp ttl-zero-during-transit"),
        taken(
            "-p icmpv6",
            "--icmpv6-type ttl-zero-during-reassembly",
            "--icmpv6-type 3/1",
            "ipv6-icmptype 3 code 1",
        )
        .named("ipv6-icmp ttl-zero-during-reassembly"),
        taken(
            "-p icmpv6",
            "--icmpv6-type parameter-problem",
            "--icmpv6-type 4",
            "ipv6-icmptype 4",
        )
        .named("ipv6-icmp parameter-problem"),
        taken(
            "-p icmpv6",
            "--icmpv6-type bad-header",
            "--icmpv6-type 4/0",
            "ipv6-icmptype 4 code 0",
        )
        .named("ipv6-icmp bad-header"),
        taken(
            "-p icmpv6",
            "--icmpv6-type unknown-header-type",
            "--icmpv6-type 4/1",
            "ipv6-icmptype 4 code 1",
        )
        .named("ipv6-icmp unknown-header-type"),
        taken(
            "-p icmpv6",
            "--icmpv6-type unknown-option",
            "--icmpv6-type 4/2",
            "ipv6-icmptype 4 code 2",
        )
        .named("ipv6-icmp unknown-option"),
        taken(
            "-p icmpv6",
            "--icmpv6-type echo-request",
            "--icmpv6-type 128",
            "ipv6-icmptype 128",
        )
        .named("ipv6-icmp echo-request"),
        taken(
            "-p icmpv6",
            "--icmpv6-type echo-reply",
            "--icmpv6-type 129",
            "ipv6-icmptype 129",
        )
        .named("ipv6-icmp echo-reply"),
        taken(
            "-p icmpv6",
            "--icmpv6-type pong",
            "--icmpv6-type 129",
            "ipv6-icmptype 129",
        )
        .named("ipv6-icmp echo-reply"),
        taken(
            "-p icmpv6",
            "--icmpv6-type router-solicitation",
            "--icmpv6-type 133",
            "ipv6-icmptype 133",
        )
        .named("ipv6-icmp router-solicitation"),
        taken(
            "-p icmpv6",
            "--icmpv6-type router-advertisement",
            "--icmpv6-type 134",
            "ipv6-icmptype 134",
        )
        .named("ipv6-icmp router-advertisement"),
        taken(
            "-p icmpv6",
            "--icmpv6-type neighbour-solicitation",
            "--icmpv6-type 135",
            "ipv6-icmptype 135",
        )
        .named("ipv6-icmp neighbour-solicitation"),
        taken(
            "-p icmpv6",
            "--icmpv6-type neighbour-advertisement",
            "--icmpv6-type 136",
            "ipv6-icmptype 136",
        )
        .named("ipv6-icmp neighbour-advertisement"),
        taken(
            "-p icmpv6",
            "--icmpv6-type redirect",
            "--icmpv6-type 137",
            "ipv6-icmptype 137",
        )
        .named("ipv6-icmp redirect"),
        taken(
            "-p icmpv6",
            "! --icmpv6-type ping",
            "! --icmpv6-type 128",
            "ipv6-icmp !type 128",
        )
        .named("ipv6-icmp !echo-request"),
        taken(
            "-p icmpv6",
            "--icmpv6-type 130",
            "--icmpv6-type 130",
            "ipv6-icmptype 130",
        ),
    ],
    refused: &[
        refused("-p icmpv6", "--icmpv6-type any", "Unknown ICMPv6 type `any'"),
        refused("-p icmpv6", "--icmpv6-type 3:4", "ICMPv6 type range not supported"),
        refused("-p icmpv6", "--icmpv6-type 256", "Unknown ICMPv6 type `256'"),
        refused("-p icmpv6", "--icmpv6-type 3/256", "Unknown ICMPv6 code `3/256'"),
        refused("-p icmpv6", "--icmpv6-type 3/", "Unknown ICMPv6 code `3/'"),
        refused("-p icmpv6", "--icmpv6-type x/4-5", "Unknown ICMPv6 type `x/4-5'"),
        refused("-p icmpv6", "--icmpv6-type /4", "Unknown ICMPv6 type `/4'"),
        refused("-p icmpv6", "--icmpv6-type 3/0-4", "unknown character -"),
        refused("-p icmpv6", "--icmpv6-type 3/4/5", "unknown character /"),
        refused("-p icmpv6", "--icmpv6-type 3x", "unknown character x"),
        refused("-p icmpv6", "--icmpv6-type 1:x", "Unknown ICMPv6 type `1:x'"),
        refused("-p icmpv6", "--icmpv6-type 3/4:", "Unknown ICMPv6 code `3/4:'"),
        refused("-p icmpv6", "--icmpv6-type 3/4:5:6", "unknown character :"),
        refused(
            "-p icmpv6",
            "--icmpv6-type \"\"",
            "Ambiguous ICMPv6 type `': `destination-unreachable' or `no-route'?",
        ),
        refused(
            "-p icmpv6",
            "--icmpv6-type echo",
            "Ambiguous ICMPv6 type `echo': `echo-request' or `echo-reply'?",
        ),
        refused(
            "-p icmpv6",
            "--icmpv6-type po",
            "Ambiguous ICMPv6 type `po': `port-unreachable' or `pong'?",
        ),
        refused(
            "-p icmpv6",
            "--icmpv6-type 8 --icmpv6-type 0",
            "icmp6: option \"--icmpv6-type\" can only be used once.\n",
        ),
        refused("-p icmpv6", "", "icmp6: option \"--icmpv6-type\" must be specified\n"),
        refused(
            "-p icmpv6",
            "--icmpv6-type Ttl-zero",
            "Ambiguous ICMPv6 type `Ttl-zero': `ttl-zero-during-transit' or `ttl-zero-during-reassembly'?",
        ),
        refused(
            "-p icmpv6",
            "--icmpv6-type mld-listener-query",
            "Unknown ICMPv6 type `mld-listener-query'",
        ),
    ],
    packets: &[
        passes(
            "-p icmpv6",
            "--icmpv6-type 128",
            "icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request id 1 seq 1",
        ),
        passes(
            "-p icmpv6",
            "! --icmpv6-type 1/3:5",
            "icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request id 1 seq 1",
        ),
        passes(
            "-p icmpv6",
            "--icmpv6-type 1/3:5",
            "icmpv6 2001:db8::2 > 2001:db8:1::9 unreachable port quoting (udp [2001:db8:1::9]:5000 > [2001:db8::2]:53)",
        ),
        passes(
            "-p icmpv6",
            "--icmpv6-type ping",
            "icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request id 1 seq 1 dstopt",
        ),
        fails(
            "-p icmpv6",
            "--icmpv6-type 129",
            "icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request id 1 seq 1",
            "--icmpv6-type 129: packet has 128/0",
        ),
        fails(
            "-p icmpv6",
            "! --icmpv6-type 128",
            "icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request id 1 seq 1",
            "! --icmpv6-type 128: packet has 128/0",
        ),
        fails(
            "-p icmpv6",
            "--icmpv6-type 255",
            "icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request id 1 seq 1",
            "--icmpv6-type 255: packet has 128/0",
        ),
        fails(
            "-p icmpv6",
            "--icmpv6-type port-unreachable",
            "icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request id 1 seq 1",
            "--icmpv6-type 1/4: packet has 128/0",
        ),
        fails(
            "-p icmpv6",
            "--icmpv6-type 128",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 58 data 0x80000000000100018000000000010001 frag 8",
            "icmp6: packet is a later fragment without an ICMPv6 header",
        ),
        fails(
            "-p icmpv6",
            "--icmpv6-type 128",
            "ip 2001:db8::2 > 2001:db8:1::9 proto 58 data 0x80000000000100",
            "icmp6: packet's ICMPv6 header is cut short",
        ),
    ],
    spellings: &[
        "-p icmpv6 --icmpv6-type 128",
        "-p icmpv6 --icmpv6-type echo-request",
        "-p icmpv6 --icmpv6-type ping",
        "-p icmpv6 --icmpv6-type 128/0",
        "-p icmpv6 --icmpv6-type 1/0:255",
        "-p icmpv6",
        "-p icmpv6 -m icmp6 --icmpv6-type 1",
        "-p icmpv6 --icmpv6-type 1/4",
        "-p icmpv6 --icmpv6-type port-unreachable",
        "-p icmpv6 ! --icmpv6-type 128",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 50,
    |draw| {
        let named = draw.pick(NAMES).0;
        let number = draw.pick(&[
            "128", "128/0", "128/0:1", "129", "255", "1", "1/4", "1/0:3", "2", "0x03/0", "143",
        ]);
        // Those that hosts send most.
        let common = draw.pick(&[
            "echo-request",
            "ping",
            "echo-reply",
            "neighbour-solicitation",
            "destination-unreachable",
        ]);
        let asked = draw.pick(&[named, named, named, number, number, common]);
        draw.give(&TYPE.spec, asked);
    },
);
