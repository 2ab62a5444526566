//! `ip address`: show, add, change, replace, delete and flush.

mod list;
mod select;

use std::net::{IpAddr, Ipv4Addr};

pub(super) use self::list::{What, list};
use self::select::filter;
use super::Call;
use super::route::device_of;
use super::words::{Refused, Typed, abbreviates, address, number, prefix, scope};
use crate::base::{Family, InterfaceId, InterfaceName};
use crate::net::{Address, AddressFlags, ConfigError, Net, NewAddress, Prefix, Scope};

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
    peer: Option<Typed>,
    metric: u32,
    flags: AddressFlags,
}

fn told<'a>(call: &mut Call<'a>) -> Result<Told<'a>, Refused> {
    let mut told = Told {
        family: call.style.family,
        ..Told::default()
    };
    let mut lifetimes = (Lifetime::Forever, Lifetime::Forever);
    let mut only_of_ipv6 = Vec::new();
    while let Some(word) = call.words.take() {
        match word {
            "peer" | "remote" => {
                let value = call.words.need()?;
                if told.peer.is_some() {
                    let text = format!("Error: duplicate \"peer\": \"{value}\" is the second value.\n");
                    return Err(Refused::new(255, text));
                }
                let typed = prefix(value, told.family)?;
                told.family = told.family.or(typed.family());
                told.peer = Some(typed);
            }
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
            "metric" | "priority" | "preference" => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "\"metric\" value is invalid\n");
                told.metric = number(value).ok_or_else(wrong)?;
            }
            "valid_lft" => lifetimes.0 = lifetime(call.words.need()?, "valid_lft value")?,
            "preferred_lft" => lifetimes.1 = lifetime(call.words.need()?, "preferred_lft value")?,
            // Nobody is asked whether the address is another's, so it is not used before the answer, either.
            "optimistic" => only_of_ipv6.push(word),
            "anycast" => {
                // The real tool takes it, and the kernel has no use for it.
                address(call.words.need()?, told.family)?;
            }
            "dev" => told.device = Some(call.words.need()?),
            "label" => told.label = Some(call.words.need()?),
            it if NOT_TOLD.contains(&it) => {
                call.warning += &format!("Warning: {it} option is not mutable from userspace\n");
            }
            it if let Some((flag, word)) = AddressFlags::ALL.iter().find(|(_, word)| *word == it) => {
                told.flags = told.flags.with(*flag);
                if *word != "noprefixroute" {
                    only_of_ipv6.push(word);
                }
            }
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
    if told.family != Some(Family::V6) {
        for word in only_of_ipv6 {
            call.warning += &format!("Warning: {word} option can be set only for IPv6 addresses\n");
        }
    }
    told.flags = told.flags.with(flags_of(lifetimes)?);
    if told.device.is_none() {
        return Err(Refused::new(
            1,
            "Not enough information: \"dev\" argument is required.\n",
        ));
    }
    Ok(told)
}

/// For how long an address is the host's, or a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lifetime {
    Seconds(u32),
    Forever,
}

fn lifetime(word: &str, what: &str) -> Result<Lifetime, Refused> {
    match (word, number(word)) {
        ("forever", _) | (_, Some(u32::MAX)) => Ok(Lifetime::Forever),
        (_, Some(seconds)) => Ok(Lifetime::Seconds(seconds)),
        (_, None) => Err(Refused::wrong(word, what)),
    }
}

/// An address of a lab stays until it is removed.
fn flags_of((valid, preferred): (Lifetime, Lifetime)) -> Result<AddressFlags, Refused> {
    match (valid, preferred) {
        (Lifetime::Seconds(0), _) => Err(Refused::new(1, "valid_lft is zero\n")),
        _ if preferred > valid => Err(Refused::new(1, "preferred_lft is greater than valid_lft\n")),
        (Lifetime::Forever, Lifetime::Forever) => Ok(AddressFlags::default()),
        (Lifetime::Forever, Lifetime::Seconds(0)) => Ok(AddressFlags::DEPRECATED),
        _ => Err(Refused::not_there(
            "an address that is the host's, or preferred, for some seconds",
        )),
    }
}

