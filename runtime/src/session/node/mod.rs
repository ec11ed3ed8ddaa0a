//! The server's end: attachments, sessions, lease and execution tables, topics and cursors. Owns
//! every decision of a server; refuses sockets, clocks, handlers and storage, which it reaches as
//! data.

pub mod admission;
mod ahead;
mod attach;
mod claim;
mod command;
mod commit;
mod config;
mod drain;
mod execution;
pub mod fault;
mod follow;
mod lease;
mod load;
mod publish;
mod state;
mod sweep;
mod timer;
mod topic;
mod transmit;
mod types;

pub use config::{MessageKind, MessageSpec, NodeConfig, TopicSpec};
pub use load::NodePeaks;
pub use types::{
    Attempt, ConnId, Denied, ExecId, Executed, Execution, Identity, NodeEvent, NodeLoad, Output,
    Principal, PublishError, PublishId, StagedPublish, TopicVolatile,
};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::session::store::{OpId, StoreOutcome, TopicId};
use crate::session::table::{Key, Table};
use crate::session::{Close, CloseCode, Now, Random};
use crate::wire::{ClientFrame, Codec, LeaseId, Position, Seq, ServerFrame, SessionId, TopicNo};

use commit::{Appends, Settling};
use drain::Draining;
use lease::Lease;
use state::{Conn, LeaseKey, Phase, Run, Running, Session, SessionKey};
use timer::Timer;
use topic::Topic;

/// One server process. Every call that takes `&mut self` is an input, [`Node::poll_transmit`] too:
/// after it, [`Node::poll_output`] is polled until there is none. Then woken connections take what
/// [`Node::poll_transmit`] has for them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Node {
    config: Arc<NodeConfig>,
    random: Random,
    /// Names this process in the keys of its own publications.
    id: u128,
    conns: BTreeMap<ConnId, Box<Conn>>,
    sessions: Table<Session>,
    session_ids: BTreeMap<SessionId, SessionKey>,
    leases: Table<Lease>,
    lease_ids: BTreeMap<LeaseId, LeaseKey>,
    /// Leases that the store is asked for, and whether this process has let go of one since.
    claims: BTreeMap<(LeaseId, ConnId), bool>,
    topics: BTreeMap<TopicNo, Topic>,
    topic_numbers: BTreeMap<TopicId, TopicNo>,
    /// Topics that nobody follows, by the time that this began.
    idle_topics: BTreeSet<(Now, TopicNo)>,
    /// Topics that somebody follows, by the time at which the store heard of them last.
    followed_topics: BTreeSet<(Now, TopicNo)>,
    last_topic: TopicNo,
    running: Table<Run>,
    /// Commands whose turn has come while as many run as may.
    turn: VecDeque<(LeaseKey, crate::wire::CommandNo)>,
    commands_running: u32,
    volatiles_running: u32,
    ops: Table<Op>,
    /// Leases with executed commands that no operation carries yet.
    uncommitted: VecDeque<LeaseKey>,
    appends: BTreeMap<TopicId, Appends>,
    settling: BTreeMap<(LeaseId, crate::wire::CommandNo), Settling>,
    publishes: u64,
    publishes_waiting: u32,
    /// Unsettled records are being listed.
    sweeping: bool,
    /// Somebody looked for unsettled records meanwhile.
    sweep_again: bool,
    /// They will be listed again after a while.
    sweep_armed: bool,
    /// When they were listed last; `None` before the start.
    swept: Option<Now>,
    /// The latest sessions that have expired: their clients are told so.
    expired_sessions: VecDeque<SessionId>,
    draining: Option<Draining>,
    timers: BTreeSet<(Now, Timer)>,
    outputs: VecDeque<Output>,
    /// The command that was handed out last, if the next one of its lease may follow it.
    handed_out: Option<ExecId>,
}

/// A store operation that is under way, or waits to be repeated.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Op {
    what: OpKind,
    tries: u32,
    /// An earlier try may have happened.
    maybe: bool,
}

