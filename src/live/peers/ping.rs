//! ping: echo requests and what comes back for them (RFC 792, RFC 4443).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_ip_ttl, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, ipproto, recvfrom, sendto, socket};

use crate::wire::checksum;

/// What to send.
#[derive(Clone, Copy, Debug)]
pub struct Ping {
    pub destination: IpAddr,
    pub count: u16,
    /// How long to wait for each answer.
    pub timeout: Duration,
    /// Bytes behind the ICMP header.
    pub size: usize,
    /// The IPv4 time to live; the system's where absent.
    pub ttl: Option<u8>,
}

impl Ping {
    pub fn new(destination: IpAddr) -> Self {
        Self {
            destination,
            count: 1,
            timeout: Duration::from_secs(1),
            size: 56,
            ttl: None,
        }
    }

    /// Sends the requests one after the other. Needs root (of the namespace): it uses a raw socket, which also sees errors that routers send.
    pub fn run(&self) -> io::Result<Vec<PingOutcome>> {
        let (family, protocol) = match self.destination {
            IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
            IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
        };
        let socket = socket(family, SocketType::RAW, Some(protocol))?;
        if let Some(ttl) = self.ttl.filter(|_| self.destination.is_ipv4()) {
            set_ip_ttl(&socket, ttl.into())?;
        }
        let identifier = identifier();
        let target = SocketAddr::new(self.destination, 0);
        let mut outcomes = Vec::new();
        for sequence in 1..=self.count {
            let request = echo_request(self.destination, identifier, sequence, self.size);
            let sent = Instant::now();
            match sendto(&socket, &request, SendFlags::empty(), &target) {
                Ok(_) => {}
                Err(error) => {
                    outcomes.push(PingOutcome::NotSent(error.into()));
                    continue;
                }
            }
            outcomes.push(loop {
                let left = self.timeout.saturating_sub(sent.elapsed());
                if left.is_zero() {
                    break PingOutcome::NoAnswer;
                }
                set_socket_timeout(&socket, Timeout::Recv, Some(left))?;
                let mut buffer = vec![0; 65_535];
                let (length, from) = match recvfrom(&socket, &mut buffer[..], RecvFlags::empty()) {
                    Ok((length, _, from)) => (length, from.and_then(|from| SocketAddr::try_from(from).ok())),
                    Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                };
                let from = from.map_or(self.destination, |from| from.ip());
                if let Some(outcome) = read(&buffer[..length], from, self.destination, identifier, sequence, sent) {
                    break outcome;
                }
            });
        }
        Ok(outcomes)
    }
}

/// What became of one request.
#[derive(Debug)]
pub enum PingOutcome {
    Answered {
        after: Duration,
    },
    /// A router, or the target, sent an error for it.
    Refused {
        by: IpAddr,
        kind: u8,
        code: u8,
    },
    NoAnswer,
    /// The own kernel refused to send it: no route, say.
    NotSent(io::Error),
}

impl PingOutcome {
    pub fn is_answered(&self) -> bool {
        matches!(self, Self::Answered { .. })
    }
}

fn echo_request(destination: IpAddr, identifier: u16, sequence: u16, size: usize) -> Vec<u8> {
    let kind = if destination.is_ipv4() { 8 } else { 128 };
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(identifier.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend((0..size).map(|index| index as u8));
    // The kernel sums ICMPv6 itself, since it knows the addresses.
    if destination.is_ipv4() {
        let sum = checksum::of(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// What a datagram says about the request; `None` where it is about something else.
fn read(bytes: &[u8], from: IpAddr, to: IpAddr, identifier: u16, sequence: u16, sent: Instant) -> Option<PingOutcome> {
    // A raw IPv4 socket gives the IP header too, an IPv6 one doesn't.
    let icmp = match to {
        IpAddr::V4(_) => bytes.get(usize::from(bytes.first()? & 15) * 4..)?,
        IpAddr::V6(_) => bytes,
    };
    let ours = |icmp: &[u8]| icmp.get(4..8) == Some(&[identifier.to_be_bytes(), sequence.to_be_bytes()].concat()[..]);
    let (kind, code) = (*icmp.first()?, *icmp.get(1)?);
    match (to, kind) {
        (IpAddr::V4(_), 0) | (IpAddr::V6(_), 129) if ours(icmp) => {
            Some(PingOutcome::Answered { after: sent.elapsed() })
        }
        (IpAddr::V4(_), 3 | 4 | 5 | 11 | 12) => {
            let quoted = icmp.get(8..)?;
            let inner = quoted.get(usize::from(quoted.first()? & 15) * 4..)?;
            ours(inner).then_some(PingOutcome::Refused { by: from, kind, code })
        }
        (IpAddr::V6(_), 1..=4) => ours(icmp.get(48..)?).then_some(PingOutcome::Refused { by: from, kind, code }),
        _ => None,
    }
}

/// Tells pings that run beside each other apart, in this process and in others.
fn identifier() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    (std::process::id() as u16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x101))
}
