//! Packets that wait at a queue, before their flows are in the table: several make one flow at once, from one end or from both, and NAT may lead them
//! to different hosts.
//!
//! All is drawn from a stream of its own: nobody else's draws change.

use nflab::base::{Family, Random};

use super::draw::{HOSTS, Host};
use super::packet::{Ip, SYN, Segment, echo, ip, sctp, tcp, udp};
use super::world::World;

pub(super) fn hold(world: &mut World, random: &mut Random) {
    let family = world.rulesets[0].family;
    let ends = [host(world, random), host(world, random)];
    let make = random.pick(KINDS);
    let port = 60_000 + random.below(500) as u16;
    let maps = world.has_nat() && random.one_in(2);
    let first = host(world, random);
    command(
        world,
        "-t mangle -I FORWARD -m conntrack --ctstate NEW -j NFQUEUE --queue-num 77",
    );
    if maps {
        map(world, "-I", ends[1], first);
    }
    world.open(QUEUE);
    for _ in 0..2 + random.below(4) {
        let back = usize::from(random.one_in(4));
        let (from, to) = (ends[back], ends[1 - back]);
        let header = Ip {
            identification: world.next_identification(),
            ..Ip::new(from.address(family), to.address(family))
        };
        let ports = [port, PORT];
        world.deliver(Some(from.side), make(header, (ports[back], ports[1 - back])));
        if maps && random.one_in(2) {
            let other = host(world, random);
            command(world, "-t nat -D PREROUTING 1");
            map(world, "-I", ends[1], other);
        }
    }
    world.accept_all(QUEUE);
    if maps {
        command(world, "-t nat -D PREROUTING 1");
    }
    command(world, "-t mangle -D FORWARD 1");
}

fn host(world: &mut World, random: &mut Random) -> Host {
    loop {
        let host = random.pick(HOSTS);
        if world.has(host.side) {
            return host;
        }
    }
}

/// NAT leads what is for a host to another one.
fn map(world: &mut World, how: &str, of: Host, to: Host) {
    let [of, to] = [of, to].map(|it| it.address(world.rulesets[0].family));
    command(
        world,
        &format!("-t nat {how} PREROUTING -d {of} -j DNAT --to-destination {to}"),
    );
}

fn command(world: &mut World, line: &str) {
    let tool = match world.rulesets[0].family {
        Family::V4 => "iptables",
        Family::V6 => "ip6tables",
    };
    let _ = world.tool(tool, line.split(' ').map(str::to_owned).collect(), "");
}

/// The first packet of a flow between two ends, by its ports where it has some.
type Make = fn(Ip, (u16, u16)) -> Vec<u8>;

const KINDS: &[Make] = &[
    |header, ports| udp(header, ports, b"held"),
    |header, ports| udp(header, ports, b"held"),
    |header, _| ip(header, 47, &[0, 0, 8, 0, 0x45, 0, 0, 0]),
    |header, _| ip(header, 50, &[0, 0, 0, 1, 0, 0, 0, 1]),
    |header, ports| {
        let segment = Segment {
            ports,
            sequence: 100,
            acknowledgement: 0,
            flags: SYN,
            window: 512,
            options: &[],
            data: &[],
        };
        tcp(header, segment)
    },
    |header, _| echo(header, false, 77, 1, b"held"),
    |header, ports| {
        let body = vec![0, 0, 0, 9, 0, 0, 0xff, 0xff, 0, 10, 0, 10, 0, 0, 0, 1];
        sctp(header, ports, 0, &[(1, 0, body)])
    },
];

/// At which nobody else waits.
const QUEUE: u16 = 77;
const PORT: u16 = 53;
