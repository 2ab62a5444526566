//! Ports as the tcp and multiport matches read them: a number in any base, or a service of the rule's protocol.

use crate::base::PortRange;
use crate::ext::names;
use crate::ext::number::whole_number;
use crate::ext::option::UsageError;

pub fn port(text: &str, of_protocol: u8) -> Result<u16, UsageError> {
    whole_number(text)
        .and_then(|number| u16::try_from(number).ok())
        .or_else(|| names::port_number(text, of_protocol))
        .ok_or_else(|| UsageError::parameter(format!("invalid port/service `{text}' specified")))
}

/// `80`, `80:90`, `:80`, `80:`, `:`.
pub fn range(text: &str, of_protocol: u8) -> Result<PortRange, UsageError> {
    let Some((low, high)) = text.split_once(':') else {
        return port(text, of_protocol).map(PortRange::single);
    };
    let low = if low.is_empty() { 0 } else { port(low, of_protocol)? };
    let high = if high.is_empty() {
        u16::MAX
    } else {
        port(high, of_protocol)?
    };
    if low > high {
        return Err(UsageError::parameter("invalid portrange (min > max)"));
    }
    Ok(PortRange { low, high })
}
