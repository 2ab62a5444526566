//! FTP (RFC 959, RFC 2428): PORT and EPRT from the client, the answers 227 and 229 from the server.
//!
//! Lines are read only where one is known to begin: after data that ended in a line feed. A command whose text ends before it is whole is dropped,
//! so that the sender repeats it in one piece; malformed ones fare the same, since the reader cannot tell. All seen on Linux 6.18.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;

use super::announce::{Reading, Wish};
use super::parameter::{self, Parameter};
use super::{Announces, DropReason, HeardWhat, Helper, HelperSpec, Sample};
use crate::base::{Family, protocol};
use crate::conntrack::text::in_kernel;
use crate::conntrack::{ConntrackHelper, CtState, Direction, Endpoint, ExpectPolicy, HelperData};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_ftp", "ip_conntrack_ftp"],
    nat_modules: &["nf_nat_ftp", "ip_nat_ftp"],
    parameters: &[PORTS, LOOSE],
    nat_parameters: &[NAT_PORTS],
    helpers: &[Helper {
        conntrack: ConntrackHelper {
            name: "ftp",
            families: &[Family::V4, Family::V6],
            protocol: protocol::TCP,
            ports: &[21],
            policies: &[ExpectPolicy {
                name: "",
                max_expected: 1,
                timeout: Duration::from_secs(300),
            }],
        },
        samples: SAMPLES,
        believes: false,
        lasts_as_told: false,
        read: run,
    }],
    about: "PORT, EPRT, and the answers to PASV and EPSV",
};

const PORTS: Parameter = Parameter::ports("ports of control connections");
const LOOSE: Parameter = Parameter::flag(
    "loose",
    false,
    "data connections may go to another host than the sender of the command",
);
const NAT_PORTS: Parameter = parameter::ports_of_nat();

const SAMPLES: &[Sample] = &[
    Sample {
        said: &[b"< 220 ready\r\n", b"> USER a\r\n", b"> PORT 10,0,0,2,4,1\r\n"],
        announces: Announces::Flows {
            plain: &["tcp 192.0.2.9 > 10.0.0.2:1025"],
            under_nat: &["tcp 192.0.2.9 > 192.0.2.1:1025"],
            written: b"PORT 192,0,2,1,4,1\r\n",
        },
    },
    Sample {
        said: &[b"> USER a\r\n", b"> eprt |1|10.0.0.2|1025|\r\n"],
        announces: Announces::Flows {
            plain: &["tcp 192.0.2.9 > 10.0.0.2:1025"],
            under_nat: &["tcp 192.0.2.9 > 192.0.2.1:1025"],
            written: b"eprt |1|192.0.2.1|1025|\r\n",
        },
    },
    // What the server names is right outside already.
    Sample {
        said: &[b"< 220 ready\r\n", b"< 227 Passive (192,0,2,9,4,1)\r\n"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            written: b"227 Passive (192,0,2,9,4,1)\r\n",
        },
    },
    Sample {
        said: &[b"< 220 ready\r\n", b"< 229 Extended (|||1025|)\r\n"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            written: b"229 Extended (|||1025|)\r\n",
        },
    },
    Sample {
        said: &[b"> USER a\r\n", b"> EPRT |2|2001:db8::2|1025|\r\n"],
        announces: Announces::Flows {
            plain: &["tcp 192.0.2.9 > 10.0.0.2:1025"],
            under_nat: &["tcp 192.0.2.9 > 192.0.2.1:1025"],
            written: b"EPRT |2|2001:0db8:0001:0000:0000:0000:0000:0001|1025|\r\n",
        },
    },
    // The first numbers of the sender's address, in IPv6.
    Sample {
        said: &[b"< 220 2001:\r\n", b"< 227 Passive (32,1,13,184,4,1)\r\n"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.9:1025"],
            written: b"227 Passive (32,1,13,184,4,1)\r\n",
        },
    },
    Sample {
        said: &[b"> USER a\r\n", b"> EPRT |2|2001:db8::3|1025|\r\n"],
        announces: Announces::Nothing,
    },
    // In the middle of a line, for another host, and no command at all.
    Sample {
        said: &[b"> PORT 10,0,0,2,4,1\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> USER a\r\n", b"> PORT 10,0,0,3,4,1\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> USER a\r\n", b"> NOOP\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> USER a\r\n", b"> PORT 10,0,0,2,4"],
        announces: Announces::Incomplete,
    },
];

