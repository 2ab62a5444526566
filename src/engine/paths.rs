//! What the router was told of the size that paths take: what packets remember is void when more is known, and what is known goes with its route.

use std::net::IpAddr;

use super::router::Router;
use crate::base::{Family, Time};
use crate::net::{Net, PathMtu, Route};

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
        let _ = self.heed_paths();
    }

    /// To be called when a packet may have told something, which is given: what others remember of their ways is void then.
    #[inline]
    pub(super) fn heed_paths(&self) -> Option<PathMtu> {
        let said = self.host.paths.news()?;
        self.is_changed();
        said
    }

    /// To be called when routes have changed.
    pub(super) fn forget_paths_without_route(&self, net: &Net) {
        if !self.host.paths.is_empty() {
            let leads = |it: &PathMtu, route: &Route| route.hops().any(|(way, _)| *way == it.route);
            let stands = |it: &PathMtu| net.routes(Family::of(it.to)).any(|route| leads(it, route));
            self.host.paths.retain(stands);
        }
    }
}
