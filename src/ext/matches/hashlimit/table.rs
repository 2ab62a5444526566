//! A table: a bucket for each key, what the rules that name it share, and what its file shows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use super::bucket::Bucket;
use super::rate::Rate;
use super::{Hashlimit, LARGEST_TABLE, Mode, write_address};
use crate::base::sync::{Mutex, MutexGuard};
use crate::base::{JIFFIES_PER_SECOND, Time};
use crate::rule::{Clock, Shared, State, WriteRefused};

/// What the first rule says of it: those that come later have no say.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub rate: Rate,
    pub burst: u32,
    pub mode: Mode,
    pub source_mask: u8,
    pub destination_mask: u8,
    pub is_rate_match: bool,
    /// Seconds.
    pub interval: u32,
    /// Entries.
    most: usize,
    /// Jiffies.
    expire: u64,
    gc_interval: u64,
}

impl Config {
    pub(super) fn of(rule: &Hashlimit) -> Self {
        let size = match rule.size.min(LARGEST_TABLE) {
            0 => BUCKETS,
            size => size,
        };
        let most = match rule.max.min(LARGEST_TABLE) {
            0 => size.saturating_mul(8),
            most => most.max(size),
        };
        Self {
            rate: rule.rate,
            burst: rule.burst,
            mode: rule.mode,
            source_mask: rule.source_mask,
            destination_mask: rule.destination_mask,
            is_rate_match: rule.is_rate_match,
            interval: rule.interval,
            most: most as usize,
            expire: jiffies(rule.expire),
            gc_interval: jiffies(rule.gc_interval),
        }
    }
}

/// As a kernel with more than a gigabyte of memory has them.
const BUCKETS: u32 = 8192;

/// As the kernel reckons milliseconds: rounded up, and for ever where a signed number of 32 bits would be negative.
fn jiffies(milliseconds: u32) -> u64 {
    match i32::try_from(milliseconds) {
        Ok(_) => (u64::from(milliseconds) * u64::from(JIFFIES_PER_SECOND)).div_ceil(1000),
        Err(_) => FOR_EVER,
    }
}

const FOR_EVER: u64 = (i64::MAX as u64 >> 1) - 1;

/// What has a bucket of its own; what the table does not ask for is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub source_port: u16,
    pub destination_port: u16,
}

/// A lock of its own, since rules of all tables, workers and readers share it.
pub(super) struct Table(Mutex<Entries>);

#[derive(Clone)]
pub(super) struct Entries {
    pub config: Config,
    /// In order, so that nobody outside can choose keys that are slow to find.
    of: BTreeMap<Key, Entry>,
    /// In jiffies: the look for what is over that was last due, and the earliest at which something can be.
    looked_at: u64,
    earliest: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    bucket: Bucket,
    /// In jiffies.
    expires: u64,
}

/// What is said of a packet's entry, for who explains.
#[derive(Clone, Copy)]
pub(super) struct Told {
    key: Key,
    /// `None`: there was no room.
    bucket: Option<Bucket>,
    most: usize,
}

impl Table {
    pub(super) fn new(config: Config, now: u64) -> Self {
        Self(Mutex::new(Entries {
            config,
            of: BTreeMap::new(),
            looked_at: now,
            earliest: u64::MAX,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock()
    }
}

impl Entries {
    /// The key's bucket, as it is now. `None` where the table is full: the kernel drops the packet.
    pub(super) fn touch(&mut self, key: Key, now: u64) -> Option<&mut Bucket> {
        self.forget(now);
        let expires = now.saturating_add(self.config.expire);
        let is_full = self.of.len() >= self.config.most;
        let entry = match self.of.entry(key) {
            Place::Occupied(known) => {
                let entry = known.into_mut();
                entry.expires = expires;
                entry.bucket.pass_time(&self.config, now);
                entry
            }
            Place::Vacant(_) if is_full => return None,
            Place::Vacant(place) => place.insert(Entry {
                bucket: Bucket::new(&self.config, now),
                expires,
            }),
        };
        self.earliest = self.earliest.min(expires);
        Some(&mut entry.bucket)
    }

    /// The kernel looks at intervals for entries that are over, and until then they are found. Of the looks that were due since, the last counts.
    fn forget(&mut self, now: u64) {
        let passed = now.saturating_sub(self.looked_at);
        self.looked_at += passed - passed % self.config.gc_interval.max(1);
        let looked_at = self.looked_at;
        if self.earliest > looked_at {
            return;
        }
        self.of.retain(|_, entry| entry.expires > looked_at);
        let first = self.of.values().map(|entry| entry.expires).min();
        self.earliest = first.unwrap_or(u64::MAX);
    }

    pub(super) fn told(&self, key: Key) -> Told {
        Told {
            key,
            bucket: self.of.get(&key).map(|entry| entry.bucket),
            most: self.config.most,
        }
    }
}

impl Told {
    pub(super) fn write(&self, out: &mut String, rule: &Hashlimit, length: u64) {
        let Some(bucket) = self.bucket else {
            let (name, most) = (&rule.name, self.most);
            let _ = write!(out, "table {name} is full with {most}, and the kernel drops the packet");
            return;
        };
        let said = bucket.said(rule, length);
        let end = |address: IpAddr, port: u16| {
            let address = (!address.is_unspecified()).then(|| address.to_string());
            let port = (port != 0).then(|| format!("port {port}"));
            match (address, port) {
                (Some(address), Some(port)) => Some(format!("{address} {port}")),
                (address, port) => address.or(port),
            }
        };
        let source = end(self.key.source, self.key.source_port);
        let destination = end(self.key.destination, self.key.destination_port);
        let _ = match (source, destination) {
            (Some(source), Some(destination)) => write!(out, "{source} > {destination} {said}"),
            (Some(source), None) => write!(out, "{source} {said}"),
            (None, Some(destination)) => write!(out, "> {destination} {said}"),
            (None, None) => write!(out, "table {} {said}", rule.name),
        };
    }
}

impl Shared for Table {
    fn copy(&self) -> Arc<dyn Shared> {
        Arc::new(Self(Mutex::new(self.lock().clone())))
    }

    fn as_state(&self) -> &State {
        self
    }

    /// In the order of keys; the kernel has that of a hash with a secret. Who reads sees what time has brought, and in the kernel brings it: an interval
    /// in which packets are counted ends there.
    fn read(&self, clock: Clock) -> String {
        let mut text = String::new();
        let mut entries = self.lock();
        let now = clock.now.jiffies();
        entries.forget(now);
        let Entries { config, of, .. } = &mut *entries;
        for (key, entry) in of {
            entry.bucket.pass_time(config, now);
            // What is over and not yet forgotten has less than nothing left.
            let left = entry.expires.wrapping_sub(now) as i64 / i64::from(JIFFIES_PER_SECOND);
            let _ = write!(text, "{left} ");
            write_address(&mut text, key.source);
            let _ = write!(text, ":{}->", key.source_port);
            write_address(&mut text, key.destination);
            let [first, second, third] = entry.bucket.shown(config);
            let _ = writeln!(text, ":{} {first} {second} {third}", key.destination_port);
        }
        text
    }

    /// Nobody may write to it, and root may try.
    fn write(&self, _text: &[u8], _now: Time) -> Result<(), WriteRefused> {
        Err(WriteRefused {
            said: "Input/output error",
            logged: None,
            expected: "nothing: this file can be read only",
        })
    }
}
