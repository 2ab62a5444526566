//! The options that every command knows, and which of them stand beside which command.

use super::getopt::{Long, Takes};
use crate::base::Family;

/// One of the tool's own options, by its short letter; `0` is `--line-numbers`, which has none.
pub type Letter = char;

/// Which option was met: one of the tool's own, or one of a loaded extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Own(Letter),
    Extension { loaded: usize, option: usize },
}

/// What a short option takes; `None` where there is none of this letter.
pub fn short(letter: char) -> Option<Takes> {
    Some(match letter {
        'A' | 'C' | 'D' | 'R' | 'I' | 'N' | 'E' | 'P' | 'M' | 'o' | 'p' | 's' | 'd' | 'j' | 'i' | 't' | 'm' | 'c'
        | 'g' => Takes::Argument,
        'L' | 'S' | 'F' | 'Z' | 'X' | 'h' | 'w' | 'W' => Takes::MaybeAttached,
        'V' | 'f' | 'v' | 'n' | 'x' | '4' | '6' | 'b' => Takes::Nothing,
        _ => return None,
    })
}

/// Long names with the letters they stand for.
pub const LONG: &[(&str, Letter)] = &[
    ("append", 'A'),
    ("delete", 'D'),
    ("check", 'C'),
    ("insert", 'I'),
    ("replace", 'R'),
    ("list", 'L'),
    ("list-rules", 'S'),
    ("flush", 'F'),
    ("zero", 'Z'),
    ("new-chain", 'N'),
    ("delete-chain", 'X'),
    ("rename-chain", 'E'),
    ("policy", 'P'),
    ("source", 's'),
    ("destination", 'd'),
    ("src", 's'),
    ("dst", 'd'),
    ("protocol", 'p'),
    ("in-interface", 'i'),
    ("jump", 'j'),
    ("table", 't'),
    ("match", 'm'),
    ("numeric", 'n'),
    ("out-interface", 'o'),
    ("verbose", 'v'),
    ("wait", 'w'),
    ("wait-interval", 'W'),
    ("exact", 'x'),
    ("fragments", 'f'),
    ("version", 'V'),
    ("help", 'h'),
    ("line-numbers", '0'),
    ("modprobe", 'M'),
    ("set-counters", 'c'),
    ("goto", 'g'),
    ("ipv4", '4'),
    ("ipv6", '6'),
];

/// True where the family's tool knows the option by its long name. Seen: ip6tables takes `-f` only to refuse it.
pub fn has_long(letter: Letter, family: Family) -> bool {
    family == Family::V4 || letter != 'f'
}

/// The long options as the option reader wants them.
pub fn long<K>(family: Family, key: impl Fn(Letter) -> K) -> impl Iterator<Item = Long<K>> {
    let known = LONG.iter().filter(move |(_, letter)| has_long(*letter, family));
    known.map(move |it| as_long(it, &key))
}

/// The one of exactly this name.
pub fn long_named<K>(name: &str, family: Family, key: impl Fn(Letter) -> K) -> Option<Long<K>> {
    let first = name.bytes().next()?;
    let found = LONG
        .iter()
        .find(|(own, letter)| own.as_bytes()[0] == first && *own == name && has_long(*letter, family))?;
    Some(as_long(found, &key))
}

fn as_long<K>(&(name, letter): &(&'static str, Letter), key: &impl Fn(Letter) -> K) -> Long<K> {
    Long {
        name,
        takes: match letter {
            '0' => Takes::Nothing,
            _ => short(letter).unwrap_or(Takes::Nothing),
        },
        key: key(letter),
    }
}

/// The options that may be too many for a command, in the order in which the tool looks.
pub const CHECKED: [Letter; 12] = ['n', 's', 'd', 'p', 'j', 'v', 'x', 'i', 'o', '0', 'c', 'f'];

/// True where the option may stand beside the command. `delete_number` tells `-D CHAIN 3` from `-D CHAIN -p tcp`.
pub fn allowed(command: Letter, delete_number: bool, option: Letter) -> bool {
    const RULE: &str = "sdpjviof";
    let options = match command {
        'A' | 'I' | 'R' => "sdpjviofc",
        'C' => RULE,
        'D' if !delete_number => RULE,
        'L' => "nvx0",
        'P' => "vc",
        _ => "v",
    };
    options.chars().any(|it| it == option)
}
