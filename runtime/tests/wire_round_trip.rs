//! What one end writes the other end reads, in both codecs, as the same frame; what nobody wrote is
//! an error, never a panic.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use steadfast::wire::*;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..20_u64, 0..=MAX_SEQUENCE, Just(MAX_SEQUENCE)]
}

fn limit() -> impl Strategy<Value = u32> {
    prop_oneof![0..20_u32, any::<u32>()]
}

fn name() -> impl Strategy<Value = Name> {
    "[a-zA-Z0-9_.-]{1,64}".prop_map(|text| Name::from_bytes(Bytes::from(text)).unwrap())
}

fn body() -> impl Strategy<Value = Body> {
    let json = prop_oneof![
        Just("{}".to_owned()),
        Just("null".to_owned()),
        any::<String>().prop_map(|text| serde_json::json!({ "text": text }).to_string()),
        vec(any::<i64>(), 0..20)
            .prop_map(|list| serde_json::json!({"list": list, "more": [[]]}).to_string()),
    ];
    json.prop_map(Body::from)
}

fn window() -> impl Strategy<Value = Window> {
    (limit(), limit()).prop_map(|(frames, bytes)| Window { frames, bytes })
}

fn hello() -> impl Strategy<Value = Hello> {
    let resume = (any::<u128>(), any::<u128>(), number()).prop_map(|(session, token, recv)| {
        Resume { session: SessionId(session), token: ResumeToken(token), recv: Seq(recv) }
    });
    let lease = (any::<u128>(), number(), number()).prop_map(|(id, low, next)| LeaseClaim {
        id: LeaseId(id),
        low: CommandNo(low),
        next: CommandNo(next),
    });
    let lease = (option::of(lease), any::<bool>());
    let version = (any::<String>(), option::of(name()));
    let words = (any::<u32>(), any::<String>(), version, option::of(any::<String>()));
    let limits = (window(), option::of(any::<u32>()));
    (words, any::<u128>(), number(), limits, option::of(resume), lease).prop_map(
        |(
            (v, protocol, (version, fingerprint), token),
            instance,
            dial,
            (window, message_bytes),
            resume,
            (lease, lease_later),
        )| Hello {
            v,
            protocol,
            version,
            fingerprint,
            token,
            instance: InstanceId(instance),
            dial: Dial(dial),
            window,
            message_bytes,
            resume,
            lease,
            lease_later,
        },
    )
}

fn command() -> impl Strategy<Value = CommandFrame> {
    (number(), number(), 1..=MAX_SEQUENCE, any::<u64>(), option::of(number()), name(), body())
        .prop_map(|(seq, ack, n, low, deadline_ms, name, body)| CommandFrame {
            seq: Seq(seq),
            ack: Seq(ack),
            n: CommandNo(n),
            low: CommandNo(1 + low % n),
            deadline_ms,
            name,
            body,
        })
}

fn subscribe() -> impl Strategy<Value = Subscribe> {
    let from = (any::<u64>(), number())
        .prop_map(|(epoch, ts)| Position { epoch: Epoch(epoch), ts: TopicSeq(ts) });
    let last = option::of(any::<u32>());
    (number(), name(), any::<String>(), option::of(from), last, window()).prop_map(
        |(sub, topic, key, from, last, credit)| {
            let sub = SubNo(sub);
            Subscribe { sub, topic, key, from, last, credit }
        },
    )
}

fn client_frame() -> impl Strategy<Value = ClientFrame> {
    prop_oneof![
        hello().prop_map(|it| ClientFrame::Hello(Box::new(it))),
        (number(), number())
            .prop_map(|(ack, low)| ClientFrame::Ack { ack: Seq(ack), low: CommandNo(low) }),
        command().prop_map(ClientFrame::Command),
        (name(), body()).prop_map(|(name, body)| ClientFrame::Volatile { name, body }),
        (number(), number(), number()).prop_map(|(topic, ts, bytes)| ClientFrame::Position {
            topic: TopicNo(topic),
            ts: TopicSeq(ts),
            bytes
        }),
        subscribe().prop_map(|it| ClientFrame::Subscribe(Box::new(it))),
        number().prop_map(|sub| ClientFrame::Unsubscribe { sub: SubNo(sub) }),
        Just(ClientFrame::Lease),
        number().prop_map(|k| ClientFrame::Ping { k }),
        number().prop_map(|k| ClientFrame::Pong { k }),
        number().prop_map(|n| ClientFrame::Cancel { n: CommandNo(n) }),
        prop_oneof![Just(128), 130..=255_u8].prop_map(|kind| ClientFrame::Ignored { kind }),
    ]
}

