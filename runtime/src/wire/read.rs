//! From a message to a frame (PROTOCOL.md 3.6): which elements each kind has, in which order, in
//! whatever codec. How an element is read is the codec's business.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::code::Word;
use super::{
    Body, ClientFrame, CommandFrame, CommandNo, FailureCode, FrameError, Name, RefusalCode, Seq,
    ServerFrame, TopicNo, TopicSeq, kind, rare,
};

/// What follows a message's kind, element by element.
pub(super) trait Elements<'a> {
    /// Where the next byte is.
    fn at(&self) -> usize;

    /// A number in the range of sequences (PROTOCOL.md 1.6).
    fn next_number(&mut self) -> Result<u64, FrameError>;

    /// 0 or 1.
    fn next_flag(&mut self) -> Result<bool, FrameError> {
        match self.next_number()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => self.malformed("expected 0 or 1"),
        }
    }

    /// A name, empty only if `may_be_empty`. [`named`] checks its characters.
    fn next_name(&mut self, may_be_empty: bool) -> Result<&'a [u8], FrameError>;

    /// Any string.
    fn next_string(&mut self) -> Result<Cow<'a, str>, FrameError>;

    /// A body: everything that is left.
    fn next_rest(&mut self) -> Result<&'a [u8], FrameError>;

    /// The object of a rare frame, up to the frame's end.
    fn next_object<T: DeserializeOwned>(&mut self) -> Result<T, FrameError>;

    /// The end of a frame without body.
    fn close(&mut self) -> Result<(), FrameError>;

    /// Steps over the rest of a frame that is to be ignored.
    fn ignore_rest(&mut self) -> Result<(), FrameError>;

    /// What is wrong here.
    fn malformed<T>(&self, what: &'static str) -> Result<T, FrameError> {
        Err(FrameError::Malformed { at: self.at(), what })
    }
}

/// A client's frame of this kind.
pub(super) fn client<'a>(
    kind: u64,
    reader: &mut impl Elements<'a>,
) -> Result<ClientFrame, FrameError> {
    let frame = match kind {
        kind::COMMAND => return command(reader, false),
        kind::COMMAND_WITH_DEADLINE => return command(reader, true),
        kind::VOLATILE => return volatile(reader),
        kind::HELLO => return rare::hello(reader),
        kind::SUBSCRIBE => return rare::subscribe(reader),
        kind::UNSUBSCRIBE => return rare::unsubscribe(reader),
        kind::LEASE => return rare::lease_wanted(reader),
        kind::ACK => ClientFrame::Ack {
            ack: Seq(reader.next_number()?),
            low: CommandNo(reader.next_number()?),
        },
        kind::POSITION => ClientFrame::Position {
            topic: TopicNo(reader.next_number()?),
            ts: TopicSeq(reader.next_number()?),
            bytes: reader.next_number()?,
        },
        kind::PING => ClientFrame::Ping { k: reader.next_number()? },
        kind::PONG => ClientFrame::Pong { k: reader.next_number()? },
        kind::CANCEL => ClientFrame::Cancel { n: CommandNo(reader.next_number()?) },
        _ => return Ok(ClientFrame::Ignored { kind: ignorable(reader, kind)? }),
    };
    reader.close()?;
    Ok(frame)
}

/// The topic that a server's frame of this kind is of, if it says so.
pub(super) fn topic<'a>(kind: u64, reader: &mut impl Elements<'a>) -> Option<TopicNo> {
    match kind {
        kind::EVENT | kind::SNAPSHOT | kind::TOPIC_VOLATILE => {
            reader.next_number().ok().map(TopicNo)
        }
        _ => None,
    }
}

/// A server's frame of this kind.
pub(super) fn server<'a>(
    kind: u64,
    reader: &mut impl Elements<'a>,
) -> Result<ServerFrame, FrameError> {
    let frame = match kind {
        kind::EVENT => return event(reader),
        kind::RESULT => return result(reader),
        kind::FAILED => return failed(reader),
        kind::TOPIC_VOLATILE => return topic_volatile(reader),
        kind::DIRECT => return direct(reader),
        kind::SNAPSHOT => return snapshot(reader),
        kind::WELCOME => return rare::welcome(reader),
        kind::RESUME_FAILED => return rare::resume_failed(reader),
        kind::SUBSCRIBED => return rare::subscribed(reader),
        kind::UNSUBSCRIBED => return rare::unsubscribed(reader),
        kind::GOAWAY => return rare::goaway(reader),
        kind::LEASE => return rare::lease(reader),
        kind::ACK => ServerFrame::Ack { ack: Seq(reader.next_number()?) },
        kind::REFUSED => ServerFrame::Refused {
            seq: Seq(reader.next_number()?),
            ack: Seq(reader.next_number()?),
            n: CommandNo(reader.next_number()?),
            code: RefusalCode::from_word(&reader.next_string()?),
            retry_ms: reader.next_number()?,
        },
        kind::SKIP => ServerFrame::Skip {
            topic: TopicNo(reader.next_number()?),
            ts: TopicSeq(reader.next_number()?),
        },
        kind::PING => ServerFrame::Ping { k: reader.next_number()? },
        kind::PONG => ServerFrame::Pong { k: reader.next_number()? },
        _ => return Ok(ServerFrame::Ignored { kind: ignorable(reader, kind)? }),
    };
    reader.close()?;
    Ok(frame)
}

