//! What of two lists of flows is the same: the kernel lists them in the order of its hash table, numbers them by chance, and its clock goes on.

/// Lines in the order of the alphabet; numbers of flows and instants are left out, and a time is as many times fifty seconds as it began with.
pub(crate) fn comparable(text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(line).collect();
    lines.sort_unstable();
    lines.join("\n")
}

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
    for (one, other) in [
        (
            "udp      17 49 src=1.1.1.1 mark=0 use=1 id=7",
            "udp      17 50 src=1.1.1.1 mark=0 use=1 id=9",
        ),
        ("-A -t 41 -u UNSET", "-A -t 50 -u UNSET"),
        ("<timeout>49</timeout><id>7</id>", "<timeout>41</timeout><id>8</id>"),
        ("b\na\n", "a\nb\n"),
    ] {
        assert_eq!(comparable(one), comparable(other));
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
    ] {
        assert_ne!(comparable(one), comparable(other));
    }
}
