//! From lines to statements. All problems of a text are found in one go.

mod expected;
mod garbled;
mod queue;
mod surroundings;
mod tool;
mod unknown;

use nom::combinator::opt;

use super::lex::{LexError, Line, lex};
use super::trace::{interface_and_packet, parse_trace, parse_why};
use super::{Asked, Kind, OWN_WORDS, Statement};
use crate::base::{Family, InterfaceName, protocol};
use crate::explain::story::Detail;
use crate::lab::conversation::{self, Hosts};
use crate::lab::machine::{Profile, Toolbox};
use crate::lab::memory::LOCAL;
use crate::lab::send::PACKETS;
use crate::packet::{Credentials, Sender};
use crate::syntax::atom;
use crate::syntax::problem::{Problem, Source, SourceError};
use crate::syntax::words::{self, Word, Words, unexpected};
use expected::{expect, has_to_fail};
use queue::queue;
use surroundings::{host, interface, route};
use unknown::{OF_TEST_FILES, unknown};

/// A whole script that knows no hosts but those it names itself.
pub fn parse(source: &Source, toolbox: Toolbox) -> Result<Vec<Statement>, SourceError> {
    parse_in(source, toolbox, &mut Hosts::default())
}

/// A whole script among hosts that have names already; those that it names are added.
pub fn parse_in(source: &Source, toolbox: Toolbox, hosts: &mut Hosts) -> Result<Vec<Statement>, SourceError> {
    let lines = lex(&source.text).map_err(|error: LexError| source.error(vec![error.problem]))?;
    let mut statements = Vec::with_capacity(lines.len());
    let mut problems = Vec::new();
    for line in lines {
        let is_of_a_test_file = OF_TEST_FILES.contains(&line.words[0].text.as_str());
        match parse_line(line, toolbox, hosts) {
            Ok(statement) => statements.push(statement),
            Err(problem) => problems.push(problem),
        }
        if is_of_a_test_file {
            // Once is enough: everything below would be said to be wrong.
            break;
        }
    }
    if problems.is_empty() {
        Ok(statements)
    } else {
        Err(source.error(problems))
    }
}

/// The same for a text without a name of its own (a line of the REPL).
pub fn parse_text(name: &str, text: &str, toolbox: Toolbox) -> Result<Vec<Statement>, SourceError> {
    let source = Source {
        name: name.to_owned(),
        text: text.to_owned(),
    };
    parse(&source, toolbox)
}

/// One line.
pub(crate) fn parse_line(line: Line, toolbox: Toolbox, hosts: &mut Hosts) -> Result<Statement, Problem> {
    let position = line.position;
    let kind = kind(line, toolbox, hosts)?;
    Ok(Statement { position, kind })
}

