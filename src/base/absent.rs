//! What is said of IPv6, wherever somebody asks for it, until it is there. When it comes, this file goes, and the compiler names the places.

/// Of packets, addresses, routes, knobs. A macro too, for where a text is put together before the program runs.
macro_rules! no_ipv6 {
    () => {
        "IPv6 is not there yet"
    };
}

pub(crate) use no_ipv6;

/// Of the tools and texts that have rules.
pub(crate) const NO_IPV6_RULES: &str = "rules for IPv6 are not there yet in nflab";
