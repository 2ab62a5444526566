//! What a helper does with a packet besides reading it: it remembers, expects flows, and has NAT write what they are called outside.

use std::any::Any;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::parameter::Parameter;
use super::{Announced, Broadcast, DropReason, HelperContext, LoadedModule, mangle};
use crate::base::Family;
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
    /// The flow's, with the bounds that its module was loaded with.
    pub helper: &'static ConntrackHelper,
    pub module: &'b LoadedModule,
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

/// A flow that a packet announces, as it is called where it comes from: it is going to be opened by `from`, from any port unless one is named,
/// towards `to`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Which of the helper's policies bounds it.
    pub class: usize,
    pub protocol: u8,
    /// `None`: any host may open it.
    pub from: Option<IpAddr>,
    pub from_port: Option<u16>,
    /// Which bits of the address count, where any host of a network may open it.
    pub from_mask: Option<IpAddr>,
    pub to: Endpoint,
    /// The port that it is led to where its master is under NAT: that of whoever announced it. `None`: that of `to`.
    pub led_to: Option<u16>,
    /// The direction whose sender it is led to. `None`: that of the packet.
    pub announced_by: Option<Direction>,
    /// The host that it is led to. `None`: that sender.
    pub led_to_host: Option<IpAddr>,
    /// There it keeps the port that it goes to.
    pub keeps_port: bool,
    /// The port that it seems to come from there. `None`: its own, if it can be.
    pub led_from_port: Option<u16>,
    /// What is expected no longer when this comes.
    pub together_with: Option<Tuple>,
    /// There it seems to come from where it comes from, else from where the packet goes.
    pub keeps_source: bool,
    /// False: it is led nowhere, though its master be under NAT.
    pub follows: bool,
    /// Who reads it: another helper of the module.
    pub helper: Option<&'static ConntrackHelper>,
    /// It stays after a flow came of it.
    pub permanent: bool,
    /// It opens nothing before it is confirmed.
    pub inactive: bool,
    /// It is one half of what goes both ways, and is led as that.
    pub pairs: bool,
    /// Another flow may expect the very same: then that is enough.
    pub shared: bool,
}

impl Wish {
    /// A flow of the first class, from any port, that nobody reads.
    pub(super) fn new(protocol: u8, from: Option<IpAddr>, to: Endpoint) -> Self {
        Self {
            class: 0,
            protocol,
            from,
            from_port: None,
            from_mask: None,
            to,
            led_to: None,
            announced_by: None,
            led_to_host: None,
            keeps_port: false,
            led_from_port: None,
            together_with: None,
            keeps_source: false,
            follows: true,
            helper: None,
            permanent: false,
            inactive: false,
            pairs: false,
            shared: false,
        }
    }
}

impl Reading<'_, '_> {
    pub(super) fn direction(&self) -> Direction {
        self.tracking.direction
    }

    /// Whether the module was loaded with this flag.
    pub(super) fn is_set(&self, parameter: &Parameter) -> bool {
        self.module.values.flag(parameter)
    }

    /// What it was loaded with of this number.
    pub(super) fn number(&self, parameter: &Parameter) -> u32 {
        self.module.values.number(parameter)
    }

    /// The data of the packet's transport protocol, to the packet's end.
    pub(super) fn payload(&self) -> &[u8] {
        let transport = self.packet.transport();
        let header = mangle::header_length(self.packet).unwrap_or(transport.len());
        transport.get(header..).unwrap_or_default()
    }

    /// Seen of some helpers: what they read lies in one piece from then on, and leaves in pieces of the largest size it came in, no longer in the very
    /// same.
    pub(super) fn lay_in_one_piece(&mut self) {
        self.packet.fragments.clear();
    }

    /// What the flow is called this way.
    pub(super) fn tuple(&self, direction: Direction) -> Tuple {
        self.flow.tuple(direction)
    }

    /// NAT lies between the flow's ends, and the helper's NAT side is there to write of it.
    pub(super) fn is_under_nat(&self) -> bool {
        self.module.has_nat && self.ends().under_nat
    }

