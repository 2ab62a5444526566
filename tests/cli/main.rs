//! The binary as people call it: `run`, `test`, `sh`, `replay`, `repl`, `shims`, `trace`, `import`, the tools by their names, and the exit codes
//! 0 to 4.

mod bench;
mod captures;
mod examples;
mod families;
mod helper;
mod import;
mod learn;
mod missing;
mod repl;
mod replay;
mod replay_captures;
mod replay_ftp;
mod replay_hostile;
mod replay_results;
mod run;
mod seeds;
mod sh;
mod talk_and_icq;
mod test;
mod tools;
mod trace;
mod up;
