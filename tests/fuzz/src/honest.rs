//! The honest client: a production core on a socket of its own, that posts and follows what it
//! posted. Owns the check that its replies and events are its own, in order and without a gap.

use std::sync::Arc;

use bytes::Bytes;
use steadfast::session::Now;
use steadfast::session::client::{
    CallOutcome, Client, ClientConfig, Event, Item, SubId, Submission, SubscriptionRequest,
};
use steadfast::session::node::{ConnId, Node};
use steadfast::wire::{Body, Codec, Dial};

use crate::frames::client_text;
use crate::world::name;

/// Its user, and the key of its topic.
pub(crate) const USER: &str = "ann";

#[derive(Debug, Clone)]
pub(crate) struct Honest {
    client: Client,
    socket: Option<(Dial, ConnId)>,
    sub: SubId,
    posted: u64,
    replies: u64,
    seen: u64,
    begun: bool,
}

impl Honest {
    pub(crate) fn new(now: Now) -> Self {
        let mut client = Client::new(Arc::new(ClientConfig::new("chat", "1.0")), [2; 32]);
        client.start(now);
        let request = SubscriptionRequest { topic: name("room"), key: USER.to_owned(), from: None };
        let sub = client.subscribe(now, request).expect("there is room");
        Self { client, socket: None, sub, posted: 0, replies: 0, seen: 0, begun: false }
    }

    pub(crate) fn is(&self, conn: ConnId) -> bool {
        self.socket.is_some_and(|(_, of)| of == conn)
    }

    pub(crate) fn is_user(&self, user: &str) -> bool {
        user == USER
    }

    pub(crate) fn poll_timeout(&self) -> Option<Now> {
        self.client.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) {
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            self.client.handle_timeout(now);
        }
    }

    /// Once its topic is there: before, the event might be part of the snapshot.
    pub(crate) fn post(&mut self, now: Now) {
        self.posted += 1;
        let body = Body(Bytes::from(format!("{{\"n\":{}}}", self.posted)));
        let submission = Submission {
            name: name("post"),
            body,
            timeout_ms: 600_000,
            declared_timeout_ms: 10_000,
            max_bytes: 500,
        };
        self.client.submit(now, submission).expect("there is room");
    }

    pub(crate) fn is_served(&self) -> bool {
        self.replies == self.posted && self.seen == self.posted
    }

    pub(crate) fn carry(&mut self, node: &mut Node, now: Now, last_conn: &mut u64) -> bool {
        let mut moved = false;
        while let Some(event) = self.client.poll_output() {
            moved = true;
            match event {
                Event::Dial { dial, .. } => {
                    assert!(self.socket.is_none(), "nothing has happened to the first socket");
                    *last_conn += 1;
                    self.socket = Some((dial, ConnId(*last_conn)));
                    node.handle_connected(now, ConnId(*last_conn), Codec::Json);
                    self.client.handle_connected(now, dial, None);
                }
                Event::Resolved { outcome, .. } => {
                    self.replies += 1;
                    assert!(matches!(outcome, CallOutcome::Reply(body) if is(&body, self.replies)));
                }
                Event::CloseSocket { close, .. } => {
                    assert!(close.code.is_none(), "the node broke a rule: {close}");
                }
                Event::TimedOut { .. } | Event::SubscriptionEnded { .. } => {
                    assert!(self.replies > self.posted, "neither happens to the honest client");
                }
                Event::State(_)
                | Event::Fate { .. }
                | Event::Subscribed { .. }
                | Event::Readable { .. } => {}
            }
        }
        let Some((dial, conn)) = self.socket else { return moved };
        while let Some(item) = self.client.poll_item(now, self.sub) {
            moved = true;
            self.see(&item);
        }
        while let Some(frame) = self.client.poll_transmit(now, dial) {
            moved = true;
            let message = client_text(Codec::Json, &frame);
            let frame = Codec::Json.read_client(&message).expect("what was written can be read");
            node.handle_frame(now, conn, frame);
        }
        moved
    }

    /// Its socket takes what there is.
    pub(crate) fn read(&mut self, node: &mut Node, now: Now) {
        let Some((dial, conn)) = self.socket else { return };
        while let Some(out) = node.poll_transmit(now, conn) {
            let message = Codec::Json.message(out);
            let frame = Codec::Json.read_server(&message).expect("what was written can be read");
            self.client.handle_frame(now, dial, frame, message.len());
        }
    }

    fn see(&mut self, item: &Item) {
        match item {
            Item::Event { body, .. } => {
                self.seen += 1;
                assert!(
                    is(body, self.seen),
                    "event {body:?} instead of the one of post {}",
                    self.seen
                );
            }
            Item::Snapshot { gap, .. } => {
                assert!(
                    gap.is_none() && !std::mem::replace(&mut self.begun, true),
                    "one snapshot, at the start"
                );
            }
            Item::Gap(_) | Item::Volatile { .. } => {
                assert!(!self.begun, "neither happens in this topic: {item:?}")
            }
        }
    }
}

fn is(body: &Body, n: u64) -> bool {
    body.0 == format!("{{\"n\":{n}}}").as_bytes()
}
