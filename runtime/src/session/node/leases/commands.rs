//! Commands as they arrive: accepted into the execution table, refused, or answered from it
//! (PROTOCOL.md 5.3, 5.4, 5.8 to 5.11). A command is accepted when it is in the table; that never
//! waits for application code.

use xxhash_rust::xxh3::xxh3_64;

use super::lease::{Issue, Lease};
use super::slot::{SlotState, Waiting};
use super::state::Leases;
use crate::session::held::held;
use crate::session::node::answer::{Answer, Owed};
use crate::session::node::config::NodeConfig;
use crate::session::node::declared::{MessageKind, MessageSpec};
use crate::session::node::effects::{Effects, Timer};
use crate::session::node::identity::IdSpec;
use crate::session::node::keys::{LeaseKey, SessionKey};
use crate::session::node::types::ConnId;
use crate::session::store::{CommitId, MessageId, Outcome};
use crate::session::{Now, millis};
use crate::wire::{Body, CommandFrame, CommandNo, Name, RefusalCode};

/// A command as it came.
pub(crate) struct Arrival {
    pub(crate) conn: ConnId,
    pub(crate) frame: CommandFrame,
}

/// What else bounds whether a command is accepted.
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) draining: bool,
    /// As many publications of its principal wait for the store as may.
    pub(crate) owing: bool,
    /// The store does not take what commands have done.
    pub(crate) failing: bool,
    /// How long it would wait for a place, as far as can be told.
    pub(crate) wait_ms: u64,
}

/// What comes of a command.
pub(crate) enum Offer {
    /// It is in the table; its answer follows.
    Accepted,
    /// Refused, or a duplicate whose outcome is known.
    Answer(Owed),
    /// The answer waits already, or nobody waits for one.
    Nothing,
    /// Its number lies beyond the span.
    Beyond,
    /// The client has no lease to number it.
    Unleased,
    /// Its number was another command's.
    Reused,
}

/// Tells a retry from a reused number; over the bytes that travelled (PROTOCOL.md 5.8).
fn hash(name: &Name, body: &Body) -> u64 {
    xxh3_64(body.as_bytes()) ^ xxh3_64(name.as_bytes()).rotate_left(32)
}

impl From<Option<Owed>> for Offer {
    fn from(owed: Option<Owed>) -> Self {
        owed.map_or(Self::Nothing, Self::Answer)
    }
}

impl Lease {
    /// An answer to `n`, unless it is answered already or nobody asks.
    fn owe_outcome(&mut self, n: CommandNo, dup: bool, outcome: Outcome) -> Option<Owed> {
        let outcome = outcome.told_in(self.codec);
        self.owe(n, dup, Answer::Outcome(outcome))
    }

    fn owe(&mut self, n: CommandNo, dup: bool, answer: Answer) -> Option<Owed> {
        let slot = self.slot_mut(n)?;
        // An answer that still waits for the window is answer enough.
        if !slot.asked || slot.owed {
            return None;
        }
        slot.owed = true;
        Some(Owed { n, dup, answer })
    }

    pub(super) fn refuse(
        &mut self,
        n: CommandNo,
        code: RefusalCode,
        ordered: bool,
        config: &NodeConfig,
    ) -> Option<Owed> {
        let retry_ms = if code.is_retry() { millis(config.retry_after) } else { 0 };
        if code.is_retry() && ordered {
            self.order.barred.insert(n, code);
        } else {
            self.order.barred.remove(&n);
        }
        let slot = self.slot_mut(n)?;
        slot.state = SlotState::Vacant;
        slot.asked = true;
        self.owe(n, false, Answer::Refused { code, retry_ms })
    }

