//! The model as the checker sees it: initial state, actions, successors, properties.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use steadfast::session::client::ClientConfig;
use steadfast::session::node::NodeConfig;
use steadfast::store::{MemoryLimits, MemoryState};
use steadfast::wire::Epoch;
use steadfast_rig::Rule;

use crate::action::Action;
use crate::ledger::{self, Ledger};
use crate::marks::Marks;
use crate::settings::{NEVER, Settings};
use crate::state::State;
use crate::world::World;

/// A configuration, ready to be explored.
#[derive(Debug)]
pub struct Model {
    pub(crate) settings: Settings,
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) node: Arc<NodeConfig>,
    /// What was reached, shared by all threads of a checker.
    pub(crate) marks: Arc<Marks>,
}

impl Model {
    /// A model of a configuration.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let (client, node) = (Arc::new(settings.client()), Arc::new(settings.node()));
        Self { settings, client, node, marks: Arc::default() }
    }

    pub(crate) fn empty_store() -> Arc<MemoryState> {
        let mut limits = MemoryLimits::default();
        (limits.topic_memory, limits.owed, limits.ended_memory) = (NEVER, NEVER, NEVER);
        Arc::new(MemoryState::new(limits))
    }

    /// The state in which every node has started and every client dials.
    #[must_use]
    pub fn start(&self) -> State {
        let state = State {
            clients: Vec::new(),
            nodes: Vec::new(),
            store: Self::empty_store(),
            epoch: Epoch(1),
            asked: Vec::new(),
            sockets: BTreeMap::new(),
            hints: BTreeMap::new(),
            rolled: BTreeSet::new(),
            ledger: Arc::new(Ledger::new(self.settings.one_id)),
            budget: self.settings.budget,
            started: 0,
        };
        World::new(self, state).begin()
    }

    /// The state after an action, at rest or with a broken rule noted.
    #[must_use]
    pub fn after(&self, state: &State, action: Action) -> State {
        let mut next = World::new(self, state.clone()).act(action);
        if next.ledger.broken().is_none() {
            self.look(&mut next);
        }
        next
    }

    /// What must hold between any two actions.
    fn look(&self, state: &mut State) {
        let mut actions = Vec::new();
        self.progress(state, &mut actions);
        let resting = actions.is_empty();
        for at in 0..state.clients.len() {
            let slot = &state.clients[at];
            let (process, held, follows) = (slot.process, slot.core.outbox().0, slot.sub.is_some());
            let rests = state.ledger.is_resolved(process)
                && (!follows || state.ledger.has_read_everything(process));
            let ledger = Arc::make_mut(&mut state.ledger);
            ledger.outbox_is(process, held);
            ledger.require(!resting || rests, Rule::ComesToRest, || {
                format!("{process:?} waits for ever")
            });
        }
    }
}

impl stateright::Model for Model {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.ledger.broken().is_some() {
            return;
        }
        if let Some(delivery) = self.lone_delivery(state) {
            actions.push(delivery);
        } else {
            self.progress(state, actions);
            self.initiatives(state, actions);
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        Some(self.after(state, action))
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        ledger::properties()
    }
}
