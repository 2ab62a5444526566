//! What the helpers of H.323 are tried on, and what each announces.

use crate::helper::{Announces, Sample};

pub(super) const OF_Q931: &[Sample] = &[
    // Setup: where H.245 is spoken.
    Sample {
        said: &[b"> \x03\0\x000\x08\x02\0\x01\x05~\0$\x05\0@\x06\0\x08\x91J\0\x04\0\x0a\0\0\x02\x13\x88\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0"],
        announces: Announces::Flows {
            plain: &["tcp 192.0.2.9 > 10.0.0.2:5000"],
            under_nat: &["tcp 192.0.2.9 > 192.0.2.1:5000"],
            written: b"\x03\0\x000\x08\x02\0\x01\x05~\0$\x05\0@\x06\0\x08\x91J\0\x04\0\xc0\0\x02\x01\x13\x88\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0",
        },
    },
    // Connect, of who is called.
    Sample {
        said: &[b"> \x03\0\0)\x08\x02\0\x01\x05~\0\x1d\x05\0\0\x06\0\x08\x91J\0\x04\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0", b"< \x03\0\0/\x08\x02\0\x01\x05~\0#\x05\x02@\x06\0\x08\x91J\0\x04\0\xc0\0\x02\x09\x13\x88\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.9:5000"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.9:5000"],
            written: b"\x03\0\0/\x08\x02\0\x01\x05~\0#\x05\x02@\x06\0\x08\x91J\0\x04\0\xc0\0\x02\x09\x13\x88\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11",
        },
    },
    // Setup with a channel.
    Sample {
        said: &[b"> \x03\0\0U\x08\x02\0\x01\x05~\0I\x05\0\x80\x06\0\x08\x91J\0\x04\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\xd9\x10\0\0\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x14\x01\x12\0\0\0\x0c`\x13\x80\x0a\x04\0\x01\0\x0a\0\0\x02\x17q"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:6000", "udp 192.0.2.9 > 10.0.0.2:6001"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:6000", "udp 192.0.2.9 > 192.0.2.1:6001"],
            written: b"\x03\0\0U\x08\x02\0\x01\x05~\0I\x05\0\x80\x06\0\x08\x91J\0\x04\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\xd9\x10\0\0\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x14\x01\x12\0\0\0\x0c`\x13\x80\x0a\x04\0\x01\0\xc0\0\x02\x01\x17q",
        },
    },
    // Facility: somebody else is to be called.
    Sample {
        said: &[b"> \x03\0\0\x1e\x08\x02\0\x01\x05~\0\x12\x05\x06@\x06\0\x08\x91J\0\x04\0\x0a\0\0M\x06\xb9 "],
        announces: Announces::Flows {
            plain: &["tcp 192.0.2.9 > 10.0.0.77:1721"],
            under_nat: &["tcp 192.0.2.9 > 192.0.2.1:1721"],
            written: b"\x03\0\0\x1e\x08\x02\0\x01\x05~\0\x12\x05\x06@\x06\0\x08\x91J\0\x04\0\xc0\0\x02\x01\x06\xb9 ",
        },
    },
    // In IPv6, where nothing is written over: what is named is expected as it is called outside.
    Sample {
        said: &[b"> \x03\0\0<\x08\x02\0\x01\x05~\0\x30\x05\0@\x06\0\x08\x91J\0\x040 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x13\x88\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0"],
        announces: Announces::Flows {
            plain: &["tcp 2001:db8:1::9 > 2001:db8::2:5000"],
            under_nat: &["tcp 2001:db8:1::9 > 2001:db8:1::1:5000"],
            written: b"\x03\0\0<\x08\x02\0\x01\x05~\0\x30\x05\0@\x06\0\x08\x91J\0\x040 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x13\x88\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0",
        },
    },
    Sample {
        said: &[b"> \x03\0\0a\x08\x02\0\x01\x05~\0U\x05\0\x80\x06\0\x08\x91J\0\x04\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\xd9\x10\0\0\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11 \x01\x1e\0\0\0\x0c`\x13\x80\x16\x04\0\x01\x08 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x17q"],
        announces: Announces::Flows {
            plain: &["udp 2001:db8:1::9 > 2001:db8::2:6000", "udp 2001:db8:1::9 > 2001:db8::2:6001"],
            under_nat: &["udp 2001:db8:1::9 > 2001:db8:1::1:6000", "udp 2001:db8:1::9 > 2001:db8:1::1:6001"],
            written: b"\x03\0\0a\x08\x02\0\x01\x05~\0U\x05\0\x80\x06\0\x08\x91J\0\x04\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0\xd9\x10\0\0\0\x11\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11 \x01\x1e\0\0\0\x0c`\x13\x80\x16\x04\0\x01\x08 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x17q",
        },
    },
    Sample {
        said: &[b"> \x03\0\0*\x08\x02\0\x01\x05~\0\x1e\x05\x06@\x06\0\x08\x91J\0\x040 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0w\x06\xb9 "],
        announces: Announces::Flows {
            plain: &["tcp 2001:db8:1::9 > 2001:db8::77:1721"],
            under_nat: &["tcp 2001:db8:1::9 > 2001:db8::77:1721"],
            written: b"\x03\0\0*\x08\x02\0\x01\x05~\0\x1e\x05\x06@\x06\0\x08\x91J\0\x040 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0w\x06\xb9 ",
        },
    },
    // Another host, no port, no address, and what is no message.
    Sample {
        said: &[b"> \x03\0\x000\x08\x02\0\x01\x05~\0$\x05\0@\x06\0\x08\x91J\0\x04\0\x0a\0\0\x03\x13\x88\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x03\0\x000\x08\x02\0\x01\x05~\0$\x05\0@\x06\0\x08\x91J\0\x04\0\x0a\0\0\x02\0\0\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x03\0\0)\x08\x02\0\x01\x05~\0\x1d\x05\0\0\x06\0\x08\x91J\0\x04\0\0\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x03\0\0\x07abc"],
        announces: Announces::Nothing,
    },
];

