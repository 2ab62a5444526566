//! Who follows the packets of a live lab, and what each is owed.
//!
//! While nobody follows, packets pass unobserved. A follower has a queue of so many stories; one that reads too slowly is told how many it missed,
//! and holds up nobody: a story is made into text only when its reader has taken the one before.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use crate::base::InterfaceName;
use crate::explain::filter::{Filter, Names, Subject};
use crate::explain::story::{Detail, Story};
use crate::lab::conversation::Hosts;
use crate::lab::request::{Answer, Request, Response, Source, Waker};

/// All followers of a lab; its clones are handles on the same ones. Packets are told in one thread, followers come, read and go in others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Followers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Lets a packet pass without a look at the lock where nobody follows.
    count: AtomicUsize,
    all: Mutex<Vec<Arc<Follower>>>,
    waker: OnceLock<Waker>,
}

#[derive(Debug)]
struct Follower {
    /// `None`: every packet.
    filter: Option<Filter>,
    form: Form,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    owed: VecDeque<Owed>,
    /// Bytes of the stories in it.
    weight: usize,
}

/// What a connection that follows holds; it follows for as long.
struct Following {
    follower: Arc<Follower>,
    followers: Followers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text { detail: Detail, styled: bool },
    Json,
}

#[derive(Debug)]
enum Owed {
    Story(Arc<Story>),
    /// So many packets passed while the queue was full.
    LeftOut(u64),
}

impl Followers {
    /// Whom to tell that something is owed.
    pub(crate) fn set_waker(&self, waker: Waker) {
        // A lab is served at one socket.
        let _ = self.0.waker.set(waker);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.count.load(Ordering::Acquire) == 0
    }

    /// `trace --follow [FILTER] [--json | --short] [--colour]`: the answer, whether it is followed from now on or refused.
    pub(crate) fn add(&self, request: &Request, hosts: &Hosts) -> Answer {
        match self.read(request, hosts) {
            Err(refused) => refused.into(),
            Ok(follower) => {
                let follower = Arc::new(follower);
                let mut all = self.0.all.lock();
                all.push(Arc::clone(&follower));
                self.0.count.store(all.len(), Ordering::Release);
                drop(all);
                Answer {
                    response: Response::default(),
                    more: Some(Box::new(Following {
                        follower,
                        followers: self.clone(),
                    })),
                }
            }
        }
    }

    fn read(&self, request: &Request, hosts: &Hosts) -> Result<Follower, Response> {
        let mut filter = None;
        let mut form = Form::Text {
            detail: Detail::Whole,
            styled: request.args.iter().any(|arg| arg == "--colour"),
        };
        let mut args = request.args.iter();
        if args.next().map(String::as_str) != Some("--follow") {
            return Err(refusal(
                "a running lab can only be followed: nflab trace --follow [FILTER]",
            ));
        }
        for arg in args {
            match arg.as_str() {
                "--json" => form = Form::Json,
                "--short" => {
                    if let Form::Text { detail, .. } = &mut form {
                        *detail = Detail::Short;
                    }
                }
                "--colour" | "" => {}
                option if option.starts_with('-') => {
                    return Err(refusal(&format!(
                        "`{option}` is no option of `trace --follow`: expected --json, --short or --colour"
                    )));
                }
                text => {
                    let names = Names {
                        addresses_of: &|name| {
                            hosts
                                .get(name)
                                .map_or_else(Vec::new, |host| host.addresses.all().collect())
                        },
                        is_interface: &|name| hosts.has_interface(name),
                    };
                    match Filter::parse_among(text, &names) {
                        Ok(read) => filter = Some(read),
                        Err(error) => return Err(Response::failure(2, format!("{error}\n"))),
                    }
                }
            }
        }
        Ok(Follower {
            filter,
            form,
            queue: Mutex::default(),
        })
    }

    /// Whether anybody might want to hear of a packet, before it is known what becomes of it.
    pub(crate) fn may_want(&self, packet: &[u8], input: Option<InterfaceName>) -> bool {
        let may = |filter: &Filter| filter.may_fit(packet, input);
        let all = self.0.all.lock();
        all.iter().any(|follower| follower.filter.as_ref().is_none_or(may))
    }

    /// A packet has passed.
    pub(crate) fn tell(&self, subject: &Subject<'_>, story: Story) {
        let story = Arc::new(story);
        let mut anybody = false;
        for follower in self.0.all.lock().iter() {
            if follower.filter.as_ref().is_none_or(|filter| filter.fits(subject)) {
                follower.owe(Arc::clone(&story));
                anybody = true;
            }
        }
        if let Some(waker) = self.0.waker.get().filter(|_| anybody) {
            waker.wake();
        }
    }
}