/// What an operation is for; enough to make it again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum OpKind {
    Lease(ConnId),
    Renew(LeaseKey),
    Forget(LeaseKey),
    End(LeaseId),
    Commit(LeaseKey, Vec<crate::wire::CommandNo>),
    /// A commit whose lease was dropped meanwhile: these topics may have got its events, and its
    /// records may be unsettled.
    Orphan(Vec<TopicId>),
    Append(TopicId),
    Settle(LeaseId, crate::wire::CommandNo),
    OpenTopic(TopicNo),
    ReadLog(TopicNo),
    ListUnsettled,
}

impl Node {
    /// A node without connections. `seed` must be unguessable in production.
    #[must_use]
    pub fn new(config: Arc<NodeConfig>, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let id = random.u128();
        Self {
            config,
            random,
            id,
            conns: BTreeMap::new(),
            sessions: Table::default(),
            session_ids: BTreeMap::new(),
            leases: Table::default(),
            lease_ids: BTreeMap::new(),
            claims: BTreeMap::new(),
            topics: BTreeMap::new(),
            topic_numbers: BTreeMap::new(),
            idle_topics: BTreeSet::new(),
            followed_topics: BTreeSet::new(),
            last_topic: TopicNo::ZERO,
            running: Table::default(),
            turn: VecDeque::new(),
            commands_running: 0,
            volatiles_running: 0,
            ops: Table::default(),
            uncommitted: VecDeque::new(),
            appends: BTreeMap::new(),
            settling: BTreeMap::new(),
            publishes: 0,
            publishes_waiting: 0,
            sweeping: false,
            sweep_again: false,
            sweep_armed: false,
            swept: None,
            expired_sessions: VecDeque::new(),
            draining: None,
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
            handed_out: None,
        }
    }

    /// The first input: looks for records that an earlier process left unsettled.
    pub fn start(&mut self, now: Now) {
        self.swept = Some(now);
        self.sweep_soon();
    }

    /// A socket was accepted. `conn` must never have been used before.
    pub fn handle_connected(&mut self, now: Now, conn: ConnId, codec: Codec) {
        if self.draining.is_some() {
            // Admitted before the drain began, connected after it: a drain would wait for its HELLO.
            let close = Close::new(CloseCode::DRAINING, "this server is leaving");
            return self.event(NodeEvent::Close(conn, close));
        }
        let mut state = Conn::new(now, codec);
        let until = now.after_ms(self.config.handshake_ms);
        state.timers.handshake = Some(until);
        self.conns.insert(conn, Box::new(state));
        self.arm(until, Timer::Handshake(conn));
    }