fn kind(mut line: Line, toolbox: Toolbox, hosts: &mut Hosts) -> Result<Kind, Problem> {
    if let Some(call) = tool::call(&line.words, &line.input, toolbox)? {
        return Ok(Kind::Tool(call));
    }
    if !OWN_WORDS.iter().any(|own| own.name == line.words[0].text) {
        return Err(match garbled::meant(&line.words) {
            Some(meant) => Problem::new(
                line.position,
                "this command has lost blanks and capitals",
                "expected a tool or a word of the lab",
                format!("did you mean `{meant}`?"),
            ),
            None => unknown(&line.words, toolbox),
        });
    }
    if let Some(inner) = has_to_fail(&line)? {
        return Ok(Kind::ExpectRefused(Box::new(kind(inner, toolbox, hosts)?)));
    }
    resolve(&mut line.words, hosts)?;
    let mut rest = Words::new(&line.words);
    let word = rest.read(words::word("a command"))?;
    // What shall fail may be a tool.
    if !(word.text == "expect" && rest.peek_text() == Some("fail")) {
        line.without_input(&format!("`{}`", word.text))?;
    }
    match word.text.as_str() {
        "send" => send(&mut rest),
        "expect" => expect(&mut rest, &line, toolbox, hosts),
        "host" => host(&mut rest, hosts),
        text if conversation::WORDS.contains(&text) => Ok(Kind::Converse(conversation::parse(word, &mut rest, hosts)?)),
        "advance" => {
            if let Some(word) = rest.peek().filter(|word| atom::is_too_long(&word.text)) {
                return Err(Problem::new(
                    word.position,
                    format!("`{}` is longer than a lab's clock goes", word.text),
                    "expected at most 584 years",
                    "the longest timeout there is ends sooner: 68 years",
                ));
            }
            if let Some(word) = rest.peek()
                && let Some(number) = atom::without_unit(&word.text)
            {
                return Err(Problem::new(
                    word.position.end - number.len()..word.position.end,
                    format!("`{}`: the unit of {number} is missing", word.text),
                    "expected d, h, m, s, ms, us or ns behind it",
                    format!("write it like `{}s`", word.text),
                ));
            }
            let by = rest.read(words::one("a duration such as 30s, 5m or 250ms", atom::duration))?;
            if let (Some(number), Some(unit)) = (line.words.get(1), rest.peek())
                && let Some(short) = atom::unit_in_full(&unit.text)
            {
                return Err(unexpected(
                    unit,
                    "expected the end of the line",
                    &format!("write it like `{}{short}`", number.text),
                ));
            }
            done(&mut rest, Kind::Advance(by))
        }
        "trace" => parse_trace(&mut rest).map(Kind::Trace),
        "why" => parse_why(&mut rest).map(Kind::Trace),
        "interface" => interface(&mut rest, hosts),
        "route" => route(&mut rest),
        "listen" => {
            let protocol = rest.read(words::one("tcp or udp, in both families", |text| match text {
                "tcp" => Some(protocol::TCP),
                "udp" => Some(protocol::UDP),
                _ => None,
            }))?;
            let port = rest.read(words::number("a port", 1..=65_535))? as u16;
            done(&mut rest, Kind::Listen { protocol, port })
        }
        "queue" => queue(&mut rest),
        "profile" => {
            let profile = rest.read(words::one("linux6 or classic", Profile::from_name))?;
            let window_tracking = rest.read(words::has("window_tracking"))?;
            let kind = Kind::Profile {
                profile,
                window_tracking,
            };
            done(&mut rest, kind)
        }
        "sender" => {
            let sender = rest.read(words::helped(
                "USER:GROUP[,GROUP...] in numbers, or `unsaid`",
                "write numbers, as `id -u` and `id -g` print them: `sender 0:0`",
                |text| match text {
                    "unsaid" => Some(Sender::Unsaid),
                    text => Some(Sender::Program(Credentials::read(text)?.into())),
                },
            ))?;
            done(&mut rest, Kind::Sender(sender))
        }
        "lab" => done(&mut rest, Kind::Lab),
        "learn" => {
            let Some(lesson) = rest.read(opt(words::anything))? else {
                return Ok(Kind::Learn(None));
            };
            let step = match rest.is_done() {
                true => None,
                false => Some(rest.read(words::number("the number of a step", 0..=65_535))? as usize),
            };
            let lesson = lesson.text.clone();
            done(&mut rest, Kind::Learn(Some(Asked { lesson, step })))
        }
        _ => {
            let topic = rest.read(opt(words::anything))?.map(|word| word.text.clone());
            done(&mut rest, Kind::Help(topic))
        }
    }
}

fn done(rest: &mut Words<'_>, kind: Kind) -> Result<Kind, Problem> {
    rest.read(words::end("expected the end of the line"))?;
    Ok(kind)
}

fn send(rest: &mut Words<'_>) -> Result<Kind, Problem> {
    let mut detail = None;
    let is_option = |word: &Word| matches!(word.text.as_str(), "-v" | "-q" | "-4" | "-6");
    while let Some(word) = rest.read(opt(words::fitting(is_option)))? {
        match word.text.as_str() {
            "-v" => detail = Some(Detail::Whole),
            "-q" => detail = None,
            // Names are addresses by now.
            _ => {}
        }
    }
    let (interface, draft) = interface_and_packet(rest)?;
    Ok(Kind::Send {
        interface,
        draft,
        detail,
    })
}

pub(super) fn interface_or_local(rest: &mut Words<'_>) -> Result<Option<InterfaceName>, Problem> {
    let name = rest.read(words::one("an interface's name, or `local`", |text| {
        InterfaceName::new(text).filter(|name| !name.is_empty())
    }))?;
    Ok((name.as_str() != LOCAL).then_some(name))
}

