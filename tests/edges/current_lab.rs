//! Which lab an answer is about: copies and trials are true to what runs, and leave no trace in it.

use std::path::Path;

use crate::bench::Bench;
use nflab::TOOLBOX;
use nflab::base::{Family, InterfaceName};
use nflab::lab::copy::LabCopy;
use nflab::lab::file::LabFile;
use nflab::lab::memory::Lab;
use nflab::lab::script::{Runner, parse_in};
use nflab::net::{Placing, Prefix, Route, RouteKind, RouteProtocol, RoutingRule, RuleAction, RuleLink, table};
use nflab::syntax::problem::Source;

const LAB: &str = r#"[sysctl]
"net.netfilter.nf_conntrack_udp_timeout" = 40
"net.ipv4.conf.lan.rp_filter" = 1
[interface.lan]
address = ["10.0.0.1/24", "2001:db8::1/64"]
mtu = 1400
[interface."eth0.5"]
address = ["192.0.2.1/24"]
[[route]]
to = "default"
via = "192.0.2.254"
[host.laptop]
interface = "lan"
address = ["10.0.0.2/24", "2001:db8::2/64"]
"#;

fn runner(text: &str) -> Runner {
    let file = LabFile::parse("home.toml", text).unwrap();
    let mut runner = Runner::new(Lab::new(&file, 1, TOOLBOX).unwrap(), "/".into());
    runner.hosts = runner.lab.machine.hosts();
    runner
}

/// Does these lines, each of which has to succeed; what they printed.
fn does(runner: &mut Runner, text: &str) -> String {
    let source = Source {
        name: "test".to_owned(),
        text: text.to_owned(),
    };
    let statements = parse_in(&source, TOOLBOX, &mut runner.hosts).unwrap_or_else(|error| panic!("{error}"));
    let mut printed = String::new();
    for statement in &statements {
        let (said, result) = runner.run(statement);
        result.unwrap_or_else(|failed| panic!("{}: {}", failed.reason, said.stderr));
        printed += &said.stdout;
    }
    printed
}

fn ask(lab: &mut Lab, name: &str, args: &[&str]) -> String {
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let output = lab.tool(name, &args, "", Path::new("/"));
    assert_eq!(output.code, 0, "{name} {args:?}: {}", output.stderr);
    output.stdout
}

/// All that a copy has to keep, in lines.
fn everything(lab: &mut Lab) -> Vec<String> {
    let mut text = ask(lab, "iptables-save", &["-c"]);
    for (tool, args) in [("sysctl", &["-a"][..]), ("lsmod", &[])] {
        text += &ask(lab, tool, args);
    }
    let config = lab.machine.router().config();
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    for interface in config.net.interfaces() {
        lines.push(format!(
            "{} {} {} {:?}",
            interface.name, interface.mtu, interface.is_up, interface.addresses
        ));
    }
    let mut routes: Vec<String> = Family::ALL
        .into_iter()
        .flat_map(|family| config.net.routes(family))
        .map(|route| format!("{route:?}"))
        .collect();
    routes.sort();
    lines.extend(routes);
    let rules = Family::ALL.into_iter().flat_map(|family| config.net.rules(family));
    lines.extend(rules.map(|rule| format!("{rule:?}")));
    lines
}

fn same(left: &[String], right: &[String]) {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).cloned().collect()
    };
    let first = left.iter().zip(right).find(|(left, right)| left != right);
    assert!(
        left == right,
        "{:#?}\n{:#?}\n{first:#?}",
        only(left, right),
        only(right, left)
    );
}

