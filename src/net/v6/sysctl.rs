//! `net.ipv6.*`: keys, defaults and what a write to `all` or `default` does, read from `/proc/sys` of Linux 6.18 in a fresh namespace.

use std::net::Ipv6Addr;

use super::conf::{self, ConfKnob};
use super::knobs::{Knob, SPECS};
use super::rate_mask::RateMask;
use super::{LEAST_MTU, leads_nowhere, routes_of_link};
use crate::base::{Family, InterfaceId};
use crate::net::sysctl::{Spec, in_ticks};
use crate::net::{Address, AddressFlags, Interface, Net, NewAddress, Route, RouteKind, Scope};

/// Under `net/ipv6/`.
pub(in crate::net) const RATE_MASK: &str = "icmp/ratemask";

/// Of `addr_gen_mode`.
const NONE: i32 = 1;

/// What an interface has where the kernel draws an address of the link for it, as for any that has no link-layer address: always this one, so that what
/// was seen is seen again.
pub(crate) const OF_LINK: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The numbers of one interface, of `all` or of `default`.
#[derive(Clone, Debug)]
pub(in crate::net) struct Conf([i32; conf::SPECS.len()]);

impl Interface {
    /// Whatever it takes, `lo` has IPv6.
    pub(in crate::net) fn is_wide_enough_for_ipv6(&self) -> bool {
        self.mtu >= LEAST_MTU || self.id == InterfaceId::LOOPBACK
    }
}

impl Conf {
    fn get(&self, knob: ConfKnob) -> i32 {
        self.0[knob as usize]
    }

    fn set(&mut self, knob: ConfKnob, value: i32) {
        self.0[knob as usize] = value;
    }
}

impl Conf {
    /// The link takes other packets from now on, and its IPv6 as large ones.
    pub(in crate::net) fn follow_link(&mut self) {
        self.set(ConfKnob::Mtu, 0);
    }

    /// The kernel asks lo for an address of the link as any other, and lo never draws one.
    pub(in crate::net) fn is_of_loopback(&mut self) {
        self.set(ConfKnob::AddrGenMode, 0);
    }
}

#[derive(Clone, Debug)]
pub(in crate::net) struct Sysctls {
    values: [i64; SPECS.len()],
    all: Conf,
    default: Conf,
    /// Which types of ICMPv6 the limits are for.
    pub rate_mask: RateMask,
}

impl Sysctls {
    pub(in crate::net) fn new() -> Self {
        let conf = Conf(std::array::from_fn(|at| conf::SPECS[at].default));
        let mut default = conf.clone();
        // Who wants an address of the link by itself says so.
        default.set(ConfKnob::AddrGenMode, NONE);
        let mut all = conf;
        // Each interface says for itself whether it looks for who has its addresses.
        all.set(ConfKnob::AcceptDad, 0);
        Self {
            values: std::array::from_fn(|at| SPECS[at].default),
            all,
            default,
            rate_mask: RateMask::default(),
        }
    }

    /// What a new interface starts with.
    pub(in crate::net) fn default_conf(&self) -> Conf {
        let mut conf = self.default.clone();
        for (spec, value) in conf::SPECS.iter().filter_map(|spec| Some((spec, spec.of_link?))) {
            conf.set(spec.knob, value);
        }
        // That of the link.
        conf.set(ConfKnob::Mtu, 0);
        conf
    }
}

/// Where a number is.
pub(in crate::net) enum Place<'a> {
    Plain(&'static Spec<Knob>),
    /// `all`, `default` or an interface, and which of its numbers.
    Conf(&'a str, ConfKnob),
}

/// Of a path under `net/ipv6/`.
pub(in crate::net) fn parse(path: &str) -> Option<Place<'_>> {
    let Some(conf) = path.strip_prefix("conf/") else {
        return SPECS.iter().find(|spec| spec.name == path).map(Place::Plain);
    };
    let (interface, name) = conf.split_once('/')?;
    let knob = conf::SPECS.iter().find(|spec| spec.name == name)?.knob;
    Some(Place::Conf(interface, knob))
}

