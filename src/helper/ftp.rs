//! FTP (RFC 959, RFC 2428): PORT and EPRT from the client, the answers 227 and 229 from the server.
//!
//! Lines are read only where one is known to begin: after data that ended in a line feed. A command whose text ends before it is whole is dropped,
//! so that the sender repeats it in one piece; malformed ones fare the same, since the reader cannot tell. All seen on Linux 6.18.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;

use super::{DropReason, HeardWhat, HelperContext, mangle};
use crate::base::{Family, protocol};
use crate::conntrack::{
    CtState, Direction, Endpoint, Expectation, ExpectationMask, ExpectationNat, ExpectationRefused, HelperData, Status,
    Tracking, Tuple,
};
use crate::packet::Packet;

/// Reads a packet of a control connection.
pub(super) fn run(
    packet: &mut Packet,
    tracking: &Tracking,
    cx: &mut HelperContext<'_>,
) -> Result<HeardWhat, DropReason> {
    let (Some(flow), Some(CtState::Established)) = (&tracking.flow, tracking.state) else {
        return Ok(HeardWhat::TooEarly);
    };
    // Seen: what is read lies in one piece from then on, and leaves in pieces of the largest size it came in, no longer in the very same.
    packet.fragments.clear();
    let Some(segment) = packet.tcp() else {
        return Ok(HeardWhat::NoData);
    };
    let data = segment.payload();
    let Some(&last) = data.last() else {
        return Ok(HeardWhat::NoData);
    };
    let (start, direction) = (segment.sequence(), tracking.direction);
    let next_line = (last == b'\n').then(|| start.wrapping_add(data.len() as u32));
    let lines = {
        let mut state = flow.lock();
        let memory: &dyn Any = &**state.helper_data.get_or_insert_with(|| Box::<LineStarts>::default());
        let known = memory.downcast_ref::<LineStarts>().copied().unwrap_or_default();
        known.of[direction.index()]
    };
    let mut heard = HeardWhat::NotAtALine;
    if lines.contains(start) {
        let family = packet.family();
        match read(data, direction, family) {
            Reading::Nothing => heard = HeardWhat::NoCommand,
            Reading::Incomplete => return Err(DropReason::PartialMatch),
            Reading::Command(command) => heard = announce(&command, packet, tracking, cx)?,
        }
    }
    if let Some(next_line) = next_line {
        let mut state = flow.lock();
        if let Some(memory) = state
            .helper_data
            .as_deref_mut()
            .and_then(|it| (it as &mut dyn Any).downcast_mut::<LineStarts>())
        {
            memory.of[direction.index()].add(next_line);
        }
    }
    Ok(heard)
}

/// Where lines begin, each way: the last two places, as sequence numbers of the sender.
#[derive(Clone, Copy, Debug, Default)]
struct LineStarts {
    of: [Places; 2],
}

