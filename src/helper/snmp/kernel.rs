//! What Linux 6.18 made of SNMP's messages, held against what is read here.
//!
//! Each was sent by 10.0.0.2 to port 162 of a host behind a router that masquerades as 192.0.2.1, and is listed with where an address became
//! another: `=` where none did, `-` where the message was dropped. Most are messages of every kind with a few bytes changed.

use super::message::addresses;
use crate::base::testing::unhex;

#[test]
fn addresses_are_where_the_kernel_finds_them() {
    let (mut written, mut dropped) = (0, 0);
    for line in include_str!("kernel.txt").lines() {
        let (message, made) = line.split_once(' ').unwrap();
        let message = unhex(message);
        let own = |at: &usize| message[*at..].starts_with(&[10, 0, 0, 2]);
        let read = match addresses(&message) {
            None => "-".to_owned(),
            Some(all) => {
                let all: Vec<String> = all.iter().filter(|at| own(at)).map(usize::to_string).collect();
                if all.is_empty() { "=".to_owned() } else { all.join(" ") }
            }
        };
        assert_eq!(read, made, "{line}");
        written += usize::from(made != "-" && made != "=");
        dropped += usize::from(made == "-");
    }
    assert!(written > 100 && dropped > 100, "{written} written, {dropped} dropped");
}
