//! One principal at its worst beside another one: places for commands, publications that wait, and
//! sessions. Each kind of resource is shared, and nobody who asks for little waits for somebody who
//! asks for much.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, event, told_answers as told};
use steadfast::session::node::{ConnId, Execution, NodeConfig};
use steadfast::session::store::Outcome;
use steadfast::wire::{ClientFrame, CommandNo, LeaseClaim};
use steadfast_rig::fixtures::{ANN, BOB, CONCURRENT, body, log};

/// Which commands run, by their connection and number.
fn running(bench: &Bench) -> Vec<(ConnId, u64)> {
    let place = |execution: &Execution| match execution {
        Execution::Command { conn, n, .. } => Some((*conn, n.0)),
        _ => None,
    };
    bench.executions.iter().filter_map(place).collect()
}

#[test]
fn one_principal_leaves_places_to_others() {
    let mut bench = Bench::with(|config| {
        (config.executions, config.executions_per_principal) = (5, 3);
    });
    let (first, second) = (bench.attach_as(BOB), bench.attach_as(BOB));
    (1..=4).for_each(|n| bench.ask(first, n));
    (1..=4).for_each(|n| bench.ask(second, n));
    assert_eq!(running(&bench), [(first, 1), (first, 2), (first, 3)]);
    let ann = bench.attach_as(ANN);
    (1..=3).for_each(|n| bench.ask(ann, n));
    assert_eq!(running(&bench)[3..], [(ann, 1), (ann, 2)]);
    assert_eq!(bench.node.peaks().principal_executions, 3);
}

#[test]
fn one_lease_leaves_places_to_the_others_of_its_principal() {
    let mut bench = Bench::with(|config| {
        (config.executions_per_principal, config.executions_per_lease) = (3, 2);
    });
    let (first, second) = (bench.attach_as(BOB), bench.attach_as(BOB));
    (1..=4).for_each(|n| bench.ask(first, n));
    (1..=4).for_each(|n| bench.ask(second, n));
    assert_eq!(running(&bench), [(first, 1), (first, 2), (second, 1)]);
}

/// Places go round among principals, and among the leases of each; within a lease in its order.
#[test]
fn free_places_go_round() {
    let mut bench = Bench::with(|config| config.executions = 1);
    let (first, second) = (bench.attach_as(BOB), bench.attach_as(BOB));
    (1..=4).for_each(|n| bench.ask(first, n));
    (1..=2).for_each(|n| bench.ask(second, n));
    let ann = bench.attach_as(ANN);
    (1..=2).for_each(|n| bench.ask(ann, n));
    let mut order = Vec::new();
    while let [(conn, n)] = running(&bench)[..] {
        order.push((conn, n));
        bench.finish(n);
    }
    let turns = [
        (first, 1),
        (first, 2),
        (ann, 1),
        (second, 1),
        (ann, 2),
        (first, 3),
        (second, 2),
        (first, 4),
    ];
    assert_eq!(order, turns);
    assert_eq!(bench.node.load().commands_waiting, 0);
}

#[test]
fn hopeless_waiting_is_refused_at_once() {
    let mut bench = Bench::with(|config| {
        config.executions = 1;
        (config.commands_waiting, config.commands_waiting_per_principal) = (3, 2);
    });
    let bob = bench.attach_as(BOB);
    (1..=5).for_each(|n| bench.ask(bob, n));
    assert_eq!(bench.answers(bob), told(&[(4, "refused Overload"), (5, "refused Overload")]));
    let (other, ann) = (bench.attach_as(BOB), bench.attach_as(ANN));
    bench.post(other, 1);
    assert_eq!(
        bench.answers(other),
        told(&[(1, "refused Overload")]),
        "another lease does not help"
    );
    (1..=2).for_each(|n| bench.ask(ann, n));
    assert_eq!(
        bench.answers(ann),
        told(&[(2, "refused Overload")]),
        "the node has as many as it may"
    );
    let last = bench.attach_as("eve");
    (1..=2).for_each(|n| bench.ask(last, n));
    assert_eq!(bench.answers(last), told(&[(2, "refused Overload")]), "one may always wait");
    [1, 2, 1].into_iter().for_each(|n| bench.finish(n));
    bench.ask(bob, 4);
    assert_eq!(bench.node.load().commands_waiting, 2, "what was refused may come again");
}

