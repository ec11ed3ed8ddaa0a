//! What the node asks of its store, as data. Owns the operations' meaning; refuses to carry them
//! out.
//!
//! The operations are few and each is atomic alone, so that a single-file database, Redis Streams
//! with scripts, or JetStream can provide them. A store that can do more at once says so in its
//! outcome (`CommitOutcome::Written`). Every operation may be repeated after
//! [`StoreOutcome::Unknown`] without harm.

mod message_id;
mod outcome;

use std::time::Duration;

use crate::wire::{
    Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name, Position, TopicSeq,
};

pub use message_id::{CommitId, MessageId, PrincipalId, UsedId};
pub use outcome::{Failure, Outcome};

/// Which operation an outcome belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// The durable name of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId {
    /// Its declared name.
    pub name: Name,
    /// Which of these topics.
    pub key: std::sync::Arc<str>,
}

/// Counts the claims of a lease, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u64);

/// Who claims a lease: a client's socket at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder {
    /// The node, random per process.
    pub node: u128,
    /// The client process.
    pub instance: InstanceId,
    /// Which of its sockets.
    pub dial: Dial,
}

/// The latest claim of a lease. It binds nobody: a node that learns of another node's starts
/// nothing more of the lease, and still commits what it has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Which claim it is.
    pub generation: Generation,
    /// Whose.
    pub holder: Holder,
}

/// The completion record of a command (PROTOCOL.md 5.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Record {
    /// Hash over name and body: tells a retry from a reused number.
    pub hash: u64,
    /// What the caller is told.
    pub outcome: Outcome,
    /// What the handler published, in order. Once they are in their logs nobody asks for them, and
    /// a store may let go of them.
    pub publishes: Vec<Publication>,
    /// Whether all of `publishes` are in their logs.
    pub settled: bool,
}

impl LogEntry {
    /// Bytes of its name and of its bodies in every codec.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bodies: usize = self.bodies.iter().map(|(_, body)| body.len()).sum();
        (self.name.as_bytes().len() + bodies) as u64
    }
}

/// An event on its way into a topic's log; encoded once per codec, never transcoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Publication {
    /// The topic.
    pub topic: TopicId,
    /// Wire name of the event.
    pub name: Name,
    /// The body in each enabled codec, in the order of the node's codecs.
    pub bodies: Vec<(Codec, Body)>,
}

/// Makes an append repeatable: the log remembers it for at least as long as the record may be
/// unsettled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AppendKey {
    /// The `index`-th publication of a command.
    Command {
        /// Its lease.
        lease: LeaseId,
        /// Its number.
        n: CommandNo,
        /// Its place among the command's publications.
        index: u32,
    },
    /// A publication from outside any command.
    Direct {
        /// The publishing node, random per process.
        node: u128,
        /// Its count.
        count: u64,
    },
}

/// An entry of a topic's log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogEntry {
    /// Its number.
    pub ts: TopicSeq,
    /// Wire name.
    pub name: Name,
    /// The body in each codec that was enabled when it was published.
    pub bodies: Vec<(Codec, Body)>,
}

/// Where a topic's log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicHead {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its latest entry's number, 0 if there never was one.
    pub head: TopicSeq,
    /// The oldest entry that can still be read; `head + 1` if none can.
    pub oldest: TopicSeq,
}

/// What a store says of its own accord, for
/// [`Node::handle_news`](super::node::Node::handle_news). All of it is a hint: what is lost or late
/// costs seconds and no correctness, since the node looks at the heads of what it follows anyway.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum News {
    /// Others have appended to topics.
    Advanced(Vec<Advanced>),
    /// News may have been lost: a connection to the store was made anew, a count had a gap, too
    /// much was waiting. The node looks at the heads of everything that it holds.
    Missed,
    /// The store may have lost what it acknowledged, and is another incarnation: it was restored,
    /// promoted, or rolled back. Topics have other epochs, and leases of before are gone. What was
    /// answered with [`StoreOutcome::Unknown`] before never happens in the new incarnation. The
    /// node looks at every topic and renews every lease.
    Rolled,
}

/// Somebody else has appended to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Advanced {
    /// Which topic.
    pub topic: TopicId,
    /// Its epoch and its head, as far as the store has heard.
    pub head: Position,
    /// Consecutive entries up to `head`, or none. Those that go on where the node stands save it a
    /// read of the log.
    pub entries: Vec<LogEntry>,
}

/// Where an append landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Appended {
    /// The topic's epoch.
    pub epoch: Epoch,
    /// The entry's number.
    pub ts: TopicSeq,
}

/// How long things are kept. Constant per topic declaration and node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Retention {
    /// Entries kept per topic.
    pub entries: u32,
    /// Bytes of entries kept per topic, names and bodies in every codec counted: 16 MiB. The latest
    /// entry is kept even if it is longer.
    pub bytes: u64,
    /// For how long an entry is kept.
    pub ttl: Duration,
}

