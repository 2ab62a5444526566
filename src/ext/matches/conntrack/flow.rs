//! What `-m conntrack` is asked of: a packet's flow as it stands, or what stands for one.

use crate::base::Family;
use crate::conntrack::{CtState, Direction, Endpoint, Status, Tuple};
use crate::rule::Context;

/// What is asked of a flow, taken under its lock in one go.
#[derive(Clone, Copy, Debug)]
pub(super) struct FlowView {
    pub(super) original: Tuple,
    pub(super) reply: Tuple,
    pub(super) status: Status,
    /// Seconds; zero before the flow is confirmed, as in a kernel that has run for longer than its time-outs: it takes such a time-out, which is a length yet,
    /// for a moment.
    pub(super) expires: u64,
    pub(super) direction: Direction,
}

pub(super) fn view(cx: &Context<'_>) -> (CtState, Option<FlowView>) {
    let tracking = cx.tracking;
    let flow = tracking.flow.as_ref().map(|flow| {
        let locked = flow.lock();
        FlowView {
            original: flow.original(),
            reply: flow.reply(),
            status: locked.status,
            expires: if locked.status.has(Status::CONFIRMED) {
                locked.deadline.since(cx.now).as_secs()
            } else {
                0
            },
            direction: tracking.direction,
        }
    });
    let template = || tracking.template_in_place().map(|_| of_template(cx.packet.family()));
    (tracking.state_for_matching(), flow.or_else(template))
}

/// What a rule behind a CT target in table raw is told. Seen: a confirmed flow of nobody with nobody.
fn of_template(family: Family) -> FlowView {
    let nobody = Endpoint {
        address: family.unspecified(),
        id: 0,
    };
    let tuple = Tuple {
        source: nobody,
        destination: nobody,
        protocol: 0,
    };
    FlowView {
        original: tuple,
        reply: tuple,
        status: Status::CONFIRMED,
        expires: 0,
        direction: Direction::Original,
    }
}
