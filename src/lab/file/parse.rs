//! From TOML with positions to a checked [`LabFile`], table by table.

use std::collections::HashMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::value::in_order;
use super::{
    DEFAULT_MTU, Host, Interface, LabFile, MOST_WORKERS, Position, Problem, Source, SourceError, Sysctl, is_plain_name,
};
use crate::base::InterfaceName;
use crate::conntrack::{Profile, memory};
use crate::lab::conversation::means_something_else;
use crate::syntax::problem::suggestion;

pub(super) fn parse(source: Source) -> Result<LabFile, SourceError> {
    let document = match DeTable::parse(&source.text) {
        Ok(document) => document,
        Err(error) => {
            let position = error.span().map_or(Position::default(), Position::from);
            let problem = Problem::new(
                position,
                format!("this is not TOML: {}", error.message()),
                "",
                "a lab file is TOML: `[interface.lan]`, then lines of `key = value`, texts in quotes",
            );
            return Err(source.error(vec![problem]));
        }
    };
    let mut reader = Reader::default();
    reader.document(document.get_ref());
    // A table that could not be read would be missed by whoever names it.
    if reader.problems.is_empty() {
        reader.check();
    }
    let Reader {
        mut file, mut problems, ..
    } = reader;
    if problems.is_empty() {
        file.source = source;
        Ok(file)
    } else {
        problems.sort_by_key(|problem| problem.position.start);
        Err(source.error(problems))
    }
}

/// The lab as far as it is read, and what is wrong with it.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) file: LabFile,
    pub(super) problems: Vec<Problem>,
    /// Of all interfaces that do not say it themselves.
    offload: Option<bool>,
    /// Where each sysctl stands in the file.
    sysctl_at: HashMap<String, usize>,
    /// Names that were compared with wrong ones.
    compared: usize,
    /// Every interface that a host or a route names, and where.
    pub(super) named: Vec<(InterfaceName, Position)>,
}

pub(super) type Key<'a, 'i> = &'a Spanned<std::borrow::Cow<'i, str>>;
pub(super) type Value<'a, 'i> = &'a Spanned<DeValue<'i>>;

