//! Tools that go on until they are ended: `conntrack -E`, `dmesg --follow`. One request, many answers.

use std::path::Path;

use super::TOOLBOX;
use super::conntrack::events::{self, Events};
use super::current::{self, NO_LAB};
use super::dmesg;
use crate::device::standard::{self, tell};
use crate::lab::files::{Files, gather};
use crate::lab::machine::Machine;
use crate::lab::request::{Answer, Source, Waker};
use crate::lab::request::{Request, Response};
use crate::live::control::{Client, Target};

/// The lab's side.
pub(super) fn answer(machine: &Machine, request: &Request, waker: &Waker) -> Option<Answer> {
    if !(TOOLBOX.goes_on)(&request.tool, &request.args) {
        return None;
    }
    let waker = waker.clone();
    let wake = move || waker.wake();
    let source: Box<dyn Source> = match request.tool.as_str() {
        "dmesg" => Box::new(dmesg::Follower::new(machine, &request.args, wake)),
        _ => match Events::new(
            machine,
            &request.args,
            &Files::new(request.files.clone()),
            Box::new(wake),
        ) {
            Ok(events) => Box::new(events),
            Err(refused) => return Some(Response::from(refused).into()),
        },
    };
    Some(Answer {
        response: Response::default(),
        more: Some(source),
    })
}

impl Source for Events {
    fn next(&mut self) -> Option<Response> {
        self.next_lines()
    }
}

impl Source for dmesg::Follower {
    fn next(&mut self) -> Option<Response> {
        self.next_lines()
    }
}

/// The program's side: prints what comes until it is ended, or the lab goes.
pub(super) fn run(name: &str, args: &[String], target: &Target) -> u8 {
    let needs = (TOOLBOX.needs)(name, args);
    let request = Request {
        tool: name.to_owned(),
        args: args.to_vec(),
        files: gather(TOOLBOX.opener, &needs, Path::new(""), String::new)
            .map_or_else(|_| Vec::new(), |found| found.files),
        ..Request::default()
    };
    let gone = |error: &std::io::Error| current::gone(&target.socket, error);
    let ending = match Ending::awaited() {
        Ok(ending) => ending,
        Err(error) => {
            tell!("{name}: signals cannot be waited for: {error}");
            return 3;
        }
    };
    let mut client = match Client::connect(&target.socket) {
        Ok(client) => client,
        Err(error) => return gone(&error),
    };
    match client.call(&request) {
        Ok(response) if response.code == 0 => {}
        Ok(response) => {
            standard::tell_text(&response.stderr);
            return response.code as u8;
        }
        Err(error) => return gone(&error),
    }
    let mut lines = 0;
    let code = loop {
        match ending.or_else(&client, None) {
            Ok(Happened::Ended) => break 0,
            Ok(_) => {}
            Err(error) => return gone(&error),
        }
        match client.next_answer() {
            Ok(Some(response)) => {
                standard::tell_text(&response.stderr);
                lines += response.stdout.lines().count() as u64;
                // Whoever read it has gone.
                if standard::try_say(&response.stdout).is_err() {
                    return 0;
                }
            }
            Ok(None) => {
                tell!("nflab: the lab is down");
                break NO_LAB;
            }
            Err(error) => return gone(&error),
        }
    };
    if name == "conntrack" {
        let (end, said) = events::farewell(args, lines);
        let _ = standard::try_say(end);
        standard::tell_text(&said);
    }
    code
}

/// The signal that ends a tool that goes on.
#[cfg(target_os = "linux")]
pub(super) struct Ending(std::os::fd::OwnedFd);

/// What came first.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Ended,
    Answered,
    /// Standard input has something, or its end.
    Typed,
}

#[cfg(target_os = "linux")]
impl Ending {
    pub(super) fn awaited() -> std::io::Result<Self> {
        crate::device::syscall::termination_signals().map(Self)
    }

    /// Waits for the signal, an answer, or what is read besides.
    pub(super) fn or_else(
        &self,
        client: &Client,
        typed: Option<std::os::fd::BorrowedFd<'_>>,
    ) -> std::io::Result<Happened> {
        use rustix::event::{PollFd, PollFlags, poll};
        use std::os::fd::AsFd;

        loop {
            if client.has_some() {
                return Ok(Happened::Answered);
            }
            let mut all = vec![
                PollFd::new(&self.0, PollFlags::IN),
                PollFd::from_borrowed_fd(client.as_fd(), PollFlags::IN),
            ];
            all.extend(typed.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            match poll(&mut all, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let order = [Happened::Ended, Happened::Answered, Happened::Typed];
            if let Some((_, happened)) = all.iter().zip(order).find(|(fd, _)| !fd.revents().is_empty()) {
                return Ok(happened);
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
struct Ending;

#[cfg(not(target_os = "linux"))]
impl Ending {
    fn awaited() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// A signal ends the program at once.
    fn or_else(&self, _: &Client, _: Option<std::os::fd::BorrowedFd<'_>>) -> std::io::Result<Happened> {
        Ok(Happened::Answered)
    }
}
