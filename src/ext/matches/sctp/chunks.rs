//! Types of chunks, as `--chunk-types` asks for them, and the walk over a packet's chunks. What of it is odd was seen with iptables 1.8.9.

use std::fmt::Write;

use crate::ext::option::UsageError;
use crate::wire::be16;

/// How many of the types a packet must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    All,
    Any,
    Only,
}

impl Mode {
    pub(super) const ALL: [Self; 3] = [Self::All, Self::Any, Self::Only];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Any => "any",
            Self::Only => "only",
        }
    }
}

/// Which chunks are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AskedChunks {
    mode: Mode,
    types: Types,
    /// In the order in which they were typed first: in another order it is another rule.
    flags: Vec<AskedFlags>,
}

/// A bit a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Types([u128; 2]);

/// What is asked of the flags of one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AskedFlags {
    kind: u8,
    set: u8,
    mask: u8,
}

/// What came of a look at a packet's chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    AsAsked,
    Otherwise,
    /// Before the answer was known a chunk had no header, or no length.
    CutShort,
}

/// By their numbers, with the letters of their flags from the eighth bit on.
const NAMES: [(u8, &str, &str); 22] = [
    (0, "DATA", "----IUBE"),
    (1, "INIT", ""),
    (2, "INIT_ACK", ""),
    (3, "SACK", ""),
    (4, "HEARTBEAT", ""),
    (5, "HEARTBEAT_ACK", ""),
    (6, "ABORT", "-------T"),
    (7, "SHUTDOWN", ""),
    (8, "SHUTDOWN_ACK", ""),
    (9, "ERROR", ""),
    (10, "COOKIE_ECHO", ""),
    (11, "COOKIE_ACK", ""),
    (12, "ECN_ECNE", ""),
    (13, "ECN_CWR", ""),
    (14, "SHUTDOWN_COMPLETE", "-------T"),
    (64, "I_DATA", "----IUBE"),
    (130, "RE_CONFIG", ""),
    (132, "PAD", ""),
    (193, "ASCONF", ""),
    (128, "ASCONF_ACK", ""),
    (192, "FORWARD_TSN", ""),
    (194, "I_FORWARD_TSN", ""),
];

/// `all INIT,DATA:Be`. Of two things that are wrong the first that the tool looks at is told: whether there is a list, then its word, then the list.
pub(super) fn read(mode: &str, types: Option<&str>) -> Result<AskedChunks, UsageError> {
    let Some(list) = types.filter(|list| !list.starts_with(['-', '!'])) else {
        return Err(UsageError::parameter("--chunk-types requires two args"));
    };
    let mode = Mode::ALL
        .into_iter()
        .find(|it| it.word().eq_ignore_ascii_case(mode))
        .ok_or_else(|| UsageError::parameter("Match type has to be one of \"ALL\", \"ANY\" or \"ONLY\""))?;
    let mut asked = AskedChunks {
        mode,
        types: Types::NONE,
        flags: Vec::new(),
    };
    if list.eq_ignore_ascii_case("ALL") {
        asked.types = Types::ALL;
        return Ok(asked);
    }
    if list.eq_ignore_ascii_case("NONE") {
        return Ok(asked);
    }
    for word in list.split(',').filter(|word| !word.is_empty()) {
        asked.add(word)?;
    }
    Ok(asked)
}

impl AskedChunks {
    pub(super) fn mode(&self) -> &'static str {
        self.mode.word()
    }

    fn add(&mut self, word: &str) -> Result<(), UsageError> {
        let (name, letters) = word.split_once(':').unwrap_or((word, ""));
        let row = NAMES.iter().position(|(_, known, _)| known.eq_ignore_ascii_case(name));
        let row = row.ok_or_else(|| UsageError::parameter(format!("Unknown sctp chunk `{name}'")))?;
        let (kind, _, known) = NAMES[row];
        self.types.add(kind);
        for letter in letters.chars() {
            // Seen: what is wrong is told of the row, which is the type only of the first of them.
            let wrong = || UsageError::parameter(format!("Invalid flags for chunk type {row}"));
            let at = known.find(letter.to_ascii_uppercase()).filter(|_| letter != '-');
            let bit = 0x80 >> at.ok_or_else(wrong)?;
            // Seen: so are flags kept, and those of I_DATA ask nothing of any chunk.
            let flags = self.flags_of(row as u8);
            flags.mask |= bit;
            if letter.is_ascii_uppercase() {
                flags.set |= bit;
            }
        }
        Ok(())
    }

    fn flags_of(&mut self, kind: u8) -> &mut AskedFlags {
        let at = self.flags.iter().position(|it| it.kind == kind).unwrap_or_else(|| {
            self.flags.push(AskedFlags { kind, set: 0, mask: 0 });
            self.flags.len() - 1
        });
        &mut self.flags[at]
    }

    /// Whether a chunk is one of those.
    fn fits(&self, kind: u8, flags: u8) -> bool {
        self.types.has(kind) && self.flags.iter().all(|it| it.kind != kind || flags & it.mask == it.set)
    }

    /// Whether what stands behind the common header is as it was asked for.
    pub(super) fn ask(&self, chunks: &[u8]) -> Seen {
        let mut missing = self.types;
        for chunk in Walk(Some(chunks)) {
            let Some((kind, flags)) = chunk else {
                return Seen::CutShort;
            };
            match (self.mode, self.fits(kind, flags)) {
                (Mode::Any, true) => return Seen::AsAsked,
                (Mode::Only, false) => return Seen::Otherwise,
                (Mode::All, true) => missing.remove(kind),
                _ => {}
            }
        }
        let is_as_asked = match self.mode {
            Mode::All => missing == Types::NONE,
            Mode::Any => false,
            Mode::Only => true,
        };
        match is_as_asked {
            true => Seen::AsAsked,
            false => Seen::Otherwise,
        }
    }

    /// `DATA:Be,INIT`, or `0x0000:Be,0x0001`, in the order of their numbers.
    pub(super) fn write(&self, out: &mut String, numeric: bool) {
        if self.types == Types::ALL {
            return out.push_str("ALL");
        }
        if self.types == Types::NONE {
            return out.push_str("NONE");
        }
        let mut comma = "";
        for kind in (0..=u8::MAX).filter(|kind| self.types.has(*kind)) {
            out.push_str(comma);
            comma = ",";
            let asked = self.flags.iter().find(|it| it.kind == kind);
            write_chunk(out, kind, numeric, asked.map(|it| (it.set, it.mask)));
        }
    }
}

