//! `conntrack` from a seed: a command and a few options, well and ill, over empty tables.

use nflab::base::Random;

use super::values::{bent, pick};
use super::{Step, step};

pub(crate) fn scenario(random: &mut Random) -> Vec<Step> {
    (0..20)
        .map(|_| {
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
            // They would wait for events, or make flows.
            step.arguments
                .retain(|word| !MAKERS.iter().any(|it| word.starts_with(it)) && !is_cluster_of_maker(word));
            step
        })
        .collect()
}

fn is_cluster_of_maker(word: &str) -> bool {
    word.starts_with('-') && !word.starts_with("--") && word.contains(['I', 'A', 'U', 'E', 'G', 'S', 'R'])
}

const MAKERS: &[&str] = &[
    "-E", "--e", "--E", "-I", "--c", "-A", "--ad", "-U", "--u", "-G", "--g", "-S", "--st", "-R", "--lo", "-h", "--h",
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
    "",
];
#[rustfmt::skip]
const OPTIONS: &[&str] = &[
    "-p tcp", "-p tcp --sport 80", "-p udp --dport 53", "-p icmp --icmp-type 8", "-p tcp --state ESTABLISHED", "-p 17", "-p tcp --reply-port-src 5",
    "-s 10.0.0.1", "-s 10.0.0.0/8", "-d 192.0.2.1", "-d 192.0.2.1/24", "-r 10.0.0.1", "-q 10.0.0.1", "-s ::1", "--orig-src 1.2.3.4", "--orig-dst=1.2.3.4",
    "-f ipv4", "-f ipv6", "-u ASSURED", "-u SEEN_REPLY,ASSURED", "-u UNREPLIED", "-u EXPECTED", "-m 1", "-m 1/1", "-m 0x10/0xff", "-n", "-g", "-n 1.2.3.4", "-g 1.2.3.4",
    "-j", "-j 1.2.3.4", "-o extended", "-o id", "-o extended,id", "word", "-x", "--foo", "--src", "-s", "-p", "-o", "-m", "-u FOO", "-p nope", "-s nope", "-f nope",
    "-o nope", "--sport 80", "--state CLOSE", "-L", "-D", "expect", "--", "-V", "--orig 1.2.3.4", "--reply-d 1.2.3.4", "--fam ipv4", "--mark=5", "-b 5", "-p tcp --state x",
];
