//! How a lab ends: by signal, by `nflab down`, and by `kill -9` with `nflab down` after it. Nothing of it is left.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;

use rustix::process::Signal;

use crate::lab::{Lab, Process, ROUTER, Scratch, wait_until};

#[test]
fn an_interrupted_lab_leaves_nothing() {
    signalled("end-int", Signal::INT);
}

#[test]
fn a_terminated_lab_leaves_nothing() {
    signalled("end-term", Signal::TERM);
}

#[test]
fn down_leaves_nothing() {
    let Some((mut lab, seen, mut inside)) = up("end-down") else {
        return;
    };
    let name = lab.scratch.name.clone();
    assert_eq!(
        lab.scratch.nflab(&["down", &name]).good(),
        format!("lab {name} is down\n")
    );
    assert_eq!(lab.ended().code(), Some(0));
    seen.assert_gone(&lab, &mut inside);
    let again = lab.scratch.nflab(&["down", &name]);
    assert_eq!(again.code, 4, "{}", again.err);
    assert!(
        again.err.contains(&format!("there is no lab {name:?}")),
        "{}",
        again.err
    );
}

#[test]
fn down_after_a_kill_leaves_nothing() {
    let Some((mut lab, seen, mut inside)) = up("end-kill") else {
        return;
    };
    let name = lab.scratch.name.clone();
    lab.signal(Signal::KILL);
    assert_eq!(lab.ended().signal(), Some(9));
    // What a killed process cannot clear away, and what it takes with it.
    for namespace in &seen.namespaces {
        assert!(namespace.exists(), "a killed lab leaves {}", namespace.display());
    }
    // The kernel kills its router then, and with that goes what it had open.
    wait_until("a device goes with its process", || !lab.devices().contains("spare"));
    let refused = lab.tool(&["iptables", "-S"]);
    assert_eq!(refused.code, 4, "it runs no more: {}", refused.err);
    assert_eq!(
        lab.scratch.nflab(&["down", &name]).good(),
        format!("lab {name} had been killed; what it left is cleared away\n")
    );
    seen.assert_gone(&lab, &mut inside);
}

fn signalled(test: &str, signal: Signal) {
    let Some((mut lab, seen, mut inside)) = up(test) else {
        return;
    };
    lab.signal(signal);
    assert_eq!(lab.ended().code(), Some(0), "{}", lab.errors());
    seen.assert_gone(&lab, &mut inside);
}

/// A lab with two hosts, a device in the namespace it was started in, a rule, a flow, and a program in a host.
fn up(test: &str) -> Option<(Lab, Seen, Process)> {
    let scratch = Scratch::new(test, &["ping", "unshare", "nsenter"])?;
    // Who ends by a signal has one worker, and who is taken down or killed has several.
    let workers = if ["end-down", "end-kill"].contains(&test) { 4 } else { 1 };
    let lab = scratch.up(&format!(
        "workers = {workers}\n{ROUTER}[interface.spare]\naddress = [\"10.9.0.1/24\"]\n"
    ));
    lab.tool(&[
        "iptables", "-A", "FORWARD", "-m", "state", "--state", "NEW", "-j", "ACCEPT",
    ])
    .good();
    lab.exec("inside", &["ping", "-n", "-c", "1", "-W", "2", "192.0.2.9"])
        .good();
    let inside = lab.start("inside", &["sleep", "600"]);
    let seen = Seen::of(&lab);
    wait_until("sleep is in the host", || {
        processes_in(seen.opened[0].metadata().unwrap().ino()).contains(&inside.id())
    });
    assert!(lab.devices().contains("spare"), "{}", lab.devices());
    assert!(seen.devices(0).contains("lan") && seen.devices(1).contains("wan"));
    assert!(seen.state.join("control").exists());
    Some((lab, seen, inside))
}

/// What a lab made, as others see it while it runs.
struct Seen {
    namespaces: Vec<std::path::PathBuf>,
    /// Held open, so that one can look into a namespace whose name is gone.
    opened: Vec<File>,
    state: std::path::PathBuf,
}

impl Seen {
    fn of(lab: &Lab) -> Self {
        let name = &lab.scratch.name;
        let namespaces = ["inside", "outside"]
            .map(|host| format!("/run/netns/{name}-{host}").into())
            .to_vec();
        Self {
            opened: namespaces
                .iter()
                .map(|path: &std::path::PathBuf| File::open(path).unwrap())
                .collect(),
            namespaces,
            state: format!("/run/nflab/{name}").into(),
        }
    }

    fn devices(&self, host: usize) -> String {
        let file = format!("/proc/{}/fd/{}", std::process::id(), self.opened[host].as_raw_fd());
        let mut command = std::process::Command::new("nsenter");
        command.args([&format!("--net={file}"), "cat", "/proc/net/dev"]);
        crate::lab::run(command, "").good()
    }

    #[track_caller]
    fn assert_gone(&self, lab: &Lab, inside: &mut Process) {
        let name = &lab.scratch.name;
        let names = |directory: &str| -> Vec<String> {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .filter(|it| it.contains(name))
                .collect()
        };
        assert_eq!(names("/run/netns"), [""; 0], "namespaces");
        assert_eq!(names("/run/nflab"), [""; 0], "state and socket");
        let mounts = fs::read_to_string("/proc/mounts").unwrap();
        assert!(!mounts.contains(name.as_str()), "mounts: {mounts}");
        assert!(!lab.devices().contains("spare"), "{}", lab.devices());
        for (host, (namespace, device)) in self.opened.iter().zip(["lan:", "wan:"]).enumerate() {
            let devices = self.devices(host);
            assert!(
                !devices.contains(device),
                "a device in a namespace without name: {devices}"
            );
            let left = processes_in(namespace.metadata().unwrap().ino());
            assert_eq!(left, [0; 0], "processes in a host");
        }
        assert_eq!(inside.ended().code(), None, "what ran in the host was ended");
    }
}

/// Who is in the network namespace with this number. A process that has ended and was not waited for is in none.
fn processes_in(namespace: u64) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            fs::read_link(format!("/proc/{pid}/ns/net"))
                .is_ok_and(|link| link.as_os_str() == format!("net:[{namespace}]").as_str())
        })
        .collect()
}
