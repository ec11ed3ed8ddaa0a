//! What the server enum becomes: a struct per message, a key type per topic, what may be published,
//! and the topics' hooks.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::client::conflation;
use super::describe::index;
use super::message::{Use, into_enum, named, pattern, reads, structure};
use super::{Expansion, describe, private};
use crate::model::{Kind, Message, Model, Payload, Server, Topic};

pub(super) fn expand(model: &Model, server: &Server) -> Expansion {
    Expansion {
        common: common(model, server),
        client: TokenStream::new(),
        server: [topics_trait(model, server), hooks(model, server)].into_iter().collect(),
    }
}

fn common(model: &Model, server: &Server) -> TokenStream {
    let (private, ident) = (private(model), &model.ident);
    let messages = model.messages.iter().map(|message| {
        let (structure, named) = (structure(model, message, Use::Public), named(model, message));
        let (into_enum, delivery) = (into_enum(model, message), delivery(model, server, message));
        quote!(#structure #named #into_enum #delivery)
    });
    let keys = server.topics.iter().enumerate().map(|(at, topic)| key(model, at, topic));
    let description = describe::server(model, server);
    let (decode, reads) = (decode(model), reads(model));
    quote! {
        #(#messages)*
        #(#keys)*
        #reads
        #[allow(deprecated)]
        impl #private::ServerEnum for #ident {
            const DESCRIPTION: &'static #private::schema::ServerEnum = #description;
            #decode
        }
    }
}

/// One match for all names; what does not fit is the unknown variant's.
fn decode(model: &Model) -> TokenStream {
    let private = private(model);
    let arms = model.messages.iter().map(|message| {
        let (pattern, ty) = (pattern(message), message.ty());
        quote!(#pattern => #private::decode_body::<#ty>(body, codec).map(::core::convert::Into::into),)
    });
    // Without such a variant there was a mistake, and this is not going to run.
    let unknown = match &model.unknown {
        Some(unknown) => quote!(Self::#unknown(#private::undecoded(name, body, error))),
        None => quote!({
            let _ = (name, body, error);
            ::core::unreachable!()
        }),
    };
    let codec = if model.messages.is_empty() { quote!(_) } else { quote!(codec) };
    quote! {
        fn decode(name: &str, body: &[u8], #codec: #private::Codec) -> Self {
            let decoded = match name {
                #(#arms)*
                _ => ::core::result::Result::Err(#private::DecodeError::UNKNOWN_NAME),
            };
            decoded.unwrap_or_else(|error| #unknown)
        }
    }
}

/// What only messages of a topic have: they are published, or they are its state.
fn delivery(model: &Model, server: &Server, message: &Message) -> TokenStream {
    let (private, ident, ty) = (private(model), &model.ident, message.ty());
    let (topic, latest_by) = match &message.kind {
        Kind::Event { topic } => (*topic, None),
        Kind::TopicVolatile { topic, latest_by } => (*topic, Some(latest_by)),
        Kind::Snapshot { .. } => {
            let names = std::iter::once(&message.wire).chain(&message.aliases);
            return quote! {
                #[allow(deprecated)]
                impl #private::SnapshotState for #ty {
                    fn decode(
                        name: &str,
                        body: &[u8],
                        codec: #private::Codec,
                    ) -> ::core::result::Result<Self, #private::DecodeError> {
                        #private::decode_snapshot(&[#(#names),*], name, body, codec)
                    }
                }
            };
        }
        _ => return TokenStream::new(),
    };
    let (at, Topic { field, ty: key, .. }) = (index(topic), &server.topics[topic]);
    let field = own_field(message, field);
    let conflation = latest_by.map(|latest_by| {
        let key = conflation(&private, latest_by, &quote!(self));
        quote! {
            fn conflation_key(
                &self,
            ) -> ::core::result::Result<::core::option::Option<::std::string::String>, #private::EncodeError> {
                #key.map(::core::option::Option::Some)
            }
        }
    });
    let topic_key = quote_spanned!(field.span()=> #private::topic_key::<#key>(&self.#field));
    quote! {
        #[allow(deprecated)]
        impl #private::Publish for #ty {
            const TOPIC: u16 = #at;
            type Events = #ident;
            fn topic_key(&self) -> ::core::result::Result<::std::string::String, #private::EncodeError> {
                #topic_key
            }
            #conflation
        }
    }
}

/// The field where the message has it, so that a wrong type is reported there.
fn own_field(message: &Message, field: &Ident) -> Ident {
    let own = match &message.payload {
        Payload::Generated(generated) => generated.fields.iter().find(|own| own.ident == *field),
        Payload::Own(_) => None,
    };
    let mut field = field.clone();
    field.set_span(own.map_or_else(|| message.ident.span(), |own| own.ident.span()));
    field
}

