//! Many threads for longer: every publication is in its logs once, in the order of its lease, and
//! nothing is left in the books.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use steadfast::session::Now;
use steadfast::session::store::{
    Append, AppendKey, Commit, Holder, LogEntry, Outcome, Publication, ReadFrom, Record, Retention,
    StoreOp, StoreOutcome, StoreTime, TopicId,
};
use steadfast::store::{MemoryBytes, MemoryLimits, MemoryStore, Store};
use steadfast::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name, TopicSeq};
use steadfast_rig::dice::Dice;

const THREADS: u64 = 4;
const COMMANDS: u64 = 2_000;
const TOPICS: u64 = 5;
const KEPT: Retention = Retention::new(1_000_000, std::time::Duration::from_secs(600));

fn topic(which: u64) -> TopicId {
    let name = Name::from_static("room").expect("a legal name");
    TopicId { name, key: which.to_string().into() }
}

fn ask(store: &MemoryStore, op: StoreOp) -> StoreOutcome {
    store.execute_at_once(op).expect("it answers at once")
}

/// A thread with two leases.
struct Client<'a> {
    store: &'a MemoryStore,
    dice: Dice,
    me: u64,
    sent: BTreeMap<LeaseId, u64>,
    direct: u64,
}

impl Client<'_> {
    fn lease(&mut self) -> LeaseId {
        LeaseId(u128::from(self.me * 10 + self.dice.below(2)))
    }

    fn open(&mut self, id: LeaseId) {
        let holder = Holder { node: 1, instance: InstanceId(1), dial: Dial(1) };
        let op = StoreOp::OpenLease {
            id,
            as_of: StoreTime::default(),
            holder,
            principal: format!("user {}", self.me).into(),
            codec: Codec::Json,
            ttl_ms: 1_000_000,
            unused_ttl_ms: 1_000_000,
            max_per_principal: 4,
            held_ms: 1_000_000,
        };
        assert!(matches!(ask(self.store, op), StoreOutcome::Lease { .. }));
    }

    /// A command that publishes to two topics; a part of them the store is not to settle.
    fn command(&mut self) {
        let lease = self.lease();
        if !self.sent.contains_key(&lease) {
            self.open(lease);
        }
        let sent = self.sent.entry(lease).or_default();
        *sent += 1;
        let n = *sent;
        let publishes = self.publications(&format!("{} {n}", lease.0));
        let settle = self.dice.below(4) > 0;
        let record = Record {
            hash: n,
            outcome: Outcome::Ok(Body::copy_from(b"{\"done\":true}")),
            publishes: publishes.clone(),
            settled: false,
        };
        let (retention, fresh_epochs) = (vec![KEPT; 2], vec![Epoch(self.me); 2]);
        let (n, id) = (CommandNo(n), None);
        let commit = Commit { n, record, settle, retention, fresh_epochs, id, decide: None };
        let low = CommandNo(n.0.saturating_sub(8));
        let outcome = ask(self.store, StoreOp::Commit { lease, low, commits: vec![commit] });
        let StoreOutcome::Committed { outcomes, .. } = outcome else { panic!("{outcome:?}") };
        let written = format!("{:?}", outcomes[0].1);
        if written.contains("settled: None") {
            self.settle(lease, n, publishes);
        }
    }

    fn publications(&mut self, text: &str) -> Vec<Publication> {
        let first = self.dice.below(TOPICS);
        let second = (first + 1 + self.dice.below(TOPICS - 1)) % TOPICS;
        let publish = |which| Publication {
            topic: topic(which),
            name: Name::from_static("said").expect("a legal name"),
            bodies: vec![(Codec::Json, Body::copy_from(text.as_bytes()))],
        };
        vec![publish(first), publish(second)]
    }

    /// As a node does it, with a repetition.
    fn settle(&mut self, lease: LeaseId, n: CommandNo, publishes: Vec<Publication>) {
        for (index, publication) in (0..).zip(publishes) {
            let key = AppendKey::Command { lease, n, index };
            for _ in 0..=self.dice.below(2) {
                self.append(key, publication.clone());
            }
        }
        let settled = ask(self.store, StoreOp::Settle { records: vec![(lease, n)] });
        assert_eq!(settled, StoreOutcome::Done);
    }

    fn append(&self, key: AppendKey, publication: Publication) {
        let Publication { topic, name, bodies } = publication;
        let appends = vec![Append { key, as_of: None, name, bodies }];
        let op = StoreOp::Append { topic, appends, retention: KEPT, fresh_epoch: Epoch(self.me) };
        assert!(matches!(ask(self.store, op), StoreOutcome::Appended(_)));
    }

    fn direct(&mut self) {
        self.direct += 1;
        let text = format!("d{} {}", self.me, self.direct);
        let publication = self.publications(&text).remove(0);
        let key = AppendKey::Direct { node: u128::from(self.me), count: self.direct };
        self.append(key, publication.clone());
        self.append(key, publication);
    }

    fn look(&mut self) {
        let op = match self.dice.below(3) {
            0 => StoreOp::ListUnsettled { max: 5, max_bytes: 9_999, after: None, older_than_ms: 0 },
            1 => StoreOp::Heads { topics: (0..TOPICS).map(topic).collect() },
            _ => StoreOp::OpenTopic { topic: topic(0), fresh_epoch: Epoch(1), retention: KEPT },
        };
        ask(self.store, op);
    }

    fn live(mut self) -> (BTreeMap<LeaseId, u64>, u64) {
        for _ in 0..COMMANDS {
            match self.dice.below(8) {
                0 => self.direct(),
                1 => self.look(),
                _ => self.command(),
            }
        }
        (self.sent, self.direct)
    }
}

