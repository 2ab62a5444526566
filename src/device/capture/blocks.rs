//! pcapng: sections of blocks, of which those of interfaces and packets count here.

use std::io::Read;

use super::window::Window;
use super::{CaptureProblem, Direction, Order, Record};
use crate::base::Time;
use crate::base::bytes::text_of;

/// The section being read.
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
}

/// What an interface block says.
struct Interface {
    link: u32,
    /// Zero: packets whole.
    snap_length: u32,
    name: Option<String>,
    unit: Unit,
    /// Seconds to be added to its time stamps.
    offset: i64,
}

/// What a time stamp counts.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// So many nanoseconds each.
    Nanos(u64),
    /// So many a nanosecond.
    OfNano(u64),
    /// Two to this power a second.
    Binary(u32),
}

impl Section {
    /// The header of the first section.
    pub(super) fn read<R: Read>(window: &mut Window<R>) -> Result<Self, CaptureProblem> {
        let mut section = Self {
            order: Order::Little,
            interfaces: Vec::new(),
        };
        window.require(BLOCK_AT_LEAST)?;
        let length = section.length(window.bytes());
        window.require_record(length)?;
        section.begin(&window.bytes()[..length])?;
        window.consume(length);
        Ok(section)
    }

    /// Reads blocks up to the next packet; false at the end of the file.
    #[inline]
    pub(super) fn next<R: Read>(
        &mut self,
        window: &mut Window<R>,
        record: &mut Record,
    ) -> Result<bool, CaptureProblem> {
        loop {
            record.offset = window.offset();
            record.failed = true;
            if !window.require(BLOCK_AT_LEAST)? {
                record.failed = false;
                return Ok(false);
            }
            let length = self.length(window.bytes());
            window.require_record(length)?;
            let block = &window.bytes()[..length];
            // Where this says something else than the first length did, nobody knows where the next block begins.
            let kind = self.order.word(block, 0);
            if kind == SECTION {
                self.begin(block)?;
                window.consume(length);
                continue;
            }
            if length < BLOCK_AT_LEAST
                || !length.is_multiple_of(4)
                || self.order.word(block, length - 4) as usize != length
            {
                return Err(CaptureProblem::Damaged(self.of_lengths(block)));
            }
            let is_packet = match kind {
                ENHANCED_PACKET => self.enhanced(&block[8..length - 4], record),
                INTERFACE => self.describe(&block[8..length - 4]).map(|()| false),
                SIMPLE_PACKET => self.simple(&block[8..length - 4], record),
                PACKET => self.old(&block[8..length - 4], record),
                // Names, statistics, secrets and the like say nothing about packets.
                _ => Ok(false),
            };
            record.data = window.place(8 + record.data.start..8 + record.data.end);
            record.options = window.place(8 + record.options.start..8 + record.options.end);
            window.consume(length);
            if is_packet? {
                record.failed = false;
                return Ok(true);
            }
        }
    }

    /// Whether these bytes begin with the whole block of a packet.
    #[inline]
    pub(super) fn is_packet_here(&self, bytes: &[u8]) -> bool {
        bytes.len() >= BLOCK_AT_LEAST
            && self.order.word(bytes, 0) == ENHANCED_PACKET
            && self.order.word(bytes, 4) as usize <= bytes.len()
    }

    #[inline]
    pub(super) fn interface_name(&self, index: u32) -> Option<&str> {
        self.interfaces.get(index as usize)?.name.as_deref()
    }

    /// The length that the block says it has.
    #[inline]
    fn length(&self, block: &[u8]) -> usize {
        let order = match block[..12] {
            // A section may come in another byte order than the one before it.
            [0x0a, 0x0d, 0x0d, 0x0a, _, _, _, _, 0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x0a, 0x0d, 0x0d, 0x0a, ..] => Order::Big,
            _ => self.order,
        };
        order.word(block, 4) as usize
    }

