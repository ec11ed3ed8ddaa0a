//! The world of a run: clients, nodes, a store, a network and a clock. [`World::step`] makes one
//! thing happen, carries out every output, and lets the checkers look. It owns the order of things,
//! and decides nothing that a core decides.

mod applications;
mod client_end;
mod clocks;
mod faults;
mod handlers;
mod heal;
mod journals;
mod mistakes;
mod node_end;
mod settled;
mod sockets;
mod storage;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use steadfast::session::client::{Client, SubId};
use steadfast::session::node::{ConnId, ExecId, Executed, Node};
use steadfast::session::store::{News, OpId, StoreOp, StoreOutcome, TopicId};
use steadfast::session::{Close, Now};
use steadfast::wire::Dial;
use steadfast_rig::pump::{left_at_client, left_at_node};

pub use self::applications::{AppSub, Named, Pace};
pub use self::clocks::Clock;
pub use self::faults::Cut;
pub use self::handlers::{Answer, Held};
pub use self::journals::Disk;
pub use self::storage::Shelf;

use crate::checkers::Checkers;
use crate::network::{End, Route, Socket, SocketId, Way};
use crate::plan::Plan;
use crate::rng::Rng;
use crate::shorten::Deed;
use crate::trace::{Recording, Trace};

/// Something that is to happen at its time.
#[derive(Debug, Clone)]
enum Due {
    Accept(SocketId),
    Arrive(SocketId, Way),
    Unblock,
    Notice(SocketId, End, Close),
    Answer(SocketId, u16, Option<u64>),
    StoreApply { node: usize, process: u64, op: OpId, body: Box<StoreOp>, odds: storage::Odds },
    StoreAnswer { node: usize, process: u64, op: OpId, outcome: Box<StoreOutcome> },
    Executed { node: usize, process: u64, exec: ExecId, executed: Box<Executed> },
    News { node: usize, news: Box<News> },
    Poll { client: usize, process: u64, sub: SubId },
    Saved { client: usize, process: u64 },
    Restart(usize),
    Away(u64),
    Act(Deed),
}

/// A client process and its application.
#[derive(Debug)]
pub struct ClientSlot {
    /// The core.
    pub core: Client,
    /// What its processes save, if they do.
    pub disk: Option<Disk>,
    /// Its time.
    pub clock: Clock,
    /// Which process this is; never the same twice.
    pub process: u64,
    /// Who logs in.
    pub user: String,
    /// Its sockets by dial.
    dials: BTreeMap<Dial, SocketId>,
    /// The socket in use or being opened.
    pub current: Option<SocketId>,
    /// What the application follows.
    pub subs: BTreeMap<SubId, AppSub>,
    /// Whether the application closed the client.
    pub closed: bool,
    /// Its clock stands still (a deliberate mistake).
    frozen: bool,
    spins: u32,
}

/// A place where node processes run, one after the other.
#[derive(Debug)]
pub struct NodeSlot {
    /// The core; `None` while it is down.
    pub core: Option<Node>,
    /// Its time.
    pub clock: Clock,
    /// Which process this is; never the same twice.
    pub process: u64,
    /// Whether it is being drained.
    pub draining: bool,
    conns: BTreeMap<ConnId, SocketId>,
    woken: BTreeSet<ConnId>,
    closing: BTreeSet<ConnId>,
    /// Topics of which it wants to hear.
    wanted: BTreeSet<TopicId>,
    next_conn: u64,
    spins: u32,
}

/// Everything there is.
#[derive(Debug)]
pub struct World {
    /// The run's plan.
    pub plan: Plan,
    /// The time.
    pub now: Now,
    /// Client processes.
    pub clients: Vec<ClientSlot>,
    /// Node processes.
    pub nodes: Vec<NodeSlot>,
    /// The shared store.
    pub shelf: Shelf,
    /// Every socket that still matters.
    pub sockets: BTreeMap<SocketId, Socket>,
    /// What must hold.
    pub checkers: Checkers,
    /// What happened.
    pub trace: Trace,
    /// Where the next dials lead; after them, chance.
    pub routes: VecDeque<Route>,
    /// Commands that wait for [`World::finish`].
    pub held: Vec<Held>,
    /// Commands with ids that were submitted.
    named: Vec<Named>,
    /// Dials so far.
    pub dials: u64,
    /// What chance asked for so far, and was done.
    pub deeds: Vec<Deed>,
    seed: u64,
    rng: Rng,
    /// For messages in parts, so that a seed without them stays what it was.
    parts: Rng,
    due: BTreeMap<(Now, u64), Due>,
    ties: u64,
    ids: u64,
    /// Direct messages so far.
    directs: u64,
    steps: u64,
    healing: bool,
}

