//! The task that listens to the store: one per server, which ends with it. What other nodes have
//! appended reaches this node's followers without waiting for a timer. Decides nothing: news are an
//! input of the node like any other.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::engine::Engine;
use super::settings::REST;
use crate::host::{self, Guarded, Panicked};
use crate::store::{DynStore, News};

/// Topics whose news one turn takes: the lock is shared with every connection.
const TOPICS_PER_TURN: usize = 256;

/// Passes the store's news on, until the server is gone.
pub(super) async fn run(
    engine: Weak<Engine>,
    store: Arc<dyn DynStore>,
    mut leaving: watch::Receiver<bool>,
) {
    let mut rested = true;
    loop {
        let news = tokio::select! {
            biased;
            // The sender belongs to the server; a drain is not its end.
            _ = leaving.wait_for(|_| false) => return,
            news = next(&store, rested) => news,
        };
        rested = news.as_ref().is_some_and(says_something);
        for part in news.into_iter().flat_map(in_parts) {
            let Some(engine) = engine.upgrade() else { return };
            rested &= pass(&engine, part);
            drop(engine);
            // A store that is always ready does not starve those who share this thread.
            tokio::task::yield_now().await;
        }
    }
}

/// `None` if the store panicked.
async fn next(store: &Arc<dyn DynStore>, rested: bool) -> Option<News> {
    if !rested {
        host::sleep(REST).await;
    }
    let store = Arc::clone(store);
    let news = Guarded(Box::pin(async move { store.news_boxed().await })).await;
    news.inspect_err(|Panicked| tracing::error!("the store panicked when it was asked for news"))
        .ok()
}

/// After an answer without news the store is asked again only after a rest.
const fn says_something(news: &News) -> bool {
    match news {
        News::Advanced(topics) => !topics.is_empty(),
        News::Missed | News::Rolled => true,
    }
}

fn in_parts(news: News) -> Vec<News> {
    match news {
        News::Advanced(mut topics) => {
            let mut parts = Vec::with_capacity(topics.len().div_ceil(TOPICS_PER_TURN));
            while topics.len() > TOPICS_PER_TURN {
                let rest = topics.split_off(TOPICS_PER_TURN);
                parts.push(News::Advanced(std::mem::replace(&mut topics, rest)));
            }
            parts.push(News::Advanced(topics));
            parts
        }
        News::Missed | News::Rolled => vec![news],
    }
}

/// `false` if the turn panicked.
fn pass(engine: &Arc<Engine>, news: News) -> bool {
    let turn = host::guarded(|| engine.turn(|now, state| state.node.handle_news(now, news)));
    turn.inspect_err(|Panicked| tracing::error!("a turn for the store's news panicked")).is_ok()
}
