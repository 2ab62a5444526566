//! What `-o` says, and what is printed by it.

use super::fail;
use super::options::{FORMATS, each};
use crate::base::Time;
use crate::conntrack::text::{self, Occasion, Syntax, ToolForm};
use crate::conntrack::{EventKind, Expectation, Flow};
use crate::lab::machine::ToolOutput;

/// The words of all `-o`.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub form: ToolForm,
    pub timestamp: bool,
    pub labels: bool,
    /// Words other than `save`.
    others: bool,
}

impl Output {
    pub(super) fn read(&mut self, formats: &str, warnings: &mut String) -> Result<(), ToolOutput> {
        let mut save = self.form.syntax == Syntax::Save;
        let Self {
            form,
            timestamp,
            labels,
            others,
            ..
        } = self;
        each(formats, FORMATS, warnings, |format| {
            match format {
                "extended" => form.extended = true,
                "id" => form.id = true,
                "xml" => form.syntax = Syntax::Xml,
                "timestamp" => *timestamp = true,
                "ktimestamp" => form.ktimestamp = true,
                "labels" => *labels = true,
                "save" => save = true,
                // Seen: that a program did it, an event says anyway.
                _ => {}
            }
            *others |= format != "save";
        })?;
        if save && *others {
            return Err(fail(
                1,
                "cannot combine save output with any other output type, use -o save only",
            ));
        }
        if save {
            self.form.syntax = Syntax::Save;
        }
        Ok(())
    }
}

/// Lines as they come to be, and how many.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub text: String,
    pub count: usize,
}

impl Lines {
    /// A flow, if it still lives.
    pub(super) fn flow(&mut self, output: &Output, flow: &Flow, occasion: Occasion, now: Time) {
        if let Some(line) = text::tool_flow(flow, &output.form, occasion, now) {
            // Seen: a document begins where flows are listed or asked for, not where they are changed.
            if matches!(occasion, Occasion::Listed) {
                self.begin(output, text::xml::FLOWS);
            }
            self.push(&line);
        }
    }

    /// An expectation of a list.
    pub(super) fn expectation(&mut self, output: &Output, expectation: &Expectation, now: Time) {
        self.begin(output, text::xml::EXPECTATIONS);
        if output.timestamp && output.form.syntax != Syntax::Xml {
            self.text += &stamp(now);
        }
        let when = output.timestamp.then_some(now);
        self.push(&text::tool_expectation(
            expectation,
            output.form.syntax,
            None,
            when,
            now,
        ));
    }

    pub(super) fn begin(&mut self, output: &Output, document: [&str; 2]) {
        if self.count == 0 && output.form.syntax == Syntax::Xml {
            self.text += document[0];
        }
    }

    pub(super) fn end(&mut self, output: &Output, document: [&str; 2]) {
        if self.count > 0 && output.form.syntax == Syntax::Xml {
            self.text += document[1];
        }
    }

    pub(super) fn push(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
        self.count += 1;
    }
}

/// The time before a line.
pub(super) fn stamp(now: Time) -> String {
    let since = now.since(Time::ZERO);
    format!("[{}.{:06}]\t", since.as_secs(), since.subsec_micros())
}

/// An expectation event as a line.
pub(super) fn expectation_event(output: &Output, expectation: &Expectation, kind: EventKind, now: Time) -> String {
    let when = output.timestamp.then_some(now);
    text::tool_expectation(expectation, output.form.syntax, Some(kind), when, now)
}
