//! nflab: netfilter in user space. This page is the map, one paragraph a room; `docs/architecture.md` says who may use whom and why.
//!
//! Linux calls stay in [`device`] and `live`; everything else builds wherever Rust does.
//!
//! What a program around the library needs is below. Rooms and modules that are hidden here are public only because the binary, the tests and
//! the benches of this package link the library as others do: they may change without a word.

// What is printed goes by `say!` and `tell!` (`device::standard`): the standard library's macros panic where nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

/// Words everyone shares: families, masks, ranges, marks, virtual time, seeded randomness, texts of any bytes.
pub mod base;
/// Tuples, flows and their table, timeouts, expectations; one tracker a file.
pub mod conntrack;
/// Where packets come from and go to: captures, TUN.
pub mod device;
/// The hook table, the walk, counters, atomic replacement, observation; `Router`.
pub mod engine;
/// What became of a packet and why, as people read it.
pub mod explain;
/// Matches and targets: the option kit, the registry, one file an extension.
pub mod ext;
/// Application protocols that open other flows: parser and NAT edit side by side.
pub mod helper;
/// What a lab is: its description, scripts and expectations, conversations, the machine in memory. It touches no system.
pub mod lab;
/// Choosing and keeping mappings, rewriting headers, quoted headers of ICMP errors, sequence offsets.
pub mod nat;
/// Interfaces, addresses, routes, sanity, reassembly and fragmentation, ICMP errors, the local host's answers.
pub mod net;
/// One packet in flight: bytes, offsets, interfaces, mark, checksum state, and the edits that keep checksums right.
pub mod packet;
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

/// One applet a file; wording and exit codes. Hidden: a program starts the binary; of the applets it needs [`TOOLBOX`].
#[doc(hidden)]
pub mod cli;
/// Specs to manual, completion and grammar. Hidden: what it makes is committed.
#[doc(hidden)]
pub mod docgen;
/// Rules from listings, commands and old save files, with what these do not tell said by line. Hidden: it is for people, who read what it notes.
#[doc(hidden)]
pub mod import;
/// What is live: namespaces, the event loop, running labs, their control socket and privileges, contained commands. Hidden: it is how `nflab up`
/// keeps a lab, and believes that the process is its own; a program has an event loop already.
#[doc(hidden)]
pub mod live;
/// The interactive line editor over a lab.
pub(crate) mod repl;
/// Bytes to fields and back, one protocol a file; checksums whole and incremental. Hidden: it reads headers as the kernel does, wrong ones too; to
/// make packets there is etherparse.
#[doc(hidden)]
pub mod wire;

pub use cli::TOOLBOX;
