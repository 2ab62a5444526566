//! What was probably meant by a word that `iptables` does not know: told beside the real tool's words, never instead of them, and where a whole line
//! is put right that has lost its blanks.

use crate::base::Family;
use crate::conntrack::proto;
use crate::ext::option::OptionSpec;
use crate::ext::{self, like, names};
use crate::rule::{Hook, Table};
use crate::syntax::problem::suggestion;

/// What an argument of the family's tool says that no option looks like, or the first that looks like another word, as a question.
pub(crate) fn instead_of(args: &[String], family: Family) -> Option<String> {
    if let Some(said) = args
        .iter()
        .enumerate()
        .find_map(|(at, word)| run_together(args, at, word))
    {
        return Some(said);
    }
    if let Some(said) = of_another_table(args) {
        return Some(said);
    }
    let pairs = args.iter().zip(args.iter().skip(1));
    if let Some(said) = pairs.clone().find_map(|(option, word)| of_entries(option, word)) {
        return Some(said);
    }
    if let Some(said) = of_the_other_family(args, family) {
        return Some(said);
    }
    let near = pairs.filter_map(|(option, word)| near(option, word, family));
    let question = |near: String| format!("did you mean `{near}`?");
    near.map(question).next()
}

/// The word that was meant behind this option, where it is another one.
pub(super) fn near(option: &str, word: &str, family: Family) -> Option<String> {
    let (upper, lower) = (word.to_uppercase(), word.to_lowercase());
    match option {
        _ if CHAIN_OPTIONS.contains(&option) => {
            let chains = Hook::ALL.map(Hook::chain);
            let meant = suggestion(&upper, chains)?;
            (meant != word).then(|| meant.to_owned())
        }
        "--state" | "--ctstate" => {
            let mut differs = false;
            let words = word.split(',').map(|state| {
                let meant = suggestion(&state.to_uppercase(), STATES.iter().copied());
                differs |= meant.is_some_and(|it| it != state);
                meant.unwrap_or(state)
            });
            let words = words.collect::<Vec<_>>().join(",");
            differs.then_some(words)
        }
        "-t" | "--table" => {
            let meant = suggestion(&lower, Table::ALL.iter().map(|table| table.name()))?;
            (meant != word).then(|| meant.to_owned())
        }
        "-j" | "--jump" if ext::find_target(word, family).is_none() => {
            let known = ext::targets().filter(|spec| spec.families.contains(&family));
            let targets = known.map(|spec| spec.name).chain(["ACCEPT", "DROP", "RETURN"]);
            let meant = suggestion(&upper, targets)?;
            (meant != word).then(|| meant.to_owned())
        }
        "-m" | "--match" if ext::find_match(word, family).is_none() => {
            let known = ext::matches().filter(|spec| spec.families.contains(&family));
            let meant = suggestion(&lower, known.map(|spec| spec.name))?;
            (meant != word).then(|| meant.to_owned())
        }
        _ => None,
    }
}

/// The family's own words for those that only the other family's tool has: `ttl` is `hl` for ip6tables.
fn of_the_other_family(args: &[String], family: Family) -> Option<String> {
    let pairs = args.iter().zip(args.iter().skip(1));
    let words = args.iter().filter_map(|word| {
        let own = like::option_in(family, word.strip_prefix("--")?)?;
        Some((word.clone(), format!("--{}", own.name)))
    });
    let values = pairs.filter_map(|(option, word)| {
        let own = own_word(args, option, word, family).filter(|own| own != word)?;
        Some((format!("{option} {word}"), format!("{option} {own}")))
    });
    let mut said: Vec<String> = Vec::new();
    for (word, own) in values.chain(words) {
        let one = format!("`{own}` instead of `{word}`");
        if !said.contains(&one) {
            said.push(one);
        }
    }
    (!said.is_empty()).then(|| format!("for {family} write {}", said.join(", ")))
}

