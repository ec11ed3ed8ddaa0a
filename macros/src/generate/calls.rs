//! The client's side of the client enum: a handle with a method per message, and the methods that
//! every client has. Each is one call into the runtime, which does the work.

use proc_macro2::TokenStream;

use super::describe::index;
use super::message::{attributes, conflation};
use super::parameters::{many, parameters, value};
use crate::hygiene::{code, derived};
use crate::model::{Client, Kind, Limits, Message, Model, Payload};

/// ```text
/// pub struct ChatClient { inner: Client<ChatCommand> }
/// ```
pub(super) fn client(model: &Model, client: &Client) -> TokenStream {
    let (private, vis, ident) = (model.private(), model.vis(), model.ident());
    let name = client.protocol().ident("Client", ident);
    let (entries, connection) = (entries(model, client), connection(model));
    let lints = model.lints();
    let methods = model.messages().iter().enumerate();
    let methods = methods.map(|(at, message)| method(model, client, at, message));
    let doc = format!(
        " A client of the protocol `{}`: a method per message of [`{ident}`]. A handle: clones \
         share one connection, which closes cleanly when the last one is dropped.",
        client.protocol().name()
    );
    code! {
        #[doc = #doc]
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
        #vis struct #name {
            inner: #private::Client<#ident>,
        }
        #(#lints)*
        impl #name {
            #entries
            #connection
            #(#methods)*
        }
        #[automatically_derived]
        impl #private::ClientStub for #name {
            type Commands = #ident;
            fn from_inner(__inner: #private::Client<#ident>) -> Self {
                Self { inner: __inner }
            }
        }
    }
}

/// Where a client begins, and what it is asked for beside messages. With [`connection`]'s these
/// are `symbol::CLIENT_METHODS`, which no message may have.
fn entries(model: &Model, client: &Client) -> TokenStream {
    let (private, vis, ident) = (model.private(), model.vis(), model.ident());
    let (name, events) = (client.protocol().ident("Client", ident), client.server());
    code! {
        /// A client of the server at a URL; `connect` on the result opens the connection.
        #vis fn builder(
            __url: impl ::core::convert::Into<::std::string::String>,
        ) -> #private::ClientBuilder<#name> {
            #private::ClientBuilder::new(__url)
        }
        /// The same client without the methods of this protocol: for code that works with any.
        #vis fn inner(&self) -> &#private::Client<#ident> {
            &self.inner
        }
        /// Follows a topic. Dropping the subscription ends it.
        #vis fn subscribe<__T>(&self, __topic: __T) -> #private::Subscribe<__T>
        where
            __T: #private::TopicKey<Events = #events>,
        {
            #private::Client::subscribe(&self.inner, __topic)
        }
        /// Follows a topic by the methods of a view, which are called one after the other. The
        /// future ends with the subscription; dropping it ends that.
        #vis fn handle<__T, __V>(&self, __topic: __T, __view: __V) -> #private::Handling<__T, __V>
        where
            __T: #private::TopicView<__V, Events = #events>,
        {
            #private::Client::handle(&self.inner, __topic, __view)
        }
    }
}

/// What a client says of its connection, and what is done to it.
fn connection(model: &Model) -> TokenStream {
    let (private, vis) = (model.private(), model.vis());
    code! {
        /// The connection's state, to be looked at or waited for. Nothing changes after `Closed`
        /// and `Failed`: a loop over the changes ends when `is_over`.
        ///
        /// # Cancellation
        /// A wait that is dropped has missed nothing: the next one looks at the present state.
        #[must_use]
        #vis fn state(&self) -> #private::watch::Receiver<#private::ConnectionState> {
            #private::Client::state(&self.inner)
        }
        /// What a user interface shows.
        #[must_use]
        #vis fn status(&self) -> #private::Status {
            #private::Client::status(&self.inner)
        }
        /// Dials at once if the client waits to dial: for "the network is back", or a button.
        #vis fn reconnect_now(&self) {
            #private::Client::reconnect_now(&self.inner);
        }
        /// Closes for good: tells the server, ends the session, and returns when every socket and
        /// task of this client is gone, within the close timeout of its transport. Calls that are
        /// not resolved fail as closed, subscriptions end, and so do all clones.
        ///
        /// # Cancellation
        /// Dropping the future does not stop the closing.
        #vis async fn close(&self) {
            #private::Client::close(&self.inner).await;
        }
    }
}

fn method(model: &Model, client: &Client, at: usize, message: &Message) -> TokenStream {
    let (private, vis, error) = (model.private(), model.vis(), client.error());
    let attrs = attributes(message, &format!(" Sends [`{}::{}`].", model.ident(), message.ident()));
    let (method, parameters) = (derived(message.method()), parameters(message, &code!(__message)));
    let allow = many(message);
    let (output, body) = match message.kind() {
        Kind::ClientVolatile { latest_by, .. } => {
            let key = conflation(model, message, latest_by, &code!(__message));
            let binding = matches!(message.payload(), Payload::Generated(_)).then(|| {
                let value = value(message);
                code!(let __message = #value;)
            });
            let at = index(at);
            (
                code!(::core::primitive::bool),
                code!(#binding #private::volatile(&self.inner, #at, #key, &__message)),
            )
        }
        kind => {
            let reply = match kind {
                Kind::Request { reply, .. } => code!(#reply),
                _ => code!(()),
            };
            let (at, value) = (index(at), value(message));
            (
                code!(#private::Call<#reply, #error>),
                code!(#private::call(&self.inner, #at, &#value)),
            )
        }
    };
    let facts = format!(" {}", facts(message));
    code! {
        #attrs
        #[doc = ""]
        #[doc = #facts]
        #allow
        #vis fn #method(&self, #parameters) -> #output {
            #body
        }
    }
}

/// What a caller should know of a message's delivery.
fn facts(message: &Message) -> String {
    let answered = |what: &str, ordered: bool, limits: Limits| {
        let order = if ordered { "in the order of calls" } else { "concurrently with others" };
        format!(
            "{what} runs {order}, for at most {} ms; its body has at most {} bytes.",
            limits.timeout_ms(),
            limits.max_bytes()
        )
    };
    match message.kind() {
        Kind::Request { ordered, limits, .. } => answered("The request", *ordered, *limits),
        Kind::Command { ordered, limits } => answered("The command", *ordered, *limits),
        _ => "May be lost and is never answered. `false` says that it was dropped here, for \
              example while offline."
            .to_owned(),
    }
}
