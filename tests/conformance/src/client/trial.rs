//! One case's stage: a client, which its adapter tells where to dial, and the sockets that it
//! opens. What a case is about is not known here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::desk::Desk;
use super::peer::Peer;
use crate::adapter::{Adapter, Channel};
use crate::case::{Step, Stop, ensure};
use crate::exchange::Exchange;
use crate::frame::Sender;
use crate::socket::Socket;
use crate::suite::Codec;
use crate::within;

/// One case's stage.
pub(crate) struct Trial {
    adapter: Arc<Adapter>,
    exchange: Exchange,
    codec: Codec,
}

/// A client under test, and the listener that it dials.
pub(crate) struct Client {
    listener: TcpListener,
    adapter: Channel,
    desk: Arc<Mutex<Desk>>,
    exchange: Exchange,
    /// What it speaks.
    codec: Codec,
    sockets: u32,
    calls: u64,
    subs: u64,
}

impl Trial {
    pub(super) fn new(adapter: Arc<Adapter>, exchange: Exchange, codec: Codec) -> Self {
        Self { adapter, exchange, codec }
    }

    /// A client that dials again at once.
    pub(crate) async fn client(&self) -> Step<Client> {
        self.client_with(json!({}), &["ann"]).await
    }

    /// A client that keeps its outbox beyond its process (5.26), attached, with these members in
    /// WELCOME.
    pub(crate) async fn keeping(&self, welcome: Value) -> Step<(Client, Peer)> {
        let mut client = self.client_with(json!({ "outbox": true }), &["ann"]).await?;
        let peer = client.attach_with(welcome).await?;
        Ok((client, peer))
    }

    /// A client with settings of ADAPTER.md, and with credentials, of which it uses the next when
    /// one was refused.
    pub(crate) async fn client_with(&self, mut settings: Value, tokens: &[&str]) -> Step<Client> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(Stop::trouble)?;
        let url = format!("ws://{}/", listener.local_addr().map_err(Stop::trouble)?);
        let mut adapter = self.adapter.connect(&self.exchange).await?;
        if settings["backoff_ms"].is_null() {
            settings["backoff_ms"] = json!(5);
        }
        if self.codec.is_binary() && settings["codec"].is_null() {
            settings["codec"] = json!(Codec::Binary.subprotocol());
        }
        let codec = if settings["codec"].is_null() { Codec::Json } else { Codec::Binary };
        adapter.ask("start", json!({ "url": url, "tokens": tokens, "settings": settings })).await?;
        let (desk, exchange) = (Arc::new(Mutex::new(Desk::new())), self.exchange.clone());
        Ok(Client { listener, adapter, desk, exchange, codec, sockets: 0, calls: 0, subs: 0 })
    }

    /// A client that speaks the binary codec, attached.
    pub(crate) async fn in_binary(&self) -> Step<(Client, Peer)> {
        let settings = json!({ "codec": Codec::Binary.subprotocol() });
        let mut client = self.client_with(settings, &["ann"]).await?;
        let peer = client.attach().await?;
        Ok((client, peer))
    }

    /// A client that is attached.
    pub(crate) async fn attached(&self) -> Step<(Client, Peer)> {
        self.attached_with(json!({})).await
    }

    /// A client that is attached, with these members in WELCOME.
    pub(crate) async fn attached_with(&self, welcome: Value) -> Step<(Client, Peer)> {
        let mut client = self.client().await?;
        let peer = client.attach_with(welcome).await?;
        Ok((client, peer))
    }
}

impl Client {
    /// The next connection, of which nothing was read beyond the request.
    async fn tcp(&mut self) -> Step<(TcpStream, String)> {
        let accepted = within(self.listener.accept()).await;
        let accepted =
            accepted.ok_or_else(|| Stop::broken("8.1", "the client does not dial (again)"))?;
        let (stream, _) = accepted.map_err(Stop::trouble)?;
        stream.set_nodelay(true).map_err(Stop::trouble)?;
        self.sockets += 1;
        Ok((stream, format!("socket {}", self.sockets)))
    }

    /// Whether the client dials within a moment, where it must not.
    pub(crate) async fn dials_within(&mut self, moment: Duration) -> bool {
        tokio::time::timeout(moment, self.listener.accept()).await.is_ok()
    }

