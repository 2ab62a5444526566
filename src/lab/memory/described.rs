//! What a lab file makes of a machine in memory: its network and its sysctls.

use crate::lab::file::LabFile;
use crate::lab::machine::{KnobError, Machine};
use crate::net::{ConfigError, Hop, Net, NewAddress, Prefix, Route};
use crate::syntax::problem::{Position, Problem, SourceError};

/// The configuration that a lab file describes, before its sysctls. Where the kernel would draw an address of the link for an interface, it has
/// fe80::1/64, so that what was seen is seen again.
pub fn network(file: &LabFile) -> Result<Net, SourceError> {
    let at = |position: Position| {
        move |error: ConfigError| {
            let problem = Problem::new(position, error.to_string(), "", "");
            file.source.error(vec![problem])
        }
    };
    let mut net = Net::new();
    // This key exists; a test holds that it does.
    let _ = net.sysctl_set("net.ipv6.conf.default.addr_gen_mode", "0");
    for interface in &file.interfaces {
        let id = match net.by_name(interface.name.as_str()) {
            Some(there) => there.id,
            None => net
                .add_interface(interface.name, interface.mtu)
                .map_err(at(interface.position))?,
        };
        net.give_up_own_of_link(id, interface.addresses.iter().map(|it| it.address));
        for address in &interface.addresses {
            net.assign(id, NewAddress::with_broadcast(address.address, address.prefix_length))
                .map_err(at(address.position))?;
        }
    }
    for route in &file.routes {
        let length = route.to.prefix_length().unwrap_or(0);
        let to =
            Prefix::containing(route.to.address(), length).unwrap_or_else(|| Prefix::default_of(route.to.family()));
        let hops = route.hops.iter().map(|hop| Hop {
            via: hop.via,
            interface: net.by_name(hop.interface.as_str()).map(|it| it.id),
            weight: hop.weight,
        });
        let made = Route::new(to).by(hops);
        net.add_route(made).map_err(at(route.position))?;
    }
    Ok(net)
}

pub(crate) use crate::net::OF_LINK as LINK_ADDRESS;

/// What a lab has unless its file says otherwise, then what its file says.
pub fn apply_sysctls(machine: &Machine, file: &LabFile) -> Result<(), SourceError> {
    for (key, value) in [
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv6.conf.all.forwarding", "1"),
        ("net.ipv4.conf.all.rp_filter", "0"),
        ("net.ipv4.conf.default.rp_filter", "0"),
    ] {
        // These keys exist; a test holds that they do.
        let _ = machine.set_sysctl(key, value);
    }
    let mut problems = Vec::new();
    let settings = file.sysctls.iter().map(|it| (it.key.as_str(), it.value.as_str()));
    let mut keys = None;
    for (sysctl, result) in file.sysctls.iter().zip(machine.set_sysctls(settings)) {
        let problem = match result {
            Ok(()) => continue,
            Err(KnobError::NotOffered(message)) => Problem::new(
                sysctl.key_position,
                message,
                "expected a key that does something here, or the value that it has",
                "remove this line",
            ),
            Err(KnobError::Unknown(_)) => {
                let keys = keys.get_or_insert_with(|| machine.sysctls());
                // Of more problems nobody sees what was near.
                let near = match problems.len() < crate::syntax::problem::SHOWN {
                    true => crate::syntax::problem::suggestion(&sysctl.key, keys.iter().map(String::as_str)),
                    false => None,
                };
                let remedy = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "`sysctl -a` in `nflab repl` lists every key that a lab has; leave this one out".to_owned(),
                };
                Problem::new(
                    sysctl.key_position,
                    format!("a lab has no sysctl `{}`", sysctl.key),
                    "expected a key of net.ipv4, net.ipv6 or net.netfilter.nf_conntrack_*",
                    remedy,
                )
            }
            Err(KnobError::ReadOnly(message) | KnobError::WriteOnly(message)) => Problem::new(
                sysctl.key_position,
                message,
                "expected a key that can be set",
                "remove this line",
            ),
            Err(KnobError::Invalid(message)) => Problem::new(
                sysctl.value_position,
                message,
                "the kernel does not take this value",
                "write a value within its bounds",
            ),
        };
        problems.push(problem);
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(file.source.error(problems))
    }
}
