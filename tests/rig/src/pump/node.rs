//! Taking a node core's outputs. Executions begin when nothing else is left, as with the driver,
//! which runs the application's code outside of its lock; then sockets take what there is, and that
//! is an input like any other.

use steadfast::session::Now;
use steadfast::session::node::{ExecId, Execution, Node, NodeEvent, Output};
use steadfast::session::store::{OpId, StoreOp, TopicId};

use super::{Endless, Pumped};

/// What has become of an execution when its first poll is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It has ended, and the core has been told.
    Ended,
    /// It goes on; the core is told when it ends.
    Pends,
}

/// What a harness does for a node core.
pub trait NodeHarness {
    /// The core, and what its clock reads.
    fn node(&mut self) -> (&mut Node, Now);

    /// Does it, or passes it on.
    fn event(&mut self, event: NodeEvent);

    /// Carries it out now, or later.
    fn store(&mut self, op: OpId, what: StoreOp);

    /// The store is told whether the node wants news of a topic.
    fn interest(&mut self, topic: TopicId, interested: bool) {
        let _ = (topic, interested);
    }

    /// Runs it now, or lets it pend.
    fn begin(&mut self, execution: Execution) -> Begun;

    /// Whether what was handed out ahead of its order may begin at all, this time. A driver may
    /// always give it back.
    fn takes_ahead(&mut self) -> bool {
        true
    }

    /// Sockets that were woken, and that take something now, take what there is; says whether one
    /// did.
    fn transmit(&mut self) -> bool;

    /// A planted mistake, for tests that want it found: the node is not asked again when sockets
    /// have taken something.
    fn forgets_to_poll(&self) -> bool {
        false
    }
}

struct HandedOut {
    execution: Execution,
    ahead: bool,
}

/// Takes outputs until there is none.
///
/// # Errors
/// When there is no end to them.
pub fn pump_node(harness: &mut impl NodeHarness) -> Result<Pumped, Endless> {
    let mut pumped = Pumped::default();
    let mut quiet = false;
    loop {
        let before = pumped.outputs;
        let executions = take_outputs(harness, &mut pumped)?;
        if !executions.is_empty() {
            begin_in_order(harness, executions, &mut pumped);
            quiet = false;
            continue;
        }
        if quiet && pumped.outputs == before {
            return Ok(pumped);
        }
        // A core that was asked and had no frame may want something done all the same: the close of
        // a connection to which nothing is owed.
        quiet = !harness.transmit();
        if !quiet {
            pumped.transmission()?;
        }
        if harness.forgets_to_poll() {
            return Ok(pumped);
        }
    }
}

/// Everything but executions is carried out at once. What was aborted before it has begun never
/// begins.
fn take_outputs(
    harness: &mut impl NodeHarness,
    pumped: &mut Pumped,
) -> Result<Vec<HandedOut>, Endless> {
    let mut executions: Vec<HandedOut> = Vec::new();
    loop {
        let (node, now) = harness.node();
        let Some(output) = node.poll_output(now) else { return Ok(executions) };
        pumped.output()?;
        match output {
            Output::Event(event) => {
                if let NodeEvent::Abort(exec) = event {
                    executions.retain(|it| it.execution.exec() != exec);
                }
                harness.event(event);
            }
            Output::Store(op, what) => harness.store(op, what),
            Output::Interest { topic, interested } => harness.interest(topic, interested),
            Output::Execute { execution, ahead } => {
                pumped.ahead += u32::from(ahead);
                executions.push(HandedOut { execution, ahead });
            }
        }
    }
}

/// What is ahead of its order begins only if what came before it has ended at once; else it goes
/// back.
fn begin_in_order(harness: &mut impl NodeHarness, executions: Vec<HandedOut>, pumped: &mut Pumped) {
    let takes_ahead = harness.takes_ahead();
    let mut held_up_by = None;
    let mut unbegun: Vec<(ExecId, Vec<Execution>)> = Vec::new();
    for HandedOut { execution, ahead } in executions {
        if let Some(before) = held_up_by.filter(|_| ahead) {
            match unbegun.last_mut().filter(|(same, _)| *same == before) {
                Some((_, list)) => list.push(execution),
                None => unbegun.push((before, vec![execution])),
            }
            continue;
        }
        let exec = execution.exec();
        let begun = harness.begin(execution);
        held_up_by = (begun == Begun::Pends || !takes_ahead).then_some(exec);
    }
    for (before, executions) in unbegun {
        pumped.given_back += 1;
        let (node, now) = harness.node();
        node.handle_unbegun(now, before, executions);
    }
}
