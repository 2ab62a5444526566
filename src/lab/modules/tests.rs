//! Modules as `modprobe`, `lsmod` and the kernel's log tell of them, in both profiles.

use std::path::Path;

use super::*;
use crate::cli::TOOLBOX;
use crate::lab::memory::Lab;

struct Bench(Lab);

impl Bench {
    fn new(profile: Profile) -> Self {
        let lab = Lab::default_lab(1, TOOLBOX).unwrap();
        lab.machine.set_profile(profile);
        Self(lab)
    }

    /// What a command said, behind its exit code where that is not 0.
    fn says(&mut self, line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let output = self.0.tool(&words[0], &words[1..], "", Path::new("."));
        let said = output.stdout + &output.stderr + &output.advice;
        match output.code {
            0 => said,
            code => format!("{code}: {said}"),
        }
    }

    /// What is loaded: `nf_nat 1 nf_nat_ftp`.
    fn lists(&mut self) -> Vec<String> {
        let text = self.says("lsmod");
        let line = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            format!("{} {}", words[0], words[2..].join(" "))
        };
        text.lines().skip(1).map(line).collect()
    }

    fn helpers(&self) -> Vec<(&'static str, bool)> {
        let config = self.0.machine.router().config();
        let modules = config.helpers.modules().iter();
        modules
            .flat_map(|module| module.conntrack().map(|it| (it.name, module.has_nat)))
            .collect()
    }

    fn log(&mut self) -> String {
        self.says("dmesg")
    }
}

#[test]
fn a_module_brings_what_it_needs_and_takes_it_along() {
    for (profile, name, listed) in [
        (
            Profile::Linux6,
            "ip_nat_ftp",
            &[
                "nf_nat_ftp 0",
                "nf_conntrack_ftp 1 nf_nat_ftp",
                "nf_nat 1 nf_nat_ftp",
                "nf_conntrack 3 nf_nat_ftp,nf_conntrack_ftp,nf_nat",
                "nf_defrag_ipv6 1 nf_conntrack",
                "nf_defrag_ipv4 1 nf_conntrack",
            ][..],
        ),
        (
            Profile::Classic,
            "nf-nat-ftp",
            &[
                "ip_nat_ftp 0",
                "ip_conntrack_ftp 1 ip_nat_ftp",
                "ip_nat 1 ip_nat_ftp",
                "ip_conntrack 3 ip_nat_ftp,ip_conntrack_ftp,ip_nat",
            ],
        ),
        (
            Profile::Linux6,
            "ipt_MASQUERADE",
            &["xt_MASQUERADE 0", "x_tables 1 xt_MASQUERADE"],
        ),
        (Profile::Classic, "xt_mark", &["ipt_mark 0", "ip_tables 1 ipt_mark"]),
        (
            Profile::Classic,
            "ip6t_mark",
            &["ip6t_mark 0", "ip6_tables 1 ip6t_mark"],
        ),
        (Profile::Classic, "ipt_rt", &["ip6t_rt 0", "ip6_tables 1 ip6t_rt"]),
        (
            Profile::Linux6,
            "nf_nat_ipv6",
            &[
                "nf_nat 0",
                "nf_conntrack 1 nf_nat",
                "nf_defrag_ipv6 1 nf_conntrack",
                "nf_defrag_ipv4 1 nf_conntrack",
            ],
        ),
        (
            Profile::Linux6,
            "ip6table_nat",
            &[
                "ip6table_nat 0",
                "nf_nat 1 ip6table_nat",
                "nf_conntrack 1 nf_nat",
                "nf_defrag_ipv6 1 nf_conntrack",
                "nf_defrag_ipv4 1 nf_conntrack",
                "ip6_tables 1 ip6table_nat",
                "x_tables 1 ip6_tables",
            ],
        ),
        (
            Profile::Classic,
            "iptable_filter",
            &["iptable_filter 0", "ip_tables 1 iptable_filter"],
        ),
    ] {
        let mut bench = Bench::new(profile);
        assert_eq!(bench.says(&format!("modprobe {name}")), "");
        assert_eq!(bench.lists(), listed, "{name}");
        assert_eq!(bench.says(&format!("modprobe -r {name}")), "");
        assert_eq!(bench.lists(), [""; 0], "{name}");
    }
}