/// Reads a packet of a control connection.
fn run(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    if reading.tracking.state != Some(CtState::Established) {
        return Ok(HeardWhat::TooEarly);
    }
    reading.lay_in_one_piece();
    let Some(segment) = reading.packet.tcp() else {
        return Ok(HeardWhat::NoData);
    };
    let data = segment.payload();
    let Some(&last) = data.last() else {
        return Ok(HeardWhat::NoData);
    };
    let (start, direction) = (segment.sequence(), reading.direction());
    let next_line = (last == b'\n').then(|| start.wrapping_add(data.len() as u32));
    let lines = reading.remembered::<LineStarts>().of[direction.index()];
    let said = read(data, direction, reading.packet.family());
    let mut heard = HeardWhat::NotAtALine {
        in_vain: matches!(said, Read::Command(_)),
    };
    if lines.contains(start) {
        heard = match said {
            Read::Nothing => HeardWhat::NoCommand,
            Read::Incomplete => return Err(DropReason::PartialMatch),
            Read::Command(command) => announce(&command, reading)?,
        };
    }
    if let Some(next_line) = next_line {
        reading.remember(|lines: &mut LineStarts| lines.of[direction.index()].add(next_line));
    }
    Ok(heard)
}

/// Expects the connection that a command announces, which its sender waits for at the port it names.
fn announce(command: &Command, reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    let ends = reading.ends();
    let mut address = ends.answer.destination.address;
    let own = ends.sender.source.address;
    // Whoever names another host than itself would open the firewall for that one.
    if let Some(named) = command.address.map(|it| within(it, own))
        && named != own
    {
        if !reading.is_set(&LOOSE) {
            return Ok(HeardWhat::NamesAnother(named));
        }
        address = named;
    }
    let to = Endpoint {
        address,
        id: command.port,
    };
    let wish = Wish::new(protocol::TCP, Some(ends.answer.source.address), to);
    let announced = reading.announce(&wish, command.text.clone(), |outside| command.form.write(outside))?;
    Ok(HeardWhat::Announced(vec![announced]))
}

