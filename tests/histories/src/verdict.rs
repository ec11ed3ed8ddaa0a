//! What a history comes to: what is wrong with it, and how much there was of what. How that is
//! found out is not here.

use std::fmt;

/// What can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A command was reported done and is not there.
    Lost,
    /// A command took effect more than once.
    Twice,
    /// A caller was told of another outcome than the one that took effect.
    AnotherAnswer,
    /// A command was reported not done and is there.
    DoneAllTheSame,
    /// Something took effect that nobody has asked for.
    Phantom,
    /// Commands took effect in another order than that of their caller's calls.
    Disorder,
    /// A call of a caller that was not killed has no end.
    NeverEnded,
    /// A caller was told that it can't be known, though the file outlived the server.
    Unknown,
    /// A log lacks an entry.
    Hole,
    /// A follower was not given an event.
    EventLost,
    /// A follower was given an event again.
    EventTwice,
    /// A follower was given an event after a later one.
    EventDisorder,
    /// A follower was given an event that the log does not have like this.
    AnotherEvent,
    /// A follower was told of a gap, though the file keeps everything.
    Gap,
    /// An event has not come into its log.
    Owed,
    /// The file is damaged.
    Damaged,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What.
    pub kind: Kind,
    /// With which command, follower or log.
    pub with: String,
}

/// How much there was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Commands that were asked for; by their names.
    pub commands: u64,
    /// Of these, reported done.
    pub done: u64,
    /// Of these, reported certainly not done.
    pub not_done: u64,
    /// Of these, without an answer, because their caller was killed.
    pub indefinite: u64,
    /// Of these, carried out, as their callers might never know.
    pub indefinite_done: u64,
    /// Calls that asked again for a command that had been asked for before.
    pub again: u64,
    /// Events that followers saw.
    pub seen: u64,
    /// Times that the server was killed.
    pub server_kills: u64,
    /// Times that a client was killed.
    pub client_kills: u64,
}

/// What a history comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Everything that is wrong.
    pub violations: Vec<Violation>,
    /// How much there was.
    pub figures: Figures,
}

impl Verdict {
    pub(crate) fn blame(&mut self, kind: Kind, with: impl Into<String>) {
        self.violations.push(Violation { kind, with: with.into() });
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.violations.is_empty()
    }

    /// How many are wrong in this way.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.violations.iter().filter(|violation| violation.kind == kind).count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Of a fault that repeats itself, the first ones say enough.
        const SHOWN: usize = 20;
        for Violation { kind, with } in self.violations.iter().take(SHOWN) {
            writeln!(f, "{kind:?}: {with}")?;
        }
        if self.violations.len() > SHOWN {
            writeln!(f, "and {} more", self.violations.len() - SHOWN)?;
        }
        let Figures { commands, done, not_done, indefinite, indefinite_done, .. } = self.figures;
        let Figures { again, seen, server_kills, client_kills, .. } = self.figures;
        write!(
            f,
            "histories: kills={server_kills} client_kills={client_kills} commands={commands} \
             done={done} not_done={not_done} indefinite={indefinite} (done: {indefinite_done}) \
             asked_again={again} seen={seen} lost={} doubled={} events_lost={} disorder={} \
             never_ended={} violations={}",
            self.count(Kind::Lost),
            self.count(Kind::Twice) + self.count(Kind::EventTwice),
            self.count(Kind::EventLost),
            self.count(Kind::Disorder) + self.count(Kind::EventDisorder),
            self.count(Kind::NeverEnded),
            self.violations.len(),
        )
    }
}