impl Retention {
    /// So many entries, each for so long, and no more than 16 MiB of them.
    #[must_use]
    pub const fn new(entries: u32, ttl: Duration) -> Self {
        Self { entries, bytes: 16 * 1024 * 1024, ttl }
    }

    /// The same, with another limit in bytes.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

/// One completion record to write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Commit {
    /// The command's number.
    pub n: CommandNo,
    /// What to write; unsettled if it has publications.
    pub record: Record,
    /// Whether the store may append the publications in the same transaction. Not set while earlier
    /// appends to one of the topics are under way, so that order holds.
    ///
    /// The store settles only while the lease has no unsettled record below `n`, be it of this
    /// operation or left by another node: it alone knows, and what comes later may not overtake
    /// what comes first. Whoever settles the lower one settles this one after it.
    pub settle: bool,
    /// Retention of each publication's topic, in order.
    pub retention: Vec<Retention>,
    /// An epoch for each publication's topic, should it not exist.
    pub fresh_epochs: Vec<Epoch>,
    /// The application's own id of the command, if its message declares one. An outcome that
    /// [stands](Outcome::stands) takes the id with it, in the same transaction as the record. If
    /// the id is taken, the record gets the outcome that the id has for this body, publishes
    /// nothing, and [`CommitOutcome::Used`] is answered.
    pub id: Option<Box<CommitId>>,
}

/// What came of one [`Commit`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CommitOutcome {
    /// Written.
    Written {
        /// Where the publications landed, if the store settled the record in the same transaction.
        settled: Option<Vec<Appended>>,
    },
    /// There is a record already; it stands. Once it is settled, a store may have dropped its
    /// publications: they are in their logs. While it is not, they are all here.
    Exists(Box<Record>),
    /// The number is below the low-water mark; its effects are discarded.
    BelowLow,
    /// Another command has taken the id of this one; its effects are discarded. What it is told,
    /// and what is recorded for it, settled: [`UsedId::answer`].
    Used(Outcome),
}

/// An operation on the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreOp {
    /// Issues a lease, which counts as held. If the principal has `max_per_principal` already, one
    /// that nobody holds makes room: of those that were let go (see `RenewLease`) the one that was
    /// let go first, else the one without contact for longest, if that is more than `held_ms` ago.
    /// Is each of them held, the answer is [`StoreOutcome::TooManyLeases`].
    OpenLease {
        /// Proposed id, random.
        id: LeaseId,
        /// Who makes the first claim, of generation 1.
        holder: Holder,
        /// Its owner.
        principal: PrincipalId,
        /// The codec that its commands use.
        codec: Codec,
        /// Milliseconds to live after the last contact once a command has run.
        ttl_ms: u64,
        /// The same, before the first command.
        unused_ttl_ms: u64,
        /// Leases that a principal may have.
        max_per_principal: u32,
        /// Milliseconds without contact after which nobody can hold a lease, even if no node has
        /// let go of it: nodes renew what is held more often.
        held_ms: u64,
    },
    /// Goes on with a lease: raises its low-water mark to `low`, forgets the records below it,
    /// counts as contact, and the lease as held. The lease's generation is one higher then, unless
    /// the latest claim is of the same holder: a repetition raises nothing.
    ClaimLease {
        /// Which.
        id: LeaseId,
        /// Who claims it.
        holder: Holder,
        /// Who says it is theirs.
        principal: PrincipalId,
        /// The codec of the attachment.
        codec: Codec,
        /// Everything below is resolved at the client.
        low: CommandNo,
    },
    /// Counts as contact, raises the low-water mark, and says whether anybody holds the lease. It
    /// need not be durable: what a store forgets of it is told again. Of an older generation it
    /// changes nothing, and the answer says who holds the lease: an earlier holder can't let go
    /// what a later one has.
    RenewLease {
        /// Which.
        id: LeaseId,
        /// The asker's claim.
        generation: Generation,
        /// Whether a client is connected that has it. One that nobody holds makes room for another
        /// lease of its principal; until then it stays as it is.
        held: bool,
        /// Everything below is resolved at the client.
        low: CommandNo,
    },
    /// Ends a lease and forgets its records.
    EndLease {
        /// Which.
        id: LeaseId,
    },
    /// Writes completion records of one lease, all in one transaction, in order. Each is written if
    /// the lease lives, its number is not below the low-water mark, and there is none for it.
    /// Raises the low-water mark to `low` first. Whose claim is the latest makes no difference:
    /// what an earlier holder has finished must not be lost.
    Commit {
        /// The commands' lease.
        lease: LeaseId,
        /// Everything below is resolved at the client.
        low: CommandNo,
        /// What to write.
        commits: Vec<Commit>,
    },
    /// Looks up the application's own id of a command, before its handler starts. It writes
    /// nothing: a commit takes the id.
    FindId {
        /// Which.
        id: MessageId,
        /// Ids that the principal may have in use.
        max_per_principal: u32,
        /// Bytes of ids and outcomes that the principal may have in use.
        max_bytes_per_principal: u64,
    },
    /// Marks a record as settled.
    Settle {
        /// The command's lease.
        lease: LeaseId,
        /// Its number.
        n: CommandNo,
    },
    /// Lists records that are not settled, also of leases that have ended, a page at a time. Within
    /// a lease they come by number; the order of leases is the store's, and stays.
    ListUnsettled {
        /// At most so many.
        max: u32,
        /// Where the page before ended; `None` for the first one. The record need not be there any
        /// more.
        after: Option<(LeaseId, CommandNo)>,
        /// Only those that were written at least so many milliseconds ago: younger ones are being
        /// settled by whoever wrote them.
        older_than_ms: u64,
    },
    /// Appends to a topic's log, once per key. Of a command whose record is settled nothing is
    /// appended any more: it is in the log, and this is a repetition. The answer is then where it
    /// landed, or [`StoreOutcome::LeaseGone`].
    Append {
        /// Remembered, so that a repetition changes nothing.
        key: AppendKey,
        /// What.
        publication: Publication,
        /// How long to keep it.
        retention: Retention,
        /// The epoch, should the topic not exist.
        fresh_epoch: Epoch,
    },
    /// Finds a topic, or makes it with `fresh_epoch`.
    OpenTopic {
        /// Which.
        topic: TopicId,
        /// The epoch, should it not exist.
        fresh_epoch: Epoch,
        /// How long entries are kept.
        retention: Retention,
    },
    /// Asks where topics stand, and counts as use of each, so that a quiet topic that somebody
    /// follows is not forgotten. It makes no topic, and need not be durable.
    Heads {
        /// Which, each at most once.
        topics: Vec<TopicId>,
    },
    /// Reads a page of a log: at least one entry if there is one, however long.
    ReadLog {
        /// Which topic.
        topic: TopicId,
        /// The incarnation that the reader knows.
        epoch: Epoch,
        /// Where the page begins.
        from: ReadFrom,
        /// At most so many entries.
        max: u32,
        /// At most so many bytes of their names and bodies, the first entry of the page excepted.
        max_bytes: u64,
    },
}

