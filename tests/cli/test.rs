//! `nflab test`: what it prints, the reports for machines, its exit codes, and that it runs again when a file changes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::bench::{Bench, run};

const RULES: &str = "*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i lan -p tcp -m tcp --dport 80 -j ACCEPT
-A FORWARD -i lan -p udp -m udp --dport 53 -j ACCEPT
COMMIT
";

const GOOD: &str = "host client 10.0.0.2 lan
host server 192.0.2.9 wan
rules rules.v4
test \"the web is open\"
  handshake client:40000 > server:80
end
table \"the rest is not\"
  from    to      service  verdict
  client  server  tcp/22   drop
  server  client  tcp/80   drop
end
";

const FAILING: &str = "host client 10.0.0.2 lan
host server 192.0.2.9 wan
rules rules.v4
test \"ssh is open\"
  handshake client:40000 > server:22
end
";

const MISSPELT: &str = "host client 10.0.0.2 lan
rules rules.v4
test \"the web is open\"
  handshke client:40000 > server:80
  expect acept
  expect flow tcp dst=sever
end
table \"more\"
  from    to      servce  verdict
  client  client  tcp/22  drop
end
";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("rules.v4", RULES);
    bench.write("good.test.nflab", GOOD);
    bench
}

/// Without the time it took.
fn timeless(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        lines.push(match line.rsplit_once(" in ") {
            Some((before, time)) if time.ends_with(" s") => before.to_owned(),
            _ => line.to_owned(),
        });
    }
    lines.join("\n") + "\n"
}

#[test]
fn all_is_well_in_a_few_lines() {
    let bench = bench();
    let ran = bench.nflab(&["test", "--coverage"]);
    let expected = "\
✓ good.test.nflab  3 passed

all 3 tests passed

rules.v4    2 of   3 rules reached   66 %
  rules.v4:7: no packet matched rule 3 of filter FORWARD
      -A FORWARD -i lan -p udp -m udp --dport 53 -j ACCEPT
good.test.nflab: IPv6 is open, and IPv4 is not: it has no rule and no policy but ACCEPT, though interfaces have addresses of it
";
    assert_eq!(
        (ran.code, timeless(&ran.out).as_str(), ran.err.as_str()),
        (0, expected, "")
    );
    let ran = bench.nflab(&["test", "--require-coverage", "90"]);
    assert_eq!(ran.code, 1);
    assert_eq!(
        ran.err,
        "nflab: tests reached 2 of 3 rules, 90 % were asked for; --coverage names the others\n"
    );
    assert_eq!(bench.nflab(&["test", "--require-coverage", "60"]).code, 0);
}

#[test]
fn a_failure_shows_the_way_of_its_packet() {
    let bench = bench();
    bench.write("failing.test.nflab", FAILING);
    let ran = bench.nflab(&["test", "failing.test.nflab", "good.test.nflab"]);
    let start = "\
✗ failing.test.nflab  1 failed
✓ good.test.nflab     3 passed

✗ ssh is open
  failing.test.nflab:5:3  handshake client:40000 > server:22
      the SYN of 10.0.0.2:40000 did not arrive: dropped by the policy of filter FORWARD

      packet 1, in by lan: tcp 10.0.0.2:40000 > 192.0.2.9:22 S seq 2400000 ttl 64 df
";
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert!(ran.out.starts_with(start), "{}", ran.out);
    assert!(ran.out.contains("no: --dport 80: packet has 22"), "{}", ran.out);
    assert!(timeless(&ran.out).ends_with("\n\n1 of 4 tests failed\n"), "{}", ran.out);
}

