//! Hosts by name: what `host client 10.0.0.2 lan` says, and the hosts of a lab file.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::Party;
use crate::base::{AddressMask, Family, InterfaceName, protocol};
use crate::ext::names;
use crate::lab::file::LabFile;
use crate::lab::memory::LOCAL;
use crate::lab::send::PACKETS;
use crate::syntax::atom;
use crate::syntax::problem::{Position, Problem, suggestion};
use crate::syntax::words::{self, Word, unexpected};

/// A host that a script calls by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Those that packets of a script can have; one at least.
    pub addresses: Addresses,
    /// Where it is; found by its address where it says `None`.
    pub interface: Option<InterfaceName>,
}

/// By what somebody is called: at most one address of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Addresses {
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl Addresses {
    /// That of a family.
    pub fn of(self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }

    /// IPv4's first.
    pub fn all(self) -> impl Iterator<Item = IpAddr> {
        Family::ALL.into_iter().filter_map(move |family| self.of(family))
    }
}

/// The first of each family; of IPv6 one that is not of the link alone, where there is such a one.
impl FromIterator<IpAddr> for Addresses {
    fn from_iter<I: IntoIterator<Item = IpAddr>>(addresses: I) -> Self {
        let mut all = Self::default();
        for address in addresses {
            match address {
                IpAddr::V4(address) => all.v4 = all.v4.or(Some(address)),
                IpAddr::V6(address) => {
                    all.v6 = all.v6.filter(|it| !it.is_unicast_link_local()).or(Some(address));
                }
            }
        }
        all
    }
}

impl From<IpAddr> for Addresses {
    fn from(address: IpAddr) -> Self {
        Self::from_iter([address])
    }
}

/// Whom a word calls, with all addresses that it has.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    /// As written, for messages.
    pub(crate) name: String,
    /// `None`: the router, by whichever of its addresses suits.
    pub(crate) addresses: Option<Addresses>,
    pub(crate) interface: Option<InterfaceName>,
    pub(crate) port: Option<u16>,
}

impl Called {
    fn has(&self, family: Family) -> bool {
        self.addresses.is_none_or(|addresses| addresses.of(family).is_some())
    }

    /// The families in which it can speak to another, IPv4 first.
    pub(crate) fn families(&self, other: &Self) -> impl Iterator<Item = Family> {
        let both = |family: &Family| self.has(*family) && other.has(*family);
        let shared: Vec<Family> = Family::ALL.into_iter().filter(both).collect();
        shared.into_iter()
    }

    /// The same by its address of one family.
    pub(crate) fn party(&self, family: Family) -> Party {
        Party {
            name: self.name.clone(),
            family,
            address: self.addresses.and_then(|addresses| addresses.of(family)),
            interface: self.interface,
            port: self.port,
        }
    }
}

/// All that are known at a place of a script.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hosts {
    named: BTreeMap<String, Host>,
    /// Those of the lab, whose names no host may have: where a packet comes in, either may stand.
    interfaces: BTreeSet<InterfaceName>,
    /// The router's own, as far as the lab file and the script tell.
    own: Vec<Own>,
    /// No line can name another: a packet by itself has none before it.
    are_all: bool,
    /// In which the last packet was sent: what is expected of it is of that one.
    spoken: Option<Family>,
    /// Who opened a connection to whom, as they were called, and in which family; the youngest is the last.
    connected: Vec<(String, String, Family)>,
}

/// An address of the router's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Own {
    interface: InterfaceName,
    address: IpAddr,
    /// That it lies in.
    subnet: AddressMask,
}

/// What the router itself is called.
pub(crate) const ROUTER: &str = "router";