/// What this family calls what stands behind an option, where the word is the other family's.
fn own_word(args: &[String], option: &str, word: &str, family: Family) -> Option<&'static str> {
    let others = family.other();
    match option {
        "-m" | "--match" if ext::find_match(word, family).is_none() => {
            Some(ext::find_match(word, others)?.in_family(family)?.name)
        }
        "-j" | "--jump" if ext::find_target(word, family).is_none() => {
            Some(ext::find_target(word, others)?.in_family(family)?.name)
        }
        "-p" | "--protocol" => {
            let of_others = match names::protocol_number(word) {
                // A rule may ask for the other family's, and meets nothing: what is wrong with it is another thing, but where it asks for kinds.
                Some(number) => ext::implicit_match(number, others).filter(|spec| {
                    let own = spec.in_family(family).map_or(&[][..], |own| own.options);
                    let is_asked =
                        |option: &OptionSpec| args.iter().any(|it| it.strip_prefix("--") == Some(option.name));
                    ext::implicit_match(number, family).is_none() && spec.options.iter().chain(own).any(is_asked)
                }),
                // `icmp6` is a match's name alone.
                None => ext::find_match(word, others).or_else(|| ext::find_match(word, family)),
            };
            of_others?.in_family(family)?.protocol_name()
        }
        _ => {
            let name = option.strip_prefix("--")?;
            let of_matches = ext::matches().filter(|spec| spec.families.contains(&family));
            let of_targets = ext::targets().filter(|spec| spec.families.contains(&family));
            let options = of_matches.flat_map(|spec| spec.options);
            let mut options = options.chain(of_targets.flat_map(|spec| spec.options));
            options.find(|it| it.name == name)?.word_in(family, word)
        }
    }
}

/// What stands in a flow's entry and is no state that rules know: documents call both a state.
fn of_entries(option: &str, words: &str) -> Option<String> {
    if !matches!(option, "--state" | "--ctstate") {
        return None;
    }
    let stands_in_entries = |word: &str| {
        let flags = ["ASSURED", "UNREPLIED"].into_iter();
        flags.chain(proto::state_names()).find(|name| *name == word)
    };
    let word = words.split(',').find_map(|word| {
        let capitals = word.to_uppercase();
        let is_of_rules = STATES.contains(&capitals.as_str());
        stands_in_entries(&capitals).filter(|_| !is_of_rules)
    })?;
    Some(match word {
        "ASSURED" => "[ASSURED] is no state, but a flag of an entry: `-m conntrack --ctstatus ASSURED`".to_owned(),
        "UNREPLIED" => {
            "[UNREPLIED] is no state, but a flag of an entry: `-m conntrack ! --ctstatus SEEN_REPLY`".to_owned()
        }
        state => format!(
            "{state} stands in entries; the states that rules know are {}",
            STATES.join(", ")
        ),
    })
}

/// A chain that the table asked has not and others have, and a table's name where a chain's belongs.
fn of_another_table(args: &[String]) -> Option<String> {
    let behind = |options: &[&str]| {
        let mut pairs = args.iter().zip(args.iter().skip(1));
        pairs.find_map(|(option, word)| options.contains(&option.as_str()).then_some((option, word.as_str())))
    };
    let asked = match behind(&["-t", "--table"]) {
        Some((_, name)) => Table::from_name(name)?,
        None => Table::Filter,
    };
    let (option, chain) = behind(CHAIN_OPTIONS)?;
    if let Some(table) = Table::from_name(chain) {
        return Some(format!("`{chain}` is a table: `-t {} {option}`", table.name()));
    }
    let has = |table: &Table| table.hooks().iter().any(|hook| hook.chain() == chain);
    let others = Table::ALL.iter().filter(|table| has(table)).map(|table| table.name());
    let others: Vec<&str> = others.collect();
    let likely = ["nat", "filter"].into_iter().find(|name| others.contains(name));
    let likely = likely.or(others.first().copied()).filter(|_| !has(&asked))?;
    let (asked, others) = (asked.name(), others.join(", "));
    Some(format!(
        "table {asked} has no chain {chain}, but {others}: such as `-t {likely} {option} {chain}`"
    ))
}

