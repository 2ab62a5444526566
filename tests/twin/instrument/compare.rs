//! One scenario on two sides, and what differs.

use std::time::{Duration, Instant};

use super::freedom::{
    Drawn, Likeness, announced_apart, announced_by_text_apart, class, identify, named_apart, written_apart,
};
use super::groups::is_answered_later;
use super::layout::{ICMP, ICMPV6, is_cut_behind_headers, is_ipv6, outer_piece, protocol, upper};
use super::ours::{Ours, story, tick};
use super::scenario::{Event, Scenario, write_event};
use super::sentence;
use super::side::{Answer, Depth, EXPECTATIONS, FLOWS, Part, Side, ToolAnswer, is_save};
use super::tally::Tally;

/// Two sides that gave the same answers.
#[derive(Debug, Default)]
pub(crate) struct Agreement {
    pub packets: u64,
    /// Events, packets that left, texts.
    pub comparisons: u64,
    /// Where one side drew a number that the scenario uses elsewhere, and the comparison had to end.
    pub parted_at: Option<usize>,
    /// The packets that came after that, and were not compared.
    pub unseen: u64,
    pub tally: Tally,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum Disagreement {
    Differ {
        at: Option<usize>,
        what: String,
    },
    /// The sides parted by a draw that only one in hundreds makes. Who runs the scenario again will not see that at the same event; unless it
    /// was no draw.
    Doubtful {
        at: usize,
        what: String,
    },
    /// nflab did: no chance and no busy machine excuses that.
    Panicked(String),
    /// The instrument itself failed.
    Broken(String),
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Differ { what, .. } | Self::Doubtful { what, .. } => f.write_str(what),
            Self::Panicked(said) => write!(f, "panicked: {said}"),
            Self::Broken(why) => write!(f, "the twin itself is broken: {why}"),
        }
    }
}

impl From<String> for Disagreement {
    fn from(why: String) -> Self {
        Self::Broken(why)
    }
}

/// Runs a scenario on both sides, event by event, and compares their tables at the end.
pub(crate) fn compare(
    scenario: &Scenario,
    theirs: &mut dyn Side,
    own: &mut Ours,
    depth: Depth,
) -> Result<Agreement, Disagreement> {
    let mut drawn = Drawn::new(scenario).with_offload(own.offload());
    let mut agreement = Agreement::default();
    // How long the two sides were apart at worst: a busy machine may halt between them.
    let mut apart_by = Duration::ZERO;
    for (at, event) in scenario.events.iter().enumerate() {
        theirs.prepare(event)?;
        let began = Instant::now();
        // The kernel has a packet at once; before a command looks at anything a while passes.
        let moment = matches!(event, Event::Packet { .. }).then(tick);
        let mut their_answer = theirs.happen(event)?;
        own.moment = moment;
        let mut own_answer = own.happen(event)?;
        if is_answered_later(event) && their_answer.sent.len() < own_answer.sent.len() {
            let more = theirs.wait_for_more(own_answer.sent.len() - their_answer.sent.len())?;
            let (mut local, mut left): (Vec<_>, Vec<_>) = their_answer
                .sent
                .drain(..)
                .chain(more)
                .partition(|(there, _)| there == "local");
            left.append(&mut local);
            their_answer.sent = left;
        }
        for sent in [&mut their_answer.sent, &mut own_answer.sent] {
            if matches!(event, Event::Packet { bytes, .. } if is_cut_behind_headers(bytes)) {
                sent.retain(|(there, _)| there != "local");
            }
            heard_by_protocols(sent);
        }
        if takes(event) {
            let left = own.state(Depth::Sums)?;
            let left = left.iter().find(|part| part.title == FLOWS);
            theirs.wait_for_flows_to_go(left.map_or(0, |part| part.text.lines().count()))?;
        }
        if !matches!(event, Event::Wait(_)) && !is_answered_later(event) {
            apart_by = apart_by.max(began.elapsed());
        }
        let slack = slack(apart_by);
        let cause = match event {
            Event::Packet { bytes, .. } => Some(bytes.as_slice()),
            _ => None,
        };
        agreement.packets += u64::from(cause.is_some());
        agreement.comparisons += 1 + their_answer.sent.len() as u64;
        let mut likeness = match finds_another(&scenario.events[..at], event, &their_answer, &own_answer) {
            true => Likeness::Parted,
            false => same_answer(event, &mut drawn, cause, &their_answer, &own_answer, slack),
        };
        if likeness == Likeness::Different {
            // What was just deleted stands in no table any more, but in what the tool printed.
            let flows = |mut state: Vec<Part>, answer: &Answer| {
                let printed = answer.tool.as_ref().map_or("", |tool| &tool.out);
                state.push(Part {
                    title: FLOWS.to_owned(),
                    text: printed.to_owned(),
                });
                state
            };
            let (there, here) = (theirs.state(Depth::Sums)?, own.state(Depth::Sums)?);
            likeness = drew_unseen(&drawn, &flows(there, &their_answer), &flows(here, &own_answer));
        }
        match likeness {
            Likeness::Same => {}
            Likeness::Parted => {
                agreement.parted_at = Some(at);
                agreement.unseen = scenario.packets() as u64 - agreement.packets;
                agreement.tally = std::mem::take(&mut own.tally);
                return Ok(agreement);
            }
            Likeness::Doubtful | Likeness::Different => {
                let mut what = format!("event {}: ", at + 1);
                write_event(&mut what, event);
                what += &format!("the kernel {}\nnflab {}\n", show(&their_answer), show(&own_answer));
                if cause.is_some() {
                    what += &format!("nflab saw:\n{}", story(scenario, at)?);
                }
                return Err(match likeness {
                    Likeness::Doubtful => Disagreement::Doubtful { at, what },
                    _ => Disagreement::Differ { at: Some(at), what },
                });
            }
        }
    }
    let began = Instant::now();
    let (their_state, own_state) = (theirs.state(depth)?, own.state(depth)?);
    let slack = slack(apart_by + began.elapsed());
    let is_in = |state: &[Part], part: &Part| state.iter().any(|it| it.title == part.title);
    if let Some(part) = own_state.iter().find(|part| !is_in(&their_state, part)) {
        let what = format!("{}: only nflab has this", part.title);
        return Err(Disagreement::Differ { at: None, what });
    }
    for part in &their_state {
        let Some(mine) = own_state.iter().find(|mine| mine.title == part.title) else {
            let what = format!("{}: only the kernel has this", part.title);
            return Err(Disagreement::Differ { at: None, what });
        };
        agreement.comparisons += 1;
        let (a, b) = (normal(&part.title, &part.text), normal(&mine.title, &mine.text));
        let slack = if is_listing(&part.title) { slack } else { 0 };
        let at_own_ports = part.title != EXPECTATIONS
            || [(&a, &b, &their_state), (&b, &a, &own_state)]
                .iter()
                .all(|(here, there, state)| is_expected_at_own_ports(here, there, state, slack));
        if !same_text(&a, &b, slack) || !at_own_ports {
            let what = format!("at the end, {}:\n{}", part.title, apart(&a, &b, slack));
            let at = scenario.events.len();
            match drew_unseen(&drawn, &their_state, &own_state) {
                Likeness::Parted => {
                    agreement.parted_at = Some(at);
                    return Ok(agreement);
                }
                Likeness::Doubtful => return Err(Disagreement::Doubtful { at, what }),
                _ if same_but_for_counts(&a, &b) && drew_digits_apart(&their_state, &own_state) => {
                    agreement.parted_at = Some(at);
                    return Ok(agreement);
                }
                // What OUTPUT drops no packet shows.
                _ if (own.tally.route_errors() || scenario.events.iter().any(is_answered_later))
                    && same_but_for_counts(&a, &b) =>
                {
                    return Err(Disagreement::Doubtful { at, what });
                }
                Likeness::Same | Likeness::Different => return Err(Disagreement::Differ { at: None, what }),
            }
        }
        if !same_blanks(&part.title, &part.text, &mine.text) {
            let what = format!("at the end, {}: blanks\n{}\n{}", part.title, part.text, mine.text);
            return Err(Disagreement::Differ { at: None, what });
        }
    }
    agreement.tally = std::mem::take(&mut own.tally);
    for part in own_state.iter().filter(|part| is_save(&part.title)) {
        agreement.tally.rules(&part.text);
    }
    Ok(agreement)
}

