//! What mark and connmark share: the value that a mark is to have under a mask.

use crate::base::MarkMask;
use crate::ext::listed::{Listed, Options};
use crate::ext::option::{Asked, Given, Opt};

/// As typed: a value with bits outside its mask matches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AskedMark(pub Asked<MarkMask>);

/// Whose mark it asks for, the help says.
pub(super) const fn option(help: &'static str) -> Opt<MarkMask> {
    Opt::mark("mark", help).invertible().required()
}

impl AskedMark {
    pub(super) fn given(given: &Given<'_>, option: Opt<MarkMask>) -> Self {
        Self(given.get(option).unwrap_or_default())
    }

    pub(super) fn fits(self, mark: u32) -> bool {
        self.0.fits(self.0.value.matches(mark))
    }

    /// `--mark 0x1/0xff`, or `! --mark 0x1`.
    pub(super) fn typed(self, option: Opt<MarkMask>) -> String {
        let Asked { value, inverted } = self.0;
        format!("{} {value}", option.spelled(inverted))
    }

    /// The end of a listing: `! 0x1/0xff`, or `0x1`.
    pub(super) fn unlist(it: &mut Listed<'_>, options: &mut Options, option: Opt<MarkMask>) -> Option<()> {
        let inverted = it.word("!").is_some();
        options.push(inverted, option.name(), it.take()?);
        Some(())
    }
}
