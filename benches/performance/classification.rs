//! What rules cost that a packet passes.

use std::fs;
use std::hint::black_box;

use nflab::base::{Family, InterfaceId};
use nflab::rule::{Chain, Table};

use crate::bench_router::Setup;
use crate::networks::{Kernel, has_tools};
use crate::peers;
use crate::report::{Bound, Line, nanoseconds as shown, time};
use crate::rulesets::{Five, Headers, Kind, classes as drawn, plain as rules, plain_packets, trace, untracked};
use crate::sampling::{Samples, in_turn, nanoseconds};

/// 10, 10,000 and 100,000 rules, and the kernel's 10,000.
pub(crate) fn plain() -> Vec<Line> {
    let packets = plain_packets();
    let mut few = Setup::new(&rules(10));
    let mut many = Setup::new(&rules(10_000));
    let mut most = Setup::new(&rules(100_000));
    let batches: Vec<_> = packets.iter().map(|packet| (few.lan, packet.clone())).collect();
    let kernels = has_tools().map(|()| {
        let with = |name: &str, count: usize| {
            let kernel = Kernel::new(name);
            kernel.tool(&["iptables-legacy-restore"], &rules(count));
            kernel
        };
        (with("nflab-table-0", 0), with("nflab-table-10000", 10_000))
    });
    let mut own = [
        &mut || carry_together(&mut few, &batches),
        &mut || carry_together(&mut many, &batches),
        &mut || carry_together(&mut most, &batches),
    ] as [&mut dyn FnMut() -> f64; 3];
    let (few, many, most, kernel) = match kernels {
        Ok((mut bare, mut full)) => {
            let mut bare = || nanoseconds(packets.len(), || bare.carry(&packets));
            let mut full = || nanoseconds(packets.len(), || full.carry(&packets));
            let [few, many, most] = own;
            let samples = in_turn(ROUNDS, &mut [few, many, most, &mut bare, &mut full]);
            let [few, many, most, bare, full] = <[Samples; 5]>::try_from(samples).expect("five were asked");
            (few, many, most, Ok((bare, full)))
        }
        Err(why) => {
            let [few, many, most] = <[Samples; 3]>::try_from(in_turn(ROUNDS, &mut own)).expect("three were asked");
            (few, many, most, Err(why))
        }
    };
    let mut lines = vec![Line::ratio(
        "a packet against 100,000 plain rules that do not match, in batches of 32, beside ten rules",
        time(&most),
        format!("nflab with ten: {}", time(&few)),
        most.least() / few.least(),
        Some(Bound::AtMost(1.5)),
    )];
    let work = "a packet against 10,000 plain rules that do not match, in batches of 32, beside the kernel";
    lines.push(match kernel {
        Ok((bare, full)) => Line::ratio(
            work,
            time(&many),
            format!(
                "iptables-legacy {}, two system calls within (without rules {})",
                time(&full),
                time(&bare)
            ),
            full.least() / many.least(),
            Some(Bound::AtLeast(400.0)),
        ),
        Err(why) => Line::missing(work, &why),
    });
    lines
}

/// Packets that come together, as many as rte_acl is given.
fn carry_together(setup: &mut Setup, packets: &[(InterfaceId, Vec<u8>)]) -> f64 {
    nanoseconds(packets.len(), || {
        for batch in packets.chunks(BATCH) {
            black_box(setup.receive_batch(black_box(batch)));
        }
    })
}

