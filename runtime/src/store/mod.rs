//! Where records and logs are kept: the [`Store`] trait, [`StoreAdmin`] for operators, the memory
//! store, and, with the feature `store-suite`, the cases that every store has to pass. A store
//! carries operations out and decides nothing, which is the node's part; it needs no runtime, since
//! its futures are plain ones.

mod admin;
mod deciding;
mod ended_leases;
mod export;
mod imported_log;
mod interface;
mod memory;
#[cfg(feature = "store-suite")]
pub mod suite;

pub use crate::session::store::{Advanced, News};
pub use admin::{
    AdminError, AgedEntry, BackPage, Erased, Exported, ListedId, ListedTopic, StoreAdmin,
    StoreFigures, TopicPage,
};
pub use deciding::{Deciding, Decision};
pub use ended_leases::EndedLeases;
pub use export::{ExportError, ExportFigures, ImportError, export, import};
pub use imported_log::ImportedLog;
pub use interface::{Clock, DynStore, NewsFuture, Store, StoreFuture};
pub use memory::{MemoryBytes, MemoryLimits, MemoryPeaks, MemoryState, MemoryStore};
