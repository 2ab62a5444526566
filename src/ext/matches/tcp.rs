//! `-m tcp`: ports, flags and options of TCP.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::{Family, PortRange, protocol};
use crate::ext::MatchSpec;
use crate::ext::option::{Given, OptionSpec, UsageError, Value, ValueKind};
use crate::rule::{Context, Match, Matched};

pub const SPEC: MatchSpec = MatchSpec {
    name: "tcp",
    aliases: &[],
    families: &[Family::V4, Family::V6],
    protocol: Some(protocol::TCP),
    options: &[OptionSpec {
        name: "dport",
        aliases: &["destination-port"],
        value: ValueKind::PortRange,
        invert: true,
        help: "match when the destination port lies in the range",
        ..OptionSpec::PLAIN
    }],
    build,
    about: "ports, flags and options of TCP",
};

fn build(given: &Given<'_>) -> Result<Arc<dyn Match>, UsageError> {
    let mut made = Tcp {
        destination: PortRange::ANY,
        destination_inverted: false,
    };
    for option in given.options {
        if let Value::PortRange(range) = option.value {
            made.destination = range;
            made.destination_inverted = option.inverted;
        }
    }
    Ok(Arc::new(made))
}

#[derive(Debug, PartialEq, Eq)]
struct Tcp {
    destination: PortRange,
    destination_inverted: bool,
}

impl Match for Tcp {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn evaluate(&self, cx: &Context<'_>) -> Matched {
        let Some(tcp) = cx.packet.tcp() else {
            return Matched::Malformed;
        };
        (self.destination.contains(tcp.destination_port()) != self.destination_inverted).into()
    }

    fn explain(&self, cx: &Context<'_>) -> String {
        let Some(tcp) = cx.packet.tcp() else {
            return "the TCP header is cut short".to_owned();
        };
        format!(
            "--dport {}:{}: packet has {}",
            self.destination.low,
            self.destination.high,
            tcp.destination_port()
        )
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " --dport {}", self.destination.low);
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        let _ = write!(out, " tcp dpt:{}", self.destination.low);
    }
}
