//! From HELLO to a session: handshake, resume, leases, and how each ends (PROTOCOL.md section 4).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::Bench;
use steadfast::session::node::{ConnId, Executed, Identity, NodeEvent, Principal};
use steadfast::session::store::{Generation, StoreOp, StoreOutcome};
use steadfast::wire::{
    ClientFrame, Codec, CommandNo, Dial, InstanceId, LeaseClaim, LeaseId, LeaseState,
    ResumeFailure, ResumeToken, Seq, ServerFrame, SessionId,
};

fn failure(bench: &mut Bench, conn: ConnId) -> Option<ResumeFailure> {
    let reason =
        |frame| if let ServerFrame::ResumeFailed { reason } = frame { Some(reason) } else { None };
    bench.take(conn).into_iter().find_map(reason)
}

/// PROTOCOL.md 4.1
#[test]
fn a_socket_without_a_hello_is_closed() {
    let mut bench = Bench::new();
    let conn = bench.accept();
    bench.pass(9_999);
    assert_eq!(bench.code(conn), None);
    bench.pass(1);
    assert_eq!(bench.code(conn), Some(4408));
    assert_eq!(bench.node.load().timers, 0);
}

/// PROTOCOL.md 4.1: authentication and the store are part of the handshake.
#[test]
fn a_handshake_whose_hooks_or_store_are_late_is_closed() {
    for store in [false, true] {
        let mut bench = Bench::new();
        (bench.hooks_by_hand, bench.by_hand) = (!store, store);
        let hello = bench.hello();
        let conn = bench.dial(hello);
        bench.pass(10_000);
        assert_eq!(bench.code(conn), Some(4408));
        assert_eq!(bench.node.load().executions, 0);
    }
}

/// PROTOCOL.md 4.1, 8.3
#[test]
fn a_hello_that_does_not_fit_is_refused() {
    let mut bench = Bench::new();
    type Change = fn(&mut steadfast::wire::Hello);
    let cases: [(Change, u16); 3] = [
        (|hello| hello.v = 2, 4401),
        (|hello| hello.protocol = "other".into(), 4401),
        (|hello| hello.token = Some("mallory".into()), 4201),
    ];
    for (spoil, code) in cases {
        let mut hello = bench.hello();
        spoil(&mut hello);
        let conn = bench.dial(hello);
        assert_eq!(bench.code(conn), Some(code));
    }
}

/// PROTOCOL.md 4.1: HELLO comes first, once, and nothing before WELCOME.
#[test]
fn frames_out_of_place_are_errors() {
    let mut bench = Bench::new();
    let conn = bench.accept();
    bench.frame(conn, ClientFrame::Ping { k: 1 });
    assert_eq!(bench.code(conn), Some(4400));
    bench.hooks_by_hand = true;
    let hello = bench.hello();
    let conn = bench.dial(hello);
    bench.frame(conn, ClientFrame::Ping { k: 1 });
    assert_eq!(bench.code(conn), Some(4400));
    bench.hooks_by_hand = false;
    let conn = bench.attach();
    let hello = bench.hello();
    bench.frame(conn, ClientFrame::Hello(Box::new(hello)));
    assert_eq!(bench.code(conn), Some(4400));
}

/// PROTOCOL.md 4.10: WELCOME alone.
#[test]
fn a_first_hello_gets_a_new_session_and_a_new_lease() {
    let mut bench = Bench::new();
    let hello = bench.hello();
    let conn = bench.dial(hello);
    let welcome = bench.welcome(conn);
    assert_eq!((welcome.resumed, welcome.recv, welcome.generation.0), (false, Seq(0), 1));
    assert_eq!(welcome.lease.expect("a lease").state, LeaseState::New);
    assert_eq!(bench.take(conn).len(), 1);
}

/// PROTOCOL.md 4.7
#[test]
fn a_resume_sends_again_what_the_client_has_not() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=3).for_each(|n| bench.ask(conn, n));
    (1..=3).for_each(|n| bench.finish(n));
    bench.peer(conn).recv = 1;
    let next = bench.resume(conn);
    let welcome = bench.welcome(next);
    assert_eq!(
        (welcome.recv, welcome.generation.0, welcome.lease.expect("a lease").state),
        (Seq(3), 2, LeaseState::Ok)
    );
    assert_eq!(bench.answers(next), [(2, "ok".into()), (3, "ok".into())]);
    bench.ask(next, 4);
    bench.finish(4);
    assert_eq!(bench.answers(next), [(4, "ok".into())]);
}

