//! `-j DNAT`: gives the flow another destination.

use std::sync::Arc;

use super::nat_range::{self, Shift};
use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::ext::place::{only_hooks, only_table};
use crate::nat::{Manip, NatRange};
use crate::rule::{Hook, HookSet, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

pub const SPEC: TargetSpec = TargetSpec {
    name: "DNAT",
    listed_as: "DNAT",
    families: &[Family::V4],
    options: &[
        OptionSpec {
            name: "to-destination",
            value: ValueKind::Custom {
                syntax: "[ADDRESS[-ADDRESS]][:PORT[-PORT]]",
                parse: |text, given| nat_range::to(text, given, Shift::Kept).map(Value::Nat),
            },
            required: true,
            help: "the addresses and ports to take the destination from; after a slash the port that the first of the range stands for",
            ..OptionSpec::PLAIN
        },
        nat_range::RANDOM,
        nat_range::PERSISTENT,
    ],
    needs_one: None,
    build,
    unlist,
    about: "gives the flow another destination",
};

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let range = nat_range::of(given, "to-destination");
    Ok(Arc::new(Dnat { range }))
}

#[derive(Debug, PartialEq, Eq)]
struct Dnat {
    range: NatRange,
}

impl Target for Dnat {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        cx.services.nat(cx.packet, cx.tracking, &self.range, Manip::Destination)
    }

    fn save(&self, out: &mut String) {
        out.push_str(" --to-destination ");
        nat_range::write_to(out, &self.range);
        nat_range::write_flags(out, " --", &self.range);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" to:");
        nat_range::write_to(out, &self.range);
        nat_range::write_flags(out, " ", &self.range);
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "DNAT target", Table::Nat)?;
        only_hooks(scope, "DNAT target", HookSet::of(&[Hook::Prerouting, Hook::Output]))
    }
}

/// ` to:1.2.3.4:80 random`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let mut options = Options::default();
        options.push(false, "to-destination", it.after("to:")?);
        nat_range::unlist_flags(it, &mut options);
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{AddressRange, PortRange};
    use crate::ext::testing::{ANY, Bench, ICMP, TCP, placed, read_target, target_errors, target_texts, udp};

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
