//! One socket in memory: two pipes, and between them the line that carries its bytes. What is to go
//! wrong is the line's to say.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::frames::{Piece, Said, Splitter, TooLong};
use super::links::OpenLink;
use super::rules::{LineState, Verdict};
use super::shared::Shared;
use super::way::Side;
use crate::host;

/// Bytes that a pipe holds, each way: as much as a small socket buffer.
const PIPE_BYTES: usize = 64 * 1024;

/// Bytes that are under way on the line, each way, from which on no more are read.
const UNDER_WAY_BYTES: usize = 256 * 1024;

/// Opens a socket on a line; the client's end and the server's.
pub(super) fn open(
    shared: &Arc<Shared>,
    line: &Arc<LineState>,
    host: &str,
) -> (DuplexStream, DuplexStream) {
    let link = shared.open_link(line.no, host);
    shared.note(format_args!("{}: socket {} to {host} opens", line.name, link.id));
    let (client, near) = tokio::io::duplex(PIPE_BYTES);
    let (far, server) = tokio::io::duplex(PIPE_BYTES);
    let ((from_client, to_client), (from_server, to_server)) =
        (tokio::io::split(near), tokio::io::split(far));
    let ways = Arc::new(AtomicU32::new(2));
    for (side, from, to) in
        [(Side::Client, from_client, to_server), (Side::Server, from_server, to_client)]
    {
        let carrier = Carrier {
            shared: Arc::clone(shared),
            line: Arc::clone(line),
            link: Arc::clone(&link),
            ways: Arc::clone(&ways),
            side,
            from,
            to,
            splitter: Splitter::new(side),
            under_way: VecDeque::new(),
            bytes: 0,
        };
        host::spawn(carrier.run());
    }
    (client, server)
}

/// Carries what one side says to the other.
struct Carrier {
    shared: Arc<Shared>,
    line: Arc<LineState>,
    link: Arc<OpenLink>,
    /// That are still carried.
    ways: Arc<AtomicU32>,
    side: Side,
    from: ReadHalf<DuplexStream>,
    to: WriteHalf<DuplexStream>,
    splitter: Splitter,
    /// With the time at which each is due; `None`: at once.
    under_way: VecDeque<(Option<Instant>, Piece)>,
    bytes: usize,
}

/// Why a carrier has come to an end.
enum End {
    /// Its side says nothing more.
    Said,
    /// The socket is broken.
    Broken,
}

impl Carrier {
    async fn run(mut self) {
        let link = Arc::clone(&self.link);
        let end = tokio::select! {
            biased;
            () = link.until_cut() => End::Broken,
            end = self.carry() => end,
        };
        if matches!(end, End::Broken) {
            link.cut();
        }
        if self.ways.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.note(format_args!("{}: socket {} is closed", self.line.name, link.id));
            self.shared.forget_link(link.id);
        }
    }

    async fn carry(&mut self) -> End {
        let (mut open, mut buffer) = (true, vec![0; 16 * 1024]);
        loop {
            let due = self.under_way.front().map(|(due, _)| *due);
            if due.is_none() && !open {
                // The other way goes on, as on a socket that was shut down.
                let _ = self.to.write_all(&self.splitter.rest()).await;
                let _ = self.to.shutdown().await;
                return End::Said;
            }
            let reads = open && self.bytes < UNDER_WAY_BYTES;
            let line = &self.line;
            let read = tokio::select! {
                biased;
                () = line.lets_through(self.side, due) => None,
                read = self.from.read(&mut buffer), if reads => Some(read.unwrap_or(0)),
            };
            match read {
                None => {
                    if let Some((_, piece)) = self.under_way.pop_front()
                        && self.hand_on(piece).await.is_err()
                    {
                        return End::Broken;
                    }
                }
                Some(0) => open = false,
                Some(read) => {
                    if self.take_in(&buffer[..read]).is_err() {
                        let name = &self.line.name;
                        self.shared.note(format_args!("{name}: no WebSocket, or too long"));
                        return End::Broken;
                    }
                }
            }
        }
    }

    fn take_in(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        self.splitter.take_in(bytes);
        let due = self.line.due();
        while let Some(piece) = self.splitter.next()? {
            self.bytes += piece.bytes.len();
            self.under_way.push_back((due, piece));
        }
        Ok(())
    }

    /// # Errors
    /// The socket has come to its end.
    async fn hand_on(&mut self, Piece { bytes, message }: Piece) -> Result<(), ()> {
        self.bytes -= bytes.len();
        let verdict = message.map_or(Verdict::Pass, |message| self.judge(&message));
        match verdict {
            Verdict::Pass => self.write(bytes).await,
            Verdict::CutAfter => {
                let _ = self.write(bytes).await;
                Err(())
            }
            Verdict::CutInstead => Err(()),
        }
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), ()> {
        self.to.write_all(&bytes).await.map_err(|_| ())
    }

    fn judge(&self, said: &Said) -> Verdict {
        let (name, host, text) = (&self.line.name, &self.link.host, &said.text);
        let verdict = self.line.judge(self.side, said.kind);
        let lost = if matches!(verdict, Verdict::CutInstead) { ", lost" } else { "" };
        match self.side {
            Side::Client => self.shared.note(format_args!("{name} -> {host}: {text}{lost}")),
            Side::Server => self.shared.note(format_args!("{name} <- {host}: {text}{lost}")),
        }
        verdict
    }
}