/// Seen: four numbers of PORT in a flow of IPv6 stand for the first of its sender's address, and the rest is the sender's.
fn within(named: IpAddr, own: IpAddr) -> IpAddr {
    match (named, own) {
        (IpAddr::V4(named), IpAddr::V6(own)) => {
            let mut octets = own.octets();
            octets[..4].copy_from_slice(&named.octets());
            octets.into()
        }
        _ => named,
    }
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

#[derive(Debug, PartialEq, Eq)]
enum Read {
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

fn read(data: &[u8], direction: Direction, family: Family) -> Read {
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
            return Read::Incomplete;
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
        return command.map_or(Read::Incomplete, Read::Command);
    }
    Read::Nothing
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
            (super::address::ipv6(&text[3..end])?.into(), end)
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

/// The NAT side: the same command, with where its sender is found from outside.
impl Form {
    fn write(self, outside: Endpoint) -> String {
        let port = outside.id;
        match (self, outside.address) {
            (Self::Commas, address) => {
                let [a, b, c, d] = match address {
                    IpAddr::V4(v4) => v4.octets(),
                    IpAddr::V6(v6) => [0, 1, 2, 3].map(|at| v6.octets()[at]),
                };
                format!("{a},{b},{c},{d},{},{}", port >> 8, port & 0xff)
            }
            (Self::PortOnly, _) => format!("|||{port}|"),
            (_, IpAddr::V4(v4)) => format!("|1|{v4}|{port}|"),
            (_, v6) => format!("|2|{}|{port}|", in_kernel(v6)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read, with the bytes that name it.
    fn told(line: &str, direction: Direction, family: Family) -> String {
        match read(line.as_bytes(), direction, family) {
            Read::Nothing => "nothing".to_owned(),
            Read::Incomplete => "incomplete".to_owned(),
            Read::Command(it) => {
                let address = it.address.map_or("its own".to_owned(), |it| it.to_string());
                format!("{address} {} in {:?}", it.port, &line[it.text])
            }
        }
    }

    #[test]
    fn commands_and_answers_are_read_as_the_kernel_does() {
        for (line, direction, family, expected) in [
            (
                "PORT 10,0,0,2,4,1\r\n",
                Direction::Original,
                Family::V4,
                "10.0.0.2 1025 in \"10,0,0,2,4,1\"",
            ),
            (
                "port 10,0,0,2,4,1\r\n",
                Direction::Original,
                Family::V4,
                "10.0.0.2 1025 in \"10,0,0,2,4,1\"",
            ),
            ("PORT  10,0,0,2,4,1\r\n", Direction::Original, Family::V4, "incomplete"),
            (
                "PORT ,,,2,,1\r\n",
                Direction::Original,
                Family::V4,
                "0.0.0.2 1 in \",,,2,,1\"",
            ),
            // What spills over is put together by its bits.
            (
                "PORT 10,0,1,257,4,257\r\n",
                Direction::Original,
                Family::V4,
                "10.0.1.1 1281 in \"10,0,1,257,4,257\"",
            ),
            (
                "PORT 10,1,257,2,4,1\r\n",
                Direction::Original,
                Family::V4,
                "10.1.1.2 1025 in \"10,1,257,2,4,1\"",
            ),
            (
                "PORT 1,257,0,2,4,1\r\n",
                Direction::Original,
                Family::V4,
                "1.1.0.2 1025 in \"1,257,0,2,4,1\"",
            ),
            ("PORT 10,0,0,2,4,1,7\r\n", Direction::Original, Family::V4, "incomplete"),
            ("PORT 10,0,0,2,4,1", Direction::Original, Family::V4, "incomplete"),
            ("PORT", Direction::Original, Family::V4, "incomplete"),
            ("PO", Direction::Original, Family::V4, "incomplete"),
            ("PASV\r\n", Direction::Original, Family::V4, "nothing"),
            (
                "EPRT |1|10.0.0.2|1025|\r\n",
                Direction::Original,
                Family::V4,
                "10.0.0.2 1025 in \"|1|10.0.0.2|1025|\"",
            ),
            (
                "EPRT |1|10.0.1.257|1025|\r\n",
                Direction::Original,
                Family::V4,
                "10.0.1.1 1025 in \"|1|10.0.1.257|1025|\"",
            ),
            ("EPRT |2|::2|1025|\r\n", Direction::Original, Family::V4, "incomplete"),
            (
                "EPRT |2|::2|1025|\r\n",
                Direction::Original,
                Family::V6,
                "::2 1025 in \"|2|::2|1025|\"",
            ),
            (
                "EPRT 11110.0.0.211025111\r\n",
                Direction::Original,
                Family::V4,
                "incomplete",
            ),
            ("EPRT |1|10.0.0.2|0|\r\n", Direction::Original, Family::V4, "incomplete"),
            (
                "227 Entering (10,0,0,9,4,1).\r\n",
                Direction::Reply,
                Family::V4,
                "10.0.0.9 1025 in \"10,0,0,9,4,1\"",
            ),
            (
                "227 =10,0,0,9,4,1\r\n",
                Direction::Reply,
                Family::V4,
                "10.0.0.9 1025 in \"10,0,0,9,4,1\"",
            ),
            (
                "229 Entering (|||1025|)\r\n",
                Direction::Reply,
                Family::V4,
                "its own 1025 in \"|||1025|\"",
            ),
            ("229 Entering (||1025|)\r\n", Direction::Reply, Family::V4, "incomplete"),
            ("229 Entering (|||", Direction::Reply, Family::V4, "incomplete"),
            ("PORT 10,0,0,2,4,1\r\n", Direction::Reply, Family::V4, "nothing"),
        ] {
            assert_eq!(told(line, direction, family), expected, "{line:?}");
        }
    }
}
