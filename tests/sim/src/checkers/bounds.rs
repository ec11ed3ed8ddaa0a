//! Memory: after every step each buffer of each core is within its named setting. It has no numbers
//! of its own.

use steadfast::session::client::{ClientConfig, ClientLoad};
use steadfast::session::node::{NodeConfig, NodeLoad, NodePeaks};
use steadfast::session::store::Publication;
use steadfast::store::{MemoryLimits, MemoryPeaks, StoreFigures};
use steadfast::wire::Window;
use steadfast_rig::Rule;

use super::Checkers;

/// A message may exceed what is left of a number of bytes by its own length; the longest one of the
/// harness.
const MESSAGE_BYTES: u64 = 2_048 + 256;

/// What a handler of the harness publishes at most.
const PUBLISHED: u64 = 3;

/// The largest of what the store has taken, in bytes: it keeps the latest of each kind, whatever
/// its length.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Largest {
    entry: u64,
    /// What the commits of one operation publish.
    pub(super) commit: u64,
}

impl Largest {
    /// What a record publishes; its bytes with the keys of topics, which the store has beside each.
    pub(super) fn weigh(&mut self, publishes: &[Publication]) -> u64 {
        let bytes = publishes.iter().map(|publication| {
            let entry = publication.name.as_bytes().len() + publication.bytes();
            self.entry = self.entry.max(size(entry));
            size(publication.topic.key.len() + entry)
        });
        bytes.sum()
    }
}

