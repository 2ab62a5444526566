//! What people see while a replay runs: a bar, where there is a terminal, and messages that don't tear it.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Stop;
use crate::base::bytes::text_of_path;
use crate::device::standard::tell;
use crate::replay::grouped;

pub(super) struct Screen {
    bar: ProgressBar,
    begun: Instant,
    has_colour: bool,
    /// Bytes of the file that have been read, packed as they are.
    read: Arc<AtomicU64>,
}

impl Screen {
    pub(super) fn is_terminal() -> bool {
        io::stderr().is_terminal()
    }

    pub(super) fn open(input: &Path, quiet: bool) -> Result<Self, Stop> {
        let length = std::fs::metadata(input).ok().filter(std::fs::Metadata::is_file);
        let (bar, style) = match length {
            Some(length) => (
                ProgressBar::new(length.len()),
                "{bar:32.cyan/dim} {percent:>3}%  {msg}  {elapsed} gone, {eta} left",
            ),
            None => (ProgressBar::no_length(), "{spinner} {msg}  {elapsed}"),
        };
        let target = match quiet || !Self::is_terminal() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr_with_hz(8),
        };
        bar.set_draw_target(target);
        let style = ProgressStyle::with_template(style).map_err(|error| error.to_string())?;
        bar.set_style(style.progress_chars("━━─"));
        Ok(Self {
            bar,
            begun: Instant::now(),
            has_colour: io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()),
            read: Arc::default(),
        })
    }

    /// Whether what is printed is for a terminal.
    pub(super) fn has_colour(&self) -> bool {
        self.has_colour
    }

    /// The capture's bytes, counted for the bar.
    pub(super) fn source(&self, input: &Path) -> Result<Counted, Stop> {
        let reader: Box<dyn Read> = match input == Path::new("-") {
            true => Box::new(io::stdin()),
            false => Box::new(
                File::open(input)
                    .map_err(|error| format!("cannot read the capture {}: {error}", text_of_path(input)))?,
            ),
        };
        Ok(Counted {
            reader,
            read: Arc::clone(&self.read),
        })
    }

    pub(super) fn progress(&self, packets: u64) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position(self.read.load(Ordering::Relaxed));
        self.bar.set_message(self.rate(packets));
    }

    fn rate(&self, packets: u64) -> String {
        let rate = packets as f64 / self.begun.elapsed().as_secs_f64().max(1e-3);
        format!("{} packets, {} a second", grouped(packets), grouped(rate as u64))
    }

    /// How fast it was.
    pub(super) fn pace(&self, packets: u64) -> String {
        let took = self.begun.elapsed();
        format!("Replayed in {:.2} s: {}", took.as_secs_f64(), self.rate(packets))
    }

    pub(super) fn say(&self, text: &str) {
        self.bar.suspend(|| tell!("{text}"));
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

pub(super) struct Counted {
    reader: Box<dyn Read>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
