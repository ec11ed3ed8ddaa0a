//! What messages and topics declare, compared with what the node is told. Finds contradictions
//! before anything is sent; corrects none.

use steadfast_schema::Topic;

use crate::session::node::NodeConfig;

/// Why what is declared can't be kept under these settings, for whoever builds the server.
pub(super) fn contradiction(config: &NodeConfig, topics: &[Topic]) -> Option<String> {
    let message = || {
        let (name, bytes) = config.unsendable()?;
        let most = config.frame_bytes;
        Some(format!(
            "`{}` may have {bytes} bytes, which NodeConfig::frame_bytes ({most}, of which 160 are \
             for a frame's head) does not let through",
            name.as_str()
        ))
    };
    let event = || {
        let most = u64::from(config.publish_bytes_per_command);
        // Each is published in every codec.
        let bytes = |topic: &Topic| u64::from(topic.max_bytes) * config.codecs.len() as u64;
        let topic = topics.iter().find(|topic| bytes(topic) > most)?;
        Some(format!(
            "an event of `{}` may have {} bytes, which NodeConfig::publish_bytes_per_command \
             ({most}) does not let through",
            topic.name, topic.max_bytes
        ))
    };
    let state = || {
        let (one, all) = (config.snapshot_bytes, config.snapshots_bytes);
        (u64::from(one) > all && topics.iter().any(|topic| topic.has_snapshot)).then(|| {
            format!(
                "one topic's state may have {one} bytes (NodeConfig::snapshot_bytes), which \
                 NodeConfig::snapshots_bytes ({all}) has no room for"
            )
        })
    };
    message().or_else(event).or_else(state)
}
