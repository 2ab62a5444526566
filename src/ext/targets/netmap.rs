//! `-j NETMAP`: one network stands for another. The flow's address gets the bits of a network, and keeps those of the host in it.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::nat_range;
use crate::base::{AddressMask, AddressRange, Family, as_in_c};
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, HostMask, Opt, UsageError};
use crate::ext::place::only_table;
use crate::ext::samples::{Samples, refused, taken};
use crate::nat::{Manip, NatRange};
use crate::rule::{Effect, Hook, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "NETMAP",
    listed_as: "NETMAP",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[TO.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    about: "gives the flow's address the bits of another network, and leaves it those of the host",
    samples: SAMPLES,
};

const TO: Opt<HostMask> = Opt::host("to", "the network").required();

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    let family = given.family;
    let to = given.value(TO);
    // It is there, as the spec says, and no prefix that it may have is too long: neither default is met.
    let address = to.map_or(family.unspecified(), |to| to.address);
    let length = to.and_then(|to| to.prefix).unwrap_or(family.bits());
    let network = AddressMask::prefix(address, length).unwrap_or(AddressMask::host(address));
    Ok(Arc::new(Netmap { network, length }))
}

#[derive(Debug, PartialEq, Eq)]
struct Netmap {
    network: AddressMask,
    length: u8,
}

impl Netmap {
    /// The address in the network that stands for this one: of the family's own, which is all that a rule meets.
    fn stands_for(&self, address: IpAddr) -> IpAddr {
        match (self.network.address(), self.network.mask(), address) {
            (IpAddr::V4(own), IpAddr::V4(mask), IpAddr::V4(of)) => {
                Ipv4Addr::from_bits(own.to_bits() | of.to_bits() & !mask.to_bits()).into()
            }
            (IpAddr::V6(own), IpAddr::V6(mask), IpAddr::V6(of)) => {
                Ipv6Addr::from_bits(own.to_bits() | of.to_bits() & !mask.to_bits()).into()
            }
            (own, ..) => own,
        }
    }
}

impl fmt::Display for Netmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", as_in_c(self.network.address()), self.length)
    }
}

impl Target for Netmap {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        let (manip, address) = match cx.hook {
            Hook::Prerouting | Hook::Output => (Manip::Destination, cx.packet.destination()),
            _ => (Manip::Source, cx.packet.source()),
        };
        let range = NatRange {
            addresses: Some(AddressRange::single(self.stands_for(address))),
            ..NatRange::default()
        };
        cx.services.nat(cx.packet, cx.tracking, &range, manip)
    }

    fn effect(&self) -> Effect {
        nat_range::EFFECT
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} {self}", TO.spelled(false));
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " to:{self}");
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    /// Seen: each of the table's hooks will do.
    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "NETMAP target", Table::Nat)
    }
}

