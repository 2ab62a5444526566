//! What the host was told of the way to a destination: that it takes no more than this, for a time ("packet too big", "fragmentation needed"), or leads by
//! another gateway (redirects).
//!
//! Each was seen on Linux 6.18: what is quoted must be ICMP, since for TCP and UDP a socket of the host's own would have to ask; and who said it, and
//! whether the host ever sent the quoted packet, counts for nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
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
    /// The largest packet, in bytes, headers included; `None` where nothing was said of that.
    pub mtu: Option<u32>,
    /// Whoever said it said less than any way should have: `mtu` is the least that is believed, and no other word is heard until this one is forgotten.
    pub is_locked: bool,
    /// Where it leads instead of by the route's gateway, as a redirect said: by this one, or to nobody else where it is the destination itself.
    pub leads_by: Option<IpAddr>,
    /// When it is forgotten; [`Time::NEVER`]: with its route.
    pub until: Time,
    /// The route that led there.
    pub route: Route,
}

/// All of them: a packet pays a look at their number while there are none.
#[derive(Debug)]
pub(crate) struct PathMtus {
    count: AtomicUsize,
    /// The order in which they came.
    next: AtomicU64,
    /// Before this, in nanoseconds, nobody looks for those that are over.
    first_over: AtomicU64,
    key: u64,
    shards: [Mutex<Shard>; SHARDS],
}

/// Some destinations. Who tells of many makes each of them dearer to find by little.
#[derive(Clone, Debug, Default)]
struct Shard {
    /// By destination; of one destination, to which several routes may have led, by when they came.
    said: BTreeMap<(IpAddr, u64), PathMtu>,
    /// In the order in which they came.
    order: BTreeMap<u64, IpAddr>,
}

const SHARDS: usize = 16;
/// In each shard; the kernel's buckets hold about as many. The oldest goes.
const MOST: usize = 320;
/// How long at least what is over is let lie.
const NOT_BEFORE: Duration = Duration::from_secs(1);

impl Clone for PathMtus {
    fn clone(&self) -> Self {
        Self {
            count: self.count.load(Ordering::Relaxed).into(),
            next: self.next.load(Ordering::Relaxed).into(),
            first_over: self.first_over.load(Ordering::Relaxed).into(),
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
            next: AtomicU64::new(0),
            first_over: AtomicU64::new(u64::MAX),
            key: seed,
            shards: std::array::from_fn(|_| Mutex::default()),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }

    /// Whether anything was said of this destination, by whatever route. What is over goes, so that packets pay for it no longer.
    fn tell_of(&self, now: Time, to: IpAddr) -> bool {
        if now.as_nanos() >= self.first_over.load(Ordering::Relaxed) {
            self.drop_what_is_over(now);
        }
        self.shard(to).lock().of(to).next().is_some()
    }

    /// What was said of this destination, reached by this route, as it is read.
    fn of<T>(&self, now: Time, to: IpAddr, route: &Route, read: impl FnOnce(&PathMtu) -> T) -> Option<T> {
        let shard = self.shard(to).lock();
        let found = shard.of(to).find(|it| it.route == *route && it.until > now);
        found.map(read)
    }

    /// Whoever remembers the smaller size needs no word of it: what is larger than that asks again.
    #[cold]
    fn drop_what_is_over(&self, now: Time) {
        // Before the shards are looked at: whatever comes meanwhile says its own time.
        self.first_over.store(u64::MAX, Ordering::Relaxed);
        self.retain(|it| it.until > now);
        let left = self
            .shards
            .iter()
            .flat_map(|shard| shard.lock().said.values().map(|it| it.until).min());
        if let Some(first) = left.min() {
            // All are looked at: whoever made each of them be over at an instant of its own would have that done as often.
            let next = first.max(now + NOT_BEFORE);
            self.first_over.fetch_min(next.as_nanos(), Ordering::Relaxed);
        }
    }

    /// Known from now on; given back for whoever is to hear of it.
    pub(super) fn learn(&self, learned: PathMtu) -> PathMtu {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let more = self.shard(learned.to).lock().learn(number, &learned);
        self.count.fetch_add(usize::from(more), Ordering::Relaxed);
        // Only now: who drops what is over, and did not find it yet, does not write over this.
        self.first_over.fetch_min(learned.until.as_nanos(), Ordering::Relaxed);
        learned
    }

    /// Forgets the others.
    pub(crate) fn retain(&self, keep: impl Fn(&PathMtu) -> bool) {
        for shard in &self.shards {
            let gone = shard.lock().retain(&keep);
            self.count.fetch_sub(gone, Ordering::Relaxed);
        }
    }

    /// Those that hold now, in the order in which they came.
    pub(crate) fn all(&self, now: Time) -> Vec<PathMtu> {
        let all = self.shards.iter().flat_map(|shard| shard.lock().said.clone());
        let mut all: Vec<_> = all.filter(|(_, it)| it.until > now).collect();
        all.sort_by_key(|((_, number), _)| *number);
        all.into_iter().map(|(_, it)| it).collect()
    }

    fn shard(&self, to: IpAddr) -> &Mutex<Shard> {
        let bits = match to {
            IpAddr::V4(to) => u64::from(to.to_bits()),
            IpAddr::V6(to) => (to.to_bits() >> 64) as u64 ^ to.to_bits() as u64,
        };
        &self.shards[Random::new(self.key ^ bits).next_u64() as usize % SHARDS]
    }
}

impl Shard {
    fn of(&self, to: IpAddr) -> impl Iterator<Item = &PathMtu> {
        self.said.range((to, 0)..=(to, u64::MAX)).map(|(_, it)| it)
    }