impl Net {
    /// `None` where there is no such interface, or it has no such numbers.
    pub(in crate::net) fn get_ipv6(&self, place: &Place<'_>) -> Option<i64> {
        let (conf, knob) = match *place {
            Place::Plain(spec) => return Some(self.knob_ipv6(spec.knob)),
            Place::Conf("all", knob) => (&self.sysctls.v6.all, knob),
            Place::Conf("default", knob) => (&self.sysctls.v6.default, knob),
            Place::Conf(name, ConfKnob::Mtu) => return Some(self.ipv6_mtu(self.wide_enough(name)?).into()),
            Place::Conf(name, knob) => (&self.wide_enough(name)?.conf6, knob),
        };
        Some(conf.get(knob).into())
    }

    /// An interface that has numbers of IPv6 at all.
    fn wide_enough(&self, name: &str) -> Option<&Interface> {
        self.by_name(name).filter(|it| it.is_wide_enough_for_ipv6())
    }

    /// Whether the limits are for this type of ICMPv6.
    pub(super) fn limits_icmpv6(&self, kind: u8) -> bool {
        self.sysctls.v6.rate_mask.has(kind)
    }

    /// What a number may be; the thresholds of reassembly bound each other.
    pub(in crate::net) fn bounds_ipv6(&self, place: &Place<'_>) -> (i64, i64) {
        match *place {
            Place::Plain(spec) => match spec.knob {
                Knob::FragmentHighThreshold => (self.knob_ipv6(Knob::FragmentLowThreshold), spec.max),
                Knob::FragmentLowThreshold => (spec.min, self.knob_ipv6(Knob::FragmentHighThreshold)),
                _ => (spec.min, spec.max),
            },
            Place::Conf(interface, knob) => self.bounds_of_ipv6_conf(interface, knob),
        }
    }

    pub(in crate::net) fn knob_ipv6(&self, knob: Knob) -> i64 {
        self.sysctls.v6.values[knob as usize]
    }

    /// What a key takes. No link takes more than it has.
    fn bounds_of_ipv6_conf(&self, place: &str, knob: ConfKnob) -> (i64, i64) {
        let spec = conf::SPECS.iter().find(|spec| spec.knob == knob);
        let (min, max) = spec.map_or((0, 0), |spec| (spec.min.into(), spec.max.into()));
        match self.by_name(place) {
            Some(interface) if knob == ConfKnob::Mtu => (min, interface.mtu.into()),
            _ => (min, max),
        }
    }

    /// The largest packet of IPv6 that leaves by an interface.
    pub(in crate::net) fn ipv6_mtu(&self, interface: &Interface) -> u32 {
        match interface.conf6.get(ConfKnob::Mtu) {
            0 => interface.mtu,
            own => own as u32,
        }
    }

    /// Whether it forwards what comes in by an interface.
    pub(in crate::net) fn forwards_ipv6(&self, interface: &Interface) -> bool {
        self.sysctls.v6.all.get(ConfKnob::Forwarding) != 0 || interface.conf6.get(ConfKnob::ForceForwarding) != 0
    }

    /// Within its bounds, of a place that is there.
    pub(in crate::net) fn set_ipv6(&mut self, place: &Place<'_>, value: i64) {
        let (place, knob) = match *place {
            Place::Plain(spec) => {
                self.sysctls.v6.values[spec.knob as usize] = stored(spec.knob, value);
                return;
            }
            Place::Conf(place, knob) => (place, knob),
        };
        let value = value as i32;
        match place {
            "all" => {
                let before = self.sysctls.v6.all.get(knob);
                self.sysctls.v6.all.set(knob, value);
                if knob == ConfKnob::Forwarding && value == 0 {
                    // Seen: also where it was so before.
                    self.interfaces
                        .iter_mut()
                        .for_each(|it| it.conf6.set(ConfKnob::ForceForwarding, 0));
                }
                let spreads = match knob {
                    ConfKnob::AddrGenMode | ConfKnob::ForceForwarding => true,
                    ConfKnob::DisableIpv6 | ConfKnob::Forwarding => before != value,
                    _ => false,
                };
                if spreads {
                    if knob != ConfKnob::ForceForwarding {
                        self.sysctls.v6.default.set(knob, value);
                    }
                    let all: Vec<InterfaceId> = self.interfaces.iter().map(|it| it.id).collect();
                    all.into_iter().for_each(|id| self.set_ipv6_of(id, knob, value));
                }
            }
            "default" => self.sysctls.v6.default.set(knob, value),
            name => {
                if let Some(id) = self.wide_enough(name).map(|it| it.id) {
                    self.set_ipv6_of(id, knob, value);
                }
            }
        }
    }

