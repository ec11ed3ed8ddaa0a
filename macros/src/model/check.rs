//! Raw attributes become a [`Model`]: a `check_` per rule. What is wrong is left out of the model,
//! so that the rest is still generated and one mistake stays one message.

use proc_macro2::Ident;
use syn::{Data, DataEnum, DeriveInput, Path, parse_quote};

use super::kind::Surroundings;
use super::message::{Limits, Message};
use super::names::check_wire_name;
use super::protocol::{Client, Model, Protocol, RoleModel, Server, Topic};
use super::topics::{check_topics, with_snapshots};
use super::unique::{check_methods, check_payloads, check_structs, check_views, check_wire_names};
use super::variant::{Read, read_variant, strays};
use crate::attr::{EnumAttrs, Role, SerdeEnum, allowed, docs};
use crate::case::upper_camel;
use crate::ctxt::Ctxt;
use crate::units::{duration_ms, size_bytes};

/// Everything that can be generated; `None` if the enum's own attributes don't say enough.
pub(crate) fn check(input: &DeriveInput, attrs: &EnumAttrs, ctxt: &Ctxt) -> Option<Model> {
    let data = check_shape(input, ctxt);
    let role = check_role(input, attrs, ctxt);
    let (data, role) = (data?, role?);
    let protocol = check_protocol(input, attrs, role, ctxt);
    let topics: Vec<Topic> = check_topics(attrs, ctxt);
    let declared: Vec<Ident> = attrs.topics.iter().map(|topic| topic.name.clone()).collect();
    let around = Surroundings {
        role,
        ident: &input.ident,
        serde: SerdeEnum::read(&input.attrs, ctxt),
        limits: check_limits(attrs, ctxt),
        topics: &topics,
        declared: &declared,
    };
    let (mut messages, unknown) = read_variants(data, &around, ctxt);
    let lost_topic = topics.len() < declared.len();
    let reserved = check_reserved(attrs, ctxt);
    check_wire_names(&messages, &reserved, ctxt);
    let unknown = check_unknown(input, data, role, unknown, ctxt);
    check_structs(&mut messages, (&input.ident, &topics), ctxt);
    let role = match role {
        Role::Client => {
            check_methods(&mut messages, ctxt);
            // The same struct may come with two commands: a command is known by its index.
            check_payloads(&mut messages, false, ctxt);
            RoleModel::Client(client(input, attrs, protocol, reserved, ctxt)?)
        }
        Role::Server => {
            check_payloads(&mut messages, true, ctxt);
            check_views(&mut messages, &topics, unknown.as_ref(), ctxt);
            let topics = with_snapshots(topics, &messages, ctxt);
            let (error, strays) = (error(attrs), strays(data, &messages));
            RoleModel::Server(Server { protocol: protocol?, error, topics, strays, reserved })
        }
        Role::Error => RoleModel::Error { own_display: attrs.own_display },
    };
    Some(Model {
        ident: input.ident.clone(),
        vis: input.vis.clone(),
        docs: docs(&input.attrs),
        private: private(attrs),
        lints: allowed(input, data),
        partial: lost_topic
            || messages.len() + usize::from(unknown.is_some()) < data.variants.len(),
        messages,
        unknown,
        json_schema: check_json_schema(attrs, ctxt),
        role,
    })
}

fn read_variants(
    data: &DataEnum,
    around: &Surroundings<'_>,
    ctxt: &Ctxt,
) -> (Vec<Message>, Vec<Ident>) {
    let (mut messages, mut unknown) = (Vec::new(), Vec::new());
    for variant in &data.variants {
        match read_variant(variant, around, ctxt) {
            Some(Read::Message(message)) => messages.push(*message),
            Some(Read::Unknown(ident)) => unknown.push(ident),
            None => {}
        }
    }
    (messages, unknown)
}

/// The module of the runtime that generated code may name.
pub(crate) fn private(attrs: &EnumAttrs) -> Path {
    match &attrs.krate {
        Some(krate) => parse_quote!(#krate::private),
        None => parse_quote!(::steadfast::private),
    }
}

/// What commands or snapshot hooks fail with.
pub(crate) fn error(attrs: &EnumAttrs) -> Path {
    attrs.error.clone().unwrap_or_else(|| {
        let private = private(attrs);
        parse_quote!(#private::NoError)
    })
}

/// schemars is there only with the feature; without the key the feature changes nothing, so that
/// one crate's choice asks nothing of another's types.
fn check_json_schema(attrs: &EnumAttrs, ctxt: &Ctxt) -> bool {
    let Some(key) = &attrs.json_schema else { return false };
    if !cfg!(feature = "schema") {
        ctxt.error(
            key,
            "`json_schema` needs the feature `schema` of `steadfast`; switch it on in Cargo.toml",
        );
    }
    cfg!(feature = "schema")
}

fn check_shape<'a>(input: &'a DeriveInput, ctxt: &Ctxt) -> Option<&'a DataEnum> {
    let data = match &input.data {
        Data::Enum(data) => data,
        _ => {
            ctxt.error(
                &input.ident,
                "`WsProtocol` goes on an enum whose variants are the messages",
            );
            return None;
        }
    };
    if input.generics.params.is_empty() && input.generics.where_clause.is_none() {
        return Some(data);
    }
    let message = "a message enum has no type parameters and no lifetimes: a message is known by \
                   its name alone, and owns its data";
    ctxt.error(&input.generics, message);
    None
}

