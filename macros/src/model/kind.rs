//! How a variant is delivered: its kind, with the topic and the limits that the kind needs. Its
//! names and fields are for `variant`.

use proc_macro2::Ident;
use syn::{Lit, Variant};

use super::message::{Kind, Limits};
use super::names::plain;
use super::protocol::Topic;
use crate::attr::{KindAttr, NO_REPLY, RawKind, Role, SerdeEnum, VariantAttrs};
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

/// `None` if it is wrong; that was reported.
pub(super) fn check_kind(
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
            ctxt.error(word, NO_REPLY);
            return None;
        }
        (_, RawKind::Command { concurrent }) => Kind::Command { ordered: !concurrent, limits },
        (Role::Client, RawKind::Volatile { topic, latest_by }) => {
            if let Some(topic) = topic {
                let message = format!(
                    "a client's volatile has no topic; for a key write \
                     `volatile(latest_by = ..)` and drop `{topic}`"
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
        (_, RawKind::Direct) => Kind::Direct { max_bytes: limits.max_bytes },
        (_, RawKind::Unknown) => return None,
    })
}

fn check_error_variant(attrs: &VariantAttrs, ctxt: &Ctxt) -> Option<Kind> {
    if let Some(kind) = &attrs.kind {
        let message = format!(
            "errors are answers and have no kind of their own, so `{}` has no meaning; \
             expected `unknown` or nothing",
            kind.word
        );
        ctxt.error(&kind.word, message);
        return None;
    }
    for key in [&attrs.timeout, &attrs.max_bytes].into_iter().flatten().map(|(key, _)| key) {
        ctxt.error(key, format!("errors are answers: `{key}` belongs on the client enum"));
    }
    let id = attrs.id.as_ref().map(|(key, _)| key);
    for key in id.into_iter().chain(attrs.keep.as_ref().map(|(key, _)| key)) {
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
                "not supported yet: requests from the server; `request` belongs on the client \
                 enum, and `{enum_name}` is `#[ws({role})]`"
            )
        }
        _ => format!(
            "`{word}` belongs on the {other} enum; `{enum_name}` is `#[ws({role}, ..)]`, \
             which has {}",
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
    let direct = matches!(&attrs.kind, Some(KindAttr { kind: RawKind::Direct, .. }));
    if around.role == Role::Server {
        let size = attrs.max_bytes.as_ref().filter(|_| !direct);
        for key in [attrs.timeout.as_ref(), size].into_iter().flatten().map(|(key, _)| key) {
            let fix = match (key == "max_bytes", direct) {
                (true, _) => "set it in `topic(..)`",
                (false, true) => "nobody answers a direct message",
                (false, false) => "topics have no deadlines",
            };
            ctxt.error(key, format!("`{key}` belongs on a client's message; {fix}"));
        }
        if !direct {
            return around.limits;
        }
    }
    let value = |of: &Option<(Ident, Lit)>| of.as_ref().map(|(_, lit)| lit.clone());
    let timeout = value(&attrs.timeout).and_then(|lit| ctxt.ok(duration_ms(&lit)));
    let size = value(&attrs.max_bytes).and_then(|lit| ctxt.ok(size_bytes(&lit)));
    Limits {
        timeout_ms: timeout.unwrap_or(around.limits.timeout_ms),
        max_bytes: size.unwrap_or(around.limits.max_bytes),
    }
}
