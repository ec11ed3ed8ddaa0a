//! The node with what surrounds it: one lock, held for state changes only, never while the
//! application's code runs; a store in memory is asked under it. Owns the five steps of a turn
//! (input, drain, wake, carry out, feed back); decides nothing.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once, PoisonError};

use tokio::sync::{Notify, oneshot, watch};
use tokio::task::AbortHandle;

use super::auth::Hook;
use super::builder::Parts;
use super::cx::Settings;
use super::execute::{self, Prepared};
use super::{Limits, hints, timer};
use crate::driver::{self, Clock, Panicked, WakeFlag};
use crate::session::node::{
    ConnId, ExecId, Executed, Execution, Node, NodeConfig, NodeEvent, Output, PublishError,
    PublishId,
};
use crate::session::store::{Appended, OpId, StoreOp, StoreOutcome};
use crate::session::{Close, Now};
use crate::store::DynStore;
use crate::stub::Service;
use crate::sync::{Mutex, MutexGuard};
use crate::transport::TransportConfig;
use crate::wire::Codec;

/// What every connection, timer and execution of a server shares.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) config: Arc<NodeConfig>,
    /// For executions that no connection's turn begins.
    settings: Settings,
    pub(super) transport: TransportConfig,
    pub(super) limits: Limits,
    pub(super) service: Arc<dyn Service>,
    pub(super) authenticate: Hook,
    pub(super) origins: Option<Vec<String>>,
    store: Arc<dyn DynStore>,
    inner: Mutex<Inner>,
    timer: Arc<Notify>,
    started: Once,
    /// Sockets from the upgrade on.
    pub(super) sockets: AtomicUsize,
    /// Set once, by a drain.
    pub(super) leaving: watch::Sender<bool>,
    drained: Notify,
}

/// What the lock protects.
pub(super) struct Inner {
    pub(super) node: Node,
    conns: BTreeMap<ConnId, Entry>,
    last_conn: u64,
    aborts: BTreeMap<ExecId, AbortHandle>,
    publishes: BTreeMap<PublishId, oneshot::Sender<Landed>>,
    /// What the timer task sleeps until.
    pub(super) armed: Option<Now>,
    draining: bool,
}

/// What the driver keeps of a connection beside the node.
struct Entry {
    link: Arc<Link>,
    shown: Shown,
}

/// What a client showed before its HELLO was looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) token: Option<String>,
    pub(super) peer: Option<std::net::SocketAddr>,
    pub(super) instance: Option<crate::wire::InstanceId>,
}

/// How others reach a connection's task.
#[derive(Debug, Default)]
pub(super) struct Link {
    pub(super) wake: WakeFlag,
    close: Mutex<Option<Close>>,
}

