//! The binary: picks the applet by name, and alone ends the process.

fn main() {}
