//! What it costs to watch: a packet of a known flow past a hundred rules of a usual kind, unobserved, with its story kept, with its deciding
//! rules taken from it, and with all of it told.
//!
//! On Linux what is measured is the processor's time, so that other programs do not count. 60 bytes of TCP, one worker, no device.

#[allow(dead_code, reason = "shared with the benchmark of the router, which uses more of it")]
mod bench_router;

use std::fmt::Write;
use std::hint::black_box;

use bench_router::{CLIENT, SERVER, Setup, tcp};
use criterion::measurement::Measurement;
use criterion::{Criterion, Throughput};
use nflab::engine::Fate;
use nflab::explain::story::{Detail, Story};
use nflab::wire::tcp::flags;

/// A hundred rules, nine in ten of them in the packet's way: by address, interface, protocol, port, state, a list of ports, and tokens.
fn ruleset() -> String {
    let mut rules =
        String::from("*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP [0:0]\n:web - [0:0]\n");
    for n in 0..30 {
        let _ = writeln!(rules, "-A FORWARD -s 172.16.{n}.0/24 -j DROP");
        let _ = writeln!(
            rules,
            "-A FORWARD -i lan -p tcp -m tcp --dport {} -m state --state NEW -j ACCEPT",
            1000 + n
        );
        let _ = writeln!(
            rules,
            "-A FORWARD -p tcp -m multiport --dports {},{} -j DROP",
            2000 + n,
            3000 + n
        );
    }
    rules.push_str("-A FORWARD -p tcp -m tcp --dport 80 -j web\n");
    for n in 0..7 {
        let _ = writeln!(rules, "-A web -s 10.0.1.{n} -m limit --limit 1/min -j LOG");
    }
    rules.push_str("-A web -m state --state INVALID -j DROP\n-A FORWARD -i lan -j ACCEPT\nCOMMIT\n");
    rules
}

fn watched<M: Measurement + 'static>(criterion: &mut Criterion<M>) {
    let mut group = criterion.benchmark_group("a hundred rules");
    group.throughput(Throughput::Elements(1));
    let packet = tcp((CLIENT, 4000), (SERVER, 80), flags::SYN, (1000, 0), 0);
    group.bench_function("unobserved", |bencher| {
        let mut setup = Setup::new(&ruleset());
        let lan = setup.lan;
        setup.forward(lan, &packet);
        bencher.iter(|| black_box(setup.receive(lan, black_box(&packet)).0.state));
    });
    let mut observed = |name: &str, mut told: Box<dyn FnMut(&Story) -> usize>| {
        group.bench_function(name, |bencher| {
            let mut setup = Setup::new(&ruleset());
            let lan = setup.lan;
            setup.forward(lan, &packet);
            let mut story = Story::default();
            bencher.iter(|| {
                story.clear();
                let report =
                    setup
                        .router
                        .receive(&mut setup.workers[0], setup.now, lan, black_box(&packet), &mut story);
                assert_eq!(report.fate, Fate::Forwarded);
                black_box(told(&story))
            });
        });
    };
    observed("story kept", Box::new(|_| 0));
    observed("story kept, deciding rules", Box::new(|story| story.deciding().len()));
    observed(
        "story kept and told, short",
        Box::new(|story| story.render(Detail::Short).len()),
    );
    observed(
        "story kept and told, whole",
        Box::new(|story| story.render(Detail::Whole).len()),
    );
    observed(
        "story kept and told, JSON",
        Box::new(|story| story.account().json().len()),
    );
    group.finish();
}

#[cfg(target_os = "linux")]
mod processor_time {
    use std::time::Duration;

    use criterion::Throughput;
    use criterion::measurement::{Measurement, ValueFormatter, WallTime};
    use rustix::time::{ClockId, clock_gettime};

    /// Of this thread.
    pub(crate) struct ProcessorTime;

    impl Measurement for ProcessorTime {
        type Intermediate = Duration;
        type Value = Duration;

        fn start(&self) -> Duration {
            let now = clock_gettime(ClockId::ThreadCPUTime);
            Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
        }

        fn end(&self, start: Duration) -> Duration {
            self.start() - start
        }

        fn add(&self, one: &Duration, other: &Duration) -> Duration {
            *one + *other
        }

        fn zero(&self) -> Duration {
            Duration::ZERO
        }

        fn to_f64(&self, value: &Duration) -> f64 {
            value.as_nanos() as f64
        }

        fn formatter(&self) -> &dyn ValueFormatter {
            self
        }
    }

    /// Nanoseconds are shown as they are for the clock on the wall.
    impl ValueFormatter for ProcessorTime {
        fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
            WallTime.formatter().scale_values(typical, values)
        }

        fn scale_throughputs(&self, typical: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
            WallTime.formatter().scale_throughputs(typical, throughput, values)
        }

        fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
            WallTime.formatter().scale_for_machines(values)
        }
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    let mut criterion = Criterion::default()
        .with_measurement(processor_time::ProcessorTime)
        .configure_from_args();
    #[cfg(not(target_os = "linux"))]
    let mut criterion = Criterion::default().configure_from_args();
    watched(&mut criterion);
    criterion.final_summary();
}
