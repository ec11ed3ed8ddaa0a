//! A client's core with a scripted server, in virtual time: the test says what the server does, the
//! rig drains the client after each input and checks what must hold at any time.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses its part"
)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use steadfast::session::client::{
    CallId, CallOutcome, Client, ClientConfig, ConnectionState, Event, Item, SubId, Submission,
    SubscriptionRequest,
};
use steadfast::session::{Close, CloseCode, Now};
use steadfast::wire::{
    Body, ClientFrame, CommandFrame, CommandNo, Dial, Epoch, Gen, Heartbeat, Hello, LeaseGrant,
    LeaseId, LeaseState, Name, Position, RefusalCode, ResetReason, ResumeToken, Seq, ServerFrame,
    SessionId, SubNo, Subscribe, Subscribed, TopicNo, TopicSeq, Welcome, Window,
};
use steadfast_rig::pump::{ClientHarness, pump_client};

pub const EPOCH: Epoch = Epoch(0xe);
/// What the rig says each EVENT and SNAPSHOT has.
pub const MESSAGE_BYTES: usize = 100;
/// More credit than any test uses up.
pub const WIDE: Window = Window { frames: 256, bytes: 262_144 };

pub struct Rig {
    pub client: Client,
    pub now: Now,
    /// The socket that the client asked for last.
    pub dial: Dial,
    pub events: Vec<Event>,
    pub sent: Vec<ClientFrame>,
    /// The server's own sequence in the current session.
    pub seq: u64,
    /// What the server acknowledges in each frame.
    pub ack: u64,
    pub lease: LeaseId,
    pub session: u128,
    pub token: u128,
    pub window: Window,
    pub span: u32,
    pub frame_bytes: u32,
}

pub fn name(text: &'static str) -> Name {
    Name::from_static(text).unwrap()
}

pub fn body(text: impl std::fmt::Display) -> Body {
    Body::from(text.to_string())
}

pub fn at(ts: u64) -> Position {
    Position { epoch: EPOCH, ts: TopicSeq(ts) }
}

pub fn lost() -> Close {
    Close::lost("cut")
}

pub fn code(code: u16) -> Close {
    Close::new(CloseCode(code), "scripted")
}

pub fn command(text: impl std::fmt::Display) -> Submission {
    Submission {
        name: name("post"),
        body: body(text),
        timeout_ms: 10_000,
        declared_timeout_ms: 10_000,
        max_bytes: 65_536,
    }
}

impl ClientHarness for Rig {
    fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    fn event(&mut self, event: Event) {
        if let Event::Dial { dial, .. } = event {
            assert!(dial > self.dial, "dial numbers grow");
            self.dial = dial;
        }
        self.events.push(event);
    }

    fn transmit(&mut self) -> bool {
        let frame = self.client.poll_transmit(self.now, self.dial);
        let took = frame.is_some();
        self.sent.extend(frame);
        took
    }
}

impl Rig {
    /// A rig with a live subscription that starts after `ts`.
    pub fn following(ts: u64, credit: Window) -> (Self, SubId) {
        let mut rig = Self::attached_with(|config| config.credit = credit);
        let sub = rig.subscribe(Some(at(ts)));
        let ask = rig.subscribes().remove(0);
        rig.subscribed(ask.sub, ts, None, false);
        (rig, sub)
    }

    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(set: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::new("chat", "1.0");
        set(&mut config);
        Self::around(Client::new(Arc::new(config), [7; 32]))
    }

    pub fn around(client: Client) -> Self {
        Self {
            client,
            now: Now(1_000),
            dial: Dial::ZERO,
            events: Vec::new(),
            sent: Vec::new(),
            seq: 0,
            ack: 0,
            lease: LeaseId(0x1ea5e),
            session: 1,
            token: 1,
            window: Window { frames: 256, bytes: 262_144 },
            span: 256,
            frame_bytes: 65_536,
        }
    }

    /// A client that is attached to a new session.
    pub fn attached() -> Self {
        Self::attached_with(|_| ())
    }

    pub fn attached_with(set: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut rig = Self::with(set);
        rig.start();
        rig.connect();
        rig.welcome_new();
        rig.take();
        rig
    }

    // ---- inputs ----

    /// Does something to the client and drains it.
    pub fn act<R>(&mut self, act: impl FnOnce(&mut Client, Now) -> R) -> R {
        let result = act(&mut self.client, self.now);
        self.drain();
        result
    }

    /// What follows from an input: its outputs, and each frame that there is to write.
    pub fn drain(&mut self) {
        pump_client(self).unwrap();
        self.check();
    }

