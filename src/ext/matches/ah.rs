//! `-m ah` of IPv4: the authentication header of IPsec.

use super::authentication::{self, SPI};
use crate::base::{Family, protocol};
use crate::ext::MatchSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::samples::{Samples, fails, passes, refused, taken};

pub(crate) const SPEC: MatchSpec = MatchSpec {
    name: authentication::NAME,
    aliases: &[],
    families: &[Family::V4],
    like: None,
    protocol: Some(protocol::AH),
    options: &[SPI.option.spec],
    needs_one: None,
    exclusive: &[],
    build: authentication::build,
    unlist: authentication::unlist,
    directory: None,
    about: "the authentication header of IPsec",
    samples: SAMPLES,
};

const SAMPLES: Samples = Samples {
    place: ("filter", "FORWARD"),
    taken: &[
        taken("-p ah", "", "", "ah "),
        taken("-p ah", "--ahspi 5", "--ahspi 5", "ah spi:5"),
        taken("-p ah", "--ahspi 5:10", "--ahspi 5:10", "ah spis:5:10"),
        taken("-p ah", "--ahspi 10:5", "--ahspi 10:5", "ah spis:10:5"),
        taken("-p ah", "! --ahspi 5", "! --ahspi 5", "ah spi:!5"),
        taken("-p ah", "! --ahspi 5:10", "! --ahspi 5:10", "ah spis:!5:10"),
        taken("-p ah", "--ahspi :", "", "ah "),
        taken("-p ah", "! --ahspi :", "", "ah spis:!0:4294967295").lossy(),
        taken("-p ah", "--ahspi 5:", "--ahspi 5:4294967295", "ah spis:5:4294967295"),
        taken("-p ah", "--ahspi :5", "--ahspi 0:5", "ah spis:0:5"),
        taken("-p ah", "--ahspi 5:5", "--ahspi 5", "ah spi:5"),
        taken("-p ah", "--ahspi 0", "--ahspi 0", "ah spi:0"),
        taken("-p ah", "--ahspi 0x10", "--ahspi 16", "ah spi:16"),
        taken("-p ah", "--ahspi 4294967295", "--ahspi 4294967295", "ah spi:4294967295"),
        taken("-p ah", "--ahspi \"\"", "--ahspi 0", "ah spi:0"),
    ],
    refused: &[
        refused(
            "-p ah",
            "--ahspi 4294967296",
            "ah: bad value for option \"--ahspi\" near \"4294967296\", or out of range (0-4294967295).\n",
        ),
        refused(
            "-p ah",
            "--ahspi x",
            "ah: bad value for option \"--ahspi\" near \"x\", or out of range (0-4294967295).\n",
        ),
        refused(
            "-p ah",
            "--ahspi -1",
            "ah: bad value for option \"--ahspi\" near \"-1\", or out of range (0-4294967295).\n",
        ),
        refused(
            "-p ah",
            "--ahspi 5-6",
            "ah: Argument to \"--ahspi\" has unexpected characters near \"-6\".\n",
        ),
        refused(
            "-p ah",
            "--ahspi 5 --ahspi 6",
            "ah: option \"--ahspi\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes(
            "-p ah",
            "",
            "ip 10.0.0.2 > 192.0.2.9 proto 51 data 0x1104000000000005000000010000000000000000000000000000",
        ),
        passes(
            "-p ah",
            "--ahspi 5",
            "ip 10.0.0.2 > 192.0.2.9 proto 51 data 0x1104000000000005000000010000000000000000000000000000",
        ),
        passes(
            "-p ah",
            "! --ahspi 6:7",
            "ip 10.0.0.2 > 192.0.2.9 proto 51 data 0x1104000000000005000000010000000000000000000000000000",
        ),
        fails(
            "-p ah",
            "--ahspi 6:7",
            "ip 10.0.0.2 > 192.0.2.9 proto 51 data 0x1104000000000005000000010000000000000000000000000000",
            "--ahspi 6:7: packet has 5",
        ),
        fails(
            "-p ah",
            "! --ahspi 5",
            "ip 10.0.0.2 > 192.0.2.9 proto 51 data 0x1104000000000005000000010000000000000000000000000000",
            "! --ahspi 5: packet has 5",
        ),
        fails(
            "-p ah",
            "! --ahspi :",
            "ip 10.0.0.2 > 192.0.2.9 proto 51 data 0x1104000000000005000000010000000000000000000000000000",
            "! --ahspi 0:4294967295: packet has 5",
        ),
        fails(
            "-p ah",
            "--ahspi 5",
            "ip 10.0.0.2 > 192.0.2.9 proto 51 data 0x1104000000000005000000",
            "ah: packet's headers are cut short",
        ),
    ],
    spellings: &[
        "-p ah -m ah",
        "-p ah -m ah --ahspi 5",
        "-p ah -m ah --ahspi 5:5",
        "-p ah -m ah --ahspi :",
        "-p ah -m ah ! --ahspi :",
        "-p ah -m ah ! --ahspi 5",
        "-p ah -m ah --ahspi 6",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |_| 60,
    |draw| {
        draw.maybe(2, &SPI.option.spec, &["0:2147483647", "5", ":", "2147483648:", "6:5"]);
    },
);
