//! `nflab learn`, and `learn` in the REPL: lessons listed, taken from a pipe, left again, and tried as tests.

use crate::bench::Bench;

#[test]
fn lessons_are_listed_and_taken_by_name_number_and_path() {
    let bench = Bench::new();
    let listed = bench.nflab(&["learn", "--list"]);
    let first: Vec<&str> = listed.out.lines().take(1).flat_map(str::split_whitespace).collect();
    assert_eq!(first.join(" "), "01-states The states that a rule can ask for");
    assert_eq!((listed.code, listed.err.as_str()), (0, ""));
    bench.write(
        "mine.nflab",
        "lesson \"Mine\"\nstep \"One\"\ntype\n  iptables -P FORWARD DROP\nend\n",
    );
    for (asked, title) in [
        ("01-states", "The states that a rule can ask for\n"),
        ("states", "The states that a rule can ask for\n"),
        ("2", "A TCP connection, from its first packet to its last\n"),
        ("mine.nflab", "Mine\n"),
    ] {
        let ran = bench.nflab_with("", &["learn", asked]);
        assert!(ran.out.starts_with(title), "{asked}: {}{}", ran.out, ran.err);
        assert_eq!(ran.code, 0, "{asked}: {}", ran.err);
    }
    let made = std::process::Command::new("mkfifo")
        .arg(bench.path("lesson.nflab"))
        .status();
    assert!(made.unwrap().success());
    for (asked, code, said) in [
        (".", 2, "cannot read ./lesson.nflab: it is no regular file"),
        ("nope", 2, "there is no lesson `nope`"),
        ("./nope", 2, "cannot read ./nope"),
    ] {
        let ran = bench.nflab_with("", &["learn", asked]);
        assert_eq!(ran.code, code, "{asked}");
        assert!(ran.err.contains(said), "{asked}: {}", ran.err);
    }
}

/// What is typed into it, its exit code, and what is said.
#[test]
fn a_lesson_is_taken_from_a_pipe_and_left_again() {
    let bench = Bench::new();
    bench.write(
        "mine.nflab",
        "lesson \"Mine\"\nstep \"One\"\ntype\n  iptables -P FORWARD DROP\nend\n",
    );
    bench.write(
        "two.nflab",
        "lesson \"Two\"\nstep \"One\"\ntype\n  iptables -P FORWARD DROP\nend\nstep \"Two\"\nask \"And?\"\nanswer \"yes\"\n",
    );
    for (args, typed, code, out, err) in [
        (
            &["learn", "mine.nflab"][..],
            "iptables -P FORWARD DROP\n",
            0,
            "This was mine",
            "",
        ),
        (&["learn", "mine.nflab"], "check\n", 1, "", "nothing to mark here"),
        (&["learn", "mine.nflab"], "nonsense\n", 2, "", "is no command of a lab"),
        (
            &["learn", "mine.nflab"],
            "next\nexit\nnonsense\n",
            0,
            "This was mine",
            "",
        ),
        // In the REPL leaving it leads back to the lab, which did not notice.
        (
            &["repl", "--seed", "1"],
            "learn mine.nflab\nnext\nexit\niptables -S FORWARD\n",
            0,
            "here again\n-P FORWARD ACCEPT\n",
            "",
        ),
        (&["repl", "--seed", "1"], "learn\n", 0, "01-states", ""),
        (
            &["repl", "--seed", "1"],
            "learn a b\n",
            2,
            "",
            "`b` is not understood here",
        ),
        (
            &["repl", "--seed", "1"],
            "hint\n",
            2,
            "",
            "`hint` is a word of lessons, and none is open: `learn` lists them",
        ),
        (&["run", "-"], "learn 1\n", 1, "", "a lesson is for somebody who types"),
        // Who leaves it early is told how to come back, to the step and its lab.
        (
            &["repl", "--seed", "1"],
            "learn two.nflab\nnext\nexit\nlearn two.nflab 2\niptables -S FORWARD\n",
            0,
            "2/2  Two\n\nAnd?\n-P FORWARD DROP\n",
            "",
        ),
        (
            &["repl", "--seed", "1"],
            "learn two.nflab\nnext\nexit\n",
            0,
            "this was two, step 2: `learn two.nflab 2` goes on there; the lab from before is here again",
            "",
        ),
        (
            &["learn", "two.nflab", "2"],
            "iptables -S FORWARD\nlearn mine.nflab\nexit\n",
            0,
            "-P FORWARD DROP\nMine\n",
            "this was two, step 2: `learn two.nflab 2` goes on there\nnflab: this was mine, step 1",
        ),
        (
            &["learn", "two.nflab", "3"],
            "",
            2,
            "",
            "two has no step 3: its steps are 1 to 2",
        ),
        (&["learn", "two.nflab", "0"], "", 2, "", "two has no step 0"),
    ] {
        let ran = bench.nflab_with(typed, args);
        assert_eq!(ran.code, code, "{args:?} {typed:?}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(out), "{args:?} {typed:?}: {}", ran.out);
        assert!(ran.err.contains(err), "{args:?} {typed:?}: {}", ran.err);
    }
}

/// The whole lesson that the page for teachers shows.
#[test]
fn the_lesson_of_the_page_is_one() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/teaching.md")).unwrap();
    let lesson = page.split("```\n").nth(1).expect("the page shows a lesson");
    let bench = Bench::new();
    bench.write("lesson.nflab", lesson);
    let ran = bench.nflab(&["learn", "--test", "lesson.nflab"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    bench.write(
        "lesson.nflab",
        &lesson.replace("FORWARD -m state --state ESTABLISHED", "FORWARD"),
    );
    let ran = bench.nflab(&["learn", "--test", "lesson.nflab"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("the solution of this task is not taken"),
        "{}",
        ran.err
    );
    assert_eq!(bench.nflab(&["learn", "--test"]).code, 0);
}
