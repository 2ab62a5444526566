//! Captures written and read back, and read as other tools write them.

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::InterfaceTsResolution;

use super::*;

const PACKET_BYTES: &[u8] = &[0x45, 0, 0, 20, 1, 2, 3, 4];

fn written() -> Vec<u8> {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    writer.interface("wan").unwrap();
    writer
        .write(
            "lan",
            Time::from_nanos(1_800_000_000_123_456_789),
            PACKET_BYTES,
            Some("by rule 3"),
        )
        .unwrap();
    writer
        .write("wan", Time::from_secs(1_800_000_001), &PACKET_BYTES[..4], None)
        .unwrap();
    writer.finish().unwrap()
}

/// A pcap file in the given byte order: header, then packets of (seconds, fraction, original length, bytes).
fn classic(magic: u32, link: u32, packets: &[(u32, u32, u32, &[u8])], order: fn(u32) -> [u8; 4]) -> Vec<u8> {
    let short = |low: u16, high: u16| match order(1)[0] {
        1 => [low.to_le_bytes(), high.to_le_bytes()].concat(),
        _ => [low.to_be_bytes(), high.to_be_bytes()].concat(),
    };
    let mut bytes = [
        &order(magic)[..],
        &short(2, 4),
        &order(0),
        &order(0),
        &order(65535),
        &order(link),
    ]
    .concat();
    for (seconds, fraction, original, data) in packets {
        for word in [*seconds, *fraction, data.len() as u32, *original] {
            bytes.extend(order(word));
        }
        bytes.extend_from_slice(data);
    }
    bytes
}

