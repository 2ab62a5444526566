//! What the host was told of the way to a destination: that it takes no more than this, for a time ("packet too big", "fragmentation needed").
//!
//! Each was seen on Linux 6.18: what is quoted must be ICMP, since for TCP and UDP a socket of the host's own would have to ask; and who said it, and
//! whether the host ever sent the quoted packet, counts for nothing.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::address::is_limited_broadcast;
use super::sysctl::Knob;
use super::{HostState, InputRoute, Net, OutputKey, OutputRoute, Route, RouteKind};
use crate::base::{Family, Random, Time};
use crate::packet::Packet;

/// Of one destination, as long as the route stands that leads there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMtu {
    /// The destination.
    pub to: IpAddr,
    /// The largest packet, in bytes, headers included.
    pub mtu: u32,
    /// Whoever said it said less than any way should have: `mtu` is the least that is believed, and no other word is heard until this one is forgotten.
    pub is_locked: bool,
    /// When it is forgotten.
    pub until: Time,
    /// The route that led there.
    pub route: Route,
}

/// All of them: a packet pays a look at their number while there are none.
#[derive(Debug)]
pub(crate) struct PathMtus {
    count: AtomicUsize,
    /// Some have come or gone since somebody asked.
    is_changed: AtomicBool,
    /// The order in which they came.
    next: AtomicU64,
    key: u64,
    shards: [Mutex<Vec<(u64, PathMtu)>>; SHARDS],
}

const SHARDS: usize = 16;
/// In each shard; the kernel's buckets hold about as many. The oldest goes.
const MOST: usize = 320;

impl Clone for PathMtus {
    fn clone(&self) -> Self {
        Self {
            count: self.count.load(Ordering::Relaxed).into(),
            is_changed: self.is_changed.load(Ordering::Relaxed).into(),
            next: self.next.load(Ordering::Relaxed).into(),
            key: self.key,
            shards: std::array::from_fn(|at| Mutex::new(self.shards[at].lock().clone())),
        }
    }
}

impl PathMtus {
    /// The seed decides which destinations share a lock.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            count: AtomicUsize::new(0),
            is_changed: AtomicBool::new(false),
            next: AtomicU64::new(0),
            key: seed,
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// True once after each change.
    #[inline]
    pub(crate) fn have_changed(&self) -> bool {
        self.is_changed.load(Ordering::Relaxed) && self.is_changed.swap(false, Ordering::Relaxed)
    }

    /// What was said of this destination, reached by this route.
    pub(crate) fn of(&self, now: Time, to: IpAddr, route: &Route) -> Option<PathMtu> {
        let shard = self.shards[self.shard(to)].lock();
        let found = shard.iter().find(|(_, it)| it.is_of(to, route));
        found.map(|(_, it)| it.clone()).filter(|it| it.until > now)
    }

    pub(super) fn learn(&self, learned: PathMtu) {
        let mut shard = self.shards[self.shard(learned.to)].lock();
        match shard.iter_mut().find(|(_, it)| it.is_of(learned.to, &learned.route)) {
            Some((_, known)) => *known = learned,
            None => {
                if shard.len() == MOST {
                    shard.remove(0);
                } else {
                    self.count.fetch_add(1, Ordering::Relaxed);
                }
                shard.push((self.next.fetch_add(1, Ordering::Relaxed), learned));
            }
        }
        self.is_changed.store(true, Ordering::Relaxed);
    }

    /// Forgets the others.
    pub(crate) fn retain(&self, keep: impl Fn(&PathMtu) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.len();
            shard.retain(|(_, it)| keep(it));
            self.count.fetch_sub(before - shard.len(), Ordering::Relaxed);
        }
        self.is_changed.store(true, Ordering::Relaxed);
    }

    /// Those that hold now, in the order in which they came.
    pub(crate) fn all(&self, now: Time) -> Vec<PathMtu> {
        let mut all: Vec<_> = self.shards.iter().flat_map(|shard| shard.lock().clone()).collect();
        all.sort_by_key(|(at, _)| *at);
        all.into_iter().map(|(_, it)| it).filter(|it| it.until > now).collect()
    }

    fn shard(&self, to: IpAddr) -> usize {
        let bits = match to {
            IpAddr::V4(to) => u64::from(to.to_bits()),
            IpAddr::V6(to) => (to.to_bits() >> 64) as u64 ^ to.to_bits() as u64,
        };
        Random::new(self.key ^ bits).next_u64() as usize % SHARDS
    }
}

impl PathMtu {
    fn is_of(&self, to: IpAddr, route: &Route) -> bool {
        self.to == to && self.route == *route
    }
}

impl Net {
    /// What holds for the time that such a word holds.
    pub(super) fn until(&self, now: Time, seconds: i64) -> Time {
        now + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    /// The way of a packet of the host's own, as what was said of it leaves it.
    #[inline]
    pub(crate) fn heed_path(&self, host: &HostState, now: Time, key: &OutputKey, route: &mut OutputRoute) {
        if !host.paths.is_empty() {
            self.heed_what_was_said(host, now, key, route);
        }
    }

    #[cold]
    fn heed_what_was_said(&self, host: &HostState, now: Time, key: &OutputKey, route: &mut OutputRoute) {
        let key = OutputKey {
            destination: route.destination,
            ..*key
        };
        if !says_anything_of(route.destination) {
            return;
        }
        let found = self.looked_up_output(&key).route;
        if let Some(said) = found.and_then(|found| self.said_of(host, now, route.destination, found)) {
            route.mtu = said.mtu;
        }
    }

    /// The same for another host's: in IPv4 only what is locked holds for that, unless `ip_forward_use_pmtu` is on.
    #[inline]
    pub(crate) fn heed_path_of_forwarded(&self, host: &HostState, now: Time, packet: &Packet, route: &mut InputRoute) {
        if !host.paths.is_empty() {
            self.heed_what_was_said_of_forwarded(host, now, packet, route);
        }
    }

    #[cold]
    fn heed_what_was_said_of_forwarded(&self, host: &HostState, now: Time, packet: &Packet, route: &mut InputRoute) {
        let InputRoute::Forward(way) = route else { return };
        let towards = way.source_route.unwrap_or(packet.destination());
        let found = self.looked_up_input(packet, towards).route;
        let said = found.and_then(|found| self.said_of(host, now, towards, found));
        let holds = |it: &PathMtu| packet.family() == Family::V6 || it.is_locked || self.is_on(Knob::ForwardUsePmtu);
        if let Some(said) = said.filter(holds) {
            way.mtu = said.mtu;
        }
    }

    /// What was said of a destination that this route leads to.
    pub(crate) fn said_of(&self, host: &HostState, now: Time, to: IpAddr, route: &Route) -> Option<PathMtu> {
        let is_asked = to.is_ipv6() || matches!(route.kind, RouteKind::Unicast | RouteKind::Broadcast);
        is_asked.then(|| host.paths.of(now, to, route)).flatten()
    }
}

/// Of the ways to IPv4's groups nothing is kept.
pub(super) fn says_anything_of(destination: IpAddr) -> bool {
    destination.is_ipv6() || !destination.is_multicast() && !is_limited_broadcast(destination)
}
