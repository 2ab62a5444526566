//! `lsmod`: what `modprobe` loaded.

use crate::lab::machine::{Machine, ToolOutput};
use crate::lab::proc_files::MODULE_SIZE;

pub(super) fn run(machine: &Machine, args: &[String]) -> ToolOutput {
    if !args.is_empty() {
        return ToolOutput::failure(1, "Usage: lsmod\n");
    }
    let mut text = String::from("Module                  Size  Used by\n");
    for module in machine.modules().iter().rev() {
        text += &format!("{module:<19} {MODULE_SIZE:>8}  0\n");
    }
    ToolOutput::success(text)
}