fn lease() -> impl Strategy<Value = LeaseGrant> {
    let state = prop_oneof![Just(LeaseState::New), Just(LeaseState::Ok)];
    (any::<u128>(), state, limit(), number()).prop_map(|(id, state, span, ttl_ms)| LeaseGrant {
        id: LeaseId(id),
        state,
        span,
        ttl_ms,
    })
}

fn welcome() -> impl Strategy<Value = Welcome> {
    let session = (
        any::<u128>(),
        any::<u128>(),
        number(),
        any::<bool>(),
        number(),
        number(),
        limit(),
        window(),
    );
    let heartbeat = (number(), number(), limit());
    let verdict = prop_oneof![
        Just(Verdict::Same),
        Just(Verdict::Compatible),
        Just(Verdict::ClientOutdated),
        Just(Verdict::ServerOutdated),
        Just(Verdict::Unknown),
    ];
    let told = (option::of(any::<String>()), option::of(name()), option::of(verdict))
        .prop_map(|(version, fingerprint, verdict)| Told { version, fingerprint, verdict });
    (session, option::of(lease()), heartbeat, told).prop_map(
        |(
            (session, token, generation, resumed, recv, ttl_ms, frame_bytes, window),
            lease,
            heartbeat,
            server,
        )| Welcome {
            session: SessionId(session),
            token: ResumeToken(token),
            generation: Gen(generation),
            resumed,
            recv: Seq(recv),
            ttl_ms,
            frame_bytes,
            window,
            lease,
            heartbeat: Heartbeat {
                interval_ms: heartbeat.0,
                timeout_ms: heartbeat.1,
                missed: heartbeat.2,
            },
            server,
        },
    )
}

fn subscribed() -> impl Strategy<Value = Subscribed> {
    let reset = prop_oneof![
        Just(ResetReason::Initial),
        Just(ResetReason::Trimmed),
        Just(ResetReason::Epoch),
        Just(ResetReason::Ahead),
    ];
    let numbers = (number(), number(), number(), number());
    (numbers, any::<u64>(), any::<bool>(), option::of(reset), option::of(window())).prop_map(
        |((sub, number, ts, head), epoch, snapshot, reset, credit)| Subscribed {
            sub: SubNo(sub),
            number: TopicNo(number),
            epoch: Epoch(epoch),
            ts: TopicSeq(ts),
            head: TopicSeq(head),
            snapshot,
            reset,
            credit,
        },
    )
}

fn answer() -> impl Strategy<Value = ServerFrame> {
    let failure = prop_oneof![
        Just(FailureCode::Error),
        Just(FailureCode::Internal),
        Just(FailureCode::Timeout),
        Just(FailureCode::Unknown),
        Just(FailureCode::IdReused),
    ];
    let refusal = prop_oneof![
        Just(RefusalCode::Draining),
        Just(RefusalCode::Overload),
        Just(RefusalCode::RateLimited),
        Just(RefusalCode::Unsupported),
        Just(RefusalCode::Invalid),
        Just(RefusalCode::TooLarge),
        Just(RefusalCode::Forbidden),
        Just(RefusalCode::Expired),
        Just(RefusalCode::Other),
    ];
    let head = || {
        (
            number().prop_map(Seq),
            number().prop_map(Seq),
            number().prop_map(CommandNo),
            any::<bool>(),
        )
    };
    let maybe_name = prop_oneof![Just(Name::EMPTY), name()];
    prop_oneof![
        (head(), body()).prop_map(|((seq, ack, n, dup), body)| ServerFrame::Result {
            seq,
            ack,
            n,
            dup,
            body
        }),
        (head(), failure, maybe_name, body()).prop_map(|((seq, ack, n, dup), code, name, body)| {
            ServerFrame::Failed { seq, ack, n, dup, code, name, body }
        }),
        (head(), refusal, number()).prop_map(|((seq, ack, n, _), code, retry_ms)| {
            ServerFrame::Refused { seq, ack, n, code, retry_ms }
        }),
        (head(), name(), body()).prop_map(|((seq, ack, ..), name, body)| ServerFrame::Direct {
            seq,
            ack,
            name,
            body
        }),
    ]
}

