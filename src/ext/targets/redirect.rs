//! `-j REDIRECT`: gives the flow this host as its destination.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::nat_range::{self, Shift};
use super::to_ports::{Address, Way};
use crate::base::Family;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::{Given, Opt, Read, UsageError};
use crate::ext::samples::{Samples, refused, taken};
use crate::ext::{NeedsOne, TargetSpec};
use crate::nat::{Manip, NatRange};
use crate::rule::{Hook, Table, TargetContext};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "REDIRECT",
    listed_as: "REDIRECT",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[TO.spec, nat_range::RANDOM.spec],
    needs_one: Some(NeedsOne::AsAsked(is_not_shifted)),
    exclusive: &[],
    build: |given| Ok(REDIRECT.build(given)),
    unlist: |listed| REDIRECT.unlist(listed),
    about: "gives the flow this host as its destination",
    samples: SAMPLES,
};

const TO: Opt<NatRange> = nat_range::only_ports(
    &Read(|text, given| nat_range::ports(text, given, Shift::Kept)),
    "the ports to take the destination port from",
);

/// Seen: it is asked of the whole, behind what the rule's matches are asked.
fn is_not_shifted(given: &Given<'_>) -> Result<(), UsageError> {
    match given.value(TO).and_then(|range| range.port_base) {
        Some(_) => Err(UsageError::parameter(
            "Shifted portmap ranges not supported with this kernel",
        )),
        None => Ok(()),
    }
}

static REDIRECT: Way = Way {
    spec: &SPEC,
    to: TO,
    listed: ["redir", "ports"],
    manip: Manip::Destination,
    hooks: &[Hook::Prerouting, Hook::Output],
    address: own_address,
};

fn own_address(cx: &mut TargetContext<'_>) -> Address {
    let address = match (cx.hook, cx.packet.input) {
        (Hook::Output, _) => Some(match cx.packet.family() {
            Family::V4 => Ipv4Addr::LOCALHOST.into(),
            Family::V6 => Ipv6Addr::LOCALHOST.into(),
        }),
        (_, Some(interface)) => cx.net.redirect_address(interface, cx.packet.destination()),
        (_, None) => None,
    };
    address.map_or(Address::None, Address::Is)
}

const SAMPLES: Samples = Samples {
    place: ("nat", "PREROUTING"),
    taken: &[
        taken("-p tcp", "", "", ""),
        taken("-p tcp", "--to-ports 8080", "--to-ports 8080", "redir ports 8080"),
        taken(
            "-p tcp",
            "--to-ports 8080-8090",
            "--to-ports 8080-8090",
            "redir ports 8080-8090",
        ),
        taken("-p tcp", "--to-ports 5-5", "--to-ports 5", "redir ports 5"),
        taken("-p tcp", "--to-ports http", "--to-ports 80", "redir ports 80"),
        taken("-p tcp", "--random", "--random", "random"),
        taken(
            "-p tcp",
            "--to-ports 5 --random",
            "--to-ports 5 --random",
            "redir ports 5 random",
        ),
        taken("-p icmp", "--to-ports 8080", "--to-ports 8080", "redir ports 8080"),
    ],
    refused: &[
        refused(
            "",
            "--to-ports 8080",
            "Need TCP, UDP, SCTP or DCCP with port specification",
        ),
        refused("-p tcp", "--to-ports 8090-8080", "Port range `8080' funky"),
        refused("-p tcp", "--to-ports 1-65536", "Port `65536' not valid"),
        refused("-p tcp", "--to-ports http-https", "Port `http-https' not valid"),
        refused(
            "-p tcp",
            "--to-ports 80-90/5",
            "Shifted portmap ranges not supported with this kernel",
        ),
        refused("-p tcp", "--to-ports 80-90/x", "Port `x' not valid"),
        refused("-p tcp", "--to-ports \"\"", "Port `' not valid"),
        refused("-p tcp", "--to-ports 1:5", "Invalid port:port syntax - use dash"),
        refused("-p tcp", "--to-ports x:5", "Port `x:5' not valid"),
        refused("-p tcp", "--to-ports 80-90-95", "Garbage after port range: `-95'"),
        refused(
            "-p tcp",
            "--to-ports 5 --to-ports 6",
            "REDIRECT: option \"--to-ports\" can only be used once.\n",
        ),
    ],
    packets: &[],
    spellings: &[
        "-p tcp -j REDIRECT",
        "-p tcp -j REDIRECT --to-ports 80",
        "-p tcp -j REDIRECT --to-ports 80-80",
        "-p tcp -j REDIRECT --to-ports http",
        "-p tcp -j REDIRECT --random",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| {
        let may_stand = place.table == Table::Nat && place.is_within(&[Hook::Prerouting, Hook::Output]);
        if may_stand { 33 } else { 0 }
    },
    |draw| match draw.below(5) {
        0 | 1 if nat_range::may_have_ports(draw.place) => draw.give(&TO.spec, "3128"),
        2 if nat_range::may_have_ports(draw.place) => draw.give(&TO.spec, "8000-8010"),
        3 if nat_range::may_have_ports(draw.place) => {
            draw.give(&TO.spec, "9000-9010");
            draw.give(&nat_range::RANDOM.spec, "");
        }
        _ => nat_range::draw_random(draw, false),
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::AddressRange;
    use crate::ext::testing::{ANY, Bench, TCP, read_target, target_places, udp};
    use crate::rule::{Table, TargetVerdict};

    #[test]
    fn places() {
        target_places(
            &SPEC,
            ANY,
            "",
            &[
                (Table::Nat, &[Hook::Prerouting], ""),
                (
                    Table::Nat,
                    &[Hook::Postrouting],
                    "x_tables: ip_tables: REDIRECT target: used from hooks POSTROUTING, but only usable from \
                     PREROUTING/OUTPUT",
                ),
            ],
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
