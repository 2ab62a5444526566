//! The arguments of `iptables` to a command, in the order and with the words of the real tool.
//!
//! Errors come in the order in which the tool meets them: first what each argument says, from left to right; then what only the whole can tell.
//! What needs the table (is this `-j` a chain?) is left to [`super::apply`].

use smallvec::SmallVec;

use super::command::{Command, Context, Listing, Parsed, ThenZero, Verb};
use super::failure::{Failure, FailureKind, Program};
use super::getopt::{Getopt, Step};
use super::options::{self, Key};
use super::rule_options::{Draft, RuleOptions};
use super::{counters, number, own_options};
use crate::base::Family;
use crate::base::bytes::exceeds;
use crate::ext;
use crate::ext::missing::{self, Kind};
use crate::rule::Counters;

/// Reads the arguments; the first is the program's name.
pub fn parse<'a>(arguments: &'a [String], context: Context<'a>) -> Parsed<'a> {
    parse_words(arguments.iter().map(String::as_str).collect(), context)
}

/// The same, of words that stand in a text.
pub(crate) fn parse_words<'a>(arguments: Vec<&'a str>, context: Context<'a>) -> Parsed<'a> {
    let mut parser = Parser {
        context,
        getopt: Getopt::new(arguments),
        rule: RuleOptions::new(context.family(), context.hosts.labels()),
        table: context.restoring.map(|it| it.table),
        given: SmallVec::new(),
        command: None,
        zero: false,
        zero_rule: false,
        chain: None,
        number: None,
        second: None,
        verbose: 0,
        wait: false,
        wait_interval: false,
        invert: false,
        counters: None,
        warnings: String::new(),
    };
    let result = parser.run();
    Parsed {
        warnings: parser.warnings,
        result,
    }
}

struct Parser<'a> {
    context: Context<'a>,
    getopt: Getopt<'a>,
    rule: RuleOptions<'a>,
    table: Option<&'a str>,
    /// The options that may be given once, as they came.
    given: SmallVec<[options::Letter; 8]>,
    command: Option<options::Letter>,
    /// `-Z` beside `-L` or `-S`.
    zero: bool,
    /// `-Z` had a rule number.
    zero_rule: bool,
    chain: Option<&'a str>,
    number: Option<usize>,
    /// The new name of `-E`, the policy of `-P`.
    second: Option<&'a str>,
    verbose: u32,
    wait: bool,
    wait_interval: bool,
    /// A `!` stands before what comes next.
    invert: bool,
    counters: Option<Counters>,
    warnings: String,
}

