//! The core with what surrounds it: one lock, held for state changes only. Owns the way from the
//! core's events to the futures that wait for them; decides nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::task::Waker;

use steadfast_schema::{Kind, Message};
use tokio::sync::watch;

use super::builder::WhenFull;
use super::call::{End, Place, Slot};
use super::line::Line;
use super::state::{ConnectionState, Status};
use super::subscription::SubSlot;
use crate::host::{Clock, WakeFlag};
use crate::session::client::{
    self as core, CallId, CallOutcome, ClientConfig, DialReason, Event, Item, SubId, Submission,
    SubmitError, SubscribeError, SubscriptionRequest,
};
use crate::session::{Close, Now};
use crate::sync::{Mutex, MutexGuard};
use crate::wire::{Body, Codec, Dial, Name, RefusalCode};

/// What a client's handles, calls, subscriptions and task share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) codec: Codec,
    pub(super) state: watch::Sender<ConnectionState>,
    /// Each task of the client holds a receiver.
    pub(super) alive: watch::Sender<()>,
    when_full: WhenFull,
    /// The task that owns the socket.
    pub(super) wake: WakeFlag,
    inner: Mutex<Inner>,
}

/// What the lock protects.
pub(super) struct Inner {
    pub(super) core: core::Client,
    calls: BTreeMap<CallId, Arc<Slot>>,
    subs: BTreeMap<SubId, Arc<SubSlot>>,
    line: Line,
    /// What the task that owns the socket will wake for.
    armed: Option<Now>,
    /// For the task that owns the socket.
    pub(super) orders: VecDeque<Order>,
}

/// What the core wants of the task that owns the socket.
#[derive(Debug)]
pub(super) enum Order {
    Dial(Dial, DialReason),
    Close(Dial, Close),
}

/// Whom to wake once the lock is released.
#[derive(Default)]
pub(super) struct Wakers {
    wakers: Vec<Waker>,
    /// Calls that have ended.
    pub(super) resolved: usize,
}

impl Wakers {
    fn push(&mut self, waker: Option<Waker>) {
        self.wakers.extend(waker);
    }

    pub(super) fn wake(self) {
        for waker in self.wakers {
            waker.wake();
        }
    }
}

