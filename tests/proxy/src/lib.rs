//! A TCP proxy that misbehaves on command: the network of the end-to-end tests and of the
//! examples' demos.
//!
//! It listens on 127.0.0.1 in front of a server and forwards bytes. It knows nothing of WebSocket,
//! except where the head of the upgrade ends ([`Plan`]). A *link* is one accepted connection
//! together with the connection that the proxy made to the server for it. Orders act on the links
//! that are open at that moment; rules (stall, slow, delay, refuse) act on all links until they are
//! taken back.
//!
//! Its tasks end with it: dropping the [`Proxy`] closes every link and the listener.

#![allow(clippy::disallowed_methods, reason = "a proxy makes tasks and waits; that is its work")]

mod allowance;
mod faults;
mod link;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use allowance::Allowance;
pub use faults::{Fault, calm};
use link::{Order, reset};

/// Which way bytes travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// One end of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The connection that the proxy accepted.
    Client,
    /// The connection that the proxy made.
    Server,
}

/// What will happen to a link that does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing.
    Leave,
    /// After the head of the upgrade (up to its empty line) so many bytes may pass one way. The
    /// next byte cuts the link.
    CutAfter {
        /// Which way is counted.
        way: Way,
        /// How many bytes pass.
        bytes: u64,
    },
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Links ever accepted.
    pub accepted: u64,
    /// Connections turned away.
    pub refused: u64,
    /// Links that have ended, whoever ended them.
    pub ended: u64,
    /// Bytes forwarded from clients to the server.
    pub up: u64,
    /// Bytes forwarded from the server to clients.
    pub down: u64,
}

/// What is done to the bytes of every link.
#[derive(Debug, Clone, Copy, Default)]
struct Rules {
    refuse: bool,
    stall_up: bool,
    stall_down: bool,
    bytes_per_second: Option<u32>,
    delay: Duration,
}

struct Shared {
    target: Mutex<SocketAddr>,
    rules: watch::Sender<Rules>,
    counts: watch::Sender<Counts>,
    links: Mutex<Links>,
}

#[derive(Default)]
struct Links {
    next: u64,
    open: BTreeMap<u64, mpsc::UnboundedSender<Order>>,
    plans: VecDeque<Plan>,
}

/// The proxy; see the crate's documentation.
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accept: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `target`.
    ///
    /// # Errors
    /// Those of binding the listener.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            rules: watch::Sender::new(Rules::default()),
            counts: watch::Sender::new(Counts::default()),
            links: Mutex::new(Links::default()),
        });
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, accept })
    }

    /// Where clients dial.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The same as a WebSocket URL; `path` begins with `/`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.addr)
    }

    /// Sends later links to another server; open ones stay where they are.
    pub fn retarget(&self, target: SocketAddr) {
        *lock(&self.shared.target) = target;
    }

    /// Closes every open link on both sides; bytes on their way are lost. Returns how many links
    /// there were.
    pub fn cut_all(&self) -> usize {
        self.order_all(Order::Cut)
    }

    /// Closes the link that was accepted last; `false` if none is open.
    pub fn cut_newest(&self) -> bool {
        self.order_newest(Order::Cut)
    }

    /// Ends every open link with a TCP reset on both sides. Returns how many there were.
    pub fn reset_all(&self) -> usize {
        self.order_all(Order::Reset)
    }

    /// Closes one side of the newest link; the other stays open and silent until it is cut. `false`
    /// if none is open.
    pub fn half_open(&self, closed: Side) -> bool {
        self.order_newest(Order::Close(closed))
    }

    /// Lets so many more bytes pass one way on the newest link; the next byte cuts it. `false` if
    /// none is open.
    pub fn cut_after(&self, way: Way, bytes: u64) -> bool {
        self.order_newest(Order::CutAfter(way, bytes))
    }

    /// Plans what will happen to a link that does not exist yet. Each new link takes one plan, in
    /// order.
    pub fn plan(&self, plan: Plan) {
        lock(&self.shared.links).plans.push_back(plan);
    }

    /// Cuts each of the next `links` links when the server's first frame comes: the server has sent
    /// WELCOME, and the client never sees it.
    pub fn lose_welcomes(&self, links: usize) {
        for _ in 0..links {
            self.plan(Plan::CutAfter { way: Way::Down, bytes: 0 });
        }
    }

    /// Holds bytes back one way, on all present and future links; none is lost.
    pub fn stall(&self, way: Way) {
        self.shared.rules.send_modify(|rules| match way {
            Way::Up => rules.stall_up = true,
            Way::Down => rules.stall_down = true,
        });
    }

    /// Holds bytes back both ways.
    pub fn stall_both(&self) {
        self.stall(Way::Up);
        self.stall(Way::Down);
    }

    /// Lets the held bytes go.
    pub fn resume(&self) {
        self.shared.rules.send_modify(|rules| (rules.stall_up, rules.stall_down) = (false, false));
    }

    /// Limits each way of each link; `None` takes the limit away.
    pub fn slow(&self, bytes_per_second: Option<u32>) {
        self.shared.rules.send_modify(|rules| rules.bytes_per_second = bytes_per_second);
    }

    /// Holds each chunk (up to 16 KiB) back for so long; the next one waits behind it.
    pub fn delay(&self, delay: Duration) {
        self.shared.rules.send_modify(|rules| rules.delay = delay);
    }

    /// Turns new connections away with a reset; open links stay.
    pub fn refuse(&self, refuse: bool) {
        self.shared.rules.send_modify(|rules| rules.refuse = refuse);
    }

    /// How many links are open.
    #[must_use]
    pub fn open(&self) -> usize {
        lock(&self.shared.links).open.len()
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until the counts are as wanted. It has no deadline of its own, and the future may be
    /// dropped at any time.
    pub async fn until(&self, wanted: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.shared.counts.subscribe();
        let found = counts.wait_for(wanted).await.expect("the sender is in `self`");
        *found
    }

    fn order_all(&self, order: Order) -> usize {
        let links = lock(&self.shared.links);
        links.open.values().filter(|link| link.send(order).is_ok()).count()
    }

    fn order_newest(&self, order: Order) -> bool {
        let links = lock(&self.shared.links);
        links.open.values().next_back().is_some_and(|link| link.send(order).is_ok())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

/// Accepts connections. The links' tasks end together with this one.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    if shared.rules.borrow().refuse {
                        reset(client);
                        shared.counts.send_modify(|counts| counts.refused += 1);
                    } else {
                        links.spawn(open(client, Arc::clone(&shared)));
                    }
                }
            }
            Some(_) = links.join_next() => {}
        }
    }
}

/// Puts the link on the list before its other half is made, so that no order can miss it.
async fn open(client: TcpStream, shared: Arc<Shared>) {
    let (sender, orders) = mpsc::unbounded_channel();
    let (number, plan) = {
        let mut links = lock(&shared.links);
        let number = links.next;
        links.next += 1;
        links.open.insert(number, sender);
        (number, links.plans.pop_front().unwrap_or(Plan::Leave))
    };
    let _entry = Entry { number, shared: &shared };
    shared.counts.send_modify(|counts| counts.accepted += 1);
    let target = *lock(&shared.target);
    match TcpStream::connect(target).await {
        Ok(server) => link::run(client, server, orders, Allowance::both(plan), &shared).await,
        Err(_) => reset(client),
    }
}

/// Takes a link off the list when it ends, even by an abort.
struct Entry<'a> {
    number: u64,
    shared: &'a Shared,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        lock(&self.shared.links).open.remove(&self.number);
        self.shared.counts.send_modify(|counts| counts.ended += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