fn log(store: &MemoryStore, which: u64) -> Vec<LogEntry> {
    let StoreOutcome::Heads(heads) = ask(store, StoreOp::Heads { topics: vec![topic(which)] })
    else {
        panic!("heads")
    };
    let epoch = heads[0].expect("every topic was used").epoch;
    let from = ReadFrom::After(TopicSeq::ZERO);
    let (max, max_bytes) = (u32::MAX, u64::MAX);
    let op = StoreOp::ReadLog { topic: topic(which), epoch, from, max, max_bytes };
    let StoreOutcome::Log { head, entries } = ask(store, op) else { panic!("log") };
    let numbers: Vec<u64> = entries.iter().map(|entry| entry.ts.0).collect();
    assert_eq!(numbers, (1..=head.head.0).collect::<Vec<u64>>(), "topic {which}");
    entries
}

/// How often each text is in the logs; those of a lease come in the order of its commands.
fn texts(store: &MemoryStore) -> BTreeMap<String, usize> {
    let mut texts = BTreeMap::new();
    for which in 0..TOPICS {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for entry in log(store, which) {
            let text = String::from_utf8(entry.bodies[0].1.as_bytes().to_vec()).expect("text");
            let (who, n) = text.split_once(' ').expect("two words");
            let n = n.parse().expect("a number");
            let before = last.insert(who.to_owned(), n);
            assert!(before.is_none_or(|before| before < n), "topic {which}, {who}: {n}");
            *texts.entry(text.clone()).or_default() += 1;
        }
    }
    texts
}

#[test]
fn a_crowd_loses_nothing_doubles_nothing_and_keeps_its_order() {
    let time = Arc::new(AtomicU64::new(0));
    let clock = {
        let time = Arc::clone(&time);
        move || Now(time.load(Ordering::Relaxed))
    };
    let store = MemoryStore::new(MemoryLimits::default(), Arc::new(clock));
    let client =
        |me| Client { store: &store, dice: Dice::new(me), me, sent: BTreeMap::new(), direct: 0 };
    let lives: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> =
            (1..=THREADS).map(|me| scope.spawn(move || client(me).live())).collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    let mut expected = BTreeMap::new();
    for (me, (sent, direct)) in (1..).zip(lives) {
        let commands = sent
            .into_iter()
            .flat_map(|(lease, sent)| (1..=sent).map(move |n| (format!("{} {n}", lease.0), 2)));
        expected.extend(commands);
        expected.extend((1..=direct).map(|n| (format!("d{me} {n}"), 1)));
    }
    assert!(texts(&store) == expected);
    assert_eq!(store.bytes().owed, 0);
    assert!(store.bytes().replies > 0 && store.bytes().logs > 0);
    time.fetch_add(1_000_000_000, Ordering::Relaxed);
    ask(&store, StoreOp::Heads { topics: vec![topic(0)] });
    assert_eq!(store.bytes(), MemoryBytes::default());
}

#[test]
fn a_clock_that_panics_leaves_the_store_as_it_was() {
    let fails = Arc::new(AtomicU64::new(0));
    let clock = {
        let fails = Arc::clone(&fails);
        move || {
            assert!(fails.load(Ordering::Relaxed) == 0, "the clock has stopped");
            Now(5)
        }
    };
    let store = MemoryStore::new(MemoryLimits::default(), Arc::new(clock));
    let op = StoreOp::OpenTopic { topic: topic(1), fresh_epoch: Epoch(7), retention: KEPT };
    let opened = ask(&store, op.clone());
    fails.store(1, Ordering::Relaxed);
    thread::scope(|scope| {
        let failed = scope.spawn(|| ask(&store, op.clone())).join();
        assert!(failed.is_err());
    });
    fails.store(0, Ordering::Relaxed);
    assert_eq!(ask(&store, op), opened);
}

/// The clock is asked while locks are held, so it can keep somebody there.
#[test]
fn whoever_holds_a_shard_keeps_nobody_from_the_others() {
    const KEPT_IN: &str = "is kept in";
    let ((enter, entered), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
    let (enter, released) = (Mutex::new(enter), Mutex::new(released));
    let clock = move || {
        if thread::current().name() == Some(KEPT_IN) {
            enter.lock().expect("no panic").send(()).expect("the test goes on");
            released.lock().expect("no panic").recv().expect("the test goes on");
        }
        Now(5)
    };
    let store = MemoryStore::new(MemoryLimits::default(), Arc::new(clock));
    let open =
        |which| StoreOp::OpenTopic { topic: topic(which), fresh_epoch: Epoch(1), retention: KEPT };
    let (store, open) = (&store, &open);
    thread::scope(|scope| {
        let inside = thread::Builder::new().name(KEPT_IN.to_owned());
        inside.spawn_scoped(scope, move || ask(store, open(0))).expect("a thread can be made");
        entered.recv().expect("it has a shard of topics");
        let (tell, told) = mpsc::channel();
        // Some of them may want the same shard; the others have what they want at once.
        for which in 1..8 {
            let tell = tell.clone();
            scope.spawn(move || drop(tell.send(ask(store, open(which)))));
        }
        assert!(matches!(told.recv(), Ok(StoreOutcome::Topic(_))));
        let (me, sent) = (1, BTreeMap::new());
        Client { store, dice: Dice::new(1), me, sent, direct: 0 }.open(LeaseId(10));
        release.send(()).expect("it waits");
    });
}
