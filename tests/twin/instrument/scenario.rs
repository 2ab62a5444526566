//! A scenario is data: what the router is made of, and what happens to it, in order.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use nflab::TOOLBOX;
use nflab::base::InterfaceName;
use nflab::engine::{QueueSettings, VerdictKind};
use nflab::lab::memory::LOCAL;
use nflab::lab::script::{self, Input, Kind, RouteWord};
use nflab::lab::send::{self, Surroundings};
use nflab::net::Prefix;
use nflab::packet::{Credentials, Sender};

use super::layout::{is_ipv6, total_length};
use super::sentence;

/// Begins as every lab of nflab's does: `lan` 10.0.0.1/24 and 2001:db8::1/64, `wan` 192.0.2.1/24 and 2001:db8:1::1/64, default routes via 192.0.2.254
/// and 2001:db8:1::fe, forwarding; without IPv6 where nothing in it is of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub name: String,
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Another interface, or more addresses of one.
    Interface {
        name: InterfaceName,
        addresses: Vec<(IpAddr, u8)>,
    },
    Route {
        to: Prefix,
        via: Option<IpAddr>,
        interface: Option<InterfaceName>,
    },
    /// A program on the router reads this UDP port.
    Listen {
        port: u16,
    },
    /// A packet comes in by an interface; without one, the router itself sends it.
    Packet {
        interface: Option<InterfaceName>,
        bytes: Vec<u8>,
    },
    /// Whose the packets are that the router itself sends from now on: before it, root's.
    Sender(Arc<Credentials>),
    /// A command as one types it: rules, knobs, flows.
    Tool {
        name: &'static str,
        args: Vec<String>,
        input: String,
    },
    Wait(Duration),
    Queue(QueueWord),
}

/// Somebody listens at a queue, or decides of what waits longest there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QueueWord {
    Open {
        number: u16,
        settings: QueueSettings,
    },
    Close(u16),
    Decide {
        number: u16,
        kind: VerdictKind,
        mark: Option<u32>,
        /// What it becomes.
        bytes: Option<Vec<u8>>,
    },
}

impl QueueWord {
    pub(crate) fn number(&self) -> u16 {
        match self {
            Self::Open { number, .. } | Self::Decide { number, .. } | Self::Close(number) => *number,
        }
    }
}

impl Scenario {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            events: Vec::new(),
        }
    }

    /// Reads the language of `nflab run`. What only nflab could answer (`expect`, `trace`) has no meaning here and is refused.
    pub(crate) fn from_text(name: &str, text: &str) -> Result<Self, String> {
        let statements = script::parse_text(name, text, TOOLBOX).map_err(|error| error.to_string())?;
        let mut scenario = Self::new(name);
        for statement in statements {
            let line = text[..statement.position.start].matches('\n').count() + 1;
            let event = event(statement.kind).map_err(|why| format!("{name}:{line}: {why}"))?;
            scenario.events.push(event);
        }
        Ok(scenario)
    }

    /// The same language; `from_text` reads the very scenario back.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("# {}\n", self.name);
        for event in &self.events {
            write_event(&mut text, event);
        }
        text
    }

    pub(crate) fn tool(&mut self, line: &str, input: &str) {
        let mut words = line.split_whitespace().map(str::to_owned);
        let name = words.next().and_then(|word| TOOLBOX.find(&word)).expect("a tool");
        self.events.push(Event::Tool {
            name,
            args: words.collect(),
            input: input.to_owned(),
        });
    }

    pub(crate) fn restore(&mut self, rules: &str) {
        self.tool("iptables-restore", rules);
    }

    pub(crate) fn sysctl(&mut self, key: &str, value: &str) {
        self.tool(&format!("sysctl -w {key}={value}"), "");
    }

    pub(crate) fn receive(&mut self, interface: &str, bytes: Vec<u8>) {
        self.events.push(Event::Packet {
            interface: InterfaceName::new(interface),
            bytes,
        });
    }

    pub(crate) fn send(&mut self, bytes: Vec<u8>) {
        self.events.push(Event::Packet { interface: None, bytes });
    }

    /// Whether anything in it is of IPv6. Otherwise the family is off on both sides.
    pub(crate) fn speaks_ipv6(&self) -> bool {
        self.events.iter().any(is_of_ipv6)
    }

    pub(crate) fn packets(&self) -> usize {
        let is_packet = |event: &&Event| matches!(event, Event::Packet { .. });
        self.events.iter().filter(is_packet).count()
    }
}

fn is_of_ipv6(event: &Event) -> bool {
    match event {
        Event::Interface { addresses, .. } => addresses.iter().any(|(address, _)| address.is_ipv6()),
        Event::Route { to, via, .. } => to.address().is_ipv6() || via.is_some_and(|via| via.is_ipv6()),
        // A whole one: of IPv4's the hostile have any version.
        Event::Packet { bytes, .. } => is_ipv6(bytes, 0) && total_length(bytes, 0) == Some(bytes.len()),
        Event::Tool { name, args, .. } => {
            let is_asked = |word: &String| word == "-6" || word == "ipv6" || word.starts_with("net.ipv6.");
            let has_address = |word: &String| {
                let mut parts = word.split(|letter: char| !letter.is_ascii_hexdigit() && !":.".contains(letter));
                parts.any(|part| part.len() > 2 && part.parse::<Ipv6Addr>().is_ok())
            };
            name.starts_with("ip6tables") || args.iter().any(|word| is_asked(word) || has_address(word))
        }
        Event::Listen { .. } | Event::Sender(_) | Event::Wait(_) | Event::Queue(_) => false,
    }
}

