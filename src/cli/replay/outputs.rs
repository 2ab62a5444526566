//! The files a replay writes, and what it prints.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{Arguments, Stop};
use crate::base::Time;
use crate::base::bytes::{bytes_of, text_of_path};
use crate::device::result_file::ResultFile;
use crate::device::standard;
use crate::device::{CaptureWriter, CapturedPacket, Frame};
use crate::lab::memory::{LOCAL, Lab};
use crate::replay::record::write_unused_json;
use crate::replay::{Difference, Differences, Passed};

pub(super) struct Outputs<'a> {
    out: Option<Capture<'a>>,
    annotated: Option<Capture<'a>>,
    json: Option<Lines<'a>>,
    differences: Option<Lines<'a>>,
    printed: BufWriter<Box<dyn Write>>,
    /// Whether anything is written besides what is printed.
    has_files: bool,
    /// Differences that were printed, and that were too many to be.
    shown: u64,
    comment: String,
}

struct Capture<'a> {
    writer: CaptureWriter<Sink>,
    path: &'a Path,
}

struct Lines<'a> {
    writer: Sink,
    path: &'a Path,
}

impl<'a> Outputs<'a> {
    pub(super) fn open(arguments: &'a Arguments, lab: &Lab) -> Result<Self, Stop> {
        let mut out = Capture::open(arguments.out.as_deref())?;
        if let Some(capture) = &mut out {
            for name in lab.interface_names().iter().filter(|name| name.as_str() != "lo") {
                let written = capture.writer.interface(name.as_str());
                written.map_err(|error| cannot_write(capture.path, &error))?;
            }
        }
        Ok(Self {
            out,
            annotated: Capture::open(arguments.annotate.as_deref())?,
            json: Lines::open(arguments.json.as_deref())?,
            differences: Lines::open(arguments.differences.as_deref())?,
            printed: BufWriter::with_capacity(BUFFER, Box::new(standard::output())),
            has_files: super::arguments::written(arguments)
                .iter()
                .any(|(_, path)| path.is_some()),
            shown: 0,
            comment: String::new(),
        })
    }

    /// What became of a packet; under the other rules too, where there are some.
    pub(super) fn packet(
        &mut self,
        passed: &Passed<'_>,
        compared: Option<&Passed<'_>>,
        packet: &CapturedPacket<'_>,
    ) -> Result<(), Stop> {
        if let Some(capture) = &mut self.out {
            for left in passed.meanwhile() {
                let comment = "the router's own, because time went on";
                capture.write(left.interface.as_str(), passed, left.bytes, comment)?;
            }
            for left in passed.output() {
                self.comment.clear();
                passed.write_comment_of(&left, &mut self.comment);
                capture.write(left.interface.as_str(), passed, left.bytes, &self.comment)?;
            }
        }
        if let Some(capture) = &mut self.annotated {
            self.comment.clear();
            passed.write_comment(&mut self.comment);
            if let Some(compared) = compared {
                self.comment.push_str(" | against: ");
                compared.write_comment(&mut self.comment);
            }
            capture.copy(passed.interface().as_str(), packet.time, packet.frame, &self.comment)?;
        }
        if let Some(lines) = &mut self.json {
            lines.line(|writer| passed.write_json(writer, compared))?;
        }
        Ok(())
    }

    /// A packet that never came to the router.
    pub(super) fn unused(&mut self, number: u64, interface: &str, reason: &str) -> Result<(), Stop> {
        match &mut self.json {
            Some(lines) => lines.line(|writer| write_unused_json(writer, number, interface, reason)),
            None => Ok(()),
        }
    }

    pub(super) fn annotate_unused(
        &mut self,
        interface: Option<&str>,
        time: Time,
        frame: Frame<'_>,
        reason: &str,
    ) -> Result<(), Stop> {
        match &mut self.annotated {
            Some(capture) => capture.copy(
                interface.unwrap_or("unknown"),
                time,
                frame,
                &format!("not replayed: {reason}"),
            ),
            None => Ok(()),
        }
    }

    /// A packet's story; behind this number, where it doesn't say it.
    pub(super) fn explain(&mut self, number: Option<u64>, story: &str) -> Result<(), Stop> {
        let named = match number {
            Some(number) => write!(self.printed, "packet {number}, "),
            None => Ok(()),
        };
        let written = named
            .and_then(|()| self.printed.write_all(&bytes_of(story)))
            .and_then(|()| self.printed.write_all(b"\n"));
        self.printed_or_gone(written)
    }

    pub(super) fn difference(&mut self, all: &Differences, difference: &Difference, limit: u64) -> Result<(), Stop> {
        if let Some(lines) = &mut self.differences {
            lines.line(|writer| all.write_packet_json(writer, difference))?;
        }
        self.shown += 1;
        if self.shown > limit {
            return Ok(());
        }
        let written = self.printed.write_all(&bytes_of(&all.packet_text(difference)));
        self.printed_or_gone(written)
    }