/// Whether a flow whose number no packet showed (a rule dropped it behind NAT) has one by a draw that the scenario treats differently: what wanted
/// the number found it free on one side only, or a rule saw it. `Different` if there is no such excuse.
fn drew_unseen(drawn: &Drawn, theirs: &[Part], own: &[Part]) -> Likeness {
    let pairs = drawn_apart(theirs, own).into_iter();
    let mut excuses = pairs.filter_map(|(protocol, a, b)| drawn.parting(protocol, b, a));
    match excuses.next() {
        None => Likeness::Different,
        Some(Likeness::Doubtful) if excuses.all(|it| it == Likeness::Doubtful) => Likeness::Doubtful,
        Some(_) => Likeness::Parted,
    }
}

/// Whether each side drew a port for a flow, one of which has more digits: a text that no packet showed, and that names it, is longer by that.
fn drew_digits_apart(theirs: &[Part], own: &[Part]) -> bool {
    let digits = |port: u16| port.to_string().len();
    let mut pairs = drawn_apart(theirs, own).into_iter();
    pairs.any(|(_, a, b)| digits(a) != digits(b))
}

/// Of flows of which each side drew a number: the protocol, the kernel's number and ours.
fn drawn_apart(theirs: &[Part], own: &[Part]) -> Vec<(u8, u16, u16)> {
    let flows = |parts: &[Part]| -> Vec<Mapped> {
        parts
            .iter()
            .filter(|part| part.title == FLOWS)
            .flat_map(|part| part.text.lines())
            .filter_map(Mapped::read)
            .collect()
    };
    let (theirs, own) = (flows(theirs), flows(own));
    let pairs = theirs.iter().flat_map(|there| {
        let here = own.iter().find(|here| here.original == there.original);
        let both = here.into_iter().flat_map(|here| there.reply.iter().zip(&here.reply));
        // Where one of them kept its number, that is the question, not the excuse.
        both.filter(|(a, b)| a != b && !there.own.contains(a) && !there.own.contains(b))
            .map(|(a, b)| (there.protocol, *a, *b))
    });
    pairs.collect()
}

/// A line of `/proc/net/nf_conntrack`, or of `conntrack`: the flow, and the ports or the identifier by which its answers come.
struct Mapped {
    protocol: u8,
    original: String,
    own: Vec<u16>,
    reply: Vec<u16>,
}

impl Mapped {
    fn read(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let first = words.iter().position(|word| word.starts_with("src="))?;
        let second = words.iter().rposition(|word| word.starts_with("src="))?;
        let number = |word: &&str| {
            let (key, value) = word.split_once('=')?;
            matches!(key, "sport" | "dport" | "id").then(|| value.parse().ok())?
        };
        let (original, reply) = (&words[first..second], &words[second..]);
        let is_tuple = |word: &&&str| {
            let key = word.split_once('=').map(|(key, _)| key);
            key.is_some_and(|key| matches!(key, "src" | "dst" | "sport" | "dport" | "type" | "code" | "id"))
        };
        Some(Self {
            protocol: words
                .get(if matches!(words[0], "ipv4" | "ipv6") { 3 } else { 1 })?
                .parse()
                .ok()?,
            original: original.iter().filter(is_tuple).copied().collect(),
            own: original.iter().filter_map(number).collect(),
            reply: reply.iter().filter_map(number).collect(),
        })
    }
}

