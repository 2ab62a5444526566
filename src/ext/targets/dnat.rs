//! `-j DNAT`: gives the flow another destination.

use super::nat_range::{self, Shift};
use super::to_addresses::End;
use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::option::{Opt, Read};
use crate::nat::{Manip, NatRange};
use crate::rule::Hook;

pub const SPEC: TargetSpec = TargetSpec {
    name: "DNAT",
    listed_as: "DNAT",
    families: &[Family::V4],
    options: &[TO.spec, nat_range::RANDOM.spec, nat_range::PERSISTENT.spec],
    needs_one: None,
    exclusive: &[],
    build: |given| Ok(DNAT.build(given)),
    unlist: |listed| DNAT.unlist(listed),
    about: "gives the flow another destination",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AddressRange, PortRange};
    use crate::ext::testing::{ANY, Bench, ICMP, TCP, placed, read_target, target_errors, target_texts, udp};
    use crate::rule::{Table, TargetVerdict};

    #[test]
    fn texts_of_the_real_tool() {
        for (typed, to) in [
            ("1.2.3.4", "1.2.3.4"),
            ("1.2.3.4-1.2.3.9", "1.2.3.4-1.2.3.9"),
            ("1.2.3.4:80", "1.2.3.4:80"),
            ("1.2.3.4:80-90/85", "1.2.3.4:80-90/85"),
            (":80-90/70", ":80-90/70"),
            (":80-90/http", ":80-90/80"),
            (":80-90/5x", ":80-90/5"),
            (":http", ":80"),
            ("1.2.3.4:80-80", "1.2.3.4:80"),
            ("1.2.3.4:0", "1.2.3.4:0"),
        ] {
            let (saved, listed) = (format!(" --to-destination {to}"), format!(" to:{to}"));
            target_texts(
                &SPEC,
                TCP,
                &[(&format!("--to-destination {typed}"), &saved, &listed, &listed)],
            );
        }
        let all = "--to-destination 1.2.3.4 --random --persistent";
        let listed = " to:1.2.3.4 random persistent";
        target_texts(&SPEC, ANY, &[(all, &format!(" {all}"), listed, listed)]);
        // The base is printed beside a single port, which cannot be read again.
        let made = read_target(&SPEC, TCP, "--to-destination 1.2.3.4:80-80/5").unwrap();
        let mut saved = String::new();
        made.save(&mut saved);
        assert_eq!(saved, " --to-destination 1.2.3.4:80/5");
    }

    #[test]
    fn errors_of_the_real_tool() {
        target_errors(
            &SPEC,
            ANY,
            &[(
                "--to-destination 1.2.3.4:80",
                "Need TCP, UDP, SCTP or DCCP with port specification",
            )],
        );
        assert!(read_target(&SPEC, ICMP, "--to-destination 1.2.3.4:80").is_ok());
        target_errors(
            &SPEC,
            TCP,
            &[
                ("", "DNAT: option \"--to-destination\" must be specified\n"),
                ("--to-destination :80/70", "Garbage after port value: `/70'"),
                ("--to-destination :80-90/", "Port `' not valid"),
                ("--to-destination :80-90/0", "Port `0' not valid"),
                ("--to-destination :80-90/70000", "Port `70000' not valid"),
                ("--to-destination 1.2.3.4:http-90/10", "Port `http-90/10' not valid"),
                ("--to-destination 1.2.3.4:90-80", "Port range `80' funky"),
                ("--to-destination x:80", "Bad IP address \"x\""),
                (
                    "--to-destination 1.2.3.4 --to-destination 1.2.3.5",
                    "DNAT: option \"--to-destination\" can only be used once.\n",
                ),
            ],
        );
    }

    #[test]
    fn places() {
        let made = read_target(&SPEC, ANY, "--to-destination 1.2.3.4").unwrap();
        let at = |table, hooks: &[Hook]| placed(ANY, table, hooks, |scope| made.check(scope));
        assert_eq!(at(Table::Nat, &[Hook::Prerouting, Hook::Output]), Ok(()));
        assert_eq!(
            at(Table::Nat, &[Hook::Input]),
            Err(
                "x_tables: ip_tables: DNAT target: used from hooks INPUT, but only usable from PREROUTING/OUTPUT"
                    .to_owned()
            )
        );
        assert_eq!(
            at(Table::Filter, &[Hook::Input]),
            Err("x_tables: ip_tables: DNAT target: only valid in nat table, not filter".to_owned())
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
