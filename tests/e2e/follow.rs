//! `nflab trace --follow`: the packets that pass a live lab, as they pass.

use std::process::Stdio;

use crate::lab::{ROUTER, Scratch, wait_until};

#[test]
fn who_follows_is_told_of_what_fits() {
    let Some(scratch) = Scratch::new("follow", &["ping"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    lab.tool(&[
        "iptables",
        "-A",
        "FORWARD",
        "-i",
        "wan",
        "-p",
        "icmp",
        "--icmp-type",
        "echo-request",
        "-j",
        "DROP",
    ])
    .good();
    let told = lab.scratch.path("told");
    let mut follow = lab.scratch.command(env!("CARGO_BIN_EXE_nflab"));
    follow
        .args(["trace", "--follow", "icmp in wan drop", "--count", "2"])
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&told).unwrap());
    let mut follow = crate::lab::Process::of(follow.spawn().unwrap());
    let read = || std::fs::read_to_string(&told).unwrap();
    // It may not follow yet when the first packets pass, and hears of later ones.
    wait_until("two packets are told of", || {
        lab.exec("inside", &["ping", "-n", "-c", "1", "-W", "1", "192.0.2.9"])
            .good();
        lab.exec("outside", &["ping", "-n", "-c", "1", "-W", "1", "10.0.0.2"]);
        read().matches("dropped: ").count() == 2
    });
    assert!(follow.ended().success());
    let text = read();
    for expected in [
        "in by wan: icmp 192.0.2.9 > 10.0.0.2 echo-request",
        "rule 1 of FORWARD: -i wan -p icmp -m icmp --icmp-type 8 -j DROP",
        "yes: DROP",
        "dropped: by rule 1 of filter FORWARD",
    ] {
        assert_eq!(text.matches(expected).count(), 2, "{expected:?} in\n{text}");
    }
    assert!(!text.contains("in by lan"), "what does not fit is not told:\n{text}");
    // What cannot be understood is refused before anything is asked of the lab.
    let refused = lab.tool(&["trace", "--follow", "icmp in wan drip"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("did you mean `drop`?"), "{}", refused.err);
}
