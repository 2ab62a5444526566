//! What waits, for how long, and in which order it leaves.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use super::*;
use crate::base::testing::host;
use crate::base::{Family, InterfaceName};
use crate::device::{Device, Offloads};
use crate::packet::testing::{tcp, udp};
use crate::packet::{Offload, Packet, cut};
use crate::wire::put32;

/// Remembers what it was to send.
struct Notes {
    sent: Vec<(Vec<u8>, Offload)>,
    offloads: Offloads,
    is_down: bool,
}

impl Notes {
    fn new(tcp4: bool, udp: bool) -> Self {
        let offloads = Offloads {
            checksum: tcp4,
            tcp4,
            tcp6: tcp4,
            udp,
        };
        Self {
            sent: Vec::new(),
            offloads,
            is_down: false,
        }
    }

    fn lengths(&self) -> Vec<usize> {
        self.sent.iter().map(|(bytes, _)| bytes.len()).collect()
    }
}

impl Device for Notes {
    fn name(&self) -> InterfaceName {
        InterfaceName::default()
    }

    fn receive(&mut self, _: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(None)
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        self.send_with(packet, Offload::default())
    }

    fn send_with(&mut self, packet: &[u8], offload: Offload) -> io::Result<()> {
        if self.is_down {
            return Err(io::Error::from_raw_os_error(libc::EIO));
        }
        self.sent.push((packet.to_vec(), offload));
        Ok(())
    }

    fn offloads(&self) -> Offloads {
        self.offloads
    }
}

impl AsFd for Notes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

/// The segment of a flow that comes as the so-manieth, with a hundred bytes.
fn segment(port: u16, number: u16) -> Vec<u8> {
    let data = [number as u8; 100];
    let mut packet = tcp((host(Family::V4, 2), port), (host(Family::V4, 9), 80), &data);
    packet.set_identification(number);
    packet.fill_header_checksum();
    let sequence = 1000 + 100 * u32::from(number);
    put32(packet.transport_mut(), 4, sequence);
    finished(packet)
}

fn finished(mut packet: Packet) -> Vec<u8> {
    use crate::wire::{checksum, put16};
    put16(packet.transport_mut(), 16, 0);
    let sum = checksum::transport(
        packet.source(),
        packet.destination(),
        packet.protocol(),
        packet.transport(),
    );
    put16(packet.transport_mut(), 16, sum);
    packet.into_bytes()
}

fn datagram(number: u16, data: usize) -> Vec<u8> {
    let mut packet = udp(
        (host(Family::V4, 2), 7),
        (host(Family::V4, 9), 53),
        &vec![number as u8; data],
    );
    packet.set_identification(number);
    packet.fill_header_checksum();
    packet.into_bytes()
}

fn send(joining: &mut Joining, device: &mut Notes, packets: &[Vec<u8>]) {
    for packet in packets {
        let mut bytes = packet.clone();
        let carried = Carried {
            bytes: &mut bytes,
            offload: Offload::default(),
        };
        joining.send(device, carried, &mut |_| panic!("it takes everything"));
    }
}

#[test]
fn flows_leave_in_few_packets_and_in_order() {
    let (mut joining, mut device) = (Joining::default(), Notes::new(true, false));
    let packets: Vec<Vec<u8>> = (0..30).map(|at| segment(1 + at % 3, at / 3)).collect();
    send(&mut joining, &mut device, &packets);
    assert!(device.sent.is_empty(), "all may go on");
    joining.flush(&mut device, &mut |_| {});
    assert_eq!(device.lengths(), [1040; 3]);
    let mut cut_again = Vec::new();
    for (bytes, offload) in &device.sent {
        cut(bytes, offload.segment_size, &mut Vec::new(), &mut |piece| {
            cut_again.push(piece.clone());
        });
    }
    let by_flow: Vec<Vec<u8>> = (0..3)
        .flat_map(|flow| (0..10).map(move |at| segment(1 + flow, at)))
        .collect();
    assert_eq!(cut_again, by_flow);
    joining.flush(&mut device, &mut |_| panic!("nothing is left"));
    assert_eq!(device.sent.len(), 3);
}

#[test]
fn what_goes_on_otherwise_does_not_overtake_its_flow() {
    let (mut joining, mut device) = (Joining::default(), Notes::new(true, true));
    // One is missing; then another flow's.
    let packets = [segment(1, 0), segment(1, 2), segment(2, 0)];
    send(&mut joining, &mut device, &packets);
    assert_eq!(device.sent, [(segment(1, 0), Offload::default())]);
    joining.flush(&mut device, &mut |_| {});
    let bytes: Vec<Vec<u8>> = device.sent.iter().map(|(bytes, _)| bytes.clone()).collect();
    assert_eq!(bytes, packets, "alone, as it came");
}

#[test]
fn what_waits_is_bounded() {
    let (mut joining, mut device) = (Joining::default(), Notes::new(true, false));
    for flow in 0..20 {
        send(&mut joining, &mut device, &[segment(1 + flow, 0)]);
    }
    assert_eq!(device.sent.len(), 20 - FLOWS);
    joining.flush(&mut device, &mut |_| {});
    let bytes: Vec<Vec<u8>> = device.sent.into_iter().map(|(bytes, _)| bytes).collect();
    assert_eq!(bytes, (0..20).map(|flow| segment(1 + flow, 0)).collect::<Vec<_>>());
}

#[test]
fn each_of_those_that_left_as_one_is_lost() {
    let (mut joining, mut device) = (Joining::default(), Notes::new(true, false));
    device.is_down = true;
    let mut lost = 0;
    // The third is of its own, as the one between is missing; then a datagram.
    for packet in [segment(1, 0), segment(1, 1), segment(1, 3), datagram(0, 50)] {
        let mut bytes = packet;
        let carried = Carried {
            bytes: &mut bytes,
            offload: Offload::default(),
        };
        joining.send(&mut device, carried, &mut |count| lost += count);
    }
    assert_eq!(lost, 3, "the third waits");
    joining.flush(&mut device, &mut |count| lost += count);
    assert_eq!(lost, 4);
}

#[test]
fn a_device_without_offload_gets_each_at_once() {
    let (mut joining, mut device) = (Joining::default(), Notes::new(false, false));
    let packets = [segment(1, 0), segment(1, 1), datagram(0, 50), datagram(1, 50)];
    send(&mut joining, &mut device, &packets);
    let bytes: Vec<Vec<u8>> = device.sent.iter().map(|(bytes, _)| bytes.clone()).collect();
    assert_eq!(bytes, packets);
}

#[test]
fn datagrams_leave_as_they_came() {
    let (mut joining, mut device) = (Joining::default(), Notes::new(true, true));
    send(
        &mut joining,
        &mut device,
        &[datagram(0, 50), datagram(1, 50), datagram(2, 9)],
    );
    assert_eq!(device.lengths(), [78, 78, 37], "and at once");
}
