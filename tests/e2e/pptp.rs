//! PPTP with pptpd and pptp through a masquerading router. What goes through the tunnel are frames of the test's own: pppd needs a kernel with PPP.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use crate::lab::{Lab, Process, RELATED, ROUTER, Scratch, Service, Waits, wait_until};

#[test]
fn a_tunnel_crosses_a_masquerading_router_with_its_helper_alone() {
    let Some(scratch) = Scratch::new("pptp", &["pptpd", "pptp"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    let _server = serve(&lab);
    {
        lab.restore(&SERVICE.rules()).good();
        let (_client, mut end) = connect(&lab);
        wait_until("the call stands, and what the server sends ends at the router", || {
            lab.policy_drops("INPUT") > 0
        });
        end.set_nonblocking(true).unwrap();
        assert!(end.read(&mut [0]).is_err(), "nothing arrives");
        assert_eq!(lab.packets(RELATED), 0);
    }
    lab.restore(&SERVICE.rules_with_helper()).good();
    let (_client, mut end) = connect(&lab);
    end.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut heard = Vec::new();
    hear(&mut end, &mut heard, FIRST);
    let said: Vec<String> = (1..=200).map(|number| format!("frame {number} comes back.")).collect();
    for frame in &said {
        end.write_all(&framed(frame)).unwrap();
    }
    for frame in &said {
        hear(&mut end, &mut heard, frame);
    }
    assert_eq!(lab.packets(RELATED), 1, "{}", lab.saved());
    assert_eq!(lab.policy_drops("FORWARD"), 0, "{}", lab.saved());
    let flows = lab.tool(&["conntrack", "-L", "-p", "gre"]).good();
    let flow = flows
        .lines()
        .find(|line| !line.contains("[UNREPLIED]"))
        .unwrap_or_default();
    assert!(
        flow.contains("src=192.0.2.9 dst=192.0.2.1") && flow.contains("src=10.0.0.2 dst=192.0.2.9"),
        "{flows}"
    );
}

/// The client inside, and the end at which pppd would sit.
fn connect(lab: &Lab) -> (Process, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let errors = std::fs::File::create(lab.scratch.path("pptp.log")).unwrap();
    let child = lab
        .in_host("inside", &["pptp", "192.0.2.9", "--nolaunchpppd", "--nohostroute"])
        .stdin(Stdio::from(OwnedFd::from(theirs.try_clone().unwrap())))
        .stdout(Stdio::from(OwnedFd::from(theirs)))
        .stderr(errors)
        .spawn()
        .unwrap();
    (Process::of(child), ours)
}

/// In pppd's place stands one that speaks first, as pppd does and pptpd waits for, and then sends back what comes.
fn serve(lab: &Lab) -> Process {
    std::fs::write(lab.scratch.path("first"), framed(FIRST)).unwrap();
    let directory = lab.scratch.path("").display().to_string();
    let pppd = lab.scratch.write(
        "pppd",
        &format!("#!/bin/sh\nstty raw -echo\ncat {directory}/first\nexec cat\n"),
    );
    std::fs::set_permissions(&pppd, PermissionsExt::from_mode(0o755)).unwrap();
    let config = lab
        .scratch
        .write("pptpd.conf", &CONFIG.replace("DIRECTORY", &directory));
    let config = config.display().to_string();
    let at = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 1723);
    lab.serve("outside", &["pptpd", "-f", "-c", &config], Waits::Tcp(at))
}

/// Reads on until the text is there.
#[track_caller]
fn hear(from: &mut UnixStream, heard: &mut Vec<u8>, text: &str) {
    while !heard.windows(text.len()).any(|part| part == text.as_bytes()) {
        let mut more = [0; 4096];
        match from.read(&mut more) {
            Ok(length) if length > 0 => heard.extend_from_slice(&more[..length]),
            ended => panic!(
                "{text:?} is not heard: {ended:?}, but {:?}",
                String::from_utf8_lossy(heard)
            ),
        }
    }
}

/// As pppd would write it on a line (RFC 1662): a datagram between flags, with its checksum, and nothing in it that a line might take for its own.
fn framed(text: &str) -> Vec<u8> {
    const FLAG: u8 = 0x7e;
    const ESCAPE: u8 = 0x7d;
    let mut frame = vec![0xff, 0x03, 0x00, 0x21];
    frame.extend_from_slice(text.as_bytes());
    let sum = frame.iter().fold(u16::MAX, |sum, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0x8408 } else { 0 }
        })
    });
    frame.extend_from_slice(&(!sum).to_le_bytes());
    let escaped = frame.iter().flat_map(|byte| match *byte {
        0..0x20 | FLAG | ESCAPE => vec![ESCAPE, byte ^ 0x20],
        byte => vec![byte],
    });
    [FLAG].into_iter().chain(escaped).chain([FLAG]).collect()
}

const FIRST: &str = "the server is there";

const CONFIG: &str = "ppp DIRECTORY/pppd
option /dev/null
listen 192.0.2.9
localip 10.77.0.1
remoteip 10.77.0.2-9
pidfile DIRECTORY/pptpd.pid
";

const SERVICE: Service = Service {
    protocol: "tcp",
    port: 1723,
    helper: "pptp",
    to_router: "DROP",
};
