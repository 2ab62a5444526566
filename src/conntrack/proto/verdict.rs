//! What a tracker says of a packet: that it belongs, or what is wrong with it and why.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use crate::conntrack::Because;

/// What a tracker made of a packet of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<V, I> {
    /// It belongs, and the flow lives so long from now. `became_assured`: the flow is ASSURED from now on.
    Accept { timeout: Duration, became_assured: bool },
    /// It belongs (NEW or ESTABLISHED by its direction, counts as a reply), but neither deadline nor counters follow.
    Ignore(I),
    /// It is INVALID; the flow stays as it is.
    Invalid(V),
    /// It is INVALID, and the flow seems to be over: where it would live longer than `within` from now, it lives so long.
    InvalidAtTheEnd { reason: V, within: Duration },
    /// It belongs and goes on with the state it would have had, and the flow is gone.
    Destroy,
    /// The flow is gone, and the packet must be tracked from the start, where it opens a new one.
    Again,
}

/// What [`Verdict::Accept`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    pub timeout: Duration,
    pub became_assured: bool,
}

impl<V, I> From<Accepted> for Verdict<V, I> {
    #[inline]
    fn from(accepted: Accepted) -> Self {
        Self::Accept {
            timeout: accepted.timeout,
            became_assured: accepted.became_assured,
        }
    }
}

impl<V, I> Verdict<V, I> {
    #[inline]
    pub(super) fn map<W, J>(self, invalid: impl FnOnce(V) -> W, ignored: impl FnOnce(I) -> J) -> Verdict<W, J> {
        match self {
            Self::Accept {
                timeout,
                became_assured,
            } => Verdict::Accept {
                timeout,
                became_assured,
            },
            Self::Ignore(why) => Verdict::Ignore(ignored(why)),
            Self::Invalid(why) => Verdict::Invalid(invalid(why)),
            Self::InvalidAtTheEnd { reason, within } => Verdict::InvalidAtTheEnd {
                reason: invalid(reason),
                within,
            },
            Self::Destroy => Verdict::Destroy,
            Self::Again => Verdict::Again,
        }
    }
}

/// What is wrong with a packet by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault<V> {
    /// So many bytes of its transport header are there.
    Truncated(usize),
    Checksum,
    /// What only this protocol knows.
    Own(V),
}

impl<V> Fault<V> {
    #[inline]
    pub(super) fn map<W>(self, own: impl FnOnce(V) -> W) -> Fault<W> {
        match self {
            Self::Truncated(have) => Fault::Truncated(have),
            Self::Checksum => Fault::Checksum,
            Self::Own(why) => Fault::Own(own(why)),
        }
    }
}

impl<V> From<V> for Fault<V> {
    fn from(own: V) -> Self {
        Self::Own(own)
    }
}

/// Why a packet is INVALID to its protocol, or does not count for its flow: a sentence.
pub trait Why: Copy + Eq + fmt::Debug + fmt::Display {
    /// A name that stays, for programs.
    fn code(&self) -> &'static str;

    /// What the kernel's log says of it where `nf_conntrack_log_invalid` asks for that, behind the protocol's number; nothing for what it
    /// passes over in silence.
    fn log_line(&self) -> Option<String> {
        None
    }
}

/// Why it is INVALID: also what of the packet's history that comes from.
pub trait WhyInvalid: Why {
    fn because(&self) -> Because;
}

/// A tracker that finds nothing INVALID by itself, or for which each packet counts.
impl Why for Infallible {
    fn code(&self) -> &'static str {
        match *self {}
    }
}

impl WhyInvalid for Infallible {
    fn because(&self) -> Because {
        match *self {}
    }
}