#[test]
fn a_copy_as_text_makes_the_same_lab() {
    let mut original = runner(LAB);
    does(
        &mut original,
        r#"iptables -P FORWARD DROP
iptables -A FORWARD -i lan -m limit --limit 5/min -m comment --comment "say \"hi\"" -j ACCEPT
iptables -t nat -A POSTROUTING -o eth0.5 -j MASQUERADE
sysctl -w net.ipv4.conf.all.forwarding=0
sysctl -w net.ipv4.conf.eth0/5.forwarding=1
sysctl -w net.netfilter.nf_conntrack_max=77
modprobe nf_conntrack
modprobe nf_conntrack_ftp
interface dmz 172.16.0.1/16 172.16.0.9/16
route add 10.9.0.0/16 via 10.0.0.9
send lan udp 10.0.0.2:5 > 198.51.100.9:53"#,
    );
    let net = |net: &mut nflab::net::Net| {
        let to = |text: &str| text.parse::<Prefix>().unwrap();
        let lan = net.by_name("lan").unwrap().id;
        net.add_route(Route {
            interface: Some(lan),
            table: 100,
            source: Some([10, 0, 0, 1].into()),
            ..Route::new(to("192.168.0.0/16"))
        })?;
        net.add_route(Route {
            interface: Some(lan),
            ..Route::new(to("10.8.0.0/16"))
        })?;
        net.add_route(Route {
            via: Some([10, 8, 0, 1].into()),
            metric: 7,
            mtu: Some(1300),
            ..Route::new(to("10.77.0.0/16"))
        })?;
        net.add_route(Route {
            kind: RouteKind::Prohibit,
            ..Route::new(to("203.0.113.0/24"))
        })?;
        net.add_rule(
            Family::V4,
            RoutingRule {
                priority: 100,
                inverted: true,
                input: Some(RuleLink {
                    name: net.interface(lan).name,
                    id: None,
                }),
                from: Some(to("10.0.0.0/24")),
                ..RoutingRule::new(RuleAction::Table(100))
            },
        )?;
        net.put_route(
            Route {
                via: Some([10, 0, 0, 7].into()),
                onlink: true,
                interface: Some(lan),
                protocol: RouteProtocol::STATIC,
                ..Route::new(to("10.9.0.0/16"))
            },
            Placing::Append,
        )?;
        net.remove_route(to("172.16.0.0/16"), table::MAIN, 0)?;
        let wan = net.add_interface(InterfaceName::new("spare").unwrap(), 1500)?;
        net.add_address(wan, [172, 31, 0, 1].into(), 24)?;
        net.set_link_up(wan, false)?;
        Ok::<(), nflab::net::ConfigError>(())
    };
    original
        .lab
        .machine
        .router()
        .configure(|config| net(&mut config.net))
        .unwrap();
    let line = ask(&mut original.lab, "copy", &[]);
    assert_eq!(line.lines().count(), 1);
    let copy: LabCopy = serde_json::from_str(&line).unwrap();
    let mut again = copy
        .lab(1, TOOLBOX)
        .unwrap_or_else(|error| panic!("{error}\n{}", copy.file));
    same(&everything(&mut again), &everything(&mut original.lab));
    assert!(again.machine.hosts().get("laptop").is_some());
    assert!(copy.file.contains("2001:db8::2/64"), "{}", copy.file);
    // Nor does a copy of the copy lose anything.
    assert_eq!(LabCopy::of(&mut again.machine), copy);
    // A lab as it begins is a short text.
    let mut plain = runner("[interface.lan]\naddress = [\"10.0.0.1/24\"]\n");
    assert_eq!(
        LabCopy::of(&mut plain.lab.machine).file,
        "[interface.\"lan\"]\naddress = [\"10.0.0.1/24\"]\n"
    );
}

#[test]
fn a_trial_knows_the_flows_and_leaves_nothing() {
    let mut original = runner(LAB);
    does(
        &mut original,
        "iptables -P FORWARD DROP
iptables -A FORWARD -m state --state ESTABLISHED -j ACCEPT
iptables -A FORWARD -i lan -m limit --limit 1/hour --limit-burst 2 -j ACCEPT
iptables -t nat -A POSTROUTING -o eth0.5 -j MASQUERADE
handshake laptop:40000 > 198.51.100.9:80
data laptop:40000 > 198.51.100.9:80 500
send lan udp laptop:5 > 198.51.100.9:53
expect accept",
    );
    let before = (
        everything(&mut original.lab),
        ask(&mut original.lab, "conntrack", &["-L", "-o", "extended"]),
    );
    let mut trial = Runner::new(Lab::trial(&original.lab.machine), "/".into());
    trial.hosts = original.hosts.clone();
    let told = does(
        &mut trial,
        // The numbers are those that come next, though no packet has passed the copy yet.
        "send eth0.5 tcp 198.51.100.9:80 > 192.0.2.1:40000 PA data \"hello\"
expect accept
expect state ESTABLISHED
expect out lan tcp 198.51.100.9:80 > laptop:40000
expect out lan tcp seq 9000801 ack 2400501 win 64240
send eth0.5 tcp 198.51.100.9:80 > 192.0.2.1:40000 A
expect out lan tcp seq 9000806 ack 2400501
send lan udp laptop:6 > 198.51.100.9:53
expect drop
expect policy FORWARD packets 1
send lan tcp laptop:40000 > 198.51.100.9:80 R
expect flow tcp CLOSE
listen tcp 22
iptables -F",
    );
    assert!(told.contains("ESTABLISHED"), "{told}");
    same(&everything(&mut original.lab), &before.0);
    assert_eq!(ask(&mut original.lab, "conntrack", &["-L", "-o", "extended"]), before.1);
}

