//! What a store makes of its file: whose it is, its format, damage, copies, and that it went back.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::fs;
use std::time::Duration;

use steadfast::session::store::{
    Append, AppendKey, Holder, Retention, StoreOp, StoreOutcome, StoreTime, TopicId,
};
use steadfast::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name};
use steadfast_sqlite::rusqlite::Connection;
use steadfast_sqlite::{BackupError, LocalSettings, LocalStore, OpenError, RestoreError};
use support::{Place, ask};

const ID: LeaseId = LeaseId(5);
const HOLDER: Holder = Holder { node: 1, instance: InstanceId(1), dial: Dial(1) };
const KEPT: Retention = Retention::new(1_000, Duration::from_secs(3_600));

fn topic() -> TopicId {
    TopicId { name: Name::from_static("room").unwrap(), key: "den".into() }
}

async fn say(store: &LocalStore, count: u64, text: &str) -> StoreOutcome {
    let body = Body::copy_from(text.as_bytes());
    let name = Name::from_static("said").unwrap();
    let key = AppendKey::Direct { node: 1, count };
    let appends = vec![Append { key, as_of: None, name, bodies: vec![(Codec::Json, body)] }];
    let (topic, fresh_epoch) = (topic(), Epoch(7));
    ask(store, StoreOp::Append { topic, appends, retention: KEPT, fresh_epoch }).await
}

async fn open_lease(store: &LocalStore) {
    let op = StoreOp::OpenLease {
        id: ID,
        as_of: StoreTime::default(),
        holder: HOLDER,
        principal: "ann".into(),
        codec: Codec::Json,
        ttl_ms: 3_600_000,
        unused_ttl_ms: 3_600_000,
        max_per_principal: 8,
        held_ms: 60_000,
    };
    assert!(matches!(ask(store, op).await, StoreOutcome::Lease { .. }));
}

async fn claim(store: &LocalStore) -> StoreOutcome {
    let low = CommandNo(1);
    let op = StoreOp::ClaimLease {
        id: ID,
        holder: HOLDER,
        principal: "ann".into(),
        codec: Codec::Json,
        low,
    };
    ask(store, op).await
}

/// The topic's epoch and head.
async fn head(store: &LocalStore) -> (u64, u64) {
    match ask(store, StoreOp::Heads { topics: vec![topic()] }).await {
        StoreOutcome::Heads(heads) => heads[0].map_or((0, 0), |head| (head.epoch.0, head.head.0)),
        other => panic!("{other:?}"),
    }
}

fn refused(place: &Place) -> OpenError {
    LocalStore::open(place.file()).expect_err("the file can't be opened")
}

