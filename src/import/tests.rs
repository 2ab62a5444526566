//! Whole texts: what comes of them, what is said, what is refused.

use super::*;

pub(super) fn import(text: &str) -> Import {
    import_as(text, None, None)
}

fn import_as(text: &str, kind: Option<Kind>, table: Option<Table>) -> Import {
    let source = Source {
        name: "t".to_owned(),
        text: text.to_owned(),
    };
    let options = Options {
        table,
        family: None,
        hosts: StaticHosts::localhost().with("fw.example.org", [192, 0, 2, 1].into()),
    };
    read(&[Input { source, kind }], &options)
}

/// The lines of IPv4's save file that make rules, and what was said.
#[track_caller]
fn check(text: &str, rules: &[&str], said: &[&str]) {
    check_of(Family::V4, text, rules, said);
}

/// The same of the one family that the text is of.
#[track_caller]
pub(super) fn check_of(of: Family, text: &str, rules: &[&str], said: &[&str]) {
    let import = import(text);
    let refused: Vec<String> = import.refused.iter().map(Note::to_string).collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let (family, save) = &import.saves[0];
    assert_eq!((*family, import.saves.len()), (of, 1));
    let made: Vec<&str> = save.lines().filter(|line| line.contains("-A ")).collect();
    assert_eq!(made, rules);
    let notes: Vec<String> = import.notes.iter().map(Note::to_string).collect();
    assert_eq!(notes, said);
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let import = import(text);
    assert_eq!(import.saves, []);
    let said: Vec<String> = import.refused.iter().map(Note::to_string).collect();
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.contains(expected), "{said}\nhas not\n{expected}");
    }
}

/// A chain of filter beside two empty ones, with the columns of `-n -v -x`.
fn listed(rows: &str) -> String {
    let titles = "    pkts      bytes target     prot opt in     out     source               destination";
    format!(
        "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n{titles}\n{rows}\nChain FORWARD (policy DROP 7 packets, 420 bytes)\n{titles}\n\n\
         Chain OUTPUT (policy ACCEPT 0 packets, 0 bytes)\n{titles}\n"
    )
}

pub(super) const TAKEN_FOR_FILTER: &str =
    "t:1: the table: filter, security have these chains; taken for filter. --table says it";

#[test]
fn a_listing_with_everything() {
    let rows = "       3      180 ACCEPT     6    --  !eth0  *       10.0.0.0/8          !192.0.2.1            tcp dpt:22 /* a */ b */\n\
                \u{20}      0        0            17   !f  *      *       0.0.0.0/0            0.0.0.0/0            udp spts:!1:2\n\
                \u{20}      0        0 DROP       0    --  lo     *       0.0.0.0/0            0.0.0.0/0\n";
    check(
        &listed(rows),
        &[
            "[3:180] -A INPUT -s 10.0.0.0/8 ! -d 192.0.2.1/32 ! -i eth0 -p tcp -m tcp --dport 22 -m comment --comment \"a */ b\" -j ACCEPT",
            "[0:0] -A INPUT -p udp ! -f -m udp ! --sport 1:2",
            "[0:0] -A INPUT -i lo -j DROP",
        ],
        &[TAKEN_FOR_FILTER],
    );
}

