//! Nothing is called twice: wire names, methods and structs of one enum. What can be a name at all
//! is for `names`.

use std::collections::BTreeMap;

use proc_macro2::Ident;

use super::message::{Message, Payload};
use crate::ctxt::Ctxt;
use crate::symbol::CLIENT_METHODS;

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
    let mut owners: BTreeMap<String, Ident> = BTreeMap::new();
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
        let Some(first) = owners.insert(method.clone(), message.ident.clone()) else {
            return true;
        };
        let text = format!(
            "`{}` and `{first}` both become the method `{method}`; name one: \
             `#[ws(method = \"..\")]`",
            message.ident
        );
        ctxt.error(&message.ident, text);
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
