//! The frames of PROTOCOL.md section 3, as one type per direction that every codec shares. Only
//! names and bodies are bytes here; how a frame is written is the codec's business.

use bytes::Bytes;

use super::ids::{
    CommandNo, Dial, Epoch, Gen, InstanceId, LeaseId, Position, ResumeToken, Seq, SessionId, SubNo,
    TopicNo, TopicSeq,
};
use super::text::{Body, Name};

/// What a client sends (PROTOCOL.md section 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields are the columns of PROTOCOL.md section 3")]
pub enum ClientFrame {
    /// First on every socket.
    Hello(Box<Hello>),
    /// Session ack, and the lowest unresolved command number.
    Ack { ack: Seq, low: CommandNo },
    /// A command; the only sequenced frame of a client.
    Command(CommandFrame),
    /// A message that may be lost.
    Volatile { name: Name, body: Body },
    /// How far the application has got in a topic, and how many bytes of messages that was since
    /// SUBSCRIBED.
    Position { topic: TopicNo, ts: TopicSeq, bytes: u64 },
    /// Asks for a topic.
    Subscribe(Box<Subscribe>),
    /// Ends a subscription.
    Unsubscribe { sub: SubNo },
    /// Asks for a lease: there is something to command.
    Lease,
    /// The caller of a command does not want it any more (PROTOCOL.md 5.27).
    Cancel { n: CommandNo },
    /// Asks for a sign of life.
    Ping { k: u64 },
    /// Gives it.
    Pong { k: u64 },
    /// A kind that a receiver may pass over (PROTOCOL.md 3.6); never sent.
    Ignored { kind: u8 },
}

/// A command on its way; see PROTOCOL.md sections 4 and 5.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommandFrame {
    /// Session sequence of this transmission.
    pub seq: Seq,
    /// The session ack that travels with it.
    pub ack: Seq,
    /// The command's number in its lease.
    pub n: CommandNo,
    /// The lowest number that the client has not resolved; `n - back` on the wire.
    pub low: CommandNo,
    /// For how many milliseconds the caller will still wait; `None` for the declared timeout.
    pub deadline_ms: Option<u64>,
    /// Wire name of the message.
    pub name: Name,
    /// Its fields.
    pub body: Body,
}

/// How much a peer may have sent and not yet seen acknowledged (PROTOCOL.md 4.6), or, as credit,
/// not yet seen finished with (7.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// Frames, or events of a subscription.
    pub frames: u32,
    /// Bytes of bodies, or of a subscription's messages.
    pub bytes: u32,
}

impl Window {
    /// As a credit is granted: no more than `most`, and at least 1 of each (PROTOCOL.md 7.14).
    pub(crate) fn granted(self, most: Self) -> Self {
        Self {
            frames: self.frames.min(most.frames).max(1),
            bytes: self.bytes.min(most.bytes).max(1),
        }
    }
}

/// The longest head of a COMMAND: two brackets, the kind, five numbers of 16 digits, a quoted name
/// of 64, and commas.
const COMMAND_HEAD_BYTES: u32 = 160;

/// The longest body of a command that fits into a frame of this length.
#[must_use]
pub const fn body_limit(frame_bytes: u32) -> u32 {
    frame_bytes.saturating_sub(COMMAND_HEAD_BYTES)
}

/// HELLO (PROTOCOL.md 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hello {
    /// Protocol generation: 1.
    pub v: u32,
    /// Name of the application's protocol.
    pub protocol: String,
    /// Its version as the client knows it.
    pub version: String,
    /// What stands for the contract that the client was built with (PROTOCOL.md 4.18).
    pub fingerprint: Option<Name>,
    /// Credentials.
    pub token: Option<String>,
    /// This client process.
    pub instance: InstanceId,
    /// This socket.
    pub dial: Dial,
    /// How much the client is ready to keep.
    pub window: Window,
    /// The longest message that the client takes, in bytes; `None`: any.
    pub message_bytes: Option<u32>,
    /// The session to go on with.
    pub resume: Option<Resume>,
    /// The lease to go on with.
    pub lease: Option<LeaseClaim>,
    /// Without `lease`: none is needed yet (PROTOCOL.md 5.23).
    pub lease_later: bool,
}

/// A client's claim to a session (PROTOCOL.md 4.7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resume {
    /// Which session.
    pub session: SessionId,
    /// The token of the last WELCOME.
    pub token: ResumeToken,
    /// The highest sequence accepted.
    pub recv: Seq,
}

/// A client's claim to a lease (PROTOCOL.md 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseClaim {
    /// Which lease.
    pub id: LeaseId,
    /// The lowest number that the client has not resolved.
    pub low: CommandNo,
    /// The lowest number that it has never sent.
    pub next: CommandNo,
}

