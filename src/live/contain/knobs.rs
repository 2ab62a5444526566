//! The lab's sysctls under `/proc/sys`: the namespace's own files where the kernel has them, and what is written to them reaches the lab before the
//! next tool's call does; what the lab's `sysctl` sets shows in them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::pread;
use rustix::mount::{MountFlags, mount_bind, mount_bind_recursive, mount_remount};

use super::OWN;
use super::kernel_files::QUIET;
use super::relay::Upstream;
use crate::lab::machine;

/// Each key that the lab knows and the kernel shows, with the file that stands for it.
pub(super) struct Knobs {
    knobs: BTreeMap<String, Knob>,
}

struct Knob {
    path: PathBuf,
    /// It is a file of ours, which no kernel moves along with others.
    stands_in: bool,
    /// What the file said when it was last looked at, words with one blank between.
    here: String,
    /// It stays open where few are: they are looked at before each call.
    open: Option<File>,
}

impl Knob {
    /// What the file says now, where that is something new.
    fn change(&mut self, stays_open: bool) -> Option<String> {
        let mut buffer = [0; LONGEST];
        let length = self.read(stays_open, &mut buffer).ok()?;
        let now = std::str::from_utf8(&buffer[..length]).ok()?;
        match now
            .split_whitespace()
            .eq(self.here.split(' ').filter(|it| !it.is_empty()))
        {
            true => None,
            false => Some(words(now)),
        }
    }

    fn read(&mut self, stays_open: bool, buffer: &mut [u8]) -> io::Result<usize> {
        // The file of an interface that is gone is not the one of another that has its name now.
        if let Some(file) = &self.open
            && let Ok(length) = pread(file, &mut *buffer, 0)
        {
            return Ok(length);
        }
        let file = File::open(&self.path)?;
        let length = pread(&file, buffer, 0)?;
        self.open = stays_open.then_some(file);
        Ok(length)
    }
}

/// Whether, and how, a link has an address of fe80::/10 by itself.
const DRAWS: &str = ".addr_gen_mode";

impl Knobs {
    /// Gives the namespace the lab's values. A knob that this namespace may not turn, since the kernel keeps it for all of them, gets a file of ours
    /// laid over.
    pub(super) fn bring(lab: &mut Upstream) -> io::Result<Self> {
        let mut knobs = BTreeMap::new();
        let own = Path::new(OWN).join("sysctl");
        fs::create_dir(&own)?;
        let values = values(lab)?;
        for key in ordered(values.keys()) {
            let path = file_of(key);
            let Ok(here) = read(&path) else { continue };
            let value = &values[key];
            // The kernel would draw an address for its link, and another than the lab.
            let turns = !key.ends_with(DRAWS) && fs::OpenOptions::new().write(true).open(&path).is_ok();
            let stands_in = !turns || (here != *value && fs::write(&path, value).is_err());
            if stands_in {
                let stand_in = own.join(key.replace('/', "|"));
                fs::write(&stand_in, format!("{value}\n"))?;
                mount_bind(&stand_in, &path)?;
            }
            knobs.insert(
                key.clone(),
                Knob {
                    path,
                    stands_in,
                    here,
                    open: None,
                },
            );
        }
        for (key, path) in names_of_old(&values, &own)? {
            let knob = Knob {
                path,
                stands_in: true,
                here: values[&key].clone(),
                open: None,
            };
            knobs.insert(key, knob);
        }
        let mut knobs = Self { knobs };
        knobs.look();
        // One knob moves others.
        knobs.show(&values);
        Ok(knobs)
    }

    /// What was written here goes to the lab. What the lab does not take is as it was. Whether anything was.
    pub(super) fn carry_in(&mut self, lab: &mut Upstream) -> io::Result<bool> {
        let changed = self.look();
        if changed.is_empty() {
            return Ok(false);
        }
        // The kernel moved others along, and so does the lab; what differs in the end is told once more.
        for key in ordered(changed.iter()) {
            lab.call("sysctl", &["-q", "-w", &format!("{key}={}", self.knobs[key].here)])?;
        }
        let values = values(lab)?;
        // No kernel knows that a name of old is a knob of today's: there the lab is right, and shows it below.
        let by_old_name = changed.iter().any(|key| is_of_old(key));
        let is_right = |key: &String| by_old_name && key.starts_with(TRACKING) && !changed.contains(key);
        for (key, knob) in &self.knobs {
            if !knob.stands_in && !is_right(key) && values.get(key).is_some_and(|value| *value != knob.here) {
                lab.call("sysctl", &["-q", "-w", &format!("{key}={}", knob.here)])?;
            }
        }
        if self.knobs.values().any(|it| it.stands_in) {
            self.carry_out(lab)?;
        }
        Ok(true)
    }