    pub(super) fn ends(&self) -> Ends {
        let (state, direction) = (self.flow.lock(), self.direction());
        Ends {
            sender: self.flow.tuple(direction),
            answer: self.flow.tuple(direction.opposite()),
            under_nat: state.status.has_any(Status::SRC_NAT.or(Status::DST_NAT)),
        }
    }

    /// What the helper remembers of the flow.
    pub(super) fn remembered<T: HelperData + Clone + Default>(&self) -> T {
        let state = self.flow.lock();
        let data = state.helper_data().map(|data| data as &dyn Any);
        data.and_then(|data| data.downcast_ref::<T>())
            .cloned()
            .unwrap_or_default()
    }

    /// Changes what it remembers.
    pub(super) fn remember<T: HelperData + Default>(&self, change: impl FnOnce(&mut T)) {
        let mut state = self.flow.lock();
        let data = state.helper_data_mut().get_or_insert_with(|| Box::<T>::default());
        if let Some(data) = (&mut **data as &mut dyn Any).downcast_mut::<T>() {
            change(data);
        }
    }

    /// Expects the flow as the packet announces it. `Err` where that is refused: the packet is dropped, so that its sender tries again.
    pub(super) fn expect(&mut self, wish: &Wish) -> Result<Announced, DropReason> {
        let expected = self.enter(wish, wish.to.id).map_err(DropReason::Expectation)?;
        Ok(Announced {
            expected,
            from_mask: wish.from_mask,
            instead_of: None,
        })
    }

    /// The same where the flow may be under NAT: then a port is taken that is free outside, the one that was named if it can be, and the packet
    /// gets what `write` makes of the address and the port in the place of `named`, a range of its payload. If that fails nothing is expected.
    /// Without the helper's NAT side it is [`Self::expect`].
    pub(super) fn announce(
        &mut self,
        wish: &Wish,
        named: Range<usize>,
        write: impl FnOnce(Endpoint) -> String,
    ) -> Result<Announced, DropReason> {
        if !self.is_under_nat() {
            return self.expect(wish);
        }
        let expected = self.enter_near(wish)?;
        let port = expected.destination.id;
        let outside = Endpoint {
            address: self.ends().answer.destination.address,
            id: port,
        };
        if !self.write(named, write(outside).as_bytes()) {
            self.take_back(&expected);
            return Err(DropReason::Mangle);
        }
        Ok(Announced {
            expected,
            from_mask: None,
            instead_of: (port != wish.to.id).then_some(wish.to.id),
        })
    }

    /// Puts `text` in the place of a range of the payload. False, and nothing changed, where the packet would become too large.
    pub(super) fn write(&mut self, range: Range<usize>, text: &[u8]) -> bool {
        mangle::replace(self.packet, self.tracking, range, text)
    }

    /// Puts an address in the place of four bytes of a datagram's payload: the checksum follows, right or wrong as it was.
    pub(super) fn write_address(&mut self, at: usize, address: [u8; 4]) {
        mangle::overwrite(self.packet, at, address);
    }

    /// Whether it is a broadcast of the router's own.
    pub(super) fn broadcast(&self) -> Broadcast {
        self.cx.ways.broadcast(self.packet)
    }

    /// The same without a word about numbers to come: a segment in which several things change tells it once, by [`Self::note_length_change`].
    pub(super) fn write_unnoted(&mut self, range: Range<usize>, text: &[u8]) -> bool {
        mangle::rewrite(self.packet, range, text)
    }

    /// The segment's payload was so long before; by what it has changed, numbers to come are shifted.
    pub(super) fn note_length_change(&mut self, before: usize) {
        let change = self.payload().len() as i32 - before as i32;
        mangle::note_length_change(self.packet, self.tracking, change);
    }

    /// Has the packet delivered at another port.
    pub(super) fn deliver_at(&mut self, port: u16) {
        mangle::deliver_at(self.packet, port);
    }

