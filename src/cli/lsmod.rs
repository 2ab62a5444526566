//! `lsmod`: what `modprobe` loaded.

use crate::lab::machine::{Machine, ToolOutput};

pub(super) fn run(machine: &Machine, args: &[String]) -> ToolOutput {
    if !args.is_empty() {
        return ToolOutput::failure(1, "Usage: lsmod\n");
    }
    let mut text = String::from("Module                  Size  Used by\n");
    for module in machine.modules().iter().rev() {
        text += &format!("{module:<19} {SIZE:>8}  0\n");
    }
    ToolOutput::success(text)
}

/// What each is said to take: nothing here has the kernel's sizes.
pub(super) const SIZE: u32 = 16384;
