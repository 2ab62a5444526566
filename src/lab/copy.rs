//! A copy of a lab as text: what is there now, from which the same lab can be made anew in memory.
//!
//! `{"tool":"copy"}` over the control socket answers with it, on a line of JSON. It holds what its commands made of a lab, not what packets left in
//! it: flows stay where they are, and who wants to know what becomes of a packet asks the lab itself ([`Lab::trial`]). So it stays as small as the
//! rules are.

mod record;
mod written;

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::record::{AddressRecord, HelperRecord, RouteRecord, RuleRecord, WayRecord};
use self::record::{interface, scope};
use self::written::{described, quoted, routes, whose};
use super::file::LabFile;
use super::files::Files;
use super::machine::{Call, Machine, Profile, Toolbox};
use super::memory::{LINK_ADDRESS, Lab, apply_sysctls};
use crate::base::{Family, InterfaceName};
use crate::conntrack::TimeoutPolicy;
use crate::helper::{self, Loaded};
use crate::net::{Address, AddressFlags, LEAST_IPV6_MTU, Net, NewAddress, Placing, RouteSelector, Scope};
use crate::syntax::problem::SourceError;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabCopy {
    pub name: String,
    /// Whether packets pass it all the time; else it moves only when told to.
    pub live: bool,
    /// The lab file as it would be written now: interfaces with their addresses, routes, hosts, and every sysctl that is not what a lab begins with.
    pub file: String,
    /// Addresses that are told otherwise than a lab file would have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<AddressRecord>,
    /// Links that are up and have no address of the link, which a lab file gives to each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_link_address: Vec<String>,
    /// Links that are down.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub down: Vec<String>,
    /// Routes that addresses would bring, and that are not there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<RouteRecord>,
    /// Routes that a lab file has no words for: of other tables, with a metric, a source, a gateway behind another route.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteRecord>,
    /// Tables that are there without a route, since there was one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub empty_tables: Vec<u32>,
    /// Those of IPv6.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub empty_tables6: Vec<u32>,
    /// Routing rules of IPv4, where they are not the three of every namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<RuleRecord>>,
    /// Those of IPv6, where they are not its two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules6: Option<Vec<RuleRecord>>,
    /// Timeout policies: what `nfct` makes each of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Vec<String>>,
    /// `iptables-save -c` of all tables.
    pub tables: String,
    /// `ip6tables-save -c`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tables6: String,
    pub profile: String,
    /// What `modprobe` loaded, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// The modules of helpers that are there, in that order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub helpers: Vec<HelperRecord>,
    /// Connections are tracked though no rule may ask for it.
    #[serde(default)]
    pub tracks_always: bool,
}

