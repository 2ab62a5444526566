//! What `iptables -S` printed: `-P`, `-N` and `-A`, of a whole table or of one chain, with counters or without.

use std::collections::HashSet;

use super::build::Built;
use super::draft::{Chain, Command, Draft};
use super::family::{self, Named};
use super::kind::Kind;
use super::{Options, Told, place, script};
use crate::base::Family;
use crate::rule::{Counters, Table};
use crate::syntax::problem::Source;
use crate::text::restore::{self, Argument};

/// Every table that the text tells. A `-P` behind a rule, or for a chain that had one, begins the next.
pub(super) fn read(source: &Source, options: &Options, told: &mut Told) -> Vec<Draft> {
    let mut reader = Reader {
        source: &source.name,
        draft: None,
        chains: HashSet::new(),
        named: Named::default(),
        done: Vec::new(),
    };
    for (at, line) in source.text.lines().enumerate() {
        let number = at + 1;
        if let Err(why) = reader.line(line, number) {
            told.refuse(&source.name, number, why);
        }
    }
    reader.close();
    let read = |(draft, named): &(Draft, Named), family, told: &mut Told, trial: &mut Built| {
        let draft = draft.of(family);
        let whole = place::is_whole(&draft.built_in());
        place::settle(draft, named.table, whole, options, told, trial)
    };
    family::read_each(
        &reader.done,
        |it| it.1.or_by_addresses(&it.0.commands),
        options,
        told,
        &mut Built::new(),
        read,
    )
}

struct Reader<'a> {
    source: &'a str,
    draft: Option<Draft>,
    /// The draft's chains.
    chains: HashSet<String>,
    /// By a prompt above.
    named: Named,
    done: Vec<(Draft, Named)>,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, number: usize) -> Result<(), String> {
        let line = line.trim();
        if let Some(words) = script::prompted(line) {
            self.close();
            self.named = script::named(&words)?;
            return Ok(());
        }
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let words = restore::arguments(line).map_err(|failure| failure.explain())?;
        let texts: Vec<&str> = words.iter().map(|it| &*it.text).collect();
        match texts[..] {
            ["-P", chain, policy, ref counters @ ..] => {
                if self.ends_before(chain) {
                    self.close();
                }
                let counters = policy_counters(counters)?;
                self.chains.insert(chain.to_owned());
                let draft = self.draft(number);
                draft.counted |= counters.is_some();
                draft.chains.push(Chain {
                    line: number,
                    name: chain.to_owned(),
                    policy: Some(policy.to_owned()),
                    counters,
                });
            }
            ["-N", chain] => {
                self.chains.insert(chain.to_owned());
                self.draft(number).chains.push(Chain {
                    line: number,
                    name: chain.to_owned(),
                    policy: None,
                    counters: None,
                });
            }
            ["-A", ..] => {
                let draft = self.draft(number);
                draft.counted |= texts.contains(&"-c");
                let program = Argument::made("iptables-restore");
                let words = std::iter::once(program).chain(words.into_iter().map(Argument::kept));
                draft.commands.push(Command {
                    line: number,
                    words: words.collect(),
                });
            }
            _ => {
                return Err(format!(
                    "`{line}`: expected -P CHAIN POLICY, -N CHAIN or -A CHAIN ..., which is what -S prints"
                ));
            }
        }
        Ok(())
    }

    fn ends_before(&self, chain: &str) -> bool {
        self.draft
            .as_ref()
            .is_some_and(|draft| !draft.commands.is_empty() || self.chains.contains(chain))
    }

    fn draft(&mut self, line: usize) -> &mut Draft {
        let source = self.source;
        self.draft.get_or_insert_with(|| Draft {
            source: source.to_owned(),
            kind: Kind::Commands,
            line,
            family: Family::V4,
            table: Table::Filter,
            chains: Vec::new(),
            commands: Vec::new(),
            counted: false,
            form: None,
        })
    }

    fn close(&mut self) {
        let Some(draft) = self.draft.take() else { return };
        self.chains.clear();
        self.done.push((draft, std::mem::take(&mut self.named)));
    }
}

/// `-c PACKETS BYTES` behind a policy.
fn policy_counters(words: &[&str]) -> Result<Option<Counters>, String> {
    let number = |text: &str| text.parse::<u64>().ok();
    match words {
        [] => Ok(None),
        ["-c", packets, bytes] => match (number(packets), number(bytes)) {
            (Some(packets), Some(bytes)) => Ok(Some(Counters { packets, bytes })),
            _ => Err(format!("`-c {packets} {bytes}`: expected two numbers")),
        },
        _ => Err(format!(
            "`{}` behind the policy; expected nothing, or -c PACKETS BYTES",
            words.join(" ")
        )),
    }
}