    pub(super) fn differences_end(&mut self, all: &Differences, limit: usize) -> Result<(), Stop> {
        if let Some(lines) = &mut self.differences {
            let written = all.write_end_json(&mut lines.writer);
            written.map_err(|error| cannot_write(lines.path, &error))?;
        }
        let mut text = String::new();
        if self.shown > limit as u64 {
            text = format!(
                "and {} packets more (--limit shows more, --differences writes all)\n",
                self.shown - limit as u64
            );
        }
        if self.shown > 0 {
            text.push('\n');
        }
        text += &all.text(limit);
        let written = self.printed.write_all(&bytes_of(&text));
        self.printed_or_gone(written)
    }

    /// Everything written; what goes to files is yet to take its place.
    pub(super) fn finish(mut self) -> Result<Results<'a>, Stop> {
        let printed = self.printed.flush();
        self.printed_or_gone(printed)?;
        let mut results = Results::default();
        for capture in [self.out, self.annotated].into_iter().flatten() {
            let finished = capture.writer.finish();
            let sink = finished.map_err(|error| cannot_write(capture.path, &error))?;
            results.add(sink, capture.path)?;
        }
        for lines in [self.json, self.differences].into_iter().flatten() {
            results.add(lines.writer, lines.path)?;
        }
        Ok(results)
    }

    /// Whoever reads may have seen enough (`nflab replay --explain all ... | head`): that ends the replay where no file is to be completed.
    fn printed_or_gone(&mut self, written: io::Result<()>) -> Result<(), Stop> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.has_files => {
                self.printed = BufWriter::new(Box::new(io::sink()));
                Ok(())
            }
            written => written.map_err(|error| cannot_write(Path::new("-"), &error)),
        }
    }
}

impl<'a> Capture<'a> {
    fn open(path: Option<&'a Path>) -> Result<Option<Self>, Stop> {
        let Some(path) = path else { return Ok(None) };
        let writer = CaptureWriter::new(Sink::open(path)?);
        let writer = writer.map_err(|error| cannot_write(path, &error))?;
        Ok(Some(Self { writer, path }))
    }

    fn write(&mut self, interface: &str, passed: &Passed<'_>, bytes: &[u8], comment: &str) -> Result<(), Stop> {
        let written = self.writer.write(interface, passed.time(), bytes, Some(comment));
        written.map_err(|error| cannot_write(self.path, &error))
    }

    /// A packet as it was captured.
    fn copy(&mut self, interface: &str, time: Time, frame: Frame<'_>, comment: &str) -> Result<(), Stop> {
        let interface = if interface.is_empty() { LOCAL } else { interface };
        let written = self.writer.write_frame(interface, time, frame, Some(comment));
        written.map_err(|error| cannot_write(self.path, &error))
    }
}

impl<'a> Lines<'a> {
    fn open(path: Option<&'a Path>) -> Result<Option<Self>, Stop> {
        let Some(path) = path else { return Ok(None) };
        let writer = Sink::open(path)?;
        Ok(Some(Self { writer, path }))
    }

    fn line(&mut self, write: impl FnOnce(&mut Sink) -> io::Result<()>) -> Result<(), Stop> {
        write(&mut self.writer)
            .and_then(|()| self.writer.write_all(b"\n"))
            .map_err(|error| cannot_write(self.path, &error))
    }
}

/// A file that is being written, or standard output for `-`.
pub(super) enum Sink {
    Printed(BufWriter<standard::Output>),
    File(BufWriter<ResultFile>),
}

impl Sink {
    pub(super) fn open(path: &Path) -> Result<Self, Stop> {
        if path == Path::new("-") {
            return Ok(Self::Printed(BufWriter::with_capacity(BUFFER, standard::output())));
        }
        let file = ResultFile::create(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Self::File(BufWriter::with_capacity(BUFFER, file)))
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Printed(writer) => writer.write(bytes),
            Self::File(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Printed(writer) => writer.flush(),
            Self::File(writer) => writer.flush(),
        }
    }
}

/// Files that are written to their end.
#[derive(Default)]
pub(super) struct Results<'a>(Vec<(ResultFile, &'a Path)>);

impl<'a> Results<'a> {
    pub(super) fn add(&mut self, mut sink: Sink, path: &'a Path) -> Result<(), Stop> {
        sink.flush().map_err(|error| cannot_write(path, &error))?;
        if let Sink::File(writer) = sink {
            let file = writer.into_inner().map_err(|error| cannot_write(path, error.error()))?;
            self.0.push((file, path));
        }
        Ok(())
    }

    /// Each takes its place.
    pub(super) fn keep(self) -> Result<(), Stop> {
        for (file, path) in self.0 {
            file.keep().map_err(|error| cannot_write(path, &error))?;
        }
        Ok(())
    }
}

pub(super) fn cannot_write(path: &Path, error: &io::Error) -> Stop {
    let path = match path == Path::new("-") {
        true if error.kind() == io::ErrorKind::BrokenPipe => return Stop::Reader,
        true => {
            standard::failure_is_said();
            Path::new("standard output")
        }
        false => path,
    };
    Stop::Say(format!(
        "cannot write {}: {}",
        text_of_path(path),
        super::super::tools::said_by_system(error)
    ))
}

const BUFFER: usize = 128 << 10;
