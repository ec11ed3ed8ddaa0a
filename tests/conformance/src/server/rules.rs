//! What every frame of a server must keep, whatever a case is about: sequences, acks, windows,
//! positions, credit. It keeps the books of one attachment, and waits for nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use super::me::Me;
use crate::case::{Step, Stop, ensure};
use crate::frame::{Frame, is_bare_name, is_id, kind};

/// The books of one attachment.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// The bytes of each frame whose ack the server has not seen, by `seq`. `None` on resumed
    /// sessions, whose replay has no limit.
    unacked: Option<BTreeMap<u64, u64>>,
    subs: BTreeMap<u64, Sub>,
    by_number: BTreeMap<u64, u64>,
    /// Numbers that once stood for a topic. Frames of them may still be on their way (7.10).
    earlier: Vec<u64>,
}

/// A subscription, as the server has to see it.
#[derive(Debug, Default)]
struct Sub {
    credit: (u64, u64),
    from: Option<(String, u64)>,
    last: Option<u64>,
    number: Option<u64>,
    epoch: String,
    /// The last `ts`, and the one from which credit counts.
    cursor: u64,
    position: u64,
    /// Bytes that were sent, and bytes reported as finished with.
    sent: u64,
    finished: u64,
    awaits_snapshot: bool,
}

/// What a server may tell of itself (4.18, 4.19).
fn tells_of_itself(welcome: &Value) -> Step {
    let text = |member: &str| match &welcome[member] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.as_str())),
        other => Err(Stop::broken("4.18", format!("`{member}` is {other}"))),
    };
    text("version")?;
    if let Some(fingerprint) = text("fingerprint")? {
        ensure!("4.18", is_bare_name(fingerprint), "a fingerprint that is no name: {fingerprint}");
    }
    let words = ["same", "compatible", "client_outdated", "server_outdated", "unknown"];
    let verdict = text("verdict")?;
    ensure!(
        "4.19",
        verdict.is_none_or(|word| words.contains(&word)),
        "a verdict that means nothing: {verdict:?}"
    );
    Ok(())
}

impl Rules {
    /// Checks a WELCOME: its form, and what it must say to this HELLO (1.5, 4.1, 4.7, 4.10).
    pub(super) fn welcome(&mut self, me: &Me, frame: &Frame) -> Step {
        let of = |path: &str| frame.text_member("4.1", path);
        for (path, digits) in [("/session", 32), ("/token", 32)] {
            let id = of(path)?;
            ensure!(
                "1.5",
                is_id(&id, digits),
                "{path} is not {digits} lower-case hexadecimal digits: {id}"
            );
        }
        for path in ["/recv", "/ttl_ms", "/frame_bytes", "/window/frames", "/window/bytes"] {
            frame.member("4.1", path)?;
        }
        for path in ["/heartbeat/interval_ms", "/heartbeat/timeout_ms", "/heartbeat/missed"] {
            frame.member("4.1", path)?;
        }
        ensure!("1.6", frame.member("4.1", "/gen")? > 0, "the first `gen` is 1");
        let body = frame.body();
        tells_of_itself(&body)?;
        let leased = !body["lease"].is_null();
        let needs_none = me.lease_later && me.lease.is_none();
        ensure!("5.23", leased || needs_none, "WELCOME has no lease: {body}");
        let state = if leased { lease(frame, "/lease")? } else { String::new() };
        let Some(resumed) = body["resumed"].as_bool() else {
            return Err(Stop::broken("4.1", "`resumed` is not a boolean"));
        };
        if !resumed {
            ensure!("4.10", body["recv"] == 0, "a new session with recv {}", body["recv"]);
            self.unacked = Some(BTreeMap::new());
            return Ok(());
        }
        let Some(session) = &me.session else {
            return Err(Stop::broken("4.10", "WELCOME resumes what nobody asked for"));
        };
        ensure!("4.7", body["session"] == session.id.as_str(), "another session was resumed");
        let named = me.lease.as_deref();
        ensure!(
            "4.7",
            named.is_none() || body["lease"]["id"].as_str() == named,
            "a resumed session with another lease"
        );
        let fits = if named.is_some() { state == "ok" } else { state != "ok" };
        ensure!("4.7", fits, "a resumed session whose lease is `{state}`");
        ensure!("1.2", body["token"] != session.token.as_str(), "the resume token did not change");
        ensure!(
            "4.7",
            body["gen"] == session.generation + 1,
            "gen {} after {}",
            body["gen"],
            session.generation
        );
        let recv = frame.member("4.1", "/recv")?;
        ensure!("4.7", recv <= session.sent, "recv {recv}, and only {} were sent", session.sent);
        Ok(())
    }

