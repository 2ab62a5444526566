//! What the README says is so. Its session is what the binary prints: `NFLAB_BLESS=1 cargo test --test readme` makes it anew, from its
//! commands.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_session_is_what_the_binary_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let start = readme.find("<!-- session").expect("the README has a session");
    let start = start + readme[start..].find("```\n").expect("the session is a block") + 4;
    let end = start + readme[start..].find("```").expect("the block ends");
    let commands: Vec<&str> = readme[start..end]
        .lines()
        .filter_map(|line| line.strip_prefix("> "))
        .collect();
    assert!(commands.len() > 5, "the session has lost its commands");
    let session = play(&commands);
    if std::env::var_os("NFLAB_BLESS").is_some() {
        let text = format!("{}{session}{}", &readme[..start], &readme[end..]);
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert!(
        readme[start..end] == session,
        "the README shows another session than the binary prints; run `NFLAB_BLESS=1 cargo test --test readme` and read the difference.\n\
         It prints:\n{session}"
    );
}

/// What the editor prints for each command, below it. Both streams go to one file, so that they stay in order.
fn play(commands: &[&str]) -> String {
    let path = std::env::temp_dir().join(format!("nflab-readme-{}", std::process::id()));
    let out = File::create(&path).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_nflab"))
        .arg("repl")
        .env("NFLAB", "/nonexistent/no-lab")
        .stdin(Stdio::piped())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .env("NO_COLOR", "1")
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for command in commands {
        writeln!(input, "echo {MARK}\n{command}").unwrap();
    }
    drop(input);
    // One of the commands is refused, to show how.
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let printed = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mark = format!("{MARK}\n");
    let mut session = String::new();
    for (command, output) in commands.iter().zip(printed.split(mark.as_str()).skip(1)) {
        session.push_str(&format!("> {command}\n{output}"));
    }
    session
}

const MARK: &str = "--next--";
