//! What comes into force and what is refused; what an edit shares with the table before is what compiling all of it makes.

use std::collections::HashMap;

use super::*;
use crate::base::{Family, Random};
use crate::engine::example;
use crate::rule::{Context, Count, Hook, Match, Matched, Selector, State};

fn compiled(rules: TableRules) -> Result<CompiledTable, Refusal> {
    let before = Before {
        table: None,
        shared: SharedStates::default(),
    };
    CompiledTable::compile(rules, before, Around::nothing(), 2, Time::ZERO).map(|(table, _)| table)
}

fn rule(action: Action) -> Arc<Rule> {
    Arc::new(Rule {
        id: CountId::fresh(),
        count: Count::Keep,
        selector: Selector::any(Family::V4),
        matches: Vec::new(),
        action,
    })
}

fn table(chains: &[(&str, &[Action])]) -> TableRules {
    let mut table = TableRules::new(Family::V4, Table::Filter);
    for (name, actions) in chains {
        if table.chain(name).is_none() {
            table.chains.push(Chain {
                name: (*name).to_owned(),
                kind: ChainKind::User,
                rules: Vec::new(),
            });
        }
        let rules = actions.iter().cloned().map(rule).collect();
        table.chain_mut(name).unwrap().rules = rules;
    }
    table
}

#[test]
fn loops_are_refused_and_diamonds_are_not() {
    let jump = |name: &str| Action::Jump(name.to_owned());
    let diamond = table(&[
        ("INPUT", &[jump("a"), jump("b")]),
        ("a", &[jump("c")]),
        ("b", &[jump("c")]),
        ("c", &[]),
    ]);
    assert!(compiled(diamond).is_ok());
    let looped = table(&[("INPUT", &[jump("a")]), ("a", &[jump("b")]), ("b", &[jump("a")])]);
    let refusal = compiled(looped).unwrap_err();
    assert_eq!(refusal.errno, Errno::TooManyLevels);
    let own = table(&[("INPUT", &[jump("a")]), ("a", &[Action::Goto("a".to_owned())])]);
    assert_eq!(compiled(own).unwrap_err().errno, Errno::TooManyLevels);
}

/// Seen with iptables-legacy 1.8.9 on a kernel 6.18.
#[test]
fn a_loop_behind_a_rule_that_stops_everything_is_taken() {
    let jump = |name: &str| Action::Jump(name.to_owned());
    let refused = |stop: Action| {
        let looped = table(&[("INPUT", &[jump("a")]), ("a", &[stop, jump("a")])]);
        compiled(looped).is_err()
    };
    for stop in [Action::Accept, Action::Drop, Action::Return, Action::Queue] {
        assert!(!refused(stop));
    }
    assert!(refused(Action::Nothing));
    let mut conditional = table(&[("INPUT", &[jump("a")]), ("a", &[Action::Accept, jump("a")])]);
    let chain = conditional.chains.iter_mut().find(|chain| chain.name == "a").unwrap();
    Arc::make_mut(&mut chain.rules[0]).selector.source_inverted = true;
    assert!(compiled(conditional).is_err());
}

#[test]
fn a_loop_that_no_hook_reaches_is_taken() {
    let jump = |name: &str| Action::Jump(name.to_owned());
    let unreached = table(&[("a", &[jump("b")]), ("b", &[jump("a")])]);
    assert!(compiled(unreached).is_ok());
}

#[test]
fn jumps_into_nowhere_are_refused() {
    let lost = table(&[("INPUT", &[Action::Jump("nowhere".to_owned())])]);
    assert_eq!(compiled(lost).unwrap_err().errno, Errno::NoEntry);
}

/// What an edit shares with the table before is what compiling the whole table makes: the same steps or the same refusal, and counters that go on.
#[test]
fn an_edited_table_is_the_same_as_one_made_whole() {
    let mut random = Random::new(12);
    let mut edited = Edited::new();
    for _ in 0..EDITS {
        edited.edit(&mut random);
    }
    // Of each kind there was enough, for the test to mean something.
    assert!(edited.refused > EDITS / 50, "{} refused", edited.refused);
    assert!(
        edited.shared > 5 * edited.made,
        "{} shared, {} made",
        edited.shared,
        edited.made
    );
}

const EDITS: usize = 2_000;

/// A table that is edited over and over, and what its rules must have counted.
struct Edited {
    rules: TableRules,
    table: CompiledTable,
    counted: HashMap<CountId, Counters>,
    refused: usize,
    shared: usize,
    made: usize,
}

/// Has state, and may not stand where packets come to the router itself.
#[derive(Debug, PartialEq)]
struct Remembers;

