//! What a rule does: every target with all of its options, where table and hook allow it.

use super::draw::Draw;
use super::matches::{MARKS, Protocol};
use super::rules::{Home, Place};

/// ` -j ...`, or nothing for a rule that only counts.
pub fn target(draw: &mut Draw, place: &Place, protocol: Protocol) -> String {
    if !place.deeper.is_empty() && draw.percent(22) {
        let how = draw.pick(&["j", "j", "g"]);
        return format!(" -{how} {}", place.deeper[draw.below(place.deeper.len())]);
    }
    if draw.percent(5) {
        return log(draw);
    }
    match place.table {
        "raw" => raw(draw, protocol),
        "mangle" => mangle(draw),
        "nat" => nat(draw, place, protocol),
        "filter" => filter(draw, place, protocol),
        _ => security(draw),
    }
}

fn raw(draw: &mut Draw, protocol: Protocol) -> String {
    let helper = protocol == Protocol::Is(6);
    match draw.below(24) {
        0 => " -j NOTRACK".to_owned(),
        1 => " -j CT --notrack".to_owned(),
        2 => " -j CT".to_owned(),
        3 | 4 if helper => " -j CT --helper ftp".to_owned(),
        5 if helper => " -j CT --notrack --helper ftp".to_owned(),
        6 => " -j DROP".to_owned(),
        7..12 => " -j ACCEPT".to_owned(),
        12..15 => " -j RETURN".to_owned(),
        15 => mark(draw),
        _ => String::new(),
    }
}

fn mangle(draw: &mut Draw) -> String {
    match draw.below(12) {
        0..4 => mark(draw),
        4 if draw.one_in(4) => " -j DROP".to_owned(),
        5 | 6 => " -j ACCEPT".to_owned(),
        7 => " -j RETURN".to_owned(),
        _ => String::new(),
    }
}

fn mark(draw: &mut Draw) -> String {
    let bits = ["0", "1", "4", "0xfe", "0xffffffff", "0x80000000"];
    match draw.below(6) {
        0 => format!(" -j MARK --set-mark {}", draw.pick(MARKS)),
        1 => format!(" -j MARK --set-xmark {}", draw.pick(MARKS)),
        2 => format!(" -j MARK --or-mark {}", draw.pick(&bits)),
        3 => format!(" -j MARK --and-mark {}", draw.pick(&bits)),
        4 => format!(" -j MARK --xor-mark {}", draw.pick(&bits)),
        _ => " -j MARK --set-mark 1".to_owned(),
    }
}

fn filter(draw: &mut Draw, place: &Place, protocol: Protocol) -> String {
    match draw.below(20) {
        0..2 => reject(draw, protocol),
        2..4 => " -j DROP".to_owned(),
        4..13 => " -j ACCEPT".to_owned(),
        13..15 => " -j RETURN".to_owned(),
        15 if place.home == Home::Any => mark(draw),
        _ => String::new(),
    }
}

fn security(draw: &mut Draw) -> String {
    match draw.below(12) {
        0 => " -j DROP".to_owned(),
        1..7 => " -j ACCEPT".to_owned(),
        7 => " -j RETURN".to_owned(),
        8 => mark(draw),
        _ => String::new(),
    }
}

pub fn reject(draw: &mut Draw, protocol: Protocol) -> String {
    let with = draw.pick(REJECTIONS);
    match with {
        "" => " -j REJECT".to_owned(),
        "tcp-reset" | "tcp-rst" if protocol != Protocol::Is(6) => " -j REJECT".to_owned(),
        _ => format!(" -j REJECT --reject-with {with}"),
    }
}

const REJECTIONS: &[&str] = &[
    "",
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-port-unreachable",
    "icmp-proto-unreachable",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "icmp-admin-prohibited",
    "port-unreach",
    "tcp-reset",
    "tcp-reset",
    "tcp-reset",
    "tcp-rst",
];

