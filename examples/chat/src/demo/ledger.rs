//! The demo's book-keeping: what each sender was told, what each client saw, and what is wrong with
//! it. The verdict comes from these notes alone; the protocol is not looked into, so that a fault
//! of the protocol can't hide here.
//!
//! A message is known by its sender and the number that the sender gave it, and also by the id that
//! the server gave it. A client's journal is everything that its subscription yielded, in order.
//! Each note has its moment, so that what was known before the server was killed can't be blamed on
//! the kill.

mod gaps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use gaps::Index;

/// A sender or a client: every scripted client is both.
pub(crate) type Who = usize;

/// A message as its sender numbers it: from 1, without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Message {
    pub(crate) sender: Who,
    pub(crate) number: u64,
}

/// A place in the order of all notes, from 1.
type Moment = u64;

/// What a sender was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was posted, under this id.
    Done(String),
    /// It may have been posted.
    Unknown,
    /// It was certainly not posted.
    NotExecuted,
    /// It was posted, but the answer can't be read, for this reason.
    Unreadable(String),
}

/// A message that a client saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) message: Message,
    pub(crate) id: String,
}

/// One item of a client's subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Event(Seen),
    /// The room's history, with the cause of the gap if the client was told of one.
    Snapshot {
        gap: Option<Cause>,
        messages: Vec<Seen>,
    },
}

/// What a client was told about the cause of a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The client was away for longer than the room retains events.
    Trimmed,
    /// The server has lost what it had.
    Epoch,
    /// Something else.
    Other,
}

/// When a message was sent, and what became of it.
#[derive(Debug)]
struct Post {
    sent: Moment,
    outcome: Option<(Moment, Outcome)>,
}

#[derive(Debug)]
struct Noted {
    at: Moment,
    item: Item,
}

/// The notes of one run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    now: Moment,
    sent: BTreeMap<Message, Post>,
    journals: BTreeMap<Who, Vec<Noted>>,
    /// From when on the kill was near. What a client has not seen from before that, the kill has
    /// not taken.
    nearing: Moment,
    /// When the server was killed.
    killed: Option<Moment>,
    /// When another server could be reached.
    replaced: Option<Moment>,
}

/// What the notes about one client, or about all, come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Messages that were handed to the client.
    pub(crate) sent: u64,
    /// Outcomes that were reported as unknown.
    pub(crate) unknown: u64,
    /// Messages that were not posted, as their senders were told.
    pub(crate) not_executed: u64,
    /// Messages that arrived, counted once per client.
    pub(crate) delivered: u64,
    /// Posted messages that did not arrive but are covered by a reported gap, counted once per
    /// client.
    pub(crate) gapped: u64,
    /// Posted messages that neither arrived nor are covered, counted once per client; gaps that
    /// nothing justifies; messages without any outcome; and those whose outcome is unknown although
    /// it can't have died with a server.
    pub(crate) lost: u64,
    /// Messages that arrived again, or under another id than their sender was told, or although
    /// their sender was told that they were not posted.
    pub(crate) doubled: u64,
    /// Messages that arrived after a later one of the same sender, or not in the order in which
    /// another client saw them.
    pub(crate) reordered: u64,
}

impl Verdict {
    /// Whether the promise was kept.
    pub(crate) fn kept(self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.reordered == 0
    }

    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.unknown += other.unknown;
        self.not_executed += other.not_executed;
        self.delivered += other.delivered;
        self.gapped += other.gapped;
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.reordered += other.reordered;
    }
}

impl Ledger {
    /// Notes that a message is about to be sent.
    pub(crate) fn sending(&mut self, message: Message) {
        let sent = self.tick();
        self.sent.entry(message).or_insert(Post { sent, outcome: None });
    }

