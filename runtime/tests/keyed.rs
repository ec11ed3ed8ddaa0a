//! A keyed topic between a client and a node: whatever is cut, skipped, forgotten and read late,
//! what a mirror calls the topic's state is its state (PROTOCOL.md 7.20 to 7.24).
#![allow(clippy::panic, reason = "a failed step is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use proptest::prelude::*;
use steadfast::session::client::{
    Client, Event, Item, Mirror, MirrorChange, MirrorLimits, Standing, SubId, SubscriptionRequest,
};
use steadfast::session::node::{ConnId, Executed, Execution, Node, NodeEvent, TopicSpec};
use steadfast::session::store::{
    Advanced, Append, AppendKey, AppendOutcome, Appended, News, OpId, Publication, ReadFrom,
    Retention, StoreOp, StoreOutcome, TopicId,
};
use steadfast::session::{Close, Now};
use steadfast::store::MemoryState;
use steadfast::wire::{Codec, Dial, Epoch, Position, ServerFrame, TopicSeq, Window};
use steadfast_rig::fixtures::{self, ANN, name, number_in};
use steadfast_rig::pump::{Begun, ClientHarness, NodeHarness, pump_client, pump_node};

const BOARD: &str = "board";

/// What a world is like.
#[derive(Debug, Clone)]
struct Setting {
    items: u32,
    ttl_ms: u64,
    live_entries: u32,
    read_bytes: u32,
    pages: u32,
    credit: Window,
}

#[derive(Debug, Clone)]
enum Deed {
    /// This node publishes.
    Publish(u8),
    /// Another node does, and its news comes, or not.
    Elsewhere(u8, bool),
    Read(u8),
    Step(u8),
    Cut,
    Wait(u64),
    Roll,
    Delete,
}

fn setting() -> impl Strategy<Value = Setting> {
    (1_u32..8, 500_u64..60_000, 1_u32..6, 1_u32..200, 1_u32..3, 1_u32..6, 1_u32..200).prop_map(
        |(items, ttl_ms, live_entries, read_bytes, pages, frames, bytes)| Setting {
            items,
            ttl_ms,
            live_entries,
            read_bytes,
            pages,
            credit: Window { frames, bytes },
        },
    )
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        12 => any::<u8>().prop_map(Deed::Publish),
        6 => (any::<u8>(), any::<bool>()).prop_map(|(what, told)| Deed::Elsewhere(what, told)),
        6 => (1_u8..6).prop_map(Deed::Read),
        4 => (1_u8..4).prop_map(Deed::Step),
        2 => Just(Deed::Cut),
        4 => (0_u64..700).prop_map(Deed::Wait),
        1 => (5_000_u64..40_000).prop_map(Deed::Wait),
        1 => Just(Deed::Roll),
        1 => Just(Deed::Delete),
    ]
}

/// Where a log stands, its oldest number, and what it has.
type Log = (Position, TopicSeq, Vec<(TopicSeq, u64)>);

struct World {
    now: Now,
    client: Client,
    node: Node,
    store: MemoryState,
    conns: BTreeMap<Dial, ConnId>,
    next_conn: u64,
    sub: SubId,
    mirror: Mirror<u64>,
    /// What the changes of the mirror add up to.
    screen: BTreeSet<u64>,
    items: u32,
    retention: Retention,
    floor: TopicSeq,
    /// Everything that was ever appended.
    history: BTreeMap<(Epoch, TopicSeq), u64>,
    count: u64,
    rolls: u64,
    skips: u64,
}

/// The item that a number is about, and whether it removes it.
fn item_of(number: u64) -> (Arc<str>, bool) {
    (format!("i{}", number % 256 % 11).into(), (number % 256).is_multiple_of(7))
}

fn board() -> TopicId {
    fixtures::topic(BOARD, "b")
}

fn publication(number: u64) -> Publication {
    let event = fixtures::publication(board(), fixtures::numbered(number, ""));
    Publication { item: Some(item_of(number).0), ..event }
}

impl World {
    fn new(setting: &Setting) -> Self {
        let retention = Retention::new(setting.items, Duration::from_millis(setting.ttl_ms));
        let mut config = fixtures::node_config_with([TopicSpec::keyed(name(BOARD), retention)]);
        config.live_entries = setting.live_entries;
        config.read_bytes = setting.read_bytes;
        config.pages_per_topic = setting.pages;
        let now = Now(0);
        let mut node = Node::new(Arc::new(config), [1; 32]);
        node.start(now);
        let mut config = fixtures::client_config();
        config.credit = setting.credit;
        let mut client = Client::new(Arc::new(config), [2; 32]);
        client.start(now);
        let request =
            SubscriptionRequest { topic: name(BOARD), key: "b".into(), from: None, last: None };
        let sub = client.subscribe(now, request).expect("there is room");
        Self {
            now,
            client,
            node,
            store: MemoryState::default(),
            conns: BTreeMap::new(),
            next_conn: 0,
            sub,
            mirror: Mirror::new(MirrorLimits::default()),
            screen: BTreeSet::new(),
            items: setting.items,
            retention,
            floor: TopicSeq::ZERO,
            history: BTreeMap::new(),
            count: 0,
            rolls: 0,
            skips: 0,
        }
    }

