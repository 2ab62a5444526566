//! Packets that are carried together: those that nothing else is to be done for, or said of.

use std::io::Read;

use smallvec::SmallVec;

use super::stage::{Session, Stage};
use super::workers::Whose;
use super::{Run, Stop};
use crate::base::Time;
use crate::device::{CaptureReader, CapturedPacket, Content, Found, Frame};
use crate::replay::{AT_ONCE, TimedPacket, Waiting, repair};

/// Packets that wait to be carried together, and how the capture has each, where that is asked for.
#[derive(Default)]
pub(super) struct Together<'w> {
    waiting: SmallVec<[Waiting<'w>; AT_ONCE]>,
    frames: SmallVec<[(Time, Frame<'w>); AT_ONCE]>,
}

impl Together<'_> {
    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// So many wait as may.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= AT_ONCE
    }
}

impl Run<'_> {
    /// Whether a packet is another worker's, and nothing else is to be said of it; it is done with then, without a look at its bytes.
    #[inline]
    pub(super) fn passes_by(
        &mut self,
        reader: &CaptureReader<impl Read>,
        found: &Found,
        together: &Together<'_>,
    ) -> bool {
        let (Some(share), Stage::Running(session)) = (&self.share, &mut self.stage) else {
            return false;
        };
        let passes = share.is_anothers(found.mark)
            && self.arguments.direction.is_none()
            && session
                .replayer
                .let_pass_by_unseen(found.time(), reader.interface_of(found));
        if passes {
            self.seen = found.number;
            if together.waiting.is_empty() {
                share.is_at(found.number);
            }
        }
        passes
    }

    /// Carries what waits; then all that was looked at is through.
    pub(super) fn carry_all(&mut self, together: &mut Together<'_>) -> Result<(), Stop> {
        self.carry(together)?;
        if let Some(share) = &self.share {
            share.is_at(self.seen + 1);
        }
        Ok(())
    }

    /// Carries what waits.
    pub(super) fn carry(&mut self, together: &mut Together<'_>) -> Result<(), Stop> {
        let (Stage::Running(session), false) = (&mut self.stage, together.waiting.is_empty()) else {
            return Ok(());
        };
        let Session {
            replayer,
            summary,
            outputs,
            ..
        } = &mut **session;
        let mut frames = together.frames.iter();
        let mut done = Ok(());
        replayer.pass_in_turn(&together.waiting, |passed| {
            if done.is_ok() {
                summary.note(passed);
                done = outputs.packet(passed, None, frames.next().copied());
            }
        });
        together.waiting.clear();
        together.frames.clear();
        done
    }

    /// Whether a packet is done with for now: it waits to be carried with others, or it is another worker's. Not one that anything else is to be done
    /// for, or said of.
    #[inline]
    pub(super) fn waits<'w>(
        &mut self,
        packet: &CapturedPacket<'w>,
        mark: Option<u8>,
        together: &mut Together<'w>,
    ) -> Result<bool, Stop> {
        let Content::Ip(bytes) = packet.content else {
            return Ok(false);
        };
        let is_of_interest = packet.to_another
            || self.arguments.direction.is_some()
            || self.arguments.fix_checksums
            || repair::missing(bytes) > 0
            || self
                .wanted
                .explain
                .as_ref()
                .is_some_and(|it| it.contains(packet.number));
        let Stage::Running(session) = &mut self.stage else {
            return Ok(false);
        };
        if is_of_interest || session.other.is_some() {
            return Ok(false);
        }
        let timed = TimedPacket {
            number: packet.number,
            time: packet.time,
            interface: packet.interface,
            bytes,
        };
        if let Some(share) = &self.share
            && !share.is_mine(mark)
            && share.whose(&timed, &session.replayer)? == Whose::Anothers
        {
            return Ok(session.replayer.let_pass_by(&timed));
        }
        match session.replayer.let_wait(timed) {
            Some(waiting) => {
                together.waiting.push(waiting);
                if session.outputs.copies_frames() {
                    together.frames.push((packet.time, packet.frame));
                }
                Ok(true)
            }
            None => Ok(false),
        }
    }
}
