//! Rows of the application's own that commit with its commands: what a decision may do on the
//! store's connection, and that whatever it does harms no other command. The suite has the rest.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use steadfast::session::store::{
    Commit, CommitOutcome, Decide, Decided, DecisionId, OpId, Outcome, StoreOp, StoreOutcome, Terms,
};
use steadfast::store::{Deciding, Store};
use steadfast::wire::{Body, CommandNo, Epoch, LeaseId};
use steadfast_powercut::Fault;
use steadfast_sqlite::rusqlite::Connection;
use steadfast_sqlite::{LocalSettings, LocalStore, Savepoint};
use support::load::{Client, lease};
use support::{Place, ask};

/// The disk is the same for all tests of this process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const ROWS: &str = "CREATE TABLE said(id INTEGER PRIMARY KEY, text TEXT NOT NULL); \
    CREATE TABLE parent(id INTEGER PRIMARY KEY); \
    CREATE TABLE child(parent INTEGER NOT NULL REFERENCES parent DEFERRABLE INITIALLY DEFERRED); \
    CREATE TABLE strict(id INTEGER PRIMARY KEY ON CONFLICT ROLLBACK); \
    CREATE TRIGGER no BEFORE DELETE ON said BEGIN SELECT RAISE(ROLLBACK, 'never'); END; \
    CREATE TABLE watched(id INTEGER); CREATE TRIGGER sly AFTER INSERT ON watched BEGIN DELETE FROM sf_log; END; \
    INSERT INTO strict VALUES (1)";

struct Stage {
    place: Place,
    store: LocalStore,
}

fn ok() -> Decided {
    Decided { outcome: Outcome::Ok(Body::from("{}")), publishes: Vec::new() }
}

fn say(tx: &Connection, text: &str) {
    tx.execute("INSERT INTO said(text) VALUES (?1)", [text]).unwrap();
}

impl Stage {
    /// A store with three leases, each of which has run a command, and tables of the application's.
    async fn with(settings: LocalSettings) -> Self {
        let place = Place::new();
        let store = LocalStore::builder(place.file()).settings(settings).open().unwrap();
        for number in 1..=3 {
            Client::new(number).command(&store).await.expect("it works");
        }
        Connection::open(place.file()).unwrap().execute_batch(ROWS).unwrap();
        Self { place, store }
    }

    async fn new() -> Self {
        Self::with(LocalSettings::default()).await
    }

