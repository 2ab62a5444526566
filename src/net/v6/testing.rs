//! The router that the tables in this room's tests were read from (Linux 6.18, a TUN device for each interface), packets for it, and what it made of
//! each, written as the experiments printed it.

use std::fmt::Write;
use std::net::Ipv6Addr;

use crate::base::{InterfaceId, InterfaceName, Time, protocol};
use crate::net::{
    Answer, Closed, Complaint, Delivery, DropReason, ForwardOutcome, HostState, InputRoute, Net, NotCut, Outgoing,
    Prefix, Route, Suppressed, fragment, sanity,
};
use crate::packet::Packet;
use crate::wire::ipv6::{self, Ipv6, extension};
use crate::wire::{checksum, icmpv6, put16, put32};

pub(super) const LAN: InterfaceId = InterfaceId(1);
pub(super) const WAN: InterfaceId = InterfaceId(2);
/// A host on the LAN, the router's address there, and a host on the WAN.
pub(super) const HOST: &str = "2001:db8::2";
pub(super) const OWN: &str = "2001:db8::1";
pub(super) const FAR: &str = "2001:db8:1::9";

pub(super) fn net() -> Net {
    let mut net = Net::new();
    for (name, mtu, addresses) in [
        ("lan", 1500, &["2001:db8::1", "fe80::1"][..]),
        ("wan", 1500, &["2001:db8:1::1", "fe80::1"]),
        ("sml", 1280, &["2001:db8:2::1", "fe80::1"]),
        ("un", 1500, &[]),
    ] {
        let id = net.add_interface(InterfaceName::new(name).unwrap(), mtu).unwrap();
        for address in addresses {
            net.add_address(id, address.parse().unwrap(), 64).unwrap();
        }
    }
    net.add_route(Route {
        via: Some("2001:db8:1::fe".parse().unwrap()),
        ..Route::new(Prefix::default_of(crate::base::Family::V6))
    })
    .unwrap();
    for (key, value) in [("conf.all.forwarding", "1"), ("icmp.ratelimit", "0")] {
        net.sysctl_set(&format!("net.ipv6.{key}"), value).unwrap();
    }
    net
}

/// A packet to be, with what differs from the usual one.
#[derive(Clone)]
pub(super) struct Make {
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub hop_limit: u8,
    pub traffic_class: u8,
    /// Numbers of extension headers, each with all of it but its first byte.
    pub headers: Vec<(u8, Vec<u8>)>,
    pub protocol: u8,
    pub transport: Vec<u8>,
    /// Where it is not the true one.
    pub payload_length: Option<u16>,
    pub input: InterfaceId,
}

impl Make {
    pub(super) fn new(source: &str, destination: &str, protocol: u8, transport: Vec<u8>) -> Self {
        Self {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            hop_limit: 64,
            traffic_class: 0,
            headers: Vec::new(),
            protocol,
            transport,
            payload_length: None,
            input: LAN,
        }
    }

    /// Behind what there is already.
    pub(super) fn with(mut self, kind: u8, body: &[u8]) -> Self {
        self.headers.push((kind, body.to_vec()));
        self
    }

    /// With a header of options, padded.
    pub(super) fn with_options(self, kind: u8, options: &[u8]) -> Self {
        let mut body = vec![0];
        body.extend_from_slice(options);
        let whole = (body.len() + 1).next_multiple_of(8);
        match whole - 1 - body.len() {
            0 => {}
            1 => body.push(0),
            many => {
                body.extend([1, many as u8 - 2]);
                body.resize(whole - 1, 0);
            }
        }
        body[0] = (whole / 8 - 1) as u8;
        self.with(kind, &body)
    }