fn error(bytes: &[u8]) -> String {
    let mut reader = match CaptureReader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return error.to_string(),
    };
    loop {
        match reader.next_packet() {
            Ok(Some(_)) => {}
            Ok(None) => return "no error".into(),
            Err(error) => return error.to_string(),
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = written();
    let mut reader = CaptureReader::new(&bytes[..]).unwrap();
    assert_eq!(
        reader.next_packet().unwrap().unwrap(),
        CapturedPacket {
            number: 1,
            interface: Some("lan"),
            time: Time::from_nanos(1_800_000_000_123_456_789),
            content: Content::Ip(PACKET_BYTES),
            original_length: 8,
            comment: Some("by rule 3"),
        }
    );
    let second = reader.next_packet().unwrap().unwrap();
    assert_eq!(
        (second.interface, second.comment, second.number),
        (Some("wan"), None, 2)
    );
    assert!(reader.next_packet().unwrap().is_none());
    assert!(reader.next_packet().unwrap().is_none());
}

#[test]
fn classic_pcap_of_both_orders_and_resolutions() {
    for (magic, fraction, nanos) in [(0xa1b2_c3d4, 5, 5_000), (0xa1b2_3c4d, 5, 5)] {
        for order in [u32::to_le_bytes, u32::to_be_bytes] {
            let bytes = classic(
                magic,
                101,
                &[(7, fraction, 8, PACKET_BYTES), (8, 0, 100, PACKET_BYTES)],
                order,
            );
            let mut reader = CaptureReader::new(&bytes[..]).unwrap();
            let first = reader.next_packet().unwrap().unwrap();
            assert_eq!(first.time, Time::from_nanos(7_000_000_000 + nanos));
            assert_eq!((first.interface, first.is_truncated()), (None, false));
            let second = reader.next_packet().unwrap().unwrap();
            assert_eq!((second.original_length, second.is_truncated()), (100, true));
            assert!(reader.next_packet().unwrap().is_none());
        }
    }
}

#[test]
fn link_headers_do_not_count_as_packet() {
    let frame = [&[0; 12][..], &[8, 0], PACKET_BYTES].concat();
    let arp = [&[0; 12][..], &[8, 6], PACKET_BYTES].concat();
    let bytes = classic(
        0xa1b2_c3d4,
        1,
        &[(1, 0, 64, &frame), (1, 0, 22, &arp)],
        u32::to_le_bytes,
    );
    let mut reader = CaptureReader::new(&bytes[..]).unwrap();
    let first = reader.next_packet().unwrap().unwrap();
    assert_eq!((first.content, first.original_length), (Content::Ip(PACKET_BYTES), 50));
    let second = reader.next_packet().unwrap().unwrap();
    assert_eq!(
        (second.content, second.number),
        (Content::NotIp { protocol: 0x0806 }, 2)
    );
}

#[test]
fn a_cut_file_names_the_packet_and_the_byte() {
    let bytes = written();
    let cut = error(&bytes[..bytes.len() - 5]);
    assert_eq!(
        cut,
        "packet 2 at byte 168: the file ends after 31 of 36 bytes; it was cut short: capture again, or keep the part before with `editcap`"
    );
    // Every other place to cut is an error too, or the clean end of a block; none panics or loops.
    for end in 0..bytes.len() {
        let text = error(&bytes[..end]);
        let clean = [28, 68, 108, 168].contains(&end);
        assert_eq!(text == "no error", clean, "cut at {end}: {text}");
    }
    let bytes = classic(
        0xa1b2_c3d4,
        101,
        &[(7, 0, 8, PACKET_BYTES), (8, 0, 8, PACKET_BYTES)],
        u32::to_le_bytes,
    );
    let text = error(&bytes[..bytes.len() - 1]);
    assert!(
        text.starts_with("packet 2 at byte 48: the file ends after 23 of 24 bytes"),
        "{text}"
    );
}

#[test]
fn foreign_and_damaged_files_say_what_they_are() {
    let mut mismatched = written();
    let last = mismatched.len() - 4;
    mismatched[last] = 99;
    let mut huge = classic(0xa1b2_c3d4, 101, &[(7, 0, 8, PACKET_BYTES)], u32::to_le_bytes);
    huge[24 + 8..24 + 12].copy_from_slice(&[0xff; 4]);
    for (bytes, expected) in [
        (
            b"GET / HTTP/1.1".to_vec(),
            "not a capture: it begins with [47, 45, 54, 20]; expected pcapng",
        ),
        (Vec::new(), "not a capture: it begins with []"),
        (
            mismatched,
            "packet 2 at byte 168: the record is damaged: Invalid raw block format: Block length fields don't match",
        ),
        (
            huge,
            "packet 1 at byte 24: the record is damaged: its length field says 4294967311 bytes",
        ),
        (
            classic(0xa1b2_c3d4, 105, &[(7, 0, 8, PACKET_BYTES)], u32::to_le_bytes),
            "packet 1 at byte 24: link type 105 carries no IP that is understood here; expected RAW (101)",
        ),
        (
            classic(0xa1b2_c3d4, 101, &[(7, 1_000_000, 8, PACKET_BYTES)], u32::to_le_bytes),
            "packet 1 at byte 24: the record is damaged: its time stamp has a fraction of 1000000, which must stay below 1000000",
        ),
    ] {
        let text = error(&bytes);
        assert!(text.starts_with(expected), "{text}\nexpected\n{expected}");
    }
}

#[test]
fn resolution_of_the_interface_counts() {
    // Without if_tsresol a stamp counts microseconds; 2^-10 s is one of the binary ones.
    for (resolution, stamp, nanos) in [
        (None, 3_000_001, 3_000_001_000),
        (Some(InterfaceTsResolution::new(true, 10).unwrap()), 3072, 3_000_000_000),
        (Some(InterfaceTsResolution::SEC), 3, 3_000_000_000),
    ] {
        let mut writer = PcapNgWriter::new(Vec::new()).unwrap();
        let mut description = InterfaceDescriptionBlock::new(DataLink::RAW, 0);
        description
            .options
            .extend(resolution.map(InterfaceDescriptionOption::IfTsResol));
        writer.write_pcapng_block(description).unwrap();
        let timestamp = Duration::from_nanos(nanos);
        writer
            .write_pcapng_block(EnhancedPacketBlock {
                timestamp,
                original_len: 1,
                data: (&[0x45][..]).into(),
                ..Default::default()
            })
            .unwrap();
        let bytes = writer.into_inner();
        let low = u32::from_ne_bytes(bytes[bytes.len() - 20..bytes.len() - 16].try_into().unwrap());
        assert_eq!(low, stamp);
        let mut reader = CaptureReader::new(&bytes[..]).unwrap();
        assert_eq!(reader.next_packet().unwrap().unwrap().time.as_nanos(), nanos);
    }
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let good = written();
    let mut random = crate::base::Random::new(11);
    for _ in 0..3000 {
        let mut bytes = good.clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len() as u32) as usize;
            bytes[at] = random.next_u64() as u8;
        }
        error(&bytes);
    }
}
