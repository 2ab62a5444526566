//! What MARK and CONNMARK share: bits to be cleared in a mark and bits to be flipped, in the five ways to type them and the five to list them.

use std::fmt::Write;

use crate::base::MarkMask;
use crate::ext::listed::{Listed, Options};
use crate::ext::option::{Given, Opt};

pub(super) const SET_XMARK: Opt<MarkMask> =
    Opt::mark("set-xmark", "clear the bits of the mask, then exclusive-or the value");
pub(super) const SET_MARK: Opt<MarkMask> =
    Opt::mark("set-mark", "clear the bits of the mask, then set those of the value");
pub(super) const AND: Opt<u64> = Opt::bits("and-mark", "keep these bits only");
pub(super) const OR: Opt<u64> = Opt::bits("or-mark", "set these bits");
pub(super) const XOR: Opt<u64> = Opt::bits("xor-mark", "flip these bits");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MarkBits {
    pub clear: u32,
    pub exclusive_or: u32,
}

impl MarkBits {
    /// What the one of the five options says that is given.
    pub(super) fn given(given: &Given<'_>) -> Option<Self> {
        let bits = |option| given.value(option).map(|bits| bits as u32);
        let (clear, exclusive_or) = match () {
            () if let Some(mark) = given.value(SET_XMARK) => (mark.mask, mark.value),
            () if let Some(mark) = given.value(SET_MARK) => (mark.mask | mark.value, mark.value),
            () if let Some(bits) = bits(AND) => (!bits, 0),
            () if let Some(bits) = bits(OR) => (bits, bits),
            () => (0, bits(XOR)?),
        };
        Some(Self { clear, exclusive_or })
    }

    pub(super) fn apply(self, mark: u32) -> u32 {
        (mark & !self.clear) ^ self.exclusive_or
    }

    pub(super) fn save(self, out: &mut String) {
        let Self { clear, exclusive_or } = self;
        let _ = write!(out, " {} {exclusive_or:#x}/{clear:#x}", SET_XMARK.spelled(false));
    }

    /// ` and 0xff`, in the shortest words there are.
    pub(super) fn list(self, out: &mut String) {
        let (value, mask) = (self.exclusive_or, self.clear);
        let _ = match () {
            () if value == 0 => write!(out, " and {:#x}", !mask),
            () if value == mask => write!(out, " or {value:#x}"),
            () if mask == 0 => write!(out, " xor {value:#x}"),
            () if mask == u32::MAX => write!(out, " set {value:#x}"),
            () => write!(out, " xset {value:#x}/{mask:#x}"),
        };
    }

    /// The inverse of [`MarkBits::list`].
    pub(super) fn unlist(it: &mut Listed<'_>, options: &mut Options) -> Option<()> {
        let option = match it.take()? {
            "and" => AND.name(),
            "or" => OR.name(),
            "xor" => XOR.name(),
            "set" | "xset" => SET_XMARK.name(),
            _ => return None,
        };
        options.push(false, option, it.take()?);
        Some(())
    }
}