    fn give(&self, id: u64, decide: impl FnMut(&mut Savepoint<'_>) -> Decided + Send + 'static) {
        self.store.hand_over(DecisionId(id), Box::new(decide));
    }

    /// Says `text`, and ends well.
    fn give_saying(&self, id: u64, text: &'static str) {
        self.give(id, move |tx| {
            say(tx, text);
            ok()
        });
    }

    /// Three commands that share a COMMIT; what each is told.
    async fn commit_all(&self) -> [Outcome; 3] {
        let ops = (1..=3).map(|id| (OpId(id), commit(id, 2))).collect();
        let mut answers = self.store.execute(ops).await;
        answers.sort_by_key(|(id, _)| *id);
        let told: Vec<Outcome> = answers.into_iter().map(|(_, outcome)| told(outcome)).collect();
        told.try_into().unwrap()
    }

    /// What all that was said is, as another program sees it.
    fn said(&self) -> Vec<String> {
        let db = Connection::open(self.place.file()).unwrap();
        let mut query = db.prepare("SELECT text FROM said ORDER BY id").unwrap();
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// The second of three commands does `act`, which ends the transaction of all or can't be
    /// committed: it alone has failed, and the others took effect once.
    async fn harms_nobody(&self, act: impl Fn(&Savepoint<'_>) + Send + 'static) {
        self.give_saying(1, "first");
        self.give(2, move |tx| {
            say(tx, "never");
            act(tx);
            ok()
        });
        self.give_saying(3, "third");
        let expected = [ok().outcome, Decided::internal().outcome, ok().outcome];
        assert_eq!(self.commit_all().await, expected);
        assert_eq!(self.said(), ["first", "third"]);
        // Everything is recorded, so nothing is decided again.
        assert_eq!(self.commit_all().await, expected);
        assert_eq!(self.said(), ["first", "third"]);
    }
}

/// A command whose outcome is decided: the number `n` of the lease `id`, and the decision `id`.
fn commit(id: u64, n: u64) -> StoreOp {
    let terms = Terms {
        reply_bytes: 10,
        publishes: 1,
        publish_bytes: 10,
        key_bytes: 10,
        ..Terms::default()
    };
    let decide = Decide {
        id: DecisionId(id),
        terms: Arc::new(terms),
        waiting: Arc::default(),
        fresh_epoch: Epoch(1),
    };
    let StoreOp::Commit { mut commits, .. } = Client::new(id).next() else { unreachable!() };
    let mut commit: Commit = commits.remove(0);
    commit.n = CommandNo(n);
    commit.record.outcome = Decided::internal().outcome;
    commit.record.publishes = Vec::new();
    commit.record.settled = true;
    (commit.retention, commit.fresh_epochs) = (Vec::new(), Vec::new());
    commit.decide = Some(Box::new(decide));
    StoreOp::Commit { lease: lease(id), low: CommandNo(0), commits: vec![commit] }
}

/// What the only command of a commit is told.
fn told(outcome: StoreOutcome) -> Outcome {
    let StoreOutcome::Committed { mut outcomes, .. } = outcome else { panic!("{outcome:?}") };
    match outcomes.remove(0).1 {
        CommitOutcome::Decided { decided, .. } => decided.outcome,
        CommitOutcome::Exists(record) => record.outcome,
        other => panic!("it was decided: {other:?}"),
    }
}

#[tokio::test]
async fn a_statement_that_ends_the_transaction_of_all_ends_its_own_command() {
    let _one = ONE_AT_A_TIME.lock();
    let ends: [fn(&Savepoint<'_>); 3] = [
        |tx| drop(tx.execute("INSERT OR ROLLBACK INTO said VALUES (1, 'never')", [])),
        |tx| drop(tx.execute("INSERT INTO strict VALUES (1)", [])),
        |tx| drop(tx.execute("DELETE FROM said", [])),
    ];
    for end in ends {
        Stage::new().await.harms_nobody(end).await;
    }
}

#[tokio::test]
async fn what_follows_on_the_end_of_the_transaction_is_not_kept_either() {
    let _one = ONE_AT_A_TIME.lock();
    let stage = Stage::new().await;
    let end = |tx: &Savepoint<'_>| {
        let ended = tx.execute("INSERT OR ROLLBACK INTO said VALUES (1, 'never')", []);
        assert!(ended.is_err() && tx.is_autocommit());
        // Each of these would have a transaction of its own.
        let refused = tx.execute("INSERT INTO said(text) VALUES ('after it')", []);
        assert!(refused.is_err());
        assert!(tx.execute("CREATE TABLE after_it(id)", []).is_err());
    };
    stage.harms_nobody(end).await;
    let db = Connection::open(stage.place.file()).unwrap();
    assert!(!db.table_exists(None, "after_it").unwrap());
}

#[tokio::test]
async fn a_savepoint_that_follows_on_the_end_of_the_transaction_hides_nothing() {
    let _one = ONE_AT_A_TIME.lock();
    let end = |tx: &Savepoint<'_>| {
        tx.execute("INSERT OR ROLLBACK INTO said VALUES (1, 'never')", []).unwrap_err();
        // It begins a transaction, where there is none.
        tx.execute_batch("SAVEPOINT own; INSERT INTO said(text) VALUES ('after it')").unwrap();
    };
    Stage::new().await.harms_nobody(end).await;
}

#[tokio::test]
async fn a_constraint_that_commit_looks_at_fails_its_own_command() {
    let _one = ONE_AT_A_TIME.lock();
    let stage = Stage::new().await;
    let orphan = |tx: &Savepoint<'_>| {
        tx.execute("INSERT INTO child VALUES (77)", []).unwrap();
    };
    stage.harms_nobody(orphan).await;
    // Of several commands of one client as well.
    let StoreOp::Commit { lease, low, mut commits } = commit(1, 3) else { unreachable!() };
    for (id, n) in [(4, 4), (5, 5)] {
        let mut commit = commits[0].clone();
        commit.n = CommandNo(n);
        commit.decide.as_mut().unwrap().id = DecisionId(id);
        commits.push(commit);
    }
    stage.give_saying(1, "one");
    stage.give(4, move |tx| {
        orphan(tx);
        ok()
    });
    stage.give_saying(5, "two");
    let outcome = ask(&stage.store, StoreOp::Commit { lease, low, commits }).await;
    let StoreOutcome::Committed { outcomes, .. } = outcome else { panic!("{outcome:?}") };
    let told: Vec<bool> = outcomes
        .iter()
        .map(|(_, outcome)| match outcome {
            CommitOutcome::Decided { decided, .. } => decided.is_success(),
            other => panic!("it was decided: {other:?}"),
        })
        .collect();
    assert_eq!(told, [true, false, true]);
    assert_eq!(stage.said(), ["first", "third", "one", "two"]);
}

#[tokio::test]
async fn a_decision_cant_reach_around_its_savepoint() {
    let _one = ONE_AT_A_TIME.lock();
    let stage = Stage::new().await;
    let refused = [
        "COMMIT",
        "ROLLBACK",
        "BEGIN",
        "RELEASE sf_decision",
        "ROLLBACK TO SF_Decision",
        "SAVEPOINT sf_decision",
        "ATTACH ':memory:' AS other",
        "DETACH main",
        "PRAGMA synchronous = OFF",
        "PRAGMA defer_foreign_keys = ON",
        "PRAGMA journal_mode",
        "VACUUM",
        "SELECT * FROM sf_leases",
        "DELETE FROM SF_RECORDS",
        "UPDATE sf_store SET format = 2",
        "INSERT INTO sf_append_keys VALUES (1, '', 1, 1, 1)",
        "INSERT INTO said(text) SELECT id FROM sf_leases",
        "DROP TABLE sf_log",
        "ALTER TABLE sf_log RENAME TO log",
        "ALTER TABLE said RENAME TO sf_said",
        "CREATE TABLE sf_more(id)",
        "CREATE VIEW sf_view AS SELECT 1",
        "CREATE INDEX mine ON sf_log(body)",
        "CREATE TRIGGER mine AFTER INSERT ON sf_log BEGIN SELECT 1; END",
        // By a trigger that the application has.
        "INSERT INTO watched VALUES (1)",
    ];
    let (tell, told) = mpsc::channel();
    stage.give(1, move |tx| {
        for sql in refused {
            let cached = tx.prepare_cached(sql).and_then(|mut it| it.execute([]));
            if cached.is_ok() || tx.execute_batch(sql).is_ok() {
                tell.send(sql).unwrap();
            }
        }
        let mut kept = tx.prepare("PRAGMA user_version").unwrap();
        assert_eq!(kept.query_row([], |row| row.get(0)), Ok(0));
        // A savepoint of its own, and one that it forgets.
        let own = "SAVEPOINT own; INSERT INTO said(text) VALUES ('never'); ROLLBACK TO own; \
                   RELEASE own; SAVEPOINT forgotten";
        tx.execute_batch(own).unwrap();
        say(tx, "it goes on");
        ok()
    });
    assert_eq!(first_told(&stage).await, ok().outcome);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), Vec::<&str>::new());
    assert_eq!(stage.said(), ["it goes on"]);
}

