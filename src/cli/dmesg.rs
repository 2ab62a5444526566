//! `dmesg`: the kernel's log of a lab.

use std::fmt::Write;

use crate::lab::machine::{Machine, ToolOutput};

pub fn run(machine: &mut Machine, args: &[String]) -> ToolOutput {
    let (mut prints, mut clears) = (true, false);
    for arg in args {
        match arg.as_str() {
            "-c" | "--read-clear" => clears = true,
            "-C" | "--clear" => (prints, clears) = (false, true),
            other => {
                return ToolOutput::failure(
                    1,
                    format!("dmesg: {other} is not there in nflab; known are -c and -C\n"),
                );
            }
        }
    }
    let mut output = ToolOutput::default();
    if prints {
        for line in machine.log.lines() {
            let since = line.time.since(machine.booted);
            let _ = writeln!(
                output.stdout,
                "[{:5}.{:06}] {}",
                since.as_secs(),
                since.subsec_micros(),
                line.record.text
            );
        }
    }
    if clears {
        machine.log.clear();
    }
    output
}
