//! The helpers that are there: which modules are loaded, with which parameters, and which of them have their NAT side.
//!
//! A helper that a module registers under other ports or bounds than its own is a value that lives as long as the process, so that flows point to it
//! without counting: there are as many as were ever asked for, and the same one twice is one.

use std::time::Duration;

use parking_lot::Mutex;

use super::parameter::{LoadRefused, Sets, Values};
use super::{Helper, HelperSpec, registry};
use crate::conntrack::{ConntrackHelper, ExpectPolicy};

/// What of the registry a router has.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    modules: Vec<LoadedModule>,
    /// All that they register, for tracking.
    helpers: Vec<&'static ConntrackHelper>,
}

/// A module that is loaded.
#[derive(Clone, Debug)]
pub struct LoadedModule {
    /// What it is.
    pub spec: &'static HelperSpec,
    /// What was said of its parameters.
    pub said: Vec<String>,
    /// Its NAT side is there: without it what a payload says stays as it was, and what is expected is not led anywhere.
    pub has_nat: bool,
    pub(super) values: Values,
    registered: Vec<Registered>,
}

/// A helper under one port.
#[derive(Clone, Copy, Debug)]
struct Registered {
    conntrack: &'static ConntrackHelper,
    helper: &'static Helper,
}

impl Loaded {
    /// Everything there is, with its NAT side, as a kernel has it that was built with all of it.
    pub fn all() -> Self {
        let mut loaded = Self::default();
        for spec in registry() {
            // Nothing is said, so nothing is refused.
            let _ = loaded.load(spec, &[]);
            loaded.set_nat(spec, true);
        }
        loaded
    }

    /// What is loaded, in the order of loading.
    pub fn modules(&self) -> &[LoadedModule] {
        &self.modules
    }

    /// The module, if it is loaded.
    pub fn module(&self, spec: &HelperSpec) -> Option<&LoadedModule> {
        self.modules.iter().find(|module| std::ptr::eq(module.spec, spec))
    }

    /// As tracking knows them.
    #[inline]
    pub fn conntrack(&self) -> &[&'static ConntrackHelper] {
        &self.helpers
    }

    /// Loads the tracking side of a module, with parameters as `modprobe` has them (`ports=21,2121`). One that is loaded stays as it is, whatever is
    /// said. Those that the module does not have come back, and count for nothing.
    pub fn load(&mut self, spec: &'static HelperSpec, said: &[String]) -> Result<Vec<String>, LoadRefused> {
        if self.module(spec).is_some() {
            return Ok(Vec::new());
        }
        let mut values = Values::of(spec.parameters);
        let mut unknown = Vec::new();
        for parameter in said {
            if !values.say(parameter)? {
                unknown.push(parameter.clone());
            }
        }
        let mut registered: Vec<Registered> = Vec::new();
        for one in spec.helpers.iter().flat_map(|helper| registered_by(helper, &values)) {
            let place = |it: &Registered| (it.conntrack.name, it.conntrack.protocol);
            if registered.iter().any(|other| place(other) == place(&one)) {
                return Err(LoadRefused::Twice);
            }
            registered.push(one);
        }
        self.helpers.extend(registered.iter().map(|it| it.conntrack));
        self.modules.push(LoadedModule {
            spec,
            said: said.iter().filter(|it| !unknown.contains(it)).cloned().collect(),
            has_nat: false,
            values,
            registered,
        });
        Ok(unknown)
    }

    /// Brings in the NAT side of a loaded module, or takes it out.
    pub fn set_nat(&mut self, spec: &HelperSpec, has_nat: bool) {
        for module in &mut self.modules {
            if std::ptr::eq(module.spec, spec) {
                module.has_nat = has_nat;
            }
        }
    }

    /// Takes a module out, both sides of it; what it had registered.
    pub fn unload(&mut self, spec: &HelperSpec) -> Vec<&'static ConntrackHelper> {
        let mut gone = Vec::new();
        self.modules.retain(|module| {
            let stays = !std::ptr::eq(module.spec, spec);
            if !stays {
                gone.extend(module.conntrack());
            }
            stays
        });
        self.helpers
            .retain(|helper| !gone.iter().any(|it| std::ptr::eq(*it, *helper)));
        gone
    }

    /// Who reads the flows that this helper is attached to. `None` where its module has gone.
    pub(super) fn reader(&self, attached: &ConntrackHelper) -> Option<(&LoadedModule, &'static Helper)> {
        self.modules.iter().find_map(|module| {
            let mut all = module.registered.iter();
            let found = all.find(|it| std::ptr::eq(it.conntrack, attached))?;
            Some((module, found.helper))
        })
    }
}

impl LoadedModule {
    /// What it registered, as tracking knows them.
    pub fn conntrack(&self) -> impl Iterator<Item = &'static ConntrackHelper> + '_ {
        self.registered.iter().map(|it| it.conntrack)
    }
}

/// Whether there is, or was, a helper of this name for these flows: of the registry, or one that a module registered under another port.
pub(crate) fn is_known(fits: impl Fn(&ConntrackHelper) -> bool) -> bool {
    let mut own = registry().iter().flat_map(|spec| spec.conntrack());
    own.any(&fits) || OF_PARAMETERS.lock().iter().any(|helper| fits(helper))
}

/// One a port, each under a name of its own: seen, `ftp` at its own port and `ftp-2121` at another.
fn registered_by(helper: &'static Helper, values: &Values) -> Vec<Registered> {
    let own = &helper.conntrack;
    let policies = policies(own, values);
    let register = |name: &str, ports: &[u16]| Registered {
        conntrack: lasting(own, name, ports, &policies),
        helper,
    };
    let at = |port: &u16| match own.ports.contains(port) {
        true => register(own.name, &[*port]),
        false => register(&format!("{}-{port}", own.name), &[*port]),
    };
    match values.ports() {
        Some(ports) if !own.ports.is_empty() => ports.iter().map(at).collect(),
        _ => vec![register(own.name, own.ports)],
    }
}

