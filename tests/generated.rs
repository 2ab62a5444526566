//! What `docgen` makes is what is committed, and the README names every extension. `NFLAB_BLESS=1 cargo test --test generated` writes it anew.

use std::path::Path;

use nflab::ext::{MATCHES, TARGETS};

#[test]
fn generated_files_are_fresh() {
    let mut stale = Vec::new();
    let made: Vec<&str> = nflab::docgen::all().iter().map(|file| file.path).collect();
    for folder in ["grammar", "man", "completions", "docs"] {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let says_so = std::fs::read_to_string(&path).unwrap().contains("Made from the specs");
            let path = path.strip_prefix(root).unwrap().to_str().unwrap();
            assert!(!says_so || made.contains(&path), "{path}: nothing makes it");
        }
    }
    for file in nflab::docgen::all() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file.path);
        if std::env::var_os("NFLAB_BLESS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a file lies in a directory")).unwrap();
            std::fs::write(&path, &file.text).unwrap();
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != file.text {
            stale.push(file.path);
        }
    }
    assert!(
        stale.is_empty(),
        "{stale:?} are not what the specs say now: run `NFLAB_BLESS=1 cargo test --test generated` and read the difference"
    );
}

#[test]
fn the_readme_names_every_extension() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has a place for the names");
    let (names, after) = rest.split_once(END).expect("it ends");
    let now = names_of_extensions();
    if std::env::var_os("NFLAB_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{now}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(names, now, "README.md: run `NFLAB_BLESS=1 cargo test --test generated`");
}

const BEGIN: &str = "<!-- extensions -->";
const END: &str = "<!-- /extensions -->";

/// In lines as long as the README's are.
fn names_of_extensions() -> String {
    let mut matches: Vec<&str> = MATCHES.iter().map(|it| it.name).collect();
    matches.dedup();
    let targets: Vec<&str> = TARGETS.iter().map(|it| it.name).collect();
    let text = format!("matches {}; targets {}", matches.join(", "), targets.join(", "));
    // The first line is that of the text before.
    let mut lines = vec![String::new(), String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there are two");
        if last.is_empty() {
            last.push_str(word);
        } else if last.len() + word.len() < 140 {
            *last += &format!(" {word}");
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.join("\n")
}
