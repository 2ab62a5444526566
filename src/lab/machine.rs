//! One machine as its tools see it: the router, the clock they are called at, what `modprobe` loaded, `/proc/sys`, and the kernel's log.
//!
//! A lab in memory and a live one hand the same `Machine` to the same tools; only who drives the clock differs.

use std::sync::Arc;

use parking_lot::Mutex;

use super::conversation::Hosts;
use super::counters::InterfaceCounters;
use super::file::LabFile;
use super::files::{Files, Needs, Opener};
use super::kernel_log::KernelLog;
use super::machine_tables::InHand;
use super::request::{Answer, Asker, Request, Response, Waker};
use super::words::Trials;
use crate::base::bytes::quoted;
use crate::base::{Family, InterfaceName, Time};
pub use crate::conntrack::Profile;
use crate::conntrack::{SettingError, Settings};
use crate::engine::{Config, Router, Worker};
use crate::helper::{HelperSpec, LoadRefused, Loaded};
use crate::net::{Net, SysctlError};
use crate::rule::{Clock, WriteRefused};
use crate::syntax::problem::SHOWN;

/// One call of a tool, as a shell would make it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The name it was called by: `iptables-save`.
    pub name: &'a str,
    /// Without the name itself.
    pub args: &'a [String],
    /// All of its standard input.
    pub stdin: &'a str,
    /// The files it names, as its caller found them.
    pub files: &'a Files,
}

/// What a call left.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ToolOutput {
    /// All that it printed there; a byte that is no UTF-8 is kept as `base::bytes` keeps it.
    pub stdout: String,
    /// The same of standard error.
    pub stderr: String,
    /// Exit status: 0 where it was done.
    pub code: i32,
    /// Where the fault is and what to do about it, in more words than the real tool has.
    pub advice: String,
}

impl ToolOutput {
    /// It was done, and printed this.
    pub fn success(stdout: impl Into<String>) -> Self {
        Self {
            stdout: stdout.into(),
            ..Self::default()
        }
    }

    /// It was not done; what standard error gets, line feeds included.
    pub fn failure(code: i32, stderr: impl Into<String>) -> Self {
        Self {
            stderr: stderr.into(),
            code,
            ..Self::default()
        }
    }

    /// Adds a line of advice: whoever goes wrong very often is advised of the first times, since to find what was meant takes longer than to fail.
    pub(crate) fn advise(&mut self, tool: &str, advice: impl FnOnce() -> Option<String>) {
        if self.advice.lines().nth(SHOWN - 1).is_none()
            && let Some(advice) = advice()
        {
            self.advice += &format!("{tool}: {advice}\n");
        }
    }
}

impl From<ToolOutput> for Response {
    fn from(output: ToolOutput) -> Self {
        Self {
            stdout: output.stdout,
            stderr: output.stderr,
            code: output.code,
            busy: false,
        }
    }
}

/// What the inside of `sh` calls to show files of `/proc`: their texts, as a list of JSON.
pub const TEXTS_OF_FILES: &str = "texts";

/// The tools that a lab offers. Handed in, because applets live above this room.
#[derive(Clone, Copy)]
pub struct Toolbox {
    /// What they are called.
    pub names: &'static [&'static str],
    /// Does a call, whose name should be one of `names`.
    pub call: fn(&mut Machine, Call<'_>) -> ToolOutput,
    /// What a call by this name with these arguments reads and writes.
    pub needs: fn(&str, &[String]) -> Needs,
    /// Whether a call by this name goes on until it is ended.
    pub goes_on: fn(&str, &[String]) -> bool,
    /// What a call by this name has to do with knobs.
    pub knobs: fn(&str) -> Knobs,
    /// What answers a request that has many answers; `None` for any other request.
    pub listen: fn(&Machine, &Request, &Waker) -> Option<Answer>,
    /// Opens what calls and scripts name.
    pub opener: &'static dyn Opener,
}

/// What a tool has to do with the lab's knobs, for who keeps a copy of them: a lab of a thousand interfaces has ten thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Knobs {
    /// Whatever they say, it does the same, and leaves them as they are.
    NotSeen,
    /// What it does may hang on them.
    Seen,
    /// It may turn one, or bring one with what it makes.
    Turned,
}

