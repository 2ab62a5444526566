//! What few flows have, apart from all, so that the others are small.

use std::sync::Arc;

use super::{Counted, Flow, FlowState, HelperData, SequenceAdjustment};
use crate::base::Time;
use crate::conntrack::events::{EventMask, Told};
use crate::conntrack::keys::KeysOfMaster;
use crate::conntrack::labels::Labels;
use crate::conntrack::orphan::Token;
use crate::conntrack::policy::TimeoutPolicy;
use crate::conntrack::{ConntrackHelper, Tuple};

/// What few flows have.
#[derive(Debug, Default)]
pub(in crate::conntrack) struct Rare {
    /// When it was confirmed, kept where `nf_conntrack_timestamp` was set when the flow began.
    pub started: Option<Time>,
    /// Packets and bytes each way, kept where `nf_conntrack_acct` was set when the flow began.
    pub counters: Option<Box<[Counted; 2]>>,
    /// The helper that reads this flow.
    pub helper: Option<&'static ConntrackHelper>,
    /// What that helper remembers of this flow.
    pub helper_data: Option<Box<dyn HelperData>>,
    /// Whether it ever announced a flow.
    pub has_expected: bool,
    /// For an expected flow: the one whose helper announced it.
    pub master: Option<Arc<Flow>>,
    /// Counts, by its clones, the expected flows that live: the kernel's listings show each as one more use.
    pub held_by: Option<Arc<Token>>,
    pub holds: Option<Arc<Token>>,
    /// Of a flow that was announced with keys.
    pub keys: Option<KeysOfMaster>,
    /// What listeners have been told of it; `None` where none will be.
    pub told: Option<Box<Told>>,
    /// Offsets of TCP sequence numbers each way, where a helper changed a payload's length.
    pub sequence: Option<Box<[SequenceAdjustment; 2]>>,
    /// Its timeouts are these and not the knobs'.
    pub policy: Option<Arc<TimeoutPolicy>>,
    /// Where it has room for some.
    pub labels: Option<Labels>,
}

impl Rare {
    /// As [`FlowState::plain`].
    pub(super) fn plain(&self) -> Self {
        Self {
            started: self.started,
            counters: self.counters.clone(),
            helper: self.helper,
            helper_data: None,
            has_expected: self.has_expected,
            master: self.master.clone(),
            held_by: None,
            holds: None,
            keys: None,
            told: self.told.clone(),
            sequence: self.sequence.clone(),
            policy: self.policy.clone(),
            labels: self.labels,
        }
    }

    /// Without what a flow is given by rules about its labels and timeouts.
    pub(in crate::conntrack) fn forget_labels_and_policy(&mut self) {
        (self.policy, self.labels) = (None, None);
    }
}

impl FlowState {
    /// What it has of what few have.
    pub(in crate::conntrack) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// When it was confirmed, where that is kept.
    pub fn started(&self) -> Option<Time> {
        self.rare.as_deref()?.started
    }

    /// Packets and bytes each way, where they are counted.
    pub fn counters(&self) -> Option<&[Counted; 2]> {
        self.rare.as_deref()?.counters.as_deref()
    }

    /// The same, to be changed.
    #[inline]
    pub fn counters_mut(&mut self) -> Option<&mut [Counted; 2]> {
        self.rare.as_deref_mut()?.counters.as_deref_mut()
    }

    /// The helper that reads this flow.
    pub fn helper(&self) -> Option<&'static ConntrackHelper> {
        self.rare.as_deref()?.helper
    }

    /// This one reads it from now on, or none.
    pub fn set_helper(&mut self, helper: Option<&'static ConntrackHelper>) {
        if helper.is_some() || self.rare.is_some() {
            self.rare_mut().helper = helper;
        }
    }

    /// What the helper remembers of it.
    pub fn helper_data(&self) -> Option<&dyn HelperData> {
        self.rare.as_deref()?.helper_data.as_deref()
    }

    /// The same, to be changed.
    pub fn helper_data_mut(&mut self) -> &mut Option<Box<dyn HelperData>> {
        &mut self.rare_mut().helper_data
    }

    /// For an expected flow: the one whose helper announced it.
    pub fn master(&self) -> Option<&Arc<Flow>> {
        self.rare.as_deref()?.master.as_ref()
    }

    #[cfg(test)]
    pub(crate) fn set_master(&mut self, master: &Arc<Flow>) {
        self.rare_mut().master = Some(Arc::clone(master));
    }

    /// Offsets of sequence numbers each way, where there are some.
    pub fn sequence(&self) -> Option<&[SequenceAdjustment; 2]> {
        self.rare.as_deref()?.sequence.as_deref()
    }

    /// The same, to be changed.
    pub fn sequence_mut(&mut self) -> &mut [SequenceAdjustment; 2] {
        self.rare_mut().sequence.get_or_insert_default()
    }

    /// What listeners have been told.
    pub(in crate::conntrack) fn told(&self) -> Option<&Told> {
        self.rare.as_deref()?.told.as_deref()
    }

    /// Its labels; `None` where it has no room for any.
    pub fn labels(&self) -> Option<Labels> {
        self.rare.as_deref()?.labels
    }

    /// Gives it these labels and no others; false where it has no room for any.
    pub fn set_labels(&mut self, labels: Labels) -> bool {
        let place = self.rare.as_mut().and_then(|rare| rare.labels.as_mut());
        match place {
            Some(place) => {
                *place = labels;
                true
            }
            None => false,
        }
    }

    /// What of it alone is told, where a rule said so.
    pub fn told_only(&self) -> Option<EventMask> {
        self.told()?.only()
    }

    /// The timeouts that it has in the place of the knobs.
    pub fn policy(&self) -> Option<&Arc<TimeoutPolicy>> {
        self.rare.as_deref()?.policy.as_ref()
    }

    /// It goes by the knobs from now on, where it went by this.
    pub(in crate::conntrack) fn forget_policy(&mut self, policy: &Arc<TimeoutPolicy>) {
        if let Some(rare) = &mut self.rare {
            rare.policy.take_if(|own| Arc::ptr_eq(own, policy));
        }
    }

    /// What ends with the flow, as its helper says.
    pub(in crate::conntrack) fn goes_along(&self, flow: &Flow) -> Option<[Tuple; 2]> {
        self.helper_data()?.goes_along(&flow.original(), &flow.reply())
    }
}
