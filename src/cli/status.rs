//! `nflab status`: the labs that there are, what is in them, and what their routers may still do.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::current;
use crate::base::bytes::{path_of, text_of_path};
use crate::base::{Family, Time, json as text_json};
use crate::device::standard::{say, say_text, tell};
use crate::lab::machine::{Machine, ToolOutput};
use crate::lab::request::Request;
use crate::live::control::{Client, Target};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// An object with a list of labs
    #[arg(long)]
    json: bool,
}

/// What a lab says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Inside {
    name: String,
    /// Whether packets pass it all the time.
    live: bool,
    /// In seconds.
    uptime: f64,
    profile: String,
    interfaces: Vec<Interface>,
    hosts: Vec<Host>,
    flows: usize,
    flows_max: usize,
    expectations: usize,
    /// How many there are in each table that exists.
    rules: BTreeMap<String, usize>,
    /// The same of IPv6.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    rules6: BTreeMap<String, usize>,
    modules: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Interface {
    name: String,
    mtu: u32,
    addresses: Vec<String>,
    /// `None` where no device is behind it.
    counters: Option<BTreeMap<String, u64>>,
    /// What its devices leave to the router; the same.
    #[serde(default)]
    offload: Option<Vec<String>>,
    /// How many workers read its packets; the same.
    #[serde(default)]
    queues: Option<usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Host {
    name: String,
    interface: String,
    addresses: Vec<String>,
}

/// The lab's side of it: an object on a line.
pub(super) fn answer(machine: &Machine) -> ToolOutput {
    match serde_json::to_string(&Inside::of(machine)) {
        Ok(text) => ToolOutput::success(text + "\n"),
        Err(error) => ToolOutput::failure(1, format!("nflab: the lab's state cannot be told: {error}\n")),
    }
}

impl Inside {
    fn of(machine: &Machine) -> Self {
        let router = machine.router();
        let config = router.config();
        let interface = |it: &crate::net::Interface| Interface {
            name: it.name.to_string(),
            mtu: it.mtu,
            addresses: it
                .addresses
                .iter()
                .map(|own| format!("{}/{}", own.address, own.prefix_length))
                .collect(),
            counters: machine.counters(it.name).map(|counters| {
                let named = counters.named().into_iter();
                named.map(|(name, count)| (name.to_owned(), count)).collect()
            }),
            offload: machine
                .counters(it.name)
                .map(|counters| counters.offloads.iter().map(|&name| name.to_owned()).collect()),
            queues: machine.counters(it.name).map(|counters| counters.queues),
        };
        let host = |it: &crate::lab::file::Host| Host {
            name: it.name.clone(),
            interface: it.interface.to_string(),
            addresses: it
                .addresses
                .iter()
                .map(|own| format!("{}/{}", own.address, own.prefix_length))
                .collect(),
        };
        let rules = |family| {
            let tables = router.tables(family).into_iter();
            tables.map(move |table| (table.name().to_owned(), router.table(family, table).rules().count()))
        };
        Self {
            name: machine.name.clone(),
            live: machine.live,
            uptime: machine.now.since(machine.booted.max(Time::ZERO)).as_secs_f64(),
            profile: machine.profile().name().to_owned(),
            // `lo` is in every lab.
            interfaces: config.net.interfaces().iter().skip(1).map(interface).collect(),
            hosts: machine.described.hosts.iter().map(host).collect(),
            flows: router.flows().count(),
            flows_max: config.conntrack.max as usize,
            expectations: router.flows().expectations(machine.now).len(),
            rules: rules(Family::V4).collect(),
            rules6: rules(Family::V6).collect(),
            modules: machine.modules().to_vec(),
        }
    }
}

/// A lab as it is found from outside.
struct Seen {
    name: String,
    socket: String,
    inside: Result<Inside, String>,
    /// What it wrote of itself; null for one that has no place.
    state: Value,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let mut labs: Vec<Seen> = Vec::new();
    let places = places();
    if let Some(name) = current::named()
        && let Err(error) = current::find()
        && !places.iter().any(|place| place.has_left(&name))
    {
        tell!("nflab: {error}");
        return current::NO_LAB;
    }
    // The lab of `nflab sh` has no place among the others, nor one whose socket is named. None is asked twice: one that hangs takes its time.
    let has_a_place = |target: &Target| {
        let mut running = places.iter().flat_map(|place| &place.running);
        running.any(|(_, socket, _)| path_of(socket) == target.socket)
    };
    if let Some(target) = current::find().ok().filter(|target| !has_a_place(target)) {
        labs.push(look(target.name, &target.socket, Value::Null));
    }
    let mut left_over: Vec<LeftOver> = Vec::new();
    for place in places {
        for (name, socket, state) in place.running {
            labs.push(look(name, &path_of(&socket), state));
        }
        left_over.extend(place.left_over);
    }
    if arguments.json {
        let list: Vec<Value> = labs.iter().map(Seen::json).collect();
        let left_over: Vec<&str> = left_over.iter().map(|lab| lab.name.as_str()).collect();
        say!(
            "{}",
            text_json::to_string(&json!({ "labs": list, "left_over": left_over }))
        );
    } else {
        for (at, lab) in labs.iter().enumerate() {
            say_text(&format!("{}{}", if at == 0 { "" } else { "\n" }, lab.text()));
        }
        for LeftOver { name, log, .. } in &left_over {
            let why = log
                .as_ref()
                .map(|log| format!("; its log says why: {log}"))
                .unwrap_or_default();
            say!("lab {name} was killed and is left over: `nflab down {name}` clears it away{why}");
        }
    }
    if labs.is_empty() {
        if !arguments.json && left_over.is_empty() {
            tell!("nflab: no lab runs: start one with `nflab up LAB.toml`");
        }
        return current::NO_LAB;
    }
    0
}

/// The lab's hosts as lines of `/etc/hosts`; none where it doesn't answer.
pub(super) fn names_of_hosts(socket: &std::path::Path) -> String {
    let mut lines = String::new();
    for host in look(String::new(), socket, Value::Null)
        .inside
        .map_or(Vec::new(), |it| it.hosts)
    {
        for own in &host.addresses {
            let address = own.split('/').next().unwrap_or_default();
            // Writing to a text cannot fail.
            let _ = writeln!(lines, "{address} {}", host.name);
        }
    }
    lines
}

fn look(name: String, socket: &std::path::Path, state: Value) -> Seen {
    let request = Request {
        tool: "status".to_owned(),
        ..Request::default()
    };
    // A lab that hangs must not make this hang: it is what one looks for.
    let ask = || {
        let mut client = Client::connect(socket)?;
        client.set_timeout(Some(PATIENCE))?;
        client.call(&request)
    };
    let until = Instant::now() + PATIENCE;
    let answered = loop {
        match ask() {
            Ok(response) if response.busy && Instant::now() < until => std::thread::sleep(BEFORE_ASKING_AGAIN),
            other => break other,
        }
    };
    let inside = match answered {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err(format!("it has not answered for {} seconds", PATIENCE.as_secs()))
        }
        Err(error) => Err(format!("it does not answer: {error}")),
        Ok(response) if response.code != 0 => Err(response.stderr.trim_end().trim_start_matches("nflab: ").to_owned()),
        Ok(response) => {
            serde_json::from_str(&response.stdout).map_err(|error| format!("its answer cannot be read: {error}"))
        }
    };
    Seen {
        name,
        socket: text_of_path(socket),
        inside,
        state,
    }
}

