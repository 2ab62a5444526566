//! Whatever is said to a helper: nothing panics, no more is expected than its policies allow, for nobody but the ends of the flow (unless the helper believes
//! what it is told of others), and a payload hardly grows.
//!
//! The samples of all helpers are changed and cut at random, and said with and without a router that masquerades between. By hand for as long as one likes:
//!
//!     NFLAB_HELPER_MUTATIONS=10000000 cargo test --release --lib helper::mutations -- --nocapture

use std::collections::BTreeMap;

use super::samples::{Conversation, hosts, in_families};
use super::{HeardWhat, Helper, registry};
use crate::base::{Family, Random};

/// Payloads for each helper, half of them under NAT.
const PAYLOADS: u64 = 600;
/// After so many the conversation begins anew.
const OF_ONE: u64 = 40;

#[test]
fn whatever_is_said_opens_no_more_than_it_may() {
    let asked = std::env::var("NFLAB_HELPER_MUTATIONS").ok();
    let payloads = asked.map_or(PAYLOADS, |it| it.parse().unwrap());
    for helper in registry().iter().flat_map(|spec| spec.helpers) {
        let announced = Trial::new(helper).run(payloads);
        println!(
            "{}: {payloads} payloads, {announced} announced a flow or were written over",
            helper.conntrack.name
        );
        // Else nothing that is held here was tried.
        assert!(
            announced * 50 > payloads,
            "{}: {announced} of {payloads}",
            helper.conntrack.name
        );
    }
}

struct Trial {
    helper: &'static Helper,
    random: Random,
    announced: u64,
}

impl Trial {
    fn new(helper: &'static Helper) -> Self {
        Self {
            helper,
            random: Random::named(7, helper.conntrack.name, u64::from(helper.conntrack.protocol)),
            announced: 0,
        }
    }

    fn run(mut self, payloads: u64) -> u64 {
        let mut said = 0;
        while said < payloads {
            let sample = &self.helper.samples[self.below(self.helper.samples.len())];
            let (_, before) = sample.said.split_last().unwrap();
            let families: Vec<Family> = in_families(self.helper, sample).map(|(_, family)| family).collect();
            let family = families[self.below(families.len())];
            let mut conversation = Conversation::of(self.helper, said / OF_ONE % 2 == 1, family);
            // Several changes of length at once shift numbers otherwise than the other end has seen them, as in the kernel.
            conversation
                .bench
                .settings
                .set("nf_conntrack_tcp_be_liberal", "1")
                .unwrap();
            conversation.begin(before);
            for _ in 0..OF_ONE.min(payloads - said) {
                said += 1;
                let (before, payload) = self.mutated();
                // Where a protocol asks before it announces, an answer alone is about nothing.
                if self.random.one_in(2) {
                    for line in before {
                        // What comes of these the samples hold.
                        let _ = conversation.say(line);
                    }
                }
                self.say(&mut conversation, &payload);
            }
        }
        self.announced
    }

    /// In one piece, or in several.
    fn say(&mut self, conversation: &mut Conversation, payload: &[u8]) {
        let (whose, mut rest) = payload.split_at(2);
        let mut pieces = 1 + self.below(4) * usize::from(self.random.one_in(3));
        while pieces > 0 {
            pieces -= 1;
            let length = match pieces {
                0 => rest.len(),
                _ => self.below(rest.len() + 1),
            };
            let (piece, after) = rest.split_at(length);
            rest = after;
            let line = [whose, piece].concat();
            let (heard, left) = conversation.say(&line);
            let announced = matches!(heard, Ok(HeardWhat::Announced(_) | HeardWhat::Wrote(1..)));
            self.hold(conversation, announced, &line);
            assert!(left.len() <= piece.len() + MOST_GROWTH, "{}", line.escape_ascii());
        }
    }