/// Seconds by which two times that count down may differ.
fn slack(apart_by: Duration) -> i64 {
    1 + apart_by.as_secs() as i64
}

/// Whether the real tool of IPv6 found a rule that nflab has not, and that nobody gave since rules were last taken away: it looks at a rule's beginning
/// alone.
fn finds_another(before: &[Event], event: &Event, theirs: &Answer, own: &Answer) -> bool {
    let (Event::Tool { name, args, .. }, Some(theirs), Some(own)) = (event, &theirs.tool, &own.tool) else {
        return false;
    };
    let Some(asked) = args.iter().position(|word| word == "-C" || word == "-D") else {
        return false;
    };
    // A chain, and what a rule says; of tables and numbers before and between nothing is held.
    let rule = args[asked + 1..].join(" ");
    let (chain, conditions) = rule.split_once(' ').unwrap_or((&rule, ""));
    let gives_it = |text: &str| {
        let is_this =
            |rest: &str| rest == conditions || rest.split_once(' ').is_some_and(|(_, rest)| rest == conditions);
        let mut given = ["-A ", "-I ", "-R "]
            .iter()
            .filter_map(|command| text.split_once(command));
        given.any(|(_, rule)| {
            rule.split_once(' ')
                .is_some_and(|(to, rest)| to == chain && is_this(rest))
        })
    };
    // By its number, or as a whole chain, no rule is looked for.
    let names_a_rule = conditions.starts_with(['-', '!']);
    if !name.starts_with("ip6tables") || !names_a_rule || (theirs.code, own.code) != (0, 1) {
        return false;
    }
    for earlier in before.iter().rev() {
        let Event::Tool { name, args, input } = earlier else {
            continue;
        };
        if !name.starts_with("ip6tables") {
            continue;
        }
        if gives_it(&args.join(" ")) || input.lines().any(gives_it) {
            return false;
        }
        let takes = |word: &String| ["-D", "-F", "-R"].contains(&word.as_str());
        if name.ends_with("restore") || args.iter().any(takes) {
            break;
        }
    }
    true
}

fn same_answer(
    event: &Event,
    drawn: &mut Drawn,
    cause: Option<&[u8]>,
    theirs: &Answer,
    own: &Answer,
    slack: i64,
) -> Likeness {
    if let (Event::Tool { name, args, .. }, Some(theirs), Some(own)) = (event, &theirs.tool, &own.tool) {
        let title = format!("{name} {}", args.join(" "));
        let (a, b) = (normal(&title, &theirs.out), normal(&title, &own.out));
        let slack = if is_listing(&title) { slack } else { 0 };
        let same = same_text(&a, &b, slack) && same_blanks(&title, &theirs.out, &own.out);
        if theirs.code != own.code || theirs.err != own.err || !same {
            return Likeness::Different;
        }
    }
    // An error that quotes it leaves beside it.
    let pairs = || theirs.sent.iter().zip(&own.sent);
    if let Some(cause) = cause
        && theirs.sent.len() == own.sent.len()
        && pairs().any(|((there, a), (here, b))| {
            let is_free = [announced_apart, announced_by_text_apart, named_apart, written_apart];
            there == here && is_free.iter().any(|apart| apart(cause, a, b))
        })
    {
        return Likeness::Parted;
    }
    let length = |(port, bytes): &(String, Vec<u8>)| (port.clone(), bytes.len());
    if differ_in(is_rationed, length, theirs, own) {
        return Likeness::Parted;
    }
    if let Some(cause) = cause
        && differ_by_parted_draws(drawn, cause, theirs, own)
    {
        return Likeness::Parted;
    }
    let reads_on_wrong = cause.is_some_and(is_cut_behind_headers) && differ_in(is_about_a_header, length, theirs, own);
    if reads_on_wrong || differ_in(is_report_of_groups, Clone::clone, theirs, own) {
        return Likeness::Doubtful;
    }
    if !theirs.sent.iter().map(shape).eq(own.sent.iter().map(shape)) {
        return Likeness::Different;
    }
    let later = theirs.sent.iter().zip(&own.sent);
    if !later.into_iter().all(|((_, a), (_, b))| same_later_header(a, b)) {
        return Likeness::Different;
    }
    for ((there, a), (_, b)) in joined(&theirs.sent).iter().zip(&joined(&own.sent)) {
        match drawn.compare(cause, there == "local", a, b) {
            Likeness::Same => {}
            other => return other,
        }
    }
    Likeness::Same
}

/// Whether it is only numbers that differ.
fn same_but_for_counts(theirs: &str, own: &str) -> bool {
    let without = |text: &str| -> String {
        let words = text.split_whitespace();
        let words = words.map(|word| word.replace(|it: char| it.is_ascii_digit(), ""));
        words.collect::<Vec<_>>().join(" ")
    };
    without(theirs) == without(own)
}