/// A caller who has less time than others have just waited is told so, instead of that its time is
/// over when it is.
#[test]
fn a_command_that_may_not_wait_so_long_is_refused_at_once() {
    let mut bench = Bench::with(|config| config.executions = 1);
    let bob = bench.attach_as(BOB);
    (1..=3).for_each(|n| bench.ask(bob, n));
    bench.pass(4_000);
    bench.finish(1);
    let hurried = |bench: &mut Bench, n, deadline_ms| {
        let mut command = bench.command_frame(bob, CONCURRENT, n, "{}");
        command.deadline_ms = Some(deadline_ms);
        bench.frame(bob, ClientFrame::Command(command));
    };
    bench.take(bob);
    hurried(&mut bench, 4, 4_000);
    hurried(&mut bench, 5, 4_001);
    assert_eq!(bench.answers(bob), told(&[(4, "refused Overload")]));
    bench.finish(2);
    bench.finish(3);
    hurried(&mut bench, 6, 1);
    assert_eq!(bench.answers(bob).len(), 2, "nobody has waited since");
}

/// However a command ends, its principal gets the place back.
#[test]
fn a_quota_is_given_back_by_every_end() {
    let mut bench = Bench::with(|config| {
        (config.executions_per_principal, config.executions_per_lease) = (2, 2);
    });
    for round in 0..5 {
        let bob = bench.attach_as(BOB);
        (1..=6).for_each(|n| bench.ask(bob, n));
        assert_eq!(running(&bench).len(), 2, "{round}");
        match round {
            0 => (1..=6).for_each(|n| bench.finish(n)),
            1 => bench.pass(30_000),
            _ => {
                bench.peer(bob).low = 4;
                bench.ack(bob);
                bench.executions.retain(
                    |execution| matches!(execution, Execution::Command { n, .. } if n.0 >= 4),
                );
                let lease = bench.lease(bob).id;
                (4..=6).for_each(|n| bench.finish(n));
                bench.cut(bob);
                assert!(bench.node.load().leases > 0, "{lease}");
            }
        }
        bench.executions.clear();
        let peaks = bench.node.peaks();
        assert_eq!((peaks.principal_executions, peaks.principal_waiting), (0, 0), "{round}");
    }
}

/// A bench with two clients of one principal and one of another. Two publications of the first wait
/// for a store that does not take them.
fn two_wait(set: impl FnOnce(&mut NodeConfig)) -> (Bench, [ConnId; 3]) {
    let mut bench = Bench::with(set);
    let conns = [BOB, BOB, ANN].map(|user| {
        let conn = bench.attach_as(user);
        bench.post(conn, 1);
        bench.finish(1);
        bench.take(conn);
        conn
    });
    bench.post(conns[0], 2);
    bench.by_hand = true;
    let publishes = vec![event(log("a"), 1), event(log("b"), 2)];
    bench.finish_with(2, Outcome::Ok(body("{}")), publishes);
    bench.written_unsettled();
    assert_eq!(bench.answers(conns[0]), told(&[(2, "ok")]));
    (bench, conns)
}

#[test]
fn one_principal_whose_publications_wait_is_refused_and_others_are_not() {
    let bounds: [fn(&mut NodeConfig); 2] = [
        |config| config.publishes_waiting_per_principal = 2,
        |config| config.publish_bytes_waiting_per_principal = 2,
    ];
    for bound in bounds {
        let (mut bench, [first, second, ann]) = two_wait(bound);
        bench.post(first, 3);
        bench.post(second, 2);
        bench.post(ann, 2);
        assert_eq!(bench.answers(first), told(&[(3, "refused Overload")]));
        assert_eq!(bench.answers(second), told(&[(2, "refused Overload")]));
        assert_eq!(running(&bench), [(ann, 2)]);
        let peaks = bench.node.peaks();
        assert_eq!((peaks.principal_publishes, peaks.principal_publish_bytes), (2, 2));
        bench.store_all();
        let peaks = bench.node.peaks();
        assert_eq!((peaks.principal_publishes, peaks.principal_publish_bytes), (0, 0));
        bench.post(first, 3);
        assert_eq!(running(&bench), [(ann, 2), (first, 3)], "they are in their logs");
    }
}

#[test]
fn while_as_many_publications_wait_as_may_those_without_any_are_served() {
    let bounds: [fn(&mut NodeConfig); 2] =
        [|config| config.publishes_waiting = 2, |config| config.publish_bytes_waiting = 2];
    for bound in bounds {
        let (mut bench, [first, second, ann]) = two_wait(bound);
        bench.post(first, 3);
        bench.post(second, 2);
        bench.post(ann, 2);
        assert_eq!(running(&bench), [(ann, 2)]);
        let load = bench.node.load();
        assert_eq!((load.publishes_waiting, load.publish_bytes_waiting), (2, 2));
        bench.store_all();
        let load = bench.node.load();
        assert_eq!((load.publishes_waiting, load.publish_bytes_waiting), (0, 0));
    }
}