/// Why a copy makes no lab: it comes from another version of nflab, or was changed on its way.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("its lab file cannot be read: {0}")]
    File(#[from] SourceError),
    #[error("its {what} cannot be taken over: {why}")]
    Part { what: &'static str, why: String },
}

impl LabCopy {
    pub fn of(machine: &mut Machine) -> Self {
        let mut save = |name| {
            let saved = machine.call(Call {
                name,
                args: &["-c".to_owned()],
                stdin: "",
                files: &Files::default(),
            });
            saved.stdout
        };
        let (tables, tables6) = (save("iptables-save"), save("ip6tables-save"));
        let config = machine.router().config();
        let (written, routes) = routes(&config.net);
        let mut copy = Self {
            live: machine.live,
            file: String::new(),
            addresses: addresses(&config.net),
            without_link_address: without_link_address(&config.net),
            down: down(&config.net),
            missing: missing(&config.net),
            routes,
            empty_tables: config.net.empty_tables(Family::V4).collect(),
            empty_tables6: config.net.empty_tables(Family::V6).collect(),
            rules: rules(&config.net, Family::V4),
            rules6: rules(&config.net, Family::V6),
            policies: policies(machine),
            tables,
            tables6,
            profile: machine.profile().name().to_owned(),
            modules: machine.modules().to_vec(),
            helpers: helpers(&config.helpers),
            tracks_always: config.always_track,
            name: machine.name.clone(),
        };
        let (whose, what) = (whose(machine), described(machine, &config.net, &written));
        copy.file = format!("{whose}{what}");
        copy.file = format!("{whose}{}{what}", copy.sysctls(machine));
        copy
    }

    /// The lab file, under the lab's name.
    pub fn lab_file(&self) -> Result<LabFile, SourceError> {
        LabFile::parse(&self.name, &self.file)
    }

    /// A lab in memory that is the same, but for flows, fragments and logs: there are none yet.
    pub fn lab(&self, seed: u64, toolbox: Toolbox) -> Result<Lab, CopyError> {
        let mut lab = self.bare(seed, toolbox)?;
        self.restore(&mut lab)?;
        Ok(lab)
    }

    /// Puts the rules into a lab that was made without.
    fn restore(&self, lab: &mut Lab) -> Result<(), CopyError> {
        self.restore_policies(lab)?;
        Family::ALL
            .into_iter()
            .try_for_each(|family| self.restore_rules(lab, family))
    }

    /// What its rules may name.
    pub fn restore_policies(&self, lab: &mut Lab) -> Result<(), CopyError> {
        for policy in &self.policies {
            let made = lab.tool("nfct", policy, "", Path::new("."));
            if made.code != 0 {
                return Err(part("timeout policies", made.stderr));
            }
        }
        Ok(())
    }

    /// The rules of one family.
    pub fn restore_rules(&self, lab: &mut Lab, family: Family) -> Result<(), CopyError> {
        let (tool, restore, tables) = match family {
            Family::V4 => ("iptables", "iptables-restore", &self.tables),
            Family::V6 => ("ip6tables", "ip6tables-restore", &self.tables6),
        };
        // The newest table stands first, and comes last.
        let newest_first = tables.lines().filter_map(|line| line.strip_prefix('*'));
        for name in newest_first.collect::<Vec<_>>().into_iter().rev() {
            let touch = ["-t", name, "-S"].map(str::to_owned);
            lab.tool(tool, &touch, "", Path::new("."));
        }
        if tables.is_empty() {
            return Ok(());
        }
        let restored = lab.tool(restore, &["-c".to_owned()], tables, Path::new("."));
        match restored.code {
            0 => Ok(()),
            _ => Err(part("rules", restored.stderr)),
        }
    }

    /// The same without rules.
    pub fn bare(&self, seed: u64, toolbox: Toolbox) -> Result<Lab, CopyError> {
        let file = self.lab_file()?;
        let mut lab = Lab::new(&file, seed, toolbox)?;
        let profile = Profile::from_name(&self.profile).ok_or_else(|| part("profile", self.profile.clone()))?;
        let machine = &mut lab.machine;
        if profile != machine.profile() {
            machine.set_profile(profile);
            apply_sysctls(machine, &file)?;
        }
        for module in &self.modules {
            machine.note_module(module);
        }
        let loaded = self.loaded()?;
        machine.router().configure(|config| {
            config.helpers = loaded;
            Ok::<(), CopyError>(())
        })?;
        machine.track_always(self.tracks_always);
        machine.router().configure(|config| self.route(&mut config.net))?;
        Ok(lab)
    }

    fn loaded(&self) -> Result<Loaded, CopyError> {
        let mut loaded = Loaded::default();
        for record in &self.helpers {
            let mut all = helper::registry().iter();
            let found = all.find(|spec| spec.modules.contains(&record.module.as_str()));
            let spec = found.ok_or_else(|| part("helper", record.module.clone()))?;
            let refused = |why: helper::LoadRefused| part("helper", format!("{}: {why}", record.module));
            loaded.load(spec, &record.parameters).map_err(refused)?;
            loaded.set_nat(spec, record.nat);
        }
        Ok(loaded)
    }

    fn route(&self, net: &mut Net) -> Result<(), CopyError> {
        for record in self.addresses.iter().filter(|it| !it.is_to_be_added) {
            let id = interface(net, &record.dev)?;
            let told = Address {
                address: record.address,
                prefix_length: record.prefix_length,
                secondary: false,
                scope: scope(record.scope)?,
                broadcast: record.broadcast,
                label: record.label.as_deref().and_then(InterfaceName::new),
                peer: record.peer,
                metric: record.metric,
                flags: AddressFlags::from_bits(record.flags),
            };
            net.describe_address(id, &told)
                .map_err(|error| part("addresses", error))?;
        }
        for name in &self.without_link_address {
            let id = interface(net, name)?;
            net.remove_address(id, LINK_ADDRESS.into(), 64)
                .map_err(|error| part("addresses", error))?;
        }
        for name in &self.down {
            let id = interface(net, name)?;
            net.set_link_up(id, false).map_err(|error| part("links", error))?;
            // What it keeps is among what is added.
            let kept: Vec<Address> = net.interface(id).addresses_of(Family::V6).copied().collect();
            for it in kept {
                net.remove_this_address(id, &it)
                    .map_err(|error| part("addresses", error))?;
            }
        }
        // Of IPv6 the newest stands first.
        let (of_ipv4, of_ipv6): (Vec<_>, Vec<_>) = self
            .addresses
            .iter()
            .filter(|it| it.is_to_be_added)
            .partition(|it| it.address.is_ipv4());
        for record in of_ipv4.into_iter().chain(of_ipv6.into_iter().rev()) {
            let id = interface(net, &record.dev)?;
            net.assign(id, record.new_address()?)
                .map_err(|error| part("addresses", error))?;
        }
        for record in &self.missing {
            let route = record.route(net)?;
            net.remove_first_route(&RouteSelector::only(&route))
                .map_err(|error| part("routes", error))?;
        }
        for record in &self.routes {
            let route = record.route(net)?;
            net.put_route(route, Placing::Append)
                .map_err(|error| part("routes", error))?;
        }
        let empty = [(Family::V4, &self.empty_tables), (Family::V6, &self.empty_tables6)];
        for (family, tables) in empty {
            tables.iter().for_each(|table| net.make_table(family, *table));
        }
        for (family, rules) in [(Family::V4, &self.rules), (Family::V6, &self.rules6)] {
            let Some(rules) = rules else { continue };
            for rule in net.rules(family).to_vec() {
                net.remove_rule(family, &rule)
                    .map_err(|error| part("routing rules", error))?;
            }
            for record in rules {
                let rule = record.rule()?;
                net.add_rule(family, rule)
                    .map_err(|error| part("routing rules", error))?;
            }
        }
        Ok(())
    }

    /// The sysctls that are not what this lab without any would begin with, as a table of a lab file. Setting one changes others, so each is held
    /// against the lab as those before it leave it.
    fn sysctls(&self, machine: &Machine) -> String {
        let mut text = String::new();
        let Ok(plain) = self.bare(1, machine.toolbox()) else {
            return text;
        };
        for key in machine.sysctls() {
            let Some(value) = machine.sysctl(&key) else { continue };
            if plain.machine.sysctl(&key).as_ref() == Some(&value) {
                continue;
            }
            // What can only be read isn't a setting.
            if plain.machine.set_sysctl(&key, &value).is_ok() {
                let _ = writeln!(text, "{} = {}", quoted(&key), quoted(&value));
            }
        }
        match text.is_empty() {
            true => text,
            false => format!("[sysctl]\n{text}"),
        }
    }
}

fn policies(machine: &Machine) -> Vec<Vec<String>> {
    let all = machine.router().flows().policies().all();
    let call = |policy: &Arc<TimeoutPolicy>| {
        let (family, protocol) = policy.said_of();
        let beginning = ["add", "timeout", policy.name(), family, protocol];
        let times = policy
            .times()
            .flat_map(|(state, seconds)| [state.to_owned(), seconds.to_string()]);
        beginning.map(str::to_owned).into_iter().chain(times).collect()
    };
    all.iter().map(call).collect()
}

fn helpers(loaded: &Loaded) -> Vec<HelperRecord> {
    let record = |module: &helper::LoadedModule| HelperRecord {
        module: module.spec.modules[0].to_owned(),
        parameters: module.said.clone(),
        nat: module.has_nat,
    };
    loaded.modules().iter().map(record).collect()
}

fn addresses(net: &Net) -> Vec<AddressRecord> {
    let mut records = Vec::new();
    for interface in net.interfaces() {
        for it in &interface.addresses {
            let plain = NewAddress::with_broadcast(it.address, it.prefix_length);
            let is_plain = (it.peer, it.metric, it.flags) == (None, 0, AddressFlags::default());
            let is_to_be_added = match it.address {
                IpAddr::V4(_) => it.peer.is_some(),
                IpAddr::V6(_) => !interface.is_up,
            };
            let is_as_told = match it.address {
                IpAddr::V4(_) => {
                    (it.broadcast, it.label) == (plain.broadcast, None)
                        && matches!(it.scope, Scope::Universe | Scope::Host)
                }
                IpAddr::V6(_) => true,
            };
            if is_plain && is_as_told && !is_to_be_added {
                continue;
            }
            records.push(AddressRecord {
                dev: interface.name.to_string(),
                address: it.address,
                prefix_length: it.prefix_length,
                scope: it.scope as u8,
                broadcast: it.broadcast,
                label: it.label.map(|label| label.to_string()),
                peer: it.peer,
                metric: it.metric,
                flags: it.flags.bits(),
                is_to_be_added,
            });
        }
    }
    records
}

fn without_link_address(net: &Net) -> Vec<String> {
    let of_link = |it: &&Address| it.scope == Scope::Link;
    let links = net.interfaces().iter().skip(1);
    links
        .filter(|it| it.is_up && it.mtu >= LEAST_IPV6_MTU && it.addresses_of(Family::V6).find(of_link).is_none())
        .map(|it| it.name.to_string())
        .collect()
}

fn down(net: &Net) -> Vec<String> {
    let down = net.interfaces().iter().filter(|it| !it.is_up);
    down.map(|it| it.name.to_string()).collect()
}

fn missing(net: &Net) -> Vec<RouteRecord> {
    let missing = net.missing_routes();
    missing.iter().map(|route| RouteRecord::of(route, net)).collect()
}

fn rules(net: &Net, family: Family) -> Option<Vec<RuleRecord>> {
    let rules = net.rules(family);
    if *rules == *Net::new().rules(family) {
        return None;
    }
    Some(rules.iter().map(RuleRecord::of).collect())
}

fn part(what: &'static str, why: impl ToString) -> CopyError {
    let why = why.to_string().trim_end().to_owned();
    CopyError::Part { what, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::TOOLBOX;

    /// Addresses, routes and rules of both families, with all that can be said of them, and what a link that is down has.
    #[test]
    fn a_copy_has_what_ip_says() {
        let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
        let ip = |lab: &mut Lab, words: &str| {
            let args: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let output = lab.tool("ip", &args, "", ".".as_ref());
            assert_eq!(output.code, 0, "{words}: {}", output.stderr);
            output.stdout
        };
        lab.machine
            .set_sysctl("net.ipv6.conf.wan.keep_addr_on_down", "1")
            .unwrap();
        for words in [
            "-6 addr add 2001:db8:5::1/64 dev lan nodad metric 7",
            "-6 addr add 2001:db8:d::1/64 dev wan nodad",
            "-6 addr add 2001:db8:6::1/64 dev lan noprefixroute preferred_lft 0",
            "-6 addr add 2001:db8:7::1 peer 2001:db8:7::2 dev lan",
            "addr add 10.6.0.1/24 brd + dev lan metric 9 noprefixroute",
            "addr add 10.5.0.1 peer 10.5.0.2 dev lan",
            "addr add 10.5.0.1 peer 10.5.0.3 dev lan",
            "-6 route add 2001:db8:9::/64 via 2001:db8::9 hoplimit 7 pref high",
            "-6 route add 2001:db8:a::/64 dev lan pref low",
            "route add 10.9.0.0/24 via 10.0.0.9 hoplimit 9 mtu 1400",
            "route add 10.10.0.0/24 via inet6 fe80::5 dev lan mtu lock 1400",
            "route add 10.11.0.0/24 mtu 1300 nexthop via 10.0.0.9 nexthop via 192.0.2.9 weight 3",
            "-6 route add 2001:db8:e::/64 nexthop via 2001:db8::9 nexthop via 2001:db8:1::9 weight 2",
            "-6 route append 2001:db8:e::/64 via 2001:db8::8 mtu 1400",
            "route add 10.12.0.0/24 via 10.0.0.9 tos 0x10 advmss 1000 rto_min 1s initcwnd lock 3",
            "route add 10.13.0.0/24 nexthop via 10.0.0.9 weight 2 nexthop via 192.0.2.9",
            "-6 route add 2001:db8:10::/64 nexthop via 2001:db8::9 nexthop via 2001:db8::8 weight 256",
            "route add 10.14.0.0/24 dev lan table 7",
            "route del 10.14.0.0/24 table 7",
            "-6 route add 2001:db8:11::/64 dev lan table 8",
            "-6 route del 2001:db8:11::/64 table 8",
            "-6 route add 2001:db8:f::/64 via 2001:db8::9 mtu lock 1400 quickack 1",
            "rule add pref 9 ipproto tcp sport 5-7 dport 80 protocol static table main",
            "rule add pref 10 table main suppress_prefixlength 0",
            "-6 rule add pref 10 goto 20",
            "-6 rule add pref 20 nop",
            "link set wan down",
            "-6 addr add 2001:db8:b::1/64 dev wan",
            "-6 addr add 2001:db8:c::1/64 dev wan metric 5",
        ] {
            ip(&mut lab, words);
        }
        let mut copied = LabCopy::of(&mut lab.machine).lab(1, TOOLBOX).unwrap();
        for words in [
            "addr",
            "route show table all",
            "route show table 7",
            "-6 route show table 8",
            "rule",
            "-6 rule",
        ] {
            assert_eq!(ip(&mut copied, words), ip(&mut lab, words), "{words}");
        }
        for lab in [&mut lab, &mut copied] {
            ip(lab, "link set wan up");
        }
        for words in ["route", "-6 route"] {
            assert_eq!(ip(&mut copied, words), ip(&mut lab, words), "{words}");
        }
    }

    /// Several gateways stand in the file, as far as it has words for them.
    #[test]
    fn several_gateways_are_written_as_a_lab_file_has_them() {
        let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
        for words in [
            "route add 10.13.0.0/24 nexthop via 10.0.0.9 weight 2 nexthop dev wan",
            "-6 route add 2001:db8:10::/64 nexthop via 2001:db8::9 nexthop via 2001:db8:1::9 weight 256",
            "route add 10.14.0.0/24 mtu 1400 nexthop via 10.0.0.9 nexthop via 192.0.2.9",
            "route add 10.15.0.0/24 nexthop via 10.0.0.9 nexthop via 10.0.0.9",
        ] {
            let args: Vec<String> = words.split(' ').map(str::to_owned).collect();
            assert_eq!(lab.tool("ip", &args, "", ".".as_ref()).code, 0, "{words}");
        }
        let copy = LabCopy::of(&mut lab.machine);
        for written in [
            "to = \"10.13.0.0/24\"\nnexthop = [\n  { via = \"10.0.0.9\", dev = \"lan\", weight = 2 },\n  { dev = \"wan\" },\n]\n",
            "to = \"2001:db8:10::/64\"\nnexthop = [\n  { via = \"2001:db8::9\", dev = \"lan\" },\n  { via = \"2001:db8:1::9\", dev = \"wan\", weight = 256 },\n]\n",
        ] {
            assert!(copy.file.contains(written), "{}", copy.file);
        }
        // With an MTU, or the same gateway twice, it is told of otherwise.
        let told: Vec<&str> = copy.routes.iter().map(|it| it.to.as_str()).collect();
        assert_eq!(told, ["10.14.0.0/24", "10.15.0.0/24"]);
        assert!(copy.lab(1, TOOLBOX).is_ok());
    }

    /// What a lab is, its copy is too, also where knobs have names that only this lab has.
    #[test]
    fn a_copy_is_the_same_machine() {
        const LAB: &str =
            "profile.window_tracking = true\nmemory = \"128M\"\n[interface.lan]\naddress = [\"10.0.0.1/24\"]\n";
        let file = LabFile::parse("lab", LAB).unwrap();
        let mut lab = Lab::new(&file, 1, TOOLBOX).unwrap();
        lab.machine
            .set_sysctl("net.ipv4.netfilter.ip_ct_tcp_loose", "0")
            .unwrap();
        lab.machine
            .set_sysctl("net.ipv4.netfilter.ip_ct_tcp_timeout_none", "7")
            .unwrap();
        lab.machine.set_buckets(4096);
        let copied = LabCopy::of(&mut lab.machine).lab(1, TOOLBOX).unwrap();
        for key in lab.machine.sysctls() {
            assert_eq!(copied.machine.sysctl(&key), lab.machine.sysctl(&key), "{key}");
        }
        assert_eq!(copied.machine.profile(), Profile::Classic);
        assert_eq!(copied.machine.sysctls(), lab.machine.sysctls());
        assert_eq!(
            copied.machine.sysctl("net.ipv4.ip_conntrack_max").as_deref(),
            Some("32768")
        );
        let again = LabCopy::of(&mut lab.machine);
        assert!(
            again
                .file
                .starts_with("profile = \"classic\"\nmemory = \"134217728\"\n[sysctl]\n"),
            "{}",
            again.file
        );
    }
}
