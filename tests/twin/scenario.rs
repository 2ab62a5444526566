//! A scenario is data: interfaces, rules, and what happens, in order.

use crate::Sent;

#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: String,
    /// Name and address with prefix length.
    pub interfaces: Vec<(&'static str, &'static str)>,
    /// `to`, `via`.
    pub routes: Vec<(&'static str, &'static str)>,
    pub sysctls: Vec<(&'static str, &'static str)>,
    pub rules: String,
    pub steps: Vec<Step>,
}

#[derive(Clone)]
pub enum Step {
    Receive { interface: &'static str, packet: Vec<u8> },
    Send { packet: Vec<u8> },
    Restore(String),
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        match self {
            Self::Receive { interface, packet } => write!(f, "receive {interface} {}", hex(packet)),
            Self::Send { packet } => write!(f, "send {}", hex(packet)),
            Self::Restore(rules) => write!(f, "restore {rules}"),
        }
    }
}

impl Scenario {
    /// A router between 10.0.0.0/24 on `lan` and 192.0.2.0/24 on `wan`.
    pub fn new(name: &str, rules: &str) -> Self {
        Self {
            name: name.to_owned(),
            interfaces: vec![("lan", "10.0.0.1/24"), ("wan", "192.0.2.1/24")],
            routes: vec![("default", "192.0.2.254")],
            sysctls: Vec::new(),
            rules: rules.to_owned(),
            steps: Vec::new(),
        }
    }

    pub fn sysctl(mut self, key: &'static str, value: &'static str) -> Self {
        self.sysctls.push((key, value));
        self
    }

    pub fn receive(mut self, interface: &'static str, packet: Vec<u8>) -> Self {
        self.steps.push(Step::Receive { interface, packet });
        self
    }

    pub fn send(mut self, packet: Vec<u8>) -> Self {
        self.steps.push(Step::Send { packet });
        self
    }

    pub fn restore(mut self, rules: &str) -> Self {
        self.steps.push(Step::Restore(rules.to_owned()));
        self
    }

    /// What the kernel chooses at random is set to zero on both sides: the IP identification of the router's own ICMP messages.
    pub fn mask(&self, step: &Step, sent: Sent) -> Sent {
        let passed_on = match step {
            Step::Receive { packet, .. } | Step::Send { packet } if packet.len() >= 20 => {
                Some((packet[9], [packet[4], packet[5]]))
            }
            _ => None,
        };
        sent.into_iter()
            .map(|(interface, mut bytes)| {
                if bytes.len() >= 20 && bytes[9] == ICMP && passed_on != Some((bytes[9], [bytes[4], bytes[5]])) {
                    bytes[4..6].fill(0);
                    bytes[10..12].fill(0);
                }
                (interface, bytes)
            })
            .collect()
    }
}

const ICMP: u8 = 1;
