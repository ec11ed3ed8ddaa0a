//! Attributes that rustc knows: docs and deprecation, which the description repeats, and lints.
//! What they mean to rustc is not checked.

use quote::ToTokens;
use syn::{Attribute, DataEnum, DeriveInput, Expr, ExprLit, Lit, Meta, Variant, parse_quote};

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

/// What is allowed or expected on the enum, a variant or a field, as attributes that allow it: what
/// is made of the enum repeats its types, and an expectation is met where it was written.
pub(crate) fn allowed(input: &DeriveInput, data: &DataEnum) -> Vec<Attribute> {
    let fields = |variant: &Variant| -> Vec<Attribute> {
        variant.fields.iter().flat_map(|field| field.attrs.clone()).collect()
    };
    let inner = data.variants.iter().flat_map(|of| of.attrs.iter().cloned().chain(fields(of)));
    let mut allowed: Vec<Attribute> = Vec::new();
    for attr in input.attrs.iter().cloned().chain(inner) {
        let Meta::List(list) = &attr.meta else { continue };
        if !list.path.is_ident("allow") && !list.path.is_ident("expect") {
            continue;
        }
        let lints = &list.tokens;
        let attr: Attribute = parse_quote!(#[allow(#lints)]);
        let said = attr.to_token_stream().to_string();
        if allowed.iter().all(|other| other.to_token_stream().to_string() != said) {
            allowed.push(attr);
        }
    }
    allowed
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}
