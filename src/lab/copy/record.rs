//! What of a lab a lab file has no words for, a record each, with the words of `ip` and `modprobe`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{CopyError, part};
use crate::base::{InterfaceId, InterfaceName, MarkMask};
use crate::net::{
    AddressFlags, Metric, MetricValue, Metrics, Net, NewAddress, Preference, Prefix, Route, RouteKind, RouteProtocol,
    RoutingRule, RuleAction, RuleLink, RuleTransport, Scope, Way,
};

/// A helper's module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelperRecord {
    pub module: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// Its NAT side is there too.
    pub nat: bool,
}

/// What `ip address` tells beyond an address and its length.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRecord {
    pub dev: String,
    pub address: IpAddr,
    pub prefix_length: u8,
    pub scope: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broadcast: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    #[serde(default)]
    pub metric: u32,
    #[serde(default)]
    pub flags: u8,
    /// The lab file has it not, or its link lost it by going down: it is added, where others are only described.
    #[serde(default)]
    pub is_to_be_added: bool,
}

/// A route, with the words of `ip route`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteRecord {
    pub to: String,
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub src: Option<IpAddr>,
    pub metric: u32,
    pub table: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
    #[serde(default)]
    pub mtu_is_locked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop_limit: Option<u8>,
    /// What it says of connections: which, by its name; how much, whether locked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<(String, u32, bool)>,
    #[serde(default)]
    pub tos: u8,
    /// `pref`, where it is not `medium`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pref: Option<String>,
    pub scope: u8,
    pub protocol: u8,
    #[serde(default)]
    pub onlink: bool,
    #[serde(default = "usual_weight", skip_serializing_if = "is_usual_weight")]
    pub weight: u16,
    /// Its gateways, where it has several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<WayRecord>,
}

/// One of several gateways: the route as it is that way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayRecord {
    pub route: RouteRecord,
    #[serde(default)]
    pub is_dead: bool,
}

/// A line of `ip rule`. `action` is a table's number, or a word such as `prohibit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRecord {
    pub priority: u32,
    /// `not`.
    #[serde(default)]
    pub inverted: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iif: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oif: Option<String>,
    pub mark: u32,
    pub mask: u32,
    pub tos: u8,
    /// `ipproto`.
    #[serde(default)]
    pub carries: u8,
    /// `sport`, from and to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sport: Option<(u16, u16)>,
    /// `dport`, from and to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dport: Option<(u16, u16)>,
    #[serde(default)]
    pub protocol: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<u32>,
    pub action: String,
}

impl AddressRecord {
    pub(super) fn new_address(&self) -> Result<NewAddress, CopyError> {
        Ok(NewAddress {
            scope: Some(scope(self.scope)?),
            broadcast: self.broadcast,
            label: self.label.as_deref().and_then(InterfaceName::new),
            peer: self.peer,
            metric: self.metric,
            flags: AddressFlags::from_bits(self.flags),
            ..NewAddress::new(self.address, self.prefix_length)
        })
    }
}

impl RouteRecord {
    pub(super) fn of(route: &Route, net: &Net) -> Self {
        Self {
            to: route.to.to_string(),
            kind: named(KINDS, route.kind).unwrap_or_default().to_owned(),
            via: route.via,
            dev: route.interface.map(|id| net.interface(id).name.to_string()),
            src: route.source,
            metric: route.metric,
            table: route.table,
            mtu: route.mtu,
            mtu_is_locked: route.mtu_is_locked,
            hop_limit: route.hop_limit,
            metrics: route
                .metrics
                .iter()
                .map(|it| (it.metric.name().to_owned(), it.value, it.is_locked))
                .collect(),
            tos: route.tos,
            pref: named(PREFERENCES, route.preference).map(str::to_owned),
            scope: route.scope as u8,
            protocol: route.protocol.0,
            onlink: route.onlink,
            weight: route.weight,
            ways: route.ways.iter().map(|way| WayRecord::of(way, net)).collect(),
        }
    }

    pub(super) fn route(&self, net: &Net) -> Result<Route, CopyError> {
        let to = prefix(&self.to)?;
        let kind = meant(KINDS, &self.kind);
        let kind = kind.ok_or_else(|| part("routes", format!("{:?} is no kind of route", self.kind)))?;
        let preference = match &self.pref {
            None => Preference::default(),
            Some(word) => {
                meant(PREFERENCES, word).ok_or_else(|| part("routes", format!("{word:?} is no preference")))?
            }
        };
        Ok(Route {
            kind,
            ways: self.ways.iter().map(|it| it.way(net)).collect::<Result<_, _>>()?,
            via: self.via,
            interface: self.dev.as_deref().map(|name| interface(net, name)).transpose()?,
            source: self.src,
            metric: self.metric,
            table: self.table,
            scope: scope(self.scope)?,
            mtu: self.mtu,
            mtu_is_locked: self.mtu_is_locked,
            hop_limit: self.hop_limit,
            metrics: metrics(&self.metrics)?,
            tos: self.tos,
            preference,
            protocol: RouteProtocol(self.protocol),
            onlink: self.onlink,
            weight: self.weight,
            ..Route::new(to)
        })
    }
}

fn usual_weight() -> u16 {
    1
}

fn is_usual_weight(weight: &u16) -> bool {
    *weight == usual_weight()
}

