//! What every text language of ours is read with. `problem` says what is wrong, where, and what helps; `atom` has the smallest parts
//! (numbers, addresses, durations, bytes); `words` reads a line word by word.

#[doc(hidden)]
pub mod atom;
pub mod problem;
#[doc(hidden)]
pub mod words;
