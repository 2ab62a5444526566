//! What a running lab does all day: packets from its devices through the router and out again, and the clock's ticks.
//!
//! A thread for each worker, and an `epoll` of its own: a worker reads one queue of each device, carries what it read, and writes it into its own queue of
//! another device, so that no packet waits for two threads. What comes to one worker wakes no other. A wakeup drains each ready device up to `BATCH` packets and then looks at the others, so that a flood on one
//! interface stops no other. Where many come, some are read, then carried, then sent (`leaving`); but for what may be joined (`joining`), which leaves
//! with the batch.
//! Nothing else happens here: no file, no socket but the devices', no request; those have threads of their own ([`super::server`]).

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime};

use super::clock::Clock;
use super::joining::Joining;
use super::leaving::Leaving;
use super::segment::{Delivery, Segment};
use crate::base::{InterfaceName, Time};
use crate::device::{Device, Received};
use crate::lab::counters::PortCounters;
use crate::packet::Offload;

/// What is between the devices: the router.
pub trait Driver {
    /// A packet arrived on an interface. `out` may be called any number of times.
    fn packet(&mut self, now: Time, port: PortIndex, packet: Carried<'_>, out: &mut Out<'_>);

    /// Packets that were read from an interface one behind another. Whoever gets them may take their bytes, as with [`Self::packet`].
    fn packets(&mut self, now: Time, port: PortIndex, packets: &mut [Arrived], out: &mut Out<'_>) {
        for (bytes, offload) in packets {
            let offload = *offload;
            self.packet(now, port, Carried { bytes, offload }, out);
        }
    }

    /// Called every [`EventLoop::tick_every`], and before anything else happens at a later time.
    fn tick(&mut self, now: Time, out: &mut Out<'_>);

    /// By this another thread has [`Self::called`] called. Told once, before the loop runs.
    fn take_caller(&mut self, _caller: Caller) {}

    /// Somebody called: what other threads left to do, which may make packets leave.
    fn called(&mut self, _now: Time, _out: &mut Out<'_>) {}
}

/// A packet on its way between devices and driver. Whoever gets it may take the bytes and leave another buffer in their place.
#[derive(Debug)]
pub struct Carried<'a> {
    /// From the IP header on.
    pub bytes: &'a mut Vec<u8>,
    /// What is left to do of it.
    pub offload: Offload,
}

/// A packet that was read, from the IP header on, and what is left to do of it.
pub type Arrived = (Vec<u8>, Offload);

/// Where a driver hands packets that leave by a port.
pub type Out<'a> = dyn FnMut(PortIndex, Carried<'_>) + 'a;

/// An interface of the lab, in the order of the lab file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortIndex(pub u16);

/// A device that `epoll` can wait for.
pub trait PollDevice: Device + AsFd {}

impl<T: Device + AsFd> PollDevice for T {}

/// An interface: its devices, and how packets find the right one.
pub struct Port {
    pub name: InterfaceName,
    /// One for each host, or a single one.
    pub devices: Vec<Box<dyn PollDevice>>,
    /// `None` where the single device is all there is: whatever the router sends goes there.
    pub segment: Option<Segment>,
    pub counters: Arc<PortCounters>,
}

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// By this signal.
    Signal(i32),
    /// By a [`Stopper`].
    Asked,
}

pub struct EventLoop<D> {
    pub driver: D,
    pub ports: Vec<Port>,
    /// `None`: never. Of several loops of a lab the first does it.
    pub tick_every: Option<Duration>,
    /// Of each port's devices.
    joining: Vec<Vec<Joining>>,
    leaving: Leaving,
    /// Packets that were read together, and buffers for such.
    arrived: Vec<Arrived>,
    /// Of each port's devices.
    pace: Vec<Vec<Pace>>,
    epoll: OwnedFd,
    /// A timer for ticks, which runs while the loop does.
    ticks: OwnedFd,
    signals: Option<OwnedFd>,
    stop: Arc<OwnedFd>,
    call: Arc<OwnedFd>,
    clock: Clock,
}

/// Has a loop's driver look at what another thread left for it.
#[derive(Clone, Debug)]
pub struct Caller(Arc<OwnedFd>);

