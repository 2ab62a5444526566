//! The binary as people call it: `run`, `sh`, `replay`, `repl`, `shims`, the tools by their names, and the exit codes 0 to 4.

mod bench;
mod examples;
mod replay;
mod replay_captures;
mod replay_ftp;
mod replay_results;
mod run;
mod sh;
mod tools;
mod up;
