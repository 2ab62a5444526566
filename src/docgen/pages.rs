//! What the pages show is understood: every command line of nflab's in a block of `docs/*.md` and of the README, and every packet in it.

use std::path::{Path, PathBuf};

use crate::cli;
use crate::lab::script::parse_text;

fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> = std::fs::read_dir(root.join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    pages.push(root.join("README.md"));
    pages.sort();
    pages
}

/// The lines of its blocks.
fn shown(page: &str) -> impl Iterator<Item = &str> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    blocks.flat_map(|block| block.lines().skip(1))
}

/// A line as a shell parts it, without its remark.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (letter, quote) {
            ('#', None) if word.is_none() => break,
            (' ', None) => words.extend(word.take()),
            ('\'' | '"', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, Some(open)) if open == letter => quote = None,
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    // What a shell makes of the rest is the shell's.
    let end = words
        .iter()
        .position(|word| ["|", ">", "2>", ";", "&&", "&", "<<EOF"].contains(&word.as_str()));
    words.truncate(end.unwrap_or(words.len()));
    words
}

/// Lines of nflab's own commands, as they stand behind a prompt or by themselves.
fn commands(page: &str) -> Vec<Vec<String>> {
    let lines = shown(page).map(|line| line.trim_start().trim_start_matches("$ "));
    let own = lines.filter(|line| line.starts_with("nflab ")).map(words);
    // Tools have readers of their own.
    let applets = cli::command();
    own.filter(|words| words.get(1).is_some_and(|word| applets.find_subcommand(word).is_some()))
        .collect()
}

#[test]
fn commands_of_the_pages_are_understood() {
    let (mut seen, mut of_ipv6) = (0, 0);
    for path in pages() {
        let page = std::fs::read_to_string(&path).unwrap();
        for words in commands(&page) {
            let read = cli::command().try_get_matches_from(&words);
            assert!(read.is_ok(), "{}: {words:?}: {}", path.display(), read.unwrap_err());
            seen += 1;
            of_ipv6 += u32::from(words.iter().any(|word| word.contains("::") || word.ends_with('6')));
            if words[1] == "trace" {
                for packet in words[2..].iter().filter(|word| word.contains(" > ")) {
                    is_a_packet(packet, &path);
                }
            }
        }
    }
    assert!(seen >= 20 && of_ipv6 >= 3, "{seen} commands, {of_ipv6} of IPv6");
}

/// In the lab that a page means where it names none, with the hosts that pages speak of.
fn is_a_packet(packet: &str, page: &Path) {
    let lab = "interface lan 10.0.0.1/24 2001:db8::1/64\ninterface wan 192.0.2.1/24 2001:db8:1::1/64\n\
               host laptop 10.0.0.2 2001:db8::2 lan\nhost web 192.0.2.9 2001:db8:1::9 wan\n";
    let read = parse_text(
        &page.display().to_string(),
        &format!("{lab}send {packet}"),
        cli::TOOLBOX,
    );
    assert!(read.is_ok(), "{packet}: {}", read.unwrap_err());
}

#[test]
fn a_line_is_parted_as_a_shell_does() {
    assert_eq!(
        words("nflab trace 'lan udp a > b' \"x y\"   # why | so"),
        ["nflab", "trace", "lan udp a > b", "x y"]
    );
    assert_eq!(words("nflab import a > b"), ["nflab", "import", "a"]);
}
