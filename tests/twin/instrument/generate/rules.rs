//! Rulesets: some as people write them, some over the whole language, most of them letting much pass, so that packets get deep.

use std::fmt::Write;

use nflab::base::{Family, protocol};
use nflab::ext::drawn;
use nflab::rule::{Hook, HookSet, Table};

use super::draw::Draw;
use super::selector;
use super::translated::said_in;

/// Where a rule stands, and so what it may ask and do.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub family: Family,
    pub table: &'static str,
    pub chain: &'static str,
    /// The built-in chains that it may be reached from.
    hooks: &'static [&'static str],
    /// User chains of the same table that can be called without going round in circles.
    pub deeper: Vec<&'static str>,
    /// Whether anything that needs tracking may be asked.
    pub tracked: bool,
}

impl Place {
    pub(super) fn hooks(&self) -> &'static [&'static str] {
        self.hooks
    }

    /// The same to an extension, in a rule with this `-p`.
    fn with(&self, protocol: Option<u8>) -> drawn::Place {
        drawn::Place {
            may_track: self.tracked,
            ..at(self.family, self.table, self.hooks, protocol)
        }
    }

    fn is_built_in(&self) -> bool {
        self.hooks == [self.chain]
    }

    pub(super) fn may_ask_input(&self) -> bool {
        !self.is_built_in() || !matches!(self.chain, "OUTPUT" | "POSTROUTING")
    }

    pub(super) fn may_ask_output(&self) -> bool {
        !self.is_built_in() || !matches!(self.chain, "INPUT" | "PREROUTING")
    }
}

/// A place in a ruleset that tracks.
fn at(family: Family, table: &str, chains: &[&str], protocol: Option<u8>) -> drawn::Place {
    let mut hooks = HookSet::EMPTY;
    for hook in Hook::ALL {
        if chains.contains(&hook.chain()) {
            hooks.insert(hook);
        }
    }
    drawn::Place {
        family,
        table: Table::from_name(table).expect("one of the five"),
        hooks,
        protocol,
        may_track: true,
    }
}

struct TableSpec {
    name: &'static str,
    chains: &'static [&'static str],
    /// Name, callers; each may call those after it that share its callers.
    users: &'static [(&'static str, &'static [&'static str])],
}

const FIVE: &[&str] = &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];
const THREE: &[&str] = &["INPUT", "FORWARD", "OUTPUT"];

const TABLES: &[TableSpec] = &[
    TableSpec {
        name: "raw",
        chains: &["PREROUTING", "OUTPUT"],
        users: &[("early", &["PREROUTING", "OUTPUT"]), ("pre", &["PREROUTING"])],
    },
    TableSpec {
        name: "mangle",
        chains: FIVE,
        users: &[
            ("marks", FIVE),
            ("more-marks", FIVE),
            ("out", &["FORWARD", "POSTROUTING"]),
        ],
    },
    TableSpec {
        name: "nat",
        chains: &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        users: &[
            ("forwards", &["PREROUTING", "OUTPUT"]),
            ("more_forwards", &["PREROUTING", "OUTPUT"]),
            ("sources", &["POSTROUTING"]),
            ("both-ways", &["POSTROUTING", "INPUT"]),
        ],
    },
    TableSpec {
        name: "filter",
        chains: THREE,
        users: &[
            ("u1", THREE),
            ("u2", THREE),
            ("u3", THREE),
            ("a-chain-with-a-name-of-28-ch", THREE),
            ("to-me", &["INPUT"]),
            ("through", &["FORWARD"]),
        ],
    },
    TableSpec {
        name: "security",
        chains: THREE,
        users: &[("s1", THREE), ("s2", THREE)],
    },
];

#[derive(Clone, Debug)]
pub(super) struct TableRules {
    pub name: &'static str,
    pub policies: Vec<(&'static str, &'static str)>,
    pub users: Vec<&'static str>,
    /// Chain, and the rest of the rule with a space before it.
    pub rules: Vec<(&'static str, String)>,
}

impl TableRules {
    /// For `iptables-restore`.
    pub(super) fn text(&self) -> String {
        self.write(|_| String::new(), "")
    }