impl Match for Remembers {
    fn name(&self) -> &'static str {
        "remembers"
    }

    fn evaluate(&self, _: &Context<'_>) -> Matched {
        Matched::Yes
    }

    fn explain(&self, _: &Context<'_>) -> String {
        String::new()
    }

    fn save(&self, _: &mut String) {}

    fn list(&self, _: &mut String, _: bool) {}

    fn state(&self, _: Time) -> Option<Box<State>> {
        Some(Box::new(()))
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        match scope.hooks.contains(Hook::Input) {
            true => Err(Refusal::unlogged(Errno::InvalidArgument, "not here")),
            false => Ok(()),
        }
    }
}

impl Edited {
    fn new() -> Self {
        let rules = example::table(
            Table::Filter,
            &[
                ("INPUT", &["from lan accept", "jump a"]),
                ("FORWARD", &["yes", "jump b", "drop"]),
                ("a", &["no drop", "MARK 1"]),
                ("b", &["tells x", "goto c"]),
                ("c", &[]),
            ],
        );
        let table = compiled(rules.clone()).unwrap();
        Self {
            rules,
            table,
            counted: HashMap::new(),
            refused: 0,
            shared: 0,
            made: 0,
        }
    }

    fn edit(&mut self, random: &mut Random) {
        let mut rules = self.rules.clone();
        change(&mut rules, random);
        let before = |table| Before {
            table,
            shared: SharedStates::default(),
        };
        let compile = |table| CompiledTable::compile(rules.clone(), before(table), Around::nothing(), 2, Time::ZERO);
        let (edited, whole) = match (compile(Some(&self.table)), compile(None)) {
            (Ok(edited), Ok((whole, _))) => (edited, whole),
            (edited, whole) => {
                assert_eq!(edited.err(), whole.err());
                self.refused += 1;
                return;
            }
        };
        let (table, seen) = edited;
        assert_eq!(shape(&table), shape(&whole));
        for (counter, seen) in seen {
            counter.hide(seen);
        }
        self.note_counts(&rules, &table);
        for step in &table.steps {
            let StepKind::Rule(bound) = &step.kind else { continue };
            let is_shared = Arc::strong_count(bound) > 1;
            assert!(!is_shared || bound.matches.iter().all(|it| it.state.is_none()));
            *(if is_shared { &mut self.shared } else { &mut self.made }) += 1;
        }
        self.rules = table.rules.clone();
        self.table = table;
        self.count(random);
    }

    /// Counters are what their rules said they should become.
    fn note_counts(&mut self, rules: &TableRules, table: &CompiledTable) {
        let said = rules.rules().map(|rule| (rule.id, rule.count));
        let policies = rules.chains.iter().filter_map(|chain| match chain.kind {
            ChainKind::BuiltIn { id, count, .. } => Some((id, count)),
            ChainKind::User => None,
        });
        let mut counted = HashMap::new();
        for (id, count) in said.chain(policies) {
            let before = self.counted.get(&id).copied().unwrap_or_default();
            let now = match count {
                Count::Keep => before,
                Count::Set(counters) => counters,
                Count::Seen(seen) => Counters {
                    packets: before.packets.wrapping_sub(seen.packets),
                    bytes: before.bytes.wrapping_sub(seen.bytes),
                },
            };
            counted.insert(id, now);
        }
        let counters = table
            .steps
            .iter()
            .filter_map(|it| Some((it.id()?, it.counter()?.sum())));
        assert_eq!(counters.collect::<HashMap<_, _>>(), counted);
        self.counted = counted;
    }

    /// Some packets pass.
    fn count(&mut self, random: &mut Random) {
        for _ in 0..4 {
            let step = &self.table.steps[below(random, self.table.steps.len())];
            if let (Some(id), Some(counter)) = (step.id(), step.counter()) {
                counter.count(below(random, 2), 10);
                let counted = self.counted.get_mut(&id).unwrap();
                counted.packets = counted.packets.wrapping_add(1);
                counted.bytes = counted.bytes.wrapping_add(10);
            }
        }
    }
}

fn below(random: &mut Random, bound: usize) -> usize {
    (random.next_u64() % bound as u64) as usize
}

