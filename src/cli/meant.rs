//! What was probably meant by a word that `iptables` does not know: told beside the real tool's words, never instead of them.

use crate::base::Family;
use crate::ext;
use crate::rule::{Hook, Table};
use crate::syntax::problem::suggestion;

/// The first argument that looks like another word, as a question.
pub(super) fn instead_of(args: &[String]) -> Option<String> {
    let pairs = args.iter().zip(args.iter().skip(1));
    let near = pairs.filter_map(|(option, word)| near(option, word));
    let question = |near: String| format!("did you mean `{near}`?");
    near.map(question).next()
}

fn near(option: &str, word: &str) -> Option<String> {
    let (upper, lower) = (word.to_uppercase(), word.to_lowercase());
    match option {
        "-A" | "-I" | "-D" | "-C" | "-R" | "-P" | "-L" | "-S" | "-F" | "-Z" | "--append" | "--insert" | "--delete"
        | "--check" | "--replace" | "--policy" | "--list" | "--list-rules" | "--flush" | "--zero" => {
            let chains = Hook::ALL.map(Hook::chain);
            let meant = suggestion(&upper, chains)?;
            (meant != word).then(|| meant.to_owned())
        }
        "--state" | "--ctstate" => {
            let mut differs = false;
            let words = word.split(',').map(|state| {
                let meant = suggestion(&state.to_uppercase(), STATES.iter().copied());
                differs |= meant.is_some_and(|it| it != state);
                meant.unwrap_or(state)
            });
            let words = words.collect::<Vec<_>>().join(",");
            differs.then_some(words)
        }
        "-t" | "--table" => {
            let meant = suggestion(&lower, Table::ALL.iter().map(|table| table.name()))?;
            (meant != word).then(|| meant.to_owned())
        }
        "-j" | "--jump" if ext::find_target(word, Family::V4).is_none() => {
            let targets = ext::targets().map(|spec| spec.name).chain(["ACCEPT", "DROP", "RETURN"]);
            let meant = suggestion(&upper, targets)?;
            (meant != word).then(|| meant.to_owned())
        }
        "-m" | "--match" if ext::find_match(word, Family::V4).is_none() => {
            let meant = suggestion(&lower, ext::matches().map(|spec| spec.name))?;
            (meant != word).then(|| meant.to_owned())
        }
        _ => None,
    }
}

const STATES: &[&str] = &["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_learners_type() {
        for (line, meant) in [
            ("-A input -j ACCEPT", Some("INPUT")),
            ("-A INPUT -m state --state ESTABLISED -j ACCEPT", Some("ESTABLISHED")),
            (
                "-A INPUT -m state --state NEW,ESTABLESED,related",
                Some("NEW,ESTABLISHED,RELATED"),
            ),
            ("-A INPUT -m state --state INVAILD -j DROP", Some("INVALID")),
            ("-A FOWARD -j ACCEPT", Some("FORWARD")),
            ("-t Nat -L", Some("nat")),
            ("-A INPUT -j accept", Some("ACCEPT")),
            ("-A INPUT -j Masquerade", Some("MASQUERADE")),
            ("-A INPUT -m State --state NEW", Some("state")),
            ("-A INPUT -m state --state NEW -j ACCEPT", None),
            ("-A guests -j ACCEPT", None),
            ("-A", None),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let expected = meant.map(|meant| format!("did you mean `{meant}`?"));
            assert_eq!(instead_of(&args), expected, "{line}");
        }
    }
}