    /// What holds after every input.
    pub fn check(&self) {
        let config = self.client.config();
        let (commands, bytes) = self.client.outbox();
        assert!(
            commands <= config.outbox_commands as usize && bytes <= config.outbox_bytes as usize
        );
        let load = self.client.load();
        assert!(
            load.backlog_calls <= config.backlog_calls as usize
                && load.backlog_bytes <= config.backlog_bytes as usize
        );
        let waits = match self.client.state() {
            ConnectionState::Connected { .. } | ConnectionState::Connecting { .. } => true,
            ConnectionState::Reconnecting { next_dial, .. } => {
                if let Some(at) = next_dial {
                    assert!(self.client.poll_timeout().is_some_and(|timeout| timeout <= *at));
                }
                true
            }
            ConnectionState::Disconnected => commands > 0,
            _ => false,
        };
        assert!(
            !waits || self.client.poll_timeout().is_some(),
            "nothing would wake {:?}",
            self.client.state()
        );
    }

    pub fn start(&mut self) {
        self.act(|client, now| client.start(now));
    }

    /// Opens the socket; the HELLO that the client says on it.
    pub fn connect(&mut self) -> Hello {
        let dial = self.dial;
        self.act(|client, now| client.handle_connected(now, dial, Some("secret".into())));
        match self.sent.last() {
            Some(ClientFrame::Hello(hello)) => (**hello).clone(),
            other => panic!("HELLO expected, not {other:?}"),
        }
    }

    pub fn frame(&mut self, frame: ServerFrame) {
        let dial = self.dial;
        self.act(|client, now| client.handle_frame(now, dial, frame, MESSAGE_BYTES));
    }

    pub fn closed(&mut self, close: Close) {
        let dial = self.dial;
        self.act(|client, now| client.handle_closed(now, dial, close));
    }

