//! `ip link`: show, set (up, down, mtu, name, txqueuelen) and delete.

use super::words::{Refused, abbreviates, number};
use super::{Call, address, route};
use crate::base::{InterfaceId, InterfaceName};

pub(super) fn run(call: &mut Call<'_>) -> Result<(), Refused> {
    let Some(command) = call.words.take() else {
        return address::list(call, address::What::Links);
    };
    match command {
        it if abbreviates(it, "add") => Err(not_added(call)),
        it if abbreviates(it, "set") || abbreviates(it, "change") => set(call),
        it if abbreviates(it, "replace") => Err(Refused::not_there("`ip link replace`")),
        it if abbreviates(it, "delete") => delete(call),
        it if abbreviates(it, "show") || abbreviates(it, "lst") || abbreviates(it, "list") => {
            address::list(call, address::What::Links)
        }
        it if abbreviates(it, "xstats") || abbreviates(it, "afstats") || abbreviates(it, "property") => {
            Err(Refused::not_there(&format!("`ip link {it}`")))
        }
        it if abbreviates(it, "help") => Err(Refused::usage(USAGE)),
        it => Err(Refused::unknown_command(it, "link")),
    }
}

/// A lab gets its interfaces elsewhere.
fn not_added(call: &mut Call<'_>) -> Refused {
    while let Some(word) = call.words.take() {
        if word == "type" {
            return Refused::new(
                2,
                "ip: `ip link add` is not there in nflab, nothing was changed: a lab gets its interfaces from its lab file, or by the word \
                 `interface` of a script\n",
            );
        }
    }
    Refused::new(1, "Not enough information: \"type\" argument is required\n")
}

fn set(call: &mut Call<'_>) -> Result<(), Refused> {
    let (mut device, mut up, mut mtu, mut name, mut queue): (Option<&str>, _, _, _, _) =
        (None, None::<bool>, None, None, None);
    while let Some(word) = call.words.take() {
        match word {
            "up" => up = Some(true),
            "down" => up = Some(false),
            "mtu" => {
                let value = call.words.need()?;
                // The real tool's text ends in an empty line.
                mtu = Some(number(value).ok_or_else(|| Refused::wrong(value, "Invalid \"mtu\" value\n"))?);
            }
            "name" => {
                let value = call.words.need()?;
                let valid = InterfaceName::new(value).filter(|_| is_name(value));
                name = Some(valid.ok_or_else(|| Refused::wrong(value, "\"name\" not a valid ifname"))?);
            }
            "txqueuelen" | "qlen" | "txqlen" => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "Invalid \"txqueuelen\" value\n");
                queue = Some(number(value).ok_or_else(wrong)?);
            }
            other if OTHERS.contains(&other) => return Err(Refused::not_there(&format!("`ip link set ... {other}`"))),
            other => {
                if abbreviates(other, "help") {
                    return Err(Refused::usage(USAGE));
                }
                let word = if other == "dev" { call.words.need()? } else { other };
                if device.is_some() {
                    return Err(Refused::duplicate("dev", word));
                }
                device = Some(word);
            }
        }
    }
    let id = device_of(call, device)?;
    call.machine.router().configure(|config| {
        let net = &mut config.net;
        if let Some(mtu) = mtu {
            // The loopback device takes more than the others.
            net.set_mtu(id, mtu)?;
        }
        if let Some(queue) = queue {
            net.set_queue_length(id, queue)?;
        }
        if let Some(name) = name {
            net.rename_interface(id, name)?;
        }
        up.map_or(Ok(()), |up| net.set_link_up(id, up))
    })?;
    Ok(())
}

fn delete(call: &mut Call<'_>) -> Result<(), Refused> {
    let mut device = None;
    while let Some(word) = call.words.take() {
        match word {
            "dev" => device = Some(call.words.need()?),
            "type" | "group" => return Err(Refused::not_there(&format!("`ip link delete ... {word}`"))),
            _ if device.is_some() => return Err(Refused::duplicate("dev", word)),
            _ => device = Some(word),
        }
    }
    let id = device_of(call, device)?;
    call.machine
        .router()
        .configure(|config| config.net.remove_interface(id))?;
    Ok(())
}

fn device_of(call: &Call<'_>, device: Option<&str>) -> Result<InterfaceId, Refused> {
    let device = device.ok_or_else(|| Refused::new(255, "Not enough information: \"dev\" argument is required.\n"))?;
    route::device_of(call, device)
}

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 15 && !text.contains(|it: char| it == '/' || it.is_whitespace())
}

/// What else `set` takes.
const OTHERS: &[&str] = &[
    "index",
    "link",
    "address",
    "broadcast",
    "brd",
    "netns",
    "multicast",
    "allmulticast",
    "promisc",
    "trailers",
    "arp",
    "carrier",
    "vf",
    "master",
    "vrf",
    "nomaster",
    "dynamic",
    "type",
    "alias",
    "group",
    "mode",
    "state",
    "xdp",
    "addrgenmode",
    "protodown",
    "gso_max_size",
    "gso_max_segs",
    "gro_max_size",
];

const USAGE: &str = "\
Usage: ip link show [ DEVICE ] [ up ]
       ip link set DEVICE [ up | down ] [ mtu MTU ] [ name NEWNAME ] [ txqueuelen PACKETS ]
       ip link delete DEVICE
";
