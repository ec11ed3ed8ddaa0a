//! Target `client`: a client whose server sends raw messages and closes as it likes, while its
//! application submits, follows and goes away. It carries out the script's steps and checks one
//! client: no command is lost or told twice, nothing that it sends breaks a rule, everything that
//! it holds is bounded.
//!
//! | Line | Step |
//! |---|---|
//! | `[…` | a message from the server; see [`Server::fill`] for `$x` |
//! | `c`, `c1` | the socket of the current dial is open, or that of the one before |
//! | `k4410`, `k` | the socket ends with a code, or without |
//! | `K500`, `K500,404` | the upgrade is refused with 503 or a status, and `Retry-After` in milliseconds |
//! | `a` | a sign of life |
//! | `t500` | milliseconds pass |
//! | `p40,900` | a command of so many body bytes, with so many milliseconds of patience |
//! | `x3` | withdraws a command |
//! | `v7` | a volatile |
//! | `u1`, `u1,9` | follows a topic, from the start or a position |
//! | `i1`, `U1` | takes an item of a subscription, ends it |
//! | `r`, `z` | dials at once, closes |
//! | `b` | the socket takes nothing, or takes again |
//! | `*2,9` | the last 2 lines again, 9 times |

use std::sync::Arc;
use std::time::Duration;

use steadfast::session::client::{
    Client, ClientConfig, Event, HttpRefusal, SubId, Submission, SubscriptionRequest,
};
use steadfast::session::{Close, Now};
use steadfast::wire::{
    Body, CloseCode, Codec, Dial, Epoch, MAX_SEQUENCE, Position, TopicSeq, Window,
};
use steadfast_rig::fixtures::{self, ORDERED, ROOM, VOLATILE, body, name};
use steadfast_rig::pump::{ClientHarness, assert_nothing_is_left, left_at_client, pump_client};

use crate::ledger::Ledger;
use crate::script::{self, number, pair, small};
use crate::server::Server;
use crate::size::size;

/// The longest that a script waits at a time, in milliseconds.
const PASS_MS: u64 = 700_000;

/// Timers that fire in one stretch of time; then the rest of it passes at once, as when a driver
/// comes late.
const FIRED: usize = 100;

/// Frames that a client has to send after one input: more than its small limits can explain.
const FRAMES: u32 = 200;

/// Bytes that the client's state goes over when it is hashed. The limits below come to about half
/// of it.
const CLIENT_BYTES: u64 = 24_000;

fn config() -> ClientConfig {
    let mut config = fixtures::client_config();
    (config.outbox_commands, config.outbox_bytes, config.subscriptions, config.volatiles) =
        (6, 300, 3, 2);
    config.volatile_bytes = 200;
    (config.backlog_calls, config.backlog_bytes) = (4, 500);
    config.window = Window { frames: 8, bytes: 500 };
    config.credit = Window { frames: 4, bytes: 450 };
    (config.sequence_errors, config.credential_refusals) = (20, 20);
    (config.backoff.attempts, config.backoff.elapsed) =
        (Some(50), Some(Duration::from_secs(10_000)));
    config
}

/// Runs one script.
pub(crate) fn run(input: &[u8]) {
    let mut attack = Attack::new();
    script::run(input, |line| attack.step(line));
    attack.client.close(attack.now);
    attack.pump();
    attack.ledger.everything_has_ended();
}

struct Attack {
    client: Client,
    now: Now,
    dial: Dial,
    blocked: bool,
    calls: u64,
    server: Server,
    ledger: Ledger,
}

impl Attack {
    fn new() -> Self {
        let client = Client::new(Arc::new(config()), [2; 32]);
        let (server, ledger) = (Server::default(), Ledger::default());
        let mut attack = Self {
            client,
            now: Now(1_000),
            dial: Dial::ZERO,
            blocked: false,
            calls: 0,
            server,
            ledger,
        };
        attack.client.start(attack.now);
        attack.pump();
        attack
    }

    fn step(&mut self, line: &[u8]) {
        let (Some(first), rest) = (line.first(), line.get(1..).unwrap_or_default()) else { return };
        let (now, here) = (self.now, number(rest));
        match first {
            b'[' | b'$' => self.message(line),
            b'c' => self.client.handle_connected(now, self.back(here), None),
            b'k' => {
                let code = u16::try_from(here).ok().filter(|code| *code > 0).map(CloseCode);
                self.client.handle_closed(now, self.dial, Close { code, reason: "".into() });
            }
            b'K' => self.client.handle_refused(now, self.dial, refusal(pair(rest))),
            b'a' => self.client.handle_alive(now, self.dial),
            b't' => self.pass(here.min(PASS_MS)),
            b'p' => self.submit(pair(rest)),
            b'x' => self.cancel(here),
            b'v' => {
                self.client.volatile(now, name(VOLATILE), here.to_string(), Body::UNIT);
            }
            b'u' => self.subscribe(rest),
            b'i' => self.take(SubId(here)),
            b'U' => self.client.unsubscribe(now, SubId(here)),
            b'r' => self.client.reconnect_now(now),
            b'z' => self.client.close(now),
            b'b' => self.blocked = !self.blocked,
            _ => return,
        }
        self.pump();
    }