/// Addresses for the names of hosts in the lines that write packets.
fn resolve(words: &mut [Word], hosts: &mut Hosts) -> Result<(), Problem> {
    let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let interface = match texts[..] {
        ["send", ..] => words
            .iter()
            .skip(1)
            .position(|word| !matches!(word.text.as_str(), "-v" | "-q" | "-4" | "-6")),
        ["trace", ..] => {
            let packet = texts.iter().position(|text| PACKETS.contains(text));
            packet.and_then(|at| at.checked_sub(2))
        }
        ["queue", _, _, "as", ..] | ["queue", _, _, "mark", _, "as", ..] => None,
        ["expect", "out", ..] => Some(1),
        ["expect", "no", "out", ..] => Some(2),
        ["expect", "flow" | "expectation", ..] | ["expect", "no", "flow" | "expectation", ..] => None,
        _ => return Ok(()),
    };
    let asked = match texts[..] {
        ["send" | "trace", ..] => asked_family(words.iter().take(interface.map_or(0, |at| at + 1))),
        _ => None,
    };
    let looks_back = texts.first() == Some(&"expect");
    let mut on = None;
    if let Some(word) = interface.and_then(|at| words.get_mut(at + 1)) {
        hosts.resolve_interface(word)?;
        on = InterfaceName::new(&word.text);
    }
    hosts.resolve(words, on, asked, looks_back)
}

