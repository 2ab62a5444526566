//! The few man(7) macros that the manual needs.

use std::fmt::Write;

use super::NOTICE;

/// A manual page being written.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// With its header and the NAME section.
    pub(super) fn new(name: &str, section: u8, about: &str) -> Self {
        let mut text = String::new();
        let _ = writeln!(text, ".\\\" {NOTICE}");
        let _ = writeln!(
            text,
            ".TH {} {section} \"\" \"nflab {}\" \"nflab manual\"",
            name.to_uppercase(),
            env!("CARGO_PKG_VERSION")
        );
        let mut page = Self { text };
        page.section("NAME");
        page.paragraph(&format!("{name} - {about}"));
        page
    }

    pub(super) fn section(&mut self, title: &str) {
        let _ = writeln!(self.text, ".SH {}", quoted(title));
    }

    pub(super) fn subsection(&mut self, title: &str) {
        let _ = writeln!(self.text, ".SS {}", quoted(title));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.text, ".PP\n{}", escaped(text));
    }

    /// A term in bold, and below it what it means.
    pub(super) fn term(&mut self, term: &str, meaning: &str) {
        // A long choice of words has no blank: a line may end behind each bar.
        // And the macro would take quotes for its own.
        let term = escaped(term).replace('|', "|\\:").replace('"', "\\(dq");
        let _ = writeln!(self.text, ".TP\n.B {term}\n{}", escaped(meaning));
    }

    /// Lines as they are.
    pub(super) fn literal(&mut self, lines: &str) {
        let _ = writeln!(self.text, ".PP\n.RS 4\n.nf\n{}\n.fi\n.RE", escaped(lines.trim_end()));
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

/// Text that troff takes literally: no escapes, no requests, and dashes that can be copied into a shell.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
        }
        if line.starts_with(['.', '\'']) {
            out.push_str("\\&");
        }
        for c in line.chars() {
            match c {
                '\\' => out.push_str("\\e"),
                '-' => out.push_str("\\-"),
                _ => out.push(c),
            }
        }
    }
    out
}

fn quoted(title: &str) -> String {
    format!("\"{}\"", escaped(title).replace('"', "\\(dq"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_taken_for_a_request() {
        let mut page = Page::new("x", 7, "y");
        page.paragraph(".so /etc/passwd\n'x \\fB --dport");
        let text = page.finish();
        assert!(
            text.ends_with(".PP\n\\&.so /etc/passwd\n\\&'x \\efB \\-\\-dport\n"),
            "{text}"
        );
    }
}