    /// A fragment header before the transport, of which these bytes stay.
    pub(super) fn piece(mut self, identification: u32, range: std::ops::Range<usize>, more: bool) -> Self {
        let mut body = vec![0; 7];
        put16(&mut body, 1, range.start as u16 | u16::from(more));
        put32(&mut body, 3, identification);
        self.transport.resize(self.transport.len().max(range.end), 0xee);
        self.transport = self.transport[range].to_vec();
        self.with(extension::FRAGMENT, &body)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        let mut next = self.protocol;
        for (kind, body) in self.headers.iter().rev() {
            let mut header = vec![next];
            header.extend_from_slice(body);
            header.extend_from_slice(&payload);
            (payload, next) = (header, *kind);
        }
        payload.extend_from_slice(&self.transport);
        let repr = ipv6::Repr {
            traffic_class: self.traffic_class,
            flow_label: 0,
            hop_limit: self.hop_limit,
            next_header: next,
            source: self.source,
            destination: self.destination,
        };
        let mut bytes = repr.emit(&[]).unwrap();
        bytes.extend_from_slice(&payload);
        put16(&mut bytes, 4, self.payload_length.unwrap_or(payload.len() as u16));
        bytes
    }

    pub(super) fn packet(&self) -> Packet {
        let mut packet = Packet::parse(self.bytes()).unwrap();
        packet.input = Some(self.input);
        packet
    }
}

pub(super) fn udp(source: &str, destination: &str, data: usize) -> Make {
    let mut segment = vec![0x0f, 0xa0, 0x13, 0x88, 0, 0, 0, 0];
    segment.resize(8 + data, b'x');
    let length = segment.len() as u16;
    put16(&mut segment, 4, length);
    let mut make = Make::new(source, destination, protocol::UDP, segment);
    make.sum(6);
    make
}

pub(super) fn icmp(source: &str, destination: &str, kind: u8, code: u8, data: &[u8]) -> Make {
    let ends = (source.parse().unwrap(), destination.parse().unwrap());
    let message = icmpv6::emit(ends, (kind, code), 0x0001_0002, data);
    Make::new(source, destination, protocol::ICMPV6, message)
}

pub(super) fn tcp(source: &str, destination: &str, flags: u8, options: &[u8], data: &[u8]) -> Make {
    let header = 20 + options.len();
    let mut segment = vec![0; 20];
    put16(&mut segment, 0, 4000);
    put16(&mut segment, 2, 5000);
    put32(&mut segment, 4, 1000);
    put32(&mut segment, 8, 5000);
    (segment[12], segment[13]) = ((header as u8 / 4) << 4, flags);
    put16(&mut segment, 14, 1000);
    segment.extend_from_slice(options);
    segment.extend_from_slice(data);
    let mut make = Make::new(source, destination, protocol::TCP, segment);
    make.sum(16);
    make
}

impl Make {
    /// Makes the checksum right that is at this place.
    pub(super) fn sum(&mut self, at: usize) {
        put16(&mut self.transport, at, 0);
        let (source, destination) = (self.source.into(), self.destination.into());
        let value = checksum::transport(source, destination, self.protocol, &self.transport);
        put16(&mut self.transport, at, if value == 0 { 0xffff } else { value });
    }
}

/// A packet without rules: where it went, or the reason why it did not and what its sender was told.
pub(super) fn said(net: &Net, make: &Make) -> String {
    let (host, now) = (HostState::new(1), Time::from_secs(1));
    let bytes = make.bytes();
    let layout = match sanity(&bytes) {
        Ok(layout) => layout,
        Err(reason) => return word(reason).into(),
    };
    let mut packet = Packet::laid_out(bytes, layout);
    packet.input = Some(make.input);
    let tell = |packet: &Packet, reason: DropReason, delivery, complaint: Complaint| {
        told(net, reason, net.complain(&host, now, packet, delivery, complaint))
    };
    if let Err((reason, complaint)) = net.arrive(&packet) {
        return match complaint {
            Some(complaint) => tell(&packet, reason, Delivery::Local, complaint),
            None => word(reason).into(),
        };
    }
    let delivery = match net.route_input(&packet) {
        InputRoute::Local => Delivery::Local,
        InputRoute::Multicast => Delivery::Multicast { has_joined: true },
        InputRoute::Broadcast => Delivery::Broadcast,
        InputRoute::Drop(reason) => return word(reason).into(),
        InputRoute::Error {
            reason,
            complaint,
            delivery,
        } => return tell(&packet, reason, delivery, complaint),
        InputRoute::Forward(route) => {
            let redirect = match net.forward(&mut packet, &route) {
                ForwardOutcome::Continue { redirect } => redirect,
                ForwardOutcome::Dropped(reason) => return word(reason).into(),
                ForwardOutcome::Refused(reason, complaint) | ForwardOutcome::Redirected(_, reason, complaint) => {
                    return tell(&packet, reason, Delivery::Unicast, complaint);
                }
            };
            let mut text = String::new();
            if let Some(redirect) = redirect {
                match net.redirect(&host, now, &make.packet(), redirect) {
                    Ok(sent) => text += &format!("{}; ", out(net, &sent)),
                    Err(why) => text += &format!("{why:?}; "),
                }
            }
            text += net.interface(route.output).name.as_str();
            let mut emit = |piece: Packet| text += &format!(" {}", show(&piece));
            return match fragment(&host, packet, route.mtu, &mut emit) {
                Ok(()) => text,
                Err(NotCut::Dropped(reason)) => word(reason).into(),
                Err(NotCut::TooBig(needed)) => {
                    let mtu = needed.mtu;
                    let reason = DropReason::TooBig;
                    tell(&needed.packet, reason, Delivery::Unicast, Complaint::TooBig { mtu })
                }
            };
        }
    };
    answered(net, net.answer(&host, now, &Closed, &packet, delivery))
}

