//! FTP with vsftpd, lftp and curl through a masquerading router that lets back only what is ESTABLISHED or RELATED: the helper is what makes it
//! work.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::lab::{Lab, Process, ROUTER, Ran, Scratch};

#[test]
fn ftp_crosses_a_masquerading_router() {
    let Some((lab, _server)) = up("ftp", "") else { return };
    lab.restore(&format!("{HELPER}{RULES}")).good();
    for (count, way) in (1_u8..).zip(WAYS) {
        let ran = way.get(&lab);
        assert_eq!(ran.code, 0, "{way:?}: {}\n{}", ran.out, ran.err);
        assert_eq!(lab.scratch.path("got").metadata().unwrap().len(), FILE_SIZE, "{way:?}");
        let (got, sent) = ["got", "ftp/file"]
            .map(|name| std::fs::read(lab.scratch.path(name)).unwrap())
            .into();
        assert!(got == sent, "{way:?}: the file is another");
        assert_eq!(
            lab.packets(RELATED),
            u64::from(count),
            "{way:?}: a data connection starts with one packet"
        );
        assert_eq!(lab.packets(CONTROL), u64::from(count), "{way:?}: only port 21 is open");
        // Both tuples of the connections: the client's address inside, the router's outside.
        let flows = lab.tool(&["conntrack", "-L"]).good();
        let number = |parts: &[&str]| flows.lines().filter(|line| has_in_order(line, parts)).count();
        let control = [
            "src=10.0.0.2 dst=192.0.2.9",
            " dport=21 src=192.0.2.9 dst=192.0.2.1 sport=21",
            "[ASSURED] mark=0 helper=ftp",
        ];
        assert_eq!(number(&control), usize::from(count), "{way:?}: {flows}");
        let data: &[&str] = match way.mode {
            // Sent to the router's address, which the server read in PORT: the helper wrote it there.
            Mode::Active => &[
                "src=192.0.2.9 dst=192.0.2.1 sport=20",
                "src=10.0.0.2 dst=192.0.2.9",
                "dport=20 [ASSURED] mark=0 use=1",
            ],
            Mode::Passive => &[
                "src=10.0.0.2 dst=192.0.2.9",
                "src=192.0.2.9 dst=192.0.2.1",
                "[ASSURED] mark=0 use=1",
            ],
        };
        let same_mode = WAYS[..usize::from(count)].iter().filter(|it| it.mode == way.mode);
        assert_eq!(number(data), same_mode.count(), "{way:?}: {flows}");
        assert_eq!(flows.lines().count(), 2 * usize::from(count), "{way:?}: {flows}");
    }
    let saved = lab.saved();
    assert!(
        saved.contains(":FORWARD DROP [0:0]\n"),
        "nothing met the policy: {saved}"
    );
}

/// The server takes any address in PORT here, so that its connection fails in the router and not before.
#[test]
fn ftp_without_the_helper_gets_as_far_as_the_login() {
    let Some((lab, _server)) = up("ftp-off", ANY_ADDRESS) else {
        return;
    };
    lab.restore(RULES).good();
    for (count, way) in (1..).zip(WAYS) {
        let dropped = policy_drops(&lab);
        let ran = way.get(&lab);
        assert_ne!(ran.code, 0, "{way:?}: {}\n{}", ran.out, ran.err);
        assert!(!lab.scratch.path("got").exists(), "{way:?}: nothing arrives");
        if way.program == Program::Curl {
            assert!(
                ran.err.contains("< 230 Login successful"),
                "the control connection works: {way:?}: {}",
                ran.err
            );
        }
        assert!(policy_drops(&lab) > dropped, "{way:?}: dropped by the policy");
        let flows = lab.tool(&["conntrack", "-L"]).good();
        assert!(
            flows.contains("dport=21 src=192.0.2.9 dst=192.0.2.1 sport=21") && !flows.contains("helper="),
            "{way:?}: {flows}"
        );
        assert_eq!(flows.lines().count(), count, "{way:?}: no data connection: {flows}");
    }
    assert_eq!(lab.packets(RELATED), 0, "nothing is related to what nobody reads");
    assert_eq!(lab.packets(CONTROL), WAYS.len() as u64, "control connections");
    // It was the helper alone that was missing.
    let rule = "iptables -t raw -A PREROUTING -i lan -p tcp --dport 21 -j CT --helper ftp";
    lab.tool(&rule.split(' ').collect::<Vec<_>>()).good();
    for way in WAYS {
        assert_eq!(way.get(&lab).code, 0, "{way:?}, now with the helper");
    }
    assert_eq!(lab.packets(RELATED), WAYS.len() as u64);
}

