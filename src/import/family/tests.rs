//! Texts of IPv6, of both families, and of which nobody knows.

use crate::base::Family;
use crate::import::tests::{TAKEN_FOR_FILTER, check_of, import};
use crate::import::{Input, Options, read};
use crate::syntax::problem::Source;
use crate::text::StaticHosts;

/// What ip6tables prints, of this version and of older ones (whose column opt is blank, and whose protocols have names), is the same.
#[test]
fn listings_of_ipv6() {
    let rules = [
        "-A INPUT -s 2001:db8::/32 ! -d ::1/128 -p tcp -m tcp --dport 22 -j ACCEPT",
        "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT",
        "-A INPUT -p udp",
        "-A INPUT ! -s ::/0 -p udp -m udp --dport 53 -j REJECT --reject-with icmp6-port-unreachable",
    ];
    let titles = "target     prot opt source               destination         ";
    let without_v = "t: lines 3-6: interfaces and counters: the listing was made without -v";
    for rows in [
        "ACCEPT     6    --  2001:db8::/32       !::1                  tcp dpt:22\n\
         ACCEPT     58   --  ::/0                 ::/0                 ipv6-icmptype 135\n\
         \u{20}          17   --  ::/0                 ::/0                \n\
         REJECT     17   -- !::/0                 ::/0                 udp dpt:53 reject-with icmp6-port-unreachable\n",
        "ACCEPT     tcp      2001:db8::/32       !::1/128              tcp dpt:22\n\
         ACCEPT     icmpv6    ::/0                 ::/0                 ipv6-icmptype 135\n\
         \u{20}          udp      ::/0                 ::/0                \n\
         REJECT     udp     !::/0                 ::/0                 udp dpt:53 reject-with icmp6-port-unreachable\n",
    ] {
        let text = format!(
            "Chain INPUT (policy ACCEPT)\n{titles}\n{rows}\n{}",
            two_empty_chains("policy ACCEPT", titles)
        );
        check_of(Family::V6, &text, &rules, &[without_v]);
    }
    // With counters, numbers, and names.
    let titles = "num   pkts bytes target     prot opt in     out     source               destination         ";
    for rows in [
        "1        0     0            udp      any    any     anywhere             localhost            udp dpt:domain\n\
         2        3   180 ACCEPT     ipv6-icmp    lo     any     anywhere             anywhere             ipv6-icmp neighbour-solicitation\n",
        "1        0     0            udp  --  any    any     anywhere             localhost            udp dpt:domain\n\
         2        3   180 ACCEPT     ipv6-icmp--  lo     any     anywhere             anywhere             ipv6-icmp neighbour-solicitation\n",
        "1        0     0            udp  --  any    any     anywhere             localhost            udp dpt:domain\n\
         2        3   180 ACCEPT     ipv6-icmp --  lo     any     anywhere             anywhere             ipv6-icmp neighbour-solicitation\n",
    ] {
        let text = format!(
            "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n{titles}\n{rows}\n{}",
            two_empty_chains("policy ACCEPT 0 packets, 0 bytes", titles)
        );
        let named =
            "t:3: numbers of ports: the listing has names, taken as Debian's /etc/services has them. -n lists numbers";
        check_of(
            Family::V6,
            &text,
            &[
                "[0:0] -A INPUT -d ::1/128 -p udp -m udp --dport 53",
                "[3:180] -A INPUT -i lo -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j ACCEPT",
            ],
            &[TAKEN_FOR_FILTER, named],
        );
    }
}

