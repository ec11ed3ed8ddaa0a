//! The code that is made of an enum, as text: formatted, as a user would have to write it by hand.
//! It makes none itself.

use proc_macro2::TokenStream;

use crate::generate::{Expansion, expand};
use crate::model::Model;

/// The code by the feature of the runtime that it needs, each part under a heading.
pub(crate) fn text(model: &Model) -> String {
    let Expansion { common, client, server } = expand(model);
    let parts = [("always", common), ("with the client", client), ("with the server", server)];
    let part = |(when, tokens)| format!("// {}, {when}\n\n{}\n", model.ident(), formatted(tokens));
    parts.into_iter().filter(|(_, tokens)| !tokens.is_empty()).map(part).collect()
}

/// What can't be formatted is there as the compiler writes it.
fn formatted(tokens: TokenStream) -> String {
    match syn::parse2(tokens.clone()) {
        Ok(file) => prettyplease::unparse(&file),
        Err(_) => tokens.to_string(),
    }
}

/// The code with its own text. Code with mistakes has none.
#[cfg(feature = "expanded")]
pub(crate) fn beside(model: &Model, items: TokenStream) -> TokenStream {
    if model.partial() {
        return items;
    }
    let (private, ident, lints) = (model.private(), model.ident(), model.lints());
    let text = text(model);
    crate::hygiene::code! {
        #items
        #[automatically_derived]
        #(#lints)*
        impl #private::Expanded for #ident {
            const EXPANDED: &'static ::core::primitive::str = #text;
        }
    }
}
