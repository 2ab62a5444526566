//! The arguments of `conntrack` one at a time, as getopt_long gives them to it: long names may be cut short, words that belong to nothing are
//! passed over, and the long options of a protocol exist once `-p` has named it.

use super::bad;
use crate::base::bytes::byte_behind;
use crate::lab::machine::ToolOutput;

/// What follows an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// Attached or in the next argument.
    Value,
    /// In the next argument, where that is no option. What is attached to a short one is not looked at.
    Maybe,
    /// The same, but nothing can be attached.
    MaybeNext,
    /// To the letter as `Value`; to the long name it must be attached. Seen: without one the real tool dies.
    ValueOrAttached,
}

/// An option, under all its names.
#[derive(Clone, Debug)]
pub(super) struct Spec<K: 'static> {
    pub letter: Option<char>,
    /// The first is what messages call it.
    pub names: &'static [&'static str],
    pub takes: Takes,
    /// The protocols that bring it; empty for an option that is always there.
    pub protocols: Vec<u8>,
    pub key: K,
}

/// An option and its value.
type Given<K> = (&'static Spec<K>, Option<String>);

/// The arguments, and a cursor in them as the C library keeps it.
pub(super) struct Reader<'a, K: 'static> {
    arguments: &'a [String],
    specs: &'static [Spec<K>],
    /// The next argument to look at.
    index: usize,
    cluster: &'a str,
    /// Protocols named so far.
    pub protocols: Vec<u8>,
}

impl<'a, K> Reader<'a, K> {
    pub(super) fn new(arguments: &'a [String], specs: &'static [Spec<K>]) -> Self {
        Self {
            arguments,
            specs,
            index: 0,
            cluster: "",
            protocols: Vec::new(),
        }
    }

    /// The next option with its value; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Given<K>>, ToolOutput> {
        if self.cluster.is_empty() {
            // Words are passed over wherever they stand.
            let is_option = |argument: &String| argument.len() > 1 && argument.starts_with('-');
            while self
                .arguments
                .get(self.index)
                .is_some_and(|argument| !is_option(argument))
            {
                self.index += 1;
            }
            let Some(argument) = self.arguments.get(self.index) else {
                return Ok(None);
            };
            if argument == "--" {
                return Ok(None);
            }
            if let Some(typed) = argument.strip_prefix("--") {
                self.index += 1;
                return self.long(typed).map(Some);
            }
            self.cluster = &argument[1..];
        }
        self.short().map(Some)
    }

    fn long(&mut self, typed: &str) -> Result<Given<K>, ToolOutput> {
        let (name, attached) = match typed.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (typed, None),
        };
        let there = |spec: &&Spec<K>| {
            let brought = |number: &u8| self.protocols.contains(number);
            spec.protocols.is_empty() || spec.protocols.iter().any(brought)
        };
        let exact = self.specs.iter().filter(there).find(|spec| spec.names.contains(&name));
        let spec = exact.or_else(|| {
            let begins = |spec: &&Spec<K>| spec.names.iter().any(|it| it.starts_with(name));
            let mut close = self.specs.iter().filter(there).filter(begins);
            // Of several that begin so none is meant.
            close.next().filter(|_| close.next().is_none())
        });
        let Some(spec) = spec else {
            return Err(self.unknown());
        };
        match (spec.takes, attached) {
            (Takes::Nothing | Takes::MaybeNext, Some(_)) => Err(self.unknown()),
            (Takes::Value, None) => Ok((spec, Some(self.following()?))),
            (Takes::ValueOrAttached, None) => {
                Err(bad(&format!("option `{}' requires an argument", self.just_passed())))
            }
            (Takes::Maybe | Takes::MaybeNext, None) => Ok((spec, self.optional())),
            (_, attached) => Ok((spec, attached)),
        }
    }

    fn short(&mut self) -> Result<Given<K>, ToolOutput> {
        let mut rest = self.cluster.chars();
        let letter = rest.next();
        self.cluster = rest.as_str();
        let spec = self.specs.iter().find(|spec| spec.letter == letter);
        // The cursor goes on when the cluster is done, and messages tell what stands before it. A letter of many bytes is many to the tool.
        if self.cluster.is_empty() && letter.is_some_and(|it| it.is_ascii() || byte_behind(it).is_some()) {
            self.index += 1;
        }
        let Some(spec) = spec else {
            return Err(self.unknown());
        };
        match spec.takes {
            Takes::Nothing => return Ok((spec, None)),
            Takes::MaybeNext => return Ok((spec, self.optional())),
            Takes::Value | Takes::ValueOrAttached | Takes::Maybe => {}
        }
        let attached = std::mem::take(&mut self.cluster);
        if !attached.is_empty() {
            self.index += 1;
        }
        match (spec.takes, attached) {
            (Takes::Value | Takes::ValueOrAttached, "") => Ok((spec, Some(self.following()?))),
            (Takes::Value | Takes::ValueOrAttached, attached) => Ok((spec, Some(attached.to_owned()))),
            (_, "") => Ok((spec, self.optional())),
            (..) => Ok((spec, None)),
        }
    }

    fn following(&mut self) -> Result<String, ToolOutput> {
        match self.arguments.get(self.index) {
            Some(next) => {
                self.index += 1;
                Ok(next.clone())
            }
            None => Err(bad(&format!("option `{}' requires an argument", self.just_passed()))),
        }
    }

    fn optional(&mut self) -> Option<String> {
        let next = self
            .arguments
            .get(self.index)
            .filter(|next| !next.starts_with(['-', '!']))?;
        self.index += 1;
        Some(next.clone())
    }

    fn unknown(&self) -> ToolOutput {
        bad(&format!("unknown option `{}'", self.just_passed()))
    }

    fn just_passed(&self) -> &str {
        match self.index.checked_sub(1) {
            Some(at) => &self.arguments[at],
            None => "conntrack",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::base::protocol;

    static SPECS: LazyLock<[Spec<u8>; 4]> = LazyLock::new(|| {
        [
            Spec {
                letter: Some('L'),
                names: &["dump"],
                takes: Takes::Maybe,
                protocols: Vec::new(),
                key: 1,
            },
            Spec {
                letter: Some('s'),
                names: &["orig-src", "src"],
                takes: Takes::Value,
                protocols: Vec::new(),
                key: 2,
            },
            Spec {
                letter: Some('z'),
                names: &["zero"],
                takes: Takes::Nothing,
                protocols: Vec::new(),
                key: 3,
            },
            Spec {
                letter: None,
                names: &["sport", "orig-port-src"],
                takes: Takes::Value,
                protocols: vec![protocol::TCP, protocol::UDP],
                key: 4,
            },
        ]
    });

    #[test]
    fn as_getopt_gives_them() {
        for (line, protocols, expected) in [
            (
                "-L conntrack word -z",
                &[][..],
                Ok(&[(1, Some("conntrack")), (3, None)][..]),
            ),
            ("-Lxy -zz", &[], Ok(&[(1, None), (3, None), (3, None)])),
            (
                "word -s1 -s 2 --src=3 --sr 4",
                &[],
                Ok(&[(2, Some("1")), (2, Some("2")), (2, Some("3")), (2, Some("4"))]),
            ),
            ("--orig 1", &[], Ok(&[(2, Some("1"))])),
            ("--orig 1", &[protocol::TCP], Err("unknown option `--orig'")),
            ("--sport 1", &[protocol::UDP], Ok(&[(4, Some("1"))])),
            ("--sport 1", &[protocol::ICMP], Err("unknown option `--sport'")),
            ("-z -- -z", &[], Ok(&[(3, None)])),
            ("-z -", &[], Ok(&[(3, None)])),
            ("-z -xz", &[], Err("unknown option `-z'")),
            ("-xz", &[], Err("unknown option `conntrack'")),
            ("-x", &[], Err("unknown option `-x'")),
            ("-\u{10FF85}", &[], Err("unknown option `-\u{10FF85}'")),
            ("--zero=1", &[], Err("unknown option `--zero=1'")),
            ("--src", &[], Err("option `--src' requires an argument")),
        ] {
            let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let mut reader = Reader::new(&arguments, &*SPECS);
            reader.protocols = protocols.to_vec();
            let mut seen = Vec::new();
            let end = loop {
                match reader.next() {
                    Ok(Some((spec, value))) => seen.push((spec.key, value)),
                    Ok(None) => break Ok(()),
                    Err(output) => break Err(output.stderr),
                }
            };
            match (end, expected) {
                (Ok(()), Ok(expected)) => {
                    let seen: Vec<_> = seen.iter().map(|(key, value)| (*key, value.as_deref())).collect();
                    assert_eq!(seen, expected, "{line}");
                }
                (Err(said), Err(expected)) => assert!(said.contains(expected), "{line}: {said}"),
                (end, expected) => panic!("{line}: {end:?}, not {expected:?}"),
            }
        }
    }
}
