//! `conntrack` from a seed: flows that both sides make, then a command and a few options, well and ill.

use nflab::base::Random;

use super::values::{bent, pick};
use super::{Step, step};

pub(crate) fn scenario(random: &mut Random) -> Vec<Step> {
    let made = random.below(4);
    let mut steps: Vec<Step> = (0..made).map(|_| whole_mark(step(&making(random)))).collect();
    steps.extend((0..20).map(|_| asking(random)));
    steps
}

/// A flow of the few hosts and ports that all is about, so that calls meet.
fn making(random: &mut Random) -> String {
    let command = pick(random, &["-I", "-I", "-A", "--create"]);
    let (source, destination) = (pick(random, HOSTS), pick(random, HOSTS));
    let protocol = pick(random, PROTOCOLS);
    let mut line = format!(
        "conntrack {command} -s {source} -d {destination} -t {}00 -p {protocol}",
        1 + random.below(6)
    );
    for _ in 0..random.below(3) {
        line += " ";
        line += pick(random, MADE_WITH);
    }
    line
}

fn asking(random: &mut Random) -> Step {
    if random.below(4) == 0 {
        return whole_mark(step(&making(random)));
    }
    let mut parts = vec!["conntrack".to_owned(), pick(random, COMMANDS).to_owned()];
    for _ in 0..random.below(4) {
        parts.push(pick(random, OPTIONS).to_owned());
    }
    let mut step = step(&parts.join(" "));
    if random.below(6) == 0 && !step.arguments.is_empty() {
        let at = random.below(step.arguments.len() as u32) as usize;
        let word = step.arguments.remove(at);
        match random.below(3) {
            0 => {}
            1 => step.arguments.insert(at, bent(random, &word)),
            _ => {
                let to = random.below(step.arguments.len() as u32 + 1) as usize;
                step.arguments.insert(to, word);
            }
        }
    }
    step.arguments
        .retain(|word| !WAITERS.iter().any(|it| word.starts_with(it)) && !is_cluster_of_waiter(word));
    whole_mark(step)
}

/// The real tool takes a status for the mark that stands before it, and everything after that would differ.
fn whole_mark(mut step: Step) -> Step {
    let at = |begins: [&str; 2]| {
        let is = |word: &String| begins.iter().any(|it| word.starts_with(it));
        step.arguments.iter().position(is)
    };
    if let (Some(mark), Some(status)) = (at(["-m", "--mar"]), at(["-u", "--statu"]))
        && mark < status
    {
        step.arguments.truncate(status);
    }
    step
}

fn is_cluster_of_waiter(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.contains('E')
}

