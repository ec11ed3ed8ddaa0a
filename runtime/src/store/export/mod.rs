//! Carries what a store holds into another one, which may be of another kind: as lines of text, or
//! straight. It asks stores with the operations that every store has, and keeps nothing.

mod figures;
mod line;
mod read;
mod write;

pub use figures::ExportFigures;
pub use read::{RestoreError, restore};
pub use write::{ExportError, export};
