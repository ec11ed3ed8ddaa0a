//! Bare JSON, in which replies are matched to requests by their order.

use bytes::Bytes;
use serde::Serialize;
use tokio_tungstenite::tungstenite::Message;

use super::{Heard, Speaker, Ws};
use crate::Failure;
use crate::protocol::{BenchCommandBurst, BenchCommandFetch, BenchCommandPost};
use crate::raw::FOLLOW;
use crate::settings::REQUEST_TEXT;

/// See the module.
#[derive(Debug)]
pub struct Raw {
    text: String,
    sent: u64,
    following: bool,
}

fn json(message: &impl Serialize) -> Message {
    Message::text(serde_json::to_string(message).unwrap_or_default())
}

impl Speaker for Raw {
    const SUBPROTOCOL: Option<&'static str> = None;

    async fn begin(_: &mut Ws) -> Result<Self, Failure> {
        Ok(Self { text: "t".repeat(REQUEST_TEXT), sent: 0, following: false })
    }

    fn post(&mut self) -> Message {
        self.sent += 1;
        json(&BenchCommandPost { room: 7, text: self.text.clone(), ts: self.sent })
    }

    fn burst(&mut self, events: u32, text: &str) -> Message {
        json(&BenchCommandBurst { events, text: text.to_owned() })
    }

    fn fetch(&mut self, bytes: u32) -> Message {
        json(&BenchCommandFetch { bytes })
    }

    fn follow(&mut self) -> Message {
        Message::text(FOLLOW)
    }

    fn hear(&mut self, message: Message) -> Result<Heard, Failure> {
        let Message::Text(text) = message else { return Ok(Heard::Nothing) };
        Ok(match (self.following, text.as_str()) {
            (false, FOLLOW) => {
                self.following = true;
                Heard::Followed
            }
            (true, _) => Heard::Event,
            (false, _) => Heard::Reply(Bytes::from(text)),
        })
    }

    fn owed(&mut self, _: bool) -> Option<Message> {
        None
    }
}
