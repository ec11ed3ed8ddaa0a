//! The core with what surrounds it: one lock, held for state changes only. It carries the core's
//! outputs to the futures and the task that wait for them, and decides nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, PoisonError};
use std::task::Waker;
use std::time::Duration;

use steadfast_schema::{Kind, Message};
use tokio::sync::watch;

#[cfg(feature = "outbox")]
use super::saves::{RecoveredCall, SaveRequest, Saves};
use super::slot::{CallEnd, CallSlot, SubscriptionSlot};
use super::state::{ConnectionState, Status};
use crate::host::{Clock, WakeFlag};
use crate::session::client::{
    self as core, CallId, CallOutcome, ClientConfig, DialReason, Event, Item, SubId, Submission,
    SubmitError, SubscribeError, SubscriptionRequest,
};
#[cfg(feature = "outbox")]
use crate::session::client::{Fate, Recovery, SaveNo};
use crate::session::{Close, Now};
use crate::sync::{Mutex, MutexGuard};
use crate::wire::{Body, Codec, Dial, Name, RefusalCode};

/// What a client's handles, calls, subscriptions and task share.
pub(super) struct SharedClient {
    clock: Clock,
    codec: Codec,
    state: watch::Sender<ConnectionState>,
    /// Each task of the client holds a receiver.
    alive: watch::Sender<()>,
    /// Makes the task that owns the socket look again.
    wake: WakeFlag,
    locked: Mutex<Locked>,
}

/// What the lock protects.
struct Locked {
    core: core::Client,
    calls: BTreeMap<CallId, Arc<CallSlot>>,
    subscriptions: BTreeMap<SubId, Arc<SubscriptionSlot>>,
    /// What the task that owns the socket will wake for.
    armed: Option<Now>,
    orders: VecDeque<SocketRequest>,
    /// With a journal.
    #[cfg(feature = "outbox")]
    saves: Option<Saves>,
}

/// What the core wants of the task that owns the socket.
#[derive(Debug)]
pub(super) enum SocketRequest {
    Dial(Dial, DialReason),
    Close(Dial, Close),
}

/// One pass under the lock: inputs, each followed by the outputs that it causes.
pub(super) struct Pass<'a> {
    shared: &'a SharedClient,
    locked: MutexGuard<'a, Locked>,
    now: Now,
    wakers: Wakers,
}

/// Whom to wake once the lock is released.
#[derive(Default)]
pub(super) struct Wakers {
    wakers: Vec<Waker>,
    resolved: usize,
}

impl Wakers {
    /// Calls that have ended.
    pub(super) const fn resolved(&self) -> usize {
        self.resolved
    }

    pub(super) fn wake(self) {
        self.wakers.into_iter().for_each(Waker::wake);
    }
}

impl SharedClient {
    pub(super) fn new(config: ClientConfig, seed: [u8; 32]) -> Arc<Self> {
        let codec = config.codec;
        Self::around(core::Client::new(Arc::new(config), seed), codec)
    }

    /// A client with a journal that `saver` writes, and what an earlier process left in it.
    #[cfg(feature = "outbox")]
    pub(super) fn with_journal(
        config: ClientConfig,
        seed: [u8; 32],
        recovery: &Recovery,
        saver: std::sync::mpsc::Sender<SaveRequest>,
    ) -> Arc<Self> {
        let codec = config.codec;
        let core = core::Client::with_journal(Arc::new(config), seed, recovery);
        let shared = Self::around(core, codec);
        shared.lock().take_up(recovery, Saves::new(saver));
        shared
    }

    fn around(core: core::Client, codec: Codec) -> Arc<Self> {
        let clock = Clock::new();
        Arc::new(Self {
            clock,
            codec,
            state: watch::Sender::new(ConnectionState::of(clock, core.state())),
            alive: watch::Sender::new(()),
            wake: WakeFlag::default(),
            locked: Mutex::new(Locked {
                core,
                calls: BTreeMap::new(),
                subscriptions: BTreeMap::new(),
                armed: None,
                orders: VecDeque::new(),
                #[cfg(feature = "outbox")]
                saves: None,
            }),
        })
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) const fn codec(&self) -> Codec {
        self.codec
    }

    pub(super) const fn state(&self) -> &watch::Sender<ConnectionState> {
        &self.state
    }

    pub(super) const fn alive(&self) -> &watch::Sender<()> {
        &self.alive
    }

    pub(super) const fn wake(&self) -> &WakeFlag {
        &self.wake
    }

