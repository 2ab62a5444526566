//! Which names the real tool can load, and that nflab has each, or refuses it as one that is not there yet.

use std::collections::BTreeSet;

use nflab::base::Family;
use nflab::ext::missing::{self, Kind};

use super::{Step, compare, ours, real};

/// Asks both sides for each name that one of them may know, as a match and as a target.
#[test]
fn every_name_is_built_or_refused_as_not_there_yet() {
    if !compare::can("names of extensions") {
        return;
    }
    for kind in [Kind::Match, Kind::Target] {
        let steps: Vec<Step> = names(kind)
            .into_iter()
            .map(|name| Step::iptables(["-A", "INPUT", kind.letter(), &name].map(str::to_owned).to_vec()))
            .collect();
        for ((step, real), ours) in steps.iter().zip(real::run(&steps)).zip(ours::run(&steps)) {
            let name = &step.arguments[3];
            let is_unknown = |err: &str| err.contains(&format!("Couldn't load {} `", kind.name()));
            assert_eq!(
                is_unknown(&real.err),
                is_unknown(&ours.err),
                "{step}: {real:?}, but {ours:?}"
            );
            let is_missing = ours.err.contains(&missing::refusal(kind, name));
            assert_eq!(
                is_missing,
                missing::find(kind, name, Family::V4).is_some(),
                "{step}: {ours:?}"
            );
        }
    }
}

fn names(kind: Kind) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = missing::names(kind, Family::V4)
        .chain(missing::names(kind, Family::V6))
        .map(str::to_owned)
        .collect();
    for directory in std::fs::read_dir("/usr/lib").expect("/usr/lib").flatten() {
        let Ok(files) = std::fs::read_dir(directory.path().join("xtables")) else {
            continue;
        };
        let files = files.flatten().filter_map(|file| file.file_name().into_string().ok());
        names.extend(files.filter_map(|file| {
            let mut of = ["libxt_", "libipt_", "libip6t_"].iter();
            let name = of.find_map(|start| file.strip_prefix(start))?;
            Some(name.strip_suffix(".so")?.to_owned())
        }));
    }
    assert!(names.len() > 90, "the tool's extensions stand elsewhere: {names:?}");
    names.remove("standard");
    names
}
