//! The client's side of the client enum: a handle with a method per message, which derefs
//! to the connection behind it. Each is one call into the runtime, which does the work.

use proc_macro2::TokenStream;

use super::describe::index;
use super::message::{attributes, conflation};
use super::parameters::{many, parameters, value};
use crate::hygiene::code;
use crate::model::{Client, Kind, Limits, Message, Model, Payload};

/// ```text
/// pub struct ChatClient { inner: Client<ChatCommand> }
/// ```
pub(super) fn client(model: &Model, client: &Client) -> TokenStream {
    let (private, vis, ident) = (model.private(), model.vis(), model.ident());
    let name = client.protocol().ident("Client", ident);
    let entries = entries(model, client);
    let methods = model.messages().iter().enumerate();
    let methods = methods.map(|(at, message)| method(model, client, at, message));
    let doc = format!(
        " A client of the protocol `{}`: a method per message of [`{ident}`].",
        client.protocol().name()
    );
    code! {
        #[doc = #doc]
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
        #[allow(dead_code)]
        #vis struct #name {
            inner: #private::Client<#ident>,
        }
        #[allow(deprecated, dead_code)]
        impl #name {
            #entries
            #(#methods)*
        }
        #[automatically_derived]
        impl ::core::ops::Deref for #name {
            type Target = #private::Client<#ident>;
            fn deref(&self) -> &Self::Target {
                &self.inner
            }
        }
        #[automatically_derived]
        impl #private::ClientStub for #name {
            type Commands = #ident;
            fn from_inner(inner: #private::Client<#ident>) -> Self {
                Self { inner }
            }
        }
    }
}

/// Where a client begins, and what it is asked for beside messages.
fn entries(model: &Model, client: &Client) -> TokenStream {
    let (private, vis, ident) = (model.private(), model.vis(), model.ident());
    let (name, events) = (client.protocol().ident("Client", ident), client.server());
    code! {
        /// A client of the server at `url`; `connect` on the result opens the connection.
        #vis fn builder(
            url: impl ::core::convert::Into<::std::string::String>,
        ) -> #private::ClientBuilder<#name> {
            #private::ClientBuilder::new(url)
        }
        /// The connection behind it.
        #vis fn inner(&self) -> &#private::Client<#ident> {
            &self.inner
        }
        /// Follows a topic. Dropping the subscription ends it.
        #vis fn subscribe<__T>(&self, topic: __T) -> #private::Subscribe<__T>
        where
            __T: #private::TopicKey<Events = #events>,
        {
            self.inner.subscribe(topic)
        }
    }
}

fn method(model: &Model, client: &Client, at: usize, message: &Message) -> TokenStream {
    let (private, vis, error) = (model.private(), model.vis(), client.error());
    let attrs = attributes(message, &format!(" Sends [`{}::{}`].", model.ident(), message.ident()));
    let (method, parameters, allow) = (message.method(), parameters(message), many(message));
    let (output, body) = match message.kind() {
        Kind::ClientVolatile { latest_by, .. } => {
            let key = conflation(model, latest_by, &code!(message));
            let binding = matches!(message.payload(), Payload::Generated(_)).then(|| {
                let value = value(message);
                code!(let message = #value;)
            });
            let at = index(at);
            let encoded = code!(#private::encode_body(&message, self.inner.codec()));
            (code!(bool), code!(#binding self.inner.volatile(#at, #key, #encoded)))
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
