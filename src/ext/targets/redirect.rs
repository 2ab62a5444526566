//! `-j REDIRECT`: gives the flow this host as its destination.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::nat_range::{self, Shift};
use crate::base::{AddressRange, Family};
use crate::ext::TargetSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::ext::place::{only_hooks, only_table};
use crate::nat::{Manip, NatRange};
use crate::rule::{Hook, HookSet, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

pub const SPEC: TargetSpec = TargetSpec {
    name: "REDIRECT",
    listed_as: "REDIRECT",
    families: &[Family::V4],
    options: &[
        OptionSpec {
            name: "to-ports",
            value: ValueKind::Custom {
                syntax: "PORT[-PORT]",
                parse: |text, given| {
                    let mut range = NatRange::default();
                    nat_range::ports(text, given, Shift::Refused, &mut range)?;
                    Ok(Value::Nat(range))
                },
            },
            help: "the ports to take the destination port from",
            ..OptionSpec::PLAIN
        },
        nat_range::RANDOM,
    ],
    needs_one: None,
    build,
    unlist,
    about: "gives the flow this host as its destination",
};

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let range = nat_range::of(given, "to-ports");
    Ok(Arc::new(Redirect { range }))
}

#[derive(Debug, PartialEq, Eq)]
struct Redirect {
    range: NatRange,
}

impl Target for Redirect {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        let address = match (cx.hook, cx.packet.input) {
            (Hook::Output, _) => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            (_, Some(interface)) => cx.net.redirect_address(interface),
            (_, None) => None,
        };
        let Some(address) = address else {
            return TargetVerdict::Drop;
        };
        let range = NatRange {
            addresses: Some(AddressRange::single(address)),
            ..self.range
        };
        cx.services.nat(cx.packet, cx.tracking, &range, Manip::Destination)
    }

    fn save(&self, out: &mut String) {
        if self.range.ports.is_some() {
            out.push_str(" --to-ports ");
            nat_range::write_ports(out, &self.range);
        }
        nat_range::write_flags(out, " --", &self.range);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        if self.range.ports.is_some() {
            out.push_str(" redir ports ");
            nat_range::write_ports(out, &self.range);
        }
        nat_range::write_flags(out, " ", &self.range);
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "REDIRECT target", Table::Nat)?;
        only_hooks(scope, "REDIRECT target", HookSet::of(&[Hook::Prerouting, Hook::Output]))
    }
}

/// ` redir ports 80 random`, or nothing.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let mut options = Options::default();
        if it.word("redir").is_some() {
            it.word("ports")?;
            options.push(false, "to-ports", it.take()?);
        }
        nat_range::unlist_flags(it, &mut options);
        Some(options)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, ICMP, TCP, placed, read_target, target_errors, target_texts, udp};

    #[test]
    fn texts_of_the_real_tool() {
        target_texts(
            &SPEC,
            TCP,
            &[
                ("", "", "", ""),
                (
                    "--to-ports 8080",
                    " --to-ports 8080",
                    " redir ports 8080",
                    " redir ports 8080",
                ),
                (
                    "--to-ports 8080-8090",
                    " --to-ports 8080-8090",
                    " redir ports 8080-8090",
                    " redir ports 8080-8090",
                ),
                ("--to-ports 5-5", " --to-ports 5", " redir ports 5", " redir ports 5"),
                (
                    "--to-ports http",
                    " --to-ports 80",
                    " redir ports 80",
                    " redir ports 80",
                ),
                ("--random", " --random", " random", " random"),
                (
                    "--to-ports 5 --random",
                    " --to-ports 5 --random",
                    " redir ports 5 random",
                    " redir ports 5 random",
                ),
            ],
        );
    }

    #[test]
    fn errors_of_the_real_tool() {
        let needs = "Need TCP, UDP, SCTP or DCCP with port specification";
        target_errors(&SPEC, ANY, &[("--to-ports 8080", needs)]);
        assert!(read_target(&SPEC, ICMP, "--to-ports 8080").is_ok());
        target_errors(
            &SPEC,
            TCP,
            &[
                ("--to-ports 8090-8080", "Port range `8080' funky"),
                ("--to-ports 1-65536", "Port `65536' not valid"),
                ("--to-ports http-https", "Port `http-https' not valid"),
                (
                    "--to-ports 80-90/5",
                    "Shifted portmap ranges not supported with this kernel",
                ),
                ("--to-ports 80-90/x", "Port `x' not valid"),
                ("--to-ports \"\"", "Port `' not valid"),
                ("--to-ports 1:5", "Invalid port:port syntax - use dash"),
                ("--to-ports x:5", "Port `x:5' not valid"),
                ("--to-ports 80-90-95", "Garbage after port range: `-95'"),
                (
                    "--to-ports 5 --to-ports 6",
                    "REDIRECT: option \"--to-ports\" can only be used once.\n",
                ),
            ],
        );
    }

    #[test]
    fn places() {
        let made = read_target(&SPEC, ANY, "").unwrap();
        let at = |table, hooks: &[Hook]| placed(ANY, table, hooks, |scope| made.check(scope));
        assert_eq!(at(Table::Nat, &[Hook::Prerouting]), Ok(()));
        assert_eq!(
            at(Table::Nat, &[Hook::Postrouting]),
            Err(
                "x_tables: ip_tables: REDIRECT target: used from hooks POSTROUTING, but only usable from \
                 PREROUTING/OUTPUT"
                    .to_owned()
            )
        );
    }

    #[test]
    fn own_packets_go_to_the_loopback_and_others_to_their_interface() {
        let mut bench = Bench::new();
        bench.hook = Hook::Output;
        let made = read_target(&SPEC, TCP, "--to-ports 8080").unwrap();
        assert_eq!(bench.apply(made.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Accept);
        let (range, manip) = bench.mapped[0];
        assert_eq!(range.addresses, Some(AddressRange::single([127, 0, 0, 1].into())));
        assert_eq!(manip, Manip::Destination);
        let (mut bench, lan, _) = Bench::with_addresses();
        bench.hook = Hook::Prerouting;
        let mut packet = udp(1, 2, &[]);
        packet.input = Some(lan);
        bench.apply(made.as_ref(), &mut packet);
        assert_eq!(
            bench.mapped[0].0.addresses,
            Some(AddressRange::single([10, 0, 0, 1].into()))
        );
        // No interface, no address.
        assert_eq!(bench.apply(made.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Drop);
    }
}
