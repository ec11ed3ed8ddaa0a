//! What a server's driver keeps beside the node, by the node's own numbers: how to reach each
//! connection's task, each execution's task, and whoever waits for a publication. Everything here
//! is behind the engine's lock, and decides nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::auth::Shown;
use super::cx::Canceller;
use crate::host::WakeFlag;
use crate::session::Close;
use crate::session::node::{ConnId, ExecId, PublishError, PublishId};
use crate::session::store::Appended;
use crate::sync::Mutex;
use crate::wire::Hello;

/// Where a publication landed.
pub(super) type Landed = Result<Appended, PublishError>;

/// How others reach a connection's task.
#[derive(Debug, Default)]
pub(super) struct ConnHandle {
    pub(super) wake: WakeFlag,
    close: Mutex<Option<Close>>,
    /// As its task saw it last.
    pub(super) unwritten: Waiting,
}

/// Bytes that wait to be written, told by one task and read by others.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    copied: AtomicUsize,
    shared: AtomicUsize,
}

impl Waiting {
    pub(super) fn set(&self, (copied, shared): (usize, usize)) {
        self.copied.store(copied, Ordering::Relaxed);
        self.shared.store(shared, Ordering::Relaxed);
    }

    fn get(&self) -> Unwritten {
        let (copied, shared) = (&self.copied, &self.shared);
        let [copied, shared] = [copied, shared].map(|bytes| bytes.load(Ordering::Relaxed) as u64);
        Unwritten { copied, shared }
    }
}

/// What waits to be written to sockets, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Unwritten {
    /// Copies that connections hold: each at most
    /// [`write_buffer_bytes`](super::TransportConfig::write_buffer_bytes) and one frame with a body
    /// of less than 16 KiB.
    pub copied: u64,
    /// Longer bodies, counted once for each connection that has yet to write them: all who wait
    /// for one share it.
    pub shared: u64,
}

/// By the node's numbers.
#[derive(Default)]
pub(super) struct Registry {
    conns: BTreeMap<ConnId, OpenConn>,
    last_conn: u64,
    tasks: BTreeMap<ExecId, Task>,
    publishers: BTreeMap<PublishId, oneshot::Sender<Landed>>,
}

/// An execution that goes on.
struct Task {
    handle: AbortHandle,
    /// Of a command.
    canceller: Option<Canceller>,
}

struct OpenConn {
    handle: Arc<ConnHandle>,
    shown: Shown,
}

impl ConnHandle {
    /// What the task is to close with, once it has written what it took.
    pub(super) fn take_close(&self) -> Option<Close> {
        self.close.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn close(&self, close: Close) {
        *self.close.lock().unwrap_or_else(PoisonError::into_inner) = Some(close);
    }
}

impl Registry {
    /// A socket begins.
    pub(super) fn open(&mut self, shown: Shown) -> (ConnId, Arc<ConnHandle>) {
        self.last_conn += 1;
        let (conn, handle) = (ConnId(self.last_conn), Arc::<ConnHandle>::default());
        self.conns.insert(conn, OpenConn { handle: Arc::clone(&handle), shown });
        (conn, handle)
    }

    /// What waits to be written, on all connections.
    pub(super) fn unwritten(&self) -> Unwritten {
        let each = self.conns.values().map(|conn| conn.handle.unwritten.get());
        each.fold(Unwritten::default(), |sum, one| Unwritten {
            copied: sum.copied + one.copied,
            shared: sum.shared + one.shared,
        })
    }

    /// Its HELLO says which client process it is.
    pub(super) fn introduce(&mut self, conn: ConnId, hello: &Hello) {
        if let Some(open) = self.conns.get_mut(&conn) {
            open.shown.instance = Some(hello.instance);
        }
    }

    /// What it showed, for the hook that asks who is there.
    pub(super) fn take_shown(&mut self, conn: ConnId) -> Shown {
        self.conns.get_mut(&conn).map(|open| std::mem::take(&mut open.shown)).unwrap_or_default()
    }

    /// `None` once its task has said that it ended: what the node says of it then is late.
    pub(super) fn conn(&self, conn: ConnId) -> Option<Arc<ConnHandle>> {
        self.conns.get(&conn).map(|open| Arc::clone(&open.handle))
    }

    /// Has its task close the socket; whom to wake for it.
    pub(super) fn close(&self, conn: ConnId, close: Close) -> Option<Arc<ConnHandle>> {
        let handle = self.conn(conn)?;
        handle.close(close);
        Some(handle)
    }

    /// A socket has ended.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.conns.remove(&conn);
    }

    /// An execution goes on as a task of its own.
    pub(super) fn goes_on(
        &mut self,
        exec: ExecId,
        handle: AbortHandle,
        canceller: Option<Canceller>,
    ) {
        self.tasks.insert(exec, Task { handle, canceller });
    }

    /// What tells its handler that nobody wants it any more; `None` if it does not go on, or is no
    /// command.
    pub(super) fn canceller(&self, exec: ExecId) -> Option<Canceller> {
        self.tasks.get(&exec)?.canceller.clone()
    }

    /// Takes the task of an execution that ended or is to be stopped; `None` if it has none.
    pub(super) fn take_task(&mut self, exec: ExecId) -> Option<AbortHandle> {
        self.tasks.remove(&exec).map(|task| task.handle)
    }

    /// Takes the tasks of all executions.
    #[cfg(feature = "test")]
    pub(super) fn take_tasks(&mut self) -> Vec<AbortHandle> {
        std::mem::take(&mut self.tasks).into_values().map(|task| task.handle).collect()
    }

    /// Somebody waits for a publication.
    pub(super) fn expect_published(&mut self, id: PublishId, tell: oneshot::Sender<Landed>) {
        self.publishers.insert(id, tell);
    }

    /// Whoever waits for it.
    pub(super) fn take_publisher(&mut self, id: PublishId) -> Option<oneshot::Sender<Landed>> {
        self.publishers.remove(&id)
    }
}
