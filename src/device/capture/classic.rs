//! Classic pcap: a header of the file, then records.

use std::io::Read;
use std::time::Duration;

use super::window::Window;
use super::{CaptureProblem, Order, Record};
use crate::base::Time;

/// What the file's header says.
pub(super) struct Classic {
    order: Order,
    /// The units of a second's fraction.
    per_second: u32,
    link: u32,
}

impl Classic {
    pub(super) fn read<R: Read>(window: &mut Window<R>) -> Result<Self, CaptureProblem> {
        window.require(FILE_HEADER)?;
        let header = window.bytes();
        let order = match header[0] {
            0xa1 => Order::Big,
            _ => Order::Little,
        };
        let per_second = match order.word(header, 0) {
            NANOSECONDS => 1_000_000_000,
            MICROSECONDS => 1_000_000,
            _ => {
                return Err(CaptureProblem::Foreign {
                    begins: header[..4].to_vec(),
                });
            }
        };
        let link = order.word(header, 20);
        window.consume(FILE_HEADER);
        Ok(Self {
            order,
            per_second,
            link,
        })
    }

    /// Reads a record; false at the end of the file.
    #[inline]
    pub(super) fn next<R: Read>(
        &mut self,
        window: &mut Window<R>,
        record: &mut Record,
    ) -> Result<bool, CaptureProblem> {
        record.offset = window.offset();
        if !window.require(RECORD_HEADER)? {
            return Ok(false);
        }
        let length = self.order.word(window.bytes(), 8) as usize;
        window.require_record(RECORD_HEADER + length)?;
        let header = window.bytes();
        let (seconds, fraction) = (self.order.word(header, 0), self.order.word(header, 4));
        record.original_length = (self.order.word(header, 12) as usize).max(length);
        record.data = window.place(RECORD_HEADER..RECORD_HEADER + length);
        record.options = 0..0;
        record.link = self.link;
        window.consume(RECORD_HEADER + length);
        if fraction >= self.per_second {
            record.failed = true;
            return Err(CaptureProblem::Record(format!(
                "its time stamp has a fraction of {fraction}, which must stay below {}",
                self.per_second
            )));
        }
        let nanos = u64::from(fraction) * u64::from(1_000_000_000 / self.per_second);
        record.time = Time::from_secs(seconds.into()) + Duration::from_nanos(nanos);
        Ok(true)
    }

    /// Whether these bytes begin with a whole record.
    #[inline]
    pub(super) fn is_packet_here(&self, bytes: &[u8]) -> bool {
        bytes.len() >= RECORD_HEADER && self.order.word(bytes, 8) as usize <= bytes.len() - RECORD_HEADER
    }
}

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
