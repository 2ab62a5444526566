//! The files a replay writes, and what it prints.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::lanes::{self, Batch, FrameOut, Frames, Pieces};
use super::screen::{Again, Printing};
use super::{Arguments, Stop};
use crate::base::Time;
use crate::base::bytes::{bytes_in, bytes_of, text_of_path};
use crate::device::result_file::ResultFile;
use crate::device::standard;
use crate::device::{CaptureWriter, Frame};
use crate::lab::memory::{LOCAL, Lab};
use crate::replay::record::write_unused_json;
use crate::replay::{Difference, Differences, Left, Passed};

pub(super) struct Outputs<'a> {
    out: Option<Capture<'a>>,
    annotated: Option<Capture<'a>>,
    json: Option<Lines<'a>>,
    differences: Option<Lines<'a>>,
    printed: Printed,
    /// Whether anything is written besides what is printed.
    has_files: bool,
    /// Differences that were printed, and that were too many to be.
    shown: u64,
    comment: String,
}

/// A result that is written here, or what a worker has for it.
enum To<W, L> {
    Here(W),
    Lane(L),
}

struct Capture<'a> {
    to: To<CaptureWriter<Sink>, Frames>,
    path: &'a Path,
}

struct Lines<'a> {
    to: To<Sink, Pieces>,
    path: &'a Path,
    line: Vec<u8>,
}

type Printed = To<BufWriter<Box<dyn Write + Send>>, Pieces>;

impl<'a> Outputs<'a> {
    pub(super) fn open(arguments: &'a Arguments, lab: &Lab, again: &Again) -> Result<Self, Stop> {
        let mut out = Capture::open(arguments.out.as_deref(), again)?;
        if let Some(Capture {
            to: To::Here(writer),
            path,
        }) = &mut out
        {
            for name in lab.interface_names().iter().filter(|name| name.as_str() != "lo") {
                let written = writer.interface(name.as_str());
                written.map_err(|error| cannot_write(path, &error))?;
            }
        }
        Ok(Self {
            out,
            annotated: Capture::open(arguments.annotate.as_deref(), again)?,
            json: Lines::open(arguments.json.as_deref(), again)?,
            differences: Lines::open(arguments.differences.as_deref(), again)?,
            printed: To::Here(BufWriter::with_capacity(BUFFER, Box::new(again.output()))),
            has_files: super::arguments::written(arguments)
                .iter()
                .any(|(_, path)| path.is_some()),
            shown: 0,
            comment: String::new(),
        })
    }

