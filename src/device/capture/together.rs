//! Packets that lie one behind another in what was read: found together, and looked at when their turn comes.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::shared::{FEW, Run, Stretch};
use super::{CaptureError, CaptureReader, CapturedPacket, Record};
use crate::base::Time;
use crate::device::link::LinkType;

/// A packet that was found, and not looked at.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) number: u64,
    link: LinkType,
    record: Record,
    /// Where the next record begins in the file.
    end: u64,
    /// Where several read the file.
    pub(crate) mark: Option<u8>,
}

impl Found {
    /// As [`CapturedPacket::time`].
    #[inline]
    pub(crate) fn time(&self) -> Time {
        self.record.time
    }
}

/// Packets that lie one behind another, none older than the one before it.
pub(crate) struct InOrder<'a> {
    pub(crate) found: &'a [Found],
    /// Of each.
    pub(crate) marks: &'a [u8],
    /// Of those that they came by; there may be more of them.
    pub(crate) interfaces: &'a [u32],
}

/// What was found last.
pub(super) enum Batch {
    Own(Vec<Found>),
    /// So many of those that the readers of a file have in common.
    OfRun(Arc<Stretch>, Range<usize>),
}

impl Default for Batch {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl<R: Read> CaptureReader<R> {
    /// Finds the next packet, as [`Self::next_packet`] does, and as many of those behind it, up to `most` in all, as were read from the file along with
    /// it and are whole. They are in [`Self::found`], until more are asked for: none at the end of the file. An error is about the first.
    pub(crate) fn next_packets(&mut self, most: usize) -> Result<(), CaptureError> {
        if self.next_of_run(most) {
            return Ok(());
        }
        let mut found = match std::mem::take(&mut self.batch) {
            Batch::Own(found) => found,
            Batch::OfRun(..) => Vec::new(),
        };
        found.clear();
        let result = self.find(most, &mut found);
        self.batch = Batch::Own(found);
        result
    }

    fn find(&mut self, most: usize, found: &mut Vec<Found>) -> Result<(), CaptureError> {
        let stretch = Arc::as_ptr(self.window.stretch());
        while found.len() < most && (found.is_empty() || self.is_next_here()) {
            let offset = self.window.offset();
            match self.read() {
                Ok(Some(link)) => found.push(self.found_one(link)),
                Ok(None) => break,
                Err(problem) if found.is_empty() => return Err(self.failed(problem, offset)),
                Err(_) => {
                    // Whoever asks for the next one is told.
                    self.window.go_back_to(offset);
                    self.record.failed = false;
                    break;
                }
            }
            if self.mark.is_some() && stretch != Arc::as_ptr(self.window.stretch()) {
                // Here begins what all readers find alike.
                break;
            }
        }
        Ok(())
    }

    /// The same of what a reader of the same file has found already, or finds now for all of them.
    fn next_of_run(&mut self, most: usize) -> bool {
        if self.mark.is_none() {
            return false;
        }
        let stretch = Arc::clone(self.window.stretch());
        let from = match &self.batch {
            Batch::OfRun(of, range) if Arc::ptr_eq(of, &stretch) => range.end,
            _ => {
                let start = self.window.start();
                if stretch.run.get_or_init(|| self.run()).start != start {
                    return false;
                }
                0
            }
        };
        let all = stretch.run.get().map_or(&[][..], |run| &run.found);
        let to = all.len().min(from.saturating_add(most));
        let Some(last) = all.get(from..to).and_then(<[Found]>::last) else {
            return false;
        };
        self.window.go_on_to(last.end);
        self.packets = last.number;
        self.record = last.record.clone();
        self.batch = Batch::OfRun(stretch, from..to);
        true
    }

    /// The packets that lie here one behind another; the reader stays where it is.
    fn run(&mut self) -> Run {
        let (start, offset) = (self.window.start(), self.window.offset());
        let (packets, record) = (self.packets, self.record.clone());
        let (mut found, mut marks, mut late) = (Vec::new(), Vec::new(), Vec::new());
        let mut interfaces = Some(SmallVec::<[u32; FEW]>::new());
        let mut last = Time::ZERO;
        while self.is_next_here()
            && let Ok(Some(link)) = self.read()
        {
            let one = self.found_one(link);
            let Record { interface, time, .. } = one.record;
            let is_one_more = |few: &&mut SmallVec<[u32; FEW]>| !few.contains(&interface);
            if time < std::mem::replace(&mut last, time) {
                late.push(found.len() as u32);
            }
            if let Some(few) = interfaces.as_mut().filter(is_one_more) {
                match few.len() < FEW {
                    true => few.push(interface),
                    false => interfaces = None,
                }
            }
            marks.push(one.mark.unwrap_or_default());
            found.push(one);
        }
        self.window.go_back_to(offset);
        (self.packets, self.record) = (packets, record);
        Run {
            start,
            found,
            marks,
            interfaces,
            late,
        }
    }

    /// Goes through the next stretch of a file that others read too; false where there is none.
    pub(super) fn finds_a_stretch(&mut self) -> bool {
        let fills = self.window.fills();
        while fills == self.window.fills() {
            match self.next_packets(usize::MAX) {
                Ok(()) if self.found().is_empty() => return false,
                Err(error) if !error.goes_on() => return false,
                Ok(()) | Err(_) => {}
            }
        }
        self.next_of_run(usize::MAX);
        true
    }

    #[inline]
    fn found_one(&self, link: LinkType) -> Found {
        let mark = self
            .mark
            .map(|mark| mark(&self.packet_at(&self.record, link, self.packets)));
        Found {
            number: self.packets,
            link,
            record: self.record.clone(),
            end: self.window.offset(),
            mark,
        }
    }

    /// What the last call of [`Self::next_packets`] found.
    pub(crate) fn found(&self) -> &[Found] {
        match &self.batch {
            Batch::Own(found) => found,
            Batch::OfRun(stretch, range) => {
                let run = stretch.run.get();
                run.and_then(|run| run.found.get(range.clone())).unwrap_or_default()
            }
        }
    }

    /// The same where these are of a file with several readers, lie one behind another, and came in order of time: with the mark of each.
    pub(crate) fn found_in_order(&self) -> Option<InOrder<'_>> {
        let Batch::OfRun(stretch, range) = &self.batch else {
            return None;
        };
        let run = stretch.run.get()?;
        let next_late = run.late.partition_point(|at| *at as usize <= range.start);
        if run.late.get(next_late).is_some_and(|at| (*at as usize) < range.end) {
            return None;
        }
        Some(InOrder {
            found: run.found.get(range.clone())?,
            marks: run.marks.get(range.clone())?,
            interfaces: run.interfaces.as_deref()?,
        })
    }

    /// One of them.
    #[inline]
    pub(crate) fn packet(&self, found: &Found) -> CapturedPacket<'_> {
        self.packet_at(&found.record, found.link, found.number)
    }

    /// A byte of it, for who wants it in his processor's cache.
    #[inline]
    pub(crate) fn touch(&self, found: &Found) -> u8 {
        self.window
            .seen(&found.record.data)
            .first()
            .copied()
            .unwrap_or_default()
    }

    /// The name of its interface, as [`CapturedPacket::interface`].
    #[inline]
    pub(crate) fn interface_of(&self, found: &Found) -> Option<&str> {
        self.interface(found.record.interface)
    }

    /// The name of an interface by its number, as [`InOrder::interfaces`] has it.
    #[inline]
    pub(crate) fn interface(&self, number: u32) -> Option<&str> {
        self.format.interface_name(number)
    }
}
