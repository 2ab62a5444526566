//! What the program was called to be: a tool by its name (`argv[0]`, or the first word), or one of `nflab`'s own subcommands.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, PathBufValueParser, TypedValueParser};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, value_parser};

use super::open::As;
use super::tools::{BY_WORD, SHIMS, said_by_system};
use super::{demo, replay, run, trace};
use crate::base::bytes::{os_of, path_of, text_of_os};
use crate::device::limits::enough_stack;
use crate::device::standard::{self, tell};
use crate::lab::conversation::Hosts;

/// The whole program; the exit code is what is returned. Whatever it did, it is not done where what it printed is lost.
pub fn main(args: Vec<OsString>) -> u8 {
    let code = applet(args);
    match standard::failure() {
        None => code,
        Some(error) => {
            tell!("nflab: cannot write standard output: {}", said_by_system(&error));
            UNWRITTEN
        }
    }
}

fn applet(args: Vec<OsString>) -> u8 {
    if let Err(error) = enough_stack() {
        tell!("nflab: {error}");
        return 3;
    }
    let called = args.first().map(|name| base_name(Path::new(name))).unwrap_or_default();
    let is_tool = |name: &str| SHIMS.contains(&name) || BY_WORD.contains(&name);
    if is_tool(&called) {
        return tool(&called, &args[1..]);
    }
    #[cfg(target_os = "linux")]
    if let Some(code) = contained(&called, &args) {
        return code;
    }
    if let Some(word) = args.get(1).and_then(|word| word.to_str())
        && is_tool(word)
    {
        return tool(word, &args[2..]);
    }
    match parse(&args) {
        Ok(arguments) => subcommand(arguments.command),
        Err(error) => {
            // Help and version come this way too; clap knows which stream and code each deserves.
            let text = error.render().ansi().to_string();
            match error.use_stderr() {
                true => standard::tell_styled_text(&text),
                // Remembered where it fails.
                false => drop(standard::say_styled_text(&text)),
            }
            error.exit_code() as u8
        }
    }
}

