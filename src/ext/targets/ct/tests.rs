//! Where it may stand, what it needs, and what it makes of a packet.

use super::*;
use crate::base::protocol;
use crate::ext::testing::{ANY, Bench, P, TCP, UDP, read_target, target_places, udp};
use crate::rule::Hook;

#[test]
fn places() {
    let protocol = "xt_CT: You must specify a L4 protocol and not use inversions on it";
    let no_helper = "xt_CT: No such helper \"123456789012345\"";
    for (p, typed, said) in [
        (TCP, "--helper ftp", ""),
        (ANY, "", ""),
        (ANY, "--helper ftp", protocol),
        (P(protocol::TCP, true), "--helper ftp", protocol),
        (UDP, "--helper ftp", "xt_CT: No such helper \"ftp\""),
        (TCP, "--helper 1234567890123456", no_helper),
    ] {
        target_places(&SPEC, p, typed, &[(Table::Raw, &[Hook::Output], said)]);
    }
    let table = "x_tables: ip_tables: CT target: only valid in raw table, not filter";
    target_places(&SPEC, TCP, "", &[(Table::Filter, &[Hook::Input], table)]);
}

#[test]
fn tracking_starts_with_ct_but_not_with_notrack() {
    assert!(read_target(&SPEC, TCP, "").unwrap().needs_conntrack());
    assert!(!read_target(&SPEC, TCP, "--notrack").unwrap().needs_conntrack());
}

#[test]
fn the_first_rule_decides() {
    let mut bench = Bench::new();
    let ftp = read_target(&SPEC, TCP, "--helper ftp").unwrap();
    let notrack = read_target(&SPEC, TCP, "--notrack").unwrap();
    assert_eq!(bench.apply(ftp.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Continue);
    bench.apply(notrack.as_ref(), &mut udp(1, 2, &[]));
    assert_eq!(bench.tracking.state, None);
    let helper = bench.tracking.template.as_ref().and_then(|it| it.helper.clone());
    assert_eq!(helper.as_deref(), Some("ftp"));
    let mut bench = Bench::new();
    bench.apply(notrack.as_ref(), &mut udp(1, 2, &[]));
    bench.apply(ftp.as_ref(), &mut udp(1, 2, &[]));
    assert_eq!(bench.tracking.state, Some(CtState::Untracked));
    assert!(bench.tracking.template.is_none());
}

#[test]
fn an_empty_helper_is_none() {
    let none = read_target(&SPEC, TCP, "").unwrap();
    assert!(read_target(&SPEC, TCP, "--helper \"\"").unwrap().equals(none.as_ref()));
}
