//! Talking to a lab that runs: one JSON object a line, over a unix stream socket; long texts follow their line (`frame`).
//!
//! A request is `{"tool":"iptables","args":["-L","-n"],"stdin":"..."}`, a response `{"stdout":"...","stderr":"...","code":0}`. Requests on one
//! connection are answered in order; a line that is no request is answered with code 2. It can be spoken by hand:
//! `echo '{"tool":"iptables-save"}' | socat - UNIX:$NFLAB`. Files are opened by who asks ([`crate::lab::files`]): a request brings what they hold,
//! and what `iptables-save -f` would write is the response's `stdout`.
//!
//! One request has many answers: `{"tool":"trace","args":["--follow","tcp dport 80"]}` is answered at once, and then with a response for each
//! packet that fits, until the connection is closed (`super::follow`).

use std::io;
#[cfg(unix)]
use std::io::{BufReader, Write};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
#[cfg(unix)]
use std::time::Instant;

#[cfg(unix)]
use self::frame::Arrived;
use crate::base::bytes::text_of_path;
#[cfg(unix)]
use crate::base::bytes::{path_of, quoted};
#[cfg(unix)]
use crate::device::standard::tell;
use crate::device::text_file::LARGEST_TEXT;
use crate::lab::request::{Request, Response};

pub(crate) mod frame;

/// Answers one request. What isn't one gets a response that says so, so that a conversation goes on.
pub fn answer_with(frame: Vec<u8>, handle: impl FnOnce(Request) -> Response) -> Vec<u8> {
    match frame::incoming(frame) {
        Ok((request, reads_behind)) => frame::response(handle(request), reads_behind),
        Err(why) => line_of(&Response::failure(
            2,
            format!(
                "nflab: this is not a request: {why}; expected one line such as {{\"tool\":\"iptables\",\"args\":[\"-S\"]}}\n"
            ),
        )),
    }
}

/// A response as it is sent.
pub fn line_of(response: &Response) -> Vec<u8> {
    // Texts and a number: there is nothing in a response that JSON can't hold.
    let mut bytes = serde_json::to_vec(response).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// The answer to a line that doesn't end; the connection can't go on after it.
pub fn too_long() -> Response {
    Response::failure(2, format!("nflab: a request of more than {} MB\n", LONGEST_LINE >> 20))
}

/// The answer to who can't be served now.
pub fn busy(why: &str) -> Response {
    Response {
        busy: true,
        ..Response::failure(4, format!("nflab: the lab is busy: {why}; try again\n"))
    }
}

/// Serves one connection until its end, blocking: for a channel to a process of our own. At a socket, [`super::server`] does.
#[cfg(unix)]
pub fn serve_connection(stream: UnixStream, mut handle: impl FnMut(Request) -> Response) -> io::Result<()> {
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    loop {
        match frame::read(&mut reader, &mut Vec::new(), LONGEST_LINE)? {
            Arrived::Nothing => return Ok(()),
            Arrived::TooLong => return writer.write_all(&line_of(&too_long())),
            Arrived::Frame(frame) => writer.write_all(&answer_with(frame, &mut handle))?,
        }
    }
}

/// A connection to a lab.
#[cfg(unix)]
#[derive(Debug)]
pub struct Client {
    writer: UnixStream,
    reader: BufReader<UnixStream>,
    patience: Patience,
}

/// How long a lab may be silent: until that is told, and until it is given up. What a request may hold is bounded, and no bounded one takes so long;
/// a lab whose process is stopped would never answer.
#[cfg(unix)]
#[derive(Clone, Copy, Debug)]
struct Patience {
    told: Duration,
    given_up: Duration,
}

#[cfg(unix)]
impl Client {
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let writer = UnixStream::connect(socket)?;
        #[cfg(target_os = "linux")]
        super::trust::check_peer(&writer, socket)?;
        Self::of(writer)
    }

    fn of(writer: UnixStream) -> io::Result<Self> {
        Ok(Self {
            reader: BufReader::new(writer.try_clone()?),
            writer,
            patience: PATIENCE,
        })
    }

    /// How long to wait for an answer, and quietly. Unless set a call waits for a minute, and the next of many answers is waited for for ever.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.writer.set_read_timeout(timeout)?;
        self.writer.set_write_timeout(timeout)
    }

    /// Whether some of the next answer is here already, so that waiting for the socket would be in vain.
    pub fn has_some(&self) -> bool {
        !self.reader.buffer().is_empty()
    }

    /// The next answer to a request that has many (`trace --follow`); `None` once the lab has closed the connection.
    pub fn next_answer(&mut self) -> io::Result<Option<Response>> {
        match frame::read(&mut self.reader, &mut Vec::new(), LONGEST_ANSWER)? {
            Arrived::Frame(answer) => frame::answered(answer).map(Some),
            Arrived::Nothing => Ok(None),
            Arrived::TooLong => Err(endless()),
        }
    }

    pub fn call(&mut self, request: &Request) -> io::Result<Response> {
        if self.writer.read_timeout()?.is_some() {
            return self.exchange(request, || Err(io::ErrorKind::WouldBlock.into()));
        }
        let Patience { told, given_up } = self.patience;
        self.set_timeout(Some(told))?;
        let begun = Instant::now();
        let mut is_told = false;
        let answer = self.exchange(request, || {
            if begun.elapsed() >= given_up {
                let why = format!("it has not answered for {} seconds: {WHAT_HELPS}", given_up.as_secs());
                return Err(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            if !std::mem::replace(&mut is_told, true) {
                let silent = told.as_secs();
                tell!("nflab: the lab has not answered for {silent} seconds, and is waited for: {WHAT_HELPS}");
            }
            Ok(())
        });
        self.set_timeout(None)?;
        answer
    }

    /// A question and its answer. Whenever the other side was silent for as long as the socket waits, `silent` decides whether to go on.
    fn exchange(&mut self, request: &Request, mut silent: impl FnMut() -> io::Result<()>) -> io::Result<Response> {
        let request = frame::outgoing(request)?;
        let mut written = Ok(());
        for mut rest in request.parts() {
            while written.is_ok() && !rest.is_empty() {
                match self.writer.write(rest) {
                    Ok(count) => rest = &rest[count..],
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => silent()?,
                    Err(error) => written = Err(error),
                }
            }
        }
        // Who was turned away is told why before the connection is closed.
        let mut answer = Vec::new();
        loop {
            match frame::read(&mut self.reader, &mut answer, LONGEST_ANSWER) {
                Ok(Arrived::Frame(answer)) => return frame::answered(answer),
                Ok(Arrived::TooLong) => return Err(endless()),
                Ok(Arrived::Nothing) => break,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => silent()?,
                Err(error) => return Err(written.err().unwrap_or(error)),
            }
        }
        Err(written.err().unwrap_or_else(|| {
            io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the lab closed the connection before it answered",
            )
        }))
    }
}

