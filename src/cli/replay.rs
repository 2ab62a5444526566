//! `nflab replay`: a capture's packets through a lab, with the capture's own time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::open;
use crate::base::{InterfaceId, Time};
use crate::device::{CaptureReader, CaptureWriter, Content};
use crate::engine::{Emission, Report};
use crate::explain::describe;
use crate::lab::memory::{LOCAL, Lab};

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The lab's file
    #[arg(long, value_name = "LAB.toml")]
    lab: PathBuf,
    /// Rules, as iptables-restore reads them (counters too)
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Rules for IPv6
    #[arg(long, value_name = "FILE")]
    rules6: Option<PathBuf>,
    /// The same run again needs the same seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The capture: pcapng, or classic pcap with --interface
    #[arg(value_name = "IN.pcapng")]
    input: PathBuf,
    /// The interface of packets whose capture names none
    #[arg(long, value_name = "NAME")]
    interface: Option<String>,
    /// What the router sent, by interface; what reached it, on `local`
    #[arg(long, value_name = "OUT.pcapng")]
    out: Option<PathBuf>,
    /// An object for each packet of the capture, a line each
    #[arg(long, value_name = "OUT.jsonl")]
    json: Option<PathBuf>,
    /// `iptables-save -c` after the last packet
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// `conntrack -L -o extended` after the last packet
    #[arg(long, value_name = "FILE")]
    conntrack: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> u8 {
    match replay(arguments) {
        Ok(()) => 0,
        Err(Stop::Said(code)) => code,
        Err(Stop::Say(message)) => {
            eprintln!("nflab: {message}");
            2
        }
    }
}

/// Why it ends early.
enum Stop {
    /// It has been said already.
    Said(u8),
    Say(String),
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::Say(message)
    }
}

fn replay(arguments: &Arguments) -> Result<(), Stop> {
    if arguments.rules6.is_some() {
        return Err(
            "--rules6: rules for IPv6 are not there yet; replay without them, or wait for a later version"
                .to_owned()
                .into(),
        );
    }
    keep_what_is_read(arguments)?;
    let mut lab = open::lab(Some(&arguments.lab), arguments.seed).map_err(Stop::Said)?;
    let stdin = arguments.input == Path::new("-");
    let mut reader = match stdin {
        true => CaptureReader::new(Box::new(io::stdin()) as Box<dyn io::Read>).map_err(|error| error.to_string())?,
        false => {
            let file = File::open(&arguments.input)
                .map_err(|error| format!("cannot read the capture {}: {error}", arguments.input.display()))?;
            CaptureReader::new(Box::new(file) as Box<dyn io::Read>)
                .map_err(|error| format!("{}: {error}", arguments.input.display()))?
        }
    };
    // Nothing is written before the first packet has been read: a wrong capture leaves older results as they are.
    let mut outputs = None;
    let mut clock = ReplayClock::default();
    loop {
        let packet = reader
            .next_packet()
            .map_err(|error| format!("{}: {error}", arguments.input.display()))?;
        if outputs.is_none() {
            // The rules come into force at the capture's own time: a rule with `limit` counts from then.
            if let Some(packet) = &packet {
                lab.start_at(packet.time);
            }
            if let Some(path) = &arguments.rules {
                restore(&mut lab, path)?;
            }
            outputs = Some(Outputs::open(arguments, &lab)?);
        }
        let (Some(packet), Some(outputs)) = (packet, &mut outputs) else {
            break;
        };
        clock.follow(&mut lab, packet.time, packet.number);
        if clock.ticks(&lab) {
            // Queues of fragments that ran out meanwhile may cause ICMP errors of their own.
            let late = lab.tick();
            outputs.packets(&lab, &late)?;
        }
        let name = match (packet.interface, &arguments.interface) {
            (Some(name), _) => name,
            (None, Some(name)) => name.as_str(),
            (None, None) => {
                return Err(format!(
                    "packet {}: the capture doesn't say on which interface it was; name it with --interface",
                    packet.number
                )
                .into());
            }
        };
        let interface = interface(&lab, name, packet.number)?;
        match packet.content {
            Content::Ip(bytes) => {
                let bytes = bytes.to_vec();
                let (number, name) = (packet.number, name.to_owned());
                let (report, emitted) = lab.carry_silently(interface, &bytes);
                let emitted = emitted.to_vec();
                outputs.packets(&lab, &emitted)?;
                outputs.line(&lab, number, &name, Some(&report), &emitted)?;
            }
            // What is no IP never reaches the tables: a router's IP code doesn't see it.
            Content::NotIp { .. } | Content::HeaderCut => {
                let (number, name) = (packet.number, name.to_owned());
                outputs.line(&lab, number, &name, None, &[])?;
            }
        }
    }
    if let Some(outputs) = outputs {
        outputs.finish()?;
    }
    finish(arguments, &mut lab)
}