    fn act(&mut self, deed: &Deed) {
        match deed {
            Deed::Publish(what) => {
                let number = self.number(*what);
                self.node.publish(self.now, publication(number));
            }
            Deed::Elsewhere(what, told) => self.elsewhere(*what, *told),
            Deed::Read(items) => while_more(*items, || self.read()),
            Deed::Step(steps) => while_more(*steps, || self.step()),
            Deed::Cut => self.cut(),
            Deed::Wait(ms) => self.wait(*ms),
            Deed::Roll => {
                self.rolls += 1;
                self.store.begin_incarnation(self.now, self.rolls);
                self.remember_log();
                self.node.handle_news(self.now, News::Rolled);
            }
            Deed::Delete => drop(self.store.delete_topic(self.now, &board())),
        }
    }

    fn number(&mut self, what: u8) -> u64 {
        self.count += 1;
        self.count * 256 + u64::from(what)
    }

    fn elsewhere(&mut self, what: u8, told: bool) {
        let number = self.number(what);
        let Publication { name, item, bodies, .. } = publication(number);
        let key = AppendKey::Direct { node: 99, count: number };
        let appends = vec![Append { key, as_of: None, name, item, bodies }];
        let (topic, fresh_epoch) = (board(), Epoch(number));
        let retention = self.retention;
        let op = StoreOp::Append { topic, appends, retention, fresh_epoch };
        let outcome = self.apply(op);
        if told
            && let StoreOutcome::Appended(outcomes) = outcome
            && let [AppendOutcome::Landed(Appended { epoch, ts })] = outcomes[..]
        {
            let head = Position { epoch, ts };
            let advanced = Advanced { topic: board(), head, entries: Vec::new() };
            self.node.handle_news(self.now, News::Advanced(vec![advanced]));
        }
    }

    /// Carries an operation out, and notes what it has appended.
    fn apply(&mut self, op: StoreOp) -> StoreOutcome {
        let outcome = self.store.apply(self.now, op.clone());
        let history = &mut self.history;
        op.landed(&outcome, |_, (_, bodies), Appended { epoch, ts }| {
            history.insert((epoch, ts), number_in(&bodies[0].1));
        });
        outcome
    }

    /// What the store has of the topic.
    fn log(&mut self) -> Option<Log> {
        let heads = self.store.apply(self.now, StoreOp::Heads { topics: vec![board()] });
        let StoreOutcome::Heads(heads) = heads else { panic!("{heads:?}") };
        let head = heads[0]?;
        let (epoch, from) = (head.epoch, ReadFrom::After(TopicSeq::ZERO));
        let (max, max_bytes) = (10_000, u64::MAX);
        let op = StoreOp::ReadLog { topic: board(), epoch, from, max, max_bytes };
        let StoreOutcome::Log { entries, .. } = self.store.apply(self.now, op) else { return None };
        let entries = entries.iter().map(|it| (it.ts, number_in(&it.bodies[0].1))).collect();
        Some((Position { epoch, ts: head.head }, head.oldest, entries))
    }

    /// After a roll what is left has its numbers in the new epoch, too.
    fn remember_log(&mut self) {
        let Some((head, _, entries)) = self.log() else { return };
        for (ts, number) in entries {
            self.history.insert((head.epoch, ts), number);
        }
    }

    /// The topic's state at a place, as everything that was ever appended shows it.
    fn state(&self, at: Position, floor: TopicSeq) -> BTreeSet<u64> {
        let events = self.history.range((at.epoch, TopicSeq::ZERO)..=(at.epoch, at.ts));
        let mut latest: BTreeMap<Arc<str>, (TopicSeq, u64)> = BTreeMap::new();
        for ((_, ts), number) in events {
            latest.insert(item_of(*number).0, (*ts, *number));
        }
        let mut latest: Vec<(TopicSeq, u64)> = latest.into_values().collect();
        latest.sort_unstable();
        latest.reverse();
        latest.truncate(self.items as usize);
        let above = latest.into_iter().filter(|(ts, _)| *ts > floor);
        above.map(|(_, number)| number).filter(|number| !item_of(*number).1).collect()
    }

    /// The application takes an item.
    fn read(&mut self) -> bool {
        let Some(item) = self.client.poll_item(self.now, self.sub) else { return false };
        match item {
            Item::Event { position, body, .. } => {
                let number = number_in(&body);
                let (item, removes) = item_of(number);
                let value = (!removes).then_some(number);
                self.mirror.event(position, item, value, body.len() as u64).expect("it is small");
            }
            Item::Standing(standing) => {
                self.mirror.standing(standing);
                if let Standing::Complete { position, floor, items } = standing {
                    assert_eq!(items, self.items);
                    self.floor = floor;
                    self.is_a_floor(position, floor);
                }
            }
            Item::Gap(gap) => {
                self.mirror.reset(gap);
                self.floor = TopicSeq::ZERO;
            }
            other => panic!("{other:?} of a keyed topic"),
        }
        self.show();
        if let Some(live) = self.mirror.live() {
            assert_eq!(self.shown(), self.state(live, self.floor), "at {live:?}");
        }
        true
    }

