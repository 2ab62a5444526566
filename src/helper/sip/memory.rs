//! What is remembered of a flow of SIP.

use crate::conntrack::HelperData;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// The sequence number of the last INVITE that was read.
    pub invite: u32,
    /// The same of the last REGISTER.
    pub register: u32,
    /// The port at which the sender of a request waits for the answer, where that is not the one that it sends from: a habit of some telephones.
    pub answered_at: Option<u16>,
}

impl HelperData for Memory {
    fn copy(&self) -> Box<dyn HelperData> {
        Box::new(*self)
    }
}
