//! Routing rules: how they come and go (`ip rule`), and which packets each is for.

use std::sync::Arc;

use super::flow::Flow;
use super::lookup::Key;
use super::{ConfigError, Net, RouteProtocol, RoutingRule, RuleAction, RuleTransport, table};
use crate::base::{Family, MarkMask};
use crate::packet::Packet;

/// The rules of a fresh host. IPv6 has no table `default`.
pub(super) fn default_rules(family: Family) -> impl Iterator<Item = RoutingRule> {
    let rule = |(priority, number)| RoutingRule {
        priority,
        ..RoutingRule::new(RuleAction::Table(number))
    };
    let default = (family == Family::V4).then_some((32767, table::DEFAULT));
    [(0, table::LOCAL), (32766, table::MAIN)]
        .into_iter()
        .chain(default)
        .map(rule)
}

impl Net {
    /// For packets of this family. Rules of equal priority are asked in the order they came. One that another has all of is refused.
    pub fn add_rule(&mut self, family: Family, rule: RoutingRule) -> Result<(), ConfigError> {
        let ways = self.ways_mut(family);
        if ways.rules.iter().any(|there| rule.is_had_by(there)) {
            return Err(ConfigError::RuleExists);
        }
        if matches!(rule.action, RuleAction::Goto(target) if target <= rule.priority) {
            return Err(ConfigError::BackwardGoto);
        }
        if let (Family::V6, RuleAction::Table(table)) = (family, rule.action) {
            ways.tables.make(table);
        }
        let at = ways.rules.partition_point(|it| it.priority <= rule.priority);
        ways.rules.insert(at, rule);
        ways.custom_rules = true;
        self.rules_changed(family);
        Ok(())
    }

    /// The priority that `ip rule add` chooses where none is given: one less than that of the second rule.
    pub fn next_priority(&self, family: Family) -> u32 {
        self.rules(family)
            .get(1)
            .map_or(0, |rule| rule.priority.saturating_sub(1))
    }

    /// Removes the one that says the same; refuses where there is none.
    pub fn remove_rule(&mut self, family: Family, rule: &RoutingRule) -> Result<(), ConfigError> {
        self.remove_first_rule(family, |it| it == rule)
    }

    /// Removes the first rule that is wanted.
    pub fn remove_first_rule(
        &mut self,
        family: Family,
        wanted: impl FnMut(&RoutingRule) -> bool,
    ) -> Result<(), ConfigError> {
        let at = self.rules(family).iter().position(wanted).ok_or(ConfigError::NoRule)?;
        let ways = self.ways_mut(family);
        ways.rules.remove(at);
        // Linux asks both tables of IPv6 until the first rule comes, whichever of its own are gone.
        ways.custom_rules |= family == Family::V4;
        self.rules_changed(family);
        Ok(())
    }

    fn rules_changed(&mut self, family: Family) {
        let ways = self.ways_mut(family);
        ways.asks_transport = ways.rules.iter().any(RoutingRule::asks_transport);
        self.attach_rules();
    }

    /// Whether a rule of the family asks for protocol or ports.
    pub(super) fn rules_ask_transport(&self, family: Family) -> bool {
        self.ways(family).asks_transport
    }

    /// What is known of a packet that came in, as far as rules ask for it.
    #[inline]
    pub(super) fn flow_for_rules(&self, packet: &Packet) -> Flow {
        match self.rules_ask_transport(packet.family()) {
            false => Flow::default(),
            true => Flow::of_packet(packet),
        }
    }

    /// Rules hold interfaces by name: each finds the one that bears it now, or none.
    pub(super) fn attach_rules(&mut self) {
        let names = Arc::clone(&self.names);
        for rule in self.all_ways().iter_mut().flat_map(|ways| &mut ways.rules) {
            for link in [&mut rule.input, &mut rule.output].into_iter().flatten() {
                link.id = names.get(&link.name).copied();
            }
        }
    }
}

impl RoutingRule {
    /// A rule for every packet, with priority 0.
    pub fn new(action: RuleAction) -> Self {
        Self {
            priority: 0,
            inverted: false,
            mark: MarkMask { value: 0, mask: 0 },
            from: None,
            to: None,
            input: None,
            output: None,
            tos: 0,
            transport: RuleTransport::default(),
            protocol: RouteProtocol::UNSAID,
            suppressed: None,
            action,
        }
    }

    /// Seen: places and a type of service that it does not ask for are not compared, and neither is whether it is inverted, nor where it leads on.
    fn is_had_by(&self, there: &Self) -> bool {
        let action = match (self.action, there.action) {
            (RuleAction::Goto(_), RuleAction::Goto(_)) => there.action,
            (action, _) => action,
        };
        let compared = Self {
            inverted: there.inverted,
            from: self.from.or(there.from),
            to: self.to.or(there.to),
            tos: if self.tos == 0 { there.tos } else { self.tos },
            action,
            ..self.clone()
        };
        compared == *there
    }

    #[inline]
    pub(super) fn matches(&self, key: &Key) -> bool {
        // The kernel compares under the mask on both sides, so 0x105/0xff asks for 0x05.
        let fits = (key.mark ^ self.mark.value) & self.mark.mask == 0
            && self
                .from
                .is_none_or(|it| it.contains(key.source) && !key.lacks_source())
            && self.to.is_none_or(|it| it.contains(key.destination))
            && self.input.is_none_or(|it| it.id.is_some() && it.id == key.input)
            && self.output.is_none_or(|it| it.id.is_some() && it.id == key.output)
            && (self.tos == 0 || self.tos == key.asked_tos())
            && (!self.asks_transport() || self.transport.fits(key.flow));
        fits != self.inverted
    }

    /// Whether it asks for more than the network's header has.
    #[inline]
    pub(super) fn asks_transport(&self) -> bool {
        self.transport != RuleTransport::default()
    }
}

impl RuleTransport {
    pub(super) fn fits(&self, flow: Flow) -> bool {
        let [source, destination] = flow.ports();
        let has = |asked: Option<(u16, u16)>, port| asked.is_none_or(|(first, last)| (first..=last).contains(&port));
        (self.protocol == 0 || self.protocol == flow.protocol())
            && has(self.source, source)
            && has(self.destination, destination)
    }
}