#[cfg(unix)]
fn endless() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the lab gave an answer that is longer than any may be",
    )
}

#[cfg(unix)]
impl std::os::fd::AsFd for Client {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.writer.as_fd()
    }
}

/// A lab that a tool can speak to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    pub socket: PathBuf,
}

/// Finds the lab: the one that `nflab` (the environment variable `NFLAB`) names (a socket's path if it has a `/`, else a lab's name), else the
/// only one that runs. `running` lists those; on Linux [`Place::targets`](super::place::Place::targets) does. `asked` is the command as it was
/// typed, for the example of how to say which of several.
#[cfg(unix)]
pub fn find(nflab: Option<&str>, asked: &str, running: impl FnOnce() -> Vec<Target>) -> Result<Target, FindError> {
    #[cfg(target_os = "linux")]
    if let Some(socket) = super::contain::found() {
        return Ok(Target {
            name: text_of_path(&socket),
            socket,
        });
    }
    match nflab.filter(|text| !text.is_empty()) {
        Some(text) if text.contains('/') => {
            let path = path_of(text);
            #[cfg(target_os = "linux")]
            match super::trust::check_socket(&path) {
                // That there is nobody is what connecting tells.
                Err(distrust) if !distrust.is_missing() => {
                    return Err(FindError::Distrusted {
                        path,
                        why: distrust.to_string(),
                    });
                }
                _ => {}
            }
            match UnixStream::connect(&path) {
                Ok(_) => Ok(Target {
                    name: text.into(),
                    socket: path,
                }),
                Err(source) => Err(FindError::NoAnswer { path, source }),
            }
        }
        Some(name) => {
            let labs = running();
            let names = names(&labs);
            labs.into_iter()
                .find(|lab| lab.name == name)
                .ok_or_else(|| FindError::NotThisOne {
                    name: name.into(),
                    running: names,
                })
        }
        None => {
            let labs = running();
            match &labs[..] {
                [] => Err(FindError::NoneRuns),
                [lab] => Ok(lab.clone()),
                several => Err(FindError::SeveralRun {
                    running: names(several),
                    asked: asked.to_owned(),
                }),
            }
        }
    }
}

/// Why there is no lab to speak to. All of them are exit code 4.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(
        "no lab runs: start one with `nflab up LAB.toml`, or run your command with a lab of its own: `nflab sh --lab LAB.toml -- COMMAND`"
    )]
    NoneRuns,
    #[error("several labs run ({}): say which one, as in `NFLAB={} {asked}`", running.join(", "), running[0])]
    SeveralRun { running: Vec<String>, asked: String },
    #[error("no lab {name} runs (NFLAB names it); {}", others(running), name = quoted(name))]
    NotThisOne { name: String, running: Vec<String> },
    #[error("NFLAB names {}, which is not spoken to: {why}", text_of_path(path))]
    Distrusted { path: PathBuf, why: String },
    #[error(
        "no lab answers at {} (NFLAB names it): {source}; start one with `nflab up LAB.toml`, or unset NFLAB",
        text_of_path(path)
    )]
    NoAnswer { path: PathBuf, source: io::Error },
}

