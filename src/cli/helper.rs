//! `nflab helper`: what a helper understands of a capture, message by message, what it expects of that, and what it would write behind a router.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::base::bytes::{quoted, text_of_path};
use crate::base::{AddressMask, Family, Time};
use crate::device::standard::{say, tell};
use crate::device::{CaptureReader, Content};
use crate::explain::account::expectation_sentence;
use crate::helper::{self, HelperSpec};
use crate::replay::hearing::{Hearing, NotHeard, Outside, Said};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The helper, as `-j CT --helper` or `modprobe` call it: ftp, ip_conntrack_ftp
    #[arg(value_name = "NAME")]
    name: String,
    /// The capture: pcapng or pcap, as it is or packed with gzip; `-` for standard input
    #[arg(value_name = "CAPTURE")]
    capture: PathBuf,
    /// What `modprobe` would say behind the module's name: `ports=21,2121`, `loose`
    #[arg(short, long = "parameter", value_name = "PARAMETER")]
    parameters: Vec<String>,
    /// The address that who opened a flow has outside, to show what is written over payloads behind NAT; one of each family at most, and without one
    /// 203.0.113.1 and 2001:db8:ffff::1
    #[arg(long, value_name = "ADDRESS")]
    behind: Vec<IpAddr>,
    /// The network of the host that took the capture: what it sends to the last address is a broadcast of the router's own (NetBIOS names, SNMP)
    #[arg(long, value_name = "ADDRESS/LENGTH", value_parser = network)]
    network: Option<AddressMask>,
    /// Tell of every packet of the flows that it reads, also of those in which it finds nothing to read
    #[arg(short, long)]
    verbose: bool,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    match hear(arguments) {
        Ok(()) => 0,
        Err(message) => {
            tell!("nflab: {message}");
            2
        }
    }
}

fn hear(arguments: &Arguments) -> Result<(), String> {
    let spec = find(&arguments.name)?;
    let outside = outside(&arguments.behind)?;
    let mut hearing =
        Hearing::new(spec, &arguments.parameters, outside, arguments.network).map_err(|why| match why {
            Ok(unknown) => {
                let known: Vec<&str> = spec.parameters.iter().map(|it| it.name).collect();
                let known = match known.is_empty() {
                    true => "none".to_owned(),
                    false => known.join(", "),
                };
                format!(
                    "{} has no parameter {}: it has {known}",
                    spec.modules[0],
                    quoted(&unknown)
                )
            }
            Err(refused) => format!("{}: {refused}", spec.modules[0]),
        })?;
    let mut counts = Counts::default();
    let mut begun = None;
    let path = &arguments.capture;
    let mut reader = open(path)?;
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            Err(error) if error.goes_on() => {
                tell!("nflab: {error}");
                continue;
            }
            Err(error) => return Err(error.to_string()),
        };
        counts.packets += 1;
        let Content::Ip(bytes) = packet.content else {
            counts.others += 1;
            continue;
        };
        let begun = *begun.get_or_insert(packet.time);
        let number = packet.number;
        match hearing.hear(number, packet.time, bytes) {
            Ok(None) => {}
            Err(NotHeard::Fragment) => counts.fragments += 1,
            Err(NotHeard::Malformed | NotHeard::Invalid) => counts.others += 1,
            Ok(Some(message)) => {
                counts.heard += 1;
                if let Said::Heard { is_telling: false, .. } = message.said
                    && !arguments.verbose
                {
                    continue;
                }
                let (from, to) = (message.from, message.to);
                let at = seconds(packet.time, begun);
                say!(
                    "packet {number}, {at} s: {} > {}",
                    SocketAddr::new(from.address, from.id),
                    SocketAddr::new(to.address, to.id)
                );
                say_what(&message.said, outside.of(message.from.address));
            }
        }
    }
    counts.say(spec, &hearing);
    Ok(())
}

fn open(path: &Path) -> Result<CaptureReader<Box<dyn std::io::Read>>, String> {
    let reader: Box<dyn std::io::Read> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(
            std::fs::File::open(path)
                .map_err(|error| format!("cannot read the capture {}: {error}", text_of_path(path)))?,
        ),
    };
    match path == Path::new("-") {
        true => CaptureReader::new(reader),
        false => CaptureReader::named(reader, path),
    }
    .map_err(|error| error.to_string())
}

fn say_what(said: &Said, outside: IpAddr) {
    match said {
        Said::Opens(0) => say!("  opens a flow that was announced"),
        Said::Opens(by) => say!("  opens what packet {by} announced"),
        Said::Heard { plain, behind, .. } => {
            say!("  {plain}");
            if let Some((text, written)) = behind {
                let written = written
                    .as_ref()
                    .map_or_else(String::new, |text| format!("; wrote {text} over it"));
                say!("  behind {outside}: {text}{written}");
            }
        }
    }
}

#[derive(Default)]
struct Counts {
    packets: u64,
    heard: u64,
    fragments: u64,
    others: u64,
}

impl Counts {
    fn say(&self, spec: &HelperSpec, hearing: &Hearing) {
        for (number, tuple) in hearing.waiting() {
            say!(
                "packet {number} announced {}: nobody opened it",
                expectation_sentence(tuple)
            );
        }
        let names: Vec<&str> = spec.conntrack().map(|helper| helper.name).collect();
        say!(
            "{} packets, {} that {} has to do with",
            self.packets,
            self.heard,
            names.join(", ")
        );
        if self.fragments > 0 {
            say!("{} fragments, which are not put together here", self.fragments);
        }
        if self.others > 0 {
            say!(
                "{} packets that could not be read, or are no part of a flow",
                self.others
            );
        }
        if self.heard == 0 {
            let ports: Vec<String> = hearing.ports().map(|port| port.to_string()).collect();
            let others = match spec.parameters.iter().any(|it| it.name == "ports") {
                true => "; -p ports=PORT says another",
                false => "",
            };
            say!("it reads flows to port {}{others}", ports.join(", "));
        }
    }
}

fn outside(asked: &[IpAddr]) -> Result<Outside, String> {
    for family in Family::ALL {
        if asked.iter().filter(|it| Family::of(**it) == family).count() > 1 {
            return Err(format!(
                "--behind names two addresses of {family}: expected one, by which all inside are called outside"
            ));
        }
    }
    Ok(asked.iter().copied().fold(Outside::default(), Outside::with))
}

fn network(text: &str) -> Result<AddressMask, String> {
    let read = text.split_once('/').and_then(|(address, length)| {
        let address: Ipv4Addr = address.parse().ok()?;
        AddressMask::prefix(address.into(), length.parse().ok()?)
    });
    read.ok_or_else(|| "expected an address and a length: 10.0.0.0/24".to_owned())
}

fn seconds(time: Time, begun: Time) -> String {
    format!("{:.3}", time.since(begun.min(time)).as_secs_f64())
}

/// By a helper's name or one of its modules'.
fn find(name: &str) -> Result<&'static HelperSpec, String> {
    let is_it = |spec: &&&HelperSpec| {
        let mut names = spec.conntrack().map(|helper| helper.name);
        names.any(|own| own.eq_ignore_ascii_case(name))
            || spec.modules.contains(&name)
            || spec.nat_modules.contains(&name)
    };
    helper::registry().iter().find(is_it).copied().ok_or_else(|| {
        let all = helper::registry().iter().flat_map(|spec| spec.conntrack());
        let all: Vec<&str> = all.map(|helper| helper.name).collect();
        format!("there is no helper {}: there are {}", quoted(name), all.join(", "))
    })
}