pub(super) fn answered(net: &Net, answer: Answer) -> String {
    match answer {
        Answer::Consumed => "consumed".into(),
        Answer::Learned(said) => format!("learned {:?} {:?}", said.mtu, said.leads_by),
        Answer::Piece => "a piece".into(),
        Answer::Reply(sent) => out(net, &sent),
        Answer::Refused(reason, sent) => format!("{} {}", word(reason), out(net, &sent)),
        Answer::Dropped(reason) => word(reason).into(),
        Answer::Suppressed(reason, why) => format!("{} {why:?}", word(reason)),
    }
}

/// The kernel's word; what is told to people speaks of nothing that IPv6 has not.
fn word(reason: DropReason) -> &'static str {
    let sentence = reason.to_string();
    for of_ipv4 in ["127.0.0.0", "time to live"] {
        assert!(!sentence.contains(of_ipv4), "{reason:?}: {sentence}");
    }
    reason.kernel_word()
}

pub(super) fn told(net: &Net, reason: DropReason, built: Result<Outgoing, Suppressed>) -> String {
    match built {
        Ok(sent) => format!("{} {}", word(reason), out(net, &sent)),
        Err(why) => format!("{} {why:?}", word(reason)),
    }
}

pub(super) fn out(net: &Net, sent: &Outgoing) -> String {
    format!("{} {}", net.interface(sent.route.interface).name, show(&sent.packet))
}

/// A packet in a line; of ICMP with the four bytes behind the checksum, of a fragment with its offset.
pub(super) fn show(packet: &Packet) -> String {
    let view = Ipv6::new(packet.bytes()).unwrap();
    let mut line = format!(
        "{}>{} p{} tc{:02x} hl{} len{}",
        view.source(),
        view.destination(),
        packet.protocol(),
        packet.tos(),
        packet.ttl(),
        packet.len()
    );
    for header in view.extensions() {
        match header.fragment() {
            Some((offset, more)) => _ = write!(line, " frag({offset}{})", if more { "+" } else { "" }),
            None => _ = write!(line, " ext{}", header.kind),
        }
    }
    let data = packet.transport();
    if let Some(message) = packet.icmpv6() {
        let whole = checksum::transport(packet.source(), packet.destination(), protocol::ICMPV6, data);
        assert!(
            whole == 0 || packet.is_fragment(),
            "checksum of {:02x?}",
            packet.bytes()
        );
        let (kind, code, info) = (message.kind(), message.code(), message.info());
        _ = write!(
            line,
            " icmp6 {kind}/{code} rest{info:08x} data{}",
            message.payload().len()
        );
    } else if let Some(segment) = packet.tcp() {
        let (seq, ack, flags) = (segment.sequence(), segment.acknowledgement(), segment.flags());
        _ = write!(line, " tcp seq{seq} ack{ack} flags{flags:02x}");
    } else {
        _ = write!(line, " data{}", data.len());
    }
    line
}
