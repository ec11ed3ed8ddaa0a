//! Deliberate mistakes at the border between the cores and the world: each must break a property in
//! some state, or the properties prove nothing.

/// What the world does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// The store says that it committed, and forgets the record.
    ForgetsRecords,
    /// The store commits what its low-water mark has passed.
    IgnoresLow,
    /// Frames of a socket that was replaced are read as if they came from the new one.
    DeliversStaleFrames,
    /// Topics of a lost store come back with the epoch that they had.
    KeepsEpochs,
    /// The first result on its way to a client is lost, and what follows it is not.
    DropsFrames,
    /// An event on its way to an application is lost.
    LosesItems,
    /// An application is handed an event a second time.
    RepeatsItems,
    /// A reply is changed on its way.
    ChangesReplies,
    /// The store hands out an event with other bytes than it was given.
    ChangesEvents,
    /// Clients' clocks stand still.
    StopsTimers,
    /// No node hears of what another one has appended.
    LosesHints,
}
