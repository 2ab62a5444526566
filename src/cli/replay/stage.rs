//! Before the first packet comes in, and after: results are opened between, so that a wrong capture leaves older ones as they are.

use super::alone::of_homeless;
use super::labs::Labs;
use super::outputs::Outputs;
use super::screen::Again;
use super::{Arguments, Stop};
use crate::base::Time;
use crate::base::bytes::text_of_path;
use crate::device::{CapturedPacket, Frame};
use crate::replay::{Differences, Replayer, Summary, TimedPacket};

pub(super) enum Stage<'a> {
    /// No packet has come in yet; those that could not be used.
    Waiting(Box<Labs>, Vec<KeptUnused>),
    Running(Box<Session<'a>>),
    /// While one becomes the other.
    Between,
}

pub(super) struct Session<'a> {
    pub replayer: Replayer,
    pub other: Option<Replayer>,
    pub summary: Summary,
    pub differences: Option<Differences>,
    pub outputs: Outputs<'a>,
}

impl<'a> Session<'a> {
    /// Rules into force, results opened; what was of no use before is told then.
    pub(super) fn begin(
        arguments: &'a Arguments,
        labs: Labs,
        first: Option<&TimedPacket<'_>>,
        before: &[KeptUnused],
        again: &Again,
    ) -> Result<Self, Stop> {
        let (replayer, other) = labs.begin(arguments, first.map(|packet| packet.time), again)?;
        if let Some(first) = first {
            replayer
                .check(first)
                .map_err(|problem| of_homeless(first.number, &problem))?;
        }
        let names = names_compared(arguments);
        let differences = arguments.compares().then(|| Differences::new(&names[0], &names[1]));
        let mut session = Self {
            summary: Summary::new(&replayer),
            outputs: Outputs::open(arguments, replayer.lab(), again)?,
            differences,
            other,
            replayer,
        };
        for kept in before {
            session.unused(&kept.unused())?;
        }
        Ok(session)
    }

    pub(super) fn unused(&mut self, unused: &Unused<'_>) -> Result<(), Stop> {
        let Unused {
            number,
            interface,
            reason,
            kind,
            frame,
        } = unused;
        self.summary.note_unused(reason);
        if *kind == UnusedKind::Lost {
            self.summary.note_unseen(reason);
            if let Some(differences) = &mut self.differences {
                differences.note_unused(reason);
            }
        }
        if *kind != UnusedKind::LeftOut {
            self.outputs.unused(*number, interface, reason)?;
        }
        if let Some(UnusedFrame { interface, time, frame }) = frame {
            self.outputs
                .annotate_unused(*number, *interface, (*time, *frame), reason)?;
        }
        Ok(())
    }
}

impl Stage<'_> {
    /// A packet that never comes to the router: told, or kept until results are opened.
    pub(super) fn unused(&mut self, unused: &Unused<'_>, is_annotated: bool) -> Result<(), Stop> {
        match self {
            Stage::Running(session) => session.unused(unused)?,
            Stage::Waiting(_, waiting) if waiting.len() < MOST_WAITING => {
                waiting.push(KeptUnused::of(unused, is_annotated));
            }
            Stage::Waiting(..) => {
                return Err(format!(
                    "none of the first {} packets can be replayed ({}), so nothing was; is this the right capture?",
                    unused.number, unused.reason
                )
                .into());
            }
            Stage::Between => {}
        }
        Ok(())
    }
}

/// A packet of the capture that never came to the router.
pub(super) struct Unused<'a> {
    pub number: u64,
    pub interface: &'a str,
    pub reason: &'a str,
    pub kind: UnusedKind,
    /// Where the packet could be read.
    pub frame: Option<UnusedFrame<'a>>,
}

/// What of it goes into an annotated copy.
#[derive(Clone, Copy)]
pub(super) struct UnusedFrame<'a> {
    interface: Option<&'a str>,
    time: Time,
    frame: Frame<'a>,
}

impl<'a> UnusedFrame<'a> {
    pub(super) fn of(packet: &CapturedPacket<'a>) -> Self {
        Self {
            interface: packet.interface,
            time: packet.time,
            frame: packet.frame,
        }
    }
}

/// What a packet that never came to the router is to this replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnusedKind {
    /// By --direction: none of this replay's, and without a line in the JSON.
    LeftOut,
    /// What is no IP, no rule was to see.
    Foreign,
    /// Rules were to see it.
    Lost,
}

/// One that waits for the results to be opened.
pub(super) struct KeptUnused {
    number: u64,
    interface: String,
    reason: String,
    kind: UnusedKind,
    frame: Option<KeptFrame>,
}

impl KeptUnused {
    /// With its frame where an annotated copy is made.
    fn of(unused: &Unused<'_>, is_annotated: bool) -> Self {
        Self {
            number: unused.number,
            interface: unused.interface.to_owned(),
            reason: unused.reason.to_owned(),
            kind: unused.kind,
            frame: unused.frame.filter(|_| is_annotated).map(KeptFrame::of),
        }
    }

    fn unused(&self) -> Unused<'_> {
        Unused {
            number: self.number,
            interface: &self.interface,
            reason: &self.reason,
            kind: self.kind,
            frame: self.frame.as_ref().map(KeptFrame::frame),
        }
    }
}

struct KeptFrame {
    interface: Option<String>,
    time: Time,
    link: u32,
    bytes: Vec<u8>,
    original_length: usize,
}

impl KeptFrame {
    fn of(unused: UnusedFrame<'_>) -> Self {
        Self {
            interface: unused.interface.map(str::to_owned),
            time: unused.time,
            link: unused.frame.link,
            bytes: unused.frame.bytes.to_vec(),
            original_length: unused.frame.original_length,
        }
    }

    fn frame(&self) -> UnusedFrame<'_> {
        UnusedFrame {
            interface: self.interface.as_deref(),
            time: self.time,
            frame: Frame {
                link: self.link,
                bytes: &self.bytes,
                original_length: self.original_length,
            },
        }
    }
}

/// Of a process that ends once it has said what there is to say. Given back piece by piece, what a lab holds of flows and ways takes as long as twenty thousand
/// packets.
pub(super) fn leave_to_the_system(replayer: Replayer) {
    std::mem::forget(replayer);
}

fn names_compared(arguments: &Arguments) -> [String; 2] {
    let none = if arguments.lab.is_some() {
        "no rules"
    } else {
        "the lab's rules"
    };
    let compared = arguments.rules_compared().into_iter();
    let (ours, theirs): (Vec<String>, Vec<String>) = compared
        .filter_map(|(_, rules, against)| {
            let ours = rules.map_or_else(|| none.to_owned(), text_of_path);
            Some((ours, text_of_path(against?)))
        })
        .unzip();
    [ours, theirs].map(|mut names| {
        names.dedup();
        names.join(", ")
    })
}

/// Packets without use before the first one that is of any.
const MOST_WAITING: usize = 100_000;
