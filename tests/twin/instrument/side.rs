//! What a side is: something that a scenario happens to, and that can be asked afterwards.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::scenario::Event;

/// One that answers to events: the kernel, nflab, or a record of what the kernel said.
pub(crate) trait Side {
    /// An event is about to happen: what takes time before it is done now.
    fn prepare(&mut self, _event: &Event) -> Result<(), String> {
        Ok(())
    }
    fn happen(&mut self, event: &Event) -> Result<Answer, String>;
    /// What stands in its tables now.
    fn state(&mut self, depth: Depth) -> Result<Vec<Part>, String>;
    /// Flows that an event took may go a while after it: waits until no more than so many are left, or for as long as that can take at most.
    fn wait_for_flows_to_go(&mut self, _left: usize) -> Result<(), String> {
        Ok(())
    }
    /// What else left of an answer that comes by the hand of a thread, which a busy machine may hold up: waits for so many packets, or for as long as that
    /// can take at most.
    fn wait_for_more(&mut self, _packets: usize) -> Result<Vec<(String, Vec<u8>)>, String> {
        Ok(Vec::new())
    }
}

/// What came of one event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Interface and bytes of what left, in order; `local` is what reached the router itself, after the others.
    pub sent: Vec<(String, Vec<u8>)>,
    pub tool: Option<ToolAnswer>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToolAnswer {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A text of a side's state, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub title: String,
    pub text: String,
}

/// How much of the state is asked for; every part costs the kernel's side a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// Counters, flows, expectations.
    Sums,
    /// And the printed forms of each table.
    Tables,
    /// And what `conntrack` prints, for which the kernel walks its whole table.
    Texts,
}

const SAVES: [&str; 2] = ["iptables-save -c", "ip6tables-save -c"];

/// The commands that print all rules with their counters, of each family that is spoken.
pub(crate) fn saves(ipv6: bool) -> &'static [&'static str] {
    if ipv6 { &SAVES } else { &SAVES[..1] }
}

pub(crate) fn is_save(title: &str) -> bool {
    SAVES.contains(&title)
}

pub(crate) const FLOWS: &str = "/proc/net/nf_conntrack";
pub(crate) const EXPECTATIONS: &str = "/proc/net/nf_conntrack_expect";

/// The commands whose output is compared at the end; of the tables that `save` has named.
pub(crate) fn commands(depth: Depth, save: &str, saved: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    if depth == Depth::Sums {
        return commands;
    }
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let (tool, family) = match save == SAVES[0] {
        true => ("iptables", "ipv4"),
        false => ("ip6tables", "ipv6"),
    };
    for table in saved.lines().filter_map(|line| line.strip_prefix('*')) {
        commands.push(words(&format!("{tool} -t {table} -S")));
        commands.push(words(&format!("{tool} -t {table} -L -n -v -x --line-numbers")));
    }
    if depth == Depth::Texts {
        match family {
            "ipv4" => commands.extend(["conntrack -L -o extended", "conntrack -L expect"].map(words)),
            _ => commands.push(words("conntrack -L -f ipv6")),
        }
    }
    commands
}

/// Name, addresses, and what default routes lead to.
type DefaultInterface = (&'static str, [(IpAddr, u8); 2], &'static [IpAddr]);

/// As every lab has them.
pub(crate) const DEFAULT_INTERFACES: [DefaultInterface; 2] = [
    (
        "lan",
        [
            (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 24),
            (IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)), 64),
        ],
        &[],
    ),
    (
        "wan",
        [
            (IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 24),
            (IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1)), 64),
        ],
        &[
            IpAddr::V4(Ipv4Addr::new(192, 0, 2, 254)),
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 0xfe)),
        ],
    ),
];

/// Each interface's, unless it is given one: the kernel would draw it.
const LINK_LOCAL: (IpAddr, u8) = (IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)), 64);

/// The addresses of a new interface.
pub(crate) fn furnished(name: &str, addresses: &[(IpAddr, u8)], ipv6: bool) -> Vec<(IpAddr, u8)> {
    let has_its_own = name == "lo" || addresses.iter().any(|(address, _)| is_link_local(*address));
    let of_link = (ipv6 && !has_its_own).then_some(LINK_LOCAL);
    addresses.iter().copied().chain(of_link).collect()
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Before these, where nobody speaks IPv6: no word of it comes between.
pub(crate) const WITHOUT_IPV6: &[(&str, &str)] = &[
    ("net.ipv6.conf.all.disable_ipv6", "1"),
    ("net.ipv6.conf.default.disable_ipv6", "1"),
];

/// And where somebody does.
pub(crate) const PRELUDE_OF_IPV6: &[(&str, &str)] = &[
    // A link-local address is drawn at random otherwise, and none is usable at once.
    ("net.ipv6.conf.default.addr_gen_mode", "1"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.router_solicitations", "0"),
    ("net.ipv6.icmp.ratelimit", "0"),
    // What is told unasked of groups is told at once, and not while somebody asks.
    ("net.ipv6.conf.default.mldv1_unsolicited_report_interval", "0"),
    ("net.ipv6.conf.default.mldv2_unsolicited_report_interval", "0"),
    // Of what the router itself sends they are drawn by a secret.
    ("net.ipv6.auto_flowlabels", "0"),
];

/// And once the first interfaces are there, as in a lab: only such as are there then are in all groups of routers.
pub(crate) const FORWARDING_OF_IPV6: (&str, &str) = ("net.ipv6.conf.all.forwarding", "1");

/// What holds on both sides before the first event. Each of these would make an answer depend on milliseconds, or is what a lab has unless
/// it says otherwise; a scenario may set any of them anew.
pub(crate) const PRELUDE: &[(&str, &str)] = &[
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv4.icmp_ratelimit", "0"),
    ("net.ipv4.icmp_msgs_per_sec", "1000000"),
    ("net.ipv4.icmp_msgs_burst", "1000000"),
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
    // Three seconds each, which a busy machine needs for a scenario.
    ("net.netfilter.nf_conntrack_sctp_timeout_cookie_wait", "61"),
    ("net.netfilter.nf_conntrack_sctp_timeout_cookie_echoed", "62"),
    ("net.netfilter.nf_conntrack_sctp_timeout_shutdown_sent", "63"),
    ("net.netfilter.nf_conntrack_sctp_timeout_shutdown_recd", "64"),
    ("net.netfilter.nf_conntrack_sctp_timeout_shutdown_ack_sent", "65"),
    // What the machine has set for itself reaches new namespaces.
    ("net.ipv4.conf.all.promote_secondaries", "0"),
    ("net.ipv4.conf.default.promote_secondaries", "0"),
];
