//! House rules that a compiler does not know: headers, names, where `unsafe` may stand, who may exit, print or read a clock.

use crate::rooms::{Table, module_of, test_only_modules, without_tests};
use crate::source::{Source, Token, tokens};

/// The files that `docs/architecture.md` allows `unsafe` in, below "Unsafe": the list of quoted paths there.
pub(crate) fn unsafe_files(document: &str) -> Vec<String> {
    document
        .lines()
        .find(|line| line.starts_with("- **Unsafe**"))
        .map(|line| {
            line.split('`')
                .skip(1)
                .step_by(2)
                .filter(|it| it.ends_with(".rs"))
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default()
}

/// Rules for every file: of the library, the tests and the benchmarks.
pub(crate) fn every_file(sources: &[Source], unsafe_files: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let at = |line: usize, rule: &str| format!("{}:{line}: {rule}", source.path.display());
        if !source.text.starts_with("//!") {
            wrong.push(at(1, "a file opens with `//!` and what it is"));
        }
        for part in source.path.with_extension("").components() {
            let part = part.as_os_str().to_string_lossy();
            if NAMES_THAT_SAY_NOTHING.contains(&part.as_ref()) || part.ends_with("_v1") || part.ends_with("_v2") {
                wrong.push(at(
                    1,
                    &format!("`{part}` says nothing: a file bears the name of what is in it"),
                ));
            }
        }
        let tokens = tokens(&source.text);
        for (here, token) in tokens.iter().enumerate() {
            let next = tokens.get(here + 1).map_or("", |it| it.text.as_str());
            let before = here.checked_sub(1).map_or("", |at| tokens[at].text.as_str());
            match token.text.as_str() {
                "unsafe" if !unsafe_files.iter().any(|it| source.path.as_os_str() == it.as_str()) => {
                    wrong.push(at(
                        token.line,
                        "`unsafe` outside of the files that docs/architecture.md names",
                    ));
                }
                "todo" | "unimplemented" if next == "!" => {
                    wrong.push(at(token.line, "unfinished: what is not there is refused by name"));
                }
                "ignore" | "should_panic" if before == "[" => {
                    wrong.push(at(token.line, "a test runs, and says what it expects of a failure"));
                }
                _ => {}
            }
        }
    }
    wrong
}

/// IPv6 is there: what of it is missing is called by its own name.
pub(crate) fn no_word_against_ipv6(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources {
        let product = source.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let is_said = |line: &&str| line.contains("IPv6") && line.contains("not there") && !line.contains("//");
        for (at, _) in product.lines().enumerate().filter(|(_, line)| is_said(line)) {
            wrong.push(format!(
                "{}:{}: IPv6 is there: say what of it is missing",
                source.path.display(),
                at + 1
            ));
        }
    }
    wrong
}

/// Rules for the library alone, tests excepted.
pub(crate) fn library(table: &Table, sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    let tests = test_only_modules(sources);
    for source in sources {
        let module = module_of(&source.path);
        if tests.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        let main = source.path.as_os_str() == "src/main.rs";
        let edge = module
            .first()
            .is_none_or(|room| EDGES.contains(&room.as_str()) || !table.rooms.contains(room));
        let tokens = without_tests(tokens(&source.text));
        let writer = WRITERS.iter().any(|(path, _)| source.path.as_os_str() == *path);
        if writer && (0..tokens.len()).all(|here| writes_a_file(&tokens, here).is_none()) {
            wrong.push(format!(
                "{}: it writes no file, and WRITERS says it does",
                source.path.display()
            ));
        }
        for (here, token) in tokens.iter().enumerate() {
            let at = |rule: &str| format!("{}:{}: {rule}", source.path.display(), token.line);
            if !main && exits(&tokens, here) {
                wrong.push(at("only src/main.rs ends the process"));
            }
            if let Some(what) = shows_other_bytes(&tokens, here) {
                wrong.push(at(&format!(
                    "`{what}` shows bytes that are not UTF-8 as U+FFFD: base::bytes has text_of_path and text_of_os"
                )));
            }
            if let Some(what) = panics_when_nobody_reads(&tokens, here) {
                wrong.push(at(&format!(
                    "`{what}` panics where its output is full or closed: device::standard has say! and tell!"
                )));
            }
            if !writer && let Some(what) = writes_a_file(&tokens, here) {
                wrong.push(at(&format!(
                    "`{what}` destroys what is there before the new is whole: results go through device::result_file; what is none of a user's \
                     files is listed in WRITERS with its reason"
                )));
            }
            if module.first().is_some_and(|room| room == "engine")
                && let Some(what) = names_a_family(&tokens, here)
            {
                wrong.push(at(&format!(
                    "`{what}`: the engine knows no family; it asks net, in words that both have"
                )));
            }
            if !edge && let Some(what) = touches_the_world(&tokens, here) {
                wrong.push(at(&format!(
                    "`{what}`: only {} read a clock, open a file or a socket, start a thread or print; take it as a value, or a trait",
                    EDGES.join(", ")
                )));
            }
            if IN_MEMORY.iter().any(|it| source.path.starts_with(it)) && names_the_live_room(&tokens, here) {
                wrong.push(at("`live`: what runs a lab in memory does without"));
            }
        }
    }
    wrong
}

/// Rooms that are given what they need of a system may not come to it by a room that has it.
pub(crate) fn who_reaches_the_world(table: &Table) -> Vec<String> {
    let inner = table.rooms.iter().filter(|room| !EDGES.contains(&room.as_str()));
    let reaching = inner.filter(|room| *room != READS_SPECS);
    let pairs = reaching.flat_map(|room| table.uses[room].iter().map(move |used| (room, used)));
    pairs
        .filter(|(_, used)| EDGES.contains(&used.as_str()))
        .map(|(room, used)| format!("docs/architecture.md: `{room}` touches no system, and uses `{used}`, which does"))
        .collect()
}

/// `process::exit`, `process::abort`, or their import by name.
fn exits(tokens: &[Token], at: usize) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    if !matches!(text(at), "exit" | "abort" | "_exit") {
        return false;
    }
    let path = at >= 3 && text(at - 1) == ":" && matches!(text(at - 3), "process" | "libc");
    let imported = tokens[..at]
        .iter()
        .rposition(|it| it.text == ";" || it.text == "use")
        .is_some_and(|from| {
            text(from) == "use"
                && tokens[from..at]
                    .iter()
                    .any(|it| matches!(it.text.as_str(), "process" | "libc"))
        });
    path || imported
}

