//! How long packets wait while rules are replaced beside them: end to end through the event loop, on devices that are sockets.
//!
//! `cargo bench --bench packet_delay` sends a packet every half millisecond and, meanwhile, has the control socket restore 100,000 rules, list
//! them, and restore again. It prints the longest delay of each round and their medians; the aim is that no packet waits more than 5 ms.
//! Behind that stands how long commands take, from the request to the answer: restores, listings, and single rules beside many.

#[cfg(target_os = "linux")]
use nflab::{base::InterfaceName, device::Device, live::event_loop::Port};

/// What the tests of the event loop have for a device.
#[cfg(target_os = "linux")]
#[path = "../src/live/event_loop/tests/socket_device.rs"]
mod socket_device;

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::Write;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use etherparse::PacketBuilder;

    use nflab::TOOLBOX;
    use nflab::lab::memory::Lab;
    use nflab::lab::request::Request;
    use nflab::live::clock::Clock;
    use nflab::live::control::Client;
    use nflab::live::drive::DrivenLab;
    use nflab::live::event_loop::EventLoop;
    use nflab::live::server::{Admitted, Bounds, Server};

    use super::socket_device::port;

    const RULES: usize = 100_000;
    const ROUNDS: usize = 5;
    const CALLS: usize = 11;
    const EVERY: Duration = Duration::from_micros(500);

    pub(crate) fn main() {
        // `cargo test --benches` only wants to know that it runs.
        let (rules, rounds) = match std::env::args().any(|arg| arg == "--test") {
            true => (1000, 1),
            false => (RULES, ROUNDS),
        };
        let file = Lab::default_file().unwrap();
        let lab = Lab::new(&file, 1, TOOLBOX).unwrap();
        let ((lan, near), (wan, far)) = (port(), port());
        let clock = Clock::new();
        let driver = DrivenLab::new(lab, &file, clock.now());
        let socket = std::env::temp_dir().join(format!("nflab-packet-delay-{}", std::process::id()));
        let listener = UnixListener::bind(&socket).unwrap();
        let server = Server::start(listener, Admitted::Owner, Bounds::default(), driver.commands(clock)).unwrap();
        let mut event_loop = EventLoop::new(driver, vec![lan, wan], clock, None).unwrap();
        let stopper = event_loop.stopper();
        let router = std::thread::spawn(move || event_loop.run().unwrap());

        let text = ruleset(rules);
        println!(
            "{rules} rules, a packet every {} µs; longest delay in ms:",
            EVERY.as_micros()
        );
        println!("{:>10} {:>10} {:>10} {:>10}", "idle", "restore", "save", "list");
        let mut rows: Vec<[f64; 4]> = Vec::new();
        for _ in 0..rounds {
            let idle = measure(&near, &far, || std::thread::sleep(Duration::from_millis(500)));
            let restore = measure(&near, &far, || call(&socket, "iptables-restore", &[], &text));
            let save = measure(&near, &far, || call(&socket, "iptables-save", &["-c"], ""));
            let list = measure(&near, &far, || call(&socket, "iptables", &["-L", "-n", "-v"], ""));
            let row = [idle, restore, save, list];
            println!("{}", row.map(|delay| format!("{delay:>10.3}")).join(" "));
            rows.push(row);
        }
        let median = |column: usize| {
            let mut all: Vec<f64> = rows.iter().map(|row| row[column]).collect();
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        };
        println!(
            "{}   median",
            [0, 1, 2, 3].map(|column| format!("{:>10.3}", median(column))).join(" ")
        );
        for rules in [rules / 10, rules] {
            answers(&socket, rules);
        }
        stopper.stop();
        router.join().unwrap();
        drop(server);
        let _ = std::fs::remove_file(&socket);
    }

    /// How long commands take beside so many rules; packets rest meanwhile.
    fn answers(socket: &Path, rules: usize) {
        let text = ruleset(rules);
        let middle = (rules / 2).to_string();
        let rule = ["-s", "192.0.2.1", "-j", "DROP"];
        let edit = |words: &[&'static str]| [words, &rule].concat();
        type Case<'a> = (&'a str, &'a str, Vec<&'a str>);
        let cases: [Case<'_>; 7] = [
            ("iptables-restore", "iptables-restore", vec![]),
            ("iptables-save", "iptables-save", vec![]),
            ("-I", "iptables", edit(&["-I", "many"])),
            ("-A", "iptables", edit(&["-A", "many"])),
            (
                "-I in the middle",
                "iptables",
                [&["-I", "many", &middle], &rule[..]].concat(),
            ),
            ("-D 1", "iptables", vec!["-D", "many", "1"]),
            ("-D", "iptables", edit(&["-D", "many"])),
        ];
        println!("{rules} rules, from the request to the answer in ms: the shortest and the median of {CALLS}");
        for (name, tool, words) in cases {
            let mut times: Vec<f64> = (0..CALLS)
                .map(|_| {
                    let began = Instant::now();
                    call(
                        socket,
                        tool,
                        &words,
                        if tool == "iptables-restore" { &text } else { "" },
                    );
                    began.elapsed().as_secs_f64() * 1e3
                })
                .collect();
            times.sort_by(f64::total_cmp);
            println!("{name:>20} {:>10.3} {:>10.3}", times[0], times[CALLS / 2]);
        }
    }

    /// The longest delay of a packet while something is done, in milliseconds.
    fn measure(near: &OwnedFd, far: &OwnedFd, work: impl FnOnce() + Send) -> f64 {
        let done = Arc::new(AtomicBool::new(false));
        std::thread::scope(|scope| {
            let finished = Arc::clone(&done);
            scope.spawn(move || {
                work();
                finished.store(true, Ordering::Release);
            });
            let mut longest = Duration::ZERO;
            let mut buffer = [0; 2048];
            let mut number = 0u64;
            while !done.load(Ordering::Acquire) {
                let sent = Instant::now();
                rustix::io::write(near, &packet(number)).unwrap();
                loop {
                    match rustix::io::read(far, &mut buffer) {
                        Ok(length) if buffer[length - 8..length] == number.to_be_bytes() => break,
                        Ok(_) => {}
                        Err(rustix::io::Errno::AGAIN) => {
                            let waited = rustix::event::PollFd::new(far, rustix::event::PollFlags::IN);
                            rustix::event::poll(&mut [waited], None).unwrap();
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                longest = longest.max(sent.elapsed());
                number += 1;
                std::thread::sleep(EVERY.saturating_sub(sent.elapsed()));
            }
            longest.as_secs_f64() * 1e3
        })
    }

    fn packet(number: u64) -> Vec<u8> {
        let builder = PacketBuilder::ipv4([10, 0, 0, 2], [192, 0, 2, 9], 64).udp(40_000, 9);
        let payload = number.to_be_bytes();
        let mut bytes = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut bytes, &payload).unwrap();
        bytes
    }

    fn ruleset(rules: usize) -> String {
        let mut text =
            "*filter\n:FORWARD ACCEPT [0:0]\n:many - [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n"
                .to_owned();
        for number in 0..rules {
            let (a, b) = (number >> 8 & 255, number & 255);
            let _ = writeln!(
                text,
                "-A many -s 172.{}.{a}.{b}/32 -p tcp -m tcp --dport {} -j ACCEPT",
                16 + (number >> 16),
                1 + number % 60_000
            );
        }
        text + "COMMIT\n"
    }

    fn call(socket: &Path, tool: &str, args: &[&str], stdin: &str) {
        let request = Request {
            tool: tool.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            stdin: stdin.to_owned(),
            ..Request::default()
        };
        let answer = Client::connect(socket).unwrap().call(&request).unwrap();
        assert_eq!(answer.code, 0, "{}", answer.stderr);
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
}