/// Arguments are bytes. clap gets the texts that stand for them, so that it refuses none for that, and its complaints show them as they are.
fn parse(args: &[OsString]) -> Result<Arguments, clap::Error> {
    let mut command = of_any_bytes(command());
    let mut matches = command.try_get_matches_from_mut(args.iter().map(|arg| text_of_os(arg)))?;
    Arguments::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// What names a file, or goes to a program, becomes bytes again.
fn of_any_bytes(command: clap::Command) -> clap::Command {
    let (path, word) = (value_parser!(PathBuf).type_id(), value_parser!(OsString).type_id());
    command
        .mut_args(|arg| match arg.get_value_parser().type_id() {
            found if found == path => {
                arg.value_parser(PathBufValueParser::new().map(|text| path_of(text.to_str().unwrap_or_default())))
            }
            found if found == word => {
                arg.value_parser(OsStringValueParser::new().map(|text| os_of(text.to_str().unwrap_or_default())))
            }
            _ => arg,
        })
        .mut_subcommands(of_any_bytes)
}

/// What this program is inside of `sh` and `import` alone.
#[cfg(target_os = "linux")]
fn contained(called: &str, args: &[OsString]) -> Option<u8> {
    use super::temporary::{SWEEPER, sweep};
    use crate::live::contain::{DOOR, INSIDE, PLAIN, enter};
    match super::contained::resolve(called, args.get(1..).unwrap_or_default()) {
        Some(Ok((name, args))) => return Some(tool(&name, &args)),
        Some(Err(code)) => return Some(code),
        None => {}
    }
    if args.get(1).is_some_and(|word| word == SWEEPER) {
        return Some(sweep());
    }
    let word = args
        .get(1)
        .filter(|word| [DOOR, INSIDE, PLAIN].iter().any(|it| *word == it))?;
    Some(enter(word, &args[2..], super::TOOLBOX))
}

/// What can be said on the command line: the manual is made from it.
pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

/// netfilter in user space: rules, tracking, NAT and helpers, in memory, over captures and between real programs.
#[derive(Debug, Parser)]
#[command(name = "nflab", version, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Sub>,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Type rules, send packets and see what becomes of them
    Repl {
        /// A fresh lab from this file; without it the current lab: that of `nflab sh`, the one that NFLAB names, or the only one that runs. Where
        /// there is none, a fresh one without rules: lan 10.0.0.1/24 and 2001:db8::1/64, wan 192.0.2.1/24 and 2001:db8:1::1/64, with default routes
        #[arg(long, value_name = "LAB.toml")]
        lab: Option<PathBuf>,
        /// The same run again needs the same seed [default: 1]; with it the lab is a fresh one
        #[arg(long, value_name = "SEED")]
        seed: Option<u64>,
        #[command(flatten)]
        what: As,
    },
    /// Do a script and hold its expectations: 0 all met, 1 some not, 2 it can't be read
    Run {
        /// `-` is standard input
        script: PathBuf,
        /// The lab's file; else `lab.toml` beside the script, else lan 10.0.0.1/24 and 2001:db8::1/64, wan 192.0.2.1/24 and 2001:db8:1::1/64
        #[arg(long, value_name = "LAB.toml")]
        lab: Option<PathBuf>,
        /// The same run again needs the same seed
        #[arg(long, default_value_t = 1)]
        seed: u64,
        #[command(flatten)]
        what: As,
        /// Tell what becomes of each packet, rule by rule
        #[arg(short, long)]
        verbose: bool,
        /// Tell nothing but failures
        #[arg(short, long, conflicts_with = "verbose")]
        quiet: bool,
    },
    /// Run the tests of rulesets: 0 all pass, 1 some fail, 2 a file can't be read
    Test(super::test::Arguments),
    /// Take a lesson: the state machine, its tables and figures, in steps with commands to type, questions and tasks
    Learn(super::learn::Arguments),
    /// See it work: two hosts around the router, a ping, a download and FTP through a ruleset
    Demo(demo::Arguments),
    /// Tell what becomes of a packet, rule by rule, and why; in memory, or of those that pass a live lab
    Trace(trace::Arguments),
    /// Turn listings, what -S prints, scripts and old save files of iptables and ip6tables into save files, and say what they do not tell
    Import(super::import::Arguments),
    /// Tell what a helper understands of a capture, message by message, what it expects, and what it writes behind NAT
    Helper(super::helper::Arguments),
    /// Send a capture's packets through a lab
    Replay(Box<replay::Arguments>),
    /// Run a command that reaches a lab and nothing of this machine: iptables, ip6tables, conntrack, sysctl, /proc/sys/net, ip are the lab's
    #[cfg(unix)]
    Sh(super::sh::Arguments),
    /// Put a link for each tool's name into a directory
    #[cfg(unix)]
    Shims { directory: PathBuf },
    /// Bring up a live lab: a TUN device for each interface, a network namespace for each host
    #[cfg(target_os = "linux")]
    Up(super::up::UpArguments),
    /// Take a live lab down, and clear away what a killed one left
    #[cfg(target_os = "linux")]
    Down(super::up::DownArguments),
    /// Show the labs that there are: interfaces, hosts, flows, rules, and what their routers may do
    #[cfg(unix)]
    Status(super::status::Arguments),
    /// Show the kernel's log of the current lab
    #[cfg(unix)]
    Dmesg(super::programs::DmesgArguments),
    /// Show files of the current lab's /proc
    #[cfg(unix)]
    Cat(super::programs::CatArguments),
    /// Show which modules the current lab has loaded
    #[cfg(unix)]
    Lsmod,
    /// Decide of the packets that wait at a queue of a live lab (`-j NFQUEUE`): what is typed, or a program, says `accept ID`, `drop ID` or `repeat ID`
    #[cfg(target_os = "linux")]
    Queue(super::queue::Arguments),
    /// Run a command in a host of a live lab, or a shell
    #[cfg(target_os = "linux")]
    Exec(super::exec::Arguments),
}

