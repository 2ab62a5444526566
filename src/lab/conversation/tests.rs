//! Conversations through rules, NAT and helpers; those that must not come through.

use std::path::PathBuf;

use crate::cli::TOOLBOX;
use crate::lab::memory::Lab;
use crate::lab::script::{Runner, parse_in};
use crate::syntax::problem::Source;

/// Does lines in the default lab; what the last of them says.
fn run(lines: &str) -> Result<String, String> {
    let lab = Lab::default_lab(1, TOOLBOX).unwrap();
    let hosts = lab.machine.hosts();
    let mut runner = Runner::new(lab, PathBuf::from("."));
    runner.hosts = hosts;
    let source = Source {
        name: "t".to_owned(),
        text: format!("host client 10.0.0.2 lan\nhost server 192.0.2.9 wan\n{lines}"),
    };
    let statements = parse_in(&source, TOOLBOX, &mut runner.hosts).map_err(|error| error.to_string())?;
    let mut said = String::new();
    for statement in &statements {
        let (told, result) = runner.run(statement);
        said = told.stdout;
        result.map_err(|failed| failed.reason)?;
    }
    Ok(said)
}

const NAT: &str = "iptables -t nat -A POSTROUTING -o wan -j MASQUERADE\n";
const STATEFUL: &str = "iptables -P FORWARD DROP\niptables -A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT\n";

#[test]
fn conversations_that_come_through() {
    for lines in [
        "handshake client:40000 > server:80",
        "handshake client > server:http\ndata client > server \"GET /\\r\\n\"\ndata server > client 5000\nclose server > client",
        "handshake 10.0.0.2:5 > 192.0.2.9:80\nreset server:80 > client:5",
        "udp client:5000 > server:53 data 0x01 answer \"yes\"\nexpect forwarded",
        "udp client:5000 > server:domain unanswered\nexpect forwarded",
        "ping client > server count 3",
        "ping client > router",
        "ping server > 192.0.2.1",
        "ping router > server",
        "listen tcp 22\nhandshake client > router:22\ndata client > router 10\nclose client > router",
        "handshake router > server:25\ndata server > router \"220 hello\"\nclose router > server",
        "listen udp 53\nudp client > router:53",
        "udp router > server:123",
        "trace client tcp client:1 > server:80 S\nexpect forwarded",
        "ftp active client > server retr file",
        "ftp passive client > server stor file size 100000",
    ] {
        for rules in ["", NAT] {
            run(&format!("{rules}{lines}")).unwrap_or_else(|why| panic!("{rules}{lines}: {why}"));
        }
    }
}

#[test]
fn nat_is_followed_both_ways() {
    let lines = format!(
        "{NAT}iptables -t nat -A PREROUTING -i wan -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.10:80\n\
         handshake server:6000 > 192.0.2.1:8080\nexpect out lan tcp server:6000 > 10.0.0.10:80 A\n\
         data 10.0.0.10 > server \"hello\"\nexpect out lan tcp server > 10.0.0.10 A\nreset server > router\nexpect flow tcp CLOSE\n\
         handshake client:40000 > server:80\nexpect out wan tcp 192.0.2.1:40000 > server:80 A"
    );
    run(&lines).unwrap();
}

#[test]
fn ftp_needs_its_helper_where_only_its_port_is_open() {
    let open = format!("{STATEFUL}iptables -A FORWARD -p tcp --dport 21 -j ACCEPT\n{NAT}");
    for mode in ["active", "passive"] {
        let session = format!("ftp {mode} client > server retr file");
        let why = run(&format!("{open}{session}")).unwrap_err();
        assert!(why.starts_with("FTP, opening the data connection: the SYN of"), "{why}");
        let helped = format!("{open}iptables -t raw -A PREROUTING -p tcp --dport 21 -j CT --helper ftp\n{session}");
        run(&helped).unwrap_or_else(|why| panic!("{mode}: {why}"));
    }
}

const BOTH: &str = "host both 10.0.0.2 2001:db8::2 lan\nhost www 192.0.2.9 2001:db8:1::9 wan\n";

