//! Scripts from their text to what they print, with the tools of the program: what is done, and what is refused in which words.

use std::path::PathBuf;

use super::{Runner, parse_in};
use crate::cli::TOOLBOX;
use crate::lab::conversation::Hosts;
use crate::lab::memory::Lab;
use crate::syntax::problem::Source;

/// Runs lines in the default lab, up to the first that fails: all that was printed, or what is wrong.
fn run(text: &str) -> Result<String, String> {
    let file = Lab::default_file().unwrap();
    let mut runner = Runner::new(Lab::new(&file, 1, TOOLBOX).unwrap(), PathBuf::from("."));
    let source = Source {
        name: "t".to_owned(),
        text: text.to_owned(),
    };
    let statements = parse_in(&source, TOOLBOX, &mut Hosts::of_lab(&file)).map_err(|error| error.to_string())?;
    let mut printed = String::new();
    for statement in &statements {
        let (said, result) = runner.run(statement);
        printed += &said.stdout;
        result.map_err(|failed| format!("{}{}", said.stderr, failed.reason))?;
    }
    Ok(printed)
}

const SHOW: &str = "cat /proc/sys/net/ipv4/ip_forward";

/// As a shell of this kernel's machine did it.
#[test]
fn echo_writes_where_a_shell_would() {
    for (line, printed) in [
        ("echo 0 >/proc/sys/net/ipv4/ip_forward", "0\n"),
        ("echo 0 1>/proc/sys/net/ipv4/ip_forward", "0\n"),
        ("echo 0 >>/proc/sys/net/ipv4/ip_forward", "0\n"),
        ("echo 0 >> /proc/sys/net/ipv4/ip_forward", "0\n"),
        ("echo 0 >| /proc/sys/net/ipv4/ip_forward", "0\n"),
        ("echo >/proc/sys/net/ipv4/ip_forward 0", "0\n"),
        ("echo '0'>/proc/sys/net/ipv4/ip_forward", "0\n"),
        ("echo -n 0 > /proc/sys/net/ipv4/ip_forward", "0\n"),
        ("echo -n > /proc/sys/net/ipv4/ip_forward", "1\n"),
        ("echo 0 > /dev/null", "1\n"),
        (
            "echo 0 '>/proc/sys/net/ipv4/ip_forward'",
            "0 >/proc/sys/net/ipv4/ip_forward\n1\n",
        ),
        (
            "echo 0 '>' /proc/sys/net/ipv4/ip_forward",
            "0 > /proc/sys/net/ipv4/ip_forward\n1\n",
        ),
        ("echo -n 0 '>' x", "0 > x1\n"),
        ("echo -n a -n", "a -n1\n"),
    ] {
        assert_eq!(run(&format!("{line}\n{SHOW}")).as_deref(), Ok(printed), "{line}");
    }
    let list = "iptables -A INPUT -m recent --set --name x\necho -n +10.0.0.7 >>/proc/net/xt_recent/x\ncat /proc/net/xt_recent/x";
    assert!(run(list).unwrap().starts_with("src=10.0.0.7 "));
}

#[test]
fn what_echo_cannot_do_is_refused_by_name() {
    for (line, part) in [
        (
            "echo 1 > /proc/sys/net/ipv4/ip_forward 2>/dev/null",
            "`2>/dev/null`: only what is printed on standard output",
        ),
        (
            "echo 0>/proc/sys/net/ipv4/ip_forward",
            "only what is printed on standard output",
        ),
        (
            "echo 1 &>/dev/null",
            "`&>/dev/null`: only what is printed on standard output",
        ),
        ("echo 1 >&2", "`>&2`: that is no file's name"),
        ("echo 1 >", "`>`: nothing follows it"),
        ("echo 1 > a > b", "`>`: what is printed goes to a file already"),
        ("echo 1 | cat", "a lab has no `cat` to pipe to"),
        ("echo 1 > /tmp/x", "a lab writes to files under /proc/sys"),
        ("echo -e 1", "echo: -e: a lab's echo has the option -n only"),
        ("echo -n 1 > /proc/sys/net/none", "No such file or directory"),
        (
            "expect fail iptables -L > x",
            "iptables shall fail, and what it prints goes elsewhere",
        ),
        ("iptables -S >> a | grep b", "`|`: what is printed goes to a already"),
        ("iptables -S |", "nothing follows the `|`"),
        ("iptables -S | grep", "a word that lines have"),
        ("iptables -S | grep -r x", "of grep's options a lab has"),
        (
            "iptables -S | grep nowhere",
            "grep: no line has it\ngrep failed with exit code 1",
        ),
        ("iptables -S none | grep nowhere", "iptables failed with exit code 1"),
        ("trace \"\"", "expected an interface"),
        (
            "iptables -S > /proc/nflab",
            "cannot write /proc/nflab: that is a file of this machine's kernel",
        ),
        (
            "echo 1 | grep 1 > /proc/sys/net/ipv4/ip_forward",
            "a file of this machine's kernel",
        ),
    ] {
        let why = run(line).unwrap_err();
        assert!(why.contains(part), "{line}: {why}");
    }
}