#[test]
fn a_trial_knows_what_a_helper_waits_for() {
    let mut original = runner(LAB);
    does(
        &mut original,
        "iptables -P FORWARD DROP
iptables -A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
iptables -A FORWARD -i lan -p tcp --dport 21 -j ACCEPT
iptables -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp
iptables -t nat -A POSTROUTING -o eth0.5 -j MASQUERADE
handshake laptop:40000 > 198.51.100.9:21
data 198.51.100.9:21 > laptop:40000 \"220 hello\\r\\n\"
data laptop:40000 > 198.51.100.9:21 \"USER me\\r\\n\"
data laptop:40000 > 198.51.100.9:21 \"PORT 10,0,0,2,200,10\\r\\n\"
expect expectation proto=6",
    );
    let mut trial = Runner::new(Lab::trial(&original.lab.machine), "/".into());
    trial.hosts = original.hosts.clone();
    does(
        &mut trial,
        "send eth0.5 tcp 198.51.100.9:20 > 192.0.2.1:51210 S
expect state RELATED
expect out lan tcp 198.51.100.9:20 > laptop:51210
# Lines go on where they stood, too.
send lan tcp laptop:40000 > 198.51.100.9:21 PA data \"PORT 10,0,0,2,200,11\\r\\n\"
expect expectation proto=6 dport=51211",
    );
    does(&mut original, "expect expectation proto=6 dport=51210\nexpect flows 1");
}

/// What a shell prints in `nflab sh`, which must succeed.
fn in_sh(bench: &Bench, script: &str) -> (String, String) {
    bench.write("home.toml", LAB);
    let nflab = env!("CARGO_BIN_EXE_nflab");
    let script = script.replace("nflab ", &format!("{nflab} "));
    let ran = bench.nflab(&["sh", "--lab", "home.toml", "--", "sh", "-ec", &script]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    (ran.out, ran.err)
}

#[test]
fn a_packet_is_traced_through_the_lab_that_is_there() {
    let bench = Bench::new();
    let (out, err) = in_sh(
        &bench,
        "iptables -P FORWARD DROP
         nflab trace 'lan tcp laptop:5 > 198.51.100.9:23 S'
         nflab trace --json 'laptop tcp laptop:5 > 198.51.100.9:23 S'
         nflab trace --svg way.svg 'laptop tcp laptop:5 > 198.51.100.9:23 S'
         nflab trace --why 'FORWARD policy' 'laptop tcp laptop:5 > 198.51.100.9:23 S'
         iptables -L FORWARD -v -x
         conntrack -L",
    );
    assert!(out.contains("dropped: by the policy of filter FORWARD"), "{out}");
    assert!(out.contains("\"verdict\":\"DROP\""), "{out}");
    assert!(out.contains("Chain FORWARD (policy DROP 0 packets, 0 bytes)"), "{out}");
    assert!(err.contains("tried on a copy of the lab home"), "{err}");
    assert!(bench.read("way.svg").contains("<svg"));
}

#[test]
fn what_is_wrong_with_a_traced_packet_is_said_at_its_place() {
    let bench = Bench::new();
    let (_, err) = in_sh(
        &bench,
        "nflab trace 'lan tcp labtop:5 > 198.51.100.9:23 S' || echo $? >&2
         nflab trace 'lon tcp laptop:5 > 198.51.100.9:23 S' || echo $? >&2
         nflab trace --seed 3 'lan tcp laptop:5 > 198.51.100.9:23 S' || echo $? >&2",
    );
    for said in [
        "did you mean `laptop`?",
        "the lab has no interface `lon`",
        "it has lo, lan, eth0.5, and `local`",
        "--seed is for a fresh lab",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
    assert_eq!(err.lines().filter(|line| *line == "2").count(), 3, "{err}");
}

#[test]
fn a_capture_is_replayed_through_a_copy_of_the_lab_that_is_there() {
    let bench = Bench::new();
    bench.write("none.v4", "*filter\n:FORWARD ACCEPT\nCOMMIT\n");
    let lab = bench.write("home.toml", LAB);
    // A capture to replay: what a fresh lab lets through.
    std::fs::write(bench.path("in.pcap"), capture()).unwrap();
    let (out, err) = in_sh(
        &bench,
        "iptables -A FORWARD -p udp --dport 53 -j DROP
         nflab replay --interface lan in.pcap --json -
         nflab replay --interface lan --rules none.v4 in.pcap --json -
         nflab replay --interface lan in.pcap --against none.v4 || echo differs
         nflab replay --interface lan in.pcap --explain all --filter 'host laptop' --brief | sed 's/^/laptop: /'
         nflab replay --interface lan in.pcap --explain all --filter 'host labtop' || echo refused
         nflab replay --lab home.toml --interface lan in.pcap
         iptables-save -c",
    );
    assert!(out.contains("laptop: ") && out.contains("refused"), "{out}{err}");
    assert!(err.contains("replayed without rules"), "{err}");
    let verdicts: Vec<bool> = out
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| line.contains("DROP"))
        .collect();
    assert_eq!(verdicts, [true, false], "{out}{err}");
    assert!(out.contains("the lab's rules") && out.contains("differs"), "{out}");
    assert!(
        out.contains("[0:0] -A FORWARD -p udp"),
        "nothing came to the lab itself: {out}"
    );
    assert!(err.contains("through a copy of the lab home with its rules"), "{err}");
    drop(lab);
}

/// One datagram from 10.0.0.2 to 198.51.100.9, port 53, in a file of link type RAW.
fn capture() -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 29, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 2, 198, 51, 100, 9];
    let mut sum: u32 = packet
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!sum as u16).to_be_bytes());
    // Without a checksum, which IPv4 allows.
    packet.extend([0x10, 0, 0, 53, 0, 9, 0, 0, b'x']);
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 101, 1_700_000_000, 0] {
        file.extend(word.to_le_bytes());
    }
    for _ in 0..2 {
        file.extend((packet.len() as u32).to_le_bytes());
    }
    file.extend(packet);
    file
}