/// ```text
/// pub struct Room(pub RoomId);
/// ```
fn key(model: &Model, at: usize, topic: &Topic) -> TokenStream {
    let (private, vis, ident) = (private(model), &model.vis, &model.ident);
    let (at, Topic { ident: name, ty, .. }) = (index(at), topic);
    let (snapshot, gap) = match &topic.snapshot {
        Some(snapshot) => (quote!(#snapshot), quote!(::core::convert::Infallible)),
        None => (quote!(::core::convert::Infallible), quote!(#private::Gap)),
    };
    let doc = format!(" Names one topic `{}` of [`{ident}`] by its key.", topic.snake());
    quote! {
        #[doc = #doc]
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
        #[allow(missing_docs, dead_code)]
        #vis struct #name(#vis #ty);
        #[allow(deprecated)]
        impl #private::TopicKey for #name {
            type Events = #ident;
            type Snapshot = #snapshot;
            type Gap = #gap;
            const TOPIC: u16 = #at;
            fn key(&self) -> ::core::result::Result<::std::string::String, #private::EncodeError> {
                #private::topic_key(&self.0)
            }
        }
    }
}

fn error_type(model: &Model, server: &Server) -> TokenStream {
    let private = private(model);
    server.error.as_ref().map_or_else(|| quote!(#private::NoError), |error| quote!(#error))
}

/// ```text
/// pub trait ChatTopics: Send + Sync + 'static {
///     fn may_subscribe_room(&self, who: &Principal, room: &RoomId) -> impl Future<Output = Result<(), Denied>> + Send;
///     fn room_snapshot(&self, cx: &TopicCx, room: &RoomId) -> impl Future<Output = Result<ChatEventHistory, ChatError>> + Send;
/// }
/// ```
fn topics_trait(model: &Model, server: &Server) -> TokenStream {
    if server.topics.is_empty() {
        return TokenStream::new();
    }
    let (private, vis, ident) = (private(model), &model.vis, &model.ident);
    let name = server.protocol.ident("Topics", ident);
    let error = error_type(model, server);
    let hooks = server.topics.iter().map(|topic| {
        let Topic { ident: topic_name, field, ty, .. } = topic;
        let (authorize, hook) = (topic.authorize(), topic.snapshot_hook());
        let may = format!(" Whether `who` may follow the topic [`{topic_name}`] of this key. Asked for each subscription.");
        let snapshot = topic.snapshot.as_ref().map(|state| {
            let doc = format!(" The state of the topic [`{topic_name}`] of this key, at least as fresh as `cx` says.");
            quote! {
                #[doc = #doc]
                fn #hook(
                    &self,
                    cx: &#private::TopicCx,
                    #field: &#ty,
                ) -> impl ::core::future::Future<Output = ::core::result::Result<#state, #error>> + ::core::marker::Send;
            }
        });
        quote! {
            #[doc = #may]
            fn #authorize(
                &self,
                who: &#private::Principal,
                #field: &#ty,
            ) -> impl ::core::future::Future<Output = ::core::result::Result<(), #private::Denied>> + ::core::marker::Send;
            #snapshot
        }
    });
    let doc = format!(
        " Answers for the topics of [`{ident}`]: who may follow one, and what its state is."
    );
    let message = format!("`{{Self}}` does not answer for the topics of `{ident}`");
    let note =
        format!("write `impl {name} for {{Self}}`, with an `async fn may_subscribe_..` per topic");
    quote! {
        #[doc = #doc]
        ///
        /// # Cancellation
        /// A hook is dropped at its next await when the node's time for hooks is over, or nobody
        /// waits for it any more.
        #[diagnostic::on_unimplemented(message = #message, note = #note)]
        #[allow(deprecated, clippy::ptr_arg)]
        #vis trait #name: ::core::marker::Send + ::core::marker::Sync + 'static {
            #(#hooks)*
        }
    }
}

/// One match per hook: read the key, ask the handler.
fn hooks(model: &Model, server: &Server) -> TokenStream {
    let (private, ident) = (private(model), &model.ident);
    if server.topics.is_empty() {
        return quote!(impl<__H> #private::TopicHooks<__H> for #ident {});
    }
    let name = server.protocol.ident("Topics", ident);
    let topics = || server.topics.iter().enumerate().map(|(at, topic)| (index(at), topic));
    let authorize = topics().map(|(at, topic)| {
        let (hook, ty) = (topic.authorize(), &topic.ty);
        quote! {
            #at => #private::authorized(handler.#hook(&who, &#private::decode_topic_key::<#ty>(&key)?).await),
        }
    });
    let snapshots: Vec<TokenStream> = topics()
        .filter(|(_, topic)| topic.snapshot.is_some())
        .map(|(at, topic)| {
            let (hook, ty) = (topic.snapshot_hook(), &topic.ty);
            quote! {
                #at => {
                    let key = #private::snapshot_key::<#ty>(&key)?;
                    #private::snapshot_outcome(cx.codec(), handler.#hook(&cx, &key).await)
                }
            }
        })
        .collect();
    let snapshot = (!snapshots.is_empty()).then(|| {
        quote! {
            async fn snapshot(
                handler: &__H,
                cx: #private::TopicCx,
                topic: u16,
                key: ::std::string::String,
            ) -> #private::SnapshotOutcome {
                match topic {
                    #(#snapshots)*
                    other => #private::no_snapshot(other),
                }
            }
        }
    });
    quote! {
        #[allow(deprecated)]
        impl<__H: #name> #private::TopicHooks<__H> for #ident {
            async fn authorize(
                handler: &__H,
                who: #private::Principal,
                topic: u16,
                key: ::std::string::String,
            ) -> ::core::result::Result<(), #private::Unauthorized> {
                match topic {
                    #(#authorize)*
                    _ => #private::unknown_topic(),
                }
            }
            #snapshot
        }
    }
}
