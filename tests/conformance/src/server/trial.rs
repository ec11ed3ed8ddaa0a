//! One case's stage: servers as the case wants them, and sockets to them. What a case is about is
//! not known here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::Subject;
use super::me::Me;
use super::peer::Peer;
use crate::adapter::Channel;
use crate::case::{Step, Stop};
use crate::exchange::Exchange;
use crate::frame::{Frame, Sender, kind, random_id};
use crate::socket::{SUBPROTOCOL, Socket, Upgrade};
use crate::suite::Codec;

/// One case's stage.
pub(crate) struct Trial {
    subject: Arc<Subject>,
    exchange: Exchange,
    codec: Codec,
    sockets: AtomicU32,
    /// Adapters live until the end of the case, and not just of the step that started them.
    adapters: Mutex<Vec<Arc<Mutex<Channel>>>>,
}

/// A server, and the adapter that started it.
pub(crate) struct Server<'a> {
    trial: &'a Trial,
    url: Mutex<String>,
    adapter: Option<Arc<Mutex<Channel>>>,
}

impl Trial {
    pub(super) fn new(subject: Arc<Subject>, exchange: Exchange, codec: Codec) -> Self {
        Self { subject, exchange, codec, sockets: AtomicU32::new(0), adapters: Mutex::default() }
    }

    /// The case is about JSON, or about both codecs: it is carried out in a run of JSON alone.
    pub(crate) fn is_of_json(&self) -> Step {
        self.codec.is_of_json()
    }

    /// A server with its own defaults.
    pub(crate) async fn server(&self) -> Step<Server<'_>> {
        let adapter = match &*self.subject {
            Subject::Url(url) => {
                return Ok(Server { trial: self, url: Mutex::new(url.clone()), adapter: None });
            }
            Subject::Adapter(adapter) => adapter,
        };
        self.start(adapter.connect(&self.exchange).await?, json!({})).await
    }

    /// A server with settings of ADAPTER.md.
    pub(crate) async fn server_with(&self, settings: Value) -> Step<Server<'_>> {
        match &*self.subject {
            Subject::Url(_) => Err(Stop::NotApplicable(
                "it needs settings of its own, and there is no adapter".into(),
            )),
            Subject::Adapter(adapter) => {
                self.start(adapter.connect(&self.exchange).await?, settings).await
            }
        }
    }

    async fn start(&self, mut adapter: Channel, settings: Value) -> Step<Server<'_>> {
        let started = adapter.ask("start", json!({ "settings": settings })).await?;
        let adapter = Arc::new(Mutex::new(adapter));
        self.adapters.lock().await.push(Arc::clone(&adapter));
        Ok(Server { trial: self, url: Mutex::new(url_of(&started)?), adapter: Some(adapter) })
    }

    /// A client that is attached to a server with its own defaults.
    pub(crate) async fn peer(&self) -> Step<Peer> {
        self.server().await?.attach(Me::new("ann")).await
    }

    /// A client that is attached to a server with such settings.
    pub(crate) async fn peer_with(&self, settings: Value) -> Step<Peer> {
        self.server_with(settings).await?.attach(Me::new("ann")).await
    }
}

fn url_of(answer: &Value) -> Step<String> {
    let url = answer["url"].as_str().map(str::to_owned);
    url.ok_or_else(|| Stop::trouble("the adapter gives no address"))
}

