//! What the tool says of a flow and of an expectation, in each of its languages. Seen with conntrack-tools 1.4.7.

use std::time::Duration;

use super::*;
use crate::conntrack::events::Heard;
use crate::conntrack::testing::{A, B, Bench, FTP, announced, echo, tcp, udp};
use crate::wire::tcp::flags::{ACK, SYN};

/// The lines of all that happened; `now` is a second and a half later.
fn told(bench: &mut Bench, extended: bool, what: impl FnOnce(&mut Bench)) -> Vec<String> {
    let listener = bench.table.listen(20, Box::new(|| ()));
    what(bench);
    let now = bench.now + Duration::from_millis(1500);
    std::iter::from_fn(|| listener.next_heard())
        .map(|heard| match heard {
            Heard::Event(it) => {
                let form = ToolForm {
                    extended,
                    ..ToolForm::default()
                };
                tool_flow(&it.flow, &form, Occasion::of(&it, None), it.at.unwrap_or(now)).unwrap()
            }
            Heard::Lost => panic!("nothing is lost here"),
        })
        .collect()
}

#[test]
fn what_happens_to_a_flow() {
    let mut bench = Bench::new();
    bench.settings.acct = true;
    bench.settings.timestamp = true;
    let lines = told(&mut bench, false, |bench| {
        let (_, tracking) = bench.pass(tcp((A, 3000), (B, 21), (1, 0), SYN)).unwrap();
        let flow = tracking.flow.unwrap();
        bench.pass_all([tcp((B, 21), (A, 3000), (100, 2), SYN | ACK)]);
        flow.lock().mark = 7;
        flow.lock().set_helper(Some(&FTP));
        bench.pass_all([tcp((A, 3000), (B, 21), (2, 101), ACK)]);
        bench.table.flush();
    });
    let ends = "src=10.0.0.2 dst=192.0.2.9 sport=3000 dport=21";
    let answer = "src=192.0.2.9 dst=10.0.0.2 sport=21 dport=3000";
    assert_eq!(
        lines,
        [
            format!("    [NEW] tcp      6 120 SYN_SENT {ends} [UNREPLIED] {answer}"),
            format!(" [UPDATE] tcp      6 60 SYN_RECV {ends} {answer}"),
            format!(" [UPDATE] tcp      6 432000 ESTABLISHED {ends} {answer} [ASSURED] mark=7 helper=ftp"),
            format!(
                "[DESTROY] tcp      6 431998 ESTABLISHED {ends} packets=2 bytes=80 {answer} packets=1 bytes=40 [ASSURED] mark=7 \
                 delta-time=1 [USERSPACE] portid=1 progname=conntrack"
            ),
        ]
    );
}

/// A time that is over is not shown at a flow's end; at its beginning it is.
#[test]
fn times_that_are_over_and_families() {
    let mut bench = Bench::new();
    bench.settings.protocols.udp.timeout = Duration::ZERO;
    let lines = told(&mut bench, true, |bench| {
        bench.pass_all([udp((A, 1), (B, 53)), echo(A, B, 8, 7)]);
        bench.table.sweep(bench.now);
    });
    assert_eq!(
        lines,
        [
            "    [NEW] ipv4     2 udp      17 0 src=10.0.0.2 dst=192.0.2.9 sport=1 dport=53 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 sport=53 dport=1",
            "    [NEW] ipv4     2 icmp     1 30 src=10.0.0.2 dst=192.0.2.9 type=8 code=0 id=7 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 type=0 code=0 id=7",
            "[DESTROY] ipv4     2 udp      17 src=10.0.0.2 dst=192.0.2.9 sport=1 dport=53 [UNREPLIED] src=192.0.2.9 dst=10.0.0.2 sport=53 dport=1",
        ]
    );
}

