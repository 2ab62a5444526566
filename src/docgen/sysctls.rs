//! The page of sysctls: what a lab goes by, and what it only keeps.

use std::collections::{BTreeMap, BTreeSet};

use super::NOTICE;
use crate::cli::TOOLBOX;
use crate::lab::machine::goes_by;
use crate::lab::memory::Lab;
use crate::lab::request::Request;

pub(super) fn page() -> String {
    let (followed, kept): (BTreeSet<String>, BTreeSet<String>) = keys().into_iter().partition(|key| goes_by(key));
    let mut text = format!(
        "# Sysctls of a lab\n\n\
         <!-- {NOTICE} -->\n\n\
         A lab has every key of `net.ipv4`, `net.ipv6` and `net.netfilter` that a fresh network namespace of Linux 6.18 has, and what firewalls touch\n\
         besides. Each begins with the kernel's value and takes what the kernel takes. A star stands for `all`, `default` and each interface.\n\n\
         ## What a lab goes by\n\n"
    );
    text += &listed(&followed);
    text += "\n## What is kept and shown, and changes nothing here\n\n\
             So that what was written for a host is taken as it stands. What they decide in a kernel, a lab has not got: sockets and their memory, neighbours' \
             addresses,\ntunnels, bridges. `sysctl` refuses by name, with the reason, what would have to be more than kept.\n\n";
    text += &listed(&kept);
    text
}

/// All of the default lab, of places those that hold for new interfaces.
fn keys() -> BTreeSet<String> {
    let Ok(mut lab) = Lab::default_lab(1, TOOLBOX) else {
        return BTreeSet::new();
    };
    let listed = lab.respond(Request {
        tool: "sysctl".to_owned(),
        args: vec!["-a".to_owned(), "-N".to_owned()],
        ..Request::default()
    });
    let is_shown = |key: &&str| !is_of_a_place(key) || key.contains(DEFAULT);
    listed.stdout.lines().filter(is_shown).map(str::to_owned).collect()
}

fn is_of_a_place(key: &str) -> bool {
    [".conf.", ".neigh."].iter().any(|directory| key.contains(directory))
}

const DEFAULT: &str = ".default.";

/// A directory a line, its keys behind it.
fn listed(keys: &BTreeSet<String>) -> String {
    let mut directories: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for key in keys {
        let (directory, name) = key.rsplit_once('.').unwrap_or(("", key));
        let directory = format!("{directory}.").replace(DEFAULT, ".*.");
        directories.entry(directory).or_default().push(name);
    }
    let lines = directories.iter().map(|(directory, names)| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        format!("- `{}`: {}\n", directory.trim_end_matches('.'), names.join(", "))
    });
    lines.collect()
}