/// Whether only one side sent some packets, and all of those carry a number that it may have drawn, which a rule may have stopped on the other side.
fn differ_by_parted_draws(drawn: &Drawn, cause: &[u8], theirs: &Answer, own: &Answer) -> bool {
    let (more, less) = match theirs.sent.len() > own.sent.len() {
        true => (&theirs.sent, &own.sent),
        false => (&own.sent, &theirs.sent),
    };
    let is_in_both = |it: &(String, Vec<u8>)| less.iter().any(|other| shape(other) == shape(it));
    let mut only = more.iter().filter(|it| !is_in_both(it)).peekable();
    more.len() > less.len() && only.peek().is_some() && only.all(|(_, bytes)| drawn.may_have_parted(cause, bytes))
}

/// Whether the two sent other numbers of such packets, and the others alike, as far as this tells of them.
fn differ_in<T: PartialEq>(
    is_such: fn(&(String, Vec<u8>)) -> bool,
    tells: impl Fn(&(String, Vec<u8>)) -> T,
    theirs: &Answer,
    own: &Answer,
) -> bool {
    let others = |answer: &Answer| {
        let others = answer.sent.iter().filter(|it| !is_such(it));
        others.map(&tells).collect::<Vec<_>>()
    };
    theirs.sent.len() != own.sent.len() && others(theirs) == others(own)
}

/// "Net unreachable", "host unreachable" or "prohibited" of a route, and redirects of IPv6: how many leave in a second is limited, and no namespace
/// can change that.
fn is_rationed((_, bytes): &(String, Vec<u8>)) -> bool {
    upper(bytes, 0).is_some_and(|upper| match (upper.protocol, bytes.get(upper.at..)) {
        (ICMP, Some(&[3, code, ..])) => matches!(code, 0 | 1 | 13),
        (ICMPV6, Some(&[137, ..])) => true,
        _ => false,
    })
}

/// "Parameter problem" of IPv6.
fn is_about_a_header((_, bytes): &(String, Vec<u8>)) -> bool {
    upper(bytes, 0).is_some_and(|upper| upper.protocol == ICMPV6 && bytes.get(upper.at) == Some(&4))
}

/// What the kernel says of its multicast groups comes by the hand of a thread, which a busy machine may hold up.
fn is_report_of_groups((_, bytes): &(String, Vec<u8>)) -> bool {
    upper(bytes, 0)
        .is_some_and(|upper| upper.protocol == ICMPV6 && matches!(bytes.get(upper.at), Some(131 | 132 | 143)))
}

/// What must be the same of a packet whatever is free in it: where it left, its length, which piece of a packet it is.
fn shape((interface, bytes): &(String, Vec<u8>)) -> (&str, usize, Option<[u8; 2]>) {
    let field = match is_ipv6(bytes, 0) {
        true => outer_piece(bytes).map(|piece| piece.field),
        false => bytes.get(6..8).and_then(|field| field.try_into().ok()),
    };
    (interface, bytes.len(), field)
}

/// `joined` takes no more than the payload of a later fragment, so its header is compared here; free is the identification of a message of the
/// router's own, which `joined` ties to that of the first fragment.
fn same_later_header(theirs: &[u8], own: &[u8]) -> bool {
    let Some(later) = outer_piece(own).filter(|piece| piece.offset != 0 && theirs.len() >= piece.at) else {
        return true;
    };
    let mut mine = own[..later.at].to_vec();
    match is_ipv6(own, 0) {
        true => mine[later.at - 4..].copy_from_slice(&theirs[later.at - 4..later.at]),
        false if own[9] == ICMP => identify(&mut mine, theirs),
        false => {}
    }
    mine == theirs[..later.at]
}

/// What reached the router, protocol by protocol, where its order between them cannot be told: a socket for each hears it, and they are read by
/// turns, which is the order of arrival only while none has more than one.
fn heard_by_protocols(sent: &mut [(String, Vec<u8>)]) {
    let from = sent
        .iter()
        .position(|(there, _)| there == "local")
        .unwrap_or(sent.len());
    let heard = &mut sent[from..];
    let protocol = |bytes: &[u8]| (is_ipv6(bytes, 0), protocol(bytes, 0));
    let has_several = |at: usize| {
        heard[..at]
            .iter()
            .any(|(_, bytes)| protocol(bytes) == protocol(&heard[at].1))
    };
    if (0..heard.len()).any(has_several) {
        heard.sort_by_key(|(_, bytes)| protocol(bytes));
    }
}

/// Fragments of one packet put together again, because a port stands in the first of them and the checksum over it in another.
fn joined(sent: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut whole: Vec<(String, Vec<u8>)> = Vec::new();
    for (interface, bytes) in sent {
        let later = outer_piece(bytes).filter(|piece| piece.offset != 0);
        let is_of = |first: &[u8], identification: u32| match is_ipv6(bytes, 0) {
            true => outer_piece(first).is_some_and(|piece| piece.identification == identification),
            false => first.len() >= 20 && first[4..6] == bytes[4..6],
        };
        match (whole.last_mut(), later) {
            (Some((there, first)), Some(later)) if there == interface && is_of(first, later.identification) => {
                first.extend(&bytes[later.at..]);
            }
            _ => whole.push((interface.clone(), bytes.clone())),
        }
    }
    whole
}

