//! Who answers at a control socket: one thread that reads and writes, and one that does what is asked, so that neither a client nor a request
//! stands in the way of packets.
//!
//! Requests run one at a time, as the real tools take turns by their lock; among processes that wait, the one that was served longest ago is
//! next. Nothing grows without bound ([`Bounds`]): a client has one answer at most, and is not read from until it has taken it; an
//! unfinished request, all of them together, the answers that nobody takes and the connections have their limits, by process and in all. Where a
//! place or room is wanted, who lingers goes first. Who can't be served is told that the lab is busy.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::control::{LONGEST_ANSWER, LONGEST_LINE, answer_with, line_of};
use crate::lab::request::{Answer, Asker, Request, Response, Source, Waker};
use connections::Connections;

mod connections;

/// What is asked of a lab, one request at a time.
pub trait Service: Send + 'static {
    /// `asker` tells what takes long whether anybody waits for it any more.
    fn answer(&mut self, request: Request, asker: &Asker) -> Answer;

    /// Called between requests, a few times a second.
    fn idle(&mut self) {}
}

impl<F: FnMut(Request) -> Response + Send + 'static> Service for F {
    fn answer(&mut self, request: Request, _: &Asker) -> Answer {
        self(request).into()
    }
}

/// Limits. The numbers of [`Bounds::default`] suit a lab; a test has smaller ones.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub connections: usize,
    pub connections_of_a_process: usize,
    /// Connections that follow something.
    pub followers: usize,
    /// Bytes of one request.
    pub request: usize,
    /// Bytes of all requests that are not answered yet.
    pub requests: usize,
    /// Bytes of one answer.
    pub answer: usize,
    /// Bytes of all answers that are not taken yet, beyond which nothing more is done.
    pub answers: usize,
    /// An unfinished request may stand still for so long.
    pub pause: Duration,
    /// An unfinished request may take so long.
    pub patience: Duration,
    /// Who takes nothing for so long is in the way of others.
    pub stale: Duration,
    /// How often the service is called when nothing is asked.
    pub idle: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 256,
            connections_of_a_process: 32,
            followers: 64,
            request: LONGEST_LINE,
            requests: 2 * LONGEST_LINE,
            answer: LONGEST_ANSWER,
            answers: 64 << 20,
            pause: Duration::from_secs(10),
            patience: Duration::from_secs(60),
            stale: Duration::from_secs(1),
            idle: Duration::from_millis(100),
        }
    }
}

/// Whose processes may speak to a lab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admitted {
    /// The user that the lab runs as, and root.
    #[default]
    Owner,
    /// Whoever reaches the socket.
    Everybody,
}

/// The threads at a control socket. They end when it is dropped; a request that is being answered is answered to nobody.
pub struct Server {
    stopped: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `service` is made with the waker that its [`Source`]s use.
    pub fn start<S: Service>(
        listener: UnixListener,
        admitted: Admitted,
        bounds: Bounds,
        service: impl FnOnce(Waker) -> S,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let (near, far) = UnixStream::pair()?;
        near.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        let bell = Arc::new(Bell {
            rung: AtomicBool::new(false),
            stream: near,
        });
        let rung = Arc::clone(&bell);
        let waker = Waker::new(move || rung.ring());
        let stopped = Arc::new(AtomicBool::new(false));
        let (jobs, to_do) = channel();
        let (to_give, done) = channel();
        let service = service(waker.clone());
        let (answer, idle) = (bounds.answer, bounds.idle);
        let caller = waker.clone();
        std::thread::Builder::new().name("commands".into()).spawn(move || {
            yield_to_packets(COMMANDS_NICE);
            work(service, &to_do, &to_give, &caller, answer, idle);
        })?;
        let desk = Desk {
            listener,
            far,
            bell,
            stopped: Arc::clone(&stopped),
            connections: Connections::new(admitted, bounds),
            jobs,
            done,
            busy: false,
            not_before: None,
            complained: None,
        };
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || {
            yield_to_packets(CONTROL_NICE);
            desk.run();
        })?;
        Ok(Self {
            stopped,
            waker,
            thread: Some(thread),
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // It only panics where a test made it.
            let _ = thread.join();
        }
    }
}

