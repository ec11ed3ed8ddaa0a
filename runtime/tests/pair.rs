//! One client, one node, a memory store and a perfect network: the two cores speak with each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use steadfast::session::client::{
    CallOutcome, Client, ClientConfig, Event, Item, Submission, SubscriptionRequest,
};
use steadfast::session::node::{
    ConnId, Executed, Execution, Identity, MessageKind, MessageSpec, Node, NodeConfig, NodeEvent,
    Output, Principal, StagedPublish, TopicSpec,
};
use steadfast::session::store::{Outcome, Publication, Retention, TopicId};
use steadfast::session::{Close, Now};
use steadfast::store::MemoryState;
use steadfast::wire::{Body, Codec, Dial, Name};

fn name(text: &'static str) -> Name {
    Name::from_static(text).expect("a legal name")
}

struct Pair {
    now: Now,
    client: Client,
    node: Node,
    store: MemoryState,
    conns: BTreeMap<Dial, ConnId>,
    next_conn: u64,
    events: Vec<Event>,
    executed: u32,
}

impl Pair {
    fn new() -> Self {
        let mut config = NodeConfig::new("chat");
        let kind = MessageKind::Command { ordered: true };
        config.add_message(MessageSpec::new(name("post"), 0, kind));
        let retention = Retention::new(500, Duration::from_secs(600));
        config.add_topic(TopicSpec::new(name("room"), retention, true));
        let mut node = Node::new(Arc::new(config), [1; 32]);
        let now = Now(0);
        node.start(now);
        let mut client = Client::new(Arc::new(ClientConfig::new("chat", "1.0")), [2; 32]);
        client.start(now);
        let store = MemoryState::default();
        Self {
            now,
            client,
            node,
            store,
            conns: BTreeMap::new(),
            next_conn: 0,
            events: Vec::new(),
            executed: 0,
        }
    }

    /// Carries everything to and fro until nothing moves.
    fn settle(&mut self) {
        let rests = (0..10_000).any(|_| !self.step());
        assert!(rests, "the pair does not come to rest");
    }

    fn step(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.client.poll_output() {
            moved = true;
            match &event {
                Event::Dial { dial, .. } => {
                    self.next_conn += 1;
                    let conn = ConnId(self.next_conn);
                    self.conns.insert(*dial, conn);
                    self.node.handle_connected(self.now, conn, Codec::Json);
                    self.client.handle_connected(self.now, *dial, Some("ann".into()));
                }
                Event::CloseSocket { dial, close } => {
                    if let Some(conn) = self.conns.remove(dial) {
                        self.node.handle_disconnected(self.now, conn, close.clone());
                    }
                }
                _ => {}
            }
            self.events.push(event);
        }
        for (dial, conn) in self.conns.clone() {
            moved |= self.carry(dial, conn);
        }
        while let Some(output) = self.node.poll_output(self.now) {
            moved = true;
            match output {
                // Each has ended when the next one is handed out, ahead of its order or not.
                Output::Execute { execution, .. } => self.execute(execution),
                Output::Store(op, what) => {
                    let outcome = self.store.apply(self.now, what);
                    self.node.handle_store(self.now, op, outcome);
                }
                Output::Event(event) => self.on_event(event),
            }
        }
        moved
    }

    fn on_event(&mut self, event: NodeEvent) {
        if let NodeEvent::Close(conn, close) = event {
            let dial = self.conns.iter().find(|(_, of)| **of == conn).map(|(dial, _)| *dial);
            if let Some(dial) = dial {
                self.conns.remove(&dial);
                self.client.handle_closed(self.now, dial, close);
            }
        }
    }

    fn carry(&mut self, dial: Dial, conn: ConnId) -> bool {
        let mut moved = false;
        while let Some(frame) = self.client.poll_transmit(self.now, dial) {
            moved = true;
            let mut out = BytesMut::new();
            Codec::Json.write_client(&frame, &mut out);
            let frame = Codec::Json.read_client(&out).expect("what was written can be read");
            self.node.handle_frame(self.now, conn, frame);
        }
        while let Some(out) = self.node.poll_transmit(self.now, conn) {
            moved = true;
            let message = Codec::Json.message(out);
            let frame = Codec::Json.read_server(&message).expect("what was written can be read");
            self.client.handle_frame(self.now, dial, frame, message.len());
        }
        moved
    }

