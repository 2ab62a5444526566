//! What the real kernel (Linux 6.18) made of single messages, held against the helpers.
//!
//! A line of `kernel.txt` is one: the transport; whether the router masquerades; what was said before, with `||` between; what was said, the client's
//! behind `> `, the server's behind `< `; what left (`same`, `gone`, or the payload, behind `!PORT!` where it was delivered at another port); what was
//! expected then, with what is left of registrations to ten seconds. The client is 10.0.0.2, the server 192.0.2.9, the router 192.0.2.1. They were
//! sent in a namespace; the file of another run is read instead where `NFLAB_SIP_MESSAGES` names one.

use super::SPEC;
use crate::conntrack::Expectation;
use crate::helper::samples::{Conversation, text_of};

#[test]
fn messages_are_read_as_the_kernel_reads_them() {
    let other = std::env::var_os("NFLAB_SIP_MESSAGES").map(|path| std::fs::read_to_string(path).unwrap());
    let text = other.as_deref().unwrap_or(include_str!("kernel.txt"));
    let mut differ = Vec::new();
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [transport, router, before, said, left, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        count += 1;
        let helper = &SPEC.helpers[usize::from(transport == "tcp")];
        let mut conversation = Conversation::new(helper, router == "masquerading");
        conversation
            .bench
            .settings
            .set("nf_conntrack_tcp_be_liberal", "1")
            .unwrap();
        conversation.begin(&[]);
        if transport == "udp" {
            // So that the flow is there, whatever becomes of what is said.
            let _ = conversation.say(b"> x");
        }
        let before: Vec<Vec<u8>> = before.split("||").filter(|it| !it.is_empty()).map(unescaped).collect();
        for line in before {
            // What comes of these is told by what is said then.
            let _ = conversation.say(&line);
        }
        let said = unescaped(said);
        let (heard, payload) = conversation.say(&said);
        let came = match &heard {
            Err(_) => "gone".to_owned(),
            Ok(_) if !matches!(conversation.delivered_at, 4000 | 5060) => {
                format!("!dport={}!{}", conversation.delivered_at, escaped(&payload))
            }
            Ok(_) if payload == said[2..] => "same".to_owned(),
            Ok(_) => escaped(&payload),
        };
        let now = conversation.bench.now;
        let all = conversation.bench.table.expectations(now);
        let mut wished: Vec<String> = all
            .iter()
            .map(|it| wish(it, it.deadline.since(now).as_secs()))
            .collect();
        wished.sort();
        let wished = wished.join(", ");
        if (came.as_str(), wished.as_str()) != (left, expected) {
            differ.push(format!("{line}\nhere\t{came}\t{wished}\t{heard:?}"));
        }
    }
    assert!(count > 100, "{count} messages");
    assert!(
        differ.is_empty(),
        "{} of {count} differ:\n{}",
        differ.len(),
        differ[..differ.len().min(40)].join("\n\n")
    );
}

fn wish(it: &Expectation, left: u64) -> String {
    let flags = match (it.permanent, it.inactive) {
        (true, true) => "PERMANENT,INACTIVE ",
        (true, false) => "PERMANENT ",
        _ => "",
    };
    let class = it.made_by.policy(it.class).name;
    let left = match it.class {
        super::SIGNALLING => format!(" {}s", (left + 5) / 10 * 10),
        _ => String::new(),
    };
    format!("{} {flags}sip/{class}{left}", text_of(&it.tuple, None))
}

fn escaped(bytes: &[u8]) -> String {
    let one = |&byte: &u8| match byte {
        b'\\' | b'\r' | b'\n' | b'\t' => byte.escape_ascii().to_string(),
        b' '..=b'~' => char::from(byte).to_string(),
        other => format!("\\x{other:02x}"),
    };
    bytes.iter().map(one).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b't' => b'\t',
                b'x' => {
                    let mut digit = || char::from(rest.next().unwrap()).to_digit(16).unwrap() as u8;
                    digit() * 16 + digit()
                }
                other => other,
            },
            other => other,
        });
    }
    bytes
}
