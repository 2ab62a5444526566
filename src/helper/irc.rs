//! IRC's direct connections (DCC, a convention of clients): whoever offers a file or a chat says in a PRIVMSG where to call, and the other end does.
//!
//! Seen on Linux 6.18: only what the client says is read, and of a segment the first message alone, behind blanks and line ends. From the first ` :` with
//! a request behind it the kind must be one of five, in capitals; the host is a number, that of the client inside or outside; and any host may call.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;

use super::announce::{Reading, Wish};
use super::parameter::{self, Parameter, Sets, Takes};
use super::{Announces, DropReason, HeardWhat, Helper, HelperSpec, Sample};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, CtState, Direction, Endpoint, ExpectPolicy};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_irc", "ip_conntrack_irc"],
    nat_modules: &["nf_nat_irc", "ip_nat_irc"],
    parameters: &[PORTS, CHANNELS, TIMEOUT],
    nat_parameters: &[parameter::ports_of_nat()],
    helpers: &[Helper {
        conntrack: ConntrackHelper {
            name: "irc",
            families: &[Family::V4],
            protocol: protocol::TCP,
            ports: &[6667],
            policies: &[ExpectPolicy {
                name: "",
                max_expected: 8,
                timeout: Duration::from_secs(300),
            }],
        },
        samples: SAMPLES,
        believes: false,
        lasts_as_told: false,
        read: run,
    }],
    about: "DCC SEND, CHAT, MOVE, TSEND and SCHAT in a client's PRIVMSG",
};

const PORTS: Parameter = Parameter::ports("ports of IRC servers");
const CHANNELS: Parameter = Parameter::new(
    "max_dcc_channels",
    Takes::Number {
        default: 8,
        least: 1,
        most: 255,
    },
    "direct connections that one session may have waiting at a time",
)
.setting(Sets::MostExpected);
const TIMEOUT: Parameter =
    Parameter::number("dcc_timeout", 300, "seconds that a direct connection is waited for").setting(Sets::Lifetime);

const SAMPLES: &[Sample] = &[
    Sample {
        said: &[b"> PRIVMSG bob :\x01DCC SEND notes.txt 167772162 1025 4096\x01\r\n"],
        announces: Announces::Flows {
            plain: &["tcp any host > 10.0.0.2:1025"],
            under_nat: &["tcp any host > 192.0.2.1:1025"],
            written: b"PRIVMSG bob :\x01DCC SEND notes.txt 3221225985 1025 4096\x01\r\n",
        },
    },
    Sample {
        said: &[
            b"< :irc.example 001 amy :Welcome\r\n",
            b"> privmsg bob :\x01DCC CHAT chat 167772162   1025\x01\r\n",
        ],
        announces: Announces::Flows {
            plain: &["tcp any host > 10.0.0.2:1025"],
            under_nat: &["tcp any host > 192.0.2.1:1025"],
            written: b"privmsg bob :\x01DCC CHAT chat 3221225985 1025\x01\r\n",
        },
    },
    Sample {
        said: &[b"> PRIVMSG bob :\x01DCC MOVE x 167772162 1025\x01\r\n"],
        announces: Announces::Flows {
            plain: &["tcp any host > 10.0.0.2:1025"],
            under_nat: &["tcp any host > 192.0.2.1:1025"],
            written: b"PRIVMSG bob :\x01DCC MOVE x 3221225985 1025\x01\r\n",
        },
    },
    Sample {
        said: &[b"> PRIVMSG bob :\x01DCC TSEND x 167772162 1025\x01\r\n"],
        announces: Announces::Flows {
            plain: &["tcp any host > 10.0.0.2:1025"],
            under_nat: &["tcp any host > 192.0.2.1:1025"],
            written: b"PRIVMSG bob :\x01DCC TSEND x 3221225985 1025\x01\r\n",
        },
    },
    Sample {
        said: &[b"> \r\n PRIVMSG bob :\x01DCC SCHAT x 167772162 1025\x01\r\n"],
        announces: Announces::Flows {
            plain: &["tcp any host > 10.0.0.2:1025"],
            under_nat: &["tcp any host > 192.0.2.1:1025"],
            written: b"\r\n PRIVMSG bob :\x01DCC SCHAT x 3221225985 1025\x01\r\n",
        },
    },
    // What the server says, another host, a second message, and what is no request.
    Sample {
        said: &[b"< PRIVMSG bob :\x01DCC SEND x 3221225993 1025\x01\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> PRIVMSG bob :\x01DCC SEND x 167772163 1025\x01\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> NICK amy\r\nPRIVMSG bob :\x01DCC SEND x 167772162 1025\x01\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> PRIVMSG bob :\x01DCC RESUME x 1025 100\x01\r\n"],
        announces: Announces::Nothing,
    },
];

