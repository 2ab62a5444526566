//! What a text is, by its look.

use crate::base::Family;

/// The kinds of text that rules come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What `iptables -L` printed.
    Listing,
    /// What `iptables -S` printed.
    Commands,
    /// A program for a shell that calls iptables.
    Script,
    /// What `iptables-save` printed, or a file for `iptables-restore`.
    Save,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Listing, Self::Commands, Self::Script, Self::Save];

    /// What `--from` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Commands => "commands",
            Self::Script => "script",
            Self::Save => "save",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// In words, with the tool of the rules' family, or with the family: IPv4 is said where the texts have rules of IPv6, too.
    pub fn about(self, family: Family, has_both: bool) -> &'static str {
        match (self, family) {
            (Self::Listing, Family::V4) => "a listing, iptables -L",
            (Self::Listing, Family::V6) => "a listing, ip6tables -L",
            (Self::Commands, Family::V4) => "commands, iptables -S",
            (Self::Commands, Family::V6) => "commands, ip6tables -S",
            (Self::Script, Family::V4) if has_both => "a script, which was run, rules of IPv4",
            (Self::Script, Family::V4) => "a script, which was run",
            (Self::Script, Family::V6) => "a script, which was run, rules of IPv6",
            (Self::Save, Family::V4) if has_both => "a save file, rules of IPv4",
            (Self::Save, Family::V4) => "a save file",
            (Self::Save, Family::V6) => "a save file, rules of IPv6",
        }
    }
}

/// Sees what a text is; the error says what was expected. Structure decides, and words only where there is none: whatever stands in a comment or
/// a prefix, a text that begins as a save file, as commands or as a listing is read and never run. Only a first line `#!`, or a line that
/// calls the tool as a shell would, makes a script; in doubt it is none. A listing may stand between the prompts it was copied with.
pub(crate) fn detect(text: &str) -> Result<Kind, String> {
    let text = &unindented(text);
    if let Some(program) = text.strip_prefix("#!") {
        // A save file that was made to run.
        let first = program.lines().next().unwrap_or_default();
        return Ok(
            match first.contains("tables-restore") || first.contains("tables-legacy-restore") {
                true => Kind::Save,
                false => Kind::Script,
            },
        );
    }
    let lines = || text.lines().map(str::trim_end);
    let mut telling = lines().filter(|line| {
        let shell = super::script::prompted(line).is_some();
        !line.is_empty() && !line.starts_with('#') && !shell
    });
    if let Some(first) = telling.next() {
        let letter = |it: char| it.is_ascii_alphanumeric() || it == '_';
        if first.strip_prefix('*').is_some_and(|name| name.starts_with(letter)) {
            return Ok(Kind::Save);
        }
        if ["-A ", "-P ", "-N ", "-I "].iter().any(|verb| first.starts_with(verb)) {
            return Ok(Kind::Commands);
        }
    }
    if lines().any(|line| super::listing::chain_heading(line).is_some()) {
        return Ok(Kind::Listing);
    }
    if lines().any(|line| super::script::prompted(line).is_none() && super::script::calls_iptables(line)) {
        return Ok(Kind::Script);
    }
    if lines().any(|line| line.starts_with('*') && line.len() > 1) {
        return Ok(Kind::Save);
    }
    let command = |line: &str| ["-A ", "-P ", "-N ", "-I "].iter().any(|verb| line.starts_with(verb));
    if lines().any(command) {
        return Ok(Kind::Commands);
    }
    if lines().any(|line| line.starts_with("table ") && line.ends_with('{')) {
        return Err(
            "this is nftables' own language, as `nft list ruleset` prints it, which iptables cannot say; where `iptables-save` prints these \
             rules, take what it prints"
                .to_owned(),
        );
    }
    Err("expected a listing (`Chain INPUT (policy ACCEPT)`), commands (`-A INPUT ...`), a save file (`*filter`) or a script that calls \
         iptables; --from says which it is"
        .to_owned())
}

/// A text without the blanks that stand before each of its lines, as people indent what they paste.
pub(crate) fn unindented(text: &str) -> String {
    let blanks = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let indented = text.lines().filter(|line| !line.trim_ascii().is_empty());
    let common = indented.map(blanks).min().unwrap_or(0);
    if common == 0 {
        return text.to_owned();
    }
    let cut = |line: &str| line[common.min(blanks(line))..].to_owned();
    text.split_inclusive('\n').map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_its_look() {
        for (text, expected) in [
            ("Chain INPUT (policy ACCEPT)\n", Some(Kind::Listing)),
            (
                "$ iptables -L\nChain INPUT (policy ACCEPT 0 packets, 0 bytes)\n",
                Some(Kind::Listing),
            ),
            ("# Warning: x\nChain foo (2 references)\n", Some(Kind::Listing)),
            ("-P INPUT ACCEPT\n-A INPUT -j DROP\n", Some(Kind::Commands)),
            (
                "# Generated by iptables-save v1.4.7\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n",
                Some(Kind::Save),
            ),
            ("#!/bin/sh\n# Chain INPUT (policy ACCEPT)\n", Some(Kind::Script)),
            ("IPT=/sbin/iptables\n$IPT -F\n", Some(Kind::Script)),
            ("iptables-restore <<EOF\n*filter\nCOMMIT\nEOF\n", Some(Kind::Script)),
            // Words in quotes, comments and prose call nothing.
            (
                "*filter\n-A INPUT -j LOG --log-prefix \"iptables denied: \"\nCOMMIT\n",
                Some(Kind::Save),
            ),
            (
                "-P INPUT ACCEPT\n-A INPUT -m comment --comment \"; iptables -F\" -j DROP\n",
                Some(Kind::Commands),
            ),
            (
                "Chain INPUT (policy ACCEPT)\nLOG  all  --  anywhere anywhere LOG prefix \"iptables -F\"\n",
                Some(Kind::Listing),
            ),
            ("#!/sbin/iptables-restore\n*filter\nCOMMIT\n", Some(Kind::Save)),
            ("    *filter\n    COMMIT\n", Some(Kind::Save)),
            ("    Chain INPUT (policy ACCEPT)\n\n    target\n", Some(Kind::Listing)),
            ("echo \"iptables -F\"\n", None),
            ("To see them say iptables -L\n", None),
            ("x=1 # iptables -F\n", None),
            ("x=1 # it was; iptables -F\n", None),
            ("x=1\t# it was; iptables -F\n", None),
            ("echo a#b; iptables -F\n", Some(Kind::Script)),
            ("if true; then sudo /sbin/iptables -F; fi\n", Some(Kind::Script)),
            ("F=\"/sbin/iptables\"\n$F -A INPUT\n", Some(Kind::Script)),
            ("I=$(which iptables)\n", Some(Kind::Script)),
            ("cat rules | iptables-restore\n", Some(Kind::Script)),
            ("hello\n", None),
            ("", None),
        ] {
            assert_eq!(detect(text).ok(), expected, "{text:?}");
        }
        let of_nft = detect("table ip filter {\n\tchain INPUT {\n\t}\n}\n").unwrap_err();
        assert!(of_nft.contains("`nft list ruleset`"), "{of_nft}");
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
    }
}
