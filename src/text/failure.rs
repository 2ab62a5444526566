//! What went wrong, as a value: what the real tool says and exits with, and beside it the place and a remedy for people.

use std::fmt::Write;

use crate::base::Family;
use crate::base::bytes::quoted;
use crate::ext::option::{Status, UsageError};
use crate::rule::{Errno, Refusal};

/// The tool that speaks, and the family whose rules it has; its name stands in its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `iptables` or `ip6tables`.
    Iptables(Family),
    /// `iptables-save` or `ip6tables-save`.
    Save(Family),
    /// `iptables-restore` or `ip6tables-restore`.
    Restore(Family),
}

impl Program {
    /// As it stands before its messages, whatever it was called by.
    pub fn name(self) -> &'static str {
        match self {
            Self::Iptables(Family::V4) => "iptables",
            Self::Iptables(Family::V6) => "ip6tables",
            Self::Save(Family::V4) => "iptables-save",
            Self::Save(Family::V6) => "ip6tables-save",
            Self::Restore(Family::V4) => "iptables-restore",
            Self::Restore(Family::V6) => "ip6tables-restore",
        }
    }

    /// What a name calls, by any way to it: `/usr/sbin/ip6tables-legacy-restore`, `iptables-nft`. The names that a lab answers to are those of its tools.
    pub(crate) fn called(name: &str) -> Option<Self> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let mut parts = name.split('-');
        let family = match parts.next()? {
            "iptables" => Family::V4,
            "ip6tables" => Family::V6,
            _ => return None,
        };
        let (mut program, mut kind) = (None, None);
        for part in parts {
            let place = match part {
                "save" | "restore" => &mut program,
                "legacy" | "nft" => &mut kind,
                _ => return None,
            };
            if place.replace(part).is_some() {
                return None;
            }
        }
        Some(match program {
            Some("save") => Self::Save(family),
            Some(_) => Self::Restore(family),
            None => Self::Iptables(family),
        })
    }

    /// Whose rules it reads and writes.
    pub fn family(self) -> Family {
        match self {
            Self::Iptables(family) | Self::Save(family) | Self::Restore(family) => family,
        }
    }

    /// What `--version` prints, without the line's end.
    pub fn version(self) -> String {
        format!("{} v1.8.9 (legacy)", self.name())
    }
}

/// Where in the text. Everything counts from 1, but arguments from 0 (the program's name).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Place {
    /// The line of a restore file.
    pub line: Option<u32>,
    /// The byte of that line.
    pub column: Option<u32>,
    /// The argument of the command.
    pub argument: Option<u32>,
}

/// A command, or a line of a restore file, that could not be done. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the real tool says of it.
    pub kind: FailureKind,
    /// Where in the text; of a line of a restore file with its number, of a command with the argument, where one is to blame.
    pub place: Place,
    /// What to do about it, where that can be said.
    pub remedy: Option<String>,
}

/// What kind of thing went wrong, as far as the real tool's words depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The text is at fault: the message stands behind the program's name and version.
    Said {
        /// What it exits with.
        status: Status,
        /// Lines before it, without the program's name.
        before: Option<String>,
        /// Without the line's end. Where the tool prints an empty line after it, it ends in a newline.
        message: String,
    },
    /// A word where none may be.
    BadArgument(String),
    /// `-6` of iptables, `-4` of ip6tables: the tool says nothing but how to get help. The family that was asked for.
    OtherFamily(Family),
    /// The ruleset or the kernel would not have it.
    Denied(Denial),
    /// A restore file that ended too early; the line where `COMMIT` should have been.
    CommitExpected(u32),
}

