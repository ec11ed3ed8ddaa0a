//! The server's side of the client enum: the handler's trait, the way from a message's index to its
//! method, and where a server begins. Order, deadlines and records are the runtime's.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::spanned::Spanned;

use super::describe::index;
use super::message::{attributes, member};
use super::parameters::{context, many, parameters};
use crate::hygiene::{code, derived};
use crate::model::{Client, Kind, Message, Model, Payload};

/// ```text
/// pub trait ChatHandler: Send + Sync + 'static {
///     fn session_resumed(&self, who: &Principal) {}
///     fn post(&self, cx: &Cx, room: RoomId, text: String)
///     -> impl Future<Output = Result<MessageId, ChatError>> + Send;
/// }
/// ```
pub(super) fn handler(model: &Model, client: &Client) -> TokenStream {
    let (vis, ident) = (model.vis(), model.ident());
    let handler = client.protocol().ident("Handler", ident);
    let methods = model.messages().iter().map(|message| method(model, client, message));
    let doc = format!(" Answers the messages of [`{ident}`]: a method per message.");
    let (private, lints) = (model.private(), model.lints());
    code! {
        #[doc = #doc]
        ///
        /// # Cancellation
        /// A handler is dropped at its next await when its time is over, or when nobody needs its
        /// answer any more; then nothing that it published is committed. It outlives the connection
        /// that it came by.
        #(#lints)*
        #vis trait #handler: ::core::marker::Send + ::core::marker::Sync + 'static {
            /// On which store's transactions commands end: those of a durable store's crate, as in
            /// `Transacts::on::<LocalStore>()`, if a handler calls `cx.transact`.
            const TRANSACTS: #private::Transacts = #private::Transacts::NEVER;
            /// A client of `who` has come back, and its session goes on: what was under way arrives,
            /// once. Must not block; a panic is logged. Does nothing by default.
            fn session_resumed(&self, _who: &#private::Principal) {}
            /// A client of `who` has come back, and its session could not go on: it begins a new one.
            /// Its commands and topics go on by themselves. Must not block; a panic is logged. Does
            /// nothing by default.
            fn session_reset(&self, _who: &#private::Principal, _why: #private::ResumeFailure) {}
            #(#methods)*
        }
    }
}

fn method(model: &Model, client: &Client, message: &Message) -> TokenStream {
    let (private, error) = (model.private(), client.error());
    let attrs =
        attributes(message, &format!(" Answers [`{}::{}`].", model.ident(), message.ident()));
    let (method, parameters) = (derived(message.method()), parameters(message, &code!(message)));
    let allow = many(message);
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
        let arm = arm(model, &handler, at, message);
        if matches!(message.kind(), Kind::ClientVolatile { .. }) {
            volatile.push(arm)
        } else {
            execute.push(arm)
        }
    }
    let (ids, lints) = (ids(model), model.lints());
    let execute = entrance(model, code!(execute), code!(#private::Outcome), &execute);
    let volatile = entrance(model, code!(volatile), code!(()), &volatile);
    code! {
        #[automatically_derived]
        #(#lints)*
        impl<__H: #handler> #private::CommandHooks<__H> for #ident {
            fn transacts() -> #private::Transacts {
                <__H as #handler>::TRANSACTS
            }
            fn returned(
                __handler: &__H,
                __who: &#private::Principal,
                __session: ::core::result::Result<(), #private::ResumeFailure>,
            ) {
                match __session {
                    ::core::result::Result::Ok(()) => {
                        <__H as #handler>::session_resumed(__handler, __who);
                    }
                    ::core::result::Result::Err(__why) => {
                        <__H as #handler>::session_reset(__handler, __who, __why);
                    }
                }
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
        let (at, ty) = (index(at), message.ty());
        let field = member(message, message.id()?.field());
        // Spanned at the field's name: of the user's own struct only the compiler knows whether it
        // has the field.
        let of = Ident::new("__message", field.span());
        let field = quote_spanned!(field.span()=> |#of: #ty| #of.#field);
        Some(code!(#at => #private::message_id(__body, __codec, #field),))
    });
    let arms: Vec<TokenStream> = arms.collect();
    (!arms.is_empty()).then(|| {
        code! {
            fn message_id(
                __message: ::core::primitive::u16,
                __body: &[::core::primitive::u8],
                __codec: #private::Codec,
            ) -> ::core::option::Option<::std::string::String> {
                match __message {
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
                __handler: ::std::sync::Arc<__H>,
                __message: ::core::primitive::u16,
                __body: &[::core::primitive::u8],
                __cx: #private::Cx,
            ) -> ::core::result::Result<#private::BoxFuture<#output>, #private::DecodeError> {
                match __message {
                    #(#arms)*
                    __other => ::core::result::Result::Err(#private::unknown_message(__other)),
                }
            }
        }
    })
}

fn arm(model: &Model, handler: &Ident, at: usize, message: &Message) -> TokenStream {
    let (private, ident) = (model.private(), model.ident());
    let (at, ty, method) = (index(at), message.ty(), derived(message.method()));
    let (binding, arguments) = match message.payload() {
        Payload::Own(_) => (code!(__message), code!(__message)),
        Payload::Generated(generated) if generated.fields().is_empty() => {
            (code!(_), TokenStream::new())
        }
        Payload::Generated(generated) => {
            let fields = generated.idents().map(|field| member(message, field));
            (code!(__message), code!(#(__message.#fields),*))
        }
    };
    let call = code!(<__H as #handler>::#method(&*__handler, &__cx, #arguments).await);
    let answer = match message.kind() {
        Kind::Request { reply, .. } => {
            // Spanned at the reply's type: that is where serde is missing, if it is.
            let answer = quote_spanned!(reply.span()=> #private::reply::<#reply, #ident>);
            code!(#answer(#private::Cx::codec(&__cx), #call))
        }
        Kind::ClientVolatile { .. } => call,
        _ => code!(#private::reply::<(), #ident>(#private::Cx::codec(&__cx), #call)),
    };
    code! {
        #at => {
            let #binding: #ty = #private::decode_body(__body, #private::Cx::codec(&__cx))?;
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
        #vis struct #name;
        impl #name {
            /// A server that the handler answers for. The builder's `build` gives the server, which
            /// publishes and serves.
            #vis fn builder<__H>(__handler: __H) -> #private::ServerBuilder<#ident>
            where
                __H: #handler,
                #events: #private::TopicHooks<__H>,
            {
                #private::ServerBuilder::new(#private::service::<#ident, __H>(__handler))
            }
        }
    }
}
