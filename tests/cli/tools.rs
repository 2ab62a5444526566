//! The names the binary answers to, and what it says when no lab runs.

use std::path::Path;

use crate::bench::{Bench, run};

const NAMES: &[&str] = &[
    "iptables",
    "iptables-save",
    "iptables-restore",
    "iptables-legacy",
    "iptables-legacy-save",
    "iptables-legacy-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
    "ip6tables-legacy",
    "ip6tables-legacy-save",
    "ip6tables-legacy-restore",
    "conntrack",
    "ipset",
    "sysctl",
    "modprobe",
];

#[test]
fn shims_are_links_to_every_tool() {
    let bench = Bench::new();
    for _ in 0..2 {
        // The second time they are there already.
        assert_eq!(bench.nflab(&["shims", "tools/bin"]).code, 0);
    }
    for name in NAMES {
        let link = bench.path("tools/bin").join(name);
        assert!(link.is_symlink(), "{name}");
        let target = std::fs::canonicalize(&link).unwrap();
        assert_eq!(target, std::fs::canonicalize(env!("CARGO_BIN_EXE_nflab")).unwrap());
    }
    bench.write("file", "");
    let ran = bench.nflab(&["shims", "file"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("cannot make file"), "{}", ran.err);
    std::fs::create_dir(bench.path("other")).unwrap();
    bench.write("other/sysctl", "mine");
    assert_eq!(bench.nflab(&["shims", "other"]).code, 2);
    assert_eq!(bench.read("other/sysctl"), "mine", "what isn't ours is left alone");
}

#[test]
fn without_a_lab_every_tool_says_how_to_start_one() {
    let bench = Bench::new();
    bench.nflab(&["shims", "bin"]);
    for name in NAMES {
        let mut by_link = bench.command(&bench.path("bin").join(name));
        by_link.arg("-L").env("NFLAB", bench.path("run/nobody"));
        let mut by_word = bench.command(Path::new(env!("CARGO_BIN_EXE_nflab")));
        by_word.args([name, "-L"]).env("NFLAB", "./nobody");
        for command in [by_link, by_word] {
            let ran = run(command, "");
            assert_eq!((ran.code, ran.out.as_str()), (4, ""), "{name}: {}", ran.err);
            assert!(ran.err.starts_with(&format!("{name}: no lab ")), "{}", ran.err);
            assert!(ran.err.contains("nflab up"), "{}", ran.err);
        }
    }
}

#[test]
fn unusable_arguments_are_exit_code_2() {
    let bench = Bench::new();
    for args in [
        &["nonsense"][..],
        &["replay"],
        &["run"],
        &["shims"],
        &["--nonsense"],
        &["run", "x", "--seed", "many"],
        &[],
    ] {
        assert_eq!(bench.nflab(args).code, 2, "{args:?}");
    }
    for args in [&["--help"][..], &["--version"], &["run", "--help"]] {
        assert_eq!(bench.nflab(args).code, 0, "{args:?}");
    }
}
