//! What a client with a journal has beside its core: whoever writes, calls whose holders have gone,
//! and calls of an earlier process. When something is saved or forgotten the core says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use super::slot::CallSlot;
use crate::session::client::{CallId, Command, SaveNo, Saving};

/// What the core wants of whoever writes its journal, and hears about later.
#[derive(Debug)]
pub(super) struct SaveRequest {
    pub(super) no: SaveNo,
    pub(super) saving: Saving,
}

/// A call of an earlier process.
pub(super) struct RecoveredCall {
    pub(super) slot: Arc<CallSlot>,
    pub(super) command: Command,
}

/// The journal's side of a client.
pub(super) struct Saves {
    /// Whoever writes; none once the client is over.
    saver: Option<Sender<SaveRequest>>,
    /// Calls that were dropped before they ended.
    pub(super) dropped: BTreeSet<CallId>,
    /// Calls of an earlier process, for whoever asks first.
    pub(super) recovered: Vec<RecoveredCall>,
}

impl Saves {
    pub(super) const fn new(saver: Sender<SaveRequest>) -> Self {
        Self { saver: Some(saver), dropped: BTreeSet::new(), recovered: Vec::new() }
    }

    pub(super) fn ask(&self, no: SaveNo, saving: Saving) {
        // What comes after the end is left to the next process, which hears of it once more.
        if let Some(saver) = &self.saver {
            // Its thread ends when this end is dropped, or by a panic, which was reported.
            let _ = saver.send(SaveRequest { no, saving });
        }
    }

    /// The client is over: what was asked for is still written.
    pub(super) fn end(&mut self) {
        self.saver = None;
    }
}
