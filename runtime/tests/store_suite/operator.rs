//! What an operator may ask: the memory store keeps each rule, and a store with a mistake in it is
//! told by the name of the rule that it breaks.

use std::collections::BTreeSet;

use steadfast::session::store::{
    MessageId, News, OpId, PrincipalId, StoreOp, StoreOutcome, TopicId,
};
use steadfast::store::suite::{self, Report, Way};
use steadfast::store::{
    AdminError, BackPage, Erased, Exported, ListedId, ListedTopic, MemoryStore, Store, StoreAdmin,
    StoreFigures, TopicPage,
};
use steadfast::wire::TopicSeq;

use super::memory;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    ListsBackwards,
    ReadsForwards,
    ReadsBeyondItsBytes,
    DeletesNothing,
    ErasesNothing,
    ErasesBobToo,
    CompactsTopics,
    CountsNothing,
    ListsTextsBackwards,
    ImportsNoIds,
    ImportsTheLatestAlone,
    ImportsOver,
}

/// Each with the cases that have to find it, and no others.
const MISTAKES: &[(Mistake, &[&str])] = &[
    (Mistake::ListsBackwards, &["topics are listed in order, page by page"]),
    (
        Mistake::ReadsForwards,
        &[
            "a log is read from its end",
            "an imported topic is read as it was, under another epoch",
            "what is there already is not imported over",
        ],
    ),
    (Mistake::ReadsBeyondItsBytes, &["a log is read from its end"]),
    (
        Mistake::DeletesNothing,
        &[
            "a deleted topic begins anew with another epoch",
            "what is owed to a deleted topic is appended to the new one",
        ],
    ),
    (
        Mistake::ErasesNothing,
        &[
            "an erased principal has no lease and no id",
            "what an erased principal owes arrives without its replies",
        ],
    ),
    (Mistake::ErasesBobToo, &["an erased principal has no lease and no id"]),
    (Mistake::CompactsTopics, &["compacting changes nothing that can be asked for"]),
    (Mistake::CountsNothing, &["figures follow what is stored"]),
    (Mistake::ListsTextsBackwards, &["ids are listed in order, page by page"]),
    (
        Mistake::ImportsNoIds,
        &["an imported id is found", "what is there already is not imported over"],
    ),
    (
        Mistake::ImportsTheLatestAlone,
        &[
            "an imported topic is read as it was, under another epoch",
            "what is there already is not imported over",
        ],
    ),
    (Mistake::ImportsOver, &["what is there already is not imported over"]),
];

struct Wrong {
    store: MemoryStore,
    mistake: Mistake,
}

impl Wrong {
    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }
}

impl Store for Wrong {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        self.store.execute(batch).await
    }

    async fn news(&self) -> News {
        self.store.news().await
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.store.interest(topic, interested);
    }
}

impl StoreAdmin for Wrong {
    async fn list_topics(&self, page: TopicPage) -> Result<Vec<ListedTopic>, AdminError> {
        let mut listed = self.store.list_topics(page).await?;
        if self.is(Mistake::ListsBackwards) {
            listed.reverse();
        }
        Ok(listed)
    }

    async fn read_back(
        &self,
        topic: &TopicId,
        before: Option<TopicSeq>,
        max: u32,
        max_bytes: u64,
    ) -> Result<Option<BackPage>, AdminError> {
        let beyond = self.is(Mistake::ReadsBeyondItsBytes);
        let max_bytes = if beyond { u64::MAX } else { max_bytes };
        let mut page = self.store.read_back(topic, before, max, max_bytes).await?;
        if let Some(page) = page.as_mut().filter(|_| self.is(Mistake::ReadsForwards)) {
            page.entries.reverse();
        }
        Ok(page)
    }

    async fn list_ids(
        &self,
        after: Option<MessageId>,
        max: u32,
        max_bytes: u64,
    ) -> Result<Vec<ListedId>, AdminError> {
        let mut listed = self.store.list_ids(after, max, max_bytes).await?;
        if self.is(Mistake::ListsTextsBackwards) {
            listed.reverse();
        }
        Ok(listed)
    }

    async fn import(&self, incarnation: u64, mut pieces: Vec<Exported>) -> Result<(), AdminError> {
        if self.is(Mistake::ImportsNoIds) {
            pieces.retain(|piece| !matches!(piece, Exported::Id(_)));
        }
        for piece in &mut pieces {
            match piece {
                Exported::Entries { entries, .. } if self.is(Mistake::ImportsTheLatestAlone) => {
                    entries.truncate(1);
                }
                Exported::Topic { topic, .. } if self.is(Mistake::ImportsOver) => {
                    self.store.delete_topic(topic).await?;
                }
                _ => {}
            }
        }
        self.store.import(incarnation, pieces).await
    }

    async fn delete_topic(&self, topic: &TopicId) -> Result<bool, AdminError> {
        match self.is(Mistake::DeletesNothing) {
            true => Ok(self.store.read_back(topic, None, 0, 0).await?.is_some()),
            false => self.store.delete_topic(topic).await,
        }
    }

    async fn erase_principal(&self, principal: &PrincipalId) -> Result<Erased, AdminError> {
        if self.is(Mistake::ErasesNothing) {
            return Ok(Erased { leases: 2, ids: 1 });
        }
        if self.is(Mistake::ErasesBobToo) {
            self.store.erase_principal(&principal.replace("ann", "bob").into()).await?;
        }
        self.store.erase_principal(principal).await
    }

    async fn compact(&self) -> Result<(), AdminError> {
        if self.is(Mistake::CompactsTopics) {
            for listed in self.store.list_topics(TopicPage::first(100)).await? {
                self.store.delete_topic(&listed.topic).await?;
            }
        }
        self.store.compact().await
    }

    fn figures(&self) -> StoreFigures {
        match self.is(Mistake::CountsNothing) {
            true => StoreFigures::default(),
            false => self.store.figures(),
        }
    }

    fn format(&self) -> u32 {
        self.store.format()
    }
}

fn in_order(report: &Report) -> BTreeSet<&'static str> {
    let findings = report.findings.iter().filter(|finding| finding.way == Way::InOrder);
    findings.map(|finding| finding.case).collect()
}

#[tokio::test]
async fn the_memory_store_keeps_every_rule_of_its_operator() {
    let report = suite::run_admin(memory).await;
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn a_store_that_is_wrong_for_its_operator_is_told_by_the_rule() {
    for (mistake, rules) in MISTAKES {
        let fresh = || async { Wrong { store: memory().await, mistake: *mistake } };
        let report = suite::run_admin(fresh).await;
        let rules: BTreeSet<_> = rules.iter().copied().collect();
        assert_eq!(in_order(&report), rules, "{mistake:?}: {report}");
    }
}