const TRACKED: &str = "iptables -A FORWARD -m state --state NEW\nip6tables -A FORWARD -m state --state NEW\n";

#[test]
fn conversations_of_ipv6_come_through() {
    for lines in [
        "handshake -6 both:40000 > www:80\ndata -6 both > www \"GET /\\r\\n\"\ndata -6 www > both 5000\nclose -6 www > both",
        "handshake [2001:db8::2]:5 > 2001:db8:1::9:40000\nreset -6 www:40000 > both:5",
        // Who goes on with a connection goes on in its family.
        "handshake -6 both > www:80\ndata both > www 5\nexpect out lan dst 2001:db8::2\ndata www > both 5\nclose both > www",
        "handshake both > www:80\nhandshake -6 both > www:81\nclose both > www\nexpect out wan src 2001:db8::2\ndata both > www 5\nexpect out lan dst 10.0.0.2",
        "handshake both > www:80\nip6tables -P FORWARD DROP\nexpect fail handshake -6 both > www:80\nreset www > both\nexpect out lan dst 10.0.0.2",
        "udp -6 both:5000 > www:domain answer \"yes\"\nexpect forwarded\nexpect out lan udp www:53 > both:5000",
        "ping 2001:db8::2 > www count 3\nexpect out lan icmpv6 echo-reply",
        "ftp -6 active both > www retr file",
        "ftp -6 passive both > www stor file size 10000",
    ] {
        run(&format!("{BOTH}{lines}")).unwrap_or_else(|why| panic!("{lines}: {why}"));
    }
}

/// A name stands for the address of the family that is meant.
#[test]
fn a_host_with_both_families_is_called_by_the_one_that_is_meant() {
    for (line, from) in [
        ("send both udp both:1 > www:53", "10.0.0.2"),
        ("send -6 both udp both:1 > www:53", "2001:db8::2"),
        ("send -4 both udp both:1 > www:53", "10.0.0.2"),
        ("send both udp both:1 > [2001:db8:1::9]:53", "2001:db8::2"),
        ("send both udp 10.0.0.2:1 > www:53", "10.0.0.2"),
        ("send both icmpv6 both > www echo-request", "2001:db8::2"),
        ("send both icmp both > www echo-request", "10.0.0.2"),
        ("ping both > www", "10.0.0.2"),
        ("ping -6 both > www", "2001:db8::2"),
        ("trace -6 both udp both:1 > www:53", "2001:db8::2"),
    ] {
        // What is expected of a packet is of its family.
        let seen = match line.starts_with("ping") {
            true => "expect out lan dst both",
            false => "expect out wan src both dst www",
        };
        run(&format!("{BOTH}{TRACKED}{line}\n{seen}\nexpect flow src=both dst=www"))
            .unwrap_or_else(|why| panic!("{line}: {why}"));
        let told = run(&format!("{BOTH}{line}\ntrace 1")).unwrap();
        assert!(
            told.contains(&format!(" {from}")) || told.contains(&format!(" [{from}]:")),
            "{line}: {told}"
        );
    }
    for (line, why) in [
        (
            "host a 10.0.0.3 10.0.0.4 lan",
            "`a` has an address of this family already",
        ),
        (
            "ping -6 client > www",
            "client and www do not both have an IPv6 address",
        ),
        (
            "ping 2001:db8::2 > server",
            "2001:db8::2 and server have no addresses of one family",
        ),
        ("send -6 lan udp client:1 > www:53", "`client` has no IPv6 address"),
        ("udp 2001:db8::2 > 2001:db8:1::9", "write it like [2001:db8:1::9]:80"),
        ("ping [2001:db8::2]:7 > www", "a ping has no ports"),
    ] {
        let said = run(&format!("{BOTH}{line}")).unwrap_err();
        assert!(said.contains(why), "{line}: {said}");
    }
}

