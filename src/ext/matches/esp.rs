//! `-m esp`: the security parameters index of encrypted packets (RFC 4303).

use std::sync::Arc;

use super::header::Miss;
use super::numbers::{self, AskedNumbers, Numbers, numbers};
use super::spi_header;
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, UsageError};
use crate::ext::place::only_protocol;
use crate::ext::samples::{Samples, fails, passes, refused, taken};
use crate::rule::{Condition, Context, Effect, Ends, Lowered, Match, Matched, Refusal, Scope};
use crate::wire::be32;

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: "esp",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    like: None,
    protocol: Some(protocol::ESP),
    options: &[SPI.option.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    directory: None,
    about: "the security parameters index of encrypted packets",
    samples: SAMPLES,
};

const SPI: Numbers = Numbers {
    option: numbers("espspi", "the security parameters index lies in the range"),
    listed: "spi",
};

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    // All of them, unless turned round, is what the tool has where nothing was said.
    let spi = given.get(SPI.option).filter(numbers::is_something);
    Ok(Arc::new(Esp { spi }))
}

#[derive(Debug, PartialEq, Eq)]
struct Esp {
    spi: AskedNumbers,
}

impl Esp {
    fn check(&self, cx: &Context<'_>) -> Result<(), Miss<u32>> {
        spi_header::check(cx.packet, HEADER, |bytes| be32(bytes, 0), self.spi)
    }
}

/// Index and sequence number.
const HEADER: usize = 8;

impl Match for Esp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        self.check(cx).into()
    }

    fn lower(&self) -> Lowered {
        let conditions = vec![Condition::Header(HEADER as u8)];
        match self.spi {
            None => Lowered::exactly(conditions),
            Some(_) => Lowered::at_least(conditions),
        }
    }

    fn effect(&self) -> Effect {
        Effect::PURE.ending(Ends::Perhaps)
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        match self.check(cx) {
            Ok(()) => "esp: matches".to_owned(),
            Err(Miss::LaterFragment) => "esp: packet is a later fragment without an ESP header".to_owned(),
            Err(Miss::CutShort) => "esp: packet's ESP header is cut short".to_owned(),
            Err(Miss::Has(found)) => SPI.sentence(self.spi, found),
        }
    }

    fn save(&self, out: &mut String) {
        SPI.save(out, self.spi);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" esp");
        let mut spi = String::new();
        SPI.list(&mut spi, self.spi);
        if !spi.is_empty() {
            out.push(' ');
            out.push_str(&spi);
        }
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_protocol(scope, "esp match", protocol::ESP)
    }
}

/// ` esp spis:!5:10`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name)?;
        let mut options = Options::default();
        if it.peek().is_some_and(|word| SPI.unlist(word, &mut options).is_some()) {
            it.take();
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p esp", "", "", "esp"),
        taken("-p esp", "--espspi 5", "--espspi 5", "esp spi:5"),
        taken("-p esp", "--espspi 5:10", "--espspi 5:10", "esp spis:5:10"),
        taken("-p esp", "! --espspi :0x10", "! --espspi 0:16", "esp spis:!0:16"),
        taken("-p esp", "--espspi 0:4294967295", "", "esp"),
        taken("-p esp", "! --espspi :", "", "esp spis:!0:4294967295").lossy(),
        taken("-p esp", "--espspi 10:5", "--espspi 10:5", "esp spis:10:5"),
        taken(
            "-p esp",
            "--espspi 5:",
            "--espspi 5:4294967295",
            "esp spis:5:4294967295",
        ),
        taken("-p esp", "--espspi \"\"", "--espspi 0", "esp spi:0"),
        taken("-p esp", "--espspi 010", "--espspi 8", "esp spi:8"),
    ],
    refused: &[
        refused(
            "-p esp",
            "--espspi 4294967296",
            "esp: bad value for option \"--espspi\" near \"4294967296\", or out of range (0-4294967295).\n",
        ),
        refused(
            "-p esp",
            "--espspi 5:x",
            "esp: bad value for option \"--espspi\" near \"x\", or out of range (0-4294967295).\n",
        ),
        refused(
            "-p esp",
            "--espspi 1:2:3",
            "esp: Too many components for option \"--espspi\" (max: 2)\n",
        ),
        refused(
            "-p esp",
            "--espspi 5 --espspi 6",
            "esp: option \"--espspi\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("-p esp", "", PACKET),
        passes("-p esp", "--espspi 5", PACKET),
        passes("-p esp", "! --espspi 6:7", PACKET),
        fails("-p esp", "--espspi 6:7", PACKET, "--espspi 6:7: packet has 5"),
        fails("-p esp", "! --espspi 5", PACKET, "! --espspi 5: packet has 5"),
        fails(
            "-p esp",
            "! --espspi :",
            PACKET,
            "! --espspi 0:4294967295: packet has 5",
        ),
        fails(
            "-p esp",
            "--espspi 5",
            "ip 10.0.0.2 > 192.0.2.9 proto 50 data 0x00000005000000",
            "esp: packet's ESP header is cut short",
        ),
    ],
    spellings: &[
        "-p esp -m esp",
        "-p esp -m esp --espspi 5",
        "-p esp -m esp --espspi 5:5",
        "-p esp -m esp --espspi :",
        "-p esp -m esp ! --espspi :",
        "-p esp -m esp ! --espspi 5",
    ],
    drawn: DRAWN,
};

const PACKET: &str = "ip 10.0.0.2 > 192.0.2.9 proto 50 data 0x0000000500000001aabbccdd";

const DRAWN: Drawn = drawn(
    |_| 60,
    |draw| {
        draw.maybe(2, &SPI.option.spec, &["0:2147483647", "5", ":", "2147483648:", "6:5"]);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{Bench, P, TCP, ip, match_packets, match_places};
    use crate::rule::{Hook, Table};

    const ESP: P = P(protocol::ESP, false);

    #[test]
    fn needs_its_protocol() {
        let other = "x_tables: ip_tables: esp match: only valid for protocol 50";
        for (p, said) in [(ESP, ""), (TCP, other), (P(protocol::ESP, true), other)] {
            match_places(&SPEC, p, "--espspi 80", &[(Table::Filter, &[Hook::Input], said)]);
        }
    }

    #[test]
    fn packets() {
        let bench = Bench::new();
        let whole = ip(protocol::ESP, 0, &[0, 0, 0, 5, 0, 0, 0, 1]);
        let cut = ip(protocol::ESP, 0, &[0, 0, 0, 5, 0, 0, 0]);
        let later = ip(protocol::ESP, 1, &[0, 0, 0, 5, 0, 0, 0, 1]);
        match_packets(
            &SPEC,
            ESP,
            &bench,
            &[
                ("--espspi 5", &whole, ""),
                ("--espspi 6", &whole, "--espspi 6: packet has 5"),
                ("", &cut, "esp: packet's ESP header is cut short"),
                ("", &later, "esp: packet is a later fragment without an ESP header"),
            ],
        );
    }
}
