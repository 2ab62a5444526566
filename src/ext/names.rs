//! Names of services and protocols, both ways, as the tools print and take them.
//!
//! The real tools ask `/etc/services` and `/etc/protocols`. A lab must read the same on every machine, so the names are held here: those that
//! `getservbyport`, `getservbyname` and `getprotobynumber` answer on Debian 12 for every port and number, found by asking. All are
//! registrations of IANA or older usage.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::{Family, protocol};

/// The number of a port's name in this protocol (`http` in tcp). Case counts.
pub(crate) fn port_number(name: &str, protocol: u8) -> Option<u16> {
    let bit = protocol_bit(protocol)?;
    SERVICES
        .iter()
        .chain(SERVICE_ALIASES)
        .find(|(_, known, protocols)| *known == name && protocols & bit != 0)
        .map(|&(port, ..)| port)
}

/// The number of a port's name, whichever protocol has it.
pub(crate) fn port_of_any_protocol(name: &str) -> Option<u16> {
    SERVICES
        .iter()
        .chain(SERVICE_ALIASES)
        .find(|(_, known, _)| *known == name)
        .map(|&(port, ..)| port)
}

/// The name of a port in this protocol.
pub(crate) fn port_name(port: u16, protocol: u8) -> Option<&'static str> {
    let bit = protocol_bit(protocol)?;
    let first = SERVICES.partition_point(|&(other, ..)| other < port);
    SERVICES[first..]
        .iter()
        .take_while(|&&(other, ..)| other == port)
        .find(|(.., protocols)| protocols & bit != 0)
        .map(|&(_, name, _)| name)
}

/// The number of a protocol's name, in lower case (the tools lower it first). `all` is 0, as `ip` is.
pub(crate) fn protocol_number(name: &str) -> Option<u8> {
    PROTOCOL_ALIASES
        .iter()
        .chain(protocol::OF_TOOLS)
        .find(|(_, known)| *known == name)
        .map(|&(number, _)| number)
}

/// The number of a protocol's name where the tools do not lower it: the capitals must be those of `/etc/protocols`.
pub(crate) fn protocol_number_as_typed(name: &str) -> Option<u8> {
    let odd = |number: u8| PROTOCOL_CAPITALS.iter().any(|&(other, _)| other == number);
    let capitals = PROTOCOL_CAPITALS
        .iter()
        .find(|(_, known)| *known == name)
        .map(|&(number, _)| number);
    let plain = || {
        let found = protocol::OF_TOOLS
            .iter()
            .find(|(_, known)| known.to_ascii_uppercase() == name);
        found.map(|&(number, _)| number).filter(|&number| !odd(number))
    };
    protocol_number(name).or(capitals).or_else(plain)
}

/// The name of a protocol as the tools print it. None for 0, which has a wording of its own in each place.
pub(crate) fn protocol_name(number: u8) -> Option<&'static str> {
    protocol::name(number)
}

/// The name of an address as `-L` prints it without `-n`: a lab has no name server, only what Debian's `/etc/hosts` and `/etc/networks` hold.
pub(crate) fn host_name(address: IpAddr) -> Option<&'static str> {
    let found = HOSTS.iter().chain(NETWORKS).find(|(_, known)| *known == address);
    found.map(|(name, _)| *name)
}

/// The inverse of [`host_name`].
pub(crate) fn network_address(name: &str, family: Family) -> Option<IpAddr> {
    let networks = NETWORKS.iter().filter(|it| it.0 == name && Family::of(it.1) == family);
    host_address(name, family).or(networks.map(|it| it.1).next())
}

/// What a host is called is looked up without regard to case, and networks are no hosts.
pub(crate) fn host_address(name: &str, family: Family) -> Option<IpAddr> {
    let mut of_family = HOSTS.iter().filter(|(_, address)| Family::of(*address) == family);
    let found = of_family.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, address)| *address)
}

