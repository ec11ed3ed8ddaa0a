//! One variant: attributes and fields → [`Message`].

use proc_macro2::Ident;
use syn::{Attribute, Fields, Lit, Type, Variant};

use super::names::{check_wire_name, method_ident, plain};
use super::{Field, Generated, Kind, Limits, Message, Payload, Topic};
use crate::attr::{
    FieldAttrs, KindAttr, RawKind, Role, SerdeEnum, SerdeVariant, VariantAttrs, deprecated, docs,
};
use crate::case::snake;
use crate::ctxt::Ctxt;
use crate::suggest::{did_you_mean, one_of};
use crate::units::{duration_ms, size_bytes};

/// What a variant's meaning depends on.
pub(super) struct Surroundings<'a> {
    pub role: Role,
    /// The enum's name.
    pub ident: &'a Ident,
    pub serde: SerdeEnum,
    pub limits: Limits,
    pub topics: &'a [Topic],
    /// Also those topics that had a mistake of their own.
    pub declared: &'a [Ident],
}

/// What a variant turned out to be.
pub(super) enum Read {
    Message(Box<Message>),
    Unknown(Ident),
}

/// `None` if it is wrong; that was reported.
pub(super) fn read_variant(
    variant: &Variant,
    around: &Surroundings<'_>,
    ctxt: &Ctxt,
) -> Option<Read> {
    let attrs = VariantAttrs::read(&variant.attrs, around.role, ctxt);
    let serde = SerdeVariant::read(&variant.attrs, ctxt);
    if matches!(attrs.kind, Some(KindAttr { kind: RawKind::Unknown, .. })) {
        return check_unknown(variant, around, ctxt).map(Read::Unknown);
    }
    if let Some(skip) = &serde.skip {
        ctxt.error(
            skip,
            "every variant is a message that travels; only `#[ws(unknown)]` may be skipped",
        );
    }
    let payload = check_payload(variant, &attrs, &serde, around, ctxt);
    let kind = check_kind(variant, &attrs, around, ctxt);
    let (payload, kind) = (payload?, kind?);
    let name = plain(&variant.ident);
    let wire = match (&serde.rename, &around.serde.rename_all) {
        (Some(rename), _) => rename.value(),
        (None, Some(all)) => all.rule.variant(&name),
        (None, None) => name.clone(),
    };
    let wire_span = serde.rename.as_ref().map_or_else(|| variant.ident.span(), syn::LitStr::span);
    check_wire_name(&wire, wire_span, ctxt);
    serde.aliases.iter().for_each(|alias| check_wire_name(&alias.value(), alias.span(), ctxt));
    let method = check_method(variant, &attrs, around.role, ctxt)?;
    let message = Message {
        ident: variant.ident.clone(),
        docs: docs(&variant.attrs),
        attrs: passed(&variant.attrs),
        deprecated: deprecated(&variant.attrs),
        wire,
        aliases: serde.aliases.iter().map(syn::LitStr::value).collect(),
        method,
        shadowed: false,
        payload,
        kind,
    };
    check_fields(&message, around, ctxt).then(|| Read::Message(Box::new(message)))
}

/// The attributes that mean the same on what is generated.
fn passed(attrs: &[Attribute]) -> Vec<Attribute> {
    let known = ["doc", "deprecated", "allow"];
    attrs
        .iter()
        .filter(|attr| known.iter().any(|name| attr.path().is_ident(name)))
        .cloned()
        .collect()
}

fn check_unknown(variant: &Variant, around: &Surroundings<'_>, ctxt: &Ctxt) -> Option<Ident> {
    if around.role == Role::Client {
        let message = "a server refuses messages that it does not know; `#[ws(unknown)]` belongs on the server and error enums";
        ctxt.error(&variant.ident, message);
        return None;
    }
    let fits = matches!(&variant.fields, Fields::Unnamed(fields) if fields.unnamed.len() == 1);
    if !fits {
        let message = format!(
            "the unknown variant carries the message as it came: `{}(steadfast::UnknownMessage)`",
            variant.ident
        );
        ctxt.error(&variant.ident, message);
        return None;
    }
    Some(variant.ident.clone())
}

fn check_payload(
    variant: &Variant,
    attrs: &VariantAttrs,
    serde: &SerdeVariant,
    around: &Surroundings<'_>,
    ctxt: &Ctxt,
) -> Option<Payload> {
    let (fields, braces) = match &variant.fields {
        Fields::Named(fields) => (fields.named.iter().collect(), true),
        Fields::Unit => (Vec::new(), false),
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
            let ty = &fields.unnamed[0].ty;
            if let Some((key, _)) = &attrs.payload {
                ctxt.error(key, "`as` names a generated struct; this variant brings its own");
            }
            return check_newtype(variant, ty, ctxt);
        }
        Fields::Unnamed(fields) => {
            let message = "fields of a message have names: `Post { room: RoomId, text: String }`";
            ctxt.error(fields, message);
            return None;
        }
    };
    let rename_all = serde.rename_all.clone().or_else(|| around.serde.rename_all_fields.clone());
    let rule = rename_all.as_ref().map(|rename| rename.rule);
    let fields = fields.into_iter().filter_map(|field| read_field(field, rule, ctxt)).collect();
    let name = match &attrs.payload {
        Some((_, name)) => name.clone(),
        None => Ident::new(
            &format!("{}{}", plain(around.ident), plain(&variant.ident)),
            variant.ident.span(),
        ),
    };
    let rename_all = rename_all.map(|rename| (rename.text.value(), rename.rule));
    Some(Payload::Generated(Generated { name, fields, braces, rename_all }))
}

