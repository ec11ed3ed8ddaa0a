//! The operations as cases use them, with what every answer to them has to be. Which rule a case is
//! about is not known here.

use std::time::Duration;

use super::bench::{Answer, Bench};
use super::report::{Broken, ensure};
use crate::session::store::{
    Append, AppendKey, AppendOutcome, Appended, Commit, CommitOutcome, Generation, Holder,
    LogEntry, Outcome, Publication, ReadFrom, Record, Retention, StoreOp, StoreOutcome, StoreTime,
    TopicHead, TopicId,
};
use crate::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name, TopicSeq};

/// Far more than a run of the suite takes.
pub(super) const LONG_MS: u64 = 24 * 3_600 * 1_000;
/// More than the cases append to one topic.
pub(super) const KEPT: Retention = Retention::new(1_000, Duration::from_secs(24 * 3_600));
/// Proposed for every topic, unless a case is about epochs.
pub(super) const EPOCH: Epoch = Epoch(77);
/// Records per page of the sweep; small, so that there are pages.
const SWEPT: u32 = 3;
/// How often a record is looked at for an append that comes too late for the store's window.
const LOOKS: usize = 64;
/// Pages of one sweep or one reading: more than all cases together write.
const PAGES: usize = 10_000;

/// A record of the sweep.
pub(super) type Owed = (LeaseId, CommandNo, Record);

/// What came of writing one record.
#[derive(Debug)]
pub(super) struct Wrote {
    pub(super) settled: bool,
    /// Where its publications landed, if the store has told.
    pub(super) at: Option<Vec<Appended>>,
}

pub(super) fn event(topic: &TopicId, text: &str) -> Publication {
    let body = Body::copy_from(text.as_bytes());
    let name = Name::from_static("said").expect("a legal name");
    Publication { topic: topic.clone(), name, bodies: vec![(Codec::Json, body)] }
}

pub(super) fn record(hash: u64, publishes: &[Publication]) -> Record {
    let settled = publishes.is_empty();
    Record { hash, outcome: Outcome::Ok(Body::UNIT), publishes: publishes.to_vec(), settled }
}

pub(super) fn append(key: AppendKey, as_of: Option<StoreTime>, publication: Publication) -> Append {
    let Publication { name, bodies, .. } = publication;
    Append { key, as_of, name, bodies }
}

pub(super) fn commit(n: u64, record: Record, settle: bool) -> Commit {
    let (retention, fresh_epochs) =
        (vec![KEPT; record.publishes.len()], vec![EPOCH; record.publishes.len()]);
    Commit { n: CommandNo(n), record, settle, retention, fresh_epochs, id: None, decide: None }
}

pub(super) fn text(entry: &LogEntry) -> String {
    let bodies = entry.bodies.iter().map(|(_, body)| String::from_utf8_lossy(body.as_bytes()));
    bodies.collect::<Vec<_>>().join("|")
}

/// How often a lease is asked for that was asked for too long ago: its time may stand still while
/// others end.
const OPENED_AGAIN: usize = 64;

/// Who opens a lease, and claims it where nothing else is said.
const FIRST: u64 = 1;

/// Operations on leases.
impl Bench {
    /// Somebody at a node of their own.
    pub(super) fn holder(&self, who: u64) -> Holder {
        let node = self.node() << 64 | u128::from(who);
        Holder { node, instance: InstanceId(node), dial: Dial(1) }
    }

    /// The store's time.
    pub(super) async fn now(&self) -> Result<StoreTime, Broken> {
        Ok(self.look((1, 0), None, LONG_MS).await?.0)
    }

    pub(super) fn open_op(
        &self,
        as_of: StoreTime,
        id: LeaseId,
        (principal, max): (&str, u32),
    ) -> StoreOp {
        StoreOp::OpenLease {
            id,
            as_of,
            holder: self.holder(FIRST),
            principal: self.principal(principal),
            codec: Codec::Json,
            ttl_ms: LONG_MS,
            unused_ttl_ms: LONG_MS,
            max_per_principal: max,
            held_ms: LONG_MS,
        }
    }

    pub(super) async fn open(
        &self,
        id: LeaseId,
        principal: &str,
        max: u32,
    ) -> Result<StoreOutcome, Broken> {
        let op = self.open_op(self.now().await?, id, (principal, max));
        self.open_by(op).await
    }

    /// Asks for a lease; again, as of the time that the store tells, if it wants that.
    pub(super) async fn open_by(&self, mut op: StoreOp) -> Result<StoreOutcome, Broken> {
        for _ in 0..OPENED_AGAIN {
            let outcome = self.ask(op.clone()).await?.outcome;
            match (&outcome, &mut op) {
                (StoreOutcome::Stale { at }, StoreOp::OpenLease { as_of, .. }) => *as_of = *at,
                _ => return Ok(outcome),
            }
        }
        Err(Broken::new("another answer than Stale to what was asked for now", &op))
    }

