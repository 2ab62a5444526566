//! The firewall programs that people run, unmodified from Debian, as a host's and as a router's: under `nflab sh` and under `nflab sh --into` a lab
//! that is up. Nothing of the machine changes; what they install is in the lab, and what a lab has not yet is refused by name.
//!
//! `docs/containment.md` has the table of where each of them stands. Each writes its configuration where it always does, since what it writes there
//! is thrown away.

use std::path::{Path, PathBuf};

use crate::bench::{Bench, Ran, run};

struct Firewall {
    /// The program that must be there, by its path.
    program: &'static str,
    package: &'static str,
    /// Configures and starts it; `$kind` is host or router.
    script: &'static str,
    /// Lines of `iptables-save` that must be there.
    host: &'static [&'static str],
    router: &'static [&'static str],
    /// What is told of what a lab has not.
    said: &'static [&'static str],
}

#[test]
fn ufw() {
    check(&Firewall {
        program: "/usr/sbin/ufw",
        package: "ufw",
        script: r#"
            grep -q '^IPV6=yes' /etc/default/ufw || exit 8
            if [ $kind = router ]; then
                sed -i 's/^DEFAULT_FORWARD_POLICY=.*/DEFAULT_FORWARD_POLICY="ACCEPT"/' /etc/default/ufw
                echo net/ipv4/ip_forward=1 >> /etc/ufw/sysctl.conf
                printf '*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -s 10.0.0.0/24 -o wan -j MASQUERADE\nCOMMIT\n' >> /etc/ufw/before.rules
                ufw route deny in on lan out on wan to any port 25 proto tcp
            fi
            ufw allow 22/tcp && ufw deny from 203.0.113.0/24 && ufw --force enable && ufw reload && ufw status | grep -q 22/tcp || exit 9
            ufw allow from 2001:db8::/32 to any port 443 proto tcp; ufw limit 80/tcp; ip6tables -S"#,
        host: &[
            ":INPUT DROP",
            ":FORWARD DROP",
            "-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT",
            "-A ufw-user-input -s 203.0.113.0/24 -j DROP",
            "-A ufw-user-input -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW -m recent --set --name DEFAULT --mask 255.255.255.255 --rsource",
            "-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A ufw-skip-to-policy-input -j DROP",
        ],
        router: &[
            ":FORWARD ACCEPT",
            "-A POSTROUTING -s 10.0.0.0/24 -o wan -j MASQUERADE",
            "-A ufw-user-forward -i lan -o wan -p tcp -m tcp --dport 25 -j DROP",
        ],
        said: &[
            "-P INPUT DROP\n",
            "-A ufw6-user-input -p tcp -m tcp --dport 22 -j ACCEPT\n",
            "-A ufw6-user-input -s 2001:db8::/32 -p tcp -m tcp --dport 443 -j ACCEPT\n",
            "-A ufw6-before-input -p ipv6-icmp -m icmp6 --icmpv6-type 135 -m hl --hl-eq 255 -j ACCEPT\n",
        ],
    });
}

#[test]
fn ferm() {
    check(&Firewall {
        program: "/usr/sbin/ferm",
        package: "ferm",
        script: r#"
            cat > /etc/ferm/ferm.conf <<F
domain ip table filter {
    chain INPUT { policy DROP; mod conntrack ctstate INVALID DROP; mod conntrack ctstate (ESTABLISHED RELATED) ACCEPT; interface lo ACCEPT;
        proto tcp dport (22 80) ACCEPT; }
    chain FORWARD { policy DROP; mod conntrack ctstate (ESTABLISHED RELATED) ACCEPT; }
}
F
            if [ $kind = router ]; then
                echo 'domain ip { table filter chain FORWARD interface lan outerface wan ACCEPT; table nat chain POSTROUTING outerface wan MASQUERADE; }' >> /etc/ferm/ferm.conf
                echo 1 > /proc/sys/net/ipv4/ip_forward
            fi
            ferm /etc/ferm/ferm.conf && ferm --slow /etc/ferm/ferm.conf || exit 9
            echo 'domain ip6 table filter chain INPUT { policy DROP; saddr 2001:db8::/32 ACCEPT; }' > /etc/ferm/six.conf
            ferm /etc/ferm/six.conf && ip6tables -S INPUT"#,
        host: &[
            ":INPUT DROP",
            "-A INPUT -m conntrack --ctstate INVALID -j DROP",
            "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
            "-A INPUT -p tcp -m tcp --dport 80 -j ACCEPT",
        ],
        router: &[
            "-A FORWARD -i lan -o wan -j ACCEPT",
            "-A POSTROUTING -o wan -j MASQUERADE",
        ],
        said: &["-A INPUT -s 2001:db8::/32 -j ACCEPT"],
    });
}

