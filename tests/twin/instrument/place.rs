//! Where the kernel's side can be: as root, in a user namespace, or nowhere here.

use std::panic::catch_unwind;

use nflab::live::mode::{Mode, enter_user_namespace, probe};

use super::compare::{Agreement, Disagreement, compare};
use super::kernel::{Kernel, missing_tool};
use super::ours::{Clock, Ours};
use super::scenario::Scenario;
use super::side::Depth;

/// Makes this process one that can have network namespaces, or says in a sentence why it cannot. To be called before any thread is started.
pub(crate) fn prepare() -> Result<(), String> {
    if let Some(why) = missing_tool() {
        return Err(why);
    }
    match probe() {
        Mode::Root => Ok(()),
        Mode::UserNamespace => enter_user_namespace().map_err(|error| error.to_string()),
        Mode::None(why) => Err(why),
    }
}

/// How both sides are put together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wiring {
    /// Who carry packets on nflab's side: one or two, over whom they are spread by their flows.
    pub workers: usize,
    /// Packets come as cards with offload hand them over, unfinished or standing for many, and leave for such.
    pub offload: bool,
}

impl Wiring {
    pub(crate) const PLAIN: Self = Self {
        workers: 1,
        offload: false,
    };
}

/// Runs a scenario beside a kernel of its own; once more where the sides parted by a chance that does not come twice at the same event. The calling
/// thread is in another network namespace afterwards.
pub(crate) fn beside_a_kernel(wiring: Wiring, scenario: &Scenario, depth: Depth) -> Result<Agreement, Disagreement> {
    let ipv6 = scenario.speaks_ipv6();
    believe(|seed| {
        // What ends in a panic is to be shrunk and kept like any other difference.
        catch_unwind(|| {
            let mut kernel = Kernel::new(wiring.offload, ipv6)?;
            let mut own = Ours::drawing(Clock::real(), ipv6, seed)?.wired(wiring);
            compare(scenario, &mut kernel, &mut own, depth)
        })
        .unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default();
            Err(Disagreement::Panicked(said.to_owned()))
        })
    })
}

/// How often the same doubtful event has to show before it is a difference.
const TIMES: u64 = 3;

/// Each run has a seed of its own: with the same one nflab's side draws the same each time.
fn believe(mut run: impl FnMut(u64) -> Result<Agreement, Disagreement>) -> Result<Agreement, Disagreement> {
    let mut before = None;
    for seed in 1..TIMES {
        match run(seed) {
            Err(Disagreement::Doubtful { at, .. }) if before.is_none_or(|before| before == at) => before = Some(at),
            Err(Disagreement::Doubtful { at, .. }) => return Ok(parted(at)),
            other => return other,
        }
    }
    match run(TIMES) {
        Err(Disagreement::Doubtful { at, what }) if before == Some(at) => {
            Err(Disagreement::Differ { at: Some(at), what })
        }
        Err(Disagreement::Doubtful { at, .. }) => Ok(parted(at)),
        other => other,
    }
}

/// By chance, and elsewhere than before.
fn parted(at: usize) -> Agreement {
    Agreement {
        parted_at: Some(at),
        ..Agreement::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parts_the_sides_each_time_is_a_difference() {
        let doubtful = |at| {
            let what = "a port".to_owned();
            Err(Disagreement::Doubtful { at, what })
        };
        type Outcome = Result<Agreement, Disagreement>;
        let differs = |mut outcomes: Vec<Outcome>| {
            let outcome = believe(|_| outcomes.remove(0));
            matches!(outcome, Err(Disagreement::Differ { at: Some(7), .. }))
        };
        assert!(differs(vec![doubtful(7), doubtful(7), doubtful(7)]));
        assert!(!differs(vec![doubtful(7), doubtful(7), doubtful(9)]));
        assert!(!differs(vec![doubtful(7), doubtful(9)]));
        assert!(!differs(vec![doubtful(7), Ok(Agreement::default())]));
    }
}