/// The capture is read while the results are written: a result in its place would destroy both.
fn keep_what_is_read(arguments: &Arguments) -> Result<(), Stop> {
    let read = [Some(&arguments.input), Some(&arguments.lab), arguments.rules.as_ref()];
    let written = [
        ("--out", &arguments.out),
        ("--json", &arguments.json),
        ("--save", &arguments.save),
        ("--conntrack", &arguments.conntrack),
    ];
    let read: Vec<PathBuf> = read.into_iter().flatten().filter_map(file_at).collect();
    for (option, path) in written {
        if let Some(path) = path
            && file_at(path).is_some_and(|file| read.contains(&file))
        {
            return Err(format!(
                "{option} {}: this file is read too, and would be lost; choose another name",
                path.display()
            )
            .into());
        }
    }
    Ok(())
}

/// The one name of a file that exists; no devices, so that terminals and pipes may be both read and written.
fn file_at(path: impl AsRef<Path>) -> Option<PathBuf> {
    let path = std::fs::canonicalize(path).ok()?;
    path.is_file().then_some(path)
}

fn finish(arguments: &Arguments, lab: &mut Lab) -> Result<(), Stop> {
    for (file, tool, args) in [
        (&arguments.save, "iptables-save", &["-c"][..]),
        (&arguments.conntrack, "conntrack", &["-L", "-o", "extended"]),
    ] {
        let Some(file) = file else { continue };
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let output = lab.tool(tool, &args, "", Path::new("."));
        write_text(file, &output.stdout).map_err(|error| cannot_write(file, &error))?;
    }
    Ok(())
}

fn restore(lab: &mut Lab, path: &Path) -> Result<(), Stop> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read the rules {}: {error}", path.display()))?;
    let output = lab.tool("iptables-restore", &["-c".to_owned()], &text, Path::new("."));
    eprint!("{}", output.stderr);
    if output.code != 0 {
        eprintln!(
            "nflab: these rules are refused, so nothing was replayed: {}",
            path.display()
        );
        eprint!("{}", output.advice);
        return Err(Stop::Said(2));
    }
    Ok(())
}

fn interface(lab: &Lab, name: &str, packet: u64) -> Result<Option<InterfaceId>, Stop> {
    if name == LOCAL {
        return Ok(None);
    }
    match lab.interface(name) {
        Some(id) => Ok(Some(id)),
        None => {
            let names: Vec<String> = lab.interface_names().iter().map(ToString::to_string).collect();
            Err(format!(
                "packet {packet} came by interface {name:?}, which the lab doesn't have: it has {}, and `local`; rename it in the lab file or the capture",
                names.join(", ")
            )
            .into())
        }
    }
}

/// The capture's time. It never runs backwards: a packet from the past comes now.
#[derive(Default)]
struct ReplayClock {
    warned: bool,
    last_tick: Time,
}

impl ReplayClock {
    /// True where time has work to do. Not at every packet: each tick looks through the whole table of flows.
    fn ticks(&mut self, lab: &Lab) -> bool {
        let due = lab.now().since(self.last_tick) >= TICK;
        if due {
            self.last_tick = lab.now();
        }
        due
    }

    fn follow(&mut self, lab: &mut Lab, time: Time, packet: u64) {
        if !lab.set_clock(time) && !self.warned {
            self.warned = true;
            eprintln!(
                "nflab: packet {packet} is older than the one before it; the clock doesn't run backwards, so it (and others like it) comes at the time of the last"
            );
        }
    }
}