#[test]
fn who_uses_a_module_keeps_it() {
    let mut bench = Bench::new(Profile::Classic);
    bench.says("modprobe ip_nat_irc");
    let refused = |name: &str, by: &str| {
        format!("1: modprobe: FATAL: Module {name} is in use.\nmodprobe: {name} is used by {by}\n")
    };
    assert_eq!(
        bench.says("modprobe -r ip_conntrack_irc"),
        refused("ip_conntrack_irc", "ip_nat_irc")
    );
    bench.says("iptables -t raw -A PREROUTING -p tcp -j CT --helper irc");
    bench.says("iptables -t raw -A OUTPUT -p tcp -j CT --helper irc");
    assert_eq!(
        bench.says("modprobe -r ip_conntrack_irc"),
        refused("ip_conntrack_irc", "ip_nat_irc and 2 rules")
    );
    assert_eq!(bench.says("modprobe -r ip_nat_irc"), "");
    assert_eq!(bench.lists(), ["ip_conntrack_irc 2", "ip_conntrack 3 ip_conntrack_irc"]);
    bench.says("iptables -t raw -F");
    assert_eq!(bench.says("modprobe -r ip_conntrack_irc ip_conntrack"), "");
    bench.says("modprobe ip_conntrack");
    bench.says("iptables -A FORWARD -m state --state NEW");
    assert_eq!(
        bench.says("modprobe -r ip_conntrack"),
        refused("ip_conntrack", "1 rule")
    );
    assert_eq!(bench.says("modprobe -r ip_conntrack_ftp"), "");
    assert_eq!(
        bench.says("modprobe -r nothing"),
        "1: modprobe: FATAL: Module nothing not found.\n"
    );
}

#[test]
fn of_old_nothing_is_there_before_its_module() {
    let mut bench = Bench::new(Profile::Classic);
    assert_eq!(bench.helpers(), []);
    bench.says("modprobe ip_conntrack_ftp ports=21,2121");
    assert_eq!(bench.helpers(), [("ftp", false), ("ftp-2121", false)]);
    // What is loaded is loaded, and says so.
    let loaded = "modprobe: ip_conntrack_ftp is loaded already, and reads its parameters when it is: `modprobe -r ip_conntrack_ftp` first\n";
    assert_eq!(bench.says("modprobe ip_conntrack_ftp ports=7"), loaded);
    bench.says("modprobe ip_nat_ftp");
    assert_eq!(bench.helpers(), [("ftp", true), ("ftp-2121", true)]);
    bench.says("modprobe -r ip_nat_ftp");
    assert_eq!(bench.helpers(), []);
}

#[test]
fn todays_kernel_has_every_helper_and_its_nat_side() {
    let mut bench = Bench::new(Profile::Linux6);
    let all = bench.helpers();
    assert!(all.contains(&("ftp", true)) && all.iter().all(|(_, has_nat)| *has_nat));
    let no_helper = bench.says("iptables -t raw -A PREROUTING -p tcp -j CT --helper ftp-2122");
    assert!(
        no_helper.starts_with("1: iptables: No chain/target/match by that name"),
        "{no_helper}"
    );
    bench.says("modprobe nf_conntrack_ftp ports=2122");
    assert!(bench.helpers().contains(&("ftp-2122", true)) && !bench.helpers().contains(&("ftp", true)));
    assert_eq!(
        bench.says("iptables -t raw -A PREROUTING -p tcp -j CT --helper ftp-2122"),
        ""
    );
    bench.says("iptables -t raw -F");
    bench.says("modprobe -r nf_conntrack_ftp");
    assert!(bench.helpers().contains(&("ftp", true)));
    assert_eq!(bench.helpers().len(), all.len());
}

