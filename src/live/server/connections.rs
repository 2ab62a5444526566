//! The connections of a [`Server`](super::Server), and what each has still to be read, answered and written.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};

use super::{Admitted, Bounds, Job, Source};
use crate::lab::request::{Asker, Response};
use crate::live::control::frame::length_behind;
use crate::live::control::{busy, line_of, too_long};

pub(super) struct Connections {
    all: BTreeMap<u64, Connection>,
    next: u64,
    admitted: Admitted,
    bounds: Bounds,
    /// Those with a whole request, in the order in which it came.
    ready: VecDeque<u64>,
    /// When a process was served last, in turns.
    served: HashMap<i32, u64>,
    turn: u64,
    /// Answers stand in the way of the next request.
    is_held_up: bool,
    /// A follower could be given more at once.
    is_owing: bool,
    chunk: Box<[u8]>,
}

struct Connection {
    stream: UnixStream,
    /// Whose it is; 0 where the system does not tell.
    process: i32,
    input: Vec<u8>,
    /// How much of `input` is answered already.
    taken: usize,
    /// How far `input` is known to hold no end of the next request's line.
    searched: usize,
    /// When the unfinished request began.
    begun: Option<Instant>,
    output: Vec<u8>,
    written: usize,
    /// When anything was read or written last.
    moved: Instant,
    /// A request waits for its answer.
    asked: bool,
    asker: Asker,
    source: Option<Box<dyn Source>>,
    /// Nothing more comes from there.
    ended: bool,
    /// It goes once its output is written.
    closing: bool,
}

impl Connections {
    pub(super) fn new(admitted: Admitted, bounds: Bounds) -> Self {
        Self {
            all: BTreeMap::new(),
            next: 0,
            admitted,
            bounds,
            ready: VecDeque::new(),
            served: HashMap::new(),
            turn: 0,
            is_held_up: false,
            is_owing: false,
            chunk: vec![0; CHUNK].into(),
        }
    }

    /// Each with what is waited for.
    pub(super) fn watched(&self) -> (Vec<u64>, impl Iterator<Item = PollFd<'_>>) {
        let watched = self.all.values().map(|it| PollFd::new(&it.stream, it.wanted()));
        (self.all.keys().copied().collect(), watched)
    }

