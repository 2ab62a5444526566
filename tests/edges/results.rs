//! Results are kept: what cannot be written is said and never destroys what was there, whatever command it is.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use nflab::base::Time;
use nflab::device::CaptureWriter;

use crate::bench::{Bench, LAB};

/// Everything that prints, and what it is given.
const PRINTING: &[&[&str]] = &[
    &["--help"],
    &["--version"],
    &["help", "replay"],
    &["replay", "--help"],
    &["run", "script"],
    &["test", "tests.test.nflab"],
    &["test", "--list", "tests.test.nflab"],
    &["demo", "--memory"],
    &["trace", "--lab", "lab.toml", "lan udp 10.0.0.2:1 > 192.0.2.9:2"],
    &[
        "trace",
        "--lab",
        "lab.toml",
        "--json",
        "lan udp 10.0.0.2:1 > 192.0.2.9:2",
    ],
    &["import", "rules"],
    &["replay", "--lab", "lab.toml", "in.pcapng", "--json", "-"],
    &[
        "replay",
        "--lab",
        "lab.toml",
        "--rules",
        "rules",
        "in.pcapng",
        "--save",
        "-",
    ],
    &[
        "replay",
        "--lab",
        "lab.toml",
        "--rules",
        "rules",
        "in.pcapng",
        "--conntrack",
        "-",
    ],
    &["replay", "--lab", "lab.toml", "in.pcapng", "--out", "-"],
    &["replay", "--lab", "lab.toml", "in.pcapng", "--explain", "all"],
    &["replay", "--lab", "lab.toml", "in.pcapng", "--against", "rules"],
    &["sh", "--save", "-", "--", "iptables", "-A", "INPUT", "-j", "DROP"],
    &["repl", "--lab", "lab.toml"],
    // What a tool says of itself needs no lab.
    &["iptables", "--version"],
    &["iptables", "--help"],
    &["iptables-save", "--version"],
    &["iptables-restore", "--version"],
    &["conntrack", "--version"],
];

/// The tools in a lab, by what they print.
const TOOLS: &[&str] = &[
    "iptables -L -n",
    "iptables -S",
    "iptables-save",
    "iptables-restore -v rules",
    "iptables-legacy -S",
    "iptables-legacy-save",
    "conntrack -C",
    "sysctl net.ipv4.ip_forward",
    "sysctl -a",
];

pub(crate) fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("script", "iptables -S\n");
    bench.write(
        "rules",
        "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\n-A FORWARD -m conntrack --ctstate NEW -j ACCEPT\nCOMMIT\n",
    );
    bench.write(
        "tests.test.nflab",
        "lab lab.toml\nrules rules\ntest \"one\"\n    iptables -S\nend\n",
    );
    let mut writer = CaptureWriter::create(&bench.path("in.pcapng")).unwrap();
    let packet = [
        0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0xae, 0xc5, 10, 0, 0, 2, 192, 0, 2, 9, 0, 1, 0, 2, 0, 8, 0, 0,
    ];
    writer
        .write("lan", Time::from_secs(1_700_000_000), &packet, None)
        .unwrap();
    writer.finish().unwrap();
    bench
}

