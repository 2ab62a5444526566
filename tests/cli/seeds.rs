//! `tests/seeds`: what the documents that nflab was made after say, each statement as a script. `NAME.nflab` holds under `nflab run`, in the lab
//! `NAME.toml` where there is one; where a `NAME.txt` stands beside it, that is what it prints when it is typed into the REPL.
//! `NFLAB_BLESS=1` writes those anew: read the difference.

use std::fs;
use std::path::Path;

use crate::bench::Bench;

#[test]
fn every_statement_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/seeds");
    let mut scripts: Vec<_> = fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scripts.retain(|path| path.extension().is_some_and(|ending| ending == "nflab"));
    scripts.sort();
    assert!(scripts.len() > 10, "{scripts:?}");
    let bench = Bench::new();
    let mut wrong = String::new();
    for script in scripts {
        let lab = script.with_extension("toml");
        let lab: Vec<&str> = match lab.is_file() {
            true => vec!["--lab", lab.to_str().unwrap()],
            false => vec!["--seed", "1"],
        };
        let printed = script.with_extension("txt");
        if !printed.is_file() {
            let ran = bench.nflab(&[&["run", script.to_str().unwrap()][..], &lab[..]].concat());
            if ran.code != 0 {
                wrong += &ran.err;
            }
            continue;
        }
        // It shows what goes wrong too, so its exit code is not held.
        let typed = fs::read_to_string(&script).unwrap();
        let ran = bench.nflab_with(&typed, &[&["repl"][..], &lab[..]].concat());
        let said = said_in_order(&ran.out, &ran.err);
        if std::env::var_os("NFLAB_BLESS").is_some() {
            fs::write(&printed, &said).unwrap();
        } else if said != fs::read_to_string(&printed).unwrap() {
            wrong += &format!("{} prints something else:\n{said}", script.display());
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The two streams, one after the other.
fn said_in_order(out: &str, err: &str) -> String {
    format!("{out}--- on standard error ---\n{err}")
}

/// `--profile` outranks the lab's file wherever a lab is made.
#[test]
fn every_command_that_makes_a_lab_takes_a_profile() {
    const LAB: &str = "profile = \"linux6\"\n[interface.lan]\naddress = [\"10.0.0.1/24\"]\n[interface.wan]\naddress = [\"192.0.2.1/24\"]\n";
    const ASK: &str = "sysctl -n nflab.profile\nexpect output classic\n";
    let bench = Bench::new();
    bench.write("lab.toml", LAB);
    bench.write("ask.nflab", ASK);
    bench.write("ask.test.nflab", &format!("lab lab.toml\ntest \"asks\"\n{ASK}end\n"));
    // A ping that was answered is gone there.
    bench.write(
        "ping.v4",
        "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n",
    );
    let ping = [
        "lan icmp 10.0.0.2 > 192.0.2.9 echo-request id 7",
        "wan icmp 192.0.2.9 > 10.0.0.2 echo-reply id 7",
        "wan icmp 192.0.2.9 > 10.0.0.2 echo-reply id 7",
    ];
    for (args, input) in [
        (&["run", "--lab", "lab.toml", "ask.nflab"][..], ""),
        (&["repl", "--lab", "lab.toml"], ASK),
        (&["test", "ask.test.nflab"], ""),
        (
            &[
                "sh",
                "--lab",
                "lab.toml",
                "--",
                "sh",
                "-c",
                "test $(sysctl -n nflab.profile) = classic",
            ],
            "",
        ),
    ] {
        let (first, rest) = args.split_first().unwrap();
        let asked = [&[*first, "--profile", "classic"][..], rest].concat();
        let ran = bench.nflab_with(input, &asked);
        assert_eq!(ran.code, 0, "{asked:?}: {}{}", ran.out, ran.err);
        assert_ne!(bench.nflab_with(input, args).code, 0, "{args:?}");
    }
    let traced = |profile: &str| {
        let args = [
            &[
                "trace",
                "--lab",
                "lab.toml",
                "--rules",
                "ping.v4",
                "--short",
                "--profile",
                profile,
            ][..],
            &ping,
        ]
        .concat();
        let ran = bench.nflab(&args);
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out.contains("dropped")
    };
    assert_eq!((traced("classic"), traced("linux6")), (true, false));
    let misspelt = bench.nflab(&["repl", "--profile", "clasic"]);
    assert_eq!(misspelt.code, 2);
    assert!(misspelt.err.contains("classic"), "{}", misspelt.err);
}

/// `cat` and `echo >` of a shell reach the names of old, and today's follow.
#[test]
fn files_of_old_are_there_for_a_shell() {
    let bench = Bench::new();
    let script = "cd /proc/sys/net/ipv4; cat ip_conntrack_max; echo 4096 > ip_conntrack_max; sysctl -n net.netfilter.nf_conntrack_max; \
                  echo 7 > netfilter/ip_ct_icmp_timeout; sysctl -n net.netfilter.nf_conntrack_icmp_timeout; \
                  cat /proc/sys/net/netfilter/nf_conntrack_icmp_timeout netfilter/ip_conntrack_icmp_timeout; \
                  echo 9 > /proc/sys/net/netfilter/nf_conntrack_icmp_timeout; sysctl -n net.ipv4.netfilter.ip_ct_icmp_timeout; \
                  cat netfilter/ip_ct_icmp_timeout ip_forward conf/all/rp_filter; \
                  modprobe ip_conntrack hashsize=4096; cat ip_conntrack_max; cat /proc/net/ip_conntrack; \
                  for name in ip_conntrack_mx netfilter/ip_ct_none tcp_none; do (echo 1 > $name) 2> /dev/null && echo made $name; done; \
                  rm -f ip_conntrack_max ip_forward 2> /dev/null; echo 4097 > ip_conntrack_max; sysctl -n net.netfilter.nf_conntrack_max";
    let ran = bench.nflab(&["sh", "--profile", "classic", "--", "sh", "-c", script]);
    if ran.err.contains("not contained here") || ran.err.contains("cannot be contained here") {
        assert!(std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(), "{}", ran.err);
        eprintln!(
            "NOT RUN: nothing can be contained here, so files of old are not there: {}",
            ran.err
        );
        return;
    }
    assert_eq!(
        (ran.out.as_str(), ran.err.as_str()),
        ("65536\n4096\n7\n7\n7\n9\n9\n1\n0\n32768\n4097\n", "")
    );
    let today = bench.nflab(&["sh", "--", "sh", "-c", "cat /proc/sys/net/ipv4/ip_conntrack_max"]);
    assert_eq!(today.code, 1);
}
