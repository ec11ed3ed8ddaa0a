//! A small server that keeps the rules of PROTOCOL.md and checks them. It forgets, refuses and trims
//! when it is told to, and decides nothing by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use steadfast::wire::{
    Body, ClientFrame, CommandFrame, CommandNo, Dial, Epoch, Hello, LeaseId, RefusalCode,
    ResetReason, ResumeFailure, ResumeToken, Seq, ServerFrame, SessionId, Subscribe, Subscribed,
    TopicNo, TopicSeq, Window,
};

use super::client_support::{MESSAGE_BYTES, Rig, name};

const WINDOW: Window = Window { frames: 4, bytes: 12 };
const SPAN: u32 = 6;
pub(super) const CREDIT: Window = Window { frames: 6, bytes: 500 };
const RETRY_MS: u64 = 50;

pub(super) struct Session {
    pub(super) id: u128,
    pub(super) tokens: (u128, u128),
    pub(super) recv: u64,
    pub(super) told: u64,
    pub(super) sent: u64,
    pub(super) retained: VecDeque<(u64, u64, bool)>,
}

pub(super) struct Feed {
    pub(super) cursor: u64,
    pub(super) position: u64,
    pub(super) sent: u64,
    pub(super) reported: u64,
    pub(super) credit: Window,
    pub(super) sub: steadfast::wire::SubNo,
    pub(super) number: TopicNo,
    /// SNAPSHOT comes next.
    pub(super) snapshot: bool,
}

#[derive(Default)]
pub(super) struct Server {
    pub(super) attached: Option<Dial>,
    pub(super) ids: u128,
    pub(super) session: Option<Session>,
    pub(super) lease: Option<u128>,
    pub(super) records: BTreeMap<u64, Body>,
    pub(super) gate: BTreeSet<u64>,
    pub(super) refuse: u8,
    pub(super) executed: Vec<u64>,
    pub(super) epoch: u64,
    pub(super) head: u64,
    pub(super) trimmed: u64,
    pub(super) snapshots: bool,
    pub(super) feed: Option<Feed>,
    pub(super) feeds: u64,
    pub(super) down: VecDeque<ServerFrame>,
}

