//! How much a node holds in one place, for the proof that everything is bounded. Looks; changes
//! nothing.

use super::Node;

/// The fullest buffer of each kind; each is bounded by the setting that its line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NodePeaks {
    /// Frames of one connection that wait for nothing but its socket: 64, and two per subscription.
    pub control: usize,
    /// Subscriptions of one connection ([`super::NodeConfig::subscriptions`]).
    pub subscriptions: usize,
    /// Volatiles that wait for one subscriber ([`super::NodeConfig::volatiles`]).
    pub volatiles: usize,
    /// Answers of one session that are not acknowledged (the client's window,
    /// [`super::NodeConfig::max_client_window`]).
    pub unacknowledged: usize,
    /// Bytes of the bodies of the session with most of them, those with a single answer left out.
    pub unacknowledged_bytes: u64,
    /// Answers of one session that wait for its window ([`super::NodeConfig::span`]).
    pub answers_waiting: usize,
    /// Places in one lease's execution table ([`super::NodeConfig::span`]).
    pub slots: usize,
    /// Bytes of commands that wait or run under one lease
    /// ([`super::NodeConfig::lease_queue_bytes`]).
    pub queue_bytes: u64,
    /// Bytes of replies that one lease keeps, those with a single reply left out
    /// ([`super::NodeConfig::lease_record_bytes`]).
    pub record_bytes: u64,
    /// Ordered commands of one lease that bar later ones ([`super::NodeConfig::span`]).
    pub barred: usize,
    /// Entries of one topic ([`super::NodeConfig::live_entries`], or the topic's retention if that
    /// is more).
    pub topic_entries: usize,
    /// Bytes of the entries of one topic, those with a single entry left out
    /// ([`super::NodeConfig::topic_bytes`]).
    pub topic_bytes: u64,
    /// Expired sessions that are remembered ([`super::NodeConfig::expired_sessions`]).
    pub expired_sessions: usize,
}

impl Node {
    /// The fullest buffer of each kind. Costs O(everything): for tests, not for every scrape.
    #[must_use]
    pub fn peaks(&self) -> NodePeaks {
        let mut peaks =
            NodePeaks { expired_sessions: self.expired_sessions.len(), ..NodePeaks::default() };
        self.connection_peaks(&mut peaks);
        for session in self.sessions.values() {
            let held = session.replay.len();
            peaks.unacknowledged = peaks.unacknowledged.max(held);
            peaks.answers_waiting = peaks.answers_waiting.max(session.pending.len());
            if held > 1 {
                peaks.unacknowledged_bytes = peaks.unacknowledged_bytes.max(session.replay_bytes);
            }
        }
        for lease in self.leases.values() {
            peaks.slots = peaks.slots.max(lease.slots.len());
            peaks.queue_bytes = peaks.queue_bytes.max(lease.queue_bytes);
            peaks.barred = peaks.barred.max(lease.barred.len());
            if lease.kept.len() > 1 {
                peaks.record_bytes = peaks.record_bytes.max(lease.record_bytes);
            }
        }
        for topic in self.topics.values() {
            let (entries, bytes) = topic.held();
            peaks.topic_entries = peaks.topic_entries.max(entries);
            if entries > 1 {
                peaks.topic_bytes = peaks.topic_bytes.max(bytes);
            }
        }
        peaks
    }

    fn connection_peaks(&self, peaks: &mut NodePeaks) {
        for conn in self.conns.values() {
            peaks.control = peaks.control.max(conn.control.len());
            peaks.subscriptions = peaks.subscriptions.max(conn.subs.len());
            for sub in conn.subs.values() {
                peaks.volatiles = peaks.volatiles.max(sub.volatiles.len());
            }
        }
    }
}