/// Why the ruleset would not take a change that was well said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// No chain of this name; or `-C`, `-D` with a rule that jumps or has a target, which the chain has not got.
    NoSuchName,
    /// `-N` with a name that is a chain's or a verdict's.
    ChainExists,
    /// `-E` to a name that is a chain's or a verdict's.
    FileExists,
    /// `-X` of a chain that has rules.
    NotEmpty,
    /// `-X` of a chain that rules jump to.
    StillReferenced,
    /// `-C` or `-D` with a rule of a plain verdict, or of none, which the chain has not got; or in a chain that is not there.
    NoSuchRule,
    /// `-P` with something else than ACCEPT or DROP.
    BadPolicy,
    /// `-P` of a chain of the user's, or of none.
    NotBuiltIn,
    /// `-I` at a number that is more than one behind the last rule.
    InsertionTooBig,
    /// `-D` of a number that no rule has.
    DeletionTooBig,
    /// `-R` of a number that no rule has.
    ReplacementTooBig,
    /// `-Z` of a number that no rule has.
    CounterTooBig,
    /// Only the text of EINVAL: a built-in chain where a user chain must be, or `-E` to a name that is too long.
    Invalid,
    /// The kernel's answer to the whole table, with what its log says.
    Kernel(Refusal),
}

impl Denial {
    /// The words of the real tool, without the full stop.
    pub fn words(&self) -> &'static str {
        match self {
            Self::NoSuchName => "No chain/target/match by that name",
            Self::ChainExists => "Chain already exists",
            Self::FileExists => "File exists",
            Self::NotEmpty => "Directory not empty",
            Self::StillReferenced => "Too many links",
            Self::NoSuchRule => "Bad rule (does a matching rule exist in that chain?)",
            Self::BadPolicy => "Bad policy name",
            Self::NotBuiltIn => "Bad built-in chain name",
            Self::InsertionTooBig => "Index of insertion too big",
            Self::DeletionTooBig => "Index of deletion too big",
            Self::ReplacementTooBig => "Index of replacement too big",
            Self::CounterTooBig => "Index of counter too big",
            Self::Invalid => "Invalid argument",
            Self::Kernel(refusal) => match refusal.errno {
                Errno::InvalidArgument => "Invalid argument",
                Errno::TooManyLevels => "Too many levels of symbolic links",
                Errno::NoEntry => "No chain/target/match by that name",
                Errno::OutOfRange => "Numerical result out of range",
                Errno::TryAgain => "Resource temporarily unavailable",
            },
        }
    }

    /// EINVAL is what the tool sends people to the kernel's log for.
    fn points_to_log(&self) -> bool {
        match self {
            Self::BadPolicy | Self::Invalid => true,
            Self::Kernel(refusal) => refusal.errno == Errno::InvalidArgument,
            _ => false,
        }
    }

    fn remedy(&self) -> Option<String> {
        let said = match self {
            Self::NoSuchName => "make the chain first (-N), or check its name and table (-t)",
            Self::ChainExists | Self::FileExists => "choose another name",
            Self::NotEmpty => "flush the chain first (-F)",
            Self::StillReferenced => "delete the rules that jump to the chain first",
            Self::NoSuchRule => "-S shows the rules as they must be typed",
            Self::BadPolicy => "a policy is ACCEPT or DROP",
            Self::NotBuiltIn => "only built-in chains have a policy",
            Self::InsertionTooBig | Self::DeletionTooBig | Self::ReplacementTooBig | Self::CounterTooBig => {
                "-L --line-numbers shows the numbers"
            }
            Self::Invalid => "a rule can't jump to a built-in chain, and a built-in chain can't be deleted",
            Self::Kernel(refusal) => return Some(refusal.reason.clone()),
        };
        Some(said.to_owned())
    }
}

