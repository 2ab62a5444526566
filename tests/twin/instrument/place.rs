//! Where the kernel's side can be: as root, in a user namespace, or nowhere here.

use nflab::lab::mode::{Mode, enter_user_namespace, probe};

use super::compare::{Agreement, Disagreement, compare};
use super::kernel::{Kernel, missing_tool};
use super::ours::{Clock, Ours};
use super::scenario::Scenario;
use super::side::Depth;

/// Makes this process one that can have network namespaces, or says in a sentence why it cannot. To be called before any thread is started.
pub fn prepare() -> Result<(), String> {
    if let Some(why) = missing_tool() {
        return Err(why);
    }
    match probe() {
        Mode::Root => Ok(()),
        Mode::UserNamespace => enter_user_namespace().map_err(|error| error.to_string()),
        Mode::None(why) => Err(why),
    }
}

/// Runs a scenario beside a kernel of its own. The calling thread is in another network namespace afterwards.
pub fn beside_a_kernel(scenario: &Scenario, depth: Depth) -> Result<Agreement, Disagreement> {
    let mut kernel = Kernel::new()?;
    let mut own = Ours::new(Clock::real())?;
    compare(scenario, &mut kernel, &mut own, depth)
}
