//! What the kernel asks of a rule's place: which table, which hooks, which protocol. Its words, as its log has them.

use crate::base::Family;
use crate::rule::{Errno, Hook, HookSet, Refusal, Scope, Table};

/// A match or target that is for one protocol only.
pub(super) fn only_protocol(scope: &Scope<'_>, what: &str, protocol: u8) -> Result<(), Refusal> {
    if scope.selector.protocol == protocol && !scope.selector.protocol_inverted {
        return Ok(());
    }
    Err(invalid(format!(
        "{}: {what}: only valid for protocol {protocol}",
        tables(scope)
    )))
}

pub(super) fn only_table(scope: &Scope<'_>, what: &str, table: Table) -> Result<(), Refusal> {
    if scope.table == table {
        return Ok(());
    }
    Err(invalid(format!(
        "{}: {what}: only valid in {} table, not {}",
        tables(scope),
        table.name(),
        scope.table.name()
    )))
}

pub(super) fn only_hooks(scope: &Scope<'_>, what: &str, usable: HookSet) -> Result<(), Refusal> {
    if scope.hooks.within(usable) {
        return Ok(());
    }
    Err(invalid(format!(
        "{}: {what}: used from hooks {}, but only usable from {}",
        tables(scope),
        names(scope.hooks),
        names(usable)
    )))
}

/// The same in other words, which the kernel has for some.
pub(super) fn only_valid_from(scope: &Scope<'_>, what: &str, usable: HookSet) -> Result<(), Refusal> {
    if scope.hooks.within(usable) {
        return Ok(());
    }
    Err(invalid(format!(
        "{}: {what}: used from hooks {}, but only valid from {}",
        tables(scope),
        names(scope.hooks),
        names(usable)
    )))
}

/// Who speaks in the kernel's log.
fn tables(scope: &Scope<'_>) -> &'static str {
    match scope.selector.family {
        Family::V4 => "x_tables: ip_tables",
        Family::V6 => "x_tables: ip6_tables",
    }
}

/// The kernel calls it invalid, and its log says why.
pub(super) fn invalid(reason: String) -> Refusal {
    Refusal::logged(Errno::InvalidArgument, reason)
}

fn names(hooks: HookSet) -> String {
    let chains: Vec<_> = Hook::ALL
        .into_iter()
        .filter(|&hook| hooks.contains(hook))
        .map(Hook::chain)
        .collect();
    chains.join("/")
}
