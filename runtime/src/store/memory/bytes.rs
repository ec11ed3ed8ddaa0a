//! What publications and entries take in memory. How much they may take is not said here.

use crate::session::store::Publication;

/// What a memory store holds at a moment, in bytes of names and bodies; each is bounded by the
/// setting that its line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MemoryBytes {
    /// Replies ([`super::MemoryLimits::reply_bytes`]).
    pub replies: u64,
    /// Ids of the application, and what they stand for ([`super::MemoryLimits::id_bytes`], which
    /// names of ids may exceed).
    pub ids: u64,
    /// Publications that are not in their logs yet ([`super::MemoryLimits::owed_bytes`], which one
    /// commit may exceed).
    pub owed: u64,
    /// Entries of logs ([`super::MemoryLimits::log_bytes`]).
    pub logs: u64,
}

/// Names, keys and bodies of publications.
pub(super) fn publication_bytes(publications: &[Publication]) -> u64 {
    let bytes = publications.iter().map(|publication| {
        let Publication { topic, name, bodies } = publication;
        let bodies: usize = bodies.iter().map(|(_, body)| body.len()).sum();
        topic.key.len() + name.as_bytes().len() + bodies
    });
    bytes.sum::<usize>() as u64
}
