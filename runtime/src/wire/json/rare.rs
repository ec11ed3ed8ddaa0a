//! Rare frames, `[kind, {…}]` (PROTOCOL.md 3.3), as structs for serde. They are apart from the
//! core's types, so that what travels changes only here. Unknown members are passed over, and
//! limits beyond 32 bits are read as the largest one.

use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::code::Word;
use super::reader::Reader;
use crate::wire::{
    ClientFrame, CommandNo, Dial, Epoch, FrameError, Gen, Heartbeat, Hello, InstanceId, LeaseClaim,
    LeaseGrant, LeaseId, LeaseState, MAX_SEQUENCE, Name, Position, ResetReason, Resume,
    ResumeFailure, ResumeToken, Seq, ServerFrame, SessionId, SubNo, Subscribe, Subscribed, TopicNo,
    TopicSeq, UnsubscribeCode, Welcome, Window,
};

/// An integer in the range of sequences (PROTOCOL.md 1.6).
#[derive(Clone, Copy)]
struct Int(u64);

impl Int {
    /// As a limit of 32 bits.
    fn limit(self) -> u32 {
        u32::try_from(self.0).unwrap_or(u32::MAX)
    }
}

impl Serialize for Int {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Even "for ever" must be a number that the peer can read.
        serializer.serialize_u64(self.0.min(MAX_SEQUENCE))
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            value @ 0..=MAX_SEQUENCE => Ok(Self(value)),
            _ => Err(D::Error::custom("number out of range")),
        }
    }
}

/// A JSON object; serde alone would take an array of the members' values as well.
#[derive(Serialize)]
#[serde(transparent)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(std::marker::PhantomData))
    }
}

/// A resume token in hexadecimal digits (PROTOCOL.md 1.5).
struct Token(ResumeToken);

impl Serialize for Token {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        SessionId(self.0.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SessionId::deserialize(deserializer).map(|same_form| Self(ResumeToken(same_form.0)))
    }
}

/// A name (PROTOCOL.md 3.4).
struct WireName(Name);

impl Serialize for WireName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for WireName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A string with escapes can't be borrowed, and names are written without them.
        let text = <&str>::deserialize(deserializer)?;
        let name = Name::from_bytes(bytes::Bytes::copy_from_slice(text.as_bytes()));
        name.filter(|name| !name.is_empty()).map(Self).ok_or_else(|| D::Error::custom("not a name"))
    }
}

/// A word of `code.rs`.
struct Coded<T>(T);

impl<T: Word> Serialize for Coded<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<'de, T: Word> Deserialize<'de> for Coded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self(T::from_word(&word)))
    }
}

#[derive(Serialize, Deserialize)]
struct FramesAndBytes {
    frames: Int,
    bytes: Int,
}

#[derive(Serialize, Deserialize)]
struct EventsAndBytes {
    events: Int,
    bytes: Int,
}

#[derive(Serialize, Deserialize)]
struct WireResume {
    session: SessionId,
    token: Token,
    recv: Int,
}

#[derive(Serialize, Deserialize)]
struct WireClaim {
    id: LeaseId,
    low: Int,
    next: Int,
}