fn nflab(bench: &Bench, args: &[&str]) -> Command {
    let mut command = bench.command(Path::new(env!("CARGO_BIN_EXE_nflab")));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs with `/dev/full` as standard output, and gives the code and the errors.
fn into_full(mut command: Command) -> (Option<i32>, String) {
    let output = command
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn output_that_cannot_be_written_is_noticed_by_every_command() {
    let bench = bench();
    for args in PRINTING {
        let printed = nflab(&bench, args).stderr(Stdio::piped()).output().unwrap();
        // So that the rest of the table is about something.
        let err = String::from_utf8_lossy(&printed.stderr).into_owned();
        let interactive = args[0] == "repl";
        assert!(
            interactive || !printed.stdout.is_empty(),
            "{args:?} prints nothing: {err}"
        );
        if printed.stdout.is_empty() {
            continue;
        }
        let (code, err) = into_full(nflab(&bench, args));
        assert_eq!(code, Some(2), "{args:?} > /dev/full: {err}");
        assert_eq!(
            err.matches("No space left on device").count(),
            1,
            "{args:?} > /dev/full: {err}"
        );
        assert!(!err.contains("panicked"), "{args:?}: {err}");
    }
}

#[test]
fn a_closed_output_is_noticed_and_closed_errors_are_not() {
    let bench = bench();
    for args in PRINTING {
        if ["repl", "sh"].contains(&args[0]) || args[0].starts_with("iptables") || args[0] == "conntrack" {
            continue;
        }
        let quoted: Vec<String> = args.iter().map(|arg| format!("'{arg}'")).collect();
        let run = |redirected: &str| {
            let mut shell = bench.command(Path::new("sh"));
            let line = format!("exec {} {} {redirected}", env!("CARGO_BIN_EXE_nflab"), quoted.join(" "));
            shell.args(["-c", &line]).stdin(Stdio::null()).output().unwrap()
        };
        let (closed, plain) = (run(">&-"), run(""));
        let err = String::from_utf8_lossy(&closed.stderr);
        assert_eq!(closed.status.code(), Some(2), "{args:?} >&-: {err}");
        assert!(
            err.contains("Bad file descriptor") && !err.contains("panicked"),
            "{args:?} >&-: {err}"
        );
        assert_eq!(run("2>&-").status.code(), plain.status.code(), "{args:?} 2>&-");
        assert_eq!(
            run("2>/dev/full").status.code(),
            plain.status.code(),
            "{args:?} 2>/dev/full"
        );
    }
}

/// sysctl notices, and has its own words for it. Those of rules and connections would lose a save without a word: ours do not; but who closes the
/// output only wants the code.
#[test]
fn tools_notice_lost_output() {
    let bench = bench();
    let mut script = String::new();
    for tool in TOOLS {
        script += &format!(
            "echo \"== {tool}\" >&2\n{tool} > /dev/full; echo \"full $?\" >&2\n{tool} >&-; echo \"closed $?\" >&2\n"
        );
    }
    bench.write("calls", &script);
    let ran = bench.nflab(&["sh", "--", "bash", "calls"]);
    for part in ran.err.split("== ").skip(1) {
        let tool = part.lines().next().unwrap();
        let name = tool.split(' ').next().unwrap();
        let said: Vec<&str> = part.lines().skip(1).collect();
        let expected = match name {
            "sysctl" => vec![
                "sysctl: write error: No space left on device".to_owned(),
                "full 1".to_owned(),
                "sysctl: write error: Bad file descriptor".to_owned(),
                "closed 1".to_owned(),
            ],
            _ => vec![
                format!("{name}: cannot write standard output: No space left on device"),
                "full 2".to_owned(),
                "closed 0".to_owned(),
            ],
        };
        assert_eq!(said, expected, "{tool}");
    }
    assert_eq!(ran.err.matches("== ").count(), TOOLS.len(), "{}", ran.err);
}

/// Options that name a file, and the rest of the command.
const RESULTS: &[(&str, &[&str])] = &[
    (
        "--save",
        &["replay", "--lab", "lab.toml", "--rules", "rules", "in.pcapng"],
    ),
    (
        "--json",
        &["replay", "--lab", "lab.toml", "--rules", "rules", "in.pcapng"],
    ),
    (
        "--out",
        &["replay", "--lab", "lab.toml", "--rules", "rules", "in.pcapng"],
    ),
    (
        "--annotate",
        &["replay", "--lab", "lab.toml", "--rules", "rules", "in.pcapng"],
    ),
    (
        "--conntrack",
        &["replay", "--lab", "lab.toml", "--rules", "rules", "in.pcapng"],
    ),
    (
        "--differences",
        &[
            "replay",
            "--lab",
            "lab.toml",
            "--rules",
            "rules",
            "in.pcapng",
            "--against",
            "rules",
        ],
    ),
    ("--out", &["import", "rules"]),
    ("--out", &["test", "tests.test.nflab"]),
    (
        "--svg",
        &["trace", "--lab", "lab.toml", "lan udp 10.0.0.2:1 > 192.0.2.9:2"],
    ),
];

/// The option stands before what would end the options.
fn with<'a>(args: &[&'a str], option: &'a str, file: &'a str) -> Vec<&'a str> {
    let mut all = vec![args[0], option, file];
    all.extend(&args[1..]);
    all
}