    fn back(&self, by: u64) -> Dial {
        Dial(self.dial.0.saturating_sub(by))
    }

    fn message(&mut self, text: &[u8]) {
        let message = self.server.message(text);
        match Codec::Json.read_server(&message) {
            Ok(frame) => {
                self.ledger.hears(&frame);
                self.client.handle_frame(self.now, self.dial, frame, message.len());
            }
            Err(error) => {
                let close =
                    Close { code: Some(error.close_code()), reason: error.to_string().into() };
                self.client.handle_closed(self.now, self.dial, close);
            }
        }
    }

    fn submit(&mut self, (bytes, timeout_ms): (u64, u64)) {
        self.calls += 1;
        let text = format!("{{\"{}\":\"{}\"}}", self.calls, "x".repeat(small(bytes.min(400))));
        let timeout_ms = if timeout_ms == 0 { 60_000 } else { timeout_ms };
        let command = fixtures::command(ORDERED, body(text), timeout_ms);
        let submission = Submission { max_bytes: 350, ..command };
        if let Ok(call) = self.client.submit(self.now, submission) {
            self.ledger.submitted(call);
        }
    }

    fn cancel(&mut self, call: u64) {
        let call = steadfast::session::client::CallId(call);
        if self.client.cancel(self.now, call) {
            self.ledger.withdrawn(call);
        }
    }

    fn subscribe(&mut self, rest: &[u8]) {
        let (key, ts) = pair(rest);
        let from = rest
            .contains(&b',')
            .then_some(Position { epoch: Epoch(1), ts: TopicSeq(ts.min(MAX_SEQUENCE)) });
        let request =
            SubscriptionRequest { topic: name(ROOM), key: (key % 4).to_string(), from, last: None };
        if let Ok(sub) = self.client.subscribe(self.now, request)
            && let Some(from) = from
        {
            self.ledger.begins(sub, from);
        }
    }

    fn take(&mut self, sub: SubId) {
        if let Some(item) = self.client.poll_item(self.now, sub) {
            self.ledger.sees(sub, &item);
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        for _ in 0..FIRED {
            let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            self.client.handle_timeout(self.now);
            self.pump();
        }
        self.now = end;
        self.client.handle_timeout(self.now);
    }

    /// Takes what the client has to send and to tell, and looks whether everything is as it must
    /// be.
    fn pump(&mut self) {
        let pumped = pump_client(self);
        assert!(
            pumped.is_ok_and(|pumped| pumped.transmissions < FRAMES),
            "the client comes to rest"
        );
        assert_nothing_is_left(left_at_client(&mut self.client));
        let (load, config) = (self.client.load(), self.client.config());
        assert_eq!(
            load.outbox_commands + load.backlog_calls,
            self.ledger.unresolved(),
            "every command is in the outbox, or waits for room there, until it has ended"
        );
        assert!(
            load.outbox_commands <= config.outbox_commands as usize
                && load.outbox_bytes <= config.outbox_bytes as usize
                && load.backlog_calls <= config.backlog_calls as usize
                && load.backlog_bytes <= config.backlog_bytes as usize
        );
        let size = size(&self.client);
        assert!(size <= CLIENT_BYTES, "{size} bytes");
    }
}

impl ClientHarness for Attack {
    fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    fn event(&mut self, event: Event) {
        if let Some(dial) = self.ledger.happens(event) {
            self.dial = dial;
        }
    }

    fn transmit(&mut self) -> bool {
        if self.blocked {
            return false;
        }
        let Some(frame) = self.client.poll_transmit(self.now, self.dial) else { return false };
        self.ledger.says(&frame);
        self.server.hears(&frame);
        true
    }
}

fn refusal((retry_after_ms, status): (u64, u64)) -> HttpRefusal {
    let status = u16::try_from(status).ok().filter(|status| *status > 0).unwrap_or(503);
    HttpRefusal {
        status: Some(status),
        retry_after_ms: Some(retry_after_ms),
        subprotocol_changed: false,
        reason: "busy".into(),
    }
}
