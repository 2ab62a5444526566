//! `conntrack -E`: what happens to flows, as it happens, in the words of conntrack-tools 1.4.7 as seen by running it beside a flood.

use super::VERSION;
use super::output::{expectation_event, stamp};
use super::request::{EVERY_EVENT, Request, Surroundings, What};
use crate::conntrack::text::{self, Occasion, Syntax};
use crate::conntrack::{Event, ExpectationEvent, Heard, Listener};
use crate::lab::files::Files;
use crate::lab::machine::{Machine, ToolOutput};
use crate::lab::request::Response;
use crate::live::clock::Clock;

/// Somebody who listens to what happens in a lab.
#[derive(Debug)]
pub(crate) struct Events {
    listener: Listening,
    request: Request,
    clock: Clock,
    /// Said before anything else.
    notice: Option<String>,
    /// A document has been begun.
    began: bool,
}

#[derive(Debug)]
enum Listening {
    Flows(Listener<Event>),
    Expectations(Listener<ExpectationEvent>),
}

impl Events {
    /// `wake` is called whenever there is something new.
    pub(crate) fn new(
        machine: &Machine,
        args: &[String],
        files: &Files,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Self, ToolOutput> {
        let mut around = Surroundings::with(files);
        let mut request = Request::read(args, &mut around)?;
        let mut notice = around.warnings;
        if request.events.is_empty() {
            request.events.extend(EVERY_EVENT);
        }
        // The kernel doubles what is asked for, and has a least size.
        let bytes = request
            .buffer
            .map(|asked| asked.saturating_mul(2).clamp(LEAST_BUFFER, MOST_BUFFER));
        if let Some(bytes) = bytes {
            notice += &format!("NOTICE: Netlink socket buffer size has been set to {bytes} bytes.\n");
        }
        let bound = (bytes.unwrap_or(DEFAULT_BUFFER) / BYTES_OF_AN_EVENT) as usize;
        let table = machine.router().flows();
        Ok(Self {
            listener: match request.what {
                What::Expectations => Listening::Expectations(table.listen_to_expectations(bound, wake)),
                What::Flows | What::Passing => Listening::Flows(table.listen(bound, wake)),
            },
            request,
            clock: Clock::new(),
            notice: Some(notice).filter(|text| !text.is_empty()),
            began: false,
        })
    }

    /// The next lines, if something has happened.
    pub(crate) fn next_lines(&mut self) -> Option<Response> {
        let mut response = Response {
            stderr: self.notice.take().unwrap_or_default(),
            ..Response::default()
        };
        for _ in 0..AT_ONCE {
            let line = match &self.listener {
                Listening::Flows(listener) => match listener.next_heard() {
                    None => break,
                    Some(Heard::Lost) => None,
                    Some(Heard::Event(event)) => Some(self.flow(&event)),
                },
                Listening::Expectations(listener) => match listener.next_heard() {
                    None => break,
                    Some(Heard::Lost) => None,
                    Some(Heard::Event(event)) => Some(self.expectation(&event)),
                },
            };
            match line {
                None => response.stderr += LOST,
                Some(line) => self.write(&mut response.stdout, line),
            }
        }
        (response != Response::default()).then_some(response)
    }

    fn flow(&self, event: &Event) -> Option<String> {
        let request = &self.request;
        if !request.events.contains(&event.kind) || !request.lets_through(&event.flow) {
            return None;
        }
        let now = event.at.unwrap_or_else(|| self.clock.now());
        let when = request.output.timestamp.then_some(now);
        text::tool_flow(&event.flow, &request.output.form, Occasion::of(event, when), now)
    }

    fn expectation(&self, event: &ExpectationEvent) -> Option<String> {
        let output = &self.request.output;
        Some(expectation_event(
            output,
            &event.expectation,
            event.kind,
            self.clock.now(),
        ))
    }

    fn write(&mut self, out: &mut String, line: Option<String>) {
        let Some(line) = line else { return };
        let output = &self.request.output;
        match output.form.syntax {
            Syntax::Xml if !self.began => *out += document(&self.request)[0],
            Syntax::Plain if output.timestamp => *out += &stamp(self.clock.now()),
            _ => {}
        }
        self.began = true;
        *out += &line;
        out.push('\n');
    }
}

fn document(request: &Request) -> [&'static str; 2] {
    match request.what {
        What::Expectations => text::xml::EXPECTATIONS,
        What::Flows | What::Passing => text::xml::FLOWS,
    }
}

/// What the tool says at its end, on standard output and on standard error, having printed so many lines.
pub(crate) fn farewell(args: &[String], lines: u64) -> (&'static str, String) {
    let request = Request::read(args, &mut Surroundings::default());
    let is_document = |it: &&Request| lines > 0 && it.output.form.syntax == Syntax::Xml;
    let document = request.as_ref().ok().filter(is_document).map(document);
    let of_document = document.map_or(0, |[first, _]| first.lines().count() as u64);
    let what = match request {
        Ok(Request {
            what: What::Expectations,
            ..
        }) => "expectation",
        _ => "flow",
    };
    let said = format!("{VERSION}: {} {what} events have been shown.\n", lines - of_document);
    (document.map_or("", |[_, last]| last), said)
}

const LOST: &str = "\
WARNING: We have hit ENOBUFS! We are losing events.
This message means that the current netlink socket buffer size is too small.
Please, check --buffer-size in conntrack(8) manpage.
";

/// What a message takes in the kernel's buffers, roughly.
const BYTES_OF_AN_EVENT: u64 = 1024;
const LEAST_BUFFER: u64 = 2304;
/// Half a million events.
const MOST_BUFFER: u64 = 512 << 20;
/// More than the kernel's, since a line is made by the same machine that reads it.
const DEFAULT_BUFFER: u64 = 4 << 20;
/// Lines of one answer.
const AT_ONCE: usize = 256;
