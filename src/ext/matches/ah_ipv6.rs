//! `-m ah` of IPv6: the authentication header of IPsec.

use super::authentication::{self, LENGTH, RESERVED, SPI};
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::samples::{DATAGRAM6, Samples, fails, passes, refused, taken};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: authentication::NAME,
    aliases: &[],
    families: &[Family::V6],
    like: None,
    // No rule with `-p ah` ever matches in IPv6, but it brings the match in.
    protocol: Some(protocol::AH),
    options: &[SPI.option.spec, LENGTH.spec, RESERVED.spec],
    needs_one: None,
    exclusive: &[],
    build: authentication::build,
    unlist: authentication::unlist,
    directory: None,
    about: "the authentication header of IPsec, an extension header of IPv6",
    samples: SAMPLES,
};

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("", "", "", "ah "),
        taken("", "--ahspi 5", "--ahspi 5", "ah spi:5"),
        taken("", "--ahspi 5:10", "--ahspi 5:10", "ah spis:5:10"),
        taken("", "--ahspi 10:5", "--ahspi 10:5", "ah spis:10:5"),
        taken("", "! --ahspi 5", "! --ahspi 5", "ah spi:!5"),
        taken("", "! --ahspi 5:10", "! --ahspi 5:10", "ah spis:!5:10"),
        taken("", "--ahspi :", "", "ah "),
        taken("", "! --ahspi :", "", "ah spis:!0:4294967295").lossy(),
        taken("", "--ahspi 5:", "--ahspi 5:4294967295", "ah spis:5:4294967295"),
        taken("", "--ahspi :5", "--ahspi 0:5", "ah spis:0:5"),
        taken("", "--ahspi 5:5", "--ahspi 5", "ah spi:5"),
        taken("", "--ahspi 0", "--ahspi 0", "ah spi:0"),
        taken("", "--ahspi 0x10", "--ahspi 16", "ah spi:16"),
        taken("", "--ahspi 4294967295", "--ahspi 4294967295", "ah spi:4294967295"),
        taken("", "--ahspi \"\"", "--ahspi 0", "ah spi:0"),
        taken("", "--ahlen 24", "--ahlen 24", "ah length:24"),
        taken("", "! --ahlen 24", "! --ahlen 24", "ah length:!24"),
        taken("", "--ahlen 0", "", "ah "),
        taken("", "! --ahlen 0", "! --ahlen 0", "ah length:!0"),
        taken("", "--ahres", "--ahres", "ah  reserved"),
        taken(
            "",
            "--ahres --ahspi 1 --ahlen 24",
            "--ahspi 1 --ahlen 24 --ahres",
            "ah spi:1length:24 reserved",
        ),
    ],
    refused: &[
        refused(
            "",
            "--ahspi 4294967296",
            "ah: bad value for option \"--ahspi\" near \"4294967296\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--ahspi x",
            "ah: bad value for option \"--ahspi\" near \"x\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--ahspi -1",
            "ah: bad value for option \"--ahspi\" near \"-1\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--ahspi 5-6",
            "ah: Argument to \"--ahspi\" has unexpected characters near \"-6\".\n",
        ),
        refused(
            "",
            "--ahspi 5 --ahspi 6",
            "ah: option \"--ahspi\" can only be used once.\n",
        ),
        refused(
            "",
            "--ahlen x",
            "ah: bad value for option \"--ahlen\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--ahlen 4294967296",
            "ah: bad value for option \"--ahlen\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--ahlen 1:2",
            "ah: bad value for option \"--ahlen\", or out of range (0-4294967295).\n",
        ),
        refused(
            "",
            "--ahlen 1 --ahlen 1",
            "ah: option \"--ahlen\" can only be used once.\n",
        ),
        refused("", "! --ahres", "ah: option \"--ahres\" cannot be inverted.\n"),
        refused("", "--ahres --ahres", "ah: option \"--ahres\" can only be used once.\n"),
    ],
    packets: &[
        passes("", "", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ah 5 1"),
        passes(
            "",
            "--ahspi 4:6 --ahlen 24 --ahres",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ah 5 1",
        ),
        passes("", "! --ahlen 16", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ah 5 1"),
        passes("", "! --ahlen 0", "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ah 5 1"),
        fails("", "", DATAGRAM6, "ah: packet has no authentication header"),
        fails(
            "",
            "--ahspi 6:7",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ah 5 1",
            "--ahspi 6:7: packet has 5",
        ),
        fails(
            "",
            "! --ahspi 5",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ah 5 1",
            "! --ahspi 5: packet has 5",
        ),
        fails(
            "",
            "--ahlen 16",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ah 5 1",
            "--ahlen 16: packet has 24",
        ),
        fails(
            "",
            "! --ahlen 24",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ah 5 1",
            "! --ahlen 24: packet has 24",
        ),
        fails(
            "",
            "--ahres",
            "udp [2001:db8::2]:1 > [2001:db8:1::9]:2 ext 51 0x0400010000000500000001000000000000000000000000",
            "--ahres: packet has reserved bits",
        ),
    ],
    spellings: &[
        "-m ah",
        "-m ah --ahspi 5",
        "-m ah --ahspi 5:5",
        "-m ah ! --ahspi :",
        "-m ah --ahlen 0",
        "-m ah ! --ahlen 0",
        "-m ah --ahlen 24",
        "-m ah --ahres",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 8,
    |draw| {
        draw.maybe(2, &SPI.option.spec, &["0:2147483647", "5", ":", "2147483648:", "6:5"]);
        draw.maybe(4, &LENGTH.spec, &["24", "0", "16"]);
        draw.maybe_flag(4, &RESERVED.spec);
    },
)
.in_one_scenario_of(4)
.without_protocol();
