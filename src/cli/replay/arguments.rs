//! The options of `nflab replay`, and what can be known to be wrong with them before a packet is read.

use std::path::{Path, PathBuf};

use super::Stop;
use super::screen::Screen;
use crate::base::Family;
use crate::cli::open::As;
use crate::device::file_uses::{FileUses, Sharing};
use crate::device::standard::tell_styled;
use crate::explain::filter::{Filter, Names};
use crate::replay::Selection;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("compared").args(["against", "against6"]).multiple(true)))]
pub(crate) struct Arguments {
    /// The lab's file; without it, a copy of the current lab: that of `nflab sh`, the one that NFLAB names, or the only one that runs
    #[arg(long, value_name = "LAB.toml")]
    pub lab: Option<PathBuf>,
    /// Rules, as iptables-restore reads them (counters too); without them, and without --lab, those of the current lab
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// Rules of IPv6, as ip6tables-restore reads them
    #[arg(long, value_name = "FILE")]
    pub rules6: Option<PathBuf>,
    /// The same run again needs the same seed
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[command(flatten)]
    pub what: As,
    /// The capture: pcapng or pcap, as it is or packed with gzip; `-` for standard input
    #[arg(value_name = "IN.pcapng")]
    pub input: PathBuf,
    /// The interface of packets whose capture names none of the lab's
    #[arg(long, value_name = "NAME")]
    pub interface: Option<String>,
    /// Packets from these sources come in by this interface; the longest prefix counts
    #[arg(long, value_name = "PREFIX=NAME")]
    pub map: Vec<String>,
    /// Only packets that went this way, as the capturing machine saw them
    #[arg(long, value_name = "WAY")]
    pub direction: Option<Way>,
    /// Fill packets that the capture cut short with zeros
    #[arg(long)]
    pub fill_cut: bool,
    /// Make checksums right that a network card was to fill in
    #[arg(long)]
    pub fix_checksums: bool,
    /// What the router sent, by interface; what reached it, on `local`
    #[arg(long, value_name = "OUT.pcapng")]
    pub out: Option<PathBuf>,
    /// Every packet of the capture, with its verdict as a comment
    #[arg(long, value_name = "OUT.pcapng")]
    pub annotate: Option<PathBuf>,
    /// An object for each packet of the capture, a line each
    #[arg(long, value_name = "OUT.jsonl")]
    pub json: Option<PathBuf>,
    /// `iptables-save -c` after the last packet
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// `ip6tables-save -c` after the last packet
    #[arg(long, value_name = "FILE")]
    pub save6: Option<PathBuf>,
    /// `conntrack -L -o extended` after the last packet
    #[arg(long, value_name = "FILE")]
    pub conntrack: Option<PathBuf>,
    /// Explain these packets: 3 or 3,7-9 or all
    #[arg(long, value_name = "PACKETS")]
    pub explain: Option<String>,
    /// Explain in brief: a line for each table that decided something
    #[arg(long, requires = "explain")]
    pub brief: bool,
    /// Only explain and compare packets that fit, such as 'tcp dport 80'
    #[arg(long, value_name = "EXPR")]
    pub filter: Option<String>,
    /// Compare with these rules; exit with 1 where packets are treated differently, 2 where packets tell nothing
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// The same of IPv6; of a family for which neither is given both replays have the same rules
    #[arg(long, value_name = "FILE")]
    pub against6: Option<PathBuf>,
    /// Packets that tell nothing about the rules (INVALID, malformed, not decoded) make no exit code 2
    #[arg(long, requires = "compared")]
    pub allow_invalid: bool,
    /// What --against finds, as JSON, a line each
    #[arg(long, value_name = "OUT.jsonl", requires = "compared")]
    pub differences: Option<PathBuf>,
    /// How many packets and flows --against prints
    #[arg(long, value_name = "N", default_value_t = 20, requires = "compared")]
    pub limit: usize,
    /// Workers that carry packets; as many as there are cores unless given. Results are the same with any number, but where rules have packets of all
    /// flows meet (NAT, limit, helpers and the like): there it is one unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: Option<u16>,
    /// Say what it came to, on standard error
    #[arg(long, conflicts_with = "quiet")]
    pub summary: bool,
    /// No progress bar and no summary
    #[arg(long)]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Way {
    /// What came to it
    In,
    /// What it sent
    Out,
}