impl Caller {
    pub fn call(&self) {
        // Full means that it was called already, many times over.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// Ends a loop from another thread.
#[derive(Clone, Debug)]
pub struct Stopper(Arc<OwnedFd>);

impl Stopper {
    pub fn stop(&self) {
        // Full means that it was told already, many times over.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

impl<D: Driver> EventLoop<D> {
    /// `clock` is the one that the lab's commands go by, `signals` a descriptor of [`crate::device::syscall::termination_signals`]; a loop inside
    /// a test has none.
    pub fn new(driver: D, ports: Vec<Port>, clock: Clock, signals: Option<OwnedFd>) -> io::Result<Self> {
        let joining = |port: &Port| port.devices.iter().map(|_| Joining::default()).collect();
        // All descriptors are had before anybody hears that the lab is up: there may be none later.
        let ticks = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        let mut made = Self {
            driver,
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            ticks,
            joining: ports.iter().map(joining).collect(),
            leaving: Leaving::default(),
            arrived: Vec::new(),
            pace: ports
                .iter()
                .map(|port| vec![Pace::default(); port.devices.len()])
                .collect(),
            ports,
            tick_every: Some(TICK),
            signals,
            stop: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
            call: Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?),
            clock,
        };
        made.register()?;
        made.driver.take_caller(Caller(Arc::clone(&made.call)));
        Ok(made)
    }

    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::clone(&self.stop))
    }

    /// Runs until a signal or a [`Stopper`] ends it. An error is one of `epoll` itself; a device's or a client's trouble stays its own.
    pub fn run(&mut self) -> io::Result<Stopped> {
        if let Some(every) = self.tick_every {
            begin_ticks(&self.ticks, every)?;
        }
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let is_due = |event: &epoll::Event| Token::from(event.data.u64()) == Token::Tick;
            if events.iter().any(is_due) {
                // How many there were counts for nothing.
                let _ = rustix::io::read(&self.ticks, &mut [0; 8]);
                self.tick();
            }
            for event in &events {
                match Token::from(event.data.u64()) {
                    Token::Tick => {}
                    Token::Stop => return Ok(Stopped::Asked),
                    Token::Call => self.called(),
                    Token::Signal => {
                        if let Some(signal) = self.signal() {
                            return Ok(Stopped::Signal(signal));
                        }
                    }
                    Token::Device(port, device) => {
                        self.receive(port, device);
                        self.flush();
                    }
                }
            }
        }
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        let (ports, joining, leaving) = (&mut self.ports, &mut self.joining, &mut self.leaving);
        self.driver
            .tick(now, &mut |port, packet| leaving.take(ports, joining, port, packet));
        leaving.send(ports, joining);
        self.flush();
    }

    fn called(&mut self) {
        // How often counts for nothing; what is left from here on calls once more.
        let _ = rustix::io::read(&self.call, &mut [0; 8]);
        let now = self.clock.now();
        let (ports, joining, leaving) = (&mut self.ports, &mut self.joining, &mut self.leaving);
        self.driver
            .called(now, &mut |port, packet| leaving.take(ports, joining, port, packet));
        leaving.send(ports, joining);
        self.flush();
    }

