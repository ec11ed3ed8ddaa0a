//! A guard around foreign code: a panic in it ends that code and nothing else. What an application
//! or a peer is told of it is decided elsewhere.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

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
