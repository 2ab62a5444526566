//! Files that results are written to: beside what is there, and renamed when they are whole.
//!
//! A full disk, a run that fails and a kill so destroy nothing that was there, and leave nothing half written. On Linux a result has no name
//! until it is whole (`O_TMPFILE`); where the file system cannot do that it has a name of its own, which goes with the process (signals that end it
//! included, `SIGKILL` excepted). What is there keeps its mode and its owner; of a link the target is replaced, not the link. What is no plain
//! file (a FIFO, `/dev/full`, `/dev/stdout` wherever that leads) is written as the bytes come.
//!
//! What is there keeps neither where it is a stranger's: of another user than the caller and root, in a directory where others than its owner may
//! make files (`/tmp`). It is never written through, since it is open to whoever put it there; a file of the caller's own takes its place, and where
//! it cannot, it is refused. So is what is behind a stranger's link.
//!
//! Some files cannot be replaced: in a directory that one may not write, of an owner that one cannot give it, with several names, or mounted. These
//! are written over once the result is whole, after room for all of it was set aside.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use crate::base::bytes::{front_of, path_of, text_of_os};

/// A result that is being written. Dropped before [`ResultFile::keep`] it leaves everything as it was.
#[derive(Debug)]
pub(crate) struct ResultFile {
    file: File,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// Written as it comes.
    Direct,
    Beside {
        target: PathBuf,
        /// Where it cannot be without one.
        name: Option<Temporary>,
        /// What is there now, to be written over where it cannot be replaced.
        old: Option<File>,
    },
    /// Gathered elsewhere.
    Over(File),
}

impl ResultFile {
    /// Begins a result for this name. Fails where the file could not be written in place either.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        let old = match fs::metadata(path) {
            Ok(metadata) if !metadata.is_file() && is_strangers_fifo(path, &metadata)? => {
                return Err(strangers(&metadata));
            }
            Ok(metadata) if !metadata.is_file() => return Self::direct(OpenOptions::new().write(true), path),
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(target) = behind_links(path)? else {
            // `/dev/stdout` that leads to a file: others write there too, so behind what they wrote.
            return Self::direct(OpenOptions::new().append(true), path);
        };
        Self::begin(target, old, &|directory| unnamed(directory))
    }

    fn begin(target: PathBuf, old: Option<Metadata>, unnamed: &dyn Fn(&Path) -> io::Result<File>) -> io::Result<Self> {
        let directory = match target.parent() {
            Some(parent) if parent != Path::new("") => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let stranger = match &old {
            Some(old) => is_strangers(old, &directory)?.then_some(old),
            None => None,
        };
        if let Some(old) = stranger
            && !may_be_replaced(&directory)?
        {
            return Err(strangers(old));
        }
        // One that may not be written is not to be replaced.
        let there = match &old {
            Some(old) if stranger.is_none() => Some((OpenOptions::new().write(true).open(&target)?, old)),
            _ => None,
        };
        let made = match unnamed(&directory) {
            Ok(file) => Ok((file, None)),
            Err(error) if is_unsupported(&error) => {
                Temporary::create(&directory, &target).map(|(file, name)| (file, Some(name)))
            }
            Err(error) => Err(error),
        };
        let Some((there, old)) = there else {
            let (file, name) = made?;
            let place = Place::Beside {
                target,
                name,
                old: None,
            };
            return Ok(Self { file, place });
        };
        let (file, name) = match made {
            Err(error) if is_forbidden(&error) => {
                let (file, place) = (elsewhere(unnamed)?, Place::Over(there));
                return Ok(Self { file, place });
            }
            made => made?,
        };
        if !has_one_name(old) || give_to_owner(&file, old).is_err() {
            let place = Place::Over(there);
            return Ok(Self { file, place });
        }
        file.set_permissions(old.permissions())?;
        let place = Place::Beside {
            target,
            name,
            old: Some(there),
        };
        Ok(Self { file, place })
    }

    fn direct(options: &OpenOptions, path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: options.open(path)?,
            place: Place::Direct,
        })
    }

    /// The result is whole: it takes its place.
    pub(crate) fn keep(self) -> io::Result<()> {
        let Self { mut file, place } = self;
        match place {
            Place::Direct => Ok(()),
            Place::Over(there) => write_over(&mut file, &there),
            Place::Beside { target, name, old } => {
                if old.is_some() {
                    // Some file systems find out only now that the disk is full; and a crash shall find the old or the new.
                    file.sync_all()?;
                }
                match (put(&file, name, &target), old) {
                    (Err(error), Some(there)) if is_forbidden(&error) => write_over(&mut file, &there),
                    (result, _) => result,
                }
            }
        }
    }
}

