//! HTTP answers to an upgrade, and what a client does about them: the table of PROTOCOL.md 2.1 once
//! more, by a naive hand.

use steadfast::session::Now;
use steadfast::session::client::{ClientConfig, ConnectionState, DialReason, HttpRefusal};
use steadfast_rig::Rule;

use super::Checkers;

const RULE: Rule = Rule::RefusedUpgradeIsAnswered;

/// What a client must do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Nothing ever again.
    Stop,
    /// Dial within this time.
    Dial { earliest: Now, latest: Now, new_credentials: bool },
}

fn expected(known: bool, now: Now, refusal: &HttpRefusal, config: &ClientConfig) -> Reaction {
    let backs_off = |asked_ms: Option<u64>, new_credentials| {
        let asked_ms = asked_ms.map(|ms| ms.min(config.retry_after_cap.as_millis() as u64));
        let backoff = &config.backoff;
        let most_ms = match asked_ms {
            Some(ms) => ms + backoff.base.as_millis() as u64,
            None => backoff.cap.as_millis() as u64,
        };
        Reaction::Dial {
            earliest: now.after_ms(asked_ms.unwrap_or(0)),
            latest: now.after_ms(most_ms),
            new_credentials,
        }
    };
    match refusal.status {
        Some(401) => backs_off(None, true),
        Some(403) => Reaction::Stop,
        Some(408 | 425 | 429) => backs_off(refusal.retry_after_ms, false),
        Some(status) if status / 100 == 5 || known => backs_off(refusal.retry_after_ms, false),
        Some(_) => Reaction::Stop,
        None if refusal.subprotocol_changed => Reaction::Stop,
        None => backs_off(refusal.retry_after_ms, false),
    }
}

impl Checkers {
    /// A client, whose clock says `now`, hears that its upgrade was answered so; says whether it
    /// has to stop.
    pub fn upgrade_is_refused(
        &mut self,
        process: u64,
        now: Now,
        refusal: &HttpRefusal,
        config: &ClientConfig,
    ) -> bool {
        let reaction = expected(self.was_connected(process), now, refusal, config);
        self.refusals.insert(process, reaction);
        self.dial_was_refused(process);
        self.sometimes.count(match reaction {
            Reaction::Stop => "upgrade refused for good",
            Reaction::Dial { new_credentials: true, .. } => "upgrade refused until credentials",
            Reaction::Dial { .. } => "upgrade refused for now",
        });
        if reaction == Reaction::Stop {
            self.client_closed(process);
        }
        reaction == Reaction::Stop
    }

    /// Whether a client may give up: a server said that it has to.
    pub(super) fn must_stop(&self, process: u64) -> bool {
        self.refusals.get(&process) == Some(&Reaction::Stop)
    }

    /// Until when a client that was refused has to dial.
    pub(super) fn dials_until(&self, process: u64) -> Option<Now> {
        match self.refusals.get(&process) {
            Some(Reaction::Dial { latest, .. }) => Some(*latest),
            _ => None,
        }
    }

    /// After each step: a client that was refused has reacted.
    pub fn a_refused_upgrade_is_answered(&mut self, process: u64, state: &ConnectionState) {
        let Some(reaction) = self.refusals.get(&process).copied() else { return };
        let holds = match (reaction, state) {
            (_, ConnectionState::Closed) => true,
            (Reaction::Stop, ConnectionState::Failed { .. }) => true,
            (Reaction::Stop, _) | (Reaction::Dial { .. }, ConnectionState::Failed { .. }) => false,
            (
                Reaction::Dial { earliest, latest, .. },
                ConnectionState::Reconnecting { next_dial: Some(at), .. },
            ) => (earliest..=latest).contains(at),
            (Reaction::Dial { .. }, _) => true,
        };
        self.require(holds, RULE, || format!("process {process}: {reaction:?}, is {state:?}"));
    }

    /// A client, whose clock says `now`, asks for a socket.
    pub fn dials_after_a_refusal(&mut self, process: u64, now: Now, reason: &DialReason) {
        let Some(reaction) = self.refusals.remove(&process) else { return };
        let Reaction::Dial { earliest, new_credentials, .. } = reaction else {
            return self.require(false, RULE, || format!("process {process} dials, {reaction:?}"));
        };
        let asks = *reason == DialReason::Refused;
        self.require(now >= earliest && asks == new_credentials, RULE, || {
            format!("process {process} dials at {now:?} for {reason:?}, {reaction:?}")
        });
    }

    /// The application wants to dial at once.
    pub fn wants_to_dial_at_once(&mut self, process: u64) {
        if let Some(Reaction::Dial { earliest, latest, .. }) = self.refusals.get_mut(&process) {
            (*earliest, *latest) = (Now(0), Now(u64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn judged(status: u16, at: u64, reason: DialReason) -> bool {
        let plan = Plan::calm();
        let mut checkers = Checkers::new(&plan);
        let refusal = HttpRefusal {
            status: Some(status),
            retry_after_ms: Some(500),
            subprotocol_changed: false,
            reason: "a test".into(),
        };
        checkers.upgrade_is_refused(1, Now(100), &refusal, &plan.client);
        checkers.dials_after_a_refusal(1, Now(at), &reason);
        !checkers.violated()
    }

    #[test]
    fn a_client_that_comes_too_early_or_without_a_reason_is_found() {
        assert!(judged(503, 600, DialReason::Reconnect));
        assert!(!judged(503, 599, DialReason::Reconnect), "too early");
        assert!(judged(401, 100, DialReason::Refused));
        assert!(!judged(401, 100, DialReason::Reconnect), "with the credentials that were refused");
        assert!(!judged(403, 600, DialReason::Reconnect), "at all");
        assert!(!judged(404, 600, DialReason::Reconnect), "there was never a server");
    }
}
