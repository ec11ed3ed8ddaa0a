//! What a store answers while its disk is full, does not flush, or is locked by somebody else; and
//! that it works again by itself when that is over.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::session::Now;
use steadfast::session::store::{OpId, StoreOp, StoreOutcome};
use steadfast::store::{Clock, Store};
use steadfast::wire::LeaseId;
use steadfast_powercut::{Disk, Fault};
use steadfast_sqlite::rusqlite::Connection;
use steadfast_sqlite::{LocalSettings, LocalStore};
use support::load::{Client, acked_is_there, highest};
use support::{Place, ask};

/// The disk is the same for all tests of this process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

async fn in_trouble(fault: Fault, expected: StoreOutcome) {
    let disk: &'static Disk = steadfast_powercut::install();
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    let mut client = Client::new(1);
    let mut acked = vec![client.command(&store).await.expect("it works")];
    for _ in 0..3 {
        disk.fail(Some(fault));
        let end = StoreOp::EndLease { id: LeaseId(99) };
        let op = client.next();
        let mut answers = store.execute(vec![(OpId(1), op.clone()), (OpId(2), end)]).await;
        answers.sort_by_key(|(id, _)| *id);
        assert_eq!(answers, [(OpId(1), expected.clone()), (OpId(2), expected.clone())]);
        assert_eq!(ask(&store, op).await, expected, "again");
        let last = highest(&store).await.expect("what is there can be read");
        assert_eq!(last.get(&1), acked.last().map(|acked| &acked.n), "nothing of it is there");
        disk.fail(None);
        acked.push(client.command(&store).await.expect("it works again"));
    }
    assert!(store.metrics().failed_groups >= 6);
    drop(store);
    let store = LocalStore::open(place.file()).unwrap();
    assert_eq!(acked_is_there(&store, &acked).await, Ok(()));
}

#[tokio::test]
async fn what_a_full_disk_has_no_room_for_is_answered_unknown() {
    let _one = ONE_AT_A_TIME.lock();
    in_trouble(Fault::Full, StoreOutcome::Unknown).await;
}

#[tokio::test]
async fn a_commit_that_is_not_flushed_is_answered_unknown() {
    let _one = ONE_AT_A_TIME.lock();
    in_trouble(Fault::Flush, StoreOutcome::Unknown).await;
}

#[tokio::test]
async fn a_writer_that_has_ended_keeps_nobody_waiting() {
    let _one = ONE_AT_A_TIME.lock();
    let place = Place::new();
    let broken = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&broken);
    let clock: Clock = Arc::new(move || {
        assert!(!seen.load(Ordering::Relaxed), "on purpose");
        Now(0)
    });
    let store = LocalStore::builder(place.file()).clock(clock).open().unwrap();
    broken.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        let answer = ask(&store, StoreOp::EndLease { id: LeaseId(99) }).await;
        assert!(matches!(answer, StoreOutcome::Unknown | StoreOutcome::Failed), "{answer:?}");
    }
}

#[tokio::test]
async fn a_lock_of_another_program_is_answered_failed_until_it_is_gone() {
    let _one = ONE_AT_A_TIME.lock();
    let place = Place::new();
    let mut settings = LocalSettings::default();
    settings.lock_wait = Duration::from_millis(5);
    let store = LocalStore::builder(place.file()).settings(settings).open().unwrap();
    let mut client = Client::new(1);
    let mut acked = vec![client.command(&store).await.expect("it works")];
    let other = Connection::open(place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(ask(&store, client.next()).await, StoreOutcome::Failed);
    // Reading goes on.
    assert_eq!(highest(&store).await.unwrap().get(&1), Some(&1));
    other.execute_batch("ROLLBACK").unwrap();
    acked.push(client.command(&store).await.expect("it works again"));
    assert_eq!(acked_is_there(&store, &acked).await, Ok(()));
}

#[tokio::test]
async fn a_long_reader_lets_the_log_grow_to_its_bound_and_no_further() {
    let _one = ONE_AT_A_TIME.lock();
    let place = Place::new();
    let mut settings = LocalSettings::default();
    settings.checkpoint_bytes = 64 * 1024;
    settings.wal_bytes = 512 * 1024;
    settings.lock_wait = Duration::from_millis(5);
    let store = LocalStore::builder(place.file()).settings(settings).open().unwrap();
    let mut client = Client::new(1);
    client.command(&store).await.expect("it works");
    let reader = Connection::open(place.file()).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    reader.query_row("SELECT count(*) FROM sf_log", [], |_| Ok(())).unwrap();
    let mut acked = Vec::new();
    while let Some(command) = client.command(&store).await {
        acked.push(command);
        assert!(acked.len() < 10_000, "the log has a bound");
    }
    let log = std::fs::metadata(place.at("store.db-wal")).unwrap().len();
    assert!(log < 640 * 1024, "{log}");
    reader.execute_batch("ROLLBACK").unwrap();
    for _ in 0..200 {
        acked.push(client.command(&store).await.expect("it works again"));
    }
    assert!(store.metrics().wal_bytes < 256 * 1024, "{:?}", store.metrics());
    assert_eq!(acked_is_there(&store, &acked).await, Ok(()));
}

#[tokio::test]
async fn a_row_that_makes_no_sense_fails_its_own_operations_alone() {
    let _one = ONE_AT_A_TIME.lock();
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    let (mut one, mut two) = (Client::new(1), Client::new(2));
    one.command(&store).await.expect("it works");
    let mut acked = vec![two.command(&store).await.expect("it works")];
    drop(store);
    let db = Connection::open(place.file()).unwrap();
    let lease = support::load::lease(1).to_string();
    db.execute("UPDATE sf_leases SET holder = 'nobody' WHERE id = ?1", [lease]).unwrap();
    drop(db);
    let store = LocalStore::open(place.file()).unwrap();
    let batch = vec![(OpId(1), two.next()), (OpId(2), one.next()), (OpId(3), two.next())];
    let mut answers = store.execute(batch).await;
    answers.sort_by_key(|(id, _)| *id);
    let outcomes: Vec<&StoreOutcome> = answers.iter().map(|(_, outcome)| outcome).collect();
    let written = |outcome: &StoreOutcome| matches!(outcome, StoreOutcome::Committed { .. });
    assert!(written(outcomes[0]) && written(outcomes[2]), "{outcomes:?}");
    assert_eq!(outcomes[1], &StoreOutcome::Failed, "{outcomes:?}");
    // What was carried out again counts once.
    acked.push(two.command(&store).await.expect("it is there already"));
    assert_eq!(acked_is_there(&store, &acked).await, Ok(()));
}
