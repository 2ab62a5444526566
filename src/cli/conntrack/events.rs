//! `conntrack -E`: what happens to flows, as it happens, in the words of conntrack-tools 1.4.7 as seen by running it beside a flood.

use super::{EVERY_EVENT, Request, VERSION};
use crate::conntrack::text;
use crate::conntrack::{Event, Heard, Listener};
use crate::lab::machine::{Machine, ToolOutput};
use crate::lab::request::Response;
use crate::live::clock::Clock;

/// Somebody who listens to a lab's flows.
#[derive(Debug)]
pub(crate) struct Events {
    listener: Listener,
    request: Request,
    clock: Clock,
    /// Said before anything else.
    notice: Option<String>,
}

impl Events {
    /// `wake` is called whenever there is something new.
    pub(crate) fn new(
        machine: &Machine,
        args: &[String],
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<Self, ToolOutput> {
        let mut notice = String::new();
        let mut request = Request::read(args, &mut notice)?;
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
        let bound = bytes.unwrap_or(DEFAULT_BUFFER) / BYTES_OF_AN_EVENT;
        Ok(Self {
            listener: machine.router().flows().listen(bound as usize, wake),
            request,
            clock: Clock::new(),
            notice: Some(notice).filter(|text| !text.is_empty()),
        })
    }

    /// The next lines, if something has happened.
    pub(crate) fn next_lines(&mut self) -> Option<Response> {
        let mut response = Response {
            stderr: self.notice.take().unwrap_or_default(),
            ..Response::default()
        };
        for _ in 0..AT_ONCE {
            match self.listener.next_heard() {
                None => break,
                Some(Heard::Lost) => response.stderr += LOST,
                Some(Heard::Event(event)) => self.write(&mut response.stdout, &event),
            }
        }
        (response != Response::default()).then_some(response)
    }

    fn write(&self, out: &mut String, event: &Event) {
        let request = &self.request;
        if !request.events.contains(&event.kind) || !request.filter.lets_through(&event.flow) {
            return;
        }
        let now = self.clock.now();
        if request.timestamp {
            let since = now.since(crate::base::Time::ZERO);
            *out += &format!("[{}.{:06}]\t", since.as_secs(), since.subsec_micros());
        }
        *out += &text::event(event, request.extended, now);
        if request.id {
            *out += &format!(" id={}", event.flow.serial());
        }
        out.push('\n');
    }
}

/// What the tool says at its end.
pub(crate) fn farewell(lines: u64) -> String {
    format!("{VERSION}: {lines} flow events have been shown.\n")
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
