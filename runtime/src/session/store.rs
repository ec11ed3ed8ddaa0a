//! What the node asks of its store, as data. Owns the operations' meaning; refuses to carry them
//! out.
//!
//! The operations are few and each is atomic alone, so that a single-file database, Redis Streams
//! with scripts, or JetStream can provide them. A store that can do more at once says so in its
//! outcome (`CommitOutcome::Written`). Every operation may be repeated after
//! [`StoreOutcome::Unknown`] without harm.

mod decision;
mod logs;
mod message_id;
mod outcome;
mod quota;

pub use decision::{Decide, Decided, DecisionId, Terms};
pub use logs::{
    Advanced, Append, AppendKey, AppendOutcome, Appended, LogEntry, News, Publication, ReadFrom,
    Retention, StoreTime, TopicHead, TopicId,
};
pub use message_id::{CommitId, MessageId, PrincipalId, UsedId};
pub use outcome::{Failure, Outcome};
pub use quota::Quota;

use crate::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name};

/// Which operation an outcome belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

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

impl Record {
    /// What stands for an outcome where nobody asks for it.
    #[must_use]
    pub const fn unsaid() -> Outcome {
        Outcome::Ok(Body::UNIT)
    }

    /// Bytes of the bodies that it publishes.
    #[must_use]
    pub fn publish_bytes(&self) -> u64 {
        self.publishes.iter().map(|publication| publication.bytes() as u64).sum()
    }

    /// It as [`StoreOp::ListUnsettled`] shows it.
    #[must_use]
    pub fn owed(&self) -> Self {
        let Self { hash, outcome: _, ref publishes, settled } = *self;
        Self { hash, outcome: Self::unsaid(), publishes: publishes.clone(), settled }
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
    /// The outcome is decided when the record is written, and only if it is: whatever the store
    /// was given under [`Decide::id`] runs in the transaction of the record, as often as that
    /// transaction is begun anew, and only its last run counts. Its word holds on [`Decide::terms`];
    /// what it has done is undone unless that comes to a success. `record` has the hash; its
    /// outcome, `internal`, is what a store records that was given nothing, or has lost it. Which
    /// topics are concerned is known only then, so `settle` does not hold for
    /// [`Decide::waiting`], and `retention` and `fresh_epochs` are empty.
    pub decide: Option<Box<Decide>>,
}

impl Commit {
    /// Bytes of publications that it may leave to be appended; `waits`: all of them.
    #[must_use]
    pub fn may_owe(&self, waits: bool) -> u64 {
        let waits = waits || !self.settle;
        match &self.decide {
            Some(decide) if waits || !decide.waiting.is_empty() => {
                decide.terms.publish_bytes as u64
            }
            None if waits => Publication::owed_bytes(&self.record.publishes),
            Some(_) | None => 0,
        }
    }

