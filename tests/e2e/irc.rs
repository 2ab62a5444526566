//! DCC with ngircd and two irssi: what is offered from behind a masquerading router can be fetched because the helper wrote the router's address into the
//! offer and expects who comes for it.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::lab::{Lab, Process, RELATED, ROUTER, Scratch, Service, Waits, wait_until};
use crate::terminal::Terminal;

#[test]
fn a_file_and_a_chat_are_offered_from_behind_a_masquerading_router() {
    let Some(mut irc) = Irc::up("irc", &SERVICE.rules_with_helper()) else {
        return;
    };
    irc.offer();
    irc.bob.shows("DCC SEND from alice [192.0.2.1 port ");
    let got = irc.lab.scratch.path("bob/file");
    wait_until("the file is there", || {
        std::fs::read(&got).is_ok_and(|got| got == file())
    });
    assert_eq!(irc.lab.packets(RELATED), 1);
    let flows = irc.lab.tool(&["conntrack", "-L", "--orig-src", "192.0.2.9"]).good();
    assert!(
        flows.contains("src=192.0.2.9 dst=192.0.2.1") && flows.contains("src=10.0.0.2 dst=192.0.2.9"),
        "the file's connection: {flows}"
    );
    irc.alice.types("/dcc chat bob\n");
    irc.bob.shows("DCC CHAT from alice [192.0.2.1 port ");
    irc.bob.types("/dcc chat alice\n");
    irc.alice.shows("DCC CHAT connection with bob [192.0.2.9 port ");
    irc.alice.types("/msg =bob without-a-server\n");
    irc.bob.shows("without-a-server");
    assert_eq!(irc.lab.packets(RELATED), 2);
    assert_eq!(irc.lab.policy_drops("FORWARD"), 0);
}

#[test]
fn without_the_helper_nobody_gets_to_what_is_offered() {
    let Some(mut irc) = Irc::up("irc-off", &SERVICE.rules()) else {
        return;
    };
    irc.offer();
    irc.bob.shows("DCC SEND from alice [10.0.0.2 port ");
    wait_until("a connection that nobody expects meets the policy", || {
        irc.lab.policy_drops("FORWARD") > 0
    });
    assert_eq!(irc.lab.packets(RELATED), 0);
    assert_eq!(std::fs::read(irc.lab.scratch.path("bob/file")).unwrap_or_default(), b"");
}

/// Both have registered with the server outside: alice from inside, bob beside it.
struct Irc {
    // Before the lab: it would wait for what runs in it.
    alice: Terminal,
    bob: Terminal,
    _server: Process,
    lab: Lab,
}

impl Irc {
    fn up(test: &str, rules: &str) -> Option<Self> {
        let scratch = Scratch::new(test, &["ngircd", "irssi", "script"])?;
        let lab = scratch.up(ROUTER);
        lab.restore(rules).good();
        let config = lab.scratch.write("ngircd.conf", CONFIG).display().to_string();
        let at = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 6667);
        let server = lab.serve("outside", &["ngircd", "-n", "-f", &config], Waits::Tcp(at));
        let [alice, bob] = [("inside", "alice"), ("outside", "bob")].map(|(host, name)| {
            let home = lab.scratch.path(name);
            std::fs::create_dir(&home).unwrap();
            let home = home.display().to_string();
            let config = IRSSI.replace("HOME", &home);
            lab.scratch.write(&format!("{name}/config"), &config);
            let irssi = format!("irssi --home={home} -c 192.0.2.9 -n {name}");
            Terminal::new(&lab, host, &format!("{name}.screen"), &irssi)
        });
        let irc = Self {
            alice,
            bob,
            _server: server,
            lab,
        };
        let log = irc.lab.scratch.path("ngircd-outside.log");
        wait_until("both have registered", || {
            let log = std::fs::read_to_string(&log).unwrap();
            ["alice", "bob"]
                .iter()
                .all(|name| log.contains(&format!("User \"{name}!")))
        });
        Some(irc)
    }

    /// Alice offers bob the file.
    fn offer(&mut self) {
        let file = self.lab.scratch.path("file");
        std::fs::write(&file, self::file()).unwrap();
        self.alice.types(&format!("/dcc send bob {}\n", file.display()));
    }
}

fn file() -> Vec<u8> {
    (0..1_000_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// Files are fetched unasked, all that is said stands in the one window that is shown, and one command need not wait for the other.
const IRSSI: &str = r#"settings = {
  "irc/core" = { cmd_queue_speed = "10msec"; };
  "irc/dcc" = { dcc_download_path = "HOME"; dcc_autoget = "yes"; };
  "fe-common/core" = { autocreate_query_level = ""; autocreate_own_query = "no"; };
};
"#;

/// Nobody is asked who users are, and nobody has to wait for having said much.
const CONFIG: &str = "[Global]
Name = irc.example.net
Info = nflab
MotdPhrase = nflab
ServerUID = nobody
ServerGID = nogroup
Listen = 192.0.2.9
Ports = 6667
[Limits]
MaxPenaltyTime = 0
[Options]
DNS = no
Ident = no
PAM = no
";

const SERVICE: Service = Service {
    protocol: "tcp",
    port: 6667,
    helper: "irc",
    to_router: "ACCEPT",
};
