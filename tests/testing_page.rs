//! `docs/testing-rulesets.md` shows what the binary prints: `NFLAB_BLESS=1 cargo test --test testing_page` makes its output anew, from the
//! files that it shows.

use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_page_shows_what_the_binary_prints() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/testing-rulesets.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let bench = Bench::new();
    let mut made = String::new();
    let mut rest = page.as_str();
    let mut runs = 0;
    while let Some(at) = rest.find("<!-- ") {
        let end = at + rest[at..].find("-->").expect("the remark ends");
        let (kind, what) = rest[at + 5..end].trim().split_once(": ").expect("file or run");
        let start = end + rest[end..].find("```\n").expect("a block follows") + 4;
        let length = rest[start..].find("```").expect("the block ends");
        let block = &rest[start..start + length];
        made.push_str(&rest[..start]);
        match kind {
            "file" => {
                std::fs::write(bench.0.join(what), block).unwrap();
                made.push_str(block);
            }
            "run" => {
                runs += 1;
                made.push_str(&bench.run(what));
            }
            kind => panic!("`{kind}` in the page"),
        }
        rest = &rest[start + length..];
    }
    made.push_str(rest);
    assert!(runs > 0, "the page has lost its example");
    if std::env::var_os("NFLAB_BLESS").is_some() {
        std::fs::write(&path, made).unwrap();
        return;
    }
    assert!(
        page == made,
        "docs/testing-rulesets.md shows other output than the binary prints; run `NFLAB_BLESS=1 cargo test --test testing_page` and read \
         the difference. It would be:\n{made}"
    );
}

struct Bench(PathBuf);

impl Bench {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("nflab-page-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// What a command prints, but for how long it took.
    fn run(&self, command: &str) -> String {
        let mut words = command.split(' ');
        assert_eq!(words.next(), Some("nflab"));
        let output = Command::new(env!("CARGO_BIN_EXE_nflab"))
            .args(words)
            .current_dir(&self.0)
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        let lines = printed.lines().map(|line| match line.rsplit_once(" in ") {
            Some((before, time)) if time.ends_with(" s") => format!("{before} in 0.01 s\n"),
            _ => format!("{line}\n"),
        });
        lines.collect()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
