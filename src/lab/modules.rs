//! The modules of a lab's kernel: what each is called, which others it needs, who uses it, and what changes when it comes or goes.
//!
//! A module has the name of its time, whichever it was asked for by. In today's profile everything is built in, so what is loaded is only told; but a
//! helper's parameters count, and its flows lose it when it goes. In the classic one nothing of tracking is there before its module is.

use std::fmt;

use super::machine::{Machine, Profile};
use crate::base::Family;
use crate::ext::{self, targets::ct};
use crate::helper::{self, HelperSpec, LoadRefused, Parameter, Said, Sets, Takes};
use crate::rule::{Action, LogRecord};
use crate::syntax::problem::suggestion;

/// What a name that `modprobe` was given stands for.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// As this profile's kernel lists it.
    pub name: String,
    kind: Kind,
    needs: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Nothing changes.
    BuiltIn,
    /// Tracks connections from the moment it is loaded.
    Tracking,
    /// The tracking side of a helper.
    Helper(&'static HelperSpec),
    /// Its NAT side.
    NatHelper(&'static HelperSpec),
}

/// Why a module was not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotLoaded {
    /// The module itself refused what was said of it.
    Refused(LoadRefused),
    /// An old kernel loads nothing with a parameter that the module does not have.
    UnknownParameter,
    /// The real module has parameters that are not there here, or none.
    NoParameters(String),
}

/// Who uses a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Users {
    /// Modules, the newest first.
    pub modules: Vec<String>,
    /// Rules that name what it brings.
    pub rules: usize,
}

impl Users {
    /// As `lsmod` counts them.
    pub(crate) fn count(&self) -> usize {
        self.modules.len() + self.rules
    }
}

/// `nf_conntrack_ftp, nf_nat and 2 rules`.
impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.modules.join(", "))?;
        let and = if self.modules.is_empty() { "" } else { " and " };
        match self.rules {
            0 => Ok(()),
            1 => write!(f, "{and}1 rule"),
            several => write!(f, "{and}{several} rules"),
        }
    }
}

/// The module that a name stands for, by any of its names.
pub(crate) fn find(name: &str, profile: Profile) -> Option<Module> {
    let name = name.replace('-', "_");
    let name = name.as_str();
    let plain = |kind, names: &[&'static str], needs: &[&'static str]| Module {
        name: called(names, profile).to_owned(),
        kind,
        needs: needs.to_vec(),
    };
    let (tracking, nat) = (called(TRACKING, profile), called(NAT, profile));
    let mut all = helper::registry().iter();
    if let Some(spec) = all.find(|spec| spec.modules.contains(&name)) {
        return Some(plain(Kind::Helper(spec), spec.modules, &[tracking]));
    }
    let mut all = helper::registry().iter();
    if let Some(spec) = all.find(|spec| spec.nat_modules.contains(&name)) {
        let needs = [nat, called(spec.modules, profile), tracking];
        return Some(plain(Kind::NatHelper(spec), spec.nat_modules, &needs));
    }
    if let Some(own) = OWN.iter().find(|own| own.names.contains(&name)) {
        let kind = match own.names == TRACKING {
            true => Kind::Tracking,
            false => Kind::BuiltIn,
        };
        let needs = own.needs.iter().map(|names| called(names, profile));
        let needs: Vec<&str> = needs.filter(|need| exists(need, profile)).collect();
        return Some(plain(kind, own.names, &needs));
    }
    let asked = |prefix| Some((prefix, name.strip_prefix(prefix)?));
    let (prefix, extension) = ["xt_", "ipt_", "ip6t_"].into_iter().find_map(asked)?;
    let is_of = |family| ext::find_match(extension, family).is_some() || ext::find_target(extension, family).is_some();
    // Of old each family had its own.
    let of_six = is_of(Family::V6) && (prefix == "ip6t_" || !is_of(Family::V4));
    let known = Family::ALL.into_iter().any(is_of);
    known.then(|| Module {
        name: match profile {
            Profile::Linux6 => format!("xt_{extension}"),
            Profile::Classic if of_six => format!("ip6t_{extension}"),
            Profile::Classic => format!("ipt_{extension}"),
        },
        kind: Kind::BuiltIn,
        needs: vec![match profile {
            Profile::Linux6 => "x_tables",
            Profile::Classic if of_six => "ip6_tables",
            Profile::Classic => "ip_tables",
        }],
    })
}

