//! Labels of a flow: 128 bits, which rules set and ask for (`-m connlabel`) and `conntrack` shows by their names.
//!
//! Seen on Linux 6.18: a flow has room for labels where some rule asked for any when it began, for good; a flow without has none, and none can be set.

use std::collections::BTreeMap;

/// Bits.
pub type Labels = u128;

/// How many bits there are.
pub(crate) const BITS: u32 = Labels::BITS;

/// The file where the tools look for names.
pub(crate) const FILE: &str = "/etc/xtables/connlabel.conf";

/// Names and their bits, as that file has them: however many lines it has, each is looked up once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelNames {
    names: BTreeMap<u32, String>,
    bits: BTreeMap<String, u32>,
}

impl LabelNames {
    /// A line a label: its bit, in any notation of C, white space, its name. Seen: a name consists of letters, digits, `-` and spaces; a line that is
    /// anything else says nothing, nor does one whose bit or name was there before. A bit may be higher than any flow has.
    pub fn parse(text: &str) -> Self {
        let mut labels = Self::default();
        for line in text.lines() {
            let Some((bit, name)) = bit_and_name(line) else {
                continue;
            };
            if !labels.names.contains_key(&bit) && !labels.bits.contains_key(name) {
                labels.names.insert(bit, name.to_owned());
                labels.bits.insert(name.to_owned(), bit);
            }
        }
        labels
    }

    /// No line says anything.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The bit that a name means.
    pub fn bit(&self, name: &str) -> Option<u32> {
        self.bits.get(name).copied()
    }

    /// The name of a bit.
    pub fn name(&self, bit: u32) -> Option<&str> {
        self.names.get(&bit).map(String::as_str)
    }

    /// The names of those of the labels that have one, from the lowest bit.
    pub fn of(&self, labels: Labels) -> impl Iterator<Item = &str> {
        let set = (0..BITS).filter(move |bit| labels >> bit & 1 == 1);
        set.filter_map(|bit| self.name(bit))
    }
}

fn bit_and_name(line: &str) -> Option<(u32, &str)> {
    let line = line.trim_ascii();
    let unsigned = line.strip_prefix('+').unwrap_or(line);
    let (digits, radix) = match unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if unsigned.starts_with('0') => (unsigned, 8),
        None => (unsigned, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let bit = u32::from_str_radix(&digits[..end], radix).ok()?;
    let name = digits[end..].trim_ascii();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ' ');
    (!name.is_empty() && name.chars().all(fits)).then_some((bit, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What iptables and conntrack take these lines for.
    #[test]
    fn a_file_of_labels() {
        let text = "# comment\n\n0\tzero\n 1 one\n2 two three \n5\t\tfive-name\n127 last\n128 beyond\n3\n7 a\tb\nx bad\n1 again\n\
                    0x0c twelve\n010 eight\n+13 thirteen\n-14 x\n15x fifteen\n16 name # comment\n17 a_b\n18 one\n19 carriage\r\n\
                    #20 x\n4294967317 wide\n29 30\n33 a  b\n09 octal\n";
        let labels = LabelNames::parse(text);
        let named: Vec<(u32, &str)> = labels.names.iter().map(|(bit, name)| (*bit, name.as_str())).collect();
        assert_eq!(
            named,
            [
                (0, "zero"),
                (1, "one"),
                (2, "two three"),
                (5, "five-name"),
                (8, "eight"),
                (12, "twelve"),
                (13, "thirteen"),
                (15, "x fifteen"),
                (19, "carriage"),
                (29, "30"),
                (33, "a  b"),
                (127, "last"),
                (128, "beyond"),
            ]
        );
        assert_eq!(
            (labels.bit("two three"), labels.bit("two"), labels.bit("")),
            (Some(2), None, None)
        );
        assert_eq!((labels.name(127), labels.name(3)), (Some("last"), None));
        assert!(labels.of(1 << 5 | 1 << 3 | 1).eq(["zero", "five-name"]));
        assert!(LabelNames::parse("garbage\n").is_empty());
    }

    /// Were each line held against all that stand before it, this would take minutes.
    #[test]
    fn a_file_of_many_lines() {
        let lines = (0..200_000).map(|bit| format!("{bit} label-{bit}\n{bit} again\n"));
        let labels = LabelNames::parse(&lines.collect::<String>());
        assert_eq!(labels.bits.len(), 200_000);
        assert_eq!(labels.bit("label-199999"), Some(199_999));
        assert_eq!((labels.name(0), labels.bit("again")), (Some("label-0"), None));
    }
}
