//! Trackers: what each protocol makes of a packet of a flow.

pub mod gre;
pub mod sctp;
pub mod tcp;

/// What a tracker remembers of a flow.
#[derive(Clone, Debug)]
pub enum ProtocolState {
    Generic,
}
