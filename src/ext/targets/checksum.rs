//! `-j CHECKSUM`: finishes a transport checksum that a device was left to finish.

use std::fmt::Write;
use std::sync::Arc;

use crate::base::Family;
use crate::ext::TargetSpec;
use crate::ext::drawn::{Drawn, drawn};
use crate::ext::listed::{Listed, Options, Typed};
use crate::ext::option::{Given, Opt, UsageError};
use crate::ext::place::only_table;
use crate::ext::samples::{DATAGRAM, Samples, passes, refused, taken};
use crate::packet::{ChecksumState, Packet};
use crate::rule::{Changes, Effect, Refusal, Scope, Table, Target, TargetContext, TargetVerdict};

pub(crate) const SPEC: TargetSpec = TargetSpec {
    name: "CHECKSUM",
    listed_as: "CHECKSUM",
    families: &[Family::V4, Family::V6],
    like: None,
    options: &[FILL.spec],
    needs_one: None,
    exclusive: &[],
    build,
    unlist,
    about: "finishes a checksum that was left to a device",
    samples: SAMPLES,
};

const FILL: Opt<()> = Opt::flag(
    "checksum-fill",
    "finish the transport's checksum where it is only begun",
)
.required();

fn build(_: &Given<'_>) -> Result<Arc<dyn Target>, UsageError> {
    Ok(Arc::new(Checksum))
}

#[derive(Debug, PartialEq, Eq)]
struct Checksum;

impl Target for Checksum {
    fn name(&self) -> &'static str {
        SPEC.name
    }

    fn apply(&self, cx: &mut TargetContext<'_>) -> TargetVerdict {
        // Seen: a packet that stands for many is left to the device. Each of them has a checksum of its own, which only who cuts it knows.
        if cx.packet.offload().checksum == ChecksumState::Partial && cx.packet.offload().segment_size == 0 {
            cx.packet.finish_checksum();
            // Whoever receives it sums it up as any other.
            cx.packet.checksum = ChecksumState::Unknown;
        }
        TargetVerdict::Continue
    }

    fn explain(&self, before: &Packet, after: &Packet) -> Option<String> {
        let (before, after) = (before.offload(), after.offload());
        let said = match (before.checksum, after.checksum) {
            (ChecksumState::Partial, ChecksumState::Partial) => "CHECKSUM stays begun, as the packet stands for many",
            (ChecksumState::Partial, _) => "CHECKSUM is finished",
            _ => "CHECKSUM stays, as nothing was left to a device",
        };
        Some(said.to_owned())
    }

    fn effect(&self) -> Effect {
        Effect::PURE.changing(Changes::TRANSPORT)
    }

    fn save(&self, out: &mut String) {
        let _ = write!(out, " {}", FILL.spelled(false));
    }

    fn list(&self, out: &mut String, _numeric: bool) {
        out.push_str(" CHECKSUM fill");
    }

    fn check(&self, scope: &Scope<'_>) -> Result<(), Refusal> {
        only_table(scope, "CHECKSUM target", Table::Mangle)
    }
}

/// ` CHECKSUM fill`.
fn unlist(listed: Listed<'_>) -> Vec<Typed<'_>> {
    listed.once(|it| {
        it.word("CHECKSUM")?;
        it.word("fill")?;
        let mut options = Options::default();
        options.push(false, FILL.name(), "");
        Some(options)
    })
}

const SAMPLES: Samples = Samples {
    place: ("mangle", "POSTROUTING"),
    taken: &[
        taken("", "--checksum-fill", "--checksum-fill", "CHECKSUM fill"),
        taken("-p udp", "--checksum-fill", "--checksum-fill", "CHECKSUM fill"),
    ],
    refused: &[
        refused("", "", "CHECKSUM: option \"--checksum-fill\" must be specified\n"),
        refused(
            "",
            "--checksum-fill --checksum-fill",
            "CHECKSUM: option \"--checksum-fill\" can only be used once.\n",
        ),
        refused(
            "",
            "! --checksum-fill",
            "CHECKSUM: option \"--checksum-fill\" cannot be inverted.\n",
        ),
    ],
    packets: &[
        passes("", "--checksum-fill", DATAGRAM),
        passes("", "--checksum-fill", "udp 10.0.0.2:1 > 192.0.2.9:2 badsum data 0x61"),
    ],
    spellings: &["-j CHECKSUM --checksum-fill"],
    drawn: DRAWN,
};

const DRAWN: Drawn = drawn(
    |place| match place.table {
        Table::Mangle => 12,
        _ => 0,
    },
    |draw| draw.give(&FILL.spec, ""),
)
.in_one_scenario_of(4);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::protocol;
    use crate::ext::testing::{ANY, Bench, read_target, target_places, tcp};
    use crate::packet::Offload;
    use crate::rule::Hook;
    use crate::wire::checksum;

    #[test]
    fn places() {
        const SAID: &str = "x_tables: ip_tables: CHECKSUM target: only valid in mangle table, not filter";
        let places: [(Table, &[Hook], &str); 2] = [
            (Table::Mangle, &[Hook::Output], ""),
            (Table::Filter, &[Hook::Output], SAID),
        ];
        target_places(&SPEC, ANY, "--checksum-fill", &places);
    }

    #[test]
    fn what_is_begun_is_finished_and_nothing_else() {
        for (state, segment_size, is_right, said) in [
            (ChecksumState::Partial, 0, true, "CHECKSUM is finished"),
            (
                ChecksumState::Partial,
                4,
                false,
                "CHECKSUM stays begun, as the packet stands for many",
            ),
            (
                ChecksumState::Unknown,
                0,
                false,
                "CHECKSUM stays, as nothing was left to a device",
            ),
        ] {
            // Options in the place of data: to a header of the shortest length they are the same.
            let mut packet = tcp(1, 2, 0x10, &[1; 8]);
            packet.transport_mut()[12] = 0x50;
            let length = packet.transport().len();
            let begun = checksum::pseudo_header(packet.source(), packet.destination(), protocol::TCP, length);
            let begun = checksum::fold(begun).to_be_bytes();
            packet.transport_mut()[16..18].copy_from_slice(&begun);
            let offload = Offload {
                checksum: state,
                segment_size,
                ecn: false,
            };
            packet.set_offload(offload).unwrap();
            let came = packet.clone();
            let made = read_target(&SPEC, ANY, "--checksum-fill").unwrap();
            assert_eq!(Bench::new().apply(made.as_ref(), &mut packet), TargetVerdict::Continue);
            let sum = packet.transport_checksum(protocol::TCP);
            assert_eq!(
                (sum == 0, packet.bytes() == came.bytes()),
                (is_right, !is_right),
                "{said}"
            );
            assert_eq!(made.explain(&came, &packet).as_deref(), Some(said));
        }
    }
}
