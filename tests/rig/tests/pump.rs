//! The pump leaves nothing behind, and one that stops too early is found out.

use std::sync::Arc;

use steadfast::session::node::{ConnId, Executed, Execution, Node, NodeEvent};
use steadfast::session::store::{OpId, StoreOp};
use steadfast::session::{CloseCode, Now};
use steadfast::store::MemoryState;
use steadfast::wire::{ClientFrame, Codec, CommandFrame, CommandNo, Outgoing, Seq, ServerFrame};
use steadfast_rig::fixtures::{self, ANN, ORDERED, body, hello, name};
use steadfast_rig::pump::{Begun, NodeHarness, Pumped, left_at_node, pump_node};

const CONN: ConnId = ConnId(1);
const NOW: Now = Now(0);

/// A node with one client.
struct Stage {
    node: Node,
    store: MemoryState,
    woken: bool,
    frames: Vec<ServerFrame>,
    closed: Option<CloseCode>,
    /// Commands in the order in which they began, and whether each ends at once.
    begun: Vec<u64>,
    ends_at_once: bool,
    /// The mistake: the node is not asked again when its socket has taken something.
    forgets_to_poll: bool,
}

impl NodeHarness for Stage {
    fn node(&mut self) -> (&mut Node, Now) {
        (&mut self.node, NOW)
    }

    fn event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Wake(CONN) => self.woken = true,
            NodeEvent::Close(CONN, close) => self.closed = close.code,
            _ => {}
        }
    }

    fn store(&mut self, op: OpId, what: StoreOp) {
        let outcome = self.store.apply(NOW, what);
        self.node.handle_store(NOW, op, outcome);
    }

    fn begin(&mut self, execution: Execution) -> Begun {
        let executed = match &execution {
            Execution::Command { n, .. } => {
                self.begun.push(n.0);
                if !self.ends_at_once {
                    return Begun::Pends;
                }
                fixtures::ok(body("{}"))
            }
            Execution::Authenticate { .. } => fixtures::admitted(ANN),
            _ => Executed::Authorized(Ok(())),
        };
        self.node.handle_executed(NOW, execution.exec(), executed);
        Begun::Ended
    }

    fn transmit(&mut self) -> bool {
        if !std::mem::take(&mut self.woken) {
            return false;
        }
        while let Some(outgoing) = self.node.poll_transmit(NOW, CONN) {
            if let Outgoing::Frame(frame) = outgoing {
                self.frames.push(frame);
            }
        }
        true
    }

    fn forgets_to_poll(&self) -> bool {
        self.forgets_to_poll
    }
}

impl Stage {
    fn connected() -> Self {
        let mut stage = Self {
            node: Node::new(Arc::new(fixtures::node_config()), [1; 32]),
            store: MemoryState::default(),
            woken: false,
            frames: Vec::new(),
            closed: None,
            begun: Vec::new(),
            ends_at_once: true,
            forgets_to_poll: false,
        };
        stage.node.start(NOW);
        stage.node.handle_connected(NOW, CONN, Codec::Json);
        stage.node.handle_frame(NOW, CONN, ClientFrame::Hello(Box::new(hello(1, 1))));
        stage.pump();
        assert!(matches!(stage.frames[..], [ServerFrame::Welcome(_)]), "{:?}", stage.frames);
        stage
    }

    fn pump(&mut self) -> Pumped {
        pump_node(self).expect("the node comes to rest")
    }

    fn send(&mut self, commands: u64) {
        for n in 1..=commands {
            let frame = CommandFrame {
                seq: Seq(n),
                ack: Seq(0),
                n: CommandNo(n),
                low: CommandNo(1),
                deadline_ms: None,
                name: name(ORDERED),
                body: body("{}"),
            };
            self.node.handle_frame(NOW, CONN, ClientFrame::Command(frame));
        }
    }
}

#[test]
fn what_transmitting_causes_is_carried_out_with_the_same_input() {
    let mut stage = Stage::connected();
    stage.node.drain(NOW, 60_000, 0);
    stage.pump();
    assert!(matches!(stage.frames[..], [_, ServerFrame::GoAway { .. }]), "{:?}", stage.frames);
    assert_eq!(stage.closed, Some(CloseCode::DRAINING));
    assert_eq!(left_at_node(&mut stage.node, NOW), None);
}

#[test]
fn a_pump_that_forgets_to_poll_after_transmitting_is_found_out() {
    let mut stage = Stage::connected();
    stage.forgets_to_poll = true;
    stage.node.drain(NOW, 60_000, 0);
    stage.pump();
    assert_eq!(stage.closed, None, "the client was told to leave, and waits");
    let mut left = std::iter::from_fn(|| left_at_node(&mut stage.node, NOW)).take(10);
    assert!(left.any(|left| left.contains("Close")), "the close is left behind");
}

#[test]
fn commands_that_end_at_once_begin_in_one_round_and_in_their_order() {
    let mut stage = Stage::connected();
    stage.send(3);
    let pumped = stage.pump();
    assert_eq!(stage.begun, [1, 2, 3]);
    assert_eq!((pumped.ahead, pumped.given_back), (2, 0));
}

#[test]
fn what_is_ahead_of_a_command_that_pends_goes_back_and_does_not_begin() {
    let mut stage = Stage::connected();
    stage.ends_at_once = false;
    stage.send(3);
    let pumped = stage.pump();
    assert_eq!(stage.begun, [1]);
    assert_eq!((pumped.ahead, pumped.given_back), (2, 1));
}