fn protocol_bit(protocol: u8) -> Option<u8> {
    match protocol {
        protocol::TCP => Some(TCP),
        protocol::UDP => Some(UDP),
        protocol::SCTP => Some(SCTP),
        _ => None,
    }
}

/// Of several names of an address the first is told.
const HOSTS: &[(&str, IpAddr)] = &[
    ("localhost", IpAddr::V4(Ipv4Addr::LOCALHOST)),
    ("localhost", IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ("ip6-localhost", IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ("ip6-loopback", IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ("ip6-allnodes", IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1))),
    ("ip6-allrouters", IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2))),
];

const NETWORKS: &[(&str, IpAddr)] = &[
    ("loopback", IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0))),
    ("link-local", IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0))),
];

const TCP: u8 = 1;
const UDP: u8 = 2;
const SCTP: u8 = 4;
const BOTH: u8 = TCP | UDP;
const TCP_SCTP: u8 = TCP | SCTP;

/// Sorted by port.
#[rustfmt::skip]
const SERVICES: &[(u16, &str, u8)] = &[
    (1, "tcpmux", TCP), (7, "echo", BOTH), (9, "discard", BOTH), (11, "systat", TCP), (13, "daytime", BOTH),
    (15, "netstat", TCP), (17, "qotd", TCP), (19, "chargen", BOTH), (20, "ftp-data", TCP), (21, "fsp", UDP),
    (21, "ftp", TCP), (22, "ssh", TCP), (23, "telnet", TCP), (25, "smtp", TCP), (37, "time", BOTH),
    (43, "whois", TCP), (49, "tacacs", BOTH), (53, "domain", BOTH), (67, "bootps", UDP), (68, "bootpc", UDP),
    (69, "tftp", UDP), (70, "gopher", TCP), (79, "finger", TCP), (80, "http", TCP), (88, "kerberos", BOTH),
    (102, "iso-tsap", TCP), (104, "acr-nema", TCP), (106, "poppassd", TCP), (110, "pop3", TCP), (111, "sunrpc", BOTH),
    (113, "auth", TCP), (119, "nntp", TCP), (123, "ntp", UDP), (135, "epmap", TCP), (137, "netbios-ns", UDP),
    (138, "netbios-dgm", UDP), (139, "netbios-ssn", TCP), (143, "imap2", TCP), (161, "snmp", BOTH),
    (162, "snmp-trap", BOTH), (163, "cmip-man", BOTH), (164, "cmip-agent", BOTH), (174, "mailq", TCP),
    (177, "xdmcp", UDP), (179, "bgp", TCP), (199, "smux", TCP), (209, "qmtp", TCP), (210, "z3950", TCP),
    (213, "ipx", UDP), (319, "ptp-event", UDP), (320, "ptp-general", UDP), (345, "pawserv", TCP), (346, "zserv", TCP),
    (369, "rpc2portmap", BOTH), (370, "codaauth2", BOTH), (371, "clearcase", UDP), (389, "ldap", BOTH),
    (427, "svrloc", BOTH), (443, "https", BOTH), (444, "snpp", TCP), (445, "microsoft-ds", TCP),
    (464, "kpasswd", BOTH), (465, "submissions", TCP), (487, "saft", TCP), (500, "isakmp", UDP), (512, "biff", UDP),
    (512, "exec", TCP), (513, "login", TCP), (513, "who", UDP), (514, "shell", TCP), (514, "syslog", UDP),
    (515, "printer", TCP), (517, "talk", UDP), (518, "ntalk", UDP), (520, "route", UDP), (538, "gdomap", BOTH),
    (540, "uucp", TCP), (543, "klogin", TCP), (544, "kshell", TCP), (546, "dhcpv6-client", UDP),
    (547, "dhcpv6-server", UDP), (548, "afpovertcp", TCP), (554, "rtsp", BOTH), (563, "nntps", TCP),
    (587, "submission", TCP), (607, "nqs", TCP), (623, "asf-rmcp", UDP), (628, "qmqp", TCP), (631, "ipp", TCP),
    (636, "ldaps", BOTH), (646, "ldp", BOTH), (655, "tinc", BOTH), (706, "silc", TCP), (749, "kerberos-adm", TCP),
    (750, "kerberos4", BOTH), (751, "kerberos-master", BOTH), (752, "passwd-server", UDP), (754, "krb-prop", TCP),
    (775, "moira-db", TCP), (777, "moira-update", TCP), (779, "moira-ureg", UDP), (783, "spamd", TCP),
    (853, "domain-s", BOTH), (871, "supfilesrv", TCP), (873, "rsync", TCP), (989, "ftps-data", TCP),
    (990, "ftps", TCP), (992, "telnets", TCP), (993, "imaps", TCP), (995, "pop3s", TCP), (1080, "socks", TCP),
    (1093, "proofd", TCP), (1094, "rootd", TCP), (1099, "rmiregistry", TCP), (1127, "supfiledbg", TCP),
    (1178, "skkserv", TCP), (1194, "openvpn", BOTH), (1210, "predict", UDP), (1236, "rmtcfg", TCP),
    (1313, "xtel", TCP), (1314, "xtelw", TCP), (1352, "lotusnote", TCP), (1433, "ms-sql-s", TCP),
    (1434, "ms-sql-m", UDP), (1524, "ingreslock", TCP), (1645, "datametrics", BOTH), (1646, "sa-msg-port", BOTH),
    (1649, "kermit", TCP), (1677, "groupwise", TCP), (1701, "l2f", UDP), (1812, "radius", BOTH),
    (1813, "radius-acct", BOTH), (2000, "cisco-sccp", TCP), (2049, "nfs", BOTH), (2086, "gnunet", BOTH),
    (2101, "rtcm-sc104", BOTH), (2102, "zephyr-srv", UDP), (2103, "zephyr-clt", UDP), (2104, "zephyr-hm", UDP),
    (2119, "gsigatekeeper", TCP), (2121, "iprop", TCP), (2135, "gris", TCP), (2401, "cvspserver", TCP),
    (2430, "venus", BOTH), (2431, "venus-se", BOTH), (2432, "codasrv", BOTH), (2433, "codasrv-se", BOTH),
    (2583, "mon", BOTH), (2600, "zebrasrv", TCP), (2601, "zebra", TCP), (2602, "ripd", TCP), (2603, "ripngd", TCP),
    (2604, "ospfd", TCP), (2605, "bgpd", TCP), (2606, "ospf6d", TCP), (2607, "ospfapi", TCP), (2608, "isisd", TCP),
    (2628, "dict", TCP), (2792, "f5-globalsite", TCP), (2811, "gsiftp", TCP), (2947, "gpsd", TCP),
    (3050, "gds-db", TCP), (3130, "icpv2", UDP), (3205, "isns", BOTH), (3260, "iscsi-target", TCP),
    (3306, "mysql", TCP), (3389, "ms-wbt-server", TCP), (3493, "nut", BOTH), (3632, "distcc", TCP),
    (3689, "daap", TCP), (3690, "svn", TCP), (4031, "suucp", TCP), (4094, "sysrqd", TCP), (4190, "sieve", TCP),
    (4353, "f5-iquery", TCP), (4369, "epmd", TCP), (4373, "remctl", TCP), (4460, "ntske", TCP),
    (4500, "ipsec-nat-t", UDP), (4557, "fax", TCP), (4559, "hylafax", TCP), (4569, "iax", UDP), (4691, "mtn", TCP),
    (4899, "radmin-port", TCP), (4949, "munin", TCP), (5060, "sip", BOTH), (5061, "sip-tls", BOTH),
    (5222, "xmpp-client", TCP), (5269, "xmpp-server", TCP), (5308, "cfengine", TCP), (5353, "mdns", UDP),
    (5432, "postgresql", TCP), (5555, "rplay", UDP), (5556, "freeciv", TCP), (5666, "nrpe", TCP), (5667, "nsca", TCP),
    (5671, "amqps", TCP), (5672, "amqp", TCP_SCTP), (5680, "canna", TCP), (6000, "x11", TCP), (6001, "x11-1", TCP),
    (6002, "x11-2", TCP), (6003, "x11-3", TCP), (6004, "x11-4", TCP), (6005, "x11-5", TCP), (6006, "x11-6", TCP),
    (6007, "x11-7", TCP), (6346, "gnutella-svc", BOTH), (6347, "gnutella-rtr", BOTH), (6379, "redis", TCP),
    (6444, "sge-qmaster", TCP), (6445, "sge-execd", TCP), (6446, "mysql-proxy", TCP), (6514, "syslog-tls", TCP),
    (6566, "sane-port", TCP), (6667, "ircd", TCP), (6696, "babel", UDP), (6697, "ircs-u", TCP),
    (7000, "afs3-fileserver", UDP), (7000, "bbs", TCP), (7001, "afs3-callback", UDP), (7002, "afs3-prserver", UDP),
    (7003, "afs3-vlserver", UDP), (7004, "afs3-kaserver", UDP), (7005, "afs3-volser", UDP), (7007, "afs3-bos", UDP),
    (7008, "afs3-update", UDP), (7009, "afs3-rmtsys", UDP), (7100, "font-service", TCP), (8021, "zope-ftp", TCP),
    (8080, "http-alt", TCP), (8081, "tproxy", TCP), (8088, "omniorb", TCP), (8140, "puppet", TCP),
    (8990, "clc-build-daemon", TCP), (9098, "xinetd", TCP), (9101, "bacula-dir", TCP), (9102, "bacula-fd", TCP),
    (9103, "bacula-sd", TCP), (9418, "git", TCP), (9667, "xmms2", TCP), (9673, "zope", TCP), (10000, "webmin", TCP),
    (10050, "zabbix-agent", TCP), (10051, "zabbix-trapper", TCP), (10080, "amanda", TCP), (10081, "kamanda", TCP),
    (10082, "amandaidx", TCP), (10083, "amidxtape", TCP), (10809, "nbd", TCP), (11112, "dicom", TCP),
    (11371, "hkp", TCP), (17001, "sgi-cmsd", UDP), (17002, "sgi-crsd", UDP), (17003, "sgi-gcd", UDP),
    (17004, "sgi-cad", TCP), (17500, "db-lsp", TCP), (22125, "dcap", TCP), (22128, "gsidcap", TCP),
    (22273, "wnn6", TCP), (24554, "binkp", TCP), (27374, "asp", BOTH), (30865, "csync2", TCP),
    (57000, "dircproxy", TCP), (60177, "tfido", TCP), (60179, "fido", TCP),
];

