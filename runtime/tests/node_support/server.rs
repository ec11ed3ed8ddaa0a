//! What handlers and the store answer when the test says so.

use steadfast::session::node::{Executed, Execution, StagedPublish};
use steadfast::session::store::{
    Advanced, Decided, DecisionId, News, Outcome, Publication, StoreOp, StoreOutcome, TopicId,
};
use steadfast::wire::Position;
use steadfast_rig::fixtures::{self, body};

use super::{Bench, publication};

impl Bench {
    /// The numbers of the commands that were handed out and not answered.
    pub fn running(&self) -> Vec<u64> {
        let number = |execution: &Execution| match execution {
            Execution::Command { n, .. } => Some(n.0),
            _ => None,
        };
        self.executions.iter().filter_map(number).collect()
    }

    /// Takes an execution of a command out of those that run.
    pub fn started(&mut self, n: u64) -> Execution {
        let is = |execution: &Execution| match execution {
            Execution::Command { n: of, .. } => of.0 == n,
            _ => false,
        };
        let at = self.executions.iter().position(is).unwrap_or_else(|| panic!("{n} does not run"));
        self.executions.remove(at).unwrap()
    }

    pub fn executed(&mut self, execution: &Execution, executed: Executed) {
        self.act(|node, now| node.handle_executed(now, execution.exec(), executed));
    }

    pub fn finish(&mut self, n: u64) {
        self.finish_with(n, Outcome::Ok(body(format!("{{\"done\":{n}}}"))), Vec::new());
    }

    pub fn finish_with(&mut self, n: u64, outcome: Outcome, publishes: Vec<StagedPublish>) {
        let execution = self.started(n);
        self.executed(&execution, Executed::Command { outcome, publishes });
    }

    pub fn publish(&mut self, topic: &TopicId, text: impl std::fmt::Display) {
        let publication = publication(topic.clone(), text);
        self.act(|node, now| node.publish(now, publication));
    }

    /// Another node has appended: a hint without entries.
    pub fn hint(&mut self, topic: &TopicId, head: Position) {
        let advanced = Advanced { topic: topic.clone(), head, entries: Vec::new() };
        let news = News::Advanced(vec![advanced]);
        self.act(|node, now| node.handle_news(now, news));
    }

    /// Answers the state hook that runs.
    pub fn snapshot(&mut self, text: Option<&str>) {
        let at = self
            .executions
            .iter()
            .position(|execution| matches!(execution, Execution::Snapshot { .. }));
        let execution = self.executions.remove(at.expect("a state hook runs")).unwrap();
        let state = text.map_or(Executed::Snapshot(None), |text| fixtures::state(body(text)));
        self.executed(&execution, state);
    }

    /// Answers the oldest operation that waits.
    pub fn outcome(&mut self, outcome: StoreOutcome) {
        let (op, _) = self.ops.pop_front().expect("an operation waits");
        self.act(|node, now| node.handle_store(now, op, outcome));
    }

    /// The commit that was asked for first is written without being settled.
    pub fn written_unsettled(&mut self) {
        let StoreOp::Commit { lease, low, mut commits } = self.ops[0].1.clone() else { panic!() };
        commits.iter_mut().for_each(|commit| commit.settle = false);
        let written = self.store.apply(self.now, StoreOp::Commit { lease, low, commits });
        self.outcome(written);
    }

    /// Carries an operation out, and what it decides with it.
    pub fn carry_out(&mut self, what: StoreOp) -> StoreOutcome {
        let decisions = &mut self.decisions;
        let mut decide = |id: DecisionId| {
            let (decided, asked) = decisions.get_mut(&id).expect("what decides is there");
            *asked += 1;
            decided.clone()
        };
        self.store.apply_deciding(self.now, what, &mut decide)
    }

    /// A handler ends and leaves its outcome to the store, which will find this.
    pub fn decides(&mut self, n: u64, outcome: Outcome, publishes: Vec<Publication>) -> DecisionId {
        let execution = self.started(n);
        let id = DecisionId(execution.exec().0);
        self.decisions.insert(id, (Decided { outcome, publishes }, 0));
        self.executed(&execution, Executed::Decides);
        id
    }

    /// Carries the oldest operation out, and tells.
    pub fn store_one(&mut self) {
        let (op, what) = self.ops.pop_front().expect("an operation waits");
        let outcome = self.carry_out(what);
        self.act(|node, now| node.handle_store(now, op, outcome));
    }

    pub fn store_all(&mut self) {
        while !self.ops.is_empty() {
            self.store_one();
        }
    }
}
