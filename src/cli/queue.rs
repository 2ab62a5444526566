//! `nflab queue`: listens at a queue of a live lab and decides of what waits there: by what is typed, or by a program that reads and writes lines.

use std::io;
use std::os::fd::AsFd;

use super::current::{self, NO_LAB};
use super::listen::{Ending, Happened};
use crate::device::standard::{self, tell};
use crate::lab::request::{Request, Response};
use crate::live::control::{Client, Target};
use crate::live::queue::TOOL;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// As `--queue-num` names it
    #[arg(value_name = "NUMBER")]
    number: u16,
    /// So many packets wait at most [default: 1024]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    maximum: Option<u32>,
    /// What finds the queue full goes on behind its table instead of being dropped
    #[arg(long)]
    fail_open: bool,
    /// Let each packet go on; standard input is not read
    #[arg(long, conflicts_with = "drop")]
    accept: bool,
    /// Drop each packet; standard input is not read
    #[arg(long)]
    drop: bool,
    /// An object for each packet, a line each, with its bytes in hex
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn request(&self) -> Request {
        let mut args = vec![self.number.to_string(), "open".to_owned()];
        if let Some(maximum) = self.maximum {
            args.extend(["maximum".to_owned(), maximum.to_string()]);
        }
        if self.fail_open {
            args.push("fail-open".to_owned());
        }
        if self.json {
            args.push("--json".to_owned());
        }
        of(args)
    }

    /// What is decided of each packet, where nobody is asked.
    fn of_each(&self) -> Option<&'static str> {
        match (self.accept, self.drop) {
            (true, _) => Some("accept"),
            (_, true) => Some("drop"),
            _ => None,
        }
    }
}

fn of(args: Vec<String>) -> Request {
    Request {
        tool: TOOL.to_owned(),
        args,
        ..Request::default()
    }
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let target = match current::find_or_say("") {
        Ok(target) => target,
        Err(code) => return code,
    };
    match listen(arguments, &target) {
        Ok(code) => code,
        Err(error) => current::gone(&target.socket, &error),
    }
}

fn listen(arguments: &Arguments, target: &Target) -> io::Result<u8> {
    let ending = match Ending::awaited() {
        Ok(ending) => ending,
        Err(error) => {
            tell!("nflab: signals cannot be waited for: {error}");
            return Ok(3);
        }
    };
    let mut client = Client::connect(&target.socket)?;
    let opened = client.call(&arguments.request())?;
    standard::tell_text(&opened.stderr);
    if opened.code != 0 {
        return Ok(opened.code as u8);
    }
    let mut judge = Judge {
        queue: arguments.number,
        client: Client::connect(&target.socket)?,
        code: 0,
    };
    let stdin = io::stdin();
    let mut typed = Typed::default();
    loop {
        let asked = arguments.of_each().is_none().then(|| stdin.as_fd());
        match ending.or_else(&client, asked)? {
            Happened::Ended => return Ok(judge.code),
            Happened::Typed => match typed.read(&stdin) {
                Ok(Some(lines)) => lines.iter().try_for_each(|line| judge.say(line.split_whitespace()))?,
                // Nobody decides any more; what waits is dropped with the queue.
                Ok(None) => return Ok(judge.code),
                Err(error) => {
                    tell!("nflab: standard input cannot be read: {error}");
                    return Ok(2);
                }
            },
            Happened::Answered => {
                let Some(Response { stdout, stderr, .. }) = client.next_answer()? else {
                    tell!("nflab: the lab is down");
                    return Ok(NO_LAB);
                };
                standard::tell_text(&stderr);
                // Whoever read it has gone.
                if standard::try_say(&stdout).is_err() {
                    return Ok(judge.code);
                }
                if let (Some(verdict), Some(id)) = (arguments.of_each(), id_of(&stdout, arguments.json)) {
                    judge.say([verdict, &id].into_iter())?;
                }
            }
        }
    }
}

/// The packet's id in a line that shows it.
fn id_of(line: &str, is_json: bool) -> Option<String> {
    match is_json {
        true => {
            let shown: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(shown.get("id")?.to_string())
        }
        false => line.split(' ').next().map(str::to_owned),
    }
}

/// Sends what is decided.
struct Judge {
    queue: u16,
    client: Client,
    /// Of the process: of the last that the lab refused.
    code: u8,
}

impl Judge {
    fn say<'a>(&mut self, words: impl Iterator<Item = &'a str>) -> io::Result<()> {
        let mut args = vec![self.queue.to_string()];
        args.extend(words.map(str::to_owned));
        if args.len() == 1 {
            return Ok(());
        }
        let response = self.client.call(&of(args))?;
        standard::tell_text(&response.stderr);
        if response.code != 0 {
            self.code = response.code as u8;
        }
        Ok(())
    }
}

/// Lines of standard input as they become whole.
#[derive(Default)]
struct Typed {
    begun: Vec<u8>,
}

impl Typed {
    /// What is whole by now; `None` at its end, where an unfinished line counts for nothing. For an input that has something.
    fn read(&mut self, input: &io::Stdin) -> io::Result<Option<Vec<String>>> {
        let mut buffer = [0; 4096];
        match rustix::io::read(input.as_fd(), &mut buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => self.begun.extend_from_slice(&buffer[..count]),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
        let mut lines = Vec::new();
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let rest = self.begun.split_off(end + 1);
            let line = std::mem::replace(&mut self.begun, rest);
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
        if self.begun.len() > LONGEST_LINE {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a line of standard input does not end",
            ));
        }
        Ok(Some(lines))
    }
}

/// A verdict with the bytes of a packet, in hex, fits.
const LONGEST_LINE: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_in_either_form() {
        assert_eq!(id_of("12 FORWARD in lan: udp", false).as_deref(), Some("12"));
        assert_eq!(id_of("{\"id\":12,\"hook\":\"FORWARD\"}", true).as_deref(), Some("12"));
        assert_eq!(id_of("{}", true), None);
    }
}
