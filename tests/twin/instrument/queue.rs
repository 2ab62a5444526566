//! Who listens at a queue of the kernel's, by raw netlink: nfnetlink_queue's messages, of which a twin needs three.

use std::collections::VecDeque;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nflab::engine::{QueueSettings, VerdictKind};
use nflab::rule::Hook;

/// The answer where nothing waits: who drew the scenario may have drawn other numbers on its way there.
pub(crate) fn nothing_waits(number: u16) -> (String, Vec<u8>) {
    (format!("queue{number}/nothing waits"), Vec::new())
}

/// What a packet that waits is called in an answer.
pub(crate) fn queue_name(number: u16, hook: &str, mark: u32) -> String {
    format!("queue{number}/{hook}/{mark:#x}")
}

pub(crate) struct Listener {
    number: u16,
    socket: Socket,
    /// Ids of what waits, the oldest first.
    waiting: VecDeque<u32>,
    /// What has come and was not asked for yet.
    come: Vec<(String, Vec<u8>)>,
}

impl Listener {
    pub(crate) fn open(number: u16, settings: QueueSettings) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("netlink: {error}");
        let mut socket = Socket::new(NETLINK_NETFILTER).map_err(failed)?;
        socket.bind(&SocketAddr::new(0, 0)).map_err(failed)?;
        socket.set_non_blocking(true).map_err(failed)?;
        let mut listener = Self {
            number,
            socket,
            waiting: VecDeque::new(),
            come: Vec::new(),
        };
        listener.configure(&[(COMMAND, &[BIND, 0, 0, 2])])?;
        // Packets whole.
        listener.configure(&[(PARAMETERS, &[0, 0, 255, 255, 2])])?;
        listener.configure(&[(MAXIMUM, &settings.maximum.to_be_bytes())])?;
        if settings.fail_open {
            let flag = FAIL_OPEN.to_be_bytes();
            listener.configure(&[(MASK, &flag), (FLAGS, &flag)])?;
        }
        Ok(listener)
    }

    pub(crate) fn close(mut self) -> Result<(), String> {
        self.configure(&[(COMMAND, &[UNBIND, 0, 0, 2])])
    }

    /// Of what waits longest.
    pub(crate) fn decide(&mut self, kind: VerdictKind, mark: Option<u32>, bytes: Option<&[u8]>) -> Result<(), String> {
        let Some(id) = self.waiting.pop_front() else {
            self.come.push(nothing_waits(self.number));
            return Ok(());
        };
        let verdict: u32 = match kind {
            VerdictKind::Drop => 0,
            VerdictKind::Accept => 1,
            VerdictKind::Repeat => 4,
        };
        let header = [verdict.to_be_bytes(), id.to_be_bytes()].concat();
        let mark = mark.map(u32::to_be_bytes);
        let mut attributes: Vec<(u16, &[u8])> = vec![(VERDICT, &header)];
        attributes.extend(mark.as_ref().map(|mark| (MARK, mark.as_slice())));
        attributes.extend(bytes.map(|bytes| (PAYLOAD, bytes)));
        self.ask(VERDICT_MESSAGE, &attributes)
    }

    /// What came since this was last asked.
    pub(crate) fn arrived(&mut self) -> Result<Vec<(String, Vec<u8>)>, String> {
        while let Some(message) = self.receive()? {
            self.take(&message)?;
        }
        Ok(std::mem::take(&mut self.come))
    }

    fn configure(&mut self, attributes: &[(u16, &[u8])]) -> Result<(), String> {
        self.ask(CONFIGURE_MESSAGE, attributes)
    }

    /// Sends a message and reads its answer, which the kernel has written when the call returns; packets may have come before it.
    fn ask(&mut self, kind: u8, attributes: &[(u16, &[u8])]) -> Result<(), String> {
        let mut body = vec![0, 0];
        body.extend(self.number.to_be_bytes());
        for (attribute, value) in attributes {
            body.extend((value.len() as u16 + 4).to_ne_bytes());
            body.extend(attribute.to_ne_bytes());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut message = (body.len() as u32 + 16).to_ne_bytes().to_vec();
        message.extend([kind, QUEUES]);
        message.extend(REQUEST_WITH_ANSWER.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);
        self.socket
            .send(&message, 0)
            .map_err(|error| format!("netlink: {error}"))?;
        while let Some(message) = self.receive()? {
            if u16::from_ne_bytes(part(&message, 4)?) != ANSWER {
                self.take(&message)?;
                continue;
            }
            return match i32::from_ne_bytes(part(&message, 16)?) {
                0 => Ok(()),
                code => Err(format!(
                    "queue {}: {}",
                    self.number,
                    std::io::Error::from_raw_os_error(-code)
                )),
            };
        }
        Err(format!("queue {}: the kernel does not answer", self.number))
    }

    fn receive(&self) -> Result<Option<Vec<u8>>, String> {
        let mut buffer = Vec::with_capacity(70_000);
        match self.socket.recv(&mut buffer, 0) {
            Ok(_) => Ok(Some(buffer)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(format!("netlink: {error}")),
        }
    }

    /// A packet that waits from now on.
    fn take(&mut self, message: &[u8]) -> Result<(), String> {
        let (mut header, mut mark, mut payload) = (None, 0, Vec::new());
        let mut rest = message.get(20..).unwrap_or_default();
        while rest.len() >= 4 {
            let length = usize::from(u16::from_ne_bytes(part(rest, 0)?));
            let value = rest.get(4..length).ok_or("an attribute that is cut short")?;
            match u16::from_ne_bytes(part(rest, 2)?) {
                PACKET => header = Some((u32::from_be_bytes(part(value, 0)?), usize::from(value[6]))),
                MARK => mark = u32::from_be_bytes(part(value, 0)?),
                PAYLOAD => payload = value.to_vec(),
                _ => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        let (id, hook) = header.ok_or("a message of a queue that holds no packet")?;
        let hook = Hook::ALL.get(hook).ok_or("a packet of no hook")?;
        self.waiting.push_back(id);
        self.come.push((queue_name(self.number, hook.chain(), mark), payload));
        Ok(())
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], String> {
    let part = bytes.get(at..at + N).and_then(|part| part.try_into().ok());
    part.ok_or_else(|| "a message that is cut short".to_owned())
}

/// The subsystem of nfnetlink.
const QUEUES: u8 = 3;
const VERDICT_MESSAGE: u8 = 1;
const CONFIGURE_MESSAGE: u8 = 2;
const REQUEST_WITH_ANSWER: u16 = 5;
/// NLMSG_ERROR, which is no error where its code is 0.
const ANSWER: u16 = 2;
// Attributes of a configuration, with the first one's commands.
const COMMAND: u16 = 1;
const BIND: u8 = 1;
const UNBIND: u8 = 2;
const PARAMETERS: u16 = 2;
const MAXIMUM: u16 = 3;
const MASK: u16 = 4;
const FLAGS: u16 = 5;
const FAIL_OPEN: u32 = 1;
// Attributes of packets and verdicts.
const PACKET: u16 = 1;
const VERDICT: u16 = 2;
const MARK: u16 = 3;
const PAYLOAD: u16 = 10;
