//! A tool called as a program: it hands its arguments to the lab that runs, and prints what comes back.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::current::{self, NO_LAB};
use super::{TOOLBOX, listen, open, tools};
use crate::base::bytes::text_of_os;
use crate::device::standard::{self, tell};
use crate::device::text_file::read_text;
use crate::lab::files::gather;
use crate::lab::request::{Request, Response};
use crate::live::control::Client;

pub(super) fn run(name: &str, args: &[OsString]) -> u8 {
    let args: Vec<String> = args.iter().map(|arg| text_of_os(arg)).collect();
    let target = match current::find() {
        Ok(target) => target,
        // What a tool says of itself needs no lab: configure scripts ask for versions before anything runs.
        Err(_) if asks_about_itself(&args) => return of_itself(name, &args),
        Err(error) => {
            tell!("{name}: {error}");
            return NO_LAB;
        }
    };
    if (TOOLBOX.goes_on)(name, &args) {
        return listen::run(name, &args, &target);
    }
    // Files are ours to open: as our user, before the lab is asked, and never because of what it answers.
    let needs = (TOOLBOX.needs)(name, &args);
    let mut too_much = None;
    let read_stdin = || {
        read_text(std::io::stdin()).unwrap_or_else(|why| {
            too_much = Some(why);
            String::new()
        })
    };
    let gathered = match gather(TOOLBOX.opener, &needs, Path::new(""), read_stdin) {
        Ok(gathered) => gathered,
        Err(complaint) => return say(name, "", &complaint, 1),
    };
    if let Some(why) = too_much {
        tell!("{name}: standard input: {why}");
        return 2;
    }
    let request = Request {
        tool: name.to_owned(),
        args: args.clone(),
        stdin: gathered.stdin,
        files: gathered.files,
    };
    let answered = ask(&target.socket, &request);
    match answered {
        Ok(response) => match gathered.output {
            None => say(name, &response.stdout, &response.stderr, response.code),
            Some(file) => {
                let written = file.write(&response.stdout);
                let code = say(name, "", &response.stderr, response.code);
                match written {
                    Ok(()) => code,
                    Err(why) => {
                        tell!("{name}: {why}");
                        2
                    }
                }
            }
        },
        Err(_) if asks_about_itself(&args) => of_itself(name, &args),
        Err(error) => {
            tell!("{name}: {}", current::what_became(&target.socket, &error));
            NO_LAB
        }
    }
}

/// Asks again where the lab has too much to do, for a while, as the real tools wait for their lock.
fn ask(socket: &Path, request: &Request) -> io::Result<Response> {
    let until = Instant::now() + BUSY;
    loop {
        let answer = Client::connect(socket).and_then(|mut client| client.call(request))?;
        if !answer.busy || Instant::now() >= until {
            return Ok(answer);
        }
        std::thread::sleep(BEFORE_ASKING_AGAIN);
    }
}

/// How long a lab may be too busy to answer.
const BUSY: Duration = Duration::from_secs(5);
const BEFORE_ASKING_AGAIN: Duration = Duration::from_millis(50);

/// Nothing but its version or its help, so that nothing could be taken for done.
fn asks_about_itself(args: &[String]) -> bool {
    matches!(args, [only] if ["-V", "--version", "-h", "--help"].contains(&only.as_str()))
}

fn of_itself(name: &str, args: &[String]) -> u8 {
    match open::lab(None, open::As::default(), 1) {
        Ok(mut lab) => {
            let output = lab.tool(name, args, "", Path::new("."));
            say(name, &output.stdout, &output.stderr, output.code)
        }
        Err(code) => code,
    }
}

/// Prints what came back. Where it could not be written, a tool that notices says so in its own words, and exits as it does (asked of the real
/// ones with `/dev/full`). Those of rules and connections do not notice, and a save that was lost would be taken for one that was kept: that is
/// said here, with our own exit code. But who closed standard output asks for nothing, which scripts do to hear the exit code only.
fn say(name: &str, stdout: &str, stderr: &str, code: i32) -> u8 {
    let written = standard::try_say(stdout);
    standard::tell_text(stderr);
    let error = match written {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => error,
        _ => return code as u8,
    };
    standard::failure_is_said();
    let why = tools::said_by_system(&error);
    if name == "sysctl" {
        tell!("sysctl: write error: {why}");
        return 1;
    }
    if standard::was_closed() {
        return code as u8;
    }
    tell!("{name}: cannot write standard output: {why}");
    2
}
