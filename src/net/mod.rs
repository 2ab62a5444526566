//! Interfaces, addresses, routes, sanity, reassembly and fragmentation, ICMP errors, the local host's answers.

#[derive(Clone, Debug)]
pub struct Net;
