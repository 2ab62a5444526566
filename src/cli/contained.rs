//! What stands inside a containment under the names of programs of netfilter: the lab's tools, and refusals of what a lab has not.

use std::ffi::OsString;

use super::tools::SHIMS;
use crate::base::bytes::{os_of, text_of_os};
use crate::device::standard::tell;

/// All names, for [`Plan::tools`](crate::live::contain::Plan::tools).
pub(super) fn names() -> Vec<String> {
    SHIMS
        .iter()
        .chain(NFT_NAMES.iter().map(|(name, _)| name))
        .chain(MULTI)
        .chain(MODULES)
        .chain(&["dmesg"])
        .chain(REFUSED)
        .map(|name| (*name).to_owned())
        .collect()
}

/// The tool that a name means, with the arguments for it; a code where it was refused. `None` where it is no such name.
pub(super) fn resolve(called: &str, args: &[OsString]) -> Option<Result<(String, Vec<OsString>), u8>> {
    if MULTI.contains(&called) {
        // It is told by its first word what it is.
        let Some((word, rest)) = args.split_first() else {
            tell!("{called}: say which tool is meant: `{called} iptables ...`");
            return Some(Err(1));
        };
        let word = text_of_os(word);
        return Some(match SHIMS.contains(&word.as_str()) {
            true => Ok((word, rest.to_vec())),
            false => resolve(&word, rest).unwrap_or_else(|| Err(refuse(&format!("{called} {word}")))),
        });
    }
    if let Some((_, tool)) = NFT_NAMES.iter().find(|(name, _)| *name == called) {
        return Some(Ok(((*tool).to_owned(), args.to_vec())));
    }
    let with = |tool: &str, first: &[&str]| {
        let first = first.iter().map(OsString::from);
        Some(Ok((tool.to_owned(), first.chain(args.iter().cloned()).collect())))
    };
    match called {
        "rmmod" => with("modprobe", &["-r"]),
        "lsmod" | "dmesg" => with(called, &[]),
        "insmod" => Some(insmod(args)),
        _ if REFUSED.contains(&called) => Some(Err(refuse(called))),
        _ => None,
    }
}

/// A file is never loaded; what its name says is.
fn insmod(args: &[OsString]) -> Result<(String, Vec<OsString>), u8> {
    let Some(file) = args.first() else {
        tell!("insmod: ERROR: missing filename.");
        return Err(1);
    };
    let file = text_of_os(file);
    let name = file.rsplit('/').next().unwrap_or_default();
    let name = name.split(".ko").next().unwrap_or_default();
    Ok(("modprobe".to_owned(), vec![os_of(name)]))
}

fn refuse(called: &str) -> u8 {
    let instead = match called {
        _ if called.starts_with("nft") => "; rules are given with iptables",
        _ if called.contains("translate") => "; it would print rules for nft, which a lab has not",
        _ => "",
    };
    tell!("{called}: not there in nflab{instead}; nothing was changed");
    1
}

/// Today's names of the same tools over another interface to the kernel.
const NFT_NAMES: &[(&str, &str)] = &[
    ("iptables-nft", "iptables"),
    ("iptables-nft-save", "iptables-save"),
    ("iptables-nft-restore", "iptables-restore"),
    ("ip6tables-nft", "ip6tables"),
    ("ip6tables-nft-save", "ip6tables-save"),
    ("ip6tables-nft-restore", "ip6tables-restore"),
];

const MULTI: &[&str] = &["xtables-multi", "xtables-legacy-multi", "xtables-nft-multi"];

const MODULES: &[&str] = &["lsmod", "insmod", "rmmod"];

/// What would speak to the kernel by other ways: were it left in place, its rules would be lost and nobody told.
const REFUSED: &[&str] = &[
    "nft",
    "arptables",
    "arptables-save",
    "arptables-restore",
    "arptables-legacy",
    "arptables-legacy-save",
    "arptables-legacy-restore",
    "arptables-nft",
    "arptables-nft-save",
    "arptables-nft-restore",
    "ebtables",
    "ebtables-save",
    "ebtables-restore",
    "ebtables-legacy",
    "ebtables-legacy-save",
    "ebtables-legacy-restore",
    "ebtables-nft",
    "ebtables-nft-save",
    "ebtables-nft-restore",
    "ebtables-translate",
    "iptables-xml",
    "iptables-translate",
    "iptables-restore-translate",
    "ip6tables-translate",
    "ip6tables-restore-translate",
    "xtables-monitor",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(line: &str) -> Option<Result<String, u8>> {
        let mut words = line.split(' ');
        let called = words.next().unwrap_or_default();
        let args: Vec<OsString> = words.map(OsString::from).collect();
        resolve(called, &args).map(|it| {
            it.map(|(tool, args)| {
                let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
                format!("{tool} {}", args.join(" "))
            })
        })
    }

    #[test]
    fn each_name_is_a_tool_or_refused() {
        for (line, tool) in [
            ("xtables-nft-multi iptables -S", Some("iptables -S")),
            ("xtables-legacy-multi iptables-nft-save -c", Some("iptables-save -c")),
            ("xtables-multi", None),
            ("xtables-nft-multi ebtables -L", None),
            ("xtables-nft-multi nonsense", None),
            ("ip6tables-nft -S", Some("ip6tables -S")),
            ("rmmod ip_tables", Some("modprobe -r ip_tables")),
            ("insmod /lib/modules/6.1/ip_tables.ko.xz", Some("modprobe ip_tables")),
            ("nft list ruleset", None),
        ] {
            assert_eq!(resolved(line).unwrap().ok().as_deref(), tool, "{line}");
        }
        assert!(resolved("iptables -S").is_none(), "a tool by itself");
        let names = names();
        let unique: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "each has one place to stand");
    }
}
