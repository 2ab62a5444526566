//! What is asked of a lab and what it answers, as values: who carries them (a socket, a thread, a call) knows how.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::files::FoundFile;

/// One call of a tool, as a shell would make it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The name it was called by: `iptables-save`.
    pub tool: String,
    #[serde(default)]
    pub args: Vec<String>,
    /// All of its standard input; empty where it reads none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdin: String,
    /// What the files hold that the call names, in the order in which it reads them: a lab opens none itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FoundFile>,
}

/// Who waits for an answer: whether it still does. Its clones are handles on the same one.
#[derive(Clone, Debug, Default)]
pub struct Asker(Arc<AtomicBool>);

impl Asker {
    pub fn hang_up(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// What takes long may end: nobody hears the answer.
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the call left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    #[serde(default)]
    pub stdout: String,
    #[serde(default)]
    pub stderr: String,
    pub code: i32,
    /// The lab did nothing because too much is asked of it: what was asked may be asked again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub busy: bool,
}

impl Response {
    pub fn failure(code: i32, stderr: impl Into<String>) -> Self {
        Self {
            stdout: String::new(),
            stderr: stderr.into(),
            code,
            busy: false,
        }
    }
}

/// What a request is answered with, and what comes after it.
pub struct Answer {
    pub response: Response,
    /// For a request that has many answers.
    pub more: Option<Box<dyn Source>>,
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self { response, more: None }
    }
}

/// Further answers to one request. Asked whenever the client has taken the last one and somebody called the [`Waker`]; dropped with the
/// connection.
pub trait Source: Send {
    /// The next answer, if there is one now.
    fn next(&mut self) -> Option<Response>;
}

/// Tells whoever serves a [`Source`] that it may have something.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// `wake` is called in the thread that carries packets: it must be quick.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    pub fn wake(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waker").finish_non_exhaustive()
    }
}
