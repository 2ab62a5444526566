//! Rate limits of the host's own ICMP, counted as Linux counts them, in ticks of 4 ms.
//!
//! One bucket for all destinations (`icmp_msgs_per_sec`, `icmp_msgs_burst`), and one small record for each destination. The record's tokens
//! serve two limits at once, which shows: an error about a missing route costs a second's tokens twice, so only two go out where six would;
//! and with `icmp_ratelimit=0` every ICMP error that is sent empties it, so that the next missing route stays unanswered for a second.
//! The kernel takes one token of the common bucket on average, at random none to two; here it is always one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::base::{InterfaceId, Random, Time};
use crate::packet::Packet;

/// Ticks of the kernel's clock in a second.
const HZ: u64 = 250;
/// A new destination starts as if it had been silent for a minute.
const INITIAL_SILENCE: u64 = 60 * HZ;
/// `icmp_ratelimit` may be saved up for this many errors.
const BURST_FACTOR: u64 = 6;
/// `net.ipv4.route.error_cost` and `error_burst`, which a namespace can't change.
const ROUTE_ERROR_COST: u64 = HZ;
const ROUTE_ERROR_BURST: u64 = 5 * HZ;
/// `net.ipv4.route.redirect_load`, `redirect_number`, `redirect_silence`.
const REDIRECT_LOAD: u64 = HZ / 50;
const REDIRECT_NUMBER: u32 = 9;
const REDIRECT_SILENCE: u64 = REDIRECT_LOAD << (REDIRECT_NUMBER + 1);
/// The kernel forgets peers too, by memory and age; a forgotten one is a new one.
const MAX_PEERS: usize = 65_664;

/// Asked by all workers at once: the common bucket is two numbers, as the kernel's, and each destination's record stands behind a lock that it
/// shares with few others.
#[derive(Debug)]
pub(crate) struct Limiter {
    key: u64,
    credit: AtomicU64,
    /// In ticks; 0 before the first time.
    refilled: AtomicU64,
    peers: [Mutex<Peers>; SHARDS],
}

type Peers = BTreeMap<IpAddr, Peer>;

const SHARDS: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Peer {
    tokens: u64,
    last: u64,
    redirects: u32,
}

impl Clone for Limiter {
    fn clone(&self) -> Self {
        Self {
            key: self.key,
            credit: self.credit.load(Ordering::Relaxed).into(),
            refilled: self.refilled.load(Ordering::Relaxed).into(),
            peers: std::array::from_fn(|at| Mutex::new(self.peers[at].lock().clone())),
        }
    }
}

impl Limiter {
    /// The seed decides which destinations share a lock.
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            key: seed,
            credit: AtomicU64::new(0),
            refilled: AtomicU64::new(0),
            peers: std::array::from_fn(|_| Mutex::default()),
        }
    }

    /// `icmp_msgs_per_sec` and `icmp_msgs_burst`: whether one more may go out. `consume` takes it. As in the kernel, workers that ask at the same
    /// time may all be given the last.
    pub(super) fn common_allows(&self, now: Time, per_second: u64, burst: u64) -> bool {
        let now = ticks(now);
        let refilled = self.refilled.load(Ordering::Relaxed);
        let passed = now.saturating_sub(refilled).min(HZ);
        if self.credit.load(Ordering::Relaxed) == 0 && passed < HZ / 50 {
            return false;
        }
        let earned = per_second.saturating_mul(passed) / HZ;
        // Who sets the time gives what has been earned since; the others find it given.
        let is_mine = earned > 0
            && self
                .refilled
                .compare_exchange(refilled, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_mine {
            self.change_credit(|credit| credit.saturating_add(earned).min(burst));
        }
        self.credit.load(Ordering::Relaxed) > 0
    }

    pub(super) fn consume(&self) {
        self.change_credit(|credit| credit.saturating_sub(1));
    }

    fn change_credit(&self, change: impl Fn(u64) -> u64) {
        // Never refuses, so it never fails.
        let _ = self
            .credit
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |credit| Some(change(credit)));
    }

    /// `icmp_ratelimit`, in milliseconds between errors to one destination.
    pub(super) fn peer_allows(&self, now: Time, to: IpAddr, milliseconds: u64) -> bool {
        let now = ticks(now);
        let price = (milliseconds * HZ).div_ceil(1000);
        let mut peers = self.peers_beside(to);
        let peer = peer(&mut peers, now, to);
        if peer.last != now {
            peer.tokens = (peer.tokens + now.saturating_sub(peer.last)).min(BURST_FACTOR * price);
            peer.last = now;
        }
        let allowed = peer.tokens >= price;
        if allowed {
            peer.tokens -= price;
        }
        allowed
    }

    /// Before the other limits, an error about a missing route has one of its own.
    pub(super) fn route_error_allows(&self, now: Time, to: IpAddr) -> bool {
        let now = ticks(now);
        let mut peers = self.peers_beside(to);
        let peer = peer(&mut peers, now, to);
        peer.tokens = (peer.tokens + now.saturating_sub(peer.last)).min(ROUTE_ERROR_BURST);
        peer.last = now;
        let allowed = peer.tokens >= ROUTE_ERROR_COST;
        if allowed {
            peer.tokens -= ROUTE_ERROR_COST;
        }
        allowed
    }

    /// Redirects to one host come at doubling distances, nine at most, until it has been silent for twenty seconds.
    pub(super) fn redirect_allows(&self, now: Time, to: IpAddr) -> bool {
        let now = ticks(now);
        let mut peers = self.peers_beside(to);
        let peer = peer(&mut peers, now, to);
        if now > peer.last + REDIRECT_SILENCE {
            peer.tokens = 0;
            peer.redirects = 0;
        }
        if peer.redirects >= REDIRECT_NUMBER {
            peer.last = now;
            return false;
        }
        let allowed = peer.redirects == 0 || now > peer.last + (REDIRECT_LOAD << peer.redirects);
        if allowed {
            peer.last = now;
            peer.redirects += 1;
        }
        allowed
    }

    fn peers_beside(&self, to: IpAddr) -> MutexGuard<'_, Peers> {
        let bits = match to {
            IpAddr::V4(v4) => v4.to_bits().into(),
            IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64 ^ v6.to_bits() as u64,
        };
        let number = Random::new(self.key ^ bits).next_u64() as usize % SHARDS;
        self.peers[number].lock()
    }
}

