//! A connection's task against the turns of others, in every order that threads can take.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use loom::future::block_on;
use loom::thread;

use super::auth::{Shown, anonymous, hook};
use super::cx::{Cx, TopicCx};
use super::engine::Engine;
use super::env::Env;
use super::registry::ConnHandle;
use super::service::{BoxFuture, Service, SnapshotOutcome, Unauthorized};
use super::settings::NodeSettings;
use super::transacts::Transacts;
use super::{Denied, Limits, NodeConfig, Principal, TransportConfig};
use crate::host::Clock;
use crate::protocol::DecodeError;
use crate::session::CloseCode;
use crate::session::node::ConnId;
use crate::session::store::Outcome;
use crate::store::{MemoryLimits, MemoryStore};
use crate::wire::{Codec, Outgoing, ServerFrame};

/// An application without messages.
struct Nothing;

impl Service for Nothing {
    fn client_enum(&self) -> &'static crate::schema::ClientEnum {
        unreachable!("the parts are put together without it")
    }
    fn server_enum(&self) -> &'static crate::schema::ServerEnum {
        unreachable!("the parts are put together without it")
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

fn model(story: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(story);
}

fn server() -> Arc<Engine> {
    let clock = Clock::new();
    let time = Arc::new(move || clock.now());
    let env = Env {
        service: Arc::new(Nothing),
        config: Arc::new(NodeConfig::new("chat")),
        transport: TransportConfig::default(),
        limits: Limits::default(),
        store: Arc::new(MemoryStore::new(MemoryLimits::default(), time)),
        transacts: Transacts::NEVER,
        authenticate: hook(|shown| std::future::ready(Ok::<_, Denied>(anonymous(&shown)))),
        origins: None,
        clock,
    };
    Engine::new(env, Some(7))
}

/// What a connection's task does, without a socket.
#[derive(Clone)]
struct Connection {
    engine: Arc<Engine>,
    settings: NodeSettings,
    conn: ConnId,
    handle: Arc<ConnHandle>,
}

impl Connection {
    /// Has said HELLO and was welcomed.
    fn welcomed(engine: &Arc<Engine>, instance: u32) -> Self {
        let (conn, handle) = engine.connect(Codec::Json, Shown::default());
        let (engine, settings) = (Arc::clone(engine), engine.env.settings());
        let connection = Self { engine, settings, conn, handle };
        let hello = format!(
            r#"[20,{{"v":1,"protocol":"chat","version":"1","instance":"{instance:032x}","dial":1,"window":{{"frames":10,"bytes":10000}}}}]"#
        );
        let frame = Codec::Json.read_client(&Bytes::from(hello)).unwrap();
        connection.engine.turn(|now, state| state.node.handle_frame(now, conn, frame));
        let welcome = connection.turn();
        assert!(
            welcome
                .iter()
                .any(|message| matches!(message, Outgoing::Frame(ServerFrame::Welcome(_)))),
            "{welcome:?}"
        );
        connection
    }

    /// A turn with nothing to hand in: takes all that there is to send.
    fn turn(&self) -> Vec<Outgoing> {
        let mut messages = Vec::new();
        self.engine.turn_with(
            &self.settings,
            |_, _| (),
            |now, state, wakes| {
                messages.extend(std::iter::from_fn(|| state.node.poll_transmit(now, self.conn)));
                wakes.served(&self.handle);
            },
        );
        messages
    }

    /// Waits until it is told to look, takes everything, and looks whether it is to close: until
    /// `seen` has seen enough.
    fn serve<T>(&self, mut seen: impl FnMut(&[Outgoing], Option<CloseCode>) -> Option<T>) -> T {
        block_on(poll_fn(|cx| {
            while self.handle.wake.poll(cx) {
                self.handle.wake.rest();
                let messages = self.turn();
                let close = self.handle.take_close().and_then(|close| close.code);
                if let Some(value) = seen(&messages, close) {
                    return Poll::Ready(value);
                }
            }
            Poll::Pending
        }))
    }
}

fn goaways(messages: &[Outgoing]) -> usize {
    messages
        .iter()
        .filter(|message| matches!(message, Outgoing::Frame(ServerFrame::GoAway { .. })))
        .count()
}

pub fn what_another_turn_has_to_send_wakes_a_waiting_connection() {
    model(|| {
        let engine = server();
        let connection = Connection::welcomed(&engine, 1);
        let draining = thread::spawn(move || engine.turn(|now, state| state.drain(now, 10_000, 0)));
        connection.serve(|messages, _| (goaways(messages) == 1).then_some(()));
        draining.join().unwrap();
    });
}

pub fn a_connection_that_is_to_close_is_told_while_it_waits() {
    model(|| {
        let engine = server();
        let connection = Connection::welcomed(&engine, 1);
        let draining = thread::spawn(move || {
            engine.turn(|now, state| state.drain(now, 0, 0));
            engine.turn(|now, state| state.node.handle_timeout(now));
        });
        assert_eq!(connection.serve(|_, close| close), CloseCode::DRAINING);
        draining.join().unwrap();
    });
}

pub fn a_turn_of_one_connection_wakes_another_that_has_just_been_served() {
    model(|| {
        let engine = server();
        let connections = [1, 2].map(|instance| Connection::welcomed(&engine, instance));
        let [one, other] = connections;
        let waiting = thread::spawn(move || {
            other.serve(|messages, _| (goaways(messages) == 1).then_some(()))
        });
        one.engine.turn_with(
            &one.settings,
            |now, state| state.drain(now, 10_000, 0),
            |_, _, wakes| wakes.served(&one.handle),
        );
        waiting.join().unwrap();
    });
}