impl HelperData for LineStarts {
    fn copy(&self) -> Box<dyn HelperData> {
        Box::new(*self)
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Places {
    at: [u32; 2],
    count: usize,
}

impl Places {
    fn contains(&self, place: u32) -> bool {
        self.at[..self.count].contains(&place)
    }

    /// Of two, the older gives way to a newer one.
    fn add(&mut self, place: u32) {
        if self.contains(place) {
            return;
        }
        if self.count < 2 {
            self.at[self.count] = place;
            self.count += 1;
            return;
        }
        let is_before = |first: u32, second: u32| (first.wrapping_sub(second) as i32) < 0;
        let oldest = usize::from(!is_before(self.at[0], self.at[1]));
        if is_before(self.at[oldest], place) {
            self.at[oldest] = place;
        }
    }
}

/// Expects the connection that a command announces and, where the flow is under NAT, rewrites the command.
fn announce(
    command: &Command,
    packet: &mut Packet,
    tracking: &Tracking,
    cx: &mut HelperContext<'_>,
) -> Result<HeardWhat, DropReason> {
    let Some(flow) = &tracking.flow else {
        return Ok(HeardWhat::NoCommand);
    };
    let direction = tracking.direction;
    let (sender, peers, status) = {
        let state = flow.lock();
        (
            *state.tuple(flow, direction),
            *state.tuple(flow, direction.opposite()),
            state.status,
        )
    };
    // Whoever names another host than itself would open the firewall for that one.
    if let Some(address) = command.address
        && address != sender.source.address
    {
        return Ok(HeardWhat::NamesAnother(address));
    }
    let under_nat = status.has_any(Status::SRC_NAT.or(Status::DST_NAT));
    let limits = cx.helpers.iter().find(|it| it.name == NAME).unwrap_or(&super::FTP);
    let mut wish = Expectation {
        serial: 0,
        tuple: Tuple {
            source: Endpoint {
                address: peers.source.address,
                id: 0,
            },
            destination: Endpoint {
                address: peers.destination.address,
                id: command.port,
            },
            protocol: protocol::TCP,
        },
        mask: ExpectationMask {
            address: every_bit(packet.family()),
            id: 0,
        },
        master: flow.clone(),
        class: 0,
        permanent: false,
        inactive: false,
        deadline: cx.now + limits.expect_timeout,
        made_by: NAME,
        helper: None,
        nat: under_nat.then_some(ExpectationNat {
            command: direction,
            port: command.port,
        }),
    };
    let expect = |wish: &Expectation| {
        cx.table
            .expect(cx.now, wish.clone(), limits.max_expected, cx.settings.expect_max)
    };
    if !under_nat {
        return expect(&wish)
            .map(|()| HeardWhat::Announced {
                expected: wish.tuple,
                instead_of: None,
            })
            .map_err(DropReason::Expectation);
    }
    // The port that was named, if it is free; else any above it.
    let room = u32::from(u16::MAX - command.port);
    let mut attempts = room.min(PORTS_TRIED);
    while let Err(refused) = expect(&wish) {
        if refused != ExpectationRefused::Clash || attempts == 0 {
            return Err(DropReason::Expectation(refused));
        }
        attempts -= 1;
        wish.tuple.destination.id = command.port + cx.random.below(room) as u16;
    }
    let port = wish.tuple.destination.id;
    if port == 0 {
        // Seen: the packet is dropped, though the expectation stays.
        return Err(DropReason::Mangle);
    }
    let text = command.form.write(peers.destination.address, port);
    if !mangle::replace(packet, tracking, command.text.clone(), text.as_bytes()) {
        for made in cx.table.expectations(cx.now) {
            if Arc::ptr_eq(&made.master, flow) && made.tuple == wish.tuple {
                cx.table.unexpect(&made);
            }
        }
        return Err(DropReason::Mangle);
    }
    Ok(HeardWhat::Announced {
        expected: wish.tuple,
        instead_of: (port != command.port).then_some(command.port),
    })
}

const NAME: &str = "ftp";
const PORTS_TRIED: u32 = 128;

fn every_bit(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::BROADCAST.into(),
        Family::V6 => Ipv6Addr::from_bits(u128::MAX).into(),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Reading {
    Nothing,
    /// More of the command may come, or it cannot be read.
    Incomplete,
    Command(Command),
}

/// What a command or an answer announces.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Command {
    form: Form,
    /// `None` in 229: the server's own.
    address: Option<IpAddr>,
    port: u16,
    /// Which bytes of the data name address and port.
    text: Range<usize>,
}

/// How address and port are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// PORT and 227: `10,0,0,2,4,1`.
    Commas,
    /// EPRT: `|1|10.0.0.2|1025|`.
    Extended,
    /// 229: `|||1025|`.
    PortOnly,
}

impl Form {
    fn write(self, address: IpAddr, port: u16) -> String {
        match (self, address) {
            (Self::Commas, IpAddr::V4(v4)) => {
                let [a, b, c, d] = v4.octets();
                format!("{a},{b},{c},{d},{},{}", port >> 8, port & 0xff)
            }
            (Self::PortOnly, _) => format!("|||{port}|"),
            (_, IpAddr::V4(v4)) => format!("|1|{v4}|{port}|"),
            (_, IpAddr::V6(v6)) => format!("|2|{v6}|{port}|"),
        }
    }
}

fn read(data: &[u8], direction: Direction, family: Family) -> Reading {
    let words: [(&[u8], Form); 2] = match direction {
        Direction::Original => [(b"PORT", Form::Commas), (b"EPRT", Form::Extended)],
        Direction::Reply => [(b"227 ", Form::Commas), (b"229 ", Form::PortOnly)],
    };
    for (word, form) in words {
        let shared = word.len().min(data.len());
        if !data[..shared].eq_ignore_ascii_case(&word[..shared]) {
            continue;
        }
        if data.len() <= word.len() {
            return Reading::Incomplete;
        }
        let command = match (form, direction) {
            // RFC 1123: the reply's numbers may stand anywhere, so they begin at the first digit.
            (Form::Commas, Direction::Reply) => {
                let first = position_from(data, word.len(), |byte| byte.is_ascii_digit());
                first.and_then(|at| read_commas(data, at, None))
            }
            (Form::Commas, Direction::Original) => {
                after(data, word.len(), b' ').and_then(|at| read_commas(data, at, Some(b'\r')))
            }
            (Form::Extended, _) => after(data, word.len(), b' ').and_then(|at| read_extended(data, at, family)),
            (Form::PortOnly, _) => after(data, word.len(), b'(').and_then(|at| read_port_only(data, at)),
        };
        return command.map_or(Reading::Incomplete, Reading::Command);
    }
    Reading::Nothing
}

fn position_from(data: &[u8], start: usize, wanted: impl Fn(u8) -> bool) -> Option<usize> {
    (start..data.len()).find(|&at| wanted(data[at]))
}

/// The place after the first such byte; what stands before it does not matter.
fn after(data: &[u8], start: usize, wanted: u8) -> Option<usize> {
    let at = position_from(data, start, |byte| byte == wanted)? + 1;
    (at < data.len()).then_some(at)
}

/// `h,h,h,h,p,p` and then `end`, or anything that is no digit. Numbers above 255 spill over, as in the kernel.
fn read_commas(data: &[u8], start: usize, end: Option<u8>) -> Option<Command> {
    let (numbers, stop) = read_numbers::<6>(data, start, b',', end)?;
    let [a, b, c, d, high, low] = numbers;
    let spilled = a << 24 | b << 16 | c << 8 | d;
    Some(Command {
        form: Form::Commas,
        address: Some(Ipv4Addr::from_bits(spilled).into()),
        port: (high << 8 | low) as u16,
        text: start..stop,
    })
}

/// `N` numbers with a separator between them. Returns them and where they end. Empty numbers count as zero.
fn read_numbers<const N: usize>(
    data: &[u8],
    start: usize,
    separator: u8,
    end: Option<u8>,
) -> Option<([u32; N], usize)> {
    let mut numbers = [0u32; N];
    let mut index = 0;
    for (at, &byte) in data.iter().enumerate().skip(start) {
        match byte {
            b'0'..=b'9' => numbers[index] = numbers[index].wrapping_mul(10).wrapping_add(u32::from(byte - b'0')),
            // One separator too many: the kernel does not even take it for the end.
            _ if byte == separator && index + 1 == N => return None,
            _ if byte == separator => index += 1,
            _ if index + 1 == N && end.is_none_or(|end| end == byte) => return Some((numbers, at)),
            _ => return None,
        }
    }
    None
}

/// `|1|address|port|` with any delimiter that is a printing character but no digit.
fn read_extended(data: &[u8], start: usize, family: Family) -> Option<Command> {
    let text = &data[start..];
    if text.len() <= 3 {
        return None;
    }
    let delimiter = delimiter(text[0])?;
    let number = match family {
        Family::V4 => b'1',
        Family::V6 => b'2',
    };
    if text[1] != number || text[2] != delimiter {
        return None;
    }
    let (address, end): (IpAddr, usize) = match family {
        Family::V4 => {
            let ([a, b, c, d], end) = read_numbers::<4>(text, 3, b'.', Some(delimiter))?;
            (Ipv4Addr::from_bits(a << 24 | b << 16 | c << 8 | d).into(), end)
        }
        Family::V6 => {
            let end = position_from(text, 3, |byte| byte == delimiter)?;
            let address: Ipv6Addr = std::str::from_utf8(&text[3..end]).ok()?.parse().ok()?;
            (address.into(), end)
        }
    };
    let (port, stop) = read_port(text, end + 1, delimiter)?;
    Some(Command {
        form: Form::Extended,
        address: Some(address),
        port,
        text: start..start + stop,
    })
}

/// `|||port|`.
fn read_port_only(data: &[u8], start: usize) -> Option<Command> {
    let text = &data[start..];
    if text.len() <= 3 {
        return None;
    }
    let delimiter = delimiter(text[0])?;
    if text[1] != delimiter || text[2] != delimiter {
        return None;
    }
    let (port, stop) = read_port(text, 3, delimiter)?;
    Some(Command {
        form: Form::PortOnly,
        address: None,
        port,
        text: start..start + stop,
    })
}

fn delimiter(byte: u8) -> Option<u8> {
    (byte.is_ascii_graphic() && !byte.is_ascii_digit()).then_some(byte)
}

/// A port and its delimiter; zero is none. A number above 65,535 spills over.
fn read_port(text: &[u8], start: usize, delimiter: u8) -> Option<(u16, usize)> {
    let mut port = 0u16;
    for (at, &byte) in text.iter().enumerate().skip(start) {
        match byte {
            b'0'..=b'9' => port = port.wrapping_mul(10).wrapping_add(u16::from(byte - b'0')),
            _ if byte == delimiter && port != 0 => return Some((port, at + 1)),
            _ => return None,
        }
    }
    None
}