impl Seen {
    fn json(&self) -> Value {
        let mut object = match &self.inside {
            Ok(inside) => json!(inside),
            Err(why) => json!({ "error": why }),
        };
        object["name"] = json!(self.name());
        object["socket"] = json!(self.socket);
        if !self.state.is_null() {
            object["state"] = self.state.clone();
        }
        object
    }

    fn name(&self) -> &str {
        match (&self.inside, self.name.contains('/')) {
            (Ok(inside), true) => &inside.name,
            _ => &self.name,
        }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let name = self.name();
        let inside = match &self.inside {
            Ok(inside) => inside,
            Err(why) => return format!("lab {name}: {why}\n  NFLAB={}\n", self.socket),
        };
        let kind = match inside.live {
            true => "is up",
            false => "is in memory, up",
        };
        let _ = writeln!(text, "lab {name} {kind} for {}", duration(inside.uptime));
        let _ = writeln!(text, "  NFLAB={}", self.socket);
        if let Some(owner) = self.owner() {
            let _ = writeln!(text, "  {owner}");
        }
        for it in &inside.interfaces {
            let addresses = it.addresses.join(" ");
            let _ = write!(text, "  interface {} mtu {} {addresses}", it.name, it.mtu);
            for (name, count) in it.counters.iter().flatten() {
                let _ = write!(text, ", {count} {name}");
            }
            if let Some(queues @ 2..) = it.queues {
                let _ = write!(text, ", {queues} queues");
            }
            match it.offload.as_deref() {
                Some([]) => text += ", offload off",
                Some(names) => {
                    let _ = write!(text, ", offload {}", names.join(" "));
                }
                None => {}
            }
            text.push('\n');
        }
        for host in &inside.hosts {
            let _ = writeln!(
                text,
                "  host {} on {} {}",
                host.name,
                host.interface,
                host.addresses.join(" ")
            );
        }
        let _ = writeln!(
            text,
            "  flows {} of at most {}, expected {}; profile {}",
            inside.flows, inside.flows_max, inside.expectations, inside.profile
        );
        let listed = |rules: &BTreeMap<String, usize>| {
            let tables: Vec<String> = rules.iter().map(|(table, count)| format!("{table} {count}")).collect();
            tables.join(", ")
        };
        let _ = match inside.rules.is_empty() {
            true => writeln!(text, "  rules none"),
            false => writeln!(text, "  rules {}", listed(&inside.rules)),
        };
        if !inside.rules6.is_empty() {
            let _ = writeln!(text, "  rules of IPv6 {}", listed(&inside.rules6));
        }
        if let Some(privileges) = self.privileges() {
            let _ = writeln!(text, "  {privileges}");
        }
        text
    }