/// ip6tables puts no blank before `eui64`, and one behind it.
#[test]
fn what_is_listed_without_a_blank() {
    let titles = " pkts bytes target     prot opt in     out     source               destination         ";
    let text = format!(
        "# ip6tables -L -n -v\nChain INPUT (policy ACCEPT 0 packets, 0 bytes)\n{titles}\n\
            0     0 ACCEPT     0    --  *      *       ::/0                 ::/0                eui64 \n\
            0     0 ACCEPT     0    --  *      *       ::/0                 ::/0                 state NEWeui64 \n\
            0     0 LOG        0    --  *      *       ::/0                 ::/0                eui64  state NEW LOG flags 0 level 4\n\
            0     0 REJECT     6    --  *      *       ::/0                 ::/0                 tcp dpt:22eui64  /* x */ reject-with icmp6-port-unreachable\n\
            0     0 REJECT     0    --  *      *       ::/0                 ::/0                 /* x */eui64  reject-with icmp6-port-unreachable\n\
            0     0 ACCEPT     0    --  *      *       ::/0                 ::/0                 /* no eui64, an xeui64 */\n\n{}",
        two_empty_chains("policy ACCEPT 0 packets, 0 bytes", titles)
    );
    let rules = [
        "[0:0] -A INPUT -m eui64 -j ACCEPT",
        "[0:0] -A INPUT -m state --state NEW -m eui64 -j ACCEPT",
        "[0:0] -A INPUT -m eui64 -m state --state NEW -j LOG",
        "[0:0] -A INPUT -p tcp -m tcp --dport 22 -m eui64 -m comment --comment x -j REJECT --reject-with icmp6-port-unreachable",
        "[0:0] -A INPUT -m comment --comment x -m eui64 -j REJECT --reject-with icmp6-port-unreachable",
        "[0:0] -A INPUT -m comment --comment \"no eui64, an xeui64\" -j ACCEPT",
    ];
    check_of(Family::V6, &text, &rules, &[]);
}

fn two_empty_chains(policy: &str, titles: &str) -> String {
    format!("Chain FORWARD ({policy})\n{titles}\n\nChain OUTPUT ({policy})\n{titles}\n")
}

