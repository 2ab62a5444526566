//! FTP (RFC 959) between a client and a server that believe what they read: the client connects where a `227` says, the server where a
//! `PORT` says. The file that is transferred is compared byte by byte.

use std::net::{IpAddr, Ipv4Addr};

use super::tcp::{Connection, Side};
use super::{Address, Conversations, Party, Stage};

/// An FTP session with one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ftp {
    pub mode: Mode,
    pub from: Party,
    /// Its port is 21 unless written.
    pub to: Party,
    pub transfer: Transfer,
    pub file: String,
    pub size: usize,
}

/// Who opens the data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The server, to where `PORT` says.
    Active,
    /// The client, to where `227` says.
    Passive,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// The server has the file.
    Retr,
    /// The client has it.
    Stor,
}

impl Conversations {
    pub(super) fn ftp(&mut self, stage: &mut Stage<'_>, ftp: &Ftp) -> Result<(), String> {
        let to = Party {
            port: Some(ftp.to.port.unwrap_or(CONTROL)),
            ..ftp.to.clone()
        };
        let control = self
            .handshake(stage, &ftp.from, &to)
            .map_err(|why| during("connecting", &why))?;
        let mut session = Session { control };
        session.server(stage, "220 at your service")?;
        session.client(stage, "USER anonymous")?;
        session.server(stage, "230 welcome")?;
        let command = match ftp.transfer {
            Transfer::Retr => format!("RETR {}", ftp.file),
            Transfer::Stor => format!("STOR {}", ftp.file),
        };
        let (client, server) = (session.control.initiator, session.control.responder);
        let (mut data, sender) = match ftp.mode {
            Mode::Active => {
                let own = (client.own.0, self.fresh_port());
                listen(stage, client.seat, own.1);
                let heard = session.client(stage, &active(own))?;
                let target = told(&heard, session.control.responder.peer.0)
                    .ok_or_else(|| format!("the server cannot read {heard:?}"))?;
                session.server(stage, "200 will connect there")?;
                session.client(stage, &command)?;
                let source = (server.own.0, DATA);
                let data = Connection::open(stage, server.seat, source, target)
                    .map_err(|why| during("opening the data connection", &why))?;
                if data.responder.own != own {
                    return Err(strayed(&data, own));
                }
                let server_sends = ftp.transfer == Transfer::Retr;
                (data, if server_sends { Side::Initiator } else { Side::Responder })
            }
            Mode::Passive => {
                session.client(stage, if server.own.0.is_ipv4() { "PASV" } else { "EPSV" })?;
                let own = (
                    server.own.0,
                    PASSIVE.wrapping_add(self.fresh_port().wrapping_sub(super::FIRST_PORT)),
                );
                listen(stage, server.seat, own.1);
                let heard = session.server(stage, &passive(own))?;
                let target = told(&heard, session.control.initiator.peer.0)
                    .ok_or_else(|| format!("the client cannot read {heard:?}"))?;
                session.client(stage, &command)?;
                let source = (client.own.0, self.fresh_port());
                let data = Connection::open(stage, client.seat, source, target)
                    .map_err(|why| during("opening the data connection", &why))?;
                if data.responder.own != own {
                    return Err(strayed(&data, own));
                }
                let server_sends = ftp.transfer == Transfer::Retr;
                (data, if server_sends { Side::Responder } else { Side::Initiator })
            }
        };
        session.server(stage, "150 here it comes")?;
        let file: Vec<u8> = (0..ftp.size).map(byte_at).collect();
        let read = data
            .send(stage, sender, &file)
            .map_err(|why| during("the transfer", &why))?;
        if read != file {
            return Err("the file that came is not the one that was sent".to_owned());
        }
        data.close(stage, sender)
            .map_err(|why| during("closing the data connection", &why))?;
        session.server(stage, "226 done")?;
        session.client(stage, "QUIT")?;
        session.server(stage, "221 goodbye")?;
        session
            .control
            .close(stage, Side::Responder)
            .map_err(|why| during("closing", &why))
    }
}

struct Session {
    control: Connection,
}

impl Session {
    fn client(&mut self, stage: &mut Stage<'_>, line: &str) -> Result<String, String> {
        self.line(stage, Side::Initiator, line)
    }

    fn server(&mut self, stage: &mut Stage<'_>, line: &str) -> Result<String, String> {
        self.line(stage, Side::Responder, line)
    }

    /// A line of the control connection, as the other end reads it.
    fn line(&mut self, stage: &mut Stage<'_>, side: Side, line: &str) -> Result<String, String> {
        let heard = self
            .control
            .send(stage, side, format!("{line}\r\n").as_bytes())
            .map_err(|why| during(&format!("`{line}`"), &why))?;
        Ok(String::from_utf8_lossy(&heard).trim_end().to_owned())
    }
}

/// Where the end of a data connection is in the router itself, something listens there.
fn listen(stage: &mut Stage<'_>, seat: super::Seat, port: u16) {
    if seat == super::Seat::Local {
        stage.lab.listen(crate::base::protocol::TCP, port);
    }
}

fn during(what: &str, why: &str) -> String {
    format!("FTP, {what}: {why}")
}

fn strayed(data: &Connection, own: Address) -> String {
    format!(
        "FTP: the data connection reached {}, where {} was waiting for it",
        super::show(data.responder.own),
        super::show(own)
    )
}

/// A pattern that shows lost, doubled and swapped pieces.
pub(in crate::lab) fn byte_at(position: usize) -> u8 {
    (position ^ position >> 8 ^ position >> 16) as u8
}

/// The command that says where a client waits: IPv6 has room only in that of RFC 2428.
fn active((address, port): Address) -> String {
    match address {
        IpAddr::V4(address) => format!("PORT {}", numbers((address, port))),
        IpAddr::V6(address) => format!("EPRT |2|{address}|{port}|"),
    }
}

/// The answer that says where a server waits.
fn passive((address, port): Address) -> String {
    match address {
        IpAddr::V4(address) => format!("227 Entering Passive Mode ({})", numbers((address, port))),
        IpAddr::V6(_) => format!("229 Entering Extended Passive Mode (|||{port}|)"),
    }
}

/// Where one of these lines says, to who speaks to this one.
fn told(line: &str, peer: IpAddr) -> Option<Address> {
    if !line.contains('|') {
        return announced(line).map(|(address, port)| (address.into(), port));
    }
    let mut parts = line.split('|').skip(2);
    let address = match parts.next()? {
        "" => peer,
        address => address.parse().ok()?,
    };
    Some((address, parts.next()?.parse().ok()?))
}

/// An address as FTP writes it: `10,0,0,2,156,65`.
pub(in crate::lab) fn numbers((address, port): (Ipv4Addr, u16)) -> String {
    let [a, b, c, d] = address.octets();
    format!("{a},{b},{c},{d},{},{}", port >> 8, port & 255)
}

/// The address in a line of FTP.
pub(in crate::lab) fn announced(line: &str) -> Option<(Ipv4Addr, u16)> {
    let (_, from) = line.split_once(' ')?;
    let mut found = from
        .split(|c: char| !c.is_ascii_digit())
        .filter_map(|number| number.parse::<u8>().ok());
    let mut next = || found.next();
    let address = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    Some((address, u16::from_be_bytes([next()?, next()?])))
}

const CONTROL: u16 = 21;
const DATA: u16 = 20;
/// Below the ports that a server offers.
const PASSIVE: u16 = 50_000;
