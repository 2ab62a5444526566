//! What a conversation has to be for a call to stand, as Linux 6.18 did it: each line is a conversation, and whether GRE was expected after it.

use super::super::samples::Conversation;
use super::SPEC;
use crate::base::Time;

#[test]
fn a_call_stands_where_the_kernel_lets_it() {
    for line in CONVERSATIONS.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (words, expected) = line.rsplit_once(' ').unwrap();
        let mut conversation = Conversation::new(&SPEC.helpers[0], false);
        conversation.begin(&[]);
        for word in words.split_whitespace() {
            conversation.say(&said(word)).0.unwrap();
        }
        let expects = !conversation.bench.table.expectations(Time::from_secs(0)).is_empty();
        assert_eq!(expects, expected == "yes", "{line}");
    }
}

/// A word, and behind a slash how much of the message is said.
fn said(word: &str) -> Vec<u8> {
    let (word, length) = match word.split_once('/') {
        Some((word, length)) => (word, Some(length.parse::<usize>().unwrap())),
        None => (word, None),
    };
    let (whose, kind, whole, begins): (u8, u8, usize, &[u8]) = match word {
        "open" => (b'>', 1, 156, &[1]),
        "opened" => (b'<', 2, 156, &[1, 0, 1]),
        "refused" => (b'<', 2, 156, &[1, 0, 2]),
        "stop" => (b'>', 3, 16, &[1]),
        "stopped" => (b'<', 4, 16, &[1]),
        "unstopped" => (b'<', 4, 16, &[2]),
        "call" => (b'>', 7, 168, &[0x11, 0x11]),
        "stands" => (b'<', 8, 32, &[0x22, 0x22, 0x11, 0x11, 1]),
        "stands-other" => (b'<', 8, 32, &[0x22, 0x22, 0x11, 0x12, 1]),
        "declined" => (b'<', 8, 32, &[0x22, 0x22, 0x11, 0x11, 2]),
        "offer" => (b'<', 9, 220, &[0x33, 0x33]),
        "accept" => (b'>', 10, 24, &[0x44, 0x44, 0x33, 0x33, 1]),
        "accept-other" => (b'>', 10, 24, &[0x44, 0x44, 0x33, 0x34, 1]),
        "decline" => (b'>', 10, 24, &[0x44, 0x44, 0x33, 0x33, 2]),
        "connected" => (b'<', 11, 28, &[0x44, 0x44]),
        "connected-other" => (b'<', 11, 28, &[0x44, 0x45]),
        "clear" => (b'>', 12, 16, &[0x11, 0x11]),
        "over" => (b'<', 13, 148, &[0x11, 0x11, 1]),
        "echo" => (b'>', 5, 16, &[0, 0, 0, 1]),
        "server-call" => (b'<', 7, 168, &[0x11, 0x11]),
        "client-stands" => (b'>', 8, 32, &[0x22, 0x22, 0x11, 0x11, 1]),
        "client-over" => (b'>', 13, 148, &[0x11, 0x11, 1]),
        "server-clear" => (b'<', 12, 16, &[0x11, 0x11]),
        other => panic!("{other}"),
    };
    let mut message = vec![0, whole as u8, 0, 1, 0x1a, 0x2b, 0x3c, 0x4d, 0, kind, 0, 0];
    message.extend(begins);
    message.resize(whole, 0);
    message.truncate(length.unwrap_or(whole));
    [&[whose, b' '][..], &message].concat()
}

const CONVERSATIONS: &str = "
    open opened call stands                                 yes
    call stands                                             no
    open call stands                                        no
    opened call stands                                      no
    open refused call stands                                no
    open opened stands                                      no
    open opened call stands-other                           no
    open opened call stands-other stands                    yes
    open opened call declined                               no
    open opened call declined stands                        no
    open opened call stands stands                          yes
    open opened call stands over                            no
    open opened call stands over/147                        yes
    open opened call stands clear                           yes
    open opened call clear stands                           no
    open opened call clear/15 stands                        yes
    open opened call over stands                            no
    open opened call stands over call stands                yes
    open opened call stands server-clear                    yes
    open opened call stands client-over                     yes
    open opened call stands stop stopped                    yes
    open opened call stop stands                            no
    open opened call stop/15 stands                         yes
    open opened stop stopped call stands                    no
    open opened stop stopped open opened call stands        yes
    open opened stop stopped/15 open opened call stands     no
    open opened stop unstopped open opened call stands      no
    open opened stop open opened call stands                no
    open opened open call stands                            yes
    open opened opened call stands                          yes
    open opened refused call stands                         no
    open refused opened call stands                         no
    open refused open opened call stands                    no
    open opened stopped call stands                         yes
    stopped open opened call stands                         yes
    open opened server-call client-stands                   no
    open opened echo call echo stands                       yes
    open/155 opened call stands                             no
    open opened/155 call stands                             no
    open opened call/167 stands                             no
    open opened call stands/31                              no
    open opened offer accept connected                      yes
    offer accept connected                                  no
    open offer accept connected                             no
    open opened accept connected                            no
    open opened offer connected                             no
    open opened offer accept-other connected                no
    open opened offer accept-other accept connected         yes
    open opened offer decline connected                     no
    open opened offer decline accept connected              no
    open opened offer accept connected-other                no
    open opened offer accept connected-other connected      yes
    open opened offer accept accept connected               yes
    open opened offer accept connected accept connected     yes
    open opened offer accept offer connected                no
    open opened offer accept call connected                 no
    open opened offer accept connected over                 no
    open opened offer accept over connected                 no
    open opened offer accept clear connected                no
    open opened offer stop accept connected                 no
    open opened offer accept stop connected                 no
    open opened offer call stands                           yes
    open opened call offer stands                           no
    open opened call offer accept stands                    no
    open opened offer/219 accept connected                  no
    open opened offer accept/23 connected                   no
    open opened offer accept connected/27                   no
";
