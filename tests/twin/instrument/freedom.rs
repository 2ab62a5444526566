//! What the kernel chooses at random, and what is held of it instead of equality. Nothing else may differ.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::ops::RangeInclusive;

use super::generate::packet::seal_sctp;
use super::layout::{ICMP, ICMPV6, IPV6, Upper, addresses, is_ipv6, outer_piece, pseudo_header, total_length, upper};
use super::scenario::{Event, Scenario};

/// A choice that two honest sides make differently.
pub(crate) struct Freedom {
    pub what: &'static str,
    pub why: &'static str,
    /// What is checked of it.
    pub held: &'static str,
}

pub(crate) const FREEDOMS: &[Freedom] = &[
    Freedom {
        what: "the source port, the ICMP identifier, or the number of a call in PPTP's GRE, that NAT gives a flow whose wanted one is taken, or under --random \
               or --random-fully",
        why: "the kernel starts its search at a random number",
        held: "both sides draw, both stay in the class of the wanted port (1-511, 512-1023, above), and from then on one of theirs stands for \
               one of ours in every packet, quoted or not, with the checksums that follow",
    },
    Freedom {
        what: "the port that the helpers of FTP and IRC announce under NAT where the announced one is expected already",
        why: "the kernel starts its search at a random number",
        held: "both sides announce another; the comparison ends there, because the length of the packet depends on it",
    },
    Freedom {
        what: "the port that a helper of H.323 writes into a message where the one there is expected already",
        why: "the kernel tries others at random",
        held: "both sides write another, and the messages differ in nothing else; the comparison ends there",
    },
    Freedom {
        what: "the source port that NAT draws for a flow whose messages name it (SIP, H.323)",
        why: "the kernel starts its search at a random number",
        held: "both sides draw another, and the text is the same but for that; the comparison ends there, because its length depends on it. Where a rule \
               drops it, and only counters tell, its digits must be more or fewer",
    },
    Freedom {
        what: "the port that the SIP helper announces under NAT where the announced one is expected already",
        why: "the kernel tries others at random, none below the announced one, or the one that NAT gave the sender who announces its own",
        held: "both sides announce another, none below those, and the texts differ in nothing but that; the comparison ends there",
    },
    Freedom {
        what: "the IP identification of ICMP messages that the router itself makes, also where one is quoted",
        why: "the kernel counts from a random number for each pair of hosts",
        held: "everything else in the packet, and that the header's checksum follows",
    },
    Freedom {
        what: "the number of an IPv6 packet that the router cuts itself",
        why: "the kernel draws it",
        held: "its pieces have one number, another than what came, and everything else in each; where an error quotes one, everything else in that",
    },
    Freedom {
        what: "headers of authentication and of fragments before what reaches the router itself in IPv6, and what it says of their numbers and its length",
        why: "a raw socket of IPv6 hears what stands behind all headers, and is told of the others alone",
        held: "addresses, hop limit, class and label, options hop by hop and of the destination, routes, and everything behind the headers",
    },
    Freedom {
        what: "what reaches the router itself of an IPv6 packet that came in pieces whose headers of fragments stand behind others",
        why: "it reads on there by the number of the first header, and a raw socket hears what it takes for that protocol",
        held: "what the router answers, counters and flows; where an answer says that a header is wrong, the scenario runs again, because NAT may have drawn \
               a port that is read as part of one, and what shows three times is a difference",
    },
    Freedom {
        what: "what the kernel says in IPv6 of its own accord: reports of its multicast groups and questions for routers",
        why: "it says it when it likes, which is why a policy of IPsec ends each of these before any rule sees it",
        held: "nothing",
    },
    Freedom {
        what: "the transport checksum of a packet that the router sends to itself, as it is delivered",
        why: "the kernel leaves it for a device to finish, and there is none on the way round",
        held: "the kernel's is the sum of the pseudo header, as far as it got; nflab's is whole. With offload nothing: a helper may have written over what \
               is unfinished, and who receives it looks at no sum",
    },
    Freedom {
        what: "with offload, whether a checksum of TCP that comes to nothing is written as zeros or as ones",
        why: "who sums up in the first place writes zeros, and who finishes ones; what left is finished by the twin where its device would",
        held: "that it is right",
    },
    Freedom {
        what: "the checksum of SCTP where an ICMP error quotes the beginning of a packet whose port was drawn",
        why: "it covers what is not quoted",
        held: "everything else in the packet, and that the error's own checksum follows",
    },
    Freedom {
        what: "the times of day in the router's answer to an ICMP timestamp request",
        why: "the two sides are asked one after the other",
        held: "they are not a minute apart, and the checksum follows",
    },
    Freedom {
        what: "a second in the time that a flow, an expectation or a path's size (expires) has left, or a flow has lived (delta-time=)",
        why: "the two sides are asked one after the other, and the kernel counts in jiffies",
        held: "the difference is at most one second, and as many more as the machine halted between them; what has no more left may be over on \
               the other side",
    },
    Freedom {
        what: "the order between TCP, UDP and ICMP of what reaches the router, where it gets several of one of them at once",
        why: "a socket for each hears them, which does not say when",
        held: "the order of each protocol's own, and all bytes",
    },
    Freedom {
        what: "the times in a list of `-m recent`, and the order of its addresses",
        why: "the kernel prints jiffies since it was started, in the order of a hash with a secret",
        held: "both have the same addresses, each with the same TTL, as many times, and the same place for the next; whether a time is long enough ago \
               is held by kept cases that wait",
    },
    Freedom {
        what: "the seconds that entries of `-m hashlimit` have left in a table's file, parts of tokens, and the order of its entries",
        why: "tokens come with the kernel's jiffies, in which the two sides are not asked at once; and its order is that of a hash with a secret",
        held: "both have the same entries, each with as many whole tokens and the same cost, or the same count; when entries are over and tokens come is \
               held by kept cases that wait",
    },
    Freedom {
        what: "the order of flows in a listing",
        why: "the kernel lists by a hash with a secret",
        held: "both list the same flows",
    },
    Freedom {
        what: "the count of references of a flow (use=) that `conntrack -D` prints",
        why: "it falls with each flow that the helper announced and that was deleted before, in the order of the hash",
        held: "nothing; in listings it is the same",
    },
    Freedom {
        what: "whether an ICMP error about a missing, unreachable or prohibited route leaves, or a redirect of IPv6, where its sender had some within the last \
               seconds",
        why: "one leaves for each second, whose beginnings differ by what passes between the two sides; no namespace can change the limit",
        held: "everything else that the packet caused; the comparison ends there, and the kept cases hold which of the first ones leave. Where a rule \
               drops them, and only counters tell, the scenario runs again, and what shows three times is a difference",
    },
    Freedom {
        what: "the checksum of a datagram in an ICMP error of the router's own, where ports are drawn; with offload of a datagram or a segment in any error",
        why: "of what a helper wrote over it is unfinished, and of the port that INPUT gave; the quoted port is the sender's again. An unfinished one that \
              is quoted follows a drawn port that was never in it",
        held: "everything else in the packet, and that the error's own checksum follows; where no rule draws, that it follows the drawn port",
    },
    Freedom {
        what: "whether `ip6tables -C` and `-D` find a rule that is like one there, but not it",
        why: "1.8.9 looks at the beginning of a rule alone, and beyond that at what its memory happens to hold (1.8.10 has it mended)",
        held: "that the real tool finds one, and nflab none, and that nobody gave it since rules were taken away; the comparison ends there, because the \
               real one deletes another",
    },
    Freedom {
        what: "on which processor `conntrack -S` counts, and how often a search began anew (search_restart=)",
        why: "a lab has one table and no processors, and all namespaces of a kernel share one table",
        held: "the sums",
    },
    Freedom {
        what: "the date in a saved file",
        why: "it is the time of day",
        held: "nothing",
    },
    Freedom {
        what: "the order of packets that leave by different interfaces because of one event",
        why: "TUN devices do not say which was first",
        held: "the order by each interface; what the kernel has been seen to send by two at once is only what time-outs make it send",
    },
];

