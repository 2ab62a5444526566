//! Bytes that are not UTF-8 come back as they were: comments, prefixes, names, through arguments, files, saves, lists and logs; and lengths
//! count bytes. The real tool, in a network namespace of its own, is asked the same and must print the same.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::bench::Bench;
use crate::machine::{Machine, NOBODY};

/// A call's standard output and error, and its code.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    out: Vec<u8>,
    err: Vec<u8>,
    code: i32,
}

/// Runs a script of a shell in our lab, or (`None` where that cannot be) in an empty network namespace with the real tools.
fn ours(bench: &Bench, script: &[u8]) -> Said {
    std::fs::write(bench.path("script.sh"), script).unwrap();
    let mut command = bench.command(Path::new(env!("CARGO_BIN_EXE_nflab")));
    command.args(["sh", "--", "bash", "script.sh"]);
    said(command)
}

fn real(bench: &Bench, script: &[u8]) -> Option<Said> {
    let there = Path::new("/usr/sbin/iptables-legacy").exists();
    let root = rustix::process::geteuid().is_root();
    if !there || !root {
        let missing = "edges::bytes was not held against the real tool: it needs root and iptables-legacy";
        assert!(std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(), "{missing}");
        println!("{missing}");
        return None;
    }
    // The names that the script calls, as the tool's own.
    let bin = bench.path("real");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        for name in ["iptables", "iptables-save", "iptables-restore"] {
            let legacy = name.replacen("iptables", "/usr/sbin/iptables-legacy", 1);
            std::os::unix::fs::symlink(legacy, bin.join(name)).unwrap();
        }
    }
    std::fs::write(bench.path("script.sh"), script).unwrap();
    let mut command = bench.command(Path::new("unshare"));
    command
        .args(["--net", "bash", "script.sh"])
        .env("PATH", format!("{}:/usr/sbin:/usr/bin:/bin", bin.display()));
    Some(said(command))
}

fn said(mut command: Command) -> Said {
    let output = command.stdin(Stdio::null()).output().unwrap();
    Said {
        out: output.stdout,
        err: output.stderr,
        code: output.status.code().unwrap_or(-1),
    }
}

/// Bytes on their own (every one where it is `whole`, else some), and what is broken in every way that UTF-8 can be.
fn odd_strings(whole: bool) -> Vec<Vec<u8>> {
    let telling = b"\x01\t\n\x0b\r\x1b !\"#$'(*+-/:;[\\]`{~\x7f";
    let wanted = |byte: &u8| whole || telling.contains(byte) || *byte >= 0x80 && byte % 16 == 5;
    let mut all: Vec<Vec<u8>> = (1..=255).filter(wanted).map(|byte| vec![byte]).collect();
    all.extend(
        [
            &b"\xff\xfe"[..],
            b"a\xc3 cut short",
            b"\xc3\x28",
            b"overlong \xc0\xaf \xe0\x80\xaf \xf0\x80\x80\xaf",
            b"surrogate \xed\xa0\x80\xed\xb0\x80",
            b"beyond \xf4\x90\x80\x80 \xf8\x88\x80\x80\x80",
            "a stand-in typed: \u{10FFFF} \u{10FF80}\u{10FF00}".as_bytes(),
            b"half of one \xf4\x8f\xbf",
            b"lone \x80\xbf",
            "Grüße, 世界 🦀".as_bytes(),
            b"q'u\"o\\t\xe9e",
            b"\\\xff",
            b"\"\xff\"",
            b"\x1b[31mred\x1b[0m",
            b"tab\there",
            b"latin1 caf\xe9 na\xefve",
            b"\x85\xa0 are no blanks",
        ]
        .iter()
        .map(|it| it.to_vec()),
    );
    // Around where the tool cuts: 29 and 255 bytes, in the middle of letters too.
    for length in [27, 28, 29, 30, 31, 253, 254, 255, 256, 257, 300] {
        all.push("é".repeat(150).into_bytes()[..length].to_vec());
        all.push([&b"x".repeat(length - 1)[..], b"\xff"].concat());
        all.push([&b"x".repeat(length - 2)[..], "世".as_bytes()].concat());
    }
    all
}

