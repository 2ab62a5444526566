//! PPTP (RFC 2637): over a connection to port 1723 a client and a server open a session, and calls in it; what a call carries goes by GRE, whose packets
//! name their receiver's number of the call.
//!
//! Seen on Linux 6.18:
//! - a segment is read if a message begins with it, and is whole: as long as its kind is; what comes behind it is not read. Who opened the connection
//!   is taken for the client; what does not fit what was said before is not read;
//! - when a call stands, GRE with both numbers is expected from either end, from whom it comes first. It ends with the call, when the server says
//!   so, and with the connection;
//! - under NAT the client's number of a call that it asks for becomes the port that the connection has outside, so that calls of two clients are
//!   told apart. A call that the server asks for has no such number, and the client is told 0. All this whichever end NAT changes.

mod message;
mod samples;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::announce::{Reading, Wish};
use super::{Announced, DropReason, HeardWhat, Helper, HelperSpec};
use crate::base::{Family, protocol};
use crate::conntrack::{ConntrackHelper, CtState, Direction, ExpectPolicy, HelperData, Tuple};
use message::{Kind, Message};

pub(super) static SPEC: HelperSpec = HelperSpec {
    modules: &["nf_conntrack_pptp", "ip_conntrack_pptp"],
    nat_modules: &["nf_nat_pptp", "ip_nat_pptp"],
    parameters: &[],
    nat_parameters: &[],
    helpers: &[Helper {
        conntrack: ConntrackHelper {
            name: "pptp",
            families: &[Family::V4],
            protocol: protocol::TCP,
            ports: &[1723],
            policies: &[ExpectPolicy {
                name: "",
                max_expected: 2,
                timeout: Duration::from_secs(300),
            }],
        },
        samples: samples::SAMPLES,
        believes: false,
        lasts_as_told: false,
        read: run,
    }],
    about: "calls that a client and a server of PPTP agree on; what they carry comes by GRE, from either end",
};

fn run(reading: &mut Reading<'_, '_>) -> Result<HeardWhat, DropReason> {
    // Also of a connection that never says anything.
    reading.remember(|_: &mut Session| {});
    if reading.tracking.state != Some(CtState::Established) {
        return Ok(HeardWhat::TooEarly);
    }
    if reading.payload().is_empty() {
        return Ok(HeardWhat::NoData);
    }
    let Some(message) = message::read(reading.payload()) else {
        return Ok(HeardWhat::NoCommand);
    };
    let before = reading.remembered::<Session>();
    let mut session = before;
    let fits = match reading.direction() {
        Direction::Original => session.client_says(&message),
        Direction::Reply => session.server_says(&message),
    };
    let Some(then) = fits else {
        return Ok(HeardWhat::OutOfTurn);
    };
    let is_under_nat = reading.is_under_nat();
    if is_under_nat && message.kind == Kind::OutgoingCallRequest {
        session.clients_own = session.client;
        session.client = reading.tuple(Direction::Reply).destination.id;
    }
    let heard = match then {
        Then::Nothing => HeardWhat::NoCommand,
        Then::CallEnds => {
            reading.end_what_goes_along();
            HeardWhat::CallOver
        }
        Then::CallStands => {
            if is_under_nat {
                session.servers_own = session.server;
            }
            match expect(reading, &session, is_under_nat) {
                Some(announced) => HeardWhat::Announced(announced),
                None => HeardWhat::NoRoom,
            }
        }
    };
    reading.remember(|remembered: &mut Session| *remembered = session);
    if is_under_nat && let Some((at, number)) = session.written(&message, reading.direction()) {
        let written = reading.write(at..at + 2, &number.to_be_bytes());
        if !written {
            return Err(DropReason::Mangle);
        }
    }
    Ok(heard)
}

/// Expects GRE from either end. Seen: where that cannot be, the message goes on all the same.
fn expect(reading: &mut Reading<'_, '_>, session: &Session, is_under_nat: bool) -> Option<Vec<Announced>> {
    let (client, server) = match is_under_nat {
        true => (session.clients_own, session.servers_own),
        false => (session.client, session.server),
    };
    let [original, reply] = [Direction::Original, Direction::Reply].map(|way| reading.tuple(way));
    let from_client = with_keys(original, client, session.server);
    let from_server = with_keys(reply, server, session.client);
    let ways = [from_client, from_server];
    let wish = |way: Direction| {
        let expected = ways[way.index()];
        let wish = Wish::new(protocol::GRE, Some(expected.source.address), expected.destination);
        Wish {
            from_port: Some(expected.source.id),
            announced_by: Some(way.opposite()),
            // Seen: under NAT what is expected of the client stays where the server is first.
            together_with: match (is_under_nat, way) {
                (true, Direction::Original) => Some(from_server),
                (true, Direction::Reply) => None,
                (false, _) => Some(expected.turned()),
            },
            ..wish
        }
    };
    let first = Wish {
        keeps_port: true,
        led_from_port: Some(session.client),
        ..wish(Direction::Original)
    };
    let second = Wish {
        led_to: Some(client),
        ..wish(Direction::Reply)
    };
    let first = reading.expect(&first).ok()?;
    let Ok(second) = reading.expect(&second) else {
        reading.take_back(&first.expected);
        return None;
    };
    if !reading.agree_on_keys([&from_client, &from_server]) {
        reading.take_back(&first.expected);
        reading.take_back(&second.expected);
        return None;
    }
    Some(vec![first, second])
}

