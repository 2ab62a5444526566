//! Trackers: what each protocol makes of the packets of its flows. A closed set, so an enum.

pub mod tcp;