/// Whether both sides announced another port than the packet of FTP or IRC that came, and not the same.
pub(crate) fn announced_apart(cause: &[u8], theirs: &[u8], own: &[u8]) -> bool {
    match (announced(cause), announced(theirs), announced(own)) {
        (Some(came), Some(theirs), Some(own)) => came != theirs && came != own && theirs != own,
        _ => false,
    }
}

/// Whether each side drew a source port of its own for a datagram, and what left differs in nothing but that it names it: as a text does (SIP), or behind
/// an address (H.323).
pub(crate) fn named_apart(cause: &[u8], theirs: &[u8], own: &[u8]) -> bool {
    let (Some((came, _)), Some((a, theirs)), Some((b, own))) = (datagram(cause), datagram(theirs), datagram(own))
    else {
        return false;
    };
    let in_text = |bytes: &[u8], port: u16| String::from_utf8_lossy(bytes).replace(&format!(":{port}"), ":");
    let in_bytes = |bytes: &[u8], port: u16| {
        let mut bytes = bytes.to_vec();
        let at = bytes.windows(2).position(|there| there == port.to_be_bytes());
        at.map(|at| bytes.drain(at..at + 2));
        bytes
    };
    let is_same = in_text(theirs, a) == in_text(own, b) || in_bytes(theirs, a) == in_bytes(own, b);
    came != a && came != b && a != b && theirs != own && is_same
}

/// Whether each side announced a port of its own in the place of one that a text names behind a colon, and the texts that left differ in nothing
/// else. The search begins at the port that came, or at the one that the sender has now, where it announced its own.
pub(crate) fn announced_by_text_apart(cause: &[u8], theirs: &[u8], own: &[u8]) -> bool {
    let source = |sent: &[u8]| {
        sent.get(upper(sent, 0)?.at..)?
            .first_chunk()
            .map(|port| u16::from_be_bytes(*port))
    };
    let sender = source(theirs).filter(|port| source(own) == Some(*port));
    let (Some(came), Some(theirs), Some(own)) = (said(cause), said(theirs), said(own)) else {
        return false;
    };
    let (came, theirs, own) = (words(&came), words(&theirs), words(&own));
    if came.len() != theirs.len() || theirs.len() != own.len() {
        return false;
    }
    let differing = (1..own.len()).filter(|at| theirs[*at] != own[*at]);
    let mut pairs = differing.map(|at| {
        let port = |words: &[&str]| words[at].parse::<u16>().ok().filter(|_| words[at - 1].ends_with(':'));
        let (came, theirs, own) = (port(&came)?, port(&theirs)?, port(&own)?);
        let first = sender.map_or(came, |sender| came.min(sender));
        [theirs, own]
            .iter()
            .all(|port| *port > first && *port != came)
            .then_some((theirs, own))
    });
    let first = pairs.next().flatten();
    first.is_some() && theirs[0] == own[0] && pairs.all(|pair| pair == first)
}

/// Whether each side wrote a port of its own over the one that a message of H.323 carries behind an address, and nothing else differs in what left.
pub(crate) fn written_apart(cause: &[u8], theirs: &[u8], own: &[u8]) -> bool {
    let (Some(came), Some(theirs), Some(own)) = (message(cause), message(theirs), message(own)) else {
        return false;
    };
    if came.len() != theirs.len() || theirs.len() != own.len() {
        return false;
    }
    let Some(at) = (0..own.len()).find(|at| theirs[*at] != own[*at]) else {
        return false;
    };
    // A port ends where its second byte does, which may be the one that differs.
    let is_port = |at: usize| {
        let port = |of: &[u8]| of.get(at..at + 2).map(|it| [it[0], it[1]]);
        let rest = |of: &[u8]| of.get(at + 2..).map(<[u8]>::to_vec);
        let (a, b, c) = (port(came), port(theirs), port(own));
        b.is_some() && a != b && a != c && b != c && rest(theirs) == rest(own)
    };
    is_port(at) || at > 0 && is_port(at - 1)
}

/// What stands in a segment of TCP behind the mark and the length of a message.
fn message(bytes: &[u8]) -> Option<&[u8]> {
    const MARK: [u8; 2] = [3, 0];
    let transport = upper(bytes, 0).filter(|upper| upper.protocol == 6)?.at;
    let length = usize::from(*bytes.get(transport + 12)? >> 4) * 4;
    bytes.get(transport + length..)?.strip_prefix(&MARK)
}

/// Numbers, addresses of IPv6 in brackets, and what stands between them.
fn words(text: &str) -> Vec<&str> {
    let mut is_address = false;
    text.as_bytes()
        .chunk_by(|a, b| {
            is_address = *a == b'[' || is_address && *a != b']';
            is_address || *b != b'[' && *a != b']' && a.is_ascii_digit() == b.is_ascii_digit()
        })
        .scan(0, |at, word| {
            let start = *at;
            *at += word.len();
            Some(start..*at)
        })
        .filter_map(|range| text.get(range))
        .collect()
}

