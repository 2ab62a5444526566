//! The editor over a lab that runs elsewhere: tools are called there, as programs would call them; the lab's own words are said to it.

use std::path::{Path, PathBuf};

use super::{Addressee, FAILED, UNREADABLE, session, typed};
use crate::device::standard::{self, tell, tell_styled};
use crate::device::text_file::read_text;
use crate::lab::conversation::Hosts;
use crate::lab::copy::{CopyError, LabCopy};
use crate::lab::files::{gather, said_by_system};
use crate::lab::machine::{ToolOutput, Toolbox};
use crate::lab::memory::Lab;
use crate::lab::request::{Request, Response};
use crate::lab::script::{Input, Kind, Output, RouteWord, ToolCall, parse_in};
use crate::learn::Screen;
use crate::live::control::Client;

/// A lab to attach to.
#[derive(Debug)]
pub(crate) struct Attached {
    socket: PathBuf,
    name: String,
    live: bool,
    hosts: Hosts,
    toolbox: Toolbox,
    /// The lab as it stood last, for completion.
    seen: Lab,
    /// A tool was called since.
    is_old: bool,
    /// What a tool printed last is known here alone: words are said to the lab apart from it.
    last_tool: Option<ToolOutput>,
    session: String,
    has_spoken: bool,
    styled: bool,
}

impl Attached {
    pub(crate) fn new(socket: &Path, copy: &LabCopy, toolbox: Toolbox) -> Result<Self, CopyError> {
        let seen = copy.lab(1, toolbox)?;
        Ok(Self {
            socket: socket.to_owned(),
            name: copy.name.clone(),
            live: copy.live,
            hosts: seen.machine.hosts(),
            toolbox,
            seen,
            is_old: false,
            last_tool: None,
            session: new_session(),
            has_spoken: false,
            styled: false,
        })
    }

    /// Reads commands until their end; returns the exit code.
    pub(crate) fn run(mut self) -> u8 {
        let what = match self.live {
            true => {
                "packets are sent and traced on a copy of it, with its flows: nothing is sent, and no flow and no counter changes"
            }
            false => "packets that are sent here pass it",
        };
        let first = format!("nflab: attached to the lab {}: tools change it; {what}", self.name);
        session(&mut self, Some(&first))
    }

    fn ask(&self, request: &Request) -> Result<Response, String> {
        Client::connect(&self.socket)
            .and_then(|mut client| client.call(request))
            .map_err(|error| format!("nflab: the lab {} went away: {}", self.name, said_by_system(&error)))
    }

    fn call(&mut self, call: &ToolCall) -> Result<Response, String> {
        if (self.toolbox.goes_on)(call.name, &call.args) {
            return Err(format!(
                "nflab: {} would go on for ever here: run it in another terminal: nflab {} {}",
                call.name,
                call.name,
                call.args.join(" ")
            ));
        }
        let here = Path::new("");
        let stdin = match &call.input {
            Input::None => String::new(),
            Input::Here(text) => text.clone(),
            Input::File(word) => std::fs::File::open(&word.text)
                .map_err(|error| said_by_system(&error))
                .and_then(read_text)
                .map_err(|why| format!("cannot read {}: {why}", word.text))?,
        };
        let gathered = gather(
            self.toolbox.opener,
            &(self.toolbox.needs)(call.name, &call.args),
            here,
            String::new,
        )?;
        self.is_old = true;
        let request = Request {
            tool: call.name.to_owned(),
            args: call.args.clone(),
            stdin,
            files: gathered.files,
        };
        let mut response = self.ask(&request)?;
        // What the tool itself writes to a file is none of what it prints.
        if let Some(file) = gathered.output {
            file.write(&std::mem::take(&mut response.stdout))?;
        }
        let mut output = ToolOutput {
            stdout: response.stdout,
            stderr: response.stderr.clone(),
            code: response.code,
            advice: String::new(),
        };
        call.output.take(self.toolbox.opener, here, &mut output)?;
        response.stderr += &output.advice;
        (response.stdout, response.code) = (output.stdout.clone(), output.code);
        self.last_tool = Some(output);
        Ok(response)
    }

    fn say(&mut self, text: &str) -> Result<Response, String> {
        let mut args = vec!["--session".to_owned(), self.session.clone()];
        for (given, option) in [(self.styled, "--colour"), (self.has_spoken, "--again")] {
            if given {
                args.push(option.to_owned());
            }
        }
        self.has_spoken = true;
        self.ask(&Request {
            tool: "words".to_owned(),
            args,
            stdin: text.to_owned(),
            ..Request::default()
        })
    }
}

