//! Programs that decide of packets which wait at a live lab's queues (`-j NFQUEUE`): who listens is shown each packet, and what is decided goes to a
//! worker, which alone can let a packet leave.
//!
//! One connection listens; its end closes the queue, as a program's socket does. Verdicts come by others, so that neither waits for the other.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use serde::Serialize;

use super::event_loop::Caller;
use crate::base::bytes::hex;
use crate::base::json;
use crate::engine::{HeldPacket, Port, QueueSettings, QueueVerdict, Router, VerdictKind};
use crate::explain::describe;
use crate::lab::machine::Machine;
use crate::lab::memory::port_name;
use crate::lab::request::{Answer, Response, Source, Waker};
use crate::syntax::atom;

/// What such a request names as its tool: `queue NUMBER open [maximum N] [fail-open] [--json]`, `queue NUMBER accept|drop|repeat ID [mark N] [bytes HEX]`.
pub(crate) const TOOL: &str = "queue";

/// What was decided and is not done yet; its clones are handles on the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Decisions(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<VecDeque<Decision>>,
    caller: OnceLock<Caller>,
}

/// What becomes of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) queue: u16,
    pub(crate) id: u32,
    pub(crate) verdict: QueueVerdict,
}

impl Decisions {
    /// Who does what is decided.
    pub(super) fn set_caller(&self, caller: Caller) {
        // The first worker's loop is there once.
        let _ = self.0.caller.set(caller);
    }

    /// The oldest that is not done, for whoever does it now.
    pub(super) fn next(&self) -> Option<Decision> {
        self.0.pending.lock().pop_front()
    }

    pub(super) fn answer(&self, args: &[String], machine: &Machine, waker: &Waker) -> Answer {
        let asked = match Asked::read(args) {
            Ok(asked) => asked,
            Err(why) => return refusal(2, &why).into(),
        };
        match asked {
            Asked::Listen { queue, settings, form } => listen(queue, settings, form, machine, waker),
            Asked::Decide(decision) => self.decide(decision, machine.router()).into(),
        }
    }

    fn decide(&self, decision: Decision, router: &Router) -> Response {
        let Decision { queue, id, .. } = decision;
        if !router.open_queues().iter().any(|it| it.number == queue) {
            return refusal(1, &format!("nobody listens at queue {queue}"));
        }
        let mut pending = self.0.pending.lock();
        let is_decided = pending.iter().any(|it| (it.queue, it.id) == (queue, id));
        if is_decided || router.held_packet(queue, id).is_none() {
            return refusal(1, &format!("no packet {id} waits at queue {queue}"));
        }
        pending.push_back(decision);
        drop(pending);
        if let Some(caller) = self.0.caller.get() {
            caller.call();
        }
        Response::default()
    }
}

fn listen(queue: u16, settings: QueueSettings, form: Form, machine: &Machine, waker: &Waker) -> Answer {
    let router = machine.router();
    let waker = waker.clone();
    match router.listen_queue_with(queue, settings, Arc::new(move || waker.wake())) {
        Ok(()) => Answer {
            response: Response::default(),
            more: Some(Box::new(Listening {
                router: Arc::clone(router),
                queue,
                form,
                shown: 0,
                fetched: VecDeque::new(),
            })),
        },
        Err(taken) => refusal(1, &taken.to_string()).into(),
    }
}

fn refusal(code: i32, why: &str) -> Response {
    Response::failure(code, format!("nflab: {why}\n"))
}

/// What a connection that listens holds; it listens for as long.
struct Listening {
    router: Arc<Router>,
    queue: u16,
    form: Form,
    /// The id of the last packet that was fetched.
    shown: u32,
    fetched: VecDeque<HeldPacket>,
}

impl Source for Listening {
    fn next(&mut self) -> Option<Response> {
        if self.fetched.is_empty() {
            self.fetched = self.router.held_packets(self.queue, self.shown).into();
            self.shown = self.fetched.back().map_or(self.shown, |last| last.id);
        }
        let packet = self.fetched.pop_front()?;
        let shown = Waiting::of(&packet, &self.router);
        let stdout = match self.form {
            Form::Json => json::to_string(&shown) + "\n",
            Form::Text => shown.line(),
        };
        Some(Response {
            stdout,
            ..Response::default()
        })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.router.close_queue(self.queue);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// A packet that waits, as it is shown.
#[derive(Debug, Serialize)]
struct Waiting {
    id: u32,
    hook: &'static str,
    #[serde(rename = "in")]
    input: Option<String>,
    #[serde(rename = "out")]
    output: Option<String>,
    mark: u32,
    /// In words, as `trace` writes packets.
    packet: String,
    /// From the IP header on, in hex.
    bytes: String,
}

impl Waiting {
    fn of(packet: &HeldPacket, router: &Router) -> Self {
        let name = |id| port_name(router, Port::Interface(id)).to_string();
        Self {
            id: packet.id,
            hook: packet.hook.chain(),
            input: packet.input.map(name),
            output: packet.output.map(name),
            mark: packet.mark,
            packet: describe::line(&packet.bytes),
            bytes: hex(&packet.bytes),
        }
    }

    fn line(&self) -> String {
        let mut line = format!("{} {}", self.id, self.hook);
        for (word, name) in [("in", &self.input), ("out", &self.output)] {
            if let Some(name) = name {
                line += &format!(" {word} {name}");
            }
        }
        if self.mark != 0 {
            line += &format!(" mark {:#x}", self.mark);
        }
        line + ": " + &self.packet + "\n"
    }
}

/// What a request asks.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Listen {
        queue: u16,
        settings: QueueSettings,
        form: Form,
    },
    Decide(Decision),
}