fn with_keys(tuple: Tuple, source: u16, destination: u16) -> Tuple {
    let mut tuple = tuple;
    tuple.protocol = protocol::GRE;
    (tuple.source.id, tuple.destination.id) = (source, destination);
    tuple
}

/// What is remembered of a connection. Numbers are 0 before they are known.
#[derive(Clone, Copy, Debug, Default)]
struct Session {
    state: State,
    call: Call,
    /// The client's number of the call, as the server knows it.
    client: u16,
    /// The server's.
    server: u16,
    /// The client's as it gave it, and the server's when the call stood: known under NAT only.
    clients_own: u16,
    servers_own: u16,
}

/// In the order in which the kernel compares them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    #[default]
    None,
    Refused,
    Stopping,
    Asked,
    Open,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Call {
    #[default]
    None,
    /// The client asked for it.
    Asked,
    Stands,
    /// The server asked for it.
    Offered,
    Accepted,
    OfferStands,
    Clearing,
}

enum Then {
    Nothing,
    CallStands,
    CallEnds,
}

impl Session {
    /// `None` for what the client has not to say now.
    fn client_says(&mut self, message: &Message) -> Option<Then> {
        match message.kind {
            Kind::SessionRequest if self.state == State::None => self.state = State::Asked,
            Kind::StopRequest => self.state = State::Stopping,
            Kind::OutgoingCallRequest if self.state == State::Open => {
                self.call = Call::Asked;
                self.client = message.number;
            }
            Kind::IncomingCallReply
                if matches!(self.call, Call::Offered | Call::Accepted) && self.server == message.peers =>
            {
                if message.succeeds {
                    self.call = Call::Accepted;
                    self.client = message.number;
                } else {
                    self.call = Call::None;
                }
            }
            Kind::CallClearRequest if self.state == State::Open => self.call = Call::Clearing,
            Kind::Echo | Kind::LinkInfo => {}
            _ => return None,
        }
        Some(Then::Nothing)
    }

    /// The same of the server.
    fn server_says(&mut self, message: &Message) -> Option<Then> {
        let is_open = self.state == State::Open;
        match message.kind {
            Kind::SessionReply if self.state >= State::Asked => {
                self.state = if message.succeeds { State::Open } else { State::Refused };
            }
            Kind::StopReply if self.state <= State::Stopping => {
                self.state = if message.succeeds { State::None } else { State::Refused };
            }
            Kind::OutgoingCallReply
                if is_open && matches!(self.call, Call::Asked | Call::Stands) && self.client == message.peers =>
            {
                if message.succeeds {
                    self.call = Call::Stands;
                    self.server = message.number;
                    return Some(Then::CallStands);
                }
                self.call = Call::None;
            }
            Kind::IncomingCallRequest if is_open => {
                self.call = Call::Offered;
                self.server = message.number;
            }
            Kind::IncomingCallConnected
                if is_open
                    && matches!(self.call, Call::Accepted | Call::OfferStands)
                    && self.client == message.peers =>
            {
                self.call = Call::OfferStands;
                return Some(Then::CallStands);
            }
            Kind::CallDisconnect => {
                self.call = Call::None;
                return Some(Then::CallEnds);
            }
            Kind::Echo | Kind::LinkInfo | Kind::WanError => {}
            _ => return None,
        }
        Some(Then::Nothing)
    }

    /// Where under NAT the client's number is written over, and with what: outside, where the client says it; its own, where it is told.
    fn written(&self, message: &Message, direction: Direction) -> Option<(usize, u16)> {
        let at = message.clients_number_at(direction)?;
        Some(match direction {
            Direction::Original => (at, self.client),
            Direction::Reply => (at, self.clients_own),
        })
    }
}

impl HelperData for Session {
    fn copy(&self) -> Box<dyn HelperData> {
        Box::new(*self)
    }

    /// Seen: without a call it is the GRE between the two that has no keys.
    fn goes_along(&self, original: &Tuple, reply: &Tuple) -> Option<[Tuple; 2]> {
        Some([
            with_keys(*original, self.client, self.server),
            with_keys(*reply, self.server, self.client),
        ])
    }
}
