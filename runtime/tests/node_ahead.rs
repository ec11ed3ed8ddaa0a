//! Ordered commands handed out ahead of their turn begin after one another, or come back
//! (PROTOCOL.md 5.5).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's harness")]

use std::sync::Arc;

use bytes::Bytes;
use steadfast::session::Now;
use steadfast::session::node::{
    ConnId, ExecId, Executed, Execution, Identity, MessageKind, MessageSpec, Node, NodeConfig,
    Principal,
};
use steadfast::session::store::Outcome;
use steadfast::store::MemoryState;
use steadfast::wire::{
    Body, ClientFrame, Codec, CommandFrame, CommandNo, Dial, Hello, InstanceId, Name, Outgoing,
    Seq, ServerFrame, Window,
};

const CONN: ConnId = ConnId(1);
const NOW: Now = Now(0);

struct Attached {
    node: Node,
    store: MemoryState,
    sent: u64,
}

impl Attached {
    fn new() -> Self {
        let mut config = NodeConfig::new("chat");
        let kind = MessageKind::Command { ordered: true };
        let name = Name::from_static("post").unwrap();
        config.add_message(MessageSpec {
            name,
            index: 0,
            kind,
            timeout_ms: 10_000,
            max_bytes: 100,
        });
        let mut this = Self {
            node: Node::new(Arc::new(config), [1; 32]),
            store: MemoryState::default(),
            sent: 0,
        };
        this.node.handle_connected(NOW, CONN, Codec::Json);
        let window = Window { frames: 256, bytes: 65_536 };
        let hello = Hello {
            v: 1,
            protocol: "chat".into(),
            version: "1".into(),
            token: None,
            instance: InstanceId(1),
            dial: Dial(1),
            window,
            resume: None,
            lease: None,
        };
        this.node.handle_frame(NOW, CONN, ClientFrame::Hello(Box::new(hello)));
        let Some(Execution::Authenticate { exec, .. }) = this.node.poll_execute() else {
            panic!("no authentication")
        };
        let identity = Identity { principal: Principal::new("ann"), expires_in_ms: None };
        this.node.handle_executed(NOW, exec, Executed::Authenticated(Ok(identity)));
        this.settle();
        this
    }

    fn settle(&mut self) {
        while let Some((op, what)) = self.node.poll_store() {
            let outcome = self.store.apply(NOW, what);
            self.node.handle_store(NOW, op, outcome);
        }
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
                name: Name::from_static("post").unwrap(),
                body: Body(Bytes::from_static(b"{}")),
            };
            self.node.handle_frame(NOW, CONN, ClientFrame::Command(command));
        }
    }

    fn end(&mut self, exec: ExecId) {
        let executed =
            Executed::Command { outcome: Outcome::Ok(Body::UNIT), publishes: Vec::new() };
        self.node.handle_executed(NOW, exec, executed);
    }

    fn answered(&mut self) -> Vec<u64> {
        self.settle();
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
    let (first, mut last) = number(&it.node.poll_execute().unwrap());
    let mut begun = vec![(first, last)];
    while let Some(next) = it.node.poll_execute_after(NOW, last) {
        begun.push(number(&next));
        last = number(&next).1;
    }
    assert_eq!(begun.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [1, 2, 3]);
    begun.iter().for_each(|(_, exec)| it.end(*exec));
    assert_eq!(it.answered(), [1, 2, 3]);
}

#[test]
fn what_did_not_begin_begins_when_the_one_before_it_has_ended() {
    let mut it = Attached::new();
    it.post(3);
    let (_, first) = number(&it.node.poll_execute().unwrap());
    let second = it.node.poll_execute_after(NOW, first).unwrap();
    let third = it.node.poll_execute_after(NOW, number(&second).1).unwrap();
    it.node.handle_unbegun(NOW, first, vec![second, third]);
    assert_eq!(it.node.poll_execute(), None, "the first one still runs");
    it.post(1);
    assert_eq!(it.node.poll_execute(), None, "a new one waits behind them");
    let mut running = first;
    for n in 2..=4 {
        it.end(running);
        let (next, exec) = number(&it.node.poll_execute().unwrap());
        assert_eq!((next, it.node.poll_execute()), (n, None));
        running = exec;
    }
    it.end(running);
    assert_eq!(it.answered(), [1, 2, 3, 4]);
}

#[test]
fn what_did_not_begin_begins_at_once_when_the_one_before_it_has_ended_meanwhile() {
    let mut it = Attached::new();
    it.post(2);
    let (_, first) = number(&it.node.poll_execute().unwrap());
    let second = it.node.poll_execute_after(NOW, first).unwrap();
    it.end(first);
    assert_eq!(it.node.poll_execute(), None, "the second one is still handed out");
    it.node.handle_unbegun(NOW, first, vec![second]);
    let (n, exec) = number(&it.node.poll_execute().unwrap());
    assert_eq!(n, 2);
    it.end(exec);
    assert_eq!(it.answered(), [1, 2]);
}

#[test]
fn nothing_is_left_running_of_what_came_back() {
    let mut it = Attached::new();
    it.post(2);
    let (_, first) = number(&it.node.poll_execute().unwrap());
    let second = it.node.poll_execute_after(NOW, first).unwrap();
    it.node.handle_unbegun(NOW, first, vec![second]);
    it.end(first);
    let (n, exec) = number(&it.node.poll_execute().unwrap());
    assert_eq!((n, it.node.poll_execute()), (2, None));
    it.end(exec);
    assert_eq!(it.node.load().executions, 0);
    assert_eq!(it.answered(), [1, 2]);
}
