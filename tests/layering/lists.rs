//! No list of extensions but the registry: whoever adds one must not have to look for others. No name of an option twice.

use std::collections::{BTreeMap, BTreeSet};

use nflab::ext::{MATCHES, TARGETS};

use crate::source::{Source, Token, tokens_and_strings};

/// Names of so many different extensions in one file are a list of them.
const MANY: usize = 3;

/// Files that name many and that nobody has to touch for one more, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "src/cli/tools.rs",
        "a test whose few rules are of each kind that matters to commands in hand: jumps, what the nat table refuses, what the kernel refuses",
    ),
    ("tests/layering/lists.rs", "lists that are to be found"),
    (
        "tests/twin/instrument/freedom.rs",
        "tests of what is read of the ports that rules name",
    ),
    (
        "tests/twin/instrument/generate/rules.rs",
        "besides random rules, rulesets as people write them: what they are made of does not grow with the registry",
    ),
    (
        "tests/twin/instrument/generate/translated.rs",
        "what these rulesets say of IPv4 by words that IPv6 has others for, and tests of that",
    ),
];

/// What parts of a packet are called, by whoever writes, asks for or shows one, and then matches too.
const PARTS_OF_PACKETS: &[&str] = &["ah", "dst", "frag", "hbh", "hl", "rt", "tos"];

/// Names for themselves are a list where they follow one another within so many lines, and are not among many other words: everyday words are
/// names of extensions too (`time`, `length`, `set`).
const NEAR: usize = 4;

/// The files with a list: of names for themselves, of pieces of rules (`-m state --state NEW`), of modules; or of whole rules (`-A INPUT ...`) with
/// half of all extensions, since a few rules together are a ruleset, and most tests have one.
pub(crate) fn of_extensions(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|it| !is_the_registrys_own(it)) {
        let named = Named::in_text(&source.text);
        let path = source.path.display().to_string();
        let excused = EXCEPTIONS.iter().any(|(excused, _)| *excused == path);
        match (named.are_a_list(), excused) {
            (true, false) => wrong.push(format!(
                "{path}: a list of extensions: {named}. Walk the registry instead"
            )),
            (false, true) => wrong.push(format!("{path}: it has no list any more: take it out of EXCEPTIONS")),
            _ => {}
        }
    }
    for (at, (path, why)) in EXCEPTIONS.iter().enumerate() {
        let is_known = sources.iter().any(|it| it.path.as_os_str() == *path);
        let is_twice = EXCEPTIONS[..at].iter().any(|(other, _)| other == path);
        if !is_known || is_twice || why.is_empty() {
            wrong.push(format!(
                "{path}: an exception without a file, without a reason, or there twice"
            ));
        }
    }
    wrong
}

/// The registry, the table of what is missing, and the extensions' own files.
fn is_the_registrys_own(source: &Source) -> bool {
    let path = source.path.to_string_lossy();
    ["src/ext/mod.rs", "src/ext/missing.rs"].contains(&path.as_ref())
        || path.starts_with("src/ext/matches/")
        || path.starts_with("src/ext/targets/")
}

/// Where a file names extensions: the first line with each.
#[derive(Default)]
struct Named {
    /// For themselves, in a list of words.
    words: BTreeMap<String, usize>,
    /// In pieces of rules.
    apart: BTreeMap<String, usize>,
    /// By their modules.
    modules: BTreeMap<String, usize>,
    /// In rules.
    in_rules: BTreeSet<String>,
}

