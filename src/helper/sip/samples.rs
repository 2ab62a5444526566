//! What the helpers of SIP are tried on, and what each announces.

use crate::helper::{Announces, Sample};

const CALL: &[u8] = b"> INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:4000\r\nCSeq: 1 INVITE\r\nContact: <sip:amy@10.0.0.2:4000>\r\n\
Content-Length: 73\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.0.0.2\r\nc=IN IP4 10.0.0.2\r\nm=audio 5004 RTP/AVP 0\r\n";
const REGISTER: &[u8] =
    b"> REGISTER sip:192.0.2.9 SIP/2.0\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@10.0.0.2:4000>\r\nExpires: 60\r\n\r\n";

pub(super) const OF_UDP: &[Sample] = &[
    // What the caller wants, and what the called one does.
    Sample {
        said: &[CALL],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:5004", "udp 192.0.2.9 > 10.0.0.2:5005"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:5004", "udp 192.0.2.9 > 192.0.2.1:5005"],
            written: b"INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:4000\r\nCSeq: 1 INVITE\r\nContact: <sip:amy@192.0.2.1:4000>\r\n\
Content-Length: 75\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 5004 RTP/AVP 0\r\n",
        },
    },
    Sample {
        said: &[
            CALL,
            b"< SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nContent-Length: 1\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nm=audio 0 x\r\nm=video 6001 x\r\n\
c=IN IP4 192.0.2.9\r\n",
        ],
        announces: Announces::Flows {
            plain: &["udp 10.0.0.2 > 192.0.2.9:6000", "udp 10.0.0.2 > 192.0.2.9:6001"],
            under_nat: &["udp 10.0.0.2 > 192.0.2.9:6000", "udp 10.0.0.2 > 192.0.2.9:6001"],
            written: b"SIP/2.0 200 OK\r\nCSeq: 1 INVITE\r\nContent-Length: 85\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nm=audio 0 x\r\nm=video 6001 x\r\n\
c=IN IP4 192.0.2.9\r\n",
        },
    },
    // A registration.
    Sample {
        said: &[REGISTER],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:4000"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:4000"],
            written: b"REGISTER sip:192.0.2.9 SIP/2.0\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@192.0.2.1:4000>\r\nExpires: 60\r\n\r\n",
        },
    },
    // The same in IPv6; where an address has no brackets only the description is read.
    Sample {
        said: &[b"> INVITE sip:bob@[2001:db8:1::9] SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8::2]:4000\r\nCSeq: 1 INVITE\r\nContact: <sip:amy@[2001:db8::2]:4000>\r\n\
Content-Length: 79\r\n\r\nv=0\r\no=- 1 1 IN IP6 2001:db8::2\r\nc=IN IP6 2001:db8::2\r\nm=audio 5004 RTP/AVP 0\r\n"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:5004", "udp 192.0.2.9 > 10.0.0.2:5005"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:5004", "udp 192.0.2.9 > 192.0.2.1:5005"],
            written: b"INVITE sip:bob@[2001:db8:1::9] SIP/2.0\r\nVia: SIP/2.0/UDP [2001:db8:1::1]:4000\r\nCSeq: 1 INVITE\r\nContact: <sip:amy@[2001:db8:1::1]:4000>\r\n\
Content-Length: 83\r\n\r\nv=0\r\no=- 1 1 IN IP6 2001:db8:1::1\r\nc=IN IP6 2001:db8:1::1\r\nm=audio 5004 RTP/AVP 0\r\n",
        },
    },
    Sample {
        said: &[b"> INVITE sip:bob@[2001:db8:1::9] SIP/2.0\r\nVia: SIP/2.0/UDP 2001:db8::2:4000\r\nCSeq: 1 INVITE\r\nContact: <sip:amy@2001:db8::2:4000>\r\n\
Content-Length: 79\r\n\r\nv=0\r\no=- 1 1 IN IP6 2001:db8::2\r\nc=IN IP6 2001:db8::2\r\nm=audio 5004 RTP/AVP 0\r\n"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:5004", "udp 192.0.2.9 > 10.0.0.2:5005"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:5004", "udp 192.0.2.9 > 192.0.2.1:5005"],
            written: b"INVITE sip:bob@[2001:db8:1::9] SIP/2.0\r\nVia: SIP/2.0/UDP 2001:db8::2:4000\r\nCSeq: 1 INVITE\r\nContact: <sip:amy@2001:db8::2:4000>\r\n\
Content-Length: 83\r\n\r\nv=0\r\no=- 1 1 IN IP6 2001:db8:1::1\r\nc=IN IP6 2001:db8:1::1\r\nm=audio 5004 RTP/AVP 0\r\n",
        },
    },
    Sample {
        said: &[b"> REGISTER sip:[2001:db8:1::9] SIP/2.0\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@[2001:db8::2]:4000>\r\nExpires: 60\r\n\r\n"],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:4000"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:4000"],
            written: b"REGISTER sip:[2001:db8:1::9] SIP/2.0\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@[2001:db8:1::1]:4000>\r\nExpires: 60\r\n\r\n",
        },
    },
    // Short names, a fax in the middle of a call, and a port of its own for what is answered.
    Sample {
        said: &[
            b"> UPDATE sip:bob@192.0.2.9 SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.2:4001\r\ncseq: 2 UPDATE\r\nf: sip:amy@10.0.0.2:4000\r\nm: <sip:amy@10.0.0.2:4000>, \
<sip:bob@10.0.0.2:4000>;q=1\r\nl: 1\r\n\r\nv=0\r\no=- 1 1 IN IP4 1.2.3.4\r\nc=IN IP4 10.0.0.2\r\nm=image 5006 udptl t38\r\n",
        ],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:5006", "udp 192.0.2.9 > 10.0.0.2:5007"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:5006", "udp 192.0.2.9 > 192.0.2.1:5007"],
            written: b"UPDATE sip:bob@192.0.2.9:4001 SIP/2.0\r\nv: SIP/2.0/UDP 10.0.0.2:4001\r\ncseq: 2 UPDATE\r\nf: sip:amy@192.0.2.1:4000\r\n\
m: <sip:amy@192.0.2.1:4000>, <sip:bob@192.0.2.1:4000>;q=1\r\nl: 75\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=image 5006 udptl t38\r\n",
        },
    },
    // Nothing of another host, nor of other requests; and what registered is confirmed, or not.
    Sample {
        said: &[b"> ACK sip:bob@192.0.2.9 SIP/2.0\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\nv=0\r\no=- 1 1 IN IP4 10.0.0.3\r\nc=IN IP4 10.0.0.3\r\n\
m=audio 5004 x\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> OPTIONS sip:bob@192.0.2.9 SIP/2.0\r\nCSeq: 1 OPTIONS\r\nContact: <sip:amy@10.0.0.2:4000>\r\n\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[CALL, b"> BYE sip:bob@192.0.2.9 SIP/2.0\r\nCSeq: 2 BYE\r\n\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[
            REGISTER,
            b"< SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@192.0.2.1:4000>;expires=60\r\n\r\n",
        ],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[
            REGISTER,
            b"< SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@10.0.0.2:4000>;expires=60\r\n\r\n",
        ],
        announces: Announces::Nothing,
    },
];

