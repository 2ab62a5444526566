//! What of two lists of flows is the same: the kernel lists them in the order of its hash table, numbers them by chance, and its clock goes on.
//! By chance too it finds a port, or a ping's identifier, for a flow whose mapping another one has already.

use std::collections::HashSet;

use super::{Step, Tool};

/// Lines in the order of the alphabet; numbers of flows and instants are left out, and a time is as many times fifty seconds as it began with. Of a
/// reply's port that is neither the original's nor one of `asked` its class is left.
pub(crate) fn comparable(text: &str, asked: &HashSet<u16>) -> String {
    let mut lines: Vec<String> = text.lines().map(|it| of_no_chance(line(it), asked)).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Every number that conntrack was told, and 0, which a word that is none is for it.
pub(crate) fn numbers(steps: &[Step]) -> HashSet<u16> {
    let told = steps.iter().filter(|step| step.tool == Tool::Conntrack);
    let texts = told.flat_map(|step| step.arguments.iter().chain([&step.input]));
    let digits = texts.flat_map(|text| text.split(|it: char| !it.is_ascii_digit()));
    // Of a larger one the tool takes the last 16 bits.
    digits.map(|digits| digits.parse::<u64>().unwrap_or(0) as u16).collect()
}

fn of_no_chance(line: String, asked: &HashSet<u16>) -> String {
    let masked = |line: String, (original, of_original, reply, of_reply): (&str, usize, &str, usize)| {
        let number = |begin: &str, nth: usize| {
            let (start, _) = line.match_indices(begin).nth(nth)?;
            let digits = &line[start + begin.len()..];
            let end = digits.find(|it: char| !it.is_ascii_digit()).unwrap_or(digits.len());
            Some((start + begin.len(), digits[..end].parse::<u16>().ok()?, end))
        };
        match (number(original, of_original), number(reply, of_reply)) {
            (Some((_, was, _)), Some((at, is, length))) if is != was && !asked.contains(&is) => {
                // The kernel keeps to the class of the port that there was.
                let class = ["below 512", "below 1024", "high"][usize::from(is >= 512) + usize::from(is >= 1024)];
                format!("{}{class}{}", &line[..at], &line[at + length..])
            }
            _ => line,
        }
    };
    FORMS.into_iter().fold(line, masked)
}

/// How an output says the original's source port and the reply's destination port, and which of those that it says so.
const FORMS: [(&str, usize, &str, usize); 4] = [
    (" sport=", 0, " dport=", 1),
    ("<sport>", 0, "<dport>", 1),
    (" --sport ", 0, " --reply-port-dst ", 0),
    (" id=", 0, " id=", 1),
];

fn line(line: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let said = match (word.split_once('='), words.last().map(String::as_str)) {
            (Some(("id", number)), _) if is_number(number) && !is_icmp(&words) => "id=N".to_owned(),
            (Some(("delta-time", _)), _) => "delta-time=N".to_owned(),
            (None, Some("-t")) => fifties(word),
            // Of a list's line the time stands behind the protocol's number, which stands behind its name and blanks.
            (None, Some(number)) if is_number(word) && is_number(number) => fifties(word),
            _ => word.to_owned(),
        };
        words.push(said);
    }
    let mut whole = words.join(" ");
    for (element, said) in [
        ("id", None),
        ("timeout", Some(())),
        ("deltatime", None),
        ("start", None),
    ] {
        let (begin, end) = (format!("<{element}>"), format!("</{element}>"));
        if let Some((before, rest)) = whole.split_once(&begin)
            && let Some((number, behind)) = rest.split_once(&end)
        {
            let number = said.map_or_else(|| "N".to_owned(), |()| fifties(number));
            whole = format!("{before}{begin}{number}{end}{behind}");
        }
    }
    whole
}

/// ICMP's identifier is no chance.
fn is_icmp(words: &[String]) -> bool {
    words.last().is_some_and(|word| word.starts_with("code="))
}

fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|it| it.is_ascii_digit())
}

fn fifties(word: &str) -> String {
    match word.parse::<u64>() {
        Ok(seconds) => seconds.next_multiple_of(50).to_string(),
        Err(_) => word.to_owned(),
    }
}

#[test]
fn what_chance_makes_of_a_line_is_left_out() {
    let asked = numbers(&[super::step("conntrack -I -n 1.2.3.4:30,31 -t x")]);
    assert_eq!(asked, HashSet::from([0, 1, 2, 3, 4, 30, 31]));
    for (one, other) in [
        (
            "udp      17 49 src=1.1.1.1 mark=0 use=1 id=7",
            "udp      17 50 src=1.1.1.1 mark=0 use=1 id=9",
        ),
        ("-A -t 41 -u UNSET", "-A -t 50 -u UNSET"),
        ("<timeout>49</timeout><id>7</id>", "<timeout>41</timeout><id>8</id>"),
        ("b\na\n", "a\nb\n"),
        (
            "udp 17 9 sport=1 dport=2 [UNREPLIED] sport=2 dport=355 id=7",
            "udp 17 9 sport=1 dport=2 [UNREPLIED] sport=2 dport=451 id=8",
        ),
        (
            "icmp 1 9 type=8 code=0 id=7 type=0 code=0 id=355",
            "icmp 1 9 type=8 code=0 id=7 type=0 code=0 id=451",
        ),
        (
            "<sport>1</sport><dport>2</dport><sport>2</sport><dport>1025</dport>",
            "<sport>1</sport><dport>2</dport><sport>2</sport><dport>60000</dport>",
        ),
        (
            "-p udp --sport 1 --dport 2 --reply-port-src 2 --reply-port-dst 355",
            "-p udp --sport 1 --dport 2 --reply-port-src 2 --reply-port-dst 451",
        ),
    ] {
        assert_eq!(comparable(one, &asked), comparable(other, &asked));
    }
    for (one, other) in [
        ("icmp     1 49 type=8 code=0 id=7", "icmp     1 49 type=8 code=0 id=8"),
        (
            "udp      17 49 src=1.1.1.1 mark=0 use=1",
            "udp      17 99 src=1.1.1.1 mark=0 use=1",
        ),
        (
            "udp      17 49 src=1.1.1.1 mark=0 use=1",
            "udp      17 49 src=1.1.1.1 mark=1 use=1",
        ),
        // Asked for, or as it was.
        (" sport=1 dport=2 sport=2 dport=30", " sport=1 dport=2 sport=2 dport=31"),
        (" sport=1 dport=2 sport=2 dport=1", " sport=1 dport=2 sport=2 dport=5"),
        (
            " sport=1 dport=2 sport=2 dport=355",
            " sport=1 dport=2 sport=2 dport=555",
        ),
        (
            " sport=1 dport=2 sport=2 dport=355",
            " sport=1 dport=2 sport=3 dport=355",
        ),
    ] {
        assert_ne!(comparable(one, &asked), comparable(other, &asked));
    }
}
