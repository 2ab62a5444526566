//! `ip address`: show, add, change, replace, delete and flush; and the listing of links that it shares with `ip link`.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use super::route::device_of;
use super::words::{Refused, Typed, abbreviates, address, prefix, scope, scope_name};
use super::{Call, Style};
use crate::base::{Family, InterfaceId, InterfaceName};
use crate::net::{Address, ConfigError, Interface, NewAddress, Prefix, Scope};

pub(super) fn run(call: &mut Call<'_>) -> Result<(), Refused> {
    let Some(command) = call.words.take() else {
        return list(call, What::Addresses);
    };
    match command {
        it if abbreviates(it, "add") => add(call, false),
        it if abbreviates(it, "change") || it == "chg" || abbreviates(it, "replace") => add(call, true),
        it if abbreviates(it, "delete") => delete(call),
        it if abbreviates(it, "list") || abbreviates(it, "show") || abbreviates(it, "lst") => {
            list(call, What::Addresses)
        }
        it if abbreviates(it, "flush") => flush(call),
        it if ["save", "showdump", "restore"].iter().any(|name| abbreviates(it, name)) => {
            Err(Refused::not_there(&format!("`ip address {it}`")))
        }
        it if abbreviates(it, "help") => Err(Refused::usage(USAGE)),
        it => Err(Refused::unknown_command(it, "address")),
    }
}

/// What `add` and `delete` are told.
#[derive(Debug, Default)]
struct Told<'a> {
    local: Option<Typed>,
    /// Of the call, or of the first address that says it.
    family: Option<Family>,
    device: Option<&'a str>,
    scope: Option<Scope>,
    broadcast: Option<&'a str>,
    label: Option<&'a str>,
}

fn told<'a>(call: &mut Call<'a>) -> Result<Told<'a>, Refused> {
    let mut told = Told {
        family: call.style.family,
        ..Told::default()
    };
    while let Some(word) = call.words.take() {
        match word {
            "peer" | "remote" => return Err(Refused::not_there("an address with a `peer`")),
            it if abbreviates(it, "broadcast") || it == "brd" => {
                let value = call.words.need()?;
                if told.broadcast.is_some() {
                    return Err(Refused::duplicate("broadcast", value));
                }
                if !matches!(value, "+" | "-") {
                    address(value, told.family)?;
                }
                told.broadcast = Some(value);
            }
            "scope" => told.scope = Some(scope(call.words.need()?, "invalid scope value.")?),
            "dev" => told.device = Some(call.words.need()?),
            "label" => told.label = Some(call.words.need()?),
            it if OTHERS.contains(&it) => return Err(Refused::not_there(&format!("`{it}` of an address"))),
            it => {
                let value = if it == "local" { call.words.need()? } else { it };
                if abbreviates(value, "help") {
                    return Err(Refused::usage(USAGE));
                }
                if told.local.is_some() {
                    return Err(Refused::duplicate("local", value));
                }
                let typed = prefix(value, told.family)?;
                told.family = told.family.or(typed.family());
                told.local = Some(typed);
            }
        }
    }
    if told.device.is_none() {
        return Err(Refused::new(
            1,
            "Not enough information: \"dev\" argument is required.\n",
        ));
    }
    Ok(told)
}

