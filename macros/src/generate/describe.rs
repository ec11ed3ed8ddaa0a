//! The description of an enum as `steadfast_schema` data. It names only what differs from `EMPTY`,
//! and decides nothing.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::ToTokens;
use syn::Path;

use crate::hygiene::code;
use crate::model::{Client, Field, Id, Kind, Limits, Message, Model, Payload, Server, Topic};

/// The client enum's.
pub(super) fn client(model: &Model, client: &Client) -> TokenStream {
    let private = model.private();
    let (protocol, version) = (client.protocol().name(), client.version());
    let reserved = client.reserved();
    let common = common(model);
    code! {
        &#private::schema::ClientEnum {
            protocol: #protocol,
            version: #version,
            #common
            reserved: &[#(#reserved),*],
        }
    }
}

/// The server enum's.
pub(super) fn server(model: &Model, server: &Server) -> TokenStream {
    let private = model.private();
    let (protocol, reserved) = (server.protocol().name(), server.reserved());
    let topics = server.topics().iter().map(|of| topic(model, of));
    let common = common(model);
    code! {
        &#private::schema::ServerEnum {
            protocol: #protocol,
            topics: &[#(#topics),*],
            #common
            reserved: &[#(#reserved),*],
        }
    }
}

/// The error enum's.
pub(super) fn error(model: &Model) -> TokenStream {
    let private = model.private();
    let common = common(model);
    code!(&#private::schema::ErrorEnum { #common })
}

fn common(model: &Model) -> TokenStream {
    let (rust_name, docs) = (model.ident().to_string(), model.docs());
    let messages = model.messages().iter().map(|of| message(model, of));
    code! {
        rust_name: #rust_name,
        docs: #docs,
        messages: &[#(#messages),*],
    }
}

fn message(model: &Model, message: &Message) -> TokenStream {
    let private = model.private();
    let (name, rust_name, docs) = (message.wire(), message.ident().to_string(), message.docs());
    let docs = (!docs.is_empty()).then(|| code!(docs: #docs,));
    let aliases = message.aliases();
    let aliases = (!aliases.is_empty()).then(|| code!(aliases: &[#(#aliases),*],));
    let deprecated =
        message.deprecated().map(|note| code!(deprecated: ::core::option::Option::Some(#note),));
    let kind = kind(private, message);
    let id = message.id().map(|of| id(private, message, of));
    let payload = match message.payload() {
        Payload::Generated(generated) if generated.fields().is_empty() => TokenStream::new(),
        Payload::Generated(generated) => {
            let fields = generated.fields().iter().map(|of| field(private, of));
            code!(fields: &[#(#fields),*],)
        }
        Payload::Own(ty) => {
            let ty = type_text(ty);
            code!(payload: ::core::option::Option::Some(#ty),)
        }
    };
    let schema = model.json_schema().then(|| json_schema(private, message));
    code! {
        #private::schema::Message {
            name: #name,
            #aliases
            rust_name: #rust_name,
            #docs
            #deprecated
            #kind
            #id
            #payload
            #schema
            ..#private::schema::Message::EMPTY
        }
    }
}

fn json_schema(private: &Path, message: &Message) -> TokenStream {
    let body = match message.kind() {
        // An error without fields has no struct.
        Kind::Error if message.generated().is_some_and(|it| it.fields().is_empty()) => {
            code!(#private::Empty)
        }
        _ => message.ty().into_token_stream(),
    };
    let body = describe(private, &code!(json_schema), &body);
    let reply = match message.kind() {
        Kind::Request { reply, .. } => describe(private, &code!(reply_json_schema), reply),
        _ => TokenStream::new(),
    };
    code!(#body #reply)
}

fn describe(private: &Path, member: &TokenStream, ty: &impl ToTokens) -> TokenStream {
    code! {
        #member: ::core::option::Option::Some(
            <#ty as #private::schemars::JsonSchema>::json_schema,
        ),
    }
}

fn kind(private: &Path, message: &Message) -> Option<TokenStream> {
    let names = |fields: &[Ident]| -> Vec<String> {
        fields.iter().map(|field| message.wire_field(field)).collect()
    };
    let kind = match message.kind() {
        Kind::Request { reply, ordered, limits } => {
            let (reply, limits) = (type_text(reply), limits_of(*limits));
            code!(Request { reply: #reply, ordered: #ordered, #limits })
        }
        Kind::Command { ordered, limits } => {
            let limits = limits_of(*limits);
            code!(Command { ordered: #ordered, #limits })
        }
        Kind::ClientVolatile { latest_by, limits } => {
            let (latest_by, limits) = (names(latest_by), limits_of(*limits));
            code!(ClientVolatile { latest_by: &[#(#latest_by),*], #limits })
        }
        Kind::Event { topic } => {
            let topic = index(*topic);
            code!(Event { topic: #topic })
        }
        Kind::Snapshot { topic } => {
            let topic = index(*topic);
            code!(Snapshot { topic: #topic })
        }
        Kind::TopicVolatile { topic, latest_by } => {
            let (topic, latest_by) = (index(*topic), names(latest_by));
            code!(TopicVolatile { topic: #topic, latest_by: &[#(#latest_by),*] })
        }
        Kind::Direct { max_bytes } => {
            let max_bytes = plain(u64::from(*max_bytes));
            code!(Direct { max_bytes: #max_bytes })
        }
        Kind::Error => return None,
    };
    Some(code!(kind: #private::schema::Kind::#kind,))
}

fn id(private: &Path, message: &Message, id: &Id) -> TokenStream {
    let (field, keep) = (message.wire_field(id.field()), plain(id.keep_ms()));
    code! {
        id: ::core::option::Option::Some(#private::schema::MessageId {
            field: #field,
            keep_ms: #keep,
        }),
    }
}

fn limits_of(limits: Limits) -> TokenStream {
    let (timeout, size) = (plain(limits.timeout_ms()), plain(u64::from(limits.max_bytes())));
    code!(timeout_ms: #timeout, max_bytes: #size)
}

fn topic(model: &Model, topic: &Topic) -> TokenStream {
    let private = model.private();
    let (name, rust_name) = (topic.wire(), topic.ident().to_string());
    let (key_field, key_type) = (topic.field().to_string(), type_text(topic.ty()));
    let (replay, ttl) = (plain(u64::from(topic.replay())), plain(topic.ttl_ms()));
    let size = plain(u64::from(topic.max_bytes()));
    let has_snapshot = topic.snapshot().is_some();
    let schema =
        model.json_schema().then(|| describe(private, &code!(key_json_schema), topic.ty()));
    code! {
        #private::schema::Topic {
            name: #name,
            rust_name: #rust_name,
            key_field: #key_field,
            key_type: #key_type,
            replay: #replay,
            ttl_ms: #ttl,
            has_snapshot: #has_snapshot,
            max_bytes: #size,
            #schema
            ..#private::schema::Topic::EMPTY
        }
    }
}

fn field(private: &Path, field: &Field) -> TokenStream {
    let (name, rust_name) = (field.wire(), field.ident().to_string());
    let (ty, aliases) = (type_text(field.ty()), field.aliases());
    let aliases = (!aliases.is_empty()).then(|| code!(aliases: &[#(#aliases),*],));
    let with = field.with().map(|with| code!(with: ::core::option::Option::Some(#with),));
    let optional = field.optional().then(|| code!(optional: true,));
    let docs = field.docs();
    let docs = (!docs.is_empty()).then(|| code!(docs: #docs,));
    code! {
        #private::schema::Field {
            name: #name,
            #aliases
            rust_name: #rust_name,
            ty: #ty,
            #with
            #optional
            #docs
            ..#private::schema::Field::EMPTY
        }
    }
}

/// An index as generated code writes it: without a suffix, as a person would.
pub(super) fn index(at: usize) -> Literal {
    Literal::usize_unsuffixed(at)
}

fn plain(number: u64) -> Literal {
    Literal::u64_unsuffixed(number)
}

/// A type as a person writes it: `Vec<ChatMessage>`.
pub(super) fn type_text(ty: &impl ToTokens) -> String {
    let text = ty.to_token_stream().to_string();
    let mut tidy =
        text.replace(" ,", ",").replace(" :: ", "::").replace(":: ", "::").replace(" ::", "::");
    for bracket in ["<", "(", "[", "& "] {
        let open = bracket.trim_end();
        tidy = tidy.replace(&format!("{open} "), open);
    }
    for bracket in ["<", ">", ")", "]"] {
        tidy = tidy.replace(&format!(" {bracket}"), bracket);
    }
    tidy
}