/// The last of `-4` and `-6`.
pub(crate) fn asked_family<'a>(words: impl Iterator<Item = &'a Word>) -> Option<Family> {
    words.filter_map(|word| Family::of_option(&word.text)).last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::machine::ToolOutput;
    use crate::lab::script::Input;

    const TOOLS: Toolbox = Toolbox {
        names: &["iptables", "iptables-restore", "sysctl"],
        call: |_, _| ToolOutput::default(),
        needs: |_, _| crate::lab::files::Needs::default(),
        goes_on: |_, _| false,
        knobs: |_| crate::lab::machine::Knobs::Turned,
        opener: &crate::lab::files::OpensNothing,
        listen: |_, _, _| None,
    };

    fn one(text: &str) -> Kind {
        parse_text("t", text, TOOLS).unwrap().remove(0).kind
    }

    #[test]
    fn tools_keep_their_own_syntax() {
        let Kind::Tool(call) = one("/sbin/iptables -A INPUT -m comment --comment 'a b' -j LOG # why") else {
            panic!("not a tool")
        };
        assert_eq!(call.name, "iptables");
        assert_eq!(
            call.args,
            ["-A", "INPUT", "-m", "comment", "--comment", "a b", "-j", "LOG"]
        );
        let Kind::Tool(call) = one("iptables-restore <<EOF\n*filter\nCOMMIT\nEOF\n") else {
            panic!("not a tool")
        };
        assert_eq!(call.input, Input::Here("*filter\nCOMMIT\n".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said_where() {
        for (text, expected) in [
            (
                "iptabels -L",
                "error: `iptabels` is no command of a lab\n --> t:1:1\n  |\n1 | iptabels -L\n  | ^^^^^^^^ expected a tool or a word of the lab\n  |\n  = help: did you mean `iptables`?",
            ),
            (
                "send lan tcp 10.0.0.2 > 192.0.2.9:80 S",
                "error: `10.0.0.2` is not understood here\n --> t:1:14\n  |\n1 | send lan tcp 10.0.0.2 > 192.0.2.9:80 S\n  |              ^^^^^^^^ expected an address with its port, such as 10.0.0.2:40000 or [2001:db8::2]:40000\n  |\n  = help: add a port: `10.0.0.2:40000`",
            ),
            (
                "send lan tcp 10.0.0.2:1 > 192.0.2.9:80 S tll 3",
                "error: `tll` is not understood here\n --> t:1:42\n  |\n1 | send lan tcp 10.0.0.2:1 > 192.0.2.9:80 S tll 3\n  |                                          ^^^ expected an option of this packet\n  |\n  = help: did you mean `ttl`?",
            ),
            (
                "send lan",
                "error: the line ends too early\n --> t:1:9\n  |\n1 | send lan\n  |         ^ expected a packet: tcp, udp, icmp, icmpv6, ip or hex\n  |\n  = help: write a packet: tcp, udp, icmp, icmpv6, ip or hex here",
            ),
            (
                "advance 300000d",
                "error: `300000d` is longer than a lab's clock goes\n --> t:1:9\n  |\n1 | advance 300000d\n  |         ^^^^^^^ expected at most 584 years\n  |\n  = help: the longest timeout there is ends sooner: 68 years",
            ),
            (
                "iptables -L | less",
                "error: a lab has no `less` to pipe to\n --> t:1:13\n  |\n1 | iptables -L | less\n  |             ^ expected `| grep WORD`\n  |\n  = help: `| grep WORD` is here; other programs are in a shell: `nflab sh`. A `|` that is meant is put into quotes",
            ),
            (
                "host web 10.0.0.2 lan\nsend lan tcp web > web:80 S",
                "error: `web` is not understood here\n --> t:2:14\n  |\n2 | send lan tcp web > web:80 S\n  |              ^^^ expected an address with its port, such as 10.0.0.2:40000 or [2001:db8::2]:40000\n  |\n  = help: add a port: `web:40000`",
            ),
            (
                "advance soon",
                "error: `soon` is not understood here\n --> t:1:9\n  |\n1 | advance soon\n  |         ^^^^ expected a duration such as 30s, 5m or 250ms",
            ),
        ] {
            let error = parse_text("t", text, TOOLS).unwrap_err().to_string();
            assert_eq!(error, expected, "{text}\n{error}");
        }
    }

    /// What is pasted, or typed as on another machine: what is wrong, and what helps.
    #[test]
    fn what_beginners_type_is_answered() {
        for (text, parts) in [
            (
                "work3:/home/blueflux# iptables -L",
                &["leave `work3:/home/blueflux#` away: `iptables -L`"][..],
            ),
            ("$ iptables -L", &["leave `$` away: `iptables -L`"]),
            (
                "> send lan tcp 10.0.0.2:1 > 192.0.2.9:80 S",
                &["leave `>` away: `send lan tcp"],
            ),
            ("sudo iptables -L", &["leave `sudo` away: `iptables -L`"]),
            ("sudo", &["`help` lists"]),
            ("telnet 192.0.2.9", &["`handshake client > server:23`"]),
            ("?", &["`help` lists the words"]),
            (
                "send tcp 10.0.0.2:1 > 192.0.2.9:80 S",
                &["by which interface does this tcp packet come?", "`lan tcp ...`"],
            ),
            (
                "send lan tcp 10.0.0.2:1 -> 192.0.2.9:80 S",
                &[
                    "`->` is not understood here",
                    "expected `>` between the two ends",
                    "`10.0.0.2:1 > 192.0.2.9:80`",
                ],
            ),
            (
                "send lan tcp 10.0.0.2:1 192.0.2.9:80 S",
                &["`192.0.2.9:80` is not understood here", "expected `>` between"],
            ),
            (
                "send lan icmp 10.0.0.2 to 192.0.2.9 echo-request",
                &["`to` is not", "expected `>` between"],
            ),
            (
                "send lan udp 10.0.0.2:1 >> 192.0.2.9:80",
                &["write `>`, with blanks around it"],
            ),
            (
                "send lan tcp 10.0.0.2:1 > 192.0.2.9:80 sa",
                &["flags are capitals, and stand right behind the ends: `> 192.0.2.9:80 SA`"],
            ),
            ("send lan udp 10.0.0.2:1 > 192.0.2.9:80 s", &["known here: ttl"]),
            (
                "send lan tcp 10.0.0.2:1 > 192.0.2.9:80 SYN,ACK",
                &["flags are capitals, and stand right behind the ends: `> 192.0.2.9:80 SA`"],
            ),
            ("send lan tcp 10.0.0.2:1 > 192.0.2.9:80 syn", &["`> 192.0.2.9:80 S`"]),
            ("send lan tcp 10.0.0.2:1 > 192.0.2.9:80 SYN+FOO", &["known here: ttl"]),
            (
                "send lan icmp 10.0.0.2 > 192.0.2.9 ping",
                &["did you mean `echo-request`?"],
            ),
            (
                "send lan icmp 10.0.0.2 > 192.0.2.9 pong",
                &["did you mean `echo-reply`?"],
            ),
            (
                "advance 5 minutes",
                &["`minutes` is not understood here", "write it like `5m`"],
            ),
            ("advance 2 mins", &["write it like `2m`"]),
            ("advance 5 miles", &["expected the end of the line", "remove it"]),
            ("wait 5s", &["`advance 30s` moves the lab's clock"]),
            (
                "ping -c 1 192.0.2.9",
                &["no options of programs", "`ping client > server count 3`"],
            ),
            ("ping 10.0.0.2 -> 192.0.2.9", &["write `>`, with blanks around it"]),
            ("less /proc/net/ip_conntrack", &["`cat FILE` and `| grep WORD`"]),
            ("rmmod ip_conntrack", &["`modprobe -r MODULE`"]),
            ("tcp 10.0.0.2:1 > 192.0.2.9:80 S", &["did you mean `send lan tcp ...`?"]),
            ("ping 192.0.2.9", &["expected `>`, and to whom", "`HOST > HOST`"]),
            (
                "handshake 10.0.0.2 192.0.2.9:80",
                &["expected `>`", "write it like `HOST > 192.0.2.9:80`"],
            ),
            ("expect NEW", &["did you mean `state NEW`?"]),
            ("expect established", &["did you mean `state ESTABLISHED`?"]),
            (
                "learn 1 first",
                &["`first` is not understood here", "the number of a step"],
            ),
            ("learn 1 2 3", &["`3` is not understood here"]),
        ] {
            let error = parse_text("t", text, TOOLS).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{text}: {part:?} not in\n{error}");
            }
        }
        // An interface may be called as packets are.
        assert!(parse_text("t", "send tcp tcp 10.0.0.2:1 > 192.0.2.9:80 S", TOOLS).is_ok());
    }

    #[test]
    fn no_host_has_a_name_that_means_something_else() {
        let file = crate::lab::file::LabFile::parse("t", "[interface.lan]\naddress = \"10.0.0.1/24\"\n").unwrap();
        for (text, at, expected) in [
            ("host lan 10.0.0.2", "t:1:6", "an interface of this lab has that name"),
            (
                "interface dmz 10.1.0.1/24\nhost dmz 10.0.0.2",
                "t:2:6",
                "an interface of this lab has that name",
            ),
            (
                "host dmz 10.0.0.2\ninterface dmz 10.1.0.1/24",
                "t:2:11",
                "a host of this lab has that name",
            ),
            ("host local 10.0.0.2", "t:1:6", "`host gateway 192.0.2.1 local`"),
            ("host router 10.0.0.2", "t:1:6", "the lab's router itself"),
            ("host localhost 10.0.0.2", "t:1:6", "every machine calls itself so"),
            ("host tcp 10.0.0.2", "t:1:6", "a packet begins with it"),
            ("host 80 10.0.0.2", "t:1:6", "expected a name: a letter"),
            ("host lo 10.0.0.2", "t:1:6", "loopback"),
        ] {
            let source = Source {
                name: "t".to_owned(),
                text: text.to_owned(),
            };
            let error = parse_in(&source, TOOLS, &mut Hosts::of_lab(&file))
                .unwrap_err()
                .to_string();
            assert!(error.contains(at) && error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn all_problems_are_found_at_once() {
        let error = parse_text("t", "advance\nfoo\nlisten sctp 5\nlab now\n", TOOLS).unwrap_err();
        assert_eq!(error.problems.len(), 4);
    }

    #[test]
    fn every_own_word_is_read() {
        for own in OWN_WORDS {
            let error = parse_text("t", own.name, TOOLS).err().map(|error| error.to_string());
            assert!(
                !error.is_some_and(|text| text.contains("is no command")),
                "{}",
                own.name
            );
        }
        for text in [
            "send local udp 192.0.2.1:53 > 10.0.0.2:53 data 0x00 ttl 3 id 7 df badsum",
            "send lan icmp 10.0.0.2 > 192.0.2.9 echo-request id 7 seq 1 data \"abc\"",
            "send wan icmp 192.0.2.9 > 192.0.2.1 unreachable port quoting (udp 192.0.2.1:5 > 192.0.2.9:53)",
            "send wan icmp 192.0.2.9 > 192.0.2.1 time-exceeded quoting last",
            "send lan ip 10.0.0.2 > 192.0.2.9 proto gre data 0x0000",
            "send lan hex 4500001c 00000000",
            "send -v lan tcp 10.0.0.2:1 > 192.0.2.9:80 PA seq 5 ack 6 win 7 mss 1460 wscale 7 sackok ts 1 2",
            "interface dmz 10.1.0.1/24 10.2.0.1/24",
            "route add 10.9.0.0/16 via 10.0.0.9",
            "route del default",
            "profile classic",
            "help send",
        ] {
            assert!(
                parse_text("t", text, TOOLS).is_ok(),
                "{text}: {}",
                parse_text("t", text, TOOLS).unwrap_err()
            );
        }
    }
}
