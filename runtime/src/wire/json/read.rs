//! From a message to a frame (PROTOCOL.md 3.6): which elements each kind has, in which order. How
//! an element is read is the reader's business.

use super::code::Word;
use super::reader::{Reader, named};
use super::{compact, kind, rare};
use crate::wire::{
    Body, ClientFrame, CommandFrame, CommandNo, FailureCode, FrameError, RefusalCode, Seq,
    ServerFrame, TopicNo, TopicSeq,
};

/// Reads one message of a client.
pub(in crate::wire) fn read_client(message: &[u8]) -> Result<ClientFrame, FrameError> {
    if let Some(command) = compact::command(message) {
        return Ok(ClientFrame::Command(command));
    }
    let mut reader = Reader::new(message);
    reader.open()?;
    let kind = reader.number()?;
    let frame = match kind {
        kind::COMMAND => return command(&mut reader, false),
        kind::COMMAND_WITH_DEADLINE => return command(&mut reader, true),
        kind::VOLATILE => return volatile(&mut reader),
        kind::HELLO => return rare::hello(&mut reader),
        kind::SUBSCRIBE => return rare::subscribe(&mut reader),
        kind::UNSUBSCRIBE => return rare::unsubscribe(&mut reader),
        kind::LEASE => return rare::lease_wanted(&mut reader),
        kind::ACK => ClientFrame::Ack {
            ack: Seq(reader.next_number()?),
            low: CommandNo(reader.next_number()?),
        },
        kind::POSITION => ClientFrame::Position {
            topic: TopicNo(reader.next_number()?),
            ts: TopicSeq(reader.next_number()?),
            bytes: reader.next_number()?,
        },
        kind::CANCEL => ClientFrame::Cancel { n: CommandNo(reader.next_number()?) },
        kind::PING => ClientFrame::Ping { k: reader.next_number()? },
        kind::PONG => ClientFrame::Pong { k: reader.next_number()? },
        _ => return Ok(ClientFrame::Ignored { kind: ignorable(&mut reader, kind)? }),
    };
    reader.close()?;
    Ok(frame)
}

/// The topic of a frame of which only the beginning is here.
pub(in crate::wire) fn topic_of(beginning: &[u8]) -> Option<TopicNo> {
    let mut reader = Reader::new(beginning);
    reader.open().ok()?;
    match reader.number().ok()? {
        kind::EVENT | kind::SNAPSHOT | kind::TOPIC_VOLATILE => {
            let topic = TopicNo(reader.next_number().ok()?);
            // A number that is cut off would be another one.
            reader.comma().ok().map(|()| topic)
        }
        _ => None,
    }
}

/// Reads one message of a server.
pub(in crate::wire) fn read_server(message: &[u8]) -> Result<ServerFrame, FrameError> {
    let mut reader = Reader::new(message);
    reader.open()?;
    let kind = reader.number()?;
    let frame = match kind {
        kind::EVENT => return event(&mut reader),
        kind::RESULT => return result(&mut reader),
        kind::FAILED => return failed(&mut reader),
        kind::TOPIC_VOLATILE => return topic_volatile(&mut reader),
        kind::DIRECT => return direct(&mut reader),
        kind::SNAPSHOT => return snapshot(&mut reader),
        kind::WELCOME => return rare::welcome(&mut reader),
        kind::RESUME_FAILED => return rare::resume_failed(&mut reader),
        kind::SUBSCRIBED => return rare::subscribed(&mut reader),
        kind::UNSUBSCRIBED => return rare::unsubscribed(&mut reader),
        kind::GOAWAY => return rare::goaway(&mut reader),
        kind::LEASE => return rare::lease(&mut reader),
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
        _ => return Ok(ServerFrame::Ignored { kind: ignorable(&mut reader, kind)? }),
    };
    reader.close()?;
    Ok(frame)
}

fn ignorable(reader: &mut Reader<'_>, kind: u64) -> Result<u8, FrameError> {
    match u8::try_from(kind) {
        Ok(small) if kind >= kind::FIRST_IGNORABLE => reader.ignore_rest().map(|()| small),
        _ => Err(FrameError::UnknownKind { kind }),
    }
}

fn command(reader: &mut Reader<'_>, has_deadline: bool) -> Result<ClientFrame, FrameError> {
    let seq = Seq(reader.next_number()?);
    let ack = Seq(reader.next_number()?);
    let n = reader.next_number()?;
    let back = reader.next_number()?;
    let Some(low) = n.checked_sub(back).filter(|low| *low >= 1) else {
        return reader.malformed("`back` is not below `n`");
    };
    let deadline_ms = if has_deadline { Some(reader.next_number()?) } else { None };
    let name = reader.next_name(false)?;
    let at = reader.at();
    let (name, body) = named(name, reader.next_rest()?, at)?;
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

fn volatile(reader: &mut Reader<'_>) -> Result<ClientFrame, FrameError> {
    let name = reader.next_name(false)?;
    let at = reader.at();
    let (name, body) = named(name, reader.next_rest()?, at)?;
    Ok(ClientFrame::Volatile { name, body })
}

fn result(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    Ok(ServerFrame::Result {
        seq: Seq(reader.next_number()?),
        ack: Seq(reader.next_number()?),
        n: CommandNo(reader.next_number()?),
        dup: reader.next_flag()?,
        body: Body::copy_from(reader.next_rest()?),
    })
}

fn failed(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let seq = Seq(reader.next_number()?);
    let ack = Seq(reader.next_number()?);
    let n = CommandNo(reader.next_number()?);
    let dup = reader.next_flag()?;
    let code = FailureCode::from_word(&reader.next_string()?);
    let name = reader.next_name(true)?;
    let at = reader.at();
    let (name, body) = named(name, reader.next_rest()?, at)?;
    Ok(ServerFrame::Failed { seq, ack, n, dup, code, name, body })
}

fn event(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let topic = TopicNo(reader.next_number()?);
    let ts = TopicSeq(reader.next_number()?);
    let name = reader.next_name(false)?;
    let at = reader.at();
    let (name, body) = named(name, reader.next_rest()?, at)?;
    Ok(ServerFrame::Event { topic, ts, name, body })
}

fn snapshot(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let topic = TopicNo(reader.next_number()?);
    let ts = TopicSeq(reader.next_number()?);
    let name = reader.next_name(false)?;
    let at = reader.at();
    let (name, body) = named(name, reader.next_rest()?, at)?;
    Ok(ServerFrame::Snapshot { topic, ts, name, body })
}

fn direct(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let seq = Seq(reader.next_number()?);
    let ack = Seq(reader.next_number()?);
    let name = reader.next_name(false)?;
    let at = reader.at();
    let (name, body) = named(name, reader.next_rest()?, at)?;
    Ok(ServerFrame::Direct { seq, ack, name, body })
}

fn topic_volatile(reader: &mut Reader<'_>) -> Result<ServerFrame, FrameError> {
    let topic = TopicNo(reader.next_number()?);
    let name = reader.next_name(false)?;
    let at = reader.at();
    let (name, body) = named(name, reader.next_rest()?, at)?;
    Ok(ServerFrame::TopicVolatile { topic, name, body })
}
