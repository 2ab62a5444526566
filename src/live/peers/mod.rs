//! Small programs of our own for the hosts of a lab: ping, a web server and client, an FTP server and client.
//!
//! They let the demonstration and the tests run with nothing but this binary. Plain blocking sockets, opened in the network namespace of the
//! calling thread (threads they start stay in it); every wait has an end.

pub mod ftp;
pub mod http;
pub mod ping;

use std::hash::Hasher;
use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use siphasher::sip::SipHasher13;

use crate::base::Random;

/// What a server hands out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Bytes(Vec<u8>),
    /// So many bytes of `pattern`.
    Pattern(u64),
}

impl Content {
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Pattern(size) => *size,
        }
    }

    /// What a client that got all of it reports.
    pub fn checksum(&self) -> u64 {
        let mut checksum = Checksum::default();
        // A checksum takes whatever it is given.
        let _ = self.send(&mut checksum);
        checksum.value()
    }

    fn send(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Bytes(bytes) => to.write_all(bytes),
            Self::Pattern(size) => {
                let block = pattern();
                let mut left = *size;
                while left > 0 {
                    let part = left.min(block.len() as u64) as usize;
                    to.write_all(&block[..part])?;
                    left -= part as u64;
                }
                Ok(())
            }
        }
    }
}

/// A block of bytes that is repeated. Its length is prime, so that a lost, doubled or swapped piece of any usual size shows in the checksum.
fn pattern() -> Vec<u8> {
    let mut random = Random::new(0x6e66_6c61_6221);
    (0..65_521).map(|_| random.next_u64() as u8).collect()
}

/// SipHash of all bytes written, with a fixed key.
#[derive(Clone, Copy, Debug)]
pub struct Checksum(SipHasher13);

impl Default for Checksum {
    fn default() -> Self {
        Self(SipHasher13::new_with_keys(1, 2))
    }
}

impl Checksum {
    pub fn value(&self) -> u64 {
        self.0.finish()
    }
}

impl Write for Checksum {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What came, as far as a client needs to tell that it is what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub size: u64,
    pub checksum: u64,
    pub duration: Duration,
}

/// Reads to the end of the stream, or `expected` bytes, but not beyond `deadline`.
fn receive(stream: &mut impl Read, expected: Option<u64>, deadline: Deadline) -> io::Result<Received> {
    let started = Instant::now();
    let (mut checksum, mut size) = (Checksum::default(), 0u64);
    let mut buffer = vec![0; 256 << 10];
    while expected.is_none_or(|expected| size < expected) {
        deadline.check("the transfer")?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                size += read as u64;
                checksum.write_all(&buffer[..read])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Received {
        size,
        checksum: checksum.value(),
        duration: started.elapsed(),
    })
}

/// The end of all waiting.
#[derive(Clone, Copy, Debug)]
struct Deadline(Instant);

impl Deadline {
    fn after(patience: Duration) -> Self {
        Self(Instant::now() + patience)
    }

    /// Never zero, which sockets take for "for ever".
    fn left(self) -> Duration {
        self.0
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1))
    }

    fn check(self, what: &str) -> io::Result<()> {
        if Instant::now() < self.0 {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what} took too long")))
    }

    fn apply(self, stream: &TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(self.left()))?;
        stream.set_write_timeout(Some(self.left()))
    }
}

/// A listener with its thread; ends when dropped.
#[derive(Debug)]
struct Service {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    /// Runs `serve` for each connection, on a thread of its own.
    fn start(bind: SocketAddr, serve: impl Fn(TcpStream) + Send + Sync + 'static) -> io::Result<Self> {
        let listener = TcpListener::bind(bind)?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (told, serve) = (Arc::clone(&stop), Arc::new(serve));
        let thread = std::thread::Builder::new().name("service".into()).spawn(move || {
            while !told.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let serve = Arc::clone(&serve);
                        let _ = stream.set_nonblocking(false);
                        // Without a thread the client sees its connection closed.
                        let _ = std::thread::Builder::new()
                            .name("session".into())
                            .spawn(move || serve(stream));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(5)),
                }
            }
        })?;
        Ok(Self {
            address,
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How long a server waits for a client that says nothing.
const SESSION_PATIENCE: Duration = Duration::from_secs(60);

/// Reads a line without its end; `None` at the end of the stream. A line that doesn't end within 4 KiB is an error.
fn read_line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let read = stream.by_ref().take(4096).read_until(b'\n', &mut line)?;
    if read == 0 {
        return Ok(None);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without an end"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}