impl Server {
    pub(super) fn id(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn hear(&mut self, dial: Dial, frame: ClientFrame, rig: &Rig) {
        match frame {
            ClientFrame::Hello(hello) => return self.hello(dial, &hello, rig),
            ClientFrame::Command(command) => {
                self.acked(command.ack);
                self.command(command);
            }
            ClientFrame::Ack { ack, .. } => self.acked(ack),
            ClientFrame::Subscribe(ask) => self.subscribe(&ask),
            ClientFrame::Position { topic, ts, bytes } => {
                if let Some(feed) = self.feed.as_mut().filter(|feed| feed.number == topic) {
                    assert!(
                        ts.0 <= feed.cursor && bytes <= feed.sent,
                        "a position above what was sent"
                    );
                    feed.position = feed.position.max(ts.0);
                    feed.reported = feed.reported.max(bytes);
                }
            }
            ClientFrame::Ping { k } => self.down.push_back(ServerFrame::Pong { k }),
            _ => {}
        }
        if let Some(session) = &mut self.session {
            session.tokens.1 = session.tokens.0;
        }
        self.pump();
    }

    pub(super) fn hello(&mut self, dial: Dial, hello: &Hello, rig: &Rig) {
        self.attached = Some(dial);
        self.feed = None;
        self.down.clear();
        let token = self.id();
        let resumed = match (&hello.resume, &mut self.session) {
            (Some(resume), Some(session)) if session.id == resume.session.0 => {
                let known = [session.tokens.0, session.tokens.1].contains(&resume.token.0);
                assert!(known, "a token that the session does not accept");
                session.tokens = (token, resume.token.0);
                while session.retained.front().is_some_and(|(seq, ..)| *seq <= resume.recv.0) {
                    session.retained.pop_front();
                }
                true
            }
            _ => false,
        };
        let claimed = hello.lease.as_ref().map(|claim| claim.id.0);
        if claimed.is_none() || claimed != self.lease {
            assert!(!resumed);
            self.lease = Some(self.id());
            self.records.clear();
            self.gate.clear();
        }
        if !resumed {
            if hello.resume.is_some() {
                self.down.push_back(ServerFrame::ResumeFailed { reason: ResumeFailure::Unknown });
            }
            let id = self.id();
            let retained = VecDeque::new();
            self.session =
                Some(Session { id, tokens: (token, token), recv: 0, told: 0, sent: 0, retained });
        }
        let session = self.session.as_mut().unwrap();
        session.told = session.recv;
        let mut welcome = rig.welcome(resumed, session.recv);
        (welcome.session, welcome.token) = (SessionId(session.id), ResumeToken(token));
        welcome.window = WINDOW;
        let lease = welcome.lease.as_mut().unwrap();
        (lease.id, lease.span) = (LeaseId(self.lease.unwrap()), SPAN);
        self.down.push_back(ServerFrame::Welcome(Box::new(welcome)));
        let again: Vec<_> = session.retained.iter().copied().collect();
        for (seq, n, done) in again {
            self.answer_at(seq, n, done);
        }
    }

    pub(super) fn acked(&mut self, ack: Seq) {
        let session = self.session.as_mut().unwrap();
        assert!(ack.0 <= session.sent);
        while session.retained.front().is_some_and(|(seq, ..)| *seq <= ack.0) {
            session.retained.pop_front();
        }
    }

    pub(super) fn command(&mut self, command: CommandFrame) {
        let session = self.session.as_mut().unwrap();
        assert_eq!(command.seq.0, session.recv + 1, "a gap in the sequence");
        let ahead = command.seq.0 - session.told;
        assert!(ahead <= u64::from(WINDOW.frames), "beyond the window");
        session.recv = command.seq.0;
        let n = command.n.0;
        assert!(command.low <= command.n && n - command.low.0 < u64::from(SPAN), "beyond the span");
        if let Some(body) = self.records.get(&n) {
            assert_eq!(*body, command.body, "a number used for two commands");
            return self.answer(n, true);
        }
        let held_back = self.gate.first().is_some_and(|first| *first < n);
        if self.refuse > 0 || held_back {
            self.refuse = self.refuse.saturating_sub(1);
            self.gate.insert(n);
            return self.answer(n, false);
        }
        self.gate.remove(&n);
        let text = std::str::from_utf8(command.body.as_bytes()).unwrap().parse().unwrap();
        assert!(self.executed.last().is_none_or(|last| *last < text), "out of order, or twice");
        self.executed.push(text);
        self.records.insert(n, command.body);
        self.answer(n, true);
    }

    pub(super) fn answer(&mut self, n: u64, done: bool) {
        let session = self.session.as_mut().unwrap();
        session.sent += 1;
        let seq = session.sent;
        session.retained.push_back((seq, n, done));
        self.answer_at(seq, n, done);
    }

    pub(super) fn answer_at(&mut self, seq: u64, n: u64, done: bool) {
        let session = self.session.as_mut().unwrap();
        session.told = session.recv;
        let (seq, ack, n) = (Seq(seq), Seq(session.recv), CommandNo(n));
        self.down.push_back(match done {
            true => ServerFrame::Result { seq, ack, n, dup: false, body: Body::UNIT },
            false => ServerFrame::Refused {
                seq,
                ack,
                n,
                code: RefusalCode::Overload,
                retry_ms: RETRY_MS,
            },
        });
    }

    pub(super) fn subscribe(&mut self, ask: &Subscribe) {
        let reset = match ask.from {
            None => Some(ResetReason::Initial),
            Some(from) if from.epoch.0 != self.epoch => Some(ResetReason::Epoch),
            Some(from) if from.ts.0 > self.head => Some(ResetReason::Ahead),
            Some(from) if from.ts.0 < self.trimmed => Some(ResetReason::Trimmed),
            Some(_) => None,
        };
        let from = ask.from.map_or(0, |from| from.ts.0);
        self.feed = Some(Feed {
            cursor: from,
            position: from,
            sent: 0,
            reported: 0,
            credit: ask.credit,
            sub: ask.sub,
            number: TopicNo(0),
            snapshot: false,
        });
        self.begin(reset);
    }

    /// SUBSCRIBED. A new epoch gets a new number; otherwise number and bytes go on (PROTOCOL.md
    /// 7.6, 7.8).
    pub(super) fn begin(&mut self, reset: Option<ResetReason>) {
        let Some(feed) = self.feed.as_mut() else { return };
        if feed.number == TopicNo(0) || reset == Some(ResetReason::Epoch) {
            self.feeds += 1;
            feed.number = TopicNo(self.feeds);
        }
        let snapshot = self.snapshots && reset.is_some();
        if reset.is_some() {
            feed.cursor =
                if snapshot { self.head } else { self.trimmed.max(self.head.saturating_sub(2)) };
            feed.position = feed.cursor;
        }
        feed.snapshot = snapshot;
        let (number, ts) = (feed.number, TopicSeq(feed.cursor));
        let (epoch, head) = (Epoch(self.epoch), TopicSeq(self.head));
        let subscribed =
            Subscribed { sub: feed.sub, number, epoch, ts, head, snapshot, reset, credit: None };
        self.down.push_back(ServerFrame::Subscribed(Box::new(subscribed)));
    }

    pub(super) fn pump(&mut self) {
        if self.feed.as_ref().is_some_and(|feed| !feed.snapshot && feed.cursor < self.trimmed) {
            self.begin(Some(ResetReason::Trimmed));
        }
        let Some(feed) = self.feed.as_mut() else { return };
        let bytes = MESSAGE_BYTES as u64;
        while feed.sent - feed.reported < u64::from(feed.credit.bytes) {
            let topic = feed.number;
            if std::mem::take(&mut feed.snapshot) {
                (feed.cursor, feed.position) = (self.head, self.head);
                let ts = TopicSeq(self.head);
                self.down.push_back(ServerFrame::Snapshot {
                    topic,
                    ts,
                    name: name("state"),
                    body: Body::UNIT,
                });
            } else if feed.cursor < self.head
                && feed.cursor < feed.position + u64::from(feed.credit.frames)
            {
                feed.cursor += 1;
                let ts = TopicSeq(feed.cursor);
                self.down.push_back(ServerFrame::Event {
                    topic,
                    ts,
                    name: name("posted"),
                    body: Body::UNIT,
                });
            } else {
                return;
            }
            feed.sent += bytes;
        }
    }
}
