//! `-j SNAT`: gives the flow another source.

use super::nat_range::{self, Shift};
use super::to_addresses::End;
use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::option::{Opt, Read};
use crate::nat::{Manip, NatRange};
use crate::rule::Hook;

pub const SPEC: TargetSpec = TargetSpec {
    name: "SNAT",
    listed_as: "SNAT",
    families: &[Family::V4],
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AddressRange, PortRange, protocol};
    use crate::ext::testing::{ANY, Bench, ICMP, P, TCP, UDP, placed, read_target, target_errors, target_texts, udp};
    use crate::rule::{Table, TargetVerdict};

    #[test]
    fn texts_of_the_real_tool() {
        for (typed, to) in [
            ("1.2.3.4", "1.2.3.4"),
            ("1.2.3.4-1.2.3.9", "1.2.3.4-1.2.3.9"),
            // Upside down, and kept so.
            ("1.2.3.9-1.2.3.4", "1.2.3.9-1.2.3.4"),
            ("1.2.3.4-1.2.3.4", "1.2.3.4"),
            ("1.2.3.4:80-90", "1.2.3.4:80-90"),
            ("1.2.3.4:80-80", "1.2.3.4:80"),
            (":80-90", ":80-90"),
            ("1.2.3.4-1.2.3.9:http", "1.2.3.4-1.2.3.9:80"),
            ("1.2.3.4:0-5", "1.2.3.4:0-5"),
            ("1.2.3.4:ftp-data", "1.2.3.4:20"),
            // The base of a shifted range is lost here.
            ("1.2.3.4:80-90/85", "1.2.3.4:80-90/0"),
        ] {
            let (saved, listed) = (format!(" --to-source {to}"), format!(" to:{to}"));
            if to.contains('/') {
                let made = read_target(&SPEC, TCP, &format!("--to-source {typed}")).unwrap();
                let mut out = String::new();
                made.save(&mut out);
                assert_eq!(out, saved);
                continue;
            }
            target_texts(
                &SPEC,
                TCP,
                &[(&format!("--to-source {typed}"), &saved, &listed, &listed)],
            );
        }
        let all = "--to-source 1.2.3.4 --random --random-fully --persistent";
        let listed = " to:1.2.3.4 random random-fully persistent";
        target_texts(&SPEC, ANY, &[(all, &format!(" {all}"), listed, listed)]);
    }

    #[test]
    fn errors_of_the_real_tool() {
        let needs = "Need TCP, UDP, SCTP or DCCP with port specification";
        for p in [ANY, P(protocol::GRE, false), P(protocol::UDPLITE, false)] {
            target_errors(&SPEC, p, &[("--to-source 1.2.3.4:80", needs)]);
        }
        for p in [UDP, ICMP, P(protocol::TCP, true), P(protocol::DCCP, false)] {
            assert!(read_target(&SPEC, p, "--to-source 1.2.3.4:80").is_ok());
        }
        target_errors(
            &SPEC,
            TCP,
            &[
                ("", "SNAT: option \"--to-source\" must be specified\n"),
                ("--random", "SNAT: option \"--to-source\" must be specified\n"),
                (
                    "--to-source 1.2.3.4 --to-source 1.2.3.5",
                    "SNAT: option \"--to-source\" can only be used once.\n",
                ),
                (
                    "! --to-source 1.2.3.4",
                    "SNAT: option \"--to-source\" cannot be inverted.\n",
                ),
                ("--to-source 1.2.3.4:90-80", "Port range `80' funky"),
                ("--to-source 1.2.3.4:90-80/5", "Port range `80/5' funky"),
                ("--to-source 1.2.3.4:65536", "Port `65536' not valid"),
                ("--to-source 1.2.3.4:80-", "Port `' not valid"),
                ("--to-source 1.2.3.4:80-http", "Port `http' not valid"),
                ("--to-source 1.2.3.4:http-https", "Port `http-https' not valid"),
                ("--to-source 1.2.3.4:-80", "Port `-80' not valid"),
                ("--to-source :", "Port `' not valid"),
                ("--to-source x:y", "Port `y' not valid"),
                ("--to-source 1.2.3.4:80x", "Garbage after port value: `x'"),
                ("--to-source 1.2.3.4:80-90-100", "Garbage after port range: `-100'"),
                ("--to-source 1.2.3.4:80-90/x", "Port `x' not valid"),
                ("--to-source 1.2.3.4:80:90", "Bad IP address \"1.2.3.4:80:90\""),
                ("--to-source 1.2.3.4:80-90:5", "Bad IP address \"1.2.3.4:80\""),
                ("--to-source 01.2.3.4", "Bad IP address \"01.2.3.4\""),
                ("--to-source 1.2.3.4/24", "Bad IP address \"1.2.3.4/24\""),
                ("--to-source 1.2.3.4-", "Bad IP address \"\""),
                ("--to-source \"\"", "Bad IP address \"\""),
                ("--to-source ::1", "Bad IP address \"::1\""),
                ("--to-source localhost", "Bad IP address \"localhost\""),
            ],
        );
    }

    #[test]
    fn places() {
        let made = read_target(&SPEC, ANY, "--to-source 1.2.3.4").unwrap();
        let at = |table, hooks: &[Hook]| placed(ANY, table, hooks, |scope| made.check(scope));
        assert_eq!(at(Table::Nat, &[Hook::Postrouting]), Ok(()));
        assert_eq!(at(Table::Nat, &[Hook::Input]), Ok(()));
        assert_eq!(
            at(Table::Nat, &[Hook::Prerouting]),
            Err(
                "x_tables: ip_tables: SNAT target: used from hooks PREROUTING, but only usable from INPUT/POSTROUTING"
                    .to_owned()
            )
        );
        assert_eq!(
            at(Table::Filter, &[Hook::Forward]),
            Err("x_tables: ip_tables: SNAT target: only valid in nat table, not filter".to_owned())
        );
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