    fn set_ipv6_of(&mut self, id: InterfaceId, knob: ConfKnob, value: i32) {
        let Ok(interface) = self.interface_mut(id) else { return };
        let before = interface.conf6.get(knob);
        interface.conf6.set(knob, value);
        if before != value && knob == ConfKnob::AddrGenMode {
            self.give_own_of_link(id);
        }
        if (before != 0) == (value != 0) {
            return;
        }
        match knob {
            ConfKnob::Forwarding => self.forwarding_changed(id),
            ConfKnob::DisableIpv6 if value != 0 => self.end_ipv6(id),
            ConfKnob::DisableIpv6 => self.begin_ipv6(id),
            _ => {}
        }
    }

    /// Whether the interface has IPv6 at all.
    pub(in crate::net) fn has_ipv6(&self, interface: &Interface) -> bool {
        interface.is_up && self.may_have_ipv6(interface)
    }

    /// Whether it has once it is up.
    pub(in crate::net) fn may_have_ipv6(&self, interface: &Interface) -> bool {
        interface.is_wide_enough_for_ipv6() && interface.conf6.get(ConfKnob::DisableIpv6) == 0
    }

    /// What an interface with IPv6 has by itself. A narrow `lo` has nothing.
    pub(in crate::net) fn begin_ipv6(&mut self, id: InterfaceId) {
        let interface = self.interface(id);
        if interface.mtu < LEAST_MTU || !self.has_ipv6(interface) {
            return;
        }
        self.give_own_of_link(id);
        self.revive_ways(id, Family::V6);
        if let Some(route) = routes_of_link(id) {
            let owner = (id, route.to.address(), route.to);
            self.ways_mut(Family::V6).tables.insert_once(route, Some(owner));
        }
    }

    /// The address that it has by itself. Where `addr_gen_mode` asks for one, a link that is down has it, too.
    fn give_own_of_link(&mut self, id: InterfaceId) {
        let draws = self.conf_ipv6(self.interface(id), ConfKnob::AddrGenMode) != NONE;
        let own = match id {
            InterfaceId::LOOPBACK => Some((Ipv6Addr::LOCALHOST, 128)),
            _ => draws.then_some((OF_LINK, 64)),
        };
        let Some((own, length)) = own else { return };
        let interface = self.interface(id);
        if self.may_have_ipv6(interface) && !interface.addresses.iter().any(|it| it.address == own) {
            self.put_address(id, NewAddress::new(own.into(), length));
        }
    }

    /// Seen: `lo` keeps IPv6 below 1280 bytes, with its numbers and the MTU that it had there, but nothing of what it has, each time anew; above, it has what
    /// it is given, and its address once it comes up.
    pub(in crate::net) fn mtu_of_loopback_changed(&mut self, before: u32) {
        let (id, interface) = (InterfaceId::LOOPBACK, self.interface(InterfaceId::LOOPBACK));
        if interface.mtu >= LEAST_MTU {
            return;
        }
        let stays = match interface.conf6.get(ConfKnob::Mtu) {
            0 => before as i32,
            own => own,
        };
        if let Ok(interface) = self.interface_mut(id) {
            interface.conf6.set(ConfKnob::Mtu, stays);
        }
        self.ipv6_goes_down(id);
    }

    /// What goes with a link that goes down: all of it, but for addresses that `keep_addr_on_down` keeps.
    pub(in crate::net) fn ipv6_goes_down(&mut self, id: InterfaceId) {
        let keeps = self.conf_ipv6_of_all_or(self.interface(id), ConfKnob::KeepAddresses);
        self.end_ipv6_but(id, |it| keeps > 0 && matches!(it.scope, Scope::Universe | Scope::Site));
        self.ask_for_addresses(id, true);
    }

    /// Whether another has one of them: they wait for that as long as the link is down, and by a TUN nobody is asked.
    pub(in crate::net) fn ask_for_addresses(&mut self, id: InterfaceId, waits: bool) {
        let Ok(interface) = self.interface_mut(id) else { return };
        for it in interface.addresses_mut().iter_mut().filter(|it| it.address.is_ipv6()) {
            it.flags = match waits && !it.flags.has(AddressFlags::NO_DUPLICATES) {
                true => it.flags.with(AddressFlags::TENTATIVE),
                false => it.flags.without(AddressFlags::TENTATIVE),
            };
        }
    }

