//! What the real kernel (Linux 6.18) made of single messages, held against the helpers.
//!
//! A line of `kernel.txt` is one: the helper; whether the router masquerades; what was said before; what the client said; what left (`same`, `gone`, or
//! the payload); what was expected then. The client is 10.0.0.2, the server 192.0.2.9, the router 192.0.2.1. They were made by encoders of their own,
//! some damaged, and sent in a namespace; the file of another run is read instead where `NFLAB_H323_MESSAGES` names one.

use super::SPEC;
use crate::base::testing::unhex;
use crate::helper::samples::{Conversation, text_of};

#[test]
fn messages_are_read_as_the_kernel_reads_them() {
    let other = std::env::var_os("NFLAB_H323_MESSAGES").map(|path| std::fs::read_to_string(path).unwrap());
    let text = other.as_deref().unwrap_or(include_str!("kernel.txt"));
    let mut differ = Vec::new();
    let mut count = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let [helper, router, before, said, left, expected] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        count += 1;
        let helper = SPEC.helpers.iter().find(|it| it.conntrack.name == helper).unwrap();
        let mut conversation = Conversation::new(helper, router == "masquerading");
        let mut all: Vec<Vec<u8>> = Vec::new();
        if helper.conntrack.ports.is_empty() {
            // Played over UDP, its flow has to be answered first.
            all.extend([b"> ".to_vec(), b"< ".to_vec()]);
        }
        let payloads = before.split(',').filter(|it| !it.is_empty()).chain([said]);
        all.extend(payloads.map(|hex| [b"> ".to_vec(), unhex(hex)].concat()));
        let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        let (heard, payload) = conversation.play(&all);
        let came = match &heard {
            Err(_) => "gone".to_owned(),
            Ok(_) if payload == unhex(said) => "same".to_owned(),
            Ok(_) => payload.iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let mut wished: Vec<String> = Vec::new();
        for it in conversation.bench.table.expectations(conversation.bench.now) {
            let permanent = if it.permanent { " permanent" } else { "" };
            wished.push(format!("{}{permanent}", text_of(&it.tuple, None)));
        }
        wished.sort();
        if (came.as_str(), wished.join(", ").as_str()) != (left, expected) {
            differ.push(format!("{line}\nhere\t{came}\t{}", wished.join(", ")));
        }
    }
    assert!(count > 100, "{count} messages");
    assert!(
        differ.is_empty(),
        "{} of {count} differ:\n{}",
        differ.len(),
        differ[..differ.len().min(12)].join("\n\n")
    );
}
