//! What no sample of `-m hashlimit` can say: time, tables that are full or shared, places of ports.

use std::time::Duration;

use super::*;
use crate::ext::testing::{ANY, Bench, ip, match_places, read_match, read_match_in, udp};
use crate::packet::End;
use crate::rule::{BoundState, Clock, Hook, Table as RuleTable};

fn from(last: u8, size: usize) -> Packet {
    let mut packet = udp(1000, 53, &vec![0; size]);
    packet.set_address(End::Source, IpAddr::from([10, 0, 0, last]));
    packet
}

/// Milliseconds, rule, the packet's last byte and its length behind the header, and what comes of it.
type Step<'a> = (u64, &'a str, u8, usize, Matched);

/// Rules that share one table, asked one after another.
fn play(steps: &[Step<'_>]) -> (Bench, BoundState) {
    let mut bench = Bench::new();
    let start = bench.now;
    let mut state: Option<BoundState> = None;
    for &(at, typed, last, size, expected) in steps {
        let made = read_match(&SPEC, ANY, &format!("{typed} --hashlimit-name x")).unwrap();
        if let Some(state) = &state {
            made.sharing().unwrap().may_join(&**state).unwrap();
        }
        let state = state.get_or_insert_with(|| BoundState::fresh(made.as_ref(), start).unwrap());
        bench.now = start + Duration::from_millis(at);
        let packet = from(last, size);
        let matched = made.evaluate(&bench.context(&packet, Some(&**state)));
        assert_eq!(matched, expected, "{typed} of {last} at {at}");
    }
    (bench, state.unwrap())
}

const YES: Matched = Matched::Yes;
const NO: Matched = Matched::No;

fn file(bench: &Bench, state: &BoundState) -> String {
    let BoundState::Shared(shared) = state else {
        panic!("a table is shared");
    };
    shared.read(Clock {
        now: bench.now,
        booted: Time::ZERO,
    })
}

/// The numbers are those that the kernel showed, but for jiffies that passed there.
#[test]
fn tokens_come_at_the_rate() {
    let rule = "--hashlimit-upto 1/s --hashlimit-burst 2 --hashlimit-mode srcip --hashlimit-htable-expire 60000";
    let (bench, state) = play(&[
        (0, rule, 2, 1, YES),
        (20, rule, 2, 1, YES),
        (24, rule, 2, 1, NO),
        (24, rule, 3, 1, YES),
        (996, rule, 2, 1, NO),
        (1000, rule, 2, 1, YES),
        (1000, rule, 2, 1, NO),
        (9000, rule, 2, 1, YES),
        (9000, rule, 2, 1, YES),
        (9000, rule, 2, 1, NO),
        // Another rule of the same table has its tokens, whatever it asks for.
        (9000, "--hashlimit-above 9/s --hashlimit-burst 50", 2, 1, YES),
        (9000, "--hashlimit-above 9/s --hashlimit-burst 50", 3, 1, NO),
    ]);
    assert_eq!(
        file(&bench, &state),
        "60 10.0.0.2:0->0.0.0.0:0 0 274877906000000 137438953000000\n\
         60 10.0.0.3:0->0.0.0.0:0 137438953000000 274877906000000 137438953000000\n"
    );
}

#[test]
fn bytes_come_at_the_rate_and_at_once() {
    let rule = "--hashlimit-upto 100b/s --hashlimit-mode srcip";
    let (bench, state) = play(&[
        (0, rule, 2, 1, YES),
        (8, rule, 2, 1, YES),
        (16, rule, 2, 201, NO),
        (100, rule, 2, 1, YES),
        (5000, rule, 2, 1, YES),
    ]);
    assert_eq!(
        file(&bench, &state),
        "15 10.0.0.2:0->0.0.0.0:0 2995931430 0 599186285\n"
    );
    let rule = "--hashlimit-upto 100b/s --hashlimit-burst 300b --hashlimit-mode srcip";
    let (bench, state) = play(&[
        (0, rule, 2, 1, YES),
        (4, rule, 2, 200, YES),
        (8, rule, 2, 200, YES),
        (8, rule, 2, 200, YES),
        (8, rule, 2, 200, YES),
        (8, rule, 2, 200, NO),
        (1008, rule, 2, 200, YES),
        (1012, rule, 2, 200, NO),
    ]);
    assert_eq!(file(&bench, &state), "60 10.0.0.2:0->0.0.0.0:0 16777216 0 599186285\n");
}

#[test]
fn packets_are_counted_for_an_interval() {
    let rule = "--hashlimit-upto 3/s --hashlimit-burst 1 --hashlimit-rate-match --hashlimit-rate-interval 2 \
                --hashlimit-htable-expire 60000";
    let (bench, state) = play(&[
        (0, rule, 2, 1, YES),
        (0, rule, 2, 1, YES),
        (0, rule, 2, 1, YES),
        (0, rule, 2, 1, YES),
        (0, rule, 2, 1, NO),
        (1996, rule, 2, 1, NO),
        // Six in two seconds are twice as many as three in two.
        (2000, rule, 2, 1, NO),
        (3000, rule, 2, 1, NO),
        (4000, rule, 2, 1, YES),
        (4000, "--hashlimit-above 1mb/s --hashlimit-rate-match", 2, 172, YES),
    ]);
    assert_eq!(file(&bench, &state), "60 0.0.0.0:0->0.0.0.0:0 2 201 3\n");
}

/// Whoever reads the file ends an interval that is over.
#[test]
fn reading_lets_time_pass() {
    let rule = "--hashlimit-upto 3/s --hashlimit-burst 1 --hashlimit-rate-match --hashlimit-htable-expire 60000";
    let (mut bench, state) = play(&[(0, rule, 2, 1, YES); 4]);
    bench.now = bench.now + Duration::from_millis(1000);
    assert_eq!(file(&bench, &state), "59 0.0.0.0:0->0.0.0.0:0 4294967297 0 3\n");
}

#[test]
fn entries_are_over_at_looks_only() {
    let rule = "--hashlimit-upto 1/h --hashlimit-burst 1 --hashlimit-mode srcip --hashlimit-htable-expire 1000";
    let often = format!("{rule} --hashlimit-htable-gcinterval 100");
    for (rule, there, gone) in [(rule, 1996, 2000), (often.as_str(), 1196, 1200)] {
        play(&[
            (104, rule, 2, 1, YES),
            (104, rule, 3, 1, YES),
            (there, rule, 2, 1, NO),
            (gone, rule, 3, 1, YES),
            (gone, rule, 2, 1, NO),
        ]);
    }
}

#[test]
fn a_table_is_full_with_as_many_as_it_has_buckets() {
    let rule = "--hashlimit-upto 1/h --hashlimit-mode srcip --hashlimit-htable-size 3 --hashlimit-htable-max 2";
    let (bench, state) = play(&[
        (0, rule, 2, 1, YES),
        (0, rule, 3, 1, YES),
        (0, rule, 4, 1, YES),
        (0, rule, 5, 1, Matched::Dropped),
        (0, rule, 4, 1, YES),
    ]);
    let made = read_match(&SPEC, ANY, &format!("{rule} --hashlimit-name x")).unwrap();
    let packet = from(5, 1);
    let cx = bench.context(&packet, Some(&*state));
    let told = made.remember(&cx);
    let later = bench.context(&packet, told.as_deref());
    let full = "--hashlimit-upto 1/hour: table x is full with 3, and the kernel drops the packet";
    assert_eq!(made.explain(&later), full);
    let nowhere = "--hashlimit-upto 1/hour: table x is not there";
    assert_eq!(made.explain(&bench.context(&packet, None)), nowhere);
}

#[test]
fn ports_are_where_the_kernel_reads_them() {
    let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
    for (protocol, fragment, length, expected) in [
        (17, 0, 8, Some((258, 772))),
        (6, 0, 4, Some((258, 772))),
        (50, 0, 8, Some((258, 772))),
        (51, 0, 8, Some((1286, 1800))),
        (51, 0, 7, None),
        (132, 0, 8, Some((258, 772))),
        (17, 185, 8, Some((258, 772))),
        (17, 0, 3, None),
        (1, 0, 0, Some((0, 0))),
        (99, 0, 8, Some((0, 0))),
    ] {
        let packet = ip(protocol, fragment, &bytes[..length]);
        assert_eq!(ports(&packet), expected, "{protocol}, {fragment}, {length} bytes");
    }
    let typed = "--hashlimit-upto 1/h --hashlimit-mode dstport --hashlimit-name x";
    let made = read_match(&SPEC, ANY, typed).unwrap();
    let bench = Bench::new();
    assert_eq!(bench.ask(made.as_ref(), &ip(17, 0, &bytes[..3])).0, Matched::Malformed);
}

#[test]
fn the_kernel_refuses_some() {
    for (typed, said) in [
        ("--hashlimit-upto 1/h --hashlimit-burst 1000", ""),
        (
            "--hashlimit-upto 1/d",
            "xt_hashlimit: overflow, try lower: 86400000000/5",
        ),
        ("--hashlimit-upto -1kb/s", "xt_hashlimit: overflow, rate too high: 1"),
        ("--hashlimit-upto -1kb/s --hashlimit-rate-match", ""),
        ("--hashlimit-upto 1/d --hashlimit-rate-match", ""),
        ("--hashlimit-upto 2000000/min", ""),
        (
            "--hashlimit-upto 2000000/min --hashlimit-rate-match",
            "xt_hashlimit: invalid rate",
        ),
        (
            "--hashlimit-upto 3/s --hashlimit-htable-expire 0",
            "--hashlimit-htable-gcinterval and --hashlimit-htable-expire are more than 0",
        ),
        (
            "--hashlimit-upto 3/s --hashlimit-srcmask 33",
            "--hashlimit-srcmask and --hashlimit-dstmask are prefixes of an address",
        ),
    ] {
        let typed = format!("{typed} --hashlimit-name x");
        match_places(&SPEC, ANY, &typed, &[(RuleTable::Filter, &[Hook::Input], said)]);
    }
    for name in [".", "..", "a/b"] {
        let typed = format!("--hashlimit-upto 3/s --hashlimit-name {name}");
        let said = "a file in /proc/net/ipt_hashlimit cannot have this name";
        match_places(&SPEC, ANY, &typed, &[(RuleTable::Filter, &[Hook::Input], said)]);
    }
}

#[test]
fn who_counts_and_who_does_not_share_no_table() {
    let bench = Bench::new();
    let of = |typed: &str| read_match(&SPEC, ANY, &format!("{typed} --hashlimit-name x")).unwrap();
    let counts = of("--hashlimit-upto 3/s --hashlimit-rate-match");
    let takes = of("--hashlimit-upto 1kb/s");
    for (first, second) in [(&counts, &takes), (&takes, &counts)] {
        let state = BoundState::fresh(first.as_ref(), bench.now).unwrap();
        assert!(second.sharing().unwrap().may_join(&*state).is_err());
        assert_eq!(first.sharing().unwrap().may_join(&*state), Ok(()));
    }
}

#[test]
fn larger_tables_are_given_back_smaller() {
    let of = |typed: &str| {
        let typed = format!("--hashlimit-upto 3/s --hashlimit-name x {typed}");
        read_match(&SPEC, ANY, &typed).unwrap()
    };
    let large = of("--hashlimit-htable-size 2000000 --hashlimit-htable-max 4294967295");
    let given_back = large.read_back().unwrap();
    let smaller = of("--hashlimit-htable-size 1048576 --hashlimit-htable-max 1048576");
    assert!(given_back.equals(smaller.as_ref()));
    assert!(given_back.read_back().is_none());
}

#[test]
fn each_family_has_a_directory_and_addresses_of_its_own() {
    let typed = "--hashlimit-upto 1/h --hashlimit-mode srcip --hashlimit-name x";
    for (family, directory) in [(Family::V4, "ipt_hashlimit"), (Family::V6, "ip6t_hashlimit")] {
        let made = read_match_in(family, &SPEC, ANY, typed).unwrap();
        let sharing = made.sharing().unwrap();
        assert_eq!((sharing.directory(), sharing.name()), (directory, "x"));
    }
    let mut text = String::new();
    write_address(&mut text, "2001:db8::2".parse().unwrap());
    assert_eq!(text, "2001:0db8:0000:0000:0000:0000:0000:0002");
}
