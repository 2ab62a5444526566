//! `ip rule`: list, add, delete and flush.

use super::Call;
use super::words::{Refused, abbreviates, number, prefix, protocol, protocol_name, table, tos, tos_name};
use crate::base::{Family, InterfaceName, MarkMask};
use crate::ext::names;
use crate::net::{
    IPV4_TOS, Prefix, RouteKind, RouteProtocol, RoutingRule, RuleAction, RuleLink, RuleNames, RuleTransport,
    table as number_of,
};

pub(super) fn run(call: &mut Call<'_>) -> Result<(), Refused> {
    let Some(command) = call.words.take() else {
        return list(call);
    };
    match command {
        it if ["list", "lst", "show"].iter().any(|name| abbreviates(it, name)) => list(call),
        it if abbreviates(it, "save") || abbreviates(it, "restore") => {
            Err(Refused::not_there(&format!("`ip rule {it}`")))
        }
        it if abbreviates(it, "add") => add(call),
        it if abbreviates(it, "delete") => delete(call),
        it if abbreviates(it, "flush") => flush(call),
        it if abbreviates(it, "help") => Err(Refused::usage(USAGE)),
        it => Err(Refused::unknown_command(it, "rule")),
    }
}

/// What a rule is described by; `None` is any.
#[derive(Clone, Debug, Default)]
struct Described {
    inverted: bool,
    priority: Option<u32>,
    from: Option<Prefix>,
    to: Option<Prefix>,
    mark: Option<(u32, Option<u32>)>,
    input: Option<InterfaceName>,
    output: Option<InterfaceName>,
    tos: Option<u8>,
    transport: RuleTransport,
    protocol: Option<RouteProtocol>,
    suppressed: Option<u32>,
    action: Option<RuleAction>,
}

fn described(call: &mut Call<'_>, is_listing: bool) -> Result<Described, Refused> {
    let mut rule = Described::default();
    let asked = call.style.family;
    while let Some(word) = call.words.take() {
        match word {
            "not" => rule.inverted = true,
            "from" => rule.from = Some(prefix(call.words.need()?, asked)?.network(asked)),
            "to" => rule.to = Some(prefix(call.words.need()?, asked)?.network(asked)),
            it if ["preference", "order", "priority"]
                .iter()
                .any(|name| abbreviates(it, name)) =>
            {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "preference value is invalid\n");
                rule.priority = Some(number(value).ok_or_else(wrong)?);
            }
            it if it == "tos" || abbreviates(it, "dsfield") => {
                let value = call.words.need()?;
                let tos = tos(value).ok_or_else(|| Refused::wrong(value, "TOS value is invalid\n"))?;
                if tos & 3 != 0 {
                    let why = "Error: Invalid dsfield (tos): ECN bits must be 0.\n";
                    return Err(Refused::new(2, why));
                }
                rule.tos = Some(tos);
            }
            "fwmark" => {
                let typed = call.words.need()?;
                let (value, mask) = match typed.split_once('/') {
                    Some((value, mask)) => (value, Some(mask)),
                    None => (typed, None),
                };
                let value = number(value).ok_or_else(|| Refused::wrong(value, "fwmark value is invalid\n"))?;
                let read = |mask| number(mask).ok_or_else(|| Refused::wrong(mask, "fwmask value is invalid\n"));
                rule.mark = Some((value, mask.map(read).transpose()?));
            }
            it if abbreviates(it, "table") || abbreviates(it, "lookup") => {
                let value = call.words.need()?;
                let found = table(value).ok_or_else(|| Refused::wrong(value, "invalid table ID\n"))?;
                if found == 0 {
                    return Err(Refused::not_there("a table of the kernel's choice (0)"));
                }
                rule.action = Some(RuleAction::Table(found));
            }
            "dev" | "iif" => rule.input = Some(name(call.words.need()?, "\"iif\"/\"dev\" not a valid ifname")?),
            "oif" => rule.output = Some(name(call.words.need()?, "\"oif\" not a valid ifname")?),
            "suppress_prefixlength" | "sup_pl" => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "suppress_prefixlength value is invalid\n");
                rule.suppressed = Some(number(value).ok_or_else(wrong)?);
            }
            "ipproto" => rule.transport.protocol = ip_protocol(call.words.need()?)?,
            "sport" => rule.transport.source = Some(ports(call.words.need()?, "invalid port range\n")?),
            "dport" => rule.transport.destination = Some(ports(call.words.need()?, "invalid dport range\n")?),
            it if abbreviates(it, "protocol") => {
                let value = call.words.need()?;
                let why = match is_listing {
                    true => "invalid \"protocol\"\n",
                    false => "\"protocol\" value is invalid\n",
                };
                rule.protocol = Some(protocol(value).ok_or_else(|| Refused::wrong(value, why))?);
            }
            it if abbreviates(it, "goto") => {
                let value = call.words.need()?;
                let wrong = || Refused::wrong(value, "invalid target\n");
                rule.action = Some(RuleAction::Goto(number(value).ok_or_else(wrong)?));
            }
            "nop" => rule.action = Some(RuleAction::Nop),
            it if OTHERS.contains(&it) || abbreviates(it, "realms") => {
                return Err(Refused::not_there(&format!("`{it}` of a rule")));
            }
            it if is_listing => {
                if abbreviates(it, "help") {
                    return Err(Refused::usage(USAGE));
                }
                let family = Some(family_of(call));
                rule.to = Some(prefix(it, family)?.network(family));
            }
            it => {
                if abbreviates(it, "help") {
                    return Err(Refused::usage(USAGE));
                }
                let value = if it == "type" { call.words.need()? } else { it };
                rule.action = Some(match super::words::route_kind(value) {
                    Some(RouteKind::Unicast) => RuleAction::Table(number_of::MAIN),
                    Some(RouteKind::Blackhole) => RuleAction::Blackhole,
                    Some(RouteKind::Unreachable) => RuleAction::Unreachable,
                    Some(RouteKind::Prohibit) => RuleAction::Prohibit,
                    Some(_) => return Err(Refused::not_there(&format!("a rule of the type {value}"))),
                    None if value == "nat" => return Err(Refused::not_there("`nat` of a rule")),
                    None => return Err(Refused::wrong(value, "Failed to parse rule type")),
                });
            }
        }
    }
    Ok(rule)
}

