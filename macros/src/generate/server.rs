//! What the server enum becomes: a struct per message, a key type per topic, and what may be
//! published. The hooks that answer for topics are `hooks`'.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote_spanned;

use super::describe::index;
use super::expansion::Expansion;
use super::message::{Use, conflation, into_enum, member, named, pattern, reads, structure};
use super::{describe, hooks, views};
use crate::fallback;
use crate::hygiene::{code, derived};
use crate::model::{Kind, Message, Model, Server, Topic};

pub(super) fn expand(model: &Model, server: &Server) -> Expansion {
    let common = common(model, server);
    if model.partial() {
        // As with handlers: a trait that lacks a hook is reported once more, one that is not there
        // is not. A topic whose snapshot may have been left out has no key type either.
        let strays = fallback::strays(model.private(), model.ident(), server.strays());
        let topics = server.topics();
        let server = fallback::hooks(model.private(), model.ident());
        let client = views::stand_ins(model, known(model, topics).map(|(_, topic)| topic));
        return Expansion { common: code!(#common #strays), client, server };
    }
    Expansion {
        common,
        client: views::views(model, server),
        server: [hooks::topics(model, server), hooks::hooks(model, server)].into_iter().collect(),
    }
}

fn common(model: &Model, server: &Server) -> TokenStream {
    let (private, ident, lints) = (model.private(), model.ident(), model.lints());
    let messages = model.messages().iter().map(|message| {
        let (structure, named) = (structure(model, message, Use::Public), named(model, message));
        let (into_enum, delivery) = (into_enum(model, message), delivery(model, server, message));
        code!(#structure #named #into_enum #delivery)
    });
    let keys = known(model, server.topics()).map(|(at, topic)| key(model, at, topic));
    let description = describe::server(model, server);
    let (decode, reads) = (decode(model), reads(model));
    code! {
        #(#messages)*
        #(#keys)*
        #reads
        #[automatically_derived]
        #(#lints)*
        impl #private::ServerEnum for #ident {
            const DESCRIPTION: &'static #private::schema::ServerEnum = #description;
            #decode
        }
    }
}

/// The topics that have a key type, by their index.
fn known<'a>(model: &'a Model, topics: &'a [Topic]) -> impl Iterator<Item = (usize, &'a Topic)> {
    let topics = topics.iter().enumerate();
    topics.filter(|(_, topic)| !model.partial() || topic.snapshot().is_some())
}

/// One match for all names; what does not fit is the unknown variant's.
fn decode(model: &Model) -> TokenStream {
    let private = model.private();
    let arms = model.messages().iter().map(|message| {
        let (pattern, ty) = (pattern(message), message.ty());
        code! {
            #pattern => #private::decode_body::<#ty>(__body, __codec)
                .map(::core::convert::Into::into),
        }
    });
    // Without such a variant there was a mistake, and this is not going to run.
    let unknown = match model.unknown().map(derived) {
        Some(unknown) => code!(Self::#unknown(#private::undecoded(__name, __body, __error))),
        None => code!({
            let _ = (__name, __body, __error);
            ::core::unreachable!()
        }),
    };
    let codec = if model.messages().is_empty() { code!(_) } else { code!(__codec) };
    code! {
        fn decode(
            __name: &::core::primitive::str,
            __body: &[::core::primitive::u8],
            #codec: #private::Codec,
        ) -> Self {
            let __decoded = match __name {
                #(#arms)*
                _ => ::core::result::Result::Err(#private::DecodeError::UNKNOWN_NAME),
            };
            __decoded.unwrap_or_else(|__error| #unknown)
        }
    }
}

/// How a message gets out: it is published in a topic, is a topic's state, or goes to a session or
/// principal.
fn delivery(model: &Model, server: &Server, message: &Message) -> TokenStream {
    match message.kind() {
        Kind::Event { topic } => publish(model, message, *topic, server, None),
        Kind::TopicVolatile { topic, latest_by } => {
            publish(model, message, *topic, server, Some(latest_by))
        }
        Kind::Snapshot { .. } => snapshot(model, message),
        Kind::Direct { max_bytes } => direct(model, message, *max_bytes),
        _ => TokenStream::new(),
    }
}

fn snapshot(model: &Model, message: &Message) -> TokenStream {
    let (private, ty, names) = (model.private(), message.ty(), message.names());
    let lints = model.lints();
    code! {
        #[automatically_derived]
        #(#lints)*
        impl #private::SnapshotState for #ty {
            fn decode(
                __name: &::core::primitive::str,
                __body: &[::core::primitive::u8],
                __codec: #private::Codec,
            ) -> ::core::result::Result<Self, #private::DecodeError> {
                #private::decode_snapshot(&[#(#names),*], __name, __body, __codec)
            }
        }
    }
}

fn direct(model: &Model, message: &Message, max_bytes: u32) -> TokenStream {
    let (private, ident, ty) = (model.private(), model.ident(), message.ty());
    let (lints, max_bytes) = (model.lints(), Literal::u32_unsuffixed(max_bytes));
    code! {
        #[automatically_derived]
        #(#lints)*
        impl #private::Direct for #ty {
            const MAX_BYTES: ::core::primitive::u32 = #max_bytes;
            type Events = #ident;
        }
    }
}

fn publish(
    model: &Model,
    message: &Message,
    topic: usize,
    server: &Server,
    latest_by: Option<&Vec<Ident>>,
) -> TokenStream {
    let (private, ident, ty) = (model.private(), model.ident(), message.ty());
    let lints = model.lints();
    let (at, topic) = (index(topic), &server.topics()[topic]);
    let conflation = latest_by.map(|latest_by| {
        let key = conflation(model, message, latest_by, &code!(self));
        code! {
            fn conflation_key(
                &self,
            ) -> ::core::result::Result<
                ::core::option::Option<::std::string::String>,
                #private::EncodeError,
            > {
                #key.map(::core::option::Option::Some)
            }
        }
    });
    let (key, field) = (topic.ty(), own_field(message, topic.field()));
    // All of it is spanned at the field, where a wrong type is reported. So `self` is as well, and
    // the same one has to stand in the signature.
    let this = Ident::new("self", field.span());
    let topic_key = quote_spanned!(field.span()=> #private::topic_key::<#key>(&#this.#field));
    code! {
        #[automatically_derived]
        #(#lints)*
        impl #private::Publish for #ty {
            const TOPIC: ::core::primitive::u16 = #at;
            type Events = #ident;
            fn topic_key(
                &#this,
            ) -> ::core::result::Result<::std::string::String, #private::EncodeError> {
                #topic_key
            }
            #conflation
        }
    }
}

