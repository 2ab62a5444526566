//! `lsmod`: what `modprobe` loaded, and what of it uses what.

use crate::lab::machine::{Machine, ToolOutput};
use crate::lab::modules;
use crate::lab::proc_files::MODULE_SIZE;

pub(super) fn run(machine: &Machine, args: &[String]) -> ToolOutput {
    if !args.is_empty() {
        return ToolOutput::failure(1, "Usage: lsmod\n");
    }
    let mut text = String::from("Module                  Size  Used by\n");
    for (name, users) in modules::listed(machine) {
        let by = match users.modules.is_empty() {
            true => String::new(),
            false => format!(" {}", users.modules.join(",")),
        };
        text += &format!("{name:<19} {MODULE_SIZE:>8}  {}{by}\n", users.count());
    }
    ToolOutput::success(text)
}
