//! Ports: how the tcp and multiport matches read one, and the ports of a packet's two ends, as the matches of protocols that have them ask for
//! them.

use std::fmt::Write;

use crate::base::PortRange;
use crate::ext::listed::{Listed, Options};
use crate::ext::names;
use crate::ext::number::whole_number;
use crate::ext::option::{Asked, Given, Opt, UsageError};
use crate::ext::wording::{Port, Ports};
use crate::rule::{Condition, Field};

/// A number in any base, or a service of the rule's protocol.
pub(super) fn port(text: &str, of_protocol: u8) -> Result<u16, UsageError> {
    whole_number(text)
        .and_then(|number| u16::try_from(number).ok())
        .or_else(|| names::port_number(text, of_protocol))
        .ok_or_else(|| UsageError::parameter(format!("invalid port/service `{text}' specified")))
}

/// `80`, `80:90`, `:80`, `80:`, `:`.
pub(super) fn range(text: &str, of_protocol: u8) -> Result<PortRange, UsageError> {
    let Some((low, high)) = text.split_once(':') else {
        return port(text, of_protocol).map(PortRange::single);
    };
    let low = if low.is_empty() { 0 } else { port(low, of_protocol)? };
    let high = if high.is_empty() {
        u16::MAX
    } else {
        port(high, of_protocol)?
    };
    if low > high {
        return Err(UsageError::parameter("invalid portrange (min > max)"));
    }
    Ok(PortRange { low, high })
}

/// The options of a protocol's match that ask for the ports of both ends.
pub(super) struct EndOptions {
    pub source: Opt<PortRange>,
    pub destination: Opt<PortRange>,
    pub protocol: u8,
    /// All ports are something else than nothing: they are saved, and another rule.
    pub saves_all: bool,
}

/// What a rule asks of the ports of both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EndPorts {
    source: Option<Asked<PortRange>>,
    destination: Option<Asked<PortRange>>,
}

/// The first port that was none of those asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum PortMiss {
    Source(u16),
    Destination(u16),
}

impl EndPorts {
    /// As an index has them: nothing of all ports.
    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition> {
        let is_something = |asked: &Asked<PortRange>| !asked.value.is_any() || asked.inverted;
        let condition = |field: fn(Box<[PortRange]>) -> Field| {
            move |asked: Asked<PortRange>| Condition::new(field(Box::from([asked.value])), asked.inverted)
        };
        let source = self.source.filter(is_something).map(condition(Field::SourcePort));
        let destination = self.destination.filter(is_something);
        source
            .into_iter()
            .chain(destination.map(condition(Field::DestinationPort)))
    }

    pub(super) fn check(&self, source: u16, destination: u16) -> Result<(), PortMiss> {
        let fits = |asked: Option<Asked<PortRange>>, port| asked.is_none_or(|it| it.fits(it.value.contains(port)));
        if !fits(self.source, source) {
            return Err(PortMiss::Source(source));
        }
        if !fits(self.destination, destination) {
            return Err(PortMiss::Destination(destination));
        }
        Ok(())
    }
}

impl EndOptions {
    pub(super) fn given(&self, given: &Given<'_>) -> EndPorts {
        let is_kept = |it: &Asked<PortRange>| self.saves_all || it.inverted || !it.value.is_any();
        EndPorts {
            source: given.get(self.source).filter(is_kept),
            destination: given.get(self.destination).filter(is_kept),
        }
    }

    /// `--dport 80: packet has 443`.
    pub(super) fn sentence(&self, ports: &EndPorts, miss: PortMiss) -> String {
        let (option, asked, found) = match miss {
            PortMiss::Source(found) => (self.source, ports.source, found),
            PortMiss::Destination(found) => (self.destination, ports.destination, found),
        };
        let any = Asked {
            value: PortRange::ANY,
            inverted: false,
        };
        let asked = asked.unwrap_or(any);
        format!(
            "{} {}: packet has {found}",
            option.spelled(asked.inverted),
            Ports(asked.value)
        )
    }

    /// ` --dport 80`: nothing for all ports, inverted or not, where the tool has it so.
    pub(super) fn save(&self, out: &mut String, ports: &EndPorts) {
        for (option, asked) in [(self.source, ports.source), (self.destination, ports.destination)] {
            if let Some(asked) = asked.filter(|it| self.saves_all || !it.value.is_any()) {
                let _ = write!(out, " {} {}", option.spelled(asked.inverted), Ports(asked.value));
            }
        }
    }

    /// ` dpt:80`, ` dpts:!80:90`: nothing for all ports.
    pub(super) fn list(&self, out: &mut String, ports: &EndPorts, numeric: bool) {
        for (word, asked) in WORDS.into_iter().zip([ports.source, ports.destination]) {
            let Some(Asked { value, inverted }) = asked else {
                continue;
            };
            if value.is_any() && !inverted {
                continue;
            }
            let port = |port| Port {
                port,
                protocol: self.protocol,
                numeric,
            };
            let bang = if inverted { "!" } else { "" };
            let _ = match value {
                PortRange { low, high } if low == high => write!(out, " {word}:{bang}{}", port(low)),
                PortRange { low, high } => write!(out, " {word}s:{bang}{}:{}", port(low), port(high)),
            };
        }
    }

    /// The inverse of [`EndOptions::list`].
    pub(super) fn unlist(&self, listed: &mut Listed<'_>, options: &mut Options) {
        for (word, option) in WORDS.into_iter().zip([self.source, self.destination]) {
            let one = listed.after(&format!("{word}:"));
            if let Some(text) = one.or_else(|| listed.after(&format!("{word}s:"))) {
                options.push_unless(text, option.name());
            }
        }
    }
}

/// How a listing names the ends.
const WORDS: [&str; 2] = ["spt", "dpt"];
