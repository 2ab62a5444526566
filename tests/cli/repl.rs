//! `nflab repl`: a lab of its own or one that runs, typed at a terminal or piped in.

use std::path::Path;

use crate::bench::{Bench, run};

#[test]
fn commands_come_from_a_pipe_and_mistakes_end_nothing() {
    let bench = Bench::new();
    let typed = "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE\nnonsense\niptables -Q\nsend lan tcp 10.0.0.2:1 > 192.0.2.9:80 S\n\
                 iptables-restore -n <<EOF\n*filter\n-A INPUT -j DROP\nCOMMIT\nEOF\niptables -S INPUT\nadvance 30s\nconntrack -L\nhelp\nexit\nnever reached\n";
    let ran = bench.nflab_with(typed, &["repl"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    for part in [
        "out by wan: tcp 192.0.2.1:1 > 192.0.2.9:80 S",
        "10.0.0.2:1 > 192.0.2.9:80  becomes  192.0.2.1:1 > 192.0.2.9:80",
        "-A INPUT -j DROP",
        "tcp      6 90 SYN_SENT src=10.0.0.2",
        "expect [no] WHAT",
    ] {
        assert!(ran.out.contains(part), "{part:?} not in\n{}", ran.out);
    }
    assert!(ran.err.contains("`nonsense` is no command of a lab"), "{}", ran.err);
    assert!(!ran.err.contains("never"), "{}", ran.err);
}

/// As `nflab run` has it, but that it goes on behind what cannot be read.
#[test]
fn the_exit_code_of_a_piped_repl_is_that_of_a_script() {
    let bench = Bench::new();
    for (typed, code) in [
        ("", 0),
        ("iptables -S\n", 0),
        ("iptables -S\nexit\niptables -Q\n", 0),
        ("iptables -Q\niptables -S\n", 1),
        ("iptables -D INPUT -j DROP", 1),
        ("expect flows 1\n", 1),
        ("nonsense\niptables -Q\n", 2),
        ("iptables -Q\nexit\n", 1),
    ] {
        let ran = bench.nflab_with(typed, &["repl"]);
        assert_eq!(ran.code, code, "{typed:?}: {ran:?}");
        // Attached to a lab it is the same.
        std::fs::write(bench.path("typed"), typed).unwrap();
        let ran = bench.nflab(&["sh", "--", "sh", "-c", "nflab repl < typed"]);
        assert_eq!(ran.code, code, "attached, {typed:?}: {ran:?}");
    }
}

/// What a tool says comes from the lab that runs, and what the lab's own words say from the session's copy of it.
#[test]
fn attached_each_line_goes_to_whom_it_is_for() {
    let bench = Bench::new();
    for (typed, code, out, err) in [
        (
            "iptables -A INPUT -j DROP\niptables -S INPUT\n",
            0,
            "-A INPUT -j DROP\n",
            "",
        ),
        (
            "iptables -S INPUT\nexpect output \"-P INPUT ACCEPT\"\nexpect output nonsense\n",
            1,
            "",
            "the tool printed: -P INPUT ACCEPT",
        ),
        (
            "iptables -A FORWARD -m state --state NEW\nsend lan tcp 10.0.0.2:1 > 192.0.2.9:80 S\nexpect out wan\nexpect flows 1\n",
            0,
            "out by wan",
            "",
        ),
        (
            "send lan tcp 10.0.0.2:1 > 192.0.2.9:80 S\nexpect out lan\n",
            1,
            "out by wan",
            "wan",
        ),
        ("expect fail iptables -Q\n", 0, "", ""),
        (
            "expect fail iptables -S\n",
            1,
            "",
            "iptables was expected to fail, and did not",
        ),
        (
            "iptables-restore <<E\n*filter\n-A INPUT -s 10.0.0.9 -j DROP\nCOMMIT\nE\niptables -S INPUT\n",
            0,
            "-A INPUT -s 10.0.0.9/32 -j DROP\n",
            "",
        ),
        ("iptables-restore < nosuch\n", 1, "", "cannot read nosuch: "),
        ("conntrack -E\n", 1, "", "conntrack would go on for ever here"),
    ] {
        bench.write("typed", typed);
        let ran = bench.nflab(&["sh", "--", "sh", "-c", "nflab repl < typed"]);
        assert_eq!(ran.code, code, "{typed:?}: {ran:?}");
        assert!(ran.out.contains(out), "{typed:?}: {ran:?}");
        // Whom one speaks to is said first.
        let (first, rest) = ran.err.split_once('\n').unwrap();
        assert!(first.starts_with("nflab: attached to the lab "), "{ran:?}");
        assert!(
            if err.is_empty() {
                rest.is_empty()
            } else {
                rest.contains(err)
            },
            "{typed:?}: {ran:?}"
        );
    }
}

/// What is typed there, a text for each time that the editor asks; what the terminal shows, and the lines that are remembered.
fn at_a_terminal(keys: &[&str]) -> (i32, String, Vec<String>) {
    let bench = Bench::new();
    let mut command = bench.command(Path::new("python3"));
    command.env("TERM", "xterm").env_remove("XDG_STATE_HOME");
    command.args(["-c", TERMINAL, env!("CARGO_BIN_EXE_nflab"), "repl"]);
    let ran = run(command, &keys.join("\n"));
    let history = std::fs::read_to_string(bench.path(".local/state/nflab/history")).unwrap_or_default();
    (
        ran.code,
        format!("{}{}", ran.out, ran.err),
        history.lines().map(str::to_owned).collect(),
    )
}

/// Runs a program at a terminal of its own. It types what comes in, a line of it each time that the editor has the terminal, which forgets what it had
/// read ahead of that; and it shows what the program says until it ends.
const TERMINAL: &str = r#"
import os, pty, sys
keys = sys.stdin.buffer.read().split(b"\n")
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
said, typed = b"", 0
while True:
    try: more = os.read(terminal, 4096)
    except OSError: break
    if not more: break
    said += more
    while typed < min(len(keys), said.count(b"\x1b[?2004h")):
        os.write(terminal, keys[typed])
        typed += 1
sys.stdout.buffer.write(said)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;

#[test]
fn at_a_terminal_lines_are_edited_completed_and_remembered() {
    for (keys, shown, remembered) in [
        // What is read is done, until somebody leaves.
        (
            &["iptables -S INPUT\r", "nonsense\r", "iptables -S FORWARD\r", "exit\r"][..],
            &["-P INPUT ACCEPT", "`nonsense` is no command", "-P FORWARD ACCEPT"][..],
            &["iptables -S INPUT", "nonsense", "iptables -S FORWARD", "exit"][..],
        ),
        (
            &["iptables -S OUTPUT\r", "\u{4}"],
            &["-P OUTPUT ACCEPT"],
            &["iptables -S OUTPUT"],
        ),
        // Tab completes, ^A goes to the beginning, ^P brings back the line before, ^C forgets this one.
        (
            &["iptab\t -S INP\t\r", "quit\r"],
            &["-P INPUT ACCEPT"],
            &["iptables -S INPUT ", "quit"],
        ),
        (
            &[
                "-S INPUT\u{1}iptables \r",
                "\u{10}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}OUTPUT\r",
                "quit\r",
            ],
            &["-P INPUT ACCEPT", "-P OUTPUT ACCEPT"],
            &["iptables -S INPUT", "iptables -S OUTPUT", "quit"],
        ),
        (
            &["iptables -S INPUT\u{3}", "iptables -S FORWARD\r", "\u{4}"],
            &["(^D or `exit` leaves)", "-P FORWARD ACCEPT"],
            &["iptables -S FORWARD"],
        ),
        // A page's prompt of root hides a command; lessons are as wide as the terminal, their names and words are completed, and leaving one leads back.
        (
            &["# sysctl -a\r", "learn 01\t\r", "hin\t\r", "exit\r", "\u{4}"],
            &[
                "`#` begins a comment here; the command is `sysctl -a`",
                "remembers which conversations go on, so that rules can\r\nlet answers in",
                "The router has seen nothing of this conversation before.",
                "this was 01-states, step 1: `learn 01-states 1` goes on there; the lab from before is here again",
            ],
            &["# sysctl -a", "learn 01-states ", "hint ", "exit"],
        ),
        // What is open goes on in the next line.
        (
            &[
                "iptables-restore <<E\r*filter\r:INPUT DROP\rCOMMIT\rE\r",
                "iptables -S \\\rINPUT\r",
                "\u{4}",
            ],
            &["-P INPUT DROP"],
            &[
                "iptables-restore <<E\\n*filter\\n:INPUT DROP\\nCOMMIT\\nE",
                "iptables -S \\\\\\nINPUT",
            ],
        ),
    ] {
        let (code, screen, history) = at_a_terminal(keys);
        assert_eq!(code, 0, "{keys:?}: {screen}");
        assert!(screen.contains("nflab: `help` lists the words"), "{keys:?}: {screen}");
        for part in shown {
            assert!(screen.contains(part), "{part:?} is not shown after {keys:?}:\n{screen}");
        }
        for policy in ["INPUT", "FORWARD", "OUTPUT"].map(|chain| format!("-P {chain} ")) {
            let is_expected = shown.iter().any(|part| part.starts_with(&policy));
            assert_eq!(
                screen.contains(&policy),
                is_expected,
                "{policy} after {keys:?}:\n{screen}"
            );
        }
        assert_eq!(history[1..], *remembered, "{keys:?}");
    }
}