fn subcommand(command: Option<Sub>) -> u8 {
    match command {
        None if std::io::stdin().is_terminal() => repl(None, None, As::default()),
        None => {
            tell!(
                "nflab: say what to do: `nflab repl`, `nflab run SCRIPT`, `nflab replay ...`; `nflab --help` lists all"
            );
            2
        }
        Some(Sub::Repl { lab, seed, what }) => repl(lab.as_deref(), seed, what),
        Some(Sub::Run {
            script,
            lab,
            seed,
            what,
            verbose,
            quiet,
        }) => run::run(
            &script,
            lab.as_deref(),
            (seed, what),
            run::Telling::from_flags(verbose, quiet),
        ),
        Some(Sub::Test(arguments)) => super::test::run(&arguments),
        Some(Sub::Learn(arguments)) => super::learn::run(&arguments),
        Some(Sub::Demo(arguments)) => demo::run(&arguments),
        Some(Sub::Trace(arguments)) => trace::run(&arguments),
        Some(Sub::Replay(arguments)) => replay::run(&arguments),
        Some(Sub::Import(arguments)) => super::import::run(&arguments),
        Some(Sub::Helper(arguments)) => super::helper::run(&arguments),
        #[cfg(unix)]
        Some(Sub::Sh(arguments)) => super::sh::run(&arguments),
        #[cfg(unix)]
        Some(Sub::Shims { directory }) => super::shims::run(&directory),
        #[cfg(target_os = "linux")]
        Some(Sub::Up(arguments)) => super::up::up(&arguments),
        #[cfg(target_os = "linux")]
        Some(Sub::Down(arguments)) => super::up::down(&arguments),
        #[cfg(unix)]
        Some(Sub::Status(arguments)) => super::status::run(&arguments),
        #[cfg(unix)]
        Some(Sub::Dmesg(arguments)) => super::programs::dmesg(&arguments),
        #[cfg(unix)]
        Some(Sub::Cat(arguments)) => super::programs::cat(&arguments),
        #[cfg(unix)]
        Some(Sub::Lsmod) => super::programs::lsmod(),
        #[cfg(target_os = "linux")]
        Some(Sub::Queue(arguments)) => super::queue::run(&arguments),
        #[cfg(target_os = "linux")]
        Some(Sub::Exec(arguments)) => super::exec::run(&arguments),
    }
}

fn repl(file: Option<&Path>, seed: Option<u64>, what: As) -> u8 {
    let attached = match (file, seed, what.profile) {
        (Some(_), ..) => None,
        (None, Some(_), _) => Some(Err("--seed asks for one".to_owned())),
        (None, _, Some(_)) => Some(Err("--profile asks for one".to_owned())),
        (None, None, None) => Some(attach()),
    };
    let first = match attached {
        Some(Ok(code)) => return code,
        Some(Err(why)) => Some(format!(
            "nflab: this is a fresh lab without rules, lan 10.0.0.1/24 and 2001:db8::1/64, wan 192.0.2.1/24 and 2001:db8:1::1/64 ({why})"
        )),
        None => None,
    };
    let seed = seed.unwrap_or(1);
    let file = match super::open::file_or_default(file) {
        Ok(file) => what.applied(file),
        Err(code) => return code,
    };
    let hosts = Hosts::of_lab(&file);
    match super::open::made(&file, seed) {
        Ok(lab) => crate::repl::run(lab, hosts, first.as_deref()),
        Err(code) => code,
    }
}

/// The editor over the current lab, and its exit code; or why there is none. Which of several is meant has to be said.
#[cfg(unix)]
fn attach() -> Result<u8, String> {
    use super::current;
    use crate::live::control::FindError;

    let target = match current::find() {
        Ok(target) => target,
        Err(error @ FindError::SeveralRun { .. }) => {
            tell!("nflab: {error}");
            return Ok(current::NO_LAB);
        }
        Err(FindError::NoneRuns) => return Err("no lab runs".to_owned()),
        Err(error) => return Err(error.to_string()),
    };
    let copy = match current::copy(&target) {
        Ok(copy) => copy,
        Err(code) => return Ok(code),
    };
    match crate::repl::Attached::new(&target.socket, &copy, super::TOOLBOX) {
        Ok(attached) => Ok(attached.run()),
        Err(error) => {
            tell!("nflab: the lab {} cannot be shown here: {error}", copy.name);
            Ok(2)
        }
    }
}

#[cfg(not(unix))]
fn attach() -> Result<u8, String> {
    Err("labs that run are spoken to over unix sockets, which are not here".to_owned())
}

#[cfg(unix)]
fn tool(name: &str, args: &[OsString]) -> u8 {
    super::client::run(name, args)
}

#[cfg(not(unix))]
fn tool(name: &str, _: &[OsString]) -> u8 {
    tell!("{name}: labs are spoken to over unix sockets, which are not here; use `nflab run` or `nflab repl` here");
    3
}

