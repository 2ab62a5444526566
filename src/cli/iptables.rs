//! `iptables` and `ip6tables`: one command on one table.

use super::{Outcome, World};
use crate::base::Family;
use crate::ext::LabelFile;
use crate::lab::files::{Input, Needs};
use crate::text::command::{self, Context};
use crate::text::{Program, apply};

/// Runs the family's tool; the first argument is the name it was called by.
pub fn run(family: Family, arguments: &[String], world: &mut World<'_>) -> Outcome {
    let program = Program::Iptables(family);
    let parsed = command::parse(
        arguments,
        Context {
            program,
            hosts: world.hosts,
            restoring: None,
        },
    );
    let mut outcome = Outcome {
        err: parsed.warnings,
        ..Outcome::default()
    };
    let result = parsed.result.and_then(|command| {
        let (printed, result) = apply::execute(&command, world.tables, world.hosts);
        outcome.out = printed.out;
        outcome.err += &printed.warnings;
        result
    });
    if let Err(failure) = result {
        outcome.err += &failure.text(program, None);
        outcome.code = match failure.is_overtaken() {
            // Seen; iptables-restore exits with 1 all the same.
            true => 4,
            false => failure.exit_code(),
        };
        outcome.failure = Some(failure);
    }
    outcome
}

/// Names of labels stand in a file.
pub(super) fn needs(args: &[String]) -> Needs {
    let names_labels = args.iter().any(|argument| argument.contains("connlabel"));
    Needs {
        reads: names_labels
            .then(|| Input::File(LabelFile::PATH.to_owned()))
            .into_iter()
            .collect(),
        outputs: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::iptables_restore;
    use super::*;
    use crate::base::Time;
    use crate::engine::{Config, Router};
    use crate::lab::RouterTables;
    use crate::net::{Closed, Net};
    use crate::rule::{Refusal, Table, TableRules};
    use crate::text::{Counted, StaticHosts, Tables};

    /// Another session puts the same table into force whenever one has read it.
    struct Overtaken<'a> {
        tables: RouterTables<'a>,
        router: &'a Router,
    }

    impl Tables for Overtaken<'_> {
        fn open(&mut self, family: Family, table: Table) -> TableRules {
            let rules = self.tables.open(family, table);
            self.router.replace(rules.clone(), Time::ZERO).unwrap();
            rules
        }

        fn existing(&self, family: Family) -> Vec<Table> {
            self.tables.existing(family)
        }

        fn counters(&self, family: Family, table: Table) -> Counted {
            self.tables.counters(family, table)
        }

        fn replace(&mut self, rules: TableRules) -> Result<(), Refusal> {
            self.tables.replace(rules)
        }
    }

    /// Seen with iptables 1.8.9 where the kernel answers EAGAIN.
    #[test]
    fn who_is_overtaken_is_told_to_try_again() {
        let router = Router::new(Config::new(Net::default()), 1, 1, Box::new(Closed));
        let mut tables = Overtaken {
            tables: RouterTables::new(&router, Time::ZERO),
            router: &router,
        };
        let hosts = StaticHosts::none();
        let mut read = |_: Option<&str>| Ok("*filter\n-A INPUT -j ACCEPT\nCOMMIT\n".to_owned());
        let mut world = World {
            tables: &mut tables,
            hosts: &hosts,
            now: Time::ZERO,
            read: &mut read,
        };
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let outcome = run(Family::V4, &words("iptables -A INPUT -j ACCEPT"), &mut world);
        assert_eq!(
            (outcome.code, outcome.err.as_str()),
            (4, "iptables: Resource temporarily unavailable.\n")
        );
        let outcome = iptables_restore::run(Family::V4, &words("iptables-restore"), &mut world);
        assert_eq!(
            (outcome.code, outcome.err.as_str()),
            (1, "iptables-restore: line 3 failed\n")
        );
        assert_eq!(router.table(Family::V4, Table::Filter).rules().count(), 0);
    }
}
