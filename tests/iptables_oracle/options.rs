//! Rules made of the extensions' own specs from a seed: any options in any order, with values that are right, odd or wrong.

use nflab::base::Random;
use nflab::ext::option::{OptionSpec, ValueKind};
use nflab::ext::{MATCHES, TARGETS};

use super::{Step, Tool};

pub fn scenarios(seed: u64, count: u64) -> Vec<Vec<Step>> {
    (0..count)
        .map(|at| {
            let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(at));
            (0..20).map(|_| rule(&mut random)).collect()
        })
        .collect()
}

fn rule(random: &mut Random) -> Step {
    let (table, chain) = pick(random, PLACES);
    let mut arguments: Vec<String> = ["-t", table, "-A", chain].map(str::to_owned).to_vec();
    let protocol = pick(random, PROTOCOLS);
    arguments.extend(protocol.split_whitespace().map(str::to_owned));
    for _ in 0..random.below(3) {
        let spec = pick(random, MATCHES);
        if spec.protocol.is_none() || random.below(3) == 0 {
            arguments.extend(["-m".to_owned(), spec.name.to_owned()]);
            options(random, &mut arguments, spec.options);
        }
    }
    if random.below(2) == 0 {
        let spec = pick(random, TARGETS);
        arguments.extend(["-j".to_owned(), spec.name.to_owned()]);
        options(random, &mut arguments, spec.options);
    }
    Step {
        tool: Tool::Iptables,
        arguments,
        input: String::new(),
    }
}

fn options(random: &mut Random, arguments: &mut Vec<String>, specs: &'static [OptionSpec]) {
    if specs.is_empty() {
        return;
    }
    for _ in 0..1 + random.below(3) {
        let spec = &specs[random.below(specs.len() as u32) as usize];
        if matches!(spec.value, ValueKind::Refused { .. }) {
            continue;
        }
        if random.below(6) == 0 && (spec.invert || random.below(4) == 0) {
            arguments.push("!".to_owned());
        }
        let names: Vec<_> = spec.names().collect();
        arguments.push(format!("--{}", pick(random, &names)));
        for _ in 0..spec.value.arity() {
            arguments.push(value(random, spec));
        }
    }
}

fn value(random: &mut Random, spec: &OptionSpec) -> String {
    let odd = random.below(6) == 0;
    let from: &[&str] = match spec.value {
        _ if odd => ODD,
        ValueKind::Words { words, .. } => {
            let mut list: Vec<&str> = (0..1 + random.below(3)).map(|_| pick(random, words)).collect();
            if let Some(last) = list.last_mut() {
                *last = &last[..last.len() - random.below(last.len() as u32) as usize];
            }
            return list.join(",");
        }
        _ if spec.name.starts_with("to-") => TO,
        _ if spec.name == "helper" => &["ftp", "ftp", "", "nosuch", "12345678901234567"],
        _ if spec.name == "icmp-type" => &["8", "3/4", "any", "echo-reply", "host", "ttl", "3/", "13", "255", "0/9"],
        _ if spec.name == "limit" => &[
            "3/s", "5/min", "100/hour", "2/day", "1/day", "10000/s", "7", "90/m", "59/hou",
        ],
        _ if spec.name == "reject-with" => &[
            "tcp-reset",
            "icmp-net-unreachable",
            "icmp-a",
            "host-p",
            "port",
            "tcp-rst",
        ],
        _ if spec.name == "log-level" => &["debug", "3", "warning", "0x5", "err", "error", "panic"],
        _ if spec.name == "ctproto" => &["tcp", "17", "0", "ospf", "all", "ICMP", "255", "256"],
        _ if spec.name == "ctdir" => &["ORIGINAL", "reply", "REPL"],
        ValueKind::Pair { .. } => &["SYN", "SYN,ACK", "ALL", "NONE", "fin,urg,", "SYN,RST,ACK,FIN"],
        ValueKind::HostMask => &[
            "10.0.0.1",
            "10.0.0.0/8",
            "1.2.3.4/255.0.255.0",
            "0/0",
            "10.1/16",
            "1.2.3.4/33",
        ],
        ValueKind::MarkMask => &["1", "0x10/0xff", "5/3", "0", "0/0", "4294967295", "0x1/0"],
        ValueKind::Integer { .. } => &["1", "0", "5", "0xff", "10000", "10001", "4294967295"],
        ValueKind::Text { .. } | ValueKind::Custom { syntax: "TEXT", .. } => &[
            "word",
            "two words",
            "q\"u'o\\te",
            "-x",
            "ends here: ",
            "12345678901234567890123456789012",
        ],
        _ => PORTS,
    };
    pick(random, from).to_owned()
}

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u32) as usize]
}

const PLACES: &[(&str, &str)] = &[
    ("filter", "INPUT"),
    ("filter", "FORWARD"),
    ("filter", "OUTPUT"),
    ("nat", "PREROUTING"),
    ("nat", "POSTROUTING"),
    ("mangle", "POSTROUTING"),
    ("raw", "PREROUTING"),
    ("raw", "OUTPUT"),
];
const PROTOCOLS: &[&str] = &[
    "",
    "-p tcp",
    "-p tcp",
    "-p tcp",
    "-p udp",
    "-p udp",
    "-p icmp",
    "! -p tcp",
    "-p 47",
    "-p sctp",
    "-p udplite",
];
const PORTS: &[&str] = &[
    "80",
    "1:2",
    ":5",
    "5:",
    ":",
    "http",
    "domain",
    "20:10",
    "7:7",
    "1,2,3",
    "80,443,1000:2000",
    "1:2,3:4",
    "65535",
];
const TO: &[&str] = &[
    "1.2.3.4",
    "1.2.3.4-1.2.3.9",
    "1.2.3.4:80",
    ":80-90",
    "1.2.3.4-1.2.3.4:80-80",
    "80",
    "80-90",
    "http",
    "8080-8080",
    "1.2.3.4:80-90/85",
    "1024-65535",
];
const ODD: &[&str] = &[
    "",
    "0",
    "65536",
    "-1",
    "x",
    "1x",
    "0x",
    "08",
    " 7",
    "+7",
    "1:2:3",
    "1-2-3",
    "1/",
    "/1",
    ",",
    "a,b",
    "1.2.3",
    "1.2.3.4/x",
    "!",
    "4294967296",
    "99999999999999999999",
    "80-",
    "-80",
    "ftp-data",
    "1.2.3.4:",
    "1:x",
    "x:1",
];