/// SUBSCRIBE (PROTOCOL.md 7.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subscribe {
    /// The client's number for it.
    pub sub: SubNo,
    /// The topic's declared name.
    pub topic: Name,
    /// Which of these topics.
    pub key: String,
    /// Where the application got to.
    pub from: Option<Position>,
    /// Without `from`: how many of the latest events are wanted instead of the topic's state.
    pub last: Option<u32>,
    /// How far the server may run ahead of the application.
    pub credit: Window,
}

/// What a server sends (PROTOCOL.md section 3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields are the columns of PROTOCOL.md section 3")]
pub enum ServerFrame {
    /// The answer to HELLO.
    Welcome(Box<Welcome>),
    /// The session in HELLO can't be resumed; WELCOME follows.
    ResumeFailed { reason: ResumeFailure },
    /// Session ack.
    Ack { ack: Seq },
    /// A command succeeded.
    Result { seq: Seq, ack: Seq, n: CommandNo, dup: bool, body: Body },
    /// A command ended without success.
    Failed {
        seq: Seq,
        ack: Seq,
        n: CommandNo,
        dup: bool,
        code: FailureCode,
        name: Name,
        body: Body,
    },
    /// A command was not executed.
    Refused { seq: Seq, ack: Seq, n: CommandNo, code: RefusalCode, retry_ms: u64 },
    /// A message to this session, or to everybody of its principal.
    Direct { seq: Seq, ack: Seq, name: Name, body: Body },
    /// An event of a topic.
    Event { topic: TopicNo, ts: TopicSeq, name: Name, body: Body },
    /// A topic's state.
    Snapshot { topic: TopicNo, ts: TopicSeq, name: Name, body: Body },
    /// A message of a topic that may be lost.
    TopicVolatile { topic: TopicNo, name: Name, body: Body },
    /// Everything up to `ts` is not for this subscriber.
    Skip { topic: TopicNo, ts: TopicSeq },
    /// A subscription starts, or starts anew.
    Subscribed(Box<Subscribed>),
    /// A subscription has ended.
    Unsubscribed { sub: SubNo, code: UnsubscribeCode, retry_ms: Option<u64> },
    /// The lease that was asked for.
    Lease(LeaseGrant),
    /// Leave, and come back.
    GoAway { after_ms: u64, deadline_ms: u64 },
    /// Asks for a sign of life.
    Ping { k: u64 },
    /// Gives it.
    Pong { k: u64 },
    /// A kind that a receiver may pass over (PROTOCOL.md 3.6); never sent.
    Ignored { kind: u8 },
}

impl ServerFrame {
    /// Its body, if it is of a kind that has one.
    #[must_use]
    pub const fn body(&self) -> Option<&Body> {
        match self {
            Self::Result { body, .. }
            | Self::Failed { body, .. }
            | Self::Direct { body, .. }
            | Self::Event { body, .. }
            | Self::Snapshot { body, .. }
            | Self::TopicVolatile { body, .. } => Some(body),
            _ => None,
        }
    }

    /// The same, taken out: what is left has a body without fields.
    pub fn take_body(&mut self) -> Option<Body> {
        match self {
            Self::Result { body, .. }
            | Self::Failed { body, .. }
            | Self::Direct { body, .. }
            | Self::Event { body, .. }
            | Self::Snapshot { body, .. }
            | Self::TopicVolatile { body, .. } => Some(std::mem::replace(body, Body::UNIT)),
            _ => None,
        }
    }
}

/// One outgoing message of a server: a frame to encode, or one that was encoded once for all its
/// receivers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outgoing {
    /// To be encoded for this attachment.
    Frame(ServerFrame),
    /// Encoded already: an EVENT, SNAPSHOT or TOPIC_VOLATILE, the same for all subscribers with
    /// this codec.
    Shared(Bytes),
}

/// WELCOME (PROTOCOL.md 4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Welcome {
    /// The session.
    pub session: SessionId,
    /// What proves the right to resume it.
    pub token: ResumeToken,
    /// Which attachment of the session this is.
    pub generation: Gen,
    /// Whether the session goes on.
    pub resumed: bool,
    /// The highest sequence that the server has accepted in this session.
    pub recv: Seq,
    /// How long the session outlives its socket, in milliseconds.
    pub ttl_ms: u64,
    /// The longest message that the server takes, in bytes.
    pub frame_bytes: u32,
    /// How much the server is ready to keep.
    pub window: Window,
    /// The lease; `None` if none was asked for, and the session has none.
    pub lease: Option<LeaseGrant>,
    /// When each side begins to doubt that the other is there.
    pub heartbeat: Heartbeat,
    /// What the server was built from.
    pub server: Told,
}

/// What a server tells of itself, and of how a client fits it (PROTOCOL.md 4.18, 4.19).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Told {
    /// The version of the application's protocol, as the server knows it.
    pub version: Option<String>,
    /// What stands for the contract that the server was built with.
    pub fingerprint: Option<Name>,
    /// How the client fits it; `None` if the server has not said.
    pub verdict: Option<Verdict>,
}

