//! Whose claims are tried: the samples of every match and target, what they draw, and rules made of these.

use super::*;

/// A match with the line it was read from.
pub(super) struct Subject {
    pub(super) line: String,
    pub(super) test: Arc<dyn Match>,
    pub(super) lowered: Lowered,
    /// Of the rule.
    pub(super) p: P,
    pub(super) family: Family,
}

impl Subject {
    pub(super) fn new(line: String, test: Arc<dyn Match>, (family, p): (Family, P)) -> Self {
        let lowered = test.lower();
        Self {
            line,
            test,
            lowered,
            p,
            family,
        }
    }

    /// A rule asks for the protocol before its matches are asked.
    pub(super) fn may_meet(&self, sight: &Sight) -> bool {
        let P(number, inverted) = self.p;
        self.family == sight.packet.family() && (number == 0 || (number == sight.packet.protocol()) != inverted)
    }
}

/// Every sample's, and some drawn ones.
pub(super) fn matches() -> Vec<Subject> {
    let mut subjects = Vec::new();
    let mut random = Random::new(5);
    for (spec, family) in in_their_families() {
        let taken = spec.samples.taken.iter().map(|sample| (sample.before, sample.typed));
        let judged = spec.samples.packets.iter().map(|sample| (sample.before, sample.typed));
        for (before, typed) in taken.chain(judged) {
            let p = P::of(before);
            let line = format!("{before} -m {} {typed}", spec.name);
            match read_match_in(family, spec, p, typed) {
                Ok(test) => subjects.push(Subject::new(line, test, (family, p))),
                // The samples of what both families have may speak of IPv4's addresses.
                Err(why) => assert_eq!(spec.families, Family::ALL, "{line}: {why}"),
            }
        }
        for number in 0..60 {
            let p = P(random.pick(protocols(family)), false);
            let drawn = drawn_matches(spec, family, p, number).into_iter();
            subjects.extend(drawn.map(|(line, test)| Subject::new(line, test, (family, p))));
        }
    }
    subjects
}

pub(super) fn in_their_families() -> impl Iterator<Item = (&'static MatchSpec, Family)> {
    MATCHES
        .iter()
        .flat_map(|spec| spec.families.iter().map(|family| (*spec, *family)))
}

/// The match once or twice, as rules made up at random have it, or not at all.
pub(super) fn drawn_matches(
    spec: &'static MatchSpec,
    family: Family,
    p: P,
    number: u64,
) -> Vec<(String, Arc<dyn Match>)> {
    let place = drawn::Place {
        family,
        table: Table::Filter,
        hooks: HookSet::of(&[Hook::Forward]),
        protocol: (p.0 != 0).then_some(p.0),
        may_track: true,
    };
    let Some(drawing) = spec.drawn(7, number, &place) else {
        return Vec::new();
    };
    let loading = format!(" -m {}", spec.name);
    let words = drawing.words.split(&loading).enumerate();
    // Nothing stands before the first `-m`, unless `-p` brings the match in.
    words
        .filter(|(at, words)| *at > 0 || !words.is_empty())
        .filter_map(|(_, words)| {
            let line = format!("-p {}{loading}{words}", p.0);
            let test = read_match_in(family, spec, p, words.trim_start());
            // As with samples.
            assert!(test.is_ok() || spec.families == Family::ALL, "{line}: {test:?}");
            Some((line, test.ok()?))
        })
        .collect()
}

/// A target with the line it was read from.
pub(super) struct Aim {
    pub(super) line: String,
    pub(super) target: Arc<dyn Target>,
    pub(super) family: Family,
}

pub(super) fn targets() -> Vec<Aim> {
    let mut made = Vec::new();
    for spec in TARGETS {
        for (sample, family) in spec
            .samples
            .taken
            .iter()
            .flat_map(|it| spec.families.iter().map(move |family| (it, *family)))
        {
            let line = format!("{} -j {} {}", sample.before, spec.name, sample.typed);
            match read_target_in(family, spec, P::of(sample.before), sample.typed) {
                Ok(target) => made.push(Aim { line, target, family }),
                Err(why) => assert_eq!(spec.families, Family::ALL, "{line}: {why}"),
            }
        }
    }
    made
}

/// A selector and matches, in an order of their own.
pub(super) fn rule(random: &mut Random, number: u64) -> (String, Rule) {
    let family = random.pick(&Family::ALL);
    let p = P(random.pick(protocols(family)), false);
    let mut matches = Vec::new();
    for spec in MATCHES {
        // More than in one scenario of so many, and more than in so many of a hundred rules: they shall meet each other.
        for turn in 0..4 {
            let drawn = drawn_matches(spec, family, p, number * 4 + turn);
            matches.extend(drawn.into_iter().map(|it| (random.next_u32(), it)));
        }
    }
    matches.sort_by_key(|(key, _)| *key);
    matches.truncate(1 + random.below(3) as usize);
    let selector = selector(random, family, p);
    let lines: Vec<String> = matches.iter().map(|(_, (line, _))| line.clone()).collect();
    let line = format!("{selector:?}\n{}", lines.join("\n"));
    let rule = Rule {
        id: CountId::fresh(),
        count: Count::Keep,
        selector,
        matches: matches.into_iter().map(|(_, (_, test))| test).collect(),
        action: Action::Nothing,
    };
    (line, rule)
}

pub(super) fn selector(random: &mut Random, family: Family, P(protocol, protocol_inverted): P) -> Selector {
    let any = Selector::any(family);
    // Now and then a part has a `!`, seldom one that asks nothing: that never matches.
    let inverted = |random: &mut Random, asks| random.one_in(if asks { 4 } else { 100 });
    let address = |random: &mut Random, from: &[&'static str]| match random.one_in(5) {
        true => masked(random.pick(from)),
        false => any.source,
    };
    let interface = |random: &mut Random| {
        let text = random.pick(&["", "", "", "", "", "", "", "+", "lan", "la+", "wan"]);
        InterfaceMask::new(text).expect("short names")
    };
    let (source, destination) = match family {
        Family::V4 => (address(random, drawn::SOURCES), address(random, drawn::DESTINATIONS)),
        Family::V6 => (address(random, NETWORKS_V6), address(random, NETWORKS_V6)),
    };
    let (input, output) = (interface(random), interface(random));
    Selector {
        source,
        source_inverted: inverted(random, source != any.source),
        destination,
        destination_inverted: inverted(random, destination != any.destination),
        input,
        input_inverted: inverted(random, input != any.input),
        output,
        output_inverted: inverted(random, output != any.output),
        protocol,
        protocol_inverted,
        asks_for_all_protocols: protocol == 0 && family == Family::V6,
        fragment: random.one_in(12) && family == Family::V4,
        fragment_inverted: random.one_in(2),
        family,
    }
}

pub(super) const NETWORKS_V6: &[&str] = &[
    "2001:db8::/64",
    "2001:db8::2",
    "2001:db8:1::/64",
    "2001:db8:1::9",
    "ff00::/8",
    "::/0",
    "::9/::ff",
];

pub(super) fn masked(text: &str) -> AddressMask {
    let (address, mask) = text.split_once('/').unwrap_or((text, ""));
    let address: IpAddr = address.parse().expect("an address");
    if mask.is_empty() {
        return AddressMask::host(address);
    }
    let made = match mask.parse() {
        Ok(length) => AddressMask::prefix(address, length),
        Err(_) => AddressMask::new(address, mask.parse().expect("a mask")),
    };
    made.expect("one family")
}