/// The first buffer that is over its bound.
fn over(held: &[(&'static str, u64, u64)]) -> Option<String> {
    let (what, held, most) = held.iter().find(|(_, held, most)| held > most)?;
    Some(format!("{what}: {held} of {most}"))
}

fn size(value: usize) -> u64 {
    value as u64
}

impl Checkers {
    /// A client's buffers, with the window that its server gives.
    pub fn a_client_keeps_its_bounds(
        &mut self,
        process: u64,
        load: ClientLoad,
        config: &ClientConfig,
    ) {
        let window = self.node_config.window;
        let subscriptions = u64::from(config.subscriptions);
        let alone = load.unacknowledged <= 1;
        let found = over(&[
            (
                "outbox_commands",
                size(load.outbox_commands + load.untold),
                config.outbox_commands.into(),
            ),
            ("kept_outcomes", size(load.kept_outcomes), config.journal.kept_outcomes.into()),
            ("kept_bytes", size(load.kept_bytes), config.journal.kept_bytes.into()),
            ("outbox_bytes", size(load.outbox_bytes), config.outbox_bytes.into()),
            ("backlog_calls", size(load.backlog_calls), config.backlog_calls.into()),
            ("backlog_bytes", size(load.backlog_bytes), config.backlog_bytes.into()),
            ("window frames", size(load.unacknowledged), window.frames.max(1).into()),
            (
                "window bytes",
                if alone { 0 } else { size(load.unacknowledged_bytes) },
                window.bytes.into(),
            ),
            ("subscriptions", size(load.subscriptions), subscriptions),
            // A reset on a live subscription keeps what waits, and the events after it have credit
            // of their own (PROTOCOL.md 7.6, 7.8).
            ("credit events", size(load.items), 2 * (u64::from(config.credit.frames) + 1)),
            ("credit bytes", load.item_bytes, u64::from(config.credit.bytes) + MESSAGE_BYTES),
            ("volatiles", size(load.volatiles), config.volatiles.into()),
            ("volatile_bytes", load.volatile_bytes, config.volatile_bytes.into()),
            ("inbox_messages", size(load.inbox_messages), config.inbox_messages.into()),
            ("inbox_bytes", load.inbox_bytes, config.inbox_bytes.into()),
            ("UNSUBSCRIBE", size(load.leaving), subscriptions),
            (
                "timers",
                size(load.timers),
                u64::from(config.outbox_commands)
                    + u64::from(config.backlog_calls)
                    + 2 * subscriptions
                    + 8,
            ),
        ]);
        self.require(found.is_none(), Rule::BoundsAreKept, || {
            format!("client process {process}: {found:?}")
        });
    }

    /// A node's buffers, with the window that its clients ask for.
    pub fn a_node_keeps_its_bounds(
        &mut self,
        process: u64,
        load: NodeLoad,
        peaks: NodePeaks,
        window: Window,
    ) {
        let found = over_at_node(&self.node_config, load, peaks, window)
            .or_else(|| over_in_publications(&self.node_config, self.leases.len(), load, peaks));
        self.require(found.is_none(), Rule::BoundsAreKept, || {
            format!("node process {process}: {found:?}")
        });
    }

    /// What the store keeps, in number and bytes.
    pub fn a_store_keeps_its_bounds(
        &mut self,
        held: &StoreFigures,
        peaks: MemoryPeaks,
        limits: &MemoryLimits,
    ) {
        let config = &self.node_config;
        let Largest { entry, commit } = self.largest;
        // What runs still takes its id.
        let run = size(self.leases.len()) * u64::from(config.span);
        let found = over(&[
            ("leases", held.leases, size(limits.leases)),
            ("topics", held.topics, size(limits.topics)),
            ("replies", held.reply_bytes, limits.reply_bytes),
            ("owed", held.owed_bytes, limits.owed_bytes.max(commit)),
            ("logs", held.log_bytes, limits.log_bytes.max(entry)),
            ("ids", held.ids, size(limits.ids) + run),
            ("ids_per_principal", peaks.principal_ids, u64::from(config.ids_per_principal) + run),
            (
                "id_bytes_per_principal",
                peaks.principal_id_bytes,
                config.id_bytes_per_principal + run * MESSAGE_BYTES,
            ),
        ]);
        self.require(found.is_none(), Rule::BoundsAreKept, || format!("the store: {found:?}"));
    }
}

fn over_at_node(
    config: &NodeConfig,
    load: NodeLoad,
    peaks: NodePeaks,
    asked: Window,
) -> Option<String> {
    let most = config.max_client_window;
    let window =
        Window { frames: asked.frames.min(most.frames), bytes: asked.bytes.min(most.bytes) };
    let retained = config.topics().iter().map(|topic| topic.retention.entries).max().unwrap_or(0);
    let span = u64::from(config.span);
    over(&[
        ("control", size(peaks.control), 64 + 2 * u64::from(config.subscriptions)),
        ("subscriptions", size(peaks.subscriptions), config.subscriptions.into()),
        (
            "subscriptions_per_principal",
            peaks.principal_subscriptions.into(),
            config.subscriptions_per_principal.into(),
        ),
        ("snapshots_bytes", load.snapshot_bytes, config.snapshots_bytes),
        ("volatiles", size(peaks.volatiles), config.volatiles.into()),
        ("volatile_bytes", peaks.volatile_bytes, config.volatile_bytes.into()),
        ("window frames", size(peaks.unacknowledged), window.frames.max(1).into()),
        ("window bytes", peaks.unacknowledged_bytes, window.bytes.into()),
        ("answers waiting", size(peaks.answers_waiting), span),
        ("slots", size(peaks.slots), span),
        (
            "lease_queue_bytes",
            peaks.queue_bytes,
            u64::from(config.lease_queue_bytes) + MESSAGE_BYTES,
        ),
        ("lease_record_bytes", peaks.record_bytes, config.lease_record_bytes.into()),
        (
            "executions_per_principal",
            peaks.principal_executions.into(),
            config.executions_per_principal.into(),
        ),
        ("executions_per_lease", peaks.lease_executions.into(), config.executions_per_lease.into()),
        (
            "commands_waiting_per_principal",
            peaks.principal_waiting.into(),
            u64::from(config.commands_waiting_per_principal) + size(load.leases),
        ),
        ("barred", size(peaks.barred), span),
        ("live_entries", size(peaks.topic_entries), config.live_entries.max(retained).into()),
        ("reorder_entries", size(peaks.topic_ahead), config.reorder_entries.into()),
        ("topic_bytes", peaks.topic_bytes, config.topic_bytes.into()),
        (
            "sessions_per_principal",
            peaks.principal_sessions.into(),
            config.sessions_per_principal.into(),
        ),
        ("directs_per_session", peaks.directs.into(), config.directs_per_session.into()),
        ("direct_bytes", peaks.direct_bytes, config.direct_bytes_per_session.into()),
        ("expired_sessions", size(peaks.expired_sessions), config.expired_sessions.into()),
        ("sessions", size(load.sessions), config.sessions.into()),
        ("topics_held", size(load.topics), config.topics_held.into()),
        ("topics_bytes", load.topics_bytes, config.topics_bytes),
    ])
}

/// Publications that wait. Those of accepted commands are never refused, and who takes a lease over
/// takes over what is left of its commands.
fn over_in_publications(
    config: &NodeConfig,
    leases: usize,
    load: NodeLoad,
    peaks: NodePeaks,
) -> Option<String> {
    let records = size(load.unsettled + load.store_operations);
    let accepted = u64::from(config.span) * PUBLISHED;
    let count = u64::from(config.publishes_waiting_per_principal);
    let bytes = config.publish_bytes_waiting_per_principal;
    over(&[
        (
            "publishes_waiting",
            size(load.publishes_waiting),
            u64::from(config.publishes_waiting) + records * u64::from(config.publishes_per_command),
        ),
        (
            "publish_bytes_waiting",
            load.publish_bytes_waiting,
            config.publish_bytes_waiting + records * u64::from(config.publish_bytes_per_command),
        ),
        (
            "publishes_waiting_per_principal",
            peaks.principal_publishes.into(),
            count + size(leases) * (count + accepted),
        ),
        (
            "publish_bytes_waiting_per_principal",
            peaks.principal_publish_bytes,
            bytes + size(leases) * (bytes + accepted * MESSAGE_BYTES),
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn a_buffer_over_its_bound_is_found() {
        let plan = Plan::calm();
        let load = steadfast::session::node::Node::new(plan.node.clone(), [1; 32]).load();
        let find = |peaks| over_at_node(&plan.node, load, peaks, plan.client.window);
        assert_eq!(find(NodePeaks::default()), None);
        let slots = plan.node.span as usize;
        assert_eq!(find(NodePeaks { slots, ..NodePeaks::default() }), None);
        assert!(find(NodePeaks { slots: slots + 1, ..NodePeaks::default() }).is_some());
    }
}
