//! One client, one node, a memory store and a perfect network: the two cores speak with each other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use steadfast::session::client::{CallOutcome, Client, Event, Item, SubId, SubscriptionRequest};
use steadfast::session::node::{ConnId, Executed, Execution, Node, NodeEvent};
use steadfast::session::store::{OpId, Outcome, Retention, StoreOp};
use steadfast::session::{Close, Now};
use steadfast::store::MemoryState;
use steadfast::wire::{Body, Codec, Dial};
use steadfast_rig::fixtures::{self, ANN, ORDERED, ROOM, event, name, room};
use steadfast_rig::pump::{
    Begun, ClientHarness, NodeHarness, assert_nothing_is_left, left_at_client, left_at_node,
    pump_client, pump_node,
};

/// The key of the topic.
const KEY: &str = "den";

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
        let mut config = fixtures::node_config();
        for topic in config.topics_mut() {
            topic.retention = Retention::new(500, Duration::from_secs(600));
        }
        let mut node = Node::new(Arc::new(config), [1; 32]);
        let now = Now(0);
        node.start(now);
        let mut client = Client::new(Arc::new(fixtures::client_config()), [2; 32]);
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
    fn carry(&mut self) {
        let rests = (0..10_000).any(|_| !self.step());
        assert!(rests, "the pair comes to rest");
        assert_nothing_is_left(left_at_client(&mut self.client));
        assert_nothing_is_left(left_at_node(&mut self.node, self.now));
    }

    fn step(&mut self) -> bool {
        let client = pump_client(self).expect("the client comes to rest");
        let node = pump_node(self).expect("the node comes to rest");
        client.moved() | node.moved()
    }

    fn post(&mut self, text: &str) {
        let body = fixtures::body(format_args!("{{\"text\":\"{text}\"}}"));
        let command = fixtures::command(ORDERED, body, 600_000);
        self.client.submit(self.now, command).expect("there is room");
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
            self.carry();
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
    fn read(&mut self, sub: SubId, seen: &mut usize) {
        while let Some(item) = self.client.poll_item(self.now, sub) {
            if let Item::Event { body, .. } = item {
                assert_eq!(body.as_bytes(), format!("{{\"text\":\"{seen}\"}}").as_bytes());
                *seen += 1;
            }
        }
    }
}

impl ClientHarness for Pair {
    fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    fn event(&mut self, event: Event) {
        match &event {
            Event::Dial { dial, .. } => {
                self.next_conn += 1;
                let conn = ConnId(self.next_conn);
                self.conns.insert(*dial, conn);
                self.node.handle_connected(self.now, conn, Codec::Json);
                self.client.handle_connected(self.now, *dial, Some(ANN.into()));
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

    fn transmit(&mut self) -> bool {
        let mut moved = false;
        for (dial, conn) in self.conns.clone() {
            while let Some(frame) = self.client.poll_transmit(self.now, dial) {
                moved = true;
                let mut out = BytesMut::new();
                Codec::Json.write_client(&frame, &mut out);
                let frame = Codec::Json.read_client(&out).expect("what was written can be read");
                self.node.handle_frame(self.now, conn, frame);
            }
        }
        moved
    }
}

impl NodeHarness for Pair {
    fn node(&mut self) -> (&mut Node, Now) {
        (&mut self.node, self.now)
    }

    fn event(&mut self, event: NodeEvent) {
        if let NodeEvent::Close(conn, close) = event {
            let dial = self.conns.iter().find(|(_, of)| **of == conn).map(|(dial, _)| *dial);
            if let Some(dial) = dial {
                self.conns.remove(&dial);
                self.client.handle_closed(self.now, dial, close);
            }
        }
    }

    fn store(&mut self, op: OpId, what: StoreOp) {
        let outcome = self.store.apply(self.now, what);
        self.node.handle_store(self.now, op, outcome);
    }

    fn begin(&mut self, execution: Execution) -> Begun {
        let executed = match &execution {
            Execution::Authenticate { .. } => fixtures::admitted(ANN),
            Execution::Authorize { .. } => Executed::Authorized(Ok(())),
            Execution::Snapshot { .. } => fixtures::state(Body::UNIT),
            Execution::Command { body, .. } => {
                self.executed += 1;
                let publishes = vec![event(room(KEY), body.clone())];
                Executed::Command { outcome: Outcome::Ok(body.clone()), publishes }
            }
            Execution::Volatile { .. } => Executed::Volatile { publishes: Vec::new() },
        };
        self.node.handle_executed(self.now, execution.exec(), executed);
        Begun::Ended
    }

    fn transmit(&mut self) -> bool {
        let mut moved = false;
        for (dial, conn) in self.conns.clone() {
            while let Some(out) = self.node.poll_transmit(self.now, conn) {
                moved = true;
                let message = Codec::Json.message(out);
                let frame =
                    Codec::Json.read_server(&message).expect("what was written can be read");
                self.client.handle_frame(self.now, dial, frame, message.len());
            }
        }
        moved
    }
}

#[test]
fn commands_are_answered_and_their_events_arrive_in_order() {
    let mut pair = Pair::new();
    pair.carry();
    let request =
        SubscriptionRequest { topic: name(ROOM), key: KEY.into(), from: None, last: None };
    let sub = pair.client.subscribe(pair.now, request).expect("there is room");
    pair.carry();
    let mut seen = 0;
    for n in 0..600 {
        pair.post(&n.to_string());
        if n % 50 == 49 {
            pair.carry();
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
    pair.carry();
    let request =
        SubscriptionRequest { topic: name(ROOM), key: KEY.into(), from: None, last: None };
    let sub = pair.client.subscribe(pair.now, request).expect("there is room");
    pair.carry();
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
