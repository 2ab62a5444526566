//! What the host does with IPv4: the header's checks, options, reassembly and fragmentation, ICMP, its own answers.

mod answer;
mod forward;
mod fragment;
mod icmp;
mod identification;
mod input;
mod options;
mod path_mtu;
mod reassembly;
mod redirect;
mod reject;
mod sanity;
mod source_route;

use crate::packet::Packet;
use crate::wire::ipv4::Ipv4;

/// What only IPv4's packets have.
trait Header {
    /// The header of a packet that `net::host` handed to this family.
    fn header(&self) -> Ipv4<&[u8]>;
}

impl Header for Packet {
    fn header(&self) -> Ipv4<&[u8]> {
        self.ipv4().expect("net::host hands IPv4 packets to this room")
    }
}

pub(crate) use answer::answer;
pub(crate) use forward::forward;
pub(super) use forward::must_not_be_cut;
pub(crate) use fragment::fragment;
pub(crate) use icmp::{complain, redirect};
pub(crate) use identification::{Identification, lacks_identification};
pub(crate) use input::{receive, receive_known, route};
pub(crate) use reassembly::{read_fragment, reassembly_rules};
pub(crate) use reject::{may_be_rejected, reset};
pub(crate) use sanity::{from_program, sanity};
