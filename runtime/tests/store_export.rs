//! Carries what one store holds into another one, as text: nothing is lost on the way, and what is
//! damaged or cut off is told.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::session::Now;
use steadfast::session::store::{
    Append, AppendKey, Commit, CommitId, Holder, MessageId, OpId, Outcome, Publication, Record,
    Retention, StoreOp, StoreOutcome, StoreTime, TopicId,
};
use steadfast::store::{
    AdminError, ExportError, ImportError, MemoryLimits, MemoryStore, StoreAdmin, TopicPage, export,
    import,
};
use steadfast::wire::{
    Body, Codec, CommandNo, Dial, Epoch, FailureCode, InstanceId, LeaseId, Name, TopicSeq,
};

const KEPT: Retention = Retention::new(1_000, Duration::from_secs(3_600));
const LEASE: LeaseId = LeaseId(77);

struct Timed {
    store: MemoryStore,
    time: Arc<AtomicU64>,
}

fn timed(limits: MemoryLimits, from: u64) -> Timed {
    let time = Arc::new(AtomicU64::new(from));
    let clock = Arc::clone(&time);
    let store = MemoryStore::new(limits, Arc::new(move || Now(clock.load(Ordering::Relaxed))));
    Timed { store, time }
}

fn ask(store: &MemoryStore, op: StoreOp) -> StoreOutcome {
    store.execute_now(vec![(OpId(1), op)]).remove(0).1
}

fn topic(key: &str) -> TopicId {
    TopicId { name: Name::from_static("room").unwrap(), key: key.into() }
}

fn event(key: &str, text: &str) -> Publication {
    let bodies = vec![(Codec::Json, Body::copy_from(text.as_bytes()))];
    Publication { topic: topic(key), name: Name::from_static("posted").unwrap(), bodies }
}

fn say(store: &MemoryStore, count: u64, key: &str, text: &str) {
    let Publication { topic, name, bodies } = event(key, text);
    let key = AppendKey::Direct { node: 1, count };
    let appends = vec![Append { key, as_of: None, name, bodies }];
    let op = StoreOp::Append { topic, appends, retention: KEPT, fresh_epoch: Epoch(5) };
    assert!(matches!(ask(store, op), StoreOutcome::Appended(_)));
}

fn id(text: &str) -> MessageId {
    let message = Name::from_static("order").unwrap();
    MessageId { principal: "ann".into(), message, text: text.into() }
}

/// A command that has taken an id, and owes its publications.
fn commit(store: &MemoryStore, n: u64, outcome: Outcome, publishes: &[Publication]) {
    let (retention, fresh_epochs) = (vec![KEPT; publishes.len()], vec![Epoch(6); publishes.len()]);
    let taken = CommitId { id: id(&format!("x{n}")), hash: n, keep_ms: 50_000 };
    let record = Record { hash: n, outcome, publishes: publishes.into(), settled: false };
    let commit = Commit {
        n: CommandNo(n),
        record,
        settle: false,
        retention,
        fresh_epochs,
        id: Some(Box::new(taken)),
        decide: None,
    };
    let op = StoreOp::Commit { lease: LEASE, low: CommandNo(0), commits: vec![commit] };
    assert!(matches!(ask(store, op), StoreOutcome::Committed { .. }));
}

/// Topics with logs, ids of each kind of outcome that stands, and a record that is not settled.
fn filled() -> Timed {
    let timed = timed(MemoryLimits::default(), 1_000_000);
    let store = &timed.store;
    let open = StoreOp::OpenLease {
        id: LEASE,
        as_of: StoreTime::default(),
        holder: Holder { node: 1, instance: InstanceId(1), dial: Dial(1) },
        principal: "ann".into(),
        codec: Codec::Json,
        ttl_ms: 90_000,
        unused_ttl_ms: 90_000,
        max_per_principal: 8,
        held_ms: 90_000,
    };
    assert!(matches!(ask(store, open), StoreOutcome::Lease { .. }));
    for count in 0..700 {
        say(store, count, "long", &format!("{{\"n\":{count},\"t\":\"\\n\"}}"));
    }
    timed.time.fetch_add(2_000, Ordering::Relaxed);
    say(store, 1_000, "short", "{}");
    let op = StoreOp::OpenTopic { topic: topic("empty"), fresh_epoch: Epoch(9), retention: KEPT };
    assert!(matches!(ask(store, op), StoreOutcome::Topic(_)));
    let sold_out =
        Outcome::failed(FailureCode::Error, Name::from_static("sold_out").unwrap(), Body::UNIT);
    commit(store, 1, Outcome::Ok(Body::copy_from(b"{\"no\":1}")), &[]);
    commit(store, 2, sold_out, &[event("short", "\"owed\""), event("new", "[]")]);
    timed.time.fetch_add(3_000, Ordering::Relaxed);
    timed
}

