//! What is said of IPv6, wherever somebody asks for it, until it is there. When it comes, this file goes, and the compiler names the places.

/// Of texts that `nflab import` reads.
pub(crate) const NO_IPV6_RULES: &str = "`nflab import` does not read rules of IPv6 yet, `ip6tables-restore` does";