/// As commands do, also such as are refused.
fn change(rules: &mut TableRules, random: &mut Random) {
    let at = below(random, rules.chains.len());
    let names: Vec<String> = rules.chains.iter().map(|it| it.name.clone()).collect();
    let user = |names: &[String], random: &mut Random| names[below(random, names.len())].clone();
    let new = |random: &mut Random| {
        let to = user(&names, random);
        let mut rule = example::rule(match below(random, 12) {
            0 => "accept",
            1 => "yes drop",
            2 => "return",
            3 => "MARK 7",
            4 => "in none",
            5 => "tells me",
            6 => "DROP",
            7 | 8 => "",
            _ => "from wan",
        });
        let own = Arc::make_mut(&mut rule);
        match below(random, 12) {
            0 | 1 => own.action = Action::Jump(to),
            2 => own.action = Action::Goto(to),
            3 => own.matches.push(Arc::new(Remembers)),
            4 => own.action = Action::Jump("nowhere".to_owned()),
            _ => {}
        }
        let counters = Counters {
            packets: random.next_u64() % 9,
            bytes: 5,
        };
        own.count = [Count::Keep, Count::Set(counters)][below(random, 2)];
        rule
    };
    let length = rules.chains[at].rules.len();
    let (few, is_user) = (rules.chains.len() < 8, rules.chains[at].kind == ChainKind::User);
    let chain = &mut rules.chains[at].rules;
    match below(random, 20) {
        0..8 if length < 12 => chain.insert(below(random, length + 1), new(random)),
        8 if length > 0 => chain[below(random, length)] = new(random),
        9 if length > 1 => {
            let (one, other) = (below(random, length), below(random, length));
            chain.swap(one, other);
        }
        10 => chain.clear(),
        11 if length > 0 => {
            let count = [
                Count::Set(Counters::default()),
                Count::Seen(Counters { packets: 1, bytes: 9 }),
            ];
            Arc::make_mut(&mut chain[below(random, length)]).count = count[below(random, 2)];
        }
        12 => {
            if let ChainKind::BuiltIn { policy, count, .. } = &mut rules.chains[at].kind {
                *policy = [Policy::Accept, Policy::Drop][below(random, 2)];
                *count = Count::Set(Counters::default());
            }
        }
        13 if few => rules.chains.push(Chain {
            name: format!("n{}", random.next_u64() % 1_000),
            kind: ChainKind::User,
            rules: vec![new(random)],
        }),
        14 if is_user => {
            rules.chains.remove(at);
        }
        _ if length > 0 => {
            chain.remove(below(random, length));
        }
        _ => {}
    }
}

/// Everything of a table that packets meet.
fn shape(table: &CompiledTable) -> Vec<String> {
    let step = |step: &Step| {
        let Step {
            kind,
            chain,
            number,
            leads_to,
            hooks,
        } = step;
        let kind = match kind {
            StepKind::Rule(bound) => {
                let BoundRule {
                    rule,
                    matches,
                    does,
                    target,
                    selector,
                    traits,
                    ..
                } = &**bound;
                let matches: Vec<_> = matches.iter().map(|it| (&it.test, it.state.is_some())).collect();
                let target = target.as_ref().map(|it| &it.target);
                format!("{rule:?} {matches:?} {does:?} {target:?} {selector:?} {traits:?}")
            }
            StepKind::Policy(end) => format!("{:?} {:?}", end.policy, end.id),
            StepKind::End => "end".to_owned(),
        };
        format!("{chain} {number} {leads_to} {hooks:?} {kind}")
    };
    let whole = format!(
        "{:?} {:?} {} {} {}",
        table.entries, table.names, table.needs_conntrack, table.needs_labels, table.tcp_flags
    );
    let rules = format!("{:?}", table.rules);
    table.steps.iter().map(step).chain([whole, rules]).collect()
}

/// One rule that comes is one that is made.
#[test]
fn an_insert_shares_all_the_others() {
    let rules = table(&[("FORWARD", &[const { Action::Nothing }; 100])]);
    let before = compiled(rules).unwrap();
    let mut rules = before.rules.clone();
    rules
        .chain_mut("FORWARD")
        .unwrap()
        .rules
        .insert(0, rule(Action::Accept));
    let after = Before {
        table: Some(&before),
        shared: SharedStates::default(),
    };
    let (edited, _) = CompiledTable::compile(rules, after, Around::nothing(), 1, Time::ZERO).unwrap();
    let bound = |table: &CompiledTable| -> Vec<*const BoundRule> {
        let rules = table.steps.iter().filter_map(|it| match &it.kind {
            StepKind::Rule(bound) => Some(Arc::as_ptr(bound)),
            StepKind::Policy(_) | StepKind::End => None,
        });
        rules.collect()
    };
    assert_eq!(bound(&edited)[1..], bound(&before));
    assert_eq!(bound(&before).len(), 100);
}

/// Packets ask for it, so it must not hang on how many chains there are; what was a chain's first step may be any step, or none, after a change.
#[test]
fn the_index_of_a_chain_is_found_by_any_of_its_steps() {
    let many = vec![Action::Accept; crate::classify::FEWEST_RULES];
    let table = table(&[("FORWARD", &many), ("few", &many[..2]), ("many", &many), ("none", &[])]);
    let compiled = compiled(table).unwrap();
    let mut start = 0;
    for (number, chain) in compiled.rules.chains.iter().enumerate() {
        let index = compiled.indexes.of_chain(number as u32);
        let end = start + chain.rules.len() as u32;
        for step in start..=end {
            let found = compiled.index_at(step);
            assert_eq!(found.map(|(_, start)| start), index.map(|_| start), "{}", chain.name);
            assert!(found.map(|(found, _)| std::ptr::from_ref(found)) == index.map(std::ptr::from_ref));
        }
        start = end + 1;
    }
    assert!(compiled.index_at(start).is_none());
}