fn add(call: &mut Call<'_>, may_exist: bool) -> Result<(), Refused> {
    let told = told(call)?;
    let device = told.device.unwrap_or_default();
    let id = device_of(call, device)?;
    let Some(local) = told.local else {
        return Err(nothing_said(told.family));
    };
    let own = local.address(told.family);
    let peer = told.peer.map(|it| it.address(told.family));
    let length = told.peer.map_or(local.length, |it| it.length);
    let IpAddr::V4(network) = peer.unwrap_or(own) else {
        return add_ipv6(call, &told, (id, own, length), may_exist);
    };
    let last = |ones: bool| -> IpAddr {
        let host = u32::MAX.checked_shr(length.into()).unwrap_or(0);
        let bits = network.to_bits();
        Ipv4Addr::from_bits(if ones { bits | host } else { bits & !host }).into()
    };
    let broadcast = match told.broadcast {
        None => None,
        Some("+" | "-") if length > 30 => None,
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
        peer,
        metric: told.metric,
        flags: told.flags,
        ..NewAddress::new(own, length)
    };
    put(call, id, new, may_exist)
}

fn put(call: &mut Call<'_>, id: InterfaceId, new: NewAddress, may_exist: bool) -> Result<(), Refused> {
    let put = |net: &mut Net| match may_exist {
        true => net.change_address(id, new),
        false => net.assign(id, new),
    };
    Ok(call.machine.change_net(put)?)
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
    let new = NewAddress {
        peer: told.peer.map(|it| it.address(told.family)),
        metric: told.metric,
        flags: told.flags,
        ..NewAddress::new(own, length)
    };
    call.machine.router().forget_askers(id);
    put(call, id, new, may_exist)
}

fn delete(call: &mut Call<'_>) -> Result<(), Refused> {
    let told = told(call)?;
    let own = told.local.map(|it| it.address(told.family));
    if let Some(IpAddr::V4(own)) = own
        && told.local.is_some_and(|it| !it.is_prefix)
        && told.peer.is_none()
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
    let any_length = !local.is_prefix && told.peer.is_none() && own.is_ipv4();
    let length = told.peer.map_or(local.length, |it| it.length);
    let within = told.peer.map_or(own, |it| it.address(told.family));
    let network = Prefix::containing(within, length);
    let is_in_it = |it: &Address| match own {
        IpAddr::V4(_) => Some(it.network()) == network,
        IpAddr::V6(_) => it.prefix_length == length,
    };
    let is_it = |it: &&Address| {
        it.address == own
            && (any_length || is_in_it(it))
            && told
                .label
                .is_none_or(|label| own.is_ipv6() || it.label.is_some_and(|has| has.as_str() == label))
    };
    call.machine.router().configure(|config| {
        let found = config.net.interface(id).addresses.iter().find(is_it).copied();
        let found = found.ok_or_else(|| config.net.has_no_address(id, own, length))?;
        config.net.remove_this_address(id, &found)
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
                net.remove_this_address(id, &next)?;
            }
        }
        Ok::<(), ConfigError>(())
    })?;
    Ok(())
}

/// What is told of an address, and cannot be told to it.
const NOT_TOLD: &[&str] = &[
    "temporary",
    "secondary",
    "dadfailed",
    "deprecated",
    "tentative",
    "permanent",
    "stable-privacy",
];

/// What else an address can be given.
const OTHERS: &[&str] = &["autojoin"];

const USAGE: &str = "\
Usage: ip address { add | change | replace } ADDRESS[/LENGTH] dev DEVICE [ peer ADDRESS[/LENGTH] ] [ broadcast { ADDRESS | + | - } ]
                [ scope SCOPE ] [ label LABEL ] [ metric NUMBER ] [ preferred_lft 0 ] [ noprefixroute | nodad | home | mngtmpaddr ]
       ip address delete ADDRESS[/LENGTH] dev DEVICE [ peer ADDRESS[/LENGTH] ]
       ip address { show | flush } [ [ dev ] DEVICE ] [ scope SCOPE ] [ to PREFIX ] [ up ] [ primary | secondary ]
";
