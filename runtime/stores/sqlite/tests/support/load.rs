//! A client under load as a store sees it: a lease, and commands that publish one event each; and a
//! look at what is in the store afterwards. How a store comes to an end in between is not here.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast::session::store::{
    Commit, CommitOutcome, Holder, OpId, Outcome, Publication, ReadFrom, Record, Retention,
    StoreOp, StoreOutcome, StoreTime, TopicId,
};
use steadfast::store::Store;
use steadfast::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name, TopicSeq};

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// A command that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acked {
    /// Given by the test.
    pub mark: u64,
    pub client: u64,
    pub n: u64,
}

/// A client, and how far it is.
pub struct Client {
    number: u64,
    n: u64,
    opened: bool,
}

/// Everything goes into one log, so that there is an order to be kept.
fn topic() -> TopicId {
    TopicId { name: Name::from_static("all").expect("a legal name"), key: "".into() }
}

fn holder() -> Holder {
    Holder { node: 1, instance: InstanceId(1), dial: Dial(1) }
}

pub fn lease(client: u64) -> LeaseId {
    LeaseId(u128::from(client) + 1)
}

async fn ask(store: &impl Store, op: StoreOp) -> StoreOutcome {
    let mut answers = store.execute(vec![(OpId(0), op)]).await;
    answers.pop().map_or(StoreOutcome::Failed, |(_, outcome)| outcome)
}

impl Client {
    pub fn new(number: u64) -> Self {
        Self::at(number, 0)
    }

    /// A client that goes on after so many commands.
    pub fn at(number: u64, n: u64) -> Self {
        Self { number, n, opened: n > 0 }
    }

    fn op(&self) -> StoreOp {
        let (text, name) = (format!("{}:{}", self.number, self.n), Name::from_static("said"));
        let name = name.expect("a legal name");
        let body = Body::copy_from(text.as_bytes());
        let said = Publication { topic: topic(), name, bodies: vec![(Codec::Json, body.clone())] };
        let outcome = Outcome::Ok(body);
        let record = Record { hash: self.n, outcome, publishes: vec![said], settled: false };
        StoreOp::Commit {
            lease: lease(self.number),
            // Some records stay.
            low: CommandNo(self.n.saturating_sub(8)),
            commits: vec![Commit {
                n: CommandNo(self.n),
                record,
                settle: true,
                retention: vec![Retention::new(u32::MAX, Duration::from_millis(DAY_MS))],
                fresh_epochs: vec![Epoch(7)],
                id: None,
                decide: None,
            }],
        }
    }

    /// The command that would come next.
    pub fn next(&self) -> StoreOp {
        Self { n: self.n + 1, ..*self }.op()
    }

    async fn open(&mut self, store: &impl Store) -> bool {
        let op = StoreOp::OpenLease {
            id: lease(self.number),
            as_of: StoreTime::default(),
            holder: holder(),
            principal: format!("client-{}", self.number).into(),
            codec: Codec::Json,
            ttl_ms: DAY_MS,
            unused_ttl_ms: DAY_MS,
            max_per_principal: 8,
            held_ms: DAY_MS,
        };
        self.opened |= matches!(ask(store, op).await, StoreOutcome::Lease { .. });
        self.opened
    }

    /// Has one more command committed. `None` if the store does not say that it was.
    pub async fn command(&mut self, store: &impl Store) -> Option<Acked> {
        if !self.opened && !self.open(store).await {
            return None;
        }
        self.n += 1;
        let acked = Acked { mark: 0, client: self.number, n: self.n };
        match ask(store, self.op()).await {
            StoreOutcome::Committed { outcomes, .. } => match &outcomes[..] {
                [(_, CommitOutcome::Written { settled: Some(_) } | CommitOutcome::Exists(_))] => {
                    Some(acked)
                }
                other => panic!("a command is written: {other:?}"),
            },
            StoreOutcome::Failed | StoreOutcome::Unknown => {
                // It is asked for again.
                self.n -= 1;
                None
            }
            other => panic!("a command is written: {other:?}"),
        }
    }
}

/// Every event in the log, by its client and number, in order.
async fn log(store: &impl Store) -> Result<Vec<(u64, u64)>, String> {
    let mut events = Vec::new();
    loop {
        let after = TopicSeq(events.len() as u64);
        let from = ReadFrom::After(after);
        let op = StoreOp::ReadLog {
            topic: topic(),
            epoch: Epoch(7),
            from,
            max: 500,
            max_bytes: 100_000,
        };
        let entries = match ask(store, op).await {
            StoreOutcome::Log { entries, .. } => entries,
            StoreOutcome::TopicGone => return Ok(events),
            other => return Err(format!("the log can't be read: {other:?}")),
        };
        if entries.is_empty() {
            return Ok(events);
        }
        for entry in entries {
            let expected = TopicSeq(events.len() as u64 + 1);
            if entry.ts != expected {
                return Err(format!("{} is numbered {}", expected, entry.ts));
            }
            let text = String::from_utf8_lossy(entry.bodies[0].1.as_bytes()).into_owned();
            let (client, n) = text.split_once(':').ok_or("not an event of this test")?;
            let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
            events.push((number(client)?, number(n)?));
        }
    }
}

/// What each client has in the log, once and in order: its highest number.
pub async fn highest(store: &impl Store) -> Result<BTreeMap<u64, u64>, String> {
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    for (client, n) in log(store).await? {
        let before = last.insert(client, n).unwrap_or(0);
        if n != before + 1 {
            return Err(format!("client {client}: {n} comes after {before}"));
        }
    }
    Ok(last)
}

/// Whether everything that was acknowledged is in the log, once and in order, and has its record.
pub async fn acked_is_there(store: &impl Store, acked: &[Acked]) -> Result<(), String> {
    let last = highest(store).await?;
    let mut heard: BTreeMap<u64, u64> = BTreeMap::new();
    for Acked { client, n, .. } in acked {
        let heard = heard.entry(*client).or_default();
        *heard = (*heard).max(*n);
    }
    for (client, n) in heard {
        let there = last.get(&client).copied().unwrap_or(0);
        if there < n {
            return Err(format!("client {client}: {n} was acknowledged, {there} is there"));
        }
        let op = StoreOp::ClaimLease {
            id: lease(client),
            holder: holder(),
            principal: format!("client-{client}").into(),
            codec: Codec::Json,
            low: CommandNo(n),
        };
        let StoreOutcome::Lease { records, .. } = ask(store, op).await else {
            return Err(format!("client {client} has no lease"));
        };
        if !records.iter().any(|(number, _)| number.0 == n) {
            return Err(format!("client {client}: {n} has no record"));
        }
    }
    Ok(())
}
