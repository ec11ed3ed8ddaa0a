//! The frames of one socket, whichever end is under test: read, checked, and kept until somebody
//! asks for them. What a frame must say is the checker's business, which its owner passes along.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use crate::binary;
use crate::case::{Step, Stop};
use crate::frame::{Frame, Sender};
use crate::socket::{Arrival, Socket};

/// See the module.
pub(crate) struct Line {
    pub(crate) socket: Socket,
    /// Who is at the other end.
    sender: Sender,
    /// Frames that arrived while something else was awaited.
    inbox: VecDeque<Frame>,
}

impl Line {
    pub(crate) fn new(socket: Socket, sender: Sender) -> Self {
        Self { socket, sender, inbox: VecDeque::new() }
    }

    /// The next frame, which nothing has checked beyond its layout.
    pub(crate) async fn read(&mut self, clause: &'static str, what: &str) -> Step<Frame> {
        loop {
            match self.socket.next().await {
                Some(message @ (Arrival::Text(_) | Arrival::Binary(_))) => {
                    return self.frame(message);
                }
                Some(Arrival::WebSocketPong(_)) => {}
                Some(Arrival::Closed(code)) => {
                    return Err(Stop::broken(clause, format!("{} instead of {what}", ended(code))));
                }
                None => return Err(Stop::broken(clause, format!("no {what} in time"))),
            }
        }
    }

    /// A message as a frame, in the codec of the attachment.
    pub(crate) fn frame(&self, message: Arrival) -> Step<Frame> {
        match (message, self.socket.binary.is_some()) {
            (Arrival::Text(text), false) => Ok(Frame::read(&text, self.sender)?),
            (Arrival::Binary(bytes), true) => {
                let (frame, body_bytes) = binary::decode(&bytes, self.sender)?;
                let frame = Frame::read(&frame.to_string(), self.sender)?;
                Ok(frame.of_bytes(bytes.len(), body_bytes))
            }
            (_, false) => Err(Stop::broken("2.2", "a binary message on a JSON attachment")),
            (_, true) => Err(Stop::broken("2.2", "a text message on a binary attachment")),
        }
    }

    /// The next frame that fits. Others are checked, too, and kept for later.
    pub(crate) async fn take(
        &mut self,
        mut check: impl FnMut(&Frame) -> Step + Send,
        clause: &'static str,
        what: &str,
        fits: impl Fn(&Frame) -> bool + Send,
    ) -> Step<Frame> {
        if let Some(at) = self.inbox.iter().position(&fits) {
            return self
                .inbox
                .remove(at)
                .ok_or_else(|| Stop::trouble("the inbox has lost a frame"));
        }
        loop {
            let frame = self.read(clause, what).await?;
            check(&frame)?;
            if fits(&frame) {
                return Ok(frame);
            }
            self.inbox.push_back(frame);
        }
    }

    /// Whether a frame that fits has already arrived.
    pub(crate) fn has(&self, fits: impl Fn(&Frame) -> bool) -> bool {
        self.inbox.iter().any(fits)
    }

    /// Checks what comes until nothing has come for a moment.
    pub(crate) async fn listen(
        &mut self,
        mut check: impl FnMut(&Frame) -> Step + Send,
        clause: &'static str,
        moment: Duration,
    ) -> Step {
        while let Some(arrival) = self.socket.next_soon(moment).await {
            match arrival {
                message @ (Arrival::Text(_) | Arrival::Binary(_)) => {
                    let frame = self.frame(message)?;
                    check(&frame)?;
                    self.inbox.push_back(frame);
                }
                Arrival::Closed(code) => return Err(Stop::broken(clause, ended(code))),
                Arrival::WebSocketPong(_) => {}
            }
        }
        Ok(())
    }

    /// Checks that the socket is closed with this code. What comes before is checked and kept.
    pub(crate) async fn closes_with(
        &mut self,
        mut check: impl FnMut(&Frame) -> Step + Send,
        clause: &'static str,
        wanted: u16,
    ) -> Step {
        loop {
            match self.socket.next().await {
                Some(Arrival::Closed(Some(code))) if code == wanted => return Ok(()),
                Some(Arrival::Closed(code)) => {
                    return Err(Stop::broken(
                        clause,
                        format!("{} instead of close {wanted}", ended(code)),
                    ));
                }
                None => return Err(Stop::broken(clause, format!("no close {wanted} in time"))),
                Some(message @ (Arrival::Text(_) | Arrival::Binary(_))) => {
                    let frame = self.frame(message)?;
                    check(&frame)?;
                    self.inbox.push_back(frame);
                }
                Some(Arrival::WebSocketPong(_)) => {}
            }
        }
    }

    /// The bytes of a frame on this line.
    pub(crate) fn length(&self, frame: &Value) -> usize {
        let binary = self.socket.binary.and_then(|own| binary::encode(frame, own));
        binary.map_or_else(|| frame.to_string().len(), |bytes| bytes.len())
    }

    /// Sends a frame as it is.
    pub(crate) async fn say(&mut self, frame: Value) {
        self.socket.say(&frame).await;
    }
}

fn ended(code: Option<u16>) -> String {
    code.map_or("the socket ended without a code".to_owned(), |code| {
        format!("the socket was closed with {code}")
    })
}
