//! SCTP.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidReason {}

impl fmt::Display for InvalidReason {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}
