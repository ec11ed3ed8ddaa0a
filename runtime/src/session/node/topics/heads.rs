//! The look at the heads of what is followed: the backstop for news that was lost, and what keeps a
//! store from forgetting a quiet topic. What a log has beyond its head is read elsewhere.

use std::time::Duration;

use super::state::Topics;
use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::store::{TopicHead, TopicId};
use crate::wire::TopicNo;

impl Topics {
    /// Asks the store where topics stand whose time has come, a part of them at a time.
    pub(crate) fn look_at_heads(&mut self, now: Now, config: &NodeConfig, fx: &mut Effects) {
        if self.heads.under_way {
            return;
        }
        let mut looked_at = Vec::new();
        while looked_at.len() < config.heads_per_look as usize
            && let Some(number) = self.next_to_look_at(now, config)
        {
            // One that was missed may be gone by its turn.
            let Some(topic) = self.topics.get_mut(&number) else { continue };
            looked_at.push((number, topic.id.clone()));
            if let Some(touched) = topic.touched.as_mut() {
                self.followed.remove(&(*touched, number));
                self.followed.insert((now, number));
                *touched = now;
            }
        }
        if !looked_at.is_empty() {
            self.heads.under_way = true;
            fx.ask(Purpose::Heads(looked_at));
        }
    }

    fn next_to_look_at(&mut self, now: Now, config: &NodeConfig) -> Option<TopicNo> {
        let missed = self.heads.missed.pop_first();
        missed.or_else(|| {
            let (touched, number) = self.followed.first()?;
            (touched.after(every(config)) <= now).then_some(*number)
        })
    }

    /// When the next look is due.
    pub(super) fn next_heads(&self, config: &NodeConfig) -> Option<Now> {
        // Its answer brings the next one.
        let first = self.followed.first().filter(|_| !self.heads.under_way);
        first.map(|(touched, _)| touched.after(every(config)))
    }

    /// News may have been lost: everything that is followed is looked at, a part at a time. What
    /// nobody follows is opened anew when somebody does.
    pub(crate) fn look_at_everything(&mut self, now: Now, config: &NodeConfig, fx: &mut Effects) {
        while let Some((_, idle)) = self.idle.pop_first() {
            self.forget_topic(idle, fx);
        }
        self.heads.missed = self.topics.keys().copied().collect();
        self.look_at_heads(now, config, fx);
    }

    /// The store has told where topics stand, or does not tell.
    pub(crate) fn heads(
        &mut self,
        now: Now,
        topics: &[(TopicNo, TopicId)],
        heads: Vec<Option<TopicHead>>,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        self.heads.under_way = false;
        for ((number, _), head) in topics.iter().zip(heads) {
            // It may have been forgotten meanwhile, made anew under another number, or not be open
            // yet.
            let Some(topic) = self.topics.get(number) else { continue };
            let Some(epoch) = topic.epoch else { continue };
            match head {
                None => self.gone(*number, fx),
                Some(head) if head.epoch != epoch || head.head != topic.head() => {
                    self.read(*number, fx);
                }
                Some(_) => {}
            }
        }
        self.look_at_heads(now, config, fx);
    }
}

/// Not so often that a look brings the next one.
fn every(config: &NodeConfig) -> Duration {
    config.heads_every.max(Duration::from_millis(1))
}