/// Where no prompt and no head names the family, the rules do; where they don't, the text's other tables.
#[test]
fn which_family_it_is() {
    let filter = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-P OUTPUT ACCEPT\n";
    let raw = "-P PREROUTING ACCEPT\n-P OUTPUT ACCEPT\n";
    let titles = "target     prot opt source               destination\n";
    let listed = |target: &str, rest: &str| {
        format!(
            "Chain PREROUTING (policy ACCEPT)\n{titles}{target}   0    --  anywhere anywhere {rest}\n\nChain OUTPUT (policy ACCEPT)\n{titles}\n"
        )
    };
    let (four, six) = (
        "-A INPUT -s 10.0.0.1/32 -j DROP\n",
        "-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 1 -j DROP\n",
    );
    let reject = "*filter\n-A INPUT -j REJECT\nCOMMIT\n";
    let saved = |head: &str| format!("{head}*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n");
    for (text, expected) in [
        (format!("{filter}{four}"), &[(Family::V4, "filter")][..]),
        (format!("{filter}{six}"), &[(Family::V6, "filter")]),
        (
            format!("{filter}{six}{raw}"),
            &[(Family::V6, "filter"), (Family::V6, "raw")],
        ),
        (
            format!("{filter}{six}{filter}{four}{raw}"),
            &[(Family::V6, "filter"), (Family::V4, "filter"), (Family::V4, "raw")],
        ),
        (format!("# ip6tables -t raw -S\n{raw}"), &[(Family::V6, "raw")]),
        (
            format!("# ip6tables -S\n{filter}# iptables -S\n{filter}"),
            &[(Family::V6, "filter"), (Family::V4, "filter")],
        ),
        (raw.to_owned(), &[(Family::V4, "raw")]),
        (reject.to_owned(), &[(Family::V4, "filter")]),
        (
            saved("# Generated by ip6tables-save v1.8.9\n"),
            &[(Family::V6, "filter")],
        ),
        (
            saved("# Generated by ip6tables-nft-save v1.8.9\n"),
            &[(Family::V6, "filter")],
        ),
        (
            saved("# Generated by iptables-save v1.4.21\n"),
            &[(Family::V4, "filter")],
        ),
        (saved("# Generated by xtables-save v1.8.2\n"), &[(Family::V4, "filter")]),
        (
            saved("# Generated by xtables-save v1.8.2\n") + "*raw\n-A OUTPUT -d ff02::/16 -j DROP\nCOMMIT\n",
            &[(Family::V6, "filter"), (Family::V6, "raw")],
        ),
        // Each family's tool passes over what is the other's.
        (
            "*filter\n-4 -A INPUT -p icmp -j REJECT\n--ipv6 -A INPUT -s ::1 -j DROP\nCOMMIT\n*raw\nCOMMIT\n".to_owned(),
            &[
                (Family::V4, "filter"),
                (Family::V6, "filter"),
                (Family::V4, "raw"),
                (Family::V6, "raw"),
            ],
        ),
        // A column that ip6tables left blank.
        (listed("DROP ", "").replace("--", "  "), &[(Family::V6, "raw")]),
        (listed("DROP ", "TTL match TTL == 1"), &[(Family::V4, "raw")]),
        (listed("DROP ", "rt type:0"), &[(Family::V6, "raw")]),
        (
            format!("IPV4 (raw):\n{0}\nIPV6:\n{0}", listed("DROP ", "")),
            &[(Family::V4, "raw"), (Family::V6, "raw")],
        ),
    ] {
        let import = import(&text);
        let found: Vec<(Family, &str)> = import.tables.iter().map(|it| (it.family, it.table.name())).collect();
        assert_eq!(
            (found.as_slice(), import.refused.as_slice()),
            (expected, &[][..]),
            "{text}"
        );
        let unknown = import
            .notes
            .iter()
            .any(|it| it.text.starts_with("the family: iptables and ip6tables would both"));
        assert_eq!(unknown, text == reject, "{text}");
        for family in Family::ALL {
            assert_eq!(
                import.save(family).is_some(),
                expected.iter().any(|it| it.0 == family),
                "{text}"
            );
        }
    }
    let source = Source {
        name: "t".to_owned(),
        text: reject.to_owned(),
    };
    let options = Options {
        table: None,
        family: Some(Family::V6),
        hosts: StaticHosts::none(),
    };
    let said = read(&[Input { source, kind: None }], &options);
    let save = said.save(Family::V6).unwrap();
    assert!(
        save.contains("-j REJECT --reject-with icmp6-port-unreachable\n"),
        "{save}"
    );
    assert!(
        save.starts_with("# Made by nflab import from t (a save file, rules of IPv6)\n"),
        "{save}"
    );
    assert_eq!(said.save(Family::V4), None);
}

/// Of rules that neither family's tool takes their addresses tell the family, and without one nobody is asked to name it.
#[test]
fn what_is_refused_in_both_families() {
    let table = |rules: &str| format!("*filter\n{rules}COMMIT\n");
    for (rules, expected) in [
        ("-A INPUT -s 2001:db8::1 -m none -j DROP\n", Family::V6),
        (
            "-A INPUT -m none -j DROP\n-A INPUT -d 2001:db8::/32 -m none\n",
            Family::V6,
        ),
        ("-A INPUT -s 10.0.0.1 -m none -j DROP\n", Family::V4),
        // Written otherwise in each.
        ("-A INPUT -m none\n-A INPUT -j REJECT\n", Family::V4),
    ] {
        let import = import(&table(rules));
        let found: Vec<Family> = import.tables.iter().map(|it| it.family).collect();
        assert_eq!(found, [expected], "{rules}");
        assert!(!import.refused.is_empty(), "{rules}");
        let asked = import.notes.iter().find(|it| it.text.starts_with("the family: "));
        assert!(asked.is_none(), "{rules}: {asked:?}");
    }
}