impl Failure {
    /// Exit 2, with the hint to try `--help`.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Self::said(Status::Parameter, message)
    }

    pub(crate) fn said(status: Status, message: impl Into<String>) -> Self {
        Self::of(FailureKind::Said {
            status,
            before: None,
            message: message.into(),
        })
    }

    pub(crate) fn denied(denial: Denial) -> Self {
        let remedy = denial.remedy();
        Self {
            remedy,
            ..Self::of(FailureKind::Denied(denial))
        }
    }

    pub(crate) fn of(kind: FailureKind) -> Self {
        Self {
            kind,
            place: Place::default(),
            remedy: None,
        }
    }

    /// Blames an argument, unless one is blamed already.
    pub(crate) fn at(mut self, argument: usize) -> Self {
        self.place.argument.get_or_insert(argument as u32);
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Another table came into force since this one was read.
    pub fn is_overtaken(&self) -> bool {
        matches!(&self.kind, FailureKind::Denied(Denial::Kernel(refusal)) if refusal.errno == Errno::TryAgain)
    }

    /// What the real tool exits with: 1, or 2 where it was misused; 3 and 4 are rare (a wrong version, no resources).
    pub fn exit_code(&self) -> u8 {
        match &self.kind {
            FailureKind::Said { status, .. } => match status {
                Status::Other => 1,
                Status::Parameter => 2,
                Status::Version => 3,
                Status::Resource => 4,
            },
            FailureKind::BadArgument(_) | FailureKind::OtherFamily(_) => 2,
            FailureKind::Denied(_) | FailureKind::CommitExpected(_) => 1,
        }
    }

    /// What the real tool prints on standard error; `line` is that of the restore file.
    pub fn text(&self, program: Program, line: Option<u32>) -> String {
        let name = program.name();
        let mut out = String::new();
        match &self.kind {
            FailureKind::Said {
                status,
                before,
                message,
            } => {
                if let Some(before) = before {
                    let _ = writeln!(out, "{before}");
                }
                let _ = writeln!(out, "{}: {message}", program.version());
                match status {
                    Status::Parameter => help_hint(&mut out, name, line),
                    Status::Version => {
                        let _ = writeln!(out, "Perhaps {name} or your kernel needs to be upgraded.");
                    }
                    Status::Other | Status::Resource => {}
                }
            }
            FailureKind::BadArgument(word) => {
                let _ = writeln!(out, "Bad argument `{word}'");
                help_hint(&mut out, name, line);
            }
            FailureKind::OtherFamily(_) => help_hint(&mut out, name, line),
            FailureKind::Denied(denial) => {
                let _ = match line {
                    Some(line) => writeln!(out, "{name}: line {line} failed"),
                    None if denial.points_to_log() => {
                        writeln!(out, "{name}: {}. Run `dmesg' for more information.", denial.words())
                    }
                    None => writeln!(out, "{name}: {}.", denial.words()),
                };
            }
            FailureKind::CommitExpected(line) => {
                let _ = writeln!(out, "{name}: COMMIT expected at line {line}");
            }
        }
        out
    }

    /// One line for people: what, where, and what to do.
    pub fn explain(&self) -> String {
        let mut out = match &self.kind {
            FailureKind::Said { message, .. } => message.trim().to_owned(),
            FailureKind::BadArgument(word) => format!("nothing takes the argument {word}", word = quoted(word)),
            FailureKind::OtherFamily(Family::V4) => "-4 is iptables' option".to_owned(),
            FailureKind::OtherFamily(Family::V6) => "-6 is ip6tables' option".to_owned(),
            FailureKind::Denied(denial) => denial.words().to_owned(),
            FailureKind::CommitExpected(_) => "the table is not closed by COMMIT".to_owned(),
        };
        if let Some(remedy) = &self.remedy {
            let _ = write!(out, "; {remedy}");
        }
        out
    }
}

impl From<UsageError> for Failure {
    fn from(error: UsageError) -> Self {
        let made = Self::of(FailureKind::Said {
            status: error.status,
            before: error.before,
            message: error.message,
        });
        match error.at {
            Some(at) => made.at(at),
            None => made,
        }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self::denied(denial)
    }
}

fn help_hint(out: &mut String, name: &str, line: Option<u32>) {
    if let Some(line) = line {
        let _ = writeln!(out, "Error occurred at line: {line}");
    }
    let _ = writeln!(out, "Try `{name} -h' or '{name} --help' for more information.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_called_by_several_names() {
        for (name, program) in [
            ("iptables", Some(Program::Iptables(Family::V4))),
            ("/sbin/ip6tables", Some(Program::Iptables(Family::V6))),
            ("iptables-legacy-save", Some(Program::Save(Family::V4))),
            ("ip6tables-nft-restore", Some(Program::Restore(Family::V6))),
            ("iptables-restore-legacy", Some(Program::Restore(Family::V4))),
            ("iptables-legacy-nft", None),
            ("iptables-save-restore", None),
            ("iptables-apply", None),
            ("iptables6", None),
            ("ip", None),
            ("", None),
        ] {
            assert_eq!(Program::called(name), program, "{name}");
        }
    }
}
