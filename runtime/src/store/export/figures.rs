//! What an export is measured by. It counts nothing itself.

/// How much was exported or restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct ExportFigures {
    /// Topics.
    pub topics: u64,
    /// Entries of their logs.
    pub entries: u64,
    /// Ids of the application.
    pub ids: u64,
}
