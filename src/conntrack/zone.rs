//! Zones: numbers by which flows of the same addresses and ports are told apart (`CT --zone`), in both directions or in one.

use super::Direction;

/// In which zone a flow is, or a packet looks for its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Zone {
    /// Its number. 0 is the one of all that no rule put elsewhere.
    pub id: u16,
    /// In which directions it counts; in the other one a flow stands in zone 0.
    pub scope: ZoneScope,
}

/// See [`Zone::scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ZoneScope {
    /// `--zone`.
    #[default]
    Both,
    /// `--zone-orig`.
    Original,
    /// `--zone-reply`.
    Reply,
}

impl Zone {
    /// The number in which a flow of this zone stands under the tuple of a direction.
    #[inline]
    pub fn of(self, direction: Direction) -> u16 {
        match (self.scope, direction) {
            (ZoneScope::Both, _)
            | (ZoneScope::Original, Direction::Original)
            | (ZoneScope::Reply, Direction::Reply) => self.id,
            _ => 0,
        }
    }

    /// Whether it is another zone in one direction than in the other.
    #[inline]
    pub fn is_of_one_way(self) -> bool {
        self.scope != ZoneScope::Both && self.id != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_of_one_direction_is_none_in_the_other() {
        for (scope, original, reply) in [
            (ZoneScope::Both, 5, 5),
            (ZoneScope::Original, 5, 0),
            (ZoneScope::Reply, 0, 5),
        ] {
            let zone = Zone { id: 5, scope };
            assert_eq!(
                (zone.of(Direction::Original), zone.of(Direction::Reply)),
                (original, reply)
            );
        }
    }
}
