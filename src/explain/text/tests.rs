//! A story among many reads as it does alone.

use super::*;
use crate::cli::TOOLBOX;
use crate::lab::memory::Lab;

const RULES: &str = "*mangle\n-A PREROUTING ! -s 10.0.0.0/24 -j MARK --set-mark 7\nCOMMIT\n*filter\n:FORWARD DROP\n:inner -\n\
     -A FORWARD -s 172.16.0.1 -j DROP\n-A FORWARD -d 172.16.0.1 -j DROP\n-A FORWARD -i wan -j inner\n-A FORWARD -p tcp -j inner\n\
     -A FORWARD -o lan\n-A FORWARD ! -o wan -f\n-A FORWARD -m mark --mark 9 -j DROP\n-A inner -s 172.16.0.2 -d 172.16.0.3\n\
     -A inner -p 47\n-A inner ! -i lan -s 192.0.2.7\n-A FORWARD -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n";

/// With everything that tracking, NAT and targets have to tell.
const TRACKED: &str = "*raw\n-A PREROUTING -p 47 -j NOTRACK\nCOMMIT\n*mangle\n:first -\n:second -\n-A PREROUTING -p udp -j first\n\
     -A first -j MARK --set-mark 3\n-A first -p udp -g second\n-A second -d 192.0.2.0/24 -j CONNMARK --save-mark\nCOMMIT\n\
     *nat\n-A POSTROUTING -o wan -j MASQUERADE\nCOMMIT\n*filter\n:FORWARD DROP\n:inner -\n:OUTPUT DROP\n\
     -A INPUT -p icmp -m limit --limit 1/hour --limit-burst 2 -j ACCEPT\n-A INPUT -j REJECT\n\
     -A FORWARD -m conntrack --ctstate INVALID -j LOG --log-prefix \"bad: \"\n-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
     -A FORWARD -p udp -g inner\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n-A inner -s 10.0.0.3 -j RETURN\n\
     -A inner -m conntrack ! --ctstate NEW -j QUEUE\n-A inner\n-A inner -j ACCEPT\nCOMMIT\n";

#[test]
fn phrases_make_no_difference() {
    assert!(make_no_difference(RULES) > 3);
}

#[test]
fn brisk_or_not_it_is_told_alike() {
    make_no_difference(TRACKED);
}

/// How many phrases there are at the end.
fn make_no_difference(rules: &str) -> usize {
    let mut lab = Lab::default_lab(1, TOOLBOX).unwrap();
    let output = lab.tool("iptables-restore", &[], rules, ".".as_ref());
    assert_eq!(output.code, 0, "{}", output.stderr);
    let packet = |protocol: u8, from: [u8; 4], to: [u8; 4], fragment: u8| {
        let mut packet = vec![0x45, 0, 0, 40, 0, 1, 0, fragment, 64, protocol, 0, 0];
        packet.extend(from);
        packet.extend(to);
        packet.extend([0, 53, 0, 53, 0, 20, 0, 0, 0, 0, 0, 0, 0x50, 2, 0, 0, 0, 0, 0, 0]);
        let sum = crate::wire::checksum::of(&packet[..20]).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
        packet
    };
    let (inside, outside) = ([10, 0, 0, 2], [192, 0, 2, 9]);
    let (lan, wan) = (lab.interface("lan"), lab.interface("wan"));
    let mut known = [Phrases::default(), Phrases::default()];
    let mut mixed = Phrases::default();
    for round in 0..3 {
        for (way, protocol, from, to) in [
            (lan, 17, inside, outside),
            (wan, 17, outside, inside),
            (lan, 6, inside, outside),
            (wan, 47, [192, 0, 2, 7], inside),
            (lan, 1, inside, [172, 16, 0, 1]),
            (lan, 6, inside, outside),
            (wan, 17, outside, [192, 0, 2, 1]),
            (wan, 6, outside, [192, 0, 2, 1]),
            (lan, 1, inside, [10, 0, 0, 1]),
            (lan, 17, [10, 0, 0, 3], outside),
            (lan, 17, inside, [10, 0, 0, 255]),
            (lan, 17, inside, [224, 0, 0, 9]),
            (wan, 17, inside, [192, 0, 2, 1]),
            (None, 17, [10, 0, 0, 1], inside),
            (None, 1, [10, 0, 0, 1], [10, 0, 0, 1]),
        ] {
            let story = lab.send(way, packet(protocol, from, to, round)).story.clone();
            for detail in [Detail::Whole, Detail::Short] {
                for (known, has_colour) in known.iter_mut().zip([false, true]) {
                    let alone = match has_colour {
                        true => story.render_styled(detail),
                        false => story.render(detail),
                    };
                    let (mut among_many, mut among_all) = (String::new(), String::new());
                    story.render_of_many(&mut among_many, detail, has_colour, known);
                    story.render_of_many(&mut among_all, detail, has_colour, &mut mixed);
                    assert_eq!(among_many, alone);
                    assert_eq!(among_all, alone);
                }
            }
        }
    }
    let phrases = known.iter().flat_map(|known| &known.tables);
    phrases
        .map(|(_, steps)| steps.iter().flatten().flatten().count())
        .max()
        .unwrap_or(0)
}
