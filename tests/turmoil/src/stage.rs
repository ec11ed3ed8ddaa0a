//! The hosts and the links between them: one server, some clients, and the hand that breaks things.
//! It advances the clock; what is right is for the ledger to say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast::server::Server;
use tokio::sync::{Notify, watch};
use turmoil::Sim;

use crate::ledger::Ledger;
use crate::plan::{Fault, Plan};
use crate::protocol::BoardCommand;
use crate::{client, server};

/// One step of the virtual clock. What happens on two hosts within one step has no order.
const TICK: Duration = Duration::from_millis(5);

/// Once nothing is broken any more, everybody must have everything within so many virtual
/// milliseconds.
const HEALING_MS: u64 = 60_000;

/// For how long a late link counts new connections as old, in milliseconds.
const OLD_MS: u64 = 1_500;

/// What the hosts and the world share. Clones are the same stage.
#[derive(Debug, Clone)]
pub struct Stage {
    /// The source of everything random.
    pub seed: u64,
    /// What everybody noted.
    pub ledger: Ledger,
    pub(crate) server: Arc<Mutex<Option<Server<BoardCommand>>>>,
    drain: Arc<Notify>,
    closing: Arc<AtomicBool>,
    ended: watch::Sender<bool>,
}

impl Stage {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            ledger: Ledger::default(),
            server: Arc::default(),
            drain: Arc::default(),
            closing: Arc::default(),
            ended: watch::Sender::new(false),
        }
    }

    pub(crate) async fn told_to_drain(&self) {
        self.drain.notified().await;
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    pub(crate) async fn told_to_end(&self) {
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// The sockets and the sessions of the present server.
    #[must_use]
    pub fn load(&self) -> (usize, usize) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        server.as_ref().map_or((0, 0), |server| (server.connections(), server.load().sessions))
    }
}

/// A simulation under way.
pub struct World<'a> {
    /// turmoil's own simulation.
    pub sim: Sim<'a>,
    /// What is shared with the hosts.
    pub stage: Stage,
    clients: BTreeSet<u32>,
    held: BTreeSet<u32>,
    late: BTreeMap<u32, Late>,
}

/// A link that delivers what newer connections carry, and holds the older ones back.
struct Late {
    since_ms: u64,
    /// The highest port of a connection that is held back.
    old: u16,
    /// Whether what the server sends gets through on those, too.
    answers: bool,
}

/// A client's host name.
#[must_use]
pub fn host(who: u32) -> String {
    format!("client-{who}")
}

