//! IP options: record route, time stamp, source route, router alert (RFC 791, 2113).
