//! The way of a packet through the table: the tracking stage and the confirmation.