#[test]
fn shorewall() {
    check(&Firewall {
        program: "/usr/sbin/shorewall",
        package: "shorewall",
        script: r#"
            [ $kind = router ] && example=two-interfaces || example=one-interface
            cp /usr/share/doc/shorewall/examples/$example/* /etc/shorewall/ || cp /usr/share/shorewall/configfiles/* /etc/shorewall/
            sed -i 's/^STARTUP_ENABLED=.*/STARTUP_ENABLED=Yes/' /etc/shorewall/shorewall.conf
            sed -i 's/eth0/wan/; s/eth1/lan/; s/dhcp,//' /etc/shorewall/interfaces
            : > /var/log/messages
            shorewall start && shorewall status && shorewall reload"#,
        host: &[
            ":INPUT DROP",
            "-A INPUT -i wan -j net-fw",
            "-A net-fw -p tcp -j tcpflags",
        ],
        router: &[
            ":FORWARD DROP",
            "-A FORWARD -i lan -j loc_frwd",
            "-A POSTROUTING -o wan -j NET_IF_masq",
            "-A NET_IF_masq -s 10.0.0.0/8 -j MASQUERADE",
        ],
        said: &[],
    });
}

#[test]
fn arno_iptables_firewall() {
    check(&Firewall {
        program: "/usr/sbin/arno-iptables-firewall",
        package: "arno-iptables-firewall",
        script: r#"
            {
                echo 'EXT_IF="wan"'; echo 'EXT_IF_DHCP_IP=0'; echo 'OPEN_TCP="22"'; echo 'LOCAL_CONFIG_DIR=""'; echo IPV6_SUPPORT=1
                [ $kind = host ] || printf 'INT_IF="lan"\nINTERNAL_NET="10.0.0.0/24 2001:db8::/64"\nNAT=1\nNAT_INTERNAL_NET="10.0.0.0/24"\n'
            } > /etc/arno-iptables-firewall/conf.d/99test.conf
            rm -f /etc/arno-iptables-firewall/conf.d/00debconf.conf
            arno-iptables-firewall start; ip6tables -S"#,
        host: &[
            ":INPUT DROP",
            "-A INPUT -i wan ! -p icmp -m conntrack --ctstate NEW -j EXT_INPUT_CHAIN",
            "-A EXT_INPUT_CHAIN -p tcp -m tcp --dport 22 -j ACCEPT",
        ],
        router: &[
            "-A INPUT -i lan -j INT_INPUT_CHAIN",
            "-A POSTROUTING -s 10.0.0.0/24 ! -d 10.0.0.0/24 -o wan -j MASQUERADE",
        ],
        said: &[
            "dmesg: -n is not there in nflab",
            "IPv4/IPv6 mixed mode selected",
            "All firewall rules applied.",
            "-A INPUT -i wan ! -p ipv6-icmp -m conntrack --ctstate NEW -j EXT_INPUT_CHAIN\n",
            "-A EXT_INPUT_CHAIN -p tcp -m tcp --dport 22 -j ACCEPT\n",
        ],
    });
}

