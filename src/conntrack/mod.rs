//! Tuples, flows and their table, timeouts, expectations; one tracker a file.
