//! Hosts by name: what `host client 10.0.0.2 lan` says, and the hosts of a lab file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::Party;
use crate::base::absent::NO_IPV6;
use crate::base::{InterfaceName, protocol};
use crate::ext::names;
use crate::lab::file::LabFile;
use crate::lab::memory::LOCAL;
use crate::lab::send::PACKETS;
use crate::syntax::atom;
use crate::syntax::problem::{Problem, suggestion};
use crate::syntax::words::{self, Word, unexpected};

/// A host that a script calls by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// The only one that packets of a script can have.
    pub address: Ipv4Addr,
    /// Where it is; found by its address where it says `None`.
    pub interface: Option<InterfaceName>,
}

/// All that are known at a place of a script.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hosts {
    named: BTreeMap<String, Host>,
    /// Those of the lab, whose names no host may have: where a packet comes in, either may stand.
    interfaces: BTreeSet<InterfaceName>,
    /// No line can name another: a packet by itself has none before it.
    are_all: bool,
}

/// What the router itself is called.
pub(crate) const ROUTER: &str = "router";

impl Hosts {
    /// The hosts of a lab file, by their first IPv4 addresses, and its interfaces.
    pub fn of_lab(file: &LabFile) -> Self {
        let named = file.hosts.iter().filter_map(|host| {
            let address = host.addresses.iter().find_map(|it| match it.address {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            })?;
            let interface = Some(host.interface);
            Some((host.name.clone(), Host { address, interface }))
        });
        Self {
            named: named.collect(),
            interfaces: file.interfaces.iter().map(|it| it.name).collect(),
            are_all: false,
        }
    }

    /// The same where no line can name another.
    pub(crate) fn only_these(self) -> Self {
        Self { are_all: true, ..self }
    }

    /// By its name.
    pub fn get(&self, name: &str) -> Option<Host> {
        self.named.get(name).copied()
    }

