//! The server's side.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::super::{Content, Deadline, SESSION_PATIENCE, Service, read_line};
use super::{accept, as_six_numbers, extended_address, six_numbers};

/// An FTP server with files in memory; it ends when dropped. It takes any user and password.
#[derive(Debug)]
pub struct FtpServer(Service);

impl FtpServer {
    pub fn start(bind: SocketAddr, files: BTreeMap<String, Content>) -> io::Result<Self> {
        let service = Service::start(bind, move |stream| {
            // A client that breaks off is its own affair.
            let _ = Session::new(stream, &files).and_then(Session::serve);
        })?;
        Ok(Self(service))
    }

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

struct Session<'a> {
    control: BufReader<TcpStream>,
    own: SocketAddr,
    client: SocketAddr,
    files: &'a BTreeMap<String, Content>,
    data: DataChannel,
}

/// What the client has arranged for the next transfer.
enum DataChannel {
    None,
    Listening(TcpListener),
    Connect(SocketAddr),
}

impl<'a> Session<'a> {
    fn new(stream: TcpStream, files: &'a BTreeMap<String, Content>) -> io::Result<Self> {
        Ok(Self {
            own: stream.local_addr()?,
            client: stream.peer_addr()?,
            control: BufReader::new(stream),
            files,
            data: DataChannel::None,
        })
    }

    fn serve(mut self) -> io::Result<()> {
        self.say("220 nflab FTP server ready")?;
        loop {
            Deadline::after(SESSION_PATIENCE).apply(self.control.get_ref())?;
            let Some(line) = read_line(&mut self.control)? else {
                return Ok(());
            };
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "USER" => self.say("331 Any password will do")?,
                "PASS" => self.say("230 Logged in")?,
                "SYST" => self.say("215 UNIX Type: L8")?,
                "TYPE" | "MODE" | "STRU" | "NOOP" | "CWD" => self.say("200 OK")?,
                "PWD" => self.say("257 \"/\" is the only directory")?,
                "FEAT" => self.say("211-Features:\r\n EPRT\r\n EPSV\r\n PASV\r\n SIZE\r\n211 End")?,
                "SIZE" => match self.file(argument) {
                    Some(content) => self.say(&format!("213 {}", content.size()))?,
                    None => self.say("550 No such file")?,
                },
                "PASV" => self.passive(false)?,
                "EPSV" => self.passive(true)?,
                "PORT" => self.active(six_numbers(argument))?,
                "EPRT" => self.active(extended_address(argument))?,
                "RETR" => match self.file(argument) {
                    Some(content) => self.transfer(&content)?,
                    None => self.say("550 No such file")?,
                },
                "LIST" | "NLST" => {
                    let listing = self.listing();
                    self.transfer(&Content::Bytes(listing))?;
                }
                "QUIT" => return self.say("221 Goodbye"),
                _ => self.say("502 Not implemented")?,
            }
        }
    }

    fn passive(&mut self, extended: bool) -> io::Result<()> {
        let listener = TcpListener::bind(SocketAddr::new(self.own.ip(), 0))?;
        let address = listener.local_addr()?;
        let text = match extended {
            true => format!("229 Entering Extended Passive Mode (|||{}|)", address.port()),
            false => match as_six_numbers(address) {
                Ok(numbers) => format!("227 Entering Passive Mode ({numbers})."),
                Err(_) => return self.say("425 PASV is for IPv4; use EPSV"),
            },
        };
        self.data = DataChannel::Listening(listener);
        self.say(&text)
    }

    fn active(&mut self, target: Option<SocketAddr>) -> io::Result<()> {
        match target {
            // Else a client could have us connect to anyone (RFC 2577, section 3).
            Some(target) if target.ip() == self.client.ip() && target.port() >= 1024 => {
                self.data = DataChannel::Connect(target);
                self.say("200 Data connection will go there")
            }
            Some(_) => self.say("500 Illegal PORT command: that is not you"),
            None => self.say("501 No address in that"),
        }
    }

    fn transfer(&mut self, content: &Content) -> io::Result<()> {
        if matches!(self.data, DataChannel::None) {
            return self.say("425 Say PASV, EPSV, PORT or EPRT first");
        }
        self.say("150 Here it comes")?;
        let deadline = Deadline::after(DATA_PATIENCE);
        let opened = match std::mem::replace(&mut self.data, DataChannel::None) {
            DataChannel::None => return Ok(()),
            DataChannel::Listening(listener) => accept(&listener, deadline),
            DataChannel::Connect(target) => TcpStream::connect_timeout(&target, deadline.left()),
        };
        let Ok(mut data) = opened else {
            return self.say("425 No data connection");
        };
        Deadline::after(SESSION_PATIENCE).apply(&data)?;
        let sent = content
            .send(&mut data)
            .and_then(|()| data.shutdown(std::net::Shutdown::Write));
        drop(data);
        match sent {
            Ok(()) => self.say("226 Transfer complete"),
            Err(_) => self.say("426 The data connection broke"),
        }
    }

    fn listing(&self) -> Vec<u8> {
        let line = |(name, content): (&String, &Content)| {
            format!("-rw-r--r-- 1 ftp ftp {:>12} Jan  1 00:00 {name}\r\n", content.size())
        };
        self.files.iter().map(line).collect::<String>().into_bytes()
    }

    fn file(&self, name: &str) -> Option<Content> {
        self.files.get(name.trim_start_matches('/')).cloned()
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.control.get_mut().write_all(format!("{text}\r\n").as_bytes())
    }
}

/// How long to wait for a data connection: where a firewall drops it, none comes.
const DATA_PATIENCE: Duration = Duration::from_secs(10);