/// How the two ends of a connection fit, as far as one of them can tell (PROTOCOL.md 4.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Verdict {
    /// Both were built with the same contract.
    Same,
    /// They were not, and the client finds everything at the server that it knows of.
    Compatible,
    /// The client is older, and may miss something.
    ClientOutdated,
    /// The server is older, and the client may miss something.
    ServerOutdated,
    /// Nothing can be told.
    #[default]
    Unknown,
}

impl Welcome {
    /// The id of its lease, if it has one.
    #[must_use]
    pub fn lease_id(&self) -> Option<LeaseId> {
        self.lease.as_ref().map(|lease| lease.id)
    }
}

/// The lease of a WELCOME or LEASE (PROTOCOL.md 5.1, 5.24).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseGrant {
    /// Its id.
    pub id: LeaseId,
    /// Whether it is a new one.
    pub state: LeaseState,
    /// How far `n` may run ahead of the lowest unresolved one.
    pub span: u32,
    /// How long it lives after the last contact, in milliseconds.
    pub ttl_ms: u64,
}

/// Whether a lease goes on (PROTOCOL.md 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeaseState {
    /// One that the client has not heard of before.
    New,
    /// The one that HELLO named.
    Ok,
}

/// Heartbeat intervals (PROTOCOL.md section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Heartbeat {
    /// Milliseconds of silence before the first PING.
    pub interval_ms: u64,
    /// Milliseconds to wait for a sign of life after each PING.
    pub timeout_ms: u64,
    /// PINGs in a row that may be followed by silence.
    pub missed: u32,
}

/// SUBSCRIBED (PROTOCOL.md 7.4, 7.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subscribed {
    /// The client's number for the subscription.
    pub sub: SubNo,
    /// The server's number for the topic.
    pub number: TopicNo,
    /// The topic's epoch.
    pub epoch: Epoch,
    /// Events continue after this one, unless a snapshot comes first.
    pub ts: TopicSeq,
    /// The latest event's number.
    pub head: TopicSeq,
    /// Whether SNAPSHOT comes next.
    pub snapshot: bool,
    /// Why the position that the client gave can't be continued.
    pub reset: Option<ResetReason>,
    /// The credit that was granted; `None`: as much as was asked for.
    pub credit: Option<Window>,
}

/// Why a subscription does not continue from where the client was (PROTOCOL.md 7.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetReason {
    /// The client gave no position.
    Initial,
    /// The events after the position are no longer retained.
    Trimmed,
    /// The topic has another epoch: its log can't be proven to be the same.
    Epoch,
    /// The position is beyond the topic's head.
    Ahead,
}

/// Why a session was not resumed (PROTOCOL.md 4.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResumeFailure {
    /// The server has no such session.
    Unknown,
    /// It had expired.
    Expired,
    /// The resume token does not fit.
    Token,
    /// It belongs to somebody else.
    Principal,
    /// Frames that the client needs are no longer retained.
    NotRetained,
}

/// Why a command ended without success (PROTOCOL.md 5.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureCode {
    /// The application's own error.
    Error,
    /// The handler failed.
    Internal,
    /// The handler took longer than declared.
    Timeout,
    /// The outcome is not known, or no longer kept.
    Unknown,
    /// Another command has its message id (PROTOCOL.md 5.21). Not executed.
    IdReused,
}

/// Why a command was not executed (PROTOCOL.md 5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalCode {
    /// The server is about to leave; send again.
    Draining,
    /// The server has too much to do; send again.
    Overload,
    /// This client asks for too much; send again.
    RateLimited,
    /// The server knows no such message.
    Unsupported,
    /// The body does not fit the message.
    Invalid,
    /// The body is longer than its message may be.
    TooLarge,
    /// Not for this principal.
    Forbidden,
    /// Its deadline had passed before it started.
    Expired,
    /// A code of a later version of the protocol: terminal.
    Other,
}

impl RefusalCode {
    /// Whether the same command may be sent again (PROTOCOL.md 5.10).
    #[must_use]
    pub const fn is_retry(self) -> bool {
        matches!(self, Self::Draining | Self::Overload | Self::RateLimited)
    }
}

/// Why a subscription was refused or ended (PROTOCOL.md 7.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum UnsubscribeCode {
    /// The hook said no.
    Forbidden,
    /// There is no such topic.
    Unsupported,
    /// The attachment has a subscription of that topic.
    Duplicate,
    /// The key does not fit the topic.
    Invalid,
    /// Too many subscriptions or topics; try again.
    Overload,
    /// The topic's state can't be read; try again.
    Internal,
    /// A state or an event is longer than the client takes.
    TooLarge,
    /// A code of a later version of the protocol: final.
    Other,
}

impl UnsubscribeCode {
    /// Whether the same subscription may be asked for again.
    #[must_use]
    pub const fn is_retry(self) -> bool {
        matches!(self, Self::Overload | Self::Internal)
    }
}
