//! A tool called as a program: it hands its arguments to the lab that runs, and prints what comes back.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read, Write};

use super::tools;
use crate::lab::control::{self, Client, Request};

pub fn run(name: &str, args: &[OsString]) -> u8 {
    let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let named = std::env::var("NFLAB").ok();
    let target = match control::find(named.as_deref(), running) {
        Ok(target) => target,
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
        args,
        stdin: String::from_utf8_lossy(&stdin).into_owned(),
        env: BTreeMap::from([("PWD".to_owned(), directory.to_string_lossy().into_owned())]),
    };
    let answered = Client::connect(&target.socket).and_then(|mut client| client.call(&request));
    match answered {
        Ok(response) => {
            // Who closed our output has seen enough.
            let _ = std::io::stdout().write_all(response.stdout.as_bytes());
            let _ = std::io::stdout().flush();
            let _ = std::io::stderr().write_all(response.stderr.as_bytes());
            response.code as u8
        }
        Err(error) => {
            eprintln!("{name}: the lab at {} went away: {error}", target.socket.display());
            NO_LAB
        }
    }
}

/// The live labs of this machine, which only Linux has.
fn running() -> Vec<control::Target> {
    #[cfg(target_os = "linux")]
    return crate::lab::place::Place::targets();
    #[cfg(not(target_os = "linux"))]
    return Vec::new();
}

const NO_LAB: u8 = 4;