/// What old tools and the nft one print otherwise is the same rule.
#[test]
fn other_versions() {
    let rows = "       0        0 LOG        all  --  *      *       0.0.0.0/0            0.0.0.0/0           LOG flags 0 level 4 prefix `x: '\n\
                \u{20}      0        0 ACCEPT     icmp --  *      *       0.0.0.0/0            0.0.0.0/0           icmp type 8\n\
                \u{20}      0        0 ACCEPT     all  --  *      *       0.0.0.0/0            0.0.0.0/0           MARK match 0x1\n\
                \u{20}      0        0 DROP       tcp  --  *      *       0.0.0.0/0            0.0.0.0/0           recent: UPDATE seconds: 60 hit_count: 4 name: ssh side: source\n\
                \u{20}      0        0            tcp  --  *      *       0.0.0.0/0            0.0.0.0/0           recent: SET name: ssh side: dest tcp dpt:22\n\
                \u{20}      0        0 DROP       all  --  *      *       0.0.0.0/0            0.0.0.0/0           #conn/32 > 3\n\
                \u{20}      0        0 ACCEPT     all  --  *      *       0.0.0.0/0            0.0.0.0/0           #conn/24 < 3\n\
                \u{20}      0        0 ACCEPT     all  --  *      *       0.0.0.0/0            0.0.0.0/0           CONNMARK match 0x1\n";
    check(
        &listed(rows),
        &[
            "[0:0] -A INPUT -j LOG --log-prefix \"x: \"",
            "[0:0] -A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT",
            "[0:0] -A INPUT -m mark --mark 0x1 -j ACCEPT",
            "[0:0] -A INPUT -p tcp -m recent --update --seconds 60 --hitcount 4 --name ssh --mask 255.255.255.255 --rsource -j DROP",
            "[0:0] -A INPUT -p tcp -m recent --set --name ssh --mask 255.255.255.255 --rdest -m tcp --dport 22",
            "[0:0] -A INPUT -m connlimit --connlimit-above 3 --connlimit-mask 32 --connlimit-saddr -j DROP",
            "[0:0] -A INPUT -m connlimit --connlimit-upto 3 --connlimit-mask 24 --connlimit-saddr -j ACCEPT",
            "[0:0] -A INPUT -m connmark --mark 0x1 -j ACCEPT",
        ],
        &[TAKEN_FOR_FILTER],
    );
}

#[test]
fn without_v_interfaces_are_not_known_and_without_n_names_stand() {
    let titles = "target     prot opt source               destination";
    let text = format!(
        "Chain INPUT (policy ACCEPT)\n{titles}\nACCEPT     all  --  anywhere             anywhere\n\
         ACCEPT     tcp  --  fw.example.org       !localhost           tcp dpt:ssh\n\nChain FORWARD (policy ACCEPT)\n{titles}\n\n\
         Chain OUTPUT (policy ACCEPT)\n{titles}\nREJECT     udp  --  anywhere             anywhere             reject-with icmp-port-unreachable\n"
    );
    check(
        &text,
        &[
            "-A INPUT -j ACCEPT",
            "-A INPUT -s 192.0.2.1/32 ! -d 127.0.0.1/32 -p tcp -m tcp --dport 22 -j ACCEPT",
            "-A OUTPUT -p udp -j REJECT --reject-with icmp-port-unreachable",
        ],
        &[
            "t: lines 3-4, 11: interfaces and counters: the listing was made without -v",
            "t:3: whether these decide about every packet: they look so, but an interface (-i lo) would not show",
            "t:4: numbers of ports: the listing has names, taken as Debian's /etc/services has them. -n lists numbers",
        ],
    );
}

#[test]
fn which_table_it_is() {
    let chains = |names: &[&str]| -> String {
        names
            .iter()
            .map(|name| format!("Chain {name} (policy ACCEPT)\ntarget     prot opt source               destination\n"))
            .collect()
    };
    for (names, table, said) in [
        (&["PREROUTING", "OUTPUT"][..], Some("raw"), None),
        (&["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"], Some("nat"), None),
        (&["PREROUTING", "POSTROUTING", "OUTPUT"], Some("nat"), None),
        (
            &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
            Some("mangle"),
            None,
        ),
        (
            &["INPUT", "FORWARD", "OUTPUT"],
            Some("filter"),
            Some("the table: filter, security have these chains"),
        ),
        (
            &["INPUT"],
            Some("filter"),
            Some("the table: mangle, nat, filter, security have these chains"),
        ),
        (
            &["POSTROUTING"],
            None,
            Some("the table may be any of mangle, nat; --table says which"),
        ),
        (
            &["INPUT", "PREROUTING", "FORWARD"],
            Some("mangle"),
            Some("policy and rules of OUTPUT, POSTROUTING: not in the text"),
        ),
    ] {
        let import = import(&chains(names));
        assert_eq!(import.tables.first().map(|it| it.table.name()), table, "{names:?}");
        let first = import
            .notes
            .first()
            .or(import.refused.first())
            .map(|note| note.text.clone());
        match said {
            None => assert_eq!(first, None, "{names:?}"),
            Some(said) => assert!(
                first.as_ref().is_some_and(|it| it.starts_with(said)),
                "{names:?}: {first:?}"
            ),
        }
    }
    // Its rules tell, or the reader does, or a prompt.
    let nat = "Chain POSTROUTING (policy ACCEPT)\ntarget     prot opt source               destination\n\
               MASQUERADE  0    --  0.0.0.0/0            0.0.0.0/0\n";
    assert_eq!(import(nat).tables[0].table, Table::Nat);
    let post = chains(&["POSTROUTING"]);
    assert_eq!(
        import_as(&post, None, Some(Table::Mangle)).tables[0].table,
        Table::Mangle
    );
    let prompted = format!("root@fw:~# iptables -t nat -L -n\n{post}\n$ sudo iptables -t mangle -L -n\n{post}");
    let tables: Vec<&str> = import(&prompted).tables.iter().map(|it| it.table.name()).collect();
    assert_eq!(tables, ["nat", "mangle"]);
    let titled = format!("Table: nat\n{post}");
    assert_eq!(import(&titled).tables[0].table, Table::Nat);
}

