//! How a handler ends in a transaction of the server's store: what decides there, and what it
//! publishes. A store's own crate gives it to applications as a method of `Cx`.

use std::cell::RefCell;

use super::answer::answer;
use super::cx::{Cx, Leaving};
use super::publication::Staged;
use super::settings::NodeSettings;
use super::transacts::Left;
use crate::protocol::{Message, Publish, Reply, ServerEnum, WsError};
use crate::session::node::StagedPublish;
use crate::session::store::{Decided, Publication};
use crate::store::Deciding;

/// What a handler returns whose transaction returns `Result<R, E>`: the same. It is implemented for
/// that alone. So whatever else is done with the end of a handler than to return it does not
/// compile: "type annotations needed".
#[diagnostic::on_unimplemented(
    message = "the handler returns `{Self}`, and its transaction `Result<{R}, {E}>`",
    label = "a transaction's result is its handler's",
    note = "the closure has to give the handler's reply and error"
)]
pub trait HandlerResult<R, E> {}

impl<R, E> HandlerResult<R, E> for Result<R, E> {}

/// What a decision publishes. It is committed together with its outcome, if that is a success.
#[derive(Debug)]
pub struct Publishing {
    staged: RefCell<Staged>,
    settings: NodeSettings,
}

impl Publishing {
    /// Publishes an event, within the bounds of every command: see [`Cx::publish`]. If it can't be
    /// published the command ends with `internal`, and nothing of the transaction stays.
    ///
    /// A volatile has no place in a transaction, and does not compile here.
    pub fn publish<P: Publish>(&self, event: &P) {
        const { assert!(is_event::<P>(), "a volatile can't be published in a transaction") }
        self.staged.borrow_mut().publish(&self.settings, event);
    }

    fn take(self) -> Result<Vec<Publication>, String> {
        events(self.staged.into_inner().take()?)
    }
}

/// Whether a message is an event, and no volatile.
const fn is_event<P: Publish>() -> bool {
    let messages = <P::Events as ServerEnum>::DESCRIPTION.messages;
    let mut at = 0;
    while at < messages.len() {
        let message = &messages[at];
        if is_same(message.name.as_bytes(), <P as Message>::NAME.as_bytes()) {
            return matches!(message.kind, steadfast_schema::Kind::Event { .. });
        }
        at += 1;
    }
    false
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// What was published, if a transaction can commit with all of it.
fn events(staged: Vec<StagedPublish>) -> Result<Vec<Publication>, String> {
    let event = |publish| match publish {
        StagedPublish::Event(event) => Ok(event),
        StagedPublish::Volatile(volatile) => {
            Err(format!("the volatile `{}` before a transaction", volatile.name.as_str()))
        }
        StagedPublish::Direct(message) => {
            Err(format!("the direct message `{}` before a transaction", message.name.as_str()))
        }
    };
    staged.into_iter().map(event).collect()
}

impl Cx {
    /// Ends this handler and leaves its outcome to `decide`, which runs in a transaction of the
    /// server's store: what it does there commits together with the command's record and events,
    /// or not at all. For crates of stores, which make of it what suits their transactions.
    ///
    /// `decide` may run several times, as its transaction may be begun anew, and of these only the
    /// last run counts. `Ok` is the reply; `Err` undoes what it has done and is the caller's error;
    /// `None` undoes it too, and is `internal`, with the reason in the store's log. What was
    /// published through the context before counts as published first.
    ///
    /// # Errors
    /// The command ends with `internal`, and the log says why: its handler has no `const
    /// TRANSACTS`, or that of another store; a volatile was published before. A volatile's handler
    /// has no record that anything could commit with, and ends here.
    ///
    /// # Cancellation
    /// Once it was awaited the handler's future is dropped, and nothing behind it runs. Until then
    /// it has done nothing.
    pub async fn leave_to<S, R, E, T, F>(&self, decide: F) -> T
    where
        S: Deciding,
        R: Reply,
        E: WsError,
        T: HandlerResult<R, E>,
        F: for<'t> FnMut(&mut S::Tx<'t>, &Publishing) -> Option<Result<R, E>> + Send + 'static,
    {
        self.leave(self.leaving::<S, R, E, F>(decide));
        std::future::pending().await
    }

    fn leaving<S, R, E, F>(&self, mut decide: F) -> Leaving
    where
        S: Deciding,
        R: Reply,
        E: WsError,
        F: for<'t> FnMut(&mut S::Tx<'t>, &Publishing) -> Option<Result<R, E>> + Send + 'static,
    {
        if !self.settings().transacts.are_on::<S>() {
            let name = std::any::type_name::<S>();
            return Err(format!(
                "the handler does not say `const TRANSACTS: Transacts = Transacts::on::<{name}>();`"
            ));
        }
        if !self.is_command() {
            return Err("a volatile has no record that a transaction could commit with".to_owned());
        }
        let before = events(self.take_published()?)?;
        let (settings, codec) = (NodeSettings::clone(self.settings()), self.codec());
        Ok(Left::to::<S>(Box::new(move |tx| {
            let (staged, settings) = (Staged::after(&before), NodeSettings::clone(&settings));
            let publishing = Publishing { staged: RefCell::new(staged), settings };
            let Some(result) = decide(tx, &publishing) else { return Decided::internal() };
            let outcome = answer(codec, result);
            match publishing.take() {
                Ok(publishes) => Decided { outcome, publishes },
                Err(reason) => {
                    tracing::error!(reason, "a transaction published what can't be");
                    Decided::internal()
                }
            }
        })))
    }
}