    /// The same with counters, for `iptables-restore -c`.
    pub(super) fn text_with_counters(&self, draw: &mut Draw) -> String {
        let policy = format!(" [{}:{}]", draw.below(1000), draw.below(100_000));
        self.write(|at| format!("[{}:{}] ", at * 3, at * 100), &policy)
    }

    fn write(&self, counters: impl Fn(usize) -> String, of_policy: &str) -> String {
        let mut text = format!("*{}\n", self.name);
        for (chain, policy) in &self.policies {
            let _ = writeln!(text, ":{chain} {policy}{of_policy}");
        }
        for chain in &self.users {
            let _ = writeln!(text, ":{chain} -");
        }
        for (at, (chain, rule)) in self.rules.iter().enumerate() {
            let _ = writeln!(text, "{}-A {chain}{rule}", counters(at));
        }
        text + "COMMIT\n"
    }
}

#[derive(Clone, Debug)]
pub(super) struct Ruleset {
    pub family: Family,
    /// What kind it is of: how packets fare is asked of each for itself.
    pub kind: &'static str,
    pub tables: Vec<TableRules>,
    pub tracked: bool,
}

/// Every kind of ruleset.
#[cfg(test)]
pub(super) const KINDS: &[&str] = &[HOME_ROUTER, SERVERS, STATELESS, NOISE];
const HOME_ROUTER: &str = "home router";
const SERVERS: &str = "servers";
const STATELESS: &str = "stateless";
const NOISE: &str = "noise";

impl Ruleset {
    pub(super) fn draw(draw: &mut Draw, family: Family) -> Self {
        match draw.below(10) {
            0..2 => home_router(draw, family),
            2..4 => servers(draw, family),
            4 => stateless(draw, family),
            _ => noise(draw, family),
        }
    }

    pub(super) fn text(&self) -> String {
        let text: String = self.tables.iter().map(TableRules::text).collect();
        said_in(self.family, &text)
    }

    /// The tool that restores it.
    pub(super) fn restore(&self) -> &'static str {
        match self.family {
            Family::V4 => "iptables-restore",
            Family::V6 => "ip6tables-restore",
        }
    }

    /// A place for one more rule, in a table that is there.
    pub(super) fn place(&self, draw: &mut Draw) -> Place {
        let table = &self.tables[draw.below(self.tables.len())];
        let mut places = places(self.family, table.name, &table.users, self.tracked);
        let at = draw.below(places.len());
        places.swap_remove(at)
    }
}

fn spec(name: &str) -> &'static TableSpec {
    TABLES.iter().find(|it| it.name == name).expect("one of the five")
}

/// Every chain of a table.
fn places(family: Family, table: &str, users: &[&'static str], tracked: bool) -> Vec<Place> {
    let spec = spec(table);
    let known = || spec.users.iter().filter(|user| users.contains(&user.0));
    let built_in = spec.chains.iter().map(|chain| (*chain, std::slice::from_ref(chain), 0));
    let own = spec.users.iter().enumerate().map(|(at, user)| (user.0, user.1, at + 1));
    built_in
        .chain(own.filter(|it| users.contains(&it.0)))
        .map(|(chain, hooks, after)| Place {
            family,
            table: spec.name,
            chain,
            hooks,
            deeper: known()
                .filter(|user| spec.users.iter().position(|it| it.0 == user.0) >= Some(after))
                .filter(|user| hooks.iter().all(|hook| user.1.contains(hook)))
                .map(|user| user.0)
                .collect(),
            tracked,
        })
        .collect()
}

/// One rule, with a space before it and without its chain.
pub(super) fn rule(draw: &mut Draw, place: &Place) -> String {
    let number = draw.extensions.rule();
    let mut rule = String::new();
    selector::selector(draw, place, &mut rule);
    let protocol = selector::protocol(draw, place.family, &mut rule);
    // All of these are drawn whether they are needed or not: what extensions say must not decide what the scenario draws next.
    let jump = jump(draw, place);
    let verdict = verdict(draw, place.table);
    let may_be_blanket = draw.one_in(6);
    let harmless = draw.pick(&["", " -j ACCEPT", " -j RETURN"]);
    let place = place.with(protocol);
    rule += &draw.extensions.matches(number, &place);
    let target = draw.extensions.target(number, &place);
    let is_blunt = target.as_ref().map_or(verdict.contains("DROP"), |it| it.is_blunt);
    rule += &match (jump, target) {
        (Some(jump), _) => jump,
        // What drops takes only a part of what passes.
        _ if rule.is_empty() && is_blunt && !may_be_blanket => harmless.to_owned(),
        (None, Some(target)) => target.words,
        (None, None) => verdict.to_owned(),
    };
    rule
}

fn jump(draw: &mut Draw, place: &Place) -> Option<String> {
    if place.deeper.is_empty() || !draw.percent(22) {
        return None;
    }
    let how = draw.pick(&["j", "j", "g"]);
    Some(format!(" -{how} {}", place.deeper[draw.below(place.deeper.len())]))
}

/// Where no extension is the target.
fn verdict(draw: &mut Draw, table: &str) -> &'static str {
    let [accept, back, drop] = match table {
        "raw" => [27, 16, 5],
        "mangle" => [25, 12, 3],
        "nat" => [25, 25, 0],
        "filter" => [53, 12, 12],
        _ => [55, 9, 9],
    };
    match draw.below(100) {
        at if at < accept => " -j ACCEPT",
        at if at < accept + back => " -j RETURN",
        at if at < accept + back + drop => " -j DROP",
        _ => "",
    }
}

