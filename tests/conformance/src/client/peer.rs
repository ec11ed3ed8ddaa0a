//! A server's end of one attachment, driven step by step. It numbers what it sends and checks what
//! arrives, but does nothing by itself; it does not even acknowledge.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::desk::Desk;
use crate::case::{Step, ensure};
use crate::frame::{Frame, Sender, kind};
use crate::line::Line;
use crate::socket::Socket;

/// How long to wait for what must not come, where there is nothing else to wait for.
const MOMENT: Duration = Duration::from_millis(40);

/// An attachment, or what is about to be one.
pub(crate) struct Peer {
    pub(crate) line: Line,
    /// HELLO's object.
    pub(crate) hello: Value,
    desk: Arc<Mutex<Desk>>,
    pings: u64,
}

impl Peer {
    /// Waits for HELLO.
    pub(super) async fn greeted(socket: Socket, desk: Arc<Mutex<Desk>>) -> Step<Self> {
        let line = Line::new(socket, Sender::Client);
        let mut peer = Self { line, hello: Value::Null, desk, pings: 0 };
        let hello = peer.line.read("4.1", "HELLO").await?;
        peer.desk().hello(&hello)?;
        peer.hello = hello.body();
        Ok(peer)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        open(&self.desk)
    }

    /// Whether HELLO asks for the session to go on.
    pub(crate) fn wants_resume(&self) -> bool {
        !self.hello["resume"].is_null()
    }

    /// The next frame that fits. Others are kept for later.
    pub(crate) async fn take(
        &mut self,
        clause: &'static str,
        what: &str,
        fits: impl Fn(&Frame) -> bool + Send,
    ) -> Step<Frame> {
        let Self { line, desk, .. } = self;
        line.take(|frame| open(desk).frame(frame), clause, what, fits).await
    }

    pub(crate) async fn take_kind(
        &mut self,
        clause: &'static str,
        what: &str,
        kind: u64,
    ) -> Step<Frame> {
        self.take(clause, what, |frame| frame.kind == kind).await
    }

    pub(crate) fn has(&self, fits: impl Fn(&Frame) -> bool) -> bool {
        self.line.has(fits)
    }

    /// The next COMMAND, of either kind.
    pub(crate) async fn command(&mut self, clause: &'static str) -> Step<Frame> {
        self.take(clause, "COMMAND", is_command).await
    }

    /// The next COMMAND, which must have this `n`.
    pub(crate) async fn command_no(&mut self, clause: &'static str, n: u64) -> Step<Frame> {
        let frame = self.command(clause).await?;
        ensure!(clause, frame.number(2) == n, "not n {n}: {}", frame.text);
        Ok(frame)
    }

    /// Checks that the client closes with this code. What comes before is checked and dropped.
    pub(crate) async fn closes_with(&mut self, clause: &'static str, wanted: u16) -> Step {
        let Self { line, desk, .. } = self;
        line.closes_with(|frame| open(desk).frame(frame), clause, wanted).await
    }

    /// Checks that the attachment is alive and well: it answers a PING.
    pub(crate) async fn is_alive(&mut self, clause: &'static str) -> Step {
        self.pings += 1;
        let k = self.pings;
        self.ping(k).await;
        self.take(clause, "PONG", |frame| frame.kind == kind::PONG && frame.number(0) == k)
            .await
            .map(drop)
    }

    pub(crate) async fn ping(&mut self, k: u64) {
        self.desk().pinged(k);
        self.say(json!([kind::PING, k])).await;
    }

    /// Checks everything that the client has to say for now.
    pub(crate) async fn settle(&mut self, clause: &'static str) -> Step {
        self.is_alive(clause).await?;
        self.listen(clause, MOMENT).await?;
        self.is_alive(clause).await
    }

    /// Checks what comes within a moment, whether the client is attached or not.
    pub(crate) async fn listen(&mut self, clause: &'static str, moment: Duration) -> Step {
        let Self { line, desk, .. } = self;
        line.listen(|frame| open(desk).frame(frame), clause, moment).await
    }

    /// Sends a frame as it is.
    pub(crate) async fn say(&mut self, frame: Value) {
        self.line.say(frame).await;
    }

    /// Sends WELCOME, with which the session goes on if HELLO asks for that. Members of `changes`
    /// replace its own.
    pub(crate) async fn welcome(&mut self, changes: Value) {
        let resumed = self.wants_resume() && self.desk().session.is_some();
        let welcome = self.desk().welcome(resumed, false, &changes);
        self.say(json!([kind::WELCOME, welcome])).await;
    }

    /// Sends LEASE to a client that has none.
    pub(crate) async fn grant(&mut self) {
        let lease = self.desk().grant();
        self.say(json!([kind::LEASE, lease])).await;
    }

    /// Sends WELCOME with a new session, and with a new lease if so wanted. RESUME_FAILED comes
    /// first if HELLO asks for a resume.
    pub(crate) async fn welcome_anew(&mut self, new_lease: bool) {
        if self.wants_resume() {
            self.say(json!([kind::RESUME_FAILED, { "reason": "unknown" }])).await;
        }
        let welcome = self.desk().welcome(false, new_lease, &json!({}));
        self.say(json!([kind::WELCOME, welcome])).await;
    }

    /// Acknowledges everything.
    pub(crate) async fn ack(&mut self) {
        let recv = self.recv();
        self.desk().acknowledged(recv);
        self.say(json!([kind::ACK, recv])).await;
    }

