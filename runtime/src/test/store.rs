//! The store of a host, as the host's servers see it: it fails, is slow or loses its answers when
//! the test says so. What it stores is the application's own store's.

use std::any::Any;
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::fault::Fault;
use super::shared::{Shared, lock};
use crate::host;
use crate::session::store::{CommitOutcome, OpId, StoreOp, StoreOutcome, TopicId};
use crate::store::{DynStore, NewsFuture, StoreFuture};

/// For how long a store that works outside of the runtime, such as one with threads of its own,
/// keeps paused time from running on, of real time: 5 s.
const HELD: Duration = Duration::from_secs(5);

/// What can go wrong with the store of a [`Host`](super::Host), for all its servers, until
/// [`StoreFaults::heal`]. It concerns what the node asks of the store; what the application itself
/// reads there goes past this.
#[derive(Clone)]
pub struct StoreFaults {
    state: Arc<State>,
}

struct State {
    shared: Arc<Shared>,
    host: String,
    mood: Mutex<Mood>,
    recorded: AtomicU64,
}

#[derive(Clone, Default)]
enum Mood {
    #[default]
    Well,
    /// Does nothing, and says so.
    Fails(Fault),
    /// Does what it is asked, and can't tell.
    LosesAnswers(Fault),
    /// Does it later.
    Slow(Fault, Duration),
}

impl StoreFaults {
    pub(super) fn new(shared: &Arc<Shared>, host: &str) -> Self {
        let (shared, host) = (Arc::clone(shared), host.to_owned());
        let state = State { shared, host, mood: Mutex::default(), recorded: AtomicU64::new(0) };
        Self { state: Arc::new(state) }
    }

    /// From here on it does nothing, and says so. Nodes ask again, for as long as
    /// [`NodeConfig::store_patience`](crate::server::NodeConfig::store_patience).
    pub fn fail(&self) -> Fault {
        self.set("fails", Mood::Fails)
    }

    /// From here on it does what it is asked, and can't tell whether it has
    /// ([`StoreOutcome::Unknown`]), as when its connection breaks.
    pub fn lose_answers(&self) -> Fault {
        self.set("loses its answers", Mood::LosesAnswers)
    }

    /// From here on it does what it is asked, so much later.
    pub fn slow(&self, by: Duration) -> Fault {
        self.set("is slow", |fault| Mood::Slow(fault, by))
    }

    /// It is well again.
    pub fn heal(&self) {
        self.state.note(format_args!("is well again"));
        *lock(&self.state.mood) = Mood::Well;
    }

    fn set(&self, what: &str, mood: impl FnOnce(Fault) -> Mood) -> Fault {
        let State { shared, host, .. } = &*self.state;
        let fault = Fault::new(shared, format!("{host}: the store {what}"));
        self.state.note(format_args!("{what} from now on"));
        *lock(&self.state.mood) = mood(fault.clone());
        fault
    }

    /// Commands whose outcomes it has recorded.
    pub(super) fn recorded(&self) -> u64 {
        self.state.recorded.load(Ordering::Acquire)
    }

    /// A server's way to a store, until that server is killed.
    pub(super) fn before(&self, store: Arc<dyn DynStore>, alive: &Arc<AtomicBool>) -> Faulty {
        Faulty { store, faults: self.clone(), alive: Arc::clone(alive) }
    }
}

impl fmt::Debug for StoreFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFaults").field("host", &self.state.host).finish_non_exhaustive()
    }
}

impl State {
    fn note(&self, what: fmt::Arguments<'_>) {
        self.shared.note(format_args!("{}: the store {what}", self.host));
    }

    /// Counts the outcomes that are recorded by this operation.
    fn saw(&self, outcome: &StoreOutcome) {
        let StoreOutcome::Committed { outcomes, .. } = outcome else { return };
        let is_new = |(_, outcome): &&(_, CommitOutcome)| match outcome {
            CommitOutcome::Written { .. }
            | CommitOutcome::Decided { .. }
            | CommitOutcome::Used(_) => true,
            CommitOutcome::Exists(_) | CommitOutcome::BelowLow => false,
        };
        for (n, _) in outcomes.iter().filter(is_new) {
            self.recorded.fetch_add(1, Ordering::AcqRel);
            self.note(format_args!("has the outcome of a command, n={n}"));
        }
    }
}

/// A store that does as its faults say.
pub(super) struct Faulty {
    store: Arc<dyn DynStore>,
    faults: StoreFaults,
    /// Of a server that was killed nothing more gets through.
    alive: Arc<AtomicBool>,
}

impl Faulty {
    fn mood(&self) -> Mood {
        lock(&self.faults.state.mood).clone()
    }

    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    async fn carry_out(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        let mut answer = pin!(self.store.execute_boxed(batch));
        let mut held = None;
        let answers = poll_fn(|cx| {
            let poll = answer.as_mut().poll(cx);
            if poll.is_pending() && held.is_none() {
                held = Some(HeldTime::new());
            }
            poll
        })
        .await;
        answers.iter().for_each(|(_, outcome)| self.faults.state.saw(outcome));
        answers
    }
}

fn all(ids: &[OpId], outcome: &StoreOutcome) -> Vec<(OpId, StoreOutcome)> {
    ids.iter().map(|id| (*id, outcome.clone())).collect()
}

impl DynStore for Faulty {
    fn execute_at_once_dyn(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
        if !self.is_alive() || !matches!(self.mood(), Mood::Well) {
            return Err(op);
        }
        let outcome = self.store.execute_at_once_dyn(op)?;
        self.faults.state.saw(&outcome);
        Ok(outcome)
    }

    fn execute_boxed(&self, batch: Vec<(OpId, StoreOp)>) -> StoreFuture<'_> {
        Box::pin(async move {
            let ids: Vec<OpId> = batch.iter().map(|(id, _)| *id).collect();
            if !self.is_alive() {
                return all(&ids, &StoreOutcome::Failed);
            }
            match self.mood() {
                Mood::Well => self.carry_out(batch).await,
                Mood::Fails(fault) => {
                    fault.happens(format_args!(""));
                    all(&ids, &StoreOutcome::Failed)
                }
                Mood::LosesAnswers(fault) => {
                    fault.happens(format_args!(""));
                    self.carry_out(batch).await;
                    all(&ids, &StoreOutcome::Unknown)
                }
                Mood::Slow(fault, by) => {
                    fault.happens(format_args!(""));
                    host::sleep(by).await;
                    if self.is_alive() {
                        self.carry_out(batch).await
                    } else {
                        all(&ids, &StoreOutcome::Failed)
                    }
                }
            }
        })
    }

    fn news_boxed(&self) -> NewsFuture<'_> {
        Box::pin(async {
            let news = self.store.news_boxed().await;
            if self.is_alive() { news } else { pending().await }
        })
    }

    fn interest_dyn(&self, topic: &TopicId, interested: bool) {
        self.store.interest_dyn(topic, interested);
    }

    /// What is decided in the store's transactions is given to the store itself.
    fn as_any(&self) -> &dyn Any {
        self.store.as_any()
    }
}

/// Paused time does not run on while this lives: somebody outside of the runtime is at work, and
/// tokio would take that for idleness. It knows of its own blocking tasks.
struct HeldTime {
    _held: mpsc::Sender<()>,
}

impl HeldTime {
    fn new() -> Self {
        let (held, ended) = mpsc::channel();
        tokio::task::spawn_blocking(move || {
            let _ = ended.recv_timeout(HELD);
        });
        Self { _held: held }
    }
}