    fn lock(&self) -> MutexGuard<'_, Locked> {
        // Only the core's own code runs under the lock.
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pass of the task that owns the socket.
    pub(super) fn pass<T>(&self, inputs: impl FnOnce(&mut Pass<'_>) -> T) -> (T, Wakers) {
        let locked = self.lock();
        let now = self.clock.now();
        let mut pass = Pass { shared: self, locked, now, wakers: Wakers::default() };
        let value = inputs(&mut pass);
        (value, pass.wakers)
    }

    /// A pass of anybody else: afterwards the task looks for what to send.
    fn pass_from_outside<T>(&self, inputs: impl FnOnce(&mut Pass<'_>) -> T) -> T {
        let (value, wakers) = self.pass(inputs);
        self.wake.raise();
        wakers.wake();
        value
    }

    // ---- what the application asks ----

    pub(super) fn reconnect_now(&self) {
        self.pass_from_outside(|pass| pass.input(|now, core| core.reconnect_now(now)));
    }

    pub(super) fn close(&self) {
        self.pass_from_outside(|pass| pass.input(|now, core| core.close(now)));
    }

    pub(super) fn status(&self) -> Status {
        Status::of(self.clock, &self.lock().core.status(self.clock.now()))
    }

    /// Gives a command its place.
    pub(super) fn submit(&self, declared: &'static Message, body: Body) -> Arc<CallSlot> {
        let unsupported =
            || CallSlot::over(CallEnd::Outcome(CallOutcome::Refused(RefusalCode::Unsupported)));
        let (Kind::Request { timeout_ms, max_bytes, .. }
        | Kind::Command { timeout_ms, max_bytes, .. }) = declared.kind
        else {
            return unsupported();
        };
        let Some(name) = Name::from_static(declared.name) else { return unsupported() };
        let submission =
            Submission { name, body, timeout_ms, declared_timeout_ms: timeout_ms, max_bytes };
        self.pass_from_outside(|pass| pass.submit(submission))
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
                self.pass_from_outside(|pass| {
                    pass.input(|now, core| core.volatile(now, name, conflation, body))
                })
            }
            _ => {
                tracing::warn!(message = declared.name, "a volatile is too long, or not one");
                false
            }
        }
    }

    pub(super) fn cancel(&self, slot: &CallSlot) -> bool {
        // One that the core never heard of has ended.
        let Some(call) = slot.call() else { return false };
        slot.cancel();
        // What stands behind it may be free to go, so the task has to look.
        self.pass_from_outside(|pass| pass.input(|now, core| core.cancel(now, call)))
    }

    pub(super) fn set_timeout(&self, slot: &CallSlot, timeout: Duration) {
        let Some(call) = slot.call() else { return };
        slot.wait_again();
        self.pass_from_outside(|pass| {
            pass.input(|now, core| core.set_timeout(now, call, timeout));
        });
    }

    /// Nobody holds a call any more. Only a journal keeps its outcome for somebody.
    #[cfg(feature = "outbox")]
    pub(super) fn let_go(&self, slot: &CallSlot) {
        let Some(call) = slot.call() else { return };
        let ((), wakers) = self.pass(|pass| {
            let Locked { calls, saves, .. } = &mut *pass.locked;
            let Some(saves) = saves else { return };
            if calls.contains_key(&call) {
                saves.dropped.insert(call);
            } else {
                pass.input(|now, core| core.forget(now, call));
            }
        });
        wakers.wake();
    }

    /// The calls of an earlier process that nobody has asked for.
    #[cfg(feature = "outbox")]
    pub(super) fn take_recovered(&self) -> Vec<RecoveredCall> {
        self.lock().saves.as_mut().map_or(Vec::new(), |saves| std::mem::take(&mut saves.recovered))
    }

    /// How a save went: `failed` says whether nothing of it is left.
    #[cfg(feature = "outbox")]
    pub(super) fn told(&self, no: SaveNo, failed: Option<bool>) {
        self.pass_from_outside(|pass| {
            pass.input(|now, core| match failed {
                None => core.handle_saved(now, no),
                Some(undone) => core.handle_unsaved(now, no, undone),
            });
        });
    }

    pub(super) fn subscribe(
        &self,
        request: SubscriptionRequest,
        slot: &Arc<SubscriptionSlot>,
    ) -> Result<SubId, SubscribeError> {
        self.pass_from_outside(|pass| pass.subscribe(request, slot))
    }

    pub(super) fn unsubscribe(&self, sub: SubId) {
        self.pass_from_outside(|pass| {
            pass.input(|now, core| core.unsubscribe(now, sub));
            pass.locked.subscriptions.remove(&sub);
        });
    }

    pub(super) fn next_item(&self, sub: SubId) -> Option<Item> {
        let ((item, due), wakers) = self.pass(|pass| {
            let item = pass.input(|now, core| core.poll_item(now, sub));
            let Locked { core, armed, .. } = &*pass.locked;
            let sooner = core.poll_timeout().is_some_and(|at| armed.is_none_or(|armed| at < armed));
            (item, sooner || core.owes_position())
        });
        // Most items change nothing that the task would have to see to.
        if due {
            self.wake.raise();
        }
        wakers.wake();
        item
    }
}

#[cfg(feature = "outbox")]
impl Locked {
    fn take_up(&mut self, recovery: &Recovery, mut saves: Saves) {
        for (&call, recovered) in recovery.calls() {
            let slot = match (&recovered.outcome, self.core.fate(call)) {
                (Some(outcome), _) => CallSlot::ended(call, outcome.clone()),
                (None, fate) => CallSlot::new(call, fate.unwrap_or(Fate::Queued)),
            };
            if recovered.outcome.is_none() {
                self.calls.insert(call, Arc::clone(&slot));
            }
            saves.recovered.push(RecoveredCall { slot, command: recovered.command.clone() });
        }
        self.saves = Some(saves);
    }
}

