//! As much FTP as shows what a firewall's helper must do (RFC 959, RFC 2428): anonymous retrieval over data connections of all four kinds.
//!
//! Both sides take the announced addresses at their word, as strict programs do: the client connects where `227` says, the server refuses a
//! `PORT` with another address than the client's. So an address that NAT should have rewritten and didn't is seen at once.

mod server;

use std::io::{self, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

pub use server::FtpServer;

use super::{Deadline, Received, read_line, receive};

/// How the data connection comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataMode {
    /// PASV: the server says an IPv4 address and a port.
    Passive,
    /// EPSV: the server says a port.
    ExtendedPassive,
    /// PORT: the client says an IPv4 address and a port.
    Active,
    /// EPRT: the client says an address of either family and a port.
    ExtendedActive,
}

/// A transfer, with all that was said.
#[derive(Clone, Debug)]
pub struct Transfer {
    pub received: Received,
    /// The lines of the control connection, with `> ` and `< ` for sent and received.
    pub dialogue: Vec<String>,
    /// The far end of the data connection.
    pub data_peer: SocketAddr,
}

/// Where a transfer failed, with all that was said until then.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {source}")]
pub struct FtpError {
    pub step: String,
    pub source: io::Error,
    pub dialogue: Vec<String>,
}

/// Fetches a file, as user `anonymous`. The file `LIST` gives the listing.
pub fn retrieve(server: SocketAddr, file: &str, mode: DataMode, patience: Duration) -> Result<Transfer, FtpError> {
    let mut session = Session {
        deadline: Deadline::after(patience),
        dialogue: Vec::new(),
        step: "connect",
    };
    match session.retrieve(server, file, mode) {
        Ok((received, data_peer)) => Ok(Transfer {
            received,
            dialogue: session.dialogue,
            data_peer,
        }),
        Err(source) => Err(FtpError {
            step: session.step.into(),
            source,
            dialogue: session.dialogue,
        }),
    }
}

struct Session {
    deadline: Deadline,
    dialogue: Vec<String>,
    step: &'static str,
}

impl Session {
    fn retrieve(&mut self, server: SocketAddr, file: &str, mode: DataMode) -> io::Result<(Received, SocketAddr)> {
        let stream = TcpStream::connect_timeout(&server, self.deadline.left())?;
        self.deadline.apply(&stream)?;
        let mut control = BufReader::new(stream);
        self.step = "greeting";
        self.reply(&mut control, '2')?;
        self.step = "login";
        if self.command(&mut control, "USER anonymous", "23")?.starts_with('3') {
            self.command(&mut control, "PASS nflab@", "2")?;
        }
        self.command(&mut control, "TYPE I", "2")?;
        self.step = "data connection";
        let own = control.get_ref().local_addr()?.ip();
        let waiting = match mode {
            DataMode::Passive => {
                let reply = self.command(&mut control, "PASV", "2")?;
                let target = six_numbers(&reply).ok_or_else(|| not_understood(&reply))?;
                Data::Open(TcpStream::connect_timeout(&target, self.deadline.left())?)
            }
            DataMode::ExtendedPassive => {
                let reply = self.command(&mut control, "EPSV", "2")?;
                let port = extended_port(&reply).ok_or_else(|| not_understood(&reply))?;
                let target = SocketAddr::new(server.ip(), port);
                Data::Open(TcpStream::connect_timeout(&target, self.deadline.left())?)
            }
            DataMode::Active | DataMode::ExtendedActive => {
                let listener = TcpListener::bind(SocketAddr::new(own, 0))?;
                let text = match mode {
                    DataMode::Active => format!("PORT {}", as_six_numbers(listener.local_addr()?)?),
                    _ => as_extended(listener.local_addr()?),
                };
                self.command(&mut control, &text, "2")?;
                Data::Awaited(listener)
            }
        };
        self.step = "retrieval";
        let verb = if file == "LIST" {
            "LIST".to_owned()
        } else {
            format!("RETR {file}")
        };
        self.command(&mut control, &verb, "1")?;
        self.step = "data transfer";
        let mut data = match waiting {
            Data::Open(stream) => stream,
            Data::Awaited(listener) => accept(&listener, self.deadline)?,
        };
        self.deadline.apply(&data)?;
        let peer = data.peer_addr()?;
        let received = receive(&mut data, None, self.deadline)?;
        drop(data);
        self.step = "end of the transfer";
        self.reply(&mut control, '2')?;
        self.command(&mut control, "QUIT", "2")?;
        Ok((received, peer))
    }

    /// Says something, and reads the reply, whose first digit must be among `accepted`.
    fn command(&mut self, control: &mut BufReader<TcpStream>, text: &str, accepted: &str) -> io::Result<String> {
        self.dialogue.push(format!("> {text}"));
        // In one write, and so one segment: a helper in the way need not put a line together.
        control.get_mut().write_all(format!("{text}\r\n").as_bytes())?;
        let reply = self.read_reply(control)?;
        if reply.chars().next().is_some_and(|digit| accepted.contains(digit)) {
            return Ok(reply);
        }
        Err(io::Error::other(format!("the server answered {reply:?} to {text:?}")))
    }

    fn reply(&mut self, control: &mut BufReader<TcpStream>, accepted: char) -> io::Result<String> {
        let reply = self.read_reply(control)?;
        if reply.starts_with(accepted) {
            return Ok(reply);
        }
        Err(io::Error::other(format!("the server said {reply:?}")))
    }