pub(super) const OF_H245: &[Sample] = &[
    // A channel, and what answers to one.
    Sample {
        said: &[
            b"> ",
            b"< ",
            b"> \x03\0\0\x1e\x03\0\0\0\x0c`\x13\x80\x11\x14\0\x01\0\x0a\0\0\x02\x17p\0\x0a\0\0\x02\x17q",
        ],
        announces: Announces::Flows {
            plain: &[
                "udp 192.0.2.9 > 10.0.0.2:6000",
                "udp 192.0.2.9 > 10.0.0.2:6001",
                "udp 192.0.2.9 > 10.0.0.2:6000",
                "udp 192.0.2.9 > 10.0.0.2:6001",
            ],
            under_nat: &[
                "udp 192.0.2.9 > 192.0.2.1:6000",
                "udp 192.0.2.9 > 192.0.2.1:6001",
                "udp 192.0.2.9 > 192.0.2.1:6000",
                "udp 192.0.2.9 > 192.0.2.1:6001",
            ],
            written: b"\x03\0\0\x1e\x03\0\0\0\x0c`\x13\x80\x11\x14\0\x01\0\xc0\0\x02\x01\x17p\0\xc0\0\x02\x01\x17q",
        },
    },
    Sample {
        said: &[
            b"> ",
            b"< ",
            b"> \x03\0\0\x14\"\xc0\0\0\x06\x80\x09\x18\0\0\x0a\0\0\x02\x17p",
        ],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:6000", "udp 192.0.2.9 > 10.0.0.2:6001"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:6000", "udp 192.0.2.9 > 192.0.2.1:6001"],
            written: b"\x03\0\0\x14\"\xc0\0\0\x06\x80\x09\x18\0\0\xc0\0\x02\x01\x17p",
        },
    },
    // T.120.
    Sample {
        said: &[
            b"> ",
            b"< ",
            b"> \x03\0\0\x1e\x03\x80\0\0\x10\x180\x01\0\0d\x81\x01\0\x05\0\x09\x08\0\x0a\0\0\x02\x05\xdf\0",
        ],
        announces: Announces::Flows {
            plain: &["tcp 192.0.2.9 > 10.0.0.2:1503"],
            under_nat: &["tcp 192.0.2.9 > 192.0.2.1:1503"],
            written: b"\x03\0\0\x1e\x03\x80\0\0\x10\x180\x01\0\0d\x81\x01\0\x05\0\x09\x08\0\xc0\0\x02\x01\x05\xdf\0",
        },
    },
    // The same in IPv6.
    Sample {
        said: &[b"> ", b"< ", b"> \x03\0\0\x33\"\xc0\0\0\x06\x80(\x1c\0\x10 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x17p\x08 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x17s"],
        announces: Announces::Flows {
            plain: &["udp 2001:db8:1::9 > 2001:db8::2:6000", "udp 2001:db8:1::9 > 2001:db8::2:6001", "udp 2001:db8:1::9 > 2001:db8::2:6002", "udp 2001:db8:1::9 > 2001:db8::2:6003"],
            under_nat: &["udp 2001:db8:1::9 > 2001:db8:1::1:6000", "udp 2001:db8:1::9 > 2001:db8:1::1:6001", "udp 2001:db8:1::9 > 2001:db8:1::1:6002", "udp 2001:db8:1::9 > 2001:db8:1::1:6003"],
            written: b"\x03\0\0\x33\"\xc0\0\0\x06\x80(\x1c\0\x10 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x17p\x08 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x17s",
        },
    },
    Sample {
        said: &[b"> ", b"< ", b"> \x03\0\0*\x03\x80\0\0\x10\x180\x01\0\0d\x81\x01\0\x05\0\x15\x08  \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x05\xdf\0"],
        announces: Announces::Flows {
            plain: &["tcp 2001:db8:1::9 > 2001:db8::2:1503"],
            under_nat: &["tcp 2001:db8:1::9 > 2001:db8:1::1:1503"],
            written: b"\x03\0\0*\x03\x80\0\0\x10\x180\x01\0\0d\x81\x01\0\x05\0\x15\x08  \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x05\xdf\0",
        },
    },
    // Another host, and another message.
    Sample {
        said: &[
            b"> ",
            b"< ",
            b"> \x03\0\0\x17\x03\0\0\0\x0c`\x13\x80\x0a\x10\0\x01\0\x0a\0\0\x03\x17p",
        ],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> ", b"< ", b"> \x03\0\0\x0a\x01\x002@09"],
        announces: Announces::Nothing,
    },
];

