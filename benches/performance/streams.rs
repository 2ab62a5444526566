//! Real packets between two hosts: through a live lab that tracks and masquerades, and through a relay that looks at nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::time::{Duration, Instant};

use crate::networks::{Hosts, SERVER, allowed};
use crate::report::{Bound, Line, nanoseconds as shown, rate};
use crate::rulesets::HOME;
use crate::sampling::{Samples, in_turn};

/// A lab, and the relay without and with offload, or what is missing of them.
fn between() -> Result<(Hosts, Hosts, Hosts), String> {
    allowed()?;
    // As many threads as carry a lab's packets.
    let plain = Hosts::of_relay("nflabr", 1, false)?;
    let offload = Hosts::of_relay("nflabo", 1, true)?;
    Ok((Hosts::of_lab("nflab-table-home", HOME), plain, offload))
}

pub(crate) fn stream() -> Vec<Line> {
    let work = "one TCP stream, tracked and masqueraded, through TUN";
    let (lab, plain, offload) = match between() {
        Ok(three) => three,
        Err(why) => return vec![Line::missing(work, &why)],
    };
    let samples = in_turn(
        ROUNDS,
        &mut [&mut || gigabits(&lab), &mut || gigabits(&plain), &mut || {
            gigabits(&offload)
        }],
    );
    vec![Line::ratio(
        work,
        rate(&samples[0], "Gbit/s"),
        format!(
            "relay with offload {}, without {}",
            rate(&samples[2], "Gbit/s"),
            rate(&samples[1], "Gbit/s")
        ),
        samples[0].most() / samples[2].most(),
        Some(Bound::AtLeast(0.9)),
    )]
}

pub(crate) fn latency() -> Vec<Line> {
    let works = ["p50", "p99"].map(|it| format!("request and response over TCP, {it}"));
    let (lab, plain, offload) = match between() {
        Ok(three) => three,
        Err(why) => return works.iter().map(|work| Line::missing(work, &why)).collect(),
    };
    let mut taken: [[Vec<f64>; 2]; 3] = Default::default();
    for _ in 0..ROUNDS {
        for (hosts, taken) in [&lab, &plain, &offload].into_iter().zip(&mut taken) {
            let (half, most) = round_trips(hosts);
            taken[0].push(half);
            taken[1].push(most);
        }
    }
    let samples = taken.map(|it| it.map(Samples::of));
    works
        .iter()
        .enumerate()
        .map(|(at, work)| {
            let [lab, plain, offload] = [0, 1, 2].map(|hosts: usize| samples[hosts][at].least());
            Line::ratio(
                work,
                shown(lab),
                format!("relay {}, with offload {}", shown(plain), shown(offload)),
                lab / plain.min(offload),
                Some(Bound::AtMost(1.2)),
            )
        })
        .collect()
}

pub(crate) fn small() -> Vec<Line> {
    let work = "datagrams of 64 bytes, masqueraded, delivered";
    let (lab, plain, offload) = match between() {
        Ok(three) => three,
        Err(why) => return vec![Line::missing(work, &why)],
    };
    let samples = in_turn(
        ROUNDS,
        &mut [&mut || delivered(&lab), &mut || delivered(&plain), &mut || {
            delivered(&offload)
        }],
    );
    vec![Line::ratio(
        work,
        rate(&samples[0], "k/s"),
        format!(
            "relay {}, with offload {}",
            rate(&samples[1], "k/s"),
            rate(&samples[2], "k/s")
        ),
        samples[0].most() / samples[1].most(),
        Some(Bound::AtLeast(0.95)),
    )]
}

/// What the receiver gets of a stream of a second.
fn gigabits(hosts: &Hosts) -> f64 {
    let port = next_port();
    let listener = hosts
        .server
        .run(|| TcpListener::bind((SERVER, port)))
        .expect("a thread")
        .expect("a port");
    std::thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut buffer = vec![0; CHUNK];
            let (mut bytes, start) = (0u64, Instant::now());
            while let Ok(length @ 1..) = stream.read(&mut buffer) {
                bytes += length as u64;
            }
            bytes as f64 * 8.0 / start.elapsed().as_nanos() as f64
        });
        let mut stream = connect(hosts, port);
        let buffer = vec![0; CHUNK];
        let start = Instant::now();
        while start.elapsed() < LASTS {
            stream.write_all(&buffer).expect("the receiver reads on");
        }
        drop(stream);
        receiving.join().expect("a thread")
    })
}

/// Nanoseconds there and back, half of them and all but one in a hundred.
fn round_trips(hosts: &Hosts) -> (f64, f64) {
    let port = next_port();
    let listener = hosts
        .server
        .run(|| TcpListener::bind((SERVER, port)))
        .expect("a thread")
        .expect("a port");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            stream.set_nodelay(true).expect("a socket");
            let mut buffer = [0; 64];
            while stream.read_exact(&mut buffer).is_ok() {
                let _ = stream.write_all(&buffer);
            }
        });
        let mut stream = connect(hosts, port);
        stream.set_nodelay(true).expect("a socket");
        let mut buffer = [7; 64];
        let mut times = Vec::new();
        let start = Instant::now();
        while start.elapsed() < LASTS {
            let asked = Instant::now();
            stream.write_all(&buffer).expect("a connection");
            stream.read_exact(&mut buffer).expect("an answer");
            times.push(asked.elapsed().as_nanos() as f64);
        }
        times.sort_by(f64::total_cmp);
        (times[times.len() / 2], times[times.len() * 99 / 100])
    })
}

/// Thousands a second that arrive, of as many as can be sent.
fn delivered(hosts: &Hosts) -> f64 {
    let port = next_port();
    let bind = |host: &nflab::live::namespace::Namespace, port| {
        host.run(|| UdpSocket::bind(("0.0.0.0", port)))
            .expect("a thread")
            .expect("a port")
    };
    let (receiver, sender) = (bind(&hosts.server, port), bind(&hosts.client, port));
    receiver
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a socket");
    sender.connect((SERVER, port)).expect("a route");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            let mut buffer = [0; 128];
            let (mut count, mut first, mut last) = (0u64, None, Instant::now());
            loop {
                match receiver.recv(&mut buffer) {
                    Ok(_) => {
                        count += 1;
                        first.get_or_insert_with(Instant::now);
                        // Looking at the clock costs as much as a packet.
                        if count % 64 == 0 {
                            last = Instant::now();
                        }
                    }
                    Err(_) if done.load(Ordering::Acquire) => break,
                    Err(_) => {}
                }
            }
            let first = first.unwrap_or(last);
            count as f64 / last.saturating_duration_since(first).as_secs_f64() / 1e3
        });
        let datagram = [0; 64];
        let start = Instant::now();
        while start.elapsed() < LASTS {
            for _ in 0..64 {
                // A full queue loses it, as on a wire.
                let _ = sender.send(&datagram);
            }
        }
        done.store(true, Ordering::Release);
        receiving.join().expect("a thread")
    })
}

fn connect(hosts: &Hosts, port: u16) -> TcpStream {
    hosts
        .client
        .run(|| TcpStream::connect((SERVER, port)))
        .expect("a thread")
        .expect("a listener")
}

/// One that nobody had: what is left of an earlier connection is in nobody's way.
fn next_port() -> u16 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

static NEXT: AtomicU16 = AtomicU16::new(10_000);
const ROUNDS: usize = 5;
const LASTS: Duration = Duration::from_secs(1);
const CHUNK: usize = 256 << 10;