pub(super) const OF_TCP: &[Sample] = &[
    Sample {
        said: &[CALL],
        announces: Announces::Flows {
            plain: &["udp 192.0.2.9 > 10.0.0.2:5004", "udp 192.0.2.9 > 10.0.0.2:5005"],
            under_nat: &["udp 192.0.2.9 > 192.0.2.1:5004", "udp 192.0.2.9 > 192.0.2.1:5005"],
            written: b"INVITE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:4000\r\nCSeq: 1 INVITE\r\nContact: <sip:amy@192.0.2.1:4000>\r\n\
Content-Length: 75\r\n\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 5004 RTP/AVP 0\r\n",
        },
    },
    // Two messages in a segment.
    Sample {
        said: &[
            b"> BYE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.2:4000\r\nCSeq: 1 BYE\r\nContent-Length: 2\r\n\r\n..\
REGISTER sip:192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.2:4000\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@10.0.0.2:4000>;expires=60\r\n\
Content-Length: 0\r\n\r\n",
        ],
        announces: Announces::Flows {
            plain: &["tcp 192.0.2.9 > 10.0.0.2:4000"],
            under_nat: &["tcp 192.0.2.9 > 192.0.2.1:4000"],
            written: b"BYE sip:bob@192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1:4000\r\nCSeq: 1 BYE\r\nContent-Length: 2\r\n\r\n..\
REGISTER sip:192.0.2.9 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1:4000\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@192.0.2.1:4000>;expires=60\r\n\
Content-Length: 0\r\n\r\n",
        },
    },
    // Not whole, or without its length.
    Sample {
        said: &[b"> REGISTER sip:192.0.2.9 SIP/2.0\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@10.0.0.2:4000>\r\nContent-Length: 1\r\n\r\n"],
        announces: Announces::Nothing,
    },
    Sample {
        said: &[b"> REGISTER sip:192.0.2.9 SIP/2.0\r\nCSeq: 1 REGISTER\r\nContact: <sip:amy@10.0.0.2:4000>\r\n\r\n"],
        announces: Announces::Nothing,
    },
];
