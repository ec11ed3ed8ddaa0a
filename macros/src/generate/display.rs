//! How an error enum reads: the first paragraph of a variant's docs, else its name in words, then
//! its fields. What travels is for `error`.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;

use super::message::left_out;
use crate::case::snake;
use crate::hygiene::code;
use crate::model::{Generated, Message, Model, Payload};

/// ```text
/// Self::RoomFull { limit } => write!(f, "{} (limit: {:?})", "The room is full", limit),
/// ```
pub(super) fn display(model: &Model) -> TokenStream {
    let ident = model.ident();
    let arms = model.messages().iter().map(arm);
    let unknown = model.unknown().map(|unknown| {
        let format = "an error that this version does not know: `{}`";
        code!(Self::#unknown(message) => ::core::write!(f, #format, message.name),)
    });
    let left_out = left_out(model);
    code! {
        #[automatically_derived]
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
        #[automatically_derived]
        impl ::core::error::Error for #ident {}
    }
}

fn arm(message: &Message) -> TokenStream {
    let (name, text) = (message.ident(), text(message));
    match message.payload() {
        Payload::Own(_) => {
            code!(Self::#name(message) => ::core::write!(f, "{} ({:?})", #text, message),)
        }
        Payload::Generated(generated) if generated.fields().is_empty() => {
            code!(Self::#name { .. } => f.write_str(#text),)
        }
        Payload::Generated(generated) => {
            let (format, fields) = (format(generated), generated.idents());
            let values = generated.idents();
            code! {
                Self::#name { #(#fields),* } => {
                    ::core::write!(f, #format, #text #(, #values)*)
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
