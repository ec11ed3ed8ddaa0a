//! Whether the caller of a command still wants it (PROTOCOL.md 5.27), as its handler may ask and the
//! driver says. What a handler makes of it is the handler's.

use std::task::{Poll, Waker};

use super::cx::Cx;

/// What a handler's side and the driver's side share of it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    cancelled: bool,
    /// Whoever waits in the handler; a waker for each task.
    waiting: Vec<Waker>,
}

impl Wanted {
    /// The caller does not want the command any more. Whoever waits for that is to be woken once no
    /// lock is held.
    pub(super) fn cancel(&mut self) -> Vec<Waker> {
        self.cancelled = true;
        std::mem::take(&mut self.waiting)
    }

    fn poll_cancelled(&mut self, waker: &Waker) -> Poll<()> {
        if self.cancelled {
            return Poll::Ready(());
        }
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}

impl Cx {
    /// Whether the caller has cancelled this command since it began (`Call::cancel`). A hint: the
    /// command goes on, and whatever the handler ends with is the outcome that the caller is told.
    /// What it published is committed if it returns `Ok`. Never in a volatile's handler.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.wanted(|wanted| wanted.cancelled)
    }

    /// Waits until the caller cancels this command, for ever if it does not: something to `select!`
    /// against what takes long. See [`Cx::is_cancelled`] for what that means.
    ///
    /// ```
    /// # use steadfast::server::Cx;
    /// # async fn build_report() -> String { String::new() }
    /// # enum ReportError { GivenUp }
    /// async fn report(cx: &Cx) -> Result<String, ReportError> {
    ///     tokio::select! {
    ///         report = build_report() => Ok(report),
    ///         () = cx.cancelled() => Err(ReportError::GivenUp),
    ///     }
    /// }
    /// ```
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    pub async fn cancelled(&self) {
        let wait = |waker: &Waker| self.wanted(|wanted| wanted.poll_cancelled(waker));
        std::future::poll_fn(|cx| wait(cx.waker())).await;
    }
}