    /// For a worker: it keeps in lanes what is to be written.
    pub(super) fn lanes(&self) -> Self {
        let capture = |capture: &Option<Capture<'a>>| {
            let capture = capture.as_ref()?;
            let to = To::Lane(Frames::default());
            Some(Capture { to, path: capture.path })
        };
        let lines = |lines: &Option<Lines<'a>>| {
            let lines = lines.as_ref()?;
            Some(Lines {
                to: To::Lane(Pieces::default()),
                path: lines.path,
                line: Vec::new(),
            })
        };
        Self {
            out: capture(&self.out),
            annotated: capture(&self.annotated),
            json: lines(&self.json),
            differences: lines(&self.differences),
            printed: To::Lane(Pieces::default()),
            has_files: self.has_files,
            shown: 0,
            comment: String::new(),
        }
    }

    /// What is in the lanes by now; this empty room takes its place.
    pub(super) fn take_batch(&mut self, mut room: Batch) -> Batch {
        for (capture, room) in [
            (&mut self.out, &mut room.out),
            (&mut self.annotated, &mut room.annotated),
        ] {
            if let Some(Capture { to: To::Lane(lane), .. }) = capture {
                std::mem::swap(lane, room);
            }
        }
        if let Some(Lines { to: To::Lane(lane), .. }) = &mut self.json {
            std::mem::swap(lane, &mut room.json);
        }
        if let To::Lane(lane) = &mut self.printed {
            std::mem::swap(lane, &mut room.printed);
        }
        room
    }

    /// What all workers have of one stretch of the capture.
    pub(super) fn write(&mut self, batches: &[Batch]) -> Result<(), Stop> {
        for (capture, lane) in [
            (&mut self.out, (|batch| &batch.out) as fn(&Batch) -> &Frames),
            (&mut self.annotated, |batch| &batch.annotated),
        ] {
            if let Some(capture) = capture {
                let all: Vec<&Frames> = batches.iter().map(lane).collect();
                lanes::frames(&all, |frame| capture.frame(0, frame))?;
            }
        }
        if let Some(lines) = &mut self.json {
            let all: Vec<&Pieces> = batches.iter().map(|batch| &batch.json).collect();
            let written = lanes::pieces(&all, |piece| lines.put(0, piece));
            written.map_err(|error| cannot_write(lines.path, &error))?;
        }
        let all: Vec<&Pieces> = batches.iter().map(|batch| &batch.printed).collect();
        lanes::pieces(&all, |piece| self.print(0, |printed| printed.write_all(piece)))
    }

    /// Whether it is asked how the capture has a packet.
    pub(super) fn copies_frames(&self) -> bool {
        self.annotated.is_some()
    }

    /// What became of a packet; under the other rules too, where there are some. The frame is that of the capture, where [`Self::copies_frames`].
    #[inline]
    pub(super) fn packet(
        &mut self,
        passed: &Passed<'_>,
        compared: Option<&Passed<'_>>,
        frame: Option<(Time, Frame<'_>)>,
    ) -> Result<(), Stop> {
        let number = passed.number();
        if let Some(capture) = &mut self.out {
            for left in passed.meanwhile() {
                let comment = "the router's own, because time went on";
                capture.left(passed, &left, comment)?;
            }
            for left in passed.output() {
                self.comment.clear();
                passed.write_comment_of(&left, &mut self.comment);
                capture.left(passed, &left, &self.comment)?;
            }
        }
        if let (Some(capture), Some(frame)) = (&mut self.annotated, frame) {
            self.comment.clear();
            passed.write_comment(&mut self.comment);
            if let Some(compared) = compared {
                self.comment.push_str(" | against: ");
                compared.write_comment(&mut self.comment);
            }
            let interface = passed.interface();
            capture.copy(number, interface.as_str(), frame, &self.comment)?;
        }
        if let Some(lines) = &mut self.json {
            lines.line(number, |line| passed.write_json(line, compared))?;
        }
        Ok(())
    }

    /// A packet that never came to the router.
    pub(super) fn unused(&mut self, number: u64, interface: &str, reason: &str) -> Result<(), Stop> {
        match &mut self.json {
            Some(lines) => lines.line(number, |line| write_unused_json(line, number, interface, reason)),
            None => Ok(()),
        }
    }

    pub(super) fn annotate_unused(
        &mut self,
        number: u64,
        interface: Option<&str>,
        frame: (Time, Frame<'_>),
        reason: &str,
    ) -> Result<(), Stop> {
        match &mut self.annotated {
            Some(capture) => {
                let comment = format!("not replayed: {reason}");
                capture.copy(number, interface.unwrap_or("unknown"), frame, &comment)
            }
            None => Ok(()),
        }
    }

    /// A packet's story; behind its number, where it doesn't say it.
    pub(super) fn explain(&mut self, number: u64, is_named: bool, story: &str) -> Result<(), Stop> {
        self.print(number, |printed| {
            if !is_named {
                write!(printed, "packet {number}, ")?;
            }
            printed.write_all(&bytes_in(story))?;
            printed.write_all(b"\n")
        })
    }

    pub(super) fn difference(&mut self, all: &Differences, difference: &Difference, limit: u64) -> Result<(), Stop> {
        if let Some(lines) = &mut self.differences {
            lines.line(difference.number, |line| all.write_packet_json(line, difference))?;
        }
        self.shown += 1;
        if self.shown > limit {
            return Ok(());
        }
        let text = all.packet_text(difference);
        self.print(difference.number, |printed| printed.write_all(&bytes_of(&text)))
    }

    pub(super) fn differences_end(&mut self, all: &Differences, limit: usize) -> Result<(), Stop> {
        if let Some(lines) = &mut self.differences {
            let mut end = Vec::new();
            let written = all.write_end_json(&mut end).and_then(|()| lines.put(u64::MAX, &end));
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
        self.print(u64::MAX, |printed| printed.write_all(&bytes_of(&text)))
    }

    /// Everything written; what goes to files is yet to take its place.
    pub(super) fn finish(mut self) -> Result<Results<'a>, Stop> {
        self.print(u64::MAX, |printed| printed.flush())?;
        let mut results = Results::default();
        for Capture { to, path } in [self.out, self.annotated].into_iter().flatten() {
            if let To::Here(writer) = to {
                let sink = writer.finish().map_err(|error| cannot_write(path, &error))?;
                results.add(sink, path)?;
            }
        }
        for Lines { to, path, .. } in [self.json, self.differences].into_iter().flatten() {
            if let To::Here(sink) = to {
                results.add(sink, path)?;
            }
        }
        Ok(results)
    }

    fn print(&mut self, number: u64, print: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Stop> {
        let written = match &mut self.printed {
            To::Here(printed) => print(printed),
            To::Lane(lane) => print(lane.of(number)),
        };
        self.printed_or_gone(written)
    }

    /// Whoever reads may have seen enough (`nflab replay --explain all ... | head`): that ends the replay where no file is to be completed.
    fn printed_or_gone(&mut self, written: io::Result<()>) -> Result<(), Stop> {
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe && self.has_files => {
                self.printed = To::Here(BufWriter::new(Box::new(io::sink())));
                Ok(())
            }
            written => written.map_err(|error| cannot_write(Path::new("-"), &error)),
        }
    }
}

impl<'a> Capture<'a> {
    fn open(path: Option<&'a Path>, again: &Again) -> Result<Option<Self>, Stop> {
        let Some(path) = path else { return Ok(None) };
        let writer = CaptureWriter::new(Sink::open(path, again)?);
        let writer = writer.map_err(|error| cannot_write(path, &error))?;
        let to = To::Here(writer);
        Ok(Some(Self { to, path }))
    }

    fn frame(&mut self, number: u64, out: &FrameOut<'_>) -> Result<(), Stop> {
        match &mut self.to {
            To::Here(writer) => writer
                .write_frame(out.interface, out.time, out.frame, Some(out.comment))
                .map_err(|error| cannot_write(self.path, &error)),
            To::Lane(lane) => {
                lane.push(number, out);
                Ok(())
            }
        }
    }

    /// A packet that left because of another.
    fn left(&mut self, passed: &Passed<'_>, left: &Left<'_>, comment: &str) -> Result<(), Stop> {
        let out = FrameOut {
            interface: left.interface.as_str(),
            time: passed.time(),
            frame: Frame::raw(left.bytes),
            comment,
        };
        self.frame(passed.number(), &out)
    }

    /// A packet as it was captured.
    fn copy(
        &mut self,
        number: u64,
        interface: &str,
        (time, frame): (Time, Frame<'_>),
        comment: &str,
    ) -> Result<(), Stop> {
        let interface = if interface.is_empty() { LOCAL } else { interface };
        let out = FrameOut {
            interface,
            time,
            frame,
            comment,
        };
        self.frame(number, &out)
    }
}

impl<'a> Lines<'a> {
    fn open(path: Option<&'a Path>, again: &Again) -> Result<Option<Self>, Stop> {
        let Some(path) = path else { return Ok(None) };
        let to = To::Here(Sink::open(path, again)?);
        let line = Vec::new();
        Ok(Some(Self { to, path, line }))
    }

    fn line(&mut self, number: u64, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<(), Stop> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        let written = write(&mut line).and_then(|()| {
            line.push(b'\n');
            self.put(number, &line)
        });
        self.line = line;
        written.map_err(|error| cannot_write(self.path, &error))
    }

    fn put(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        match &mut self.to {
            To::Here(sink) => sink.write_all(bytes),
            To::Lane(lane) => {
                lane.of(number).extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

/// A file that is being written, or standard output for `-`.
pub(super) enum Sink {
    Printed(BufWriter<Printing>),
    File(BufWriter<ResultFile>),
}

impl Sink {
    pub(super) fn open(path: &Path, again: &Again) -> Result<Self, Stop> {
        if path == Path::new("-") {
            return Ok(Self::Printed(BufWriter::with_capacity(BUFFER, again.output())));
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
