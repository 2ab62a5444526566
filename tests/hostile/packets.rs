//! Packets: sound conversations with answers to what was heard, and every way to break them.

use etherparse::PacketBuilder;
use nflab::base::InterfaceId;
use nflab::wire::checksum;

use crate::Draw;

type Step = (Option<InterfaceId>, Vec<u8>);

const LAN: Option<InterfaceId> = Some(InterfaceId(1));
const WAN: Option<InterfaceId> = Some(InterfaceId(2));
const ADDRESSES: &[[u8; 4]] = &[
    [10, 0, 0, 2],
    [10, 0, 0, 2],
    [10, 0, 0, 3],
    [10, 0, 0, 1],
    [192, 0, 2, 9],
    [192, 0, 2, 9],
    [192, 0, 2, 1],
    [192, 0, 2, 100],
    [198, 51, 100, 7],
];
const ODD_ADDRESSES: &[[u8; 4]] = &[
    [10, 0, 0, 255],
    [10, 0, 0, 0],
    [255, 255, 255, 255],
    [0, 0, 0, 0],
    [127, 0, 0, 1],
    [224, 0, 0, 1],
    [239, 1, 2, 3],
    [240, 0, 0, 1],
];
const PORTS: &[u16] = &[21, 21, 53, 80, 0, 1024, 40000, 65535];

#[derive(Default)]
pub(crate) struct Packets {
    pub count: usize,
    /// The end of sequence space is where arithmetic goes wrong.
    sequence: u32,
}

impl Packets {
    pub(crate) fn draw(&mut self, draw: &mut Draw, heard: &[Vec<u8>]) -> Vec<Step> {
        let mut steps = self.sound(draw, heard);
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

    fn sound(&mut self, draw: &mut Draw, heard: &[Vec<u8>]) -> Vec<Step> {
        let (a, b) = (address(draw), address(draw));
        let side = |from: [u8; 4]| if from[0] == 10 { LAN } else { WAN };
        let (p, q) = (draw.pick(PORTS), draw.pick(PORTS));
        let builder = PacketBuilder::ipv4(a, b, draw.pick(&[64, 64, 64, 255, 2, 1, 0]));
        let size = draw.pick(&[0, 1, 7, 40, 40, 1400, 1472, 1473, 4000]);
        let data: Vec<u8> = (0..size).map(|it| it as u8).collect();
        match draw.below(10) {
            0 => vec![(side(a), write(|out| builder.udp(p, q).write(out, &data)))],
            1 => vec![(
                side(a),
                write(|out| builder.icmpv4_echo_request(p, q).write(out, &data)),
            )],
            2 => {
                let kind = draw.below(44) as u8;
                let code = draw.below(18) as u8;
                let word = draw.u32().to_be_bytes();
                vec![(
                    side(a),
                    write(|out| builder.icmpv4_raw(kind, code, word).write(out, &data)),
                )]
            }
            3 if !heard.is_empty() => vec![error_about(draw, heard)],
            4 | 5 if !heard.is_empty() => vec![answer(draw, heard)],
            6 => ftp(draw, a, b, self),
            7 => {
                let mut bytes = write(|out| builder.udp(p, q).write(out, &data));
                bytes[9] = draw.pick(&[2, 4, 33, 41, 47, 50, 51, 132, 136, 255, 0]);
                mend_header(&mut bytes);
                vec![(side(a), bytes)]
            }
            8 => {
                let own = draw.pick(&[[10, 0, 0, 1], [192, 0, 2, 1], [0, 0, 0, 0], [127, 0, 0, 1]]);
                let builder = PacketBuilder::ipv4(own, b, 64);
                vec![(None, write(|out| builder.udp(p, q).write(out, &data)))]
            }
            _ => conversation(draw, a, b, (p, q), &data, self),
        }
    }
}

fn address(draw: &mut Draw) -> [u8; 4] {
    if draw.one_in(12) {
        draw.pick(ODD_ADDRESSES)
    } else {
        draw.pick(ADDRESSES)
    }
}

fn write<E: std::fmt::Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut packet = Vec::new();
    write(&mut packet).expect("a Vec takes everything");
    packet
}

