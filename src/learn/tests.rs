//! What a lesson file may be, how it is stepped through, and that the lessons which come with nflab are as they say.

use super::*;
use crate::cli::TOOLBOX;
use crate::suite::Unreadable;
use crate::syntax::problem::Source;

fn lesson(text: &str) -> Result<Lesson, Unreadable> {
    let source = Source {
        name: "lesson.nflab".to_owned(),
        text: text.to_owned(),
    };
    read("try", source, TOOLBOX)
}

/// A short one, with a piece of each kind.
const SHORT: &str = r#"lesson "Short"
after "nothing"
setup
  host client 10.0.0.2 lan
  host server 192.0.2.9 wan
  modprobe nf_conntrack
end
step "One"
text <<END
Told first.
END
ask "Which state?"
  answer "NEW" "it is new"
  because "Nobody spoke before."
  hint "Think."
type
  send lan tcp client:1 > server:80 S
  expect state NEW
  advance 5s
end
hint "Two lines."
document conntrack -L <<END
tcp 6 115 SYN_SENT src= dst= sport=1 dport=80 [UNREPLIED] src= dst= ...
END
document cat /proc/net/nf_conntrack <<END
tcp 6 115 SYN_SENT
END
differs "It says more."
step "Two"
task <<END
Stop it.
END
hint "DROP"
solution
  iptables -P FORWARD DROP
end
check <<END
host client 10.0.0.2 lan
host server 192.0.2.9 wan
test "it is stopped"
  expect fail handshake client > server:80
end
END
"#;

#[test]
fn the_lessons_that_come_with_nflab_are_as_they_say() {
    for (name, text) in LIBRARY {
        let source = Source {
            name: format!("examples-rulesets/lessons/{name}/lesson.nflab"),
            text: (*text).to_owned(),
        };
        let lesson = read(name, source, TOOLBOX).unwrap_or_else(|error| panic!("{error}"));
        trial(&lesson).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(title(text), lesson.title);
    }
}

#[test]
fn every_lesson_of_the_directory_is_in_the_program() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-rulesets/lessons");
    let entries = std::fs::read_dir(root).unwrap();
    let mut there: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    let known: Vec<&str> = LIBRARY.iter().map(|(name, _)| *name).collect();
    assert_eq!(there, known);
    for (number, name) in known.iter().enumerate() {
        assert!(name.starts_with(&format!("{:02}-", number + 1)), "{name}");
        let (_, word) = name.split_once('-').unwrap();
        for asked in [*name, word, &format!("{}", number + 1)] {
            assert_eq!(find(asked).map(|(found, _)| found), Some(*name), "{asked}");
        }
    }
    assert_eq!(find("nonsense"), None);
}

/// The page for teachers says where each figure, table, listing and script of the documents stands.
#[test]
fn what_the_documents_show_stands_in_a_step() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/teaching.md")).unwrap();
    let (_, table) = page.split_once("## What of the documents stands where").unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 40, "{}", rows.len());
    let mut named = std::collections::BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").collect();
        for place in cells.last().unwrap().trim().split(", ") {
            let (name, step) = place.split_once(' ').unwrap_or_else(|| panic!("{row}"));
            let text = LIBRARY.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
            let steps = text.map(|text| text.lines().filter(|line| line.starts_with("step ")).count());
            let step: usize = step.parse().unwrap_or_else(|_| panic!("{row}"));
            assert!(steps.is_some_and(|steps| (1..=steps).contains(&step)), "{row}");
            named.insert(name);
        }
    }
    // Those that follow one say so.
    let follows = |(_, text): &&(&str, &str)| text.lines().any(|line| line.starts_with("after "));
    let all: Vec<&str> = LIBRARY.iter().filter(follows).map(|(name, _)| *name).collect();
    assert!(all.len() > 18, "{all:?}");
    assert_eq!(
        named.into_iter().collect::<Vec<_>>(),
        all,
        "a lesson that follows nothing"
    );
}

#[test]
fn words_of_lessons_hide_none_of_a_lab() {
    for (word, _) in WORDS {
        let is_own = crate::lab::script::OWN_WORDS.iter().any(|own| own.name == *word);
        assert!(!is_own && TOOLBOX.find(word).is_none(), "{word}");
    }
}

