//! `nflab sh -- COMMAND`: a command with a fresh lab in memory behind its tools, contained so that it reaches nothing else. Needs no privilege and
//! no network.

use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use parking_lot::Mutex;

use super::temporary::TemporaryDirectory;
use super::{TOOLBOX, current, open, shims};
use crate::base::Family;
use crate::base::bytes::{text_of_os, text_of_path};
use crate::device::file_uses::{FileUses, Sharing};
use crate::device::standard::{tell, tell_styled};
use crate::lab::file::LabFile;
use crate::lab::memory::Lab;
use crate::lab::request::{Answer, Waker};
use crate::lab::request::{Asker, Request, Response};
use crate::live::clock::Clock;
use crate::live::control::{self, Client, Target};
use crate::live::server::{Admitted, Bounds, Server, Service};
use crate::text::Program;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The lab's file; without it: lan 10.0.0.1/24 and 2001:db8::1/64, wan 192.0.2.1/24 and 2001:db8:1::1/64, with default routes
    #[arg(long, value_name = "LAB.toml")]
    lab: Option<PathBuf>,
    /// A lab that is up already, by its name or its control socket: the tools speak to it, instead of to a fresh one
    #[arg(long, value_name = "LAB", conflicts_with_all = ["lab", "seed"])]
    into: Option<String>,
    /// Where to write `iptables-save -c` at the end; `-` is standard output
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Where to write `ip6tables-save -c` at the end
    #[arg(long, value_name = "FILE")]
    save6: Option<PathBuf>,
    /// The same run again needs the same seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    what: open::As,
    /// Run it as root also where it cannot be contained: what it calls by absolute path, or writes under /proc, then changes this machine
    #[arg(long)]
    reach_this_machine: bool,
    /// The command with its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

pub(super) fn run(arguments: &Arguments) -> u8 {
    // The lab's file too is read before signals wait for the command: it may be a FIFO that nobody writes to.
    if let Err(why) = keep_what_is_read(arguments) {
        tell!("nflab: {why}");
        return 2;
    }
    let (lab, file) = match TheLab::of(arguments) {
        Ok(found) => found,
        Err(code) => return code,
    };
    #[cfg(target_os = "linux")]
    let signals = match contained::signals() {
        Ok(signals) => signals,
        Err(code) => return code,
    };
    #[cfg(target_os = "linux")]
    let code = contained::run(arguments, &signals, &file, &lab);
    #[cfg(not(target_os = "linux"))]
    let code = {
        say_uncontained("only Linux has what it takes");
        with_path_only(arguments, &lab, |command, environment| {
            let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
            std::process::Command::new(program)
                .args(args)
                .envs(environment)
                .status()
                .map(code_of)
        })
    };
    // Whom the result is for may never come (a FIFO).
    #[cfg(target_os = "linux")]
    signals.let_in();
    for (family, _, file) in saves(arguments) {
        if let Err(error) = lab.save(family, file) {
            tell!(
                "nflab: cannot write {}: {}",
                text_of_path(file),
                super::tools::said_by_system(&error)
            );
            return 2;
        }
    }
    code
}

/// The save files that are asked for, with the option that asks.
fn saves(arguments: &Arguments) -> impl Iterator<Item = (Family, &'static str, &Path)> {
    let all = [
        (Family::V4, "--save", arguments.save.as_deref()),
        (Family::V6, "--save6", arguments.save6.as_deref()),
    ];
    all.into_iter()
        .filter_map(|(family, option, file)| Some((family, option, file?)))
}

/// Who wants the rules back where they came from says so in COMMAND: a lab's file holds none.
fn keep_what_is_read(arguments: &Arguments) -> Result<(), String> {
    let mut uses = FileUses::default();
    if let Some(file) = &arguments.lab {
        uses.reads(file);
    }
    for (_, option, file) in saves(arguments) {
        uses.writes(option, file, Sharing::InTurn);
    }
    uses.check()
}