/// A line that no table takes says nothing of which one it is.
#[test]
fn which_table_it_is_where_a_line_cannot_be_read() {
    let cannot_be_read = "unknown option \"--dprt\"";
    for (text, expected) in [
        (
            "-P INPUT ACCEPT\n-A INPUT -p tcp --dprt 3 -j ACCEPT\n-A INPUT -j REJECT\n",
            &["t:2: ", cannot_be_read][..],
        ),
        (
            "-P PREROUTING ACCEPT\n-A PREROUTING -p tcp --dprt 3\n-A PREROUTING -j REDIRECT\n",
            &["t:2: ", cannot_be_read],
        ),
    ] {
        let import = import(text);
        let said: Vec<String> = import.refused.iter().map(Note::to_string).collect();
        assert_eq!(said.len(), 1, "{said:#?}");
        assert!(expected.iter().all(|words| said[0].contains(words)), "{said:#?}");
    }
    let any = import("-P INPUT ACCEPT\n-A INPUT -p tcp --dprt 3 -j ACCEPT\n");
    assert!(
        any.notes[0].to_string().contains("taken for filter"),
        "{}",
        any.notes[0]
    );
}

#[test]
fn lines_that_cannot_be_read() {
    let columns = "*      *       0.0.0.0/0            0.0.0.0/0           ";
    for (row, expected) in [
        (
            format!("0 0 ACCEPT 6 -- {columns} tcp dpt:22 recent: SET name: x"),
            "t:3: `recent: SET name: x`: expected what a match",
        ),
        (
            format!("0 0 ACCEPT 6 -- {columns} tcp dpt:22 /* cut he"),
            "has no end; expected `*/`: the line is cut",
        ),
        (
            format!("0 0 ULOG 6 -- {columns} ULOG copy_range 0"),
            "target ULOG is not there yet in nflab 0.1",
        ),
        (
            format!("0 0 DNAT 6 -- {columns}"),
            "DNAT prints its options, and none stand here",
        ),
        (
            format!("0 0 ACCEPT 6 -- {columns} tcp dpt:99999"),
            "read as `-A INPUT -p 6 -m tcp --dport 99999 -j ACCEPT -c 0 0`: ",
        ),
        (
            "0 0 ACCEPT 6 -- * * host.invalid 0.0.0.0/0".to_owned(),
            "--host NAME=ADDRESS says what a name stands for",
        ),
        (
            "0 0 ACCEPT 6 -- * *".to_owned(),
            "the line ends before the column source",
        ),
        ("0 0 ACCEPT tcp".to_owned(), "the line ends too early"),
        (
            "x 0 ACCEPT 6 -- * * 0.0.0.0/0 0.0.0.0/0".to_owned(),
            "`x` in the columns pkts and bytes",
        ),
        (
            "0 0 ACCEPT 6 -- * * 10.0.0.1 0.0.0.0/0\n0 0 ACCEPT 6 -- * * ::1 ::/0".to_owned(),
            "t:4: read as `-A INPUT -s ::1 -d ::/0 -p 6 -j ACCEPT -c 0 0`: host/network `::1' not found; this is an address of IPv6",
        ),
        (
            format!("0 0 DNAT 6 -- {columns} to:1.2.3.4"),
            "the kernel would refuse it",
        ),
    ] {
        refused(&listed(&row), &[expected]);
    }
    refused("hello\n", &["expected a listing"]);
    // As many ways to read it as there are to share out its words: some are tried.
    let many = " /* a */".repeat(1000);
    refused(
        &listed(&format!("0 0 DNAT 6 -- {columns}{many}")),
        &["t:3: this line cannot be read: a comment or a prefix in it looks like options"],
    );
    let import = import(&listed(&format!("0 0 DROP 0 -- {columns}{many}")));
    assert!(
        import.refused.len() == 1 && import.refused[0].lines == [3],
        "{:?}",
        import.refused
    );
    refused(
        "Chain INPUT (policy ACCEPT)\nACCEPT  all  --  anywhere  anywhere\n",
        &["expected the names of the columns"],
    );
}