impl Source for Following {
    fn next(&mut self) -> Option<Response> {
        let owed = self.follower.queue.lock().next()?;
        let mut response = Response::default();
        match owed {
            Owed::Story(story) => {
                response.stdout = match self.follower.form {
                    Form::Json => story.account().json() + "\n",
                    Form::Text { detail, styled: true } => story.render_styled(detail),
                    Form::Text { detail, styled: false } => story.render(detail),
                };
            }
            Owed::LeftOut(count) => {
                let packets = if count == 1 { "packet was" } else { "packets were" };
                response.stderr =
                    format!("nflab: {count} {packets} left out here: they passed faster than this is read\n");
            }
        }
        Some(response)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut all = self.followers.0.all.lock();
        all.retain(|follower| !Arc::ptr_eq(follower, &self.follower));
        self.followers.0.count.store(all.len(), Ordering::Release);
    }
}

impl Follower {
    fn owe(&self, story: Arc<Story>) {
        let mut queue = self.queue.lock();
        let Queue { owed, weight } = &mut *queue;
        let length = owed.len();
        let is_half_full = length > LONGEST_QUEUE / 2 || *weight > HEAVIEST_QUEUE / 2;
        match owed.back_mut() {
            // Once some were left out, half of the queue is awaited, so that what follows is of one piece.
            Some(Owed::LeftOut(count)) if is_half_full => *count += 1,
            _ if length < LONGEST_QUEUE && *weight < HEAVIEST_QUEUE => {
                *weight += story.weight();
                owed.push_back(Owed::Story(story));
            }
            _ => owed.push_back(Owed::LeftOut(1)),
        }
    }
}

impl Queue {
    fn next(&mut self) -> Option<Owed> {
        let owed = self.owed.pop_front()?;
        if let Owed::Story(story) = &owed {
            self.weight -= story.weight();
        }
        Some(owed)
    }
}

fn refusal(message: &str) -> Response {
    Response::failure(2, format!("nflab: {message}\n"))
}

/// Packets; some kilobytes each.
const LONGEST_QUEUE: usize = 256;
/// Bytes, where packets come to very many rules.
const HEAVIEST_QUEUE: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Event, Observer};

    fn request(args: &[&str]) -> Request {
        Request {
            tool: "trace".into(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..Request::default()
        }
    }

    fn subject(packet: &[u8]) -> Subject<'_> {
        Subject {
            packet,
            input: None,
            outcome: None,
        }
    }

    #[test]
    fn a_slow_reader_hears_how_many_it_missed() {
        let followers = Followers::default();
        let mut following = followers.add(&request(&["--follow"]), &Hosts::default()).more.unwrap();
        assert!(followers.may_want(&[], None));
        for _ in 0..LONGEST_QUEUE + 10 {
            followers.tell(&subject(&[]), Story::default());
        }
        for _ in 0..LONGEST_QUEUE {
            assert_eq!(following.next().unwrap().stderr, "");
        }
        let missed = following.next().unwrap().stderr;
        assert!(missed.starts_with("nflab: 10 packets were left out"), "{missed}");
        assert!(following.next().is_none());
        followers.tell(&subject(&[]), Story::default());
        assert!(following.next().is_some());
        assert!(!followers.is_empty());
        drop(following);
        assert!(followers.is_empty());
    }

    /// A packet may come to very many rules: some such stories fill the queue as many small ones do.
    #[test]
    fn a_queue_is_bounded_in_bytes_too() {
        let followers = Followers::default();
        let mut following = followers.add(&request(&["--follow"]), &Hosts::default()).more.unwrap();
        let heavy = || {
            let mut story = Story::default();
            story.see(Event::Sent {
                interface: InterfaceName::default(),
                packet: &vec![0; HEAVIEST_QUEUE / 2],
            });
            story
        };
        for _ in 0..5 {
            followers.tell(&subject(&[]), heavy());
        }
        assert!(following.next().unwrap().stderr.is_empty());
        assert!(following.next().unwrap().stderr.is_empty());
        let missed = following.next().unwrap().stderr;
        assert!(missed.starts_with("nflab: 3 packets were left out"), "{missed}");
        followers.tell(&subject(&[]), heavy());
        assert!(following.next().unwrap().stderr.is_empty());
    }

    #[test]
    fn each_hears_what_fits_its_filter() {
        let followers = Followers::default();
        let mut tcp = followers
            .add(&request(&["--follow", "tcp"]), &Hosts::default())
            .more
            .unwrap();
        let mut other = followers
            .add(&request(&["--follow", "not tcp", "--json"]), &Hosts::default())
            .more
            .unwrap();
        followers.tell(&subject(&[0; 20]), Story::default());
        assert!(tcp.next().is_none());
        assert!(other.next().unwrap().stdout.starts_with("{\"number\":0,"));
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let followers = Followers::default();
        for (args, expected) in [
            (&["lan tcp"][..], "a running lab can only be followed"),
            (&["--follow", "--svg"], "`--svg` is no option"),
            (&["--follow", "tcp dprt 8"], "did you mean `dport`?"),
            (&["--follow", "in nix"], "the lab has no interface `nix`"),
            (&["--follow", "not out nix"], "the lab has no interface `nix`"),
        ] {
            let answer = followers.add(&request(args), &Hosts::default());
            assert_eq!(answer.response.code, 2);
            assert!(answer.more.is_none());
            assert!(answer.response.stderr.contains(expected), "{}", answer.response.stderr);
        }
        assert!(followers.is_empty());
    }
}
