//! Addresses, routes and link state over netlink, in the network namespace of the calling thread. No `ip` binary is needed.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::base::{AddressMask, Family};

/// A conversation with the kernel's routing side. It stays with the namespace in which it was opened.
pub struct Netlink {
    socket: Socket,
    sequence: u32,
}

/// A link's number in its namespace. The kernel counts them up, so that of a removed link isn't soon given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LinkIndex(pub u32);

impl Netlink {
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// The number of the link with this name; `None` when there is none.
    pub fn index(&mut self, name: &str) -> Result<Option<LinkIndex>, NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.into()));
        let asked = self.request(RouteNetlinkMessage::GetLink(message), 0);
        match asked {
            Ok(Some(RouteNetlinkMessage::NewLink(link))) => Ok(Some(LinkIndex(link.header.index))),
            Ok(_) => Err(NetlinkError::new(
                format!("look up {name}"),
                io::ErrorKind::InvalidData.into(),
            )),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(NetlinkError::new(format!("look up {name}"), error)),
        }
    }

    pub fn set_mtu(&mut self, link: LinkIndex, mtu: u32) -> Result<(), NetlinkError> {
        let mut message = link_message(link);
        message.attributes.push(LinkAttribute::Mtu(mtu));
        self.change(format!("set MTU {mtu}"), RouteNetlinkMessage::SetLink(message), 0)
    }

    /// How many packets may wait for whoever reads the device.
    pub fn set_queue_length(&mut self, link: LinkIndex, packets: u32) -> Result<(), NetlinkError> {
        let mut message = link_message(link);
        message.attributes.push(LinkAttribute::TxQueueLen(packets));
        self.change(
            format!("set queue length {packets}"),
            RouteNetlinkMessage::SetLink(message),
            0,
        )
    }

    /// Packets go to the device at once, through no queueing discipline. Of a link that is down yet, it is the only one ever made.
    pub fn leave_out_queueing(&mut self, link: LinkIndex) -> Result<(), NetlinkError> {
        let mut message = TcMessage::default();
        message.header.index = i32::try_from(link.0).unwrap_or_default();
        message.header.parent = TcHandle::ROOT;
        message.attributes.push(TcAttribute::Kind("noqueue".to_owned()));
        self.change(
            "leave out queueing".into(),
            RouteNetlinkMessage::NewQueueDiscipline(message),
            NLM_F_CREATE | NLM_F_REPLACE,
        )
    }

    pub fn set_up(&mut self, link: LinkIndex) -> Result<(), NetlinkError> {
        let mut message = link_message(link);
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.change("set the link up".into(), RouteNetlinkMessage::SetLink(message), 0)
    }

    /// `lo` is down in a new namespace.
    pub fn set_loopback_up(&mut self) -> Result<(), NetlinkError> {
        match self.index("lo")? {
            Some(lo) => self.set_up(lo),
            None => Err(NetlinkError::new("find lo".into(), io::ErrorKind::NotFound.into())),
        }
    }

    pub fn add_address(&mut self, link: LinkIndex, address: IpAddr, prefix_length: u8) -> Result<(), NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.family = family(Family::of(address));
        message.header.prefix_len = prefix_length;
        message.header.index = link.0;
        // Links of a lab ask for no neighbours, so that nothing holds an address of IPv6 back until it is known that no other has it.
        message.attributes.push(AddressAttribute::Local(address));
        message.attributes.push(AddressAttribute::Address(address));
        // Scripts read it from `ifconfig`, where today's `ip` would leave it out.
        if let IpAddr::V4(address) = address
            && prefix_length < 31
        {
            let hosts = u32::MAX.checked_shr(prefix_length.into()).unwrap_or(0);
            let broadcast = Ipv4Addr::from(u32::from(address) | hosts);
            message.attributes.push(AddressAttribute::Broadcast(broadcast));
        }
        self.change(
            format!("add address {address}/{prefix_length}"),
            RouteNetlinkMessage::NewAddress(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// By these gateways, each with its link and its weight; by one as by any.
    pub fn add_route(
        &mut self,
        to: AddressMask,
        hops: &[(Option<IpAddr>, LinkIndex, u16)],
    ) -> Result<(), NetlinkError> {
        let length = to.prefix_length().unwrap_or_default();
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: family(to.family()),
            destination_prefix_length: length,
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Boot,
            scope: match (hops, to.family()) {
                ([(None, ..)], Family::V4) => RouteScope::Link,
                _ => RouteScope::Universe,
            },
            kind: RouteType::Unicast,
            ..message.header
        };
        if length > 0 {
            message
                .attributes
                .push(RouteAttribute::Destination(route_address(to.address())));
        }
        let gateway = |via: &Option<IpAddr>| via.map(|via| RouteAttribute::Gateway(route_address(via)));
        match hops {
            [(via, link, _)] => {
                message.attributes.extend(gateway(via));
                message.attributes.push(RouteAttribute::Oif(link.0));
            }
            several => {
                let hop = |(via, link, weight): &(Option<IpAddr>, LinkIndex, u16)| {
                    let mut hop = RouteNextHop::default();
                    hop.interface_index = link.0;
                    // A number of eight bits, one less than it is.
                    hop.hops = (weight - 1) as u8;
                    hop.attributes.extend(gateway(via));
                    hop
                };
                let hops = several.iter().map(hop).collect();
                message.attributes.push(RouteAttribute::MultiPath(hops));
            }
        }
        let via_text: String = hops
            .iter()
            .filter_map(|(via, ..)| via.map(|via| format!(" via {via}")))
            .collect();
        self.change(
            format!("add route {}/{length}{via_text}", to.address()),
            RouteNetlinkMessage::NewRoute(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    /// A device that packets end in: a dummy, or of a kind that ends them too, since not every kernel has those.
    pub fn add_dummy(&mut self, name: &str, mtu: u32, address: [u8; 6]) -> Result<(), NetlinkError> {
        let unknown_kind = |added: &Result<(), NetlinkError>| matches!(added, Err(error) if error.source.raw_os_error() == Some(libc::EOPNOTSUPP));
        let added = self.add_link(name, mtu, address, InfoKind::Dummy);
        match unknown_kind(&added) {
            true => self.add_link(name, mtu, address, InfoKind::Ifb),
            false => added,
        }
    }

    fn add_link(&mut self, name: &str, mtu: u32, address: [u8; 6], kind: InfoKind) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.into()));
        message.attributes.push(LinkAttribute::Mtu(mtu));
        message.attributes.push(LinkAttribute::Address(address.to_vec()));
        message
            .attributes
            .push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(kind)]));
        self.change(
            format!("add {name}"),
            RouteNetlinkMessage::NewLink(message),
            NLM_F_CREATE | NLM_F_EXCL,
        )
    }

    pub fn delete(&mut self, link: LinkIndex) -> Result<(), NetlinkError> {
        self.change(
            "delete the link".into(),
            RouteNetlinkMessage::DelLink(link_message(link)),
            0,
        )
    }

    /// All that the kernel tells when asked for such things.
    pub fn dump(&mut self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.send(message, NLM_F_DUMP)?;
        let mut told = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for message in messages(&datagram, self.sequence)? {
                match message {
                    NetlinkPayload::Done(_) => return Ok(told),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::InnerMessage(inner) => told.push(inner),
                    _ => {}
                }
            }
        }
    }

    fn change(&mut self, action: String, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        match self.request(message, flags) {
            Ok(_) => Ok(()),
            Err(error) => Err(NetlinkError::new(action, error)),
        }
    }

    /// Sends one request and reads up to its acknowledgement; what came before that, if anything, is the answer.
    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Option<RouteNetlinkMessage>> {
        self.send(message, NLM_F_ACK | flags)?;
        let mut answer = None;
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            for message in messages(&datagram, self.sequence)? {
                match message {
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Error(_) => return Ok(answer),
                    NetlinkPayload::InnerMessage(inner) => answer = Some(inner),
                    _ => {}
                }
            }
        }
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0).map(drop)
    }
}

/// The messages of a datagram that answer a request.
fn messages(datagram: &[u8], sequence: u32) -> io::Result<Vec<NetlinkPayload<RouteNetlinkMessage>>> {
    let mut found = Vec::new();
    let mut rest = datagram;
    while rest.len() >= NETLINK_HEADER {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let length = (message.header.length as usize).next_multiple_of(4);
        rest = rest.get(length.max(NETLINK_HEADER)..).unwrap_or_default();
        if message.header.sequence_number == sequence {
            found.push(message.payload);
        }
    }
    Ok(found)
}

/// What was asked of the kernel, and what it said.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {source}")]
pub struct NetlinkError {
    pub action: String,
    pub source: io::Error,
}

impl NetlinkError {
    fn new(action: String, source: io::Error) -> Self {
        Self { action, source }
    }
}

fn link_message(link: LinkIndex) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = link.0;
    message
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

fn family(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

const NETLINK_HEADER: usize = 16;
