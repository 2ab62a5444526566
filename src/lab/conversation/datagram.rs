//! A question and its answer: UDP and ping.

use super::tcp::{ends, unreadable};
use super::{Conversations, Party, Stage, is_unreachable, packet, show};
use crate::base::protocol;
use crate::engine::Port;
use crate::explain::describe::icmp;
use crate::lab::send::{IcmpDraft, Transport};
use crate::packet::Packet;

impl Conversations {
    /// `answer`: `None` where nobody shall answer.
    pub(super) fn udp(
        &mut self,
        stage: &mut Stage<'_>,
        from: &Party,
        to: &Party,
        data: &[u8],
        answer: Option<&[u8]>,
    ) -> Result<(), String> {
        let port = to.port.ok_or("the port is missing: write HOST:PORT")?;
        let (seat, address) = stage.seat(from, to)?;
        let target = (stage.address(to, (seat, address))?, port);
        let own = (address, from.port.unwrap_or_else(|| self.fresh_port()));
        let transport = |from: u16, to: u16| Transport::Udp {
            source: from,
            destination: to,
        };
        if seat == Port::Local {
            stage.lab.listen(protocol::UDP, own.1);
        }
        let what = format!("the datagram of {}", show(own));
        let arrival = stage.carry(seat, packet(own.0, target.0, transport(own.1, target.1), data)?, &what)?;
        let arrived = Packet::parse(arrival.bytes).map_err(|_| unreadable())?;
        let (seen, reached) = ends(&arrived).ok_or_else(unreadable)?;
        if arrival.seat == Port::Local && stage.own_answer(seat).is_some_and(|it| is_unreachable(&it)) {
            return Err(format!(
                "the router itself answered that nothing listens on its port {0}; `listen udp {0}` first",
                reached.1
            ));
        }
        let Some(answer) = answer else { return Ok(()) };
        let what = format!("the answer of {}", show(reached));
        let bytes = packet(reached.0, seen.0, transport(reached.1, seen.1), answer)?;
        let back = stage.carry(arrival.seat, bytes, &what)?;
        let arrived = Packet::parse(back.bytes).map_err(|_| unreadable())?;
        let (answering, at) = ends(&arrived).ok_or_else(unreadable)?;
        if (back.seat, at) != (seat, own) {
            let name = stage.lab.port_name(back.seat);
            return Err(format!(
                "{what} arrived by {name} at {}, not at {}",
                show(at),
                show(own)
            ));
        }
        if answering != target {
            return Err(format!(
                "{what} arrived from {}, but {} asked {}: a host drops that",
                show(answering),
                show(own),
                show(target)
            ));
        }
        Ok(())
    }

    pub(super) fn ping(&mut self, stage: &mut Stage<'_>, from: &Party, to: &Party, count: u16) -> Result<(), String> {
        let (seat, own) = stage.seat(from, to)?;
        let target = stage.address(to, (seat, own))?;
        let id = self.fresh_port();
        let [asks, answers] = [icmp::echo_request(from.family), icmp::echo_reply(from.family)];
        for sequence in 1..=count {
            let echo = |kind: u8, id: u16| {
                Transport::Icmp(IcmpDraft {
                    kind,
                    code: 0,
                    rest: u32::from(id) << 16 | u32::from(sequence),
                    quote: None,
                })
            };
            let what = format!("echo request {sequence} of {own}");
            let request = packet(own, target, echo(asks, id), DATA)?;
            let arrival = stage.carry(seat, request, &what)?;
            if arrival.seat == Port::Local {
                // The router answers for itself.
                match stage.own_answer(seat).filter(is_reply) {
                    Some(_) => continue,
                    None => return Err(format!("{what} reached the router, which did not answer")),
                }
            }
            let arrived = Packet::parse(arrival.bytes).map_err(|_| unreadable())?;
            let seen = icmp::message(&arrived).map_or(id, |it| it.identifier());
            let what = format!("echo reply {sequence} of {}", arrived.destination());
            let reply = packet(arrived.destination(), arrived.source(), echo(answers, seen), DATA)?;
            let back = stage.carry(arrival.seat, reply, &what)?;
            let arrived = Packet::parse(back.bytes).map_err(|_| unreadable())?;
            let right = (back.seat, arrived.destination()) == (seat, own)
                && arrived.source() == target
                && icmp::message(&arrived).is_some_and(|it| it.identifier() == id);
            if !right {
                return Err(format!(
                    "{what} arrived as {} > {}, which {own} did not ask for",
                    arrived.source(),
                    arrived.destination()
                ));
            }
        }
        Ok(())
    }
}

fn is_reply(packet: &Packet) -> bool {
    icmp::message(packet).is_some_and(|it| it.kind() == icmp::echo_reply(packet.family()))
}

const DATA: &[u8] = b"abcdefghijklmnopqrstuvwabcdefghi";
