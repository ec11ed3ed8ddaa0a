//! The rules that the core must keep, by name, once for everybody: simulator, model checker and
//! proof. It knows what a rule is called and what it says; whether one was broken is judged in two
//! accounts that know nothing of each other, the simulator's and the model's.

use std::fmt;
use std::io;
use std::path::Path;

macro_rules! rules {
    ($($rule:ident = $name:literal, $meaning:literal;)*) => {
        /// What must hold, whatever happens. The simulator judges every one of them, the model
        /// checker those that make sense without time.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $meaning] $rule,)*
        }

        impl Rule {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$rule,)*];

            /// For people, and for the table of the proof.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }
        }
    };
}

rules! {
// Commands (PROTOCOL.md sections 5 and 6).
OneCommitPerNumber = "at most one commit per number",
    "a lease's number is committed once, whatever nodes and stores do";
OneCommitPerCommand = "at most one commit per command",
    "a command takes effect once, under whichever number";
ReplyIsCommitted = "a reply implies one commit with its bytes",
    "what a caller is told was committed exactly once, byte for byte";
ResultFollowsCommit = "results follow commits",
    "RESULT and FAILED leave a node only for a record that stands";
RecordStands = "a record stands", "whoever finds a record finds the first outcome";
CommitWasSaid = "a commit is what a handler said",
    "what is committed was said by a handler of that process";
CommitsAnsweredInOrder = "commits are answered in order",
    "the store answers each commit of an operation, in order";
OnlySentIsCommitted = "only what was sent is committed",
    "no record for a number that no client sent";
OnlyArrivedIsExecuted = "only what arrived on a live attachment is executed",
    "frames of a replaced socket have no effect";
FirstAttemptIsFirst = "a first attempt is the first",
    "a handler is told that it may be a retry whenever it may be one";
OneExecutionAtATime = "one execution at a time", "a number runs once at a time in a process";
StartsInOrder = "ordered commands start in order",
    "an ordered command starts when all lower ones have ended";
CommitsInOrder = "ordered commands commit in order", "across sessions and nodes";
NothingBeginsInOutage = "nothing begins while the store fails",
    "a handler begins only while the store takes what handlers have done";
PatienceIsKept = "an outcome is unknown when patience is over",
    "a node tries a commit for as long as it waits for its store, no shorter and no longer";
StartsBeforeDeadline = "nothing starts after its deadline",
    "a deadline that has passed is answered, not executed";
NoRunOverRecord = "no handler runs over a record",
    "a record that a process has seen is settled, never made again";
IdHasOneOutcome = "an id has one outcome",
    "whatever lease, device or node: what has effects under an id is what all are told";
RunsUnderUnusedId = "a handler runs under an unused id",
    "the store is asked for a command's id before its handler runs";
OneRunPerId = "one run per id in a process", "who comes while the first one runs joins it";
DecisionsAreLetGo = "a decision is let go",
    "what decides is kept until the store has told, or its node gives it up";
OnlySuccessesPublish = "only successes publish", "a handler that failed publishes nothing";
RefusedNeverRan = "what was refused never ran",
    "a terminal refusal and a withdrawal mean: never executed, not even later";
OutcomeHasReason = "an outcome has its reason",
    "a command ends only by result, terminal refusal, lost lease, expiry unsent, or close";
OutcomeComesOnce = "an outcome comes once", "nobody is told twice";
OutcomeBelongsToCommand = "an outcome belongs to a command",
    "nobody is told of a command that is not theirs";
OutboxHoldsUnresolved = "an entry leaves the outbox with its outcome",
    "the outbox holds exactly what is unresolved";
LowPassesNothing = "low never passes an unresolved number", "in COMMAND, ACK and HELLO";
NumbersWithinSpan = "numbers stay within the span", "n - low < span";
NumberMeansOneCommand = "a number means one command",
    "a number is sent again with the same command only";
OnlyUnresolvedIsNumbered = "only what is unresolved gets a number",
    "a resolved command is never numbered";
NumbersFollowCalls = "numbers follow the order of calls",
    "a new number goes to the earliest call without one";
CallsEnterInOrder = "calls enter the outbox in the order of calls",
    "whoever waits for room is overtaken by nobody";
NobodyWaitsBesideRoom = "nobody waits while there is room",
    "a call waits only while the outbox has no room for it";
BacklogKeepsSettings = "the backlog keeps its settings",
    "no more calls and bytes wait for room than may";
NothingBeginsCancelled = "nothing begins that was cancelled",
    "what has not begun when CANCEL arrives does not begin there any more";
CancelReachesHandler = "a handler hears that it is cancelled",
    "the driver is told to tell it, before it ends";
CancelledComesTooLate = "a cancelled command comes again with its time over",
    "a client sends it again for its outcome alone";
AcceptedIsKept = "what was accepted outlives its process",
    "a command that a client with a journal accepted is there in the next process";
WaitedTooLongNeverRan = "a call that waited longer than its time was never executed",
    "wherever a call waits, its time counts, and nothing begins after it";
// Leases and sessions (sections 1 and 4).
LeaseIdOnce = "a lease id is used once", "an issued lease is a new one";
LeaseIsClaimedOne = "a lease goes on for who claims it", "a granted lease is the claimed one";
HeldLeasesLive = "a lease that is held lives",
    "whoever holds a lease that the store has lost is told within seconds, busy or idle";
UnknownLeaseExpired = "an unknown lease has expired",
    "a lease that the store does not know is never taken for a new one";
ReadersCostNoLease = "who never commanded has no lease",
    "the store hears nothing of leases from a client that has nothing to command";
NothingOfAnothersLease = "nothing starts of another node's lease",
    "a node that knows of a later claim than its own starts nothing of the lease";
LeaseKeepsPrincipal = "a lease never changes its principal",
    "commands run as the lease's owner";
ResumeKeepsPrincipal = "resume never changes the principal",
    "a session goes on for its own principal only";
SessionIdOnce = "a session id is used once", "a new session has a new id";
VerdictIsTrue = "a verdict says what the contracts say",
    "client and server learn how they fit, as their contracts say it";
GenerationRises = "one attachment per generation", "the generation rises with each attachment";
LostWelcomeIsFree = "a lost WELCOME costs nothing",
    "the token before a rotation is good until the new one has been used";
StaleDialIsRefused = "a stale dial changes nothing",
    "a HELLO that is older than the newest is refused on its own socket";
NothingNewAfterGoAway = "nothing new goes after GOAWAY",
    "a client that is told to leave sends no new command";
DrainClosesAtOnce = "a drained connection to which nothing is owed is closed at once",
    "it does not wait for another input, nor for its deadline";
SequencesAreWhole = "sequences have no gap and no repeat",
    "1, 2, 3 … per session and direction, the same again when sent again";
AttachmentGoesOn = "an attachment goes on where the last one broke off",
    "the first frame after WELCOME is recv + 1";
AcksCoverAccepted = "acked ≤ accepted ≤ sent", "an ack covers only what has arrived";
WindowIsKept = "what is not acknowledged fits the window",
    "in frames and bytes, but for a single frame";
ClientWaitsForWelcome = "nothing goes between HELLO and WELCOME", "the client waits";
DirectsInOrder = "direct messages come once, in order",
    "whatever happens to sockets, sessions and processes";
MissingDirectsAreTold = "missing direct messages are told",
    "what a client's session had taken is there, or the client is told that some may be missing";
// Topics (section 7).
EqualPlacesEqualBytes = "equal places have equal bytes",
    "equal topic, epoch and number mean equal bytes, on all nodes, for ever";
LogHasNoGap = "a log has no gap", "appends are numbered 1, 2, 3 … within an epoch";
HeadMovesByAppends = "a head moves only by appends", "the store never tells another head";
AppendIsRepeatable = "an append is repeatable", "the same key lands in the same place";
EventInOnePlace = "an event is in one place", "an event is in its log once per epoch";
OnlyCommitsPublish = "only commits publish",
    "what a handler published is in a log only if its record stands";
PublicationsInOrder = "publications keep the order of commands", "in each log, per lease";
FailedIsInNoLog = "what failed is in no log",
    "a publication that is said not to have happened did not";
PublicationHasOneOutcome = "a publication has one outcome", "the publisher is told once";
RecordsAreSettled = "records are settled at rest", "what a record publishes gets into its logs";
OwnEventsAreLookedFor = "a node looks for its own events",
    "what it has committed is in its tail, or asked for, once it knows that the record stands";
InterestIsTold = "the store knows what a node holds",
    "a node wants news of the topics that it holds, and of no others";
NoHiddenGap = "never live across an unreported gap",
    "events follow each other, or a gap was told";
GapTellsItsStart = "a gap tells where it began", "a gap names the last position that was seen";
NoInventedGap = "a gap is never invented",
    "a reset has its reason in the log; a position at the head is no gap";
SnapshotIsFirstItem = "a snapshot without a gap is the first item",
    "a full sync in between is told as a gap";
SnapshotContainsPosition = "a snapshot contains its position", "at least everything up to it";
SnapshotIsAnnounced = "a snapshot is announced",
    "SNAPSHOT follows a SUBSCRIBED that promised it";
FeedHasNoGap = "a feed has no gap", "a server sends each event after the one before";
CreditIsKept = "a feed keeps its credit", "in events and bytes";
LongIsNotSent = "nobody is sent what it does not take",
    "no message of a topic is longer than HELLO says; its subscription alone ends (2.6)";
PositionsAreFinished = "positions are finished with",
    "POSITION tells only what the application has finished with";
BeginsWithTheLast = "a feed begins with the last events",
    "no state and no more of them than SUBSCRIBE asked for (7.25)";
SubscribedWasAsked = "SUBSCRIBED answers SUBSCRIBE",
    "nobody gets a feed that they did not ask for";
// Ends, time and memory.
NoCorePanics = "no core panics", "whatever comes, in whatever order";
LegalEdges = "states follow legal edges", "the client's state machine";
StatesAreTold = "states are told", "each change of state is an event";
NoClientGivesUp = "no client gives up",
    "no fault of network, node or store stops a client for good";
RefusedUpgradeIsAnswered = "a refused upgrade is answered as the table says",
    "by its status a client stops, asks for credentials, or comes back when it was asked to";
NobodyBlames = "nobody breaks a rule", "two correct ends never blame each other (44xx)";
NoTimerIsLost = "no timer is lost", "whatever ends by itself has a timer that is due by then";
OutputsEnd = "outputs come to an end", "one input does not keep the ends busy for ever";
NoOutputLeft = "no output is left behind",
    "after one input nothing waits for another one to be carried out";
TimersProgress = "timers make progress", "a timer that fired is not due again for ever";
BoundsAreKept = "buffers keep their bounds",
    "each buffer of client, node and store is within its named setting";
NewcomersFindRoom = "a newcomer finds room",
    "who has no id in use is refused one only while there is none left for anybody";
FramesSurviveEncoding = "frames survive encoding",
    "a frame is the same after its bytes have been read";
ComesToRest = "everything comes to rest when faults stop",
    "each command resolves, each subscriber reaches the head";
LifeIsNotLeft = "who is heard is not left",
    "nobody counts a heartbeat as missed while bytes arrive, whole messages or not (9.1)";
DialsInTime = "a client dials when the table says",
    "soon, or backing off by its row, or when GOAWAY asked (8.1a, 8.1b, 8.2)";
NobodyReconnects = "nobody reconnects at rest", "without faults nobody dials";}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Rule {
    /// Those of `rules` that no source in a folder or beneath it speaks of: nobody judges them.
    ///
    /// # Errors
    /// When the sources can't be read.
    pub fn named_nowhere(rules: &[Self], folder: &Path) -> io::Result<Vec<Self>> {
        let mut left = rules.to_vec();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path)?;
                let words: std::collections::BTreeSet<&str> =
                    text.split(|c: char| !c.is_alphanumeric() && c != ':').collect();
                left.retain(|rule| !words.contains(&*format!("Rule::{rule:?}")));
            }
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_rule_has_a_name_of_its_own() {
        let names: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len());
    }

    #[test]
    fn a_rule_that_nobody_judges_is_found() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let left = Rule::named_nowhere(Rule::ALL, &here).expect("the sources can be read");
        assert_eq!(left, Rule::ALL, "this crate judges nothing");
    }
}
