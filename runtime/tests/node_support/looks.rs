//! What came out, in words that a test can compare.

use steadfast::session::node::ConnId;
use steadfast::wire::{ServerFrame, Subscribed};

use super::Bench;

impl Bench {
    /// What went out on a socket since the last look.
    pub fn take(&mut self, conn: ConnId) -> Vec<ServerFrame> {
        self.frames.remove(&conn).unwrap_or_default()
    }

    pub fn code(&self, conn: ConnId) -> Option<u16> {
        self.closed.get(&conn).and_then(|close| close.code).map(|code| code.0)
    }

    /// Answers since the last look: number and what it was.
    pub fn answers(&mut self, conn: ConnId) -> Vec<(u64, String)> {
        self.take(conn).into_iter().filter_map(answer).collect()
    }

    /// What came of topics since the last look.
    pub fn topics(&mut self, conn: ConnId) -> Vec<String> {
        self.take(conn).into_iter().filter_map(told).collect()
    }

    /// What came of direct messages since the last look.
    pub fn directs(&mut self, conn: ConnId) -> Vec<String> {
        let direct = |frame| match frame {
            ServerFrame::Direct { body, .. } => Some(format!("{body:?}")),
            _ => None,
        };
        self.take(conn).into_iter().filter_map(direct).collect()
    }

    pub fn subscribed(&mut self, conn: ConnId) -> Subscribed {
        let frames = self.take(conn).into_iter();
        let mut subscribed = frames.filter_map(|frame| {
            if let ServerFrame::Subscribed(frame) = frame { Some(*frame) } else { None }
        });
        subscribed.next().expect("SUBSCRIBED came")
    }
}

fn answer(frame: ServerFrame) -> Option<(u64, String)> {
    let dup = |dup: bool| if dup { " again" } else { "" };
    Some(match frame {
        ServerFrame::Result { n, dup: again, .. } => (n.0, format!("ok{}", dup(again))),
        ServerFrame::Failed { n, dup: again, code, .. } => (n.0, format!("{code:?}{}", dup(again))),
        ServerFrame::Refused { n, code, .. } => (n.0, format!("refused {code:?}")),
        _ => return None,
    })
}

fn told(frame: ServerFrame) -> Option<String> {
    Some(match frame {
        ServerFrame::Event { ts, .. } => format!("event {ts}"),
        ServerFrame::Snapshot { ts, .. } => format!("snapshot {ts}"),
        ServerFrame::Skip { ts, .. } => format!("skip {ts}"),
        ServerFrame::TopicVolatile { body, .. } => format!("volatile {body:?}"),
        ServerFrame::Subscribed(frame) => match frame.reset {
            Some(reset) => format!("{reset:?} at {}", frame.ts),
            None => format!("on from {}", frame.ts),
        },
        ServerFrame::Unsubscribed { code, .. } => format!("ended {code:?}"),
        _ => return None,
    })
}
