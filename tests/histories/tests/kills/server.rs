//! The server that is killed. It says where it listens, and works until that happens.

use std::io::Write;
use std::path::Path;

use steadfast::NoError;
use steadfast::server::{Cx, Denied, Principal, bearer};
use steadfast_sqlite::LocalStore;
use tokio::net::TcpListener;

use crate::protocol::{HistoryEventWrote, HistoryHandler, HistoryServer, HistoryTopics};

/// What it says when it listens, followed by its address.
pub const LISTENING: &str = "listening on ";

struct Writer;

impl Writer {
    /// A receipt is random: whoever runs twice gives out two.
    async fn write(&self, cx: &Cx, room: String, name: String) -> u64 {
        let receipt = fastrand::u64(..1 << 48);
        // It may be killed here, too.
        tokio::task::yield_now().await;
        cx.publish(HistoryEventWrote { room, name, receipt });
        receipt
    }
}

impl HistoryHandler for Writer {
    async fn write(&self, cx: &Cx, room: String, name: String) -> Result<u64, NoError> {
        Ok(Self::write(self, cx, room, name).await)
    }

    async fn write_once(&self, cx: &Cx, room: String, name: String) -> Result<u64, NoError> {
        Ok(Self::write(self, cx, room, name).await)
    }
}

impl HistoryTopics for Writer {
    async fn may_subscribe_room(&self, _: &Principal, _: &String) -> Result<(), Denied> {
        Ok(())
    }
}

pub async fn run(file: &Path) {
    let store = LocalStore::open(file).expect("the file can be opened");
    let users = bearer(|user: String| async move { Ok::<_, Denied>(Principal::new(user)) });
    let server = HistoryServer::builder(Writer).store(store).authenticate(users).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("{LISTENING}{}", listener.local_addr().expect("it is bound"));
    std::io::stdout().flush().expect("the parent reads");
    // The parent is gone when the input ends.
    let parent = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    tokio::select! {
        served = server.serve_listener(listener) => served.expect("it serves until it is killed"),
        _ = parent => {}
    }
}
