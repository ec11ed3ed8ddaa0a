//! The honest client: a production core on a socket of its own, that posts and follows what it
//! posted. It checks that its replies and events are its own, in order and without a gap.

use std::sync::Arc;

use steadfast::session::Now;
use steadfast::session::client::{
    CallOutcome, Client, Event, Item, SubId, Submission, SubscriptionRequest,
};
use steadfast::session::node::{ConnId, Node};
use steadfast::wire::{Body, Codec, Dial};
use steadfast_rig::fixtures::{self, ANN, ORDERED, ROOM, name};
use steadfast_rig::pump::{ClientHarness, assert_nothing_is_left, left_at_client};

use crate::frames::client_text;

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
        let mut client = Client::new(Arc::new(fixtures::client_config()), [2; 32]);
        client.start(now);
        let request =
            SubscriptionRequest { topic: name(ROOM), key: ANN.to_owned(), from: None, last: None };
        let sub = client.subscribe(now, request).expect("there is room");
        Self { client, socket: None, sub, posted: 0, replies: 0, seen: 0, begun: false }
    }

    pub(crate) fn is(&self, conn: ConnId) -> bool {
        self.socket.is_some_and(|(_, of)| of == conn)
    }

    pub(crate) fn has_nothing_left(&mut self) {
        assert_nothing_is_left(left_at_client(&mut self.client));
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
        let body = fixtures::body(format_args!("{{\"n\":{}}}", self.posted));
        let command = fixtures::command(ORDERED, body, 600_000);
        let submission = Submission { max_bytes: 500, ..command };
        self.client.submit(now, submission).expect("there is room");
    }

    pub(crate) fn is_served(&self) -> bool {
        self.replies == self.posted && self.seen == self.posted
    }

    /// With the node that it speaks to.
    pub(crate) const fn at<'w>(
        &'w mut self,
        node: &'w mut Node,
        now: Now,
        last_conn: &'w mut u64,
    ) -> Driver<'w> {
        Driver { honest: self, node, now, last_conn }
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

/// The honest client's driver.
pub(crate) struct Driver<'w> {
    honest: &'w mut Honest,
    node: &'w mut Node,
    now: Now,
    last_conn: &'w mut u64,
}

impl ClientHarness for Driver<'_> {
    fn client(&mut self) -> &mut Client {
        &mut self.honest.client
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Dial { dial, .. } => self.dial(dial),
            Event::Resolved { outcome, .. } => {
                self.honest.replies += 1;
                let replies = self.honest.replies;
                assert!(matches!(outcome, CallOutcome::Reply(body) if is(&body, replies)));
            }
            Event::CloseSocket { close, .. } => {
                assert!(close.code.is_none(), "the node broke a rule: {close}");
            }
            Event::TimedOut { .. } | Event::SubscriptionEnded { .. } => {
                let Honest { replies, posted, .. } = &self.honest;
                assert!(replies > posted, "neither happens to the honest client");
            }
            Event::State(_)
            | Event::Withdrawn { .. }
            | Event::Save { .. }
            | Event::Fate { .. }
            | Event::Subscribed { .. }
            | Event::Readable { .. }
            | Event::Inbox => {}
        }
    }

    fn transmit(&mut self) -> bool {
        let mut moved = false;
        let Some((dial, conn)) = self.honest.socket else { return false };
        while let Some(item) = self.honest.client.poll_item(self.now, self.honest.sub) {
            moved = true;
            self.honest.see(&item);
        }
        while let Some(frame) = self.honest.client.poll_transmit(self.now, dial) {
            moved = true;
            let message = client_text(Codec::Json, &frame);
            let frame = Codec::Json.read_client(&message).expect("what was written can be read");
            self.node.handle_frame(self.now, conn, frame);
        }
        moved
    }
}

impl Driver<'_> {
    fn dial(&mut self, dial: Dial) {
        assert!(self.honest.socket.is_none(), "nothing has happened to the first socket");
        *self.last_conn += 1;
        let conn = ConnId(*self.last_conn);
        self.honest.socket = Some((dial, conn));
        self.node.handle_connected(self.now, conn, Codec::Json);
        self.honest.client.handle_connected(self.now, dial, None);
    }
}

fn is(body: &Body, n: u64) -> bool {
    body.as_bytes() == format!("{{\"n\":{n}}}").as_bytes()
}
