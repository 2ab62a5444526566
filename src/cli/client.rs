//! A tool called as a program: it hands its arguments to the lab that runs, and prints what comes back.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;

use super::{open, tools};
use crate::lab::control::{self, Client, Request};

pub fn run(name: &str, args: &[OsString]) -> u8 {
    let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
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
    let mut stdin = Vec::new();
    if tools::reads_input(name, &args)
        && let Err(error) = std::io::stdin().read_to_end(&mut stdin)
    {
        eprintln!("{name}: cannot read standard input: {error}");
        return 2;
    }
    let directory = std::env::current_dir().unwrap_or_default();
    let request = Request {
        tool: name.to_owned(),
        args: args.clone(),
        stdin: String::from_utf8_lossy(&stdin).into_owned(),
        env: BTreeMap::from([("PWD".to_owned(), directory.to_string_lossy().into_owned())]),
    };
    let answered = Client::connect(&target.socket).and_then(|mut client| client.call(&request));
    match answered {
        Ok(response) => say(&response.stdout, &response.stderr, response.code),
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
    let _ = std::io::stdout().write_all(stdout.as_bytes());
    let _ = std::io::stdout().flush();
    let _ = std::io::stderr().write_all(stderr.as_bytes());
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
