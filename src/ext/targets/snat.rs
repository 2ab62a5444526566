//! `-j SNAT`: gives the flow another source.

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
    name: "SNAT",
    listed_as: "SNAT",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[
        TO.spec,
        nat_range::RANDOM.spec,
        nat_range::RANDOM_FULLY.spec,
        nat_range::PERSISTENT.spec,
    ],
    needs_one: None,
    exclusive: &[],
    build: |given| Ok(SNAT.build(given)),
    unlist: |listed| SNAT.unlist(listed),
    about: "gives the flow another source",
    samples: SAMPLES,
};

const TO: Opt<NatRange> = nat_range::addresses(
    "to-source",
    &Read(|text, given| nat_range::to(text, given, Shift::Lost)),
    "the addresses and ports to take the source from",
);

static SNAT: End = End {
    spec: &SPEC,
    to: TO,
    manip: Manip::Source,
    hooks: &[Hook::Input, Hook::Postrouting],
};

const SAMPLES: Samples = Samples {
    place: ("nat", "POSTROUTING"),
    taken: &[
        taken("-p tcp", "--to-source 1.2.3.4", "--to-source 1.2.3.4", "to:1.2.3.4"),
        taken(
            "-p tcp",
            "--to-source 1.2.3.4-1.2.3.9",
            "--to-source 1.2.3.4-1.2.3.9",
            "to:1.2.3.4-1.2.3.9",
        ),
        taken(
            "-p tcp",
            "--to-source 1.2.3.9-1.2.3.4",
            "--to-source 1.2.3.9-1.2.3.4",
            "to:1.2.3.9-1.2.3.4",
        ),
        taken(
            "-p tcp",
            "--to-source 1.2.3.4-1.2.3.4",
            "--to-source 1.2.3.4",
            "to:1.2.3.4",
        ),
        taken(
            "-p tcp",
            "--to-source 1.2.3.4:80-90",
            "--to-source 1.2.3.4:80-90",
            "to:1.2.3.4:80-90",
        ),
        taken(
            "-p tcp",
            "--to-source 1.2.3.4:80-80",
            "--to-source 1.2.3.4:80",
            "to:1.2.3.4:80",
        ),
        taken("-p tcp", "--to-source :80-90", "--to-source :80-90", "to::80-90"),
        taken(
            "-p tcp",
            "--to-source 1.2.3.4-1.2.3.9:http",
            "--to-source 1.2.3.4-1.2.3.9:80",
            "to:1.2.3.4-1.2.3.9:80",
        ),
        taken(
            "-p tcp",
            "--to-source 1.2.3.4:0-5",
            "--to-source 1.2.3.4:0-5",
            "to:1.2.3.4:0-5",
        ),
        taken(
            "-p tcp",
            "--to-source 1.2.3.4:ftp-data",
            "--to-source 1.2.3.4:20",
            "to:1.2.3.4:20",
        ),
        taken(
            "",
            "--to-source 1.2.3.4 --random --random-fully --persistent",
            "--to-source 1.2.3.4 --random --random-fully --persistent",
            "to:1.2.3.4 random random-fully persistent",
        ),
        // The base of a shifted range is lost here.
        taken(
            "-p tcp",
            "--to-source 1.2.3.4:80-90/85",
            "--to-source 1.2.3.4:80-90/0",
            "to:1.2.3.4:80-90/0",
        )
        .lossy(),
        taken(
            "-p tcp",
            "--to-source 2001:DB8::9",
            "--to-source 2001:db8::9",
            "to:2001:db8::9",
        ),
        taken(
            "-p tcp",
            "--to-source 2001:db8::9-2001:db8::10",
            "--to-source 2001:db8::9-2001:db8::10",
            "to:2001:db8::9-2001:db8::10",
        ),
        taken(
            "-p tcp",
            "--to-source [2001:db8::9]:80-90",
            "--to-source [2001:db8::9]:80-90",
            "to:[2001:db8::9]:80-90",
        ),
        taken(
            "-p tcp",
            "--to-source [2001:db8::9-2001:db8::10]:http",
            "--to-source [2001:db8::9-2001:db8::10]:80",
            "to:[2001:db8::9-2001:db8::10]:80",
        ),
        taken("-p tcp", "--to-source []:80", "--to-source :80", "to::80").only(Family::V6),
        taken("-p tcp", "--to-source x[::1]y", "--to-source ::1", "to:::1"),
        taken(
            "-p tcp",
            "--to-source 2001:db8::9:80",
            "--to-source 2001:db8::9:80",
            "to:2001:db8::9:80",
        ),
        taken(
            "-p tcp",
            "--to-source ::1.2.3.4",
            "--to-source ::1.2.3.4",
            "to:::1.2.3.4",
        ),
        taken(
            "-p tcp",
            "--to-source [2001:db8::9]:80-90/85",
            "--to-source [2001:db8::9]:80-90/0",
            "to:[2001:db8::9]:80-90/0",
        )
        .lossy(),
        taken(
            "-p udp",
            "--to-source 1.2.3.4:80",
            "--to-source 1.2.3.4:80",
            "to:1.2.3.4:80",
        ),
        taken(
            "-p icmp",
            "--to-source 1.2.3.4:80",
            "--to-source 1.2.3.4:80",
            "to:1.2.3.4:80",
        ),
        taken(
            "! -p tcp",
            "--to-source 1.2.3.4:80",
            "--to-source 1.2.3.4:80",
            "to:1.2.3.4:80",
        ),
        taken(
            "-p dccp",
            "--to-source 1.2.3.4:80",
            "--to-source 1.2.3.4:80",
            "to:1.2.3.4:80",
        ),
    ],
    refused: &[
        refused(
            "",
            "--to-source 1.2.3.4:80",
            "Need TCP, UDP, SCTP or DCCP with port specification",
        ),
        refused(
            "-p 47",
            "--to-source 1.2.3.4:80",
            "Need TCP, UDP, SCTP or DCCP with port specification",
        ),
        refused(
            "-p udplite",
            "--to-source 1.2.3.4:80",
            "Need TCP, UDP, SCTP or DCCP with port specification",
        ),
        refused("-p tcp", "", "SNAT: option \"--to-source\" must be specified\n"),
        refused("-p tcp", "--random", "SNAT: option \"--to-source\" must be specified\n"),
        refused(
            "-p tcp",
            "--to-source 1.2.3.4 --to-source 1.2.3.5",
            "SNAT: option \"--to-source\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "! --to-source 1.2.3.4",
            "SNAT: option \"--to-source\" cannot be inverted.\n",
        ),
        refused("-p tcp", "--to-source 1.2.3.4:90-80", "Port range `80' funky"),
        refused("-p tcp", "--to-source 1.2.3.4:90-80/5", "Port range `80/5' funky"),
        refused("-p tcp", "--to-source 1.2.3.4:65536", "Port `65536' not valid"),
        refused("-p tcp", "--to-source 1.2.3.4:80-", "Port `' not valid"),
        refused("-p tcp", "--to-source 1.2.3.4:80-http", "Port `http' not valid"),
        refused(
            "-p tcp",
            "--to-source 1.2.3.4:http-https",
            "Port `http-https' not valid",
        ),
        refused("-p tcp", "--to-source 1.2.3.4:-80", "Port `-80' not valid"),
        refused("-p tcp", "--to-source :", "Port `' not valid"),
        refused("-p tcp", "--to-source x:y", "Port `y' not valid"),
        refused("-p tcp", "--to-source 1.2.3.4:80x", "Garbage after port value: `x'"),
        refused(
            "-p tcp",
            "--to-source 1.2.3.4:80-90-100",
            "Garbage after port range: `-100'",
        ),
        refused("-p tcp", "--to-source 1.2.3.4:80-90/x", "Port `x' not valid"),
        refused(
            "-p tcp",
            "--to-source 1.2.3.4:80:90",
            "Bad IP address \"1.2.3.4:80:90\"",
        ),
        refused("-p tcp", "--to-source 1.2.3.4:80-90:5", "Bad IP address \"1.2.3.4:80\""),
        refused("-p tcp", "--to-source 01.2.3.4", "Bad IP address \"01.2.3.4\""),
        refused("-p tcp", "--to-source 1.2.3.4/24", "Bad IP address \"1.2.3.4/24\""),
        refused("-p tcp", "--to-source 1.2.3.4-", "Bad IP address \"\""),
        refused("-p tcp", "--to-source \"\"", "Bad IP address \"\""),
        refused("-p tcp", "--to-source ::1", "Bad IP address \"::1\"").only(Family::V4),
        refused("-p tcp", "--to-source [1.2.3.4]:80", "Invalid address format"),
        refused("-p tcp", "--to-source 1.2.3.4:80", "Bad IP address \"1.2.3.4\"").only(Family::V6),
        refused("-p tcp", "--to-source [2001:db8::9", "Invalid address format"),
        refused(
            "-p tcp",
            "--to-source [2001:db8::9]-[2001:db8::10]:80",
            "Port `db8::10]:80' not valid",
        ),
        refused("-p tcp", "--to-source [::1]-::2", "Port `:2' not valid"),
        refused(
            "-p tcp",
            "--to-source [::1]:80:90",
            "Invalid port:port syntax - use dash",
        ),
        refused("-p tcp", "--to-source x[]:80", "Bad IP address \"\"").only(Family::V6),
        refused("-p tcp", "--to-source [[::1]]:80", "Bad IP address \"[::1\""),
        refused("-p tcp", "--to-source ::1]", "Bad IP address \"::1]\""),
        refused(
            "-p ipv6-icmp",
            "--to-source [::1]:80",
            "Need TCP, UDP, SCTP or DCCP with port specification",
        ),
        refused("-p tcp", "--to-source localhost", "Bad IP address \"localhost\""),
    ],
    packets: &[],
    spellings: &[
        "-p tcp -j SNAT --to 10.0.0.1",
        "-p tcp -j SNAT --to-source 10.0.0.1-10.0.0.1",
        "-p tcp -j SNAT --to 10.0.0.1:80",
        "-p tcp -j SNAT --to 10.0.0.1:80-80",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.table {
        Table::Nat if place.is_within(&[Hook::Postrouting]) => 50,
        Table::Nat if place.is_within(&[Hook::Postrouting, Hook::Input]) => 75,
        _ => 0,
    },
    |draw| {
        let mut address = draw.pick(&[
            "192.0.2.100",
            "192.0.2.1",
            "192.0.2.100-192.0.2.103",
            "192.0.2.101",
            "10.0.0.77",
        ]);
        let port = match draw.below(3) {
            0 if nat_range::may_have_ports(draw.place) => {
                draw.pick(&[":2000", ":6500-6999", ":6000-6999", ":6000-6500", ":6000-6400/6050"])
            }
            _ => "",
        };
        // Ports alone leave the address.
        if !port.is_empty() && draw.one_in(6) {
            address = "";
        }
        draw.give(&TO.spec, &[address, port].concat());
        nat_range::draw_random(draw, true);
        draw.maybe_flag(6, &nat_range::PERSISTENT.spec);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AddressRange, PortRange};
    use crate::ext::testing::{ANY, Bench, UDP, read_target, target_places, udp};
    use crate::rule::{Table, TargetVerdict};

    #[test]
    fn places() {
        target_places(
            &SPEC,
            ANY,
            "--to-source 1.2.3.4",
            &[
                (Table::Nat, &[Hook::Postrouting], ""),
                (Table::Nat, &[Hook::Input], ""),
                (
                    Table::Nat,
                    &[Hook::Prerouting],
                    "x_tables: ip_tables: SNAT target: used from hooks PREROUTING, but only usable from INPUT/POSTROUTING",
                ),
                (
                    Table::Filter,
                    &[Hook::Forward],
                    "x_tables: ip_tables: SNAT target: only valid in nat table, not filter",
                ),
            ],
        );
        let made = read_target(&SPEC, ANY, "--to-source 1.2.3.4").unwrap();
        assert!(made.needs_conntrack());
    }

    #[test]
    fn asks_for_a_mapping() {
        let mut bench = Bench::new();
        let made = read_target(&SPEC, UDP, "--to-source 1.2.3.4:1000-2000 --random").unwrap();
        assert_eq!(bench.apply(made.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Accept);
        let range = NatRange {
            addresses: Some(AddressRange::single([1, 2, 3, 4].into())),
            ports: Some(PortRange { low: 1000, high: 2000 }),
            random: true,
            ..NatRange::default()
        };
        assert_eq!(bench.mapped, [(range, Manip::Source)]);
    }
}
