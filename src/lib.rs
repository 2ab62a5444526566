//! nflab: netfilter in user space. This page is the map, one paragraph a room; `docs/architecture.md` says who may use whom and why.
//!
//! Linux calls stay in [`device`] and [`live`]; everything else builds wherever Rust does.

// What is printed goes by `say!` and `tell!` (`device::standard`): the standard library's macros panic where nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

/// Words everyone shares: families, masks, ranges, marks, virtual time, seeded randomness, texts of any bytes.
pub mod base;
/// One applet a file; wording and exit codes.
pub mod cli;
/// Tuples, flows and their table, timeouts, expectations; one tracker a file.
pub mod conntrack;
/// Where packets come from and go to: captures, TUN.
pub mod device;
/// Specs to manual, completion and grammar.
pub mod docgen;
/// The hook table, the walk, counters, atomic replacement, observation; `Router`.
pub mod engine;
/// What became of a packet and why, as people read it.
pub mod explain;
/// Matches and targets: the option kit, the registry, one file an extension.
pub mod ext;
/// Application protocols that open other flows: parser and NAT edit side by side.
pub mod helper;
/// Rules from listings, commands and old save files, with what these do not tell said by line.
pub mod import;
/// What a lab is: its description, scripts and expectations, conversations, the machine in memory. It touches no system.
pub mod lab;
/// What is live: namespaces, the event loop, running labs, their control socket and privileges, contained commands.
pub mod live;
/// Choosing and keeping mappings, rewriting headers, quoted headers of ICMP errors, sequence offsets.
pub mod nat;
/// Interfaces, addresses, routes, sanity, reassembly and fragmentation, ICMP errors, the local host's answers.
pub mod net;
/// One packet in flight: bytes, offsets, interfaces, mark, checksum state, and the edits that keep checksums right.
pub mod packet;
/// The interactive line editor over a lab.
pub(crate) mod repl;
/// Recorded packets through a lab: what became of each, what decided, what another ruleset would do.
pub mod replay;
/// What a ruleset is: tables, chains, rules, verdicts; the Match and Target traits. No syntax, no state.
pub mod rule;
/// Sets of addresses as rules ask them; who holds them is handed to the router.
pub mod set;
/// Unit tests for rulesets: test files, cases, coverage of rules, reports.
pub mod suite;
/// What little languages are read with: problems and their places, numbers, addresses, words of a line.
pub mod syntax;
/// Commands and restore files to rules; rules to save and list forms; errors with positions.
pub mod text;
/// Bytes to fields and back, one protocol a file; checksums whole and incremental.
pub mod wire;