    /// Lets the flow live so long from now on.
    pub(super) fn lives_on(&mut self, timeout: Duration) {
        self.flow.lock().lives_on(self.cx.now, timeout);
    }

    /// The port that was named, if nobody else is expected there; else any above it.
    ///
    /// Port 0 counts as none that is free. Seen: the packet is dropped, though the expectation stays.
    pub(super) fn enter_near(&mut self, wish: &Wish) -> Result<Tuple, DropReason> {
        let named = wish.to.id;
        let room = u32::from(u16::MAX - named);
        let mut port = named;
        for left in (0..=room.min(PORTS_TRIED)).rev() {
            match self.enter(wish, port) {
                Ok(_) if port == 0 => return Err(DropReason::Mangle),
                Err(ExpectationRefused::Clash) if left > 0 => port = named + self.cx.random.below(room) as u16,
                done => return done.map_err(DropReason::Expectation),
            }
        }
        // Not met: the last round returns.
        Err(DropReason::Expectation(ExpectationRefused::Clash))
    }

    /// Expects the flow at this port.
    pub(super) fn enter(&mut self, wish: &Wish, port: u16) -> Result<Tuple, ExpectationRefused> {
        let family = Family::of(wish.to.address);
        let tuple = Tuple {
            source: Endpoint {
                address: wish.from.unwrap_or(family.unspecified()),
                id: wish.from_port.unwrap_or(0),
            },
            destination: Endpoint { id: port, ..wish.to },
            protocol: wish.protocol,
        };
        let nat = ExpectationNat {
            command: wish.announced_by.unwrap_or(self.direction()),
            port: (!wish.keeps_port).then_some(wish.led_to.unwrap_or(wish.to.id)),
            from_port: wish.led_from_port,
            host: wish.led_to_host,
            keeps_source: wish.keeps_source,
            pairs: wish.pairs,
        };
        let is_led = wish.follows && self.is_under_nat();
        let expectation = Expectation {
            serial: 0,
            tuple,
            mask: ExpectationMask {
                address: wish.from_mask.unwrap_or(match wish.from {
                    Some(_) => family.every_bit(),
                    None => family.unspecified(),
                }),
                id: wish.from_port.map_or(0, |_| u16::MAX),
            },
            master: Arc::clone(self.flow),
            class: wish.class,
            permanent: wish.permanent,
            inactive: wish.inactive,
            deadline: self.cx.now + self.helper.policy(wish.class).timeout,
            made_by: self.helper,
            helper: wish.helper,
            nat: is_led.then_some(nat),
            together_with: wish.together_with,
        };
        let (table, now, max) = (self.cx.table, self.cx.now, self.cx.settings.expect_max);
        match wish.shared {
            true => table.expect_once(now, expectation, max)?,
            false => table.expect(now, expectation, max)?,
        }
        Ok(tuple)
    }

    /// Where what another flow of this helper announced in this class is led to, if that fits.
    pub(super) fn announced_by_another(&self, tuple: &Tuple, class: usize) -> Option<Endpoint> {
        let zone = self.flow.zone().id;
        let found = self.cx.table.expectation_in(self.cx.now, tuple, zone)?;
        let is_another = !Arc::ptr_eq(&found.master, self.flow) && found.class == class;
        let reads = |helper: &'static ConntrackHelper| std::ptr::eq(helper, self.helper);
        if !is_another || !found.master.lock().helper().is_some_and(reads) {
            return None;
        }
        // Seen: what is led nowhere counts as led to no host at all.
        let nowhere = Family::of(tuple.destination.address).unspecified();
        Some(Endpoint {
            address: found.nat.and_then(|nat| nat.host).unwrap_or(nowhere),
            id: found.nat.and_then(|nat| nat.port).unwrap_or(0),
        })
    }

