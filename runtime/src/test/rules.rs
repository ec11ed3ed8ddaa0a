//! What a line does to what passes along it, and the traps that wait for a message. It carries
//! nothing.

use std::future::pending;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::fault::Fault;
use super::frames::SaidKind;
use super::links::LineNo;
use super::shared::lock;
use super::way::{Side, Way};
use crate::host;

/// What a dial is answered instead of being carried to its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Nobody listens: the connection is refused.
    Unreachable,
    /// The upgrade is answered with this status, such as 401.
    Status(u16),
    /// It is answered with 503 and a `Retry-After` of this time, in whole seconds, rounded up.
    RetryAfter(Duration),
}

/// A line, as its client and its sockets share it.
pub(super) struct LineState {
    pub(super) no: LineNo,
    pub(super) name: String,
    rules: watch::Sender<Rules>,
    traps: Mutex<Vec<Trap>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) stalled: Option<Way>,
    pub(super) latency: Duration,
    pub(super) refusal: Option<(Refusal, Fault)>,
}

impl Rules {
    fn stalls(&self, side: Side) -> bool {
        self.stalled.is_some_and(|way| way.is_of(side))
    }
}

/// Waits for a message, and cuts.
struct Trap {
    trigger: Trigger,
    fault: Fault,
}

/// What a trap waits for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Trigger {
    /// So many more messages that way.
    Count(Way, u64),
    /// A message of this kind.
    Kind(SaidKind),
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Pass,
    /// It passes, and the socket is cut.
    CutAfter,
    /// The socket is cut, and it is lost.
    CutInstead,
}

impl LineState {
    pub(super) fn new(no: LineNo, name: &str) -> Self {
        Self { no, name: name.to_owned(), rules: watch::Sender::default(), traps: Mutex::default() }
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Rules)) {
        self.rules.send_modify(change);
    }

    /// No rule and no trap is left.
    pub(super) fn heal(&self) {
        lock(&self.traps).clear();
        self.change(|rules| *rules = Rules::default());
    }

    pub(super) fn refusal(&self) -> Option<(Refusal, Fault)> {
        self.rules.borrow().refusal.clone()
    }

    pub(super) fn set_trap(&self, trigger: Trigger, fault: Fault) {
        lock(&self.traps).push(Trap { trigger, fault });
    }

    /// When what comes in now is due at the other end; `None`: at once.
    pub(super) fn due(&self) -> Option<Instant> {
        let latency = self.rules.borrow().latency;
        (!latency.is_zero()).then(|| host::instant() + latency)
    }

    /// Waits until what is due then may pass; for ever if there is nothing.
    pub(super) async fn lets_through(&self, side: Side, due: Option<Option<Instant>>) {
        let Some(due) = due else { return pending().await };
        if let Some(at) = due {
            host::sleep_until(at).await;
        }
        let mut rules = self.rules.subscribe();
        // The sender lives in `self`.
        let _ = rules.wait_for(|rules| !rules.stalls(side)).await;
    }

    /// How long a dial takes to get through; on a line that stalls it does not.
    pub(super) async fn dials(&self) {
        let latency = self.rules.borrow().latency;
        if !latency.is_zero() {
            host::sleep(latency).await;
        }
        let mut rules = self.rules.subscribe();
        let _ = rules.wait_for(|rules| rules.stalled.is_none()).await;
    }

    /// What becomes of a message: each trap counts it, and the hardest verdict holds.
    pub(super) fn judge(&self, side: Side, kind: SaidKind) -> Verdict {
        let (mut verdict, mut sprung) = (Verdict::Pass, Vec::new());
        lock(&self.traps).retain_mut(|trap| {
            let come = match &mut trap.trigger {
                Trigger::Kind(awaited) => {
                    if *awaited == kind {
                        Verdict::CutInstead
                    } else {
                        Verdict::Pass
                    }
                }
                Trigger::Count(way, _) if !way.is_of(side) => Verdict::Pass,
                Trigger::Count(_, 0) => Verdict::CutInstead,
                Trigger::Count(_, left) => {
                    *left -= 1;
                    if *left == 0 { Verdict::CutAfter } else { Verdict::Pass }
                }
            };
            if come == Verdict::Pass {
                return true;
            }
            if verdict != Verdict::CutInstead {
                verdict = come;
            }
            sprung.push(trap.fault.clone());
            false
        });
        sprung.iter().for_each(|fault| fault.happens(format_args!("")));
        verdict
    }
}
