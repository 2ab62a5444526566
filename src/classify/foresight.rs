//! What a packet that is still to come will find in a tree: of several packets at once, so that their looks into memory are waited for together, as
//! who classifies in batches does.
//!
//! It is a guess by the packet's bytes as they came in. Who comes to the chain as another packet (rewritten, of another state or by another interface
//! than the one before) is looked up by himself.

use super::ChainIndex;
use super::asked::{Sight, Window};
use super::candidates::Candidate;
use super::cuts::Leaf;
use super::key::TCP_FLAGS;
use crate::base::Family;

/// Of one packet, in one index.
#[derive(Clone, Copy, Debug)]
pub struct Foresight {
    pub(super) sight: Sight,
    pub(super) leaf: Leaf,
    pub(super) first: Candidate,
}

impl Foresight {
    /// The first rule that the packet may match; its place is behind all where there is none.
    #[inline]
    pub fn first(&self) -> Candidate {
        self.first
    }
}

impl ChainIndex {
    /// Of packets of the index's family, as they came in. `like` is what packets were lately that came to this index
    /// ([`Key::manner`](super::Key::manner)). None where a packet is none that is plain, and of an index without a tree.
    pub fn foresee<'p>(
        &self,
        packets: impl Iterator<Item = &'p [u8]>,
        like: u64,
        into: &mut [Option<Foresight>],
    ) -> usize {
        let Some(tree) = &self.tree else {
            return 0;
        };
        let mut count = 0;
        for (place, bytes) in into.iter_mut().zip(packets) {
            count += 1;
            let sight = match self.family {
                Family::V4 => Sight::of_ipv4(bytes, like),
                Family::V6 => Sight::of_ipv6(bytes, self.window, like),
            };
            *place = sight.map(|sight| Foresight {
                leaf: tree.leaf(&sight),
                first: Candidate::NONE,
                sight,
            });
        }
        for one in into[..count].iter_mut().flatten() {
            one.first = tree.next(&mut one.leaf, &one.sight, 0).unwrap_or(Candidate::NONE);
        }
        count
    }
}

impl Sight {
    /// Of a whole packet without options, if it is one; if it is not sane either, nobody will ask.
    #[inline]
    fn of_ipv4(bytes: &[u8], like: u64) -> Option<Self> {
        const HEADER: usize = 20;
        let (header, transport) = bytes.split_first_chunk::<HEADER>()?;
        let addresses = header.last_chunk::<8>()?;
        let is_plain = header[0] == 0x45 && u16::from_be_bytes([header[6], header[7]]) & 0x3fff == 0;
        is_plain.then(|| Self::seen(u64::from_be_bytes(*addresses), header[9], transport, like))?
    }

    /// The same of IPv6. What an extension header is taken for is no port that anybody finds.
    #[inline(never)]
    fn of_ipv6(bytes: &[u8], window: Window, like: u64) -> Option<Self> {
        const HEADER: usize = 40;
        let (header, transport) = bytes.split_first_chunk::<HEADER>()?;
        let (words, _) = header.last_chunk::<32>()?.as_chunks::<8>();
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| u64::from_be_bytes(words[at]));
        (header[0] >> 4 == 6).then(|| Self::seen(window.of_ipv6([a, b], [c, d]), header[6], transport, like))?
    }

    #[inline(always)]
    fn seen(addresses: u64, protocol: u8, transport: &[u8], like: u64) -> Option<Self> {
        let ports = transport.first_chunk::<4>()?;
        let flags = transport.get(TCP_FLAGS).copied().unwrap_or(0);
        Some(Self {
            words: [
                addresses,
                like & !Self::BY_HEADERS | u64::from(protocol) << 24 | u64::from(flags) << 16,
                u32::from_be_bytes(*ports).into(),
                0,
            ],
        })
    }
}
