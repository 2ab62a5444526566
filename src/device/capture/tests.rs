//! Captures written and read back, and read as other tools write them.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use pcap_file::DataLink;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};

use super::shared::MOST;
use super::*;
use crate::base::Random;

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
            direction: None,
            to_another: false,
            frame: Frame::raw(PACKET_BYTES),
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
    let section = |length: u32, end: u32| {
        let mut bytes = written()[..24].to_vec();
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
        bytes.resize(length as usize - 4, 0);
        [&bytes, &end.to_le_bytes()[..]].concat()
    };
    for (bytes, expected) in [
        (section(28, 28), "no error"),
        (section(32, 32), "no error"),
        (
            section(28, 32),
            "the record is damaged: its block says that it is 28 bytes long at its beginning, and 32 at its end",
        ),
        (section(30, 30), "the record is damaged: its block"),
        (section(24, 24), "the record is damaged: its block"),
        (
            b"GET / HTTP/1.1".to_vec(),
            "not a capture: it begins with [47, 45, 54, 20]; expected pcapng",
        ),
        (Vec::new(), "not a capture: it is empty; expected"),
        (
            mismatched,
            "packet 2 at byte 168: the record is damaged: its block says that it is 36 bytes long at its beginning, and 99 at its end",
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

/// Everything that a file gives, errors that go on included; its reader must come to an end, and needs no more room than the largest record.
fn read_out(bytes: &[u8]) {
    let Ok(mut reader) = CaptureReader::new(bytes) else {
        return;
    };
    for _ in 0..=bytes.len() {
        match reader.next_packet() {
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(_) => {
                let room = reader.window.room();
                assert!(room <= 17 << 20, "{room} bytes for a file of {}", bytes.len());
            }
        }
    }
    panic!("more packets than bytes: {bytes:02x?}");
}

/// Bytes changed, words set to what breaks lengths, parts cut out and doubled: of every format, packed too.
#[test]
fn mutants_of_every_format_come_to_an_end() {
    let order: fn(u32) -> [u8; 4] = u32::to_le_bytes;
    let records = [(7, 5, 8, PACKET_BYTES), (8, 0, 100, PACKET_BYTES)];
    let other = [
        section(&[101, 1], u32::to_be_bytes),
        enhanced(1, 8, &[0, 1, 0, 4, 1, 2, 3, 4], u32::to_be_bytes),
    ];
    let seeds = [
        written(),
        classic(0xa1b2_c3d4, 101, &records, order),
        classic(0xa1b2_3c4d, 1, &records, u32::to_be_bytes),
        [written(), other.concat(), written()].concat(),
    ];
    let mut random = crate::base::Random::new(12);
    for turn in 0..6000 {
        let mut bytes = seeds[turn % seeds.len()].clone();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len() as u32) as usize;
            match random.below(5) {
                0 => bytes[at] = random.next_u64() as u8,
                1 => {
                    let words = [0, 1, 4, 8, 11, 12, 13, 16, 0x7fff_ffff, 0xffff_fffc, u32::MAX, 16 << 20];
                    let word = words[random.below(words.len() as u32) as usize];
                    let at = at / 4 * 4;
                    if let Some(there) = bytes.get_mut(at..at + 4) {
                        there.copy_from_slice(&order(word));
                    }
                }
                2 => bytes.truncate(at.max(1)),
                3 => {
                    let tail = bytes[at..].to_vec();
                    bytes.extend(tail);
                }
                _ => {
                    bytes.remove(at);
                    if bytes.is_empty() {
                        bytes.push(0);
                    }
                }
            }
        }
        read_out(&bytes);
        if turn.is_multiple_of(16) {
            let mut packed = gzip(&bytes);
            read_out(&packed);
            let at = random.below(packed.len() as u32) as usize;
            packed[at] ^= 1 << random.below(8);
            read_out(&packed);
        }
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn packed_captures_are_unpacked_on_the_way() {
    let plain = written();
    // Two members one after the other are one file, as `cat a.gz b.gz` makes it.
    let halves = [gzip(&plain[..100]), gzip(&plain[100..])].concat();
    for packed in [gzip(&plain), halves] {
        let mut reader = CaptureReader::new(&packed[..]).unwrap();
        assert_eq!(reader.next_packet().unwrap().unwrap().comment, Some("by rule 3"));
        assert_eq!(reader.next_packet().unwrap().unwrap().interface, Some("wan"));
        assert!(reader.next_packet().unwrap().is_none());
    }
    let packed = gzip(&plain);
    assert!(
        error(&packed[..packed.len() - 12]).contains("the packed file ends early"),
        "{}",
        error(&packed[..packed.len() - 12])
    );
    let mut wrong = packed.clone();
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    assert!(error(&wrong).contains("gzip"), "{}", error(&wrong));
    assert!(error(&gzip(b"some text")).starts_with("not a capture: it begins with [73, 6f, 6d, 65]"));
    assert!(error(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0]).contains("packed with zstd: unpack it first"));
}

/// A block of pcapng in the given byte order.
fn block(kind: u32, body: &[&[u8]], order: fn(u32) -> [u8; 4]) -> Vec<u8> {
    let mut body = body.concat();
    body.resize(body.len().next_multiple_of(4), 0);
    let length = order(body.len() as u32 + 12);
    [&order(kind)[..], &length, &body, &length].concat()
}

/// A section with an interface of each link type.
fn section(links: &[u8], order: fn(u32) -> [u8; 4]) -> Vec<u8> {
    let version = match order(1)[0] {
        1 => [1, 0, 0, 0],
        _ => [0, 1, 0, 0],
    };
    let mut bytes = block(0x0a0d_0d0a, &[&order(0x1a2b_3c4d), &version, &[0xff; 8]], order);
    for link in links {
        let link = match order(1)[0] {
            1 => [*link, 0],
            _ => [0, *link],
        };
        bytes.extend(block(1, &[&link, &[0; 6]], order));
    }
    bytes
}

fn enhanced(interface: u32, captured: u32, options: &[u8], order: fn(u32) -> [u8; 4]) -> Vec<u8> {
    let words = [interface, 0, 5_000_000, captured, 8].map(order).concat();
    block(6, &[&words, PACKET_BYTES, options], order)
}

#[test]
fn one_record_that_cannot_be_used_does_not_end_the_capture() {
    for order in [u32::to_le_bytes, u32::to_be_bytes] {
        let bytes = [
            section(&[101, 105], order),
            enhanced(0, 8, &[], order),
            enhanced(7, 8, &[], order),
            enhanced(1, 8, &[], order),
            enhanced(0, 999, &[], order),
            enhanced(0, 8, &[], order),
            // A second section begins to number its interfaces anew.
            section(&[101], order),
            enhanced(0, 8, &[], order),
            enhanced(1, 8, &[], order),
        ]
        .concat();
        let mut reader = CaptureReader::new(&bytes[..]).unwrap();
        let mut told = Vec::new();
        loop {
            match reader.next_packet() {
                Ok(Some(packet)) => told.push(format!("{} at {}", packet.number, packet.time.as_secs())),
                Ok(None) => break,
                Err(error) => {
                    assert!(error.goes_on(), "{error}");
                    told.push(error.to_string());
                }
            }
        }
        let accepted = LinkType::ACCEPTED;
        assert_eq!(
            told,
            [
                "1 at 5",
                "packet 2 at byte 108: the record is damaged: it names interface 7, which no block before it describes",
                &format!(
                    "packet 3 at byte 148: link type 105 carries no IP that is understood here; expected {accepted}"
                ),
                "packet 4 at byte 188: the record is damaged: it says that 999 bytes were captured, but its block has room for 8",
                "5 at 5",
                "6 at 5",
                "packet 7 at byte 356: the record is damaged: it names interface 1, which no block before it describes",
            ]
        );
    }
}

#[test]
fn flags_tell_the_direction_and_comments_stand_beside_them() {
    let order = u32::to_be_bytes;
    let options = |flags: u8| {
        [
            &[0, 2, 0, 4, 0, 0, 0, flags][..],
            &[0, 1, 0, 2, b'h', b'i', 0, 0],
            &[0; 4],
        ]
        .concat()
    };
    for (flags, direction) in [(1, Some(Direction::In)), (2, Some(Direction::Out)), (0, None)] {
        let bytes = [section(&[101], order), enhanced(0, 8, &options(flags), order)].concat();
        let mut reader = CaptureReader::new(&bytes[..]).unwrap();
        let packet = reader.next_packet().unwrap().unwrap();
        assert_eq!((packet.direction, packet.comment), (direction, Some("hi")));
    }
}

/// A crate of other people's as the oracle.
#[test]
fn others_read_what_is_written() {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    let frame = Frame {
        link: 1,
        bytes: &[7; 15],
        original_length: 99,
    };
    let long = "\u{e4}".repeat(40_000);
    for comment in [None, Some("three"), Some(long.as_str())] {
        writer
            .write_frame("eth0", Time::from_nanos(1_234_567_890_123), frame, comment)
            .unwrap();
    }
    let bytes = writer.finish().unwrap();
    let mut reader = pcap_file::pcapng::PcapNgReader::new(&bytes[..]).unwrap();
    let mut comments = Vec::new();
    while let Some(block) = reader.next_block() {
        match block.unwrap().0 {
            pcap_file::pcapng::Block::EnhancedPacket(packet) => {
                assert_eq!((&packet.data[..], packet.original_len), (&[7u8; 15][..], 99));
                assert_eq!(packet.timestamp, Duration::from_nanos(1_234_567_890_123));
                comments.push(packet.options.first().map(|option| format!("{option:?}").len()));
            }
            pcap_file::pcapng::Block::InterfaceDescription(it) => assert_eq!(it.linktype, DataLink::ETHERNET),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(comments.len(), 3);
    assert!(comments[0].is_none() && comments[1].is_some() && comments[2] > Some(32_000));
}

/// Packets that are found together are those that come one by one, and so are the errors between them.
#[test]
fn packets_are_found_together_as_they_come_alone() {
    let packets: Vec<Vec<u8>> = (1..40u8).map(|length| vec![0x45; usize::from(length)]).collect();
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    for (at, packet) in packets.iter().enumerate() {
        let comment = (at % 3 == 0).then_some("a remark");
        let interface = if at % 7 == 0 { "wan" } else { "lan" };
        writer
            .write(interface, Time::from_secs(at as u64), packet, comment)
            .unwrap();
    }
    let blocks = writer.finish().unwrap();
    let records: Vec<_> = packets.iter().map(|packet| (7, 0, 60, &packet[..])).collect();
    let mut random = Random::new(3);
    for bytes in [blocks, classic(0xa1b2_c3d4, 101, &records, u32::to_be_bytes)] {
        for round in 0..200 {
            let mut bytes = bytes.clone();
            if round % 4 == 1 {
                bytes.truncate(random.below(bytes.len() as u32) as usize);
            }
            if round % 4 >= 2 {
                for _ in 0..random.below(4) {
                    let at = 40 + random.below(bytes.len() as u32 - 40) as usize;
                    bytes[at] = random.below(256) as u8;
                }
            }
            let (Ok(mut alone), Ok(mut together)) = (CaptureReader::new(&bytes[..]), CaptureReader::new(&bytes[..]))
            else {
                continue;
            };
            loop {
                let error = together.next_packets(1 + random.below(9) as usize).err();
                for found in together.found() {
                    let expected = alone.next_packet().unwrap().unwrap();
                    assert_eq!(together.packet(found), expected);
                }
                let ends = match (error, together.found().is_empty()) {
                    (Some(error), _) => {
                        let expected = alone.next_packet().unwrap_err();
                        assert_eq!(error.to_string(), expected.to_string());
                        !error.goes_on()
                    }
                    (None, is_empty) => is_empty,
                };
                if ends {
                    assert!(matches!(alone.next_packet(), Ok(None)));
                    break;
                }
            }
        }
    }
}

/// Readers of one file see what each would see alone, whoever comes first, also once one has stopped.
#[test]
fn readers_of_one_file_see_all_of_it() {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    for number in 0..9000u32 {
        let bytes = vec![number as u8; 40 + (number * number % 1400) as usize];
        // Some stretches have a packet from before the last, some more interfaces than are kept in mind.
        let late = u32::from(number % 2000 == 1000) * 100;
        let name = format!("eth{}", number % if number < 6000 { 3 } else { 7 });
        writer
            .write(&name, Time::from_secs(u64::from(number - late)), &bytes, None)
            .unwrap();
    }
    let whole = writer.finish().unwrap();
    let mut damaged = whole.clone();
    damaged[5_000_000..5_000_040].fill(0xff);
    let packed = gzip(&whole);
    for bytes in [
        &whole,
        &damaged,
        &whole[..3_000_007].to_vec(),
        &packed,
        &packed[..packed.len() / 2].to_vec(),
    ] {
        let (in_order, out_of_order) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let all = |mut reader: CaptureReader<&[u8]>, most: usize| {
            let mut seen = Vec::new();
            loop {
                let error = reader.next_packets(most).err();
                match reader.found_in_order() {
                    Some(all) => {
                        assert!(all.found.is_sorted_by_key(Found::time));
                        let marks = all.found.iter().map(|found| found.mark.unwrap());
                        assert!(marks.eq(all.marks.iter().copied()));
                        for found in all.found {
                            let mut names = all.interfaces.iter().map(|it| reader.interface(*it));
                            assert!(names.any(|name| name == reader.interface_of(found)));
                        }
                        in_order.fetch_add(all.found.len(), Relaxed);
                    }
                    None => drop(out_of_order.fetch_add(reader.found().len(), Relaxed)),
                }
                for found in reader.found() {
                    let packet = reader.packet(found);
                    assert_eq!(
                        (packet.time, packet.interface),
                        (found.time(), reader.interface_of(found))
                    );
                    assert!(found.mark.is_none_or(|mark| mark == packet.frame.bytes[0]));
                    let bytes = packet.frame.bytes;
                    seen.push(format!("{} {} {}", packet.number, bytes.len(), bytes[0]));
                }
                match error {
                    Some(error) => {
                        seen.push(error.to_string());
                        if !error.goes_on() {
                            return seen;
                        }
                    }
                    None if reader.found().is_empty() => return seen,
                    None => {}
                }
            }
        };
        let alone = all(CaptureReader::named(&bytes[..], Path::new("file")).unwrap(), 1);
        assert!(alone.len() > 1000);
        let file = SharedFile::new(&bytes[..], 4, |packet| packet.frame.bytes[0]).unwrap();
        let scout = file.scout();
        let reader = |index| CaptureReader::of_shared((&file, &scout), index, Path::new("file")).unwrap();
        std::thread::scope(|scope| {
            for (index, most) in [(0, 1), (1, 7), (2, 32)] {
                let (reader, alone) = (&reader, &alone);
                scope.spawn(move || assert_eq!(all(reader(index), most), *alone));
            }
            let mut stops = reader(3);
            for _ in 0..500 {
                stops.next_packet().unwrap();
            }
        });
        drop(scout);
        assert_eq!(file.waiting(), 0, "stretches that nobody waits for");
        let (in_order, out_of_order) = (in_order.into_inner(), out_of_order.into_inner());
        assert!(in_order > 1000 && out_of_order > 1000, "{in_order} and {out_of_order}");
    }
}

/// Who has come as far as one may waits for the others, who may need the scout to get on.
#[test]
fn who_waits_for_readers_keeps_nothing_that_they_wait_for() {
    let mut writer = CaptureWriter::new(Vec::new()).unwrap();
    for number in 0..25_000u32 {
        writer
            .write("lan", Time::from_secs(number.into()), &[1; 1000], None)
            .unwrap();
    }
    let whole = writer.finish().unwrap();
    let file = SharedFile::new(&whole[..], 2, |packet| packet.frame.bytes[0]).unwrap();
    let scout = file.scout();
    let reader = |index| CaptureReader::of_shared((&file, &scout), index, Path::new("file")).unwrap();
    let mut last = reader(1);
    let seen = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let mut first = reader(0);
        let seen = &seen;
        scope.spawn(move || {
            while first.next_packet().unwrap().is_some() {
                seen.fetch_add(1, Relaxed);
            }
        });
        // Whoever reads alone goes as far as it may, and the scout further: had it waited, whom it waits for would wait for it.
        let patience = Instant::now() + Duration::from_secs(20);
        while file.waiting() <= MOST as usize && Instant::now() < patience {
            std::thread::yield_now();
        }
        let waiting = file.waiting();
        while last.next_packet().unwrap().is_some() {}
        assert!(waiting > MOST as usize, "{waiting}");
    });
    assert_eq!(seen.into_inner(), 25_000);
    assert_eq!(file.waiting(), 0);
}
