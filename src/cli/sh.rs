//! `nflab sh -- COMMAND`: a command with a fresh lab in memory behind the tools in its `PATH`. Needs no privilege and no network.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{open, shims};
use crate::device::result_file;
use crate::device::standard::tell;
use crate::lab::clock::Clock;
use crate::lab::control::{Request, Response, serve_connection};
use crate::lab::memory::Lab;

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The lab's file; without it: lan 10.0.0.1/24, wan 192.0.2.1/24 with a default route
    #[arg(long, value_name = "LAB.toml")]
    lab: Option<PathBuf>,
    /// Where to write `iptables-save -c` at the end; `-` is standard output
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// The same run again needs the same seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The command with its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    command: Vec<OsString>,
}

pub fn run(arguments: &Arguments) -> u8 {
    let lab = match open::quiet_lab(arguments.lab.as_deref(), arguments.seed) {
        Ok(mut lab) => {
            // The tools show the date that the command sees.
            lab.start_at(Clock::new().now());
            Arc::new(Mutex::new(lab))
        }
        Err(code) => return code,
    };
    let place = match TemporaryDirectory::make() {
        Ok(place) => place,
        Err(error) => {
            tell!(
                "nflab: cannot make a directory for the lab's socket: {error}; set TMPDIR to one that you may write to"
            );
            return 3;
        }
    };
    // Nobody wants to run a long command for nothing.
    if let Some(file) = &arguments.save
        && let Err(error) = result_file::can_be_written(file)
    {
        tell!(
            "nflab: cannot write {}: {}",
            file.display(),
            super::tools::said_by_system(&error)
        );
        return 2;
    }
    let socket = place.0.join("control");
    let tools = place.0.join("bin");
    if let Err(error) = serve(&socket, &lab, |_, _| {}) {
        tell!("nflab: cannot listen at {}: {error}", socket.display());
        return 3;
    }
    if let Err((path, error)) = shims::make(&tools) {
        tell!("nflab: cannot make {path}: {error}");
        return 3;
    }
    let (program, args) = match arguments.command.split_first() {
        Some(split) => split,
        None => return 2,
    };
    let status = Command::new(program)
        .args(args)
        .env("PATH", search_path(&tools))
        .env("NFLAB", &socket)
        .status();
    let code = match status {
        Ok(status) => code_of(status),
        Err(error) => {
            let name = program.to_string_lossy();
            tell!("nflab: cannot run {name}: {}", super::tools::said_by_system(&error));
            // As shells have it.
            return if error.kind() == io::ErrorKind::NotFound {
                127
            } else {
                126
            };
        }
    };
    if let Some(file) = &arguments.save
        && let Err(error) = save(&mut lab.lock(), file)
    {
        tell!(
            "nflab: cannot write {}: {}",
            file.display(),
            super::tools::said_by_system(&error)
        );
        return 2;
    }
    code
}

/// `iptables-save -c` into a file, or to standard output for `-`.
pub fn save(lab: &mut Lab, file: &Path) -> io::Result<()> {
    let saved = lab.tool("iptables-save", &["-c".to_owned()], "", Path::new("."));
    super::replay::write_text(file, &saved.stdout)
}

/// Answers tools in threads of their own, which end with the process, and shows each call with its answer to `watch`.
pub(super) fn serve(
    socket: &Path,
    lab: &Arc<Mutex<Lab>>,
    watch: impl Fn(&Request, &Response) + Clone + Send + 'static,
) -> io::Result<()> {
    let listener = UnixListener::bind(socket)?;
    let lab = Arc::clone(lab);
    let clock = Clock::new();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let lab = Arc::clone(&lab);
            let watch = watch.clone();
            std::thread::spawn(move || {
                serve_connection(stream, |request| {
                    let mut lab = lab.lock();
                    lab.set_clock(clock.now());
                    let asked = Request {
                        files: Vec::new(),
                        stdin: String::new(),
                        ..request.clone()
                    };
                    let response = lab.respond(request);
                    watch(&asked, &response);
                    response
                })
            });
        }
    });
    Ok(())
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

/// Removed with all in it when it is dropped.
pub(super) struct TemporaryDirectory(pub PathBuf);

impl TemporaryDirectory {
    pub fn make() -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let base = std::env::temp_dir();
        for attempt in 0..1000 {
            let path = base.join(format!("nflab-sh-{}-{attempt}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{} is full of them", base.display())))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
