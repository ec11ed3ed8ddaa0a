//! Whatever a server says and whatever order things happen in: the client does not panic, stays
//! within its bounds, and keeps the rules that concern it alone.

mod client_support;

use std::collections::BTreeMap;

use client_support::{Rig, body, code, command, lost, name};
use proptest::prelude::*;
use steadfast::session::client::{CallId, Item, SubId, Submission, SubscriptionRequest};
use steadfast::wire::{
    Body, ClientFrame, CommandNo, Dial, Epoch, FailureCode, Heartbeat, LeaseGrant, LeaseId,
    LeaseState, Name, Position, RefusalCode, ResetReason, ResumeFailure, Seq, ServerFrame, SubNo,
    Subscribed, TopicNo, TopicSeq, UnsubscribeCode, Window,
};

#[derive(Debug, Clone)]
enum Input {
    Submit {
        bytes: usize,
        timeout_ms: u64,
    },
    Cancel(u64),
    Volatile(u8),
    Subscribe {
        key: u8,
        from: Option<(u64, u64)>,
    },
    Poll(u64),
    Unsubscribe(u64),
    ReconnectNow,
    Close,
    Connected {
        back: u64,
    },
    Closed {
        back: u64,
        code: u16,
    },
    Alive,
    Pass(u64),
    Welcome {
        resumed: bool,
        recv: u64,
        session: u128,
        /// None without.
        lease: Option<u128>,
        span: u32,
        window: (u32, u32),
        beat: u64,
    },
    Frame(ServerFrame),
    /// The next RESULT or REFUSED in sequence, which random numbers would seldom hit.
    Answer {
        ack: u64,
        n: u64,
        refuse: bool,
    },
    /// The next EVENT, which random numbers would seldom hit.
    Next,
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![20 => 0_u64..8, 1 => Just(u64::MAX), 1 => Just(steadfast::wire::MAX_SEQUENCE)]
}

