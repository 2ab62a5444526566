//! Flow labels of the host's own packets: drawn by what they belong to, or those of the packet that is answered.

use std::net::Ipv6Addr;

use super::Knob;
use crate::base::Random;
use crate::net::{HostState, Net};

/// What the host sends of itself. Numbers are bits of `flowlabel_reflect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labelled {
    Reset = 2,
    EchoReply = 4,
    /// An error has never the label of what it is about.
    Error = 0,
}

const MOST: u32 = 0xf_ffff;
/// Of labels that nobody asked for.
const STATELESS: u32 = 0x8_0000;

impl Net {
    /// The label of an answer between these ends, of a transport with these numbers (ports, or type and code), to a packet with that label.
    pub(super) fn label_of_answer(
        &self,
        host: &HostState,
        what: Labelled,
        heard: u32,
        (from, to): (Ipv6Addr, Ipv6Addr),
        (protocol, numbers): (u8, u32),
    ) -> u32 {
        /// `auto_flowlabels` labels what nobody labels.
        const AUTOMATIC: [i64; 2] = [1, 3];
        let reflects = self.knob_ipv6(Knob::FlowLabelReflect) & what as i64 != 0;
        if reflects && heard != 0 {
            return heard;
        }
        if !AUTOMATIC.contains(&self.knob_ipv6(Knob::AutoFlowLabels)) {
            return 0;
        }
        let words = [from.to_bits() >> 64, from.to_bits(), to.to_bits() >> 64, to.to_bits()];
        let numbers = u64::from(protocol) << 32 | u64::from(numbers);
        let drawn = words.iter().fold(host.labels ^ numbers, |key, word| {
            Random::new(key ^ *word as u64).next_u64()
        });
        let stateless = if self.knob_ipv6(Knob::FlowLabelStateRanges) == 0 {
            0
        } else {
            STATELESS
        };
        drawn as u32 & MOST | stateless
    }
}
