//! What a helper makes of recorded packets, message by message: without rules or routes, and beside it the same behind a router that masquerades.
//!
//! Every flow to a port of the helper is one that it reads. Who opened one is inside; what it says to the outside, and what is said to it, passes a
//! second table of flows, where it has another address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::{AddressMask, AddressRange, Family, Random, Time, protocol};
use crate::conntrack::{
    CtState, Direction, Endpoint, ExpectationRefused, Reason, Settings, Table, TrackContext, TrackStage, Tracked,
    Tracking, Tuple,
};
use crate::explain::account::heard_sentence;
use crate::helper::{self, Broadcast, DropReason, Heard, HeardWhat, HelperContext, HelperSpec, LoadRefused, Loaded};
use crate::nat::{self, Manip, NatContext, NatHook, NatRange};
use crate::packet::{End, Packet};

/// A helper that listens to recorded packets.
pub(crate) struct Hearing {
    plain: World,
    behind: World,
    outside: Outside,
    /// Who opened flows that the helper reads.
    inside: Vec<IpAddr>,
    /// What was announced, by which packet, and not opened yet.
    announced: Vec<(Tuple, u64)>,
    seen: u64,
}

/// What became of a packet that the helper has to do with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub from: Endpoint,
    pub to: Endpoint,
    pub said: Said,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// Of a flow that it reads.
    Heard {
        /// What it understood and expects, as a sentence.
        plain: String,
        /// The same behind the router that masquerades, and what it writes over the payload there.
        behind: Option<(String, Option<String>)>,
        /// It says something: no empty segment, and none that is not for it.
        is_telling: bool,
    },
    /// It opens a flow that a packet of this number announced.
    Opens(u64),
}

/// What who is inside is called outside, of each family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside([IpAddr; 2]);

impl Default for Outside {
    /// Of networks that only documents are about.
    fn default() -> Self {
        Self([
            IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1)),
        ])
    }
}

impl Outside {
    /// Another address for its family.
    pub(crate) fn with(mut self, address: IpAddr) -> Self {
        self.0[Family::of(address) as usize] = address;
        self
    }

    /// That of whoever has an address of the same family inside.
    pub(crate) fn of(&self, inside: IpAddr) -> IpAddr {
        self.0[Family::of(inside) as usize]
    }
}

impl Hearing {
    /// With the parameters of its module; `Err` where that refuses one, or has none of that name.
    pub(crate) fn new(
        spec: &'static HelperSpec,
        parameters: &[String],
        outside: Outside,
        network: Option<AddressMask>,
    ) -> Result<Self, Result<String, LoadRefused>> {
        let mut loaded = Loaded::default();
        let unknown = loaded.load(spec, parameters).map_err(Err)?;
        if let Some(unknown) = unknown.into_iter().next() {
            return Err(Ok(unknown));
        }
        loaded.set_nat(spec, true);
        Ok(Self {
            plain: World::new(loaded.clone(), network),
            behind: World::new(loaded, network),
            outside,
            inside: Vec::new(),
            announced: Vec::new(),
            seen: 0,
        })
    }

