//! FTP with vsftpd, lftp and curl through a masquerading router, and to a server behind DNAT, where nothing passes besides port 21 that is not ESTABLISHED
//! or RELATED: the helper is what makes it work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddrV4};

use crate::lab::{BOTH_FAMILIES, Lab, Process, RELATED, ROUTER, Ran, Rules, Scratch, Waits};

#[test]
fn ftp_crosses_a_masquerading_router() {
    every_way_works(&MASQUERADE);
}

#[test]
fn ftp_reaches_a_server_behind_dnat() {
    every_way_works(&DNAT);
}

#[test]
fn ftp_of_ipv6_crosses_a_masquerading_router() {
    every_way_works(&MASQUERADE6);
}

#[test]
fn ftp_of_ipv6_reaches_a_server_behind_dnat() {
    every_way_works(&DNAT6);
}

fn every_way_works(site: &Site) {
    let Some((lab, _server)) = site.up(site.name, "") else {
        return;
    };
    let rules = site.rules(&lab);
    rules.restore(&format!("{}{}{FILTER}", site.helper, site.nat)).good();
    for (count, way) in (1_u8..).zip(site.ways) {
        let ran = way.get(site, &lab, 5);
        assert_eq!(ran.code, 0, "{way:?}: {}\n{}", ran.out, ran.err);
        assert_eq!(lab.scratch.path("got").metadata().unwrap().len(), FILE_SIZE, "{way:?}");
        let (got, sent) = ["got", "ftp/file"]
            .map(|name| std::fs::read(lab.scratch.path(name)).unwrap())
            .into();
        assert!(got == sent, "{way:?}: the file is another");
        assert_eq!(
            rules.packets(RELATED),
            u64::from(count),
            "{way:?}: a data connection starts with one packet"
        );
        assert_eq!(
            rules.packets(CONTROL),
            u64::from(count),
            "{way:?}: only port 21 is open"
        );
        // Both tuples of the connections: the address inside, the router's outside.
        let flows = site.flows(&lab);
        let number = |parts: &[&str]| flows.lines().filter(|line| has_in_order(line, parts)).count();
        assert_eq!(number(&site.control), usize::from(count), "{way:?}: {flows}");
        let data: &[&str] = match way.mode {
            Mode::Active => &site.active,
            Mode::Passive => &site.passive,
        };
        let same_mode = site.ways[..usize::from(count)].iter().filter(|it| it.mode == way.mode);
        assert_eq!(number(data), same_mode.count(), "{way:?}: {flows}");
        assert_eq!(flows.lines().count(), 2 * usize::from(count), "{way:?}: {flows}");
    }
    let saved = rules.saved();
    assert!(
        saved.contains(":FORWARD DROP [0:0]\n"),
        "nothing met the policy: {saved}"
    );
}

/// The server takes any address in PORT here, so that its connection fails in the router and not before.
#[test]
fn ftp_without_the_helper_gets_as_far_as_the_login() {
    nothing_but_the_login_works(&MASQUERADE, "ftp-off");
}

#[test]
fn ftp_of_ipv6_without_the_helper_gets_as_far_as_the_login() {
    nothing_but_the_login_works(&MASQUERADE6, "ftp6-off");
}

