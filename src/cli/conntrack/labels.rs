//! The names of labels, of the file where the real tool looks for them.
//!
//! A flow has a place for labels where a rule asks for some (`-m connlabel`), which no rule here can yet: so none has any, `--label` lets nothing
//! through, and a label that is to be added finds no space. Seen: so it is in a kernel without such a rule.

use crate::lab::files::Files;

pub(super) const FILE: &str = "/etc/xtables/connlabel.conf";

/// Names by their bits.
#[derive(Clone, Debug, Default)]
pub(super) struct Labels(Vec<(u32, String)>);

impl Labels {
    /// The bit that a name means.
    pub(super) fn bit(&self, name: &str) -> Option<u32> {
        let found = self.0.iter().find(|(_, known)| known == name);
        found.map(|(bit, _)| *bit)
    }
}

/// What stands in the file, or why it can't be read.
pub(super) fn read(files: &Files) -> Result<Labels, String> {
    Ok(parse(&files.take(FILE)?))
}

/// A line a label: its bit, white space, its name. Seen: a line with more words names none, nor does one whose bit has a name already.
fn parse(text: &str) -> Labels {
    let mut labels = Labels::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(bit), Some(name), None) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        let Some(bit) = bit.parse().ok().filter(|bit| *bit < BITS) else {
            continue;
        };
        if labels.0.iter().all(|(taken, known)| *taken != bit && known != name) {
            labels.0.push((bit, name.to_owned()));
        }
    }
    labels
}

const BITS: u32 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_labels() {
        let text = "# comment\n0\tzero\n1 one\n 2 two three\n5\tfive-name\n127 last\n128 beyond\n3\n7 seven extra\nx bad\n1 again\n";
        let labels = parse(text);
        for (name, bit) in [
            ("zero", Some(0)),
            ("one", Some(1)),
            ("two", None),
            ("five-name", Some(5)),
            ("last", Some(127)),
            ("again", None),
            ("seven", None),
            ("bad", None),
            ("", None),
        ] {
            assert_eq!(labels.bit(name), bit, "{name}");
        }
    }
}