    fn register(&self) -> io::Result<()> {
        let add = |fd: std::os::fd::BorrowedFd<'_>, token: Token| {
            epoll::add(&self.epoll, fd, EventData::new_u64(token.into()), EventFlags::IN)
        };
        add(self.stop.as_fd(), Token::Stop)?;
        add(self.ticks.as_fd(), Token::Tick)?;
        add(self.call.as_fd(), Token::Call)?;
        if let Some(signals) = &self.signals {
            add(signals.as_fd(), Token::Signal)?;
        }
        for (port, device) in self
            .ports
            .iter()
            .enumerate()
            .flat_map(|(index, port)| (0..port.devices.len()).map(move |device| (index, device)))
            .filter(|(port, device)| !self.ports[*port].devices[*device].is_only_written())
        {
            add(
                self.ports[port].devices[device].as_fd(),
                Token::Device(port as u16, device as u16),
            )?;
        }
        Ok(())
    }

    /// A device has packets. The first is carried and sent before the next is read, so that one which comes alone waits for nothing; then two are read,
    /// carried and sent, then four and so on, as long as there are so many: what a packet needs of the processor's caches is there for the next
    /// one, where reading, carrying and sending in turn drive each other out.
    fn receive(&mut self, port: u16, device: u16) {
        // One reading of the clock for a batch: its packets were waiting together.
        let now = self.clock.now();
        let (mut left, mut together) = (BATCH, 1);
        let pace = self.pace[usize::from(port)][usize::from(device)];
        if pace.is_flooded {
            together = TOGETHER;
        }
        let mut is_last = false;
        while left > 0 && !is_last {
            let read = self.read(port, device, together.min(left));
            if read.packets > 0 {
                let (ports, joining, leaving) = (&mut self.ports, &mut self.joining, &mut self.leaving);
                let packets = &mut self.arrived[..read.packets];
                self.driver
                    .packets(now, PortIndex(port), packets, &mut |port, packet: Carried<'_>| {
                        leaving.take(ports, joining, port, packet);
                    });
                leaving.send(ports, joining);
            }
            left = left.saturating_sub(read.tries);
            together = TOGETHER.min(together * 2);
            is_last = read.is_last || left == BATCH - 1 && pace.expects_no_more();
        }
        self.pace[usize::from(port)][usize::from(device)] = pace.after(BATCH - left, is_last);
    }

    /// Reads up to so many packets that the router is to have, and no more once there are many bytes of them: those are to be in the cache still when they
    /// are sent.
    fn read(&mut self, port: u16, device: u16, most: usize) -> Read {
        let (port, host) = (&mut self.ports[usize::from(port)], usize::from(device));
        let mut read = Read::default();
        let mut bytes = 0;
        while read.tries < most && bytes < MANY_BYTES {
            read.tries += 1;
            if self.arrived.len() == read.packets {
                self.arrived.push(Arrived::default());
            }
            let (buffer, offload) = &mut self.arrived[read.packets];
            *offload = match port.devices[host].receive_with(buffer) {
                Ok(Received::Packet(offload)) => offload,
                Ok(Received::Refused(_)) => {
                    port.counters.refused.add_one();
                    continue;
                }
                Ok(Received::Nothing) => {
                    read.is_last = true;
                    break;
                }
                Err(error) => {
                    // EIO is a link that is down. Anything else (its namespace is being taken down) would wake us for ever.
                    if error.raw_os_error() != Some(libc::EIO) {
                        let _ = epoll::delete(&self.epoll, port.devices[host].as_fd());
                    }
                    read.is_last = true;
                    break;
                }
            };
            let delivery = match &port.segment {
                Some(segment) => segment.deliver_from_host(host, buffer),
                None => Delivery::Router,
            };
            match delivery {
                Delivery::Host(other) => {
                    port.counters.relayed.add_one();
                    port.send_to(other, buffer, *offload);
                    continue;
                }
                Delivery::Everyone => {
                    for other in (0..port.devices.len()).filter(|other| *other != host) {
                        port.send_to(other, buffer, *offload);
                    }
                }
                Delivery::Router => {}
                Delivery::Nobody => {
                    port.counters.unresolved.add_one();
                    continue;
                }
            }
            port.counters.received.add_one();
            bytes += buffer.len();
            read.packets += 1;
        }
        read
    }

    /// Sends what waited for the end of a batch.
    fn flush(&mut self) {
        for (port, joining) in self.ports.iter_mut().zip(&mut self.joining) {
            for (device, joining) in port.devices.iter_mut().zip(joining) {
                joining.flush(&mut **device, &mut |count| port.counters.lost.add(count));
            }
        }
    }

    fn signal(&self) -> Option<i32> {
        let mut record = [0; SIGNALFD_RECORD];
        let read = rustix::io::read(self.signals.as_ref()?, &mut record).ok()?;
        // The first field of the record is the signal's number.
        (read == SIGNALFD_RECORD).then(|| i32::from_ne_bytes([record[0], record[1], record[2], record[3]]))
    }
}

impl Port {
    pub(super) fn send_to(&mut self, device: usize, bytes: &[u8], offload: Offload) {
        let sent = self
            .devices
            .get_mut(device)
            .map(|device| device.send_with(bytes, offload));
        if !matches!(sent, Some(Ok(()))) {
            self.counters.lost.add_one();
        }
    }
}

