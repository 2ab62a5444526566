//! What stands around the rules: interfaces, routes, hosts.

use std::net::IpAddr;

use nom::combinator::opt;

use super::done;
use crate::base::{Family, InterfaceName};
use crate::lab::conversation::{self, Host, Hosts, ROUTER};
use crate::lab::memory::LOCAL;
use crate::lab::script::{Kind, RouteWord};
use crate::net::Prefix;
use crate::syntax::atom;
use crate::syntax::problem::Problem;
use crate::syntax::words::{self, Words, unexpected};

pub(super) fn interface(rest: &mut Words<'_>, hosts: &mut Hosts) -> Result<Kind, Problem> {
    let name = rest.read(words::one("a name of 1 to 15 bytes", |text| {
        InterfaceName::new(text).filter(|name| !name.is_empty() && name.as_str() != LOCAL)
    }))?;
    let position = rest.position();
    let mut addresses = Vec::new();
    while !rest.is_done() {
        addresses.push(rest.read(words::one(
            "an address with its prefix length, such as 10.0.0.1/24 or 2001:db8::1/64",
            |text| {
                let (address, length) = atom::network(text)?;
                Some((address, length?.parse().ok()?))
            },
        ))?);
    }
    if hosts.get(name.as_str()).is_some() {
        return Err(Problem::new(
            position,
            format!("`{name}` cannot name an interface: a host of this lab has that name"),
            "expected another name",
            "call one of the two otherwise",
        ));
    }
    hosts.insert_interface(name, &addresses);
    Ok(Kind::Interface { name, addresses })
}

pub(super) fn route(rest: &mut Words<'_>) -> Result<Kind, Problem> {
    if rest.is_done() {
        return Ok(Kind::Route(RouteWord::Show));
    }
    let remove = rest.read(words::has("del"))?;
    if !remove {
        rest.read(words::has("add"))?;
    }
    let (to, is_default): (Prefix, bool) = rest.read(words::one(
        "a prefix such as 10.1.0.0/16 or 2001:db8:7::/48, or `default`",
        |text| Some((text.parse().ok()?, text == "default")),
    ))?;
    if remove {
        return done(rest, Kind::Route(RouteWord::Remove(to)));
    }
    let (mut via, mut interface) = (None::<IpAddr>, None);
    while let Some(word) = rest.read(opt(words::anything))? {
        match word.text.as_str() {
            "via" => {
                let at = rest.peek().map_or_else(|| rest.position(), |word| word.position);
                let gateway: IpAddr = rest.read(words::one("the next router's address", |text| text.parse().ok()))?;
                // The other way round there are such routes.
                if !is_default && to.family() == Family::V6 && gateway.is_ipv4() {
                    return Err(Problem::new(
                        at,
                        format!("{gateway} is of IPv4, and {to} of IPv6"),
                        "expected the next router's address of IPv6",
                        "write one such as 2001:db8::fe, or fe80::fe with `dev`",
                    ));
                }
                via = Some(gateway);
            }
            "dev" => interface = Some(rest.read(words::one("an interface's name", InterfaceName::new))?),
            _ => return Err(unexpected(word, "expected `via ADDRESS` or `dev INTERFACE`", "")),
        }
    }
    let to = match via.map(Family::of) {
        Some(family) if is_default => Prefix::default_of(family),
        _ => to,
    };
    Ok(Kind::Route(RouteWord::Add { to, via, interface }))
}

pub(super) fn host(rest: &mut Words<'_>, hosts: &mut Hosts) -> Result<Kind, Problem> {
    let word = rest.read(words::word("the host's name"))?;
    if !conversation::is_name(&word.text) {
        return Err(unexpected(
            word,
            "expected a name: a letter, then letters, digits, `-` and `_`",
            "write it like `host client 10.0.0.2 lan`",
        ));
    }
    let refused = |why: &str| {
        let remedy = match word.text.as_str() {
            ROUTER | LOCAL => {
                "give an address of the router's a name of its own: `host gateway 192.0.2.1 local`".to_owned()
            }
            name => format!("choose another name, such as `{name}-host`"),
        };
        let message = format!("`{}` cannot name a host: {why}", word.text);
        Err(Problem::new(word.position, message, "expected another name", remedy))
    };
    if let Some(why) = conversation::means_something_else(&word.text) {
        return refused(why);
    }
    if hosts.has_interface(&word.text) {
        return refused("an interface of this lab has that name");
    }
    let first = rest.read(words::one("its address", atom::ip_address))?;
    let second = rest.read(opt(words::made(atom::ip_address)))?;
    if second.is_some_and(|second| Family::of(second) == Family::of(first)) {
        return Err(Problem::new(
            rest.position(),
            format!("`{}` has an address of this family already", word.text),
            "expected one of the other family, or the interface it is on",
            "leave one of them out",
        ));
    }
    let addresses = [Some(first), second].into_iter().flatten().collect();
    let interface = match rest.is_done() {
        true => None,
        false => Some(rest.read(words::one("the interface it is on, or `local`", |text| {
            InterfaceName::new(text).filter(|name| !name.is_empty())
        }))?),
    };
    if let Some(name) = interface.filter(|name| !hosts.may_have_interface(*name)) {
        return Err(Problem::new(
            rest.position(),
            format!("the lab has no interface `{name}`"),
            "expected an interface of the lab, or `local`",
            format!(
                "it has {}; `interface {name} ADDRESS/LENGTH` adds one",
                hosts.interfaces().join(", ")
            ),
        ));
    }
    hosts.insert(&word.text, Host { addresses, interface });
    done(rest, Kind::Host)
}
