//! Where a script runs: a directory of its own with the lab's tools and knobs, contained as far as this machine lets it be.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use crate::base::bytes::{bytes_of, os_of, path_of, text_of, text_of_path};
#[cfg(target_os = "linux")]
use crate::cli::contained::names;
use crate::cli::tools::SHIMS;
use crate::cli::{sh, shims};
use crate::device::standard::tell;
use crate::device::text_file::read_whole;
use crate::import::script::not_found;
use crate::lab::request::{Request, Response};
#[cfg(target_os = "linux")]
use crate::live::contain::{self, Contained, NOBODY, Plan, Signals, StartError, Who};
use crate::syntax::problem::Source;

/// How a script ended.
pub(super) struct Status {
    /// `None` where it had to be ended.
    pub code: Option<u8>,
    /// What it had too much of.
    pub met: Option<String>,
}

/// The directory that the script runs in, and where things are there.
pub(super) struct Place {
    pub directory: PathBuf,
    pub socket: PathBuf,
    pub tools: PathBuf,
    pub knobs: PathBuf,
    pub script: PathBuf,
}

impl Place {
    /// The script keeps its name, which its messages tell.
    pub(super) fn new(directory: PathBuf, name: &str) -> Self {
        let name = Path::new(name).file_name().unwrap_or("script".as_ref());
        Self {
            script: directory.join("run").join(name),
            socket: directory.join("control"),
            tools: directory.join("bin"),
            knobs: directory.join("proc-sys"),
            directory,
        }
    }