fn policies(own: &ConntrackHelper, values: &Values) -> Vec<ExpectPolicy> {
    let changed = |policy: &ExpectPolicy| ExpectPolicy {
        name: policy.name,
        max_expected: values.setting(Sets::MostExpected).unwrap_or(policy.max_expected),
        timeout: match values.setting(Sets::Lifetime) {
            Some(seconds) => Duration::from_secs(seconds.into()),
            None => policy.timeout,
        },
    };
    own.policies.iter().map(changed).collect()
}

fn lasting(
    own: &'static ConntrackHelper,
    name: &str,
    ports: &[u16],
    policies: &[ExpectPolicy],
) -> &'static ConntrackHelper {
    let is_it = |it: &&'static ConntrackHelper| {
        let same_flows = it.protocol == own.protocol && it.families == own.families;
        it.name == name && same_flows && it.ports == ports && it.policies == policies
    };
    if is_it(&own) {
        return own;
    }
    let mut all = OF_PARAMETERS.lock();
    if let Some(known) = all.iter().copied().find(is_it) {
        return known;
    }
    let new = Box::leak(Box::new(ConntrackHelper {
        name: name.to_owned().leak(),
        families: own.families,
        protocol: own.protocol,
        ports: ports.to_vec().leak(),
        policies: policies.to_vec().leak(),
    }));
    all.push(new);
    new
}

static OF_PARAMETERS: Mutex<Vec<&'static ConntrackHelper>> = Mutex::new(Vec::new());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::helper::Parameter;

    fn ftp() -> &'static HelperSpec {
        registry().iter().find(|spec| spec.has("ftp")).unwrap()
    }

    fn load(loaded: &mut Loaded, said: &[&str]) -> Result<Vec<String>, LoadRefused> {
        let said: Vec<String> = said.iter().map(|it| (*it).to_owned()).collect();
        loaded.load(ftp(), &said)
    }

    fn names(loaded: &Loaded) -> Vec<(&str, &[u16])> {
        loaded.conntrack().iter().map(|it| (it.name, it.ports)).collect()
    }

    #[test]
    fn a_port_is_a_helper_of_its_own() {
        let mut loaded = Loaded::default();
        let unknown = load(&mut loaded, &["ports=21,2121", "speed=9"]).unwrap();
        assert_eq!(unknown, ["speed=9"]);
        assert_eq!(names(&loaded), [("ftp", &[21][..]), ("ftp-2121", &[2121][..])]);
        assert_eq!(loaded.modules()[0].said, ["ports=21,2121"]);
        let named = |name: &'static str| is_known(|it| it.name == name && it.protocol == 6);
        assert!(named("ftp-2121") && named("ftp") && !named("ftp-7"));
        // Loaded once, it stays as it is; and the same ports another time are the same helpers.
        assert_eq!(load(&mut loaded, &["ports=7"]), Ok(Vec::new()));
        assert_eq!(names(&loaded).len(), 2);
        let mut another = Loaded::default();
        load(&mut another, &["ports=2121"]).unwrap();
        assert!(std::ptr::eq(another.conntrack()[0], loaded.conntrack()[1]));
        assert!(std::ptr::eq(loaded.conntrack()[0], &ftp().helpers[0].conntrack));
    }

    /// Who reads only what another announced has no port, and is registered all the same.
    #[test]
    fn bounds_are_of_each_helper_of_the_module() {
        static LIFETIME: [Parameter; 1] = [Parameter::number("lifetime", 7, "").setting(Sets::Lifetime)];
        for helper in registry().iter().flat_map(|spec| spec.helpers) {
            let registered = registered_by(helper, &Values::of(&LIFETIME));
            let [Registered { conntrack, .. }] = registered[..] else {
                panic!("{registered:?}")
            };
            let own = &helper.conntrack;
            assert_eq!((conntrack.name, conntrack.ports), (own.name, own.ports));
            let bounds = conntrack.policies.iter().map(|it| it.timeout);
            assert!(
                bounds.eq(own.policies.iter().map(|_| Duration::from_secs(7))),
                "{conntrack:?}"
            );
        }
    }

    #[test]
    fn what_is_refused_is_not_loaded() {
        let mut loaded = Loaded::default();
        for (said, why) in [
            ("ports=x", "`x' invalid for parameter `ports'"),
            ("ports=21,21", "failed to register helpers"),
        ] {
            assert_eq!(load(&mut loaded, &[said]).unwrap_err().to_string(), why);
            assert!(loaded.modules().is_empty() && loaded.conntrack().is_empty());
        }
    }

    #[test]
    fn what_goes_takes_its_nat_side_with_it() {
        let mut loaded = Loaded::all();
        let of_all = loaded.conntrack().len();
        assert!(loaded.modules().iter().all(|module| module.has_nat));
        let helper = &ftp().helpers[0].conntrack;
        assert!(loaded.reader(helper).is_some());
        loaded.set_nat(ftp(), false);
        assert!(loaded.module(ftp()).is_some_and(|module| !module.has_nat));
        let gone = loaded.unload(ftp());
        assert!(gone.iter().all(|it| std::ptr::eq(*it, helper)) && gone.len() == 1);
        assert!(loaded.reader(helper).is_none() && loaded.module(ftp()).is_none());
        assert_eq!(loaded.conntrack().len(), of_all - 1);
        load(&mut loaded, &[]).unwrap();
        assert!(loaded.module(ftp()).is_some_and(|module| !module.has_nat));
    }
}