fn nothing_but_the_login_works(site: &Site, test: &str) {
    let Some((lab, _server)) = site.up(test, ANY_ADDRESS) else {
        return;
    };
    let rules = site.rules(&lab);
    rules.restore(&format!("{}{FILTER}", site.nat)).good();
    for (count, way) in (1..).zip(site.ways) {
        let dropped = rules.policy_drops("FORWARD");
        way.fails_after_the_login(site, &lab);
        assert!(
            rules.policy_drops("FORWARD") > dropped,
            "{way:?}: dropped by the policy"
        );
        let flows = site.flows(&lab);
        assert!(
            flows.contains(site.control[1]) && !flows.contains("helper="),
            "{way:?}: {flows}"
        );
        assert_eq!(flows.lines().count(), count, "{way:?}: no data connection: {flows}");
    }
    assert_eq!(rules.packets(RELATED), 0, "nothing is related to what nobody reads");
    assert_eq!(rules.packets(CONTROL), site.ways.len() as u64, "control connections");
    // It was the helper alone that was missing.
    let rule = format!(
        "{} -t raw -A PREROUTING -i lan -p tcp --dport 21 -j CT --helper ftp",
        site.tool
    );
    lab.tool(&rule.split(' ').collect::<Vec<_>>()).good();
    for way in site.ways {
        assert_eq!(way.get(site, &lab, 5).code, 0, "{way:?}, now with the helper");
    }
    assert_eq!(rules.packets(RELATED), site.ways.len() as u64);
}

/// What nobody expects is refused at once here, so that nobody waits.
#[test]
fn a_server_behind_dnat_is_not_reached_without_the_helper() {
    let site = &DNAT;
    let Some((lab, _server)) = site.up("ftp-dnat-off", "") else {
        return;
    };
    let refusing = FILTER.replace("COMMIT\n", REFUSING);
    for missing in ["helper", "tracking"] {
        let raw = match missing {
            "helper" => "",
            _ => "*raw\n-A PREROUTING -p tcp -j NOTRACK\nCOMMIT\n",
        };
        lab.restore(&format!("{raw}{}{refusing}", site.nat)).good();
        for way in WAYS {
            match missing {
                "helper" => way.fails_after_the_login(site, &lab),
                // The server's address is not even translated.
                _ => assert_ne!(way.get(site, &lab, 1).code, 0, "{way:?}"),
            }
        }
        let control = if missing == "helper" { WAYS.len() as u64 } else { 0 };
        assert_eq!((lab.packets(RELATED), lab.packets(CONTROL)), (0, control), "{missing}");
    }
}

/// A server that does not take foreign addresses shows whether the helper wrote the router's into PORT.
#[test]
fn a_strict_server_refuses_the_address_nobody_translated() {
    let site = &MASQUERADE;
    let Some((lab, _server)) = site.up("ftp-strict", "") else {
        return;
    };
    lab.restore(&format!("{}{FILTER}", site.nat)).good();
    let ran = way(Program::Curl, Mode::Active, &["--disable-eprt"]).get(site, &lab, 5);
    assert_eq!(ran.code, 30, "curl's word for a refused PORT: {}", ran.err);
    assert!(
        ran.err.contains("> PORT 10,0,0,2,") && ran.err.contains("< 500 Illegal PORT command"),
        "{}",
        ran.err
    );
}

/// As the documents of ip_conntrack have it: each module does its part, and only its part.
#[test]
fn of_old_the_address_in_the_payload_is_a_module_of_its_own() {
    let site = &MASQUERADE;
    let Some((lab, _server)) = site.up_as("profile = \"classic\"\n", "ftp-classic", "") else {
        return;
    };
    lab.restore(&format!("{}{FILTER}", site.nat)).good();
    let active = way(Program::Curl, Mode::Active, &["--disable-eprt"]);
    let passive = way(Program::Curl, Mode::Passive, &["--disable-epsv"]);
    for (module, active_works, passive_works) in [
        (None, false, false),
        (Some("ip_conntrack_ftp"), false, true),
        (Some("ip_nat_ftp"), true, true),
    ] {
        if let Some(module) = module {
            lab.tool(&["modprobe", module]).good();
        }
        for (way, works) in [(&active, active_works), (&passive, passive_works)] {
            let ran = way.get(site, &lab, if works { 5 } else { 1 });
            assert_eq!(ran.code == 0, works, "{module:?}, {way:?}: {}", ran.err);
            let refused = ran.err.contains("> PORT 10,0,0,2,") && ran.err.contains("< 500 Illegal PORT command");
            assert_eq!(refused, way.mode == Mode::Active && !works, "{module:?}: {}", ran.err);
        }
    }
}

