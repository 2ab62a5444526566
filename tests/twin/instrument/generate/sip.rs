//! SIP: a telephone and its server, by datagrams: it registers, calls and is called, in the ways that the kernel reads and in broken ones; then come the
//! calls and the media, sent by whoever was told to where it really read.

use std::net::SocketAddr;

use nflab::base::Family;

use super::announced::{Datagrams, Then};
use super::conversations::exchange;
use super::draw::Side;
use super::packet::{Address, next};
use super::world::World;

pub(super) const SIP: u16 = 5060;

pub(super) const NOTES: [&str; 9] = [
    "SIP: REGISTER",
    "SIP: answer to REGISTER",
    "SIP: INVITE",
    "SIP: answer to INVITE",
    "SIP: INVITE from the server",
    "SIP: UPDATE",
    "SIP: ACK",
    "SIP: BYE",
    "SIP: other",
];

type End = (Address, u16);

pub(super) fn telephone(talk: &mut Datagrams, world: &mut World) {
    match world.draw.below(12) {
        0..4 => register(talk, world),
        4..8 => call(talk, world),
        8..10 => is_called(talk, world),
        _ => goes_on(talk, world),
    }
}

fn register(talk: &mut Datagrams, world: &mut World) {
    world.note(NOTES[0]);
    let own = (talk.near.1, talk.near.2);
    let contact = match world.draw.below(8) {
        0 => (own.0, talk.next_port()),
        1 => (other(own.0), own.1),
        _ => own,
    };
    let expires = world.draw.pick(&[
        "Expires: 60\r\n",
        "Expires: 60\r\n",
        "Expires: 0\r\n",
        "",
        "Expires: x\r\n",
    ]);
    let number = 1 + world.draw.below(3);
    let head = head(
        world,
        "REGISTER sip:home SIP/2.0",
        own,
        number,
        "REGISTER",
        Some(contact),
    );
    let text = damaged(world, format!("{head}{expires}Content-Length: 0\r\n\r\n"));
    let Some(got) = talk.ask(world, text.as_bytes()) else {
        return;
    };
    let Some((_, _, peer)) = talk.far else { return };
    if world.draw.one_in(5) {
        return;
    }
    world.note(NOTES[1]);
    let contact = end_behind(&got, "Contact: <sip:amy@").unwrap_or(peer);
    let line = world
        .draw
        .pick(&["200 OK", "200 OK", "200 OK", "200 OK", "100 Trying", "401 No", "x"]);
    let head = self::head(
        world,
        &format!("SIP/2.0 {line}"),
        peer,
        number,
        "REGISTER",
        Some(contact),
    );
    let expires = world
        .draw
        .pick(&["Expires: 3600\r\n", "Expires: 120\r\n", "Expires: 0\r\n"]);
    let text = damaged(world, format!("{head}{expires}Content-Length: 0\r\n\r\n"));
    talk.answer(world, text.as_bytes());
    let Some((side, own, _)) = talk.far else { return };
    let from = match world.draw.one_in(6) {
        true => world.host_like(own.0),
        false => own.0,
    };
    let port = world.client_port(None);
    talk.then = Some(Then::Answers(exchange(world, (Some(side), from, port), contact)));
}

/// The telephone calls, and one side of the media is sent.
fn call(talk: &mut Datagrams, world: &mut World) {
    world.note(NOTES[2]);
    let own = (talk.near.1, talk.near.2);
    let number = 1 + world.draw.below(3);
    let head = head(world, "INVITE sip:bob@home SIP/2.0", own, number, "INVITE", Some(own));
    let described = description(world, own.0, talk.next_port());
    let text = damaged(world, head + &described);
    let Some(got) = talk.ask(world, text.as_bytes()) else {
        return;
    };
    let Some((side, server, peer)) = talk.far else { return };
    if world.draw.one_in(3) {
        media(talk, world, (Some(side), server.0), &got);
        return;
    }
    world.note(NOTES[3]);
    let line = world
        .draw
        .pick(&["200 OK", "200 OK", "183 Progress", "180 Ringing", "486 Busy"]);
    let head = self::head(world, &format!("SIP/2.0 {line}"), peer, number, "INVITE", Some(server));
    let described = description(world, server.0, talk.next_port());
    let text = damaged(world, head + &described);
    let Some(heard) = talk.answer(world, text.as_bytes()) else {
        return;
    };
    match world.draw.one_in(2) {
        true => media(talk, world, (Some(side), server.0), &got),
        false => media(talk, world, (talk.near.0, talk.near.1), &heard),
    }
}