    /// What is expected now, against the helper's policies and the flow's ends.
    fn hold(&mut self, conversation: &Conversation, announced: bool, line: &[u8]) {
        self.announced += u64::from(announced);
        let helper = &self.helper.conntrack;
        let ends = hosts(conversation.family);
        let any = conversation.family.unspecified();
        let now = conversation.bench.now;
        let mut of_class = BTreeMap::<(u64, usize), u32>::new();
        for expected in conversation.bench.table.expectations(now) {
            let told = || format!("{}: {}: {expected:?}", helper.name, line.escape_ascii());
            *of_class.entry((expected.master.serial(), expected.class)).or_default() += 1;
            assert!(expected.class < helper.policies.len(), "{}", told());
            let is_told = self.helper.lasts_as_told && expected.permanent && !expected.inactive;
            assert!(
                is_told || expected.deadline <= now + helper.policy(expected.class).timeout,
                "{}",
                told()
            );
            let (source, destination) = (expected.tuple.source, expected.tuple.destination);
            assert!(ends.contains(&source.address) || source.address == any, "{}", told());
            if !self.helper.believes {
                assert!(ends.contains(&destination.address), "{}", told());
            }
        }
        for ((_, class), count) in of_class {
            let most = helper.policy(class).max_expected;
            assert!(most == 0 || count <= most, "{}: {count} of class {class}", helper.name);
        }
    }

    /// A payload of a sample with a few changes, behind what is said before it there; the first two bytes say whose it is.
    fn mutated(&mut self) -> (&'static [&'static [u8]], Vec<u8>) {
        let (before, sampled) = self.sampled();
        let mut payload = sampled.to_vec();
        for _ in 0..self.below(6) {
            self.change(&mut payload);
        }
        payload.truncate(MOST_BYTES);
        // What is said next is to begin a line, too.
        if !self.random.one_in(3) {
            payload.extend_from_slice(b"\r\n");
        }
        (before, payload)
    }

    fn sampled(&mut self) -> (&'static [&'static [u8]], &'static [u8]) {
        let sample = &self.helper.samples[self.below(self.helper.samples.len())];
        // The last is what it is about.
        let last = sample.said.len() - 1;
        let at = if self.random.one_in(2) {
            last
        } else {
            self.below(last + 1)
        };
        (&sample.said[..at], sample.said[at])
    }

    fn change(&mut self, payload: &mut Vec<u8>) {
        let at = 2 + self.below(payload.len() - 1);
        let end = at + self.below(payload.len() - at + 1);
        match self.below(10) {
            0 => payload.truncate(at),
            1 => drop(payload.drain(at..end)),
            2 => payload.extend_from_within(at..end),
            3 => {
                let other = &self.sampled().1[2..];
                payload.splice(at..end, other.iter().copied());
            }
            4 => {
                let count = self.below(300);
                let byte = self.byte();
                payload.splice(at..at, std::iter::repeat_n(byte, count));
            }
            5 => {
                let number = self.number();
                let digits = payload[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                payload.splice(at..at + digits, number.into_bytes());
            }
            6 => {
                let number = self.random.next_u32().to_be_bytes();
                let length = self.below(5);
                payload.splice(at..end.min(at + length), number[..length.min(4)].iter().copied());
            }
            _ => {
                let byte = self.byte();
                match payload.get_mut(at) {
                    Some(changed) => *changed = byte,
                    None => payload.push(byte),
                }
            }
        }
    }

    fn byte(&mut self) -> u8 {
        match self.random.one_in(2) {
            true => self.random.next_u32() as u8,
            false => self.random.pick(b"0123456789 ,.|:;()\r\n\0\x01\x7f\xff"),
        }
    }

    fn number(&mut self) -> String {
        match self.below(6) {
            0 => self.random.next_u16().to_string(),
            1 => self.random.next_u32().to_string(),
            2 => "0".repeat(self.below(300)),
            3 => "9".repeat(self.below(300)),
            4 => u64::MAX.to_string(),
            _ => "65536".to_owned(),
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random.below(bound as u32) as usize
    }
}

/// What a payload may grow by: some addresses and ports.
const MOST_GROWTH: usize = 128;
const MOST_BYTES: usize = 1400;
