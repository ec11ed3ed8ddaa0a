//! Servers whose store is a file: it is closed and opened again, its disk is in trouble, and an
//! operator deletes from it, while clients are connected.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use steadfast::client::Item;
use steadfast::server::Builder;
use steadfast::store::{StoreAdmin, TopicPage};
use steadfast::wire::ResetReason;
use steadfast_e2e::{Decidedly, Stage, TallyCommand, eventually, follow_tail, hears, within};
use steadfast_powercut::{Disk, Fault};
use steadfast_sqlite::rusqlite::Connection;
use steadfast_sqlite::{LocalSettings, LocalStore, OpenError};

const LIST: &str = "list";

/// The disk is the same for all tests of this process.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A directory of a test's own, which is deleted with it.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }

    fn open(&self) -> LocalStore {
        let mut settings = LocalSettings::default();
        settings.lock_wait = Duration::from_millis(5);
        LocalStore::builder(self.file()).settings(settings).open().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn on(store: LocalStore) -> impl FnOnce(Builder<TallyCommand>) -> Decidedly {
    move |builder| {
        builder
            .store(store)
            .configure(|config| {
                config.store_retry = Duration::from_millis(2);
                config.store_failing_after = Duration::ZERO;
                config.retry_after = Duration::from_millis(10);
                // News alone must do.
                config.heads_every = Duration::from_secs(3_600);
            })
            .limits(|limits| limits.drain_spread = Duration::from_millis(20))
            .allow_anonymous()
    }
}

#[tokio::test]
async fn a_server_that_comes_back_with_its_file_costs_its_clients_nothing() {
    let place = Place::new();
    let mut stage = Stage::with(on(place.open())).await;
    let client = stage.connect().await;
    let mut tail = follow_tail(&client, LIST).await;
    for round in 0..3 {
        for value in 4 * round..4 * round + 2 {
            assert_eq!(within(client.add(LIST.into(), value)).await, Ok(value + 1 - round));
        }
        stage.proxy.refuse(true);
        within(stage.server.shutdown(Duration::from_secs(5))).await;
        // What is written while there is no server waits for the next one.
        let later = client.add(LIST.into(), 99);
        stage.replace_server(|builder| builder.allow_anonymous()).await;
        let mut opened = None;
        eventually(|| match LocalStore::open(place.file()) {
            Err(OpenError::InUse { .. }) => false,
            store => {
                opened = Some(store.unwrap());
                true
            }
        })
        .await;
        stage.replace_server(on(opened.unwrap())).await;
        stage.proxy.refuse(false);
        within(later).await.unwrap();
        for value in [4 * round, 4 * round + 1, 99] {
            hears(&mut tail, value).await;
        }
    }
    assert_eq!(stage.app.list(LIST), [0, 1, 99, 4, 5, 99, 8, 9, 99]);
}

/// Commands wait while a fault lasts, nothing new begins, and it goes on by itself afterwards.
async fn goes_on_after(begin: impl FnOnce(&Path), end: impl FnOnce()) {
    let place = Place::new();
    let stage = Stage::with(on(place.open())).await;
    let client = stage.connect_with_lease().await;
    let mut tail = follow_tail(&client, LIST).await;
    within(client.add(LIST.into(), 0)).await.unwrap();
    begin(&place.file());
    let early: Vec<_> = (1..6).map(|value| client.add(LIST.into(), value)).collect();
    eventually(|| {
        let load = stage.server.load();
        load.commits_failing > 0 && load.executions == 0
    })
    .await;
    let before = stage.app.list(LIST);
    let late: Vec<_> = (6..12).map(|value| client.add(LIST.into(), value)).collect();
    // Whoever needs no store is served.
    let reader = stage.connect().await;
    assert_eq!(stage.app.list(LIST), before, "nothing begins");
    end();
    for (call, value) in early.into_iter().chain(late).zip(1..) {
        assert_eq!(within(call).await, Ok(value + 1));
    }
    for value in 0..12 {
        hears(&mut tail, value).await;
    }
    drop(reader);
    assert_eq!(stage.app.list(LIST), (0..12).collect::<Vec<_>>(), "each has run once");
}

#[tokio::test]
async fn a_lock_of_another_program_costs_waiting_and_nothing_else() {
    let _one = ONE_AT_A_TIME.lock().await;
    let other = Mutex::new(None);
    let begin = |file: &Path| {
        let db = Connection::open(file).unwrap();
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        *other.lock().unwrap() = Some(db);
    };
    goes_on_after(begin, || drop(other.lock().unwrap().take())).await;
}

#[tokio::test]
async fn a_full_disk_costs_waiting_and_nothing_else() {
    let _one = ONE_AT_A_TIME.lock().await;
    let disk: &'static Disk = steadfast_powercut::install();
    goes_on_after(|_| disk.fail(Some(Fault::Full)), || disk.fail(None)).await;
}

#[tokio::test]
async fn a_disk_that_does_not_flush_costs_waiting_and_nothing_else() {
    let _one = ONE_AT_A_TIME.lock().await;
    let disk: &'static Disk = steadfast_powercut::install();
    goes_on_after(|_| disk.fail(Some(Fault::Flush)), || disk.fail(None)).await;
}

#[tokio::test]
async fn whoever_follows_a_topic_is_told_at_once_that_an_operator_has_deleted_it() {
    let place = Place::new();
    let store = place.open();
    let stage = Stage::with(on(store.clone())).await;
    let client = stage.connect().await;
    let mut tail = follow_tail(&client, LIST).await;
    within(client.add(LIST.into(), 1)).await.unwrap();
    hears(&mut tail, 1).await;
    let topics = store.list_topics(TopicPage::first(9)).await.unwrap();
    let mut topics = topics.into_iter().map(|listed| listed.topic);
    let topic = topics.find(|topic| topic.name.as_str() == "tail").unwrap();
    assert_eq!(store.delete_topic(&topic).await, Ok(true));
    match within(tail.next()).await.unwrap() {
        Item::Gap(gap) => assert_eq!(gap.reason, ResetReason::Epoch),
        other => panic!("{other:?} instead of a gap"),
    }
    within(client.add(LIST.into(), 2)).await.unwrap();
    hears(&mut tail, 2).await;
}
