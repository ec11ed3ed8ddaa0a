//! The server that is measured: default settings with the memory store, so sequences, acks, dedupe,
//! records and resume are all on.

use std::sync::atomic::{AtomicU64, Ordering};

use steadfast::NoError;
use steadfast::server::{Cx, Denied, Principal};
use steadfast::store::{MemoryStore, Store};
use tokio::net::TcpListener;

use crate::Failure;
use crate::protocol::{
    BenchEventTicked, BenchHandler, BenchServer, BenchTopics, FEED, Page, Posted,
};

#[derive(Debug, Default)]
struct Bench {
    posts: AtomicU64,
}

impl BenchHandler for Bench {
    async fn post(&self, _: &Cx, room: u64, text: String, ts: u64) -> Result<Posted, NoError> {
        std::hint::black_box((room, text, ts));
        Ok(Posted { id: self.posts.fetch_add(1, Ordering::Relaxed) })
    }

    async fn burst(&self, cx: &Cx, events: u32, text: String) -> Result<(), NoError> {
        for _ in 0..events {
            cx.publish(BenchEventTicked { feed: FEED, text: text.clone() });
        }
        Ok(())
    }

    async fn fetch(&self, _: &Cx, bytes: u32) -> Result<Page, NoError> {
        Ok(Page { text: "x".repeat(bytes as usize) })
    }
}

impl BenchTopics for Bench {
    async fn may_subscribe_feed(&self, _: &Principal, _: &u64) -> Result<(), Denied> {
        Ok(())
    }
}

pub async fn serve(listener: TcpListener) -> Result<(), Failure> {
    serve_with(listener, MemoryStore::default()).await
}

/// The same on another store.
pub async fn serve_with(listener: TcpListener, store: impl Store) -> Result<(), Failure> {
    let server = BenchServer::builder(Bench::default()).store(store).allow_anonymous().build();
    Ok(server.serve_listener(listener).await?)
}
