//! The kernel twin: the same rules and packets, through nflab in process and through the real netfilter in a private namespace; the packets
//! that come out must be the same byte for byte, and the counters and flows after them.
//!
//! Needs root, `ip` and `iptables-legacy`. Where they are missing it says so, and fails if `NFLAB_REQUIRE_KERNEL` or `CI` is set.

mod build;
mod cases;
mod generate;
mod kernel;
mod ours;
mod scenario;

use scenario::{Scenario, Step};

/// What one side sent because of one step: interface and bytes, in order.
type Sent = Vec<(String, Vec<u8>)>;

/// Runs a scenario on both sides and panics with both answers where they differ.
fn check(scenario: Scenario) {
    if let Some(why) = kernel::missing() {
        let required = std::env::var_os("CI").is_some() || std::env::var_os("NFLAB_REQUIRE_KERNEL").is_some();
        assert!(!required, "the kernel twin cannot run: {why}");
        eprintln!("NOT RUN: the kernel twin: {why}");
        return;
    }
    // A thread of its own, because its network namespace stays changed.
    let outcome = std::thread::spawn(move || compare(&scenario))
        .join()
        .expect("no panic in the twin itself");
    if let Err(difference) = outcome {
        panic!("{difference}");
    }
}

fn compare(scenario: &Scenario) -> Result<(), String> {
    let mut theirs = kernel::Kernel::new(scenario)?;
    let mut own = ours::Ours::new(scenario)?;
    for (at, step) in scenario.steps.iter().enumerate() {
        let (their_sent, own_sent) = match step {
            Step::Receive { interface, packet } => (theirs.receive(interface, packet)?, own.receive(interface, packet)),
            Step::Send { packet } => (theirs.send(packet)?, own.send(packet)),
            Step::Restore(rules) => {
                theirs.restore(rules)?;
                own.restore(rules)?;
                continue;
            }
        };
        let (their_sent, own_sent) = (scenario.mask(their_sent), scenario.mask(own_sent));
        if their_sent != own_sent {
            return Err(format!(
                "{}: step {at} {step:?}\nthe kernel sent {}\nnflab sent {}\nnflab saw:\n{}",
                scenario.name,
                show(&their_sent),
                show(&own_sent),
                own.story()
            ));
        }
    }
    let differences = [
        ("iptables-save -c", theirs.save()?, own.save()?),
        ("flows", theirs.flows()?, own.flows()),
        ("expectations", theirs.expectations()?, own.expectations()),
    ];
    for (what, their_text, own_text) in differences {
        if !same_text(&their_text, &own_text) {
            return Err(format!(
                "{}: {what}\n--- kernel\n{their_text}\n--- nflab\n{own_text}",
                scenario.name
            ));
        }
    }
    Ok(())
}

/// Line by line; words that are times to live may differ by one second, which is what passes while the kernel is asked.
fn same_text(theirs: &str, own: &str) -> bool {
    let (theirs, own): (Vec<_>, Vec<_>) = (theirs.lines().collect(), own.lines().collect());
    theirs.len() == own.len()
        && theirs.iter().zip(&own).all(|(their_line, own_line)| {
            let (a, b): (Vec<_>, Vec<_>) = (their_line.split(' ').collect(), own_line.split(' ').collect());
            a.len() == b.len()
                && a.iter().zip(&b).enumerate().all(|(at, (x, y))| {
                    x == y
                        || (at == 0
                            && matches!((x.parse::<i64>(), y.parse::<i64>()), (Ok(x), Ok(y)) if (x - y).abs() <= 1))
                })
        })
}

fn show(sent: &Sent) -> String {
    if sent.is_empty() {
        return "nothing".to_owned();
    }
    let mut out = String::new();
    for (interface, bytes) in sent {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        out.push_str(&format!("\n  {interface} {hex}"));
    }
    out
}
