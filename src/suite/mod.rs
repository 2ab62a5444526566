//! Unit tests for rulesets: test files, the cases they hold, what came of them, and which rules no case reached.
//!
//! Reading is one thing ([`read()`](crate::suite::read()), which touches no file but through the reader it is given), running another ([`Case::run`](crate::suite::Case::run), [`run()`](crate::suite::run()): no
//! output, no clock, a fresh lab a case), reporting a third ([`report`](crate::suite::report): values to text). The command `nflab test` is these three.
//!
//! ```
//! use std::path::Path;
//! use nflab::suite::{self, Choice};
//!
//! let text = "\
//! host client 10.0.0.2 lan
//! host server 192.0.2.9 wan
//! rules <<EOF
//! *filter
//! :FORWARD DROP [0:0]
//! -A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
//! -A FORWARD -i lan -p tcp --dport 80 -j ACCEPT
//! COMMIT
//! EOF
//! test \"the web is open\"
//!   handshake client:40000 > server:80
//! end
//! table \"nothing else is\"
//!   from    to      service  verdict
//!   client  server  tcp/22   drop
//!   server  client  tcp/80   drop
//! end
//! ";
//! // Any way to get a file's text will do: `&mut |path| std::fs::read_to_string(path)` reads real ones.
//! let mut reader = |path: &Path| match path.to_str() {
//!     Some("web.test.nflab") => Ok(text.to_owned()),
//!     _ => Err(std::io::ErrorKind::NotFound.into()),
//! };
//! let suite = suite::read(Path::new("web.test.nflab"), &mut reader, nflab::cli::TOOLBOX, &Choice::default())?;
//! let outcome = suite::run(&[suite]);
//! assert!(outcome.passed(), "{}", suite::report::people(&outcome, false));
//! assert_eq!(outcome.cases.len(), 3);
//! assert!(outcome.coverage().unreached().next().is_none());
//! # Ok::<(), suite::Unreadable>(())
//! ```

mod coverage;
mod fault;
mod items;
mod read;
pub mod report;
mod rules;
mod run;
mod table;
mod twins;

pub use coverage::{Coverage, Covered, PartedUnder};
pub use fault::Unreadable;
pub(crate) use items::plain;
pub use read::{Choice, Suite, Test, read};
pub use rules::{RulePlace, Ruleset};
pub use run::{Case, CaseOutcome, Failure, Outcome, Spare, run};
pub use twins::Parted;

/// How files are read: by whoever may touch them.
pub type Reader<'a> = dyn FnMut(&std::path::Path) -> std::io::Result<String> + 'a;

/// The words of a test file that are none of a script: name, syntax, what it does.
pub const FILE_WORDS: &[(&str, &str, &str)] = &[
    (
        "lab",
        "lab FILE, or lab <<EOF",
        "the lab; without it `lab.toml` beside the test file, else lan 10.0.0.1/24 and 2001:db8::1/64, wan 192.0.2.1/24 and 2001:db8:1::1/64",
    ),
    (
        "rules",
        "rules FILE [as NAME], or rules <<EOF",
        "what `iptables-save` prints, or a file of tools' commands; of several, every test runs under each",
    ),
    (
        "rules6",
        "rules6 FILE [as NAME], or rules6 <<EOF",
        "what `ip6tables-save` prints: in force beside each of `rules`, or beside those of that name",
    ),
    (
        "host",
        "host NAME ADDRESS [ADDRESS] [INTERFACE|local]",
        "a name for a host; those of the lab file have theirs",
    ),
    ("seed", "seed N", "what randomness begins with, 1 unless written"),
    ("setup", "setup ... end", "commands that every test begins with"),
    (
        "test",
        "test NAME ... end",
        "a test: commands and expectations in a fresh lab",
    ),
    (
        "table",
        "table NAME ... end",
        "a test a line: columns from, to, service, verdict, and if wanted family (4 or 6), state, by, comment, out; a case whose hosts both have both families runs in each",
    ),
    ("include", "include FILE", "another file's lines stand here"),
];

#[cfg(test)]
mod tests;
