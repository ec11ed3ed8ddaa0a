//! What an operator asks of a store beside its nodes: what there is, and that some of it goes. What
//! nodes and their clients see of that is said with each; how a store does it is its own.

use std::future::Future;

use super::interface::Store;
use crate::session::store::{
    LogEntry, MessageId, PrincipalId, Retention, TopicHead, TopicId, UsedId,
};
use crate::wire::{MAX_SEQUENCE, TopicSeq};

/// Looks into a store and takes things out of it, while nodes use it. It is for operators: the
/// protocol needs none of it.
///
/// Each method is atomic, and may be repeated, [`import`](Self::import) excepted. It waits for as long as an operation of the store
/// may take; the pages bound what is read at once.
///
/// # Errors
/// [`AdminError::Failed`] says that nothing was changed, [`AdminError::Unknown`] that it may have
/// been; the same call may be made again after both.
///
/// # Cancellation
/// A future that is dropped may have done its work or not, as after [`AdminError::Unknown`].
///
/// # Example
/// Takes everything that a store has of somebody who wants to be forgotten, and the topics that are
/// named after them:
///
/// ```
/// use steadfast::store::{AdminError, StoreAdmin, TopicPage};
///
/// async fn forget(store: &impl StoreAdmin, user: &str) -> Result<usize, AdminError> {
///     store.erase_principal(&user.into()).await?;
///     let mut page = TopicPage::first(100);
///     let mut deleted = 0;
///     loop {
///         let topics = store.list_topics(page.clone()).await?;
///         let Some(last) = topics.last() else { return Ok(deleted) };
///         page.after = Some(last.topic.clone());
///         for listed in topics.iter().filter(|listed| &*listed.topic.key == user) {
///             deleted += usize::from(store.delete_topic(&listed.topic).await?);
///         }
///     }
/// }
/// ```
pub trait StoreAdmin: Store {
    /// Topics with what their logs hold, by name and key. It counts as use of none. With a prefix
    /// that few topics have it looks at many more than it lists.
    fn list_topics(
        &self,
        page: TopicPage,
    ) -> impl Future<Output = Result<Vec<ListedTopic>, AdminError>> + Send;

    /// Entries of a log, the latest first, whatever its epoch is: at most `max` of those below
    /// `before`, or from the end on. At most `max_bytes` of names and bodies, the first one of the
    /// page excepted. `None` if there is no such topic. It counts as no use.
    fn read_back(
        &self,
        topic: &TopicId,
        before: Option<TopicSeq>,
        max: u32,
        max_bytes: u64,
    ) -> impl Future<Output = Result<Option<BackPage>, AdminError>> + Send;

    /// Ids of the application that are in use, by principal, message and text: at most `max` of
    /// those behind `after`, or from the first one on. At most `max_bytes` of ids and of what they
    /// stand for, the first one of the page excepted.
    fn list_ids(
        &self,
        after: Option<MessageId>,
        max: u32,
        max_bytes: u64,
    ) -> impl Future<Output = Result<Vec<ListedId>, AdminError>> + Send;

    /// Adds pieces of an [`export`](super::export()): ids and topics that are not there yet, and
    /// entries below the oldest one of a log that was imported. Each topic gets another epoch, a
    /// mixture of its earlier one and `incarnation`, so `incarnation` must be a random number, and
    /// the same one for all pieces. No node may use the store before the last piece is in it.
    ///
    /// Entries and ids are as old as they were, up to ten years: the time of a store that is empty
    /// goes forward for that. What a topic keeps no longer is left out. Bounds of the store hold:
    /// what would be beyond them fails, and displaces nothing.
    ///
    /// # Errors
    /// Pieces before the one that failed may be there, whatever the error says: begin again with an
    /// empty store.
    fn import(
        &self,
        incarnation: u64,
        pieces: Vec<Exported>,
    ) -> impl Future<Output = Result<(), AdminError>> + Send;

    /// Deletes a topic: its log, its head, and the keys of its appends. Whether there was one.
    ///
    /// Whoever uses the topic next makes it anew, with another epoch (PROTOCOL.md 7.1). A node that
    /// holds it finds out by news, or when it next looks at heads (`NodeConfig::heads_every`);
    /// until then it may still serve what it holds. Its subscribers are told of a gap of reason
    /// `epoch`, and so is a client that comes back later. What commands have published and is not
    /// in the log yet is appended to the new one.
    fn delete_topic(
        &self,
        topic: &TopicId,
    ) -> impl Future<Output = Result<bool, AdminError>> + Send;

    /// Ends every lease of a principal, and forgets the records, replies and ids of the
    /// application that are kept for it.
    ///
    /// A node that holds one of the leases finds out with its next operation on it, within seconds.
    /// Their clients learn that the outcome of what they had sent can't be known (PROTOCOL.md 5.1),
    /// and what runs for them commits nothing. A command with an id that was used before would run
    /// again. What the principal's commands have published belongs to topics: it is brought into
    /// their logs and stays there. Until then the store keeps the record, without its reply; of a
    /// lease that had ended before, with it.
    fn erase_principal(
        &self,
        principal: &PrincipalId,
    ) -> impl Future<Output = Result<Erased, AdminError>> + Send;