impl Hosts {
    /// The hosts of a lab file, by their first addresses of each family, and its interfaces.
    pub fn of_lab(file: &LabFile) -> Self {
        let named = file.hosts.iter().map(|host| {
            let known = Host {
                addresses: host.addresses.iter().map(|it| it.address).collect(),
                interface: Some(host.interface),
            };
            (host.name.clone(), known)
        });
        Self {
            named: named
                .filter(|(_, host)| host.addresses.all().next().is_some())
                .collect(),
            interfaces: file.interfaces.iter().map(|it| it.name).collect(),
            own: file
                .interfaces
                .iter()
                .flat_map(|it| {
                    it.addresses.iter().map(|address| Own {
                        interface: it.name,
                        address: address.address,
                        subnet: address.subnet(),
                    })
                })
                .collect(),
            are_all: false,
            spoken: None,
            connected: Vec::new(),
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

    /// An interface that a script adds, with the router's addresses on it and the lengths of their prefixes.
    pub(crate) fn insert_interface(&mut self, name: InterfaceName, addresses: &[(IpAddr, u8)]) {
        self.interfaces.insert(name);
        let own = addresses.iter().filter_map(|&(address, length)| {
            Some(Own {
                interface: name,
                address,
                subnet: AddressMask::prefix(address, length)?,
            })
        });
        self.own.extend(own);
    }

    /// Those of another one, where the names are not there already.
    pub(crate) fn add_missing(&mut self, others: Self) {
        for (name, host) in others.named {
            self.named.entry(name).or_insert(host);
        }
        self.interfaces.extend(others.interfaces);
        let new = others.own.into_iter().filter(|own| !self.own.contains(own));
        let new: Vec<Own> = new.collect();
        self.own.extend(new);
    }

    /// `client`, `client:40000`, `10.0.0.2:80`, `[2001:db8::2]:80`, `fe80::2%lan`, `router:http`. Services are those of the protocol.
    pub(crate) fn called(&self, word: &Word, of: u8) -> Result<Called, Problem> {
        if words::is_stuck_together(word) {
            return Err(unexpected(word, A_PARTY, ""));
        }
        let (name, service) = name_and_service(&word.text);
        let port = match service {
            None => None,
            Some(service) => Some(self.port(word, name, service, of)?),
        };
        // Of the link: which one stands behind the sign, and the lab may know by the name.
        let (address, zone) = match name.split_once('%') {
            Some((address, zone)) => (address, Some(zone)),
            None => (name, None),
        };
        let address = atom::ip_address(address).filter(|it| zone.is_none() || it.is_ipv6());
        let (addresses, interface) = match (self.get(name), address) {
            _ if name == ROUTER => (None, None),
            (Some(host), _) => (Some(host.addresses), host.interface),
            (None, Some(address)) => (Some(address.into()), zone.and_then(InterfaceName::new)),
            (None, None) => return Err(self.unknown(word, name)),
        };
        Ok(Called {
            name: name.to_owned(),
            addresses,
            interface,
            port,
        })
    }

    /// Who speaks to whom, in the family that is asked for; else in that of the connection that they go on with, the youngest first; else in the first
    /// that both have.
    pub(crate) fn parties(
        &mut self,
        word: &str,
        (from, to): (&Called, &Called),
        asked: Option<Family>,
        at: Position,
    ) -> Result<(Party, Party), Problem> {
        let between = |(one, other, _): &(String, String, Family)| {
            (one, other) == (&from.name, &to.name) || (one, other) == (&to.name, &from.name)
        };
        let goes_on = matches!(word, "data" | "close" | "reset");
        let known = self.connected.iter().rev().find(|it| goes_on && between(it));
        let wanted = asked.or_else(|| known.map(|(.., family)| *family));
        let found = from
            .families(to)
            .find(|family| wanted.is_none_or(|wanted| wanted == *family));
        let Some(family) = found else {
            let (what, remedy) = match asked {
                Some(family) => (
                    format!("{} and {} do not both have an {} address", from.name, to.name, family),
                    "leave `-4` or `-6` out, or give them one: `host NAME ADDRESS ADDRESS INTERFACE`",
                ),
                None => (
                    format!("{} and {} have no addresses of one family", from.name, to.name),
                    "give one of them another address: `host NAME ADDRESS ADDRESS INTERFACE`",
                ),
            };
            return Err(Problem::new(
                at,
                what,
                "expected two that can speak to each other",
                remedy,
            ));
        };
        self.spoken = Some(family);
        match word {
            "handshake" => self.connected.push((from.name.clone(), to.name.clone(), family)),
            "close" | "reset" => {
                let is_it = |it: &(String, String, Family)| between(it) && it.2 == family;
                if let Some(at) = self.connected.iter().rposition(is_it) {
                    self.connected.remove(at);
                }
            }
            _ => {}
        }
        Ok((from.party(family), to.party(family)))
    }

    /// The last handshake is not to come through.
    pub(crate) fn stay_unconnected(&mut self) {
        self.connected.pop();
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

    /// Puts addresses in the place of names where a line has hosts: beside a `>`, after `src` and `dst`, in `src=` and `dst=`. A host that has one of
    /// each family is called by that which is asked for, or which the line's other addresses are of, or else by that of the last packet where the
    /// line `looks_back` at it; and where nothing says it, by the first that all of the line have. `router` is its address on the interface that the
    /// line is about, else on that where the line's others are.
    pub(crate) fn resolve(
        &mut self,
        words: &mut [Word],
        interface: Option<InterfaceName>,
        asked: Option<Family>,
        looks_back: bool,
    ) -> Result<(), Problem> {
        let mut named = Vec::new();
        let mut routers = Vec::new();
        let mut others = Vec::new();
        let mut written = None;
        let mut of_other = None;
        for at in 0..words.len() {
            let Some(place) = place_of_name(words, at) else {
                continue;
            };
            let word = &words[at];
            let text = word.text.get(place.clone()).unwrap_or_default();
            if let Some((address, _)) = atom::endpoint(word.text[place.start..].trim_end_matches(')')) {
                written = written.or(Some(Family::of(address)));
                others.push(address);
                of_other = of_other.or(asked
                    .filter(|asked| *asked != Family::of(address))
                    .map(|asked| (asked, word.position)));
                continue;
            }
            if let Some((address, link)) = word.text[place.start..].split_once('%')
                && atom::is_ipv6(address.trim_start_matches('['))
            {
                let link = link.trim_end_matches(')').split([']', ':']).next().unwrap_or_default();
                return Err(Problem::new(
                    word.position,
                    "a packet's addresses do not say on which link they are",
                    "expected an address without `%`",
                    format!("leave `%{link}` out: the interface stands before the packet"),
                ));
            }
            if word.quoted || !is_name(text) {
                continue;
            }
            match self.get(text) {
                Some(host) => {
                    others.extend(host.addresses.all());
                    named.push((at, place, host));
                }
                None if text == ROUTER => routers.push((at, place)),
                None => return Err(self.unknown_in(word, place)),
            }
        }
        for (at, place) in routers {
            let addresses = self.router(interface, &others);
            if addresses == Addresses::default() {
                return Err(self.which_router(&words[at], &others));
            }
            let interface = None;
            named.push((at, place, Host { addresses, interface }));
        }
        if let Some((asked, at)) = of_other.filter(|_| !named.is_empty()) {
            let option = asked.option();
            return Err(Problem::new(
                at,
                format!(
                    "this is an address of {}, and `{option}` asks for {asked}",
                    asked.other()
                ),
                format!("expected one of {asked}"),
                format!("leave `{option}` out: it is for hosts that have an address of each family"),
            ));
        }
        let of_icmp = words.iter().any(|word| word.text == "icmpv6" && !word.quoted);
        let has = |family: &Family| named.iter().all(|(.., host)| host.addresses.of(*family).is_some());
        let said = asked.or(of_icmp.then_some(Family::V6)).or(written);
        let before = self.spoken.filter(|family| looks_back && has(family));
        let family = said.or(before).or_else(|| Family::ALL.into_iter().find(has));
        let family = family.unwrap_or(Family::V4);
        for (at, place, host) in named {
            let word = &mut words[at];
            let Some(address) = host.addresses.of(family) else {
                let name = &word.text[place];
                return Err(Problem::new(
                    word.position,
                    format!("`{name}` has no {family} address"),
                    "expected one that has",
                    "give it one: `host NAME ADDRESS ADDRESS INTERFACE`, or in the lab file",
                ));
            };
            let (before, after) = (&word.text[..place.start], &word.text[place.end..]);
            let text = match address {
                IpAddr::V6(address) if after.starts_with(':') => format!("{before}[{address}]{after}"),
                address => format!("{before}{address}{after}"),
            };
            let typed = std::mem::replace(&mut word.text, text);
            word.typed.get_or_insert(typed);
        }
        if !looks_back {
            self.spoken = Some(family);
        }
        Ok(())
    }

    /// By what the router is called on an interface; where none is said, or itself, on those where one of the others is.
    fn router(&self, interface: Option<InterfaceName>, others: &[IpAddr]) -> Addresses {
        let on_link = |own: &&Own| match interface.filter(|name| name.as_str() != LOCAL) {
            Some(interface) => own.interface == interface,
            None => others.iter().any(|other| own.subnet.contains(*other)),
        };
        self.own.iter().filter(on_link).map(|own| own.address).collect()
    }

    /// Of the other end's family, where that is said.
    fn which_router(&self, word: &Word, others: &[IpAddr]) -> Problem {
        let is_of_them =
            |own: &&Own| others.is_empty() || others.iter().any(|other| other.is_ipv6() == own.address.is_ipv6());
        let own: Vec<String> = self
            .own
            .iter()
            .filter(is_of_them)
            .map(|own| own.address.to_string())
            .collect();
        let remedy = match own[..] {
            [] => "write its address, or name it: `host NAME ADDRESS local`".to_owned(),
            _ => format!(
                "write which of {}, or name it: `host NAME ADDRESS local`",
                own.join(", ")
            ),
        };
        Problem::new(
            word.position,
            "the router has no address that this line tells of",
            "expected one of its addresses: it has none on that interface, or the other end is on none of its links",
            remedy,
        )
    }

    fn unknown_in(&self, word: &Word, place: Range<usize>) -> Problem {
        let name = word.text.get(place.clone()).unwrap_or_default();
        let start = word.position.start + place.start;
        let named = Word {
            position: (start..word.position.end).into(),
            ..word.clone()
        };
        self.unknown(&named, name)
    }

    /// The interface that a host is on, in the place of its name.
    pub(crate) fn resolve_interface(&self, word: &mut Word) -> Result<(), Problem> {
        if word.text == ROUTER && !word.quoted && !self.has_interface(ROUTER) {
            return Err(unexpected(
                word,
                "expected an interface",
                "what the router itself sends stands behind `local`, what it gets behind the interface that it comes by",
            ));
        }
        let Some(host) = self.get(&word.text).filter(|_| !word.quoted) else {
            return Ok(());
        };
        match host.interface {
            Some(interface) => {
                let typed = std::mem::replace(&mut word.text, interface.as_str().to_owned());
                word.typed.get_or_insert(typed);
                Ok(())
            }
            None => {
                let addresses: Vec<String> = host.addresses.all().map(|it| it.to_string()).collect();
                Err(Problem::new(
                    word.position,
                    format!("nobody said which interface `{}` is on", word.text),
                    "expected an interface here",
                    format!("add it: `host {} {} INTERFACE`", word.text, addresses.join(" ")),
                ))
            }
        }
    }
}

const A_PARTY: &str = "expected a host's name, an address or `router`";

/// An IPv6 address stands in brackets where a port follows; without them it takes all that can belong to it.
fn name_and_service(text: &str) -> (&str, Option<&str>) {
    if let Some((inside, behind)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (inside, behind.strip_prefix(':'));
    }
    let is_address = |text: &str| atom::is_ipv6(text.split('%').next().unwrap_or_default());
    match text.rsplit_once(':') {
        _ if is_address(text) => (text, None),
        Some((before, behind)) if is_address(before) => (before, Some(behind)),
        _ => match text.split_once(':') {
            Some((name, service)) => (name, Some(service)),
            None => (text, None),
        },
    }
}

/// Where in a word a host may be named; `None` where the line has none there.
fn place_of_name(words: &[Word], at: usize) -> Option<Range<usize>> {
    let is = |at: Option<usize>, texts: &[&str]| {
        at.and_then(|at| words.get(at))
            .is_some_and(|word| !word.quoted && texts.contains(&word.text.as_str()))
    };
    let end = is(at.checked_sub(1), &[">", "src", "dst"]) || is(Some(at + 1), &[">"]);
    let text = words.get(at)?.text.as_str();
    let start = match text.split_once('=') {
        Some((key @ ("src" | "dst"), _)) => key.len() + 1,
        _ if end => text.len() - text.trim_start_matches('(').len(),
        _ => return None,
    };
    let length = text[start..].find([':', ')']).unwrap_or(text.len() - start);
    Some(start..start + length)
}

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
