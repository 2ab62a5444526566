//! The TCP tracker: states, windows, timeouts.
