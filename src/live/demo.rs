//! The stage with real programs: two hosts in network namespaces of their own, their kernels' TCP, and the router on TUN devices between.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::base::Time;
use crate::lab::demo::{Act, FTP, LAB, ROUTER, SERVER, SERVER6, SSH, Seen, Stage, WEB, is_of_interest};
use crate::lab::file::LabFile;
use crate::lab::machine::{ToolOutput, Toolbox};
use crate::lab::memory::Lab;
use crate::lab::request::Request;
use crate::live::clock::Clock;
use crate::live::control::Client;
use crate::live::drive::DrivenLab;
use crate::live::event_loop::{Caller, Carried, Driver, EventLoop, Out, PortIndex, Stopped};
use crate::live::namespace::Namespace;
use crate::live::peers::Content;
use crate::live::peers::ftp::{DataMode, FtpServer, retrieve};
use crate::live::peers::http::{HttpServer, download};
use crate::live::peers::ping::{Ping, PingOutcome};
use crate::live::server::{Admitted, Bounds, Server};
use crate::live::up::{LiveLab, UpOptions};

/// Why the play did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LiveError {
    /// No lab could be brought up.
    #[error("{0}")]
    Up(String),
    #[error("the lab could not be taken down: {0}")]
    Down(String),
    /// A signal ended it; everything was cleaned up.
    #[error("ended by a signal")]
    Signal,
}

/// Brings the lab up, has `play` play on it in a thread of its own, and takes the lab down, whatever came of it.
pub(crate) fn perform<T: Send + 'static>(
    toolbox: Toolbox,
    options: UpOptions,
    play: impl FnOnce(&mut dyn Stage) -> T + Send + 'static,
) -> Result<T, LiveError> {
    let up = |error: String| LiveError::Up(error);
    let file = LabFile::parse("demo", LAB).map_err(|error| up(error.to_string()))?;
    let signals = crate::device::syscall::termination_signals().map_err(|error| up(error.to_string()))?;
    let lab = Lab::new(&file, 1, toolbox).map_err(|error| up(error.to_string()))?;
    let (live, ports, listener) = LiveLab::up(&file, &options).map_err(|error| up(error.to_string()))?;
    let host = |name: &str| live.host(name).ok_or_else(|| up(format!("no host {name}")));
    let shared = Arc::new(Shared::default());
    let mut stage = LiveStage {
        client: host("client")?,
        server: host("server")?,
        control: Client::connect(&live.socket()).map_err(|error| up(error.to_string()))?,
        shared: Arc::clone(&shared),
        user_namespace: options.user_namespace,
        services: None,
    };
    let clock = Clock::new();
    let driver = DemoDriver {
        lab: DrivenLab::new(lab, &file, clock.now()),
        shared,
    };
    let commands = driver.lab.commands(clock);
    let server = Server::start(listener, Admitted::default(), Bounds::default(), commands)
        .map_err(|error| up(error.to_string()))?;
    let mut event_loop = EventLoop::new(driver, ports, clock, Some(signals)).map_err(|error| up(error.to_string()))?;
    let stopper = event_loop.stopper();
    let player = std::thread::spawn(move || {
        let result = play(&mut stage);
        stopper.stop();
        result
    });
    let stopped = event_loop.run();
    // The devices go before the namespaces they lie in.
    drop((event_loop, server));
    let result = match stopped {
        Ok(Stopped::Asked) => player.join().map_err(|_| up("the play broke off".to_owned())),
        // The player may still wait for a packet that nobody carries any more; it ends with the process.
        Ok(Stopped::Signal(_)) => Err(LiveError::Signal),
        Err(error) => Err(up(format!("the event loop failed: {error}"))),
    };
    live.down().map_err(|error| LiveError::Down(error.to_string()))?;
    result
}

/// What the router's thread leaves for the player's.
#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    carried: AtomicU64,
}

struct DemoDriver {
    lab: DrivenLab,
    shared: Arc<Shared>,
}

impl Driver for DemoDriver {
    fn packet(&mut self, now: Time, port: PortIndex, packet: Carried<'_>, out: &mut Out<'_>) {
        self.shared.carried.fetch_add(1, Ordering::Relaxed);
        if !is_of_interest(packet.bytes) {
            self.lab.packet(now, port, packet, out);
        } else if let Some(passage) = self.lab.tell(now, port, packet.bytes, out) {
            let seen = Seen::new(self.lab.lab(), passage);
            self.shared.seen.lock().push(seen);
        }
    }

    fn tick(&mut self, now: Time, out: &mut Out<'_>) {
        self.lab.tick(now, out);
    }

    fn take_caller(&mut self, caller: Caller) {
        self.lab.take_caller(caller);
    }

    fn called(&mut self, now: Time, out: &mut Out<'_>) {
        self.lab.called(now, out);
    }
}

struct LiveStage {
    client: Namespace,
    server: Namespace,
    control: Client,
    shared: Arc<Shared>,
    user_namespace: bool,
    services: Option<(HttpServer, FtpServer)>,
}

