//! Mistakes that can be planted into the pure core, so that the simulator shows that it would find
//! them. Owns the list and the switch; the mistake itself stands where the right decision does,
//! behind `mutant!(…)`.
//!
//! This file is part of one build only, the package `steadfast-mutated` under `tests/mutants/core`;
//! everywhere else `mutant!(…)` is the constant `false`.

use std::cell::Cell;
use std::marker::PhantomData;

const _: () = assert!(
    matches!(env!("CARGO_PKG_NAME").as_bytes(), b"steadfast-mutated"),
    "the cfg steadfast_mutants belongs to tests/mutants/core alone"
);

macro_rules! mutants {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// A mistake in the core; each says what goes wrong, who is known for it, and the clause of
        /// PROTOCOL.md it breaks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $($(#[$doc])+ $name,)+
        }

        impl Mutant {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

mutants! {
    // ---- sessions ----
    /// A command is acknowledged because it was read, and dropped because there is no room for it:
    /// SignalR's `MessageBuffer` counts what was received, ejabberd#3228 what was written to a dead
    /// socket. Breaks 4.3.
    AckOnReceipt,
    /// A resume does not raise `gen`: two owners of a session can't be told apart (emqx#9860).
    /// Breaks 4.7.
    GenerationKept,
    /// A resume leaves the earlier socket attached: frames of both are read, as in harper#1604.
    /// Breaks 4.9.
    EarlierSocketKept,
    /// The end of a replaced socket detaches the session from the newer one. Breaks 4.9.
    EarlierSocketDetaches,
    /// A HELLO that arrives after that of a newer socket takes the session back: a half-open socket
    /// overwrote the newer session in harper#1604. Breaks 4.9.
    StaleDialAccepted,
    /// A client reads frames of a socket that it has left: centrifuge-js#393 emitted what arrived
    /// after the teardown. Breaks 4.9.
    StaleSocketRead,
    /// Whoever shows the token may resume, whoever it is: aspnetcore#67311 let another user attach.
    /// Breaks 4.10.
    ResumeWithoutPrincipal,
    /// A resume forgets the token that the client may still hold, so a lost WELCOME costs the
    /// session: single-use resume tokens do that everywhere. Breaks 4.8.
    EarlierTokenForgotten,
    /// A client pings a silent server for ever: a half-open socket that nobody gives up. Breaks
    /// 9.1.
    SilenceAccepted,
    /// The count of unanswered pings is not 0 on a new socket: nyxx#592, discordeno#3907 and
    /// carbon#350 reconnected without end. Breaks 9.1.
    HeartbeatStateKept,
    /// A server ignores `recv` and sends again what the client has accepted: socket.io#5419
    /// repeated packets at each reconnect. Breaks 4.7.
    ReplaysWhatWasAccepted,
    /// A client does not send again what the server has not accepted: its replay buffer is there
    /// for nothing. Breaks 4.7.
    ReplayForgotten,
    /// One kind of sequenced frame is not counted by its receiver: aspnetcore#55575 and stanza#112
    /// counted what their peers did not. Breaks 4.2.
    RefusalsNotCounted,
    /// A server's window is off by one. Breaks 4.6.
    AnswersExceedWindow,
    /// A client's window is off by one. Breaks 4.6.
    CommandsExceedWindow,

    // ---- commands at the client ----
    /// An acknowledged command leaves the outbox without an outcome: an ack is taken for a result
    /// (socket.io's callbacks). Breaks 6.1.
    OutboxLeavesOnAck,
    /// The low-water mark passes a command that was refused for now: RIFL's watermark, taken over
    /// what is in flight only. Breaks 5.4.
    LowPassesRefused,
    /// The span is off by one. Breaks 5.3.
    SpanExceeded,
    /// A caller's timeout ends a command that was sent, as if it had never run. Breaks 6.2.
    TimeoutResolves,
    /// The last of those who wait for room in the outbox is let in first: a stack where a queue was
    /// meant. Breaks 5.2.
    BacklogOvertakes,
    /// A call that waits for room is not given up when its time is over, and runs long after its
    /// caller has gone. Breaks 5.13.
    BacklogForgetsTime,
    /// As many calls wait for room as are made: the queue without a bound that every client library
    /// has had once.
    BacklogUnbounded,
    /// A client that was told to leave goes on sending. Breaks 8.2.
    SendsAfterGoAway,
    /// What a lost session carried is not sent again: ably-java#474. Breaks 5.9.
    PendingNotResent,
    /// What a lost lease may have executed is numbered anew: Ably's RTN19a2 gives what was in
    /// flight new serials, Kafka reset its producers (KIP-360). Breaks 5.1.
    LostLeaseResends,

    // ---- commands at the node ----
    /// A command that is in the table is run when it comes again. Breaks 5.8.
    DuplicateRunsAgain,
    /// A duplicate gets the outcome of a record that is not committed: nats-server#6415 staged the
    /// id before the commit, and refused retries of what was never stored. Breaks 5.8.
    DedupeBeforeCommit,
    /// RESULT goes out before the commit, as with any write-behind cache. Breaks 5.6.
    ResultBeforeCommit,
    /// Events of a handler are published when it ends, not with its record: a dual write. Breaks
    /// 5.6.
    PublishedBeforeCommit,
    /// What a handler published before it failed is published. Breaks 5.6.
    FailurePublishes,
    /// A commit that the store never answered is reported as a failure: the classic lie of a
    /// timeout. Breaks 5.7.
    OutcomeGuessed,
    /// A command is refused, and runs all the same. Breaks 5.10.
    RefusedAndRun,
    /// Commands behind a refused one are accepted: order is lost at a NACK. Breaks 5.11.
    RefusalBarsNothing,
    /// Ordered commands start before the ones before them have ended: MongooseIM#2378 raced two
    /// processes. Breaks 5.5.
    OrderNotKept,
    /// A command starts after its deadline: FIX calls such orders aged, and fills the gap instead.
    /// Breaks 5.13.
    DeadlineIgnored,

    // ---- leases and records ----
    /// A lease that has expired is issued again under its id: a producer id that is unknown is
    /// taken for a new one (KIP-360). Breaks 1.3.
    UnknownLeaseIsNew,
    /// A store grants a lease to whoever names it. Breaks 5.1.
    LeaseWithoutPrincipal,
    /// A claim's answer is used although this node has committed since: nats-server#3272 deduped
    /// differently after a restart. Breaks 5.8.
    StaleClaimUsed,
    /// A record whose events are not in their logs yet counts as none, and its handler runs again.
    /// Breaks 5.6.
    RunsOverUnsettledRecord,
    /// A store writes a record where there is one: two nodes that ran the same command both commit.
    /// Breaks 5.6.
    CommitOverRecord,
    /// A store writes a record below the low-water mark: a node that slept commits what has been
    /// answered and forgotten. Breaks 5.6.
    CommitBelowLow,
    /// A low-water mark takes records with it whose events are not in their logs: the client has
    /// its result, nobody has the events. Breaks 5.6.
    LowForgetsUnsettled,
    /// What a record publishes is not appended when the store has not done it: an outbox table
    /// without its relay. Breaks 5.6.
    SettlingSkipped,
    /// Who takes a lease over leaves the unsettled records of its predecessor: rmqtt#477
    /// acknowledged a takeover before draining. Breaks 5.6.
    SettlingSkippedOnTakeover,
    /// Nobody looks for records that a process left unsettled when it ended. Breaks 5.6.
    SweepSkipped,

    // ---- topics ----
    /// A log does not look at the keys of its appends: a retried publication is there twice, as
    /// beyond JetStream's duplicate window. Breaks 5.6.
    AppendKeyIgnored,
    /// A record's events are appended while those of an earlier record still wait: MongooseIM#2007
    /// reordered what it re-routed. Breaks 5.5.
    CommitOvertakesAppends,
    /// A topic that was forgotten and made anew has the epoch that it had. Breaks 7.1.
    EpochKeptByNewTopic,
    /// A log that was rolled back keeps its epoch: Centrifugo after an asynchronous failover of its
    /// store. Breaks 7.1.
    EpochKeptOnRollback,
    /// A node that holds a topic does not see that its log is another one. Breaks 7.6.
    EpochChangeMissed,
    /// A node puts what it has read behind a hole as if there were none. Breaks 7.7.
    HoleInTheTail,
    /// A position of another epoch is continued: centrifuge-js#434 recovered another stream's data.
    /// Breaks 7.5.
    OldEpochResumed,
    /// A position beyond the head is continued: what is published until it is reached is lost.
    /// Breaks 7.5.
    AheadTaken,
    /// A subscriber that has nothing more to send is not woken by the next event: a lost wake-up.
    /// Breaks 7.4.
    FollowerNotWoken,
    /// A subscriber that fell behind what is retained goes on with what is left: a live topic
    /// across a gap. Breaks 7.6.
    TrimmedInSilence,
    /// The position of a snapshot is taken after its state was read: what came between is in
    /// neither. Breaks 7.5.
    SnapshotBeforePosition,
    /// The credit of a subscription is off by one. Breaks 7.8.
    CreditExceeded,

    // ---- subscriptions at the client ----
    /// An event counts as finished with when it is handed out: centrifuge-go#143 moved the position
    /// past what a handler had not done. Breaks 7.8.
    CursorBeforeCallback,
    /// An item of an ended feed moves the position of the present one: centrifuge-go#150 kept the
    /// replay of an ended session running. Breaks 7.8.
    EndedFeedFinishes,
    /// The epoch of an earlier feed is paired with positions of the present one: centrifuge-go#160.
    /// Breaks 1.4.
    OldEpochNewOffset,
    /// A client resubscribes from what was handed out, and keeps what is buffered behind it:
    /// centrifuge-dart#142 delivered twice. Breaks 7.2.
    BufferedAskedAgain,
    /// A gap is not told to the application. Breaks 7.5.
    GapNotReported,
}

thread_local! {
    static PLANTED: Cell<Option<Mutant>> = const { Cell::new(None) };
    static REACHED: Cell<u64> = const { Cell::new(0) };
}

/// Keeps a mutant planted in this thread for as long as it lives; it stays in this thread, too.
#[derive(Debug)]
#[must_use = "the mutant is taken out when this is dropped"]
pub struct Planted(PhantomData<*const ()>);

impl Mutant {
    /// Plants this one, and no other, in this thread.
    pub fn plant(self) -> Planted {
        PLANTED.set(Some(self));
        REACHED.set(0);
        Planted(PhantomData)
    }
}

impl Planted {
    /// How often the line was reached at which the mistake stands.
    #[must_use]
    pub fn reached(&self) -> u64 {
        REACHED.get()
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        PLANTED.set(None);
    }
}

pub(crate) fn is_planted(mutant: Mutant) -> bool {
    let planted = PLANTED.get() == Some(mutant);
    if planted {
        REACHED.set(REACHED.get() + 1);
    }
    planted
}

macro_rules! mutant {
    ($($name:ident)|+) => {
        [$($crate::mutant::Mutant::$name),+].into_iter().any($crate::mutant::is_planted)
    };
}
