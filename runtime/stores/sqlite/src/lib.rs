//! A durable store for steadfast in one SQLite file. It keeps leases, completion records and the
//! logs of topics; it decides nothing about them.
//!
//! ```no_run
//! use steadfast_sqlite::LocalStore;
//!
//! # fn main() -> Result<(), steadfast_sqlite::OpenError> {
//! let store = LocalStore::open("chat.db")?;
//! // ChatServer::builder(chat).store(store.clone()).build()
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//! What was acknowledged is on the disk (`synchronous=FULL`), whatever happens to the process. Many
//! operations share one COMMIT: those that wait while the one before is written.
//!
//! # The file
//! `chat.db`, with `chat.db-wal` and `chat.db-shm` while it is open, and `chat.db-lock`, which
//! keeps other processes out and remembers that there was a store.
//!
//! Its tables begin with `sf_`; to look at them: `sqlite3 chat.db 'SELECT * FROM sf_leases'`. While
//! the store is open nobody else may change them, because the writer remembers their rows. An
//! application may have tables of its own beside them ([`LocalBuilder::schema`]). It writes them in
//! the transactions of its commands (`Transact`), or through a connection of its own that holds its
//! locks for a short time.
//!
//! A copy is made with [`LocalStore::backup`], and put back with [`LocalStore::restore`]. A file
//! that was put back by hand is noticed when it is opened, and begins a new incarnation all the
//! same.
//!
//! # rusqlite
//! It is re-exported, because a program can have only one version of SQLite's C library
//! (`links = "sqlite3"`).

mod admin;
mod decisions;
mod error;
mod file;
mod guard;
mod handle;
mod jobs;
mod metrics;
mod news;
mod queue;
mod read;
mod reader;
mod route;
mod rows;
mod savepoint;
mod served;
mod settings;
mod space;
#[cfg(feature = "server")]
mod tx;
mod writer;

pub use error::{BackupError, OpenError, RestoreError};
pub use handle::{LocalBuilder, LocalStore};
pub use metrics::LocalMetrics;
pub use rusqlite;
pub use savepoint::Savepoint;
pub use settings::{LocalLimits, LocalSettings};
#[cfg(feature = "server")]
pub use tx::{Abort, Transact, Tx};