/// A text without what is free in it: see `FREEDOMS`. The time that is left comes first in a line.
pub(crate) fn normal(title: &str, text: &str) -> String {
    if title.starts_with("cat /proc/net/xt_recent/") {
        let mut lines: Vec<String> = text.lines().map(without_jiffies).collect();
        lines.sort();
        return lines.concat();
    }
    if title.starts_with("cat /proc/net/ip") && title.contains("t_hashlimit/") {
        let mut lines: Vec<String> = text.lines().map(in_whole_tokens).collect();
        lines.sort();
        return lines.concat();
    }
    if title == "cat /proc/net/netfilter/nfnetlink_queue" {
        // Which of netlink's ports listens is the kernel's choice.
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let without = |line: &str| {
            words(line)
                .into_iter()
                .enumerate()
                .filter(|(at, _)| *at != 1)
                .map(|(_, word)| word)
        };
        let line = |line: &str| without(line).collect::<Vec<_>>().join(" ") + "\n";
        // In a record it is left out already.
        let lines = text.lines().map(|it| {
            if words(it).len() < 9 {
                format!("{it}\n")
            } else {
                line(it)
            }
        });
        return lines.collect();
    }
    if !is_listing(title) {
        let lines = text.lines().filter(|line| !is_date(line));
        return lines.map(|line| format!("{line}\n")).collect();
    }
    let deletes = title.starts_with("conntrack -D");
    let mut lines: Vec<(String, String)> = text
        .lines()
        .map(|line| {
            let words = line.split_whitespace();
            let mut words: Vec<&str> = words.filter(|word| !(deletes && word.starts_with("use="))).collect();
            let at = match words.first() {
                Some(&("ipv4" | "ipv6")) => 4,
                Some(first) if first.parse::<u64>().is_ok() => 0,
                _ => 2,
            };
            let is_time = words.get(at).is_some_and(|word| word.parse::<u64>().is_ok());
            let left = if is_time { words.remove(at) } else { "" };
            (words.join(" "), left.to_owned())
        })
        .collect();
    lines.sort();
    let lines = lines.iter();
    lines.map(|(words, left)| format!("{left} {words}\n")).collect()
}

/// The times of a list that rules share, but for how many they are.
fn without_jiffies(line: &str) -> String {
    // A record has them without already.
    if line.ends_with(" times)") {
        return format!("{line}\n");
    }
    let is_time =
        |word: &&str| word.trim_end_matches(',').len() >= 10 && word.starts_with(|it: char| it.is_ascii_digit());
    let times = line.split(' ').filter(is_time).count();
    let words: Vec<&str> = line.split(' ').filter(|word| !is_time(word)).collect();
    format!("{} ({times} times)\n", words.join(" "))
}

/// A line of a table of `-m hashlimit`, without the seconds that are left.
fn in_whole_tokens(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let [_, key, first, second, third] = words[..] else {
        // A record has them so already.
        return format!("{line}\n");
    };
    let [first, third] = [first, third].map(|number| number.parse::<u64>().unwrap_or(0));
    let tokens = first.checked_div(third).unwrap_or(first);
    format!("{key} {tokens} {second} {third}\n")
}

/// Whether two listings align their words in the same way, which their normal form forgets. A record has only that.
fn same_blanks(title: &str, theirs: &str, own: &str) -> bool {
    let of = |text: &str| {
        let mut lines: Vec<Vec<usize>> = text
            .lines()
            .map(|line| {
                line.split(|letter| letter != ' ')
                    .map(str::len)
                    .filter(|&it| it > 0)
                    .collect()
            })
            .collect();
        lines.sort();
        lines
    };
    if !is_listing(title) || !theirs.contains("  ") {
        return true;
    }
    let (a, b) = (of(theirs), of(own));
    // Where one is shorter, what it does not have was about to end: all the others have to be there.
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    match short.len() == long.len() {
        true => short == long,
        false => short.iter().all(|line| long.contains(line)),
    }
}

/// Whether an event may take an address, a link or a way from the router, with the flows that lived by it. A link that is made too narrow for IPv6 loses
/// the addresses of it.
fn takes(event: &Event) -> bool {
    let Event::Tool { name, args, .. } = event else {
        return false;
    };
    let is_taking = |word: &String| match *name {
        "ip" => ["del", "delete", "d", "flush", "down", "f", "mtu"].contains(&word.as_str()),
        "sysctl" => word.contains("disable_ipv6"),
        _ => false,
    };
    args.iter().any(is_taking)
}

/// A list of flows or expectations, with the time that each has left.
fn is_listing(title: &str) -> bool {
    let counts = title.starts_with("conntrack -C");
    title == FLOWS || title == EXPECTATIONS || title.starts_with("conntrack ") && !counts
}

fn is_date(line: &str) -> bool {
    line.starts_with("# Generated by ") || line.starts_with("# Completed on ")
}

/// Line by line, with what is free: a second, and a port that was drawn.
fn same_text(theirs: &str, own: &str, slack: i64) -> bool {
    if theirs == own {
        return true;
    }
    if slack == 0 {
        let (theirs, own) = (theirs.lines(), own.lines());
        return theirs.clone().count() == own.clone().count() && theirs.zip(own).all(|(a, b)| same_line(a, b, slack));
    }
    // Lists are put in order by their lines, and so by numbers that were drawn, too. A line's very fellow comes before one whose number was drawn.
    let (mut here, mut there): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), own.lines().collect());
    for is_fellow in [
        |a: &str, b: &str| without_time(a) == without_time(b),
        |_: &str, _: &str| true,
    ] {
        here.retain(|line| {
            let fellow = there
                .iter()
                .position(|other| is_fellow(line, other) && same_line(line, other, slack));
            fellow.map(|at| there.remove(at)).is_none()
        });
    }
    // What was about to end may be over on one side.
    let is_over = |line: &&str| {
        let left = line.split(' ').next().and_then(|left| left.parse::<i64>().ok());
        left.is_some_and(|left| left <= slack)
    };
    here.iter().chain(&there).all(is_over)
}

/// What stands behind the time that is left, which comes first.
pub(crate) fn without_time(line: &str) -> &str {
    line.split_once(' ').map_or(line, |(_, rest)| rest)
}