    /// `process 4711, of lab.toml`.
    fn owner(&self) -> Option<String> {
        let pid = self.state["pid"].as_i64()?;
        let namespace = match self.state["user_namespace"].as_bool() {
            Some(true) => ", in a user namespace",
            _ => "",
        };
        let file = self.state["file"].as_str().unwrap_or_default();
        let user = owner_of(&self.socket);
        Some(format!("{user}process {pid}{namespace}, from {file}"))
    }

    /// What the router may still do, where it wrote it down.
    fn privileges(&self) -> Option<String> {
        let may = self.state["privileges"].as_object()?;
        let capabilities = match may.get("capabilities").and_then(Value::as_u64) {
            Some(0) => "no capability".to_owned(),
            Some(bits) => format!("capabilities {bits:#x}"),
            None => "capabilities unknown".to_owned(),
        };
        let is = |name: &str| may.get(name).and_then(Value::as_bool) == Some(true);
        let mut parts = vec![capabilities];
        parts.push(match is("no_new_privs") {
            true => "no new privileges".to_owned(),
            false => "may gain privileges".to_owned(),
        });
        parts.push(match is("seccomp") {
            true => "calls filtered".to_owned(),
            false => "calls not filtered".to_owned(),
        });
        if let Some(landlock) = may.get("landlock").and_then(Value::as_str) {
            parts.push(format!("landlock: {landlock}"));
        }
        Some(format!("router: {}", parts.join(", ")))
    }
}

/// `user 1000, `, where the socket says whose it is.
fn owner_of(socket: &str) -> String {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if let Ok(metadata) = std::fs::symlink_metadata(socket) {
            return format!("user {}, ", metadata.uid());
        }
    }
    String::new()
}

/// What is in one of the places where labs are.
struct Found {
    /// Name, socket and state.
    running: Vec<(String, String, Value)>,
    /// Name, socket, and the log where there is one.
    left_over: Vec<LeftOver>,
}

struct LeftOver {
    name: String,
    socket: String,
    log: Option<String>,
}

impl Found {
    /// Whether `NFLAB` names a lab that was killed here.
    fn has_left(&self, name: &str) -> bool {
        self.left_over.iter().any(|lab| lab.name == name || lab.socket == name)
    }
}

#[cfg(target_os = "linux")]
fn places() -> Vec<Found> {
    let look = |place: &crate::live::place::Place| {
        let running: Vec<_> = place.running();
        let left_over = place
            .labs()
            .into_iter()
            .filter(|name| !running.iter().any(|lab| lab.name == *name))
            .map(|name| LeftOver {
                socket: text_of_path(&place.socket(&name)),
                log: place.logged(&name).map(|_| text_of_path(&place.log(&name))),
                name,
            })
            .collect();
        let running = running
            .into_iter()
            .map(|lab| (lab.name, text_of_path(&lab.socket), json!(lab.state)))
            .collect();
        Found { running, left_over }
    };
    crate::live::place::Place::all().iter().map(look).collect()
}

#[cfg(not(target_os = "linux"))]
fn places() -> Vec<Found> {
    Vec::new()
}

/// `3d 4h`, `5m 2s`, `0.3s`.
fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    let parts = [
        (whole / 86400, "d"),
        (whole / 3600 % 24, "h"),
        (whole / 60 % 60, "m"),
        (whole % 60, "s"),
    ];
    let first = parts.iter().position(|(count, _)| *count != 0);
    match first {
        None => format!("{seconds:.1}s"),
        Some(first) => {
            let shown = parts[first..].iter().take(2);
            let shown: Vec<String> = shown.map(|(count, unit)| format!("{count}{unit}")).collect();
            shown.join(" ")
        }
    }
}

/// How long a lab may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Where it is too busy.
const BEFORE_ASKING_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_that_was_killed_is_named_as_one_that_runs() {
        let left = |name: &str| LeftOver {
            name: name.to_owned(),
            socket: format!("/run/nflab/{name}/control"),
            log: None,
        };
        let found = Found {
            running: Vec::new(),
            left_over: vec![left("home"), left("office")],
        };
        for (name, is_left) in [
            ("home", true),
            ("office", true),
            ("/run/nflab/office/control", true),
            ("/run/nflab/office", false),
            ("play", false),
            ("", false),
        ] {
            assert_eq!(found.has_left(name), is_left, "{name}");
        }
        let none = Found {
            running: Vec::new(),
            left_over: Vec::new(),
        };
        assert!(!none.has_left("home"));
    }

    #[test]
    fn durations_have_two_units() {
        for (seconds, text) in [
            (0.25, "0.2s"),
            (59.9, "59s"),
            (61.0, "1m 1s"),
            (90_000.0, "1d 1h"),
            (3600.0, "1h 0m"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
