//! Tasks and waiting, in the one place where the drivers make them. Which task waits for what is
//! the drivers' business.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::JoinHandle;
#[cfg(feature = "client")]
use tokio::time::Instant;
use tokio::time::Sleep;

/// A boxed future of foreign code.
#[cfg(feature = "client")]
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

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