/// A server that does not take foreign addresses shows whether the helper wrote the router's into PORT.
#[test]
fn a_strict_server_refuses_the_address_nobody_translated() {
    let Some((lab, _server)) = up("ftp-strict", "") else {
        return;
    };
    lab.restore(RULES).good();
    let ran = way(Program::Curl, Mode::Active, &["--disable-eprt"]).get(&lab);
    assert_eq!(ran.code, 30, "curl's word for a refused PORT: {}", ran.err);
    assert!(
        ran.err.contains("> PORT 10,0,0,2,") && ran.err.contains("< 500 Illegal PORT command"),
        "{}",
        ran.err
    );
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

impl Way {
    /// Fetches `file` as `got`, or fails within three seconds.
    fn get(&self, lab: &Lab) -> Ran {
        // lftp writes over no file.
        let _ = std::fs::remove_file(lab.scratch.path("got"));
        match self.program {
            Program::Lftp => {
                let passive = if self.mode == Mode::Passive { "on" } else { "off" };
                let script = format!(
                    "set net:timeout 2; set net:max-retries 1; set ftp:passive-mode {passive}; set ftp:prefer-epsv no; \
                     open 192.0.2.9; get file -o got"
                );
                lab.exec("inside", &["lftp", "-c", &script])
            }
            Program::Curl => {
                let mode: &[&str] = match self.mode {
                    Mode::Active => &["--ftp-port", "-"],
                    Mode::Passive => &["--ftp-pasv"],
                };
                let start = [
                    "curl",
                    "-sS",
                    "-v",
                    "--connect-timeout",
                    "2",
                    "--max-time",
                    "3",
                    "-o",
                    "got",
                ];
                lab.exec(
                    "inside",
                    &[&start, mode, self.options, &["ftp://192.0.2.9/file"]].concat(),
                )
            }
        }
    }
}

/// A lab with a server outside, without rules.
fn up(test: &str, more: &str) -> Option<(Lab, Process)> {
    let scratch = Scratch::new(test, &["vsftpd", "lftp", "curl"])?;
    let lab = scratch.up(&format!("{LONG_MEMORY}{ROUTER}"));
    let root = lab.scratch.path("ftp");
    std::fs::create_dir(&root).unwrap();
    let file: Vec<u8> = (0..FILE_SIZE as u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    std::fs::write(root.join("file"), file).unwrap();
    let config = format!("{}{more}", CONFIG.replace("ROOT", &root.display().to_string()));
    let config = lab.scratch.write("vsftpd.conf", &config).display().to_string();
    let server = lab.serve(
        "outside",
        &["vsftpd", &config],
        SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 21),
    );
    Some((lab, server))
}

/// Whether one part stands after the other: of a flow's two directions the original one comes first.
fn has_in_order(line: &str, parts: &[&str]) -> bool {
    let after =
        |rest: Option<usize>, part: &&str| rest.and_then(|from| Some(from + line[from..].find(part)? + part.len()));
    parts.iter().fold(Some(0), after).is_some()
}

fn policy_drops(lab: &Lab) -> u64 {
    let saved = lab.saved();
    let counter = saved
        .lines()
        .find_map(|line| line.strip_prefix(":FORWARD DROP [")?.split(':').next()?.parse().ok());
    counter.unwrap_or_else(|| panic!("no policy in\n{saved}"))
}

/// So that a closed connection is still to be seen when all are counted.
const LONG_MEMORY: &str = "[sysctl]\n\"net.netfilter.nf_conntrack_tcp_timeout_close\" = 300\n";

const FILE_SIZE: u64 = 3_000_000;

/// The user must be one whose home is there, though nothing is read from it; `ftp`'s may not be.
const CONFIG: &str = "listen=YES
listen_address=192.0.2.9
background=NO
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
connect_timeout=2
seccomp_sandbox=NO
";

/// A server that takes any address in PORT. It cannot bind port 20 then (`500 OOPS: vsf_sysutil_bind`).
const ANY_ADDRESS: &str = "port_promiscuous=YES
connect_from_port_20=NO
";

const HELPER: &str = "*raw
-A PREROUTING -i lan -p tcp -m tcp --dport 21 -j CT --helper ftp
COMMIT
";
const RULES: &str = "*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -i lan -o wan -p tcp -m tcp --dport 21 -m state --state NEW -j ACCEPT
COMMIT
";
const RELATED: &str = "-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT";
const CONTROL: &str = "--dport 21 -m state --state NEW -j ACCEPT";
