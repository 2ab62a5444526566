//! Packets chosen by number: `3`, `3,7-9`, `100-`, `all`.

use crate::base::bytes::quoted;

/// Numbers of packets.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Selection {
    /// From and to, both inside; in order, none touching the next.
    ranges: Vec<(u64, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}: {what}; expected numbers and ranges of packets, such as 3 or 3,7-9 or 100-, or `all`", text = quoted(text))]
pub(crate) struct SelectionError {
    text: String,
    what: String,
}

impl Selection {
    pub(crate) fn all() -> Self {
        Self {
            ranges: vec![(1, u64::MAX)],
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, SelectionError> {
        if text == "all" {
            return Ok(Self::all());
        }
        let wrong = |what: String| SelectionError {
            text: text.to_owned(),
            what,
        };
        let number = |part: &str| match part.parse() {
            Ok(0) => Err(wrong("packets are numbered from 1".to_owned())),
            Ok(number) => Ok(number),
            Err(_) => Err(wrong(format!("{part} is no number", part = quoted(part)))),
        };
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for part in text.split(',') {
            let (from, to) = match part.split_once('-') {
                None => (number(part)?, number(part)?),
                Some((from, "")) => (number(from)?, u64::MAX),
                Some((from, to)) => (number(from)?, number(to)?),
            };
            if to < from {
                return Err(wrong(format!("{part} ends before it begins", part = quoted(part))));
            }
            ranges.push((from, to));
        }
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let touches = next.0 <= kept.1.saturating_add(1);
            if touches {
                kept.1 = kept.1.max(next.1);
            }
            touches
        });
        Ok(Self { ranges })
    }

    #[inline]
    pub(crate) fn contains(&self, number: u64) -> bool {
        let after = self.ranges.partition_point(|(from, _)| *from <= number);
        after > 0 && self.ranges[after - 1].1 >= number
    }

    /// The numbers that were asked for by themselves or as the end of a range, beyond what there was.
    pub(crate) fn beyond(&self, last: u64) -> Option<u64> {
        let (from, to) = *self.ranges.last()?;
        match to {
            u64::MAX => (from > last.max(1)).then_some(from),
            to => (to > last).then_some(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ranges() {
        for (text, inside) in [
            ("3", vec![3]),
            ("3,7-9", vec![3, 7, 8, 9]),
            ("7-9,3,8", vec![3, 7, 8, 9]),
            ("1-2,3-4", vec![1, 2, 3, 4]),
            ("8-", vec![8, 9, 10]),
            ("all", (1..=10).collect()),
        ] {
            let selection = Selection::parse(text).unwrap();
            let found: Vec<u64> = (0..=10).filter(|it| selection.contains(*it)).collect();
            assert_eq!(found, inside, "{text}");
        }
        assert_eq!(Selection::parse("1-2,3-4").unwrap().ranges, [(1, 4)]);
    }

    #[test]
    fn what_lies_beyond_the_last_packet() {
        for (text, last, beyond) in [
            ("3,7-9", 9, None),
            ("3,7-9", 8, Some(9)),
            ("all", 0, None),
            ("8-", 7, Some(8)),
        ] {
            assert_eq!(Selection::parse(text).unwrap().beyond(last), beyond, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, what) in [
            ("", "\"\" is no number"),
            ("0", "numbered from 1"),
            ("5-3", "ends before it begins"),
            ("3;4", "\"3;4\" is no number"),
            ("-4", "\"\" is no number"),
        ] {
            let error = Selection::parse(text).unwrap_err().to_string();
            assert!(error.contains(what) && error.contains("expected numbers"), "{error}");
        }
    }
}
