//! talk with talkd, one caller behind a masquerading router. No kernel of today has this helper: these programs are whom it was built for.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::lab::{Lab, Process, RELATED, ROUTER, Scratch, Service, Waits, wait_until};
use crate::terminal::Terminal;

#[test]
fn who_is_called_from_behind_a_masquerading_router_can_answer() {
    let Some(mut talk) = Talk::up("talk", &SERVICE.rules_with_helper()) else {
        return;
    };
    let mut caller = talk.call();
    talk.called.shows("Connection established");
    talk.called.types("said-outside");
    caller.shows("said-outside");
    caller.types("said-inside");
    talk.called.shows("said-inside");
    // The question to the caller's daemon, and the conversation.
    assert_eq!(talk.lab.packets(RELATED), 2, "{}", talk.lab.saved());
    let flows = talk.lab.tool(&["conntrack", "-L", "--orig-src", "192.0.2.9"]).good();
    for protocol in ["udp ", "tcp "] {
        let flow = flows
            .lines()
            .find(|line| line.starts_with(protocol))
            .unwrap_or_default();
        assert!(
            flow.contains("src=192.0.2.9 dst=192.0.2.1") && flow.contains("src=10.0.0.2 dst=192.0.2.9"),
            "{flows}"
        );
    }
    assert_eq!(talk.lab.policy_drops("FORWARD"), 0);
}

/// That someone calls is seen, and who answers is refused by the router, which is taken for the caller.
#[test]
fn without_the_helper_nobody_can_answer() {
    let Some(mut talk) = Talk::up("talk-off", &SERVICE.rules()) else {
        return;
    };
    let _caller = talk.call();
    talk.called.shows("Connection refused");
    let flows = talk.lab.tool(&["conntrack", "-L", "--orig-src", "192.0.2.9"]).good();
    assert!(
        flows.lines().count() == 1 && flows.contains("[UNREPLIED] src=192.0.2.1 dst=192.0.2.9 sport=518"),
        "{flows}"
    );
}

/// A daemon in both hosts, and a terminal outside at which somebody is.
struct Talk {
    // Before the lab: it would wait for what runs in it.
    called: Terminal,
    _daemons: [Process; 2],
    lab: Lab,
    /// Whom the caller asks for.
    name: String,
}

impl Talk {
    fn up(test: &str, rules: &str) -> Option<Self> {
        let scratch = Scratch::new(test, &["talk", "in.ntalkd", "inetd", "script"])?;
        let lab = scratch.up(ROUTER);
        lab.restore(rules).good();
        lab.scratch.write(
            "inetd.conf",
            "ntalk dgram udp wait root /usr/sbin/in.ntalkd in.ntalkd\n",
        );
        lab.scratch.write("daemon", DAEMON);
        let daemons = ["inside", "outside"].map(|host| {
            lab.scratch.write(&format!("utmp-{host}"), "");
            let program = ["unshare", "--mount", "sh", "-e", "daemon", host];
            lab.serve(
                host,
                &program,
                Waits::Udp(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 518)),
            )
        });
        let mut called = Terminal::new(&lab, "outside", "called.screen", "sh");
        // What `talk` itself takes for the user's name there.
        called.types("chmod g+w $(tty); echo $(logname || id -un) $(tty) > here.new; mv here.new here\n");
        let here = lab.scratch.path("here");
        wait_until("the terminal has a name", || here.exists());
        let here = std::fs::read_to_string(here).unwrap();
        let (name, line) = here.trim_end().split_once(" /dev/").unwrap();
        std::fs::write(lab.scratch.path("utmp-outside"), utmp(name, line)).unwrap();
        Some(Self {
            called,
            _daemons: daemons,
            lab,
            name: name.to_owned(),
        })
    }

    /// Calls from inside, and the called one types what the message at the terminal says.
    fn call(&mut self) -> Terminal {
        let call = format!("talk {}@192.0.2.9", self.name);
        let caller = Terminal::new(&self.lab, "inside", "caller.screen", &call);
        self.called.shows("respond with:  talk ");
        let message = self.called.shown();
        let (_, answer) = message.split_once("respond with:  ").unwrap();
        let answer = answer.lines().next().unwrap_or_default().trim_end();
        assert!(answer.ends_with("@192.0.2.1"), "{message}");
        self.called.types(&format!("exec env TERM=xterm {answer}\n"));
        caller
    }
}

/// inetd as each host's own: who is logged in there, and no names to be asked of servers.
const DAEMON: &str = "mount -t tmpfs tmpfs /run
touch /run/utmp
mount --bind utmp-$1 /run/utmp
echo 'hosts: files' > /run/nsswitch.conf
mount --bind /run/nsswitch.conf /etc/nsswitch.conf
cp inetd.conf /run
exec inetd -i /run/inetd.conf
";

/// utmp(5): that the user is at this line.
fn utmp(user: &str, line: &str) -> Vec<u8> {
    const USER_PROCESS: u8 = 7;
    let mut record = vec![0; 384];
    record[0] = USER_PROCESS;
    record[8..8 + line.len()].copy_from_slice(line.as_bytes());
    record[44..44 + user.len()].copy_from_slice(user.as_bytes());
    record
}

const SERVICE: Service = Service {
    protocol: "udp",
    port: 518,
    helper: "ntalk",
    to_router: "ACCEPT",
};
