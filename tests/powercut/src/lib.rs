//! A disk for SQLite that remembers every write and every flush, so that a test can see what is
//! left after a power cut at any moment; and that fails on demand. It knows nothing of steadfast.
//!
//! [`install`] puts it in front of the operating system's files, for all connections that this
//! process opens from then on. What a cut leaves of a file: everything up to its last flush, and of
//! what came later any part, sector by sector. A file that was never flushed may be gone.

mod disk;
mod shim;

pub use disk::{Cut, Disk, Event, Fault};
pub use shim::install;