impl Write for ResultFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A whole file at once.
pub(crate) fn write(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut result = ResultFile::create(path)?;
    result.write_all(contents)?;
    result.keep()
}

/// Standard output (or input), where a file could be named.
pub(crate) fn is_printed(path: &Path) -> bool {
    path == Path::new("-")
}

/// Whether a result can be written there, as far as that can be known before there is one. Nothing is made, and what is there stays.
pub(crate) fn can_be_written(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        // Whoever reads a FIFO takes the first closing for the end.
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => Ok(()),
        _ if is_printed(path) => Ok(()),
        _ => ResultFile::create(path).map(drop),
    }
}

/// The file that a name leads to, through links that may dangle; `None` where the system makes up the way (`/proc/self/fd/1`).
pub(super) fn behind_links(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_symlink() => {
                let directory = path
                    .parent()
                    .filter(|it| *it != Path::new(""))
                    .unwrap_or(Path::new("."));
                if is_strangers(&metadata, directory)? {
                    return Err(strangers(&metadata));
                }
                if fs::canonicalize(directory)?.starts_with("/proc") {
                    return Ok(None);
                }
                path = directory.join(fs::read_link(&path)?);
            }
            Ok(_) => return Ok(Some(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(path)),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links"))
}

/// A file with a name of its own, which goes with the process.
#[derive(Debug)]
struct Temporary {
    path: PathBuf,
    #[cfg(target_os = "linux")]
    _on_signal: super::syscall::RemovedOnSignal,
}

impl Temporary {
    fn create(directory: &Path, target: &Path) -> io::Result<(File, Self)> {
        let name = text_of_os(target.file_name().unwrap_or_default());
        // So that the name is none too long.
        let name = front_of(&name, LONGEST_STEM);
        for number in 0.. {
            let path = directory.join(path_of(&format!(".{name}.nflab-{}-{number}", std::process::id())));
            #[cfg(target_os = "linux")]
            let on_signal = super::syscall::RemovedOnSignal::register(&path)?;
            match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_TRIES => continue,
                Err(error) => return Err(error),
                Ok(file) => {
                    let made = Self {
                        path,
                        #[cfg(target_os = "linux")]
                        _on_signal: on_signal,
                    };
                    return Ok((file, made));
                }
            }
        }
        unreachable!("the last try returns")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Gives a whole file its name, in one step.
fn put(file: &File, name: Option<Temporary>, target: &Path) -> io::Result<()> {
    match name {
        Some(temporary) => fs::rename(&temporary.path, target),
        None => put_unnamed(file, target),
    }
}

#[cfg(target_os = "linux")]
fn put_unnamed(file: &File, target: &Path) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    use rustix::fs::{AtFlags, CWD, linkat};

    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |name: &Path| linkat(CWD, open.as_str(), CWD, name, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from);
    match link(target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => return linked,
    }
    // A link cannot take another's place, and a name can: for a moment there are two.
    let directory = target
        .parent()
        .filter(|it| *it != Path::new(""))
        .unwrap_or(Path::new("."));
    for number in 0.. {
        let path = directory.join(format!(".nflab-{}-{number}", std::process::id()));
        let _on_signal = super::syscall::RemovedOnSignal::register(&path)?;
        match link(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < MOST_TRIES => {}
            Err(error) => return Err(error),
            Ok(()) => {
                let renamed = fs::rename(&path, target);
                if renamed.is_err() {
                    let _ = fs::remove_file(&path);
                }
                return renamed;
            }
        }
    }
    unreachable!("the last try returns")
}

#[cfg(not(target_os = "linux"))]
fn put_unnamed(_: &File, _: &Path) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(target_os = "linux")]
fn unnamed(directory: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};

    // It gets its name by way of /proc.
    if !Path::new("/proc/self/fd").exists() {
        return Err(io::Error::from(io::ErrorKind::Unsupported));
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = open(directory, flags, Mode::from_raw_mode(0o666)).map_err(io::Error::from)?;
    Ok(File::from(file))
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> io::Result<File> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Room for what will be written over a file that cannot be replaced.
fn elsewhere(unnamed: &dyn Fn(&Path) -> io::Result<File>) -> io::Result<File> {
    let directory = std::env::temp_dir();
    match unnamed(&directory) {
        Err(error) if is_unsupported(&error) => {
            // It needs no name once it is open.
            Temporary::create(&directory, Path::new("result")).map(|(file, _)| file)
        }
        made => made,
    }
}

/// Writes a whole result over what is there, which keeps its place, owner, mode and other names.
fn write_over(from: &mut File, there: &File) -> io::Result<()> {
    from.rewind()?;
    let length = from.metadata()?.len();
    set_aside(there, length)?;
    let mut there: &File = there;
    there.rewind()?;
    io::copy(from, &mut there)?;
    there.set_len(length)?;
    there.sync_all()
}

/// Room for so many bytes, so that what is there is not destroyed by half.
#[cfg(target_os = "linux")]
fn set_aside(file: &File, length: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};

    if length == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, length).map_err(io::Error::from) {
        // Not every file system can. Within what a file has there is room already.
        Err(error) if is_unsupported(&error) && length <= file.metadata()?.len() => Ok(()),
        result => result,
    }
}

