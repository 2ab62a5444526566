//! `nflab import`: files in, a save file out, what is not known on standard error.

use crate::bench::Bench;

const LISTING: &str = "\
# iptables -t filter -L -n -v -x
Chain INPUT (policy DROP 3 packets, 120 bytes)
    pkts      bytes target     prot opt in     out     source               destination         
      10      840 ACCEPT     all  --  lo     *       0.0.0.0/0            0.0.0.0/0           
       2      120 ACCEPT     tcp  --  *      *       10.0.0.0/8           0.0.0.0/0            tcp dpt:22 state NEW

Chain FORWARD (policy ACCEPT 0 packets, 0 bytes)
    pkts      bytes target     prot opt in     out     source               destination         

Chain OUTPUT (policy ACCEPT 0 packets, 0 bytes)
    pkts      bytes target     prot opt in     out     source               destination         
";

#[test]
fn a_listing_becomes_a_save_file_that_can_be_restored() {
    let bench = Bench::new();
    bench.write("listing", LISTING);
    let ran = bench.nflab(&["import", "listing", "--out", "rules.v4", "--strict"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    assert_eq!(ran.err, "listing: a listing, iptables -L: filter (3 chains, 2 rules)\n");
    assert_eq!(
        bench.read("rules.v4"),
        "# Made by nflab import from listing (a listing, iptables -L)\n*filter\n:INPUT DROP [3:120]\n:FORWARD ACCEPT [0:0]\n\
         :OUTPUT ACCEPT [0:0]\n[10:840] -A INPUT -i lo -j ACCEPT\n\
         [2:120] -A INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -m state --state NEW -j ACCEPT\nCOMMIT\n"
    );
    let again = bench.nflab(&[
        "sh",
        "--",
        "sh",
        "-c",
        "iptables-restore -c rules.v4 && iptables -L -n -v -x",
    ]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert!(again.out.contains("tcp dpt:22 state NEW\n"), "{}", again.out);
}

#[test]
fn exit_codes() {
    let bench = Bench::new();
    bench.write(
        "part",
        "Chain INPUT (policy ACCEPT)\ntarget     prot opt source               destination\n",
    );
    bench.write(
        "cut",
        &LISTING.replace("tcp dpt:22 state NEW", "tcp dpt:22 recent: SET"),
    );
    bench.write("old", "was there");
    let ran = bench.nflab(&["import", "part"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("part:1: not known: the table:"), "{}", ran.err);
    let ran = bench.nflab(&["import", "part", "--strict", "--out", "old"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""));
    assert!(
        ran.err
            .ends_with("nflab: 2 things not known, and --strict asks for all; nothing was written\n"),
        "{}",
        ran.err
    );
    let ran = bench.nflab(&["import", "cut", "--out", "old"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(
        ran.err
            .contains("cut:5: cannot be read: `recent: SET`: expected what a match or the target prints"),
        "{}",
        ran.err
    );
    assert_eq!(bench.read("old"), "was there");
    for (arguments, said) in [
        (
            &["import", "nowhere"][..],
            "nflab: cannot read nowhere: No such file or directory\n",
        ),
        (&["import", "old"], "old:1: cannot be read: expected a listing"),
        (
            &["import", "part", "--from", "save"],
            "part:1: cannot be read: `Chain INPUT (policy ACCEPT)`: expected a line *TABLE above it",
        ),
        (
            &["import", "part", "--out", "no/such/place"],
            "nflab: cannot write no/such/place",
        ),
        (&["import"], "required arguments"),
    ] {
        let ran = bench.nflab(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
}

const SCRIPT: &str = "\
#!/bin/sh
IPTABLES=/sbin/iptables
/sbin/modprobe ip_conntrack_ftp
echo 1 > /proc/sys/net/ipv4/ip_forward
$IPTABLES -X nothere 2>/dev/null
PORTS=`echo 22 80 | awk '{print $2}' 2>/dev/null`
case \"$1\" in
start)
    for port in 22 80; do
        $IPTABLES -A INPUT -i eth0 -p tcp --dport $port -j ACCEPT
    done
    /usr/sbin/iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE ;;
broken)
    iptables -A INPUT -m cluster --cluster-total-nodes 2 ;;
esac
iptables-save > /etc/nflab-import-test-must-not-be-there
echo done
";

#[test]
fn a_script_is_run_where_it_can_do_no_harm() {
    let bench = Bench::new();
    bench.write("fw.sh", SCRIPT);
    let ran = bench.nflab(&["import", "fw.sh", "--argument", "start", "-v"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(
        ran.out.lines().filter(|line| line.contains("-A ")).collect::<Vec<_>>(),
        [
            "[0:0] -A POSTROUTING -o eth0 -j MASQUERADE",
            "[0:0] -A INPUT -i eth0 -p tcp -m tcp --dport 22 -j ACCEPT",
            "[0:0] -A INPUT -i eth0 -p tcp -m tcp --dport 80 -j ACCEPT",
        ]
    );
    for said in [
        "fw.sh | done\n",
        "fw.sh: a script, which was run: ",
        "fw.sh:2: /sbin/iptables: the lab's\n",
        "fw.sh:6: not known: what awk would have said: it is no tool of nflab and was not found. --allow awk lets the script call it\n",
        "fw.sh: `iptables -X nothere` failed: iptables: No chain/target/match by that name.\n",
        "fw.sh: net.ipv4.ip_forward = 1 was set: a lab file keeps it, a save file does not\n",
    ] {
        assert!(ran.err.contains(said), "{said:?} is not in\n{}", ran.err);
    }
    assert!(!std::path::Path::new("/etc/nflab-import-test-must-not-be-there").exists());
    assert!(
        ran.out
            .contains("\n#   fw.sh:6: what awk would have said: it is no tool of nflab"),
        "who is given the save file alone knows too: {}",
        ran.out
    );
    let allowed = bench.nflab(&["import", "fw.sh", "--argument", "start", "--allow", "awk"]);
    assert!(!allowed.err.contains("awk"), "{}", allowed.err);
    assert_eq!(
        bench
            .nflab(&["import", "fw.sh", "--argument", "start", "--strict"])
            .code,
        1
    );
}

/// What a call lacked is said with what to do about it, where the real tool gives no reason, too.
#[test]
fn calls_that_cannot_be_answered_say_why() {
    let bench = Bench::new();
    for (script, said) in [
        (
            "iptables -A INPUT -j ACCEPT\nip addr show\n",
            "fw.sh:3: not known: what ip would have said: scripts under import have none. What a lab has of interfaces and addresses is in its file \
             (--lab LAB.toml); --allow ip lets the script call the machine's\n",
        ),
        (
            "iptables -6 -A INPUT -j ACCEPT\n",
            "`iptables -6 -A INPUT -j ACCEPT` failed: -6 refused; that is ip6tables\n",
        ),
        (
            "iptables --ipv6 -A INPUT -j ACCEPT\n",
            "`iptables --ipv6 -A INPUT -j ACCEPT` failed: --ipv6 refused; that is ip6tables\n",
        ),
        (
            "ip6tables -4 -A INPUT -j ACCEPT\n",
            "`ip6tables -4 -A INPUT -j ACCEPT` failed: -4 refused; that is iptables\n",
        ),
    ] {
        bench.write("fw.sh", &format!("#!/bin/sh\n{script}"));
        let ran = bench.nflab(&["import", "fw.sh"]);
        assert!(ran.err.contains(said), "{said:?} is not in\n{}", ran.err);
    }
}

/// What is there and cannot be run is no program that is missing, and a shell that is missing no script that called nothing.
#[test]
fn what_cannot_be_run_is_said() {
    let bench = Bench::new();
    for (script, said) in [
        (
            "#!/bin/sh\niptables -A INPUT -j DROP\necho : > helper; ./helper\n",
            "fw.sh: not known: what the script would have done, had it not ended with 126: what it called last is there and is no program that may be run",
        ),
        (
            "#!/bin/nosuchshell\niptables -A INPUT -j DROP\n",
            "fw.sh: cannot be read: nothing of the script was done: its first line names",
        ),
    ] {
        bench.write("fw.sh", script);
        let ran = bench.nflab(&["import", "fw.sh"]);
        assert!(ran.err.contains(said), "{said:?} is not in\n{}", ran.err);
    }
}

/// Ufw's rules of IPv6 hold nothing that IPv4's could not.
#[test]
fn rules_that_are_called_as_ipv6_are() {
    let bench = Bench::new();
    let rules = "*filter\n:ufw6-user-input - [0:0]\n-A ufw6-user-input -p tcp --dport 22 -j ACCEPT\nCOMMIT\n";
    bench.write("user6.rules", rules);
    let guessed = "user6.rules:1: not known: the family: nothing in the rules tells it; taken for IPv6, as its chain `ufw6-user-input` is called. --ipv4 says otherwise\n";
    for (option, code, of_ipv6, notes) in [
        (None, 0, true, guessed),
        (Some("--strict"), 1, true, guessed),
        (Some("--ipv6"), 0, true, ""),
        (Some("-6"), 0, true, ""),
        (Some("--ipv4"), 0, false, ""),
        (Some("-4"), 0, false, ""),
    ] {
        let args = ["import", "user6.rules"].into_iter().chain(option);
        let ran = bench.nflab(&args.collect::<Vec<_>>());
        assert_eq!(
            (ran.code, ran.err.contains("rules of IPv6")),
            (code, of_ipv6),
            "{option:?}: {}",
            ran.err
        );
        assert!(ran.err.contains(notes), "{option:?}: {}", ran.err);
        assert_eq!(
            ran.err.contains("the family"),
            !notes.is_empty(),
            "{option:?}: {}",
            ran.err
        );
    }
    let ran = bench.nflab(&["import", "-4", "-6", "user6.rules"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
}

/// A firewall of both families is one script, and two save files.
#[test]
fn a_script_of_both_families() {
    let bench = Bench::new();
    bench.write(
        "fw.sh",
        "#!/bin/sh\nfor ipt in /sbin/iptables /sbin/ip6tables; do\n$ipt -P INPUT DROP\n$ipt -A INPUT -m state --state ESTABLISHED -j ACCEPT\ndone\n\
         echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\nip6tables -X nothere\nip6tables -A INPUT -p ipv6-icmp -j ACCEPT\niptables -A INPUT -p icmp -j ACCEPT\n",
    );
    let both = [
        "import", "fw.sh", "--out", "rules.v4", "--out6", "rules.v6", "--strict", "-v",
    ];
    let ran = bench.nflab(&both);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{}", ran.err);
    for said in [
        "fw.sh: a script, which was run, rules of IPv4: filter (3 chains, 2 rules)\n",
        "fw.sh: a script, which was run, rules of IPv6: filter (3 chains, 2 rules)\n",
        "fw.sh:2: /sbin/ip6tables: the lab's\n",
        "fw.sh: `ip6tables -X nothere` failed: ip6tables: No chain/target/match by that name.\n",
        "fw.sh: net.ipv6.conf.all.forwarding = 1 was set: a lab file keeps it, a save file does not\n",
    ] {
        assert!(ran.err.contains(said), "{said:?} is not in\n{}", ran.err);
    }
    let four = bench.read("rules.v4");
    let six = bench.read("rules.v6");
    let rules = |save: &str| {
        save.lines()
            .filter(|it| it.contains("-A "))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let state = "[0:0] -A INPUT -m state --state ESTABLISHED -j ACCEPT";
    assert_eq!(rules(&four), [state, "[0:0] -A INPUT -p icmp -j ACCEPT"]);
    assert_eq!(rules(&six), [state, "[0:0] -A INPUT -p ipv6-icmp -j ACCEPT"]);
    let again = bench.nflab(&[
        "sh",
        "--save",
        "a",
        "--save6",
        "b",
        "--",
        "sh",
        "-c",
        "iptables-restore rules.v4 && ip6tables-restore rules.v6",
    ]);
    assert_eq!(again.code, 0, "{}", again.err);
    assert_eq!(rules(&bench.read("a")), rules(&four));
    assert_eq!(rules(&bench.read("b")), rules(&six));
    // Without a place for IPv6's.
    let ran = bench.nflab(&["import", "fw.sh"]);
    assert_eq!((ran.code, rules(&ran.out)), (0, rules(&four)), "{}", ran.err);
    let said = "nflab: the rules of IPv6 were not written: --out6 FILE takes them\n";
    assert!(ran.err.ends_with(said), "{}", ran.err);
    let ran = bench.nflab(&["import", "fw.sh", "--strict"]);
    assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
    assert!(
        ran.err
            .ends_with(&format!("{said}nflab: --strict asks for all; nothing was written\n")),
        "{}",
        ran.err
    );
}

/// One family's rules go where the save file goes, or where its own does.
#[test]
fn where_the_save_file_of_one_family_goes() {
    let bench = Bench::new();
    bench.write(
        "six",
        "# Generated by ip6tables-save v1.8.9\n*filter\n-A INPUT -s ::1/128 -j DROP\nCOMMIT\n",
    );
    bench.write("either", "*filter\n-A INPUT -i lo -j DROP\nCOMMIT\n");
    let (six, either) = ("-A INPUT -s ::1/128 -j DROP\n", "-A INPUT -i lo -j DROP\n");
    for (arguments, out, x, y, said) in [
        (&["six"][..], six, "", "", ""),
        (&["six", "--out", "x"], "", six, "", ""),
        (&["six", "--out6", "y"], "", "", six, ""),
        (
            &["six", "--out", "x", "--out6", "y"],
            "",
            "",
            six,
            "there are no rules of IPv4: x was not written",
        ),
        (
            &["either", "--out", "x", "--out6", "y"],
            "",
            either,
            "",
            "there are no rules of IPv6: y was not written",
        ),
        (
            &["either", "--out", "x", "--out6", "y", "--ipv6"],
            "",
            "",
            either,
            "there are no rules of IPv4: x was not written",
        ),
        (&["either", "six", "--out6", "y"], either, "", six, ""),
        (
            &["either", "six", "-6"],
            "",
            "",
            "",
            "the table filter for the second time (first in either)",
        ),
    ] {
        bench.write("x", "");
        bench.write("y", "");
        let ran = bench.nflab(&[&["import"], arguments].concat());
        for (what, expected) in [(ran.out.clone(), out), (bench.read("x"), x), (bench.read("y"), y)] {
            let rules: String = what.split_inclusive('\n').filter(|it| it.contains("-A ")).collect();
            assert_eq!(rules, expected, "{arguments:?}: {}", ran.err);
        }
        assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    }
}

/// A loop in the background would go on for ever, and one that prints would fill the disk.
#[test]
fn a_script_that_does_not_end_is_ended_with_all_that_it_began() {
    let bench = Bench::new();
    // They have numbers of their own where they run, so it is by this name that they are looked for.
    let (left, loud) = (
        format!("left-{}.sh", std::process::id()),
        format!("loud-{}.sh", std::process::id()),
    );
    bench.write(
        &left,
        "#!/bin/bash\niptables -A INPUT -j DROP\n( echo begun; : > /tmp/begun; while :; do :; done ) &\nsetsid bash \"$0\" again &\n\
         until [ -e /tmp/begun ]; do :; done\nread line\n",
    );
    bench.write(
        &loud,
        "#!/bin/bash\niptables -A INPUT -j DROP\n( echo begun; : > /tmp/begun; while :; do :; done ) &\n\
         until [ -e /tmp/begun ]; do :; done\nwhile :; do printf '%.0s#' {1..9999}; done\n",
    );
    for (script, said) in [(&left, ""), (&loud, "8 MB of words: the script was ended then")] {
        let begun = std::time::Instant::now();
        let ran = bench.nflab(&[
            "import", script, "--allow", "setsid", "--allow", "bash", "--out", "rules",
        ]);
        assert_eq!(ran.code, 0, "{script}");
        assert!(begun.elapsed().as_secs() < 50, "{script}: {:?}", begun.elapsed());
        assert!(ran.err.contains(said), "{script}");
        assert!(ran.err.contains("| begun\n"), "{script}");
        assert_eq!(running(script), Vec::<String>::new());
    }
}

/// The processes that were called with such a word, but for ourselves. What was killed and waits for somebody to take note has no words any more.
fn running(word: &str) -> Vec<String> {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        .filter(|line| line.contains(word))
        .collect()
}

#[test]
fn a_script_whose_rules_are_not_taken_is_refused() {
    let bench = Bench::new();
    bench.write("fw.sh", SCRIPT);
    let ran = bench.nflab(&["import", "fw.sh", "--argument", "broken"]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(
        ran.err.contains("fw.sh: cannot be read: `iptables -A INPUT -m cluster --cluster-total-nodes 2` failed: iptables v1.8.9 (legacy): match cluster is not there yet in nflab 0.1"),
        "{}",
        ran.err
    );
    bench.write(
        "silent.sh",
        "#!/bin/bash\n[ \"$1\" = start ] || { echo usage; exit 1; }\niptables -F\n",
    );
    let ran = bench.nflab(&["import", "silent.sh"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err
            .contains("the script called no iptables; it may want a word (--argument start)"),
        "{}",
        ran.err
    );
    let left: Vec<_> = std::fs::read_dir(bench.path(""))
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert!(
        left.iter().all(|it| !it.to_string_lossy().starts_with("nflab-sh")),
        "{left:?}"
    );
}

/// What `docs/import.md` shows is what is printed.
#[test]
fn the_page_tells_the_truth() {
    let bench = Bench::new();
    let titles = "target     prot opt source               destination";
    let listing = format!(
        "Chain INPUT (policy DROP)\n{titles}\nACCEPT     all  --  anywhere             anywhere\n\
         ACCEPT     tcp  --  anywhere             anywhere             tcp dpt:ssh\n\
         DROP       tcp  --  anywhere             anywhere             tcp dpts:5000:5002\n\n\
         Chain FORWARD (policy ACCEPT)\n{titles}\n\nChain OUTPUT (policy ACCEPT)\n{titles}\n"
    );
    bench.write("listing.txt", &listing);
    bench.write("cut.txt", &listing.replace("tcp dpt:ssh", "recent: SET name: ssh"));
    bench.write(
        "fw.sh",
        "#!/bin/sh\nI=/sbin/iptables\necho 1 > /proc/sys/net/ipv4/ip_forward\nX=`awk 1 /dev/null`\n$I -A INPUT -i lo -j ACCEPT\n\
         $I -A INPUT -p tcp --dport 22 -j ACCEPT\n$I -t nat -A POSTROUTING -o eth0 -j MASQUERADE\n",
    );
    let page = include_str!("../../docs/import.md");
    let sessions: Vec<&str> = page.split("```\n$ nflab ").skip(1).collect();
    assert_eq!(sessions.len(), 3);
    for session in sessions {
        let (command, shown) = session.split_once('\n').unwrap();
        let shown = shown.split("```").next().unwrap();
        let arguments: Vec<&str> = command.split(" > ").next().unwrap().split(' ').collect();
        let ran = bench.nflab(&arguments);
        // A line that the page cuts ends in three dots.
        let mut said = ran.err.lines();
        for line in shown.lines() {
            let said = said.next().unwrap_or_default();
            match line.strip_suffix("...") {
                Some(start) => assert!(said.starts_with(start), "nflab {command}\n{}", ran.err),
                None => assert_eq!(said, line, "nflab {command}\n{}", ran.err),
            }
        }
        assert_eq!(said.next(), None, "nflab {command}\n{}", ran.err);
    }
}