#[derive(Serialize, Deserialize)]
struct WireHello {
    v: Int,
    protocol: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    instance: InstanceId,
    dial: Int,
    window: Object<FramesAndBytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_bytes: Option<Int>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<Object<WireResume>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Object<WireClaim>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_later: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct WireLease {
    id: LeaseId,
    state: LeaseState,
    span: Int,
    ttl_ms: Int,
}

/// An object without members that anybody knows.
#[derive(Serialize, Deserialize)]
struct Empty {}

#[derive(Serialize, Deserialize)]
struct WireHeartbeat {
    interval_ms: Int,
    timeout_ms: Int,
    missed: Int,
}

#[derive(Serialize, Deserialize)]
struct WireWelcome {
    session: SessionId,
    token: Token,
    #[serde(rename = "gen")]
    generation: Int,
    resumed: bool,
    recv: Int,
    ttl_ms: Int,
    frame_bytes: Int,
    window: Object<FramesAndBytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Object<WireLease>>,
    heartbeat: Object<WireHeartbeat>,
}

#[derive(Serialize, Deserialize)]
struct WirePosition {
    epoch: Epoch,
    ts: Int,
}

#[derive(Serialize, Deserialize)]
struct WireSubscribe {
    sub: Int,
    topic: WireName,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Object<WirePosition>>,
    credit: Object<EventsAndBytes>,
}

#[derive(Serialize, Deserialize)]
struct WireSubscribed {
    sub: Int,
    number: Int,
    epoch: Epoch,
    ts: Int,
    head: Int,
    snapshot: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset: Option<Coded<ResetReason>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<Object<EventsAndBytes>>,
}

#[derive(Serialize, Deserialize)]
struct WireUnsubscribe {
    sub: Int,
}

#[derive(Serialize, Deserialize)]
struct WireUnsubscribed {
    sub: Int,
    code: Coded<UnsubscribeCode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_ms: Option<Int>,
}

#[derive(Serialize, Deserialize)]
struct WireResumeFailed {
    reason: Coded<ResumeFailure>,
}

#[derive(Serialize, Deserialize)]
struct WireGoAway {
    after_ms: Int,
    deadline_ms: Int,
}

fn object<T: DeserializeOwned>(reader: &mut Reader<'_>) -> Result<T, FrameError> {
    let rest = reader.next_rest()?;
    let at = reader.at();
    match serde_json::from_slice::<Object<T>>(rest) {
        Ok(Object(value)) => Ok(value),
        Err(_) => Err(FrameError::Malformed { at, what: "the object does not fit its kind" }),
    }
}

pub(super) fn hello(reader: &mut Reader<'_>) -> Result<ClientFrame, FrameError> {
    let wire: WireHello = object(reader)?;
    Ok(ClientFrame::Hello(Box::new(Hello {
        v: wire.v.limit(),
        protocol: wire.protocol,
        version: wire.version,
        token: wire.token,
        instance: wire.instance,
        dial: Dial(wire.dial.0),
        window: wire.window.0.into(),
        message_bytes: wire.message_bytes.map(Int::limit),
        resume: wire.resume.map(|Object(it)| Resume {
            session: it.session,
            token: it.token.0,
            recv: Seq(it.recv.0),
        }),
        lease: wire.lease.map(|Object(it)| LeaseClaim {
            id: it.id,
            low: CommandNo(it.low.0),
            next: CommandNo(it.next.0),
        }),
        lease_later: wire.lease_later.unwrap_or_default(),
    })))
}

pub(super) fn hello_object(hello: &Hello) -> impl Serialize {
    WireHello {
        v: Int(hello.v.into()),
        protocol: hello.protocol.clone(),
        version: hello.version.clone(),
        token: hello.token.clone(),
        instance: hello.instance,
        dial: Int(hello.dial.0),
        window: Object(hello.window.into()),
        message_bytes: hello.message_bytes.map(|bytes| Int(bytes.into())),
        resume: hello.resume.as_ref().map(|it| {
            Object(WireResume { session: it.session, token: Token(it.token), recv: Int(it.recv.0) })
        }),
        lease: hello
            .lease
            .as_ref()
            .map(|it| Object(WireClaim { id: it.id, low: Int(it.low.0), next: Int(it.next.0) })),
        lease_later: hello.lease_later.then_some(true),
    }
}

pub(super) fn welcome(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let wire: WireWelcome = object(reader)?;
    let heartbeat = wire.heartbeat.0;
    Ok(ServerFrame::Welcome(Box::new(Welcome {
        session: wire.session,
        token: wire.token.0,
        generation: Gen(wire.generation.0),
        resumed: wire.resumed,
        recv: Seq(wire.recv.0),
        ttl_ms: wire.ttl_ms.0,
        frame_bytes: wire.frame_bytes.limit(),
        window: wire.window.0.into(),
        lease: wire.lease.map(|Object(lease)| lease.into()),
        heartbeat: Heartbeat {
            interval_ms: heartbeat.interval_ms.0,
            timeout_ms: heartbeat.timeout_ms.0,
            missed: heartbeat.missed.limit(),
        },
    })))
}

pub(super) fn welcome_object(welcome: &Welcome) -> impl Serialize {
    let heartbeat = &welcome.heartbeat;
    WireWelcome {
        session: welcome.session,
        token: Token(welcome.token),
        generation: Int(welcome.generation.0),
        resumed: welcome.resumed,
        recv: Int(welcome.recv.0),
        ttl_ms: Int(welcome.ttl_ms),
        frame_bytes: Int(welcome.frame_bytes.into()),
        window: Object(welcome.window.into()),
        lease: welcome.lease.as_ref().map(|lease| Object(lease.into())),
        heartbeat: Object(WireHeartbeat {
            interval_ms: Int(heartbeat.interval_ms),
            timeout_ms: Int(heartbeat.timeout_ms),
            missed: Int(heartbeat.missed.into()),
        }),
    }
}

pub(super) fn lease(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    object::<WireLease>(reader).map(|wire| ServerFrame::Lease(wire.into()))
}

pub(super) fn lease_object(lease: &LeaseGrant) -> impl Serialize {
    WireLease::from(lease)
}

pub(super) fn lease_wanted(reader: &mut Reader<'_>) -> Result<ClientFrame, FrameError> {
    object::<Empty>(reader).map(|Empty {}| ClientFrame::Lease)
}

pub(super) const fn lease_wanted_object() -> impl Serialize {
    Empty {}
}

pub(super) fn subscribe(reader: &mut Reader<'_>) -> Result<ClientFrame, FrameError> {
    let wire: WireSubscribe = object(reader)?;
    Ok(ClientFrame::Subscribe(Box::new(Subscribe {
        sub: SubNo(wire.sub.0),
        topic: wire.topic.0,
        key: wire.key,
        from: wire.from.map(|Object(it)| Position { epoch: it.epoch, ts: TopicSeq(it.ts.0) }),
        credit: wire.credit.0.into(),
    })))
}

pub(super) fn subscribe_object(subscribe: &Subscribe) -> impl Serialize {
    WireSubscribe {
        sub: Int(subscribe.sub.0),
        topic: WireName(subscribe.topic.clone()),
        key: subscribe.key.clone(),
        from: subscribe.from.map(|it| Object(WirePosition { epoch: it.epoch, ts: Int(it.ts.0) })),
        credit: Object(subscribe.credit.into()),
    }
}

pub(super) fn subscribed(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let wire: WireSubscribed = object(reader)?;
    Ok(ServerFrame::Subscribed(Box::new(Subscribed {
        sub: SubNo(wire.sub.0),
        number: TopicNo(wire.number.0),
        epoch: wire.epoch,
        ts: TopicSeq(wire.ts.0),
        head: TopicSeq(wire.head.0),
        snapshot: wire.snapshot,
        reset: wire.reset.map(|Coded(reason)| reason),
        credit: wire.credit.map(|Object(credit)| credit.into()),
    })))
}

pub(super) fn subscribed_object(subscribed: &Subscribed) -> impl Serialize {
    WireSubscribed {
        sub: Int(subscribed.sub.0),
        number: Int(subscribed.number.0),
        epoch: subscribed.epoch,
        ts: Int(subscribed.ts.0),
        head: Int(subscribed.head.0),
        snapshot: subscribed.snapshot,
        reset: subscribed.reset.map(Coded),
        credit: subscribed.credit.map(|credit| Object(credit.into())),
    }
}

pub(super) fn unsubscribe(reader: &mut Reader<'_>) -> Result<ClientFrame, FrameError> {
    let wire: WireUnsubscribe = object(reader)?;
    Ok(ClientFrame::Unsubscribe { sub: SubNo(wire.sub.0) })
}

pub(super) fn unsubscribe_object(sub: SubNo) -> impl Serialize {
    WireUnsubscribe { sub: Int(sub.0) }
}

pub(super) fn unsubscribed(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let wire: WireUnsubscribed = object(reader)?;
    let retry_ms = wire.retry_ms.map(|ms| ms.0);
    Ok(ServerFrame::Unsubscribed { sub: SubNo(wire.sub.0), code: wire.code.0, retry_ms })
}

pub(super) fn unsubscribed_object(
    sub: SubNo,
    code: UnsubscribeCode,
    retry_ms: Option<u64>,
) -> impl Serialize {
    WireUnsubscribed { sub: Int(sub.0), code: Coded(code), retry_ms: retry_ms.map(Int) }
}

pub(super) fn resume_failed(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let wire: WireResumeFailed = object(reader)?;
    Ok(ServerFrame::ResumeFailed { reason: wire.reason.0 })
}

pub(super) fn resume_failed_object(reason: ResumeFailure) -> impl Serialize {
    WireResumeFailed { reason: Coded(reason) }
}

pub(super) fn goaway(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let wire: WireGoAway = object(reader)?;
    Ok(ServerFrame::GoAway { after_ms: wire.after_ms.0, deadline_ms: wire.deadline_ms.0 })
}

pub(super) fn goaway_object(after_ms: u64, deadline_ms: u64) -> impl Serialize {
    WireGoAway { after_ms: Int(after_ms), deadline_ms: Int(deadline_ms) }
}

impl From<WireLease> for LeaseGrant {
    fn from(wire: WireLease) -> Self {
        let WireLease { id, state, span, ttl_ms } = wire;
        Self { id, state, span: span.limit(), ttl_ms: ttl_ms.0 }
    }
}

impl From<&LeaseGrant> for WireLease {
    fn from(lease: &LeaseGrant) -> Self {
        let LeaseGrant { id, state, span, ttl_ms } = *lease;
        Self { id, state, span: Int(span.into()), ttl_ms: Int(ttl_ms) }
    }
}

impl From<FramesAndBytes> for Window {
    fn from(wire: FramesAndBytes) -> Self {
        Self { frames: wire.frames.limit(), bytes: wire.bytes.limit() }
    }
}

impl From<Window> for FramesAndBytes {
    fn from(window: Window) -> Self {
        Self { frames: Int(window.frames.into()), bytes: Int(window.bytes.into()) }
    }
}

impl From<EventsAndBytes> for Window {
    fn from(wire: EventsAndBytes) -> Self {
        Self { frames: wire.events.limit(), bytes: wire.bytes.limit() }
    }
}

impl From<Window> for EventsAndBytes {
    fn from(window: Window) -> Self {
        Self { events: Int(window.frames.into()), bytes: Int(window.bytes.into()) }
    }
}
