//! `-m ipcomp`: the parameters index of compressed packets (RFC 3173).

use std::fmt::Write;
use std::sync::Arc;

use super::header::Miss;
use super::numbers::{Numbers, numbers};
use super::spi_header;
use crate::base::Family;
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Asked, Given, IntegerRange, Opt, UsageError};
use crate::ext::place::only_protocol;
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::rule::{Condition, Context, Effect, Ends, Lowered, Match, Matched, Refusal, Scope};
use crate::wire::be16;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "ipcomp",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: Some(IPCOMP),
    options: &[SPI.option.spec, RESERVED.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the parameters index of compressed packets",
    samples: SAMPLES,
};

const SPI: Numbers = Numbers {
    option: numbers(
        "ipcompspi",
        "the parameters index lies in the range; 0 where nothing is said",
    ),
    listed: "spi",
};

const RESERVED: Opt<()> = Opt::flag("compres", "the flags are 0, says the tool; the kernel does not ask");

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    Ok(Arc::new(IpComp {
        // Seen: an index of 0 is asked for where nothing was said.
        spi: given.get(SPI.option).unwrap_or_default(),
        reserved: given.has(RESERVED),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct IpComp {
    spi: Asked<IntegerRange>,
    reserved: bool,
}

impl IpComp {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<u32>> {
        spi_header::check(cx.packet, HEADER, |bytes| be16(bytes, 2).into(), Some(self.spi))
    }
}

/// What was compressed, flags, index.
const HEADER: usize = 4;

const IPCOMP: u8 = 108;

impl Match for IpComp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn lower(&self) -> Lowered {
        Lowered::at_least(vec![Condition::Header(HEADER as u8)])
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "ipcomp: matches".to_owned(),
            Err(Miss::LaterFragment) => "ipcomp: packet is a later fragment without an IPComp header".to_owned(),
            Err(Miss::CutShort) => "ipcomp: packet's IPComp header is cut short".to_owned(),
            Err(Miss::Has(found)) => SPI.sentence(Some(self.spi), found),
        }
    }

    fn save(&self, out: &mut String) {
        SPI.save(out, Some(self.spi));
        if self.reserved {
            let _ = write!(out, " {}", RESERVED.spelled(false));
        }
    }

    /// With a blank behind its name, also where nothing follows.
    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" comp ");
        SPI.list(out, Some(self.spi));
        if self.reserved {
            out.push_str(" reserved");
        }
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_protocol(scope, "ipcomp match", IPCOMP)
    }
}