    /// Its addresses go, and every route over it.
    pub(in crate::net) fn end_ipv6(&mut self, id: InterfaceId) {
        if let Ok(interface) = self.interface_mut(id) {
            interface.joined_all_routers = false;
        }
        self.end_ipv6_but(id, |_| false);
    }

    fn end_ipv6_but(&mut self, id: InterfaceId, stays: impl Fn(&Address) -> bool) {
        let Ok(interface) = self.interface_mut(id) else { return };
        // Routes over other links that name one of them as their source go on naming it.
        interface.addresses_mut().retain(|it| it.address.is_ipv4() || stays(it));
        let tables = &mut self.ways_mut(Family::V6).tables;
        // What refuses packets is told to lead to lo, and goes with it.
        let interface = |route: &Route| match leads_nowhere(route) {
            true => Some(InterfaceId::LOOPBACK),
            false => route.interface,
        };
        tables.retain(|entry| interface(&entry.route) != Some(id) && entry.route.survives(id));
    }

    /// A router is among those that the first address of each of its networks means.
    fn forwarding_changed(&mut self, id: InterfaceId) {
        let addresses: Vec<_> = self.interface(id).addresses_of(Family::V6).copied().collect();
        let forwards = self.conf_ipv6(self.interface(id), ConfKnob::Forwarding) != 0;
        if let Ok(interface) = self.interface_mut(id) {
            interface.joined_all_routers = forwards;
        }
        if !forwards {
            self.ways_mut(Family::V6).tables.retain(|entry| {
                let is_own = entry.owner.is_some() && entry.route.interface == Some(id);
                !(is_own && entry.route.kind == RouteKind::Anycast)
            });
        }
        // Others that were deleted stay away.
        for address in &addresses {
            self.put_those_routes_of(id, address, |route| route.kind == RouteKind::Anycast);
        }
    }

    /// What holds for an interface.
    pub(in crate::net) fn conf_ipv6(&self, interface: &Interface, knob: ConfKnob) -> i32 {
        interface.conf6.get(knob)
    }

    /// The same where what is said of all, unless it is zero, counts for more.
    pub(in crate::net) fn conf_ipv6_of_all_or(&self, interface: &Interface, knob: ConfKnob) -> i32 {
        match self.sysctls.v6.all.get(knob) {
            0 => self.conf_ipv6(interface, knob),
            of_all => of_all,
        }
    }

    /// Every key, with its interfaces'.
    pub(in crate::net) fn list_ipv6(&self) -> impl Iterator<Item = String> {
        let wide = self.interfaces.iter().filter(|it| it.is_wide_enough_for_ipv6());
        let names = wide.map(|it| it.name.as_str());
        let plain = SPECS
            .iter()
            .map(|spec| format!("net.ipv6.{}", spec.name.replace('/', ".")));
        let conf = ["all", "default"].into_iter().chain(names).flat_map(|name| {
            // `sysctl` prints a dot within an interface's name as a slash.
            let name = name.replace('.', "/");
            conf::SPECS
                .iter()
                .map(move |spec| format!("net.ipv6.conf.{name}.{}", spec.name))
        });
        plain
            .chain(conf)
            .chain([format!("net.ipv6.{}", RATE_MASK.replace('/', "."))])
    }
}