#[cfg(not(target_os = "linux"))]
fn set_aside(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn has_one_name(old: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(old) == 1
}

#[cfg(not(unix))]
fn has_one_name(_: &Metadata) -> bool {
    true
}

#[cfg(unix)]
fn give_to_owner(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};

    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    fchown(file, Some(old.uid()), Some(old.gid()))
}

#[cfg(not(unix))]
fn give_to_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Whether a file may be open to somebody who put it where others find it: the caller and root are nobody's strangers, nor is whoever has a directory
/// to himself.
#[cfg(unix)]
fn is_strangers(file: &Metadata, directory: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let own = rustix::process::geteuid().as_raw();
    if [own, 0].contains(&file.uid()) {
        return Ok(false);
    }
    let directory = fs::metadata(directory)?;
    let to_oneself = directory.mode() & 0o022 == 0 && [own, 0, file.uid()].contains(&directory.uid());
    Ok(!to_oneself)
}

#[cfg(not(unix))]
fn is_strangers(_: &Metadata, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// A way that the system makes up leads to what is open already.
fn is_strangers_fifo(path: &Path, metadata: &Metadata) -> io::Result<bool> {
    let Some(target) = behind_links(path)? else {
        return Ok(false);
    };
    let directory = target.parent().filter(|it| *it != Path::new(""));
    is_strangers(metadata, directory.unwrap_or(Path::new(".")))
}

/// In a sticky directory only root and the directory's owner take another's file away.
#[cfg(unix)]
fn may_be_replaced(directory: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;

    let own = rustix::process::geteuid();
    let directory = fs::metadata(directory)?;
    Ok(own.is_root() || directory.mode() & 0o1000 == 0 || directory.uid() == own.as_raw())
}

#[cfg(not(unix))]
fn may_be_replaced(_: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(unix)]
fn strangers(file: &Metadata) -> io::Error {
    let owner = std::os::unix::fs::MetadataExt::uid(file);
    io::Error::other(format!(
        "it belongs to another user ({owner}), in a directory where others make files: name another file"
    ))
}

#[cfg(not(unix))]
fn strangers(_: &Metadata) -> io::Error {
    io::ErrorKind::PermissionDenied.into()
}

/// The file system has no files without a name.
fn is_unsupported(error: &io::Error) -> bool {
    // An old kernel takes the flag for the opening of a directory.
    matches!(
        error.kind(),
        io::ErrorKind::Unsupported | io::ErrorKind::IsADirectory | io::ErrorKind::InvalidInput
    )
}

/// The file may be written, but not replaced.
fn is_forbidden(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::CrossesDevices
    )
}

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;
const MOST_TRIES: u32 = 100;
const LONGEST_STEM: usize = 200;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use rustix::fs::Mode;

    use super::*;

    /// A directory that goes with the test.
    struct Bench(PathBuf);

    impl Bench {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("nflab-result-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, text).unwrap();
            path
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<String> = fs::read_dir(&self.0)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// Only what cannot be done is done otherwise; any other failure is told.
    #[test]
    fn a_failure_is_no_reason_to_do_otherwise() {
        let fails = |kind| move |_: &Path| Err(io::Error::from(kind));
        assert!(elsewhere(&fails(io::ErrorKind::Unsupported)).is_ok());
        let refused = elsewhere(&fails(io::ErrorKind::PermissionDenied)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        // Not to be written.
        let bench = Bench::new("aside");
        let file = File::open(bench.file("there", "twelve bytes")).unwrap();
        assert!(set_aside(&file, 0).is_ok());
        assert!(set_aside(&file, 5).is_err());
    }

    type Way = dyn Fn(&Path) -> io::Result<File>;

    /// Both ways to begin a file: without a name, and with one as where the file system knows no other.
    fn ways() -> [(&'static str, &'static Way); 2] {
        [
            ("unnamed", &|directory| unnamed(directory)),
            ("named", &|_| Err(io::ErrorKind::Unsupported.into())),
        ]
    }

    fn begin(path: &Path, way: &Way) -> ResultFile {
        ResultFile::begin(behind_links(path).unwrap().unwrap(), fs::metadata(path).ok(), way).unwrap()
    }

    #[test]
    fn what_is_there_stays_until_the_result_is_whole() {
        for (name, way) in ways() {
            let bench = Bench::new(name);
            let path = bench.file("old", "old");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            for kept in [false, true] {
                let mut result = begin(&path, way);
                result.write_all(b"new").unwrap();
                assert_eq!(fs::read(&path).unwrap(), b"old", "{name}");
                match kept {
                    true => result.keep().unwrap(),
                    false => drop(result),
                }
                let expected = if kept { "new" } else { "old" };
                assert_eq!(fs::read_to_string(&path).unwrap(), expected, "{name}");
                assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640, "{name}");
                assert_eq!(bench.names(), ["old"], "{name}: nothing is left beside it");
            }
        }
    }

    #[test]
    fn a_new_file_is_there_only_when_it_is_whole() {
        for (name, way) in ways() {
            let bench = Bench::new(&format!("new-{name}"));
            let path = bench.0.join("new");
            drop(begin(&path, way));
            assert_eq!(bench.names(), [""; 0], "{name}");
            let mut result = begin(&path, way);
            result.write_all(b"whole").unwrap();
            result.keep().unwrap();
            assert_eq!(
                (bench.names(), fs::read(&path).unwrap()),
                (vec!["new".to_owned()], b"whole".to_vec())
            );
        }
    }

    #[test]
    fn links_stay_and_their_targets_are_replaced() {
        let bench = Bench::new("links");
        let path = bench.file("target", "old");
        let (link, second, dangling) = (bench.0.join("link"), bench.0.join("second"), bench.0.join("dangling"));
        symlink("target", &link).unwrap();
        symlink("link", &second).unwrap();
        symlink("made", &dangling).unwrap();
        write(&second, b"new").unwrap();
        assert!(second.is_symlink() && link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"new");
        write(&dangling, b"new").unwrap();
        assert!(dangling.is_symlink());
        assert_eq!(fs::read(bench.0.join("made")).unwrap(), b"new");
        symlink("itself", bench.0.join("itself")).unwrap();
        write(&bench.0.join("itself"), b"").unwrap_err();
    }

    #[test]
    fn a_file_of_two_names_keeps_both() {
        let bench = Bench::new("names");
        let path = bench.file("one", "a longer text than the new one");
        fs::hard_link(&path, bench.0.join("two")).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(bench.0.join("two")).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().nlink(), 2);
    }

    /// Only root can make one.
    #[test]
    fn a_strangers_file_is_not_written_through() {
        use std::os::unix::fs::{chown, lchown};

        if !rustix::process::geteuid().is_root() {
            let message = "NOT RUN: only root can give a file to another user";
            assert!(std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(), "{message}");
            eprintln!("{message}");
            return;
        }
        for (name, way) in ways() {
            let bench = Bench::new(&format!("stranger-{name}"));
            let path = bench.file("result", "a stranger's");
            chown(&path, Some(1234), Some(1234)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
            let owner = |path: &Path| fs::metadata(path).unwrap().uid();
            let save = |way: &Way| {
                let mut result = begin(&path, way);
                result.write_all(b"new").unwrap();
                result.keep().unwrap();
            };
            // Where nobody else makes files, it was put there knowingly.
            save(way);
            assert_eq!(owner(&path), 1234, "{name}");
            fs::set_permissions(&bench.0, fs::Permissions::from_mode(0o1777)).unwrap();
            fs::hard_link(&path, bench.0.join("other")).unwrap();
            let mut open = File::open(&path).unwrap();
            fs::write(&path, "old").unwrap();
            save(way);
            assert_eq!(owner(&path), 0, "{name}");
            assert_eq!(fs::read(&path).unwrap(), b"new", "{name}");
            assert_eq!(io::read_to_string(&mut open).unwrap(), "old", "{name}");
            let link = bench.0.join("link");
            symlink("result", &link).unwrap();
            lchown(&link, Some(1234), Some(1234)).unwrap();
            // Where the kernel itself follows no such link, it says so in its own words.
            write(&link, b"x").unwrap_err();
            assert!(
                behind_links(&link)
                    .unwrap_err()
                    .to_string()
                    .contains("another user (1234)"),
                "{name}"
            );
            let fifo = bench.0.join("fifo");
            rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, Mode::from_raw_mode(0o666)).unwrap();
            chown(&fifo, Some(1234), Some(1234)).unwrap();
            assert!(
                write(&fifo, b"x")
                    .unwrap_err()
                    .to_string()
                    .contains("another user (1234)"),
                "{name}"
            );
        }
    }

    #[test]
    fn what_is_no_plain_file_is_written_as_it_comes() {
        write(Path::new("/dev/null"), b"x").unwrap();
        let full = write(Path::new("/dev/full"), b"x").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        // A name that the system makes up leads to what is open, and is written behind what is there.
        let bench = Bench::new("open");
        let path = bench.file("open", "before ");
        let open = OpenOptions::new().append(true).open(&path).unwrap();
        let made_up = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open));
        write(Path::new(&made_up), b"behind").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before behind");
        write(&bench.0.join("no/such"), b"").unwrap_err();
        write(&bench.0, b"").unwrap_err();
        assert!(can_be_written(&bench.0.join("new")).is_ok() && can_be_written(&bench.0.join("no/such")).is_err());
        assert_eq!(bench.names(), ["open"]);
    }

    /// The process that the next test ends: this very test with a directory to write to.
    #[test]
    fn a_half_written_file_goes_with_the_process() {
        const DIRECTORY: &str = "NFLAB_TEST_HALF_WRITTEN";
        if let Some(directory) = std::env::var_os(DIRECTORY) {
            let way = ways()[1].1;
            let mut result = begin(&Path::new(&directory).join("result"), way);
            result.write_all(b"half").unwrap();
            let _ = write(Path::new("/dev/stderr"), b"written\n");
            std::thread::sleep(std::time::Duration::from_secs(60));
            return;
        }
        // The others may be ignored where the tests run, and then they are left so.
        for signal in [rustix::process::Signal::TERM] {
            use std::os::unix::process::ExitStatusExt;

            let bench = Bench::new("signal");
            let mut child = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "device::result_file::tests::a_half_written_file_goes_with_the_process",
                    "--nocapture",
                ])
                .env(DIRECTORY, &bench.0)
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut said = std::io::BufReader::new(child.stderr.take().unwrap());
            let mut line = String::new();
            while line != "written\n" {
                line.clear();
                assert_ne!(
                    std::io::BufRead::read_line(&mut said, &mut line).unwrap(),
                    0,
                    "the process ended early"
                );
            }
            assert_eq!(bench.names().len(), 1);
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, signal).unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(signal.as_raw()));
            assert_eq!(bench.names(), [""; 0], "{signal:?}");
        }
    }
}
