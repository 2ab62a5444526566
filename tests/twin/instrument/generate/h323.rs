//! H.323: calls whose messages say where other connections and media go, in all kinds that the kernel reads, and what comes of them, opened by whoever was
//! told to what it really read; and terminals at their gatekeeper.

use std::collections::VecDeque;

use nflab::base::Family;

use super::announced::{Datagrams, Then};
use super::conversations::{Exchange, exchange};
use super::draw::{Draw, Side};
use super::h323_messages::{CALL, CONTROL, REGISTRATION, Template};
use super::packet::{ACK, Address, FIN, PSH, next};
use super::tcp::{Act, TcpTalk};
use super::world::World;

pub(super) const Q931: u16 = 1720;
pub(super) const RAS: u16 = 1719;

pub(super) struct CallTalk {
    /// The signalling, and what came of it: the last is spoken on.
    connections: Vec<Connection>,
    media: Option<Exchange>,
    /// The last port that was named.
    ports: u16,
    left: usize,
}

struct Connection {
    talk: TcpTalk,
    speaks: &'static [Template],
    /// What is on its way: who said it, where its last address stands, and the port there, if another is to call there.
    said: Option<(usize, usize, u16, Opens)>,
    pending: VecDeque<(usize, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opens {
    Control,
    Call,
    Data,
    Media,
}

impl CallTalk {
    /// Ports are named from after `ports` on.
    pub(super) fn new(draw: &mut Draw, near: (Option<Side>, Address, u16), to: Address, ports: u16) -> Self {
        let port = draw.pick(&[Q931, Q931, Q931, 1721]);
        let talk = TcpTalk::new(draw, near, (to, port)).plainly_opened();
        Self {
            connections: vec![Connection::new(talk, &CALL)],
            media: None,
            ports,
            left: 2 + draw.below(8),
        }
    }

    pub(super) fn step(&mut self, world: &mut World) -> bool {
        if let Some(media) = &mut self.media
            && !world.draw.one_in(4)
        {
            if !media.step_datagram(world) {
                self.media = None;
            }
            return true;
        }
        let last = self.connections.len() - 1;
        let at = if world.draw.one_in(4) { 0 } else { last };
        if self.connections[at].talk.script.is_empty() && self.connections[at].pending.is_empty() {
            if self.left == 0 || !self.connections[at].talk.ends[1].placed {
                self.connections.truncate(at);
                return !self.connections.is_empty();
            }
            self.left -= 1;
            self.say(world, at);
        }
        let connection = &mut self.connections[at];
        if connection.talk.script.is_empty()
            && let Some((who, data)) = connection.pending.pop_front()
        {
            let act = Act::plain(who, PSH | ACK, &data);
            connection.talk.script.push_back(act);
        }
        let (_, got) = connection.talk.step(world);
        let family = Family::of(connection.talk.ends[0].own.0);
        if let (Some(got), Some((who, place, port, opens))) = (got, connection.said)
            && let Some(to) = read(family, &got, place)
        {
            self.connections[at].said = None;
            self.open(world, at, who, to, port, opens);
        }
        true
    }

    /// One more message.
    fn say(&mut self, world: &mut World, at: usize) {
        let connection = &mut self.connections[at];
        let index = world.draw.below(connection.speaks.len());
        let template = &connection.speaks[index];
        world.note(template.noted);
        let draw = &mut world.draw;
        let who = usize::from(draw.one_in(2));
        let end = &connection.talk.ends[who];
        self.ports += 2;
        // Media have the even port and the one above it.
        let port = self.ports & !1 | u16::from(template.noted.contains("Logical") || template.noted.contains("hannel"));
        let mut is_sound = true;
        let mut address = match draw.below(12) {
            0 => {
                is_sound = false;
                next(end.own.0)
            }
            1 => {
                is_sound = false;
                end.peer.0
            }
            _ => end.own.0,
        };
        let opens = match template.noted {
            "Q.931: Facility that forwards" => Opens::Call,
            "H.245: OpenLogicalChannel for T.120" => Opens::Data,
            noted if noted.contains("control channel") => Opens::Control,
            "Q.931: CallProceeding" | "Q.931: Connect" | "Q.931: Alerting" | "Q.931: Progress" => Opens::Control,
            _ => Opens::Media,
        };
        if opens == Opens::Call {
            address = draw_host(world, Family::of(address));
        }
        let ends = [(address, port); 2];
        let whole = template.say(&ends);
        let draw = &mut world.draw;
        let connection = &mut self.connections[at];
        connection.said = template
            .places(Family::of(address))
            .next_back()
            .filter(|_| is_sound)
            .map(|place| (who, place, port, opens));
        match draw.below(16) {
            // The header of TPKT comes alone.
            0 => {
                connection.said = None;
                connection.pending.push_back((who, whole[..4].to_vec()));
                connection.pending.push_back((who, whole[4..].to_vec()));
            }
            // In two pieces, which nobody reads.
            1 => {
                connection.said = None;
                let middle = 5 + draw.below(whole.len() - 5);
                connection.pending.push_back((who, whole[..middle].to_vec()));
                connection.pending.push_back((who, whole[middle..].to_vec()));
            }
            // Damaged.
            2 => {
                connection.said = None;
                let mut damaged = whole;
                let place = draw.below(damaged.len());
                damaged[place] ^= 1 << draw.below(8);
                connection.pending.push_back((who, damaged));
            }
            // With another behind it.
            3 => {
                let both = [whole.clone(), whole].concat();
                connection.pending.push_back((who, both));
            }
            _ => connection.pending.push_back((who, whole)),
        }
    }

    /// Who was told opens it, to where it read.
    fn open(&mut self, world: &mut World, at: usize, who: usize, to: (Address, u16), port: u16, opens: Opens) {
        // NAT gave another port, which the other side of the twin will not have given.
        if to.1 != port || world.draw.one_in(6) {
            return;
        }
        let end = &self.connections[at].talk.ends[1 - who];
        let (side, own) = (end.side, end.own.0);
        if opens == Opens::Media {
            let near = (side, own, world.client_port(None));
            self.media = Some(exchange(world, near, to));
            return;
        }
        let from = (side, own, world.client_port(None));
        let mut talk = TcpTalk::new(&mut world.draw, from, to).plainly_opened();
        let speaks: &'static [Template] = match opens {
            Opens::Control => &CONTROL,
            _ => &CALL,
        };
        if opens == Opens::Data {
            talk.script.extend([
                Act::plain(0, PSH | ACK, b"drawing"),
                Act::plain(1, FIN | ACK, &[]),
                Act::plain(0, FIN | ACK, &[]),
                Act::plain(1, ACK, &[]),
            ]);
        }
        self.left += world.draw.below(4);
        if self.connections.len() < 4 {
            self.connections.push(Connection::new(talk, speaks));
        }
    }
}

impl Connection {
    fn new(talk: TcpTalk, speaks: &'static [Template]) -> Self {
        Self {
            talk,
            speaks,
            said: None,
            pending: VecDeque::new(),
        }
    }
}

/// One message between a terminal and its gatekeeper, and the call that comes of it.
pub(super) fn registration(talk: &mut Datagrams, world: &mut World) {
    let index = world.draw.below(REGISTRATION.len());
    let template = &REGISTRATION[index];
    world.note(template.noted);
    let by_gatekeeper = match template.noted {
        "RAS: GCF" | "RAS: RCF" | "RAS: ACF" | "RAS: LCF" | "RAS: UCF" => !world.draw.one_in(8),
        _ => world.draw.one_in(8),
    };
    let signal = talk.ports + 1;
    let far = talk.far;
    let own = match (by_gatekeeper, far) {
        (true, Some((_, own, _))) => own,
        _ => (talk.near.1, talk.near.2),
    };
    let family = Family::of(own.0);
    // A port that NAT draws would be written into the message, and each side draws its own.
    let names_its_own_port = world.draw.one_in(2) && !world.draws_ports;
    let ras = (own.0, if names_its_own_port { own.1 } else { RAS });
    let peer = match (by_gatekeeper, far) {
        (true, Some((_, _, peer))) => peer.0,
        _ => talk.to.0,
    };
    let called = match world.draw.below(6) {
        0 => draw_host(world, family),
        1 => peer,
        _ => own.0,
    };
    let ends = match template.noted {
        "RAS: GRQ" | "RAS: LRQ" => [ras, ras],
        "RAS: GCF" => [(draw_host(world, family), RAS); 2],
        "RAS: IRR" => [ras, (called, signal)],
        "RAS: RCF" => [(peer, signal); 2],
        "RAS: ACF" | "RAS: LCF" => {
            [(
                if world.draw.one_in(4) {
                    peer
                } else {
                    draw_host(world, family)
                },
                signal,
            ); 2]
        }
        _ => [(called, signal), ras],
    };
    let mut message = template.say(&ends);
    if world.draw.one_in(12) {
        let place = world.draw.below(message.len());
        message[place] ^= 1 << world.draw.below(8);
    }
    let got = match by_gatekeeper {
        true => talk.answer(world, &message),
        false => talk.ask(world, &message),
    };
    let (Some(got), Some((side, at_gatekeeper, _)), Some(place)) = (got, talk.far, template.places(family).next())
    else {
        return;
    };
    let Some(to) = read(family, &got, place) else {
        return;
    };
    if world.draw.one_in(4) || to.1 != signal {
        return;
    }
    let from = match by_gatekeeper {
        true => (talk.near.0, talk.near.1, world.client_port(None)),
        false => (Some(side), at_gatekeeper.0, world.client_port(None)),
    };
    let mut call = TcpTalk::new(&mut world.draw, from, to).plainly_opened();
    let setup = CALL[0].say(&[(from.1, talk.ports + 2)]);
    call.script.extend([
        Act::plain(0, PSH | ACK, &setup),
        Act::plain(1, FIN | ACK, &[]),
        Act::plain(0, FIN | ACK, &[]),
        Act::plain(1, ACK, &[]),
    ]);
    talk.then = Some(Then::Calls(Box::new(call)));
}

fn draw_host(world: &mut World, family: Family) -> Address {
    world.host().address(family)
}

fn read(family: Family, data: &[u8], place: usize) -> Option<(Address, u16)> {
    let end = data.get(place..)?;
    let port = end.get(usize::from(family.bits() / 8)..)?.first_chunk()?;
    Some((family.address_in(end)?, u16::from_be_bytes(*port)))
}