impl<'a> Parser<'a> {
    fn run(&mut self) -> Result<Command<'a>, Failure> {
        loop {
            let rule = &self.rule;
            // The tool's own first, then those of extensions, the latest loaded before the earlier.
            let family = self.context.family();
            let exact = |name: &str| options::long_named(name, family, Key::Own).or_else(|| rule.long_option(name));
            let long = || options::long(family, Key::Own).chain(rule.long_options());
            let step = self
                .getopt
                .next(|letter| Some((options::short(letter)?, Key::Own(letter))), exact, long);
            let at = self.getopt.index.saturating_sub(1);
            let blame = |failure: Failure| failure.at(at);
            match step {
                Step::End => break,
                Step::Word("!") => {
                    if self.invert {
                        return Err(blame(Failure::parameter("multiple consecutive ! not allowed")));
                    }
                    self.invert = true;
                    self.getopt.blank_just_passed();
                    continue;
                }
                Step::Word(word) => return Err(blame(bad_argument(word))),
                Step::Missing => {
                    let option = self.getopt.just_passed();
                    return Err(blame(Failure::parameter(format!(
                        "option \"{option}\" requires an argument"
                    ))));
                }
                Step::Unknown => {
                    // `-p tcp --dport 80`: the protocol's match is brought in once, and the argument read again.
                    if self.rule.load_implicit() {
                        self.getopt.index -= 1;
                        continue;
                    }
                    return Err(blame(self.unknown()));
                }
                Step::Option { key, value } => {
                    let ended = match key {
                        Key::Own(letter) => self.own(letter, value).map_err(blame)?,
                        Key::Extension { loaded, option } => {
                            self.extension(loaded, option, value).map_err(blame)?;
                            None
                        }
                    };
                    if let Some(verb) = ended {
                        return Ok(self.command_of(verb));
                    }
                }
            }
            self.invert = false;
        }
        self.whole()
    }

    fn unknown(&self) -> Failure {
        // The tool says what stands before its cursor, which before the first word of a restore file's line is the table it put there itself.
        let typed = match self.context.restoring {
            Some(restoring) if self.getopt.index == 1 => restoring.table,
            _ => self.getopt.just_passed(),
        };
        let failure = Failure::parameter(format!("unknown option \"{typed}\""));
        let name = typed.trim_start_matches('-').split('=').next().unwrap_or_default();
        let family = self.context.family();
        let has_it = |spec: &&ext::MatchSpec| {
            let mut options = spec.options.iter();
            spec.families.contains(&family) && options.any(|option| option.names().any(|it| it == name))
        };
        let owners: Vec<_> = ext::matches().filter(|_| !name.is_empty()).filter(has_it).collect();
        if owners.is_empty() {
            return failure;
        }
        let names: Vec<&str> = owners.iter().map(|spec| spec.name).collect();
        let before = owners.iter().map(|spec| match spec.protocol_name() {
            Some(protocol) => format!("-p {protocol}"),
            None => format!("-m {}", spec.name),
        });
        let before: Vec<String> = before.collect();
        failure.remedy(format!(
            "--{name} belongs to {}: put {} before it",
            names.join(", "),
            before.join(" or ")
        ))
    }

    fn own(&mut self, letter: char, value: Option<&'a str>) -> Result<Option<Verb<'a>>, Failure> {
        match letter {
            'A' | 'C' | 'D' | 'I' | 'R' | 'L' | 'S' | 'F' | 'Z' | 'N' | 'X' | 'E' | 'P' => self.verb(letter, value)?,
            'h' => return Ok(Some(Verb::Print(super::help::text(self.context.program, &self.rule)))),
            'V' => {
                let version = match self.invert {
                    true => "Not 1.8.9 (legacy) ;-)".to_owned(),
                    false => self.context.program.version(),
                };
                return Ok(Some(Verb::Print(version + "\n")));
            }
            'p' => {
                self.once('p')?;
                if let Some(warning) = self.rule.protocol(self.getopt.just_passed(), self.invert)? {
                    self.warnings += &warning;
                }
            }
            's' | 'd' => {
                self.once(letter)?;
                let text = self.getopt.just_passed();
                self.rule.address(letter, text, self.invert, self.getopt.index - 1);
            }
            'i' | 'o' => {
                let name = self.getopt.just_passed();
                if name.is_empty() {
                    return Err(Failure::parameter("Empty interface is likely to be undesired"));
                }
                self.once(letter)?;
                if let Some(warning) = self.rule.interface(letter, name, self.invert)? {
                    self.warnings += &warning;
                }
            }
            'f' if self.context.family() == Family::V6 => {
                return Err(Failure::parameter("`-f' is not supported in IPv6, use -m frag instead"));
            }
            'f' => {
                self.once('f')?;
                self.rule.fragment(self.invert);
            }
            'j' => {
                self.once('j')?;
                let name = self.getopt.just_passed();
                let is_announced = self.context.restoring.is_some_and(|it| it.announced.contains(name));
                self.rule.jump(name, self.getopt.index - 1, is_announced)?;
            }
            'g' => {
                self.once('j')?;
                self.rule.goto(value.unwrap_or_default(), self.getopt.index - 1)?;
            }
            'm' => {
                if self.invert {
                    return Err(Failure::parameter("unexpected ! flag before --match"));
                }
                self.rule.load_match(value.unwrap_or_default())?;
            }
            't' => {
                if self.invert {
                    return Err(Failure::parameter("unexpected ! flag before --table"));
                }
                if self.context.restoring.is_some() {
                    let name = self.context.program.name();
                    return Err(Failure::parameter(format!("The -t option cannot be used in {name}.\n")));
                }
                self.table = value;
            }
            'v' => {
                if self.verbose == 0 {
                    self.once('v')?;
                }
                self.verbose += 1;
            }
            'n' | 'x' | '0' => self.once(letter)?,
            'c' => self.count(value.unwrap_or_default())?,
            'w' => self.wait(value)?,
            'W' => self.wait_interval(value)?,
            // `--modprobe`: there is nothing to load from.
            'M' => {}
            '4' => return self.only_for(Family::V4),
            '6' => return self.only_for(Family::V6),
            _ => return Err(Failure::parameter("Unknown arg \"(null)\"")),
        }
        Ok(None)
    }

    /// `-4` and `-6`. What is not for this family is passed over in a restore file, which may be one for both.
    fn only_for(&self, family: Family) -> Result<Option<Verb<'a>>, Failure> {
        if family == self.context.family() {
            return Ok(None);
        }
        if self.context.restoring.is_some() {
            return Ok(Some(self.other_family()));
        }
        let tool = Program::Iptables(family).name();
        Err(Failure::of(FailureKind::OtherFamily(family)).remedy(format!("such rules are {tool}' business")))
    }

    /// Notes an option that may be given once.
    fn once(&mut self, letter: char) -> Result<(), Failure> {
        if self.given.contains(&letter) {
            return Err(Failure::parameter(format!("multiple -{letter} flags not allowed")));
        }
        self.given.push(letter);
        if self.invert && !['s', 'd', 'p', 'i', 'o', 'f'].contains(&letter) {
            return Err(Failure::parameter(format!("cannot have ! before -{letter}")));
        }
        Ok(())
    }

    fn verb(&mut self, letter: char, value: Option<&'a str>) -> Result<(), Failure> {
        if letter == 'N' {
            check_new_chain(value.unwrap_or_default(), self.context.family())?;
        }
        if self.invert {
            return Err(Failure::parameter("unexpected '!' flag"));
        }
        let listing = |it: char| matches!(it, 'L' | 'S');
        match self.command {
            None => self.command = Some(letter),
            Some(first) if listing(first) && letter == 'Z' && !self.zero => self.zero = true,
            Some('Z') if listing(letter) && !self.zero => {
                self.command = Some(letter);
                self.zero = true;
            }
            Some(first) => {
                // Of two commands in one the tool names -S before -Z, and -Z before -L.
                let zero_counts = !listing(letter) && (letter == 'Z' || first == 'L' || self.zero_rule);
                let first = if self.zero && zero_counts { 'Z' } else { first };
                return Err(Failure::parameter(format!("Cannot use -{letter} with -{first}")));
            }
        }
        match letter {
            'A' | 'C' | 'N' => self.chain = value,
            'D' | 'I' => {
                self.chain = value;
                if let Some(text) = self.getopt.plain() {
                    self.number = Some(rule_number(text).map_err(|it| it.at(self.getopt.index - 1))?);
                }
            }
            'R' => {
                self.chain = value;
                let Some(text) = self.getopt.plain() else {
                    return Err(Failure::parameter("-R requires a rule number"));
                };
                self.number = Some(rule_number(text).map_err(|it| it.at(self.getopt.index - 1))?);
            }
            'L' | 'S' | 'Z' | 'F' | 'X' => {
                if let Some(chain) = value.or_else(|| self.getopt.plain()) {
                    self.chain = Some(chain);
                }
                if !matches!(letter, 'F' | 'X')
                    && let Some(text) = self.getopt.plain()
                {
                    self.number = Some(rule_number(text).map_err(|it| it.at(self.getopt.index - 1))?);
                    if letter == 'Z' {
                        // `-L -Z INPUT 1` forgets the list; `-Z INPUT 1 -L` does not.
                        self.command = Some('Z');
                        self.zero = false;
                        self.zero_rule = true;
                    }
                }
            }
            _ => {
                self.chain = value;
                self.second = self.getopt.plain();
                if self.second.is_none() {
                    return Err(Failure::parameter(match letter {
                        'E' => "-E requires old-chain-name and new-chain-name",
                        _ => "-P requires a chain and a policy",
                    }));
                }
            }
        }
        Ok(())
    }

    /// `-c 1 2` or `-c 1,2`. A comma that comes first parts nothing.
    fn count(&mut self, first: &'a str) -> Result<(), Failure> {
        self.once('c')?;
        let comma = first.bytes().skip(1).position(|it| it == b',');
        let bytes = match comma.map(|at| &first[at + 2..]) {
            Some(bytes) => bytes,
            None => self
                .getopt
                .plain()
                .ok_or_else(|| Failure::parameter("-c requires packet and byte counter"))?,
        };
        let packets = counters::parse_one(first).ok_or_else(|| Failure::parameter("-c packet counter not numeric"))?;
        let bytes = counters::parse_one(bytes).ok_or_else(|| Failure::parameter("-c byte counter not numeric"))?;
        self.counters = Some(Counters { packets, bytes });
        Ok(())
    }

    /// Nobody else holds a lab's rules, so there is nothing to wait for; what is typed is looked at all the same. Seen: ip6tables-restore calls
    /// itself by its fellow's name here.
    fn wait(&mut self, value: Option<&'a str>) -> Result<(), Failure> {
        if self.context.restoring.is_some() {
            return Err(Failure::parameter("You cannot use `-w' from iptables-restore"));
        }
        self.wait = true;
        own_options::wait_seconds(value.or_else(|| self.getopt.plain()))
    }

    fn wait_interval(&mut self, value: Option<&'a str>) -> Result<(), Failure> {
        if self.context.restoring.is_some() {
            return Err(Failure::parameter("You cannot use `-W' from iptables-restore"));
        }
        self.warnings += own_options::wait_interval(value.or_else(|| self.getopt.plain()))?;
        self.wait_interval = true;
        Ok(())
    }

    fn extension(&mut self, loaded: usize, option: usize, value: Option<&'a str>) -> Result<(), Failure> {
        let spec = self.rule.option(loaded, option);
        let mut arguments: SmallVec<[&str; 2]> = value.into_iter().collect();
        let at = self.getopt.index - 1;
        while arguments.len() < spec.value.arity() {
            match self.getopt.plain() {
                Some(next) => arguments.push(next),
                None => break,
            }
        }
        let remark = self.rule.give(loaded, option, &arguments, self.invert, at)?;
        self.warnings += remark.as_deref().unwrap_or_default();
        Ok(())
    }

    /// What only the whole can tell, in the tool's order.
    fn whole(&mut self) -> Result<Command<'a>, Failure> {
        let table = self.table.unwrap_or("filter");
        let policy = self.second.filter(|_| self.command == Some('P'));
        if table == "nat" && (policy == Some("DROP") || self.rule.jump_name() == Some("DROP")) {
            return Err(Failure::parameter(NAT_DOES_NOT_FILTER).remedy("drop in the filter or raw table"));
        }
        if self.wait_interval && !self.wait {
            return Err(Failure::parameter("--wait-interval only makes sense with --wait\n"));
        }
        let (matches, target) = self.rule.finish()?;
        if self.getopt.has_left_over() {
            let at = self.getopt.index;
            return Err(Failure::parameter("unknown arguments found on commandline").at(at));
        }
        let Some(letter) = self.command else {
            return Err(Failure::parameter("no command specified").remedy("-A, -I, -D, -L, ...: -h lists them"));
        };
        if self.invert {
            return Err(Failure::parameter("nothing appropriate following !"));
        }
        let delete_number = letter == 'D' && self.number.is_some();
        let selectors = self.rule.selectors(self.context.hosts)?;
        if letter == 'R' && selectors.len() != 1 {
            return Err(Failure::parameter("Replacement rule does not specify a unique address"));
        }
        for option in options::CHECKED {
            if self.given.contains(&option) && !options::allowed(letter, delete_number, option) {
                return Err(Failure::parameter(format!(
                    "Illegal option `-{option}' with this command"
                )));
            }
        }
        if let Some(chain) = self.chain {
            check_chain(chain, &self.rule)?;
        }
        let draft = Draft {
            selectors,
            matches,
            jump: self.rule.resolved_jump(target),
            counters: self.counters,
        };
        Ok(self.command_of(self.verb_of(letter, draft)))
    }

    /// The other family's `-4` or `-6` in a restore file: the line is read no further, and does what it said so far, with no rule at all.
    fn other_family(&self) -> Verb<'a> {
        let Some(letter) = self.command else {
            return Verb::Nothing;
        };
        let draft = Draft {
            selectors: SmallVec::new(),
            matches: Vec::new(),
            jump: self.rule.unfinished_jump(),
            counters: None,
        };
        self.verb_of(letter, draft)
    }

    fn verb_of(&self, letter: options::Letter, draft: Draft<'a>) -> Verb<'a> {
        let chain = || self.chain.unwrap_or_default();
        let listing = || Listing {
            chain: self.chain,
            number: self.number,
            then_zero: match (self.zero, self.zero_rule) {
                (false, _) => ThenZero::Nothing,
                (true, false) => ThenZero::Chains,
                (true, true) => ThenZero::Rule,
            },
        };
        let number = self.number.unwrap_or(1);
        match letter {
            'A' => Verb::Append { chain: chain(), draft },
            'I' => Verb::Insert {
                chain: chain(),
                number,
                draft,
            },
            'R' => Verb::Replace {
                chain: chain(),
                number,
                draft,
            },
            'C' => Verb::Check { chain: chain(), draft },
            'D' if self.number.is_some() => Verb::DeleteNumber { chain: chain(), number },
            'D' => Verb::Delete { chain: chain(), draft },
            'L' => Verb::List(listing()),
            'S' => Verb::ListRules(listing()),
            'F' => Verb::Flush { chain: self.chain },
            'Z' => Verb::Zero {
                chain: self.chain,
                number: self.number,
            },
            'N' => Verb::New { chain: chain() },
            'X' => Verb::DeleteChain { chain: self.chain },
            'E' => Verb::Rename {
                chain: chain(),
                to: self.second.unwrap_or_default(),
            },
            _ => Verb::Policy {
                chain: chain(),
                policy: self.second.unwrap_or_default(),
                counters: self.counters,
            },
        }
    }

    fn command_of(&self, verb: Verb<'a>) -> Command<'a> {
        Command {
            family: self.context.family(),
            table: self.table.unwrap_or("filter"),
            verbose: self.verbose > 0,
            numeric: self.given.contains(&'n'),
            exact: self.given.contains(&'x'),
            line_numbers: self.given.contains(&'0'),
            verb,
        }
    }
}

fn bad_argument(word: &str) -> Failure {
    Failure::of(FailureKind::BadArgument(word.to_owned()))
        .remedy("an option with its dashes is missing before it, or quotes around it")
}

fn rule_number(text: &str) -> Result<usize, Failure> {
    number::whole(text, 1, i32::MAX as u64)
        .map(|number| number as usize)
        .ok_or_else(|| Failure::parameter(format!("Invalid rule number `{text}'")).remedy("rules count from 1"))
}

/// The chain of a command: its length, and whether the rule's interfaces can be known there.
fn check_chain(chain: &str, rule: &RuleOptions<'_>) -> Result<(), Failure> {
    if exceeds(chain, LONGEST_CHAIN) {
        return Err(too_long(chain));
    }
    let cannot = match chain {
        "PREROUTING" | "INPUT" if rule.has_output() => 'o',
        "POSTROUTING" | "OUTPUT" if rule.has_input() => 'i',
        _ => return Ok(()),
    };
    Err(Failure::parameter(format!("Can't use -{cannot} with {chain}\n")))
}

fn too_long(chain: &str) -> Failure {
    Failure::parameter(format!(
        "chain name `{chain}' too long (must be under {} chars)",
        LONGEST_CHAIN + 1
    ))
}

/// The name of a chain to make.
fn check_new_chain(name: &str, family: Family) -> Result<(), Failure> {
    if exceeds(name, LONGEST_CHAIN) {
        return Err(too_long(name));
    }
    if let Some(first) = name.chars().next().filter(|it| ['-', '!'].contains(it)) {
        return Err(Failure::parameter(format!(
            "chain name not allowed to start with `{first}'"
        )));
    }
    let is_target = ext::find_target(name, family).is_some() || missing::find(Kind::Target, name, family).is_some();
    if matches!(name, "" | "ACCEPT" | "DROP" | "QUEUE" | "RETURN") || is_target {
        return Err(Failure::parameter("chain name may not clash with target name"));
    }
    if name.contains(is_space) {
        return Err(Failure::parameter(format!("Invalid chain name `{name}'")));
    }
    Ok(())
}

pub(super) fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Bytes of a chain's or target's name.
pub(super) const LONGEST_CHAIN: usize = 28;

pub(super) const WAIT_INTERVAL_IS_GONE: &str = "Ignoring deprecated --wait-interval option.\n";

const NAT_DOES_NOT_FILTER: &str =
    "\nThe \"nat\" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Selector;
    use crate::text::StaticHosts;

    fn read<T>(line: &str, look: impl FnOnce(Result<Command<'_>, Failure>) -> T) -> T {
        let arguments: Vec<String> = format!("iptables {line}").split(' ').map(str::to_owned).collect();
        let hosts = StaticHosts::localhost();
        let context = Context {
            program: Program::Iptables(Family::V4),
            hosts: &hosts,
            restoring: None,
        };
        look(parse(&arguments, context).result)
    }

    fn refused(line: &str) -> Failure {
        read(line, |it| it.expect_err("a line that is refused"))
    }

    /// Of what else the number is called nothing comes, as the real tools were seen to do.
    #[test]
    fn a_protocol_brings_its_match_by_a_name_of_that() {
        for (family, typed, is_brought) in [
            (Family::V6, "-A INPUT -p mh --mh-type 1", true),
            (Family::V6, "-A INPUT -p MH --mh-type 1", true),
            (Family::V6, "-A INPUT -p 135 --mh-type 1", false),
            (Family::V6, "-A INPUT -p mobility-header --mh-type 1", false),
            (Family::V6, "-A INPUT -p ipv6-mh --mh-type 1", false),
            (Family::V6, "-A INPUT -p mobility-header -m mh --mh-type 1", true),
            (Family::V6, "-A INPUT -p ipv6-icmp --icmpv6-type 1", true),
            (Family::V6, "-A INPUT -p icmpv6 --icmpv6-type 1", true),
            (Family::V6, "-A INPUT -p 58 --icmpv6-type 1", true),
            (Family::V6, "-A INPUT -p ah --ahlen 24", true),
            (Family::V4, "-A INPUT -p ah --ahlen 24", false),
            (Family::V4, "-A INPUT -p 51 --ahspi 5", true),
            (Family::V4, "-A INPUT -p 0x6 --dport 80", true),
        ] {
            let arguments: Vec<String> = format!("x {typed}").split(' ').map(str::to_owned).collect();
            let context = Context {
                program: Program::Iptables(family),
                hosts: &StaticHosts::localhost(),
                restoring: None,
            };
            let said = parse(&arguments, context).result.map(drop);
            assert_eq!(said.is_ok(), is_brought, "{typed}: {said:?}");
        }
    }

    #[test]
    fn errors_blame_the_argument() {
        for (line, blamed) in [
            ("-A INPUT -p nope", Some(4)),
            ("-A INPUT --dport 80", Some(3)),
            ("-A INPUT -s 10.0.0.1/40 -j ACCEPT", Some(4)),
            ("-A INPUT -j ACCEPT extra", Some(5)),
            ("-D INPUT 0", Some(3)),
            ("-A INPUT -p tcp --dport 99999", Some(6)),
            ("-A INPUT -m nope", Some(4)),
            ("-L -- INPUT", Some(3)),
            ("-j ACCEPT", None),
        ] {
            let failure = refused(line);
            assert_eq!(failure.place.argument, blamed, "{line}: {failure:?}");
        }
    }

    #[test]
    fn of_two_commands_only_a_listing_and_z_go_together() {
        for (line, said) in [
            ("-Z -L", None),
            ("-L -Z", None),
            ("-S -Z", None),
            ("-Z -S", None),
            ("-Z -A INPUT", Some("Cannot use -A with -Z")),
            ("-L -A INPUT", Some("Cannot use -A with -L")),
            ("-A INPUT -Z", Some("Cannot use -Z with -A")),
            ("-Z -Z", Some("Cannot use -Z with -Z")),
            ("-L -Z -Z", Some("Cannot use -Z with -Z")),
            ("-F -X", Some("Cannot use -X with -F")),
        ] {
            let refused = read(line, |it| it.err().map(|failure| format!("{failure:?}")));
            assert_eq!(refused.is_some(), said.is_some(), "{line}: {refused:?}");
            assert!(refused.unwrap_or_default().contains(said.unwrap_or_default()), "{line}");
        }
    }

    #[test]
    fn options_of_all_that_is_loaded_are_taken_in_any_order() {
        for line in [
            "-A INPUT -p tcp -m tcp -m comment --comment x --dport 80 -j ACCEPT",
            "-A INPUT -p tcp -m ttl --dport 80 -j REJECT --ttl-eq 64 --reject-with tcp-reset --sport 1",
            "-A INPUT -p tcp -m tcp --dport 80 -m tcp --dpor 81",
        ] {
            read(line, |it| assert!(it.is_ok(), "{line}: {:?}", it.err()));
        }
    }

    #[test]
    fn a_new_chain_has_a_name_without_blanks() {
        for name in ["a b", "a\tb", "a\nb", "a\rb", "a\u{b}b", "a\u{c}b"] {
            let failure = check_new_chain(name, Family::V4).unwrap_err();
            assert!(format!("{failure:?}").contains("Invalid chain name"), "{failure:?}");
        }
        for name in ["a", "a.b", "a\u{a0}b"] {
            assert!(check_new_chain(name, Family::V4).is_ok(), "{name}");
        }
    }

    #[test]
    fn one_command_makes_so_many_rules_and_no_more() {
        let made = |sources: usize, destinations: usize| {
            let list = |count| vec!["1"; count].join(",");
            let line = format!("-A INPUT -s {} -d {}", list(sources), list(destinations));
            read(&line, |it| it.map(drop))
        };
        assert!(made(1 << 9, 1 << 9).is_ok());
        let failure = made(1 << 9, 1 + (1 << 9)).unwrap_err();
        let said = failure.explain();
        assert!(
            said.contains("512 source and 513 destination addresses are 262656 rules"),
            "{said}"
        );
        assert!(
            said.contains("262144 that one command may make") && said.contains("several commands"),
            "{said}"
        );
    }

    #[test]
    fn remedies_name_what_is_missing() {
        for (line, expected) in [
            (
                "-A INPUT --dport 80",
                "put -p dccp or -p sctp or -p tcp or -p udp before it",
            ),
            ("-A INPUT --ctstate NEW", "put -m conntrack before it"),
            ("-A INPUT -m nope", "there are: "),
        ] {
            let said = refused(line).explain();
            assert!(said.contains(expected), "{line}: {said}");
        }
    }

    #[test]
    fn addresses_make_rules() {
        let pairs = read("-A INPUT -s 1.1.1.1,2.2.2.2 -d 3.3.3.3,4.4.4.4", |command| {
            let Ok(Command {
                verb: Verb::Append { draft, .. },
                ..
            }) = command
            else {
                panic!("a rule to append");
            };
            let pair = |it: &Selector| format!("{}>{}", it.source.address(), it.destination.address());
            draft.selectors.iter().map(pair).collect::<Vec<_>>()
        });
        assert_eq!(
            pairs,
            [
                "1.1.1.1>3.3.3.3",
                "1.1.1.1>4.4.4.4",
                "2.2.2.2>3.3.3.3",
                "2.2.2.2>4.4.4.4"
            ]
        );
    }
}
