//! `nflab import`: a save file for each family from what people have, and on standard error what it does not tell.

#[cfg(unix)]
mod script;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::base::Family;
use crate::base::bytes::{text_of, text_of_path};
use crate::device::file_uses::{FileUses, Sharing};
use crate::device::standard::{tell, tell_styled};
use crate::device::text_file::{read_bytes, read_whole};
use crate::import::{self, Found, Import, Input, Kind, Note, Options, Weight};
use crate::rule::Table;
use crate::syntax::problem::Source;
use crate::text::StaticHosts;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Listings, commands, scripts or save files; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What the files are; else it is seen by their look
    #[arg(long, value_name = "KIND", value_parser = ["listing", "commands", "script", "save"])]
    from: Option<String>,
    /// The table of listings and commands that do not name theirs
    #[arg(long, value_name = "TABLE", value_parser = ["filter", "nat", "mangle", "raw", "security"])]
    table: Option<String>,
    /// What does not name its family is IPv4's, as iptables has it
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// What does not name its family is IPv6's, as ip6tables has it
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Where to write the save file; else standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where to write IPv6's save file; else that goes where IPv4's would, and is not written where there are both
    #[arg(long, value_name = "FILE")]
    out6: Option<PathBuf>,
    /// What a name in a listing stands for
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = host)]
    host: Vec<(String, IpAddr)>,
    /// Whatever a text does not tell is an error
    #[arg(long)]
    strict: bool,
    /// Tell of each line that is only written otherwise, too
    #[arg(short, long)]
    verbose: bool,
    /// The lab that scripts run in
    #[arg(long, value_name = "LAB.toml")]
    lab: Option<PathBuf>,
    #[command(flatten)]
    what: super::open::As,
    /// A word that scripts are called with (`start`)
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    argument: Vec<String>,
    /// A program that scripts may call beside the lab's tools
    #[arg(long, value_name = "PROGRAM")]
    allow: Vec<String>,
}

fn host(text: &str) -> Result<(String, IpAddr), String> {
    let (name, address) = text.split_once('=').ok_or("expected NAME=ADDRESS")?;
    let address = address.parse().map_err(|_| format!("`{address}` is no address"))?;
    Ok((name.to_owned(), address))
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    let kind = arguments.from.as_deref().and_then(Kind::from_name);
    let hosts = arguments
        .host
        .iter()
        .fold(known_hosts(), |hosts, (name, address)| hosts.with(name, *address));
    let options = Options {
        table: arguments.table.as_deref().and_then(Table::from_name),
        family: match (arguments.ipv4, arguments.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        },
        hosts,
    };
    if let Err(why) = keep_what_is_read(arguments) {
        tell!("nflab: {why}");
        return 2;
    }
    let mut inputs = Vec::new();
    let mut notes = Vec::new();
    for file in &arguments.files {
        let source = match source_of(file) {
            Ok(source) => source,
            Err(why) => {
                tell!("nflab: {why}");
                return 2;
            }
        };
        let seen = import::kind::detect(&source.text).ok();
        // What parses as rules is never run, whatever it is said to be.
        if kind == Some(Kind::Script)
            && let Some(rules) = seen.filter(|seen| matches!(seen, Kind::Save | Kind::Commands))
        {
            tell!(
                "nflab: {} is no script but {}, which is read and not run: leave --from out, or say --from {}",
                source.name,
                rules.about(Family::V4, false),
                rules.name()
            );
            return 2;
        }
        let kind = kind.or(seen);
        if kind != Some(Kind::Script) {
            inputs.push(Input { source, kind });
            continue;
        }
        if let Some(code) = refuse_mixed(&source) {
            return code;
        }
        match run_script(&source, arguments) {
            Ok((left, said)) => {
                notes.extend(said);
                inputs.push(Input {
                    source: left,
                    kind: Some(Kind::Script),
                });
            }
            Err(code) => return code,
        }
    }
    let import = import::read_with(&inputs, &options, notes);
    tell(&import, arguments.verbose);
    end(&import, arguments)
}

/// A script that holds rules as a save file does would lose them, as no program has their names.
fn refuse_mixed(source: &Source) -> Option<u8> {
    let rules = import::script::rules_among(&source.text);
    for number in &rules {
        let line = source.text.lines().nth(number - 1).unwrap_or_default().trim();
        tell_styled!(
            "{}:{number}: {RED}cannot be read{PLAIN}: `{line}` is a rule and no command, among commands of a shell; put the tool's name before it (`iptables {line}`), or what belongs to a save file into a file of its own",
            source.name
        );
    }
    (!rules.is_empty()).then(|| {
        tell!("nflab: {}; nothing was run or written", many(rules.len(), "fault"));
        2
    })
}

/// What a text does not tell is in the text alone, so nothing takes its place.
fn keep_what_is_read(arguments: &Arguments) -> Result<(), String> {
    let mut uses = FileUses::default();
    for file in arguments.files.iter().chain(&arguments.lab) {
        uses.reads(file);
    }
    match &arguments.out {
        Some(file) => uses.writes("--out", file, Sharing::InTurn),
        None => uses.prints("the save file", Sharing::InTurn),
    }
    if let Some(file) = &arguments.out6 {
        uses.writes("--out6", file, Sharing::InTurn);
    }
    uses.check()
}

#[cfg(unix)]
fn run_script(source: &Source, arguments: &Arguments) -> Result<(Source, Vec<Note>), u8> {
    script::run(
        source,
        (arguments.lab.as_deref(), arguments.what),
        &arguments.argument,
        &arguments.allow,
    )
}

#[cfg(not(unix))]
fn run_script(source: &Source, _: &Arguments) -> Result<(Source, Vec<Note>), u8> {
    tell!(
        "nflab: {} is a script, and scripts are run by a unix shell, which is not here",
        source.name
    );
    Err(3)
}

