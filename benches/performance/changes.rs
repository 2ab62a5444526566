//! Rules that come, go out and change while a lab is live.

use std::net::UdpSocket;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nflab::lab::request::Request;
use nflab::live::control::Client;

use crate::networks::{Hosts, Kernel, SERVER, allowed, has_tools};
use crate::report::{Bound, Line, nanoseconds as shown, time};
use crate::rulesets::{mixed, plain};
use crate::sampling::{Samples, in_turn, seconds};

/// 100,000 rules in and out.
pub(crate) fn restore() -> Vec<Line> {
    let works = ["100,000 rules restored in a live lab", "100,000 rules saved"];
    in_and_out(works, || plain(100_000), Some(0.2))
}

/// The same of rules that use every extension which both sides take in a rule of FORWARD.
pub(crate) fn restore_mixed() -> Vec<Line> {
    let works = [
        "100,000 rules of all extensions restored in a live lab",
        "100,000 rules of all extensions saved",
    ];
    let rules = || {
        let kernel = has_tools().ok().map(|()| Kernel::new("nflab-table-mixed"));
        let restore = ["iptables-legacy-restore"];
        mixed(100_000, |rule| {
            kernel.as_ref().is_none_or(|kernel| kernel.takes(&restore, rule))
        })
    };
    in_and_out(works, rules, None)
}