impl Pass<'_> {
    /// One input, and everything that follows from it.
    pub(super) fn input<T>(&mut self, input: impl FnOnce(Now, &mut core::Client) -> T) -> T {
        let value = input(self.now, &mut self.locked.core);
        while let Some(event) = self.locked.core.poll_output() {
            self.on_event(event);
        }
        value
    }

    /// Sees to the timers that are due.
    pub(super) fn expire(&mut self) {
        let now = self.now;
        if self.locked.core.poll_timeout().is_some_and(|at| at <= now) {
            self.input(|now, core| core.handle_timeout(now));
        }
    }

    /// What the task that owns the socket is to wake for.
    pub(super) fn arm(&mut self) -> Option<Now> {
        self.locked.armed = self.locked.core.poll_timeout();
        self.locked.armed
    }

    pub(super) fn take_orders(&mut self) -> VecDeque<SocketRequest> {
        std::mem::take(&mut self.locked.orders)
    }

    fn submit(&mut self, submission: Submission) -> Arc<CallSlot> {
        match self.input(|now, core| core.submit(now, submission)) {
            Ok(call) => {
                let fate = self.locked.core.fate(call).expect("the core has just taken it");
                let slot = CallSlot::new(call, fate);
                self.locked.calls.insert(call, Arc::clone(&slot));
                slot
            }
            Err(SubmitError::TooLarge { bytes, limit }) => {
                CallSlot::over(CallEnd::TooLarge { bytes, limit })
            }
            Err(SubmitError::Closed) => {
                CallSlot::over(CallEnd::Outcome(CallOutcome::Closed { sent: false }))
            }
            Err(SubmitError::Full) => CallSlot::over(CallEnd::Full),
        }
    }

    fn subscribe(
        &mut self,
        request: SubscriptionRequest,
        slot: &Arc<SubscriptionSlot>,
    ) -> Result<SubId, SubscribeError> {
        let sub = self.input(|now, core| core.subscribe(now, request))?;
        self.locked.subscriptions.insert(sub, Arc::clone(slot));
        Ok(sub)
    }

    /// Nobody holds a call that has ended.
    #[cfg(feature = "outbox")]
    fn forget_if_dropped(&mut self, call: CallId) {
        let Locked { core, saves, .. } = &mut *self.locked;
        if saves.as_mut().is_some_and(|saves| saves.dropped.remove(&call)) {
            core.forget(self.now, call);
        }
    }

    fn on_event(&mut self, event: Event) {
        let Locked { calls, subscriptions, orders, .. } = &mut *self.locked;
        let Wakers { wakers, resolved } = &mut self.wakers;
        // A call that was dropped is kept here until it ends; a subscription that was dropped is
        // not, and the core may have had something to say about it before it heard.
        match event {
            Event::Resolved { call, outcome } => {
                if let Some(slot) = calls.remove(&call) {
                    *resolved += 1;
                    wakers.extend(slot.resolve(outcome).into_iter().flatten());
                }
                #[cfg(feature = "outbox")]
                self.forget_if_dropped(call);
            }
            Event::Withdrawn { call } => {
                let slot = calls.remove(&call);
                wakers.extend(slot.into_iter().flat_map(|slot| slot.withdraw()).flatten());
            }
            #[cfg(feature = "outbox")]
            Event::Save { no, saving } => {
                if let Some(saves) = &self.locked.saves {
                    saves.ask(no, saving);
                }
            }
            #[cfg(not(feature = "outbox"))]
            Event::Save { .. } => debug_assert!(false, "only a client with a journal saves"),
            Event::TimedOut { call } => {
                wakers.extend(calls.get(&call).and_then(|slot| slot.time_out()));
            }
            Event::Fate { call, fate } => {
                wakers.extend(calls.get(&call).and_then(|slot| slot.set_fate(fate)));
            }
            Event::Subscribed { sub, resumed } => {
                wakers.extend(subscriptions.get(&sub).and_then(|slot| slot.establish(resumed)));
            }
            Event::Readable { sub } => {
                wakers.extend(subscriptions.get(&sub).and_then(|slot| slot.readable()));
            }
            Event::SubscriptionEnded { sub, end } => {
                wakers.extend(subscriptions.get(&sub).and_then(|slot| slot.end(end)));
            }
            Event::State(state) => {
                tracing::debug!(?state, "connection");
                let state = ConnectionState::of(self.shared.clock, &state);
                #[cfg(feature = "outbox")]
                if let Some(saves) = self.locked.saves.as_mut().filter(|_| state.is_over()) {
                    saves.end();
                }
                self.shared.state.send_replace(state);
            }
            Event::Dial { dial, reason } => orders.push_back(SocketRequest::Dial(dial, reason)),
            Event::CloseSocket { dial, close } => {
                orders.push_back(SocketRequest::Close(dial, close))
            }
        }
    }
}
