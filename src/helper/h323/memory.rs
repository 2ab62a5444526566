//! What is remembered of a flow of H.323, to say the same of a port each time, and to find it again when it comes back.

use crate::conntrack::{Direction, HelperData};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// The header of TPKT that came alone, by direction: how long the message is.
    pub announced: [u16; 2],
    /// The port at which a side is called (or waits for H.245), in its direction, and in the other the port that stands for it outside. 0: none.
    signal: [u16; 2],
    /// The same of channels of media: the even ports.
    media: [[u16; 2]; CHANNELS],
    /// How many seconds a registration lasts. 0: it is not known.
    pub time_to_live: u32,
}

impl HelperData for Memory {
    fn copy(&self) -> Box<dyn HelperData> {
        Box::new(*self)
    }
}

/// A port of one side, and the one that stands for it on the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub own: u16,
    pub outside: u16,
}

impl Memory {
    pub(super) fn signal(&self, direction: Direction) -> Pair {
        pair(&self.signal, direction)
    }

    pub(super) fn remember_signal(&mut self, direction: Direction, ports: Pair) {
        put(&mut self.signal, direction, ports);
    }

    /// What a side does not say to be outside is left as it is.
    pub(super) fn remember_own_signal(&mut self, direction: Direction, port: u16) {
        self.signal[direction.index()] = port;
    }

    pub(super) fn forget_signal(&mut self) {
        self.signal = [0; 2];
    }

    /// Where this channel's ports are remembered, or can be. `None`: there are as many channels as can be.
    pub(super) fn channel(&self, direction: Direction, own: u16) -> Option<usize> {
        let port = |channel: &[u16; 2]| channel[direction.index()];
        self.media
            .iter()
            .position(|channel| port(channel) == own || port(channel) == 0)
    }

    pub(super) fn media(&self, channel: usize, direction: Direction) -> Pair {
        pair(&self.media[channel], direction)
    }

    pub(super) fn remember_media(&mut self, channel: usize, direction: Direction, ports: Pair) {
        put(&mut self.media[channel], direction, ports);
    }
}

fn pair(ports: &[u16; 2], direction: Direction) -> Pair {
    Pair {
        own: ports[direction.index()],
        outside: ports[direction.opposite().index()],
    }
}

fn put(ports: &mut [u16; 2], direction: Direction, pair: Pair) {
    ports[direction.index()] = pair.own;
    ports[direction.opposite().index()] = pair.outside;
}

/// So many channels of media a call has under NAT.
const CHANNELS: usize = 4;
