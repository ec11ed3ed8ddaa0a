//! How an error enum reads: the first paragraph of a variant's docs, else its name in words, then
//! its fields. What travels is for `error`.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;

use super::message::{left_out, members};
use crate::case::snake;
use crate::hygiene::{code, derived};
use crate::model::{Generated, Message, Model, Payload};

/// ```text
/// Self::RoomFull { limit } => write!(f, "{} (limit: {:?})", "The room is full", limit),
/// ```
pub(super) fn display(model: &Model) -> TokenStream {
    let (ident, lints) = (model.ident(), model.lints());
    let arms = model.messages().iter().map(arm);
    let unknown = model.unknown().map(|unknown| {
        let unknown = derived(unknown);
        let format = "an error that this version does not know: `{}`";
        code!(Self::#unknown(__message) => ::core::write!(__f, #format, __message.name),)
    });
    let left_out = left_out(model);
    code! {
        #[automatically_derived]
        #(#lints)*
        impl ::core::fmt::Display for #ident {
            fn fmt(&self, __f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self {
                    #(#arms)*
                    #unknown
                    #left_out
                }
            }
        }
        #[automatically_derived]
        impl ::core::error::Error for #ident {}
    }
}

fn arm(message: &Message) -> TokenStream {
    let (name, text) = (derived(message.ident()), text(message));
    match message.payload() {
        Payload::Own(_) => {
            code!(Self::#name(__message) => ::core::write!(__f, "{} ({:?})", #text, __message),)
        }
        Payload::Generated(generated) if generated.fields().is_empty() => {
            code!(Self::#name { .. } => ::core::fmt::Formatter::write_str(__f, #text),)
        }
        Payload::Generated(generated) => {
            let (format, fields) = (format(generated), members(message, generated));
            let values = generated.idents();
            code! {
                Self::#name { #(#fields),* } => {
                    ::core::write!(__f, #format, #text #(, #values)*)
                }
            }
        }
    }
}

fn format(generated: &Generated) -> String {
    let shown: Vec<String> =
        generated.idents().map(|field| format!("{}: {{:?}}", field.unraw())).collect();
    format!("{{}} ({})", shown.join(", "))
}

fn text(message: &Message) -> String {
    let paragraph = message.docs().lines().map(str::trim).take_while(|line| !line.is_empty());
    let text = paragraph.collect::<Vec<_>>().join(" ");
    let text = text.strip_suffix('.').unwrap_or(&text);
    if text.is_empty() {
        snake(&message.ident().unraw().to_string()).replace('_', " ")
    } else {
        text.to_owned()
    }
}
