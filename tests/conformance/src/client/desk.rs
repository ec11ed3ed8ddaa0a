//! What a server knows of one client, and what every frame of it must keep, whatever a case is
//! about. It keeps the books of sessions, lease, commands and subscriptions, and answers nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::case::{Step, Stop, ensure};
use crate::frame::{Frame, is_id, kind, random_id};

/// What a server knows of one client.
#[derive(Debug)]
pub(super) struct Desk {
    instance: Option<String>,
    /// The instances of its earlier processes (5.26).
    ended: BTreeSet<String>,
    dial: u64,
    pub(super) session: Option<Session>,
    pub(super) lease: String,
    issued: bool,
    /// Name and body of every command, by `n`.
    commands: BTreeMap<u64, (String, String)>,
    resolved: BTreeSet<u64>,
    low: u64,
    attachment: Attachment,
}

/// The session of the last WELCOME.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) token: String,
    generation: u64,
    /// The highest `seq` that was sent, that was received, and that the client acknowledged.
    pub(super) sent: u64,
    pub(super) recv: u64,
    acked: u64,
    /// Name, body and `n` of what was received, by `seq`.
    received: BTreeMap<u64, (u64, String, String)>,
}

/// What belongs to the present socket alone.
#[derive(Debug, Default)]
struct Attachment {
    frame_bytes: usize,
    window: (u64, u64),
    span: u64,
    /// Up to here a resume sends again, without regard to the window.
    replay_to: u64,
    /// Bytes of commands that this end has not acknowledged, by `seq`.
    unacked: BTreeMap<u64, u64>,
    subs: BTreeSet<u64>,
    /// Events of each number: the highest `ts` and the bytes that were sent.
    sent: BTreeMap<u64, (u64, u64)>,
    pings: BTreeSet<u64>,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            instance: None,
            ended: BTreeSet::new(),
            dial: 0,
            session: None,
            lease: random_id(),
            issued: false,
            commands: BTreeMap::new(),
            resolved: BTreeSet::new(),
            low: 1,
            attachment: Attachment::default(),
        }
    }

    /// Notes that the client's process has ended without a word. The next one has what was saved.
    pub(super) fn process_ended(&mut self) {
        self.ended.extend(self.instance.take());
        (self.dial, self.session) = (0, None);
    }

    /// Checks a HELLO: its form, and what it must say after all that came before (4.1, 4.7, 4.9,
    /// 5.1).
    pub(super) fn hello(&mut self, frame: &Frame) -> Step {
        let body = frame.body();
        ensure!("4.1", frame.kind == kind::HELLO, "the first frame is no HELLO: {}", frame.text);
        ensure!(
            "4.1",
            body["v"] == 1 && body["protocol"] == "conformance",
            "v and protocol: {body}"
        );
        ensure!("4.1", body["version"].is_string(), "`version` is no string: {body}");
        for path in ["/window/frames", "/window/bytes", "/dial"] {
            frame.member("4.1", path)?;
        }
        let instance = frame.text_member("4.9", "/instance")?;
        ensure!(
            "1.5",
            is_id(&instance, 32),
            "`instance` is not 32 lower-case hexadecimal digits: {instance}"
        );
        let was_another = self.ended.contains(&instance);
        ensure!("5.26", !was_another, "the instance of an earlier process: {instance}");
        let known = self.instance.get_or_insert_with(|| instance.clone());
        ensure!("4.9", *known == instance, "the instance changed from {known} to {instance}");
        let dial = frame.member("4.9", "/dial")?;
        ensure!("4.9", dial > self.dial, "dial {dial} after {}", self.dial);
        self.dial = dial;
        self.claim(frame, &body)?;
        self.resume(&body)
    }

    fn claim(&self, frame: &Frame, body: &Value) -> Step {
        let clause = if self.ended.is_empty() { "5.1" } else { "5.26" };
        if body["lease"].is_null() {
            ensure!(clause, !self.issued, "the lease was not named again: {body}");
            return Ok(());
        }
        let (low, next) = (frame.member("4.1", "/lease/low")?, frame.member("4.1", "/lease/next")?);
        ensure!(
            clause,
            self.issued && body["lease"]["id"] == self.lease.as_str(),
            "another lease was named: {body}"
        );
        let sent = self.commands.last_key_value().map_or(0, |(n, _)| *n);
        // What was on its way when the socket broke counts as sent.
        ensure!("4.1", next > sent, "`next` is {next} after n {sent}");
        self.check_low(low)
    }

    fn resume(&self, body: &Value) -> Step {
        let resume = &body["resume"];
        if resume.is_null() {
            return Ok(());
        }
        let clause = if self.ended.is_empty() { "4.10" } else { "5.26" };
        let Some(session) = self.session.as_ref() else {
            return Err(Stop::broken(clause, format!("a resume in a first HELLO: {body}")));
        };
        ensure!(
            "4.7",
            resume["session"] == session.id.as_str(),
            "another session is to be resumed: {resume}"
        );
        ensure!(
            "4.8",
            resume["token"] == session.token.as_str(),
            "not the token of the last WELCOME: {resume}"
        );
        let recv = resume["recv"].as_u64().unwrap_or(u64::MAX);
        let fits = recv <= session.sent && recv >= session.acked;
        ensure!(
            "4.7",
            fits,
            "recv {recv}: {} were sent, {} acknowledged",
            session.sent,
            session.acked
        );
        Ok(())
    }

    /// Makes a WELCOME that resumes the session, or begins a new one. Members of `changes` replace
    /// its own.
    pub(super) fn welcome(&mut self, resumed: bool, new_lease: bool, changes: &Value) -> Value {
        let state = if new_lease || !self.issued { "new" } else { "ok" };
        if new_lease {
            self.lease = random_id();
            self.commands.clear();
            self.resolved.clear();
            self.low = 1;
        }
        self.issued = true;
        let mut session = self.session.take().filter(|_| resumed).unwrap_or_else(|| Session {
            id: random_id(),
            token: String::new(),
            generation: 0,
            sent: 0,
            recv: 0,
            acked: 0,
            received: BTreeMap::new(),
        });
        session.token = random_id();
        session.generation += 1;
        let mut welcome = json!({
            "session": session.id, "token": session.token, "gen": session.generation,
            "resumed": resumed, "recv": session.recv, "ttl_ms": 60_000, "frame_bytes": 65_536,
            "window": { "frames": 64, "bytes": 65_536 },
            "lease": { "id": self.lease, "state": state, "span": 64, "ttl_ms": 600_000 },
            "heartbeat": { "interval_ms": 30_000, "timeout_ms": 10_000, "missed": 3 },
        });
        merge(&mut welcome, changes);
        if welcome["lease"].is_null() {
            self.issued = false;
            welcome["lease"] = json!({ "id": self.lease });
        }
        let told = |path: &str| {
            welcome.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        (session.id, session.token, self.lease) =
            (told("/session"), told("/token"), told("/lease/id"));
        let number = |path: &str| welcome.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        self.attachment = Attachment {
            frame_bytes: usize::try_from(number("/frame_bytes")).unwrap_or(usize::MAX),
            window: (number("/window/frames"), number("/window/bytes")),
            span: number("/lease/span"),
            replay_to: session.received.last_key_value().map_or(0, |(seq, _)| *seq),
            ..Attachment::default()
        };
        // What the client is told was not received will come again.
        session.recv = number("/recv");
        self.session = Some(session);
        if !self.issued {
            welcome["lease"] = Value::Null;
        }
        welcome
    }

    /// Makes the LEASE of a client that had none.
    pub(super) fn grant(&mut self) -> Value {
        self.issued = true;
        self.attachment.span = 64;
        json!({ "id": self.lease, "state": "new", "span": 64, "ttl_ms": 600_000 })
    }

    /// Checks a frame after WELCOME.
    pub(super) fn frame(&mut self, frame: &Frame) -> Step {
        let limit = self.attachment.frame_bytes;
        ensure!("2.3", frame.bytes <= limit, "{} bytes, and {limit} are allowed", frame.bytes);
        match frame.kind {
            kind::ACK => {
                self.ack(frame.number(0))?;
                self.check_low(frame.number(1))
            }
            kind::COMMAND | kind::COMMAND_WITH_DEADLINE => self.command(frame),
            kind::SUBSCRIBE => self.subscribe(frame),
            kind::POSITION => {
                let Some((ts, bytes)) = self.attachment.sent.get(&frame.number(0)) else {
                    return Ok(());
                };
                ensure!("7.8", frame.number(1) <= *ts, "a position beyond ts {ts}: {}", frame.text);
                ensure!(
                    "7.8",
                    frame.number(2) <= *bytes,
                    "more than the {bytes} bytes that were sent: {}",
                    frame.text
                );
                Ok(())
            }
            kind::PONG => {
                let asked = self.attachment.pings.remove(&frame.number(0));
                ensure!("9.2", asked, "a PONG that nobody asked for: {}", frame.text);
                Ok(())
            }
            kind::HELLO => Err(Stop::broken("4.1", "a second HELLO")),
            _ => Ok(()),
        }
    }

    fn ack(&mut self, ack: u64) -> Step {
        let Some(session) = &mut self.session else { return Ok(()) };
        ensure!("4.4", ack <= session.sent, "ack {ack}, and only {} were sent", session.sent);
        session.acked = session.acked.max(ack);
        Ok(())
    }

    fn check_low(&self, low: u64) -> Step {
        let unresolved = (1..low).find(|n| !self.resolved.contains(n));
        ensure!(
            "5.4",
            unresolved.is_none(),
            "low {low} passes n {unresolved:?}, which is not resolved"
        );
        ensure!("1.6", low > 0, "the first `n` is 1, and low is 0");
        Ok(())
    }

    fn command(&mut self, frame: &Frame) -> Step {
        let (seq, n, back) = (frame.number(0), frame.number(2), frame.number(3));
        let name = frame.string(if frame.kind == kind::COMMAND { 4 } else { 5 });
        let body = frame.body_text().to_owned();
        self.ack(frame.number(1))?;
        let Some(session) = &mut self.session else {
            return Err(Stop::broken("4.1", "a command without a session"));
        };
        ensure!("5.23", self.issued, "a command without a lease: {}", frame.text);
        ensure!("4.2", seq == session.recv + 1, "seq {seq} after {}", session.recv);
        session.recv = seq;
        let this = (n, name.clone(), body.clone());
        if let Some(before) = session.received.get(&seq) {
            ensure!("4.7", *before == this, "seq {seq} was {before:?}, and came again as {this:?}");
        }
        session.received.insert(seq, this);
        ensure!("3.7", back <= n, "back {back} is beyond n {n}");
        // `low` is above a command that is sent again although it was resolved meanwhile, and
        // `back` can't express that.
        if !self.resolved.contains(&n) {
            ensure!("5.3", back < self.attachment.span, "n {n} is {back} ahead of low");
        }
        self.check_low(n.saturating_sub(back))?;
        let next = self.commands.last_key_value().map_or(1, |(n, _)| n + 1);
        ensure!("5.2", n <= next && n > 0, "n {n} where the next is {next}");
        let before = self.commands.entry(n).or_insert_with(|| (name.clone(), body.clone()));
        ensure!(
            "5.8",
            *before == (name, body),
            "n {n} was used again with other bytes: {}",
            frame.text
        );
        let bytes = frame.window_bytes();
        let Attachment { unacked, window, replay_to, .. } = &mut self.attachment;
        if seq > *replay_to {
            let under_way: u64 = unacked.values().sum();
            let fits = (unacked.len() as u64) < window.0 && under_way + bytes <= window.1;
            ensure!(
                "4.6",
                fits || unacked.is_empty(),
                "seq {seq} is beyond a window of {window:?}"
            );
        }
        unacked.insert(seq, bytes);
        Ok(())
    }

    /// Notes that this end has acknowledged, in whatever frame.
    pub(super) fn acknowledged(&mut self, ack: u64) {
        self.attachment.unacked.retain(|seq, _| *seq > ack);
    }

    /// Notes that this end has answered a command for good.
    pub(super) fn resolve(&mut self, n: u64) {
        self.resolved.insert(n);
    }

    fn subscribe(&mut self, frame: &Frame) -> Step {
        let sub = frame.member("7.2", "/sub")?;
        for path in ["/topic", "/key"] {
            frame.text_member("7.2", path)?;
        }
        for path in ["/credit/events", "/credit/bytes"] {
            frame.member("7.2", path)?;
        }
        let new = self.attachment.subs.insert(sub);
        ensure!("7.3", new, "sub {sub} was used twice on one attachment");
        let from = &frame.body()["from"];
        let last = &frame.body()["last"];
        ensure!(
            "7.25",
            last.is_null() || last.is_u64() && from.is_null(),
            "the last {last} events, from {from}"
        );
        ensure!(
            "7.2",
            from.is_null() || from["epoch"].is_string() && from["ts"].is_u64(),
            "from: {from}"
        );
        Ok(())
    }

    /// Notes that this end has sent an EVENT or a SNAPSHOT.
    pub(super) fn sent(&mut self, number: u64, ts: u64, bytes: u64) {
        let sent = self.attachment.sent.entry(number).or_default();
        *sent = (sent.0.max(ts), sent.1 + bytes);
    }

    /// Notes that this end has given another number to a subscription, whose bytes count on.
    pub(super) fn renumbered(&mut self, earlier: u64, number: u64) {
        if let Some(sent) = self.attachment.sent.remove(&earlier) {
            self.attachment.sent.insert(number, sent);
        }
    }

    /// Notes that this end has sent a PING.
    pub(super) fn pinged(&mut self, k: u64) {
        self.attachment.pings.insert(k);
    }

    /// The next `seq` of this end, and what it acknowledges.
    pub(super) fn number(&mut self) -> (u64, u64) {
        self.session.as_mut().map_or((0, 0), |session| {
            session.sent += 1;
            (session.sent, session.recv)
        })
    }
}

/// Replaces members of an object, deeply.
fn merge(into: &mut Value, changes: &Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (name, change) in changes {
                merge(into.entry(name).or_insert(Value::Null), change);
            }
        }
        (into, change) => *into = change.clone(),
    }
}
