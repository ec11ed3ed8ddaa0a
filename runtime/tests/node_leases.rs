//! Leases that a client asks for when it has something to command (PROTOCOL.md 5.23 to 5.25).

mod node_support;

use node_support::{Bench, lost, told_answers};
use steadfast::session::node::{ConnId, Node};
use steadfast::session::store::{Claim, Generation, OpId, StoreOp, StoreOutcome, StoreTime};
use steadfast::wire::{ClientFrame, CommandNo, Hello, LeaseState, ServerFrame};
use steadfast_rig::fixtures::log;

fn reader(bench: &mut Bench) -> ConnId {
    let hello = Hello { lease_later: true, ..bench.hello() };
    let conn = bench.dial(hello);
    bench.ack(conn);
    conn
}

fn about_leases(bench: &Bench) -> Vec<&StoreOp> {
    let is = |op: &&StoreOp| {
        matches!(
            op,
            StoreOp::OpenLease { .. }
                | StoreOp::ClaimLease { .. }
                | StoreOp::RenewLease { .. }
                | StoreOp::EndLease { .. }
        )
    };
    bench.ops.iter().map(|(_, op)| op).filter(is).collect()
}

#[test]
fn who_only_reads_costs_the_store_no_lease() {
    let mut bench = Bench::new();
    bench.by_hand = true;
    let mut conn = reader(&mut bench);
    bench.subscribe(conn, 1, &log("a"), None, node_support::WIDE);
    for _ in 0..3 {
        bench.cut(conn);
        let hello = bench.again(conn);
        conn = bench.dial(hello);
        assert!(bench.welcome(conn).resumed);
        assert_eq!(bench.welcome(conn).lease, None);
        bench.ack(conn);
        bench.pass(5_000);
        bench.frame(conn, ClientFrame::Pong { k: 0 });
    }
    bench.bye(conn);
    bench.pass(3_600_000);
    assert_eq!(about_leases(&bench), Vec::<&StoreOp>::new());
    assert_eq!((bench.node.load().leases, bench.node.load().sessions), (0, 0));
}

#[test]
fn a_lease_that_is_asked_for_numbers_commands() {
    let mut bench = Bench::new();
    let conn = reader(&mut bench);
    assert_eq!(bench.welcome(conn).lease, None);
    bench.frame(conn, ClientFrame::Lease);
    assert_eq!(bench.lease(conn).state, LeaseState::New);
    bench.post(conn, 1);
    bench.finish(1);
    assert_eq!(bench.answers(conn), told_answers(&[(1, "ok")]));
    let next = bench.resume(conn);
    assert_eq!(bench.lease(next).id, bench.lease(conn).id);
    assert_eq!(bench.lease(next).state, LeaseState::Ok);
}

#[test]
fn a_command_without_a_lease_is_an_error() {
    let mut bench = Bench::new();
    let conn = reader(&mut bench);
    bench.post(conn, 1);
    assert_eq!(bench.code(conn), Some(4410));
    assert!(bench.running().is_empty());
}

/// The store is asked once, however often the client asks, and on whatever attachment.
#[test]
fn a_lease_is_issued_once_and_told_on_the_attachment_that_there_is() {
    let mut bench = Bench::new();
    bench.by_hand = true;
    let conn = reader(&mut bench);
    bench.frame(conn, ClientFrame::Lease);
    bench.frame(conn, ClientFrame::Lease);
    bench.cut(conn);
    let hello = Hello { lease_later: false, ..bench.again(conn) };
    let next = bench.dial(hello);
    assert_eq!(about_leases(&bench).len(), 1);
    assert_eq!(bench.welcome(next).lease, None);
    bench.store_all();
    assert_eq!(bench.lease(next).state, LeaseState::New);
    bench.frame(next, ClientFrame::Lease);
    let granted = |frame: &ServerFrame| matches!(frame, ServerFrame::Lease(_));
    assert_eq!(bench.take(next).iter().filter(|frame| granted(frame)).count(), 1);
    assert!(about_leases(&bench).is_empty());
}

#[test]
fn a_lease_that_the_client_has_not_heard_of_is_told_at_the_resume() {
    let mut bench = Bench::new();
    let conn = reader(&mut bench);
    let hello = bench.again(conn);
    bench.frame(conn, ClientFrame::Lease);
    let granted = bench.lease(conn);
    bench.cut(conn);
    let next = bench.dial(hello);
    assert!(bench.welcome(next).resumed);
    assert_eq!(bench.lease(next), granted);
}

