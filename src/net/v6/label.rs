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

#[cfg(test)]
mod tests {
    use super::super::testing::net;
    use super::*;
    use crate::base::protocol;

    const HEARD: u32 = 0x1_2345;

    /// Resets, answers to pings, and errors with each set of knobs, as a TUN device of the kernel showed them.
    #[test]
    fn labels_by_knobs() {
        for (automatic, reflects) in (0..=3).flat_map(|automatic| (0..=7).map(move |reflects| (automatic, reflects))) {
            for (what, reflecting) in [
                (Labelled::Reset, &[2, 3, 6, 7][..]),
                (Labelled::EchoReply, &[4, 5, 6, 7]),
                (Labelled::Error, &[]),
            ] {
                let label = |ranges: u32, heard| drawn_by(automatic, reflects, ranges, what, heard);
                let knobs = format!("auto_flowlabels={automatic} flowlabel_reflect={reflects} {what:?}");
                // Who has no label himself hears that of nobody.
                let nobodys = [label(0, 0), label(1, 0)];
                match automatic {
                    1 | 3 => assert!(
                        nobodys[0] != 0 && nobodys[1] == nobodys[0] | 0x8_0000 && nobodys[1] <= 0xf_ffff,
                        "{knobs}: {nobodys:x?}"
                    ),
                    _ => assert_eq!(nobodys, [0; 2], "{knobs}"),
                }
                let expected = match reflecting.contains(&reflects) {
                    true => [HEARD; 2],
                    false => nobodys,
                };
                assert_eq!([label(0, HEARD), label(1, HEARD)], expected, "{knobs}");
            }
        }
    }

    fn drawn_by(automatic: i64, reflects: i64, ranges: u32, what: Labelled, heard: u32) -> u32 {
        let mut net = net();
        for (knob, value) in [
            ("auto_flowlabels", automatic),
            ("flowlabel_state_ranges", 0),
            ("flowlabel_reflect", reflects),
            ("flowlabel_state_ranges", ranges.into()),
        ] {
            net.sysctl_set(&format!("net.ipv6.{knob}"), &value.to_string()).unwrap();
        }
        let ends = ["2001:db8::1", "2001:db8::2"].map(|it| it.parse().unwrap());
        net.label_of_answer(&HostState::new(1), what, heard, ends.into(), (protocol::TCP, 7))
    }

    /// What one flow's answers have in common, and others have not.
    #[test]
    fn a_flow_has_one_label() {
        let net = net();
        let label = |host, from: &str, to: &str, numbers| {
            let ends = [from, to].map(|it| it.parse().unwrap());
            net.label_of_answer(&HostState::new(host), Labelled::Error, 0, ends.into(), numbers)
        };
        let (own, peer) = ("2001:db8::1", "2001:db8::2");
        let one = label(1, own, peer, (protocol::TCP, 7));
        assert_eq!(label(1, own, peer, (protocol::TCP, 7)), one);
        let mut all = vec![
            one,
            label(2, own, peer, (protocol::TCP, 7)),
            label(1, own, peer, (protocol::TCP, 8)),
            label(1, own, peer, (protocol::UDP, 7)),
            label(1, "2001:db8::3", peer, (protocol::TCP, 7)),
            label(1, "2001:db8:1::1", peer, (protocol::TCP, 7)),
            label(1, own, "2001:db8::3", (protocol::TCP, 7)),
            label(1, own, "2001:db8:1::2", (protocol::TCP, 7)),
            label(1, peer, own, (protocol::TCP, 7)),
        ];
        // All twenty bits but the first are drawn.
        assert_eq!(
            all.iter().fold(0, |bits, label| bits | label) | 0x8_0000,
            0xf_ffff,
            "{all:x?}"
        );
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 9);
    }
}
