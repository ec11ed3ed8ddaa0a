//! Room for outcomes, made by whoever asks and given back with the answer. Where one thread lets go
//! of what another one has made, both wait for the allocator.

use std::cell::Cell;

use steadfast::session::store::{Appended, CommitOutcome, StoreOp};
use steadfast::wire::CommandNo;

/// Outcomes of the commands of a commit.
pub(crate) type Commits = Vec<(CommandNo, CommitOutcome)>;

/// Room for the outcome of one operation. Who takes more than there is makes it.
#[derive(Default)]
pub(crate) struct Space {
    commits: Cell<Commits>,
    /// Where the publications of its first command land; most have one command.
    places: Cell<Vec<Appended>>,
}

impl Space {
    /// Room for what comes of an operation.
    pub(crate) fn for_outcome_of(op: &StoreOp) -> Self {
        let StoreOp::Commit { commits, .. } = op else { return Self::default() };
        let publishes = commits.first().map_or(0, |commit| commit.record.publishes.len());
        Self {
            commits: Cell::new(Vec::with_capacity(commits.len())),
            places: Cell::new(Vec::with_capacity(publishes)),
        }
    }

    /// For the outcomes of so many commands.
    pub(crate) fn commits(&self, commands: usize) -> Commits {
        let mut room = self.commits.take();
        room.reserve(commands);
        room
    }

    /// For the places of so many publications of one command.
    pub(crate) fn places(&self, publishes: usize) -> Vec<Appended> {
        let mut room = self.places.take();
        room.reserve(publishes);
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_more_than_there_is_makes_it() {
        let space = Space::default();
        for _ in 0..2 {
            assert!(space.commits(3).is_empty() && space.commits(3).capacity() >= 3);
            assert!(space.places(2).is_empty() && space.places(2).capacity() >= 2);
        }
    }
}