impl Link {
    pub(super) fn take_close(&self) -> Option<Close> {
        self.close.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn close(&self, close: Close) {
        *self.close.lock().unwrap_or_else(PoisonError::into_inner) = Some(close);
    }
}

/// Where a publication landed.
type Landed = Result<Appended, PublishError>;

/// Connections to wake outside of the lock.
#[derive(Default)]
pub(super) struct Wakes(Vec<Arc<Link>>);

impl Wakes {
    /// This connection has just been given everything, under the lock: it need not be told that
    /// there was something.
    pub(super) fn served(&mut self, link: &Arc<Link>) {
        self.0.retain(|other| !Arc::ptr_eq(other, link));
        link.wake.take();
    }
}

/// What one pass under the lock left to do outside of it.
#[derive(Default)]
struct Work {
    wake: Wakes,
    now: Now,
    executions: Vec<Prepared>,
    operations: Vec<(OpId, StoreOp)>,
    published: Vec<(oneshot::Sender<Landed>, Landed)>,
}

thread_local! {
    /// Room that the turns of a thread use one after another.
    static WORK: Cell<Work> = Cell::default();
    static DONE: Cell<Done> = Cell::default();
}

impl Work {
    /// Whether another pass is needed: for what comes of this, or for what was left for later.
    fn has_more(&self) -> bool {
        !self.executions.is_empty() || !self.operations.is_empty()
    }
}

/// What came of it.
#[derive(Default)]
pub(super) struct Done {
    executed: Vec<(ExecId, Executed)>,
    stored: Vec<(OpId, StoreOutcome)>,
    /// By the execution that did not end at once.
    unbegun: Vec<(ExecId, Vec<Execution>)>,
}

impl Done {
    fn unbegun(&mut self, before: ExecId, execution: Execution) {
        match self.unbegun.last_mut() {
            Some((other, list)) if *other == before => list.push(execution),
            _ => self.unbegun.push((before, vec![execution])),
        }
    }
}

impl Shared {
    pub(super) fn new(mut parts: Parts) -> Arc<Self> {
        let store = parts.take_store();
        let config = Arc::new(parts.config);
        let inner = Inner {
            node: Node::new(Arc::clone(&config), driver::seed(parts.seed)),
            conns: BTreeMap::new(),
            last_conn: 0,
            aborts: BTreeMap::new(),
            publishes: BTreeMap::new(),
            armed: None,
            draining: false,
        };
        Arc::new(Self {
            clock: parts.clock,
            settings: Arc::new(Arc::clone(&config)),
            config,
            transport: parts.transport,
            limits: parts.limits,
            service: parts.service,
            authenticate: parts.authenticate,
            origins: parts.origins,
            store,
            inner: Mutex::new(inner),
            timer: Arc::default(),
            started: Once::new(),
            sockets: AtomicUsize::new(0),
            leaving: watch::Sender::new(false),
            drained: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        // Besides the node's own code only `Store::execute_at_once` runs under the lock, guarded.
        // Should the node panic, going on serves the other connections.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the server's own tasks. Needs a runtime, which building a server does not.
    pub(super) fn start(self: &Arc<Self>) {
        self.started.call_once(|| {
            driver::spawn(timer::run(Arc::downgrade(self), Arc::clone(&self.timer)));
            driver::spawn(hints::run(
                Arc::downgrade(self),
                Arc::clone(&self.store),
                self.leaving.subscribe(),
            ));
            self.turn(|now, inner| inner.node.start(now));
        });
    }

    /// One input, and everything that follows from it at once.
    pub(super) fn turn<T>(self: &Arc<Self>, input: impl FnOnce(Now, &mut Inner) -> T) -> T {
        self.turn_and(&self.settings, input, |_, _, _| ())
    }

    /// The same; `also` is called at the end, in the last pass under the lock.
    pub(super) fn turn_and<T>(
        self: &Arc<Self>,
        settings: &Settings,
        input: impl FnOnce(Now, &mut Inner) -> T,
        mut also: impl FnMut(Now, &mut Inner, &mut Wakes),
    ) -> T {
        let (mut work, mut done) = (WORK.take(), DONE.take());
        let value = self.pass(&mut work, input, &mut also);
        while work.has_more() {
            self.carry_out(settings, &mut work, &mut done);
            self.pass(&mut work, |now, inner| inner.feed(now, &mut done), &mut also);
        }
        self.tell(&mut work);
        WORK.set(work);
        DONE.set(done);
        value
    }

    fn pass<T>(
        &self,
        work: &mut Work,
        input: impl FnOnce(Now, &mut Inner) -> T,
        also: &mut impl FnMut(Now, &mut Inner, &mut Wakes),
    ) -> T {
        let mut inner = self.lock();
        let now = self.clock.now();
        let value = input(now, &mut inner);
        work.now = now;
        inner.drain_outputs(self.store.as_ref(), work);
        if work.has_more() {
            return value;
        }
        also(now, &mut inner, &mut work.wake);
        // Transmitting is an input like any other: the last answer closes a drained connection, a
        // cursor that fell behind asks for a snapshot.
        inner.drain_outputs(self.store.as_ref(), work);
        if work.has_more() {
            return value;
        }
        let timeout = inner.node.poll_timeout();
        if timeout.is_some_and(|at| inner.armed.is_none_or(|armed| at < armed)) {
            inner.armed = timeout;
            self.timer.notify_one();
        }
        if inner.draining && inner.node.is_drained() {
            self.drained.notify_waiters();
        }
        value
    }

    fn tell(&self, work: &mut Work) {
        for link in work.wake.0.drain(..) {
            link.wake.raise();
        }
        for (waiting, result) in work.published.drain(..) {
            // Nobody waits any more: the publication stands all the same.
            let _ = waiting.send(result);
        }
    }

    /// Polls each execution and the store once; what pends goes on as a task of its own, which
    /// survives the connection that began it.
    fn carry_out(self: &Arc<Self>, settings: &Settings, work: &mut Work, done: &mut Done) {
        let mut pending = None;
        for prepared in work.executions.drain(..) {
            if let Some(before) = pending.filter(|_| prepared.follows) {
                done.unbegun(before, prepared.give_back());
                continue;
            }
            let (exec, running) = prepared.begin(self, work.now, settings);
            pending = match execute::first_poll(running) {
                Ok(executed) => {
                    done.executed.push((exec, executed));
                    None
                }
                Err(running) => {
                    self.go_on(exec, running);
                    Some(exec)
                }
            };
        }
        if !work.operations.is_empty() {
            match execute::store_once(&self.store, std::mem::take(&mut work.operations)) {
                Ok(stored) => done.stored = stored,
                Err(pending) => {
                    let shared = Arc::clone(self);
                    driver::spawn(async move {
                        let stored = pending.await;
                        shared.turn(|now, inner| {
                            inner.feed(now, &mut Done { stored, ..Done::default() })
                        });
                    });
                }
            }
        }
        self.tell(work);
    }

    fn go_on(self: &Arc<Self>, exec: ExecId, running: execute::Running) {
        let shared = Arc::clone(self);
        // Under the lock, so that neither the end of the task nor an abort can come before its
        // handle is known.
        let mut inner = self.lock();
        if !inner.node.is_running(exec) {
            // Aborted during its first poll. The application's code is dropped outside of the lock.
            drop(inner);
            let _ = driver::guarded(|| drop(running));
            return;
        }
        let task = driver::spawn(async move {
            let executed = running.await;
            shared.turn(|now, inner| {
                inner.aborts.remove(&exec);
                inner.node.handle_executed(now, exec, executed);
            });
        });
        inner.aborts.insert(exec, task.abort_handle());
    }

    /// A socket begins.
    pub(super) fn connect(self: &Arc<Self>, codec: Codec, shown: Shown) -> (ConnId, Arc<Link>) {
        let link = Arc::new(Link::default());
        let entry = Entry { link: Arc::clone(&link), shown };
        let conn = self.turn(|now, inner| {
            inner.last_conn += 1;
            let conn = ConnId(inner.last_conn);
            inner.conns.insert(conn, entry);
            inner.node.handle_connected(now, conn, codec);
            conn
        });
        (conn, link)
    }

    /// A socket has ended.
    pub(super) fn disconnect(self: &Arc<Self>, conn: ConnId, close: Close) {
        self.turn(|now, inner| {
            inner.conns.remove(&conn);
            inner.node.handle_disconnected(now, conn, close);
        });
    }

    /// Waits until no socket is left; looks again with each that ends.
    pub(super) async fn no_sockets(&self) {
        loop {
            let waiting = self.drained.notified();
            tokio::pin!(waiting);
            waiting.as_mut().enable();
            if self.sockets.load(Ordering::Acquire) == 0 {
                return;
            }
            waiting.await;
        }
    }

    /// One socket less.
    pub(super) fn socket_gone(&self) {
        self.sockets.fetch_sub(1, Ordering::AcqRel);
        self.drained.notify_waiters();
    }

    /// Waits until a drain has come to its end.
    pub(super) async fn drained(&self) {
        loop {
            let waiting = self.drained.notified();
            tokio::pin!(waiting);
            waiting.as_mut().enable();
            if self.lock().node.is_drained() {
                return;
            }
            waiting.await;
        }
    }
}

impl Inner {
    pub(super) fn expect_published(&mut self, id: PublishId, tell: oneshot::Sender<Landed>) {
        self.publishes.insert(id, tell);
    }

    pub(super) fn drain(&mut self, now: Now, deadline_ms: u64, spread_ms: u64) {
        self.draining = true;
        self.node.drain(now, deadline_ms, spread_ms);
    }

    pub(super) fn introduce(&mut self, conn: ConnId, instance: crate::wire::InstanceId) {
        if let Some(entry) = self.conns.get_mut(&conn) {
            entry.shown.instance = Some(instance);
        }
    }

    fn feed(&mut self, now: Now, done: &mut Done) {
        for (exec, executed) in done.executed.drain(..) {
            self.node.handle_executed(now, exec, executed);
        }
        for (before, unbegun) in done.unbegun.drain(..) {
            self.node.handle_unbegun(now, before, unbegun);
        }
        for (op, outcome) in done.stored.drain(..) {
            self.node.handle_store(now, op, outcome);
        }
    }

    #[expect(
        clippy::result_large_err,
        reason = "an operation that the store gives back is moved once, not boxed"
    )]
    fn drain_outputs(&mut self, store: &dyn DynStore, work: &mut Work) {
        while let Some(output) = self.node.poll_output(work.now) {
            match output {
                Output::Event(event) => self.on_event(event, work),
                Output::Execute { execution, ahead: true } => {
                    work.executions.push(Prepared::following(execution));
                }
                Output::Execute { execution, ahead: false } => self.prepare(execution, work),
                Output::Store(id, op) => match driver::guarded(|| store.execute_at_once_dyn(op)) {
                    Ok(Ok(outcome)) => self.node.handle_store(work.now, id, outcome),
                    Ok(Err(op)) => work.operations.push((id, op)),
                    Err(Panicked) => {
                        tracing::error!("the store panicked");
                        // It may have done it or not.
                        self.node.handle_store(work.now, id, StoreOutcome::Unknown);
                    }
                },
            }
        }
    }

    fn prepare(&mut self, execution: Execution, work: &mut Work) {
        let shown = match &execution {
            Execution::Authenticate { conn, .. } => {
                self.conns.get_mut(conn).map(|entry| std::mem::take(&mut entry.shown))
            }
            _ => None,
        };
        work.executions.push(Prepared::new(execution, shown));
    }

    fn on_event(&mut self, event: NodeEvent, work: &mut Work) {
        match event {
            NodeEvent::Wake(conn) => {
                work.wake.0.extend(self.conns.get(&conn).map(|entry| Arc::clone(&entry.link)));
            }
            NodeEvent::Close(conn, close) => {
                if let Some(entry) = self.conns.get(&conn) {
                    entry.link.close(close);
                    work.wake.0.push(Arc::clone(&entry.link));
                }
            }
            NodeEvent::Abort(exec) => {
                match self.aborts.remove(&exec) {
                    Some(task) => task.abort(),
                    // It has not begun, and must not.
                    None => work.executions.retain(|prepared| prepared.exec() != exec),
                }
            }
            NodeEvent::Published(id, result) => {
                work.published.extend(self.publishes.remove(&id).map(|tell| (tell, result)));
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The timer task holds no strong reference, and ends when it looks.
        self.timer.notify_one();
    }
}