    /// The highest `seq` received.
    pub(crate) fn recv(&self) -> u64 {
        self.desk().session.as_ref().map_or(0, |session| session.recv)
    }

    fn numbered(&mut self) -> (u64, u64) {
        let (seq, ack) = self.desk().number();
        self.desk().acknowledged(ack);
        (seq, ack)
    }

    pub(crate) async fn result(&mut self, n: u64, body: Value) {
        let (seq, ack) = self.numbered();
        self.desk().resolve(n);
        self.say(json!([kind::RESULT, seq, ack, n, 0, body])).await;
    }

    pub(crate) async fn failed(&mut self, n: u64, code: &str, name: &str, body: Value) {
        let (seq, ack) = self.numbered();
        self.desk().resolve(n);
        self.say(json!([kind::FAILED, seq, ack, n, 0, code, name, body])).await;
    }

    /// Sends a direct message.
    pub(crate) async fn direct(&mut self, text: &str) {
        let (seq, ack) = self.numbered();
        self.say(json!([kind::DIRECT, seq, ack, "told", { "text": text }])).await;
    }

    /// Sends REFUSED. With a retry code the command is not resolved.
    pub(crate) async fn refused(&mut self, n: u64, code: &str, retry_ms: u64) {
        let (seq, ack) = self.numbered();
        if !["draining", "overload", "rate_limited"].contains(&code) {
            self.desk().resolve(n);
        }
        self.say(json!([kind::REFUSED, seq, ack, n, code, retry_ms])).await;
    }

    /// The next SUBSCRIBE's object.
    pub(crate) async fn subscribe(&mut self, clause: &'static str) -> Step<Value> {
        Ok(self.take_kind(clause, "SUBSCRIBE", kind::SUBSCRIBE).await?.body())
    }

    pub(crate) async fn subscribed(
        &mut self,
        sub: &Value,
        number: u64,
        at: (&str, u64),
        reset: Option<&str>,
    ) {
        let snapshot = sub["topic"] == "list" && reset.is_some();
        let mut answer = json!({
            "sub": sub["sub"], "number": number, "epoch": at.0, "ts": at.1, "head": at.1,
            "snapshot": snapshot,
        });
        if let Some(reset) = reset {
            answer["reset"] = json!(reset);
        }
        self.say(json!([kind::SUBSCRIBED, answer])).await;
    }

    /// Lets the client follow an empty log, under the number 7.
    pub(crate) async fn accept_log(&mut self) -> Step<Value> {
        let sub = self.subscribe("7.2").await?;
        self.subscribed(&sub, 7, (EPOCH, 0), Some("initial")).await;
        Ok(sub)
    }

    /// Lets the client follow an empty list, likewise.
    pub(crate) async fn accept_list(&mut self) -> Step<Value> {
        let sub = self.subscribe("7.2").await?;
        self.subscribed(&sub, 7, (EPOCH, 0), Some("initial")).await;
        self.snapshot(7, 0, &[]).await;
        Ok(sub)
    }

    /// Sends an EVENT of a log or a list. Returns its length in bytes.
    pub(crate) async fn event(&mut self, number: u64, ts: u64, text: &str) -> u64 {
        self.named_event(number, ts, "logged", text).await
    }

    pub(crate) async fn named_event(
        &mut self,
        number: u64,
        ts: u64,
        name: &str,
        text: &str,
    ) -> u64 {
        self.topic_frame(json!([kind::EVENT, number, ts, name, { "list": "l", "text": text }]))
            .await
    }

    pub(crate) async fn snapshot(&mut self, number: u64, ts: u64, texts: &[&str]) -> u64 {
        self.topic_frame(
            json!([kind::SNAPSHOT, number, ts, "state", { "list": "l", "texts": texts }]),
        )
        .await
    }

    async fn topic_frame(&mut self, frame: Value) -> u64 {
        let bytes = self.line.length(&frame) as u64;
        let (number, ts) =
            (frame[1].as_u64().unwrap_or_default(), frame[2].as_u64().unwrap_or_default());
        self.desk().sent(number, ts, bytes);
        self.say(frame).await;
        bytes
    }

    pub(crate) fn renumber(&self, earlier: u64, number: u64) {
        self.desk().renumbered(earlier, number);
    }

    /// Waits for a POSITION with this `ts` and these bytes.
    pub(crate) async fn position(&mut self, number: u64, ts: u64, bytes: u64) -> Step {
        let fits = move |frame: &Frame| {
            frame.kind == kind::POSITION
                && (frame.number(0), frame.number(1), frame.number(2)) == (number, ts, bytes)
        };
        let told = self.take("7.19", &format!("POSITION [{number}, {ts}, {bytes}]"), fits).await;
        let beyond = |frame: &Frame| {
            frame.kind == kind::POSITION && (frame.number(1) > ts || frame.number(2) > bytes)
        };
        ensure!(
            "7.15",
            told.is_ok() || !self.has(beyond),
            "a POSITION tells more than {ts}, {bytes}"
        );
        told.map(drop)
    }
}

/// An epoch.
pub(crate) const EPOCH: &str = "00000000000000e1";

/// Whether a frame is a COMMAND of either kind.
pub(crate) fn is_command(frame: &Frame) -> bool {
    matches!(frame.kind, kind::COMMAND | kind::COMMAND_WITH_DEADLINE)
}

fn open(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}
