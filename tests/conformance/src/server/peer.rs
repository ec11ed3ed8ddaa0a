//! A client's end of one attachment, driven step by step. It numbers what it sends and checks what
//! arrives, but does nothing by itself; it does not even acknowledge.

use std::time::Duration;

use serde_json::{Value, json};

use super::me::{Me, Session};
use super::rules::Rules;
use crate::case::{Step, Stop, ensure};
use crate::frame::{Frame, Sender, kind};
use crate::line::Line;
use crate::socket::{Arrival, Socket};

/// An attachment, or what is about to be one.
pub(crate) struct Peer {
    pub(crate) line: Line,
    pub(crate) me: Me,
    pub(crate) welcome: Option<Frame>,
    pub(crate) resume_failed: Option<Frame>,
    rules: Rules,
    subs: u64,
    pings: u64,
}

impl Peer {
    pub(crate) fn new(socket: Socket, me: Me) -> Self {
        let rules = Rules::default();
        Self {
            line: Line::new(socket, Sender::Server),
            me,
            welcome: None,
            resume_failed: None,
            rules,
            subs: 0,
            pings: 1000,
        }
    }

    /// Waits for WELCOME, before which there may be RESUME_FAILED.
    pub(crate) async fn welcomed(&mut self) -> Step {
        let frame = loop {
            let frame = self.line.read("4.1", "WELCOME").await?;
            match frame.kind {
                kind::WELCOME => break frame,
                kind::RESUME_FAILED => {
                    frame.text_member("4.10", "/reason")?;
                    ensure!("4.10", self.me.session.is_some(), "RESUME_FAILED to a first HELLO");
                    self.resume_failed = Some(frame);
                }
                128..256 => {}
                _ => {
                    return Err(Stop::broken(
                        "4.1",
                        format!("a frame before WELCOME: {}", frame.text),
                    ));
                }
            }
        };
        self.rules.welcome(&self.me, &frame)?;
        let body = frame.body();
        let of = |path: &str| frame.text_member("4.1", path);
        let before = self.me.session.take().filter(|_| body["resumed"] == true);
        let (sent, recv, seq_of, replay) =
            before.map(|s| (s.sent, s.recv, s.seq_of, s.replay)).unwrap_or_default();
        let (id, token, generation) =
            (of("/session")?, of("/token")?, frame.member("4.1", "/gen")?);
        self.me.session = Some(Session { id, token, generation, sent, recv, seq_of, replay });
        if !body["lease"].is_null() {
            self.me.take_lease(of("/lease/id")?);
        }
        self.welcome = Some(frame);
        Ok(())
    }

    /// WELCOME's object.
    pub(crate) fn welcome(&self) -> Value {
        self.welcome.as_ref().map(Frame::body).unwrap_or_default()
    }

    pub(crate) fn was_resumed(&self) -> bool {
        self.welcome()["resumed"] == true
    }

    /// The next frame that fits. Others are kept for later.
    pub(crate) async fn take(
        &mut self,
        clause: &'static str,
        what: &str,
        fits: impl Fn(&Frame) -> bool + Send,
    ) -> Step<Frame> {
        let Self { line, rules, me, .. } = self;
        line.take(|frame| rules.frame(me, frame), clause, what, fits).await
    }

    /// The next frame of a kind.
    pub(crate) async fn take_kind(
        &mut self,
        clause: &'static str,
        what: &str,
        kind: u64,
    ) -> Step<Frame> {
        self.take(clause, what, |frame| frame.kind == kind).await
    }

    /// Whether a frame that fits has already arrived.
    pub(crate) fn has(&self, fits: impl Fn(&Frame) -> bool) -> bool {
        self.line.has(fits)
    }

    /// Checks that the socket is closed with this code. What comes before is checked and dropped.
    pub(crate) async fn closes_with(mut self, clause: &'static str, wanted: u16) -> Step<Me> {
        let Self { line, rules, me, welcome, .. } = &mut self;
        let check = |frame: &Frame| match welcome {
            Some(_) => rules.frame(me, frame),
            None => Ok(()),
        };
        line.closes_with(check, clause, wanted).await?;
        Ok(self.me)
    }

    /// Waits for the end of the socket. What comes before is dropped.
    pub(crate) async fn ends(mut self) -> Step<Option<u16>> {
        loop {
            match self.line.socket.next().await {
                Some(Arrival::Closed(code)) => return Ok(code),
                Some(_) => {}
                None => return Err(Stop::trouble("the socket does not end")),
            }
        }
    }

    /// Checks that the attachment is alive and well: it answers a PING.
    pub(crate) async fn is_alive(&mut self, clause: &'static str) -> Step {
        self.pings += 1;
        let k = self.pings;
        self.say(json!([kind::PING, k])).await;
        self.take(clause, "PONG", |frame| frame.kind == kind::PONG && frame.number(0) == k)
            .await
            .map(drop)
    }

