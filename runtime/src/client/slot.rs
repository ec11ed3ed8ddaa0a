//! Where a caller and a follower wait: the place in which the client leaves what has become of a
//! call or a subscription, and the wakers of whoever looks. Asks nothing of the core.

use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::protocol::EncodeError;
use crate::session::client::{CallId, CallOutcome, Fate, Item, Resumed, SubscriptionEnd};
use crate::sync::{Mutex, MutexGuard};
use crate::wire::RefusalCode;

/// What a call and the client share.
pub(super) struct CallSlot {
    /// The core's name for it; none if it ended before the core heard of it.
    call: Option<CallId>,
    progress: Mutex<CallProgress>,
}

struct CallProgress {
    fate: Fate,
    timed_out: bool,
    cancelled: bool,
    end: Option<CallEnd>,
    caller: Option<Waker>,
    follower: Option<Waker>,
}

/// How a call ended.
#[derive(Debug, Clone)]
pub(super) enum CallEnd {
    Outcome(CallOutcome),
    TooLarge { bytes: usize, limit: u32 },
    Unencodable(EncodeError),
    Full,
    Cancelled,
}

impl CallSlot {
    pub(super) fn new(call: CallId, fate: Fate) -> Arc<Self> {
        Self::with(Some(call), fate, None)
    }

    /// A call that ended before the core heard of it.
    pub(super) fn over(end: CallEnd) -> Arc<Self> {
        Self::with(None, Fate::Failed, Some(end))
    }

    /// A call that ended in an earlier process.
    #[cfg(feature = "outbox")]
    pub(super) fn ended(call: CallId, outcome: CallOutcome) -> Arc<Self> {
        let fate = match outcome {
            CallOutcome::Reply(_) => Fate::Done,
            CallOutcome::OutcomeUnknown => Fate::Unknown,
            _ => Fate::Failed,
        };
        Self::with(Some(call), fate, Some(CallEnd::Outcome(outcome)))
    }

    fn with(call: Option<CallId>, fate: Fate, end: Option<CallEnd>) -> Arc<Self> {
        let (timed_out, cancelled, caller, follower) = (false, false, None, None);
        let progress = CallProgress { fate, timed_out, cancelled, end, caller, follower };
        let progress = Mutex::new(progress);
        Arc::new(Self { call, progress })
    }

