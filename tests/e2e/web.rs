//! A big download with curl from nginx: without rules, and through a masquerading router.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

use crate::lab::{Lab, ROUTER, Scratch, Waits, run};

#[test]
fn a_hundred_megabytes_arrive_whole() {
    download("web", ROUTER, &["", MASQUERADE]);
}

#[test]
fn a_hundred_megabytes_arrive_whole_in_packets_of_their_own() {
    download("wire", &format!("offload = false\n{ROUTER}"), &[MASQUERADE]);
}

/// What the server's device leaves whole is cut for the client's, and joined the other way.
#[test]
fn a_hundred_megabytes_are_cut_on_their_way() {
    let file = ROUTER.replace("[interface.lan]", "[interface.lan]\noffload = false");
    download("cut", &file, &[MASQUERADE]);
}

/// The last of the rules are [`MASQUERADE`].
fn download(test: &str, file: &str, all_rules: &[&str]) {
    let Some(scratch) = Scratch::new(test, &["nginx", "curl"]) else {
        return;
    };
    let lab = scratch.up(file);
    let status = lab.tool(&["status"]).good();
    let head = format!("lab {} is up", lab.scratch.name);
    let own = status.lines().skip_while(|line| !line.starts_with(&head));
    let of_wan = own.into_iter().find(|line| line.contains("interface wan")).unwrap();
    let is_whole = !of_wan.ends_with("offload off");
    assert_eq!(is_whole, !file.starts_with("offload = false"), "{of_wan}");
    let expected = {
        std::fs::create_dir(lab.scratch.path("www")).unwrap();
        write_noise(&mut BufWriter::new(
            File::create(lab.scratch.path("www/noise")).unwrap(),
        ))
        .unwrap();
        checksum(&lab, "www/noise")
    };
    let directory = lab.scratch.path("").display().to_string();
    let config = lab
        .scratch
        .write("nginx.conf", &CONFIG.replace("DIRECTORY", &directory));
    let config = config.display().to_string();
    let _nginx = lab.serve(
        "outside",
        &["nginx", "-p", &directory, "-c", &config, "-e", "stderr"],
        Waits::Tcp(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 80)),
    );
    // No rule wants connections tracked; then every packet is tracked and translated.
    for rules in all_rules {
        let from = if rules.is_empty() { "10.0.0.2" } else { "192.0.2.1" };
        assert_eq!(lab.restore(rules).code, 0);
        let started = Instant::now();
        let curl = ["curl", "-sS", "-o", "got", "http://192.0.2.9/noise"];
        lab.exec("inside", &curl).good();
        println!("{SIZE} bytes in {:?}, seen as from {from}", started.elapsed());
        assert_eq!(std::fs::metadata(lab.scratch.path("got")).unwrap().len(), SIZE);
        assert_eq!(checksum(&lab, "got"), expected);
        std::fs::remove_file(lab.scratch.path("got")).unwrap();
        let log = std::fs::read_to_string(lab.scratch.path("access.log")).unwrap();
        assert!(
            log.lines()
                .last()
                .is_some_and(|line| line == format!("{from} 200 {SIZE}")),
            "the server saw {log}"
        );
    }
    let flows = lab.tool(&["conntrack", "-L"]).good();
    let flow = flows.lines().find(|line| line.contains("src=10.0.0.2 dst=192.0.2.9"));
    let flow = flow.unwrap_or_else(|| panic!("no flow in {flows}"));
    assert!(
        flow.contains("src=192.0.2.9 dst=192.0.2.1 sport=80") && flow.contains("[ASSURED]"),
        "{flow}"
    );
    assert_eq!(
        lab.packets("-A POSTROUTING -o wan -j MASQUERADE"),
        1,
        "the first packet of the connection"
    );
    assert_eq!(lab.packets("--state NEW -j ACCEPT"), 1);
    // A packet carries 1448 bytes, and up to 64 kB where the sender leaves it to its device to cut them.
    let answered = lab.packets("-A FORWARD -i wan -m state --state ESTABLISHED -j ACCEPT");
    assert!(answered >= SIZE / 65_536, "{answered}");
    assert_eq!(answered < SIZE / 1500, is_whole, "{answered}");
}

/// What does not look the same anywhere: a packet in the wrong place shows in the checksum.
fn write_noise(to: &mut impl Write) -> std::io::Result<()> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..SIZE / 8 {
        // Marsaglia's xorshift (2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        to.write_all(&state.to_le_bytes())?;
    }
    to.flush()
}

fn checksum(lab: &Lab, file: &str) -> String {
    let mut command = lab.scratch.command("sha256sum");
    command.arg(file);
    let printed = run(command, "").good();
    printed.split(' ').next().unwrap_or_default().to_owned()
}

const SIZE: u64 = 100_000_000;

const CONFIG: &str = "daemon off;
master_process off;
user root;
pid DIRECTORY/nginx.pid;
error_log stderr;
events {}
http {
    log_format short '$remote_addr $status $body_bytes_sent';
    access_log DIRECTORY/access.log short;
    client_body_temp_path DIRECTORY/body;
    proxy_temp_path DIRECTORY/proxy;
    fastcgi_temp_path DIRECTORY/fastcgi;
    uwsgi_temp_path DIRECTORY/uwsgi;
    scgi_temp_path DIRECTORY/scgi;
    server {
        listen 192.0.2.9:80;
        root DIRECTORY/www;
    }
}
";

const MASQUERADE: &str = "*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -i wan -m state --state ESTABLISHED -j ACCEPT
-A FORWARD -i lan -m state --state ESTABLISHED -j ACCEPT
-A FORWARD -i lan -o wan -p tcp -m tcp --dport 80 -m state --state NEW -j ACCEPT
COMMIT
";
