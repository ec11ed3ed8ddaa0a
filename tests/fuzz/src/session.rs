//! Target `session`: both production cores, and between them a network that edits, repeats, drops,
//! cuts and invents messages. It carries out the script's steps, and checks what holds although
//! nobody can trust a byte: nothing panics, everything is bounded, no handler runs twice for one
//! command, nobody waits without being told, and an honest client is served meanwhile.
//!
//! | Line | Step |
//! |---|---|
//! | `>`, `>3` | so many messages of the client arrive |
//! | `<`, `<3` | so many messages of the server arrive |
//! | `>e7,33`, `<e7,33` | one arrives with byte 7 replaced by byte 33 |
//! | `>c7`, `<c7` | one arrives cut to 7 bytes |
//! | `>d`, `<d` | one arrives twice |
//! | `>x`, `<x` | one is lost |
//! | `>s`, `<s` | two arrive in the other order |
//! | `>[…`, `<[…` | an invented one arrives |
//! | `=` | everything arrives |
//! | `\|` | the socket is cut |
//! | `t500` | milliseconds pass |
//! | `p40,900` | a command of so many body bytes, with so many milliseconds of patience |
//! | `u`, `i1` | follows a topic, takes an item |
//! | `x1,3` | the 1st handler ends in the 3rd way |
//! | `!` | the honest client is served |
//! | `*2,9` | the last 2 lines again, 9 times |

use std::cell::OnceCell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use steadfast::session::Close;
use steadfast::session::client::{
    CallId, Client, ClientConfig, ConnectionState, Event, SubId, Submission, SubscriptionRequest,
};
use steadfast::session::node::ConnId;
use steadfast::wire::{Codec, Dial, Window};
use steadfast_rig::fixtures::{self, CONCURRENT, LOG, ORDERED, ROOM, body, name};
use steadfast_rig::pump::{ClientHarness, assert_nothing_is_left, left_at_client, pump_client};

use crate::frames::client_text;
use crate::script::{self, number, pair, small};
use crate::size::size;
use crate::world::World;

/// The longest that a script waits at a time, in milliseconds.
const PASS_MS: u64 = 100_000;

/// The longest that a caller of a script waits, in milliseconds.
const PATIENCE_MS: u64 = 60_000;

/// Messages that may be on their way in one direction.
const UNDER_WAY: usize = 64;

/// Rounds in which everything must have come to rest.
const ROUNDS: usize = 500;

/// Bytes that the client's state goes over when it is hashed.
const CLIENT_BYTES: u64 = 30_000;

fn config() -> ClientConfig {
    let mut config = fixtures::client_config();
    (config.outbox_commands, config.outbox_bytes, config.subscriptions) = (8, 500, 3);
    (config.backlog_calls, config.backlog_bytes) = (4, 300);
    config.window = Window { frames: 8, bytes: 500 };
    config.credit = Window { frames: 4, bytes: 450 };
    (config.backoff.attempts, config.backoff.elapsed) = (None, None);
    (config.sequence_errors, config.credential_refusals) = (1_000, 1_000);
    config
}

thread_local! {
    static START: OnceCell<World> = const { OnceCell::new() };
}

/// Runs one script.
pub(crate) fn run(input: &[u8]) {
    let world = START.with(|start| start.get_or_init(World::new).clone());
    let mut stage = Stage::new(world);
    script::run(input, |line| stage.step(line));
    stage.heal();
}

/// A socket, with what is under way on it.
struct Wire {
    dial: Dial,
    conn: ConnId,
    up: VecDeque<Bytes>,
    down: VecDeque<Bytes>,
}

struct Stage {
    world: World,
    client: Client,
    wire: Option<Wire>,
    submitted: BTreeSet<CallId>,
    /// Those whose caller has heard something.
    heard: BTreeSet<CallId>,
    calls: u64,
}