struct Outputs<'a> {
    capture: Option<(CaptureWriter<Box<dyn Write>>, &'a Path)>,
    json: Option<(Box<dyn Write>, &'a Path)>,
}

impl<'a> Outputs<'a> {
    fn open(arguments: &'a Arguments, lab: &Lab) -> Result<Self, Stop> {
        let capture = match &arguments.out {
            None => None,
            Some(path) => {
                let mut writer = create(path)
                    .and_then(CaptureWriter::new)
                    .map_err(|error| cannot_write(path, &error))?;
                for name in lab.interface_names() {
                    if name.as_str() != "lo" {
                        writer
                            .interface(name.as_str())
                            .map_err(|error| cannot_write(path, &error))?;
                    }
                }
                Some((writer, path.as_path()))
            }
        };
        let json = match &arguments.json {
            None => None,
            Some(path) => Some((
                create(path).map_err(|error| cannot_write(path, &error))?,
                path.as_path(),
            )),
        };
        Ok(Self { capture, json })
    }

    fn packets(&mut self, lab: &Lab, emissions: &[Emission]) -> Result<(), Stop> {
        let Some((writer, path)) = &mut self.capture else {
            return Ok(());
        };
        for emission in emissions {
            let name = lab.port_name(emission.port);
            writer
                .write(name.as_str(), lab.now(), &emission.bytes, None)
                .map_err(|error| cannot_write(path, &error))?;
        }
        Ok(())
    }

    fn line(
        &mut self,
        lab: &Lab,
        number: u64,
        interface: &str,
        report: Option<&Report>,
        emissions: &[Emission],
    ) -> Result<(), Stop> {
        let Some((writer, path)) = &mut self.json else {
            return Ok(());
        };
        let line = Line {
            n: number,
            r#in: interface,
            verdict: report.map_or("DROP", |report| report.fate.verdict()),
            ctstate: report.and_then(|report| report.state).map(|state| state.name()),
            out: emissions
                .iter()
                .map(|emission| Left {
                    r#if: lab.port_name(emission.port).to_string(),
                    hex: describe::hex(&emission.bytes),
                })
                .collect(),
            reason: match report {
                None => Some("not an IP packet".to_owned()),
                Some(report) => match &report.fate {
                    crate::engine::Fate::Stopped(reason) => Some(reason.to_string()),
                    _ => None,
                },
            },
        };
        let written = serde_json::to_writer(&mut *writer, &line)
            .map_err(io::Error::from)
            .and_then(|()| writer.write_all(b"\n"));
        written.map_err(|error| cannot_write(path, &error))
    }

    fn finish(self) -> Result<(), Stop> {
        if let Some((writer, path)) = self.capture {
            writer
                .finish()
                .and_then(|mut writer| writer.flush())
                .map_err(|error| cannot_write(path, &error))?;
        }
        if let Some((mut writer, path)) = self.json {
            writer.flush().map_err(|error| cannot_write(path, &error))?;
        }
        Ok(())
    }
}

/// One line of the JSON output.
#[derive(Serialize)]
struct Line<'a> {
    n: u64,
    r#in: &'a str,
    verdict: &'static str,
    ctstate: Option<&'static str>,
    out: Vec<Left>,
    /// Why it went no further.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Left {
    r#if: String,
    hex: String,
}

/// A file, or standard output for `-`.
fn create(path: &Path) -> io::Result<Box<dyn Write>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    }
    Ok(Box::new(BufWriter::new(File::create(path)?)))
}

/// The whole text into a file, or to standard output for `-`.
pub fn write_text(path: &Path, text: &str) -> io::Result<()> {
    let mut writer = create(path)?;
    writer.write_all(text.as_bytes())?;
    writer.flush()
}

fn cannot_write(path: &Path, error: &io::Error) -> Stop {
    Stop::Say(format!(
        "cannot write {}: {}",
        path.display(),
        super::tools::said_by_system(error)
    ))
}

/// As often as a live lab ticks.
const TICK: Duration = Duration::from_millis(100);
