//! The kernel twin: the same rules and packets, through nflab in process and through the real netfilter in a private namespace; the packets
//! that come out must be the same byte for byte, and the counters and flows after them.
//!
//! Needs root, `ip` and `iptables-legacy`. Where they are missing it says so, and fails if `NFLAB_REQUIRE_KERNEL` is set.

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
        let required = std::env::var_os("NFLAB_REQUIRE_KERNEL").is_some();
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
    // Slow, and finds the very packet that a counter or a flow differs after.
    let step_by_step = std::env::var_os("NFLAB_TWIN_STEPWISE").is_some();
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
        let (their_sent, own_sent) = (scenario.mask(step, their_sent), scenario.mask(step, own_sent));
        if their_sent != own_sent && differ_in_a_free_port(&their_sent, &own_sent) {
            // Where the wanted port is taken, either side draws another at random; from here on the two go different ways.
            return Ok(());
        }
        if their_sent != own_sent {
            return Err(format!(
                "{}: step {at} {step:?}\nthe kernel sent {}\nnflab sent {}\nnflab saw:\n{}",
                scenario.name,
                show(&their_sent),
                show(&own_sent),
                own.story()
            ));
        }
        if step_by_step && let Err(difference) = states_are_equal(scenario, &theirs, &mut own) {
            return Err(format!(
                "step {at} {step:?}\nboth sent {}\n{difference}\nnflab saw:\n{}",
                show(&own_sent),
                own.story()
            ));
        }
    }
    states_are_equal(scenario, &theirs, &mut own)
}

/// Counters, flows and expectations of both sides.
fn states_are_equal(scenario: &Scenario, theirs: &kernel::Kernel, own: &mut ours::Ours) -> Result<(), String> {
    own.catch_up();
    for (what, their_text, own_text) in [
        ("iptables-save -c", theirs.save()?, own.save()?),
        ("flows", theirs.flows()?, own.flows()),
        ("expectations", theirs.expectations()?, own.expectations()),
    ] {
        if !same_text(&their_text, &own_text) {
            return Err(format!("{}: {what}\n{}", scenario.name, apart(&their_text, &own_text)));
        }
    }
    Ok(())
}

/// Line by line. What may differ: the time to live at the start of a flow's line, by the second that passes while the kernel is asked; and a
/// port of its reply that was drawn at random because the wanted one was taken.
fn same_text(theirs: &str, own: &str) -> bool {
    let (theirs, own): (Vec<_>, Vec<_>) = (theirs.lines().collect(), own.lines().collect());
    theirs.len() == own.len() && theirs.iter().zip(&own).all(|(a, b)| same_line(a, b))
}

fn same_line(theirs: &str, own: &str) -> bool {
    let (theirs, own): (Vec<_>, Vec<_>) = (theirs.split(' ').collect(), own.split(' ').collect());
    let reply = theirs
        .iter()
        .rposition(|word| word.starts_with("src="))
        .unwrap_or(theirs.len());
    theirs.len() == own.len()
        && theirs
            .iter()
            .zip(&own)
            .enumerate()
            .all(|(at, (a, b))| match (a.parse::<i64>(), b.parse::<i64>()) {
                (Ok(a), Ok(b)) if at == 0 => (a - b).abs() <= 1,
                _ => a == b || (at > reply && same_class_of_port(a, b)),
            })
}

fn same_class_of_port(theirs: &str, own: &str) -> bool {
    if theirs.starts_with("id=") && own.starts_with("id=") {
        return true;
    }
    let port = |word: &str| word.strip_prefix("dport=").and_then(|it| it.parse().ok()).map(class);
    matches!((port(theirs), port(own)), (Some(a), Some(b)) if a == b)
}

/// A port that is chosen anew stays among the lowest, the privileged, or the others.
fn class(port: u16) -> u8 {
    match port {
        0..512 => 0,
        512..1024 => 1,
        _ => 2,
    }
}

/// True where the two sides sent the same but for a port (or an ICMP identifier) of the same class, and the checksums over it.
fn differ_in_a_free_port(theirs: &Sent, own: &Sent) -> bool {
    theirs.len() == own.len()
        && theirs
            .iter()
            .zip(own)
            .all(|(a, b)| a == b || is_same_but_for_a_port(a, b))
}

fn is_same_but_for_a_port((there, theirs): &(String, Vec<u8>), (here, own): &(String, Vec<u8>)) -> bool {
    let header = theirs.first().map_or(0, |it| usize::from(it & 15) * 4);
    if there != here || theirs.len() != own.len() || header < 20 || theirs.len() < header + 8 {
        return false;
    }
    let (their_header, theirs) = theirs.split_at(header);
    let (own_header, own) = own.split_at(header);
    if their_header != own_header {
        return false;
    }
    // Where a fragment begins in the payload of its packet.
    let base = usize::from(u16::from_be_bytes([their_header[6], their_header[7]]) & 0x1fff) * 8;
    let is_error = their_header[9] == 1 && base == 0 && matches!(theirs[0], 3 | 4 | 5 | 11 | 12);
    if is_error && theirs.len() >= 36 {
        // The port stands in the packet that the error quotes; the checksums over it and over the error follow.
        let masked = |bytes: &[u8]| [&bytes[..2], &bytes[4..28], &bytes[36..]].concat();
        return masked(theirs) == masked(own);
    }
    let (checksum, ports, class): (usize, &[usize], fn(u16) -> u8) = match their_header[9] {
        6 => (16, &[0, 2], class),
        17 => (6, &[0, 2], class),
        1 => (2, &[4], |_| 0),
        _ => return false,
    };
    let place = |at: usize| at.checked_sub(base).filter(|at| at + 2 <= theirs.len());
    let masked = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        for at in ports.iter().chain([&checksum]).filter_map(|&at| place(at)) {
            bytes[at..at + 2].fill(0);
        }
        bytes
    };
    let port = |bytes: &[u8], at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    masked(theirs) == masked(own)
        && ports
            .iter()
            .filter_map(|&at| place(at))
            .all(|at| class(port(theirs, at)) == class(port(own, at)))
}

/// The lines that only one side has, and for each whose.
fn apart(theirs: &str, own: &str) -> String {
    let mut out = String::new();
    for (mark, here, there) in [("kernel", theirs, own), ("nflab ", own, theirs)] {
        for line in here
            .lines()
            .filter(|line| !there.lines().any(|other| same_text(line, other)))
        {
            out.push_str(&format!("{mark} | {line}\n"));
        }
    }
    out
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
