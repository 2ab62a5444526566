//! A list of addresses, each with the times it was seen at: what the rules that name it share, and what its file shows and takes.

use std::collections::VecDeque;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::base::Time;
use crate::base::sync::{Mutex, MutexGuard};
use crate::rule::{Clock, LogRecord, Shared, State, WriteRefused};

/// A lock of its own, since rules of all tables, workers and readers share it.
pub(super) struct List(Mutex<Entries>);

pub(super) struct Entries {
    /// Of the rule that made it: those that came later have no say. The kernel has one place for the masks of both families, and lays the first quarter
    /// over an address of IPv4.
    mask: u128,
    /// How many times are kept of an address: a power of two.
    most_times: usize,
    /// The one that was seen last is the last.
    entries: VecDeque<Entry>,
    /// What the rule that was asked last took out although it is the packet's own, for who explains.
    reaped: Option<Reaped>,
}

#[derive(Clone, Copy)]
struct Reaped {
    address: IpAddr,
    seen: Seen,
}

#[derive(Clone)]
struct Entry {
    address: IpAddr,
    ttl: u8,
    /// In jiffies. Once they are as many as are kept, the oldest makes place.
    times: Vec<u64>,
    /// Behind the last that was written.
    next: usize,
}

/// How many addresses a list keeps, as the kernel's `ip_list_tot` is by itself.
const MOST_ADDRESSES: usize = 100;
/// How many times are kept where no rule asks for a number: the kernel's 20, and what makes a power of two of it.
const TIMES: usize = 32;

/// What a rule asks of an address in the list.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    /// Only what was seen since counts.
    pub since: Option<u64>,
    /// 0 is as good as 1.
    pub hits: u32,
}

/// What a list says of an address, for who explains.
#[derive(Clone, Copy)]
pub(super) struct Found {
    pub address: IpAddr,
    pub entry: Option<Seen>,
    /// It is there, but only with another TTL than the packet's.
    pub other_ttl: Option<(u8, u8)>,
    /// The entry was there, and is not any more: it was too old, and `--reap` took it out.
    pub is_reaped: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// How often, in the time that was asked about.
    pub hits: usize,
    /// Jiffies since the last time.
    pub ago: u64,
}

impl List {
    pub(super) fn new(hits: u32, mask: u128) -> Self {
        Self(Mutex::new(Entries {
            mask,
            most_times: times_for(hits),
            entries: VecDeque::with_capacity(MOST_ADDRESSES),
            reaped: None,
        }))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock()
    }

    pub(super) fn found(&self, address: IpAddr, ttl: Option<u8>, asked: Asked, now: u64) -> Found {
        let list = self.lock();
        let address = list.masked(address);
        let entry = list.find(address, ttl).map(|at| list.entries[at].seen(asked, now));
        if entry.is_none()
            && let Some(reaped) = list.reaped.filter(|it| it.address == address)
        {
            return Found {
                address,
                entry: Some(reaped.seen),
                other_ttl: None,
                is_reaped: true,
            };
        }
        let others = entry.is_none().then(|| list.find(address, None)).flatten();
        Found {
            address,
            entry,
            other_ttl: others.zip(ttl).map(|(at, ttl)| (list.entries[at].ttl, ttl)),
            is_reaped: false,
        }
    }
}

/// Who asks for more hits than are kept makes room for them.
fn times_for(hits: u32) -> usize {
    match hits {
        0 => TIMES,
        hits => (hits as usize).next_power_of_two(),
    }
}

impl Asked {
    fn counts(&self, time: u64) -> bool {
        self.since.is_none_or(|since| !is_after(since, time))
    }
}

/// Of a clock that may wrap.
fn is_after(a: u64, b: u64) -> bool {
    (b.wrapping_sub(a) as i64) < 0
}

impl Entry {
    fn last(&self) -> u64 {
        self.times[self.next - 1]
    }

    fn seen(&self, asked: Asked, now: u64) -> Seen {
        Seen {
            hits: self.times.iter().filter(|time| asked.counts(**time)).count(),
            ago: now.wrapping_sub(self.last()),
        }
    }
}