impl Shared {
    pub(super) fn new(config: ClientConfig, when_full: WhenFull, seed: [u8; 32]) -> Arc<Self> {
        let codec = config.codec;
        let core = core::Client::new(Arc::new(config), seed);
        let clock = Clock::new();
        Arc::new(Self {
            clock,
            codec,
            state: watch::Sender::new(ConnectionState::of(clock, core.state())),
            alive: watch::Sender::new(()),
            when_full,
            wake: WakeFlag::default(),
            inner: Mutex::new(Inner {
                core,
                calls: BTreeMap::new(),
                subs: BTreeMap::new(),
                line: Line::default(),
                armed: None,
                orders: VecDeque::new(),
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Only the core's own code runs under the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One input from the application: afterwards the socket's task looks for what to send.
    pub(super) fn with<T>(&self, input: impl FnOnce(Now, &mut core::Client) -> T) -> T {
        let (value, wakers) = self.enter(|now, inner| input(now, &mut inner.core));
        self.wake_task();
        wakers.wake();
        value
    }

    /// One input under the lock, with the core's events passed on.
    pub(super) fn enter<T>(&self, input: impl FnOnce(Now, &mut Inner) -> T) -> (T, Wakers) {
        let mut inner = self.lock();
        let now = self.clock.now();
        let value = input(now, &mut inner);
        let mut wakers = Wakers::default();
        inner.pass_on(now, self, &mut wakers);
        (value, wakers)
    }

    pub(super) fn wake_task(&self) {
        self.wake.raise();
    }

    pub(super) fn close(&self) {
        self.with(|now, core| core.close(now));
    }

    pub(super) fn status(&self) -> Status {
        let inner = self.lock();
        Status::of(self.clock, &inner.core.status(self.clock.now()), inner.line.len())
    }

    /// Gives a command its place: in the outbox, or in the line for it.
    pub(super) fn submit(&self, declared: &'static Message, body: Body) -> Arc<Slot> {
        let (Kind::Request { timeout_ms, max_bytes, .. }
        | Kind::Command { timeout_ms, max_bytes, .. }) = declared.kind
        else {
            return Slot::over(End::Outcome(CallOutcome::Refused(RefusalCode::Unsupported)));
        };
        let Some(name) = Name::from_static(declared.name) else {
            return Slot::over(End::Outcome(CallOutcome::Refused(RefusalCode::Unsupported)));
        };
        let submission =
            Submission { name, body, timeout_ms, declared_timeout_ms: timeout_ms, max_bytes };
        let (slot, wakers) = self.enter(|now, inner| inner.submit(now, submission, self.when_full));
        self.wake_task();
        wakers.wake();
        slot
    }

    pub(super) fn volatile(
        &self,
        declared: &'static Message,
        conflation: String,
        body: Body,
    ) -> bool {
        match (declared.kind, Name::from_static(declared.name)) {
            (Kind::ClientVolatile { max_bytes, .. }, Some(name))
                if body.len() <= max_bytes as usize =>
            {
                self.with(|now, core| core.volatile(now, name, conflation, body))
            }
            _ => {
                tracing::warn!(message = declared.name, "a volatile is too long, or not one");
                false
            }
        }
    }

    pub(super) fn cancel(&self, slot: &Arc<Slot>) -> bool {
        let (cancelled, wakers) = self.enter(|now, inner| match slot.place() {
            Place::Outbox(call) => {
                let cancelled = inner.core.cancel(now, call);
                if cancelled {
                    inner.calls.remove(&call);
                }
                cancelled
            }
            Place::Waiting(ticket) => {
                inner.line.remove(ticket);
                true
            }
            Place::Over => false,
        });
        if cancelled {
            slot.end(End::Cancelled).into_iter().flatten().for_each(Waker::wake);
        }
        wakers.wake();
        cancelled
    }

    pub(super) fn subscribe(
        &self,
        request: SubscriptionRequest,
        slot: &Arc<SubSlot>,
    ) -> Result<SubId, SubscribeError> {
        let (sub, wakers) = self.enter(|now, inner| {
            let sub = inner.core.subscribe(now, request)?;
            inner.subs.insert(sub, Arc::clone(slot));
            Ok(sub)
        });
        self.wake_task();
        wakers.wake();
        sub
    }

    pub(super) fn unsubscribe(&self, sub: SubId) {
        let ((), wakers) = self.enter(|now, inner| {
            inner.core.unsubscribe(now, sub);
            inner.subs.remove(&sub);
        });
        self.wake_task();
        wakers.wake();
    }

    pub(super) fn next_item(&self, sub: SubId) -> Option<Item> {
        let ((item, due), wakers) = self.enter(|now, inner| {
            let item = inner.core.poll_item(now, sub);
            let sooner = inner
                .core
                .poll_timeout()
                .is_some_and(|at| inner.armed.is_none_or(|armed| at < armed));
            (item, sooner || inner.core.owes_position())
        });
        if due {
            self.wake_task();
        }
        wakers.wake();
        item
    }
}

impl Inner {
    fn submit(&mut self, now: Now, submission: Submission, when_full: WhenFull) -> Arc<Slot> {
        // Whoever came first goes first.
        if self.line.is_empty() {
            match self.try_submit(now, submission) {
                Ok(slot) => slot,
                Err(submission) => self.line_up(now, submission, when_full),
            }
        } else {
            self.line_up(now, submission, when_full)
        }
    }

    /// # Errors
    /// Gives the submission back if the outbox is full.
    fn try_submit(&mut self, now: Now, submission: Submission) -> Result<Arc<Slot>, Submission> {
        match self.core.submit(now, submission.clone()) {
            Ok(call) => {
                let slot = Slot::new(Place::Outbox(call));
                self.calls.insert(call, Arc::clone(&slot));
                Ok(slot)
            }
            Err(SubmitError::Full) => Err(submission),
            Err(error) => Ok(Slot::over(ended(&error))),
        }
    }

    fn line_up(&mut self, now: Now, submission: Submission, when_full: WhenFull) -> Arc<Slot> {
        match when_full {
            WhenFull::Wait { calls } if self.line.len() < calls && self.core.outbox().0 > 0 => {
                self.line.push(now, submission)
            }
            WhenFull::Wait { .. } | WhenFull::Fail => Slot::over(End::Full),
        }
    }

    /// Lets calls into the outbox, in their order, while there is room.
    fn advance_line(&mut self, now: Now, wakers: &mut Wakers) {
        while let Some(submission) = self.line.first().map(|first| first.submission(now)) {
            match self.core.submit(now, submission) {
                Ok(call) => {
                    let Some(first) = self.line.pop_first() else { return };
                    first.slot.set_place(Place::Outbox(call));
                    self.calls.insert(call, first.slot);
                }
                Err(SubmitError::Full) if self.core.outbox().0 > 0 => return,
                Err(error) => {
                    let Some(first) = self.line.pop_first() else { return };
                    first.slot.end(ended(&error)).into_iter().for_each(|waker| wakers.push(waker));
                }
            }
        }
    }

    /// What the task that owns the socket is to wake for.
    pub(super) fn arm(&mut self) -> Option<Now> {
        self.armed = self.core.poll_timeout().into_iter().chain(self.line.next_due()).min();
        self.armed
    }

    fn expire_line(&mut self, now: Now, wakers: &mut Wakers) {
        while let Some(waiting) = self.line.pop_due(now) {
            let end = End::Outcome(CallOutcome::Refused(RefusalCode::Expired));
            waiting.slot.end(end).into_iter().for_each(|waker| wakers.push(waker));
        }
    }

    fn pass_on(&mut self, now: Now, shared: &Shared, wakers: &mut Wakers) {
        loop {
            while let Some(event) = self.core.poll_output() {
                self.on_event(event, shared, wakers);
            }
            if self.line.is_empty() {
                return;
            }
            self.expire_line(now, wakers);
            let before = self.line.len();
            self.advance_line(now, wakers);
            if self.line.len() == before {
                return;
            }
        }
    }

    fn on_event(&mut self, event: Event, shared: &Shared, wakers: &mut Wakers) {
        match event {
            Event::Resolved { call, outcome } => {
                if let Some(slot) = self.calls.remove(&call) {
                    wakers.resolved += 1;
                    slot.end(End::Outcome(outcome))
                        .into_iter()
                        .for_each(|waker| wakers.push(waker));
                }
            }
            Event::TimedOut { call } => {
                wakers.push(self.calls.get(&call).and_then(|slot| slot.time_out()))
            }
            Event::Fate { call, fate } => {
                wakers.push(self.calls.get(&call).and_then(|slot| slot.set_fate(fate)))
            }
            Event::Subscribed { sub } => {
                wakers.push(self.subs.get(&sub).and_then(|slot| slot.establish()))
            }
            Event::Readable { sub } => {
                wakers.push(self.subs.get(&sub).and_then(|slot| slot.readable()))
            }
            Event::SubscriptionEnded { sub, end } => {
                wakers.push(self.subs.get(&sub).and_then(|slot| slot.end(end)))
            }
            Event::State(state) => {
                tracing::debug!(?state, "connection");
                shared.state.send_replace(ConnectionState::of(shared.clock, &state));
            }
            Event::Dial { dial, reason } => self.orders.push_back(Order::Dial(dial, reason)),
            Event::CloseSocket { dial, close } => self.orders.push_back(Order::Close(dial, close)),
        }
    }
}

fn ended(error: &SubmitError) -> End {
    match error {
        SubmitError::TooLarge { bytes, limit } => End::TooLarge { bytes: *bytes, limit: *limit },
        SubmitError::Closed => End::Outcome(CallOutcome::Closed { sent: false }),
        SubmitError::Full => End::Full,
    }
}
