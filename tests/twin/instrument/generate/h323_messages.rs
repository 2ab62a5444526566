//! Messages of H.323, with places for addresses and ports. Their bytes were made from H.225.0's and H.245's ASN.1 by another encoder, with
//! addresses of IPv4; those of IPv6 are longer by twelve octets, and so is all that holds one.

use std::net::IpAddr;

use nflab::base::Family;

use super::packet::Address;

pub(super) struct Template {
    pub noted: &'static str,
    bytes: &'static [u8],
    places: &'static [Place],
    /// Where an octet says how many follow, among which are addresses.
    lengths: &'static [usize],
}

struct Place {
    at: usize,
    /// The octet before an address of IPv6, which says that it is one. Before one of IPv4 it is zero.
    six: u8,
}

impl Template {
    /// The message with these in its places, the last one in all that remain. All are of one family.
    pub(super) fn say(&self, ends: &[(Address, u16)]) -> Vec<u8> {
        let family = ends.last().map_or(Family::V4, |(address, _)| Family::of(*address));
        let mut said = self.bytes.to_vec();
        for &length in self.lengths {
            let end = length + usize::from(self.bytes[length]);
            let held = self.places.iter().filter(|it| it.at > length && it.at <= end);
            said[length] += (held.count() * longer(family)) as u8;
        }
        for (index, place) in self.places.iter().enumerate().rev() {
            let Some((address, port)) = ends.get(index).or(ends.last()) else {
                break;
            };
            let (mark, octets) = match address {
                IpAddr::V4(address) => (0, address.octets().to_vec()),
                IpAddr::V6(address) => (place.six, address.octets().to_vec()),
            };
            said[place.at - 1] = mark;
            let end = [&octets[..], &port.to_be_bytes()].concat();
            said.splice(place.at..place.at + 6, end);
        }
        said
    }

    /// Where the addresses of a message of this family stand.
    pub(super) fn places(&self, family: Family) -> impl DoubleEndedIterator<Item = usize> {
        let places = self.places.iter().enumerate();
        places.map(move |(index, place)| place.at + index * longer(family))
    }
}

const fn six(six: u8, at: usize) -> Place {
    Place { at, six }
}

/// By how many octets an address is longer than one of IPv4.
fn longer(family: Family) -> usize {
    usize::from(family.bits() - Family::V4.bits()) / 8
}

/// All of them.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = &'static Template> {
    static ALL: [&[Template]; 3] = [&CALL, &CONTROL, &REGISTRATION];
    ALL.iter().flat_map(|some| some.iter())
}

pub(super) const CALL: [Template; 11] = [
    Template {
        noted: "Q.931: Setup with a control channel",
        bytes: b"\x03\0\x000\x08\x02\0\x01\x05~\0$\x05\0@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0",
        places: &[six(0x30, 23)],
        lengths: &[3, 11],
    },
    Template {
        noted: "Q.931: Setup with both ends",
        bytes: b"\x03\0\0O\x08\x02\0\x01\x05~\0C\x05\0\x88\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\xdd\0\0\0\0\x07\0\0\0\0\0\0\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11",
        places: &[six(0x18, 24), six(0x30, 55)],
        lengths: &[3, 11, 53],
    },
    Template {
        noted: "Q.931: Setup with a channel",
        bytes: b"\x03\0\0U\x08\x02\0\x01\x05~\0I\x05\0\x80\x06\0\x08\x91J\0\x04\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\xd9\x10\0\0\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x14\x01\x12\0\0\0\x0c`\x13\x80\x0a\x04\0\x01\0\0\0\0\0\0\0",
        places: &[six(0x08, 79)],
        lengths: &[3, 11, 64, 66, 74],
    },
    Template {
        noted: "Q.931: CallProceeding",
        bytes: b"\x03\0\0\x1e\x08\x02\0\x01\x05~\0\x12\x05\x01@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0",
        places: &[six(0x18, 24)],
        lengths: &[3, 11],
    },
    Template {
        noted: "Q.931: Connect",
        bytes: b"\x03\0\0/\x08\x02\0\x01\x05~\0#\x05\x02@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11",
        places: &[six(0x30, 23)],
        lengths: &[3, 11],
    },
    Template {
        noted: "Q.931: Alerting",
        bytes: b"\x03\0\0\x1e\x08\x02\0\x01\x05~\0\x12\x05\x03@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0",
        places: &[six(0x18, 24)],
        lengths: &[3, 11],
    },
    Template {
        noted: "Q.931: Progress",
        bytes: b"\x03\0\x001\x08\x02\0\x01\x05~\0%\x05\x08\0!@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11",
        places: &[six(0x30, 26)],
        lengths: &[3, 11, 15],
    },
    Template {
        noted: "Q.931: Facility with a control channel",
        bytes: b"\x03\0\x004\x08\x02\0\x01\x05~\0(\x05\x06\x80\x06\0\x08\x91J\0\x04c\xe0\x80\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x07\0\0\0\0\0\0\0",
        places: &[six(0x30, 46)],
        lengths: &[3, 11, 44],
    },
    Template {
        noted: "Q.931: Facility that forwards",
        bytes: b"\x03\0\0\x1e\x08\x02\0\x01\x05~\0\x12\x05\x06@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0 ",
        places: &[six(0x30, 23)],
        lengths: &[3, 11],
    },
    Template {
        noted: "Q.931: a tunnel",
        bytes: b"\x03\0\0+\x08\x02\0\x01\x05~\0\x1f\x05(\x10\x01\0\x10\xc0\x01\x80\x15\x01\x13\x03\0\0\0\x0c`\x13\x80\x0a\x04\0\x01\0\0\0\0\0\0\0",
        places: &[six(0x08, 37)],
        lengths: &[3, 11, 21, 23, 32],
    },
    Template {
        noted: "Q.931: ReleaseComplete",
        bytes: b"\x03\0\0\x16\x08\x02\0\x01\x05~\0\x0a\x05\x05\0\x06\0\x08\x91J\0\x04",
        places: &[],
        lengths: &[],
    },
];

