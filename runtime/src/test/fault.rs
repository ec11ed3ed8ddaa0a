//! A fault that was planned: whether it has happened, and a way to wait for that.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::shared::{Shared, Wait};

/// A fault that was planned. Clones are the same one; dropping it does not take it back.
#[derive(Clone)]
pub struct Fault {
    shared: Arc<Shared>,
    what: Arc<str>,
    times: Arc<AtomicU32>,
}

impl Fault {
    pub(super) fn new(shared: &Arc<Shared>, what: String) -> Self {
        Self { shared: Arc::clone(shared), what: what.into(), times: Arc::default() }
    }

    /// It happens now.
    pub(super) fn happens(&self, detail: fmt::Arguments<'_>) {
        self.times.fetch_add(1, Ordering::AcqRel);
        self.shared.note(format_args!("fault: {}{detail}", self.what));
    }

    /// How often it has happened.
    #[must_use]
    pub fn times(&self) -> u32 {
        self.times.load(Ordering::Acquire)
    }

    /// Waits until it has happened at least once.
    ///
    /// # Panics
    /// When [`Net::patience`](super::Net::patience) is over, saying what was waited for.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    #[track_caller]
    pub fn happened(&self) -> impl Future<Output = ()> {
        let wait = Wait::new(format!("the fault \"{}\"", self.what));
        async move { self.shared.until(wait, || self.times() > 0).await }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault").field("what", &self.what).field("times", &self.times()).finish()
    }
}