fn add(call: &mut Call<'_>, may_exist: bool) -> Result<(), Refused> {
    let told = told(call)?;
    let device = told.device.unwrap_or_default();
    let id = device_of(call, device)?;
    let Some(local) = told.local else {
        return Err(nothing_said(told.family));
    };
    let own = local.address(told.family);
    let IpAddr::V4(of_ipv4) = own else {
        return add_ipv6(call, &told, (id, own, local.length), may_exist);
    };
    let last = |ones: bool| -> IpAddr {
        let host = u32::MAX.checked_shr(local.length.into()).unwrap_or(0);
        let bits = of_ipv4.to_bits();
        Ipv4Addr::from_bits(if ones { bits | host } else { bits & !host }).into()
    };
    let broadcast = match told.broadcast {
        None => None,
        Some("+" | "-") if local.length > 30 => None,
        Some("+") => Some(last(true)),
        Some("-") => Some(last(false)),
        Some(word) => Some(address(word, Some(Family::V4))?),
    };
    let label = match told.label {
        None => None,
        Some(label) => Some(
            InterfaceName::new(label).ok_or_else(|| Refused::new(2, "Error: Attribute failed policy validation.\n"))?,
        ),
    };
    let new = NewAddress {
        scope: told.scope,
        broadcast,
        label: label.filter(|label| label.as_str() != device),
        ..NewAddress::new(own, local.length)
    };
    match call.machine.change_net(|net| net.assign(id, new)) {
        Err(ConfigError::AddressExists(..)) if may_exist => Ok(()),
        other => Ok(other?),
    }
}

/// What the kernel says where no address is.
fn nothing_said(family: Option<Family>) -> Refused {
    Refused::by_kernel(match family {
        Some(Family::V6) => "Invalid argument",
        _ => "Operation not supported",
    })
}

/// Its scope is told by the address, and a label is nobody's.
fn add_ipv6(
    call: &mut Call<'_>,
    told: &Told<'_>,
    (id, own, length): (InterfaceId, IpAddr, u8),
    may_exist: bool,
) -> Result<(), Refused> {
    if told.broadcast.is_some() {
        return Err(Refused::new(1, "Broadcast can be set only for IPv4 addresses\n"));
    }
    match call
        .machine
        .change_net(|net| net.assign(id, NewAddress::new(own, length)))
    {
        Err(ConfigError::AddressExists(..)) if may_exist => Ok(()),
        other => Ok(other?),
    }
}

fn delete(call: &mut Call<'_>) -> Result<(), Refused> {
    let told = told(call)?;
    let own = told.local.map(|it| it.address(told.family));
    if let Some(IpAddr::V4(own)) = own
        && told.local.is_some_and(|it| !it.is_prefix)
    {
        call.warning += &format!(
            "Warning: Executing wildcard deletion to stay compatible with old scripts.\n         Explicitly specify the prefix length \
             ({own}/32) to avoid this warning.\n         This special behaviour is likely to disappear in further releases,\n         fix your \
             scripts!\n"
        );
    }
    let id = device_of(call, told.device.unwrap_or_default())?;
    let (Some(local), Some(own)) = (told.local, own) else {
        return Err(nothing_said(told.family));
    };
    let any_length = !local.is_prefix && own.is_ipv4();
    let is_it = |it: &&Address| {
        it.address == own
            && (any_length || it.prefix_length == local.length)
            && told
                .label
                .is_none_or(|label| own.is_ipv6() || it.label.is_some_and(|has| has.as_str() == label))
    };
    call.machine.router().configure(|config| {
        let found = config.net.interface(id).addresses.iter().find(is_it).copied();
        let found = found.ok_or(ConfigError::NoAddress(own, local.length))?;
        config.net.remove_address(id, found.address, found.prefix_length)
    })?;
    Ok(())
}

fn flush(call: &mut Call<'_>) -> Result<(), Refused> {
    if call.words.peek().is_none() {
        return Err(Refused::new(1, "Flush requires arguments.\n"));
    }
    let filter = filter(call)?;
    call.machine.router().configure(|config| {
        let net = &mut config.net;
        let ids: Vec<InterfaceId> = net.interfaces().iter().map(|it| it.id).collect();
        for id in ids {
            loop {
                let interface = net.interface(id);
                // Secondaries first: whether they go with their primary is the interface's business.
                let mut meant = interface
                    .addresses
                    .iter()
                    .filter(|it| filter.takes(interface) && filter.means(it));
                let Some(next) = meant.next().copied() else { break };
                net.remove_address(id, next.address, next.prefix_length)?;
            }
        }
        Ok::<(), ConfigError>(())
    })?;
    Ok(())
}

