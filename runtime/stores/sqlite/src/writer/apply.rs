//! Which operation is carried out by what. Whether it stays is the group's to say.

use steadfast::session::store::{Commit, CommitOutcome, StoreOp, StoreOutcome, TopicId};

use super::decide::{Decider, Stopped};
use super::kept::Tables;
use super::leases::Wanted;
use crate::read;
use crate::rows::Sql;

impl Tables<'_, '_> {
    /// Lets go of what has expired. It is done once per group.
    pub(super) fn expire(&mut self) -> Sql<()> {
        self.expire_leases()?;
        self.expire_topics()?;
        self.expire_ids()?;
        self.forget_direct_keys()
    }

    /// Carries out an operation. An error says that the tables are not what they should be, and
    /// that the group has to be undone, or that a decision has undone it.
    pub(super) fn apply(
        &mut self,
        op: &StoreOp,
        decider: Decider<'_>,
    ) -> Result<StoreOutcome, Stopped> {
        let outcome: Sql<StoreOutcome> = match op {
            StoreOp::OpenLease {
                id,
                as_of,
                holder,
                principal,
                codec,
                ttl_ms,
                unused_ttl_ms,
                max_per_principal,
                held_ms,
            } => self.open_lease(&Wanted {
                id: *id,
                as_of: *as_of,
                holder: *holder,
                principal,
                codec: *codec,
                ttl_ms: *ttl_ms,
                unused_ttl_ms: *unused_ttl_ms,
                max_per_principal: *max_per_principal,
                held_ms: *held_ms,
            }),
            StoreOp::ClaimLease { id, holder, principal, codec, low } => {
                self.claim_lease(*id, *holder, (principal, *codec), *low)
            }
            StoreOp::RenewLease { id, generation, held, low } => {
                self.renew_lease(*id, *generation, *held, *low)
            }
            StoreOp::EndLease { id } => {
                self.end_lease(*id)?;
                Ok(StoreOutcome::Done)
            }
            StoreOp::Commit { lease, low, commits } => {
                let outcome = self.commit(*lease, *low, commits, decider)?;
                if let Some(last) = last_published(commits, &outcome) {
                    self.keep_topics_within(last)?;
                }
                Ok(outcome)
            }
            StoreOp::FindId { id, max_per_principal, max_bytes_per_principal } => {
                self.find_id(id, *max_per_principal, *max_bytes_per_principal)
            }
            StoreOp::Settle { records } => {
                for (lease, n) in records {
                    self.settle(*lease, *n)?;
                }
                Ok(StoreOutcome::Done)
            }
            StoreOp::Append { topic, appends, retention, fresh_epoch } => {
                let outcome = self.append(topic, appends, *retention, *fresh_epoch)?;
                self.keep_topics_within(topic)?;
                Ok(outcome)
            }
            StoreOp::OpenTopic { topic, fresh_epoch, retention } => {
                let head = self.open_topic(topic, *fresh_epoch, *retention)?;
                self.keep_topics_within(topic)?;
                Ok(StoreOutcome::Topic(head))
            }
            StoreOp::Heads { topics } => {
                let heads = topics.iter().map(|topic| self.look(topic));
                heads.collect::<Sql<_>>().map(StoreOutcome::Heads)
            }
            StoreOp::ListUnsettled { .. } => read::read(self.db, self.now, op),
            StoreOp::ReadLog { topic, .. } => {
                // The tables have to say what the writer knows.
                self.write_out(topic)?;
                read::read(self.db, self.now, op)
            }
        };
        Ok(outcome?)
    }
}

/// The topic to which a commit has published last.
fn last_published<'a>(commits: &'a [Commit], outcome: &'a StoreOutcome) -> Option<&'a TopicId> {
    let decided = match outcome {
        StoreOutcome::Committed { outcomes, .. } => &outcomes[..],
        _ => &[],
    };
    let decided = decided.iter().filter_map(|(_, outcome)| match outcome {
        CommitOutcome::Decided { decided, .. } => Some(&decided.publishes),
        _ => None,
    });
    let known = commits.iter().map(|commit| &commit.record.publishes);
    known.chain(decided).flatten().next_back().map(|publication| &publication.topic)
}
