//! Headers as samples of a tracker: how the flow that one opens is named, or why it is INVALID. The registry's tests walk them.

/// A transport header, as it leaves the router itself (nobody looks at its checksum there).
#[cfg_attr(not(test), expect(dead_code, reason = "the registry's tests walk them"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub header: &'static [u8],
    pub seen: SeenAs,
}

#[cfg_attr(not(test), expect(dead_code, reason = "the registry's tests walk them"))]
#[derive(Clone, Copy, Debug)]
pub(crate) enum SeenAs {
    /// It opens a flow: what `/proc/net/nf_conntrack` and `conntrack -L` print of it after the addresses, and the former of the answer's direction.
    Flow {
        proc: &'static str,
        tool: &'static str,
        answer: &'static str,
    },
    Invalid(&'static str),
}

pub(crate) const fn flow(
    header: &'static [u8],
    proc: &'static str,
    tool: &'static str,
    answer: &'static str,
) -> Sample {
    let seen = SeenAs::Flow { proc, tool, answer };
    Sample { header, seen }
}

pub(crate) const fn invalid(header: &'static [u8], why: &'static str) -> Sample {
    let seen = SeenAs::Invalid(why);
    Sample { header, seen }
}