/// What Debian's files of names hold.
fn known_hosts() -> StaticHosts {
    StaticHosts::localhost()
        .with("loopback", IpAddr::from([127, 0, 0, 0]))
        .with("link-local", IpAddr::from([169, 254, 0, 0]))
}

fn source_of(file: &Path) -> Result<Source, String> {
    let (name, read) = match file == Path::new("-") {
        true => ("standard input".to_owned(), read_whole(std::io::stdin().lock())),
        false => (text_of_path(file), read_bytes(file)),
    };
    let bytes = read.map_err(|error| format!("cannot read {name}: {}", super::tools::said_by_system(&error)))?;
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    if let Some((what, remedy)) = no_text(bytes) {
        return Err(format!("{name} is {what}, not text: {remedy}"));
    }
    let text = text_of(bytes);
    Ok(Source { name, text })
}

/// What bytes are that no rules can be read from, and what makes text of them.
fn no_text(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let begins = |with: &[u8]| bytes.starts_with(with);
    if begins(b"\x1f\x8b") {
        Some(("compressed by gzip", "unpack it with `gunzip`"))
    } else if begins(b"BZh") {
        Some(("compressed by bzip2", "unpack it with `bunzip2`"))
    } else if begins(b"\xfd7zXZ\0") {
        Some(("compressed by xz", "unpack it with `unxz`"))
    } else if begins(b"\x28\xb5\x2f\xfd") {
        Some(("compressed by zstd", "unpack it with `unzstd`"))
    } else if begins(b"PK\x03\x04") {
        Some(("a zip archive", "unpack it with `unzip`"))
    } else if begins(b"\xff\xfe") || begins(b"\xfe\xff") {
        Some(("UTF-16", "make it UTF-8 with `iconv -f UTF-16 -t UTF-8`, or save it so"))
    } else if bytes.contains(&0) {
        Some((
            "binary (it has NUL bytes)",
            "give what iptables-save, iptables -S or iptables -L print, or those of ip6tables, or a script",
        ))
    } else {
        None
    }
}

/// What some editors begin UTF-8 with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn tell(import: &Import, verbose: bool) {
    let sources: BTreeSet<(&str, Family)> = import.tables.iter().map(|it| (it.source.as_str(), it.family)).collect();
    for (source, family) in sources {
        let of = |it: &&Found| it.source == source && it.family == family;
        let found: Vec<_> = import.tables.iter().filter(of).collect();
        let tables: Vec<String> = found
            .iter()
            .map(|it| {
                format!(
                    "{} ({}, {})",
                    it.table.name(),
                    many(it.chains, "chain"),
                    many(it.rules, "rule")
                )
            })
            .collect();
        let about = found
            .first()
            .map_or("", |it| it.kind.about(family, import::has_both(&import.tables)));
        tell!("{source}: {about}: {}", tables.join(", "));
    }
    let mut otherwise = 0;
    for note in &import.notes {
        match note.weight {
            Weight::Unknown => tell_styled!("{}: {YELLOW}not known{PLAIN}: {}", note.place(), note.text),
            _ if verbose => tell!("{note}"),
            _ => otherwise += note.lines.len().max(1),
        }
    }
    if otherwise > 0 {
        tell!("({} of form: -v tells them)", many(otherwise, "note"));
    }
    for note in &import.refused {
        tell_styled!("{}: {RED}cannot be read{PLAIN}: {}", note.place(), note.text);
    }
}

fn end(import: &Import, arguments: &Arguments) -> u8 {
    if !import.refused.is_empty() {
        tell!("nflab: {}; nothing was written", many(import.refused.len(), "fault"));
        return 2;
    }
    let unknown = import.notes.iter().filter(|it| it.weight == Weight::Unknown).count();
    if arguments.strict && unknown > 0 {
        tell!(
            "nflab: {} not known, and --strict asks for all; nothing was written",
            many(unknown, "thing")
        );
        return 1;
    }
    let (places, unwritten) = places(import, arguments);
    for why in &unwritten {
        tell!("nflab: {why}");
    }
    if arguments.strict && places.len() < import.saves.len() {
        tell!("nflab: --strict asks for all; nothing was written");
        return 1;
    }
    for (out, save) in places {
        if let Err(error) = super::replay::write_text(out, save) {
            tell!(
                "nflab: cannot write {}: {}",
                text_of_path(out),
                super::tools::said_by_system(&error)
            );
            return 2;
        }
    }
    0
}

/// Where each family's save file goes, and what there is to say of those that go nowhere.
fn places<'a>(import: &'a Import, arguments: &'a Arguments) -> (Vec<(&'a Path, &'a str)>, Vec<String>) {
    let out = arguments.out.as_deref().unwrap_or(Path::new("-"));
    let [four, six] = Family::ALL.map(|family| import.save(family));
    let mut places = Vec::new();
    let mut unwritten = Vec::new();
    places.extend(four.map(|save| (out, save)));
    match (six, &arguments.out6) {
        (Some(six), Some(out6)) => places.push((out6, six)),
        (Some(six), None) if four.is_none() => places.push((out, six)),
        (Some(_), None) => unwritten.push("the rules of IPv6 were not written: --out6 FILE takes them".to_owned()),
        (None, Some(out6)) => unwritten.push(format!(
            "there are no rules of IPv6: {} was not written",
            text_of_path(out6)
        )),
        (None, None) => {}
    }
    if let (None, Some(_), Some(out)) = (four, &arguments.out6, &arguments.out) {
        unwritten.push(format!(
            "there are no rules of IPv4: {} was not written",
            text_of_path(out)
        ));
    }
    (places, unwritten)
}

fn many(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";