/// What may have been meant by a name that no module has: those that begin so, where it ends like a pattern, or one that is near.
pub(crate) fn meant(name: &str, profile: Profile) -> Option<String> {
    let helpers = helper::registry().iter();
    let helpers = helpers.flat_map(|spec| spec.modules.iter().chain(spec.nat_modules).copied());
    let all: Vec<&str> = helpers.chain(OWN.iter().flat_map(|own| own.names).copied()).collect();
    let lower = name.to_lowercase();
    let begins = lower.trim_end_matches('*');
    if begins.ends_with('_') {
        let named: Vec<&str> = all.into_iter().filter(|it| it.starts_with(begins)).collect();
        return (!named.is_empty()).then(|| format!("each module is named by itself: {}", named.join(", ")));
    }
    // Of two names that are as near, the one of this time.
    let (of_time, others): (Vec<&str>, Vec<&str>) = all
        .into_iter()
        .partition(|it| find(it, profile).is_some_and(|module| module.name == *it));
    let near = suggestion(&lower, of_time).or_else(|| suggestion(&lower, others))?;
    // What all of them begin with makes none of them near.
    let tail = |name: &'static str| name.rsplit_once('_').map_or(name, |(_, tail)| tail);
    let (prefix, own) = lower.rsplit_once('_').unwrap_or(("", &lower));
    let shared = near.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('_'));
    if shared && own.get(..1) != tail(near).get(..1) && suggestion(own, [tail(near)]).is_none() {
        return None;
    }
    Some(format!("did you mean `{near}`?"))
}

/// What is loaded, the newest first, and who uses it.
pub(crate) fn listed(machine: &Machine) -> Vec<(&str, Users)> {
    let loaded = machine.modules().iter().rev();
    let users = |name| find(name, machine.profile()).map(|module| machine.users_of(&module));
    loaded
        .map(|name| (name.as_str(), users(name).unwrap_or_default()))
        .collect()
}

impl Machine {
    /// Loads a module and what it needs. One that is loaded stays as it is, whatever is said of it.
    pub(crate) fn load_module(&mut self, module: &Module, parameters: &[String]) -> Result<(), NotLoaded> {
        if self.modules().contains(&module.name) {
            return Ok(());
        }
        for name in &module.needs {
            if let Some(needed) = find(name, self.profile()) {
                self.load_module(&needed, &[])?;
            }
        }
        match module.kind {
            Kind::BuiltIn if !parameters.is_empty() => {
                return Err(NotLoaded::NoParameters(parameters[0].clone()));
            }
            Kind::BuiltIn => {}
            Kind::Tracking => {
                let said = self.read_parameters(module, OF_TRACKING, parameters)?;
                for (_, buckets) in said.numbers {
                    self.set_buckets(buckets);
                }
                self.track_always(true);
            }
            Kind::Helper(spec) => self.load_tracking_side(module, spec, parameters)?,
            Kind::NatHelper(spec) => {
                self.read_parameters(module, spec.nat_parameters, parameters)?;
                self.set_nat_helper(spec, true);
            }
        }
        self.note_module(&module.name);
        Ok(())
    }

    /// Takes a module out, and what it needed and nobody else does. `Err` with who uses it.
    pub(crate) fn unload_module(&mut self, module: &Module) -> Result<(), Users> {
        let users = self.users_of(module);
        if users.count() > 0 {
            return Err(users);
        }
        if !self.forget_module(&module.name) {
            return Ok(());
        }
        match module.kind {
            Kind::BuiltIn => {}
            Kind::Tracking => {
                self.track_always(false);
                // The table goes with the module.
                self.router().flows().flush();
            }
            Kind::Helper(spec) => {
                self.unload_helper(spec);
                self.build_in(spec);
            }
            Kind::NatHelper(spec) => self.set_nat_helper(spec, self.profile() == Profile::Linux6),
        }
        for name in &module.needs {
            if let Some(needed) = find(name, self.profile()) {
                // Whoever else uses it keeps it.
                let _ = self.unload_module(&needed);
            }
        }
        Ok(())
    }

