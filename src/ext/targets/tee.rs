//! `-j TEE`: sends a copy of the packet to a gateway, and lets the packet go on.

use std::fmt::Write;
use std::net::IpAddr;
use std::sync::Arc;

use crate::base::bytes::front_of;
use crate::base::{Family, InterfaceName, write_address};
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::names;
use crate::ext::option::{Given, Opt, Read, UsageError, address};
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::rule::{CopyTo, Effect, Errno, Hook, Refusal, Scope, StateUse, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "TEE",
    listed_as: "TEE",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[GATEWAY.spec, OIF.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    about: "sends a copy of the packet to a gateway, and lets the packet go on",
    samples: SAMPLES,
};

const GATEWAY: Opt<IpAddr> = Opt::own(
    "gateway",
    "ADDRESS",
    &Read(|text, given| address(text, given.family)),
    "a host on a network of the router's, to which the copy is handed as it is",
)
.required();
const OIF: Opt<String> = Opt::own(
    "oif",
    "INTERFACE",
    &Read(|text, _| Ok(front_of(text, LONGEST_NAME))),
    "the interface that the copy's route leads out of, as long as there is one of this name",
);

/// Of an interface; what exceeds it is cut off.
const LONGEST_NAME: usize = 15;

fn build(given: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    Ok(Arc::new(Tee {
        gateway: given.value(GATEWAY).unwrap_or(given.family.unspecified()),
        oif: given.value(OIF).unwrap_or_default(),
    }))
}

#[derive(Debug, PartialEq, Eq)]
struct Tee {
    gateway: IpAddr,
    /// Empty: the route chooses. It may be a name that no interface can have.
    oif: String,
}

impl Target for Tee {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, _cx: &mut TargetContext<'_>) -> TargetVerdict {
        TargetVerdict::ContinueBeside(CopyTo {
            gateway: self.gateway,
            interface: InterfaceName::new(&self.oif).filter(|_| !self.oif.is_empty()),
        })
    }

    /// What the copy comes to counts and remembers.
    fn effect(&self) -> Effect {
        Effect::PURE.with_state(StateUse::Writes)
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {} ", GATEWAY.spelled(false));
        write_address(out, self.gateway);
        if !self.oif.is_empty() {
            let _ = write!(out, " {} {}", OIF.spelled(false), self.oif);
        }
    }

    fn list(&self, out: &mut String, numeric: bool) {
        out.push_str(" TEE gw:");
        match names::host_name(self.gateway) {
            Some(name) if !numeric => out.push_str(name),
            _ => write_address(out, self.gateway),
        }
        if !self.oif.is_empty() {
            let _ = write!(out, " oif={}", self.oif);
        }
    }

    fn check(&self, _scope: &Scope<'_>) -> Result<(), Refusal> {
        match self.gateway.is_unspecified() {
            true => Err(Refusal::unlogged(
                Errno::InvalidArgument,
                format!("a gateway of {} is none", self.gateway),
            )),
            false => Ok(()),
        }
    }
}

