//! Files belong to who asks: a tool opens them as its user and sends what they hold; a lab opens nothing that a request names.

use nflab::TOOLBOX;
use nflab::lab::memory::Lab;

use crate::bench::{Bench, LAB};

const RULES: &str = "*filter\n-A INPUT -s 203.0.113.5/32 -j ACCEPT\nCOMMIT\n";

/// Runs a script of bash in a lab of its own: code, output and errors.
fn in_a_lab(bench: &Bench, script: &str) -> (String, String) {
    bench.write("script.sh", script);
    bench.write("lab.toml", LAB);
    let ran = bench.nflab(&["sh", "--lab", "lab.toml", "--", "bash", "script.sh"]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    (ran.out, ran.err)
}

#[test]
fn rules_come_from_pipes_descriptors_and_fifos_as_with_the_real_tool() {
    let bench = Bench::new();
    bench.write("rules", RULES);
    for (how, reads) in [
        ("a file", "iptables-restore rules"),
        ("standard input", "iptables-restore < rules"),
        ("/dev/stdin", "cat rules | iptables-restore /dev/stdin"),
        ("a process substitution", "iptables-restore <(cat rules)"),
        ("a FIFO", "mkfifo fifo; cat rules > fifo & iptables-restore fifo; wait"),
        ("a descriptor", "exec 7< rules; iptables-restore /dev/fd/7"),
    ] {
        let (out, err) = in_a_lab(&bench, &format!("{reads}; echo $?; iptables -S INPUT"));
        assert_eq!(
            out, "0\n-P INPUT ACCEPT\n-A INPUT -s 203.0.113.5/32 -j ACCEPT\n",
            "{how}: {err}"
        );
    }
}

/// What the real tools say, as seen with iptables 1.8.9 and procps 4.0.2.
#[test]
fn what_cannot_be_read_or_written_is_said_in_the_tools_own_words() {
    let bench = Bench::new();
    bench.write("rules", RULES);
    bench.write("knobs", "net.ipv4.ip_forward = 0\n");
    std::fs::create_dir(bench.path("directory")).unwrap();
    for (call, code, said) in [
        (
            "iptables-restore none",
            1,
            "Can't open none: No such file or directory\n",
        ),
        ("iptables-restore -", 1, "Can't open -: No such file or directory\n"),
        ("iptables-restore ''", 1, "Can't open : No such file or directory\n"),
        ("iptables-restore directory", 0, ""),
        ("iptables-restore < directory", 0, ""),
        ("iptables-restore <&-", 0, ""),
        (
            "iptables-restore rules rules",
            1,
            "Unknown arguments found on commandline\n",
        ),
        (
            "iptables-save -f none/out",
            1,
            "Failed to open file, error: No such file or directory\n",
        ),
        (
            "iptables-save -f directory",
            1,
            "Failed to open file, error: Is a directory\n",
        ),
        (
            "sysctl -p none",
            1,
            "sysctl: cannot open \"none\": No such file or directory\n",
        ),
        ("sysctl -q -p directory knobs", 0, ""),
        // The real tool loses its words and says nothing.
        (
            "iptables-save -f /dev/full",
            2,
            "iptables-save: cannot write /dev/full: No space left on device\n",
        ),
    ] {
        let (out, err) = in_a_lab(&bench, &format!("iptables -L -n > /dev/null; {call}; echo $?"));
        assert_eq!(
            (out.as_str(), err.as_str()),
            (format!("{code}\n").as_str(), said),
            "{call}"
        );
    }
}

#[test]
fn a_save_goes_to_the_callers_file() {
    let bench = Bench::new();
    let (out, _) = in_a_lab(
        &bench,
        "mkdir sub; cd sub; iptables -A INPUT -j DROP; iptables-save -f a -f b; echo $?; wc -c < a; grep -c DROP b; iptables-save -f c -V; \
         cat c; iptables-save -f d -t none; ls d; iptables-save -V -f e; [ ! -e e ] || ls e",
    );
    assert_eq!(
        out,
        "0\n0\n1\niptables-save v1.8.9 (legacy)\nd\niptables-save v1.8.9 (legacy)\n"
    );
    assert!(bench.read("sub/b").contains("-A INPUT -j DROP\n"));
}

/// In a lab that is attached to, and in one of the script's own.
#[test]
fn what_a_tool_writes_itself_is_none_of_what_it_prints() {
    for by in ["repl", "run -"] {
        let bench = Bench::new();
        bench.write(
            "typed",
            "iptables -A INPUT -j DROP\niptables-save -f own > printed\niptables -S INPUT | grep DROP > some\n",
        );
        let (out, err) = in_a_lab(
            &bench,
            &format!("nflab {by} < typed; echo $?; wc -c < printed; cat some"),
        );
        assert_eq!(out, "0\n0\n-A INPUT -j DROP\n", "{by}: {err}");
        assert!(bench.read("own").contains("-A INPUT -j DROP\n"), "{by}");
    }
}

/// What a lab answers at its socket, whoever asks and whatever it is allowed to open.
#[test]
fn a_request_names_files_in_vain() {
    let bench = Bench::new();
    bench.write("secret", RULES);
    bench.write("knobs", "net.ipv4.ip_forward = 0\n");
    let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
    let mut ask = |tool: &str, args: &str, file: &str| {
        let args = args.replace("PATH", &bench.path(file).display().to_string());
        let request = format!("{{\"tool\":\"{tool}\",\"args\":[{args}]}}");
        lab.respond(serde_json::from_str(&request).unwrap())
    };
    for (tool, args, file) in [
        ("iptables-restore", "\"PATH\"", "secret"),
        ("sysctl", "\"-p\",\"PATH\"", "knobs"),
    ] {
        let answer = ask(tool, args, file);
        assert!(
            answer.stderr.contains("the request does not bring this file"),
            "{answer:?}"
        );
        assert_eq!(answer.code, 1);
    }
    assert_eq!(ask("iptables-save", "\"-f\",\"PATH\"", "out").code, 0);
    assert!(!bench.path("out").exists());
    assert_eq!(ask("iptables", "\"-S\",\"INPUT\"", "").stdout, "-P INPUT ACCEPT\n");
    assert_eq!(ask("sysctl", "\"-n\",\"net.ipv4.ip_forward\"", "").stdout, "1\n");
}