/// One way of fetching a file.
#[derive(Debug)]
struct Way {
    program: Program,
    mode: Mode,
    options: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    Lftp,
    Curl,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Active,
    Passive,
}

const fn way(program: Program, mode: Mode, options: &'static [&'static str]) -> Way {
    Way { program, mode, options }
}

/// PORT and PASV of both, and curl's EPRT and EPSV.
const WAYS: &[Way] = &[
    way(Program::Lftp, Mode::Active, &[]),
    way(Program::Lftp, Mode::Passive, &[]),
    way(Program::Curl, Mode::Active, &["--disable-eprt"]),
    way(Program::Curl, Mode::Active, &["--eprt"]),
    way(Program::Curl, Mode::Passive, &["--disable-epsv"]),
    way(Program::Curl, Mode::Passive, &[]),
];

/// EPRT and EPSV of both: there are no others for IPv6.
const WAYS6: &[Way] = &[
    way(Program::Lftp, Mode::Active, &[]),
    way(Program::Lftp, Mode::Passive, &[]),
    way(Program::Curl, Mode::Active, &[]),
    way(Program::Curl, Mode::Passive, &[]),
];

impl Way {
    /// Fetches `file` as `got`, or fails: nothing is waited for longer than so many seconds. What the server says of its address is believed, whatever
    /// it is.
    fn get(&self, site: &Site, lab: &Lab, seconds: u8) -> Ran {
        // lftp writes over no file.
        let _ = std::fs::remove_file(lab.scratch.path("got"));
        match self.program {
            Program::Lftp => {
                let passive = if self.mode == Mode::Passive { "on" } else { "off" };
                let epsv = if site.asked.is_ipv6() { "yes" } else { "no" };
                let script = format!(
                    "set net:timeout {seconds}; set net:max-retries 1; set ftp:passive-mode {passive}; set ftp:prefer-epsv {epsv}; \
                     set ftp:fix-pasv-address no; open ftp://{}; get file -o got",
                    site.named()
                );
                lab.exec(site.client, &["lftp", "-c", &script])
            }
            Program::Curl => {
                let mode: &[&str] = match self.mode {
                    Mode::Active => &["--ftp-port", "-"],
                    Mode::Passive => &["--ftp-pasv", "--no-ftp-skip-pasv-ip"],
                };
                let (connect, all) = (seconds.to_string(), (seconds + 1).to_string());
                let start = [
                    "curl",
                    "-sS",
                    "-v",
                    "--connect-timeout",
                    &connect,
                    "--max-time",
                    &all,
                    "-o",
                    "got",
                ];
                let file = format!("ftp://{}/file", site.named());
                lab.exec(site.client, &[&start, mode, self.options, &[&file]].concat())
            }
        }
    }

    #[track_caller]
    fn fails_after_the_login(&self, site: &Site, lab: &Lab) {
        let ran = self.get(site, lab, 1);
        assert_ne!(ran.code, 0, "{self:?}: {}\n{}", ran.out, ran.err);
        assert!(!lab.scratch.path("got").exists(), "{self:?}: nothing arrives");
        if self.program == Program::Curl {
            assert!(
                ran.err.contains("< 230 Login successful"),
                "the control connection works: {self:?}: {}",
                ran.err
            );
        }
    }
}

