//! Routes of several gateways, in scenarios of a kind of their own: their draws come beside those of other ways, from streams of their own.

use nflab::base::{Family, Random};

use super::ways::say;
use super::world::World;

/// Under one seed both sides share packets alike. By what they are told apart a scenario draws, and draws again.
pub(super) fn begin(world: &mut World) {
    sysctl(world, "net.ipv4.fib_multipath_hash_seed=74565");
    for family in world.shape.families.all() {
        let mut random = stream(world);
        policy(world, &mut random, *family);
        let places = ["default", "203.0.113.0/24", "198.51.100.0/24"];
        for place in places {
            let line = format!("route replace {place}{}", several(&mut random));
            say(world, *family, &line);
        }
    }
}

pub(super) fn change(world: &mut World, family: Family) {
    let mut random = stream(world);
    match random.below(10) {
        0 => policy(world, &mut random, family),
        1 | 2 => told(world, &mut random, family),
        _ => {
            let line = route(&mut random);
            say(world, family, &line);
        }
    }
    if random.one_in(3) {
        told(world, &mut random, family);
    }
}

/// One for each thing that happens, also where several happen before the next packet.
fn stream(world: &World) -> Random {
    world.stream(&format!("gateways at {}", world.scenario.events.len()))
}

fn route(random: &mut Random) -> String {
    let verb = random.pick(&[
        "add", "add", "replace", "replace", "change", "append", "append", "prepend", "del", "del",
    ]);
    let mut line = format!("route {verb} ");
    if random.one_in(14) {
        line += &format!("{} ", random.pick(&["unreachable", "blackhole", "prohibit", "throw"]));
    }
    line += random.pick(&[
        "default",
        "default",
        "203.0.113.0/24",
        "203.0.113.0/24",
        "203.0.113.77",
        "198.51.100.0/24",
        "198.51.100.0/24",
        "198.51.0.0/16",
    ]);
    for (chance, words) in [
        (8, &["metric 5", "metric 20", "metric 1024"][..]),
        (10, &["src 10.0.0.1", "src 192.0.2.1", "src 10.0.0.9"]),
        (10, &["mtu 1000", "mtu 1492"]),
        (6, &["table 100"]),
        (12, &["proto static", "proto 77"]),
    ] {
        if random.one_in(chance) {
            line += &format!(" {}", random.pick(words));
        }
    }
    match random.below(8) {
        0 if verb == "del" => {}
        // Of IPv6 it joins those that are there, by `append`.
        0..3 => line += &format!(" {}", random.pick(GATEWAYS)),
        3 => line += &format!(" nexthop {}", hop(random)),
        _ => line += &several(random),
    }
    line
}

fn several(random: &mut Random) -> String {
    let count = random.pick(&[2, 2, 2, 3]);
    (0..count).map(|_| format!(" nexthop {}", hop(random))).collect()
}

fn hop(random: &mut Random) -> String {
    let way = match random.one_in(6) {
        true => random.pick(OTHER_WAYS),
        false => random.pick(GATEWAYS),
    };
    match random.one_in(3) {
        true => format!("{way} weight {}", random.pick(&["1", "2", "3", "10", "256"])),
        false => way.to_owned(),
    }
}

const GATEWAYS: &[&str] = &[
    "via 192.0.2.254",
    "via 192.0.2.254",
    "via 192.0.2.253",
    "via 192.0.2.252 dev wan",
    "via 10.0.0.254",
    "via 10.0.0.254",
    "via 172.16.0.254",
];

const OTHER_WAYS: &[&str] = &[
    "dev wan",
    "dev lan",
    "via 10.0.0.254 dev wan onlink",
    "via 192.0.2.1",
    "via 8.8.8.8",
];

/// Addresses, with ports, of what a tunnel holds, or some of them.
fn policy(world: &mut World, random: &mut Random, family: Family) {
    let family = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    let policy = random.below(4);
    sysctl(world, &format!("net.{family}.fib_multipath_hash_policy={policy}"));
    if policy == 3 {
        let fields = random.pick(&["7", "1", "2", "48", "55", "1792", "2047"]);
        sysctl(world, &format!("net.{family}.fib_multipath_hash_fields={fields}"));
    }
}

fn sysctl(world: &mut World, setting: &str) {
    world.must("sysctl", vec!["-w".to_owned(), setting.to_owned()], "");
}

fn told(world: &mut World, random: &mut Random, family: Family) {
    let line = random.pick(&[
        "route show table all",
        "route show table all",
        "route show dev wan",
        "route show 203.0.113.0/24",
        "route get 203.0.113.77",
        "route get 203.0.113.9 from 10.0.0.2 iif lan",
        "route get 198.51.100.7 from 10.0.0.3 iif lan",
        "route get 198.51.100.7 from 192.0.2.1",
        "route get 8.8.8.8 mark 1",
        "route get fibmatch 203.0.113.5",
        "route get 203.0.113.7 ipproto tcp sport 1000 dport 80",
        "route get 198.51.100.9 from 10.0.0.2 iif lan ipproto udp sport 53 dport 4000",
    ]);
    say(world, family, line);
}