/// They would wait for events, or say it in words of their own.
const WAITERS: &[&str] = &["-E", "--e", "--E", "-h", "--h"];
const HOSTS: &[&str] = &["10.0.0.1", "10.0.0.2", "10.0.0.9", "192.0.2.1"];
#[rustfmt::skip]
const PROTOCOLS: &[&str] = &[
    "udp --sport 1000 --dport 53", "udp --sport 1000 --dport 54", "udp --sport 2000 --dport 53", "tcp --sport 1000 --dport 80 --state ESTABLISHED",
    "tcp --sport 1000 --dport 80 --state SYN_SENT", "tcp --sport 1001 --dport 80 --state TIME_WAIT", "icmp --icmp-type 8 --icmp-code 0 --icmp-id 7",
    "icmp --icmp-type 8 --icmp-code 0", "icmp --icmp-type 13 --icmp-code 7 --icmp-id 9", "gre --srckey 1 --dstkey 2", "esp", "47", "udplite --sport 1 --dport 2", "dccp --sport 1 --dport 2 --state OPEN --role client",
    "udp", "tcp --state CLOSE",
];
#[rustfmt::skip]
const MADE_WITH: &[&str] = &[
    "-u SEEN_REPLY", "-u ASSURED,SEEN_REPLY", "-u UNSET", "-u FIXED_TIMEOUT", "-u EXPECTED", "-m 5", "-m 0x15/0xf", "-n 192.0.2.1:3000", "-g 10.0.0.9",
    "-g 10.0.0.9:8080", "-n", "-g", "-n 192.0.2.1", "-n -g 10.0.0.2", "-r 10.0.0.2", "-q 10.0.0.1", "-r 10.0.0.2 -q 10.0.0.1", "--reply-port-src 5", "--reply-port-dst 6", "-w 0", "-o id", "-i 5", "-f ipv4",
];
const COMMANDS: &[&str] = &[
    "-L",
    "-L",
    "-L",
    "-D",
    "-D",
    "-F",
    "-C",
    "-L conntrack",
    "-L expect",
    "--dump",
    "--delete",
    "--flush",
    "--count",
    "-U",
    "-U",
    "-U -s 10.0.0.1",
    "-U -f ipv4",
    "-G",
    "-G -s 10.0.0.1 -d 10.0.0.2",
    "-G expect",
    "-D expect",
    "-I",
    "-I expect",
    "-L dying",
    "-L unconfirmed",
    "-C expect",
    "-F expect",
    "-S expect",
    "",
];
#[rustfmt::skip]
const OPTIONS: &[&str] = &[
    "-p tcp", "-p tcp --sport 80", "-p udp --dport 53", "-p icmp --icmp-type 8", "-p tcp --state ESTABLISHED", "-p 17", "-p tcp --reply-port-src 5",
    "-s 10.0.0.1", "-s 10.0.0.0/8", "-d 192.0.2.1", "-d 192.0.2.1/24", "-r 10.0.0.1", "-q 10.0.0.1", "-s ::1", "--orig-src 1.2.3.4", "--orig-dst=1.2.3.4",
    "-f ipv4", "-f ipv6", "-u ASSURED", "-u SEEN_REPLY,ASSURED", "-u UNREPLIED", "-u EXPECTED", "-m 1", "-m 1/1", "-m 0x10/0xff", "-n", "-g", "-n 1.2.3.4", "-g 1.2.3.4",
    "-j", "-j 1.2.3.4", "-o extended", "-o id", "-o extended,id", "word", "-x", "--foo", "--src", "-s", "-p", "-o", "-m", "-u FOO", "-p nope", "-s nope", "-f nope",
    "-o nope", "--sport 80", "--state CLOSE", "-L", "-D", "expect", "--", "-V", "--orig 1.2.3.4", "--reply-d 1.2.3.4", "--fam ipv4", "--mark=5", "-b 5", "-p tcp --state x",
    "-o xml", "-o save", "-o xml,id", "-o ktimestamp", "-t 7", "-t 100", "-i 99999", "-w 0", "-w 1", "--orig-zone 0", "--reply-zone 3", "-c 1", "-z", "-l x", "--label-add x",
    "--label-del", "-p udp --sport 1000 --dport 53", "-p tcp --sport 1000 --dport 80", "-p icmp --icmp-type 8 --icmp-code 0 --icmp-id 7", "-p gre --srckey 1 --dstkey 2", "-p gre --srckey 9",
    "-p esp", "-p dccp --state OPEN", "-d 10.0.0.2", "-s 10.0.0.2", "-m 5/5", "-n 192.0.2.1:3000", "-g 10.0.0.9:8080", "-j 10.0.0.9", "-n 192.0.2.1", "-n 192.0.2.1:0", "-g 10.0.0.9:7", "-g 10.0.0.9:0", "--mask-src 255.0.0.0", "--mask-dst 0.0.0.0",
    "--tuple-src 10.0.0.1", "--tuple-dst 10.0.0.2/24", "-p udp --tuple-port-src 5", "-p udp --mask-port-dst 5", "-u FIXED_TIMEOUT", "-u UNSET", "-u OFFLOAD", "-e NEW",
];
