//! The first packet of a flow: whether it may open one, and with what.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use super::{Refused, refuse, refused, zone_of};
use crate::conntrack::events::{EventMask, Told};
use crate::conntrack::flow::Rare;
use crate::conntrack::keys::KeysOfMaster;
use crate::conntrack::proto::{self, Fault, ProtocolState, Seen};
use crate::conntrack::{
    ConntrackHelper, Counted, CtState, Direction, DropReason, Expectation, Flow, FlowState, InvalidReason, Reason,
    Status, Table, TrackContext, Tracked, Tracking, Tuple, Zone,
};
use crate::packet::Packet;

impl Table {
    /// The packet is the first of a flow.
    pub(super) fn begin(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        tracking: &mut Tracking,
        (tuple, hash): (&Tuple, u64),
        seen: &Result<Seen<'_>, Fault<proto::InvalidReason>>,
    ) -> Tracked {
        let zone = zone_of(tracking, packet);
        let template = tracking.template.as_deref();
        let policy = template.and_then(|it| it.policy.as_ref());
        let opened = match policy {
            None => self.open(cx, packet, (tuple, hash, zone), seen),
            Some(policy) => {
                let settings = policy.applied_to(cx.settings);
                let cx = TrackContext {
                    settings: &settings,
                    ..*cx
                };
                self.open(&cx, packet, (tuple, hash, zone), seen)
            }
        };
        let Opened {
            reply,
            expectation,
            protocol,
            timeout,
        } = match opened {
            Ok(opened) => opened,
            Err(why) => return refuse(tracking, why),
        };
        let told = self.begin_telling(cx.settings, template.and_then(|it| it.events));
        let mut status = Status::default();
        let (mut mark, mut holds, mut master, mut keys) = (0, None, None, None);
        let helper = match &expectation {
            Some(expectation) => {
                status.set(Status::EXPECTED);
                let mut of_master = expectation.master.lock();
                mark = of_master.mark;
                holds = Some(Arc::clone(of_master.rare_mut().held_by.get_or_insert_default()));
                master = Some(Arc::clone(&expectation.master));
                if proto::spec(tuple.protocol).key.may_be_agreed_on() {
                    keys = Some(KeysOfMaster {
                        keys: Arc::clone(&self.keys),
                        master: expectation.master.serial(),
                    });
                }
                expectation.helper
            }
            None => self.helper_for(cx, tracking, tuple),
        };
        let has_labels = self.keeps_labels();
        let (keeps_time, counts) = (cx.settings.timestamp, cx.settings.acct);
        let by_rules = policy.is_some() || has_labels || told.is_some() || helper.is_some();
        let mut state = FlowState::new(protocol, timeout);
        state.status = status;
        state.mark = mark;
        state.opened_by = cx.packet;
        if by_rules || keeps_time || counts || master.is_some() {
            state.rare = Some(Box::new(Rare {
                started: keeps_time.then_some(cx.now),
                counters: counts.then(|| Box::new(counters_of_first(packet))),
                helper,
                master,
                holds,
                keys,
                told: told.map(|told| Told::nothing(told.flow, mark)),
                policy: policy.cloned(),
                labels: has_labels.then_some(0),
                ..Rare::default()
            }));
        }
        let told = told.map_or(EventMask::NONE, |told| told.expectations);
        let flow = Flow::begun(self.next_serial(), (tuple, &reply), (zone, told), state);
        tracking.flow = Some(flow);
        tracking.direction = Direction::Original;
        tracking.hashes.original = NonZeroU64::new(hash);
        match expectation {
            Some(expectation) => {
                tracking.state = Some(CtState::Related);
                Tracked::Accept(Reason::Expected(expectation))
            }
            None => {
                tracking.state = Some(CtState::New);
                Tracked::Accept(Reason::NewFlow)
            }
        }
    }

    /// Whether the packet may open a flow, and with what.
    #[inline]
    fn open(
        &self,
        cx: &TrackContext<'_>,
        packet: &Packet,
        (tuple, hash, zone): (&Tuple, u64, Zone),
        seen: &Result<Seen<'_>, Fault<proto::InvalidReason>>,
    ) -> Result<Opened, Refused> {
        let Some(reply) = tuple.inverse() else {
            let why = seen.as_ref().err().copied();
            return Err(refused(&why.unwrap_or_else(|| proto::names_no_flow(packet))));
        };
        let max = cx.settings.max as usize;
        if max != 0 && self.count() >= max && !self.early_drop(cx.now, hash) {
            return Err(Refused::Drop(DropReason::TableFull));
        }
        let expectation = if self.expects_anything() {
            self.with_expectations(|all| all.take(cx.now, tuple, zone))
        } else {
            None
        };
        // Seen: only now does the kernel look at flags and checksum, so a packet that an expectation waits for uses it up even if it opens nothing.
        let opened = seen.as_ref().map_err(refused)?.open(cx, tuple);
        let (protocol, timeout) = opened.map_err(|why| Refused::Invalid(InvalidReason::Protocol(why)))?;
        Ok(Opened {
            reply,
            expectation,
            protocol,
            timeout,
        })
    }

    fn helper_for(
        &self,
        cx: &TrackContext<'_>,
        tracking: &Tracking,
        tuple: &Tuple,
    ) -> Option<&'static ConntrackHelper> {
        let asked = tracking.template.as_ref().and_then(|it| it.helper.as_deref());
        let mut of_protocol = cx.helpers.iter().copied().filter(|helper| helper.reads(tuple));
        match asked {
            Some(name) => of_protocol.find(|it| it.name == name),
            // Old kernels went by the reply's source, which is the original destination before NAT.
            None if cx.settings.automatic_helper => of_protocol.find(|it| it.ports.contains(&tuple.destination.id)),
            None => None,
        }
    }
}

/// What a flow is opened with.
struct Opened {
    reply: Tuple,
    expectation: Option<Arc<Expectation>>,
    protocol: ProtocolState,
    timeout: Duration,
}

/// The first packet of a flow counts for it.
fn counters_of_first(packet: &Packet) -> [Counted; 2] {
    let first = Counted {
        packets: 1,
        bytes: packet.len() as u64,
    };
    [first, Counted::default()]
}
