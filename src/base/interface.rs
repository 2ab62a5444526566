//! Interface names as the kernel holds them (15 bytes and a NUL), their numbers, and `-i eth+` masks.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use super::bytes::{byte_behind, bytes_of, length_of, text_of};

/// An index into the lab's list of interfaces. 0 is always `lo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceId(pub u16);

impl InterfaceId {
    /// `lo`, which every lab has.
    pub const LOOPBACK: Self = Self(0);
}

/// A name of at most 15 bytes, zero padded. The empty name stands for "no interface", as in the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct InterfaceName([u8; 16]);

impl InterfaceName {
    /// `None` for a name of more than 15 bytes, and for bytes that are not UTF-8: a lab has no interfaces of such names (a rule may ask for one).
    pub fn new(name: &str) -> Option<Self> {
        let made = padded(name)?;
        std::str::from_utf8(&made).is_ok().then_some(Self(made))
    }

    /// Without the padding.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|&b| b == 0).unwrap_or(16);
        // Looked at when it was made, and cut only at its own end.
        std::str::from_utf8(&self.0[..length]).unwrap_or("?")
    }

    /// True for "no interface".
    pub fn is_empty(&self) -> bool {
        self.0[0] == 0
    }

    /// All of it, for who compares with [`InterfaceMask::as_numbers`].
    #[inline]
    pub(crate) fn as_number(&self) -> u128 {
        u128::from_le_bytes(self.0)
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What `-i` and `-o` hold: a whole name, a prefix (`eth+`), or anything (empty).
///
/// A whole name compares with its NUL, so `eth` does not match `eth0`; `+` alone matches every packet, also one without an interface.
#[derive(Clone, Copy, Debug, Default)]
pub struct InterfaceMask {
    name: [u8; 16],
    /// How many bytes of the name are compared; a whole name counts its NUL.
    compared: u8,
}

impl InterfaceMask {
    /// From the text of `-i`, at most 15 bytes; `None` when it is longer.
    pub fn new(text: &str) -> Option<Self> {
        let name = padded(text)?;
        let compared = match length_of(text) {
            length if text.ends_with('+') => length - 1,
            0 => 0,
            length => length + 1,
        };
        Some(Self {
            name,
            compared: compared as u8,
        })
    }

    /// The text it was made from, with its `+`.
    pub fn text(&self) -> Cow<'_, str> {
        let length = self.name.iter().position(|&byte| byte == 0).unwrap_or(16);
        match std::str::from_utf8(&self.name[..length]) {
            Ok(text) if !text.chars().any(|letter| byte_behind(letter).is_some()) => Cow::Borrowed(text),
            _ => Cow::Owned(text_of(&self.name[..length])),
        }
    }

    /// True when no interface was named.
    pub fn is_any(&self) -> bool {
        self.name[0] == 0
    }

    fn significant(&self) -> &[u8] {
        &self.name[..usize::from(self.compared)]
    }

    /// What a name that it matches is under a mask, and the mask. A whole name is compared to its end: what stands behind is always zero.
    pub(crate) fn as_numbers(&self) -> (u128, u128) {
        let mask = match self.significant().contains(&0) {
            true => u128::MAX,
            false => u128::MAX.checked_shr(128 - 8 * u32::from(self.compared)).unwrap_or(0),
        };
        (u128::from_le_bytes(self.name) & mask, mask)
    }

    /// Whether a packet of that interface is meant. One without an interface has the empty name, which only an empty mask and `+` take.
    #[inline]
    pub fn matches(&self, interface: &InterfaceName) -> bool {
        // All bytes at once: a comparison of so many would be a call.
        let compared = u128::MAX.checked_shr(128 - 8 * u32::from(self.compared)).unwrap_or(0);
        (u128::from_le_bytes(self.name) ^ u128::from_le_bytes(interface.0)) & compared == 0
    }
}

fn padded(text: &str) -> Option<[u8; 16]> {
    let bytes = bytes_of(text);
    let mut padded = [0; 16];
    if bytes.len() > 15 {
        return None;
    }
    padded[..bytes.len()].copy_from_slice(&bytes);
    Some(padded)
}

/// Equal is what compares the same bytes: `-i +` is the same as no `-i`, which is what `iptables -C` finds too.
impl PartialEq for InterfaceMask {
    fn eq(&self, other: &Self) -> bool {
        self.significant() == other.significant()
    }
}

impl Eq for InterfaceMask {}

impl Hash for InterfaceMask {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.significant().hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_prefixes_and_nothing() {
        for (mask, name, expected) in [
            ("eth0", "eth0", true),
            ("eth", "eth0", false),
            ("eth0", "eth", false),
            ("eth+", "eth0", true),
            ("eth+", "eth", true),
            ("eth+", "et", false),
            ("+", "", true),
            ("+", "lo", true),
            ("", "lo", true),
            ("lo", "", false),
            ("\u{10FFC3}+", "é", true),
            ("\u{10FFC3}", "é", false),
        ] {
            let made = InterfaceMask::new(mask).unwrap();
            let name_made = InterfaceName::new(name).unwrap();
            assert_eq!(made.matches(&name_made), expected, "{mask:?} against {name:?}");
        }
        assert!(InterfaceName::new("abcdefghijklmno").is_some());
        assert!(InterfaceName::new("abcdefghijklmnop").is_none());
        let odd = "0123456789abcd\u{10FFFF}";
        assert_eq!(InterfaceMask::new(odd).unwrap().text(), odd, "fifteen bytes");
        assert!(InterfaceMask::new(&format!("{odd}0")).is_none());
        assert!(InterfaceName::new(odd).is_none(), "a lab has none of such a name");
    }
}
