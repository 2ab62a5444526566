//! `-m sctp`: ports and chunks of SCTP (RFC 9260).

use std::fmt::Write;
use std::sync::Arc;

use chunks::{AskedChunks, Mode, Seen};

use super::header::{Miss as HeaderMiss, header};
use super::ports::{self, EndOptions, EndPorts, PortMiss};
use crate::base::{Family, PortRange, protocol};
use crate::ext::MatchSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, Opt, Read, ReadPair, UsageError};
use crate::ext::place::only_protocol;
use crate::rule::{Condition, Context, Effect, Ends, Lowered, Match, Matched, Refusal, Scope};
use crate::wire::{be16, sctp};

mod chunks;
mod samples;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "sctp",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: Some(protocol::SCTP),
    options: &[PORTS.source.spec, PORTS.destination.spec, CHUNKS.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "ports and chunks of SCTP",
    samples: samples::SAMPLES,
};

const PORTS: EndOptions = EndOptions {
    source: range("sport", "the source port lies in the range")
        .also(&["source-port"])
        .repeated("Only one `--source-port' allowed"),
    destination: range("dport", "the destination port lies in the range")
        .also(&["destination-port"])
        .repeated("Only one `--destination-port' allowed"),
    protocol: protocol::SCTP,
    saves_all: true,
};
const CHUNKS: Opt<AskedChunks> = Opt::pair(
    "chunk-types",
    ["all|any|only", "CHUNK[,...]"],
    &ReadPair(|mode, types, _| chunks::read(mode, types)),
    "the packet has all of these chunks, any of them, or only such. Behind a colon flags may stand (IUBE of DATA, T of ABORT and SHUTDOWN_COMPLETE): \
     capitals for those that are set, small letters for those that are not",
)
.invertible()
.repeated("Only one `--chunk-types' allowed");

const fn range(name: &'static str, help: &'static str) -> Opt<PortRange> {
    Opt::own(
        name,
        "PORT[:PORT]",
        &Read(|text, _| ports::range(text, protocol::SCTP)),
        help,
    )
    .invertible()
}

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(Sctp {
        ports: PORTS.given(given),
        chunks: given.get(CHUNKS),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Sctp {
    ports: EndPorts,
    chunks: Option<Asked<AskedChunks>>,
}

/// The first option that a packet failed.
enum Failed {
    Port(PortMiss),
    /// A chunk has no header, or no length.
    ChunkCutShort,
    Chunks,
}

impl Sctp {
    fn check(&self, cx: &Context<'_>) -> Result<(), HeaderMiss<Failed>> {
        let packet = header(cx.packet, |bytes| (bytes.len() >= sctp::HEADER).then_some(bytes))?;
        self.ports
            .check(be16(packet, 0), be16(packet, 2))
            .map_err(|miss| HeaderMiss::Has(Failed::Port(miss)))?;
        let Some(asked) = &self.chunks else { return Ok(()) };
        match asked.value.ask(&packet[sctp::HEADER..]) {
            Seen::CutShort => Err(HeaderMiss::Has(Failed::ChunkCutShort)),
            seen if asked.fits(seen == Seen::AsAsked) => Ok(()),
            _ => Err(HeaderMiss::Has(Failed::Chunks)),
        }
    }
}

impl Match for Sctp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        match self.check(cx) {
            Err(HeaderMiss::Has(Failed::ChunkCutShort)) => Matched::Malformed,
            other => other.into(),
        }
    }

    fn lower(&self) -> Lowered {
        let mut conditions = vec![Condition::Header(sctp::HEADER as u8)];
        conditions.extend(self.ports.conditions());
        match self.chunks {
            None => Lowered::exactly(conditions),
            Some(_) => Lowered::at_least(conditions),
        }
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "sctp: matches".to_owned(),
            Err(HeaderMiss::LaterFragment) => "sctp: packet is a later fragment without an SCTP header".to_owned(),
            Err(HeaderMiss::CutShort) => "sctp: packet's SCTP header is cut short".to_owned(),
            Err(HeaderMiss::Has(Failed::Port(miss))) => PORTS.sentence(&self.ports, miss),
            Err(HeaderMiss::Has(Failed::ChunkCutShort)) => "sctp: packet's chunks are cut short".to_owned(),
            Err(HeaderMiss::Has(Failed::Chunks)) => {
                let mut asked = String::new();
                self.save_chunks(&mut asked);
                let packet = cx.packet.transport().get(sctp::HEADER..).unwrap_or_default();
                format!("{}: packet has {}", asked.trim_start(), chunks::names(packet))
            }
        }
    }

    fn save(&self, out: &mut String) {
        PORTS.save(out, &self.ports);
        self.save_chunks(out);
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(" sctp");
        PORTS.list(out, &self.ports, numeric);
        if let Some(asked) = &self.chunks {
            let bang = if asked.inverted { " !" } else { "" };
            let _ = write!(out, "{bang} {} ", asked.value.mode());
            asked.value.write(out, numeric);
        }
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_protocol(scope, "sctp match", protocol::SCTP)
    }
}