impl Named {
    fn in_text(text: &str) -> Self {
        let mut named = Self::default();
        let of_matches = MATCHES
            .iter()
            .flat_map(|it| std::iter::once(it.name).chain(it.aliases.iter().copied()));
        let names: BTreeSet<&str> = of_matches.chain(TARGETS.iter().map(|it| it.name)).collect();
        let modules: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
        let (tokens, strings) = tokens_and_strings(text);
        // tcp, udp and icmp are protocols first of all.
        let is_protocol = |text: &str| {
            let is_of_a_packet = PARTS_OF_PACKETS.contains(&text);
            is_of_a_packet || MATCHES.iter().any(|it| it.protocol.is_some() && it.name == text)
        };
        named.words = listed(&strings, |text| names.contains(text) && !is_protocol(text));
        // A word in small letters that is the name of a target alone is the name of its module.
        named.modules = listed(&strings, |text| modules.contains(text) && !names.contains(text));
        for Token { text, line } in strings {
            for name in in_rule(&text).filter(|name| names.contains(name)) {
                if !is_whole(&text) {
                    named.apart.entry(name.to_owned()).or_insert(line);
                }
                named.in_rules.insert(name.to_owned());
            }
        }
        let paths = in_paths(&tokens).into_iter();
        let paths = paths.filter(|it| modules.contains(&it.text));
        named.modules.extend(paths.map(|it| (it.text, it.line)));
        named
    }

    fn are_a_list(&self) -> bool {
        let most = (MATCHES.len() + TARGETS.len()) / 2;
        self.words.len() >= MANY || self.apart.len() >= MANY || self.modules.len() >= MANY || self.in_rules.len() > most
    }
}

impl std::fmt::Display for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |(name, line): (&String, &usize)| format!("{name} in line {line}");
        let apart = [&self.words, &self.modules, &self.apart].into_iter().flatten().map(at);
        let others = self.in_rules.iter().filter(|name| !self.apart.contains_key(*name));
        let all: Vec<String> = apart.chain(others.map(|name| format!("{name} in a rule"))).collect();
        f.write_str(&all.join(", "))
    }
}

/// The words of the longest list of names among the strings.
fn listed(strings: &[Token], is_name: impl Fn(&str) -> bool) -> BTreeMap<String, usize> {
    let is_word = |it: &&Token| !it.text.is_empty() && it.text.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    let words: Vec<&Token> = strings.iter().filter(is_word).collect();
    let mut longest = BTreeMap::new();
    for (from, first) in words.iter().enumerate().filter(|(_, it)| is_name(&it.text)) {
        let mut last = first.line;
        let names = words[from..].iter().enumerate().filter(|(_, it)| is_name(&it.text));
        let near = names.take_while(|(_, it)| {
            let is_near = it.line <= last + NEAR;
            last = it.line;
            is_near
        });
        let near: Vec<(usize, &&Token)> = near.collect();
        let length = near.last().map_or(0, |(at, _)| at + 1);
        let distinct: BTreeMap<String, usize> = near.iter().map(|(_, it)| (it.text.clone(), it.line)).collect();
        if near.len() * 2 >= length && distinct.len() > longest.len() {
            longest = distinct;
        }
    }
    longest
}

/// What stands behind `-m` and `-j` in a text.
fn in_rule(text: &str) -> impl Iterator<Item = &str> {
    let mut words = text
        .split([' ', '\n', '\\', '"', '\'', '\t', '{', '`'])
        .filter(|it| !it.is_empty());
    std::iter::from_fn(move || {
        loop {
            if ["-m", "-j", "--match", "--jump"].contains(&words.next()?) {
                return words.next();
            }
        }
    })
}

/// A rule with its chain, a command, or a rule that is told of: nothing that is put together.
fn is_whole(text: &str) -> bool {
    let words = ["-A", "-I", "-R", "-D", "-C", "iptables", "rule"];
    text.split([' ', '\n', '\\'])
        .any(|word| words.contains(&word.trim_start_matches('n')))
}

/// `matches::name`, `targets::name` and what stands in braces there.
fn in_paths(tokens: &[Token]) -> Vec<Token> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let is_room = ["matches", "targets"].contains(&token.text.as_str());
        let signs = |from: usize, text: &str| tokens.get(from).is_some_and(|it| it.text == text);
        if !is_room || !signs(at + 1, ":") || !signs(at + 2, ":") {
            continue;
        }
        match signs(at + 3, "{") {
            true => found.extend(tokens[at + 4..].iter().take_while(|it| it.text != "}").cloned()),
            false => found.extend(tokens.get(at + 3).cloned()),
        }
    }
    found
}

