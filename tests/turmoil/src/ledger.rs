//! What every side noted, in the order of virtual time: the trace of a run, and what is wrong with
//! it. It judges by these notes alone, and does not look into the protocol.

mod follower;
#[cfg(test)]
mod tests;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast::wire::Epoch;

use crate::protocol::Tag;
use follower::Follower;
pub use follower::{Followed, Topic};

/// What a caller was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done, with this reply.
    Done(u64),
    /// Perhaps done.
    Unknown,
    /// Certainly not done.
    NotExecuted,
}

/// When a command was posted, and what became of it.
#[derive(Debug)]
struct Post {
    /// How many servers had ended when its client's connection of that moment began.
    ends: u32,
    outcome: Option<(Outcome, u32)>,
}

/// A note on a board.
#[derive(Debug)]
struct Applied {
    server: u32,
    reply: u64,
}

/// The notes of one run. Clones are the same notes.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    trace: Vec<String>,
    wrong: Vec<String>,
    posts: BTreeMap<Tag, Post>,
    applied: BTreeMap<Tag, Applied>,
    /// Which life the server is in, and how many ends it has had.
    server: u32,
    ends: u32,
    /// The present life of each client.
    clients: BTreeMap<u32, u32>,
    /// How many servers had ended at each client's last dial.
    dialled: BTreeMap<u32, u32>,
    /// Clients that have made their last call and know that it was done.
    finished: BTreeSet<u32>,
    /// What anybody saw of each topic's log.
    logs: BTreeMap<(Topic, u64), BTreeMap<u64, Tag>>,
    /// The position of each tag in each topic.
    places: BTreeMap<(Topic, Tag), (u64, u64)>,
    followers: BTreeMap<(u32, Topic), Follower>,
    sometimes: BTreeMap<&'static str, u64>,
}

impl Notes {
    fn line(&mut self, line: impl Display) {
        // Between two steps no host is running, and there is no clock to ask.
        let at = if turmoil::in_simulation() { turmoil::sim_elapsed() } else { None };
        let at = at.map_or_else(|| "-".to_owned(), |at| at.as_millis().to_string());
        self.trace.push(format!("{at:>6} {line}"));
    }

    fn wrong(&mut self, what: impl Display) {
        self.line(format_args!("WRONG: {what}"));
        self.wrong.push(what.to_string());
    }

    fn once(&mut self, what: &'static str) {
        *self.sometimes.entry(what).or_default() += 1;
    }
}

impl Ledger {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the trace.
    pub fn line(&self, line: impl Display) {
        self.notes().line(line);
    }

    /// Notes something that must not be.
    pub fn wrong(&self, what: impl Display) {
        self.notes().wrong(what);
    }

    /// Notes something that a set of runs should have seen.
    pub fn once(&self, what: &'static str) {
        self.notes().once(what);
    }

    /// A server starts. Returns which life this is.
    pub fn server_starts(&self) -> u32 {
        let mut notes = self.notes();
        notes.server += 1;
        let life = notes.server;
        notes.line(format_args!("server starts, life {life}"));
        life
    }

    /// A server has ended, and everything that it kept with it.
    pub fn server_ends(&self, how: &str) {
        let mut notes = self.notes();
        notes.ends += 1;
        notes.line(format_args!("server ends: {how}"));
    }

    /// A client starts. Returns which life this is.
    pub fn client_starts(&self, who: u32) -> u32 {
        let mut notes = self.notes();
        let life = notes.clients.entry(who).and_modify(|life| *life += 1).or_insert(1);
        let life = *life;
        notes.finished.remove(&who);
        notes.dialled.remove(&who);
        notes.followers.retain(|(follower, _), _| *follower != who);
        notes.line(format_args!("client {who} starts, life {life}"));
        life
    }

    /// A dial has reached a server.
    pub fn dialled(&self, who: u32) {
        let mut notes = self.notes();
        let ends = notes.ends;
        notes.line(format_args!("client {who} dials"));
        notes.dialled.insert(who, ends);
    }

    /// A call is made.
    pub fn posting(&self, tag: Tag) {
        let mut notes = self.notes();
        // What is written to a dead server has an unknown outcome, too, even if the server died
        // before.
        let ends = notes.dialled.get(&tag.who).copied().unwrap_or(notes.ends);
        notes.line(format_args!("{tag} is posted"));
        notes.posts.insert(tag, Post { ends, outcome: None });
    }

    /// The caller was told an outcome.
    pub fn told(&self, tag: Tag, outcome: Outcome) {
        let mut notes = self.notes();
        let ends = notes.ends;
        notes.line(format_args!("{tag} is told: {outcome:?}"));
        if let Some(post) = notes.posts.get_mut(&tag) {
            post.outcome = Some((outcome, ends));
        }
        if outcome == Outcome::Unknown {
            notes.once("an outcome was unknown");
        }
    }

    /// A handler put a note on the board.
    pub fn applied(&self, tag: Tag, server: u32, reply: u64) {
        let mut notes = self.notes();
        notes.line(format_args!("{tag} is applied as {reply} in server life {server}"));
        if let Some(before) = notes.applied.insert(tag, Applied { server, reply }) {
            notes.wrong(format_args!(
                "{tag} was applied twice, first in server life {}",
                before.server
            ));
        }
    }

    /// A client will make no more calls.
    pub fn finished(&self, who: u32) {
        let mut notes = self.notes();
        notes.line(format_args!("client {who} has finished"));
        notes.finished.insert(who);
    }

    /// How many calls of a client's present life are unanswered.
    #[must_use]
    pub fn pending(&self, who: u32) -> usize {
        let notes = self.notes();
        let life = notes.clients.get(&who).copied().unwrap_or_default();
        notes
            .posts
            .iter()
            .filter(|(tag, post)| tag.who == who && tag.life == life && post.outcome.is_none())
            .count()
    }

    /// A subscription yielded an item.
    pub fn saw(&self, who: u32, topic: Topic, followed: &Followed) {
        self.notes().saw(who, topic, followed);
    }

    /// The whole trace.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.notes().trace.clone()
    }

    /// What is wrong so far.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        self.notes().wrong.clone()
    }

    /// How often each thing happened.
    #[must_use]
    pub fn sometimes(&self) -> BTreeMap<&'static str, u64> {
        self.notes().sometimes.clone()
    }

    /// What has yet to happen before everybody has everything; `None` if nothing.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        self.notes().missing()
    }

    /// Judges everything, once nothing is missing.
    pub fn judge(&self) {
        self.notes().judge();
    }

    /// How many epochs of a topic were seen.
    #[must_use]
    pub fn epochs(&self, topic: Topic) -> usize {
        self.notes().logs.keys().filter(|(other, _)| *other == topic).count()
    }

    /// Every post with what its caller was told.
    #[must_use]
    pub fn outcomes(&self) -> BTreeMap<Tag, Option<Outcome>> {
        self.notes()
            .posts
            .iter()
            .map(|(tag, post)| (*tag, post.outcome.map(|(outcome, _)| outcome)))
            .collect()
    }
}

/// The number behind an epoch's text, as the trace shows it.
fn number(epoch: Epoch) -> u64 {
    epoch.0
}
