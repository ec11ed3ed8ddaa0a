//! Lists of keys, as every attribute of this derive is one. Which keys there are is for its
//! siblings.

use proc_macro2::{Ident, Span, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Meta, Token};

use crate::ctxt::Ctxt;
use crate::suggest::{did_you_mean, one_of};

/// Reads every `#[name(..)]` of `attrs` as a list of keys; `each` reads what follows a key.
pub(super) fn read_lists(
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
pub(super) fn read_list(
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
pub(super) fn nested(
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
pub(super) fn value<T: Parse>(
    key: &Ident,
    input: ParseStream<'_>,
    example: &str,
) -> syn::Result<T> {
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
pub(super) fn set<T>(slot: &mut Option<T>, key: &Ident, value: T) -> syn::Result<()> {
    if slot.replace(value).is_some() {
        return Err(syn::Error::new(key.span(), format!("`{key}` is given twice")));
    }
    Ok(())
}

pub(super) fn unknown_key(key: &Ident, place: &str, known: &[&str]) -> syn::Error {
    let word = key.to_string();
    let hint = did_you_mean(&word, known.iter().copied());
    let known = one_of(known.iter().copied());
    syn::Error::new(key.span(), format!("unknown key `{word}` in {place}; expected {known}{hint}"))
}

/// For what the syntax has a place for and this version has not.
pub(super) fn not_yet(span: Span, what: &str) -> syn::Error {
    syn::Error::new(span, format!("not supported yet: {what}"))
}

/// A list of single words: `latest_by = room` or `latest_by = (room, who)`.
pub(super) fn words(key: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<Ident>> {
    if !input.peek(Token![=]) {
        return Err(syn::Error::new(
            key.span(),
            format!("`{key}` needs a field: `{key} = room` or `{key} = (room, who)`"),
        ));
    }
    input.parse::<Token![=]>()?;
    if !input.peek(syn::token::Paren) {
        return Ok(vec![input.parse()?]);
    }
    let content;
    syn::parenthesized!(content in input);
    Ok(content
        .parse_terminated(<Ident as syn::parse::Parse>::parse, Token![,])?
        .into_iter()
        .collect())
}
