//! Standard output and standard error, as every command of `nflab` writes them.
//!
//! The standard library's macros panic where nobody takes what is printed, and its `stdout` takes a closed descriptor for one that takes
//! everything. Here nothing panics, and the first failure of standard output is remembered, so that the program's end can say it and
//! exit by it ([`failure`]). A reader that went away (`| head`) has seen enough: that is no failure. Standard error has nowhere to say that it
//! failed.
//!
//! Texts are written as the bytes that they stand for ([`crate::base::bytes`]).

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::base::bytes::bytes_of;

/// A line to standard output.
macro_rules! say {
    ($($text:tt)*) => { $crate::device::standard::say_line(format_args!($($text)*)) };
}
pub(crate) use say;

/// A line to standard output; its colours go where it is no terminal.
macro_rules! say_styled {
    ($($text:tt)*) => { $crate::device::standard::say_styled_line(format_args!($($text)*)) };
}
pub(crate) use say_styled;

/// A line to standard error.
macro_rules! tell {
    ($($text:tt)*) => { $crate::device::standard::tell_line(format_args!($($text)*)) };
}
pub(crate) use tell;

/// A line to standard error; its colours go where it is no terminal.
macro_rules! tell_styled {
    ($($text:tt)*) => { $crate::device::standard::tell_styled_line(format_args!($($text)*)) };
}
pub(crate) use tell_styled;

/// A text to standard output, as it is.
pub(crate) fn say_text(text: &str) {
    let _ = try_say(text);
}

/// The same, for who stops early where nobody takes it.
pub(crate) fn try_say(text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    output().write_all(&bytes_of(text))?;
    output().flush()
}

/// A text to standard error, as it is.
pub(crate) fn tell_text(text: &str) {
    let _ = io::stderr().write_all(&bytes_of(text));
}

pub(crate) fn say_line(text: fmt::Arguments<'_>) {
    say_text(&format!("{text}\n"));
}

pub(crate) fn say_styled_line(text: fmt::Arguments<'_>) {
    let _ = say_styled_text(&format!("{text}\n"));
}

pub(crate) fn tell_line(text: fmt::Arguments<'_>) {
    tell_text(&format!("{text}\n"));
}

pub(crate) fn tell_styled_line(text: fmt::Arguments<'_>) {
    tell_styled_text(&format!("{text}\n"));
}

/// A text to standard error; its colours go where it is no terminal.
pub(crate) fn tell_styled_text(text: &str) {
    tell_text(&styled(text, &io::stderr()));
}

/// A text to standard output; its colours go where it is no terminal. For who stops early where nobody takes it.
pub(crate) fn say_styled_text(text: &str) -> io::Result<()> {
    try_say(&styled(text, &io::stdout()))
}

/// Whether what is written to standard output may have colours.
pub(crate) fn has_colours() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

fn styled(text: &str, stream: &impl anstream::stream::RawStream) -> String {
    match anstream::AutoStream::choice(stream) {
        anstream::ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
        _ => text.to_owned(),
    }
}

/// Standard output for what is written as it comes. Its failures are remembered, too.
pub(crate) fn output() -> Output {
    Output(())
}

#[derive(Debug)]
pub(crate) struct Output(());

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if was_closed() {
            return remembered(Err(closed()));
        }
        remembered(io::stdout().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        remembered(io::stdout().flush())
    }
}

/// What became of standard output, once everything is written: its first failure, unless its reader went away or it was said already.
pub(crate) fn failure() -> Option<io::Error> {
    let _ = output().flush();
    FAILURE.lock().take().filter(|_| !SAID.load(Ordering::Relaxed))
}

/// Whoever calls this says the failure in words of its own.
pub(crate) fn failure_is_said() {
    SAID.store(true, Ordering::Relaxed);
}

fn remembered<T>(written: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &written
        && !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::Interrupted)
        && !is_of_closed_terminal(error)
    {
        let copy = match error.raw_os_error() {
            Some(number) => io::Error::from_raw_os_error(number),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        FAILURE.lock().get_or_insert(copy);
    }
    written
}

/// A terminal whose window is closed: its reader went away.
#[cfg(target_os = "linux")]
fn is_of_closed_terminal(error: &io::Error) -> bool {
    use rustix::fs::{FileType, fstat};

    let is_device = || {
        fstat(rustix::stdio::stdout()).is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::CharacterDevice)
    };
    error.raw_os_error() == Some(libc::EIO) && is_device()
}

#[cfg(not(target_os = "linux"))]
fn is_of_closed_terminal(_: &io::Error) -> bool {
    false
}

/// Whether the program was started without a standard output (`>&-`). By now something else stands there.
pub(crate) fn was_closed() -> bool {
    #[cfg(target_os = "linux")]
    return super::syscall::output_was_closed();
    #[cfg(not(target_os = "linux"))]
    return false;
}

fn closed() -> io::Error {
    #[cfg(target_os = "linux")]
    return io::Error::from_raw_os_error(libc::EBADF);
    #[cfg(not(target_os = "linux"))]
    return io::Error::new(io::ErrorKind::Other, "it is closed");
}

static FAILURE: Mutex<Option<io::Error>> = Mutex::new(None);
static SAID: AtomicBool = AtomicBool::new(false);
