//! nflab's side: the library in process, with the same host around it.

use std::time::SystemTime;

use nflab::base::{InterfaceName, Time};
use nflab::cli::{RouterTables, World, iptables_restore, iptables_save};
use nflab::conntrack::text::{ExpectationForm, FlowForm, expectation, flow};
use nflab::engine::{Config, Port, Router, Worker};
use nflab::lab::story::{Detail, Story};
use nflab::net::{Closed, Net, Prefix, Route};
use nflab::text::StaticHosts;

use crate::Sent;
use crate::scenario::Scenario;

pub struct Ours {
    router: Router,
    worker: Worker,
    now: Time,
    story: Story,
}

impl Ours {
    pub fn new(scenario: &Scenario) -> Result<Self, String> {
        let mut net = Net::new();
        for (name, address) in &scenario.interfaces {
            let name = InterfaceName::new(name).ok_or("a name too long")?;
            let id = net.add_interface(name, 1500).map_err(|error| error.to_string())?;
            let (address, length) = address.split_once('/').ok_or("an address without a length")?;
            net.add_address(
                id,
                address.parse().map_err(|_| "a bad address")?,
                length.parse().map_err(|_| "a bad length")?,
            )
            .map_err(|error| error.to_string())?;
        }
        for (to, via) in &scenario.routes {
            assert_eq!(*to, "default", "scenarios have default routes only");
            let via: std::net::IpAddr = via.parse().map_err(|_| "a bad gateway")?;
            let mut route = Route::new(Prefix::default_of(nflab::base::Family::V4));
            route.via = Some(via);
            net.add_route(route).map_err(|error| error.to_string())?;
        }
        for (key, value) in [
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv4.icmp_ratelimit", "0"),
            ("net.ipv4.icmp_msgs_per_sec", "100000"),
            ("net.ipv4.icmp_msgs_burst", "100000"),
        ] {
            net.sysctl_set(key, value).map_err(|error| error.to_string())?;
        }
        let mut config = Config::new(net);
        config.helpers = nflab::helper::registry().to_vec();
        for (key, value) in &scenario.sysctls {
            match key.strip_prefix("net.netfilter.") {
                Some(name) => config.conntrack.set(name, value).map_err(|error| error.to_string())?,
                None => config.net.sysctl_set(key, value).map_err(|error| error.to_string())?,
            }
        }
        let router = Router::new(config, 1, 1, Box::new(Closed));
        let worker = router.workers().remove(0);
        let mut ours = Self {
            router,
            worker,
            now: clock(),
            story: Story::default(),
        };
        ours.restore(&scenario.rules)?;
        Ok(ours)
    }

    pub fn restore(&mut self, rules: &str) -> Result<(), String> {
        let text = rules.to_owned();
        let outcome = self.tool(iptables_restore::run, &["iptables-restore"], &text);
        match outcome.code {
            0 => Ok(()),
            code => Err(format!("nflab's iptables-restore: exit {code}: {}", outcome.err)),
        }
    }

    pub fn receive(&mut self, interface: &str, packet: &[u8]) -> Sent {
        let config = self.router.config();
        let Some(found) = config.net.by_name(interface) else {
            return Vec::new();
        };
        self.now = clock();
        self.story = Story::default();
        self.router
            .receive(&mut self.worker, self.now, found.id, packet, &mut self.story);
        self.sent()
    }

    pub fn send(&mut self, packet: &[u8]) -> Sent {
        self.now = clock();
        self.story = Story::default();
        self.router.send(&mut self.worker, self.now, packet, &mut self.story);
        self.sent()
    }

    /// In the order of the interfaces, as the kernel's side reads its devices one after the other.
    fn sent(&self) -> Sent {
        let config = self.router.config();
        let mut sent = Sent::new();
        for interface in config.net.interfaces().iter().skip(1) {
            for emission in self.worker.output() {
                if emission.port == Port::Interface(interface.id) {
                    sent.push((interface.name.to_string(), emission.bytes.clone()));
                }
            }
        }
        sent
    }

    pub fn story(&self) -> String {
        self.story.render(Detail::Whole)
    }

    /// Lets the time that has passed for the kernel pass here too.
    pub fn catch_up(&mut self) {
        self.now = clock();
    }

    pub fn save(&mut self) -> Result<String, String> {
        let outcome = self.tool(iptables_save::run, &["iptables-save", "-c"], "");
        Ok(outcome
            .out
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| format!("{line}\n"))
            .collect())
    }

    pub fn flows(&self) -> String {
        let lines = self.router.flows().flows(self.now);
        let config = self.router.config();
        let text: String = lines
            .iter()
            .filter_map(|it| flow(it, FlowForm::Proc, self.now, &config.conntrack))
            .map(|line| format!("{line}\n"))
            .collect();
        normal(&text)
    }

    pub fn expectations(&self) -> String {
        let lines = self.router.flows().expectations(self.now);
        lines
            .iter()
            .map(|it| expectation(it, ExpectationForm::Proc, self.now) + "\n")
            .collect()
    }

    fn tool(
        &mut self,
        run: fn(&[String], &mut World<'_>) -> nflab::cli::Outcome,
        arguments: &[&str],
        input: &str,
    ) -> nflab::cli::Outcome {
        let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        let mut tables = RouterTables {
            router: &self.router,
            now: self.now,
        };
        let hosts = StaticHosts::default();
        let mut read = |_: Option<&str>| Ok(input.to_owned());
        run(
            &arguments,
            &mut World {
                tables: &mut tables,
                hosts: &hosts,
                now: self.now,
                read: &mut read,
            },
        )
    }
}

/// The kernel's clock is the real one, so ours is too.
fn clock() -> Time {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    Time::from_nanos(since.as_nanos() as u64)
}

/// Flow lines in an order of their own, since the kernel's is that of its hash table; the time to live comes first, for comparison; and the
/// count of references is left out, because it says who else looks at the flow just now.
pub fn normal(text: &str) -> String {
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut words: Vec<&str> = line
                .split_whitespace()
                .filter(|word| !word.starts_with("use="))
                .collect();
            let seconds = if words.len() > 4 { words.remove(4) } else { "" };
            (seconds, words)
        })
        .map(|(seconds, words)| (words.join(" "), seconds.to_owned()))
        .map(|(words, seconds)| format!("{words}\u{0}{seconds}"))
        .collect();
    lines.sort();
    lines
        .iter()
        .map(|line| {
            let (words, seconds) = line.split_once('\u{0}').unwrap_or((line, ""));
            format!("{seconds} {words}\n")
        })
        .collect()
}
