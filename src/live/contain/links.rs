//! The lab's interfaces as devices of the network namespace, so that `ip`, `ifconfig` and `/sys/class/net` tell them. Nothing passes them.

use std::net::IpAddr;

use super::{Failure, Plan, tried};
use crate::base::AddressMask;
use crate::device::standard::tell;
use crate::live::netlink::Netlink;

/// The kernel's time for devices grows with the square of their number: it took 2 s for 1,000, and 40 s for 5,000.
const MOST_DEVICES: usize = 1000;

pub(super) fn make(plan: &Plan) -> Result<(), Failure> {
    // No device shall speak. A kernel without IPv6 has no such files.
    for (key, value) in [("accept_ra", "0"), ("autoconf", "0"), ("addr_gen_mode", "1")] {
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/default/{key}"), value);
    }
    let mut netlink = Netlink::open().map_err(tried("speak to the kernel's routing"))?;
    netlink.set_loopback_up().map_err(tried("set lo up"))?;
    if let Some(said) = beyond_the_most(plan.links.len()) {
        tell!("{said}");
    }
    for (at, link) in plan.links.iter().take(MOST_DEVICES).enumerate() {
        let failed = |step: &str| tried(format!("make the interface {}: {step}", link.name));
        if link.name != "lo" {
            netlink
                .add_dummy(&link.name, link.mtu, link_address(at))
                .map_err(|error| failed("add it")(error.source))?;
        }
        let Some(index) = netlink
            .index(&link.name)
            .map_err(|error| failed("find it")(error.source))?
        else {
            return Err(failed("find it")(std::io::ErrorKind::NotFound.into()));
        };
        for (address, length) in &link.addresses {
            match netlink.add_address(index, *address, *length) {
                Ok(()) => {}
                // `lo` has its own by itself.
                Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(_) if without(address) => {}
                Err(error) => return Err(failed(&error.action)(error.source)),
            }
        }
        netlink
            .set_up(index)
            .map_err(|error| failed("set it up")(error.source))?;
    }
    for route in &plan.routes {
        let mut hops = Vec::with_capacity(route.hops.len());
        for (via, link, weight) in &route.hops {
            let index = netlink.index(link).map_err(tried("find an interface"))?;
            hops.extend(index.map(|index| (*via, index, *weight)));
        }
        let to = AddressMask::prefix(route.to.0, route.to.1).filter(|_| !hops.is_empty());
        if let Some(to) = to {
            match netlink.add_route(to, &hops) {
                Ok(()) => {}
                // The subnet's own route, which its address made.
                Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(_) if without(&route.to.0) => {}
                Err(error) => return Err(tried(error.action.clone())(error.source)),
            }
        }
    }
    Ok(())
}

/// By its place among them, and not drawn: it is the same each time.
fn link_address(at: usize) -> [u8; 6] {
    let [high, low] = u16::try_from(at + 1).unwrap_or(u16::MAX).to_be_bytes();
    [2, 0, 0, 0, high, low]
}

/// A kernel without IPv6 shows none of it, as such machines do.
fn without(address: &IpAddr) -> bool {
    address.is_ipv6() && !std::path::Path::new("/proc/sys/net/ipv6").exists()
}

/// What is said where a lab has more interfaces than devices are made.
fn beyond_the_most(count: usize) -> Option<String> {
    let said = || {
        format!(
            "nflab: of the lab's {count} interfaces the first {MOST_DEVICES} are devices here, since the kernel takes minutes to make them all: the machine's `ip` and /proc/sys/net/ipv4/conf show no others (`nflab ip` and `sysctl` do)"
        )
    };
    (count > MOST_DEVICES).then(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_that_are_left_out_are_said() {
        for count in [0, 1, MOST_DEVICES] {
            assert_eq!(beyond_the_most(count), None, "{count}");
        }
        for count in [MOST_DEVICES + 1, 2 * MOST_DEVICES] {
            let said = beyond_the_most(count).unwrap();
            assert!(
                said.starts_with(&format!("nflab: of the lab's {count} interfaces the first 1000 are")),
                "{said}"
            );
        }
    }
}