/// ` to:10.5.6.0/24`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        let mut options = Options::default();
        options.push(false, TO.name(), it.after("to:")?);
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("nat", "PREROUTING"),
    taken: &[
        taken("", "--to 192.0.2.0/24", "--to 192.0.2.0/24", "to:192.0.2.0/24"),
        taken("", "--to 192.0.2.5/24", "--to 192.0.2.0/24", "to:192.0.2.0/24"),
        taken("", "--to 192.0.2.5", "--to 192.0.2.5/32", "to:192.0.2.5/32"),
        taken("", "--to 10.1/255.255.0.0", "--to 10.0.0.0/16", "to:10.0.0.0/16"),
        // A mask that is no prefix counts for none.
        taken("", "--to 192.0.2.5/255.0.255.0", "--to 192.0.2.5/32", "to:192.0.2.5/32"),
        taken("", "--to 10.0.0.0/33", "--to 10.0.0.0/32", "to:10.0.0.0/32"),
        taken("", "--to 0/0", "--to 0.0.0.0/0", "to:0.0.0.0/0").only(Family::V4),
        taken("-p tcp", "--to 10.0.0.0/0x18", "--to 10.0.0.0/24", "to:10.0.0.0/24"),
        taken("", "--to 2001:db8::5/64", "--to 2001:db8::/64", "to:2001:db8::/64"),
        taken(
            "",
            "--to 2001:db8::/ffff:ffff::",
            "--to 2001:db8::/32",
            "to:2001:db8::/32",
        ),
        taken(
            "",
            "--to 2001:db8::/ffff::ffff",
            "--to 2001:db8::/128",
            "to:2001:db8::/128",
        ),
        taken("", "--to ::1.2.3.4", "--to ::1.2.3.4/128", "to:::1.2.3.4/128"),
        taken("", "--to ::/0", "--to ::/0", "to:::/0"),
    ],
    refused: &[
        refused("", "", "NETMAP: option \"--to\" must be specified\n"),
        refused(
            "",
            "--to 10.0.0.0/8 --to 11.0.0.0/8",
            "NETMAP: option \"--to\" can only be used once.\n",
        ),
        refused("", "! --to 10.0.0.0/8", "NETMAP: option \"--to\" cannot be inverted.\n"),
        refused(
            "",
            "--to 10.0.0.1-10.0.0.2",
            "getaddrinfo: Temporary failure in name resolution\n",
        ),
        refused("", "--to \"\"", "getaddrinfo: Name or service not known\n"),
        refused(
            "",
            "--to 2001:db8::/64",
            "getaddrinfo: Address family for hostname not supported\n",
        )
        .only(Family::V4),
        refused(
            "",
            "--to 10.0.0.0/x",
            "NETMAP: bad value for option \"--to\", neither a valid network mask nor valid CIDR (0-32).\n",
        ),
        refused(
            "",
            "--to 2001:db8::/129",
            "NETMAP: bad value for option \"--to\", neither a valid network mask nor valid CIDR (0-128).\n",
        ),
    ],
    packets: &[],
    spellings: &[
        "-j NETMAP --to 10.0.0.0/24",
        "-j NETMAP --to 10.0.0.9/255.255.255.0",
        "-j NETMAP --to 10.0.0.0",
        "-j NETMAP --to 10.0.0.0/32",
        "-j NETMAP --to 10.0.0.0/255.0.255.0",
        "-j NETMAP --to 10.0.0.0/25",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| if place.table == Table::Nat { 25 } else { 0 },
    |draw| {
        draw.give_one(
            &TO.spec,
            &[
                "10.0.0.0/24",
                "10.0.0.0/24",
                "192.0.2.0/24",
                "192.0.2.0/24",
                "198.51.100.0/25",
                "172.16.0.0/12",
                "10.0.0.2/31",
                "192.0.2.9",
                "10.0.0.1",
                "0.0.0.0/0",
            ],
        );
    },
)
.in_one_scenario_of(3)
.without(&[(
    "-j NETMAP in INPUT to the loopback's network",
    "the router's own answer to ::1 that has to leave by another link is lost in the kernel, and led back here: that is no target's doing",
)]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_target, read_target_in, target_places, udp};

    #[test]
    fn places() {
        target_places(
            &SPEC,
            ANY,
            "--to 10.0.0.0/8",
            &[
                (
                    Table::Nat,
                    &[Hook::Prerouting, Hook::Input, Hook::Output, Hook::Postrouting],
                    "",
                ),
                (
                    Table::Filter,
                    &[Hook::Input],
                    "x_tables: ip_tables: NETMAP target: only valid in nat table, not filter",
                ),
                (
                    Table::Mangle,
                    &[Hook::Forward],
                    "x_tables: ip_tables: NETMAP target: only valid in nat table, not mangle",
                ),
            ],
        );
    }

    #[test]
    fn the_hook_says_which_end_it_is() {
        for (hook, manip, address) in [
            (Hook::Prerouting, Manip::Destination, [172, 16, 2, 9]),
            (Hook::Output, Manip::Destination, [172, 16, 2, 9]),
            (Hook::Input, Manip::Source, [172, 16, 0, 2]),
            (Hook::Postrouting, Manip::Source, [172, 16, 0, 2]),
        ] {
            let mut bench = Bench::new();
            bench.hook = hook;
            let made = read_target(&SPEC, ANY, "--to 172.16.0.0/16").unwrap();
            assert_eq!(bench.apply(made.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Accept);
            let range = NatRange {
                addresses: Some(AddressRange::single(address.into())),
                ..NatRange::default()
            };
            assert_eq!(bench.mapped, [(range, manip)], "{hook:?}");
        }
    }

    #[test]
    fn bits_of_the_host_stay() {
        for (to, from, expected) in [
            ("10.0.0.0/12", "192.168.3.4", "10.8.3.4"),
            ("10.0.0.0/32", "192.168.3.4", "10.0.0.0"),
            ("10.0.0.0/0", "192.168.3.4", "192.168.3.4"),
            ("10.0.0.128/25", "192.168.3.255", "10.0.0.255"),
            ("2001:db8:5::/48", "2001:db8:1:2::3", "2001:db8:5:2::3"),
            ("2001:db8:5::/0", "2001:db8:1:2::3", "2001:db8:1:2::3"),
            ("2001:db8:5::7", "2001:db8:1:2::3", "2001:db8:5::7"),
        ] {
            let from: IpAddr = from.parse().unwrap();
            let made = read_target_in(Family::of(from), &SPEC, ANY, &format!("--to {to}")).unwrap();
            let made = made.as_any().downcast_ref::<Netmap>().unwrap();
            assert_eq!(made.stands_for(from).to_string(), expected, "{to}");
        }
    }
}