#[test]
fn firewalld() {
    check(&Firewall {
        program: "/usr/sbin/firewalld",
        package: "firewalld",
        script: r#"
            # IPv6 is looked after too, but for rpfilter, which is not there yet.
            sed -i 's/^FirewallBackend=.*/FirewallBackend=iptables/; s/^IPv6_rpfilter=.*/IPv6_rpfilter=no/' /etc/firewalld/firewalld.conf
            firewall-offline-cmd --add-port=8080/tcp > /dev/null && firewall-offline-cmd --add-icmp-block=echo-request > /dev/null
            if [ $kind = router ]; then
                firewall-offline-cmd --zone=external --add-interface=wan > /dev/null && firewall-offline-cmd --zone=internal --add-interface=lan > /dev/null
            fi
            mkdir -p /run/dbus; dbus-daemon --system --fork
            firewalld --nofork --nopid > /run/said 2>&1 &
            for i in $(seq 300); do [ "$(firewall-cmd --state 2> /dev/null)" = running ] && break; sleep 0.1; done
            firewall-cmd --state > /dev/null || exit 9
            grep 'not supported by the kernel for ipv4' /run/said && exit 8
            cat /run/said /var/log/firewalld; firewall-cmd --set-log-denied=all
            ip6tables -S"#,
        host: &[
            "-A IN_public_allow -p tcp -m tcp --dport 22 -j ACCEPT",
            "-A IN_public_allow -p tcp -m tcp --dport 8080 -j ACCEPT",
            "-A IN_public_deny -p icmp -m icmp --icmp-type 8 -j REJECT --reject-with icmp-host-prohibited",
            "-A INPUT -j REJECT --reject-with icmp-host-prohibited",
        ],
        router: &[
            "-A INPUT_ZONES -i wan -g IN_external",
            "-A PRE_internal_allow -p udp -m udp --dport 137 -j CT --helper netbios-ns",
            "-A POST_external_allow ! -o lo -j MASQUERADE",
        ],
        said: &["-A IN_public_allow -p tcp -m tcp --dport 8080 -j ACCEPT"],
    });
}