/// As a word of bash, whatever it holds but NUL.
fn word(bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("$'{escaped}'")
}

/// A script that does something with each string, and prints which one it is about.
fn script(strings: &[Vec<u8>], each: &str) -> Vec<u8> {
    let mut script = String::new();
    for (number, bytes) in strings.iter().enumerate() {
        script += &format!("W={}\necho '== {number}' | tee /dev/stderr\n{each}\n", word(bytes));
    }
    script.into_bytes()
}

/// Holds both sides against each other, and says of which string they differ.
fn assert_same(what: &str, strings: &[Vec<u8>], ours: &Said, real: &Said) {
    let parts = |side: &[u8]| -> Vec<String> {
        let text: String = side.escape_ascii().to_string();
        text.split("== ").map(|part| part.replace("\\n", "\n")).collect()
    };
    for (stream, one, other) in [("prints", &ours.out, &real.out), ("complains", &ours.err, &real.err)] {
        // The date of a save.
        let (one, other) = (parts(one), parts(other));
        for (at, (one, other)) in one.iter().zip(&other).enumerate() {
            let string = at.checked_sub(1).and_then(|at| strings.get(at));
            let string = string.map(|bytes| bytes.escape_ascii().to_string());
            let differs = one.lines().zip(other.lines()).find(|(one, other)| one != other);
            assert!(
                one == other,
                "{what} {stream} otherwise than the real tool with {string:?}: {differs:#?}"
            );
        }
        assert_eq!(one.len(), other.len(), "{what}");
    }
    assert_eq!(ours.code, real.code, "{what}");
}

const FORMS: &[(&str, &str)] = &[
    (
        "a comment",
        "iptables -F\niptables -A INPUT -m comment --comment \"$W\" -j ACCEPT; echo $?\niptables -S\niptables -L -n\niptables -L -v\n\
         iptables -C INPUT -m comment --comment \"$W\" -j ACCEPT; echo $?\niptables -D INPUT -m comment --comment \"$W\" -j ACCEPT; echo $?\niptables -S",
    ),
    (
        "a prefix",
        "iptables -F\niptables -A INPUT -j LOG --log-prefix \"$W\"; echo $?\niptables -S\niptables -L -n\n\
         iptables -C INPUT -j LOG --log-prefix \"$W\"; echo $?",
    ),
    (
        "a save and its restoring",
        "iptables -F\niptables -A INPUT -m comment --comment \"$W\" -j ACCEPT\niptables-save | grep -av '^#' | tee saved\n\
         iptables-restore saved; echo $?\niptables-save | grep -av '^#' | cmp - saved; echo $?\niptables -S",
    ),
    (
        "a restore file",
        "printf '*filter\\n-A INPUT -m comment --comment \"%s\" -j ACCEPT\\nCOMMIT\\n' \"$W\" > file\niptables-restore file; echo $?\niptables -S\n\
         printf '*filter\\n-A INPUT -m comment --comment %s -j ACCEPT\\nCOMMIT\\n' \"$W\" > file\niptables-restore < file; echo $?\niptables -S",
    ),
    (
        "a chain",
        "iptables -F; iptables -X\niptables -N \"$W\"; echo $?\niptables -A INPUT -j \"$W\"; echo $?\niptables -S\niptables -L -n\niptables -L \"$W\"\n\
         iptables -E \"$W\" \"${W}x\"; echo $?\niptables -S",
    ),
    (
        "a chain in a file",
        "printf '*filter\\n:%s - [0:0]\\n-A INPUT -j %s\\nCOMMIT\\n' \"$W\" \"$W\" > file\niptables-restore file; echo $?\niptables -S",
    ),
    (
        "an interface",
        "iptables -F\niptables -A INPUT -i \"$W\" -j ACCEPT; echo $?\niptables -A INPUT ! -i \"$W+\" -j ACCEPT; echo $?\niptables -S\niptables -L -n -v\n\
         iptables -C INPUT -i \"$W\" -j ACCEPT; echo $?",
    ),
    (
        "what is no option or name",
        "case \"$W\" in h*) ;; *) iptables -A INPUT \"-$W\"; echo $?;; esac\niptables -A INPUT \"--x$W\"; echo $?\niptables -A INPUT -j \"$W\"; echo $?\n\
         iptables -A INPUT -m \"$W\"; echo $?\niptables -A \"$W\" -j ACCEPT; echo $?\niptables -t \"$W\" -L; echo $?\niptables -L \"$W\"; echo $?\n\
         iptables -A INPUT -p \"$W\"; echo $?\niptables -P INPUT \"$W\"; echo $?\niptables-save -t \"$W\"; echo $?\n\
         iptables-restore -T \"$W\" </dev/null; echo $?",
    ),
];

