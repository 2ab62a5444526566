//! Clients of every kind at a server: those who ask, and those who only take up room.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;

/// A server at a socket of its own.
struct House {
    path: PathBuf,
    _server: Server,
}

impl House {
    fn open<S: Service>(bounds: Bounds, service: impl FnOnce(Waker) -> S) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("nflab-server-{}-{number}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        let server = Server::start(listener, Admitted::default(), bounds, service).unwrap();
        Self { path, _server: server }
    }

    fn echoing(bounds: Bounds) -> Self {
        Self::open(bounds, |_| echo)
    }

    fn client(&self) -> Guest {
        Guest(BufReader::new(UnixStream::connect(&self.path).unwrap()))
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Guest(BufReader<UnixStream>);

impl Guest {
    fn send(&mut self, text: &str) -> &mut Self {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
        self
    }

    /// The next answer, or nothing where the connection is closed.
    fn hear(&mut self) -> String {
        self.0.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(_) => line,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
            Err(error) => panic!("nothing is heard: {error}"),
        }
    }

    fn ask(&mut self, text: &str) -> String {
        self.send(text).hear()
    }
}

/// `big N` gives N bytes, anything else its own name.
fn echo(request: Request) -> Response {
    let size = request.args.first().and_then(|size| size.parse().ok());
    Response {
        stdout: match size {
            Some(size) if request.tool == "big" => "x".repeat(size),
            _ => format!("{} {}\n", request.tool, request.stdin.len()),
        },
        ..Response::default()
    }
}

fn small() -> Bounds {
    Bounds {
        connections: 8,
        connections_of_a_process: 8,
        request: 1 << 20,
        requests: 4 << 20,
        answer: 2 << 20,
        answers: 1 << 20,
        stale: Duration::from_millis(50),
        ..Bounds::default()
    }
}

/// For what has to come at last.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_conversation() {
    let house = House::echoing(Bounds::default());
    let mut guest = house.client();
    let answer = "{\"stdout\":\"x 0\\n\",\"stderr\":\"\",\"code\":0}\n";
    assert_eq!(guest.ask("{\"tool\":\"x\"}\n"), answer);
    assert!(guest.ask("nonsense\n").contains("this is not a request"));
    // Larger than any socket buffer, both in pieces and answered whole; two more stand in the line already.
    let stdin = "a".repeat(3 << 20);
    let all = format!("{{\"tool\":\"y\",\"stdin\":\"{stdin}\"}}\n{{\"tool\":\"x\"}}\n{{\"tool\":\"x\"}}");
    assert!(guest.ask(&all).contains(&format!("y {}", 3 << 20)));
    assert_eq!(guest.hear(), answer);
    guest.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(guest.hear(), answer, "the last line needs no end");
    assert_eq!(guest.hear(), "");
}

/// Texts that follow their line, each length told and kept or not.
#[test]
fn what_follows_a_line() {
    let house = House::echoing(small());
    let mut guest = house.client();
    let line = |behind: usize, said: usize| {
        format!("{{\"behind\":{behind},\"tool\":\"x\",\"stdin\":{{\"behind\":{said}}}}}\n")
    };
    // What looks like requests in a text is none, and the next request stands right behind it.
    let text = "{\"tool\":\"y\"}\n\n".repeat(10_000);
    let request = line(text.len(), text.len()) + &text;
    let answer = format!("{{\"stdout\":\"x {}\\n\",\"stderr\":\"\",\"code\":0}}\n", text.len());
    assert_eq!(guest.ask(&(request.clone() + &request)), answer);
    assert_eq!(guest.hear(), answer);
    for byte in request.as_bytes().chunks(97_001) {
        guest.0.get_mut().write_all(byte).unwrap();
    }
    assert_eq!(guest.hear(), answer);
    // A long answer comes the same way to who has said that it reads so.
    let said = guest.ask("{\"behind\":0,\"tool\":\"big\",\"args\":[\"2000\"]}\n");
    assert_eq!(said, "{\"behind\":2000,\"stderr\":\"\",\"code\":0}\n");
    let mut behind = vec![0; 2000];
    guest.0.read_exact(&mut behind).unwrap();
    assert_eq!(behind, [b'x'; 2000]);
    assert!(
        guest
            .ask(&(line(4, 3) + "abcd"))
            .contains("1 bytes behind the line belong to no text")
    );
    assert!(
        guest
            .ask(&(line(4, 5) + "abcd"))
            .contains("5 bytes of a text should follow")
    );
    assert_eq!(
        guest.ask("{\"tool\":\"x\"}\n"),
        "{\"stdout\":\"x 0\\n\",\"stderr\":\"\",\"code\":0}\n"
    );
    // An end before the end.
    guest.send(&(line(100, 100) + "abc"));
    guest.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    assert!(guest.hear().contains("100 bytes follow the line, and 3 do"));
    assert_eq!(guest.hear(), "");
    // Nobody waits for what may never come.
    for behind in [2 << 20, usize::MAX] {
        let mut guest = house.client();
        assert!(guest.ask(&line(behind, behind)).contains("a request of more than"));
        assert_eq!(guest.hear(), "");
    }
}