    /// Checks a frame after WELCOME, and notes that the process has received it.
    pub(super) fn frame(&mut self, me: &mut Me, frame: &Frame) -> Step {
        match frame.kind {
            kind::ACK => ack(me, frame.number(0)),
            _ if frame.is_sequenced() => self.sequenced(me, frame),
            kind::SUBSCRIBED => self.subscribed(frame),
            kind::UNSUBSCRIBED => self.unsubscribed(frame),
            kind::EVENT | kind::SNAPSHOT | kind::SKIP | kind::TOPIC_VOLATILE => {
                self.of_topic(frame)
            }
            kind::LEASE => {
                ensure!("5.24", me.lease.is_none(), "a lease for who has one: {}", frame.text);
                let state = lease(frame, "")?;
                ensure!("5.24", state == "new", "LEASE grants one that is `{state}`");
                me.take_lease(frame.text_member("5.24", "/id")?);
                Ok(())
            }
            kind::GOAWAY => {
                frame.member("8.2", "/after_ms").and(frame.member("8.2", "/deadline_ms")).map(drop)
            }
            kind::WELCOME | kind::RESUME_FAILED => Err(Stop::broken("4.1", "a second WELCOME")),
            _ => Ok(()),
        }
    }

    fn sequenced(&mut self, me: &mut Me, frame: &Frame) -> Step {
        let (seq, acked, n) = (frame.number(0), frame.number(1), frame.number(2));
        ack(me, acked)?;
        let window = me.window;
        let next = me.next;
        let Some(session) = &mut me.session else {
            return Err(Stop::broken("4.2", "an answer without a session"));
        };
        ensure!("4.2", seq == session.recv + 1, "seq {seq} after {}", session.recv);
        session.recv = seq;
        if frame.kind != kind::DIRECT {
            ensure!("5.2", n > 0 && n < next, "an answer to n {n}, which was never sent");
            let carried = session.seq_of.get(&n).copied().unwrap_or_default();
            ensure!(
                "5.14",
                acked >= carried,
                "the answer to n {n} acks {acked}, not {carried} that carried it"
            );
        }
        if let Some(unacked) = &mut self.unacked {
            let bytes: u64 = unacked.values().sum();
            let fits =
                (unacked.len() as u64) < window.0 && bytes + frame.window_bytes() <= window.1;
            ensure!(
                "4.6",
                fits || unacked.is_empty(),
                "seq {seq} is beyond a window of {window:?}"
            );
            unacked.insert(seq, frame.window_bytes());
        }
        Ok(())
    }

    /// Notes that the client has sent an ack.
    pub(super) fn acked(&mut self, ack: u64) {
        if let Some(unacked) = &mut self.unacked {
            unacked.retain(|seq, _| *seq > ack);
        }
    }

    /// Notes that the client has sent SUBSCRIBE.
    pub(super) fn subscribe(&mut self, request: &Value) {
        let number = |path: &str| request.pointer(path).and_then(Value::as_u64).unwrap_or_default();
        let epoch = request.pointer("/from/epoch").and_then(Value::as_str);
        let sub = Sub {
            credit: (number("/credit/events"), number("/credit/bytes")),
            from: epoch.map(|epoch| (epoch.to_owned(), number("/from/ts"))),
            last: request["last"].as_u64().filter(|_| epoch.is_none()),
            ..Sub::default()
        };
        self.subs.insert(number("/sub"), sub);
    }

    /// Notes that the client has sent UNSUBSCRIBE.
    pub(super) fn unsubscribe(&mut self, sub: u64) {
        if let Some(number) = self.subs.remove(&sub).and_then(|sub| sub.number) {
            self.by_number.remove(&number);
            self.earlier.push(number);
        }
    }

    /// Notes that the client has sent POSITION.
    pub(super) fn position(&mut self, number: u64, ts: u64, bytes: u64) {
        let sub = self.by_number.get(&number).and_then(|sub| self.subs.get_mut(sub));
        if let Some(sub) = sub {
            sub.position = sub.position.max(ts.min(sub.cursor));
            sub.finished = sub.finished.max(bytes.min(sub.sent));
        }
    }