/// `Path::display` and its like: what they show is another name.
fn shows_other_bytes(tokens: &[Token], at: usize) -> Option<&str> {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    let called = at > 0 && matches!(text(at - 1), "." | ":") && text(at + 1) == "(";
    let shows = called && matches!(text(at), "display" | "to_string_lossy");
    shows.then(|| tokens[at].text.as_str())
}

fn panics_when_nobody_reads(tokens: &[Token], at: usize) -> Option<&str> {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    let printed = matches!(text(at), "print" | "println" | "eprint" | "eprintln" | "dbg") && text(at + 1) == "!";
    printed.then(|| tokens[at].text.as_str())
}

/// Anything that makes a file or opens one to write.
fn writes_a_file(tokens: &[Token], at: usize) -> Option<String> {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    let of = |module: &str| at >= 3 && text(at - 1) == ":" && text(at - 3) == module;
    let written = match text(at) {
        "write" | "copy" | "rename" => of("fs"),
        "create" | "create_new" | "create_buffered" | "options" => of("File"),
        "OpenOptions" => text(at + 1) == ":",
        _ => false,
    };
    written.then(|| text(at).to_owned())
}

/// An address, a header or a protocol of one family, or the family itself.
fn names_a_family(tokens: &[Token], at: usize) -> Option<&str> {
    let name = tokens[at].text.as_str();
    let letters = name.to_ascii_lowercase();
    let family = ["ipv4", "ipv6", "icmpv4", "icmpv6"]
        .iter()
        .any(|it| letters.starts_with(it));
    (family || matches!(name, "V4" | "V6" | "ICMP")).then_some(name)
}

