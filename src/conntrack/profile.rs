//! Which machine tracking is that of: today's, or one of the ip_conntrack days.
//!
//! What differs in how packets are tracked is in [`super::Settings`], where trackers read it; here stands what makes the difference up: names, and the
//! table that a machine's memory makes. `docs/classic.md` says where each comes from.

/// Whose numbers a machine shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Profile {
    /// Linux 6.x: helpers only where `-j CT --helper` asks for them, today's timeouts.
    #[default]
    Linux6,
    /// The kernels of the ip_conntrack days: helpers by port, the timeouts and names of that time, and tracking without windows.
    Classic,
}

impl Profile {
    /// All, as they are listed.
    pub const ALL: [Self; 2] = [Self::Linux6, Self::Classic];

    /// `linux6` or `classic`, as lab files, scripts and `--profile` say it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The inverse of [`Self::from_name`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Linux6 => "linux6",
            Self::Classic => "classic",
        }
    }

    /// What the kernel's log gets when a flow finds no room.
    pub fn table_full(self) -> &'static str {
        match self {
            // The kernel puts the module's name in front of a text that begins with it.
            Self::Linux6 => "nf_conntrack: nf_conntrack: table full, dropping packet",
            Self::Classic => "ip_conntrack: table full, dropping packet.",
        }
    }

    /// The first flags that a TCP connection may be picked up with count for so much: of old the knob was how many packets make up for a handshake.
    pub(super) fn most_loose(self) -> u8 {
        match self {
            Self::Linux6 => 1,
            Self::Classic => u8::MAX,
        }
    }

    /// Buckets and flows of a table on a machine with so many bytes of memory.
    pub(super) fn table_of_memory(self, bytes: u64) -> (u32, u32) {
        let buckets = |least: u64, most: u64, bytes_a_bucket: u64| (bytes / bytes_a_bucket).clamp(least, most) as u32;
        match self {
            // Documentation/networking/nf_conntrack-sysctl.rst: a flow a bucket, unless `hashsize` is given.
            Self::Linux6 => {
                let buckets = buckets(1024, 262_144, 16_384);
                (buckets, buckets)
            }
            Self::Classic => {
                let buckets = match buckets(16, 8192, 131_072) {
                    // What is built in is a little more than what a kernel counts: the chapter prints 16376, not 16384, for 256 MB.
                    some @ 2048..8192 => some - 1,
                    some => some,
                };
                (buckets, buckets * super::settings::FLOWS_A_BUCKET)
            }
        }
    }
}

/// A machine's memory as lab files write it: `128M`, `1G`, `65536K`, or bytes. `None` for what is none, and for what no machine has.
pub fn memory(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit {
        "" => 1,
        "K" | "k" | "KB" | "kB" => 1 << 10,
        "M" | "MB" => 1 << 20,
        "G" | "GB" => 1 << 30,
        _ => return None,
    };
    let bytes = number.parse::<u64>().ok()?.checked_mul(factor)?;
    (LEAST_MEMORY..=MOST_MEMORY).contains(&bytes).then_some(bytes)
}

const LEAST_MEMORY: u64 = 1 << 20;
const MOST_MEMORY: u64 = 1 << 46;

#[cfg(test)]
mod tests;