impl Server<'_> {
    /// Tries an upgrade that offers this subprotocol.
    pub(crate) async fn upgrade(&self, offered: Option<&str>) -> Step<Upgrade> {
        let name = format!("socket {}", self.trial.sockets.fetch_add(1, Ordering::Relaxed) + 1);
        let url = self.url.lock().await.clone();
        Socket::dial(&url, offered, None, name, self.trial.exchange.clone()).await
    }

    /// Tries an upgrade as a browser does for a page, which says where the page is from.
    pub(crate) async fn upgrade_of_a_page(&self, offered: &str) -> Step<Upgrade> {
        let name = format!("socket {}", self.trial.sockets.fetch_add(1, Ordering::Relaxed) + 1);
        let (url, origin) = (self.url.lock().await.clone(), Some("https://page.example"));
        Socket::dial(&url, Some(offered), origin, name, self.trial.exchange.clone()).await
    }

    /// Tries an upgrade that offers no subprotocol, but names it in the query of the URL.
    pub(crate) async fn upgrade_by_query(&self) -> Step<Upgrade> {
        let name = format!("socket {}", self.trial.sockets.fetch_add(1, Ordering::Relaxed) + 1);
        let url = format!("{}?subprotocol={SUBPROTOCOL}", self.url.lock().await);
        Socket::dial(&url, None, None, name, self.trial.exchange.clone()).await
    }

    /// An open socket on which nothing has been sent.
    pub(crate) async fn socket(&self) -> Step<Socket> {
        self.socket_in(self.trial.codec).await
    }

    /// The same for binary frames, whatever the run speaks.
    pub(crate) async fn binary_socket(&self) -> Step<Socket> {
        self.socket_in(Codec::Binary).await
    }

    async fn socket_in(&self, codec: Codec) -> Step<Socket> {
        let wanted = codec.subprotocol();
        match self.upgrade(Some(wanted)).await? {
            Upgrade::Open(mut socket, chosen) if chosen.as_deref() == Some(wanted) => {
                socket.binary = codec.is_binary().then_some(Sender::Client);
                Ok(*socket)
            }
            Upgrade::Open(_, chosen) => Err(Stop::broken(
                "2.1",
                format!("{chosen:?} was chosen where only {wanted} was offered"),
            )),
            Upgrade::Refused(400) if codec.is_binary() => {
                Err(Stop::NotApplicable("the server has no binary codec, and need not".into()))
            }
            Upgrade::Refused(status) => {
                Err(Stop::broken("2.1", format!("the upgrade was refused with {status}")))
            }
        }
    }

    /// The same as [`Server::attach`], in the binary codec.
    pub(crate) async fn attach_in_binary(&self, me: Me) -> Step<Peer> {
        Ok(confirmed(attached(self.binary_socket().await?, me).await?).await)
    }

    /// A peer that sends nothing.
    pub(crate) async fn silent(&self) -> Step<Peer> {
        Ok(Peer::new(self.socket().await?, Me::new("ann")))
    }

    /// A peer that has sent this message, which need not be a HELLO, or a frame.
    pub(crate) async fn say(&self, first: &str) -> Step<Peer> {
        let mut socket = self.socket().await?;
        match serde_json::from_str(first) {
            Ok(frame) if self.trial.codec.is_binary() => socket.say(&frame).await,
            _ => socket.send(first).await,
        }
        Ok(Peer::new(socket, Me::new("ann")))
    }

    /// A peer that has sent this HELLO.
    pub(crate) async fn greet(&self, me: &Me, hello: &Value) -> Step<Peer> {
        Ok(greeted(self.socket().await?, me, hello).await)
    }

    /// Sends HELLO and waits for WELCOME, but does not confirm it.
    pub(crate) async fn attach_silently(&self, me: Me) -> Step<Peer> {
        attached(self.socket().await?, me).await
    }

    /// Sends HELLO, waits for WELCOME, and confirms it (4.1).
    pub(crate) async fn attach(&self, me: Me) -> Step<Peer> {
        Ok(confirmed(self.attach_silently(me).await?).await)
    }

    /// Attaches, and checks that the session has gone on.
    pub(crate) async fn resume(&self, me: Me) -> Step<Peer> {
        let peer = self.attach(me).await?;
        if peer.was_resumed() {
            return Ok(peer);
        }
        let why = peer
            .resume_failed
            .as_ref()
            .map_or("no RESUME_FAILED", |frame: &Frame| frame.text.as_str());
        Err(Stop::broken("4.7", format!("the session lives, and was not resumed: {why}")))
    }

    /// Asks the adapter for something.
    pub(crate) async fn control(&self, what: &str, members: Value) -> Step<Value> {
        self.adapter().await?.ask(what, members).await
    }

    async fn adapter(&self) -> Step<MutexGuard<'_, Channel>> {
        match &self.adapter {
            Some(adapter) => Ok(adapter.lock().await),
            None => Err(Stop::NotApplicable("it needs an adapter".into())),
        }
    }

    /// Kills the server, and starts another one, with or without what the store has kept.
    pub(crate) async fn restart(&self, keep: bool) -> Step {
        let restarted = self.control("restart", json!({ "keep": keep })).await?;
        *self.url.lock().await = url_of(&restarted)?;
        Ok(())
    }

    /// Whether the server was started for this case alone.
    pub(crate) fn is_own(&self) -> bool {
        self.adapter.is_some()
    }
}

async fn greeted(mut socket: Socket, me: &Me, hello: &Value) -> Peer {
    socket.say(&json!([kind::HELLO, hello])).await;
    Peer::new(socket, me.clone())
}

async fn attached(socket: Socket, mut me: Me) -> Step<Peer> {
    me.dial += 1;
    let hello = me.hello();
    let mut peer = greeted(socket, &me, &hello).await;
    peer.welcomed().await?;
    Ok(peer)
}

async fn confirmed(mut peer: Peer) -> Peer {
    peer.ack().await;
    peer.replay().await;
    peer
}

/// A name that no other case uses: of a list, a log or a gate.
pub(crate) fn fresh(what: &str) -> String {
    format!("{what}-{}", &random_id()[..8])
}
