//! What a node does about events of its own that are in a log and not in its tail: it looks for them
//! as soon as it knows of them. What it finds is for others to judge.

use std::collections::BTreeMap;

use steadfast::session::node::Node;
use steadfast::session::store::{
    AppendKey, Commit, CommitOutcome, OpId, StoreOp, StoreOutcome, TopicId,
};
use steadfast::wire::{LeaseId, Position};
use steadfast_rig::Rule;

use crate::checkers::Checkers;

/// Lease, number, and the topics of the publications.
type Committing = Vec<(LeaseId, u64, Vec<TopicId>)>;

/// Of all node processes.
#[derive(Debug, Clone, Default)]
pub(in crate::checkers) struct Looks {
    /// What is committed by operations under way.
    committing: BTreeMap<(u64, OpId), Committing>,
    /// Topics that are looked at.
    reading: BTreeMap<(u64, OpId), TopicId>,
    /// Where events are that a node has just learnt to be its own.
    learnt: Vec<(u64, TopicId, Position)>,
}

impl Looks {
    pub(in crate::checkers) fn asked(&mut self, process: u64, op: OpId, body: &StoreOp) {
        match body {
            StoreOp::Commit { lease, commits, .. } => {
                let topics = |one: &Commit| {
                    one.record.publishes.iter().map(|event| event.topic.clone()).collect()
                };
                let these = commits.iter().map(|one| (*lease, one.n.0, topics(one)));
                self.committing.insert((process, op), these.collect());
            }
            StoreOp::ReadLog { topic, .. } | StoreOp::OpenTopic { topic, .. } => {
                self.reading.insert((process, op), topic.clone());
            }
            _ => {}
        }
    }

    fn is_read(&self, process: u64, topic: &TopicId) -> bool {
        let first = (process, OpId(0));
        let theirs = self.reading.range(first..).take_while(|((of, _), _)| *of == process);
        theirs.into_iter().any(|(_, of)| of == topic)
    }
}

impl Checkers {
    pub(in crate::checkers) fn own_events_are_learnt(
        &mut self,
        process: u64,
        op: OpId,
        outcome: &StoreOutcome,
    ) {
        if matches!(outcome, StoreOutcome::Failed | StoreOutcome::Unknown) {
            return;
        }
        self.topics.looks.reading.remove(&(process, op));
        let Some(asked) = self.topics.looks.committing.remove(&(process, op)) else { return };
        let StoreOutcome::Committed { outcomes, .. } = outcome else { return };
        for ((lease, n, publishes), (number, outcome)) in asked.into_iter().zip(outcomes) {
            let CommitOutcome::Exists(record) = outcome else { continue };
            let theirs = self.commits.get(&(lease, n)).map(|commit| commit.publishes.iter());
            let same = theirs.is_some_and(|theirs| theirs.map(|it| &it.topic).eq(&publishes));
            if !record.settled || !same {
                // Another run of its handler has published otherwise.
                continue;
            }
            for index in 0..publishes.len() as u32 {
                let key = AppendKey::Command { lease, n: *number, index };
                if let Some((topic, place)) = self.topics.places.get(&key).cloned() {
                    self.sometimes.count("own events looked for");
                    self.topics.looks.learnt.push((process, topic, place));
                }
            }
        }
    }

    /// Once a node knows that its record stands and is settled, its events are in its tail, or it
    /// is looking.
    pub fn own_events_are_looked_for(&mut self, process: u64, core: &Node) {
        let learnt = std::mem::take(&mut self.topics.looks.learnt);
        let (theirs, others): (Vec<_>, Vec<_>) =
            learnt.into_iter().partition(|(of, ..)| *of == process);
        self.topics.looks.learnt = others;
        for (_, topic, place) in theirs {
            // One that it does not hold, or knows in another incarnation, is not its concern.
            let behind = core
                .topic_head(&topic)
                .is_some_and(|head| head.epoch == place.epoch && head.ts < place.ts);
            let looks = !behind || self.topics.looks.is_read(process, &topic);
            self.require(looks, Rule::OwnEventsAreLookedFor, || {
                format!("process {process}: {topic:?} at {place:?}")
            });
        }
    }

    /// A node wants news of the topics that it holds, and of no others.
    pub fn interest_is_told(&mut self, process: u64, wanted: usize, held: usize) {
        self.require(wanted == held, Rule::InterestIsTold, || {
            format!("process {process} wants news of {wanted} topics and holds {held}")
        });
    }

    /// It says so once.
    pub fn interest_changes(&mut self, changes: bool) {
        self.require(changes, Rule::InterestIsTold, || "it was said before".to_owned());
    }
}