    /// Expects nothing more of what the flow announced in such classes, the newest first; how many that were.
    pub(super) fn expect_no(&mut self, is_meant: impl Fn(usize) -> bool, most: usize) -> usize {
        let all = self.cx.table.expectations_of(self.cx.now, self.flow);
        let meant = all.iter().rev().filter(|it| is_meant(it.class)).take(most);
        meant.map(|it| self.cx.table.unexpect(it)).count()
    }

    /// What the flow announced in this class goes on for so long, and is active from now on.
    pub(super) fn confirm(&mut self, class: usize, protocol: u8, to: Endpoint, lasts: Duration) -> Option<Tuple> {
        let is_it =
            |it: &&Arc<Expectation>| it.class == class && it.tuple.protocol == protocol && it.tuple.destination == to;
        let all = self.cx.table.expectations_of(self.cx.now, self.flow);
        let found = all.iter().rev().find(is_it)?;
        let deadline = self.cx.now + lasts;
        self.cx
            .table
            .confirm_expectation(found, deadline)
            .then_some(found.tuple)
    }

    /// Whether the router's own packets to this host leave as this one does.
    pub(super) fn leaves_likewise(&self, to: IpAddr) -> bool {
        self.cx.ways.leaves_likewise(self.packet, to)
    }

    /// Expects nothing more of what the flow announced.
    pub(super) fn expect_nothing(&mut self) {
        self.cx.table.unexpect_all_of(self.flow);
    }

    /// The ends have agreed on these keys. False where they had on others.
    pub(super) fn agree_on_keys(&self, ways: [&Tuple; 2]) -> bool {
        self.cx.table.agree_on_keys(self.flow, ways)
    }

    /// What ends with the flow ends now.
    pub(super) fn end_what_goes_along(&self) {
        self.cx.table.end_what_goes_along(self.flow);
    }

    /// Whether the host's own packets to these two go the same way.
    pub(super) fn is_same_way(&self, first: IpAddr, second: IpAddr) -> bool {
        self.cx.ways.is_same(first, second)
    }

    /// Expects it no longer.
    pub(super) fn take_back(&mut self, expected: &Tuple) {
        self.cx.table.unexpect_of(self.flow, expected);
    }
}

