//! What is expected: of what the lab shows, or that a line fails.

use nom::combinator::opt;

use super::tool;
use super::unknown::unknown;
use crate::lab::conversation::{self, Hosts};
use crate::lab::machine::Toolbox;
use crate::lab::script::lex::Line;
use crate::lab::script::{CAN_FAIL, Expectation, Kind, OWN_WORDS};
use crate::syntax::problem::Problem;
use crate::syntax::words::{self, Words};

pub(super) fn expect(rest: &mut Words<'_>, line: &Line, toolbox: Toolbox, hosts: &mut Hosts) -> Result<Kind, Problem> {
    if rest.read(words::has("fail"))? {
        let conversation = words::fitting(|word| conversation::WORDS.contains(&word.text.as_str()));
        if let Some(word) = rest.read(opt(conversation))? {
            let fails = conversation::parse(word, rest, hosts)?;
            if word.text == "handshake" {
                hosts.stay_unconnected();
            }
            return Ok(Kind::ExpectFailed(fails));
        }
        let call = rest.read_all();
        return match (tool::call(call, &line.input, toolbox)?, call.first()) {
            (Some(call), _) if !call.output.is_plain() => Err(Problem::new(
                line.position,
                format!("{} shall fail, and what it prints goes elsewhere", call.name),
                "expected a tool and its arguments",
                "leave `>` and `|` out: what fails prints nothing",
            )),
            (Some(call), _) => Ok(Kind::ExpectFail(call)),
            (None, Some(word)) => Err(unknown(std::slice::from_ref(word), toolbox)),
            (None, None) => Err(Problem::new(
                line.position.end..line.position.end,
                "`expect fail` needs the command that has to fail",
                "expected a tool or a conversation",
                "write it like `expect fail iptables -A NOWHERE -j ACCEPT`",
            )),
        };
    }
    let expectation = Expectation::parse(rest)?;
    Ok(Kind::Expect(expectation))
}

/// The line behind `expect fail`, where it begins with a word of the lab's own that can fail.
pub(super) fn has_to_fail(line: &Line) -> Result<Option<Line>, Problem> {
    let [expect, fail, word, ..] = &line.words[..] else {
        return Ok(None);
    };
    let text = word.text.as_str();
    if expect.text != "expect" || fail.text != "fail" || conversation::WORDS.contains(&text) {
        return Ok(None);
    }
    if CAN_FAIL.contains(&text) {
        let words = line.words[2..].to_vec();
        let position = (word.position.start..line.position.end).into();
        let input = line.input.clone();
        return Ok(Some(Line { words, position, input }));
    }
    if !OWN_WORDS.iter().any(|own| own.name == text) {
        return Ok(None);
    }
    let remedy = match text {
        "expect" => "expect what is instead: `no` turns most expectations round",
        _ => "write it by itself: what is wrong with it is said before anything runs",
    };
    Err(Problem::new(
        word.position,
        format!("`{text}` cannot be expected to fail"),
        format!("expected a tool, a conversation, {}", CAN_FAIL.join(", ")),
        remedy,
    ))
}