#[test]
fn a_result_replaces_what_is_there_whole_and_keeps_its_mode_and_links() {
    for (option, args) in RESULTS {
        let bench = bench();
        let path = bench.write("result", "what was there\n");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
        std::os::unix::fs::symlink("result", bench.path("link")).unwrap();
        let before = std::fs::metadata(&path).unwrap().ino();
        let ran = nflab(&bench, &with(args, option, "link")).output().unwrap();
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(matches!(ran.status.code(), Some(0 | 1)), "{option} of {args:?}: {err}");
        let after = std::fs::metadata(&path).unwrap();
        assert_ne!(
            after.ino(),
            before,
            "{option} of {args:?} was written beside and renamed"
        );
        assert_eq!(after.mode() & 0o7777, 0o604, "{option} of {args:?}");
        assert!(bench.path("link").is_symlink(), "{option} of {args:?}");
        // A device is written as it is, and its failure is one.
        let (code, err) = into_null(nflab(&bench, &with(args, option, "/dev/full")));
        assert_eq!(code, Some(2), "{option} /dev/full of {args:?}: {err}");
        assert!(err.contains("No space left on device"), "{option} of {args:?}: {err}");
        // What fails early makes no file.
        let (code, _) = into_null(nflab(&bench, &with(&[args[0], "--no-such-option"], option, "fresh")));
        assert!(code == Some(2) && !bench.path("fresh").exists(), "{option} of {args:?}");
    }
}

/// What each of these would destroy, and by which words it is refused before anything runs.
const COLLISIONS: &[(&[&str], &str)] = &[
    (
        &["import", "rules", "--out", "rules"],
        "--out rules: this file is read too",
    ),
    (
        &["import", "rules", "--out", "./soft"],
        "--out ./soft: this file is read too (as rules)",
    ),
    (
        &["import", "--lab", "lab.toml", "rules", "--out", "lab.toml"],
        "--out lab.toml: this file is read too",
    ),
    (
        &[
            "test",
            "tests.test.nflab",
            "--format",
            "tap",
            "--out",
            "tests.test.nflab",
        ],
        "--out tests.test.nflab: this file is read too",
    ),
    // What test files name is known once they are read, and a report of what cannot be read destroys nothing either.
    (
        &["test", "tests.test.nflab", "--out", "rules"],
        "--out rules: this file is read too",
    ),
    (
        &["test", "broken.test.nflab", "--format", "tap", "--out", "rules"],
        "--out rules: this file is read too",
    ),
    (
        &["test", "tests.test.nflab", "--coverage=lcov:rules"],
        "--coverage=lcov rules: this file is read too",
    ),
    (
        &["test", "tests.test.nflab", "--out", "new", "--coverage=lcov:./new"],
        "--coverage=lcov ./new: --out writes there too",
    ),
    (
        &["test", "tests.test.nflab", "--format", "junit", "--coverage=lcov"],
        "--coverage=lcov -: standard output (the report) leads there too",
    ),
    (
        &[
            "trace",
            "--rules",
            "rules",
            "lan udp 10.0.0.2:1 > 192.0.2.9:2",
            "--svg",
            "soft",
        ],
        "--svg soft: this file is read too (as rules)",
    ),
    (
        &[
            "trace",
            "--rules",
            "rules",
            "lan udp 10.0.0.2:1 > 192.0.2.9:2",
            "--svg",
            "-",
        ],
        "--svg -: standard output (the packets' ways) leads there too",
    ),
    (
        &["sh", "--lab", "lab.toml", "--save", "lab.toml", "--", "touch", "ran"],
        "--save lab.toml: this file is read too",
    ),
    (
        &[
            "replay",
            "--lab",
            "lab.toml",
            "in.pcapng",
            "--json",
            "new",
            "--save",
            "ABSOLUTE/new",
        ],
        "/new: --json writes there too",
    ),
    (
        &[
            "replay",
            "--lab",
            "lab.toml",
            "in.pcapng",
            "--json",
            "new",
            "--save",
            "dangling",
        ],
        "--save dangling: --json writes there too",
    ),
    (
        &["replay", "--lab", "lab.toml", "in.pcapng", "--json", "-", "--out", "-"],
        "--json -: --out writes there too",
    ),
    (
        &[
            "replay",
            "--lab",
            "lab.toml",
            "in.pcapng",
            "--annotate",
            "-",
            "--save",
            "-",
        ],
        "--save -: --annotate writes there too",
    ),
    // Onto a directory, before a long run.
    (&["import", "rules", "--out", "."], "cannot write .: Is a directory"),
    (
        &["sh", "--save", ".", "--", "touch", "ran"],
        "cannot write .: Is a directory",
    ),
    (
        &["test", "tests.test.nflab", "--out", "."],
        "cannot write .: Is a directory",
    ),
    (
        &[
            "trace",
            "--rules",
            "rules",
            "lan udp 10.0.0.2:1 > 192.0.2.9:2",
            "--svg",
            "no/such",
        ],
        "cannot write no/such: No such file or directory",
    ),
];