/// The server calls, on the same flow, and the telephone answers.
fn is_called(talk: &mut Datagrams, world: &mut World) {
    let Some((side, server, peer)) = talk.far else {
        return register(talk, world);
    };
    world.note(NOTES[4]);
    let start = format!("INVITE sip:amy@{} SIP/2.0", text_of(peer));
    let head = head(world, &start, server, 7, "INVITE", Some(server));
    let described = description(world, server.0, talk.next_port());
    let text = damaged(world, head + &described);
    if talk.answer(world, text.as_bytes()).is_none() {
        return;
    }
    let own = (talk.near.1, talk.near.2);
    let head = self::head(world, "SIP/2.0 200 OK", talk.to, 7, "INVITE", Some(own));
    let described = description(world, own.0, talk.next_port());
    let text = damaged(world, head + &described);
    if let Some(got) = talk.ask(world, text.as_bytes()) {
        media(talk, world, (Some(side), server.0), &got);
    }
}

fn goes_on(talk: &mut Datagrams, world: &mut World) {
    let (method, note) = world.draw.pick(&[
        ("UPDATE", NOTES[5]),
        ("ACK", NOTES[6]),
        ("BYE", NOTES[7]),
        ("OPTIONS", NOTES[8]),
        ("PRACK", NOTES[8]),
    ]);
    world.note(note);
    let own = (talk.near.1, talk.near.2);
    let head = head(world, &format!("{method} sip:bob@home SIP/2.0"), own, 2, method, None);
    let described = match method {
        "BYE" | "OPTIONS" => "Content-Length: 0\r\n\r\n".to_owned(),
        _ => description(world, own.0, talk.next_port()),
    };
    let text = damaged(world, head + &described);
    if talk.far.is_some() && world.draw.one_in(4) {
        talk.answer(world, text.as_bytes());
        return;
    }
    let got = talk.ask(world, text.as_bytes());
    if let (Some(got), Some((side, server, _))) = (got, talk.far) {
        media(talk, world, (Some(side), server.0), &got);
    }
}

/// Start and headers, without the last ones.
pub(super) fn head(
    world: &mut World,
    start: &str,
    via: End,
    number: usize,
    method: &str,
    contact: Option<End>,
) -> String {
    let via = match world.draw.one_in(12) {
        // Where it waits for answers, if not there.
        true => (via.0, 5999),
        false => via,
    };
    let elsewhere = match Family::of(via.0) {
        Family::V4 => ";maddr=10.0.0.2",
        Family::V6 => ";maddr=[2001:db8::2]",
    };
    let extra = world.draw.pick(&["", "", ";rport", ";branch=z9", elsewhere]);
    let contact = contact.map_or(String::new(), |end| format!("Contact: <sip:amy@{}>\r\n", text_of(end)));
    format!(
        "{start}\r\nVia: SIP/2.0/UDP {via}{extra}\r\nFrom: <sip:amy@{via}>;tag=1\r\nTo: <sip:bob@home>\r\nCSeq: {number} {method}\r\n{contact}",
        via = text_of(via),
    )
}

