//! GRE (RFC 2784, RFC 2637). Version 0 has no key in its tuple; of version 1 the call id is one.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {
    /// Version 1 that carries something else than PPP.
    NotPpp,
}

impl fmt::Display for InvalidReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPpp => f.write_str("version 1 carries something else than PPP"),
        }
    }
}