/// What a segment or a datagram says, if that is a text.
fn said(bytes: &[u8]) -> Option<String> {
    let Upper {
        protocol,
        at: transport,
    } = upper(bytes, 0)?;
    let length = match protocol {
        6 => usize::from(*bytes.get(transport + 12)? >> 4) * 4,
        17 => 8,
        _ => return None,
    };
    String::from_utf8(bytes.get(transport + length..)?.to_vec()).ok()
}

/// Its source port and what it says.
fn datagram(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let udp = upper(bytes, 0).filter(|upper| upper.protocol == 17)?.at;
    let said = bytes.get(udp + 8..)?;
    Some((u16::from_be_bytes([bytes[udp], bytes[udp + 1]]), said))
}

/// The port in the payload of a packet: FTP's `...,16,65` or `|4161|`, or what stands behind the number of an address in an offer of IRC.
fn announced(bytes: &[u8]) -> Option<u16> {
    let transport = upper(bytes, 0).filter(|upper| upper.protocol == 6)?.at;
    let length = usize::from(*bytes.get(transport + 12)? >> 4) * 4;
    let text = std::str::from_utf8(bytes.get(transport + length..)?).ok()?;
    if let Some((_, offer)) = text.split_once("DCC ") {
        let mut words = offer.split([' ', '\u{1}']);
        words.find(|word| word.len() > 6 && word.parse::<u32>().is_ok())?;
        return words.next()?.parse().ok();
    }
    let line = text.lines().next()?;
    if let Some((before, _)) = line.rsplit_once('|') {
        return before.rsplit('|').next()?.parse().ok();
    }
    let mut groups = line.split(|letter: char| !letter.is_ascii_digit() && letter != ',');
    let mut numbers = groups.find(|word| word.split(',').count() == 6)?.rsplit(',');
    let (low, high): (u8, u8) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some(u16::from_be_bytes([high, low]))
}

/// How two packets compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Likeness {
    Same,
    /// One side drew a number that the scenario uses elsewhere too: from here on the two are bound to go different ways.
    Parted,
    /// The same, where a draw would have had to meet one number among tens of thousands: a fault looks like that too, and does so each time.
    Doubtful,
    Different,
}

/// The ports that each side drew, and which stands for which.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    /// By whose port it is: our draw to the kernel's.
    known: HashMap<(Flow, u16), u16>,
    theirs: HashSet<(Flow, u16)>,
    /// Ports that the scenario's packets carry, by protocol.
    carried: HashSet<(u8, u16)>,
    /// Ports that its rules name.
    named: HashSet<u16>,
    /// Ranges that its rules draw from, where draws meet each other and what is named.
    few: Vec<RangeInclusive<u16>>,
    /// The ranges of ports among its conditions.
    ranges: Vec<RangeInclusive<u16>>,
    /// A rule asks for random ports, so that even the wanted one may be drawn.
    any: bool,
    /// Checksums are unfinished.
    offload: bool,
}

/// Protocol, and the other end.
type Flow = (u8, IpAddr, u16);

/// A port in a packet.
struct Place {
    at: usize,
    flow: Flow,
    /// The checksum that covers it, if there is one and it is in the packet.
    checksum: Option<usize>,
    /// A checksum over the packet that quotes it.
    outer: Option<usize>,
    /// Where an SCTP packet begins whose checksum is made anew by who changes a port.
    summed_from: Option<usize>,
}

