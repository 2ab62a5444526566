//! `iptables-save` and `ip6tables-save`: the tables as a file that the family's restore takes.

use super::{Outcome, World};
use crate::base::Family;
use crate::lab::files::{Needs, Output};
use crate::rule::Table;
use crate::text::{Program, apply, own_options, save};

/// Runs the family's tool; the first argument is the name it was called by. Where its words go is its caller's to see to.
pub fn run(family: Family, arguments: &[String], world: &mut World<'_>) -> Outcome {
    let program = Program::Save(family);
    let asked = match Asked::read(program, arguments, &mut Needs::default()) {
        Ok(asked) => asked,
        Err(outcome) => return *outcome,
    };
    let mut outcome = Outcome::default();
    let table = match asked.only {
        None => None,
        Some(name) => match Table::from_name(&name) {
            Some(table) => Some(table),
            None => {
                let version = program.version();
                outcome.err = format!("{version}: Cannot initialize: {}\n", apply::why_no_table(&name));
                outcome.code = 1;
                return outcome;
            }
        },
    };
    save::write_tables(
        &mut outcome.out,
        world.tables,
        family,
        table,
        asked.with_counters,
        world.now,
    );
    outcome
}

/// The files of `-f`. Each is opened when the tool comes to it, whatever it finds wrong later.
pub fn needs(arguments: &[String]) -> Needs {
    let mut needs = Needs::default();
    // What it says of what it cannot read is nobody's to hear.
    let _ = Asked::read(Program::Save(Family::V4), arguments, &mut needs);
    needs
}

#[derive(Debug, Default)]
struct Asked {
    only: Option<String>,
    with_counters: bool,
}

impl Asked {
    /// The error is what the tool says instead.
    fn read(program: Program, arguments: &[String], needs: &mut Needs) -> Result<Self, Box<Outcome>> {
        let mut outcome = Outcome::default();
        let mut asked = Self::default();
        let mut words = 0;
        for step in own_options::Reader::new(arguments, OPTIONS) {
            match step {
                Err(complaint) => {
                    outcome.err = format!(
                        "{complaint}\nLook at manual page `{}.8' for more information.\n",
                        program.name()
                    );
                    outcome.code = 1;
                    return Err(outcome.into());
                }
                Ok(own_options::Given::Word(_)) => words += 1,
                Ok(own_options::Given::Option('c', _)) => asked.with_counters = true,
                Ok(own_options::Given::Option('t', name)) => asked.only = name,
                Ok(own_options::Given::Option('f', name)) => needs.outputs.extend(name.map(|name| Output {
                    name,
                    complaint: "Failed to open file, error: ",
                })),
                Ok(own_options::Given::Option('V', _)) => {
                    outcome.out = program.version() + "\n";
                    return Err(outcome.into());
                }
                // `-d` prints as ever, `-M` has nothing to load.
                Ok(own_options::Given::Option(..)) => {}
            }
        }
        if words > 0 {
            outcome.err = "Unknown arguments found on commandline\n".to_owned();
            outcome.code = 1;
            return Err(outcome.into());
        }
        Ok(asked)
    }
}

const OPTIONS: &[own_options::Spec] = &[
    own_options::flag('c', "counters"),
    own_options::flag('V', "version"),
    own_options::flag('d', "dump"),
    own_options::valued('t', "table"),
    own_options::valued('M', "modprobe"),
    own_options::valued('f', "file"),
];
