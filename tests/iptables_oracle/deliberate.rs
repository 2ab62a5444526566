//! Where nflab differs on purpose: what, why, and an example of each. A test holds the examples against the real tools, so that no row outlives
//! its difference.

use nflab::base::Family;

use super::{Seen, Step, Tool};

/// Whether a difference is one of those below.
pub(crate) fn is(step: &Step, real: &Seen, ours: &Seen) -> bool {
    DIFFERENCES.iter().any(|it| (it.is)(step, real, ours))
}

pub(crate) struct Deliberate {
    pub what: &'static str,
    pub why: &'static str,
    /// The last step shows it.
    pub example: &'static [&'static str],
    pub is: fn(&Step, &Seen, &Seen) -> bool,
}

pub(crate) const DIFFERENCES: &[Deliberate] = &[
    Deliberate {
        what: "-v twice does not dump the library's own memory",
        why: "it is the layout of libiptc's buffers, with its offsets and stale bytes; printing it also spoils the tool's next message",
        example: &["-v -v -C INPUT"],
        is: |_, real, ours| real.out.contains("libiptc v") && (real.code == 0) == (ours.code == 0),
    },
    Deliberate {
        what: "-h prints help of our own, made of the specs",
        why: "the real text is theirs, and tells of options that are not here",
        example: &["-m comment -h"],
        is: |step, real, ours| {
            let help = |word: &String| word.starts_with("-h") || word.starts_with("--h");
            let asked = step.arguments.iter().any(help) || step.input.contains("-h");
            asked
                && (real.out.contains("Usage: iptables -[") || real.out.contains("Usage: ip6tables -["))
                && real.code == ours.code
                && real.err == ours.err
        },
    },
    Deliberate {
        what: "-S in a restore file shows a jump to a chain that is not in force yet",
        why: "the real tool looks for a target of that name, says `Can't find library for target` and dies in the middle of a line",
        example: &[r#"restore < "*filter\n:u - [0:0]\n-A INPUT -j u\n-S\nCOMMIT\n""#],
        is: |step, real, _| {
            matches!(step.tool, Tool::Restore(_))
                && real.code == 1
                && real.err.ends_with('\n')
                && real.err.contains("Can't find library for target `")
        },
    },
    Deliberate {
        what: "ip6tables -C and -D look for the whole rule",
        why: "1.8.9 takes the mask of what counts for that of a shorter rule, of IPv4: it does not look at a rule's end, finds and deletes others; 1.8.10 has it mended",
        example: &["6 -A INPUT -p tcp --dport 1", "6 -C INPUT -p tcp --dport 2"],
        is: |step, real, ours| {
            let looks = |word: &str| ["-C", "-D", "--c", "--d"].iter().any(|it| word.starts_with(it));
            let asked = step.arguments.iter().any(|word| looks(word)) || step.input.split_whitespace().any(looks);
            step.tool.family() == Some(Family::V6) && asked && real.code == 0 && ours.code == 1
        },
    },
    Deliberate {
        what: "conntrack without a command prints help of our own",
        why: "the real text is theirs, and tells of commands that are not here",
        example: &["conntrack"],
        is: |_, real, ours| {
            real.out.starts_with("Command line interface for the connection")
                && real.code == ours.code
                && real.err == ours.err
        },
    },
    Deliberate {
        what: "conntrack -U shows each flow that it has changed",
        why: "the real tool reads answers late, and so shows some of the flows, and of what was refused tells some; which, the kernel's hash table decides",
        example: &[
            "conntrack -I -t 50 -s 10.0.0.1 -d 10.0.0.2 -p udp --sport 1 --dport 2",
            "conntrack -I -t 50 -s 10.0.0.1 -d 10.0.0.2 -p udp --sport 3 --dport 2",
            "conntrack -U -s 10.0.0.1 -m 5",
        ],
        is: |step, real, ours| {
            let updates = |word: &String| word.starts_with("-U") || word.starts_with("--u") || word == "-R";
            let shown: Vec<&str> = ours.out.lines().collect();
            let some_shown = (real.code, &real.err) == (ours.code, &ours.err) && real.out.lines().count() < shown.len();
            // Of several flows it may be another that is refused, at another place.
            let refuses = |seen: &Seen| seen.err.contains("Operation failed: ");
            let counts = |seen: &Seen| seen.code == 0 && !seen.err.contains(": 1 flow entries have been updated.");
            let ended = |seen: &Seen| seen.code == 1;
            let several = counts(real) || counts(ours) || ended(real) && ended(ours);
            let other_place = several && (refuses(real) || refuses(ours));
            step.tool == Tool::Conntrack && step.arguments.iter().any(updates) && (some_shown || other_place)
        },
    },
    Deliberate {
        what: "conntrack -o xml calls the states of SCTP by their names",
        why: "the real tool calls them by those that TCP's of the same numbers have",
        example: &[
            "conntrack -I -s 10.0.0.1 -d 10.0.0.2 -p sctp --sport 1 --dport 2 -t 100 --state CLOSED --orig-vtag 1 --reply-vtag 2",
            "conntrack -L -o xml",
        ],
        is: |step, real, ours| {
            let without_states = |seen: &Seen| {
                let lines = seen.out.lines().map(|line| match line.split_once("<state>") {
                    Some((before, after)) if line.contains("protoname=\"sctp\"") => {
                        let (_, after) = after.split_once("</timeout>").unwrap_or_default();
                        format!("{before}{}", after.replace(|it: char| it.is_ascii_digit(), ""))
                    }
                    _ => line.to_owned(),
                });
                let mut lines: Vec<String> = lines.collect();
                lines.sort();
                lines
            };
            step.tool == Tool::Conntrack
                && (real.code, &real.err) == (ours.code, &ours.err)
                && without_states(real) == without_states(ours)
        },
    },
    Deliberate {
        what: "conntrack -S counts for one processor",
        why: "a lab has one table, and no processors of its own",
        example: &["conntrack -S"],
        is: |step, real, ours| {
            step.tool == Tool::Conntrack && ours.out.starts_with("cpu=0 ") && real.out.starts_with("cpu=0 ")
        },
    },
    Deliberate {
        what: "conntrack --id without a number after `=`, and an unknown --state of SCTP, are refused",
        why: "the real tool dies of them",
        example: &["conntrack -D --id 5"],
        is: |step, real, ours| step.tool == Tool::Conntrack && real.code == -1 && ours.code == 2,
    },
    Deliberate {
        what: "conntrack with a second -p has the options of both protocols",
        why: "the real tool checks those of the first against the table of the second, and blames an option that nobody gave",
        example: &["conntrack -L -p tcp -p udp --state ESTABLISHED"],
        is: |step, real, ours| {
            let names_protocol = |word: &&String| word.starts_with("-p") || word.starts_with("--pr");
            step.tool == Tool::Conntrack && step.arguments.iter().filter(names_protocol).count() > 1 && real != ours
        },
    },
    Deliberate {
        what: "conntrack -m means a mark wherever -u stands",
        why: "a -u behind it makes the real tool take the bits of the status for the mark",
        example: &[
            "conntrack -I -t 50 -s 10.0.0.1 -d 10.0.0.2 -p 50",
            "conntrack -U -s 10.0.0.1 -m 9 -u ASSURED",
        ],
        is: |step, real, ours| {
            let at = |begin: &str| step.arguments.iter().position(|word| word.starts_with(begin));
            step.tool == Tool::Conntrack
                && at("-m").zip(at("-u")).is_some_and(|(mark, status)| mark < status)
                && (real.code, &real.err) == (ours.code, &ours.err)
        },
    },
    Deliberate {
        what: "which word conntrack blames for an unknown letter, where words that belong to nothing stand before it",
        why: "the C library moves those words behind the options while it reads, and the tool blames what stood there by chance",
        example: &["conntrack word -L -xz"],
        is: |step, real, ours| {
            let unknown =
                |seen: &Seen| seen.code == 2 && seen.out.is_empty() && seen.err.contains(": unknown option `");
            let stray =
                |word: &String| !word.starts_with('-') && real.err.contains(&format!(": unknown option `{word}'"));
            step.tool == Tool::Conntrack && unknown(real) && unknown(ours) && step.arguments.iter().any(stray)
        },
    },
    Deliberate {
        what: "a rule with a label is printed without a look for the label's name",
        why: "here the name is looked for when the rule is typed; the real tool looks each time, and warns each time where the file is not there",
        example: &["-A INPUT -m connlabel --label 5", "-S INPUT"],
        is: |_, real, ours| {
            let warns = |line: &&str| line.starts_with("Warning: cannot open /etc/xtables/connlabel.conf: ");
            let rest: String = real.err.split_inclusive('\n').filter(|line| !warns(line)).collect();
            (real.code, &real.out, &rest) == (ours.code, &ours.out, &ours.err)
        },
    },
    Deliberate {
        what: "nfct has timeout policies and says its version in its own words",
        why: "helpers of user space are not there, and the real text of the version is theirs",
        example: &["nfct list helper"],
        is: |step, real, ours| {
            let apart = ["helper", "version"];
            let named = |word: &String| apart.iter().any(|it| it.starts_with(word.as_str()));
            step.tool == Tool::Nfct && real.code == ours.code && step.arguments.iter().take(2).any(named)
        },
    },
    Deliberate {
        what: "sysctl prints help of our own",
        why: "the real text is theirs",
        example: &["sysctl --nonsense"],
        is: |step, real, ours| {
            let alike =
                |real: &str, ours: &str| real == ours || real.contains("\nUsage:\n") && ours.contains("\nUsage:\n");
            step.tool == Tool::Sysctl
                && real.code == ours.code
                && alike(&real.out, &ours.out)
                && alike(&real.err, &ours.err)
        },
    },
];
