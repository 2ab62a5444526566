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
    use super::*;
    use crate::base::testing::{families, host};
    use crate::engine::example::Example;
    use crate::net::example::{LAN, both, elsewhere, unhex};
    use crate::net::{ConfigError, Prefix, RouteSelector};

    families! {
        fn what_is_heard_of_a_path_goes_with_its_route(family: Family) {
            let mut example = Example::new(both());
            let (now, to) = (example.now, host(family, 2));
            assert!(!example.router.knows_paths());
            example.receive(LAN, &unhex(heard(family)));
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

        fn what_is_heard_of_paths_is_forgotten_by_family(family: Family) {
            let mut example = Example::new(both());
            for family in Family::ALL {
                example.receive(LAN, &unhex(heard(family)));
            }
            example.router.forget_path_mtus(family);
            let left = example.router.path_mtus(example.now);
            let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
            assert_eq!(left.iter().map(|it| it.to).collect::<Vec<_>>(), [host(other, 2)]);
        }
    }

    /// To the router's answer to a ping it is said that the way takes 1,400 bytes.
    fn heard(family: Family) -> &'static str {
        match family {
            Family::V4 => {
                "4500004200070000400166b20a0000020a0000010304f78300000578\
                 4500002600070000400166ce0a0000010a000002000019160001000261616161616161616161"
            }
            Family::V6 => {
                "6000000000423a4020010db800000000000000000000000220010db80000000000000000000000010200029000000578\
                 6000000000123a4020010db800000000000000000000000120010db800000000000000000000000281003c540001000261616161616161616161"
            }
        }
    }
}
