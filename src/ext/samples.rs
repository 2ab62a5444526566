//! What an extension is tried on. Its samples stand in its spec, and are walked by all who must know what it takes, prints, refuses and matches:
//! the registry's tests, the oracle of the real tools, the twin's packets, the reader of listings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::drawn::Drawn;
use crate::base::Family;

/// Lines and packets, each with what the real thing makes of it.
#[derive(Debug)]
pub struct Samples {
    /// Where such a rule usually stands: a table and a chain of it.
    pub place: (&'static str, &'static str),
    /// Options that the real tool takes, and how it prints them: each option of the extension stands in one, but those that nflab has not got.
    pub taken: &'static [Taken],
    /// Options that the real tool refuses; targets without options have none.
    pub refused: &'static [Refused],
    /// Packets that a match is asked about; of a target there may be none.
    pub packets: &'static [Judged],
    /// Rules, without their chain, that say the same or nearly so: which of them are one to `-C` and `-D`, the real tool is asked.
    pub spellings: &'static [&'static str],
    /// How rules that are made up have it.
    pub drawn: Drawn,
}

impl Samples {
    /// Those of the taken that are for these families, each with the families it is for.
    pub fn taken_in(&self, families: &'static [Family]) -> impl Iterator<Item = (Family, &'static Taken)> {
        let taken = self.taken;
        let of = move |family: Family| {
            taken
                .iter()
                .filter(move |it| it.is_of(family))
                .map(move |it| (family, it))
        };
        families.iter().copied().flat_map(of)
    }

    /// As [`Self::taken_in`] of the refused.
    pub fn refused_in(&self, families: &'static [Family]) -> impl Iterator<Item = (Family, &'static Refused)> {
        let refused = self.refused;
        let of = move |family: Family| {
            refused
                .iter()
                .filter(move |it| it.is_of(family))
                .map(move |it| (family, it))
        };
        families.iter().copied().flat_map(of)
    }
}

/// Options that are taken.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// What stands before the extension in the rule: `-p tcp`, perhaps with options that its protocol's match has, or nothing.
    pub before: &'static str,
    /// Words parted by blanks; `"` quotes, and `\` takes the next letter as it is.
    pub typed: &'static str,
    /// What `iptables -S` prints of the extension's options.
    pub saved: &'static str,
    /// What `iptables -L -n` prints.
    pub listed: &'static str,
    /// What `iptables -L` prints.
    pub named: &'static str,
    /// No blank stands before what is listed.
    pub is_glued: bool,
    /// What the tool says of it all the same, in lines.
    pub remark: &'static str,
    /// What comes of it when what is saved is read back.
    pub reads_back: ReadsBack,
    /// A listing does not tell all of it, though what is saved does.
    pub lists_less: bool,
    /// The one family that it is for, where neither what is typed nor what is saved has an address that tells.
    pub only: Option<Family>,
}

/// What a rule is that was saved and read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadsBack {
    /// The same.
    Same,
    /// One that prints and does the same, and that `-C` and `-D` tell apart: by what is printed and was not given, or was given and is not printed.
    Alike,
    /// Another, or none at all: the tool loses a part.
    Other,
}

/// Options that are refused.
#[derive(Debug, Clone, Copy)]
pub struct Refused {
    /// As [`Taken::before`].
    pub before: &'static str,
    /// As [`Taken::typed`].
    pub typed: &'static str,
    /// What the tool says behind its name and version. An empty line after it is a newline here.
    pub said: &'static str,
    /// As [`Taken::only`].
    pub only: Option<Family>,
}

/// A packet that comes in by `lan` (10.0.0.0/24) and would go out by `wan` (192.0.2.0/24), asked in FORWARD of the table of such a rule; where such
/// rules stand in OUTPUT, in POSTROUTING of the mangle table.
#[derive(Debug, Clone, Copy)]
pub struct Judged {
    /// As [`Taken::before`].
    pub before: &'static str,
    /// As [`Taken::typed`].
    pub typed: &'static str,
    /// Packets that went before it, each with the interface they came in by.
    pub earlier: &'static [&'static str],
    /// In the language of scripts.
    pub packet: &'static str,
    /// Why the match fails, empty where it does not.
    pub why: &'static str,
}

