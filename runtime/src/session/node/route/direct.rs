//! Direct messages: which sessions they are for, and how many have them (PROTOCOL.md 4.16). What a
//! session does with one is its own.

use crate::session::Now;
use crate::session::node::keys::SessionKey;
use crate::session::node::router::Node;
use crate::session::node::seats::Unsent;
use crate::session::node::types::{DirectMessage, Recipient, Sent};

impl Node {
    /// Sends a message to sessions of this node, behind what they are owed already. It is lost
    /// with a session that ends before its client has it.
    pub fn send_to(&mut self, _now: Now, message: &DirectMessage) -> Sent {
        let mut sent = Sent::default();
        for session in self.recipients(&message.to) {
            match self.seats.send(session, message, &self.config, &mut self.fx) {
                Ok(()) => sent.sessions += 1,
                Err(Unsent::Full) => sent.full += 1,
                Err(Unsent::TooLong) => sent.too_long += 1,
            }
        }
        sent
    }

    fn recipients(&self, to: &Recipient) -> Vec<SessionKey> {
        match to {
            Recipient::Principal(user) => self.seats.sessions_of(user).to_vec(),
            Recipient::Lease(id) => self.leases.holder(*id).into_iter().collect(),
            Recipient::Connection(conn) => {
                self.seats.seat(*conn).map(|seat| seat.session).into_iter().collect()
            }
        }
    }
}
