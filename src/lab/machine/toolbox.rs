//! The tools that a machine is offered: how one is called, and what a call leaves.

use super::Machine;
use crate::lab::files::{Files, Needs, Opener};
use crate::lab::request::{Answer, Request, Response, Waker};
use crate::syntax::problem::SHOWN;

/// One call of a tool, as a shell would make it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The name it was called by: `iptables-save`.
    pub name: &'a str,
    /// Without the name itself.
    pub args: &'a [String],
    /// All of its standard input.
    pub stdin: &'a str,
    /// The files it names, as its caller found them.
    pub files: &'a Files,
}

/// What a call left.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ToolOutput {
    /// All that it printed there; a byte that is no UTF-8 is kept as `base::bytes` keeps it.
    pub stdout: String,
    /// The same of standard error.
    pub stderr: String,
    /// Exit status: 0 where it was done.
    pub code: i32,
    /// Where the fault is and what to do about it, in more words than the real tool has.
    pub advice: String,
}

impl ToolOutput {
    /// It was done, and printed this.
    pub fn success(stdout: impl Into<String>) -> Self {
        Self {
            stdout: stdout.into(),
            ..Self::default()
        }
    }

    /// It was not done; what standard error gets, line feeds included.
    pub fn failure(code: i32, stderr: impl Into<String>) -> Self {
        Self {
            stderr: stderr.into(),
            code,
            ..Self::default()
        }
    }

    /// Adds a line of advice: whoever goes wrong very often is advised of the first times, since to find what was meant takes longer than to fail.
    pub(crate) fn advise(&mut self, tool: &str, advice: impl FnOnce() -> Option<String>) {
        if self.advice.lines().nth(SHOWN - 1).is_none()
            && let Some(advice) = advice()
        {
            self.advice += &format!("{tool}: {advice}\n");
        }
    }
}

impl From<ToolOutput> for Response {
    fn from(output: ToolOutput) -> Self {
        Self {
            stdout: output.stdout,
            stderr: output.stderr,
            code: output.code,
            busy: false,
        }
    }
}

/// What the inside of `sh` calls to show files of `/proc`: their texts, as a list of JSON.
pub const TEXTS_OF_FILES: &str = "texts";

/// The tools that a lab offers. Handed in, because applets live above this room.
#[derive(Clone, Copy)]
pub struct Toolbox {
    /// What they are called.
    pub names: &'static [&'static str],
    /// Does a call, whose name should be one of `names`.
    pub call: fn(&mut Machine, Call<'_>) -> ToolOutput,
    /// What a call by this name with these arguments reads and writes.
    pub needs: fn(&str, &[String]) -> Needs,
    /// Whether a call by this name goes on until it is ended.
    pub goes_on: fn(&str, &[String]) -> bool,
    /// What a call by this name has to do with knobs.
    pub knobs: fn(&str) -> Knobs,
    /// What answers a request that has many answers; `None` for any other request.
    pub listen: fn(&Machine, &Request, &Waker) -> Option<Answer>,
    /// Opens what calls and scripts name.
    pub opener: &'static dyn Opener,
}

/// What a tool has to do with the lab's knobs, for who keeps a copy of them: a lab of a thousand interfaces has ten thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knobs {
    /// Whatever they say, it does the same, and leaves them as they are.
    NotSeen,
    /// What it does may hang on them.
    Seen,
    /// It may turn one, or bring one with what it makes.
    Turned,
}

impl Toolbox {
    /// The tool that a command's first word means: `iptables`, or `/sbin/iptables`.
    pub fn find(&self, word: &str) -> Option<&'static str> {
        let name = word.rsplit('/').next().unwrap_or(word);
        self.names.iter().copied().find(|known| *known == name)
    }
}

impl std::fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names).finish()
    }
}
