//! The interactive line editor over a lab: the language of `nflab run`, with history, completion and here-documents.

#[cfg(unix)]
mod attached;
mod complete;
mod lesson;

use std::io::{BufRead, IsTerminal, Read};
use std::path::PathBuf;

use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Config, Editor};

use crate::base::Time;
use crate::base::bytes::text_of;
use crate::device::standard::{self, say, tell, tell_styled};
use crate::device::text_file::{LARGEST_TEXT, too_large};
use crate::lab::conversation::Hosts;
use crate::lab::machine::Toolbox;
use crate::lab::memory::Lab;
use crate::lab::script::{Runner, parse_in};
use crate::learn::Screen;
use crate::syntax::problem::Source;
#[cfg(unix)]
pub(crate) use attached::Attached;
use complete::Assistant;
pub(crate) use lesson::{list as list_of_lessons, open as open_lesson, teach};

/// Reads commands for a lab of this process's own until their end; returns the exit code. `first` is said before all else.
pub(crate) fn run(lab: Lab, hosts: Hosts, first: Option<&str>) -> u8 {
    let mut runner = Runner::new(lab, PathBuf::from("."));
    runner.hosts = hosts;
    session(&mut runner, first)
}

/// Whom commands are for.
trait Addressee {
    /// Does what was typed. Nothing of it ends the session; what comes back is the exit code of a script of just this.
    fn line(&mut self, text: &str) -> u8;
    fn prompt(&self) -> String;
    /// The lab as completion sees it.
    fn look(&mut self) -> &Lab;
    /// What whoever types looks at, each time before they do.
    fn set_screen(&mut self, screen: Screen);
    /// Says what stands before all that is typed.
    fn opening(&mut self) {}
    /// What may be typed here besides what a lab understands.
    fn words(&self) -> Vec<&'static str> {
        Vec::new()
    }
    /// What is said before the first prompt.
    fn greeting(&self) -> &'static str {
        GREETING
    }
    /// Whoever types wants to go: false where that only leads back to whom they spoke before.
    fn is_left(&mut self) -> bool {
        true
    }
}

/// The same with lessons, which `learn` opens.
fn session(to: &mut dyn Addressee, first: Option<&str>) -> u8 {
    converse(&mut lesson::Classroom::around(to), first)
}

