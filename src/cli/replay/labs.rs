//! The labs of a replay: with `--against` there are two, alike but for their rules.

use std::path::Path;

use super::screen::Again;
use super::{Arguments, Stop};
use crate::base::bytes::text_of_path;
use crate::base::{Family, Time};
use crate::cli::{TOOLBOX, open};
use crate::device::standard::{self, tell};
use crate::device::text_file::read_file;
use crate::lab::copy::{CopyError, LabCopy};
use crate::lab::memory::Lab;
use crate::replay::{Entrances, Replayer};

/// The lab, and with `--against` another one with the other rules: same seed, same clock.
pub(super) struct Labs {
    pub lab: Lab,
    other: Option<Lab>,
    /// The current lab, where no other was named.
    copy: Option<LabCopy>,
    entrances: Entrances,
}

impl Labs {
    /// Once there is something to replay.
    pub(super) fn tell_which(&self, arguments: &Arguments) {
        let rules = arguments.rules.as_ref().or(arguments.rules6.as_ref());
        match (&self.copy, rules) {
            (Some(copy), Some(_)) => tell!("nflab: replayed through a copy of the lab {}", copy.name),
            (Some(copy), None) => tell!("nflab: replayed through a copy of the lab {} with its rules", copy.name),
            (None, Some(_)) => {}
            (None, None) => {
                tell!("nflab: replayed without rules, which accept all that is routed: --rules FILE gives them");
            }
        }
    }

    /// With room for so many workers.
    pub(super) fn open(arguments: &Arguments, workers: usize, again: &Again) -> Result<Self, Stop> {
        let copy = match &arguments.lab {
            Some(_) => None,
            None if arguments.what.profile.is_some() => {
                return Err("--profile is for a fresh lab: say which with --lab".to_owned().into());
            }
            None => Some(open::current(INSTEAD).map_err(Stop::Said)?),
        };
        let bare = |copy: &LabCopy| {
            copy.bare(arguments.seed, TOOLBOX)
                .map_err(|error| Stop::Say(error.to_string()))
        };
        let path = arguments.lab.as_deref();
        let mut lab = match &copy {
            Some(copy) => bare(copy)?,
            None if again.is_first() => open::lab(path, arguments.what, arguments.seed).map_err(Stop::Said)?,
            None => open::quiet_lab(path, arguments.what, arguments.seed).map_err(Stop::Said)?,
        };
        // Where it has no room, fewer share the work.
        lab.make_places(workers);
        let other = match (arguments.compares(), &copy) {
            (false, _) => None,
            (true, Some(copy)) => Some(bare(copy)?),
            (true, None) => Some(open::quiet_lab(path, arguments.what, arguments.seed).map_err(Stop::Said)?),
        };
        let mut entrances = Entrances::default();
        for line in &arguments.map {
            entrances.map(&lab, line).map_err(|error| format!("--map {error}"))?;
        }
        if let Some(name) = &arguments.interface {
            entrances
                .set_default(&lab, name)
                .map_err(|error| format!("--interface {error}"))?;
        }
        Ok(Self {
            lab,
            other,
            copy,
            entrances,
        })
    }

    /// The rules come into force at the capture's own time: a rule with `limit` counts from then.
    pub(super) fn begin(
        mut self,
        arguments: &Arguments,
        time: Option<Time>,
        again: &Again,
    ) -> Result<(Replayer, Option<Replayer>), Stop> {
        let names_none = arguments.rules.is_none() && arguments.rules6.is_none();
        let of_lab = self.copy.as_ref().filter(|_| names_none);
        let of_copy = |error: CopyError| Stop::Say(error.to_string());
        let begin = |mut lab: Lab, is_other: bool| {
            if let Some(time) = time {
                lab.start_at(time);
            }
            if let Some(copy) = of_lab {
                copy.restore_policies(&mut lab).map_err(of_copy)?;
            }
            for (family, rules, against) in arguments.rules_compared() {
                let against = against.filter(|_| is_other).map(|path| (path, "--against"));
                match (against.or(rules.map(|path| (path, "--rules"))), of_lab) {
                    (Some((path, option)), _) => restore(&mut lab, family, (path, option), again)?,
                    (None, Some(copy)) => copy.restore_rules(&mut lab, family).map_err(of_copy)?,
                    (None, None) => {}
                }
            }
            Ok::<_, Stop>(Replayer::new(lab).with_entrances(self.entrances.clone()))
        };
        let one = begin(self.lab, false)?;
        let other = match self.other.take() {
            Some(lab) => Some(begin(lab, true)?),
            None => None,
        };
        Ok((one, other))
    }
}

/// Rules that an option names, by which IPv4's are called.
fn restore(lab: &mut Lab, family: Family, (path, option): (&Path, &str), again: &Again) -> Result<(), Stop> {
    let text = read_file(path).map_err(|error| format!("cannot read the rules {}: {error}", text_of_path(path)))?;
    let output = open::restore(lab, family, &text, option);
    if again.is_first() {
        standard::tell_text(&output.stderr);
    }
    if output.code != 0 {
        tell!(
            "nflab: these rules are refused, so nothing was replayed: {}",
            text_of_path(path)
        );
        standard::tell_text(&output.advice);
        return Err(Stop::Said(2));
    }
    Ok(())
}

const INSTEAD: &str = "or say which: nflab replay --lab LAB.toml --rules FILE IN.pcapng";