    /// Whether there is one more. What is known by this route already stays where it stands.
    fn learn(&mut self, number: u64, learned: &PathMtu) -> bool {
        let of_destination = self.said.range_mut((learned.to, 0)..=(learned.to, u64::MAX));
        for (_, known) in of_destination {
            if known.route == learned.route {
                known.clone_from(learned);
                return false;
            }
        }
        let is_full = self.order.len() == MOST;
        if is_full && let Some((number, to)) = self.order.pop_first() {
            self.said.remove(&(to, number));
        }
        self.order.insert(number, learned.to);
        self.said.insert((learned.to, number), learned.clone());
        !is_full
    }

    /// How many have gone.
    fn retain(&mut self, keep: impl Fn(&PathMtu) -> bool) -> usize {
        let before = self.order.len();
        let Self { said, order } = self;
        said.retain(|(_, number), it| {
            let stays = keep(it);
            if !stays {
                order.remove(number);
            }
            stays
        });
        before - order.len()
    }
}

impl PathMtu {
    /// The gateway that the way leads by, where the route has this one.
    pub fn gateway(&self, of_route: Option<IpAddr>) -> Option<IpAddr> {
        match self.leads_by {
            Some(by) => Some(by).filter(|by| *by != self.to),
            None => of_route,
        }
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
        // Of most nobody has said anything, and to look up a route costs more than to ask that.
        if !says_anything_of(route.destination) || !host.paths.tell_of(now, route.destination) {
            return;
        }
        let found = self.looked_up_output(&key).route;
        let by_route = route.gateway;
        let said = found.and_then(|found| {
            self.said_as(host, now, (route.destination, found), |it| {
                (it.mtu, it.gateway(by_route))
            })
        });
        if let Some((mtu, gateway)) = said {
            route.mtu = mtu.unwrap_or(route.mtu);
            route.gateway = gateway;
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
        if !host.paths.tell_of(now, towards) {
            return;
        }
        let found = self.looked_up_input(packet, towards).route;
        let by_route = way.gateway;
        let said = found.and_then(|found| {
            self.said_as(host, now, (towards, found), |it| {
                (it.mtu, it.is_locked, it.gateway(by_route))
            })
        });
        let Some((mtu, is_locked, gateway)) = said else { return };
        way.gateway = gateway;
        let holds = packet.family() == Family::V6 || is_locked || self.is_on(Knob::ForwardUsePmtu);
        if let Some(mtu) = mtu.filter(|_| holds) {
            way.mtu = mtu;
        }
    }

    /// What was said of the path that another host's packet takes, whether it holds for such packets or not.
    pub(crate) fn heard_of_forwarded(&self, host: &HostState, now: Time, packet: &Packet) -> Option<u32> {
        if host.paths.is_empty() || packet.input.is_none() {
            return None;
        }
        let to = packet.destination();
        let found = self.looked_up_input(packet, to).route?;
        self.said_of(host, now, to, found)?.mtu
    }

    /// What was said of a destination that this route leads to.
    pub(crate) fn said_of(&self, host: &HostState, now: Time, to: IpAddr, route: &Route) -> Option<PathMtu> {
        self.said_as(host, now, (to, route), PathMtu::clone)
    }

    /// The same as it is read.
    fn said_as<T>(
        &self,
        host: &HostState,
        now: Time,
        (to, route): (IpAddr, &Route),
        read: impl FnOnce(&PathMtu) -> T,
    ) -> Option<T> {
        let is_asked = to.is_ipv6() || matches!(route.kind, RouteKind::Unicast | RouteKind::Broadcast);
        is_asked.then(|| host.paths.of(now, to, route, read)).flatten()
    }
}

/// Of the ways to IPv4's groups nothing is kept.
pub(super) fn says_anything_of(destination: IpAddr) -> bool {
    destination.is_ipv6() || !destination.is_multicast() && !is_limited_broadcast(destination)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::{families, host};
    use crate::net::example::both;

    fn learned(net: &Net, to: IpAddr, mtu: u32, until: u64) -> PathMtu {
        let route = net.looked_up_output(&OutputKey::towards(to)).route.unwrap();
        PathMtu {
            to,
            mtu: Some(mtu),
            is_locked: false,
            leads_by: None,
            until: Time::from_secs(until),
            route: route.clone(),
        }
    }

    families! {
        fn it_holds_for_its_destination_and_route_and_time(family: Family) {
            let (net, paths) = (both(), PathMtus::new(1));
            let (first, other) = (host(family, 2), host(family, 3));
            let said = learned(&net, first, 1400, 600);
            assert!(paths.is_empty());
            assert_eq!(paths.learn(said.clone()), said);
            assert!(!paths.is_empty());
            let mtu = |now, to| paths.of(Time::from_secs(now), to, &said.route, |it| it.mtu).flatten();
            assert_eq!((mtu(0, first), mtu(599, first), mtu(600, first), mtu(0, other)), (Some(1400), Some(1400), None, None));
            let another = Route { metric: 7, ..said.route.clone() };
            assert_eq!(paths.of(Time::ZERO, first, &another, PathMtu::clone), None);
            paths.learn(learned(&net, first, 1300, 700));
            let told = |now| paths.all(Time::from_secs(now)).len();
            assert_eq!((mtu(0, first), told(0), told(699), told(700)), (Some(1300), 1, 1, 0));
            let copy = paths.clone();
            paths.retain(|it| it.to != first);
            assert!(paths.is_empty());
            assert_eq!(copy.all(Time::ZERO).len(), 1);
        }

        fn what_is_over_is_paid_for_no_longer(family: Family) {
            let (net, paths) = (both(), PathMtus::new(1));
            let said: Vec<PathMtu> = (0..100).map(|number| PathMtu {
                to: numbered(family, number),
                ..learned(&net, host(family, 2), 1400, 600 + u64::from(number % 4 != 0))
            }).collect();
            said.iter().for_each(|it| drop(paths.learn(it.clone())));
            for (now, left) in [(599, 100), (600, 75), (600, 75), (601, 0)] {
                // One look, at whatever destination.
                let _ = paths.tell_of(Time::from_secs(now), host(family, 2));
                let lengths = paths.shards.iter().map(|shard| shard.lock()).map(|it| (it.said.len(), it.order.len()));
                let kept = lengths.fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
                assert_eq!((kept, paths.is_empty()), ((left, left), left == 0), "{now}");
            }
        }

        fn the_oldest_gives_way_and_all_are_told_in_the_order_they_came(family: Family) {
            let (net, paths) = (both(), PathMtus::new(1));
            let all: Vec<PathMtu> = (0..10_000).map(|number| PathMtu {
                to: numbered(family, number),
                ..learned(&net, host(family, 2), 1400, 600)
            }).collect();
            all.iter().for_each(|it| drop(paths.learn(it.clone())));
            let told = paths.all(Time::ZERO);
            assert_eq!(told.len(), SHARDS * MOST);
            assert!(told.is_sorted_by_key(|it| it.to) && told.last() == all.last());
        }
    }

    fn numbered(family: Family, number: u32) -> IpAddr {
        match family {
            Family::V4 => std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).into(),
            // Of as many networks.
            Family::V6 => std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(number) << 64).into(),
        }
    }
}