impl Drawn {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let mut drawn = Self::default();
        for event in &scenario.events {
            match event {
                Event::Packet { bytes, .. } => {
                    for place in places(bytes) {
                        drawn.carried.insert((place.flow.0, word(bytes, place.at)));
                    }
                }
                Event::Tool { args, input, .. } => {
                    for text in args.iter().map(String::as_str).chain([input.as_str()]) {
                        drawn.any |= text.contains("--random");
                        drawn.names(text);
                        drawn.ranges.extend(ranges(text));
                    }
                }
                _ => {}
            }
        }
        drawn
    }

    /// For packets whose checksums may be unfinished.
    pub(crate) fn with_offload(self, offload: bool) -> Self {
        Self { offload, ..self }
    }

    /// Every number of a rule that could be a port, and all within a narrow range.
    fn names(&mut self, text: &str) {
        let mut before = None;
        for number in text.split(|letter: char| !letter.is_ascii_digit() && letter != '-') {
            let (low, high) = number.split_once('-').unwrap_or((number, number));
            let (Ok(low), Ok(high)) = (low.parse::<u16>(), high.parse::<u16>()) else {
                before = None;
                continue;
            };
            if high >= low && high - low <= NARROW {
                self.named.extend(low..=high);
            }
            if high > low && high - low <= FEW {
                self.few.push(low..=high);
            }
            if let Some(first) = before.replace(low)
                && low > first
                && low - first <= NARROW
            {
                self.named.extend(first..=low);
            }
        }
    }

    /// Compares a packet that left, `cause` being the one that came.
    pub(crate) fn compare(&mut self, cause: Option<&[u8]>, is_local: bool, theirs: &[u8], own: &[u8]) -> Likeness {
        if theirs == own {
            return Likeness::Same;
        }
        if theirs.len() != own.len() || own.len() < 20 {
            return Likeness::Different;
        }
        let mut mine = own.to_vec();
        // An answer may draw the number of the question.
        let kind = |bytes: &[u8], at: usize| upper(bytes, at).and_then(|upper| bytes.get(upper.at).copied());
        let is_passed_on = |at: usize| {
            cause.is_some_and(|cause| {
                cause.len() >= 20
                    && (cause[4..6] == own[at + 4..at + 6] || cause[4..6] == theirs[at + 4..at + 6])
                    && cause[9] == own[at + 9]
                    && (kind(own, at).is_none() || kind(cause, 0) == kind(own, at))
            })
        };
        let is_icmp = |at: usize| !is_ipv6(own, at) && own[at + 9] == ICMP;
        if is_icmp(0) && !is_passed_on(0) {
            identify(&mut mine, theirs);
        }
        if let Some((at, sum)) = quoted(own)
            && is_icmp(at)
            && !is_passed_on(at)
        {
            set(&mut mine, at + 4, word(theirs, at + 4), Some(at + 10), Some(sum));
        }
        if is_ipv6(own, 0) {
            number(&mut mine, theirs, cause);
        }
        // What came with the packet, but what both sides left where it was: that is no other port's by chance.
        let brought: Vec<u16> = cause.map_or_else(Vec::new, |cause| {
            let is_left = |at: usize, port: u16| [own, theirs].iter().all(|sent| word(sent, at) == port);
            let mut left = places(own).into_iter().map(|place| place.at);
            let came = places(cause).into_iter().map(|place| word(cause, place.at));
            came.filter(|&port| !left.next().is_some_and(|at| is_left(at, port)))
                .collect()
        });
        for place in places(own) {
            let (ours, wanted) = (word(&mine, place.at), word(theirs, place.at));
            if ours == wanted {
                continue;
            }
            match self.learn(place.flow, ours, wanted, &brought) {
                Likeness::Same => {
                    set(&mut mine, place.at, wanted, place.checksum, place.outer);
                    sum_up(&mut mine, &place, theirs);
                }
                other => return other,
            }
        }
        if is_icmp(0) && !is_passed_on(0) {
            agree_on_the_time(&mut mine, theirs);
        }
        if is_local {
            unfinish(&mut mine, theirs);
        }
        if is_local
            && self.offload
            && let Some(at) = checksum_place(&mine)
        {
            mine[at..at + 2].copy_from_slice(&theirs[at..at + 2]);
        }
        if self.offload {
            forget_a_quoted_sum(&mut mine, theirs, &[6, 17]);
        } else if !is_local && (self.any || !self.few.is_empty()) {
            forget_a_quoted_sum(&mut mine, theirs, &[17]);
        }
        self.follow_in_a_quoted_sum(&mut mine, theirs);
        match mine == theirs {
            true => Likeness::Same,
            false => Likeness::Different,
        }
    }

    /// What the host quotes of a datagram has the sender's port again, and where a helper wrote into it the sum of the one that was drawn for it.
    fn follow_in_a_quoted_sum(&self, mine: &mut Vec<u8>, theirs: &[u8]) {
        let Some((sum, checksum)) = quoted_sum(mine, &[17]) else {
            return;
        };
        if quoted_sum(theirs, &[17]) != Some((sum, checksum)) || word(mine, checksum) == word(theirs, checksum) {
            return;
        }
        for ((_, ours), wanted) in self.known.iter().filter(|((flow, _), _)| flow.0 == 17) {
            let mut tried = mine.clone();
            let (before, after) = follow(&mut tried, checksum, *wanted, *ours);
            follow(&mut tried, sum, before, after);
            if word(&tried, checksum) == word(theirs, checksum) {
                *mine = tried;
                return;
            }
        }
    }

    /// Whether the scenario will treat two draws differently: a rule names one or a packet carries it, or a rule matches the one and not the other.
    pub(crate) fn parting(&self, protocol: u8, ours: u16, theirs: u16) -> Option<Likeness> {
        let is_used = |port: u16| self.named.contains(&port) || self.carried.contains(&(protocol, port));
        if is_used(ours) || is_used(theirs) {
            return Some(self.by_chance(protocol, ours, theirs));
        }
        let mut ranges = self.ranges.iter();
        let differ = ranges.any(|range| range.contains(&ours) != range.contains(&theirs));
        differ.then_some(Likeness::Parted)
    }

    /// Whether a number that one side drew for what came with another may have met a range that the other side's draw did not: what only one side sent.
    pub(crate) fn may_have_parted(&self, cause: &[u8], sent: &[u8]) -> bool {
        let brought: Vec<u16> = places(cause).into_iter().map(|place| word(cause, place.at)).collect();
        let mut carried = places(sent).into_iter().map(|place| word(sent, place.at));
        self.any && !self.ranges.is_empty() && carried.any(|port| !brought.contains(&port))
    }

    /// Two numbers of which one met what it should not have: so it goes where there are few to draw from.
    fn by_chance(&self, protocol: u8, ours: u16, theirs: u16) -> Likeness {
        let is_one_of_few = |port: u16| {
            !is_identifier(protocol) && class(port) != 2 || self.few.iter().any(|range| range.contains(&port))
        };
        match is_one_of_few(ours) || is_one_of_few(theirs) {
            true => Likeness::Parted,
            false => Likeness::Doubtful,
        }
    }

    /// `brought` are the ports that one side may have kept.
    fn learn(&mut self, flow: Flow, ours: u16, theirs: u16, brought: &[u16]) -> Likeness {
        if let Some(known) = self.known.get(&(flow, ours)) {
            // What was drawn before may be drawn again when its flow is over, by one side only.
            return match *known == theirs {
                true => Likeness::Same,
                false => self.by_chance(flow.0, ours, theirs),
            };
        }
        if brought.contains(&ours) || brought.contains(&theirs) {
            // One side drew and the other did not; which only a rule that says --random can excuse.
            return match self.any {
                true => self.by_chance(flow.0, ours, theirs),
                false => Likeness::Different,
            };
        }
        if let Some(parting) = self.parting(flow.0, ours, theirs) {
            return parting;
        }
        if !is_identifier(flow.0) && class(ours) != class(theirs) {
            return Likeness::Different;
        }
        if !self.theirs.insert((flow, theirs)) {
            return self.by_chance(flow.0, ours, theirs);
        }
        self.known.insert((flow, ours), theirs);
        Likeness::Same
    }
}

/// `1024:` and the like.
fn ranges(text: &str) -> impl Iterator<Item = RangeInclusive<u16>> {
    let words = text.split(|letter: char| letter.is_whitespace() || letter == ',');
    words.filter_map(|word| {
        let (low, high) = word.split_once(':')?;
        let end = |text: &str, open: u16| match text {
            "" => Some(open),
            _ => text.parse().ok(),
        };
        Some(end(low, 0)?..=end(high, u16::MAX)?)
    })
}

/// A port that is chosen anew stays among the lowest, the privileged, or the others.
pub(crate) fn class(port: u16) -> u8 {
    match port {
        0..512 => 0,
        512..1024 => 1,
        _ => 2,
    }
}

const GRE: u8 = 47;
const SCTP: u8 = 132;
/// A range of so many ports is soon exhausted, so that draws from it meet.
const NARROW: u16 = 256;
/// And from one of so many they meet now and then.
const FEW: u16 = 4096;

/// An ICMP identifier is of no class, nor is the number of a call.
fn is_identifier(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMPV6 | GRE)
}

