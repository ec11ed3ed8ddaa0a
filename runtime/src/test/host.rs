//! A server of a net, with its lives: it starts, is killed or drained, and starts again on the same
//! store. What it serves is the application's.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::shared::{Door, Shared, Wait, lock};
use super::store::StoreFaults;
use crate::host;
use crate::protocol::ClientEnum;
use crate::server::{AccessDecided, Builder, Server};

/// A server of a [`Net`](super::Net). Clones are the same one.
pub struct Host<C> {
    inner: Arc<Inner<C>>,
}

/// Makes a server from a seed; of one that is not alive nothing more reaches its store.
type Build<C> = Box<dyn Fn(u64, &Arc<AtomicBool>) -> Server<C> + Send + Sync>;

struct Inner<C> {
    shared: Arc<Shared>,
    name: String,
    build: Build<C>,
    store: StoreFaults,
    life: Mutex<Life<C>>,
}

struct Life<C> {
    starts: u64,
    running: Option<Running<C>>,
}

struct Running<C> {
    server: Server<C>,
    alive: Arc<AtomicBool>,
}

impl<C: ClientEnum> Host<C> {
    pub(super) fn new<A: AccessDecided + 'static>(
        shared: &Arc<Shared>,
        name: &str,
        build: impl Fn() -> Builder<C, A> + Send + Sync + 'static,
    ) -> Self {
        let store = StoreFaults::new(shared, name);
        let faults = store.clone();
        let build = move |seed, alive: &Arc<AtomicBool>| {
            let builder = build().insecure_seed(seed);
            builder.store_behind(|store| Arc::new(faults.before(store, alive))).build()
        };
        let inner = Inner {
            shared: Arc::clone(shared),
            name: name.to_owned(),
            build: Box::new(build),
            store,
            life: Mutex::new(Life { starts: 0, running: None }),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Where clients dial: `ws://` and its name.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.inner.name)
    }

    /// The server of its present life, to publish or to look at its load.
    ///
    /// # Panics
    /// When it is down.
    #[must_use]
    pub fn server(&self) -> Server<C> {
        let life = lock(&self.inner.life);
        let running = life.running.as_ref().expect("the server of a host that is up");
        running.server.clone()
    }

    /// Whether it is up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        lock(&self.inner.life).running.is_some()
    }

    /// Starts it, with what the closure of [`Net::serve`](super::Net::serve) makes anew. Does
    /// nothing if it is up.
    pub fn start(&self) {
        let Inner { shared, name, build, life, .. } = &*self.inner;
        let mut life = lock(life);
        if life.running.is_some() {
            return;
        }
        life.starts += 1;
        let alive = Arc::new(AtomicBool::new(true));
        // A seed of its own for each life: with the same one its epochs would be the same.
        let server = build(shared.seed_of(name, life.starts), &alive);
        shared.note(format_args!("{name}: starts"));
        let serving = server.clone();
        let door: Door = Arc::new(move |stream| {
            let server = serving.clone();
            host::spawn(async move { server.serve_connection(stream, None).await });
        });
        shared.set_door(name, Some(door));
        life.running = Some(Running { server, alive });
    }

    /// Kills it, as `kill -9` or a lost power line would: its sockets are cut, handlers that run
    /// stop at their next await, and nothing that it may still do reaches its store. What the store
    /// has recorded stays. Tasks that the application has spawned itself go on, since nobody knows
    /// of them. Does nothing if it is down.
    pub fn crash(&self) {
        let Inner { shared, name, life, .. } = &*self.inner;
        let Some(Running { server, alive }) = lock(life).running.take() else { return };
        shared.note(format_args!("{name}: crashes"));
        shared.set_door(name, None);
        alive.store(false, Ordering::Release);
        shared.links(|link| link.host == *name).iter().for_each(|link| link.cut());
        server.kill();
    }

    /// Kills it, and starts it again at once.
    pub fn restart(&self) {
        self.crash();
        self.start();
    }

    /// Has it leave in order, as [`Server::shutdown`] does; it is down then. Does nothing if it is
    /// down.
    ///
    /// # Cancellation
    /// Dropping the future does not stop the drain; the host counts as down then, too.
    pub async fn drain(&self, deadline: Duration) {
        let Inner { shared, name, life, .. } = &*self.inner;
        let Some(Running { server, .. }) = lock(life).running.take() else { return };
        shared.note(format_args!("{name}: drains"));
        server.shutdown(deadline).await;
        shared.set_door(name, None);
        shared.note(format_args!("{name}: has left"));
    }

    /// What can go wrong with its store.
    #[must_use]
    pub fn store(&self) -> &StoreFaults {
        &self.inner.store
    }

    /// How many commands have an outcome in the store, by all its lives.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.inner.store.recorded()
    }

    /// Waits until so many commands have an outcome in the store.
    ///
    /// # Panics
    /// When [`Net::patience`](super::Net::patience) is over, saying what was waited for.
    ///
    /// # Cancellation
    /// Dropping the future changes nothing.
    #[track_caller]
    pub fn until_recorded(&self, commands: u64) -> impl Future<Output = ()> {
        let name = &self.inner.name;
        let wait = Wait::new(format!("the outcomes of {commands} commands in the store of {name}"));
        async move { self.inner.shared.until(wait, || self.recorded() >= commands).await }
    }
}

impl<C> Clone for Host<C> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<C> fmt::Debug for Host<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("name", &self.inner.name).finish_non_exhaustive()
    }
}