    /// The modules and rules that use a module.
    pub(crate) fn users_of(&self, module: &Module) -> Users {
        let loaded = self.modules().iter().rev();
        let needs_it = |name: &&String| {
            let other = find(name, self.profile());
            other.is_some_and(|other| other.needs.contains(&module.name.as_str()))
        };
        Users {
            modules: loaded.filter(needs_it).cloned().collect(),
            rules: match module.kind {
                Kind::BuiltIn | Kind::NatHelper(_) => 0,
                Kind::Tracking => self.rules(|_, needs_conntrack| needs_conntrack),
                Kind::Helper(spec) => self.rules(|action, _| {
                    let name = of_target(action);
                    name.is_some_and(|name| self.registers(spec, name))
                }),
            },
        }
    }

    /// How many rules there are of which this is so; they are also asked whether they need tracking.
    fn rules(&self, counts: impl Fn(&Action, bool) -> bool) -> usize {
        let router = self.router();
        let of_family = |family| {
            router
                .tables(family)
                .into_iter()
                .map(move |table| router.table(family, table))
        };
        let tables = Family::ALL.into_iter().flat_map(of_family);
        let of_table = |table: &crate::rule::TableRules| {
            let rules = table.rules();
            rules
                .filter(|rule| counts(&rule.action, rule.needs_conntrack()))
                .count()
        };
        tables.map(|table| of_table(&table)).sum()
    }

    fn registers(&self, spec: &HelperSpec, name: &str) -> bool {
        let config = self.router().config();
        let module = config.helpers.module(spec);
        module.is_some_and(|module| module.conntrack().any(|helper| helper.name == name))
    }

    fn load_tracking_side(
        &self,
        module: &Module,
        spec: &'static HelperSpec,
        parameters: &[String],
    ) -> Result<(), NotLoaded> {
        self.read_parameters(module, spec.parameters, parameters)?;
        let is_built_in = self.router().config().helpers.module(spec).is_some();
        if is_built_in && !parameters.is_empty() {
            self.unload_helper(spec);
        }
        let loaded = self.load_helper(spec, parameters).map_err(NotLoaded::Refused);
        match loaded {
            Ok(_) if self.profile() == Profile::Linux6 => self.set_nat_helper(spec, true),
            Ok(_) => {}
            Err(why) => {
                self.build_in(spec);
                return Err(why);
            }
        }
        Ok(())
    }

    /// Today's kernel has every helper, and fetches one that is named.
    fn build_in(&self, spec: &'static HelperSpec) {
        if self.profile() == Profile::Linux6 {
            // Nothing is said, so nothing is refused.
            let _ = self.load_helper(spec, &[]);
            self.set_nat_helper(spec, true);
        }
    }

    /// Reads what is said of a module, and says in the kernel's log what is to be said of that: today's loads a module that does not have the parameter
    /// all the same.
    fn read_parameters(
        &self,
        module: &Module,
        parameters: &'static [Parameter],
        said: &[String],
    ) -> Result<Said, NotLoaded> {
        let name = &module.name;
        let read = helper::read_parameters(parameters, said).map_err(|why| {
            self.say(3, format!("{name}: {why}"));
            NotLoaded::Refused(why)
        })?;
        for key in &read.unknown {
            let (text, refused) = match self.profile() {
                Profile::Linux6 => (format!("{name}: unknown parameter '{key}' ignored"), false),
                Profile::Classic => (format!("{name}: Unknown parameter `{key}'"), true),
            };
            self.say(4, text);
            if refused {
                return Err(NotLoaded::UnknownParameter);
            }
        }
        for text in &read.ignored {
            self.say(6, format!("{name}: {text}"));
        }
        Ok(read)
    }