fn metrics(said: &[(String, u32, bool)]) -> Result<Metrics, CopyError> {
    let mut metrics = Metrics::default();
    for (name, value, is_locked) in said {
        let metric = Metric::from_name(name);
        metrics.set(MetricValue {
            metric: metric.ok_or_else(|| part("routes", format!("{name:?} is no metric")))?,
            value: *value,
            is_locked: *is_locked,
        });
    }
    Ok(metrics)
}

impl WayRecord {
    fn of(way: &Way, net: &Net) -> Self {
        Self {
            route: RouteRecord::of(&way.route, net),
            is_dead: way.is_dead,
        }
    }

    fn way(&self, net: &Net) -> Result<Way, CopyError> {
        Ok(Way {
            route: self.route.route(net)?,
            is_dead: self.is_dead,
        })
    }
}

impl RuleRecord {
    pub(super) fn of(rule: &RoutingRule) -> Self {
        let name = |link: RuleLink| link.name.to_string();
        Self {
            priority: rule.priority,
            inverted: rule.inverted,
            from: rule.from.map(|it| it.to_string()),
            to: rule.to.map(|it| it.to_string()),
            iif: rule.input.map(name),
            oif: rule.output.map(name),
            mark: rule.mark.value,
            mask: rule.mark.mask,
            tos: rule.tos,
            carries: rule.transport.protocol,
            sport: rule.transport.source,
            dport: rule.transport.destination,
            protocol: rule.protocol.0,
            suppressed: rule.suppressed,
            action: match rule.action {
                RuleAction::Table(number) => number.to_string(),
                RuleAction::Goto(priority) => format!("goto {priority}"),
                RuleAction::Nop => "nop".to_owned(),
                RuleAction::Blackhole => "blackhole".to_owned(),
                RuleAction::Unreachable => "unreachable".to_owned(),
                RuleAction::Prohibit => "prohibit".to_owned(),
            },
        }
    }

    pub(super) fn rule(&self) -> Result<RoutingRule, CopyError> {
        let action = match self.action.as_str() {
            "blackhole" => RuleAction::Blackhole,
            "unreachable" => RuleAction::Unreachable,
            "prohibit" => RuleAction::Prohibit,
            "nop" => RuleAction::Nop,
            number => table_or_goto(number).ok_or_else(|| part("routing rules", format!("{number:?} is no action")))?,
        };
        Ok(RoutingRule {
            priority: self.priority,
            inverted: self.inverted,
            mark: MarkMask {
                value: self.mark,
                mask: self.mask,
            },
            from: self.from.as_deref().map(prefix).transpose()?,
            to: self.to.as_deref().map(prefix).transpose()?,
            input: self.iif.as_deref().map(rule_link).transpose()?,
            output: self.oif.as_deref().map(rule_link).transpose()?,
            tos: self.tos,
            transport: RuleTransport {
                protocol: self.carries,
                source: self.sport,
                destination: self.dport,
            },
            protocol: RouteProtocol(self.protocol),
            suppressed: self.suppressed,
            action,
        })
    }
}

fn table_or_goto(action: &str) -> Option<RuleAction> {
    match action.strip_prefix("goto ") {
        Some(priority) => priority.parse().ok().map(RuleAction::Goto),
        None => action.parse().ok().map(RuleAction::Table),
    }
}

fn prefix(text: &str) -> Result<Prefix, CopyError> {
    text.parse()
        .map_err(|_| part("routes", format!("{text:?} is no prefix")))
}

pub(super) fn interface(net: &Net, name: &str) -> Result<InterfaceId, CopyError> {
    net.by_name(name)
        .map(|it| it.id)
        .ok_or_else(|| part("routes", format!("there is no interface {name}")))
}

/// `Net` finds the interface when the rule is added; it need not be there.
fn rule_link(name: &str) -> Result<RuleLink, CopyError> {
    let no_name = || part("routing rules", format!("{name:?} is no interface's name"));
    Ok(RuleLink {
        name: InterfaceName::new(name).ok_or_else(no_name)?,
        id: None,
    })
}

/// The word of a value, where it has one.
fn named<T: Copy + PartialEq>(words: &[(T, &'static str)], value: T) -> Option<&'static str> {
    words.iter().find(|(known, _)| *known == value).map(|(_, word)| *word)
}

fn meant<T: Copy>(words: &[(T, &str)], word: &str) -> Option<T> {
    words.iter().find(|(_, known)| *known == word).map(|(value, _)| *value)
}

pub(super) fn scope(number: u8) -> Result<Scope, CopyError> {
    let found = SCOPES.get(usize::from(number)).copied();
    found.ok_or_else(|| part("routes", format!("{number} is no scope")))
}

/// By their numbers in a record.
const SCOPES: &[Scope] = &[Scope::Universe, Scope::Site, Scope::Link, Scope::Host, Scope::Nowhere];

const KINDS: &[(RouteKind, &str)] = &[
    (RouteKind::Unicast, "unicast"),
    (RouteKind::Local, "local"),
    (RouteKind::Broadcast, "broadcast"),
    (RouteKind::Anycast, "anycast"),
    (RouteKind::Multicast, "multicast"),
    (RouteKind::Blackhole, "blackhole"),
    (RouteKind::Unreachable, "unreachable"),
    (RouteKind::Prohibit, "prohibit"),
    (RouteKind::Throw, "throw"),
];

/// All but the one of routes that say none.
const PREFERENCES: &[(Preference, &str)] = &[(Preference::Low, "low"), (Preference::High, "high")];
