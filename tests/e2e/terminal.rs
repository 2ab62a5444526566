//! A program at a terminal of its own in a host, where a test types and reads.

use std::io::Write;
use std::path::PathBuf;
use std::process::{ChildStdin, Stdio};
use std::time::{Duration, Instant};

use crate::lab::{Lab, Process};

/// It ends with the test.
pub(crate) struct Terminal {
    _process: Process,
    keyboard: ChildStdin,
    screen: PathBuf,
}

impl Terminal {
    /// All that it shows is kept in a file of this name.
    pub(crate) fn new(lab: &Lab, host: &str, name: &str, command: &str) -> Self {
        let screen = lab.scratch.path(name);
        let kept = screen.display().to_string();
        let mut child = lab
            .in_host(
                host,
                &["env", "TERM=xterm", "SHELL=/bin/sh", "script", "-qfc", command, &kept],
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            keyboard: child.stdin.take().unwrap(),
            _process: Process::of(child),
            screen,
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// All that was ever on the screen, without what moves the cursor and changes colours.
    pub(crate) fn shown(&self) -> String {
        let bytes = std::fs::read(&self.screen).unwrap_or_default();
        let raw = String::from_utf8_lossy(&bytes);
        let mut shown = String::new();
        let mut rest = raw.chars();
        while let Some(char) = rest.next() {
            if char != '\x1b' {
                shown.push(char);
                continue;
            }
            match rest.next() {
                Some('[') => _ = rest.find(|char| ('@'..='~').contains(char)),
                Some('(' | ')') => _ = rest.next(),
                _ => {}
            }
        }
        shown
    }

    /// Waits for it.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.shown().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} is not shown:\n{}", self.shown());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
