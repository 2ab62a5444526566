//! What is looked at before any hook sees a packet.

use std::net::Ipv6Addr;

use crate::base::InterfaceId;
use crate::net::DropReason;
use crate::packet::{Layout, Packet};
use crate::wire::ipv6::{HEADER, Ipv6};

/// The checks of the receive path. A packet that fails never reaches a table, and no counter of a rule moves.
#[cold]
pub(crate) fn sanity(bytes: &[u8]) -> Result<Layout, DropReason> {
    within(bytes)?;
    ends(&Ipv6::new(bytes).map_err(|_| DropReason::BadVersion)?)?;
    Layout::of(bytes).map_err(|_| DropReason::BadHeaderLength)
}

/// The same of what the host itself sent, and now comes in: nobody has held it to its own length yet.
#[cold]
pub(crate) fn come_round(packet: &mut Packet) -> Result<(), DropReason> {
    let bytes = packet.bytes();
    within(bytes)?;
    let header = Ipv6::new(bytes).map_err(|_| DropReason::BadVersion)?;
    ends_anywhere(&header)?;
    if packet.input != Some(InterfaceId::LOOPBACK) {
        ends_outside(&header)?;
    }
    let layout = Layout::of(bytes).map_err(|_| DropReason::BadHeaderLength)?;
    packet.lay_out_again(layout);
    Ok(())
}

/// Whether nothing is wrong with a packet's addresses; all else of it has been found sane.
pub(crate) fn ends_are_sane(bytes: &[u8]) -> bool {
    Ipv6::new(bytes).is_ok_and(|header| ends(&header).is_ok())
}

/// All of it is there.
fn within(bytes: &[u8]) -> Result<(), DropReason> {
    if bytes.len() < HEADER {
        return Err(DropReason::Truncated);
    }
    match Ipv6::new(bytes) {
        Err(_) => Err(DropReason::BadVersion),
        Ok(header) if header.total_length() > bytes.len() => Err(DropReason::TotalLengthBeyondPacket),
        Ok(_) => Ok(()),
    }
}

/// Of what came in by a link.
fn ends(header: &Ipv6<&[u8]>) -> Result<(), DropReason> {
    ends_anywhere(header)?;
    ends_outside(header)?;
    // Groups that reach no further than the host itself.
    match reach(header.destination()) {
        Some(1) => Err(DropReason::MartianDestination),
        _ => Ok(()),
    }
}

/// Nowhere but on `lo` is anybody `::1`, be it who hears itself.
fn ends_outside(header: &Ipv6<&[u8]>) -> Result<(), DropReason> {
    match header.source().is_loopback() || header.destination().is_loopback() {
        true => Err(DropReason::LoopbackOutsideIpv6),
        false => Ok(()),
    }
}

fn ends_anywhere(header: &Ipv6<&[u8]>) -> Result<(), DropReason> {
    if header.source().is_multicast() {
        return Err(DropReason::MartianSource);
    }
    // Groups that reach nowhere.
    match reach(header.destination()) {
        Some(0) => Err(DropReason::MartianDestination),
        _ => Ok(()),
    }
}

/// Whether this is a group that reaches no further than the host itself.
pub(crate) fn is_of_the_host(to: Ipv6Addr) -> bool {
    reach(to).is_some_and(|scope| scope <= 1)
}

/// How far a group is known; nothing where the destination is none.
fn reach(destination: Ipv6Addr) -> Option<u8> {
    match destination.octets() {
        [0xff, scope, ..] => Some(scope & 0xf),
        _ => None,
    }
}

/// A packet as a program hands it to a raw socket.
#[cold]
pub(crate) fn from_program(bytes: Vec<u8>) -> Result<Packet, DropReason> {
    // Nothing of it is written anew, not even the length.
    match Layout::of_all(&bytes) {
        Ok(layout) => Ok(Packet::laid_out(bytes, layout)),
        Err(_) => Err(DropReason::Truncated),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{FAR, HOST, Make, net, said, udp};
    use crate::net::DropReason;

    /// What became of datagrams of a host on the LAN, by source, destination and length; the reasons are the kernel's.
    #[test]
    fn in_the_order_of_the_kernel() {
        let on = |from: &str, to: &str, length| format!("{from}>{to} p17 tc00 hl63 len{length} data{}", length - 40);
        let to_far = |from: &str| format!("wan {}", on(from, FAR, 49));
        for (from, to, expected) in [
            (HOST, FAR, to_far(HOST)),
            ("ff02::1", FAR, "IP_INVALID_SOURCE".into()),
            ("::", FAR, "IP_INVALID_SOURCE".into()),
            ("::1", FAR, "IP_LOCALNET".into()),
            ("::ffff:1.2.3.4", FAR, to_far("::ffff:1.2.3.4")),
            ("2001:db8::1", FAR, to_far("2001:db8::1")),
            (HOST, "::1", "IP_LOCALNET".into()),
            (HOST, "::", format!("wan {}", on(HOST, "::", 49))),
            (HOST, "ff00::1", "IP_INVALID_DEST".into()),
            (HOST, "ff01::1", "IP_INVALID_DEST".into()),
            (HOST, "ff02::1", "NOT_SPECIFIED".into()),
            (HOST, "ff02::9", "NOT_SPECIFIED".into()),
            (HOST, "fe80::2", format!("{HOST}>fe80::2")),
        ] {
            let found = said(&net(), &udp(from, to, 1));
            // A redirect comes first where it goes back the way it came.
            let found = found.rsplit("; lan ").next().unwrap();
            assert!(found.starts_with(&expected), "{from}>{to}: {found}, not {expected}");
        }
        for (length, expected) in [
            (10, "PKT_TOO_SMALL".to_owned()),
            (8, format!("wan {}", on(HOST, FAR, 48))),
            (0, format!("wan {}", on(HOST, FAR, 40))),
        ] {
            let make = Make {
                payload_length: Some(length),
                ..udp(HOST, FAR, 1)
            };
            assert_eq!(said(&net(), &make), expected, "{length}");
        }
        // A program's own are as long as they are.
        let own = Make {
            payload_length: Some(8),
            ..udp(HOST, FAR, 1)
        };
        let packet = super::from_program(own.bytes()).unwrap();
        assert_eq!((packet.len(), packet.transport().len()), (49, 9));
        for length in [0, 1, 39] {
            let bytes = udp(HOST, FAR, 1).bytes();
            let found = super::sanity(&bytes[..length]).err().map(DropReason::kernel_word);
            assert_eq!(found, Some("IP_INHDR"), "{length}");
        }
    }
}
