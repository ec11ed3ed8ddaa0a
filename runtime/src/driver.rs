//! What both drivers need of the outside world: a clock, a seed, tasks and a guard around foreign
//! code. Decides nothing.

mod wake;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};

use crate::session::Now;
pub(crate) use wake::WakeFlag;

/// A boxed future of foreign code.
#[cfg(feature = "client")]
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Milliseconds since the driver began. Follows tokio's clock, so that tests may pause it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: instant() }
    }

    pub(crate) fn now(self) -> Now {
        Now(u64::try_from(instant().duration_since(self.start).as_millis()).unwrap_or(u64::MAX))
    }

    /// The moment at which `now` will have been reached.
    pub(crate) fn at(self, now: Now) -> Instant {
        self.start + Duration::from_millis(now.0)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the drivers read a clock")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// What a core's random numbers begin with: unguessable, from the operating system, unless a test
/// has given one.
///
/// # Panics
/// When the operating system has no random numbers: nothing safe can be done without.
pub(crate) fn seed(given: Option<u64>) -> [u8; 32] {
    let mut seed = [0; 32];
    match given {
        Some(given) => seed[..8].copy_from_slice(&given.to_le_bytes()),
        None => getrandom::fill(&mut seed).expect("the operating system gives random numbers"),
    }
    seed
}

#[expect(clippy::disallowed_methods, reason = "the one place where the drivers wait for time")]
pub(crate) fn sleep(time: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(time))
}

#[cfg(feature = "client")]
pub(crate) fn sleep_until(at: Instant) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep_until(at))
}

#[expect(clippy::disallowed_methods, reason = "the one place where the drivers make tasks")]
pub(crate) fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(task)
}

/// Foreign code panicked; the payload is its business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Runs foreign code; a panic ends here.
pub(crate) fn guarded<T>(code: impl FnOnce() -> T) -> Result<T, Panicked> {
    // What the closure touched is dropped, not used again, so a broken invariant in it is seen by
    // nobody.
    catch_unwind(AssertUnwindSafe(code)).map_err(|_| Panicked)
}

/// A foreign future whose panic ends it and nothing else.
pub(crate) struct Guarded<F>(pub(crate) F);

impl<F: Future + Unpin> Future for Guarded<F> {
    type Output = Result<F::Output, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match guarded(|| Pin::new(&mut self.0).poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}