fn stored(knob: Knob, value: i64) -> i64 {
    match knob {
        Knob::IcmpRateLimit => in_ticks(value),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::InterfaceName;

    /// What is written in turn, and what the keys behind it show then; `None` is EINVAL. Read on Linux 6.18, of TUN devices.
    #[test]
    fn knobs_of_interfaces_as_the_kernel_has_them() {
        let mut net = Net::new();
        for name in ["lan", "wan"] {
            net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
        }
        for (key, value, shown) in [
            (
                "all.accept_ra",
                "8",
                &[("lan.accept_ra", "1"), ("default.accept_ra", "1")][..],
            ),
            (
                "default.accept_ra",
                "7",
                &[("lan.accept_ra", "1"), ("all.accept_ra", "8")],
            ),
            (
                "lan.accept_dad",
                "-1",
                &[
                    ("lan.accept_dad", "-1"),
                    ("lo.accept_dad", "-1"),
                    ("all.accept_dad", "0"),
                ],
            ),
            (
                "lan.use_tempaddr",
                "2",
                &[("wan.use_tempaddr", "-1"), ("lo.use_tempaddr", "-1")],
            ),
            (
                "lan.mtu",
                "1300",
                &[
                    ("lan.mtu", "1300"),
                    ("wan.mtu", "1500"),
                    ("lo.mtu", "65536"),
                    ("all.mtu", "1280"),
                ],
            ),
            ("lan.mtu", "1600", &[]),
            ("lan.mtu", "1279", &[]),
            ("all.mtu", "1290", &[("lan.mtu", "1300")]),
            ("lan.hop_limit", "0", &[]),
            ("lan.hop_limit", "256", &[]),
            ("all.hop_limit", "9", &[("lan.hop_limit", "64")]),
            ("lan.router_solicitations", "-2", &[]),
            ("lan.addr_gen_mode", "4", &[]),
            ("lan.force_forwarding", "2", &[]),
            (
                "all.force_forwarding",
                "1",
                &[("wan.force_forwarding", "1"), ("default.force_forwarding", "0")],
            ),
            (
                "all.forwarding",
                "5",
                &[
                    ("wan.forwarding", "5"),
                    ("default.forwarding", "5"),
                    ("lo.forwarding", "5"),
                ],
            ),
            (
                "all.forwarding",
                "0",
                &[
                    ("wan.forwarding", "0"),
                    ("wan.force_forwarding", "0"),
                    ("all.force_forwarding", "1"),
                ],
            ),
            (
                "wan.force_forwarding",
                "1",
                &[("wan.force_forwarding", "1"), ("lan.force_forwarding", "0")],
            ),
            ("all.forwarding", "0", &[("wan.force_forwarding", "0")]),
            (
                "all.disable_ipv6",
                "1",
                &[("default.disable_ipv6", "1"), ("lo.disable_ipv6", "1")],
            ),
        ] {
            let key = format!("net.ipv6.conf.{key}");
            let result = net.sysctl_set(&key, value);
            assert_eq!(result.is_ok(), !shown.is_empty(), "{key} <- {value}: {result:?}");
            for (key, shown) in shown {
                let found = net.sysctl_get(&format!("net.ipv6.conf.{key}"));
                assert_eq!(found.as_deref(), Some(*shown), "{key}, {value} written");
            }
        }
        net.set_mtu(net.by_name("lan").unwrap().id, 1400).unwrap();
        assert_eq!(net.sysctl_get("net.ipv6.conf.lan.mtu").as_deref(), Some("1400"));
    }

    /// Where the link's address may be drawn again, it is there at once.
    #[test]
    fn the_address_of_a_link_comes_with_its_switch() {
        let mut net = super::super::testing::net();
        let lan = net.by_name("lan").unwrap().id;
        let has_it = |net: &Net| net.address_of_link(lan).is_some();
        for (mode, has) in [(None, false), (Some("1"), false), (Some("0"), true), (Some("3"), true)] {
            match mode {
                None => net.remove_address(lan, OF_LINK.into(), 64).unwrap(),
                Some(mode) => net.sysctl_set("net.ipv6.conf.lan.addr_gen_mode", mode).unwrap(),
            }
            assert_eq!(has_it(&net), has, "{mode:?}");
        }
    }

    /// Each key's first number, but for `addr_gen_mode` of links other than lo: a lab has the addresses that it was given.
    #[test]
    fn what_a_fresh_namespace_shows() {
        let mut net = Net::new();
        net.add_interface(InterfaceName::new("lan").unwrap(), 1500).unwrap();
        let seen = include_str!("sysctl.txt").lines().filter(|line| !line.starts_with('#'));
        let seen: Vec<(&str, &str)> = seen.filter_map(|line| line.split_once(" = ")).collect();
        let own: Vec<String> = net.list_ipv6().collect();
        assert_eq!(own.len(), seen.len());
        let others = ["default", "lan"].map(|of| format!("net.ipv6.conf.{of}.addr_gen_mode"));
        for key in own.iter().filter(|key| !others.contains(key)) {
            let kernels = seen.iter().find(|(name, _)| name == key).map(|(_, value)| *value);
            assert_eq!(net.sysctl_get(key).as_deref(), kernels, "{key}");
        }
    }

    /// Switches that come and go, and the addresses and routes of `lan`, `lo` and `wan` then.
    #[test]
    fn what_comes_and_goes_with_ipv6() {
        let mut net = Net::new();
        for name in ["lan", "wan"] {
            let id = net.add_interface(InterfaceName::new(name).unwrap(), 1500).unwrap();
            net.add_address(id, format!("2001:db8:{}::1", id.0).parse().unwrap(), 64)
                .unwrap();
        }
        let lan = net.by_name("lan").unwrap().id;
        let has = |net: &Net, to: &str| net.routes(Family::V6).any(|it| it.to.to_string() == to);
        let own = |net: &Net| {
            let all = net.interfaces().iter().flat_map(|it| it.addresses_of(Family::V6));
            all.map(|it| it.address.to_string()).collect::<Vec<_>>().join(" ")
        };
        let joined = |net: &Net, group: &str| net.has_joined(lan, group.parse().unwrap());
        assert_eq!(own(&net), "::1 2001:db8:1::1 2001:db8:2::1");
        assert!(!has(&net, "2001:db8:1::/128") && joined(&net, "ff02::1") && !joined(&net, "ff02::2"));
        net.sysctl_set("net.ipv6.conf.all.forwarding", "1").unwrap();
        assert!(has(&net, "2001:db8:1::/128") && joined(&net, "ff02::2") && joined(&net, "ff05::2"));
        assert!(!joined(&net, "ff02::1:ff00:1"), "a link without neighbours to ask for");
        net.sysctl_set("net.ipv6.conf.lan.keep_addr_on_down", "1").unwrap();
        net.set_link_up(lan, false).unwrap();
        assert_eq!(own(&net), "::1 2001:db8:1::1 2001:db8:2::1");
        assert!(!has(&net, "2001:db8:1::/64") && !has(&net, "2001:db8:1::1/128"));
        net.set_link_up(lan, true).unwrap();
        assert!(has(&net, "2001:db8:1::/64") && has(&net, "2001:db8:1::1/128"));
        net.sysctl_set("net.ipv6.conf.all.keep_addr_on_down", "-1").unwrap();
        net.set_link_up(lan, false).unwrap();
        assert_eq!(own(&net), "::1 2001:db8:2::1");
        net.add_address(lan, "2001:db8:5::1".parse().unwrap(), 64).unwrap();
        assert!(has(&net, "2001:db8:5::1/128") && has(&net, "2001:db8:5::/128") && !has(&net, "2001:db8:5::/64"));
        net.set_link_up(lan, true).unwrap();
        assert!(has(&net, "2001:db8:5::/64"));
        net.set_mtu(lan, 1279).unwrap();
        assert_eq!(own(&net), "::1 2001:db8:2::1");
        net.set_mtu(lan, 1280).unwrap();
        assert!(
            joined(&net, "ff02::2") && !joined(&net, "ff05::2"),
            "it forwarded from its beginning"
        );
        net.sysctl_set("net.ipv6.conf.all.disable_ipv6", "1").unwrap();
        assert_eq!((own(&net), net.routes(Family::V6).count()), (String::new(), 0));
        net.sysctl_set("net.ipv6.conf.all.addr_gen_mode", "0").unwrap();
        net.sysctl_set("net.ipv6.conf.all.disable_ipv6", "0").unwrap();
        assert_eq!(own(&net), "::1 fe80::1 fe80::1");
        // Down, it has the address that is asked for at once, and nothing else of the link; any other way of asking is asking.
        net.set_link_up(lan, false).unwrap();
        let over = |net: &Net| net.routes(Family::V6).filter(|it| it.interface == Some(lan)).count();
        for (mode, shown, routes) in [
            ("1", "::1 fe80::1", 0),
            ("3", "::1 fe80::1 fe80::1", 2),
            ("0", "::1 fe80::1 fe80::1", 2),
        ] {
            net.sysctl_set("net.ipv6.conf.lan.addr_gen_mode", mode).unwrap();
            assert_eq!((own(&net).as_str(), over(&net)), (shown, routes), "{mode}");
        }
        net.remove_address(lan, OF_LINK.into(), 64).unwrap();
        net.sysctl_set("net.ipv6.conf.lan.addr_gen_mode", "0").unwrap();
        assert_eq!(own(&net), "::1 fe80::1", "what is written was there before");
    }
}
