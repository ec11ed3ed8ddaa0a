//! Names: what may stand on the wire, and that nothing is called twice.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;

use super::{Message, Payload};
use crate::ctxt::Ctxt;
use crate::symbol::RESERVED_METHODS;

const MAX_NAME_BYTES: usize = 64;

/// An identifier's text, without `r#`.
pub(super) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// A wire name fits PROTOCOL.md 3.4.
pub(super) fn check_wire_name(name: &str, at: Span, ctxt: &Ctxt) {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    if !fits {
        let message = format!(
            "`{name}` can't be a name on the wire: 1 to {MAX_NAME_BYTES} characters of a-z A-Z 0-9 _ . - (PROTOCOL.md 3.4)"
        );
        ctxt.push(syn::Error::new(at, message));
    }
}

/// No wire name or alias belongs to two messages of one direction, or is retired.
pub(super) fn check_unique(messages: &[Message], reserved: &[String], ctxt: &Ctxt) {
    let mut owners: BTreeMap<&str, &Ident> = BTreeMap::new();
    for message in messages {
        for name in std::iter::once(&message.wire).chain(&message.aliases) {
            if reserved.contains(name) {
                ctxt.error(
                    &message.ident,
                    format!("the wire name `{name}` is reserved: it was another message's once; choose another"),
                );
            }
            if let Some(first) = owners.insert(name, &message.ident) {
                let text = format!(
                    "`{}` and `{first}` share the wire name `{name}`; rename one: `#[serde(rename = \"..\")]`",
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
    messages.retain_mut(|message| {
        let method = message.method.to_string();
        message.shadowed = RESERVED_METHODS.contains(&method.as_str());
        if message.shadowed {
            let text = format!("every client has a method `{method}` already; name this one: `#[ws(method = \"..\")]`");
            ctxt.error(&message.ident, text);
        }
        let Some(first) = owners.insert(method.clone(), message.ident.clone()) else { return true };
        let text = format!(
            "`{}` and `{first}` both become the method `{method}`; name one: `#[ws(method = \"..\")]`",
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
        let Some(first) = owners.insert(quote::quote!(#ty).to_string(), message.ident.clone()) else { return true };
        let text = format!(
            "`{first}` has this struct already, and a message is known by its struct; give `{}` one of its own",
            message.ident
        );
        ctxt.error(ty, text);
        false
    });
}

/// A method's name as an identifier; keywords gain `_`.
pub(super) fn method_ident(name: &str, span: Span) -> Ident {
    match syn::parse_str::<Ident>(name) {
        Ok(_) => Ident::new(name, span),
        Err(_) => Ident::new(&format!("{name}_"), span),
    }
}