    /// A lease of "ann", who may have many.
    pub(super) async fn opened(&self, which: u8) -> Result<LeaseId, Broken> {
        let id = self.lease(which);
        lives("an opened lease", &self.open(id, "ann", 200).await?)?;
        Ok(id)
    }

    pub(super) async fn claim(
        &self,
        id: LeaseId,
        principal: &str,
        low: u64,
    ) -> Result<StoreOutcome, Broken> {
        self.claim_by(FIRST, id, principal, low).await
    }

    pub(super) async fn claim_by(
        &self,
        who: u64,
        id: LeaseId,
        principal: &str,
        low: u64,
    ) -> Result<StoreOutcome, Broken> {
        let (principal, low) = (self.principal(principal), CommandNo(low));
        let holder = self.holder(who);
        let op = StoreOp::ClaimLease { id, holder, principal, codec: Codec::Json, low };
        Ok(self.ask(op).await?.outcome)
    }

    pub(super) async fn renew(
        &self,
        id: LeaseId,
        held: bool,
        low: u64,
    ) -> Result<StoreOutcome, Broken> {
        self.renew_of(Generation(1), id, held, low).await
    }

    pub(super) async fn renew_of(
        &self,
        generation: Generation,
        id: LeaseId,
        held: bool,
        low: u64,
    ) -> Result<StoreOutcome, Broken> {
        let op = StoreOp::RenewLease { id, generation, held, low: CommandNo(low) };
        Ok(self.ask(op).await?.outcome)
    }

    pub(super) async fn end(&self, id: LeaseId) -> Result<(), Broken> {
        let outcome = self.ask(StoreOp::EndLease { id }).await?.outcome;
        ensure(outcome == StoreOutcome::Done, "an ended lease: Done", &outcome)
    }
}

/// The claim of a lease that lives.
pub(super) fn lives(
    what: &str,
    outcome: &StoreOutcome,
) -> Result<(CommandNo, Vec<(CommandNo, Record)>), Broken> {
    match outcome {
        StoreOutcome::Lease { low, records, .. } => Ok((*low, records.clone())),
        _ => Err(Broken::new(format!("{what}: Lease"), outcome)),
    }
}

/// Operations on records.
impl Bench {
    pub(super) async fn commit(
        &self,
        lease: LeaseId,
        low: u64,
        commits: Vec<Commit>,
    ) -> Result<Answer, Broken> {
        self.ask(StoreOp::Commit { lease, low: CommandNo(low), commits }).await
    }

    /// Commits, and gives what came of each, all numbers accounted for.
    pub(super) async fn committed(
        &self,
        lease: LeaseId,
        low: u64,
        commits: Vec<Commit>,
    ) -> Result<(Vec<CommitOutcome>, bool), Broken> {
        let asked: Vec<CommandNo> = commits.iter().map(|commit| commit.n).collect();
        let Answer { outcome, repeated } = self.commit(lease, low, commits).await?;
        let expected = || format!("Committed with what came of each of {asked:?}, in order");
        let StoreOutcome::Committed { outcomes: rows, .. } = outcome else {
            return Err(Broken::new(expected(), &outcome));
        };
        ensure(rows.iter().map(|(n, _)| *n).eq(asked.iter().copied()), expected(), &rows)?;
        Ok((rows.into_iter().map(|(_, outcome)| outcome).collect(), repeated))
    }

    /// Writes one new record.
    pub(super) async fn write(
        &self,
        lease: LeaseId,
        n: u64,
        publishes: &[Publication],
        settle: bool,
    ) -> Result<Wrote, Broken> {
        let ours = record(n, publishes);
        let commits = vec![commit(n, ours.clone(), settle)];
        let (outcomes, repeated) = self.committed(lease, 0, commits).await?;
        let mut wrote = Vec::new();
        for outcome in outcomes {
            wrote.push(written(&ours, outcome, repeated)?);
        }
        wrote.pop().ok_or_else(|| Broken::new("an outcome", &n))
    }

    /// Brings the publications of a record into their logs, as a node does.
    pub(super) async fn bring_in(
        &self,
        lease: LeaseId,
        n: u64,
        publishes: &[Publication],
    ) -> Result<Vec<Appended>, Broken> {
        let mut landed = Vec::new();
        for (index, publication) in (0..).zip(publishes) {
            let key = AppendKey::Command { lease, n: CommandNo(n), index };
            landed.push(self.append(key, publication.clone(), KEPT).await?);
        }
        self.settle(lease, n).await?;
        Ok(landed)
    }