/// The router's address is the one on the line's interface, else on the link of the other end, and of the family that is meant.
#[test]
fn the_router_is_called_by_its_address_there() {
    for (line, ends) in [
        ("send client tcp client:1 > router:80 S", "10.0.0.2:1 > 10.0.0.1:80"),
        ("send both udp both:1 > router:53", "10.0.0.2:1 > 10.0.0.1:53"),
        (
            "send -6 both udp both:1 > router:53",
            "[2001:db8::2]:1 > [2001:db8::1]:53",
        ),
        (
            "send lan icmpv6 both > router echo-request",
            "2001:db8::2 > 2001:db8::1",
        ),
        (
            "send lan icmp 2001:db8::2 > router echo-request",
            "2001:db8::2 > 2001:db8::1",
        ),
        ("send www udp www:1 > router:53", "192.0.2.9:1 > 192.0.2.1:53"),
        ("send local udp router:7 > www:53", "192.0.2.1:7 > 192.0.2.9:53"),
        (
            "send -6 local udp router:7 > www:53",
            "[2001:db8:1::1]:7 > [2001:db8:1::9]:53",
        ),
        (
            "interface dmz 10.9.0.1/24\nsend dmz udp 10.9.0.2:1 > router:53",
            "10.9.0.2:1 > 10.9.0.1:53",
        ),
    ] {
        let told = run(&format!("{BOTH}{line}\ntrace")).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert!(told.contains(ends), "{line}: {told}");
    }
    for lines in [
        "ping both > router\nexpect out lan icmp router > both echo-reply",
        "ping -6 both > router\nexpect out lan icmp router > both echo-reply\nexpect out lan src router",
    ] {
        run(&format!("{BOTH}{lines}")).unwrap_or_else(|why| panic!("{lines}: {why}"));
    }
    let flow = "listen udp 53\nudp both:4000 > router:53\nexpect flow src=both dst=router";
    run(&format!("{BOTH}{TRACKED}{flow}")).unwrap_or_else(|why| panic!("{flow}: {why}"));
}

/// A copy goes to its gateway's link address: the host that it is addressed to never sees it.
#[test]
fn nobody_answers_a_copy() {
    let stateful = format!("{STATEFUL}iptables -A FORWARD -i lan -m state --state NEW -j ACCEPT\n");
    let beside = |chain: &str, gateway: &str| format!("iptables -t mangle -A {chain} -j TEE --gateway {gateway}\n");
    for rules in [
        format!("{NAT}{}", beside("PREROUTING -i lan", "192.0.2.77")),
        format!("{stateful}{}", beside("PREROUTING -i lan", "10.0.0.9")),
        format!("{stateful}{NAT}{}", beside("POSTROUTING -o lan", "10.0.0.9")),
        format!("{stateful}{}", beside("FORWARD", "192.0.2.9")),
        format!("{NAT}{}", beside("OUTPUT", "10.0.0.9")),
        format!("{NAT}{}", beside("INPUT", "192.0.2.77")),
    ] {
        for lines in [
            "handshake client:40000 > server:80\nexpect flow tcp ESTABLISHED [ASSURED]",
            "udp client:4000 > server:53 answer 5\nexpect no flow udp [UNREPLIED]",
            "ping client > server\nping client > router",
            "ftp passive client > server retr file",
        ] {
            run(&format!("{rules}{lines}")).unwrap_or_else(|why| panic!("{rules}{lines}: {why}"));
        }
    }
    // What the router's copy of a lost answer says, it did not answer. Copies are not tracked.
    let lost = format!(
        "{}iptables -A OUTPUT -p icmp -m state ! --state UNTRACKED -j DROP\nping client > router",
        beside("OUTPUT", "10.0.0.9")
    );
    assert_eq!(
        run(&lost).unwrap_err(),
        "echo request 1 of 10.0.0.2 reached the router, which did not answer"
    );
}