    /// Each with its name, in the order of the names.
    pub fn all(&self) -> impl Iterator<Item = (&str, Host)> {
        self.named.iter().map(|(name, host)| (name.as_str(), *host))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// Another host; a name that is there already is given anew.
    pub fn insert(&mut self, name: &str, host: Host) {
        self.named.insert(name.to_owned(), host);
    }

    pub(crate) fn has_interface(&self, name: &str) -> bool {
        // Every lab has that one.
        name == "lo" || InterfaceName::new(name).is_some_and(|name| self.interfaces.contains(&name))
    }

    /// Of the lab, without `lo`; empty where it is not known yet.
    pub(crate) fn interfaces(&self) -> Vec<&str> {
        self.interfaces.iter().map(InterfaceName::as_str).collect()
    }

    /// Whether a host may be there.
    pub(crate) fn may_have_interface(&self, name: InterfaceName) -> bool {
        self.interfaces.is_empty() || name.as_str() == LOCAL || self.has_interface(name.as_str())
    }

    /// An interface that a script adds.
    pub(crate) fn insert_interface(&mut self, name: InterfaceName) {
        self.interfaces.insert(name);
    }

    /// Those of another one, where the names are not there already.
    pub(crate) fn add_missing(&mut self, others: Self) {
        for (name, host) in others.named {
            self.named.entry(name).or_insert(host);
        }
        self.interfaces.extend(others.interfaces);
    }

    /// `client`, `client:40000`, `10.0.0.2:80`, `router:http`. Services are those of the protocol.
    pub(crate) fn party(&self, word: &Word, of: u8) -> Result<Party, Problem> {
        if atom::is_ipv6(&word.text) {
            let message = format!("{NO_IPV6}: `{}`", word.text);
            return Err(Problem::new(word.position, message, A_PARTY, "use IPv4 addresses"));
        }
        if words::is_stuck_together(word) {
            return Err(unexpected(word, A_PARTY, "use IPv4 addresses"));
        }
        let (name, service) = match word.text.split_once(':') {
            Some((name, service)) => (name, Some(service)),
            None => (word.text.as_str(), None),
        };
        let port = match service {
            None => None,
            Some(service) => Some(self.port(word, name, service, of)?),
        };
        let (address, interface) = match (self.get(name), atom::address(name)) {
            _ if name == ROUTER => (None, None),
            (Some(host), _) => (Some(host.address), host.interface),
            (None, Some(address)) => (Some(address), None),
            (None, None) => return Err(self.unknown(word, name)),
        };
        Ok(Party {
            name: name.to_owned(),
            address,
            interface,
            port,
        })
    }

    fn port(&self, word: &Word, name: &str, service: &str, of: u8) -> Result<u16, Problem> {
        let start = word.position.end - service.len();
        let port = match atom::number(service) {
            Some(number) => u16::try_from(number).ok(),
            None => names::port_number(service, of),
        };
        port.ok_or_else(|| {
            let protocol = if of == protocol::UDP { "udp" } else { "tcp" };
            Problem::new(
                start..word.position.end,
                format!("`{service}` is no port of {protocol}"),
                "expected a port from 0 to 65535, or a service's name",
                format!("write it like {name}:80"),
            )
        })
    }

    fn unknown(&self, word: &Word, name: &str) -> Problem {
        let known = self.names().chain([ROUTER]);
        let remedy = match suggestion(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if self.are_all => format!("write its address, or give it that name in the lab file: [host.{name}]"),
            None => format!("say who it is first: `host {name} ADDRESS INTERFACE`"),
        };
        let end = (word.position.start + name.len()).min(word.position.end);
        Problem::new(
            word.position.start..end,
            format!("there is no host `{name}`"),
            A_PARTY,
            remedy,
        )
    }

    /// Puts addresses in the place of names where a line has hosts: beside a `>`, after `src` and `dst`, in `src=` and `dst=`.
    pub(crate) fn resolve(&self, words: &mut [Word]) -> Result<(), Problem> {
        for at in 0..words.len() {
            let is = |at: Option<usize>, texts: &[&str]| {
                at.and_then(|at| words.get(at))
                    .is_some_and(|word| !word.quoted && texts.contains(&word.text.as_str()))
            };
            let end = is(at.checked_sub(1), &[">", "src", "dst"]) || is(Some(at + 1), &[">"]);
            let word = &words[at];
            let text = word.text.as_str();
            let (before, rest) = match text.split_once('=') {
                Some((key @ ("src" | "dst"), _)) => text.split_at(key.len() + 1),
                _ if end => text.split_at(text.len() - text.trim_start_matches('(').len()),
                _ => continue,
            };
            let length = rest.find([':', ')']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(length);
            if word.quoted || !is_name(name) || atom::endpoint(rest.trim_end_matches(')')).is_some() {
                continue;
            }
            let Some(host) = self.get(name) else {
                if name == ROUTER {
                    return Err(unexpected(
                        word,
                        "expected an address, or a host's name",
                        "the router has several addresses: write which, or name one: `host NAME ADDRESS local`",
                    ));
                }
                let start = word.position.start + before.len();
                let named = Word {
                    position: (start..word.position.end).into(),
                    ..word.clone()
                };
                return Err(self.unknown(&named, name));
            };
            let text = format!("{before}{}{after}", host.address);
            let typed = std::mem::replace(&mut words[at].text, text);
            words[at].typed.get_or_insert(typed);
        }
        Ok(())
    }

    /// The interface that a host is on, in the place of its name.
    pub(crate) fn resolve_interface(&self, word: &mut Word) -> Result<(), Problem> {
        let Some(host) = self.get(&word.text).filter(|_| !word.quoted) else {
            return Ok(());
        };
        match host.interface {
            Some(interface) => {
                let typed = std::mem::replace(&mut word.text, interface.as_str().to_owned());
                word.typed.get_or_insert(typed);
                Ok(())
            }
            None => Err(Problem::new(
                word.position,
                format!("nobody said which interface `{}` is on", word.text),
                "expected an interface here",
                format!("add it: `host {} {} INTERFACE`", word.text, host.address),
            )),
        }
    }
}

const A_PARTY: &str = "expected a host's name, an IPv4 address or `router`";

/// Why no host can have this name: written in a packet, a rule or a filter, it would mean something else. Names of a lab's interfaces are refused
/// beside that.
pub(crate) fn means_something_else(name: &str) -> Option<&'static str> {
    match name {
        ROUTER => Some("it is the lab's router itself"),
        "local" => Some("it is what the router itself sends and gets"),
        "lo" => Some("it is the router's loopback interface"),
        "localhost" => Some("every machine calls itself so"),
        _ if PACKETS.contains(&name) => Some("a packet begins with it"),
        // As iptables and a shell's programs read addresses: `80` is 0.0.0.80.
        _ if name.split('.').all(is_number) => Some("it is read as an address"),
        _ => None,
    }
}

fn is_number(text: &str) -> bool {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        None => !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit()),
    }
}

/// A letter, then letters, digits, `-` and `_`: nothing that could be an address.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}