/// PROTOCOL.md 4.8
#[test]
fn lost_welcomes_cost_nothing() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    let first = bench.again(conn);
    for _ in 0..3 {
        let mut hello = bench.again(conn);
        hello.resume = first.resume.clone();
        let next = bench.dial(hello);
        assert!(
            bench.welcome(next).resumed,
            "the token before it is good while the new one is unconfirmed"
        );
    }
    let mut hello = bench.again(conn);
    hello.resume = first.resume.clone();
    let next = bench.dial(hello);
    bench.ack(next);
    let mut hello = bench.again(conn);
    hello.resume = first.resume;
    let late = bench.dial(hello);
    assert_eq!(
        failure(&mut bench, late),
        Some(ResumeFailure::Token),
        "the first frame confirmed the new one"
    );
}

/// PROTOCOL.md 4.9
#[test]
fn a_stale_dial_is_refused_on_its_own_socket() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    let (mut stale, mut bare) = (bench.again(conn), bench.again(conn));
    bare.resume = None;
    let next = bench.resume(conn);
    bench.ack(next);
    for hello in [&mut stale, &mut bare] {
        hello.dial = Dial(2);
        let late = bench.dial(hello.clone());
        assert_eq!(bench.code(late), Some(4001));
        assert_eq!(bench.code(next), None);
    }
    bench.ask(next, 1);
    assert_eq!(bench.running(), [1]);
}

/// PROTOCOL.md 4.9
#[test]
fn a_successful_resume_closes_the_earlier_socket() {
    for (instance, code) in [(7, 4002), (8, 4300)] {
        let mut bench = Bench::new();
        let conn = bench.attach();
        let mut hello = bench.again(conn);
        hello.instance = InstanceId(instance);
        let next = bench.dial(hello);
        assert!(bench.welcome(next).resumed);
        assert_eq!(bench.code(conn), Some(code));
        bench.ask(conn, 1);
        assert!(bench.running().is_empty(), "frames read from it afterwards are discarded");
        bench.pass(50_000);
        assert_eq!(bench.node.load().sessions, 1, "its end does not end the session");
    }
}

/// PROTOCOL.md 4.9, for a lease without its session.
#[test]
fn a_new_session_takes_the_lease_from_the_earlier_one() {
    for (instance, code) in [(7, 4002), (8, 4300)] {
        let mut bench = Bench::new();
        let conn = bench.attach();
        let mut hello = bench.again(conn);
        hello.instance = InstanceId(instance);
        hello.resume = None;
        let next = bench.dial(hello);
        assert_eq!(bench.lease(next).state, LeaseState::Ok);
        assert_eq!(bench.code(conn), Some(code));
        assert_eq!(bench.node.load().sessions, 1);
    }
}

/// PROTOCOL.md 4.10
#[test]
fn a_resume_that_fails_says_why_and_gets_a_new_session() {
    type Change = fn(&mut steadfast::wire::Hello);
    let cases: [(Change, ResumeFailure); 5] = [
        (|hello| hello.resume.as_mut().unwrap().session.0 += 1, ResumeFailure::Unknown),
        (|hello| hello.resume.as_mut().unwrap().token = ResumeToken(1), ResumeFailure::Token),
        (|hello| hello.token = Some("bob".into()), ResumeFailure::Principal),
        (|hello| hello.resume.as_mut().unwrap().recv = Seq(9), ResumeFailure::NotRetained),
        (|hello| hello.lease = None, ResumeFailure::NotRetained),
    ];
    for (spoil, expected) in cases {
        let mut bench = Bench::new();
        let conn = bench.attach();
        bench.cut(conn);
        let mut hello = bench.again(conn);
        spoil(&mut hello);
        let next = bench.dial(hello);
        assert!(!bench.welcome(next).resumed);
        assert_eq!(failure(&mut bench, next), Some(expected));
    }
}

/// PROTOCOL.md 5.1: a lease that is gone or somebody else's is answered with a new one, and nothing
/// else happens.
#[test]
fn a_lease_of_somebody_else_is_not_touched() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    let lease = bench.lease(conn).id;
    for id in [lease, LeaseId(99)] {
        let mut hello = bench.hello();
        hello.token = Some("bob".into());
        hello.lease = Some(LeaseClaim { id, low: CommandNo(1), next: CommandNo(1) });
        let stranger = bench.dial(hello);
        let granted = bench.lease(stranger);
        assert_eq!(granted.state, LeaseState::New);
        assert_ne!(granted.id, id);
    }
    assert_eq!(bench.code(conn), None);
    bench.ask(conn, 1);
    bench.finish(1);
    assert_eq!(bench.answers(conn), [(1, "ok".into())]);
}

