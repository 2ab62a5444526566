//! Chains and rule numbers, and when two rules are the same: `-C` and `-D` of a rule in another spelling, and everything that names a chain.

use nflab::base::Random;

use super::values::pick;
use super::{Step, step};

pub fn scenario(random: &mut Random) -> Vec<Step> {
    let mut steps = Vec::new();
    match random.below(3) {
        0 => spellings(random, &mut steps),
        1 => names(random, &mut steps),
        _ => forms(random, &mut steps),
    }
    steps
}

/// Rules that say the same, or nearly so.
fn spellings(random: &mut Random, steps: &mut Vec<Step>) {
    steps.extend(["-N a", "-N b", "-t raw -N a", "-t mangle -N a", "-t nat -N a"].map(step));
    for _ in 0..4 {
        let family = pick(random, SPELLINGS);
        let place = pick(random, family.0);
        for _ in 0..1 + random.below(3) {
            steps.push(step(
                &format!("-t {place} {}{}", pick(random, family.1), pick(random, TAILS)).replace("VERB", "-A"),
            ));
        }
        for _ in 0..1 + random.below(4) {
            // Where the rule is, the verb and the chain stand before it.
            let verb = pick(random, &["-C", "-D", "-D", "-v -C", "-v -D"]);
            steps.push(step(
                &format!("-t {place} {}{}", pick(random, family.1), pick(random, TAILS)).replace("VERB", verb),
            ));
        }
        steps.push(step(&format!("-t {} -S", place)));
    }
}

/// Chain names, good and bad, in every command that takes one.
fn names(random: &mut Random, steps: &mut Vec<Step>) {
    for _ in 0..20 {
        let name = pick(random, NAMES);
        let other = pick(random, NAMES);
        let number = pick(random, NUMBERS);
        let table = pick(random, &["", "", "", "", "-t nat ", "-t raw ", "-t nope "]);
        let line = match random.below(20) {
            0..=3 => format!("-N {name}"),
            4..=5 => format!("-A {name} -j {other}"),
            6 => format!("-A {name} -g {other}"),
            7 => format!("-X {name}"),
            8 => format!("-E {name} {other}"),
            9 => format!("-F {name}"),
            10 => format!("-Z {name} {number}"),
            11 => format!("-L {name} {number} -n"),
            12 => format!("-S {name} {number}"),
            13 => format!(
                "-P {name} {}",
                pick(random, &["ACCEPT", "DROP", "RETURN", "QUEUE", "accept", "''", other])
            ),
            14 => format!("-D {name} {number}"),
            15 => format!("-R {name} {number} -j {other}"),
            16 => format!("-I {name} {number} -j {other}"),
            17 => format!("-C {name} -j {other}"),
            18 => format!("-D {name} -j {other}"),
            _ => pick(random, &["-X", "-F", "-Z", "-S", "-L"]).to_owned(),
        };
        steps.push(step(&format!("{table}{line}")));
    }
}

/// The tool's own options in odd places, twice, and with a `!`.
fn forms(random: &mut Random, steps: &mut Vec<Step>) {
    steps.extend(["-N a", "-A INPUT -j a", "-A INPUT -s 10.0.0.1 -j DROP -c 3 4"].map(step));
    for _ in 0..18 {
        let mut parts = vec![pick(random, VERBS)];
        for _ in 0..random.below(4) {
            parts.push(pick(random, PARTS));
        }
        if random.below(3) == 0 {
            let at = random.below(parts.len() as u32) as usize;
            let part = parts.remove(at);
            parts.push(part);
        }
        steps.push(step(&parts.join(" ")));
    }
}