#[test]
fn a_result_takes_no_inputs_place_and_no_other_results() {
    let bench = bench();
    bench.write(
        "broken.test.nflab",
        "lab lab.toml\nrules rules\ntest \"one\"\n    iptabels -S\nend\n",
    );
    for (link, target) in [("soft", "rules"), ("dangling", "new")] {
        std::os::unix::fs::symlink(target, bench.path(link)).unwrap();
    }
    let contents = || {
        let mut all: Vec<_> = std::fs::read_dir(bench.path(""))
            .unwrap()
            .map(|it| it.unwrap().path())
            .map(|path| (std::fs::read(&path).ok(), path))
            .collect();
        all.sort();
        all
    };
    let before = contents();
    let absolute = bench.path("").to_string_lossy().trim_end_matches('/').to_owned();
    for (args, said) in COLLISIONS {
        let args: Vec<String> = args.iter().map(|arg| arg.replace("ABSOLUTE", &absolute)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = nflab(&bench, &args).output().unwrap();
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(err.contains(said), "{args:?}: {err}");
        assert_eq!(ran.status.code(), Some(2), "{args:?}: {err}");
        assert!(ran.stdout.is_empty(), "{args:?} printed something first");
        assert_eq!(contents(), before, "{args:?}");
    }
    // What the shell opened is known too.
    for (line, said) in [
        (
            "replay --lab lab.toml - --json in.pcapng < in.pcapng",
            "--json in.pcapng: this file is read too (as -)",
        ),
        (
            "import rules >> rules",
            "standard output (the save file): this file is read too (as rules)",
        ),
        (
            "test --format tap --out result > result",
            "--out result: standard output (the report for people) leads there too",
        ),
        (
            "trace --rules rules 'lan udp 10.0.0.2:1 > 192.0.2.9:2' --svg result > result",
            "--svg result: ",
        ),
    ] {
        let mut shell = bench.command(Path::new("sh"));
        let line = format!("exec {} {line}", env!("CARGO_BIN_EXE_nflab"));
        let ran = shell.args(["-c", &line]).output().unwrap();
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.code() == Some(2) && err.contains(said), "{line}: {err}");
    }
}

fn into_null(mut command: Command) -> (Option<i32>, String) {
    let output = command.stdout(Stdio::null()).output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// The disk is full for whoever may write no more than so many bytes (`ulimit -f`).
#[test]
fn a_full_disk_destroys_nothing() {
    for (option, args) in RESULTS {
        let bench = bench();
        bench.write("result", "what was there\n");
        let quoted: Vec<String> = with(args, option, "result")
            .iter()
            .map(|arg| format!("'{arg}'"))
            .collect();
        let mut shell = bench.command(Path::new("bash"));
        // The signal ignored, the write fails as on a full disk.
        let line = format!(
            "trap '' XFSZ; ulimit -f 0; exec {} {} >/dev/null",
            env!("CARGO_BIN_EXE_nflab"),
            quoted.join(" ")
        );
        let ran = shell.args(["-c", &line]).stdin(Stdio::null()).output().unwrap();
        let err = String::from_utf8_lossy(&ran.stderr);
        if bench.read("result") != "what was there\n" {
            panic!("{option} of {args:?}: {err}");
        }
        assert_eq!(ran.status.code(), Some(2), "{option} of {args:?}: {err}");
        let left: Vec<_> = std::fs::read_dir(bench.path(""))
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        assert!(
            !left.iter().any(|name| name.to_string_lossy().contains(".nflab-")),
            "{left:?}"
        );
    }
}