/// They are restored within so many seconds, or else in no more time than the real tool takes, as they are saved.
fn in_and_out(works: [&'static str; 2], rules: impl Fn() -> String, within: Option<f64>) -> Vec<Line> {
    if let Err(why) = allowed() {
        return works.iter().map(|work| Line::missing(work, &why)).collect();
    }
    let rules = rules();
    let lab = Hosts::of_lab("nflab-table-restore", "*filter\nCOMMIT\n");
    let socket = lab.socket();
    let mut restored = || 1e9 * seconds(|| call(&socket, "iptables-restore", &[], &rules));
    let mut saved = || 1e9 * seconds(|| call(&socket, "iptables-save", &["-c"], ""));
    let (own, real) = match has_tools() {
        Ok(()) => {
            let kernel = Kernel::new("nflab-table-restore");
            let mut real_restored = || 1e9 * kernel.tool(&["iptables-legacy-restore"], &rules);
            let mut real_saved = || 1e9 * kernel.tool(&["iptables-legacy-save", "-c"], "");
            let mut four = in_turn(
                ROUNDS,
                &mut [&mut restored, &mut saved, &mut real_restored, &mut real_saved],
            );
            let real = four.split_off(2);
            (four, Ok(real))
        }
        Err(why) => (in_turn(ROUNDS, &mut [&mut restored, &mut saved]), Err(why)),
    };
    let beside = |at: usize| match &real {
        Ok(real) => format!("iptables-legacy {}", time(&real[at])),
        Err(why) => why.clone(),
    };
    let ratio = |at: usize| match &real {
        Ok(real) => {
            let ratio = own[at].least() / real[at].least();
            Line::ratio(works[at], time(&own[at]), beside(at), ratio, Some(Bound::AtMost(1.0)))
        }
        Err(why) => Line {
            nflab: time(&own[at]),
            ..Line::missing(works[at], why)
        },
    };
    let restored = match within {
        Some(within) => Line::absolute(
            works[0],
            time(&own[0]),
            beside(0),
            (own[0].least() / 1e9, "s"),
            Some(Bound::AtMost(within)),
        ),
        None => ratio(0),
    };
    vec![restored, ratio(1)]
}

/// One rule before 10,000, asked at the lab's socket.
pub(crate) fn insert() -> Vec<Line> {
    let work = "one rule inserted before 10,000";
    if let Err(why) = allowed() {
        return vec![Line::missing(work, &why)];
    }
    let lab = Hosts::of_lab("nflab-table-insert", &plain(10_000));
    let socket = lab.socket();
    let rule = [
        "-I", "FORWARD", "-s", "10.1.2.3", "-p", "tcp", "--dport", "80", "-j", "DROP",
    ];
    let mut own = || 1e9 * seconds(|| call(&socket, "iptables", &rule, ""));
    let (samples, beside) = match has_tools() {
        Ok(()) => {
            let kernel = Kernel::new("nflab-table-insert");
            kernel.tool(&["iptables-legacy-restore"], &plain(10_000));
            let words: Vec<&str> = ["iptables-legacy"].into_iter().chain(rule).collect();
            let samples = in_turn(INSERTS, &mut [&mut own, &mut || 1e9 * kernel.tool(&words, "")]);
            let beside = format!("iptables-legacy {}, its program's start within", time(&samples[1]));
            (samples, beside)
        }
        Err(why) => (in_turn(INSERTS, &mut [&mut own]), why),
    };
    vec![Line::absolute(
        work,
        time(&samples[0]),
        beside,
        (samples[0].median() / 1e6, "ms, the median"),
        Some(Bound::AtMost(1.0)),
    )]
}

/// The longest that a ping takes, one each 10 ms, while rules are restored; beside it the same with nothing to do.
pub(crate) fn gap() -> Vec<Line> {
    let work = "longest round trip of a ping each 10 ms while 100,000 rules are restored";
    if let Err(why) = allowed() {
        return vec![Line::missing(work, &why)];
    }
    let lab = Hosts::of_lab(
        "nflab-table-gap",
        "*filter\n-A FORWARD -m state --state INVALID -j DROP\nCOMMIT\n",
    );
    let socket = lab.socket();
    let rules = plain(100_000);
    let mut busy = || longest(&lab, || call(&socket, "iptables-restore", &[], &rules));
    let mut idle = || longest(&lab, || std::thread::sleep(Duration::from_millis(300)));
    let samples: Vec<Samples> = in_turn(ROUNDS, &mut [&mut busy, &mut idle]);
    vec![Line::absolute(
        work,
        format!("{}, the median of {ROUNDS}", shown(samples[0].median())),
        format!("idle {}", shown(samples[1].median())),
        (samples[0].median() / 1e6, "ms"),
        Some(Bound::AtMost(5.0)),
    )]
}

/// Nanoseconds.
fn longest(lab: &Hosts, work: impl FnOnce() + Send) -> f64 {
    let bind = |host: &nflab::live::namespace::Namespace| {
        let socket = host
            .run(|| UdpSocket::bind(("0.0.0.0", 7)))
            .expect("a thread")
            .expect("a port");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
        socket
    };
    let (client, server) = (bind(&lab.client), bind(&lab.server));
    client.connect((SERVER, 7)).expect("a route");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 64];
            // A ping without a word is the last.
            while let Ok((length @ 1.., from)) = server.recv_from(&mut buffer) {
                let _ = server.send_to(&buffer[..length], from);
            }
        });
        scope.spawn(|| {
            work();
            done.store(true, Ordering::Release);
        });
        let mut longest = Duration::ZERO;
        let mut buffer = [0; 64];
        while !done.load(Ordering::Acquire) {
            let sent = Instant::now();
            client.send(&[1; 56]).expect("a route");
            client.recv(&mut buffer).expect("an answer within five seconds");
            longest = longest.max(sent.elapsed());
            std::thread::sleep(EVERY.saturating_sub(sent.elapsed()));
        }
        client.send(&[]).expect("a route");
        longest.as_nanos() as f64
    })
}

fn call(socket: &Path, tool: &str, args: &[&str], stdin: &str) {
    let request = Request {
        tool: tool.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        stdin: stdin.to_owned(),
        ..Request::default()
    };
    let answer = Client::connect(socket)
        .expect("a lab")
        .call(&request)
        .expect("an answer");
    assert_eq!(answer.code, 0, "{tool}: {}", answer.stderr);
}

const ROUNDS: usize = 5;
const INSERTS: usize = 15;
const EVERY: Duration = Duration::from_millis(10);