/// Whether what is expected here, and at other ports there, is expected at ports that flows have: these may have been drawn. A port that a helper
/// draws has stood in a packet, and the sides have parted.
fn is_expected_at_own_ports(here: &str, there: &str, state: &[Part], slack: i64) -> bool {
    let flows = state.iter().find(|part| part.title == FLOWS);
    let has_flow = |port: &str| flows.is_some_and(|it| it.text.split_whitespace().any(|word| word == port));
    here.lines().all(|line| {
        let (left, words) = line.split_once(' ').unwrap_or(("", line));
        let is_over = left.parse::<i64>().is_ok_and(|left| left <= slack);
        let is_there = there
            .lines()
            .any(|other| other.split_once(' ').is_some_and(|it| it.1 == words));
        is_over || is_there || words.split(' ').filter(|word| word.starts_with("dport=")).all(has_flow)
    })
}

fn same_line(theirs: &str, own: &str, slack: i64) -> bool {
    if theirs == own {
        return true;
    }
    let (theirs, own): (Vec<_>, Vec<_>) = (theirs.split(' ').collect(), own.split(' ').collect());
    let reply = theirs.iter().rposition(|word| word.starts_with("src="));
    let of = |word: &str, key: &str| {
        let number = word.strip_prefix(key)?;
        match number.strip_prefix("0x") {
            Some(digits) => u16::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        }
    };
    let original = |line: &[&str], key: &str| line.iter().find_map(|word| of(word, key));
    theirs.len() == own.len()
        && theirs.iter().zip(&own).enumerate().all(|(at, (a, b))| {
            if a == b {
                return true;
            }
            match (a.parse::<i64>(), b.parse::<i64>()) {
                (Ok(a), Ok(b)) if at == 0 => return (a - b).abs() <= slack,
                _ => {}
            }
            let lived = |word: &str| word.strip_prefix("delta-time=")?.parse::<i64>().ok();
            if let (Some(a), Some(b)) = (lived(a), lived(b)) {
                return (a - b).abs() <= slack;
            }
            // A path's time follows a word of its own, and is no listing's: the slack of one does not count.
            let expires = |word: &str| word.strip_suffix("sec")?.parse::<i64>().ok();
            if at > 0
                && theirs[at - 1] == "expires"
                && let (Some(a), Some(b)) = (expires(a), expires(b))
            {
                return (a - b).abs() <= slack.max(1);
            }
            // Drawn by both: neither is the flow's own port.
            let drawn = |of_reply: &str, of_original: &str| match (of(a, of_reply), of(b, of_reply)) {
                (Some(a), Some(b)) => {
                    let wanted = original(&theirs, of_original);
                    let is_port = matches!(of_reply, "sport=" | "dport=");
                    Some(a) != wanted && Some(b) != wanted && (!is_port || class(a) == class(b))
                }
                _ => false,
            };
            reply.is_some_and(|reply| at > reply)
                && [
                    ("dport=", "sport="),
                    ("sport=", "dport="),
                    ("id=", "id="),
                    ("dstkey=", "srckey="),
                    ("srckey=", "dstkey="),
                ]
                .iter()
                .any(|(of_reply, of_original)| drawn(of_reply, of_original))
        })
}

/// The lines that only one side has.
fn apart(theirs: &str, own: &str, slack: i64) -> String {
    let mut out = String::new();
    for (mark, here, there) in [("kernel", theirs, own), ("nflab ", own, theirs)] {
        for line in here
            .lines()
            .filter(|line| !there.lines().any(|other| same_line(line, other, slack)))
        {
            out.push_str(&format!("{mark} | {line}\n"));
        }
    }
    if out.is_empty() {
        out = format!("the same lines in another order or number\nkernel\n{theirs}\nnflab\n{own}");
    }
    out
}

