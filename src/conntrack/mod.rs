//! Tuples, flows and their table, timeouts, expectations; one tracker a file (`proto/`).
//!
//! A packet is looked up at the tracking stage (`Table::track`) and, if it opens a flow, that flow is held by the packet alone until the packet
//! gets out (`Table::confirm`): a flow that is dropped on its way never existed. Flows are shared (`Arc`) and each has its own small lock;
//! the table has one lock a shard, held for a look-up or an insertion only.

mod flow;
pub mod proto;
mod settings;
mod tuple;

pub use flow::{Counted, Flow, FlowState, NatInfo, SequenceAdjustment, Status};
pub use settings::Settings;
pub use tuple::{Direction, Endpoint, Tuple};

use std::sync::Arc;

/// What `--ctstate` calls the packet's relation to its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CtState {
    New,
    Established,
    Related,
    Invalid,
    Untracked,
}

impl CtState {
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Established => "ESTABLISHED",
            Self::Related => "RELATED",
            Self::Invalid => "INVALID",
            Self::Untracked => "UNTRACKED",
        }
    }
}

/// What a packet carries of connection tracking on its way.
#[derive(Clone, Debug, Default)]
pub struct Tracking {
    /// Set for NEW, ESTABLISHED and RELATED.
    pub flow: Option<Arc<Flow>>,
    /// `None` until the tracking stage has seen the packet (and for ever where no rule asked for tracking).
    pub state: Option<CtState>,
    /// Which way of its flow the packet goes. For a RELATED ICMP error: the direction of the error itself.
    pub direction: Direction,
    /// What a rule of the raw table asked for, before the tracking stage (`CT --helper`, `CT --zone`, ...).
    pub template: Option<Arc<Template>>,
}

impl Tracking {
    /// What the matches see: a packet that was never tracked counts as INVALID, as in the kernel.
    pub fn state_for_matching(&self) -> CtState {
        self.state.unwrap_or(CtState::Invalid)
    }
}

/// What the CT target hands to the tracking stage.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Template {
    /// Name of the helper to attach to a new flow (`CT --helper ftp`).
    pub helper: Option<String>,
}
