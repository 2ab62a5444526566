//! The groups that an interface is in by itself. Nobody joins others here.

use std::net::Ipv6Addr;

use super::ConfKnob;
use crate::base::InterfaceId;
use crate::net::Net;

/// Those that an interface tells of when it is asked, in the order in which it does: those of a smaller scope than the link, and that of all nodes, it does
/// not tell of.
pub(super) const REPORTED: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 2),
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2),
];

impl Net {
    /// Seen in `/proc/net/igmp6`: all nodes, and the routers' where it forwards. On a link where nobody asks for neighbours, as a TUN is, no address
    /// brings the group of its solicited node.
    pub(in crate::net) fn has_joined_ipv6(&self, id: InterfaceId, group: Ipv6Addr) -> bool {
        match group.segments() {
            [0xff01 | 0xff02, 0, 0, 0, 0, 0, 0, 1] => true,
            // An interface that came when forwarding was on already is in no other group of routers.
            [scope @ (0xff01 | 0xff02 | 0xff05), 0, 0, 0, 0, 0, 0, 2] => {
                let interface = self.interface(id);
                let forwards = self.conf_ipv6(interface, ConfKnob::Forwarding) != 0;
                id != InterfaceId::LOOPBACK && forwards && (scope == 0xff02 || interface.joined_all_routers)
            }
            _ => false,
        }
    }
}
