//! Which rule a text names.

use super::*;
use crate::base::Family;
use crate::cli::TOOLBOX;
use crate::lab::memory::Lab;

#[test]
fn a_rule_is_named_by_its_text_its_comment_or_a_part() {
    let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
    let rules = "*filter\n:services -\n-A INPUT -p tcp -j services\n-A INPUT -p tcp --dport 22 -j ACCEPT\n\
                 -A services -p udp -j ACCEPT\n-A services -m comment --comment \"the last\" -j DROP\n\
                 -A services -m comment --comment 22 -j DROP\nCOMMIT\n";
    let output = lab.tool("iptables-restore", &[], rules, ".".as_ref());
    assert_eq!(output.code, 0, "{}", output.stderr);
    let tables = [lab.machine.router().table(Family::V4, Table::Filter)];
    for (text, expected) in [
        ("-p udp -j ACCEPT", Ok("services 1")),
        ("services -p udp -j ACCEPT", Ok("services 1")),
        ("-A services -p udp -j ACCEPT", Ok("services 1")),
        ("the last", Ok("services 2")),
        ("--dport 22", Ok("INPUT 2")),
        // Its own text, though another rule's begins with it.
        ("-p tcp -j services", Ok("INPUT 1")),
        // A number is nobody's text, but may be a comment.
        ("22", Ok("services 3")),
        (
            "2",
            Err("`2` alone names no rule: say its chain, too, such as `FORWARD 2`"),
        ),
        ("", Err("expected a rule, such as `FORWARD 3`, or a part of its text")),
        ("  ", Err("expected a rule, such as `FORWARD 3`, or a part of its text")),
        (
            "nowhere",
            Err(
                "no rule has `nowhere` in its text or as its comment: name it by its chain and number, such as `FORWARD 3` or `nat:PREROUTING 1`",
            ),
        ),
        (
            "-p tcp",
            Err(
                "`-p tcp` is in 2 rules (rule 1 of filter INPUT, rule 2 of filter INPUT): name one by its chain and number, such as `FORWARD 3`",
            ),
        ),
    ] {
        let found = by_text(&tables, text).map(|it| format!("{} {}", it.chain, it.number.unwrap()));
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
    }
}