fn check_role(input: &DeriveInput, attrs: &EnumAttrs, ctxt: &Ctxt) -> Option<Role> {
    if attrs.role.is_none() && !attrs.refused {
        let message = "say which side sends these messages: `#[ws(client, ..)]`, \
                       `#[ws(server, ..)]` or `#[ws(error)]`";
        ctxt.error(&input.ident, message);
    }
    attrs.role
}

fn check_protocol(
    input: &DeriveInput,
    attrs: &EnumAttrs,
    role: Role,
    ctxt: &Ctxt,
) -> Option<Protocol> {
    if role == Role::Error {
        return None;
    }
    let name = required(input, attrs, attrs.protocol.as_ref(), "protocol = \"chat\"", ctxt)?;
    check_wire_name(&name.value(), name.span(), ctxt);
    let stem = upper_camel(&name.value());
    if syn::parse_str::<Ident>(&format!("{stem}Client")).is_err() {
        ctxt.error(
            name,
            format!(
                "`{}` has to begin with a letter: `ChatClient` is named after `chat`",
                name.value()
            ),
        );
        return None;
    }
    Some(Protocol { name: name.value(), stem })
}

fn required<'a, T>(
    input: &DeriveInput,
    attrs: &EnumAttrs,
    value: Option<&'a T>,
    example: &str,
    ctxt: &Ctxt,
) -> Option<&'a T> {
    if value.is_none() && !attrs.refused {
        let word = attrs.role.map_or("", Role::word);
        ctxt.error(&input.ident, format!("`#[ws({word}, ..)]` needs `{example}`"));
    }
    value
}

fn client(
    input: &DeriveInput,
    attrs: &EnumAttrs,
    protocol: Option<Protocol>,
    reserved: Vec<String>,
    ctxt: &Ctxt,
) -> Option<Client> {
    let version = required(input, attrs, attrs.version.as_ref(), "version = \"1.0\"", ctxt);
    let server = required(input, attrs, attrs.server.as_ref(), "server = ChatEvent", ctxt);
    Some(Client {
        protocol: protocol?,
        version: version?.value(),
        server: server?.clone(),
        error: error(attrs),
        reserved,
    })
}

fn check_limits(attrs: &EnumAttrs, ctxt: &Ctxt) -> Limits {
    let timeout = attrs.timeout.as_ref().and_then(|lit| ctxt.ok(duration_ms(lit)));
    let size = attrs.max_bytes.as_ref().and_then(|lit| ctxt.ok(size_bytes(lit)));
    Limits {
        timeout_ms: timeout.unwrap_or(Limits::DEFAULT.timeout_ms),
        max_bytes: size.unwrap_or(Limits::DEFAULT.max_bytes),
    }
}

fn check_reserved(attrs: &EnumAttrs, ctxt: &Ctxt) -> Vec<String> {
    let mut reserved: Vec<String> = Vec::new();
    for name in &attrs.reserved {
        check_wire_name(&name.value(), name.span(), ctxt);
        if reserved.contains(&name.value()) {
            ctxt.error(name, format!("`{}` is reserved already", name.value()));
        }
        reserved.push(name.value());
    }
    reserved
}

fn check_unknown(
    input: &DeriveInput,
    data: &DataEnum,
    role: Role,
    unknown: Vec<Ident>,
    ctxt: &Ctxt,
) -> Option<Ident> {
    if let Some(second) = unknown.get(1) {
        ctxt.error(second, "one variant is enough for all unknown messages");
    }
    let tried = data.variants.iter().any(|variant| variant.ident == "Unknown");
    if role != Role::Client && unknown.is_empty() && !tried {
        let message = "newer peers send what this build does not know; add a variant for it: \
                       `#[ws(unknown)] Unknown(steadfast::UnknownMessage)`";
        ctxt.error(&input.ident, message);
    }
    unknown.into_iter().next()
}