/// `> FILE`, `>> FILE` and `| grep WORD`, as in a shell.
#[test]
fn what_a_tool_prints_goes_where_it_is_sent() {
    let directory = std::env::temp_dir().join(format!("nflab-output-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("rules").display().to_string();
    let rules = "iptables -A INPUT -p tcp -j ACCEPT\niptables -A INPUT -p udp -j DROP\n";
    let save = format!(
        "{rules}iptables -S INPUT > {file}\niptables -S INPUT | grep tcp >>{file}\niptables -S INPUT | grep -v -- -P | grep -c INPUT"
    );
    assert_eq!(run(&save).as_deref(), Ok("2\n"));
    let lines = "-P INPUT ACCEPT\n-A INPUT -p tcp -j ACCEPT\n-A INPUT -p udp -j DROP\n-A INPUT -p tcp -j ACCEPT\n";
    assert_eq!(std::fs::read_to_string(&file).unwrap(), lines);
    let back =
        format!("{rules}iptables-save > {file}\niptables -F\niptables-restore < {file}\niptables -S INPUT | grep tcp");
    assert_eq!(run(&back).as_deref(), Ok("-A INPUT -p tcp -j ACCEPT\n"));
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn tools_have_help() {
    for (line, part) in [
        ("echo --help", "Usage: echo [-n]"),
        ("cat --help", "/proc/net/nf_conntrack"),
        ("modprobe -h", "Usage: modprobe"),
        ("iptables -p tcp -h", "tcp match: "),
        ("iptables -m tcp -p tcp -h", "tcp match: "),
        ("iptables -p icmp --help", "\nValid ICMP Types:\n  any\n  echo-reply\n"),
    ] {
        assert!(run(line).unwrap().contains(part), "{line}");
    }
}

#[test]
fn a_log_line_tells_of_the_sender() {
    let rules = "iptables -t mangle -A OUTPUT -p udp -j LOG --log-uid\nsender 44:45,46\nsend local udp 192.0.2.1:4000 > 192.0.2.9:53\n";
    run(&format!("{rules}expect log \"LEN=8 UID=44 GID=45 \"")).unwrap();
    run(&format!(
        "sender unsaid\n{rules}sender unsaid\nsend local udp 192.0.2.1:4000 > 192.0.2.9:53\nexpect no log UID="
    ))
    .unwrap();
}

#[test]
fn the_log_tells_of_invalid_packets_of_the_protocol_that_was_asked_for() {
    let lines = |wanted: &str| {
        format!(
            "iptables -A FORWARD -m conntrack --ctstate NEW\nsysctl -w net.netfilter.nf_conntrack_log_invalid={wanted}\n\
             send lan tcp 10.0.0.2:1 > 192.0.2.9:80 SF seq 5\n"
        )
    };
    let line = "nf_ct_proto_6: invalid tcp flag combination IN=lan OUT= MAC= SRC=10.0.0.2 DST=192.0.2.9 LEN=40 ";
    let rest = "PROTO=TCP SPT=1 DPT=80 SEQ=5 ACK=0 WINDOW=";
    for wanted in ["6", "255"] {
        run(&format!(
            "{}expect log \"{line}\"\nexpect log \"{rest}\"",
            lines(wanted)
        ))
        .unwrap();
    }
    for wanted in ["0", "17"] {
        run(&format!("{}expect no log nf_ct_proto", lines(wanted))).unwrap();
    }
}

#[test]
fn options_of_tcp_are_shown_and_expected() {
    let clamp = "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 500\n\
                 send lan tcp 10.0.0.2:1 > 192.0.2.9:80 S mss 1460 sackok ts 5 0 wscale 7\n";
    for expected in ["S mss 500", "mss 500 wscale 7 sackok ts 5 0", "flags S sackok"] {
        run(&format!(
            "{clamp}expect out wan tcp 10.0.0.2:1 > 192.0.2.9:80 {expected}"
        ))
        .unwrap();
    }
    for (wanted, why) in [
        ("mss 1460", "(mss is 500)"),
        ("ts 5 1", "(ts is 5 0)"),
        ("sack 1-2", "(sack is none)"),
    ] {
        let said = run(&format!("{clamp}expect out wan tcp {wanted}")).unwrap_err();
        assert!(said.contains("mss 500 sackok ts 5 0 wscale 7 ttl 63"), "{said}");
        assert!(said.contains(why), "{wanted}: {said}");
    }
}

#[test]
fn extension_headers_of_what_left_are_expected() {
    let sent = "send lan udp [2001:db8::2]:1 > [2001:db8:1::9]:2 hbh ra 0 dstopt opt 30 0x0102 frag 0 mf ipid 7 ah 5 6 data \"0123456789abcdef\"\n";
    for expected in [
        "hbh",
        "hbh ra 0",
        "dstopt opt 30 0x0102",
        "hl 63 hbh dstopt ah 5 6",
        "frag 0 mf ipid 7",
        // All its bytes but the first: a length of none, an option, and what fills it up.
        "ext 60 0x001e0201020100",
    ] {
        run(&format!("{sent}expect out wan {expected}")).unwrap_or_else(|said| panic!("{expected}: {said}"));
    }
    for (wanted, why) in [
        ("hbh ra 1", "(its header hbh is hbh ra 0)"),
        ("hbh jumbo 70000", "(its header hbh is hbh ra 0)"),
        ("rt 0 1", "(its header rt is not there)"),
        ("ah 5 7", "(its header ah is ah 5 6)"),
        ("udp hbh ra 0 df", "(df is not set)"),
    ] {
        let said = run(&format!("{sent}expect out wan {wanted}")).unwrap_err();
        assert!(said.contains(why), "{wanted}: {said}");
    }
    let whole = "send lan udp 10.0.0.2:1 > 192.0.2.9:2\n";
    for (wanted, why) in [("mf", "(mf is not set)"), ("hbh", "(its header hbh is not there)")] {
        let said = run(&format!("{whole}expect out wan {wanted}")).unwrap_err();
        assert!(said.contains(why), "{wanted}: {said}");
    }
}

#[test]
fn connections_that_are_over_still_count_within_their_jiffy() {
    let lines = "host a 10.0.0.2 lan\nhost b 192.0.2.9 wan\n\
                 iptables -A FORWARD -p tcp --syn -m connlimit --connlimit-above 1 -j REJECT\n\
                 handshake a:1 > b:80\nclose a:1 > b:80\n";
    let told = run(&format!("{lines}expect fail handshake a:2 > b:80\ntrace")).unwrap();
    let part = "yes: REJECT --reject-with icmp-port-unreachable (--connlimit-above 1: 10.0.0.2 has 2 connections, 1 of them over: \
                the kernel looks for that once a jiffy, which is 4 ms)";
    assert!(told.contains(part), "{told}");
    run(&format!("{lines}advance 4ms\nhandshake a:2 > b:80")).unwrap();
}

/// Each tool has the addresses of its family.
#[test]
fn an_address_of_the_other_family_is_told_where_to_go() {
    for network in ["2001:db8::1", "2001:db8::/32"] {
        let why = run(&format!("iptables -A INPUT -s {network} -j DROP")).unwrap_err();
        assert!(why.contains("give it to ip6tables"), "{network}: {why}");
    }
}

/// Every link has such senders, so that none is behind another.
#[test]
fn only_senders_that_are_behind_one_link_are_told_as_forged() {
    for (interface, source, to, is_told) in [
        ("wan", "10.0.0.2:1", "192.0.2.9:53", true),
        ("lan", "0.0.0.0:1", "192.0.2.9:53", false),
        ("wan", "169.254.0.9:1", "192.0.2.9:53", false),
        ("wan", "[2001:db8::2]:1", "[2001:db8:1::9]:53", true),
        ("lan", "[::]:1", "[2001:db8:1::9]:53", false),
        ("wan", "[fe80::9]:1", "[2001:db8:1::9]:53", false),
    ] {
        let more = "route add 169.254.0.0/16 dev lan\n";
        let said = run(&format!("{more}send -v {interface} udp {source} > {to}")).unwrap();
        assert_eq!(said.contains("as a forged one would"), is_told, "{source}\n{said}");
    }
}

/// What is of one family is not taken for the other's, and what is told says whose it is.
#[test]
fn families_are_told_apart() {
    let rules = "iptables -A FORWARD -p udp -j DROP\nip6tables -A FORWARD -p tcp -m comment --comment six -j DROP\n";
    let four = "send lan udp 10.0.0.2:1 > 192.0.2.9:53\n";
    let six = "send lan tcp [2001:db8::2]:1 > [2001:db8:1::9]:80 S\n";
    for (lines, why) in [
        (
            format!("{rules}{six}expect rule FORWARD 1 packets 5"),
            "rule 1 of IPv6's filter FORWARD has counted 1 packet, 60 bytes",
        ),
        (
            format!("{rules}{six}expect rule -4 FORWARD 1 packets 5"),
            "rule 1 of filter FORWARD has counted 0 packets, 0 bytes",
        ),
        (
            format!("{rules}{six}expect by -4 FORWARD 1"),
            "the packet is of IPv6, and met IPv6's rules alone",
        ),
        (
            format!("{rules}{six}expect by FORWARD policy"),
            "it was decided by rule 1 of IPv6's filter FORWARD",
        ),
        (
            format!("{rules}{six}expect rule FORWARD 2 packets 0"),
            "there is no rule 2 of IPv6's filter FORWARD: it has 1 rule",
        ),
        (
            format!("{rules}{four}expect by comment six"),
            "no rule has the comment `six`: no rule has any; `-6` before it means IPv6's",
        ),
        (
            format!("{rules}{six}expect by text drop"),
            "no rule of IPv6 has the text `drop`; `ip6tables-save` shows the rules as they are compared",
        ),
        (
            "route add 2001:db8:9::/64 via 10.0.0.9".to_owned(),
            "10.0.0.9 is of IPv4, and 2001:db8:9::/64 of IPv6",
        ),
        ("route del ::/0\nroute del ::/0".to_owned(), "no default route there"),
        (
            "host c 10.0.0.2 2001:db8::2 lan\nsend -6 lan icmp c > 192.0.2.9 echo-request".to_owned(),
            "this is an address of IPv4, and `-6` asks for IPv6",
        ),
        (
            "send lan icmp 10.0.0.2 > 192.0.2.9 echo-request hl 3".to_owned(),
            "write `ttl`, as IPv4 calls it",
        ),
        (
            "send lan udp 10.0.0.2:1 > 192.0.2.9:2 tclass 3".to_owned(),
            "write `tos`, as IPv4 calls it",
        ),
        (
            "send lan icmp 10.0.0.2 > 192.0.2.9 echo-request target 10.0.0.1".to_owned(),
            "write `gateway`, as IPv4 calls it",
        ),
        (
            "send lan icmpv6 2001:db8::2 > 2001:db8:1::9 redirect gateway 10.0.0.1".to_owned(),
            "write `target`, as IPv6 calls it",
        ),
        (
            "send lan icmp 10.0.0.2 > 192.0.2.9 echo-request nonsense".to_owned(),
            "known here: ttl, tos, id, ipid, mf, frag, badsum, data, zeros, df, badipsum, seq, rest, mtu, pointer, quoting, gateway",
        ),
        ("why -6".to_owned(), "of which rule, behind `-6`?"),
        (
            "send lan udp fe80::2%lan:1 > [fe80::1%lan]:53".to_owned(),
            "leave `%lan` out: the interface stands before the packet",
        ),
        (
            "send lan udp [fe80::2%lan]:1 > [fe80::1]:53".to_owned(),
            "leave `%lan` out",
        ),
        (
            "send router icmp 2001:db8::1 > 2001:db8::2 echo-request".to_owned(),
            "what the router itself sends stands behind `local`",
        ),
        (
            "send lan udp 2001:db8::2.1 > [2001:db8:1::9]:53".to_owned(),
            "write it as `[2001:db8::2]:1`",
        ),
        (
            "send lan icmp ::2 > ::3 ns target ::3".to_owned(),
            "did you mean `neighbour-solicitation`?",
        ),
        (
            "send lan udp [::2]:1 > [::3]:2 hoplimit 3".to_owned(),
            "did you mean `hl`?",
        ),
        (
            "send lan udp 10.0.0.2:1 > 10.0.0.3:2 hlim 3".to_owned(),
            "did you mean `ttl`?",
        ),
        (
            "send lan udp [::2]:1 > [::3]:2 flowlabel 3".to_owned(),
            "did you mean `flow`?",
        ),
        (
            "expect out lan icmp elephant".to_owned(),
            "expected a kind of ICMP message",
        ),
        (
            "expect out lan icmpv6 na".to_owned(),
            "did you mean `neighbour-advertisement`?",
        ),
        (
            "expect out lan icmpv6 address-mask-request".to_owned(),
            "expected a kind of ICMP message",
        ),
        (
            "expect out lan icmp unreachable elephant".to_owned(),
            "expected a kind of ICMP message",
        ),
        ("expect out lan icmp6".to_owned(), "did you mean `icmpv6`?"),
    ] {
        let said = run(&lines).unwrap_err();
        assert!(said.contains(why), "{lines}: {said}");
    }
    for line in [
        "send lan udp [2001:db8::2]:1 > [2001:db8:1::9]:2 tclass 3\nexpect out wan udp tclass 3 hl 63",
        "route del ::/0\nroute add default via 2001:db8:1::fd",
        "route add 10.9.0.0/16 via 2001:db8::9",
    ] {
        run(line).unwrap_or_else(|why| panic!("{line}: {why}"));
    }
    let told = run(&format!("{rules}{six}expect no by -4 FORWARD 1\ntrace")).unwrap();
    assert!(
        !told.contains("icmpv6") && told.contains("by rule 1 of IPv6's filter FORWARD"),
        "{told}"
    );
}

#[test]
fn the_labs_own_words_may_be_expected_to_fail() {
    run("expect fail queue 1 accept\nqueue 1 open\nexpect fail queue 1 accept\nexpect fail queue 1 open\nexpect fail send nosuch udp 10.0.0.2:1 > 10.0.0.1:2\n\
         expect fail route del 10.9.0.0/16\nhost a 10.0.0.2 lan\nexpect fail send lan udp a:1 > 192.0.2.9:2 frag 8")
    .unwrap();
    for (line, part) in [
        ("expect fail queue 1 open", "it was expected to fail, and did not"),
        ("expect fail sender 0:0", "`sender` cannot be expected to fail"),
        ("expect fail expect accept", "expect what is instead"),
        ("expect fail send lan udp c:1 > 192.0.2.9:2", "there is no host `c`"),
        ("expect fail qeue 1 accept", "did you mean `queue`?"),
    ] {
        let why = run(line).unwrap_err();
        assert!(why.contains(part), "{line}: {why}");
    }
}

/// Each with where it stands, and what helps.
#[test]
fn what_is_refused_says_where_and_what_helps() {
    for (line, at, part) in [
        ("advance 5m3", "t:1:11", "write it like `5m3s`"),
        ("advance 2m30", "t:1:11", "the unit of 30 is missing"),
        ("advance 10ms5", "t:1:13", "expected d, h, m, s, ms, us or ns"),
        (
            "send local udp 192.0.2.1:1 > 192.0.2.9:2 mark 3",
            "t:1:42",
            "in OUTPUT for what `local` sends",
        ),
        (
            "queue 1 accept as udp 10.0.0.2:1 > 192.0.2.9:2 mark 2",
            "t:1:48",
            "`queue N accept mark M as PACKET`",
        ),
        (
            "ping 10.0.0.2>192.0.2.9",
            "t:1:6",
            "write it like `10.0.0.2 > 192.0.2.9`",
        ),
        (
            "send lan udp 10.0.0.2:1>192.0.2.9:2",
            "t:1:14",
            "write it like `10.0.0.2:1 > 192.0.2.9:2`",
        ),
        ("ping 10.0.0.2:3 > 192.0.2.9", "t:1:14", "a ping has no ports"),
        ("ping 10.0.0.2 > 192.0.2.9:80", "t:1:26", "write it like `192.0.2.9`"),
        (
            "udp 10.0.0.2 > 192.0.2.9:53 unanswered answer 3",
            "t:1:40",
            "`unanswered` and then `answer`",
        ),
        (
            "udp 10.0.0.2 > 192.0.2.9:53 data 1 data 3",
            "t:1:36",
            "leave one of them out",
        ),
        (
            "host x 10.0.0.9 nosuch",
            "t:1:17",
            "it has lan, wan; `interface nosuch ADDRESS/LENGTH` adds one",
        ),
        ("listen tcp 0", "t:1:12", "write a number from 1 to 65535"),
        ("queue 70000 open", "t:1:7", "write a number from 0 to 65535"),
        ("queue x open", "t:1:7", "write a number from 0 to 65535"),
        ("sender root:root", "t:1:8", "`sender 0:0`"),
        (
            "send lan udp 10.0.0.2:1 > 192.0.2.9:2 ttl 256",
            "t:1:43",
            "write a number from 0 to 255",
        ),
        (
            "send lan udp 10.0.0.2:1 > 192.0.2.9:2 zeros 70000",
            "t:1:45",
            "write a number from 0 to 65515",
        ),
        (
            "host m 10.0.0.9 lan\niptables -A INPUT -s m -j DROP",
            "host/network `m' not found",
            "those of the word `host`",
        ),
        ("expect state FOO", "t:1:14", "as `-m conntrack --ctstate` has them"),
        (
            "send lan tcp 10.0.0.2:1 > 192.0.2.9:2 A sack 1-99999999999",
            "t:1:41",
            "two sequence numbers",
        ),
    ] {
        let why = run(line).unwrap_err();
        assert!(why.contains(at) && why.contains(part), "{line}: {why}");
    }
    run("interface dmz 10.1.0.1/24\nhost x 10.1.0.9 dmz\nhost y 192.0.2.1 local\nadvance 5m3s").unwrap();
}

#[test]
fn what_is_no_packet_any_more_is_dropped_once() {
    let told = run("iptables -A INPUT -p udp -j NFQUEUE --queue-num 3\nqueue 3 open\nsend lan udp 10.0.0.2:1 > 10.0.0.1:2\nqueue 3 accept as hex 45\ntrace").unwrap();
    assert!(
        told.contains("dropped: what who listens at queue 3 made of it is no packet"),
        "{told}"
    );
    assert!(!told.contains("dropped: dropped:"), "{told}");
}

/// The tracking side reads and expects, the NAT side writes and leads; each may come and go.
#[test]
fn helpers_of_old_come_and_go_in_two_halves() {
    let request = "data \"\\x00\\x01x\\x00octet\\x00\"";
    let offer = |port| format!("PA data \"PRIVMSG bob :\\x01DCC SEND x 167772162 {port}\\x01\\r\\n\"");
    let script = format!(
        "profile classic\nmodprobe ip_conntrack_tftp\nsend lan udp 10.0.0.2:4000 > 192.0.2.9:69 {request}\nexpect expectation dport=4000\n\
         send lan udp 10.0.0.2:4001 > 192.0.2.9:70 {request}\nconntrack -L expect\nmodprobe -r ip_conntrack_tftp\nexpect no expectation\n\
         send lan udp 10.0.0.2:4000 > 192.0.2.9:69 {request}\nexpect no expectation\n\
         iptables -t nat -A POSTROUTING -o wan -j MASQUERADE\nmodprobe ip_conntrack_irc ports=6668\n\
         handshake 10.0.0.2:4002 > 192.0.2.9:6668\n\
         send lan tcp 10.0.0.2:4002 > 192.0.2.9:6668 {}\nexpect out wan data \"PRIVMSG bob :\\x01DCC SEND x 167772162 1025\\x01\\r\\n\"\n\
         expect expectation dport=1025\nmodprobe ip_nat_irc\n\
         send lan tcp 10.0.0.2:4002 > 192.0.2.9:6668 {}\nexpect out wan data \"PRIVMSG bob :\\x01DCC SEND x 3221225985 1026\\x01\\r\\n\"\n\
         send wan tcp 198.51.100.7:9 > 192.0.2.1:1026 S\nexpect out lan\nexpect state RELATED\n",
        offer(1025),
        offer(1026)
    );
    let printed = run(&script).unwrap();
    assert_eq!(printed.matches("helper=tftp").count(), 1, "{printed}");
}
