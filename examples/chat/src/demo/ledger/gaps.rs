//! What a client has not seen, and whether a reported gap excuses it. Two kinds of gaps are
//! legitimate: one per client for the killed server, and those of a subscriber that was away for
//! longer than a topic retains. Any other gap is a loss that was announced.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{Cause, Item, Ledger, Message, Moment, Noted, Outcome, Post, Seen};

/// How many events of a room are retained (`replay` of its topic). Whoever misses fewer must not be
/// told of trimming.
const RETAINED: usize = 500;
/// How many messages a room's snapshot contains; a shorter one is complete.
const HISTORY: usize = 200;

/// What is missing in one journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// Posted messages that a legitimate gap covers.
    pub(super) gapped: u64,
    /// All other posted messages, and gaps that should not be there.
    pub(super) lost: u64,
}

/// A gap that the client was told of.
struct Gap {
    place: usize,
    at: Moment,
    cause: Cause,
    /// How many messages its snapshot has, and how many of these had not been seen.
    messages: usize,
    fresh: usize,
    /// When the latest event that was seen before it was sent.
    seen_until: Moment,
}

/// Where in a journal each message is.
pub(super) struct Index<'a> {
    /// Per sender and number: the first and the last place.
    places: BTreeMap<Message, (usize, usize)>,
    /// Per sender and number: the first id.
    ids: BTreeMap<Message, &'a str>,
    gaps: Vec<Gap>,
}

impl<'a> Index<'a> {
    pub(super) fn of(journal: &'a [Noted], sent: &BTreeMap<Message, Post>) -> Self {
        let mut index = Self { places: BTreeMap::new(), ids: BTreeMap::new(), gaps: Vec::new() };
        let mut seen_until = 0;
        for (place, Noted { at, item }) in journal.iter().enumerate() {
            let messages = match item {
                Item::Event(seen) => {
                    seen_until =
                        sent.get(&seen.message).map_or(0, |post| post.sent).max(seen_until);
                    std::slice::from_ref(seen)
                }
                Item::Snapshot { gap, messages } => {
                    if let Some(cause) = *gap {
                        let fresh =
                            messages.iter().filter(|seen| !index.delivered(seen.message)).count();
                        index.gaps.push(Gap {
                            place,
                            at: *at,
                            cause,
                            messages: messages.len(),
                            fresh,
                            seen_until,
                        });
                    }
                    messages
                }
            };
            for Seen { message, id } in messages {
                index.places.entry(*message).or_insert((place, place)).1 = place;
                index.ids.entry(*message).or_insert(id);
            }
        }
        index
    }

    pub(super) fn delivered(&self, message: Message) -> bool {
        self.places.contains_key(&message)
    }

    /// Whether the message first came under this id. A second id is found by the order of events.
    pub(super) fn only_as(&self, message: Message, id: &str) -> bool {
        self.ids.get(&message).is_some_and(|known| *known == id)
    }

    /// Everything that was posted and did not arrive.
    pub(super) fn missing(&self, ledger: &Ledger) -> Missing {
        let posted = ledger.sent.iter().filter_map(|(message, post)| match &post.outcome {
            Some((at, Outcome::Done(_))) if !self.delivered(*message) => {
                Some((*message, post.sent, *at))
            }
            _ => None,
        });
        let posted: Vec<(Message, Moment, Moment)> = posted.collect();
        let kill = self.kill(ledger);
        let mut missing = Missing::default();
        let mut excuses = Vec::new();
        for (which, gap) in self.gaps.iter().enumerate() {
            let here = || posted.iter().filter(|(message, ..)| self.stands_at(gap, *message));
            let trimmed = gap.cause == Cause::Trimmed && gap.fresh + here().count() >= RETAINED;
            if trimmed || kill == Some(which) {
                excuses.push((gap, trimmed));
            } else {
                missing.lost += 1;
            }
        }
        for (message, sent, settled) in posted {
            let excused = excuses.iter().any(|(gap, trimmed)| {
                self.stands_at(gap, message)
                    && gap.seen_until < settled
                    && (*trimmed
                        || ledger.died_with_the_server(sent, settled, gap.messages >= HISTORY))
            });
            if excused {
                missing.gapped += 1;
            } else {
                missing.lost += 1;
            }
        }
        missing
    }

    /// When the client was told that the killed server's events are gone.
    pub(super) fn told_of_the_kill(&self, ledger: &Ledger) -> Option<Moment> {
        self.kill(ledger).map(|which| self.gaps[which].at)
    }

    /// The one gap that the kill may cost.
    fn kill(&self, ledger: &Ledger) -> Option<usize> {
        let killed = ledger.killed?;
        self.gaps.iter().position(|gap| gap.cause == Cause::Epoch && gap.at > killed)
    }

    /// Whether a message should have been where this gap was reported: after the last item with an
    /// earlier message of its sender, and not after the first item with a later one. A sender's
    /// messages are posted in order, so its neighbours tell.
    fn stands_at(&self, gap: &Gap, Message { sender, number }: Message) -> bool {
        let of_sender = |numbers: RangeInclusive<u64>| {
            self.places.range(
                Message { sender, number: *numbers.start() }..=Message {
                    sender,
                    number: *numbers.end(),
                },
            )
        };
        let after = of_sender(0..=number.saturating_sub(1)).map(|(_, (_, last))| *last).max();
        let until =
            of_sender(number.saturating_add(1)..=u64::MAX).map(|(_, (first, _))| *first).min();
        after.is_none_or(|after| gap.place > after) && until.is_none_or(|until| gap.place <= until)
    }
}
