//! Followers: each sees the log of a room as it is, from where it began, without a gap, to the end.
//! A follower that was killed goes on where it was.

use std::collections::{BTreeMap, BTreeSet};

use crate::held::{Held, Log};
use crate::history::{History, Line};
use crate::verdict::{Kind, Verdict};

/// What one follower has seen of one room.
#[derive(Default)]
struct Stream {
    /// The number that comes next; `None` if it has begun where the room stood.
    next: Option<u64>,
    seen: BTreeSet<u64>,
}

/// An event, as a follower saw it.
struct Seen<'a> {
    epoch: u64,
    ts: u64,
    name: &'a str,
    receipt: u64,
}

pub(super) fn judge(History(lines): &History, held: &Held, verdict: &mut Verdict) {
    let none = Log::default();
    let mut streams: BTreeMap<(&str, &str), Stream> = BTreeMap::new();
    let mut begun = false;
    for line in lines {
        match line {
            // Before anybody has asked for anything, every room stands at its beginning.
            Line::Asked { .. } => begun = true,
            Line::Follows { who, room, after } => {
                let stream = streams.entry((who, room)).or_default();
                if after.is_none() {
                    stream.next = (!begun).then_some(1);
                }
            }
            Line::Saw { who, room, epoch, ts, name, receipt } => {
                let stream = streams.entry((who, room)).or_default();
                let seen = Seen { epoch: *epoch, ts: *ts, name, receipt: *receipt };
                let log = held.logs.get(room).unwrap_or(&none);
                if let Some((kind, why)) = stream.saw(&seen, log) {
                    verdict.blame(kind, format!("{who} in {room}: {why}"));
                }
            }
            Line::Gap { who, room, reason } => {
                verdict.blame(Kind::Gap, format!("{who} in {room}: {reason}"));
            }
            Line::Told { .. } | Line::Killed { .. } | Line::ServerKilled { .. } => {}
        }
    }
    for ((who, room), stream) in streams {
        let log = held.logs.get(room).unwrap_or(&none);
        // What is not in the file was blamed when it was seen.
        if let Some(next) = stream.next.filter(|next| *next <= log.head) {
            let head = log.head;
            verdict.blame(Kind::EventLost, format!("{who} in {room}: {next} to {head}, the last"));
        }
    }
}

impl Stream {
    /// Takes an event; what is wrong with it.
    fn saw(&mut self, seen: &Seen<'_>, log: &Log) -> Option<(Kind, String)> {
        let ts = seen.ts;
        let next = self.next.unwrap_or(ts);
        self.next = Some(next.max(ts + 1));
        if !self.seen.insert(ts) {
            return Some((Kind::EventTwice, format!("{ts} came again")));
        }
        if ts < next {
            return Some((Kind::EventDisorder, format!("{ts} came when {next} was due")));
        }
        let there = log.entries.get(ts.saturating_sub(1) as usize);
        let same = |entry: &crate::held::Entry| {
            entry.ts == ts && entry.name == seen.name && entry.receipt == seen.receipt
        };
        if seen.epoch != log.epoch || !there.is_some_and(same) {
            return Some((Kind::AnotherEvent, format!("{ts} was {}", seen.name)));
        }
        (ts > next).then(|| (Kind::EventLost, format!("{next} to {}", ts - 1)))
    }
}
