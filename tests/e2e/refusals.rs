//! What is refused: each with a clear message and the documented exit code, and what runs goes on as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::lab::{ROUTER, Ran, Scratch, run};

#[test]
fn what_is_refused_leaves_a_running_lab_as_it_was() {
    let Some(scratch) = Scratch::new("refuse", &["ping"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    lab.restore(RULES).good();
    let ping = ["ping", "-n", "-c", "1", "-W", "2", "192.0.2.9"];
    lab.exec("inside", &ping).good();
    let name = lab.scratch.name.clone();
    let state = |of: &str| fs::read(format!("/run/nflab/{name}/{of}")).unwrap();
    let (saved, written) = (lab.saved(), state("state.json"));
    assert!(saved.contains("[1:84] -A FORWARD -i lan -p icmp"), "{saved}");

    let file = format!("{name}.toml");
    let second = lab.scratch.nflab(&["up", &file]);
    let message = format!(
        "nflab: lab {name:?} runs already (process {}), and was left as it is: `nflab down {name}` ends it\n",
        lab.id()
    );
    assert_eq!((second.code, second.err, second.out), (3, message, String::new()));

    for (bad, at, message) in [
        (ROUTER.replace("10.0.0.1/24", "10.0.0.1/64"), "2:12", "10.0.0.1/64"),
        (ROUTER.replace("\"lan\"", "\"lam\""), "6:13", "lam"),
        (ROUTER.replace("[host.inside]", "[host.inside"), "5:13", ""),
        (ROUTER.replace("address = \"192", "adress = \"192"), "10:1", "adress"),
    ] {
        lab.scratch.write("bad.toml", &bad);
        let ran = lab.scratch.nflab(&["up", "--name", &name, "bad.toml"]);
        assert_eq!(ran.code, 2, "{bad}\n{}", ran.err);
        assert!(
            ran.err.contains(&format!("--> bad.toml:{at}"))
                && ran.err.contains(message)
                && ran.err.starts_with("error: "),
            "expected {at} {message} in\n{}",
            ran.err
        );
    }

    let wrong = lab.tool(&["iptables", "-A", "FORWARD", "-p", "tcp", "--dprt", "80", "-j", "DROP"]);
    assert_eq!(wrong.code, 2, "{}", wrong.err);
    assert!(wrong.err.contains("unknown option \"--dprt\""), "{}", wrong.err);
    let wrong = lab.restore("*filter\n-F\n-A FORWARD -j DROP\n-A FORWARD -j NOWHERE\nCOMMIT\n");
    assert_ne!(wrong.code, 0);
    assert!(
        wrong.err.contains("line 4") || wrong.err.contains("line: 4"),
        "{}",
        wrong.err
    );

    assert_eq!(lab.saved(), saved, "rules and counters");
    assert_eq!(state("state.json"), written);
    lab.exec("inside", &ping).good();
    assert!(
        lab.saved().contains("[2:168] -A FORWARD -i lan -p icmp"),
        "{}",
        lab.saved()
    );
}

#[test]
fn a_closed_tun_is_refused_with_a_remedy() {
    let Some(scratch) = Scratch::new("closed", &["setpriv", "unshare", "mount"]) else {
        return;
    };
    // What the user must reach although this is built in a place of its own; and a file that only root may open in the place of the device,
    // for this one process, since the device may be open to all.
    let binary = scratch.path("nflab");
    fs::copy(env!("CARGO_BIN_EXE_nflab"), &binary).unwrap();
    fs::set_permissions(scratch.write("closed", ""), fs::Permissions::from_mode(0o600)).unwrap();
    fs::create_dir(scratch.path("run")).unwrap();
    fs::set_permissions(scratch.path("run"), fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(scratch.path("run"), Some(65_534), Some(65_534)).unwrap();
    scratch.write("lab.toml", ROUTER);
    let ran = instead_of_the_device(
        &scratch,
        "mount --bind closed /dev/net/tun && exec setpriv --reuid=65534 --regid=65534 --clear-groups ./nflab up lab.toml",
    );
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert_eq!(ran.out, "");
    assert!(ran.err.starts_with("nflab: "), "{}", ran.err);
    for word in ["/dev/net/tun", "ermission", "root"] {
        assert!(ran.err.contains(word), "expected {word} in {}", ran.err);
    }
    assert_eq!(
        fs::read_dir(scratch.path("run")).unwrap().count(),
        0,
        "no state is left"
    );
}

#[test]
fn a_missing_tun_is_refused_with_a_remedy() {
    let Some(scratch) = Scratch::new("no-tun", &["unshare", "mount"]) else {
        return;
    };
    fs::copy(env!("CARGO_BIN_EXE_nflab"), scratch.path("nflab")).unwrap();
    scratch.write(&format!("{}.toml", scratch.name), ROUTER);
    let up = format!("mount -t tmpfs none /dev/net && exec ./nflab up {}.toml", scratch.name);
    let ran = instead_of_the_device(&scratch, &up);
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert!(
        ran.err.contains("/dev/net/tun") && ran.err.contains("modprobe tun"),
        "{}",
        ran.err
    );
    assert!(!fs::exists(format!("/run/nflab/{}", scratch.name)).unwrap());
    assert!(!fs::exists(format!("/run/netns/{}-inside", scratch.name)).unwrap());
}

/// Runs a script with mounts of its own.
fn instead_of_the_device(scratch: &Scratch, script: &str) -> Ran {
    let mut command = scratch.command("unshare");
    command
        .args(["--mount", "sh", "-c", script])
        .env("XDG_RUNTIME_DIR", scratch.path("run"));
    run(command, "")
}

const RULES: &str = "*filter
:FORWARD DROP [0:0]
-A FORWARD -i lan -p icmp -j ACCEPT
-A FORWARD -m state --state ESTABLISHED -j ACCEPT
COMMIT
";
