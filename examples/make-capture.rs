//! Makes a capture of any size: clients on `lan`, servers behind `wan`, TCP from handshake to close and UDP questions with answers, in the
//! sizes that backbones see (seven small to four medium to one large); 5,000 flows at once, their packets in trains of four, or with `--random`
//! of any flow after any other; a hundred thousand packets a second of the capture's time, or with `--slow` ten thousand.
//!
//! ```text
//! cargo run --release --example make-capture -- big.pcapng 1000000000
//! cargo run --release --example make-capture -- --pcap big.pcap 1000000000
//! cargo run --release --example make-capture -- --random --slow - 3000000000 | nflab replay ... -
//! cargo run --release --example make-capture -- --rules hundred.rules
//! ```
//! `-` is standard output. The same size makes the same bytes. pcapng names the interfaces; classic pcap has Ethernet frames, for `--map 10.0.0.0/8=lan --map 0.0.0.0/0=wan`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;

use nflab::base::{Random, Time, protocol};
use nflab::device::CaptureWriter;
use nflab::wire::tcp::flags;
use nflab::wire::{checksum, ipv4};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (mut classic, mut train, mut pace) = (false, TRAIN, PACE);
    let mut words: Vec<&str> = args.iter().map(String::as_str).collect();
    words.retain(|word| {
        match *word {
            "--pcap" => classic = true,
            "--random" => train = 1,
            "--slow" => pace = 10 * PACE,
            _ => return true,
        }
        false
    });
    let done = match words[..] {
        ["--rules", path] => std::fs::write(path, rules()),
        [path, size] => capture(path, size, classic, train, pace),
        _ => {
            eprintln!("usage: make-capture [--pcap] [--random] [--slow] FILE BYTES | --rules FILE");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("make-capture: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A hundred rules: state first, then services by address and port, as a firewall between networks has them.
fn rules() -> String {
    let mut text = String::from(
        "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n\
         -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n",
    );
    for number in 0..96 {
        let host = 10 + number % 80;
        let port = 1000 + number * 7;
        text += &format!("-A FORWARD -s 10.0.0.0/8 -d 203.0.113.{host}/32 -p tcp -m tcp --dport {port} -j ACCEPT\n");
    }
    text += "-A FORWARD -i lan -p tcp -m tcp --dport 1:1023 -j ACCEPT\n-A FORWARD -i lan -p udp -m udp --dport 53 -j ACCEPT\nCOMMIT\n";
    text
}

fn capture(path: &str, size: &str, classic: bool, train: u32, pace: u64) -> io::Result<()> {
    let wanted: u64 = size.parse().map_err(|_| {
        io::Error::other(format!(
            "{size:?} is no number of bytes; expected one such as 1000000000"
        ))
    })?;
    let file: Box<dyn Write> = match path {
        "-" => Box::new(io::stdout().lock()),
        path => Box::new(File::create(path)?),
    };
    let file = BufWriter::with_capacity(1 << 20, file);
    let mut sink = match classic {
        true => Sink::classic(file)?,
        false => Sink::Named(CaptureWriter::new(file)?),
    };
    let mut world = World::new(train);
    let (mut written, mut time) = (0, 1_700_000_000_000_000_000u64);
    while written < wanted {
        let (interface, packet) = world.next();
        written += sink.write(interface, time, &packet)?;
        time += pace;
    }
    sink.finish()
}

type Writer = BufWriter<Box<dyn Write>>;

enum Sink {
    Named(CaptureWriter<Writer>),
    Classic(Writer),
}

impl Sink {
    fn classic(mut file: Writer) -> io::Result<Self> {
        for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 262_144, 1] {
            file.write_all(&word.to_le_bytes())?;
        }
        Ok(Self::Classic(file))
    }

    /// Says how many bytes the file grew.
    fn write(&mut self, interface: &str, nanos: u64, packet: &[u8]) -> io::Result<u64> {
        match self {
            Self::Named(writer) => {
                writer.write(interface, Time::from_nanos(nanos), packet, None)?;
                Ok(32 + (packet.len() as u64).next_multiple_of(4))
            }
            Self::Classic(file) => {
                let length = packet.len() as u32 + 14;
                for word in [
                    (nanos / 1_000_000_000) as u32,
                    (nanos % 1_000_000_000 / 1000) as u32,
                    length,
                    length,
                ] {
                    file.write_all(&word.to_le_bytes())?;
                }
                file.write_all(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0])?;
                file.write_all(packet)?;
                Ok(16 + u64::from(length))
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Named(writer) => writer.finish()?.flush(),
            Self::Classic(mut file) => file.flush(),
        }
    }
}

/// Conversations under way; one that ends makes room for the next.
struct World {
    random: Random,
    flows: Vec<Flow>,
    /// The flow whose packets come just now.
    at: usize,
    identification: u16,
    /// How many packets of a flow follow each other, on average.
    train: u32,
}

struct Flow {
    client: (Ipv4Addr, u16),
    server: (Ipv4Addr, u16),
    is_tcp: bool,
    /// How many packets were sent.
    step: u32,
    /// How many there will be.
    length: u32,
    /// What comes next from the client, and from the server.
    sequence: [u32; 2],
}

impl World {
    fn new(train: u32) -> Self {
        let mut random = Random::new(7);
        let flows = (0..FLOWS).map(|_| Flow::new(&mut random)).collect();
        Self {
            random,
            flows,
            at: 0,
            identification: 0,
            train,
        }
    }

    fn next(&mut self) -> (&'static str, Vec<u8>) {
        if self.random.below(self.train) == 0 {
            self.at = self.random.below(FLOWS) as usize;
        }
        let at = self.at;
        let payload = match self.random.below(12) {
            0..7 => 12,
            7..11 => 536,
            _ => 1448,
        };
        self.identification = self.identification.wrapping_add(1);
        let flow = &mut self.flows[at];
        let (from_client, bytes) = flow.packet(payload, self.identification);
        if flow.step >= flow.length {
            *flow = Flow::new(&mut self.random);
        }
        (if from_client { "lan" } else { "wan" }, bytes)
    }
}

impl Flow {
    fn new(random: &mut Random) -> Self {
        let is_tcp = random.below(5) != 0;
        let port = match (is_tcp, random.below(10)) {
            (false, _) => 53,
            (true, 0..7) => 443,
            (true, 7) => 80,
            (true, 8) => 22,
            // Nobody allows this one.
            (true, _) => 6667,
        };
        Self {
            client: (
                Ipv4Addr::new(
                    10,
                    random.below(4) as u8,
                    random.below(256) as u8,
                    2 + random.below(250) as u8,
                ),
                1024 + random.below(64_000) as u16,
            ),
            server: (Ipv4Addr::new(203, 0, 113, 2 + random.below(250) as u8), port),
            is_tcp,
            step: 0,
            length: if is_tcp { 8 + random.below(60) } else { 2 },
            sequence: [random.next_u64() as u32, random.next_u64() as u32],
        }
    }

    fn packet(&mut self, payload: usize, identification: u16) -> (bool, Vec<u8>) {
        let step = self.step;
        self.step += 1;
        let from_client = match (self.is_tcp, self.length - step) {
            (true, 4 | 1) => true,
            (true, 3 | 2) => false,
            _ => step.is_multiple_of(2),
        };
        let (from, to) = match from_client {
            true => (self.client, self.server),
            false => (self.server, self.client),
        };
        let mut transport;
        let (protocol, checksum_at) = if self.is_tcp {
            let (bits, payload) = match (step, self.length - step) {
                (0, _) => (flags::SYN, 0),
                (1, _) => (flags::SYN | flags::ACK, 0),
                (2, _) => (flags::ACK, 0),
                (_, 4 | 2) => (flags::FIN | flags::ACK, 0),
                (_, 3 | 1) => (flags::ACK, 0),
                _ => (flags::PSH | flags::ACK, payload),
            };
            let (mine, other) = if from_client { (0, 1) } else { (1, 0) };
            transport = vec![0; 20 + payload];
            let acknowledged = if step == 0 { 0 } else { self.sequence[other] };
            transport[4..8].copy_from_slice(&self.sequence[mine].to_be_bytes());
            transport[8..12].copy_from_slice(&acknowledged.to_be_bytes());
            transport[12] = 5 << 4;
            transport[13] = bits;
            transport[14..16].copy_from_slice(&64_240u16.to_be_bytes());
            let counted = payload as u32 + u32::from(bits & (flags::SYN | flags::FIN) != 0);
            self.sequence[mine] = self.sequence[mine].wrapping_add(counted);
            (protocol::TCP, 16)
        } else {
            transport = vec![0; 8 + payload.min(536)];
            let length = transport.len() as u16;
            transport[4..6].copy_from_slice(&length.to_be_bytes());
            (protocol::UDP, 6)
        };
        transport[0..2].copy_from_slice(&from.1.to_be_bytes());
        transport[2..4].copy_from_slice(&to.1.to_be_bytes());
        let sum = checksum::transport(from.0.into(), to.0.into(), protocol, &transport);
        transport[checksum_at..checksum_at + 2].copy_from_slice(&sum.to_be_bytes());
        let header = ipv4::Repr {
            tos: 0,
            identification,
            dont_fragment: true,
            ttl: 64,
            protocol,
            source: from.0,
            destination: to.0,
        };
        (from_client, header.emit(&transport))
    }
}

/// How many are under way at any time.
const FLOWS: u32 = 5000;
/// Nanoseconds from packet to packet; `--slow` has ten times as many, so that flows outlive their timeouts.
const PACE: u64 = 10_000;
/// How many packets of a flow follow each other, without `--random`.
const TRAIN: u32 = 4;