async fn first_told(stage: &Stage) -> Outcome {
    told(ask(&stage.store, commit(1, 2)).await)
}

#[tokio::test]
async fn a_statement_that_the_store_keeps_ready_is_nobody_elses() {
    let _one = ONE_AT_A_TIME.lock();
    let stage = Stage::new().await;
    // It was authorized for the store, which has run each of them by now.
    let steers = ["COMMIT", "BEGIN IMMEDIATE", "RELEASE sf_decision", "ROLLBACK TO sf_decision"];
    let file = stage.place.file();
    stage.give_saying(1, "first");
    stage.give(2, move |tx| {
        for sql in steers {
            assert!(tx.prepare_cached(sql).and_then(|mut it| it.execute([])).is_err(), "{sql}");
        }
        let other = Connection::open(&file).unwrap();
        let said = other.query_row("SELECT count(*) FROM said", [], |row| row.get(0));
        assert_eq!(said, Ok(0), "nothing is committed early");
        say(tx, "second");
        ok()
    });
    stage.give_saying(3, "third");
    assert_eq!(stage.commit_all().await, [(); 3].map(|()| ok().outcome));
    assert_eq!(stage.said(), ["first", "second", "third"]);
}

#[tokio::test]
async fn a_panic_ends_its_own_command() {
    let _one = ONE_AT_A_TIME.lock();
    let panics = |_: &Savepoint<'_>| std::panic::resume_unwind(Box::new("on purpose"));
    Stage::new().await.harms_nobody(panics).await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_ends_its_own_command() {
    let _one = ONE_AT_A_TIME.lock();
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) ";
    let endless = [
        format!("{numbers} SELECT count(*) FROM n"),
        // SQLite ends the whole transaction when a statement that writes is interrupted.
        format!("INSERT INTO said(text) {numbers} SELECT i FROM n"),
    ];
    for sql in endless {
        let mut settings = LocalSettings::default();
        settings.decision_time = Duration::from_millis(20);
        let stage = Stage::with(settings).await;
        stage.harms_nobody(move |tx| tx.execute_batch(&sql).unwrap()).await;
    }
}

