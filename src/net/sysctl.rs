//! `net.ipv4.*`: keys, defaults, bounds and printed forms.

use super::Net;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    #[error("sysctl: cannot stat /proc/sys/{0}: No such file or directory")]
    Unknown(String),
    #[error("{0} is not offered here: {1}")]
    NotOffered(String, &'static str),
    #[error("{key}: {value:?} is no value: expected {expected}")]
    BadValue {
        key: String,
        value: String,
        expected: String,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Sysctls {}

#[derive(Clone, Debug)]
pub(super) struct Conf {}

impl Sysctls {
    pub fn new() -> Self {
        Self {}
    }

    pub fn default_conf(&self) -> Conf {
        Conf {}
    }
}

/// Every key of `net.ipv4` outside of `conf`, and every key of `conf.IFACE` spelled `conf.*.KEY`.
pub fn sysctl_keys() -> impl Iterator<Item = String> {
    std::iter::empty()
}

impl Net {
    /// The text that `/proc/sys` shows. Keys are spelled with dots or slashes.
    pub fn sysctl_get(&self, key: &str) -> Option<String> {
        let _ = key;
        None
    }

    pub fn sysctl_set(&mut self, key: &str, value: &str) -> Result<(), SysctlError> {
        let _ = value;
        Err(SysctlError::Unknown(key.to_owned()))
    }

    /// Every key this host has, with its interfaces'.
    pub fn sysctl_list(&self) -> Vec<String> {
        Vec::new()
    }
}