    /// Makes it one that writes what was decided, on its terms, as any other.
    pub fn take_decision(&mut self, decide: &Decide, decided: Decided) {
        let Decided { outcome, publishes } = decided;
        let topics = || publishes.iter().map(|publication| &publication.topic);
        self.settle &= !topics().any(|topic| decide.waiting.contains(topic));
        self.retention = topics().map(|topic| decide.terms.retention(&topic.name)).collect();
        self.fresh_epochs = topics().map(|_| decide.fresh_epoch).collect();
        let settled = publishes.is_empty();
        self.record = Record { hash: self.record.hash, outcome, publishes, settled };
    }
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
    /// It was decided, and the decision written: with the outcome that counts.
    Decided {
        /// What is recorded.
        decided: Box<Decided>,
        /// As in `Written`.
        settled: Option<Vec<Appended>>,
    },
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
    ///
    /// A lease that has ended is never opened again: its client, which still knows its id, would
    /// find it without the records of what it has sent. The operation may be carried out late,
    /// when the lease has come and gone. So a store remembers the ids of leases that have ended for
    /// some minutes, and answers [`StoreOutcome::LeaseGone`]. It also knows when the latest one
    /// ended of those that it has forgotten, and what was asked for as of then or earlier, or of
    /// another incarnation, is answered [`StoreOutcome::Stale`].
    OpenLease {
        /// Proposed id, random.
        id: LeaseId,
        /// The latest time that the asker has heard of from the store.
        as_of: StoreTime,
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
    /// nothing: a commit takes the id. What the principal may have is less than it says here as far
    /// as the store is full ([`Quota`]).
    FindId {
        /// Which.
        id: MessageId,
        /// Ids that the principal may have in use.
        max_per_principal: u32,
        /// Bytes of ids and outcomes that the principal may have in use.
        max_bytes_per_principal: u64,
    },
    /// Marks records as settled, whichever of them there are. Each is marked alone: of an operation
    /// that fails some may be.
    Settle {
        /// Their leases and numbers.
        records: Vec<(LeaseId, CommandNo)>,
    },
    /// Lists records that are not settled, also of leases that have ended, a page at a time. Within
    /// a lease they come by number; the order of leases is the store's, and stays. What a page has
    /// of a lease is of one moment, not before the `at` of its answer; of two leases it need not be
    /// of the same one.
    ListUnsettled {
        /// At most so many.
        max: u32,
        /// At most so many bytes of the bodies that they publish, the first record of the page
        /// excepted.
        max_bytes: u64,
        /// Where the page before ended; `None` for the first one. The record need not be there any
        /// more.
        after: Option<(LeaseId, CommandNo)>,
        /// Only those that were written at least so many milliseconds ago: younger ones are being
        /// settled by whoever wrote them.
        older_than_ms: u64,
    },
    /// Appends to a topic's log, all in one transaction, in order, each once per key. It may take a
    /// part of them, from the first one on: the answer has an outcome for each that it took.
    ///
    /// Of a command whose record is settled nothing may be appended any more: it is in the log, and
    /// this is a repetition, perhaps of a node that slept. A store that sees record and log in one
    /// step looks at the record. Where they lie apart, it looks at `as_of`: it has a window,
    /// remembers keys for longer than that after their records were settled, and answers
    /// [`AppendOutcome::Stale`] for what was seen unsettled before the window began. So what it
    /// takes was unsettled within the window, and if it was appended before, its key is there
    /// still. Before a store forgets a key it looks at the record. That needs no common step, since
    /// what is settled stays settled. The window is far longer than an operation takes.
    Append {
        /// Whose log.
        topic: TopicId,
        /// What; at least one.
        appends: Vec<Append>,
        /// How long to keep it.
        retention: Retention,
        /// The epoch, should the topic not exist.
        fresh_epoch: Epoch,
    },
    /// Finds a topic, or makes it with `fresh_epoch`. Whoever may subscribe can make one for each
    /// key, so a store forgets a topic that never had an entry some minutes after its last use (an
    /// `OpenTopic` or `Heads` of it), and before all others when it has too many.
    OpenTopic {
        /// Which.
        topic: TopicId,
        /// The epoch, should it not exist.
        fresh_epoch: Epoch,
        /// How long entries are kept.
        retention: Retention,
    },
    /// Asks where topics stand, and counts as use of each, so that a quiet topic that somebody
    /// follows is not forgotten. It makes no topic, and need not be durable. Each is looked at
    /// alone: what is told of two need not be of one moment.
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

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreOutcome {
    /// `OpenLease`: issued. `ClaimLease`, `RenewLease`: it lives.
    Lease {
        /// When this was true.
        at: StoreTime,
        /// The stored low-water mark.
        low: CommandNo,
        /// The latest claim: of `OpenLease` and `ClaimLease` the asker's own.
        claim: Claim,
        /// Records at or above it, and those below that are not settled, in order (`ClaimLease`
        /// only). Whoever takes a lease over settles what its predecessor left, before anything
        /// that comes later.
        records: Vec<(CommandNo, Record)>,
    },
    /// `OpenLease`, `ClaimLease`, `RenewLease`, `Commit`: there is no such lease, or it is not this
    /// principal's or codec's.
    LeaseGone,
    /// `OpenLease`: the principal holds as many as it may.
    TooManyLeases,
    /// `OpenLease`: nothing was done, because it may have been asked for too long ago. Ask again, as
    /// of this time.
    Stale {
        /// When this was true.
        at: StoreTime,
    },
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
        /// When this was true.
        at: StoreTime,
        /// The latest claim of the lease.
        claim: Claim,
        /// What came of each record, in order.
        outcomes: Vec<(CommandNo, CommitOutcome)>,
    },
    /// `ListUnsettled`.
    Unsettled {
        /// When this was true.
        at: StoreTime,
        /// The records, without their replies: the outcome of each is [`Record::unsaid`].
        records: Vec<(LeaseId, CommandNo, Record)>,
    },
    /// `Append`: what came of each, from the first one on; at least one. What comes behind
    /// [`AppendOutcome::Stale`] has no outcome.
    Appended(Vec<AppendOutcome>),
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

impl StoreOp {
    /// Tells where its publications have landed, with their names and bodies. For authors of stores
    /// that tell others of it.
    pub fn landed(
        &self,
        outcome: &StoreOutcome,
        mut tell: impl FnMut(&TopicId, (&Name, &[(Codec, Body)]), Appended),
    ) {
        match (self, outcome) {
            (Self::Commit { commits, .. }, StoreOutcome::Committed { outcomes, .. }) => {
                for (commit, (_, outcome)) in commits.iter().zip(outcomes) {
                    let (publishes, places) = match outcome {
                        CommitOutcome::Written { settled: Some(places) } => {
                            (&commit.record.publishes, places)
                        }
                        CommitOutcome::Decided { decided, settled: Some(places) } => {
                            (&decided.publishes, places)
                        }
                        _ => continue,
                    };
                    for (it, place) in publishes.iter().zip(places) {
                        tell(&it.topic, (&it.name, &it.bodies), *place);
                    }
                }
            }
            (Self::Append { topic, appends, .. }, StoreOutcome::Appended(outcomes)) => {
                for (append, outcome) in appends.iter().zip(outcomes) {
                    if let AppendOutcome::Landed(place) = outcome {
                        tell(topic, (&append.name, &append.bodies), *place);
                    }
                }
            }
            _ => {}
        }
    }
}

impl StoreOutcome {
    /// The store's time, if the outcome says it.
    #[must_use]
    pub const fn at(&self) -> Option<StoreTime> {
        match self {
            Self::Lease { at, .. }
            | Self::Stale { at }
            | Self::Committed { at, .. }
            | Self::Unsettled { at, .. } => Some(*at),
            _ => None,
        }
    }
}
