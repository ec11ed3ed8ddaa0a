//! Judges what a chat of killed servers and clients has come to: what clients were told and saw (a
//! history, one JSON object per line), against what the server's SQLite file holds. It knows the
//! file's tables and nothing else of steadfast, so a fault of the runtime can't hide here.

mod held;
mod history;
mod judge;
mod verdict;

pub use held::{Entry, Held, Log};
pub use history::{Answer, History, Line};
pub use judge::judge;
pub use verdict::{Figures, Kind, Verdict, Violation};