/// Each line, and what has to be in what is said.
#[test]
fn a_lesson_is_stepped_through() {
    let walks: &[&[(&str, &[&str], u8)]] = &[
        // All by `next`, but for the task.
        &[
            (
                "next",
                &[
                    "It is: NEW",
                    "Nobody spoke before.",
                    "    send lan tcp",
                    "    advance 5s",
                ],
                0,
            ),
            (
                "next",
                &[
                    "> send lan tcp client:1 > server:80 S",
                    "NEW: it opens a flow",
                    "nflab prints the same:\n    tcp      6 115 SYN_SENT",
                    "The document prints for `cat /proc/net/nf_conntrack`:\n    tcp 6 115 SYN_SENT\nnflab prints:\n",
                    "It says more.",
                    "2/2  Two",
                    "Stop it.",
                ],
                0,
            ),
            ("next", &["this task is open"], 1),
            ("check", &["✗ it is stopped", "Not yet"], 1),
            ("hint", &["DROP"], 0),
            ("hint", &["no other hint"], 0),
            ("iptables -A FORWARD -j ACCEPT", &[], 0),
            ("check", &["✗ it is stopped"], 1),
            ("solution", &["> iptables -P FORWARD DROP", "`check` marks it"], 0),
            ("iptables -S FORWARD", &["-P FORWARD DROP\n"], 0),
            ("check", &["✓ it is stopped", "All of it holds.", "This was try"], 0),
            ("next", &["This was try"], 0),
            ("check", &["nothing to mark"], 1),
            ("again", &["2/2  Two", "Stop it."], 0),
            ("check", &["✗ it is stopped"], 1),
        ],
        // As a learner would.
        &[
            ("check", &["a task says when there is; something is asked"], 1),
            ("ESTABLISHED", &["That is not it"], 1),
            ("hint", &["Think."], 0),
            ("iptables -S FORWARD", &["-P FORWARD ACCEPT"], 0),
            ("  it IS  new.", &["Right.", "Nobody spoke before.", "Type"], 0),
            ("answer NEW", &["nothing is asked here"], 1),
            ("check", &["a task says when there is; type first what stands above"], 1),
            ("hint", &["Two lines."], 0),
            ("hint", &["Type: send lan tcp client:1 > server:80 S"], 0),
            (
                "nonsense",
                &[
                    "`nonsense` is no command",
                    "If that was an answer: nothing is asked here.",
                ],
                2,
            ),
            ("iptables -Q", &["unknown option"], 1),
            // Words that are nearly the lesson's.
            ("Next", &["`Next`: did you mean `next`?"], 2),
            ("hnt", &["`hnt`: did you mean `hint`?"], 2),
            ("next please", &["`next please`: did you mean `next`?"], 2),
            ("SOLUTION", &["`SOLUTION`: did you mean `solution`?"], 2),
            ("solution", &["nothing to build"], 1),
            (
                "send  lan tcp 10.0.0.2:1  > server:http S",
                &["is not understood here"],
                2,
            ),
            ("send  lan tcp 10.0.0.2:1  > server:80 S", &["NEW: it opens a flow"], 0),
            ("hint", &["Type: advance 5s"], 0),
            ("advance 5000ms", &["nflab prints the same", "2/2  Two"], 0),
            ("help", &["solution", "send [-v]"], 0),
        ],
        // What the lesson holds is not so in a lab where something else was done.
        &[
            ("answer new", &["Right."], 0),
            ("iptables -t raw -A PREROUTING -j NOTRACK", &[], 0),
            ("next", &["the lesson holds `expect state NEW` here"], 1),
            ("again", &["Stop it."], 0),
        ],
    ];
    for walk in walks {
        let mut session = Session::at(lesson(SHORT).unwrap(), 0, Screen::default()).unwrap();
        let told = session.opening();
        assert_eq!(
            told.out,
            "Short\n(nothing)\n\n1/2  One\n\nTold first.\n\nWhich state?\n"
        );
        for (line, parts, code) in *walk {
            let told = session.line(line);
            let said = format!("{}{}", told.out, told.err);
            for part in *parts {
                assert!(said.contains(part), "{line}: {part:?} not in\n{said}");
            }
            assert_eq!(told.code, *code, "{line}: {said}");
        }
    }
}