    fn of_lengths(&self, block: &[u8]) -> String {
        let length = block.len();
        if length < BLOCK_AT_LEAST || !length.is_multiple_of(4) {
            return format!("its block says that it is {length} bytes long, which no block is");
        }
        format!(
            "its block says that it is {length} bytes long at its beginning, and {} at its end",
            self.order.word(block, length - 4)
        )
    }

    /// A section's header.
    fn begin(&mut self, block: &[u8]) -> Result<(), CaptureProblem> {
        let damaged = |what: String| Err(CaptureProblem::Damaged(what));
        if block.len() < BLOCK_AT_LEAST {
            return damaged(self.of_lengths(block));
        }
        let order = match block.get(8..12) {
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
            magic => {
                return damaged(format!(
                    "its section begins with the byte order mark {:02x?}; expected 1a 2b 3c 4d or 4d 3c 2b 1a",
                    magic.unwrap_or_default()
                ));
            }
        };
        self.order = order;
        if block.len() < SECTION_AT_LEAST
            || !block.len().is_multiple_of(4)
            || order.word(block, block.len() - 4) as usize != block.len()
        {
            return damaged(self.of_lengths(block));
        }
        match order.half(block, 12) {
            1 => {}
            major => {
                return damaged(format!(
                    "it is pcapng of version {major}; expected version 1, which is all there is"
                ));
            }
        }
        self.interfaces.clear();
        Ok(())
    }

    /// An interface's block.
    fn describe(&mut self, body: &[u8]) -> Result<(), CaptureProblem> {
        if body.len() < 8 {
            return Err(CaptureProblem::Damaged(format!(
                "the block that describes interface {} is too short",
                self.interfaces.len()
            )));
        }
        let mut interface = Interface {
            link: self.order.half(body, 0).into(),
            snap_length: self.order.word(body, 4),
            name: None,
            unit: Unit::Nanos(1000),
            offset: 0,
        };
        for (code, value) in self.options(&body[8..]) {
            match (code, value) {
                (IF_NAME, name) => {
                    let name = text_of(name);
                    interface.name = Some(name.trim_end_matches('\0').to_owned());
                }
                (IF_TIME_RESOLUTION, [resolution, ..]) => interface.unit = Unit::new(*resolution),
                (IF_TIME_OFFSET, value) => {
                    if let Some(value) = value.first_chunk::<8>() {
                        interface.offset = match self.order {
                            Order::Big => i64::from_be_bytes(*value),
                            Order::Little => i64::from_le_bytes(*value),
                        };
                    }
                }
                _ => {}
            }
        }
        self.interfaces.push(interface);
        Ok(())
    }

    #[inline]
    fn enhanced(&self, body: &[u8], record: &mut Record) -> Result<bool, CaptureProblem> {
        if body.len() < 20 {
            return Err(too_short());
        }
        let index = self.order.word(body, 0);
        let stamp = (self.order.word(body, 4), self.order.word(body, 8));
        let lengths = (self.order.word(body, 12), self.order.word(body, 16));
        self.packet(body, index, Some(stamp), lengths, 20, record)
    }

    /// The form before the enhanced one.
    fn old(&self, body: &[u8], record: &mut Record) -> Result<bool, CaptureProblem> {
        if body.len() < 20 {
            return Err(too_short());
        }
        let index = self.order.half(body, 0).into();
        let stamp = (self.order.word(body, 4), self.order.word(body, 8));
        let lengths = (self.order.word(body, 12), self.order.word(body, 16));
        self.packet(body, index, Some(stamp), lengths, 20, record)
    }

    /// Of the first interface; without time and options.
    fn simple(&self, body: &[u8], record: &mut Record) -> Result<bool, CaptureProblem> {
        if body.len() < 4 {
            return Err(too_short());
        }
        let original = self.order.word(body, 0);
        let snap_length = match self.interfaces.first() {
            Some(Interface { snap_length: 1.., .. }) => self.interfaces[0].snap_length,
            _ => u32::MAX,
        };
        let captured = original.min(snap_length).min(body.len() as u32 - 4);
        self.packet(body, 0, None, (captured, original), 4, record)
    }

