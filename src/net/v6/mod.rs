//! What the host does with IPv6: addresses and what they bring, the choice of routes and sources, the header's checks, forwarding.

mod answer;
mod assign;
mod choice;
mod conf;
mod forward;
mod fragment;
mod groups;
mod icmp;
mod input;
mod kinds;
mod knobs;
mod label;
mod neighbour;
mod nexthop;
mod options;
mod output;
mod path_mtu;
mod rate_mask;
mod reassembly;
mod redirect;
mod reject;
mod sanity;
mod source;
pub(super) mod sysctl;
#[cfg(test)]
mod testing;

pub(crate) use answer::answer;
pub(crate) use assign::LEAST_MTU;
use assign::routes_of_link;
pub(crate) use assign::scope_of;
pub(super) use assign::{check_address, route_to_network, routes_of};
pub(super) use conf::ConfKnob;
pub(crate) use forward::forward;
pub(crate) use fragment::fragment;
pub(crate) use icmp::{belongs_to_what_it_quotes, complain, is_sent_by_the_icmp_socket, redirect};
pub(crate) use input::{receive, receive_known, route};
pub(super) use knobs::Knob;
pub(super) use nexthop::{leads_nowhere, means_nothing, put_route, remove_way};
pub(crate) use options::arrive;
pub(super) use output::{leads_its_way, output};
pub(super) use rate_mask::BadRateMask;
pub(crate) use reassembly::{Fragment, read_fragment, reassembly_rules};
pub(crate) use reject::{may_be_rejected, reset};
pub(crate) use sanity::{come_round, ends_are_sane, from_program, sanity};
pub(crate) use sysctl::OF_LINK;
pub(super) use sysctl::{Conf, Sysctls};