#[test]
fn texts_of_any_bytes_are_what_the_real_tool_makes_of_them() {
    for (at, (what, each)) in FORMS.iter().enumerate() {
        let strings = odd_strings(at == 0);
        let script = script(&strings, each);
        let (here, there) = (Bench::new(), Bench::new());
        let sides = std::thread::scope(|scope| {
            let ours = scope.spawn(|| ours(&here, &script));
            (real(&there, &script), ours.join().unwrap())
        });
        match sides {
            (Some(real), ours) => assert_same(what, &strings, &ours, &real),
            (None, _) => return,
        }
    }
}

/// Else the call would reach another lab, the only one that runs.
#[test]
fn what_names_a_lab_may_be_any_bytes() {
    use std::os::unix::ffi::OsStrExt;

    let bench = Bench::new();
    for (name, expected) in [
        (&b"l\xff\xfe"[..], &b"no lab \"l"[..]),
        (b"./l\xff\xfe", b"no lab answers at ./l\xff\xfe"),
    ] {
        let mut command = bench.command(Path::new(env!("CARGO_BIN_EXE_nflab")));
        command
            .args(["iptables", "-S"])
            .env("NFLAB", std::ffi::OsStr::from_bytes(name));
        let said = said(command);
        assert_eq!(said.code, 4);
        let found = said.err.windows(expected.len()).any(|part| part == expected);
        assert!(found, "{}", said.err.escape_ascii());
        assert!(said.err.ends_with(b"\n") && said.err.windows(5).any(|part| part == b"NFLAB"));
    }
}

/// Where a lab lives, and what it was made of, may be called anything; who reads the list has JSON all the same.
#[test]
fn the_list_of_labs_is_json_whatever_they_are_called() {
    let Some(machine) = Machine::new("status: odd names") else {
        return;
    };
    let listed = machine.shell(
        NOBODY,
        r#"XDG_RUNTIME_DIR=$(printf '/run/user/65534/q"\\\n\377')
        export XDG_RUNTIME_DIR
        mkdir -m 700 "$XDG_RUNTIME_DIR"
        file=$(printf '/tmp/f"\\\n\376')
        cp /run/lab.toml "$file"
        nflab up --detach --name lab "$file" > /dev/null
        nflab status --json
        nflab down > /dev/null"#,
    );
    let read: Result<serde_json::Value, _> = serde_json::from_str(&listed);
    let read = read.unwrap_or_else(|error| panic!("{error}: {listed}"));
    assert_eq!(read["labs"][0]["name"], "lab", "{listed}");
    for shown in [
        r#""socket":"/run/user/65534/q\"\\\n\udbff\udfff/nflab/lab/control""#,
        r#""file":"/tmp/f\"\\\n\udbff\udffe""#,
    ] {
        assert!(listed.contains(shown), "{shown}: {listed}");
    }
}

