//! A client's callers and followers against the task that owns its socket, in every order that
//! threads can take.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_core::Stream;
use loom::future::block_on;
use loom::thread;
use steadfast_schema::{Kind, Message};

use super::call::Call;
use super::error::CallError;
use super::shared::{SharedClient, SocketRequest};
use super::slot::SubscriptionSlot;
use crate::NoError;
use crate::session::client::{ClientConfig, Fate, Item, SubId, SubscriptionRequest};
use crate::wire::{Body, ClientFrame, Dial, Name};

const WELCOME: &str = r#"[21,{"session":"000102030405060708090a0b0c0d0e0f","token":"ffeeddccbbaa99887766554433221100","gen":1,
    "resumed":false,"recv":0,"ttl_ms":120000,"frame_bytes":1048576,"window":{"frames":256,"bytes":4194304},
    "lease":{"id":"1234567890abcdef1234567890abcdef","state":"new","span":256,"ttl_ms":86400000},
    "heartbeat":{"interval_ms":15000,"timeout_ms":5000,"missed":2}}]"#;

static POST: Message = Message {
    name: "post",
    kind: Kind::Request { reply: "u64", ordered: true, timeout_ms: 10_000, max_bytes: 1024 },
    ..Message::EMPTY
};

/// Every interleaving with at most so many preemptions: those that loom's authors found to be
/// enough for most bugs.
fn model(story: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(story);
}

/// A client's shared state, and the dial of the socket that it is connected by.
#[derive(Clone)]
struct Ends {
    shared: Arc<SharedClient>,
    dial: Dial,
}

impl Ends {
    fn connected(change: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::new("chat", "1");
        change(&mut config);
        let shared = SharedClient::new(config, [7; 32]);
        let ((), wakers) = shared.pass(|pass| pass.input(|now, core| core.start(now)));
        wakers.wake();
        let (order, _) = shared.pass(|pass| pass.take_orders().pop_front());
        let Some(SocketRequest::Dial(dial, _)) = order else { panic!("{order:?}") };
        let _ = shared.pass(|pass| pass.input(|now, core| core.handle_connected(now, dial, None)));
        let ends = Self { shared, dial };
        let _ = ends.written();
        ends.hear(WELCOME);
        let _ = ends.written();
        ends.shared.wake().take();
        ends
    }

    fn call(&self) -> Call<u64, NoError> {
        self.call_with("{}")
    }

    fn call_with(&self, body: &'static str) -> Call<u64, NoError> {
        let slot = self.shared.submit(&POST, Body::from(body));
        Call::new(slot, Arc::clone(&self.shared))
    }

    /// What the socket's task hands in when a message has come.
    fn hear(&self, text: &'static str) {
        let frame = self.shared.codec().read_server(&Bytes::from_static(text.as_bytes())).unwrap();
        let ((), wakers) = self.shared.pass(|pass| {
            pass.input(|now, core| core.handle_frame(now, self.dial, frame, text.len()));
        });
        wakers.wake();
    }

    /// What the socket's task takes out to write.
    fn written(&self) -> Vec<ClientFrame> {
        let (frames, wakers) = self.shared.pass(|pass| {
            let next = || pass.input(|now, core| core.poll_transmit(now, self.dial));
            std::iter::from_fn(next).collect::<Vec<_>>()
        });
        wakers.wake();
        frames
    }

    /// The socket's task: waits until it is told to look, up to the first command that it writes.
    fn wait_for_commands(&self) -> usize {
        block_on(poll_fn(|cx| {
            while self.shared.wake().poll(cx) {
                let commands = commands(&self.written());
                if commands > 0 {
                    return Poll::Ready(commands);
                }
            }
            Poll::Pending
        }))
    }

    fn subscribed(&self) -> (SubId, Arc<SubscriptionSlot>) {
        let slot = SubscriptionSlot::new();
        let topic = Name::from_static("ticker").unwrap();
        let request = SubscriptionRequest { topic, key: "1".to_owned(), from: None, last: None };
        let sub = self.shared.subscribe(request, &slot).unwrap();
        let _ = self.written();
        self.hear(
            r#"[24,{"sub":1,"number":1,"epoch":"00000000000000aa","ts":0,"head":0,"snapshot":false,"reset":"initial"}]"#,
        );
        (sub, slot)
    }
}

fn commands(frames: &[ClientFrame]) -> usize {
    frames.iter().filter(|frame| matches!(frame, ClientFrame::Command(_))).count()
}

pub fn a_call_reaches_the_socket_and_its_answer_the_caller() {
    model(|| {
        let ends = Ends::connected(|_| {});
        let task = ends.clone();
        let task = thread::spawn(move || {
            assert_eq!(task.wait_for_commands(), 1);
            task.hear("[3,1,1,1,0,5]");
        });
        assert_eq!(block_on(ends.call()), Ok(5));
        task.join().unwrap();
    });
}

pub fn calls_of_two_threads_both_reach_the_socket() {
    model(|| {
        let ends = Ends::connected(|_| {});
        let callers =
            [ends.clone(), ends.clone()].map(|ends| thread::spawn(move || drop(ends.call())));
        let mut seen = 0;
        while seen < 2 {
            seen += ends.wait_for_commands();
        }
        callers.into_iter().for_each(|caller| caller.join().unwrap());
    });
}

