//! Texts of lessons, as wide as the terminal: a lesson's lines end where its writer's editor ended them.

/// With other line ends, where lines are longer than that. What begins with a blank stands as it is: figures and tables do.
pub(super) fn wrap(text: &str, width: Option<usize>) -> String {
    let Some(width) = width.filter(|width| text.lines().any(|line| line.chars().count() > *width)) else {
        return text.to_owned();
    };
    let mut wrapped = String::with_capacity(text.len());
    // How much stands in the line at hand, which more may follow.
    let mut open: Option<usize> = None;
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with([' ', '\t']) {
            if open.take().is_some() {
                wrapped.push('\n');
            }
            wrapped.push_str(line);
            wrapped.push('\n');
            continue;
        }
        for word in line.split_whitespace() {
            let length = word.chars().count();
            open = Some(match open {
                None => length,
                Some(before) if before + 1 + length <= width => {
                    wrapped.push(' ');
                    before + 1 + length
                }
                Some(_) => {
                    wrapped.push('\n');
                    length
                }
            });
            wrapped.push_str(word);
        }
    }
    if open.is_some() {
        wrapped.push('\n');
    }
    wrapped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_ends_where_the_terminal_does() {
        const TEXT: &str = "One two three\nfour five.\n\n    a ----> b       c\n    d\nSix.\n";
        for (width, wrapped) in [
            (None, TEXT),
            // Wide enough for its longest line.
            (Some(21), TEXT),
            (
                Some(13),
                "One two three\nfour five.\n\n    a ----> b       c\n    d\nSix.\n",
            ),
            (
                Some(9),
                "One two\nthree\nfour\nfive.\n\n    a ----> b       c\n    d\nSix.\n",
            ),
            // No room for anything.
            (
                Some(0),
                "One\ntwo\nthree\nfour\nfive.\n\n    a ----> b       c\n    d\nSix.\n",
            ),
        ] {
            assert_eq!(wrap(TEXT, width), wrapped, "{width:?}");
        }
        assert_eq!(wrap("one two", Some(5)), "one\ntwo\n");
        assert_eq!(wrap("", Some(5)), "");
    }
}
