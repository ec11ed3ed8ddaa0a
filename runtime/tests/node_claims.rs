//! A lease that another node claims: what the node that had it still does, and what it does not
//! take for another node's claim (PROTOCOL.md 4.14).

mod node_support;

use node_support::{Bench, config, told_answers};
use steadfast::session::node::ConnId;
use steadfast::session::store::{Generation, StoreOp, StoreOutcome, StoreTime};
use steadfast::wire::{Codec, CommandNo, Dial, InstanceId, LeaseClaim, LeaseId};
use steadfast_rig::fixtures;

/// A node with a client whose commands 1, 2 and 4 run one after the other, and 3 beside them.
fn busy() -> (Bench, ConnId, LeaseId) {
    let mut a = Bench::new();
    let conn = a.attach();
    a.post(conn, 1);
    a.post(conn, 2);
    a.ask(conn, 3);
    a.post(conn, 4);
    assert_eq!(a.running(), [1, 3]);
    let lease = a.lease(conn).id;
    (a, conn, lease)
}

/// A process goes on with a lease at another node of the same store.
fn claimed_elsewhere(a: &mut Bench, lease: LeaseId, instance: u128) -> (Bench, ConnId) {
    let mut b = Bench::of(config(), [9; 32]);
    std::mem::swap(&mut a.store, &mut b.store);
    let mut hello = b.hello();
    (hello.instance, hello.dial) = (InstanceId(instance), Dial(2));
    hello.lease = Some(LeaseClaim { id: lease, low: CommandNo(1), next: CommandNo(5) });
    let conn = b.dial(hello);
    std::mem::swap(&mut a.store, &mut b.store);
    (b, conn)
}

#[test]
fn a_node_that_learns_of_a_later_claim_starts_nothing_and_finishes_what_runs() {
    let (mut a, conn, lease) = busy();
    let (mut b, at_b) = claimed_elsewhere(&mut a, lease, 7);
    a.finish(1);
    assert_eq!(a.running(), [3, 2], "the second one started before the store told");
    assert_eq!(a.code(conn), Some(4002));
    assert_eq!((a.node.load().sessions, a.node.load().leases), (0, 1));
    a.finish(2);
    assert_eq!(a.running(), [3], "the fourth one does not");
    a.finish(3);
    assert_eq!((a.node.load().leases, a.node.load().timers), (0, 0));
    std::mem::swap(&mut a.store, &mut b.store);
    (1..=2).for_each(|n| b.post(at_b, n));
    b.ask(at_b, 3);
    b.post(at_b, 4);
    [1, 3, 2, 4].into_iter().for_each(|n| b.finish(n));
    let told = told_answers(&[(1, "ok"), (3, "ok"), (2, "ok"), (4, "ok")]);
    assert_eq!(b.answers(at_b), told, "the other node runs what it can't know, and finds records");
}

#[test]
fn a_node_that_learns_of_a_later_claim_from_a_renewal_starts_nothing() {
    let (mut a, conn, lease) = busy();
    claimed_elsewhere(&mut a, lease, 7);
    a.cut(conn);
    a.finish(1);
    assert_eq!(a.running(), [3]);
    a.finish(3);
    assert_eq!((a.node.load().sessions, a.node.load().leases, a.node.load().timers), (0, 0, 0));
}

#[test]
fn another_process_at_another_node_supersedes() {
    let (mut a, conn, lease) = busy();
    claimed_elsewhere(&mut a, lease, 8);
    a.finish(1);
    assert_eq!(a.code(conn), Some(4300));
}

#[test]
fn an_earlier_holder_lets_nothing_go() {
    let mut a = Bench::with(|config| config.leases_per_principal = 1);
    let conn = a.attach();
    let lease = a.lease(conn).id;
    claimed_elsewhere(&mut a, lease, 7);
    a.cut(conn);
    let open = StoreOp::OpenLease {
        id: LeaseId(99),
        as_of: StoreTime::default(),
        holder: fixtures::holder(9),
        principal: fixtures::ANN.into(),
        codec: Codec::Json,
        ttl_ms: 1_000,
        unused_ttl_ms: 1_000,
        max_per_principal: 1,
        held_ms: 600_000,
    };
    assert_eq!(a.store.apply(a.now, open), StoreOutcome::TooManyLeases);
}

/// A client that comes back with a new session to the node that it left.
fn back(bench: &mut Bench, conn: ConnId) -> ConnId {
    let mut hello = bench.again(conn);
    hello.resume = None;
    bench.dial(hello)
}

#[test]
fn a_node_does_not_take_its_own_claim_for_another_ones() {
    let (mut a, conn, _) = busy();
    a.by_hand = true;
    a.finish(1);
    let next = back(&mut a, conn);
    // The claim comes to the store first; what it did is told with the answer to the commit.
    let claim = a.ops.remove(1).expect("the claim");
    assert!(matches!(claim.1, StoreOp::ClaimLease { .. }));
    let claimed = a.store.apply(a.now, claim.1);
    a.store_one();
    assert_eq!(a.code(conn), None);
    a.act(|node, now| node.handle_store(now, claim.0, claimed));
    a.store_all();
    assert_eq!(a.code(conn), Some(4002), "only the newer socket has taken over");
    assert_eq!(a.code(next), None);
    assert_eq!(a.running(), [3, 2]);
}

/// The connection that claimed is gone: the claim counts all the same, and the node says what is
/// true since.
#[test]
fn a_claim_whose_connection_is_gone_lets_the_lease_go_again() {
    let (mut a, conn, _) = busy();
    let next = back(&mut a, conn);
    a.by_hand = true;
    let last = back(&mut a, next);
    let (claim, what) = a.ops.pop_front().expect("the claim");
    let claimed = a.store.apply(a.now, what);
    a.cut(last);
    a.act(|node, now| node.handle_store(now, claim, claimed));
    a.cut(next);
    let renewal = |bench: &Bench| match bench.ops.front() {
        Some((_, StoreOp::RenewLease { generation, held, .. })) => (*generation, *held),
        other => panic!("{other:?}"),
    };
    assert_eq!(renewal(&a), (Generation(2), false));
    a.store_one();
    assert_eq!(renewal(&a), (Generation(3), false), "of the older claim it counted for nothing");
    a.store_one();
    assert!(a.ops.is_empty());
}