impl Toolbox {
    /// The tool that a command's first word means: `iptables`, or `/sbin/iptables`.
    pub fn find(&self, word: &str) -> Option<&'static str> {
        let name = word.rsplit('/').next().unwrap_or(word);
        self.names.iter().copied().find(|known| *known == name)
    }
}

impl std::fmt::Debug for Toolbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names).finish()
    }
}

/// The helpers that a machine has without `modprobe`: today's kernel loads one when a rule names it, an old one never did.
pub(super) fn helpers_of(profile: Profile) -> Loaded {
    match profile {
        Profile::Linux6 => Loaded::all(),
        Profile::Classic => Loaded::default(),
    }
}

/// Why a sysctl was not set, in the classes that `sysctl` tells apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnobError {
    /// There is no such key (ENOENT); the key.
    #[error("no such key: {0}")]
    Unknown(String),
    /// It can be read only; the sentence.
    #[error("{0}")]
    ReadOnly(String),
    /// The kernel answers EINVAL.
    #[error("{0}")]
    Invalid(String),
    /// Linux has the key, and a lab has nothing behind it; the sentence.
    #[error("{0}")]
    NotOffered(String),
    /// It can be written to only; the sentence.
    #[error("{0}")]
    WriteOnly(String),
}

/// One machine: its router and what tools see around it. It is driven from outside: whoever has it sets the clock.
pub struct Machine {
    router: Arc<Router>,
    in_hand: Mutex<InHand>,
    /// The instant that tools see.
    pub now: Time,
    /// When it was switched on: the log's time stamps count from here.
    pub booted: Time,
    /// The lab's name.
    pub name: String,
    /// What it was made from: hosts, and what has no effect yet.
    pub described: Arc<LabFile>,
    /// Packets pass it all the time, whoever asks; false for a lab that only moves when it is told to.
    pub live: bool,
    /// The kernel's log, as `dmesg` shows it.
    pub(crate) log: KernelLog,
    /// What passed its interfaces, where devices are behind them.
    pub(crate) ports: Vec<(InterfaceName, InterfaceCounters)>,
    /// Copies that people at a prompt try their packets on.
    pub(super) trials: Trials,
    modules: Vec<String>,
    toolbox: Toolbox,
    /// Who waits for what is called just now.
    pub(crate) asker: Asker,
}

impl Machine {
    /// Switched on at this instant, which its clock shows. The router's settings stay as they are until [`Self::set_profile`].
    pub fn new(router: Arc<Router>, booted: Time, toolbox: Toolbox) -> Self {
        Self {
            router,
            in_hand: Mutex::default(),
            now: booted,
            booted,
            name: String::new(),
            described: Arc::default(),
            live: false,
            ports: Vec::new(),
            trials: Trials::default(),
            modules: Vec::new(),
            log: KernelLog::default(),
            toolbox,
            asker: Asker::default(),
        }
    }

    /// The router, with everything in force that commands have said.
    pub fn router(&self) -> &Arc<Router> {
        self.in_hand.lock().settle(&self.router);
        &self.router
    }

    /// The same for who carries packets, without a lock.
    pub(super) fn router_for_packets(&mut self) -> &Router {
        self.in_hand.get_mut().settle(&self.router);
        &self.router
    }

    pub(super) fn router_and_hand(&mut self) -> (&Router, &mut InHand) {
        (&self.router, self.in_hand.get_mut())
    }

    /// A machine of its own over a copy of the router. Its log is empty.
    pub(super) fn copy(&self, router: Arc<Router>) -> Self {
        Self {
            router,
            in_hand: Mutex::default(),
            now: self.now,
            booted: self.booted,
            name: self.name.clone(),
            described: Arc::clone(&self.described),
            live: false,
            ports: Vec::new(),
            trials: Trials::default(),
            modules: self.modules.clone(),
            log: KernelLog::default(),
            toolbox: self.toolbox,
            asker: self.asker.clone(),
        }
    }

