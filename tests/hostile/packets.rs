//! Packets: sound conversations with answers to what was heard, and every way to break them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpHeaders, PacketBuilder, PacketBuilderStep};
use nflab::base::{Family, InterfaceId};
use nflab::wire::checksum;

use crate::Draw;

type Step = (Option<InterfaceId>, Vec<u8>);

const LAN: Option<InterfaceId> = Some(InterfaceId(1));
const WAN: Option<InterfaceId> = Some(InterfaceId(2));
const ADDRESSES: &[Ipv4Addr] = &[
    Ipv4Addr::new(10, 0, 0, 2),
    Ipv4Addr::new(10, 0, 0, 2),
    Ipv4Addr::new(10, 0, 0, 3),
    Ipv4Addr::new(10, 0, 0, 1),
    Ipv4Addr::new(192, 0, 2, 9),
    Ipv4Addr::new(192, 0, 2, 9),
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(192, 0, 2, 100),
    Ipv4Addr::new(198, 51, 100, 7),
];
const ODD_ADDRESSES: &[Ipv4Addr] = &[
    Ipv4Addr::new(10, 0, 0, 255),
    Ipv4Addr::new(10, 0, 0, 0),
    Ipv4Addr::new(255, 255, 255, 255),
    Ipv4Addr::new(0, 0, 0, 0),
    Ipv4Addr::new(127, 0, 0, 1),
    Ipv4Addr::new(224, 0, 0, 1),
    Ipv4Addr::new(239, 1, 2, 3),
    Ipv4Addr::new(240, 0, 0, 1),
];
const ADDRESSES_OF_IPV6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 3),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 9),
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 9),
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0x64),
    Ipv6Addr::new(0x2001, 0xdb8, 0x64, 0, 0, 0, 0, 7),
];
const ODD_ADDRESSES_OF_IPV6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
    Ipv6Addr::UNSPECIFIED,
    Ipv6Addr::LOCALHOST,
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1),
    Ipv6Addr::new(0xff0e, 0, 0, 0, 0, 0, 0, 3),
    Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0209),
];
const PORTS: &[u16] = &[21, 21, 53, 80, 0, 1024, 40000, 65535];

/// Where a packet of this family has what is drawn and mended of it.
struct Form {
    /// Bytes before what the header carries, extension headers among it.
    header: usize,
    /// Where both addresses begin, and how long each is.
    addresses: usize,
    length: usize,
    /// Where the protocol's number stands.
    number: usize,
}

impl Form {
    /// `None` where not even a header is there.
    fn of(bytes: &[u8]) -> Option<Self> {
        let form = match Family::of_packet(bytes) {
            Some(Family::V6) => Self {
                header: 40,
                addresses: 8,
                length: 16,
                number: 6,
            },
            _ => Self {
                header: usize::from(bytes.first()? & 15) * 4,
                addresses: 12,
                length: 4,
                number: 9,
            },
        };
        (form.header >= 20 && bytes.len() >= form.header).then_some(form)
    }

    fn source(&self, bytes: &[u8]) -> IpAddr {
        Self::address(&bytes[self.addresses..][..self.length])
    }

    fn destination(&self, bytes: &[u8]) -> IpAddr {
        Self::address(&bytes[self.addresses + self.length..][..self.length])
    }

    fn address(bytes: &[u8]) -> IpAddr {
        match <[u8; 16]>::try_from(bytes) {
            Ok(octets) => octets.into(),
            Err(_) => [bytes[0], bytes[1], bytes[2], bytes[3]].into(),
        }
    }

    /// It is as long as it says.
    fn set_length(bytes: &mut [u8]) {
        match Family::of_packet(bytes) {
            Some(Family::V6) if bytes.len() >= 40 => {
                let payload = (bytes.len() - 40) as u16;
                bytes[4..6].copy_from_slice(&payload.to_be_bytes());
            }
            Some(Family::V4) if bytes.len() >= 20 => {
                let total = bytes.len() as u16;
                bytes[2..4].copy_from_slice(&total.to_be_bytes());
            }
            _ => {}
        }
    }
}

