//! A tool called as a program: it hands its arguments to the lab that runs, and prints what comes back.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;

use super::{TOOLBOX, open};
use crate::base::bytes::{bytes_of, text_of_os};
use crate::lab::control::{self, Client, Request};
use crate::lab::files::{gather, read_text};

pub fn run(name: &str, args: &[OsString]) -> u8 {
    let args: Vec<String> = args.iter().map(|arg| text_of_os(arg)).collect();
    let named = std::env::var("NFLAB").ok();
    let target = match control::find(named.as_deref(), running) {
        Ok(target) => target,
        // What a tool says of itself needs no lab: configure scripts ask for versions before anything runs.
        Err(_) if asks_about_itself(&args) => return of_itself(name, &args),
        Err(error) => {
            eprintln!("{name}: {error}");
            return NO_LAB;
        }
    };
    // Files are ours to open: as our user, before the lab is asked, and never because of what it answers.
    let needs = (TOOLBOX.needs)(name, &args);
    let mut too_much = None;
    let read_stdin = || {
        read_text(std::io::stdin()).unwrap_or_else(|why| {
            too_much = Some(why);
            String::new()
        })
    };
    let gathered = match gather(&needs, Path::new(""), read_stdin) {
        Ok(gathered) => gathered,
        Err(complaint) => return say("", &complaint, 1),
    };
    if let Some(why) = too_much {
        eprintln!("{name}: standard input: {why}");
        return 2;
    }
    let request = Request {
        tool: name.to_owned(),
        args: args.clone(),
        stdin: gathered.stdin,
        files: gathered.files,
    };
    let answered = Client::connect(&target.socket).and_then(|mut client| client.call(&request));
    match answered {
        Ok(response) => match gathered.output {
            None => say(&response.stdout, &response.stderr, response.code),
            Some(file) => {
                let written = file.write(&response.stdout);
                let code = say("", &response.stderr, response.code);
                match written {
                    Ok(()) => code,
                    Err(why) => {
                        eprintln!("{name}: {why}");
                        2
                    }
                }
            }
        },
        Err(_) if asks_about_itself(&args) => of_itself(name, &args),
        Err(error) => {
            eprintln!("{name}: the lab at {} went away: {error}", target.socket.display());
            NO_LAB
        }
    }
}

/// Nothing but its version or its help, so that nothing could be taken for done.
fn asks_about_itself(args: &[String]) -> bool {
    matches!(args, [only] if ["-V", "--version", "-h", "--help"].contains(&only.as_str()))
}

fn of_itself(name: &str, args: &[String]) -> u8 {
    match open::lab(None, 1) {
        Ok(mut lab) => {
            let output = lab.tool(name, args, "", Path::new("."));
            say(&output.stdout, &output.stderr, output.code)
        }
        Err(code) => code,
    }
}

fn say(stdout: &str, stderr: &str, code: i32) -> u8 {
    // Who closed our output has seen enough.
    let _ = std::io::stdout().write_all(&bytes_of(stdout));
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().write_all(&bytes_of(stderr));
    code as u8
}

/// The live labs of this machine, which only Linux has.
pub(super) fn running() -> Vec<control::Target> {
    #[cfg(target_os = "linux")]
    return crate::lab::place::Place::targets();
    #[cfg(not(target_os = "linux"))]
    return Vec::new();
}

const NO_LAB: u8 = 4;