    /// Checks everything that the server has to say for now. What it must not say can't be waited
    /// for, so it gets a moment, and has to answer twice.
    pub(crate) async fn settle(&mut self, clause: &'static str) -> Step {
        for _ in 0..2 {
            self.is_alive(clause).await?;
            self.listen(clause, Duration::from_millis(20)).await?;
        }
        Ok(())
    }

    /// Checks what comes within a moment.
    pub(crate) async fn listen(&mut self, clause: &'static str, moment: Duration) -> Step {
        let Self { line, rules, me, .. } = self;
        line.listen(|frame| rules.frame(me, frame), clause, moment).await
    }

    /// Sends a frame as it is.
    pub(crate) async fn say(&mut self, frame: Value) {
        self.line.say(frame).await;
    }

    /// Acknowledges everything.
    pub(crate) async fn ack(&mut self) {
        let ack = self.me.recv();
        self.rules.acked(ack);
        self.say(json!([kind::ACK, ack, self.me.low])).await;
    }

    /// Sends again what the server has not received (4.7).
    pub(crate) async fn replay(&mut self) {
        let recv = self.welcome()["recv"].as_u64().unwrap_or_default();
        let missing =
            self.me.session.as_ref().map(|session| session.replay.clone().split_off(&(recv + 1)));
        for (seq, (n, name, body)) in missing.into_iter().flatten() {
            let low = self.me.low.min(n);
            self.say(json!([kind::COMMAND, seq, self.me.recv(), n, n - low, name, body])).await;
        }
    }

    /// Numbers a command. The frame is not sent.
    pub(crate) fn number(&mut self, name: &str, body: &Value) -> (u64, Value) {
        let n = self.me.next;
        self.me.next += 1;
        (n, self.again(n, name, body))
    }

    /// A command that was numbered before, under the next `seq`. The frame is not sent.
    pub(crate) fn again(&mut self, n: u64, name: &str, body: &Value) -> Value {
        let (recv, low) = (self.me.recv(), self.me.low.min(n));
        let seq = self.me.session.as_mut().map_or(0, |session| {
            session.sent += 1;
            session.seq_of.insert(n, session.sent);
            session.replay.insert(session.sent, (n, name.to_owned(), body.clone()));
            session.sent
        });
        self.rules.acked(recv);
        json!([kind::COMMAND, seq, recv, n, n - low, name, body])
    }

    /// Sends a command.
    pub(crate) async fn command(&mut self, name: &str, body: Value) -> u64 {
        let (n, frame) = self.number(name, &body);
        self.say(frame).await;
        n
    }

    /// The answer to a command, which resolves it, except for a refusal with a retry code.
    pub(crate) async fn answer(&mut self, clause: &'static str, n: u64) -> Step<Frame> {
        let answers = |frame: &Frame| {
            matches!(frame.kind, kind::RESULT | kind::FAILED | kind::REFUSED)
                && frame.number(2) == n
        };
        let frame = self.take(clause, &format!("answer to n {n}"), answers).await?;
        let retry = ["draining", "overload", "rate_limited"];
        if frame.kind != kind::REFUSED || !retry.contains(&frame.string(3).as_str()) {
            self.me.resolve(n);
        }
        Ok(frame)
    }

    /// Sends a command and waits for its RESULT.
    pub(crate) async fn call(
        &mut self,
        clause: &'static str,
        name: &str,
        body: Value,
    ) -> Step<Value> {
        let n = self.command(name, body).await;
        self.result(clause, n).await
    }

    /// The RESULT of a command.
    pub(crate) async fn result(&mut self, clause: &'static str, n: u64) -> Step<Value> {
        let frame = self.answer(clause, n).await?;
        ensure!(clause, frame.kind == kind::RESULT, "no RESULT to n {n}: {}", frame.text);
        Ok(frame.body())
    }

    /// Checks that a command is refused with this code.
    pub(crate) async fn refused(
        &mut self,
        clause: &'static str,
        n: u64,
        code: &str,
    ) -> Step<Frame> {
        let frame = self.answer(clause, n).await?;
        let as_wanted = frame.kind == kind::REFUSED && frame.string(3) == code;
        ensure!(clause, as_wanted, "n {n} is not refused with `{code}`: {}", frame.text);
        Ok(frame)
    }

    /// Appends texts to a list, and so publishes them to the list's topics.
    pub(crate) async fn append(
        &mut self,
        list: &str,
        texts: impl IntoIterator<Item = String>,
    ) -> Step {
        for text in texts {
            self.call("5.7", "append", json!({ "list": list, "text": text })).await?;
            self.ack().await;
        }
        Ok(())
    }