impl World {
    /// A world at time 0 in which nodes have started and clients have begun to dial.
    #[must_use]
    pub fn new(plan: Plan, seed: u64, recording: Recording) -> Self {
        let mut world = Self {
            now: Now(0),
            clients: Vec::new(),
            nodes: Vec::new(),
            shelf: Shelf::new(&plan.store),
            sockets: BTreeMap::new(),
            checkers: Checkers::new(&plan),
            trace: Trace::new(recording),
            routes: VecDeque::new(),
            held: Vec::new(),
            named: Vec::new(),
            dials: 0,
            deeds: Vec::new(),
            seed,
            rng: Rng::new(seed),
            parts: Rng::new(!seed),
            due: BTreeMap::new(),
            ties: 0,
            ids: 0,
            directs: 0,
            steps: 0,
            healing: false,
            plan,
        };
        for slot in 0..world.plan.nodes {
            world.nodes.push(NodeSlot::down());
            world.start_node(slot);
        }
        for slot in 0..world.plan.clients {
            world.start_client(slot);
        }
        if let Some((from_ms, ms)) = world.plan.store.away {
            world.after(from_ms, Due::Away(ms));
        }
        world.plan_next(Deed::Work(0));
        world.plan_next(Deed::Fault(0));
        world.pump();
        world
    }

