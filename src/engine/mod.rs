//! The hook table, the walk, counters, atomic replacement, observation; `Router`.