impl Described {
    /// Who lists or flushes asks for places within a prefix; seen: who lists, of everybody's rules.
    fn is_listed(&self, rule: &RoutingRule, is_told: bool) -> bool {
        let within = |asked: &Option<Prefix>, has: &Option<Prefix>| match asked {
            Some(asked) if asked.length() > 0 => has.is_some_and(|has| asked.contains(has.address())),
            _ => true,
        };
        let any_place = Self {
            from: None,
            to: None,
            protocol: self.protocol.filter(|_| !is_told),
            ..self.clone()
        };
        within(&self.from, &rule.from) && within(&self.to, &rule.to) && any_place.means(rule)
    }

    fn means(&self, rule: &RoutingRule) -> bool {
        fn is<T: PartialEq>(wanted: Option<T>, has: Option<T>) -> bool {
            wanted.is_none() || wanted == has
        }
        let any = |it: &Option<Prefix>| it.filter(|it| it.length() > 0);
        is(self.priority, Some(rule.priority))
            && is(any(&self.from), rule.from)
            && is(any(&self.to), rule.to)
            && self.mark.is_none_or(|(value, mask)| {
                (value == 0 || value == rule.mark.value) && mask.is_none_or(|mask| mask == rule.mark.mask)
            })
            && is(self.input, rule.input.map(|it| it.name))
            && is(self.output, rule.output.map(|it| it.name))
            && is(self.tos.filter(|it| *it != 0), Some(rule.tos))
            && (self.transport.protocol == 0 || self.transport.protocol == rule.transport.protocol)
            && is(self.transport.source, rule.transport.source)
            && is(self.transport.destination, rule.transport.destination)
            && is(self.protocol, Some(rule.protocol))
            && (self.suppressed.is_none() || self.suppressed == rule.suppressed)
            && is(self.action, Some(rule.action))
    }
}