#[test]
fn what_cannot_be_read_is_drawn_and_nothing_runs() {
    let bench = bench();
    bench.write("misspelt.test.nflab", MISSPELT);
    let ran = bench.nflab(&["test"]);
    let expected = "\
error: `handshke` is no command of a lab
 --> misspelt.test.nflab:4:3
  |
4 |   handshke client:40000 > server:80
  |   ^^^^^^^^ expected a tool or a word of the lab
  |
  = help: did you mean `handshake`?

error: `acept` is not understood here
 --> misspelt.test.nflab:5:10
  |
5 |   expect acept
  |          ^^^^^ expected something to expect
  |
  = help: did you mean `accept`?

error: there is no host `sever`
 --> misspelt.test.nflab:6:23
  |
6 |   expect flow tcp dst=sever
  |                       ^^^^^ expected a host's name, an address or `router`
  |
  = help: say who it is first: `host sever ADDRESS INTERFACE`

error: a table has no column `servce`
 --> misspelt.test.nflab:9:19
  |
9 |   from    to      servce  verdict
  |                   ^^^^^^ expected a column's name
  |
  = help: did you mean `service`?
nflab: nothing was run
";
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (2, "", expected),
        "\n{}",
        ran.err
    );
    let ran = bench.nflab(&["test", "--format", "github"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.out.starts_with(
            "::error file=misspelt.test.nflab,line=4,col=3,title=cannot be read::`handshke` is no command of a lab%0A"
        ),
        "{}",
        ran.out
    );
}

#[test]
fn arguments_that_lead_nowhere() {
    let bench = bench();
    std::fs::create_dir(bench.path("empty")).unwrap();
    for (args, part) in [
        (
            &["test", "gone.test.nflab"][..],
            "cannot read the test file gone.test.nflab: No such file or directory",
        ),
        (&["test", "empty"], "no test file *.test.nflab is in or below empty"),
        (&["test", "--filter", "xyz"], "no test has `xyz` in its name"),
        (
            &["test", "--rules", "gone.v4"],
            "cannot read the rules gone.v4: No such file or directory",
        ),
        (&["test", "--format", "xml"], "invalid value 'xml'"),
        (&["test", "--coverage=html"], "expected text, lcov or lcov:FILE"),
        (
            &["test", "--out", "gone/report"],
            "cannot write gone/report: No such file or directory",
        ),
        (&["test", "--jobs", "0"], "0 is not in 1..=1024"),
    ] {
        let ran = bench.nflab(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(part), "{args:?}: {part:?} not in\n{}", ran.err);
    }
}

#[test]
fn which_tests_under_which_rules() {
    let bench = bench();
    bench.write("open.v4", "*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n");
    let ran = bench.nflab(&[
        "test", "--list", "--rules", "rules.v4", "--rules", "open.v4", "--filter", "web",
    ]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (
            0,
            "good.test.nflab:4: the web is open [rules.v4]\ngood.test.nflab:4: the web is open [open.v4]\n"
        )
    );
    let ran = bench.nflab(&["test", "--rules", "rules.v4", "--rules", "open.v4"]);
    assert_eq!(ran.code, 1);
    let start = "✓ good.test.nflab [rules.v4]  3 passed\n✗ good.test.nflab [open.v4]   1 passed, 2 failed\n";
    assert!(ran.out.starts_with(start), "{}", ran.out);
}