fn ignorable<'a>(reader: &mut impl Elements<'a>, kind: u64) -> Result<u8, FrameError> {
    match u8::try_from(kind) {
        Ok(small) if kind >= kind::FIRST_IGNORABLE => reader.ignore_rest().map(|()| small),
        _ => Err(FrameError::UnknownKind { kind }),
    }
}

fn command<'a>(
    reader: &mut impl Elements<'a>,
    has_deadline: bool,
) -> Result<ClientFrame, FrameError> {
    let seq = Seq(reader.next_number()?);
    let ack = Seq(reader.next_number()?);
    let n = reader.next_number()?;
    let back = reader.next_number()?;
    let Some(low) = n.checked_sub(back).filter(|low| *low >= 1) else {
        return reader.malformed("`back` is not below `n`");
    };
    let deadline_ms = if has_deadline { Some(reader.next_number()?) } else { None };
    let (name, body) = named(reader, false)?;
    Ok(ClientFrame::Command(CommandFrame {
        seq,
        ack,
        n: CommandNo(n),
        low: CommandNo(low),
        deadline_ms,
        name,
        body,
    }))
}

fn volatile<'a>(reader: &mut impl Elements<'a>) -> Result<ClientFrame, FrameError> {
    let (name, body) = named(reader, false)?;
    Ok(ClientFrame::Volatile { name, body })
}

fn result<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
    Ok(ServerFrame::Result {
        seq: Seq(reader.next_number()?),
        ack: Seq(reader.next_number()?),
        n: CommandNo(reader.next_number()?),
        dup: reader.next_flag()?,
        body: Body::copy_from(reader.next_rest()?),
    })
}

fn failed<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
    let seq = Seq(reader.next_number()?);
    let ack = Seq(reader.next_number()?);
    let n = CommandNo(reader.next_number()?);
    let dup = reader.next_flag()?;
    let code = FailureCode::from_word(&reader.next_string()?);
    let (name, body) = named(reader, true)?;
    Ok(ServerFrame::Failed { seq, ack, n, dup, code, name, body })
}

fn event<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
    let topic = TopicNo(reader.next_number()?);
    let ts = TopicSeq(reader.next_number()?);
    let (name, body) = named(reader, false)?;
    Ok(ServerFrame::Event { topic, ts, name, body })
}

fn snapshot<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
    let topic = TopicNo(reader.next_number()?);
    let ts = TopicSeq(reader.next_number()?);
    let (name, body) = named(reader, false)?;
    Ok(ServerFrame::Snapshot { topic, ts, name, body })
}

fn direct<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
    let seq = Seq(reader.next_number()?);
    let ack = Seq(reader.next_number()?);
    let (name, body) = named(reader, false)?;
    Ok(ServerFrame::Direct { seq, ack, name, body })
}

fn topic_volatile<'a>(reader: &mut impl Elements<'a>) -> Result<ServerFrame, FrameError> {
    let topic = TopicNo(reader.next_number()?);
    let (name, body) = named(reader, false)?;
    Ok(ServerFrame::TopicVolatile { topic, name, body })
}

/// Copies a name, empty only if `may_be_empty`, and the body behind it, so that neither keeps the
/// read buffer alive.
fn named<'a>(
    reader: &mut impl Elements<'a>,
    may_be_empty: bool,
) -> Result<(Name, Body), FrameError> {
    let name = reader.next_name(may_be_empty)?;
    let at = reader.at();
    let body = reader.next_rest()?;
    match Name::copy_from(name) {
        Some(name) => Ok((name, Body::copy_from(body))),
        None => Err(FrameError::Malformed { at, what: "a name is 1 to 64 of a-z A-Z 0-9 _ . -" }),
    }
}