/// Where whoever has this address is.
fn side_of(address: IpAddr) -> Option<InterfaceId> {
    let is_near = match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => matches!(address.segments(), [0x2001, 0xdb8, 0, ..]),
    };
    if is_near { LAN } else { WAN }
}

fn builder(a: IpAddr, b: IpAddr, hops: u8) -> PacketBuilderStep<IpHeaders> {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => PacketBuilder::ipv4(a.octets(), b.octets(), hops),
        (IpAddr::V6(a), IpAddr::V6(b)) => PacketBuilder::ipv6(a.octets(), b.octets(), hops),
        _ => panic!("{a} and {b} are not of one family"),
    }
}

/// A message of the family's ICMP.
fn icmp(a: IpAddr, b: IpAddr, (kind, code): (u8, u8), word: [u8; 4], data: &[u8]) -> Vec<u8> {
    let builder = builder(a, b, 64);
    match Family::of(a) {
        Family::V4 => write(|out| builder.icmpv4_raw(kind, code, word).write(out, data)),
        Family::V6 => write(|out| builder.icmpv6_raw(kind, code, word).write(out, data)),
    }
}

pub(crate) struct Packets {
    pub count: usize,
    families: &'static [Family],
    /// The end of sequence space is where arithmetic goes wrong.
    sequence: u32,
}

impl Packets {
    pub(crate) fn of(families: &'static [Family]) -> Self {
        Self {
            count: 0,
            families,
            sequence: 0,
        }
    }

    pub(crate) fn draw(&mut self, draw: &mut Draw, heard: &[Vec<u8>]) -> Vec<Step> {
        let family = draw.pick(self.families);
        let is_of_family = |it: &&Vec<u8>| Family::of_packet(it) == Some(family) && Form::of(it).is_some();
        let heard: Vec<&Vec<u8>> = heard.iter().filter(is_of_family).collect();
        let mut steps = self.sound(draw, family, &heard);
        for (interface, bytes) in &mut steps {
            if draw.one_in(3) {
                for _ in 0..=draw.below(3) {
                    mutate(draw, bytes);
                }
                if !draw.one_in(4) {
                    mend(draw, bytes);
                }
            }
            if draw.one_in(20) {
                *interface = draw.pick(&[LAN, WAN, None]);
            }
        }
        if draw.one_in(6) {
            steps = steps
                .into_iter()
                .flat_map(|(interface, bytes)| {
                    let mut pieces: Vec<Step> = fragments(draw, &bytes).into_iter().map(|it| (interface, it)).collect();
                    if draw.one_in(2) {
                        for at in (1..pieces.len()).rev() {
                            pieces.swap(at, draw.below(at + 1));
                        }
                    }
                    pieces
                })
                .collect();
        }
        if draw.one_in(10) && !steps.is_empty() {
            let again = steps[draw.below(steps.len())].clone();
            steps.push(again);
        }
        steps
    }