/// What is planted in a lesson that is whole, and what is said of it.
#[test]
fn a_lesson_that_is_not_so_is_told_where() {
    trial(&lesson(SHORT).unwrap()).unwrap();
    for (from, to, place, said) in [
        ("expect state NEW", "expect state RELATED", "18:3", "NEW"),
        ("advance 5s", "conntrack -D -s 1.2.3.4", "19:3", "0 flow entries"),
        (
            "6 115 SYN_SENT src=",
            "6 114 SYN_SENT src=",
            "22:1",
            "something else is printed here",
        ),
        ("tcp 6 115 SYN_SENT\n", "...\n", "25:1", "the same is printed here"),
        (
            "-P FORWARD DROP",
            "-P INPUT DROP",
            "30:1",
            "the solution of this task is not taken",
        ),
        (
            "expect fail handshake",
            "handshake",
            "30:1",
            "done before anything is typed",
        ),
    ] {
        assert!(SHORT.contains(from), "{from}");
        let wrong = trial(&lesson(&SHORT.replace(from, to)).unwrap())
            .unwrap_err()
            .to_string();
        assert!(
            wrong.contains(&format!("lesson.nflab:{place}\n")) && wrong.contains(said),
            "{from}: {wrong}"
        );
    }
}

#[test]
fn what_a_learner_types_may_write_to_files() {
    for line in ["iptables-save > x", "iptables-save -f x", "trace --svg x"] {
        lesson(&SHORT.replace("  advance 5s", &format!("  {line}"))).unwrap();
    }
    for line in ["conntrack -L > /dev/null", "expect fail iptables -j x", "trace --svg -"] {
        lesson(&SHORT.replace("  modprobe nf_conntrack", &format!("  {line}"))).unwrap();
    }
}

