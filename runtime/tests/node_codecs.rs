//! Clients of both codecs at one node: what is bound to a codec stays in it (PROTOCOL.md 3.10).

mod node_support;

use node_support::{Bench, WIDE, publication, told_answers};
use steadfast::session::node::ConnId;
use steadfast::session::store::{Outcome, Publication};
use steadfast::wire::{
    Body, Codec, FailureCode, LeaseState, Position, ResetReason, ResumeFailure, ServerFrame,
    TopicSeq,
};
use steadfast_rig::fixtures::{log, name};

fn both() -> Bench {
    Bench::with(|config| config.codecs = Codec::ALL.to_vec())
}

/// A publication as a server makes it that has these codecs enabled.
fn in_codecs(text: &str, codecs: &[Codec]) -> Publication {
    let bodies = codecs.iter().map(|codec| (*codec, Body::copy_from(text.as_bytes()))).collect();
    Publication { bodies, ..publication(log("a"), text) }
}

fn publish(bench: &mut Bench, text: &str, codecs: &[Codec]) {
    let publication = in_codecs(text, codecs);
    bench.act(|node, now| node.publish(now, publication));
}

/// What came of the topic, event by event.
fn events(bench: &mut Bench, conn: ConnId) -> Vec<String> {
    let frames = bench.take(conn);
    let of = |frame: &ServerFrame| match frame {
        ServerFrame::Event { body, .. } => String::from_utf8(body.as_bytes().to_vec()).ok(),
        ServerFrame::Subscribed(it) => it.reset.map(|reset| reset.to_string()),
        _ => None,
    };
    frames.iter().filter_map(of).collect()
}

#[test]
fn neither_session_nor_lease_goes_on_in_the_other_codec() {
    let mut bench = both();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.finish(1);
    let lease = bench.lease(conn);
    bench.cut(conn);

    bench.codec = Codec::Binary;
    let hello = bench.again(conn);
    let other = bench.dial(hello.clone());
    let failed = ServerFrame::ResumeFailed { reason: ResumeFailure::NotRetained };
    assert!(bench.frames[&other].contains(&failed), "{:?}", bench.frames[&other]);
    assert!(!bench.welcome(other).resumed);
    assert_ne!(bench.lease(other).id, lease.id);
    assert_eq!(bench.lease(other).state, LeaseState::New);
    bench.bye(other);

    // It was nobody's in the other codec, and is still there in its own.
    bench.codec = Codec::Json;
    let mut hello = hello;
    hello.dial = hello.dial.next().next();
    hello.resume = None;
    let back = bench.dial(hello);
    assert_eq!((bench.lease(back).id, bench.lease(back).state), (lease.id, LeaseState::Ok));
    bench.ack(back);
    bench.post(back, 1);
    assert_eq!(bench.answers(back), told_answers(&[(1, "ok again")]));
}

#[test]
fn a_session_without_a_lease_does_not_go_on_in_the_other_codec_either() {
    let mut bench = both();
    let mut hello = bench.hello();
    hello.lease_later = true;
    let conn = bench.dial(hello);
    bench.ack(conn);
    bench.cut(conn);
    bench.codec = Codec::Binary;
    let hello = bench.again(conn);
    let other = bench.dial(hello);
    assert!(!bench.welcome(other).resumed);
}

#[test]
fn what_the_core_says_itself_is_in_the_codec_of_the_lease() {
    for codec in Codec::ALL {
        let mut bench = both();
        bench.codec = codec;
        let conn = bench.attach();
        bench.post(conn, 1);
        bench.finish_with(1, Outcome::plain_failure(FailureCode::Internal), Vec::new());
        bench.post(conn, 2);
        bench.finish_with(2, Outcome::Ok(Body::UNIT), Vec::new());
        let bodies: Vec<Body> =
            bench.take(conn).iter().filter_map(ServerFrame::body).cloned().collect();
        assert_eq!(bodies, [codec.unit(), codec.unit()]);
    }
}

#[test]
fn each_subscriber_gets_an_event_in_its_own_codec() {
    let mut bench = both();
    let conns = Codec::ALL.map(|codec| {
        bench.codec = codec;
        let conn = bench.attach_as(codec.subprotocol());
        bench.subscribe(conn, 1, &log("a"), None, WIDE);
        bench.take(conn);
        conn
    });
    let bodies =
        vec![(Codec::Json, Body::from("{\"json\":1}")), (Codec::Binary, Body::from("\u{1}"))];
    let publication = Publication { topic: log("a"), name: name("said"), bodies };
    bench.act(|node, now| node.publish(now, publication));
    assert_eq!(events(&mut bench, conns[0]), ["{\"json\":1}"]);
    assert_eq!(events(&mut bench, conns[1]), ["\u{1}"]);
}

/// As if the server had had JSON alone for a while.
#[test]
fn an_event_that_is_not_in_a_subscribers_codec_is_a_gap_that_it_is_told_of() {
    let mut bench = both();
    let json = bench.attach();
    bench.subscribe(json, 1, &log("a"), None, WIDE);
    bench.codec = Codec::Binary;
    let binary = bench.attach_as("ben");
    bench.subscribe(binary, 1, &log("a"), None, WIDE);
    let epoch = bench.subscribed(binary).epoch;
    bench.take(json);
    publish(&mut bench, "1", &Codec::ALL);
    publish(&mut bench, "2", &[Codec::Json]);
    publish(&mut bench, "3", &[Codec::Json]);
    publish(&mut bench, "4", &Codec::ALL);
    assert_eq!(events(&mut bench, json), ["1", "2", "3", "4"]);
    assert_eq!(events(&mut bench, binary), ["1", "trimmed", "trimmed", "4"]);

    // The same for whoever comes back to it.
    let late = bench.attach_as("cleo");
    let from = Position { epoch, ts: TopicSeq(1) };
    bench.subscribe(late, 1, &log("a"), Some(from), WIDE);
    publish(&mut bench, "5", &Codec::ALL);
    assert_eq!(events(&mut bench, late), [ResetReason::Trimmed.to_string().as_str(), "5"]);
}