    #[inline]
    fn packet(
        &self,
        body: &[u8],
        index: u32,
        stamp: Option<(u32, u32)>,
        (captured, original): (u32, u32),
        header: usize,
        record: &mut Record,
    ) -> Result<bool, CaptureProblem> {
        let end = header + captured as usize;
        if end > body.len() {
            return Err(CaptureProblem::Record(format!(
                "it says that {captured} bytes were captured, but its block has room for {}",
                body.len() - header
            )));
        }
        let Some(interface) = self.interfaces.get(index as usize) else {
            return Err(CaptureProblem::Record(format!(
                "it names interface {index}, which no block before it describes"
            )));
        };
        if let Some((high, low)) = stamp {
            record.time = interface
                .time(u64::from(high) << 32 | u64::from(low))
                .ok_or_else(|| CaptureProblem::Record("its time is before 1970 or after the year 2554".to_owned()))?;
        }
        record.data = header..end;
        record.options = end.next_multiple_of(4).min(body.len())..body.len();
        record.original_length = original.max(captured) as usize;
        record.interface = index;
        record.link = interface.link;
        Ok(true)
    }

    /// A packet's comment, and the direction that its flags tell.
    pub(super) fn packet_options<'a>(&self, options: &'a [u8]) -> (Option<&'a str>, Option<Direction>) {
        let (mut comment, mut direction) = (None, None);
        for (code, value) in self.options(options) {
            match code {
                COMMENT if comment.is_none() => comment = std::str::from_utf8(value).ok(),
                PACKET_FLAGS if value.len() == 4 => {
                    direction = match self.order.word(value, 0) & 3 {
                        1 => Some(Direction::In),
                        2 => Some(Direction::Out),
                        _ => None,
                    };
                }
                _ => {}
            }
        }
        (comment, direction)
    }

    /// Codes and values; what is damaged ends them.
    fn options<'a>(&self, mut bytes: &'a [u8]) -> impl Iterator<Item = (u16, &'a [u8])> {
        let order = self.order;
        std::iter::from_fn(move || {
            if bytes.len() < 4 {
                return None;
            }
            let (code, length) = (order.half(bytes, 0), order.half(bytes, 2) as usize);
            let value = bytes.get(4..4 + length).filter(|_| code != END_OF_OPTIONS)?;
            bytes = bytes.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
            Some((code, value))
        })
    }
}

impl Unit {
    /// From `if_tsresol`: a negative power of ten, or with the highest bit of two.
    fn new(resolution: u8) -> Self {
        let power = u32::from(resolution & 0x7f);
        match resolution & 0x80 {
            0 if power <= 9 => Self::Nanos(10u64.pow(9 - power)),
            0 => Self::OfNano(10u64.checked_pow(power - 9).unwrap_or(u64::MAX)),
            _ => Self::Binary(power),
        }
    }
}

impl Interface {
    /// `None`: no instant that can be said.
    #[inline]
    fn time(&self, stamp: u64) -> Option<Time> {
        let nanos = match self.unit {
            Unit::Nanos(each) => stamp.checked_mul(each)?,
            Unit::OfNano(many) => stamp / many,
            Unit::Binary(power) => {
                u64::try_from((u128::from(stamp) * 1_000_000_000).checked_shr(power).unwrap_or(0)).ok()?
            }
        };
        if self.offset == 0 {
            return Some(Time::from_nanos(nanos));
        }
        let shifted = i128::from(nanos) + i128::from(self.offset) * 1_000_000_000;
        u64::try_from(shifted).ok().map(Time::from_nanos)
    }
}

fn too_short() -> CaptureProblem {
    CaptureProblem::Record("its block is too short for what it is".to_owned())
}

/// Type, length, body of nothing, length again.
const BLOCK_AT_LEAST: usize = 12;
const SECTION_AT_LEAST: usize = 28;
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const END_OF_OPTIONS: u16 = 0;
const COMMENT: u16 = 1;
const PACKET_FLAGS: u16 = 2;
const IF_NAME: u16 = 2;
const IF_TIME_RESOLUTION: u16 = 9;
const IF_TIME_OFFSET: u16 = 14;
