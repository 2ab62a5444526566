//! How the numbers of a directory under `/proc/sys/net` are declared, of either family.

/// One key.
pub(in crate::net) struct Spec<K> {
    pub knob: K,
    /// Under its family's directory, with slashes.
    pub name: &'static str,
    /// In a fresh namespace.
    pub default: i64,
    pub min: i64,
    pub max: i64,
}

/// An enum of numbers, and `SPECS` of them, in the same order.
macro_rules! knobs {
    (
        $(#[$attribute:meta])*
        $visible:vis enum $Knob:ident;
        $($knob:ident $name:literal = $default:literal in $min:expr, $max:expr;)*
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        $visible enum $Knob {
            $($knob,)*
        }

        $visible const SPECS: &[$crate::net::sysctl::Spec<$Knob>] = &[$($crate::net::sysctl::Spec {
            knob: $Knob::$knob,
            name: $name,
            default: $default,
            min: $min,
            max: $max,
        },)*];
    };
}

pub(in crate::net) use knobs;

pub(in crate::net) const INT_MIN: i64 = i32::MIN as i64;
pub(in crate::net) const INT_MAX: i64 = i32::MAX as i64;
/// Where the kernel keeps jiffies of a 250 Hz clock in an int.
pub(in crate::net) const SECONDS_MAX: i64 = INT_MAX / 250;

/// Milliseconds as they are kept, in ticks of 4 ms, rounded up: 7 written is 8 read.
pub(in crate::net) fn in_ticks(milliseconds: i64) -> i64 {
    (milliseconds + 3) / 4 * 4
}