#[tokio::test]
async fn rows_of_an_answer_that_breaks_its_terms_or_is_an_error_are_undone() {
    let _one = ONE_AT_A_TIME.lock();
    let stage = Stage::new().await;
    let long = Outcome::Ok(Body::from("\"longer than ten\""));
    let error = Outcome::plain_failure(steadfast::wire::FailureCode::Error);
    for (id, outcome) in [(1, long), (2, error.clone())] {
        stage.give(id, move |tx| {
            say(tx, "never");
            Decided { outcome: outcome.clone(), publishes: Vec::new() }
        });
    }
    stage.give_saying(3, "third");
    let expected = [Decided::internal().outcome, error, ok().outcome];
    assert_eq!(stage.commit_all().await, expected);
    assert_eq!(stage.said(), ["third"]);
}

#[tokio::test]
async fn a_decision_is_kept_until_its_commit_is_on_the_disk() {
    let _one = ONE_AT_A_TIME.lock();
    let disk = steadfast_powercut::install();
    for fault in [Fault::Full, Fault::Flush] {
        let stage = Stage::new().await;
        let runs = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&runs);
        stage.give(1, move |tx| {
            count.fetch_add(1, Ordering::Relaxed);
            say(tx, "once");
            ok()
        });
        disk.fail(Some(fault));
        for _ in 0..3 {
            let outcome = ask(&stage.store, commit(1, 2)).await;
            assert!(matches!(outcome, StoreOutcome::Failed | StoreOutcome::Unknown), "{outcome:?}");
        }
        disk.fail(None);
        assert_eq!(stage.said(), [""; 0]);
        assert_eq!(first_told(&stage).await, ok().outcome);
        assert_eq!(stage.said(), ["once"]);
        assert!(runs.load(Ordering::Relaxed) > 1);
        assert_eq!(Arc::strong_count(&runs), 1, "what is answered is let go");
    }
}

#[tokio::test]
async fn a_lock_of_another_program_lets_nothing_be_decided() {
    let _one = ONE_AT_A_TIME.lock();
    let mut settings = LocalSettings::default();
    settings.lock_wait = Duration::from_millis(5);
    let stage = Stage::with(settings).await;
    stage.give_saying(1, "once");
    let other = Connection::open(stage.place.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(ask(&stage.store, commit(1, 2)).await, StoreOutcome::Failed);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(first_told(&stage).await, ok().outcome);
    assert_eq!(stage.said(), ["once"]);
}

#[tokio::test]
async fn a_lease_that_has_ended_gets_no_rows() {
    let _one = ONE_AT_A_TIME.lock();
    let stage = Stage::new().await;
    stage.give_saying(1, "never");
    let id: LeaseId = lease(1);
    assert_eq!(ask(&stage.store, StoreOp::EndLease { id }).await, StoreOutcome::Done);
    assert_eq!(ask(&stage.store, commit(1, 2)).await, StoreOutcome::LeaseGone);
    assert_eq!(stage.said(), [""; 0]);
}

#[tokio::test]
async fn what_one_handle_was_given_decides_nothing_for_another_one() {
    let _one = ONE_AT_A_TIME.lock();
    let stage = Stage::new().await;
    let other = stage.store.clone();
    stage.give_saying(1, "never");
    other.hand_over(
        DecisionId(1),
        Box::new(|tx| {
            say(tx, "of the other one");
            ok()
        }),
    );
    assert_eq!(told(ask(&other, commit(1, 2)).await), ok().outcome);
    assert_eq!(stage.said(), ["of the other one"]);
}

/// What a decision has, and whose end is a panic.
struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
}

#[tokio::test]
async fn a_panic_when_a_decision_is_let_go_harms_nobody() {
    let _one = ONE_AT_A_TIME.lock();
    let stage = Stage::new().await;
    let fragile = Fragile;
    stage.give(1, move |tx| {
        let _ = &fragile;
        say(tx, "first");
        ok()
    });
    stage.give_saying(2, "second");
    stage.give_saying(3, "third");
    assert_eq!(stage.commit_all().await, [(); 3].map(|()| ok().outcome));
    assert_eq!(stage.said(), ["first", "second", "third"]);
}
