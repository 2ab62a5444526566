//! What claims are tried on: packets of every kind where a rule sees them, and the engine's hands.

use super::*;

/// A packet where a rule sees it.
pub(super) struct Sight {
    pub(super) packet: Packet,
    pub(super) tracking: Tracking,
    pub(super) net: Net,
    pub(super) flows: Flows,
    pub(super) input: InterfaceName,
    pub(super) output: InterfaceName,
    /// What extensions draw from.
    pub(super) random: Cell<Random>,
}

impl std::fmt::Debug for Sight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { input, output, .. } = self;
        write!(f, "{input:?} to {output:?}: {:?}\n{:?}", self.packet, self.tracking)
    }
}

pub(super) fn sights(random: &mut Random, count: usize) -> Vec<Sight> {
    (0..count).map(|_| Sight::drawn(random)).collect()
}

impl Sight {
    pub(super) fn drawn(random: &mut Random) -> Self {
        let family = random.pick(&Family::ALL);
        Self::drawn_of(family, random)
    }

    pub(super) fn drawn_of(family: Family, random: &mut Random) -> Self {
        let mut packet = packet(family, random);
        packet.mark = random.pick(&[0, 0, 1, 4, 5, 7, 0xff, u32::MAX]);
        packet.input = random.one_in(2).then_some(InterfaceId::LOOPBACK);
        let interface = |random: &mut Random| {
            InterfaceName::new(random.pick(&["", "lo", "lan", "lan0", "wan"])).expect("short names")
        };
        let flows = Flows::new((1, 2));
        let tracking = tracking(family, random, &flows);
        Self {
            packet,
            tracking,
            net: net(),
            flows,
            input: interface(random),
            output: interface(random),
            random: Cell::new(Random::new(1)),
        }
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context {
            packet: &self.packet,
            tracking: &self.tracking,
            net: &self.net,
            flows: &self.flows,
            sets: HeldSets::none(),
            table: Table::Filter,
            hook: Hook::Forward,
            input: self.input,
            output: self.output,
            now: NOW,
            state: None,
            random: &self.random,
        }
    }

    /// What others do to a flow once its packet is on its way: it lives longer, is answered and assured.
    pub(super) fn others_pass(&self, random: &mut Random) {
        if let Some(flow) = &self.tracking.flow {
            let mut state = flow.lock();
            state
                .status
                .set(Status::SEEN_REPLY.or(Status::ASSURED).or(Status::CONFIRMED));
            state.deadline = NOW + std::time::Duration::from_secs(3600 + u64::from(random.below(10_000)));
            state.mark = random.next_u32();
        }
    }

    /// All that a target may change, by its part. The header's checksum follows from the rest.
    pub(super) fn parts(&self) -> Vec<(Changes, String)> {
        let Self { packet, tracking, .. } = self;
        let bytes = packet.bytes();
        let header = packet.network_header_length();
        let rest = match packet.family() {
            Family::V4 => (&bytes[..10], &bytes[20..header], packet.protocol(), packet.len()),
            Family::V6 => (&bytes[..8], &bytes[40..header], packet.protocol(), packet.len()),
        };
        let flow = tracking.flow.as_ref().map(Arc::as_ptr);
        let template = tracking.template.as_ref().map(Arc::as_ptr);
        let states = PlainFields::of(&self.context()).states;
        let carried = (states, tracking.state, tracking.direction, template, flow);
        vec![
            (Changes::SOURCE, packet.source().to_string()),
            (Changes::DESTINATION, packet.destination().to_string()),
            (Changes::NETWORK_HEADER, format!("{rest:?}")),
            (Changes::TRANSPORT, format!("{:?}", packet.transport())),
            (Changes::MARK, packet.mark.to_string()),
            (Changes::INTERFACES, format!("{:?}", (packet.input, packet.output))),
            (Changes::TRACKING, format!("{carried:?}")),
        ]
    }

    pub(super) fn flow(&self) -> String {
        format!("{:?}", self.tracking.flow)
    }
}

