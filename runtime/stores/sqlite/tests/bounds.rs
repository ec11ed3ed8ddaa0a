//! Bounds that only this store has: its queue, and keys from outside of commands.
#![allow(clippy::panic, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks")]

mod support;

use std::fs;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use steadfast::session::store::{
    Append, AppendKey, CommitOutcome, OpId, Retention, StoreOp, StoreOutcome, TopicId,
};
use steadfast::store::Store;
use steadfast::wire::{Body, Codec, CommandNo, Epoch, Name};
use steadfast_sqlite::rusqlite::Connection;
use steadfast_sqlite::{LocalLimits, LocalSettings, LocalStore};
use support::load::Client;
use support::{Place, ask};

fn said(count: u64, bytes: usize) -> StoreOp {
    let topic = TopicId { name: Name::from_static("room").unwrap(), key: "".into() };
    let bodies = vec![(Codec::Json, Body::copy_from("x".repeat(bytes).as_bytes()))];
    let name = Name::from_static("said").unwrap();
    let key = AppendKey::Direct { node: 1, count };
    StoreOp::Append {
        topic,
        appends: vec![Append { key, as_of: None, name, bodies }],
        retention: Retention::new(1_000, Duration::from_secs(60)),
        fresh_epoch: Epoch(7),
    }
}

