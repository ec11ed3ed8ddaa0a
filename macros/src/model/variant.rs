//! One variant: attributes and fields become a [`Message`]. How it is delivered is for `kind`.

use proc_macro2::Ident;
use syn::{Attribute, DataEnum, Field as RawField, Fields, Type, Variant};

use super::id::check_id;
use super::kind::{Surroundings, check_kind};
use super::message::{Field, Generated, Kind, Message, Payload};
use super::names::{check_wire_name, method_ident, plain};
use crate::attr::{
    FieldAttrs, KindAttr, RawKind, Role, SerdeVariant, VariantAttrs, bare, deprecated, docs,
};
use crate::case::{RenameRule, snake};
use crate::ctxt::Ctxt;
use crate::hygiene::derived;
use crate::suggest::did_you_mean;

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
    let wire = check_wire(variant, &serde, around, ctxt);
    let method = check_method(variant, &attrs, &kind, ctxt)?;
    // What an error must not have was reported with its kind.
    let answer = matches!(kind, Kind::Error);
    let id = if answer { None } else { check_id(&variant.ident, &attrs, (&payload, &kind), ctxt) };
    let message = Message {
        ident: variant.ident.clone(),
        docs: docs(&variant.attrs),
        attrs: passed(&variant.attrs),
        deprecated: deprecated(&variant.attrs),
        wire,
        aliases: serde.aliases.iter().map(syn::LitStr::value).collect(),
        method,
        payload,
        kind,
        id,
    };
    check_fields(&message, around, ctxt).then(|| Read::Message(Box::new(message)))
}

fn check_wire(
    variant: &Variant,
    serde: &SerdeVariant,
    around: &Surroundings<'_>,
    ctxt: &Ctxt,
) -> String {
    let name = plain(&variant.ident);
    let wire = match (&serde.rename, &around.serde.rename_all) {
        (Some(rename), _) => rename.value(),
        (None, Some(all)) => all.rule.variant(&name),
        (None, None) => name,
    };
    let at = serde.rename.as_ref().map_or_else(|| variant.ident.span(), syn::LitStr::span);
    check_wire_name(&wire, at, ctxt);
    serde.aliases.iter().for_each(|alias| check_wire_name(&alias.value(), alias.span(), ctxt));
    wire
}

/// The attributes that mean the same on what is generated.
fn passed(attrs: &[Attribute]) -> Vec<Attribute> {
    let known = ["doc", "deprecated"];
    attrs
        .iter()
        .filter(|attr| known.iter().any(|name| attr.path().is_ident(name)))
        .cloned()
        .collect()
}

fn check_unknown(variant: &Variant, around: &Surroundings<'_>, ctxt: &Ctxt) -> Option<Ident> {
    if around.role == Role::Client {
        let message = "a server refuses messages that it does not know; `#[ws(unknown)]` belongs \
                       on the server and error enums";
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
            if let Some((key, _)) = &attrs.payload {
                ctxt.error(key, "`as` names a generated struct; this variant brings its own");
            }
            return check_newtype(variant, &fields.unnamed[0], ctxt);
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
    let rename_all = rename_all.map(|rename| rename.text.value());
    let name = derived(&name);
    Some(Payload::Generated(Generated { name, fields, braces, rename_all }))
}

fn check_newtype(variant: &Variant, field: &RawField, ctxt: &Ctxt) -> Option<Payload> {
    let own = own_struct(variant);
    if own.is_none() {
        let message = format!(
            "the body of a message is a map, so that fields can be added later: \
             `{} {{ value: .. }}`, or a struct of your own",
            variant.ident
        );
        ctxt.error(&field.ty, message);
    }
    own.cloned().map(Payload::Own)
}

/// What certainly is not a map of fields; of other types only the compiler knows, and the encoder
/// refuses them.
const NOT_A_MAP: &[&str] = &[
    "String", "str", "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16",
    "i32", "i64", "i128", "isize", "f32", "f64", "Vec", "Option", "Box",
];

/// The user's own struct that a newtype variant brings.
fn own_struct(variant: &Variant) -> Option<&Type> {
    let Fields::Unnamed(fields) = &variant.fields else { return None };
    let ty = bare(&fields.unnamed.first().filter(|_| fields.unnamed.len() == 1)?.ty);
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    (!NOT_A_MAP.contains(&&*last.ident.to_string())).then_some(ty)
}

/// The users' own structs that no message has: those of variants that were left out. Not what an
/// unknown variant carries, which is ours.
pub(crate) fn strays(data: &DataEnum, messages: &[Message]) -> Vec<Type> {
    let mut strays: Vec<Type> = Vec::new();
    for ty in data.variants.iter().filter_map(own_struct) {
        let ours = matches!(ty, Type::Path(path)
            if path.path.segments.last().is_some_and(|last| last.ident == "UnknownMessage"));
        let taken = messages.iter().any(|message| message.ty() == *ty) || strays.contains(ty);
        if !ours && !taken {
            strays.push(ty.clone());
        }
    }
    strays
}

fn read_field(field: &RawField, rule: Option<RenameRule>, ctxt: &Ctxt) -> Option<Field> {
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
        aliases: attrs.aliases.iter().map(syn::LitStr::value).collect(),
        with: attrs.with,
        optional: attrs.optional,
        docs: attrs.docs,
    })
}

fn check_method(
    variant: &Variant,
    attrs: &VariantAttrs,
    kind: &Kind,
    ctxt: &Ctxt,
) -> Option<Ident> {
    let Some((key, name)) = &attrs.method else {
        return Some(method_ident(&snake(&plain(&variant.ident)), variant.ident.span()));
    };
    let none = match kind {
        Kind::Snapshot { .. } => "a state has the method of its topic's resets, and no other",
        Kind::Error => "`method` names the method of a message; an error has none",
        _ => "",
    };
    if !none.is_empty() {
        ctxt.error(key, none);
        return None;
    }
    match syn::parse_str::<Ident>(&name.value()) {
        Ok(mut method) if method != "gen" => {
            method.set_span(name.span());
            Some(method)
        }
        _ => {
            ctxt.error(name, format!("`{}` can't be the name of a method", name.value()));
            None
        }
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
