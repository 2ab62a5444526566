//! Routing rules that come and go: `ip rule`.

use std::sync::Arc;

use super::{ConfigError, Net, RoutingRule, RuleAction};
use crate::base::{Family, MarkMask};

impl Net {
    /// For packets of this family. Rules of equal priority are asked in the order they came. One just like another is refused.
    pub fn add_rule(&mut self, family: Family, rule: RoutingRule) -> Result<(), ConfigError> {
        let ways = self.ways_mut(family);
        if ways.rules.contains(&rule) {
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
        self.ways_mut(family).rules.remove(at);
        self.rules_changed(family);
        Ok(())
    }

    fn rules_changed(&mut self, family: Family) {
        self.ways_mut(family).custom_rules = true;
        self.attach_rules();
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
            suppressed: None,
            action,
        }
    }
}