/// The lab that the tools speak to.
enum TheLab {
    Fresh(Arc<Mutex<Lab>>),
    Live(Target),
}

impl TheLab {
    fn of(arguments: &Arguments) -> Result<(Self, LabFile), u8> {
        let Some(name) = &arguments.into else {
            let file = arguments.what.applied(open::file_or_default(arguments.lab.as_deref())?);
            let mut lab = Lab::new(&file, arguments.seed, TOOLBOX).map_err(|error| {
                tell_styled!("{}", error.styled());
                2
            })?;
            // The tools show the date that the command sees.
            lab.start_at(Clock::new().now());
            return Ok((Self::Fresh(Arc::new(Mutex::new(lab))), file));
        };
        if arguments.what.profile.is_some() {
            tell!("nflab: --profile is for a fresh lab: one that is up has its own");
            return Err(2);
        }
        let target = control::find(Some(name), "nflab sh", current::running).map_err(|error| {
            // Here it is not the variable that names it.
            let said = error
                .to_string()
                .replace(" (NFLAB names it)", "")
                .replace("NFLAB names", "--into names");
            tell!("nflab: {}", said.replace(", or unset NFLAB", ""));
            current::NO_LAB
        })?;
        let copy = current::copy(&target)?;
        let file = LabFile::parse(&copy.name, &copy.file).map_err(|error| {
            tell_styled!("{}", error.styled());
            2
        })?;
        Ok((Self::Live(target), file))
    }

    fn answering(&self) -> Box<dyn FnMut(Request) -> Response + Send> {
        match self {
            Self::Fresh(lab) => Box::new(answering(lab, |_, _| {})),
            Self::Live(target) => {
                let target = target.clone();
                Box::new(move |request| {
                    let answered = Client::connect(&target.socket).and_then(|mut client| client.call(&request));
                    answered.unwrap_or_else(|error| {
                        let gone = format!(
                            "{}: the lab at {} went away: {error}\n",
                            request.tool,
                            text_of_path(&target.socket)
                        );
                        Response::failure(i32::from(current::NO_LAB), gone)
                    })
                })
            }
        }
    }

    /// `iptables-save -c`, or `ip6tables-save -c`, into a file, or to standard output for `-`.
    fn save(&self, family: Family, file: &Path) -> io::Result<()> {
        let request = Request {
            tool: Program::Save(family).name().to_owned(),
            args: vec!["-c".to_owned()],
            ..Request::default()
        };
        let saved = match self {
            Self::Fresh(lab) => lab.lock().respond(request),
            Self::Live(target) => Client::connect(&target.socket)?.call(&request)?,
        };
        super::replay::write_text(file, &saved.stdout)
    }
}

#[cfg(target_os = "linux")]
pub(super) mod contained {
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::fs::{Mode, OFlags};

    use super::*;
    use crate::cli::contained::names;
    use crate::cli::temporary::SweptDirectory;
    use crate::device::limits::{Limits, enough_files, own_files_usable};
    use crate::live::contain::{Contained, Plan, Signals, StartError, Waiting, Who, found, lost_at_the_end, plainly};

    /// Where each tool inside gets a connection of its own, since some calls have answers for as long as they run (`conntrack -E`).
    struct Reached {
        socket: Option<OwnedFd>,
        _server: Option<Server>,
    }

    impl TheLab {
        fn socket(&self) -> io::Result<Reached> {
            let open = |path: &Path| rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            match self {
                Self::Fresh(lab) => {
                    // Nobody needs its name but to open it. Without a directory to write to there is one answer a call, and `-E` is refused.
                    let Ok(place) = SweptDirectory::make() else {
                        return Ok(Reached {
                            socket: None,
                            _server: None,
                        });
                    };
                    let path = place.path.join("control");
                    let server = serve_all(&path, lab)?;
                    Ok(Reached {
                        socket: Some(open(&path)?),
                        _server: Some(server),
                    })
                }
                Self::Live(target) => Ok(Reached {
                    socket: Some(open(&target.socket)?),
                    _server: None,
                }),
            }
        }
    }