#[test]
fn parameters_are_refused_as_the_time_refused_them() {
    let refused = |name: &str, why: &str| format!("1: modprobe: ERROR: could not insert '{name}': {why}\n");
    let symbol = "Unknown symbol in module, or unknown parameter (see dmesg)";
    for (profile, line, said, logged) in [
        (
            Profile::Linux6,
            "modprobe nf_conntrack_ftp speed=9",
            String::new(),
            "nf_conntrack_ftp: unknown parameter 'speed' ignored",
        ),
        (
            Profile::Classic,
            "modprobe ip_conntrack_ftp speed=9",
            refused("ip_conntrack_ftp", symbol),
            "ip_conntrack_ftp: Unknown parameter `speed'",
        ),
        (
            Profile::Linux6,
            "modprobe nf_conntrack_irc max_dcc_channels=0",
            refused("nf_conntrack_irc", "Invalid argument") + "modprobe: max_dcc_channels must not be zero\n",
            "nf_conntrack_irc: max_dcc_channels must not be zero",
        ),
        (
            Profile::Classic,
            "modprobe ip_conntrack_amanda ts_algo=fast",
            refused("ip_conntrack_amanda", symbol) + "modprobe: ts_algo: there is no \"fast\"\n",
            "ts_algo: there is no \"fast\"",
        ),
        (
            Profile::Linux6,
            "modprobe nf_nat_irc ports=6667",
            String::new(),
            "nf_nat_irc: kernel >= 2.6.10 only uses 'ports' for conntrack modules",
        ),
        (
            Profile::Linux6,
            "modprobe nf_conntrack_ftp ports=21,21",
            String::new(),
            "",
        ),
        (
            Profile::Linux6,
            "modprobe ip_tables ports=21",
            "1: modprobe: parameters of ip_tables are not there in nflab: ports=21\n".to_owned(),
            "",
        ),
    ] {
        let mut bench = Bench::new(profile);
        assert_eq!(bench.says(line), said, "{line}");
        assert!(bench.log().contains(logged), "{line}: {}", bench.log());
        let name = line.split(' ').nth(1).unwrap();
        let is_loaded = bench.lists().iter().any(|it| it.starts_with(name));
        assert_eq!(is_loaded, said.is_empty() && !line.contains("21,21"), "{line}");
    }
}

/// What is nearly a module's name, or a pattern of several, beside what kmod says.
#[test]
fn names_that_were_meant_are_told() {
    let missing =
        |name: &str| format!("1: modprobe: FATAL: Module {name} not found in directory /lib/modules/6.18.0-nflab\n");
    for (profile, name, said) in [
        (
            Profile::Classic,
            "ip_contrack",
            "modprobe: did you mean `ip_conntrack`?\n",
        ),
        (
            Profile::Classic,
            "Ip_Conntrack_FTP",
            "modprobe: did you mean `ip_conntrack_ftp`?\n",
        ),
        (
            Profile::Linux6,
            "nf_contrack_irc",
            "modprobe: did you mean `nf_conntrack_irc`?\n",
        ),
        (Profile::Linux6, "foo", ""),
        (Profile::Classic, "ip_conntrack_quake3", ""),
        (
            Profile::Classic,
            "ip_conntrack_ntalk",
            "modprobe: did you mean `ip_conntrack_talk`?\n",
        ),
        (
            Profile::Classic,
            "ip_conntrack_h232",
            "modprobe: did you mean `ip_conntrack_h323`?\n",
        ),
        (Profile::Linux6, "foo_*", ""),
    ] {
        let mut bench = Bench::new(profile);
        assert_eq!(bench.says(&format!("modprobe {name}")), missing(name) + said, "{name}");
    }
    for line in ["modprobe ip_conntrack_*", "modprobe ip_conntrack_ *"] {
        let said = Bench::new(Profile::Classic).says(line);
        let told = "modprobe: each module is named by itself: ip_conntrack_ftp, ip_conntrack_irc, ip_conntrack_tftp, ip_conntrack_amanda";
        assert!(said.contains(told), "{line}: {said}");
    }
}
