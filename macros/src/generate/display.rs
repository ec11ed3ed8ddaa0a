//! How an error enum reads: the first paragraph of a variant's docs, else its name in words, then
//! its fields.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;

use crate::case::snake;
use crate::model::{Generated, Message, Model, Payload};

/// ```text
/// Self::RoomFull { limit: _0 } => write!(f, "{} (limit: {:?})", "The room is full", _0),
/// ```
pub(super) fn display(model: &Model) -> TokenStream {
    let ident = &model.ident;
    let arms = model.messages.iter().map(arm);
    let unknown = model.unknown.as_ref().map(|unknown| {
        quote!(Self::#unknown(message) => ::core::write!(f, "an error that this version does not know: `{}`", message.name),)
    });
    let left_out = super::error::left_out(model);
    quote! {
        #[allow(deprecated)]
        impl ::core::fmt::Display for #ident {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    #(#arms)*
                    #unknown
                    #left_out
                }
            }
        }
        impl ::core::error::Error for #ident {}
    }
}

fn arm(message: &Message) -> TokenStream {
    let (name, text) = (&message.ident, text(message));
    match &message.payload {
        Payload::Own(_) => {
            quote!(Self::#name(message) => ::core::write!(f, "{} ({:?})", #text, message),)
        }
        Payload::Generated(Generated { fields, .. }) if fields.is_empty() => {
            quote!(Self::#name { .. } => f.write_str(#text),)
        }
        Payload::Generated(Generated { fields, .. }) => {
            // Not the fields' own names: one of them may be `f`.
            let values: Vec<Ident> = (0..fields.len()).map(|at| format_ident!("_{at}")).collect();
            let shown: Vec<String> =
                fields.iter().map(|field| format!("{}: {{:?}}", field.ident.unraw())).collect();
            let format = format!("{{}} ({})", shown.join(", "));
            let fields = fields.iter().map(|field| &field.ident);
            quote!(Self::#name { #(#fields: #values),* } => ::core::write!(f, #format, #text #(, #values)*),)
        }
    }
}

fn text(message: &Message) -> String {
    let paragraph = message.docs.lines().map(str::trim).take_while(|line| !line.is_empty());
    let text = paragraph.collect::<Vec<_>>().join(" ");
    let text = text.strip_suffix('.').unwrap_or(&text);
    if text.is_empty() {
        snake(&message.ident.unraw().to_string()).replace('_', " ")
    } else {
        text.to_owned()
    }
}
