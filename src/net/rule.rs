//! Routing rules that come and go: `ip rule`.

use super::{ConfigError, Net, RoutingRule, RuleAction};
use crate::base::MarkMask;

impl Net {
    /// Rules of equal priority are asked in the order they came. One just like another is refused.
    pub fn add_rule(&mut self, rule: RoutingRule) -> Result<(), ConfigError> {
        if self.rules.contains(&rule) {
            return Err(ConfigError::RuleExists);
        }
        let at = self.rules.partition_point(|it| it.priority <= rule.priority);
        self.rules.insert(at, rule);
        self.rules_changed();
        Ok(())
    }

    /// The priority that `ip rule add` chooses where none is given: one less than that of the second rule.
    pub fn next_priority(&self) -> u32 {
        self.rules.get(1).map_or(0, |rule| rule.priority.saturating_sub(1))
    }

    /// Removes the one that says the same; refuses where there is none.
    pub fn remove_rule(&mut self, rule: &RoutingRule) -> Result<(), ConfigError> {
        self.remove_first_rule(|it| it == rule)
    }

    /// Removes the first rule that is wanted.
    pub fn remove_first_rule(&mut self, wanted: impl FnMut(&RoutingRule) -> bool) -> Result<(), ConfigError> {
        let at = self.rules.iter().position(wanted).ok_or(ConfigError::NoRule)?;
        self.rules.remove(at);
        self.rules_changed();
        Ok(())
    }

    fn rules_changed(&mut self) {
        self.custom_rules = true;
        self.attach_rules();
    }

    /// Rules hold interfaces by name: each finds the one that bears it now, or none.
    pub(super) fn attach_rules(&mut self) {
        let named = |name: &str| {
            self.interfaces
                .iter()
                .find(|it| it.name.as_str() == name)
                .map(|it| it.id)
        };
        for rule in &mut self.rules {
            for link in [&mut rule.input, &mut rule.output].into_iter().flatten() {
                link.id = named(link.name.as_str());
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
            action,
        }
    }
}