/// The packet of samples to which it does not matter which it is.
pub const DATAGRAM: &str = "udp 10.0.0.2:1 > 192.0.2.9:2";

/// The same in IPv6.
pub const DATAGRAM6: &str = "udp [2001:db8::2]:1 > [2001:db8:1::9]:2";

/// Where names and numbers are listed alike.
pub const fn taken(before: &'static str, typed: &'static str, saved: &'static str, listed: &'static str) -> Taken {
    Taken {
        before,
        typed,
        saved,
        listed,
        named: listed,
        is_glued: false,
        remark: "",
        reads_back: ReadsBack::Same,
        lists_less: false,
        only: None,
    }
}

impl Taken {
    /// Whether it is for the family's tool.
    pub fn is_of(&self, family: Family) -> bool {
        is_of(self.only, &[self.typed, self.saved], family)
    }

    /// See [`Taken::only`].
    pub const fn only(mut self, family: Family) -> Self {
        self.only = Some(family);
        self
    }

    /// See [`ReadsBack::Other`].
    pub const fn lossy(mut self) -> Self {
        self.reads_back = ReadsBack::Other;
        self
    }

    /// See [`ReadsBack::Alike`].
    pub const fn told_apart(mut self) -> Self {
        self.reads_back = ReadsBack::Alike;
        self
    }

    /// See [`Taken::lists_less`].
    pub const fn listing_less(mut self) -> Self {
        self.lists_less = true;
        self
    }

    /// See [`Taken::is_glued`].
    pub const fn glued(mut self) -> Self {
        self.is_glued = true;
        self
    }

    /// See [`Taken::remark`].
    pub const fn remarked(mut self, remark: &'static str) -> Self {
        self.remark = remark;
        self
    }

    /// What `iptables -L` prints, where it is not what `-L -n` does.
    pub const fn named(mut self, named: &'static str) -> Self {
        self.named = named;
        self
    }
}

/// Options that are refused with these words.
pub const fn refused(before: &'static str, typed: &'static str, said: &'static str) -> Refused {
    Refused {
        before,
        typed,
        said,
        only: None,
    }
}

impl Refused {
    /// Whether it is for the family's tool.
    pub fn is_of(&self, family: Family) -> bool {
        is_of(self.only, &[self.typed], family)
    }

    /// See [`Taken::only`].
    pub const fn only(mut self, family: Family) -> Self {
        self.only = Some(family);
        self
    }
}

/// What has an address is of its family, and what has none is of both.
fn is_of(only: Option<Family>, texts: &[&str], family: Family) -> bool {
    match only {
        Some(only) => only == family,
        None => families_in(texts).next().is_none_or(|it| it == family),
    }
}

/// Those of the addresses in texts.
fn families_in(texts: &[&str]) -> impl Iterator<Item = Family> {
    fn parts(letter: char) -> bool {
        !letter.is_ascii_hexdigit() && letter != ':' && letter != '.'
    }
    let words = texts.iter().flat_map(|text| text.split(parts));
    let addresses = words.filter_map(|word| {
        let of_four = word.split(':').find_map(|it| it.parse::<Ipv4Addr>().ok());
        let of_six = word.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
        of_six.or(of_four.map(IpAddr::V4))
    });
    addresses.map(Family::of)
}

/// A packet that matches.
pub const fn passes(before: &'static str, typed: &'static str, packet: &'static str) -> Judged {
    fails(before, typed, packet, "")
}

/// A packet that does not match, and the sentence that says why.
pub const fn fails(before: &'static str, typed: &'static str, packet: &'static str, why: &'static str) -> Judged {
    Judged {
        before,
        typed,
        earlier: &[],
        packet,
        why,
    }
}

impl Judged {
    /// That of its packet.
    pub fn family(&self) -> Family {
        let is_of_six = match self.packet.strip_prefix("hex ") {
            Some(bytes) => bytes.starts_with('6'),
            None => families_in(&[self.packet]).next() == Some(Family::V6),
        };
        if is_of_six { Family::V6 } else { Family::V4 }
    }

    /// With packets that went before it, in the language of scripts, each behind the name of the interface it came in by.
    pub const fn after(mut self, earlier: &'static [&'static str]) -> Self {
        self.earlier = earlier;
        self
    }
}