/// Who stands on which side of the router.
struct Site {
    name: &'static str,
    client: &'static str,
    server: &'static str,
    /// Of IPv6: at every address.
    listens: IpAddr,
    /// Whom the client asks.
    asked: IpAddr,
    ways: &'static [Way],
    /// Whose rules these are.
    tool: &'static str,
    helper: &'static str,
    nat: &'static str,
    /// Of a line of `conntrack -L`, in this order.
    control: [&'static str; 3],
    active: [&'static str; 3],
    passive: [&'static str; 3],
}

const MASQUERADE: Site = Site {
    name: "ftp",
    client: "inside",
    server: "outside",
    listens: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)),
    asked: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)),
    ways: WAYS,
    tool: "iptables",
    helper: "*raw\n-A PREROUTING -i lan -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n",
    nat: "*nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n",
    control: [
        "src=10.0.0.2 dst=192.0.2.9",
        " dport=21 src=192.0.2.9 dst=192.0.2.1 sport=21",
        "[ASSURED] mark=0 helper=ftp",
    ],
    // To the router's address, which the server read in PORT: the helper wrote it there.
    active: [
        "src=192.0.2.9 dst=192.0.2.1 sport=20",
        "src=10.0.0.2 dst=192.0.2.9",
        "dport=20 [ASSURED] mark=0 use=1",
    ],
    passive: [
        "src=10.0.0.2 dst=192.0.2.9",
        "src=192.0.2.9 dst=192.0.2.1",
        "[ASSURED] mark=0 use=1",
    ],
};

const DNAT: Site = Site {
    name: "ftp-dnat",
    client: "outside",
    server: "inside",
    listens: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2)),
    asked: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    ways: WAYS,
    tool: "iptables",
    helper: "*raw\n-A PREROUTING -i wan -p tcp -m tcp --dport 21 -j CT --helper ftp\nCOMMIT\n",
    nat: "*nat\n-A PREROUTING -i wan -p tcp -m tcp --dport 21 -j DNAT --to-destination 10.0.0.2\nCOMMIT\n",
    control: [
        "src=192.0.2.9 dst=192.0.2.1",
        " dport=21 src=10.0.0.2 dst=192.0.2.9 sport=21",
        "[ASSURED] mark=0 helper=ftp",
    ],
    // From the router's address, at which the client knows the server.
    active: [
        "src=10.0.0.2 dst=192.0.2.9 sport=20",
        "src=192.0.2.9 dst=192.0.2.1",
        "dport=20 [ASSURED] mark=0 use=1",
    ],
    // To the router's address, which the client read in the answer to PASV: the helper wrote it there.
    passive: [
        "src=192.0.2.9 dst=192.0.2.1",
        "src=10.0.0.2 dst=192.0.2.9",
        "[ASSURED] mark=0 use=1",
    ],
};

const MASQUERADE6: Site = Site {
    name: "ftp6",
    listens: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    asked: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 9)),
    ways: WAYS6,
    tool: "ip6tables",
    control: [
        "src=2001:db8::2 dst=2001:db8:1::9",
        " dport=21 src=2001:db8:1::9 dst=2001:db8:1::1 sport=21",
        "[ASSURED] mark=0 helper=ftp",
    ],
    // To the router's address, which the server read in EPRT.
    active: [
        "src=2001:db8:1::9 dst=2001:db8:1::1 sport=20",
        "src=2001:db8::2 dst=2001:db8:1::9",
        "dport=20 [ASSURED] mark=0 use=1",
    ],
    passive: [
        "src=2001:db8::2 dst=2001:db8:1::9",
        "src=2001:db8:1::9 dst=2001:db8:1::1",
        "[ASSURED] mark=0 use=1",
    ],
    ..MASQUERADE
};

const DNAT6: Site = Site {
    name: "ftp6-dnat",
    listens: IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    asked: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 1)),
    ways: WAYS6,
    tool: "ip6tables",
    nat: "*nat\n-A PREROUTING -i wan -p tcp -m tcp --dport 21 -j DNAT --to-destination 2001:db8::2\nCOMMIT\n",
    control: [
        "src=2001:db8:1::9 dst=2001:db8:1::1",
        " dport=21 src=2001:db8::2 dst=2001:db8:1::9 sport=21",
        "[ASSURED] mark=0 helper=ftp",
    ],
    active: [
        "src=2001:db8::2 dst=2001:db8:1::9 sport=20",
        "src=2001:db8:1::9 dst=2001:db8:1::1",
        "dport=20 [ASSURED] mark=0 use=1",
    ],
    // To the router's address: EPSV names none, so the client goes where it asked, and the rule of its expectation leads it inside.
    passive: [
        "src=2001:db8:1::9 dst=2001:db8:1::1",
        "src=2001:db8::2 dst=2001:db8:1::9",
        "[ASSURED] mark=0 use=1",
    ],
    ..DNAT
};

