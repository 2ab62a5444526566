//! `nflab helper`: what a helper understands of FTP sessions that crossed a masquerading router.

use crate::bench::Bench;

const CAPTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/captures/ftp-masquerade/router.pcap.gz"
);

#[test]
fn ftp_is_told_message_by_message() {
    let ran = Bench::new().nflab(&["helper", "ip_conntrack_ftp", CAPTURE]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    for said in [
        "\\r\\n\": a flow tcp 192.0.2.9 > 10.0.0.2:",
        "  behind 203.0.113.1: read \"PORT 10,0,0,2,",
        "; wrote \"PORT 203,0,113,1,",
        "; wrote \"EPRT |1|203.0.113.1|",
        "): nothing that opens a flow",
        "\n  opens what packet ",
        " that ftp has to do with\n",
    ] {
        assert!(ran.out.contains(said), "{said}: {}", ran.out);
    }
    let verbose = Bench::new().nflab(&["helper", "ftp", "-v", CAPTURE]);
    assert!(verbose.out.contains("no data to read") && !ran.out.contains("no data to read"));
}

#[test]
fn what_there_is_not_is_refused_with_what_there_is() {
    let bench = Bench::new();
    for (arguments, said) in [
        (
            &["helper", "fpt", CAPTURE][..],
            "there is no helper \"fpt\": there are ftp, ",
        ),
        (
            &["helper", "ftp", "-p", "speed=9", CAPTURE],
            "has no parameter \"speed=9\": it has ports, loose",
        ),
        (
            &["helper", "ftp", "-p", "ports=x", CAPTURE],
            "`x' invalid for parameter `ports'",
        ),
        (
            &["helper", "ftp", "--behind", "2001:db8::1", "--behind", "::2", CAPTURE],
            "--behind names two addresses of IPv6: expected one",
        ),
        (
            &["helper", "ftp", "nowhere.pcap"],
            "cannot read the capture nowhere.pcap: ",
        ),
    ] {
        let ran = bench.nflab(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ran.err.contains(said), "{said}: {}", ran.err);
    }
    for (arguments, said) in [
        (&["tftp"][..], "it reads flows to port 69; -p ports=PORT says another\n"),
        (
            &["tftp", "-p", "ports=6969,7070"],
            "it reads flows to port 6969, 7070; -p ports=PORT says another\n",
        ),
        (&["amanda"], "it reads flows to port 10080\n"),
    ] {
        let other = bench.nflab(&[&["helper"], arguments, &[CAPTURE]].concat());
        let said = format!("0 that {} has to do with\n{said}", arguments[0]);
        assert!(other.out.contains(&said), "{said}: {}", other.out);
    }
}
