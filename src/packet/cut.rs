//! A packet that stands for many, cut into them, as the kernel's segmentation does: identifications count up, sequence numbers go on; FIN and PSH
//! are the last one's, CWR is the first one's, and every checksum is finished.

use std::net::IpAddr;

use super::Layout;
use super::offload::segment_headers;
use crate::base::{Family, protocol};
use crate::wire::ipv4::Ipv4;
use crate::wire::ipv6::{self, Ipv6};
use crate::wire::tcp::flags;
use crate::wire::{be16, be32, checksum, put16, put32};

/// Hands over each segment, made in `buffer`. Bytes that [`Offload::of_bytes`](super::Offload::of_bytes) refuses are handed over as they are.
pub fn cut(bytes: &[u8], segment_size: u16, buffer: &mut Vec<u8>, emit: &mut dyn FnMut(&mut Vec<u8>)) {
    let cutter = Layout::of(bytes)
        .ok()
        .and_then(|layout| Some((segment_headers(bytes, &layout)?, layout)));
    let Some((headers, layout)) = cutter.filter(|_| segment_size != 0) else {
        buffer.clear();
        buffer.extend_from_slice(bytes);
        return emit(buffer);
    };
    let data = &bytes[headers..layout.total];
    let pieces = data.chunks(usize::from(segment_size));
    let last = pieces.len().saturating_sub(1);
    for (index, piece) in pieces.enumerate() {
        buffer.clear();
        buffer.extend_from_slice(&bytes[..headers]);
        buffer.extend_from_slice(piece);
        let place = Place {
            index,
            is_last: index == last,
            data_before: index * usize::from(segment_size),
        };
        finish(buffer, &layout, place);
        emit(buffer);
    }
}

/// Which segment it is.
struct Place {
    index: usize,
    is_last: bool,
    data_before: usize,
}

fn finish(segment: &mut [u8], layout: &Layout, place: Place) {
    let network = usize::from(layout.network_header);
    let length = segment.len();
    let (source, destination) = match layout.family {
        Family::V4 => {
            let identification = be16(segment, 4).wrapping_add(place.index as u16);
            let Ok(mut header) = Ipv4::new(&mut *segment) else {
                return;
            };
            header.set_total_length(length as u16);
            header.set_identification(identification);
            header.fill_checksum();
            (IpAddr::V4(header.source()), IpAddr::V4(header.destination()))
        }
        Family::V6 => {
            let Ok(mut header) = Ipv6::new(&mut *segment) else {
                return;
            };
            header.set_payload_length((length - ipv6::HEADER) as u16);
            (IpAddr::V6(header.source()), IpAddr::V6(header.destination()))
        }
    };
    let transport = &mut segment[network..];
    let checksum_at = if layout.protocol == protocol::TCP {
        let sequence = be32(transport, 4).wrapping_add(place.data_before as u32);
        put32(transport, 4, sequence);
        if !place.is_last {
            transport[13] &= !(flags::FIN | flags::PSH);
        }
        if place.index != 0 {
            transport[13] &= !flags::CWR;
        }
        16
    } else {
        put16(transport, 4, (length - network) as u16);
        6
    };
    put16(transport, checksum_at, 0);
    let sum = checksum::transport(source, destination, layout.protocol, transport);
    let is_none = sum == 0 && layout.protocol == protocol::UDP;
    put16(transport, checksum_at, if is_none { 0xffff } else { sum });
}