/// Names that are taken but never printed.
#[rustfmt::skip]
const SERVICE_ALIASES: &[(u16, &str, u8)] = &[
    (9, "null", BOTH), (9, "sink", BOTH), (11, "users", TCP), (17, "quote", TCP), (19, "source", BOTH),
    (19, "ttytst", BOTH), (21, "fspd", UDP), (25, "mail", TCP), (37, "timserver", BOTH), (43, "nicname", TCP),
    (80, "www", TCP), (88, "kerberos-sec", BOTH), (88, "kerberos5", BOTH), (88, "krb5", BOTH), (102, "tsap", TCP),
    (104, "dicom", TCP), (110, "pop-3", TCP), (111, "portmapper", BOTH), (113, "authentication", TCP),
    (113, "ident", TCP), (113, "tap", TCP), (119, "readnews", TCP), (119, "untp", TCP), (135, "loc-srv", TCP),
    (143, "imap", TCP), (162, "snmptrap", BOTH), (210, "wais", TCP), (371, "Clearcase", UDP), (465, "smtps", TCP),
    (465, "ssmtp", TCP), (465, "urd", TCP), (512, "comsat", UDP), (513, "whod", UDP), (514, "cmd", TCP),
    (514, "syslog", TCP), (515, "spooler", TCP), (520, "routed", UDP), (520, "router", UDP), (540, "uucpd", TCP),
    (544, "krcmd", TCP), (563, "snntp", TCP), (750, "kdc", BOTH), (750, "kerberos-iv", BOTH),
    (751, "kerberos_master", UDP), (752, "passwd_server", UDP), (754, "hprop", TCP), (754, "krb5_prop", TCP),
    (754, "krb_prop", TCP), (775, "moira_db", TCP), (777, "moira_update", TCP), (779, "moira_ureg", UDP),
    (1352, "lotusnotes", TCP), (1645, "old-radius", BOTH), (1646, "old-radacct", BOTH), (1701, "l2tp", UDP),
    (1813, "radacct", BOTH), (3050, "gds_db", TCP), (3130, "icp", UDP), (3690, "subversion", TCP),
    (4949, "lrrd", TCP), (5222, "jabber-client", TCP), (5269, "jabber-server", TCP), (5432, "postgres", TCP),
    (5556, "rptp", TCP), (6000, "x11-0", TCP), (6444, "sge_qmaster", TCP), (6445, "sge_execd", TCP),
    (6566, "sane", TCP), (6566, "saned", TCP), (7100, "xfs", TCP), (8080, "webcache", TCP),
];