    /// Why a new command can't be accepted now (PROTOCOL.md 5.10, 5.11).
    fn refusal(
        &self,
        n: CommandNo,
        bytes: usize,
        ordered: bool,
        room: Room,
        config: &NodeConfig,
    ) -> Option<RefusalCode> {
        if room.draining {
            return Some(RefusalCode::Draining);
        }
        if let Some(code) = self.order.bar(n).filter(|_| ordered) {
            return Some(code);
        }
        let full = self.queue_bytes > 0
            && self.queue_bytes + bytes as u64 > u64::from(config.lease_queue_bytes);
        // A client that calls resolved what it was never told makes room in the table, not in the
        // store.
        let leaving = self.commits.leaving.len() >= config.span as usize;
        (full || leaving || room.owing || room.failing).then_some(RefusalCode::Overload)
    }
    /// Whether a new command may come into the table; else why not, and whether what comes behind
    /// it is held back.
    fn admit(
        &self,
        frame: &CommandFrame,
        room: Room,
        config: &NodeConfig,
    ) -> Result<Declared, (RefusalCode, bool)> {
        let bytes = frame.body.len();
        let (spec, ordered) = declared(&frame.name, bytes, config).map_err(|code| (code, false))?;
        if let Some(code) = self.refusal(frame.n, bytes, ordered, room, config) {
            return Err((code, ordered));
        }
        let timeout_ms = millis(spec.timeout);
        if room.wait_ms > 0 && room.wait_ms >= frame.deadline_ms.unwrap_or(timeout_ms) {
            return Err((RefusalCode::Overload, ordered));
        }
        let id = match &spec.id {
            None => None,
            Some(of) => Some(self.identify(of, spec.index, &frame.body, config)?),
        };
        Ok(Declared { message: spec.index, ordered, timeout_ms, id })
    }

    /// The id of a command whose message declares one; why it is refused if it has none (PROTOCOL.md
    /// 5.20).
    fn identify(
        &self,
        of: &IdSpec,
        index: u16,
        body: &Body,
        config: &NodeConfig,
    ) -> Result<Box<CommitId>, (RefusalCode, bool)> {
        let text = of.read(index, body.as_bytes(), self.codec);
        let fits = |text: &String| (1..=config.message_id_bytes as usize).contains(&text.len());
        let Some(text) = text.filter(fits) else { return Err((RefusalCode::Invalid, false)) };
        let (principal, message) = (self.principal.id(), of.message().clone());
        let (hash, keep_ms) = (hash(&message, body), millis(of.keep()));
        let id = MessageId { principal, message, text: text.into() };
        Ok(Box::new(CommitId { id, hash, keep_ms }))
    }

    /// Takes a command into the table.
    fn take_in(&mut self, now: Now, arrival: Arrival, hash: u64, declared: Declared) {
        let Arrival { conn, frame } = arrival;
        let Declared { message, ordered, timeout_ms, id } = declared;
        let n = frame.n;
        self.used = true;
        self.order.barred.remove(&n);
        self.queue_bytes += frame.body.len() as u64;
        let deadline = now.after_ms(frame.deadline_ms.unwrap_or(timeout_ms));
        let waiting =
            Waiting { hash, message, body: frame.body, ordered, deadline, timeout_ms, conn, id };
        let slot = held(self.slot_mut(n), "what is accepted has a slot");
        let Some(slot) = slot else { return };
        slot.state = SlotState::Waiting(waiting);
        slot.asked = true;
        if ordered {
            self.order.wait(n);
        }
    }
}

/// How a command is to be run.
struct Declared {
    message: u16,
    ordered: bool,
    timeout_ms: u64,
    id: Option<Box<CommitId>>,
}

/// What a message is declared to be, if a command of so many bytes may be one; and whether it keeps
/// its order.
fn declared<'c>(
    name: &Name,
    bytes: usize,
    config: &'c NodeConfig,
) -> Result<(&'c MessageSpec, bool), RefusalCode> {
    let spec = config.message(name).ok_or(RefusalCode::Unsupported)?;
    if bytes > spec.max_bytes as usize {
        return Err(RefusalCode::TooLarge);
    }
    match spec.kind {
        MessageKind::Command { ordered } => Ok((spec, ordered)),
        MessageKind::Volatile => Err(RefusalCode::Unsupported),
    }
}

