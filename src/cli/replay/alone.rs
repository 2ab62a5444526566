//! A packet that goes by itself: whether it is one of this replay, how it is repaired, where it comes in, and what is written of it.

use super::arguments::Way;
use super::stage::{Stage, Unused, UnusedFrame, UnusedKind};
use super::workers::Whose;
use super::{Run, Stop};
use crate::base::InterfaceName;
use crate::base::bytes::quoted;
use crate::device::{CapturedPacket, Content, Direction};
use crate::explain::filter::{self, Filter};
use crate::explain::story::Detail;
use crate::lab::memory::LOCAL;
use crate::replay::repair::{self, Repair};
use crate::replay::{NoEntrance, Passed, TimedPacket};

impl Run<'_> {
    pub(super) fn packet_alone(&mut self, packet: &CapturedPacket<'_>) -> Result<(), Stop> {
        let name = packet.interface;
        if packet.to_another {
            let name = name.or(self.arguments.interface.as_deref()).unwrap_or_default();
            let why = "to another host (seen in promiscuous mode), which no rule sees";
            return self.unused(packet.number, name, why, Some(packet), UnusedKind::Foreign);
        }
        if let Some(wanted) = self.arguments.direction
            && !self.goes(packet, wanted)?
        {
            return Ok(());
        }
        let Content::Ip(bytes) = packet.content else {
            // What is no IP never reaches the tables: a router's IP code doesn't see it.
            let name = name.or(self.arguments.interface.as_deref()).unwrap_or_default();
            let unwrapped;
            let (why, kind) = match packet.content {
                Content::HeaderCut => ("the link's header is cut short", UnusedKind::Lost),
                Content::Undecoded(what) => {
                    unwrapped = what.to_string();
                    (unwrapped.as_str(), UnusedKind::Lost)
                }
                _ => ("not an IP packet", UnusedKind::Foreign),
            };
            return self.unused(packet.number, name, why, Some(packet), kind);
        };
        let seen = TimedPacket {
            number: packet.number,
            time: packet.time,
            interface: name,
            bytes,
        };
        let whose = match (&self.share, &self.stage) {
            (Some(share), Stage::Running(session)) => share.whose(&seen, &session.replayer)?,
            _ => Whose::Mine,
        };
        if whose == Whose::Anothers && !self.tells() {
            return self.pass_by(&seen, packet);
        }
        let repair = Repair {
            fill_cut: self.arguments.fill_cut,
            fix_checksums: self.arguments.fix_checksums,
        };
        let missing = repair::missing(bytes);
        // Without that it was no longer on the link either.
        if missing > 0 && packet.is_truncated() && !repair.fill_cut {
            let text = format!(
                "packet {} is cut: {} of {} bytes are in the capture, and a router drops what is shorter than it says; --fill-cut replays such packets with zeros in place of the rest",
                packet.number,
                bytes.len(),
                bytes.len() + missing
            );
            if self.tells() {
                self.complaints.note(self.screen, "packets are cut", &text);
            }
        }
        if whose == Whose::Anothers {
            return self.pass_by(&seen, packet);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let timed = TimedPacket {
            bytes: repair.packet(bytes, &mut buffer),
            ..seen
        };
        let result = self.pass(timed, packet);
        self.buffer = buffer;
        result
    }

    /// Whether a packet went the way that was asked for. One that didn't is none of this replay's.
    fn goes(&mut self, packet: &CapturedPacket<'_>, wanted: Way) -> Result<bool, Stop> {
        let went = match packet.direction {
            Some(Direction::In) => Way::In,
            Some(Direction::Out) => Way::Out,
            None => {
                return Err(format!(
                    "packet {}: the capture doesn't say which way it went, so --direction cannot choose; `tcpdump -i any` and pcapng's packet flags say it",
                    packet.number
                )
                .into());
            }
        };
        if went == wanted {
            return Ok(true);
        }
        let why = match wanted {
            Way::In => "left out by --direction in",
            Way::Out => "left out by --direction out",
        };
        self.unused(packet.number, "", why, Some(packet), UnusedKind::LeftOut)?;
        Ok(false)
    }

    /// Another worker carries it.
    #[inline]
    fn pass_by(&mut self, timed: &TimedPacket<'_>, packet: &CapturedPacket<'_>) -> Result<(), Stop> {
        let Stage::Running(session) = &mut self.stage else {
            return Ok(());
        };
        match session.replayer.pass_by(timed) {
            Ok(true) => self.late(packet.number),
            Ok(false) => {}
            Err(problem) => return self.homeless(&problem, packet),
        }
        Ok(())
    }

    #[cold]
    fn late(&mut self, number: u64) {
        if self.tells() {
            let text = format!(
                "packet {number} is older than the one before it; the clock doesn't run backwards, so it (and others like it) comes at the time of the last"
            );
            self.complaints.note_once(self.screen, "the clock", &text);
        }
    }

    fn pass(&mut self, timed: TimedPacket<'_>, packet: &CapturedPacket<'_>) -> Result<(), Stop> {
        if let Stage::Waiting(..) = self.stage {
            self.begin(Some(&timed))?;
        }
        let Stage::Running(session) = &mut self.stage else {
            return Ok(());
        };
        let explain = self
            .wanted
            .explain
            .as_ref()
            .is_some_and(|selection| selection.contains(timed.number))
            && self.wanted.filter.as_ref().is_none_or(|filter| {
                // Not the capture's own name for it: --map and --interface may lead elsewhere.
                let entrance = session.replayer.entrance_of(&timed);
                entrance.is_none_or(|name| filter.may_fit(timed.bytes, (name.as_str() != LOCAL).then_some(name)))
            });
        let passed = match explain {
            true => {
                self.story.clear();
                session.replayer.pass_watched(timed, &mut self.story)
            }
            false => session.replayer.pass(timed),
        };
        let passed = match passed {
            Ok(passed) => passed,
            Err(problem) => return self.homeless(&problem, packet),
        };
        let compared = match &mut session.other {
            Some(other) => Some(
                other
                    .pass(timed)
                    .map_err(|problem| format!("packet {}: {problem}", timed.number))?,
            ),
            None => None,
        };
        let is_late = passed.is_late();
        session.summary.note(&passed);
        let frame = (packet.time, packet.frame);
        session.outputs.packet(&passed, compared.as_ref(), Some(frame))?;
        let fits = self.wanted.filter.as_ref().is_none_or(|filter| fits(filter, &passed));
        if let (Some(differences), Some(compared)) = (&mut session.differences, &compared)
            && fits
            && let Some(difference) = differences.compare(&passed, compared)
        {
            session
                .outputs
                .difference(differences, &difference, self.arguments.limit as u64)?;
        }
        if explain && fits {
            let detail = if self.arguments.brief {
                Detail::Short
            } else {
                Detail::Whole
            };
            self.told.clear();
            let has_colour = self.screen.has_colour();
            self.story
                .render_of_many(&mut self.told, detail, has_colour, &mut self.phrases);
            // The whole story says its number itself.
            session
                .outputs
                .explain(passed.number(), !self.arguments.brief, &self.told)?;
        }
        if is_late {
            self.late(timed.number);
        }
        Ok(())
    }

    /// A packet that nobody knows the interface of. The first one stops everything, before anything is written: it will be so with all.
    fn homeless(&mut self, problem: &NoEntrance, packet: &CapturedPacket<'_>) -> Result<(), Stop> {
        let kind = match problem {
            NoEntrance::Unmapped(_) => "no interface for its source".to_owned(),
            NoEntrance::Unknown { name, .. } => format!("the lab has no interface {name}", name = quoted(name)),
            NoEntrance::NotSaid => "no interface".to_owned(),
        };
        let text = of_homeless(packet.number, problem);
        self.fault(&kind, &text);
        self.unused(
            packet.number,
            packet.interface.unwrap_or_default(),
            &kind,
            Some(packet),
            UnusedKind::Lost,
        )
    }

    pub(super) fn unused(
        &mut self,
        number: u64,
        interface: &str,
        reason: &str,
        packet: Option<&CapturedPacket<'_>>,
        kind: UnusedKind,
    ) -> Result<(), Stop> {
        if !self.tells() {
            return Ok(());
        }
        let unused = Unused {
            number,
            interface,
            reason,
            kind,
            frame: packet.map(UnusedFrame::of),
        };
        self.stage.unused(&unused, self.arguments.annotate.is_some())
    }
}

pub(super) fn of_homeless(number: u64, problem: &NoEntrance) -> String {
    match problem {
        NoEntrance::Unknown { .. } => format!("packet {number} came by {problem}"),
        _ => format!("packet {number}: {problem}"),
    }
}

fn fits(filter: &Filter, passed: &Passed<'_>) -> bool {
    let outputs: Vec<InterfaceName> = passed.output().map(|left| left.interface).collect();
    let input = (passed.interface().as_str() != LOCAL).then(|| passed.interface());
    filter.fits(&filter::Subject {
        packet: passed.bytes(),
        input,
        outcome: Some(filter::Outcome {
            outputs: &outputs,
            state: passed.report().state,
            verdict: passed.verdict(),
        }),
    })
}