/// A file's name is found by its bytes, and shown as them, by every command.
#[test]
fn a_file_may_be_called_by_any_bytes() {
    use std::os::unix::ffi::OsStrExt;

    const ODD: &[u8] = b"n\xff\xe9";
    let bench = Bench::new();
    let odd = std::ffi::OsStr::from_bytes(ODD);
    let packet = "lan udp 10.0.0.2:1 > 192.0.2.9:2";
    // `*` is the name. Of what is not there, and of a file that is none of what is asked for.
    let commands: &[&[&str]] = &[
        &["run", "*"],
        &["run", "--lab", "*", "script"],
        &["test", "*"],
        &["repl", "--lab", "*"],
        &["trace", "--lab", "*", packet],
        &["trace", "--rules", "*", packet],
        &["import", "*"],
        &["replay", "--lab", "*", "in.pcapng"],
        &["replay", "--lab", "lab.toml", "--rules", "*", "in.pcapng"],
        &["replay", "--lab", "lab.toml", "*"],
        &["sh", "--lab", "*", "--", "true"],
        &["sh", "--", "*"],
        &["up", "*"],
        &["up", "--rules", "*", "lab.toml"],
        &["down", "*"],
        &["repl", "--seed", "*"],
        &["*"],
    ];
    bench.write("script", "iptables -S\n");
    bench.write("lab.toml", crate::bench::LAB);
    let capture = nflab::device::CaptureWriter::create(&bench.path("in.pcapng")).unwrap();
    capture.finish().unwrap();
    for (there, bytes) in [(false, &b""[..]), (true, b"\x00\xfe is no text of any kind\n")] {
        if there {
            std::fs::write(bench.path("").join(odd), bytes).unwrap();
        }
        for args in commands {
            let mut command = bench.command(Path::new("unshare"));
            command.args(["-r", "-n", "-m", env!("CARGO_BIN_EXE_nflab")]);
            for arg in *args {
                let _ = match *arg {
                    "*" => command.arg(odd),
                    arg => command.arg(arg),
                };
            }
            let said = said(command);
            assert!(said.code != 0, "{args:?}");
            let text = [said.out, said.err].concat();
            let shown = text.windows(ODD.len()).any(|part| part == ODD);
            assert!(shown, "{args:?} (there: {there}): {}", text.escape_ascii());
            let other = text
                .windows(3)
                .any(|part| part == "\u{FFFD}".as_bytes() || part == b"\xf4\x8f\xbf");
            assert!(!other, "{args:?} (there: {there}): {}", text.escape_ascii());
        }
    }
}