impl Reader {
    fn document(&mut self, table: &DeTable<'_>) {
        // What interfaces that say nothing go by.
        if let Some(value) = table.get("offload") {
            self.offload = self.flag(value, "offload", OFFLOAD_REMEDY);
        }
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "profile" => self.profile(value),
                "memory" => self.memory(value),
                "offload" => {}
                "workers" => self.workers(value),
                "sysctl" => self.sysctls("", key, value),
                "interface" => {
                    for (name, value) in self.named_tables(key, value) {
                        self.interface(name, value);
                    }
                }
                "host" => {
                    for (name, value) in self.named_tables(key, value) {
                        self.host(name, value);
                    }
                }
                "route" => self.routes(key, value),
                _ => self.unknown_key(key, "at the top of a lab file", &keys::TOP),
            }
        }
    }

    /// `profile = "classic"`, or a table: `profile.window_tracking = true` goes without a name, since only one profile can do without.
    fn profile(&mut self, value: Value<'_, '_>) {
        let Some(table) = value.get_ref().as_table() else {
            self.file.profile = self.profile_name(value);
            return;
        };
        let mut tracks = None;
        self.file.profile = Some(Profile::Classic);
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "name" => self.file.profile = self.profile_name(value),
                "window_tracking" => {
                    let remedy = "write profile.window_tracking = true for the tcp-window-tracking patch";
                    let flag = self.flag(value, "profile.window_tracking", remedy);
                    tracks = flag.map(|flag| (flag, value.span())).or(tracks);
                }
                _ => self.unknown_key(key, "in `profile`", &keys::PROFILE),
            }
        }
        if let Some((false, position)) = tracks.clone()
            && self.file.profile == Some(Profile::Linux6)
        {
            self.problem(
                position,
                "today's kernel always tracks windows",
                "expected true, or another profile",
                "write profile.name = \"classic\" for a kernel that does without, or leave this line out",
            );
        }
        self.file.window_tracking = tracks.map(|(tracks, _)| tracks);
    }

    fn flag(&mut self, value: Value<'_, '_>, key: &str, remedy: &str) -> Option<bool> {
        if let DeValue::Boolean(flag) = value.get_ref() {
            return Some(*flag);
        }
        let found = value.get_ref().type_str();
        let message = format!("`{key}` is a TOML {found}");
        self.problem(value.span(), message, "expected true or false", remedy);
        None
    }

    fn profile_name(&mut self, value: Value<'_, '_>) -> Option<Profile> {
        let (text, position) = self.text(value, "\"linux6\" or \"classic\"")?;
        let found = Profile::from_name(&text);
        if found.is_none() {
            let names = Profile::ALL.map(Profile::name);
            let remedy = match suggestion(&text, names) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => "\"linux6\" is today's kernel, \"classic\" one of the ip_conntrack days".to_owned(),
            };
            self.problem(
                position,
                format!("there is no profile {text:?}"),
                "expected \"linux6\" or \"classic\"",
                remedy,
            );
        }
        found
    }

    fn memory(&mut self, value: Value<'_, '_>) {
        let text = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().replace('_', ""),
            DeValue::String(text) => text.to_string(),
            _ => String::new(),
        };
        self.file.memory = memory(&text);
        if self.file.memory.is_none() {
            self.problem(
                value.span(),
                "this is no machine's memory",
                "expected 1M to 64T: a number with K, M or G, or of bytes",
                "write it like memory = \"128M\"",
            );
        }
    }

    fn workers(&mut self, value: Value<'_, '_>) {
        let text = match value.get_ref() {
            DeValue::Integer(number) => number.as_str().replace('_', ""),
            _ => String::new(),
        };
        self.file.workers = text
            .parse()
            .ok()
            .filter(|&count: &u8| (1..=MOST_WORKERS).contains(&count.into()));
        if self.file.workers.is_none() {
            self.problem(
                value.span(),
                "so many workers carry no lab's packets",
                format!("expected 1 to {MOST_WORKERS}, since the kernel gives a device no more queues"),
                "write it like workers = 2, or leave it out for one worker on each core",
            );
        }
    }

    /// `"a.b.c" = 1`, and `a.b.c = 1`, which TOML reads as tables in tables.
    fn sysctls(&mut self, prefix: &str, key: Key<'_, '_>, value: Value<'_, '_>) {
        let Some(table) = self.table(key, value, "a table of sysctls") else {
            return;
        };
        for (key, value) in in_order(table) {
            let name = format!("{prefix}{}", key.get_ref());
            let text = match value.get_ref() {
                DeValue::Table(_) => {
                    self.sysctls(&format!("{name}."), key, value);
                    continue;
                }
                DeValue::Integer(number) => {
                    match i128::from_str_radix(&number.as_str().replace('_', ""), number.radix()) {
                        Ok(number) => number.to_string(),
                        Err(_) => number.as_str().to_owned(),
                    }
                }
                DeValue::String(text) => text.to_string(),
                DeValue::Boolean(flag) => u8::from(*flag).to_string(),
                other => {
                    let found = other.type_str();
                    self.problem(
                        value.span(),
                        format!("the value of `{name}` is a TOML {found}"),
                        "expected an integer, a text or a boolean",
                        "write the value as `sysctl -w` takes it; several numbers go into one text: \"1 2 3\"",
                    );
                    continue;
                }
            };
            if let Some(&first) = self.sysctl_at.get(&name) {
                let message = format!("`{name}` is set twice (first to {})", self.file.sysctls[first].value);
                self.problem(key.span(), message, "set before", "keep one of the two lines");
                continue;
            }
            self.sysctl_at.insert(name.clone(), self.file.sysctls.len());
            self.file.sysctls.push(Sysctl {
                key: name,
                value: text,
                key_position: key.span().into(),
                value_position: value.span().into(),
            });
        }
    }

    fn interface(&mut self, name: Key<'_, '_>, value: Value<'_, '_>) {
        let place = format!("in [interface.{}]", name.get_ref());
        let valid_name = self.interface_name(name);
        let Some(table) = self.table(name, value, "a table") else {
            return;
        };
        let (mut addresses, mut mtu, mut misspelt) = (None, DEFAULT_MTU, false);
        let mut offload = None;
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "address" => addresses = Some(self.addresses(value)),
                "mtu" => mtu = self.mtu(value).unwrap_or(DEFAULT_MTU),
                "offload" => offload = self.flag(value, "offload", OFFLOAD_REMEDY),
                _ => {
                    self.unknown_key(key, &place, &keys::INTERFACE);
                    misspelt = true;
                }
            }
        }
        // What is missing may be what is misspelt.
        if addresses.is_none() && !misspelt {
            self.problem(
                name.span(),
                format!("[interface.{}] has no address", name.get_ref()),
                "expected `address` in this table",
                "add a line such as address = [\"10.0.0.1/24\"]; an interface that shall have none says address = []",
            );
        }
        let (Some(name_made), Some(addresses)) = (valid_name, addresses) else {
            return;
        };
        self.file.interfaces.push(Interface {
            name: name_made,
            addresses,
            mtu,
            offload: offload.unwrap_or(self.offload.unwrap_or(true)),
            position: name.span().into(),
        });
    }

    fn host(&mut self, name: Key<'_, '_>, value: Value<'_, '_>) {
        let place = format!("in [host.{}]", name.get_ref());
        if !is_plain_name(name.get_ref()) {
            self.problem(
                name.span(),
                format!("{:?} cannot name a host", name.get_ref()),
                "expected 1 to 64 letters, digits, `-`, `_` or `.`, the first a letter or digit",
                "the name becomes part of a network namespace's name; choose a plain one",
            );
        } else if let Some(why) = means_something_else(name.get_ref()) {
            self.problem(
                name.span(),
                format!("{:?} cannot name a host: {why}", name.get_ref()),
                "expected a name that means nothing else in packets, rules and filters",
                format!("choose another, such as [host.{}-host]", name.get_ref()),
            );
        }
        let Some(table) = self.table(name, value, "a table") else {
            return;
        };
        let (mut interface, mut addresses, mut gateways, mut misspelt) = (None, None, Vec::new(), false);
        for (key, value) in in_order(table) {
            match key.get_ref().as_ref() {
                "interface" => interface = Some(self.known_interface(value)),
                "address" => addresses = Some(self.addresses(value)),
                "gateway" => gateways = self.texts(value, "an address").into_iter().collect(),
                of_interface @ ("offload" | "mtu") => {
                    self.problem(
                        key.span(),
                        format!("`{of_interface}` is the interface's, and all of its hosts share it"),
                        "expected one of `interface`, `address`, `gateway`",
                        "write it in the table of the host's interface, such as [interface.lan], or leave it out",
                    );
                    misspelt = true;
                }
                _ => {
                    self.unknown_key(key, &place, &keys::HOST);
                    misspelt = true;
                }
            }
        }
        for (missing, example) in [
            (interface.is_none(), "interface = \"lan\""),
            (
                addresses.as_ref().is_none_or(Vec::is_empty),
                "address = \"10.0.0.2/24\"",
            ),
        ] {
            if missing && !misspelt {
                let key = example.split(' ').next().unwrap_or_default();
                self.problem(
                    name.span(),
                    format!("[host.{}] has no {key}", name.get_ref()),
                    format!("expected `{key}` in this table"),
                    format!("add a line such as {example}"),
                );
            }
        }
        let gateways = gateways
            .into_iter()
            .filter_map(|(text, position)| Some((self.address(&text, position)?, position)))
            .collect::<Vec<_>>();
        let (Some(Some(interface)), Some(addresses)) = (interface, addresses) else {
            return;
        };
        for (gateway, position) in &gateways {
            if !addresses.iter().any(|own| own.subnet().contains(*gateway)) {
                self.problem(
                    *position,
                    format!("the gateway {gateway} is in no subnet of host {}", name.get_ref()),
                    "expected an address that the host reaches without a gateway",
                    "name the router's address on this interface, or leave `gateway` out",
                );
            }
        }
        self.file.hosts.push(Host {
            name: name.get_ref().to_string(),
            interface,
            addresses,
            gateways: gateways.into_iter().map(|(gateway, _)| gateway).collect(),
            position: name.span().into(),
        });
    }

    pub(super) fn unknown_key(&mut self, key: Key<'_, '_>, place: &str, known: &keys::Place) {
        let known = known.keys.iter().map(|key| key.name);
        let listed = known
            .clone()
            .map(|key| format!("`{key}`"))
            .collect::<Vec<_>>()
            .join(", ");
        let remedy = match suggestion(key.get_ref(), known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "remove it, or see the manual for what a lab file may say".into(),
        };
        self.problem(
            key.span(),
            format!("unknown key `{}` {place}", key.get_ref()),
            format!("expected one of {listed}"),
            remedy,
        );
    }

    pub(super) fn problem(
        &mut self,
        position: impl Into<Position>,
        message: impl Into<String>,
        expected: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(Problem::new(position, message, expected, remedy));
    }

    pub(super) fn no_interface(&mut self, name: &str, position: Position) {
        let interfaces = &self.file.interfaces;
        // A word that is near is looked for as long as it costs little: a long file may have as many wrong names as right ones.
        self.compared += interfaces.len();
        let near = match self.compared <= MOST_COMPARED {
            true => suggestion(name, interfaces.iter().map(|it| it.name.as_str())),
            false => None,
        };
        let known = some_of(interfaces.iter().map(|it| it.name.to_string()), interfaces.len(), ", ");
        let remedy = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("describe it in a table [interface.{name}]"),
        };
        self.problem(
            position,
            format!("this lab has no interface {name:?}"),
            match known.is_empty() {
                true => "expected the name of an [interface.NAME] table".to_owned(),
                false => format!("expected one of {known}"),
            },
            remedy,
        );
    }
}

/// Words in a row for a message: of very many the first, and how many more there are in all.
pub(super) fn some_of(words: impl Iterator<Item = String>, in_all: usize, between: &str) -> String {
    let first: Vec<String> = words.take(MOST_LISTED).collect();
    let mut text = first.join(between);
    if in_all > MOST_LISTED {
        text.push_str(&format!("{between}{} more", in_all - MOST_LISTED));
    }
    text
}

/// Names that stand in one message.
const MOST_LISTED: usize = 20;
/// Names that wrong ones of a file are compared with, in all.
const MOST_COMPARED: usize = 100_000;

const OFFLOAD_REMEDY: &str = "write offload = false for a lab whose packets are all cut and summed on their devices";
