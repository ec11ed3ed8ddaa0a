//! The protocol of the tests: a board of notes, with a server whose deeds a test can look at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::server::{Attempt, Builder, Cx, Decided, Denied, Principal, TopicCx, bearer};
use steadfast::store::MemoryStore;
use steadfast::test::{Host, Line, Net};
use steadfast::{Codec, UnknownMessage, WsProtocol};

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "board", version = "1.0", server = BoardEvent, error = BoardError)]
pub enum BoardCommand {
    /// Pins a note; the reply counts the runs of its handler.
    #[ws(request(reply = u64))]
    Pin { board: u32, text: String },
    /// As `Pin`, but takes its time.
    #[ws(request(reply = u64), timeout = "10m")]
    PinSlowly { board: u32, ms: u64 },
    /// Waits until it is cancelled.
    #[ws(command)]
    Wait {},
    #[ws(volatile(latest_by = board))]
    Look { board: u32 },
}

#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "board", error = BoardError,
     topic(Board, key = board: u32, replay = 4, ttl = "1h"))]
pub enum BoardEvent {
    #[ws(event(Board))]
    Pinned { board: u32, by: String, text: String },
    #[ws(snapshot(Board))]
    Notes { board: u32, upto: u64 },
    #[ws(volatile(Board, latest_by = who))]
    Looking { board: u32, who: String },
    #[ws(direct)]
    Thanked { text: String },
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[ws(error)]
pub enum BoardError {
    Empty,
    GivenUp,
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

/// What handlers have done, in all lives of a server.
#[derive(Debug, Clone, Default)]
pub struct Deeds {
    pub pins: Arc<AtomicU64>,
    pub begun: Arc<Mutex<Vec<Attempt>>>,
}

impl Deeds {
    pub fn pins(&self) -> u64 {
        self.pins.load(Ordering::SeqCst)
    }

    pub fn begun(&self) -> usize {
        self.begun.lock().unwrap().len()
    }
}

#[derive(Debug, Default)]
pub struct Notes(pub Deeds);

impl Notes {
    fn pinned(&self, cx: &Cx, board: u32, text: String) -> u64 {
        let by = cx.principal().user().to_owned();
        cx.publish(BoardEventPinned { board, by, text });
        self.0.pins.fetch_add(1, Ordering::SeqCst) + 1
    }
}

impl BoardHandler for Notes {
    async fn pin(&self, cx: &Cx, board: u32, text: String) -> Result<u64, BoardError> {
        cx.publish(BoardEventPinned { board: 0, by: String::new(), text: "index".into() });
        if text.is_empty() {
            return Err(BoardError::Empty);
        }
        cx.send_to(&cx.sender(), BoardEventThanked { text: text.clone() });
        Ok(self.pinned(cx, board, text))
    }

    async fn pin_slowly(&self, cx: &Cx, board: u32, ms: u64) -> Result<u64, BoardError> {
        self.0.begun.lock().unwrap().push(cx.attempt());
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(self.pinned(cx, board, "slow".into()))
    }

    async fn wait(&self, cx: &Cx) -> Result<(), BoardError> {
        cx.cancelled().await;
        Err(BoardError::GivenUp)
    }

    async fn look(&self, cx: &Cx, board: u32) {
        cx.publish(BoardEventLooking { board, who: cx.principal().user().to_owned() });
    }
}

impl BoardTopics for Notes {
    async fn may_subscribe_board(&self, _: &Principal, _: &u32) -> Result<(), Denied> {
        Ok(())
    }

    async fn board_snapshot(
        &self,
        cx: &TopicCx,
        board: &u32,
    ) -> Result<BoardEventNotes, BoardError> {
        Ok(BoardEventNotes { board: *board, upto: cx.position().ts.0 })
    }
}

pub type Boards = Builder<BoardCommand, Decided>;

/// A server on a store.
pub fn boards(deeds: &Deeds, store: &MemoryStore) -> Boards {
    BoardServer::builder(Notes(deeds.clone())).store(store.clone()).codecs(Codec::ALL).authenticate(
        bearer(|name| async move {
            if name == "nobody" { Err(Denied::new("nobody")) } else { Ok(Principal::new(name)) }
        }),
    )
}

/// A net with one server, one line, and what the server's handlers do.
pub struct World {
    pub net: Net,
    pub host: Host<BoardCommand>,
    pub line: Line,
    pub deeds: Deeds,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, MemoryStore::default())
    }

    pub fn with(seed: u64, store: MemoryStore) -> Self {
        let (net, deeds) = (Net::new(seed), Deeds::default());
        let serving = deeds.clone();
        let host = net.serve("boards", move || boards(&serving, &store));
        let line = net.line("ada");
        Self { net, host, line, deeds }
    }

    pub async fn connect(&self) -> BoardClient {
        self.connect_in(Codec::Json).await
    }

    pub async fn connect_in(&self, codec: Codec) -> BoardClient {
        let builder = BoardClient::builder(self.host.url()).codec(codec);
        let builder = self.line.client(builder.token(|_| async { "ada" }));
        self.net.within("ada's connection", builder.connect()).await.unwrap()
    }
}