#[test]
fn fail2ban() {
    check(&Firewall {
        program: "/usr/bin/fail2ban-server",
        package: "fail2ban",
        script: r#"
            [ $kind = router ] && chain=FORWARD || chain=INPUT
            mkdir -p /run/fail2ban; : > /var/log/auth.log; rm -f /etc/fail2ban/jail.d/*
            printf '[DEFAULT]\nbanaction = iptables-multiport\nchain = %s\n[sshd]\nenabled = true\nbackend = polling\nlogpath = /var/log/auth.log\n' $chain > /etc/fail2ban/jail.d/test.conf
            fail2ban-server -b > /dev/null
            client() { fail2ban-client "$@"; }
            for i in $(seq 300); do client ping > /dev/null 2>&1 && break; sleep 0.1; done
            client set sshd banip 203.0.113.9 203.0.113.10 > /dev/null; for i in $(seq 100); do iptables -S f2b-sshd | grep -q 203.0.113.10 && break; sleep 0.1; done
            client set sshd unbanip 203.0.113.9 > /dev/null; for i in $(seq 100); do iptables -S f2b-sshd | grep -q 203.0.113.9/ || break; sleep 0.1; done
            client set sshd banip 2001:db8::9 > /dev/null; for i in $(seq 100); do ip6tables -S f2b-sshd 2> /dev/null | grep -q 2001:db8::9 && break; sleep 0.1; done
            ip6tables -S; ipset create x hash:ip; true"#,
        host: &[
            "-A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd",
            "-A f2b-sshd -s 203.0.113.10/32 -j REJECT --reject-with icmp-port-unreachable",
        ],
        router: &["-A FORWARD -p tcp -m multiport --dports 22 -j f2b-sshd"],
        said: &[
            "-A f2b-sshd -s 2001:db8::9/128 -j REJECT --reject-with icmp6-port-unreachable\n",
            "ipset: sets are not there yet in nflab",
        ],
    });
}

const RULES: &str = r#"
            {
                printf '*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n'
                [ $kind = host ] || printf -- '-A FORWARD -i lan -o wan -j ACCEPT\nCOMMIT\n*nat\n-A POSTROUTING -o wan -j MASQUERADE\n'
                printf 'COMMIT\n'
            } > rules"#;

const RULES_OF_HOST: &[&str] = &[":INPUT DROP", "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT"];
const RULES_OF_ROUTER: &[&str] = &[
    "-A FORWARD -i lan -o wan -j ACCEPT",
    "-A POSTROUTING -o wan -j MASQUERADE",
];

#[test]
fn iptables_apply() {
    let script = format!(
        "{RULES}\n{}",
        r#"
            # It stops fail2ban where that is installed, and gives up where it did not run.
            rm -f /etc/init.d/fail2ban
            echo y | iptables-apply -t 20 rules || exit 9
            printf '*filter\n-A INPUT -s 203.0.113.6 -j DROP\nCOMMIT\n' > other
            iptables-apply -t 1 other < /dev/null && exit 9
            iptables -S | grep 203.0.113.6 && exit 9
            printf '*filter\n-A INPUT -s 2001:db8::6 -j DROP\nCOMMIT\n' > six; echo y | ip6tables-apply -t 20 six || exit 9
            ip6tables -S INPUT"#
    );
    check(&Firewall {
        program: "/usr/sbin/iptables-apply",
        package: "iptables",
        script: Box::leak(script.into_boxed_str()),
        host: RULES_OF_HOST,
        router: RULES_OF_ROUTER,
        said: &["Reverting to old", "-A INPUT -s 2001:db8::6/128 -j DROP"],
    });
}

/// It can't be installed beside ufw, so that its packages are unpacked where they would be, in the throw-away system.
#[test]
fn netfilter_persistent() {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/packages");
    let found: Vec<PathBuf> = std::fs::read_dir(&packages)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().contains("-persistent_"))
        .collect();
    let script = format!(
        "{RULES}\n{}",
        r#"
            for package in "$packages"/*-persistent_*.deb; do dpkg-deb -x "$package" unpacked || exit 9; done
            cp -r unpacked/usr unpacked/etc /; [ -d unpacked/lib ] && cp -r unpacked/lib/. /lib/
            mkdir -p /etc/iptables; cp rules /etc/iptables/rules.v4
            printf '*filter\n-A INPUT -s 2001:db8::6 -j DROP\nCOMMIT\n' > /etc/iptables/rules.v6
            netfilter-persistent start; iptables -A INPUT -s 203.0.113.7 -j DROP; netfilter-persistent save
            grep -q 203.0.113.7 /etc/iptables/rules.v4 || exit 9; iptables -F; netfilter-persistent reload
            cat /etc/iptables/rules.v6; true"#
    );
    check(&Firewall {
        program: match found.len() {
            2.. => "/usr/bin/dpkg-deb",
            _ => "target/packages/netfilter-persistent and iptables-persistent (tests/run fetches them)",
        },
        package: "netfilter-persistent",
        script: Box::leak(script.into_boxed_str()),
        host: &[
            ":INPUT DROP",
            "-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT",
            "-A INPUT -s 203.0.113.7/32 -j DROP",
        ],
        router: RULES_OF_ROUTER,
        said: &["-A INPUT -s 2001:db8::6/128 -j DROP"],
    });
}

fn check(firewall: &Firewall) {
    let missing = match () {
        () if !rustix::process::geteuid().is_root() => "root",
        () if !Path::new(firewall.program).exists() => firewall.program,
        () => "",
    };
    if !missing.is_empty() {
        eprintln!("!!! {} WAS NOT TRIED: it needs {missing}", firewall.package);
        assert!(
            std::env::var_os("NFLAB_REQUIRE_KERNEL").is_none(),
            "NFLAB_REQUIRE_KERNEL is set: this is a failure"
        );
        return;
    }
    for kind in ["host", "router"] {
        for place in ["fresh", "live"] {
            let ran = in_place(firewall, kind, place);
            let what = format!("{} as {kind}, {place}", firewall.package);
            let told = format!("{what}: {}\n{}\n{}", ran.code, ran.out, ran.err);
            assert!(ran.out.ends_with("\nmachine untouched\n"), "{told}");
            assert!(ran.out.contains("\nended with 0\n"), "{told}");
            let rules = ran.out.split("\nrules:\n").nth(1).unwrap_or_default();
            let more = if kind == "router" { firewall.router } else { &[] };
            // As a router it may say otherwise what it says as a host.
            let lines = if kind == "host" { firewall.host } else { more };
            for line in lines {
                assert!(
                    rules
                        .lines()
                        .any(|it| it.starts_with(line) || it.split_once("] ").is_some_and(|it| it.1 == *line)),
                    "{line:?} is not there: {told}"
                );
            }
            for said in firewall.said {
                assert!(
                    ran.out.contains(said) || ran.err.contains(said),
                    "{said:?} was not said: {told}"
                );
            }
        }
    }
}

/// On a machine that is a namespace, whose state is looked at before and after.
fn in_place(firewall: &Firewall, kind: &str, place: &str) -> Ran {
    let bench = Bench::new();
    bench.write("firewall.sh", &format!("{}\n", firewall.script));
    bench.write("lab.toml", LAB);
    bench.write("machine.sh", MACHINE);
    let mut command = bench.command("unshare".as_ref());
    command
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--mount-proc",
            "bash",
            "machine.sh",
            place,
        ])
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("nflab", env!("CARGO_BIN_EXE_nflab"))
        .env("packages", concat!(env!("CARGO_MANIFEST_DIR"), "/target/packages"))
        .env("kind", kind)
        .env_remove("NFLAB")
        .env_remove("XDG_RUNTIME_DIR");
    run(command, "")
}

const LAB: &str = r#"[interface.lan]
address = ["10.0.0.1/24"]
[interface.wan]
address = ["192.0.2.1/24"]
[[route]]
to = "default"
via = "192.0.2.254"
"#;

const MACHINE: &str = r#"
    state() {
        iptables-legacy-save; nft list ruleset 2> /dev/null; ip addr; ip route
        grep -r . /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf /proc/sys/net/netfilter /proc/sys/kernel/printk /proc/sys/kernel/panic 2> /dev/null | grep -v nf_conntrack_count
        find /etc /var/lib /usr/share/netfilter-persistent /usr/sbin /run/xtables.lock /boot -xdev -printf '%p %s %m %u %T@\n' 2> /dev/null | grep -vE '^/var/lib/(dpkg|apt|systemd|logrotate)|^/etc/mtab '
        ps -e -o args > processes; grep -vE '^ps |machine.sh' processes
    }
    mount -t tmpfs none /run
    state > before 2> /dev/null
    if [ "$1" = live ]; then
        "$nflab" up lab.toml > up.log 2>&1 & up=$!
        for i in $(seq 300); do grep -q "is up" up.log && break; sleep 0.05; done
        "$nflab" sh --into lab --save saved -- bash firewall.sh; code=$?; echo; echo "ended with $code"
        "$nflab" iptables-save > live 2> live.err; echo "rules:"; cat live
        kill $up; wait $up
        diff <(grep -v '^#' live | sed 's/ \[.*//' | sort) <(grep -v '^#' saved | sed 's/^\[[0-9:]*\] //; s/ \[.*//' | sort) > /dev/null || echo "saved otherwise"
    else
        "$nflab" sh --lab lab.toml --save saved -- bash firewall.sh; code=$?; echo; echo "ended with $code"
        echo "rules:"; cat saved
    fi
    state > after 2> /dev/null
    cmp -s before after && echo "machine untouched" || { echo "machine CHANGED"; diff before after | head -20; }
"#;