/// PROTOCOL.md 1.3: a lease that has expired ends its session.
#[test]
fn a_lease_that_the_store_has_lost_ends_its_session() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.store = steadfast::store::MemoryState::default();
    bench.post(conn, 1);
    bench.finish(1);
    assert_eq!(bench.code(conn), Some(4100));
    assert_eq!((bench.node.load().leases, bench.node.load().sessions), (0, 0));
}

/// Contact is told to the store while somebody holds the lease, and not afterwards.
#[test]
fn a_held_lease_is_renewed_and_a_released_one_is_not() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    let lease = bench.lease(conn).id;
    for _ in 0..100 {
        bench.pass(20_000);
        bench.frame(conn, ClientFrame::Pong { k: 0 });
    }
    let (generation, low) = (Generation(1), CommandNo(1));
    let claim = StoreOp::RenewLease { id: lease, generation, held: true, low };
    assert!(matches!(bench.store.apply(bench.now, claim.clone()), StoreOutcome::Lease { .. }));
    bench.post(conn, 1);
    bench.post(conn, 2);
    bench.cut(conn);
    bench.pass(2_000_000);
    assert_eq!(
        (bench.node.load().leases, bench.node.load().sessions, bench.node.load().timers),
        (0, 0, 0)
    );
    bench.pass(25 * 3_600_000);
    assert_eq!(bench.store.apply(bench.now, claim), StoreOutcome::LeaseGone);
}

/// PROTOCOL.md 4.11
#[test]
fn a_session_outlives_its_socket_for_its_time() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.cut(conn);
    bench.pass(299_999);
    let hello = bench.again(conn);
    let next = bench.dial(hello);
    assert!(bench.welcome(next).resumed);
    bench.cut(next);
    bench.pass(300_000);
    let hello = bench.again(next);
    let last = bench.dial(hello);
    assert_eq!(failure(&mut bench, last), Some(ResumeFailure::Expired));
}

/// PROTOCOL.md 4.11, 5.15
#[test]
fn a_clean_close_ends_the_session_and_a_resolved_lease() {
    for resolved in [false, true] {
        let mut bench = Bench::new();
        let conn = bench.attach();
        let lease = bench.lease(conn).id;
        bench.post(conn, 1);
        bench.finish(1);
        bench.peer(conn).low = if resolved { 2 } else { 1 };
        bench.ack(conn);
        bench.bye(conn);
        let claim = StoreOp::ClaimLease {
            id: lease,
            holder: steadfast_rig::fixtures::holder(9),
            principal: "ann".into(),
            codec: Codec::Json,
            low: CommandNo(1),
        };
        assert_eq!(bench.store.apply(bench.now, claim) == StoreOutcome::LeaseGone, resolved);
        assert_eq!((bench.node.load().sessions, bench.node.load().leases), (0, 0));
        assert_eq!(bench.node.load().timers, 0);
    }
}

/// Sockets that come and go leave nothing behind but their sessions.
#[test]
fn reconnecting_leaves_nothing_behind() {
    let mut bench = Bench::new();
    let mut conn = bench.attach();
    for _ in 0..100 {
        conn = bench.resume(conn);
        bench.ack(conn);
    }
    assert!(bench.node.load().timers <= 4, "{:?}", bench.node.load());
    assert_eq!((bench.node.load().sessions, bench.node.load().connections), (1, 1));
}

/// The bound on sessions; one that replaces another needs no room.
#[test]
fn sessions_are_bounded() {
    let mut bench = Bench::with(|config| config.sessions = 2);
    let first = bench.attach();
    bench.by_hand = true;
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let hello = bench.hello();
            bench.dial(hello)
        })
        .collect();
    bench.store_all();
    bench.by_hand = false;
    let codes: Vec<_> = waiting.iter().map(|conn| bench.code(*conn)).collect();
    assert_eq!(codes, [None, Some(4004), Some(4004)]);
    let mut hello = bench.again(first);
    hello.resume = None;
    let next = bench.dial(hello);
    assert!(!bench.welcome(next).resumed);
    assert_eq!(bench.node.load().sessions, 2);
}