/// A router with an address on each side, so that there are kinds of addresses.
pub(super) fn net() -> Net {
    let mut net = Net::new();
    for (name, four, six) in [
        ("lan", "10.0.0.1", "2001:db8::1"),
        ("wan", "192.0.2.1", "2001:db8:1::1"),
    ] {
        let name = InterfaceName::new(name).expect("a short name");
        let interface = net.add_interface(name, 1500).unwrap();
        for (address, length) in [(four, 24), (six, 64)] {
            net.add_address(interface, address.parse().expect("an address"), length)
                .unwrap();
        }
    }
    net
}

pub(super) fn packet(family: Family, random: &mut Random) -> Packet {
    let number = random.pick(protocols(family));
    let ports: [u16; 13] = [53, 80, 443, 22, 8005, 21, 0, 65535, 1024, 20000, 20005, 1001, 2];
    let mut transport = Vec::new();
    if number == protocol::ICMPV6 {
        transport.extend([
            random.pick(&[1, 1, 2, 3, 4, 128, 128, 129, 135, 255]),
            random.below(6) as u8,
        ]);
    } else if number == protocol::MOBILITY {
        transport.extend([random.pick(&[59, 59, 59, 6]), 0, random.pick(&[0, 1, 5, 8])]);
    } else if number == protocol::ICMP {
        transport.extend([random.pick(&[0, 3, 3, 5, 8, 8, 11, 12, 13, 255]), random.below(6) as u8]);
    } else {
        transport.extend(random.pick(&ports).to_be_bytes());
        transport.extend(random.pick(&ports).to_be_bytes());
    }
    transport.extend((transport.len()..40).map(|_| random.next_u32() as u8));
    if number == protocol::TCP {
        transport[13] = random.pick(&[0x02, 0x12, 0x10, 0x11, 0x04, 0x00, 0x3f, 0x18, 0xc2]);
        // Options that begin sensibly, and headers that are longer than the packet or shorter than a header.
        transport[12] = random.pick(&[5, 6, 8, 8, 10, 11, 15, 4, 0]) << 4;
        transport[20..24].copy_from_slice(&[random.pick(&[2, 5, 16]), 4, 5, 0xb4]);
    }
    let length = match random.below(4) {
        0 => random.below(25) as usize,
        _ => 40,
    };
    if family == Family::V6 {
        return packet_v6(number, &transport[..length], random);
    }
    let address = |random: &mut Random, from: &[[u8; 4]]| random.pick(from).into();
    let mut bytes = ipv4::Repr {
        tos: 0,
        identification: 1,
        dont_fragment: false,
        ttl: 64,
        protocol: number,
        source: address(
            random,
            &[[10, 0, 0, 2], [10, 0, 0, 200], [192, 0, 2, 9], [198, 51, 100, 7]],
        ),
        destination: address(
            random,
            &[
                [10, 0, 0, 1],
                [192, 0, 2, 9],
                [192, 0, 2, 1],
                [224, 0, 0, 1],
                [203, 0, 113, 8],
            ],
        ),
    }
    .emit(&transport[..length]);
    // In units of eight bytes; the first of several has a flag and no offset.
    let fragment: u16 = random.pick(&[0, 0, 0, 0, 0, 0, 0, 0, 0x2000, 1, 2, 0x2001, 185]);
    bytes[6..8].copy_from_slice(&fragment.to_be_bytes());
    Packet::parse(bytes).expect("a sane header")
}