    /// The last line of a reply: the one with a blank after its number.
    fn read_reply(&mut self, control: &mut BufReader<TcpStream>) -> io::Result<String> {
        loop {
            self.deadline.check("the server's reply")?;
            control.get_ref().set_read_timeout(Some(self.deadline.left()))?;
            let line = read_line(control)?
                .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"))?;
            self.dialogue.push(format!("< {line}"));
            let bytes = line.as_bytes();
            if bytes.len() >= 3 && bytes[..3].iter().all(u8::is_ascii_digit) && bytes.get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }
}

enum Data {
    Open(TcpStream),
    Awaited(TcpListener),
}

/// Waits for the other side to connect, but not for ever, as `accept` would.
fn accept(listener: &TcpListener, deadline: Deadline) -> io::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                deadline.check("the data connection")?;
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error),
        }
    }
}

fn not_understood(reply: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no address in the reply {reply:?}"))
}

/// `h1,h2,h3,h4,p1,p2`, wherever in the text it begins.
fn six_numbers(text: &str) -> Option<SocketAddr> {
    let start = text
        .find('(')
        .map_or_else(|| text.rfind(' ').map_or(0, |blank| blank + 1), |bracket| bracket + 1);
    let list = text[start..].trim_end_matches(['.', ')', '\r', '\n']);
    let numbers = list
        .split(',')
        .map(|number| number.trim().parse::<u8>().ok())
        .collect::<Option<Vec<_>>>()?;
    let [a, b, c, d, high, low] = numbers[..] else {
        return None;
    };
    Some(SocketAddr::new(
        Ipv4Addr::new(a, b, c, d).into(),
        u16::from_be_bytes([high, low]),
    ))
}

fn as_six_numbers(address: SocketAddr) -> io::Result<String> {
    let IpAddr::V4(ip) = address.ip() else {
        return Err(io::Error::other(
            "PASV and PORT can say IPv4 addresses only; use EPSV or EPRT",
        ));
    };
    let ([a, b, c, d], [high, low]) = (ip.octets(), address.port().to_be_bytes());
    Ok(format!("{a},{b},{c},{d},{high},{low}"))
}

/// `(|||port|)`.
fn extended_port(text: &str) -> Option<u16> {
    let inside = &text[text.find('(')? + 1..];
    let delimiter = inside.chars().next()?;
    inside.split(delimiter).nth(3)?.parse().ok()
}

fn as_extended(address: SocketAddr) -> String {
    let family = if address.is_ipv4() { 1 } else { 2 };
    format!("EPRT |{family}|{}|{}|", address.ip(), address.port())
}

/// `|1|10.0.0.2|1025|`.
fn extended_address(text: &str) -> Option<SocketAddr> {
    let delimiter = text.chars().next()?;
    let mut parts = text.split(delimiter).skip(1);
    let (family, ip, port) = (
        parts.next()?,
        parts.next()?.parse::<IpAddr>().ok()?,
        parts.next()?.parse().ok()?,
    );
    let right_family = if ip.is_ipv4() { "1" } else { "2" };
    (family == right_family).then(|| SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::live::peers::Content;

    #[test]
    fn all_four_kinds_of_data_connection() {
        let content = Content::Pattern(300_000);
        let files = BTreeMap::from([("file.bin".to_owned(), content.clone())]);
        for (ip, modes) in [
            (
                IpAddr::from([127, 0, 0, 1]),
                &[
                    DataMode::Passive,
                    DataMode::ExtendedPassive,
                    DataMode::Active,
                    DataMode::ExtendedActive,
                ][..],
            ),
            (
                IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
                &[DataMode::ExtendedPassive, DataMode::ExtendedActive],
            ),
        ] {
            let server = match FtpServer::start(SocketAddr::new(ip, 0), files.clone()) {
                // A container may have no IPv6.
                Err(error) if ip.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable => continue,
                other => other.unwrap(),
            };
            for mode in modes {
                let transfer = retrieve(server.address(), "file.bin", *mode, Duration::from_secs(10))
                    .unwrap_or_else(|error| panic!("{mode:?}: {error}\n{:#?}", error.dialogue));
                assert_eq!(transfer.received.size, 300_000, "{mode:?}");
                assert_eq!(transfer.received.checksum, content.checksum(), "{mode:?}");
                assert_eq!(transfer.data_peer.ip(), ip);
            }
            let listing = retrieve(server.address(), "LIST", modes[0], Duration::from_secs(10)).unwrap();
            assert!(listing.received.size > 20);
            let error = retrieve(server.address(), "none", modes[0], Duration::from_secs(10)).unwrap_err();
            assert_eq!(error.step, "retrieval");
            assert!(error.to_string().contains("550"), "{error}");
        }
    }

    #[test]
    fn addresses_in_texts() {
        let address: SocketAddr = "192.0.2.1:1025".parse().unwrap();
        assert_eq!(six_numbers("227 Entering Passive Mode (192,0,2,1,4,1)."), Some(address));
        assert_eq!(six_numbers("227 Entering Passive Mode 192,0,2,1,4,1"), Some(address));
        assert_eq!(six_numbers("192,0,2,1,4,1"), Some(address));
        assert_eq!(six_numbers("(192,0,2,256,4,1)"), None);
        assert_eq!(as_six_numbers(address).unwrap(), "192,0,2,1,4,1");
        assert_eq!(extended_port("229 Extended Passive Mode (|||1025|)"), Some(1025));
        assert_eq!(extended_address("|1|192.0.2.1|1025|"), Some(address));
        assert_eq!(extended_address("|2|192.0.2.1|1025|"), None);
        assert_eq!(extended_address("!2!::1!21!"), Some("[::1]:21".parse().unwrap()));
        for text in ["", "|", "(", "|1|", "((((", "|1|x|y|"] {
            assert_eq!(
                (six_numbers(text), extended_port(text), extended_address(text)),
                (None, None, None),
                "{text}"
            );
        }
    }
}