/// Rules are IPv4's unless the call says otherwise.
fn family_of(call: &Call<'_>) -> Family {
    call.style.family.unwrap_or(Family::V4)
}

fn add(call: &mut Call<'_>) -> Result<(), Refused> {
    if call.words.peek().is_none() {
        return Err(Refused::new(1, "\"ip rule add\" requires arguments.\n"));
    }
    let told = described(call, false)?;
    let family = family_of(call);
    for (prefix, what) in [(told.from, "source"), (told.to, "destination")] {
        if prefix.is_some_and(|it| it.length() > 0 && it.family() != family) {
            return Err(Refused::new(2, format!("Error: Invalid {what} address.\n")));
        }
    }
    if family == Family::V4 && told.tos.is_some_and(|tos| tos & !IPV4_TOS != 0) {
        return Err(Refused::explained("Invalid tos."));
    }
    for (ports, what) in [(told.transport.source, "sport"), (told.transport.destination, "dport")] {
        // Seen: of the whole range the last is no port.
        if ports.is_some_and(|(first, last)| first == 0 || last < first || last == u16::MAX) {
            return Err(Refused::explained(&format!("Invalid {what} range.")));
        }
    }
    let link = |name| RuleLink { name, id: None };
    let some = |it: Option<Prefix>| it.filter(|it| it.length() > 0);
    call.machine.router().configure(|config| {
        let net = &mut config.net;
        let rule = RoutingRule {
            priority: told.priority.unwrap_or(net.next_priority(family)),
            inverted: told.inverted,
            mark: match told.mark {
                None | Some((0, None)) => MarkMask { value: 0, mask: 0 },
                Some((value, mask)) => MarkMask {
                    value,
                    mask: mask.unwrap_or(u32::MAX),
                },
            },
            from: some(told.from),
            to: some(told.to),
            input: told.input.map(link),
            output: told.output.map(link),
            tos: told.tos.unwrap_or(0),
            transport: told.transport,
            protocol: told.protocol.unwrap_or(RouteProtocol::UNSAID),
            suppressed: told.suppressed,
            action: told.action.unwrap_or(RuleAction::Table(number_of::MAIN)),
        };
        net.add_rule(family, rule)
    })?;
    Ok(())
}

fn delete(call: &mut Call<'_>) -> Result<(), Refused> {
    if call.words.peek().is_none() {
        return Err(Refused::new(1, "\"ip rule del\" requires arguments.\n"));
    }
    let told = described(call, false)?;
    let family = family_of(call);
    call.machine
        .router()
        .configure(|config| config.net.remove_first_rule(family, |rule| told.means(rule)))?;
    Ok(())
}

/// All but those of priority 0.
fn flush(call: &mut Call<'_>) -> Result<(), Refused> {
    let told = described(call, true)?;
    let family = family_of(call);
    call.machine.router().configure(|config| {
        let net = &mut config.net;
        while net
            .remove_first_rule(family, |rule| rule.priority != 0 && told.is_listed(rule, false))
            .is_ok()
        {}
        Ok::<(), Refused>(())
    })
}

fn list(call: &mut Call<'_>) -> Result<(), Refused> {
    let told = described(call, true)?;
    let config = call.machine.router().config();
    for rule in config
        .net
        .rules(family_of(call))
        .iter()
        .filter(|rule| told.is_listed(rule, true))
    {
        // As explanations have it, but for the tabulator.
        let text = config.net.rule_text(rule, RULE_NAMES);
        call.out += &text.replacen(": ", ":\t", 1);
        if let RuleAction::Goto(target) = rule.action
            && !config.net.rules(family_of(call)).iter().any(|it| it.priority == target)
        {
            call.out += " [unresolved]";
        }
        if !matches!(rule.protocol, RouteProtocol::UNSAID | RouteProtocol::KERNEL) {
            call.out += &format!(" proto {}", protocol_name(rule.protocol));
        }
        call.out.push('\n');
    }
    Ok(())
}