/// What wakes the server's thread. Costs next to nothing where it was rung already.
#[derive(Debug)]
struct Bell {
    rung: AtomicBool,
    stream: UnixStream,
}

impl Bell {
    fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // Full means that it was rung already.
            let _ = (&self.stream).write(&[1]);
        }
    }
}

/// A request on its way to who answers it.
struct Job {
    connection: u64,
    line: Vec<u8>,
    asker: Asker,
}

struct Done {
    connection: u64,
    line: Vec<u8>,
    more: Option<Box<dyn Source>>,
}

/// A fault of ours in one call ends that call: what a tool changes is published in one swap, so what was in force still is, and the next caller
/// is not left waiting for a thread that is gone. The panic's own words are on standard error.
fn answer_or_fault(service: &mut impl Service, request: Request, asker: &Asker) -> Answer {
    let tool = request.tool.clone();
    let answered = std::panic::catch_unwind(AssertUnwindSafe(|| service.answer(request, asker)));
    answered.unwrap_or_else(|_| {
        let words =
            format!("nflab: a fault of nflab itself ended this call of {tool}; the lab is as it was before it\n");
        Answer::from(Response::failure(2, words))
    })
}

/// The thread that does what is asked.
fn work(
    mut service: impl Service,
    jobs: &Receiver<Job>,
    done: &Sender<Done>,
    waker: &Waker,
    longest: usize,
    idle: Duration,
) {
    let mut last_idle = Instant::now();
    loop {
        let job = match jobs.recv_timeout(idle.saturating_sub(last_idle.elapsed())) {
            Ok(job) => Some(job),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if let Some(Job {
            connection,
            line,
            asker,
        }) = job
        {
            let mut more = None;
            let mut answer = answer_with(line, |request| {
                // As where it hung up while its request waited for others: what nobody waits for is not begun.
                if asker.is_gone() {
                    return Response::default();
                }
                let answer = answer_or_fault(&mut service, request, &asker);
                more = answer.more;
                answer.response
            });
            if answer.len() > longest {
                let (has, may) = (answer.len() >> 20, longest >> 20);
                let words = format!(
                    "nflab: the answer has {has} MB, and a lab gives no more than {may} MB at once; ask for less\n"
                );
                answer = line_of(&Response::failure(2, words));
            }
            let sent = done.send(Done {
                connection,
                line: answer,
                more,
            });
            if sent.is_err() {
                return;
            }
            waker.wake();
        }
        if last_idle.elapsed() >= idle {
            service.idle();
            last_idle = Instant::now();
        }
    }
}

/// The thread that reads and writes.
struct Desk {
    listener: UnixListener,
    /// Where the bell is heard.
    far: UnixStream,
    bell: Arc<Bell>,
    stopped: Arc<AtomicBool>,
    connections: Connections,
    jobs: Sender<Job>,
    done: Receiver<Done>,
    /// A request is being answered.
    busy: bool,
    /// When to accept again, where there was no descriptor for it.
    not_before: Option<Instant>,
    complained: Option<Instant>,
}

impl Desk {
    fn run(mut self) {
        let mut events = VecDeque::new();
        while !self.stopped.load(Ordering::Acquire) {
            let (rung, asked) = self.wait(&mut events);
            if rung {
                self.take_answers();
            }
            for (number, flags) in events.drain(..) {
                self.connections.serve(number, flags);
            }
            if rung || self.connections.is_owing() {
                self.connections.pass_on();
            }
            if asked {
                self.accept();
            }
            self.connections.tidy(Instant::now());
            self.dispatch();
        }
    }

    /// Waits for something to do; true for the bell, true for the listener.
    fn wait(&mut self, events: &mut VecDeque<(u64, PollFlags)>) -> (bool, bool) {
        let now = Instant::now();
        if self.not_before.is_some_and(|time| time <= now) {
            self.not_before = None;
        }
        let is_owing = self.connections.is_owing().then_some(Duration::ZERO);
        let timeout = (self.not_before.is_some() || self.connections.is_waiting()).then_some(ROUND);
        let timeout = is_owing.or(timeout).and_then(|time| Timespec::try_from(time).ok());
        let bell = PollFd::new(&self.far, PollFlags::IN);
        let listening = match self.not_before {
            None => PollFlags::IN,
            Some(_) => PollFlags::empty(),
        };
        let listener = PollFd::new(&self.listener, listening);
        let (numbers, watched) = self.connections.watched();
        let mut all: Vec<PollFd<'_>> = [bell, listener].into_iter().chain(watched).collect();
        if poll(&mut all, timeout.as_ref()).is_err() {
            // Interrupted, or the system is out of memory for a moment: nothing is lost by asking again.
            return (false, false);
        }
        let is_ready = |it: &PollFd<'_>| !it.revents().is_empty();
        let ready = numbers.iter().zip(&all[2..]).filter(|(_, it)| is_ready(it));
        events.extend(ready.map(|(number, it)| (*number, it.revents())));
        let (rung, asked) = (is_ready(&all[0]), is_ready(&all[1]));
        if rung {
            let mut sink = [0; 64];
            let _ = (&self.far).read(&mut sink);
            self.bell.rung.store(false, Ordering::Release);
        }
        (rung, asked)
    }

    fn take_answers(&mut self) {
        while let Ok(Done { connection, line, more }) = self.done.try_recv() {
            self.busy = false;
            self.connections.answer(connection, line, more);
        }
    }

    fn dispatch(&mut self) {
        if self.busy {
            return;
        }
        if let Some(job) = self.connections.next_request(Instant::now()) {
            self.busy = self.jobs.send(job).is_ok();
        }
    }

    fn accept(&mut self) {
        // A bounded share, so that who is connected gets a turn.
        for _ in 0..SHARE {
            match self.listener.accept() {
                Ok((stream, _)) => self.connections.add(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_exhausted(&error) => {
                    // One that lingers makes room for the next; where none does, the others' turn comes before new ones'.
                    let made_room = self.connections.make_room();
                    self.complain(&error, made_room);
                    if !made_room {
                        self.not_before = Some(Instant::now() + ROUND);
                        return;
                    }
                }
                // Who wanted to come is gone again.
                Err(_) => {}
            }
        }
    }

    /// Once in a while, because it would come again with each newcomer.
    fn complain(&mut self, error: &io::Error, made_room: bool) {
        if self.complained.is_some_and(|last| last.elapsed() < COMPLAINT_EVERY) {
            return;
        }
        self.complained = Some(Instant::now());
        let how = match made_room {
            true => "one that lingered was closed for a new one",
            false => "new ones wait",
        };
        let words = format!(
            "nflab: no descriptor is left for a further connection to the lab ({}): {how}; `ulimit -n` says how many there are\n",
            crate::lab::files::said_by_system(error)
        );
        // Nobody may read it.
        let _ = io::stderr().write_all(words.as_bytes());
    }
}

/// No descriptor or no memory, here or in the whole system.
fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Gives this thread a lower priority: on one processor, packets go first.
fn yield_to_packets(nice: i32) {
    #[cfg(target_os = "linux")]
    {
        // Whoever is not allowed to be nicer runs as before. No number means the calling thread, and the router's filter of calls allows no other.
        let as_it_is = rustix::process::getpriority_process(None).unwrap_or(0);
        let _ = rustix::process::setpriority_process(None, as_it_is + nice);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
}

/// How often what lingers is looked for.
const ROUND: Duration = Duration::from_millis(100);
/// Connections that are accepted before the others are looked at.
const SHARE: usize = 32;
const COMPLAINT_EVERY: Duration = Duration::from_secs(10);
/// Not so nice that whoever else keeps the processors busy leaves nothing for tools.
const CONTROL_NICE: i32 = 2;
const COMMANDS_NICE: i32 = 4;

#[cfg(test)]
mod tests;
