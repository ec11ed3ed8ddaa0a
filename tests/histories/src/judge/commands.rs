//! Commands: each at most once, those reported done certainly, with the outcome that was told, and
//! in the order of their caller's calls. What followers see of them is not judged here.

use std::collections::{BTreeMap, BTreeSet};

use crate::held::{Entry, Held};
use crate::history::{Answer, History, Line};
use crate::verdict::{Kind, Verdict};

/// All that callers know of one command.
#[derive(Default)]
struct Command<'a> {
    /// Receipts that they were given.
    receipts: BTreeSet<u64>,
    not_done: bool,
    /// A call of it ended in "unknown", or did not end.
    indefinite: bool,
    /// Whose n-th call it is, if it has a place in an order.
    place: Option<(&'a str, u64)>,
}

/// What a history says of commands.
#[derive(Default)]
struct Commands<'a> {
    by_name: BTreeMap<&'a str, Command<'a>>,
    /// Calls that have not ended so far.
    open: BTreeMap<(&'a str, u64), &'a str>,
    /// Calls that ended in "unknown".
    unknown: Vec<(&'a str, u64)>,
}

impl<'a> Commands<'a> {
    fn of(History(lines): &'a History) -> Self {
        let mut commands = Self::default();
        for line in lines {
            match line {
                Line::Asked { who, op, name, ordered, .. } => {
                    let command = commands.by_name.entry(name).or_default();
                    command.place = ordered.then_some((who, *op));
                    commands.open.insert((who, *op), name);
                }
                Line::Told { who, op, answer } => commands.told((who, *op), answer),
                Line::Killed { prefix } => commands.killed(prefix),
                _ => {}
            }
        }
        commands
    }

    fn told(&mut self, call: (&'a str, u64), answer: &Answer) {
        let Some(name) = self.open.remove(&call) else { return };
        let command = self.by_name.entry(name).or_default();
        match answer {
            Answer::Done { receipt } => drop(command.receipts.insert(*receipt)),
            Answer::NotDone { .. } => command.not_done = true,
            Answer::Unknown => {
                command.indefinite = true;
                self.unknown.push(call);
            }
        }
    }

    /// Whoever was killed waits for nothing.
    fn killed(&mut self, prefix: &str) {
        let (killed, alive) = std::mem::take(&mut self.open)
            .into_iter()
            .partition(|((who, _), _)| who.starts_with(prefix));
        self.open = alive;
        let killed: BTreeMap<(&str, u64), &str> = killed;
        for name in killed.values() {
            self.by_name.entry(name).or_default().indefinite = true;
        }
    }
}

pub(super) fn judge(history: &History, held: &Held, verdict: &mut Verdict) {
    let commands = Commands::of(history);
    for ((who, op), name) in &commands.open {
        verdict.blame(Kind::NeverEnded, format!("{name}, which is call {op} of {who}"));
    }
    for (who, op) in &commands.unknown {
        verdict.blame(Kind::Unknown, format!("call {op} of {who}"));
    }
    let carried_out = carried_out(held);
    for (name, command) in &commands.by_name {
        judge_one(name, command, &carried_out, held, verdict);
    }
    for name in carried_out.keys().filter(|name| !commands.by_name.contains_key(*name)) {
        verdict.blame(Kind::Phantom, *name);
    }
    judge_order(&commands, held, verdict);
}

/// What is in the logs, by the commands' names.
fn carried_out(held: &Held) -> BTreeMap<&str, Vec<&Entry>> {
    let mut carried_out: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in held.logs.values().flat_map(|log| &log.entries) {
        carried_out.entry(&entry.name).or_default().push(entry);
    }
    carried_out
}

fn judge_one(
    name: &str,
    command: &Command<'_>,
    carried_out: &BTreeMap<&str, Vec<&Entry>>,
    held: &Held,
    verdict: &mut Verdict,
) {
    let there = carried_out.get(name).map_or(&[][..], Vec::as_slice);
    let figures = &mut verdict.figures;
    let done = !command.receipts.is_empty();
    match done {
        true => figures.done += 1,
        false if command.not_done => figures.not_done += 1,
        false if command.indefinite => {
            figures.indefinite += 1;
            figures.indefinite_done += u64::from(!there.is_empty());
        }
        false => {}
    }
    if done && there.is_empty() {
        verdict.blame(Kind::Lost, name);
    }
    if there.len() > 1 {
        verdict.blame(Kind::Twice, format!("{name}, {} times", there.len()));
    }
    // Another call of it may have been carried out, before or after.
    if command.not_done && !done && !command.indefinite && !there.is_empty() {
        verdict.blame(Kind::DoneAllTheSame, name);
    }
    let kept = held.replies.get(name).map(|reply| reply.parse().ok());
    let kept = kept.map(|receipt| receipt.unwrap_or(u64::MAX));
    let receipts = there.iter().map(|entry| entry.receipt).chain(kept);
    let all: BTreeSet<u64> = command.receipts.iter().copied().chain(receipts).collect();
    if done && all.len() > 1 && there.len() < 2 {
        verdict.blame(Kind::AnotherAnswer, format!("{name}: {all:?}"));
    }
}

/// In each log, what somebody called in order is in that order.
fn judge_order(commands: &Commands<'_>, held: &Held, verdict: &mut Verdict) {
    for (room, log) in &held.logs {
        let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
        for Entry { name, .. } in &log.entries {
            let command = commands.by_name.get(name.as_str());
            let Some((who, op)) = command.and_then(|command| command.place) else { continue };
            let before = latest.entry(who).or_default();
            // Once more in the same place is `Twice`.
            if op < *before {
                verdict.blame(Kind::Disorder, format!("{room}: {name} comes after call {before}"));
            }
            *before = op.max(*before);
        }
    }
}