    /// What both `sh` and `import` need before anything else.
    pub(crate) fn signals() -> Result<Signals, u8> {
        own_files_usable();
        enough_files().map_err(|error| {
            tell!("nflab: {error}. Nothing was run");
            3
        })?;
        Signals::keep().map_err(|error| {
            tell!("nflab: signals cannot be waited for: {error}");
            3
        })
    }

    pub(super) fn run(arguments: &Arguments, signals: &Signals, file: &LabFile, lab: &TheLab) -> u8 {
        let plan = Plan {
            tools: names(),
            tools_first: true,
            ..Plan::of(file)
        };
        let is_root = rustix::process::geteuid().is_root();
        // Root without the right to make namespaces may have one that holds it.
        let ways: &[Who] = match is_root {
            true => &[Who::Root, Who::User],
            false => &[Who::User],
        };
        let live = match lab.socket() {
            Ok(live) => live,
            Err(error) => {
                tell!(
                    "nflab: the lab has no socket: {}",
                    crate::cli::tools::said_by_system(&error)
                );
                return match lab {
                    TheLab::Fresh(_) => 3,
                    TheLab::Live(_) => current::NO_LAB,
                };
            }
        };
        let mut why = None;
        for who in ways {
            let answer = lab.answering();
            match Contained::start(
                *who,
                &plan,
                &arguments.command,
                signals,
                live.socket.as_ref(),
                |_| {},
                answer,
            ) {
                Ok(running) => {
                    for path in lost_at_the_end() {
                        tell!(
                            "nflab: what the command writes to {} is gone when it ends: that is a directory of the system; start it in one of yours to keep it",
                            text_of_path(&path)
                        );
                    }
                    return finish(running.wait());
                }
                Err(StartError::Refused(failure)) => {
                    why.get_or_insert(failure);
                }
                Err(StartError::Signal(signal)) => return 128u8.wrapping_add(signal as u8),
                Err(StartError::System(error)) => {
                    tell!("nflab: cannot start: {}", crate::cli::tools::said_by_system(&error));
                    return 3;
                }
            }
        }
        let why = why.map(|it| it.to_string()).unwrap_or_default();
        if is_root && !arguments.reach_this_machine {
            tell!("{}", refusal(&why, ", or take the risk: --reach-this-machine"));
            return 3;
        }
        say_uncontained(&why);
        with_path_only(arguments, lab, |command, environment| {
            let child = plainly(Limits::before(), command).envs(environment).spawn()?;
            let ended = Waiting { child, signals }.wait(Duration::MAX, || false)?;
            Ok(ended.code.unwrap_or(1))
        })
    }

    fn finish(ended: io::Result<crate::live::contain::Ended>) -> u8 {
        match ended {
            Ok(ended) => ended.code.unwrap_or(1),
            Err(error) => {
                tell!("nflab: cannot wait for the command: {error}");
                3
            }
        }
    }

    pub(crate) fn refusal(why: &str, or: &str) -> String {
        if found().is_some() {
            return format!(
                "nflab: a lab inside a lab inside a lab cannot be contained: {why}. Nothing was run. Run it outside of the inner `nflab sh`"
            );
        }
        format!(
            "nflab: what is to be run cannot be contained here, and as root it could change this machine: {why}. Nothing was run. Allow \
             namespaces (in a container: the capability SYS_ADMIN, or user namespaces: sysctl user.max_user_namespaces), run it as a user{or}"
        )
    }
}

/// One line, since standard error is the command's.
pub(super) fn say_uncontained(why: &str) {
    tell!(
        "nflab: not contained here ({why}): only tools called by name reach the lab; absolute paths, /proc, ip and what stays in the background are this machine's"
    );
}

