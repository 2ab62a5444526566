//! The outside: starts the rest, answers the tools inside, passes signals on, and waits.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::bounds::Met;
use super::door::DOOR;
use super::{Failure, Plan, Who, tried};
use crate::device::limits::Limits;
use crate::device::syscall::signals_to_pass_on;
use crate::lab::request::{Request, Response};
use crate::live::control::serve_connection;

/// A command that runs contained.
pub(crate) struct Contained<'a> {
    waiting: Waiting<'a>,
    leash: UnixStream,
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The machine does not allow what containment is made of.
    #[error("{0}")]
    Refused(Failure),
    #[error("{0}")]
    System(#[from] io::Error),
    /// A signal came before anything ran.
    #[error("ended by signal {0}")]
    Signal(i32),
}

impl<'a> Contained<'a> {
    /// Starts a command. `live` is the socket of a lab to speak to (opened with `O_PATH`), where `handle` is not the lab itself; `configure` says what its streams, directory and environment are; `handle` answers its tools, in a thread of its own.
    pub(crate) fn start(
        who: Who,
        plan: &Plan,
        command: &[OsString],
        signals: &'a Signals,
        live: Option<&OwnedFd>,
        configure: impl FnOnce(&mut Command),
        handle: impl FnMut(Request) -> Response + Send + 'static,
    ) -> Result<Self, StartError> {
        let (calls, theirs) = UnixStream::pair()?;
        let (leash, leashed) = UnixStream::pair()?;
        for end in [Some(theirs.as_fd()), Some(leashed.as_fd()), live.map(AsFd::as_fd)]
            .into_iter()
            .flatten()
        {
            fcntl_setfd(end, FdFlags::empty()).map_err(io::Error::from)?;
        }
        let mut program = Command::new("/proc/self/exe");
        program
            .arg0("nflab")
            .arg(DOOR)
            .arg(who.word())
            .arg(theirs.as_raw_fd().to_string())
            .arg(leashed.as_raw_fd().to_string())
            .arg(live.map_or("-".to_owned(), |it| it.as_raw_fd().to_string()))
            .args(command);
        configure(&mut program);
        let mut waiting = Waiting {
            child: program.spawn()?,
            signals,
        };
        drop((theirs, leashed));
        std::thread::spawn(move || serve_connection(calls, handle));
        match open(&leash, plan) {
            Ok(()) => Ok(Self { waiting, leash }),
            Err(failure) => {
                drop(leash);
                waiting.child.wait()?;
                match signals.next()? {
                    Some((signal, _)) => Err(StartError::Signal(signal)),
                    // Somebody killed it: that is no reason to run anything uncontained.
                    None if failure.what == KILLED => Err(StartError::System(io::Error::other(failure.why))),
                    None => Err(StartError::Refused(failure)),
                }
            }
        }
    }

    /// Waits for COMMAND's end. What it left running ends with it.
    pub(crate) fn wait(self) -> io::Result<Ended> {
        self.wait_unless(Duration::MAX, || false)
    }

    /// The same, but asks each `every` whether to end it.
    pub(crate) fn wait_unless(mut self, every: Duration, give_up: impl FnMut() -> bool) -> io::Result<Ended> {
        let leash = self.leash;
        let pass_on = |signal: Option<i32>| match signal {
            // The other end may be gone by itself just now.
            Some(signal) => {
                let _ = (&leash).write_all(&[signal as u8]);
            }
            None => {
                let _ = leash.shutdown(std::net::Shutdown::Both);
            }
        };
        let ended = self.waiting.until_ended(every, give_up, pass_on)?;
        Ok(Ended {
            met: hear_met(&leash),
            ..ended
        })
    }
}

/// What failed where the other end gave no answer at all.
const KILLED: &str = "enter namespaces";

/// Gives the plan and takes the answer: an empty line, or what failed.
fn open(leash: &UnixStream, plan: &Plan) -> Result<(), Failure> {
    let plan = Plan {
        limits: Limits::before_view(),
        ..plan.clone()
    };
    let mut line = serde_json::to_vec(&plan).map_err(tried("write the plan"))?;
    line.push(b'\n');
    // The answer says more than a broken pipe does.
    let _ = (&mut &*leash).write_all(&line);
    let mut answer = String::new();
    BufReader::new(leash)
        .read_line(&mut answer)
        .map_err(tried("hear from the inside"))?;
    match answer.trim_end() {
        "" if answer.is_empty() => Err(Failure {
            what: KILLED.into(),
            why: "whoever entered the namespaces was ended".into(),
        }),
        "" => Ok(()),
        failed => Err(serde_json::from_str(failed).unwrap_or(Failure {
            what: "hear from the inside".into(),
            why: failed.to_owned(),
        })),
    }
}