    /// The same machine for another thread: router and log are shared.
    pub(super) fn beside(&self) -> Self {
        Self {
            log: self.log.clone(),
            live: self.live,
            ports: self.ports.clone(),
            ..self.copy(Arc::clone(self.router()))
        }
    }

    /// What passed an interface.
    pub(crate) fn counters(&self, name: InterfaceName) -> Option<&InterfaceCounters> {
        let port = self.ports.iter().find(|(port, _)| *port == name)?;
        Some(&port.1)
    }

    /// The hosts that its lab file names.
    pub fn hosts(&self) -> Hosts {
        Hosts::of_lab(&self.described)
    }

    /// Calls a tool. One that isn't there fails as a shell says it.
    pub fn call(&mut self, call: Call<'_>) -> ToolOutput {
        (self.toolbox.call)(self, call)
    }

    /// The tools that it offers.
    pub fn toolbox(&self) -> Toolbox {
        self.toolbox
    }

    /// The one that was set last; `linux6` at first.
    pub fn profile(&self) -> Profile {
        self.router.config().conntrack.profile
    }

    /// Sets every knob of tracking to the profile's value; flows keep the timeouts they have until their next packet.
    pub fn set_profile(&self, profile: Profile) {
        let described = &self.described;
        self.configure(|config| {
            set_profile(config, profile, described.memory);
            // Said of the machine that the file describes, and of no other.
            if Some(profile) == described.profile
                && let Some(tracks) = described.window_tracking
            {
                config.conntrack.protocols.tcp.window_tracking = tracks;
            }
        });
    }

    fn configure(&self, change: impl FnOnce(&mut Config)) {
        let changed: Result<(), std::convert::Infallible> = self.router.configure(|config| {
            change(config);
            Ok(())
        });
        match changed {
            Ok(()) => {}
        }
    }

    /// Changes the net as [`Router::change_net`] says: in a lab that nobody else moves, without copying the rest.
    pub fn change_net<E>(&mut self, change: impl FnOnce(&mut Net) -> Result<(), E>) -> Result<(), E> {
        match Arc::get_mut(&mut self.router) {
            Some(router) => router.change_net(change),
            None => self.router.configure(|config| change(&mut config.net)),
        }
    }

    /// A router that nobody else has gets places for so many workers, while no table is in force; the worker of the first.
    pub(super) fn make_places(&mut self, count: usize) -> Option<Worker> {
        let is_empty = self.router().is_without_tables();
        let router = Arc::get_mut(&mut self.router).filter(|_| is_empty)?;
        router.make_places(count);
        router.worker(0)
    }

    /// Makes what the module registers available, as its parameters have it; those that it does not have come back.
    pub(crate) fn load_helper(
        &self,
        module: &'static HelperSpec,
        parameters: &[String],
    ) -> Result<Vec<String>, LoadRefused> {
        let mut unknown = Vec::new();
        self.router.configure(|config| {
            unknown = config.helpers.load(module, parameters)?;
            Ok(())
        })?;
        Ok(unknown)
    }

    /// Brings in a helper's NAT side, or takes it out.
    pub(crate) fn set_nat_helper(&self, module: &HelperSpec, is_there: bool) {
        self.configure(|config| config.helpers.set_nat(module, is_there));
    }

    /// Nobody reads the flows any more that its helpers were attached to, and what they expected is expected no longer.
    pub(crate) fn unload_helper(&self, module: &HelperSpec) {
        let mut gone = Vec::new();
        self.configure(|config| gone = config.helpers.unload(module));
        self.router.flows().forget_helpers(&gone, self.now);
    }

    /// Sets timeouts in another way than by their knobs; what `change` says of it.
    pub(crate) fn set_default_timeouts(&self, change: impl FnOnce(&mut Settings) -> bool) -> bool {
        let mut done = false;
        self.configure(|config| done = change(&mut config.conntrack));
        done
    }

    /// `hashsize=` of the module that tracks.
    pub(crate) fn set_buckets(&self, buckets: u32) {
        self.configure(|config| config.conntrack.fit_buckets(buckets));
    }

    /// Connections are tracked from now on, whether a rule asks for it or not.
    pub(crate) fn track_always(&self, always: bool) {
        self.configure(|config| config.always_track = always);
    }

