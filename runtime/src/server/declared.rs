//! What messages and topics declare, compared with what the node is told. Finds contradictions
//! before anything is sent; corrects none.

use steadfast_schema::Topic;

use crate::session::node::NodeConfig;
use crate::wire;

/// A reply may be longer than what our client takes unless it is told to take more: what whoever
/// builds the server should know. Other clients take more, or less, and say so in HELLO alone.
pub(super) fn beyond_clients(config: &NodeConfig, client_takes: usize) -> Option<String> {
    let most = config.reply_bytes;
    let head = config.frame_bytes.saturating_sub(wire::body_limit(config.frame_bytes));
    (u64::from(most) + u64::from(head) > client_takes as u64).then(|| {
        format!(
            "a reply may have {most} bytes (NodeConfig::reply_bytes), and a client takes messages \
             of {client_takes} unless its TransportConfig::message_bytes is more: one that gets a \
             longer reply stops after a few tries"
        )
    })
}

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
        let all = config.snapshots_bytes;
        // Each is kept in every codec.
        let one = u64::from(config.snapshot_bytes) * config.codecs.len() as u64;
        (one > all && topics.iter().any(|topic| topic.has_snapshot)).then(|| {
            format!(
                "one topic's state may have {one} bytes (NodeConfig::snapshot_bytes for each \
                 codec), which NodeConfig::snapshots_bytes ({all}) has no room for"
            )
        })
    };
    message().or_else(event).or_else(state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::TransportConfig;

    #[test]
    fn a_reply_that_no_client_takes_by_itself_is_told_when_the_server_is_built() {
        let takes = TransportConfig::default().message_bytes;
        let mut config = NodeConfig::new("test");
        assert_eq!(beyond_clients(&config, takes), None, "by default there is none");
        config.reply_bytes = u32::try_from(takes).expect("16 MiB");
        let told = beyond_clients(&config, takes).expect("its head is too much");
        assert!(told.contains("NodeConfig::reply_bytes"), "{told}");
    }
}
