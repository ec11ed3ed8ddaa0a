//! Nothing is called twice: wire names, methods and structs of one enum. What can be a name at all
//! is for `names`.

use std::collections::BTreeMap;

use proc_macro2::Ident;

use super::message::{Kind, Message, Payload};
use super::protocol::{Topic, unknown_method};
use crate::ctxt::Ctxt;
use crate::symbol::{CLIENT_METHODS, HANDLER_METHODS};

/// No wire name or alias belongs to two messages of one direction, or is retired.
pub(super) fn check_wire_names(messages: &[Message], reserved: &[String], ctxt: &Ctxt) {
    let mut owners: BTreeMap<&str, &Ident> = BTreeMap::new();
    for message in messages {
        for name in message.names() {
            if reserved.contains(name) {
                let text = format!(
                    "the wire name `{name}` is reserved: it was another message's once; \
                     choose another"
                );
                ctxt.error(&message.ident, text);
            }
            if let Some(first) = owners.insert(name, &message.ident) {
                let text = format!(
                    "`{}` and `{first}` share the wire name `{name}`; rename one: \
                     `#[serde(rename = \"..\")]`",
                    message.ident
                );
                ctxt.error(&message.ident, text);
            }
        }
    }
}

/// No two messages have one method, and none has a method that every client has.
pub(super) fn check_methods(messages: &mut Vec<Message>, ctxt: &Ctxt) {
    let mut owners = BTreeMap::new();
    messages.retain(|message| {
        let method = message.method.to_string();
        if CLIENT_METHODS.contains(&method.as_str()) {
            let text = format!(
                "every client has a method `{method}` already; name this one: \
                 `#[ws(method = \"..\")]`"
            );
            ctxt.error(&message.ident, text);
            return false;
        }
        if HANDLER_METHODS.contains(&method.as_str()) {
            let text = format!(
                "every handler has a method `{method}` already; name this one: \
                 `#[ws(method = \"..\")]`"
            );
            ctxt.error(&message.ident, text);
            return false;
        }
        has_its_own(&mut owners, (0, method), message, ctxt)
    });
}

/// The same in the view of a topic, of its messages.
pub(super) fn check_views(
    messages: &mut Vec<Message>,
    topics: &[Topic],
    unknown: Option<&Ident>,
    ctxt: &Ctxt,
) {
    let mut owners = BTreeMap::new();
    messages.retain(|message| {
        let (Kind::Event { topic } | Kind::TopicVolatile { topic, .. }) = message.kind else {
            return true;
        };
        let of = &topics[topic];
        let method = message.method.to_string();
        let taken = [Some(of.reset()), Some(of.resumed()), unknown.map(unknown_method)];
        if taken.into_iter().flatten().any(|taken| taken == method) {
            let text = format!(
                "every view of the topic `{}` has a method `{method}` already; name this one: \
                 `#[ws(method = \"..\")]`",
                of.ident
            );
            ctxt.error(&message.ident, text);
            return false;
        }
        has_its_own(&mut owners, (topic, method), message, ctxt)
    });
}

/// Whether nobody has the method in this trait.
fn has_its_own(
    owners: &mut BTreeMap<(usize, String), Ident>,
    (of, method): (usize, String),
    message: &Message,
    ctxt: &Ctxt,
) -> bool {
    let Some(first) = owners.insert((of, method.clone()), message.ident.clone()) else {
        return true;
    };
    let text = format!(
        "`{}` and `{first}` both become the method `{method}`; name one: \
         `#[ws(method = \"..\")]`",
        message.ident
    );
    ctxt.error(&message.ident, text);
    false
}

/// No struct that the derive makes has the name of the enum, or of what is made of a topic.
pub(super) fn check_structs(
    messages: &mut Vec<Message>,
    (ident, topics): (&Ident, &[Topic]),
    ctxt: &Ctxt,
) {
    messages.retain(|message| {
        let Some(generated) = message.generated() else { return true };
        let name = generated.name();
        let of = |topic: &&Topic| *name == topic.ident || *name == topic.view();
        let whose = match topics.iter().find(of) {
            Some(topic) if *name == topic.ident => format!("the key of a topic is called `{name}`"),
            Some(topic) => format!("the view of the topic `{}` is called `{name}`", topic.ident),
            None if name == ident => format!("the enum is called `{name}`"),
            None => return true,
        };
        let text = format!(
            "{whose}, and so is the struct that is made of `{}`; name that otherwise: \
             `#[ws(as = ..)]`",
            message.ident
        );
        ctxt.error(name, text);
        false
    });
}

/// No two variants have one struct: an event is known by it, and generated ones would collide.
pub(super) fn check_payloads(messages: &mut Vec<Message>, own_too: bool, ctxt: &Ctxt) {
    let mut owners: BTreeMap<String, Ident> = BTreeMap::new();
    messages.retain(|message| {
        if !own_too && matches!(message.payload, Payload::Own(_)) {
            return true;
        }
        let ty = message.ty();
        let name = quote::quote!(#ty).to_string();
        let Some(first) = owners.insert(name, message.ident.clone()) else { return true };
        let text = format!(
            "`{first}` has this struct already, and a message is known by its struct; \
             give `{}` one of its own",
            message.ident
        );
        ctxt.error(ty, text);
        false
    });
}
