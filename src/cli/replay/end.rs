//! The end of a replay: results kept, all or none, and the summary.

use std::io::Write;
use std::path::Path;

use super::arguments::{Arguments, says_summary};
use super::outputs::{self, Results, Sink};
use super::screen::Again;
use super::stage::{self, Stage};
use super::{Run, Stop};
use crate::base::bytes::bytes_of;
use crate::device::standard::{self, tell};
use crate::lab::memory::Lab;

impl Run<'_> {
    pub(super) fn finish(mut self) -> Result<u8, Stop> {
        if let Stage::Waiting(_, unused) = &self.stage {
            if self.complaints.faults() > 0 {
                self.complaints.end(self.screen);
                return Err(format!(
                    "none of its {} packets can be replayed, so nothing was written",
                    unused.len()
                )
                .into());
            }
            self.begin(None)?;
        }
        self.screen.end();
        self.complaints.end(self.screen);
        let Stage::Running(mut session) = self.stage else {
            return Ok(0);
        };
        if self.arguments.conntrack.is_some() {
            session.replayer.settle();
        }
        session.summary.settle();
        let mut code = 0;
        if let Some(differences) = &session.differences {
            session.outputs.differences_end(differences, self.arguments.limit)?;
            code = match differences.packets() {
                1.. => 1,
                0 if differences.is_all_clear() => 0,
                // No all-clear, which one may take packets for, but not their absence.
                0 if self.arguments.allow_invalid && !differences.is_empty() => 0,
                0 => 2,
            };
        }
        let mut results = session.outputs.finish()?;
        // Behind the lines: both may go to standard output.
        finish_tables(
            self.arguments,
            session.replayer.lab_mut(),
            &mut results,
            self.screen.again(),
        )?;
        // All or none: until here every older result stands as it was.
        results.keep()?;
        if says_summary(self.arguments) {
            standard::tell_text(&session.summary.text(&session.replayer));
            let how = match self.count {
                0 | 1 => self.how,
                count => format!(" on {count} workers"),
            };
            tell!("\n{}", self.screen.pace(session.summary.packets(), &how));
        }
        stage::leave_to_the_system(session.replayer);
        if let Some(beyond) = self.wanted.explain.as_ref().and_then(|it| it.beyond(self.seen)) {
            return Err(format!("--explain {beyond}: the capture has {} packets", self.seen).into());
        }
        Ok(if self.complaints.faults() > 0 { 2 } else { code })
    }
}

fn finish_tables<'a>(
    arguments: &'a Arguments,
    lab: &mut Lab,
    results: &mut Results<'a>,
    again: &Again,
) -> Result<(), Stop> {
    for (file, tool, args) in [
        (&arguments.save, "iptables-save", &["-c"][..]),
        (&arguments.save6, "ip6tables-save", &["-c"]),
        (&arguments.conntrack, "conntrack", &["-L", "-o", "extended"]),
    ] {
        let Some(file) = file else { continue };
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let output = lab.tool(tool, &args, "", Path::new("."));
        let mut sink = Sink::open(file, again)?;
        let written = sink.write_all(&bytes_of(&output.stdout));
        written.map_err(|error| outputs::cannot_write(file, &error))?;
        results.add(sink, file)?;
    }
    Ok(())
}
