//! The server's own tasks, begun with the first use of a server: building one needs no runtime.
//! What they do is the timer's and the news' business.

use std::sync::Arc;

use super::engine::Engine;
use super::{news, timer};
use crate::host;

/// Begins them, once. Needs a runtime.
pub(super) fn start(engine: &Arc<Engine>) {
    engine.started.call_once(|| {
        let (weak, store) = (Arc::downgrade(engine), Arc::clone(&engine.env.store));
        host::spawn(timer::run(weak.clone(), engine.alarm()));
        host::spawn(news::run(weak, store, engine.gate.watch()));
        engine.turn(|now, state| state.node.start(now));
    });
}
