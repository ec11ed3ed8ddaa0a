//! The rules of every operation as cases that any [`Store`](super::Store) can be put through. It
//! measures nothing, and knows no engine.
//!
//! Each case names its rule. It is put to fresh stores in order, in several copies together, and
//! behind a [`Hostile`], which fails in every way that the contract allows. A case takes answers
//! that differ where the contract leaves a choice: a store need not settle in a commit, and may
//! drop what a settled record has published.
//!
//! The rules of [`StoreAdmin`](super::StoreAdmin) are apart: see [`run_admin`]. So are
//! - those about several nodes, which are put to pairs of handles ([`run_in_pairs`]), for stores
//!   that nodes can share;
//! - those about how long leases, ids, entries and topics live, which are put to stores that can be
//!   given a clock ([`run_timed`]);
//! - those about another incarnation, which are put to stores that can be restored or rolled back
//!   ([`run_rolled`]).
//!
//! # Example
//! The whole test of a store, in whatever runtime it needs:
//!
//! ```
//! # use std::sync::Arc;
//! # use steadfast::session::Now;
//! # use steadfast::store::{MemoryLimits, MemoryStore};
//! use steadfast::store::suite;
//!
//! # async fn fresh_store() -> MemoryStore {
//! #     MemoryStore::new(MemoryLimits::default(), Arc::new(|| Now(0)))
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let report = suite::run(fresh_store).await;
//! assert!(report.passed(), "{report}");
//! # }
//! ```
//!
//! One case alone, while working on it:
//!
//! ```
//! # use std::sync::Arc;
//! # use steadfast::session::Now;
//! # use steadfast::store::{MemoryLimits, MemoryStore};
//! use steadfast::store::suite;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! # let store = MemoryStore::new(MemoryLimits::default(), Arc::new(|| Now(0)));
//! let store = Arc::new(store);
//! for case in suite::cases().into_iter().filter(|case| case.name.contains("append")) {
//!     let came = case.run(Arc::clone(&store), 0).await;
//!     assert!(came.is_ok(), "{}: {came:?}", case.rule);
//! #   break;
//! }
//! # }
//! ```

mod admin;
mod admin_case;
mod asks;
mod bench;
mod case;
mod cases;
mod hostile;
mod pairs;
mod report;
mod rolled;
mod rolled_case;
mod run;
mod timed;
mod timed_case;

pub use admin::run_admin;
pub use case::Case;
pub use cases::{cases, deciding_cases};
pub use hostile::Hostile;
pub use pairs::run_in_pairs;
pub use report::{Broken, Finding, Report, Way};
pub use rolled::{Rolled, run_rolled};
pub use run::{run, run_deciding};
pub use timed::run_timed;
