//! `-m comment`: a remark that matches everything.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Typed};
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::ext::wording::quoted;
use crate::rule::{Context, Effect, Lowered, Match, Matched};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "comment",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: None,
    options: &[COMMENT.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "a remark; matches everything",
    samples: SAMPLES,
};

const COMMENT: Opt<String> = Opt::text("comment", 0, LONGEST, "the remark, up to 255 bytes").required();

/// Bytes.
const LONGEST: usize = 255;

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let text = given.value(COMMENT).unwrap_or_default();
    Ok(Arc::new(Comment { text }))
}

#[derive(Debug, PartialEq, Eq)]
struct Comment {
    text: String,
}

/// What a rule's comment says; `None` for any other match.
pub(crate) fn text_of(one: &dyn Match) -> Option<&str> {
    one.as_any()
        .downcast_ref::<Comment>()
        .map(|comment| comment.text.as_str())
}

impl Match for Comment {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, _cx: &Context<'_>) -> Matched {
        Matched::Yes
    }

    fn lower(&self) -> Lowered {
        Lowered::exactly(Vec::new())
    }

    fn effect(&self) -> Effect {
        Effect::PURE
    }

    fn explain(&self, _cx: &Context<'_>) -> String {
        "comment: matches everything".to_owned()
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {}", COMMENT.spelled(false), quoted(&self.text));
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " /* {} */", self.text);
    }
}

/// ` /* text */`. The text may hold `*/` itself, so every one may be the end, as far as a comment may be long: the first is the likeliest.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    let start = listed.rest.trim_ascii_start();
    let Some(inside) = start.strip_prefix("/* ") else {
        return Vec::new();
    };
    let ends = inside.match_indices(" */").filter(|(at, end)| {
        let after = &inside[at + end.len()..];
        after.is_empty() || after.starts_with(' ')
    });
    let ends = ends.take_while(|(at, _)| *at <= LONGEST);
    ends.map(|(at, end)| Typed {
        options: vec![COMMENT.spelled(false).to_string(), inside[..at].to_owned()],
        rest: &inside[at + end.len()..],
        unknown: None,
    })
    .collect()
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "--comment hello", "--comment hello", "/* hello */"),
        taken(
            "",
            "--comment \"hello world\"",
            "--comment \"hello world\"",
            "/* hello world */",
        ),
        taken("", "--comment \"\"", "--comment \"\"", "/*  */"),
        taken(
            "",
            "--comment \"say \\\"hi\\\" \\\\ it's\"",
            "--comment \"say \\\"hi\\\" \\\\ it\\'s\"",
            "/* say \"hi\" \\ it's */",
        ),
        taken("", "--comment -x", "--comment -x", "/* -x */"),
        taken("", "--comment \"!\"", "--comment \"!\"", "/* ! */"),
        taken("", "--comment é", "--comment \"é\"", "/* é */"),
        taken("", "--comment a_b-c", "--comment a_b-c", "/* a_b-c */"),
        taken("", "--comment a.b", "--comment \"a.b\"", "/* a.b */"),
        // Bytes that are not UTF-8, as texts hold them.
        taken(
            "",
            "--comment \u{10FFF0}\u{10FF9F}",
            "--comment \"\u{10FFF0}\u{10FF9F}\"",
            "/* \u{10FFF0}\u{10FF9F} */",
        ),
    ],
    refused: &[
        refused("", "", "comment: option \"--comment\" must be specified\n"),
        refused(
            "",
            "! --comment x",
            "comment: option \"--comment\" cannot be inverted.\n",
        ),
        refused(
            "",
            "--comment a --comment b",
            "comment: option \"--comment\" can only be used once.\n",
        ),
    ],
    packets: &[passes("", "--comment x", DATAGRAM)],
    spellings: &[
        "-m comment --comment a",
        "-m comment --comment \"a \"",
        "-m comment --comment A",
        "",
        "-m comment --comment a -m comment --comment b",
        "-m comment --comment b -m comment --comment a",
        "-m comment --comment b",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 7,
    |draw| {
        let comments = ["web", "\"allow what we asked for\"", "\"it's a \\\"test\\\"\"", "-x"];
        draw.give_one(&COMMENT.spec, &comments);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, match_packets, read_match, udp};

    #[test]
    fn a_comment_ends_where_it_must() {
        let text = " /* a */".repeat(1000);
        let ways = unlist(Listed {
            rest: &text,
            protocol: 0,
            family: Family::V4,
        });
        assert_eq!(ways.len(), 32);
        assert!(ways.iter().all(|way| way.options[1].len() <= LONGEST));
    }

    #[test]
    fn packets() {
        match_packets(&SPEC, ANY, &Bench::new(), &[("--comment x", &udp(1, 2, &[]), "")]);
    }

    #[test]
    fn a_long_text_is_cut() {
        let long = "1234567890".repeat(26);
        let made = read_match(&SPEC, ANY, &format!("--comment {long}")).unwrap();
        let mut saved = String::new();
        made.save(&mut saved);
        assert_eq!(saved, format!(" --comment {}", &long[..255]));
    }
}
