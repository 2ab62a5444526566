//! What the kernel answered to a kept case, as a text beside it: checked where there is no kernel to ask.

use std::collections::HashMap;

use nflab::explain::describe;
use nflab::syntax::atom;

use super::compare::normal;
use super::scenario::Event;
use super::side::{Answer, Depth, Part, Side, ToolAnswer};

/// Passes everything on to a side, and writes down what it answers.
pub(crate) struct Recorder<'a> {
    side: &'a mut dyn Side,
    text: String,
    events: usize,
}

impl<'a> Recorder<'a> {
    pub(crate) fn new(side: &'a mut dyn Side, title: &str) -> Self {
        Self {
            side,
            text: format!("# {title}\n"),
            events: 0,
        }
    }

    pub(crate) fn text(self) -> String {
        self.text
    }

    fn lines(&mut self, mark: &str, text: &str) {
        for line in text.lines() {
            self.text.push_str(&format!("{mark}|{line}\n"));
        }
    }
}

impl Side for Recorder<'_> {
    fn prepare(&mut self, event: &Event) -> Result<(), String> {
        self.side.prepare(event)
    }

    fn happen(&mut self, event: &Event) -> Result<Answer, String> {
        let answer = self.side.happen(event)?;
        self.events += 1;
        let code = answer.tool.as_ref().map(|tool| tool.code);
        if !answer.sent.is_empty() || code.is_some() {
            self.text.push_str(&format!("event {}\n", self.events));
        }
        if let (Some(ToolAnswer { code, out, err }), Event::Tool { name, args, .. }) = (&answer.tool, event) {
            self.text.push_str(&format!("code {code}\n"));
            let out = normal(&format!("{name} {}", args.join(" ")), out);
            self.lines("out", &out);
            self.lines("err", err);
        }
        for (interface, bytes) in &answer.sent {
            self.text.push_str(&format!("{interface} {}\n", describe::hex(bytes)));
        }
        Ok(answer)
    }

    fn state(&mut self, depth: Depth) -> Result<Vec<Part>, String> {
        let parts = self.side.state(depth)?;
        for part in &parts {
            self.text.push_str(&format!("state {}\n", part.title));
            let text = normal(&part.title, &part.text);
            self.lines("", &text);
        }
        Ok(parts)
    }

    fn wait_for_flows_to_go(&mut self, left: usize) -> Result<(), String> {
        self.side.wait_for_flows_to_go(left)
    }
}

/// A record, answering in the kernel's place.
#[derive(Debug, Default)]
pub(crate) struct Record {
    answers: HashMap<usize, Answer>,
    parts: Vec<Part>,
    events: usize,
}

impl Record {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let mut record = Self::default();
        let mut event = 0;
        for (number, line) in text.lines().enumerate() {
            let wrong = || format!("line {}: {line:?} is nothing that a record has", number + 1);
            let answer = record.answers.entry(event).or_default();
            if line.starts_with('#') {
                continue;
            }
            if let Some(printed) = line.strip_prefix('|') {
                let part = record.parts.last_mut().ok_or_else(wrong)?;
                part.text.push_str(&format!("{printed}\n"));
            } else if let Some(title) = line.strip_prefix("state ") {
                record.parts.push(Part {
                    title: title.to_owned(),
                    text: String::new(),
                });
            } else if let Some(printed) = line.strip_prefix("out|") {
                let tool = answer.tool.get_or_insert_default();
                tool.out.push_str(&format!("{printed}\n"));
            } else if let Some(printed) = line.strip_prefix("err|") {
                let tool = answer.tool.get_or_insert_default();
                tool.err.push_str(&format!("{printed}\n"));
            } else {
                let (word, rest) = line.split_once(' ').ok_or_else(wrong)?;
                match word {
                    "event" => event = rest.parse().map_err(|_| wrong())?,
                    "code" => answer.tool.get_or_insert_default().code = rest.parse().map_err(|_| wrong())?,
                    interface => {
                        let bytes = atom::hex(rest).ok_or_else(wrong)?;
                        answer.sent.push((interface.to_owned(), bytes));
                    }
                }
            }
        }
        Ok(record)
    }

    /// Whether it answers to no more than so many events: of a case that was longer it would tell things that nobody asks for.
    pub(crate) fn fits(self, events: usize) -> Result<Self, String> {
        match self.answers.keys().find(|event| **event > events) {
            Some(event) => Err(format!(
                "it has an answer to event {event}, and there are {events}: record it anew"
            )),
            None => Ok(self),
        }
    }
}

impl Side for Record {
    fn happen(&mut self, event: &Event) -> Result<Answer, String> {
        self.events += 1;
        let answer = self.answers.remove(&self.events).unwrap_or_default();
        match (event, &answer.tool) {
            (Event::Tool { .. }, None) => Err(format!(
                "the record has no answer to event {}, a command: record it anew",
                self.events
            )),
            _ => Ok(answer),
        }
    }

    fn state(&mut self, _: Depth) -> Result<Vec<Part>, String> {
        Ok(std::mem::take(&mut self.parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::compare::compare;
    use crate::instrument::ours::{Clock, Ours};
    use crate::instrument::scenario::Scenario;

    #[test]
    fn a_record_answers_as_the_side_did() {
        let text = "iptables -A FORWARD -p udp -m state --state NEW\niptables -C INPUT -j DROP\nsend lan udp 10.0.0.2:1 > 192.0.2.9:2\nsend lan icmp 10.0.0.2 > 10.0.0.1 echo-request\n";
        let scenario = Scenario::from_text("test", text).unwrap();
        let run = |side: &mut dyn Side| {
            let answers: Vec<_> = scenario
                .events
                .iter()
                .map(|event| side.happen(event).unwrap())
                .collect();
            (answers, side.state(Depth::Texts).unwrap())
        };
        let mut ours = Ours::new(Clock::Virtual, false).unwrap();
        let mut recorder = Recorder::new(&mut ours, "test");
        let (answers, parts) = run(&mut recorder);
        let text = recorder.text();
        let (again, parts_again) = run(&mut Record::read(&text).unwrap());
        assert_eq!(answers, again);
        for (part, again) in parts.iter().zip(parts_again) {
            assert_eq!(part.title, again.title);
            // A normal form stays as it is.
            assert_eq!(normal(&part.title, &part.text), again.text);
        }
        assert!(Record::read("wan zz").unwrap_err().contains("line 1"));
        // The record of a case that was longer.
        let longer = Record::read(&format!("{text}event 5\nwan 00\n")).unwrap();
        let why = longer.fits(scenario.events.len()).unwrap_err();
        assert!(why.contains("an answer to event 5, and there are 4"), "{why}");
        // One that ends before it tells of the tables.
        let mut cut = Record::read(text.split("state ").next().unwrap()).unwrap();
        let mut ours = Ours::new(Clock::Virtual, false).unwrap();
        let why = compare(&scenario, &mut cut, &mut ours, Depth::Sums).unwrap_err();
        assert!(why.to_string().contains("only nflab has this"), "{why}");
    }
}
