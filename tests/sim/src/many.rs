//! Many seeds on many threads. It counts and shows progress, and does not know what a run is.

#![expect(
    clippy::disallowed_types,
    reason = "how fast the simulator runs is measured outside of every run"
)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::checkers::Sometimes;
use crate::trace::Recording;
use crate::{Failure, Variant, attempt, shorten::shorten};

/// Seeds between two calls of a progress function.
const EVERY: u64 = 10_000;
/// Failures after which nobody wants to see more.
const FAILURES: usize = 3;

/// How far a long run has got.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Seeds run.
    pub seeds: u64,
    /// Seeds to run.
    pub of: u64,
    /// Steps of them.
    pub steps: u64,
    /// Seconds since the start.
    pub seconds: f64,
    /// Runs that broke a rule.
    pub failures: usize,
}

/// What many runs came to.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Seeds run.
    pub seeds: u64,
    /// Steps of the runs that kept every rule.
    pub steps: u64,
    /// How long that took.
    pub seconds: f64,
    /// What happened in them.
    pub sometimes: Sometimes,
    /// The first runs that broke a rule, shortened, by seed; after some of them the rest was not
    /// run.
    pub failures: Vec<Failure>,
}

impl Summary {
    /// Steps per second, of all threads together.
    #[must_use]
    pub fn steps_per_second(&self) -> f64 {
        self.steps as f64 / self.seconds.max(1e-9)
    }
}

struct Shared {
    begun: Instant,
    next: AtomicU64,
    done: AtomicU64,
    steps: AtomicU64,
    sometimes: Mutex<Sometimes>,
    failures: Mutex<Vec<Failure>>,
}

/// Runs `seeds` seeds from `first_seed` on, on `threads` threads (0: one per core). `progress` is
/// called now and then, from any of them.
///
/// # Panics
/// When a run does.
pub fn run_many(
    first_seed: u64,
    seeds: u64,
    threads: usize,
    progress: impl Fn(Progress) + Sync,
) -> Summary {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { cores } else { threads };
    let shared = Shared {
        begun: Instant::now(),
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        steps: AtomicU64::new(0),
        sometimes: Mutex::default(),
        failures: Mutex::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| shared.work(first_seed, seeds, &progress));
        }
    });
    let seconds = shared.begun.elapsed().as_secs_f64();
    let mut failures = shared.failures.into_inner().expect("a thread that panics ends the scope");
    failures.sort_by_key(|failure| failure.seed);
    Summary {
        seeds: shared.done.into_inner(),
        steps: shared.steps.into_inner(),
        seconds,
        sometimes: shared.sometimes.into_inner().expect("a thread that panics ends the scope"),
        failures: failures.into_iter().map(|failure| *shorten(Box::new(failure))).collect(),
    }
}

impl Shared {
    fn work(&self, first_seed: u64, seeds: u64, progress: &(impl Fn(Progress) + Sync)) {
        let mut sometimes = Sometimes::default();
        loop {
            let at = self.next.fetch_add(1, Ordering::Relaxed);
            let failed = self.failures.lock().expect("nobody panics while holding it").len();
            if at >= seeds || failed >= FAILURES {
                break;
            }
            match attempt(first_seed + at, &Variant::default(), Recording::Off) {
                Ok(success) => {
                    self.steps.fetch_add(success.steps, Ordering::Relaxed);
                    sometimes.add(&success.sometimes);
                }
                Err(failure) => {
                    self.failures.lock().expect("nobody panics while holding it").push(*failure)
                }
            }
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(EVERY) && done < seeds {
                let (steps, seconds) =
                    (self.steps.load(Ordering::Relaxed), self.begun.elapsed().as_secs_f64());
                progress(Progress { seeds: done, of: seeds, steps, seconds, failures: failed });
            }
        }
        self.sometimes.lock().expect("nobody panics while holding it").add(&sometimes);
    }
}
