//! Which addresses are meant: the selectors of `show` and `flush`.

use super::USAGE;
use crate::base::{Family, InterfaceId};
use crate::cli::ip::Call;
use crate::cli::ip::words::{Refused, abbreviates, prefix, scope};
use crate::net::{Address, AddressFlags, Interface, Prefix, Scope};

#[derive(Debug, Default)]
pub(super) struct Filter {
    pub device: Option<InterfaceId>,
    only_up: bool,
    pub within: Option<Prefix>,
    scope: Option<Scope>,
    secondary: Option<bool>,
    /// Of these, whether it has them.
    flags: Vec<(AddressFlags, bool)>,
    /// What no address here is: there are none.
    is_none: bool,
    pub family: Option<Family>,
}

impl Filter {
    pub(super) fn takes(&self, interface: &Interface) -> bool {
        self.device.is_none_or(|id| id == interface.id) && (!self.only_up || interface.is_up)
    }

    pub(super) fn means(&self, it: &Address) -> bool {
        self.within.is_none_or(|within| within.contains(it.address))
            && self.scope.is_none_or(|scope| scope == it.scope)
            && self.secondary.is_none_or(|secondary| secondary == it.secondary)
            && self.family.is_none_or(|family| family == Family::of(it.address))
            && self.flags.iter().all(|(flag, wanted)| it.flags.has(*flag) == *wanted)
            && !self.is_none
    }
}

fn flag_of(word: &str) -> Option<AddressFlags> {
    AddressFlags::ALL
        .iter()
        .find(|(_, name)| *name == word)
        .map(|(flag, _)| *flag)
}

pub(super) fn filter(call: &mut Call<'_>) -> Result<Filter, Refused> {
    let mut filter = Filter {
        family: call.style.family,
        ..Filter::default()
    };
    let mut device = None;
    while let Some(word) = call.words.take() {
        match word {
            "to" => {
                let typed = prefix(call.words.need()?, filter.family)?;
                filter.family = filter.family.or(typed.family());
                filter.within = Some(typed.network(filter.family));
            }
            "scope" => match call.words.need()? {
                "all" => {}
                word => filter.scope = Some(scope(word, "invalid \"scope\"\n")?),
            },
            "up" => filter.only_up = true,
            "secondary" | "temporary" => filter.secondary = Some(true),
            "primary" | "-secondary" | "-temporary" => filter.secondary = Some(false),
            "dynamic" | "-permanent" | "dadfailed" | "optimistic" | "stable-privacy" => filter.is_none = true,
            "permanent" | "-dadfailed" | "-optimistic" | "-stable-privacy" => {}
            it if let Some(flag) = flag_of(it.strip_prefix('-').unwrap_or(it)) => {
                filter.flags.push((flag, !it.starts_with('-')));
            }
            it if ["label", "group", "master", "vrf", "nomaster", "type"].contains(&it) => {
                return Err(Refused::not_there(&format!("the selector `{it}`")));
            }
            it => {
                let name = if it == "dev" { call.words.need()? } else { it };
                if abbreviates(it, "help") {
                    return Err(Refused::usage(USAGE));
                }
                if device.is_some() {
                    return Err(Refused::duplicate("dev", name));
                }
                device = Some(name);
            }
        }
    }
    if let Some(name) = device {
        let config = call.machine.router().config();
        let found = config.net.by_name(name).map(|it| it.id);
        filter.device = Some(found.ok_or_else(|| Refused::new(1, format!("Device \"{name}\" does not exist.\n")))?);
    }
    Ok(filter)
}
