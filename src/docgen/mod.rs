//! Specs to manual, completion and grammar. Everything here returns text; who writes it to a file is `tests/generated.rs`.
