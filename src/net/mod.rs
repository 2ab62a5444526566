//! Interfaces, addresses, routes, sanity, reassembly and fragmentation, ICMP errors, the local host's answers.
//!
//! `Net` is configuration: a value, cloned and published whole when something changes. What changes by packets (rate limits, identifications,
//! fragment queues) lives in `HostState` and `Reassembly`, which the engine owns and passes in, with the time. The way of a packet:
//!
//! ```text
//! sanity → Reassembly::push → (PREROUTING) → Net::receive ┬→ Net::forward → (FORWARD) → Net::forward_options → (POSTROUTING) → fragment
//!                                                         └→ (INPUT) → Net::answer → (OUTPUT) → (POSTROUTING) → fragment
//! ```

mod address;
mod address_flags;
mod answer;
mod assign;
mod candidates;
mod complaint;
mod config;
mod dissect;
#[cfg(test)]
pub(crate) mod example;
mod flow;
mod host;
mod input;
mod kept;
mod limit;
mod link;
mod lookup;
mod metrics;
mod networks;
mod output;
mod path_mtu;
mod pieces;
mod reason;
mod reassembly;
mod route;
mod route_change;
mod route_text;
mod rule;
mod seen;
mod several;
mod stretches;
mod sysctl;
mod tables;
mod transport;
mod v4;
mod v6;

pub use address::AddressKind;
pub use address_flags::AddressFlags;
pub(crate) use answer::Answer;
pub use answer::{Closed, Listeners};
pub use assign::NewAddress;
pub use complaint::{BadPart, Complaint, Redirect, Suppressed, Unreachable};
pub use config::{Address, ConfigError, Interface, Net};
pub use flow::Flow;
pub(crate) use host::{FragmentationNeeded, HostState, NotCut, Outgoing};
pub(crate) use host::{
    belongs_to_what_it_quotes, come_round, fragment, from_program, is_completed, is_joined_again,
    is_joined_before_input, is_plainly_sane, is_sent_by_the_icmp_socket, lacks_identification, leads_its_way,
    must_not_be_cut, sanity, stays_on_its_link,
};
pub(crate) use input::ForwardOutcome;
pub use input::{Forwarding, InputRoute};
pub(crate) use kept::is_kept_alone;
pub(crate) use limit::Limiter;
pub(crate) use lookup::IPV4_TOS;
pub use metrics::{Metric, MetricValue, Metrics};
pub use output::{OutputKey, OutputRoute, RouteError};
pub use path_mtu::PathMtu;
pub(crate) use path_mtu::PathMtus;
pub use reason::DropReason;
pub(crate) use reassembly::{
    DefragUser, Expired, Knobs as ReassemblyKnobs, Limits as ReassemblyLimits, Pushed, Reassembly,
};
pub use route::{
    BadPrefix, Preference, Prefix, Route, RouteKind, RouteProtocol, RoutingRule, RuleAction, RuleLink, RuleTransport,
    Scope, Way, table,
};
pub use route_change::{Hop, Placing, RouteSelector};
pub use route_text::{LookedUp, RuleNames};
pub(crate) use seen::RoutesSeen;
pub use sysctl::SysctlError;
pub(crate) use v6::{LEAST_MTU as LEAST_IPV6_MTU, OF_LINK};

/// How a packet's destination was found, which decides whether anything may be answered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// To another host.
    Unicast,
    /// To this host, by an address of its own.
    Local,
    /// To all hosts of a link.
    Broadcast,
    /// To a group.
    Multicast {
        /// Whether this host is in it, by which alone it takes what comes round.
        has_joined: bool,
    },
}