/// Any table, any chain, anything.
fn noise(draw: &mut Draw, family: Family) -> Ruleset {
    let tracked = !draw.one_in(10);
    let mut tables = Vec::new();
    for spec in TABLES {
        let is_needed = spec.name == "filter";
        if !is_needed && draw.one_in(3) || spec.name == "nat" && !tracked {
            continue;
        }
        let mut table = empty(spec.name);
        if draw.percent(85) {
            table.users.extend(spec.users.iter().map(|user| user.0));
        }
        if draw.one_in(6) && spec.name != "nat" {
            let at = draw.below(table.policies.len());
            table.policies[at].1 = "DROP";
        }
        for place in places(family, spec.name, &table.users, tracked) {
            let most = if spec.name == "security" { 3 } else { 6 };
            for _ in 0..draw.below(most) {
                table.rules.push((place.chain, rule(draw, &place)));
            }
        }
        tables.push(table);
    }
    if tracked && draw.one_in(2) {
        helper(draw, family, &mut tables);
    }
    draw.shuffle(&mut tables);
    Ruleset {
        family,
        kind: NOISE,
        tables,
        tracked,
    }
}

fn empty(name: &str) -> TableRules {
    let spec = spec(name);
    TableRules {
        name: spec.name,
        policies: spec.chains.iter().map(|chain| (*chain, "ACCEPT")).collect(),
        users: Vec::new(),
        rules: Vec::new(),
    }
}

fn helper(draw: &mut Draw, family: Family, tables: &mut Vec<TableRules>) {
    let raw = match tables.iter_mut().find(|it| it.name == "raw") {
        Some(raw) => raw,
        None => {
            tables.push(empty("raw"));
            tables.last_mut().expect("just put there")
        }
    };
    let rule = draw.pick(&[
        " -p tcp --dport 21 -j CT --helper ftp",
        " -p tcp -m tcp --dport 21 -j CT --helper ftp",
        " -p tcp -m multiport --dports 21,2121 -j CT --helper ftp",
    ]);
    raw.rules.insert(0, ("PREROUTING", rule.to_owned()));
    if draw.one_in(3) {
        raw.rules.push(("OUTPUT", rule.to_owned()));
    }
    for rule in [
        " -p tcp --dport 6667 -j CT --helper irc",
        " -p udp --dport 69 -j CT --helper tftp",
        " -p udp -m udp --dport 10080 -j CT --helper amanda",
        " -p tcp --dport 1720 -j CT --helper Q.931",
        " -p udp --dport 1719 -j CT --helper RAS",
        " -p tcp --dport 1723 -j CT --helper pptp",
        " -p tcp --dport 6566 -j CT --helper sane",
        " -p udp --dport 161 -j CT --helper snmp",
        " -p udp --dport 162 -j CT --helper snmp_trap",
        " -p udp --dport 5060 -j CT --helper sip",
        " -p tcp --dport 5060 -j CT --helper sip",
    ] {
        if family == Family::V6 && OF_IPV4_ALONE.iter().any(|name| rule.ends_with(name)) {
            continue;
        }
        if !draw.one_in(4) {
            raw.rules.insert(0, ("PREROUTING", rule.to_owned()));
        }
        if draw.one_in(6) {
            raw.rules.push(("OUTPUT", rule.to_owned()));
        }
    }
    if family == Family::V4 && !draw.one_in(4) {
        raw.rules
            .push(("OUTPUT", " -p udp --dport 137 -j CT --helper netbios-ns".to_owned()));
    }
}

