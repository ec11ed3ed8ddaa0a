//! Attributes of a field: what the description needs of them, and all that the generated struct
//! gets. What serde makes of them is serde's.

use syn::{Attribute, Field, LitStr, Type};

use super::docs::docs;
use super::list::{read_lists, set, value};
use super::serde::any_value;
use crate::ctxt::Ctxt;
use crate::symbol::{SERDE, WS};

/// What the description needs of a field.
#[derive(Default)]
pub(crate) struct FieldAttrs {
    pub rename: Option<LitStr>,
    pub aliases: Vec<LitStr>,
    /// What writes and reads it in place of its type.
    pub with: Option<String>,
    pub optional: bool,
    pub docs: String,
    /// Everything that the generated struct's field gets.
    pub passed: Vec<Attribute>,
}

impl FieldAttrs {
    pub(crate) fn read(field: &Field, ctxt: &Ctxt) -> Self {
        let mut read = Self { docs: docs(&field.attrs), ..Self::default() };
        let (mut default, mut reader) = (false, false);
        read_lists(&field.attrs, SERDE, ctxt, |key, input| match key.to_string().as_str() {
            "rename" if !input.peek(syn::token::Paren) => {
                set(&mut read.rename, key, value(key, input, "\"..\"")?)
            }
            "default" => {
                default = true;
                any_value(input)
            }
            "alias" => {
                read.aliases.push(value(key, input, "\"..\"")?);
                Ok(())
            }
            "with" | "serialize_with" | "deserialize_with" => {
                reader |= key != "serialize_with";
                let path: LitStr = value(key, input, "\"..\"")?;
                let text = match key == "with" {
                    true => path.value(),
                    false => format!("{key} {}", path.value()),
                };
                read.with = Some(match read.with.take() {
                    Some(other) => format!("{other}, {text}"),
                    None => text,
                });
                Ok(())
            }
            word => match refusal(word) {
                Some(reason) => Err(syn::Error::new(
                    key.span(),
                    format!("`#[serde({word})]` can't be used on a field of a message: {reason}"),
                )),
                None => any_value(input),
            },
        });
        for attr in field.attrs.iter().filter(|attr| attr.path().is_ident(WS)) {
            ctxt.error(
                attr,
                "fields have no `#[ws(..)]`; name them in the variant's: `latest_by = room`",
            );
        }
        // serde asks nobody about an absent `Option` but its own reader.
        read.optional = default || (is_option(&field.ty) && !reader);
        read.passed =
            field.attrs.iter().filter(|attr| !attr.path().is_ident(WS)).cloned().collect();
        read
    }
}

fn refusal(word: &str) -> Option<&'static str> {
    match word {
        "rename" => Some("it would have two names; use `rename = \"..\"`"),
        "flatten" => Some(
            "the contract lists every field of a message; write them out, or nest them under a \
             name",
        ),
        "skip" | "skip_serializing" | "skip_deserializing" => {
            Some("every field travels; leave it out of the message")
        }
        "getter" | "borrow" | "bound" => {
            Some("messages own their data and have no type parameters")
        }
        _ => None,
    }
}

fn is_option(ty: &Type) -> bool {
    let Type::Path(path) = bare(ty) else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Option")
}

/// A type as if it were written out: a macro's `$ty:ty` comes in brackets that nobody sees.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}
