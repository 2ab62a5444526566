//! What the host does with IPv4: the header's checks, options, reassembly and fragmentation, ICMP, its own answers.

mod answer;
mod forward;
mod fragment;
mod icmp;
mod identification;
mod input;
mod options;
mod reassembly;
mod reject;
mod sanity;

pub use fragment::{FragmentationNeeded, fragment};
pub use icmp::IcmpError;
pub use identification::Identification;
pub use reassembly::Reassembly;
pub use reject::{may_complain, reset};
pub use sanity::sanity;
