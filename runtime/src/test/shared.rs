//! What everything in a net shares: its seed, its trace, its hosts by name, and how long anybody
//! waits. Starts nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::DuplexStream;
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::links::{LineNo, Links, OpenLink};
use super::trace::Trace;
use crate::host::Clock;

/// What a net's waits are bounded by, unless it is told otherwise: of tokio's time.
const PATIENCE: Duration = Duration::from_secs(600);

/// Takes the server's end of a socket; there is none while the server is down.
pub(super) type Door = Arc<dyn Fn(DuplexStream) + Send + Sync>;

pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) clock: Clock,
    pub(super) trace: Trace,
    patience: Mutex<Duration>,
    hosts: Mutex<BTreeMap<String, Option<Door>>>,
    links: Mutex<Links>,
    counted: AtomicU64,
    /// Counts up whenever something has happened that somebody may wait for.
    happened: watch::Sender<u64>,
}

/// Where somebody began to wait, and for what.
pub(super) struct Wait {
    at: &'static Location<'static>,
    what: String,
}

impl Wait {
    #[track_caller]
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { at: Location::caller(), what: what.into() }
    }
}

impl Shared {
    pub(super) fn new(seed: u64) -> Self {
        let clock = Clock::new();
        Self {
            seed,
            clock,
            trace: Trace::new(clock),
            patience: Mutex::new(PATIENCE),
            hosts: Mutex::default(),
            links: Mutex::default(),
            counted: AtomicU64::new(0),
            happened: watch::Sender::new(0),
        }
    }

    /// A seed for somebody: another one for each name and count.
    pub(super) fn seed_of(&self, who: &str, count: u64) -> u64 {
        xxh3_64_with_seed(format!("{count} {who}").as_bytes(), self.seed)
    }

    /// A seed for one more client: two with one seed would be one client to their server.
    pub(super) fn seed_of_client(&self, line: &str) -> u64 {
        self.seed_of(line, self.count())
    }

    pub(super) fn next_line(&self) -> LineNo {
        LineNo(self.count())
    }

    fn count(&self) -> u64 {
        self.counted.fetch_add(1, Ordering::AcqRel)
    }

    pub(super) fn note(&self, line: fmt::Arguments<'_>) {
        self.trace.note(line);
        self.happened.send_modify(|count| *count += 1);
    }

    pub(super) fn set_patience(&self, patience: Duration) {
        *lock(&self.patience) = patience;
    }

    // ---- hosts ----

    pub(super) fn has_host(&self, name: &str) -> bool {
        lock(&self.hosts).contains_key(name)
    }

    pub(super) fn set_door(&self, name: &str, door: Option<Door>) {
        lock(&self.hosts).insert(name.to_owned(), door);
    }

    /// # Errors
    /// What whoever dials is told.
    pub(super) fn door(&self, name: &str) -> Result<Door, String> {
        let hosts = lock(&self.hosts);
        match hosts.get(name) {
            Some(Some(door)) => Ok(Arc::clone(door)),
            Some(None) => Err(format!("`{name}` is down")),
            None => {
                let known: Vec<&str> = hosts.keys().map(String::as_str).collect();
                Err(format!("this net has no server `{name}`, but {known:?}"))
            }
        }
    }

    // ---- links ----

    pub(super) fn open_link(&self, line: LineNo, host: &str) -> Arc<OpenLink> {
        lock(&self.links).open(line, host)
    }

    pub(super) fn forget_link(&self, id: u64) {
        lock(&self.links).forget(id);
    }

    pub(super) fn links(&self, which: impl Fn(&OpenLink) -> bool) -> Vec<Arc<OpenLink>> {
        lock(&self.links).of(which)
    }

    // ---- waiting ----

    /// Waits for something, but not for ever.
    ///
    /// # Panics
    /// When patience is over.
    pub(super) async fn within<F: Future>(&self, wait: Wait, future: F) -> F::Output {
        let patience = *lock(&self.patience);
        match tokio::time::timeout(patience, future).await {
            Ok(came) => came,
            Err(_) => self.give_up(&wait, patience),
        }
    }

    /// Waits until `holds`, which is looked at whenever something has happened in the net.
    pub(super) async fn until(&self, wait: Wait, holds: impl Fn() -> bool) {
        let mut happened = self.happened.subscribe();
        self.within(wait, async {
            while !holds() {
                // The sender lives in `self`.
                let _ = happened.changed().await;
            }
        })
        .await;
    }

    #[expect(clippy::panic, reason = "a test that waits in vain fails here")]
    fn give_up(&self, Wait { at, what }: &Wait, patience: Duration) -> ! {
        self.note(format_args!("{at}: gave up"));
        panic!("{at}: gave up after {patience:?} of waiting for: {what}")
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
