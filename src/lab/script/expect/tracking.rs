//! What is expected of the table of flows.

use std::sync::Arc;

use super::{hold, listed};
use crate::base::Time;
use crate::conntrack::Flow;
use crate::conntrack::text::{self as conntrack_text, ExpectationForm, FlowForm};
use crate::lab::memory::Lab;

/// All flows as `conntrack -L -o extended` has them.
pub(crate) fn flow_lines(lab: &Lab) -> Vec<String> {
    lines_of(&flows(lab), lab.now()).collect()
}

/// So many flows live. What they are is written only where it is told.
pub(super) fn so_many(lab: &Lab, wanted: u64) -> Result<(), String> {
    let count = lab.machine.router().flows().living(lab.now());
    hold(count as u64 == wanted, || {
        format!("there are {count} flows{}", listed(&flow_lines(lab)))
    })
}

pub(super) fn some_flow(lab: &Lab, words: &[String]) -> Result<(), String> {
    // The youngest first: mostly a line before has made the flow.
    if lines_of(&flows(lab), lab.now())
        .rev()
        .any(|line| has_words(&line, words))
    {
        return Ok(());
    }
    some_line(&flow_lines(lab), words, "flow")
}

fn flows(lab: &Lab) -> Vec<Arc<Flow>> {
    lab.machine.router().flows().flows(lab.now())
}

fn lines_of(flows: &[Arc<Flow>], now: Time) -> impl DoubleEndedIterator<Item = String> {
    flows
        .iter()
        .filter_map(move |flow| conntrack_text::flow(flow, FlowForm::ToolExtended, now))
}

pub(super) fn expectation_lines(lab: &Lab) -> Vec<String> {
    let now: Time = lab.now();
    lab.machine
        .router()
        .flows()
        .expectations(now)
        .iter()
        .map(|expectation| conntrack_text::expectation(expectation, ExpectationForm::Tool, now))
        .collect()
}

pub(super) fn some_line(lines: &[String], words: &[String], what: &str) -> Result<(), String> {
    hold(lines.iter().any(|line| has_words(line, words)), || match lines {
        [] => format!("there is no {what} at all"),
        lines if lines.iter().any(|line| has_all(line, words)) => {
            format!(
                "the words are there in another order: these are the {what}s{}",
                listed(lines)
            )
        }
        lines => format!("these are the {what}s{}", listed(lines)),
    })
}

pub(super) fn no_line(lines: &[String], words: &[String]) -> Result<(), String> {
    match lines.iter().find(|line| has_words(line, words)) {
        None => Ok(()),
        Some(line) => Err(format!("there is this one: {line}")),
    }
}

/// All words stand in the line, in this order.
fn has_words(line: &str, words: &[String]) -> bool {
    let mut there = line.split_ascii_whitespace();
    words.iter().all(|word| there.any(|other| other == word))
}

fn has_all(line: &str, words: &[String]) -> bool {
    words
        .iter()
        .all(|word| line.split_ascii_whitespace().any(|other| other == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_order() {
        let line = "ipv4 2 tcp 6 99 ESTABLISHED src=10.0.0.2 dst=192.0.2.9 src=192.0.2.9 [ASSURED] mark=0";
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(has_words(line, &words("tcp ESTABLISHED src=192.0.2.9 [ASSURED]")));
        assert!(!has_words(line, &words("[ASSURED] tcp")));
        assert!(!has_words(line, &words("src=10.0.0")));
    }
}
