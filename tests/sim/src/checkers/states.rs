//! The client's state machine from outside: only legal edges, each change told once, nothing after
//! the end.

use steadfast::session::Now;
use steadfast::session::client::ConnectionState;
use steadfast_rig::Rule;

use super::Checkers;

/// Whether one state may follow another.
fn is_edge(from: &ConnectionState, to: &ConnectionState) -> bool {
    use ConnectionState::{Closed, Connected, Connecting, Disconnected, Failed, Reconnecting};
    match (from, to) {
        (Closed | Failed { .. }, _) | (_, Disconnected) => false,
        (_, Failed { .. } | Closed) => true,
        (Disconnected, Connecting { attempt }) => *attempt == 1,
        (Connecting { attempt: before }, Connecting { attempt }) => *attempt == before + 1,
        (Connecting { .. }, Connected { resumed, .. }) => !resumed,
        (Connected { since: connected, .. }, Reconnecting { next_dial, since, .. }) => {
            since >= connected && next_dial.is_some()
        }
        (Reconnecting { .. }, Connected { .. }) => true,
        // The same loss; the next dial begins, or it has failed and another one has its time.
        (
            Reconnecting { attempt: before, since: lost, next_dial: waiting, .. },
            Reconnecting { attempt, since, next_dial, .. },
        ) => {
            let counts = if waiting.is_some() { attempt == before } else { *attempt == before + 1 };
            counts && since == lost && waiting.is_some() != next_dial.is_some()
        }
        (Disconnected, Connected { .. } | Reconnecting { .. })
        | (Connecting { .. }, Reconnecting { .. })
        | (Connected { .. }, Connecting { .. } | Connected { .. })
        | (Reconnecting { .. }, Connecting { .. }) => false,
    }
}

impl Checkers {
    /// A client's state is another one.
    pub fn client_state(&mut self, process: u64, now: Now, state: &ConnectionState) {
        let before =
            self.states.insert(process, state.clone()).unwrap_or(ConnectionState::Disconnected);
        self.require(is_edge(&before, state), Rule::LegalEdges, || {
            format!("process {process}: {before:?}, then {state:?}")
        });
        self.dials_when_it_should(process, now, state);
        self.state_promises(process, now, state);
        if let ConnectionState::Failed { reason } = state {
            self.require(self.must_stop(process), Rule::NoClientGivesUp, || {
                format!("process {process} failed: {reason}")
            });
        }
    }

    /// What a client says that it is, it has told.
    pub fn states_are_told(&mut self, process: u64, state: &ConnectionState) {
        let told = self.states.get(&process).unwrap_or(&ConnectionState::Disconnected);
        if told != state {
            let told = told.clone();
            self.require(false, Rule::StatesAreTold, || {
                format!("process {process} told {told:?} and is {state:?}")
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;
    use steadfast::session::Close;

    fn lost(attempt: u32, next_dial: Option<Now>) -> ConnectionState {
        ConnectionState::Reconnecting {
            attempt,
            next_dial,
            since: Now(5),
            reason: Close::lost("a test"),
        }
    }

    fn is_legal(states: &[ConnectionState]) -> bool {
        let mut checkers = Checkers::new(&Plan::calm());
        states.iter().for_each(|state| checkers.client_state(1, Now(0), state));
        !checkers.violated()
    }

    #[test]
    fn illegal_edges_are_found() {
        let (dialling, there) = (
            ConnectionState::Connecting { attempt: 1 },
            ConnectionState::Connected { resumed: false, since: Now(1) },
        );
        let began = [dialling.clone(), there.clone()];
        assert!(is_legal(
            &[&began[..], &[lost(1, Some(Now(9))), lost(1, None), lost(2, Some(Now(20)))]].concat()
        ));
        assert!(is_legal(&[&began[..], &[ConnectionState::Closed]].concat()));
        assert!(!is_legal(std::slice::from_ref(&there)), "connected without a dial");
        assert!(!is_legal(&[dialling.clone(), lost(1, None)]), "lost what it never had");
        assert!(
            !is_legal(&[&began[..], &[dialling]].concat()),
            "connected, then as if for the first time"
        );
        assert!(
            !is_legal(&[&began[..], &[lost(1, Some(Now(9))), lost(1, Some(Now(9)))]].concat()),
            "no dial between"
        );
        assert!(!is_legal(&[ConnectionState::Closed, there]), "back from the end");
    }
}
