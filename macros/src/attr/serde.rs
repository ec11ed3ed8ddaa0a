//! `#[serde(..)]` on the enum and its variants: wire names are what serde would write, and what a
//! message could not keep is refused. It never serializes anything.

use proc_macro2::{Ident, TokenStream};
use syn::parse::ParseStream;
use syn::{Attribute, LitStr, Token};

use super::list::{read_lists, set, value};
use crate::case::{RULES, RenameRule};
use crate::ctxt::Ctxt;
use crate::suggest::{did_you_mean, one_of};
use crate::symbol::SERDE;

/// A rule as written, and understood.
#[derive(Clone)]
pub(crate) struct Rename {
    pub rule: RenameRule,
    pub text: LitStr,
}

/// serde's attributes of the enum.
#[derive(Default)]
pub(crate) struct SerdeEnum {
    pub rename_all: Option<Rename>,
    pub rename_all_fields: Option<Rename>,
}

/// serde's attributes of a variant.
#[derive(Default)]
pub(crate) struct SerdeVariant {
    pub rename: Option<LitStr>,
    pub aliases: Vec<LitStr>,
    /// For its fields.
    pub rename_all: Option<Rename>,
    pub skip: Option<Ident>,
}

impl SerdeEnum {
    pub(crate) fn read(attrs: &[Attribute], ctxt: &Ctxt) -> Self {
        let mut read = Self::default();
        read_lists(attrs, SERDE, ctxt, |key, input| match key.to_string().as_str() {
            "rename_all" => set(&mut read.rename_all, key, rule(key, input)?),
            "rename_all_fields" => set(&mut read.rename_all_fields, key, rule(key, input)?),
            // How serde tags the enum when somebody derives it: on this wire the name stands in the
            // frame's head.
            "tag" | "content" | "crate" | "expecting" => skip_value(input),
            "untagged" => Ok(()),
            word => Err(refuse(key, word)),
        });
        read
    }
}

impl SerdeVariant {
    pub(crate) fn read(attrs: &[Attribute], ctxt: &Ctxt) -> Self {
        let mut read = Self::default();
        read_lists(attrs, SERDE, ctxt, |key, input| match key.to_string().as_str() {
            "rename" => set(&mut read.rename, key, one_name(key, input)?),
            "alias" => {
                read.aliases.push(one_name(key, input)?);
                Ok(())
            }
            "rename_all" => set(&mut read.rename_all, key, rule(key, input)?),
            "skip" => set(&mut read.skip, key, key.clone()),
            word => Err(refuse(key, word)),
        });
        read
    }
}

fn rule(key: &Ident, input: ParseStream<'_>) -> syn::Result<Rename> {
    let text = one_name(key, input)?;
    let name = text.value();
    match name.parse() {
        Ok(rule) => Ok(Rename { rule, text }),
        Err(()) => {
            let known = || RULES.iter().map(|(rule, _)| *rule);
            let (hint, known) = (did_you_mean(&name, known()), one_of(known()));
            Err(syn::Error::new(
                text.span(),
                format!("unknown rule `{name}`; expected {known}{hint}"),
            ))
        }
    }
}

fn one_name(key: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
    if input.peek(syn::token::Paren) {
        let message = format!(
            "`{key}(serialize = .., deserialize = ..)` would give one message two names; use \
             `{key} = \"..\"`"
        );
        return Err(syn::Error::new(key.span(), message));
    }
    value(key, input, "\"..\"")
}

fn skip_value(input: ParseStream<'_>) -> syn::Result<()> {
    input.parse::<Token![=]>()?;
    input.parse::<syn::Expr>().map(|_| ())
}

/// Why an attribute that serde knows has no place on a message enum.
fn refuse(key: &Ident, word: &str) -> syn::Error {
    let reason = match word {
        "deny_unknown_fields" => {
            "unknown fields are ignored: a newer peer may send them (PROTOCOL.md 3.5)"
        }
        "other" | "untagged" => {
            "a message is found by its name; for unknown ones add a variant with `#[ws(unknown)]`"
        }
        "with" | "serialize_with" | "deserialize_with" => {
            "the fields of a variant become a struct of their own; put it on a field, or use a \
             newtype variant"
        }
        "remote" | "from" | "try_from" | "into" | "transparent" => {
            "a message enum is never serialized as a whole"
        }
        "bound" | "borrow" => "messages have no type parameters and own their data",
        "skip_serializing" | "skip_deserializing" | "skip" => {
            "every variant is a message that travels; only `#[ws(unknown)]` may be skipped"
        }
        _ => {
            return syn::Error::new(
                key.span(),
                format!(
                    "`#[serde({word})]` is not known to this derive, and it might change the wire"
                ),
            );
        }
    };
    syn::Error::new(key.span(), format!("`#[serde({word})]` can't be used here: {reason}"))
}

/// Whatever follows a key, up to the comma; for attributes that are passed on.
pub(super) fn any_value(input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=]) {
        return skip_value(input);
    }
    if input.peek(syn::token::Paren) {
        let content;
        syn::parenthesized!(content in input);
        content.parse::<TokenStream>()?;
    }
    Ok(())
}