    fn sound(&mut self, draw: &mut Draw, family: Family, heard: &[&Vec<u8>]) -> Vec<Step> {
        let (a, b) = (address(draw, family), address(draw, family));
        let (p, q) = (draw.pick(PORTS), draw.pick(PORTS));
        let builder = builder(a, b, draw.pick(&[64, 64, 64, 255, 2, 1, 0]));
        let size = draw.pick(&[0, 1, 7, 40, 40, 1400, 1472, 1473, 4000]);
        let data: Vec<u8> = (0..size).map(|it| it as u8).collect();
        match draw.below(10) {
            0 => vec![(side_of(a), write(|out| builder.udp(p, q).write(out, &data)))],
            1 => {
                let ping = if family == Family::V4 { 8 } else { 128 };
                let [high, low] = p.to_be_bytes();
                vec![(side_of(a), icmp(a, b, (ping, 0), [high, low, 0, 1], &data))]
            }
            2 => {
                let kind = match family {
                    Family::V4 => draw.below(44) as u8,
                    Family::V6 if draw.one_in(8) => draw.below(256) as u8,
                    Family::V6 => draw.pick(&[1, 2, 3, 4]) + draw.pick(&[0, 127, 131, 134, 137]),
                };
                let code = draw.below(18) as u8;
                let word = draw.u32().to_be_bytes();
                vec![(side_of(a), icmp(a, b, (kind, code), word, &data))]
            }
            3 if !heard.is_empty() => vec![error_about(draw, heard)],
            4 | 5 if !heard.is_empty() => vec![answer(draw, heard)],
            6 => ftp(draw, a, b, self),
            7 => {
                let mut bytes = write(|out| builder.udp(p, q).write(out, &data));
                let number = draw.pick(&[2, 4, 33, 41, 47, 50, 51, 132, 136, 255, 0, 43, 44, 59, 60, 135]);
                if let Some(form) = Form::of(&bytes) {
                    bytes[form.number] = number;
                }
                mend_header(&mut bytes);
                vec![(side_of(a), bytes)]
            }
            8 => {
                let own: IpAddr = match family {
                    Family::V4 => draw
                        .pick(&[[10, 0, 0, 1], [192, 0, 2, 1], [0, 0, 0, 0], [127, 0, 0, 1]])
                        .into(),
                    Family::V6 => draw
                        .pick(&[
                            ADDRESSES_OF_IPV6[3],
                            ADDRESSES_OF_IPV6[6],
                            Ipv6Addr::UNSPECIFIED,
                            Ipv6Addr::LOCALHOST,
                        ])
                        .into(),
                };
                let builder = self::builder(own, b, 64);
                vec![(None, write(|out| builder.udp(p, q).write(out, &data)))]
            }
            _ => conversation(draw, a, b, (p, q), &data, self),
        }
    }
}

fn address(draw: &mut Draw, family: Family) -> IpAddr {
    let is_odd = draw.one_in(12);
    match family {
        Family::V4 => draw.pick(if is_odd { ODD_ADDRESSES } else { ADDRESSES }).into(),
        Family::V6 if is_odd => draw.pick(ODD_ADDRESSES_OF_IPV6).into(),
        Family::V6 => draw.pick(ADDRESSES_OF_IPV6).into(),
    }
}

fn write<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut packet = Vec::new();
    write(&mut packet).expect("a Vec takes everything");
    packet
}

fn segment(from: (IpAddr, u16), to: (IpAddr, u16), flags: u8, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    let builder = builder(from.0, to.0, 64).tcp(from.1, to.1, seq, 60_000);
    let mut bytes = write(|out| builder.ack(ack).write(out, data));
    let header = bytes.len() - data.len() - 20;
    bytes[header + 13] = flags;
    mend_transport(&mut bytes);
    bytes
}

fn conversation(
    draw: &mut Draw,
    a: IpAddr,
    b: IpAddr,
    (p, q): (u16, u16),
    data: &[u8],
    packets: &mut Packets,
) -> Vec<Step> {
    packets.sequence = packets.sequence.wrapping_add(0x2000_0001);
    let (x, y) = (packets.sequence, u32::MAX.wrapping_sub(draw.below(3) as u32));
    let (near, far) = ((a, p), (b, q));
    let (here, there) = if side_of(a) == LAN { (LAN, WAN) } else { (WAN, LAN) };
    let data = &data[..data.len().min(1400)];
    let mut steps = vec![
        (here, segment(near, far, 2, x, 0, b"")),
        (there, segment(far, near, 18, y, x.wrapping_add(1), b"")),
        (here, segment(near, far, 16, x.wrapping_add(1), y.wrapping_add(1), b"")),
        (here, segment(near, far, 24, x.wrapping_add(1), y.wrapping_add(1), data)),
    ];
    steps.push(match draw.below(3) {
        0 => (there, segment(far, near, 4, y.wrapping_add(1), 0, b"")),
        1 => (
            here,
            segment(
                near,
                far,
                17,
                x.wrapping_add(1 + data.len() as u32),
                y.wrapping_add(1),
                b"",
            ),
        ),
        _ => {
            let (seq, ack, flags) = (draw.u32(), draw.u32(), draw.below(256) as u8);
            (there, segment(far, near, flags, seq, ack, data))
        }
    });
    steps
}

