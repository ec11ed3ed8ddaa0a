//! What an operator asks of the store in a file. The writer does it, between its groups.

use steadfast::session::store::{MessageId, PrincipalId, TopicId};
use steadfast::store::{
    AdminError, BackPage, Erased, Exported, ListedId, ListedTopic, StoreAdmin, StoreFigures,
    TopicPage,
};
use steadfast::wire::TopicSeq;

use crate::file::FORMAT;
use crate::handle::LocalStore;
use crate::jobs::{Asked, Told};
use crate::metrics::LocalMetrics;

/// An answer to another question, which the writer never gives.
fn other<T>(told: Result<Told, AdminError>) -> Result<T, AdminError> {
    told.and_then(|_| {
        debug_assert!(false, "the writer answers what it was asked");
        Err(AdminError::Unknown("the writer has answered something else".to_owned()))
    })
}

/// What was deleted or erased is so on the disk when it is answered; its bytes stay in the file
/// until they are overwritten or the file is compacted, and in copies that were made before.
/// Compacting takes as much room again on the disk while it runs.
impl StoreAdmin for LocalStore {
    async fn list_topics(&self, page: TopicPage) -> Result<Vec<ListedTopic>, AdminError> {
        match self.inner.ask_writer(Asked::List(page)).await {
            Ok(Told::Listed(listed)) => Ok(listed),
            told => other(told),
        }
    }

    async fn read_back(
        &self,
        topic: &TopicId,
        before: Option<TopicSeq>,
        max: u32,
        max_bytes: u64,
    ) -> Result<Option<BackPage>, AdminError> {
        let topic = topic.clone();
        match self.inner.ask_writer(Asked::ReadBack { topic, before, max, max_bytes }).await {
            Ok(Told::Page(page)) => Ok(page),
            told => other(told),
        }
    }

    async fn list_ids(
        &self,
        after: Option<MessageId>,
        max: u32,
    ) -> Result<Vec<ListedId>, AdminError> {
        match self.inner.ask_writer(Asked::Ids { after, max }).await {
            Ok(Told::Ids(listed)) => Ok(listed),
            told => other(told),
        }
    }

    async fn restore(&self, incarnation: u64, pieces: Vec<Exported>) -> Result<(), AdminError> {
        match self.inner.ask_writer(Asked::Restore { incarnation, pieces }).await {
            Ok(Told::Restored) => Ok(()),
            told => other(told),
        }
    }

    async fn delete_topic(&self, topic: &TopicId) -> Result<bool, AdminError> {
        match self.inner.ask_writer(Asked::Delete(topic.clone())).await {
            Ok(Told::Deleted(deleted)) => Ok(deleted),
            told => other(told),
        }
    }

    async fn erase_principal(&self, principal: &PrincipalId) -> Result<Erased, AdminError> {
        match self.inner.ask_writer(Asked::Erase(principal.clone())).await {
            Ok(Told::Erased(erased)) => Ok(erased),
            told => other(told),
        }
    }

    async fn compact(&self) -> Result<(), AdminError> {
        match self.inner.ask_writer(Asked::Compact).await {
            Ok(Told::Compacted) => Ok(()),
            told => other(told),
        }
    }

    fn figures(&self) -> StoreFigures {
        let LocalMetrics {
            leases, topics, ids, reply_bytes, id_bytes, owed_bytes, log_bytes, ..
        } = self.metrics();
        let mut figures = StoreFigures::default();
        (figures.leases, figures.topics, figures.ids) = (leases, topics, ids);
        (figures.reply_bytes, figures.id_bytes) = (reply_bytes, id_bytes);
        (figures.owed_bytes, figures.log_bytes) = (owed_bytes, log_bytes);
        figures
    }

    fn format(&self) -> u32 {
        u32::try_from(FORMAT).unwrap_or(u32::MAX)
    }
}
