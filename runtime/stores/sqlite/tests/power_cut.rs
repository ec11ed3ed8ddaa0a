//! Durable before it is acknowledged: the disk remembers what was flushed, power is cut after any
//! of its operations, and what was acknowledged before is there in what is left, which goes on.
//! `STEADFAST_CUTS=1000` tries so many moments.
#![allow(clippy::panic, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast_powercut::{Cut, Disk, Event};
use steadfast_sqlite::{LocalSettings, LocalStore, rusqlite};
use support::Place;
use support::load::{Acked, Client, acked_is_there, highest};

/// Clients that write at the same time.
const CLIENTS: u64 = 4;
const COMMANDS: u64 = 40;
/// How many of the moments are tried in the test command, at least; each with three cuts.
const MOMENTS: usize = 40;

/// What clients wrote, with what they had heard of by when.
async fn under_load(disk: &'static Disk) -> (Vec<Event>, Vec<Acked>) {
    let place = Place::new();
    let mut settings = LocalSettings::default();
    // The log is brought into the file again and again.
    settings.checkpoint_bytes = 64 * 1024;
    disk.record();
    let store = LocalStore::builder(place.file()).settings(settings).open().unwrap();
    let store = Arc::new(store);
    let marks = Arc::new(AtomicU64::new(0));
    let clients = (0..CLIENTS).map(|number| {
        let (store, marks) = (Arc::clone(&store), Arc::clone(&marks));
        tokio::spawn(async move {
            let mut client = Client::new(number);
            let mut acked = Vec::new();
            for _ in 0..COMMANDS {
                let written = client.command(&*store).await.expect("nothing fails here");
                let mark = marks.fetch_add(1, Ordering::Relaxed);
                disk.mark(mark);
                acked.push(Acked { mark, ..written });
            }
            acked
        })
    });
    let mut acked = Vec::new();
    for client in clients.collect::<Vec<_>>() {
        acked.extend(client.await.unwrap());
    }
    drop(store);
    (disk.stop(), acked)
}

/// Marks that had been set before a moment.
fn heard(events: &[Event]) -> Vec<u64> {
    events
        .iter()
        .filter_map(|event| if let Event::Mark(mark) = event { Some(*mark) } else { None })
        .collect()
}

async fn check(events: &[Event], acked: &[Acked], cut: Cut) -> Result<(), String> {
    let place = Place::new();
    Disk::put(&Disk::after_cut(events, cut), &place.at("left")).unwrap();
    let heard = heard(events);
    let before: Vec<Acked> =
        acked.iter().filter(|acked| heard.contains(&acked.mark)).cloned().collect();
    let store = LocalStore::open(place.at("left").join("store.db"));
    let store = store.map_err(|error| error.to_string())?;
    acked_is_there(&store, &before).await?;
    let more = Client::new(CLIENTS).command(&store).await;
    more.ok_or("nothing more can be written")?;
    highest(&store).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_after_a_power_cut_at_any_moment() {
    let disk = steadfast_powercut::install();
    let (events, acked) = under_load(disk).await;
    let flushes = events.iter().filter(|event| matches!(event, Event::Flushed { .. })).count();
    assert!(flushes > 40, "the load is flushed again and again: {flushes}");
    let moments = std::env::var("STEADFAST_CUTS").ok().and_then(|moments| moments.parse().ok());
    let step = (events.len() / moments.unwrap_or(MOMENTS)).max(1);
    for moment in (0..events.len()).step_by(step) {
        for cut in [Cut::Nothing, Cut::Some(moment as u64), Cut::Everything] {
            let came = check(&events[..moment], &acked, cut).await;
            assert_eq!(came, Ok(()), "after {moment} of {} events, {cut:?}", events.len());
        }
    }
    finds_what_is_not_flushed(disk);
}

/// The same disk with a database that is not flushed: what was committed is gone. It shows that the
/// test above can fail.
fn finds_what_is_not_flushed(disk: &'static Disk) {
    let place = Place::new();
    disk.record();
    let db = rusqlite::Connection::open(place.file()).unwrap();
    db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(())).unwrap();
    db.execute_batch("PRAGMA synchronous=OFF; CREATE TABLE t(x); INSERT INTO t VALUES (1)")
        .unwrap();
    let left = Disk::after_cut(&disk.stop(), Cut::Nothing);
    drop(db);
    Disk::put(&left, &place.at("left")).unwrap();
    let db = rusqlite::Connection::open(place.at("left").join("store.db")).unwrap();
    let found = db.query_row("SELECT x FROM t", [], |row| row.get::<_, i64>(0));
    assert!(found.is_err(), "what was not flushed is gone");
}