    /// One packet; `None` where the helper has nothing to do with it. `Err`: it is a fragment, or cannot be read.
    pub(crate) fn hear(&mut self, number: u64, now: Time, bytes: &[u8]) -> Result<Option<Message>, NotHeard> {
        let packet = Packet::parse(bytes.to_vec()).map_err(|_| NotHeard::Malformed)?;
        if packet.is_fragment() {
            return Err(NotHeard::Fragment);
        }
        let is_announced = |(tuple, _): &(Tuple, u64)| tuple.protocol == packet.protocol();
        if !matches!(packet.protocol(), protocol::TCP | protocol::UDP) && !self.announced.iter().any(is_announced) {
            return Ok(None);
        }
        self.seen += 1;
        if self.seen.is_multiple_of(SWEPT) {
            self.plain.table.sweep(now);
            self.behind.table.sweep(now);
        }
        let told = self.plain.pass(now, packet.clone(), None)?;
        let (from, to) = (told.tuple.source, told.tuple.destination);
        let message = |said| Ok(Some(Message { from, to, said }));
        if told.reads && told.opens && !self.inside.contains(&from.address) && self.inside.len() < MOST_INSIDE {
            self.inside.push(from.address);
        }
        let behind = self.pass_behind(now, packet, from, to);
        if let Some(expected) = told.expected {
            let by = self.announced.iter().rposition(|(tuple, _)| *tuple == expected);
            let by = by.map_or(0, |at| self.announced.remove(at).1);
            // Of one flow that either end may open, the other end's is over.
            self.announced.retain(|(tuple, _)| *tuple != expected.turned());
            if told.heard.is_none() {
                return message(Said::Opens(by));
            }
        }
        let Some(heard) = told.heard else { return Ok(None) };
        if let Ok(Heard {
            what: HeardWhat::Announced(all),
            ..
        }) = &heard
        {
            self.announced.extend(all.iter().map(|one| (one.expected, number)));
            let surplus = self.announced.len().saturating_sub(MOST_ANNOUNCED);
            self.announced.drain(..surplus);
        }
        let is_telling = match &heard {
            Err(_) => true,
            Ok(heard) => !matches!(
                heard.what,
                HeardWhat::TooEarly | HeardWhat::NoData | HeardWhat::OtherWay
            ),
        };
        let (before, after) = (&told.before, &told.after);
        let plain = sentence(&heard, before, after).0;
        let behind = behind.and_then(|told| {
            let (text, written) = sentence(&told.heard?, &told.before, &told.after);
            (text != plain || written.is_some()).then_some((text, written))
        });
        message(Said::Heard {
            plain,
            behind,
            is_telling,
        })
    }

    /// What was announced and nobody opened, with the number of the packet.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (u64, &Tuple)> {
        self.announced.iter().map(|(tuple, number)| (*number, tuple))
    }

    /// Flows to these it reads.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        let helpers = self.plain.loaded.conntrack().iter();
        helpers.flat_map(|helper| helper.ports).copied()
    }

    /// The same packet where who is inside is called otherwise outside.
    fn pass_behind(&mut self, now: Time, mut packet: Packet, from: Endpoint, to: Endpoint) -> Option<Told> {
        let is_inside = |address: IpAddr| self.inside.contains(&address);
        let leaves = match (is_inside(from.address), is_inside(to.address)) {
            (true, false) => true,
            (false, true) => false,
            _ => return None,
        };
        let outside = self.outside.of(from.address);
        if !leaves {
            packet.set_address(End::Destination, outside);
        }
        let told = self.behind.pass(now, packet, leaves.then_some(outside)).ok()?;
        // Of two who are called alike outside, only one is answered.
        (leaves || told.answered == to.address).then_some(told)
    }
}

/// Why a packet is not heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotHeard {
    Malformed,
    Fragment,
    /// Tracking refuses it.
    Invalid,
}

/// A table of flows with the helper beside it.
struct World {
    table: Table,
    settings: Settings,
    loaded: Loaded,
    ways: Captured,
    random: Random,
}

/// A capture tells nothing of routes, and of broadcasts what is known of who took it.
#[derive(Debug)]
struct Captured {
    /// Its network.
    network: Option<AddressMask>,
}

impl helper::Ways for Captured {
    fn is_same(&self, first: IpAddr, second: IpAddr) -> bool {
        first == second
    }

    fn leaves_likewise(&self, packet: &Packet, to: IpAddr) -> bool {
        packet.destination() == to
    }

    fn broadcast(&self, packet: &Packet) -> Broadcast {
        let (Some(network), IpAddr::V4(to)) = (self.network, packet.destination()) else {
            return Broadcast::No;
        };
        let IpAddr::V4(mask) = network.mask() else {
            return Broadcast::No;
        };
        let is_last = to | mask == Ipv4Addr::BROADCAST;
        match is_last && network.contains(packet.source()) && network.contains(packet.destination()) {
            true => Broadcast::To(mask.into()),
            false => Broadcast::No,
        }
    }
}

