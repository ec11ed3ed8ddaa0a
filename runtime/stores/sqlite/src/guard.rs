//! What the application's code may not do while it works on the store's connection: end its
//! transaction, change how the connection works, or touch the store's tables. It decides nothing
//! about rows of the application's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use steadfast::store::Clock;

use crate::rows::Sql;
use crate::served::system_clock;

/// What a savepoint of the store is called.
const SAVEPOINT: &str = "sf_decision";
/// What tables, indexes and whatever else belongs to the store begin with.
const OURS: &str = "sf_";
/// Steps of SQLite's machine between two looks at the time.
const STEPS: i32 = 10_000;

/// Who works on the connection.
const STORE: u64 = u64::MAX;

/// Set on a connection once: each change of an authorizer makes SQLite prepare every statement
/// anew.
#[derive(Clone)]
pub(crate) struct Guard {
    /// Until when the application's code may work, in milliseconds of the clock; [`STORE`] while
    /// none does. It is set and read on the writer's thread alone.
    until: Arc<AtomicU64>,
    /// Whether it may change tables.
    alters: Arc<AtomicBool>,
    clock: Clock,
}

impl Guard {
    /// Guards a connection from here on.
    pub(crate) fn set(db: &mut Connection) -> Sql<Self> {
        let guard = Self {
            until: Arc::new(AtomicU64::new(STORE)),
            alters: Arc::default(),
            clock: system_clock(),
        };
        let asked = guard.clone();
        db.authorizer(Some(move |asks: AuthContext<'_>| asked.authorize(&asks.action)))?;
        let asked = guard.clone();
        // Whatever got past the authorizer, and whatever follows on a statement that has ended the
        // transaction, is undone instead of committed.
        db.commit_hook(Some(move || asked.is_closed()))?;
        let asked = guard.clone();
        db.progress_handler(STEPS, Some(move || asked.is_over()))?;
        Ok(guard)
    }

    /// Lets the application's code work, for so long at most where SQLite works for it.
    pub(crate) fn while_closed<T>(&self, time: Duration, work: impl FnOnce() -> T) -> T {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let until = (self.clock)().after_ms(millis).0.min(STORE - 1);
        let _open = Open(self);
        self.until.store(until, Ordering::Relaxed);
        work()
    }

    /// Lets the application make tables of its own, for as long as that takes.
    pub(crate) fn while_making<T>(&self, work: impl FnOnce() -> T) -> T {
        self.alters.store(true, Ordering::Relaxed);
        let made = self.while_closed(Duration::MAX, work);
        self.alters.store(false, Ordering::Relaxed);
        made
    }

    fn is_closed(&self) -> bool {
        self.until.load(Ordering::Relaxed) != STORE
    }

    fn is_over(&self) -> bool {
        let until = self.until.load(Ordering::Relaxed);
        until != STORE && (self.clock)().0 > until
    }

    fn authorize(&self, action: &AuthAction<'_>) -> Authorization {
        let allowed = match action {
            // It does not tell what a table is going to be called.
            AuthAction::AlterTable { table_name, .. } => {
                self.alters.load(Ordering::Relaxed) && !begins_as_ours(table_name)
            }
            _ => !is_ours(action),
        };
        if allowed || !self.is_closed() { Authorization::Allow } else { Authorization::Deny }
    }
}

/// Opens the guard again, also after a panic.
struct Open<'a>(&'a Guard);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.until.store(STORE, Ordering::Relaxed);
    }
}

fn begins_as_ours(name: &str) -> bool {
    name.get(..OURS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(OURS))
}

/// Whether the application's code may not do it.
fn is_ours(action: &AuthAction<'_>) -> bool {
    use AuthAction as A;
    let ours = begins_as_ours;
    match *action {
        A::Transaction { .. } | A::Attach { .. } | A::Detach { .. } | A::Unknown { .. } => true,
        A::Savepoint { savepoint_name, .. } => savepoint_name.eq_ignore_ascii_case(SAVEPOINT),
        // The store does not use it: it is for the versions of the application's own tables.
        A::Pragma { pragma_name, .. } => !pragma_name.eq_ignore_ascii_case("user_version"),
        A::CreateIndex { index_name: name, table_name }
        | A::CreateTempIndex { index_name: name, table_name }
        | A::DropIndex { index_name: name, table_name }
        | A::DropTempIndex { index_name: name, table_name }
        | A::CreateTrigger { trigger_name: name, table_name }
        | A::CreateTempTrigger { trigger_name: name, table_name }
        | A::DropTrigger { trigger_name: name, table_name }
        | A::DropTempTrigger { trigger_name: name, table_name } => ours(name) || ours(table_name),
        A::CreateTable { table_name: name }
        | A::CreateTempTable { table_name: name }
        | A::DropTable { table_name: name }
        | A::DropTempTable { table_name: name }
        | A::CreateView { view_name: name }
        | A::CreateTempView { view_name: name }
        | A::DropView { view_name: name }
        | A::DropTempView { view_name: name }
        | A::CreateVtable { table_name: name, .. }
        | A::DropVtable { table_name: name, .. }
        | A::Analyze { table_name: name }
        | A::Reindex { index_name: name }
        | A::Insert { table_name: name }
        | A::Update { table_name: name, .. }
        | A::Delete { table_name: name }
        | A::Read { table_name: name, .. } => ours(name),
        A::Select | A::Function { .. } | A::Recursive => false,
        // What a later version of SQLite asks for.
        _ => true,
    }
}