fn ftp(draw: &mut Draw, a: IpAddr, b: IpAddr, packets: &mut Packets) -> Vec<Step> {
    let p = draw.pick(&[40000, 40001, 65535]);
    let (here, there) = if side_of(a) == LAN { (LAN, WAN) } else { (WAN, LAN) };
    packets.sequence = packets.sequence.wrapping_add(0x4000_0001);
    let (mut x, mut y) = (packets.sequence, u32::MAX.wrapping_sub(20));
    let mut steps = vec![
        (here, segment((a, p), (b, 21), 2, x, 0, b"")),
        (there, segment((b, 21), (a, p), 18, y, x.wrapping_add(1), b"")),
    ];
    (x, y) = (x.wrapping_add(1), y.wrapping_add(1));
    steps.push((here, segment((a, p), (b, 21), 16, x, y, b"")));
    let with_commas = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets().map(|it| it.to_string()).join(","),
        IpAddr::V6(_) => "10,0,0,2".to_owned(),
    };
    let family = if a.is_ipv4() { 1 } else { 2 };
    for _ in 0..draw.below(6) {
        let mut line = match draw.below(9) {
            0 => format!("PORT {},156,65\r\n", with_commas(a)),
            1 => format!("EPRT |{family}|{a}|6446|\r\n"),
            2 => "EPRT |2|::1|6446|\r\n".to_owned(),
            3 => "PORT 4294967296,0,0,0,256,9999999999\r\n".to_owned(),
            4 => format!("227 Entering Passive Mode ({},4,1)\r\n", with_commas(b)),
            5 => "229 Extended (|||99999|)\r\n".to_owned(),
            6 => "229 Extended (|||6446|)\r\n".to_owned(),
            7 => "227 (((((,,,,,\r\n".to_owned(),
            _ => "EPSV\r\n".to_owned(),
        }
        .into_bytes();
        if draw.one_in(3) && !line.is_empty() {
            let at = draw.below(line.len());
            match draw.below(3) {
                0 => line[at] = draw.below(256) as u8,
                1 => line.truncate(at),
                _ => line.extend(std::iter::repeat_n(b'9', draw.below(1300))),
            }
        }
        if line.first() == Some(&b'2') {
            steps.push((there, segment((b, 21), (a, p), 24, y, x, &line)));
            y = y.wrapping_add(line.len() as u32);
        } else {
            steps.push((here, segment((a, p), (b, 21), 24, x, y, &line)));
            x = x.wrapping_add(line.len() as u32);
        }
        if draw.one_in(4) {
            let q = draw.pick(&[40001, 1025, 6446]);
            let (from, to) = if draw.one_in(2) {
                ((b, 20), (a, q))
            } else {
                ((a, p), (b, q))
            };
            let side = if from.0 == a { here } else { there };
            steps.push((side, segment(from, to, 2, 1, 0, b"")));
        }
    }
    steps
}

