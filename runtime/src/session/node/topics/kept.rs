//! A topic's state as its hook has told it: one body in each codec, for all who wait. At most one
//! of each topic is kept, the latest; who waits for an earlier one gets this one. Asks nobody.

use crate::wire::{Body, Codec, Name, ServerFrame, TopicNo, TopicSeq};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Kept {
    /// It contains everything up to here.
    pub(super) ts: TopicSeq,
    name: Name,
    bodies: Vec<(Codec, Body)>,
    bytes: u64,
}

impl Kept {
    pub(super) fn new(ts: TopicSeq, name: Name, bodies: Vec<(Codec, Body)>) -> Self {
        let bytes = bodies.iter().map(|(_, body)| body.len() as u64).sum();
        Self { ts, name, bodies, bytes }
    }

    /// Bytes of its bodies.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn body(&self, codec: Codec) -> Option<&Body> {
        self.bodies.iter().find(|(have, _)| *have == codec).map(|(_, body)| body)
    }

    pub(super) fn is_in(&self, codec: Codec) -> bool {
        self.body(codec).is_some()
    }

    /// Its SNAPSHOT, and how long that will be. The body is shared: it is written where the socket
    /// is, not here.
    pub(super) fn frame(&self, topic: TopicNo, codec: Codec) -> Option<(ServerFrame, usize)> {
        let (name, body) = (self.name.clone(), self.body(codec)?.clone());
        let unit = codec.unit();
        let around = codec.snapshot(topic, self.ts, &name, &unit).len() - unit.len();
        // No body at all is written as one without fields.
        let bytes = around + if body.is_empty() { unit.len() } else { body.len() };
        Some((ServerFrame::Snapshot { topic, ts: self.ts, name, body }, bytes))
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;

    /// The client counts what it receives (PROTOCOL.md 7.8).
    #[test]
    fn what_is_counted_is_what_is_written() {
        for (text, codec) in
            ["", "{}", "{\"n\":1}"].map(|text| Codec::ALL.map(|codec| (text, codec))).concat()
        {
            let kept = Kept::new(TopicSeq(12), Name::EMPTY, vec![(codec, text.into())]);
            let (frame, bytes) = kept.frame(TopicNo(345), codec).unwrap();
            let mut written = BytesMut::new();
            codec.write_server(&frame, &mut written);
            assert_eq!(written.len(), bytes, "{text:?}");
        }
    }
}