    fn subscribed(&mut self, frame: &Frame) -> Step {
        let body = frame.body();
        let of = |path: &str| frame.member("7.2", path);
        let (no, number, ts, head) = (of("/sub")?, of("/number")?, of("/ts")?, of("/head")?);
        let epoch = frame.text_member("7.2", "/epoch")?;
        ensure!("1.5", is_id(&epoch, 16), "an epoch is 16 lower-case hexadecimal digits: {epoch}");
        ensure!("7.2", body["snapshot"].is_boolean(), "`snapshot` is not a boolean");
        let reset = body["reset"].as_str().map(str::to_owned);
        let snapshot = body["snapshot"] == true;
        let Some(sub) = self.subs.get_mut(&no) else { return Ok(()) };
        match (&reset, &sub.number) {
            (None, None) => {
                let from = sub.from.clone();
                let here = from == Some((epoch.clone(), ts));
                ensure!(
                    "7.4",
                    here && !snapshot,
                    "without `reset` it continues from {from:?}, not from {epoch} {ts}"
                );
            }
            (None, Some(_)) => {
                return Err(Stop::broken("7.6", "a second SUBSCRIBED without `reset`"));
            }
            (Some(_), Some(earlier)) if sub.epoch != epoch => {
                ensure!("7.6", *earlier != number, "another epoch under the same number");
                ensure!("7.6", !self.earlier.contains(&number), "a number that was used before");
            }
            (Some(_), Some(earlier)) => {
                ensure!("7.6", *earlier == number, "the number changed, and the epoch did not");
                ensure!("7.6", ts >= sub.cursor, "ts went back from {} to {ts}", sub.cursor);
            }
            (Some(reason), None) => {
                let known = ["initial", "trimmed", "epoch", "ahead"].contains(&reason.as_str());
                ensure!("7.5", known, "`{reason}` is not a reason");
                ensure!(
                    "7.5",
                    (reason == "initial") == sub.from.is_none(),
                    "`{reason}` with from {:?}",
                    sub.from
                );
            }
        }
        ensure!("7.4", head >= ts || snapshot, "the head {head} is below ts {ts}");
        if let (Some(last), None) = (sub.last, sub.number) {
            ensure!("7.25", !snapshot, "a state for somebody who wants the last {last} events");
            ensure!(
                "7.25",
                head - ts <= last,
                "{ts} is further than {last} events before the head {head}"
            );
        }
        if let Some(earlier) = sub.number.filter(|earlier| *earlier != number) {
            self.by_number.remove(&earlier);
            self.earlier.push(earlier);
        }
        (sub.number, sub.epoch, sub.cursor, sub.position) = (Some(number), epoch, ts, ts);
        sub.awaits_snapshot = snapshot && reset.is_some();
        self.earlier.retain(|earlier| *earlier != number);
        self.by_number.insert(number, no);
        Ok(())
    }

    fn unsubscribed(&mut self, frame: &Frame) -> Step {
        let (no, _) = (frame.member("7.10", "/sub")?, frame.text_member("7.10", "/code")?);
        self.unsubscribe(no);
        Ok(())
    }

    fn of_topic(&mut self, frame: &Frame) -> Step {
        let (number, ts) = (frame.number(0), frame.number(1));
        let Some(no) = self.by_number.get(&number) else {
            ensure!(
                "7.4",
                self.earlier.contains(&number),
                "a frame for number {number}, which SUBSCRIBED never gave"
            );
            return Ok(());
        };
        let Some(sub) = self.subs.get_mut(no) else { return Ok(()) };
        let bytes = frame.bytes as u64;
        let in_bytes = sub.sent.saturating_sub(sub.finished) < sub.credit.1;
        match frame.kind {
            kind::SNAPSHOT => {
                ensure!("7.5", sub.awaits_snapshot, "a SNAPSHOT that SUBSCRIBED did not announce");
                ensure!("7.8", in_bytes, "a SNAPSHOT beyond the credit in bytes");
                ensure!("7.6", ts >= sub.cursor, "SNAPSHOT goes back from {} to {ts}", sub.cursor);
                (sub.cursor, sub.position, sub.awaits_snapshot) = (ts, ts, false);
                sub.sent += bytes;
            }
            kind::EVENT => {
                ensure!("7.5", !sub.awaits_snapshot, "an EVENT where SNAPSHOT is the next frame");
                ensure!("7.7", ts == sub.cursor + 1, "ts {ts} after {}", sub.cursor);
                ensure!(
                    "7.8",
                    ts <= sub.position + sub.credit.0,
                    "ts {ts} is beyond the credit in events"
                );
                ensure!("7.8", in_bytes, "ts {ts} is beyond the credit in bytes");
                sub.cursor = ts;
                sub.sent += bytes;
            }
            kind::SKIP => {
                ensure!("7.7", ts >= sub.cursor, "SKIP goes back from {} to {ts}", sub.cursor);
                sub.cursor = ts;
            }
            _ => {}
        }
        Ok(())
    }

    /// What a client reports when it has finished with everything of a topic: number, `ts`, bytes.
    pub(super) fn finished(&self, no: u64) -> Option<(u64, u64, u64)> {
        let sub = self.subs.get(&no)?;
        Some((sub.number?, sub.cursor, sub.sent))
    }

    /// The epoch and `ts` up to which a subscription has got.
    pub(super) fn reached(&self, no: u64) -> Option<(String, u64)> {
        self.subs.get(&no).map(|sub| (sub.epoch.clone(), sub.cursor))
    }
}

/// Checks the form of a lease in a WELCOME or LEASE; its state.
fn lease(frame: &Frame, at: &str) -> Step<String> {
    let id = frame.text_member("5.1", &format!("{at}/id"))?;
    ensure!("1.5", is_id(&id, 32), "a lease's id is not 32 lower-case hexadecimal digits: {id}");
    for path in ["span", "ttl_ms"] {
        frame.member("5.1", &format!("{at}/{path}"))?;
    }
    let state = frame.text_member("5.1", &format!("{at}/state"))?;
    ensure!("4.1", state == "new" || state == "ok", "a lease's state is `{state}`");
    Ok(state)
}

fn ack(me: &Me, ack: u64) -> Step {
    let sent = me.session.as_ref().map_or(0, |session| session.sent);
    ensure!("4.4", ack <= sent, "ack {ack}, and only {sent} were sent");
    Ok(())
}