    pub(super) fn furnish(&self, source: &Source, allow: &[String]) -> io::Result<()> {
        fs::create_dir(&self.tools)?;
        fs::create_dir(self.directory.join("run"))?;
        for name in allow {
            match search(name) {
                Some(path) => symlink(path, self.tools.join(name))?,
                None => tell!("nflab: {}: --allow {name}: there is no such program here", source.name),
            }
        }
        for family in ["net/ipv4", "net/ipv6"] {
            for directory in ["conf/all", "conf/default", "conf/lo", "neigh/default", "route"] {
                fs::create_dir_all(self.knobs.join(family).join(directory))?;
            }
        }
        for directory in [
            "net/ipv4/netfilter",
            "net/ipv6/icmp",
            "net/netfilter",
            "net/core",
            "kernel",
        ] {
            fs::create_dir_all(self.knobs.join(directory))?;
        }
        for file in ["out", "err", "missing"] {
            File::create(self.directory.join(file))?;
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    pub(super) fn run_contained(
        &self,
        shell: &Shell,
        text: &str,
        arguments: &[String],
        signals: &Signals,
        answer: impl FnMut(Request) -> Response + Clone + Send + 'static,
    ) -> Result<Status, u8> {
        let failed = |error: io::Error| {
            let why = crate::cli::tools::said_by_system(&error);
            tell!(
                "nflab: cannot run the script with {}: {why}",
                text_of_path(&shell.program)
            );
            3
        };
        let is_root = rustix::process::geteuid().is_root();
        let who = match is_root && contain::has_nobody() {
            true => Who::Nobody,
            false => Who::User,
        };
        let plan = Plan {
            tools: names(),
            only: Some(self.directory.clone()),
            ..Plan::default()
        };
        fs::write(&self.script, bytes_of(text)).map_err(failed)?;
        for name in SHIMS {
            // One that the script may call by --allow is the machine's.
            let _ = symlink(contain::program(), self.tools.join(name));
        }
        if who == Who::Nobody {
            give_to_nobody(&self.directory).map_err(failed)?;
        }
        let mut command: Vec<OsString> = vec![shell.program.clone().into()];
        command.extend(shell.options.iter().cloned());
        command.push(self.script.clone().into());
        command.extend(arguments.iter().map(|it| os_of(it)));
        let (out, err) = (self.append("out").map_err(failed)?, self.append("err").map_err(failed)?);
        let configure = |command: &mut Command| {
            self.surround(command).stdout(out).stderr(err);
        };
        match Contained::start(who, &plan, &command, signals, None, configure, answer.clone()) {
            Ok(running) => {
                let until = Instant::now() + LONGEST;
                let ended = running
                    .wait_unless(LOOKED_AFTER, || Instant::now() >= until || self.says_too_much())
                    .map_err(failed)?;
                match ended.asked {
                    Some(signal) => Err(128u8.wrapping_add(signal as u8)),
                    None => Ok(Status {
                        code: ended.code,
                        met: ended.met.map(|it| it.to_string()),
                    }),
                }
            }
            Err(StartError::Signal(signal)) => Err(128u8.wrapping_add(signal as u8)),
            Err(StartError::System(error)) => Err(failed(error)),
            Err(StartError::Refused(why)) if is_root => {
                tell!("{}", sh::contained::refusal(&why.to_string(), ""));
                Err(3)
            }
            Err(StartError::Refused(why)) => {
                sh::say_uncontained(&why.to_string());
                for name in SHIMS {
                    let _ = fs::remove_file(self.tools.join(name));
                }
                self.run(shell, text, arguments, answer).map_err(failed)
            }
        }
    }

    /// The same where nothing can be contained.
    pub(super) fn run(
        &self,
        shell: &Shell,
        text: &str,
        arguments: &[String],
        answer: impl FnMut(Request) -> Response + Clone + Send + 'static,
    ) -> io::Result<Status> {
        shims::make(&self.tools).map_err(|(_, error)| error)?;
        let _server = sh::serve(&self.socket, answer)?;
        fs::write(&self.script, bytes_of(text))?;
        let mut command = Command::new(&shell.program);
        command
            .args(&shell.options)
            .arg(&self.script)
            .args(arguments.iter().map(|it| os_of(it)));
        self.surround(&mut command)
            .env("NFLAB", &self.socket)
            .stdout(self.append("out")?)
            .stderr(self.append("err")?)
            .process_group(0);
        let mut child = command.spawn()?;
        let until = Instant::now() + LONGEST;
        loop {
            if let Some(status) = child.try_wait()? {
                end_group(&mut child);
                return Ok(Status {
                    code: Some(sh::code_of(status)),
                    met: None,
                });
            }
            if Instant::now() >= until || self.says_too_much() {
                end_group(&mut child);
                child.wait()?;
                return Ok(Status { code: None, met: None });
            }
            std::thread::sleep(LOOKED_AFTER);
        }
    }

    /// What a script finds around it.
    fn surround<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env_clear()
            .env("PATH", &self.tools)
            .env("HOME", &self.directory)
            .env("TMPDIR", &self.directory)
            .env("LC_ALL", "C")
            .env("NFLAB_MISSING", self.directory.join("missing"))
            // What bash calls for a program that it does not find, wherever its words go.
            .env("BASH_FUNC_command_not_found_handle%%", NOT_FOUND)
            .current_dir(self.directory.join("run"))
            .stdin(Stdio::null())
    }

    fn append(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().append(true).open(self.directory.join(name))
    }

    /// A loop that prints fills the disk long before its minute is over.
    fn says_too_much(&self) -> bool {
        ["out", "err", "missing"]
            .iter()
            .any(|name| fs::symlink_metadata(self.directory.join(name)).is_ok_and(|it| it.len() > MOST_SAID))
    }

    pub(super) fn text(&self, name: &str) -> String {
        let bytes = read_plain(&self.directory.join(name)).unwrap_or_default();
        text_of(&bytes)
            .replace(&format!("{}/run/", text_of_path(&self.directory)), "")
            .replace(&format!("{}/", text_of_path(&self.knobs)), "/proc/sys/")
    }

    /// Programs that were not found, with the lines that called them: bash told our function, another shell its standard error.
    pub(super) fn missing(&self, err: &str) -> Vec<(String, Vec<usize>)> {
        let mut found: Vec<(usize, String)> = self
            .text("missing")
            .lines()
            .filter_map(|line| {
                let (number, name) = line.split_once(' ')?;
                Some((number.parse().ok()?, name.to_owned()))
            })
            .collect();
        found.extend(not_found(err));
        found.sort();
        found.dedup();
        let mut all: Vec<(String, Vec<usize>)> = Vec::new();
        // In the order of their first lines.
        for (line, name) in found {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, lines)) => lines.push(line),
                None => all.push((name, vec![line])),
            }
        }
        all
    }

    pub(super) fn knobs_set(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut left = vec![self.knobs.clone()];
        while let Some(path) = left.pop() {
            // A link leads out of the directory, and a FIFO ends never: neither is a knob that was set.
            let Ok(kind) = fs::symlink_metadata(&path).map(|it| it.file_type()) else {
                continue;
            };
            if kind.is_dir() {
                left.extend(
                    fs::read_dir(&path)
                        .into_iter()
                        .flatten()
                        .filter_map(Result::ok)
                        .map(|it| it.path()),
                );
            } else if let (Ok(value), Ok(knob)) = (read_plain(&path), path.strip_prefix(&self.knobs)) {
                found.push((text_of_path(knob).replace('/', "."), text_of(value.trim_ascii())));
            }
        }
        found.sort();
        found
    }
}