fn of_topic() -> impl Strategy<Value = ServerFrame> {
    let head = || (number().prop_map(TopicNo), number().prop_map(TopicSeq), name(), body());
    prop_oneof![
        head().prop_map(|(topic, ts, name, body)| ServerFrame::Event { topic, ts, name, body }),
        head().prop_map(|(topic, ts, name, body)| ServerFrame::Snapshot { topic, ts, name, body }),
        head().prop_map(|(topic, _, name, body)| ServerFrame::TopicVolatile { topic, name, body }),
        head().prop_map(|(topic, ts, _, _)| ServerFrame::Skip { topic, ts }),
    ]
}

fn server_control() -> impl Strategy<Value = ServerFrame> {
    let failure = prop_oneof![
        Just(ResumeFailure::Unknown),
        Just(ResumeFailure::Expired),
        Just(ResumeFailure::Token),
        Just(ResumeFailure::Principal),
        Just(ResumeFailure::NotRetained),
    ];
    let code = prop_oneof![
        Just(UnsubscribeCode::Forbidden),
        Just(UnsubscribeCode::Unsupported),
        Just(UnsubscribeCode::Duplicate),
        Just(UnsubscribeCode::Invalid),
        Just(UnsubscribeCode::Overload),
        Just(UnsubscribeCode::Internal),
        Just(UnsubscribeCode::Other),
    ];
    prop_oneof![
        welcome().prop_map(|it| ServerFrame::Welcome(Box::new(it))),
        lease().prop_map(ServerFrame::Lease),
        failure.prop_map(|reason| ServerFrame::ResumeFailed { reason }),
        number().prop_map(|ack| ServerFrame::Ack { ack: Seq(ack) }),
        subscribed().prop_map(|it| ServerFrame::Subscribed(Box::new(it))),
        (number(), code, option::of(number())).prop_map(|(sub, code, retry_ms)| {
            ServerFrame::Unsubscribed { sub: SubNo(sub), code, retry_ms }
        }),
        (number(), number())
            .prop_map(|(after_ms, deadline_ms)| ServerFrame::GoAway { after_ms, deadline_ms }),
        number().prop_map(|k| ServerFrame::Ping { k }),
        number().prop_map(|k| ServerFrame::Pong { k }),
        (128..=255_u8).prop_map(|kind| ServerFrame::Ignored { kind }),
    ]
}

fn server_frame() -> impl Strategy<Value = ServerFrame> {
    prop_oneof![answer(), of_topic(), server_control()]
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::Json), Just(Codec::Binary)]
}

fn client_message(codec: Codec, frame: &ClientFrame) -> Bytes {
    let mut out = BytesMut::new();
    codec.write_client(frame, &mut out);
    out.freeze()
}

fn server_message(codec: Codec, frame: &ServerFrame) -> Bytes {
    codec.message(Outgoing::Frame(frame.clone()))
}

/// One change to a message: (what, where, byte). Where counts from either end, so that heads and
/// ends are hit often.
fn mutate(message: &mut Vec<u8>, (what, place, byte): (u8, u16, u8)) {
    const TELLING: &[u8] = b"[]{},:\" \\0919-+.eE\x00\xff\n";
    let len = message.len().max(1);
    let at = if place & 1 == 0 { place as usize % len.min(40) } else { place as usize % len };
    let byte = if byte < 128 { TELLING[byte as usize % TELLING.len()] } else { byte };
    match what % 4 {
        _ if message.is_empty() => message.push(byte),
        0 => message[at] = byte,
        1 => message.insert(at, byte),
        2 => drop(message.remove(at)),
        _ => message.truncate(at),
    }
}

