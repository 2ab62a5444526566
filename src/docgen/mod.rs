//! Specs to manual, completion and grammar. Everything here returns text; who writes it to a file is `tests/generated.rs`.

mod command;
mod completion;
mod grammar;
mod languages;
mod manual;
#[cfg(test)]
mod pages;
mod roff;
mod sysctls;

use crate::ext::option::OptionSpec;
use crate::ext::{MATCHES, MatchSpec};

/// One file that is made, and committed too: what is read in the project is what the code says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// Below the project's root.
    pub path: &'static str,
    pub text: String,
}

/// Every generated file.
pub fn all() -> Vec<Generated> {
    [
        ("grammar/extensions.ebnf", grammar::extensions()),
        ("man/nflab.1", command::manual()),
        ("man/nflab-extensions.7", manual::extensions()),
        ("man/nflab-hooks.7", manual::hooks()),
        ("man/nflab-lab.5", languages::lab()),
        ("man/nflab-script.5", languages::script()),
        ("man/nflab-test.5", languages::test()),
        ("man/nflab-iptables.8", manual::iptables()),
        ("completions/nflab.bash", completion::bash()),
        ("docs/sysctls.md", sysctls::page()),
    ]
    .map(|(path, text)| Generated { path, text })
    .into()
}

/// Matches as one types them: those of one name, of which each family has its own, are one with the options of both.
fn matches_by_name() -> Vec<(&'static MatchSpec, Vec<OptionSpec>)> {
    let mut found: Vec<(&MatchSpec, Vec<OptionSpec>)> = Vec::new();
    for spec in MATCHES {
        match found.iter_mut().find(|(other, _)| other.name == spec.name) {
            Some((_, options)) => {
                let more = spec
                    .options
                    .iter()
                    .filter(|it| !options.iter().any(|other| other.name == it.name));
                let more: Vec<OptionSpec> = more.copied().collect();
                options.extend(more);
            }
            None => found.push((spec, spec.options.to_vec())),
        }
    }
    found
}

/// What stands at the head of a generated file, after its comment sign.
const NOTICE: &str = "Made from the specs in the sources; `NFLAB_BLESS=1 cargo test --test generated` makes it anew.";
