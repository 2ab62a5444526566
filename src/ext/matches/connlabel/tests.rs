//! Labels that are there, that come, and that have no room; names.

use super::*;
use crate::conntrack::{Settings, Table as Flows, TrackContext, TrackStage, Tracking};
use crate::ext::LabelFile;
use crate::ext::testing::{ANY, Bench, match_packets, placed_behind, read_match, read_match_with, udp};
use crate::rule::{Hook, Table};

/// What opens a flow, with room for labels or without.
fn opened(has_room: bool) -> Tracking {
    let (flows, settings) = (Flows::new((1, 2)), Settings::default());
    flows.keep_labels(has_room);
    let cx = TrackContext {
        now: crate::base::Time::from_secs(9),
        settings: &settings,
        stage: TrackStage::Output,
        helpers: &[],
        packet: 0,
    };
    let mut tracking = Tracking::default();
    flows.track(&cx, &mut udp(1000, 53, &[]), &mut tracking);
    tracking
}

#[test]
fn labels_are_set_and_asked_for() {
    let packet = udp(1000, 53, &[]);
    let mut bench = Bench::new();
    bench.tracking = opened(true);
    let flow = bench.tracking.flow.clone().unwrap();
    for (typed, says, labels) in [
        ("--label 1", "--label 1: flow has no label", 0),
        ("! --label 1", "", 0),
        ("--label 1 --set", "", 2),
        ("--label 1 --set", "", 2),
        ("! --label 1", "! --label 1: flow has label 1", 2),
        ("--label 127", "--label 127: flow has label 1", 2),
        (
            "! --label 2 --set",
            "! --label 2: flow has label 2, which the rule sets",
            6,
        ),
        ("--label 2", "", 6),
        ("--label 3", "--label 3: flow has labels 1, 2", 6),
    ] {
        match_packets(&SPEC, ANY, &bench, &[(typed, &packet, says)]);
        assert_eq!(flow.lock().labels(), Some(labels), "{typed}");
    }
}

#[test]
fn without_room_nothing_is_set() {
    let packet = udp(1000, 53, &[]);
    let mut bench = Bench::new();
    bench.tracking = opened(false);
    let says = "--label 1: flow has no room for labels, as no rule asked for any when it began";
    match_packets(
        &SPEC,
        ANY,
        &bench,
        &[("--label 1 --set", &packet, says), ("! --label 1 --set", &packet, "")],
    );
    assert_eq!(bench.tracking.flow.unwrap().lock().labels(), None);
}

#[test]
fn it_needs_tracking_and_room() {
    let made = read_match(&SPEC, ANY, "--label 1").unwrap();
    assert!(made.needs_conntrack() && made.needs_labels());
}

#[test]
fn names_of_labels() {
    let file = LabelFile::found(Ok("0 zero\n7 seven eleven\n128 beyond\n29 30\n"));
    for (typed, saved, listed) in [
        ("--label zero", " --label \"zero\"", " connlabel 'zero'"),
        (
            "! --label 0 --set",
            " ! --label \"zero\" --set",
            " connlabel ! 'zero' set",
        ),
        (
            "--label \"seven eleven\"",
            " --label \"seven eleven\"",
            " connlabel 'seven eleven'",
        ),
        ("--label 1", " --label \"1\"", " connlabel 1"),
        // A number is one, whatever is called so.
        ("--label 30", " --label \"30\"", " connlabel 30"),
        ("--label 29", " --label \"30\"", " connlabel '30'"),
    ] {
        let made = read_match_with(&SPEC, ANY, typed, &file).unwrap();
        let (mut save, mut list) = (String::new(), String::new());
        made.save(&mut save);
        made.list(&mut list, false);
        assert_eq!((&*save, &*list), (saved, listed), "{typed}");
    }
    for (file, before, says) in [
        (&file, None, "label 'x' not found or invalid value"),
        (
            LabelFile::none(),
            Some("Warning: cannot open /etc/xtables/connlabel.conf: No such file or directory"),
            "label 'x' not found or invalid value",
        ),
        (
            &LabelFile::found(Ok("garbage\n")),
            None,
            "cannot parse /etc/xtables/connlabel.conf: no labels found",
        ),
    ] {
        let error = read_match_with(&SPEC, ANY, "--label x", file).unwrap_err();
        assert_eq!((error.before.as_deref(), &*error.message), (before, says));
    }
    let beyond = read_match_with(&SPEC, ANY, "--label beyond", &file).unwrap();
    let said = placed_behind(&[], ANY, Table::Filter, &[Hook::Input], |scope| {
        let refused = beyond.check(scope);
        assert_eq!(refused.clone().map_err(|it| it.errno), Err(Errno::OutOfRange));
        refused
    });
    assert_eq!(
        said.unwrap_err(),
        "there is no label 128: they are numbered from 0 to 127"
    );
}
