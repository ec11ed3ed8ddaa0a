//! Attributes that rustc knows and that the description repeats: docs and deprecation. What they
//! mean to rustc is not checked.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

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