/// What pages and quick fingers make of options: dashes of print, blanks that are too many or missing, one dash for two.
fn run_together(args: &[String], at: usize, word: &str) -> Option<String> {
    let next = args.get(at + 1).map_or("", String::as_str);
    let is_option = |name: &str| {
        let mut options = ext::matches().flat_map(|spec| spec.options);
        options.any(|option| option.name == name)
    };
    let before = at.checked_sub(1).and_then(|at| args.get(at)).map_or("", String::as_str);
    let printed = word.trim_start_matches(['\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2212}']);
    if printed != word && !printed.is_empty() {
        let dashes = if printed.trim_start_matches('-').len() == 1 {
            "-"
        } else {
            "--"
        };
        let name = printed.trim_start_matches('-');
        return Some(format!("`{word}` begins with a dash of print: type `{dashes}{name}`"));
    }
    if word == "--" && is_option(next) {
        return Some(format!("no blank belongs behind the dashes: `--{next}`"));
    }
    if let Some(value) = word.strip_suffix('!').filter(|value| !value.is_empty())
        && matches!(before, "-p" | "-s" | "-d" | "-i" | "-o" | "--dport" | "--sport")
    {
        return Some(format!("a blank belongs before the `!`: `{value} !`"));
    }
    let single = word
        .strip_prefix('-')
        .filter(|name| !name.starts_with('-') && is_option(name))?;
    (single.len() > 1).then(|| format!("such an option has two dashes: `--{single}`"))
}

/// The commands whose first word is a chain that is there.
const CHAIN_OPTIONS: &[&str] = &[
    "-A",
    "-I",
    "-D",
    "-C",
    "-R",
    "-P",
    "-L",
    "-S",
    "-F",
    "-Z",
    "--append",
    "--insert",
    "--delete",
    "--check",
    "--replace",
    "--policy",
    "--list",
    "--list-rules",
    "--flush",
    "--zero",
];

