//! Where nflab differs on purpose: what, why, and an example of each. A test holds the examples against the real tools, so that no row outlives
//! its difference.

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
            asked && real.out.contains("Usage: iptables -[") && real.code == ours.code && real.err == ours.err
        },
    },
    Deliberate {
        what: "-S in a restore file shows a jump to a chain that is not in force yet",
        why: "the real tool looks for a target of that name, says `Can't find library for target` and dies in the middle of a line",
        example: &[r#"restore < "*filter\n:u - [0:0]\n-A INPUT -j u\n-S\nCOMMIT\n""#],
        is: |step, real, _| {
            step.tool == Tool::Restore
                && real.code == 1
                && real.err.ends_with('\n')
                && real.err.contains("Can't find library for target `")
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
        what: "what conntrack can't do here is refused by name",
        why: "events, making flows, zones, labels and the like come with later versions; the table must not change meanwhile",
        example: &["conntrack -L -z"],
        is: |step, _, ours| {
            step.tool == Tool::Conntrack && ours.code == 2 && ours.err.contains(" is not there yet in nflab")
        },
    },
    Deliberate {
        what: "conntrack refuses --label-add by its place, not for want of a file of labels",
        why: "there are no labels yet, so there is no file to be missing",
        example: &["conntrack --label-add x"],
        is: |_, real, ours| real.err.contains("nfct_labelmap_new") && ours.code == 2,
    },
    Deliberate {
        what: "conntrack with a second -p has the options of both protocols",
        why: "the real tool checks those of the first against the table of the second, and blames an option that nobody gave",
        example: &["conntrack -L -p tcp -p udp --state ESTABLISHED"],
        is: |_, real, ours| real.err.contains("Illegal option `--tuple-port-src'") && ours.code == 0,
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
        what: "conntrack -p dccp --state and -p sctp --state are refused by name",
        why: "these states come with their trackers; the real tool dies of a wrong one",
        example: &["conntrack -L -p sctp --state X"],
        is: |_, real, ours| (real.code == -1 || real.err.contains("DCCP state")) && ours.code == 2,
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
    Deliberate {
        what: "an option that `-p PROTOCOL` would bring in from a match that is not here yet is refused with that match's name",
        why: "that match comes with a later version; the rule is refused, never read as something else",
        example: &["-A INPUT -p sctp --dport 80"],
        is: |_, _, ours| ours.code == 2 && ours.err.contains(" is not there yet in nflab "),
    },
];
