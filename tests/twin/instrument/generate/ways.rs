//! Routes, addresses, links and routing rules that change meanwhile, some of it wrong; and what `ip` tells of them.

use nflab::base::{Family, InterfaceName};

use super::super::scenario::Event;
use super::draw::{DMZ, DMZ_ADDRESSES, SIDES};
use super::gateways;
use super::packet::{Address, v4, v6};
use super::translated::said_in;
use super::world::World;

/// A table exists from the first try to put something into it, also one that fails; so that both sides have it.
pub(super) fn begin(world: &mut World) {
    for family in world.shape.families.all() {
        say(world, *family, "route add 192.0.2.250 dev wan table 100");
    }
}

pub(super) fn change(world: &mut World) {
    let family = world.family();
    match world.draw.below(20) {
        0..6 => route(world, family),
        6..10 => address(world, family),
        10..13 => link(world),
        13..15 => rule(world, family),
        15 => told(world),
        16 => knob(world, family),
        _ => mend(world, family),
    }
    if world.draw.one_in(3) {
        told(world);
    }
    if world.shape.sharing {
        gateways::change(world, family);
    }
}

/// A line about addresses of IPv4, or about the same hosts and networks in IPv6.
pub(super) fn say(world: &mut World, family: Family, line: &str) {
    match family {
        Family::V4 => ip(world, line),
        Family::V6 => ip(world, &format!("-6 {}", said_in(family, line))),
    }
}

fn ip(world: &mut World, line: &str) {
    let args = line.split(' ').map(str::to_owned).collect();
    let _ = world.tool("ip", args, "");
}

fn route(world: &mut World, family: Family) {
    let draw = &mut world.draw;
    let verb = draw.pick(&[
        "add", "add", "replace", "replace", "change", "append", "prepend", "del", "del", "del",
    ]);
    // What these add in IPv6 is another gateway of one route, which `gateways` draws.
    let verb = match (family, verb) {
        (Family::V6, "append" | "prepend") => "add",
        (_, verb) => verb,
    };
    let to = draw.pick(&[
        "default",
        "default",
        "default",
        "203.0.113.0/24",
        "203.0.113.77",
        "198.51.100.0/24",
        "198.51.0.0/16",
        "10.0.0.128/25",
        "10.0.0.0/24",
        "192.0.2.0/24",
        "192.0.2.9",
        "172.16.0.0/24",
        "10.0.0.1/16",
    ]);
    let way = draw.pick(&[
        "via 192.0.2.254",
        "via 192.0.2.254",
        "via 10.0.0.254",
        "via 172.16.0.254",
        "via 10.0.0.254 dev wan onlink",
        "via 192.0.2.1",
        "dev wan",
        "dev lan",
        "dev dmz",
    ]);
    let mut line = format!("route {verb} ");
    match draw.below(12) {
        0 => line += &format!("{} {to}", draw.pick(&["unreachable", "blackhole", "prohibit", "throw"])),
        1 if verb == "del" => line += to,
        2 if verb == "del" => line += to,
        3 if verb == "del" => line += to,
        _ => line += &format!("{to} {way}"),
    }
    if draw.one_in(5) {
        line += &format!(" metric {}", draw.pick(&["5", "20", "1024"]));
    }
    if draw.one_in(6) {
        line += &format!(
            " src {}",
            draw.pick(&["10.0.0.1", "192.0.2.1", "192.0.2.2", "10.0.0.9"])
        );
    }
    if draw.one_in(8) {
        line += &format!(" mtu {}", draw.pick(&["576", "1000", "1492"]));
    }
    if draw.one_in(5) {
        line += " table 100";
    }
    if draw.one_in(8) {
        line += &format!(" proto {}", draw.pick(&["static", "kernel", "77"]));
    }
    say(world, family, &line);
}

const ADDRESSES: &[(&str, &str)] = &[
    ("10.0.0.1/24", "lan"),
    ("10.0.0.9/24", "lan"),
    ("10.0.0.10/24", "lan"),
    ("10.0.0.1/25", "lan"),
    ("10.0.0.129/25", "lan"),
    ("198.51.100.1/24", "lan"),
    ("192.0.2.1/24", "wan"),
    ("192.0.2.2/24", "wan"),
    ("192.0.2.3/24", "wan"),
    ("192.0.2.100/24", "wan"),
    ("192.0.2.1/32", "wan"),
    ("203.0.113.1/24", "wan"),
    ("10.0.0.9/24", "wan"),
    ("172.16.0.1/24", "dmz"),
    ("192.0.2.2/24", "dmz"),
    ("10.7.7.7/32", "lo"),
];

fn address(world: &mut World, family: Family) {
    let draw = &mut world.draw;
    let (address, device) = draw.pick(ADDRESSES);
    let line = match draw.below(16) {
        0..6 => format!("addr add {address} dev {device}"),
        6 if family == Family::V4 => format!("addr add {address} brd + dev {device}"),
        7 => format!("addr replace {address} dev {device}"),
        8 => format!(
            "addr add {address} dev {device} scope {}",
            draw.pick(&["link", "host", "global"])
        ),
        9 => format!("addr flush dev {device}"),
        _ => format!("addr del {address} dev {device}"),
    };
    say(world, family, &line);
}

