//! The interactive line editor over a lab: the language of `nflab run`, with history, completion and here-documents.

mod complete;

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Editor};

use crate::base::Time;
use crate::base::bytes::text_of;
use crate::device::standard::{self, say, tell, tell_styled};
use crate::lab::conversation::Hosts;
use crate::lab::memory::Lab;
use crate::lab::problem::Source;
use crate::lab::script::{Runner, parse_in};
use complete::Assistant;

/// Reads commands until their end; returns the exit code.
pub fn run(lab: Lab, hosts: Hosts) -> u8 {
    let mut runner = Runner::new(lab, PathBuf::from("."));
    runner.hosts = hosts;
    if !std::io::stdin().is_terminal() {
        return piped(&mut runner);
    }
    let config = Config::builder()
        .auto_add_history(true)
        .completion_type(rustyline::CompletionType::List)
        .build();
    let mut editor: Editor<Assistant, DefaultHistory> = match Editor::with_config(config) {
        Ok(editor) => editor,
        Err(error) => {
            tell!("nflab: this terminal can't be edited on ({error}); pipe commands in, or use `nflab run -`");
            return 3;
        }
    };
    editor.set_helper(Some(Assistant::new(runner.lab.machine.toolbox())));
    let history = history_file();
    if let Some(path) = &history {
        // None yet: the first time.
        let _ = editor.load_history(path);
    }
    runner.styled = standard::has_colours();
    say!("{GREETING}");
    loop {
        if let Some(assistant) = editor.helper_mut() {
            assistant.look_at(&runner.lab);
        }
        match editor.readline(&prompt(&runner)) {
            Ok(text) if matches!(text.trim(), "exit" | "quit") => break,
            Ok(text) => line(&mut runner, &text),
            Err(ReadlineError::Interrupted) => say!("(^D or `exit` leaves)"),
            Err(ReadlineError::Eof) => break,
            Err(error) => {
                tell!("nflab: {error}");
                break;
            }
        }
    }
    if let Some(path) = &history {
        let _ = editor.save_history(path);
    }
    0
}

/// Not a terminal: the same, without a prompt; what spans several lines is gathered as the editor would.
fn piped(runner: &mut Runner) -> u8 {
    let mut pending = String::new();
    for bytes in std::io::stdin().lock().split(b'\n') {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                tell!("nflab: cannot read standard input: {error}");
                return 2;
            }
        };
        let text = text_of(bytes.strip_suffix(b"\r").unwrap_or(&bytes));
        if pending.is_empty() && matches!(text.trim(), "exit" | "quit") {
            return 0;
        }
        pending.push_str(&text);
        pending.push('\n');
        if complete::is_complete(&pending) {
            line(runner, &std::mem::take(&mut pending));
        }
    }
    if !pending.is_empty() {
        line(runner, &pending);
    }
    0
}

/// Does what was typed. Nothing of it ends the session.
fn line(runner: &mut Runner, text: &str) {
    let source = Source {
        name: "typed".to_owned(),
        text: text.to_owned(),
    };
    let statements = match parse_in(&source, runner.lab.machine.toolbox(), &mut runner.hosts) {
        Ok(statements) => statements,
        Err(error) => {
            tell_styled!("{}", error.styled());
            return;
        }
    };
    for statement in &statements {
        let (said, result) = runner.run(statement);
        standard::say_text(&said.stdout);
        standard::tell_text(&said.stderr);
        if let Err(failed) = result
            && said.stderr.is_empty()
        {
            tell!("{}", failed.reason);
        }
    }
}

fn prompt(runner: &Runner) -> String {
    format!(
        "{} {}> ",
        runner.lab.name(),
        since(runner.lab.machine.booted, runner.lab.now())
    )
}

/// `+90s`, `+0.25s`: since the lab began.
fn since(start: Time, now: Time) -> String {
    let elapsed = now.since(start);
    match elapsed.subsec_nanos() {
        0 => format!("+{}s", elapsed.as_secs()),
        _ => format!("+{}s", format!("{:.3}", elapsed.as_secs_f64()).trim_end_matches('0')),
    }
}

/// Beside the user's other state, where there is a home.
fn history_file() -> Option<PathBuf> {
    let state = match std::env::var_os("XDG_STATE_HOME").filter(|it| !it.is_empty()) {
        Some(directory) => PathBuf::from(directory),
        None => PathBuf::from(std::env::var_os("HOME").filter(|it| !it.is_empty())?).join(".local/state"),
    };
    let directory = state.join("nflab");
    std::fs::create_dir_all(&directory).ok()?;
    Some(directory.join("history"))
}

const GREETING: &str = "nflab: `help` lists the words, Tab completes, ^D leaves. A first try: send lan tcp 10.0.0.2:40000 > 192.0.2.9:80 S";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_prompt_shows_the_labs_own_time() {
        let start = Time::from_secs(1000);
        for (millis, text) in [(0, "+0s"), (90_000, "+90s"), (250, "+0.25s"), (1_001, "+1.001s")] {
            assert_eq!(since(start, start + Duration::from_millis(millis)), text);
        }
    }
}