/// What both tools take alike and no table of the text tells: names do, and that is said, unless an option says it.
#[test]
fn what_is_called_as_ipv6_is() {
    let plain = "*filter\n:web - [0:0]\n-A web -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n";
    let ufw = plain.replace("web", "ufw6-user-input");
    let ufw_of_four = plain.replace("web", "ufw-user-input");
    let own = "-P INPUT ACCEPT\n-A in_v6 -p tcp\n".to_owned();
    let told = "-A INPUT -s 10.0.0.1 -j DROP\n";
    let chain = "the family: nothing in the rules tells it; taken for IPv6, as its chain `ufw6-user-input` is called. --ipv4 says otherwise";
    let (six, four) = (Some(Family::V6), Some(Family::V4));
    for (name, text, asked, expected, said) in [
        ("t", &ufw, None, Family::V6, chain),
        ("t", &ufw, four, Family::V4, ""),
        ("t", &ufw, six, Family::V6, ""),
        ("user.rules", &ufw_of_four, None, Family::V4, ""),
        (
            "/etc/ufw/user6.rules",
            &plain.to_owned(),
            None,
            Family::V6,
            "the family: nothing in the rules tells it; taken for IPv6, as the file `user6.rules` is called. --ipv4 says otherwise",
        ),
        (
            "rules.v6",
            &plain.to_owned(),
            None,
            Family::V6,
            "the family: nothing in the rules tells it; taken for IPv6, as the file `rules.v6` is called. --ipv4 says otherwise",
        ),
        (
            "t",
            &own,
            None,
            Family::V6,
            "the family: nothing in the rules tells it; taken for IPv6, as its chain `in_v6` is called. --ipv4 says otherwise",
        ),
        // A version, a directory, and rules that tell it themselves.
        ("centos6.txt", &plain.to_owned(), None, Family::V4, ""),
        ("/ipv6/iptables.txt", &plain.to_owned(), None, Family::V4, ""),
        ("rules.v6", &plain.replace("-p", "-s 10.0.0.1 -p"), None, Family::V4, ""),
        (
            "t",
            &ufw.replace("COMMIT", &format!("{told}COMMIT")),
            None,
            Family::V4,
            "",
        ),
        (
            "t",
            &format!("*raw\n-A OUTPUT -s 10.0.0.1\nCOMMIT\n{ufw}"),
            None,
            Family::V4,
            "",
        ),
    ] {
        let source = Source {
            name: name.to_owned(),
            text: text.clone(),
        };
        let options = Options {
            table: Some(crate::rule::Table::Filter),
            family: asked,
            hosts: StaticHosts::none(),
        };
        let import = read(&[Input { source, kind: None }], &options);
        assert_eq!(
            import.tables.last().map(|it| it.family),
            Some(expected),
            "{name}: {text}"
        );
        let notes = import.notes.iter().filter(|it| it.text.starts_with("the family"));
        let notes: Vec<&str> = notes.map(|it| it.text.as_str()).collect();
        assert_eq!(notes.concat(), said, "{name}: {text}");
    }
}

/// Each family has its head.
#[test]
fn both_families_at_once() {
    let inputs = [
        "*filter\n-A INPUT -s 10.0.0.1 -j DROP\n",
        "# Generated by ip6tables-save v1.8.9\n*filter\n-A INPUT -s ::1 -j DROP\nCOMMIT\n",
    ];
    let inputs = inputs.iter().enumerate().map(|(at, text)| {
        let (name, text) = (format!("t{at}"), (*text).to_owned());
        let source = Source { name, text };
        Input { source, kind: None }
    });
    let options = Options {
        table: None,
        family: None,
        hosts: StaticHosts::none(),
    };
    let import = read(&inputs.collect::<Vec<_>>(), &options);
    assert_eq!(import.refused, []);
    let rest = ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT -s";
    assert_eq!(
        import.saves,
        [
            (
                Family::V4,
                format!(
                    "# Made by nflab import from t0 (a save file, rules of IPv4)\n# Not known:\n#   t0:1: whether the table filter goes on: no COMMIT closes \
                     it. Taken as it stands\n*filter\n{rest} 10.0.0.1/32 -j DROP\nCOMMIT\n"
                )
            ),
            (
                Family::V6,
                format!(
                    "# Made by nflab import from t1 (a save file, rules of IPv6)\n*filter\n{rest} ::1/128 -j DROP\nCOMMIT\n"
                )
            ),
        ]
    );
}
