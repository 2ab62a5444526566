//! TFTP with tftpd-hpa and its client through a masquerading router: the server answers from another port than it was asked at, which only the helper
//! knows to belong together.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::lab::{Lab, Process, RELATED, ROUTER, Ran, Scratch, Service, Waits};

#[test]
fn tftp_crosses_a_masquerading_router_with_its_helper_alone() {
    let Some(scratch) = Scratch::new("tftp", &["in.tftpd", "tftp"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    let _server = serve(&lab);
    lab.restore(&SERVICE.rules()).good();
    // Its answers come to the router itself, again and again.
    for (count, way) in (1..).zip(WAYS) {
        let ran = way.go(&lab, "0.5", "not-there");
        assert_eq!(ran.code, 124, "{way:?}: {}\n{}", ran.out, ran.err);
        assert_eq!(way.arrived(&lab, "not-there"), b"", "{way:?}");
        assert!(lab.policy_drops("INPUT") >= count, "{way:?}: {}", lab.saved());
        assert_eq!(lab.packets(RELATED), 0, "{way:?}");
    }
    lab.restore(&SERVICE.rules_with_helper()).good();
    for (count, way) in (1..).zip(WAYS) {
        let ran = way.go(&lab, "10", "there");
        assert_eq!(ran.code, 0, "{way:?}: {}\n{}", ran.out, ran.err);
        assert!(way.arrived(&lab, "there") == sent(), "{way:?}: the file is another");
        assert_eq!(lab.packets(RELATED), count, "{way:?}: the first answer of each");
        assert_eq!(lab.packets(NEW), count, "{way:?}: the requests");
        let flows = lab
            .tool(&["conntrack", "-L", "-p", "udp", "--orig-src", "192.0.2.9"])
            .good();
        let data = flows
            .lines()
            .filter(|line| line.contains("src=10.0.0.2 dst=192.0.2.9") && !line.contains("[UNREPLIED]"));
        assert_eq!(data.count() as u64, count, "{way:?}: {flows}");
    }
    assert_eq!(lab.policy_drops("FORWARD"), 0, "{}", lab.saved());
}

#[derive(Debug)]
enum Way {
    Get,
    Put,
}

const WAYS: &[Way] = &[Way::Get, Way::Put];

impl Way {
    /// Fetches or brings the file under a new name (the server still writes what it began before), for so many seconds at most.
    fn go(&self, lab: &Lab, seconds: &str, name: &str) -> Ran {
        let what: &[&str] = match self {
            Self::Get => &["get", "file", name],
            Self::Put => &["put", "tftp/file", name],
        };
        let start = ["timeout", seconds, "tftp", "-4", "-m", "binary", "192.0.2.9", "-c"];
        lab.exec("inside", &[&start, what].concat())
    }

    fn arrived(&self, lab: &Lab, name: &str) -> Vec<u8> {
        let directory = match self {
            Self::Get => ".",
            Self::Put => "tftp",
        };
        std::fs::read(lab.scratch.path(directory).join(name)).unwrap_or_default()
    }
}

fn serve(lab: &Lab) -> Process {
    use std::os::unix::fs::PermissionsExt;

    let root = lab.scratch.path("tftp");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("file"), sent()).unwrap();
    // The server is nobody when it writes what is put.
    std::fs::set_permissions(&root, PermissionsExt::from_mode(0o777)).unwrap();
    let root = root.display().to_string();
    let at = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 69);
    let program = ["in.tftpd", "-L", "-4", "-a", "192.0.2.9:69", "-c", "-s", &root];
    lab.serve("outside", &program, Waits::Udp(at))
}

/// Some four hundred blocks, no two alike.
fn sent() -> Vec<u8> {
    (0..200_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

const SERVICE: Service = Service {
    protocol: "udp",
    port: 69,
    helper: "tftp",
    to_router: "DROP",
};
const NEW: &str = "--dport 69 -m state --state NEW -j ACCEPT";
