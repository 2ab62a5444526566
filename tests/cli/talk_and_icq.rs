//! Conversations through helpers that no kernel answers for, written from their protocols' descriptions: whole ones, as scripts.

use crate::bench::Bench;

#[test]
fn what_no_kernel_reads_is_read_as_its_description_says() {
    for (name, script) in [
        ("ntalk", include_str!("talk_and_icq/ntalk.nflab")),
        ("talk", include_str!("talk_and_icq/talk.nflab")),
        ("icq", include_str!("talk_and_icq/icq.nflab")),
    ] {
        let bench = Bench::new();
        bench.write("script.nflab", script);
        let ran = bench.nflab(&["run", "script.nflab"]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{name}: {}", ran.out);
        // Without the helper nobody gets in.
        let without = script
            .lines()
            .filter(|line| !line.contains("-j CT --helper"))
            .collect::<Vec<_>>()
            .join("\n");
        bench.write("script.nflab", &without);
        let ran = bench.nflab(&["run", "script.nflab"]);
        assert_eq!(ran.code, 1, "{name}");
        assert!(ran.err.contains("expect state RELATED"), "{name}: {}", ran.err);
    }
}

#[test]
fn modules_of_old_and_of_today_are_found_and_others_named() {
    let bench = Bench::new();
    let found = [
        "nf_conntrack_h323",
        "ip_conntrack_h323",
        "nf_nat_h323",
        "ip_nat_h323",
        "ip_conntrack_talk",
        "ip_nat_talk",
        "ip_conntrack_icq",
        "ip_nat_icq",
        "nf_conntrack_sane",
        "nf_conntrack_broadcast",
        "nf_conntrack_pptp",
        "ip_conntrack_pptp",
        "nf_nat_pptp",
        "ip_nat_pptp",
        "nf_conntrack_netbios_ns",
        "ip_conntrack_netbios_ns",
        "nf_conntrack_snmp",
        "nf_nat_snmp_basic",
        "ip_nat_snmp_basic",
        "nf_nat_sip",
        "ip_conntrack_sip",
    ];
    for profile in ["linux6", "classic"] {
        let lines = found.map(|name| format!("modprobe {name}\n")).concat();
        bench.write("found.nflab", &format!("profile {profile}\n{lines}"));
        let ran = bench.nflab(&["run", "found.nflab"]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{profile}");
    }
}
