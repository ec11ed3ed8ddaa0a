//! The one abstraction of the model, put to the test: two states that count as one have futures
//! that look the same.

use std::collections::BTreeMap;

use stateright::Model as _;
use steadfast_model::fingerprint;
use steadfast_model::model::Model;
use steadfast_model::settings::{Budget, Settings};
use steadfast_model::state::State;

const NO_FAULT: Budget = Settings::CALM.budget;
/// Steps into the future.
const DEPTH: u32 = 3;

/// All of a state that can be seen without naming an id.
fn look(state: &State) -> String {
    let clients = state
        .clients
        .iter()
        .map(|slot| (slot.core.outbox(), slot.dialling, slot.to_submit, slot.readable));
    let nodes =
        state.nodes.iter().map(|slot| (slot.core.load(), slot.draining, slot.running.len()));
    let sockets = state.sockets.values().map(|socket| {
        (
            socket.client,
            socket.node,
            socket.client_open,
            socket.node_open,
            socket.up.len(),
            socket.down.len(),
        )
    });
    let (clients, nodes): (Vec<_>, Vec<_>) = (clients.collect(), nodes.collect());
    let sockets: Vec<_> = sockets.collect();
    format!(
        "{clients:?} {nodes:?} {sockets:?} {:?} {:?} {}",
        state.hints,
        state.budget,
        state.asked.len()
    )
}

/// What can be seen of a state and of all that may follow it.
fn future(model: &Model, state: &State, depth: u32) -> String {
    if depth == 0 {
        return look(state);
    }
    let mut futures: Vec<String> =
        model.next_states(state).iter().map(|next| future(model, next, depth - 1)).collect();
    futures.sort_unstable();
    format!("{} [{}]", look(state), futures.join(", "))
}

/// Goes every way to every state; says how many were reached under other names than at first.
fn renamings(settings: Settings) -> usize {
    let model = Model::new(settings);
    let mut known: BTreeMap<u64, State> = BTreeMap::new();
    let mut waiting = model.init_states();
    let mut renamed = 0;
    while let Some(state) = waiting.pop() {
        match known.get(&fingerprint::of(&state)) {
            None => {
                waiting.extend(model.next_states(&state));
                known.insert(fingerprint::of(&state), state);
            }
            Some(first) if *first != state => {
                renamed += 1;
                let [one, other] = [first, &state].map(|state| future(&model, state, DEPTH));
                assert_eq!(one, other, "{first:#?}\nand\n{state:#?}");
            }
            Some(_) => {}
        }
    }
    renamed
}

#[test]
fn states_that_count_as_one_have_the_same_future() {
    let commands = Settings { commands: 1, subscribed: false, publishes: &[], ..Settings::CALM };
    let renamed = [
        renamings(Settings { budget: Budget { cuts: 1, ..NO_FAULT }, ..commands.clone() }),
        renamings(Settings { budget: Budget { crashes: 1, ..NO_FAULT }, ..commands.clone() }),
        renamings(Settings { clients: 2, budget: Budget { lapses: 1, ..NO_FAULT }, ..commands }),
    ];
    assert!(renamed.iter().all(|count| *count > 0), "nothing was renamed: {renamed:?}");
}
