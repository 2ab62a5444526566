//! NetBIOS names (RFC 1001, RFC 1002): who has a name is asked of a whole network, and whoever has it answers.
//!
//! Seen on Linux 6.18: what a question says is not looked at.

use std::time::Duration;

use super::parameter::{Parameter, Sets};
use super::{Announces, Helper, HelperSpec, Sample, broadcast};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, ExpectPolicy};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_netbios_ns", "ip_conntrack_netbios_ns"],
    nat_modules: &[],
    parameters: &[TIMEOUT],
    nat_parameters: &[],
    helpers: &[Helper {
        conntrack: ConntrackHelper {
            name: "netbios-ns",
            families: &[Family::V4],
            protocol: protocol::UDP,
            ports: &[137],
            policies: &[ExpectPolicy {
                name: "",
                max_expected: 1,
                timeout: Duration::from_secs(3),
            }],
        },
        samples: SAMPLES,
        believes: false,
        lasts_as_told: false,
        read: |reading| {
            let lives = reading.number(&TIMEOUT);
            Ok(broadcast::expect_answers(reading, Duration::from_secs(lives.into())))
        },
    }],
    about: "questions for names that the router itself broadcasts: any host of the network may answer",
};

const TIMEOUT: Parameter =
    Parameter::number("timeout", 3, "for how many seconds answers are expected").setting(Sets::Lifetime);

const SAMPLES: &[Sample] = &[
    Sample {
        said: &[b"> \x12\x34\x01\x10\0\x01\0\0\0\0\0\0"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.0/24:137 > 10.0.0.2:4000"],
            under_nat: &["udp 192.0.2.0/24:137 > 192.0.2.1:4000"],
            written: b"\x12\x34\x01\x10\0\x01\0\0\0\0\0\0",
        },
    },
    Sample {
        said: &[b"> "],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.0/24:137 > 10.0.0.2:4000"],
            under_nat: &["udp 192.0.2.0/24:137 > 192.0.2.1:4000"],
            written: b"",
        },
    },
    Sample {
        said: &[b"> x", b"< y"],
        announces: Announces::Nothing,
    },
];