fn base_name(path: &Path) -> String {
    path.file_name().map(text_of_os).unwrap_or_default()
}

/// The exit code where standard output could not be written.
const UNWRITTEN: u8 = 2;

const AFTER_HELP: &str = "\
`nflab iptables ...` is iptables for the lab that NFLAB names, else for the only one that runs; so are iptables-save, iptables-restore, those of
ip6tables, conntrack, nfct, sysctl, modprobe and ip. Without `nflab` in front they are the machine's own, but by the links that `nflab shims` makes.

Exit codes: 0 done; 1 an expectation failed, or the tool says so; 2 unusable arguments or text; 3 the machine refused; 4 no lab runs.";

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;
    use crate::base::bytes::bytes_of;

    /// A file's name, a rule's comment, an interface: whatever the option, clap refuses none for its bytes, and what comes of it are those bytes.
    #[test]
    fn arguments_are_any_bytes() {
        let odd = OsStr::from_bytes(b"\xff=\xfe");
        let mut tried = 0;
        fn all<'a>(way: &[&'a str], command: &'a clap::Command, found: &mut Vec<(Vec<&'a str>, &'a clap::Arg)>) {
            found.extend(command.get_arguments().map(|arg| (way.to_vec(), arg)));
            for sub in command.get_subcommands() {
                all(&[way, &[sub.get_name()]].concat(), sub, found);
            }
        }
        let command = command();
        let mut found = Vec::new();
        all(&[], &command, &mut found);
        for (way, arg) in found.iter().filter(|(_, arg)| arg.get_action().takes_values()) {
            let mut line: Vec<OsString> = [&["nflab"], &way[..]]
                .concat()
                .into_iter()
                .map(OsString::from)
                .collect();
            match arg.get_long() {
                Some(long) => line.push([OsStr::new(&format!("--{long}=")), odd].into_iter().collect()),
                None => line.push(odd.to_owned()),
            }
            let said = parse(&line).map_err(|error| error.render().to_string());
            // What it complains of shows the bytes, and is not that they are bytes.
            if let Err(said) = said {
                assert!(!said.contains("UTF-8"), "{line:?}: {said}");
                let shown = bytes_of(&said);
                let shows = shown.windows(3).any(|part| part == odd.as_bytes());
                assert!(shows || said.contains("required"), "{line:?}: {}", shown.escape_ascii());
            }
            tried += 1;
        }
        assert!(tried > 50, "{tried}");
        let line = [
            b"nflab".as_slice(),
            b"sh",
            b"--save=\xff",
            b"--",
            b"\xfe",
            b"\xf4\x8f\xbf\xbf",
        ];
        let Ok(Arguments {
            command: Some(Sub::Sh(sh)),
        }) = parse(&line.map(|it| OsStr::from_bytes(it).to_owned()))
        else {
            panic!("sh takes it")
        };
        assert_eq!(
            format!("{sh:?}").matches("\\xFF").count() + format!("{sh:?}").matches("\\xFE").count(),
            2,
            "{sh:?}"
        );
        assert!(format!("{sh:?}").contains("\\u{10ffff}"), "{sh:?}");
    }

    /// Two sentences that ran together, as when a command's line slips into another's, show as a capital in the middle.
    #[test]
    fn each_subcommand_says_in_one_sentence_of_its_own_what_it_does() {
        let command = command();
        let mut said = Vec::new();
        for sub in command.get_subcommands() {
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            let words: Vec<&str> = about.split_whitespace().collect();
            let ran_together = words.windows(2).any(|pair| {
                let starts = pair[1].starts_with(char::is_uppercase) && pair[1].ends_with(char::is_lowercase);
                starts && pair[0].ends_with(char::is_alphanumeric)
            });
            assert!(words.len() > 2 && !ran_together, "{}: {about:?}", sub.get_name());
            assert!(!said.contains(&about), "{}: {about:?} is another's", sub.get_name());
            said.push(about);
        }
        for (name, word) in [
            ("import", "save file"),
            ("replay", "capture"),
            ("down", "down"),
            ("trace", "packet"),
        ] {
            let about = command.find_subcommand(name).and_then(|sub| sub.get_about());
            assert!(about.is_some_and(|about| about.to_string().contains(word)), "{name}");
        }
    }
}