#[test]
fn a_part_of_a_table_and_gaps_in_its_numbers() {
    let text = "Chain INPUT (policy ACCEPT)\nnum  target     prot opt source               destination\n\
                1    web        6    --  0.0.0.0/0            0.0.0.0/0            tcp dpt:80\n\
                4    DROP       6    --  10.0.0.0/8           0.0.0.0/0\n";
    check(
        text,
        &[
            "-A INPUT -p tcp -m tcp --dport 80 -j web",
            "-A INPUT -s 10.0.0.0/8 -p tcp -j DROP",
        ],
        &[
            "t:1: the table: mangle, filter, security have these chains; taken for filter. --table says it",
            "t:1: policy and rules of FORWARD, OUTPUT: not in the text; taken as empty, with the policy ACCEPT",
            "t:3: the rules of chain web: it is jumped to, but not in the text; it stands empty",
            "t: lines 3-4: interfaces and counters: the listing was made without -v",
            "t:4: rules 2 to 3 of INPUT: not in the text",
        ],
    );
}

#[test]
fn references_that_do_not_add_up_are_named() {
    let text = listed("")
        + "\nChain web (2 references)\n    pkts      bytes target     prot opt in     out     source               destination\n";
    check(
        &text,
        &[],
        &[
            TAKEN_FOR_FILTER,
            "t:10: who jumps to web: the listing says 2 references, and has 0",
        ],
    );
}

#[test]
fn commands_with_counters() {
    check(
        "-P INPUT DROP -c 1 40\n-P FORWARD ACCEPT -c 0 0\n-P OUTPUT ACCEPT -c 0 0\n-N web\n\
         -A INPUT -p tcp -m tcp --dport 80 -c 3 180 -j web\n\
         -A web -p tcp -m comment --comment \"a b\" -c 5 6 -j REJECT --reject-with tcp-reset\n",
        &[
            "[3:180] -A INPUT -p tcp -m tcp --dport 80 -j web",
            "[5:6] -A web -p tcp -m comment --comment \"a b\" -j REJECT --reject-with tcp-reset",
        ],
        &[],
    );
}

