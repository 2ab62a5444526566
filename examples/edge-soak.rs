//! A live lab under everything at once: `cargo run --release --example edge-soak -- [--minutes 10]`, as root on Linux.
//!
//! Three hosts; 16 long TCP connections whose every byte is checked, thousands of short ones, pings; the rules replaced ten times a second; and
//! 500 clients of the control socket that mean no good: half requests, newlines, answers not taken, requests without end, places taken for
//! nothing. At the end it says what was lost, how memory and descriptors went, and how pings compare with those before the load.
//!
//! It runs in network and mount namespaces of its own, and ends by itself. Needs the binary beside it (`cargo build --release`).

#[cfg(target_os = "linux")]
mod soak {
    use std::io::{self, BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use nflab::lab::request::Request;
    use nflab::live::control::Client;

    const LAB: &str = r#"[interface.lan]
address = ["10.0.0.1/24"]
[interface.dmz]
address = ["10.0.1.1/24"]
[interface.wan]
address = ["192.0.2.1/24"]
[host.client]
interface = "lan"
address = "10.0.0.2/24"
[host.other]
interface = "dmz"
address = "10.0.1.2/24"
[host.server]
interface = "wan"
address = "192.0.2.9/24"
"#;
    const LONG: u16 = 7000;
    const SHORT: u16 = 7001;
    const SERVER: &str = "192.0.2.9";
    const PROCESSES: usize = 25;
    const CLIENTS_OF_EACH: usize = 20;
    const SOCKET: &str = "/run/nflab/soak/control";

    pub(crate) fn main() {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        let result = match words[..] {
            [] => enter(10.0),
            ["--minutes", minutes] => enter(minutes.parse().expect("a number of minutes")),
            ["inside", minutes] => inside(minutes.parse().expect("a number of minutes")),
            ["serve"] => serve(),
            ["long", seconds] => long(seconds.parse().expect("seconds")),
            ["short", seconds] => short(seconds.parse().expect("seconds")),
            ["hostile", seconds, seed] => hostile(seconds.parse().expect("seconds"), seed.parse().expect("a seed")),
            _ => {
                eprintln!("usage: edge-soak [--minutes N]");
                std::process::exit(2);
            }
        };
        if let Err(error) = result {
            eprintln!("edge-soak: {error}");
            std::process::exit(1);
        }
    }

    /// Starts over in namespaces that nothing gets out of.
    fn enter(minutes: f64) -> io::Result<()> {
        let limit = (minutes * 60.0) as u64 + 120;
        let status = Command::new("timeout")
            .args([
                "-k",
                "5",
                &limit.to_string(),
                "unshare",
                "-n",
                "-m",
                "-p",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .arg(std::env::current_exe()?)
            .args(["inside", &minutes.to_string()])
            .status()?;
        std::process::exit(status.code().unwrap_or(1));
    }

    fn inside(minutes: f64) -> io::Result<()> {
        for command in [
            "mount -t tmpfs soak /run",
            "mount -t tmpfs soak /tmp",
            "ip link set lo up",
        ] {
            let words: Vec<&str> = command.split(' ').collect();
            assert!(
                Command::new(words[0]).args(&words[1..]).status()?.success(),
                "{command}"
            );
        }
        std::fs::create_dir_all("/run/nflab")?;
        std::fs::write("/tmp/soak.toml", LAB)?;
        let nflab = nflab()?;
        let mut lab = Ended(
            Command::new(&nflab)
                .args(["up", "/tmp/soak.toml"])
                .stdout(Stdio::piped())
                .spawn()?,
        );
        let mut line = String::new();
        BufReader::new(lab.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?).read_line(&mut line)?;
        print!("{line}");
        replace(0)?;
        let _server = Ended(role("server", &["serve"])?.spawn()?);
        std::thread::sleep(Duration::from_secs(1));
        let router = router_of(lab.0.id());

        let calm = (minutes * 60.0 * 0.1).max(10.0) as u64;
        println!("{calm} s without load");
        let before = pings(calm)?;
        println!("pings without load: {}", before.told());
        let seconds = (minutes * 60.0) as u64;
        println!("{seconds} s with {} hostile clients", PROCESSES * CLIENTS_OF_EACH);
        let stop = Arc::new(AtomicBool::new(false));
        let (replaced, refused) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let replacing = {
            let (stop, replaced, refused) = (Arc::clone(&stop), Arc::clone(&replaced), Arc::clone(&refused));
            std::thread::spawn(move || {
                let mut number = 1;
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    match replace(number) {
                        Ok(()) => replaced.fetch_add(1, Ordering::Relaxed),
                        Err(_) => refused.fetch_add(1, Ordering::Relaxed),
                    };
                    number += 1;
                    std::thread::sleep(Duration::from_millis(100).saturating_sub(began.elapsed()));
                }
            })
        };
        let text = seconds.to_string();
        let quiet = |mut command: Command| command.stdout(Stdio::piped()).spawn();
        let long = quiet(role("client", &["long", &text])?)?;
        let short = quiet(role("other", &["short", &text])?)?;
        let mut crowd = Vec::new();
        for seed in 0..PROCESSES {
            let mut command = Command::new(std::env::current_exe()?);
            command.args(["hostile", &text, &seed.to_string()]);
            crowd.push(Ended(command.spawn()?));
        }
        let watching = {
            let (stop, nflab) = (Arc::clone(&stop), nflab.clone());
            std::thread::spawn(move || watch(router, &nflab, &stop))
        };
        let during = pings(seconds.saturating_sub(2))?;
        let (long, short) = (long.wait_with_output()?, short.wait_with_output()?);
        stop.store(true, Ordering::Relaxed);
        let _ = replacing.join();
        let watched = watching.join().unwrap_or_default();
        println!("long connections: {}", String::from_utf8_lossy(&long.stdout).trim());
        println!("short connections: {}", String::from_utf8_lossy(&short.stdout).trim());
        println!("pings with load: {}", during.told());
        println!(
            "rules replaced {} times, not {} times; {watched}",
            replaced.load(Ordering::Relaxed),
            refused.load(Ordering::Relaxed)
        );
        let limit = before.median() + 20.0;
        println!(
            "pings within 20 ms of the median without load: {:.3} %",
            during.share_within(limit) * 100.0
        );
        drop(crowd);
        Command::new(&nflab).args(["down", "soak"]).status()?;
        lab.0.wait()?;
        Ok(())
    }

    /// The binary beside this example.
    fn nflab() -> io::Result<PathBuf> {
        let here = std::env::current_exe()?;
        let target = here.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
        Ok(target.join("nflab"))
    }

    /// This program in a host of the lab.
    fn role(host: &str, words: &[&str]) -> io::Result<Command> {
        let mut command = Command::new(nflab()?);
        command
            .args(["exec", host, "--"])
            .arg(std::env::current_exe()?)
            .args(words);
        Ok(command)
    }

    /// Ends with what holds it.
    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Other rules of the same meaning each time: connections go through whichever is in force.
    fn replace(number: usize) -> io::Result<()> {
        let mut rules =
            String::from("*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n");
        for rule in 0..200 + number % 50 {
            rules += &format!("-A FORWARD -s 172.16.{}.{}/32 -j DROP\n", number % 256, rule % 256);
        }
        rules += "-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n\
                  -A FORWARD -o wan -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n";
        let request = Request {
            tool: "iptables-restore".into(),
            stdin: rules,
            ..Request::default()
        };
        let mut client = Client::connect(Path::new(SOCKET))?;
        client.set_timeout(Some(Duration::from_secs(10)))?;
        let answer = client.call(&request)?;
        match answer.code {
            0 => Ok(()),
            _ => Err(io::Error::other(answer.stderr)),
        }
    }

    fn serve() -> io::Result<()> {
        let short = TcpListener::bind(("0.0.0.0", SHORT))?;
        std::thread::spawn(move || {
            for mut stream in short.incoming().flatten() {
                let _ = stream.write_all(&pattern(7, 1024));
            }
        });
        for mut stream in TcpListener::bind(("0.0.0.0", LONG))?.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 16 << 10];
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(())
    }

    fn pattern(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    /// 16 connections that carry checked bytes all the time.
    fn long(seconds: u64) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(seconds);
        let talk = |connection: u64| -> io::Result<u64> {
            let mut stream = TcpStream::connect((SERVER, LONG))?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            let mut round = 0;
            while Instant::now() < until {
                let sent = pattern(connection << 32 | round, 4096);
                stream.write_all(&sent)?;
                let mut back = vec![0; sent.len()];
                stream.read_exact(&mut back)?;
                if back != sent {
                    return Err(io::Error::other("what came back is not what was sent"));
                }
                round += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(round)
        };
        let results: Vec<io::Result<u64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|number| scope.spawn(move || talk(number))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        let lost: Vec<String> = results
            .iter()
            .filter_map(|it| it.as_ref().err())
            .map(ToString::to_string)
            .collect();
        let kilobytes: u64 = results.iter().flatten().sum::<u64>() * 4;
        println!("{} of 16 lost {lost:?}; {kilobytes} kB there and back", lost.len());
        Ok(())
    }

    fn short(seconds: u64) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(seconds);
        let expected = pattern(7, 1024);
        let (mut good, mut bad, mut worst) = (0u64, 0u64, Duration::ZERO);
        while Instant::now() < until {
            let began = Instant::now();
            let got = TcpStream::connect((SERVER, SHORT)).and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(20)))?;
                let mut all = Vec::new();
                stream.read_to_end(&mut all)?;
                Ok(all)
            });
            match got {
                Ok(all) if all == expected => good += 1,
                _ => bad += 1,
            }
            worst = worst.max(began.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
        println!("{good} good, {bad} lost, the longest took {} ms", worst.as_millis());
        Ok(())
    }

    /// Clients of one process that mean no good, each again and again.
    fn hostile(seconds: u64, seed: u64) -> io::Result<()> {
        let until = Instant::now() + Duration::from_secs(seconds);
        std::thread::scope(|scope| {
            for number in 0..CLIENTS_OF_EACH as u64 {
                scope.spawn(move || {
                    let mut round = seed + number;
                    while Instant::now() < until {
                        // Turned away, or its place was wanted: it comes again.
                        let _ = mischief(round);
                        round += 1;
                        std::thread::sleep(Duration::from_millis(200 + round * 37 % 300));
                    }
                });
            }
        });
        Ok(())
    }

    fn mischief(round: u64) -> io::Result<()> {
        let mut stream = UnixStream::connect(SOCKET)?;
        stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        match round % 5 {
            0 => stream.write_all(b"{\"tool\":\"iptables\",\"ar")?,
            1 => stream.write_all(&[b'\n'; 100_000])?,
            2 => stream.write_all(&b"{\"tool\":\"iptables-save\"}\n".repeat(1000))?,
            3 => {
                for _ in 0..8 {
                    stream.write_all(&[b'x'; 1 << 20])?;
                }
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    }

    /// Pings, 50 a second, from one host to another.
    fn pings(seconds: u64) -> io::Result<Pings> {
        let output = Command::new(nflab()?)
            .args([
                "exec",
                "client",
                "--",
                "ping",
                "-n",
                "-i",
                "0.02",
                // A count would take longer than the phase where the machine is busy.
                "-w",
                &seconds.max(1).to_string(),
                SERVER,
            ])
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let times = text
            .lines()
            .filter_map(|line| line.split("time=").nth(1)?.split(' ').next()?.parse().ok());
        let mut times: Vec<f64> = times.collect();
        times.sort_by(f64::total_cmp);
        let sent = text
            .lines()
            .find_map(|line| line.split_once(" packets transmitted")?.0.parse().ok())
            .ok_or_else(|| io::Error::other(format!("ping does not say how many it sent: {text}")))?;
        Ok(Pings { sent, times })
    }

    struct Pings {
        sent: u64,
        /// In milliseconds, ascending.
        times: Vec<f64>,
    }

    impl Pings {
        fn median(&self) -> f64 {
            self.times.get(self.times.len() / 2).copied().unwrap_or(0.0)
        }

        fn share_within(&self, limit: f64) -> f64 {
            self.times.iter().filter(|time| **time <= limit).count() as f64 / self.sent as f64
        }

        fn told(&self) -> String {
            let at = |share: f64| {
                let place = (self.times.len() as f64 * share) as usize;
                self.times
                    .get(place.min(self.times.len().saturating_sub(1)))
                    .copied()
                    .unwrap_or(0.0)
            };
            format!(
                "{} of {} answered; median {:.2} ms, 99 % {:.2}, 99.9 % {:.2}, longest {:.2}",
                self.times.len(),
                self.sent,
                self.median(),
                at(0.99),
                at(0.999),
                at(1.0)
            )
        }
    }

    /// The process that carries packets: the last descendant of the one that was started.
    fn router_of(mut id: u32) -> u32 {
        while let Some(child) = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))
            .ok()
            .and_then(|children| children.split_whitespace().next()?.parse().ok())
        {
            id = child;
        }
        id
    }

    /// Memory and descriptors over time, and how long a tool takes.
    fn watch(router: u32, nflab: &Path, stop: &AtomicBool) -> String {
        let began = Instant::now();
        let (mut most, mut most_open, mut failed, mut asked, mut slowest) = (0, 0, 0, 0, Duration::ZERO);
        let mut next_line = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            let status = std::fs::read_to_string(format!("/proc/{router}/status")).unwrap_or_default();
            let resident = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse().ok());
            let resident: u64 = resident.unwrap_or(0) / 1024;
            let open = std::fs::read_dir(format!("/proc/{router}/fd")).map_or(0, Iterator::count);
            (most, most_open) = (most.max(resident), most_open.max(open));
            let call = Instant::now();
            let done = Command::new(nflab)
                .args(["iptables", "-S", "FORWARD"])
                .env("NFLAB", SOCKET)
                .stdout(Stdio::null())
                .status();
            asked += 1;
            failed += u32::from(!done.is_ok_and(|status| status.success()));
            slowest = slowest.max(call.elapsed());
            if began.elapsed() >= next_line {
                println!("{:>5} s: {resident} MB, {open} descriptors", began.elapsed().as_secs());
                next_line += Duration::from_secs(10);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        format!(
            "at most {most} MB and {most_open} descriptors; {asked} calls of a tool beside, {failed} failed, the slowest took {} ms",
            slowest.as_millis()
        )
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    soak::main();
    #[cfg(not(target_os = "linux"))]
    println!("live labs are for Linux; there is nothing to try here");
}