/// An answer to what left, so that NAT is undone.
fn answer(draw: &mut Draw, heard: &[&Vec<u8>]) -> Step {
    let mut bytes = heard[draw.below(heard.len())].clone();
    let form = Form::of(&bytes).expect("what left is whole");
    bytes[form.addresses..][..2 * form.length].rotate_left(form.length);
    let header = form.header;
    let protocol = bytes[form.number];
    if matches!(protocol, 6 | 17) && bytes.len() >= header + 4 {
        bytes.swap(header, header + 2);
        bytes.swap(header + 1, header + 3);
        if protocol == 6 && bytes.len() >= header + 20 {
            for at in header + 4..header + 8 {
                bytes.swap(at, at + 4);
            }
            bytes[header + 13] = draw.pick(&[16, 18, 24, 17, 4, 20, 2]);
        }
    } else if let (1 | 58, Some(kind)) = (protocol, bytes.get_mut(header)) {
        *kind = match *kind {
            8 => 0,
            128 => 129,
            kind => kind,
        };
    }
    mend(draw, &mut bytes);
    (side_of(form.source(&bytes)), bytes)
}

fn error_about(draw: &mut Draw, heard: &[&Vec<u8>]) -> Step {
    let mut quoted = heard[draw.below(heard.len())].clone();
    let form = Form::of(&quoted).expect("what left is whole");
    let (to, family) = (form.source(&quoted), Family::of(form.source(&quoted)));
    let from = if draw.one_in(2) {
        form.destination(&quoted)
    } else {
        address(draw, family)
    };
    if draw.one_in(3) {
        mutate(draw, &mut quoted);
    }
    let header = form.header.min(40);
    quoted.truncate(draw.pick(&[
        header + 8,
        header + 8,
        header + 40,
        576,
        1200,
        header + 7,
        header,
        header - 1,
        4,
        0,
    ]));
    let (kind, code) = match family {
        Family::V4 => draw.pick(&[(3, 0), (3, 4), (3, 3), (11, 0), (11, 1), (12, 0), (4, 0), (5, 1)]),
        Family::V6 => draw.pick(&[(1, 0), (1, 4), (2, 0), (3, 0), (3, 1), (4, 0), (4, 1), (5, 0), (137, 0)]),
    };
    let word = [0, 0, draw.below(6) as u8, draw.below(256) as u8];
    let mut bytes = icmp(from, to, (kind, code), word, &quoted);
    if draw.one_in(4) {
        // An error about an error, and so on.
        let inner = bytes.clone();
        bytes = icmp(
            to,
            from,
            if family == Family::V4 { (3, 1) } else { (1, 3) },
            [0; 4],
            &inner,
        );
    }
    let form = Form::of(&bytes).expect("it has just been made");
    (side_of(form.source(&bytes)), bytes)
}

fn mutate(draw: &mut Draw, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let is_ipv6 = Family::of_packet(bytes) == Some(Family::V6);
    let (header, number) = if is_ipv6 { (40, 6) } else { (20, 9) };
    let at = draw.below(bytes.len().min(80));
    match draw.below(12) {
        0 => bytes[at] ^= 1 << draw.below(8),
        1 => bytes[at] = draw.pick(&[0, 0xff, 0x7f, 0x80]),
        2 => bytes.truncate(at),
        3 => bytes.extend((0..draw.below(100)).map(|it| it as u8)),
        4 => bytes[0] = bytes[0] & 0xf0 | draw.below(16) as u8,
        5 if bytes.len() > header => {
            let lie = draw.u16().to_be_bytes();
            let at = if is_ipv6 { 4 } else { 2 };
            bytes[at..at + 2].copy_from_slice(&lie);
        }
        6..9 if is_ipv6 && bytes.len() >= header => extension_headers(draw, bytes),
        6 if bytes.len() > 8 => {
            let field = draw.pick(&[0x2000u16, 0x1fff, 0x3fff, 0x8000, 0x4000, 1, 0x2001]);
            bytes[6..8].copy_from_slice(&field.to_be_bytes());
        }
        7 | 8 if bytes.len() >= 20 && bytes[0] == 0x45 => options(draw, bytes),
        9 if bytes.len() > header + 13 => {
            bytes[header + 12] = (draw.below(16) as u8) << 4 | (bytes[header + 12] & 15);
        }
        10 if bytes.len() > header + 20 && bytes[number] == 6 => {
            // Options of TCP in the place of its data.
            bytes[header + 12] = 0xf0;
            let kinds: &[u8] = draw.pick(&[
                &[2, 4, 5, 180, 3, 3, 14][..],
                &[5, 10, 0, 0, 0, 1, 0, 0],
                &[5, 255, 0, 0],
                &[3, 0, 1, 1],
                &[8, 10, 1, 1],
                &[2, 1],
            ]);
            for (place, byte) in bytes[header + 20..].iter_mut().zip(kinds) {
                *place = *byte;
            }
        }
        _ => {
            let count = draw.below(8);
            for _ in 0..count {
                let at = draw.below(bytes.len());
                bytes[at] = draw.below(256) as u8;
            }
        }
    }
}

