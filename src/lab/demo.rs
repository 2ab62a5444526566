//! `nflab demo`: a client and a server with the router between them, a ping, a web download and FTP transfers through a ruleset, and what
//! became of the packets worth a look.
//!
//! The same acts are played on two stages: with real programs in network namespaces (`live::demo`), and where the machine allows none, by
//! conversations in memory ([`memory`]).

pub(crate) mod memory;
mod page;

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::machine::ToolOutput;
use super::memory::{Lab, Passage};
use crate::base::protocol;
use crate::conntrack::Endpoint;
use crate::explain::story::Detail;
use crate::packet::Packet;
use crate::wire::ipv4::Ipv4;
use crate::wire::tcp::{Tcp, flags};
use page::Page;

/// Where the acts take place.
pub(crate) trait Stage {
    /// One sentence: where this is.
    fn place(&self) -> String;
    /// Calls a tool of the lab.
    fn tool(&mut self, name: &str, args: &[&str], stdin: &str) -> ToolOutput;
    /// Does it, and says in a line how it went. `Err` says what failed.
    fn act(&mut self, act: Act) -> Result<String, String>;
    /// The packets of interest since they were last taken.
    fn seen(&mut self) -> Vec<Seen>;
    /// All packets that came to the router so far.
    fn carried(&self) -> u64;
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The client pings the server.
    Ping,
    /// The same by IPv6.
    Ping6,
    /// The client fetches a file from the server's web server.
    Download,
    /// The client fetches a file by FTP; the data connection comes from the client.
    Passive,
    /// The same, and the data connection comes from the server.
    Active,
    /// The server tries to reach the router's ssh port.
    Knock,
}

/// A packet of interest.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub passage: Passage,
    /// The connections that helpers expect right after it.
    pub expected: Vec<String>,
}

impl Seen {
    pub(crate) fn new(lab: &Lab, passage: Passage) -> Self {
        let expected = lab.machine.router().flows().expectations(lab.now());
        Self {
            passage,
            expected: expected
                .iter()
                .map(|it| {
                    let Endpoint { address, id } = it.tuple.destination;
                    let to = SocketAddr::new(address, id);
                    format!("{} {} > {to}", it.made_by.name, it.tuple.source.address)
                })
                .collect(),
        }
    }
}

/// Plays everything. `Ok(false)` when an act failed.
pub(crate) fn play(stage: &mut dyn Stage, out: &mut dyn Write) -> io::Result<bool> {
    let mut page = Page::new(out);
    page.title("nflab demo: a home router that is a program")?;
    page.text(PICTURE)?;
    page.text(&format!("{}\n", stage.place()))?;
    let mut good = stage.tool("modprobe", &["nf_conntrack_ftp"], "").code == 0;
    for (title, tool, rules) in [
        ("The rules", "iptables-restore", RULES),
        (
            "Those of IPv6, which no packet of IPv4 meets",
            "ip6tables-restore",
            RULES6,
        ),
    ] {
        page.heading(title)?;
        page.text(&indented(rules))?;
        let restored = stage.tool(tool, &[], rules);
        if restored.code != 0 {
            page.failure(&restored.stderr)?;
            return Ok(false);
        }
    }
    for (act, title, about) in ACTS {
        page.heading(title)?;
        page.text(&format!("{about}\n"))?;
        match stage.act(*act) {
            Ok(line) => page.success(&line)?,
            Err(line) => {
                good = false;
                page.failure(&line)?;
            }
        }
        let seen = stage.seen();
        for one in seen.iter().filter(|one| worth_showing(*act, one)).take(SHOWN) {
            page.story(&one.passage.story.render(Detail::Short))?;
            for line in &one.expected {
                page.note(&format!("the helper now expects: {line}"))?;
            }
        }
    }
    page.heading("The table of connections (conntrack -L)")?;
    page.text(&stage.tool("conntrack", &["-L"], "").stdout)?;
    page.heading("What the rules counted (iptables -L FORWARD -n -v -x)")?;
    page.text(&stage.tool("iptables", &["-L", "FORWARD", "-n", "-v", "-x"], "").stdout)?;
    page.text(&format!("\n{} packets came to the router.\n", stage.carried()))?;
    Ok(good)
}

/// Whether a packet that comes is worth its story: whatever opens something, and what helpers read.
pub(crate) fn is_of_interest(bytes: &[u8]) -> bool {
    let Ok(ip) = Ipv4::new(bytes) else {
        return true;
    };
    if ip.protocol() != protocol::TCP {
        return true;
    }
    Tcp::new(ip.payload()).map_or(true, |tcp| tcp.has(flags::SYN) || announces(tcp.payload()))
}

/// What an FTP helper reads.
fn announces(payload: &[u8]) -> bool {
    ["PORT ", "EPRT ", "227 ", "229 "]
        .iter()
        .any(|word| payload.starts_with(word.as_bytes()))
}