/// Names that are taken but never printed.
const PROTOCOL_ALIASES: &[(u8, &str)] = &[
    (0, "all"),
    (0, "hopopt"),
    (protocol::ICMPV6, "icmpv6"),
    (protocol::MOBILITY, "ipv6-mh"),
    (protocol::MOBILITY, "mh"),
];

/// Names beside the plain one that are not just it in capitals (138 has none); the other protocols have that.
#[rustfmt::skip]
const PROTOCOL_CAPITALS: &[(u8, &str)] = &[
    (0, "IP"), (0, "HOPOPT"), (4, "IP-ENCAP"), (41, "IPv6"), (43, "IPv6-Route"), (44, "IPv6-Frag"), (50, "IPSEC-ESP"), (51, "IPSEC-AH"), (58, "IPv6-ICMP"),
    (59, "IPv6-NoNxt"), (60, "IPv6-Opts"), (73, "RSPF"), (73, "CPHB"), (89, "OSPFIGP"), (135, "Mobility-Header"), (136, "UDPLite"),
    (137, "MPLS-in-IP"), (138, "manet"), (140, "Shim6"), (143, "Ethernet"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        assert_eq!(port_number("www", protocol::TCP), Some(80));
        assert_eq!(port_number("http", protocol::UDP), None);
        assert_eq!(port_of_any_protocol("http"), Some(80));
        assert_eq!(port_name(80, protocol::TCP), Some("http"));
        assert_eq!(port_name(80, protocol::UDP), None);
        assert_eq!(port_name(512, protocol::TCP), Some("exec"));
        assert_eq!(port_name(512, protocol::UDP), Some("biff"));
        assert_eq!(port_name(53, protocol::UDPLITE), None);
        assert_eq!(protocol_number("mh"), Some(135));
        for (name, number) in [
            ("OSPF", None),
            ("OSPFIGP", Some(89)),
            ("ICMP", Some(1)),
            ("Icmp", None),
            ("icmp", Some(1)),
            ("ALL", None),
        ] {
            assert_eq!(protocol_number_as_typed(name), number, "{name}");
        }
        assert_eq!(protocol_name(135), Some("mobility-header"));
        assert_eq!(protocol_name(0), None);
        assert!(SERVICES.is_sorted_by_key(|&(port, ..)| port));
    }
}