#[test]
fn the_same_seed_and_any_number_of_jobs_give_the_same() {
    let bench = bench();
    bench.write(
        "seed.test.nflab",
        "rules <<EOF\n*nat\n-A POSTROUTING -o wan -j MASQUERADE --random\nCOMMIT\nEOF\ntest \"a port\"\n  \
         send lan udp 10.0.0.2:7 > 192.0.2.9:53\n  expect out wan udp sport 1\nend\n",
    );
    let told = |args: &[&str]| timeless(&bench.nflab(&[&["test", "seed.test.nflab"], args].concat()).out);
    let one = told(&["--seed", "5"]);
    assert!(one.contains("sport is "), "{one}");
    assert_eq!(told(&["--seed", "5"]), one);
    assert_ne!(told(&["--seed", "6"]), one);
    let mut table = String::from("table t\n  from to service verdict\n");
    for port in 1..=10_000 {
        table.push_str(&format!("  10.0.0.2 192.0.2.9 tcp/{port} forwarded\n"));
    }
    bench.write("many.test.nflab", &(table + "end\n"));
    let many = |jobs: &str| {
        let ran = bench.nflab(&["test", "many.test.nflab", "--jobs", jobs, "--format", "tap"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    let one = many("1");
    assert_eq!(one.lines().count(), 10_002);
    assert_eq!(many("7"), one);
}

#[test]
fn reports_go_to_files_and_people_see_theirs() {
    let bench = bench();
    bench.write("failing.test.nflab", FAILING);
    let ran = bench.nflab(&[
        "test",
        "--format",
        "junit",
        "--out",
        "report.xml",
        "--coverage=lcov:rules.info",
    ]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.starts_with("✗ failing.test.nflab  1 failed\n"), "{}", ran.out);
    let report = bench.read("report.xml");
    assert!(
        report.contains("<failure message=\"handshake client:40000 &gt; server:22: the SYN of"),
        "{report}"
    );
    assert_eq!(
        bench.read("rules.info"),
        "TN:\nSF:rules.v4\nDA:5,2\nDA:6,1\nDA:7,0\nLF:3\nLH:2\nend_of_record\n"
    );
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/junit.xsd");
    let checked = tool(
        &bench,
        "xmllint",
        &["--noout", "--schema", schema.to_str().unwrap(), "report.xml"],
    );
    assert!(checked.is_none_or(|ran| ran.0), "xmllint does not take {report}");
    // A report that it must not take, so that the schema is seen to ask for something.
    bench.write("bad.xml", &report.replace(" tests=", " test="));
    let checked = tool(
        &bench,
        "xmllint",
        &["--noout", "--schema", schema.to_str().unwrap(), "bad.xml"],
    );
    assert!(checked.is_none_or(|ran| !ran.0));
    let drawn = tool(
        &bench,
        "genhtml",
        &["--quiet", "rules.info", "--output-directory", "html"],
    );
    assert!(drawn.as_ref().is_none_or(|ran| ran.0), "genhtml: {drawn:?}");
    if drawn.is_some() {
        assert!(bench.path("html/index.html").exists());
    }
}

/// Runs a program of the machine's; `None` (said loudly, and a failure where everything has to run) if it is not there.
fn tool(bench: &Bench, name: &str, args: &[&str]) -> Option<(bool, String)> {
    if Command::new(name).arg("--version").output().is_err() {
        assert!(
            std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(),
            "{name} is not installed"
        );
        eprintln!("NOT RUN: {name} is not installed");
        return None;
    }
    let mut command = bench.command(Path::new(name));
    command.args(args);
    let ran = run(command, "");
    Some((ran.code == 0, ran.out + &ran.err))
}

#[test]
fn it_runs_again_when_a_file_that_was_read_changes() {
    let bench = bench();
    let mut command = bench.command(Path::new(env!("CARGO_BIN_EXE_nflab")));
    let mut child = command
        .args(["test", "--watch"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let until = |part: &str| {
        let mut seen = String::new();
        loop {
            match lines.recv_timeout(Duration::from_secs(20)) {
                Ok(line) if line.contains(part) => return,
                Ok(line) => seen.push_str(&(line + "\n")),
                Err(_) => panic!("{part:?} did not come:\n{seen}"),
            }
        }
    };
    until("all 3 tests passed");
    // One of them is the lab file beside it, should it come.
    until("watching 3 files, the last run's exit code is 0");
    bench.write("rules.v4", &RULES.replace("--dport 80", "--dport 81"));
    until("1 of 3 tests failed");
    until("exit code is 1");
    // A file that comes, and one that cannot be read meanwhile.
    bench.write("more.test.nflab", "tests\n");
    until("exit code is 2");
    bench.write("more.test.nflab", "test more\n  expect flows 0\nend\n");
    until("1 of 4 tests failed");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_report_that_cannot_be_written_is_no_success() {
    let bench = bench();
    bench.write("full.sh", "\"$1\" test good.test.nflab > /dev/full\n");
    let ran = bench.nflab(&["sh", "--", "sh", "full.sh", env!("CARGO_BIN_EXE_nflab")]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("cannot write the report"), "{}", ran.err);
}

#[test]
fn a_byte_order_mark_is_passed_over_or_named() {
    let bench = bench();
    bench.write("good.test.nflab", &format!("\u{feff}{GOOD}"));
    assert_eq!(bench.nflab(&["test", "good.test.nflab"]).code, 0);
    bench.write("rules.v4", &format!("\u{feff}{RULES}"));
    let ran = bench.nflab(&["test", "good.test.nflab"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("byte order mark"), "{}", ran.err);
}
