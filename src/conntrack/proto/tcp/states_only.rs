//! Tracking without windows, as the kernels of the ip_conntrack days did it unless they were given the tcp-window-tracking patch: a segment's flags
//! lead from state to state, and nearly nothing is INVALID.
//!
//! What is known of it is what was written about it: the states and their order in Oskar Andreasson's tutorial (chapter 7), which names RFC 793
//! for the rest; that an answer is whatever comes the other way, and that no segment is asked whether it can open (its appendix B: a SYN+ACK, a FIN or a
//! RST of no known connection is NEW); that the ACK of a handshake is held against the number that it answers (`docs/classic.md` lists the sources).

use std::time::Duration;

use super::{Direction, Kind, Known, Outcome, Segment, Settings, TcpState, TcpTrack};

impl TcpTrack {
    /// The first segment of a flow.
    pub(super) fn begin_with_states_only(segment: &Segment<'_>, settings: &Settings) -> Self {
        let mut track = Self::blank(segment);
        track.note(Direction::Original, segment, settings);
        track.settle(Direction::Original, segment, opened_by(segment.kind()));
        track
    }

    /// A segment of this flow, seen in `direction`.
    pub(super) fn follow_states_only(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        settings: &Settings,
        known: &Known<'_>,
    ) -> Outcome {
        let kind = segment.kind();
        let old = self.state;
        let next = match old.step_of_old(kind, direction) {
            // The handshake's last part is believed only if it answers the SYN+ACK.
            TcpState::Established if old == TcpState::SynRecv && !self.answers_the_handshake(segment) => old,
            next => next,
        };
        if old == TcpState::SynSent && next == TcpState::SynRecv {
            self.last.acknowledgement = segment.end();
        }
        self.note(direction, segment, settings);
        if kind == Kind::Rst && !known.seen_reply {
            self.settle(direction, segment, TcpState::Close);
            return Outcome::Destroy;
        }
        let shook_hands = old == TcpState::SynRecv && next == TcpState::Established;
        self.settle(direction, segment, next);
        Outcome::Accept {
            timeout: self.timeout_of_state(settings),
            became_assured: shook_hands && !known.assured,
        }
    }

    pub(super) fn timeout_of_state(&self, settings: &Settings) -> Duration {
        settings.timeout_of(self.state)
    }

    fn answers_the_handshake(&self, segment: &Segment<'_>) -> bool {
        segment.header.acknowledgement() == self.last.acknowledgement
    }

    /// Numbers are followed, for whoever asks what comes next or turns window tracking on; here they decide nothing.
    fn note(&mut self, direction: Direction, segment: &Segment<'_>, settings: &Settings) {
        let handshake = self.last.acknowledgement;
        let _ = self.fit(direction, segment, settings, None);
        self.last.acknowledgement = handshake;
        self.retransmissions = 0;
    }
}

/// Whatever the segment is, it opens a flow. What has the SYN bit asks for a connection; a FIN or a RST ends one that was not seen.
fn opened_by(kind: Kind) -> TcpState {
    match kind {
        Kind::Syn | Kind::SynAck => TcpState::SynSent,
        Kind::Ack => TcpState::Established,
        Kind::Fin => TcpState::TimeWait,
        Kind::Rst => TcpState::Close,
    }
}

impl TcpState {
    /// Where a segment leads. What has no place in a state changes nothing.
    fn step_of_old(self, kind: Kind, direction: Direction) -> Self {
        use Direction::{Original, Reply};
        use TcpState::*;
        match (kind, direction, self) {
            (Kind::Rst, ..) => Close,
            // The ports are used anew.
            (Kind::Syn, Original, FinWait | CloseWait | LastAck | TimeWait | Close) => SynSent,
            // A SYN from the other side is an answer, whether it acknowledges anything or not.
            (Kind::Syn | Kind::SynAck, Reply, SynSent) => SynRecv,
            (Kind::Ack, Original, SynRecv) => Established,
            // The end that closes first waits for the other, which knows that it is closing.
            (Kind::Fin, Original, SynRecv | Established) => FinWait,
            (Kind::Fin, Reply, SynRecv | Established) => CloseWait,
            (Kind::Fin, Reply, FinWait) => TimeWait,
            (Kind::Fin, Original, CloseWait) => LastAck,
            (Kind::Ack, Reply, LastAck) => TimeWait,
            (_, _, same) => same,
        }
    }
}