/// 10,000 rules each of three kinds; classification's share is what a packet costs more than without a rule.
pub(crate) fn classes() -> Vec<Line> {
    let program = peers::made("acl");
    let kinds = [(Kind::Acl, "acl"), (Kind::Fw, "fw"), (Kind::Ipc, "ipc")];
    kinds
        .into_iter()
        .map(|(kind, name)| {
            let work = format!("10,000 rules that overlap ({name}), classification's share");
            let rules = drawn(kind, 10_000);
            let trace = trace(&rules, TRACE);
            let mut with = Setup::new(&untracked(&rules));
            let lan = with.lan;
            let packets: Vec<_> = trace.iter().map(|headers| (lan, headers.packet())).collect();
            let mut without = Setup::new(&untracked(&[]));
            let wrong = check(&mut with, &rules, &trace, &packets);
            if let Some(wrong) = wrong {
                return Line::missing(&work, &wrong);
            }
            let folder = std::env::temp_dir();
            let (rules_file, trace_file) = (
                folder.join(format!("{name}.rules")),
                folder.join(format!("{name}.trace")),
            );
            fs::write(&rules_file, rules.iter().map(Five::numbers).collect::<String>()).expect("a temporary file");
            fs::write(&trace_file, trace.iter().map(Headers::numbers).collect::<String>()).expect("a temporary file");
            let mut full = || carry_together(&mut with, &packets);
            let mut bare = || carry_together(&mut without, &packets);
            let program = match &program {
                Ok(program) => program,
                Err(why) => {
                    let samples = in_turn(ROUNDS, &mut [&mut full, &mut bare]);
                    let share = samples[0].least() - samples[1].least();
                    return Line {
                        nflab: shown(share),
                        ..Line::missing(&work, why)
                    };
                }
            };
            let expected: usize = trace
                .iter()
                .map(|packet| first(&rules, packet).map_or(0, |at| at + 1))
                .sum();
            let mut acl = || {
                let words = [&rules_file, &trace_file].map(|it| it.to_str().expect("a plain name"));
                let said = peers::said(program, &[words[0], words[1], "5"]).unwrap_or_else(|why| panic!("{why}"));
                let mut numbers = said.lines().map(|line| line.parse::<f64>().expect("a number"));
                assert_eq!(numbers.next(), Some(expected as f64), "rte_acl finds the same rules");
                numbers.fold(f64::MAX, f64::min)
            };
            let samples = in_turn(3, &mut [&mut full, &mut bare, &mut acl]);
            let [full, bare, acl] = <[Samples; 3]>::try_from(samples).expect("three were asked");
            let share = (full.least() - bare.least()).max(0.0);
            Line::ratio(
                &work,
                format!("{} of {}; counters exact", shown(share), time(&full)),
                format!("rte_acl avx2: {}; both in batches of {BATCH}", time(&acl)),
                share / acl.least(),
                Some(Bound::AtMost(2.0)),
            )
        })
        .collect()
}

/// Sends each packet once; what is wrong with the rules' counters, if anything is.
fn check(setup: &mut Setup, rules: &[Five], trace: &[Headers], packets: &[(InterfaceId, Vec<u8>)]) -> Option<String> {
    let mut expected = vec![0; rules.len()];
    for at in trace.iter().filter_map(|packet| first(rules, packet)) {
        expected[at] += 1;
    }
    let left: usize = packets.chunks(BATCH).map(|batch| setup.receive_batch(batch)).sum();
    let came: usize = packets.iter().map(|(_, bytes)| bytes.len()).sum();
    if left != came {
        return Some(format!("of {came} bytes {left} got through"));
    }
    let counters = setup.router.counters(Family::V4, Table::Filter);
    let table = setup.router.table(Family::V4, Table::Filter);
    let forward: &Chain = table.chain("FORWARD").expect("a built-in chain");
    let counted = forward
        .rules
        .iter()
        .map(|rule| counters.get(&rule.id).map_or(0, |it| it.packets));
    let wrong = counted
        .zip(&expected)
        .position(|(counted, expected)| counted != *expected);
    wrong.map(|at| {
        format!(
            "rule {} has counted other packets than those that it is the first to match",
            at + 1
        )
    })
}

fn first(rules: &[Five], packet: &Headers) -> Option<usize> {
    rules.iter().position(|rule| rule.matches(packet))
}

const ROUNDS: usize = 5;
const TRACE: usize = 10_000;
const BATCH: usize = 32;