/// Where nothing better can be had: the tools stand first in `PATH`.
fn with_path_only(
    arguments: &Arguments,
    lab: &TheLab,
    run: impl FnOnce(&[OsString], [(&str, OsString); 2]) -> io::Result<u8>,
) -> u8 {
    let place = match TemporaryDirectory::make() {
        Ok(place) => place,
        Err(error) => {
            tell!(
                "nflab: cannot make a directory for the lab's socket: {error}; set TMPDIR to one that you may write to"
            );
            return 3;
        }
    };
    let tools = place.path.join("bin");
    let socket = match lab {
        TheLab::Fresh(_) => place.path.join("control"),
        TheLab::Live(target) => target.socket.clone(),
    };
    let served = match lab {
        TheLab::Fresh(lab) => serve_all(&socket, lab).map(Some),
        TheLab::Live(_) => Ok(None),
    };
    let _server = match served {
        Ok(server) => server,
        Err(error) => {
            tell!("nflab: cannot listen at {}: {error}", text_of_path(&socket));
            return 3;
        }
    };
    if let Err((path, error)) = shims::make(&tools) {
        tell!("nflab: cannot make {path}: {error}");
        return 3;
    }
    let environment = [
        ("PATH", search_path(&tools)),
        ("NFLAB", socket.clone().into_os_string()),
    ];
    match run(&arguments.command, environment) {
        Ok(code) => code,
        Err(error) => {
            let name = arguments.command.first().map(|it| text_of_os(it)).unwrap_or_default();
            tell!("nflab: cannot run {name}: {}", super::tools::said_by_system(&error));
            // As shells have it.
            match error.kind() {
                io::ErrorKind::NotFound => 127,
                _ => 126,
            }
        }
    }
}

/// Answers tools at a socket for as long as what this returns is kept.
pub(super) fn serve(socket: &Path, answer: impl FnMut(Request) -> Response + Send + 'static) -> io::Result<Server> {
    let listener = UnixListener::bind(socket)?;
    Server::start(listener, Admitted::default(), Bounds::default(), |_| answer)
}

/// The same for a lab that is in memory, with requests that have many answers.
fn serve_all(socket: &Path, lab: &Arc<Mutex<Lab>>) -> io::Result<Server> {
    let listener = UnixListener::bind(socket)?;
    let (lab, answer) = (Arc::clone(lab), answering(lab, |_, _| {}));
    Server::start(listener, Admitted::default(), Bounds::default(), |waker| InMemory {
        lab,
        answer,
        waker,
    })
}

struct InMemory<A> {
    lab: Arc<Mutex<Lab>>,
    answer: A,
    waker: Waker,
}

impl<A: FnMut(Request) -> Response + Send + 'static> Service for InMemory<A> {
    fn answer(&mut self, request: Request, asker: &Asker) -> Answer {
        self.lab.lock().machine.asker = asker.clone();
        let to_come = self.lab.lock().answers_to_come(&request, &self.waker);
        to_come.unwrap_or_else(|| (self.answer)(request).into())
    }
}

/// What a lab answers; each call with its answer is shown to `watch`.
pub(super) fn answering(
    lab: &Arc<Mutex<Lab>>,
    watch: impl Fn(&Request, &Response) + Clone + Send + 'static,
) -> impl FnMut(Request) -> Response + Clone + Send + 'static {
    let lab = Arc::clone(lab);
    let clock = Clock::new();
    move |request| {
        let mut lab = lab.lock();
        lab.set_clock(clock.now());
        let asked = Request {
            tool: request.tool.clone(),
            args: request.args.clone(),
            ..Request::default()
        };
        let response = lab.respond(request);
        watch(&asked, &response);
        response
    }
}

fn search_path(first: &Path) -> OsString {
    let mut path = first.as_os_str().to_owned();
    if let Some(rest) = std::env::var_os("PATH").filter(|rest| !rest.is_empty()) {
        path.push(":");
        path.push(rest);
    }
    path
}

/// A command that a signal ended counts as in shells: 128 and the signal's number.
pub(super) fn code_of(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128u8.wrapping_add(signal as u8),
        (None, None) => 1,
    }
}
