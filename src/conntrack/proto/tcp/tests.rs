//! Conversations that Linux 6.18 was seen to have, packet by packet (`conversations.txt`).
//!
//! A line is a segment and what the kernel made of it:
//!
//! ```text
//! = name                  a new conversation
//! set KNOB VALUE          nf_conntrack_KNOB for this conversation
//! t SECONDS               the flow is given so many seconds to live
//! DIRECTION FLAGS SEQUENCE aACK wWINDOW lBYTES [o:OPTIONS] | CTSTATE STATE TIMEOUT ASSURED SEEN_REPLY SCALE SCALE BITS BITS TURNED
//! ? ...                   the same, tried on a copy and then forgotten
//! ```
//!
//! `>` is the way of the side that spoke first, `TURNED` is 1 where the flow was opened by the other one; `-` after the ctstate: there is no flow.
//! Timeouts are set so that each has a value of its own, and the acknowledgement is written even where the ACK flag is not.

use std::time::Duration;

use super::*;
use crate::base::testing::unhex;

const CONVERSATIONS: &str = include_str!("conversations.txt");

#[test]
fn conversations_go_as_on_the_kernel() {
    let mut wrong = Vec::new();
    let mut segments = 0;
    let mut settings = distinct_timeouts();
    let mut flow: Option<Flow> = None;
    let mut name = "";
    for (number, line) in CONVERSATIONS.lines().enumerate() {
        let number = number + 1;
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(rest) = line.strip_prefix("= ") {
            name = rest;
            flow = None;
            settings = distinct_timeouts();
        } else if let Some(rest) = line.strip_prefix("set ") {
            let (knob, value) = rest.split_once(' ').unwrap();
            set(&mut settings, knob, value.parse().unwrap());
        } else if let Some(rest) = line.strip_prefix("t ") {
            if let Some(flow) = &mut flow {
                flow.deadline = rest.parse().unwrap();
            }
        } else {
            segments += 1;
            let (what, expected) = line.split_once(" | ").unwrap();
            let got = match what.strip_prefix("? ") {
                Some(what) => play(&mut flow.clone(), what, &settings),
                None => play(&mut flow, what, &settings),
            };
            if got != expected {
                wrong.push(format!(
                    "line {number}, {name}: {what}\n  kernel {expected}\n  here   {got}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {segments}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(segments > 500, "only {segments} segments were compared");
}

#[test]
fn a_track_is_small() {
    assert!(std::mem::size_of::<TcpTrack>() <= 64);
}

/// Of the 256 flag bytes, PSH, ECE and CWR make no difference, and nine combinations of the others are taken.
#[test]
fn nine_flag_combinations_are_taken() {
    let mut taken = Vec::new();
    for bits in 0..=255u8 {
        if header_is_valid(&bytes(1, bits, 1, 1, 1, 0, &[])).is_ok() {
            taken.push(bits);
        }
    }
    assert_eq!(taken.len(), 72);
    taken.retain(|bits| bits & 0b1100_1000 == 0);
    assert_eq!(taken, [0x02, 0x04, 0x10, 0x11, 0x12, 0x14, 0x22, 0x30, 0x31]);
}

#[test]
fn headers_that_lie_are_refused_with_their_numbers() {
    let mut short = bytes(1, 2, 1, 1, 1, 0, &[]);
    short[12] = 6 << 4;
    let told = header_is_valid(&short).unwrap_err().to_string();
    assert!(told.contains("24 bytes") && told.contains("20"), "{told}");
    let told = header_is_valid(&short[..19]).unwrap_err().to_string();
    assert!(told.contains("19 bytes"), "{told}");
    let told = header_is_valid(&bytes(1, 3, 1, 1, 1, 0, &[])).unwrap_err().to_string();
    assert!(told.contains("SYN+FIN"), "{told}");
}

/// What NAT did to one side's numbers is undone before they are held against that side's windows. Seen with FTP's PORT through MASQUERADE: twice
/// a command one byte longer, then an acknowledgement around the second one, and RSTs that tell what it was kept as.
#[test]
fn acknowledgements_of_moved_numbers_are_undone() {
    let settings = Settings::default();
    for (acknowledged, kept) in [(1031, 1030), (1032, 1030), (1033, 1031), (1053, 1051)] {
        let adjust = [
            SequenceAdjustment {
                position: 1030,
                before: 1,
                after: 2,
            },
            SequenceAdjustment::default(),
        ];
        let mut track = established_with_data(&settings);
        let outcome = hand(
            &mut track,
            Direction::Reply,
            0x10,
            5001,
            acknowledged,
            0,
            &settings,
            Some(&adjust),
        );
        assert!(matches!(outcome, Outcome::Accept { .. }), "{acknowledged}: {outcome:?}");
        for (sequence, closes) in [(kept - 1, false), (kept, true)] {
            let mut copy = track.clone();
            hand(
                &mut copy,
                Direction::Original,
                0x04,
                sequence,
                0,
                0,
                &settings,
                Some(&adjust),
            );
            assert_eq!(
                copy.state() == TcpState::Close,
                closes,
                "{acknowledged} then RST {sequence}"
            );
        }
    }
    let mut track = established_with_data(&settings);
    let outcome = hand(&mut track, Direction::Reply, 0x10, 5001, 1052, 0, &settings, None);
    assert_eq!(
        outcome,
        Outcome::Invalid(InvalidReason::AcknowledgesUnseen {
            acknowledgement: 1052,
            at_most: 1051
        })
    );
}

/// The client has sent up to 1051.
fn established_with_data(settings: &Settings) -> TcpTrack {
    let syn = bytes(0, 0x02, 1000, 0, 1000, 0, &[]);
    let mut track = TcpTrack::begin(&header_is_valid(&syn).unwrap(), settings).unwrap();
    hand(&mut track, Direction::Reply, 0x12, 5000, 1001, 0, settings, None);
    hand(&mut track, Direction::Original, 0x10, 1001, 5001, 50, settings, None);
    track
}

#[allow(clippy::too_many_arguments, reason = "a segment in one line")]
fn hand(
    track: &mut TcpTrack,
    direction: Direction,
    flags: u8,
    sequence: u32,
    acknowledgement: u32,
    length: usize,
    settings: &Settings,
    adjust: Option<&[SequenceAdjustment; 2]>,
) -> Outcome {
    let bytes = bytes(direction.index(), flags, sequence, acknowledgement, 1000, length, &[]);
    let known = Known {
        seen_reply: true,
        assured: true,
        sequence: adjust,
    };
    track.follow(direction, &header_is_valid(&bytes).unwrap(), settings, &known)
}

/// What the caller of a tracker does.
#[derive(Clone)]
struct Flow {
    track: TcpTrack,
    turned: bool,
    seen_reply: bool,
    assured: bool,
    deadline: u64,
}

fn play(flow: &mut Option<Flow>, what: &str, settings: &Settings) -> String {
    let mut words = what.split(' ');
    let way = usize::from(words.next() == Some("<"));
    let flags = flag_bits(words.next().unwrap());
    let sequence = words.next().unwrap().parse().unwrap();
    let [mut acknowledgement, mut window, mut length] = [0u32; 3];
    let mut options = Vec::new();
    for word in words {
        match word.split_at(1) {
            ("a", number) => acknowledgement = number.parse().unwrap(),
            ("w", number) => window = number.parse().unwrap(),
            ("l", number) => length = number.parse().unwrap(),
            (_, rest) => {
                options = unhex(&rest[1..]);
            }
        }
    }
    let bytes = bytes(
        way,
        flags,
        sequence,
        acknowledgement,
        window as u16,
        length as usize,
        &options,
    );
    let state = match header_is_valid(&bytes) {
        Err(_) => "INVALID",
        Ok(segment) => track(flow, way, &segment, settings),
    };
    let Some(flow) = flow else {
        return format!("{state} -");
    };
    let ((first, first_scale), (second, second_scale)) = (
        flow.track.side_bits(Direction::Original),
        flow.track.side_bits(Direction::Reply),
    );
    format!(
        "{state} {} {} {} {} {first_scale} {second_scale} {first:02x} {second:02x} {}",
        flow.track.state().name(),
        flow.deadline,
        u8::from(flow.assured),
        u8::from(flow.seen_reply),
        u8::from(flow.turned)
    )
}

fn track(known: &mut Option<Flow>, way: usize, segment: &Segment<'_>, settings: &Settings) -> &'static str {
    if let Some(flow) = known {
        let direction = if (way == 1) == flow.turned {
            Direction::Original
        } else {
            Direction::Reply
        };
        let of_flow = Known {
            seen_reply: flow.seen_reply,
            assured: flow.assured,
            sequence: None,
        };
        let outcome = flow.track.follow(direction, segment, settings, &of_flow);
        let name = match (direction, flow.seen_reply) {
            (Direction::Original, false) => "NEW",
            _ => "EST",
        };
        match outcome {
            Outcome::Accept {
                timeout,
                became_assured,
            } => {
                flow.deadline = timeout.as_secs();
                flow.assured |= became_assured;
            }
            Outcome::Ignore(_) => {}
            Outcome::Invalid(_) => return "INVALID",
            Outcome::InvalidAtTheEnd { within, .. } => {
                flow.deadline = flow.deadline.min(within.as_secs());
                return "INVALID";
            }
            Outcome::Destroy => {
                *known = None;
                return name;
            }
            Outcome::Again => {
                *known = None;
                return track(known, way, segment, settings);
            }
        }
        flow.seen_reply |= direction == Direction::Reply;
        return name;
    }
    match TcpTrack::begin(segment, settings) {
        Err(_) => "INVALID",
        Ok(track) => {
            let deadline = track.opening_timeout(settings).as_secs();
            *known = Some(Flow {
                track,
                turned: way == 1,
                seen_reply: false,
                assured: false,
                deadline,
            });
            "NEW"
        }
    }
}

fn bytes(
    way: usize,
    flags: u8,
    sequence: u32,
    acknowledgement: u32,
    window: u16,
    length: usize,
    options: &[u8],
) -> Vec<u8> {
    let ports = if way == 0 { [40000u16, 80] } else { [80, 40000] };
    let mut bytes = Vec::new();
    bytes.extend(ports[0].to_be_bytes());
    bytes.extend(ports[1].to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(acknowledgement.to_be_bytes());
    bytes.push(((5 + options.len() / 4) << 4) as u8);
    bytes.push(flags);
    bytes.extend(window.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(options);
    bytes.resize(bytes.len() + length, b'x');
    bytes
}

fn flag_bits(letters: &str) -> u8 {
    letters
        .chars()
        .map(|letter| "FSRPAUEC".find(letter).map_or(0, |bit| 1 << bit))
        .sum()
}

fn distinct_timeouts() -> Settings {
    Settings {
        timeout_syn_sent: Duration::from_secs(2121),
        timeout_syn_recv: Duration::from_secs(1061),
        timeout_established: Duration::from_secs(40001),
        timeout_fin_wait: Duration::from_secs(2222),
        timeout_close_wait: Duration::from_secs(1062),
        timeout_last_ack: Duration::from_secs(531),
        timeout_time_wait: Duration::from_secs(2323),
        timeout_close: Duration::from_secs(111),
        timeout_max_retrans: Duration::from_secs(601),
        timeout_unacknowledged: Duration::from_secs(702),
        ..Settings::default()
    }
}

fn set(settings: &mut Settings, knob: &str, value: u64) {
    let seconds = Duration::from_secs(value);
    match knob {
        "tcp_loose" => settings.loose = value as u8,
        "tcp_be_liberal" => settings.be_liberal = value != 0,
        "tcp_ignore_invalid_rst" => settings.ignore_invalid_rst = value != 0,
        "tcp_max_retrans" => settings.max_retrans = value as u8,
        "tcp_timeout_syn_sent" => settings.timeout_syn_sent = seconds,
        "tcp_timeout_syn_recv" => settings.timeout_syn_recv = seconds,
        "tcp_timeout_established" => settings.timeout_established = seconds,
        "tcp_timeout_fin_wait" => settings.timeout_fin_wait = seconds,
        "tcp_timeout_close_wait" => settings.timeout_close_wait = seconds,
        "tcp_timeout_last_ack" => settings.timeout_last_ack = seconds,
        "tcp_timeout_time_wait" => settings.timeout_time_wait = seconds,
        "tcp_timeout_close" => settings.timeout_close = seconds,
        "tcp_timeout_max_retrans" => settings.timeout_max_retrans = seconds,
        "tcp_timeout_unacknowledged" => settings.timeout_unacknowledged = seconds,
        _ => panic!("no such knob: {knob}"),
    }
}

fn follow(track: &mut TcpTrack, way: Direction, segment: &[u8]) -> Outcome {
    let known = Known {
        seen_reply: true,
        assured: true,
        sequence: None,
    };
    track.follow(way, &header_is_valid(segment).unwrap(), &Settings::default(), &known)
}

/// As the lab's own endpoints read them, to go on with a conversation.
#[test]
fn what_comes_next_and_the_window_that_is_offered() {
    let settings = Settings::default();
    let (there, back) = (Direction::Original, Direction::Reply);
    // The client shifts its windows by 7, the server by 2.
    let scale = |shift| [3, 3, shift, 0];
    let syn = bytes(0, 0x02, 1000, 0, 1000, 0, &scale(7));
    let mut track = TcpTrack::begin(&header_is_valid(&syn).unwrap(), &settings).unwrap();
    assert_eq!(
        (track.next_sequence(there), track.next_sequence(back)),
        (Some(1001), None)
    );
    assert_eq!((track.window(there), track.window(back)), (Some(1000 >> 7), None));
    follow(&mut track, back, &bytes(1, 0x12, 5000, 1001, 2000, 0, &scale(2)));
    follow(&mut track, there, &bytes(0, 0x10, 1001, 5001, 300, 50, &[]));
    assert_eq!(
        (track.next_sequence(there), track.next_sequence(back)),
        (Some(1051), Some(5001))
    );
    assert_eq!((track.window(there), track.window(back)), (Some(300), Some(500)));
    // Learnt anew, by the scales that are known.
    track.begin_again();
    assert_eq!((track.next_sequence(there), track.window(there)), (None, None));
    follow(&mut track, there, &bytes(0, 0x10, 1051, 5001, 100, 0, &[]));
    assert_eq!(
        (track.next_sequence(there), track.window(there)),
        (Some(1051), Some(100))
    );
    assert_eq!(track.sides[0].max_end, 1051 + (100 << 7));
}

/// Its window alone does not make an ACK the same as the one before.
#[test]
fn only_the_very_same_acknowledgement_is_sent_again() {
    let mut track = established_with_data(&Settings::default());
    let ack =
        |sequence, acknowledgement, window, length| bytes(0, 0x10, sequence, acknowledgement, window, length, &[]);
    for (segment, count) in [
        (ack(1051, 5001, 1000, 0), 0),
        (ack(1051, 5001, 1000, 0), 1),
        (ack(1051, 5001, 1000, 0), 2),
        (ack(1051, 5001, 999, 0), 0),
        (ack(1051, 5001, 999, 10), 0),
        (ack(1061, 5001, 999, 0), 0),
        (ack(1061, 5000, 999, 0), 0),
        (ack(1061, 5000, 999, 0), 1),
    ] {
        follow(&mut track, Direction::Original, &segment);
        assert_eq!(track.retransmissions, count, "{segment:?}");
    }
}

#[test]
fn a_connection_that_is_over_gives_way_to_later_numbers() {
    let settings = Settings::default();
    let opening = |flags, sequence| {
        let first = bytes(0, flags, sequence, 1, 1000, 0, &[]);
        TcpTrack::begin(&header_is_valid(&first).unwrap(), &settings).unwrap()
    };
    let old = established_with_data(&settings);
    for (state, flags, sequence, expected) in [
        (TcpState::TimeWait, 0x02, 1051, true),
        (TcpState::Close, 0x02, 1051, true),
        (TcpState::SynSent2, 0x02, 1051, true),
        (TcpState::TimeWait, 0x02, 1050, false),
        (TcpState::TimeWait, 0x02, 900, false),
        (TcpState::Established, 0x02, 2000, false),
        (TcpState::LastAck, 0x02, 2000, false),
        // Not a SYN.
        (TcpState::TimeWait, 0x10, 2000, false),
    ] {
        let mut old = old.clone();
        old.state = state;
        assert_eq!(
            old.gives_way_to(&opening(flags, sequence)),
            expected,
            "{state:?} {flags} {sequence}"
        );
    }
}

/// Each limit is asked only where it would shorten the timeout; the next is asked where it would not.
#[test]
fn the_first_limit_that_shortens_a_timeout_wins() {
    let seconds = Duration::from_secs;
    let (retrans, close, unacknowledged) = (300, 10, 200);
    for (timeout, again, reset, waits, window, expected) in [
        (1000, 3, true, true, 0, retrans),
        (1000, 2, true, true, 0, close),
        (retrans, 3, true, true, 0, close),
        (1000, 0, false, true, 0, unacknowledged),
        (unacknowledged, 0, false, true, 0, unacknowledged),
        (1000, 0, false, false, 0, retrans),
        (1000, 0, false, false, 1, 1000),
        (100, 3, false, true, 0, 100),
    ] {
        let settings = Settings {
            timeout_established: seconds(timeout),
            timeout_max_retrans: seconds(retrans),
            timeout_close: seconds(close),
            timeout_unacknowledged: seconds(unacknowledged),
            max_retrans: 3,
            ..Settings::default()
        };
        let mut track = established_with_data(&settings);
        track.retransmissions = again;
        track.last.window = window;
        if waits {
            track.sides[0].flags.set(SideFlags::UNACKNOWLEDGED);
        } else {
            track
                .sides
                .iter_mut()
                .for_each(|side| side.flags.clear(SideFlags::UNACKNOWLEDGED));
        }
        let got = track.timeout_of_traffic(&settings, reset);
        assert_eq!(got, seconds(expected), "{timeout} {again} {reset} {waits} {window}");
    }
    // Equal to the limit of the unacknowledged, and longer than that of the retransmitted: the next limit is asked.
    let settings = Settings {
        timeout_established: seconds(500),
        timeout_unacknowledged: seconds(500),
        timeout_max_retrans: seconds(300),
        ..Settings::default()
    };
    let mut track = established_with_data(&settings);
    track.sides[0].flags.set(SideFlags::UNACKNOWLEDGED);
    track.last.window = 0;
    assert_eq!(track.timeout_of_traffic(&settings, false), seconds(300));
}

#[test]
fn what_is_let_through_says_why() {
    for (reason, expected) in [
        (IgnoredReason::SynRepeated, "a SYN sent again before any answer"),
        (
            IgnoredReason::SynCrossed,
            "a SYN from the other side before any answer, so both ends open the connection",
        ),
        (
            IgnoredReason::OutOfState {
                kind: Kind::Ack,
                direction: Direction::Original,
                state: TcpState::Close,
            },
            "an ACK from the side that opened it while the connection is CLOSE: let through, the answer to it will tell",
        ),
        (
            IgnoredReason::OutOfState {
                kind: Kind::Syn,
                direction: Direction::Reply,
                state: TcpState::LastAck,
            },
            "a SYN from the side that answers while the connection is LAST_ACK: let through, the answer to it will tell",
        ),
        (
            IgnoredReason::Overshot { bytes: 9 },
            "it exceeds the receiver's window by 9 bytes, less than a window",
        ),
    ] {
        assert_eq!(reason.to_string(), expected);
    }
}
