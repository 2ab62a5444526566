//! Shell scripts: how to tell one, how to make it safe to run, and what it called that was not there.
//!
//! A legacy script is a program; only running it tells its rules. It runs with nothing in its `PATH` but the lab's tools, and these pages see
//! to it that it does not go around them by a path of its own (`/sbin/iptables`): such a path becomes the tool of the lab, and that of any
//! other program becomes its bare name, which is then not found and said.

use std::collections::VecDeque;

use super::family::Named;
use crate::base::Family;
use crate::rule::Table;
use crate::text::Program;

/// The words of a command behind a prompt (`# iptables -t nat -L`, `root@fw:~$ sudo iptables -nvL`), from the tool's name on.
pub(crate) fn prompted(line: &str) -> Option<Vec<String>> {
    let (_, behind) = line
        .split_once(['$', '#', '%', '>'])
        .filter(|(before, _)| !before.contains(' ') || before.starts_with('['))?;
    let words: Vec<String> = behind.split_ascii_whitespace().map(str::to_owned).collect();
    let at = words.iter().position(|word| Program::called(word).is_some())?;
    let before = words[..at].iter().all(|word| word == "sudo" || word.starts_with('-'));
    let lists = |word: &String| {
        word.starts_with('-')
            && (word.contains('L') || word.contains('S') || word == "--list" || word == "--list-rules")
    };
    (before && words[at..].iter().any(lists)).then(|| words[at..].to_vec())
}

/// What a command says of what it lists.
pub(super) fn named(words: &[String]) -> Result<Named, String> {
    let called = words.first().and_then(|tool| Program::called(tool));
    let is_of_six = called.is_some_and(|program| program.family() == Family::V6);
    let six = is_of_six || words.iter().any(|word| word == "-6" || word == "--ipv6");
    Ok(Named {
        table: Some(table_of(words)?),
        family: Some(if six { Family::V6 } else { Family::V4 }),
    })
}

/// The table that a command is for.
fn table_of(words: &[String]) -> Result<Table, String> {
    let name = words.iter().enumerate().find_map(|(at, word)| match word.as_str() {
        "-t" | "--table" => words.get(at + 1).map(String::as_str),
        word => word
            .strip_prefix("--table=")
            .or_else(|| word.strip_prefix("-t").filter(|it| !it.is_empty())),
    });
    let name = name.unwrap_or("filter");
    Table::from_name(name).ok_or_else(|| format!("the table `{name}`; expected filter, nat, mangle, raw or security"))
}

/// True when a line calls the tool as a shell would: as a command's first word, or where a variable is set to it. What only mentions it, in
/// quotes, in a comment or in prose, calls nothing.
pub(crate) fn calls_iptables(line: &str) -> bool {
    commands(line).iter().any(|command| {
        let mut words = command.split_ascii_whitespace().peekable();
        if let Some(first) = words.peek().copied()
            && let Some((name, value)) = first.split_once('=')
            && !name.is_empty()
            && name.chars().all(|it| it.is_ascii_alphanumeric() || it == '_')
        {
            let value = value.trim_matches(['"', '\'']);
            if Program::called(value).is_some() {
                return true;
            }
            words.next();
        }
        let looks_for = |word: &str| matches!(word, "which" | "type" | "-v" | "export" | "readonly" | "local");
        let before = |word: &&str| BEFORE_COMMANDS.contains(word) || looks_for(word);
        while words.next_if(|word| before(word)).is_some() {}
        words.next().is_some_and(|word| {
            let word = word.split_once('=').map_or(word, |(_, value)| value);
            Program::called(word.trim_matches(['"', '\''])).is_some()
        })
    })
}

/// The lines of a script that are rules and no commands: a save file's or `-S`'s among calls of the tool. A shell takes `-A` for a program that it
/// does not find, and goes on without the rule. What a here-document, quotes, a list or a continued line hold is whatever takes it.
pub(crate) fn rules_among(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut around = Around::default();
    for (at, line) in text.lines().enumerate() {
        if around.begins_command(line) && is_rule(line) {
            found.push(at + 1);
        }
    }
    found
}

