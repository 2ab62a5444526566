//! The current lab: whom a command means that names no lab. Decided here for all of them, and never an empty one by surprise.
//!
//! It is the lab of the `nflab sh` that the command runs in, else the one that `NFLAB` names, else the only one that runs. Whoever gives a lab or
//! rules in files (`--lab`, `--rules`) asks for a fresh one and does not come here.

use std::path::Path;

use super::tools::SHIMS;
use crate::base::bytes::{text_of_os, text_of_path};
use crate::device::standard::{self, tell};
use crate::lab::copy::LabCopy;
use crate::lab::request::{Request, Response};
use crate::live::control::{self, Client, FindError, Target};

/// Finds it.
pub(super) fn find() -> Result<Target, FindError> {
    control::find(named().as_deref(), &typed(), running)
}

/// What `NFLAB` says: a lab's name, or its control socket.
pub(super) fn named() -> Option<String> {
    let named = std::env::var_os("NFLAB").filter(|name| !name.is_empty());
    named.map(|name| text_of_os(&name))
}

/// The command that this process is, as one types it. By its tool's name alone it is repeated only where it was called so: without a link of
/// `nflab shims` in front, that is the machine's own tool.
fn typed() -> String {
    let mut words = std::env::args_os().map(|word| text_of_os(&word));
    let program = words.next().unwrap_or_default();
    as_typed(&program, words)
}

fn as_typed(program: &str, words: impl Iterator<Item = String>) -> String {
    let base = program.rsplit('/').next().unwrap_or_default();
    let mut text = match SHIMS.contains(&base) {
        true => in_a_shell(program),
        false => "nflab".to_owned(),
    };
    for word in words {
        let word = in_a_shell(&word);
        if text.len() + word.len() > LONGEST_EXAMPLE {
            return text + " ...";
        }
        text = format!("{text} {word}");
    }
    text
}

fn in_a_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%^".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        // A line stays one.
        false => format!("'{}'", word.replace('\'', "'\\''").replace(char::is_control, " ")),
    }
}

/// Finds it, or says that there is none and what to do; `instead` is how rules are given without a lab that runs.
pub(super) fn find_or_say(instead: &str) -> Result<Target, u8> {
    find().map_err(|error| {
        tell!("nflab: {error}");
        if !instead.is_empty() {
            tell!("nflab: {instead}");
        }
        NO_LAB
    })
}

/// One question, one answer.
pub(super) fn ask(target: &Target, request: &Request) -> Result<Response, u8> {
    Client::connect(&target.socket)
        .and_then(|mut client| client.call(request))
        .map_err(|error| gone(&target.socket, &error))
}

/// The lab as text.
pub(super) fn copy(target: &Target) -> Result<LabCopy, u8> {
    let request = Request {
        tool: "copy".to_owned(),
        ..Request::default()
    };
    let response = ask(target, &request)?;
    if response.code != 0 {
        standard::tell_text(&response.stderr);
        return Err(response.code as u8);
    }
    serde_json::from_str(&response.stdout).map_err(|error| {
        let socket = text_of_path(&target.socket);
        tell!("nflab: the lab at {socket} is of another version: its copy cannot be read ({error})");
        2
    })
}

pub(super) fn gone(socket: &Path, error: &std::io::Error) -> u8 {
    tell!("nflab: {}", what_became(socket, error));
    NO_LAB
}

/// Why there is no answer.
pub(super) fn what_became(socket: &Path, error: &std::io::Error) -> String {
    let verb = match error.kind() {
        std::io::ErrorKind::TimedOut => "hangs",
        _ => "went away",
    };
    format!("the lab at {} {verb}: {error}", text_of_path(socket))
}

/// The live labs of this machine, which only Linux has.
pub(super) fn running() -> Vec<Target> {
    #[cfg(target_os = "linux")]
    return crate::live::place::Place::targets();
    #[cfg(not(target_os = "linux"))]
    return Vec::new();
}

pub(super) const NO_LAB: u8 = 4;
/// What is longer is broken off between two words.
const LONGEST_EXAMPLE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_repeated_as_it_was_typed() {
        for (typed, repeated) in [
            (&["/usr/bin/nflab", "exec", "laptop"][..], "nflab exec laptop"),
            (
                &["nflab", "trace", "lan tcp a:1 > b:2 S"],
                "nflab trace 'lan tcp a:1 > b:2 S'",
            ),
            (&["nflab", "dmesg"], "nflab dmesg"),
            (&["nflab", "iptables", "-S", "it's"], "nflab iptables -S 'it'\\''s'"),
            // By a link it is not the machine's tool.
            (&["./shims/iptables", "-S"], "./shims/iptables -S"),
            (&["nflab", "cat", "one\ntwo"], "nflab cat 'one two'"),
        ] {
            let mut words = typed.iter().map(|word| (*word).to_owned());
            let program = words.next().unwrap();
            assert_eq!(as_typed(&program, words), repeated);
        }
        let long = std::iter::repeat_n("x".repeat(30), 9);
        assert!(as_typed("nflab", long).ends_with("xxx ..."));
    }
}
