//! Values for options: right ones, odd ones, wrong ones, by what the option's spec says.

use std::cell::Cell;
use std::sync::LazyLock;

use nflab::base::{Family, Random};
use nflab::ext::option::{OptionSpec, ValueKind};
use nflab::ext::samples::{ReadsBack, Refused, Samples, Taken};
use nflab::ext::{MATCHES, MatchSpec, TARGETS, TargetSpec};

pub(crate) fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u32) as usize]
}

thread_local! {
    static FAMILY: Cell<Family> = const { Cell::new(Family::V4) };
}

/// Draws with the extensions that this family has.
pub(crate) fn of_family<T>(family: Family, draw: impl FnOnce() -> T) -> T {
    let before = FAMILY.replace(family);
    let drawn = draw();
    FAMILY.set(before);
    drawn
}

/// An address or several, right and wrong ones, of the family that is drawn for.
pub(crate) fn address(random: &mut Random) -> &'static str {
    match FAMILY.get() {
        Family::V4 => pick(random, ADDRESSES),
        Family::V6 => pick(random, ADDRESSES_OF_SIX),
    }
}

/// Samples for the family that is drawn for; all where it has none of its own, whose addresses `six` changes.
pub(crate) fn taken(samples: &Samples) -> Vec<&'static Taken> {
    of_its_family(samples.taken, Taken::is_of)
}

/// As `taken`.
pub(crate) fn refused(samples: &Samples) -> Vec<&'static Refused> {
    of_its_family(samples.refused, Refused::is_of)
}

