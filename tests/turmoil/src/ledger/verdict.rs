//! What must hold once everything has healed, for callers and subscribers together.

use std::collections::{BTreeMap, BTreeSet};

use super::{Notes, Outcome, Topic};
use crate::protocol::Tag;

impl Notes {
    /// What somebody has yet to be told.
    pub(super) fn missing(&self) -> Option<String> {
        for (&who, &life) in &self.clients {
            if !self.finished.contains(&who) {
                return Some(format!("client {who} has not finished"));
            }
            let waiting = |(tag, post): &(&Tag, &super::Post)| {
                tag.who == who && tag.life == life && post.outcome.is_none()
            };
            if let Some((tag, _)) = self.posts.iter().find(waiting) {
                return Some(format!("{tag} has no outcome"));
            }
            let done = self.done_in_this_life();
            let known = self.followers.get(&(who, Topic::Board)).map(|follower| &follower.known);
            if let Some(tag) =
                done.iter().find(|tag| known.is_none_or(|known| !known.contains(tag)))
            {
                return Some(format!("client {who} does not know {tag}, which was done"));
            }
            let at = self.followers.get(&(who, Topic::Feed)).and_then(|follower| follower.at);
            let last = done
                .iter()
                .filter_map(|tag| self.places.get(&(Topic::Feed, *tag)))
                .max_by_key(|place| place.1);
            if let Some(last) = last
                && at.is_none_or(|at| at.0 != last.0 || at.1 < last.1)
            {
                return Some(format!(
                    "client {who} is at {at:x?} of the feed, which has come to {last:x?}"
                ));
            }
        }
        None
    }

    /// What the present server has done, as callers know.
    fn done_in_this_life(&self) -> BTreeSet<Tag> {
        let here =
            |tag: &Tag| self.applied.get(tag).is_some_and(|applied| applied.server == self.server);
        let done = |post: &super::Post| matches!(post.outcome, Some((Outcome::Done(_), _)));
        self.posts
            .iter()
            .filter(|(tag, post)| done(post) && here(tag))
            .map(|(tag, _)| *tag)
            .collect()
    }

    pub(super) fn judge(&mut self) {
        let mut wrong = Vec::new();
        for (tag, post) in &self.posts {
            let applied = self.applied.get(tag);
            match post.outcome {
                Some((Outcome::Done(reply), _))
                    if applied.is_none_or(|applied| applied.reply != reply) =>
                {
                    wrong.push(format!("{tag} was told {reply}, but {applied:?}"));
                }
                Some((Outcome::NotExecuted, _)) if applied.is_some() => {
                    wrong.push(format!("{tag} was told that it was not done, but {applied:?}"));
                }
                Some((Outcome::Unknown, ends)) if ends == post.ends => {
                    wrong.push(format!("the outcome of {tag} is unknown although no server ended"));
                }
                _ => {}
            }
        }
        for ((topic, epoch), log) in &self.logs {
            wrong.extend(
                log.values().filter(|tag| tag.who < 1000 && !self.applied.contains_key(tag)).map(
                    |tag| format!("{tag} stands in {topic:?} {epoch:x} and was never applied"),
                ),
            );
            let servers: BTreeSet<u32> = log
                .values()
                .filter_map(|tag| self.applied.get(tag))
                .map(|applied| applied.server)
                .collect();
            if servers.len() > 1 {
                wrong.push(format!(
                    "{topic:?} {epoch:x} goes over the lives {servers:?} of the server"
                ));
            }
            wrong.extend(
                out_of_order(log).map(|tag| {
                    format!("{tag} stands before an earlier one in {topic:?} {epoch:x}")
                }),
            );
        }
        for topic in [Topic::Board, Topic::Feed] {
            let epochs = self.logs.keys().filter(|(other, _)| *other == topic).count();
            if epochs > self.server as usize {
                wrong.push(format!(
                    "{topic:?} had {epochs} incarnations in {} lives of the server",
                    self.server
                ));
            }
        }
        for what in wrong {
            self.wrong(what);
        }
    }
}

/// Ordered notes of one client's life that come after a later one of the same life.
fn out_of_order(log: &BTreeMap<u64, Tag>) -> impl Iterator<Item = Tag> {
    let mut last: BTreeMap<(u32, u32), u32> = BTreeMap::new();
    log.values().filter(|tag| tag.who < 1000 && tag.is_ordered()).filter_map(move |tag| {
        let last = last.entry((tag.who, tag.life)).or_default();
        let ordered = tag.number > *last;
        *last = tag.number.max(*last);
        (!ordered).then_some(*tag)
    })
}
