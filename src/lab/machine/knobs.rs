//! The sysctls of a machine: those of tracking, of the host around it, and the lab's own.

use super::{Machine, Profile, set_profile};
use crate::base::Family;
use crate::base::bytes::quoted;
use crate::conntrack::{SettingError, Settings};
use crate::engine::Config;
use crate::net::SysctlError;

/// Why a sysctl was not set, in the classes that `sysctl` tells apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KnobError {
    /// There is no such key (ENOENT); the key.
    #[error("no such key: {0}")]
    Unknown(String),
    /// It can be read only; the sentence.
    #[error("{0}")]
    ReadOnly(String),
    /// The kernel answers EINVAL.
    #[error("{0}")]
    Invalid(String),
    /// Linux has the key, and a lab has nothing behind it; the sentence.
    #[error("{0}")]
    NotOffered(String),
    /// It can be written to only; the sentence.
    #[error("{0}")]
    WriteOnly(String),
}

impl Machine {
    /// By a key with dots: `net.ipv4.ip_forward`. `None` where there is no such key.
    pub fn sysctl(&self, key: &str) -> Option<String> {
        let config = self.router.config();
        if let Some(own) = OWN_KEYS.iter().find(|own| own.key == key) {
            return Some((own.get)(&config.conntrack));
        }
        match knob(&config.conntrack, key) {
            Some("nf_conntrack_count") => Some(self.router.flows().count().to_string()),
            Some(name) => config.conntrack.get(name),
            None => config.net.sysctl_get(key),
        }
    }

    /// Why a key shows nothing, though it may be there.
    pub fn sysctl_unread(&self, key: &str) -> KnobError {
        knob_error(self.router.config().net.sysctl_unread(key), key)
    }

    /// By a key with dots. Where it is refused nothing has changed.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<(), KnobError> {
        self.router.configure(|config| self.set_knob(config, key, value))
    }

    /// Sets one after another, and says of each how it went.
    pub fn set_sysctls<'a>(&self, settings: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Result<(), KnobError>> {
        let mut results = Vec::new();
        let done = self.router.configure(|config| {
            results.extend(settings.map(|(key, value)| self.set_knob(config, key, value)));
            Ok::<(), std::convert::Infallible>(())
        });
        match done {
            Ok(()) => results,
        }
    }

    fn set_knob(&self, config: &mut Config, key: &str, value: &str) -> Result<(), KnobError> {
        match OWN_KEYS.iter().find(|own| own.key == key) {
            Some(own) => (own.set)(config, self.described.memory, value.trim()).map_err(|expected| {
                let value = quoted(value);
                KnobError::Invalid(format!("{key} cannot be {value}: expected {expected}"))
            })?,
            None => set_knob(config, key, value)?,
        }
        if key == FLUSH {
            self.router.forget_path_mtus(Family::V4);
        }
        Ok(())
    }

    /// Every key, in the order of the alphabet.
    pub fn sysctls(&self) -> Vec<String> {
        let config = self.router.config();
        let mut keys = config.net.sysctl_list();
        keys.extend(config.conntrack.names().map(|name| format!("net.netfilter.{name}")));
        keys.push("net.nf_conntrack_max".to_owned());
        let old = config.conntrack.old_names();
        keys.extend(old.into_iter().map(|(name, _)| format!("net.ipv4.{name}")));
        keys.extend(OWN_KEYS.iter().map(|own| own.key.to_owned()));
        keys.sort();
        keys
    }
}

/// Sets a sysctl of a configuration, or leaves it as it is.
fn set_knob(config: &mut Config, key: &str, value: &str) -> Result<(), KnobError> {
    let name = knob(&config.conntrack, key);
    if name == Some("nf_conntrack_count") {
        return Err(KnobError::ReadOnly(format!("{key} is read-only")));
    }
    match name {
        Some(name) => config.conntrack.set(name, value).map_err(|error| match error {
            SettingError::Unknown(_) => KnobError::Unknown(key.to_owned()),
            SettingError::ReadOnly(_) => KnobError::ReadOnly(error.to_string()),
            SettingError::Invalid { .. } => KnobError::Invalid(error.to_string()),
        }),
        None => config
            .net
            .sysctl_set(key, value)
            .map_err(|error| knob_error(error, key)),
    }
}

fn knob_error(error: SysctlError, key: &str) -> KnobError {
    match error {
        SysctlError::Unknown(_) => KnobError::Unknown(key.to_owned()),
        SysctlError::NotOffered(key, why) => KnobError::NotOffered(format!("{key} is not offered: {why}")),
        SysctlError::ReadOnly(_) => KnobError::ReadOnly(format!("{key} is read-only")),
        SysctlError::WriteOnly(_) => KnobError::WriteOnly(format!("{key} can be written to only")),
        SysctlError::BadValue { key, value, min, max } => KnobError::Invalid(format!(
            "{key} cannot be {value}: expected a number from {min} to {max}",
            value = quoted(&value)
        )),
        SysctlError::BadRanges { key, value } => KnobError::Invalid(format!(
            "{key} cannot be {value}: expected ranges of types from 0 to 255, as 0-1,3-127",
            value = quoted(&value)
        )),
    }
}

/// Whether a lab goes by a sysctl that it has; others are kept and shown.
pub(crate) fn goes_by(key: &str) -> bool {
    !crate::net::is_kept_alone(key)
}

/// Whatever is written to it, what is known of IPv4's paths goes. Seen: of IPv6 nothing goes by its like.
const FLUSH: &str = "net.ipv4.route.flush";

/// The name of a knob of tracking, as `Settings` has it, by today's key or by one of old.
fn knob<'a>(settings: &Settings, key: &'a str) -> Option<&'a str> {
    if let Some(name) = key.strip_prefix("net.ipv4.") {
        return settings.by_old_name(name);
    }
    match key {
        "net.nf_conntrack_max" => Some("nf_conntrack_max"),
        _ => key
            .strip_prefix("net.netfilter.")
            .filter(|name| name.starts_with("nf_conntrack")),
    }
}

/// A key that no kernel has: of the lab itself.
struct OwnKey {
    key: &'static str,
    get: fn(&Settings) -> String,
    /// With the memory that the lab's file says; what was expected, where the value is none.
    set: fn(&mut Config, Option<u64>, &str) -> Result<(), &'static str>,
}

const OWN_KEYS: &[OwnKey] = &[
    OwnKey {
        key: "nflab.profile",
        get: |settings| settings.profile.name().to_owned(),
        set: |config, memory, value| {
            let profile = Profile::from_name(value).ok_or("linux6 or classic")?;
            // Written as it is, it changes nothing else.
            if profile != config.conntrack.profile {
                set_profile(config, profile, memory);
            }
            Ok(())
        },
    },
    OwnKey {
        key: "nflab.window_tracking",
        get: |settings| u8::from(settings.protocols.tcp.window_tracking).to_string(),
        set: |config, _, value| {
            let tracks = match value {
                "0" => false,
                "1" => true,
                _ => return Err("0 or 1"),
            };
            if !tracks && config.conntrack.profile != Profile::Classic {
                return Err("1: today's kernel always tracks windows; `nflab.profile = classic` does without");
            }
            config.conntrack.protocols.tcp.window_tracking = tracks;
            Ok(())
        },
    },
];
