//! A 32-bit value under a mask, as `-m mark --mark 0x1/0xff` holds it.

use std::fmt;

/// What `VALUE[/MASK]` asks of a mark. Bits of the value outside of the mask make that it never matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MarkMask {
    /// What the bits under the mask are compared with.
    pub value: u32,
    /// A set bit is compared; without a mask all are.
    pub mask: u32,
}

impl MarkMask {
    /// Whether the mark's bits under the mask are the value.
    pub fn matches(&self, mark: u32) -> bool {
        mark & self.mask == self.value
    }
}

/// As the tools print it: a mask of all bits is none.
impl fmt::Display for MarkMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.value)?;
        match self.mask {
            u32::MAX => Ok(()),
            mask => write!(f, "/{mask:#x}"),
        }
    }
}