/// Where a page of a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadFrom {
    /// Right above an entry, or at the oldest retained one if that is above.
    After(TopicSeq),
    /// So many entries before the end.
    Last(u32),
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreOutcome {
    /// `OpenLease`: issued. `ClaimLease`, `RenewLease`: it lives.
    Lease {
        /// The stored low-water mark.
        low: CommandNo,
        /// The latest claim: of `OpenLease` and `ClaimLease` the asker's own.
        claim: Claim,
        /// Records at or above it, and those below that are not settled, in order (`ClaimLease`
        /// only). Whoever takes a lease over settles what its predecessor left, before anything
        /// that comes later.
        records: Vec<(CommandNo, Record)>,
    },
    /// `OpenLease`, `ClaimLease`, `RenewLease`, `Commit`, `Settle`: there is no such lease, or it
    /// is not this principal's or codec's. `Append`: the command's record is settled or gone.
    LeaseGone,
    /// `OpenLease`: the principal holds as many as it may.
    TooManyLeases,
    /// `FindId`: no command has taken the id, or the time for which it was kept is over.
    UnusedId,
    /// `FindId`: a command has taken the id.
    UsedId(Box<UsedId>),
    /// `FindId`: the id is not in use, and the principal, or the store, has as many as it may.
    TooManyIds,
    /// `EndLease`, `Settle`: done.
    Done,
    /// `Commit`: it was carried out.
    Committed {
        /// The latest claim of the lease.
        claim: Claim,
        /// What came of each record, in order.
        outcomes: Vec<(CommandNo, CommitOutcome)>,
    },
    /// `ListUnsettled`.
    Unsettled(Vec<(LeaseId, CommandNo, Record)>),
    /// `Append`: it is in the log, since now or since an earlier try.
    Appended(Appended),
    /// `OpenTopic`.
    Topic(TopicHead),
    /// `Heads`: where each topic stands, in order; `None` for one that there is not.
    Heads(Vec<Option<TopicHead>>),
    /// `ReadLog`: where the log stands, and a page of what it has; nothing if the epoch is another
    /// one.
    Log {
        /// Where it stands.
        head: TopicHead,
        /// Consecutive entries; the first one is the oldest retained one that was asked for.
        entries: Vec<LogEntry>,
    },
    /// `ReadLog`: there is no such topic any more.
    TopicGone,
    /// It certainly did not happen. Try again later.
    Failed,
    /// It may have happened. Try again to find out.
    Unknown,
}