/// Tables and chains, and spellings of rules that fit in them.
#[rustfmt::skip]
const SPELLINGS: &[(&[&str], &[&str])] = &[
    (&["filter", "mangle", "raw"], &[
        "VERB OUTPUT -s 10.0.0.1", "VERB OUTPUT -s 10.0.0.1/32", "VERB OUTPUT -s 10.0.0.1/255.255.255.255", "VERB OUTPUT --source 10.0.0.1",
        "VERB OUTPUT ! -s 10.0.0.1", "VERB OUTPUT -s 10.0.0.1 -d 0/0", "VERB OUTPUT -s 10.0.0.1 -d 1.2.3.4/0", "VERB OUTPUT -d 10.0.0.1",
        "VERB OUTPUT -s 10.0.0.1 -p all", "VERB OUTPUT -s 10.0.0.1 -o +", "VERB OUTPUT -s 0xa000001", "VERB OUTPUT -s 10.1",
        "VERB OUTPUT -s 10.0.0.1,10.0.0.2", "VERB OUTPUT -s 10.0.0.2,10.0.0.1", "VERB OUTPUT -s 10.0.0.2", "VERB OUTPUT -s 10.0.0.1,10.0.0.1",
    ]),
    (&["filter", "mangle"], &[
        "VERB OUTPUT -p tcp --dport 80", "VERB OUTPUT -p tcp -m tcp --dport 80", "VERB OUTPUT -p 6 -m tcp --dport http", "VERB OUTPUT -p TCP --dport 80:80",
        "VERB OUTPUT -p tcp --dport 80 --sport 0:65535", "VERB OUTPUT -p tcp --dport 80 --sport :", "VERB OUTPUT -p tcp ! --dport 80",
        "VERB OUTPUT -p udp --dport 80", "VERB OUTPUT -p tcp --sport 80", "VERB OUTPUT -p tcp -m tcp -m tcp --dport 80", "VERB OUTPUT -p tcp",
        "VERB OUTPUT -p tcp -m tcp", "VERB OUTPUT -p tcp --syn", "VERB OUTPUT -p tcp --tcp-flags SYN,RST,ACK,FIN SYN", "VERB OUTPUT -p tcp --tcp-flags FIN,ACK,RST,SYN SYN",
        "VERB OUTPUT -p tcp ! --syn", "VERB OUTPUT -p tcp --tcp-option 5", "VERB OUTPUT -p tcp --tcp-option 0x5",
    ]),
    (&["filter"], &[
        "VERB INPUT -p tcp -m multiport --dports 80,443", "VERB INPUT -p tcp -m multiport --dports 443,80", "VERB INPUT -p tcp -m multiport --ports 80,443",
        "VERB INPUT -p tcp -m multiport --destination-ports http,https", "VERB INPUT -p tcp -m multiport ! --dports 80,443", "VERB INPUT -p tcp -m multiport --dports 80:443",
        "VERB INPUT -p tcp -m multiport --dports 80,443,443", "VERB INPUT -p tcp -m multiport --dports 80", "VERB INPUT -p tcp -m multiport --dports 80:80",
        "VERB INPUT -p udp -m multiport --dports 80,443",
    ]),
    (&["filter"], &[
        "VERB INPUT -m state --state NEW", "VERB INPUT -m conntrack --ctstate NEW", "VERB INPUT -m state --state NEW,NEW", "VERB INPUT -m state ! --state NEW",
        "VERB INPUT -m state --state NEW,RELATED", "VERB INPUT -m state --state RELATED,NEW", "VERB INPUT -m conntrack --ctstate RELATED,NEW",
        "VERB INPUT -m conntrack ! --ctstate NEW", "VERB INPUT -m state --state UNTRACKED", "VERB INPUT -m conntrack --ctstate SNAT",
        "VERB INPUT -m conntrack --ctorigsrc 10.1.2.3/8", "VERB INPUT -m conntrack --ctorigsrc 10.0.0.0/8", "VERB INPUT -m conntrack --ctproto 6",
        "VERB INPUT -m conntrack --ctproto tcp", "VERB INPUT -m conntrack --ctexpire 5", "VERB INPUT -m conntrack --ctexpire 5:5",
        "VERB INPUT -m conntrack --ctstatus ASSURED,CONFIRMED", "VERB INPUT -m conntrack --ctstatus CONFIRMED,ASSURED",
    ]),
    (&["filter"], &[
        "VERB INPUT -m limit", "VERB INPUT -m limit --limit 3/hour", "VERB INPUT -m limit --limit 3/hour --limit-burst 5", "VERB INPUT -m limit --limit 1/second",
        "VERB INPUT -m limit --limit 60/minute", "VERB INPUT -m limit --limit 1/s", "VERB INPUT -m limit --limit 60/m --limit-burst 5",
        "VERB INPUT -m limit --limit 3/h --limit-burst 6",
    ]),
    (&["filter"], &[
        "VERB INPUT -m mark --mark 1", "VERB INPUT -m mark --mark 0x1", "VERB INPUT -m mark --mark 1/0xffffffff", "VERB INPUT -m mark --mark 1/1",
        "VERB INPUT -m mark --mark 3/1", "VERB INPUT -m mark ! --mark 1", "VERB INPUT -m mark --mark 01",
    ]),
    (&["filter"], &[
        "VERB INPUT -m comment --comment a", "VERB INPUT -m comment --comment 'a '", "VERB INPUT -m comment --comment A", "VERB INPUT",
        "VERB INPUT -m comment --comment a -m comment --comment b", "VERB INPUT -m comment --comment b -m comment --comment a",
        "VERB INPUT -m comment --comment b",
    ]),
    (&["filter"], &[
        "VERB INPUT -p icmp --icmp-type 8", "VERB INPUT -p icmp --icmp-type echo-request", "VERB INPUT -p icmp --icmp-type ping", "VERB INPUT -p icmp --icmp-type 8/0",
        "VERB INPUT -p icmp --icmp-type any", "VERB INPUT -p icmp", "VERB INPUT -p icmp -m icmp --icmp-type 255", "VERB INPUT -p icmp -m icmp",
        "VERB INPUT -p icmp --icmp-type 3/3", "VERB INPUT -p icmp --icmp-type port-unreachable", "VERB INPUT -p icmp ! --icmp-type 8",
    ]),
    (&["filter"], &[
        "VERB INPUT -m addrtype --src-type LOCAL", "VERB INPUT -m addrtype --src-type LOCAL,LOCAL", "VERB INPUT -m addrtype --dst-type LOCAL",
        "VERB INPUT -m addrtype --src-type LOCAL,UNICAST", "VERB INPUT -m addrtype --src-type UNICAST,LOCAL", "VERB INPUT -m addrtype ! --src-type LOCAL",
        "VERB INPUT -m addrtype --src-type LOCAL --limit-iface-in",
    ]),
    (&["filter"], &[
        "VERB INPUT -j REJECT", "VERB INPUT -j REJECT --reject-with icmp-port-unreachable", "VERB INPUT -j REJECT --reject-with port-unreach",
        "VERB INPUT -j REJECT --reject-with icmp-proto-unreachable", "VERB INPUT -p tcp -j REJECT --reject-with tcp-reset", "VERB INPUT -p tcp -j REJECT",
    ]),
    (&["filter", "raw", "mangle"], &[
        "VERB OUTPUT -j LOG", "VERB OUTPUT -j LOG --log-level 4", "VERB OUTPUT -j LOG --log-level warning", "VERB OUTPUT -j LOG --log-level warn",
        "VERB OUTPUT -j LOG --log-prefix ''", "VERB OUTPUT -j LOG --log-prefix x", "VERB OUTPUT -j LOG --log-uid", "VERB OUTPUT -j LOG --log-tcp-options --log-ip-options",
        "VERB OUTPUT -j LOG --log-ip-options --log-tcp-options",
    ]),
    (&["mangle"], &[
        "VERB OUTPUT -j MARK --set-mark 1", "VERB OUTPUT -j MARK --set-xmark 1", "VERB OUTPUT -j MARK --set-xmark 1/0xffffffff", "VERB OUTPUT -j MARK --or-mark 1",
        "VERB OUTPUT -j MARK --set-xmark 1/1", "VERB OUTPUT -j MARK --and-mark 1", "VERB OUTPUT -j MARK --xor-mark 1", "VERB OUTPUT -j MARK --set-mark 1/1",
        "VERB OUTPUT -j MARK --set-mark 0x1",
    ]),
    (&["nat"], &[
        "VERB OUTPUT -p tcp -j DNAT --to 10.0.0.1", "VERB OUTPUT -p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.1", "VERB OUTPUT -p tcp -j DNAT --to 10.0.0.1:80",
        "VERB OUTPUT -p tcp -j DNAT --to 10.0.0.1:80-80", "VERB OUTPUT -p tcp -j DNAT --to 10.0.0.1 --random", "VERB OUTPUT -p tcp -j DNAT --to 10.0.0.1 --persistent",
        "VERB OUTPUT -p tcp -j REDIRECT", "VERB OUTPUT -p tcp -j REDIRECT --to-ports 80", "VERB OUTPUT -p tcp -j REDIRECT --to-ports 80-80",
        "VERB OUTPUT -p tcp -j REDIRECT --to-ports http", "VERB OUTPUT -p tcp -j REDIRECT --random",
    ]),
    (&["nat"], &[
        "VERB POSTROUTING -p tcp -j SNAT --to 10.0.0.1", "VERB POSTROUTING -p tcp -j SNAT --to-source 10.0.0.1-10.0.0.1", "VERB POSTROUTING -p tcp -j SNAT --to 10.0.0.1:80",
        "VERB POSTROUTING -p tcp -j SNAT --to 10.0.0.1:80-80", "VERB POSTROUTING -p tcp -j MASQUERADE", "VERB POSTROUTING -p tcp -j MASQUERADE --to-ports 80",
        "VERB POSTROUTING -p tcp -j MASQUERADE --random", "VERB POSTROUTING -p tcp -j MASQUERADE --random-fully", "VERB POSTROUTING -j MASQUERADE",
    ]),
    (&["raw"], &[
        "VERB PREROUTING -j NOTRACK", "VERB PREROUTING -j CT --notrack", "VERB PREROUTING -p tcp -j CT --helper ftp", "VERB PREROUTING -j CT",
        "VERB PREROUTING -p udp -j CT --notrack",
    ]),
    (&["filter"], &[
        "VERB INPUT -j a", "VERB INPUT -g a", "VERB INPUT -j b", "VERB INPUT", "VERB INPUT -j ACCEPT", "VERB INPUT -j DROP", "VERB INPUT -j RETURN", "VERB INPUT -j QUEUE",
        "VERB a -j b", "VERB a", "VERB nope", "VERB INPUT -j nope", "VERB INPUT -j OUTPUT", "VERB INPUT -g OUTPUT",
    ]),
    (&["filter"], &[
        "VERB FORWARD -i eth0", "VERB FORWARD -i eth+", "VERB FORWARD -i eth0+", "VERB FORWARD ! -i eth0", "VERB FORWARD -i +", "VERB FORWARD", "VERB FORWARD -i eth0 -o +",
        "VERB FORWARD -o eth0", "VERB FORWARD -f", "VERB FORWARD ! -f", "VERB FORWARD -f -i eth0", "VERB FORWARD -i eth", "VERB FORWARD ! -i +",
    ]),
];
const TAILS: &[&str] = &[
    "",
    "",
    "",
    "",
    "",
    " -c 5 6",
    " -j ACCEPT",
    " -v",
    " -n",
    " -m comment --comment z",
];
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "a", "a", "a", "b", "b", "c", "INPUT", "OUTPUT", "PREROUTING", "ACCEPT", "DROP", "QUEUE", "RETURN", "LOG", "MARK", "REJECT", "SNAT", "CT", "-a", "!a", "'a b'", "''",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "é", "a/b", "a.b", "a:b", "#a", "[a", "*a", "a\"b", "0", "1", "tcp", "accept", "ERROR", "input",
];
const NUMBERS: &[&str] = &[
    "",
    "",
    "1",
    "1",
    "2",
    "3",
    "0",
    "-1",
    "x",
    "1x",
    "0x1",
    "01",
    "99",
    "4294967295",
    "4294967296",
    "2147483648",
    "''",
    "' 1'",
    "+1",
    "!",
];
#[rustfmt::skip]
const VERBS: &[&str] = &[
    "-A INPUT", "-A INPUT -j ACCEPT", "-I INPUT", "-I INPUT 2", "-D INPUT 1", "-D INPUT", "-R INPUT 1", "-R INPUT", "-C INPUT", "-L", "-L INPUT", "-L INPUT 1", "-S", "-S INPUT 1",
    "-F", "-F a", "-Z", "-Z INPUT", "-Z INPUT 1", "-N z", "-X", "-X a", "-E a z", "-P INPUT DROP", "-P INPUT", "-A FORWARD", "-A OUTPUT", "", "--append INPUT", "--list",
    "--list-rules", "--new z", "--new-chain=z", "--delete INPUT 1", "--delete-chain", "--flush", "--zero", "--policy INPUT ACCEPT", "--rename-chain a z", "-AINPUT", "-LINPUT", "-SINPUT", "-nvL", "-vnxL",
    "-nL --line", "-t filter -A INPUT", "-tfilter -S", "-tnat -S",
];
#[rustfmt::skip]
const PARTS: &[&str] = &[
    "-w", "-w 1", "-w1", "-w x", "-w 1.5", "-w -1", "-w -W 100", "-W 100", "-W", "-w -W x", "-w -W 1000000", "--wait", "--wait=1", "--wait 1", "-c 1 2", "-c 1,2", "-c 1", "-c", "-c 1 x", "-c x 1",
    "-c 1,x", "-c ,1", "-c 1,", "-c -1 2", "-c 0x10 010", "-c 18446744073709551615 1", "-c 18446744073709551616 1", "-c 1 2 3", "--set-counters 1 2", "-4", "-6", "--ipv4", "--ipv6", "-V", "--version",
    "! -V", "-M /bin/false", "--modprobe=/bin/false", "--modprobe", "-f", "! -f", "-f !", "-f -f", "! ! -f", "--fragments", "-n", "-n -n", "-v", "-v -v", "-x", "-x -x", "--line-numbers", "--line",
    "--line-numbers --line-numbers", "-t filter", "-t nat", "-t filter -t nat", "-t", "-t ''", "! -t filter", "-p tcp", "! -p tcp", "-p ! tcp", "-p tcp -p tcp", "-p tcp !", "-s 1.1.1.1", "! -s 1.1.1.1",
    "-s ! 1.1.1.1", "-s 1.1.1.1 -s 2.2.2.2", "-s", "--src 1.1.1.1", "--source=1.1.1.1", "--dst 1.1.1.1", "-d 1.1.1.1/24", "-i lo", "! -i lo", "-i ! lo", "-i lo -i lo", "-o lo", "! -o lo", "-i ''", "-ilo",
    "-i", "-j ACCEPT", "-j DROP", "! -j DROP", "-j ! DROP", "-j DROP -j DROP", "-j a", "-g a", "-j a -g a", "-g a -j a", "-g DROP", "-g INPUT", "-j INPUT", "-j", "-j ''", "-jDROP", "--jump=DROP", "--goto=a", "--goto a",
    "-j LOG -j LOG", "-m tcp", "! -m tcp", "-m", "-m ''", "-mtcp", "-m state", "-m comment", "!", "! !", "--", "-", "x", "''", "-q", "--nope", "--nope=1", "-0", "-1", "--proto tcp", "--in-interface lo",
    "--in lo", "--out lo", "--num", "--exact", "--verb", "--frag", "--match tcp", "--tab nat", "--tab", "--s 1.1.1.1", "--so 1.1.1.1", "--p tcp", "--pro tcp", "--line=1", "--exact=1", "-L", "-S", "-Z", "-A INPUT",
    "-Z INPUT", "-L INPUT", "-N q", "-X", "-F",
];
