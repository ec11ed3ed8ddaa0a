//! The outbox in a file: what a client must not forget when its process dies is on disk before it is
//! acted upon. When that is, and what it is, the core decides.

mod disk;
mod error;
mod log;
mod open;
mod record;
mod settings;
mod writer;

pub use error::{Damage, OutboxError};
pub use open::OutboxFile;
pub use settings::{Flush, OutboxSettings};

pub(super) use writer::start;
