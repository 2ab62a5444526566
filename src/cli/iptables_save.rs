//! `iptables-save`: the tables as a file that `iptables-restore` takes.

use super::{Outcome, World};
use crate::base::Family;
use crate::rule::Table;
use crate::text::{Program, own_options, save};

/// Runs the tool; the first argument is the name it was called by.
pub fn run(arguments: &[String], world: &mut World<'_>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut only = None;
    let mut with_counters = false;
    let mut words = 0;
    for step in own_options::Reader::new(arguments, OPTIONS) {
        match step {
            Err(complaint) => {
                outcome.err = format!("{complaint}\nLook at manual page `iptables-save.8' for more information.\n");
                outcome.code = 1;
                return outcome;
            }
            Ok(own_options::Given::Word(_)) => words += 1,
            Ok(own_options::Given::Option('c', _)) => with_counters = true,
            Ok(own_options::Given::Option('t', name)) => only = name,
            Ok(own_options::Given::Option('f', name)) => outcome.file = name,
            Ok(own_options::Given::Option('V', _)) => {
                outcome.out = Program::Save.version() + "\n";
                return outcome;
            }
            // `-d` prints as ever, `-M` has nothing to load.
            Ok(own_options::Given::Option(..)) => {}
        }
    }
    if words > 0 {
        outcome.err = "Unknown arguments found on commandline\n".to_owned();
        outcome.code = 1;
        return outcome;
    }
    let table = match only {
        None => None,
        Some(name) => match Table::from_name(&name) {
            Some(table) => Some(table),
            None => {
                let version = Program::Save.version();
                outcome.err = format!("{version}: Cannot initialize: Table does not exist (do you need to insmod?)\n");
                outcome.code = 1;
                return outcome;
            }
        },
    };
    save::write_tables(
        &mut outcome.out,
        world.tables,
        Family::V4,
        table,
        with_counters,
        world.now,
    );
    outcome
}

const OPTIONS: &[own_options::Spec] = &[
    own_options::flag('c', "counters"),
    own_options::flag('V', "version"),
    own_options::flag('d', "dump"),
    own_options::valued('t', "table"),
    own_options::valued('M', "modprobe"),
    own_options::valued('f', "file"),
];