fn of_its_family<T>(samples: &'static [T], is_of: fn(&T, Family) -> bool) -> Vec<&'static T> {
    let own: Vec<&T> = samples.iter().filter(|it| is_of(it, FAMILY.get())).collect();
    match own.is_empty() {
        true => samples.iter().collect(),
        false => own,
    }
}

/// A match, and randomness for what is said of it. Each draws from a stream of its own, and the lowest is taken: one extension more is itself
/// taken now and then, and changes nothing else.
pub(crate) fn any_match(random: &mut Random) -> (&'static MatchSpec, Random) {
    lowest(random, MATCHES, |it| (it.name, it.families))
}

/// As `any_match`.
pub(crate) fn any_target(random: &mut Random) -> (&'static TargetSpec, Random) {
    lowest(random, TARGETS, |it| (it.name, it.families))
}

type Named = (&'static str, &'static [Family]);

fn lowest<T>(random: &mut Random, from: &[&'static T], named: fn(&T) -> Named) -> (&'static T, Random) {
    let seed = random.next_u64();
    let name = |it: &T| named(it).0;
    let draw = |it: &&&'static T| Random::named(seed, name(it), 0).next_u64();
    let all = || from.iter().filter(|it| named(it).1.contains(&FAMILY.get()));
    let wished = all().filter(|it| wanted().iter().any(|wanted| wanted == name(it)));
    let lowest = wished.min_by_key(draw).or_else(|| all().min_by_key(draw));
    let lowest = lowest.expect("the registry holds some");
    (lowest, Random::named(seed, name(lowest), 1))
}

/// Which extensions are drawn alone, where it was said.
fn wanted() -> &'static [String] {
    static WANTED: LazyLock<Vec<String>> = LazyLock::new(|| {
        let names = std::env::var("ORACLE_EXTENSIONS").unwrap_or_default();
        names.split(',').map(str::to_owned).collect()
    });
    &WANTED
}

/// Mostly right; one in six odd, one in six right and then bent.
pub(crate) fn value(random: &mut Random, spec: &OptionSpec, samples: &Samples) -> String {
    match random.below(6) {
        0 => pick(random, ODD).to_owned(),
        1 => {
            let right = right(random, spec, samples);
            bent(random, &right)
        }
        _ => right(random, spec, samples),
    }
}

/// Every value that this option is tried with, one after the other.
pub(crate) fn all(spec: &OptionSpec, samples: &Samples) -> Vec<String> {
    let mut all: Vec<String> = match spec.value {
        ValueKind::Words { words, .. } => words
            .iter()
            .flat_map(|word| {
                [
                    (*word).to_owned(),
                    word.to_lowercase(),
                    word[..word.len() - 1].to_owned(),
                    format!("{word},{word}"),
                ]
            })
            .collect(),
        _ => pool(spec, samples),
    };
    let taken = taken(samples).into_iter().map(|it| it.typed);
    let typed = taken.chain(refused(samples).into_iter().map(|it| it.typed));
    all.extend(typed.flat_map(|it| given(spec, it)));
    all.extend(ODD.iter().map(|it| (*it).to_owned()));
    all
}

/// A value that should do.
pub(crate) fn right(random: &mut Random, spec: &OptionSpec, samples: &Samples) -> String {
    if let ValueKind::Words { words, .. } = spec.value {
        let words = match FAMILY.get() {
            // The kernel refuses a list for a single word that only addresses of IPv4 answer to.
            Family::V6 if random.below(2) == 0 => shown(words, samples),
            _ => words.to_vec(),
        };
        let mut list: Vec<&str> = (0..1 + random.below(3)).map(|_| pick(random, &words)).collect();
        if random.below(4) == 0
            && let Some(last) = list.last_mut()
        {
            *last = &last[..last.len() - random.below(last.len() as u32) as usize];
        }
        return list.join(",");
    }
    let mut pool = pool(spec, samples);
    pool.swap_remove(random.below(pool.len() as u32) as usize)
}

/// Those of the words that the family's samples have; all where they have none.
fn shown(words: &[&'static str], samples: &Samples) -> Vec<&'static str> {
    let taken = taken(samples);
    let has = |saved: &str, word: &str| saved.split([' ', ',']).any(|it| it == word);
    let is_shown = |word: &&&str| taken.iter().any(|it| has(it.saved, word));
    let shown: Vec<&str> = words.iter().filter(is_shown).copied().collect();
    if shown.is_empty() { words.to_vec() } else { shown }
}

/// One letter more, less or other; or a number said otherwise.
pub(crate) fn bent(random: &mut Random, text: &str) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    let at = random.below(letters.len() as u32 + 1) as usize;
    match (random.below(8), text.parse::<u64>()) {
        (0..3, Ok(number)) => {
            return match random.below(6) {
                0 => format!("0x{number:x}"),
                1 => format!("0X{number:X}"),
                2 => format!("0{number:o}"),
                3 => format!("+{number}"),
                4 => format!(" {number}"),
                _ => format!("000{number}"),
            };
        }
        (0..3, _) => return text.chars().rev().collect(),
        (3, _) => letters.insert(at, pick(random, BENDERS)),
        (4, _) if at < letters.len() => letters[at] = pick(random, BENDERS),
        (5, _) if at < letters.len() => {
            letters.remove(at);
        }
        (6, _) => return format!("{text}{}{text}", pick(random, &[",", ":", "-", "/", " ", ""])),
        _ => return text.to_uppercase(),
    }
    letters.into_iter().collect()
}

/// By the kind of value; of a form that the extension alone has, what its samples have.
fn pool(spec: &OptionSpec, samples: &Samples) -> Vec<String> {
    let of_kind: &[&str] = match spec.value {
        ValueKind::Pair { .. } => &["SYN", "SYN,ACK", "ALL", "NONE", "fin,urg,", "SYN,RST,ACK,FIN"],
        ValueKind::HostMask if FAMILY.get() == Family::V6 => ADDRESSES_OF_SIX,
        ValueKind::HostMask => &[
            "10.0.0.1",
            "10.0.0.0/8",
            "1.2.3.4/255.0.255.0",
            "0/0",
            "10.1/16",
            "1.2.3.4/33",
        ],
        ValueKind::MarkMask => &["1", "0x10/0xff", "5/3", "0", "0/0", "4294967295", "0x1/0"],
        ValueKind::Integer { .. } => &["1", "0", "5", "0xff", "10000", "10001", "4294967295"],
        ValueKind::Text { .. } | ValueKind::Own { syntax: "TEXT", .. } => &[
            "word",
            "two words",
            "q\"u'o\\te",
            "-x",
            "ends here: ",
            "12345678901234567890123456789012",
            "caf\u{10FFE9} \u{10FF80}",
            "\u{10FFC3}\u{10FFA9} put together",
        ],
        ValueKind::Own { syntax, .. } if !syntax.contains("PORT[:PORT]") => &[],
        _ => PORTS,
    };
    // What is printed of others is another rule.
    let of = |taken: Vec<&'static Taken>| {
        let taken = taken.into_iter().filter(|it| it.reads_back != ReadsBack::Other);
        let spelled = taken.map(|it| it.typed).chain(samples.spellings.iter().copied());
        spelled.flat_map(|it| given(spec, it)).collect::<Vec<_>>()
    };
    let mut pool = of(taken(samples));
    if pool.is_empty() {
        pool = of(samples.taken.iter().collect());
    }
    pool.extend(of_kind.iter().map(|it| (*it).to_owned()));
    assert!(!pool.is_empty(), "no sample of --{} shows a value", spec.name);
    pool
}

/// The first value of each time that a line gives the option.
fn given(spec: &OptionSpec, line: &str) -> Vec<String> {
    let words = words_of(line);
    let names: Vec<String> = spec.names().map(|name| format!("--{name}")).collect();
    let values = words.iter().zip(words.iter().skip(1));
    values
        .filter(|(option, _)| names.contains(option))
        .map(|(_, value)| value.clone())
        .collect()
}

/// A sample's line to words: `"` quotes, and `\` takes the next letter as it is.
pub(crate) fn words_of(typed: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut quoted, mut letters) = (false, typed.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().extend(letters.next()),
            ' ' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

const ADDRESSES: &[&str] = &[
    "10.0.0.1",
    "10.0.0.0/8",
    "10.1.2.3/255.0.255.0",
    "1.1.1.1,2.2.2.2",
    "0/0",
    "10.0.0.1/40",
    "no.such.host.invalid",
];

const ADDRESSES_OF_SIX: &[&str] = &[
    "::1",
    "2001:db8::1",
    "2001:db8::/32",
    "2001:DB8::A/48",
    "2001:db8:0:0:0:0:0:1",
    "fe80::1/10",
    "fe80::1/ffff::",
    "::2/::ff",
    "::/0",
    "::/64",
    "::",
    "0::0/0",
    "::1/128",
    "::1/129",
    "::1/",
    "/64",
    "::1/64/64",
    "::1/x",
    "::1/255.255.0.0",
    "ff02::1:ff00:0/104",
    "64:ff9b::c000:201",
    "::ffff:c000:201",
    "::c000:201",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "1::2::3",
    "12345::",
    "[::1]",
    "::1%lo",
    "2001:db8::1,2001:db8::2/64,::3",
    "2001:db8::1,",
    "localhost",
    "ip6-localhost",
    "ip6-allnodes/8",
    "no.such.host.invalid",
    "10.0.0.1",
    "",
];
const PORTS: &[&str] = &[
    "80",
    "1:2",
    ":5",
    "5:",
    ":",
    "http",
    "domain",
    "20:10",
    "7:7",
    "1,2,3",
    "80,443,1000:2000",
    "1:2,3:4",
    "65535",
];
const BENDERS: &[char] = &[
    ' ',
    ',',
    ':',
    '-',
    '/',
    '!',
    '0',
    '9',
    'x',
    'Z',
    '"',
    '\\',
    '.',
    '+',
    '\t',
    '\n',
    'é',
    '*',
    '_',
    '[',
    '\'',
    '#',
    '%',
    '\u{10FFFF}',
    '\u{10FFC3}',
    '\u{10FFA0}',
    '\u{10FF85}',
];
pub(crate) const ODD: &[&str] = &[
    "",
    "0",
    "65536",
    "-1",
    "x",
    "1x",
    "0x",
    "08",
    " 7",
    "+7",
    "1:2:3",
    "1-2-3",
    "1/",
    "/1",
    ",",
    "a,b",
    "1.2.3",
    "1.2.3.4/x",
    "!",
    "4294967296",
    "99999999999999999999",
    "80-",
    "-80",
    "ftp-data",
    "1.2.3.4:",
    "1:x",
    "x:1",
    "0x10",
    "0X1f",
    "010",
    "1e3",
    "2147483648",
    "18446744073709551615",
    "18446744073709551616",
    "-4294967295",
    " ",
    "a b",
    "\"",
    "a\"b",
    "a\\b",
    "tab\there",
    "line\nend",
    "é",
    "日本語日本語日本語日本語",
    "\u{10FFFF}",
    "8\u{10FFA0}",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaa\u{10FFE9}\u{10FFE9}",
    "%s%n",
    "--",
    "-j",
    "! 5",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];