/// Where the packet of one of these protocols begins that an ICMP error quotes, and where its checksum stands, if that is there.
fn quoted_sum(bytes: &[u8], protocols: &[u8]) -> Option<(usize, usize)> {
    let (at, sum) = quoted(bytes)?;
    let upper = upper(bytes, at).filter(|upper| protocols.contains(&upper.protocol))?;
    let checksum = upper.at + if upper.protocol == 6 { 16 } else { 6 };
    (checksum + 2 <= bytes.len()).then_some((sum, checksum))
}

/// The checksum that an error quotes of a datagram may be one of a port that is not in the packet any more.
fn forget_a_quoted_sum(mine: &mut [u8], theirs: &[u8], protocols: &[u8]) {
    if let Some((sum, checksum)) = quoted_sum(mine, protocols)
        && quoted_sum(theirs, protocols) == Some((sum, checksum))
    {
        set(mine, checksum, word(theirs, checksum), None, Some(sum));
    }
}

/// Where the packet begins that a message quotes, and where the message's checksum stands.
fn quoted(bytes: &[u8]) -> Option<(usize, usize)> {
    let upper = upper(bytes, 0)?;
    let kind = *bytes.get(upper.at)?;
    let (before, header) = match (upper.protocol, kind) {
        (ICMP, 3 | 4 | 5 | 11 | 12) => (8, 20),
        // Also those that nobody knows.
        (ICMPV6, 0..128) => (8, IPV6),
        // A redirect names two hosts, and quotes in an option.
        (ICMPV6, 137) => (8 + 32 + 8, IPV6),
        _ => return None,
    };
    let at = upper.at + before;
    (bytes.len() >= at + header).then_some((at, upper.at + 2))
}

/// Where ports (and ICMP identifiers, and numbers of calls) stand in a packet, and in the packet that it quotes.
fn places(bytes: &[u8]) -> Vec<Place> {
    let mut places = Vec::new();
    let (at, outer) = match quoted(bytes) {
        None => (0, None),
        Some((at, sum)) => (at, Some(sum)),
    };
    // What is quoted is taken for the family that quotes it, whatever version it says.
    let mut read = bytes.to_vec();
    if let (Some(quoting), Some(quoted)) = (bytes.first(), read.get_mut(at)) {
        *quoted = quoting & 0xf0 | *quoted & 0xf;
    }
    if let Some(upper) = upper(&read, at) {
        ports(&read, at, upper, outer, &mut places);
    }
    places
}

fn ports(bytes: &[u8], ip: usize, upper: Upper, outer: Option<usize>, places: &mut Vec<Place>) {
    let Some((source, destination)) = addresses(bytes, ip) else {
        return;
    };
    let Upper { protocol, at } = upper;
    let checksum = |offset: usize| (bytes.len() >= at + offset + 2).then_some(at + offset);
    match protocol {
        6 | 17 | 33 | SCTP | 136 if bytes.len() >= at + 4 => {
            let checksum = match protocol {
                6 => checksum(16),
                17 | 136 => checksum(6).filter(|&at| word(bytes, at) != 0),
                _ => None,
            };
            let (from, to) = (word(bytes, at), word(bytes, at + 2));
            for (offset, flow) in [(0, (protocol, destination, to)), (2, (protocol, source, from))] {
                places.push(Place {
                    at: at + offset,
                    flow,
                    checksum,
                    outer,
                    summed_from: (protocol == SCTP).then_some(at),
                });
            }
        }
        // Of PPTP's the number of the call, in the key.
        GRE if bytes.len() >= at + 8 && bytes[at] & 0x20 != 0 && bytes[at + 1] & 7 == 1 => places.push(Place {
            at: at + 6,
            flow: (protocol, destination, 0),
            checksum: None,
            outer,
            summed_from: None,
        }),
        ICMP | ICMPV6 if bytes.len() >= at + 6 => {
            let is_question = match (protocol, bytes[at]) {
                (ICMP, 8 | 13 | 15 | 17) | (ICMPV6, 128) => true,
                (ICMP, 0 | 14 | 16 | 18) | (ICMPV6, 129) => false,
                _ => return,
            };
            let other = if is_question { destination } else { source };
            places.push(Place {
                at: at + 4,
                flow: (protocol, other, 0),
                checksum: checksum(2),
                outer,
                summed_from: None,
            });
        }
        _ => {}
    }
}

/// Gives a packet that the router has cut itself, also one that an error quotes, the number of the other side's, which each draws; not where it has that of
/// the packet that came.
fn number(mine: &mut [u8], theirs: &[u8], cause: Option<&[u8]>) {
    let came = cause.and_then(outer_piece).map(|piece| piece.identification);
    number_at(mine, theirs, came, (0, None));
    if let Some((at, sum)) = quoted(mine)
        && quoted(theirs) == Some((at, sum))
    {
        number_at(mine, theirs, came, (at, Some(sum)));
    }
}

fn number_at(mine: &mut [u8], theirs: &[u8], came: Option<u32>, (at, outer): (usize, Option<usize>)) {
    let (Some(own), Some(there)) = (outer_piece(&mine[at..]), outer_piece(&theirs[at..])) else {
        return;
    };
    let is_drawn = |number: u32| came != Some(number);
    if is_ipv6(mine, at) && own.at == there.at && is_drawn(own.identification) && is_drawn(there.identification) {
        for half in [at + own.at - 4, at + own.at - 2] {
            set(mine, half, word(theirs, half), None, outer);
        }
    }
}

/// Where the kernel's checksum is just the sum of the pseudo header, and ours is right, ours becomes that. The pseudo header of a reset that answers what
/// was for `::` has this as its source, so that its checksum is wrong, finished or not.
fn unfinish(mine: &mut [u8], theirs: &[u8]) {
    let Some((upper, at)) = upper(mine, 0).zip(checksum_place(mine)) else {
        return;
    };
    let of_packet = pseudo_header(mine, upper.protocol, mine.len() - upper.at);
    let is_reset =
        is_ipv6(mine, 0) && upper.protocol == 6 && mine.get(upper.at + 13).is_some_and(|flags| flags & 4 != 0);
    let of_nobody = is_reset.then(|| {
        let mut of_nobody = of_packet.clone();
        of_nobody[..16].fill(0);
        of_nobody
    });
    for pseudo in std::iter::once(of_packet).chain(of_nobody) {
        let partial = sum(&pseudo);
        if word(theirs, at) == partial && sum(&[&pseudo, &mine[upper.at..]].concat()) == 0xffff {
            mine[at..at + 2].copy_from_slice(&partial.to_be_bytes());
            return;
        }
    }
}