/// Reads a packet of a session.
fn run(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    if reading.tracking.state != Some(CtState::Established) {
        return Ok(HeardWhat::TooEarly);
    }
    if reading.direction() == Direction::Reply {
        return Ok(HeardWhat::OtherWay);
    }
    let data = reading.payload();
    if data.is_empty() {
        return Ok(HeardWhat::NoData);
    }
    let Some(offer) = read(data) else {
        return Ok(HeardWhat::NoCommand);
    };
    let ends = reading.ends();
    let (inside, outside) = (ends.sender.source.address, ends.answer.destination.address);
    let named = IpAddr::from(offer.address);
    if named != inside && named != outside {
        return Ok(HeardWhat::NamesAnother(named));
    }
    if offer.port == 0 {
        return Ok(HeardWhat::NoCommand);
    }
    let to = Endpoint {
        address: outside,
        id: offer.port,
    };
    let announced = reading.announce(&Wish::new(protocol::TCP, None, to), offer.text, write)?;
    Ok(HeardWhat::Announced(vec![announced]))
}

/// What a client offers.
#[derive(Debug, PartialEq, Eq)]
struct Offer {
    address: Ipv4Addr,
    port: u16,
    /// Which bytes of the data name address and port.
    text: Range<usize>,
}

fn read(data: &[u8]) -> Option<Offer> {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\r' | b'\n');
    let mut at = data.iter().position(|byte| !blank(byte))?;
    let command = data.get(at..at + COMMAND.len())?;
    if !command.eq_ignore_ascii_case(COMMAND) {
        return None;
    }
    at += COMMAND.len();
    // Where a message begins there may be a request, and after one that is none there may be another; the shortest has to fit.
    while at + SHORTEST < data.len() {
        if !data[at..].starts_with(b" :") {
            at += 1;
            continue;
        }
        at += 2;
        let request = data[at..].strip_prefix(b"\x01DCC ")?;
        at += data[at..].len() - request.len();
        if let Some(kind) = KINDS.iter().find(|kind| request.starts_with(kind)) {
            return read_offer(data, at + kind.len());
        }
    }
    None
}

/// `NAME ADDRESS PORT`, with one blank behind the name and a line end somewhere behind it.
fn read_offer(data: &[u8], start: usize) -> Option<Offer> {
    let name = data[start..].iter().position(|&byte| byte == b' ')?;
    // Seen: so much has to follow the last letter of a name.
    if name > 0 && start + name + LEFT_OVER > data.len() {
        return None;
    }
    let from = start + name + 1;
    if !data[from..].contains(&b'\n') {
        return None;
    }
    let (address, end) = number(data, from);
    let blanks = data[end..].iter().take_while(|&&byte| byte == b' ').count();
    let (port, end) = number(data, end + blanks);
    Some(Offer {
        address: Ipv4Addr::from_bits(address as u32),
        port: port as u16,
        text: from..end,
    })
}

/// Digits from there on, spilling over as in the kernel, and where they end.
fn number(data: &[u8], start: usize) -> (u64, usize) {
    let digits = data[start..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut end = start;
    let value = digits.fold(0u64, |value, digit| {
        end += 1;
        value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))
    });
    (value, end)
}

/// The NAT side: where the client is found from outside.
fn write(outside: Endpoint) -> String {
    match outside.address {
        IpAddr::V4(address) => format!("{} {}", address.to_bits(), outside.id),
        // Not met: the helper is of IPv4.
        IpAddr::V6(address) => format!("{address} {}", outside.id),
    }
}