/// The other languages, of the same flow.
#[test]
fn a_flow_as_xml_and_as_options() {
    let mut bench = Bench::new();
    bench.settings.acct = true;
    bench.settings.timestamp = true;
    let (_, tracking) = bench.pass(tcp((A, 3000), (B, 21), (1, 0), SYN)).unwrap();
    let flow = tracking.flow.unwrap();
    flow.lock().set_helper(Some(&FTP));
    let (_, tracking) = bench.pass(echo(A, B, 8, 7)).unwrap();
    let ping = tracking.flow.unwrap();
    let now = bench.now + Duration::from_millis(1500);
    let shown = |flow: &Flow, syntax, occasion| {
        let form = ToolForm {
            syntax,
            extended: true,
            id: true,
            ktimestamp: true,
            labels: None,
        };
        tool_flow(flow, &form, occasion, now).unwrap()
    };
    let ends = |source, from, destination, to, packets: u32| {
        format!(
            "<layer3 protonum=\"2\" protoname=\"ipv4\"><src>{source}</src><dst>{destination}</dst></layer3><layer4 protonum=\"6\" \
             protoname=\"tcp\"><sport>{from}</sport><dport>{to}</dport></layer4><counters><packets>{packets}</packets><bytes>{}</bytes></counters>",
            packets * 40
        )
    };
    let (there, back) = (
        ends("10.0.0.2", 3000, "192.0.2.9", 21, 1),
        ends("192.0.2.9", 21, "10.0.0.2", 3000, 0),
    );
    assert_eq!(
        shown(&flow, Syntax::Xml, Occasion::Listed),
        format!(
            "<flow><meta direction=\"original\">{there}</meta><meta direction=\"reply\">{back}</meta><meta direction=\"independent\">\
             <state>SYN_SENT</state><timeout>118</timeout><mark>0</mark><use>1</use><id>0</id><unreplied/>\
             <timestamp><start>1800000000000000000</start></timestamp><deltatime>1</deltatime></meta><helper>ftp</helper></flow>"
        )
    );
    let end = Occasion::Happened {
        kind: EventKind::Destroy,
        by_command: false,
        when: Some(now),
    };
    let document = shown(&flow, Syntax::Xml, end);
    for part in [
        "<flow type=\"destroy\">",
        "<start>1800000000000000000</start><stop>1800000001500000000</stop>",
        "</meta><when><hour>8</hour><min>00</min><sec>01</sec><wday>6</wday><day>15</day><month>1</month><year>2027</year></when></flow>",
    ] {
        assert!(document.contains(part), "{part}: {document}");
    }
    assert_eq!(
        shown(&flow, Syntax::Save, Occasion::Listed),
        "-A -t 118 -u UNSET -s 10.0.0.2 -d 192.0.2.9 -r 192.0.2.9 -q 10.0.0.2 -p tcp --sport 3000 --dport 21 --reply-port-src 21 \
         --reply-port-dst 3000 --state SYN_SENT"
    );
    assert_eq!(
        shown(&ping, Syntax::Save, Occasion::Deleted),
        "-D -t 28 -u UNSET -s 10.0.0.2 -d 192.0.2.9 -r 192.0.2.9 -q 10.0.0.2 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 7"
    );
    let line = shown(&ping, Syntax::Plain, Occasion::Fetched);
    assert!(
        line.ends_with("mark=0 delta-time=1 [start=Fri Jan 15 08:00:00 2027] use=2 id=1"),
        "{line}"
    );
    let line = shown(&ping, Syntax::Plain, Occasion::Deleted);
    assert!(line.ends_with("mark=0 delta-time=1 use=1 id=1"), "{line}");
    let line = shown(&ping, Syntax::Plain, end);
    assert!(
        line.ends_with("delta-time=1 [start=Fri Jan 15 08:00:00 2027] [stop=Fri Jan 15 08:00:01 2027] id=1"),
        "{line}"
    );
}

/// What is expected is told of, too, to who asked for it.
#[test]
fn what_happens_to_an_expectation() {
    let bench = Bench::new();
    let listener = bench.table.listen_to_expectations(9, Box::new(|| ()));
    let (_, tracking) = bench.pass(tcp((A, 3000), (B, 21), (1, 0), SYN)).unwrap();
    let master = tracking.flow.unwrap();
    let wish = |port| announced(&bench, &master, B, (A, port));
    bench.table.expect(bench.now, wish(1025), 9).unwrap();
    bench.table.expect(bench.now, wish(1026), 9).unwrap();
    bench.pass_all([tcp((B, 20), (A, 1025), (1, 0), SYN)]);
    bench.table.flush_expectations();
    let mut events = Vec::new();
    while let Some(Heard::Event(event)) = listener.next_heard() {
        events.push(event);
    }
    let lines: Vec<String> = events
        .iter()
        .map(|it| tool_expectation(&it.expectation, Syntax::Plain, Some(it.kind), None, bench.now))
        .collect();
    let of = |port| {
        format!(
            "300 proto=6 src=192.0.2.9 dst=10.0.0.2 sport=0 dport={port} mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 \
             dport=65535 master-src=10.0.0.2 master-dst=192.0.2.9 sport=3000 dport=21 class=1 helper=ftp"
        )
    };
    assert_eq!(
        lines,
        [
            format!("    [NEW] {}", of(1025)),
            format!("    [NEW] {}", of(1026)),
            format!("[DESTROY] {}", of(1025)),
            format!("[DESTROY] {}", of(1026)),
        ]
    );
    assert_eq!(
        tool_expectation(
            &events[0].expectation,
            Syntax::Xml,
            Some(EventKind::New),
            Some(bench.now),
            bench.now
        ),
        "<flow type=\"new\"><layer3 protonum=\"2\" protoname=\"ipv4\"><expected><src>192.0.2.9</src><dst>10.0.0.2</dst></expected>\
         <mask><src>255.255.255.255</src><dst>255.255.255.255</dst></mask><master><src>10.0.0.2</src><dst>192.0.2.9</dst></master></layer3>\
         <layer4 protonum=\"6\" protoname=\"tcp\"><expected><sport>0</sport><dport>1025</dport></expected><mask><sport>0</sport>\
         <dport>65535</dport></mask><master><sport>3000</sport><dport>21</dport></master></layer4><meta><helper-name>ftp</helper-name>\
         <timeout>300</timeout><class>1</class><when><hour>8</hour><min>00</min><sec>00</sec><wday>6</wday><day>15</day><month>1</month>\
         <year>2027</year></when></meta></flow>"
    );
    assert_eq!(
        bench.table.expectation_statistics().named().map(|(_, count)| count),
        [1, 2, 2]
    );
}