/// With extension headers, now and then.
pub(super) fn packet_v6(number: u8, transport: &[u8], random: &mut Random) -> Packet {
    let mut headers: Vec<(u8, Vec<u8>)> = Vec::new();
    for _ in 0..random.pick(&[0, 0, 0, 1, 1, 2]) {
        headers.push(match random.below(5) {
            0 => (extension::HOP_BY_HOP, vec![0, 5, 2, 0, 0, 1, 0]),
            1 => (
                extension::DESTINATION,
                vec![random.pick(&[0, 0, 0, 9]), 1, 4, 0, 0, 0, 0],
            ),
            2 => {
                let mut route = vec![
                    2,
                    random.pick(&[0, 2, 4]),
                    random.below(3) as u8,
                    random.below(3) as u8,
                    0,
                    0,
                    0,
                ];
                route.extend(SEGMENT);
                (extension::ROUTING, route)
            }
            3 => {
                let mut ah = vec![4, 0, random.below(2) as u8, 0, 0, 0, random.below(9) as u8];
                ah.extend([0; 16]);
                (protocol::AH, ah)
            }
            _ => {
                let field: u16 = random.pick(&[0, 1, 1, 8, 9, 17, 1480]);
                let [high, low] = field.to_be_bytes();
                (
                    extension::FRAGMENT,
                    vec![random.below(2) as u8, high, low, 0, 0, 0, random.below(9) as u8],
                )
            }
        });
    }
    let numbers: Vec<u8> = headers.iter().map(|it| it.0).chain([number]).collect();
    let mut bytes = vec![0; ipv6::HEADER];
    (bytes[0], bytes[6], bytes[7]) = (0x60, numbers[0], 64);
    let address = |random: &mut Random, from: &[&str]| random.pick(from).parse::<std::net::Ipv6Addr>().expect("one");
    let source = address(
        random,
        &["2001:db8::2", "2001:db8::c8", "2001:db8:1::9", "2001:db8:7::7"],
    );
    let destination = address(
        random,
        &[
            "2001:db8::1",
            "2001:db8:1::9",
            "2001:db8:1::1",
            "ff02::1",
            "2001:db8:8::8",
        ],
    );
    bytes[8..24].copy_from_slice(&source.octets());
    bytes[24..].copy_from_slice(&destination.octets());
    for ((_, header), next) in headers.iter().zip(&numbers[1..]) {
        bytes.push(*next);
        bytes.extend(header);
    }
    bytes.extend(transport);
    // Now and then it ends in the middle of what it has.
    if random.one_in(8) {
        bytes.truncate(ipv6::HEADER + random.below((bytes.len() - ipv6::HEADER) as u32 + 1) as usize);
    }
    let length = ((bytes.len() - ipv6::HEADER) as u16).to_be_bytes();
    bytes[4..6].copy_from_slice(&length);
    Packet::parse(bytes).expect("a sane header")
}

pub(super) const SEGMENT: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];

/// Never seen, refused, left alone, behind a CT target, or with a flow of any state that NAT may rewrite.
pub(super) fn tracking(family: Family, random: &mut Random, flows: &Flows) -> Tracking {
    let mut tracking = Tracking::default();
    match random.below(8) {
        0 => return tracking,
        1 => tracking.state = Some(CtState::Invalid),
        2 => tracking.state = Some(CtState::Untracked),
        3 => tracking.template = Some(Arc::new(Template::default())),
        _ => {}
    }
    if tracking.state.is_some() || tracking.template.is_some() {
        return tracking;
    }
    let settings = Settings::default();
    let cx = TrackContext {
        now: NOW,
        settings: &settings,
        stage: TrackStage::Output,
        helpers: &[],
        packet: 0,
    };
    let mut opening = udp((host(family, 2), 1000), (host(family, 9), 53), &[]);
    flows.track(&cx, &mut opening, &mut tracking);
    let flow = Arc::clone(tracking.flow.as_ref().expect("a datagram opens a flow"));
    for bits in [Status::SRC_NAT, Status::DST_NAT, Status::SEEN_REPLY, Status::ASSURED] {
        if random.one_in(3) {
            flow.lock().status.set(bits);
        }
    }
    if random.one_in(2) {
        flows
            .confirm(&cx, &opening, &mut tracking)
            .expect("an empty table has room");
    }
    tracking.state = Some(random.pick(&[CtState::New, CtState::Established, CtState::Related]));
    tracking.direction = random.pick(&[Direction::Original, Direction::Reply]);
    tracking
}

/// The engine's hands: mappings are really chosen.
pub(super) struct Done<'a> {
    pub(super) flows: &'a Flows,
    pub(super) has_logged: bool,
}

impl Services for Done<'_> {
    fn log(&mut self, _record: LogRecord) {
        self.has_logged = true;
    }

    fn nat(&mut self, _packet: &Packet, tracking: &mut Tracking, range: &NatRange, manip: Manip) -> TargetVerdict {
        let mut cx = NatContext {
            now: NOW,
            random: &mut Random::new(1),
        };
        if let Some(flow) = &tracking.flow {
            nat::setup(self.flows, &mut cx, flow, range, manip);
        }
        TargetVerdict::Accept
    }
}
