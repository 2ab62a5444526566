//! Packets between devices, hosts and the engine, on real descriptors.

use std::io::{BufRead, BufReader};
use std::os::fd::BorrowedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::*;

/// A device over a datagram socket pair, which epoll can wait for as for a TUN.
struct SocketDevice(OwnedFd);

impl Device for SocketDevice {
    fn name(&self) -> InterfaceName {
        InterfaceName::default()
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::io::read(&self.0, buffer) {
            Ok(length) => Ok(Some(length)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.0, packet)?;
        Ok(())
    }
}

impl AsFd for SocketDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends each packet out of the other port, and counts.
#[derive(Default)]
struct Relay {
    packets: u64,
    ticks: u64,
}

impl Driver for Relay {
    fn packet(&mut self, _: Time, port: PortIndex, bytes: &[u8], out: &mut dyn FnMut(PortIndex, &[u8])) {
        self.packets += 1;
        out(PortIndex(1 - port.0), bytes);
    }

    fn tick(&mut self, _: Time, _: &mut dyn FnMut(PortIndex, &[u8])) {
        self.ticks += 1;
    }

    fn command(&mut self, _: Time, request: Request, _: &mut dyn FnMut(PortIndex, &[u8])) -> Response {
        Response {
            stdout: format!("{} {} {}\n", request.tool, self.packets, request.stdin.len()),
            ..Response::default()
        }
    }
}

fn port() -> (Port, OwnedFd) {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (inside, outside) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    let port = Port {
        name: InterfaceName::default(),
        devices: vec![Box::new(SocketDevice(inside))],
        segment: None,
        counters: PortCounters::default(),
    };
    (port, outside)
}

#[test]
fn packets_requests_and_ticks() {
    let ((one, far_one), (two, far_two)) = (port(), port());
    let path = std::env::temp_dir().join(format!("nflab-device-loop-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let mut event_loop = EventLoop::new(Relay::default(), vec![one, two], Some(listener), None).unwrap();
    event_loop.tick_every = Duration::from_millis(5);
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

    let mut client = UnixStream::connect(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut ask = |text: &str| {
        client.write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line
    };
    assert_eq!(
        ask("{\"tool\":\"x\"}\n"),
        "{\"stdout\":\"x 100 0\\n\",\"stderr\":\"\",\"code\":0}\n"
    );
    assert!(ask("nonsense\n").contains("this is not a request"));
    // Larger than any socket buffer, both in pieces and answered whole.
    let stdin = "a".repeat(3 << 20);
    assert!(ask(&format!("{{\"tool\":\"y\",\"stdin\":\"{stdin}\"}}\n")).contains(&format!("y 100 {}", 3 << 20)));

    stopper.stop();
    let (stopped, event_loop) = thread.join().unwrap();
    assert_eq!(stopped, Stopped::Asked);
    assert!(event_loop.driver.ticks > 0);
    assert_eq!(event_loop.ports[0].counters.received, 100);
    assert_eq!(event_loop.ports[1].counters.sent, 100);
}

/// Owes every connection more than it could ever read.
#[derive(Default)]
struct Chatterbox {
    relay: Relay,
    following: Vec<u64>,
    forgotten: usize,
}

impl Driver for Chatterbox {
    fn packet(&mut self, now: Time, port: PortIndex, bytes: &[u8], out: &mut dyn FnMut(PortIndex, &[u8])) {
        self.relay.packet(now, port, bytes, out);
    }

    fn tick(&mut self, _: Time, _: &mut dyn FnMut(PortIndex, &[u8])) {}

    fn command(&mut self, now: Time, request: Request, out: &mut dyn FnMut(PortIndex, &[u8])) -> Response {
        self.relay.command(now, request, out)
    }

    fn follow(&mut self, connection: u64, request: &Request) -> Option<Response> {
        (request.tool == "trace").then(|| {
            self.following.push(connection);
            Response::default()
        })
    }

    fn has_followers(&self) -> bool {
        !self.following.is_empty()
    }

    fn owed(&mut self, connection: u64) -> Option<Response> {
        self.following.contains(&connection).then(|| Response {
            stdout: "story ".repeat(10_000),
            ..Response::default()
        })
    }

    fn forget(&mut self, connection: u64) {
        self.following.retain(|it| *it != connection);
        self.forgotten += 1;
    }
}

#[test]
fn a_reader_that_does_not_read_holds_up_nobody() {
    let ((one, far_one), (two, far_two)) = (port(), port());
    let path = std::env::temp_dir().join(format!("nflab-follow-loop-{}", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let mut event_loop = EventLoop::new(Chatterbox::default(), vec![one, two], Some(listener), None).unwrap();
    let stopper = event_loop.stopper();
    let thread = std::thread::spawn(move || {
        event_loop.run().unwrap();
        event_loop
    });
    let mut sleeper = UnixStream::connect(&path).unwrap();
    sleeper.write_all(b"{\"tool\":\"trace\"}\n").unwrap();
    let mut reader = BufReader::new(UnixStream::connect(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    reader.get_mut().write_all(b"{\"tool\":\"trace\"}\n").unwrap();
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert_eq!(
        line, "{\"stdout\":\"\",\"stderr\":\"\",\"code\":0}\n",
        "at once, that it follows"
    );
    for _ in 0..50 {
        line.clear();
        reader.read_line(&mut line).unwrap();
        assert!(
            line.starts_with("{\"stdout\":\"story "),
            "whole answers, one after the other"
        );
    }
    // Neither the one who never reads nor the one who has stopped is in the way of packets.
    let mut buffer = [0; 64];
    for number in 0..100u8 {
        rustix::io::write(&far_one, &[number; 20]).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match rustix::io::read(&far_two, &mut buffer) {
                Ok(length) => break assert_eq!(buffer[..length], [number; 20]),
                Err(_) => std::thread::sleep(Duration::from_micros(100)),
            }
            assert!(Instant::now() < deadline, "packet {number} is held up");
        }
    }
    drop((sleeper, reader));
    std::thread::sleep(Duration::from_millis(50));
    rustix::io::write(&far_one, &[0; 20]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while rustix::io::read(&far_two, &mut buffer).is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(1));
    }
    stopper.stop();
    let event_loop = thread.join().unwrap();
    assert_eq!(event_loop.driver.following, [0u64; 0], "who is gone is forgotten");
    assert_eq!(event_loop.driver.forgotten, 2);
}

#[test]
fn tokens_survive_the_way_through_epoll() {
    for token in [
        Token::Stop,
        Token::Signal,
        Token::Listener,
        Token::Connection(0),
        Token::Connection(1 << 40),
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
