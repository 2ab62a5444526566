//! IPv6 across a live lab: pings and a download beside those of IPv4, and what the kernel's own tools say of the hosts.

use crate::lab::{BOTH_FAMILIES, Scratch, Waits};

#[test]
fn hosts_have_both_families_and_reach_each_other_by_both() {
    let Some(scratch) = Scratch::new("ipv6", &["ping", "nginx", "curl", "ip"]) else {
        return;
    };
    let lab = scratch.up(BOTH_FAMILIES);
    let ping = |host, family, target| {
        let ran = lab.exec(host, &["ping", family, "-n", "-c", "2", "-i", "0.2", "-W", "1", target]);
        (ran.code, ran.out)
    };
    for (host, family, target) in [
        ("inside", "-6", "2001:db8:1::9"),
        ("outside", "-6", "2001:db8::2"),
        ("inside", "-4", "192.0.2.9"),
    ] {
        let (code, out) = ping(host, family, target);
        assert_eq!(code, 0, "{out}");
        // One router is between them.
        assert_eq!(out.matches("ttl=63").count(), 2, "{out}");
    }
    let routes = lab.exec("inside", &["ip", "-6", "route"]).good();
    assert_eq!(
        routes,
        "2001:db8::/64 dev lan proto kernel metric 256 pref medium\ndefault via 2001:db8::1 dev lan metric 1024 pref medium\n"
    );
    // To somewhere, the router knows no way, and of a host that is not there nobody says anything on such a link.
    assert_ne!(ping("inside", "-6", "2001:4860::1").0, 0);
    let directory = lab.scratch.path("").display().to_string();
    std::fs::create_dir(lab.scratch.path("www")).unwrap();
    let page = "x".repeat(1_000_000);
    lab.scratch.write("www/page", &page);
    let config = CONFIG.replace("DIRECTORY", &directory);
    let config = lab.scratch.write("nginx.conf", &config).display().to_string();
    let _nginx = lab.serve(
        "outside",
        &["nginx", "-p", &directory, "-c", &config, "-e", "stderr"],
        Waits::Tcp6(80),
    );
    let got = lab
        .exec("inside", &["curl", "-sS", "http://[2001:db8:1::9]/page"])
        .good();
    assert_eq!(got.len(), page.len());
    assert!(got == page);
    let log = std::fs::read_to_string(lab.scratch.path("access.log")).unwrap();
    assert_eq!(log, "2001:db8::2 200 1000000\n");
}

const CONFIG: &str = "daemon off;
master_process off;
user root;
pid DIRECTORY/nginx.pid;
events {}
http {
    log_format short '$remote_addr $status $body_bytes_sent';
    access_log DIRECTORY/access.log short;
    server {
        listen [::]:80;
        root DIRECTORY/www;
    }
}
";
