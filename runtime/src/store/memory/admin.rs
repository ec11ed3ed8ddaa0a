//! What an operator asks of a memory store. Nodes are told where that concerns what they hold.

use super::bytes::fitting;
use super::run::Run;
use super::shards::{Place, Places, Shards};
use crate::session::store::{MessageId, PrincipalId, TopicId};
use crate::store::admin::{
    AdminError, BackPage, Erased, Exported, ListedId, ListedTopic, TopicPage,
};
use crate::wire::TopicSeq;

impl<S: Shards> Run<'_, S> {
    /// Looks at one shard after the other.
    pub(super) fn list_topics(mut self, page: &TopicPage) -> Vec<ListedTopic> {
        let mut listed = Vec::new();
        for place in Places::all(S::SHARDS).iter() {
            listed.extend(
                self.with(Places::NONE, Places::one(place), |held| held.topics(place).list(page)),
            );
        }
        listed.sort_unstable_by(|a: &ListedTopic, b| a.topic.cmp(&b.topic));
        listed.truncate(page.max as usize);
        self.end();
        listed
    }

    pub(super) fn read_back(
        mut self,
        topic: &TopicId,
        before: Option<TopicSeq>,
        limits: (u32, u64),
    ) -> Option<BackPage> {
        let place = S::place_of_topic(topic);
        let page = self.with(Places::NONE, Places::one(place), |held| {
            let now = held.now();
            held.topics(place).read_back(now, topic, before, limits)
        });
        self.end();
        page
    }

    pub(super) fn list_ids(
        mut self,
        after: Option<&MessageId>,
        (max, max_bytes): (u32, u64),
    ) -> Vec<ListedId> {
        let mut listed = Vec::new();
        for place in Places::all(S::SHARDS).iter() {
            listed.extend(self.with(Places::one(place), Places::NONE, |held| {
                let now = held.now();
                held.people(place).ids.list(now, after, (max, max_bytes))
            }));
        }
        listed.sort_unstable_by(|a: &ListedId, b| a.id.cmp(&b.id));
        listed.truncate(fitting(listed.iter().map(ListedId::bytes), max, max_bytes));
        self.end();
        listed
    }

    pub(super) fn import(
        mut self,
        incarnation: u64,
        pieces: Vec<Exported>,
    ) -> Result<(), AdminError> {
        let put = pieces.into_iter().try_for_each(|piece| self.put(incarnation, piece));
        self.end();
        put
    }

    fn put(&mut self, incarnation: u64, piece: Exported) -> Result<(), AdminError> {
        piece.check().map_err(AdminError::Failed)?;
        let limits = self.limits;
        let put = match piece {
            Exported::Id(id) => {
                let place = S::place_of_principal(&id.id.principal);
                self.with(Places::one(place), Places::NONE, |held| {
                    let (now, all) = (held.now(), held.sums());
                    held.people(place).ids.import(now, id, &all, limits)
                })
            }
            Exported::Topic { topic, head, retention } => {
                let place = S::place_of_topic(&topic);
                self.with(Places::NONE, Places::one(place), |held| {
                    let (now, all) = (held.now(), held.sums());
                    let kept = (head, retention);
                    held.topics(place).import(now, topic, kept, incarnation, &all, limits)
                })
            }
            Exported::Entries { topic, entries } => {
                let place = S::place_of_topic(&topic);
                self.with(Places::NONE, Places::one(place), |held| {
                    let (now, all) = (held.now(), held.sums());
                    held.topics(place).import_entries(now, &topic, entries, &all, limits)
                })
            }
        };
        put.map_err(AdminError::Failed)
    }

    pub(super) fn delete_topic(mut self, topic: &TopicId) -> bool {
        let place = S::place_of_topic(topic);
        let deleted = self.with(Places::NONE, Places::one(place), |held| {
            let deleted = held.topics(place).delete(topic);
            if deleted {
                held.deleted(place, topic);
            }
            deleted
        });
        self.end();
        deleted
    }

    pub(super) fn erase_principal(mut self, principal: &PrincipalId) -> Erased {
        let (place, limits): (Place, _) = (S::place_of_principal(principal), self.limits);
        let erased = self.with(Places::one(place), Places::NONE, |held| {
            let now = held.now();
            let people = held.people(place);
            let leases = people.leases.end_all_of(now, principal, limits);
            Erased { leases, ids: people.ids.forget_all_of(principal) }
        });
        self.end();
        erased
    }

    pub(super) fn compact(mut self) {
        self.look_through();
        self.end();
    }
}