fn log(draw: &mut Draw) -> String {
    let mut text = " -j LOG".to_owned();
    if draw.one_in(2) {
        text += draw.pick(&[
            " --log-prefix \"seen: \"",
            " --log-prefix x",
            " --log-prefix \"DROP IN=\"",
        ]);
    }
    if draw.one_in(3) {
        text += draw.pick(&[
            " --log-level debug",
            " --log-level 4",
            " --log-level info",
            " --log-level emerg",
        ]);
    }
    for option in ["tcp-sequence", "tcp-options", "ip-options", "uid", "macdecode"] {
        if draw.one_in(5) {
            text += &format!(" --log-{option}");
        }
    }
    text
}

fn nat(draw: &mut Draw, place: &Place, protocol: Protocol) -> String {
    if draw.percent(25) {
        return draw
            .pick(&["", " -j ACCEPT", " -j RETURN", " -j MARK --set-mark 1"])
            .to_owned();
    }
    // The tool counts DCCP and ICMP among what has ports here, and an inverted -p like a plain one.
    let ports = matches!(protocol, Protocol::Is(6 | 17 | 132 | 33 | 1));
    match place.home {
        Home::Source => {
            if place.hooks() == ["POSTROUTING"] && draw.one_in(2) {
                masquerade(draw, ports)
            } else {
                snat(draw, ports)
            }
        }
        Home::Destination => {
            if draw.one_in(3) {
                redirect(draw, ports)
            } else {
                dnat(draw, ports)
            }
        }
        _ => String::new(),
    }
}

pub fn masquerade(draw: &mut Draw, ports: bool) -> String {
    let mut text = " -j MASQUERADE".to_owned();
    if ports && draw.one_in(3) {
        text += &format!(
            " --to-ports {}",
            draw.pick(&["6000-6499", "6500-6999", "2001", "6000-6400/6050"])
        );
    }
    text + random(draw, true)
}

pub fn snat(draw: &mut Draw, ports: bool) -> String {
    let address = draw.pick(&[
        "192.0.2.100",
        "192.0.2.1",
        "192.0.2.100-192.0.2.103",
        "192.0.2.101",
        "10.0.0.77",
    ]);
    let port = match draw.below(3) {
        0 if ports => draw.pick(&[":2000", ":6500-6999", ":6000-6999", ":6000-6500", ":6000-6400/6050"]),
        _ => "",
    };
    // Ports alone leave the address.
    let address = if !port.is_empty() && draw.one_in(6) {
        ""
    } else {
        address
    };
    format!(
        " -j SNAT --to-source {address}{port}{}{}",
        random(draw, true),
        persistent(draw)
    )
}

pub fn dnat(draw: &mut Draw, ports: bool) -> String {
    let address = draw.pick(&[
        "10.0.0.2",
        "10.0.0.3",
        "10.0.0.2-10.0.0.3",
        "192.0.2.9",
        "192.0.2.1",
        "10.0.0.128-10.0.0.135",
        "198.51.100.7",
        "127.0.0.1",
    ]);
    let (port, with_random) = match draw.below(8) {
        0 | 1 if ports => (":8080", false),
        2 if ports => (":8000-8005", false),
        3 if ports => (":1000-1100/80", false),
        4 if ports => (":9000-9010", true),
        5 if ports => (":80", false),
        _ => ("", false),
    };
    let address = if !port.is_empty() && draw.one_in(6) {
        ""
    } else {
        address
    };
    let random = match port {
        "" => random(draw, false),
        _ if with_random => " --random",
        _ => "",
    };
    format!(" -j DNAT --to-destination {address}{port}{random}{}", persistent(draw))
}

pub fn redirect(draw: &mut Draw, ports: bool) -> String {
    match draw.below(5) {
        0 | 1 if ports => " -j REDIRECT --to-ports 3128".to_owned(),
        2 if ports => " -j REDIRECT --to-ports 8000-8010".to_owned(),
        3 if ports => " -j REDIRECT --to-ports 9000-9010 --random".to_owned(),
        _ => format!(" -j REDIRECT{}", random(draw, false)),
    }
}

fn random(draw: &mut Draw, fully: bool) -> &'static str {
    match draw.below(10) {
        0 => " --random",
        1 if fully => " --random-fully",
        2 if fully => " --random --random-fully",
        _ => "",
    }
}

fn persistent(draw: &mut Draw) -> &'static str {
    if draw.one_in(6) { " --persistent" } else { "" }
}