async fn filled(place: &Place) {
    let store = LocalStore::open(place.file()).unwrap();
    open_lease(&store).await;
    say(&store, 1, r#"{"text":"hello"}"#).await;
}

#[tokio::test]
async fn what_was_written_is_there_when_the_file_is_opened_again() {
    let place = Place::new();
    filled(&place).await;
    let store = LocalStore::open(place.file()).unwrap();
    assert_eq!(head(&store).await, (7, 1));
    assert!(matches!(claim(&store).await, StoreOutcome::Lease { .. }));
}

#[tokio::test]
async fn a_second_store_on_a_file_is_refused_until_the_first_one_is_closed() {
    let place = Place::new();
    let first = LocalStore::open(place.file()).unwrap();
    let clone = first.clone();
    assert!(matches!(refused(&place), OpenError::InUse { .. }));
    // Another name is the same file.
    let other = place.at("./store.db");
    assert!(matches!(LocalStore::open(other), Err(OpenError::InUse { .. })));
    drop(first);
    assert!(matches!(refused(&place), OpenError::InUse { .. }));
    drop(clone);
    LocalStore::open(place.file()).unwrap();
}

/// Where nothing was at the end of the link, either, when the first one came.
#[cfg(unix)]
#[tokio::test]
async fn a_second_store_is_refused_though_the_first_came_by_a_link_to_nothing() {
    let place = Place::new();
    std::os::unix::fs::symlink("elsewhere.db", place.file()).unwrap();
    let first = LocalStore::open(place.file()).unwrap();
    assert!(matches!(refused(&place), OpenError::InUse { .. }));
    assert!(matches!(LocalStore::open(place.at("elsewhere.db")), Err(OpenError::InUse { .. })));
    drop(first);
    LocalStore::open(place.file()).unwrap();
}

#[tokio::test]
async fn a_store_that_another_one_has_followed_acknowledges_nothing_more() {
    let place = Place::new();
    let first = LocalStore::open(place.file()).unwrap();
    open_lease(&first).await;
    assert!(matches!(say(&first, 1, "one").await, StoreOutcome::Appended(_)));
    // Somebody tidies up, and starts a second server.
    fs::remove_file(place.at("store.db-lock")).unwrap();
    let second = LocalStore::open(place.file()).unwrap();
    assert!(matches!(say(&second, 2, "two").await, StoreOutcome::Appended(_)));
    let other = TopicId { key: "attic".into(), ..topic() };
    let op = StoreOp::OpenTopic { topic: other, fresh_epoch: Epoch(8), retention: KEPT };
    assert_eq!(ask(&first, op.clone()).await, StoreOutcome::Failed);
    assert_eq!(ask(&first, op).await, StoreOutcome::Failed, "nor later");
    drop(first);
    assert_eq!(head(&second).await, (7, 2));
    assert!(matches!(say(&second, 3, "three").await, StoreOutcome::Appended(_)));
    assert_eq!(second.metrics().topics, 1);
}

#[tokio::test]
async fn a_newer_format_is_refused_and_left_alone() {
    let place = Place::new();
    filled(&place).await;
    let db = Connection::open(place.file()).unwrap();
    db.execute("UPDATE sf_store SET format = 99", []).unwrap();
    drop(db);
    let before = fs::read(place.file()).unwrap();
    assert!(matches!(refused(&place), OpenError::TooNew { found: 99, .. }));
    assert_eq!(fs::read(place.file()).unwrap(), before);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_a_way_out() {
    let place = Place::new();
    fs::write(place.file(), "these are my notes, and no database at all\n".repeat(100)).unwrap();
    let error = refused(&place);
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains(".recover"), "{error}");
    assert!(fs::read_to_string(place.file()).unwrap().starts_with("these are my notes"));
}

#[tokio::test]
async fn a_file_without_one_of_its_tables_is_damaged() {
    let place = Place::new();
    filled(&place).await;
    let db = Connection::open(place.file()).unwrap();
    db.execute_batch("DROP TABLE sf_log").unwrap();
    drop(db);
    let error = refused(&place).to_string();
    assert!(error.contains("the table sf_log is missing"), "{error}");
}

#[tokio::test]
async fn damage_in_the_middle_is_found_on_demand_and_when_a_file_is_opened_with_a_check() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    for count in 1..200 {
        say(&store, count, &"x".repeat(500)).await;
    }
    drop(store);
    LocalStore::check(place.file()).unwrap();
    let mut bytes = fs::read(place.file()).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 4_096].fill(0xa5);
    fs::write(place.file(), bytes).unwrap();
    assert!(matches!(LocalStore::check(place.file()), Err(OpenError::Damaged { .. })));
    let mut settings = LocalSettings::default();
    settings.check_at_open = true;
    let opened = LocalStore::builder(place.file()).settings(settings).open();
    assert!(matches!(opened, Err(OpenError::Damaged { .. })));
}

#[tokio::test]
async fn a_file_that_was_emptied_is_not_taken_for_a_new_one() {
    let place = Place::new();
    filled(&place).await;
    fs::write(place.file(), "").unwrap();
    let error = refused(&place);
    assert!(matches!(error, OpenError::Emptied { .. }), "{error}");
    fs::remove_file(place.file()).unwrap();
    let error = refused(&place);
    assert!(matches!(error, OpenError::Emptied { .. }), "{error}");
    // Whoever means it deletes the note, too.
    fs::remove_file(place.at("store.db-lock")).unwrap();
    assert_eq!(head(&LocalStore::open(place.file()).unwrap()).await, (0, 0));
}

#[tokio::test]
async fn a_backup_is_made_while_the_store_runs_and_has_what_was_acknowledged_before() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    for count in 1..=2_000 {
        say(&store, count, &"x".repeat(900)).await;
    }
    let copying = store.backup(place.at("backup.db"));
    let writing = async {
        for count in 2_001..2_100 {
            say(&store, count, "later").await;
        }
    };
    let (copied, ()) = futures_util::future::join(copying, writing).await;
    copied.unwrap();
    let copy = LocalStore::open(place.at("backup.db")).unwrap();
    let (epoch, there) = head(&copy).await;
    assert!(epoch == 7 && (2_000..=2_099).contains(&there), "{there}");
    assert_eq!(head(&store).await, (7, 2_099));
    let again = store.backup(place.at("backup.db")).await;
    assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
}

