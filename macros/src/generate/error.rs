//! What the error enum becomes: a wire name and fields per error, and the standard traits.

use proc_macro2::TokenStream;
use quote::quote;

use super::message::{Use, pattern, structure};
use super::{Expansion, describe, display, private};
use crate::model::{Generated, Message, Model, Payload};

pub(super) fn expand(model: &Model, own_display: bool) -> Expansion {
    let display = (!own_display).then(|| display::display(model));
    let errors = ws_error(model);
    Expansion { common: quote!(#errors #display), ..Expansion::default() }
}

/// The structs live in a block: errors are used as the enum.
fn ws_error(model: &Model) -> TokenStream {
    let (private, ident) = (private(model), &model.ident);
    let structures = model
        .messages
        .iter()
        .filter(|message| !is_empty(message))
        .map(|message| structure(model, message, Use::Hidden));
    let (encode, decode) = (encode(model), decode(model));
    let description = describe::error(model);
    quote! {
        const _: () = {
            #(#structures)*
            #[allow(deprecated)]
            impl #private::WsError for #ident {
                const DESCRIPTION: &'static #private::schema::ErrorEnum = #description;
                #encode
                #decode
            }
        };
    }
}

fn is_empty(message: &Message) -> bool {
    matches!(&message.payload, Payload::Generated(generated) if generated.fields.is_empty())
}

/// The type that an error's fields travel as.
fn body_type(private: &TokenStream, message: &Message) -> TokenStream {
    let ty = message.ty();
    if is_empty(message) { quote!(#private::Empty) } else { quote!(#ty) }
}

fn encode(model: &Model) -> TokenStream {
    let private = private(model);
    let arms = model.messages.iter().map(|message| {
        let (wire, body) = (&message.wire, body(&private, message));
        let pattern = variant(message);
        quote!(#pattern => (#private::error_name(#wire)?, #private::encode_body(&#body, codec)?),)
    });
    let unknown = model
        .unknown
        .as_ref()
        .map(|unknown| quote!(Self::#unknown(message) => (#private::error_name(message.name)?, message.body),));
    let codec = if model.messages.is_empty() { quote!(_) } else { quote!(codec) };
    let left_out = left_out(model);
    quote! {
        fn encode(
            self,
            #codec: #private::Codec,
        ) -> ::core::result::Result<(#private::Name, #private::Bytes), #private::EncodeError> {
            ::core::result::Result::Ok(match self {
                #(#arms)*
                #unknown
                #left_out
            })
        }
    }
}

/// For variants with mistakes.
pub(super) fn left_out(model: &Model) -> Option<TokenStream> {
    model.partial.then(|| quote!(_ => ::core::unreachable!(),))
}

/// The variant as a pattern or, with the same names, as a value.
fn variant(message: &Message) -> TokenStream {
    let name = &message.ident;
    match &message.payload {
        Payload::Own(_) => quote!(Self::#name(message)),
        Payload::Generated(Generated { braces: false, .. }) => quote!(Self::#name),
        Payload::Generated(Generated { fields, .. }) => {
            let fields = fields.iter().map(|field| &field.ident);
            quote!(Self::#name { #(#fields),* })
        }
    }
}

fn body(private: &TokenStream, message: &Message) -> TokenStream {
    match &message.payload {
        Payload::Own(_) => quote!(message),
        Payload::Generated(_) if is_empty(message) => quote!(#private::Empty {}),
        Payload::Generated(Generated { name, fields, .. }) => {
            let fields = fields.iter().map(|field| &field.ident);
            quote!(#name { #(#fields),* })
        }
    }
}

fn decode(model: &Model) -> TokenStream {
    let private = private(model);
    let arms = model.messages.iter().map(|message| {
        let (pattern, ty, value) =
            (pattern(message), body_type(&private, message), variant(message));
        let decoded = quote!(#private::decode_body::<#ty>(body, codec)?);
        let binding = match &message.payload {
            Payload::Own(_) => quote!(let message = #decoded;),
            Payload::Generated(_) if is_empty(message) => quote!(#decoded;),
            Payload::Generated(Generated { name, fields, .. }) => {
                let fields = fields.iter().map(|field| &field.ident);
                quote!(let #name { #(#fields),* } = #decoded;)
            }
        };
        quote!(#pattern => { #binding #value })
    });
    let unknown = match &model.unknown {
        Some(unknown) => {
            quote!(Self::#unknown(#private::undecoded(name, body, #private::DecodeError::UNKNOWN_NAME)))
        }
        None => quote!(return ::core::result::Result::Err(#private::DecodeError::UNKNOWN_NAME)),
    };
    let codec = if model.messages.is_empty() { quote!(_) } else { quote!(codec) };
    quote! {
        fn decode(
            name: &str,
            body: &[u8],
            #codec: #private::Codec,
        ) -> ::core::result::Result<Self, #private::DecodeError> {
            ::core::result::Result::Ok(match name {
                #(#arms)*
                _ => #unknown,
            })
        }
    }
}