/// What a world made of a packet.
struct Told {
    tuple: Tuple,
    /// The helper reads its flow, and it opens that.
    reads: bool,
    opens: bool,
    /// Whom it reaches behind all NAT, if it came from outside.
    answered: IpAddr,
    /// The expectation that it used up.
    expected: Option<Tuple>,
    heard: Option<Result<Heard, DropReason>>,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl World {
    fn new(loaded: Loaded, network: Option<AddressMask>) -> Self {
        let mut settings = Settings {
            automatic_helper: true,
            // What was cut, or left to a device, is read all the same; what the router edits shifts numbers that the capture has not.
            checksum: false,
            ..Settings::default()
        };
        // It is what the knob takes.
        let _ = settings.set("nf_conntrack_tcp_be_liberal", "1");
        Self {
            table: Table::new((1, 2)),
            settings,
            loaded,
            ways: Captured { network },
            random: Random::new(1),
        }
    }

    /// `masquerade`: what the source is to be called, where the packet opens a flow.
    fn pass(&mut self, now: Time, mut packet: Packet, masquerade: Option<IpAddr>) -> Result<Told, NotHeard> {
        let cx = TrackContext {
            now,
            settings: &self.settings,
            stage: TrackStage::Prerouting,
            helpers: self.loaded.conntrack(),
            packet: 0,
        };
        let mut nat_cx = NatContext {
            now,
            random: &mut self.random,
        };
        let mut tracking = Tracking::default();
        let tracked = nat::track(&self.table, &cx, &mut nat_cx, &mut packet, &mut tracking);
        let expected = match tracked {
            Tracked::Accept(Reason::Expected(expectation)) => Some(expectation.tuple),
            Tracked::Accept(_) => None,
            Tracked::Drop(_) => return Err(NotHeard::Invalid),
        };
        let Some(flow) = tracking.flow.clone() else {
            return Err(NotHeard::Invalid);
        };
        let opens = matches!(tracking.state, Some(CtState::New | CtState::Related));
        if opens && tracking.direction == Direction::Original {
            nat::null_binding(&self.table, &mut nat_cx, &flow, Manip::Destination);
            let range = NatRange {
                addresses: masquerade.map(AddressRange::single),
                ..NatRange::default()
            };
            nat::setup(&self.table, &mut nat_cx, &flow, &range, Manip::Source);
        }
        let (tuple, answered) = {
            let other_way = flow.tuple(tracking.direction.opposite());
            (flow.tuple(tracking.direction), other_way.source.address)
        };
        for hook in [NatHook::Prerouting, NatHook::Postrouting] {
            nat::translate(&mut packet, &tracking, hook).map_err(|_| NotHeard::Malformed)?;
        }
        let said = packet.bytes().to_vec();
        let reads = flow.lock().helper().is_some();
        let mut helper_cx = HelperContext {
            now,
            settings: &self.settings,
            loaded: &self.loaded,
            ways: &self.ways,
            table: &self.table,
            random: &mut self.random,
        };
        let heard = helper::run(&mut packet, &tracking, &mut helper_cx).transpose();
        let after = packet.bytes().to_vec();
        // A packet that the helper drops never gets out; here what comes after it is heard all the same.
        let _ = nat::adjust_sequences(&mut packet, &tracking);
        let _ = self.table.confirm(&cx, &packet, &mut tracking);
        Ok(Told {
            tuple,
            answered,
            reads,
            opens,
            expected,
            heard,
            before: said,
            after,
        })
    }
}

/// What a helper said, and what it wrote over the payload.
fn sentence(heard: &Result<Heard, DropReason>, before: &[u8], after: &[u8]) -> (String, Option<String>) {
    match heard {
        Ok(heard) => heard_sentence(heard, before, after),
        Err(DropReason::Expectation(ExpectationRefused::Clash)) => {
            ("dropped: somebody else is expected there already".to_owned(), None)
        }
        Err(why) => (format!("dropped: {why}"), None),
    }
}

const SWEPT: u64 = 1 << 12;
/// So many are remembered, however many a capture has.
const MOST_INSIDE: usize = 1024;
const MOST_ANNOUNCED: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::host;
    use crate::conntrack::testing::{A, B, address, packet};
    use crate::wire::tcp::flags::{ACK, SYN};

    type Place = ([u8; 4], u16);