    /// Whether anything may become too late.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_held_up || self.all.values().any(|it| it.begun.is_some() || it.unsent() > 0)
    }

    pub(super) fn is_owing(&self) -> bool {
        self.is_owing
    }

    /// Takes a newcomer in, or tells it why not.
    pub(super) fn add(&mut self, stream: UnixStream) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let Some((process, user)) = peer(&stream) else {
            return;
        };
        if !self.admitted.admits(user) {
            let words = format!("nflab: this lab answers its owner and root, not the user {user}\n");
            return tell(&stream, &Response::failure(4, words));
        }
        let siblings = self.all.values().filter(|it| it.process == process).count();
        if siblings >= self.bounds.connections_of_a_process {
            return tell(
                &stream,
                &busy(&format!("process {process} has {siblings} connections already")),
            );
        }
        if self.all.len() >= self.bounds.connections && !self.make_room() {
            return tell(&stream, &busy("every connection is in use"));
        }
        let number = self.next;
        self.next += 1;
        // A newcomer waits its turn like the others.
        self.served.entry(process).or_insert(self.turn);
        self.all.insert(number, Connection::new(stream, process));
        // A request that came with it is taken before its place may be wanted by another.
        self.serve(number, PollFlags::IN);
    }

    /// Reads, takes what was asked, and writes, as far as that goes without waiting.
    pub(super) fn serve(&mut self, number: u64, flags: PollFlags) {
        let Some(connection) = self.all.get_mut(&number) else {
            return;
        };
        let is_gone = flags.intersects(PollFlags::ERR | PollFlags::NVAL)
            // It hung up while nothing is read from it: there is nobody to answer.
            || flags.contains(PollFlags::HUP) && !connection.wanted().contains(PollFlags::IN);
        if is_gone || flags.contains(PollFlags::IN) && connection.read(&mut self.chunk, self.bounds.request).is_err() {
            return self.remove(number);
        }
        self.go_on(number);
        self.bound_requests();
    }

    /// The answer to a request has come.
    pub(super) fn answer(&mut self, number: u64, line: Vec<u8>, more: Option<Box<dyn Source>>) {
        let followers = self.all.values().filter(|it| it.source.is_some()).count();
        let Some(connection) = self.all.get_mut(&number) else {
            return;
        };
        connection.asked = false;
        connection.moved = Instant::now();
        match more {
            Some(_) if followers >= self.bounds.followers && connection.source.is_none() => {
                connection.say(&busy(&format!("{followers} connections follow it already")));
            }
            Some(more) => {
                connection.source = Some(more);
                connection.put(line);
            }
            None => connection.put(line),
        }
        self.go_on(number);
    }

    /// Gives followers what there is for them.
    pub(super) fn pass_on(&mut self) {
        self.is_owing = false;
        let following = self.all.iter().filter(|(_, it)| it.source.is_some());
        let numbers: Vec<u64> = following.map(|(number, _)| *number).collect();
        for number in numbers {
            self.go_on(number);
        }
    }

    /// The request to be answered next: of the process that was served longest ago, the first. `None` where there is none, or answers that
    /// nobody takes are in the way.
    pub(super) fn next_request(&mut self, now: Instant) -> Option<Job> {
        self.is_held_up = !self.ready.is_empty() && !self.bound_answers(now);
        if self.is_held_up {
            return None;
        }
        let last_served = |number: &u64| {
            let process = self.all.get(number).map(|it| it.process);
            process.and_then(|process| self.served.get(&process)).copied()
        };
        let (at, _) = self
            .ready
            .iter()
            .enumerate()
            .min_by_key(|(_, number)| last_served(number))?;
        let number = self.ready.remove(at)?;
        let connection = self.all.get_mut(&number)?;
        self.turn += 1;
        self.served.insert(connection.process, self.turn);
        Some(Job {
            connection: number,
            line: connection.take_line(),
            asker: connection.asker.clone(),
        })
    }

    /// Closes one that lingers: an unfinished request, the oldest first, else one that asks nothing, of the process that has most. False where
    /// there is none.
    pub(super) fn make_room(&mut self) -> bool {
        let now = Instant::now();
        let mut of_process: HashMap<i32, usize> = HashMap::new();
        for connection in self.all.values() {
            *of_process.entry(connection.process).or_default() += 1;
        }
        let lingers = |it: &Connection| {
            let is_stale = now.saturating_duration_since(it.moved) >= self.bounds.stale;
            !it.asked && it.source.is_none() && (it.unsent() == 0 || is_stale)
        };
        let rank = |it: &Connection| {
            let siblings = of_process.get(&it.process).copied().unwrap_or(0);
            match it.begun {
                Some(begun) => (0, 0, begun),
                None => (1, usize::MAX - siblings, it.moved),
            }
        };
        let found = self
            .all
            .iter()
            .filter(|(_, it)| lingers(it))
            .min_by_key(|(_, it)| rank(it));
        let number = found.map(|(number, _)| *number);
        number.is_some_and(|number| {
            self.turn_away(number, "its place is wanted by another, who waits");
            true
        })
    }

    /// Closes what takes too long.
    pub(super) fn tidy(&mut self, now: Instant) {
        let since = |time: Instant| now.saturating_duration_since(time);
        let late = self.all.iter().filter_map(|(number, it)| {
            let is_late = |begun| since(begun) > self.bounds.patience || since(it.moved) > self.bounds.pause;
            let unfinished = !it.asked && it.unsent() == 0 && it.begun.is_some_and(is_late);
            // A follower may look away for as long as it likes, since it is owed no more than one answer.
            let untaken = it.unsent() > 0 && it.source.is_none() && since(it.moved) > self.bounds.patience;
            (unfinished || untaken).then_some((*number, unfinished))
        });
        let late: Vec<(u64, bool)> = late.collect();
        for (number, unfinished) in late {
            match unfinished {
                true => self.turn_away(number, "the request did not come to its end"),
                false => self.remove(number),
            }
        }
    }

    /// Goes on with one as far as it goes without waiting.
    fn go_on(&mut self, number: u64) {
        let Some(connection) = self.all.get_mut(&number) else {
            return;
        };
        let mut is_well = connection.write().is_ok();
        for given in 0..=SHARE {
            if !is_well || connection.unsent() > 0 || connection.source.is_none() {
                break;
            }
            if given == SHARE {
                self.is_owing = true;
                break;
            }
            let Some(response) = connection.source.as_mut().and_then(|source| source.next()) else {
                break;
            };
            connection.put(line_of(&response));
            is_well = connection.write().is_ok();
        }
        if is_well && connection.unsent() == 0 && !connection.asked && !connection.closing {
            match connection.request(self.bounds.request) {
                Found::Request => {
                    connection.asked = true;
                    self.ready.push_back(number);
                }
                Found::Refused(response) => {
                    connection.say(&response);
                    connection.closing = true;
                    is_well = connection.write().is_ok();
                }
                Found::Nothing => connection.closing = connection.ended,
            }
        }
        if !is_well || connection.closing && connection.unsent() == 0 {
            self.remove(number);
        }
    }

    /// Where all unanswered requests together are too many bytes, the oldest that is unfinished goes, of a process that has most of them if one
    /// has.
    fn bound_requests(&mut self) {
        while self.all.values().map(|it| it.input.capacity()).sum::<usize>() > self.bounds.requests {
            let mut of_process: HashMap<i32, usize> = HashMap::new();
            for connection in self.all.values() {
                *of_process.entry(connection.process).or_default() += connection.input.capacity();
            }
            let hog = of_process.iter().find(|(_, bytes)| **bytes > self.bounds.requests / 2);
            let hog = hog.map(|(process, _)| *process);
            let holding = self.all.iter().filter(|(_, it)| it.input.capacity() > 0);
            let rank = |it: &Connection| {
                (
                    hog.is_some_and(|hog| it.process != hog),
                    it.asked,
                    it.begun.unwrap_or(it.moved),
                )
            };
            let Some(number) = holding.min_by_key(|(_, it)| rank(it)).map(|(number, _)| *number) else {
                return;
            };
            self.turn_away(number, "too much is asked of it at once");
        }
    }

    /// False where answers that may yet be taken are too many bytes; who has not taken its own for a while is closed.
    fn bound_answers(&mut self, now: Instant) -> bool {
        loop {
            if self.all.values().map(Connection::unsent).sum::<usize>() <= self.bounds.answers {
                return true;
            }
            let stale = self
                .all
                .iter()
                .filter(|(_, it)| it.unsent() > 0 && now.saturating_duration_since(it.moved) >= self.bounds.stale);
            let Some(number) = stale.max_by_key(|(_, it)| it.unsent()).map(|(number, _)| *number) else {
                return false;
            };
            self.remove(number);
        }
    }

    /// Tells one why, if it listens, and closes it.
    fn turn_away(&mut self, number: u64, why: &str) {
        if let Some(connection) = self.all.get(&number).filter(|it| it.unsent() == 0) {
            tell(&connection.stream, &busy(why));
        }
        self.remove(number);
    }

    fn remove(&mut self, number: u64) {
        let Some(connection) = self.all.remove(&number) else {
            return;
        };
        connection.asker.hang_up();
        self.ready.retain(|it| *it != number);
        if !self.all.values().any(|it| it.process == connection.process) {
            self.served.remove(&connection.process);
        }
    }
}

