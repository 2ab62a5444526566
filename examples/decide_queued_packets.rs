//! A program that decides of the packets which a live lab queues (`-j NFQUEUE`): what says a word goes no further.
//!
//! ```sh
//! nflab iptables -A FORWARD -p udp -j NFQUEUE --queue-num 0
//! cargo run --example decide_queued_packets -- target/debug/nflab 0 forbidden
//! ```
//! `nflab queue 0 --json` writes a line for each packet and reads what is decided of it, so any language will do.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(nflab), Some(queue), Some(word)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("expected: PATH-OF-NFLAB QUEUE WORD".into());
    };
    let mut listener = Command::new(nflab)
        .args(["queue", &queue, "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(packets), Some(mut verdicts)) = (listener.stdout.take(), listener.stdin.take()) else {
        return Err("the listener has no pipes".into());
    };
    for line in BufReader::new(packets).lines() {
        let packet: Value = serde_json::from_str(&line?)?;
        let verdict = match says(&packet, &word) {
            true => "drop",
            false => "accept",
        };
        println!("{verdict}: {}", packet["packet"].as_str().unwrap_or_default());
        writeln!(verdicts, "{verdict} {}", packet["id"])?;
    }
    // It ended: by a signal, or the lab is down.
    drop(verdicts);
    let status = listener.wait()?;
    if !status.success() {
        return Err(format!("nflab queue {queue}: {status}").into());
    }
    Ok(())
}

/// Whether the word is among the packet's bytes, which come in hex.
fn says(packet: &Value, word: &str) -> bool {
    let wanted: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    let bytes = packet["bytes"].as_str().unwrap_or_default();
    bytes.match_indices(&wanted).any(|(at, _)| at % 2 == 0)
}
