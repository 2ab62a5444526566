//! `-j DNAT`: gives the flow another destination.

use super::nat_range::{self, Shift};
use super::to_addresses::End;
use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::{Opt, Read};
use crate::ext::samples::{Samples, refused, taken};
use crate::nat::{Manip, NatRange};
use crate::rule::{Hook, Table};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "DNAT",
    listed_as: "DNAT",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[TO.spec, nat_range::RANDOM.spec, nat_range::PERSISTENT.spec],
    needs_one: None,
    exclusive: &[],
    build: |given| Ok(DNAT.build(given)),
    unlist: |listed| DNAT.unlist(listed),
    about: "gives the flow another destination",
    samples: SAMPLES,
};

const TO: Opt<NatRange> = nat_range::addresses(
    "to-destination",
    &Read(|text, given| nat_range::to(text, given, Shift::Kept)),
    "the addresses and ports to take the destination from; after a slash the port that the first of the range stands for",
);

static DNAT: End = End {
    spec: &SPEC,
    to: TO,
    manip: Manip::Destination,
    hooks: &[Hook::Prerouting, Hook::Output],
};

const SAMPLES: Samples = Samples {
    place: ("nat", "PREROUTING"),
    taken: &[
        taken(
            "-p tcp",
            "--to-destination 1.2.3.4",
            "--to-destination 1.2.3.4",
            "to:1.2.3.4",
        ),
        taken(
            "-p tcp",
            "--to-destination [2001:db8::9]:80-90/85 --persistent --random",
            "--to-destination [2001:db8::9]:80-90/85 --random --persistent",
            "to:[2001:db8::9]:80-90/85 random persistent",
        ),
        taken(
            "-p tcp",
            "--to-destination 1.2.3.4-1.2.3.9",
            "--to-destination 1.2.3.4-1.2.3.9",
            "to:1.2.3.4-1.2.3.9",
        ),
        taken(
            "-p tcp",
            "--to-destination 1.2.3.4:80",
            "--to-destination 1.2.3.4:80",
            "to:1.2.3.4:80",
        ),
        taken(
            "-p tcp",
            "--to-destination 1.2.3.4:80-90/85",
            "--to-destination 1.2.3.4:80-90/85",
            "to:1.2.3.4:80-90/85",
        ),
        taken(
            "-p tcp",
            "--to-destination :80-90/70",
            "--to-destination :80-90/70",
            "to::80-90/70",
        ),
        taken(
            "-p tcp",
            "--to-destination :80-90/http",
            "--to-destination :80-90/80",
            "to::80-90/80",
        ),
        taken(
            "-p tcp",
            "--to-destination :80-90/5x",
            "--to-destination :80-90/5",
            "to::80-90/5",
        ),
        taken("-p tcp", "--to-destination :http", "--to-destination :80", "to::80"),
        taken(
            "-p tcp",
            "--to-destination 1.2.3.4:80-80",
            "--to-destination 1.2.3.4:80",
            "to:1.2.3.4:80",
        ),
        taken(
            "-p tcp",
            "--to-destination 1.2.3.4:0",
            "--to-destination 1.2.3.4:0",
            "to:1.2.3.4:0",
        ),
        taken(
            "",
            "--to-destination 1.2.3.4 --random --persistent",
            "--to-destination 1.2.3.4 --random --persistent",
            "to:1.2.3.4 random persistent",
        ),
        // The base is printed beside a single port, which cannot be read again.
        taken(
            "-p tcp",
            "--to-destination 1.2.3.4:80-80/5",
            "--to-destination 1.2.3.4:80/5",
            "to:1.2.3.4:80/5",
        )
        .lossy(),
        taken(
            "-p icmp",
            "--to-destination 1.2.3.4:80",
            "--to-destination 1.2.3.4:80",
            "to:1.2.3.4:80",
        ),
    ],
    refused: &[
        refused(
            "",
            "--to-destination 1.2.3.4:80",
            "Need TCP, UDP, SCTP or DCCP with port specification",
        ),
        refused("-p tcp", "", "DNAT: option \"--to-destination\" must be specified\n"),
        refused("-p tcp", "--to-destination :80/70", "Garbage after port value: `/70'"),
        refused("-p tcp", "--to-destination :80-90/", "Port `' not valid"),
        refused("-p tcp", "--to-destination :80-90/0", "Port `0' not valid"),
        refused("-p tcp", "--to-destination :80-90/70000", "Port `70000' not valid"),
        refused(
            "-p tcp",
            "--to-destination 1.2.3.4:http-90/10",
            "Port `http-90/10' not valid",
        ),
        refused("-p tcp", "--to-destination 1.2.3.4:90-80", "Port range `80' funky"),
        refused("-p tcp", "--to-destination x:80", "Bad IP address \"x\""),
        refused(
            "-p tcp",
            "--to-destination 1.2.3.4 --to-destination 1.2.3.5",
            "DNAT: option \"--to-destination\" can only be used once.\n",
        ),
    ],
    packets: &[],
    spellings: &[
        "-p tcp -j DNAT --to 10.0.0.1",
        "-p tcp -j DNAT --to-destination 10.0.0.1-10.0.0.1",
        "-p tcp -j DNAT --to 10.0.0.1:80",
        "-p tcp -j DNAT --to 10.0.0.1:80-80",
        "-p tcp -j DNAT --to 10.0.0.1 --random",
        "-p tcp -j DNAT --to 10.0.0.1 --persistent",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| {
        let may_stand = place.table == Table::Nat && place.is_within(&[Hook::Prerouting, Hook::Output]);
        if may_stand { 55 } else { 0 }
    },
    |draw| {
        let mut address = draw.pick(&[
            "10.0.0.2",
            "10.0.0.3",
            "10.0.0.2-10.0.0.3",
            "192.0.2.9",
            "192.0.2.1",
            "10.0.0.128-10.0.0.135",
            "198.51.100.7",
            "127.0.0.1",
        ]);
        let port = match draw.below(8) {
            at if !nat_range::may_have_ports(draw.place) || at > 5 => "",
            at => [":8080", ":8080", ":8000-8005", ":1000-1100/80", DRAWN_PORTS, ":80"][at as usize],
        };
        // Ports alone leave the address.
        if !port.is_empty() && draw.one_in(6) {
            address = "";
        }
        draw.give(&TO.spec, &[address, port].concat());
        match port {
            "" => nat_range::draw_random(draw, false),
            DRAWN_PORTS => draw.give(&nat_range::RANDOM.spec, ""),
            _ => {}
        }
        draw.maybe_flag(6, &nat_range::PERSISTENT.spec);
    },
);

const DRAWN_PORTS: &str = ":9000-9010";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AddressRange, PortRange};
    use crate::ext::testing::{ANY, Bench, TCP, read_target, target_places, udp};
    use crate::rule::{Table, TargetVerdict};

    #[test]
    fn places() {
        target_places(
            &SPEC,
            ANY,
            "--to-destination 1.2.3.4",
            &[
                (Table::Nat, &[Hook::Prerouting, Hook::Output], ""),
                (
                    Table::Nat,
                    &[Hook::Input],
                    "x_tables: ip_tables: DNAT target: used from hooks INPUT, but only usable from PREROUTING/OUTPUT",
                ),
                (
                    Table::Filter,
                    &[Hook::Input],
                    "x_tables: ip_tables: DNAT target: only valid in nat table, not filter",
                ),
            ],
        );
    }

    #[test]
    fn asks_for_a_mapping() {
        let mut bench = Bench::new();
        let made = read_target(&SPEC, TCP, "--to-destination 1.2.3.4-1.2.3.9:80-90/85").unwrap();
        assert_eq!(bench.apply(made.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Accept);
        let range = NatRange {
            addresses: Some(AddressRange {
                low: [1, 2, 3, 4].into(),
                high: [1, 2, 3, 9].into(),
            }),
            ports: Some(PortRange { low: 80, high: 90 }),
            port_base: Some(85),
            ..NatRange::default()
        };
        assert_eq!(bench.mapped, [(range, Manip::Destination)]);
    }
}
