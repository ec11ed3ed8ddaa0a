//! Claims about turns that end early: by a panic, which is somebody's mistake, what a turn had
//! taken from the node must not be lost.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::auth::{Shown, anonymous, hook};
use super::cx::{Cx, TopicCx};
use super::engine::Engine;
use super::env::Env;
use super::service::{BoxFuture, Service, SnapshotOutcome, Unauthorized};
use super::settings::{Limits, REST};
use super::transacts::Transacts;
use crate::host::Clock;
use crate::protocol::DecodeError;
use crate::session::node::{ConnId, Denied, NodeConfig, Principal};
use crate::session::store::Outcome;
use crate::store::{MemoryLimits, MemoryStore};
use crate::transport::TransportConfig;
use crate::wire::{Codec, Outgoing, ServerFrame};

/// An application without messages.
struct Silence;

impl Service for Silence {
    fn client_enum(&self) -> &'static steadfast_schema::ClientEnum {
        unreachable!("the node is configured without it")
    }
    fn server_enum(&self) -> &'static steadfast_schema::ServerEnum {
        unreachable!("the node is configured without it")
    }
    fn execute(&self, _: u16, _: &[u8], _: Cx) -> Result<BoxFuture<Outcome>, DecodeError> {
        unreachable!("no message is declared")
    }
    fn volatile(&self, _: u16, _: &[u8], _: Cx) -> Result<BoxFuture<()>, DecodeError> {
        unreachable!("no message is declared")
    }
    fn authorize(
        self: Arc<Self>,
        _: Principal,
        _: u16,
        _: String,
    ) -> BoxFuture<Result<(), Unauthorized>> {
        unreachable!("no topic is declared")
    }
    fn snapshot(self: Arc<Self>, _: TopicCx, _: u16, _: String) -> BoxFuture<SnapshotOutcome> {
        unreachable!("no topic is declared")
    }
}

/// Whoever has the token `wait` is never answered.
fn engine() -> Arc<Engine> {
    let clock = Clock::new();
    let time = Arc::new(move || clock.now());
    let env = Env {
        service: Arc::new(Silence),
        config: Arc::new(NodeConfig::new("chat")),
        transport: TransportConfig::default(),
        limits: Limits::default(),
        store: Arc::new(MemoryStore::new(MemoryLimits::default(), time)),
        transacts: Transacts::NEVER,
        authenticate: hook(|credentials| async move {
            if credentials.token.as_deref() == Some("wait") {
                std::future::pending::<()>().await;
            }
            Ok::<_, Denied>(anonymous(&credentials))
        }),
        origins: None,
        clock,
    };
    Engine::new(env, Some(7))
}

fn hello(instance: u32, token: &str) -> crate::wire::ClientFrame {
    let text = format!(
        r#"[20,{{"v":1,"protocol":"chat","version":"1","instance":"{instance:032x}","dial":1,"token":"{token}","window":{{"frames":10,"bytes":10000}}}}]"#
    );
    Codec::Json.read_client(&Bytes::from(text)).unwrap()
}

/// A turn of a connection's task, which takes all that there is to send.
fn take(engine: &Arc<Engine>, conn: ConnId) -> Vec<Outgoing> {
    let mut taken = Vec::new();
    engine.turn_with(
        &engine.env.settings(),
        |_, _| (),
        |now, state, _| {
            taken.extend(std::iter::from_fn(|| state.node.poll_transmit(now, conn)));
        },
    );
    taken
}

fn is_welcomed(taken: &[Outgoing]) -> bool {
    matches!(taken.first(), Some(Outgoing::Frame(ServerFrame::Welcome(_))))
}

/// Without a runtime an execution that waits can't become a task: the turn panics, and behind it in
/// the list is one that has not begun.
#[test]
fn executions_that_a_panicking_turn_did_not_come_to_are_begun_by_the_next_one() {
    let engine = engine();
    let ((waits, _), (behind, handle)) = (
        engine.connect(Codec::Json, Shown::default()),
        engine.connect(Codec::Json, Shown::default()),
    );
    handle.wake.take();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        engine.turn(|now, state| {
            state.node.handle_frame(now, waits, hello(1, "wait"));
            state.node.handle_frame(now, behind, hello(2, ""));
        });
    }));
    assert!(panicked.is_err());
    let due = engine.due().expect("the timer makes the next turn, if nobody else does");
    assert!(due <= engine.env.clock.at(engine.env.clock.now().after(REST)));
    engine.turn(|now, state| state.tick(now));
    assert!(is_welcomed(&take(&engine, behind)));
    assert!(handle.wake.take(), "its task is told that there is something to send");
}

#[test]
fn connections_that_a_panicking_turn_was_about_to_wake_are_woken() {
    let engine = engine();
    let (conn, handle) = engine.connect(Codec::Json, Shown::default());
    engine.turn(|now, state| state.node.handle_frame(now, conn, hello(1, "")));
    assert!(is_welcomed(&take(&engine, conn)));
    handle.wake.take();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        engine.turn_with(
            &engine.env.settings(),
            |now, state| state.drain(now, 10_000, 0),
            |_, _, _| panic!("as the test asked"),
        );
    }));
    assert!(panicked.is_err());
    assert!(handle.wake.take());
}

/// Its own close is what a connection's last message brings about: nobody else's turn does.
#[test]
fn a_close_that_transmitting_brings_about_is_there_when_the_turn_ends() {
    let engine = engine();
    let (conn, handle) = engine.connect(Codec::Json, Shown::default());
    engine.turn(|now, state| state.node.handle_frame(now, conn, hello(1, "")));
    assert!(is_welcomed(&take(&engine, conn)));
    engine.turn(|now, state| state.drain(now, 10_000, 0));
    assert_eq!(handle.take_close(), None, "GOAWAY is not told yet");
    assert!(matches!(take(&engine, conn)[..], [Outgoing::Frame(ServerFrame::GoAway { .. })]));
    assert!(handle.take_close().is_some());
}
