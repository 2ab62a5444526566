//! What the router was told of the size that paths take: what packets to a destination remember is void when more is known of it, and what is known
//! goes with its route.

use std::net::IpAddr;

use super::router::Router;
use crate::base::{Family, Time};
use crate::net::{Answer, Net, PathMtu, Route};

impl Router {
    /// The path MTUs that hold now, in the order in which they were learned.
    pub fn path_mtus(&self, now: Time) -> Vec<PathMtu> {
        self.host.paths.all(now)
    }

    /// Whether anything was ever learned that may hold yet.
    pub fn knows_paths(&self) -> bool {
        !self.host.paths.is_empty()
    }

    /// What was learned of the way to a destination by this route, if that holds now.
    pub fn path_mtu(&self, now: Time, to: IpAddr, route: &Route) -> Option<PathMtu> {
        self.config().net.said_of(&self.host, now, to, route)
    }

    /// `ip route flush cache`.
    pub fn forget_path_mtus(&self, family: Family) {
        self.host.paths.retain(|it| Family::of(it.to) != family);
        self.is_changed();
    }

    /// What the host learned from a packet, by its answer: what others to the same destination remember of their ways is void then.
    #[inline]
    pub(super) fn heed_paths<'a>(&self, answer: &'a Answer) -> Option<&'a PathMtu> {
        let Answer::Learned(said) = answer else { return None };
        self.versions.is_heard_of(said.to);
        Some(said)
    }

    /// To be called when routes have changed.
    pub(super) fn forget_paths_without_route(&self, net: &Net) {
        if !self.host.paths.is_empty() {
            self.host.paths.retain(|it| net.has_route(&it.route));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::protocol;
    use crate::base::testing::{families, host};
    use crate::engine::example::Example;
    use crate::net::example::{LAN, both, elsewhere, unhex};
    use crate::net::{ConfigError, Prefix, RouteSelector};
    use crate::wire::{checksum, put16};

    families! {
        fn what_is_heard_of_a_path_goes_with_its_route(family: Family) {
            let mut example = Example::new(both());
            let (now, to) = (example.now, host(family, 2));
            assert!(!example.router.knows_paths());
            example.receive(LAN, &told(family, 1400));
            let router = &example.router;
            let all = router.path_mtus(now);
            let known = |to, route: &Route| router.path_mtu(now, to, route).and_then(|it| it.mtu);
            assert_eq!(all.iter().map(|it| (it.to, it.mtu)).collect::<Vec<_>>(), [(to, Some(1400))]);
            assert!(router.knows_paths());
            let route = &all[0].route;
            assert_eq!((known(to, route), known(host(family, 3), route)), (Some(1400), None));
            // Neither the other family's end, nor another route.
            let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
            router.forget_path_mtus(other);
            let another = Route { interface: Some(LAN), ..Route::new(Prefix::host(elsewhere(family))) };
            router.configure(|config| config.net.add_route(another)).unwrap();
            assert_eq!(router.path_mtus(now), all);
            router
                .configure(|config| config.net.remove_first_route(&RouteSelector::only(route)).map(|_| ()))
                .unwrap_or_else(|error: ConfigError| panic!("{error}"));
            assert!(router.path_mtus(now).is_empty() && !router.knows_paths());
        }

        /// Seconds after the first word, what is said then, and what is known: the size, and for how long.
        fn what_is_heard_again(family: Family) {
            for (later, mtu, [of_ipv4, of_ipv6]) in [
                (0, 1400, [(1400, 600), (1400, 600)]),
                // What is known for half its time or more is not known anew, and in IPv6 none is.
                (299, 1400, [(1400, 600), (1400, 600)]),
                (300, 1400, [(1400, 900), (1400, 600)]),
                (599, 1400, [(1400, 1199), (1400, 600)]),
                (10, 1401, [(1400, 600), (1400, 600)]),
                (10, 1399, [(1399, 610), (1399, 610)]),
                (600, 1401, [(1401, 1200), (1401, 1200)]),
            ] {
                let mut example = Example::new(both());
                let began = example.now;
                example.receive(LAN, &told(family, 1400));
                example.now = began + Duration::from_secs(later);
                example.receive(LAN, &told(family, mtu));
                let known = example.router.path_mtus(example.now);
                let known: Vec<_> = known.iter().map(|it| (it.mtu, it.until.since(began).as_secs())).collect();
                let (size, seconds) = if family == Family::V4 { of_ipv4 } else { of_ipv6 };
                assert_eq!(known, [(Some(size), seconds)], "{mtu} after {later} seconds");
            }
            // No less than the link takes: IPv4 keeps it in mind all the same.
            let mut example = Example::new(both());
            example.receive(LAN, &told(family, 1500));
            assert_eq!(example.router.knows_paths(), family == Family::V4);
        }

        fn what_is_heard_of_paths_is_forgotten_by_family(family: Family) {
            let mut example = Example::new(both());
            for family in Family::ALL {
                example.receive(LAN, &told(family, 1400));
            }
            example.router.forget_path_mtus(family);
            let left = example.router.path_mtus(example.now);
            let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
            assert_eq!(left.iter().map(|it| it.to).collect::<Vec<_>>(), [host(other, 2)]);
        }
    }

    /// To the router's answer to a ping it is said that the way takes so many bytes.
    fn told(family: Family, mtu: u16) -> Vec<u8> {
        let mut bytes = unhex(match family {
            Family::V4 => {
                "4500004200070000400166b20a0000020a000001030400000000000045000026\
                 00070000400166ce0a0000010a000002000019160001000261616161616161616161"
            }
            Family::V6 => {
                "6000000000423a4020010db800000000000000000000000220010db80000000000000000000000010200000000000000\
                 6000000000123a4020010db800000000000000000000000120010db800000000000000000000000281003c540001000261616161616161616161"
            }
        });
        let (message, ends) = match family {
            Family::V4 => (20, None),
            Family::V6 => (40, Some((host(family, 2), host(family, 1)))),
        };
        put16(&mut bytes, message + 6, mtu);
        let sum = match ends {
            None => checksum::of(&bytes[message..]),
            Some((from, to)) => checksum::transport(from, to, protocol::ICMPV6, &bytes[message..]),
        };
        put16(&mut bytes, message + 2, sum);
        bytes
    }
}