fn peer(peers: &mut Peers, now: u64, to: IpAddr) -> &mut Peer {
    const MOST: usize = MAX_PEERS / SHARDS;
    if peers.len() >= MOST && !peers.contains_key(&to) {
        peers.retain(|_, peer| now < peer.last + INITIAL_SILENCE);
        if peers.len() >= MOST {
            peers.clear();
        }
    }
    peers.entry(to).or_insert(Peer {
        tokens: 0,
        last: now.saturating_sub(INITIAL_SILENCE),
        redirects: 0,
    })
}

/// It came by `lo`: what the host answers to it is not limited, whoever that goes to.
pub(super) fn is_about_own(original: &Packet) -> bool {
    original.input == Some(InterfaceId::LOOPBACK)
}

/// Time in the kernel's ticks, an hour ahead so that a minute before the start of time is not cut off.
fn ticks(now: Time) -> u64 {
    now.as_nanos() / (1_000_000_000 / HZ) + 3600 * HZ
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    fn at(milliseconds: u64) -> Time {
        Time::ZERO + Duration::from_millis(milliseconds)
    }

    fn count(mut ask: impl FnMut() -> bool) -> usize {
        (0..30).filter(|_| ask()).count()
    }

    /// Thirty packets at once, then again later: how many were answered.
    #[test]
    fn errors_to_one_peer() {
        let limiter = Limiter::new(1);
        for (time, answered) in [(0, 6), (1020, 1), (3520, 2)] {
            assert_eq!(
                count(|| limiter.peer_allows(at(time), PEER, 1000)),
                answered,
                "at {time} ms"
            );
        }
    }

    #[test]
    fn missing_routes_pay_twice() {
        let both = |limiter: &Limiter, time, price| {
            count(|| limiter.route_error_allows(at(time), PEER) && limiter.peer_allows(at(time), PEER, price))
        };
        assert_eq!(both(&Limiter::new(1), 0, 1000), 2);
        assert_eq!(both(&Limiter::new(1), 0, 0), 5);
        let limiter = Limiter::new(1);
        assert!(limiter.peer_allows(at(0), PEER, 0));
        assert_eq!(both(&limiter, 0, 0), 0);
        assert_eq!(both(&limiter, 1100, 0), 1);
    }

    /// A packet every 5 ms: the kernel sent redirects at 0, 0.04, 0.13, 0.29, 0.62, 1.26 and 2.54 s.
    #[test]
    fn redirects_double_their_distance() {
        let limiter = Limiter::new(1);
        let sent: Vec<u64> = (0..3000)
            .step_by(5)
            .filter(|time| limiter.redirect_allows(at(*time), PEER))
            .collect();
        assert_eq!(sent, [0, 45, 130, 295, 620, 1265, 2550]);
    }

    #[test]
    fn all_peers_share_a_bucket() {
        let limiter = Limiter::new(1);
        let ask = |time| {
            let allowed = limiter.common_allows(at(time), 1000, 50);
            if allowed {
                limiter.consume();
            }
            allowed
        };
        assert_eq!((0..200).filter(|_| ask(0)).count(), 50);
        assert_eq!((0..200).filter(|_| ask(8)).count(), 0);
        assert_eq!((0..200).filter(|_| ask(20)).count(), 20);
    }
}