/// ` TEE gw:10.0.0.9 oif=lan`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word(SPEC.name)?;
        let mut options = Options::default();
        options.push(false, GATEWAY.name(), it.after("gw:")?);
        if let Some(name) = it.after("oif=") {
            options.push(false, OIF.name(), name);
        }
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("mangle", "FORWARD"),
    taken: &[
        taken("", "--gateway 10.0.0.9", "--gateway 10.0.0.9", "TEE gw:10.0.0.9"),
        taken(
            "",
            "--gateway 10.0.0.9 --oif lan",
            "--gateway 10.0.0.9 --oif lan",
            "TEE gw:10.0.0.9 oif=lan",
        ),
        taken("", "--oif \"\" --gateway 1.2.3", "--gateway 1.2.0.3", "TEE gw:1.2.0.3"),
        taken("", "--gateway 0x7f000001", "--gateway 127.0.0.1", "TEE gw:127.0.0.1").named("TEE gw:localhost"),
        taken("", "--gateway localhost", "--gateway 127.0.0.1", "TEE gw:127.0.0.1").named("TEE gw:localhost"),
        taken("", "--gateway localhost", "--gateway ::1", "TEE gw:::1")
            .named("TEE gw:localhost")
            .only(Family::V6),
        taken(
            "",
            "--gateway 2001:DB8::9 --oif lan",
            "--gateway 2001:db8::9 --oif lan",
            "TEE gw:2001:db8::9 oif=lan",
        ),
        taken("", "--gateway ::1.2.3.4", "--gateway ::1.2.3.4", "TEE gw:::1.2.3.4"),
        taken("", "--gateway 224.0.0.1", "--gateway 224.0.0.1", "TEE gw:224.0.0.1"),
        taken(
            "",
            "--gateway 1.2.3.4 --oif 1234567890123456",
            "--gateway 1.2.3.4 --oif 123456789012345",
            "TEE gw:1.2.3.4 oif=123456789012345",
        ),
        taken(
            "",
            "--gateway 1.2.3.4 --oif a/b+",
            "--gateway 1.2.3.4 --oif a/b+",
            "TEE gw:1.2.3.4 oif=a/b+",
        ),
    ],
    refused: &[
        refused("", "", "TEE: option \"--gateway\" must be specified\n"),
        refused("", "--oif lan", "TEE: option \"--gateway\" must be specified\n"),
        refused("", "--gateway 1.2.3.4/24", "getaddrinfo: Name or service not known\n"),
        refused("", "--gateway \"\"", "getaddrinfo: Name or service not known\n"),
        refused(
            "",
            "--gateway fe80::1",
            "getaddrinfo: Address family for hostname not supported\n",
        )
        .only(Family::V4),
        refused(
            "",
            "--gateway 10.1",
            "getaddrinfo: Address family for hostname not supported\n",
        )
        .only(Family::V6),
        refused("", "--gateway [::1]", "getaddrinfo: Name or service not known\n").only(Family::V6),
        refused(
            "",
            "--gateway 1.2.3.4 --gateway 1.2.3.5",
            "TEE: option \"--gateway\" can only be used once.\n",
        ),
        refused(
            "",
            "! --gateway 1.2.3.4",
            "TEE: option \"--gateway\" cannot be inverted.\n",
        ),
        refused(
            "",
            "--gateway 1.2.3.4 ! --oif lan",
            "TEE: option \"--oif\" cannot be inverted.\n",
        ),
        refused(
            "",
            "--gateway 1.2.3.4 --oif lan --oif wan",
            "TEE: option \"--oif\" can only be used once.\n",
        ),
    ],
    packets: &[
        passes("", "--gateway 10.0.0.9", DATAGRAM),
        passes("", "--gateway 10.0.0.9 --oif lan", DATAGRAM),
        passes("", "--gateway 9.9.9.9", DATAGRAM),
    ],
    spellings: &[
        "-j TEE --gateway 10.0.0.9",
        "-j TEE --gateway 10.0.9",
        "-j TEE --gateway 10.0.0.9 --oif \"\"",
        "-j TEE --gateway 10.0.0.9 --oif lan",
        "-j TEE --gateway 10.0.0.10",
    ],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    // What is copied to the router itself as it comes in (by an address of its own, by a route through `lo`) is copied again when it has come round,
    // and so without end, in the kernel too.
    |place| match place.is_none_of(&[Hook::Prerouting, Hook::Input]) {
        true => 8,
        false => 0,
    },
    |draw| {
        draw.give_one(
            &GATEWAY.spec,
            &[
                "10.0.0.9",
                "192.0.2.9",
                "10.0.0.2",
                "203.0.113.9",
                "10.0.0.255",
                "192.0.2.1",
                "127.0.0.1",
            ],
        );
        draw.maybe(4, &OIF.spec, &["lan", "wan", "nowhere"]);
    },
)
.in_one_scenario_of(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ext::testing::{ANY, Bench, read_target, target_places, udp};
    use crate::rule::Table;

    #[test]
    fn a_copy_goes_to_the_gateway() {
        for (typed, interface) in [
            ("--gateway 10.0.0.9", None),
            ("--gateway 10.0.0.9 --oif lan", Some("lan")),
            ("--gateway 10.0.0.9 --oif \"\"", None),
        ] {
            let made = read_target(&SPEC, ANY, typed).unwrap();
            let verdict = Bench::new().apply(made.as_ref(), &mut udp(1, 2, &[]));
            let to = CopyTo {
                gateway: IpAddr::from([10, 0, 0, 9]),
                interface: interface.and_then(InterfaceName::new),
            };
            assert_eq!(verdict, TargetVerdict::ContinueBeside(to), "{typed}");
        }
    }

    #[test]
    fn no_address_is_no_gateway() {
        for (typed, said) in [
            ("--gateway 0.0.0.0", "a gateway of 0.0.0.0 is none"),
            ("--gateway 0.0.0.1", ""),
        ] {
            target_places(&SPEC, ANY, typed, &[(Table::Raw, &[Hook::Output], said)]);
        }
    }
}
