//! How the demonstration looks: headings, stories, and a colour for what matters. Who prints it takes colours off where there is no terminal.

use std::io::{self, Write};

pub(super) struct Page<'a> {
    out: &'a mut dyn Write,
}

impl<'a> Page<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out }
    }

    pub(super) fn title(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{BOLD}{text}{PLAIN}")
    }

    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "\n{BOLD}── {text} {}{PLAIN}", "─".repeat(rule(text)))
    }

    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())
    }

    pub(super) fn success(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{GREEN}✓{PLAIN} {line}")
    }

    pub(super) fn failure(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{RED}✗ {}{PLAIN}", line.trim_end())
    }

    pub(super) fn note(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "  {BLUE}{line}{PLAIN}")
    }

    /// A packet's way, each line in its colour.
    pub(super) fn story(&mut self, story: &str) -> io::Result<()> {
        writeln!(self.out)?;
        for line in story.lines() {
            let colour = if line.starts_with("dropped") || line.starts_with("rejected") {
                RED
            } else if !line.starts_with(' ') {
                BOLD
            } else if line.contains("becomes") {
                YELLOW
            } else if STATES.iter().any(|state| line.contains(state)) {
                BLUE
            } else {
                ""
            };
            let line = without_long_data(line);
            writeln!(
                self.out,
                "  {colour}{line}{}",
                if colour.is_empty() { "" } else { PLAIN }
            )?;
        }
        Ok(())
    }
}

/// What a ping carries interests nobody whole.
fn without_long_data(line: &str) -> String {
    let Some(at) = line.find(" data 0x").map(|at| at + " data 0x".len()) else {
        return line.to_owned();
    };
    let digits = line[at..].find(' ').unwrap_or(line.len() - at);
    if digits <= SHOWN_DIGITS {
        return line.to_owned();
    }
    let (before, after) = (&line[..at + SHOWN_DIGITS], &line[at + digits..]);
    format!("{before}.. ({} bytes){after}", digits / 2)
}

fn rule(text: &str) -> usize {
    WIDTH.saturating_sub(text.chars().count() + 4)
}

const WIDTH: usize = 100;
const SHOWN_DIGITS: usize = 16;
const STATES: [&str; 4] = [" NEW: ", " ESTABLISHED: ", " RELATED: ", " INVALID: "];
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const BLUE: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_data_is_cut_and_short_data_is_not() {
        let line = "icmp a > b seq 1 data 0x000102030405060708090a0b ttl 64";
        assert_eq!(
            without_long_data(line),
            "icmp a > b seq 1 data 0x0001020304050607.. (12 bytes) ttl 64"
        );
        for line in [
            "tcp a > b data 0x00ff ttl 64",
            "udp a > b data \"x\"",
            "icmp a > b data 0x00",
        ] {
            assert_eq!(without_long_data(line), line);
        }
    }
}
