//! Packets between devices, hosts and the engine, on real descriptors.

mod socket_device;

use socket_device::port;

use std::time::Instant;

use super::*;

/// Sends each packet out of the other port, and counts.
#[derive(Default)]
struct Relay {
    packets: u64,
    ticks: u64,
    /// How many came together.
    together: Vec<usize>,
}

impl Driver for Relay {
    fn packets(&mut self, now: Time, port: PortIndex, packets: &mut [Arrived], out: &mut Out<'_>) {
        self.together.push(packets.len());
        for (bytes, offload) in packets {
            let offload = *offload;
            self.packet(now, port, Carried { bytes, offload }, out);
        }
    }

    fn packet(&mut self, _: Time, port: PortIndex, packet: Carried<'_>, out: &mut Out<'_>) {
        self.packets += 1;
        out(PortIndex(1 - port.0), packet);
    }

    fn tick(&mut self, _: Time, _: &mut Out<'_>) {
        self.ticks += 1;
    }
}

/// A worker that breaks down at its first tick, if it is meant to.
struct Breaks(bool);

impl Driver for Breaks {
    fn packet(&mut self, _: Time, _: PortIndex, _: Carried<'_>, _: &mut Out<'_>) {}

    fn tick(&mut self, _: Time, _: &mut Out<'_>) {
        assert!(!self.0, "it breaks down");
    }
}

/// Each of three, the first among them: else the others would carry packets for ever, and no clock would tick.
#[test]
fn a_lab_ends_with_each_of_its_workers() {
    for which in 0..3 {
        let (told, tells) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut loops: Vec<_> = (0..3)
                .map(|at| EventLoop::new(Breaks(at == which), Vec::new(), Clock::new(), None).unwrap())
                .collect();
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run_all(&mut loops, || ())));
            told.send(ended.is_err()).unwrap();
        });
        assert_eq!(tells.recv_timeout(Duration::from_secs(10)), Ok(true), "worker {which}");
    }
}

#[test]
fn packets_and_ticks() {
    let ((one, far_one), (two, far_two)) = (port(), port());
    let mut event_loop = EventLoop::new(Relay::default(), vec![one, two], Clock::new(), None).unwrap();
    event_loop.tick_every = Some(Duration::from_millis(5));
    let stopper = event_loop.stopper();
    let thread = std::thread::spawn(move || {
        let stopped = event_loop.run().unwrap();
        (stopped, event_loop)
    });

    for number in 0..100u8 {
        rustix::io::write(&far_one, &[number; 20]).unwrap();
    }
    let mut received = 0u8;
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut buffer = [0; 64];
    while received < 100 && Instant::now() < deadline {
        match rustix::io::read(&far_two, &mut buffer) {
            Ok(length) => {
                assert_eq!(buffer[..length], [received; 20], "in order");
                received += 1;
            }
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    assert_eq!(received, 100);

    stopper.stop();
    let (stopped, event_loop) = thread.join().unwrap();
    assert_eq!(stopped, Stopped::Asked);
    assert!(event_loop.driver.ticks > 0);
    assert_eq!(event_loop.ports[0].counters.received.get(), 100);
    assert_eq!(event_loop.ports[1].counters.sent.get(), 100);
}

/// Of packets that wait the first goes on at once, and then more and more together; one that comes alone waits for nothing.
#[test]
fn packets_that_wait_are_carried_together_and_in_order() {
    let ((one, far_one), (two, far_two)) = (port(), port());
    let mut event_loop = EventLoop::new(Relay::default(), vec![one, two], Clock::new(), None).unwrap();
    for number in 0..100u8 {
        rustix::io::write(&far_one, &[number; 20]).unwrap();
    }
    let stopper = event_loop.stopper();
    let thread = std::thread::spawn(move || {
        event_loop.run().unwrap();
        event_loop
    });
    let read = |expected: u8| {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut buffer = [0; 64];
        loop {
            match rustix::io::read(&far_two, &mut buffer) {
                Ok(length) => return assert_eq!(buffer[..length], [expected; 20], "in order"),
                Err(_) => assert!(Instant::now() < deadline, "packet {expected} has not come"),
            }
            std::thread::yield_now();
        }
    };
    (0..100).for_each(read);
    for number in 100..180u8 {
        rustix::io::write(&far_one, &[number; 20]).unwrap();
        read(number);
    }
    stopper.stop();
    let together = thread.join().unwrap().driver.together;
    let (first, alone) = together.split_at(9);
    assert_eq!(first, [1, 2, 4, 8, 16, 32, 1, 32, 4]);
    assert_eq!(alone, [1; 80]);
}

#[test]
fn tokens_survive_the_way_through_epoll() {
    for token in [
        Token::Stop,
        Token::Tick,
        Token::Signal,
        Token::Device(0, 0),
        Token::Device(u16::MAX, 3),
        Token::Device(1, u16::MAX),
    ] {
        assert_eq!(Token::from(u64::from(token)), token);
    }
}

#[test]
fn the_clock_goes_forward_from_now() {
    let clock = Clock::new();
    let (first, second) = (clock.now(), clock.now());
    assert!(first <= second && first.as_secs() > 1_700_000_000);
}

#[test]
fn a_lab_is_up_once_every_worker_has_a_thread() {
    let lone = || EventLoop::new(Relay::default(), Vec::new(), Clock::new(), None).unwrap();
    let mut loops = [lone(), lone(), lone()];
    let stopper = loops[0].stopper();
    let mut told = 0;
    let stopped = run_all(&mut loops, || {
        told += 1;
        stopper.stop();
    });
    assert_eq!((stopped.unwrap(), told), (Stopped::Asked, 1));
}