#[tokio::test]
async fn a_restored_store_is_another_incarnation() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    open_lease(&store).await;
    say(&store, 1, "kept").await;
    store.backup(place.at("backup.db")).await.unwrap();
    say(&store, 2, "lost").await;
    let open = LocalStore::restore(place.at("backup.db"), place.file());
    assert!(matches!(open, Err(RestoreError::Place(OpenError::InUse { .. }))), "{open:?}");
    drop(store);
    LocalStore::restore(place.at("backup.db"), place.file()).unwrap();
    let store = LocalStore::open(place.file()).unwrap();
    let (epoch, there) = head(&store).await;
    assert_eq!(there, 1);
    assert_ne!(epoch, 7, "numbers may come again with other bytes");
    assert_eq!(claim(&store).await, StoreOutcome::LeaseGone);
}

#[tokio::test]
async fn a_backup_in_the_folder_where_one_is_needs_no_path() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    let name = format!("backup-{}.db", std::process::id());
    let made = store.backup(&name).await;
    fs::remove_file(name).unwrap();
    assert!(made.is_ok(), "{made:?}");
}

#[tokio::test]
async fn what_is_restored_has_the_log_that_lies_beside_it() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    say(&store, 1, "in the write-ahead log").await;
    // As somebody copies the files of a server that was killed.
    for end in ["", "-wal"] {
        fs::copy(place.at(&format!("store.db{end}")), place.at(&format!("copy.db{end}"))).unwrap();
    }
    LocalStore::restore(place.at("copy.db"), place.at("restored.db")).unwrap();
    let store = LocalStore::open(place.at("restored.db")).unwrap();
    assert_eq!(head(&store).await.1, 1);
}

#[tokio::test]
async fn a_copy_that_was_put_back_by_hand_is_noticed() {
    let place = Place::new();
    filled(&place).await;
    let copy = fs::read(place.file()).unwrap();
    for count in 2..4 {
        say(&LocalStore::open(place.file()).unwrap(), count, "lost").await;
    }
    fs::write(place.file(), copy).unwrap();
    let store = LocalStore::open(place.file()).unwrap();
    let (epoch, there) = head(&store).await;
    assert_eq!(there, 1);
    assert_ne!(epoch, 7, "numbers may come again with other bytes");
    assert_eq!(claim(&store).await, StoreOutcome::LeaseGone);
    drop(store);
    let store = LocalStore::open(place.file()).unwrap();
    assert_eq!(head(&store).await, (epoch, 1), "it is noticed once");
}

#[tokio::test]
async fn what_is_no_backup_is_not_restored() {
    let place = Place::new();
    filled(&place).await;
    fs::write(place.at("backup.db"), "no database").unwrap();
    let came = LocalStore::restore(place.at("backup.db"), place.file());
    assert!(matches!(came, Err(RestoreError::Backup(OpenError::Damaged { .. }))), "{came:?}");
    assert_eq!(head(&LocalStore::open(place.file()).unwrap()).await, (7, 1));
}

#[tokio::test]
async fn a_restore_that_was_cut_short_has_to_be_done_again() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    store.backup(place.at("backup.db")).await.unwrap();
    drop(store);
    fs::write(place.at("store.db-lock"), "steadfast-sqlite restoring\n").unwrap();
    assert!(matches!(refused(&place), OpenError::RestoreUnfinished { .. }));
    LocalStore::restore(place.at("backup.db"), place.file()).unwrap();
    LocalStore::open(place.file()).unwrap();
}

#[tokio::test]
async fn a_person_can_read_the_tables() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    open_lease(&store).await;
    say(&store, 1, r#"{"text":"hello"}"#).await;
    let db = Connection::open(place.file()).unwrap();
    let log: (String, String, i64, String, String) = db
        .query_row(
            "SELECT t.name, t.key, l.ts, l.name, l.body FROM sf_log l JOIN sf_topics t \
             ON t.no = l.topic",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)),
        )
        .unwrap();
    let said = r#"{"text":"hello"}"#.to_owned();
    assert_eq!(log, ("room".into(), "den".into(), 1, "said".into(), said));
    let lease: (String, String) = db
        .query_row("SELECT id, principal FROM sf_leases", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap();
    assert_eq!(lease, ("00000000000000000000000000000005".into(), "ann".into()));
}