#[test]
fn save_files_of_old_tools() {
    check(
        "# Generated by iptables-save v1.2.7a\r\n*nat\r\n:PREROUTING ACCEPT [133:6688]\r\n:POSTROUTING ACCEPT [0:0]\r\n:OUTPUT ACCEPT [0:0]\r\n\
         [3:180] -A POSTROUTING -s 192.168.0.0/255.255.0.0 -d ! 10.0.0.0/8 -o eth0 -j MASQUERADE \r\nCOMMIT\r\n",
        &["[3:180] -A POSTROUTING -s 192.168.0.0/16 ! -d 10.0.0.0/8 -o eth0 -j MASQUERADE"],
        &[
            "t: lines end in CR LF: read as if they ended in LF",
            "t:6: `!` behind its option, as tools before 1.4.3 printed it: put before it",
            "t:6: written as `-A POSTROUTING -s 192.168.0.0/16 ! -d 10.0.0.0/8 -o eth0 -j MASQUERADE`",
        ],
    );
    let import = import("*filter\n:INPUT DROP [5:6]\n-A INPUT -s 1.2.3.4,5.6.7.8 -j ACCEPT\n");
    let notes: Vec<String> = import.notes.iter().map(Note::to_string).collect();
    assert_eq!(
        notes,
        [
            "t:1: whether the table filter goes on: no COMMIT closes it. Taken as it stands",
            "t:3: written as `-A INPUT -s 1.2.3.4/32 -j ACCEPT`",
            "t:3: makes 2 rules",
        ]
    );
    assert!(import.save(Family::V4).unwrap().contains("\n:INPUT DROP [5:6]\n"));
    refused(
        "*filter\n:INPUT DROP [5:x]\n-A INPUT -p nope\n*broute\n-A X\nCOMMIT\nfoo\n*filter\nCOMMIT\n",
        &[
            "t:2: `[5:x]`: expected [packets:bytes]",
            "t:3: unknown protocol \"nope\" specified (column 13)",
            "t:4: `*broute`: expected *filter",
            "t:7: `foo`: expected a line *TABLE above it",
            "t:8: the table filter for the second time",
        ],
    );
}

/// The kernel takes a table whole; the line that it would not take is found all the same.
#[test]
fn the_line_that_the_kernel_refuses() {
    refused(
        "*filter\n:a -\n:b -\n-A INPUT -j a\n-A a -j b\n-A a -j ACCEPT\n-A b -j a\n-A b -j DROP\nCOMMIT\n",
        &["t:7: the kernel would refuse it"],
    );
}

/// Each is searched for by itself, and so no more than some.
#[test]
fn of_many_rules_that_the_kernel_refuses_the_first_are_named() {
    let most = build::MOST_SEARCHED;
    for (count, named, is_more) in [
        (1, 1, false),
        (most, most, false),
        (most + 1, most, true),
        (most + 2, most, true),
    ] {
        let chains: String = (0..count).map(|at| format!(":c{at} -\n")).collect();
        let rules: String = (0..count)
            .map(|at| format!("-A INPUT -j c{at}\n-A c{at} -j c{at}\n"))
            .collect();
        let import = import(&format!("*filter\n{chains}{rules}COMMIT\n"));
        let said: Vec<String> = import.refused.iter().map(Note::to_string).collect();
        let more = said.iter().filter(|it| it.contains("mend them first")).count();
        assert_eq!((said.len() - more, more), (named, usize::from(is_more)), "{said:#?}");
    }
}