/// Names are cheap where everybody may come: whoever fills the table and leaves is forgotten first.
#[test]
fn sessions_that_were_never_used_make_room_for_newcomers() {
    let mut bench = Bench::with(|config| config.sessions = 4);
    let ann = bench.attach_as(ANN);
    bench.post(ann, 1);
    bench.finish(1);
    bench.cut(ann);
    let stays = bench.attach_as("stays");
    for flood in 0..50 {
        bench.pass(1);
        let conn = bench.attach_as(&format!("flood {flood}"));
        bench.cut(conn);
        assert!(bench.node.load().sessions <= 4, "{flood}");
    }
    let hello = bench.again(ann);
    let ann = bench.dial(hello);
    assert!(bench.welcome(ann).resumed, "who has used its session keeps it");
    assert_eq!(bench.code(stays), None, "who is there stays");
}

#[test]
fn while_all_are_there_newcomers_are_refused() {
    let mut bench = Bench::with(|config| config.sessions = 2);
    let (first, second) = (bench.attach_as(ANN), bench.attach_as(BOB));
    let hello = bench.hello();
    let third = bench.dial(hello);
    assert_eq!(bench.code(third), Some(4004));
    bench.cut(second);
    bench.pass(1);
    let hello = bench.hello();
    let fourth = bench.dial(hello);
    assert_eq!((bench.code(fourth), bench.code(first)), (None, None));
    let hello = bench.again(second);
    let back = bench.dial(hello);
    assert_eq!(bench.code(back), Some(4004), "its session has made room, and there is none");
}

/// A principal at its quota takes nothing from others: one of its own sessions makes room.
#[test]
fn one_principal_has_no_more_sessions_than_its_quota() {
    let mut bench = Bench::with(|config| config.sessions_per_principal = 2);
    let ann = bench.attach_as(ANN);
    bench.cut(ann);
    bench.pass(1);
    let (first, second) = (bench.attach_as(BOB), bench.attach_as(BOB));
    let mut hello = bench.hello();
    hello.token = Some(BOB.into());
    let third = bench.dial(hello);
    assert_eq!(bench.code(third), Some(4004), "both are there");
    bench.post(first, 1);
    bench.finish(1);
    bench.cut(first);
    bench.pass(1);
    bench.cut(second);
    bench.pass(1);
    bench.attach_as(BOB);
    let back = |bench: &mut Bench, conn, user: &str| {
        let mut hello = bench.again(conn);
        hello.token = Some(user.into());
        let conn = bench.dial(hello);
        bench.welcome(conn).resumed
    };
    assert!(back(&mut bench, first, BOB), "it was used");
    assert!(back(&mut bench, ann, ANN), "it is somebody else's");
    assert_eq!(bench.node.peaks().principal_sessions, 2);
}

/// Naming somebody else's lease opens no door: what it would replace is not one's own.
#[test]
fn who_names_somebody_elses_lease_has_no_more_sessions_than_its_quota() {
    let mut bench = Bench::with(|config| config.sessions_per_principal = 1);
    let ann = bench.attach_as(ANN);
    let lease = bench.lease(ann).id;
    let bob = bench.attach_as(BOB);
    let mut hello = bench.hello();
    hello.token = Some(BOB.into());
    hello.lease = Some(LeaseClaim { id: lease, low: CommandNo(1), next: CommandNo(1) });
    let second = bench.dial(hello);
    assert_eq!(bench.code(second), Some(4004));
    assert_eq!((bench.code(ann), bench.code(bob)), (None, None), "and nobody leaves for it");
    assert_eq!(bench.node.peaks().principal_sessions, 1);
}

/// The same at a node that is full: a stranger takes no place beyond the last one.
#[test]
fn who_names_somebody_elses_lease_finds_a_full_node_full() {
    let mut bench = Bench::with(|config| config.sessions = 1);
    let ann = bench.attach_as(ANN);
    let lease = bench.lease(ann).id;
    let mut hello = bench.hello();
    hello.token = Some(BOB.into());
    hello.lease = Some(LeaseClaim { id: lease, low: CommandNo(1), next: CommandNo(1) });
    let bob = bench.dial(hello);
    assert_eq!((bench.code(ann), bench.code(bob)), (None, Some(4004)));
    assert_eq!(bench.node.load().sessions, 1);
}
