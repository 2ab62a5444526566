//! Messages of H.323, with places for addresses and ports. Their bytes were made from H.225.0's and H.245's ASN.1 by another encoder.

use std::net::IpAddr;

use super::packet::Address;

pub(super) struct Template {
    pub noted: &'static str,
    bytes: &'static [u8],
    pub places: &'static [usize],
}

impl Template {
    /// The message with these in its places, the last one in all that remain.
    pub(super) fn say(&self, ends: &[(Address, u16)]) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        for (index, &place) in self.places.iter().enumerate() {
            if let Some((IpAddr::V4(address), port)) = ends.get(index).or(ends.last()) {
                bytes[place..place + 4].copy_from_slice(&address.octets());
                bytes[place + 4..place + 6].copy_from_slice(&port.to_be_bytes());
            }
        }
        bytes
    }
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
        places: &[23],
    },
    Template {
        noted: "Q.931: Setup with both ends",
        bytes: b"\x03\0\0O\x08\x02\0\x01\x05~\0C\x05\0\x88\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\xdd\0\0\0\0\x07\0\0\0\0\0\0\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11",
        places: &[24, 55],
    },
    Template {
        noted: "Q.931: Setup with a channel",
        bytes: b"\x03\0\0U\x08\x02\0\x01\x05~\0I\x05\0\x80\x06\0\x08\x91J\0\x04\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\xd9\x10\0\0\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x14\x01\x12\0\0\0\x0c`\x13\x80\x0a\x04\0\x01\0\0\0\0\0\0\0",
        places: &[79],
    },
    Template {
        noted: "Q.931: CallProceeding",
        bytes: b"\x03\0\0\x1e\x08\x02\0\x01\x05~\0\x12\x05\x01@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0",
        places: &[24],
    },
    Template {
        noted: "Q.931: Connect",
        bytes: b"\x03\0\0/\x08\x02\0\x01\x05~\0#\x05\x02@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11",
        places: &[23],
    },
    Template {
        noted: "Q.931: Alerting",
        bytes: b"\x03\0\0\x1e\x08\x02\0\x01\x05~\0\x12\x05\x03@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0",
        places: &[24],
    },
    Template {
        noted: "Q.931: Progress",
        bytes: b"\x03\0\x001\x08\x02\0\x01\x05~\0%\x05\x08\0!@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11",
        places: &[26],
    },
    Template {
        noted: "Q.931: Facility with a control channel",
        bytes: b"\x03\0\x004\x08\x02\0\x01\x05~\0(\x05\x06\x80\x06\0\x08\x91J\0\x04c\xe0\x80\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x07\0\0\0\0\0\0\0",
        places: &[46],
    },
    Template {
        noted: "Q.931: Facility that forwards",
        bytes: b"\x03\0\0\x1e\x08\x02\0\x01\x05~\0\x12\x05\x06@\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0 ",
        places: &[23],
    },
    Template {
        noted: "Q.931: a tunnel",
        bytes: b"\x03\0\0+\x08\x02\0\x01\x05~\0\x1f\x05(\x10\x01\0\x10\xc0\x01\x80\x15\x01\x13\x03\0\0\0\x0c`\x13\x80\x0a\x04\0\x01\0\0\0\0\0\0\0",
        places: &[37],
    },
    Template {
        noted: "Q.931: ReleaseComplete",
        bytes: b"\x03\0\0\x16\x08\x02\0\x01\x05~\0\x0a\x05\x05\0\x06\0\x08\x91J\0\x04",
        places: &[],
    },
];

pub(super) const CONTROL: [Template; 5] = [
    Template {
        noted: "H.245: OpenLogicalChannel",
        bytes: b"\x03\0\0\x17\x03\0\0\0\x0c`\x13\x80\x0a\x04\0\x01\0\0\0\0\0\0\0",
        places: &[17],
    },
    Template {
        noted: "H.245: OpenLogicalChannel with media",
        bytes: b"\x03\0\0\x1e\x03\0\0\0\x0c`\x13\x80\x11\x14\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        places: &[17, 24],
    },
    Template {
        noted: "H.245: OpenLogicalChannelAck",
        bytes: b"\x03\0\0\x1b\"\xc0\0\0\x06\x80\x10\x1c\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        places: &[14, 21],
    },
    Template {
        noted: "H.245: OpenLogicalChannel for T.120",
        bytes: b"\x03\0\0\x1e\x03\x80\0\0\x10\x180\x01\0\0d\x81\x01\0\x05\0\x09\x08\0\0\0\0\0\0\0\0",
        places: &[23],
    },
    Template {
        noted: "H.245: MasterSlaveDetermination",
        bytes: b"\x03\0\0\x0a\x01\x002@09",
        places: &[],
    },
];

pub(super) const REGISTRATION: [Template; 12] = [
    Template {
        noted: "RAS: GRQ",
        bytes: b"\0\0\0\0\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0\0\0",
        places: &[12],
    },
    Template {
        noted: "RAS: GCF",
        bytes: b"\x04\0\0\0\x06\0\x08\x91J\0\x04\0\0\0\0\0\0\0",
        places: &[12],
    },
    Template {
        noted: "RAS: RRQ",
        bytes: b"\x0e\0\0\x01\x06\0\x08\x91J\0\x04\x80\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\x01\x02\0\x034\x88\0\0\0\x02\0L\x01\0",
        places: &[14, 22],
    },
    Template {
        noted: "RAS: RCF",
        bytes: b"\x12\0\0\x01\x06\0\x08\x91J\0\x04\x01\0\0\0\0\0\0\0\x04\0e\0p\x001&\x88\0\0\x02\0\xc7\x01\x80",
        places: &[13],
    },
    Template {
        noted: "RAS: URQ",
        bytes: b"\x18\0\0\x02\x01\0\0\0\0\0\0\0",
        places: &[6],
    },
    Template {
        noted: "RAS: ARQ of a caller",
        bytes: b"$\x10\0\x03\0\x80\0e\0p\x001\x01\x01\x80C4\0\0\0\0\0\0\0@\x02\x80\0\x01\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0",
        places: &[18],
    },
    Template {
        noted: "RAS: ARQ of who is called",
        bytes: b"$@\0\x03\0\x80\0e\0p\x001\0\0\0\0\0\0\0\x01\x01\x80C4@\x02\x80\0\x01\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11@",
        places: &[13],
    },
    Template {
        noted: "RAS: ACF",
        bytes: b"(\0\0\x03@\x02\x80\0\0\0\0\0\0\0",
        places: &[8],
    },
    Template {
        noted: "RAS: LRQ",
        bytes: b"H\0\0\x04\x01\x01\x80C5\0\0\0\0\0\0\0",
        places: &[10],
    },
    Template {
        noted: "RAS: LCF",
        bytes: b"L\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        places: &[4, 11],
    },
    Template {
        noted: "RAS: IRR",
        bytes: b"X\0\0\x05\0\x02\0e\0p\x001\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0",
        places: &[13, 21],
    },
    Template {
        noted: "RAS: UCF",
        bytes: b"\x1c\0\x02",
        places: &[],
    },
];
