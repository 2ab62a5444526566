//! A helper as tracking knows it: where it is attached, and how many flows it may announce for how long. What it reads is the helper room's.

use std::time::Duration;

use super::Tuple;
use crate::base::Family;

/// A helper of one transport protocol.
#[derive(Debug)]
pub struct ConntrackHelper {
    /// As `-j CT --helper` and the listings call it.
    pub name: &'static str,
    /// Those of the flows that it reads.
    pub families: &'static [Family],
    /// The number of the transport protocol whose flows it reads.
    pub protocol: u8,
    /// The ports that `automatic_helper` goes by.
    pub ports: &'static [u16],
    /// What it may announce, by class. Never empty.
    pub policies: &'static [ExpectPolicy],
}

/// How many expectations of one class a flow's helper may have waiting at a time, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectPolicy {
    /// What the class is called where the helper has several; empty where it has one.
    pub name: &'static str,
    /// 0: no bound.
    pub max_expected: u32,
    /// An expectation of this class lives so long if nobody comes.
    pub timeout: Duration,
}

impl ConntrackHelper {
    /// A class that it has no policy for is bounded as its last one.
    pub fn policy(&self, class: usize) -> ExpectPolicy {
        let last = self.policies.last().copied();
        self.policies.get(class).copied().or(last).unwrap_or(ExpectPolicy {
            name: "",
            max_expected: 0,
            timeout: Duration::ZERO,
        })
    }

    /// Whether it reads flows like this one, whatever their ports.
    pub fn reads(&self, tuple: &Tuple) -> bool {
        self.protocol == tuple.protocol && self.families.contains(&tuple.family())
    }
}