#[test]
fn what_does_not_come_through_says_where_it_ended() {
    for (lines, why) in [
        (
            "iptables -P FORWARD DROP\nhandshake client:5 > server:80",
            "the SYN of 10.0.0.2:5 did not arrive: dropped by the policy of filter FORWARD",
        ),
        (
            "iptables -A FORWARD -i wan -j DROP\nhandshake client:5 > server:80",
            "the SYN+ACK of 192.0.2.9:80 did not arrive: dropped by rule 1 of filter FORWARD",
        ),
        (
            "iptables -A FORWARD -p icmp --icmp-type 0 -j REJECT\nping client > server",
            "echo reply 1 of 192.0.2.9 did not arrive: rejected by rule 1 of filter FORWARD with icmp-port-unreachable",
        ),
        (
            "ip6tables -A FORWARD -p ipv6-icmp --icmpv6-type 129 -j REJECT --reject-with icmp6-adm-prohibited\n\
             ping 2001:db8::2 > 2001:db8:1::9",
            "echo reply 1 of 2001:db8:1::9 did not arrive: rejected by rule 1 of IPv6's filter FORWARD with icmp6-adm-prohibited",
        ),
        (
            "handshake client > router:22",
            "the router itself answered with a reset: nothing listens on its port 22; `listen tcp 22` first",
        ),
        (
            "udp client > router:53",
            "the router itself answered that nothing listens on its port 53; `listen udp 53` first",
        ),
        (
            "data client > server 5",
            "no connection is open between client and server (open are: none); `handshake` opens one",
        ),
        (
            "handshake 10.0.0.2:5 > 192.0.2.9:80\nclose client > server\ndata client > server 5",
            "no connection is open between client and server (open are: none); `handshake` opens one",
        ),
        (
            "host both 10.0.0.3 2001:db8::3 lan\nhost www 192.0.2.8 2001:db8:1::8 wan\nhandshake -6 both:5 > www:80\ndata -4 both > www 5",
            "no connection of IPv4 is open between both and www (open are: [2001:db8::3]:5 > [2001:db8:1::8]:80); \
             `-6` behind the first word means one of IPv6",
        ),
        // Both on one side: the answer goes straight to the client, who never asked that one.
        (
            "iptables -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.10:80\n\
             iptables -A FORWARD -s 10.0.0.10 -j ACCEPT\niptables -t raw -A PREROUTING -s 10.0.0.10 -j NOTRACK\n\
             handshake client:5 > 192.0.2.1:8080",
            "the SYN+ACK of 10.0.0.10:80 arrived from 10.0.0.10:80, but 10.0.0.2:5 speaks to 192.0.2.1:8080: a host drops that",
        ),
        (
            "expect fail handshake client > server:80",
            "`handshake` was expected to fail, and came through",
        ),
    ] {
        assert_eq!(run(lines).unwrap_err(), why, "{lines}");
    }
    run("iptables -P FORWARD DROP\nexpect fail handshake client > server:80\nexpect drop\nexpect by FORWARD policy")
        .unwrap();
}

#[test]
fn what_cannot_be_read() {
    for (line, part) in [
        ("handshake cleint > server:80", "there is no host `cleint`"),
        ("handshake cleint > server:80", "did you mean `client`?"),
        (
            "handshake nobody > server:80",
            "say who it is first: `host nobody ADDRESS INTERFACE`",
        ),
        ("handshake client > server", "to which port of server?"),
        ("handshake client > server:httpp", "`httpp` is no port of tcp"),
        ("handshake client server:80", "expected `>`"),
        ("ftp extended client > server retr x", "expected active or passive"),
        ("ftp active client > server retr", "the line ends too early"),
        ("data client > server many", "expected a text in quotes"),
        ("send client tcp client:1 > sever:80 S", "there is no host `sever`"),
        (
            "send local udp router:1 > 198.51.100.9:80",
            "write which of 10.0.0.1, 192.0.2.1, or name it",
        ),
        (
            "send local icmp router > ff02::1 echo-request",
            "write which of 2001:db8::1, 2001:db8:1::1, or name it",
        ),
        (
            "interface dmz\nsend dmz udp 10.9.0.2:1 > router:80",
            "the router has no address that this line tells of",
        ),
        ("send router udp router:1 > 10.0.0.2:80", "`local`"),
        (
            "host router 10.0.0.9 lan",
            "`router` cannot name a host: it is the lab's router itself",
        ),
        ("host 10 10.0.0.9 lan", "expected a name"),
        ("udp client > server:53 loudly", "expected `data BYTES`"),
    ] {
        let why = run(line).unwrap_err();
        assert!(why.contains(part), "{line}: {why}");
    }
}
