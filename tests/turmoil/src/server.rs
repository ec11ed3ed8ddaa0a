//! The simulated server: a board in memory, and news of its own between the notes. It is started,
//! drained and killed by the stage.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use steadfast::server::{Cx, Denied, Principal, Server, TopicCx};

use crate::ledger::Ledger;
use crate::network::Port;
use crate::protocol::{
    BoardCommand, BoardEventHappened, BoardEventNotes, BoardEventPinned, BoardHandler, BoardServer,
    BoardTopics, Never, Tag,
};
use crate::stage::Stage;

/// The only board, and the only feed.
pub const ONLY: u32 = 1;

/// The time between two pieces of the server's own news.
const NEWS: Duration = Duration::from_millis(170);

#[derive(Clone)]
struct App {
    ledger: Ledger,
    life: u32,
    tags: Arc<Mutex<Vec<Tag>>>,
}

impl App {
    fn pin_now(&self, cx: &Cx, tag: Tag) -> u64 {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        tags.push(tag);
        let reply = tags.len() as u64;
        self.ledger.applied(tag, self.life, reply);
        cx.publish(BoardEventPinned { board: ONLY, tag });
        cx.publish(BoardEventHappened { feed: ONLY, tag });
        reply
    }
}

impl BoardHandler for App {
    async fn pin(&self, cx: &Cx, tag: Tag) -> Result<u64, Never> {
        Ok(self.pin_now(cx, tag))
    }

    async fn pin_later(&self, cx: &Cx, tag: Tag, ms: u64) -> Result<u64, Never> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(self.pin_now(cx, tag))
    }
}

impl BoardTopics for App {
    async fn may_subscribe_board(&self, _: &Principal, _: &u32) -> Result<(), Denied> {
        Ok(())
    }

    async fn board_snapshot(&self, _: &TopicCx, board: &u32) -> Result<BoardEventNotes, Never> {
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(BoardEventNotes { board: *board, tags })
    }

    async fn may_subscribe_feed(&self, _: &Principal, _: &u32) -> Result<(), Denied> {
        Ok(())
    }
}

/// Runs one server after another, as long as each ends by draining.
pub(crate) async fn run(stage: Stage) -> turmoil::Result {
    loop {
        let life = stage.ledger.server_starts();
        let app = App { ledger: stage.ledger.clone(), life, tags: Arc::default() };
        let server = BoardServer::builder(app)
            .allow_anonymous()
            .configure(|config| {
                config.heartbeat.interval = Duration::from_millis(1_500);
                config.heartbeat.timeout = Duration::from_millis(700);
                config.heartbeat.missed = 2;
                // Short enough that what a dead client leaves behind is gone before the run is
                // judged.
                config.session_ttl = Duration::from_secs(20);
                // Few enough that whoever was away for long has missed something.
                config.live_entries = 16;
            })
            .limits(|limits| limits.drain_spread = Duration::from_millis(500))
            .insecure_seed(stage.seed.wrapping_mul(1_000_003).wrapping_add(u64::from(life)))
            .build();
        *stage.server.lock().unwrap_or_else(PoisonError::into_inner) = Some(server.clone());
        let port = Port::bind().await?;
        tokio::select! {
            biased;
            served = server.serve_listener(port) => served?,
            () = publish_news(&server, life) => {}
            () = stage.told_to_drain() => {
                server.shutdown(Duration::from_secs(2)).await;
                stage.ledger.server_ends("drained");
            }
        }
    }
}

async fn publish_news(server: &Server<BoardCommand>, life: u32) {
    for number in 1.. {
        tokio::time::sleep(NEWS).await;
        let tag = Tag { who: 1000, life, number };
        let _ = server.publish(&BoardEventHappened { feed: ONLY, tag }).await;
    }
}
