//! What a document prints, held against what is printed here: word by word, but for what documents leave out.
//!
//! A word that ends in `=` fits whatever stands behind it (`src=`, where a document's addresses were taken out), `...` any words or none.

/// Whether all that is printed here is what the document has.
pub(super) fn is_same(document: &str, printed: &str) -> bool {
    let document: Vec<&str> = document.split_whitespace().filter(|word| *word != "\\").collect();
    let printed: Vec<&str> = printed.split_whitespace().collect();
    // For each word of the document, at which words of the other text the rest may begin.
    let mut at = vec![false; printed.len() + 1];
    at[0] = true;
    for word in document {
        let mut next = vec![false; printed.len() + 1];
        if word == GAP {
            let mut reached = false;
            for (here, was) in at.iter().enumerate() {
                reached |= was;
                next[here] = reached;
            }
        } else {
            for (here, other) in printed.iter().enumerate() {
                next[here + 1] = at[here] && fits(word, other);
            }
        }
        at = next;
    }
    at[printed.len()]
}

fn fits(word: &str, other: &str) -> bool {
    word == other || (word.ends_with('=') && other.starts_with(word))
}

const GAP: &str = "...";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_held_against_words() {
        for (document, printed, same) in [
            ("", "", true),
            ("", "a", false),
            ("a b", " a\n\tb ", true),
            ("a b", "a", false),
            ("a", "a b", false),
            ("a src= b", "a src=10.0.0.2 b", true),
            ("a src= b", "a dst=10.0.0.2 b", false),
            ("a src=1", "a src=12", false),
            ("src= \\\ndst=", "src=1 dst=2", true),
            ("a ... c", "a c", true),
            ("a ... c", "a b b c", true),
            ("a ... c", "a b b", false),
            ("... NEW ... ESTABLISHED ...", "x NEW y z ESTABLISHED", true),
            ("... NEW ... ESTABLISHED ...", "x ESTABLISHED y NEW", false),
            ("...", "", true),
        ] {
            assert_eq!(is_same(document, printed), same, "{document:?} and {printed:?}");
        }
    }
}
