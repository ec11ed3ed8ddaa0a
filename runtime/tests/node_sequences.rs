//! What carries commands and answers: sequences, windows, acks, the low-water mark (PROTOCOL.md 4.2
//! to 4.7, 5.3, 5.4).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, told_answers as told};
use steadfast::wire::{ClientFrame, CommandNo, Seq, ServerFrame, Window};

/// PROTOCOL.md 5.3
#[test]
fn a_command_beyond_the_span_is_an_error() {
    let mut bench = Bench::with(|config| config.span = 4);
    let conn = bench.attach();
    (1..=4).for_each(|n| bench.ask(conn, n));
    assert_eq!(bench.code(conn), None);
    bench.ask(conn, 5);
    assert_eq!(bench.code(conn), Some(4410));
}

/// PROTOCOL.md 5.4: a low mark above what was used can't be; one below the highest seen is ignored.
#[test]
fn a_low_mark_is_honest_and_never_falls() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.finish(1);
    bench.peer(conn).low = 2;
    bench.ack(conn);
    bench.peer(conn).low = 1;
    bench.ack(conn);
    assert_eq!(bench.code(conn), None);
    bench.peer(conn).low = 3;
    bench.ack(conn);
    assert_eq!(bench.code(conn), Some(4410));
}

/// PROTOCOL.md 5.4: answers that still wait for the window are forgotten too, so a client that
/// never acks costs no more than its window.
#[test]
fn answers_below_low_do_not_pile_up_behind_a_full_window() {
    let mut bench = Bench::new();
    let mut hello = bench.hello();
    hello.window = Window { frames: 2, bytes: 1_000 };
    let conn = bench.dial(hello);
    for n in 1..=20 {
        let mut command = bench.command_frame(conn, "post", n, "{}");
        command.ack = Seq::ZERO;
        command.low = CommandNo(n);
        bench.frame(conn, ClientFrame::Command(command));
        bench.finish(n);
    }
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (2, "ok")]));
    bench.peer(conn).low = 20;
    bench.ack(conn);
    assert_eq!(bench.answers(conn), told(&[(20, "ok")]), "nobody waits for those in between");
}

/// PROTOCOL.md 4.2
#[test]
fn a_gap_or_a_repetition_in_the_sequence_is_an_error() {
    for seq in [0, 1, 3, (1 << 53) - 1] {
        let mut bench = Bench::new();
        let conn = bench.attach();
        bench.post(conn, 1);
        let mut command = bench.command_frame(conn, "post", 2, "{}");
        command.seq = Seq(seq);
        bench.frame(conn, ClientFrame::Command(command));
        assert_eq!(bench.code(conn), Some(4410), "{seq}");
    }
}

/// PROTOCOL.md 4.6
#[test]
fn a_client_that_exceeds_the_window_is_cut_off() {
    let mut bench = Bench::with(|config| config.window = Window { frames: 2, bytes: 1_000_000 });
    let conn = bench.attach();
    bench.stuck.insert(conn);
    (1..=3).for_each(|n| bench.ask(conn, n));
    assert_eq!(bench.code(conn), Some(4410));
}

/// PROTOCOL.md 4.6: one frame may always be sent.
#[test]
fn one_frame_larger_than_the_window_may_be_sent_alone() {
    let mut bench = Bench::with(|config| config.window = Window { frames: 10, bytes: 10 });
    let conn = bench.attach();
    bench.send(conn, "ask", 1, &"1".repeat(100));
    assert_eq!(bench.code(conn), None);
    bench.stuck.insert(conn);
    bench.send(conn, "ask", 2, "1");
    bench.send(conn, "ask", 3, &"1".repeat(100));
    assert_eq!(bench.code(conn), Some(4410));
}

/// PROTOCOL.md 4.6: the client's window holds for the server.
#[test]
fn answers_wait_for_the_clients_window() {
    let mut bench = Bench::new();
    let mut hello = bench.hello();
    hello.window = Window { frames: 2, bytes: 1_000 };
    let conn = bench.dial(hello);
    (1..=5).for_each(|n| bench.ask(conn, n));
    (1..=5).for_each(|n| bench.finish(n));
    assert_eq!(bench.answers(conn).len(), 2);
    bench.ack(conn);
    assert_eq!(bench.answers(conn).len(), 2);
    bench.ack(conn);
    assert_eq!(bench.answers(conn).len(), 1);
}

/// PROTOCOL.md 4.4
#[test]
fn an_ack_above_what_was_sent_is_an_error_and_one_below_is_ignored() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=2).for_each(|n| bench.ask(conn, n));
    (1..=2).for_each(|n| bench.finish(n));
    bench.ack(conn);
    bench.peer(conn).recv = 1;
    bench.ack(conn);
    assert_eq!(bench.code(conn), None);
    bench.peer(conn).recv = 3;
    bench.ack(conn);
    assert_eq!(bench.code(conn), Some(4410));
}

fn acks(frames: &[ServerFrame]) -> Vec<u64> {
    frames
        .iter()
        .filter_map(|frame| if let ServerFrame::Ack { ack } = frame { Some(ack.0) } else { None })
        .collect()
}

/// PROTOCOL.md 4.5
#[test]
fn an_ack_goes_out_alone_by_count_by_bytes_and_by_time() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=31).for_each(|n| bench.ask(conn, n));
    assert!(acks(&bench.take(conn)).is_empty());
    bench.ask(conn, 32);
    assert_eq!(acks(&bench.take(conn)), [32]);
    bench.ask(conn, 33);
    bench.pass(250);
    assert_eq!(acks(&bench.take(conn)), [33]);
    let mut bench = Bench::with(|config| config.window = Window { frames: 100, bytes: 100 });
    let conn = bench.attach();
    bench.send(conn, "ask", 1, &"1".repeat(50));
    assert_eq!(acks(&bench.take(conn)), [1]);
    let mut bench = Bench::with(|config| config.window = Window { frames: 4, bytes: 100_000 });
    let conn = bench.attach();
    bench.ask(conn, 1);
    bench.ask(conn, 2);
    assert_eq!(acks(&bench.take(conn)), [2]);
}

/// PROTOCOL.md 4.5: not if another frame has carried it.
#[test]
fn an_answer_carries_the_ack() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.ask(conn, 1);
    bench.finish(1);
    bench.pass(1_000);
    let frames = bench.take(conn);
    assert!(matches!(&frames[..], [ServerFrame::Result { ack: Seq(1), .. }]), "{frames:?}");
}

/// PROTOCOL.md 4.7: what is sent again by both sides is answered once.
#[test]
fn answers_do_not_pile_up_over_resumes_without_acks() {
    let mut bench = Bench::new();
    let mut conn = bench.attach();
    for _ in 0..20 {
        let first = bench.peers[&conn].seq;
        for n in 1..=50 {
            let mut frame = bench.command_frame(conn, "post", n, "{}");
            frame.ack = Seq(0);
            bench.frame(conn, ClientFrame::Command(frame));
            if first == 0 {
                bench.finish(n);
            }
        }
        let mut hello = bench.again(conn);
        hello.resume.as_mut().expect("a session").recv = Seq(0);
        bench.cut(conn);
        conn = bench.dial(hello);
        bench.read(conn);
        assert!(bench.node.load().answers_waiting <= 256, "{:?}", bench.node.load());
    }
}
