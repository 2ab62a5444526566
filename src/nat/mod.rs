//! Choosing and keeping mappings, rewriting headers, quoted headers of ICMP errors, sequence offsets.
