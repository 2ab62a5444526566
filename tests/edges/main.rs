//! What stands outside the twin: files, sockets, processes and privileges. Nothing gets out, and nobody gets in.

#[path = "../cli/bench.rs"]
mod bench;
mod files;
