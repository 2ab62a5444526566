//! What `nflab up` is told besides the lab: rules to begin with, threads; and what it says where it stays.

use crate::machine::{Machine, NOBODY, ROOT, wait_until};

#[test]
fn rules_come_with_the_lab_or_there_is_none() {
    let Some(machine) = Machine::new("up: rules") else {
        return;
    };
    machine.write(
        "/tmp/good",
        "*filter\n:FORWARD DROP [3:4]\n[5:6] -A FORWARD -i lan -j ACCEPT\nCOMMIT\n",
    );
    machine.write(
        "/tmp/bad",
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -i lan -j NOWHERE\nCOMMIT\n",
    );
    machine.write(
        "/tmp/good6",
        "*filter\n:FORWARD DROP [1:2]\n[7:8] -A FORWARD -s 2001:db8::/64 -j ACCEPT\nCOMMIT\n",
    );
    for user in [ROOT, NOBODY] {
        for option in ["--rules", "--rules6"] {
            let refused = machine.run(user, &["nflab", "up", "--detach", option, "/tmp/bad", "/run/lab.toml"]);
            assert_eq!((refused.code, refused.out.as_str()), (2, ""), "{}", refused.err);
            assert!(
                refused.err.contains("nothing was brought up: /tmp/bad"),
                "{}",
                refused.err
            );
            assert!(
                refused.err.contains("line 3") || refused.err.contains("line: 3") || refused.err.contains(":3:"),
                "{}",
                refused.err
            );
        }
        // Rules of one family are none of the other's.
        let mixed = machine.run(user, &["nflab", "up", "--rules", "/tmp/good6", "/run/lab.toml"]);
        assert_eq!(mixed.code, 2, "{}", mixed.err);
        let twice = machine.run(user, &["nflab", "up", "--rules", "-", "--rules6", "-", "/run/lab.toml"]);
        assert_eq!(twice.code, 2, "{}", twice.err);
        assert!(
            twice.err.contains("standard input, which can be read once"),
            "{}",
            twice.err
        );
        let missing = machine.run(user, &["nflab", "up", "--rules", "/tmp/none", "/run/lab.toml"]);
        assert_eq!(missing.code, 2, "{}", missing.err);
        assert!(
            missing.err.contains("cannot read the rules /tmp/none: No such file"),
            "{}",
            missing.err
        );
        let workers = machine.run(user, &["nflab", "up", "--workers", "129", "/run/lab.toml"]);
        assert_eq!(workers.code, 2, "{}", workers.err);
        assert!(
            workers.err.contains("--workers 129: expected 1 to 128"),
            "{}",
            workers.err
        );
        machine.assert_nothing_left();
        let (mut up, said) = machine.start(
            user,
            &[
                "nflab",
                "up",
                "--workers",
                "2",
                "--rules",
                "/tmp/good",
                "--rules6",
                "/tmp/good6",
                "/run/lab.toml",
            ],
        );
        let said = || std::fs::read_to_string(&said).unwrap();
        wait_until("it says that it stays", said, |said| {
            said.contains("it stays here; Ctrl-C ends it, or `nflab down lab`")
        });
        // What is said is typed: a tool's bare name is the machine's own tool.
        let first = said();
        let typed: Vec<&str> = first.split('`').skip(1).step_by(2).collect();
        let is_ours = |typed: &&str| typed.starts_with("nflab ") || typed.starts_with("export NFLAB=lab");
        assert!(typed.len() > 4 && typed.iter().all(is_ours), "{first}");
        assert!(typed.contains(&"nflab exec client"), "{first}");
        let saved = machine.good(user, &["nflab", "iptables-save", "-c"]);
        assert!(
            saved.contains(":FORWARD DROP [3:4]\n") && saved.contains("[5:6] -A FORWARD -i lan -j ACCEPT\n"),
            "{saved}"
        );
        let saved = machine.good(user, &["nflab", "ip6tables-save", "-c"]);
        assert!(
            saved.contains(":FORWARD DROP [1:2]\n") && saved.contains("[7:8] -A FORWARD -s 2001:db8::/64 -j ACCEPT\n"),
            "{saved}"
        );
        machine.good(user, &["nflab", "down"]);
        wait_until("it has ended", || up.try_wait().unwrap().is_some(), |ended| *ended);
        assert!(said().ends_with("lab lab is down\n"), "{}", said());
        machine.assert_nothing_left();
    }
}