impl World<'_> {
    /// A simulation with a server and no clients yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let stage = Stage::new(seed);
        let mut sim = turmoil::Builder::new()
            .rng_seed(seed)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3_600))
            .min_message_latency(Duration::from_millis(1))
            .max_message_latency(Duration::from_millis(40))
            .tcp_capacity(1_024)
            .build();
        let serving = stage.clone();
        sim.host("server", move || server::run(serving.clone()));
        Self { sim, stage, clients: BTreeSet::new(), held: BTreeSet::new(), late: BTreeMap::new() }
    }

    /// Adds a client that posts and follows.
    pub fn add_client(&mut self, who: u32) {
        self.clients.insert(who);
        let stage = self.stage.clone();
        self.sim.host(host(who), move || client::run(stage.clone(), who));
    }

    /// The virtual time since the beginning, in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.sim.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Advances time by one step.
    pub fn step(&mut self) {
        self.deliver_newer();
        if let Err(error) = self.sim.step() {
            self.stage.ledger.wrong(format_args!("a host failed: {error}"));
        }
    }

    /// Advances time by so many virtual milliseconds.
    pub fn run_for(&mut self, ms: u64) {
        let until = self.now_ms() + ms;
        while self.now_ms() < until {
            self.step();
        }
    }

    /// Advances time until `holds`. Returns whether it did within so many virtual milliseconds.
    pub fn run_until(&mut self, most_ms: u64, mut holds: impl FnMut(&mut Self) -> bool) -> bool {
        let until = self.now_ms() + most_ms;
        while self.now_ms() < until {
            if holds(self) {
                return true;
            }
            self.step();
        }
        holds(self)
    }

    /// Breaks or mends something.
    pub fn apply(&mut self, fault: Fault) {
        self.stage.ledger.line(format_args!("{} ms: {fault:?}", self.now_ms()));
        match fault {
            Fault::Partition(who) => self.sim.partition("server", host(who)),
            Fault::Deaf { who, to_server: true } => self.sim.partition_oneway(host(who), "server"),
            Fault::Deaf { who, to_server: false } => self.sim.partition_oneway("server", host(who)),
            Fault::Hold(who) => {
                self.held.insert(who);
                self.sim.hold("server", host(who));
            }
            Fault::LateOld { who, answers } => {
                self.held.insert(who);
                self.sim.hold("server", host(who));
                self.late.insert(who, Late { since_ms: self.now_ms(), old: 0, answers });
            }
            Fault::Heal(who) => {
                self.late.remove(&who);
                self.held.remove(&who);
                self.sim.release("server", host(who));
                self.sim.repair("server", host(who));
            }
            Fault::Latency { who, ms } => {
                self.sim.set_link_max_message_latency(
                    "server",
                    host(who),
                    Duration::from_millis(ms),
                );
            }
            Fault::CrashServer => {
                if self.sim.is_host_running("server") {
                    self.sim.crash("server");
                    self.clients.iter().for_each(|who| self.hear_the_last_of(*who));
                    self.stage.ledger.server_ends("crashed");
                }
            }
            Fault::RestartServer => {
                if !self.sim.is_host_running("server") {
                    self.sim.bounce("server");
                }
            }
            Fault::DrainServer => self.stage.drain.notify_one(),
            Fault::CrashClient(who) => {
                self.sim.crash(host(who));
                self.hear_the_last_of(who);
            }
            Fault::RestartClient(who) => {
                if !self.sim.is_host_running(host(who)) {
                    self.sim.bounce(host(who));
                }
            }
        }
    }

    /// Lets through what a late link does not hold back.
    fn deliver_newer(&mut self) {
        let (server, now_ms) = (self.sim.lookup("server"), self.now_ms());
        for who in self.late.keys().copied().collect::<Vec<_>>() {
            let own = self.own_link(who);
            let Some(late) = self.late.get_mut(&who) else { continue };
            let aging = now_ms < late.since_ms + OLD_MS;
            self.sim.links(|links| {
                for message in links.filter(|link| own(link.pair())).flatten() {
                    let (from, to) = message.pair();
                    let answer = from.ip() == server;
                    let port = if answer { to.port() } else { from.port() };
                    if aging {
                        late.old = late.old.max(port);
                    }
                    if (answer && late.answers) || (!aging && port > late.old) {
                        message.deliver();
                    }
                }
            });
        }
    }

    /// Lets the last messages of a process that dies arrive at once. tokio drops the tasks of a
    /// runtime in an order that depends on how many tasks the whole program has had so far, so in
    /// another run of the seed the delays would fall on other messages.
    fn hear_the_last_of(&self, who: u32) {
        if self.held.contains(&who) {
            return;
        }
        let own = self.own_link(who);
        self.sim.links(|links| {
            links.filter(|link| own(link.pair())).for_each(turmoil::LinkIter::deliver_all)
        });
    }

    /// Whether a link is this client's.
    fn own_link(&self, who: u32) -> impl Fn((IpAddr, IpAddr)) -> bool + use<> {
        let (server, client) = (self.sim.lookup("server"), self.sim.lookup(host(who)));
        move |(a, b)| (a, b) == (server, client) || (a, b) == (client, server)
    }

    /// Carries out a plan, mends everything, and judges what came of it.
    pub fn carry_out(&mut self, plan: &Plan) {
        (1..=plan.clients).for_each(|who| self.add_client(who));
        for (at_ms, fault) in &plan.faults {
            while self.now_ms() < *at_ms {
                self.step();
            }
            self.apply(*fault);
        }
        self.finish(plan.clients);
    }

    /// Mends everything, lets everybody come to an end, and judges.
    pub fn finish(&mut self, clients: u32) {
        for who in 1..=clients {
            self.apply(Fault::Heal(who));
            self.apply(Fault::RestartClient(who));
        }
        self.apply(Fault::RestartServer);
        self.stage.closing.store(true, Ordering::Release);
        let ledger = self.stage.ledger.clone();
        if !self.run_until(HEALING_MS, |_| ledger.missing().is_none()) {
            ledger.wrong(ledger.missing().unwrap_or_default());
        }
        ledger.judge();
        self.stage.ended.send_replace(true);
        if !self.run_until(HEALING_MS, |world| world.stage.load() == (0, 0)) {
            ledger.wrong(format_args!("sockets and sessions stay behind: {:?}", self.stage.load()));
        }
    }
}

impl std::fmt::Debug for World<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("seed", &self.stage.seed)
            .field("now_ms", &self.now_ms())
            .finish_non_exhaustive()
    }
}
