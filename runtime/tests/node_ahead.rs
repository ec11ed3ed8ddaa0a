//! Ordered commands handed out ahead of their order begin after one another, or come back
//! (PROTOCOL.md 5.5). Outputs are taken by hand: which one comes next is what is tested.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's harness")]

use std::sync::Arc;

use steadfast::session::Now;
use steadfast::session::node::{ConnId, ExecId, Execution, Node, Output};
use steadfast::store::MemoryState;
use steadfast::wire::{
    Body, ClientFrame, Codec, CommandFrame, CommandNo, Outgoing, Seq, ServerFrame,
};
use steadfast_rig::fixtures::{self, ANN, ORDERED, hello, name};

const CONN: ConnId = ConnId(1);
const NOW: Now = Now(0);

struct Attached {
    node: Node,
    store: MemoryState,
    sent: u64,
}

impl Attached {
    fn new() -> Self {
        let mut this = Self {
            node: Node::new(Arc::new(fixtures::node_config()), [1; 32]),
            store: MemoryState::default(),
            sent: 0,
        };
        this.node.handle_connected(NOW, CONN, Codec::Json);
        this.node.handle_frame(NOW, CONN, ClientFrame::Hello(Box::new(hello(1, 1))));
        let Some((Execution::Authenticate { exec, .. }, false)) = this.execution() else {
            panic!("no authentication")
        };
        this.node.handle_executed(NOW, exec, fixtures::admitted(ANN));
        this.is_at_rest();
        this
    }

    fn is_at_rest(&mut self) {
        assert_eq!(self.execution(), None);
    }

    /// The next execution, and whether it is ahead of its order; the store answers meanwhile.
    fn execution(&mut self) -> Option<(Execution, bool)> {
        loop {
            match self.node.poll_output(NOW)? {
                Output::Execute { execution, ahead } => return Some((execution, ahead)),
                Output::Store(op, what) => {
                    let outcome = self.store.apply(NOW, what);
                    self.node.handle_store(NOW, op, outcome);
                }
                Output::Event(_) | Output::Interest { .. } => {}
            }
        }
    }

    fn first(&mut self) -> ExecId {
        let (execution, ahead) = self.execution().expect("a command is there");
        assert!(!ahead);
        number(&execution).1
    }

    fn ahead(&mut self) -> Execution {
        let (execution, ahead) = self.execution().expect("another one is there");
        assert!(ahead);
        execution
    }

    fn post(&mut self, count: u64) {
        for _ in 0..count {
            self.sent += 1;
            let command = CommandFrame {
                seq: Seq(self.sent),
                ack: Seq(0),
                n: CommandNo(self.sent),
                low: CommandNo(1),
                deadline_ms: None,
                name: name(ORDERED),
                body: fixtures::body("{}"),
            };
            self.node.handle_frame(NOW, CONN, ClientFrame::Command(command));
        }
    }

    fn end(&mut self, exec: ExecId) {
        self.node.handle_executed(NOW, exec, fixtures::ok(Body::UNIT));
    }

    fn answered(&mut self) -> Vec<u64> {
        self.is_at_rest();
        let frames = std::iter::from_fn(|| self.node.poll_transmit(NOW, CONN));
        let numbers = frames.filter_map(|out| match out {
            Outgoing::Frame(ServerFrame::Result { n, .. }) => Some(n.0),
            _ => None,
        });
        numbers.collect()
    }
}

fn number(execution: &Execution) -> (u64, ExecId) {
    match execution {
        Execution::Command { n, exec, .. } => (n.0, *exec),
        other => panic!("{other:?} is not a command"),
    }
}

#[test]
fn what_is_handed_out_ahead_is_answered_in_order() {
    let mut it = Attached::new();
    it.post(3);
    let mut begun = Vec::new();
    while let Some((execution, ahead)) = it.execution() {
        let (n, exec) = number(&execution);
        assert_eq!(ahead, n > 1);
        begun.push((n, exec));
    }
    assert_eq!(begun.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3]);
    begun.iter().for_each(|(_, exec)| it.end(*exec));
    assert_eq!(it.answered(), [1, 2, 3]);
}

#[test]
fn what_did_not_begin_begins_when_the_one_before_it_has_ended() {
    let mut it = Attached::new();
    it.post(3);
    let first = it.first();
    let unbegun = vec![it.ahead(), it.ahead()];
    it.node.handle_unbegun(NOW, first, unbegun);
    assert_eq!(it.execution(), None, "the first one still runs");
    it.post(1);
    assert_eq!(it.execution(), None, "a new one waits behind them");
    let mut running = first;
    for n in 2..=4 {
        it.end(running);
        let (execution, ahead) = it.execution().unwrap();
        let (next, exec) = number(&execution);
        assert_eq!((next, ahead), (n, false));
        running = exec;
        while let Some((unbegun, true)) = it.execution() {
            it.node.handle_unbegun(NOW, running, vec![unbegun]);
        }
    }
    it.end(running);
    assert_eq!(it.answered(), [1, 2, 3, 4]);
}

#[test]
fn what_did_not_begin_begins_at_once_when_the_one_before_it_has_ended_meanwhile() {
    let mut it = Attached::new();
    it.post(2);
    let first = it.first();
    let second = it.ahead();
    it.end(first);
    assert_eq!(it.execution(), None, "the second one is still handed out");
    it.node.handle_unbegun(NOW, first, vec![second]);
    let (execution, ahead) = it.execution().unwrap();
    let (n, exec) = number(&execution);
    assert_eq!((n, ahead), (2, false));
    it.end(exec);
    assert_eq!(it.answered(), [1, 2]);
}

#[test]
fn nothing_is_left_running_of_what_came_back() {
    let mut it = Attached::new();
    it.post(2);
    let first = it.first();
    let second = it.ahead();
    it.node.handle_unbegun(NOW, first, vec![second]);
    it.end(first);
    let exec = it.first();
    assert_eq!(it.execution(), None);
    it.end(exec);
    assert_eq!(it.node.load().executions, 0);
    assert_eq!(it.answered(), [1, 2]);
}