/// Whether a line reads as a rule, its chain or its table. `*)` and `-A)` are patterns of a shell, and `: x` is its command that does nothing.
fn is_rule(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    let is_name =
        |word: &str| word.starts_with(|it: char| it.is_ascii_alphanumeric() || it == '_') && !word.ends_with(')');
    match first {
        "COMMIT" => second.is_none(),
        _ if RULE_COMMANDS.contains(&first) => second.is_some_and(is_name),
        _ => match (first.strip_prefix('*'), first.strip_prefix(':')) {
            (Some(table), _) => Table::from_name(table).is_some() && second.is_none(),
            (_, Some(chain)) => is_name(chain) && second.is_some_and(|it| ["-", "ACCEPT", "DROP"].contains(&it)),
            (None, None) => false,
        },
    }
}

/// What the tool's own calls begin with, behind its name.
const RULE_COMMANDS: [&str; 15] = [
    "-A",
    "-I",
    "-R",
    "-D",
    "-P",
    "-N",
    "-t",
    "--append",
    "--insert",
    "--replace",
    "--delete",
    "--policy",
    "--new-chain",
    "--new",
    "--table",
];

/// What stands around a line of a shell.
#[derive(Default)]
struct Around {
    quote: Option<char>,
    continued: bool,
    list: bool,
    /// The words that end here-documents, in their order, and whether tabs may stand before them.
    documents: VecDeque<(String, bool)>,
}

impl Around {
    /// Whether a command may begin where this line does; the lines come in their order.
    fn begins_command(&mut self, line: &str) -> bool {
        if let Some((end, tabs)) = self.documents.front() {
            let bare = if *tabs { line.trim_start_matches('\t') } else { line };
            if bare == end {
                self.documents.pop_front();
            }
            return false;
        }
        let begins = self.quote.is_none() && !self.continued && !self.list;
        self.pass(line);
        begins
    }

    fn pass(&mut self, line: &str) {
        self.continued = false;
        let (mut before, mut rest) = (' ', line.chars());
        while let Some(letter) = rest.next() {
            match (self.quote, letter) {
                (Some(open), _) if letter == open => self.quote = None,
                (Some('\''), _) => {}
                (_, '\\') => self.continued = rest.next().is_none() && self.quote.is_none(),
                (Some(_), _) => {}
                (None, '"' | '\'') => self.quote = Some(letter),
                (None, '#') if before.is_ascii_whitespace() || before == ';' => return,
                (None, '(') if before == '=' => self.list = true,
                (None, ')') => self.list = false,
                (None, '<') if before != '<' && rest.as_str().starts_with('<') => {
                    let behind = rest.as_str().trim_start_matches('<');
                    // Three are a here-string; `<<` before a number shifts.
                    if rest.as_str().len() - behind.len() == 1
                        && let Some(document) = here_document(behind)
                    {
                        self.documents.push_back(document);
                    }
                    rest = behind.chars();
                }
                _ => {}
            }
            before = letter;
        }
    }
}

/// The word that ends a here-document, from what stands behind `<<`.
fn here_document(behind: &str) -> Option<(String, bool)> {
    let tabs = behind.starts_with('-');
    let word = behind.strip_prefix('-').unwrap_or(behind).trim_start();
    let ends = |it: char| it.is_ascii_whitespace() || matches!(it, ';' | '|' | '&' | '<' | '>' | ')');
    let word = &word[..word.find(ends).unwrap_or(word.len())];
    let word: String = word.chars().filter(|it| !matches!(it, '"' | '\'' | '\\')).collect();
    (!word.is_empty() && !word.starts_with(|it: char| it.is_ascii_digit())).then_some((word, tabs))
}

/// A line of a shell cut where a command begins. Quoted text stays with its command.
fn commands(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut start, mut quote, mut before) = (0, None, ' ');
    for (at, letter) in line.char_indices() {
        match quote {
            Some(open) => {
                if letter == open && before != '\\' {
                    quote = None;
                }
            }
            None => match letter {
                '"' | '\'' => quote = Some(letter),
                '#' if before == ' ' || before == '\t' => {
                    found.push(&line[start..at]);
                    return found;
                }
                ';' | '|' | '&' | '(' | ')' | '{' | '}' | '`' => {
                    found.push(&line[start..at]);
                    start = at + 1;
                }
                _ => {}
            },
        }
        before = letter;
    }
    found.push(&line[start..]);
    found
}

