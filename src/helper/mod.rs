//! Application protocols that open other flows: parser and NAT edit side by side.