/// By name or number, of 8 bits; 0 is any.
pub(super) fn ip_protocol(word: &str) -> Result<u8, Refused> {
    let found = match word.bytes().all(|it| it.is_ascii_digit()) {
        true => word.parse().ok(),
        false => names::protocol_number_as_typed(word),
    };
    found.ok_or_else(|| Refused::wrong(word, "Invalid \"ipproto\" value\n"))
}

const RULE_NAMES: RuleNames = RuleNames {
    protocol: ip_protocol_name,
    tos: tos_name,
};

fn ip_protocol_name(protocol: u8) -> String {
    names::protocol_name(protocol).map_or_else(|| format!("ipproto-{protocol}"), str::to_owned)
}

/// As C's `scanf` reads "%hu-%hu": what does not fit is cut, and what is no second number is not there.
fn ports(word: &str, why: &str) -> Result<(u16, u16), Refused> {
    let (first, rest) = port(word).ok_or_else(|| Refused::wrong(word, why))?;
    let last = rest.strip_prefix('-').and_then(port).map(|(last, _)| last);
    Ok((first, last.unwrap_or(first)))
}

/// A number at the beginning, and what stands behind it.
fn port(text: &str) -> Option<(u16, &str)> {
    let text = text.trim_start();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|it: char| !it.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    let value = match digits {
        "" => return None,
        // Beyond what it has room for it stays at its end.
        digits => digits.parse::<u64>().unwrap_or(u64::MAX),
    };
    let value = if is_negative { value.wrapping_neg() } else { value };
    Some((value as u16, rest))
}

fn name(text: &str, why: &str) -> Result<InterfaceName, Refused> {
    let valid = InterfaceName::new(text).filter(|_| super::link::is_name(text));
    valid.ok_or_else(|| Refused::wrong(text, why))
}

/// What else a rule can have.
const OTHERS: &[&str] = &[
    "tun_id",
    "suppress_ifgroup",
    "sup_group",
    "l3mdev",
    "uidrange",
    "nat",
    "map-to",
];

const USAGE: &str = "\
Usage: ip rule { add | del } SELECTOR ACTION
       ip rule { list | flush } [ SELECTOR ]
SELECTOR := [ not ] [ from PREFIX ] [ to PREFIX ] [ tos TOS ] [ fwmark MARK[/MASK] ] [ iif DEVICE ] [ oif DEVICE ] [ pref NUMBER ]
            [ ipproto PROTOCOL ] [ sport PORT[-PORT] ] [ dport PORT[-PORT] ] [ protocol WHO ]
ACTION := { table TABLE [ suppress_prefixlength NUMBER ] | goto NUMBER | nop | blackhole | unreachable | prohibit }
";

#[cfg(test)]
mod tests {
    use crate::cli::TOOLBOX;
    use crate::lab::memory::Lab;

    #[test]
    fn a_rule_goes_that_is_as_all_of_the_words_say() {
        let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
        let mut ip = |words: &str| {
            let args: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let output = lab.tool("ip", &args, "", ".".as_ref());
            (output.code, output.stdout)
        };
        let rule = "pref 100 from 10.0.0.0/8 to 192.0.2.0/24 fwmark 1 iif lan tos 0x10 table main";
        assert_eq!(ip(&format!("rule add {rule}")).0, 0);
        for (word, other) in [
            ("pref 100", "pref 101"),
            ("10.0.0.0/8", "10.0.0.0/9"),
            ("192.0.2.0/24", "192.0.2.0/25"),
            ("fwmark 1", "fwmark 2"),
            ("iif lan", "iif wan"),
            ("iif lan", "iif lan oif wan"),
            ("tos 0x10", "tos 0x08"),
            ("table main", "table local"),
        ] {
            let (code, _) = ip(&format!("rule del {}", rule.replace(word, other)));
            assert_ne!(code, 0, "{other}");
            assert!(ip("rule").1.contains("10.0.0.0/8"), "{other}");
        }
        assert_eq!(ip(&format!("rule del {rule}")).0, 0);
        assert!(!ip("rule").1.contains("10.0.0.0/8"));
    }
}
