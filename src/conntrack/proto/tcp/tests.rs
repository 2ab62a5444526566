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
                options = (1..rest.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&rest[at..at + 2], 16).unwrap())
                    .collect();
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
        "tcp_loose" => settings.loose = value != 0,
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