/// ` comp spis:!5:10 reserved`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("comp")?;
        it.rest = it.rest.strip_prefix(' ').unwrap_or(it.rest);
        let mut options = Options::default();
        // Without an index it is all of them.
        let has_index =
            !it.rest.starts_with(' ') && it.peek().is_some_and(|word| SPI.unlist(word, &mut options).is_some());
        match has_index {
            true => drop(it.take()),
            false => options.push(false, SPI.option.name(), ":"),
        }
        if it.word("reserved").is_some() {
            options.push(false, RESERVED.name(), "");
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p ipcomp", "", "--ipcompspi 0", "comp spi:0"),
        taken("-p ipcomp", "--ipcompspi 5", "--ipcompspi 5", "comp spi:5"),
        taken("-p ipcomp", "--ipcompspi 5:10", "--ipcompspi 5:10", "comp spis:5:10"),
        taken(
            "-p ipcomp",
            "! --ipcompspi :0x10",
            "! --ipcompspi 0:16",
            "comp spis:!0:16",
        ),
        taken("-p ipcomp", "--ipcompspi :", "", "comp ").lossy(),
        taken("-p ipcomp", "! --ipcompspi :", "", "comp spis:!0:4294967295").lossy(),
        taken("-p ipcomp", "--ipcompspi 10:5", "--ipcompspi 10:5", "comp spis:10:5"),
        taken(
            "-p ipcomp",
            "--ipcompspi 5:",
            "--ipcompspi 5:4294967295",
            "comp spis:5:4294967295",
        ),
        taken("-p ipcomp", "--ipcompspi \"\"", "--ipcompspi 0", "comp spi:0"),
        taken(
            "-p ipcomp",
            "--ipcompspi 5 --compres",
            "--ipcompspi 5 --compres",
            "comp spi:5 reserved",
        ),
        taken(
            "-p ipcomp",
            "--compres",
            "--ipcompspi 0 --compres",
            "comp spi:0 reserved",
        ),
    ],
    refused: &[
        refused(
            "-p ipcomp",
            "--ipcompspi 4294967296",
            "ipcomp: bad value for option \"--ipcompspi\" near \"4294967296\", or out of range (0-4294967295).\n",
        ),
        refused(
            "-p ipcomp",
            "--ipcompspi 1:2:3",
            "ipcomp: Too many components for option \"--ipcompspi\" (max: 2)\n",
        ),
        refused(
            "-p ipcomp",
            "--ipcompspi 5 --ipcompspi 6",
            "ipcomp: option \"--ipcompspi\" can only be used once.\n",
        ),
        refused(
            "-p ipcomp",
            "! --compres",
            "ipcomp: option \"--compres\" cannot be inverted.\n",
        ),
        refused(
            "-p ipcomp",
            "--compres --compres",
            "ipcomp: option \"--compres\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("-p ipcomp", "--ipcompspi 5", PACKET),
        // Its flags are not 0.
        passes("-p ipcomp", "--ipcompspi 5 --compres", PACKET),
        passes("-p ipcomp", "! --ipcompspi 6:7", PACKET),
        fails("-p ipcomp", "", PACKET, "--ipcompspi 0: packet has 5"),
        fails(
            "-p ipcomp",
            "--ipcompspi 6 --compres",
            PACKET,
            "--ipcompspi 6: packet has 5",
        ),
        fails("-p ipcomp", "! --ipcompspi 5", PACKET, "! --ipcompspi 5: packet has 5"),
        fails(
            "-p ipcomp",
            "--ipcompspi 5",
            "ip 10.0.0.2 > 192.0.2.9 proto 108 data 0x040000",
            "ipcomp: packet's IPComp header is cut short",
        ),
    ],
    spellings: &[
        "-p ipcomp -m ipcomp",
        "-p ipcomp -m ipcomp --ipcompspi 0",
        "-p ipcomp -m ipcomp --ipcompspi 5",
        "-p ipcomp -m ipcomp --ipcompspi 5:5",
        "-p ipcomp -m ipcomp --ipcompspi :",
        "-p ipcomp -m ipcomp --compres",
        "-p ipcomp -m ipcomp ! --ipcompspi 5",
    ],
    drawn: DRAWN,
};

const PACKET: &str = "ip 10.0.0.2 > 192.0.2.9 proto 108 data 0x04ff0005aabbccdd";

const DRAWN: Drawn = drawn(
    |_| 60,
    |draw| {
        draw.maybe(2, &SPI.option.spec, &["0:2147483647", "5", ":", "6:5"]);
        draw.maybe(4, &RESERVED.spec, &[""]);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{Bench, P, TCP, ip, match_packets, match_places};
    use crate::rule::{Hook, Table};

    #[test]
    fn needs_its_protocol() {
        let other = "x_tables: ip_tables: ipcomp match: only valid for protocol 108";
        for (p, said) in [(P(IPCOMP, false), ""), (TCP, other), (P(IPCOMP, true), other)] {
            match_places(&SPEC, p, "--ipcompspi 80", &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    #[test]
    fn packets() {
        let bench = Bench::new();
        let whole = ip(IPCOMP, 0, &[4, 0, 0, 5]);
        let cut = ip(IPCOMP, 0, &[4, 0, 0]);
        let later = ip(IPCOMP, 1, &[4, 0, 0, 5]);
        match_packets(
            &SPEC,
            P(IPCOMP, false),
            &bench,
            &[
                ("--ipcompspi 5", &whole, ""),
                ("", &whole, "--ipcompspi 0: packet has 5"),
                ("", &cut, "ipcomp: packet's IPComp header is cut short"),
                (
                    "",
                    &later,
                    "ipcomp: packet is a later fragment without an IPComp header",
                ),
            ],
        );
    }
}