/// Operations of which some are answered `Failed` because the writer waits for a lock.
async fn overfilled(settings: LocalSettings, bytes: usize) {
    let place = Place::new();
    let store = LocalStore::builder(place.file()).settings(settings).open().unwrap();
    let store = Arc::new(store);
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked: Vec<_> = (0..64)
        .map(|count| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { ask(&*store, said(count, bytes)).await })
        })
        .collect();
    // Those without room are answered at once, while the lock is still held.
    let mut open = asked;
    let refused = loop {
        let (ended, waiting): (Vec<_>, Vec<_>) =
            open.into_iter().partition(|task| task.is_finished());
        open = waiting;
        if !ended.is_empty() {
            break ended;
        }
        tokio::task::yield_now().await;
    };
    other.execute_batch("ROLLBACK").unwrap();
    for task in refused {
        assert_eq!(task.await.unwrap(), StoreOutcome::Failed);
    }
    let mut written = 0;
    for task in open {
        written += u32::from(matches!(task.await.unwrap(), StoreOutcome::Appended(_)));
    }
    assert!(written > 0, "those with room are carried out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_operations_than_may_wait_are_answered_failed_at_once() {
    let mut settings = LocalSettings::default();
    settings.queue_operations = 8;
    settings.lock_wait = Duration::from_secs(60);
    overfilled(settings, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_bytes_than_may_wait_are_answered_failed_at_once() {
    let mut settings = LocalSettings::default();
    settings.queue_bytes = 100_000;
    settings.lock_wait = Duration::from_secs(60);
    overfilled(settings, 10_000).await;
}

#[tokio::test]
async fn keys_from_outside_of_commands_are_bounded_in_number() {
    let place = Place::new();
    let mut limits = LocalLimits::default();
    limits.direct_keys_max = 10;
    let store = LocalStore::builder(place.file()).limits(limits).open().unwrap();
    for count in 0..40 {
        ask(&store, said(count, 1)).await;
    }
    let db = Connection::open(place.file()).unwrap();
    let keys: i64 =
        db.query_row("SELECT count(*) FROM sf_append_keys", [], |row| row.get(0)).unwrap();
    assert!((10..=11).contains(&keys), "{keys}");
}

#[tokio::test]
async fn a_batch_is_answered_whole_though_a_part_of_it_is_read_beside_the_writer() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    let list = StoreOp::ListUnsettled { max: 9, max_bytes: 9_999, after: None, older_than_ms: 0 };
    let batch: Vec<_> = (0..).map(OpId).zip([list.clone(), said(1, 1), list, said(2, 1)]).collect();
    let mut answers = store.execute(batch).await;
    answers.sort_by_key(|(id, _)| *id);
    let ids: Vec<u64> = answers.iter().map(|(id, _)| id.0).collect();
    assert_eq!(ids, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_that_wait_share_one_commit() {
    let place = Place::new();
    let mut settings = LocalSettings::default();
    settings.lock_wait = Duration::from_secs(60);
    let store = LocalStore::builder(place.file()).settings(settings).open().unwrap();
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut first = pin!(ask(&store, said(0, 1)));
    assert!(first.as_mut().now_or_never().is_none(), "it is asked for");
    // The writer has it, and waits for the lock.
    while store.metrics().waiting > 0 {
        tokio::task::yield_now().await;
    }
    let asked = (1..64).map(|count| ask(&store, said(count, 1)));
    let mut asked = pin!(join_all(asked));
    assert!(asked.as_mut().now_or_never().is_none());
    assert_eq!(store.metrics().waiting, 63);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(first.await, StoreOutcome::Appended(_)));
    assert!(asked.await.iter().all(|told| matches!(told, StoreOutcome::Appended(_))));
    let metrics = store.metrics();
    assert_eq!((metrics.operations, metrics.groups), (64, 2), "{metrics:?}");
}

#[tokio::test]
async fn what_a_group_pushes_out_of_a_log_is_not_in_the_file_any_more() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    let db = Connection::open(place.file()).unwrap();
    for group in 0..3 {
        let of = |index| {
            let StoreOp::Append { topic, appends, fresh_epoch, .. } = said(group * 10 + index, 1)
            else {
                unreachable!()
            };
            let retention = Retention::new(4, Duration::from_secs(60));
            (OpId(index), StoreOp::Append { topic, appends, retention, fresh_epoch })
        };
        let answers = store.execute((0..10).map(of).collect()).await;
        assert_eq!(answers.len(), 10);
        let sql = "SELECT min(ts), max(ts), count(*), (SELECT oldest FROM sf_topics) FROM sf_log";
        let kept = db.query_row(sql, [], |row| {
            Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        });
        let last = (group + 1).cast_signed() * 10;
        assert_eq!(kept, Ok([last - 3, last, 4, last - 3]));
        assert_eq!(store.metrics().log_bytes, 4 * 5, "a name of four letters and a body of one");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_takes_keeps_no_other_one_back() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut first = pin!(ask(&store, said(0, 1)));
    assert!(first.as_mut().now_or_never().is_none());
    while store.metrics().waiting > 0 {
        tokio::task::yield_now().await;
    }
    // These three share the next COMMIT.
    let mut gone = Box::pin(ask(&store, said(1, 1)));
    let mut idle = Box::pin(ask(&store, said(2, 1)));
    let mut last = Box::pin(ask(&store, said(3, 1)));
    for asked in [&mut gone, &mut idle, &mut last] {
        assert!(asked.as_mut().now_or_never().is_none());
    }
    drop(gone);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(first.await, StoreOutcome::Appended(_)));
    while store.metrics().operations < 4 {
        tokio::task::yield_now().await;
    }
    drop(idle);
    assert!(matches!(last.await, StoreOutcome::Appended(_)));
}

/// A mark need not be durable, and what it has passed is forgotten no sooner than it is.
#[tokio::test]
async fn what_was_resolved_does_not_run_again_after_a_crash() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    let mut client = Client::new(1);
    for _ in 0..30 {
        client.command(&store).await.unwrap();
    }
    for end in ["", "-wal"] {
        let [from, to] = ["store", "crashed"].map(|name| place.at(&format!("{name}.db{end}")));
        fs::copy(from, to).unwrap();
    }
    let crashed = LocalStore::open(place.at("crashed.db")).unwrap();
    for store in [store, crashed] {
        let mut again = Client::at(1, 1).next();
        let StoreOp::Commit { low, .. } = &mut again else { panic!("{again:?}") };
        *low = CommandNo(1);
        let outcome = match ask(&store, again).await {
            StoreOutcome::Committed { mut outcomes, .. } => outcomes.remove(0).1,
            other => panic!("{other:?}"),
        };
        let is_new = matches!(outcome, CommitOutcome::Written { .. });
        assert!(!is_new, "{outcome:?}");
    }
}