/// Helpers that the kernel has in no other family.
const OF_IPV4_ALONE: [&str; 4] = [" irc", " pptp", " snmp", " snmp_trap"];

fn home_router(draw: &mut Draw, family: Family) -> Ruleset {
    let mut nat = empty("nat");
    if draw.one_in(2) {
        let forward = draw
            .extensions
            .this("DNAT", &at(family, "nat", &["PREROUTING"], Some(protocol::TCP)));
        nat.rules.push((
            "PREROUTING",
            format!(" -i wan -p tcp -m tcp --dport {}{forward}", draw.pick(&[80, 21, 8080])),
        ));
    }
    if draw.one_in(3) {
        let redirect = draw
            .extensions
            .this("REDIRECT", &at(family, "nat", &["PREROUTING"], Some(protocol::TCP)));
        nat.rules
            .push(("PREROUTING", format!(" -i lan -p tcp --dport 80{redirect}")));
    }
    let source = draw.pick(&["MASQUERADE", "SNAT"]);
    let source = draw.extensions.this(source, &at(family, "nat", &["POSTROUTING"], None));
    nat.rules.push(("POSTROUTING", format!(" -o wan{source}")));
    let mut filter = empty("filter");
    filter.policies[0].1 = "DROP";
    filter.policies[1].1 = "DROP";
    let state = draw.pick(&[
        " -m state --state RELATED,ESTABLISHED",
        " -m conntrack --ctstate RELATED,ESTABLISHED",
    ]);
    for chain in ["INPUT", "FORWARD"] {
        if draw.one_in(2) {
            filter
                .rules
                .push((chain, " -m conntrack --ctstate INVALID -j DROP".to_owned()));
        }
        filter.rules.push((chain, format!("{state} -j ACCEPT")));
    }
    filter.rules.push(("FORWARD", " -i lan -j ACCEPT".to_owned()));
    filter
        .rules
        .push(("FORWARD", " -m conntrack --ctstate DNAT -j ACCEPT".to_owned()));
    filter.rules.push((
        "INPUT",
        " -p icmp -m icmp --icmp-type 8 -m limit --limit 1/hour --limit-burst 20 -j ACCEPT".to_owned(),
    ));
    filter.rules.push(("INPUT", " -i lan -j ACCEPT".to_owned()));
    if draw.one_in(2) {
        filter
            .rules
            .push(("INPUT", " -p tcp -j REJECT --reject-with tcp-reset".to_owned()));
        filter
            .rules
            .push(("INPUT", format!(" -p udp{}", reject_udp(draw, family))));
    }
    let mut tables = vec![filter, nat];
    if draw.percent(70) {
        helper(draw, family, &mut tables);
    }
    sprinkle(draw, family, HOME_ROUTER, tables)
}

fn reject_udp(draw: &mut Draw, family: Family) -> String {
    let place = at(family, "filter", &["INPUT", "FORWARD"], Some(protocol::UDP));
    draw.extensions.this("REJECT", &place)
}