/// What certainly is not a map of fields; of other types only the compiler knows, and the encoder
/// refuses them.
const NOT_A_MAP: &[&str] = &[
    "String", "str", "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16",
    "i32", "i64", "i128", "isize", "f32", "f64", "Vec", "Option", "Box",
];

fn check_newtype(variant: &Variant, ty: &Type, ctxt: &Ctxt) -> Option<Payload> {
    let is_struct = match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| !NOT_A_MAP.contains(&&*last.ident.to_string())),
        _ => false,
    };
    if !is_struct {
        let name = &variant.ident;
        let message = format!(
            "the body of a message is a map, so that fields can be added later: `{name} {{ value: .. }}`, or a struct of your own"
        );
        ctxt.error(ty, message);
        return None;
    }
    Some(Payload::Own(ty.clone()))
}

fn read_field(
    field: &syn::Field,
    rule: Option<crate::case::RenameRule>,
    ctxt: &Ctxt,
) -> Option<Field> {
    let attrs = FieldAttrs::read(field, ctxt);
    let ident = field.ident.clone()?;
    let name = plain(&ident);
    let wire = match (attrs.rename, rule) {
        (Some(rename), _) => rename.value(),
        (None, Some(rule)) => rule.field(&name),
        (None, None) => name,
    };
    Some(Field {
        ident,
        ty: field.ty.clone(),
        attrs: attrs.passed,
        wire,
        optional: attrs.optional,
        docs: attrs.docs,
    })
}

fn check_method(variant: &Variant, attrs: &VariantAttrs, role: Role, ctxt: &Ctxt) -> Option<Ident> {
    let Some((key, name)) = &attrs.method else {
        return Some(method_ident(&snake(&plain(&variant.ident)), variant.ident.span()));
    };
    if role != Role::Client {
        ctxt.error(key, "`method` names a client's method; it belongs on the client enum");
        return None;
    }
    match syn::parse_str::<Ident>(&name.value()) {
        Ok(_) => Some(Ident::new(&name.value(), name.span())),
        Err(_) => {
            ctxt.error(name, format!("`{}` can't be the name of a method", name.value()));
            None
        }
    }
}

fn check_kind(
    variant: &Variant,
    attrs: &VariantAttrs,
    around: &Surroundings<'_>,
    ctxt: &Ctxt,
) -> Option<Kind> {
    if around.role == Role::Error {
        return check_error_variant(attrs, ctxt);
    }
    let Some(KindAttr { word, kind }) = &attrs.kind else {
        if !attrs.kind_refused {
            let example = if around.role == Role::Client { "command" } else { "event(Room)" };
            let message = format!(
                "variant `{}` has no message kind; add one, such as `#[ws({example})]`",
                variant.ident
            );
            ctxt.error(&variant.ident, message);
        }
        return None;
    };
    check_direction(word, around, ctxt)?;
    let limits = check_limits(attrs, around, ctxt);
    let topic = |topic: &Option<Ident>| check_topic(word, topic.as_ref(), around, ctxt);
    Some(match (around.role, kind) {
        (_, RawKind::Request { reply: Some(reply), concurrent }) => {
            Kind::Request { reply: reply.clone(), ordered: !concurrent, limits }
        }
        (_, RawKind::Request { reply: None, .. }) => {
            ctxt.error(word, "a request has a reply: `request(reply = MessageId)`; without one it is a `command`");
            return None;
        }
        (_, RawKind::Command { concurrent }) => Kind::Command { ordered: !concurrent, limits },
        (Role::Client, RawKind::Volatile { topic, latest_by }) => {
            if let Some(topic) = topic {
                let message = format!(
                    "a client's volatile has no topic; for a key write `volatile(latest_by = ..)` and drop `{topic}`"
                );
                ctxt.error(topic, message);
            }
            Kind::ClientVolatile { latest_by: latest_by.clone(), limits }
        }
        (_, RawKind::Volatile { topic: of, latest_by }) => {
            Kind::TopicVolatile { topic: topic(of)?, latest_by: latest_by.clone() }
        }
        (_, RawKind::Event { topic: of }) => Kind::Event { topic: topic(of)? },
        (_, RawKind::Snapshot { topic: of }) => Kind::Snapshot { topic: topic(of)? },
        (_, RawKind::Unknown) => return None,
    })
}