/// One between header and transport, or behind others, right or wrong.
fn extension_headers(draw: &mut Draw, bytes: &mut Vec<u8>) {
    // Each with its number; the first byte is that of what follows.
    let choices: &[(u8, &[u8])] = &[
        (0, &[0, 0, 1, 4, 0, 0, 0, 0]),
        (0, &[0, 0, 5, 2, 0, 0, 1, 0]),
        (0, &[0, 0, 0xc2, 4, 0, 1, 0, 0]),
        (0, &[0, 0, 0x3e, 4, 1, 2, 3, 4]),
        (0, &[0, 0, 0x40, 4, 1, 2, 3, 4]),
        (0, &[0, 0, 0x80, 4, 1, 2, 3, 4]),
        (60, &[0, 0, 0xc9, 4, 1, 2, 3, 4]),
        (60, &[0, 0, 0, 0, 0, 0, 0, 0]),
        (60, &[0, 0, 1, 9, 0, 0, 0, 0]),
        (60, &[0, 31, 1, 4, 0, 0, 0, 0]),
        (43, &[0, 0, 0, 0, 0, 0, 0, 0]),
        (
            43,
            &[
                0, 2, 0, 1, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
            ],
        ),
        (
            43,
            &[
                0, 2, 2, 1, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            ],
        ),
        (
            43,
            &[
                0, 2, 4, 0, 0, 0, 0, 7, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
            ],
        ),
        (44, &[0, 0, 0, 0, 0, 0, 0, 1]),
        (44, &[0, 0, 0, 1, 0, 0, 0, 2]),
        (44, &[0, 0, 5, 0xb8, 0, 0, 0, 2]),
        (
            51,
            &[
                0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
            ],
        ),
        (135, &[59, 0, 0, 0, 0, 0, 0, 0]),
        (59, &[]),
        (50, &[]),
    ];
    let (number, header) = draw.pick(choices);
    let mut header = header.to_vec();
    if let Some(first) = header.first_mut() {
        *first = bytes[6];
    }
    if draw.one_in(3) && !header.is_empty() {
        let at = draw.below(header.len());
        header[at] = draw.below(256) as u8;
    }
    bytes[6] = number;
    let payload = u16::from_be_bytes([bytes[4], bytes[5]]).wrapping_add(header.len() as u16);
    bytes[4..6].copy_from_slice(&payload.to_be_bytes());
    bytes.splice(40..40, header);
}