impl Leases {
    /// A command has arrived.
    pub(crate) fn offer(
        &mut self,
        now: Now,
        key: LeaseKey,
        arrival: Arrival,
        room: Room,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Offer {
        let hash = hash(&arrival.frame.name, &arrival.frame.body);
        let n = arrival.frame.n;
        let Some(lease) = self.leases.held_mut(key) else { return Offer::Nothing };
        if n.0 >= lease.low.0 + u64::from(config.span) {
            return Offer::Beyond;
        }
        if lease.issue != Issue::Done {
            return Offer::Unleased;
        }
        lease.highest = lease.highest.max(n);
        let room = Room { wait_ms: self.places.wait_ms(lease, config), ..room };
        // Below what the client itself called resolved it does not wait for an answer.
        let Some(slot) = lease.slot_entry(n) else { return Offer::Nothing };
        match slot.state.hash() {
            None => match lease.admit(&arrival.frame, room, config) {
                Ok(declared) => {
                    let ordered = declared.ordered;
                    lease.take_in(now, arrival, hash, declared);
                    self.order(now, key, n, ordered, config, fx)
                }
                Err((code, ordered)) => lease.refuse(n, code, ordered, config).into(),
            },
            Some(known) if known != hash => Offer::Reused,
            Some(_) => {
                slot.asked = true;
                let outcome = slot.state.outcome().cloned();
                outcome.and_then(|outcome| lease.owe_outcome(n, true, outcome)).into()
            }
        }
    }

    /// A command is in the table: it begins when its order has come.
    fn order(
        &mut self,
        now: Now,
        key: LeaseKey,
        n: CommandNo,
        ordered: bool,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Offer {
        if ordered {
            self.start_next(now, key, config, fx);
        } else {
            self.start(now, key, n, config, fx);
        }
        Offer::Accepted
    }

    /// The answer to a command whose outcome is settled, for the session that asks.
    pub(crate) fn answer(
        &mut self,
        key: LeaseKey,
        n: CommandNo,
        dup: bool,
    ) -> Option<(SessionKey, Owed)> {
        // Whoever asked may be gone, and the command with its lease.
        let lease = self.leases.get_mut(key)?;
        let session = lease.session?;
        let outcome = lease.slot(n)?.state.outcome()?.clone();
        Some((session, lease.owe_outcome(n, dup, outcome)?))
    }

    /// The answer to `n` has its sequence: the next duplicate gets another one.
    pub(crate) fn answered(&mut self, key: LeaseKey, n: CommandNo) {
        if let Some(slot) = self.leases.held_mut(key).and_then(|lease| lease.slot_mut(n)) {
            slot.owed = false;
        }
    }

    /// Whether a client may call everything below `low` resolved (PROTOCOL.md 5.4).
    pub(crate) fn may_raise(&self, key: LeaseKey, low: CommandNo) -> bool {
        let lease = self.leases.held(key);
        lease.is_some_and(|lease| low.0 <= lease.highest.0 + 1 || low <= lease.low)
    }

    /// Everything below is resolved at the client. What still runs of it, because another node has
    /// answered, is let go. Returns the session that need not answer below, if anything changed.
    pub(crate) fn raise_low(
        &mut self,
        now: Now,
        key: LeaseKey,
        low: CommandNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<SessionKey> {
        let lease = self.leases.held_mut(key).filter(|lease| low > lease.low)?;
        let running = lease.running;
        let stopped = lease.raise_low(low);
        if lease.timers.rest.is_none() {
            let rest = now.after(config.lease_rest);
            lease.timers.rest = Some(rest);
            fx.arm(rest, Timer::Rest(key));
        }
        let session = lease.session;
        if let Some(stopped) = stopped {
            self.places.give_back(running - lease.running, key, lease, config);
            self.places.forget_below(low, lease);
            for exec in stopped {
                fx.abort(exec);
            }
            self.give_way_gone(key, fx);
            self.fill_places(now, config, fx);
            self.start_next(now, key, config, fx);
        }
        session
    }
}