/// What authentication says of the principal now is what handlers see.
#[test]
fn a_resume_brings_the_principals_present_attributes() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.cut(conn);
    bench.hooks_by_hand = true;
    let hello = bench.again(conn);
    let next = bench.dial(hello);
    let execution = bench.executions.pop_front().unwrap();
    let principal = Principal::new("ann").with("role", "guest");
    let identity = Identity::new(principal);
    bench.executed(&execution, Executed::Authenticated(Ok(identity)));
    bench.peer(next).low = 1;
    bench.post(next, 1);
    let execution = bench.started(1);
    let steadfast::session::node::Execution::Command { principal, .. } = execution else {
        panic!()
    };
    assert_eq!(principal.attribute("role"), Some("guest"));
}

/// For attachments whose exchanges may be repeated.
#[test]
fn a_rewound_attachment_sends_again_and_drops_what_it_has() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=2).for_each(|n| bench.ask(conn, n));
    (1..=2).for_each(|n| bench.finish(n));
    bench.take(conn);
    bench.peer(conn).recv = 1;
    bench.act(|node, now| node.rewind(now, conn, Seq(1)));
    assert_eq!(bench.answers(conn), [(2, "ok".into())]);
    let mut again = bench.command_frame(conn, "ask", 2, "{\"n\":2}");
    again.seq = Seq(2);
    bench.frame(conn, ClientFrame::Command(again));
    assert_eq!(bench.code(conn), None);
    bench.act(|node, now| node.rewind(now, conn, Seq(0)));
    assert_eq!(bench.code(conn), Some(4410), "that was released");
}

/// A principal's clients don't end each other's leases: one too many is refused, and the others'
/// commands count as before.
#[test]
fn one_client_too_many_is_refused_and_harms_no_other() {
    let mut bench = Bench::with(|config| config.leases_per_principal = 2);
    let first = bench.attach();
    let _second = bench.attach();
    let hello = bench.hello();
    let third = bench.dial(hello);
    assert!(bench.peers[&third].welcome.is_none(), "refused");
    bench.post(first, 1);
    bench.finish(1);
    assert_eq!(bench.answers(first), node_support::told_answers(&[(1, "ok")]));
}

/// Programs that crash one after the other are one client each; the lease of one that is gone makes
/// room for the next at once (PROTOCOL.md 1.3).
#[test]
fn crashed_clients_of_one_principal_never_keep_the_next_one_out() {
    let mut bench = Bench::new();
    for client in 1..=100 {
        let conn = bench.attach();
        bench.post(conn, 1);
        bench.finish(1);
        assert_eq!(bench.code(conn), None, "client {client}");
        bench.cut(conn);
    }
}

/// The store hears who holds a lease in the order in which it happened, also while it is slow.
#[test]
fn a_lease_that_is_resumed_counts_as_held() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    let hello = bench.again(conn);
    bench.by_hand = true;
    bench.cut(conn);
    let next = bench.dial(hello);
    assert!(bench.welcome(next).resumed);
    let told = |bench: &mut Bench| {
        let (op, what) = bench.ops.pop_front().expect("the store is told");
        assert!(bench.ops.is_empty(), "one at a time");
        let StoreOp::RenewLease { held, .. } = what else { panic!("{what:?}") };
        let outcome = bench.store.apply(bench.now, what);
        bench.act(|node, now| node.handle_store(now, op, outcome));
        held
    };
    assert!(!told(&mut bench));
    assert!(told(&mut bench), "what has changed meanwhile is told after the first answer");
    assert!(bench.ops.is_empty());
}

/// The application hears who is back, once for each socket, and nothing of newcomers.
#[test]
fn a_client_that_comes_back_is_told_to_the_driver_with_what_became_of_its_session() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    let back = |bench: &mut Bench| -> Vec<Result<(), ResumeFailure>> {
        let events = std::mem::take(&mut bench.events).into_iter();
        let back = events.filter_map(|event| match event {
            NodeEvent::Returned(who, session) => Some((who, session)),
            _ => None,
        });
        back.inspect(|(who, _)| assert_eq!(who.user(), steadfast_rig::fixtures::ANN))
            .map(|(_, session)| session)
            .collect()
    };
    assert_eq!(back(&mut bench), []);
    let conn = bench.resume(conn);
    assert_eq!(back(&mut bench), [Ok(())]);
    let mut hello = bench.again(conn);
    hello.resume.as_mut().unwrap().session = SessionId(7);
    bench.dial(hello);
    assert_eq!(back(&mut bench), [Err(ResumeFailure::Unknown)]);
}