pub(super) const CONTROL: [Template; 5] = [
    Template {
        noted: "H.245: OpenLogicalChannel",
        bytes: b"\x03\0\0\x17\x03\0\0\0\x0c`\x13\x80\x0a\x04\0\x01\0\0\0\0\0\0\0",
        places: &[six(0x08, 17)],
        lengths: &[3, 12],
    },
    Template {
        noted: "H.245: OpenLogicalChannel with media",
        bytes: b"\x03\0\0\x1e\x03\0\0\0\x0c`\x13\x80\x11\x14\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        places: &[six(0x08, 17), six(0x08, 24)],
        lengths: &[3, 12],
    },
    Template {
        noted: "H.245: OpenLogicalChannelAck",
        bytes: b"\x03\0\0\x1b\"\xc0\0\0\x06\x80\x10\x1c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        places: &[six(0x10, 14), six(0x08, 21)],
        lengths: &[3, 10],
    },
    Template {
        noted: "H.245: OpenLogicalChannel for T.120",
        bytes: b"\x03\0\0\x1e\x03\x80\0\0\x10\x180\x01\0\0d\x81\x01\0\x05\0\x09\x08\0\0\0\0\0\0\0\0",
        places: &[six(0x20, 23)],
        lengths: &[3, 20],
    },
    Template {
        noted: "H.245: MasterSlaveDetermination",
        bytes: b"\x03\0\0\x0a\x01\x002@09",
        places: &[],
        lengths: &[],
    },
];

pub(super) const REGISTRATION: [Template; 12] = [
    Template {
        noted: "RAS: GRQ",
        bytes: b"\0\0\0\0\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0\0",
        places: &[six(0x30, 12)],
        lengths: &[],
    },
    Template {
        noted: "RAS: GCF",
        bytes: b"\x04\0\0\0\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0",
        places: &[six(0x30, 12)],
        lengths: &[],
    },
    Template {
        noted: "RAS: RRQ",
        bytes: b"\x0e\0\0\x01\x06\0\x08\x91J\0\x04\x80\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\x01\x02\0\x034\x88\0\0\0\x02\0L\x01\0",
        places: &[six(0x30, 14), six(0x30, 22)],
        lengths: &[],
    },
    Template {
        noted: "RAS: RCF",
        bytes: b"\x12\0\0\x01\x06\0\x08\x91J\0\x04\x01\0\0\0\0\0\0\0\x04\0e\0p\x001&\x88\0\0\x02\0\xc7\x01\x80",
        places: &[six(0x30, 13)],
        lengths: &[],
    },
    Template {
        noted: "RAS: URQ",
        bytes: b"\x18\0\0\x02\x01\0\0\0\0\0\0\0",
        places: &[six(0x30, 6)],
        lengths: &[],
    },
    Template {
        noted: "RAS: ARQ of a caller",
        bytes: b"$\x10\0\x03\0\x80\0e\0p\x001\x01\x01\x80C4\0\0\0\0\0\0\0@\x02\x80\0\x01\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0",
        places: &[six(0x30, 18)],
        lengths: &[],
    },
    Template {
        noted: "RAS: ARQ of who is called",
        bytes: b"$@\0\x03\0\x80\0e\0p\x001\0\0\0\0\0\0\0\x01\x01\x80C4@\x02\x80\0\x01\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11@",
        places: &[six(0x30, 13)],
        lengths: &[],
    },
    Template {
        noted: "RAS: ACF",
        bytes: b"(\0\0\x03@\x02\x80\0\0\0\0\0\0\0",
        places: &[six(0x0c, 8)],
        lengths: &[],
    },
    Template {
        noted: "RAS: LRQ",
        bytes: b"H\0\0\x04\x01\x01\x80C5\0\0\0\0\0\0\0",
        places: &[six(0x30, 10)],
        lengths: &[],
    },
    Template {
        noted: "RAS: LCF",
        bytes: b"L\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        places: &[six(0x30, 4), six(0x30, 11)],
        lengths: &[],
    },
    Template {
        noted: "RAS: IRR",
        bytes: b"X\0\0\x05\0\x02\0e\0p\x001\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0",
        places: &[six(0x30, 13), six(0x30, 21)],
        lengths: &[],
    },
    Template {
        noted: "RAS: UCF",
        bytes: b"\x1c\0\x02",
        places: &[],
        lengths: &[],
    },
];