const COMMAND: &[u8] = b"PRIVMSG ";
const KINDS: [&[u8]; 5] = [b"SEND ", b"CHAT ", b"MOVE ", b"TSEND ", b"SCHAT "];
/// ` :` to the end of the shortest request that is read.
const SHORTEST: usize = 26;
const LEFT_OVER: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_as_the_kernel_reads_them() {
        for (said, expected) in [
            ("PRIVMSG bob :\x01DCC SEND x 167772162 1025\x01\r\n", "10.0.0.2 1025"),
            ("PRIVMSG  bob :\x01DCC SEND x 167772162 1025\x01\r\n", "10.0.0.2 1025"),
            ("PRIVMSG bob :\x01DCC SEND  167772162 1025\x01\r\n", "10.0.0.2 1025"),
            ("PRIVMSG bob :\x01DCC SEND SEND 167772162 1025\x01\r\n", "10.0.0.2 1025"),
            (
                "PRIVMSG bob :\x01DCC SEND x 167772162    1025   7\x01\r\n",
                "10.0.0.2 1025",
            ),
            (
                "PRIVMSG bob :\x01DCC SEND x 0167772162 1025abc\x01\r\n",
                "10.0.0.2 1025",
            ),
            (
                "PRIVMSG bob :\x01DCC SEND x 18446744073877323778 66561\x01\r\n",
                "10.0.0.2 1025",
            ),
            ("PRIVMSG bob :\x01DCC SEND x 167772162 1025\n", "10.0.0.2 1025"),
            (
                "PRIVMSG bob :\x01DCC SEND x 167772162 1\0\0\r\n25\x01\r\n",
                "10.0.0.2 1",
            ),
            (
                "PRIVMSG a hello\r\nPRIVMSG bob :\x01DCC SEND x 167772162 1025\x01\r\n",
                "10.0.0.2 1025",
            ),
            (
                "PRIVMSG bob :\x01DCC FOO :\x01DCC CHAT y 167772162 1025\x01\r\n",
                "10.0.0.2 1025",
            ),
            ("PRIVMSG x :\x01DCC SEND x 167772162 5\x01\n", "10.0.0.2 5"),
            ("PRIVMSG x :\x01DCC SEND x 167772162 5\n", "nothing"),
            // The kind is decided by the first that fits.
            ("PRIVMSG bob :\x01DCC SEND CHAT x 167772162 1025\x01\r\n", "0.0.0.0 0"),
            ("PRIVMSG bob :\x01DCC SEND x y 167772162 1025\x01\r\n", "0.0.0.0 0"),
            (
                "PRIVMSG bob :\x01DCC SEND x  167772162 1025\x01\r\n",
                // Of more than 65,535 the lower half counts.
                "0.0.0.0 2",
            ),
            ("PRIVMSG bob :\x01DCC SEND x 10.0.0.2 1025\x01\r\n", "0.0.0.10 0"),
            ("PRIVMSG bob :\x01DCC SEND x 167772162\r\n1026\x01\r\n", "10.0.0.2 0"),
            ("PRIVMSG bob :\x01DCC SEND x 167772162 1025", "nothing"),
            ("PRIVMSG bob :\x01dcc SEND x 167772162 1025\x01\r\n", "nothing"),
            ("PRIVMSG bob :\x01DCC send x 167772162 1025\x01\r\n", "nothing"),
            ("PRIVMSG bob : :\x01DCC SEND x 167772162 1025\x01\r\n", "nothing"),
            ("PRIVMSG bob \x01DCC SEND x 167772162 1025\x01\r\n", "nothing"),
            ("PRIVMSG :\x01DCC SEND x 167772162 1025\x01\r\n", "nothing"),
            ("NOTICE bob :\x01DCC SEND x 167772162 1025\x01\r\n", "nothing"),
            ("\tPRIVMSG bob :\x01DCC SEND x 167772162 1025\x01\r\n", "nothing"),
            (":amy PRIVMSG bob :\x01DCC SEND x 167772162 1025\x01\r\n", "nothing"),
            ("\r\n \r\n", "nothing"),
            ("PRIVMSG bob :\x01DCC SEND x ", "nothing"),
        ] {
            let told = match read(said.as_bytes()) {
                None => "nothing".to_owned(),
                Some(offer) => format!("{} {}", offer.address, offer.port),
            };
            assert_eq!(told, expected, "{said:?}");
        }
    }

    /// Not a byte less than is there.
    #[test]
    fn a_message_may_end_anywhere() {
        let whole = b"  PRIVMSG bob :\x01DCC FOO :\x01DCC SCHAT y 167772162 1025\x01\r\n";
        for end in 0..=whole.len() {
            assert_eq!(read(&whole[..end]).is_some(), end == whole.len(), "{end}");
        }
    }
}