const STATES: &[&str] = &["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_learners_type() {
        for (line, meant) in [
            ("-A input -j ACCEPT", Some("INPUT")),
            ("-A INPUT -m state --state ESTABLISED -j ACCEPT", Some("ESTABLISHED")),
            (
                "-A INPUT -m state --state NEW,ESTABLESED,related",
                Some("NEW,ESTABLISHED,RELATED"),
            ),
            ("-A INPUT -m state --state INVAILD -j DROP", Some("INVALID")),
            ("-A FOWARD -j ACCEPT", Some("FORWARD")),
            ("-t Nat -L", Some("nat")),
            ("-A INPUT -j accept", Some("ACCEPT")),
            ("-A INPUT -j Masquerade", Some("MASQUERADE")),
            ("-A INPUT -m State --state NEW", Some("state")),
            ("-A INPUT -m state --state NEW -j ACCEPT", None),
            ("-A guests -j ACCEPT", None),
            ("-N one!", None),
            ("-A", None),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let expected = meant.map(|meant| format!("did you mean `{meant}`?"));
            assert_eq!(instead_of(&args, Family::V4), expected, "{line}");
        }
    }

    /// Each with the same as its tool has it.
    #[test]
    fn words_of_the_other_family() {
        for (family, line, own) in [
            (
                Family::V6,
                "-A INPUT -m ttl --ttl-eq 3 -j DROP",
                "-A INPUT -m hl --hl-eq 3 -j DROP",
            ),
            (
                Family::V4,
                "-t mangle -A OUTPUT -j HL --hl-set 64",
                "-t mangle -A OUTPUT -j TTL --ttl-set 64",
            ),
            (
                Family::V6,
                "-A INPUT -p icmp6 -j ACCEPT",
                "-A INPUT -p icmpv6 -j ACCEPT",
            ),
            (Family::V4, "-A INPUT -p icmp6 -j ACCEPT", "-A INPUT -p icmp -j ACCEPT"),
            (
                Family::V4,
                "-A INPUT -m icmpv6 --icmpv6-type 128",
                "-A INPUT -m icmp --icmp-type 128",
            ),
            (
                Family::V6,
                "-A INPUT -p icmp --icmp-type 8",
                "-A INPUT -p icmpv6 --icmpv6-type 8",
            ),
            (
                Family::V6,
                "-A INPUT -p icmp --icmpv6-type 128",
                "-A INPUT -p icmpv6 --icmpv6-type 128",
            ),
            (
                Family::V6,
                "-A INPUT -p icmpv6 --icmp-type 128",
                "-A INPUT -p icmpv6 --icmpv6-type 128",
            ),
            (
                Family::V6,
                "-A INPUT -j REJECT --reject-with icmp-admin-prohibited",
                "-A INPUT -j REJECT --reject-with icmp6-adm-prohibited",
            ),
            (
                Family::V4,
                "-A INPUT -j REJECT --reject-with icmp6-adm-prohibited",
                "-A INPUT -j REJECT --reject-with icmp-admin-prohibited",
            ),
        ] {
            let [args, own] = [line, own].map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
            let differs = |at: &usize| args[*at] != own[*at];
            let (options, values): (Vec<usize>, Vec<usize>) = (0..args.len())
                .filter(differs)
                .partition(|at| args[*at].starts_with("--"));
            let values = values.iter().map(|at| {
                let option = &args[at - 1];
                format!("`{option} {}` instead of `{option} {}`", own[*at], args[*at])
            });
            let options = options
                .iter()
                .map(|at| format!("`{}` instead of `{}`", own[*at], args[*at]));
            let said: Vec<String> = values.chain(options).collect();
            let expected = format!("for {family} write {}", said.join(", "));
            assert_eq!(instead_of(&args, family), Some(expected), "{line}");
        }
        // Nothing comes near, or what is wrong is another thing.
        for (family, line) in [
            (Family::V4, "-A INPUT -j REJECT --reject-with icmp6-policy-fail"),
            (Family::V4, "-A INPUT -m hbh --hbh-len 8"),
            (Family::V6, "-A INPUT -p icmp -j REJECT --reject-with x"),
            (Family::V6, "-A INPUT -p icmpv6 --icmpv6-type x"),
            (Family::V4, "-A INPUT -p ah --ahspi x"),
            (Family::V4, "-A INPUT -m ttl --ttl-eq x"),
            (Family::V6, "-A INPUT -m hl --hl-eq x"),
            (
                Family::V6,
                "-A INPUT -p tcp --dport x -j REJECT --reject-with tcp-reset",
            ),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(instead_of(&args, family), None, "{line}");
        }
    }

    #[test]
    fn what_belongs_elsewhere_is_told() {
        for (line, said) in [
            (
                "-A POSTROUTING -o wan -j MASQUERADE",
                Some("table filter has no chain POSTROUTING, but mangle, nat: such as `-t nat -A POSTROUTING`"),
            ),
            (
                "-t nat -A FORWARD -j ACCEPT",
                Some("table nat has no chain FORWARD, but mangle, filter, security: such as `-t filter -A FORWARD`"),
            ),
            (
                "-A INPUT -m state --state NEW,SYN_SENT",
                Some(
                    "SYN_SENT stands in entries; the states that rules know are INVALID, NEW, RELATED, ESTABLISHED, UNTRACKED",
                ),
            ),
            (
                "-A INPUT -m state --state assured -j ACCEPT",
                Some("[ASSURED] is no state, but a flag of an entry: `-m conntrack --ctstatus ASSURED`"),
            ),
            ("-L nat -n", Some("`nat` is a table: `-t nat -L`")),
            ("-t nat -A PREROUTING -j ACCEPT", None),
            ("-A INPUT -p tcp", None),
            ("-A guests", None),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(instead_of(&args, Family::V4).as_deref(), said, "{line}");
        }
    }

    #[test]
    fn what_pages_make_of_options() {
        for (line, said) in [
            (
                "-A INPUT -p tcp \u{2013}dport 80",
                "`\u{2013}dport` begins with a dash of print: type `--dport`",
            ),
            (
                "-A INPUT \u{2014}p tcp",
                "`\u{2014}p` begins with a dash of print: type `-p`",
            ),
            (
                "-A INPUT \u{2013}-syn",
                "`\u{2013}-syn` begins with a dash of print: type `--syn`",
            ),
            (
                "-A INPUT -m state -- state NEW",
                "no blank belongs behind the dashes: `--state`",
            ),
            (
                "-A INPUT -p tcp! --syn -j DROP",
                "a blank belongs before the `!`: `tcp !`",
            ),
            ("-A INPUT -p tcp -sport 80", "such an option has two dashes: `--sport`"),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(instead_of(&args, Family::V4).as_deref(), Some(said), "{line}");
        }
    }
}