    /// The next socket, upgraded with an answer that names this subprotocol.
    pub(crate) async fn socket(&mut self, answered: Option<&'static str>) -> Step<Socket> {
        let wanted = self.codec.subprotocol();
        let (stream, name) = self.tcp().await?;
        let mut offered = String::new();
        #[expect(clippy::result_large_err, reason = "the callback's type is the library's")]
        let callback = |request: &Request, mut response: Response| {
            let header = request.headers().get("Sec-WebSocket-Protocol");
            offered = header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
            if let Some(answered) = answered {
                response
                    .headers_mut()
                    .insert("Sec-WebSocket-Protocol", HeaderValue::from_static(answered));
            }
            Ok(response)
        };
        let upgraded = within(accept_hdr_async(stream, callback)).await;
        let upgraded = upgraded.ok_or_else(|| Stop::broken("2.1", "no upgrade request in time"))?;
        let upgraded =
            upgraded.map_err(|error| Stop::broken("2.1", format!("not an upgrade: {error}")))?;
        let offers = offered.split(',').any(|offer| offer.trim() == wanted);
        ensure!("2.1", offers, "the client offers `{offered}`");
        let mut socket = Socket::new(upgraded, name, self.exchange.clone());
        socket.binary = self.codec.is_binary().then_some(Sender::Server);
        Ok(socket)
    }

    /// Refuses the next upgrade with an HTTP status.
    pub(crate) async fn refuse_upgrade(&mut self, status: u16) -> Step {
        let (mut stream, name) = self.tcp().await?;
        let mut head = Vec::new();
        let read = async {
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && head.len() < 8_192 {
                stream.read_exact(&mut byte).await?;
                head.push(byte[0]);
            }
            Ok::<(), std::io::Error>(())
        };
        let read =
            within(read).await.ok_or_else(|| Stop::broken("2.1", "no upgrade request in time"))?;
        read.map_err(Stop::trouble)?;
        self.exchange.note(&name, &format!("upgrade refused with {status}"));
        let answer =
            format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.map_err(Stop::trouble)?;
        stream.shutdown().await.map_err(Stop::trouble)
    }

    /// The next socket, after its HELLO.
    pub(crate) async fn accept(&mut self) -> Step<Peer> {
        let socket = self.socket(Some(self.codec.subprotocol())).await?;
        Peer::greeted(socket, Arc::clone(&self.desk)).await
    }

    /// The next socket, after its HELLO, where a clause demands one.
    pub(crate) async fn dials_again(&mut self, clause: &'static str) -> Step<Peer> {
        match self.accept().await {
            Err(Stop::Broken(broken)) => Err(Stop::broken(clause, broken.what)),
            other => other,
        }
    }

    /// The next socket, attached and confirmed. The session goes on if HELLO asks for that.
    pub(crate) async fn attach(&mut self) -> Step<Peer> {
        self.attach_with(json!({})).await
    }

    pub(crate) async fn attach_with(&mut self, welcome: Value) -> Step<Peer> {
        let mut peer = self.accept().await?;
        peer.welcome(welcome).await;
        Ok(peer)
    }

    /// Ends the client's process without a word, and starts the next one, which goes on with what
    /// was saved (5.26). The sockets of the old one are of no use any more.
    pub(crate) async fn restart(&mut self) -> Step {
        self.adapter.ask("restart", json!({})).await?;
        self.desk.lock().unwrap_or_else(PoisonError::into_inner).process_ended();
        Ok(())
    }

    /// Lets the application make a call. Returns the call's number in reports.
    pub(crate) async fn call(&mut self, name: &str, body: Value) -> Step<u64> {
        self.calls += 1;
        self.adapter.ask("call", json!({ "call": self.calls, "name": name, "body": body })).await?;
        Ok(self.calls)
    }

    /// Lets it call `echo`.
    pub(crate) async fn echo(&mut self, text: &str) -> Step<u64> {
        self.call("echo", json!({ "text": text })).await
    }

    /// Lets the application cancel a call.
    pub(crate) async fn cancel(&mut self, call: u64) -> Step {
        self.adapter.ask("cancel", json!({ "call": call })).await.map(drop)
    }

    /// The outcome of a call.
    pub(crate) async fn outcome(&mut self, clause: &'static str, call: u64) -> Step<Value> {
        let of_call = move |event: &Value| event["event"] == "outcome" && event["call"] == call;
        let event = self.adapter.event(of_call).await?;
        event.ok_or_else(|| Stop::broken(clause, format!("call {call} has no outcome in time")))
    }

    /// Waits until a call is accepted, and so outlives the process (5.26).
    pub(crate) async fn accepted(&mut self, call: u64) -> Step {
        let of_call = move |event: &Value| event["event"] == "accepted" && event["call"] == call;
        let event = self.adapter.event(of_call).await?;
        event.map(drop).ok_or_else(|| Stop::broken("5.26", format!("call {call} is not accepted")))
    }

    /// Checks that a call has this outcome.
    pub(crate) async fn ends(&mut self, clause: &'static str, call: u64, wanted: Value) -> Step {
        let outcome = self.outcome(clause, call).await?;
        for (name, value) in wanted.as_object().into_iter().flatten() {
            ensure!(clause, outcome[name] == *value, "call {call} came to {outcome}, not {wanted}");
        }
        Ok(())
    }

    /// Whether the outcome of a call has been reported.
    pub(crate) fn is_over(&self, call: u64) -> bool {
        self.adapter.has(|event| event["event"] == "outcome" && event["call"] == call)
    }

