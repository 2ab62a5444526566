//! Results whole or not at all, over every kind of file that may stand there.

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
