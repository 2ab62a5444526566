//! Files belong to who asks: a tool opens them as its user and sends what they hold; a lab opens nothing that a request names.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

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
         cat c; iptables-save -f d -t none; ls d; iptables-save -V -f e; ls e || true",
    );
    assert_eq!(
        out,
        "0\n0\n1\niptables-save v1.8.9 (legacy)\nd\niptables-save v1.8.9 (legacy)\n"
    );
    assert!(bench.read("sub/b").contains("-A INPUT -j DROP\n"));
}

#[test]
fn a_request_names_files_in_vain() {
    let bench = Bench::new();
    bench.write("secret", RULES);
    bench.write("knobs", "net.ipv4.ip_forward = 0\n");
    let script = "echo \"$NFLAB\" > socket; until [ -e done ]; do sleep 0.02; done; iptables -S INPUT; sysctl -n net.ipv4.ip_forward";
    bench.write("script.sh", script);
    let asked = std::thread::scope(|scope| {
        let lab = scope.spawn(|| bench.nflab(&["sh", "--", "bash", "script.sh"]));
        let socket = loop {
            match std::fs::read_to_string(bench.path("socket")) {
                Ok(path) if path.ends_with('\n') => break path,
                _ => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
            assert!(!lab.is_finished(), "{:?}", lab.join().unwrap());
        };
        let answers: Vec<String> = ["secret", "knobs", "out"]
            .iter()
            .zip([
                ("iptables-restore", "\"PATH\""),
                ("sysctl", "\"-p\",\"PATH\""),
                ("iptables-save", "\"-f\",\"PATH\""),
            ])
            .map(|(file, (tool, args))| {
                let args = args.replace("PATH", &bench.path(file).display().to_string());
                ask(
                    Path::new(socket.trim_end()),
                    &format!("{{\"tool\":\"{tool}\",\"args\":[{args}]}}\n"),
                )
            })
            .collect();
        bench.write("done", "");
        (answers, lab.join().unwrap())
    });
    let (answers, lab) = asked;
    for answer in &answers[..2] {
        assert!(answer.contains("the request does not bring this file"), "{answer}");
        assert!(answer.contains("\"code\":1"), "{answer}");
    }
    assert!(!bench.path("out").exists(), "{}", answers[2]);
    assert_eq!(lab.out, "-P INPUT ACCEPT\n1\n", "{}", lab.err);
}

fn ask(socket: &Path, line: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    answer
}