/// A live lab's routes are its router's, which `ip` changes; a copy would have them until the next line. `None` where nothing is changed.
fn as_ip(word: &RouteWord) -> Option<ToolCall> {
    let mut args = vec!["route".to_owned()];
    let mut say = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
    match word {
        RouteWord::Show => return None,
        RouteWord::Remove(to) => say(&["del", &to.to_string()]),
        RouteWord::Add { to, via, interface } => {
            say(&["add", &to.to_string()]);
            if let Some(via) = via {
                say(&["via", &via.to_string()]);
            }
            if let Some(interface) = interface {
                say(&["dev", interface.as_str()]);
            }
        }
    }
    Some(ToolCall {
        name: "ip",
        args,
        input: Input::None,
        output: Output::default(),
    })
}

impl Addressee for Attached {
    fn line(&mut self, text: &str) -> u8 {
        let source = typed(text);
        let statements = match parse_in(&source, self.toolbox, &mut self.hosts) {
            Ok(statements) => statements,
            Err(error) => {
                tell_styled!("{}", error.styled());
                return UNREADABLE;
            }
        };
        let mut code = 0;
        for statement in &statements {
            let answer = match &statement.kind {
                Kind::Tool(call) => self.call(call),
                Kind::ExpectFail(call) => self.call(call).and_then(|response| match response.code {
                    0 => Err(format!("{} was expected to fail, and did not", call.name)),
                    _ => Ok(Response::default()),
                }),
                Kind::Route(word) if self.live => match as_ip(word) {
                    Some(call) => self.call(&call),
                    None => self.say(&source.text[statement.position.start..statement.position.end]),
                },
                Kind::Expect(expected) if expected.is_of_the_tool() => expected
                    .check(&self.seen, self.last_tool.as_ref())
                    .map(|()| Response::default()),
                _ => self.say(&source.text[statement.position.start..statement.position.end]),
            };
            match answer {
                Ok(response) => {
                    standard::say_text(&response.stdout);
                    standard::tell_styled_text(&response.stderr);
                    if response.code != 0 {
                        code = FAILED;
                        if response.stderr.is_empty() {
                            tell!("failed with exit code {}", response.code);
                        }
                    }
                }
                Err(message) => {
                    code = FAILED;
                    tell!("{}", message.trim_end());
                }
            }
        }
        code
    }

    fn prompt(&self) -> String {
        match self.live {
            true => format!("{} (live)> ", self.name),
            false => format!("{}> ", self.name),
        }
    }

    fn look(&mut self) -> &Lab {
        let is_old = std::mem::take(&mut self.is_old);
        let request = Request {
            tool: "copy".to_owned(),
            ..Request::default()
        };
        // What can't be had now is completed as before.
        if is_old
            && let Ok(response) = self.ask(&request)
            && let Ok(copy) = serde_json::from_str::<LabCopy>(&response.stdout)
            && let Ok(lab) = copy.lab(1, self.toolbox)
        {
            self.seen = lab;
        }
        &self.seen
    }

    fn set_screen(&mut self, screen: Screen) {
        self.styled = screen.styled;
    }
}

/// Where a session's number comes from: any text that no other session has.
fn new_session() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    format!("{}-{}", std::process::id(), since.as_nanos())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repl::tests::TOOLS;

    #[test]
    fn no_session_is_another() {
        assert_ne!(new_session(), new_session());
    }

    #[test]
    fn a_route_of_a_live_lab_is_changed_by_ip() {
        let mut hosts = Lab::default_lab(1, TOOLS).unwrap().machine.hosts();
        for (line, args) in [
            ("route", None),
            ("route del default", Some("route del 0.0.0.0/0")),
            (
                "route add 10.9.0.0/16 via 10.0.0.9",
                Some("route add 10.9.0.0/16 via 10.0.0.9"),
            ),
            (
                "route add default via 10.0.0.9 dev lan",
                Some("route add 0.0.0.0/0 via 10.0.0.9 dev lan"),
            ),
            (
                "route add default via 2001:db8::9",
                Some("route add ::/0 via 2001:db8::9"),
            ),
        ] {
            let statements = parse_in(&typed(line), TOOLS, &mut hosts).unwrap();
            let Kind::Route(word) = &statements.last().unwrap().kind else {
                panic!("{line} is no route");
            };
            let call = as_ip(word).map(|call| (call.name, call.args.join(" ")));
            assert_eq!(call, args.map(|args| ("ip", args.to_owned())), "{line}");
        }
    }
}
