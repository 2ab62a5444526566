//! `-j MASQUERADE`: gives the flow the address of the interface it goes out by as its source.

use std::net::IpAddr;
use std::sync::Arc;

use super::nat_range::{self, Shift};
use crate::base::{AddressRange, Family};
use crate::ext::TargetSpec;
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::ext::place::{only_hooks, only_table};
use crate::nat::{Manip, NatRange};
use crate::net::OutputKey;
use crate::rule::{Hook, HookSet, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

pub const SPEC: TargetSpec = TargetSpec {
    name: "MASQUERADE",
    listed_as: "MASQUERADE",
    families: &[Family::V4],
    options: &[
        OptionSpec {
            name: "to-ports",
            value: ValueKind::Custom {
                syntax: "PORT[-PORT]",
                parse: |text, given| {
                    let mut range = NatRange::default();
                    nat_range::ports(text, given, Shift::Lost, &mut range)?;
                    Ok(Value::Nat(range))
                },
            },
            help: "the ports to take the source port from",
            ..OptionSpec::PLAIN
        },
        nat_range::RANDOM,
        nat_range::RANDOM_FULLY,
    ],
    needs_one: None,
    build,
    unlist,
    about: "gives the flow the address of the interface it goes out by as its source",
};

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let range = nat_range::of(given, "to-ports");
    Ok(Arc::new(Masquerade { range }))
}

#[derive(Debug, PartialEq, Eq)]
struct Masquerade {
    range: NatRange,
}

impl Target for Masquerade {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        // A host that asks for an address of its own (DHCP) has none to map.
        if cx.packet.source().is_unspecified() {
            return TargetVerdict::Accept;
        }
        let Some(interface) = cx.packet.output else {
            return TargetVerdict::Drop;
        };
        let Some(address) = cx.net.masquerade_source(interface, next_hop(cx)) else {
            return TargetVerdict::Drop;
        };
        if let Some(flow) = &cx.tracking.flow {
            flow.lock().nat.masquerade_interface = Some(interface);
        }
        let range = NatRange {
            addresses: Some(AddressRange::single(address)),
            ..self.range
        };
        cx.services.nat(cx.packet, cx.tracking, &range, Manip::Source)
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
            out.push_str(" masq ports: ");
            nat_range::write_ports(out, &self.range);
        }
        nat_range::write_flags(out, " ", &self.range);
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "MASQUERADE target", Table::Nat)?;
        only_hooks(scope, "MASQUERADE target", HookSet::of(&[Hook::Postrouting]))
    }
}

/// ` masq ports: 80-90 random`, or nothing.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let mut options = Options::default();
        if it.word("masq").is_some() {
            it.word("ports:")?;
            options.push(false, "to-ports", it.take()?);
        }
        nat_range::unlist_flags(it, &mut options);
        Some(options)
    })
}

/// The gateway if there is one: of several addresses of the interface the one in its network is taken.
fn next_hop(cx: &TargetContext<'_>) -> IpAddr {
    let destination = cx.packet.destination();
    let route = cx.net.route_output(OutputKey {
        destination,
        source: None,
        mark: cx.packet.mark,
        interface: cx.packet.output,
        tos: cx.packet.ipv4().tos(),
    });
    route.ok().and_then(|route| route.gateway).unwrap_or(destination)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::PortRange;
    use crate::ext::testing::{ANY, Bench, ICMP, P, TCP, placed, read_target, target_errors, target_texts, udp};

    #[test]
    fn texts_of_the_real_tool() {
        target_texts(
            &SPEC,
            TCP,
            &[
                ("", "", "", ""),
                (
                    "--to-ports 1024",
                    " --to-ports 1024",
                    " masq ports: 1024",
                    " masq ports: 1024",
                ),
                (
                    "--to-ports 1024-2048",
                    " --to-ports 1024-2048",
                    " masq ports: 1024-2048",
                    " masq ports: 1024-2048",
                ),
                ("--to-ports 5-5", " --to-ports 5", " masq ports: 5", " masq ports: 5"),
                (
                    "--to-ports ftp-data",
                    " --to-ports 20",
                    " masq ports: 20",
                    " masq ports: 20",
                ),
                ("--to-ports 0", " --to-ports 0", " masq ports: 0", " masq ports: 0"),
                (
                    "--random --random-fully",
                    " --random --random-fully",
                    " random random-fully",
                    " random random-fully",
                ),
                (
                    "--to-ports 5 --random",
                    " --to-ports 5 --random",
                    " masq ports: 5 random",
                    " masq ports: 5 random",
                ),
            ],
        );
        let made = read_target(&SPEC, TCP, "--to-ports 1024-2048/3").unwrap();
        let mut saved = String::new();
        made.save(&mut saved);
        assert_eq!(saved, " --to-ports 1024-2048/0");
    }

    #[test]
    fn errors_of_the_real_tool() {
        let needs = "Need TCP, UDP, SCTP or DCCP with port specification";
        target_errors(&SPEC, ANY, &[("--to-ports 1024", needs)]);
        assert!(read_target(&SPEC, ICMP, "--to-ports 1024").is_ok());
        assert!(read_target(&SPEC, P(6, true), "--to-ports 1024").is_ok());
        target_errors(
            &SPEC,
            TCP,
            &[
                ("--to-ports 2048-1024", "Port range `1024' funky"),
                ("--to-ports 65536", "Port `65536' not valid"),
                ("--to-ports 1024:2048", "Invalid port:port syntax - use dash"),
                ("--to-ports 1024-", "Port `' not valid"),
                ("--to-ports 80/5", "Garbage after port value: `/5'"),
                (
                    "--to-ports 1 --to-ports 2",
                    "MASQUERADE: option \"--to-ports\" can only be used once.\n",
                ),
                ("! --random", "MASQUERADE: option \"--random\" cannot be inverted.\n"),
            ],
        );
    }

    #[test]
    fn places() {
        let made = read_target(&SPEC, ANY, "").unwrap();
        let at = |table, hooks: &[Hook]| placed(ANY, table, hooks, |scope| made.check(scope));
        assert_eq!(at(Table::Nat, &[Hook::Postrouting]), Ok(()));
        assert_eq!(
            at(Table::Nat, &[Hook::Input]),
            Err(
                "x_tables: ip_tables: MASQUERADE target: used from hooks INPUT, but only usable from POSTROUTING"
                    .to_owned()
            )
        );
    }

    #[test]
    fn takes_the_address_of_the_way_out() {
        let (mut bench, _, wan) = Bench::with_addresses();
        let made = read_target(&SPEC, TCP, "--to-ports 1024-2048").unwrap();
        let mut packet = udp(1000, 53, &[]);
        packet.output = Some(wan);
        bench.track(&mut packet);
        assert_eq!(bench.apply(made.as_ref(), &mut packet), TargetVerdict::Accept);
        let range = NatRange {
            addresses: Some(AddressRange::single([192, 0, 2, 1].into())),
            ports: Some(PortRange { low: 1024, high: 2048 }),
            ..NatRange::default()
        };
        assert_eq!(bench.mapped, [(range, Manip::Source)]);
        let flow = bench.tracking.flow.as_ref().unwrap();
        assert_eq!(flow.lock().nat.masquerade_interface, Some(wan));
    }

    #[test]
    fn without_an_address_there_is_no_mapping() {
        let mut bench = Bench::new();
        let made = read_target(&SPEC, ANY, "").unwrap();
        assert_eq!(bench.apply(made.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Drop);
        assert_eq!(bench.mapped, []);
    }
}