    /// Lets time pass, and every timer on the way fire at its time.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        while let Some(at) = self.client.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.act(|client, now| client.handle_timeout(now));
        }
        self.now = end;
    }

    /// Time passes on a live connection.
    pub fn pass_alive(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        while self.now < end {
            let dial = self.dial;
            self.act(|client, now| client.handle_alive(now, dial));
            self.pass((end.0 - self.now.0).min(10_000));
        }
    }

    /// Waits until the client dials again.
    pub fn await_dial(&mut self) {
        let before = self.dial;
        for _ in 0..1_000 {
            if self.dial > before {
                return;
            }
            let at = self.client.poll_timeout().expect("a dial is planned");
            self.now = at.max(self.now);
            self.act(|client, now| client.handle_timeout(now));
        }
        panic!("no dial");
    }

    /// Loses the socket and opens the next one; its HELLO.
    pub fn reconnect(&mut self) -> Hello {
        self.closed(lost());
        self.await_dial();
        self.take();
        self.connect()
    }

    // ---- the server ----

    pub fn grant(&self) -> LeaseGrant {
        LeaseGrant { id: self.lease, state: LeaseState::Ok, span: self.span, ttl_ms: 60_000 }
    }

    pub fn welcome(&self, resumed: bool, recv: u64) -> Welcome {
        Welcome {
            session: SessionId(self.session),
            token: ResumeToken(self.token),
            generation: Gen(1),
            resumed,
            recv: Seq(recv),
            ttl_ms: 60_000,
            frame_bytes: self.frame_bytes,
            window: self.window,
            lease: Some(self.grant()),
            server: steadfast::wire::Told::default(),
            heartbeat: Heartbeat { interval_ms: 25_000, timeout_ms: 5_000, missed: 2 },
        }
    }

    pub fn welcome_new(&mut self) {
        self.session += 1;
        self.token += 1;
        self.seq = 0;
        self.ack = 0;
        let welcome = self.welcome(false, 0);
        self.frame(ServerFrame::Welcome(Box::new(welcome)));
    }

    pub fn welcome_without_lease(&mut self) {
        self.session += 1;
        self.token += 1;
        (self.seq, self.ack) = (0, 0);
        let welcome = Welcome { lease: None, ..self.welcome(false, 0) };
        self.frame(ServerFrame::Welcome(Box::new(welcome)));
    }

    pub fn welcome_resumed(&mut self, recv: u64) {
        self.token += 1;
        self.ack = recv;
        let welcome = self.welcome(true, recv);
        self.frame(ServerFrame::Welcome(Box::new(welcome)));
    }

    pub fn result(&mut self, n: u64) {
        self.seq += 1;
        let (seq, ack) = (Seq(self.seq), Seq(self.ack));
        self.frame(ServerFrame::Result { seq, ack, n: CommandNo(n), dup: false, body: Body::UNIT });
    }

    pub fn refuse(&mut self, n: u64, code: RefusalCode, retry_ms: u64) {
        self.seq += 1;
        let (seq, ack) = (Seq(self.seq), Seq(self.ack));
        self.frame(ServerFrame::Refused { seq, ack, n: CommandNo(n), code, retry_ms });
    }

    pub fn subscribed(&mut self, sub: SubNo, ts: u64, reset: Option<ResetReason>, snapshot: bool) {
        self.subscribed_at(sub, EPOCH, ts, reset, snapshot);
    }

    pub fn subscribed_at(
        &mut self,
        sub: SubNo,
        epoch: Epoch,
        ts: u64,
        reset: Option<ResetReason>,
        snapshot: bool,
    ) {
        let ts = TopicSeq(ts);
        let number = TopicNo(9);
        self.frame(ServerFrame::Subscribed(Box::new(Subscribed {
            sub,
            number,
            epoch,
            ts,
            head: ts,
            snapshot,
            reset,
            credit: None,
        })));
    }

    pub fn event(&mut self, ts: u64) {
        let frame = ServerFrame::Event {
            topic: TopicNo(9),
            ts: TopicSeq(ts),
            name: name("posted"),
            body: body(ts),
        };
        self.frame(frame);
    }

    pub fn events(&mut self, range: std::ops::RangeInclusive<u64>) {
        range.for_each(|ts| self.event(ts));
    }

    pub fn snapshot(&mut self, ts: u64) {
        let frame = ServerFrame::Snapshot {
            topic: TopicNo(9),
            ts: TopicSeq(ts),
            name: name("state"),
            body: body(ts),
        };
        self.frame(frame);
    }

    // ---- the application ----

    pub fn submit(&mut self, text: impl std::fmt::Display) -> CallId {
        let command = command(text);
        self.act(|client, now| client.submit(now, command)).expect("room in the outbox")
    }

    pub fn subscribe(&mut self, from: Option<Position>) -> SubId {
        let request =
            SubscriptionRequest { topic: name("room"), key: "1".into(), from, last: None };
        self.act(|client, now| client.subscribe(now, request)).expect("a subscription")
    }

    pub fn item(&mut self, sub: SubId) -> Option<Item> {
        self.act(|client, now| client.poll_item(now, sub))
    }

    /// The `ts` of everything that waits; -1 for a gap.
    pub fn items(&mut self, sub: SubId) -> Vec<i64> {
        let mut seen = Vec::new();
        while let Some(item) = self.item(sub) {
            seen.push(match item {
                Item::Event { position, .. } | Item::Snapshot { position, .. } => {
                    position.ts.0 as i64
                }
                _ => -1,
            });
        }
        seen
    }

    // ---- looks ----

    /// What has happened and gone out since the last look.
    pub fn take(&mut self) -> (Vec<Event>, Vec<ClientFrame>) {
        (std::mem::take(&mut self.events), std::mem::take(&mut self.sent))
    }

    pub fn commands(&mut self) -> Vec<CommandFrame> {
        let frames = std::mem::take(&mut self.sent).into_iter();
        frames
            .filter_map(|frame| {
                if let ClientFrame::Command(command) = frame { Some(command) } else { None }
            })
            .collect()
    }

    /// `(seq, n, body)` of each command that went out.
    pub fn numbers(&mut self) -> Vec<(u64, u64, String)> {
        let text = |body: &Body| String::from_utf8(body.as_bytes().to_vec()).unwrap();
        self.commands()
            .iter()
            .map(|command| (command.seq.0, command.n.0, text(&command.body)))
            .collect()
    }

    pub fn subscribes(&mut self) -> Vec<Subscribe> {
        let frames = std::mem::take(&mut self.sent).into_iter();
        frames
            .filter_map(
                |frame| if let ClientFrame::Subscribe(ask) = frame { Some(*ask) } else { None },
            )
            .collect()
    }

    pub fn outcomes(&mut self) -> Vec<(CallId, CallOutcome)> {
        let events = std::mem::take(&mut self.events).into_iter();
        events
            .filter_map(|event| {
                if let Event::Resolved { call, outcome } = event {
                    Some((call, outcome))
                } else {
                    None
                }
            })
            .collect()
    }

    pub fn closes(&self) -> Vec<Close> {
        let close = |event: &Event| {
            if let Event::CloseSocket { close, .. } = event { Some(close.clone()) } else { None }
        };
        self.events.iter().filter_map(close).collect()
    }

    pub fn has_closed_with(&self, code: CloseCode) -> bool {
        self.closes().iter().any(|close| close.code == Some(code))
    }
}