    /// A frame arrived.
    pub fn handle_frame(&mut self, now: Now, conn: ConnId, frame: ClientFrame) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.heard = now;
        state.missed = 0;
        match (&state.phase, frame) {
            (Phase::Silent, ClientFrame::Hello(hello)) => self.on_hello(now, conn, hello),
            (Phase::Attached { session, lease }, frame) => {
                let (session, lease) = (*session, *lease);
                self.on_attached_frame(now, conn, session, lease, frame);
            }
            _ => self.close(
                now,
                conn,
                Close::new(CloseCode::MALFORMED, "the first frame is HELLO, then the client waits"),
            ),
        }
    }

    fn on_attached_frame(
        &mut self,
        now: Now,
        conn: ConnId,
        session: SessionKey,
        lease: LeaseKey,
        frame: ClientFrame,
    ) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.previous_token = None;
        }
        match frame {
            ClientFrame::Command(command) => self.on_command(now, conn, session, lease, command),
            ClientFrame::Ack { ack, low } => {
                self.on_ack(now, conn, session, lease, ack, low);
            }
            ClientFrame::Position { topic, ts, bytes } => {
                self.on_position(now, conn, topic, ts, bytes)
            }
            ClientFrame::Subscribe(subscribe) => self.on_subscribe(now, conn, *subscribe),
            ClientFrame::Unsubscribe { sub } => self.remove_sub(now, conn, sub),
            ClientFrame::Volatile { name, body } => {
                self.on_volatile(now, conn, session, &name, body)
            }
            ClientFrame::Ping { k } => self.on_ping(now, conn, k),
            ClientFrame::Pong { .. } | ClientFrame::Ignored { .. } => {}
            ClientFrame::Hello(_) => {
                self.close(now, conn, Close::new(CloseCode::MALFORMED, "a second HELLO"))
            }
        }
    }

    /// Something that is not a frame arrived (a WebSocket pong): a sign of life.
    pub fn handle_alive(&mut self, now: Now, conn: ConnId) {
        if let Some(conn) = self.conns.get_mut(&conn) {
            conn.heard = now;
            conn.missed = 0;
        }
    }

    /// The socket ended. After [`NodeEvent::Close`] too.
    pub fn handle_disconnected(&mut self, now: Now, conn: ConnId, close: Close) {
        let done = close.code == Some(CloseCode::NORMAL);
        let attached = self.conns.get(&conn).and_then(|conn| conn.attached());
        self.forget_conn(now, conn);
        if let Some((session, lease)) = attached
            && done
        {
            self.close_cleanly(now, session, lease);
        }
    }

    /// A store operation ended.
    pub fn handle_store(&mut self, now: Now, op: OpId, outcome: StoreOutcome) {
        let key = Key::from_raw(op.0);
        let Some(Op { what, .. }) = self.ops.get(key) else { return };
        if matches!(outcome, StoreOutcome::Failed | StoreOutcome::Unknown) {
            return self.on_store_failure(now, key, outcome == StoreOutcome::Unknown);
        }
        let what = match what {
            // Taken apart only now: the list of numbers need not be copied.
            OpKind::Commit(..) | OpKind::Append(_) => match self.ops.remove(key) {
                Some(op) => op.what,
                None => return,
            },
            what => {
                let what = what.clone();
                self.ops.remove(key);
                what
            }
        };
        match what {
            OpKind::Lease(conn) => self.on_lease(now, conn, outcome),
            OpKind::Renew(lease) => self.on_renewed(now, lease, &outcome),
            OpKind::Forget(lease) => self.on_forgotten(now, lease, &outcome),
            OpKind::End(_) => {}
            OpKind::Commit(lease, numbers) => self.on_committed(now, lease, &numbers, outcome),
            OpKind::Orphan(topics) => self.on_orphan(&topics),
            OpKind::Append(topic) => self.on_appended(now, &topic, &outcome),
            OpKind::Settle(lease, n) => {
                self.settling.remove(&(lease, n));
            }
            OpKind::OpenTopic(topic) => self.on_topic_opened(topic, &outcome),
            OpKind::ReadLog(topic) => self.on_log(now, topic, outcome),
            OpKind::ListUnsettled => self.on_unsettled(now, outcome),
        }
    }

    /// Another node may have appended to a topic (a hint; a lost one costs time only). The epoch
    /// tells a topic that was made anew from one that this node knows already.
    pub fn handle_advanced(&mut self, _now: Now, topic: &TopicId, head: Position) {
        if let Some(&number) = self.topic_numbers.get(topic)
            && self
                .topics
                .get(&number)
                .is_some_and(|topic| topic.head < head.ts || topic.epoch != Some(head.epoch))
        {
            self.read_log(number);
        }
    }

    /// For attachments whose exchanges may be repeated (long-poll): the peer says that it has
    /// `recv`; everything above is sent again, and a sequenced frame at or below the node's own
    /// `recv` is dropped from now on, not an error.
    pub fn rewind(&mut self, now: Now, conn: ConnId, recv: Seq) {
        let Some(state) = self.conns.get_mut(&conn) else { return };
        state.rewindable = true;
        let Some((session, _)) = state.attached() else { return };
        let known = self.sessions.get_mut(session).is_some_and(|session| session.rewind(recv));
        if known {
            self.wake(conn);
        } else {
            self.close(
                now,
                conn,
                Close::new(CloseCode::SEQUENCE, "the position to rewind to is not retained"),
            );
        }
    }

    /// The next thing to do, in the node's own order: what was caused first comes first, commands
    /// that may be handed out ahead follow the one before them, and commits come when nothing else
    /// is left, so that one carries everything that has ended.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        if let Some(execution) = self.next_ahead(now) {
            return Some(Output::Execute { execution, ahead: true });
        }
        let Some(output) = self.outputs.pop_front() else {
            return self.next_commit().map(|(op, what)| Output::Store(op, what));
        };
        if let Output::Execute { execution, .. } = &output {
            self.handed_out = execution.command();
        }
        Some(output)
    }

    fn event(&mut self, event: NodeEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn execute(&mut self, execution: Execution) {
        self.outputs.push_back(Output::Execute { execution, ahead: false });
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Arc<NodeConfig> {
        &self.config
    }

    /// Where a topic stands, if this node knows it.
    #[must_use]
    pub fn topic_head(&self, topic: &TopicId) -> Option<Position> {
        let topic = self.topics.get(self.topic_numbers.get(topic)?)?;
        topic.epoch.map(|epoch| Position { epoch, ts: topic.head })
    }

    /// How much this node holds; every number is bounded by its configuration.
    #[must_use]
    pub fn load(&self) -> NodeLoad {
        NodeLoad {
            connections: self.conns.len(),
            sessions: self.sessions.len(),
            answers_waiting: self.sessions.values().map(|session| session.pending.len()).sum(),
            commands_waiting: self.turn.len(),
            leases: self.leases.len(),
            executions: self.running.len(),
            store_operations: self.ops.len(),
            topics: self.topics.len(),
            publishes_waiting: self.publishes_waiting as usize,
            unsettled: self.settling.len(),
            timers: self.timers.len(),
        }
    }

    // ---- shared by the parts ----

    fn wake(&mut self, conn: ConnId) {
        if let Some(state) = self.conns.get_mut(&conn)
            && !state.woken
        {
            state.woken = true;
            self.event(NodeEvent::Wake(conn));
        }
    }

    /// Queues a frame that waits for nothing but the socket. Bounded: a peer that makes us owe it
    /// more than its subscriptions can explain does not read.
    fn control(&mut self, now: Now, conn: ConnId, frame: ServerFrame) {
        let limit = 64 + 2 * self.config.subscriptions as usize;
        let Some(state) = self.conns.get_mut(&conn) else { return };
        if state.control.len() >= limit {
            return self.close(now, conn, Close::new(CloseCode::SLOW, "answers pile up unread"));
        }
        state.control.push_back(frame);
        self.wake(conn);
    }

    /// Answered before anything else that waits (PROTOCOL.md 9.2).
    fn on_ping(&mut self, now: Now, conn: ConnId, k: u64) {
        self.control(now, conn, ServerFrame::Pong { k });
        if let Some(state) = self.conns.get_mut(&conn) {
            state.control.rotate_right(1.min(state.control.len()));
        }
    }

    /// Ends a socket from this side.
    fn close(&mut self, now: Now, conn: ConnId, close: Close) {
        if self.conns.contains_key(&conn) {
            self.forget_conn(now, conn);
            self.event(NodeEvent::Close(conn, close));
        }
    }

    fn start_running(&mut self, what: Running) -> ExecId {
        ExecId(self.running.insert(Run { what, until: None }).raw())
    }

    /// A hook: late after `ms`.
    fn start_hook(&mut self, now: Now, ms: u64, what: Running) -> ExecId {
        let until = now.after_ms(ms);
        let exec = ExecId(self.running.insert(Run { what, until: Some(until) }).raw());
        self.arm(until, Timer::Hook(exec));
        exec
    }

    fn end_running(&mut self, exec: ExecId) -> Option<Running> {
        let Run { what, until } = self.running.remove(Key::from_raw(exec.0))?;
        self.disarm(until, Timer::Hook(exec));
        Some(what)
    }

    /// Whether the node still waits for the end of an execution. One that was handed out and is not
    /// waited for any more has been aborted, or has ended.
    #[must_use]
    pub fn is_running(&self, exec: ExecId) -> bool {
        self.running.get(Key::from_raw(exec.0)).is_some()
    }

    fn abort(&mut self, exec: ExecId) {
        if self.end_running(exec).is_some() {
            self.stop(exec);
        }
    }

    /// An execution that has been ended here ends at the driver, too. What nobody has begun is not
    /// begun: it would run without anybody who ends it.
    fn stop(&mut self, exec: ExecId) {
        let begins = |output: &Output| matches!(output, Output::Execute { execution, .. } if execution.exec() == exec);
        match self.outputs.iter().position(begins) {
            Some(at) => drop(self.outputs.remove(at)),
            None => self.event(NodeEvent::Abort(exec)),
        }
    }
}