const PORTS_TRIED: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Random, protocol};
    use crate::conntrack::testing::{A, B, Bench, address, packet, tcp};
    use crate::conntrack::{CtState, ExpectPolicy};
    use crate::helper::{Loaded, NoWays, registry};
    use crate::wire::tcp::flags::{ACK, SYN};

    static HELPER: ConntrackHelper = ConntrackHelper {
        name: "test",
        families: &[],
        protocol: protocol::TCP,
        ports: &[],
        policies: &[ExpectPolicy {
            name: "",
            max_expected: 1,
            timeout: Duration::from_secs(30),
        }],
    };

    /// How a packet's flow lies.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Nat {
        None,
        Between,
        /// NAT lies between, and the helper's side of it is not loaded.
        WithoutHelper,
    }

    /// A client at this port says where it is to be called, in so many bytes; what became of it, and what is expected then.
    fn says(
        bench: &Bench,
        client: u16,
        named: u16,
        nat: Nat,
        length: usize,
    ) -> (Result<Announced, DropReason>, Vec<u16>) {
        let (_, mut tracking) = bench.pass(tcp((A, client), (B, 21), (1, 0), SYN)).unwrap();
        tracking.state = Some(CtState::Established);
        let flow = tracking.flow.clone().unwrap();
        if nat != Nat::None {
            flow.lock().status.set(Status::SRC_NAT);
        }
        let mut segment = vec![0; 20 + length];
        segment[12] = 5 << 4;
        segment[13] = ACK;
        let mut packet = packet(protocol::TCP, A, B, &segment);
        let mut loaded = Loaded::all();
        for spec in registry() {
            loaded.set_nat(spec, nat != Nat::WithoutHelper);
        }
        let said = Reading {
            packet: &mut packet,
            tracking: &tracking,
            flow: &flow,
            helper: &HELPER,
            module: &loaded.modules()[0],
            cx: &mut HelperContext {
                now: bench.now,
                settings: &bench.settings,
                loaded: &loaded,
                ways: &NoWays,
                table: &bench.table,
                random: &mut Random::new(u64::from(client)),
            },
        }
        .announce(
            &Wish::new(
                protocol::TCP,
                Some(address(B)),
                Endpoint {
                    address: address(A),
                    id: named,
                },
            ),
            0..1,
            |outside| format!("{}:{}", outside.address, outside.id),
        );
        if let Ok(Announced { expected, .. }) = &said
            && nat == Nat::Between
        {
            let text = format!("10.0.0.2:{}", expected.destination.id);
            assert!(packet.tcp().unwrap().payload().starts_with(text.as_bytes()));
        }
        let expected = bench.table.expectations(bench.now);
        (said, expected.iter().map(|it| it.tuple.destination.id).collect())
    }

    #[test]
    fn another_port_is_taken_where_nat_can_write_it() {
        let bench = Bench::new();
        for client in 1..=40 {
            let (said, expected) = says(&bench, client, 5000, Nat::Between, 10);
            let Ok(Announced {
                expected: tuple,
                instead_of,
                ..
            }) = said
            else {
                panic!("{client}: {said:?}")
            };
            assert_eq!(instead_of, (client > 1).then_some(5000));
            assert!(tuple.destination.id >= 5000 && expected.contains(&tuple.destination.id));
            assert_eq!(expected.len(), usize::from(client));
        }
        // Without NAT the other end would call the port that was named.
        let (said, expected) = says(&bench, 41, 5000, Nat::None, 10);
        assert_eq!(said, Err(DropReason::Expectation(ExpectationRefused::Clash)));
        assert_eq!(expected.len(), 40);
        // The same where nobody is there to write another.
        let (said, expected) = says(&bench, 42, 5000, Nat::WithoutHelper, 10);
        assert_eq!(said, Err(DropReason::Expectation(ExpectationRefused::Clash)));
        assert_eq!(expected.len(), 40);
        let (said, _) = says(&bench, 43, 4999, Nat::WithoutHelper, 10);
        assert_eq!(said.unwrap().instead_of, None);
        let expected = bench.table.expectations(bench.now);
        let led = expected.iter().map(|it| (it.tuple.destination.id, it.nat.is_some()));
        assert_eq!(
            led.filter(|(port, _)| *port <= 5000).collect::<Vec<_>>(),
            [(5000, true), (4999, false)]
        );
    }

    #[test]
    fn the_last_port_has_no_other_above_it() {
        let bench = Bench::new();
        let (first, _) = says(&bench, 1, u16::MAX, Nat::Between, 10);
        assert!(first.is_ok());
        let (second, expected) = says(&bench, 2, u16::MAX, Nat::Between, 10);
        assert_eq!(second, Err(DropReason::Expectation(ExpectationRefused::Clash)));
        assert_eq!(expected, [u16::MAX]);
    }

    #[test]
    fn what_cannot_be_written_is_not_expected() {
        let bench = Bench::new();
        let largest = usize::from(u16::MAX) - 40;
        let (said, expected) = says(&bench, 1, 5000, Nat::Between, largest);
        assert_eq!(said, Err(DropReason::Mangle));
        assert_eq!(expected, Vec::<u16>::new());
        let (said, expected) = says(&bench, 2, 5000, Nat::None, largest);
        assert!(said.is_ok());
        assert_eq!(expected, [5000]);
    }

    #[test]
    fn a_table_without_room_refuses() {
        let mut bench = Bench::new();
        bench.settings.expect_max = 1;
        assert!(says(&bench, 1, 5000, Nat::Between, 10).0.is_ok());
        let full = Err(DropReason::Expectation(ExpectationRefused::Full));
        assert_eq!(says(&bench, 2, 5001, Nat::Between, 10).0, full);
        assert_eq!(says(&bench, 3, 5001, Nat::None, 10).0, full);
    }
}
