//! H.323 (ITU-T): telephony by three protocols. A terminal may ask a gatekeeper by RAS where to call (`registration`); Q.931 sets a call up, and H.245
//! opens its channels (`call`). What they say is packed ASN.1 (`per`) of H.225.0 and H.245 (`h225`, `h245`), and addresses are written over in place:
//! no message changes its length.

mod call;
mod framing;
mod h225;
mod h245;
#[cfg(test)]
mod kernel;
mod memory;
mod per;
mod registration;
mod samples;
mod schema;

use std::time::Duration;

use super::parameter::Parameter;
use super::{Helper, HelperSpec};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, ExpectPolicy};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_h323", "ip_conntrack_h323"],
    nat_modules: &["nf_nat_h323", "ip_nat_h323"],
    parameters: &[DEFAULT_TIME_TO_LIVE, GATEKEEPER_ROUTED_ONLY, CALL_FORWARD_FILTER],
    nat_parameters: &[],
    helpers: &[
        Helper {
            conntrack: ConntrackHelper {
                name: "RAS",
                families: &Family::ALL,
                protocol: protocol::UDP,
                ports: &[1719],
                policies: &[policy(32)],
            },
            samples: samples::OF_RAS,
            believes: true,
            lasts_as_told: false,
            read: registration::run,
        },
        Helper {
            conntrack: ConntrackHelper {
                name: "Q.931",
                families: &Family::ALL,
                protocol: protocol::TCP,
                ports: &[1720],
                policies: &[policy(20)],
            },
            samples: samples::OF_Q931,
            believes: true,
            lasts_as_told: false,
            read: call::run_q931,
        },
        Helper {
            conntrack: ConntrackHelper {
                name: "H.245",
                families: &Family::ALL,
                // So the kernel has it, though what it reads are connections, which Q.931 announces.
                protocol: protocol::UDP,
                ports: &[],
                policies: &[policy(18)],
            },
            samples: samples::OF_H245,
            believes: false,
            lasts_as_told: false,
            read: call::run_h245,
        },
    ],
    about: "calls of H.323: registration at a gatekeeper, signalling, the channels of sound, pictures and data",
};

const DEFAULT_TIME_TO_LIVE: Parameter = Parameter::number(
    "default_rrq_ttl",
    300,
    "for how many seconds a registration lasts that does not say it",
);
const GATEKEEPER_ROUTED_ONLY: Parameter = Parameter::flag(
    "gkrouted_only",
    true,
    "calls of a registered terminal come from its gatekeeper only",
);
const CALL_FORWARD_FILTER: Parameter = Parameter::flag(
    "callforward_filter",
    true,
    "a forwarded call is expected only where the way to both its ends is not the same",
);

const fn policy(max_expected: u32) -> ExpectPolicy {
    ExpectPolicy {
        name: "",
        max_expected,
        timeout: Duration::from_secs(240),
    }
}

fn ras_helper() -> &'static ConntrackHelper {
    &SPEC.helpers[0].conntrack
}

fn q931_helper() -> &'static ConntrackHelper {
    &SPEC.helpers[1].conntrack
}

fn h245_helper() -> &'static ConntrackHelper {
    &SPEC.helpers[2].conntrack
}
