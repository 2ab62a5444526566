//! What crosses: ping, a web download of 100 MB, FTP in its ways; through MASQUERADE, with a DROP policy, and only ESTABLISHED and RELATED
//! let back.

use std::fs;
use std::path::PathBuf;

use nflab::base::Random;

use crate::lab::{Lab, Ran, Server, TWO_HOSTS, can_run, sha256};

const WITH_HELPER: &str = "*raw\n-A PREROUTING -i lan -p tcp --dport 21 -j CT --helper ftp\nCOMMIT\n";

/// A new connection may go to ports 21 and 80 only, so that a data connection of FTP gets through as RELATED or not at all.
const RULES: &str = "\
*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i lan -p icmp --icmp-type echo-request -m conntrack --ctstate NEW -j ACCEPT
-A FORWARD -i lan -p tcp -m multiport --dports 21,80 --syn -m conntrack --ctstate NEW -j ACCEPT
COMMIT
";

#[test]
fn ping_out_and_not_in() {
    if !can_run("ping_out_and_not_in", &["ping", "timeout"]) {
        return;
    }
    let lab = Lab::up(TWO_HOSTS, RULES);
    let out = lab.exec(
        "client",
        20,
        &["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "192.0.2.9"],
    );
    assert_eq!(out.code, 0, "{out:?}");
    assert!(out.out.contains("3 received, 0% packet loss"), "{}", out.out);
    assert!(out.out.contains("ttl=63"), "one router on the way: {}", out.out);
    let to_router = lab.exec("server", 20, &["ping", "-n", "-c", "1", "-W", "1", "192.0.2.1"]);
    assert_eq!(to_router.code, 1, "INPUT drops it: {to_router:?}");
    let flows = lab.tool(&["conntrack", "-L", "-p", "icmp"]).out;
    assert!(
        flows.contains("src=10.0.0.2 dst=192.0.2.9 type=8") && flows.contains("src=192.0.2.9 dst=192.0.2.1 type=0"),
        "{flows}"
    );
    assert_eq!(
        flows.lines().filter(|line| line.starts_with("icmp")).count(),
        1,
        "the dropped one left none: {flows}"
    );
    let saved = lab.tool(&["iptables-save", "-c", "-t", "filter"]).out;
    assert!(saved.contains("[1:84] -A FORWARD -i lan -p icmp"), "{saved}");
    assert!(saved.contains("[5:420] -A FORWARD -m conntrack"), "{saved}");
    assert!(saved.contains(":INPUT DROP [1:84]"), "{saved}");
}

#[test]
fn a_hundred_megabytes_from_a_web_server() {
    if !can_run(
        "a_hundred_megabytes_from_a_web_server",
        &["curl", "nginx", "ss", "timeout", "sha256sum"],
    ) {
        return;
    }
    let lab = Lab::up(TWO_HOSTS, RULES);
    let sent = content(&lab, "www", 100_000_000);
    let directory = lab.directory.display();
    let config = lab.directory.join("nginx.conf");
    fs::write(
        &config,
        format!(
            "daemon off; master_process off; user root; pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;\n\
             events {{}}\n\
             http {{ access_log {directory}/access.log; client_body_temp_path {directory}/a; proxy_temp_path {directory}/b;\n\
             fastcgi_temp_path {directory}/c; uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;\n\
             server {{ listen 192.0.2.9:80; root {directory}/www; }} }}\n"
        ),
    )
    .unwrap();
    let _nginx = lab.spawn("server", &["nginx", "-e", "stderr", "-c", config.to_str().unwrap()]);
    lab.wait_for_port("server", 80);
    let got = lab.directory.join("got");
    let ran = lab.exec(
        "client",
        50,
        &["curl", "-sS", "-o", got.to_str().unwrap(), "http://192.0.2.9/file"],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(sha256(&got), sha256(&sent));
    let log = fs::read_to_string(lab.directory.join("access.log")).unwrap();
    assert!(
        log.starts_with("192.0.2.1 "),
        "the server has seen the router's address only: {log}"
    );
    let flows = lab.tool(&["conntrack", "-L", "-p", "tcp"]).out;
    assert!(
        flows.contains("src=10.0.0.2 dst=192.0.2.9") && flows.contains("src=192.0.2.9 dst=192.0.2.1 sport=80"),
        "{flows}"
    );
}

/// How a client is told to make its data connection: name, programs and arguments.
const CLIENTS: [(&str, &[&str]); 6] = [
    ("curl, PASV", &["curl", "-sS", "--disable-epsv", "-o"]),
    ("curl, EPSV", &["curl", "-sS", "-o"]),
    (
        "curl, PORT",
        &["curl", "-sS", "--ftp-port", "-", "--disable-eprt", "-o"],
    ),
    ("curl, EPRT", &["curl", "-sS", "--ftp-port", "-", "-o"]),
    ("lftp, passive", &["lftp", "-c", "set ftp:passive-mode on; "]),
    ("lftp, active", &["lftp", "-c", "set ftp:passive-mode off; "]),
];

#[test]
fn ftp_in_every_way() {
    if !can_run(
        "ftp_in_every_way",
        &["vsftpd", "curl", "lftp", "ss", "timeout", "sha256sum"],
    ) {
        return;
    }
    let lab = Lab::up(TWO_HOSTS, &format!("{WITH_HELPER}{RULES}"));
    let sent = content(&lab, "ftp", 3_000_000);
    let _vsftpd = vsftpd(&lab);
    for (name, client) in CLIENTS {
        let (ran, got) = fetch(&lab, client, 40);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        assert_eq!(sha256(&got), sha256(&sent), "{name}");
    }
    let flows = lab.tool(&["conntrack", "-L", "-p", "tcp"]).out;
    assert!(flows.contains("helper=ftp"), "{flows}");
    // An active transfer's data connection comes from outside, to the router's address, and goes on to the client.
    assert!(
        flows
            .lines()
            .any(|line| line.contains("src=192.0.2.9 dst=192.0.2.1") && line.contains("src=10.0.0.2 dst=192.0.2.9")),
        "{flows}"
    );
    let saved = lab.tool(&["iptables-save", "-c", "-t", "filter"]).out;
    assert!(
        saved.contains("[6:"),
        "only the six control connections were NEW: {saved}"
    );
}

#[test]
fn ftp_is_refused_without_the_helper() {
    if !can_run(
        "ftp_is_refused_without_the_helper",
        &["vsftpd", "curl", "lftp", "ss", "timeout"],
    ) {
        return;
    }
    let lab = Lab::up(TWO_HOSTS, RULES);
    content(&lab, "ftp", 1000);
    let _vsftpd = vsftpd(&lab);
    // Without a data connection the control connection still works.
    let login = lab.exec("client", 20, &["curl", "-sS", "--head", "ftp://192.0.2.9/file"]);
    assert_eq!(login.code, 0, "{login:?}");
    assert!(login.out.contains("Content-Length: 1000"), "{login:?}");
    for (name, client) in CLIENTS {
        let (ran, got) = fetch(&lab, client, 4);
        assert_ne!(ran.code, 0, "{name} got through: {ran:?}");
        let size = fs::metadata(&got).map_or(0, |it| it.len());
        assert_eq!(size, 0, "{name}");
    }
    let flows = lab.tool(&["conntrack", "-L", "-p", "tcp"]).out;
    assert!(!flows.contains("helper="), "{flows}");
    for line in flows.lines().filter(|line| line.starts_with("tcp")) {
        assert!(line.contains("dport=21"), "a data connection came about: {line}");
    }
}

/// A file with content that no piece of repeats, in a directory below the lab's.
fn content(lab: &Lab, directory: &str, size: usize) -> PathBuf {
    let directory = lab.directory.join(directory);
    fs::create_dir_all(&directory).unwrap();
    let mut random = Random::new(size as u64);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend(random.next_u64().to_le_bytes());
    }
    bytes.truncate(size);
    let path = directory.join("file");
    fs::write(&path, bytes).unwrap();
    path
}

fn vsftpd(lab: &Lab) -> Server {
    let directory = lab.directory.display();
    let config = lab.directory.join("vsftpd.conf");
    fs::create_dir_all(lab.directory.join("empty")).unwrap();
    fs::write(
        &config,
        format!(
            "listen=YES\nlisten_address=192.0.2.9\nbackground=NO\nanonymous_enable=YES\nlocal_enable=NO\nanon_root={directory}/ftp\n\
             secure_chroot_dir={directory}/empty\nconnect_from_port_20=YES\nseccomp_sandbox=NO\nxferlog_enable=NO\n"
        ),
    )
    .unwrap();
    let server = lab.spawn("server", &["vsftpd", config.to_str().unwrap()]);
    lab.wait_for_port("server", 21);
    server
}

/// What came of a transfer, and where the file would be.
fn fetch(lab: &Lab, client: &[&str], seconds: u32) -> (Ran, PathBuf) {
    let got = lab.directory.join("got");
    let _ = fs::remove_file(&got);
    let target = got.to_str().unwrap();
    let url = "ftp://192.0.2.9/file";
    let mut command: Vec<String> = client.iter().map(|word| (*word).to_owned()).collect();
    if client[0] == "lftp" {
        let script = command.last_mut().unwrap();
        script.push_str(&format!(
            "set net:timeout 10; set net:max-retries 1; set ftp:sync-mode on; get -O {} {url} -o {target}",
            lab.directory.display()
        ));
    } else {
        command.extend([target.to_owned(), url.to_owned()]);
    }
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    (lab.exec("client", seconds, &words), got)
}
