//! A seed for what is tried at random: another with every commit, the same in every run of one commit.
//!
//! So many commits see more than one seed's scenarios, and yet what CI says of a commit does not hang on the minute.

use std::path::Path;
use std::process::Command;

/// From the commit that is checked out. While something is being changed, and where there is no repository or no git: from the clock.
pub(crate) fn fresh_seed() -> u64 {
    of_commit(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap_or_else(of_the_clock)
}

/// None where nothing is committed, or something differs from what is; files that git does not know make no difference.
fn of_commit(tree: &Path) -> Option<u64> {
    let changed = git(tree, &["status", "--porcelain", "--untracked-files=no"])?;
    let commit = git(tree, &["rev-parse", "HEAD"])?;
    let start = commit.get(..16).filter(|_| changed.is_empty())?;
    u64::from_str_radix(start, 16).ok()
}

fn of_the_clock() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos() as u64
}

/// What git prints, where it succeeds.
fn git(tree: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    // It refuses to look at a tree of another user's, such as root in CI has; but the tree's own code is what runs here.
    command.args(["-c", "safe.directory=*", "-C"]).arg(tree).args(arguments);
    let done = command.output().ok()?;
    done.status
        .success()
        .then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

#[cfg(test)]
#[test]
fn a_commit_has_a_seed_and_the_next_one_another() {
    let tree = std::env::temp_dir().join(format!("nflab-fresh-seed-{}", std::process::id()));
    std::fs::create_dir_all(&tree).unwrap();
    let outcome = std::panic::catch_unwind(|| {
        if git(&tree, &["init", "--quiet"]).is_none() {
            let required = std::env::var_os("NFLAB_REQUIRE_KERNEL").is_some();
            assert!(!required, "git is missing (Debian package git)");
            eprintln!("!!! NOT RUN: which seed a commit has, for want of git");
            return;
        }
        assert_eq!(of_commit(&tree), None, "nothing is committed");
        let commit = |text: &str| {
            std::fs::write(tree.join("a"), text).unwrap();
            git(&tree, &["add", "a"]).unwrap();
            let who = ["-c", "user.name=n", "-c", "user.email=e"];
            git(&tree, &[&who[..], &["commit", "--quiet", "-m", text]].concat()).unwrap();
        };
        commit("one");
        let first = of_commit(&tree);
        assert!(first.is_some());
        std::fs::write(tree.join("unknown to git"), "").unwrap();
        assert_eq!(of_commit(&tree), first, "a second run");
        std::fs::write(tree.join("a"), "something else").unwrap();
        assert_eq!(of_commit(&tree), None, "a change that is not committed");
        commit("two");
        assert!(of_commit(&tree).is_some_and(|it| Some(it) != first), "the next commit");
        assert_eq!(of_commit(Path::new("/proc")), None, "no repository");
    });
    std::fs::remove_dir_all(&tree).unwrap();
    outcome.unwrap();
}