#[test]
fn empty_lines_are_refused_once() {
    let house = House::echoing(Bounds::default());
    let mut guest = house.client();
    // Not all of it may be taken: the connection is closed meanwhile.
    let _ = guest.0.get_mut().write_all("\n".repeat(1 << 20).as_bytes());
    assert!(guest.hear().contains("an empty line is no request"));
    assert_eq!(guest.hear(), "");
}

#[test]
fn who_does_not_read_is_not_read_from() {
    let house = House::echoing(small());
    let mut silent = house.client();
    silent.0.get_ref().set_nonblocking(true).unwrap();
    let request = "{\"tool\":\"big\",\"args\":[\"1000000\"]}\n";
    let (mut sent, until) = (0, Instant::now() + PATIENCE);
    // As much as fits between; then nothing more is taken, however long one waits.
    let mut still = 0;
    while still < 50 && Instant::now() < until {
        match silent.0.get_mut().write(request.as_bytes()) {
            Ok(written) => (sent, still) = (sent + written, 0),
            Err(_) => {
                still += 1;
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
    assert_eq!(still, 50);
    assert!(sent < 1 << 20, "{sent}");
    // Others are answered meanwhile.
    assert!(house.client().ask("{\"tool\":\"x\"}\n").contains("x 0"));
}

#[test]
fn answers_that_nobody_takes_make_room() {
    let house = House::echoing(small());
    let mut greedy: Vec<Guest> = (0..4).map(|_| house.client()).collect();
    for guest in &mut greedy {
        guest.send("{\"tool\":\"big\",\"args\":[\"1900000\"]}\n");
    }
    for _ in 0..3 {
        assert!(house.client().ask("{\"tool\":\"x\"}\n").contains("x 0"));
    }
    assert!(
        house
            .client()
            .ask("{\"tool\":\"big\",\"args\":[\"3000000\"]}\n")
            .contains("no more than 2 MB")
    );
}

#[test]
fn a_newcomer_gets_the_place_of_who_lingers() {
    let house = House::echoing(small());
    let mut halves: Vec<Guest> = (0..7).map(|_| house.client()).collect();
    let mut idle = house.client();
    assert!(idle.ask("{\"tool\":\"x\"}\n").contains("x 0"));
    for half in &mut halves {
        half.send("{\"tool\":\"ip");
        // So that it is known which came first.
        std::thread::sleep(Duration::from_millis(5));
    }
    let bounds = Bounds {
        connections_of_a_process: 100,
        ..small()
    };
    let crowded = House::echoing(bounds);
    let mut all: Vec<Guest> = (0..8).map(|_| crowded.client()).collect();
    for half in &mut all[..7] {
        half.send("{\"tool\":\"ip");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(all[7].ask("{\"tool\":\"x\"}\n").contains("x 0"));
    assert!(crowded.client().ask("{\"tool\":\"x\"}\n").contains("x 0"));
    assert!(
        all[0].hear().contains("its place is wanted by another"),
        "the oldest half goes"
    );
    assert!(
        all[7].ask("{\"tool\":\"x\"}\n").contains("x 0"),
        "not who waits for nothing"
    );
    assert!(all[6].ask("\"}\n").contains("ip 0"), "nor the newest half");
    // One process alone cannot fill a house.
    assert!(house.client().hear().contains("has 8 connections already"));
}

#[test]
fn requests_have_bounds_in_size_and_time() {
    let house = House::echoing(Bounds {
        pause: Duration::from_millis(100),
        ..small()
    });
    let mut endless = house.client();
    let _ = endless.0.get_mut().write_all(&vec![b'x'; 3 << 20]);
    assert!(endless.hear().contains("a request of more than"));
    assert_eq!(endless.hear(), "");
    let mut paused = house.client();
    paused.send("{\"tool\"");
    assert!(paused.hear().contains("did not come to its end"));
    assert_eq!(paused.hear(), "");
}

#[test]
fn unfinished_requests_have_a_bound_together() {
    let house = House::echoing(small());
    let mut halves: Vec<Guest> = (0..7).map(|_| house.client()).collect();
    for half in &mut halves {
        let _ = half.0.get_mut().write_all(&vec![b'x'; 900_000]);
    }
    assert!(halves[0].hear().contains("too much is asked of it at once"));
    let stdin = "a".repeat(500_000);
    assert!(
        house
            .client()
            .ask(&format!("{{\"tool\":\"y\",\"stdin\":\"{stdin}\"}}\n"))
            .contains("y 500000")
    );
}

/// Works for as long as somebody waits.
struct Tireless(std::sync::mpsc::Sender<bool>);

impl Service for Tireless {
    fn answer(&mut self, _: Request, asker: &Asker) -> Answer {
        let begun = Instant::now();
        let _ = self.0.send(asker.is_gone());
        while !asker.is_gone() && begun.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        let _ = self.0.send(asker.is_gone());
        Response::default().into()
    }
}

#[test]
fn what_takes_long_hears_that_its_asker_is_gone() {
    let (begun, states) = std::sync::mpsc::channel();
    let house = House::open(Bounds::default(), |_| Tireless(begun));
    let mut guest = house.client();
    guest.send("{\"tool\":\"x\"}\n");
    assert_eq!(states.recv_timeout(PATIENCE), Ok(false));
    drop(guest);
    assert_eq!(states.recv_timeout(2 * PATIENCE), Ok(true));
}

/// Owes whatever was asked for, over and over.
struct Parrot(Waker);

struct Words(String);

impl Service for Parrot {
    fn answer(&mut self, request: Request, _: &Asker) -> Answer {
        self.0.wake();
        Answer {
            response: Response::default(),
            more: Some(Box::new(Words(request.tool))),
        }
    }
}

impl Source for Words {
    fn next(&mut self) -> Option<Response> {
        Some(Response {
            stdout: self.0.repeat(10_000),
            ..Response::default()
        })
    }
}

#[test]
fn followers_get_one_answer_after_the_other_and_hold_up_nobody() {
    let bounds = Bounds {
        followers: 2,
        ..Bounds::default()
    };
    let house = House::open(bounds, Parrot);
    let mut sleeper = house.client();
    sleeper.send("{\"tool\":\"zzz\"}\n");
    let mut reader = house.client();
    assert_eq!(
        reader.ask("{\"tool\":\"abc\"}\n"),
        "{\"stdout\":\"\",\"stderr\":\"\",\"code\":0}\n"
    );
    for _ in 0..50 {
        assert!(reader.hear().starts_with("{\"stdout\":\"abcabc"));
    }
    assert!(
        house
            .client()
            .ask("{\"tool\":\"x\"}\n")
            .contains("2 connections follow it already")
    );
}

/// A long request stops no other thread than its own; and who waits is served by turns of processes, which are one here, so in order.
#[test]
fn requests_run_one_at_a_time_and_in_order() {
    let running = Arc::new(AtomicUsize::new(0));
    let house = House::open(Bounds::default(), |_| {
        move |request: Request| {
            assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
            std::thread::sleep(Duration::from_millis(if request.tool == "long" { 100 } else { 0 }));
            running.fetch_sub(1, Ordering::SeqCst);
            echo(request)
        }
    });
    let mut guests: Vec<Guest> = (0..10).map(|_| house.client()).collect();
    guests[0].send("{\"tool\":\"long\"}\n");
    for guest in &mut guests[1..] {
        guest.send("{\"tool\":\"short\"}\n");
    }
    for guest in &mut guests[1..] {
        assert!(guest.hear().contains("short 0"));
    }
    assert!(guests[0].hear().contains("long 0"));
}

#[test]
fn the_dead_are_buried() {
    let house = House::echoing(Bounds::default());
    for _ in 0..100 {
        let mut guest = house.client();
        guest.send("{\"tool\":\"big\",\"args\":[\"1000000\"]}\n");
        drop(guest);
    }
    let mut guest = house.client();
    assert!(
        guest.ask("{\"tool\":\"x\"}\n").contains("x 0"),
        "32 places of a process, and all are free again"
    );
    let mut rest = String::new();
    guest.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    guest.0.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

/// Nobody waits for a thread that is gone: who asked is told, and the next is answered.
#[test]
fn a_fault_of_ours_ends_one_call_only() {
    let house = House::open(small(), |_| {
        |request: Request| match request.tool.as_str() {
            "fault" => panic!("a fault that this test makes"),
            _ => echo(request),
        }
    });
    let mut guest = house.client();
    let told = guest.ask("{\"tool\":\"fault\"}\n");
    assert!(
        told.contains("ended this call of fault") && told.contains("\"code\":2"),
        "{told}"
    );
    assert!(guest.ask("{\"tool\":\"next\"}\n").contains("next 0"));
}