/// Which way a message goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Stage {
    fn new(world: World) -> Self {
        let mut client = Client::new(Arc::new(config()), [3; 32]);
        client.start(world.now);
        let (submitted, heard) = (BTreeSet::new(), BTreeSet::new());
        let mut stage = Self { world, client, wire: None, submitted, heard, calls: 0 };
        stage.pump();
        stage.deliver_all();
        stage
    }

    fn step(&mut self, line: &[u8]) {
        let (Some(first), rest) = (line.first(), line.get(1..).unwrap_or_default()) else { return };
        match first {
            b'>' => self.network(Way::Up, rest),
            b'<' => self.network(Way::Down, rest),
            b'=' => self.deliver_all(),
            b'|' => self.cut(),
            b't' => self.pass(number(rest).min(PASS_MS)),
            b'p' => self.submit(pair(rest)),
            b'u' => self.subscribe(number(rest)),
            b'i' => drop(self.client.poll_item(self.world.now, SubId(number(rest)))),
            b'x' => self.world.execute(small(pair(rest).0), pair(rest).1),
            b'!' => self.world.the_honest_client_is_served(),
            _ => return,
        }
        self.pump();
        self.is_bounded();
    }

    fn submit(&mut self, (bytes, timeout_ms): (u64, u64)) {
        self.calls += 1;
        let text = format!("{{\"{}\":\"{}\"}}", self.calls, "x".repeat(small(bytes.min(400))));
        let message = if self.calls.is_multiple_of(3) { CONCURRENT } else { ORDERED };
        let timeout_ms = if timeout_ms == 0 { PATIENCE_MS } else { timeout_ms.min(PATIENCE_MS) };
        let command = fixtures::command(message, body(text), timeout_ms);
        let submission = Submission { max_bytes: 350, ..command };
        if let Ok(call) = self.client.submit(self.world.now, submission) {
            self.submitted.insert(call);
        }
    }

    fn subscribe(&mut self, key: u64) {
        let topic = name(if key.is_multiple_of(2) { LOG } else { ROOM });
        let request =
            SubscriptionRequest { topic, key: (key % 4).to_string(), from: None, last: None };
        let _ = self.client.subscribe(self.world.now, request);
    }

    // ---- the network ----

    fn network(&mut self, way: Way, what: &[u8]) {
        let (Some(first), rest) = (what.first(), what.get(1..).unwrap_or_default()) else {
            return self.deliver(way, |message| vec![message]);
        };
        match first {
            b'0'..=b'9' => {
                for _ in 0..number(what).min(UNDER_WAY as u64) {
                    self.deliver(way, |message| vec![message]);
                }
            }
            b'e' => self.deliver(way, |message| vec![edited(&message, pair(rest))]),
            b'c' => self.deliver(way, |message| {
                vec![message.slice(..small(number(rest)) % (message.len() + 1))]
            }),
            b'd' => self.deliver(way, |message| vec![message.clone(), message]),
            b'x' => self.deliver(way, |_| Vec::new()),
            b's' => {
                if let Some(queue) = self.queue(way).filter(|queue| queue.len() > 1) {
                    queue.swap(0, 1);
                }
                self.deliver(way, |message| vec![message]);
                self.deliver(way, |message| vec![message]);
            }
            b'[' => self.arrive(way, &Bytes::copy_from_slice(what)),
            _ => {}
        }
    }

    fn queue(&mut self, way: Way) -> Option<&mut VecDeque<Bytes>> {
        let wire = self.wire.as_mut()?;
        Some(if way == Way::Up { &mut wire.up } else { &mut wire.down })
    }

    fn deliver(&mut self, way: Way, change: impl FnOnce(Bytes) -> Vec<Bytes>) {
        let Some(message) = self.queue(way).and_then(VecDeque::pop_front) else { return };
        for message in change(message) {
            self.arrive(way, &message);
        }
        self.pump();
    }

    fn arrive(&mut self, way: Way, message: &Bytes) {
        let Some(wire) = &self.wire else { return };
        let (dial, conn) = (wire.dial, wire.conn);
        let broken = match way {
            Way::Up => self.world.message(conn, message).err(),
            Way::Down => match Codec::Json.read_server(message) {
                Ok(frame) => {
                    self.client.handle_frame(self.world.now, dial, frame, message.len());
                    None
                }
                Err(error) => {
                    Some(Close { code: Some(error.close_code()), reason: "not a frame".into() })
                }
            },
        };
        if let Some(close) = broken {
            self.end(close);
        }
    }

    fn deliver_all(&mut self) {
        for _ in 0..ROUNDS {
            let (before, way) = match &self.wire {
                Some(wire) if !wire.up.is_empty() => (wire.up.len(), Way::Up),
                Some(wire) if !wire.down.is_empty() => (wire.down.len(), Way::Down),
                _ => return,
            };
            (0..before).for_each(|_| self.deliver(way, |message| vec![message]));
        }
        assert!(self.wire.is_none(), "both ends come to rest");
    }

    fn cut(&mut self) {
        if let Some(wire) = &self.wire {
            self.world.node.handle_disconnected(self.world.now, wire.conn, Close::lost("cut"));
            self.end(Close::lost("cut"));
        }
    }

    /// The socket ends at both ends, as with this close. The close of somebody who mistrusts the
    /// bytes stops neither end for good here, so that there is more to be seen.
    fn end(&mut self, close: Close) {
        if let Some(wire) = self.wire.take() {
            self.world.stuck.remove(&wire.conn);
            self.world.node.handle_disconnected(self.world.now, wire.conn, Close::lost("ended"));
            let stops = close.reaction() == steadfast::session::Reaction::Stop;
            let close = if stops { Close::lost("not a frame") } else { close };
            self.client.handle_closed(self.world.now, wire.dial, close);
        }
    }

    // ---- carrying ----

    fn pump(&mut self) {
        let rests = (0..ROUNDS).any(|_| !self.carry());
        assert!(rests, "both ends come to rest");
        assert_nothing_is_left(left_at_client(&mut self.client));
    }

    fn carry(&mut self) -> bool {
        self.world.pump();
        let mut moved = false;
        while let Some((conn, message)) = self.world.sent.pop_front() {
            moved = true;
            if let Some(wire) = self.wire.as_mut().filter(|wire| wire.conn == conn) {
                wire.down.push_back(message);
            }
        }
        for (conn, close) in std::mem::take(&mut self.world.closed) {
            moved = true;
            if self.wire.as_ref().is_some_and(|wire| wire.conn == conn) {
                self.end(close);
            }
        }
        moved | pump_client(self).expect("the client comes to rest").moved()
    }

    fn pass(&mut self, ms: u64) {
        let end = self.world.now.after_ms(ms);
        for _ in 0..100 {
            let next = self.client.poll_timeout().filter(|at| *at <= end);
            let until = next.unwrap_or(end).max(self.world.now);
            self.world.pass(until.since(self.world.now));
            self.client.handle_timeout(self.world.now);
            self.pump();
            if next.is_none() {
                return;
            }
        }
    }

    // ---- what must hold ----

    fn is_bounded(&self) {
        let (load, config) = (self.client.load(), self.client.config());
        assert!(
            load.outbox_commands <= config.outbox_commands as usize
                && load.outbox_bytes <= config.outbox_bytes as usize
                && load.backlog_calls <= config.backlog_calls as usize
                && load.backlog_bytes <= config.backlog_bytes as usize
        );
        let size = size(&self.client);
        assert!(size <= CLIENT_BYTES, "{size} bytes");
        self.world.is_bounded();
    }

    /// The network carries everything again: whoever waits hears something, and the client beside
    /// is served.
    fn heal(&mut self) {
        self.world.hooks_by_hand = false;
        for _ in 0..8 {
            self.deliver_all();
            self.pass(PATIENCE_MS / 4);
        }
        let silent: Vec<_> = self.submitted.difference(&self.heard).collect();
        assert!(
            silent.is_empty(),
            "nobody told the callers of {silent:?}: {:?}",
            self.client.state()
        );
        let mut ran = std::mem::take(&mut self.world.ran);
        let all = ran.len();
        ran.sort_unstable();
        ran.dedup();
        assert_eq!(ran.len(), all, "no handler runs twice for one command");
        if !matches!(self.client.state(), ConnectionState::Failed { .. } | ConnectionState::Closed)
        {
            assert!(self.client.poll_timeout().is_some(), "something would wake the client");
        }
        self.world.the_honest_client_is_served();
        self.is_bounded();
    }
}

