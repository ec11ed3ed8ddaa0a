//! A net in memory: servers by name, lines for clients, one seed, one trace, bounded waits.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::host::Host;
use super::line::Line;
use super::shared::{Shared, Wait};
use crate::client::ConnectionState;
use crate::host;
use crate::protocol::ClientEnum;
use crate::server::{AccessDecided, Builder};
use crate::store;

/// How often [`Net::until`] looks.
const LOOKS: Duration = Duration::from_millis(1);

/// A net in memory. Everything random in its servers and clients follows from its seed, so under
/// `#[tokio::test(start_paused = true)]` a test that fails once fails each time.
///
/// A test that panics while its net lives is shown the seed and what happened last.
pub struct Net {
    shared: Arc<Shared>,
}

impl Net {
    /// An empty net. The seed is any number; a test that passes with one may be run with many.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { shared: Arc::new(Shared::new(seed)) }
    }

    /// What a wait in this net is bounded by, of tokio's time: 10 min, without this. Paused time
    /// passes at once.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        self.shared.set_patience(patience);
        self
    }

    /// Starts a server under a name. `build` is asked for each of its lives, as a program would
    /// begin: what is to outlive a crash is a store that the closure holds, and everything else is
    /// made anew.
    ///
    /// Several servers may have clones of one store. The builder's seed is set by the net.
    ///
    /// # Panics
    /// When the net has a server of this name, or it is no name for a host.
    pub fn serve<C, A, F>(&self, name: &str, build: F) -> Host<C>
    where
        C: ClientEnum,
        A: AccessDecided + 'static,
        F: Fn() -> Builder<C, A> + Send + Sync + 'static,
    {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        assert!(
            !name.is_empty() && name.chars().all(fits),
            "`{name}` is no name for a host: a-z0-9-."
        );
        assert!(!self.shared.has_host(name), "this net has a server `{name}` already");
        let host = Host::new(&self.shared, name, build);
        host.start();
        host
    }

    /// A line for a client, or for several that share what goes wrong. The name is for the trace.
    #[must_use]
    pub fn line(&self, name: &str) -> Line {
        Line::new(&self.shared, name)
    }

    /// A clock for a store that would otherwise follow the system's, as `LocalStore::builder(..)`
    /// takes it: so that what it keeps grows old with the test's time.
    #[must_use]
    pub fn clock(&self) -> store::Clock {
        let clock = self.shared.clock;
        Arc::new(move || clock.now())
    }

    /// Waits for a future, but not for ever: for anything that a test awaits.
    ///
    /// # Panics
    /// When [`Net::patience`] is over, saying what was waited for.
    ///
    /// # Cancellation
    /// As for the future.
    #[track_caller]
    pub fn within<F: Future>(&self, what: &str, future: F) -> impl Future<Output = F::Output> {
        let wait = Wait::new(what);
        async move { self.shared.within(wait, future).await }
    }

    /// Waits until `holds`, and looks each millisecond.
    ///
    /// # Panics
    /// When [`Net::patience`] is over, saying what was waited for.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) -> impl Future<Output = ()> {
        let wait = Wait::new(what);
        let looks = async move {
            while !holds() {
                host::sleep(LOOKS).await;
            }
        };
        async move { self.shared.within(wait, looks).await }
    }

    /// Waits until a client is connected (again): `net.until_connected(chat.state())`. It looks
    /// after 1 ms, so that under paused time the client has noticed what was done before. In real
    /// time it may not have: wait with [`Net::until_disconnected`] first.
    ///
    /// # Panics
    /// When [`Net::patience`] is over, or the client has come to its end.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    #[track_caller]
    pub fn until_connected(
        &self,
        state: watch::Receiver<ConnectionState>,
    ) -> impl Future<Output = ()> {
        self.until_state("a client is connected", state, ConnectionState::is_connected)
    }

    /// Waits until a client is not connected: it has noticed what was done to its line.
    ///
    /// # Panics
    /// As for [`Net::until_connected`].
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    #[track_caller]
    pub fn until_disconnected(
        &self,
        state: watch::Receiver<ConnectionState>,
    ) -> impl Future<Output = ()> {
        self.until_state("a client is not connected", state, |state| !state.is_connected())
    }

    #[track_caller]
    fn until_state(
        &self,
        what: &str,
        mut state: watch::Receiver<ConnectionState>,
        holds: impl Fn(&ConnectionState) -> bool,
    ) -> impl Future<Output = ()> {
        let wait = Wait::new(what);
        async move {
            let came = async {
                // What was just done to its line is noticed first.
                host::sleep(LOOKS).await;
                let found = state.wait_for(|state| holds(state) || state.is_over()).await;
                found.is_ok_and(|state| holds(&state))
            };
            let came = self.shared.within(wait, came).await;
            assert!(came, "the client has come to its end: {:?}", *state.borrow());
        }
    }

    /// What has happened: each message of the protocol, each socket, each fault, with the time
    /// since the net was made. The last 10,000 lines are kept.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.shared.trace.all()
    }
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Net").field("seed", &self.shared.seed).finish_non_exhaustive()
    }
}

impl Drop for Net {
    #[expect(clippy::print_stderr, reason = "libtest shows it with the test that failed")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (seed, last) = (self.shared.seed, self.shared.trace.last());
            eprintln!("the net's seed is {seed}; what happened last:\n{last}");
        }
    }
}