pub(super) const OF_RAS: &[Sample] = &[
    // A registration, a gatekeeper elsewhere, a call, and where another is.
    Sample {
        said: &[b"> \x0c\0\0\x01\x06\0\x08\x91J\0\x04\x80\x01\0\x0a\0\0\x02\x06\xb8\x01\0\x0a\0\0\x02\x0f\xa0\0\0\x01\x02\0\x03"],
        announces: Announces::Flows {
            plain: &["tcp 192.0.2.9 > 10.0.0.2:1720"],
            under_nat: &["tcp 192.0.2.9 > 192.0.2.1:1720"],
            written: b"\x0c\0\0\x01\x06\0\x08\x91J\0\x04\x80\x01\0\xc0\0\x02\x01\x06\xb8\x01\0\xc0\0\x02\x01\x0f\xa0\0\0\x01\x02\0\x03",
        },
    },
    Sample {
        said: &[b"> \0\0\0\0\x06\0\x08\x91J\0\x04\0\x0a\0\0\x02\x0f\xa0\0\0", b"< \x04\0\0\0\x06\0\x08\x91J\0\x04\0\xc0\0\x02\x0a\x06\xb7"],
        announces: Announces::Flows {
            plain: &["udp 10.0.0.2 > 192.0.2.10:1719"],
            under_nat: &["udp 10.0.0.2 > 192.0.2.10:1719"],
            written: b"\x04\0\0\0\x06\0\x08\x91J\0\x04\0\xc0\0\x02\x0a\x06\xb7",
        },
    },
    Sample {
        said: &[b"> $\0\0\x03\0\x80\0e\0p\x001\x01\x01\x80C4@\x02\x80\0\x01\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0", b"< (\0\0\x03@\x02\x80\0\xc0\0\x022\x06\xb8"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.50:1720"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.50:1720"],
            written: b"(\0\0\x03@\x02\x80\0\xc0\0\x022\x06\xb8",
        },
    },
    Sample {
        said: &[b"> H\0\0\x04\x01\x01\x80C5\0\x0a\0\0\x02\x0f\xa0", b"< L\0\x04\0\xc0\0\x022\x06\xb8\0\xc0\0\x022\x06\xb7"],
        announces: Announces::Flows {
            plain: &["tcp 10.0.0.2 > 192.0.2.50:1720"],
            under_nat: &["tcp 10.0.0.2 > 192.0.2.50:1720"],
            written: b"L\0\x04\0\xc0\0\x022\x06\xb8\0\xc0\0\x022\x06\xb7",
        },
    },
    // The same in IPv6.
    Sample {
        said: &[b"> \x0e\0\0\x01\x06\0\x08\x91J\0\x04\x80\x010 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x06\xb8\x010 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\0\0\x01\x02\0\x034\x88\0\0\0\x02\0L\x01\0"],
        announces: Announces::Flows {
            plain: &["tcp 2001:db8:1::9 > 2001:db8::2:1720"],
            under_nat: &["tcp 2001:db8:1::9 > 2001:db8:1::1:1720"],
            written: b"\x0e\0\0\x01\x06\0\x08\x91J\0\x04\x80\x010 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x06\xb8\x010 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\0\0\x01\x02\0\x034\x88\0\0\0\x02\0L\x01\0",
        },
    },
    Sample {
        said: &[b"> \0\0\0\0\x06\0\x08\x91J\0\x040 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x0f\xa0\0\0", b"< \x04\0\0\0\x06\0\x08\x91J\0\x040 \x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x0a\x06\xb7"],
        announces: Announces::Flows {
            plain: &["udp 2001:db8::2 > 2001:db8:1::a:1719"],
            under_nat: &["udp 2001:db8::2 > 2001:db8:1::a:1719"],
            written: b"\x04\0\0\0\x06\0\x08\x91J\0\x040 \x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x0a\x06\xb7",
        },
    },
    Sample {
        said: &[b"> $\x10\0\x03\0\x80\0e\0p\0\x31\x01\x01\x80C40 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x06\xb8@\x02\x80\0\x01\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\0", b"< (\0\0\x03@\x02\x80\x0c \x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x32\x06\xb8"],
        announces: Announces::Flows {
            plain: &["tcp 2001:db8::2 > 2001:db8:1::32:1720"],
            under_nat: &["tcp 2001:db8::2 > 2001:db8:1::32:1720"],
            written: b"(\0\0\x03@\x02\x80\x0c \x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x32\x06\xb8",
        },
    },
    Sample {
        said: &[b"> H\0\0\x04\x01\x01\x80C50 \x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\x0f\xa0", b"< L\0\x040 \x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x32\x06\xb80 \x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x32\x06\xb7"],
        announces: Announces::Flows {
            plain: &["tcp 2001:db8::2 > 2001:db8:1::32:1720"],
            under_nat: &["tcp 2001:db8::2 > 2001:db8:1::32:1720"],
            written: b"L\0\x040 \x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x32\x06\xb80 \x01\x0d\xb8\0\x01\0\0\0\0\0\0\0\0\0\x32\x06\xb7",
        },
    },
    // A request, another host, and what is no message.
    Sample {
        said: &[b"> \0\0\0\0\x06\0\x08\x91J\0\x04\0\x0a\0\0\x02\x0f\xa0\0\0"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \x0c\0\0\x01\x06\0\x08\x91J\0\x04\x80\x01\0\x0a\0\0\x03\x06\xb8\x01\0\x0a\0\0\x02\x0f\xa0\0\0\x01\x02\0\x03"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> \xff\xff"],
        announces: Announces::Nothing,
    },
];
