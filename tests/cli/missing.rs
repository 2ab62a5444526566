//! A rule that asks for what is not there yet is refused by its name, whichever command reads it.

use nflab::base::Family;
use nflab::ext::missing::{self, Kind};

use crate::bench::{Bench, LAB};

/// Rules, each with what is named: of what is missing today, a match and a target. Its options are never read, also where they look
/// like the tool's own (`--new`).
fn rules() -> Vec<(String, String)> {
    let first = |kind| missing::names(kind, Family::V4).next();
    let of_match =
        first(Kind::Match).map(|name| (format!("-I INPUT -m {name} --some 5 -j DROP"), format!("match {name}")));
    let target = first(Kind::Target).map(|name| {
        (
            format!("-A FORWARD -p tcp --tcp-flags SYN,RST SYN -j {name} --new"),
            format!("target {name}"),
        )
    });
    of_match.into_iter().chain(target).collect()
}

#[test]
fn every_command_names_what_is_missing() {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    let test =
        "host client 10.0.0.2 lan\nrules rules.v4\ntest \"t\"\n  send lan tcp client:40000 > 198.51.100.9:80 S\nend\n";
    bench.write("t.test.nflab", test);
    for (rule, what) in rules() {
        bench.write("rules.v4", &format!("*filter\n{rule}\nCOMMIT\n"));
        bench.write("rules.sh", &format!("#!/bin/sh\niptables {rule} || exit 1\n"));
        bench.write("script.nflab", &format!("iptables {rule}\n"));
        let in_shell = format!("iptables {rule}");
        let packet = "lan tcp 10.0.0.2:40000 > 198.51.100.9:80 S";
        for (arguments, code) in [
            (&["run", "--lab", "lab.toml", "script.nflab"][..], 1),
            (&["sh", "--lab", "lab.toml", "--", "sh", "-c", &in_shell], 2),
            (&["sh", "--lab", "lab.toml", "--", "iptables-restore", "rules.v4"], 2),
            (&["import", "rules.v4"], 2),
            (&["import", "rules.sh"], 2),
            (&["trace", "--lab", "lab.toml", "--rules", "rules.v4", packet], 2),
            (&["test", "t.test.nflab"], 2),
        ] {
            let ran = bench.nflab(arguments);
            assert_eq!(ran.code, code, "{arguments:?} of {rule}: {} {}", ran.out, ran.err);
            let said = format!("{what} is not there yet in nflab 0.1");
            assert!(ran.err.contains(&said), "{arguments:?} of {rule}: {}", ran.err);
        }
    }
}