/// Nobody knows its id: it would only take room until it expires.
#[test]
fn a_lease_that_is_issued_after_its_session_has_ended_is_ended() {
    let mut bench = Bench::new();
    bench.by_hand = true;
    let conn = reader(&mut bench);
    bench.frame(conn, ClientFrame::Lease);
    let (op, open) = bench.ops.remove(bench.ops.len() - 1).expect("the lease is asked for");
    let outcome = bench.store.apply(bench.now, open.clone());
    bench.bye(conn);
    bench.act(|node, now| node.handle_store(now, op, outcome));
    assert!(matches!(about_leases(&bench)[..], [StoreOp::EndLease { .. }]));
    bench.store_all();
    let StoreOp::OpenLease { id, .. } = open else { panic!("{open:?}") };
    let end = bench.store.apply(bench.now, StoreOp::EndLease { id });
    assert_eq!(end, StoreOutcome::Done);
    assert_eq!(bench.node.load().leases, 0);
}

#[test]
fn who_gets_no_lease_is_refused_as_at_a_handshake_and_may_ask_again() {
    let mut bench = Bench::with(|config| config.leases_per_principal = 1);
    let other = bench.attach();
    let mut hello = bench.hello();
    hello.instance.0 += 1;
    hello.lease_later = true;
    let conn = bench.dial(hello);
    bench.ack(conn);
    bench.frame(conn, ClientFrame::Lease);
    assert_eq!(bench.code(conn), Some(4004));
    bench.bye(other);
    let mut hello = bench.again(conn);
    hello.instance.0 += 1;
    hello.lease_later = false;
    let next = bench.dial(hello);
    assert!(bench.welcome(next).resumed);
    assert_eq!(bench.lease(next).state, LeaseState::New);
}

#[test]
fn a_socket_that_ends_while_the_store_is_asked_lets_the_lease_go() {
    let mut bench = Bench::new();
    bench.by_hand = true;
    let conn = reader(&mut bench);
    bench.frame(conn, ClientFrame::Lease);
    bench.act(|node, now| node.handle_disconnected(now, conn, lost()));
    bench.store_one();
    assert!(matches!(about_leases(&bench)[..], [StoreOp::RenewLease { held: false, .. }]));
}

#[test]
fn who_is_told_to_leave_gets_no_lease() {
    let mut bench = Bench::new();
    bench.by_hand = true;
    let conn = reader(&mut bench);
    let other = reader(&mut bench);
    bench.frame(other, ClientFrame::Lease);
    let draining = |node: &mut Node, now| {
        node.drain(now, 30_000, 0);
        // It has not heard of GOAWAY yet.
        node.handle_frame(now, conn, ClientFrame::Lease);
    };
    bench.act(draining);
    assert_eq!(about_leases(&bench).len(), 1);
    assert_eq!((bench.code(conn), bench.code(other)), (Some(4010), Some(4010)));
    bench.store_all();
    assert_eq!(bench.node.load().store_operations, 0);
}

/// It may have come and gone since it was asked for, and then nobody may open it again.
#[test]
fn a_lease_is_asked_for_as_of_the_latest_time_of_the_store() {
    let mut bench = Bench::new();
    let conn = reader(&mut bench);
    bench.by_hand = true;
    bench.frame(conn, ClientFrame::Lease);
    let as_of = |bench: &Bench| match about_leases(bench)[..] {
        [StoreOp::OpenLease { as_of, .. }] => *as_of,
        ref other => panic!("{other:?}"),
    };
    assert_eq!(as_of(&bench).incarnation, 0);
    let at = StoreTime { incarnation: 7, ms: 500 };
    bench.outcome(StoreOutcome::Stale { at });
    assert_eq!(as_of(&bench), at, "at once");
    // A store that goes on saying so is asked again, after a while.
    let later = StoreTime { ms: 900, ..at };
    bench.outcome(StoreOutcome::Stale { at: later });
    assert_eq!(bench.ops.len(), 0);
    bench.pass(1_000);
    assert_eq!(as_of(&bench), later);
    // An answer that comes late tells an earlier time.
    bench.outcome(StoreOutcome::Failed);
    bench.act(|node, now| {
        let granted = StoreOutcome::Unsettled { at, records: Vec::new() };
        node.handle_store(now, OpId(u64::MAX), granted);
    });
    bench.pass(1_000);
    assert_eq!(as_of(&bench), later);
    let wanted = bench.ops.pop_front().expect("the lease is asked for");
    let StoreOp::OpenLease { id, as_of: _, holder, .. } = wanted.1 else { panic!() };
    let claim = Claim { generation: Generation(1), holder };
    let granted = StoreOutcome::Lease { at: later, low: CommandNo(1), claim, records: Vec::new() };
    bench.act(|node, now| node.handle_store(now, wanted.0, granted));
    assert_eq!(bench.lease(conn).id, id);
}
