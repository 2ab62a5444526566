//! The listing of addresses, and that of links, which `ip link` shares.

use std::fmt::Write;

use super::select::filter;
use crate::base::{Family, InterfaceId, as_in_c};
use crate::cli::ip::words::{Refused, scope_name};
use crate::cli::ip::{Call, Style};
use crate::net::{Address, AddressFlags, Interface};

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::ip) enum What {
    Addresses,
    Links,
}

pub(in crate::cli::ip) fn list(call: &mut Call<'_>, what: What) -> Result<(), Refused> {
    let filter = filter(call)?;
    let mut style = call.style;
    // The kernel's list of links with IPv6 says less of them.
    let is_short = style.family == Some(Family::V6) && filter.device.is_none();
    if what == What::Addresses && style.family.is_none() && filter.within.is_some() {
        style.family = filter.family;
    }
    let config = call.machine.router().config();
    for interface in config.net.interfaces().iter().filter(|it| filter.takes(it)) {
        let meant = interface.addresses.iter().filter(|it| filter.means(it));
        let meant: Vec<&Address> = meant.collect();
        // A link without any address is told of where any family would do.
        let is_bare = interface.addresses.is_empty() && style.family.is_none();
        if what == What::Addresses && meant.is_empty() && !is_bare {
            continue;
        }
        if style.brief {
            brief(&mut call.out, interface, what, &meant);
            continue;
        }
        if what == What::Links || !style.one_line {
            link(&mut call.out, interface, what, (style, is_short));
        }
        if what == What::Addresses {
            for it in meant {
                one(&mut call.out, interface, it, style);
            }
        }
    }
    Ok(())
}

fn link(out: &mut String, interface: &Interface, what: What, (style, is_short): (Style, bool)) {
    let is_lo = interface.id == InterfaceId::LOOPBACK;
    let is_short = is_short && what == What::Addresses;
    let mode = if what == What::Links { " mode DEFAULT" } else { "" };
    let (qdisc, group) = match is_short {
        true => ("", ""),
        false if is_lo => (" qdisc noqueue", " group default"),
        false => (" qdisc pfifo_fast", " group default"),
    };
    let _ = write!(
        out,
        "{}: {}: <{}> mtu {}{qdisc} state {}{mode}{group} qlen {}",
        index(interface),
        interface.name,
        flags(interface),
        interface.mtu,
        state(interface),
        interface.queue_length
    );
    if what == What::Links || style.family.is_none() {
        out.push_str(style.line_end());
        out.push_str(match is_lo {
            true => "    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00",
            false => "    link/none ",
        });
    }
    out.push('\n');
}

fn one(out: &mut String, interface: &Interface, it: &Address, style: Style) {
    if style.one_line {
        let _ = write!(out, "{}: {}", index(interface), interface.name);
    }
    let family = if it.address.is_ipv6() { "inet6" } else { "inet" };
    let _ = write!(out, "    {family} ");
    write_whole(out, it);
    if let Some(broadcast) = it.broadcast {
        let _ = write!(out, " brd {broadcast}");
    }
    let secondary = if it.secondary { " secondary" } else { "" };
    let _ = write!(out, " scope {}{secondary} ", scope_name(it.scope));
    for (_, word) in AddressFlags::ALL.iter().filter(|(flag, _)| it.flags.has(*flag)) {
        let _ = write!(out, "{word} ");
    }
    if it.address.is_ipv4() {
        let _ = write!(out, "{}", it.label.unwrap_or(interface.name));
    }
    // Of IPv4 it is told otherwise, whatever holds.
    let preferred = match it.address.is_ipv6() && it.flags.has(AddressFlags::DEPRECATED) {
        true => "0sec",
        false => "forever",
    };
    let _ = writeln!(
        out,
        "{}       valid_lft forever preferred_lft {preferred}",
        style.line_end()
    );
}

fn write_whole(out: &mut String, it: &Address) {
    let _ = match it.peer {
        Some(peer) => write!(
            out,
            "{} peer {}/{}",
            as_in_c(it.address),
            as_in_c(peer),
            it.prefix_length
        ),
        None => write!(out, "{}/{}", as_in_c(it.address), it.prefix_length),
    };
    if it.metric != 0 {
        let _ = write!(out, " metric {}", it.metric);
    }
}

fn brief(out: &mut String, interface: &Interface, what: What, addresses: &[&Address]) {
    let _ = write!(out, "{:<16} {:<14} ", interface.name.as_str(), state(interface));
    match what {
        What::Links => {
            if interface.id == InterfaceId::LOOPBACK {
                out.push_str("00:00:00:00:00:00 ");
            }
            let _ = write!(out, "<{}> ", flags(interface));
        }
        What::Addresses => {
            for it in addresses {
                write_whole(out, it);
                out.push(' ');
            }
        }
    }
    out.push('\n');
}

/// A fresh namespace counts from 1.
fn index(interface: &Interface) -> u32 {
    u32::from(interface.id.0) + 1
}

fn state(interface: &Interface) -> &'static str {
    if interface.is_up { "UNKNOWN" } else { "DOWN" }
}

fn flags(interface: &Interface) -> String {
    let kind = match interface.id {
        InterfaceId::LOOPBACK => "LOOPBACK",
        _ => "POINTOPOINT,MULTICAST,NOARP",
    };
    format!("{kind}{}", if interface.is_up { ",UP,LOWER_UP" } else { "" })
}
