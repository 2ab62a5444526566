//! Who follows the packets of a live lab, and what each is owed.
//!
//! While nobody follows, packets pass unobserved. A follower has a queue of so many stories; one that reads too slowly is told how many it missed,
//! and holds up nobody: a story is made into text only when its reader has taken the one before.

use std::collections::VecDeque;
use std::sync::Arc;

use super::control::{Request, Response};
use crate::base::InterfaceName;
use crate::explain::filter::{Filter, Subject};
use crate::explain::story::{Detail, Story};

#[derive(Debug, Default)]
pub struct Followers(Vec<Follower>);

#[derive(Debug)]
struct Follower {
    connection: u64,
    /// `None`: every packet.
    filter: Option<Filter>,
    form: Form,
    queue: VecDeque<Owed>,
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
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `trace --follow [FILTER] [--json | --short] [--colour]`: the answer, whether it is followed from now on or refused.
    pub fn add(&mut self, connection: u64, request: &Request) -> Response {
        let mut filter = None;
        let mut form = Form::Text {
            detail: Detail::Whole,
            styled: request.args.iter().any(|arg| arg == "--colour"),
        };
        let mut args = request.args.iter();
        if args.next().map(String::as_str) != Some("--follow") {
            return refusal("a running lab can only be followed: nflab trace --follow [FILTER]");
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
                    return refusal(&format!(
                        "`{option}` is no option of `trace --follow`: expected --json, --short or --colour"
                    ));
                }
                text => match Filter::parse(text) {
                    Ok(read) => filter = Some(read),
                    Err(error) => return Response::failure(2, format!("{error}\n")),
                },
            }
        }
        self.remove(connection);
        self.0.push(Follower {
            connection,
            filter,
            form,
            queue: VecDeque::new(),
        });
        Response::default()
    }

    pub fn remove(&mut self, connection: u64) {
        self.0.retain(|follower| follower.connection != connection);
    }

    /// Whether anybody might want to hear of a packet, before it is known what becomes of it.
    pub fn may_want(&self, packet: &[u8], input: Option<InterfaceName>) -> bool {
        let may = |filter: &Filter| filter.may_fit(packet, input);
        self.0.iter().any(|follower| follower.filter.as_ref().is_none_or(may))
    }

    /// A packet has passed.
    pub fn tell(&mut self, subject: &Subject<'_>, story: Story) {
        let story = Arc::new(story);
        for follower in &mut self.0 {
            if follower.filter.as_ref().is_none_or(|filter| filter.fits(subject)) {
                follower.owe(Arc::clone(&story));
            }
        }
    }

    /// The next thing that a connection is owed.
    pub fn owed(&mut self, connection: u64) -> Option<Response> {
        let follower = self.0.iter_mut().find(|it| it.connection == connection)?;
        let mut response = Response::default();
        match follower.queue.pop_front()? {
            Owed::Story(story) => {
                response.stdout = match follower.form {
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

impl Follower {
    fn owe(&mut self, story: Arc<Story>) {
        let length = self.queue.len();
        match self.queue.back_mut() {
            // Once some were left out, half of the queue is awaited, so that what follows is of one piece.
            Some(Owed::LeftOut(count)) if length > LONGEST_QUEUE / 2 => *count += 1,
            _ if length < LONGEST_QUEUE => self.queue.push_back(Owed::Story(story)),
            _ => self.queue.push_back(Owed::LeftOut(1)),
        }
    }
}

fn refusal(message: &str) -> Response {
    Response::failure(2, format!("nflab: {message}\n"))
}

/// Packets; some kilobytes each.
const LONGEST_QUEUE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

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
        let mut followers = Followers::default();
        assert_eq!(followers.add(1, &request(&["--follow"])).code, 0);
        assert!(followers.may_want(&[], None));
        for _ in 0..LONGEST_QUEUE + 10 {
            followers.tell(&subject(&[]), Story::default());
        }
        for _ in 0..LONGEST_QUEUE {
            assert_eq!(followers.owed(1).unwrap().stderr, "");
        }
        let missed = followers.owed(1).unwrap().stderr;
        assert!(missed.starts_with("nflab: 10 packets were left out"), "{missed}");
        assert!(followers.owed(1).is_none());
        followers.tell(&subject(&[]), Story::default());
        assert!(followers.owed(1).is_some());
        followers.remove(1);
        assert!(followers.is_empty());
    }

    #[test]
    fn each_hears_what_fits_its_filter() {
        let mut followers = Followers::default();
        followers.add(1, &request(&["--follow", "tcp"]));
        followers.add(2, &request(&["--follow", "not tcp", "--json"]));
        followers.tell(&subject(&[0; 20]), Story::default());
        assert!(followers.owed(1).is_none());
        assert!(followers.owed(2).unwrap().stdout.starts_with("{\"number\":0,"));
        assert!(followers.owed(3).is_none());
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let mut followers = Followers::default();
        for (args, expected) in [
            (&["lan tcp"][..], "a running lab can only be followed"),
            (&["--follow", "--svg"], "`--svg` is no option"),
            (&["--follow", "tcp dprt 8"], "did you mean `dport`?"),
        ] {
            let response = followers.add(1, &request(args));
            assert_eq!(response.code, 2);
            assert!(response.stderr.contains(expected), "{}", response.stderr);
        }
        assert!(followers.is_empty());
    }
}