/// What is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Addresses,
    Links,
}

#[derive(Debug, Default)]
struct Filter {
    device: Option<InterfaceId>,
    only_up: bool,
    within: Option<Prefix>,
    scope: Option<Scope>,
    secondary: Option<bool>,
    family: Option<Family>,
}

impl Filter {
    fn takes(&self, interface: &Interface) -> bool {
        self.device.is_none_or(|id| id == interface.id) && (!self.only_up || interface.is_up)
    }

    fn means(&self, it: &Address) -> bool {
        self.within.is_none_or(|within| within.contains(it.address))
            && self.scope.is_none_or(|scope| scope == it.scope)
            && self.secondary.is_none_or(|secondary| secondary == it.secondary)
            && self.family.is_none_or(|family| family == Family::of(it.address))
    }
}

fn filter(call: &mut Call<'_>) -> Result<Filter, Refused> {
    let mut filter = Filter {
        family: call.style.family,
        ..Filter::default()
    };
    let mut device = None;
    while let Some(word) = call.words.take() {
        match word {
            "to" => {
                let typed = prefix(call.words.need()?, filter.family)?;
                filter.family = filter.family.or(typed.family());
                filter.within = Some(typed.network(filter.family));
            }
            "scope" => match call.words.need()? {
                "all" => {}
                word => filter.scope = Some(scope(word, "invalid \"scope\"\n")?),
            },
            "up" => filter.only_up = true,
            it if it == "secondary" || it == "temporary" => filter.secondary = Some(true),
            "primary" => filter.secondary = Some(false),
            it if [
                "dynamic",
                "permanent",
                "label",
                "group",
                "master",
                "vrf",
                "nomaster",
                "type",
            ]
            .contains(&it) =>
            {
                return Err(Refused::not_there(&format!("the selector `{it}`")));
            }
            it => {
                let name = if it == "dev" { call.words.need()? } else { it };
                if abbreviates(it, "help") {
                    return Err(Refused::usage(USAGE));
                }
                if device.is_some() {
                    return Err(Refused::duplicate("dev", name));
                }
                device = Some(name);
            }
        }
    }
    if let Some(name) = device {
        let config = call.machine.router().config();
        let found = config.net.by_name(name).map(|it| it.id);
        filter.device = Some(found.ok_or_else(|| Refused::new(1, format!("Device \"{name}\" does not exist.\n")))?);
    }
    Ok(filter)
}

pub(super) fn list(call: &mut Call<'_>, what: What) -> Result<(), Refused> {
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
    let _ = write!(out, "    {family} {}/{}", it.address, it.prefix_length);
    if let Some(broadcast) = it.broadcast {
        let _ = write!(out, " brd {broadcast}");
    }
    let secondary = if it.secondary { " secondary" } else { "" };
    let _ = write!(out, " scope {}{secondary} ", scope_name(it.scope));
    if it.address.is_ipv4() {
        let _ = write!(out, "{}", it.label.unwrap_or(interface.name));
    }
    let _ = writeln!(
        out,
        "{}       valid_lft forever preferred_lft forever",
        style.line_end()
    );
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
                let _ = write!(out, "{}/{} ", it.address, it.prefix_length);
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

/// What else an address can be given.
const OTHERS: &[&str] = &[
    "anycast",
    "metric",
    "priority",
    "preference",
    "valid_lft",
    "preferred_lft",
    "home",
    "nodad",
    "mngtmpaddr",
    "noprefixroute",
    "autojoin",
    "proto",
];

const USAGE: &str = "\
Usage: ip address { add | change | replace } ADDRESS[/LENGTH] dev DEVICE [ broadcast { ADDRESS | + | - } ] [ scope SCOPE ] [ label LABEL ]
       ip address delete ADDRESS[/LENGTH] dev DEVICE
       ip address { show | flush } [ [ dev ] DEVICE ] [ scope SCOPE ] [ to PREFIX ] [ up ] [ primary | secondary ]
";