#[test]
fn where_no_lab_is_it_is_said_how_to_give_one() {
    let bench = Bench::new();
    std::fs::write(bench.path("in.pcap"), capture()).unwrap();
    for (args, remedy) in [
        (
            &["trace", "lan tcp 10.0.0.2:5 > 198.51.100.9:23 S"][..],
            "trace --lab LAB.toml --rules FILE",
        ),
        (&["replay", "in.pcap"], "replay --lab LAB.toml --rules FILE"),
        (&["iptables", "-S"], "nflab up LAB.toml"),
    ] {
        let ran = bench.nflab(args);
        assert_eq!(ran.code, 4, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(remedy), "{args:?}: {}", ran.err);
        assert_eq!(ran.out, "", "{args:?}");
    }
}

#[test]
fn the_editor_speaks_to_the_lab_that_is_there() {
    let bench = Bench::new();
    bench.write(
        "typed",
        "iptables -A FORWARD -i lan -j ACCEPT
iptables-restore --noflush <<EOF
*filter
-A FORWARD -m state --state ESTABLISHED -j ACCEPT
COMMIT
EOF
iptables -P FORWARD DROP
handshake laptop:40000 > 198.51.100.9:80
data laptop:40000 > 198.51.100.9:80 \"GET\"
send eth0.5 tcp 198.51.100.9:80 > laptop:40000 PA data \"200\"
expect state ESTABLISHED
expect drop
expect fail iptables -A NONE
host other 10.0.0.3 lan
ping other > 198.51.100.9
advance 5s
trace --svg way.svg\n",
    );
    let (out, err) = in_sh(
        &bench,
        "nflab repl < typed && echo unnoticed
         iptables -L FORWARD -v -x -n
         conntrack -L",
    );
    assert!(!out.contains("unnoticed"), "{out}");
    assert!(
        out.contains("ESTABLISHED src=10.0.0.2 dst=198.51.100.9 sport=40000"),
        "it was sent: {out}{err}"
    );
    assert!(out.contains("src=10.0.0.3"), "{out}{err}");
    assert!(err.contains("attached to the lab home"), "{err}");
    assert!(
        err.contains("the packet was accepted, and forwarded"),
        "an expectation that is not met: {err}"
    );
    assert!(err.contains("the clock of a lab that runs is this machine's"), "{err}");
    assert!(err.contains("nflab trace --svg"), "{err}");
    assert_eq!(err.matches("was expected to fail").count(), 0, "{err}");
}

#[test]
fn without_a_lab_the_editor_says_that_its_own_is_fresh() {
    let bench = Bench::new();
    let ran = bench.nflab_with("lab\n", &["repl"]);
    assert_eq!(ran.code, 0);
    let first = ran.err.lines().next().unwrap_or_default().to_owned();
    assert!(
        first.starts_with("nflab: this is a fresh lab without rules") && first.contains("no lab answers"),
        "{first}"
    );
    // Who asks for a fresh one gets it, in `nflab sh` too.
    let (out, err) = in_sh(
        &bench,
        "iptables -P FORWARD DROP\necho 'iptables -S FORWARD' | nflab repl --seed 3",
    );
    assert!(
        out.contains("-P FORWARD ACCEPT") && err.contains("--seed asks for one"),
        "{out}{err}"
    );
}