    /// What the lab has now shows here.
    pub(super) fn carry_out(&mut self, lab: &mut Upstream) -> io::Result<()> {
        let values = values(lab)?;
        self.show(&values);
        Ok(())
    }

    fn show(&mut self, values: &BTreeMap<String, String>) {
        let mut moved = true;
        // Twice, as one knob moves others.
        for _ in 0..2 {
            if !moved {
                break;
            }
            moved = false;
            for key in ordered(self.knobs.keys().cloned().collect::<Vec<_>>().iter()) {
                let (Some(value), Some(knob)) = (values.get(key), self.knobs.get(key)) else {
                    continue;
                };
                if *value != knob.here {
                    // What the kernel does not take stays as it has it, and counts as seen.
                    moved |= fs::write(&knob.path, format!("{value}\n")).is_ok();
                }
            }
            if moved {
                self.look();
            }
        }
    }

    /// Reads all, and tells which changed since.
    fn look(&mut self) -> Vec<String> {
        let mut changed = Vec::new();
        let stay_open = self.knobs.len() <= MOST_OPEN;
        for (key, knob) in &mut self.knobs {
            if let Some(now) = knob.change(stay_open) {
                knob.here = now;
                changed.push(key.clone());
            }
        }
        changed
    }
}

/// Files for the keys of IPv4 that the lab has and the kernel has not: those of the ip_conntrack days. In `/proc` none can be made, so what is there is
/// laid into a directory of ours, entry by entry, and that one over it.
fn names_of_old(values: &BTreeMap<String, String>, own: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let missing = values.keys().filter(|key| is_of_old(key) && !file_of(key).exists());
    let missing: Vec<&String> = missing.collect();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let place = Path::new("/proc/sys/net/ipv4");
    let [below, over, files] = ["|ipv4-below", "|ipv4", "|ipv4-files"].map(|name| own.join(name));
    for directory in [&below, &over, &files] {
        fs::create_dir(directory)?;
    }
    mount_bind_recursive(place, &below)?;
    for entry in fs::read_dir(&below)? {
        let entry = entry?;
        let new = over.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => fs::create_dir(&new)?,
            false => drop(File::create(&new)?),
        }
        mount_bind_recursive(entry.path(), &new)?;
    }
    for key in &missing {
        let name = &key[IPV4.len()..];
        let (stand_in, file) = (files.join(name), over.join(name.replace('.', "/")));
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&stand_in, format!("{}\n", values[*key]))?;
        drop(File::create(&file)?);
        mount_bind(&stand_in, &file)?;
    }
    mount_bind_recursive(&over, place)?;
    // As in `/proc` nothing is made there, so that a knob which is not there is refused, and nothing is removed.
    mount_remount(place, MountFlags::BIND | MountFlags::RDONLY | QUIET, c"")?;
    Ok(missing.into_iter().map(|key| (key.clone(), file_of(key))).collect())
}

fn is_of_old(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key);
    key.starts_with(IPV4) && OF_OLD.iter().any(|begin| name.starts_with(begin))
}

const IPV4: &str = "net.ipv4.";
const TRACKING: &str = "net.netfilter.nf_conntrack_";
const OF_OLD: [&str; 2] = ["ip_conntrack_", "ip_ct_"];

/// What moves others comes first: `ip_forward` and `all`, then `default`, then each interface.
fn ordered<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<&'a String> {
    let rank = |key: &str| match () {
        () if key.contains(".conf.all.") => 1,
        () if key.contains(".conf.default.") => 2,
        () if key.contains(".conf.") => 3,
        () => 0,
    };
    let mut keys: Vec<&String> = keys.collect();
    keys.sort_by_key(|key| rank(key));
    keys
}

/// The lab's, by key, as far as it goes by them: all are looked at before each call.
fn values(lab: &mut Upstream) -> io::Result<BTreeMap<String, String>> {
    let answer = lab.call("sysctl", &["-a"])?;
    let lines = answer.stdout.lines().filter_map(|line| line.split_once(" = "));
    let lines = lines.filter(|(key, _)| machine::goes_by(key));
    Ok(lines.map(|(key, value)| (key.to_owned(), words(value))).collect())
}

/// Dots are slashes, and a slash in a key is a dot in an interface's name.
fn file_of(key: &str) -> PathBuf {
    let turned = key.chars().map(|it| match it {
        '.' => '/',
        '/' => '.',
        other => other,
    });
    Path::new("/proc/sys").join(turned.collect::<String>())
}

fn read(path: &Path) -> io::Result<String> {
    fs::read_to_string(path).map(|text| words(&text))
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The kernel's own have a few numbers, and a lab's know no longer ones.
const LONGEST: usize = 4096;
const MOST_OPEN: usize = 256;