    /// What `modprobe` loaded, in that order.
    pub fn modules(&self) -> &[String] {
        &self.modules
    }

    pub(crate) fn note_module(&mut self, name: &str) {
        if !self.modules.iter().any(|known| known == name) {
            self.modules.push(name.to_owned());
        }
    }

    pub(crate) fn forget_module(&mut self, name: &str) -> bool {
        let before = self.modules.len();
        self.modules.retain(|known| known != name);
        self.modules.len() < before
    }

    /// For files that show the kernel's clock.
    pub(crate) fn clock(&self) -> Clock {
        Clock {
            now: self.now,
            booted: self.booted,
        }
    }

    /// Writes to what rules share by this name. `None` where none in force names it; what the kernel says of a refusal goes into the log.
    pub(crate) fn write_shared(&self, directory: &str, name: &str, text: &[u8]) -> Option<Result<(), WriteRefused>> {
        let state = self.router().shared(directory, name)?;
        let written = state.write(text, self.now);
        if let Err(refused) = &written {
            self.log.keep(self.now, refused.logged.clone());
        }
        Some(written)
    }

    /// By a key with dots: `net.ipv4.ip_forward`. `None` where there is no such key.
    pub fn sysctl(&self, key: &str) -> Option<String> {
        let config = self.router.config();
        if let Some(own) = OWN_KEYS.iter().find(|own| own.key == key) {
            return Some((own.get)(&config.conntrack));
        }
        match knob(&config.conntrack, key) {
            Some("nf_conntrack_count") => Some(self.router.flows().count().to_string()),
            Some(name) => config.conntrack.get(name),
            None => config.net.sysctl_get(key),
        }
    }

    /// Why a key shows nothing, though it may be there.
    pub fn sysctl_unread(&self, key: &str) -> KnobError {
        knob_error(self.router.config().net.sysctl_unread(key), key)
    }

    /// By a key with dots. Where it is refused nothing has changed.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<(), KnobError> {
        self.router.configure(|config| self.set_knob(config, key, value))
    }

    /// Sets one after another, and says of each how it went.
    pub fn set_sysctls<'a>(&self, settings: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Result<(), KnobError>> {
        let mut results = Vec::new();
        let done = self.router.configure(|config| {
            results.extend(settings.map(|(key, value)| self.set_knob(config, key, value)));
            Ok::<(), std::convert::Infallible>(())
        });
        match done {
            Ok(()) => results,
        }
    }

    fn set_knob(&self, config: &mut Config, key: &str, value: &str) -> Result<(), KnobError> {
        match OWN_KEYS.iter().find(|own| own.key == key) {
            Some(own) => (own.set)(config, self.described.memory, value.trim()).map_err(|expected| {
                let value = quoted(value);
                KnobError::Invalid(format!("{key} cannot be {value}: expected {expected}"))
            })?,
            None => set_knob(config, key, value)?,
        }
        if key == FLUSH {
            self.router.forget_path_mtus(Family::V4);
        }
        Ok(())
    }

    /// Every key, in the order of the alphabet.
    pub fn sysctls(&self) -> Vec<String> {
        let config = self.router.config();
        let mut keys = config.net.sysctl_list();
        keys.extend(config.conntrack.names().map(|name| format!("net.netfilter.{name}")));
        keys.push("net.nf_conntrack_max".to_owned());
        let old = config.conntrack.old_names();
        keys.extend(old.into_iter().map(|(name, _)| format!("net.ipv4.{name}")));
        keys.extend(OWN_KEYS.iter().map(|own| own.key.to_owned()));
        keys.sort();
        keys
    }

    /// The tables of a family that exist, in the order they came to.
    pub fn table_names(&self, family: Family) -> Vec<&'static str> {
        self.router()
            .tables(family)
            .into_iter()
            .map(crate::rule::Table::name)
            .collect()
    }

    /// The families whose rules this machine has.
    pub fn families(&self) -> &'static [Family] {
        &Family::ALL
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine")
            .field("now", &self.now)
            .field("profile", &self.profile())
            .field("modules", &self.modules)
            .finish_non_exhaustive()
    }
}

