//! Commands that a page or a translator has run together: `Iptables-a input-p udp-m state -- state NEW, ESTABLISED-j ACCEPT`.

use crate::base::Family;
use crate::lab::meant::near;
use crate::syntax::words::Word;

/// What such a line was, as far as that can be told; `None` where it does not look like one.
pub(super) fn meant(words: &[Word]) -> Option<String> {
    let (first, rest) = words.split_first()?;
    let first = first.text.to_lowercase();
    let command = first.strip_prefix("iptables-").filter(|rest| rest.len() == 1)?;
    let mut line = vec!["iptables".to_owned(), format!("-{}", command.to_uppercase())];
    let mut is_long = false;
    for word in rest {
        let text = word.text.as_str();
        if text == "--" {
            is_long = true;
            continue;
        }
        for piece in pieces(text) {
            match line.last_mut() {
                _ if is_long => line.push(format!("--{}", piece.to_lowercase())),
                // A list goes on behind its comma.
                Some(list) if list.ends_with(',') => list.push_str(&piece),
                _ => line.push(piece),
            }
            is_long = false;
        }
    }
    for at in 1..line.len() {
        if let Some(meant) = near(&line[at - 1], &line[at], Family::V4) {
            line[at] = meant;
        }
    }
    Some(line.join(" "))
}

/// `udp-m` is `udp` and `-m`, `tcp!` is `tcp` and `!`.
fn pieces(text: &str) -> Vec<String> {
    if let Some(before) = text.strip_suffix('!').filter(|before| !before.is_empty()) {
        return vec![before.to_owned(), "!".to_owned()];
    }
    let option = text.rsplit_once('-').filter(|(before, letter)| {
        !before.is_empty() && letter.len() == 1 && letter.bytes().all(|letter| letter.is_ascii_alphabetic())
    });
    match option {
        Some((before, letter)) => vec![before.to_owned(), format!("-{}", letter.to_lowercase())],
        None => vec![text.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::script::lex::lex;

    /// The lines of a page about state detection, as it has them.
    #[test]
    fn lines_of_a_page() {
        for (garbled, line) in [
            (
                "Iptables-a input-p udp-m state -- state ESTABLISHED-j ACCEPT",
                "iptables -A INPUT -p udp -m state --state ESTABLISHED -j ACCEPT",
            ),
            (
                "Iptables-a output-P udp-m state -- state NEW, ESTABLISHED-j ACCEPT",
                "iptables -A OUTPUT -p udp -m state --state NEW,ESTABLISHED -j ACCEPT",
            ),
            (
                "Iptables-a input-p tcp! -- Syn-m state -- state NEW-j DROP",
                "iptables -A INPUT -p tcp ! --syn -m state --state NEW -j DROP",
            ),
            (
                "Iptables-a input-p tcp -- sport 20-m state -- state ESTABLISED, RELATED-j ACCEPT",
                "iptables -A INPUT -p tcp --sport 20 -m state --state ESTABLISHED,RELATED -j ACCEPT",
            ),
            (
                "Iptables-a input-p tcp -- sport 1024: -- dport 1024:-m state -- state ESTABLISHED-j ACCEPT",
                "iptables -A INPUT -p tcp --sport 1024: --dport 1024: -m state --state ESTABLISHED -j ACCEPT",
            ),
            (
                "Iptables-a output-p icmp-m state -- state NEW, ESTABLISHED, RELATED-j ACCEPT",
                "iptables -A OUTPUT -p icmp -m state --state NEW,ESTABLISHED,RELATED -j ACCEPT",
            ),
        ] {
            let words = lex(garbled).unwrap().remove(0).words;
            assert_eq!(meant(&words).as_deref(), Some(line), "{garbled}");
        }
        for other in [
            "iptables-save",
            "iptables-restore < x",
            "Iptables -A INPUT",
            "ip tables-a",
        ] {
            assert_eq!(meant(&lex(other).unwrap().remove(0).words), None, "{other}");
        }
    }
}
