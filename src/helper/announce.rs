//! What a helper does with a packet besides reading it: it remembers, expects flows, and has NAT write what they are called outside.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::Arc;

use super::{DropReason, HeardWhat, HelperContext, mangle};
use crate::conntrack::{
    ConntrackHelper, Direction, Endpoint, Expectation, ExpectationMask, ExpectationNat, ExpectationRefused, Flow,
    HelperData, Status, Tracking, Tuple,
};
use crate::packet::Packet;

/// A packet that its flow's helper reads.
pub(super) struct Reading<'a, 'b> {
    pub packet: &'a mut Packet,
    pub tracking: &'a Tracking,
    pub flow: &'a Arc<Flow>,
    pub helper: &'static ConntrackHelper,
    pub cx: &'a mut HelperContext<'b>,
}

/// The ends of a packet's flow, as its sender and as its receiver know them, where NAT lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ends {
    /// The tuple of the packet as it came.
    pub sender: Tuple,
    /// The tuple of an answer to it.
    pub answer: Tuple,
    pub under_nat: bool,
}

/// A flow that a packet announces: it is going to be opened by `from`, from any port unless one is named, towards `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// Which of the helper's policies bounds it.
    pub class: usize,
    pub protocol: u8,
    pub from: IpAddr,
    pub from_port: Option<u16>,
    pub to: Endpoint,
}

impl Reading<'_, '_> {
    pub fn direction(&self) -> Direction {
        self.tracking.direction
    }

    pub fn ends(&self) -> Ends {
        let (state, direction) = (self.flow.lock(), self.direction());
        Ends {
            sender: *state.tuple(self.flow, direction),
            answer: *state.tuple(self.flow, direction.opposite()),
            under_nat: state.status.has_any(Status::SRC_NAT.or(Status::DST_NAT)),
        }
    }

    /// What the helper remembers of the flow.
    pub fn remembered<T: HelperData + Clone + Default>(&self) -> T {
        let state = self.flow.lock();
        let data = state.helper_data.as_deref().map(|data| data as &dyn Any);
        data.and_then(|data| data.downcast_ref::<T>())
            .cloned()
            .unwrap_or_default()
    }

    /// Changes what it remembers.
    pub fn remember<T: HelperData + Default>(&self, change: impl FnOnce(&mut T)) {
        let mut state = self.flow.lock();
        let data = state.helper_data.get_or_insert_with(|| Box::<T>::default());
        if let Some(data) = (&mut **data as &mut dyn Any).downcast_mut::<T>() {
            change(data);
        }
    }

    /// Expects the flow as the packet announces it. `Err` where that is refused: the packet is dropped, so that its sender tries again.
    pub fn expect(&mut self, wish: &Wish) -> Result<HeardWhat, DropReason> {
        let expected = self.enter(wish, wish.to.id).map_err(DropReason::Expectation)?;
        Ok(HeardWhat::Announced {
            expected,
            instead_of: None,
        })
    }

    /// The same where the flow may be under NAT: then a port is taken that is free outside, the one that was named if it can be, and the packet
    /// gets what `write` makes of the address and the port in the place of `named`, a range of its payload. If that fails nothing is expected.
    pub fn announce(
        &mut self,
        wish: &Wish,
        named: Range<usize>,
        write: impl FnOnce(Endpoint) -> String,
    ) -> Result<HeardWhat, DropReason> {
        let ends = self.ends();
        if !ends.under_nat {
            return self.expect(wish);
        }
        let expected = self.enter_near(wish).map_err(DropReason::Expectation)?;
        let port = expected.destination.id;
        if port == 0 {
            // Seen: the packet is dropped, though the expectation stays.
            return Err(DropReason::Mangle);
        }
        let outside = Endpoint {
            address: ends.answer.destination.address,
            id: port,
        };
        if !mangle::replace(self.packet, self.tracking, named, write(outside).as_bytes()) {
            self.take_back(&expected);
            return Err(DropReason::Mangle);
        }
        Ok(HeardWhat::Announced {
            expected,
            instead_of: (port != wish.to.id).then_some(wish.to.id),
        })
    }

    /// The port that was named, if nobody else is expected there; else any above it.
    fn enter_near(&mut self, wish: &Wish) -> Result<Tuple, ExpectationRefused> {
        let named = wish.to.id;
        let room = u32::from(u16::MAX - named);
        let mut port = named;
        for left in (0..=room.min(PORTS_TRIED)).rev() {
            match self.enter(wish, port) {
                Err(ExpectationRefused::Clash) if left > 0 => port = named + self.cx.random.below(room) as u16,
                done => return done,
            }
        }
        // Not met: the last round returns.
        Err(ExpectationRefused::Clash)
    }

    fn enter(&mut self, wish: &Wish, port: u16) -> Result<Tuple, ExpectationRefused> {
        let tuple = Tuple {
            source: Endpoint {
                address: wish.from,
                id: wish.from_port.unwrap_or(0),
            },
            destination: Endpoint { id: port, ..wish.to },
            protocol: wish.protocol,
        };
        let nat = ExpectationNat {
            command: self.direction(),
            port: wish.to.id,
        };
        let under_nat = self.ends().under_nat;
        self.cx.table.expect(
            self.cx.now,
            Expectation {
                serial: 0,
                tuple,
                mask: ExpectationMask {
                    address: every_bit(wish.from),
                    id: wish.from_port.map_or(0, |_| u16::MAX),
                },
                master: Arc::clone(self.flow),
                class: wish.class,
                permanent: false,
                inactive: false,
                deadline: self.cx.now + self.helper.policy(wish.class).timeout,
                made_by: self.helper,
                helper: None,
                nat: under_nat.then_some(nat),
            },
            self.cx.settings.expect_max,
        )?;
        Ok(tuple)
    }

    fn take_back(&mut self, expected: &Tuple) {
        for made in self.cx.table.expectations(self.cx.now) {
            if Arc::ptr_eq(&made.master, self.flow) && made.tuple == *expected {
                self.cx.table.unexpect(&made);
            }
        }
    }
}

const PORTS_TRIED: u32 = 128;

fn every_bit(of: IpAddr) -> IpAddr {
    match of {
        IpAddr::V4(_) => Ipv4Addr::BROADCAST.into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(u128::MAX).into(),
    }
}
