//! `-j MASQUERADE`: gives the flow the address of the interface it goes out by as its source.

use std::net::IpAddr;

use super::nat_range::{self, Shift};
use super::to_ports::{Address, Way};
use crate::base::Family;
use crate::conntrack::NatInfo;
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::option::{Opt, Read};
use crate::ext::samples::{Samples, refused, taken};
use crate::nat::{Manip, NatRange};
use crate::rule::{Hook, Table, TargetContext};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "MASQUERADE",
    listed_as: "MASQUERADE",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[TO.spec, nat_range::RANDOM.spec, nat_range::RANDOM_FULLY.spec],
    needs_one: None,
    exclusive: &[],
    build: |given| Ok(MASQUERADE.build(given)),
    unlist: |listed| MASQUERADE.unlist(listed),
    about: "gives the flow the address of the interface it goes out by as its source",
    samples: SAMPLES,
};

const TO: Opt<NatRange> = nat_range::only_ports(
    &Read(|text, given| nat_range::ports(text, given, Shift::Lost)),
    "the ports to take the source port from",
);

static MASQUERADE: Way = Way {
    spec: &SPEC,
    to: TO,
    listed: ["masq", "ports:"],
    manip: Manip::Source,
    hooks: &[Hook::Postrouting],
    address: outgoing_address,
};

fn outgoing_address(cx: &mut TargetContext<'_>) -> Address {
    // A host that asks for an address of its own (DHCP) has none to map; in IPv6 the kernel does not ask.
    if cx.packet.source() == Family::V4.unspecified() {
        return Address::NeedsNone;
    }
    let Some(interface) = cx.packet.output else {
        return Address::None;
    };
    let Some(address) = cx.net.masquerade_source(interface, towards(cx)) else {
        return Address::None;
    };
    if let Some(flow) = &cx.tracking.flow {
        let nat = NatInfo {
            masquerade_interface: Some(interface),
        };
        flow.set_nat(&mut flow.lock(), nat);
    }
    Address::Is(address)
}

/// The gateway if there is one: of several addresses of the interface the one in its network is taken. Seen: in IPv6 the destination counts, whatever is
/// between.
fn towards(cx: &TargetContext<'_>) -> IpAddr {
    let gateway = cx.way.and_then(|way| way.gateway);
    let gateway = gateway.filter(|it| it.is_ipv4() && cx.packet.family() == Family::V4);
    gateway.unwrap_or(cx.packet.destination())
}

const SAMPLES: Samples = Samples {
    place: ("nat", "POSTROUTING"),
    taken: &[
        taken("-p tcp", "", "", ""),
        taken("-p tcp", "--to-ports 1024", "--to-ports 1024", "masq ports: 1024"),
        taken(
            "-p tcp",
            "--to-ports 1024-2048",
            "--to-ports 1024-2048",
            "masq ports: 1024-2048",
        ),
        taken("-p tcp", "--to-ports 5-5", "--to-ports 5", "masq ports: 5"),
        taken("-p tcp", "--to-ports ftp-data", "--to-ports 20", "masq ports: 20"),
        taken("-p tcp", "--to-ports 0", "--to-ports 0", "masq ports: 0"),
        taken(
            "-p tcp",
            "--random --random-fully",
            "--random --random-fully",
            "random random-fully",
        ),
        taken(
            "-p tcp",
            "--to-ports 5 --random",
            "--to-ports 5 --random",
            "masq ports: 5 random",
        ),
        taken(
            "-p tcp",
            "--to-ports 1024-2048/3",
            "--to-ports 1024-2048/0",
            "masq ports: 1024-2048/0",
        )
        .lossy(),
        taken("-p icmp", "--to-ports 1024", "--to-ports 1024", "masq ports: 1024"),
        taken("! -p tcp", "--to-ports 1024", "--to-ports 1024", "masq ports: 1024"),
    ],
    refused: &[
        refused(
            "",
            "--to-ports 1024",
            "Need TCP, UDP, SCTP or DCCP with port specification",
        ),
        refused("-p tcp", "--to-ports 2048-1024", "Port range `1024' funky"),
        refused("-p tcp", "--to-ports 65536", "Port `65536' not valid"),
        refused("-p tcp", "--to-ports 1024:2048", "Invalid port:port syntax - use dash"),
        refused("-p tcp", "--to-ports 1024-", "Port `' not valid"),
        refused("-p tcp", "--to-ports 80/5", "Garbage after port value: `/5'"),
        refused(
            "-p tcp",
            "--to-ports 1 --to-ports 2",
            "MASQUERADE: option \"--to-ports\" can only be used once.\n",
        ),
        refused(
            "-p tcp",
            "! --random",
            "MASQUERADE: option \"--random\" cannot be inverted.\n",
        ),
    ],
    packets: &[],
    spellings: &[
        "-p tcp -j MASQUERADE",
        "-p tcp -j MASQUERADE --to-ports 80",
        "-p tcp -j MASQUERADE --random",
        "-p tcp -j MASQUERADE --random-fully",
        "-j MASQUERADE",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| {
        let may_stand = place.table == Table::Nat && place.is_within(&[Hook::Postrouting]);
        if may_stand { 50 } else { 0 }
    },
    |draw| {
        if nat_range::may_have_ports(draw.place) {
            draw.maybe(3, &TO.spec, &["6000-6499", "6500-6999", "2001", "6000-6400/6050"]);
        }
        nat_range::draw_random(draw, true);
    },
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::AddressRange;
    use crate::base::PortRange;
    use crate::ext::testing::{ANY, Bench, TCP, read_target, target_places, udp};
    use crate::rule::{Table, TargetVerdict};

    #[test]
    fn places() {
        target_places(
            &SPEC,
            ANY,
            "",
            &[
                (Table::Nat, &[Hook::Postrouting], ""),
                (
                    Table::Nat,
                    &[Hook::Input],
                    "x_tables: ip_tables: MASQUERADE target: used from hooks INPUT, but only usable from POSTROUTING",
                ),
            ],
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
        assert_eq!(flow.nat().masquerade_interface, Some(wan));
    }

    #[test]
    fn without_an_address_there_is_no_mapping() {
        let mut bench = Bench::new();
        let made = read_target(&SPEC, ANY, "").unwrap();
        assert_eq!(bench.apply(made.as_ref(), &mut udp(1, 2, &[])), TargetVerdict::Drop);
        assert_eq!(bench.mapped, []);
    }
}