    fn datagram(from: Place, to: Place, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        bytes[..2].copy_from_slice(&from.1.to_be_bytes());
        bytes[2..4].copy_from_slice(&to.1.to_be_bytes());
        bytes[4..6].copy_from_slice(&(8 + data.len() as u16).to_be_bytes());
        bytes.extend_from_slice(data);
        packet(protocol::UDP, from.0, to.0, &bytes).bytes().to_vec()
    }

    fn hearing(name: &str, parameters: &[&str]) -> Result<Hearing, String> {
        let spec = helper::registry().iter().find(|spec| spec.has(name)).unwrap();
        let parameters: Vec<String> = parameters.iter().map(|it| (*it).to_owned()).collect();
        let network = AddressMask::prefix(address(A), 24);
        Hearing::new(spec, &parameters, Outside::default(), network).map_err(|why| match why {
            Ok(unknown) => unknown,
            Err(refused) => refused.to_string(),
        })
    }

    fn told(hearing: &mut Hearing, number: u64, bytes: &[u8]) -> String {
        let now = Time::from_secs(number);
        match hearing.hear(number, now, bytes) {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(message)) => match message.said {
                Said::Opens(by) => format!("opens {by}"),
                Said::Heard { plain, behind, .. } => match behind {
                    None => plain,
                    Some((text, None)) => format!("{plain} | {text}"),
                    Some((text, Some(written))) => format!("{plain} | {text} | {written}"),
                },
            },
            Err(why) => format!("{why:?}"),
        }
    }

    #[test]
    fn what_is_announced_is_opened_or_waited_for() {
        let mut hearing = hearing("tftp", &[]).unwrap();
        let request = b"\0\x01x\0octet\0";
        let read = "read 0x000178006f6374657400: a flow";
        assert_eq!(
            told(&mut hearing, 1, &datagram((A, 4000), (B, 69), request)),
            format!(
                "{read} udp 192.0.2.9 > 10.0.0.2:4000 is expected | {read} udp 192.0.2.9 > 203.0.113.1:4000 is expected"
            )
        );
        assert_eq!(told(&mut hearing, 2, &datagram((B, 53), (A, 4001), request)), "nothing");
        assert_eq!(hearing.waiting().map(|it| it.0).collect::<Vec<_>>(), [1]);
        assert_eq!(
            told(&mut hearing, 3, &datagram((B, 5000), (A, 4000), b"\0\x03")),
            "opens 1"
        );
        assert_eq!(hearing.waiting().count(), 0);
        assert_eq!(
            told(&mut hearing, 4, &datagram((A, 4000), (B, 5000), b"\0\x04")),
            "nothing"
        );
        let mut piece = datagram((A, 4000), (B, 69), request);
        piece[6] = 0x20;
        assert_eq!(told(&mut hearing, 5, &piece), "Fragment");
        assert_eq!(told(&mut hearing, 6, b"x"), "Malformed");
    }

    #[test]
    fn who_is_inside_has_an_address_of_its_family_outside() {
        let (inside, server) = (host(Family::V6, 2), host(Family::V6, 9));
        let (IpAddr::V6(from), IpAddr::V6(to)) = (inside, server) else {
            panic!("{inside} {server}");
        };
        let mut request = Vec::new();
        etherparse::PacketBuilder::ipv6(from.octets(), to.octets(), 64)
            .udp(4000, 69)
            .write(&mut request, b"\0\x01x\0octet\0")
            .unwrap();
        let read = "read 0x000178006f6374657400: a flow";
        for (outside, called) in [
            (Outside::default(), "2001:db8:ffff::1"),
            (
                Outside::default().with(server).with([192, 0, 2, 7].into()),
                &server.to_string(),
            ),
        ] {
            let mut hearing = hearing("tftp", &[]).unwrap();
            hearing.outside = outside;
            assert_eq!(
                told(&mut hearing, 1, &request),
                format!(
                    "{read} udp {server} > [{inside}]:4000 is expected | {read} udp {server} > [{called}]:4000 is expected"
                )
            );
        }
    }

    #[test]
    fn what_would_be_written_is_told() {
        let mut hearing = hearing("amanda", &["master_timeout=10"]).unwrap();
        assert_eq!(
            told(&mut hearing, 1, &datagram((A, 4000), (B, 10080), b"x")),
            "not read: only what the other side says is"
        );
        assert_eq!(
            told(&mut hearing, 2, &datagram((B, 10080), (A, 4000), b"CONNECT DATA 007\n")),
            "read \"CONNECT DATA 007\\n\": a flow tcp 10.0.0.2 > 192.0.2.9:7 is expected | read \"CONNECT DATA 007\\n\": a flow tcp 10.0.0.2 > \
             192.0.2.9:7 is expected | \"CONNECT DATA 7\\n\""
        );
    }

    #[test]
    fn any_host_answers_what_was_broadcast() {
        let mut hearing = hearing("netbios-ns", &[]).unwrap();
        let question = datagram((A, 4000), ([10, 0, 0, 255], 137), b"?");
        let expected = "read \"?\": a flow udp 10.0.0.0/24:137 > 10.0.0.2:4000 is expected";
        let heard = told(&mut hearing, 1, &question);
        assert!(heard.starts_with(expected), "{heard}");
        let answer = datagram(([10, 0, 0, 7], 137), (A, 4000), b"!");
        assert_eq!(told(&mut hearing, 2, &answer), "opens 1");
        let to_one = datagram((A, 4001), ([10, 0, 0, 7], 137), b"?");
        let not_read = "not read: only what the router itself broadcasts is answered by others";
        assert_eq!(told(&mut hearing, 3, &to_one), not_read);
    }

    /// What the client of PPTP and its server agreed on comes by GRE, from either end once.
    #[test]
    fn what_is_announced_may_be_of_another_protocol() {
        let mut hearing = hearing("pptp", &[]).unwrap();
        let spec = helper::registry().iter().find(|spec| spec.has("pptp")).unwrap();
        let call = spec.helpers[0].samples.iter().find(|it| it.said.len() == 5).unwrap();
        let mut number = 0;
        let mut next = [1000, 5000];
        let (mut heard, mut waiting) = (String::new(), 0);
        let opening = [(0, SYN), (1, SYN | ACK), (0, ACK)].map(|(who, flags)| (who, flags, &b""[..]));
        let said = call
            .said
            .iter()
            .map(|line| (usize::from(line[0] == b'<'), ACK, &line[2..]));
        for (who, flags, data) in opening.into_iter().chain(said) {
            number += 1;
            let mut header = vec![0; 20];
            let (from, to) = [((A, 4000), (B, 1723)), ((B, 1723), (A, 4000))][who];
            header[..2].copy_from_slice(&u16::to_be_bytes(from.1));
            header[2..4].copy_from_slice(&u16::to_be_bytes(to.1));
            header[4..8].copy_from_slice(&u32::to_be_bytes(next[who]));
            header[8..12].copy_from_slice(&u32::to_be_bytes(next[1 - who]));
            (header[12], header[13], header[14]) = (5 << 4, flags, 0xff);
            next[who] += data.len() as u32 + u32::from(flags & SYN != 0);
            header.extend_from_slice(data);
            heard = told(
                &mut hearing,
                number,
                packet(protocol::TCP, from.0, to.0, &header).bytes(),
            );
            waiting = hearing.waiting().count();
        }
        assert!(heard.contains("2 flows are expected: gre "), "{heard}");
        assert_eq!(waiting, 2);
        let carried = [0x30, 1, 0x88, 0x0b, 0, 0, 0x33, 0x33, 0, 0, 0, 1];
        let carried = packet(protocol::GRE, A, B, &carried);
        assert_eq!(told(&mut hearing, 20, carried.bytes()), "opens 8");
        assert_eq!(hearing.waiting().count(), 0);
    }

    #[test]
    fn parameters_are_the_modules() {
        let request = datagram((A, 4000), (B, 6969), b"\0\x01");
        assert_eq!(told(&mut hearing("tftp", &[]).unwrap(), 1, &request), "nothing");
        let other_port = told(&mut hearing("tftp", &["ports=6969"]).unwrap(), 1, &request);
        assert!(other_port.contains("is expected"), "{other_port}");
        assert_eq!(hearing("tftp", &["speed=9"]).err().unwrap(), "speed=9");
        assert_eq!(
            hearing("tftp", &["ports=x"]).err().unwrap(),
            "`x' invalid for parameter `ports'"
        );
    }
}
