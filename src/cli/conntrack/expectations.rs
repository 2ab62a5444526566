//! What is done with expectations.

use std::net::IpAddr;
use std::time::Duration;

use super::output::Lines;
use super::request::{Command, Request};
use super::{fail, flows, said};
use crate::base::Family;
use crate::conntrack::text::{self, Syntax};
use crate::conntrack::{Endpoint, Expectation, ExpectationMask, ExpectationRefused, Table, Tuple};
use crate::lab::machine::{Machine, ToolOutput};

pub(super) fn run(request: &Request, machine: &Machine) -> ToolOutput {
    let now = machine.now;
    let table = machine.router().flows();
    match request.command {
        Command::List => {
            let mut lines = Lines::default();
            // Seen: where none is named, those of IPv4 are.
            let family = request.wanted.family.unwrap_or(Family::V4);
            let meant = |it: &Expectation| family == it.tuple.family();
            for expectation in table.expectations(now).iter().filter(|it| meant(it)) {
                lines.expectation(&request.output, expectation, now);
            }
            lines.end(&request.output, text::xml::EXPECTATIONS);
            ToolOutput {
                stdout: lines.text,
                ..said(&format!("{} expectations have been shown.", lines.count))
            }
        }
        Command::Get => match found(request, machine, table) {
            Some(expectation) => {
                let line = text::tool_expectation(&expectation, Syntax::Plain, None, None, now);
                ToolOutput::success(line + "\n")
            }
            None => failed("No such file or directory"),
        },
        Command::Delete => match found(request, machine, table) {
            Some(expectation) => {
                table.unexpect(&expectation);
                // Seen: so it says, and fails, having done it.
                ToolOutput {
                    code: 1,
                    ..said("0 expectations have been shown.")
                }
            }
            None => failed("No such file or directory"),
        },
        Command::Create => create(request, machine, table),
        Command::Flush => {
            table.flush_expectations();
            said("expectation table has been emptied.")
        }
        Command::Count => ToolOutput::success(format!("{}\n", table.expectations(now).len())),
        Command::Statistics => ToolOutput::success(flows::statistics(&table.expectation_statistics().named())),
        Command::Add | Command::Update | Command::Events | Command::Version | Command::Help | Command::Nothing => {
            ToolOutput::default()
        }
    }
}

fn found(request: &Request, machine: &Machine, table: &Table) -> Option<std::sync::Arc<Expectation>> {
    let tuple = request.wanted.original_tuple()?;
    table.expectation_of(machine.now, &tuple)
}

/// Seen: of what is expected the kernel hears the addresses and the mask of the source, but neither protocol nor ports; and it lives as long as the
/// helper's own do, whatever `--timeout` says.
fn create(request: &Request, machine: &Machine, table: &Table) -> ToolOutput {
    let wanted = &request.wanted;
    let (Some(master), [Some(source), Some(destination)]) = (wanted.original_tuple(), wanted.expected) else {
        return failed("invalid parameters");
    };
    let Some((master, _)) = table.lookup(machine.now, &master) else {
        return failed("master conntrack not found");
    };
    let Some(helper) = master.lock().helper() else {
        return failed("Operation not supported");
    };
    let end = |address: IpAddr| Endpoint { address, id: 0 };
    let tuple = Tuple {
        source: end(source),
        destination: end(destination),
        protocol: 0,
    };
    if table.expectation_of(machine.now, &tuple).is_some() {
        return failed("File exists");
    }
    let lives: Duration = helper.policy(0).timeout;
    let expectation = Expectation {
        serial: 0,
        tuple,
        mask: ExpectationMask {
            address: wanted.masks[0].unwrap_or(source),
            id: u16::MAX,
        },
        master,
        class: 0,
        permanent: false,
        inactive: false,
        deadline: machine.now + lives,
        made_by: helper,
        helper: None,
        nat: None,
        together_with: None,
    };
    let max = machine.router().config().conntrack.expect_max;
    match table.expect(machine.now, expectation, max) {
        Ok(()) => ToolOutput::default(),
        Err(ExpectationRefused::Full) => failed("Too many open files"),
        Err(ExpectationRefused::Clash) => failed("Device or resource busy"),
        Err(ExpectationRefused::Already) => failed("Operation already in progress"),
        Err(ExpectationRefused::MasterDied) => failed("master conntrack not found"),
    }
}

fn failed(why: &str) -> ToolOutput {
    fail(1, &format!("Operation failed: {why}"))
}