fn server_frame() -> impl Strategy<Value = ServerFrame> {
    let reason = prop_oneof![
        Just(ResetReason::Initial),
        Just(ResetReason::Trimmed),
        Just(ResetReason::Epoch),
        Just(ResetReason::Ahead)
    ];
    let text = || (name("m"), body("{}"));
    prop_oneof![
        number().prop_map(|ack| ServerFrame::Ack { ack: Seq(ack) }),
        (number(), number(), number()).prop_map(|(seq, ack, n)| ServerFrame::Failed {
            seq: Seq(seq),
            ack: Seq(ack),
            n: CommandNo(n),
            dup: true,
            code: FailureCode::Internal,
            name: Name::EMPTY,
            body: Body::UNIT,
        }),
        (number(), number(), number(), number()).prop_map(|(seq, ack, n, retry_ms)| {
            ServerFrame::Refused {
                seq: Seq(seq),
                ack: Seq(ack),
                n: CommandNo(n),
                code: RefusalCode::Overload,
                retry_ms,
            }
        }),
        number().prop_map(move |ts| {
            let (name, body) = text();
            ServerFrame::Event { topic: TopicNo(ts % 2), ts: TopicSeq(ts), name, body }
        }),
        number().prop_map(move |ts| {
            let (name, body) = text();
            ServerFrame::Snapshot { topic: TopicNo(ts % 2), ts: TopicSeq(ts), name, body }
        }),
        number().prop_map(move |topic| {
            let (name, body) = text();
            ServerFrame::TopicVolatile { topic: TopicNo(topic % 2), name, body }
        }),
        number().prop_map(|ts| ServerFrame::Skip { topic: TopicNo(ts % 2), ts: TopicSeq(ts) }),
        (number(), 0_u64..2, 0_u64..2, number(), any::<bool>(), proptest::option::of(reason))
            .prop_map(|(sub, number, epoch, ts, snapshot, reset)| {
                let (ts, epoch) = (TopicSeq(ts), Epoch(epoch));
                let (sub, number) = (SubNo(sub), TopicNo(number));
                ServerFrame::Subscribed(Box::new(Subscribed {
                    sub,
                    number,
                    epoch,
                    ts,
                    head: ts,
                    snapshot,
                    reset,
                    credit: None,
                }))
            }),
        (number(), any::<bool>(), proptest::option::of(number())).prop_map(
            |(sub, last, retry_ms)| {
                let code =
                    if last { UnsubscribeCode::Forbidden } else { UnsubscribeCode::Overload };
                ServerFrame::Unsubscribed { sub: SubNo(sub), code, retry_ms }
            }
        ),
        (number(), number())
            .prop_map(|(after_ms, deadline_ms)| ServerFrame::GoAway { after_ms, deadline_ms }),
        (0_u128..2, 0_u32..5).prop_map(|(id, span)| {
            let (id, state) = (LeaseId(id), LeaseState::New);
            ServerFrame::Lease(LeaseGrant { id, state, span, ttl_ms: 0 })
        }),
        number().prop_map(|k| ServerFrame::Ping { k }),
        number().prop_map(|k| ServerFrame::Pong { k }),
        Just(ServerFrame::ResumeFailed { reason: ResumeFailure::Token }),
        Just(ServerFrame::Ignored { kind: 200 }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let welcome = (
        any::<bool>(),
        number(),
        0_u128..2,
        proptest::option::weighted(0.8, 0_u128..2),
        0_u32..5,
        (0_u32..5, 0_u32..50),
        number(),
    );
    prop_oneof![
        6 => (0_usize..40, prop_oneof![Just(0), 0_u64..50_000, Just(u64::MAX)])
            .prop_map(|(bytes, timeout_ms)| Input::Submit { bytes, timeout_ms }),
        1 => number().prop_map(Input::Cancel),
        1 => any::<u8>().prop_map(Input::Volatile),
        2 => (0_u8..3, proptest::option::of((0_u64..2, number()))).prop_map(|(key, from)| Input::Subscribe { key, from }),
        5 => number().prop_map(Input::Poll),
        1 => number().prop_map(Input::Unsubscribe),
        1 => Just(Input::ReconnectNow),
        7 => prop_oneof![9 => Just(0_u64), 1 => Just(1)].prop_map(|back| Input::Connected { back }),
        2 => (0_u64..2, prop_oneof![Just(1006_u16), Just(4010), Just(4100), Just(4201), Just(4410)])
            .prop_map(|(back, code)| Input::Closed { back, code }),
        1 => Just(Input::Alive),
        5 => prop_oneof![0_u64..300, 0_u64..40_000].prop_map(Input::Pass),
        7 => welcome.prop_map(|(resumed, recv, session, lease, span, window, beat)| {
            Input::Welcome { resumed, recv, session, lease, span, window, beat }
        }),
        8 => server_frame().prop_map(Input::Frame),
        8 => (number(), number(), any::<bool>()).prop_map(|(ack, n, refuse)| Input::Answer { ack, n, refuse }),
        6 => Just(Input::Next),
        1 => proptest::bool::weighted(0.05).prop_map(|close| if close { Input::Close } else { Input::Alive }),
    ]
}

/// What the application has seen of each subscription.
#[derive(Default)]
struct Reader(BTreeMap<SubId, Position>);

impl Reader {
    fn see(&mut self, sub: SubId, item: &Item) {
        match item {
            Item::Event { position, .. } => {
                if let Some(last) = self.0.insert(sub, *position) {
                    assert_eq!(last.epoch, position.epoch, "an epoch changes with a gap");
                    assert!(last.ts < position.ts, "{last:?} then {position:?}");
                }
            }
            Item::Snapshot { position, gap, .. } => {
                let last = self.0.insert(sub, *position);
                assert!(last.is_none() || gap.is_some(), "a snapshot in the middle is a gap");
            }
            Item::Gap(gap) => {
                self.0.insert(sub, Position { epoch: gap.epoch, ts: gap.resumes_after });
            }
            Item::Volatile { .. } => {}
        }
    }
}

fn apply(rig: &mut Rig, input: Input, reader: &mut Reader) {
    let current = rig.dial;
    let back = |n: u64| Dial(current.0.saturating_sub(n));
    match input {
        Input::Submit { bytes, timeout_ms } => {
            let submission = Submission { timeout_ms, ..command("x".repeat(bytes)) };
            let _ = rig.act(|client, now| client.submit(now, submission));
        }
        Input::Cancel(call) => {
            rig.act(|client, now| client.cancel(now, CallId(call)));
        }
        Input::Volatile(key) => {
            rig.act(|client, now| {
                client.volatile(now, name("typing"), key.to_string(), Body::UNIT)
            });
        }
        Input::Subscribe { key, from } => {
            let from = from.map(|(epoch, ts)| Position { epoch: Epoch(epoch), ts: TopicSeq(ts) });
            let request =
                SubscriptionRequest { topic: name("room"), key: key.to_string(), from, last: None };
            if let Ok(sub) = rig.act(|client, now| client.subscribe(now, request))
                && let Some(from) = from
            {
                reader.0.insert(sub, from);
            }
        }
        Input::Poll(sub) => {
            let sub = SubId(sub);
            if let Some(item) = rig.item(sub) {
                reader.see(sub, &item);
            }
        }
        Input::Unsubscribe(sub) => rig.act(|client, now| client.unsubscribe(now, SubId(sub))),
        Input::ReconnectNow => rig.act(|client, now| client.reconnect_now(now)),
        Input::Close => rig.act(|client, now| client.close(now)),
        Input::Connected { back: n } => {
            rig.act(|client, now| client.handle_connected(now, back(n), None))
        }
        Input::Closed { back: n, code: number } => {
            let close = if number == 1006 { lost() } else { code(number) };
            rig.act(|client, now| client.handle_closed(now, back(n), close));
        }
        Input::Alive => rig.act(|client, now| client.handle_alive(now, current)),
        Input::Pass(ms) => rig.pass(ms),
        Input::Welcome { resumed, recv, session, lease, span, window, beat } => {
            (rig.session, rig.span) = (session, span);
            rig.lease = lease.map_or(rig.lease, LeaseId);
            rig.window = Window { frames: window.0, bytes: window.1 };
            let mut welcome = rig.welcome(resumed, recv);
            welcome.lease = welcome.lease.filter(|_| lease.is_some());
            welcome.heartbeat =
                Heartbeat { interval_ms: beat.max(100), timeout_ms: beat.max(100), missed: 1 };
            if !resumed {
                rig.seq = 0;
            }
            rig.frame(ServerFrame::Welcome(Box::new(welcome)));
        }
        Input::Frame(frame) => rig.frame(frame),
        Input::Answer { ack, n, refuse } => {
            rig.ack = ack;
            if refuse { rig.refuse(n, RefusalCode::Draining, n % 500) } else { rig.result(n) }
        }
        Input::Next => {
            let next = reader
                .0
                .values()
                .map(|position| position.ts.0)
                .max()
                .unwrap_or(0)
                .saturating_add(1);
            let (name, body) = (name("m"), body("{}"));
            rig.frame(ServerFrame::Event { topic: TopicNo(0), ts: TopicSeq(next), name, body });
        }
    }
}

/// Rules of what the client sends that need no server to judge.
fn judge(frames: &[ClientFrame]) {
    for frame in frames {
        match frame {
            ClientFrame::Command(command) => {
                assert!(command.low <= command.n && command.seq > Seq::ZERO)
            }
            ClientFrame::Subscribe(ask) => assert!(ask.credit.frames > 0 && ask.credit.bytes > 0),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_inputs_breaks_the_client(inputs in proptest::collection::vec(input(), 1..150)) {
        let mut rig = Rig::with(|config| {
            config.outbox_commands = 6;
            config.outbox_bytes = 100;
            config.subscriptions = 3;
            config.credit = Window { frames: 4, bytes: 450 };
            config.volatiles = 2;
            config.sequence_errors = 1_000;
            config.credential_refusals = 1_000;
            config.backoff.attempts = None;
            config.backoff.elapsed = None;
        });
        rig.start();
        let mut reader = Reader::default();
        for input in inputs {
            apply(&mut rig, input, &mut reader);
            judge(&rig.take().1);
        }
    }
}