/// A network with servers behind a stateful filter of several chains.
fn servers(draw: &mut Draw, family: Family) -> Ruleset {
    let mut filter = empty("filter");
    filter.users.extend(spec("filter").users.iter().map(|user| user.0));
    filter.policies[1].1 = draw.pick(&["DROP", "ACCEPT"]);
    filter.rules.extend([
        (
            "FORWARD",
            " -m state --state INVALID -j LOG --log-prefix \"bad \"".to_owned(),
        ),
        ("FORWARD", " -m state --state INVALID -j DROP".to_owned()),
        ("FORWARD", " -m state --state ESTABLISHED,RELATED -j ACCEPT".to_owned()),
        ("FORWARD", " -p tcp ! --syn -m state --state NEW -j DROP".to_owned()),
        ("FORWARD", " -d 10.0.0.0/24 -p tcp -j u1".to_owned()),
        ("FORWARD", " -s 10.0.0.0/24 -g u2".to_owned()),
        ("FORWARD", " -p icmp -j u3".to_owned()),
        (
            "u1",
            " -p tcp -m multiport --dports 21,22,25,80,443 -j ACCEPT".to_owned(),
        ),
        ("u1", " -p tcp --dport 1024: -j RETURN".to_owned()),
        ("u1", " -j REJECT".to_owned()),
        ("u2", " -p udp --dport 53 -j ACCEPT".to_owned()),
        ("u2", " -p tcp -m tcp --syn -m mark ! --mark 4/4 -j ACCEPT".to_owned()),
        ("u2", format!(" -p udp --dport 443{}", reject_udp(draw, family))),
        ("u3", " -p icmp --icmp-type echo-request -j ACCEPT".to_owned()),
        ("u3", " -p icmp --icmp-type 3 -j ACCEPT".to_owned()),
        (
            "INPUT",
            " -m addrtype --dst-type BROADCAST,MULTICAST -j DROP".to_owned(),
        ),
    ]);
    if draw.one_in(2) {
        let refused = " -p tcp -j REJECT --reject-with tcp-reset";
        filter.rules.push(("INPUT", refused.to_owned()));
    }
    let mut tables = vec![filter];
    if draw.one_in(2) {
        let mut nat = empty("nat");
        let port = draw.pick(&["80", "21", "8001", "1050"]);
        let forward = draw
            .extensions
            .this("DNAT", &at(family, "nat", &["PREROUTING"], Some(protocol::TCP)));
        nat.rules
            .push(("PREROUTING", format!(" -d 192.0.2.1 -p tcp --dport {port}{forward}")));
        // So that hosts of the inner network reach the server by the outer address.
        nat.rules
            .push(("POSTROUTING", " -s 10.0.0.0/24 -d 10.0.0.0/24 -j MASQUERADE".to_owned()));
        tables.push(nat);
    }
    if draw.percent(60) {
        helper(draw, family, &mut tables);
    }
    sprinkle(draw, family, SERVERS, tables)
}

/// Without tracking: fragments stay what they are.
fn stateless(draw: &mut Draw, family: Family) -> Ruleset {
    let mut filter = empty("filter");
    filter.rules.extend([
        ("FORWARD", " -f -j ACCEPT".to_owned()),
        ("FORWARD", " -p tcp --syn -i wan -d 10.0.0.2 -j ACCEPT".to_owned()),
        (
            "FORWARD",
            " -p tcp --syn -i wan -j REJECT --reject-with icmp-admin-prohibited".to_owned(),
        ),
        ("FORWARD", " -p udp --sport 53 -j ACCEPT".to_owned()),
        ("INPUT", " -p icmp -j ACCEPT".to_owned()),
    ]);
    let mut ruleset = sprinkle(draw, family, STATELESS, vec![filter]);
    if draw.one_in(2) {
        ruleset.tables[0].rules.retain(|(_, rule)| !rule.contains("-f "));
    }
    ruleset
}

/// A few rules of any kind between those that people write.
fn sprinkle(draw: &mut Draw, family: Family, kind: &'static str, mut tables: Vec<TableRules>) -> Ruleset {
    for name in ["mangle", "raw", "security"] {
        if draw.one_in(3) && !tables.iter().any(|it| it.name == name) {
            tables.push(empty(name));
        }
    }
    let mut ruleset = Ruleset {
        family,
        kind,
        tables,
        tracked: kind != STATELESS,
    };
    for _ in 0..draw.below(10) {
        let place = ruleset.place(draw);
        let made = rule(draw, &place);
        let table = ruleset
            .tables
            .iter_mut()
            .find(|it| it.name == place.table)
            .expect("a table that is there");
        let at = draw.below(table.rules.len() + 1);
        table.rules.insert(at, (place.chain, made));
    }
    ruleset
}
