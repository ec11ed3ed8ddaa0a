//! Syntax of attributes → raw values with their spans. Owns which keys exist where; refuses rules
//! between keys, which are `model::check`'s.

mod container;
mod field;
mod serde;
mod variant;

pub(crate) use container::{EnumAttrs, Role, TopicAttrs};
pub(crate) use field::FieldAttrs;
pub(crate) use serde::{SerdeEnum, SerdeVariant};
pub(crate) use variant::{KindAttr, RawKind, VariantAttrs};

use proc_macro2::{Ident, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

use crate::ctxt::Ctxt;
use crate::suggest::{did_you_mean, one_of};

/// Reads every `#[name(..)]` of `attrs` as a list of keys; `each` reads what follows a key.
fn read_lists(
    attrs: &[Attribute],
    name: &str,
    ctxt: &Ctxt,
    mut each: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) {
    for attr in attrs.iter().filter(|attr| attr.path().is_ident(name)) {
        match &attr.meta {
            Meta::List(_) => {
                ctxt.ok(attr.parse_args_with(|input: ParseStream<'_>| {
                    read_list(input, ctxt, &mut each);
                    Ok(())
                }));
            }
            _ => ctxt.error(attr, format!("expected a list: `#[{name}(..)]`")),
        }
    }
}

/// Reads `key ..., key ..., ` to the end. After a mistake goes on behind the next comma, so that
/// others are found too.
fn read_list(
    input: ParseStream<'_>,
    ctxt: &Ctxt,
    each: &mut dyn FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) {
    while !input.is_empty() {
        let item = input
            .call(Ident::parse_any)
            .and_then(|key| each(&key, input))
            .and_then(|()| end_of_item(input));
        if ctxt.ok(item).is_none() {
            skip_item(input);
        }
    }
}

fn end_of_item(input: ParseStream<'_>) -> syn::Result<()> {
    if input.is_empty() {
        return Ok(());
    }
    input
        .parse::<Token![,]>()
        .map(|_| ())
        .map_err(|error| syn::Error::new(error.span(), "expected `,` before this"))
}

fn skip_item(input: ParseStream<'_>) {
    while !input.is_empty() {
        match input.parse::<TokenTree>() {
            Ok(TokenTree::Punct(punct)) if punct.as_char() == ',' => return,
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

/// Reads the list in parentheses after a key.
fn nested(
    key: &Ident,
    input: ParseStream<'_>,
    ctxt: &Ctxt,
    each: &mut dyn FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    if !input.peek(syn::token::Paren) {
        return Err(syn::Error::new(
            key.span(),
            format!("`{key}` needs its details in parentheses: `{key}(..)`"),
        ));
    }
    let content;
    syn::parenthesized!(content in input);
    read_list(&content, ctxt, each);
    Ok(())
}

/// Reads `= value`.
fn value<T: Parse>(key: &Ident, input: ParseStream<'_>, example: &str) -> syn::Result<T> {
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(
            key.span(),
            format!("`{key}` needs a value: `{key} = {example}`"),
        ));
    }
    input.parse::<Token![=]>()?;
    let at = input.span();
    input
        .parse()
        .map_err(|_| syn::Error::new(at, format!("expected a value such as `{key} = {example}`")))
}

/// Keeps a value, once.
fn set<T>(slot: &mut Option<T>, key: &Ident, value: T) -> syn::Result<()> {
    if slot.replace(value).is_some() {
        return Err(syn::Error::new(key.span(), format!("`{key}` is given twice")));
    }
    Ok(())
}

fn unknown_key(key: &Ident, place: &str, known: &[&str]) -> syn::Error {
    let word = key.to_string();
    let hint = did_you_mean(&word, known.iter().copied());
    let known = one_of(known.iter().copied());
    syn::Error::new(key.span(), format!("unknown key `{word}` in {place}; expected {known}{hint}"))
}

/// The text of doc comments.
pub(crate) fn docs(attrs: &[Attribute]) -> String {
    let lines = attrs.iter().filter(|attr| attr.path().is_ident("doc")).filter_map(|attr| {
        match &attr.meta {
            Meta::NameValue(pair) => literal(&pair.value),
            _ => None,
        }
    });
    let lines: Vec<String> =
        lines.map(|line| line.strip_prefix(' ').unwrap_or(&line).to_owned()).collect();
    lines.join("\n").trim().to_owned()
}

/// The note of `#[deprecated]`, empty if it has none.
pub(crate) fn deprecated(attrs: &[Attribute]) -> Option<String> {
    let attr = attrs.iter().find(|attr| attr.path().is_ident("deprecated"))?;
    let mut note = String::new();
    match &attr.meta {
        Meta::NameValue(pair) => note = literal(&pair.value).unwrap_or_default(),
        Meta::List(list) => {
            // What does not parse is rustc's to report: it knows the attribute.
            let _ = list.parse_nested_meta(|meta| {
                let text: syn::LitStr = meta.value()?.parse()?;
                if meta.path.is_ident("note") {
                    note = text.value();
                }
                Ok(())
            });
        }
        Meta::Path(_) => {}
        #[allow(unreachable_patterns, reason = "syn may add forms of attributes")]
        _ => {}
    }
    Some(note)
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}
