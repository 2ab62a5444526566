//! `net.ipv6.*`: keys, defaults and what a write to `all` or `default` does, read from `/proc/sys` of Linux 6.18 in a fresh namespace.

use std::net::Ipv6Addr;

use super::knobs::{Knob, SPECS, Spec};
use super::{LEAST_MTU, leads_nowhere, routes_of_link};
use crate::base::{Family, InterfaceId};
use crate::net::{Interface, Net, NewAddress, Route, RouteKind};

macro_rules! conf_knobs {
    ($($knob:ident $name:literal = $default:literal;)*) => {
        /// A number of `net.ipv6.conf.IFACE`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::net) enum ConfKnob {
            $($knob,)*
        }

        /// Knob, name, and the value in a fresh namespace.
        const CONF_SPECS: &[(ConfKnob, &str, i32)] = &[$((ConfKnob::$knob, $name, $default),)*];
    };
}

conf_knobs! {
    AddrGenMode "addr_gen_mode" = 0;
    DisableIpv6 "disable_ipv6" = 0;
    Forwarding "forwarding" = 0;
}

/// Of `addr_gen_mode`.
const NONE: i32 = 1;

/// What an interface has where the kernel draws an address of the link for it, as for any that has no link-layer address: always this one, so that what
/// was seen is seen again.
const OF_LINK: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The numbers of one interface, of `all` or of `default`.
#[derive(Clone, Debug)]
pub(in crate::net) struct Conf([i32; CONF_SPECS.len()]);

impl Conf {
    fn get(&self, knob: ConfKnob) -> i32 {
        self.0[knob as usize]
    }

    fn set(&mut self, knob: ConfKnob, value: i32) {
        self.0[knob as usize] = value;
    }
}

#[derive(Clone, Debug)]
pub(in crate::net) struct Sysctls {
    values: [i64; SPECS.len()],
    all: Conf,
    default: Conf,
}

impl Sysctls {
    pub(in crate::net) fn new() -> Self {
        let conf = Conf(std::array::from_fn(|at| CONF_SPECS[at].2));
        let mut default = conf.clone();
        // Who wants an address of the link by itself says so.
        default.set(ConfKnob::AddrGenMode, NONE);
        Self {
            values: std::array::from_fn(|at| SPECS[at].default),
            all: conf,
            default,
        }
    }

    /// What a new interface starts with.
    pub(in crate::net) fn default_conf(&self) -> Conf {
        self.default.clone()
    }
}

/// A key, taken apart.
pub(in crate::net) enum Key<'a> {
    Plain(&'static Spec),
    /// `all`, `default` or an interface, and which of its numbers.
    Conf(&'a str, ConfKnob),
}

/// Of a path under `/proc/sys`.
pub(in crate::net) fn parse(path: &str) -> Option<Key<'_>> {
    let rest = path.strip_prefix("net/ipv6/")?;
    let Some(conf) = rest.strip_prefix("conf/") else {
        return SPECS.iter().find(|spec| spec.name == rest).map(Key::Plain);
    };
    let (place, name) = conf.split_once('/')?;
    let knob = CONF_SPECS.iter().find(|spec| spec.1 == name)?.0;
    Some(Key::Conf(place, knob))
}

impl Net {
    pub(in crate::net) fn get_ipv6(&self, key: &Key<'_>) -> Option<i64> {
        let (conf, knob) = match *key {
            Key::Plain(spec) => return Some(self.knob_ipv6(spec.knob)),
            Key::Conf("all", knob) => (&self.sysctls.v6.all, knob),
            Key::Conf("default", knob) => (&self.sysctls.v6.default, knob),
            Key::Conf(name, knob) => (&self.by_name(name)?.conf6, knob),
        };
        Some(conf.get(knob).into())
    }

    /// What a key takes; the thresholds of reassembly bound each other.
    pub(in crate::net) fn bounds_ipv6(&self, key: &Key<'_>) -> (i64, i64) {
        match key {
            Key::Plain(spec) => match spec.knob {
                Knob::FragmentHighThreshold => (self.knob_ipv6(Knob::FragmentLowThreshold), spec.max),
                Knob::FragmentLowThreshold => (spec.min, self.knob_ipv6(Knob::FragmentHighThreshold)),
                _ => (spec.min, spec.max),
            },
            Key::Conf(..) => (i32::MIN.into(), i32::MAX.into()),
        }
    }

    pub(in crate::net) fn knob_ipv6(&self, knob: Knob) -> i64 {
        self.sysctls.v6.values[knob as usize]
    }

    /// False where there is no such interface.
    pub(in crate::net) fn set_ipv6(&mut self, key: &Key<'_>, value: i64) -> bool {
        let (place, knob) = match *key {
            Key::Plain(spec) => {
                self.sysctls.v6.values[spec.knob as usize] = stored(spec.knob, value);
                return true;
            }
            Key::Conf(place, knob) => (place, knob),
        };
        let value = value as i32;
        match place {
            "all" => {
                let before = self.sysctls.v6.all.get(knob);
                self.sysctls.v6.all.set(knob, value);
                if before != value || knob == ConfKnob::AddrGenMode {
                    self.sysctls.v6.default.set(knob, value);
                    let all: Vec<InterfaceId> = self.interfaces.iter().map(|it| it.id).collect();
                    all.into_iter().for_each(|id| self.set_ipv6_of(id, knob, value));
                }
            }
            "default" => self.sysctls.v6.default.set(knob, value),
            name => {
                let Some(id) = self.by_name(name).map(|it| it.id) else {
                    return false;
                };
                self.set_ipv6_of(id, knob, value);
            }
        }
        true
    }

