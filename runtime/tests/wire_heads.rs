//! How short the heads of frames are, in bytes: what a message has beside its name and its body. As
//! it stands in docs/figures.md.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::BytesMut;
use steadfast::wire::*;

/// Of a command and of an event, at sequence 5,000.
fn heads(codec: Codec) -> [usize; 2] {
    let (name, body) = (Name::from_static("send").unwrap(), codec.unit());
    let rest = name.as_str().len() + body.len();
    let command = ClientFrame::Command(CommandFrame {
        seq: Seq(5000),
        ack: Seq(5000),
        n: CommandNo(5000),
        low: CommandNo(4991),
        deadline_ms: None,
        name: name.clone(),
        body: body.clone(),
    });
    let mut message = BytesMut::new();
    codec.write_client(&command, &mut message);
    let event = codec.event(TopicNo(99), TopicSeq(5000), &name, &body);
    [message.len() - rest, event.len() - rest]
}

#[test]
fn a_head_at_sequence_5000_is_as_short_as_the_figures_say() {
    assert_eq!(heads(Codec::Json), [24, 15]);
    assert_eq!(heads(Codec::Binary), [9, 5]);
}
