//! P5: the server's CPU time per delivered event.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{Sample, connect, failure, sample};
use crate::lean::{Client, Ours, Raw, Speaker, Tally};
use crate::machine::Cores;
use crate::peer::{Peer, Process, Role};
use crate::report::Comparison;
use crate::settings::{EVENT_BODY, EVENT_TARGET, EVENTS_PER_FLUSH, SUBSCRIBERS, Settings};
use crate::{Failure, in_turn, protocol};

pub fn run(runtime: &Runtime, settings: &Settings, cores: &Cores) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for events in EVENTS_PER_FLUSH {
        let title = format!("{SUBSCRIBERS} subscribers, {events} events per flush");
        let mut comparison = Comparison::new("p5", title, EVENT_TARGET);
        for round in 0..settings.rounds {
            for peer in in_turn(round, settings.only) {
                let process = Process::start(peer, Role::Feed, cores)?;
                let sample = match peer {
                    Peer::Raw => runtime.block_on(load::<Raw>(&process, settings, events)),
                    Peer::Ours => runtime.block_on(load::<Ours>(&process, settings, events)),
                };
                comparison.add(peer, sample?);
            }
        }
        lines.push(comparison.print());
    }
    Ok(lines)
}

async fn load<S: Speaker>(
    process: &Process,
    settings: &Settings,
    events: u32,
) -> Result<Sample, Failure> {
    let (ready, tally) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
    let mut tasks = JoinSet::new();
    for client in connect::<S>(process.port, SUBSCRIBERS).await? {
        tasks.spawn(client.follow(Arc::clone(&ready), Arc::clone(&tally)));
    }
    let publisher = Client::<S>::connect(process.port).await?;
    let followers = SUBSCRIBERS as u64;
    let text = protocol::event_text(EVENT_BODY);
    let measured = async {
        ready.reach(followers).await;
        let publishing = publisher.publish(events, text, followers, Arc::clone(&tally));
        let heard = || (tally.heard(), tally.batches());
        tokio::select! {
            ended = publishing => Err(ended.err().unwrap_or_else(|| "the publisher ended".into())),
            sample = sample(process, settings.warm_up, settings.window, heard) => sample,
        }
    };
    tokio::select! {
        error = failure(&mut tasks) => Err(error),
        sample = measured => sample,
    }
}