fn touches_the_world(tokens: &[Token], at: usize) -> Option<String> {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    let name = text(at);
    let from_std = |module: &str| name == module && at >= 3 && text(at - 1) == ":" && text(at - 3) == "std";
    let clock = matches!(name, "Instant" | "SystemTime");
    let world = ["fs", "thread", "env", "process"].into_iter().any(from_std);
    // `os::unix::ffi` turns bytes into names, and asks nobody.
    let descriptor = from_std("os") && text(at + 3) != "unix" || from_unix(tokens, at);
    let socket = matches!(
        name,
        "TcpStream" | "TcpListener" | "UdpSocket" | "UnixStream" | "UnixListener" | "ToSocketAddrs"
    );
    let standard = matches!(name, "stdin" | "stdout" | "stderr") && text(at + 1) == "(";
    let linux = matches!(name, "libc" | "rustix" | "signal_hook" | "landlock" | "seccompiler") && text(at + 1) == ":";
    (clock || world || descriptor || socket || standard || linux).then(|| name.to_owned())
}

/// `os::unix::fs`, `net`, `process`, `io`.
fn from_unix(tokens: &[Token], at: usize) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    let of_unix = at >= 6 && text(at - 1) == ":" && text(at - 3) == "unix" && text(at - 6) == "os";
    of_unix && matches!(text(at), "fs" | "net" | "process" | "io")
}

/// `crate::live`, and `live` in a list behind `crate::`.
fn names_the_live_room(tokens: &[Token], at: usize) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |it| it.text.as_str());
    text(at) == "live" && at >= 1 && matches!(text(at - 1), ":" | "{" | ",") && text(at + 1) == ":"
}

/// The rooms that meet the world; all others are the same code in a test, a replay and a live router.
const EDGES: [&str; 4] = ["device", "live", "repl", "cli"];

/// It makes texts of the specs of `cli`, and calls nothing there.
const READS_SPECS: &str = "docgen";

/// Applets that run a lab in memory, and what reads rules for `import`.
const IN_MEMORY: [&str; 7] = [
    "src/cli/import.rs",
    "src/cli/learn.rs",
    "src/cli/on_disk.rs",
    "src/cli/replay",
    "src/cli/replay.rs",
    "src/cli/run.rs",
    "src/cli/test.rs",
];

/// Who writes files that are no results, and what those are.
const WRITERS: [(&str, &str); 19] = [
    (
        "src/live/contain/owned.rs",
        "who is who in a namespace, in files of /proc",
    ),
    ("src/device/result_file.rs", "results, whole or not at all"),
    (
        "src/cli/import/script/place.rs",
        "the script and what it says, in a directory that goes with it",
    ),
    (
        "src/device/capture/write.rs",
        "a capture of whoever uses the library, which grows as packets come",
    ),
    ("src/device/tun.rs", "the kernel's device"),
    (
        "src/live/exec.rs",
        "names of hosts, in a directory that goes with the command",
    ),
    ("src/live/up.rs", "knobs below /proc/sys"),
    ("src/live/mode.rs", "the maps of a user namespace, below /proc"),
    ("src/live/namespace.rs", "empty files to mount a namespace on"),
    (
        "src/live/contain/door.rs",
        "the maps of a user namespace, and a file to mount on",
    ),
    (
        "src/live/contain/confine.rs",
        "a script's directory in memory, and what it tells, in one that goes with it",
    ),
    (
        "src/live/contain/cover.rs",
        "copies in memory of what the machine has, which go with the command",
    ),
    (
        "src/live/contain/tools.rs",
        "files to mount the tools on, which go with the command",
    ),
    (
        "src/live/contain/files.rs",
        "the file system that the command sees, which goes with it",
    ),
    (
        "src/live/contain/kernel_files.rs",
        "files to mount on, which go with the command",
    ),
    ("src/live/contain/knobs.rs", "knobs below the command's own /proc/sys"),
    (
        "src/live/contain/links.rs",
        "knobs of the command's own network namespace",
    ),
    (
        "src/live/contain/owned.rs",
        "maps and a limit of user namespaces, below /proc",
    ),
    (
        "src/live/contain/relay.rs",
        "what the command reads of the lab, which goes with it",
    ),
];