#[test]
fn who_begins_further_on_finds_no_file_written_before() {
    // A directory of its own: a file of that name that an earlier run left would be found.
    let directory = std::env::temp_dir().join(format!("nflab-lesson-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir(&directory).unwrap();
    let file = directory.join("rules");
    let line = format!("  iptables-save > {}", file.display());
    let text = SHORT.replace("  advance 5s", &line).replace("115", "120");
    // The step that is begun, what is typed there, whether the file was written then.
    for (step, typed, written) in [
        (1, &["again"][..], false),
        (0, &["next"], false),
        (0, &["next", "next"], true),
    ] {
        let mut session = Session::at(lesson(&text).unwrap(), step, Screen::default()).unwrap();
        session.opening();
        let told: Vec<Told> = typed.iter().map(|line| session.line(line)).collect();
        assert_eq!(file.exists(), written, "{step} {typed:?}: {told:?}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn what_is_no_lesson_is_told_where() {
    for (from, to, place, said) in [
        ("lesson \"Short\"", "", "1:1", "this lesson has no title"),
        (
            "lesson \"Short\"",
            "lesson Short and sweet",
            "1:14",
            "`and` is not understood here",
        ),
        ("lesson \"Short\"", "lesson \"\"", "1:8", "this text is empty"),
        (
            "after \"nothing\"",
            "lesson \"Again\"",
            "2:1",
            "there is a `lesson` already",
        ),
        ("after", "aftr", "2:1", "did you mean `after`?"),
        (
            "after \"nothing\"",
            "text <<END\nx\nEND",
            "2:1",
            "`text` cannot stand here",
        ),
        (
            "text <<END\nTold first.\nEND",
            "text",
            "9:1",
            "nothing stands below this `text`",
        ),
        (
            "text <<END\nTold",
            "text it <<END\nTold",
            "9:6",
            "write `text <<END`, its lines below",
        ),
        (
            "  answer \"NEW\" \"it is new\"\n",
            "",
            "12:1",
            "this question has no answer",
        ),
        ("\"NEW\" \"it is new\"", "", "13:9", "ends too early"),
        (
            "text <<END\nTold first.\nEND",
            "answer \"x\"",
            "9:1",
            "it belongs below `ask`",
        ),
        ("  advance 5s\nend", "  advance soon\nend", "19:11", "`soon`"),
        ("  advance 5s\n", "  learn 1\n", "19:3", "a lesson opens no other"),
        ("end\nhint \"Two lines.\"", "end\nend", "21:1", "`end` is no word"),
        ("document conntrack -L", "document", "22:1", "names no command"),
        (
            "differs \"It says more.\"\nstep \"Two\"",
            "step \"Two\"\ndiffers \"x\"",
            "29:1",
            "below `document`",
        ),
        (
            "solution\n  iptables -P FORWARD DROP\nend\n",
            "",
            "30:1",
            "this `task` is not whole",
        ),
        ("test \"it is stopped\"", "tst \"it is stopped\"", "40:1", "tst"),
        (
            "  expect fail handshake client > server:80\nend\nEND\n",
            "END\n",
            "40:1",
            "never closed",
        ),
        (
            "test \"it",
            "rules <<X\n*filter\nCOMMIT\nX\ntest \"it",
            "37:1",
            "brings rules of its own",
        ),
        (
            "  iptables -P FORWARD DROP\nend",
            "  iptables -P FORWARD DROP",
            "34:1",
            "this `solution` is never closed",
        ),
        (
            "after \"nothing\"",
            "lab <<X\n[interface.lan]\nadress = 1\nX",
            "4:1",
            "adress",
        ),
        (
            "Told first.",
            "Told \u{1b}]52;c;AA\u{7} first.",
            "10:6",
            "a control character stands here: \\u{1b}",
        ),
        (
            "  modprobe nf_conntrack",
            "  iptables-save > x",
            "6:3",
            "a lesson writes to no file of who takes it: x",
        ),
        (
            "  modprobe nf_conntrack",
            "  expect fail iptables-save -f y",
            "6:3",
            "takes it: y",
        ),
        (
            "document conntrack -L",
            "document iptables-save >>x",
            "22:10",
            "takes it: x",
        ),
        ("  iptables -P FORWARD DROP", "  trace --svg x", "35:3", "takes it: x"),
        (
            "  expect fail handshake",
            "  iptables-save -f z\n  expect fail handshake",
            "37:1",
            "takes it: z",
        ),
        ("step \"One\"", "step One <<X\nX", "8:1", "reads no input"),
        ("step \"One\"", "step 'One", "8:6", "this quote is never closed"),
    ] {
        assert!(SHORT.contains(from), "{from}");
        let wrong = lesson(&SHORT.replacen(from, to, 1))
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(
            wrong.contains(&format!("lesson.nflab:{place}\n")) && wrong.contains(said),
            "{from} -> {to}: {wrong}"
        );
    }
    let empty = lesson("").map(|_| ()).unwrap_err().to_string();
    assert!(empty.contains("no title") && empty.contains("no step"), "{empty}");
}

/// From a step on, in a lab where all is done that stands before it; and texts as wide as the terminal.
#[test]
fn a_lesson_is_begun_at_a_step() {
    let narrow = Screen {
        styled: false,
        width: Some(8),
    };
    let mut session = Session::at(lesson(SHORT).unwrap(), 1, narrow).unwrap();
    assert_eq!(
        session.opening().out,
        "Short\n(nothing)\n\n2/2  Two\n\nYour task\nStop it.\n(`check` marks it)\n"
    );
    assert_eq!((session.step(), session.is_over()), (2, false));
    assert!(session.line("conntrack -L").out.contains("115 SYN_SENT"));
    session.line("solution");
    session.line("check");
    assert!(session.is_over());
    let mut session = Session::at(lesson(SHORT).unwrap(), 0, narrow).unwrap();
    assert_eq!(
        session.opening().out,
        "Short\n(nothing)\n\n1/2  One\n\nTold\nfirst.\n\nWhich\nstate?\n"
    );
    assert!(session.line("next").out.contains("Nobody\nspoke\nbefore.\n"));
}

/// What shall fail is shown, typed and does fail; what stands before all commands is held at once.
#[test]
fn what_shall_fail_is_typed_too() {
    const FAILS: &str = r#"lesson "Fails"
step "One"
type
  expect flows 0
  iptables -P FORWARD DROP
  expect fail handshake 10.0.0.2:1 > 192.0.2.9:80
  expect drop
  expect fail iptables -Q
end
ask "Which module?"
  answer "modprobe nf_conntrack_irc"
text <<END
Done.
END
"#;
    let read = |text: &str| lesson(text).unwrap();
    trial(&read(FAILS)).unwrap();
    let mut session = Session::at(read(FAILS), 0, Screen::default()).unwrap();
    let shown = "    iptables -P FORWARD DROP\n    # this fails:\n    handshake 10.0.0.2:1 > 192.0.2.9:80\n    # this fails:\n    iptables -Q\n";
    assert_eq!(
        session.opening().out,
        format!("Fails\n\n1/1  One\n\nType (or `next`):\n{shown}")
    );
    for (line, part, code) in [
        ("iptables -P FORWARD DROP", "", 0),
        ("handshake 10.0.0.2:1 > 192.0.2.9:80", "did not arrive", 0),
        ("iptables -Q", "Which module?", 0),
        // It is an answer, though the lab would understand it.
        ("modprobe nf_conntrack_irc", "Right.", 0),
        ("lsmod", "Module", 0),
        ("iptables -Q", "unknown option", 1),
    ] {
        let told = session.line(line);
        assert_eq!(told.code, code, "{line}: {told:?}");
        assert!(format!("{}{}", told.out, told.err).contains(part), "{line}: {told:?}");
    }
    assert!(!session.line("lsmod").out.contains("irc"));
    // By `next` as well; and what does not fail is told.
    let mut session = Session::at(read(FAILS), 0, Screen::default()).unwrap();
    let told = session.line("next");
    assert_eq!(told.code, 0);
    // What failed is told below its command, and before what is asked next.
    let in_order: String = told.in_order().flat_map(|(out, err)| [out, err]).collect();
    let (failed, asked) = (
        in_order.find("did not arrive").unwrap(),
        in_order.find("Which module?").unwrap(),
    );
    assert!(failed < asked, "{in_order}");
    let wrong = FAILS.replace("iptables -P FORWARD DROP", "iptables -P FORWARD ACCEPT");
    let said = trial(&read(&wrong)).unwrap_err().to_string();
    assert!(
        said.contains("the lesson says that this fails")
            && said.contains("`handshake 10.0.0.2:1 > 192.0.2.9:80` does not fail"),
        "{said}"
    );
    let mut session = Session::at(read(&wrong), 0, Screen::default()).unwrap();
    session.line("iptables -P FORWARD ACCEPT");
    let told = session.line("handshake 10.0.0.2:1 > 192.0.2.9:80");
    assert!(
        told.code == 1 && told.err.contains("the lesson holds that this fails"),
        "{told:?}"
    );
}

/// As a learner would who types what is shown, answers with each answer that is right, and lets tasks be solved: nothing fails on the way.
#[test]
fn each_lesson_is_walked_by_typing() {
    for (name, text) in LIBRARY {
        let read = || {
            let source = Source {
                name: (*name).to_owned(),
                text: (*text).to_owned(),
            };
            read(name, source, TOOLBOX).unwrap_or_else(|error| panic!("{error}"))
        };
        let lesson = read();
        let mut session = Session::at(read(), 0, Screen::default()).unwrap();
        let mut said = session.opening();
        for piece in lesson.steps.iter().flat_map(|step| &step.pieces) {
            let lines: Vec<String> = match piece {
                lesson::Piece::Text(_) | lesson::Piece::Document(_) => continue,
                lesson::Piece::Commands(commands) => {
                    let shown = commands.lines.iter().filter(|line| !line.is_claim());
                    shown.map(|line| line.shown.clone()).collect()
                }
                lesson::Piece::Question(question) => {
                    assert_eq!(session.line("nothing of that").code, 1, "{name}: {}", question.asked);
                    question.answers.last().cloned().into_iter().collect()
                }
                lesson::Piece::Task(task) => {
                    let hints = 0..=task.hints.len();
                    let hints = hints.map(|_| "hint".to_owned());
                    assert_eq!(session.line("check").code, 1, "{name}: {}", task.text);
                    hints.chain(["solution".to_owned(), "check".to_owned()]).collect()
                }
            };
            for line in lines {
                said = session.line(&line);
                assert_eq!(
                    (said.code, said.err.contains("the lesson holds")),
                    (0, false),
                    "{name}: {line}: {said:?}"
                );
            }
        }
        assert!(session.is_over(), "{name}: {said:?}");
    }
}
