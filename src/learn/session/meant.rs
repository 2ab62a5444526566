//! What a line that is typed into a lesson is meant for: one of its words, an answer, or a command.

use super::{Session, Told, UNREADABLE, WORDS};
use crate::lab::script::OWN_WORDS;
use crate::syntax::problem::suggestion;

impl Session {
    /// The lesson's own word that a line nearly is. Where something is asked, what is no more than near may be the answer.
    pub(super) fn meant(&self, word: &str, is_alone: bool) -> Option<&'static str> {
        let alone = || WORDS.iter().map(|(name, _)| *name).filter(|name| *name != "answer");
        let lower = word.to_lowercase();
        let exactly = alone().find(|name| *name == lower);
        match exactly {
            // As it is written; or with something behind it that it does not take.
            Some(name) if name == word => (!is_alone).then_some(name),
            Some(name) => Some(name),
            None if self.is_of_the_lab(word) || self.question().is_some() || !is_alone => None,
            None => suggestion(&lower, alone()).filter(|_| !self.is_of_the_lab(&lower)),
        }
    }

    /// Where something is asked, whatever is no command is an answer.
    pub(super) fn is_an_answer(&self, word: &str) -> bool {
        self.question().is_some() && !word.is_empty() && !word.starts_with('#') && !self.is_of_the_lab(word)
    }

    /// A tool, or a word of a lab's own.
    fn is_of_the_lab(&self, word: &str) -> bool {
        self.lesson.toolbox.find(word).is_some() || OWN_WORDS.iter().any(|own| own.name == word)
    }

    /// What a line that cannot be read may have been meant for.
    pub(super) fn told_of_unreadable(&self, text: &str, told: &mut Told) {
        let first = text.split_whitespace().next().unwrap_or_default();
        let is_word = !first.is_empty() && first.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        if is_word && !self.is_of_the_lab(first) && self.piece().is_some() {
            told.fail(
                UNREADABLE,
                "If that was an answer: nothing is asked here. `hint` says what to do.",
            );
        }
    }

    /// Whether a text answers the question at hand, whatever its capitals, blanks and quotes.
    pub(super) fn is_right(&self, answer: &str) -> bool {
        let plain = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
            words.join(" ").trim_matches(['.', '"', '`']).to_owned()
        };
        self.question()
            .is_some_and(|question| question.answers.iter().any(|right| plain(right) == plain(answer)))
    }
}