fn show(answer: &Answer) -> String {
    let mut out = String::new();
    if let Some(ToolAnswer {
        code,
        out: printed,
        err,
    }) = &answer.tool
    {
        out += &format!("exits with {code}, and prints\n{printed}{err}");
    }
    match answer.sent.as_slice() {
        [] => out += "sends nothing",
        sent => {
            out += "sends";
            for (interface, bytes) in sent {
                out += &format!("\n  {interface} {}\n    {}", sentence::of(bytes), hex(bytes));
            }
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    nflab::explain::describe::hex(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_that_no_packet_showed() {
        let mut scenario = Scenario::new("test");
        let bytes = crate::instrument::build::udp(("10.0.0.2", 53), ("192.0.2.9", 53), b"");
        scenario.receive("lan", bytes);
        let bytes = crate::instrument::build::udp(("10.0.0.2", 40_000), ("192.0.2.9", 53), b"");
        scenario.receive("lan", bytes);
        let drawn = Drawn::new(&scenario);
        let flow = |port: u16| {
            let text = format!(
                "ipv4 2 udp 17 29 src=10.0.0.2 dst=192.0.2.9 sport=400 dport=80 [UNREPLIED] src=192.0.2.9 dst=192.0.2.1 sport=80 dport={port} mark=0 zone=0 use=2"
            );
            let title = FLOWS.to_owned();
            vec![Part { title, text }]
        };
        for (theirs, own, expected) in [
            (300, 300, Likeness::Different),
            (300, 200, Likeness::Different),
            (300, 53, Likeness::Parted),
            (53, 200, Likeness::Parted),
            // One of them kept its own.
            (400, 53, Likeness::Different),
            // Of 64,512 just one that a packet carries.
            (50_000, 40_000, Likeness::Doubtful),
            (50_000, 40_001, Likeness::Different),
        ] {
            assert_eq!(
                drew_unseen(&drawn, &flow(theirs), &flow(own)),
                expected,
                "{theirs} {own}"
            );
        }
    }

    /// Only the payload of a later fragment is joined to the first.
    #[test]
    fn the_header_of_a_later_fragment_counts() {
        type Edit = fn(&mut Vec<u8>);
        let whole = crate::instrument::build::udp(("10.0.0.2", 5000), ("192.0.2.9", 53), &[7; 24]);
        let fragment = |at: usize, to: usize, protocol: u8, edit: Edit| {
            let mut bytes = whole[..20].to_vec();
            bytes.extend(&whole[20 + at..20 + to]);
            let word = (at / 8) as u16 | if to < 32 { 0x2000 } else { 0 };
            bytes[6..8].copy_from_slice(&word.to_be_bytes());
            bytes[9] = protocol;
            edit(&mut bytes);
            ("wan".to_owned(), bytes)
        };
        let event = Event::Wait(Duration::ZERO);
        let sent = |protocol, edit| Answer {
            sent: vec![fragment(0, 16, protocol, |_| {}), fragment(16, 32, protocol, edit)],
            tool: None,
        };
        let mut drawn = Drawn::new(&Scenario::new("test"));
        let mut likeness = |theirs: &Answer, own: &Answer| same_answer(&event, &mut drawn, None, theirs, own, 1);
        let edits: [(Edit, _); 5] = [
            (|_| {}, Likeness::Same),
            (|bytes| bytes[8] -= 1, Likeness::Different),
            (|bytes| bytes[10] ^= 1, Likeness::Different),
            (|bytes| bytes[15] ^= 1, Likeness::Different),
            (|bytes| bytes[30] ^= 1, Likeness::Different),
        ];
        for (edit, expected) in edits {
            for protocol in [ICMP, 17] {
                assert_eq!(likeness(&sent(protocol, |_| {}), &sent(protocol, edit)), expected);
            }
        }
    }

    /// A drawn port may be another, if it is a flow's; one that a text named may not.
    #[test]
    fn what_is_expected_at_another_port() {
        let flow = "29 ipv4 2 udp 17 src=10.0.0.2 dst=192.0.2.9 sport=4000 dport=69 src=192.0.2.9 dst=192.0.2.1 sport=69 dport=41000\n";
        let state = [Part {
            title: FLOWS.to_owned(),
            text: flow.to_owned(),
        }];
        let expected =
            |port: u16| format!("299 l3proto = 2 proto=6 src=0.0.0.0 dst=10.0.0.2 sport=0 dport={port} irc\n");
        for (here, there, is_free) in [(5001, 5001, true), (41000, 5001, true), (5001, 41000, false)] {
            let (here, there) = (expected(here), expected(there));
            assert_eq!(
                is_expected_at_own_ports(&here, &there, &state, 1),
                is_free,
                "{here} {there}"
            );
        }
        let over = expected(5001).replacen("299", "1", 1);
        assert!(is_expected_at_own_ports(&over, "", &state, 1));
    }

    /// Drawn numbers put lists in other orders; each line has one fellow.
    #[test]
    fn lists_are_the_same_in_the_order_of_what_was_drawn() {
        let expected =
            |port: u16| format!("299 l3proto = 2 proto=17 src=203.0.113.77 dst=192.0.2.1 sport=0 dport={port} tftp\n");
        let list = |ports: [u16; 2]| ports.map(expected).concat();
        assert!(same_text(&list([1423, 314]), &list([255, 50238]), 1));
        assert!(!same_text(&list([1423, 314]), &list([255, 254]), 1));
        assert!(!same_text(&list([1423, 314]), &list([255, 50238]), 0));
        // One that is over has another beside it that it might have been.
        let over = list([1423, 314]).replacen("299", "1", 1);
        let (_, other) = over.split_once('\n').unwrap();
        assert!(same_text(&over, other, 1) && same_text(other, &over, 1));
        assert!(!same_text(&list([1423, 314]), other, 1));
    }

    #[test]
    fn what_is_free_in_a_text_and_what_is_not() {
        let flow = |left, state, drawn| {
            format!(
                "ipv4     2 tcp      6 {left} {state} src=10.0.0.2 dst=192.0.2.9 sport=4000 dport=80 src=192.0.2.9 dst=192.0.2.1 sport=80 dport={drawn} [ASSURED] mark=0 zone=0 use=2\n"
            )
        };
        let keys = |drawn: u16| {
            format!(
                "ipv4     2 gre      47 29 src=10.0.0.2 dst=192.0.2.9 srckey=0x13de dstkey=0x13dd src=192.0.2.9 dst=192.0.2.1 srckey=0x13dd dstkey={drawn:#x} mark=0 zone=0 use=2\n"
            )
        };
        let same = |a: &str, b: &str| same_text(&normal(FLOWS, a), &normal(FLOWS, b), 1);
        for (a, b, expected) in [
            (flow(119, "TIME_WAIT", 4000), flow(120, "TIME_WAIT", 4000), true),
            (flow(118, "TIME_WAIT", 4000), flow(120, "TIME_WAIT", 4000), false),
            (flow(119, "TIME_WAIT", 4000), flow(119, "CLOSE", 4000), false),
            (
                flow(119, "CLOSE", 4000).replace(" use", " delta-time=0 use"),
                flow(119, "CLOSE", 4000).replace(" use", " delta-time=1 use"),
                true,
            ),
            (
                flow(119, "CLOSE", 4000).replace(" use", " delta-time=0 use"),
                flow(119, "CLOSE", 4000),
                false,
            ),
            (flow(119, "CLOSE", 2000), flow(119, "CLOSE", 3000), true),
            (flow(119, "CLOSE", 2000), flow(119, "CLOSE", 700), false),
            (flow(119, "CLOSE", 4000), flow(119, "CLOSE", 3000), false),
            (keys(0x2c9d), keys(0x3ee0), true),
            (keys(0x2c9d), keys(0x13de), false),
            (flow(119, "CLOSE", 4000), String::new(), false),
            (flow(2, "CLOSE", 4000), String::new(), false),
            (flow(1, "CLOSE", 4000), String::new(), true),
            (String::new(), flow(0, "CLOSE", 4000), true),
            (flow(1, "CLOSE", 4000), flow(119, "CLOSE", 3000), false),
        ] {
            assert_eq!(same(&a, &b), expected, "{a}{b}");
        }
        let (a, b) = (flow(1, "CLOSE", 4000), flow(1, "CLOSE", 4000).replace("4000", "4001"));
        assert!(same(&format!("{a}{b}"), &format!("{b}{a}")));
        let wide = flow(119, "CLOSE", 4000);
        assert!(same_blanks(FLOWS, &wide, &flow(9, "CLOSE", 40)));
        assert!(!same_blanks(FLOWS, &wide, &wide.replace("ipv4     ", "ipv4 ")));
        let two = format!("{wide}{}", flow(1, "CLOSE", 40));
        assert!(same_blanks(FLOWS, &two, &wide) && same_blanks(FLOWS, &wide, &two));
        assert!(!same_blanks(FLOWS, &two, &wide.replace("ipv4     ", "ipv4 ")));
        let date = "# Completed on Fri\n";
        assert_eq!(normal("iptables-save -c", &format!("*filter\n{date}")), "*filter\n");
        // As both sides' answers are compared: what is left of a path's time is apart by no more than a second, wherever it stands.
        let way = |seconds| {
            normal(
                "ip route get 10.0.0.9",
                &format!("    cache expires {seconds}sec mtu 1400 \n"),
            )
        };
        for (theirs, own, expected) in [(299, 300, true), (590, 591, true), (591, 600, false), (600, 591, false)] {
            assert_eq!(same_text(&way(theirs), &way(own), 0), expected, "{theirs} {own}");
        }
        assert!(!same_text("[1:40] -A INPUT", "[2:40] -A INPUT", 1));
        for (left, expected) in [
            ("cache expires 599sec mtu 1400", true),
            ("cache expires 598sec mtu 1400", false),
            ("cache expires 600sec mtu 1399", false),
            ("cache mtu 1400", false),
            ("cache advmss 599sec mtu 1400", false),
        ] {
            assert_eq!(same_text("cache expires 600sec mtu 1400", left, 0), expected, "{left}");
        }
        // The number of a rule and the value of a knob come first in a line too, and are no times.
        let answer = |out: &str| Answer {
            tool: Some(ToolAnswer {
                out: out.to_owned(),
                ..ToolAnswer::default()
            }),
            ..Answer::default()
        };
        let mut drawn = Drawn::new(&Scenario::new("test"));
        for (name, expected) in [("sysctl", Likeness::Different), ("conntrack", Likeness::Same)] {
            let event = Event::Tool {
                name,
                args: vec!["-n".to_owned()],
                input: String::new(),
            };
            let found = same_answer(&event, &mut drawn, None, &answer("120 x\n"), &answer("121 x\n"), 1);
            assert_eq!(found, expected, "{name}");
        }
    }

    /// The real tool of IPv6 may find a rule where none is; everything else that two exit codes say is a difference.
    #[test]
    fn only_the_tool_of_ipv6_finds_another_rule() {
        let answer = |code| Answer {
            tool: Some(ToolAnswer {
                code,
                ..ToolAnswer::default()
            }),
            ..Answer::default()
        };
        let call = |name, words: &str, input: &str| Event::Tool {
            name,
            args: words.split(' ').map(str::to_owned).collect(),
            input: input.to_owned(),
        };
        let asked = "-t raw -C INPUT -s fd00::1 -j DROP";
        let deleted = asked.replace("-C", "-D");
        let other = call("ip6tables", "-t raw -A INPUT -s fd00::2 -j DROP", "");
        let of_ipv4 = call("iptables", &asked.replace("-C", "-A"), "");
        let given = call("ip6tables", &asked.replace("-C", "-A"), "");
        let taken = call("ip6tables", &deleted, "");
        let inserted = call("ip6tables", &asked.replace("-C INPUT", "-I INPUT 2"), "");
        let restored = call(
            "ip6tables-restore",
            "-n",
            "*raw\n[1:2] -A INPUT -s fd00::1 -j DROP\nCOMMIT\n",
        );
        for (before, name, words, theirs, own, expected) in [
            (&other, "ip6tables", asked, 0, 1, true),
            (&of_ipv4, "ip6tables-legacy", &deleted, 0, 1, true),
            (&given, "ip6tables", asked, 0, 1, false),
            (&inserted, "ip6tables", &deleted, 0, 1, false),
            (&restored, "ip6tables", &deleted, 0, 1, false),
            (&other, "ip6tables", "-t raw -D INPUT 1", 0, 1, false),
            (&other, "ip6tables", asked, 1, 0, false),
            (&other, "ip6tables", asked, 0, 2, false),
            (&other, "ip6tables", "-t raw -A INPUT -s fd00::1 -j DROP", 0, 1, false),
            (&other, "iptables", asked, 0, 1, false),
        ] {
            let event = call(name, words, "");
            let found = finds_another(
                &[given.clone(), taken.clone(), before.clone()],
                &event,
                &answer(theirs),
                &answer(own),
            );
            assert_eq!(found, expected, "{before:?}, {name} {words}: {theirs}, {own}");
        }
    }
}