fn link(world: &mut World) {
    let device = world.draw.pick(&["lan", "wan", "wan", "dmz", "lo"]);
    let line = match world.draw.below(12) {
        0..4 => format!("link set {device} down"),
        4..7 => format!("link set {device} up"),
        7..10 if device != "lo" => {
            format!(
                "link set {device} mtu {}",
                world.draw.pick(&["576", "1280", "1400", "1500", "68", "67"])
            )
        }
        10 | 11 if device != "lo" => return make_anew(world, device),
        _ => format!("link set {device} up"),
    };
    ip(world, &line);
}

const LAN_ADDRESSES: [(Address, u8); 2] = [(v4([10, 0, 0, 1]), 24), (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]), 64)];
const WAN_ADDRESSES: [(Address, u8); 2] = [(v4([192, 0, 2, 1]), 24), (v6([0x2001, 0xdb8, 1, 0, 0, 0, 0, 1]), 64)];

/// Removed, and there again with another number; with or without its addresses.
fn make_anew(world: &mut World, device: &'static str) {
    if !world.has_dmz && device == SIDES[DMZ] {
        return;
    }
    ip(world, &format!("link del {device}"));
    if world.draw.one_in(2) {
        told(world);
    }
    let addresses = match (world.draw.one_in(4), device) {
        (true, _) => Vec::new(),
        (_, "lan") => LAN_ADDRESSES.to_vec(),
        (_, "wan") => WAN_ADDRESSES.to_vec(),
        _ => DMZ_ADDRESSES.to_vec(),
    };
    let families = world.shape.families;
    let addresses: Vec<_> = addresses
        .into_iter()
        .filter(|(address, _)| families.has(Family::of(*address)))
        .collect();
    if let Some(name) = InterfaceName::new(device) {
        world.interface(Event::Interface { name, addresses });
    }
}

fn rule(world: &mut World, family: Family) {
    let draw = &mut world.draw;
    let verb = draw.pick(&["add", "add", "del"]);
    let selector = draw.pick(&[
        "from 10.0.0.0/24",
        "from 10.0.0.2",
        "from 192.0.2.1",
        "to 203.0.113.0/24",
        "fwmark 1",
        "fwmark 2/0xf",
        "iif lan",
        "iif lo",
        "oif wan",
        "not from 10.0.0.2",
        "from all",
    ]);
    let action = draw.pick(&[
        "table 100",
        "table 100",
        "table main",
        "unreachable",
        "prohibit",
        "blackhole",
    ]);
    let line = match draw.below(10) {
        0 => "rule flush table 100".to_owned(),
        1 => format!(
            "rule {verb} {selector} {action} pref {}",
            draw.pick(&["50", "100", "40000"])
        ),
        _ => format!("rule {verb} {selector} {action}"),
    };
    say(world, family, &line);
}

fn knob(world: &mut World, family: Family) {
    let key = world.draw.pick(&["all", "lan", "wan"]);
    let value = world.draw.pick(&["0", "1", "1"]);
    let setting = match family {
        Family::V4 => format!("net.ipv4.conf.{key}.promote_secondaries={value}"),
        Family::V6 => format!("net.ipv6.conf.{key}.keep_addr_on_down={value}"),
    };
    let _ = world.tool("sysctl", vec!["-w".to_owned(), setting], "");
}

fn told(world: &mut World) {
    let line = world.draw.pick(&[
        "route show table all",
        "route show table all",
        "route show table all",
        "route",
        "route show dev wan",
        "addr",
        "-br addr",
        "-o addr show lan",
        "link",
        "rule",
        "route get 203.0.113.77",
        "route get 10.0.0.2",
        "route get 192.0.2.9 from 10.0.0.2 iif lan",
        "route get 203.0.113.77 from 10.0.0.3 iif lan",
        "route get 192.0.2.1",
        "route get 8.8.8.8 mark 1",
        "route get fibmatch 198.51.100.7",
    ]);
    let family = world.family();
    // What is said of links is of both.
    match line.starts_with("link") || line.starts_with('-') || line == "addr" {
        true => ip(world, line),
        false => say(world, family, line),
    }
}

/// So that conversations go on: what a lab begins with is there again, or some of it.
fn mend(world: &mut World, family: Family) {
    let has_dmz = world.has_dmz;
    let steps = [
        ("link set lo up", true),
        ("link set lan up", true),
        ("link set wan up", true),
        ("link set dmz up", has_dmz),
        ("addr add 10.0.0.1/24 dev lan", true),
        ("addr add 192.0.2.1/24 dev wan", true),
        ("addr add 172.16.0.1/24 dev dmz", has_dmz),
        ("route replace default via 192.0.2.254", true),
        ("link set wan mtu 1500", true),
        ("rule del unreachable", true),
        ("rule del prohibit", true),
        ("rule del blackhole", true),
        ("route del unreachable default", true),
    ];
    for (step, wanted) in steps {
        if wanted && !world.draw.one_in(6) {
            match step.starts_with("link") {
                true => ip(world, step),
                false => say(world, family, step),
            }
        }
    }
}
