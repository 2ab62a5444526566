//! The examples of the library run, and print what they are there to show.

#[allow(dead_code, reason = "its main prints what is looked at here")]
#[path = "../examples/check_a_ruleset.rs"]
mod check_a_ruleset;
#[allow(dead_code, reason = "its main prints what is looked at here")]
#[path = "../examples/embed_router.rs"]
mod embed_router;
#[allow(dead_code, reason = "its main prints what is looked at here")]
#[path = "../examples/replay_a_capture.rs"]
mod replay_a_capture;
#[allow(dead_code, reason = "its main prints what is looked at here")]
#[path = "../examples/write_an_extension.rs"]
mod write_an_extension;

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let at = rest
            .find(part)
            .unwrap_or_else(|| panic!("{part:?} is not in, or not behind the others in\n{text}"));
        rest = &rest[at + part.len()..];
    }
}

#[test]
fn a_router_is_embedded() {
    let said = embed_router::tell().unwrap();
    println!("{said}");
    has(
        &said,
        &[
            "tcp to port 443: ACCEPT, said filter FORWARD rule 2\n",
            "192.0.2.1:40000 > 198.51.100.7:443",
            "    40 bytes leave by wan\n",
            "tcp to port 22: DROP, said filter FORWARD its policy\n",
            "--dport 443: packet has 22",
            "flows: 1\n",
        ],
    );
}

#[test]
fn an_extension_is_written() {
    write_an_extension::bring().unwrap();
    let twice = write_an_extension::bring().unwrap_err();
    assert_eq!(
        twice.to_string(),
        "there is a match weekday already; choose another name"
    );
    let said = write_an_extension::tell().unwrap();
    println!("{said}");
    has(
        &said,
        &[
            "COUNTRY",
            "on !Sat,Sun mark match 0x31",
            "! --days Sat,Sun: packet comes on a Sun",
            "ACCEPT",
        ],
    );
    // It is imported from a listing, too.
    let text = "Chain INPUT (policy ACCEPT)\ntarget     prot opt source               destination\n\
                COUNTRY    0    --  0.0.0.0/0            0.0.0.0/0            on !Sat,Sun\n";
    let source = nflab::syntax::problem::Source {
        name: "text".to_owned(),
        text: text.to_owned(),
    };
    let options = nflab::import::Options {
        table: Some(nflab::rule::Table::Filter),
        family: None,
        hosts: nflab::text::StaticHosts::none(),
    };
    let import = nflab::import::read(&[nflab::import::Input { source, kind: None }], &options);
    has(
        import.save(nflab::base::Family::V4).unwrap(),
        &["-A INPUT -m weekday ! --days Sat,Sun -j COUNTRY\n"],
    );
}

#[test]
fn a_ruleset_is_checked() {
    let failures = check_a_ruleset::failures(check_a_ruleset::RULES, check_a_ruleset::SCRIPT).unwrap();
    assert_eq!(failures, Vec::<String>::new());
    let said = check_a_ruleset::tell().unwrap();
    println!("{said}");
    has(
        &said,
        &[
            "the ruleset as it is:\n    every expectation is met\n",
            "the ruleset without 443:\n    line 3: ",
            "2 of   3 rules reached   66 %",
            "-A INPUT -i lan -p icmp -j ACCEPT",
            "answer the wan: []\n",
        ],
    );
    let open = check_a_ruleset::RULES.replace("COMMIT", "-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT");
    assert_eq!(check_a_ruleset::open_ports(&open, "wan", 20..=25).unwrap(), [22]);
}

#[test]
fn a_capture_is_replayed() {
    let said = replay_a_capture::tell().unwrap();
    println!("{said}");
    has(
        &said,
        &[
            "179 packets",
            "verdicts  ACCEPT 175, DROP 2, REJECT 2\n",
            "25 of 179 packets, of 3 flows, are treated differently\n",
            "it opens a flow that helper ftp announced\n",
        ],
    );
}
