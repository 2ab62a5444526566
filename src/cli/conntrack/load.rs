//! `conntrack -R FILE`: a line a call, all of them read before the first is done.

use super::request::{Command, Request, Surroundings, What};
use super::{Machine, ToolOutput, bad};
use crate::lab::files::Files;

/// The file that is to be read, where that is asked for: only the first argument is looked at, and only if another follows.
pub(super) fn file(args: &[String]) -> Option<&str> {
    match args {
        [first, name, ..] if first == "-R" || first == "--load-file" => Some(name),
        _ => None,
    }
}

pub(super) fn run(machine: &mut Machine, name: &str, stdin: &str, files: &Files) -> ToolOutput {
    let text = match name {
        "-" => stdin.to_owned(),
        _ => match files.take(name) {
            Ok(text) => text,
            // Seen: a directory can be opened, and holds nothing.
            Err(why) if why == "Is a directory" => String::new(),
            Err(_) => return bad(&format!("Failed to open file {name} for reading")),
        },
    };
    let mut around = Surroundings::with(files);
    let calls = read(&text, &mut around);
    let mut done = ToolOutput {
        stderr: around.warnings,
        ..ToolOutput::default()
    };
    let calls = match calls {
        Ok(calls) => calls,
        Err(wrong) => {
            return ToolOutput {
                stderr: done.stderr + &wrong.stderr,
                ..wrong
            };
        }
    };
    for call in calls {
        let output = call.run(machine);
        done.stdout += &output.stdout;
        if output.code != 0 && !is_count_of_none(&call, &output) {
            done.stderr += &output.stderr;
            return ToolOutput {
                code: output.code,
                ..done
            };
        }
        // Seen: what was counted is not said.
        if call.command == Command::Flush {
            done.stderr += &output.stderr;
        }
    }
    done
}

fn read(text: &str, around: &mut Surroundings<'_>) -> Result<Vec<Request>, ToolOutput> {
    let mut calls = Vec::new();
    for line in text.lines() {
        let args = words(line);
        if args.is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let request = Request::read(&args, around)?;
        if let Some(called) = refused(&request) {
            return Err(bad(&format!("Cannot use command `{called}' with --load-file")));
        }
        calls.push(request);
    }
    Ok(calls)
}

/// What a command is called that can't stand in a file.
fn refused(request: &Request) -> Option<String> {
    let letter = match request.command {
        Command::Create | Command::Add | Command::Update | Command::Delete | Command::Flush => return None,
        Command::List => "-L",
        Command::Get => "-G",
        Command::Events => "-E",
        Command::Count => "-C",
        Command::Statistics => "-S",
        Command::Version => "-V",
        Command::Help => "-h",
        Command::Nothing => "unknown",
    };
    let table = match request.what {
        What::Expectations => " expect",
        What::Flows | What::Passing => "",
    };
    Some(format!("{letter}{table}"))
}

fn is_count_of_none(call: &Request, output: &ToolOutput) -> bool {
    let counts = matches!(call.command, Command::Update | Command::Delete) && call.what == What::Flows;
    counts && output.stderr.contains(": 0 flow entries have been ")
}

/// Blanks and tabs part the words of a line; double quotes keep them together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' | '\t' | '\r' if !quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}