/// Extensions' own files that spell the name of one of their options more than once, outside of tests: its constant has it.
pub(crate) fn names_told_twice(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    let matches = MATCHES.iter().map(|it| ("matches", it.name, it.options));
    for (directory, name, options) in matches.chain(TARGETS.iter().map(|it| ("targets", it.name, it.options))) {
        let path = format!("src/ext/{directory}/{}.rs", name.to_lowercase());
        for source in sources.iter().filter(|it| it.path.as_os_str() == path.as_str()) {
            let (_, strings) = tokens_and_strings(source.text.split("#[cfg(test)]").next().unwrap_or(""));
            wrong.extend(options.iter().filter_map(|option| {
                // A spec may bear the name of its option.
                let once = if option.name == name { 2 } else { 1 };
                let told = strings.iter().filter(|it| it.text == option.name);
                let lines: Vec<usize> = told.map(|it| it.line).collect();
                (lines.len() > once).then(|| {
                    format!(
                        "{path}: \"{}\" stands in lines {lines:?}: use the option's constant",
                        option.name
                    )
                })
            }));
        }
    }
    wrong
}

#[test]
fn a_name_that_is_told_twice_is_found() {
    let of_limit = |text: &str| {
        let source = Source {
            path: "src/ext/matches/limit.rs".into(),
            text: text.to_owned(),
        };
        names_told_twice(&[source])
    };
    let twice = "name: \"limit\"\nOpt::own(\"limit\")\nOpt::own(\"limit-burst\")\nbad(\"limit-burst\")";
    assert_eq!(
        of_limit(twice),
        ["src/ext/matches/limit.rs: \"limit-burst\" stands in lines [3, 4]: use the option's constant"]
    );
    let once =
        "name: \"limit\"\nOpt::own(\"limit\")\nOpt::own(\"limit-burst\")\n#[cfg(test)]\nmod tests { \"limit-burst\" }";
    assert!(of_limit(once).is_empty());
}

#[test]
fn a_list_is_found_in_each_of_its_forms() {
    let found = |text: &str| Named::in_text(text).are_a_list();
    // What there was: names, pieces of rules in tables and in functions, modules, whole rules over the whole registry.
    for list in [
        r#"const NAMES: &[&str] = &["addrtype", "limit", "REJECT"];"#,
        r#"match name { "multiport" | "comment" => 1, "conntrack" => 2, _ => 0 }"#,
        r#"BTreeMap::from([("dnat", "nat_range"), ("snat", "nat_range"), ("notrack", "ct")])"#,
        r#"&["-m state --state NEW", "-p tcp -m tcp --syn", "-j LOG"]"#,
        "fn a() { rule += \" -m mark\"; }\n\n\nfn b() { rule += \" -m limit\"; }\n\n\nfn c() { format!(\" -j MASQUERADE{x}\") }",
        "use crate::ext::matches::{addrtype, limit};\nuse crate::ext::targets::reject;",
    ] {
        assert!(found(list), "{list}");
    }
    let all: Vec<String> = MATCHES.iter().map(|it| format!("-m {}", it.name)).collect();
    let all = format!("let all = \"-A INPUT {}\";", all.join(" "));
    assert!(found(&all), "{all}");
    // Protocols, a ruleset, a word or two that are names besides.
    for none in [
        r#"["tcp", "udp", "icmp", "state", "conntrack"]"#,
        r#"["id", "mark", "tos", "df", "state", "mf", "frag", "badsum", "limit", "data", "zeros", "badipsum"]"#,
        "fn a() { \"state\" }\n\n\n\n\nfn b() { \"conntrack\" }\n\n\n\n\nfn c() { \"mark\" }",
        r#"run("iptables -A INPUT -m state --state NEW -m limit -j LOG\niptables -A INPUT -m comment --comment x -j REJECT")"#,
        r#"["-A INPUT -p tcp -m tcp --dport 80 -j LOG", "-A FORWARD -m state --state NEW -j REJECT"]"#,
        "// addrtype, limit, mark\nfn state(limit: u8, mark: u8, comment: u8) {}",
    ] {
        assert!(!found(none), "{none}: {}", Named::in_text(none));
    }
}
