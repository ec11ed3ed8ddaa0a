//! The turns of a server: one input to the node, then everything that follows from it, step by
//! step, until nothing is left. One lock, never held while the application's code runs; a store in
//! memory is asked under it. Decides nothing.

use std::cell::Cell;
use std::sync::{Arc, Once, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::auth::Shown;
use super::cx::CxRoom;
use super::env::Env;
use super::execute::{self, Ran, RunningCode};
use super::gate::Gate;
use super::registry::{ConnHandle, Unwritten};
use super::settings::{NodeSettings, REST};
use super::state::State;
use super::storing;
use super::work::{Done, Returned, Tray, Wakes};
use crate::host;
use crate::session::node::fault::Code;
use crate::session::node::{ConnId, ExecId, Executed, NodeLoad};
use crate::session::store::{DecisionId, OpId, StoreOp};
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
    static TRAY: Cell<Option<Box<Tray>>> = const { Cell::new(None) };
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
        while turn.tray().work.has_more() {
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

    pub(super) fn unwritten(&self) -> Unwritten {
        self.lock().registry.unwritten()
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

    /// Gives the store what decides, before the node asks for it.
    fn executed(&self, exec: ExecId, Ran { executed, left }: Ran) -> Executed {
        let Some(left) = left else { return executed };
        let store = self.env.store.as_ref();
        match host::guarded(|| left.hand_over(store, DecisionId(exec.0))) {
            Ok(()) => executed,
            Err(host::Panicked) => {
                tracing::error!("the store panicked");
                Executed::failed(Code::Command)
            }
        }
    }

    /// Tells the store what it need not decide any more, outside of the lock: it drops code of the
    /// application.
    fn withdraw(&self, execs: Vec<ExecId>) {
        for exec in execs {
            let (transacts, store) = (self.env.transacts, self.env.store.as_ref());
            if host::guarded(|| transacts.withdraw(store, DecisionId(exec.0))).is_err() {
                tracing::error!("what decided a command panicked when it was dropped");
            }
        }
    }

    /// Tells the application who has come back, outside of the lock.
    fn tell_returned(&self, returned: Vec<Returned>) {
        for (who, session) in returned {
            if host::guarded(|| self.env.service.returned(&who, session)).is_err() {
                tracing::error!("a hook about sessions panicked");
            }
        }
    }

    /// Runs an execution to its end in a task of its own, which survives the connection that began
    /// it.
    fn go_on(self: &Arc<Self>, exec: ExecId, running: RunningCode) {
        let (engine, canceller) = (Arc::clone(self), running.canceller());
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
            let executed = engine.executed(exec, running.await);
            engine.turn(|now, state| {
                state.registry.take_task(exec);
                state.executed(now, exec, executed);
            });
        });
        let cancelled = state.node.is_cancelled(exec);
        state.registry.goes_on(exec, task.abort_handle(), canceller.clone());
        drop(state);
        if let Some(canceller) = canceller.filter(|_| cancelled) {
            canceller.cancel();
        }
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
    /// Until the turn ends.
    tray: Option<Box<Tray>>,
    finished: bool,
}

impl<'a> Turn<'a> {
    fn begin(engine: &'a Arc<Engine>, settings: &'a NodeSettings) -> Self {
        let tray = Some(TRAY.take().unwrap_or_default());
        Self { engine, settings, now: Now::default(), tray, finished: false }
    }

    fn tray(&mut self) -> &mut Tray {
        self.tray.as_deref_mut().expect("a turn has its tray until it ends")
    }

    fn pass<T>(
        &mut self,
        input: impl FnOnce(Now, &mut State) -> T,
        transmit: &mut impl FnMut(Now, &mut State, &mut Wakes),
    ) -> T {
        let engine = self.engine;
        let store = engine.env.store.as_ref();
        let mut state = engine.lock();
        let now = engine.env.clock.now();
        self.now = now;
        let Tray { work, done } = self.tray();
        state.take_over(work, done);
        let value = input(now, &mut state);
        state.feed(now, done);
        state.poll_outputs(now, store, work);
        if !work.has_more() {
            transmit(now, &mut state, &mut work.wakes);
            // Transmitting is an input like any other: the last answer closes a drained connection,
            // a cursor that fell behind asks for a snapshot.
            state.poll_outputs(now, store, work);
        }
        if !work.has_more() {
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
        let (engine, settings, now) = (self.engine, self.settings, self.now);
        let Tray { work, done } = self.tray();
        let (mut pending, mut room) = (None, CxRoom::default());
        while let Some(prepared) = work.executions.pop_front() {
            if let Some(before) = pending.filter(|_| prepared.follows()) {
                done.unbegun(before, prepared.give_back());
                continue;
            }
            let (exec, running) = prepared.begin(&engine.env, now, settings, &mut room);
            pending = match execute::first_poll(running, &mut room) {
                Ok(ran) => {
                    let executed = engine.executed(exec, ran);
                    let decides = matches!(executed, Executed::Decides);
                    done.executed.push_back((exec, executed));
                    decides.then_some(exec)
                }
                Err(running) => {
                    engine.go_on(exec, running);
                    Some(exec)
                }
            };
        }
        if !work.operations.is_empty() {
            ask_store(engine, std::mem::take(&mut work.operations), done);
        }
        engine.withdraw(std::mem::take(&mut work.withdrawn));
        engine.tell_returned(std::mem::take(&mut work.returned));
        work.tell();
    }

    fn finish(mut self) {
        let Tray { work, done } = self.tray();
        debug_assert!(!work.has_more() && done.is_empty(), "a turn leaves nothing");
        self.finished = true;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(mut tray) = self.tray.take() else { return };
        self.engine.withdraw(std::mem::take(&mut tray.work.withdrawn));
        self.engine.tell_returned(std::mem::take(&mut tray.work.returned));
        tray.work.tell();
        if self.finished {
            return TRAY.set(Some(tray));
        }
        // It panicked: the node counts on what was taken from it, and on a timer. The next turn
        // takes it over, at the latest the timer's.
        let later = self.engine.env.clock.now().after(REST);
        self.engine.lock().leave(later, tray);
        self.engine.alarm.notify_one();
    }
}

/// Asks the store for a batch; what is not answered at once is answered in a turn of its own.
fn ask_store(engine: &Arc<Engine>, batch: Vec<(OpId, StoreOp)>, done: &mut Done) {
    match storing::store_once(&engine.env.store, batch) {
        Ok(stored) => done.stored.extend(stored),
        Err(pending) => {
            let engine = Arc::clone(engine);
            host::spawn(async move {
                let mut done = Done { stored: pending.await.into(), ..Done::default() };
                engine.turn(|now, state| state.feed(now, &mut done));
            });
        }
    }
}