const NAMES_THAT_SAY_NOTHING: [&str; 6] = ["util", "utils", "common", "misc", "helpers", "stuff"];

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "| room | what | may use |\n|---|---|---|\n| `base` | w | nothing |\n| `device` | d | `base` |\n| `engine` | e | `base` |\n| `lab` | l | `base` |\n| `live` | v | `base`, `device`, `lab` |\n| `cli` | c | all above |\n\n\
        - **Unsafe** stands in `src/device/syscall.rs` only.\n";

    fn wrong(path: &str, text: &str) -> Vec<String> {
        let source = [Source {
            path: path.into(),
            text: text.to_owned(),
        }];
        let mut wrong = every_file(&source, &unsafe_files(DOCUMENT));
        wrong.extend(library(&Table::parse(DOCUMENT).unwrap(), &source));
        wrong
    }

    #[test]
    fn planted_violations_are_found() {
        for (path, text) in [
            ("src/base/a.rs", "fn f() {}"),
            ("src/base/utils.rs", "//! x"),
            ("src/misc/a.rs", "//! x"),
            ("src/base/a.rs", "//! x\nfn f() { unsafe {} }"),
            ("src/base/a.rs", "//! x\nfn f() { todo!() }"),
            ("src/base/a.rs", "//! x\n#[test] #[ignore] fn f() {}"),
            ("src/base/a.rs", "//! x\n#[should_panic(expected = \"y\")] fn f() {}"),
            ("src/cli/a.rs", "//! x\nfn f() { std::process::exit(1) }"),
            ("src/cli/a.rs", "//! x\nuse std::process::{Command, exit};"),
            ("src/base/a.rs", "//! x\nfn f() { println!(\"y\") }"),
            ("src/base/a.rs", "//! x\nfn f(now: std::time::Instant) {}"),
            ("src/base/a.rs", "//! x\nuse std::fs::File;"),
            ("src/lab/a.rs", "//! x\nuse std::fs::read;"),
            ("src/lab/a.rs", "//! x\nfn f(stream: &UnixStream) {}"),
            ("src/lab/a.rs", "//! x\nuse std::net::{IpAddr, TcpStream};"),
            ("src/lab/a.rs", "//! x\nuse std::os::fd::AsFd;"),
            ("src/lab/a.rs", "//! x\nuse std::os::unix::fs::MetadataExt;"),
            ("src/lab/a.rs", "//! x\nfn f() { io::stdin().read(bytes); }"),
            ("src/cli/run.rs", "//! x\nuse crate::live::control::Client;"),
            (
                "src/cli/replay/a.rs",
                "//! x\nuse crate::{lab::memory::Lab, live::place::Place};",
            ),
            ("src/base/a.rs", "//! x\nfn f() { std::thread::spawn(|| ()); }"),
            ("src/base/a.rs", "//! x\nfn f() { libc::getpid(); }"),
            ("src/cli/a.rs", "//! x\nfn f() { println!(\"y\") }"),
            ("src/cli/a.rs", "//! x\nfn f() { eprintln!(\"y\") }"),
            (
                "src/cli/a.rs",
                "//! x\nfn f(path: &Path) { tell!(\"{}\", path.display()) }",
            ),
            ("src/cli/a.rs", "//! x\nfn f(path: &OsStr) { path.to_string_lossy(); }"),
            ("src/cli/a.rs", "//! x\nfn f() { std::fs::write(path, text); }"),
            ("src/live/a.rs", "//! x\nfn f() { File::create(path); }"),
            (
                "src/repl/a.rs",
                "//! x\nfn f() { OpenOptions::new().write(true).open(path); }",
            ),
            ("src/cli/a.rs", "//! x\nfn f() { fs::rename(a, b); }"),
            ("src/device/tun.rs", "//! x\nfn f() {}"),
            ("src/engine/a.rs", "//! x\nuse std::net::Ipv4Addr;"),
            (
                "src/engine/a.rs",
                "//! x\nfn f(packet: &Packet) -> u8 { packet.ipv4().tos() }",
            ),
            ("src/engine/a.rs", "//! x\nfn f() -> u8 { protocol::ICMP }"),
            ("src/engine/a.rs", "//! x\nfn f() -> Family { Family::V6 }"),
            ("src/engine/a.rs", "//! x\nfn f() -> u8 { icmpv6_kind(icmp) }"),
        ] {
            assert_eq!(wrong(path, text).len(), 1, "{path}: {text}: {:?}", wrong(path, text));
        }
    }

    #[test]
    fn a_room_without_a_system_uses_none_that_has_one() {
        assert_eq!(
            who_reaches_the_world(&Table::parse(DOCUMENT).unwrap()),
            Vec::<String>::new()
        );
        let reaching = DOCUMENT.replace("| l | `base` |", "| l | `base`, `device` |");
        assert_eq!(
            who_reaches_the_world(&Table::parse(&reaching).unwrap()),
            ["docs/architecture.md: `lab` touches no system, and uses `device`, which does"]
        );
    }

    #[test]
    fn ipv6_is_there() {
        let said = "//! x\nfn f() -> &str { \"IPv6 is not there yet\" }";
        for (path, text, expected) in [
            ("src/cli/a.rs", said, 1),
            (
                "src/cli/a.rs",
                "//! x\n// IPv6 is not there yet.\n#[cfg(test)]\nmod tests { \"IPv6 is not there\" }",
                0,
            ),
        ] {
            let source = Source {
                path: path.into(),
                text: text.to_owned(),
            };
            assert_eq!(no_word_against_ipv6(&[source]).len(), expected, "{path}: {text}");
        }
    }

    #[test]
    fn what_is_allowed_passes() {
        for (path, text) in [
            ("src/device/syscall.rs", "//! x\nfn f() { unsafe {} }"),
            ("src/main.rs", "//! x\nfn main() { std::process::exit(1) }"),
            (
                "src/cli/a.rs",
                "//! x\nfn f() { say!(\"y\"); let exit = 1; exit_code(exit); File::open(path); out.write(bytes); }",
            ),
            (
                "src/base/a.rs",
                "//! x\n#[cfg(test)]\nmod tests { fn f() { println!(\"y\") } }",
            ),
            (
                "src/device/tun.rs",
                "//! x\nfn f() { std::fs::OpenOptions::new().write(true).open(path); }",
            ),
            (
                "src/engine/a.rs",
                "//! x\nfn f() { packet.is_icmp() }\n#[cfg(test)]\nmod tests { fn f() -> Family { Family::V4 } }",
            ),
            ("src/lab/a.rs", "//! x\nuse std::os::unix::ffi::OsStrExt;"),
            ("src/cli/up.rs", "//! x\nuse crate::live::up;"),
            ("src/base/a.rs", "//! x\n// unsafe todo!()\nfn f() { \"println!\" }"),
        ] {
            assert_eq!(wrong(path, text), Vec::<String>::new(), "{path}: {text}");
        }
    }
}