    /// Nothing that the store still has is at or below a floor.
    fn is_a_floor(&mut self, at: Position, floor: TopicSeq) {
        if let Some((head, oldest, _)) = self.log().filter(|(head, ..)| head.epoch == at.epoch) {
            assert!(floor < oldest && at.ts <= head.ts, "{floor} at {at:?}, {oldest} of {head:?}");
        }
    }

    fn shown(&self) -> BTreeSet<u64> {
        self.mirror.iter().map(|(_, number)| **number).collect()
    }

    /// The changes make the same picture as the mirror itself.
    fn show(&mut self) {
        while let Some(change) = self.mirror.poll_change() {
            match change {
                MirrorChange::Item { old, new } => {
                    if let Some(old) = old {
                        assert!(self.screen.remove(&old), "{old} was there");
                    }
                    self.screen.extend(new.map(|new| *new));
                }
                MirrorChange::Reset(_) => self.screen.clear(),
                MirrorChange::Live | MirrorChange::Behind => {}
            }
        }
        assert_eq!(self.screen, self.shown());
    }

    fn step(&mut self) -> bool {
        let client = pump_client(self).expect("the client comes to rest");
        let node = pump_node(self).expect("the node comes to rest");
        client.moved() | node.moved()
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
            assert!((0..10_000).any(|_| !self.step()), "it comes to rest");
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

    /// Nothing more happens, and everything is read: the mirror is the topic's state.
    fn settles(&mut self) {
        for _ in 0..400 {
            self.wait(300);
            while self.read() {}
        }
        let live = self.mirror.live().expect("it is live");
        let (head, _, entries) = self.log().expect("whoever follows has made it");
        assert_eq!(live, head, "it is up to date");
        let numbers = entries.into_iter().map(|(_, number)| number);
        let state: BTreeSet<u64> = numbers.filter(|number| !item_of(*number).1).collect();
        assert_eq!(self.shown(), state, "it is the topic's state");
    }
}

/// Does something so often, or until there is no more to do.
fn while_more(times: u8, mut act: impl FnMut() -> bool) {
    let _ = (0..times).all(|_| act());
}

impl ClientHarness for World {
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
                assert_eq!(close.code, None, "nobody breaks a rule: {close:?}");
                if let Some(conn) = self.conns.remove(dial) {
                    self.node.handle_disconnected(self.now, conn, close.clone());
                }
            }
            Event::SubscriptionEnded { end, .. } => panic!("it has ended: {end:?}"),
            _ => {}
        }
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

impl NodeHarness for World {
    fn node(&mut self) -> (&mut Node, Now) {
        (&mut self.node, self.now)
    }

    fn event(&mut self, event: NodeEvent) {
        if let NodeEvent::Close(conn, close) = event {
            assert_eq!(close.code, None, "nobody breaks a rule: {close:?}");
            let dial = self.conns.iter().find(|(_, of)| **of == conn).map(|(dial, _)| *dial);
            if let Some(dial) = dial {
                self.conns.remove(&dial);
                self.client.handle_closed(self.now, dial, close);
            }
        }
    }

    fn store(&mut self, op: OpId, what: StoreOp) {
        let outcome = self.apply(what);
        self.node.handle_store(self.now, op, outcome);
    }

    fn begin(&mut self, execution: Execution) -> Begun {
        let executed = match &execution {
            Execution::Authenticate { .. } => fixtures::admitted(ANN),
            Execution::Authorize { .. } => Executed::Authorized(Ok(())),
            other => panic!("{other:?}"),
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
                self.skips += u64::from(matches!(frame, ServerFrame::Skip { .. }));
                self.client.handle_frame(self.now, dial, frame, message.len());
            }
        }
        moved
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_mirror_that_says_it_is_live_is_the_topics_state(
        setting in setting(),
        deeds in prop::collection::vec(deed(), 1..120),
    ) {
        let mut world = World::new(&setting);
        for deed in &deeds {
            world.act(deed);
        }
        world.settles();
    }
}

/// A client that does not read gets each item once, however often it has changed.
#[test]
fn a_slow_subscriber_does_not_get_what_was_superseded() {
    let credit = Window { frames: 2, bytes: 1_000_000 };
    let setting = Setting {
        items: 100,
        ttl_ms: 600_000,
        live_entries: 4,
        read_bytes: 1_000_000,
        pages: 2,
        credit,
    };
    let mut world = World::new(&setting);
    world.wait(1_000);
    while world.read() {}
    for round in 0..1_000_u64 {
        world.act(&Deed::Publish((round % 3) as u8 + 1));
        world.step();
    }
    let mut events = 0;
    for _ in 0..200 {
        world.wait(300);
        while world.read() {
            events += 1;
        }
    }
    world.settles();
    assert!(world.skips > 0 && events < 150, "{events} items for a thousand changes of three");
}
