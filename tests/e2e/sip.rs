//! A call by SIPp through a masquerading router: what is said takes the ways that the helper read in both descriptions of the session, and the one that
//! called is known outside by the router's address.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::lab::{Lab, RELATED, ROUTER, Scratch, Waits};

#[test]
fn a_call_is_heard_across_a_masquerading_router_with_its_helper_alone() {
    let Some(scratch) = Scratch::new("sip", &["sipp"]) else {
        return;
    };
    let lab = scratch.up(ROUTER);
    let scenario = lab.scratch.write("call.xml", CALL).display().to_string();
    let asked = lab.scratch.path("asked").display().to_string();
    // It sends back all that it hears.
    let called = ["sipp", "-sn", "uas", "-i", "192.0.2.9", "-mi", "192.0.2.9", "-rtp_echo"];
    let quiet = [
        "-nostdin",
        "-trace_msg",
        "-message_overwrite",
        "false",
        "-message_file",
        &asked,
    ];
    let at = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 9), 5060);
    let _called = lab.serve("outside", &[&called[..], &quiet].concat(), Waits::Udp(at));
    let call = [
        "timeout",
        "10",
        "sipp",
        "-sf",
        &scenario,
        "192.0.2.9:5060",
        "-i",
        "10.0.0.2",
        "-mi",
        "10.0.0.2",
        "-mp",
        "6000",
        "-m",
        "1",
        "-nostdin",
    ];
    for (helper, known_as) in [(NO_HELPER, "10.0.0.2"), (HELPER, "192.0.2.1")] {
        lab.restore(&format!("{helper}{RULES}")).good();
        lab.tool(&["conntrack", "-F"]).good();
        // That the call succeeds says no more than that SIP's own messages came through.
        let ran = lab.exec("inside", &call);
        assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
        let said = lab.packets(RELATED) + lab.packets(SAID);
        let heard = lab.packets(HEARD);
        let lost = lab.policy_drops("FORWARD");
        if helper == NO_HELPER {
            assert!(said == 0 && heard == 0 && lost > 3, "{}", lab.saved());
        } else {
            assert!(said > 3 && heard == said && lost == 0, "{}", lab.saved());
            assert_eq!(lab.packets(RELATED), 1, "{}", lab.saved());
        }
        assert_eq!(session(&lab), format!("c=IN IP4 {known_as}"));
    }
}

/// Where the one that called wants to be spoken to, in the last INVITE that arrived.
fn session(lab: &Lab) -> String {
    let asked = std::fs::read_to_string(lab.scratch.path("asked")).unwrap();
    let (_, last) = asked.rsplit_once("INVITE sip:").unwrap();
    let line = last.lines().find(|line| line.starts_with("c=")).unwrap_or_default();
    line.trim_end().to_owned()
}

/// After the handshake two seconds at most of a recorded tone, which comes with SIPp.
const CALL: &str = r#"<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="a call">
<send retrans="500"><![CDATA[
INVITE sip:called@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=1[call_number]
To: <sip:called@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp
Content-Length: [len]

v=0
o=caller 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 101
a=rtpmap:101 telephone-event/8000
]]></send>
<recv response="100" optional="true"/>
<recv response="180" optional="true"/>
<recv response="200"/>
<send><![CDATA[
ACK sip:called@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=1[call_number]
To: <sip:called@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 1 ACK
Max-Forwards: 70
Content-Length: 0

]]></send>
<nop><action><exec play_pcap_audio="/usr/share/sip-tester/dtmf_2833_1.pcap"/></action></nop>
<pause milliseconds="700"/>
<send retrans="500"><![CDATA[
BYE sip:called@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:caller@[local_ip]:[local_port]>;tag=1[call_number]
To: <sip:called@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: 2 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"#;

const NO_HELPER: &str = "*raw
COMMIT
";
const HELPER: &str = "*raw
-A PREROUTING -i lan -p udp -m udp --dport 5060 -j CT --helper sip
COMMIT
";
const RULES: &str = "*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -i lan -p udp -m udp --dport 6000 -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -i wan -p udp -m udp --sport 6000 -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -m conntrack --ctstate RELATED -j ACCEPT
-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
-A FORWARD -i lan -o wan -p udp -m udp --dport 5060 -m state --state NEW -j ACCEPT
COMMIT
";
const SAID: &str = "--dport 6000 -m conntrack --ctstate ESTABLISHED -j ACCEPT";
const HEARD: &str = "--sport 6000 -m conntrack --ctstate ESTABLISHED -j ACCEPT";
