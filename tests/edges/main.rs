//! What stands outside the twin: files, sockets, processes and privileges. Nothing gets out, nobody gets in, and answers are about the right lab.

mod all_clear;
#[cfg(target_os = "linux")]
mod attacker;
#[path = "../cli/bench.rs"]
#[allow(dead_code, reason = "shared with tests that use other parts")]
mod bench;
#[cfg(target_os = "linux")]
mod bounds;
mod bytes;
#[path = "../cli/captures.rs"]
mod captures;
#[cfg(target_os = "linux")]
mod containment;
#[cfg(target_os = "linux")]
mod control_socket;
mod current_lab;
#[cfg(target_os = "linux")]
mod daily_use;
#[cfg(target_os = "linux")]
mod detached;
mod events;
mod files;
#[cfg(target_os = "linux")]
mod firewalls;
#[cfg(target_os = "linux")]
mod goes_on;
mod ip;
#[cfg(target_os = "linux")]
mod kills;
#[cfg(target_os = "linux")]
#[path = "../e2e/lab.rs"]
#[allow(dead_code, reason = "shared with tests that use other parts")]
mod lab;
#[cfg(target_os = "linux")]
mod live;
#[cfg(target_os = "linux")]
mod machine;
#[cfg(target_os = "linux")]
mod privileges;
mod results;
#[cfg(target_os = "linux")]
mod rootless;
#[cfg(target_os = "linux")]
mod surroundings;
#[cfg(target_os = "linux")]
mod trust;
#[cfg(target_os = "linux")]
mod up_options;