fn check_error_variant(attrs: &VariantAttrs, ctxt: &Ctxt) -> Option<Kind> {
    if let Some(kind) = &attrs.kind {
        let message = format!(
            "errors are answers and have no kind of their own, so `{}` has no meaning; expected `unknown` or nothing",
            kind.word
        );
        ctxt.error(&kind.word, message);
        return None;
    }
    for key in [&attrs.timeout, &attrs.max_bytes].into_iter().flatten().map(|(key, _)| key) {
        ctxt.error(key, format!("errors are answers: `{key}` belongs on the client enum"));
    }
    if let Some((key, _)) = &attrs.payload {
        ctxt.error(key, "errors are used as the enum; there is no struct to name");
    }
    (!attrs.kind_refused).then_some(Kind::Error)
}

fn check_direction(word: &Ident, around: &Surroundings<'_>, ctxt: &Ctxt) -> Option<()> {
    let (here, other) =
        (around.role.kinds(), if around.role == Role::Server { "client" } else { "server" });
    if here.contains(&word.to_string().as_str()) {
        return Some(());
    }
    let (enum_name, role) = (around.ident, around.role.word());
    let message = match (around.role, word.to_string().as_str()) {
        (Role::Server, "request") => {
            format!(
                "not supported yet: requests from the server; `request` belongs on the client enum, and `{enum_name}` is `#[ws({role})]`"
            )
        }
        _ => format!(
            "`{word}` belongs on the {other} enum; `{enum_name}` is `#[ws({role}, ..)]`, which has {}",
            one_of(here.iter().copied())
        ),
    };
    ctxt.error(word, message);
    None
}

fn check_topic(
    word: &Ident,
    topic: Option<&Ident>,
    around: &Surroundings<'_>,
    ctxt: &Ctxt,
) -> Option<usize> {
    let declared: Vec<String> = around.declared.iter().map(plain).collect();
    let names = || declared.iter().map(String::as_str);
    let Some(topic) = topic else {
        let example = declared.first().map_or("Room", String::as_str);
        ctxt.error(word, format!("`{word}` needs its topic: `{word}({example})`"));
        return None;
    };
    let found = around.topics.iter().position(|known| known.ident == *topic);
    if found.is_none() && !around.declared.contains(topic) {
        let name = plain(topic);
        let message = if declared.is_empty() {
            format!(
                "no topic `{name}`; declare it on the enum: `topic({name}, key = room: RoomId)`"
            )
        } else {
            format!(
                "no topic `{name}`; declared: {}{}",
                one_of(names()),
                did_you_mean(&name, names())
            )
        };
        ctxt.error(topic, message);
    }
    found
}

fn check_limits(attrs: &VariantAttrs, around: &Surroundings<'_>, ctxt: &Ctxt) -> Limits {
    if around.role == Role::Server {
        for key in [&attrs.timeout, &attrs.max_bytes].into_iter().flatten().map(|(key, _)| key) {
            let fix = if key == "max_bytes" {
                "set it in `topic(..)`"
            } else {
                "topics have no deadlines"
            };
            ctxt.error(key, format!("`{key}` belongs on a client's message; {fix}"));
        }
        return around.limits;
    }
    let value = |of: &Option<(Ident, Lit)>| of.as_ref().map(|(_, lit)| lit.clone());
    let timeout = value(&attrs.timeout).and_then(|lit| ctxt.ok(duration_ms(&lit)));
    let size = value(&attrs.max_bytes).and_then(|lit| ctxt.ok(size_bytes(&lit)));
    Limits {
        timeout_ms: timeout.unwrap_or(around.limits.timeout_ms),
        max_bytes: size.unwrap_or(around.limits.max_bytes),
    }
}

/// The fields that a kind speaks of are there. Of the user's own struct only the compiler can say.
fn check_fields(message: &Message, around: &Surroundings<'_>, ctxt: &Ctxt) -> bool {
    let Payload::Generated(generated) = &message.payload else { return true };
    let names: Vec<String> = generated.fields.iter().map(|field| plain(&field.ident)).collect();
    let has = |field: &Ident| generated.fields.iter().any(|known| known.ident == *field);
    let latest_by: &[Ident] = match &message.kind {
        Kind::ClientVolatile { latest_by, .. } | Kind::TopicVolatile { latest_by, .. } => latest_by,
        _ => &[],
    };
    let mut fits = true;
    for field in latest_by.iter().filter(|field| !has(field)) {
        let name = plain(field);
        let hint = did_you_mean(&name, names.iter().map(String::as_str));
        ctxt.error(field, format!("`{}` has no field `{name}`{hint}", message.ident));
        fits = false;
    }
    let topic = match message.kind {
        Kind::Event { topic } | Kind::Snapshot { topic } | Kind::TopicVolatile { topic, .. } => {
            &around.topics[topic]
        }
        _ => return fits,
    };
    if !has(&topic.field) {
        let (name, of) = (&message.ident, &topic.ident);
        let message = format!(
            "variant `{name}` is in topic `{of}` but has no field `{}`, its key",
            topic.field
        );
        ctxt.error(name, message);
        fits = false;
    }
    fits
}