fn converse(to: &mut dyn Addressee, first: Option<&str>) -> u8 {
    if !std::io::stdin().is_terminal() {
        if let Some(first) = first {
            tell!("{first}");
        }
        to.opening();
        return piped(to, std::io::stdin().lock(), LARGEST_TEXT);
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
    editor.set_helper(Some(Assistant::new(to.look().machine.toolbox())));
    let history = history_file();
    if let Some(path) = &history {
        // None yet: the first time.
        let _ = editor.load_history(path);
    }
    to.set_screen(screen(&mut editor));
    if let Some(first) = first {
        say!("{first}");
    }
    to.opening();
    say!("{}", to.greeting());
    let mut typed = (String::new(), String::new());
    loop {
        if let Some(assistant) = editor.helper_mut() {
            assistant.look_at(to.look());
            assistant.besides(to.words());
        }
        // A window may change its size.
        to.set_screen(screen(&mut editor));
        let (before, behind) = std::mem::take(&mut typed);
        match editor.readline_with_initial(&to.prompt(), (&before, &behind)) {
            Ok(text) if matches!(text.trim(), "exit" | "quit") => {
                if to.is_left() {
                    break;
                }
            }
            Ok(text) => {
                if let Some(command) = behind_a_prompt(&text, to.look().machine.toolbox()) {
                    tell!("nflab: `#` begins a comment here; the command is `{command}`");
                }
                // Whoever sits there has seen what failed.
                let _ = to.line(&text);
            }
            Err(ReadlineError::Interrupted) => say!("(^D or `exit` leaves)"),
            Err(ReadlineError::Eof) => {
                if to.is_left() {
                    break;
                }
            }
            // The editor takes characters, and forgets what it had read ahead. The line before goes on.
            Err(ReadlineError::Io(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
                tell!(
                    "\nnflab: a byte that is no UTF-8 was typed here: it is left out, and what was pasted behind it; scripts, and what is piped in, may be any bytes"
                );
                typed = editor.helper().map(Assistant::take_line).unwrap_or_default();
            }
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

/// `# modprobe ip_conntrack`, as pages show what root types: nobody comments at a prompt.
fn behind_a_prompt(text: &str, toolbox: Toolbox) -> Option<&str> {
    let command = text.trim().strip_prefix('#')?.trim_start();
    toolbox.find(command.split_whitespace().next()?)?;
    Some(command)
}

/// Not a terminal: the same, without a prompt; what spans several lines is gathered as the editor would. A script goes on behind what failed, as one
/// that is piped into a shell, and its exit code is as `nflab run` has it: 1 where anything failed, 2 where a line could not be read.
fn piped(to: &mut dyn Addressee, mut input: impl BufRead, largest: usize) -> u8 {
    let mut pending = String::new();
    let mut gathered = complete::Gathered::default();
    let mut code = 0;
    loop {
        let mut bytes = Vec::new();
        // One byte more than a text may have, to tell what is too long.
        let most = (largest + 1).saturating_sub(pending.len()) as u64;
        let read = match (&mut input).take(most).read_until(b'\n', &mut bytes) {
            Ok(0) if most > 0 => break,
            Ok(_) if pending.len() + bytes.len() > largest => Err(too_large()),
            other => other,
        };
        let bytes = match read {
            Ok(_) => bytes.strip_suffix(b"\n").unwrap_or(&bytes),
            Err(error) => {
                tell!("nflab: cannot read standard input: {error}");
                return 2;
            }
        };
        let text = text_of(bytes.strip_suffix(b"\r").unwrap_or(bytes));
        if pending.is_empty() && matches!(text.trim(), "exit" | "quit") {
            if to.is_left() {
                return code;
            }
            continue;
        }
        pending.push_str(&text);
        // Asked as the editor asks: behind a line's end a backslash would have nothing to go on to.
        let is_whole = gathered.is_complete(&pending);
        pending.push('\n');
        if is_whole {
            code = code.max(to.line(&std::mem::take(&mut pending)));
        }
    }
    if !pending.is_empty() {
        code = code.max(to.line(&pending));
    }
    code
}

impl Addressee for Runner {
    fn line(&mut self, text: &str) -> u8 {
        let source = typed(text);
        let statements = match parse_in(&source, self.lab.machine.toolbox(), &mut self.hosts) {
            Ok(statements) => statements,
            Err(error) => {
                tell_styled!("{}", error.styled());
                return UNREADABLE;
            }
        };
        let mut code = 0;
        for statement in &statements {
            let (said, result) = self.run(statement);
            standard::say_text(&said.stdout);
            standard::tell_text(&said.stderr);
            if let Err(failed) = result {
                code = FAILED;
                if said.stderr.is_empty() {
                    tell!("{}", failed.reason);
                }
            }
        }
        code
    }

    fn prompt(&self) -> String {
        format!(
            "{} {}> ",
            self.lab.name(),
            since(self.lab.machine.booted, self.lab.now())
        )
    }

    fn look(&mut self) -> &Lab {
        &self.lab
    }

    fn set_screen(&mut self, screen: Screen) {
        self.styled = screen.styled;
    }
}

fn screen(editor: &mut Editor<Assistant, DefaultHistory>) -> Screen {
    Screen {
        styled: standard::has_colours(),
        width: editor.dimensions().map(|(columns, _)| usize::from(columns)),
    }
}

fn typed(text: &str) -> Source {
    Source {
        name: "typed".to_owned(),
        text: text.to_owned(),
    }
}

/// `+90s`, `+0.25s`: since the lab began.
fn since(start: Time, now: Time) -> String {
    let elapsed = now.since(start);
    match elapsed.subsec_nanos() {
        0 => format!("+{}s", elapsed.as_secs()),
        _ => format!("+{}s", format!("{:.3}", elapsed.as_secs_f64()).trim_end_matches('0')),
    }
}

const FAILED: u8 = 1;
const UNREADABLE: u8 = 2;

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

    use crate::lab::machine::ToolOutput;

    pub(super) const TOOLS: Toolbox = Toolbox {
        names: &["iptables", "ip6tables", "sysctl"],
        call: |_, _| ToolOutput::default(),
        needs: |_, _| crate::lab::files::Needs::default(),
        goes_on: |_, _| false,
        knobs: |_| crate::lab::machine::Knobs::Turned,
        opener: &crate::lab::files::OpensNothing,
        listen: |_, _, _| None,
    };

    /// Notes what it is told, and answers with the number that it is.
    struct Listener {
        lab: Lab,
        told: Vec<String>,
    }

    impl Addressee for Listener {
        fn line(&mut self, text: &str) -> u8 {
            self.told.push(text.to_owned());
            text.trim().parse().unwrap_or(0)
        }

        fn prompt(&self) -> String {
            String::new()
        }

        fn look(&mut self) -> &Lab {
            &self.lab
        }

        fn set_screen(&mut self, _: Screen) {}
    }

    #[test]
    fn what_is_piped_is_gathered_until_it_is_whole() {
        for (input, told, code) in [
            (&b""[..], &[][..], 0),
            (b"a\r\n\nb", &["a\n", "\n", "b\n"], 0),
            (b"1\n3\n2\n", &["1\n", "3\n", "2\n"], 3),
            (b"1\n quit \n3\n", &["1\n"], 1),
            (b"exit\n3\n", &[], 0),
            // Whatever is open goes on, also over what would end the session.
            (b"a <<E\nexit\nE\nb\n", &["a <<E\nexit\nE\n", "b\n"], 0),
            (b"'a\nexit\n", &["'a\nexit\n"], 0),
            (b"a \\\nb\n", &["a \\\nb\n"], 0),
            (b"\xff\n", &["\u{10FFFF}\n"], 0),
            // The longest, by itself or in pieces; and one byte more.
            (b"#234567890123456", &["#234567890123456\n"], 0),
            (b"#23456789012345\n#", &["#23456789012345\n", "#\n"], 0),
            (b"'34567\n90123456'", &["'34567\n90123456'\n"], 0),
            (b"1\n#2345678901234567\n", &["1\n"], 2),
            (b"'34567\n901234567'", &[], 2),
        ] {
            let mut listener = Listener {
                lab: Lab::default_lab(1, TOOLS).unwrap(),
                told: Vec::new(),
            };
            assert_eq!(
                piped(&mut listener, input, 16),
                code,
                "{:?}",
                input.escape_ascii().to_string()
            );
            assert_eq!(listener.told, told);
        }
    }

    #[test]
    fn a_pasted_prompt_of_root_hides_no_command() {
        for (text, command) in [
            ("# iptables -L", Some("iptables -L")),
            (" #sysctl -a", Some("sysctl -a")),
            ("# a remark", None),
            ("#", None),
            ("iptables -L # all", None),
        ] {
            assert_eq!(behind_a_prompt(text, TOOLS), command, "{text}");
        }
    }

    #[test]
    fn the_prompt_shows_the_labs_own_time() {
        let start = Time::from_secs(1000);
        for (millis, text) in [(0, "+0s"), (90_000, "+90s"), (250, "+0.25s"), (1_001, "+1.001s")] {
            assert_eq!(since(start, start + Duration::from_millis(millis)), text);
        }
    }
}
