//! Flows of IPv6 by command: what conntrack-tools 1.4.7 said, one call after another.

use crate::cli::TOOLBOX;
use crate::lab::memory::Lab;

/// What a call says: its exit code and lines, without what it calls itself.
fn said(lab: &mut Lab, words: &str) -> String {
    let args: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    let output = lab.tool("conntrack", &args, "", ".".as_ref());
    let stderr = output.stderr.replace("conntrack v1.4.7 (conntrack-tools): ", "");
    let stderr = stderr.replace("Try `conntrack -h' or 'conntrack --help' for more information.\n", "");
    format!("{} {}{stderr}", output.code, output.stdout)
        .trim_end()
        .to_owned()
}

const ENDS: &str = "-s 2001:db8::2 -d 2001:db8:1::9";
const ICMP: &str = "-p icmpv6 --icmpv6-type 128 --icmpv6-code 0";

#[test]
fn flows_of_ipv6_are_made_listed_and_deleted() {
    let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
    let created = "0 1 flow entries have been created.";
    let invalid = "1 Operation failed: invalid parameters";
    let mismatched = "2 mismatched address family";
    let echo = "-A -t 59 -u UNSET -s 2001:db8::2 -d 2001:db8:1::9 -r 2001:db8:1::9 -q 2001:db8::2 -p icmpv6 --icmpv6-type 128 \
                --icmpv6-code 0 --icmpv6-id 9";
    let udp = "udp      17 60 src=2001:db8::2 dst=2001:db8:1::9 sport=3 dport=4 [UNREPLIED] src=2001:db8:1::9 dst=2001:db8:1::1 sport=4 \
               dport=99 mark=0 use=1";
    for (call, expected) in [
        (
            format!("-I {ENDS} -p udp --sport 3 --dport 4 -t 60 -n [2001:db8:1::1]:99"),
            created,
        ),
        (format!("-I {ENDS} {ICMP} --icmpv6-id 9 -t 59"), created),
        (
            format!("-I {ENDS} -p icmpv6 --icmpv6-type 128 -t 60"),
            "2 You need to supply the `--icmpv6-code' option for this command",
        ),
        (
            format!("-I {ENDS} -p 58 -t 60"),
            "2 You need to supply the `--icmpv6-type' option for this command",
        ),
        (format!("-I {ENDS} -p ipv6-icmp -t 60"), invalid),
        (
            format!("-I {ENDS} -p icmpv6 --icmpv6-type 1 --icmpv6-code 0 -t 60"),
            invalid,
        ),
        (
            format!("-I {ENDS} -p icmpv6 --icmpv6-type 135 --icmpv6-code 0 -t 60"),
            invalid,
        ),
        // Before an address of the answer the tool does not know its type.
        (format!("-I {ICMP} {ENDS} -t 60"), invalid),
        (format!("-I -r 2001:db8:1::9 -q 2001:db8::2 {ICMP} -t 60"), invalid),
        (format!("-I {ENDS} -p icmp --icmp-type 8 --icmp-code 0 -t 60"), invalid),
        (format!("-I -s 10.0.0.2 -d 192.0.2.9 {ICMP} -t 60"), invalid),
        (
            "-I -s 2001:db8::2 -d 192.0.2.9 -p udp --sport 5 --dport 7 -t 60".to_owned(),
            mismatched,
        ),
        ("-L -s 2001:db8::2 -f ipv4".to_owned(), mismatched),
        (
            format!("-I {ENDS} -r 2001:db8:1::9 -q 2001:db8::2 -p 50 -t 60"),
            created,
        ),
        (
            format!("-I {ENDS} -p 50 -t 60"),
            "1 Operation failed: Such conntrack exists, try -U to update",
        ),
        (format!("-A {ENDS} -p 50 -t 60"), "0 0 flow entries have been added."),
        ("-C".to_owned(), "0 3"),
        ("-C -f ipv6".to_owned(), "2 Illegal option `--family' with this command"),
        ("-L -f ipv4".to_owned(), "0 0 flow entries have been shown."),
        (
            "-L -p udp".to_owned(),
            &format!("0 {udp}\n1 flow entries have been shown."),
        ),
        (
            "-L -f ipv6 -n [2001:db8:1::1]:99".to_owned(),
            &format!("0 {udp}\n1 flow entries have been shown."),
        ),
        (
            "-L -p icmpv6 --icmpv6-id 9 -o save".to_owned(),
            &format!("0 {echo}\n1 flow entries have been shown."),
        ),
        (
            "-L -p icmpv6 --icmpv6-type 129".to_owned(),
            "0 0 flow entries have been shown.",
        ),
        (
            "-L -p icmpv6 --icmp-type 8".to_owned(),
            "2 unknown option `--icmp-type'",
        ),
        ("-L -s 2001:db8::2/129".to_owned(), "2 Invalid netmask"),
        ("-L -s fe80::1%lan".to_owned(), "2 Invalid IP address `fe80::1%lan'"),
        (
            "-L -r 2001:db8::1/64".to_owned(),
            "2 CIDR notation unavailable for `--reply-src'",
        ),
        (
            "-D -s 2001:db8::/32 -p 50".to_owned(),
            "0 unknown  50 60 src=2001:db8::2 dst=2001:db8:1::9 [UNREPLIED] src=2001:db8:1::9 dst=2001:db8::2 mark=0 use=1\n1 flow entries have been deleted.",
        ),
        ("-C".to_owned(), "0 2"),
        ("-F".to_owned(), "0 connection tracking table has been emptied."),
        ("-C".to_owned(), "0 0"),
    ] {
        assert_eq!(said(&mut lab, &call), expected, "{call}");
    }
}
