//! Lab files: what is taken, and what is refused with its position and remedy.

use super::*;
use crate::base::Family;
use crate::device::text_file::read_bytes;

const GOOD: &str = r#"
[sysctl]
"net.netfilter.nf_conntrack_tcp_loose" = 0
net.ipv4.ip_forward = true
"net.ipv4.ipfrag_time" = "30"
[interface.wan]
address = ["192.0.2.1/24", "2001:db8::1/64"]
[interface.lan]
address = "10.0.0.1/24"
mtu = 1_400
[[route]]
to = "default"
via = "192.0.2.254"
[[route]]
to = "::/0"
via = "2001:db8::fe"
[[route]]
to = "10.9.0.0/16"
dev = "lan"
[host.b]
interface = "lan"
address = "10.0.0.2/24"
[host.a]
interface = "wan"
address = ["192.0.2.9/24", "2001:db8::9/64"]
gateway = "192.0.2.254"
"#;

fn errors(text: &str) -> String {
    match LabFile::parse("lab.toml", text) {
        Ok(_) => "accepted".into(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_whole_lab() {
    let lab = LabFile::parse("dir/office.toml", GOOD).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(lab.lab_name().unwrap(), "office");
    let sysctls: Vec<_> = lab
        .sysctls
        .iter()
        .map(|it| (it.key.as_str(), it.value.as_str()))
        .collect();
    assert_eq!(
        sysctls,
        [
            ("net.netfilter.nf_conntrack_tcp_loose", "0"),
            ("net.ipv4.ip_forward", "1"),
            ("net.ipv4.ipfrag_time", "30"),
        ]
    );
    let interfaces: Vec<_> = lab
        .interfaces
        .iter()
        .map(|it| (it.name.to_string(), it.addresses.len(), it.mtu))
        .collect();
    assert_eq!(
        interfaces,
        [("wan".to_string(), 2, 1500), ("lan".to_string(), 1, 1400)],
        "in the order of the file"
    );
    let routes: Vec<_> = lab
        .routes
        .iter()
        .map(|it| {
            (
                it.to.prefix_length(),
                it.hops[0].via.is_some(),
                it.hops[0].interface.to_string(),
            )
        })
        .collect();
    assert_eq!(
        routes,
        [
            (Some(0), true, "wan".to_string()),
            (Some(0), true, "wan".to_string()),
            (Some(16), false, "lan".to_string())
        ]
    );
    assert_eq!(lab.routes[1].to.family(), Family::V6);
    assert_eq!(
        lab.host("b").unwrap().gateways,
        [IpAddr::from([10, 0, 0, 1])],
        "the router, when not said"
    );
    let a = lab.host("a").unwrap();
    assert_eq!(
        a.gateways,
        ["192.0.2.254".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]
    );
    assert_eq!(lab.hosts_of(InterfaceName::new("lan").unwrap()).count(), 1);
}

#[test]
fn errors_are_drawn_with_position_expectation_and_remedy() {
    assert_eq!(
        errors("[interface.lan]\naddress = [\"10.0.0.1\"]\nadress = 3\n"),
        r#"error: "10.0.0.1" has no prefix length
 --> lab.toml:2:12
  |
2 | address = ["10.0.0.1"]
  |            ^^^^^^^^^^ expected an address and a prefix length, such as "10.0.0.1/24"
  |
  = help: write "10.0.0.1/24", or /32 where no neighbour shall be in its subnet

error: unknown key `adress` in [interface.lan]
 --> lab.toml:3:1
  |
3 | adress = 3
  | ^^^^^^ expected one of `address`, `mtu`, `offload`
  |
  = help: did you mean `address`?"#
    );
}

#[test]
fn a_lab_has_the_workers_that_its_file_says() {
    for (top, workers) in [("", None), ("workers = 1\n", Some(1)), ("workers = 1_28\n", Some(128))] {
        let file = LabFile::parse("lab.toml", &format!("{top}[interface.lan]\naddress = []\n")).unwrap();
        assert_eq!(file.workers, workers, "{top}");
    }
}

#[test]
fn offload_is_on_unless_the_lab_or_the_interface_says_otherwise() {
    for (top, of_lan, is_on) in [
        ("", "", true),
        ("offload = true\n", "", true),
        ("offload = false\n", "", false),
        ("", "offload = false\n", false),
        ("offload = false\n", "offload = true\n", true),
    ] {
        let text = format!("{top}[interface.lan]\naddress = []\n{of_lan}[interface.wan]\naddress = []\n");
        let file = LabFile::parse("lab.toml", &text).unwrap();
        let said = |name: &str| file.interface(name).unwrap().offload;
        assert_eq!((said("lan"), said("wan")), (is_on, !top.contains("false")), "{text}");
    }
}

#[test]
fn everything_that_is_wrong_is_found_at_its_place() {
    const LAN: &str = "[interface.lan]\naddress = [\"10.0.0.1/24\"]\n";
    for (text, line_and_column, message) in [
        ("", "1:1", "this lab has no interface"),
        ("x", "1:2", "this is not TOML"),
        ("[interface.lan", "1:15", "this is not TOML"),
        (
            "[interfaces.lan]\n",
            "1:2",
            "unknown key `interfaces` at the top of a lab file",
        ),
        ("interface = 3", "1:1", "`interface` is a TOML integer, not a table"),
        ("[interface]\nlan = 3", "2:1", "`lan` is a TOML integer, not a table"),
        ("[interface.lan]\n", "1:12", "[interface.lan] has no address"),
        (
            "[interface.lo]\naddress = []",
            "1:12",
            "\"lo\" cannot name an interface: it is the router's own",
        ),
        (
            "[interface.local]\naddress = []",
            "1:12",
            "\"local\" cannot name an interface",
        ),
        (
            "[interface.a-name-of-sixteen]\naddress = []",
            "1:12",
            "it has 17 bytes, and the kernel keeps 15",
        ),
        ("[interface.\"a b\"]\naddress = []", "1:12", "' ' must not be in it"),
        ("[interface.\"a/b\"]\naddress = []", "1:12", "'/' must not be in it"),
        ("[interface.\"\"]\naddress = []", "1:12", "it is empty"),
        (
            "[interface.lan]\naddress = 7",
            "2:11",
            "this is a TOML integer, not a text",
        ),
        (
            "[interface.lan]\naddress = \"10.0.0.300/24\"",
            "2:11",
            "\"10.0.0.300/24\" is not an address",
        ),
        (
            "[interface.lan]\naddress = \"10.0.0.1/33\"",
            "2:11",
            "\"33\" is not a prefix length of an IPv4 address",
        ),
        (
            "[interface.lan]\naddress = \"10.0.0.1/+8\"",
            "2:11",
            "\"+8\" is not a prefix length",
        ),
        (
            "[interface.lan]\naddress = \"224.0.0.1/24\"",
            "2:11",
            "224.0.0.1 is not an address that an interface can have",
        ),
        ("[interface.lan]\naddress = []\nmtu = 67", "3:7", "this is not an MTU"),
        (
            "[interface.lan]\naddress = \"fd00::1/64\"\nmtu = 1000",
            "2:11",
            "interface lan has an IPv6 address and an MTU of 1000",
        ),
        ("offload = 1", "1:11", "`offload` is a TOML integer"),
        (
            "[host.x]\noffload = false",
            "2:1",
            "`offload` is the interface's, and all of its hosts share it",
        ),
        (
            "[host.x]\nmtu = 1400",
            "2:1",
            "`mtu` is the interface's, and all of its hosts share it",
        ),
        ("workers = 0", "1:11", "so many workers carry no lab's packets"),
        ("workers = 129", "1:11", "so many workers carry no lab's packets"),
        ("workers = \"all\"", "1:11", "so many workers carry no lab's packets"),
        (
            "[interface.lan]\naddress = []\noffload = \"no\"",
            "3:11",
            "`offload` is a TOML string",
        ),
        ("[sysctl]\n\"a.b\" = [1]", "2:9", "the value of `a.b` is a TOML array"),
        (
            "[sysctl]\n\"a.b\" = 1\na.b = 2",
            "3:3",
            "`a.b` is set twice (first to 1)",
        ),
        ("[route]\nto = \"default\"", "1:2", "`route` is not a list of tables"),
        ("[[route]]\nvia = \"10.0.0.2\"", "1:1", "this route has no `to`"),
        (
            "[[route]]\nto = \"default\"",
            "1:1",
            "this route has neither `via` nor `dev`",
        ),
        (
            "[[route]]\nto = \"10.1.2.3/16\"\nvia = \"10.0.0.2\"",
            "2:6",
            "10.1.2.3/16 has bits set behind its prefix",
        ),
        (
            "[[route]]\nto = \"default\"\nvia = \"gateway\"",
            "3:7",
            "\"gateway\" is not an address",
        ),
        (
            "[[route]]\nto = \"default\"\nvia = \"192.0.2.1\"",
            "3:7",
            "the gateway 192.0.2.1 is in the subnet of no interface",
        ),
        (
            "[[route]]\nto = \"default\"\nvia = \"10.0.0.1\"",
            "3:7",
            "the gateway 10.0.0.1 is the router itself",
        ),
        (
            "[[route]]\nto = \"2001:db8::/32\"\nvia = \"fe80::fe\"",
            "3:7",
            "the gateway fe80::fe may be on any link",
        ),
        (
            "[[route]]\nto = \"2001:db8::/32\"\nvia = \"fe80::1\"\ndev = \"lan\"",
            "3:7",
            "the gateway fe80::1 is the router itself",
        ),
        (
            "[[route]]\nto = \"default\"\ndev = \"wan\"",
            "3:7",
            "this lab has no interface \"wan\"",
        ),
        (
            "[[route]]\nto = \"::/0\"\nvia = \"10.0.0.2\"",
            "3:7",
            "`via` 10.0.0.2 is of another family than `to` ::/0",
        ),
        (
            "[[route]]\nto = \"default\"\nvia = [\"10.0.0.2\", \"10.0.0.3\"]",
            "3:7",
            "several gateways do not go into `via`",
        ),
        (
            "[[route]]\nto = \"default\"\nvia = \"10.0.0.2\"\nweight = 2",
            "4:1",
            "`weight` is the share of one of several gateways",
        ),
        (
            "[[route]]\nto = \"default\"\nvia = \"10.0.0.2\"\nnexthop = [{ via = \"10.0.0.3\" }, { via = \"10.0.0.4\" }]",
            "4:1",
            "this route has `nexthop` beside `via` or `dev`",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = [{ via = \"10.0.0.3\" }]",
            "3:11",
            "`nexthop` is not a list of several gateways",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = \"10.0.0.3\"",
            "3:11",
            "`nexthop` is not a list of several gateways",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = [{ via = \"10.0.0.3\" }, \"10.0.0.4\"]",
            "3:34",
            "a gateway is a table",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = [{ via = \"10.0.0.3\" }, { weight = 2 }]",
            "3:34",
            "this gateway has neither `via` nor `dev`",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = [{ via = \"10.0.0.3\", weigth = 2 }, { via = \"10.0.0.4\" }]",
            "3:32",
            "unknown key `weigth` in `nexthop`",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = [{ via = \"10.0.0.3\", weight = 257 }, { via = \"10.0.0.4\" }]",
            "3:41",
            "this is not a weight",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = [{ via = \"10.0.0.3\", weight = 0 }, { via = \"10.0.0.4\" }]",
            "3:41",
            "this is not a weight",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = [{ via = \"10.0.0.3\" }, { via = \"10.0.1.4\" }]",
            "3:42",
            "the gateway 10.0.1.4 is in the subnet of no interface",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = [{ via = \"10.0.0.3\" }, { via = \"2001:db8::3\" }]",
            "3:42",
            "`via` 2001:db8::3 is of another family than `to` default",
        ),
        (
            "[[route]]\nto = \"default\"\nnexthop = [{ via = \"10.0.0.3\" }, { via = \"10.0.0.3\", dev = \"lan\" }]",
            "3:42",
            "this gateway stands in its route twice",
        ),
        (
            "[[route]]\nto = \"2001:db8:7::/48\"\nnexthop = [{ dev = \"lan\" }, { via = \"fe80::3\", dev = \"lan\" }]",
            "3:12",
            "one of several ways of IPv6 has no gateway",
        ),
        ("[host.h]\ninterface = \"lan\"", "1:7", "[host.h] has no address"),
        (
            "[host.h]\naddress = \"10.0.0.2/24\"",
            "1:7",
            "[host.h] has no interface",
        ),
        (
            "[host.\"h/i\"]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"",
            "1:7",
            "\"h/i\" cannot name a host",
        ),
        (
            "[host.lan]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"",
            "1:7",
            "\"lan\" cannot name a host: an interface of this lab has that name",
        ),
        (
            "[host.router]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"",
            "1:7",
            "\"router\" cannot name a host: it is the lab's router itself",
        ),
        (
            "[host.local]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"",
            "1:7",
            "\"local\" cannot name a host: it is what the router itself sends",
        ),
        (
            "[host.localhost]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"",
            "1:7",
            "\"localhost\" cannot name a host",
        ),
        (
            "[host.80]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"",
            "1:7",
            "\"80\" cannot name a host: it is read as an address",
        ),
        (
            "[host.\"10.0.0.9\"]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"",
            "1:7",
            "\"10.0.0.9\" cannot name a host",
        ),
        (
            "[host.h]\ninterface = \"lan\"\nadress = \"10.0.0.2/24\"",
            "3:1",
            "unknown key `adress` in [host.h]",
        ),
        (
            "[interface.lan]\nadress = [\"10.0.0.1/24\"]",
            "2:1",
            "unknown key `adress` in [interface.lan]",
        ),
        (
            "[[route]]\nto = \"default\"\nvai = \"10.0.0.2\"",
            "3:1",
            "unknown key `vai` in [[route]]",
        ),
        (
            "[host.h]\ninterface = \"lna\"\naddress = \"10.0.0.2/24\"",
            "2:13",
            "this lab has no interface \"lna\"",
        ),
        (
            "[host.h]\ninterface = \"lan\"\naddress = \"10.0.1.2/24\"",
            "3:11",
            "10.0.1.2 of host h is in no subnet of interface lan",
        ),
        (
            "[host.h]\ninterface = \"lan\"\naddress = \"10.0.0.1/24\"",
            "3:11",
            "10.0.0.1 is already the address of interface lan",
        ),
        (
            "[host.h]\ninterface = \"lan\"\naddress = \"10.0.0.2/24\"\ngateway = \"10.0.1.1\"",
            "4:11",
            "the gateway 10.0.1.1 is in no subnet of host h",
        ),
    ] {
        // The tables under test come first, so that their lines count from 1; the interface they need follows.
        let own_interface =
            text.is_empty() || text.contains("interface.") || text.len() < 2 || text.starts_with("interface =");
        let whole = if own_interface || text.starts_with("[interface") {
            text.to_owned()
        } else {
            format!("{text}\n{LAN}")
        };
        let drawn = errors(&whole);
        assert!(drawn.contains(message), "{whole}\n{drawn}\nexpected {message}");
        assert!(
            drawn.contains(&format!("--> lab.toml:{line_and_column}\n")),
            "{whole}\n{drawn}\nexpected {line_and_column}"
        );
        assert!(drawn.contains("help:"), "no remedy: {drawn}");
    }
}

/// As long as it costs little: of very many wrong names among very many right ones the last are let be.
/// An address of the link is a neighbour's on any interface, and what the router would have there is another's where it has one of its own.
#[test]
fn a_gateway_may_be_of_the_link() {
    for (address, via) in [("2001:db8::1/64", "fe80::fe"), ("fe80::2/64", "fe80::1")] {
        let text = format!(
            "[interface.lan]\naddress = \"{address}\"\n[[route]]\nto = \"::/0\"\nvia = \"{via}\"\ndev = \"lan\"\n"
        );
        assert_eq!(errors(&text), "accepted");
    }
}

/// What `ip route` then tells, in both families; each in the two forms that TOML has for a list of tables.
#[test]
fn a_route_may_have_several_gateways() {
    const LAB: &str = "[interface.lan]\naddress = [\"10.0.0.1/24\", \"2001:db8::1/64\"]\n[interface.wan]\naddress = [\"192.0.2.1/24\", \"2001:db8:1::1/64\"]\n[[route]]\nto = \"default\"\n";
    for (hops, told) in [
        (
            ["via = \"10.0.0.9\"\nweight = 2", "via = \"192.0.2.254\"\ndev = \"wan\""],
            "default nexthop via 10.0.0.9 dev lan weight 2 nexthop via 192.0.2.254 dev wan weight 1",
        ),
        (
            ["dev = \"lan\"", "via = \"192.0.2.254\"\nweight = 256"],
            "default nexthop dev lan weight 1 nexthop via 192.0.2.254 dev wan weight 256",
        ),
        (
            ["via = \"2001:db8::9\"", "via = \"fe80::9\"\ndev = \"wan\"\nweight = 3"],
            "default metric 1024 pref medium nexthop via 2001:db8::9 dev lan weight 1 nexthop via fe80::9 dev wan weight 3",
        ),
    ] {
        let inline = hops.map(|hop| format!("{{ {} }}", hop.replace('\n', ", ")));
        for form in [
            format!("nexthop = [{}]\n", inline.join(", ")),
            hops.map(|hop| format!("[[route.nexthop]]\n{hop}\n")).concat(),
        ] {
            let file = LabFile::parse("lab.toml", &format!("{LAB}{form}")).unwrap_or_else(|error| panic!("{error}"));
            let mut lab = crate::lab::memory::Lab::new(&file, 1, crate::cli::TOOLBOX).unwrap();
            let family = if told.contains("pref") { "-6" } else { "-4" };
            let args = [family, "route", "show", "default"].map(str::to_owned);
            let shown = lab.tool("ip", &args, "", Path::new("."));
            let words: Vec<&str> = shown.stdout.split_whitespace().collect();
            assert_eq!(words.join(" "), told, "{form}");
        }
    }
}

/// Of a live lab's wire: where nobody is on it, the one kernel at its end is handed all.
#[test]
fn two_gateways_on_a_wire_with_hosts_are_not_told_apart() {
    const LAB: &str = "[interface.lan]\naddress = [\"10.0.0.1/24\", \"2001:db8::1/64\"]\n[interface.wan]\naddress = [\"192.0.2.1/24\", \"2001:db8:1::1/64\"]\n[host.h]\ninterface = \"lan\"\naddress = [\"10.0.0.9/24\", \"2001:db8::9/64\"]\n[[route]]\nto = \"default\"\n";
    for (hops, refused) in [
        (["10.0.0.9", "192.0.2.9"], None),
        (["192.0.2.8", "192.0.2.9"], None),
        (["10.0.0.9", "10.0.0.8"], Some("10:42")),
        (["2001:db8::9", "2001:db8:1::9"], None),
        (["2001:db8::9", "2001:db8::8"], Some("10:45")),
    ] {
        let hops = hops.map(|via| format!("{{ via = \"{via}\" }}")).join(", ");
        let file = LabFile::parse("lab.toml", &format!("{LAB}nexthop = [{hops}]\n")).unwrap();
        let told = file.tells_gateways_apart().map_err(|error| error.to_string());
        match refused {
            None => assert_eq!(told, Ok(()), "{hops}"),
            Some(place) => assert!(told.is_err_and(|error| error.contains(place)), "{hops}"),
        }
    }
}

#[test]
fn a_name_that_is_near_is_meant() {
    let interfaces: String = (0..400)
        .map(|at| format!("[interface.lan{at}]\naddress = []\n"))
        .collect();
    let hosts: String = (0..260)
        .map(|at| format!("[host.h{at}]\ninterface = \"lam{at}\"\naddress = \"10.0.0.2/24\"\n"))
        .collect();
    let error = LabFile::parse("lab.toml", &format!("{interfaces}{hosts}")).unwrap_err();
    let remedies: Vec<&str> = error
        .problems
        .iter()
        .filter(|it| it.message.starts_with("this lab has no interface"))
        .map(|it| it.remedy.as_str())
        .collect();
    assert_eq!(remedies.len(), 260, "{:?}", error.problems.first());
    assert_eq!(remedies[..2], ["did you mean \"lan0\"?", "did you mean \"lan1\"?"]);
    assert_eq!(
        remedies[249..251],
        ["did you mean \"lan249\"?", "describe it in a table [interface.lam250]"]
    );
    assert!(
        errors("[host.h]\ninterface = \"quite-else\"\naddress = \"10.0.0.2/24\"\n[interface.lan]\naddress = \"10.0.0.1/24\"")
        .contains("describe it in a table")
    );
}

#[test]
fn an_error_can_be_drawn_later_at_a_kept_position() {
    let lab = LabFile::parse("lab.toml", GOOD).unwrap();
    let drawn = lab
        .error_at(
            lab.sysctls[0].value_position,
            "0 is out of bounds",
            "expected 1",
            "write 1",
        )
        .to_string();
    assert!(drawn.contains("--> lab.toml:3:42\n"), "{drawn}");
}

#[test]
fn names_of_labs() {
    for (name, valid) in [
        ("office", true),
        ("a.b-c_1", true),
        ("", false),
        ("-x", false),
        ("a b", false),
        ("ü", false),
        (".x", false),
    ] {
        assert_eq!(check_lab_name(name).is_ok(), valid, "{name:?}");
    }
}

#[test]
fn a_file_that_is_missing_or_no_text() {
    let missing = LabFile::load(Path::new("/nonexistent/lab.toml"), read_bytes)
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("cannot read the lab file /nonexistent/lab.toml: "),
        "{missing}"
    );
    let path = std::env::temp_dir().join(format!("nflab-device-file-{}.toml", std::process::id()));
    std::fs::write(&path, b"# caf\xe9\n").unwrap();
    let error = LabFile::load(&path, read_bytes).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(
        error.contains("the file is not UTF-8") && error.contains(":1:6"),
        "{error}"
    );
}

/// `profile` and `memory`, in the forms that TOML has for them.
#[test]
fn whose_machine_it_is() {
    const INTERFACE: &str = "[interface.lan]\naddress = \"10.0.0.1/24\"\n";
    let classic = Some(Profile::Classic);
    for (text, profile, windows, memory) in [
        ("", None, None, None),
        ("profile = \"classic\"\n", classic, None, None),
        (
            "profile = \"linux6\"\nmemory = \"1G\"\n",
            Some(Profile::Linux6),
            None,
            Some(1 << 30),
        ),
        ("profile.window_tracking = true\n", classic, Some(true), None),
        (
            "profile = { name = \"classic\", window_tracking = false }\nmemory = 134_217_728\n",
            classic,
            Some(false),
            Some(128 << 20),
        ),
        (
            "profile.name = \"linux6\"\nprofile.window_tracking = true\n",
            Some(Profile::Linux6),
            Some(true),
            None,
        ),
    ] {
        let lab = LabFile::parse("lab.toml", &format!("{text}{INTERFACE}")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            (lab.profile, lab.window_tracking, lab.memory),
            (profile, windows, memory),
            "{text}"
        );
    }
    for (text, parts) in [
        (
            "profile = \"clasic\"\n",
            ["there is no profile \"clasic\"", "did you mean \"classic\"?"],
        ),
        (
            "profile = 6\n",
            ["this is a TOML integer", "expected \"linux6\" or \"classic\""],
        ),
        (
            "profile.windows = true\n",
            ["unknown key `windows` in `profile`", "`window_tracking`"],
        ),
        (
            "profile.window_tracking = 1\n",
            ["is a TOML integer", "expected true or false"],
        ),
        (
            "profile.name = \"linux6\"\nprofile.window_tracking = false\n",
            ["lab.toml:2:27", "always tracks windows"],
        ),
        ("memory = \"12 apples\"\n", ["no machine's memory", "memory = \"128M\""]),
        ("memory = 3\n", ["no machine's memory", "expected 1M to 64T"]),
    ] {
        let error = errors(&format!("{text}{INTERFACE}"));
        assert!(parts.iter().all(|part| error.contains(part)), "{text}\n{error}");
    }
    let lab = LabFile::parse("lab.toml", &format!("profile.window_tracking = false\n{INTERFACE}")).unwrap();
    let today = lab.as_profile(Profile::Linux6);
    assert_eq!((today.profile, today.window_tracking), (Some(Profile::Linux6), None));
}
