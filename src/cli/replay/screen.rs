//! What people see while a replay runs: a bar, where there is a terminal, and messages that don't tear it.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Stop;
use crate::base::bytes::text_of_path;
use crate::device::standard::{self, tell};
use crate::replay::grouped;

/// What was said and printed already, where a replay begins again: the same comes first, and is not said twice.
#[derive(Clone, Debug, Default)]
pub(super) struct Again {
    /// Bytes that went to standard output, and so many of them that were there before.
    printed: Arc<AtomicU64>,
    printed_before: u64,
    said: Arc<AtomicU64>,
    said_before: u64,
    is_again: bool,
}

impl Again {
    /// For another beginning.
    pub(super) fn once_more(&self) -> Self {
        Self {
            printed_before: self.printed.load(Ordering::Relaxed).max(self.printed_before),
            said_before: self.said.load(Ordering::Relaxed).max(self.said_before),
            is_again: true,
            ..Self::default()
        }
    }

    /// Whether this is the first beginning.
    pub(super) fn is_first(&self) -> bool {
        !self.is_again
    }

    /// Whether it is time to say something that has not been said.
    fn says(&self) -> bool {
        self.said.fetch_add(1, Ordering::Relaxed) >= self.said_before
    }

    /// Standard output, but for what was there before.
    pub(super) fn output(&self) -> Printing {
        Printing {
            output: standard::output(),
            printed: Arc::clone(&self.printed),
            before: self.printed_before,
        }
    }
}

pub(super) struct Printing {
    output: standard::Output,
    printed: Arc<AtomicU64>,
    before: u64,
}

impl Write for Printing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let printed = self.printed.load(Ordering::Relaxed);
        let known = usize::try_from(self.before.saturating_sub(printed)).unwrap_or(usize::MAX);
        let written = match known.min(bytes.len()) {
            0 => self.output.write(bytes)?,
            known => known,
        };
        self.printed.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

pub(super) struct Screen {
    bar: ProgressBar,
    again: Again,
    /// The capture's, in bytes; 0 where it is no file.
    length: u64,
    begun: Instant,
    has_colour: bool,
    /// Bytes of the file that have been read, packed as they are.
    read: Arc<AtomicU64>,
}

impl Screen {
    pub(super) fn is_terminal() -> bool {
        io::stderr().is_terminal()
    }

    pub(super) fn open(input: &Path, quiet: bool, again: Again) -> Result<Self, Stop> {
        let length = std::fs::metadata(input).ok().filter(std::fs::Metadata::is_file);
        let bytes = length.as_ref().map_or(0, std::fs::Metadata::len);
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
            again,
            length: bytes,
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
    /// With `is_whole`, as long as it was when it was first looked at.
    pub(super) fn source(&self, input: &Path, is_whole: bool) -> Result<Counted, Stop> {
        let reader: Box<dyn Read + Send> = match input == Path::new("-") {
            true => Box::new(io::stdin()),
            false => {
                let file = File::open(input)
                    .map_err(|error| format!("cannot read the capture {}: {error}", text_of_path(input)))?;
                match is_whole {
                    true => Box::new(file.take(self.length)),
                    false => Box::new(file),
                }
            }
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

    /// How fast it was, and `how`.
    pub(super) fn pace(&self, packets: u64, how: &str) -> String {
        let took = self.begun.elapsed();
        format!("Replayed in {:.2} s{how}: {}", took.as_secs_f64(), self.rate(packets))
    }

    pub(super) fn say(&self, text: &str) {
        if self.again.says() {
            self.bar.suspend(|| tell!("{text}"));
        }
    }

    /// Says what the next beginning, if there is one, does not say.
    pub(super) fn say_of_this_beginning(&self, text: &str) {
        self.bar.suspend(|| tell!("{text}"));
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn again(&self) -> &Again {
        &self.again
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

pub(super) struct Counted {
    reader: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