fn others(running: &[String]) -> String {
    match running {
        [] => "none runs: start it with `nflab up LAB.toml`".into(),
        names => format!("running: {}", names.join(", ")),
    }
}

#[cfg(unix)]
fn names(labs: &[Target]) -> Vec<String> {
    labs.iter().map(|lab| lab.name.clone()).collect()
}

#[cfg(unix)]
const PATIENCE: Patience = Patience {
    told: Duration::from_secs(10),
    given_up: Duration::from_secs(60),
};
#[cfg(unix)]
const WHAT_HELPS: &str = "`nflab status` tells how it is; a stopped process goes on after `kill -CONT`, and `nflab down` ends a lab that hangs";

/// A request is no longer than a text may be.
pub const LONGEST_LINE: usize = LARGEST_TEXT;

/// A lab gives no more at once.
pub const LONGEST_ANSWER: usize = 256 << 20;

#[cfg(all(test, unix))]
mod tests {
    use std::io::BufRead;

    use super::*;

    #[test]
    fn a_conversation() {
        let (client, server) = UnixStream::pair().unwrap();
        let thread = std::thread::spawn(move || {
            serve_connection(server, |request| Response {
                busy: false,
                stdout: format!("{} {:?} {}", request.tool, request.args, request.stdin.len()),
                stderr: String::new(),
                code: 3,
            })
        });
        let mut client = Client::of(client).unwrap();
        let request = Request {
            tool: "iptables".into(),
            args: vec!["-A".into(), "with \"quotes\"\nand lines".into()],
            stdin: "x\ny".into(),
            ..Request::default()
        };
        let response = client.call(&request).unwrap();
        assert_eq!(
            (response.code, response.stdout),
            (3, "iptables [\"-A\", \"with \\\"quotes\\\"\\nand lines\"] 3".into())
        );
        // A second request on the same connection, and one that is none.
        assert_eq!(client.call(&Request::default()).unwrap().code, 3);
        client.writer.write_all(b"{\"tool\":\"x\",\"arguments\":[]}\n").unwrap();
        let mut line = String::new();
        client.reader.read_line(&mut line).unwrap();
        assert!(
            line.contains("this is not a request: unknown field `arguments`"),
            "{line}"
        );
        drop(client);
        thread.join().unwrap().unwrap();
    }

    /// As of a process that is stopped: nobody reads, nobody answers. What is larger than the socket's buffers is not even taken.
    #[test]
    fn a_lab_that_is_silent_is_given_up() {
        for stdin in [String::new(), "x".repeat(4 << 20)] {
            let (client, _server) = UnixStream::pair().unwrap();
            let mut client = Client::of(client).unwrap();
            client.patience = Patience {
                told: Duration::from_millis(10),
                given_up: Duration::from_millis(50),
            };
            let request = Request {
                stdin,
                ..Request::default()
            };
            let error = client.call(&request).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(error.to_string().contains("`nflab down` ends"), "{error}");
            // Whoever set a time of its own is told at once.
            client.set_timeout(Some(Duration::from_millis(10))).unwrap();
            let quiet = client.call(&Request::default()).unwrap_err();
            assert_eq!(quiet.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn a_slow_answer_is_waited_for() {
        let (client, server) = UnixStream::pair().unwrap();
        let mut client = Client::of(client).unwrap();
        client.patience.told = Duration::from_millis(5);
        let thread = std::thread::spawn(move || {
            serve_connection(server, |_| {
                std::thread::sleep(Duration::from_millis(40));
                Response::default()
            })
        });
        for _ in 0..2 {
            assert_eq!(client.call(&Request::default()).unwrap(), Response::default());
        }
        drop(client);
        thread.join().unwrap().unwrap();
    }

    #[test]
    fn which_lab_is_meant() {
        let lab = |name: &str| Target {
            name: name.into(),
            socket: format!("/run/{name}").into(),
        };
        let (none, one, two) = (Vec::new, || vec![lab("a")], || vec![lab("a"), lab("b")]);
        assert_eq!(find(None, "", one).unwrap(), lab("a"));
        assert_eq!(find(Some(""), "", one).unwrap(), lab("a"), "set to nothing is not set");
        assert_eq!(find(Some("b"), "", two).unwrap(), lab("b"));
        for (nflab, labs, expected) in [
            (None, none(), "no lab runs: start one with `nflab up LAB.toml`"),
            (
                None,
                two(),
                "several labs run (a, b): say which one, as in `NFLAB=a nflab exec laptop`",
            ),
            (Some("c"), two(), "no lab \"c\" runs (NFLAB names it); running: a, b"),
            (
                Some("c"),
                none(),
                "no lab \"c\" runs (NFLAB names it); none runs: start it",
            ),
            (Some("/no/such"), one(), "no lab answers at /no/such (NFLAB names it): "),
        ] {
            let error = find(nflab, "nflab exec laptop", || labs).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