/// Reads as either end, and expects that what can be read can be written and read again.
fn read_both_ways(message: &[u8]) {
    for codec in Codec::ALL {
        if let Ok(frame) = codec.read_client(message) {
            assert_eq!(codec.read_client(&client_message(codec, &frame)), Ok(frame));
        }
        if let Ok(frame) = codec.read_server(message) {
            assert_eq!(codec.read_server(&server_message(codec, &frame)), Ok(frame));
        }
    }
}

/// Whether a message cut short may look like a frame: what is left of a body is a body, and of what
/// is ignored nobody looks at the end.
fn may_look_complete(codec: Codec, head: &Bytes, open_ended: bool) -> bool {
    match codec {
        // A JSON body may hold brackets of its own: cut behind one of them the frame looks complete,
        // and its body is not JSON.
        Codec::Json => head.trim_ascii_end().ends_with(b"]"),
        _ => open_ended,
    }
}

proptest! {
    #[test]
    fn a_client_frame_is_read_as_it_was_written(frame in client_frame()) {
        for codec in Codec::ALL {
            let message = client_message(codec, &frame);
            prop_assert_eq!(codec.read_client(&message), Ok(frame.clone()));
        }
    }

    #[test]
    fn a_server_frame_is_read_as_it_was_written(frame in server_frame()) {
        for codec in Codec::ALL {
            let message = server_message(codec, &frame);
            prop_assert_eq!(codec.read_server(&message), Ok(frame.clone()));
        }
    }

    #[test]
    fn what_stands_around_a_body_is_what_stands_around_it_in_the_whole_frame(
        (codec, frame) in (codec(), server_frame()),
    ) {
        let mut around = BytesMut::new();
        match codec.write_around_body(frame.clone(), &mut around) {
            Some((body, after)) => {
                around.extend_from_slice(body.as_bytes());
                around.extend_from_slice(after);
                prop_assert_eq!(around.freeze(), server_message(codec, &frame));
            }
            None => prop_assert!(around.is_empty() && frame.body().is_none()),
        }
    }

    #[test]
    fn every_frame_is_one_json_array(client in client_frame(), server in server_frame()) {
        let texts = [client_message(Codec::Json, &client), server_message(Codec::Json, &server)];
        for text in texts {
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
            prop_assert!(value.is_array());
        }
    }

    #[test]
    fn a_binary_frame_is_never_longer(client in client_frame(), server in server_frame()) {
        let bytes = |codec| client_message(codec, &client).len() + server_message(codec, &server).len();
        prop_assert!(bytes(Codec::Binary) <= bytes(Codec::Json));
    }

    #[test]
    fn no_beginning_of_a_frame_is_a_frame(
        (codec, client, server) in (codec(), client_frame(), server_frame()),
        cut in any::<prop::sample::Index>(),
    ) {
        let cut_short = |message: &Bytes| message.slice(..cut.index(message.len()));
        let open_ended = matches!(
            client,
            ClientFrame::Command(_) | ClientFrame::Volatile { .. } | ClientFrame::Ignored { .. }
        );
        let head = cut_short(&client_message(codec, &client));
        prop_assert!(may_look_complete(codec, &head, open_ended) || codec.read_client(&head).is_err());
        let open_ended = server.body().is_some() || matches!(server, ServerFrame::Ignored { .. });
        let head = cut_short(&server_message(codec, &server));
        prop_assert!(may_look_complete(codec, &head, open_ended) || codec.read_server(&head).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        read_both_ways(&bytes);
    }

    #[test]
    fn arbitrary_ends_of_every_kind_never_panic(kind in 0..300_u16, rest in "[\\[\\]{},:\"\\\\0-9a-z .eE+-]{0,60}") {
        read_both_ways(format!("[{kind},{rest}]").as_bytes());
    }

    #[test]
    fn arbitrary_bytes_behind_every_kind_never_panic(kind in 0..40_u8, rest in vec(any::<u8>(), 0..60)) {
        read_both_ways(&[&[kind], &rest[..]].concat());
    }

    #[test]
    fn mutated_client_frames_never_panic(
        (codec, frame) in (codec(), client_frame()),
        changes in vec(any::<(u8, u16, u8)>(), 1..6),
    ) {
        let mut message = client_message(codec, &frame).to_vec();
        changes.into_iter().for_each(|change| mutate(&mut message, change));
        read_both_ways(&message);
    }

    #[test]
    fn mutated_server_frames_never_panic(
        (codec, frame) in (codec(), server_frame()),
        changes in vec(any::<(u8, u16, u8)>(), 1..6),
    ) {
        let mut message = server_message(codec, &frame).to_vec();
        changes.into_iter().for_each(|change| mutate(&mut message, change));
        read_both_ways(&message);
    }
}

#[test]
fn messages_encoded_once_for_all_equal_those_encoded_for_one() {
    let (topic, ts, name, body) =
        (TopicNo(3), TopicSeq(8), Name::from_static("said").unwrap(), Body::UNIT);
    for codec in Codec::ALL {
        let (name, body) = (name.clone(), body.clone());
        let shared = codec.event(topic, ts, &name, &body);
        let frame = ServerFrame::Event { topic, ts, name: name.clone(), body: body.clone() };
        assert_eq!(shared, server_message(codec, &frame));
        let shared = codec.snapshot(topic, ts, &name, &body);
        let frame = ServerFrame::Snapshot { topic, ts, name: name.clone(), body: body.clone() };
        assert_eq!(shared, server_message(codec, &frame));
        let shared = codec.topic_volatile(topic, &name, &body);
        let frame = ServerFrame::TopicVolatile { topic, name, body };
        assert_eq!(shared, server_message(codec, &frame));
    }
}

#[test]
fn name_and_body_of_a_command_are_not_slices_of_the_read_buffer() {
    let message = Bytes::from_static(b"[1,1,0,1,0,\"send\",{\"a\":1}]");
    let ClientFrame::Command(command) = Codec::Json.read_client(&message).unwrap() else {
        unreachable!()
    };
    let buffer = message.as_ptr_range();
    assert!(!buffer.contains(&command.name.as_bytes().as_ptr()), "the name is copied");
    assert!(!buffer.contains(&command.body.as_bytes().as_ptr()), "the body is copied");
}

#[test]
fn names_of_every_length_are_equal_by_content() {
    for length in 0..=64 {
        let text = "n".repeat(length);
        let copied = Name::copy_from(text.as_bytes()).unwrap();
        let shared = Name::from_bytes(Bytes::from(text.clone())).unwrap();
        assert_eq!((copied.as_str(), &copied), (text.as_str(), &shared));
    }
    assert_eq!(Name::copy_from(&[b'n'; 65]), None);
}

#[test]
fn a_body_left_out_is_written_as_an_object_without_members() {
    let frame = ServerFrame::Result {
        seq: Seq(1),
        ack: Seq(1),
        n: CommandNo(1),
        dup: false,
        body: Body::default(),
    };
    let json = server_message(Codec::Json, &frame);
    assert_eq!(json, Bytes::from_static(b"[3,1,1,1,0,{}]"));
    let binary = server_message(Codec::Binary, &frame);
    assert_eq!(binary, Bytes::from_static(&[3, 1, 1, 1, 0, 0x80]));
}

#[test]
fn a_duration_beyond_the_range_is_written_as_the_longest_that_can_be_read() {
    let frame = ServerFrame::GoAway { after_ms: u64::MAX, deadline_ms: 0 };
    let expected = ServerFrame::GoAway { after_ms: MAX_SEQUENCE, deadline_ms: 0 };
    for codec in Codec::ALL {
        let message = server_message(codec, &frame);
        assert_eq!(codec.read_server(&message).as_ref(), Ok(&expected));
    }
}
