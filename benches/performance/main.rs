//! Every figure that nflab's speed is judged by, beside what else does the work, in one run: `benches/table` builds and calls this.
//!
//! Each row is measured beside its peer in turn, several times over; the best of either counts, since what else the machine does only ever makes
//! a time longer, and how far the median lies from it is shown, so that a run that was disturbed shows it. A row whose peer is not there says
//! which, and `benches/peers` makes it. What has a bound says whether it is reached. `table` runs it in namespaces of its own, which end with
//! it: no rule, device, route or process of the machine is touched.

#[cfg(target_os = "linux")]
#[allow(dead_code, reason = "shared with the benchmark of the router, which uses more of it")]
#[path = "../bench_router/mod.rs"]
mod bench_router;
#[cfg(target_os = "linux")]
mod changes;
#[cfg(target_os = "linux")]
mod classification;
#[cfg(target_os = "linux")]
mod counted_memory;
#[cfg(target_os = "linux")]
mod families;
#[cfg(target_os = "linux")]
mod floods;
#[cfg(target_os = "linux")]
mod flows;
#[cfg(target_os = "linux")]
mod networks;
#[cfg(target_os = "linux")]
mod peers;
#[cfg(target_os = "linux")]
mod recorded;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod rulesets;
#[cfg(target_os = "linux")]
mod sampling;
#[cfg(target_os = "linux")]
mod streams;

#[cfg(target_os = "linux")]
mod rows {
    use std::time::Instant;

    use crate::report::{Line, heading, keep, print_line, table};
    use crate::{changes, classification, families, floods, flows, recorded, streams};

    /// Some lines of the table that are measured together.
    struct Row {
        name: &'static str,
        what: &'static str,
        measure: fn() -> Vec<Line>,
    }

    const ROWS: [Row; 18] = [
        Row {
            name: "rules",
            what: "a packet against plain rules that do not match, beside the kernel",
            measure: classification::plain,
        },
        Row {
            name: "classes",
            what: "10,000 rules that overlap, of three kinds, beside rte_acl",
            measure: classification::classes,
        },
        Row {
            name: "known",
            what: "packets of known flows in batches of 32, beside Open vSwitch",
            measure: flows::known,
        },
        Row {
            name: "cores",
            what: "two workers, beside one",
            measure: flows::cores,
        },
        Row {
            name: "new",
            what: "new flows",
            measure: flows::new,
        },
        Row {
            name: "families",
            what: "packets of IPv6 in batches of 32, beside those of IPv4",
            measure: families::both,
        },
        Row {
            name: "floods",
            what: "packets that mean ill, beside plain ones, in both families",
            measure: floods::both,
        },
        Row {
            name: "memory",
            what: "memory of a flow",
            measure: flows::memory,
        },
        Row {
            name: "ticks",
            what: "a live router's ticks with a million flows",
            measure: flows::ticks,
        },
        Row {
            name: "stream",
            what: "one TCP stream through a live lab, beside the relay",
            measure: streams::stream,
        },
        Row {
            name: "latency",
            what: "a request and its response through a live lab, beside the relay",
            measure: streams::latency,
        },
        Row {
            name: "small",
            what: "datagrams of 64 bytes through a live lab, beside the relay",
            measure: streams::small,
        },
        Row {
            name: "restore",
            what: "100,000 rules restored and saved, beside iptables-legacy",
            measure: changes::restore,
        },
        Row {
            name: "mixed",
            what: "100,000 rules of all extensions restored and saved, beside iptables-legacy",
            measure: changes::restore_mixed,
        },
        Row {
            name: "insert",
            what: "a rule before 10,000, beside iptables-legacy",
            measure: changes::insert,
        },
        Row {
            name: "gap",
            what: "a ping each 10 ms while 100,000 rules are restored",
            measure: changes::gap,
        },
        Row {
            name: "replay",
            what: "a capture under 100 rules",
            measure: recorded::replay,
        },
        Row {
            name: "test",
            what: "1,000 cases under 1,000 rules",
            measure: recorded::test,
        },
    ];

    /// Whether all went as asked.
    pub(super) fn run(words: &[String]) -> bool {
        if words.iter().any(|it| it == "--list") {
            for row in &ROWS {
                println!("{:<10} {}", row.name, row.what);
            }
            return true;
        }
        let keeps = words.iter().any(|it| it == "--keep");
        let asked: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(|it| !it.starts_with("--"))
            .collect();
        if let Some(unknown) = asked.iter().find(|word| ROWS.iter().all(|row| row.name != **word)) {
            eprintln!("benches/table: there is no row {unknown}; --list names them");
            return false;
        }
        if keeps && !asked.is_empty() {
            eprintln!("benches/table: only a whole table is kept");
            return false;
        }
        let begun = Instant::now();
        println!("{}\n", heading());
        let mut lines = Vec::new();
        for row in ROWS.iter().filter(|row| asked.is_empty() || asked.contains(&row.name)) {
            eprintln!("{}: {} ...", row.name, row.what);
            // What one row cannot do is no reason to lose the others.
            let measured = std::panic::catch_unwind(row.measure).unwrap_or_else(|panic| {
                let why = panic.downcast_ref::<String>().cloned();
                let why = why.or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
                vec![Line::missing(row.what, &why.unwrap_or_default())]
            });
            measured.iter().for_each(print_line);
            lines.extend(measured);
        }
        let text = format!("{}\n\n{}", heading(), table(&lines));
        println!("\n{text}\ntook {:.0} s", begun.elapsed().as_secs_f64());
        if keeps {
            keep(&text);
        }
        true
    }
}

fn main() -> std::process::ExitCode {
    #[cfg(target_os = "linux")]
    {
        let words: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
        match rows::run(&words) {
            true => std::process::ExitCode::SUCCESS,
            false => std::process::ExitCode::FAILURE,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        println!("the table takes namespaces and TUN devices, which are Linux's");
        std::process::ExitCode::SUCCESS
    }
}
