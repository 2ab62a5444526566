//! The file in which the tools look for names of labels, as whoever calls them found it.

use std::sync::LazyLock;

use crate::conntrack::LabelNames;
use crate::conntrack::labels::FILE;
use crate::ext::option::{Status, UsageError};

/// What stands in it, or why it can't be read.
#[derive(Clone, Debug)]
pub struct LabelFile(Result<LabelNames, String>);

impl LabelFile {
    /// Where it is.
    pub const PATH: &'static str = FILE;

    /// Of what was found there: its text, or what the system said.
    pub fn found(text: Result<&str, String>) -> Self {
        Self(text.map(LabelNames::parse))
    }

    /// There is none.
    pub fn none() -> &'static Self {
        static NONE: LazyLock<LabelFile> = LazyLock::new(|| LabelFile(Err("No such file or directory".to_owned())));
        &NONE
    }

    /// The name of a bit, where it has one.
    pub(crate) fn name(&self, bit: u16) -> Option<&str> {
        self.0.as_ref().ok()?.name(bit.into())
    }

    /// The bit that a name means, or what the tool says of one that means none.
    pub(crate) fn bit(&self, name: &str) -> Result<u16, UsageError> {
        let unknown = UsageError::parameter(format!("label '{name}' not found or invalid value"));
        match &self.0 {
            Err(why) => Err(UsageError {
                before: Some(format!("Warning: cannot open {FILE}: {why}")),
                ..unknown
            }),
            Ok(names) if names.is_empty() => Err(UsageError {
                status: Status::Resource,
                message: format!("cannot parse {FILE}: no labels found"),
                ..unknown
            }),
            Ok(names) => names.bit(name).map(|bit| bit as u16).ok_or(unknown),
        }
    }
}
