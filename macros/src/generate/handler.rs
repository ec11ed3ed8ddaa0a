//! The server's side of the client enum: the handler's trait, the way from a message's index to its
//! method, and where a server begins. Order, deadlines and records are the runtime's.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned;

use super::describe::index;
use super::message::attributes;
use super::parameters::{context, many, parameters};
use crate::hygiene::code;
use crate::model::{Client, Kind, Message, Model, Payload};

/// ```text
/// pub trait ChatHandler: Send + Sync + 'static {
///     fn post(&self, cx: &Cx, room: RoomId, text: String)
///     -> impl Future<Output = Result<MessageId, ChatError>> + Send;
/// }
/// ```
pub(super) fn handler(model: &Model, client: &Client) -> TokenStream {
    let (vis, ident) = (model.vis(), model.ident());
    let handler = client.protocol().ident("Handler", ident);
    let methods = model.messages().iter().map(|message| method(model, client, message));
    let doc = format!(" Answers the messages of [`{ident}`]: a method per message.");
    let message = format!("`{{Self}}` does not answer the messages of `{ident}`");
    let note = format!("write `impl {handler} for {{Self}}`, with an `async fn` per message");
    let private = model.private();
    code! {
        #[doc = #doc]
        ///
        /// # Cancellation
        /// A handler is dropped at its next await when its time is over, or when nobody needs its
        /// answer any more; then nothing that it published is committed. It outlives the connection
        /// that it came by.
        #[diagnostic::on_unimplemented(message = #message, note = #note)]
        #vis trait #handler: ::core::marker::Send + ::core::marker::Sync + 'static {
            /// On which store's transactions commands end: those of a durable store's crate, as in
            /// `Transacts::on::<LocalStore>()`, if a handler calls `cx.transact`.
            const TRANSACTS: #private::Transacts = #private::Transacts::NEVER;
            #(#methods)*
        }
    }
}

fn method(model: &Model, client: &Client, message: &Message) -> TokenStream {
    let (private, error) = (model.private(), client.error());
    let attrs =
        attributes(message, &format!(" Answers [`{}::{}`].", model.ident(), message.ident()));
    let (method, parameters, allow) = (message.method(), parameters(message), many(message));
    let cx = context(message);
    let output = match message.kind() {
        Kind::Request { reply, .. } => code!(::core::result::Result<#reply, #error>),
        Kind::ClientVolatile { .. } => code!(()),
        _ => code!(::core::result::Result<(), #error>),
    };
    code! {
        #attrs
        #allow
        fn #method(
            &self,
            #cx: &#private::Cx,
            #parameters
        ) -> impl ::core::future::Future<Output = #output> + ::core::marker::Send;
    }
}

/// One match per way in: decode, call the handler, encode.
pub(super) fn dispatch(model: &Model, client: &Client) -> TokenStream {
    let (private, ident) = (model.private(), model.ident());
    let handler = client.protocol().ident("Handler", ident);
    let (mut execute, mut volatile) = (Vec::new(), Vec::new());
    for (at, message) in model.messages().iter().enumerate() {
        let arm = arm(model, at, message);
        if matches!(message.kind(), Kind::ClientVolatile { .. }) {
            volatile.push(arm)
        } else {
            execute.push(arm)
        }
    }
    let ids = ids(model);
    let execute = entrance(model, code!(execute), code!(#private::Outcome), &execute);
    let volatile = entrance(model, code!(volatile), code!(()), &volatile);
    code! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl<__H: #handler> #private::CommandHooks<__H> for #ident {
            fn transacts() -> #private::Transacts {
                <__H as #handler>::TRANSACTS
            }
            #ids
            #execute
            #volatile
        }
    }
}

/// How the ids of those messages are read that declare one.
fn ids(model: &Model) -> Option<TokenStream> {
    let private = model.private();
    let arms = model.messages().iter().enumerate().filter_map(|(at, message)| {
        let (at, ty, field) = (index(at), message.ty(), message.id()?.field());
        // Spanned at the field's name: of the user's own struct only the compiler knows whether it
        // has the field.
        let of = Ident::new("message", field.span());
        let field = quote_spanned!(field.span()=> |#of: #ty| #of.#field);
        Some(code!(#at => #private::message_id(body, codec, #field),))
    });
    let arms: Vec<TokenStream> = arms.collect();
    (!arms.is_empty()).then(|| {
        code! {
            fn message_id(
                message: u16,
                body: &[u8],
                codec: #private::Codec,
            ) -> ::core::option::Option<::std::string::String> {
                match message {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    })
}

fn entrance(
    model: &Model,
    name: TokenStream,
    output: TokenStream,
    arms: &[TokenStream],
) -> Option<TokenStream> {
    let private = model.private();
    (!arms.is_empty()).then(|| {
        code! {
            fn #name(
                handler: ::std::sync::Arc<__H>,
                message: u16,
                body: &[u8],
                cx: #private::Cx,
            ) -> ::core::result::Result<#private::BoxFuture<#output>, #private::DecodeError> {
                match message {
                    #(#arms)*
                    other => ::core::result::Result::Err(#private::unknown_message(other)),
                }
            }
        }
    })
}

fn arm(model: &Model, at: usize, message: &Message) -> TokenStream {
    let (private, ident) = (model.private(), model.ident());
    let (at, ty, method) = (index(at), message.ty(), message.method());
    let (binding, arguments) = match message.payload() {
        Payload::Own(_) => (code!(message), code!(message)),
        Payload::Generated(generated) if generated.fields().is_empty() => {
            (code!(_), TokenStream::new())
        }
        Payload::Generated(generated) => {
            let fields = generated.idents();
            (code!(message), code!(#(message.#fields),*))
        }
    };
    let call = code!(handler.#method(&cx, #arguments).await);
    let answer = match message.kind() {
        Kind::Request { reply, .. } => {
            // Spanned at the reply's type: that is where serde is missing, if it is.
            let answer = quote_spanned!(reply.span()=> #private::reply::<#reply, #ident>);
            code!(#answer(cx.codec(), #call))
        }
        Kind::ClientVolatile { .. } => call,
        _ => code!(#private::reply::<(), #ident>(cx.codec(), #call)),
    };
    code! {
        #at => {
            let #binding: #ty = #private::decode_body(body, cx.codec())?;
            ::core::result::Result::Ok(::std::boxed::Box::pin(async move { #answer }))
        }
    }
}

/// ```text
/// pub struct ChatServer;
/// ```
pub(super) fn server(model: &Model, client: &Client) -> TokenStream {
    let (private, vis, ident) = (model.private(), model.vis(), model.ident());
    let name = client.protocol().ident("Server", ident);
    let handler = client.protocol().ident("Handler", ident);
    let events = client.server();
    let doc = format!(" Where a server of the protocol `{}` begins.", client.protocol().name());
    code! {
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
