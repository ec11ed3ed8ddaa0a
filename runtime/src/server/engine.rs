//! The turns of a server: one input to the node, then everything that follows from it, step by
//! step, until nothing is left. One lock, never held while the application's code runs; a store in
//! memory is asked under it. Decides nothing.

use std::cell::Cell;
use std::sync::{Arc, Once, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::auth::Shown;
use super::env::Env;
use super::execute::{self, RunningCode};
use super::gate::Gate;
use super::registry::ConnHandle;
use super::settings::{NodeSettings, REST};
use super::state::State;
use super::storing;
use super::work::{Done, Wakes, Work};
use crate::host;
use crate::session::node::{ConnId, ExecId, NodeLoad};
use crate::session::{Close, Now};
use crate::sync::{Mutex, MutexGuard};
use crate::wire::Codec;

/// What every connection, timer and execution of a server shares.
pub(super) struct Engine {
    pub(super) env: Env,
    pub(super) gate: Arc<Gate>,
    /// For executions that no connection's turn begins.
    settings: NodeSettings,
    state: Mutex<State>,
    /// The timer's sleep is shorter than it thinks.
    alarm: Arc<Notify>,
    /// The server's own tasks.
    pub(super) started: Once,
}

thread_local! {
    /// Room that the turns of a thread use one after another.
    static WORK: Cell<Work> = Cell::default();
    static DONE: Cell<Done> = Cell::default();
}

impl Engine {
    pub(super) fn new(env: Env, seed: Option<u64>) -> Arc<Self> {
        let state = State::new(Arc::clone(&env.config), host::seed(seed));
        Arc::new(Self {
            settings: env.settings(),
            gate: Arc::new(Gate::new()),
            state: Mutex::new(state),
            alarm: Arc::default(),
            started: Once::new(),
            env,
        })
    }

    /// One input, and everything that follows from it at once.
    pub(super) fn turn<T>(self: &Arc<Self>, input: impl FnOnce(Now, &mut State) -> T) -> T {
        self.turn_with(&self.settings, input, |_, _, _| ())
    }

    /// The same for a connection, which transmits under the lock when all else is done.
    pub(super) fn turn_with<T>(
        self: &Arc<Self>,
        settings: &NodeSettings,
        input: impl FnOnce(Now, &mut State) -> T,
        mut transmit: impl FnMut(Now, &mut State, &mut Wakes),
    ) -> T {
        let mut turn = Turn::begin(self, settings);
        let value = turn.pass(input, &mut transmit);
        while turn.work.has_more() {
            turn.carry_out();
            turn.pass(|_, _| (), &mut transmit);
        }
        turn.finish();
        value
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Besides the node's own code only `Store::execute_at_once` runs under the lock, guarded.
        // Should the node panic, going on serves the other connections.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket begins.
    pub(super) fn connect(
        self: &Arc<Self>,
        codec: Codec,
        shown: Shown,
    ) -> (ConnId, Arc<ConnHandle>) {
        self.turn(|now, state| {
            let (conn, handle) = state.registry.open(shown);
            state.node.handle_connected(now, conn, codec);
            (conn, handle)
        })
    }

    /// A socket has ended.
    pub(super) fn disconnect(self: &Arc<Self>, conn: ConnId, close: Close) {
        self.turn(|now, state| {
            state.registry.forget(conn);
            state.node.handle_disconnected(now, conn, close);
        });
    }

    pub(super) fn load(&self) -> NodeLoad {
        self.lock().node.load()
    }

    pub(super) fn is_drained(&self) -> bool {
        self.lock().node.is_drained()
    }

    /// Rings when [`Engine::due`] has become earlier, and when this engine is gone.
    pub(super) fn alarm(&self) -> Arc<Notify> {
        Arc::clone(&self.alarm)
    }

    /// When the node waits for time to pass.
    pub(super) fn due(&self) -> Option<Instant> {
        self.lock().due().map(|at| self.env.clock.at(at))
    }

    /// Runs an execution to its end in a task of its own, which survives the connection that began
    /// it.
    fn go_on(self: &Arc<Self>, exec: ExecId, running: RunningCode) {
        let engine = Arc::clone(self);
        // Under the lock, so that neither the end of the task nor an abort can come before its
        // handle is known.
        let mut state = self.lock();
        if !state.node.is_running(exec) {
            // Aborted during its first poll. The application's code is dropped outside of the lock.
            drop(state);
            let _ = host::guarded(|| drop(running));
            return;
        }
        let task = host::spawn(async move {
            let executed = running.await;
            engine.turn(|now, state| {
                state.registry.take_task(exec);
                state.node.handle_executed(now, exec, executed);
            });
        });
        state.registry.goes_on(exec, task.abort_handle());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The timer task holds no strong reference, and ends when it looks.
        self.alarm.notify_one();
    }
}

/// One turn: passes under the lock, and between them what they leave to do outside of it.
struct Turn<'a> {
    engine: &'a Arc<Engine>,
    settings: &'a NodeSettings,
    now: Now,
    work: Work,
    done: Done,
    finished: bool,
}

impl<'a> Turn<'a> {
    fn begin(engine: &'a Arc<Engine>, settings: &'a NodeSettings) -> Self {
        let (work, done) = (WORK.take(), DONE.take());
        Self { engine, settings, now: Now::default(), work, done, finished: false }
    }

    fn pass<T>(
        &mut self,
        input: impl FnOnce(Now, &mut State) -> T,
        transmit: &mut impl FnMut(Now, &mut State, &mut Wakes),
    ) -> T {
        let store = self.engine.env.store.as_ref();
        let mut state = self.engine.lock();
        self.now = self.engine.env.clock.now();
        state.take_over(&mut self.work, &mut self.done);
        let value = input(self.now, &mut state);
        state.feed(self.now, &mut self.done);
        state.poll_outputs(self.now, store, &mut self.work);
        if !self.work.has_more() {
            transmit(self.now, &mut state, &mut self.work.wakes);
            // Transmitting is an input like any other: the last answer closes a drained connection,
            // a cursor that fell behind asks for a snapshot.
            state.poll_outputs(self.now, store, &mut self.work);
        }
        if !self.work.has_more() {
            self.rest(&mut state);
        }
        value
    }

    /// The end of the last pass.
    fn rest(&self, state: &mut State) {
        state.assert_nothing_left(self.now);
        if state.arm() {
            self.engine.alarm.notify_one();
        }
        if state.has_drained() {
            self.engine.gate.look_again();
        }
    }

    /// Polls each execution and the store once; what pends goes on as a task of its own.
    fn carry_out(&mut self) {
        let mut pending = None;
        while let Some(prepared) = self.work.executions.pop_front() {
            if let Some(before) = pending.filter(|_| prepared.follows()) {
                self.done.unbegun(before, prepared.give_back());
                continue;
            }
            let (exec, running) = prepared.begin(&self.engine.env, self.now, self.settings);
            pending = match execute::first_poll(running) {
                Ok(executed) => {
                    self.done.executed.push_back((exec, executed));
                    None
                }
                Err(running) => {
                    self.engine.go_on(exec, running);
                    Some(exec)
                }
            };
        }
        self.store();
        self.work.tell();
    }

    fn store(&mut self) {
        if self.work.operations.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.work.operations);
        match storing::store_once(&self.engine.env.store, batch) {
            Ok(stored) => self.done.stored.extend(stored),
            Err(pending) => {
                let engine = Arc::clone(self.engine);
                host::spawn(async move {
                    let mut done = Done { stored: pending.await.into(), ..Done::default() };
                    engine.turn(|now, state| state.feed(now, &mut done));
                });
            }
        }
    }

    fn finish(mut self) {
        debug_assert!(!self.work.has_more() && self.done.is_empty(), "a turn leaves nothing");
        self.finished = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.work.tell();
        let (work, done) = (std::mem::take(&mut self.work), std::mem::take(&mut self.done));
        if self.finished {
            WORK.set(work);
            DONE.set(done);
            return;
        }
        // It panicked: the node counts on what was taken from it, and on a timer. The next turn
        // takes it over, at the latest the timer's.
        let later = self.engine.env.clock.now().after(REST);
        self.engine.lock().leave(later, work, done);
        self.engine.alarm.notify_one();
    }
}
