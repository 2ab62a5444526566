//! The tuples that the options say, as the tool puts them together.

use std::net::IpAddr;

use super::options::is_known;
use super::request::Wanted;
use crate::conntrack::proto::{self, key::Drawn};
use crate::conntrack::{Endpoint, Tuple};

/// Whether flows of this protocol have a type and a code in the place of ports.
pub(super) fn has_type(number: u8) -> bool {
    proto::spec(number).key.drawn() == Drawn::Identifier
}

impl Wanted {
    /// The way of the first packet; `None` where no address of it was given.
    pub(super) fn original_tuple(&self) -> Option<Tuple> {
        let named = self.original.iter().any(Option::is_some);
        named.then(|| self.tuple(self.original, self.made_ids[0], self.protocol.unwrap_or(0), self.kind))
    }

    /// Both tuples of a flow that is to be made; `None` for one that can't be a flow's.
    ///
    /// Seen: what is said of one direction alone is turned round for the other, whatever ports were said of that. A reply of its own has the
    /// protocol only if its ports are given, or where the tool knows no ports of the protocol; and the kernel takes no two that differ.
    pub(super) fn tuples_to_make(&self) -> (Option<Tuple>, Option<Tuple>) {
        let number = self.protocol.unwrap_or(0);
        let has_reply = self.reply.iter().any(Option::is_some);
        let of_reply = || {
            let ids = self.made_ids[1];
            let has_ids = ids.iter().any(Option::is_some);
            let answer = self.kind.filter(|_| self.kind_is_of_reply).and_then(|kind| {
                let echo = self.tuple(self.original, self.made_ids[0], number, Some(kind));
                echo.inverse().map(|it| it.icmp().0)
            });
            let known = has_ids || !is_known(number) || answer.is_some();
            let mut tuple = self.tuple(self.reply, ids, if known { number } else { 0 }, answer);
            if has_type(number) {
                tuple.source.id = self.made_ids[0][0].unwrap_or(0);
            }
            tuple
        };
        match (self.original_tuple(), has_reply) {
            (Some(original), false) => {
                let knows_answer = !has_type(number) || self.kind_is_of_family;
                let reply = original.inverse().filter(|_| knows_answer);
                (Some(original), reply)
            }
            (Some(original), true) => {
                let reply = of_reply();
                let whole = !has_type(number) || self.kind_is_of_reply;
                let reply = Some(reply).filter(|reply| whole && original.protocol == reply.protocol);
                (Some(original), reply)
            }
            (None, _) => {
                let reply = of_reply();
                let original = reply.inverse().filter(|_| !has_type(reply.protocol));
                (original, Some(reply))
            }
        }
    }

    fn tuple(&self, addresses: [Option<IpAddr>; 2], ids: [Option<u16>; 2], number: u8, kind: Option<u8>) -> Tuple {
        let nobody = self.family.unwrap_or(crate::base::Family::V4).unspecified();
        let mut tuple = Tuple {
            source: Endpoint {
                address: addresses[0].unwrap_or(nobody),
                id: ids[0].unwrap_or(0),
            },
            destination: Endpoint {
                address: addresses[1].unwrap_or(nobody),
                id: ids[1].unwrap_or(0),
            },
            protocol: number,
        };
        if has_type(number) {
            tuple.destination.id = u16::from_be_bytes([kind.unwrap_or(0), self.code.unwrap_or(0)]);
        } else if !proto::spec(number).is_the_kernels {
            // The kernel knows no ports of it.
            (tuple.source.id, tuple.destination.id) = (0, 0);
        }
        tuple
    }
}