impl Arguments {
    /// Whether two rulesets are compared.
    pub(super) fn compares(&self) -> bool {
        self.against.is_some() || self.against6.is_some()
    }

    /// Rules by their family, and what they are compared with.
    pub(super) fn rules_compared(&self) -> [(Family, Option<&Path>, Option<&Path>); 2] {
        [
            (Family::V4, self.rules.as_deref(), self.against.as_deref()),
            (Family::V6, self.rules6.as_deref(), self.against6.as_deref()),
        ]
    }
}

/// What is printed of packets while they pass.
pub(super) struct Wanted {
    pub explain: Option<Selection>,
    pub filter: Option<Filter>,
}

/// What can be known to be wrong before anything is read.
pub(super) fn check(arguments: &Arguments) -> Result<Wanted, Stop> {
    let explain = match &arguments.explain {
        Some(text) => Some(Selection::parse(text).map_err(|error| format!("--explain {error}"))?),
        None => None,
    };
    let filter = match &arguments.filter {
        Some(text) => Some(filter_among(text, &Names::of_any_lab())?),
        None => None,
    };
    if filter.is_some() && explain.is_none() && !arguments.compares() {
        return Err(
            "--filter chooses among the packets that --explain or --against prints; add --explain all"
                .to_owned()
                .into(),
        );
    }
    if explain.is_some() || arguments.compares() {
        let prints = if explain.is_some() { "--explain" } else { "--against" };
        for (option, path) in written(arguments) {
            if path.as_deref() == Some(Path::new("-")) {
                return Err(format!("{prints} writes to standard output, so {option} needs a file").into());
            }
        }
    }
    keep_what_is_read(arguments)?;
    Ok(Wanted { explain, filter })
}

/// `--filter`, among what has a name.
pub(super) fn filter_among(text: &str, names: &Names<'_>) -> Result<Filter, Stop> {
    Filter::parse_among(text, names).map_err(|error| {
        tell_styled!("{}", error.styled());
        Stop::Said(2)
    })
}

pub(super) fn written(arguments: &Arguments) -> [(&'static str, &Option<PathBuf>); 7] {
    [
        ("--out", &arguments.out),
        ("--annotate", &arguments.annotate),
        ("--json", &arguments.json),
        ("--save", &arguments.save),
        ("--save6", &arguments.save6),
        ("--conntrack", &arguments.conntrack),
        ("--differences", &arguments.differences),
    ]
}

/// The capture is read while the results are written: a result in its place would destroy both.
fn keep_what_is_read(arguments: &Arguments) -> Result<(), Stop> {
    let mut uses = FileUses::default();
    uses.reads(&arguments.input);
    let rules = arguments.rules_compared().map(|(_, rules, against)| [rules, against]);
    for read in rules
        .as_flattened()
        .iter()
        .copied()
        .chain([arguments.lab.as_deref()])
        .flatten()
    {
        uses.reads(read);
    }
    if arguments.explain.is_some() || arguments.compares() {
        uses.prints("what is told of packets", Sharing::InTurn);
    }
    for (option, path) in written(arguments) {
        let sharing = match option {
            "--out" | "--annotate" => Sharing::Alone,
            _ => Sharing::InTurn,
        };
        if let Some(path) = path {
            uses.writes(option, path, sharing);
        }
    }
    Ok(uses.check()?)
}

/// With a terminal, or where nothing else was asked for, people want to know.
pub(super) fn says_summary(arguments: &Arguments) -> bool {
    let asks_for_nothing = arguments.explain.is_none()
        && !arguments.compares()
        && written(arguments).iter().all(|(_, path)| path.is_none());
    arguments.summary || !arguments.quiet && (asks_for_nothing || Screen::is_terminal())
}