    /// Notes what its sender was told. If it is told twice, the first time counts as the moment.
    pub(crate) fn outcome(&mut self, message: Message, outcome: Outcome) {
        let now = self.tick();
        let post = self.sent.entry(message).or_insert(Post { sent: now, outcome: None });
        let settled = post.outcome.as_ref().map_or(now, |(settled, _)| *settled);
        post.outcome = Some((settled, outcome));
    }

    /// Notes what a client saw.
    pub(crate) fn saw(&mut self, client: Who, item: Item) {
        let at = self.tick();
        self.journals.entry(client).or_default().push(Noted { at, item });
    }

    /// Notes that the kill is so near that somebody who is cut off now may not be back in time.
    pub(crate) fn nearing_the_kill(&mut self) {
        self.nearing = self.tick();
    }

    /// Notes that the server is about to be killed.
    pub(crate) fn killing(&mut self) {
        self.killed = Some(self.tick());
    }

    /// Notes that another server can be reached.
    pub(crate) fn replaced(&mut self) {
        self.replaced = Some(self.tick());
    }

    fn tick(&mut self) -> Moment {
        self.now += 1;
        self.now
    }

    /// How many messages have no outcome so far.
    pub(crate) fn pending(&self) -> usize {
        self.sent.values().filter(|post| post.outcome.is_none()).count()
    }

    /// How many answers could not be read, and the first reason.
    pub(crate) fn unreadable(&self) -> Option<(usize, &str)> {
        let mut reasons = self.sent.values().filter_map(|post| match &post.outcome {
            Some((_, Outcome::Unreadable(reason))) => Some(reason.as_str()),
            _ => None,
        });
        reasons.next().map(|first| (reasons.count() + 1, first))
    }

    /// How many messages were sent, and how many items were seen, so far.
    pub(crate) fn progress(&self) -> (usize, usize) {
        (self.sent.len(), self.journals.values().map(Vec::len).sum())
    }

    /// The verdict on everything.
    pub(crate) fn verdict(&self, clients: Who) -> Verdict {
        let mut all = Verdict::default();
        for client in 0..clients {
            all.add(self.verdict_on(client));
        }
        all
    }

    /// The verdict on one client: on what it sent, and on what it saw of all messages.
    pub(crate) fn verdict_on(&self, client: Who) -> Verdict {
        let journal = self.journals.get(&client).map_or(&[][..], Vec::as_slice);
        let index = Index::of(journal, &self.sent);
        let mut verdict = self.as_sender(client, index.told_of_the_kill(self));
        let (doubled, reordered) = judge_order(journal);
        verdict.doubled += doubled;
        verdict.reordered += reordered + self.disagreements(client);
        for (message, post) in self.sent.iter().filter(|(message, _)| index.delivered(**message)) {
            match &post.outcome {
                Some((_, Outcome::NotExecuted)) => verdict.doubled += 1,
                Some((_, Outcome::Done(id))) if !index.only_as(*message, id) => {
                    verdict.doubled += 1
                }
                _ => verdict.delivered += 1,
            }
        }
        let missing = index.missing(self);
        verdict.gapped += missing.gapped;
        verdict.lost += missing.lost;
        verdict
    }

    fn as_sender(&self, client: Who, told_of_the_kill: Option<Moment>) -> Verdict {
        let mut verdict = Verdict::default();
        for (_, post) in self.sent.iter().filter(|(message, _)| message.sender == client) {
            verdict.sent += 1;
            match post.outcome {
                None => verdict.lost += 1,
                Some((settled, Outcome::Unknown)) => {
                    verdict.unknown += 1;
                    verdict.lost +=
                        u64::from(!self.may_be_unknown(post.sent, settled, told_of_the_kill));
                }
                Some((_, Outcome::NotExecuted)) => verdict.not_executed += 1,
                Some((_, Outcome::Done(_) | Outcome::Unreadable(_))) => {}
            }
        }
        verdict
    }