impl Sctp {
    fn save_chunks(&self, out: &mut String) {
        if let Some(asked) = &self.chunks {
            let _ = write!(out, " {} {} ", CHUNKS.spelled(asked.inverted), asked.value.mode());
            asked.value.write(out, false);
        }
    }
}

/// ` sctp spt:53 ! any DATA:Be,INIT`; types by their names, or as numbers of four digits.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name)?;
        let mut options = Options::default();
        PORTS.unlist(it, &mut options);
        let inverted = it.word("!").is_some();
        let mode = Mode::ALL.into_iter().find(|mode| it.word(mode.word()).is_some());
        match mode {
            Some(mode) => {
                options.push(inverted, CHUNKS.name(), mode.word());
                options.word(chunks::types_as_typed(it.take()?)?);
            }
            None if inverted => return None,
            None => {}
        }
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{Bench, P, TCP, ip, match_packets, match_places, read_match};
    use crate::rule::{Hook, Table};

    const SCTP: P = P(protocol::SCTP, false);

    #[test]
    fn needs_its_protocol() {
        let other = "x_tables: ip_tables: sctp match: only valid for protocol 132";
        for (p, said) in [(SCTP, ""), (TCP, other), (P(protocol::SCTP, true), other)] {
            match_places(&SPEC, p, "--dport 80", &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    /// Ports 1000 and 80, a tag, a checksum that nobody asks for, and chunks.
    fn packet(chunks: &[u8]) -> crate::packet::Packet {
        let mut bytes = vec![3, 0xe8, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0];
        bytes.extend(chunks);
        ip(protocol::SCTP, 0, &bytes)
    }

    #[test]
    fn packets() {
        let bench = Bench::new();
        let data_and_sack = packet(&[0, 3, 0, 5, 1, 0, 0, 0, 3, 0, 0, 4]);
        let init = packet(&[1, 0, 0, 4]);
        let cut = ip(protocol::SCTP, 0, &[0; 11]);
        let later = ip(protocol::SCTP, 1, &[0; 12]);
        let without_chunks = packet(&[]);
        let half = packet(&[1, 0, 0, 4, 3, 0]);
        let without_length = packet(&[1, 0, 0, 0]);
        match_packets(
            &SPEC,
            SCTP,
            &bench,
            &[
                ("--dport 80", &init, ""),
                ("--dport 81", &init, "--dport 81: packet has 80"),
                ("--chunk-types any INIT,DATA:B", &data_and_sack, ""),
                (
                    "--chunk-types any DATA:b",
                    &data_and_sack,
                    "--chunk-types any DATA:b: packet has DATA:iuBE,SACK",
                ),
                ("--chunk-types all SACK,DATA", &data_and_sack, ""),
                (
                    "--chunk-types all SACK,INIT",
                    &data_and_sack,
                    "--chunk-types all INIT,SACK: packet has DATA:iuBE,SACK",
                ),
                ("--chunk-types only SACK,DATA:BE,INIT", &data_and_sack, ""),
                (
                    "--chunk-types only SACK",
                    &data_and_sack,
                    "--chunk-types only SACK: packet has DATA:iuBE,SACK",
                ),
                (
                    "! --chunk-types any INIT",
                    &init,
                    "! --chunk-types any INIT: packet has INIT",
                ),
                ("", &later, "sctp: packet is a later fragment without an SCTP header"),
                ("", &cut, "sctp: packet's SCTP header is cut short"),
                ("", &without_chunks, ""),
                (
                    "--chunk-types any INIT",
                    &without_chunks,
                    "sctp: packet's chunks are cut short",
                ),
                // It is looked at only as far as the answer takes.
                ("--chunk-types any INIT", &half, ""),
                ("--chunk-types all INIT", &half, "sctp: packet's chunks are cut short"),
                (
                    "! --chunk-types any INIT",
                    &without_length,
                    "sctp: packet's chunks are cut short",
                ),
            ],
        );
        let any = read_match(&SPEC, SCTP, "--chunk-types any DATA").unwrap();
        assert_eq!(bench.ask(any.as_ref(), &half).0, Matched::Malformed);
        assert_eq!(bench.ask(any.as_ref(), &later).0, Matched::No);
    }
}