impl Asked {
    fn read(args: &[String]) -> Result<Self, String> {
        let mut words = args.iter().map(String::as_str);
        let queue = number("a queue", words.next(), 0, u64::from(u16::MAX))? as u16;
        let verdict = match words.next() {
            Some("open") => return Self::listen(queue, words),
            other => VerdictKind::ALL.into_iter().find(|kind| Some(kind.name()) == other),
        };
        let kind = verdict.ok_or("expected open, accept, drop or repeat behind the queue's number")?;
        let id = number("a packet's id", words.next(), 1, u64::from(u32::MAX))? as u32;
        let mut verdict = QueueVerdict::from(kind);
        while let Some(word) = words.next() {
            match word {
                "mark" => verdict.mark = Some(number("a mark", words.next(), 0, u64::from(u32::MAX))? as u32),
                "bytes" => {
                    let text = words
                        .next()
                        .ok_or("expected the packet's bytes in hex behind `bytes`")?;
                    let bytes = atom::hex(text).ok_or_else(|| format!("`{text}` is not bytes in hex"))?;
                    verdict.bytes = Some(bytes);
                }
                other => return Err(format!("`{other}` is unknown here: expected mark N or bytes HEX")),
            }
        }
        Ok(Self::Decide(Decision { queue, id, verdict }))
    }

    fn listen<'a>(queue: u16, mut words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let (mut settings, mut form) = (QueueSettings::default(), Form::Text);
        while let Some(word) = words.next() {
            match word {
                "maximum" => settings.maximum = number("so many packets", words.next(), 1, u64::from(u32::MAX))? as u32,
                "fail-open" => settings.fail_open = true,
                "--json" => form = Form::Json,
                other => {
                    return Err(format!(
                        "`{other}` is unknown here: expected maximum N, fail-open or --json"
                    ));
                }
            }
        }
        Ok(Self::Listen { queue, settings, form })
    }
}

fn number(what: &str, word: Option<&str>, least: u64, most: u64) -> Result<u64, String> {
    let word = word.ok_or_else(|| format!("expected {what}, a number from {least} to {most}"))?;
    atom::number(word)
        .filter(|read| (least..=most).contains(read))
        .ok_or_else(|| format!("`{word}` is not {what}: expected a number from {least} to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Asked, String> {
        Asked::read(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_read() {
        let decided = |kind, mark, bytes| {
            let verdict = QueueVerdict { kind, mark, bytes };
            Ok(Asked::Decide(Decision {
                queue: 7,
                id: 3,
                verdict,
            }))
        };
        assert_eq!(read("7 accept 3"), decided(VerdictKind::Accept, None, None));
        assert_eq!(read("7 drop 3 mark 0x1f"), decided(VerdictKind::Drop, Some(31), None));
        let bytes = Some(vec![0x45, 0]);
        assert_eq!(
            read("7 repeat 3 bytes 4500 mark 2"),
            decided(VerdictKind::Repeat, Some(2), bytes)
        );
        let settings = QueueSettings {
            maximum: 5,
            fail_open: true,
        };
        let open = Asked::Listen {
            queue: 0,
            settings,
            form: Form::Json,
        };
        assert_eq!(read("0 open maximum 5 fail-open --json"), Ok(open));
        for (text, said) in [
            ("", "expected a queue"),
            (
                "65536 open",
                "`65536` is not a queue: expected a number from 0 to 65535",
            ),
            ("1", "expected open, accept, drop or repeat"),
            ("1 open maximum 0", "`0` is not so many packets"),
            ("1 open --jsn", "`--jsn` is unknown here"),
            ("1 accept", "expected a packet's id"),
            ("1 accept 0", "`0` is not a packet's id"),
            ("1 accept 1 bytes", "in hex behind `bytes`"),
            ("1 accept 1 bytes 4", "`4` is not bytes in hex"),
            ("1 accept 1 mrk 4", "`mrk` is unknown here"),
        ] {
            let refused = read(text).unwrap_err();
            assert!(refused.contains(said), "{text}: {refused}");
        }
    }
}