    fn lock(&self) -> MutexGuard<'_, CallProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn call(&self) -> Option<CallId> {
        self.call
    }

    pub(super) fn fate(&self) -> Fate {
        self.lock().fate
    }

    // ---- the client; the wakers are to be woken once no lock is held ----

    /// The call has its outcome; the fate that goes with it was told before. One that was cancelled
    /// before it began has expired for whoever is at the other end.
    pub(super) fn resolve(&self, outcome: CallOutcome) -> [Option<Waker>; 2] {
        let expired = outcome == CallOutcome::Refused(RefusalCode::Expired);
        if expired && self.lock().cancelled {
            return self.end(CallEnd::Cancelled);
        }
        self.end(CallEnd::Outcome(outcome))
    }

    /// The call was withdrawn: it was never executed.
    pub(super) fn withdraw(&self) -> [Option<Waker>; 2] {
        self.lock().fate = Fate::Failed;
        self.end(CallEnd::Cancelled)
    }

    fn end(&self, end: CallEnd) -> [Option<Waker>; 2] {
        let mut progress = self.lock();
        progress.end = Some(end);
        [progress.caller.take(), progress.follower.take()]
    }

    pub(super) fn time_out(&self) -> Option<Waker> {
        let mut progress = self.lock();
        progress.timed_out = true;
        progress.caller.take()
    }

    pub(super) fn set_fate(&self, fate: Fate) -> Option<Waker> {
        let mut progress = self.lock();
        progress.fate = fate;
        progress.follower.take()
    }

    // ---- the caller ----

    /// Its caller does not want it any more.
    pub(super) fn cancel(&self) {
        self.lock().cancelled = true;
    }

    /// Its caller waits anew.
    pub(super) fn wait_again(&self) {
        self.lock().timed_out = false;
    }

    // ---- whoever waits ----

    /// The end; `None` if the declared time is over first, unless the caller is patient.
    pub(super) fn poll_end(&self, cx: &Context<'_>, patient: bool) -> Poll<Option<CallEnd>> {
        let mut progress = self.lock();
        if let Some(end) = &progress.end {
            return Poll::Ready(Some(end.clone()));
        }
        if !patient && progress.timed_out {
            return Poll::Ready(None);
        }
        match &mut progress.caller {
            Some(waker) => waker.clone_from(cx.waker()),
            waker => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// A fate other than the one that was `told`; `None` after the last one.
    pub(super) fn poll_fate(&self, cx: &Context<'_>, told: Option<Fate>) -> Poll<Option<Fate>> {
        let mut progress = self.lock();
        if told != Some(progress.fate) {
            return Poll::Ready(Some(progress.fate));
        }
        if progress.end.is_some() {
            return Poll::Ready(None);
        }
        progress.follower = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// What a subscription and the client share.
pub(super) struct SubscriptionSlot {
    progress: Mutex<SubscriptionProgress>,
}

#[derive(Default)]
struct SubscriptionProgress {
    established: bool,
    /// What nobody was told of yet.
    resumed: Option<Resumed>,
    end: Option<SubscriptionEnd>,
    waker: Option<Waker>,
}

impl SubscriptionSlot {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { progress: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, SubscriptionProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server has answered. Of two resumes in a row that nobody was told of the first one says
    /// from where.
    pub(super) fn establish(&self, resumed: Option<Resumed>) -> Option<Waker> {
        let mut progress = self.lock();
        progress.established = true;
        progress.resumed = match (progress.resumed, resumed) {
            (Some(before), Some(now)) if before.from.epoch == now.from.epoch => {
                let count = now.from.ts.0 + now.count - before.from.ts.0.min(now.from.ts.0);
                Some(Resumed { from: before.from, count })
            }
            (_, resumed) => resumed,
        };
        progress.waker.take()
    }

    /// That it was resumed, if whoever follows is to hear of it before `item`, or before they wait.
    /// What waited for them since before the break comes first; after what begins anew it says
    /// nothing.
    pub(super) fn take_resumed(&self, item: Option<&Item>) -> Option<Resumed> {
        let mut progress = self.lock();
        let resumed = progress.resumed?;
        match item {
            Some(Item::Event { position, .. }) if position.ts <= resumed.from.ts => None,
            Some(Item::Event { .. }) | None => progress.resumed.take(),
            Some(Item::Volatile { .. }) => None,
            Some(Item::Snapshot { .. } | Item::Gap(_)) => {
                progress.resumed = None;
                None
            }
        }
    }

    pub(super) fn readable(&self) -> Option<Waker> {
        self.lock().waker.take()
    }

    pub(super) fn end(&self, end: SubscriptionEnd) -> Option<Waker> {
        let mut progress = self.lock();
        progress.end = Some(end);
        progress.waker.take()
    }

    pub(super) fn how_it_ended(&self) -> Option<SubscriptionEnd> {
        self.lock().end.clone()
    }

    /// Ready when the server has answered; an error if the answer was the end.
    pub(super) fn poll_established(&self, cx: &Context<'_>) -> Poll<Result<(), SubscriptionEnd>> {
        let mut progress = self.lock();
        if let Some(end) = &progress.end {
            return Poll::Ready(Err(end.clone()));
        }
        if progress.established {
            return Poll::Ready(Ok(()));
        }
        progress.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next item, by `look`; `None` if there is none and the subscription has ended.
    pub(super) fn poll_item<T>(
        &self,
        cx: &Context<'_>,
        look: impl FnOnce() -> Option<T>,
    ) -> Poll<Option<T>> {
        // Both before the look: what becomes readable in between wakes, and an end hides nothing
        // that came before it.
        let ended = {
            let mut progress = self.lock();
            progress.waker = Some(cx.waker().clone());
            progress.end.is_some()
        };
        match look() {
            Some(item) => Poll::Ready(Some(item)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}
