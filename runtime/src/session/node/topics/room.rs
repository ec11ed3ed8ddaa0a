//! What all topics hold of their logs together, and who gives something up when that is too much.
//! How much each may hold for itself is not said here.

use super::state::Topics;
use super::topic::Topic;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::Effects;
use crate::wire::TopicNo;

impl Topics {
    /// Does something after which a topic may hold more or less; `bytes` are those of all.
    pub(super) fn weighing<R>(
        bytes: &mut u64,
        topic: &mut Topic,
        act: impl FnOnce(&mut Topic) -> R,
    ) -> R {
        let before = topic.weight();
        let value = act(topic);
        *bytes = *bytes + topic.weight() - before;
        value
    }

    /// Makes room if all topics together hold too much: first those that nobody follows are
    /// forgotten, idle longest first, except `present`, which is being looked at. Then those that
    /// hold most give up their oldest entries, all down to the same number of bytes. Whoever still
    /// needed them has a gap. It looks at every topic, so an eighth more than must go goes.
    pub(super) fn keep_within_all(
        &mut self,
        present: TopicNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let limit = config.topics_bytes;
        if self.bytes <= limit {
            return;
        }
        let enough = limit - limit / 8;
        let holds = |number: &TopicNo| self.topics.get(number).is_some_and(|it| it.weight() > 0);
        let idle = self.idle.iter().filter(|(_, number)| *number != present && holds(number));
        for (since, number) in idle.copied().collect::<Vec<_>>() {
            if self.bytes <= enough {
                return;
            }
            self.idle.remove(&(since, number));
            self.forget_topic(number, fx);
        }
        if self.bytes > enough {
            self.lower_all(enough, fx);
        }
    }

    fn lower_all(&mut self, enough: u64, fx: &mut Effects) {
        let level = level(self.topics.values().map(Topic::weight).collect(), enough);
        let mut behind = Vec::new();
        for (number, topic) in self.topics.iter_mut().filter(|(_, it)| it.weight() > level) {
            if Self::weighing(&mut self.bytes, topic, |topic| topic.lower(level)) {
                topic.wait_no_more(*number, fx);
                behind.push(*number);
            }
        }
        behind.into_iter().for_each(|number| self.read(number, fx));
    }
}

/// How much each may hold, so that all together hold no more than `all`: those that hold less keep
/// it, and the others have the same.
fn level(mut held: Vec<u64>, all: u64) -> u64 {
    held.sort_unstable();
    let (mut left, mut others) = (all, held.len() as u64);
    for bytes in held {
        let share = left / others;
        if bytes > share {
            return share;
        }
        (left, others) = (left - bytes, others - 1);
    }
    u64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_hold_most_come_down_to_one_level() {
        assert_eq!(level(vec![5, 100, 40, 60], 120), 38, "5 and three times 38");
        assert_eq!(level(vec![5, 100, 10, 60], 120), 52);
        assert_eq!(level(vec![50, 50], 100), u64::MAX, "nothing has to go");
        assert_eq!(level(vec![1, 1, 1], 2), 0);
    }
}
