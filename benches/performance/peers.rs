//! Programs beside nflab: where `benches/peers` put them, and what they say.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One that `benches/peers` makes; an error names it and says how to have it.
pub(crate) fn made(name: &str) -> Result<PathBuf, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/peers").join(name);
    match path.exists() {
        true => Ok(path),
        false => Err(format!("{name} is missing: run `benches/peers {name}`")),
    }
}

/// What it prints, where it ends well.
pub(crate) fn said(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let name = program.to_string_lossy();
    let said = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let said = said.map_err(|error| format!("{name}: {error}"))?;
    match said.status.success() {
        true => Ok(String::from_utf8_lossy(&said.stdout).into_owned()),
        false => Err(format!("{name}: {}", String::from_utf8_lossy(&said.stderr).trim())),
    }
}

/// Nanoseconds a packet of Open vSwitch's tracking of known UDP flows, one to a thread, in batches of 32.
pub(crate) fn open_vswitch(program: &Path, threads: usize) -> f64 {
    let words = [
        "test-conntrack",
        "benchmark",
        &threads.to_string(),
        &PACKETS.to_string(),
        "32",
    ];
    let text = said(program, &words).unwrap_or_else(|why| panic!("{why}"));
    let milliseconds = text.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    milliseconds.expect("it says how long it took") * 1e6 / (PACKETS * threads) as f64
}

/// For each of its threads: half a second and more.
const PACKETS: usize = 4_000_000;