/// What stands at the front of what came.
enum Found {
    Request,
    Refused(Response),
    Nothing,
}

impl Connection {
    fn new(stream: UnixStream, process: i32) -> Self {
        Self {
            stream,
            process,
            input: Vec::new(),
            taken: 0,
            searched: 0,
            begun: None,
            output: Vec::new(),
            written: 0,
            moved: Instant::now(),
            asked: false,
            asker: Asker::default(),
            source: None,
            ended: false,
            closing: false,
        }
    }

    fn unsent(&self) -> usize {
        self.output.len() - self.written
    }

    /// Who has an answer to take, or waits for one, is not read from.
    fn wanted(&self) -> PollFlags {
        match (self.unsent() > 0, self.asked || self.ended || self.closing) {
            (true, _) => PollFlags::OUT,
            (false, true) => PollFlags::empty(),
            (false, false) => PollFlags::IN,
        }
    }

    /// A bounded share of what has come, and no further than to the end of a request.
    fn read(&mut self, chunk: &mut [u8], longest: usize) -> io::Result<()> {
        for _ in 0..SHARE {
            if !self.wanted().contains(PollFlags::IN) || self.end_of_request().is_some() || self.input.len() > longest {
                return Ok(());
            }
            match self.stream.read(chunk) {
                Ok(0) => self.ended = true,
                Ok(read) => {
                    if self.taken > 0 {
                        self.input.drain(..self.taken);
                        self.searched -= self.taken;
                        self.taken = 0;
                    }
                    if self.input.len() + read > self.input.capacity() {
                        // Less than twice as much, since what is set aside counts too.
                        self.input.reserve_exact((self.input.len() / 2).max(read));
                    }
                    self.input.extend_from_slice(&chunk[..read]);
                    self.moved = Instant::now();
                    self.begun.get_or_insert(self.moved);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> Option<usize> {
        let end = self.input[self.searched..].iter().position(|byte| *byte == b'\n');
        match end {
            Some(end) => {
                self.searched += end;
                Some(self.searched)
            }
            None => {
                self.searched = self.input.len();
                None
            }
        }
    }

    /// Where the next request ends, with what follows its line; `None` where not all of it is here.
    fn end_of_request(&mut self) -> Option<usize> {
        let end = self.end_of_line()? + 1;
        let whole = end.saturating_add(length_behind(&self.input[self.taken..end]));
        (whole <= self.input.len()).then_some(whole)
    }

    fn request(&mut self, longest: usize) -> Found {
        let end_of_line = self.end_of_line();
        let behind = end_of_line.map_or(0, |end| length_behind(&self.input[self.taken..end]));
        match self.end_of_request() {
            Some(_) => {}
            // The last one needs no end of its line.
            None if self.ended => {}
            None if behind.max(self.input.len() - self.taken) > longest => return Found::Refused(too_long()),
            None => {
                if self.taken == self.input.len() {
                    self.begun = None;
                    self.empty();
                }
                return Found::Nothing;
            }
        }
        let end = end_of_line.unwrap_or(self.input.len());
        let line = &self.input[self.taken..end];
        if line.iter().all(u8::is_ascii_whitespace) {
            // A megabyte of newlines would be a million refusals.
            return match self.ended && line.is_empty() && end == self.input.len() {
                true => Found::Nothing,
                false => Found::Refused(Response::failure(
                    2,
                    "nflab: an empty line is no request; nothing more is read here\n",
                )),
            };
        }
        self.begun = None;
        Found::Request
    }

    /// The request that [`Self::request`] found.
    fn take_line(&mut self) -> Vec<u8> {
        let end = self.end_of_request().unwrap_or(self.input.len());
        if self.taken == 0 && end > CHUNK {
            let rest = self.input.split_off(end);
            self.searched = 0;
            self.begun = (!rest.is_empty()).then(Instant::now);
            return std::mem::replace(&mut self.input, rest);
        }
        // Many short ones are not moved for each.
        let line = self.input[self.taken..end].to_vec();
        (self.taken, self.searched) = (end, end);
        if self.taken == self.input.len() {
            self.empty();
        } else {
            self.begun = Some(Instant::now());
        }
        line
    }

    fn empty(&mut self) {
        (self.input, self.taken, self.searched) = (Vec::new(), 0, 0);
    }

    fn say(&mut self, response: &Response) {
        self.put(line_of(response));
    }

    fn put(&mut self, line: Vec<u8>) {
        if self.unsent() == 0 {
            (self.output, self.written) = (line, 0);
        } else {
            self.output.extend(line);
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while self.unsent() > 0 {
            match self.stream.write(&self.output[self.written..]) {
                Ok(written) => {
                    self.written += written;
                    self.moved = Instant::now();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        (self.output, self.written) = (Vec::new(), 0);
        Ok(())
    }
}

impl Admitted {
    fn admits(self, user: u32) -> bool {
        match self {
            Self::Owner => user == 0 || user == rustix::process::geteuid().as_raw(),
            Self::Everybody => true,
        }
    }
}

/// The process and the user at the other end.
fn peer(stream: &UnixStream) -> Option<(i32, u32)> {
    #[cfg(target_os = "linux")]
    {
        let peer = rustix::net::sockopt::socket_peercred(stream).ok()?;
        Some((rustix::process::Pid::as_raw(Some(peer.pid)), peer.uid.as_raw()))
    }
    // Elsewhere labs are in memory only, and their sockets in a directory that nobody else can enter.
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        Some((0, rustix::process::geteuid().as_raw()))
    }
}

/// Says one thing to somebody who will not be heard; it fits into any socket's buffer.
fn tell(mut stream: &UnixStream, response: &Response) {
    let _ = stream.write(&line_of(response));
}

const CHUNK: usize = 64 << 10;
/// Chunks that are read of one request, and stories that one follower gets, before the others have their turn.
const SHARE: usize = 16;
