//! What the client enum becomes: a struct per message, the handler's trait with its dispatch, and
//! the client's methods.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::describe::index;
use super::message::{Use, attributes, into_enum, named, reads, structure};
use super::{Expansion, describe, private};
use crate::model::{Client, Generated, Kind, Limits, Message, Model, Payload};

pub(super) fn expand(model: &Model, client: &Client) -> Expansion {
    Expansion {
        common: common(model, client),
        client: client_items(model, client),
        server: [handler(model, client), dispatch(model, client), server(model, client)]
            .into_iter()
            .collect(),
    }
}

fn common(model: &Model, client: &Client) -> TokenStream {
    let (private, ident) = (private(model), &model.ident);
    let messages = model.messages.iter().map(|message| {
        let structure = structure(model, message, Use::Public);
        // The user's own struct may be in both enums, and a client's message is known by its index.
        let named = matches!(message.payload, Payload::Generated(_)).then(|| named(model, message));
        let into_enum = unique(model, message).then(|| into_enum(model, message));
        quote!(#structure #named #into_enum)
    });
    let description = describe::client(model, client);
    let server = &client.server;
    let (error, reads) = (error_type(model, client), reads(model));
    let same_protocol =
        respanned(quote!(#private::assert_same_protocol::<#ident>()), server.span());
    quote! {
        #(#messages)*
        #[allow(deprecated)]
        impl #private::ClientEnum for #ident {
            const DESCRIPTION: &'static #private::schema::ClientEnum = #description;
            type ServerEnum = #server;
            type Error = #error;
        }
        const _: () = #same_protocol;
        #reads
    }
}

/// The tokens, all pointing to one place: for an assertion about what stands there.
fn respanned(tokens: TokenStream, span: Span) -> TokenStream {
    let each = tokens.into_iter().map(|mut token| {
        if let TokenTree::Group(group) = &token {
            token = Group::new(group.delimiter(), respanned(group.stream(), span)).into();
        }
        token.set_span(span);
        token
    });
    each.collect()
}

/// Two variants may bring the same struct; then it does not say which.
fn unique(model: &Model, message: &Message) -> bool {
    model.messages.iter().filter(|other| other.ty() == message.ty()).count() == 1
}

fn error_type(model: &Model, client: &Client) -> TokenStream {
    let private = private(model);
    client.error.as_ref().map_or_else(|| quote!(#private::NoError), |error| quote!(#error))
}

/// ```text
/// pub trait ChatHandler: Send + Sync + 'static {
///     fn post(&self, cx: &Cx, room: RoomId, text: String) -> impl Future<Output = Result<MessageId, ChatError>> + Send;
/// }
/// ```
fn handler(model: &Model, client: &Client) -> TokenStream {
    let (private, vis, ident) = (private(model), &model.vis, &model.ident);
    let handler = client.protocol.ident("Handler", ident);
    let error = error_type(model, client);
    let methods = model.messages.iter().map(|message| {
        let attrs = attributes(message, &format!(" Answers [`{ident}::{}`].", message.ident));
        let (method, parameters) = (&message.method, parameters(message));
        let cx = context(message);
        let output = match &message.kind {
            Kind::Request { reply, .. } => quote!(::core::result::Result<#reply, #error>),
            Kind::ClientVolatile { .. } => quote!(()),
            _ => quote!(::core::result::Result<(), #error>),
        };
        let allow = many(message);
        quote! {
            #attrs
            #allow
            fn #method(
                &self,
                #cx: &#private::Cx,
                #parameters
            ) -> impl ::core::future::Future<Output = #output> + ::core::marker::Send;
        }
    });
    let doc = format!(" Answers the messages of [`{ident}`]: a method per message.");
    let message = format!("`{{Self}}` does not answer the messages of `{ident}`");
    let note = format!("write `impl {handler} for {{Self}}`, with an `async fn` per message");
    quote! {
        #[doc = #doc]
        ///
        /// # Cancellation
        /// A handler is dropped at its next await when its time is over, or when nobody needs its
        /// answer any more; then nothing that it published is committed. It outlives the connection
        /// that it came by.
        #[diagnostic::on_unimplemented(message = #message, note = #note)]
        #vis trait #handler: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#methods)*
        }
    }
}

/// The context's name, out of the way of a field's.
fn context(message: &Message) -> TokenStream {
    match &message.payload {
        Payload::Generated(generated)
            if generated.fields.iter().any(|field| field.ident == "cx") =>
        {
            quote!(context)
        }
        _ => quote!(cx),
    }
}

fn parameters(message: &Message) -> TokenStream {
    match &message.payload {
        Payload::Own(ty) => quote!(message: #ty,),
        Payload::Generated(Generated { fields, .. }) => {
            let parameters = fields
                .iter()
                .map(|field| (&field.ident, &field.ty))
                .map(|(ident, ty)| quote!(#ident: #ty,));
            parameters.collect()
        }
    }
}

/// A spread message may have more fields than a function should have parameters.
fn many(message: &Message) -> Option<TokenStream> {
    match &message.payload {
        Payload::Generated(generated) if generated.fields.len() > 5 => {
            Some(quote!(#[allow(clippy::too_many_arguments)]))
        }
        _ => None,
    }
}

/// One match per way in: decode, call the handler, encode.
fn dispatch(model: &Model, client: &Client) -> TokenStream {
    let (private, ident) = (private(model), &model.ident);
    let handler = client.protocol.ident("Handler", ident);
    let (mut execute, mut volatile) = (Vec::new(), Vec::new());
    for (at, message) in model.messages.iter().enumerate() {
        let arm = arm(model, at, message);
        if matches!(message.kind, Kind::ClientVolatile { .. }) {
            volatile.push(arm)
        } else {
            execute.push(arm)
        }
    }
    let execute = entrance(&private, quote!(execute), quote!(#private::Outcome), &execute);
    let volatile = entrance(&private, quote!(volatile), quote!(()), &volatile);
    quote! {
        #[allow(deprecated)]
        impl<__H: #handler> #private::CommandHooks<__H> for #ident {
            #execute
            #volatile
        }
    }
}

fn entrance(
    private: &TokenStream,
    name: TokenStream,
    output: TokenStream,
    arms: &[TokenStream],
) -> Option<TokenStream> {
    if arms.is_empty() {
        return None;
    }
    Some(quote! {
        fn #name(
            handler: ::std::sync::Arc<__H>,
            message: u16,
            body: #private::Bytes,
            cx: #private::Cx,
        ) -> ::core::result::Result<#private::BoxFuture<#output>, #private::DecodeError> {
            match message {
                #(#arms)*
                other => ::core::result::Result::Err(#private::unknown_message(other)),
            }
        }
    })
}

fn arm(model: &Model, at: usize, message: &Message) -> TokenStream {
    let (private, ident) = (private(model), &model.ident);
    let (at, ty, method) = (index(at), message.ty(), &message.method);
    let (binding, arguments) = match &message.payload {
        Payload::Own(_) => (quote!(message), quote!(message)),
        Payload::Generated(generated) if generated.fields.is_empty() => {
            (quote!(_), TokenStream::new())
        }
        Payload::Generated(generated) => {
            let fields = generated.fields.iter().map(|field| &field.ident);
            (quote!(message), quote!(#(message.#fields),*))
        }
    };
    let call = quote!(handler.#method(&cx, #arguments).await);
    let answer = match &message.kind {
        Kind::Request { reply, .. } => {
            // Spanned at the reply's type: that is where serde is missing, if it is.
            let answer = quote_spanned!(reply.span()=> #private::reply::<#reply, #ident>);
            quote!(#answer(cx.codec(), #call))
        }
        Kind::ClientVolatile { .. } => call,
        _ => quote!(#private::reply::<(), #ident>(cx.codec(), #call)),
    };
    quote! {
        #at => {
            let #binding: #ty = #private::decode_body(&body, cx.codec())?;
            ::core::result::Result::Ok(::std::boxed::Box::pin(async move { #answer }))
        }
    }
}

/// ```text
/// pub struct ChatServer;
/// ```
fn server(model: &Model, client: &Client) -> TokenStream {
    let (private, vis, ident) = (private(model), &model.vis, &model.ident);
    let name = client.protocol.ident("Server", ident);
    let handler = client.protocol.ident("Handler", ident);
    let events = &client.server;
    let doc = format!(" Where a server of the protocol `{}` begins.", client.protocol.name);
    quote! {
        #[doc = #doc]
        #[derive(::core::fmt::Debug, ::core::clone::Clone, ::core::marker::Copy)]
        #[allow(dead_code)]
        #vis struct #name;
        #[allow(dead_code)]
        impl #name {
            /// A server that `handler` answers for. The builder's `build` gives the server, which
            /// publishes and serves.
            #vis fn builder<__H>(handler: __H) -> #private::ServerBuilder<#ident>
            where
                __H: #handler,
                #events: #private::TopicHooks<__H>,
            {
                #private::ServerBuilder::new(#private::service::<#ident, __H>(handler))
            }
        }
    }
}

/// ```text
/// pub struct ChatClient { inner: Client<ChatCommand> }
/// ```
fn client_items(model: &Model, client: &Client) -> TokenStream {
    let (private, vis, ident) = (private(model), &model.vis, &model.ident);
    let (name, events) = (client.protocol.ident("Client", ident), &client.server);
    let methods = model.messages.iter().enumerate().filter(|(_, message)| !message.shadowed);
    let methods = methods.map(|(at, message)| method(model, client, at, message));
    let doc = format!(
        " A client of the protocol `{}`: a method per message of [`{ident}`].",
        client.protocol.name
    );
    let methods: Vec<TokenStream> = methods.collect();
    quote! {
        #[doc = #doc]
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
        #[allow(dead_code)]
        #vis struct #name {
            inner: #private::Client<#ident>,
        }
        #[allow(deprecated, dead_code)]
        impl #name {
            /// A client of the server at `url`; `connect` on the result opens the connection.
            #vis fn builder(url: impl ::core::convert::Into<::std::string::String>) -> #private::ClientBuilder<#name> {
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
            #(#methods)*
        }
        impl ::core::ops::Deref for #name {
            type Target = #private::Client<#ident>;
            fn deref(&self) -> &Self::Target {
                &self.inner
            }
        }
        impl #private::ClientStub for #name {
            type Commands = #ident;
            fn from_inner(inner: #private::Client<#ident>) -> Self {
                Self { inner }
            }
        }
    }
}

fn method(model: &Model, client: &Client, at: usize, message: &Message) -> TokenStream {
    let (private, vis, at) = (private(model), &model.vis, index(at));
    let attrs = attributes(message, &format!(" Sends [`{}::{}`].", model.ident, message.ident));
    let (method, parameters, allow, error) =
        (&message.method, parameters(message), many(message), error_type(model, client));
    let value = value(message);
    let encode =
        |message: TokenStream| quote!(#private::encode_body(&#message, self.inner.codec()));
    let (output, body) = match &message.kind {
        Kind::ClientVolatile { latest_by, .. } => {
            let (binding, message) = if latest_by.is_empty() {
                (TokenStream::new(), value)
            } else {
                let own = matches!(message.payload, Payload::Own(_));
                (
                    (!own).then(|| quote!(let message = #value;)).into_iter().collect(),
                    quote!(message),
                )
            };
            let (key, encoded) =
                (conflation(&private, latest_by, &quote!(message)), encode(message));
            (quote!(bool), quote!(#binding self.inner.volatile(#at, #key, #encoded)))
        }
        kind => {
            let reply = match kind {
                Kind::Request { reply, .. } => quote!(#reply),
                _ => quote!(()),
            };
            (
                quote!(#private::Call<#reply, #error>),
                quote!(#private::call(&self.inner, #at, &#value)),
            )
        }
    };
    let facts = format!(" {}", facts(message));
    quote! {
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
            limits.timeout_ms, limits.max_bytes
        )
    };
    match &message.kind {
        Kind::Request { ordered, limits, .. } => answered("The request", *ordered, *limits),
        Kind::Command { ordered, limits } => answered("The command", *ordered, *limits),
        _ => "May be lost and is never answered. `false` says that it was dropped here, for example while offline."
            .to_owned(),
    }
}

/// The message, from the method's parameters.
fn value(message: &Message) -> TokenStream {
    match &message.payload {
        Payload::Own(_) => quote!(message),
        Payload::Generated(Generated { name, fields, .. }) => {
            let fields = fields.iter().map(|field| &field.ident);
            quote!(#name { #(#fields),* })
        }
    }
}

/// What a volatile is conflated by, from its struct `message`.
pub(super) fn conflation(
    private: &TokenStream,
    latest_by: &[Ident],
    message: &TokenStream,
) -> TokenStream {
    if latest_by.is_empty() {
        return quote!(::core::result::Result::Ok(::std::string::String::new()));
    }
    quote!(#private::conflation_key(&(#(&#message.#latest_by,)*)))
}
