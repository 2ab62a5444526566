//! `iptables-restore` and `ip6tables-restore`: a file of tables into force.

use super::{Outcome, World};
use crate::base::Family;
use crate::ext::LabelFile;
use crate::lab::files::{Input, Needs};
use crate::text::own_options::{self, Given, Reader};
use crate::text::restore::{self, Options};
use crate::text::{Failure, Program};

/// Runs the family's tool; the first argument is the name it was called by.
pub fn run(family: Family, arguments: &[String], world: &mut World<'_>) -> Outcome {
    let Asked {
        mut outcome,
        options,
        file,
    } = match Asked::read(family, arguments) {
        Ok(asked) => asked,
        Err(outcome) => return *outcome,
    };
    let text = match (world.read)(file.as_deref()) {
        Ok(text) => text,
        Err(why) => {
            let name = file.as_deref().unwrap_or("standard input");
            return refused(outcome, &format!("Can't open {name}: {why}\n"));
        }
    };
    let (printed, result) = restore::run(&text, &options, world.tables, world.hosts);
    outcome.out += &printed.out;
    outcome.err += &printed.warnings;
    if let Err(failure) = result {
        outcome.err += &failure.text(Program::Restore(family), failure.place.line);
        outcome.code = failure.exit_code();
        outcome.failure = Some(failure);
    }
    outcome
}

/// The file it is given, else its standard input; nothing where it ends before it reads.
pub fn needs(arguments: &[String]) -> Needs {
    let reads = Asked::read(Family::V4, arguments).map(|asked| {
        let labels = Input::File(LabelFile::PATH.to_owned());
        vec![asked.file.map_or(Input::Stdin, Input::File), labels]
    });
    Needs {
        reads: reads.unwrap_or_default(),
        outputs: Vec::new(),
    }
}

struct Asked {
    /// What it has said so far.
    outcome: Outcome,
    options: Options,
    file: Option<String>,
}

impl Asked {
    /// The error is what the tool says instead.
    fn read(family: Family, arguments: &[String]) -> Result<Self, Box<Outcome>> {
        let mut outcome = Outcome::default();
        let mut options = Options::of(family);
        let program = Program::Restore(family);
        let mut files = Vec::new();
        let mut wait = false;
        let mut wait_interval = false;
        let mut reader = Reader::new(arguments, OPTIONS);
        while let Some(step) = reader.next() {
            match step {
                Err(complaint) => {
                    return Err(refused(
                        outcome,
                        &format!("{complaint}\nTry `{} -h' for more information.\n", program.name()),
                    )
                    .into());
                }
                Ok(Given::Word(name)) => files.push(name),
                Ok(Given::Option('c', _)) => options.counters = true,
                Ok(Given::Option('v', _)) => options.verbose = true,
                Ok(Given::Option('t', _)) => options.test = true,
                Ok(Given::Option('n', _)) => options.keep = true,
                Ok(Given::Option('T', name)) => options.only = name,
                Ok(Given::Option('b', _)) => outcome.err += "-b/--binary option is not implemented\n",
                Ok(Given::Option('V', _)) => {
                    outcome.out = program.version() + "\n";
                    return Err(outcome.into());
                }
                Ok(Given::Option('h', _)) => {
                    outcome.err += program.name();
                    outcome.err += HELP;
                    return Err(outcome.into());
                }
                Ok(Given::Option('w', value)) => {
                    wait = true;
                    if let Err(failure) = own_options::wait_seconds(value.or_else(|| reader.plain()).as_deref()) {
                        return Err(failed(program, outcome, failure).into());
                    }
                }
                Ok(Given::Option('W', value)) => {
                    match own_options::wait_interval(value.or_else(|| reader.plain()).as_deref()) {
                        Ok(warning) => {
                            outcome.err += warning;
                            wait_interval = true;
                        }
                        Err(failure) => return Err(failed(program, outcome, failure).into()),
                    }
                }
                Ok(Given::Option(..)) => {}
            }
        }
        if files.len() > 1 {
            return Err(refused(outcome, "Unknown arguments found on commandline\n").into());
        }
        if wait_interval && !wait {
            return Err(refused(outcome, "Option --wait-interval requires option --wait\n").into());
        }
        Ok(Self {
            outcome,
            options,
            file: files.pop(),
        })
    }
}

fn refused(mut outcome: Outcome, words: &str) -> Outcome {
    outcome.err += words;
    outcome.code = 1;
    outcome
}

/// The tool counts lines from 0 while it still reads its own options.
fn failed(program: Program, mut outcome: Outcome, failure: Failure) -> Outcome {
    outcome.err += &failure.text(program, Some(0));
    outcome.code = failure.exit_code();
    outcome.failure = Some(failure);
    outcome
}

const OPTIONS: &[own_options::Spec] = &[
    own_options::flag('c', "counters"),
    own_options::flag('b', "binary"),
    own_options::flag('v', "verbose"),
    own_options::flag('V', "version"),
    own_options::flag('t', "test"),
    own_options::flag('h', "help"),
    own_options::flag('n', "noflush"),
    own_options::valued('M', "modprobe"),
    own_options::valued('T', "table"),
    own_options::maybe('w', "wait"),
    own_options::maybe('W', "wait-interval"),
];

/// Behind the tool's name.
const HELP: &str = " reads tables from a file, or from standard input, and puts each into force at its COMMIT.

  -c, --counters         take counters from the file
  -n, --noflush          leave what is there
  -t, --test             read everything, change nothing
  -T, --table TABLE      read this table only
  -v, --verbose          tell what is done
  -w, --wait[=SECONDS]   accepted; nothing holds the rules for long
  -W, --wait-interval    accepted beside -w
  -M, --modprobe COMMAND accepted; no rule needs a module to be loaded first
  -V, --version          show the version
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Time;
    use crate::engine::{Config, Router};
    use crate::lab::RouterTables;
    use crate::net::{Closed, Net};
    use crate::text::StaticHosts;

    /// The tool says the line; the value says the column too.
    #[test]
    fn a_bad_line_is_named_and_changes_nothing() {
        let router = Router::new(Config::new(Net::default()), 1, 1, Box::new(Closed));
        let text = "*filter\n-A INPUT -s 10.0.0.1\n-A INPUT -p nope\nCOMMIT\n";
        let mut world = World {
            tables: &mut RouterTables::new(&router, Time::ZERO),
            hosts: &StaticHosts::none(),
            now: Time::ZERO,
            read: &mut |_| Ok(text.to_owned()),
        };
        let outcome = run(Family::V4, &["iptables-restore".to_owned()], &mut world);
        assert_eq!(outcome.code, 2);
        assert_eq!(
            outcome.err,
            "iptables-restore v1.8.9 (legacy): unknown protocol \"nope\" specified\nError occurred at line: 3\n\
             Try `iptables-restore -h' or 'iptables-restore --help' for more information.\n"
        );
        let place = outcome.failure.unwrap().place;
        assert_eq!((place.line, place.column), (Some(3), Some(13)));
        let rules = router.table(Family::V4, crate::rule::Table::Filter);
        assert_eq!(rules.rules().count(), 0);
    }
}