/// Where the checksum of a transport that sums a pseudo-header stands, if it is in the packet.
pub(crate) fn checksum_place(bytes: &[u8]) -> Option<usize> {
    let upper = upper(bytes, 0)?;
    let at = upper.at
        + match upper.protocol {
            6 => 16,
            17 | 136 => 6,
            _ => return None,
        };
    (bytes.len() >= at + 2).then_some(at)
}

/// The ones' complement sum (RFC 1071).
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Gives a packet the identification of another, and lets the header's checksum follow.
pub(crate) fn identify(bytes: &mut [u8], other: &[u8]) {
    set(bytes, 4, word(other, 4), Some(10), None);
}

/// Sets a word, and lets the checksum over it follow (RFC 1624), and then the one over both.
fn set(bytes: &mut [u8], at: usize, value: u16, checksum: Option<usize>, outer: Option<usize>) {
    let was = word(bytes, at);
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
    if let Some(outer) = outer {
        follow(bytes, outer, was, value);
    }
    if let Some(checksum) = checksum {
        let (before, after) = follow(bytes, checksum, was, value);
        if let Some(outer) = outer {
            follow(bytes, outer, before, after);
        }
    }
}

/// Makes the checksum of an SCTP packet anew, as far as that is there, and lets the one over its quote follow. Of a packet that is not quoted whole it
/// is that of the other side.
fn sum_up(bytes: &mut [u8], place: &Place, theirs: &[u8]) {
    let Some(transport) = place.summed_from.and_then(|from| bytes.get(from..)) else {
        return;
    };
    let ip = place.outer.map_or(0, |outer| outer + 6);
    let is_whole = total_length(bytes, ip).is_some_and(|length| bytes.len() >= ip + length);
    let mut summed = transport.to_vec();
    match is_whole {
        true => seal_sctp(&mut summed),
        false => summed.copy_from_slice(&theirs[theirs.len() - transport.len()..]),
    }
    let from = bytes.len() - summed.len();
    for at in [8, 10] {
        if at + 2 <= summed.len() {
            set(bytes, from + at, word(&summed, at), None, place.outer);
        }
    }
}

/// Gives an answer to a timestamp request the times of another that was made within a minute, and lets the checksum follow.
fn agree_on_the_time(mine: &mut [u8], theirs: &[u8]) {
    const DAY: u32 = 24 * 60 * 60 * 1000;
    let at = upper(mine, 0).map(|upper| upper.at);
    let Some(at) = at.filter(|at| mine.len() >= at + 20 && [mine[*at], theirs[*at]] == [14; 2]) else {
        return;
    };
    for time in [at + 12, at + 16] {
        let [ours, wanted] = [&*mine, theirs].map(|it| u32::from(word(it, time)) << 16 | u32::from(word(it, time + 2)));
        let apart = ours.abs_diff(wanted);
        if apart.min(DAY.saturating_sub(apart)) < 60_000 {
            for half in [time, time + 2] {
                set(mine, half, word(theirs, half), Some(at + 2), None);
            }
        }
    }
}