/// A listing whose reading went wrong, as if what was built were another: each line that differs is named.
#[test]
fn what_is_listed_otherwise_is_told_by_its_line() {
    let source = Source {
        name: "t".to_owned(),
        text: listed(
            "       3      180 ACCEPT     tcp  --  eth0   *       10.0.0.0/8           0.0.0.0/0            tcp dpt:22\n\
             \u{20}      0        0 DROP       all  --  lo     *       0.0.0.0/0            0.0.0.0/0\n",
        ),
    };
    let options = Options {
        table: Some(Table::Filter),
        family: None,
        hosts: StaticHosts::localhost(),
    };
    let mut told = Told::default();
    let draft = listing::read(&source, &options, &mut told).remove(0);
    let mut built = build::Built::new();
    built.add(&draft, &options, &mut told);
    let policy = |name: &str, packets: &str, bytes: &str| listing::About::Policy {
        name: name.to_owned(),
        counted: Some((packets.to_owned(), bytes.to_owned())),
    };
    type Change<'a> = &'a dyn Fn(&mut listing::Form);
    let changes: &[(Change<'_>, &[&str])] = &[
        (&|_| {}, &[]),
        (
            &|form| form.headings[1].about = policy("ACCEPT", "7", "420"),
            &["t:6: the policy of FORWARD: read as "],
        ),
        (
            &|form| form.headings[1].about = policy("DROP", "8", "420"),
            &["t:6: the policy of FORWARD: read as "],
        ),
        (&|form| form.headings[1].about = policy("DROP", "7", "0420"), &[]),
        (
            &|form| form.headings[0].chain = "OTHER".to_owned(),
            &["t:1: the chain OTHER is not in what was read"],
        ),
        (
            &|form| form.rows[0].target = "DROP".to_owned(),
            &["t:3: whether it was read as it was meant: listed again it is `3"],
        ),
        (
            &|form| form.rows[1].chain = "FORWARD".to_owned(),
            &["t:4: this rule is not in what was read"],
        ),
        (
            &|form| form.rows[1].source.inverted = true,
            &["t:4: whether it was read as it was meant: listed again it is `0"],
        ),
    ];
    for (change, expected) in changes {
        let mut changed = draft.clone();
        change(changed.form.as_mut().unwrap());
        let mut told = Told::default();
        compare::compare(&changed, &built, &options, &mut told);
        let said: Vec<String> = told.notes.iter().map(Note::to_string).collect();
        assert_eq!(said.len(), expected.len(), "{said:#?}");
        assert!(
            said.iter().zip(*expected).all(|(said, part)| said.starts_with(part)),
            "{said:#?}"
        );
    }
}

#[test]
fn a_counter_is_round_where_either_part_of_it_is() {
    for (packets, bytes, is_round) in [
        ("7", "420", false),
        ("7", "420K", true),
        ("7K", "420", true),
        ("7K", "4M", true),
    ] {
        let rows = format!(" {packets} {bytes} DROP  all  --  lo  *  0.0.0.0/0  0.0.0.0/0\n");
        let notes = import(&listed(&rows)).notes;
        let said = notes
            .iter()
            .any(|it| it.to_string().contains("the listing rounds them"));
        assert_eq!(said, is_round, "{packets} {bytes}: {notes:?}");
    }
}

#[test]
fn what_iptables_save_cannot_write_is_named() {
    let import = import("*filter\n-A INPUT ! -i + -j ACCEPT\n-A INPUT -j DROP\nCOMMIT\n");
    let notes: Vec<String> = import
        .notes
        .iter()
        .filter(|it| it.weight == Weight::Unknown)
        .map(Note::to_string)
        .collect();
    assert_eq!(
        notes,
        ["t:2: how to write this rule: iptables-save prints it as `-A INPUT -j ACCEPT`, which reads otherwise"]
    );
}

/// A listing's name may have what needs quotes, which iptables-save does not write.
#[test]
fn a_name_that_no_save_file_can_say_is_refused_by_its_line() {
    let titles = "target     prot opt source               destination\n";
    let rows = [
        (
            "raw",
            "PREROUTING",
            "CT",
            "CT notrack timeout é p",
            "--notrack --timeout é p",
        ),
        (
            "raw",
            "PREROUTING",
            "CT",
            "CT notrack timeout two  zone 1",
            "--notrack --timeout two  --zone 1",
        ),
        (
            "filter",
            "INPUT",
            "DROP",
            "recent: SET name: \"q side: source mask: 255.255.255.255",
            "--name \"q --mask",
        ),
    ];
    for (table, chain, target, printed, written) in rows {
        let columns = "tcp  --  0.0.0.0/0            0.0.0.0/0           ";
        let text = format!(
            "Table: {table}\nChain {chain} (policy ACCEPT)\n{titles}ACCEPT     {columns}\n{target:<10} {columns} {printed}\n"
        );
        let refused: Vec<String> = import(&text).refused.iter().map(Note::to_string).collect();
        let [said] = &refused[..] else {
            panic!("{printed}: {refused:?}");
        };
        let begin = format!("t:5: no save file can say this: of `-A {chain} -p tcp ");
        assert!(said.starts_with(&begin) && said.contains(written), "{said}");
    }
}

#[test]
fn the_save_file_tells_what_is_not_known() {
    let import = import(&listed(""));
    let save = import.save(Family::V4).unwrap();
    assert!(
        save.starts_with(
            "# Made by nflab import from t (a listing, iptables -L)\n# Not known:\n#   t:1: the table: filter"
        ),
        "{save}"
    );
}

#[test]
fn runs_of_lines() {
    assert_eq!(ranges(&[1, 2, 3, 5, 9, 10]), "1-3, 5, 9-10");
}