async fn exported(store: &MemoryStore) -> String {
    let mut text = Vec::new();
    export(store, &mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

async fn all_but_epochs(store: &MemoryStore) -> Vec<String> {
    let mut all = Vec::new();
    for listed in store.list_topics(TopicPage::first(100)).await.unwrap() {
        let page = store.read_back(&listed.topic, None, u32::MAX, u64::MAX).await.unwrap().unwrap();
        let stands = (listed.head.head, listed.head.oldest, listed.bytes, listed.retention);
        all.push(format!("{:?} {stands:?} {:?}", listed.topic, page.entries));
    }
    let ids = store.list_ids(None, 100, 9_999).await.unwrap();
    all.push(format!("{ids:?}"));
    all
}

#[tokio::test]
async fn another_store_has_what_was_exported_under_other_epochs() {
    let old = filled();
    let text = exported(&old.store).await;
    let new = timed(MemoryLimits::default(), 0);
    let figures = import(&new.store, 99, &mut text.as_bytes()).await.unwrap();
    assert_eq!((figures.topics, figures.entries, figures.ids), (4, 703, 2));
    assert_eq!(all_but_epochs(&old.store).await, all_but_epochs(&new.store).await);
    let page = TopicPage::first(100);
    let before = old.store.list_topics(page.clone()).await.unwrap();
    let after = new.store.list_topics(page).await.unwrap();
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(before.head.epoch, after.head.epoch, "{:?}", before.topic);
    }
    assert!(exported(&new.store).await.len() > 700 * 20, "it can be exported again");
}

/// What a command has published is in its log by then, once, though nobody had brought it in.
#[tokio::test]
async fn what_is_owed_is_brought_in_first() {
    let old = filled();
    for _ in 0..2 {
        exported(&old.store).await;
        let page = old.store.read_back(&topic("short"), None, 9, 999).await.unwrap().unwrap();
        let numbers: Vec<_> = page.entries.iter().map(|aged| aged.entry.ts).collect();
        assert_eq!(numbers, [TopicSeq(2), TopicSeq(1)]);
    }
    let op = StoreOp::ListUnsettled { max: 9, max_bytes: 9_999, after: None, older_than_ms: 0 };
    let StoreOutcome::Unsettled { records, .. } = ask(&old.store, op) else { panic!() };
    assert!(records.is_empty(), "{records:?}");
}

#[tokio::test]
async fn an_export_that_was_cut_off_is_told_wherever_that_was() {
    let text = exported(&filled().store).await;
    let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at + 1).collect();
    let last = ends.len() - 1;
    for line in (0..last).step_by(97).chain([last - 1]) {
        for cut in [ends[line], ends[line] + 3] {
            let new = timed(MemoryLimits::default(), 0);
            let came = import(&new.store, 1, &mut &text.as_bytes()[..cut]).await;
            let cut_off = matches!(came, Err(ImportError::Cut { pieces }) if pieces == line as u64);
            assert!(cut_off, "line {line}: {came:?}");
        }
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_told_with_its_line() {
    let text = exported(&filled().store).await;
    let lines: Vec<&str> = text.lines().collect();
    let with = |at: usize, line: &str| {
        let mut lines = lines.clone();
        lines[at] = line;
        lines.join("\n") + "\n"
    };
    let without = |range: std::ops::Range<usize>| {
        let mut lines = lines.clone();
        lines.drain(range);
        lines.join("\n") + "\n"
    };
    let wrong = [
        (1, with(0, lines[1])),
        (4, with(3, "{\"piece\":\"entry\"}")),
        (4, with(3, "no json")),
        (4, with(3, &lines[3].replace("steadfast.v1.json", "another codec"))),
        (4, with(3, &lines[3].replace("posted", "not a name"))),
        (4, with(3, &lines[3].replace("{\\\"n", "}{\\\"n"))),
        (4, with(3, &lines[3].replace("\"ts\":700", "\"ts\":9007199254740992"))),
        (3, with(2, &lines[2].replace("\"head\":700", "\"head\":9007199254740992"))),
        (2, without(1..3)),
        (lines.len() as u64 - 1, without(lines.len() - 2..lines.len() - 1)),
        (lines.len() as u64 + 1, format!("{text}{}\n", lines[1])),
        (lines.len() as u64 + 1, format!("{text}x")),
    ];
    for (at, text) in wrong {
        let new = timed(MemoryLimits::default(), 0);
        let came = import(&new.store, 1, &mut text.as_bytes()).await;
        let told = matches!(&came, Err(ImportError::Line { line, .. }) if *line == at);
        assert!(told, "line {at}: {came:?}");
    }
    let newer = with(0, "{\"piece\":\"export\",\"format\":2}");
    let new = timed(MemoryLimits::default(), 0);
    let came = import(&new.store, 1, &mut newer.as_bytes()).await;
    assert!(matches!(came, Err(ImportError::TooNew { found: 2 })), "{came:?}");
    assert!(new.store.list_topics(TopicPage::first(9)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_entry_is_told_and_so_is_a_store_that_is_too_small() {
    let text = exported(&filled().store).await;
    let mut lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.contains("\"ts\":400,")).unwrap();
    lines.remove(at);
    let hole = lines.join("\n") + "\n";
    let mut small = MemoryLimits::default();
    small.log_bytes = 5_000;
    for (limits, text) in [(MemoryLimits::default(), &hole), (small, &text)] {
        let new = timed(limits, 0);
        let came = import(&new.store, 1, &mut text.as_bytes()).await;
        assert!(matches!(came, Err(ImportError::Store(AdminError::Failed(_)))), "{came:?}");
    }
}

/// Nothing of an export whose writing failed is taken for a whole one.
#[tokio::test]
async fn a_full_disk_is_told() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let came = export(&filled().store, &mut Full(10_000)).await;
    assert!(matches!(came, Err(ExportError::Write(_))), "{came:?}");
}
