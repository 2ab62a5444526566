//! Where a tool's standard output goes: through `grep`, then into a file. A shell would see to it; here the lab's own language does.

use std::io;
use std::path::{Component, Path, PathBuf};

use crate::base::bytes::{bytes_of, os_of};
use crate::lab::files::{Opener, said_by_system};
use crate::lab::machine::ToolOutput;

/// What is done with what a tool prints; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// `| grep WORD`, in order.
    pub greps: Vec<Grep>,
    /// `> FILE`, `>> FILE`.
    pub file: Option<File>,
}

/// A file that gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// As written.
    pub name: String,
    /// What is in it stays, and this comes behind it.
    pub appends: bool,
}

/// Lines that have a word, or those that have it not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grep {
    pattern: Vec<Piece>,
    at_start: bool,
    at_end: bool,
    ignores_case: bool,
    inverted: bool,
    counts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Letter(char),
    Any,
}

impl Output {
    /// It is printed as it comes.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Takes what was printed to where it goes. The exit code is the last program's, but a tool that failed stays failed.
    pub fn take(&self, opener: &dyn Opener, directory: &Path, output: &mut ToolOutput) -> Result<(), String> {
        for grep in &self.greps {
            let (text, found) = grep.lines(&output.stdout);
            output.stdout = text;
            if !found && output.code == 0 {
                output.code = 1;
                output.advice = format!("{}grep: no line has it\n", output.advice);
            }
        }
        let Some(file) = &self.file else {
            return Ok(());
        };
        let text = std::mem::take(&mut output.stdout);
        if file.name == "/dev/null" {
            return Ok(());
        }
        let path = directory.join(os_of(&file.name));
        if is_of_the_kernel(&path) {
            return Err(format!(
                "cannot write {}: that is a file of this machine's kernel, and a lab writes to its own: `echo VALUE > FILE`, or `sysctl`",
                file.name
            ));
        }
        let refused = |error: io::Error| format!("cannot write {}: {}", file.name, said_by_system(&error));
        let before = match file.appends {
            false => String::new(),
            true => match opener.read(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
                Err(error) => return Err(refused(error)),
            },
        };
        let begun = opener.create(&path).map_err(refused)?;
        begun.finish(&bytes_of(&(before + &text))).map_err(refused)
    }
}

/// Whether a name leads below `/proc` or `/sys`, as far as its letters tell.
fn is_of_the_kernel(path: &Path) -> bool {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain.starts_with("/proc") || plain.starts_with("/sys")
}

impl Grep {
    /// From its arguments; the error is what was expected.
    pub fn parse(args: &[&str]) -> Result<Self, String> {
        let mut grep = Self {
            pattern: Vec::new(),
            at_start: false,
            at_end: false,
            ignores_case: false,
            inverted: false,
            counts: false,
        };
        let (mut is_fixed, mut pattern, mut ended) = (false, None, false);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match *arg {
                "--" if !ended => ended = true,
                "-e" if !ended => pattern = args.next().copied().or(pattern),
                letters if !ended && letters.len() > 1 && letters.starts_with('-') => {
                    for letter in letters[1..].chars() {
                        match letter {
                            'i' => grep.ignores_case = true,
                            'v' => grep.inverted = true,
                            'c' => grep.counts = true,
                            'F' => is_fixed = true,
                            _ => {
                                return Err(format!(
                                    "of grep's options a lab has -i, -v, -c, -F and -e, not -{letter}"
                                ));
                            }
                        }
                    }
                }
                word if pattern.is_none() => pattern = Some(word),
                word => {
                    return Err(format!(
                        "grep reads what the tool prints, and no file: `{word}` is one word too many"
                    ));
                }
            }
        }
        let mut text = pattern.ok_or("a word that lines have: `| grep ESTABLISHED`")?;
        if !is_fixed {
            if let Some(rest) = text.strip_prefix('^') {
                (grep.at_start, text) = (true, rest);
            }
            if let Some(rest) = text.strip_suffix('$') {
                (grep.at_end, text) = (true, rest);
            }
            if let Some(special) = text.chars().find(|letter| r"*[]\".contains(*letter)) {
                return Err(format!(
                    "of regular expressions a lab's grep knows ^, $ and `.`, not `{special}`: -F takes it as it is"
                ));
            }
        }
        grep.pattern = text
            .chars()
            .map(|letter| match letter {
                '.' if !is_fixed => Piece::Any,
                letter => Piece::Letter(letter),
            })
            .collect();
        Ok(grep)
    }

    /// What is printed, and whether any line was selected.
    fn lines(&self, text: &str) -> (String, bool) {
        let selected: Vec<&str> = text.lines().filter(|line| self.has(line) != self.inverted).collect();
        let found = !selected.is_empty();
        let printed = match self.counts {
            true => format!("{}\n", selected.len()),
            false => selected.iter().flat_map(|line| [line, "\n"]).collect(),
        };
        (printed, found)
    }

    fn has(&self, line: &str) -> bool {
        let letters: Vec<char> = line.chars().collect();
        let Some(last) = letters.len().checked_sub(self.pattern.len()) else {
            return false;
        };
        (0..=last).any(|at| {
            (!self.at_start || at == 0)
                && (!self.at_end || at == last)
                && letters[at..]
                    .iter()
                    .zip(&self.pattern)
                    .all(|(letter, piece)| self.is(*letter, *piece))
        })
    }

    fn is(&self, letter: char, piece: Piece) -> bool {
        match piece {
            Piece::Any => true,
            Piece::Letter(it) if self.ignores_case => letter.to_lowercase().eq(it.to_lowercase()),
            Piece::Letter(it) => letter == it,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel_are_told_by_their_names() {
        for (name, is_its) in [
            ("/proc/sys/net/ipv4/ip_forward", true),
            ("//proc/x", true),
            ("/dev/../proc/x", true),
            ("/../sys/x", true),
            ("../../../sys/x", true),
            ("/process/x", false),
            ("proc/x", false),
            ("/tmp/proc/x", false),
        ] {
            assert_eq!(is_of_the_kernel(&Path::new("/tmp/lab").join(name)), is_its, "{name}");
        }
    }

    /// As GNU grep 3.8 did it.
    #[test]
    fn lines_are_selected_as_grep_does() {
        let text = "-A INPUT -s 10.0.0.2/32\n-A FORWARD -j ACCEPT\nCOMMIT\n";
        for (args, printed) in [
            (&["INPUT"][..], "-A INPUT -s 10.0.0.2/32\n"),
            (&["input"], ""),
            (&["-i", "commit"], "COMMIT\n"),
            (&["-v", "-A"], ""),
            (&["-v", "--", "-A"], "COMMIT\n"),
            (&["-ve", "-A"], ""),
            (&["-v", "-e", "-A"], "COMMIT\n"),
            (&["-c", "A"], "2\n"),
            (&["^COM"], "COMMIT\n"),
            (&["ACCEPT$"], "-A FORWARD -j ACCEPT\n"),
            (&["10.0.0.2"], "-A INPUT -s 10.0.0.2/32\n"),
            (&["1.*2"], ""),
            (&["-F", "1.*2"], ""),
            (&[""], text),
            (&["^$"], ""),
        ] {
            let selected = Grep::parse(args).map(|grep| grep.lines(text).0);
            match selected {
                Ok(selected) => assert_eq!(selected, printed, "{args:?}"),
                Err(why) => assert!(printed.is_empty(), "{args:?}: {why}"),
            }
        }
    }
}
