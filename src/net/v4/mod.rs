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

pub use answer::{Answer, Closed, Listeners};
pub use forward::{ForwardOutcome, Redirect};
pub use fragment::{FragmentationNeeded, fragment};
pub use icmp::{IcmpError, Suppressed};
pub use identification::Identification;
pub use input::{Forwarding, InputRoute};
pub use reassembly::{DefragUser, Expired, Pushed, Reassembly};
pub use reject::{NoReset, may_complain, reset};
pub use sanity::sanity;
