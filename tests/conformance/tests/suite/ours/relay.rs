//! A relay between the suite and an implementation, which makes one mistake in the implementation's
//! name. It knows frames as text only; both of its ends are WebSockets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async, client_async};

/// The subprotocol of every upgrade through the relay.
const SUBPROTOCOL: &str = "steadfast.v1.json";

/// How long to wait for the answer to a close.
const GOODBYE: Duration = Duration::from_millis(50);

/// What a message becomes on its way.
#[derive(Debug, Clone)]
pub enum Fate {
    /// It goes on as it is.
    Pass,
    /// These messages go on in its place.
    Become(Vec<String>),
    /// It goes no further, and these messages are sent back.
    Answer(Vec<String>),
    /// The socket on which it came is closed with this code.
    Close(u16),
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the end that dials to the end that listens, so from client to server.
    Up,
    /// From server to client.
    Down,
}

/// What a mistake remembers across the sockets of one relay.
#[derive(Debug, Default)]
pub struct Memory {
    /// Anything.
    pub count: u64,
    /// Anything.
    pub noted: Vec<Value>,
}

/// A mistake. It looks at each message, as JSON (`null` if it is none) and as text.
pub type Change = fn(&mut Memory, Way, &Value, &str) -> Fate;

impl Memory {
    /// Notes a value, unless one has been noted. Returns the first one.
    pub fn first(&mut self, value: &Value) -> Value {
        if self.noted.is_empty() {
            self.noted.push(value.clone());
        }
        self.noted[0].clone()
    }

    /// Counts. Returns how often it was called before.
    pub fn again(&mut self) -> u64 {
        self.count += 1;
        self.count - 1
    }
}

/// Lets a changed frame go on.
pub fn changed(frame: &Value, change: impl FnOnce(&mut Value)) -> Fate {
    let mut frame = frame.clone();
    change(&mut frame);
    Fate::Become(vec![frame.to_string()])
}

/// Leaves a member out of a rare frame.
pub fn without(frame: &Value, member: &str) -> Fate {
    changed(frame, |frame| drop(frame[1].as_object_mut().and_then(|it| it.remove(member))))
}

/// Leaves close codes as they are.
pub fn as_it_is(code: u16) -> u16 {
    code
}

/// A mistake in messages, in close codes, or in what the client counts.
#[derive(Debug, Clone)]
pub struct Mistake {
    /// What becomes of messages.
    pub change: Change,
    /// What a close code becomes.
    pub close: fn(u16) -> u16,
    /// After how long an attachment the client begins to count anew, if not after 5 s.
    pub stable: Option<Duration>,
}

/// A running relay, which ends when this is dropped.
pub struct Relay {
    /// Where to dial.
    pub url: String,
    accepting: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Relay {
    /// Listens on a free port, in front of a server.
    pub async fn start(target: String, mistake: Mistake) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let memory = Arc::new(Mutex::new(Memory::default()));
        let accepting = tokio::spawn(async move {
            // Links end with the relay.
            let mut links = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                links.spawn(link(stream, target.clone(), mistake.clone(), Arc::clone(&memory)));
                while links.try_join_next().is_some() {}
            }
        });
        Self { url, accepting }
    }
}

/// A socket.
type Socket = WebSocketStream<TcpStream>;

#[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
async fn link(stream: TcpStream, target: String, mistake: Mistake, memory: Arc<Mutex<Memory>>) {
    // The other end comes first: if it refuses, so does the relay.
    let far = dial(&target).await;
    let accepted = accept_hdr_async(stream, |request: &Request, mut response: Response| {
        let offered =
            request.headers().get("Sec-WebSocket-Protocol").and_then(|value| value.to_str().ok());
        let by_query = request.uri().query().is_some_and(|query| query.contains(SUBPROTOCOL));
        let known = by_query
            || offered.is_some_and(|list| list.split(',').any(|it| it.trim() == SUBPROTOCOL));
        let status = match &far {
            _ if !known => Some(StatusCode::BAD_REQUEST),
            Ok(_) => None,
            Err(Error::Http(response)) => Some(response.status()),
            Err(_) => Some(StatusCode::BAD_GATEWAY),
        };
        if let Some(status) = status {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = status;
            return Err(refusal);
        }
        if !by_query {
            response
                .headers_mut()
                .insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
        }
        Ok(response)
    })
    .await;
    let (Ok(mut near), Ok(mut far)) = (accepted, far) else { return };
    loop {
        let (way, message) = tokio::select! {
            message = near.next() => (Way::Up, message),
            message = far.next() => (Way::Down, message),
        };
        let (from, to) = if way == Way::Up { (&mut near, &mut far) } else { (&mut far, &mut near) };
        let going_on = match message {
            Some(Ok(Message::Text(text))) => {
                let frame = serde_json::from_str(&text).unwrap_or_default();
                let fate = {
                    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
                    (mistake.change)(&mut memory, way, &frame, &text)
                };
                match fate {
                    Fate::Pass => to.send(Message::Text(text)).await,
                    Fate::Become(texts) => send_all(to, texts).await,
                    Fate::Answer(texts) => send_all(from, texts).await,
                    Fate::Close(code) => {
                        let frame = CloseFrame { code: code.into(), reason: "".into() };
                        let _ = from.close(Some(frame)).await;
                        while let Some(Ok(_)) = from.next().await {}
                        return;
                    }
                }
            }
            Some(Ok(Message::Close(frame))) => {
                let close = |mut frame: CloseFrame| {
                    frame.code = (mistake.close)(frame.code.into()).into();
                    frame
                };
                let _ = to.close(frame.map(close)).await;
                // Each end may wait for the other one to hang up first, so none waits for long.
                let _ = from.flush().await;
                let answered = async { while let Some(Ok(_)) = to.next().await {} };
                let _ = tokio::time::timeout(GOODBYE, answered).await;
                return;
            }
            Some(Ok(message)) => to.send(message).await,
            Some(Err(_)) | None => return,
        };
        if going_on.is_err() {
            return;
        }
    }
}

async fn send_all(to: &mut Socket, texts: Vec<String>) -> Result<(), Error> {
    for text in texts {
        to.send(Message::text(text)).await?;
    }
    Ok(())
}

async fn dial(target: &str) -> Result<Socket, Error> {
    let mut request = target.into_client_request()?;
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(SUBPROTOCOL));
    let address = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let stream = TcpStream::connect(address).await.map_err(Error::Io)?;
    stream.set_nodelay(true).map_err(Error::Io)?;
    Ok(client_async(request, stream).await?.0)
}