/// Words that a command may stand behind.
const BEFORE_COMMANDS: [&str; 17] = [
    "if", "then", "elif", "else", "while", "until", "do", "!", "sudo", "exec", "command", "time", "nohup", "nice",
    "env", "eval", "run",
];

/// Stretches of letters that a path or a name may have, with where they begin.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '/' | '-' | '_' | '.' | '+');
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + line[at..].find(part)?;
        let end = line[start..]
            .find(|it| !part(it))
            .map_or(line.len(), |length| start + length);
        at = end;
        Some((start, &line[start..end]))
    })
}

/// A script made ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub text: String,
    /// Paths that were bent: line, what stood there, what stands there now.
    pub bent: Vec<(usize, String, String)>,
}

/// Bends paths: those of the lab's tools to `tools`, those of other programs to their names, and `/proc/sys` to `knobs`. The first line is
/// left alone where it names the shell.
pub(crate) fn prepare(text: &str, is_tool: impl Fn(&str) -> bool, tools: &str, knobs: &str) -> Prepared {
    let mut prepared = Prepared {
        text: String::with_capacity(text.len()),
        bent: Vec::new(),
    };
    for (at, line) in text.split_inclusive('\n').enumerate() {
        if at == 0 && line.starts_with("#!") {
            prepared.text.push_str(line);
            continue;
        }
        let mut copied = 0;
        let comment = line.trim_start().starts_with('#');
        for (start, word) in words(line) {
            let Some(bent) = bent(word, &is_tool, tools, knobs).filter(|_| !comment) else {
                continue;
            };
            // `$HOME/bin/x` and `a/bin/x` are no paths from the root.
            if line[..start].ends_with(['$', '}', '~', ')']) {
                continue;
            }
            prepared.text.push_str(&line[copied..start]);
            prepared.text.push_str(&bent);
            copied = start + word.len();
            prepared.bent.push((at + 1, word.to_owned(), bent));
        }
        prepared.text.push_str(&line[copied..]);
    }
    prepared
}

fn bent(word: &str, is_tool: &impl Fn(&str) -> bool, tools: &str, knobs: &str) -> Option<String> {
    if let Some(rest) = word.strip_prefix("/proc/sys") {
        return (rest.is_empty() || rest.starts_with('/')).then(|| format!("{knobs}{rest}"));
    }
    let name = PROGRAM_PLACES.iter().find_map(|place| word.strip_prefix(place))?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    Some(match is_tool(name) {
        true => format!("{tools}/{name}"),
        false => name.to_owned(),
    })
}

/// Where programs live.
const PROGRAM_PLACES: [&str; 6] = [
    "/sbin/",
    "/bin/",
    "/usr/sbin/",
    "/usr/bin/",
    "/usr/local/sbin/",
    "/usr/local/bin/",
];