    /// Lets go of everything that has expired, and gives room back to the operating system as far
    /// as the store can. It may take seconds per gigabyte, in which operations wait.
    fn compact(&self) -> impl Future<Output = Result<(), AdminError>> + Send;

    /// How much there is. It is known without a look at everything, so it may be asked often.
    fn figures(&self) -> StoreFigures;

    /// The version of the form in which the store is kept. A store that finds a newer one than it
    /// knows must refuse to open it, and change nothing.
    fn format(&self) -> u32;
}

/// Which topics are listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TopicPage {
    /// Those whose keys begin so; all, if it is empty.
    pub key_prefix: String,
    /// Those behind this one, which need not be there any more; from the first one on if `None`.
    pub after: Option<TopicId>,
    /// At most so many.
    pub max: u32,
}

impl TopicPage {
    /// The first so many of all.
    #[must_use]
    pub const fn first(max: u32) -> Self {
        Self { key_prefix: String::new(), after: None, max }
    }

    /// Whether a topic is one of them, but for `max`.
    #[must_use]
    pub fn has(&self, topic: &TopicId) -> bool {
        let behind = self.after.as_ref().is_none_or(|after| topic > after);
        behind && topic.key.starts_with(&self.key_prefix)
    }
}

/// A topic, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListedTopic {
    /// Which.
    pub topic: TopicId,
    /// Where it stands.
    pub head: TopicHead,
    /// Bytes of its entries.
    pub bytes: u64,
    /// How much of it is kept, as nodes have said last.
    pub retention: Retention,
}

/// A page of a log, read backwards.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BackPage {
    /// Where the log stands.
    pub head: TopicHead,
    /// How much of it is kept, as nodes have said last.
    pub retention: Retention,
    /// Consecutive entries, the latest first.
    pub entries: Vec<AgedEntry>,
}

/// An entry, and how old it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AgedEntry {
    /// Milliseconds since it was appended; only time while the store is open counts.
    pub age_ms: u64,
    /// The entry.
    pub entry: LogEntry,
}

/// An id of the application that is in use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListedId {
    /// Which.
    pub id: MessageId,
    /// What it stands for.
    pub used: UsedId,
    /// Milliseconds for which it is kept from here on.
    pub keep_ms: u64,
}

impl ListedId {
    /// Bytes of the id, and of what it stands for.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.id.bytes() + self.used.outcome.said_bytes()
    }
}

/// A piece of what outlives a store's incarnation. Leases don't: their clients are told that
/// outcomes are unknown, as after a restored backup (PROTOCOL.md 5.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Exported {
    /// An id of the application.
    Id(ListedId),
    /// A topic, without its entries.
    Topic {
        /// Which.
        topic: TopicId,
        /// Where it stands.
        head: TopicHead,
        /// How much of it is kept.
        retention: Retention,
    },
    /// Entries of a topic that came before, the latest first. The first one is the topic's latest,
    /// or right below the last one that came before.
    Entries {
        /// Whose.
        topic: TopicId,
        /// At least one.
        entries: Vec<AgedEntry>,
    },
}

/// What was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Erased {
    /// Leases that were ended.
    pub leases: u64,
    /// Ids of the application that were forgotten.
    pub ids: u64,
}

impl Exported {
    /// Whether it can be a piece of a store at all. Where it belongs is for the store to say.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Topic { head, .. } if head.head.0 > MAX_SEQUENCE => {
                Err(format!("a head of {} is no number of an entry", head.head.0))
            }
            Self::Id(_) | Self::Topic { .. } => Ok(()),
            Self::Entries { topic, entries } => {
                for AgedEntry { entry, .. } in entries {
                    let (ts, bodies) = (entry.ts.0, &entry.bodies);
                    let another = |at: usize| bodies[..at].iter().any(|it| it.0 == bodies[at].0);
                    if !(1..=MAX_SEQUENCE).contains(&ts) {
                        return Err(format!("{ts} is no number of an entry"));
                    }
                    if bodies.is_empty() || (0..bodies.len()).any(another) {
                        let why = "needs one body in each codec";
                        return Err(format!("entry {ts} of {topic:?} {why}"));
                    }
                }
                Ok(())
            }
        }
    }
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct StoreFigures {
    /// Leases, ended ones that owe something included.
    pub leases: u64,
    /// Topics.
    pub topics: u64,
    /// Ids of the application.
    pub ids: u64,
    /// Bytes of replies.
    pub reply_bytes: u64,
    /// Bytes of these ids and of what they stand for.
    pub id_bytes: u64,
    /// Bytes of publications that are not in their logs yet.
    pub owed_bytes: u64,
    /// Bytes of the entries of all logs.
    pub log_bytes: u64,
}

/// Why an operator's call did not end well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// It certainly did not happen.
    #[error("the store did not do it: {0}")]
    Failed(String),
    /// It may have happened.
    #[error("the store may have done it: {0}")]
    Unknown(String),
}