impl Site {
    fn rules<'a>(&self, lab: &'a Lab) -> Rules<'a> {
        lab.rules(self.tool)
    }

    /// Flows of its family, a line each.
    fn flows(&self, lab: &Lab) -> String {
        let family = if self.asked.is_ipv6() { "ipv6" } else { "ipv4" };
        lab.tool(&["conntrack", "-L", "-f", family]).good()
    }

    /// Whom the client asks, as it stands in a URL.
    fn named(&self) -> String {
        match self.asked {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        }
    }

    /// A lab with its server, without rules.
    fn up(&self, test: &str, more: &str) -> Option<(Lab, Process)> {
        self.up_as(LONG_MEMORY, test, more)
    }

    /// The same, where this stands at the beginning of the lab's file.
    fn up_as(&self, begins: &str, test: &str, more: &str) -> Option<(Lab, Process)> {
        let scratch = Scratch::new(test, &["vsftpd", "lftp", "curl"])?;
        let file = if self.asked.is_ipv6() { BOTH_FAMILIES } else { ROUTER };
        let lab = scratch.up(&format!("{begins}{file}"));
        let root = lab.scratch.path("ftp");
        std::fs::create_dir(&root).unwrap();
        let file: Vec<u8> = (0..FILE_SIZE as u32)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        std::fs::write(root.join("file"), file).unwrap();
        let (listens, at) = match self.listens {
            IpAddr::V4(address) => (
                format!("listen=YES\nlisten_address={address}\n"),
                Waits::Tcp(SocketAddrV4::new(address, 21)),
            ),
            IpAddr::V6(_) => ("listen_ipv6=YES\n".to_owned(), Waits::Tcp6(21)),
        };
        let config = listens + &CONFIG.replace("ROOT", &root.display().to_string());
        let config = lab.scratch.write("vsftpd.conf", &format!("{config}{more}"));
        let config = config.display().to_string();
        let server = lab.serve(self.server, &["vsftpd", &config], at);
        Some((lab, server))
    }
}

/// Whether one part stands after the other: of a flow's two directions the original one comes first.
fn has_in_order(line: &str, parts: &[&str]) -> bool {
    let after =
        |rest: Option<usize>, part: &&str| rest.and_then(|from| Some(from + line[from..].find(part)? + part.len()));
    parts.iter().fold(Some(0), after).is_some()
}

/// So that a closed connection is still to be seen when all are counted.
const LONG_MEMORY: &str = "[sysctl]\n\"net.netfilter.nf_conntrack_tcp_timeout_close\" = 300\n";

const FILE_SIZE: u64 = 3_000_000;

/// The user must be one whose home is there, though nothing is read from it; `ftp`'s may not be.
const CONFIG: &str = "background=NO
anonymous_enable=YES
no_anon_password=YES
local_enable=NO
anon_root=ROOT
secure_chroot_dir=ROOT
ftp_username=daemon
nopriv_user=nobody
port_enable=YES
pasv_enable=YES
connect_from_port_20=YES
connect_timeout=1
seccomp_sandbox=NO
";

/// A server that takes any address in PORT. It cannot bind port 20 then (`500 OOPS: vsf_sysutil_bind`).
const ANY_ADDRESS: &str = "port_promiscuous=YES
connect_from_port_20=NO
";

const FILTER: &str = "*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -p tcp -m tcp --dport 21 -m state --state NEW -j ACCEPT
COMMIT
";
const REFUSING: &str = "-A FORWARD -p tcp -j REJECT --reject-with tcp-reset
-A INPUT -p tcp -j REJECT --reject-with tcp-reset
COMMIT
";
const CONTROL: &str = "--dport 21 -m state --state NEW -j ACCEPT";