    /// Waits until the caller has given up on a call.
    pub(crate) async fn gave_up(&mut self, call: u64) -> Step {
        let event = self
            .adapter
            .event(move |event| event["event"] == "gave_up" && event["call"] == call)
            .await?;
        event
            .map(drop)
            .ok_or_else(|| Stop::broken("6.2", format!("nobody stopped waiting for call {call}")))
    }

    pub(crate) async fn volatile(&mut self, list: &str) -> Step {
        self.adapter
            .ask("volatile", json!({ "name": "nudge", "body": { "list": list } }))
            .await
            .map(drop)
    }

    /// Lets the application follow a topic, and take nothing yet. Returns the subscription's number
    /// in reports.
    pub(crate) async fn subscribe(&mut self, topic: &str) -> Step<u64> {
        self.ask_for(json!({ "topic": topic })).await
    }

    /// The same, with the latest events of the topic.
    pub(crate) async fn subscribe_last(&mut self, topic: &str, last: u64) -> Step<u64> {
        self.ask_for(json!({ "topic": topic, "last": last })).await
    }

    async fn ask_for(&mut self, mut wanted: Value) -> Step<u64> {
        self.subs += 1;
        wanted["sub"] = json!(self.subs);
        wanted["key"] = json!("l");
        self.adapter.ask("subscribe", wanted).await?;
        Ok(self.subs)
    }

    /// Lets the application ask for the next item, which finishes the one before.
    pub(crate) async fn take(&mut self, sub: u64) -> Step {
        self.adapter.ask("take", json!({ "sub": sub })).await.map(drop)
    }

    /// Lets the application ask for the next item, and waits for it.
    pub(crate) async fn item(&mut self, clause: &'static str, sub: u64) -> Step<Value> {
        self.take(sub).await?;
        self.taken(clause, sub).await
    }

    /// Waits for the item that the application asked for.
    pub(crate) async fn taken(&mut self, clause: &'static str, sub: u64) -> Step<Value> {
        let event = self
            .adapter
            .event(move |event| event["event"] == "item" && event["sub"] == sub)
            .await?;
        event.ok_or_else(|| Stop::broken(clause, "the application got no item in time"))
    }

    /// Checks that the application next gets an event with this text.
    pub(crate) async fn sees(&mut self, clause: &'static str, sub: u64, text: &str) -> Step {
        let item = self.item(clause, sub).await?;
        let as_wanted = item["item"] == "event" && item["body"]["text"] == text;
        ensure!(clause, as_wanted, "the application got {item}, not an event `{text}`");
        Ok(())
    }

    /// Checks that the application next gets a direct message with this text.
    pub(crate) async fn is_told(&mut self, clause: &'static str, text: &str) -> Step {
        let next = self.next_direct(clause).await?;
        let as_wanted = next["name"] == "told" && next["body"]["text"] == text;
        ensure!(clause, as_wanted, "the application got {next}, not the message `{text}`");
        Ok(())
    }

    /// Checks that the application is next told that direct messages may be missing.
    pub(crate) async fn is_missing(&mut self, clause: &'static str) -> Step {
        let next = self.next_direct(clause).await?;
        ensure!(clause, next["missed"] == true, "the application got {next}");
        Ok(())
    }

    async fn next_direct(&mut self, clause: &'static str) -> Step<Value> {
        let next = self.adapter.event(|event| event["event"] == "direct").await?;
        next.ok_or_else(|| Stop::broken(clause, "the application got nothing in time"))
    }

    /// Whether an item was reported that no step has looked at.
    pub(crate) fn has_item(&self, sub: u64) -> bool {
        self.adapter.has(|event| event["event"] == "item" && event["sub"] == sub)
    }

    pub(crate) async fn unsubscribe(&mut self, sub: u64) -> Step {
        self.adapter.ask("unsubscribe", json!({ "sub": sub })).await.map(drop)
    }

    /// Waits for the end of a subscription.
    pub(crate) async fn ended(&mut self, clause: &'static str, sub: u64) -> Step<Value> {
        let event = self
            .adapter
            .event(move |event| event["event"] == "ended" && event["sub"] == sub)
            .await?;
        event.ok_or_else(|| {
            Stop::broken(clause, "the application was not told that its subscription has ended")
        })
    }

    /// Lets the application close the client for good, without waiting until it has.
    pub(crate) async fn close(&mut self) -> Step {
        self.adapter.ask("close", json!({})).await.map(drop)
    }

    /// Waits until the client reports that it has stopped for good.
    pub(crate) async fn stops(&mut self, clause: &'static str) -> Step<Value> {
        let event = self.adapter.event(|event| event["event"] == "stopped").await?;
        event.ok_or_else(|| Stop::broken(clause, "the client has not stopped, or does not say so"))
    }
}