fn event(kind: Kind) -> Result<Event, String> {
    Ok(match kind {
        Kind::Interface { name, addresses } => Event::Interface { name, addresses },
        Kind::Route(RouteWord::Add { to, via, interface }) => Event::Route { to, via, interface },
        Kind::Listen { protocol: 17, port } => Event::Listen { port },
        Kind::Listen { .. } => {
            return Err(
                "a kernel that listens on TCP answers with numbers of its own choice; only `listen udp` is compared"
                    .into(),
            );
        }
        Kind::Send { interface, draft, .. } => Event::Packet {
            interface,
            bytes: send::build(&draft, &Nothing).map_err(|error| error.to_string())?,
        },
        Kind::Sender(Sender::Program(credentials)) => Event::Sender(credentials),
        Kind::Sender(_) => return Err("a kernel knows whose each socket is: say `sender USER:GROUP`".into()),
        Kind::Advance(by) => Event::Wait(by),
        Kind::Queue(script::QueueWord::Open { number, settings }) => Event::Queue(QueueWord::Open { number, settings }),
        Kind::Queue(script::QueueWord::Close(number)) => Event::Queue(QueueWord::Close(number)),
        Kind::Queue(script::QueueWord::Decide {
            number,
            kind,
            mark,
            packet,
        }) => {
            let built = packet.map(|draft| send::build(&draft, &Nothing).map_err(|error| error.to_string()));
            Event::Queue(QueueWord::Decide {
                number,
                kind,
                mark,
                bytes: built.transpose()?,
            })
        }
        Kind::Tool(call) if !call.output.is_plain() => {
            return Err("a scenario keeps what tools print: it goes nowhere else".into());
        }
        Kind::Tool(call) | Kind::ExpectFail(call) => Event::Tool {
            name: call.name,
            args: call.args,
            input: match call.input {
                Input::None => String::new(),
                Input::Here(text) => text,
                Input::File(_) => return Err("a scenario is whole: write the file's text as a here-document".into()),
            },
        },
        other => {
            return Err(format!(
                "a scenario is what happens to a router; this is not: {other:?}"
            ));
        }
    })
}

/// Nothing has passed before: a scenario's packets stand for themselves.
pub(crate) struct Nothing;

impl Surroundings for Nothing {
    fn next_sequence(&self, _: (IpAddr, u16), _: (IpAddr, u16)) -> Option<u32> {
        None
    }

    fn departed(&self) -> Option<Vec<u8>> {
        None
    }
}

pub(crate) fn write_event(text: &mut String, event: &Event) {
    match event {
        Event::Interface { name, addresses } => {
            text.push_str(&format!("interface {name}"));
            for (address, length) in addresses {
                text.push_str(&format!(" {address}/{length}"));
            }
            text.push('\n');
        }
        Event::Route { to, via, interface } => {
            text.push_str(&format!("route add {to}"));
            if let Some(via) = via {
                text.push_str(&format!(" via {via}"));
            }
            if let Some(interface) = interface {
                text.push_str(&format!(" dev {interface}"));
            }
            text.push('\n');
        }
        Event::Listen { port } => text.push_str(&format!("listen udp {port}\n")),
        Event::Packet { interface, bytes } => {
            let side = interface.map_or(LOCAL.to_owned(), |name| name.to_string());
            text.push_str(&format!("send {side} {}\n", sentence::of(bytes)));
        }
        Event::Sender(it) => {
            text.push_str(&format!("sender {}:{}", it.user, it.group));
            for group in &it.groups {
                text.push_str(&format!(",{group}"));
            }
            text.push('\n');
        }
        Event::Tool { name, args, input } => {
            text.push_str(name);
            for arg in args {
                text.push(' ');
                text.push_str(&quoted(arg));
            }
            if input.is_empty() {
                text.push('\n');
            } else {
                text.push_str(&format!(" <<'END'\n{}\nEND\n", input.trim_end_matches('\n')));
            }
        }
        Event::Queue(QueueWord::Open { number, settings }) => {
            text.push_str(&format!("queue {number} open maximum {}", settings.maximum));
            text.push_str(if settings.fail_open { " fail-open\n" } else { "\n" });
        }
        Event::Queue(QueueWord::Close(number)) => text.push_str(&format!("queue {number} close\n")),
        Event::Queue(QueueWord::Decide {
            number,
            kind,
            mark,
            bytes,
        }) => {
            text.push_str(&format!("queue {number} {}", kind.name()));
            if let Some(mark) = mark {
                text.push_str(&format!(" mark {mark}"));
            }
            if let Some(bytes) = bytes {
                text.push_str(&format!(" as {}", sentence::of(bytes)));
            }
            text.push('\n');
        }
        Event::Wait(by) => text.push_str(&format!("advance {}ms\n", by.as_millis())),
    }
}

fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:,=+%@".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