    pub(super) async fn settle(&self, lease: LeaseId, n: u64) -> Result<(), Broken> {
        self.settle_all(vec![(lease, CommandNo(n))]).await
    }

    pub(super) async fn settle_all(
        &self,
        records: Vec<(LeaseId, CommandNo)>,
    ) -> Result<(), Broken> {
        let outcome = self.ask(StoreOp::Settle { records }).await?.outcome;
        ensure(outcome == StoreOutcome::Done, "settled records: Done", &outcome)
    }

    /// A page of the sweep, whoever's the records are.
    pub(super) async fn sweep_page(
        &self,
        max: u32,
        after: Option<(LeaseId, CommandNo)>,
        older_than_ms: u64,
    ) -> Result<Vec<Owed>, Broken> {
        Ok(self.look((max, u64::MAX >> 1), after, older_than_ms).await?.1)
    }

    /// The same, of all ages, in so many bytes.
    pub(super) async fn sweep_within(
        &self,
        max_bytes: u64,
        after: Option<(LeaseId, CommandNo)>,
    ) -> Result<Vec<Owed>, Broken> {
        Ok(self.look((100, max_bytes), after, 0).await?.1)
    }

    async fn look(
        &self,
        (max, max_bytes): (u32, u64),
        after: Option<(LeaseId, CommandNo)>,
        older_than_ms: u64,
    ) -> Result<(StoreTime, Vec<Owed>), Broken> {
        let op = StoreOp::ListUnsettled { max, max_bytes, after, older_than_ms };
        match self.ask(op).await?.outcome {
            StoreOutcome::Unsettled { at, records } => {
                ensure(records.len() <= max as usize, format!("at most {max} records"), &records)?;
                Ok((at, records))
            }
            other => Err(Broken::new("Unsettled", &other)),
        }
    }

    /// When the store shows a record to be unsettled; `None` if it is settled or gone.
    pub(super) async fn seen(&self, key: AppendKey) -> Result<Option<StoreTime>, Broken> {
        let AppendKey::Command { lease, n, .. } = key else { return Ok(None) };
        let before = Some((lease, CommandNo(n.0 - 1)));
        let (at, records) = self.look((1, u64::MAX >> 1), before, 0).await?;
        let there = records.first().is_some_and(|(id, no, _)| (*id, *no) == (lease, n));
        Ok(there.then_some(at))
    }

    /// The unsettled records of a lease, page by page.
    pub(super) async fn owed(&self, lease: LeaseId) -> Result<Vec<Owed>, Broken> {
        let (mut after, mut owed) = (None, Vec::new());
        for _ in 0..PAGES {
            let page = self.sweep_page(SWEPT, after, 0).await?;
            let Some((last, n, _)) = page.last() else { return Ok(owed) };
            after = Some((*last, *n));
            owed.extend(page.into_iter().filter(|(id, ..)| *id == lease));
        }
        Err(Broken::new("an end of the unsettled records", &after))
    }
}

/// A new record was written, or an earlier try has written it.
pub(super) fn written(
    ours: &Record,
    outcome: CommitOutcome,
    repeated: bool,
) -> Result<Wrote, Broken> {
    match outcome {
        CommitOutcome::Written { settled: None } => {
            Ok(Wrote { settled: ours.publishes.is_empty(), at: None })
        }
        CommitOutcome::Written { settled: Some(at) } => {
            let landed = ours.publishes.len();
            ensure(at.len() == landed, format!("where {landed} publications landed"), &at)?;
            Ok(Wrote { settled: true, at: Some(at) })
        }
        CommitOutcome::Exists(record) if repeated => {
            stands(ours, &record)?;
            Ok(Wrote { settled: record.settled, at: None })
        }
        other => Err(Broken::new("a new record: Written", &other)),
    }
}

/// A record is the one that was written, whole while it is not settled.
pub(super) fn stands(ours: &Record, record: &Record) -> Result<(), Broken> {
    let same = record.hash == ours.hash && record.outcome == ours.outcome;
    ensure(same, format!("the record that was written first: {ours:?}"), record)?;
    let whole = record.settled || record.publishes == ours.publishes;
    ensure(whole, format!("all publications while unsettled: {:?}", ours.publishes), record)
}

/// Operations on topics.
impl Bench {
    pub(super) fn said(&self, count: u64) -> AppendKey {
        AppendKey::Direct { node: self.node(), count }
    }

    pub(super) async fn append(
        &self,
        key: AppendKey,
        publication: Publication,
        retention: Retention,
    ) -> Result<Appended, Broken> {
        let topic = publication.topic.clone();
        for _ in 0..LOOKS {
            let as_of = self.seen(key).await?;
            let append = append(key, as_of, publication.clone());
            match self.append_all(&topic, vec![append], retention).await?.as_slice() {
                [AppendOutcome::Landed(at)] => return Ok(*at),
                [AppendOutcome::Stale] if as_of.is_some() => {}
                other => return Err(Broken::new(format!("Landed, with key {key:?}"), &other)),
            }
        }
        Err(Broken::new(format!("an append within {LOOKS} looks at its record"), &key))
    }

