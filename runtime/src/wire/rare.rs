//! The objects of rare frames (PROTOCOL.md 3.3), as structs for serde, the same in every codec.
//! They are apart from the core's types, so that what travels changes only here. Unknown members
//! are passed over.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::member::{Coded, Int, Object, Token, WireName};
use super::read::Elements;
use super::{
    ClientFrame, CommandNo, Dial, Epoch, FrameError, Gen, Heartbeat, Hello, InstanceId, LeaseClaim,
    LeaseGrant, LeaseId, LeaseState, Position, ResetReason, Resume, ResumeFailure, Seq,
    ServerFrame, SessionId, SubNo, Subscribe, Subscribed, Told, TopicNo, TopicSeq, UnsubscribeCode,
    Verdict, Welcome, Window,
};

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
    fingerprint: Option<WireName>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<WireName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Coded<Verdict>>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Int>,
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

fn object<'a, T: DeserializeOwned>(reader: &mut impl Elements<'a>) -> Result<T, FrameError> {
    reader.next_object::<Object<T>>().map(|Object(value)| value)
}

pub(super) fn hello<'a>(reader: &mut impl Elements<'a>) -> Result<ClientFrame, FrameError> {
    let wire: WireHello = object(reader)?;
    Ok(ClientFrame::Hello(Box::new(Hello {
        v: wire.v.limit(),
        protocol: wire.protocol,
        version: wire.version,
        fingerprint: wire.fingerprint.map(|WireName(name)| name),
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
        fingerprint: hello.fingerprint.clone().map(WireName),
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

pub(super) fn welcome<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
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
        server: Told {
            version: wire.version,
            fingerprint: wire.fingerprint.map(|WireName(name)| name),
            verdict: wire.verdict.map(|Coded(verdict)| verdict),
        },
    })))
}

pub(super) fn welcome_object(welcome: &Welcome) -> impl Serialize {
    let (heartbeat, server) = (&welcome.heartbeat, &welcome.server);
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
        version: server.version.clone(),
        fingerprint: server.fingerprint.clone().map(WireName),
        verdict: server.verdict.map(Coded),
    }
}

pub(super) fn lease<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
    object::<WireLease>(reader).map(|wire| ServerFrame::Lease(wire.into()))
}

pub(super) fn lease_object(lease: &LeaseGrant) -> impl Serialize {
    WireLease::from(lease)
}

pub(super) fn lease_wanted<'a>(reader: &mut impl Elements<'a>) -> Result<ClientFrame, FrameError> {
    object::<Empty>(reader).map(|Empty {}| ClientFrame::Lease)
}

pub(super) const fn lease_wanted_object() -> impl Serialize {
    Empty {}
}

pub(super) fn subscribe<'a>(reader: &mut impl Elements<'a>) -> Result<ClientFrame, FrameError> {
    let wire: WireSubscribe = object(reader)?;
    Ok(ClientFrame::Subscribe(Box::new(Subscribe {
        sub: SubNo(wire.sub.0),
        topic: wire.topic.0,
        key: wire.key,
        from: wire.from.map(|Object(it)| Position { epoch: it.epoch, ts: TopicSeq(it.ts.0) }),
        last: wire.last.map(Int::limit),
        credit: wire.credit.0.into(),
    })))
}

pub(super) fn subscribe_object(subscribe: &Subscribe) -> impl Serialize {
    WireSubscribe {
        sub: Int(subscribe.sub.0),
        topic: WireName(subscribe.topic.clone()),
        key: subscribe.key.clone(),
        from: subscribe.from.map(|it| Object(WirePosition { epoch: it.epoch, ts: Int(it.ts.0) })),
        last: subscribe.last.map(|last| Int(last.into())),
        credit: Object(subscribe.credit.into()),
    }
}

pub(super) fn subscribed<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
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

pub(super) fn unsubscribe<'a>(reader: &mut impl Elements<'a>) -> Result<ClientFrame, FrameError> {
    let wire: WireUnsubscribe = object(reader)?;
    Ok(ClientFrame::Unsubscribe { sub: SubNo(wire.sub.0) })
}

pub(super) fn unsubscribe_object(sub: SubNo) -> impl Serialize {
    WireUnsubscribe { sub: Int(sub.0) }
}

pub(super) fn unsubscribed<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
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

pub(super) fn resume_failed<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
    let wire: WireResumeFailed = object(reader)?;
    Ok(ServerFrame::ResumeFailed { reason: wire.reason.0 })
}

pub(super) fn resume_failed_object(reason: ResumeFailure) -> impl Serialize {
    WireResumeFailed { reason: Coded(reason) }
}

pub(super) fn goaway<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
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