fn segment(from: ([u8; 4], u16), to: ([u8; 4], u16), flags: u8, seq: u32, ack: u32, data: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv4(from.0, to.0, 64).tcp(from.1, to.1, seq, 60_000);
    let mut bytes = write(|out| builder.ack(ack).write(out, data));
    bytes[33] = flags;
    mend_transport(&mut bytes);
    bytes
}

fn conversation(
    draw: &mut Draw,
    a: [u8; 4],
    b: [u8; 4],
    (p, q): (u16, u16),
    data: &[u8],
    packets: &mut Packets,
) -> Vec<Step> {
    packets.sequence = packets.sequence.wrapping_add(0x2000_0001);
    let (x, y) = (packets.sequence, u32::MAX.wrapping_sub(draw.below(3) as u32));
    let (near, far) = ((a, p), (b, q));
    let (here, there) = if a[0] == 10 { (LAN, WAN) } else { (WAN, LAN) };
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

fn ftp(draw: &mut Draw, a: [u8; 4], b: [u8; 4], packets: &mut Packets) -> Vec<Step> {
    let p = draw.pick(&[40000, 40001, 65535]);
    let (here, there) = if a[0] == 10 { (LAN, WAN) } else { (WAN, LAN) };
    packets.sequence = packets.sequence.wrapping_add(0x4000_0001);
    let (mut x, mut y) = (packets.sequence, u32::MAX.wrapping_sub(20));
    let mut steps = vec![
        (here, segment((a, p), (b, 21), 2, x, 0, b"")),
        (there, segment((b, 21), (a, p), 18, y, x.wrapping_add(1), b"")),
    ];
    (x, y) = (x.wrapping_add(1), y.wrapping_add(1));
    steps.push((here, segment((a, p), (b, 21), 16, x, y, b"")));
    for _ in 0..draw.below(6) {
        let mut line = match draw.below(9) {
            0 => format!("PORT {},{},{},{},156,65\r\n", a[0], a[1], a[2], a[3]),
            1 => format!("EPRT |1|{}.{}.{}.{}|6446|\r\n", a[0], a[1], a[2], a[3]),
            2 => "EPRT |2|::1|6446|\r\n".to_owned(),
            3 => "PORT 4294967296,0,0,0,256,9999999999\r\n".to_owned(),
            4 => format!(
                "227 Entering Passive Mode ({},{},{},{},4,1)\r\n",
                b[0], b[1], b[2], b[3]
            ),
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
fn answer(draw: &mut Draw, heard: &[Vec<u8>]) -> Step {
    let mut bytes = heard[draw.below(heard.len())].clone();
    for at in 12..16 {
        bytes.swap(at, at + 4);
    }
    let header = usize::from(bytes[0] & 15) * 4;
    if matches!(bytes[9], 6 | 17) && bytes.len() >= header + 4 {
        bytes.swap(header, header + 2);
        bytes.swap(header + 1, header + 3);
        if bytes[9] == 6 && bytes.len() >= header + 20 {
            for at in header + 4..header + 8 {
                bytes.swap(at, at + 4);
            }
            bytes[header + 13] = draw.pick(&[16, 18, 24, 17, 4, 20, 2]);
        }
    } else if bytes[9] == 1 && bytes.len() > header && bytes[header] == 8 {
        bytes[header] = 0;
    }
    mend(draw, &mut bytes);
    (if bytes[12] == 10 { LAN } else { WAN }, bytes)
}

fn error_about(draw: &mut Draw, heard: &[Vec<u8>]) -> Step {
    let mut quoted = heard[draw.below(heard.len())].clone();
    let to = [quoted[12], quoted[13], quoted[14], quoted[15]];
    let from = if draw.one_in(2) {
        [quoted[16], quoted[17], quoted[18], quoted[19]]
    } else {
        address(draw)
    };
    if draw.one_in(3) {
        mutate(draw, &mut quoted);
    }
    quoted.truncate(draw.pick(&[28, 28, 60, 576, 27, 20, 19, 4, 0]));
    let builder = PacketBuilder::ipv4(from, to, 64);
    let (kind, code) = draw.pick(&[(3, 0), (3, 4), (3, 3), (11, 0), (11, 1), (12, 0), (4, 0), (5, 1)]);
    let word = [0, 0, draw.below(6) as u8, draw.below(256) as u8];
    let mut bytes = write(|out| builder.icmpv4_raw(kind, code, word).write(out, &quoted));
    if draw.one_in(4) {
        // An error about an error, and so on.
        let inner = bytes.clone();
        let builder = PacketBuilder::ipv4(to, from, 64);
        bytes = write(|out| builder.icmpv4_raw(3, 1, [0; 4]).write(out, &inner));
    }
    (if bytes[12] == 10 { LAN } else { WAN }, bytes)
}

fn mutate(draw: &mut Draw, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = draw.below(bytes.len().min(80));
    match draw.below(12) {
        0 => bytes[at] ^= 1 << draw.below(8),
        1 => bytes[at] = draw.pick(&[0, 0xff, 0x7f, 0x80]),
        2 => bytes.truncate(at),
        3 => bytes.extend((0..draw.below(100)).map(|it| it as u8)),
        4 => bytes[0] = 0x40 | draw.below(16) as u8,
        5 if bytes.len() > 4 => {
            let lie = draw.u16().to_be_bytes();
            bytes[2..4].copy_from_slice(&lie);
        }
        6 if bytes.len() > 8 => {
            let field = draw.pick(&[0x2000u16, 0x1fff, 0x3fff, 0x8000, 0x4000, 1, 0x2001]);
            bytes[6..8].copy_from_slice(&field.to_be_bytes());
        }
        7 | 8 if bytes.len() >= 20 && bytes[0] == 0x45 => options(draw, bytes),
        9 if bytes.len() > 33 => bytes[32] = (draw.below(16) as u8) << 4 | (bytes[32] & 15),
        10 if bytes.len() > 40 && bytes[9] == 6 => {
            // Options of TCP in the place of its data.
            bytes[32] = 0xf0;
            let kinds: &[u8] = draw.pick(&[
                &[2, 4, 5, 180, 3, 3, 14][..],
                &[5, 10, 0, 0, 0, 1, 0, 0],
                &[5, 255, 0, 0],
                &[3, 0, 1, 1],
                &[8, 10, 1, 1],
                &[2, 1],
            ]);
            for (place, byte) in bytes[40..].iter_mut().zip(kinds) {
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
    if bytes.len() >= 20 && draw.one_in(2) {
        let total = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&total.to_be_bytes());
    }
    mend_header(bytes);
    mend_transport(bytes);
}

fn mend_header(bytes: &mut [u8]) {
    let header = bytes.first().map_or(0, |it| usize::from(it & 15) * 4);
    if header < 20 || bytes.len() < header {
        return;
    }
    bytes[10..12].fill(0);
    let sum = checksum::of(&bytes[..header]);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
}

fn mend_transport(bytes: &mut [u8]) {
    let header = bytes.first().map_or(0, |it| usize::from(it & 15) * 4);
    if header < 20 || bytes.len() < header {
        return;
    }
    let at = match bytes[9] {
        6 => 16,
        17 => 6,
        1 => 2,
        _ => return,
    };
    let protocol = bytes[9];
    let quad = |at: usize| std::net::IpAddr::from([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let (source, destination) = (quad(12), quad(16));
    let segment = &mut bytes[header..];
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
    let header = bytes.first().map_or(0, |it| usize::from(it & 15) * 4);
    if header < 20 || bytes.len() < header + 16 {
        return vec![bytes.to_vec()];
    }
    let data = &bytes[header..];
    let step = draw.pick(&[8, 16, 24, 512, 1480]);
    let identification = draw.below(3) as u16;
    let mut pieces = Vec::new();
    let mut start = 0;
    while start < data.len() && pieces.len() < 40 {
        let mut end = (start + step).min(data.len());
        if draw.one_in(25) {
            end = (end + 8).min(data.len());
        }
        let mut piece = bytes[..header].to_vec();
        piece.extend_from_slice(&data[start..end]);
        let mut field = (start / 8) as u16 | if end < data.len() { 0x2000 } else { 0 };
        match draw.below(60) {
            0 => field |= 0x1ff0,
            1 => field ^= 0x2000,
            2 => field |= 0x4000,
            3 => field = draw.u16(),
            _ => {}
        }
        let total = piece.len() as u16;
        piece[2..4].copy_from_slice(&total.to_be_bytes());
        piece[4..6].copy_from_slice(&identification.to_be_bytes());
        piece[6..8].copy_from_slice(&field.to_be_bytes());
        mend_header(&mut piece);
        if !draw.one_in(50) {
            pieces.push(piece);
        }
        start += step;
    }
    pieces
}