/// Programs that a shell did not find, with the line where it looked: `x.sh: 4: awk: not found`, `x.sh: line 4: awk: command not found`.
pub(crate) fn not_found(stderr: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for line in stderr.lines() {
        let Some(said) = line
            .strip_suffix(": not found")
            .or_else(|| line.strip_suffix(": command not found"))
        else {
            continue;
        };
        let parts: Vec<&str> = said.split(": ").collect();
        let [.., place, name] = parts[..] else { continue };
        let number = place.strip_prefix("line ").unwrap_or(place);
        if let Ok(number) = number.parse()
            && !found.contains(&(number, name.to_owned()))
        {
            found.push((number, name.to_owned()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts() {
        for (line, expected) in [
            ("# iptables -t nat -L -n -v", Some(("nat", Family::V4))),
            ("root@fw:~# iptables -nvL", Some(("filter", Family::V4))),
            (
                "[root@fw ~]# /sbin/iptables -nvL -tmangle",
                Some(("mangle", Family::V4)),
            ),
            ("$ sudo iptables --table=raw -S", Some(("raw", Family::V4))),
            ("# /usr/sbin/ip6tables-legacy -t nat -S", Some(("nat", Family::V6))),
            ("$ iptables -6 -L", Some(("filter", Family::V6))),
            ("# iptables -A INPUT -j DROP", None),
            ("# Generated by iptables-save v1.4", None),
            ("ACCEPT all -- 0.0.0.0/0", None),
        ] {
            let named = prompted(line).map(|words| named(&words).unwrap());
            let told = named.map(|it| (it.table.unwrap().name(), it.family.unwrap()));
            assert_eq!(told, expected, "{line}");
        }
    }

    #[test]
    fn paths_are_bent() {
        let is_tool = |name: &str| name == "iptables";
        let text = "#!/bin/sh\n# /sbin/ip\nI=/sbin/iptables\n/sbin/ip link; \"/usr/bin/awk\" $X/bin/y\necho 1 > /proc/sys/net/ipv4/ip_forward\n\
                    . /etc/rc.d/init.d/functions\n";
        let prepared = prepare(text, is_tool, "/tmp/t", "/tmp/k");
        assert_eq!(
            prepared.text,
            "#!/bin/sh\n# /sbin/ip\nI=/tmp/t/iptables\nip link; \"awk\" $X/bin/y\necho 1 > /tmp/k/net/ipv4/ip_forward\n\
             . /etc/rc.d/init.d/functions\n"
        );
        // The first line is let be where it names the shell.
        assert_eq!(
            prepare("/sbin/iptables -F\n", is_tool, "/tmp/t", "/tmp/k").text,
            "/tmp/t/iptables -F\n"
        );
        assert_eq!(
            prepare("#!/sbin/ip\n", is_tool, "/tmp/t", "/tmp/k").text,
            "#!/sbin/ip\n"
        );
        assert_eq!(prepared.bent.len(), 4);
        assert_eq!(prepared.bent[1], (4, "/sbin/ip".to_owned(), "ip".to_owned()));
    }

    #[test]
    fn rules_are_no_commands() {
        for (script, expected) in [
            ("iptables -P INPUT ACCEPT\n-A INPUT -s 10.0.0.5 -j DROP\n", &[2][..]),
            (
                "iptables -F\n  -I INPUT 1 -j DROP\n\t--append INPUT -j DROP\n-t nat -A POSTROUTING -j MASQUERADE\n",
                &[2, 3, 4],
            ),
            (
                "iptables -F\n*filter\n:INPUT DROP [0:0]\n:mine - [0:0]\nCOMMIT\n",
                &[2, 3, 4, 5],
            ),
            (
                "iptables-restore <<EOF\n*filter\n:INPUT DROP [0:0]\nCOMMIT\nEOF\n-N late\n",
                &[6],
            ),
            ("iptables-restore <<- 'E O'x; y\n-A INPUT\n", &[]),
            (
                "iptables-restore <<-\"EOF\"\n\t-A INPUT -j DROP\n\tEOF\n-A INPUT -j DROP\n",
                &[4],
            ),
            ("iptables \\\n -A INPUT -j DROP\n", &[]),
            ("iptables -F\n-A _mine -j DROP\n-A $CHAIN -j DROP\n-A\n-P (x\n", &[2]),
            (
                "echo \"*filter\n-A INPUT -j DROP\nCOMMIT\" | iptables-restore\n-A INPUT -j DROP\n",
                &[4],
            ),
            ("R=(\n-A INPUT\n)\niptables \"${R[@]}\"\n-A INPUT -j DROP\n", &[5]),
            ("case $1 in\n-A)\n;;\n*filter*)\n;;\n*)\n;;\nesac\n: ${X:=1}\n:\n", &[]),
            (
                "# don't\ncat <<<x\necho $((1<<2)) a#b it\\'s\n-A INPUT -j DROP # it's\n-A INPUT -j DROP\n",
                &[4, 5],
            ),
        ] {
            assert_eq!(rules_among(script), expected, "{script}");
        }
    }

    #[test]
    fn what_a_shell_did_not_find() {
        let stderr = "x.sh: 4: awk: not found\n/tmp/x.sh: line 12: grep: command not found\nfile not found\nx.sh: 4: awk: not found\n";
        assert_eq!(not_found(stderr), [(4, "awk".to_owned()), (12, "grep".to_owned())]);
    }
}
