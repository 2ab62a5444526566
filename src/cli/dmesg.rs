//! `dmesg`: the kernel's log of a lab.

use crate::base::Time;
use crate::lab::kernel_log::{KernelLog, LogLine, Told};
use crate::lab::machine::{Machine, ToolOutput};
#[cfg(unix)]
use crate::lab::request::Response;

pub(super) fn run(machine: &mut Machine, args: &[String]) -> ToolOutput {
    let (mut prints, mut clears) = (true, false);
    for arg in args {
        match arg.as_str() {
            "-c" | "--read-clear" => clears = true,
            "-C" | "--clear" => (prints, clears) = (false, true),
            follow if FOLLOWS.contains(&follow) => {
                return ToolOutput::failure(
                    1,
                    format!(
                        "dmesg: {follow} waits for what comes, and this lab answers one call at a time; run `nflab dmesg {follow}` on a live lab\n"
                    ),
                );
            }
            other => {
                return ToolOutput::failure(
                    1,
                    format!("dmesg: {other} is not there in nflab; known are -c, -C, -w and -W\n"),
                );
            }
        }
    }
    let mut output = ToolOutput::default();
    if prints {
        for line in machine.log.lines() {
            write(&mut output.stdout, &line, machine.booted);
        }
    }
    if clears {
        machine.log.clear();
    }
    output
}

/// Whether these arguments ask for lines as they come.
pub(super) fn follows(args: &[String]) -> bool {
    matches!(args, [only] if FOLLOWS.contains(&only.as_str()))
}

/// Somebody who reads the log as it is written.
#[derive(Debug)]
pub(super) struct Follower {
    log: KernelLog,
    booted: Time,
    /// The number of the line that comes next.
    next: u64,
    _told: Told,
}

impl Follower {
    /// `wake` is called whenever there is something new.
    pub(super) fn new(machine: &Machine, args: &[String], wake: impl Fn() + Send + Sync + 'static) -> Self {
        let only_new = args.iter().any(|arg| matches!(arg.as_str(), "-W" | "--follow-new"));
        Self {
            log: machine.log.clone(),
            booted: machine.booted,
            next: if only_new { machine.log.since(u64::MAX).1 } else { 0 },
            _told: machine.log.notify(wake),
        }
    }

    /// The lines that have come since, if any.
    pub(super) fn next_lines(&mut self) -> Option<Response> {
        let (lines, next) = self.log.since(self.next);
        if lines.is_empty() {
            self.next = next;
            return None;
        }
        let mut response = Response::default();
        let first = next - lines.len() as u64;
        // What was there before is no loss, nor what somebody cleared.
        if first > self.next && self.next != 0 {
            let lost = first - self.next;
            response.stderr =
                format!("nflab: {lost} lines are gone: they came faster than this is read, or were cleared\n");
        }
        for line in lines.iter().take(AT_ONCE) {
            write(&mut response.stdout, line, self.booted);
        }
        self.next = first + lines.len().min(AT_ONCE) as u64;
        Some(response)
    }
}

/// Has the log's lines printed as they come, in a thread of its own that ends when what this returns is dropped.
#[cfg(target_os = "linux")]
pub(super) fn on_output(lab: &crate::lab::memory::Lab) -> impl Drop + use<> {
    let (wake, woken) = std::sync::mpsc::sync_channel(1);
    let log = lab.machine.log.clone();
    let booted = lab.machine.booted;
    // Full means that it was told already.
    let told = log.notify(move || {
        let _ = wake.try_send(());
    });
    std::thread::spawn(move || {
        let mut next = 0;
        while woken.recv().is_ok() {
            let (lines, after) = log.since(next);
            next = after;
            let mut text = String::new();
            for line in &lines {
                write(&mut text, line, booted);
            }
            crate::device::standard::say_text(&text);
        }
    });
    told
}

/// A line as `dmesg` prints it.
pub(super) fn write(out: &mut String, line: &LogLine, booted: Time) {
    let since = line.time.since(booted);
    *out += &format!(
        "[{:5}.{:06}] {}\n",
        since.as_secs(),
        since.subsec_micros(),
        line.record.text
    );
}

const FOLLOWS: [&str; 4] = ["-w", "--follow", "-W", "--follow-new"];
/// Lines of one answer.
const AT_ONCE: usize = 256;
