//! Every rule by name, with what it says: the names are those of a violation.

/// Rules and their meaning. A rule that a checker requires and that is not listed here ends the run
/// that breaks it.
pub const INVARIANTS: &[(&str, &str)] = &[
    // Commands (PROTOCOL.md sections 5 and 6).
    (
        "at most one commit per number",
        "a lease's number is committed once, whatever nodes and stores do",
    ),
    ("at most one commit per command", "a command takes effect once, under whichever number"),
    (
        "a reply implies one commit with its bytes",
        "what a caller is told was committed exactly once, byte for byte",
    ),
    ("results follow commits", "RESULT and FAILED leave a node only for a record that stands"),
    ("a record stands", "whoever finds a record finds the first outcome"),
    ("a commit is what a handler said", "what is committed was said by a handler of that process"),
    ("commits are answered in order", "the store answers each commit of an operation, in order"),
    ("only what was sent is committed", "no record for a number that no client sent"),
    (
        "only what arrived on a live attachment is executed",
        "frames of a replaced socket have no effect",
    ),
    (
        "a first attempt is the first",
        "a handler is told that it may be a retry whenever it may be one",
    ),
    ("one execution at a time", "a number runs once at a time in a process"),
    ("ordered commands start in order", "an ordered command starts when all lower ones have ended"),
    ("ordered commands commit in order", "across sessions and nodes"),
    ("nothing starts after its deadline", "a deadline that has passed is answered, not executed"),
    (
        "no handler runs over a record",
        "a record that a process has seen is settled, never made again",
    ),
    ("only successes publish", "a handler that failed publishes nothing"),
    (
        "what was refused never ran",
        "a terminal refusal and a withdrawal mean: never executed, not even later",
    ),
    (
        "an outcome has its reason",
        "a command ends only by result, terminal refusal, lost lease, expiry unsent, or close",
    ),
    ("an outcome comes once", "nobody is told twice"),
    ("an outcome belongs to a command", "nobody is told of a command that is not theirs"),
    ("an entry leaves the outbox with its outcome", "the outbox holds exactly what is unresolved"),
    ("low never passes an unresolved number", "in COMMAND, ACK and HELLO"),
    ("numbers stay within the span", "n - low < span"),
    ("a number means one command", "a number is sent again with the same command only"),
    ("only what is unresolved gets a number", "a resolved command is never numbered"),
    ("numbers follow the order of calls", "a new number goes to the earliest call without one"),
    (
        "calls enter the outbox in the order of calls",
        "whoever waits for room is overtaken by nobody",
    ),
    ("nobody waits while there is room", "a call waits only while the outbox has no room for it"),
    ("the backlog keeps its settings", "no more calls and bytes wait for room than may"),
    (
        "a call that waited longer than its time was never executed",
        "wherever a call waits, its time counts, and nothing begins after it",
    ),
    // Leases and sessions (sections 1 and 4).
    ("a lease id is used once", "an issued lease is a new one"),
    ("a lease goes on for who claims it", "a granted lease is the claimed one"),
    (
        "an unknown lease has expired",
        "a lease that the store does not know is never taken for a new one",
    ),
    ("a lease never changes its principal", "commands run as the lease's owner"),
    ("resume never changes the principal", "a session goes on for its own principal only"),
    ("a session id is used once", "a new session has a new id"),
    ("one attachment per generation", "the generation rises with each attachment"),
    (
        "a lost WELCOME costs nothing",
        "the token before a rotation is good until the new one has been used",
    ),
    (
        "a stale dial changes nothing",
        "a HELLO that is older than the newest is refused on its own socket",
    ),
    ("nothing new goes after GOAWAY", "a client that is told to leave sends no new command"),
    (
        "sequences have no gap and no repeat",
        "1, 2, 3 … per session and direction, the same again when sent again",
    ),
    (
        "an attachment goes on where the last one broke off",
        "the first frame after WELCOME is recv + 1",
    ),
    ("acked ≤ accepted ≤ sent", "an ack covers only what has arrived"),
    ("what is not acknowledged fits the window", "in frames and bytes, but for a single frame"),
    ("nothing goes between HELLO and WELCOME", "the client waits"),
    // Topics (section 7).
    (
        "equal places have equal bytes",
        "equal topic, epoch and number mean equal bytes, on all nodes, for ever",
    ),
    ("a log has no gap", "appends are numbered 1, 2, 3 … within an epoch"),
    ("a head moves only by appends", "the store never tells another head"),
    ("an append is repeatable", "the same key lands in the same place"),
    ("an event is in one place", "an event is in its log once per epoch"),
    ("only commits publish", "what a handler published is in a log only if its record stands"),
    ("publications keep the order of commands", "in each log, per lease"),
    ("what failed is in no log", "a publication that is said not to have happened did not"),
    ("a publication has one outcome", "the publisher is told once"),
    ("records are settled at rest", "what a record publishes gets into its logs"),
    ("never live across an unreported gap", "events follow each other, or a gap was told"),
    ("a gap tells where it began", "a gap names the last position that was seen"),
    (
        "a gap is never invented",
        "a reset has its reason in the log; a position at the head is no gap",
    ),
    ("a snapshot without a gap is the first item", "a full sync in between is told as a gap"),
    ("a snapshot contains its position", "at least everything up to it"),
    ("a snapshot is announced", "SNAPSHOT follows a SUBSCRIBED that promised it"),
    ("a feed has no gap", "a server sends each event after the one before"),
    ("a feed keeps its credit", "in events and bytes"),
    ("positions are finished with", "POSITION tells only what the application has finished with"),
    ("SUBSCRIBED answers SUBSCRIBE", "nobody gets a feed that they did not ask for"),
    // Ends, time and memory.
    ("no core panics", "whatever comes, in whatever order"),
    ("states follow legal edges", "the client's state machine"),
    ("states are told", "each change of state is an event"),
    ("no client gives up", "no fault of network, node or store stops a client for good"),
    (
        "a refused upgrade is answered as the table says",
        "by its status a client stops, asks for credentials, or comes back when it was asked to",
    ),
    ("nobody breaks a rule", "two correct ends never blame each other (44xx)"),
    ("no timer is lost", "whatever ends by itself has a timer that is due by then"),
    ("outputs come to an end", "one input does not keep the ends busy for ever"),
    ("timers make progress", "a timer that fired is not due again for ever"),
    ("buffers keep their bounds", "each buffer of client and node is within its named setting"),
    ("frames survive encoding", "a frame is the same after its bytes have been read"),
    (
        "everything comes to rest when faults stop",
        "each command resolves, each subscriber reaches the head",
    ),
    ("nobody reconnects at rest", "without faults nobody dials"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_rule_is_listed_once_and_required_somewhere() {
        let names: BTreeSet<&str> = INVARIANTS.iter().map(|(name, _)| *name).collect();
        assert_eq!(names.len(), INVARIANTS.len());
        let sources = [
            include_str!("mod.rs"),
            include_str!("backlog.rs"),
            include_str!("bounds.rs"),
            include_str!("commands.rs"),
            include_str!("executions.rs"),
            include_str!("known.rs"),
            include_str!("promises.rs"),
            include_str!("refusals.rs"),
            include_str!("sequences.rs"),
            include_str!("states.rs"),
            include_str!("topics.rs"),
            include_str!("wire.rs"),
            include_str!("../lib.rs"),
        ];
        for name in names {
            let quoted = format!("\"{name}\"");
            assert!(
                sources.iter().any(|source| source.contains(&quoted)),
                "nothing requires {name:?}"
            );
        }
    }
}
