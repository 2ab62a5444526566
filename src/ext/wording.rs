//! Small pieces of text that many extensions print.

use std::fmt;

use super::names;
use crate::base::PortRange;

/// `! ` or nothing.
pub(super) fn not(inverted: bool) -> &'static str {
    if inverted { "! " } else { "" }
}

/// The first of the names that begins with the word, in any case: a word may be cut short, but not to nothing.
pub(super) fn begun<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<usize> {
    let fits = |name: &str| {
        name.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    names.into_iter().position(|name| !word.is_empty() && fits(name))
}

/// With commas between them.
pub(super) fn write_words<'n>(f: &mut fmt::Formatter<'_>, words: impl IntoIterator<Item = &'n str>) -> fmt::Result {
    for (at, word) in words.into_iter().enumerate() {
        if at > 0 {
            f.write_str(",")?;
        }
        f.write_str(word)?;
    }
    Ok(())
}

/// A text as `iptables-save` prints it: bare where it holds only letters, digits, `_` and `-`, else in quotes with `"`, `\` and `'` escaped.
pub(crate) fn quoted(text: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if !text.is_empty() && text.bytes().all(bare) {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for next in text.chars() {
        if matches!(next, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(next);
    }
    out.push('"');
    out
}

/// The ends of a range: `80` or `80:90`.
pub(super) struct Ends<T>(pub T, pub T);

impl<T: fmt::Display + PartialEq> fmt::Display for Ends<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(low, high) = self;
        if low == high {
            write!(f, "{low}")
        } else {
            write!(f, "{low}:{high}")
        }
    }
}

pub(super) struct Ports(pub PortRange);

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ends(self.0.low, self.0.high).fmt(f)
    }
}

/// A port by name where names are wanted and it has one in this protocol.
pub(super) struct Port {
    pub port: u16,
    pub protocol: u8,
    pub numeric: bool,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match names::port_name(self.port, self.protocol) {
            Some(name) if !self.numeric => f.write_str(name),
            _ => write!(f, "{}", self.port),
        }
    }
}