pub fn a_call_that_waits_for_room_is_let_in() {
    model(|| {
        let ends = Ends::connected(|config| config.outbox_commands = 1);
        let first = ends.call();
        let task = ends.clone();
        let task = thread::spawn(move || {
            assert_eq!(task.wait_for_commands(), 1);
            task.hear("[3,1,1,1,0,1]");
            // Unless the second one came so late that it has to be waited for, the answer has let
            // it in.
            let written = commands(&task.written());
            assert_eq!(if written == 0 { task.wait_for_commands() } else { written }, 1);
            task.hear("[3,2,2,2,0,2]");
        });
        assert_eq!(block_on(ends.call()), Ok(2));
        assert_eq!(block_on(first), Ok(1));
        task.join().unwrap();
    });
}

pub fn a_call_behind_one_that_is_withdrawn_is_written() {
    model(|| {
        // Room for one of the first two and for the last one.
        let ends = Ends::connected(|config| config.outbox_bytes = 10);
        let _under_way = ends.call_with("{\"a\":1}");
        assert_eq!(ends.wait_for_commands(), 1);
        let too_large = ends.call_with("{\"b\":1}");
        let _small = ends.call();
        while ends.shared.wake().take() {
            assert_eq!(commands(&ends.written()), 0);
        }
        let task = ends.clone();
        let task = thread::spawn(move || task.wait_for_commands());
        assert!(too_large.cancel());
        assert_eq!(task.join().unwrap(), 1);
    });
}

pub fn a_call_is_withdrawn_or_sent_and_never_both() {
    model(|| {
        let ends = Ends::connected(|_| {});
        let call = ends.call();
        let task = ends.clone();
        let task = thread::spawn(move || {
            let sent = commands(&task.written()) > 0;
            if sent {
                task.hear("[3,1,1,1,0,5]");
            }
            sent
        });
        let withdrawn = call.cancel();
        let end = block_on(call);
        assert_eq!(end, if withdrawn { Err(CallError::Cancelled) } else { Ok(5) });
        assert_eq!(task.join().unwrap(), !withdrawn);
    });
}

pub fn closing_ends_a_call_that_is_made_meanwhile() {
    model(|| {
        let ends = Ends::connected(|_| {});
        let closing = ends.clone();
        let closing = thread::spawn(move || closing.shared.close());
        assert_eq!(block_on(ends.call()), Err(CallError::Closed { maybe_executed: false }));
        closing.join().unwrap();
    });
}

pub fn a_follower_of_a_call_sees_its_end() {
    model(|| {
        let ends = Ends::connected(|_| {});
        let call = ends.call();
        let task = ends.clone();
        let task = thread::spawn(move || {
            let _ = task.written();
            task.hear("[3,1,1,1,0,5]");
        });
        let (mut fates, mut last) = (call.fates(), None);
        while let Some(fate) = block_on(poll_fn(|cx| std::pin::Pin::new(&mut fates).poll_next(cx)))
        {
            last = Some(fate);
        }
        assert_eq!(last, Some(Fate::Done));
        task.join().unwrap();
    });
}

pub fn an_event_that_comes_before_the_end_of_a_subscription_is_seen() {
    model(|| {
        let ends = Ends::connected(|_| {});
        let (sub, slot) = ends.subscribed();
        let task = ends.clone();
        let task = thread::spawn(move || {
            task.hear(r#"[5,1,1,"ticked",{}]"#);
            task.shared.close();
        });
        let mut seen = 0;
        while let Some(item) =
            block_on(poll_fn(|cx| slot.poll_item(cx, || ends.shared.next_item(sub))))
        {
            assert!(matches!(item, Item::Event { .. }), "{item:?}");
            seen += 1;
        }
        assert_eq!(seen, 1);
        task.join().unwrap();
    });
}

pub fn a_subscription_that_is_dropped_while_events_come_leaves_nothing_behind() {
    model(|| {
        let ends = Ends::connected(|_| {});
        let (sub, slot) = ends.subscribed();
        let task = ends.clone();
        let task = thread::spawn(move || {
            task.hear(r#"[5,1,1,"ticked",{}]"#);
            task.hear(r#"[5,1,2,"ticked",{}]"#);
        });
        ends.shared.unsubscribe(sub);
        task.join().unwrap();
        assert_eq!(ends.shared.next_item(sub), None);
        assert_eq!(Arc::strong_count(&slot), 1);
        assert!(
            ends.written().iter().any(|frame| matches!(frame, ClientFrame::Unsubscribe { .. }))
        );
    });
}

pub fn what_a_follower_has_finished_with_is_told_to_the_server() {
    model(|| {
        // Each event is told of at once.
        let ends = Ends::connected(|config| config.credit.frames = 1);
        let (sub, slot) = ends.subscribed();
        let task = ends.clone();
        let task = thread::spawn(move || {
            task.hear(r#"[5,1,1,"ticked",{}]"#);
            block_on(poll_fn(|cx| {
                while task.shared.wake().poll(cx) {
                    if task
                        .written()
                        .iter()
                        .any(|frame| matches!(frame, ClientFrame::Position { .. }))
                    {
                        return Poll::Ready(());
                    }
                }
                Poll::Pending
            }));
            task.shared.close();
        });
        let mut seen = 0;
        while block_on(poll_fn(|cx| slot.poll_item(cx, || ends.shared.next_item(sub)))).is_some() {
            seen += 1;
        }
        assert_eq!(seen, 1);
        task.join().unwrap();
    });
}