/// Ticks from now on, the first of which is due at once, by a timer. A wait that has an end of its own has it taken back each time that a packet comes first, and where
/// the processor sleeps meanwhile that costs as much as the packet.
fn begin_ticks(timer: &OwnedFd, every: Duration) -> io::Result<()> {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 1 };
    let times = Itimerspec {
        it_interval: Timespec::try_from(every).map_err(io::Error::other)?,
        it_value: at_once,
    };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &times)?;
    Ok(())
}

/// How packets come from a device.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// It had more than a batch when it was last looked at.
    is_flooded: bool,
    /// How many times in a row one packet had come, and no other.
    alone: u32,
}

impl Pace {
    /// Whether one packet will have been all: then whether another has come is left to the next wait to say, which is there anyway. Now and then it is
    /// looked whether that is still so.
    fn expects_no_more(self) -> bool {
        const OFTEN: u32 = 8;
        const LOOK: u32 = 16;
        self.alone >= OFTEN && !self.alone.is_multiple_of(LOOK)
    }

    /// After so many reads, of which the last found nothing or was not needed.
    fn after(self, tries: usize, is_last: bool) -> Self {
        let is_alone = is_last && tries <= 2;
        Self {
            is_flooded: !is_last,
            alone: if is_alone { self.alone.wrapping_add(1) } else { 0 },
        }
    }
}

/// What came of reading from a device.
#[derive(Default)]
struct Read {
    tries: usize,
    /// For the router.
    packets: usize,
    /// It has no more.
    is_last: bool,
}

/// What an event is about, packed into the word that epoll keeps for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Tick,
    Stop,
    Signal,
    Call,
    Device(u16, u16),
}

impl From<Token> for u64 {
    fn from(token: Token) -> Self {
        match token {
            Token::Stop => 0,
            Token::Signal => 1,
            Token::Tick => 3,
            Token::Call => 4,
            Token::Device(port, device) => 2 | u64::from(port) << 3 | u64::from(device) << 19,
        }
    }
}

impl From<u64> for Token {
    fn from(word: u64) -> Self {
        match word & 7 {
            0 => Self::Stop,
            1 => Self::Signal,
            3 => Self::Tick,
            4 => Self::Call,
            _ => Self::Device((word >> 3) as u16, (word >> 19) as u16),
        }
    }
}

/// Runs the loops of one lab, the first in this thread and the others in threads of their own, until the first has ended or any has failed; then the
/// others are stopped. `begun` is called once every thread has begun, and never where one cannot: a lab of which some queues are read by nobody is not up.
pub fn run_all<D: Driver + Send>(loops: &mut [EventLoop<D>], begun: impl FnOnce()) -> io::Result<Stopped> {
    let Some((first, others)) = loops.split_first_mut() else {
        return Ok(Stopped::Asked);
    };
    let (stopper, all) = (first.stopper(), others.len() + 1);
    let stops_others = Stops(others.iter().map(EventLoop::stopper).collect());
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (at, other) in others.iter_mut().enumerate() {
            let stops_all = Stops(vec![stopper.clone()]);
            let name = format!("nflab-worker-{}", at + 1);
            let spawned = std::thread::Builder::new().name(name).spawn_scoped(scope, move || {
                let _stops_all = stops_all;
                other.run()
            });
            match spawned {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    let which = at + 2;
                    let message = format!("no thread for worker {which} of {all} (`--workers` says how many): {error}");
                    return Err(io::Error::new(error.kind(), message));
                }
            }
        }
        begun();
        let stopped = first.run();
        drop(stops_others);
        let mut failed = None;
        for thread in threads {
            match thread.join() {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => failed = Some(error),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        failed.map_or(stopped, Err)
    })
}

/// However a worker ends, the lab ends with it: a queue that nobody reads is a lab that loses packets. Those whose loops stop then; the first stops the
/// others.
struct Stops(Vec<Stopper>);

impl Drop for Stops {
    fn drop(&mut self) {
        self.0.iter().for_each(Stopper::stop);
    }
}

/// How often time is let do its work.
const TICK: Duration = Duration::from_millis(100);
/// Packets taken from a device before the others get their turn.
const BATCH: usize = 64;
/// Packets that are carried before the first of them is sent.
const TOGETHER: usize = 32;
const MANY_BYTES: usize = 16 << 10;
/// `struct signalfd_siginfo` has this size in every kernel; see signalfd(2).
const SIGNALFD_RECORD: usize = 128;

#[cfg(test)]
mod tests;
