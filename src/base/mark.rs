//! A 32-bit value under a mask, as `-m mark --mark 0x1/0xff` holds it.

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MarkMask {
    pub value: u32,
    pub mask: u32,
}

impl MarkMask {
    pub fn matches(&self, mark: u32) -> bool {
        mark & self.mask == self.value
    }
}