/// Of the packets of interest, those that show what the act is about.
fn worth_showing(act: Act, seen: &Seen) -> bool {
    let Ok(packet) = Packet::parse(seen.passage.sent.clone()) else {
        return false;
    };
    let Some(tcp) = packet.tcp() else {
        return matches!(act, Act::Ping | Act::Ping6);
    };
    let control = tcp.source_port() == FTP || tcp.destination_port() == FTP;
    let opens = tcp.has(flags::SYN) && !tcp.has(flags::ACK);
    match act {
        Act::Ping | Act::Ping6 => false,
        Act::Download => tcp.has(flags::SYN),
        Act::Passive | Act::Active => opens && !control || announces(tcp.payload()),
        Act::Knock => opens,
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// How many packets of an act are told at most.
const SHOWN: usize = 2;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
pub(crate) const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 9);
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const FTP: u16 = 21;
pub(crate) const SSH: u16 = 22;
pub(crate) const WEB: u16 = 80;

const PICTURE: &str = "
  client 10.0.0.2 ──── lan 10.0.0.1 [ router ] wan 192.0.2.1 ──── 192.0.2.9 server
      2001:db8::2 ──── 2001:db8::1  [        ] 2001:db8:1::1 ──── 2001:db8:1::9

";

pub(crate) const LAB: &str = r#"
offload = false
[interface.lan]
address = ["10.0.0.1/24", "2001:db8::1/64"]
[interface.wan]
address = ["192.0.2.1/24", "2001:db8:1::1/64"]
[host.client]
interface = "lan"
address = ["10.0.0.2/24", "2001:db8::2/64"]
[host.server]
interface = "wan"
address = ["192.0.2.9/24", "2001:db8:1::9/64"]
"#;

const RULES: &str = "\
*raw
-A PREROUTING -i lan -p tcp --dport 21 -j CT --helper ftp
COMMIT
*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:INPUT DROP
:FORWARD DROP
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i lan -p icmp --icmp-type echo-request -j ACCEPT
-A FORWARD -i lan -p tcp -m multiport --dports 21,80 -m conntrack --ctstate NEW -j ACCEPT
COMMIT
";

const RULES6: &str = "\
*filter
:INPUT DROP
:FORWARD DROP
-A INPUT -p icmpv6 --icmpv6-type neighbour-solicitation -j ACCEPT
-A INPUT -p icmpv6 --icmpv6-type neighbour-advertisement -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i lan -p icmpv6 --icmpv6-type echo-request -j ACCEPT
COMMIT
";

const ACTS: &[(Act, &str, &str)] = &[
    (
        Act::Ping,
        "Ping",
        "Three echo requests from the client to the server; here the first and its reply.",
    ),
    (
        Act::Ping6,
        "Ping, by IPv6",
        "The same by IPv6: other rules, the same table of flows, and nobody's address is changed.",
    ),
    (
        Act::Download,
        "Web",
        "The client fetches a file. The first packet opens a flow and gets its mapping; all others follow it.",
    ),
    (
        Act::Passive,
        "FTP, passive",
        "The server says on the control connection where the client shall connect to. No rule lets that connection out; the helper has read it.",
    ),
    (
        Act::Active,
        "FTP, active",
        "The client says where it listens. The helper puts the router's address there, and lets the server's connection in.",
    ),
    (
        Act::Knock,
        "Uninvited",
        "The server tries the router's ssh port. Nothing was said about that, and no rule allows it.",
    ),
];

#[cfg(test)]
mod tests {
    use super::memory::MemoryStage;
    use super::*;

    fn played() -> (String, bool) {
        let mut out = Vec::new();
        let mut stage = MemoryStage::new(crate::cli::TOOLBOX, "In memory.".to_owned()).unwrap();
        let good = play(&mut stage, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        (anstream::adapter::strip_str(&text).to_string(), good)
    }

    #[test]
    fn the_play_in_memory_shows_what_it_promises() {
        let (text, good) = played();
        assert!(good, "{text}");
        for wanted in [
            "NEW: it opens a flow",
            "becomes  192.0.2.1 > 192.0.2.9",
            "ESTABLISHED: of a known flow, in its reply direction",
            "RELATED: it opens a flow that helper ftp announced",
            "data \"PORT 10,0,0,2,",
            "data \"PORT 192,0,2,1,",
            "the helper now expects: ftp 192.0.2.9 > 192.0.2.1:",
            "policy of INPUT: DROP",
            "rule 2 of IPv6's FORWARD: -i lan -p ipv6-icmp",
            "out by wan: icmpv6 2001:db8::2 > 2001:db8:1::9 echo-request",
            "helper=ftp",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
    }

    #[test]
    fn the_same_play_twice_is_the_same_text() {
        assert_eq!(played().0, played().0);
    }
}
