//! The router's own ends: sockets that send what it sends, and such as hear what reaches it.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::OwnedFd;

use nflab::device::LARGEST_PACKET;
use nflab::packet::Credentials;
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::freedom::sum;
use super::layout::{ICMP, ICMPV6, TCP, UDP, addresses, pseudo_header, upper};

/// What sends with a header of its own.
pub(crate) struct Senders {
    v4: OwnedFd,
    v6: Option<OwnedFd>,
}

impl Senders {
    /// Of root's.
    pub(crate) fn new(ipv6: bool) -> Result<Self, String> {
        let root = Credentials {
            user: 0,
            group: 0,
            groups: Vec::new(),
        };
        Self::of(&root, ipv6)
    }

    /// Of this user: a socket's file keeps what this thread was as it was opened, and `-m owner` asks the file.
    pub(crate) fn of(sender: &Credentials, ipv6: bool) -> Result<Self, String> {
        let open = |family: AddressFamily| {
            raw_socket_of(sender, family).map_err(|error| format!("raw socket of user {}: {error}", sender.user))
        };
        Ok(Self {
            v4: open(AddressFamily::INET)?,
            v6: ipv6.then(|| open(AddressFamily::INET6)).transpose()?,
        })
    }

    /// Refused with EPERM where OUTPUT drops it, which is no error here.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let no_flags = SendFlags::empty();
        match (addresses(bytes, 0), &self.v6) {
            (Some((_, IpAddr::V6(to))), Some(v6)) => {
                let _ = rustix::net::sendto(v6, bytes, no_flags, &SocketAddrV6::new(to, 0, 0, 0));
            }
            // Of a host without IPv6: there is no route.
            (Some((_, IpAddr::V6(_))), None) => {}
            _ => {
                // Whatever version it says it has: the socket sends it as it is.
                let Some(to) = bytes.get(16..20) else { return };
                let to = SocketAddrV4::new([to[0], to[1], to[2], to[3]].into(), 0);
                let _ = rustix::net::sendto(&self.v4, bytes, no_flags, &to);
            }
        }
    }

    /// Any socket does for asking about devices.
    pub(crate) fn any(&self) -> &OwnedFd {
        &self.v4
    }
}

fn raw_socket_of(sender: &Credentials, family: AddressFamily) -> rustix::io::Result<OwnedFd> {
    let own_groups = rustix::process::getgroups()?;
    let (own_user, own_group) = (rustix::process::geteuid(), rustix::process::getegid());
    let rights = rustix::thread::capabilities(None)?;
    let groups: Vec<Gid> = sender.groups.iter().map(|it| Gid::from_raw(*it)).collect();
    set_thread_groups(&groups)?;
    set_thread_res_gid(None, Gid::from_raw(sender.group), None)?;
    set_thread_res_uid(None, Uid::from_raw(sender.user), None)?;
    // Who becomes another keeps what it may have, but has it no more: a raw socket needs one of these rights.
    let opened = rustix::thread::set_capabilities(None, rights).and_then(|()| raw_socket(family, ipproto::RAW));
    set_thread_res_uid(None, own_user, None)?;
    set_thread_res_gid(None, own_group, None)?;
    set_thread_groups(&own_groups)?;
    let socket = opened?;
    rustix::net::sockopt::set_socket_broadcast(&socket, true)?;
    Ok(socket)
}

fn raw_socket(family: AddressFamily, protocol: Protocol) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    rustix::net::socket_with(family, SocketType::RAW, flags, Some(protocol))
}

/// One that gets a copy of what INPUT lets through of its protocol.
pub(crate) struct Hearer {
    pub socket: OwnedFd,
    /// Of IPv6's sockets, which give no header: what it would say.
    protocol: Option<u8>,
}

impl Hearer {
    pub(crate) fn all(ipv6: bool) -> Result<Vec<Self>, String> {
        let v4 = [ipproto::ICMP, ipproto::TCP, ipproto::UDP].map(|protocol| (AddressFamily::INET, protocol));
        let v6 = [ipproto::ICMPV6, ipproto::TCP, ipproto::UDP].map(|protocol| (AddressFamily::INET6, protocol));
        let all = v4.into_iter().chain(v6.into_iter().filter(|_| ipv6));
        let opened = all.map(|(family, protocol)| {
            let socket = raw_socket(family, protocol).map_err(|error| format!("raw socket: {error}"))?;
            if family == AddressFamily::INET {
                // Else it would be told what paths take, of packets that it never sent, and the host would believe it.
                let deaf = set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::INTERFACE);
                deaf.map_err(|error| format!("raw socket: {error}"))?;
            }
            let number = u8::try_from(protocol.as_raw().get()).ok();
            let protocol = number.filter(|_| family == AddressFamily::INET6);
            Ok(Self { socket, protocol })
        });
        opened.collect()
    }

    pub(crate) fn hear(&self, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
        buffer.resize(LARGEST_PACKET, 0);
        let (_, length, from) = rustix::net::recvfrom(&self.socket, &mut buffer[..], RecvFlags::empty()).ok()?;
        let bytes = &buffer[..length];
        let Some(protocol) = self.protocol else {
            return Some(bytes.to_vec());
        };
        let from = SocketAddrV6::try_from(from?).ok()?;
        Some(in_short((*from.ip(), Ipv6Addr::UNSPECIFIED), protocol, bytes))
    }
}

/// What a raw socket of IPv6 says of a packet: who sent it, and what stands behind all headers. To whom, only nflab's side says.
fn in_short((from, to): (Ipv6Addr, Ipv6Addr), protocol: u8, behind: &[u8]) -> Vec<u8> {
    let mut heard = vec![0x60, 0, 0, 0];
    heard.extend((behind.len() as u16).to_be_bytes());
    heard.extend([protocol, 0]);
    heard.extend(from.octets());
    heard.extend(to.octets());
    heard.extend(behind);
    heard
}

/// What the kernel's side would hear of a packet that reached the router. A raw socket gets no ICMP message that is shorter than a header, and of
/// IPv6 none whose checksum is wrong.
pub(crate) fn heard(bytes: &[u8]) -> Option<Vec<u8>> {
    let (IpAddr::V6(from), IpAddr::V6(to)) = addresses(bytes, 0)? else {
        let header = usize::from(bytes[0] & 15) * 4;
        let is_heard = match bytes[9] {
            TCP | UDP => true,
            ICMP => bytes.len() >= header + 8,
            _ => false,
        };
        return is_heard.then(|| bytes.to_vec());
    };
    let upper = upper(bytes, 0)?;
    let behind = &bytes[upper.at..];
    let is_heard = match upper.protocol {
        TCP | UDP => true,
        ICMPV6 => {
            let summed = [pseudo_header(bytes, ICMPV6, behind.len()), behind.to_vec()].concat();
            behind.len() >= 4 && sum(&summed) == 0xffff
        }
        _ => false,
    };
    is_heard.then(|| in_short((from, to), upper.protocol, behind))
}
