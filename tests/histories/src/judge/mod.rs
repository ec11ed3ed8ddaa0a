//! The verdict: commands are judged by what their callers were told, followers by what they saw,
//! both against what the file holds.

mod commands;
mod streams;

use std::collections::BTreeSet;

use crate::held::{Held, Log};
use crate::history::{History, Line};
use crate::verdict::{Kind, Verdict};

/// Judges a history that has come to its end: every writer that was not killed has had the time to
/// hear of everything, and every follower to see everything.
#[must_use]
pub fn judge(history: &History, held: &Held) -> Verdict {
    let mut verdict = Verdict::default();
    count(history, &mut verdict);
    judge_file(held, &mut verdict);
    commands::judge(history, held, &mut verdict);
    streams::judge(history, held, &mut verdict);
    verdict
}

fn count(History(lines): &History, verdict: &mut Verdict) {
    let figures = &mut verdict.figures;
    let mut known = BTreeSet::new();
    for line in lines {
        match line {
            Line::Asked { name, .. } => figures.again += u64::from(!known.insert(name)),
            Line::Saw { .. } => figures.seen += 1,
            Line::Killed { .. } => figures.client_kills += 1,
            Line::ServerKilled { times } => figures.server_kills = *times,
            Line::Told { .. } | Line::Follows { .. } | Line::Gap { .. } => {}
        }
    }
    figures.commands = known.len() as u64;
}

/// What is wrong whatever anybody was told.
fn judge_file(held: &Held, verdict: &mut Verdict) {
    if !held.damage.is_empty() {
        verdict.blame(Kind::Damaged, &held.damage);
    }
    if held.owed > 0 {
        verdict.blame(Kind::Owed, format!("{} events are in no log", held.owed));
    }
    for (room, Log { head, entries, .. }) in &held.logs {
        for (entry, expected) in entries.iter().zip(1..) {
            if entry.ts != expected {
                verdict.blame(Kind::Hole, format!("{room}: {} where {expected} belongs", entry.ts));
                break;
            }
        }
        let last = entries.last().map_or(0, |entry| entry.ts);
        if last != *head {
            verdict.blame(Kind::Hole, format!("{room}: the last entry is {last} of {head}"));
        }
    }
}
