//! Flows and expectations as text: `/proc/net/nf_conntrack`, `/proc/net/ip_conntrack`, `conntrack -L`, `conntrack -L expect`.
//!
//! The kernel lists flows in the order of its hash table, which nobody can foresee; here they come in the order of their creation.

use super::{Expectation, Flow};
use crate::base::Time;

/// Which of the forms of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowForm {
    /// `/proc/net/nf_conntrack`.
    Proc,
    /// `/proc/net/ip_conntrack` of old kernels.
    OldProc,
    /// `conntrack -L`.
    Tool,
    /// `conntrack -L -o extended`.
    ToolExtended,
}

/// One line without its end; `None` for a flow that died meanwhile.
pub fn flow(_flow: &Flow, _form: FlowForm, _now: Time) -> Option<String> {
    None
}

/// Which of the forms of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectationForm {
    /// `/proc/net/nf_conntrack_expect`.
    Proc,
    /// `conntrack -L expect`.
    Tool,
}

pub fn expectation(_expectation: &Expectation, _form: ExpectationForm, _now: Time) -> String {
    String::new()
}