/// Options of IP between header and transport, right and wrong.
fn options(draw: &mut Draw, bytes: &mut Vec<u8>) {
    let choices: &[&[u8]] = &[
        &[7, 7, 4, 0, 0, 0, 0, 0],
        &[7, 7, 8, 1, 2, 3, 4, 0],
        &[7, 7, 0, 0, 0, 0, 0, 0],
        &[131, 7, 4, 10, 0, 0, 1, 0],
        &[137, 7, 4, 192, 0, 2, 9, 0],
        &[131, 11, 4, 10, 0, 0, 1, 192, 0, 2, 9, 0],
        &[68, 8, 5, 0, 0, 0, 0, 0],
        &[68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        &[68, 12, 5, 3, 10, 0, 0, 1, 0, 0, 0, 0],
        &[68, 4, 5, 0xf1],
        &[148, 4, 0, 0],
        &[134, 8, 0, 0, 0, 0, 1, 2],
        &[1, 1, 1, 0],
        &[7, 40, 4, 0],
        &[7, 1, 4, 0],
        &[7, 0, 4, 0],
        &[255, 3, 0, 7],
    ];
    let mut insert: Vec<u8> = draw.pick(choices).to_vec();
    if draw.one_in(3) {
        let at = draw.below(insert.len());
        insert[at] = draw.below(256) as u8;
    }
    if draw.one_in(4) {
        insert.extend([1; 24]);
    }
    bytes[0] += (insert.len() / 4) as u8;
    let total = u16::from_be_bytes([bytes[2], bytes[3]]).wrapping_add(insert.len() as u16);
    bytes[2..4].copy_from_slice(&total.to_be_bytes());
    bytes.splice(20..20, insert);
}

/// Right checksums over wrong contents, so that they get further; now and then a right length too.
fn mend(draw: &mut Draw, bytes: &mut [u8]) {
    if draw.one_in(2) {
        Form::set_length(bytes);
    }
    mend_header(bytes);
    mend_transport(bytes);
}

fn mend_header(bytes: &mut [u8]) {
    let Some(form) = Form::of(bytes).filter(|form| form.length == 4) else {
        return;
    };
    bytes[10..12].fill(0);
    let sum = checksum::of(&bytes[..form.header]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
}

/// Of a transport that follows the header at once.
fn mend_transport(bytes: &mut [u8]) {
    let Some(form) = Form::of(bytes) else {
        return;
    };
    let protocol = bytes[form.number];
    let at = match protocol {
        6 => 16,
        17 => 6,
        1 | 58 => 2,
        _ => return,
    };
    let (source, destination) = (form.source(bytes), form.destination(bytes));
    let segment = &mut bytes[form.header..];
    if segment.len() < at + 2 {
        return;
    }
    segment[at..at + 2].fill(0);
    let sum = match protocol {
        1 => checksum::of(segment),
        _ => checksum::transport(source, destination, protocol, segment),
    };
    segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// Pieces of a packet with an identification of few: they overlap, repeat, lack one, reach beyond 64 KB.
fn fragments(draw: &mut Draw, bytes: &[u8]) -> Vec<Vec<u8>> {
    let Some(Form { header, length, .. }) = Form::of(bytes).filter(|form| bytes.len() >= form.header + 16) else {
        return vec![bytes.to_vec()];
    };
    let data = &bytes[header..];
    let step = draw.pick(&[8, 16, 24, 512, 1232, 1480]);
    let identification = draw.below(3) as u16;
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < data.len() && pieces.len() < 40 {
        let mut end = (start + step).min(data.len());
        if draw.one_in(25) {
            end = (end + 8).min(data.len());
        }
        let mut piece = bytes[..header].to_vec();
        let mut offset = (start / 8) as u16;
        let mut more = end < data.len();
        let mut others = 0;
        match draw.below(60) {
            0 => offset |= 0x1ff0,
            1 => more = !more,
            2 => others = 0x4000,
            3 => offset = draw.u16(),
            _ => {}
        }
        if length == 16 {
            let field = offset << 3 | u16::from(more) | u16::from(others != 0) << 1;
            let next = std::mem::replace(&mut piece[6], 44);
            piece.extend([next, 0]);
            piece.extend(field.to_be_bytes());
            piece.extend([0, 0]);
            piece.extend(identification.to_be_bytes());
        } else {
            piece[4..6].copy_from_slice(&identification.to_be_bytes());
            let field = offset | u16::from(more) << 13 | others;
            piece[6..8].copy_from_slice(&field.to_be_bytes());
        }
        piece.extend_from_slice(&data[start..end]);
        Form::set_length(&mut piece);
        mend_header(&mut piece);
        if !draw.one_in(50) {
            pieces.push(piece);
        }
        start += step;
    }
    pieces
}
