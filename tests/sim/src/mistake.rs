//! Deliberate mistakes at the border between the cores and the world: each must be caught by a
//! checker, or the checkers prove nothing.

/// What the harness does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// The store says that it committed, and forgets.
    DropsRecords,
    /// An application is handed an event a second time.
    RepeatsItems,
    /// An event on its way to an application is lost.
    LosesItems,
    /// Frames of a socket that was replaced are read as if they came from the new one.
    DeliversStaleFrames,
    /// A reply is changed on its way.
    ChangesReplies,
    /// The store hands out an event with other bytes than it was given.
    ChangesEvents,
    /// Topics of a lost store come back with the epoch that they had.
    KeepsEpochs,
    /// A client's clock stops.
    StopsTimers,
    /// A frame in the middle of a socket's stream is lost.
    DropsFrames,
    /// The store's low-water mark is not looked at.
    IgnoresLow,
    /// Two calls reach the client in another order than they were made in.
    SwapsCalls,
    /// A client is given far more time for a call than its caller has.
    ForgetsPatience,
    /// How far a call has got is lost on its way to the application.
    LosesFates,
    /// A client lets more calls wait than it was told to.
    WidensBacklog,
    /// The status of a refused upgrade is read as another one.
    MisreadsRefusals,
    /// An authentication hook says one name, and at the next resume another.
    SwapsPrincipals,
    /// A node is not asked again when its sockets have taken something.
    ForgetsToPoll,
    /// A drained node asks for the close of a socket, and its driver leaves that for later.
    KeepsDrainedSockets,
}