impl Types {
    const NONE: Self = Self([0; 2]);
    const ALL: Self = Self([u128::MAX; 2]);

    fn bit(kind: u8) -> (usize, u128) {
        (usize::from(kind >> 7), 1 << (kind & 0x7f))
    }

    fn has(&self, kind: u8) -> bool {
        let (half, bit) = Self::bit(kind);
        self.0[half] & bit != 0
    }

    fn add(&mut self, kind: u8) {
        let (half, bit) = Self::bit(kind);
        self.0[half] |= bit;
    }

    fn remove(&mut self, kind: u8) {
        let (half, bit) = Self::bit(kind);
        self.0[half] &= !bit;
    }
}

/// Type and flags of one chunk after another, as their lengths say; at its end `None`, where one has no header or no length.
struct Walk<'a>(Option<&'a [u8]>);

impl Iterator for Walk<'_> {
    type Item = Option<(u8, u8)>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0.take()?;
        let header = bytes.first_chunk::<4>().filter(|header| be16(*header, 2) != 0);
        let Some(header) = header else { return Some(None) };
        let to_the_next = usize::from(be16(header, 2)).next_multiple_of(4);
        self.0 = bytes.get(to_the_next..).filter(|rest| !rest.is_empty());
        Some(Some((header[0], header[1])))
    }
}

/// What a packet has, as one would ask for it.
pub(super) fn names(chunks: &[u8]) -> String {
    let mut out = String::new();
    for (kind, flags) in Walk(Some(chunks)).flatten() {
        if !out.is_empty() {
            out.push(',');
        }
        let known = NAMES.iter().find(|it| it.0 == kind);
        let mask = known.map_or(0, |it| bits(it.2));
        write_chunk(&mut out, kind, known.is_none(), Some((flags & mask, mask)));
    }
    out
}

/// All that have a letter.
fn bits(letters: &str) -> u8 {
    let bits = letters.bytes().enumerate().filter(|(_, letter)| *letter != b'-');
    bits.map(|(at, _)| 0x80 >> at).sum()
}

fn write_chunk(out: &mut String, kind: u8, numeric: bool, flags: Option<(u8, u8)>) {
    let known = NAMES.iter().find(|it| it.0 == kind);
    let _ = match known.filter(|_| !numeric) {
        Some((_, name, _)) => out.write_str(name),
        None => write!(out, "0x{kind:04X}"),
    };
    let (Some((set, mask)), Some((_, _, letters))) = (flags.filter(|it| it.1 != 0), known) else {
        return;
    };
    out.push(':');
    for (at, letter) in letters.chars().enumerate().filter(|(at, _)| mask & (0x80 >> at) != 0) {
        out.push(match set & (0x80 >> at) {
            0 => letter.to_ascii_lowercase(),
            _ => letter,
        });
    }
}

/// A list as a listing prints it, as one types it: numbers become names.
pub(super) fn types_as_typed(listed: &str) -> Option<String> {
    let word = |word: &str| {
        let (name, flags) = word
            .split_once(':')
            .map_or((word, None), |(name, flags)| (name, Some(flags)));
        let name = match name.strip_prefix("0x") {
            Some(digits) => {
                let kind = u8::from_str_radix(digits, 16).ok()?;
                NAMES.iter().find(|it| it.0 == kind)?.1
            }
            None => name,
        };
        Some(match flags {
            Some(flags) => format!("{name}:{flags}"),
            None => name.to_owned(),
        })
    };
    let words: Option<Vec<String>> = listed.split(',').map(word).collect();
    Some(words?.join(","))
}
