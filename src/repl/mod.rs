//! The interactive line editor over a lab.