    /// Waits until a handler has come to a gate.
    pub(crate) async fn has_come(&mut self, gate: &str) -> Step {
        for _ in 0..2_000 {
            if self.call("5.5", "came", json!({ "gate": gate })).await? != 0 {
                return Ok(());
            }
            self.ack().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(Stop::trouble(format!("nobody came to the gate {gate}")))
    }

    /// Everything that was appended to a list.
    pub(crate) async fn list(&mut self, list: &str) -> Step<Vec<String>> {
        let texts = self.call("5.7", "read", json!({ "list": list })).await?;
        let texts = texts
            .as_array()
            .into_iter()
            .flatten()
            .map(|text| text.as_str().unwrap_or_default().to_owned());
        Ok(texts.collect())
    }

    /// Subscribes with ample credit.
    pub(crate) async fn subscribe(
        &mut self,
        topic: &str,
        key: &str,
        from: Option<(String, u64)>,
    ) -> u64 {
        self.subscribe_with(topic, key, from, (1_000, 1_000_000)).await
    }

    pub(crate) async fn subscribe_with(
        &mut self,
        topic: &str,
        key: &str,
        from: Option<(String, u64)>,
        credit: (u64, u64),
    ) -> u64 {
        let mut request = json!({ "topic": topic, "key": key });
        request["credit"] = json!({ "events": credit.0, "bytes": credit.1 });
        if let Some((epoch, ts)) = from {
            request["from"] = json!({ "epoch": epoch, "ts": ts });
        }
        self.ask(request).await
    }

    /// Subscribes to a topic's latest events.
    pub(crate) async fn subscribe_last(&mut self, topic: &str, key: &str, last: u64) -> u64 {
        let credit = json!({ "events": 1_000, "bytes": 1_000_000 });
        self.ask(json!({ "topic": topic, "key": key, "last": last, "credit": credit })).await
    }

    async fn ask(&mut self, mut request: Value) -> u64 {
        self.subs += 1;
        request["sub"] = json!(self.subs);
        self.rules.subscribe(&request);
        self.say(json!([kind::SUBSCRIBE, request])).await;
        self.subs
    }

    /// The next SUBSCRIBED of a subscription.
    pub(crate) async fn subscribed(&mut self, clause: &'static str, sub: u64) -> Step<Value> {
        let about = |frame: &Frame| {
            matches!(frame.kind, kind::SUBSCRIBED | kind::UNSUBSCRIBED)
                && frame.body()["sub"] == sub
        };
        let frame = self.take(clause, "SUBSCRIBED", about).await?;
        ensure!(clause, frame.kind == kind::SUBSCRIBED, "no SUBSCRIBED: {}", frame.text);
        Ok(frame.body())
    }

    /// Checks that a subscription is ended with this code.
    pub(crate) async fn unsubscribed(
        &mut self,
        clause: &'static str,
        sub: u64,
        code: &str,
    ) -> Step {
        let about = |frame: &Frame| {
            matches!(frame.kind, kind::SUBSCRIBED | kind::UNSUBSCRIBED)
                && frame.body()["sub"] == sub
        };
        let frame = self.take(clause, "UNSUBSCRIBED", about).await?;
        let as_wanted = frame.kind == kind::UNSUBSCRIBED && frame.body()["code"] == code;
        ensure!(clause, as_wanted, "no UNSUBSCRIBED `{code}`: {}", frame.text);
        Ok(())
    }

    /// Subscribes to the topic that has a snapshot, without a position, and takes SUBSCRIBED and
    /// SNAPSHOT.
    pub(crate) async fn follow(&mut self, key: &str) -> Step<(u64, Frame)> {
        let sub = self.subscribe("list", key, None).await;
        let subscribed = self.subscribed("7.2", sub).await?;
        let reset = &subscribed["reset"];
        ensure!(
            "7.5",
            reset == "initial" && subscribed["snapshot"] == true,
            "a first SUBSCRIBED: {subscribed}"
        );
        let snapshot = self.take_kind("7.5", "SNAPSHOT", kind::SNAPSHOT).await?;
        Ok((sub, snapshot))
    }

    pub(crate) async fn event(&mut self, clause: &'static str) -> Step<Frame> {
        self.take_kind(clause, "EVENT", kind::EVENT).await
    }

    /// Reports that everything that has arrived for a subscription is finished with.
    pub(crate) async fn finish(&mut self, sub: u64) {
        if let Some((number, ts, bytes)) = self.rules.finished(sub) {
            self.position(number, ts, bytes).await;
        }
    }

    pub(crate) async fn position(&mut self, number: u64, ts: u64, bytes: u64) {
        self.rules.position(number, ts, bytes);
        self.say(json!([kind::POSITION, number, ts, bytes])).await;
    }

    pub(crate) async fn unsubscribe(&mut self, sub: u64) {
        self.rules.unsubscribe(sub);
        self.say(json!([kind::UNSUBSCRIBE, { "sub": sub }])).await;
    }

    /// How far a subscription has got.
    pub(crate) fn reached(&self, sub: u64) -> Option<(String, u64)> {
        self.rules.reached(sub)
    }

    /// Loses the socket without a word.
    pub(crate) fn cut(self) -> Me {
        self.line.socket.cut();
        self.me
    }

    /// Closes with a code.
    pub(crate) async fn close(self, code: u16) -> Me {
        self.line.socket.close(code, "").await;
        self.me
    }
}
