//! nflab: netfilter in user space. This page is the map, one paragraph a room; `docs/architecture.md` says who may use whom and why.
//!
//! Linux calls stay in [`device`] and `live`; everything else builds wherever Rust does.
//!
//! Rules as text, a packet, what became of it and why:
//! ```
//! use std::path::Path;
//!
//! use nflab::TOOLBOX;
//! use nflab::explain::story::Detail;
//! use nflab::lab::memory::Lab;
//!
//! // A router in memory: lan is 10.0.0.1/24 and 2001:db8::1/64, wan 192.0.2.1/24 and 2001:db8:1::1/64. Its clock stands until it is advanced, and what
//! // is random follows from the seed.
//! let mut lab = Lab::default_lab(1, TOOLBOX)?;
//! let rules = "*filter
//! :FORWARD DROP [0:0]
//! -A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
//! -A FORWARD -i lan -o wan -p tcp --dport 443 -j ACCEPT
//! COMMIT
//! ";
//! let said = lab.tool("iptables-restore", &[], rules, Path::new("."));
//! assert_eq!(said.code, 0, "{}", said.stderr);
//!
//! let lan = lab.interface("lan");
//! for (port, verdict, rule) in [(443, "ACCEPT", Some(2)), (22, "DROP", None)] {
//!     // A packet is its bytes from the IP header on, made by whatever makes packets.
//!     let mut packet = Vec::new();
//!     etherparse::PacketBuilder::ipv4([10, 0, 0, 2], [192, 0, 2, 9], 64)
//!         .tcp(40_000, port, 1, 64_240)
//!         .syn()
//!         .write(&mut packet, &[])?;
//!     let passage = lab.send(lan, packet);
//!     assert_eq!(passage.report.fate.verdict(), verdict);
//!     // Which rule had the last word in the last table; `None` is the chain's policy.
//!     assert_eq!(passage.story.deciding().last().and_then(|it| it.number), rule);
//!     println!("{}", passage.story.render(Detail::Short));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//! The same in parts, with interfaces, routes, clock and threads of one's own, is [`engine::Router`]; `examples/` has a router embedded, an
//! extension written, a ruleset checked and a capture replayed.
//!
//! What a program around the library needs is below. Rooms and modules that are hidden here are public only because the binary, the tests and
//! the benches of this package link the library as others do: they may change without a word.

// What is printed goes by `say!` and `tell!` (`device::standard`): the standard library's macros panic where nobody takes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]
// Asked of the face alone: what is hidden explains itself to who reads its source.
#![warn(missing_docs)]

/// Words everyone shares: families, masks, ranges, marks, virtual time, seeded randomness, texts of any bytes.
pub mod base;
/// From a packet's plain fields to the rules of a chain that could match. Hidden: the engine asks it, and gives the same answers without.
#[doc(hidden)]
pub mod classify;
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
/// Lessons: steps, questions, tasks that are marked. They touch no system.
pub(crate) mod learn;
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
