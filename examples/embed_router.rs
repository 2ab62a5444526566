//! A router in a program of one's own: two interfaces, a ruleset, packets, and for each what became of it and why.
//!
//! ```sh
//! cargo run --example embed_router
//! ```
//! There is no thread, no clock and no file in it: the program says what time it is and carries the packets. The same seed, packets and
//! times give the same bytes again.

use std::error::Error;
use std::net::IpAddr;

use etherparse::PacketBuilder;
use nflab::base::{Family, InterfaceName, Time};
use nflab::engine::{Config, Port, Router};
use nflab::explain::story::{Detail, Story};
use nflab::lab::RouterTables;
use nflab::net::{Closed, Net, Prefix, Route};
use nflab::rule::Table;
use nflab::text::{StaticHosts, restore};

const RULES: &str = "\
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT
-A FORWARD -i lan -p tcp --dport 443 -m comment --comment \"the web\" -j ACCEPT
COMMIT
";

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", tell()?);
    Ok(())
}

/// Everything that the example prints.
pub(crate) fn tell() -> Result<String, Box<dyn Error>> {
    // The host around the rules: interfaces with addresses and MTU, and a route.
    let mut net = Net::new();
    let lan = net.add_interface(InterfaceName::new("lan").ok_or("a name")?, 1500)?;
    let wan = net.add_interface(InterfaceName::new("wan").ok_or("a name")?, 1500)?;
    net.add_address(lan, IpAddr::from([10, 0, 0, 1]), 24)?;
    net.add_address(wan, IpAddr::from([192, 0, 2, 1]), 24)?;
    net.add_route(Route {
        via: Some(IpAddr::from([192, 0, 2, 254])),
        interface: Some(wan),
        ..Route::new(Prefix::default_of(Family::V4))
    })?;
    net.sysctl_set("net.ipv4.ip_forward", "1")?;

    // `Closed`: no program listens on the router. One worker is one thread's place in the counters.
    let router = Router::new(Config::new(net), 1, 1, Box::new(Closed));
    let mut worker = router.workers().remove(0);

    // The rules, as iptables-restore reads them: each table whole or not at all.
    let mut now = Time::from_secs(1_000);
    let options = restore::Options::of(Family::V4);
    let mut tables = RouterTables::new(&router, now);
    let (_, result) = restore::run(RULES, &options, &mut tables, &StaticHosts::none());
    result.map_err(|failure| failure.explain())?;

    let mut out = String::new();
    let client = [10, 0, 0, 2];
    for (port, to) in [(443, [198, 51, 100, 7]), (22, [198, 51, 100, 7])] {
        let mut segment = Vec::new();
        PacketBuilder::ipv4(client, to, 64)
            .tcp(40_000, port, 7, 64_240)
            .syn()
            .write(&mut segment, &[])?;
        // The observer sees the packet's way; with `Silent` in its place nothing of it costs anything, and the verdict is the same.
        let mut story = Story::default();
        let report = router.receive(&mut worker, now, lan, &segment, &mut story);
        out += &format!("tcp to port {port}: {}", report.fate.verdict());
        // Each table that the packet met had a rule or a policy with the last word; filter's is why it went or stayed.
        let decided = story.deciding();
        if let Some(deciding) = decided.iter().find(|it| it.table == Table::Filter) {
            let rule = deciding
                .number
                .map_or("its policy".to_owned(), |number| format!("rule {number}"));
            out += &format!(", said {} {} {rule}", deciding.table.name(), deciding.chain);
        }
        out.push('\n');
        for line in story.render(Detail::Whole).lines() {
            out += &format!("    {line}\n");
        }
        // What left because of it: bytes, and the interface that they leave by.
        for emission in worker.output() {
            if let Port::Interface(id) = emission.port {
                let name = router.config().net.interface(id).name;
                out += &format!("    {} bytes leave by {name}\n", emission.bytes.len());
            }
        }
        now = Time::from_secs(now.as_secs() + 1);
    }
    out += &format!("flows: {}\n", router.flows().count());
    Ok(out)
}
