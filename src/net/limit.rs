//! Rate limits of the host's own ICMP.

/// Token buckets: one for everything, one for each destination.
#[derive(Clone, Debug, Default)]
pub struct Limiter {}

impl Limiter {
    pub fn new() -> Self {
        Self::default()
    }
}
