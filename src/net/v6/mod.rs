//! What the host does with IPv6: addresses and what they bring, the choice of routes and sources, the header's checks, forwarding.

mod assign;
mod choice;
mod forward;
mod groups;
mod input;
mod nexthop;
mod output;
mod sanity;
mod source;
pub(super) mod sysctl;

use assign::routes_of_link;
pub(crate) use assign::scope_of;
pub(super) use assign::{LEAST_MTU, check_address, routes_of};
pub(crate) use forward::{forward, fragment};
pub(crate) use input::{receive_known, route};
pub(super) use nexthop::{lead_alike, leads_nowhere};
pub(super) use output::output;
pub(crate) use sanity::{from_program, sanity};
pub(super) use sysctl::{Conf, ConfKnob, Sysctls};
