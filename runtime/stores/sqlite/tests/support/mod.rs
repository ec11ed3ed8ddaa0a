//! Files for tests, which are deleted with their directory, and clocks that tests set. It asserts
//! nothing.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

pub mod load;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast::session::Now;
use steadfast::session::store::{OpId, StoreOp, StoreOutcome};
use steadfast::store::{Clock, Store};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// A directory of its own.
pub struct Place(PathBuf);

impl Place {
    pub fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("the target directory can be written");
        Self(path)
    }

    pub fn file(&self) -> PathBuf {
        self.at("store.db")
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A clock that stands still until it is set.
#[derive(Clone, Default)]
pub struct Hand(Arc<AtomicU64>);

impl Hand {
    pub fn clock(&self) -> Clock {
        let time = Arc::clone(&self.0);
        Arc::new(move || Now(time.load(Ordering::Relaxed)))
    }

    pub fn go_on(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    pub fn now(&self) -> Now {
        Now(self.0.load(Ordering::Relaxed))
    }
}

/// Asks one thing.
pub async fn ask(store: &impl Store, op: StoreOp) -> StoreOutcome {
    let mut answers = store.execute(vec![(OpId(1), op)]).await;
    assert_eq!(answers.len(), 1, "an operation has one answer");
    answers.remove(0).1
}
