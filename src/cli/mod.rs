//! One applet a file; wording and exit codes.
