//! What `iptables -S` printed: `-P`, `-N` and `-A`, of a whole table or of one chain, with counters or without.

use std::collections::HashSet;

use super::build::Built;
use super::draft::{Chain, Command, Draft};
use super::kind::Kind;
use super::{Options, Told, place, script};
use crate::rule::{Counters, Table};
use crate::syntax::problem::Source;
use crate::text::restore::{self, Argument};

/// Every table that the text tells. A `-P` behind a rule, or for a chain that had one, begins the next.
pub(super) fn read(source: &Source, options: &Options, told: &mut Told) -> Vec<Draft> {
    let mut reader = Reader {
        source: &source.name,
        options,
        draft: None,
        chains: HashSet::new(),
        named: None,
        done: Vec::new(),
        trial: Built::new(),
    };
    for (at, line) in source.text.lines().enumerate() {
        let number = at + 1;
        if let Err(why) = reader.line(line, number, told) {
            told.refuse(&source.name, number, why);
        }
    }
    reader.close(told);
    reader.done
}

struct Reader<'a> {
    source: &'a str,
    options: &'a Options,
    draft: Option<Draft>,
    /// The draft's chains.
    chains: HashSet<String>,
    /// By a prompt above.
    named: Option<Table>,
    done: Vec<Draft>,
    /// Where it is tried which table takes a draft.
    trial: Built,
}

impl Reader<'_> {
    fn line(&mut self, line: &str, number: usize, told: &mut Told) -> Result<(), String> {
        let line = line.trim();
        if let Some(words) = script::prompted(line) {
            self.close(told);
            self.named = Some(script::table_of(&words)?);
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
                    self.close(told);
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
            table: Table::Filter,
            chains: Vec::new(),
            commands: Vec::new(),
            counted: false,
            form: None,
        })
    }

    fn close(&mut self, told: &mut Told) {
        let Some(draft) = self.draft.take() else { return };
        self.chains.clear();
        let built_in: Vec<&str> = draft
            .chains
            .iter()
            .filter(|it| it.policy.is_some())
            .map(|it| it.name.as_str())
            .collect();
        let whole = place::is_whole(&built_in);
        if let Some(settled) = place::settle(draft, self.named.take(), whole, self.options, told, &mut self.trial) {
            self.done.push(settled);
        }
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