    fn set_ipv6_of(&mut self, id: InterfaceId, knob: ConfKnob, value: i32) {
        let Ok(interface) = self.interface_mut(id) else { return };
        let before = interface.conf6.get(knob);
        interface.conf6.set(knob, value);
        if (before != 0) == (value != 0) {
            return;
        }
        match knob {
            ConfKnob::Forwarding => self.forwarding_changed(id),
            ConfKnob::AddrGenMode => self.begin_ipv6(id),
            ConfKnob::DisableIpv6 if value != 0 => self.end_ipv6(id),
            ConfKnob::DisableIpv6 => self.begin_ipv6(id),
        }
    }

    /// Whether the interface has IPv6 at all.
    pub(in crate::net) fn has_ipv6(&self, interface: &Interface) -> bool {
        interface.is_up && self.may_have_ipv6(interface)
    }

    /// Whether it has once it is up.
    pub(in crate::net) fn may_have_ipv6(&self, interface: &Interface) -> bool {
        interface.mtu >= LEAST_MTU && interface.conf6.get(ConfKnob::DisableIpv6) == 0
    }

    /// What an interface with IPv6 has by itself.
    pub(in crate::net) fn begin_ipv6(&mut self, id: InterfaceId) {
        if !self.has_ipv6(self.interface(id)) {
            return;
        }
        let draws = self.conf_ipv6(self.interface(id), ConfKnob::AddrGenMode) != NONE;
        let own = match id {
            InterfaceId::LOOPBACK => Some((Ipv6Addr::LOCALHOST, 128)),
            _ => draws.then_some((OF_LINK, 64)),
        };
        if let Some((own, length)) = own {
            // Where it is there, there is none to add.
            let _ = self.assign(id, NewAddress::new(own.into(), length));
        }
        if let Some(route) = routes_of_link(id) {
            let owner = (id, route.to.address(), route.to.length());
            self.ways_mut(Family::V6).tables.insert_once(route, Some(owner));
        }
    }

    /// Its addresses go, and every route over it.
    pub(in crate::net) fn end_ipv6(&mut self, id: InterfaceId) {
        let Ok(interface) = self.interface_mut(id) else { return };
        let gone: Vec<_> = interface
            .addresses_mut()
            .extract_if(.., |it| it.address.is_ipv6())
            .collect();
        for gone in gone {
            self.forget_ipv6_source(gone.address);
        }
        let tables = &mut self.ways_mut(Family::V6).tables;
        // What refuses packets is told to lead to lo, and goes with it.
        let interface = |route: &Route| match leads_nowhere(route) {
            true => Some(InterfaceId::LOOPBACK),
            false => route.interface,
        };
        tables.retain(|entry| interface(&entry.route) != Some(id));
    }

    /// A router is among those that the first address of each of its networks means.
    fn forwarding_changed(&mut self, id: InterfaceId) {
        let addresses: Vec<_> = self.interface(id).addresses_of(Family::V6).copied().collect();
        if self.conf_ipv6(self.interface(id), ConfKnob::Forwarding) == 0 {
            self.ways_mut(Family::V6).tables.retain(|entry| {
                let is_own = entry.owner.is_some() && entry.route.interface == Some(id);
                !(is_own && entry.route.kind == RouteKind::Anycast)
            });
        }
        for address in &addresses {
            self.put_routes_of(id, address);
        }
    }

    /// What holds for an interface.
    pub(in crate::net) fn conf_ipv6(&self, interface: &Interface, knob: ConfKnob) -> i32 {
        interface.conf6.get(knob)
    }

    /// What is said of all.
    pub(in crate::net) fn conf_ipv6_of_all(&self, knob: ConfKnob) -> i32 {
        self.sysctls.v6.all.get(knob)
    }

    /// Every key, with its interfaces'.
    pub(in crate::net) fn list_ipv6(&self) -> impl Iterator<Item = String> {
        let names = self.interfaces.iter().map(|it| it.name.as_str());
        let plain = SPECS
            .iter()
            .map(|spec| format!("net.ipv6.{}", spec.name.replace('/', ".")));
        let conf = ["all", "default"].into_iter().chain(names).flat_map(|name| {
            // `sysctl` prints a dot within an interface's name as a slash.
            let name = name.replace('.', "/");
            CONF_SPECS
                .iter()
                .map(move |spec| format!("net.ipv6.conf.{name}.{}", spec.1))
        });
        plain.chain(conf)
    }
}

/// Milliseconds are kept in ticks of 4 ms, rounded up: 7 written is 8 read.
fn stored(knob: Knob, value: i64) -> i64 {
    match knob {
        Knob::IcmpRateLimit => (value + 3) / 4 * 4,
        _ => value,
    }
}