/// The answer, from the other end.
pub(super) fn report(leash: &UnixStream, done: Result<(), Failure>) {
    let mut line = match done {
        Ok(()) => Vec::new(),
        Err(failure) => serde_json::to_vec(&failure).unwrap_or_default(),
    };
    line.push(b'\n');
    // Nobody is left to hear it: then all ends anyhow.
    let _ = (&mut &*leash).write_all(&line);
}

/// What COMMAND had too much of, from the other end.
pub(super) fn report_met(leash: &UnixStream, met: Met) {
    let mut line = serde_json::to_vec(&met).unwrap_or_default();
    line.push(b'\n');
    // As above.
    let _ = (&mut &*leash).write_all(&line);
}

/// The same, once the other end is gone.
fn hear_met(leash: &UnixStream) -> Option<Met> {
    leash.set_nonblocking(true).ok()?;
    let mut line = String::new();
    BufReader::new(leash).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}

/// The signals that end programs, kept for whoever waits. Take them before the first thread starts, as threads inherit that they are kept.
pub(crate) struct Signals(OwnedFd);

impl Signals {
    pub(crate) fn keep() -> io::Result<Self> {
        signals_to_pass_on().map(Self)
    }

    /// Nothing is waited for any more: those that come from now on end us. Those that came before were meant for what was run.
    pub(crate) fn let_in(self) {
        while let Ok(Some(_)) = self.next() {}
        // Where that fails, they stay kept.
        let _ = crate::device::syscall::let_signals_in();
    }

    /// The next that came, and whether the terminal sent it: then all of its programs have it already.
    fn next(&self) -> io::Result<Option<(i32, bool)>> {
        let mut told = [0; 128];
        match rustix::io::read(&self.0, &mut told) {
            Ok(_) => {
                let number = |at: usize| i32::from_ne_bytes([told[at], told[at + 1], told[at + 2], told[at + 3]]);
                Ok(Some((number(0), number(8) == SENT_BY_KERNEL)))
            }
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// `SI_KERNEL`.
const SENT_BY_KERNEL: i32 = 0x80;

/// A child that is waited for while signals may come.
pub(crate) struct Waiting<'a> {
    pub child: Child,
    pub signals: &'a Signals,
}

/// How it came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// As shells tell it; `None` where it was given up.
    pub code: Option<u8>,
    /// A signal that asked us to end before.
    pub asked: Option<i32>,
    /// What it had too much of, and was ended for.
    pub met: Option<Met>,
}

impl Waiting<'_> {
    /// For a child that is no more than a process: signals go to it alone.
    pub(crate) fn wait(&mut self, every: Duration, give_up: impl FnMut() -> bool) -> io::Result<Ended> {
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        self.until_ended(every, give_up, |signal| {
            let signal = signal.and_then(Signal::from_named_raw).unwrap_or(Signal::KILL);
            // It is not waited for yet, so the number is its own.
            let _ = kill_process(pid, signal);
        })
    }

    fn until_ended(
        &mut self,
        every: Duration,
        mut give_up: impl FnMut() -> bool,
        pass_on: impl Fn(Option<i32>),
    ) -> io::Result<Ended> {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidData)?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        let mut ended = Ended {
            code: None,
            asked: None,
            met: None,
        };
        let mut deadline: Option<Instant> = None;
        let mut given_up = false;
        loop {
            let until_deadline = deadline.map(|it| it.saturating_duration_since(Instant::now()));
            let wait = until_deadline.map_or(every, |it| it.min(every));
            let mut both = [
                PollFd::new(&process, PollFlags::IN),
                PollFd::from_borrowed_fd(self.signals.0.as_fd(), PollFlags::IN),
            ];
            let timeout = (wait < Duration::MAX).then(|| Timespec {
                tv_sec: wait.as_secs().cast_signed(),
                tv_nsec: wait.subsec_nanos().into(),
            });
            match poll(&mut both, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(status) = self.child.try_wait()? {
                ended.code = (!given_up).then(|| code_of(status));
                return Ok(ended);
            }
            while let Some((signal, by_terminal)) = self.signals.next()? {
                ended.asked = Some(signal);
                if by_terminal && [libc::SIGINT, libc::SIGQUIT].contains(&signal) {
                    continue;
                }
                pass_on(Some(signal));
                if [libc::SIGTERM, libc::SIGHUP].contains(&signal) {
                    deadline.get_or_insert(Instant::now() + PATIENCE);
                }
            }
            if !given_up && give_up() {
                given_up = true;
                pass_on(None);
            }
            if deadline.is_some_and(|it| Instant::now() >= it) {
                deadline = None;
                pass_on(None);
            }
        }
    }
}

/// A command that a signal ended counts as in shells: 128 and the signal's number.
pub(crate) fn code_of(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128u8.wrapping_add(signal as u8),
        (None, None) => 1,
    }
}

/// How long COMMAND may take to end when asked.
const PATIENCE: Duration = Duration::from_secs(5);
