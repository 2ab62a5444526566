//! Interfaces, addresses, routes, sanity, reassembly and fragmentation, ICMP errors, the local host's answers.