fn follow(bytes: &mut [u8], at: usize, was: u16, is: u16) -> (u16, u16) {
    let before = word(bytes, at);
    let mut sum = u32::from(!before) + u32::from(!was) + u32::from(is);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let after = !(sum as u16);
    bytes[at..at + 2].copy_from_slice(&after.to_be_bytes());
    (before, after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instrument::build::{echo_request, icmp_error, udp};

    const HOST: &str = "192.0.2.1";
    const SERVER: &str = "192.0.2.9";

    fn scenario(rules: &str) -> Scenario {
        let mut scenario = Scenario::new("test");
        scenario.restore(rules);
        scenario.receive("lan", udp(("10.0.0.2", 40000), (SERVER, 53), b"question"));
        scenario
    }

    #[test]
    fn a_port_that_a_text_announces_is_drawn_by_both_or_different() {
        const SENDER: u16 = 1010;
        let says = |text: &str| {
            let mut bytes = vec![0; 28];
            (bytes[0], bytes[9]) = (0x45, 17);
            bytes[20..22].copy_from_slice(&SENDER.to_be_bytes());
            bytes.extend_from_slice(text.as_bytes());
            bytes
        };
        let apart = |theirs: &str, own: &str| {
            let cause = says("REGISTER\r\nVia: 10.0.0.2:5060\r\nContact: <sip:amy@10.0.0.2:5060>\r\n");
            announced_by_text_apart(&cause, &says(theirs), &says(own))
        };
        let contact =
            |via: u16, port: u16| format!("REGISTER\r\nVia: 10.0.0.2:{via}\r\nContact: <sip:amy@192.0.2.1:{port}>\r\n");
        assert!(apart(&contact(5060, 57507), &contact(5060, 19912)));
        assert!(!apart(&contact(5060, 19912), &contact(5060, 19912)), "the same");
        assert!(!apart(&contact(5060, 5060), &contact(5060, 19912)), "one drew");
        assert!(
            apart(&contact(5060, 6000), &contact(5060, 1024)),
            "not below the sender's"
        );
        assert!(!apart(&contact(5060, 6000), &contact(5060, 1000)), "below");
        assert!(
            !apart(&contact(6001, 6000), &contact(6001, 6002).replace("192", "193")),
            "something else"
        );
        assert!(!apart(&contact(6001, 6000), &contact(6002, 6003)), "two draws");
        let came = says("Via: [2001:db8::3]:5060\r\nContact: <sip:amy@[2001:db8::3]:5060>\r\n");
        let left = |port: u16| {
            says(&format!(
                "Via: [2001:db8:1::100]:2000\r\nContact: <sip:amy@[2001:db8:1::100]:{port}>\r\n"
            ))
        };
        assert!(
            announced_by_text_apart(&came, &left(57507), &left(9912)),
            "addresses of other lengths"
        );
    }

    /// What only one side sent under a port that it drew is excused where rules draw any, and some range of ports is asked for.
    #[test]
    fn what_one_side_sent_may_have_met_another_range() {
        let cause = udp(("10.0.0.2", 40000), (SERVER, 53), b"question");
        let drew = udp((HOST, 50000), (SERVER, 53), b"question");
        for (rules, sent, expected) in [
            (
                "-A POSTROUTING -j MASQUERADE --random\n-A INPUT -p udp --sport 1:9999 -j DROP\n",
                &drew,
                true,
            ),
            (
                "-A POSTROUTING -j MASQUERADE --random\n-A INPUT -p udp --sport 1:9999 -j DROP\n",
                &cause,
                false,
            ),
            ("-A POSTROUTING -j MASQUERADE --random\n", &drew, false),
            (
                "-A POSTROUTING -j MASQUERADE\n-A INPUT -p udp --sport 1:9999 -j DROP\n",
                &drew,
                false,
            ),
        ] {
            let drawn = Drawn::new(&scenario(rules));
            assert_eq!(drawn.may_have_parted(&cause, sent), expected, "{rules}");
        }
    }

    #[test]
    fn a_drawn_port_stands_for_another_from_then_on() {
        let scenario = scenario("");
        let mut drawn = Drawn::new(&scenario);
        let cause = udp(("10.0.0.2", 40000), (SERVER, 53), b"question");
        let at = |port| udp((HOST, port), (SERVER, 53), b"question");
        assert_eq!(drawn.compare(Some(&cause), false, &at(5000), &at(6000)), Likeness::Same);
        assert_eq!(drawn.compare(Some(&cause), false, &at(5000), &at(6000)), Likeness::Same);
        // Both may be draws of other flows, when those are over.
        assert_eq!(
            drawn.compare(Some(&cause), false, &at(5001), &at(6000)),
            Likeness::Doubtful
        );
        assert_eq!(
            drawn.compare(Some(&cause), false, &at(5000), &at(6001)),
            Likeness::Doubtful
        );
        // Of another class, or kept by one side only.
        assert_eq!(
            drawn.compare(Some(&cause), false, &at(600), &at(6002)),
            Likeness::Different
        );
        assert_eq!(
            drawn.compare(Some(&cause), false, &at(40000), &at(6002)),
            Likeness::Different
        );
        // By chance the number of the port at the other end.
        let cause = udp(("10.0.0.2", 54), (SERVER, 53), b"question");
        assert_eq!(drawn.compare(Some(&cause), false, &at(100), &at(53)), Likeness::Parted);
        // In a quoted packet too, and with its checksums.
        let error = |port| icmp_error(SERVER, HOST, 3, 3, &at(port));
        assert_eq!(drawn.compare(None, false, &error(5000), &error(6000)), Likeness::Same);
        let mut wrong = error(6000);
        wrong[22] ^= 1;
        assert_eq!(drawn.compare(None, false, &error(5000), &wrong), Likeness::Different);
    }

    #[test]
    fn a_port_that_a_helper_announces() {
        let packet =
            |text: &str| crate::instrument::build::tcp(("10.0.0.2", 4000), (SERVER, 21), "PA", 1, 1, text.as_bytes());
        for (came, theirs, own, expected) in [
            ("|||4681|)\r\n", "|||32850|)\r\n", "|||50379|)\r\n", true),
            ("|||4681|)\r\n", "|||4681|)\r\n", "|||50379|)\r\n", false),
            (
                "PORT 10,0,0,2,16,65\r\n",
                "PORT 192,0,2,1,9,1\r\n",
                "PORT 192,0,2,1,160,65\r\n",
                true,
            ),
            (
                "PORT 10,0,0,2,16,65\r\n",
                "PORT 192,0,2,1,16,65\r\n",
                "PORT 192,0,2,1,160,65\r\n",
                false,
            ),
            (
                "\r\nPRIVMSG bob :\u{1}DCC SCHAT notes.txt 167772161 6002 4096\u{1}\r\n",
                "\r\nPRIVMSG bob :\u{1}DCC SCHAT notes.txt 3221225985 12591 4096\u{1}\r\n",
                "\r\nPRIVMSG bob :\u{1}DCC SCHAT notes.txt 3221225985 20623 4096\u{1}\r\n",
                true,
            ),
            (
                "PORT 10,0,0,2\r\n",
                "PORT 192,0,2,1,16,65\r\n",
                "PORT 192,0,2,1,160,65\r\n",
                false,
            ),
        ] {
            assert_eq!(
                announced_apart(&packet(came), &packet(theirs), &packet(own)),
                expected,
                "{came}{theirs}{own}"
            );
        }
    }

    #[test]
    fn a_port_that_a_text_names() {
        let packet = |port, text: &str| udp(("10.0.0.2", port), (SERVER, 5060), text.as_bytes());
        let came = packet(5060, "Via: 10.0.0.2:5060\r\n");
        let theirs = packet(1588, "Via: 192.0.2.1:1588\r\n");
        for (own, expected) in [
            (packet(17119, "Via: 192.0.2.1:17119\r\n"), true),
            (packet(17119, "Via: 192.0.2.2:17119\r\n"), false),
            (packet(17119, "Via: 192.0.2.1:1588\r\n"), false),
            (packet(5060, "Via: 192.0.2.1:5060\r\n"), false),
            (theirs.clone(), false),
        ] {
            assert_eq!(named_apart(&came, &theirs, &own), expected);
        }
        let packet = |port: u16, said: u16| {
            let said = [&[88, 0, 10, 0, 0, 2][..], &said.to_be_bytes(), &[1]].concat();
            udp(("10.0.0.2", port), (SERVER, 1719), &said)
        };
        let (came, theirs) = (packet(20262, 20262), packet(62451, 62451));
        for (own, expected) in [
            (packet(21818, 21818), true),
            (packet(21818, 62451), false),
            (packet(20262, 20262), false),
        ] {
            assert_eq!(named_apart(&came, &theirs, &own), expected);
        }
    }

    #[test]
    fn a_port_that_a_message_carries() {
        let packet = |port: &[u8], rest: &[u8]| {
            let mut bytes = vec![0; 40];
            (bytes[0], bytes[9], bytes[32]) = (0x45, 6, 0x50);
            bytes.extend([&[3, 0, 0, 16, 10, 0, 0, 2], port, rest].concat());
            bytes
        };
        let (came, theirs) = (packet(&[16, 162], &[0x11]), packet(&[34, 217], &[0x11]));
        for (own, expected) in [
            (packet(&[120, 61], &[0x11]), true),
            (packet(&[34, 61], &[0x11]), true),
            (packet(&[120, 61], &[0x12]), false),
            (packet(&[16, 162], &[0x11]), false),
            (packet(&[120, 61], &[]), false),
            (theirs.clone(), false),
        ] {
            assert_eq!(written_apart(&came, &theirs, &own), expected, "{own:?}");
        }
    }

    #[test]
    fn a_draw_of_a_port_in_use_parts_the_sides() {
        let cause = udp(("10.0.0.2", 40000), (SERVER, 53), b"question");
        let at = |port| udp((HOST, port), (SERVER, 53), b"question");
        let mut drawn = Drawn::new(&scenario("-m multiport --ports !22,1000:5500\n"));
        assert_eq!(
            drawn.compare(Some(&cause), false, &at(5000), &at(6000)),
            Likeness::Parted
        );
        assert_eq!(drawn.compare(Some(&cause), false, &at(5600), &at(6000)), Likeness::Same);
        let mut drawn = Drawn::new(&scenario("--to-source 192.0.2.1:2000-2003\n"));
        assert_eq!(
            drawn.compare(Some(&cause), false, &at(2002), &at(6000)),
            Likeness::Parted
        );
        let mut drawn = Drawn::new(&scenario("-j MASQUERADE --random\n"));
        assert_eq!(
            drawn.compare(Some(&cause), false, &at(40000), &at(6000)),
            Likeness::Doubtful
        );
    }

    #[test]
    fn the_number_of_a_call_is_drawn_in_pptps_gre_alone() {
        let gre = |version: u8, call: u16| {
            let mut bytes = vec![0; 20];
            (bytes[0], bytes[9]) = (0x45, GRE);
            bytes.extend([0x30, version, 0x88, 0x0b, 0, 4]);
            bytes.extend(call.to_be_bytes());
            bytes.extend([0, 0, 0, 1, 1, 2, 3, 4]);
            bytes
        };
        let mut drawn = Drawn::new(&scenario("-p gre -j DNAT --to-destination 10.0.0.2 --random\n"));
        for (version, likeness) in [(0x81, Likeness::Same), (0, Likeness::Different)] {
            let cause = gre(version, 77);
            let compared = drawn.compare(Some(&cause), false, &gre(version, 5000), &gre(version, 6000));
            assert_eq!(compared, likeness, "{version:#x}");
        }
    }

    /// What a rule names alone, or what comes back to a port that a host chose, is no draw.
    #[test]
    fn a_port_that_nobody_drew_is_doubtful() {
        let mut drawn = Drawn::new(&scenario("-j DNAT --to-destination 10.0.0.2:8080\n"));
        let at = |port| udp((SERVER, 53), ("10.0.0.2", port), b"answer");
        for (came, theirs, own) in [(80, 8080, 8081), (2000, 40000, 40001)] {
            let cause = udp((SERVER, 53), (HOST, came), b"answer");
            let likeness = drawn.compare(Some(&cause), false, &at(theirs), &at(own));
            assert_eq!(likeness, Likeness::Doubtful);
        }
    }

    #[test]
    fn only_the_identification_of_own_messages_is_free() {
        let mut drawn = Drawn::new(&scenario(""));
        let mut other = echo_request(HOST, SERVER, 7, 1);
        set(&mut other, 4, 77, Some(10), None);
        let own = echo_request(HOST, SERVER, 7, 1);
        assert_eq!(drawn.compare(None, false, &other, &own), Likeness::Same);
        assert_eq!(drawn.compare(Some(&own), false, &other, &own), Likeness::Different);
        // Whichever side changes it.
        assert_eq!(drawn.compare(Some(&other), false, &other, &own), Likeness::Different);
        let (mut theirs, own) = (udp((HOST, 1), (SERVER, 2), b"x"), udp((HOST, 1), (SERVER, 2), b"x"));
        set(&mut theirs, 4, 77, Some(10), None);
        assert_eq!(drawn.compare(None, false, &theirs, &own), Likeness::Different);
    }

    /// Of a piece that the router cut, by itself or in an error about it; and only where nothing came with it.
    #[test]
    fn the_number_of_own_pieces_is_free() {
        let piece = |number: u32, data: u8| {
            let mut bytes = vec![0x60, 0, 0, 0, 0, 16, 44, 64];
            bytes.extend([1; 16]);
            bytes.extend([2; 16]);
            bytes.extend([17, 0, 0, 0]);
            bytes.extend(number.to_be_bytes());
            bytes.extend([0, 1, 0, 2, 0, 8, 0, data]);
            bytes
        };
        let error = |quoted: Vec<u8>| {
            let mut bytes = vec![0x60, 0, 0, 0, 0, 72, ICMPV6, 64];
            bytes.extend([2; 16]);
            bytes.extend([1; 16]);
            bytes.extend([1, 4, 0, 0, 0, 0, 0, 0]);
            bytes.extend(quoted);
            let sum = sum(&[pseudo_header(&bytes, ICMPV6, 72), bytes[IPV6..].to_vec()].concat());
            bytes[42..44].copy_from_slice(&(!sum).to_be_bytes());
            bytes
        };
        let mut drawn = Drawn::new(&scenario(""));
        for (theirs, own, cause, expected) in [
            ((70_000, 1), (5, 1), None, Likeness::Same),
            ((70_000, 1), (5, 2), None, Likeness::Different),
            ((70_000, 1), (5, 1), Some(70_000), Likeness::Different),
            ((70_000, 1), (5, 1), Some(5), Likeness::Different),
        ] {
            let cause = cause.map(|number| piece(number, 9));
            let (theirs, own) = (piece(theirs.0, theirs.1), piece(own.0, own.1));
            assert_eq!(drawn.compare(cause.as_deref(), false, &theirs, &own), expected);
            let (theirs, own) = (error(theirs), error(own));
            assert_eq!(drawn.compare(cause.as_deref(), false, &theirs, &own), expected);
        }
    }

    #[test]
    fn times_of_day_in_an_answer_are_free_by_a_minute() {
        let answer = |milliseconds: u32| {
            let mut answer = udp((SERVER, 1), (HOST, 2), &[0; 12]);
            (answer[9], answer[20]) = (ICMP, 14);
            answer[22..24].fill(0);
            for at in [32, 36] {
                answer[at..at + 4].copy_from_slice(&milliseconds.to_be_bytes());
            }
            let sum = sum(&answer[20..]);
            answer[22..24].copy_from_slice(&(!sum).to_be_bytes());
            answer
        };
        let mut drawn = Drawn::new(&scenario(""));
        for (theirs, ours, likeness) in [
            (1_000, 999, Likeness::Same),
            (5, 86_399_995, Likeness::Same),
            (1_000, 90_000, Likeness::Different),
        ] {
            assert_eq!(drawn.compare(None, false, &answer(theirs), &answer(ours)), likeness);
        }
    }
}