    fn execute(&mut self, execution: Execution) {
        let (exec, executed) = match execution {
            Execution::Authenticate { exec, .. } => {
                let identity = Identity::new(Principal::new("ann"));
                (exec, Executed::Authenticated(Ok(identity)))
            }
            Execution::Authorize { exec, .. } => (exec, Executed::Authorized(Ok(()))),
            Execution::Snapshot { exec, .. } => {
                (exec, Executed::Snapshot(Some((name("history"), vec![(Codec::Json, Body::UNIT)]))))
            }
            Execution::Command { exec, body, .. } => {
                self.executed += 1;
                let publication = Publication {
                    topic: TopicId { name: name("room"), key: "den".into() },
                    name: name("posted"),
                    bodies: vec![(Codec::Json, body.clone())],
                };
                let publishes = vec![StagedPublish::Event(publication)];
                (exec, Executed::Command { outcome: Outcome::Ok(body), publishes })
            }
            Execution::Volatile { exec, .. } => {
                (exec, Executed::Volatile { publishes: Vec::new() })
            }
        };
        self.node.handle_executed(self.now, exec, executed);
    }

    fn post(&mut self, text: &str) {
        let body = Body(Bytes::from(format!("{{\"text\":\"{text}\"}}")));
        let submission = Submission {
            name: name("post"),
            body,
            timeout_ms: 600_000,
            declared_timeout_ms: 10_000,
            max_bytes: 65_536,
        };
        self.client.submit(self.now, submission).expect("there is room");
    }

    fn cut(&mut self) {
        for (dial, conn) in std::mem::take(&mut self.conns) {
            self.node.handle_disconnected(self.now, conn, Close::lost("cut"));
            self.client.handle_closed(self.now, dial, Close::lost("cut"));
        }
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        loop {
            self.settle();
            let next =
                [self.client.poll_timeout(), self.node.poll_timeout()].into_iter().flatten().min();
            match next.filter(|at| *at <= end) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.client.handle_timeout(self.now);
                    self.node.handle_timeout(self.now);
                }
                None => break,
            }
        }
        self.now = end;
    }

    fn replies(&self) -> usize {
        let reply = |event: &&Event| {
            matches!(event, Event::Resolved { outcome: CallOutcome::Reply(_), .. })
        };
        self.events.iter().filter(reply).count()
    }

    /// Takes every item that waits; events must continue the count.
    fn read(&mut self, sub: steadfast::session::client::SubId, seen: &mut usize) {
        while let Some(item) = self.client.poll_item(self.now, sub) {
            if let Item::Event { body, .. } = item {
                assert_eq!(&body.0[..], format!("{{\"text\":\"{seen}\"}}").as_bytes());
                *seen += 1;
            }
        }
    }
}

#[test]
fn commands_are_answered_and_their_events_arrive_in_order() {
    let mut pair = Pair::new();
    pair.settle();
    let request = SubscriptionRequest { topic: name("room"), key: "den".into(), from: None };
    let sub = pair.client.subscribe(pair.now, request).expect("there is room");
    pair.settle();
    let mut seen = 0;
    for n in 0..600 {
        pair.post(&n.to_string());
        if n % 50 == 49 {
            pair.settle();
            pair.read(sub, &mut seen);
        }
    }
    for _ in 0..50 {
        pair.wait(300);
        pair.read(sub, &mut seen);
    }
    assert_eq!((seen, pair.replies(), pair.executed), (600, 600, 600));
}

#[test]
fn cuts_cost_nothing_but_time() {
    let mut pair = Pair::new();
    pair.settle();
    let request = SubscriptionRequest { topic: name("room"), key: "den".into(), from: None };
    let sub = pair.client.subscribe(pair.now, request).expect("there is room");
    pair.settle();
    let mut seen = 0;
    let mut posted = 0;
    for round in 0..40_u64 {
        for _ in 0..7 {
            pair.post(&posted.to_string());
            posted += 1;
        }
        for _ in 0..round % 5 {
            pair.step();
        }
        pair.cut();
        pair.wait(40_000);
        pair.read(sub, &mut seen);
    }
    assert_eq!((seen, pair.replies(), pair.executed), (posted, posted, 280));
}