/// A file that a script may have put something else in the place of, which is not its to read: a link, a FIFO, a device.
fn read_plain(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    match file.metadata()?.is_file() {
        true => read_whole(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The directory and all in it; links stay what they are.
#[cfg(target_os = "linux")]
fn give_to_nobody(path: &Path) -> io::Result<()> {
    lchown(path, Some(NOBODY), Some(NOBODY))?;
    if !fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        give_to_nobody(&entry?.path())?;
    }
    Ok(())
}

/// What the script left in the background would go on without the lab, and after us: it ends with it.
#[cfg(target_os = "linux")]
fn end_group(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // Nobody is left in it, mostly.
        let _ = kill_process_group(group, Signal::KILL);
    }
}

#[cfg(not(target_os = "linux"))]
fn end_group(child: &mut Child) {
    // It may have ended already.
    let _ = child.kill();
}

/// The program that the first line asks for.
pub(super) struct Shell {
    pub program: PathBuf,
    options: Vec<OsString>,
}

impl Shell {
    /// `sh` is bash where there is one: legacy scripts were written where it was, and it tells of programs that it does not find.
    pub(super) fn of(text: &str) -> Self {
        let first = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("#!"))
            .unwrap_or_default();
        let mut words = first.split_ascii_whitespace().filter(|word| !word.ends_with("/env"));
        let name = words
            .next()
            .map_or("sh", |path| path.rsplit('/').next().unwrap_or(path));
        let options: Vec<OsString> = words.map(os_of).collect();
        let program = match name {
            "sh" => search("bash").or_else(|| search("sh")),
            name => search(name),
        };
        Self {
            program: program.unwrap_or_else(|| path_of(name)),
            options,
        }
    }
}

/// A program of this machine.
fn search(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|place| place.join(name)).find(|file| {
        let executable = |it: fs::Metadata| it.is_file() && it.permissions().mode() & 0o111 != 0;
        fs::metadata(file).is_ok_and(executable)
    })
}

const NOT_FOUND: &str = "() { printf '%s %s\\n' \"${BASH_LINENO[0]}\" \"$1\" >> \"$NFLAB_MISSING\"; \
                         printf 'line %s: %s: command not found\\n' \"${BASH_LINENO[0]}\" \"$1\" >&2; return 127; }";

pub(super) const MOST_SAID: u64 = 8 << 20;

/// How often is looked whether it goes too far.
const LOOKED_AFTER: Duration = Duration::from_millis(5);

pub(super) const LONGEST: Duration = Duration::from_secs(60);
