//! Commands as people type them, and as they mistype them.

use super::{Step, step};

/// What is typed of the tool itself.
pub(crate) fn scenarios() -> Vec<Vec<Step>> {
    parted(TYPED)
}

/// Every option of every extension, well and ill.
pub(crate) fn extensions() -> Vec<Vec<Step>> {
    parted(EXTENSIONS)
}

/// The arguments of `conntrack` and `sysctl`, each alone and all in a row. The tables are empty: what flows hold is the twin's business.
pub(crate) fn other_tools() -> Vec<Vec<Step>> {
    let rows = parted(OTHER_TOOLS);
    let alone = rows.concat().into_iter().map(|step| vec![step]);
    alone.chain(rows.clone()).collect()
}

/// `conntrack` beside flows that it has made itself, the same on both sides.
pub(crate) fn beside_flows() -> Vec<Vec<Step>> {
    parted(BESIDE_FLOWS)
}

/// What IPv6 alone has, or has in other words.
pub(crate) fn of_ipv6() -> Vec<Vec<Step>> {
    parted(OF_IPV6)
}

/// What the generators found once.
pub(crate) fn kept() -> Vec<Vec<Step>> {
    parted(KEPT)
}

/// Those of a file in the form of the files here.
pub(crate) fn of_file(path: &str) -> Vec<Vec<Step>> {
    let text = std::fs::read_to_string(path);
    parted(&text.unwrap_or_else(|error| panic!("ORACLE_FILE={path}: {error}")))
}

/// Blank lines part scenarios; each starts with empty tables.
fn parted(text: &str) -> Vec<Vec<Step>> {
    let mut scenarios = vec![Vec::new()];
    for line in text.lines() {
        match line {
            "" => scenarios.push(Vec::new()),
            line if line.starts_with("## ") => {}
            line => scenarios.last_mut().expect("one is there").push(step(line)),
        }
    }
    scenarios.retain(|scenario| !scenario.is_empty());
    scenarios
}

/// Every prefix of every long option, alone.
pub(crate) fn abbreviations() -> Vec<Vec<Step>> {
    LONG.split_whitespace()
        .map(|name| {
            (1..=name.len())
                .map(|end| &name[..end])
                // Help is in our own words.
                .filter(|prefix| !"help".starts_with(prefix))
                .flat_map(|prefix| [step(&format!("--{prefix}")), step(&format!("--{prefix}=x"))])
                .collect()
        })
        .collect()
}

const LONG: &str = "append check delete insert replace list list-rules flush zero new-chain delete-chain rename-chain policy source \
destination src dst protocol in-interface jump table match numeric out-interface verbose wait wait-interval exact fragments version help \
line-numbers modprobe set-counters goto ipv4 ipv6 dump nothing";

const TYPED: &str = include_str!("commands.txt");
const EXTENSIONS: &str = include_str!("extensions.txt");
const OTHER_TOOLS: &str = include_str!("other_tools.txt");
const BESIDE_FLOWS: &str = include_str!("beside_flows.txt");
const OF_IPV6: &str = include_str!("of_ipv6.txt");
const KEPT: &str = include_str!("kept.txt");
