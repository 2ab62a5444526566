//! Lessons: files that tell of netfilter in steps, with commands to type, questions, and tasks that are marked by the engine of `nflab test`.
//!
//! Reading is one thing ([`read`], a file to a [`Lesson`]), stepping through another ([`Session`]: lines typed to text, in a lab of its own), trying a
//! whole lesson a third ([`trial::of`], which finds what it says and is not so). Nothing here prints or reads a file; `docs/teaching.md` documents
//! the form for who writes one.

mod compare;
mod lesson;
mod library;
mod marking;
mod read;
mod session;
mod trial;
mod wrap;

pub(crate) use lesson::Lesson;
pub(crate) use library::{LIBRARY, find, title};
pub(crate) use read::{FILE_WORDS, read};
pub(crate) use session::{Screen, Session, Told, WORDS};
pub(crate) use trial::of as trial;

#[cfg(test)]
mod tests;