impl LiveStage {
    /// The server's programs, started when first needed.
    fn serve(&mut self) -> Result<(), String> {
        if self.services.is_some() {
            return Ok(());
        }
        let files = BTreeMap::from([("file".to_owned(), Content::Pattern(TRANSFER))]);
        let started = self.server.run(|| -> io::Result<_> {
            let web = HttpServer::start(SocketAddr::from((SERVER, WEB)), BTreeMap::new())?;
            Ok((web, FtpServer::start(SocketAddr::from((SERVER, FTP)), files)?))
        });
        let both = started
            .and_then(|both| both)
            .map_err(|error| format!("the server does not start: {error}"))?;
        self.services = Some(both);
        Ok(())
    }

    fn ping(&self, server: IpAddr) -> Result<String, String> {
        let ping = Ping {
            count: 3,
            ..Ping::new(server)
        };
        let outcomes = self
            .client
            .run(|| ping.run())
            .and_then(|outcomes| outcomes)
            .map_err(|error| format!("ping: {error}"))?;
        let answered = outcomes.iter().filter(|outcome| outcome.is_answered()).count();
        let last = outcomes.last();
        match last {
            Some(PingOutcome::Answered { after }) if answered == outcomes.len() => Ok(format!(
                "{answered} of {} answered, the last after {} µs",
                outcomes.len(),
                after.as_micros()
            )),
            _ => Err(format!("{answered} of {} answered: {last:?}", outcomes.len())),
        }
    }

    fn fetch(&mut self) -> Result<String, String> {
        self.serve()?;
        let path = format!("/bytes/{DOWNLOAD}");
        let got = self
            .client
            .run(|| download(SocketAddr::from((SERVER, WEB)), &path, PATIENCE))
            .and_then(|got| got)
            .map_err(|error| format!("the download broke off: {error}"))?;
        if got.body.checksum != Content::Pattern(DOWNLOAD).checksum() {
            return Err(format!(
                "{} bytes came, and they are not those that were sent",
                got.body.size
            ));
        }
        let seconds = got.body.duration.as_secs_f64();
        Ok(format!(
            "{} MB in {seconds:.2} s ({:.0} Mbit/s), the checksum is right",
            got.body.size / 1_000_000,
            got.body.size as f64 * 8.0 / 1e6 / seconds.max(1e-6)
        ))
    }

    fn transfer(&mut self, mode: DataMode) -> Result<String, String> {
        self.serve()?;
        let got = self
            .client
            .run(|| retrieve(SocketAddr::from((SERVER, FTP)), "file", mode, PATIENCE))
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("the transfer broke off: {error}\n{}", error.dialogue.join("\n")))?;
        if got.received.checksum != Content::Pattern(TRANSFER).checksum() {
            return Err(format!(
                "{} bytes came, and they are not those that were sent",
                got.received.size
            ));
        }
        Ok(format!(
            "{} kB, the checksum is right; the data connection was with {}",
            got.received.size / 1000,
            got.data_peer
        ))
    }

    fn knock(&self) -> Result<String, String> {
        let attempt = self
            .server
            .run(|| TcpStream::connect_timeout(&SocketAddr::from((ROUTER, SSH)), Duration::from_millis(300)))
            .map_err(|error| error.to_string())?;
        match attempt {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok("no answer, as it should be".to_owned()),
            Err(error) => Err(format!("there was an answer: {error}")),
            Ok(_) => Err("the connection was accepted".to_owned()),
        }
    }
}

impl Stage for LiveStage {
    fn place(&self) -> String {
        let how = if self.user_namespace {
            "a user namespace: no root is needed"
        } else {
            "network namespaces"
        };
        format!("Two hosts in {how}, with the kernel's own TCP; between them TUN devices and this program.")
    }

    fn tool(&mut self, name: &str, args: &[&str], stdin: &str) -> ToolOutput {
        let request = Request {
            tool: name.to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            stdin: stdin.to_owned(),
            ..Request::default()
        };
        match self.control.call(&request) {
            Ok(response) => ToolOutput {
                stdout: response.stdout,
                stderr: response.stderr,
                code: response.code,
                ..ToolOutput::default()
            },
            Err(error) => ToolOutput::failure(4, format!("{name}: the lab does not answer: {error}\n")),
        }
    }

    fn act(&mut self, act: Act) -> Result<String, String> {
        match act {
            Act::Ping => self.ping(SERVER.into()),
            Act::Ping6 => self.ping(SERVER6.into()),
            Act::Download => self.fetch(),
            Act::Passive => self.transfer(DataMode::Passive),
            Act::Active => self.transfer(DataMode::Active),
            Act::Knock => self.knock(),
        }
    }

    fn seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.shared.seen.lock())
    }

    fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }
}

/// Who waits longer than this for a packet waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of the web download.
const DOWNLOAD: u64 = 50_000_000;
/// Bytes of each FTP transfer.
const TRANSFER: u64 = 1_000_000;