impl Entries {
    pub(super) fn masked(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(address) => IpAddr::V4(address & Ipv4Addr::from_bits((self.mask >> 96) as u32)),
            IpAddr::V6(address) => IpAddr::V6(address & Ipv6Addr::from_bits(self.mask)),
        }
    }

    /// Where it is. A TTL of 0, of a packet or of who wrote into the file, is any.
    pub(super) fn find(&self, address: IpAddr, ttl: Option<u8>) -> Option<usize> {
        let ttl = ttl.unwrap_or(0);
        let is_it = |entry: &Entry| entry.address == address && (entry.ttl == ttl || ttl == 0 || entry.ttl == 0);
        self.entries.iter().position(is_it)
    }

    pub(super) fn fits(&self, at: usize, asked: Asked) -> bool {
        let times = self.entries[at].times.iter();
        times
            .filter(|time| asked.counts(**time))
            .take(asked.hits.max(1) as usize)
            .count()
            >= asked.hits.max(1) as usize
    }

    pub(super) fn enter(&mut self, address: IpAddr, ttl: u8, now: u64) {
        // What has to go leaves its place for the times.
        let mut times = match self.entries.len() {
            MOST_ADDRESSES.. => self.entries.pop_front().map(|it| it.times).unwrap_or_default(),
            _ => Vec::new(),
        };
        times.clear();
        times.push(now);
        self.entries.push_back(Entry {
            address,
            ttl,
            times,
            next: 1,
        });
    }

    /// Sees it once more.
    pub(super) fn see(&mut self, at: usize, ttl: u8, now: u64) {
        let Some(mut entry) = self.entries.remove(at) else {
            return;
        };
        entry.next &= self.most_times - 1;
        match entry.times.get_mut(entry.next) {
            Some(time) => *time = now,
            None => entry.times.push(now),
        }
        entry.next += 1;
        entry.ttl = ttl;
        self.entries.push_back(entry);
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.entries.remove(at);
    }

    /// Takes the one out that was not seen for longest, where that is before the time that is asked about; but not the one at hand where it is seen just now. Says
    /// where that one is afterwards.
    pub(super) fn reap(&mut self, asked: Asked, at: usize, is_seen: bool, now: u64) -> Option<usize> {
        let Some(since) = asked.since else {
            return Some(at);
        };
        let oldest = self.entries.front().map(Entry::last);
        if at == 0 && is_seen || !oldest.is_some_and(|last| is_after(since, last)) {
            return Some(at);
        }
        let gone = self.entries.pop_front().filter(|_| at == 0);
        self.reaped = gone.map(|it| Reaped {
            address: it.address,
            seen: it.seen(asked, now),
        });
        at.checked_sub(1)
    }

    /// Another rule is asked: what the one before took out is not its doing.
    pub(super) fn begin(&mut self) {
        self.reaped = None;
    }

    /// A rule that needs more times than are kept empties the list.
    pub(super) fn remember_so_many(&mut self, hits: u32) {
        let times = times_for(hits);
        if times > self.most_times {
            self.entries.clear();
            self.most_times = times;
        }
    }
}

impl Shared for List {
    fn copy(&self) -> Arc<dyn Shared> {
        let list = self.lock();
        Arc::new(Self(Mutex::new(Entries {
            mask: list.mask,
            most_times: list.most_times,
            entries: list.entries.clone(),
            reaped: None,
        })))
    }

    fn as_state(&self) -> &State {
        self
    }

    /// The one that was not seen for longest comes first. The kernel has them in the order of a hash with a secret.
    fn read(&self, clock: Clock) -> String {
        let mut text = String::new();
        for entry in &self.lock().entries {
            // Writing into a string cannot fail.
            let _ = match entry.address {
                IpAddr::V4(address) => write!(text, "src={address}"),
                IpAddr::V6(address) => {
                    let groups = address.segments().map(|group| format!("{group:04x}"));
                    write!(text, "src={}", groups.join(":"))
                }
            };
            let last = clock.jiffies(entry.last());
            let _ = write!(text, " ttl: {} last_seen: {last} oldest_pkt: {}", entry.ttl, entry.next);
            for (at, time) in entry.times.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                let _ = write!(text, "{comma} {}", clock.jiffies(*time));
            }
            text.push('\n');
        }
        text
    }

    fn write(&self, text: &[u8], now: Time) -> Result<(), WriteRefused> {
        let text = &text[..text.len().min(LONGEST_WRITE)];
        let refused = |logged: Option<&str>| {
            Err(WriteRefused {
                said: "Invalid argument",
                logged: logged.map(|text| LogRecord {
                    level: 6,
                    text: text.to_owned(),
                }),
                expected: "+ADDRESS, -ADDRESS, or / to empty the list",
            })
        };
        let (adds, rest) = match text {
            [] => return Ok(()),
            [b'/', ..] => {
                self.lock().entries.clear();
                return Ok(());
            }
            [b'+', rest @ ..] => (true, rest),
            [b'-', rest @ ..] => (false, rest),
            _ => return refused(Some("xt_recent: Need \"+ip\", \"-ip\" or \"/\"")),
        };
        let Some(address) = written(rest) else {
            return refused(None);
        };
        let mut list = self.lock();
        match (list.find(address, None), adds) {
            (Some(at), true) => {
                let ttl = list.entries[at].ttl;
                list.see(at, ttl, now.jiffies());
            }
            (Some(at), false) => list.remove(at),
            (None, true) => list.enter(address, 0, now.jiffies()),
            (None, false) => {}
        }
        Ok(())
    }
}

/// The kernel looks at no more of one write.
const LONGEST_WRITE: usize = 47;

/// An address, up to the end of the line. No mask is laid over it.
fn written(text: &[u8]) -> Option<IpAddr> {
    let line = text.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    if text.contains(&b':') {
        return line.parse().ok().map(IpAddr::V6);
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        // However many zeros stand before it.
        let text = text.trim_start_matches('0');
        digits
            .then(|| if text.is_empty() { Some(0) } else { text.parse().ok() })
            .flatten()
    };
    let mut numbers = line.split('.').map(number);
    let mut next = || numbers.next().flatten();
    let address = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    numbers.next().is_none().then_some(IpAddr::V4(address))
}
