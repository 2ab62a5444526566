//! The router's own ends: sockets that send what it sends, and such as hear what reaches it.

use std::io::IoSliceMut;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, OwnedFd};

use nflab::device::LARGEST_PACKET;
use nflab::packet::Credentials;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, setsockopt, sockopt};
use nix::{setsockopt_impl, sockopt_impl};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};
use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::freedom::sum;
use super::layout::{
    DESTINATION, HOP_BY_HOP, ICMP, ICMPV6, ROUTING, TCP, UDP, addresses, pseudo_header, told_headers, upper,
};

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
    /// Of IPv6's sockets, which give no header, but words of it beside.
    protocol: Option<u8>,
    beside: Vec<u8>,
}

impl Hearer {
    pub(crate) fn all(ipv6: bool) -> Result<Vec<Self>, String> {
        let v4 = [ipproto::ICMP, ipproto::TCP, ipproto::UDP].map(|protocol| (AddressFamily::INET, protocol));
        let v6 = [ipproto::ICMPV6, ipproto::TCP, ipproto::UDP].map(|protocol| (AddressFamily::INET6, protocol));
        let all = v4.into_iter().chain(v6.into_iter().filter(|_| ipv6));
        let opened = all.map(|(family, protocol)| {
            let socket = raw_socket(family, protocol).map_err(|error| format!("raw socket: {error}"))?;
            let number = u8::try_from(protocol.as_raw().get()).ok();
            let protocol = number.filter(|_| family == AddressFamily::INET6);
            match protocol {
                Some(_) => ask_for_headers(&socket).map_err(|error| format!("raw socket: {error}"))?,
                None => {
                    // Else it would be told what paths take, of packets that it never sent, and the host would believe it.
                    let deaf = set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::INTERFACE);
                    deaf.map_err(|error| format!("raw socket: {error}"))?;
                }
            }
            Ok(Self {
                socket,
                protocol,
                beside: vec![0; LARGEST_PACKET],
            })
        });
        opened.collect()
    }

    pub(crate) fn hear(&mut self, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
        buffer.resize(LARGEST_PACKET, 0);
        let Some(protocol) = self.protocol else {
            let (_, length, _) = rustix::net::recvfrom(&self.socket, &mut buffer[..], RecvFlags::empty()).ok()?;
            return Some(buffer[..length].to_vec());
        };
        let mut into = [IoSliceMut::new(buffer)];
        let heard = recvmsg::<SockaddrIn6>(
            self.socket.as_raw_fd(),
            &mut into,
            Some(&mut self.beside),
            MsgFlags::empty(),
        );
        let heard = heard.ok()?;
        let mut told = Told::from(heard.address?.ip());
        for word in heard.cmsgs().expect("room for all that is said beside a packet") {
            told.hear(word);
        }
        let length = heard.bytes;
        Some(told.packet(protocol, &buffer[..length]))
    }
}

sockopt_impl!(HopOptions, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPOPTS, bool);
sockopt_impl!(
    DestinationOptions,
    SetOnly,
    libc::IPPROTO_IPV6,
    libc::IPV6_RECVDSTOPTS,
    bool
);
sockopt_impl!(Routes, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_RECVRTHDR, bool);
sockopt_impl!(ClassAndLabel, SetOnly, libc::IPPROTO_IPV6, libc::IPV6_FLOWINFO, bool);

fn ask_for_headers(socket: &OwnedFd) -> nix::Result<()> {
    setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
    setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)?;
    setsockopt(socket, ClassAndLabel, &true)?;
    setsockopt(socket, HopOptions, &true)?;
    setsockopt(socket, DestinationOptions, &true)?;
    setsockopt(socket, Routes, &true)
}

/// What a raw socket of IPv6 says of the headers before what it hears: all but of fragments and of authentication.
struct Told {
    /// With version, class and label.
    first: [u8; 4],
    hops: u8,
    from: Ipv6Addr,
    to: Ipv6Addr,
    headers: Vec<(u8, Vec<u8>)>,
}

impl Told {
    fn from(from: Ipv6Addr) -> Self {
        Self {
            first: [0x60, 0, 0, 0],
            hops: 0,
            from,
            to: Ipv6Addr::UNSPECIFIED,
            headers: Vec::new(),
        }
    }

    fn hear(&mut self, word: ControlMessageOwned) {
        match word {
            ControlMessageOwned::Ipv6PacketInfo(info) => self.to = info.ipi6_addr.s6_addr.into(),
            ControlMessageOwned::Ipv6HopLimit(hops) => self.hops = u8::try_from(hops).unwrap_or_default(),
            ControlMessageOwned::Unknown(word) => {
                let bytes = word.data_bytes;
                match word.cmsg_header.cmsg_type {
                    libc::IPV6_FLOWINFO => {
                        let said = bytes.first_chunk().copied().unwrap_or_default();
                        self.first = (u32::from_be_bytes(said) | 6 << 28).to_be_bytes();
                    }
                    libc::IPV6_HOPOPTS => self.headers.push((HOP_BY_HOP, bytes)),
                    libc::IPV6_DSTOPTS => self.headers.push((DESTINATION, bytes)),
                    libc::IPV6_RTHDR => self.headers.push((ROUTING, bytes)),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// As if there had been no others.
    fn packet(&self, protocol: u8, behind: &[u8]) -> Vec<u8> {
        let mut headers = Vec::new();
        let mut next = protocol;
        for (number, header) in self.headers.iter().rev() {
            let rest = header.get(1..).unwrap_or_default();
            headers.splice(0..0, [next].into_iter().chain(rest.iter().copied()));
            next = *number;
        }
        let mut packet = self.first.to_vec();
        packet.extend(((headers.len() + behind.len()) as u16).to_be_bytes());
        packet.extend([next, self.hops]);
        packet.extend(self.from.octets());
        packet.extend(self.to.octets());
        packet.extend(headers);
        packet.extend(behind);
        packet
    }
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
    let told = Told {
        first: *bytes.first_chunk()?,
        hops: bytes[7],
        from,
        to,
        headers: told_headers(bytes),
    };
    is_heard.then(|| told.packet(upper.protocol, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With two packets of options and a route between; a fragment's header, whose second byte is no length, may lead astray.
    #[test]
    fn a_program_is_told_of_headers_but_fragments() {
        let packet = |first: u8, headers: &[u8]| {
            let mut bytes = vec![0x6a, 0xb1, 0x23, 0x45, 0, headers.len() as u8 + 8, first, 77];
            bytes.extend([1; 16]);
            bytes.extend([2; 16]);
            bytes.extend(headers);
            bytes.extend([0, 1, 0, 2, 0, 8, 0, 0]);
            bytes
        };
        let options = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
        let fragment = |reserved: u8| [DESTINATION, reserved, 0, 0, 0, 0, 0, 1];
        let came = packet(HOP_BY_HOP, &[options(44), fragment(0), options(UDP)].concat());
        let told = packet(HOP_BY_HOP, &[options(DESTINATION), options(UDP)].concat());
        assert_eq!(heard(&came), Some(told));
        let astray = packet(44, &[fragment(7), options(UDP)].concat());
        assert_eq!(heard(&astray), Some(packet(UDP, &[])));
        assert_eq!(heard(&packet(99, &[])), None);
    }
}
