//! What only the whole of an extension's options can tell, once all of them are read.

use super::{Given, OptionSpec, UsageError};

/// What an extension asks by itself before the kit asks anything of the whole.
#[derive(Debug, Clone, Copy)]
pub enum NeedsOne {
    /// At least one of some options must be there.
    Of {
        /// Empty: any option will do.
        of: &'static [&'static str],
        /// What the tool prints, whole.
        message: &'static str,
    },
    /// Which one hangs on another.
    AsAsked(fn(&Given<'_>) -> Result<(), UsageError>),
}

/// Groups of options, by name: of each only one may stand in a rule.
pub type Exclusive = &'static [&'static [&'static str]];

/// What only the whole can tell: that one of several is missing, that an option is missing, and that options exclude one another. The
/// extension's own question comes before the kit's, as in the tool (`-m addrtype --limit-iface-in --limit-iface-out`).
pub fn finish(
    extension: &str,
    specs: &[OptionSpec],
    needs_one: Option<NeedsOne>,
    exclusive: Exclusive,
    given: &Given<'_>,
) -> Result<(), UsageError> {
    match needs_one {
        Some(NeedsOne::Of { of, message }) => {
            let has_one = match of {
                [] => !given.options.is_empty(),
                names => names.iter().any(|name| given.names(name)),
            };
            if !has_one {
                return Err(UsageError::parameter(message));
            }
        }
        Some(NeedsOne::AsAsked(asked)) => asked(given)?,
        None => {}
    }
    for spec in specs {
        let name = spec.name_in_errors();
        if !given.names(spec.name) {
            if spec.required {
                return Err(UsageError::parameter(format!(
                    "{extension}: option \"--{name}\" must be specified\n"
                )));
            }
            continue;
        }
        let also = excluded_by(spec.name, exclusive).find(|other| given.names(other));
        let also = also.and_then(|name| specs.iter().find(|other| other.name == name));
        if let Some(other) = also {
            return Err(UsageError::parameter(format!(
                "{extension}: option \"--{name}\" cannot be used together with \"--{}\".\n",
                other.name_in_errors()
            )));
        }
        if let Some(missing) = spec
            .together_with
            .map(|other| other())
            .filter(|other| !given.names(other))
        {
            return Err(UsageError::parameter(format!(
                "{extension}: option \"--{name}\" also requires \"--{missing}\".\n"
            )));
        }
    }
    Ok(())
}

/// The options that cannot stand beside one.
pub fn excluded_by(name: &str, exclusive: Exclusive) -> impl Iterator<Item = &'static str> + Clone {
    let groups = exclusive.iter().filter(move |group| group.contains(&name));
    groups
        .flat_map(|group| group.iter().copied())
        .filter(move |other| *other != name)
}
