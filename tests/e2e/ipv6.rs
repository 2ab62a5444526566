//! IPv6 across a live lab: pings and downloads beside those of IPv4, the way that a trace shows, a narrow link that senders learn of, NAT66, and what the
//! kernel's own tools say of the hosts.

use crate::lab::{BOTH_FAMILIES, Lab, Process, Scratch, Waits};

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
    let _nginx = serve_a_page(&lab, "outside");
    let got = lab
        .exec("inside", &["curl", "-sS", "http://[2001:db8:1::9]/page"])
        .good();
    assert!(got == page());
    assert_eq!(asked_by(&lab), ["2001:db8::2 200 1000000"]);
}

#[test]
fn each_hop_of_a_trace_answers() {
    let Some(scratch) = Scratch::new("traceroute6", &["traceroute6"]) else {
        return;
    };
    let lab = scratch.up(BOTH_FAMILIES);
    let hops = |more: &[&str]| -> Vec<String> {
        // One at a time: hosts limit how often they say that a port is closed.
        let trace = ["traceroute6", "-n", "-q", "1", "-w", "1", "-N", "1", "-m", "3"];
        let out = lab
            .exec("inside", &[&trace[..], more, &["2001:db8:1::9"]].concat())
            .good();
        let hop = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
        out.lines().skip(1).filter_map(hop).collect()
    };
    let all = ["2001:db8::1", "2001:db8:1::9"];
    // By UDP, echo requests and SYN.
    for kind in [&[][..], &["-I"], &["-T", "-p", "80"]] {
        assert_eq!(hops(kind), all, "{kind:?}");
    }
    // It is the router's own errors that show it.
    let rules = lab.rules("ip6tables");
    let silent = "*filter\n-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 3 -j DROP\nCOMMIT\n";
    rules.restore(silent).good();
    assert_eq!(hops(&[]), ["*", "2001:db8:1::9"]);
    assert_eq!(rules.packets("--icmpv6-type 3 -j DROP"), 1);
}

/// Behind a narrow link, of which only the router's word tells: the receiver says that it takes more.
#[test]
fn a_sender_learns_of_a_narrow_link() {
    let Some(scratch) = Scratch::new("path-mtu", &["ping", "nginx", "curl", "ip"]) else {
        return;
    };
    let lab = scratch.up(&BOTH_FAMILIES.replace("[interface.wan]\n", "[interface.wan]\nmtu = 1280\n"));
    let route = || {
        lab.exec("inside", &["ip", "-6", "route", "get", "2001:db8:1::9"])
            .good()
    };
    let forget = || lab.exec("inside", &["ip", "-6", "route", "flush", "cache"]).good();
    let large = [
        "ping",
        "-6",
        "-n",
        "-M",
        "do",
        "-s",
        "1400",
        "-c",
        "2",
        "-i",
        "0.2",
        "-W",
        "1",
        "2001:db8:1::9",
    ];
    let ran = lab.exec("inside", &large);
    assert_eq!(ran.code, 1, "{}\n{}", ran.out, ran.err);
    assert!(
        ran.out.contains("From 2001:db8::1 icmp_seq=1 Packet too big: mtu=1280"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("message too long, mtu: 1280"), "{}", ran.err);
    assert!(route().contains(" mtu 1280 "), "{}", route());
    // Cut by the sender itself it passes.
    let cut = ["ping", "-6", "-n", "-s", "1400", "-c", "1", "-W", "1", "2001:db8:1::9"];
    lab.exec("inside", &cut).good();

    lab.exec("outside", &["ip", "link", "set", "wan", "mtu", "1500"]).good();
    let _nginx = serve_a_page(&lab, "inside");
    let download = |seconds| {
        let ran = lab.exec(
            "outside",
            &["curl", "-sS", "--max-time", seconds, "http://[2001:db8::2]/page"],
        );
        ran.code == 0 && ran.out == page()
    };
    forget();
    assert!(!route().contains(" mtu "), "{}", route());
    assert!(download("5"));
    assert!(route().contains(" mtu 1280 "), "{}", route());
    // A firewall that lets no such word through makes a black hole.
    let rules = lab.rules("ip6tables");
    let deaf = "*filter\n-A OUTPUT -p ipv6-icmp -m icmp6 --icmpv6-type 2 -j DROP\nCOMMIT\n";
    rules.restore(deaf).good();
    forget();
    assert!(!download("1"));
    assert!(rules.packets("--icmpv6-type 2 -j DROP") > 0);
    assert!(!route().contains(" mtu "), "{}", route());
}

/// The rules come with the lab, those of both families.
#[test]
fn addresses_are_translated_in_both_families_alike() {
    let Some(scratch) = Scratch::new("nat66", &["nginx", "curl"]) else {
        return;
    };
    for (name, inside) in [("rules.v4", "10.0.0.2:80"), ("rules.v6", "[2001:db8::2]:80")] {
        let rules = format!(
            "*nat\n-A PREROUTING -i wan -p tcp -m tcp --dport 8080 -j DNAT --to-destination {inside}\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n\
             *filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A FORWARD -i lan -j ACCEPT\n\
             -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\nCOMMIT\n"
        );
        scratch.write(name, &rules);
    }
    let lab = scratch.up_with(BOTH_FAMILIES, &["--rules", "rules.v4", "--rules6", "rules.v6"]);
    let _outside = serve_a_page(&lab, "outside");
    let get = |host, url| lab.exec(host, &["curl", "-sS", "--max-time", "5", url]).good();
    for url in ["http://192.0.2.9/page", "http://[2001:db8:1::9]/page"] {
        assert!(get("inside", url) == page(), "{url}");
    }
    assert_eq!(asked_by(&lab), ["192.0.2.1 200 1000000", "2001:db8:1::1 200 1000000"]);
    let _inside = serve_a_page(&lab, "inside");
    for url in ["http://192.0.2.1:8080/page", "http://[2001:db8:1::1]:8080/page"] {
        assert!(get("outside", url) == page(), "{url}");
    }
    assert_eq!(
        asked_by(&lab)[2..],
        ["192.0.2.9 200 1000000", "2001:db8:1::9 200 1000000"]
    );
    for tool in ["iptables", "ip6tables"] {
        let rules = lab.rules(tool);
        assert_eq!(rules.packets("-j MASQUERADE"), 1, "{tool}");
        assert_eq!(rules.packets("--ctstate DNAT -j ACCEPT"), 1, "{tool}");
        assert_eq!(rules.policy_drops("FORWARD"), 0, "{tool}");
    }
}

fn page() -> String {
    "x".repeat(1_000_000)
}

/// At port 80 of every address of both families.
fn serve_a_page(lab: &Lab, host: &str) -> Process {
    let directory = lab.scratch.path("").display().to_string();
    std::fs::create_dir_all(lab.scratch.path("www")).unwrap();
    lab.scratch.write("www/page", &page());
    let config = CONFIG.replace("DIRECTORY", &directory);
    let config = lab.scratch.write("nginx.conf", &config).display().to_string();
    lab.serve(
        host,
        &["nginx", "-p", &directory, "-c", &config, "-e", "stderr"],
        Waits::Tcp6(80),
    )
}

/// Who asked for pages, whether they were there, and their bytes.
fn asked_by(lab: &Lab) -> Vec<String> {
    let log = std::fs::read_to_string(lab.scratch.path("access.log")).unwrap();
    log.lines().map(str::to_owned).collect()
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
        listen 80;
        listen [::]:80;
        root DIRECTORY/www;
    }
}
";