    /// A line of the kernel's log.
    pub(crate) fn say(&self, level: u8, text: String) {
        self.log.keep(self.now, [LogRecord { level, text }]);
    }
}

fn of_target(action: &Action) -> Option<&str> {
    match action {
        Action::Target(target) => ct::helper_of(target.as_ref()),
        _ => None,
    }
}

/// Of the names of a module, the one of the profile's time.
fn called(names: &[&'static str], profile: Profile) -> &'static str {
    let old = names.iter().find(|name| name.starts_with("ip"));
    match (profile, old) {
        (Profile::Classic, Some(old)) => old,
        _ => names.first().copied().unwrap_or_default(),
    }
}

/// Of old there was less to need.
fn exists(name: &str, profile: Profile) -> bool {
    profile == Profile::Linux6 || name.starts_with("ip")
}

/// A module that stands for what the lab has in itself: tables, NAT, reassembly, logging.
struct Own {
    /// Today's first.
    names: &'static [&'static str],
    /// By all their names.
    needs: &'static [&'static [&'static str]],
}

const TRACKING: &[&str] = &["nf_conntrack", "ip_conntrack", "nf_conntrack_ipv4", "nf_conntrack_ipv6"];
/// What the module that tracks takes.
static OF_TRACKING: &[Parameter] = &[Parameter {
    name: "hashsize",
    takes: Takes::Number {
        default: 0,
        least: 1,
        // As many as a large machine has by itself, five hundredfold.
        most: 1 << 27,
    },
    sets: Sets::Nothing,
    about: "the buckets of the table of flows; in the classic profile it holds eight flows for each",
}];
const NAT: &[&str] = &["nf_nat", "ip_nat", "nf_nat_ipv4", "nf_nat_ipv6"];
const TABLES: &[&str] = &["ip_tables"];
const TABLES6: &[&str] = &["ip6_tables"];
const CORE: &[&str] = &["x_tables"];
const DEFRAGMENTS: &[&str] = &["nf_defrag_ipv4"];
const DEFRAGMENTS6: &[&str] = &["nf_defrag_ipv6"];

const OWN: &[Own] = &[
    own(TRACKING, &[DEFRAGMENTS, DEFRAGMENTS6]),
    own(NAT, &[TRACKING]),
    own(DEFRAGMENTS, &[]),
    own(DEFRAGMENTS6, &[]),
    own(CORE, &[]),
    own(TABLES, &[CORE]),
    own(&["iptable_raw"], &[TABLES]),
    own(&["iptable_mangle"], &[TABLES]),
    own(&["iptable_nat"], &[TABLES, NAT]),
    own(&["iptable_filter"], &[TABLES]),
    own(&["iptable_security"], &[TABLES]),
    own(TABLES6, &[CORE]),
    own(&["ip6table_raw"], &[TABLES6]),
    own(&["ip6table_mangle"], &[TABLES6]),
    own(&["ip6table_nat"], &[TABLES6, NAT]),
    own(&["ip6table_filter"], &[TABLES6]),
    own(&["ip6table_security"], &[TABLES6]),
    own(&["nf_reject_ipv4"], &[]),
    own(&["nf_reject_ipv6"], &[]),
    own(&["nf_log_syslog", "nf_log_ipv4", "nf_log_common", "nf_log_ipv6"], &[]),
    own(&["nf_conntrack_netlink"], &[TRACKING]),
    own(&["nf_conntrack_broadcast"], &[TRACKING]),
    // Trackers that were modules once; today's kernel has them in the one above.
    own(&["nf_conntrack_proto_sctp", "ip_conntrack_proto_sctp"], &[TRACKING]),
    own(&["nf_conntrack_proto_gre", "ip_conntrack_proto_gre"], &[TRACKING]),
    own(&["nf_nat_proto_gre", "ip_nat_proto_gre"], &[NAT]),
    own(&["xt_tcpudp"], &[CORE]),
    own(&["xt_nat"], &[NAT, CORE]),
];

const fn own(names: &'static [&'static str], needs: &'static [&'static [&'static str]]) -> Own {
    Own { names, needs }
}

#[cfg(test)]
mod tests;