    /// Whether an outcome can have died with the server: it was not known before, and the message
    /// may have been written to that server. For a while a client may write to a dead connection,
    /// until it is told of the new server's topic.
    fn may_be_unknown(
        &self,
        sent: Moment,
        settled: Moment,
        told_of_the_kill: Option<Moment>,
    ) -> bool {
        let Some(killed) = self.killed else { return false };
        let over = told_of_the_kill.or(self.replaced).unwrap_or(Moment::MAX);
        settled > killed && sent < over
    }

    /// Whether a posted message can have died with the server: its outcome came shortly before the
    /// kill or later, and it was sent before there was another server. That one has everything
    /// else, of which a snapshot that is `full` has only the latest.
    fn died_with_the_server(&self, sent: Moment, settled: Moment, full: bool) -> bool {
        settled > self.nearing && (full || self.replaced.is_none_or(|replaced| sent < replaced))
    }

    /// How often this client saw two events in another order than a client before it did. A topic
    /// has one order for everybody.
    fn disagreements(&self, client: Who) -> u64 {
        let mine = first_events(self.journals.get(&client));
        let others = self.journals.range(..client);
        others.map(|(_, journal)| descents(&mine, &first_events(Some(journal)))).sum()
    }
}

/// The ids of a journal's events, each once.
fn first_events(journal: Option<&Vec<Noted>>) -> Vec<&str> {
    let mut known = BTreeSet::new();
    let events = journal.into_iter().flatten().filter_map(|noted| match &noted.item {
        Item::Event(seen) => Some(seen.id.as_str()),
        Item::Snapshot { .. } => None,
    });
    events.filter(|id| known.insert(*id)).collect()
}

/// How often `mine` goes back in the order of `theirs`.
fn descents(mine: &[&str], theirs: &[&str]) -> u64 {
    let places: BTreeMap<&str, usize> =
        theirs.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let common: Vec<usize> = mine.iter().filter_map(|id| places.get(id).copied()).collect();
    common.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64
}

/// Events that came again, and events that came after a later one of their sender.
///
/// A snapshot may contain more than the events up to its `ts` (PROTOCOL.md 7.5). An event that
/// follows although the snapshot contained it is recognized by its id, as in every client, and
/// counts once.
fn judge_order(journal: &[Noted]) -> (u64, u64) {
    let (mut doubled, mut reordered) = (0, 0);
    let mut events = BTreeSet::new();
    let mut ids: BTreeMap<Message, &str> = BTreeMap::new();
    let mut latest: BTreeMap<Who, u64> = BTreeMap::new();
    let mut state = BTreeSet::new();
    for noted in journal {
        match &noted.item {
            Item::Snapshot { messages, .. } => {
                let mut inside = BTreeSet::new();
                for Seen { message, id } in messages {
                    let known = ids.entry(message.to_owned()).or_insert(id);
                    doubled += u64::from(*known != id || !inside.insert(*message));
                    let latest = latest.entry(message.sender).or_default();
                    *latest = (*latest).max(message.number);
                }
                reordered += inside_out(messages);
                state = messages.iter().map(|seen| seen.id.as_str()).collect();
            }
            Item::Event(Seen { message, id }) => {
                let known = *ids.entry(*message).or_insert(id);
                let latest = latest.entry(message.sender).or_default();
                if !events.insert(id.as_str()) || known != id {
                    doubled += 1;
                } else if !state.contains(id.as_str()) && message.number <= *latest {
                    reordered += 1;
                }
                *latest = (*latest).max(message.number);
            }
        }
    }
    (doubled, reordered)
}

/// Messages in a snapshot that come after a later one of their sender.
fn inside_out(messages: &[Seen]) -> u64 {
    let mut latest: BTreeMap<Who, u64> = BTreeMap::new();
    let mut wrong = 0;
    for Seen { message, .. } in messages {
        let latest = latest.entry(message.sender).or_default();
        wrong += u64::from(message.number < *latest);
        *latest = (*latest).max(message.number);
    }
    wrong
}