    fn fresh(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    fn after(&mut self, ms: u64, due: Due) {
        self.at(self.now.after_ms(ms), due);
    }

    fn at(&mut self, when: Now, due: Due) {
        self.ties += 1;
        self.due.insert((when, self.ties), due);
    }

    fn note(&mut self, line: impl FnOnce(&Self) -> String) {
        if self.trace.is_on() {
            let text = format!("{:>7} {}", self.now.0, line(self));
            self.trace.push(text);
        }
    }

    /// Steps taken.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// When the next thing happens.
    #[must_use]
    pub fn next_at(&self) -> Option<Now> {
        let due = self.due.first_key_value().map(|((when, _), _)| *when);
        let awake = self.clients.iter().filter(|slot| !slot.frozen);
        let clients = awake.filter_map(|slot| Some(slot.clock.when(slot.core.poll_timeout()?)));
        let nodes = self
            .nodes
            .iter()
            .filter_map(|slot| Some(slot.clock.when(slot.core.as_ref()?.poll_timeout()?)));
        due.into_iter().chain(clients).chain(nodes).min()
    }

    /// Makes the next thing happen; `false` if nothing ever will.
    pub fn step(&mut self) -> bool {
        let Some(when) = self.next_at() else { return false };
        self.now = self.now.max(when);
        self.steps += 1;
        if !self.fire_timer()
            && let Some((_, due)) = self.due.pop_first()
        {
            self.happen(due);
        }
        self.pump();
        self.look();
        true
    }

    fn fire_timer(&mut self) -> bool {
        for slot in 0..self.clients.len() {
            let (now, asleep) = (self.client_now(slot), self.client_sleeps(slot));
            let client = &mut self.clients[slot];
            if !asleep
                && !client.frozen
                && client.core.poll_timeout().is_some_and(|when| when <= now)
            {
                client.core.handle_timeout(now);
                let spins = client.core.poll_timeout().is_some_and(|when| when <= now);
                client.spins = if spins { client.spins + 1 } else { 0 };
                let spinning = client.spins > 100;
                self.checkers.timers_make_progress(spinning, "client");
                self.note(|_| format!("client {slot}: timer"));
                return true;
            }
        }
        for slot in 0..self.nodes.len() {
            let (now, asleep) = (self.node_now(slot), self.node_sleeps(slot));
            let node = &mut self.nodes[slot];
            let Some(core) = node.core.as_mut().filter(|_| !asleep) else { continue };
            if core.poll_timeout().is_some_and(|when| when <= now) {
                core.handle_timeout(now);
                let spins = core.poll_timeout().is_some_and(|when| when <= now);
                node.spins = if spins { node.spins + 1 } else { 0 };
                let spinning = node.spins > 100;
                self.checkers.timers_make_progress(spinning, "node");
                self.note(|_| format!("node {slot}: timer"));
                return true;
            }
        }
        false
    }

    fn happen(&mut self, due: Due) {
        if let Some(until) = self.waits_for_a_sleeper(&due) {
            return self.at(until, due);
        }
        match due {
            Due::Accept(socket) => self.accept(socket),
            Due::Arrive(socket, way) => self.arrive(socket, way),
            Due::Unblock => {}
            Due::Notice(socket, end, close) => self.notice(socket, end, close),
            Due::Answer(socket, status, retry_after_ms) => {
                self.upgrade_refused(socket, status, retry_after_ms)
            }
            Due::StoreApply { node, process, op, body, odds } => {
                self.apply(node, process, op, &body, odds)
            }
            Due::StoreAnswer { node, process, op, outcome } => {
                self.answer_store(node, process, op, *outcome)
            }
            Due::Executed { node, process, exec, executed } => {
                self.report(node, process, exec, *executed)
            }
            Due::News { node, news } => self.hear(node, *news),
            Due::Poll { client, process, sub } => self.application_polls(client, process, sub),
            Due::Saved { client, process } => self.saved(client, process),
            Due::Restart(node) => self.start_node(node),
            Due::Away(ms) => self.store_goes_away(ms),
            Due::Act(deed) => self.act(deed),
        }
    }

    /// Each deed, and what goes on until the next one, has its chances from the seed and the deed's
    /// number: others stay what they are when one is left out.
    fn plan_next(&mut self, deed: Deed) {
        let range = match deed {
            Deed::Work(_) => self.plan.work_ms,
            Deed::Fault(_) => self.plan.faults_ms,
        };
        if let Some(range) = range {
            let wait = deed.chances(self.seed).within(range);
            self.after(wait, Due::Act(deed));
        }
    }

    fn act(&mut self, deed: Deed) {
        if self.healing {
            return;
        }
        if self.plan.only.as_ref().is_none_or(|only| only.contains(&deed)) {
            self.deeds.push(deed);
            self.note(|_| format!("deed {deed}"));
            self.rng = deed.chances(self.seed ^ 1);
            match deed {
                Deed::Work(_) => self.work(),
                Deed::Fault(_) => self.fault(),
            }
        }
        self.rng = deed.chances(self.seed ^ 2);
        self.plan_next(deed.next());
    }

    /// Carries out every output of every core that is awake. Whatever goes from one to another
    /// takes its time, so that each needs its turn once.
    pub fn pump(&mut self) {
        for slot in 0..self.clients.len() {
            self.pump_client(slot);
        }
        for slot in 0..self.nodes.len() {
            self.pump_node(slot);
        }
        self.checkers.turn_ends();
        self.nothing_waits_for_another_input();
    }

    fn nothing_waits_for_another_input(&mut self) {
        for slot in self.clients.iter_mut().filter(|slot| !slot.clock.sleeps(self.now)) {
            self.checkers.no_output_is_left("client", left_at_client(&mut slot.core));
        }
        for slot in self.nodes.iter_mut().filter(|slot| !slot.clock.sleeps(self.now)) {
            let Some(core) = &mut slot.core else { continue };
            self.checkers.no_output_is_left("node", left_at_node(core, slot.clock.reads(self.now)));
            let takes = |id: &&SocketId| {
                self.sockets.get(id).is_some_and(|socket| socket.down.blocked_until <= self.now)
            };
            let conns = if slot.draining { &slot.conns } else { &BTreeMap::new() };
            let open = conns.iter().filter(|(conn, _)| !slot.closing.contains(conn));
            for id in open.map(|(_, id)| id).filter(takes) {
                self.checkers.a_drained_connection_is_closed_at_once(slot.process, *id);
            }
        }
    }

    fn look(&mut self) {
        // What is asleep has not yet heard of what happened.
        for slot in self.clients.iter().filter(|slot| !slot.clock.sleeps(self.now)) {
            let (now, timer) = (slot.clock.reads(self.now), slot.core.poll_timeout());
            let load = slot.core.load();
            let held = load.outbox_commands + load.backlog_calls + load.untold;
            self.checkers.outbox_holds_what_is_unresolved(slot.process, held);
            self.checkers.the_backlog_is_as_it_should_be(slot.process, &self.plan.client);
            self.checkers.a_refused_upgrade_is_answered(slot.process, slot.core.state());
            self.checkers.a_client_keeps_its_bounds(slot.process, load, slot.core.config());
            self.checkers.states_are_told(slot.process, slot.core.state());
            self.checkers.a_client_knows_the_verdict(slot.process, slot.core.server());
            if !slot.frozen {
                self.checkers.no_timer_is_lost(slot.process, now, timer);
            }
        }
        for slot in &self.nodes {
            let Some(core) = slot.core.as_ref().filter(|_| !slot.clock.sleeps(self.now)) else {
                continue;
            };
            self.checkers.no_timer_is_lost(
                slot.process,
                slot.clock.reads(self.now),
                core.poll_timeout(),
            );
            self.checkers.own_events_are_looked_for(slot.process, core);
            let (wanted, held) = (slot.wanted.len(), core.load().topics);
            self.checkers.interest_is_told(slot.process, wanted, held);
            let window = self.plan.client.window;
            self.checkers.a_node_keeps_its_bounds(slot.process, core.load(), core.peaks(), window);
        }
        let (held, peaks) = (self.shelf.state.figures(), self.shelf.state.peaks());
        self.checkers.a_store_keeps_its_bounds(&held, peaks, &storage::limits(&self.plan.store));
    }

    /// Steps until `done`, at most `ms`; says whether it came to that.
    pub fn run_until(&mut self, ms: u64, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now.after_ms(ms);
        let mut left = 200_000;
        loop {
            if done(self) {
                return true;
            }
            if self.checkers.violated() || left == 0 || self.next_at().is_none_or(|when| when > end)
            {
                self.now = self.now.max(end.min(self.next_at().unwrap_or(end)));
                return false;
            }
            left -= 1;
            self.step();
        }
    }

    /// Lets so much time go by.
    pub fn run_for(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        self.run_until(ms, |_| false);
        if !self.checkers.violated() {
            self.now = end;
        }
    }
}