/// The field where the message has it, so that a wrong type is reported there.
fn own_field(message: &Message, field: &Ident) -> Ident {
    let at = message.field(field).map_or(message.ident(), |own| own.ident()).span();
    let mut field = field.clone();
    field.set_span(at);
    member(message, &field)
}

/// ```text
/// pub struct Room(pub RoomId);
/// ```
fn key(model: &Model, at: usize, topic: &Topic) -> TokenStream {
    let (private, vis, ident) = (model.private(), model.vis(), model.ident());
    let (at, name, ty) = (index(at), derived(topic.ident()), topic.ty());
    let lints = model.lints();
    let (snapshot, gap) = match topic.snapshot() {
        Some(snapshot) => (code!(#snapshot), code!(::core::convert::Infallible)),
        None => (code!(::core::convert::Infallible), code!(#private::Gap)),
    };
    let doc = format!(" Names one topic `{}` of [`{ident}`] by its key.", topic.wire());
    code! {
        #[doc = #doc]
        #(#lints)*
        #[derive(::core::fmt::Debug, ::core::clone::Clone)]
        #vis struct #name(#vis #ty);
        #[automatically_derived]
        #(#lints)*
        impl #private::TopicKey for #name {
            type Events = #ident;
            type Snapshot = #snapshot;
            type Gap = #gap;
            const TOPIC: ::core::primitive::u16 = #at;
            fn key(&self) -> ::core::result::Result<::std::string::String, #private::EncodeError> {
                #private::topic_key(&self.0)
            }
        }
    }
}