/// Everything that tells of packets, by what it must show: the bytes themselves, in JSON `\udbff\udfNN`, in XML `\xNN`.
const TELLING: &[(&str, &[&[u8]])] = &[
    (
        "nflab trace \"$P\"",
        &[
            b"-i w\xff: packet came in by lan",
            b"--comment \"caf\xe9 \xff\" -j LOG --log-prefix \"p\xfe: \"",
            b"log: p\xfe: IN=lan OUT=wan ",
            b"dropped: by rule 1 of filter c\xe9\n",
        ],
    ),
    (
        "nflab trace --short \"$P\"",
        &[b"log: p\xfe: IN=lan", b"rule 1 of c\xe9: "],
    ),
    (
        "nflab trace --json \"$P\"",
        &[
            br#""chain":"c\udbff\udfe9""#,
            br#""text":"p\udbff\udffe: IN=lan"#,
            br#"--comment \"caf\udbff\udfe9 \udbff\udfff\""#,
        ],
    ),
    (
        "nflab trace --svg picture \"$P\"; cat picture",
        &[br"c\xe9 1: -m comment --comment &quot;why\xff&quot;"],
    ),
    (
        "nflab trace --why $'why\\xff' \"$P\"",
        &[b"rule 1 of filter c\xe9: -m comment --comment \"why\xff\" -j DROP"],
    ),
    (
        "nflab trace --why $'why\\xff' --json \"$P\"",
        &[br#""chain":"c\udbff\udfe9""#, br#"why\udbff\udfff"#],
    ),
    (
        "nflab run script; nflab run --verbose script",
        &[b"p\xfe: IN=lan", b"--comment \"why\xff\""],
    ),
    (
        "nflab test odd.test.nflab",
        &[b"dropped by rule 1 of filter c\xe9\n", b"log: p\xfe: IN=lan"],
    ),
    (
        "nflab test --format tap odd.test.nflab",
        &[
            br#"message: "nothing left: dropped by rule 1 of filter c\udbff\udfe9""#,
            b"log: p\xfe: IN=lan",
        ],
    ),
    ("nflab test --format junit odd.test.nflab", &[br"log: p\xfe: IN=lan"]),
    (
        "nflab test --coverage=lcov:$'c\\xff.info' odd.test.nflab; cat c*.info",
        &[b"SF:", b"rules"],
    ),
    (
        "nflab replay --lab lab.toml --rules rules in.pcapng --json - --quiet",
        &[br#""chain":"c\udbff\udfe9""#],
    ),
    (
        "nflab replay --lab lab.toml --rules rules in.pcapng --explain all --quiet",
        &[b"log: p\xfe: IN=lan"],
    ),
    (
        "nflab replay --lab lab.toml --rules rules in.pcapng --save - --quiet",
        &[b"--log-prefix \"p\xfe: \"", b":c\xe9 - ["],
    ),
    (
        "nflab replay --lab lab.toml --rules rules in.pcapng --against other --differences told --quiet; cat told",
        &[br#"c\udbff\udfe9"#],
    ),
    (
        "nflab import rules",
        &[b"-A c\xe9 -m comment --comment \"why\xff\" -j DROP"],
    ),
];

#[test]
fn what_tells_of_packets_shows_the_bytes() {
    let bench = crate::results::bench();
    let rules = b"*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:c\xe9 - [0:0]\n\
        -A FORWARD -i w\xff -j DROP\n-A FORWARD -m comment --comment \"caf\xe9 \xff\" -j LOG --log-prefix \"p\xfe: \"\n\
        -A FORWARD -j c\xe9\n-A c\xe9 -m comment --comment \"why\xff\" -j DROP\nCOMMIT\n";
    std::fs::write(bench.path("rules"), rules).unwrap();
    bench.write("other", "*filter\nCOMMIT\n");
    bench.write(
        "script",
        "iptables-restore < rules\nsend lan udp 10.0.0.2:1 > 192.0.2.9:2\ndmesg\niptables -S\n",
    );
    bench.write(
        "odd.test.nflab",
        "lab lab.toml\nrules rules\ntest \"one\"\n    send lan udp 10.0.0.2:1 > 192.0.2.9:2\n    expect out wan\nend\n",
    );
    let mut script = String::from("iptables-restore rules\nP='lan udp 10.0.0.2:1 > 192.0.2.9:2'\n");
    for (at, (line, _)) in TELLING.iter().enumerate() {
        script += &format!("echo '== {at}'\n{line}\n");
    }
    let said = ours(&bench, script.as_bytes());
    let mut rest = &said.out[..];
    for (at, (line, expected)) in TELLING.iter().enumerate() {
        let place = |of: usize| {
            let mark = format!("== {of}\n");
            rest.windows(mark.len()).position(|part| part == mark.as_bytes())
        };
        let part = &rest[place(at).unwrap()..place(at + 1).unwrap_or(rest.len())];
        for expected in *expected {
            assert!(
                part.windows(expected.len()).any(|part| part == *expected),
                "{line}: {} is not in {}\n{}",
                expected.escape_ascii(),
                part.escape_ascii(),
                said.err.escape_ascii()
            );
        }
        let lossy = part.windows(3).any(|part| part == "\u{FFFD}".as_bytes());
        let bare = part.windows(3).any(|part| part == b"\xf4\x8f\xbf");
        assert!(!lossy && !bare, "{line}: {}", part.escape_ascii());
        rest = &rest[place(at).unwrap()..];
    }
}
