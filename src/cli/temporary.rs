//! Temporary directories, which go with who made them.

use std::fs;
use std::io;
use std::path::PathBuf;

use crate::base::bytes::text_of_path;

/// Removed with all in it when it is dropped.
pub(super) struct TemporaryDirectory {
    pub path: PathBuf,
}

impl TemporaryDirectory {
    pub(super) fn make() -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let base = std::env::temp_dir();
        for attempt in 0..1000 {
            let path = base.join(format!("nflab-sh-{}-{attempt}", std::process::id()));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("{} is full of them", text_of_path(&base))))
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(target_os = "linux")]
pub(crate) use swept::{SWEEPER, SweptDirectory, sweep};

#[cfg(target_os = "linux")]
mod swept {
    use std::ffi::OsStr;
    use std::io::{Read, Write};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::device::syscall::close_inherited;

    /// A temporary directory that also goes when we are killed: another process of this program makes it, and removes it once it hears no more of us.
    pub(crate) struct SweptDirectory {
        pub path: PathBuf,
        sweeper: Child,
    }

    impl SweptDirectory {
        pub(crate) fn make() -> io::Result<Self> {
            let mut sweeper = Command::new("/proc/self/exe")
                .arg0("nflab")
                .arg(SWEEPER)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let mut path = Vec::new();
            if let Some(mut told) = sweeper.stdout.take() {
                told.read_to_end(&mut path)?;
            }
            match path.split_first() {
                Some((b'=', path)) => Ok(Self {
                    path: PathBuf::from(OsStr::from_bytes(path)),
                    sweeper,
                }),
                why => {
                    sweeper.wait()?;
                    let number = why.and_then(|(_, why)| std::str::from_utf8(why).ok()?.parse().ok());
                    Err(number.map_or(io::ErrorKind::UnexpectedEof.into(), io::Error::from_raw_os_error))
                }
            }
        }
    }

    impl Drop for SweptDirectory {
        fn drop(&mut self) {
            drop(self.sweeper.stdin.take());
            // When we are gone, so is the directory.
            let _ = self.sweeper.wait();
        }
    }

    /// The first word that means the other process.
    pub(crate) const SWEEPER: &str = "(sweeper)";

    /// What ran there may still be ending, and write while its directory is being emptied: so it is tried until nothing is there, for some seconds.
    fn clear(place: &TemporaryDirectory) {
        for _ in 0..250 {
            match fs::remove_dir_all(&place.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(Duration::from_millis(20)),
                _ => return,
            }
        }
    }

    /// Tells `=` and the path, or `!` and the system's error.
    pub(crate) fn sweep() -> u8 {
        close_inherited();
        // What the terminal or a shell sends to a whole group is not for us.
        let _ = rustix::process::setsid();
        let made = TemporaryDirectory::make();
        let told = match &made {
            Ok(place) => [b"=", place.path.as_os_str().as_bytes()].concat(),
            Err(error) => format!("!{}", error.raw_os_error().unwrap_or(libc::EIO)).into_bytes(),
        };
        let mut out = io::stdout();
        if out.write_all(&told).and_then(|()| out.flush()).is_err() {
            return 1;
        }
        // Its end says that all was said.
        let ended = fs::File::open("/dev/null").and_then(|nothing| Ok(rustix::stdio::dup2_stdout(nothing)?));
        if ended.is_ok()
            && let Ok(place) = made
        {
            let _ = io::stdin().read(&mut [0]);
            clear(&place);
        }
        0
    }
}