/// Its length, and a session description at this port.
pub(super) fn description(world: &mut World, own: Address, port: u16) -> String {
    let host = match world.draw.below(10) {
        0 => other(own),
        _ => own,
    };
    let connection = format!("c=IN {} {host}\r\n", kind_of(host));
    let port = port & !1;
    let draw = &mut world.draw;
    let media = match draw.below(10) {
        0 => format!("m=audio {port} x\r\n{connection}m=video {port} x\r\n"),
        1 => format!("m=video {port} x\r\nm=audio 0 x\r\n"),
        2 => format!("m=image {port} udptl t38\r\n"),
        3 => format!("m=text {port} x\r\n"),
        4 => draw
            .pick(&["m=audio 80 x\r\n", "m=audio 70000 x\r\n", "m=audio x\r\n", ""])
            .to_owned(),
        _ => format!("m=audio {port} RTP/AVP 0\r\n"),
    };
    let session = match draw.below(10) {
        0 => String::new(),
        _ => connection,
    };
    let body = format!(
        "v=0\r\no=- 1 1 IN {} {host}\r\ns=-\r\n{session}t=0 0\r\n{media}",
        kind_of(host)
    );
    format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Some of what others write, right and wrong.
pub(super) fn damaged(world: &mut World, text: String) -> String {
    match world.draw.below(24) {
        0 => text
            .replace("Contact:", "m:")
            .replace("Via:", "v:")
            .replace("From:", "f :"),
        1 => text.replace("\r\n", "\n"),
        2 => text.replace("CSeq: ", "CSeq: x"),
        3 => text.replace("CSeq", "X-CSeq"),
        4 => text.replace("Content-Length", "l"),
        5 => text.replace("Content-Length: ", "Content-Length: x"),
        6 => text.replace("Contact: ", "Contact:\r\n "),
        7 => text.replace(">\r\n", ">;expires=30\r\n"),
        8 => text.replace(">\r\n", ">;transport=tcp\r\n"),
        9 => text[..text.len() - text.len() / 3].to_owned(),
        10 => text.replace("o=", "x="),
        11 => text.to_lowercase(),
        _ => text,
    }
}

/// Sends what was agreed on, from `from`, to where the message that it read says.
fn media(talk: &mut Datagrams, world: &mut World, from: (Option<Side>, Address), heard: &[u8]) {
    let Some((host, port)) = place_of_media(world, heard) else {
        return;
    };
    let own = world.client_port(None);
    let address = match from.0.is_some() && world.draw.one_in(8) {
        true => world.host_like(from.1),
        false => from.1,
    };
    talk.then = Some(Then::Answers(exchange(world, (from.0, address, own), (host, port))));
}

/// Where the message says that its sender waits for media; sometimes nobody believes it.
pub(super) fn place_of_media(world: &mut World, heard: &[u8]) -> Option<End> {
    let text = String::from_utf8_lossy(heard).into_owned();
    let number = |name: &str| -> Option<u16> {
        let rest = text.split(name).nth(1)?;
        rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
    };
    let kind = ["m=audio ", "m=video ", "m=image "].into_iter().find_map(number);
    let host = ["c=IN IP4 ", "c=IN IP6 "]
        .into_iter()
        .find_map(|it| text.split(it).nth(1));
    let host = host.and_then(|rest| rest.lines().next()?.trim().parse::<Address>().ok());
    let (Some(port), Some(host)) = (kind, host) else {
        return None;
    };
    let port = port | u16::from(world.draw.one_in(4));
    (!world.draw.one_in(5)).then_some((host, port))
}

fn end_behind(heard: &[u8], word: &str) -> Option<End> {
    let text = String::from_utf8_lossy(heard).into_owned();
    let end = text.split(word).nth(1)?.split('>').next()?;
    let end: SocketAddr = end.parse().ok()?;
    Some((end.ip(), end.port()))
}

fn other(own: Address) -> Address {
    next(own)
}

/// What a session description calls its family.
fn kind_of(address: Address) -> &'static str {
    if address.is_ipv4() { "IP4" } else { "IP6" }
}

fn text_of(end: End) -> String {
    SocketAddr::from(end).to_string()
}