impl ClientHarness for Stage {
    fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    fn event(&mut self, event: Event) {
        let now = self.world.now;
        match event {
            Event::Dial { dial, .. } => {
                if let Some(wire) = self.wire.take() {
                    self.world.node.handle_disconnected(now, wire.conn, Close::lost("abandoned"));
                }
                let conn = self.world.connect();
                self.wire = Some(Wire { dial, conn, up: VecDeque::new(), down: VecDeque::new() });
                self.client.handle_connected(now, dial, None);
            }
            Event::CloseSocket { dial, close } => {
                if let Some(wire) = self.wire.take_if(|wire| wire.dial == dial) {
                    self.world.node.handle_disconnected(now, wire.conn, close);
                }
            }
            Event::Resolved { call, .. } | Event::TimedOut { call } => {
                assert!(self.submitted.contains(&call), "{call:?} was submitted");
                self.heard.insert(call);
            }
            _ => {}
        }
    }

    /// A socket takes no more than it holds, at either end.
    fn transmit(&mut self) -> bool {
        let mut moved = false;
        while let Some(wire) = self.wire.as_mut().filter(|wire| wire.up.len() < UNDER_WAY)
            && let Some(frame) = self.client.poll_transmit(self.world.now, wire.dial)
        {
            moved = true;
            wire.up.push_back(client_text(Codec::Json, &frame));
        }
        if let Some(wire) = &self.wire {
            let full = wire.down.len() >= UNDER_WAY;
            if full && self.world.stuck.insert(wire.conn) {
            } else if !full && self.world.stuck.remove(&wire.conn) {
                moved = true;
                self.world.read(wire.conn);
            }
        }
        moved
    }
}

/// The message with one byte replaced.
fn edited(message: &Bytes, (at, byte): (u64, u64)) -> Bytes {
    let mut bytes = message.to_vec();
    if !bytes.is_empty() {
        let at = small(at) % bytes.len();
        bytes[at] = u8::try_from(byte).unwrap_or(b'0');
    }
    bytes.into()
}