/// Sets a sysctl of a configuration, or leaves it as it is.
fn set_knob(config: &mut Config, key: &str, value: &str) -> Result<(), KnobError> {
    let name = knob(&config.conntrack, key);
    if name == Some("nf_conntrack_count") {
        return Err(KnobError::ReadOnly(format!("{key} is read-only")));
    }
    match name {
        Some(name) => config.conntrack.set(name, value).map_err(|error| match error {
            SettingError::Unknown(_) => KnobError::Unknown(key.to_owned()),
            SettingError::ReadOnly(_) => KnobError::ReadOnly(error.to_string()),
            SettingError::Invalid { .. } => KnobError::Invalid(error.to_string()),
        }),
        None => config
            .net
            .sysctl_set(key, value)
            .map_err(|error| knob_error(error, key)),
    }
}

fn knob_error(error: SysctlError, key: &str) -> KnobError {
    match error {
        SysctlError::Unknown(_) => KnobError::Unknown(key.to_owned()),
        SysctlError::NotOffered(key, why) => KnobError::NotOffered(format!("{key} is not offered: {why}")),
        SysctlError::ReadOnly(_) => KnobError::ReadOnly(format!("{key} is read-only")),
        SysctlError::WriteOnly(_) => KnobError::WriteOnly(format!("{key} can be written to only")),
        SysctlError::BadValue { key, value, min, max } => KnobError::Invalid(format!(
            "{key} cannot be {value}: expected a number from {min} to {max}",
            value = quoted(&value)
        )),
        SysctlError::BadRanges { key, value } => KnobError::Invalid(format!(
            "{key} cannot be {value}: expected ranges of types from 0 to 255, as 0-1,3-127",
            value = quoted(&value)
        )),
    }
}

/// Whether a lab goes by a sysctl that it has; others are kept and shown.
pub(crate) fn goes_by(key: &str) -> bool {
    !crate::net::is_kept_alone(key)
}

/// Whatever is written to it, what is known of IPv4's paths goes. Seen: of IPv6 nothing goes by its like.
const FLUSH: &str = "net.ipv4.route.flush";

/// The name of a knob of tracking, as `Settings` has it, by today's key or by one of old.
fn knob<'a>(settings: &Settings, key: &'a str) -> Option<&'a str> {
    if let Some(name) = key.strip_prefix("net.ipv4.") {
        return settings.by_old_name(name);
    }
    match key {
        "net.nf_conntrack_max" => Some("nf_conntrack_max"),
        _ => key
            .strip_prefix("net.netfilter.")
            .filter(|name| name.starts_with("nf_conntrack")),
    }
}

/// A key that no kernel has: of the lab itself.
struct OwnKey {
    key: &'static str,
    get: fn(&Settings) -> String,
    /// With the memory that the lab's file says; what was expected, where the value is none.
    set: fn(&mut Config, Option<u64>, &str) -> Result<(), &'static str>,
}

const OWN_KEYS: &[OwnKey] = &[
    OwnKey {
        key: "nflab.profile",
        get: |settings| settings.profile.name().to_owned(),
        set: |config, memory, value| {
            let profile = Profile::from_name(value).ok_or("linux6 or classic")?;
            // Written as it is, it changes nothing else.
            if profile != config.conntrack.profile {
                set_profile(config, profile, memory);
            }
            Ok(())
        },
    },
    OwnKey {
        key: "nflab.window_tracking",
        get: |settings| u8::from(settings.protocols.tcp.window_tracking).to_string(),
        set: |config, _, value| {
            let tracks = match value {
                "0" => false,
                "1" => true,
                _ => return Err("0 or 1"),
            };
            if !tracks && config.conntrack.profile != Profile::Classic {
                return Err("1: today's kernel always tracks windows; `nflab.profile = classic` does without");
            }
            config.conntrack.protocols.tcp.window_tracking = tracks;
            Ok(())
        },
    },
];

/// Every knob of tracking gets the profile's value.
fn set_profile(config: &mut Config, profile: Profile, memory: Option<u64>) {
    config.conntrack = Settings::of(profile);
    if let Some(bytes) = memory {
        config.conntrack.fit_memory(bytes);
    }
    config.helpers = helpers_of(profile);
}
