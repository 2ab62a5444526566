//! Captures of packets that are written as `send` has them.

use std::net::IpAddr;
use std::path::Path;

use nflab::base::Time;
use nflab::device::{CaptureWriter, Frame};
use nflab::lab::script::lex::lex;
use nflab::lab::send::{Surroundings, build, packet, split_parentheses};
use nflab::syntax::words::Words;

/// Nothing came before.
struct Blank;

impl Surroundings for Blank {
    fn next_sequence(&self, _: (IpAddr, u16), _: (IpAddr, u16)) -> Option<u32> {
        None
    }

    fn departed(&self) -> Option<Vec<u8>> {
        None
    }
}

pub(crate) fn bytes(line: &str) -> Vec<u8> {
    let words = split_parentheses(&lex(line).unwrap().remove(0).words);
    build(&packet(&mut Words::new(&words)).unwrap(), &Blank).unwrap()
}

/// Milliseconds, interface, what is there of the packet, and how long it was.
pub(crate) type Captured<'a> = (u64, &'a str, Vec<u8>, usize);

pub(crate) fn write<'a>(path: &Path, packets: impl IntoIterator<Item = Captured<'a>>) {
    let mut writer = CaptureWriter::create(path).unwrap();
    for (millis, interface, packet, original_length) in packets {
        let time = Time::from_nanos(1_700_000_000_000_000_000 + millis * 1_000_000);
        let frame = Frame {
            original_length,
            ..Frame::raw(&packet)
        };
        writer.write_frame(interface, time, frame, None).unwrap();
    }
    writer.finish().unwrap();
}
