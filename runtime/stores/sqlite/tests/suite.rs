//! The store suite: every rule of a store's operations, in order, together and behind a store that
//! fails in every way that the contract allows.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::sync::Mutex;

use steadfast::store::suite::{self, Rolled};
use steadfast_sqlite::LocalStore;
use support::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_store_keeps_every_rule_in_every_way() {
    // One store after the other: the last one's directory goes with the next.
    let last = Mutex::new(None);
    let report = suite::run(|| async {
        let place = Place::new();
        let store = LocalStore::open(place.file()).unwrap();
        *last.lock().unwrap() = Some(place);
        store
    })
    .await;
    assert!(report.passed(), "{report}");
    assert!(report.runs > suite::cases().len(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_store_keeps_every_rule_of_its_operator() {
    let last = Mutex::new(None);
    let report = suite::run_admin(|| async {
        let place = Place::new();
        let store = LocalStore::open(place.file()).unwrap();
        *last.lock().unwrap() = Some(place);
        store
    })
    .await;
    assert!(report.passed(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_store_keeps_every_rule_about_time() {
    let last = Mutex::new(None);
    let report = suite::run_timed(|clock| {
        let place = Place::new();
        let store = LocalStore::builder(place.file()).clock(clock).open().unwrap();
        *last.lock().unwrap() = Some(place);
        async { store }
    })
    .await;
    assert!(report.passed(), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_is_restored_keeps_every_rule_about_another_incarnation() {
    let last = Mutex::new(None);
    let fresh = || async {
        let place = Place::new();
        let store = LocalStore::open(place.file()).unwrap();
        *last.lock().unwrap() = Some(place);
        store
    };
    let restored = |store: LocalStore| async {
        let file = store.path().to_owned();
        let backup = file.with_extension("backup");
        store.backup(&backup).await.unwrap();
        drop(store);
        LocalStore::restore(&backup, &file).unwrap();
        Rolled::reopened(LocalStore::open(file).unwrap())
    };
    let report = suite::run_rolled(fresh, restored).await;
    assert!(report.passed(), "{report}");
    assert!(report.runs >= 5, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_local_store_keeps_every_rule_of_stores_that_decide() {
    let last = Mutex::new(None);
    let report = suite::run_deciding(|| async {
        let place = Place::new();
        let store = LocalStore::open(place.file()).unwrap();
        *last.lock().unwrap() = Some(place);
        store
    })
    .await;
    assert!(report.passed(), "{report}");
    assert!(report.runs > suite::deciding_cases().len(), "{report}");
}

/// Clones of one store are told of each other before whoever has asked is answered, so nobody has
/// to wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clones_of_the_local_store_keep_every_rule_about_several_nodes() {
    let last = Mutex::new(None);
    let fresh = || async {
        let place = Place::new();
        let store = LocalStore::open(place.file()).unwrap();
        *last.lock().unwrap() = Some(place);
        (store.clone(), store)
    };
    let report = suite::run_in_pairs(fresh, tokio::task::yield_now).await;
    assert!(report.passed(), "{report}");
    assert!(report.runs > 4, "{report}");
}