    /// Appends several at once: what came of each that the store took.
    pub(super) async fn append_all(
        &self,
        topic: &TopicId,
        appends: Vec<Append>,
        retention: Retention,
    ) -> Result<Vec<AppendOutcome>, Broken> {
        let (topic, asked) = (topic.clone(), appends.len());
        let op = StoreOp::Append { topic, appends, retention, fresh_epoch: EPOCH };
        match self.ask(op).await?.outcome {
            StoreOutcome::Appended(outcomes) => {
                let some = (1..=asked).contains(&outcomes.len());
                ensure(some, format!("one to {asked} outcomes"), &outcomes)?;
                let before_last = outcomes.iter().rev().skip(1);
                let ends = before_last.into_iter().all(|one| *one != AppendOutcome::Stale);
                ensure(ends, "nothing behind Stale", &outcomes)?;
                Ok(outcomes)
            }
            other => Err(Broken::new("Appended", &other)),
        }
    }

    /// Appends all, as a node does that asks for the rest again.
    pub(super) async fn append_each(
        &self,
        topic: &TopicId,
        mut appends: Vec<Append>,
    ) -> Result<Vec<Appended>, Broken> {
        let mut landed = Vec::new();
        while !appends.is_empty() {
            let outcomes = self.append_all(topic, appends.clone(), KEPT).await?;
            for outcome in outcomes {
                let AppendOutcome::Landed(at) = outcome else {
                    return Err(Broken::new("Landed, each of them", &outcome));
                };
                appends.remove(0);
                landed.push(at);
            }
        }
        Ok(landed)
    }

    /// Appends texts from outside any command, the `n`-th with the key `n`, from 1.
    pub(super) async fn say(
        &self,
        topic: &TopicId,
        texts: &[&str],
        retention: Retention,
    ) -> Result<Vec<Appended>, Broken> {
        let mut landed = Vec::new();
        for (count, text) in (1..).zip(texts) {
            landed.push(self.append(self.said(count), event(topic, text), retention).await?);
        }
        Ok(landed)
    }

    pub(super) async fn open_topic(
        &self,
        topic: &TopicId,
        retention: Retention,
        fresh_epoch: Epoch,
    ) -> Result<TopicHead, Broken> {
        let op = StoreOp::OpenTopic { topic: topic.clone(), fresh_epoch, retention };
        match self.ask(op).await?.outcome {
            StoreOutcome::Topic(head) => Ok(head),
            other => Err(Broken::new("Topic", &other)),
        }
    }

    /// Where a topic stands, if there is one.
    pub(super) async fn stands(&self, topic: &TopicId) -> Result<Option<TopicHead>, Broken> {
        match self.ask(StoreOp::Heads { topics: vec![topic.clone()] }).await?.outcome {
            StoreOutcome::Heads(heads) if heads.len() == 1 => Ok(heads[0]),
            other => Err(Broken::new("Heads of one topic", &other)),
        }
    }

    /// Reads a page of a topic in the epoch of most cases.
    pub(super) async fn read(
        &self,
        topic: &TopicId,
        from: ReadFrom,
        max: u32,
        max_bytes: u64,
    ) -> Result<(TopicHead, Vec<LogEntry>), Broken> {
        let topic = topic.clone();
        let op = StoreOp::ReadLog { topic, epoch: EPOCH, from, max, max_bytes };
        match self.ask(op).await?.outcome {
            StoreOutcome::Log { head, entries } => {
                ensure(entries.len() <= max as usize, format!("at most {max}"), &entries)?;
                let gapless = entries.windows(2).all(|two| two[0].ts.next() == two[1].ts);
                ensure(gapless, "entries with consecutive numbers", &entries)?;
                Ok((head, entries))
            }
            other => Err(Broken::new("Log", &other)),
        }
    }

    /// Everything that a topic has, page by page; the topic is made if it is not there.
    pub(super) async fn texts(&self, topic: &TopicId) -> Result<Vec<String>, Broken> {
        self.open_topic(topic, KEPT, EPOCH).await?;
        let (mut after, mut texts) = (TopicSeq::ZERO, Vec::new());
        for _ in 0..PAGES {
            let (_, page) = self.read(topic, ReadFrom::After(after), 100, u64::MAX >> 1).await?;
            let Some(last) = page.last() else { return Ok(texts) };
            after = last.ts;
            texts.extend(page.iter().map(text));
        }
        Err(Broken::new("an end of the log", &after))
    }
}
