//! Protocols that are no more than a number: whatever passes between two hosts with it is one flow.

use std::convert::Infallible;
use std::time::Duration;

use super::key::Key;
use super::samples::flow;
use super::{ChecksumCheck, Fault, Known, Tracker, TrackerSpec, Verdict};
use crate::base::{Time, protocol};
use crate::conntrack::policy::PolicyState;
use crate::conntrack::settings::{Knob, knob};
use crate::conntrack::{Direction, TrackContext, Tuple};
use crate::packet::Packet;

pub(crate) const SPEC: TrackerSpec = TrackerSpec {
    name: "unknown",
    protocol: protocol::RAW,
    family: None,
    is_the_kernels: true,
    key: Key::Nothing,
    checked_first: false,
    joins: true,
    checksum_logged: "bad checksum",
    takes_over: false,
    knobs: &[knob("nf_conntrack_generic_timeout", |all| {
        Knob::Seconds(&mut all.protocols.generic.timeout)
    })],
    policy: &[PolicyState::new("TIMEOUT", |all| &mut all.protocols.generic.timeout)],
    options: &[],
    samples: &[flow(&[], "", "", "")],
};

pub(crate) type State = Generic;

/// Nothing is remembered of such a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generic;

/// `net.netfilter.nf_conntrack_generic_timeout`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(600),
        }
    }
}

impl Tracker for Generic {
    type Seen<'p> = ();
    type Invalid = Infallible;
    type Ignored = Infallible;

    #[inline]
    fn check(_packet: &Packet, _checksum: &mut ChecksumCheck) -> Result<(), Fault<Infallible>> {
        Ok(())
    }

    fn made(_settings: &crate::conntrack::Settings, _now: Time) -> Option<Self> {
        Some(Self)
    }

    #[inline]
    fn open(cx: &TrackContext<'_>, (): &(), _tuple: &Tuple) -> Result<(Self, Duration), Infallible> {
        Ok((Self, cx.settings.protocols.generic.timeout))
    }

    #[inline]
    fn packet(
        &mut self,
        cx: &TrackContext<'_>,
        _known: &Known<'_>,
        _direction: Direction,
        (): &(),
    ) -> Verdict<Infallible, Infallible> {
        Verdict::Accept {
            timeout: cx.settings.protocols.generic.timeout,
            became_assured: false,
        }
    }
}
